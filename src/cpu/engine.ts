/**
 * The software engine: runs the generated interpreter and does everything between its runs: code fetch and decoding,
 * interrupts, faults, single steps, HLT, reset. One instance per virtual CPU, on the machine thread.
 *
 * `run` executes records in WebAssembly until something happens (generate.ts `exit`); the loop here looks at what is due
 * at an instruction boundary and goes on.
 */

import { FormatError } from "../base/errors.ts";
import type { CounterTree } from "../device-api/counters.ts";
import type { AccessSize } from "../device-api/io-window.ts";
import type { SavedLeaf } from "../device-api/saved-state.ts";
import {
  type CpuBus,
  type GeneralRegister,
  GuestFaultSignal,
  type SegmentRegister,
  type StopReason,
} from "../device-api/virtual-cpu.ts";
import { type DecodeMode, Decoder } from "./decode/decoder.ts";
import * as R from "./decode/records.ts";
import { handler } from "./decode/variants.ts";
import { CodeCache, modeKey } from "./interpreter/code-cache.ts";
import { ENTRY_BETWEEN, exit } from "./interpreter/generate.ts";
import { createHelpers, type HelperOwner, type Helpers, recordFault } from "./interpreter/helpers.ts";
import { BUDGET, status } from "./interpreter/lowering.ts";
import { SingleDecoder, STEP_RECORDS } from "./interpreter/single-decoder.ts";
import * as L from "./layout.ts";
import { LinearMemory } from "./mmu/linear-memory.ts";
import { PageWalker } from "./mmu/page-walk.ts";
import { PhysicalMap } from "./mmu/physical-map.ts";
import { PhysicalMemory } from "./mmu/physical-memory.ts";
import { codeWord, Tlb } from "./mmu/tlb.ts";
import type { SoftwareCpu, SoftwareCpuOptions } from "./software-cpu.ts";
import { CpuState, deriveMode, FLAG_IF, FLAG_RF, FLAG_TF } from "./state.ts";
import { CpuFault, generalProtection } from "./system/fault.ts";
import { DR6_BS } from "./system/interrupts.ts";
import { createSystem, type System } from "./system/system.ts";
import type { Row } from "./table/row.ts";
import { REGION_ENTRIES, REGION_INSTRUCTIONS, REGION_SITE_EXITS } from "./translator/region-lowering.ts";
import { type JumpSampling, RegionRequests } from "./translator/region-requests.ts";
import type { RegionLimits, RegionStatistics, Regions } from "./translator/regions.ts";
import type { ShadowOptions, ShadowStatistics } from "./translator/shadow.ts";

/** Exports of the core module. */
export interface Core {
  run(budget: number, entryRecord: number): number;
  fill(offset: number, lengthBytes: number): void;
}

const GENERAL: readonly GeneralRegister[] = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"];
const SEGMENTS: readonly SegmentRegister[] = ["es", "cs", "ss", "ds", "fs", "gs"];
const STATE_BYTES = L.SCRATCH - L.STATE;
/** DR7: any breakpoint enabled. */
const DR7_ENABLED = 0xff;

/** What regions did, as the core counts it. */
export interface RegionActivity {
  /** Calls of regions, ways from one into another, and those that ended in front of an instruction that the interpreter had to execute. */
  readonly entries: number;
  readonly links: number;
  readonly siteExits: number;
  /** Instructions executed in regions. */
  readonly executed: number;
}

/** Test switches that must not change what a guest computes. */
export interface EngineTuning {
  readonly tlbPages?: number;
  /** As `SoftwareCpuOptions.hasSmallTlb` flushes. */
  readonly isForgiving?: boolean;
  readonly decodeMaps?: number;
  /** Jumps to an instruction before it is translated; undefined: interpreter only. */
  readonly hotThreshold?: number;
  /** Undefined: each jump counts. */
  readonly jumpSampling?: JumpSampling;
  readonly regions?: RegionLimits;
  /** At every load of CR3 the whole TLB, all decoded code and all regions are dropped. */
  readonly flushAtCr3?: boolean;
  /** Shadow mode (translator/shadow.ts): runs of regions are repeated by an interpreter and compared. */
  readonly shadow?: ShadowOptions;
}

export class SoftwareEngine implements SoftwareCpu, HelperOwner {
  readonly physicalMap: PhysicalMap;
  readonly state: CpuState;
  readonly helpers: Helpers;
  get regionStatistics(): (RegionStatistics & RegionActivity) | undefined {
    if (this.#regions === undefined) return undefined;
    const count = (counter: number) => Number(this.state.view.getBigUint64(counter, true));
    return {
      ...this.#regions.statistics,
      entries: count(REGION_ENTRIES),
      links: this.#regions.links(),
      siteExits: count(REGION_SITE_EXITS),
      executed: count(REGION_INSTRUCTIONS),
    };
  }
  readonly regionRequests: RegionRequests;
  /** In shadow mode: what has been compared. */
  shadowStatistics: ShadowStatistics | undefined;
  get decoder(): Decoder {
    return this.#decoder;
  }
  isCodeDropped = false;
  readonly #system: System;
  readonly #linear: LinearMemory;
  readonly #physical: PhysicalMemory;
  readonly #tlb: Tlb;
  readonly #decoder: Decoder;
  readonly #cache: CodeCache;
  readonly #single: SingleDecoder;
  readonly #bus: CpuBus;
  readonly #i32: Int32Array;
  readonly #mode: { isCode32: boolean; isFlat: boolean; isProtected: boolean } & DecodeMode = {
    isCode32: false,
    isFlat: false,
    isProtected: false,
  };
  #core: Core | undefined;
  #regions: Regions | undefined;
  #modeKey = -1;
  /** CS as `#syncCodeSegment` saw it last; the linear page in which it ends and where (-1: before its first byte). */
  #codeBase = 0;
  #codeLimit = -1;
  #endPage = -1;
  #endOffset = 4095;
  #isStopRequested = false;
  #isNmiPending = false;
  #isShutdown = false;
  #instructions = 0;
  /** Budget of the current `run` into WebAssembly, for `instructionCount` inside helpers. */
  #coreBudget = 0;
  #isInCore = false;
  #dataBreakpointHits = 0;
  /** Hits of a MOV SS or POP SS: reported behind the next instruction. */
  #deferredHits = 0;
  /** `instructionCount` when STI last set IF with no interrupt waiting: right behind it there is a shadow. */
  #enabledAt = -1;
  /** The instruction being stepped will be followed by the single-step trap. */
  #hasTrapBehind = false;
  readonly #breakpoints = new Set<number>();
  #skipBreakpoint = false;
  /**
   * How the core goes on: 0 where a jump has landed, so that the budget is looked at; ENTRY_BETWEEN or a record if it came back
   * for a look-up only. What sends it back depends on TLB and code cache; where a budget ends must not.
   */
  #entry = 0;

  constructor(options: SoftwareCpuOptions, rows: readonly Row[], renumber: Uint16Array, tuning: EngineTuning = {}) {
    const { memory, bus, features } = options;
    this.#bus = bus;
    this.state = new CpuState(memory);
    this.#i32 = this.state.i32;
    this.#tlb = new Tlb(this.state, {
      ...(tuning.tlbPages === undefined ? {} : { capacityPages: tuning.tlbPages }),
      ...(tuning.isForgiving === undefined ? {} : { isForgiving: tuning.isForgiving }),
      ...(tuning.flushAtCr3 === true ? { isForgiving: true, onAddressSpace: () => this.#cache.flush() } : {}),
    });
    this.#physical = new PhysicalMemory(this.state, bus);
    const walker = new PageWalker(this.state, this.#physical, { pse36: features.pae });
    this.#linear = new LinearMemory(this.state, this.#physical, walker, this.#tlb);
    this.#system = createSystem({
      state: this.state,
      linear: this.#linear,
      walker,
      tlb: this.#tlb,
      bus,
      features,
      onDemand: options.onDemand,
    });
    this.physicalMap = new PhysicalMap(memory, (gpaPage, pages) => {
      this.#tlb.flushPhysical(gpaPage, pages);
      for (let page = gpaPage; page < gpaPage + pages; page++) this.#cache?.invalidate(page, 0, 4095);
    });
    this.#decoder = new Decoder(rows, memory, renumber);
    this.#cache = new CodeCache(this.#decoder, this.physicalMap, memory, {
      protectFrame: (gpaPage) => this.#tlb.protectPhysicalPage(gpaPage),
      dropRegions: (gpaPage) => this.#regions?.drop(gpaPage),
      dropAllMaps: () => {
        this.#tlb.flushCode(false);
        this.#tlb.flushCode(true);
      },
      clear: (offset, lengthBytes) => this.#core?.fill(offset, lengthBytes),
    });
    const { state } = this;
    const parts = {
      memory,
      state,
      decoder: this.#decoder,
      linear: this.#linear,
      physical: this.#physical,
      cache: this.#cache,
      mode: this.#mode,
    };
    this.#single = new SingleDecoder(parts);
    this.regionRequests = new RegionRequests({
      ...parts,
      single: this.#single,
      isPending: (head) => this.#regions?.isPending(head) ?? false,
      readTsc: () => bus.readTsc(),
      sampling: tuning.jumpSampling ?? { period: 1, wokenPeriod: 1 },
    });
    this.#physical.onCodeWrite = (gpa, sizeBytes) => {
      if (this.#cache.invalidate(gpa >>> 12, gpa & 4095, Math.min((gpa & 4095) + sizeBytes - 1, 4095)))
        this.isCodeDropped = true;
    };
    this.#linear.onWatchedAccess = (linear, sizeBytes, isWrite) => {
      this.#dataBreakpointHits |= this.#system.dataHits(linear, sizeBytes, isWrite);
    };
    this.helpers = createHelpers({ state: this.state, linear: this.#linear, system: this.#system, bus }, this);
    this.#cache.hotThreshold = tuning.hotThreshold ?? 0;
    if (tuning.decodeMaps !== undefined) this.#cache.limitMaps(tuning.decodeMaps);
  }

  /** Gives the engine its compiled module; before the first `run`. */
  attachCore(core: Core, regions?: Regions, shadow?: ShadowStatistics): void {
    this.#core = core;
    this.#regions = regions;
    this.shadowStatistics = shadow;
    this.reset();
  }

  // ---- VirtualCpu ------------------------------------------------------------------------------------------------

  run(budgetInstructions: number): StopReason {
    const core = this.#core as Core;
    const { state } = this;
    const i32 = this.#i32;
    let left = budgetInstructions;
    this.#entry = 0;
    this.#regions?.tick();
    this.regionRequests.beginBudget();
    for (;;) {
      if (this.#isShutdown) return "triple-fault";
      if (this.#isStopRequested) {
        this.#isStopRequested = false;
        return "stop";
      }
      const entry = this.#entry;
      this.#entry = 0;
      if (left <= 0 && entry === 0) return "budget";
      const shadow = i32[L.INTERRUPT_SHADOW >> 2] !== 0 || this.#enabledAt === this.#instructions;
      if (!shadow) {
        if (this.#isNmiPending && i32[L.NMI_BLOCKED >> 2] === 0) {
          this.#isNmiPending = false;
          this.#settle(this.#system.deliverNmi());
          continue;
        }
        if (i32[L.INTERRUPT_LINE >> 2] !== 0 && (i32[L.EFLAGS_SYSTEM >> 2] & FLAG_IF) !== 0) {
          const vector = this.#bus.acknowledgeInterrupt();
          this.#settle(this.#system.deliverExternal(vector));
          continue;
        }
        if (i32[L.HALTED >> 2] !== 0) return "halt";
      }
      if (
        shadow ||
        (i32[L.EFLAGS_SYSTEM >> 2] & FLAG_TF) !== 0 ||
        (i32[(L.DR >> 2) + 14] & DR7_ENABLED) !== 0 ||
        this.#breakpoints.size > 0
      ) {
        if (this.#breakpoints.size > 0 && !this.#skipBreakpoint && this.#breakpoints.has(this.state.linearEip)) {
          this.#skipBreakpoint = true;
          return "breakpoint";
        }
        this.#skipBreakpoint = false;
        left -= this.#step();
        continue;
      }
      this.#syncMode();
      // RF holds for one instruction; those that load flags set it anew.
      const resume = i32[L.EFLAGS_SYSTEM >> 2] & FLAG_RF;
      if (resume !== 0) i32[L.EFLAGS_SYSTEM >> 2] &= ~FLAG_RF;
      this.#coreBudget = left;
      this.#isInCore = true;
      const reason = core.run(left, entry);
      this.#isInCore = false;
      const rest = i32[BUDGET >> 2];
      if (rest === left) i32[L.EFLAGS_SYSTEM >> 2] |= resume;
      this.#instructions += left - rest;
      left = rest;
      switch (reason) {
        case exit.fetch:
          left -= this.#fetch();
          break;
        case exit.fault:
          this.#deliverFault();
          break;
        case exit.crossing:
          this.#decodeCrossing();
          break;
        case exit.hot:
          if (this.#regions !== undefined) this.regionRequests.requestAtEip(this.#regions);
          // The budget has been looked at there already, or no jump has landed.
          this.#entry = ENTRY_BETWEEN;
          break;
        case exit.leave:
          state.i32[L.ATTENTION >> 2] = 0;
          // A fault inside a task that has just been switched to.
          if (i32[L.FAULT >> 2] !== 0) this.#deliverFault();
          break;
      }
    }
  }

  requestStop(): void {
    this.#isStopRequested = true;
  }

  setInterruptLine(level: boolean): void {
    this.#i32[L.INTERRUPT_LINE >> 2] = level ? 1 : 0;
  }

  raiseNmi(): void {
    this.#isNmiPending = true;
  }

  setA20(enabled: boolean): void {
    const mask = enabled ? -1 : ~(1 << 20);
    if (this.#i32[L.A20_MASK >> 2] === mask) return;
    this.#i32[L.A20_MASK >> 2] = mask;
    this.#tlb.flushAll(false);
  }

  reset(): void {
    this.#system.reset();
    this.#isShutdown = false;
    this.#isNmiPending = false;
    this.#isStopRequested = false;
    this.#skipBreakpoint = false;
  }

  get halted(): boolean {
    return this.#i32[L.HALTED >> 2] !== 0;
  }

  get instructionCount(): number {
    return this.#isInCore ? this.#instructions + this.#coreBudget - this.#i32[BUDGET >> 2] : this.#instructions;
  }

  getRegister(name: GeneralRegister | "eip" | "eflags" | "cr0" | "cr2" | "cr3" | "cr4"): number {
    const { state } = this;
    switch (name) {
      case "eip":
        return state.eip;
      case "eflags":
        return state.eflags >>> 0;
      case "cr0":
        return state.cr0 >>> 0;
      case "cr2":
        return state.cr2 >>> 0;
      case "cr3":
        return state.cr3 >>> 0;
      case "cr4":
        return state.cr4 >>> 0;
      default:
        return state.reg32(GENERAL.indexOf(name));
    }
  }

  setRegister(name: GeneralRegister | "eip" | "eflags" | "cr0" | "cr2" | "cr3" | "cr4", value: number): void {
    const { state } = this;
    switch (name) {
      case "eip":
        state.eip = value;
        break;
      case "eflags":
        state.eflags = value;
        deriveMode(state);
        break;
      case "cr0":
      case "cr2":
      case "cr3":
      case "cr4":
        this.#system.writeControl(Number(name[2]), value);
        break;
      default:
        state.setReg32(GENERAL.indexOf(name), value);
    }
  }

  getSegment(name: SegmentRegister): { selector: number; base: number; limit: number } {
    const index = SEGMENTS.indexOf(name);
    const { state } = this;
    return { selector: state.segmentSelector(index), base: state.segmentBase(index), limit: state.segmentLimit(index) };
  }

  setSegment(name: SegmentRegister, selector: number): void {
    if (name === "cs") {
      this.#system.jumpFar(selector, this.state.eip, this.state.eip);
      return;
    }
    this.#system.loadSegment(SEGMENTS.indexOf(name), selector);
  }

  get mode(): "real" | "protected" | "v86" {
    return this.state.isProtected ? "protected" : this.state.isV86 ? "v86" : "real";
  }

  get cpl(): number {
    return this.state.cpl;
  }

  readLinear(linear: number, size: AccessSize): number {
    try {
      const user = this.state.isUser;
      if (size === 1) return this.#linear.read8(linear >>> 0, user);
      return size === 2 ? this.#linear.read16(linear >>> 0, user) : this.#linear.read32(linear >>> 0, user) >>> 0;
    } catch (thrown) {
      throw this.#signal(thrown);
    }
  }

  writeLinear(linear: number, size: AccessSize, value: number): void {
    try {
      const user = this.state.isUser;
      if (size === 1) this.#linear.write8(linear >>> 0, value, user);
      else if (size === 2) this.#linear.write16(linear >>> 0, value, user);
      else this.#linear.write32(linear >>> 0, value, user);
    } catch (thrown) {
      throw this.#signal(thrown);
    }
  }

  readLinearBytes(linear: number, target: Uint8Array): void {
    try {
      this.#linear.readBytes(linear >>> 0, target, this.state.isUser);
    } catch (thrown) {
      throw this.#signal(thrown);
    }
  }

  writeLinearBytes(linear: number, source: Uint8Array): void {
    try {
      this.#linear.writeBytes(linear >>> 0, source, this.state.isUser);
    } catch (thrown) {
      throw this.#signal(thrown);
    }
  }

  save(): SavedLeaf {
    return {
      kind: "software-cpu",
      version: 1,
      data: {
        state: this.state.u8.slice(L.STATE, L.STATE + STATE_BYTES),
        instructions: this.#instructions,
        isShutdown: this.#isShutdown,
        isNmiPending: this.#isNmiPending,
      },
    };
  }

  load(leaf: SavedLeaf): void {
    if (leaf.kind !== "software-cpu" || leaf.version !== 1)
      throw new FormatError(`saved state: expected software-cpu version 1, found ${leaf.kind} version ${leaf.version}`);
    const { state, instructions, isShutdown, isNmiPending, ...rest } = leaf.data;
    if (
      !(state instanceof Uint8Array) ||
      state.length !== STATE_BYTES ||
      typeof instructions !== "number" ||
      typeof isShutdown !== "boolean" ||
      typeof isNmiPending !== "boolean" ||
      Object.keys(rest).length > 0
    )
      throw new FormatError("saved state: the entry of the CPU is damaged");
    this.state.u8.set(state, L.STATE);
    this.#instructions = instructions;
    this.#isShutdown = isShutdown;
    this.#isNmiPending = isNmiPending;
    this.#i32[L.FAULT >> 2] = 0;
    this.#system.stateReplaced();
    this.#cache.flush();
    this.#modeKey = -1;
  }

  statistics(): CounterTree {
    const tree = {
      tlb: { pages: this.#tlb.livePages, slowAccesses: this.#linear.translations, pageWalks: this.#linear.walks },
      code: { ...this.#cache.counters() },
    };
    const regions = this.regionStatistics;
    if (regions === undefined) return tree;
    const { executed } = regions;
    const share = this.instructionCount === 0 ? 0 : executed / this.instructionCount;
    return {
      ...tree,
      regions: {
        ...regions,
        compileMs: Math.round(regions.compileMs),
        executedPercent: Math.round(share * 100),
        ...this.#regions?.queue(),
        exits: this.#regions?.exits() ?? {},
      },
      ...(this.shadowStatistics === undefined ? {} : { shadow: { ...this.shadowStatistics } }),
    };
  }

  describe(): string {
    const { state } = this;
    const hex = (value: number) => (value >>> 0).toString(16).padStart(8, "0");
    const lines = [
      GENERAL.map((name, n) => `${name}=${hex(state.reg32(n))}`).join(" "),
      `eip=${hex(state.eip)} eflags=${hex(state.eflags)} cr0=${hex(state.cr0)} cr2=${hex(state.cr2)} cr3=${hex(state.cr3)} cr4=${hex(state.cr4)}`,
      SEGMENTS.map(
        (name, n) =>
          `${name}=${state.segmentSelector(n).toString(16).padStart(4, "0")} base=${hex(state.segmentBase(n))} limit=${hex(state.segmentLimit(n))} attr=${state.segmentAttributes(n).toString(16)}`,
      ).join("\n"),
      `gdtr=${hex(state.i32[L.GDTR_BASE >> 2])}:${state.i32[L.GDTR_LIMIT >> 2].toString(16)} idtr=${hex(state.i32[L.IDTR_BASE >> 2])}:${state.i32[L.IDTR_LIMIT >> 2].toString(16)} cpl=${state.cpl} mode=${this.mode}`,
    ];
    return lines.join("\n");
  }

  // ---- SoftwareCpu -------------------------------------------------------------------------------------------------

  invalidateCode(gpa: number, lengthBytes: number): void {
    if (lengthBytes <= 0) return;
    const last = gpa + lengthBytes - 1;
    for (let page = Math.floor(gpa / 4096); page <= Math.floor(last / 4096) && page < 1 << 20; page++) {
      if ((this.physicalMap.entry(page) & L.PHYSICAL_CODE) === 0) continue;
      const first = page * 4096;
      if (this.#cache.invalidate(page, Math.max(gpa - first, 0), Math.min(last - first, 4095)))
        this.isCodeDropped = true;
    }
  }

  /** Stops before the instruction at each of these linear addresses. */
  setBreakpoints(linears: Iterable<number>): void {
    this.#breakpoints.clear();
    for (const linear of linears) this.#breakpoints.add(linear >>> 0);
  }

  /** Executes one instruction (debugging, lock-step comparison). */
  singleStep(): void {
    this.#step();
  }

  // ---- HelperOwner -------------------------------------------------------------------------------------------------

  finish(): number {
    const i32 = this.#i32;
    this.isCodeDropped = false;
    this.#syncCodeSegment();
    const key = this.#currentKey();
    if (key !== this.#modeKey) return status.leave;
    if (
      this.#isStopRequested ||
      this.#isNmiPending ||
      i32[L.HALTED >> 2] !== 0 ||
      i32[L.INTERRUPT_SHADOW >> 2] !== 0 ||
      (i32[L.EFLAGS_SYSTEM >> 2] & (FLAG_TF | FLAG_RF)) !== 0 ||
      (i32[(L.DR >> 2) + 14] & DR7_ENABLED) !== 0 ||
      (i32[L.INTERRUPT_LINE >> 2] !== 0 && (i32[L.EFLAGS_SYSTEM >> 2] & FLAG_IF) !== 0)
    )
      return status.leave;
    return status.refetch;
  }

  codeDropped(record: number): void {
    this.isCodeDropped = false;
    if (record < L.RECORDS) return;
    // Only if this very page lost its map is the next record stale.
    const linear = this.state.linearEip;
    const map = this.#i32[codeWord(linear >>> 12, this.state.isUser)];
    if (map !== 0 && this.#i32[(map >> 2) + (linear & 4095)] !== 0) return;
    this.state.u16[(record + R.RECORD_BYTES + R.RECORD_HANDLER) >> 1] = handler.refetch;
  }

  interruptsEnabled(): void {
    // The count does not include the STI itself yet.
    this.#enabledAt = this.instructionCount + 1;
  }

  portAccessed(port: number, sizeBytes: number): void {
    if ((this.#i32[(L.DR >> 2) + 14] & DR7_ENABLED) !== 0)
      this.#dataBreakpointHits |= this.#system.portHits(port, sizeBytes);
  }

  softwareInterruptDelivered(): void {
    this.#hasTrapBehind = false;
  }

  raiseFpuError(): void {
    this.onFpuError?.();
  }

  /** FERR#, wired to IRQ 13 by the machine. */
  onFpuError: (() => void) | undefined;

  // ---- inside --------------------------------------------------------------------------------------------------------

  /** Turns a fault inside a device's access to the program's memory into the signal that unwinds to the instruction. */
  #signal(thrown: unknown): unknown {
    if (!(thrown instanceof CpuFault)) return thrown;
    recordFault(this.#i32, thrown);
    return new GuestFaultSignal("guest fault");
  }

  #settle(delivery: "delivered" | "triple-fault"): void {
    if (delivery === "triple-fault") this.#isShutdown = true;
    else this.#i32[L.HALTED >> 2] = 0;
  }

  #deliverFault(): void {
    const i32 = this.#i32;
    const errorCode = i32[L.FAULT_ERROR >> 2];
    const fault = new CpuFault(
      i32[L.FAULT >> 2] - 1,
      errorCode === -1 ? undefined : errorCode,
      i32[L.FAULT_LINEAR >> 2] >>> 0,
    );
    i32[L.FAULT >> 2] = 0;
    this.#deliver(fault);
  }

  #deliver(fault: CpuFault): void {
    this.#settle(this.#system.deliverException(fault));
  }

  #currentKey(): number {
    const mode = this.#i32[L.MODE >> 2];
    const isFlat =
      (mode & (L.MODE_FLAT | L.MODE_STACK32)) === (L.MODE_FLAT | L.MODE_STACK32) &&
      this.#i32[(L.SEG_LIMIT >> 2) + L.SEG_CS] === -1 &&
      !this.state.isAlignmentChecked;
    const isProtected = (mode & (L.MODE_PROTECTED | L.MODE_V86)) === L.MODE_PROTECTED;
    return ((mode & L.MODE_CODE32) !== 0 ? 1 : 0) | (isFlat ? 2 : 0) | (isProtected ? 4 : 0);
  }

  /** Code entries of the TLB lead to maps of one decode mode. */
  #syncMode(): void {
    this.#syncCodeSegment();
    const key = this.#currentKey();
    if (key === this.#modeKey) return;
    this.#modeKey = key;
    this.#mode.isCode32 = (key & 1) !== 0;
    this.#mode.isFlat = (key & 2) !== 0;
    this.#mode.isProtected = (key & 4) !== 0;
    this.#tlb.flushCode(false);
    this.#tlb.flushCode(true);
  }

  /**
   * Nothing beyond the limit of CS may be fetched. Decoded code is not checked as it runs, so the page in which the
   * segment ends has maps of its own that end there too; its code entry is void whenever CS changes. If it ends with a
   * page, that holds for the page behind it, into which code could run on.
   */
  #syncCodeSegment(): void {
    const i32 = this.#i32;
    const base = i32[(L.SEG_BASE >> 2) + L.SEG_CS * 2];
    const limit = i32[(L.SEG_LIMIT >> 2) + L.SEG_CS];
    if (base === this.#codeBase && limit === this.#codeLimit) return;
    this.#codeBase = base;
    this.#codeLimit = limit;
    if (this.#endPage >= 0) this.#tlb.dropCode(this.#endPage);
    const last = (base + limit) | 0;
    const isPageEnd = (last & 4095) === 4095;
    this.#endPage = limit === -1 ? -1 : (isPageEnd ? last + 1 : last) >>> 12;
    this.#endOffset = isPageEnd ? -1 : last & 4095;
    if (this.#endPage >= 0) this.#tlb.dropCode(this.#endPage);
  }

  /** No map or no record at EIP: translate, decode. Returns how many instructions were executed on the way. */
  #fetch(): number {
    const { state } = this;
    try {
      if (state.eip > state.segmentLimit(L.SEG_CS)) throw generalProtection();
      const linear = this.state.linearEip;
      const user = state.isUser;
      const gpaPage = this.#linear.fetchPage(linear, user);
      const entry = this.#physical.entry(gpaPage);
      if (entry === 0) {
        // Code in memory-mapped I/O: one instruction at a time.
        return this.#step();
      }
      const offset = linear & 4095;
      const last = linear >>> 12 === this.#endPage && offset <= this.#endOffset ? this.#endOffset : 4095;
      for (;;) {
        const map = this.#cache.mapFor(gpaPage, modeKey(this.#mode), last);
        if (
          this.#i32[(map >> 2) + offset] !== 0 ||
          this.#cache.decodeRun(gpaPage, (entry & ~4095) >>> 0, map, offset, this.#mode, last)
        ) {
          this.#tlb.setCode(linear >>> 12, map, user);
          this.#entry = ENTRY_BETWEEN;
          return 0;
        }
      }
    } catch (thrown) {
      if (!(thrown instanceof CpuFault)) throw thrown;
      this.#deliver(thrown);
      return 0;
    }
  }

  /** The instruction at EIP reaches into the next page: the core goes on with its step records. */
  #decodeCrossing(): void {
    try {
      this.#single.decodeCrossing();
      this.#entry = STEP_RECORDS;
    } catch (thrown) {
      if (!(thrown instanceof CpuFault)) throw thrown;
      this.#deliver(thrown);
    }
  }

  /** One instruction with everything that looks at instruction boundaries: breakpoints, TF, the interrupt shadow. */
  #step(): number {
    const i32 = this.#i32;
    this.#syncMode();
    const flags = i32[L.EFLAGS_SYSTEM >> 2];
    this.#hasTrapBehind = (flags & FLAG_TF) !== 0;
    const taskSwitches = this.#system.taskSwitches;
    const isBehindStackLoad = i32[L.INTERRUPT_SHADOW >> 2] === L.SHADOW_SS;
    i32[L.INTERRUPT_SHADOW >> 2] = 0;
    try {
      if (
        (i32[(L.DR >> 2) + 14] & DR7_ENABLED) !== 0 &&
        (flags & FLAG_RF) === 0 &&
        !isBehindStackLoad &&
        this.#system.hasInstructionBreakpoints()
      ) {
        const hits = this.#system.instructionHits(this.state.linearEip);
        if (hits !== 0) {
          this.#settle(this.#system.deliverDebugTrap(hits));
          return 1;
        }
      }
      this.#single.decode(handler.stop);
    } catch (thrown) {
      if (!(thrown instanceof CpuFault)) throw thrown;
      this.#deliver(thrown);
      return 1;
    }
    this.#dataBreakpointHits = isBehindStackLoad ? this.#deferredHits : 0;
    this.#deferredHits = 0;
    this.#coreBudget = 1;
    this.#isInCore = true;
    // RF holds for one instruction; those that load flags set it anew.
    i32[L.EFLAGS_SYSTEM >> 2] &= ~FLAG_RF;
    const reason = (this.#core as Core).run(1, STEP_RECORDS);
    this.#isInCore = false;
    const used = 1 - i32[BUDGET >> 2];
    this.#instructions += used;
    if (reason === exit.fault || i32[L.FAULT >> 2] !== 0) {
      if ((flags & FLAG_RF) !== 0) i32[L.EFLAGS_SYSTEM >> 2] |= FLAG_RF;
      this.#deliverFault();
      return 1;
    }
    if (this.#system.taskSwitches !== taskSwitches) this.#hasTrapBehind = false;
    const hits = this.#dataBreakpointHits | (this.#hasTrapBehind ? DR6_BS : 0);
    // MOV SS and POP SS hold debug traps off as well.
    if (i32[L.INTERRUPT_SHADOW >> 2] === L.SHADOW_SS) this.#deferredHits = this.#dataBreakpointHits;
    else if (hits !== 0) this.#settle(this.#system.deliverDebugTrap(hits));
    return 1;
  }
}
