/**
 * What VirtualBox's `--uartmodeN` plugs into a serial port: a file, a host device, a local socket or a TCP connection, as
 * server (waits for a client, one at a time) or client (connects again when the other end goes away). Local sockets are Unix
 * sockets at the given path; TCP servers listen on 127.0.0.1.
 */
import { execFileSync } from "node:child_process";
import { closeSync, openSync, writeSync } from "node:fs";
import { open as openFile } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { ReadStream } from "node:tty";
import { AnneauError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { UartMode } from "../config/port-settings.ts";
import { removeDeadSocket } from "../control/local-socket.ts";
import type { UartHost } from "./uart-host.ts";

const RECONNECT_MS = 1000;

/** Releases what a plug holds. */
export type Unplug = () => void;

/** Plugs `mode` into the port that `label` ("serial port 1") names. Rejects with one line if the file, device or server address cannot be had. */
export async function plugUart(uart: UartHost, label: string, mode: UartMode, log: Logger): Promise<Unplug> {
  switch (mode.kind) {
    case "disconnected":
      return () => {};
    case "file":
      return plugFile(uart, label, mode.path);
    case "device":
      return plugDevice(uart, label, mode.path, log);
    case "server":
      return await serve(uart, label, mode.path, { path: mode.path }, log);
    case "tcpserver":
      return await serve(uart, label, mode.path, { port: portOf(label, mode.path), host: "127.0.0.1" }, log);
    case "client":
      return keepConnected(uart, label, mode.path, () => connect({ path: mode.path }), log);
    case "tcpclient": {
      const at = mode.path.lastIndexOf(":");
      const port = portOf(label, mode.path.slice(at + 1));
      const host = at < 0 ? "127.0.0.1" : mode.path.slice(0, at);
      return keepConnected(uart, label, mode.path, () => connect({ host, port }), log);
    }
  }
}

function portOf(label: string, text: string): number {
  if (/^[0-9]{1,5}$/.test(text) && Number(text) <= 65535) return Number(text);
  throw new AnneauError(`${label}: '${text}' is not a TCP port`);
}

function open(label: string, path: string, flags: string): number {
  try {
    return openSync(path, flags);
  } catch (error) {
    throw new AnneauError(`${label}: cannot open '${path}' (${(error as NodeJS.ErrnoException).code})`, {
      cause: error,
    });
  }
}

function plugFile(uart: UartHost, label: string, path: string): Unplug {
  const fd = open(label, path, "w");
  uart.plug({
    write: (bytes) => {
      for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
    },
  });
  return () => closeSync(fd);
}

/** What a parallel port prints goes into a file or to a device such as /dev/lp0, which may take its time. */
export async function plugPrinter(port: UartHost, label: string, path: string): Promise<void> {
  const file = await openFile(path, "w").catch((error: NodeJS.ErrnoException) => {
    throw new AnneauError(`${label}: cannot open '${path}' (${error.code})`, { cause: error });
  });
  port.plug({
    write: async (bytes) => {
      for (let done = 0; done < bytes.length; ) done += (await file.write(bytes, done)).bytesWritten;
    },
    close: () => file.close(),
  });
}

/** A character device such as /dev/ttyS0 or a pseudo-terminal. */
function plugDevice(uart: UartHost, label: string, path: string, log: Logger): Unplug {
  const fd = open(label, path, "r+");
  let stream: ReadStream;
  try {
    stream = new ReadStream(fd);
  } catch (error) {
    closeSync(fd);
    throw new AnneauError(`${label}: '${path}' is not a serial device`, { cause: error });
  }
  makeRaw(path, log);
  stream.on("error", (error) => log.error(`${path}: ${error.message}`));
  connectStream(uart, stream as unknown as Socket);
  return () => stream.destroy();
}

/** Node's own raw mode still turns LF into CR LF on the way out. */
function makeRaw(path: string, log: Logger): void {
  try {
    execFileSync("stty", [process.platform === "linux" ? "-F" : "-f", path, "raw", "-echo"], { stdio: "ignore" });
  } catch {
    log.warn(`${path}: stty cannot set it to raw: line ends may change on the way`);
  }
}

async function serve(
  uart: UartHost,
  label: string,
  name: string,
  address: { path: string } | { port: number; host: string },
  log: Logger,
): Promise<Unplug> {
  let current: Socket | undefined;
  const server: Server = createServer((socket) => {
    if (current !== undefined) {
      socket.destroy();
      return;
    }
    current = socket;
    log.info(`${label}, '${name}': connected`);
    connectStream(uart, socket);
    socket.on("error", () => {});
    socket.on("close", () => {
      current = undefined;
      uart.plug(undefined);
      log.info(`${label}, '${name}': disconnected`);
    });
  });
  if ("path" in address) await removeDeadSocket(address.path);
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      reject(new AnneauError(`${label}: cannot listen on '${name}' (${error.code})`, { cause: error })),
    );
    server.listen(address, resolve);
  });
  return () => {
    current?.destroy();
    server.close();
  };
}

function keepConnected(uart: UartHost, label: string, name: string, dial: () => Socket, log: Logger): Unplug {
  let isDone = false;
  let socket: Socket;
  let timer: NodeJS.Timeout | undefined;
  const start = (): void => {
    socket = dial();
    socket.on("connect", () => {
      log.info(`${label}, '${name}': connected`);
      connectStream(uart, socket);
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      uart.plug(undefined);
      if (!isDone) timer = setTimeout(start, RECONNECT_MS);
    });
  };
  start();
  return () => {
    isDone = true;
    clearTimeout(timer);
    socket.destroy();
  };
}

function connectStream(uart: UartHost, stream: Socket): void {
  stream.on("data", (bytes: Buffer) => {
    if (!uart.send(new Uint8Array(bytes), () => stream.resume())) stream.pause();
  });
  uart.plug({
    write: (bytes) =>
      new Promise<void>((resolve) => {
        if (stream.writable) stream.write(bytes, () => resolve());
        else resolve();
      }),
  });
}
