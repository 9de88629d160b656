/**
 * A running benchmark guest (or the same programs natively): one process that reads lines and writes what bench/guest/init.c
 * describes. Times are the host's, taken when the markers come out of the serial port.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { processUsage } from "./process-usage.ts";

export interface Measurement {
  /** Host clock. */
  readonly wallSeconds: number;
  /** All processes and threads of the peer. */
  readonly cpuSeconds: number;
  /** What the guest's own clock says: not to be trusted alone. */
  readonly guestSeconds: number;
  readonly result: string;
  /** Start and end by the host's monotonic clock. */
  readonly startUs: number;
  readonly endUs: number;
}

export interface CommandLine {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Those that run: none outlives this process. */
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export class BenchGuest {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  readonly startedAtMs = performance.now();
  #said = "";
  #hasEnded = false;
  #wake = () => {};
  /** Called with each chunk as it comes. */
  #onData = () => {};

  constructor({ program, args, env }: CommandLine) {
    this.#child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"], env: { ...process.env, ...env } });
    running.add(this.#child);
    this.#child.stdout!.on("data", (bytes: Buffer) => {
      this.#said += bytes.toString("latin1");
      this.#onData();
      this.#wake();
    });
    this.#child.stdin!.on("error", () => {});
    this.#ended = new Promise((done) => {
      const end = () => {
        this.#hasEnded = true;
        running.delete(this.#child);
        this.#wake();
        done();
      };
      this.#child.once("error", end);
      this.#child.once("close", end);
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Waits until the guest has said something that matches, behind what an earlier call waited for, and takes it. */
  async says(what: RegExp, patienceSeconds: number): Promise<RegExpExecArray> {
    const endMs = performance.now() + patienceSeconds * 1000;
    for (;;) {
      const match = what.exec(this.#said);
      if (match !== null) {
        this.#said = this.#said.slice(match.index + match[0].length);
        return match;
      }
      const panic = /Kernel panic[^\n]*\n|Oops: [^\n]*\n/.exec(this.#said)?.[0].trim();
      const leftMs = endMs - performance.now();
      const why = panic ?? (this.#hasEnded ? "ended" : leftMs <= 0 ? `no answer for ${patienceSeconds} s` : undefined);
      if (why !== undefined) throw new Error(`${why}: ${JSON.stringify(this.#said.slice(-300))}`);
      await new Promise<void>((wake) => {
        const timer = setTimeout(wake, Math.min(leftMs, 1000));
        this.#wake = () => {
          clearTimeout(timer);
          wake();
        };
      });
    }
  }

  type(text: string): void {
    this.#child.stdin!.write(text);
  }

  /** Runs one kernel at the given share of its full size. Throws when the guest dies, hangs or the program fails. */
  async run(name: string, permille: number, patienceSeconds: number): Promise<Measurement> {
    let begin: { us: number; cpu: number } | undefined;
    let end: { us: number; cpu: number } | undefined;
    this.#onData = () => {
      const at = this.#said.indexOf(`BEGIN ${name}`);
      if (at < 0) return;
      const us = Number(process.hrtime.bigint() / 1000n);
      const hasBegun = this.#said.indexOf("<", at) >= 0;
      if (hasBegun && begin === undefined) begin = { us, cpu: processUsage(this.pid).cpuSeconds };
      if (hasBegun && end === undefined && this.#said.indexOf(">", at) >= 0)
        end = { us, cpu: processUsage(this.pid).cpuSeconds };
    };
    try {
      this.type(`${name} ${permille}\n`);
      const [, , seconds, result, status] = await this.says(
        /<[^>]*> (\S+) ([\d.]+) (\S+) (-?\d+)\r?\n/,
        patienceSeconds,
      );
      if (begin === undefined || end === undefined) throw new Error(`${name}: the markers came out of order`);
      if (status !== "0") throw new Error(`${name} ended with status ${status}`);
      return {
        wallSeconds: (end.us - begin.us) / 1e6,
        cpuSeconds: end.cpu - begin.cpu,
        guestSeconds: Number(seconds),
        result,
        startUs: begin.us,
        endUs: end.us,
      };
    } finally {
      this.#onData = () => {};
    }
  }

  usage() {
    return processUsage(this.pid);
  }

  /** Ends it the hard way. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }

  /** Switches the guest off and waits for the process to end by itself; kills it after the patience. */
  async powerOff(patienceSeconds: number): Promise<void> {
    this.type("poweroff\n");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), patienceSeconds * 1000);
    await this.#ended;
    clearTimeout(timer);
  }
}
