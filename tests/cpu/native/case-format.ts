/**
 * The native oracle: what one instruction does on the host CPU, and in the engine, from the same state.
 *
 *   runner.c           executes the bytes natively (32-bit Linux program, built on first use with gcc -m32)
 *   native-runner.ts   builds and calls it
 *   engine-runner.ts   executes the same cases in the software engine, at privilege level 3 with paging
 *   encode.ts          instruction bytes of an opcode-table row, register and memory forms
 *   values.ts          edge values for integers, single, double and packed operands
 *   compare.ts         differences between two outcomes, with masks for what is undefined
 *
 * A case is: up to 16 code bytes, eight general registers, EFLAGS, an FXSAVE image (x87 or MMX, XMM, MXCSR) and 512
 * bytes of memory at AREA, with nothing mapped behind them. An outcome is the same state afterwards and how it ended:
 * behind the instruction, at an INT3 (a branch), or with a fault. This file has the binary layout of both, shared
 * with runner.c, as views without copying.
 */

export const CODE = 0x20000800;
export const DATA_PAGE = 0x30000000;
export const AREA_BYTES = 512;
/** Linear address of the memory area; the page after it is not present. */
export const AREA = DATA_PAGE + 4096 - AREA_BYTES;
export const CASE_BYTES = 1088;
export const BATCH = 256;
/** `vector` of an instruction that ended normally. */
export const NO_VECTOR = 0xffffffff;

const GPR = 24;
const EFLAGS = 56;
const FX = 64;
const MEMORY = 576;

/** Offsets in an FXSAVE image. */
export const fx = {
  fcw: 0,
  fsw: 2,
  ftw: 4,
  fop: 6,
  fip: 8,
  fcs: 12,
  fdp: 16,
  fds: 20,
  mxcsr: 24,
  mxcsrMask: 28,
  st: 32,
  xmm: 160,
  used: 288,
} as const;

/** A growing list of cases in the runner's format. */
export class CaseList {
  #bytes = new Uint8Array(CASE_BYTES * 64);
  #view = new DataView(this.#bytes.buffer);
  length = 0;

  /** Adds a case with neutral state (zeros, FNINIT, default MXCSR, ESP in the middle of the area); answers its writer. */
  add(code: readonly number[]): CaseWriter {
    if (code.length > 15) throw new Error("code too long");
    const at = this.length * CASE_BYTES;
    if (at + CASE_BYTES > this.#bytes.length) {
      const grown = new Uint8Array(this.#bytes.length * 2);
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.length++;
    const writer = new CaseWriter(this.#bytes, this.#view, at);
    this.#view.setUint32(at, code.length, true);
    this.#bytes.set(code, at + 8);
    writer.setGpr(4, AREA + 128);
    writer.setEflags(0x202);
    writer.setFx16(fx.fcw, 0x37f);
    writer.setFx32(fx.mxcsr, 0x1f80);
    return writer;
  }

  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.length * CASE_BYTES);
  }

  case(index: number): CaseReader {
    return new CaseReader(this.#bytes, this.#view, index * CASE_BYTES);
  }
}

/** Valid until the next `add`. */
export class CaseWriter {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #at: number;
  constructor(bytes: Uint8Array, view: DataView, at: number) {
    this.#bytes = bytes;
    this.#view = view;
    this.#at = at;
  }
  setGpr(index: number, value: number): void {
    this.#view.setUint32(this.#at + GPR + index * 4, value, true);
  }
  setEflags(value: number): void {
    this.#view.setUint32(this.#at + EFLAGS, value, true);
  }
  setFx16(offset: number, value: number): void {
    this.#view.setUint16(this.#at + FX + offset, value, true);
  }
  setFx32(offset: number, value: number): void {
    this.#view.setUint32(this.#at + FX + offset, value, true);
  }
  setMxcsr(value: number): void {
    this.setFx32(fx.mxcsr, value);
  }
  setXmm(index: number, bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#at + FX + fx.xmm + index * 16);
  }
  /** MMX register `index`, with TOP 0 in the image: ST(index)'s mantissa and an exponent of ones. All registers in use. */
  setMmx(index: number, bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#at + FX + fx.st + index * 16);
    this.setFx16(fx.st + index * 16 + 8, 0xffff);
    this.setFx16(fx.ftw, 0xff);
  }
  /** ST(index): ten bytes. */
  setSt(index: number, bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#at + FX + fx.st + index * 16);
  }
  setMemory(offset: number, bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#at + MEMORY + offset);
  }
}

export class CaseReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #at: number;
  constructor(bytes: Uint8Array, view: DataView, at: number) {
    this.#bytes = bytes;
    this.#view = view;
    this.#at = at;
  }
  get code(): Uint8Array {
    return this.#bytes.subarray(this.#at + 8, this.#at + 8 + this.#view.getUint32(this.#at, true));
  }
  gpr(index: number): number {
    return this.#view.getUint32(this.#at + GPR + index * 4, true);
  }
  get eflags(): number {
    return this.#view.getUint32(this.#at + EFLAGS, true);
  }
  get mxcsr(): number {
    return this.#view.getUint32(this.#at + FX + fx.mxcsr, true);
  }
  get fx(): Uint8Array {
    return this.#bytes.subarray(this.#at + FX, this.#at + FX + 512);
  }
  get memory(): Uint8Array {
    return this.#bytes.subarray(this.#at + MEMORY, this.#at + MEMORY + AREA_BYTES);
  }
}

/** Outcomes of a list, in its order; read only through these accessors. */
export class Outcomes {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  static empty(count: number): Outcomes {
    return new Outcomes(new Uint8Array(count * CASE_BYTES));
  }
  #get(index: number, offset: number): number {
    return this.#view.getUint32(index * CASE_BYTES + offset, true);
  }
  #set(index: number, offset: number, value: number): void {
    this.#view.setUint32(index * CASE_BYTES + offset, value, true);
  }
  vector(index: number): number {
    return this.#get(index, 0);
  }
  error(index: number): number {
    return this.#get(index, 4);
  }
  cr2(index: number): number {
    return this.#get(index, 8);
  }
  /** Relative to CODE. */
  eip(index: number): number {
    return this.#get(index, 12) | 0;
  }
  gpr(index: number, register: number): number {
    return this.#get(index, 16 + register * 4);
  }
  eflags(index: number): number {
    return this.#get(index, 48);
  }
  fx(index: number): Uint8Array {
    return this.bytes.subarray(index * CASE_BYTES + FX, index * CASE_BYTES + FX + 512);
  }
  memory(index: number): Uint8Array {
    return this.bytes.subarray(index * CASE_BYTES + MEMORY, index * CASE_BYTES + MEMORY + AREA_BYTES);
  }
  setEnd(index: number, vector: number, error: number, cr2: number, eip: number): void {
    this.#set(index, 0, vector);
    this.#set(index, 4, error);
    this.#set(index, 8, cr2);
    this.#set(index, 12, eip);
  }
  setGpr(index: number, register: number, value: number): void {
    this.#set(index, 16 + register * 4, value);
  }
  setEflags(index: number, value: number): void {
    this.#set(index, 48, value);
  }
}
