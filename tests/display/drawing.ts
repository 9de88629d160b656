/**
 * The drawing language of pictures.asm, written from TypeScript: a picture is a list of steps (mode sets, register writes,
 * memory fills) that the boot disk carries out on whatever machine it runs.
 */

export interface Registers {
  readonly ax?: number;
  readonly bx?: number;
  readonly cx?: number;
  readonly dx?: number;
  readonly es?: number;
  readonly bp?: number;
}

/** What a fill writes: pseudo-random elements, or the sums of a constant, bits 16–31 lowest. */
export interface Pattern {
  readonly sizeBytes?: 1 | 2 | 4;
  readonly seed?: number;
  /** Added for each element; random without. */
  readonly step?: number;
  /** Reads each element before it is written, which fills the latches. */
  readonly readsFirst?: boolean;
}

/** Where a script may put data of its own: above the program, below the video memory. */
const DATA_SEGMENT = 0x8800;

export class Drawing {
  readonly bytes: number[] = [];

  #word(...values: number[]): void {
    for (const value of values) this.bytes.push(value & 0xff, (value >> 8) & 0xff);
  }
  #dword(...values: number[]): void {
    for (const value of values) this.#word(value & 0xffff, value >>> 16);
  }
  #pattern({ sizeBytes = 1, seed = 1, step, readsFirst = false }: Pattern): void {
    this.bytes.push(sizeBytes, (step === undefined ? 0 : 1) | (readsFirst ? 0x80 : 0));
    this.#dword(seed, step ?? 0);
  }

  int10({ ax = 0, bx = 0, cx = 0, dx = 0, es = 0, bp = 0 }: Registers): void {
    this.bytes.push(1);
    this.#word(ax, bx, cx, dx, es, bp);
  }
  out(port: number, value: number): void {
    this.bytes.push(2);
    this.#word(port);
    this.bytes.push(value & 0xff);
  }
  out16(port: number, value: number): void {
    this.bytes.push(3);
    this.#word(port, value);
  }
  in(port: number): void {
    this.bytes.push(4);
    this.#word(port);
  }
  load(address: number, bytes: ArrayLike<number>): void {
    this.bytes.push(5);
    this.#dword(address, bytes.length);
    for (let i = 0; i < bytes.length; i++) this.bytes.push(bytes[i]);
  }
  fill(address: number, count: number, pattern: Pattern): void {
    this.bytes.push(6);
    this.#pattern(pattern);
    this.#dword(address, count);
  }
  /** Bytes, one after the other, by the processor's string move. */
  copy(target: number, source: number, count: number): void {
    this.bytes.push(7);
    this.#dword(target, source, count);
  }
  /** Sets the first VBE mode of this size and depth, else DISPI's registers, and fills the screen. */
  vbe(width: number, height: number, bits: number, how: "linear" | "banked" | "registers", pattern: Pattern): void {
    this.bytes.push(8);
    this.#word(width, height);
    this.bytes.push(bits, { banked: 0, linear: 1, registers: 2 }[how]);
    this.#pattern(pattern);
  }
  bank(bank: number): void {
    this.bytes.push(10);
    this.#word(bank);
  }

  // --- composed ------------------------------------------------------------------------------------------------

  /** Sets a mode, from colour registers: QEMU's BIOS looks for the attribute flip-flop at 3DAh even in monochrome modes. */
  mode(number: number): void {
    this.out(0x3c2, 0x67);
    this.in(0x3da);
    this.int10({ ax: number });
  }
  sequencer(index: number, value: number): void {
    this.out16(0x3c4, (value << 8) | index);
  }
  graphics(index: number, value: number): void {
    this.out16(0x3ce, (value << 8) | index);
  }
  crtc(index: number, value: number, port = 0x3d4): void {
    this.out16(port, (value << 8) | index);
  }
  attribute(index: number, value: number, crtcPort = 0x3d4): void {
    this.in(crtcPort + 6);
    this.out(0x3c0, index);
    this.out(0x3c0, value);
    this.out(0x3c0, 0x20);
  }
  dac(first: number, colors: readonly number[]): void {
    this.out(0x3c8, first);
    for (const color of colors) this.out(0x3c9, color);
  }
  dispi(index: number, value: number): void {
    this.out16(0x1ce, index);
    this.out16(0x1cf, value);
  }
  /** Loads a font through INT 10h 1100h (`block`) without changing the number of lines. */
  font(heightLines: number, glyphs: ArrayLike<number>, block = 0): void {
    this.load(DATA_SEGMENT * 16, glyphs);
    this.int10({ ax: 0x1100, bx: (heightLines << 8) | block, cx: glyphs.length / heightLines, es: DATA_SEGMENT });
  }
}

/** The script of several pictures, each followed by a pause. */
export function script(drawings: readonly Drawing[]): Uint8Array {
  return Uint8Array.from([...drawings.flatMap((drawing) => [...drawing.bytes, 0]), 9]);
}
