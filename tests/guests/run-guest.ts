/**
 * A guest as a person at a terminal has it: `anneau run` in a process of its own, its first serial port on standard input
 * and output. Waiting ends as soon as the guest says something from which there is no way back, so that a broken guest
 * costs seconds and not the whole patience.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { resolve } from "node:path";
import { onTestFinished } from "vitest";

const anneau = resolve(import.meta.dirname, "../../bin/anneau");
/** Nothing that a guest here does takes this long, even on a machine that is busy with something else. */
const PATIENCE_MS = 400_000;
/** Whole lines, so that the report tells all that the guest had to say. */
const hopeless =
  /-- System halted|(Kernel panic|Oops:|BUG: |invalid opcode|general protection fault|checksum error)[^\n]*\n/;

export class RunGuest {
  readonly #child: ChildProcessWithoutNullStreams;
  /** Everything from the serial port, as Latin-1. */
  said = "";
  /** Everything from standard error: warnings, statistics. */
  errors = "";
  /** Settles with the exit code. */
  readonly exited: Promise<number | null>;
  #from = 0;
  #hasExited = false;
  #markers = 0;
  #wake = () => {};

  /** `anneau run ARGS`. Killed when the test is over. */
  constructor(...args: string[]) {
    this.#child = spawn(process.execPath, [anneau, "run", ...args]);
    this.#child.stdout.on("data", (bytes: Buffer) => {
      this.said += bytes.toString("latin1");
      this.#wake();
    });
    this.#child.stderr.on("data", (bytes: Buffer) => {
      this.errors += bytes.toString();
    });
    this.exited = new Promise((done) =>
      this.#child.on("close", (code) => {
        this.#hasExited = true;
        this.#wake();
        done(code);
      }),
    );
    onTestFinished(() => {
      this.#child.kill("SIGKILL");
    });
  }

  /** Waits until the guest says it, behind what an earlier call waited for; what it said up to there. */
  async says(what: string | RegExp): Promise<string> {
    const end = Date.now() + PATIENCE_MS;
    for (;;) {
      const rest = this.said.slice(this.#from);
      const match = typeof what === "string" ? rest.indexOf(what) : rest.search(what);
      if (match >= 0) {
        const length = typeof what === "string" ? what.length : what.exec(rest)![0].length;
        this.#from += match + length;
        return rest.slice(0, match);
      }
      const why = hopeless.test(rest)
        ? "gave up"
        : this.#hasExited
          ? "ended"
          : Date.now() > end
            ? "took too long"
            : undefined;
      if (why !== undefined)
        throw new Error(`the guest ${why} and did not say ${what}, but: ${rest.slice(-1500)}\n${this.errors}`);
      await new Promise<void>((wake) => {
        const timer = setTimeout(wake, 1000);
        this.#wake = () => {
          clearTimeout(timer);
          wake();
        };
      });
    }
  }

  type(text: string): void {
    this.#child.stdin.write(text);
  }

  /** Types a command at a shell's prompt: what it printed, and how it ended. */
  async command(line: string): Promise<{ readonly printed: string; readonly status: number }> {
    // The quotes keep the echo of what is typed from looking like the answer.
    const marker = `mark${++this.#markers}`;
    this.type(`echo begin''-${marker}; ${line}; echo end''-${marker}=$?.\n`);
    await this.says(`begin-${marker}\r\n`);
    const printed = await this.says(`end-${marker}=`);
    const status = Number(await this.says("."));
    return { printed: printed.replaceAll("\r\n", "\n"), status };
  }

  /** Types a command that has to succeed: what it printed. */
  async shell(line: string): Promise<string> {
    const { printed, status } = await this.command(line);
    if (status !== 0) throw new Error(`'${line}' ended with ${status}: ${printed}`);
    return printed;
  }
}
