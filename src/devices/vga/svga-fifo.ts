/**
 * The command queue of the SVGA II adapter: words in memory that guest and device share, between MIN and MAX, the guest's place
 * NEXT_CMD, ours STOP. All of it is the guest's to write at any time, so every word is read once and judged.
 */
import * as S from "./svga-registers.ts";

/** What commands do. */
export interface SvgaCommands {
  /** Copies a rectangle on the screen. Returns the bytes moved. */
  copy(fromX: number, fromY: number, toX: number, toY: number, width: number, height: number): number;
  /** A pointer of 32-bit premultiplied ARGB pixels. */
  alphaCursor(hotX: number, hotY: number, width: number, height: number, pixels: Uint32Array): void;
  /** One of masks: where AND is 1 the screen shows through, with XOR in its place else. Rows are whole words. */
  cursor(shape: MaskCursor): void;
  fence(value: number): void;
}

export interface MaskCursor {
  readonly hotX: number;
  readonly hotY: number;
  readonly width: number;
  readonly height: number;
  readonly andDepth: number;
  readonly xorDepth: number;
  readonly and: Uint32Array;
  readonly xor: Uint32Array;
}

/** Bytes that are moved, and commands carried out, before the guest has its turn again. */
const COPY_BUDGET = 64 << 20;
const COMMAND_BUDGET = 4096;

export class SvgaFifo {
  readonly #words: Uint32Array;
  readonly #commands: SvgaCommands;
  /** Where the command being read begins and how far it was read, in words of the queue. */
  #first = 0;
  #wordsInQueue = 0;
  #position = 0;
  #available = 0;

  constructor(words: Uint32Array, commands: SvgaCommands) {
    this.#words = words;
    this.#commands = commands;
  }

  /** Carries out what is there. True: all of it. */
  run(): boolean {
    const words = this.#words;
    const [min, max, next, stop] = [S.FIFO_MIN, S.FIFO_MAX, S.FIFO_NEXT_CMD, S.FIFO_STOP].map((i) => words[i]);
    const bytes = words.length * 4;
    const isWord = ((min | max | next | stop) & 3) === 0;
    if (!isWord || min < 16 || max <= min || max > bytes || next < min || next >= max || stop < min || stop >= max)
      return true;
    this.#first = min >> 2;
    this.#wordsInQueue = (max - min) >> 2;
    this.#position = (stop - min) >> 2;
    this.#available = ((next - stop) >> 2) + (next < stop ? this.#wordsInQueue : 0);
    let bytesLeft = COPY_BUDGET;
    for (let left = COMMAND_BUDGET; left > 0 && bytesLeft > 0 && this.#available > 0; left--) {
      const { moved, isWhole } = this.#one();
      // A command that is not all there yet waits for its rest.
      if (!isWhole) break;
      bytesLeft -= moved;
      words[S.FIFO_STOP] = min + this.#position * 4;
    }
    return this.#available === 0 || (bytesLeft > 0 && words[S.FIFO_STOP] === stop);
  }

  #peek(index: number): number {
    return this.#words[this.#first + ((this.#position + index) % this.#wordsInQueue)];
  }
  #skip(count: number): void {
    this.#position = (this.#position + count) % this.#wordsInQueue;
    this.#available -= count;
  }
  #take(start: number, count: number): Uint32Array {
    const taken = new Uint32Array(count);
    for (let i = 0; i < count; i++) taken[i] = this.#peek(start + i);
    return taken;
  }

  #one(): { moved: number; isWhole: boolean } {
    const command = this.#peek(0);
    const length = this.#lengthOf(command);
    if (length < 0) return { moved: 0, isWhole: false };
    if (length === 0 || length > this.#wordsInQueue) {
      // Nobody knows where the next one begins.
      this.#skip(this.#available);
      return { moved: 0, isWhole: true };
    }
    if (length > this.#available) return { moved: 0, isWhole: false };
    let moved = 0;
    switch (command) {
      case S.CMD_RECT_COPY: {
        const [fromX, fromY, toX, toY, width, height] = this.#take(1, 6);
        moved = this.#commands.copy(fromX, fromY, toX, toY, width, height);
        break;
      }
      case S.CMD_DEFINE_CURSOR: {
        const [, hotX, hotY, width, height, andDepth, xorDepth] = this.#take(1, 7);
        const andWords = maskWords(width, height, andDepth);
        const and = this.#take(8, andWords);
        const xor = this.#take(8 + andWords, length - 8 - andWords);
        this.#commands.cursor({ hotX, hotY, width, height, andDepth, xorDepth, and, xor });
        break;
      }
      case S.CMD_DEFINE_ALPHA_CURSOR: {
        const [, hotX, hotY, width, height] = this.#take(1, 5);
        this.#commands.alphaCursor(hotX, hotY, width, height, this.#take(6, width * height));
        break;
      }
      case S.CMD_FENCE:
        this.#commands.fence(this.#peek(1));
        break;
    }
    this.#skip(length);
    return { moved, isWhole: true };
  }

  /** In words, the command's own included; 0: it makes no sense, -1: it cannot be told yet. */
  #lengthOf(command: number): number {
    const fits = (width: number, height: number) => width <= S.CURSOR_MAX_PIXELS && height <= S.CURSOR_MAX_PIXELS;
    switch (command) {
      case S.CMD_UPDATE:
        return 5;
      case S.CMD_UPDATE_VERBOSE:
        return 6;
      case S.CMD_RECT_COPY:
        return 7;
      case S.CMD_FENCE:
        return 2;
      case S.CMD_ESCAPE:
        return this.#available < 3 ? -1 : 3 + (((this.#peek(2) + 3) >>> 2) & 0x3fff_ffff);
      case S.CMD_DEFINE_CURSOR: {
        if (this.#available < 8) return -1;
        const [width, height, andDepth, xorDepth] = this.#take(4, 4);
        if (!fits(width, height) || andDepth > 32 || xorDepth > 32) return 0;
        return 8 + maskWords(width, height, andDepth) + maskWords(width, height, xorDepth);
      }
      case S.CMD_DEFINE_ALPHA_CURSOR: {
        if (this.#available < 6) return -1;
        const [width, height] = this.#take(4, 2);
        return fits(width, height) ? 6 + width * height : 0;
      }
      default:
        if (command < S.CMD_3D_FIRST || command > S.CMD_3D_LAST) return 0;
        return this.#available < 2 ? -1 : 2 + (((this.#peek(1) + 3) >>> 2) & 0x3fff_ffff);
    }
  }
}

/** Rows of `depth` bits a pixel are whole words. */
export function maskWords(width: number, height: number, depth: number): number {
  return ((width * depth + 31) >>> 5) * height;
}
