/**
 * Runs segmented cases in the software engine: PAE paging with NX as the host has it, level 3, a GDT whose visible entries
 * are Linux' and the cases' LDT. Every vector leads to a HLT of its own at level 0, where the state is read; the
 * interrupted program's EIP, CS, EFLAGS, ESP and SS are on the level-0 stack.
 */
import { createEngine } from "../../../src/cpu/create.ts";
import type { EngineTuning, SoftwareEngine } from "../../../src/cpu/engine.ts";
import * as L from "../../../src/cpu/layout.ts";
import { deriveAll } from "../../../src/cpu/state.ts";
import type { Row } from "../../../src/cpu/table/row.ts";
import { opcodeTable } from "../../../src/cpu/table/table.ts";
import type { CpuBus } from "../../../src/device-api/virtual-cpu.ts";
import {
  BACKGROUND,
  CODE_BYTES,
  CODE_WINDOW,
  CS_FLAT,
  DATA_BYTES,
  DATA_PAGES,
  DS_FLAT,
  descriptorOf,
  entryOf,
  LDT,
  LDT_LIMIT,
  outcome,
  READ_ONLY_PAGE,
  type SegmentedCaseReader,
  type SegmentedCases,
  SegmentedOutcomes,
} from "./segmented-case.ts";

const RAM_BYTES = 1 << 20;
/** The system's own structures, physical; linear addresses are SYSTEM above. */
const GDT = 0x1000;
const IDT = 0x2000;
const TSS = 0x3000;
const HANDLERS = 0x4000;
const LDT_TABLE = 0x5000;
const STACK_TOP = 0x7000;
const POINTERS = 0x8000;
const DIRECTORY = 0x9000;
const TABLES = 0xa000;
const CODE_FRAMES = 0x20000;
const DATA_FRAMES = 0x40000;
const READ_ONLY_FRAME = 0x48000;
const SYSTEM = 0xf8000000;

const CODE0 = 0x10;
const DATA0 = 0x18;
const TSS_SELECTOR = 0x40;
const LDT_SELECTOR = 0x50;
const GDT_LIMIT = 0x7f;

/** PE MP ET NE WP AM PG; PAE OSFXSR OSXMMEXCPT; NXE. */
const CR0 = 0x80050033 | 0;
const CR4 = 0x620;
const EFER = 0x800;
const NX = 0x80000000;
const WITH_ERROR_CODE = new Set([8, 10, 11, 12, 13, 14, 17]);

const bus: CpuBus = {
  readPort: () => 0,
  writePort: () => {},
  readPortBulk: () => 0,
  writePortBulk: () => 0,
  readMmio: () => 0,
  writeMmio: () => {},
  acknowledgeInterrupt: () => 0,
  readTsc: () => 0x123456789a,
};

export class SegmentedEngine {
  readonly engine: SoftwareEngine;
  readonly #view: DataView;
  readonly #u8: Uint8Array;
  readonly #data: Uint8Array;
  readonly #words: Int32Array;
  readonly #background = new Int32Array(BACKGROUND.buffer, 0, DATA_BYTES / 4);

  private constructor(engine: SoftwareEngine) {
    this.engine = engine;
    this.#u8 = engine.state.u8;
    this.#view = engine.state.view;
    const at = L.RAM + DATA_FRAMES;
    this.#data = this.#u8.subarray(at, at + DATA_BYTES);
    this.#words = engine.state.i32.subarray(at >> 2, (at + DATA_BYTES) >> 2);
  }

  static async create(tuning: EngineTuning = {}, rows: readonly Row[] = opcodeTable): Promise<SegmentedEngine> {
    const pages = L.memoryPages(RAM_BYTES, 0);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    const engine = await createEngine({ memory, bus, features: { pae: true, nx: true } }, tuning, rows);
    engine.physicalMap.map(0, RAM_BYTES, L.RAM, true);
    const runner = new SegmentedEngine(engine);
    runner.#makeTables();
    runner.#enterProtectedMode();
    return runner;
  }

  #poke32(gpa: number, value: number): void {
    this.#view.setUint32(L.RAM + gpa, value >>> 0, true);
  }
  #peek32(gpa: number): number {
    return this.#view.getUint32(L.RAM + gpa, true);
  }

  #makeTables(): void {
    const descriptor = (at: number, low: number, high: number) => {
      this.#poke32(at, low);
      this.#poke32(at + 4, high);
    };
    const flat = (selector: number, high: number) => descriptor(GDT + (selector & ~7), 0x0000ffff, high);
    flat(0x08, 0x00cf9b00);
    flat(CODE0, 0x00cf9b00);
    flat(DATA0, 0x00cf9300);
    flat(CS_FLAT, 0x00cffb00);
    flat(DS_FLAT, 0x00cff300);
    // The host's 64-bit code segment: for 32-bit programs a readable segment like others.
    flat(0x30, 0x00affb00);
    const system = (selector: number, linear: number, limit: number, type: number) =>
      descriptor(
        GDT + selector,
        (limit & 0xffff) | (linear << 16),
        ((linear >>> 16) & 0xff) | (type << 8) | (linear & 0xff000000),
      );
    system(TSS_SELECTOR, SYSTEM + TSS, 0x67, 0x8b);
    system(LDT_SELECTOR, SYSTEM + LDT_TABLE, LDT_LIMIT, 0x82);
    LDT.forEach((item, n) => {
      const [low, high] = descriptorOf(item);
      descriptor(LDT_TABLE + n * 8, low, high);
    });
    this.#poke32(TSS + 4, SYSTEM + STACK_TOP);
    this.#poke32(TSS + 8, DATA0);
    // The I/O permission map lies outside: no ports at level 3.
    this.#poke32(TSS + 0x64, 0x68 << 16);
    for (let vector = 0; vector < 32; vector++) {
      const handler = SYSTEM + HANDLERS + vector * 16;
      this.#poke32(IDT + vector * 8, (handler & 0xffff) | (CODE0 << 16));
      // INT3 and INTO may come from level 3.
      this.#poke32(IDT + vector * 8 + 4, (handler & 0xffff0000) | (vector === 3 || vector === 4 ? 0xee00 : 0x8e00));
      this.#u8[L.RAM + HANDLERS + vector * 16] = 0xf4;
    }
    for (let n = 0; n < 4; n++) this.#poke32(POINTERS + n * 8, (DIRECTORY + n * 0x1000) | 1);
    // Four page directories, then page tables as they are needed.
    let nextTable = TABLES + 0x4000;
    const page = (linear: number, gpa: number, flags: number, high: number) => {
      const entry = DIRECTORY + (linear >>> 30) * 0x1000 + ((linear >>> 21) & 511) * 8;
      if (this.#peek32(entry) === 0) {
        this.#poke32(entry, nextTable | 7);
        nextTable += 0x1000;
      }
      const at = (this.#peek32(entry) & ~0xfff) + ((linear >>> 12) & 511) * 8;
      this.#poke32(at, gpa | flags);
      this.#poke32(at + 4, high);
    };
    for (let n = 0; n < 16; n++) page(SYSTEM + n * 4096, n * 4096, 3, 0);
    for (let n = 0; n < CODE_BYTES / 4096; n++) page(CODE_WINDOW + n * 4096, CODE_FRAMES + n * 4096, 5, 0);
    DATA_PAGES.forEach((linear, n) => {
      page(linear, DATA_FRAMES + n * 4096, 7, NX);
    });
    page(READ_ONLY_PAGE, READ_ONLY_FRAME, 5, NX);
    this.#u8.fill(0xcc, L.RAM + CODE_FRAMES, L.RAM + CODE_FRAMES + CODE_BYTES);
    this.#data.set(BACKGROUND.subarray(0, DATA_BYTES));
    this.#u8.set(BACKGROUND.subarray(DATA_BYTES), L.RAM + READ_ONLY_FRAME);
  }

  #enterProtectedMode(): void {
    const { engine } = this;
    const { state } = engine;
    state.efer = EFER;
    engine.setRegister("cr4", CR4);
    engine.setRegister("cr3", POINTERS);
    engine.setRegister("cr0", CR0);
    state.i32[L.GDTR_BASE >> 2] = SYSTEM + GDT;
    state.i32[L.GDTR_LIMIT >> 2] = GDT_LIMIT;
    state.i32[L.IDTR_BASE >> 2] = SYSTEM + IDT;
    state.i32[L.IDTR_LIMIT >> 2] = 0xff;
    state.setSegment(L.SEG_TR, TSS_SELECTOR, SYSTEM + TSS, 0x67, 0x8b | L.ATTRIBUTE_USABLE);
    state.setSegment(L.SEG_LDTR, LDT_SELECTOR, SYSTEM + LDT_TABLE, LDT_LIMIT, 0x82 | L.ATTRIBUTE_USABLE);
  }

  #loadSegment(number: number, selector: number): void {
    const { state } = this.engine;
    if ((selector & ~3) === 0) {
      state.setSegment(number, selector, 0, 0, 0);
      return;
    }
    if (selector === CS_FLAT || selector === DS_FLAT) {
      const attributes = selector === CS_FLAT ? 0xc0fb : 0xc0f3;
      state.setSegment(number, selector, 0, 0xffffffff, attributes | L.ATTRIBUTE_USABLE);
      return;
    }
    const item = entryOf(selector);
    if (item === undefined || item.isAbsent) throw new Error(`case with selector ${selector.toString(16)}`);
    const [, high] = descriptorOf(item);
    const limit = item.isInPages ? item.limit * 4096 + 4095 : item.limit;
    state.setSegment(number, selector, item.base, limit >>> 0, ((high >>> 8) & 0xf0ff) | L.ATTRIBUTE_USABLE);
  }

  /** Executes all cases of the list, or every so manieth; the other outcomes stay empty. */
  run(cases: SegmentedCases, every = 1): SegmentedOutcomes {
    const outcomes = SegmentedOutcomes.empty(cases.length);
    for (let n = 0; n < cases.length; n += every) {
      const item = cases.case(n);
      this.#placeCode(item, false);
      this.#runOne(item, n, outcomes);
      this.#placeCode(item, true);
    }
    return outcomes;
  }

  #placeCode(item: SegmentedCaseReader, isRemoved: boolean): void {
    const offset = item.codeOffset;
    const { code } = item;
    const length = Math.min(code.length, CODE_BYTES - offset);
    const at = L.RAM + CODE_FRAMES + offset;
    if (isRemoved) this.#u8.fill(0xcc, at, at + length);
    else this.#u8.set(code.subarray(0, length), at);
    this.engine.invalidateCode(CODE_FRAMES + offset, length);
  }

  #runOne(item: SegmentedCaseReader, n: number, outcomes: SegmentedOutcomes): void {
    const { engine } = this;
    const { state } = engine;
    state.cpl = 3;
    state.i32[L.HALTED >> 2] = 0;
    state.i32[L.INTERRUPT_SHADOW >> 2] = 0;
    state.eflags = item.eflags;
    for (let number = 0; number < 6; number++) this.#loadSegment(number, item.segment(number));
    deriveAll(state);
    for (let register = 0; register < 8; register++) state.setReg32(register, item.gpr(register));
    state.eip = item.eip;
    item.forEachPatch((offset, bytes) => this.#data.set(bytes, offset));

    const reason = engine.run(100_000);
    if (reason !== "halt") throw new Error(`case ${n}: engine stopped with ${reason}\n${engine.describe()}`);
    const vector = (state.eip - 1 - (SYSTEM + HANDLERS)) >> 4;
    let stack = state.reg32(4) - SYSTEM;
    let error = 0;
    if (WITH_ERROR_CODE.has(vector)) {
      error = this.#peek32(stack);
      stack += 4;
    }
    outcomes.set(n, outcome.vector, vector);
    outcomes.set(n, outcome.error, error);
    outcomes.set(n, outcome.cr2, vector === 14 ? state.cr2 : 0);
    outcomes.set(n, outcome.eip, this.#peek32(stack));
    for (let register = 0; register < 8; register++)
      outcomes.set(n, outcome.gpr + register * 4, register === 4 ? this.#peek32(stack + 12) : state.reg32(register));
    outcomes.set(n, outcome.eflags, this.#peek32(stack + 8));
    for (let number = 0; number < 6; number++) outcomes.setSegment(n, number, state.segmentSelector(number));
    outcomes.setSegment(n, L.SEG_CS, this.#peek32(stack + 4) & 0xffff);
    outcomes.setSegment(n, L.SEG_SS, this.#peek32(stack + 16) & 0xffff);
    this.#noteMemory(n, outcomes);
  }

  #noteMemory(n: number, outcomes: SegmentedOutcomes): void {
    const words = this.#words;
    const before = this.#background;
    let first = 0;
    while (first < words.length && words[first] === before[first]) first++;
    if (first === words.length) {
      outcomes.setMemory(n, 0, 0, this.#data);
      return;
    }
    let end = words.length;
    while (words[end - 1] === before[end - 1]) end--;
    outcomes.setMemory(n, first * 4, end * 4, this.#data);
    this.#data.set(BACKGROUND.subarray(first * 4, end * 4), first * 4);
  }
}
