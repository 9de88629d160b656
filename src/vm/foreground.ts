/**
 * `anneau run`: one machine in this process, serial port or text screen on the person's terminal. Ends with the guest's
 * power-off (exit code 0), with Ctrl-A X (0), with SIGTERM, SIGHUP or SIGINT (128 + signal), or with the guest's death
 * (1, registers and cause on standard error). The terminal is given back on every way out.
 */
import { accessSync, closeSync, constants, openSync, writeFileSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { AnneauError } from "../base/errors.ts";
import { flattenCounters } from "../device-api/counters.ts";
import { encodePng } from "../display/png.ts";
import { terminalToScancodes } from "../display/us-keyboard.ts";
import type { FinalStatistics, MachineOutcome, ScreenImage } from "./machine-protocol.ts";
import { MachineThreadClient } from "./machine-thread-client.ts";
import { NetworkHosts } from "./network/network-hosts.ts";
import { describeRunMachine, type RunMachineOptions } from "./run-spec.ts";
import { HostTerminal } from "./terminal.ts";
import { Typist } from "./typing.ts";
import { UartHost } from "./uart-host.ts";

const REDRAW_MS = 100;
const signals = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

export interface ForegroundOptions extends RunMachineOptions {
  readonly serial: { readonly kind: "stdio" | "none" } | { readonly kind: "file"; readonly path: string };
  readonly display: { readonly kind: "none" | "text" } | { readonly kind: "png"; readonly path: string };
  readonly trace: readonly string[];
  /** Where everything that the machine logs goes; warnings go to standard error in any case. */
  readonly logFile?: string;
  /** Where the sound goes. */
  readonly audioFile?: string;
  readonly onTripleFault: "reset" | "stop";
  readonly statistics: boolean;
}

/** Runs the machine to its end; the process's exit code. Throws one line if it cannot start. */
export async function runForeground(options: ForegroundOptions): Promise<number> {
  const { spec, ide, floppies } = describeRunMachine(options);
  const startMs = performance.now();
  if (options.display.kind === "png") refuseUnwritable(options.display.path);
  const logFile = options.logFile === undefined ? undefined : openOutput(options.logFile);
  const uart = options.hasSerial ? new UartHost(say) : undefined;
  plugSerial(uart, options.serial);
  /** Messages that would spoil the guest's screen. */
  const later: string[] = [];
  let terminal: HostTerminal | undefined;

  const sayLater = (text: string): void => {
    if (terminal?.hasScreen) later.push(text);
    else say(text);
  };
  const network = await NetworkHosts.open(
    options.nics.map(({ description }) => description),
    { info: () => {}, warn: sayLater, error: sayLater },
  );

  const client = await MachineThreadClient.start({
    spec,
    ide,
    floppies,
    uarts: [uart],
    nics: network.hosts,
    audioFile: options.audioFile,
    trace: options.trace,
    onTripleFault: options.onTripleFault,
    onDeath: "end",
    onLine: (tag, text) => {
      if (logFile !== undefined) writeLine(logFile, `${tag} ${text}\n`);
      if (tag === "W" || tag === "E" || (tag === "T" && logFile === undefined)) sayLater(text);
    },
  }).catch((error) => {
    network.close();
    throw error;
  });
  network.machine = client;

  let exitCode: number | undefined;
  const quit = (code: number): void => {
    exitCode ??= code;
    client.request("powerOff").catch(() => {});
  };
  const isTextScreen = options.display.kind === "text";
  const typist = new Typist();
  const isInteractive = isTextScreen || options.serial.kind === "stdio";
  if (isInteractive) {
    terminal = new HostTerminal({
      onInput: (bytes) => {
        if (isTextScreen) {
          const codes = terminalToScancodes(Buffer.from(bytes).toString("latin1"));
          typist.type(client, codes).catch(() => {});
        } else if (uart?.send(bytes, () => terminal?.resumeInput()) === false) {
          terminal?.pauseInput();
        }
      },
      onQuit: () => quit(0),
    });
  }
  const handlers = Object.entries(signals).map(([name, number]) => {
    const handler = () => quit(128 + number);
    process.on(name as NodeJS.Signals, handler);
    return () => process.off(name as NodeJS.Signals, handler);
  });
  // Nobody reads what the guest prints any more (`| head`).
  const onUnread = (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") quit(0);
  };
  process.stdout.on("error", onUnread);
  const saveScreen = async (): Promise<void> => {
    if (options.display.kind === "png") writePng(options.display.path, await client.request("screen"));
  };
  const onScreenshot = () => void saveScreen().catch((error: Error) => say(`no picture: ${error.message}`));
  if (options.display.kind === "png") process.on("SIGUSR1", onScreenshot);
  const redraw = setInterval(() => {
    if (isTextScreen)
      client.request("textScreen").then(
        (cells) => terminal?.drawText(cells),
        () => {},
      );
  }, REDRAW_MS);
  if (!isTextScreen) clearInterval(redraw);

  let outcome: MachineOutcome;
  try {
    outcome = await client.ended;
  } finally {
    clearInterval(redraw);
    await uart?.close();
    network.close();
    terminal?.close();
    for (const text of later) say(text);
    for (const remove of handlers) remove();
    process.stdout.off("error", onUnread);
    process.off("SIGUSR1", onScreenshot);
    if (logFile !== undefined) closeSync(logFile);
  }
  if (options.display.kind === "png") {
    if (client.lastScreen) writePng(options.display.path, client.lastScreen);
    else say("no picture: the screen is off");
  }
  if (options.statistics) say(describeStatistics(outcome.statistics, performance.now() - startMs));
  if (outcome.kind === "died") {
    say(`the guest died: ${outcome.cause}\n${outcome.registers}`);
    return exitCode ?? 1;
  }
  return exitCode ?? 0;
}

function plugSerial(uart: UartHost | undefined, serial: ForegroundOptions["serial"]): void {
  if (serial.kind === "stdio") uart?.plug({ write: (bytes) => writeAll(process.stdout, bytes) });
  if (serial.kind === "file") {
    const file = openOutput(serial.path);
    uart?.plug({
      write: (bytes) => {
        for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
      },
      close: () => closeSync(file),
    });
  }
}

/** What cannot be written is said before the machine runs, not after hours of it. */
function openOutput(path: string): number {
  try {
    return openSync(path, "w");
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

function refuseUnwritable(path: string): void {
  try {
    accessSync(dirname(path), constants.W_OK);
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

function cannotWrite(path: string, error: unknown): AnneauError {
  return new AnneauError(`cannot write '${path}' (${(error as NodeJS.ErrnoException).code})`, { cause: error });
}

function writeLine(file: number, line: string): void {
  try {
    writeSync(file, line);
  } catch {
    // A full disk must not stop the machine.
  }
}

function writeAll(stream: NodeJS.WritableStream, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => stream.write(bytes, () => resolve()));
}

/** Lines on standard error; in raw mode a terminal needs the carriage return. */
function say(text: string): void {
  const end = process.stdin.isTTY && process.stdin.isRaw ? "\r\n" : "\n";
  try {
    writeSync(2, text.replaceAll("\n", end) + end);
  } catch {
    // Nobody reads standard error any more, or it is full: the machine matters more.
  }
}

function writePng(path: string, { widthPixels, heightPixels, rgba }: ScreenImage): void {
  try {
    writeFileSync(path, encodePng(widthPixels, heightPixels, rgba));
  } catch (error) {
    say(`cannot write ${path}: ${(error as NodeJS.ErrnoException).code ?? (error as Error).message}`);
  }
}

/** One `key=value` a line: scripts and bench/ read it. */
function describeStatistics(statistics: FinalStatistics, wallMs: number): string {
  const { instructions, busyNs, idleNs, guestNs, slices, portAccesses, mmioAccesses, demand } = statistics;
  const { rss } = process.memoryUsage();
  const cpu = process.cpuUsage();
  return [
    `instructions=${instructions}`,
    `mips=${busyNs > 0 ? ((instructions / busyNs) * 1e3).toFixed(1) : "0"}`,
    `wallSeconds=${(wallMs / 1e3).toFixed(3)}`,
    `guestSeconds=${(guestNs / 1e9).toFixed(3)}`,
    `cpuSeconds=${((cpu.user + cpu.system) / 1e6).toFixed(3)}`,
    `idleShare=${guestNs > 0 ? (idleNs / guestNs).toFixed(3) : "0"}`,
    `rssMiB=${(rss / 2 ** 20).toFixed(0)}`,
    `peakRssMiB=${(process.resourceUsage().maxRSS / 1024).toFixed(0)}`,
    `slices=${slices}`,
    `portAccesses=${portAccesses}`,
    `mmioAccesses=${mmioAccesses}`,
    ...Object.entries(demand).map(([kind, count]) => `${kind.replaceAll(" ", "-")}=${count}`),
    ...flattenCounters(statistics.cpu, "/cpu").map(({ name, value }) => `${name}=${value}`),
  ].join("\n");
}
