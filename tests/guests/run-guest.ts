/**
 * A guest as a person at a terminal has it: `anneau run` in a process of its own, its first serial port on standard input
 * and output.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { resolve } from "node:path";
import { onTestFinished } from "vitest";
import { GuestTerminal } from "./guest-terminal.ts";

const anneau = resolve(import.meta.dirname, "../../bin/anneau");

export class RunGuest extends GuestTerminal {
  readonly #child: ChildProcessWithoutNullStreams;
  /** Settles with the exit code. */
  readonly exited: Promise<number | null>;

  /** `anneau run ARGS`. Killed when the test is over. */
  constructor(...args: string[]) {
    super();
    this.#child = this.#spawn(args);
    this.#child.stdout.on("data", (bytes: Buffer) => this.heard(bytes));
    this.#child.stderr.on("data", (bytes: Buffer) => {
      this.errors += bytes.toString();
    });
    this.exited = new Promise((done) =>
      this.#child.on("close", (code) => {
        this.ended();
        done(code);
      }),
    );
    onTestFinished(() => {
      this.#child.kill("SIGKILL");
    });
  }

  /** Started by way of that command (`nsenter …`); undefined: as it is. */
  static inside: readonly string[] = [];

  #spawn(args: readonly string[]): ChildProcessWithoutNullStreams {
    const [program, ...rest] = [...RunGuest.inside, process.execPath, anneau, "run", ...args];
    return spawn(program, rest);
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  type(text: string): void {
    this.#child.stdin.write(text);
  }
}
