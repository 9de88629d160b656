/** Progress on stderr, as VirtualBox draws it: `0%...10%...` up to `100%`, or the code of what went wrong. */
import { ResultError } from "../config/result-codes.ts";
import { isCancellation } from "./cancel.ts";
import type { Terminal } from "./command.ts";

export class Progress {
  private readonly terminal: Terminal;
  private readonly description: string;
  private readonly startedMs = Date.now();
  private shown = -1;

  constructor(terminal: Terminal, description: string) {
    this.terminal = terminal;
    this.description = description;
  }

  /** `fraction` from 0 to 1; steps are drawn as they pass. */
  report(fraction: number): void {
    const percent = Math.max(0, Math.min(100, Math.floor(fraction * 100)));
    if (this.terminal.isDetailedProgress) {
      if (percent === this.shown) return;
      const elapsedS = (Date.now() - this.startedMs) / 1000;
      const leftS = percent > 0 ? Math.round((elapsedS * (100 - percent)) / percent) : 0;
      this.terminal.err(`(1/1) ${this.description} ${pad(percent)}% => ${pad(percent)}% (${leftS} s remaining)\n`);
      this.shown = percent;
      return;
    }
    for (let step = Math.max(0, Math.floor(this.shown / 10) + 1); step * 10 <= percent; step++) {
      this.terminal.err(step === 10 ? "100%\n" : `${step * 10}%...`);
      this.shown = step * 10;
    }
  }

  fail(error: unknown): void {
    if (this.terminal.isDetailedProgress || this.shown === 100) return;
    const end = error instanceof ResultError ? error.code : "NS_ERROR_FAILURE";
    this.terminal.err(`${isCancellation(error) ? "CANCELED" : end}\n`);
  }
}

/** Runs `work` behind a progress bar that starts at 0 and ends at 100 or with the error's code. */
export async function withProgress<T>(
  terminal: Terminal,
  description: string,
  work: (report: (fraction: number) => void) => T | Promise<T>,
): Promise<T> {
  const progress = new Progress(terminal, description);
  progress.report(0);
  try {
    const result = await work((fraction) => progress.report(Math.min(fraction, 0.99)));
    progress.report(1);
    return result;
  } catch (error) {
    progress.fail(error);
    throw error;
  }
}

function pad(percent: number): string {
  return String(percent).padStart(2, "0");
}
