/**
 * The person's terminal while a machine has it: raw input with the escape key Ctrl-A, text-screen redraws, and the way back
 * to how it was on every exit path (end, signal, exception).
 */
import type { TextCells } from "../backend-api/display.ts";
import { codePage437 } from "../display/code-page-437.ts";

const ESCAPE_KEY = 0x01;

export interface TerminalKeys {
  /** What was typed, escape commands taken out. */
  onInput(bytes: Uint8Array): void;
  /** Ctrl-A X. */
  onQuit(): void;
}

export class HostTerminal {
  readonly #keys: TerminalKeys;
  readonly #isTty: boolean;
  #isAfterEscape = false;
  #hasScreen = false;
  #lastFrame: string[] = [];
  #lastCursor = "";
  #isOpen = true;

  /** Takes standard input: raw if it is a terminal, else byte by byte as it comes. */
  constructor(keys: TerminalKeys) {
    this.#keys = keys;
    this.#isTty = process.stdin.isTTY === true;
    if (this.#isTty) process.stdin.setRawMode(true);
    process.stdin.on("data", this.#onData);
    process.once("exit", this.#onExit);
  }

  /** Lets a source that is ahead of the guest wait. */
  pauseInput(): void {
    process.stdin.pause();
  }
  resumeInput(): void {
    if (this.#isOpen) process.stdin.resume();
  }

  /** Gives the terminal back. May be called twice. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    process.stdin.off("data", this.#onData);
    process.off("exit", this.#onExit);
    process.stdin.pause();
    this.#restore();
  }

  /** The screen shows the guest: messages have to wait. */
  get hasScreen(): boolean {
    return this.#hasScreen;
  }

  /** Draws the guest's text screen from the upper left corner; only lines that changed. */
  drawText(cells: TextCells | undefined): void {
    const lines = cells === undefined ? ["(graphics mode: use --display png:FILE)"] : textLines(cells);
    let output = "";
    if (!this.#hasScreen) {
      this.#hasScreen = true;
      output += "\x1b[?1049h\x1b[2J";
    }
    for (let row = 0; row < Math.max(lines.length, this.#lastFrame.length); row++) {
      const line = lines[row] ?? "";
      if (line !== this.#lastFrame[row]) output += `\x1b[${row + 1};1H${line}\x1b[0m\x1b[K`;
    }
    this.#lastFrame = lines;
    const cursor = cells?.cursor;
    const shown = cursor?.visible ? `\x1b[?25h\x1b[${cursor.row + 1};${cursor.column + 1}H` : "\x1b[?25l";
    if (output === "" && shown === this.#lastCursor) return;
    this.#lastCursor = shown;
    process.stdout.write(output + shown);
  }

  readonly #onData = (bytes: Buffer): void => {
    if (!this.#isTty) {
      this.#keys.onInput(new Uint8Array(bytes));
      return;
    }
    const typed: number[] = [];
    for (const byte of bytes) {
      if (this.#isAfterEscape) {
        this.#isAfterEscape = false;
        if (byte === 0x78 || byte === 0x58) {
          this.#keys.onQuit();
          return;
        }
        if (byte === ESCAPE_KEY || byte === 0x61) typed.push(ESCAPE_KEY);
      } else if (byte === ESCAPE_KEY) {
        this.#isAfterEscape = true;
      } else {
        typed.push(byte);
      }
    }
    if (typed.length > 0) this.#keys.onInput(new Uint8Array(typed));
  };

  readonly #onExit = (): void => this.#restore();

  #restore(): void {
    if (this.#hasScreen) {
      this.#hasScreen = false;
      process.stdout.write("\x1b[?1049l\x1b[?25h");
    }
    if (this.#isTty) process.stdin.setRawMode(false);
  }
}

/** VGA colours in the order of ANSI's. */
const ansi = [0, 4, 2, 6, 1, 5, 3, 7] as const;

function textLines(cells: TextCells): string[] {
  const lines: string[] = [];
  for (let row = 0; row < cells.rows; row++) {
    let line = "";
    let last = -1;
    for (let column = 0; column < cells.columns; column++) {
      const at = row * cells.columns + column;
      const attribute = cells.attributes[at] & 0x7f;
      if (attribute !== last) {
        last = attribute;
        const foreground = (attribute & 8 ? 90 : 30) + ansi[attribute & 7];
        line += `\x1b[0;${foreground};${40 + ansi[(attribute >> 4) & 7]}m`;
      }
      line += codePage437[cells.characters[at]];
    }
    lines.push(line);
  }
  return lines;
}
