/**
 * A CPU without an interpreter for unit tests: state, memory, page tables and descriptor tables in a small RAM that is
 * mapped identically, a bus that records. Only tests import this file.
 */
import type { CpuBus, CpuLocalApic } from "../../device-api/virtual-cpu.ts";
import * as L from "../layout.ts";
import { LinearMemory } from "../mmu/linear-memory.ts";
import { PageWalker } from "../mmu/page-walk.ts";
import { PhysicalMap } from "../mmu/physical-map.ts";
import { PhysicalMemory } from "../mmu/physical-memory.ts";
import { Tlb, type TlbOptions } from "../mmu/tlb.ts";
import { CpuState, CR0_PE, CR0_PG, deriveAll } from "../state.ts";
import { type CpuFeatures, hasPse36 } from "./cpuid.ts";
import { CpuFault } from "./fault.ts";
import { createSystem, type System } from "./system.ts";

export const TEST_RAM_BYTES = 2 << 20;

/** Remembers memory-mapped writes, answers reads with a pattern of the address. */
export class TestBus implements CpuBus {
  readonly log: string[] = [];
  tsc = 1000;
  localApic?: CpuLocalApic;
  readPort(port: number): number {
    return port & 0xff;
  }
  writePort(port: number, _size: number, value: number): void {
    this.log.push(`out ${port.toString(16)} ${value.toString(16)}`);
  }
  readPortBulk(): number {
    return 0;
  }
  writePortBulk(): number {
    return 0;
  }
  readMmio(gpa: number, size: number): number {
    this.log.push(`read ${gpa.toString(16)} ${size}`);
    const byte = (gpa & 0x7f) | 0x80;
    return size === 1 ? byte : size === 2 ? byte * 0x101 : (byte * 0x01010101) >>> 0;
  }
  writeMmio(gpa: number, size: number, value: number): void {
    this.log.push(`write ${gpa.toString(16)} ${size} ${value.toString(16)}`);
  }
  acknowledgeInterrupt(): number {
    return 0x20;
  }
  readTsc(): number {
    return (this.tsc += 10);
  }
}

export interface TestCpuOptions extends TlbOptions {
  readonly features?: Partial<CpuFeatures>;
}

let sharedMemory: WebAssembly.Memory | undefined;

export class TestCpu {
  readonly memory: WebAssembly.Memory;
  readonly state: CpuState;
  readonly bus = new TestBus();
  readonly physical: PhysicalMemory;
  readonly map: PhysicalMap;
  readonly walker: PageWalker;
  readonly tlb: Tlb;
  readonly linear: LinearMemory;
  readonly system: System;
  readonly said: string[] = [];
  readonly codeWrites: string[] = [];

  constructor(options: TestCpuOptions = {}) {
    // One memory for all CPUs of a test file: each starts by clearing what an earlier one left.
    const pages = L.memoryPages(TEST_RAM_BYTES, 0);
    if (sharedMemory === undefined)
      sharedMemory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    else currentCpu?.tlb.flushAll(false);
    this.memory = sharedMemory;
    this.state = new CpuState(this.memory);
    this.state.u8.fill(0, L.RAM, L.RAM + TEST_RAM_BYTES);
    this.state.u8.fill(0, L.STATE, L.STATE_END);
    const features = { pae: true, nx: true, ...options.features };
    this.physical = new PhysicalMemory(this.state, this.bus);
    this.physical.onCodeWrite = (gpa, size) => this.codeWrites.push(`${gpa.toString(16)} ${size}`);
    this.walker = new PageWalker(this.state, this.physical, { pse36: hasPse36(features) });
    this.tlb = new Tlb(this.state, options);
    this.linear = new LinearMemory(this.state, this.physical, this.walker, this.tlb);
    this.map = new PhysicalMap(this.memory, (page, count) => this.tlb.flushPhysical(page, count));
    this.map.unmap(0, 16 << 20);
    this.map.map(0, TEST_RAM_BYTES, L.RAM, true);
    this.system = createSystem({
      state: this.state,
      linear: this.linear,
      walker: this.walker,
      tlb: this.tlb,
      bus: this.bus,
      features,
      onDemand: (text) => this.said.push(text),
    });
    this.system.reset();
    currentCpu = this;
  }

  peek8(gpa: number): number {
    return this.state.u8[L.RAM + gpa];
  }
  peek16(gpa: number): number {
    return this.state.view.getUint16(L.RAM + gpa, true);
  }
  peek32(gpa: number): number {
    return this.state.view.getUint32(L.RAM + gpa, true);
  }
  poke8(gpa: number, value: number): void {
    this.state.u8[L.RAM + gpa] = value;
  }
  poke16(gpa: number, value: number): void {
    this.state.view.setUint16(L.RAM + gpa, value, true);
  }
  poke32(gpa: number, value: number): void {
    this.state.view.setInt32(L.RAM + gpa, value, true);
  }
  /** A guest-physical copy of RAM, to compare. */
  ram(): Uint8Array {
    return this.state.u8.slice(L.RAM, L.RAM + TEST_RAM_BYTES);
  }
  /** The architectural part of the state block. */
  block(): Uint8Array {
    return this.state.u8.slice(L.STATE, L.SCRATCH);
  }

  get esp(): number {
    return this.state.reg32(4);
  }
  set esp(value: number) {
    this.state.setReg32(4, value);
  }
  get cs(): number {
    return this.state.segmentSelector(L.SEG_CS);
  }
  get ss(): number {
    return this.state.segmentSelector(L.SEG_SS);
  }

  /** Protected mode without descriptor tables: flat ring-`cpl` segments put straight into the registers. */
  enterFlat(cpl = 0): void {
    const { state } = this;
    state.cr0 |= CR0_PE;
    state.cpl = cpl;
    const dpl = cpl << 5;
    state.setSegment(L.SEG_CS, 8 | cpl, 0, 0xffffffff, 0xc09b | dpl | L.ATTRIBUTE_USABLE);
    for (const seg of [L.SEG_ES, L.SEG_SS, L.SEG_DS, L.SEG_FS, L.SEG_GS])
      state.setSegment(seg, 16 | cpl, 0, 0xffffffff, 0xc093 | dpl | L.ATTRIBUTE_USABLE);
    deriveAll(state);
  }

  enablePaging(cr3: number): void {
    this.state.cr3 = cr3;
    this.state.cr0 |= CR0_PG;
    this.tlb.flushAll(false);
    deriveAll(this.state);
  }
}

let currentCpu: TestCpu | undefined;

/** Runs `body` and answers the fault it throws as text: "13/8" (vector/error code in hex), "14/2 1000" for #PF, or "none". */
export function faultOf(body: () => void): string {
  try {
    body();
  } catch (thrown) {
    if (!(thrown instanceof CpuFault)) throw thrown;
    const code = thrown.errorCode === undefined ? "" : `/${thrown.errorCode.toString(16)}`;
    return `${thrown.vector}${code}${thrown.vector === 14 ? ` ${thrown.linear.toString(16)}` : ""}`;
  }
  return "none";
}

/** Index of the first differing byte, -1 if there is none (test frameworks compare large arrays slowly). */
export function firstDifference(a: Uint8Array, b: Uint8Array): number {
  if (a.length !== b.length) return Math.min(a.length, b.length);
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return i;
  return -1;
}

/** A small deterministic generator: numbers in [0, 2^32). */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let x = state;
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    return (x ^ (x >>> 16)) >>> 0;
  };
}

/** Where `TestTables` puts things. */
export const GDT = 0x1000;
export const IDT = 0x2000;
export const LDT = 0x3000;
export const TSS = 0x4000;
export const TSS2 = 0x5000;
export const STACK0 = 0x8000;
export const STACK3 = 0x9000;

/** Selectors of `TestTables`, RPL included. */
export const CODE0 = 0x08;
export const DATA0 = 0x10;
export const CODE3 = 0x1b;
export const DATA3 = 0x23;
export const TSS_SELECTOR = 0x28;
export const TSS2_SELECTOR = 0x30;
export const LDT_SELECTOR = 0x38;
export const CODE1 = 0x41;
export const DATA1 = 0x49;
export const CONFORMING = 0x50;
export const CODE16 = 0x58;
export const DATA16 = 0x60;
/** Free slots of the GDT for a test's own descriptors. */
export const FREE = 0x68;

/** Access bytes. */
export const ACCESS_CODE = 0x9a;
export const ACCESS_DATA = 0x92;
export const dpl = (level: number) => level << 5;

/** GDT, IDT, LDT and a 32-bit TSS of a little protected-mode system, flat segments of levels 0, 1 and 3. */
export class TestTables {
  readonly cpu: TestCpu;

  constructor(cpu: TestCpu) {
    this.cpu = cpu;
    this.segment(CODE0, 0, 0xfffff, ACCESS_CODE, 0xc);
    this.segment(DATA0, 0, 0xfffff, ACCESS_DATA, 0xc);
    this.segment(CODE3, 0, 0xfffff, ACCESS_CODE | dpl(3), 0xc);
    this.segment(DATA3, 0, 0xfffff, ACCESS_DATA | dpl(3), 0xc);
    this.segment(TSS_SELECTOR, TSS, 0x67, 0x89, 0);
    this.segment(TSS2_SELECTOR, TSS2, 0x67, 0x89, 0);
    this.segment(LDT_SELECTOR, LDT, 0xff, 0x82, 0);
    this.segment(CODE1, 0, 0xfffff, ACCESS_CODE | dpl(1), 0xc);
    this.segment(DATA1, 0, 0xfffff, ACCESS_DATA | dpl(1), 0xc);
    this.segment(CONFORMING, 0, 0xfffff, 0x9e, 0xc);
    this.segment(CODE16, 0x10000, 0xffff, ACCESS_CODE, 0);
    this.segment(DATA16, 0x10000, 0xffff, ACCESS_DATA, 0);
    const { state } = cpu;
    state.i32[L.GDTR_BASE >> 2] = GDT;
    state.i32[L.GDTR_LIMIT >> 2] = 0xff;
    state.i32[L.IDTR_BASE >> 2] = IDT;
    state.i32[L.IDTR_LIMIT >> 2] = 0x7ff;
    cpu.poke32(TSS + 4, STACK0);
    cpu.poke32(TSS + 8, DATA0);
    cpu.poke32(TSS + 12, STACK0 - 0x800);
    cpu.poke32(TSS + 16, DATA1);
    this.enter(0);
    cpu.system.ltr(TSS_SELECTOR);
  }

  /** `flags` is the nibble G, D/B, L, AVL. */
  segment(selector: number, base: number, limit: number, access: number, flags: number, table = GDT): void {
    const at = table + (selector & 0xfff8);
    this.cpu.poke32(at, (limit & 0xffff) | (base << 16));
    this.cpu.poke32(
      at + 4,
      ((base >>> 16) & 0xff) | (access << 8) | (limit & 0xf0000) | (flags << 20) | (base & 0xff000000),
    );
  }
  access(selector: number): number {
    return this.cpu.peek8(GDT + (selector & 0xfff8) + 5);
  }
  gate(at: number, selector: number, offset: number, access: number, parameters = 0): void {
    this.cpu.poke32(at, (offset & 0xffff) | (selector << 16));
    this.cpu.poke32(at + 4, parameters | (access << 8) | (offset & 0xffff0000));
  }
  idt(vector: number, selector: number, offset: number, access: number): void {
    this.gate(IDT + vector * 8, selector, offset, access);
  }

  /** Flat segments of a level, EIP 1000h, ESP at the level's stack. */
  enter(level: 0 | 1 | 3): void {
    const { cpu } = this;
    const { state } = cpu;
    const code = level === 0 ? CODE0 : level === 1 ? CODE1 : CODE3;
    const data = level === 0 ? DATA0 : level === 1 ? DATA1 : DATA3;
    cpu.enterFlat(level);
    state.systemFlags &= ~0x20000;
    const attributes = (level << 5) | L.ATTRIBUTE_USABLE;
    state.setSegment(L.SEG_CS, code, 0, 0xffffffff, 0xc09b | attributes);
    for (const seg of [L.SEG_ES, L.SEG_SS, L.SEG_DS, L.SEG_FS, L.SEG_GS])
      state.setSegment(seg, data, 0, 0xffffffff, 0xc093 | attributes);
    deriveAll(state);
    state.eip = 0x1000;
    cpu.esp = level === 3 ? STACK3 : STACK0 - level * 0x800;
  }

  /** V86 mode: CS 100h, others 200h–600h, SP 1000h. */
  enterV86(iopl: number): void {
    const { state } = this.cpu;
    state.eflags = 0x20202 | (iopl << 12);
    state.cpl = 3;
    deriveAll(state);
    const selectors = [0x200, 0x100, 0x300, 0x400, 0x500, 0x600];
    for (let seg = 0; seg < 6; seg++)
      state.setSegment(seg, selectors[seg], selectors[seg] << 4, 0xffff, 0xf3 | L.ATTRIBUTE_USABLE);
    deriveAll(state);
    state.eip = 0x50;
    this.cpu.esp = 0x1000;
  }

  /** The top `count` dwords of the current stack (flat). */
  stack(count: number): number[] {
    const base = this.cpu.state.segmentBase(L.SEG_SS);
    return Array.from({ length: count }, (_, i) => this.cpu.peek32(base + this.cpu.esp + i * 4));
  }
}
