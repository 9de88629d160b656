/**
 * Random programs for an engine by itself: blocks in loops, calls, jumps over an instruction, instructions of nearly every row of
 * the table with operands in registers and in memory (over page ends, into pages that are read-only or not there, by segments with bases),
 * strings, stores into the program's own code through two mappings, 16-bit code, changes of the stack by INT. A fault goes on at the next block.
 */
import { integerRows } from "../../../src/cpu/table/integer.ts";
import { mmxRows } from "../../../src/cpu/table/mmx.ts";
import type { Row } from "../../../src/cpu/table/row.ts";
import { sseRows } from "../../../src/cpu/table/sse.ts";
import { x87Rows } from "../../../src/cpu/table/x87.ts";
import { x87ControlRows } from "../../../src/cpu/table/x87-control.ts";
import { encode, formsOf } from "../native/encode.ts";
import { pick, type Random } from "../native/instruction-forms.ts";
import { createRandom, integer } from "../native/values.ts";

/** Linear addresses; random-machine.ts maps them. */
export const CODE = 0x400000;
export const CODE_PAGES = 8;
/** The same frames once more, to write to. */
export const CODE_ALIAS = 0x410000;
/** Pages 0, 1, 4 plain, 2 read-only, 3 not there, 5 the frame of page 0 again. */
export const DATA = 0x420000;
export const STACK = 0x430000;
export const STACK_PAGES = 2;
/** What fault handlers use: hash, count, where to go on; then the counters of loops and a table of functions. */
export const SYSTEM = 0x440000;
export const HASH = SYSTEM;
export const COUNT = SYSTEM + 4;
export const RESUME = SYSTEM + 8;
export const COUNTERS = SYSTEM + 0x100;
export const FUNCTIONS = SYSTEM + 0x200;
/** FS begins here and is short, GS begins in the next page and has no end. */
export const FS_BASE = DATA + 0x800;
export const FS_LIMIT = 0x11ff;
export const GS_BASE = DATA + 0x1000;
/** Its base is that of the program's last page. */
export const CODE16_SELECTOR = 0x40;
export const CODE16 = CODE + (CODE_PAGES - 1) * 4096;
export const END_VECTOR = 0x81;
export const CALL_VECTOR = 0x80;

export interface RandomProgram {
  readonly seed: number;
  readonly isUser: boolean;
  readonly code: Uint8Array;
  readonly code16: Uint8Array;
  /** What is not zero in SYSTEM at the beginning: offsets and values. */
  readonly system: readonly (readonly [offset: number, value: number])[];
  readonly registers: readonly number[];
  readonly data: Uint8Array;
  /** Offsets in `code` of immediates that may change without changing what instructions there are. */
  readonly patches: readonly number[];
}

const ESP = 4;
const SKIPPED =
  /^(j|call|ret|int|iret|hlt|in$|ins|out|leave|enter|popf|pushf|loop|bound|lds|les|lss|lfs|lgs|mov.*seg|cli|sti|ud|fwait|cpuid|rdtsc|sldt|str|verr|verw|lar|lsl|arpl|movs|stos|lods|scas|cmps|xlat|maskmov|salc)/;
const rows: readonly Row[] = [...integerRows, ...mmxRows, ...sseRows, ...x87Rows, ...x87ControlRows].filter(
  (row) =>
    !SKIPPED.test(row.mnemonic) && !row.operands.some((code) => /^(ES|CS|SS|DS|FS|GS|DX|A.|S.|O.|EwS)$/.test(code)),
);
const integers = rows.filter((row) => integerRows.includes(row));
const vectors = rows.filter((row) => mmxRows.includes(row) || sseRows.includes(row));
const floats = rows.filter((row) => x87Rows.includes(row) || x87ControlRows.includes(row));

const le32 = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);

class Generator {
  readonly #random: Random;
  readonly #bytes: number[] = [];
  readonly #patches: number[] = [];
  /** Where the address of something later stands: offset in the code, and which block or function. */
  readonly #fixups: { at: number; target: number; isRelative: boolean }[] = [];
  readonly #labels: number[] = [];
  /** How many blocks a program has, and functions behind them. */
  readonly #blocks: number;
  readonly #functions = 3;
  readonly #system: [number, number][] = [];
  readonly #has16: boolean;
  readonly #isUser: boolean;

  constructor(random: Random) {
    this.#random = random;
    this.#blocks = 4 + (random() % 8);
    this.#has16 = random() % 3 === 0;
    this.#isUser = random() % 2 === 0;
  }

  #below(count: number): number {
    return (this.#random() >>> 0) % count;
  }

  #chance(percent: number): boolean {
    return this.#below(100) < percent;
  }

  program(seed: number): RandomProgram {
    for (let block = 0; block < this.#blocks; block++) this.#block(block);
    this.#emit(0xcd, END_VECTOR);
    this.#label(this.#blocks);
    for (let n = 0; n < this.#functions; n++) {
      this.#label(this.#blocks + 1 + n);
      for (let count = this.#below(6); count >= 0; count--) this.#instruction();
      this.#emit(0xc3);
    }
    this.#labels[this.#blocks] = this.#labels[this.#blocks] - 2;
    for (const { at, target, isRelative } of this.#fixups) {
      const value = isRelative ? this.#labels[target] - (at + 4) : CODE + this.#labels[target];
      this.#bytes.splice(at, 4, ...le32(value));
    }
    for (let n = 0; n < this.#functions; n++)
      this.#system.push([FUNCTIONS - SYSTEM + n * 4, CODE + this.#labels[this.#blocks + 1 + n]]);
    this.#system.push([RESUME - SYSTEM, CODE + this.#labels[Math.min(1, this.#blocks)]]);
    const data = new Uint8Array(5 * 4096).map(() => this.#random());
    const registers = Array.from({ length: 8 }, () => integer(this.#random));
    return {
      seed,
      isUser: this.#isUser,
      code: Uint8Array.from(this.#bytes),
      code16: Uint8Array.from(this.#code16()),
      system: this.#system,
      registers,
      data,
      patches: this.#patches,
    };
  }

  #emit(...bytes: readonly number[]): void {
    this.#bytes.push(...bytes);
  }

  #label(number: number): void {
    this.#labels[number] = this.#bytes.length;
  }

  /** Four bytes that name a block or function. */
  #target(target: number, isRelative: boolean): void {
    this.#fixups.push({ at: this.#bytes.length, target, isRelative });
    this.#emit(0, 0, 0, 0);
  }

  #block(block: number): void {
    // Now and then a block begins close to a page's end.
    if (this.#chance(25))
      while ((this.#bytes.length & 4095) < 4096 - 40 && this.#bytes.length < 4096 * 3) this.#emit(0x90);
    this.#label(block);
    // mov dword [RESUME], the next block
    this.#emit(0xc7, 0x05, ...le32(RESUME));
    this.#target(block + 1, false);
    for (let count = 3 + this.#below(10); count > 0; count--) this.#instruction();
    if (this.#chance(40)) this.#call();
    if (this.#chance(60)) {
      // dec dword [counter]; jns back
      const counter = COUNTERS + block * 4;
      this.#system.push([counter - SYSTEM, 2 + this.#below(14)]);
      this.#emit(0xff, 0x0d, ...le32(counter), 0x0f, 0x89);
      this.#target(this.#below(block + 1), true);
    }
  }

  #call(): void {
    const n = this.#below(this.#functions);
    switch (this.#below(this.#has16 ? 4 : 3)) {
      case 0:
        this.#emit(0xe8);
        this.#target(this.#blocks + 1 + n, true);
        return;
      case 1:
        this.#emit(0xff, 0x15, ...le32(FUNCTIONS + n * 4));
        return;
      case 2:
        this.#emit(0xcd, CALL_VECTOR);
        return;
      default:
        this.#emit(0x9a, 0, 0, 0, 0, CODE16_SELECTOR | (this.#isUser ? 3 : 0), 0);
    }
  }

  #instruction(): void {
    const kind = this.#below(100);
    if (kind < 8) this.#patch();
    else if (kind < 16) this.#string();
    else if (kind < 22) {
      // A patch point: mov r32, imm32
      const register = this.#register();
      this.#emit(0xb8 + register);
      this.#patches.push(this.#bytes.length);
      this.#emit(...le32(integer(this.#random)));
    } else if (kind < 28) {
      // Over the next instruction.
      this.#emit(0x70 + this.#below(16), 0);
      const at = this.#bytes.length;
      this.#plain();
      this.#bytes[at - 1] = this.#bytes.length - at;
    } else this.#plain();
  }

  /** Not ESP. */
  #register(): number {
    const register = this.#below(7);
    return register >= ESP ? register + 1 : register;
  }

  #plain(): void {
    const kind = this.#below(100);
    const row = pick(this.#random, kind < 60 ? integers : kind < 80 ? vectors : floats);
    const { layout, forms } = formsOf(row);
    const isMemory = pick(this.#random, forms) === "m";
    const isWidth16 = layout.hasWidth && this.#chance(20) && !/^(NP|66|F2|F3) /.test(row.opcode);
    const isByte = row.operands.some((code) => /b$/.test(code));
    // Low halves of ESP are left alone too: byte register 4 is AH.
    const reg = isByte ? this.#below(8) : this.#register();
    const rm = isByte ? this.#below(8) : this.#register();
    if (!isByte && /Z/.test(row.operands.join()) && reg === ESP) return;
    const immediate = integer(this.#random);
    const options = { isWidth16, isMemory, reg, rm, immediate };
    const address = this.#address();
    const bytes = encode(row, { ...options, address });
    if (!isMemory) {
      this.#emit(...bytes);
      return;
    }
    // The displacement stands where two encodings differ.
    const other = encode(row, { ...options, address: address ^ -1 });
    const at = bytes.findIndex((byte, n) => byte !== other[n]);
    if (at < 1) {
      this.#emit(...bytes);
      return;
    }
    this.#memoryForm(bytes, at, address);
  }

  /** modrm with [disp32] becomes another form for the same address, or stays. */
  #memoryForm(bytes: number[], at: number, address: number): void {
    const modrm = bytes[at - 1];
    const head = bytes.slice(0, at - 1);
    const tail = bytes.slice(at + 4);
    const base = this.#register();
    switch (this.#below(5)) {
      case 0: {
        // [base + disp8], base loaded in front
        const displacement = this.#below(256);
        this.#emit(0xb8 + base, ...le32(address - ((displacement << 24) >> 24)));
        this.#emit(...head, (modrm & 0x38) | 0x40 | base, displacement, ...tail);
        return;
      }
      case 1: {
        // [base + index * scale + disp32]
        const index = this.#register();
        const scale = this.#below(4);
        if (index === base) break;
        const value = this.#below(0x400) - 0x200;
        const displacement = this.#below(0x1000);
        this.#emit(0xb8 + index, ...le32(value));
        this.#emit(0xb8 + base, ...le32(address - (value << scale) - displacement));
        this.#emit(...head, (modrm & 0x38) | 0x84, (scale << 6) | (index << 3) | base, ...le32(displacement), ...tail);
        return;
      }
      case 2: {
        // FS or GS, within the segment or not
        const isFs = this.#chance(50);
        const offset = address - (isFs ? FS_BASE : GS_BASE);
        this.#emit(isFs ? 0x64 : 0x65, ...head, modrm, ...le32(offset), ...tail);
        return;
      }
      case 3:
        // Another override: SS, DS, ES, CS (which may not be written).
        this.#emit([0x36, 0x3e, 0x26, 0x2e][this.#below(4)], ...bytes);
        return;
    }
    this.#emit(...bytes);
  }

  /** Of data: often at a page's end, seldom where it faults. */
  #address(): number {
    const page = this.#chance(6) ? 2 + this.#below(2) : [0, 1, 4, 5][this.#below(4)];
    const offset = this.#chance(20) ? 4096 - this.#below(18) : this.#below(4096);
    return DATA + page * 4096 + (this.#chance(60) ? offset & ~15 : offset);
  }

  /** A store into the program: immediates of what has been made so far, through either mapping. */
  #patch(): void {
    if (this.#patches.length === 0) return;
    const at = this.#patches[this.#below(this.#patches.length)];
    const address = (this.#chance(50) ? CODE : CODE_ALIAS) + at;
    switch (this.#below(3)) {
      case 0:
        this.#emit(0xc7, 0x05, ...le32(address), ...le32(integer(this.#random)));
        return;
      case 1:
        this.#emit(0x89, 0x05 | (this.#register() << 3), ...le32(address));
        return;
      default:
        this.#emit(0x80, 0x35, ...le32(address + this.#below(4)), this.#below(256));
    }
  }

  #string(): void {
    const [esi, edi] = [this.#address(), this.#address()];
    this.#emit(0xb9, ...le32(this.#chance(85) ? this.#below(40) : this.#below(3000)));
    this.#emit(0xbe, ...le32(esi), 0xbf, ...le32(edi));
    if (this.#chance(20)) this.#emit(this.#chance(50) ? 0xfd : 0xfc);
    if (this.#chance(80)) this.#emit(this.#chance(70) ? 0xf3 : 0xf2);
    if (this.#chance(20)) this.#emit(0x66);
    this.#emit([0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf][this.#below(10)]);
    if (this.#chance(50)) this.#emit(0xfc);
  }

  /** Registers only, in 16-bit code, back by RETF of a 32-bit address. */
  #code16(): number[] {
    const bytes: number[] = [];
    for (let count = 1 + this.#below(8); count > 0; count--) {
      const row = pick(this.#random, integers);
      const { forms } = formsOf(row);
      const isByte = row.operands.some((code) => /b$/.test(code));
      if (!forms.includes("r") || isByte || !row.operands.every((code) => /^[EG]v$/.test(code))) continue;
      bytes.push(...encode(row, { reg: this.#register(), rm: this.#register() }));
    }
    return [...bytes, 0x66, 0xcb];
  }
}

export function randomProgram(seed: number): RandomProgram {
  return new Generator(createRandom(seed)).program(seed);
}
