/**
 * Debian's socat, the program that does with a TAP device what Node cannot: one ioctl, and frames as datagrams. It gets the open
 * device as descriptor 3 and never opens one itself (docs/decisions/0009-tap-devices-through-socat.md).
 */
import { type ChildProcess, spawn } from "node:child_process";
import { AnneauError } from "../../base/errors.ts";

/** The device in a child. */
export const TAP_DESCRIPTOR = "FD:3";
/** What is kept of a line that does not end. */
const MAX_LINE_BYTES = 4096;

export interface SocatProcess {
  readonly child: ChildProcess;
  /** Settles when it is gone, with one line that says how. Rejects with one line if it is not installed. */
  readonly ended: Promise<string>;
}

/**
 * Starts it with the open file `device` and standard input as said. `onLine` gets what it says about itself, without date and number.
 * It is in a session of its own: what a terminal sends to stop a machine is not for it.
 */
export function startSocat(
  args: readonly string[],
  device: number,
  stdin: "ignore" | "pipe",
  onLine: (text: string) => void,
): SocatProcess {
  const child = spawn("socat", args, {
    stdio: [stdin, "ignore", "pipe", device],
    env: { PATH: process.env.PATH, LC_ALL: "C" },
    detached: true,
  });
  const lines = new SocatLines(onLine);
  child.stderr?.on("data", (bytes: Buffer) => lines.push(bytes));
  child.stderr?.on("error", () => {});
  child.stdin?.on("error", () => {});
  const ended = new Promise<string>((resolve, reject) => {
    child.on("error", (error: NodeJS.ErrnoException) => {
      const missing = "the program socat, which connects TAP devices, is not installed (Debian package 'socat')";
      const why = error.code === "ENOENT" ? missing : `socat cannot be started (${error.code})`;
      reject(new AnneauError(why, { cause: error }));
    });
    child.on("close", (code, signal) => {
      const how = signal === null ? `with exit code ${code}` : `by ${signal}`;
      resolve(lines.lastError ?? `socat has ended ${how}`);
    });
  });
  ended.catch(() => {});
  return { child, ended };
}

/** Cuts its standard error into lines. */
export class SocatLines {
  /** The last one that is an error. */
  lastError: string | undefined;
  readonly #onLine: (text: string) => void;
  #rest = "";

  constructor(onLine: (text: string) => void) {
    this.#onLine = onLine;
  }

  push(bytes: Buffer): void {
    const lines = (this.#rest + bytes.toString("latin1")).split("\n");
    this.#rest = (lines.pop() ?? "").slice(-MAX_LINE_BYTES);
    for (const line of lines) {
      const [, level, text] = /^\S+ \S+ socat\[[0-9]+\] ([A-Z]) (.{1,1000})/.exec(line) ?? [];
      if (text === undefined) continue;
      if (level === "E") this.lastError = `socat: ${text}`;
      this.#onLine(text);
    }
  }
}
