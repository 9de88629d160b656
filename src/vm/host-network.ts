/**
 * The host's network for NAT, with Node's sockets: no privileges needed. TCP connections that NAT dials read into one buffer that all
 * share (NAT copies what it keeps); accepted ones get Node's own buffers.
 */
import { randomFillSync } from "node:crypto";
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { Resolver } from "node:dns";
import { lookup, lookupService } from "node:dns/promises";
import { constants, readFileSync } from "node:fs";
import { open, realpath, stat } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { join, sep } from "node:path";
import { AnneauError } from "../base/errors.ts";
import type {
  DatagramListener,
  DialFailure,
  HostAccepted,
  HostFile,
  HostListener,
  HostNetwork,
  HostTcpEvents,
  HostTcpStream,
  HostTimer,
  HostUdpSocket,
} from "../net/host-network.ts";

export interface HostNetworkOptions {
  /** The host's IPv4 address that outgoing connections and datagrams leave from, IPv6 excepted; empty: as the host routes. */
  readonly bindAddress?: string;
  /** Folder that TFTP serves; it need not exist. */
  readonly tftpFolder: string;
  /** Instead of the host's name servers. */
  readonly nameServers?: readonly string[];
}

const READ_BYTES = 32_768;
/** How long name servers and domain are believed before the host's configuration is read again. */
const CONFIGURATION_MS = 5000;
const KEEPALIVE_MS = 600_000;

const unreachableCodes = new Set([
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EHOSTDOWN",
  "ENETDOWN",
  "EADDRNOTAVAIL",
  "EACCES",
  "EPERM",
]);

function failureOf({ code }: NodeJS.ErrnoException): DialFailure {
  if (code === "ECONNREFUSED") return "refused";
  if (code === "ETIMEDOUT") return "timeout";
  return unreachableCodes.has(code ?? "") ? "unreachable" : "other";
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? (error as Error).message;
}

/** Numeric addresses only: nothing is looked up. */
const noLookup = (
  host: string,
  _options: unknown,
  callback: (error: null, address: string, family: number) => void,
): void => callback(null, host, host.includes(":") ? 6 : 4);

export class NodeHostNetwork implements HostNetwork {
  readonly #options: HostNetworkOptions;
  readonly #readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);
  readonly #randomWords = new Uint32Array(256);
  #nextWord = this.#randomWords.length;
  #configurationMs = Number.NEGATIVE_INFINITY;
  #nameServers: readonly string[] = [];
  #domain: string | undefined;

  constructor(options: HostNetworkOptions) {
    this.#options = options;
  }

  nowMs(): number {
    return performance.now();
  }

  startTimer(delayMs: number, callback: () => void): HostTimer {
    const timer = setTimeout(callback, delayMs);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  }

  defer(callback: () => void): void {
    queueMicrotask(callback);
  }

  random32(): number {
    if (this.#nextWord === this.#randomWords.length) {
      randomFillSync(this.#randomWords);
      this.#nextWord = 0;
    }
    return this.#randomWords[this.#nextWord++];
  }

  // --- TCP ---

  dialTcp(address: string, port: number, events: HostTcpEvents): HostTcpStream {
    const stream = new NodeTcpStream(events, true);
    const { bindAddress } = this.#options;
    const socket = connect({
      host: address,
      port,
      localAddress: bindAddress === "" || address.includes(":") ? undefined : bindAddress,
      lookup: noLookup as never,
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEPALIVE_MS,
      onread: {
        buffer: this.#readBuffer,
        callback: (length, buffer) => stream.deliver(buffer.subarray(0, length) as Uint8Array),
      },
    });
    stream.attach(socket);
    return stream;
  }

  listenTcp(address: string, port: number, accept: (pending: HostAccepted) => void): Promise<HostListener> {
    const server = createServer({
      allowHalfOpen: true,
      pauseOnConnect: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEPALIVE_MS,
    });
    server.on("connection", (socket) => {
      // A connection that is reset before anybody looked at it.
      socket.on("error", () => {});
      accept({
        address: socket.remoteAddress ?? "",
        port: socket.remotePort ?? 0,
        open: (events) => {
          const stream = new NodeTcpStream(events, false);
          stream.attach(socket);
          return stream;
        },
        refuse: () => socket.resetAndDestroy(),
      });
    });
    return new Promise((resolve, reject) => {
      server.once("error", (error) => reject(new AnneauError(codeOf(error), { cause: error })));
      const host = address || "0.0.0.0";
      server.listen({ host, port, exclusive: true, ipv6Only: host.includes(":") }, () => {
        server.on("error", () => {});
        resolve({ close: () => server.close() });
      });
    });
  }

  // --- UDP ---

  openUdp(family: 4 | 6, receive: DatagramListener): HostUdpSocket {
    const socket = this.#udpSocket(family, receive);
    socket.on("error", () => {});
    const { bindAddress } = this.#options;
    if (bindAddress && family === 4) socket.bind({ address: bindAddress, exclusive: true });
    return handleOf(socket);
  }

  bindUdp(address: string, port: number, receive: DatagramListener): Promise<HostUdpSocket> {
    const socket = this.#udpSocket(address.includes(":") ? 6 : 4, receive);
    return new Promise((resolve, reject) => {
      socket.once("error", (error) => reject(new AnneauError(codeOf(error), { cause: error })));
      socket.bind({ address: address || "0.0.0.0", port, exclusive: true }, () => {
        socket.on("error", () => {});
        resolve(handleOf(socket));
      });
    });
  }

  #udpSocket(family: 4 | 6, receive: DatagramListener): UdpSocket {
    const type = family === 4 ? "udp4" : "udp6";
    const socket = createSocket({ type, ipv6Only: family === 6, lookup: noLookup as never });
    socket.on("message", (bytes, { address, port }) => receive(bytes, address, port));
    return socket;
  }

  // --- names ---

  nameServers(): readonly string[] {
    if (this.#options.nameServers !== undefined) return this.#options.nameServers;
    this.#readConfiguration();
    return this.#nameServers;
  }

  searchDomain(): string | undefined {
    this.#readConfiguration();
    return this.#domain;
  }

  #readConfiguration(): void {
    const nowMs = performance.now();
    if (nowMs - this.#configurationMs < CONFIGURATION_MS) return;
    this.#configurationMs = nowMs;
    try {
      this.#nameServers = new Resolver().getServers();
    } catch {
      this.#nameServers = [];
    }
    this.#domain = searchDomainIn("/etc/resolv.conf");
  }

  async lookup(name: string, family: 4 | 6): Promise<readonly string[]> {
    try {
      return (await lookup(name, { all: true, family })).map(({ address }) => address);
    } catch (error) {
      return noneIfUnknown(error);
    }
  }

  async reverseLookup(address: string): Promise<readonly string[]> {
    try {
      const { hostname } = await lookupService(address, 0);
      return hostname === address ? [] : [hostname];
    } catch (error) {
      return noneIfUnknown(error);
    }
  }

  // --- files ---

  async openTftpFile(path: readonly string[]): Promise<HostFile | undefined> {
    let file: string;
    try {
      const folder = await realpath(this.#options.tftpFolder);
      // Links may lead anywhere inside the folder, never out of it.
      file = await realpath(join(folder, ...path));
      const inside = folder.endsWith(sep) ? folder : folder + sep;
      if (!file.startsWith(inside) || !(await stat(file)).isFile()) return undefined;
    } catch (error) {
      if (["ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG"].includes(codeOf(error))) return undefined;
      throw error;
    }
    const handle = await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const { size } = await handle.stat();
    return {
      sizeBytes: size,
      read: async (offset, target) => {
        let done = 0;
        while (done < target.length) {
          const { bytesRead } = await handle.read(target, done, target.length - done, offset + done);
          if (bytesRead === 0) break;
          done += bytesRead;
        }
        return done;
      },
      close: () => void handle.close().catch(() => {}),
    };
  }
}

function noneIfUnknown(error: unknown): readonly string[] {
  if (["ENOTFOUND", "ENODATA", "EAI_NODATA", "EAI_NONAME"].includes(codeOf(error))) return [];
  throw error;
}

/** The first domain of the last `search` or `domain` line, as resolvers read it. */
export function searchDomainIn(file: string): string | undefined {
  let domain: string | undefined;
  try {
    for (const line of readFileSync(file, "utf8").split("\n")) {
      const match = /^\s*(?:search|domain)\s+(\S+)/.exec(line);
      if (match !== null) domain = match[1].replace(/\.$/, "");
    }
  } catch {
    return undefined;
  }
  return domain === "" ? undefined : domain;
}

function handleOf(socket: UdpSocket): HostUdpSocket {
  let isOpen = true;
  return {
    send: (bytes, address, port) => {
      if (!isOpen || port === 0) return;
      try {
        socket.send(bytes, port, address, () => {});
      } catch {
        // A datagram that cannot be sent is lost, as any other.
      }
    },
    close: () => {
      if (!isOpen) return;
      isOpen = false;
      socket.close();
    },
  };
}

/** One of Node's TCP sockets as NAT wants it. */
class NodeTcpStream implements HostTcpStream {
  readonly #events: HostTcpEvents;
  #socket: Socket | undefined;
  #isConnected: boolean;
  #isOver = false;

  constructor(events: HostTcpEvents, isDialled: boolean) {
    this.#events = events;
    this.#isConnected = !isDialled;
  }

  attach(socket: Socket): void {
    this.#socket = socket;
    if (this.#isConnected) {
      socket.on("data", (bytes: Buffer) => {
        if (!this.deliver(bytes)) socket.pause();
      });
      socket.resume();
    } else
      socket.on("connect", () => {
        this.#isConnected = true;
        if (!this.#isOver) this.#events.connected();
      });
    socket.on("end", () => {
      if (!this.#isOver) this.#events.ended();
    });
    let failure: NodeJS.ErrnoException | undefined;
    socket.on("error", (error) => {
      failure = error;
    });
    socket.on("close", () => {
      if (this.#isOver) return;
      this.#isOver = true;
      if (this.#isConnected) this.#events.closed(failure === undefined);
      else this.#events.failed(failure === undefined ? "other" : failureOf(failure));
    });
  }

  /** Bytes from the socket; false: it has to pause. */
  deliver(bytes: Uint8Array): boolean {
    return this.#isOver || this.#events.data(bytes);
  }

  write(bytes: Uint8Array, done: () => void): void {
    if (this.#isOver) return;
    this.#socket?.write(bytes, (error) => {
      if (!error && !this.#isOver) done();
    });
  }

  end(): void {
    if (!this.#isOver) this.#socket?.end();
  }

  destroy(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#isConnected) this.#socket?.resetAndDestroy();
    else this.#socket?.destroy();
  }

  resumeReading(): void {
    if (!this.#isOver) this.#socket?.resume();
  }
}
