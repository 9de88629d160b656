/**
 * Runs oracle cases in the software engine: protected mode with paging, level 3, flat segments, CODE and the data page at the
 * native runner's addresses. Every vector leads to a HLT of its own at level 0; the state is read there, and the
 * interrupted EIP, EFLAGS and ESP from the level-0 stack.
 */

import { createEngine } from "../../../src/cpu/create.ts";
import type { EngineTuning, SoftwareEngine } from "../../../src/cpu/engine.ts";
import * as L from "../../../src/cpu/layout.ts";
import { deriveAll } from "../../../src/cpu/state.ts";
import type { Row } from "../../../src/cpu/table/row.ts";
import { opcodeTable } from "../../../src/cpu/table/table.ts";
import type { CpuBus } from "../../../src/device-api/virtual-cpu.ts";
import { AREA_BYTES, type CaseList, CODE, DATA_PAGE, fx, NO_VECTOR, Outcomes } from "./case-format.ts";

const RAM_BYTES = 1 << 20;
// Physical layout.
const GDT = 0x1000;
const IDT = 0x2000;
const TSS = 0x3000;
const HANDLERS = 0x4000;
const STACK_TOP = 0x6000;
const DIRECTORY = 0x8000;
const TABLE_LOW = 0x9000;
const TABLE_CODE = 0xa000;
const TABLE_DATA = 0xb000;
const CODE_FRAME = 0x10000;
const DATA_FRAME = 0x12000;

const CODE0 = 0x08;
const DATA0 = 0x10;
// As Linux has them: instructions that push selectors compare equal.
const CODE3 = 0x23;
const DATA3 = 0x2b;
const TSS_SELECTOR = 0x30;

/** PE MP ET NE WP AM PG; OSFXSR OSXMMEXCPT. */
const CR0 = 0x80050033 | 0;
const CR4 = 0x600;
const WITH_ERROR_CODE = new Set([8, 10, 11, 12, 13, 14, 17]);
const MXCSR_MASK = 0xffff;

const nothing: CpuBus = {
  readPort: () => 0,
  writePort: () => {},
  readPortBulk: () => 0,
  writePortBulk: () => 0,
  readMmio: () => 0,
  writeMmio: () => {},
  acknowledgeInterrupt: () => 0,
  readTsc: () => 0,
};

export class EngineRunner {
  readonly engine: SoftwareEngine;
  readonly #view: DataView;
  readonly #u8: Uint8Array;
  /** Written over CR4 (for tests of OSFXSR and OSXMMEXCPT) and CR0. */
  cr4 = CR4;
  cr0 = CR0;

  private constructor(engine: SoftwareEngine) {
    this.engine = engine;
    this.#u8 = engine.state.u8;
    this.#view = engine.state.view;
  }

  static async create(tuning: EngineTuning = {}, rows: readonly Row[] = opcodeTable): Promise<EngineRunner> {
    const pages = L.memoryPages(RAM_BYTES, 0);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    const engine = await createEngine({ memory, bus: nothing, features: { pae: false, nx: false } }, tuning, rows);
    engine.physicalMap.map(0, RAM_BYTES, L.RAM, true);
    const runner = new EngineRunner(engine);
    runner.#makeTables();
    return runner;
  }

  #poke32(gpa: number, value: number): void {
    this.#view.setUint32(L.RAM + gpa, value >>> 0, true);
  }
  #peek32(gpa: number): number {
    return this.#view.getUint32(L.RAM + gpa, true);
  }

  #makeTables(): void {
    const segment = (selector: number, base: number, limit: number, access: number, flags: number) => {
      const at = GDT + (selector & ~7);
      this.#poke32(at, (limit & 0xffff) | (base << 16));
      this.#poke32(at + 4, ((base >>> 16) & 0xff) | (access << 8) | (limit & 0xf0000) | (flags << 20));
    };
    segment(CODE0, 0, 0xfffff, 0x9b, 12);
    segment(DATA0, 0, 0xfffff, 0x93, 12);
    segment(CODE3, 0, 0xfffff, 0xfb, 12);
    segment(DATA3, 0, 0xfffff, 0xf3, 12);
    segment(TSS_SELECTOR, TSS, 0x67, 0x8b, 0);
    this.#poke32(TSS + 4, STACK_TOP);
    this.#poke32(TSS + 8, DATA0);
    for (let vector = 0; vector < 32; vector++) {
      const handler = HANDLERS + vector * 16;
      this.#poke32(IDT + vector * 8, (handler & 0xffff) | (CODE0 << 16));
      // INT3 and INTO may come from level 3.
      this.#poke32(IDT + vector * 8 + 4, vector === 3 || vector === 4 ? 0xee00 : 0x8e00);
      this.#u8[L.RAM + handler] = 0xf4;
    }
    this.#poke32(DIRECTORY, TABLE_LOW | 3);
    this.#poke32(DIRECTORY + (CODE >>> 22) * 4, TABLE_CODE | 7);
    this.#poke32(DIRECTORY + (DATA_PAGE >>> 22) * 4, TABLE_DATA | 7);
    for (let page = 0; page < 256; page++) this.#poke32(TABLE_LOW + page * 4, (page << 12) | 3);
    this.#poke32(TABLE_CODE + ((CODE >>> 12) & 1023) * 4, CODE_FRAME | 7);
    this.#poke32(TABLE_DATA + ((DATA_PAGE >>> 12) & 1023) * 4, DATA_FRAME | 7);
    this.#u8.fill(0xcc, L.RAM + CODE_FRAME, L.RAM + CODE_FRAME + 4096);
  }

  /** Executes all cases of the list, or every so manieth; the other outcomes stay empty. */
  run(cases: CaseList, every = 1): Outcomes {
    const outcomes = Outcomes.empty(cases.length);
    let code: Uint8Array = new Uint8Array(0);
    for (let n = 0; n < cases.length; n += every) {
      const item = cases.case(n);
      if (!isEqual(code, item.code)) {
        const at = L.RAM + CODE_FRAME + (CODE & 4095);
        this.#u8.fill(0xcc, at, at + 16);
        code = item.code;
        this.#u8.set(code, at);
        this.engine.invalidateCode(CODE_FRAME + (CODE & 4095), 16);
      }
      this.#runOne(cases, n, outcomes);
    }
    return outcomes;
  }

  #runOne(cases: CaseList, n: number, outcomes: Outcomes): void {
    const { engine } = this;
    const { state } = engine;
    const item = cases.case(n);
    state.cr0 = this.cr0;
    state.cr4 = this.cr4;
    state.cr3 = DIRECTORY;
    state.cpl = 3;
    state.i32[L.GDTR_BASE >> 2] = GDT;
    state.i32[L.GDTR_LIMIT >> 2] = 0xff;
    state.i32[L.IDTR_BASE >> 2] = IDT;
    state.i32[L.IDTR_LIMIT >> 2] = 0xff;
    state.i32[L.HALTED >> 2] = 0;
    const attributes = 0x60 | L.ATTRIBUTE_USABLE;
    state.setSegment(L.SEG_CS, CODE3, 0, 0xffffffff, 0xc09b | attributes);
    for (const seg of [L.SEG_ES, L.SEG_SS, L.SEG_DS]) state.setSegment(seg, DATA3, 0, 0xffffffff, 0xc093 | attributes);
    state.setSegment(L.SEG_TR, TSS_SELECTOR, TSS, 0x67, 0x8b | L.ATTRIBUTE_USABLE);
    for (let register = 0; register < 8; register++) state.setReg32(register, item.gpr(register));
    state.eip = CODE;
    state.eflags = item.eflags;
    deriveAll(state);
    this.#loadFx(item.fx);
    const area = L.RAM + DATA_FRAME + 4096 - AREA_BYTES;
    this.#u8.set(item.memory, area);

    const reason = engine.run(10_000);
    if (reason !== "halt") throw new Error(`case ${n}: engine stopped with ${reason}\n${engine.describe()}`);
    const vector = (state.eip - 1 - HANDLERS) >> 4;
    let stack = state.reg32(4);
    let error = 0;
    if (WITH_ERROR_CODE.has(vector)) {
      error = this.#peek32(stack);
      stack += 4;
    }
    const eip = (this.#peek32(stack) - CODE) | 0;
    const isNormal = vector === 3 && eip === item.code.length + 1;
    outcomes.setEnd(n, isNormal ? NO_VECTOR : vector, error, vector === 14 ? state.cr2 : 0, isNormal ? eip - 1 : eip);
    for (let register = 0; register < 8; register++)
      outcomes.setGpr(n, register, register === 4 ? this.#peek32(stack + 12) : state.reg32(register));
    outcomes.setEflags(n, this.#peek32(stack + 8));
    this.#storeFx(outcomes.fx(n));
    outcomes.memory(n).set(this.#u8.subarray(area, area + AREA_BYTES));
  }

  #loadFx(image: Uint8Array): void {
    const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
    const { i32 } = this.engine.state;
    const status = view.getUint16(fx.fsw, true);
    const top = (status >> 11) & 7;
    i32[L.FPU_CONTROL >> 2] = view.getUint16(fx.fcw, true) | 0x40;
    i32[L.FPU_STATUS >> 2] = status & ~0x3800;
    i32[L.FPU_TOP >> 2] = top;
    i32[L.FPU_TAGS >> 2] = image[fx.ftw];
    i32[L.FPU_OPCODE >> 2] = view.getUint16(fx.fop, true);
    i32[L.FPU_IP >> 2] = view.getInt32(fx.fip, true);
    i32[L.FPU_CS >> 2] = view.getUint16(fx.fcs, true);
    i32[L.FPU_DP >> 2] = view.getInt32(fx.fdp, true);
    i32[L.FPU_DS >> 2] = view.getUint16(fx.fds, true);
    i32[L.MXCSR >> 2] = view.getInt32(fx.mxcsr, true);
    for (let n = 0; n < 8; n++) {
      const register = L.X87 + ((top + n) & 7) * 16;
      this.#u8.set(image.subarray(fx.st + n * 16, fx.st + n * 16 + 10), register);
    }
    this.#u8.set(image.subarray(fx.xmm, fx.xmm + 128), L.XMM);
  }

  #storeFx(image: Uint8Array): void {
    const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
    const { i32 } = this.engine.state;
    const top = i32[L.FPU_TOP >> 2];
    view.setUint16(fx.fcw, i32[L.FPU_CONTROL >> 2], true);
    view.setUint16(fx.fsw, i32[L.FPU_STATUS >> 2] | (top << 11), true);
    image[fx.ftw] = i32[L.FPU_TAGS >> 2];
    view.setUint16(fx.fop, i32[L.FPU_OPCODE >> 2], true);
    view.setInt32(fx.fip, i32[L.FPU_IP >> 2], true);
    view.setUint16(fx.fcs, i32[L.FPU_CS >> 2], true);
    view.setInt32(fx.fdp, i32[L.FPU_DP >> 2], true);
    view.setUint16(fx.fds, i32[L.FPU_DS >> 2], true);
    view.setInt32(fx.mxcsr, i32[L.MXCSR >> 2], true);
    view.setInt32(fx.mxcsrMask, MXCSR_MASK, true);
    for (let n = 0; n < 8; n++) {
      const register = L.X87 + ((top + n) & 7) * 16;
      image.set(this.#u8.subarray(register, register + 10), fx.st + n * 16);
    }
    image.set(this.#u8.subarray(L.XMM, L.XMM + 128), fx.xmm);
  }
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let n = 0; n < a.length; n++) if (a[n] !== b[n]) return false;
  return true;
}
