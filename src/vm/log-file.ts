/**
 * `Logs/VBox.log` of a VM: older runs' logs move up to .1, .2, …; every line carries the time since the process started.
 * Written synchronously, so that what was said before a crash is there. The size is bounded: a guest that floods the log
 * cannot fill the disk.
 */
import { closeSync, existsSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Logger } from "../base/logger.ts";
import { makeFolder } from "../disk/make-folder.ts";

const MAX_BYTES = 64 << 20;

export class LogFile implements Logger {
  readonly path: string;
  #fd: number;
  readonly #startMs = performance.now();
  #bytes = 0;

  /** Opens a new log in `folder`, keeping `history` old ones. */
  constructor(folder: string, history: number) {
    makeFolder(folder);
    this.path = join(folder, "VBox.log");
    rotate(this.path, Math.max(0, history));
    this.#fd = openSync(this.path, "w");
  }

  /** Goes on in a new file where the old one was deleted together with its folder. */
  reopen(): void {
    if (existsSync(this.path)) return;
    makeFolder(dirname(this.path));
    const fd = openSync(this.path, "a");
    closeSync(this.#fd);
    this.#fd = fd;
  }

  info(text: string): void {
    this.#write(text);
  }
  warn(text: string): void {
    this.#write(`warning: ${text}`);
  }
  error(text: string): void {
    this.#write(`error: ${text}`);
  }

  close(): void {
    closeSync(this.#fd);
  }

  #write(text: string): void {
    if (this.#bytes >= MAX_BYTES) return;
    const time = timeText(performance.now() - this.#startMs);
    let lines = text
      .split("\n")
      .map((line) => `${time} ${line}\n`)
      .join("");
    this.#bytes += Buffer.byteLength(lines);
    if (this.#bytes >= MAX_BYTES) lines += `${time} the log is full\n`;
    try {
      writeSync(this.#fd, lines);
    } catch {
      // A full disk must not stop the machine.
    }
  }
}

/** hh:mm:ss.uuuuuu */
function timeText(ms: number): string {
  const two = (value: number) => String(Math.floor(value)).padStart(2, "0");
  const seconds = ms / 1000;
  const fraction = String(Math.floor((ms * 1000) % 1e6)).padStart(6, "0");
  return `${two(seconds / 3600)}:${two((seconds / 60) % 60)}:${two(seconds % 60)}.${fraction}`;
}

function rotate(path: string, history: number): void {
  rmSync(`${path}.${history}`, { force: true });
  for (let age = history - 1; age >= 0; age--) {
    const from = age === 0 ? path : `${path}.${age}`;
    if (existsSync(from)) renameSync(from, `${path}.${age + 1}`);
  }
}
