/**
 * Shadow mode: each run of a region is taken back and repeated by an interpreter that shares nothing with it but the semantics
 * functions: it walks the page tables at each access and each fetch, and decodes what stands in memory at that moment. Registers,
 * flags, x87 and vector state and all stores must be the same; the first difference throws, with both sides' traces.
 *
 * Nothing is done twice: regions leave in front of whatever touches a device, and what would touch one here is a difference. Accessed
 * and dirty bits are the TLB's business and are not written here.
 *
 * A guest that changes page tables and goes on using what the TLB remembers, as it may until it says INVLPG, would be a difference too.
 */
import type { CpuBus } from "../../device-api/virtual-cpu.ts";
import { type DecodeMode, Decoder } from "../decode/decoder.ts";
import * as R from "../decode/records.ts";
import { handler } from "../decode/variants.ts";
import { coreLibraries } from "../fpu/libraries.ts";
import { exit, generateInterpreter } from "../interpreter/generate.ts";
import { helperArity } from "../interpreter/imports.ts";
import { BUDGET, SLOW_VALUE, status } from "../interpreter/lowering.ts";
import * as L from "../layout.ts";
import { ACCESS_FETCH, ACCESS_READ, ACCESS_USER, ACCESS_WRITE, PageWalker } from "../mmu/page-walk.ts";
import { PhysicalMemory } from "../mmu/physical-memory.ts";
import { checkSegment } from "../mmu/segment-check.ts";
import type { SoftwareCpuOptions } from "../software-cpu.ts";
import type { CpuState } from "../state.ts";
import { Descriptor, loadFromDescriptor, loadNull } from "../system/descriptor.ts";
import { CpuFault } from "../system/fault.ts";
import type { Row } from "../table/row.ts";
import { I32, ModuleWriter } from "../wasm/writer.ts";
import { REGION_EXIT, REGION_PARAMETERS } from "./region-lowering.ts";
import { WriteLog } from "./write-log.ts";

/** A region's function: EIP, budget, data TLB, dispatch number, code TLB; it answers the budget left. */
export type RegionFunction = (eip: number, budget: number, tlb: number, dispatch: number, tlbCode: number) => number;

export interface ShadowOptions {
  /** One run of so many is repeated, chosen as by chance; 1, all of them, unless given. */
  readonly every?: number;
  /** Instructions that regions execute before the first is repeated. */
  readonly from?: number;
}

export interface ShadowStatistics {
  /** Instructions that regions executed. */
  executed: number;
  /** Runs of regions that were repeated, and the instructions and stores compared in them. */
  runs: number;
  instructions: number;
  stores: number;
}

/** A region and the interpreter do not agree. */
export class ShadowDifference extends Error {
  override name = "ShadowDifference";
}

/** What the interpreter met that a region would have left for. */
class Refusal extends Error {}

const MAX_INSTRUCTION_BYTES = 15;
/** Two records and the one behind them, rounded up. */
const SLOT_BYTES = 64;
const SLOTS = L.SHADOW_RECORDS_BYTES / SLOT_BYTES - 1;
/** For instructions in two pages. */
const CROSSING_SLOT = SLOTS;
const STATE_WORDS = (L.SCRATCH - L.STATE) >> 2;
/** Regions exist in this mode only. */
const MODE: DecodeMode = { isCode32: true, isFlat: true, isProtected: true };
const PREFIXES = new Set([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0xf0]);
const ECX = 1;
const ESP = 4;
const NAMES = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"];
/** Instructions of a trace: from its beginning and up to its end. */
const SHOWN = 16;

/** Page tables are read, never written: accessed and dirty bits stay. */
class ReadOnlyMemory extends PhysicalMemory {
  override write32(): void {}
}

const refusingBus: CpuBus = {
  readPort: () => refuse("a port is read"),
  writePort: () => refuse("a port is written"),
  readPortBulk: () => refuse("a port is read"),
  writePortBulk: () => refuse("a port is written"),
  readMmio: (gpa) => refuse(`a device's memory is read at ${gpa.toString(16)}`),
  writeMmio: (gpa) => refuse(`a device's memory is written at ${gpa.toString(16)}`),
  acknowledgeInterrupt: () => refuse("an interrupt is taken"),
  readTsc: () => refuse("the time is read"),
};

function refuse(why: string): never {
  throw new Refusal(why);
}

export class Shadow {
  readonly statistics: ShadowStatistics = { executed: 0, runs: 0, instructions: 0, stores: 0 };
  readonly #memory: WebAssembly.Memory;
  readonly #state: CpuState;
  readonly #walker: PageWalker;
  readonly #decoder: Decoder;
  readonly #bytes = new Uint8Array(MAX_INSTRUCTION_BYTES);
  readonly #tags = new Int32Array(SLOTS).fill(-1);
  readonly #lengths = new Uint8Array(SLOTS);
  readonly #code = new Uint8Array(SLOTS * 16);
  readonly #regionLog: WriteLog;
  readonly #ownLog: WriteLog;
  readonly #before = new Int32Array(STATE_WORDS);
  readonly #byRegion = new Int32Array(STATE_WORDS);
  readonly #wrapper: WebAssembly.Module;
  readonly #options: ShadowOptions;
  #isOn = false;
  #choice = 1;
  #run!: (budget: number, entryRecord: number) => number;
  #trace: string[] | undefined;

  private constructor(
    options: SoftwareCpuOptions,
    state: CpuState,
    rows: readonly Row[],
    renumber: Uint16Array,
    shadow: ShadowOptions,
  ) {
    const { memory, features } = options;
    this.#options = shadow;
    this.#memory = memory;
    this.#state = state;
    this.#walker = new PageWalker(state, new ReadOnlyMemory(state, refusingBus), { pse36: features.pae });
    this.#decoder = new Decoder(rows, memory, renumber);
    this.#regionLog = new WriteLog(state.u8);
    this.#ownLog = new WriteLog(state.u8);
    // A table takes no plain functions: this module makes one of its own of each.
    const writer = new ModuleWriter(memory.buffer.byteLength / 65536);
    const imported = writer.importFunction("run", REGION_PARAMETERS, [I32]);
    const exported = writer.reserve(REGION_PARAMETERS, [I32]);
    writer.define(exported, [], [...REGION_PARAMETERS.flatMap((_, n) => [0x20, n]), 0x10, imported]);
    writer.exportFunction("run", exported);
    this.#wrapper = new WebAssembly.Module(writer.finish());
  }

  static async create(
    options: SoftwareCpuOptions,
    state: CpuState,
    rows: readonly Row[],
    shadowOptions: ShadowOptions = {},
  ): Promise<Shadow> {
    const pages = options.memory.buffer.byteLength / 65536;
    const generated = generateInterpreter(rows, pages, coreLibraries, { hasTlb: false });
    const shadow = new Shadow(options, state, rows, generated.renumber, shadowOptions);
    const module = await WebAssembly.compile(generated.bytes);
    const instance = new WebAssembly.Instance(module, { env: { memory: options.memory, ...shadow.#helpers() } });
    shadow.#run = instance.exports.run as (budget: number, entryRecord: number) => number;
    return shadow;
  }

  /** From regions, before they store. */
  readonly noteStore = (address: number, lengthBytes: number): number => {
    if (this.#isOn) this.#regionLog.note(address >>> 0, lengthBytes);
    return 0;
  };

  /** What stands in the table for a region's function. */
  wrap(region: RegionFunction): unknown {
    const run: RegionFunction = (eip, budget, tlb, dispatch, tlbCode) => {
      this.#isOn = this.#isChosen();
      if (!this.#isOn) {
        const left = region(eip, budget, tlb, dispatch, tlbCode);
        this.statistics.executed += budget - left;
        return left;
      }
      this.#before.set(this.#words());
      this.#before[(L.EIP - L.STATE) >> 2] = eip;
      this.#regionLog.clear();
      const left = region(eip, budget, tlb, dispatch, tlbCode);
      this.statistics.executed += budget - left;
      this.#repeat(budget - left);
      return left;
    };
    const env = { memory: this.#memory, run };
    return new WebAssembly.Instance(this.#wrapper, { env }).exports.run;
  }

  #isChosen(): boolean {
    const { every = 1, from = 0 } = this.#options;
    if (this.statistics.executed < from) return false;
    this.#choice = (Math.imul(this.#choice, 1664525) + 1013904223) | 0;
    return (this.#choice >>> 8) % every === 0;
  }

  #words(): Int32Array {
    return this.#state.i32.subarray(L.STATE >> 2, L.SCRATCH >> 2);
  }

  /** The region has executed so many instructions: the same again, and compare. */
  #repeat(count: number): void {
    const { i32 } = this.#state;
    const words = this.#words();
    const siteExit = i32[REGION_EXIT >> 2];
    const flags = this.#state.eflags;
    this.#byRegion.set(words);
    this.#regionLog.undo();
    const why = this.#execute(count);
    if (why !== "") this.#differ(count, why);
    if (siteExit !== 0) this.#repeatPartly(count);
    const at = this.#firstDifference(siteExit !== 0);
    if (at >= 0) this.#differ(count, `state at ${(L.STATE + at * 4).toString(16)}`);
    if (this.#state.eflags !== flags) this.#differ(count, "flags");
    // Of the instruction that it left for, a region may have done some stores: they are done again, and are the same ones.
    const address = this.#regionLog.firstDifference(this.#ownLog, siteExit !== 0);
    if (address >= 0) this.#differ(count, `memory at ${address.toString(16)}`);
    i32[REGION_EXIT >> 2] = siteExit;
    this.statistics.runs++;
    this.statistics.instructions += count;
    this.statistics.stores += this.#regionLog.count;
  }

  /** A region may leave in the middle of a string instruction's repetition, with some elements done: the same elements here. */
  #repeatPartly(count: number): void {
    const { i32 } = this.#state;
    const before = this.#state.reg32(ECX);
    const after = word(this.#byRegion, L.GPR + ECX * 8);
    if (before === after || this.#state.eip !== word(this.#byRegion, L.EIP) >>> 0 || !this.#isRepetition()) return;
    const at = L.FLAGS_RESULT >> 2;
    const flags = i32.slice(at, at + 3);
    const eip = this.#state.eip;
    // As if only those were asked for. Flags are the last element's business, EIP stays.
    this.#state.setReg32(ECX, before - after);
    const why = this.#runWhile(() => this.#state.eip === eip && this.#state.reg32(ECX) !== 0);
    if (why !== "") this.#differ(count, `the repetition behind them: ${why}`);
    if (this.#state.reg32(ECX) !== 0) this.#differ(count, "the repetition behind them ends early");
    this.#state.setReg32(ECX, after);
    this.#state.eip = eip;
    i32.set(flags, at);
  }

  /** Whether a string instruction with a repeat prefix stands at EIP. */
  #isRepetition(): boolean {
    const { u8 } = this.#state;
    const records = this.#decode();
    if (records === L.SHADOW_RECORDS + CROSSING_SLOT * SLOT_BYTES) return this.#isStringCode(this.#bytes, 0);
    const slot = (records - L.SHADOW_RECORDS) / SLOT_BYTES;
    return this.#isStringCode(u8, this.#tags[slot] >>> 0);
  }

  #isStringCode(bytes: Uint8Array, start: number): boolean {
    let isRepeated = false;
    for (let at = start; at < start + MAX_INSTRUCTION_BYTES; at++) {
      const byte = bytes[at];
      if (byte === 0xf2 || byte === 0xf3) isRepeated = true;
      else if (!PREFIXES.has(byte)) return isRepeated && byte >= 0xa4 && byte <= 0xaf && byte !== 0xa8 && byte !== 0xa9;
    }
    return false;
  }

  /** Executes from where the region began. Answers what was in the way, or "". */
  #execute(count: number): string {
    this.#words().set(this.#before);
    this.#ownLog.clear();
    return this.#runWhile((n) => n < count);
  }

  /** Executes instructions while `isWanted` (with how many there were). Answers what was in the way, or "". */
  #runWhile(isWanted: (n: number) => boolean): string {
    const { i32 } = this.#state;
    for (let n = 0; isWanted(n); n++) {
      if (this.#trace !== undefined) this.#note(n);
      try {
        const reason = this.#run(1, this.#decode());
        if (reason === exit.fault) return `instruction ${n} faults with vector ${i32[L.FAULT >> 2] - 1}`;
        if (reason === exit.leave || i32[BUDGET >> 2] !== 0) return `instruction ${n} does not complete (${reason})`;
      } catch (thrown) {
        if (!(thrown instanceof Refusal)) throw thrown;
        return `instruction ${n}: ${thrown.message}`;
      }
    }
    return "";
  }

  /**
   * The lazy flags may be written in several ways and are compared as flags; the interpreter's address slot is no state. A region
   * that leaves in front of an x87 instruction may have noted its address and opcode and cleared C1 and C2, as the interpreter is about to
   * do from the state without that.
   */
  #firstDifference(isInFront: boolean): number {
    const words = this.#words();
    const isNoted = isInFront && word(this.#byRegion, L.FPU_IP) === word(this.#byRegion, L.EIP);
    for (let n = 0; n < STATE_WORDS; n++) {
      const at = L.STATE + n * 4;
      if (isNoted && (at === L.FPU_STATUS || (at >= L.FPU_OPCODE && at <= L.FPU_DS))) continue;
      const isState = (at < L.FLAGS_RESULT || at > L.FLAGS_CARRY) && at !== L.GPR + R.SLOT_TEMPORARY;
      if (isState && words[n] !== this.#byRegion[n]) return n;
    }
    return -1;
  }

  // ---- the interpreter's memory ------------------------------------------------------------------------------------

  /** Host address of an access that stays within a page. */
  #host(linear: number, access: number): number {
    const walker = this.#walker;
    const sum = this.#state.isUser ? access + ACCESS_USER : access;
    if (!walker.lookup(linear, sum)) refuse(`page fault ${walker.errorCode} at ${(linear >>> 0).toString(16)}`);
    const entry = walker.gpaPage < 1 << 20 ? this.#state.u32[(L.PHYSICAL_MAP >> 2) + walker.gpaPage] : 0;
    if (entry === 0) refuse(`no memory at ${(linear >>> 0).toString(16)}`);
    if ((access & ACCESS_WRITE) !== 0) {
      if ((entry & L.PHYSICAL_WRITABLE) === 0) refuse(`ROM at ${(linear >>> 0).toString(16)} is written`);
      if ((entry & L.PHYSICAL_CODE) !== 0) refuse(`decoded code at ${(linear >>> 0).toString(16)} is written`);
    }
    return (entry & ~4095) + (linear & 4095);
  }

  /** Calls `body` with each part of an access: offset in it, host address, length. All parts are checked first. */
  #parts(linear: number, size: number, access: number, body: (at: number, host: number, length: number) => void): void {
    const first = Math.min(size, 4096 - (linear & 4095));
    const host = this.#host(linear, access) >>> 0;
    if (first === size) {
      body(0, host, size);
      return;
    }
    const second = this.#host((linear + first) | 0, access) >>> 0;
    body(0, host, first);
    body(first, second, size - first);
  }

  #read(linear: number, size: number, access: number): number {
    this.#parts(linear, size, access, (at, host, length) => {
      this.#state.u8.copyWithin(SLOW_VALUE + at, host, host + length);
    });
    return 0;
  }

  #write(linear: number, size: number): number {
    this.#parts(linear, size, ACCESS_WRITE, (at, host, length) => {
      this.#ownLog.note(host, length);
      this.#state.u8.copyWithin(host, SLOW_VALUE + at, SLOW_VALUE + at + length);
    });
    return 0;
  }

  /** A data segment register from a descriptor that may be used as it stands, which is what regions load. */
  #loadSegment(segment: number, selector: number): void {
    const state = this.#state;
    if (segment === L.SEG_CS || segment === L.SEG_SS || (selector & 4) !== 0) refuse(`segment ${segment} is loaded`);
    if ((selector & 0xfffc) === 0) {
      loadNull(state, segment, selector);
      return;
    }
    const bytes = new DataView(new ArrayBuffer(8));
    this.#parts((state.i32[L.GDTR_BASE >> 2] + (selector & 0xfff8)) | 0, 8, ACCESS_READ, (at, host, length) => {
      for (let n = 0; n < length; n++) bytes.setUint8(at + n, state.u8[host + n]);
    });
    const descriptor = new Descriptor();
    descriptor.low = bytes.getInt32(0, true);
    descriptor.high = bytes.getInt32(4, true);
    loadFromDescriptor(state, segment, selector, descriptor);
  }

  #helpers(): { [name: string]: (...args: number[]) => number } {
    const refused = Object.keys(helperArity).map((name) => [name, () => refuse(`${name} is wanted`)] as const);
    return {
      ...Object.fromEntries(refused),
      "slow-read": (address, size) => this.#read(address, size, ACCESS_READ),
      "slow-read-for-write": (address, size) => this.#read(address, size, ACCESS_WRITE),
      "slow-write": (address, size) => this.#write(address, size),
      "mov-to-segment": (segment, selector, nextEip) => {
        this.#loadSegment(segment, selector);
        this.#state.eip = nextEip;
        return status.refetch;
      },
      "pop-segment": (segment, width, nextEip) => {
        const state = this.#state;
        this.#read(state.reg32(ESP), 2, ACCESS_READ);
        this.#loadSegment(segment, state.u16[SLOW_VALUE >> 1]);
        state.setReg32(ESP, state.reg32(ESP) + width / 8);
        state.eip = nextEip;
        return status.refetch;
      },
      "check-segment": (segment, offset, size, isWrite) => {
        try {
          checkSegment(this.#state, segment, offset >>> 0, size, isWrite !== 0);
        } catch (thrown) {
          if (thrown instanceof CpuFault) refuse(`segment check, vector ${thrown.vector}`);
          throw thrown;
        }
        return 0;
      },
    };
  }

  // ---- decoding ----------------------------------------------------------------------------------------------------

  /** Records of the instruction at EIP: decoded from what stands there now. */
  #decode(): number {
    const state = this.#state;
    const { u8 } = state;
    const linear = (state.segmentBase(L.SEG_CS) + state.eip) | 0;
    const host = this.#host(linear, ACCESS_FETCH) >>> 0;
    const slot = ((host ^ (host >>> 11)) >>> 0) % SLOTS;
    const records = L.SHADOW_RECORDS + slot * SLOT_BYTES;
    if (this.#tags[slot] === (host | 0)) {
      const length = this.#lengths[slot];
      let n = 0;
      while (n < length && this.#code[slot * 16 + n] === u8[host + n]) n++;
      if (n === length) return records;
    }
    this.#tags[slot] = -1;
    const offset = linear & 4095;
    const end = host - offset + 4096;
    if (this.#decodeAt(u8, host, end, offset, records)) {
      const length = this.#decoder.result.lengthBytes;
      this.#tags[slot] = host | 0;
      this.#lengths[slot] = length;
      this.#code.set(u8.subarray(host, host + length), slot * 16);
      return records;
    }
    // In two pages.
    const bytes = this.#bytes;
    const first = 4096 - offset;
    const next = this.#host((linear + first) | 0, ACCESS_FETCH) >>> 0;
    for (let n = 0; n < MAX_INSTRUCTION_BYTES; n++) bytes[n] = u8[n < first ? host + n : next + n - first];
    const crossing = L.SHADOW_RECORDS + CROSSING_SLOT * SLOT_BYTES;
    if (!this.#decodeAt(bytes, 0, MAX_INSTRUCTION_BYTES, offset, crossing)) refuse("no instruction");
    return crossing;
  }

  #decodeAt(bytes: Uint8Array, at: number, end: number, offset: number, records: number): boolean {
    if (!this.#decoder.decode(bytes, at, end, offset, MODE, records)) return false;
    const { result } = this.#decoder;
    this.#decoder.writeSpecial(records + result.records * R.RECORD_BYTES, handler.stop, offset + result.lengthBytes);
    return true;
  }

  // ---- reports -----------------------------------------------------------------------------------------------------

  #note(n: number): void {
    const state = this.#state;
    const trace = this.#trace as string[];
    const eip = state.eip;
    const bytes: string[] = [];
    try {
      for (let at = 0; at < 8; at++) {
        const host = this.#host((state.segmentBase(L.SEG_CS) + eip + at) | 0, ACCESS_FETCH) >>> 0;
        bytes.push(state.u8[host].toString(16).padStart(2, "0"));
      }
    } catch (thrown) {
      if (!(thrown instanceof Refusal)) throw thrown;
    }
    const registers = NAMES.map((name, r) => `${name}=${hex(state.reg32(r))}`).join(" ");
    trace.push(`${n} ${hex(eip)}: ${bytes.join(" ")}  ${registers} flags=${hex(state.eflags)}`);
    if (trace.length > SHOWN * 2) trace.splice(SHOWN, 1);
  }

  #differ(count: number, what: string): never {
    const own = [...this.#words()];
    const ownFlags = this.#state.eflags;
    const ownStores = this.#ownLog.describe(false);
    // Once more from the beginning, with a trace.
    this.#ownLog.undo();
    this.#trace = [];
    this.#execute(count);
    const trace = this.#trace;
    this.#trace = undefined;
    const states = (words: ArrayLike<number>) =>
      [...NAMES.map((name, r) => `${name}=${hex(word(words, L.GPR + r * 8))}`), `eip=${hex(word(words, L.EIP))}`].join(
        " ",
      );
    const others: string[] = [];
    for (let n = 0; n < STATE_WORDS && others.length < 16; n++)
      if (own[n] !== this.#byRegion[n])
        others.push(`${hex(L.STATE + n * 4)}: region ${hex(this.#byRegion[n])}, interpreter ${hex(own[n])}`);
    throw new ShadowDifference(
      [
        `region and interpreter differ after ${count} instructions (${this.statistics.instructions} were compared): ${what}`,
        `began with   ${states(this.#before)}`,
        `region       ${states(this.#byRegion)}`,
        `interpreter  ${states(own)} flags=${hex(ownFlags)}`,
        "words of the state that differ (lazy flags may):",
        ...others,
        "last stores of the region:",
        ...this.#regionLog.describe(true),
        "last stores of the interpreter:",
        ...ownStores,
        "the interpreter's trace:",
        ...trace,
      ].join("\n"),
    );
  }
}

/** A word of a copy of the state block. */
const word = (words: ArrayLike<number>, offset: number): number => words[(offset - L.STATE) >> 2];

function hex(value: number): string {
  return (value >>> 0).toString(16).padStart(8, "0");
}
