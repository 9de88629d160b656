/**
 * A CPU without an interpreter for unit tests: state, memory, page tables and descriptor tables in a small RAM that is
 * mapped identically, a bus that records. Only tests import this file.
 */
import type { CpuBus } from "../../device-api/virtual-cpu.ts";
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
