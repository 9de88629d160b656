/**
 * A short way for what systems do all day: out of a flat program at level 3 through a 32-bit gate into a flat kernel at level 0, and back
 * with IRET. It decides nothing itself. The long way (interrupts.ts, far-transfer.ts) has checked everything once; as long as the registers and
 * the words in memory that it looked at are the same ones, what it loaded then is loaded again. Whatever is not in the TLB, split
 * by pages or otherwise special is the long way's again.
 */
import * as L from "../layout.ts";
import { type CpuState, deriveMode, FLAG_AC, FLAG_VM } from "../state.ts";
import type { Descriptor } from "./descriptor.ts";
import { dropInnerSegments } from "./segments.ts";

/** What both kernels and programs have that come this way, and what of the mode word the way may depend on. */
const FLAT = L.MODE_PROTECTED | L.MODE_FLAT | L.MODE_CODE32 | L.MODE_STACK32;
const RELEVANT = FLAT | L.MODE_USER | L.MODE_V86;
/** Registers that say where the tables are, as indices of words in the state block. */
const TABLE_REGISTERS: readonly number[] = [
  L.IDTR_BASE >> 2,
  L.IDTR_LIMIT >> 2,
  L.GDTR_BASE >> 2,
  L.GDTR_LIMIT >> 2,
  (L.SEG_BASE >> 2) + L.SEG_TR * 2,
  (L.SEG_LIMIT >> 2) + L.SEG_TR,
  (L.SEG_ATTRIBUTES >> 2) + L.SEG_TR,
];
/** A segment register: selector, base, limit, attributes, the two fast limits. */
const segmentRegister = (seg: number): readonly number[] => [
  (L.SEG_SELECTOR >> 2) + seg,
  (L.SEG_BASE >> 2) + seg * 2,
  (L.SEG_LIMIT >> 2) + seg,
  (L.SEG_ATTRIBUTES >> 2) + seg,
  (L.SEG_FAST_READ >> 2) + seg,
  (L.SEG_FAST_WRITE >> 2) + seg,
];
const CODE_SEGMENT = segmentRegister(L.SEG_CS);
const STACK_SEGMENT = segmentRegister(L.SEG_SS);
const SELECTOR_TI = 4;
/** Offsets of ESP0 and SS0 in a 32-bit TSS. */
const TSS_ESP0 = 4;
const TSS_SS0 = 8;

/** A segment register as the long way left it, and the descriptor that it came from. */
interface KnownSegment {
  readonly address: number;
  readonly low: number;
  readonly high: number;
  /** As `segmentRegister` names them. */
  readonly words: Int32Array;
}

interface KnownGate {
  readonly tables: Int32Array;
  readonly low: number;
  readonly high: number;
  /** INT n may use it from level 3. */
  readonly isOpen: boolean;
  readonly code: KnownSegment;
  readonly stack: KnownSegment;
  /** What stays of the system flags. */
  readonly keptFlags: number;
  readonly eip: number;
}

interface KnownReturn {
  readonly tables: Int32Array;
  readonly code: KnownSegment;
  readonly stack: KnownSegment;
}

export class KnownTransfers {
  readonly #state: CpuState;
  readonly #i32: Int32Array;
  /** By vector. */
  readonly #gates: (KnownGate | undefined)[] = new Array(256).fill(undefined);
  #return: KnownReturn | undefined;

  constructor(state: CpuState) {
    this.#state = state;
    this.#i32 = state.i32;
  }

  /** Goes through the gate if it is known; false: nothing has changed. `errorCode`: −1 for none. */
  enter(vector: number, flags: number, returnEip: number, errorCode: number, isSoftware: boolean): boolean {
    const known = this.#gates[vector];
    const i32 = this.#i32;
    const state = this.#state;
    if (
      known === undefined ||
      (state.mode & RELEVANT) !== (FLAT | L.MODE_USER) ||
      state.isAlignmentChecked ||
      (isSoftware && !known.isOpen) ||
      !this.#areTables(known.tables)
    )
      return false;
    const gate = this.#host((i32[L.IDTR_BASE >> 2] + vector * 8) | 0, 8);
    if (gate < 0 || i32[gate] !== known.low || i32[gate + 1] !== known.high) return false;
    if (!this.#isThere(known.code) || !this.#isThere(known.stack)) return false;
    const tss = this.#host((i32[(L.SEG_BASE >> 2) + L.SEG_TR * 2] + TSS_ESP0) | 0, 8);
    if (tss < 0 || (i32[tss + ((TSS_SS0 - TSS_ESP0) >> 2)] & 0xffff) !== known.stack.words[0]) return false;

    const frameBytes = errorCode === -1 ? 20 : 24;
    const esp = (i32[tss] - frameBytes) | 0;
    let at = this.#host(esp, frameBytes, L.TLB_WRITE_SUPERVISOR);
    if (at < 0) return false;
    if (errorCode !== -1) i32[at++] = errorCode;
    i32[at] = returnEip;
    i32[at + 1] = i32[(L.SEG_SELECTOR >> 2) + L.SEG_CS];
    i32[at + 2] = flags;
    i32[at + 3] = i32[(L.GPR >> 2) + 8];
    i32[at + 4] = i32[(L.SEG_SELECTOR >> 2) + L.SEG_SS];
    state.cpl = 0;
    state.setReg32(4, esp);
    this.#load(CODE_SEGMENT, known.code.words);
    this.#load(STACK_SEGMENT, known.stack.words);
    state.systemFlags &= known.keptFlags;
    state.eip = known.eip;
    i32[L.MODE >> 2] &= ~L.MODE_USER;
    return true;
  }

  /** The long way has just gone through a gate, from `modeBefore`; `keptFlags`: what it left of the system flags. */
  rememberGate(
    vector: number,
    modeBefore: number,
    gate: Descriptor,
    code: Descriptor,
    stack: Descriptor,
    keptFlags: number,
  ): void {
    const state = this.#state;
    const isUsual =
      gate.isWideGate &&
      state.cpl === 0 &&
      !state.isAlignmentChecked &&
      (modeBefore & RELEVANT) === (FLAT | L.MODE_USER) &&
      (state.mode & RELEVANT) === FLAT &&
      (state.segmentAttributes(L.SEG_TR) & 8) !== 0 &&
      this.#isUnlimited(L.SEG_CS) &&
      this.#isUnlimited(L.SEG_SS) &&
      ((state.segmentSelector(L.SEG_CS) | state.segmentSelector(L.SEG_SS)) & SELECTOR_TI) === 0;
    if (!isUsual) return;
    this.#gates[vector] = {
      tables: this.#words(TABLE_REGISTERS),
      low: gate.low,
      high: gate.high,
      isOpen: gate.dpl === 3,
      code: this.#segment(CODE_SEGMENT, code),
      stack: this.#segment(STACK_SEGMENT, stack),
      keptFlags,
      eip: gate.gateOffset,
    };
  }

  /** IRETD to the selectors that the last one went to; false: nothing has changed. `changed`: flags that it loads. */
  leave(changed: number): boolean {
    const known = this.#return;
    const i32 = this.#i32;
    const state = this.#state;
    if (known === undefined || (state.mode & RELEVANT) !== FLAT || state.isAlignmentChecked) return false;
    const at = this.#host(i32[(L.GPR >> 2) + 8], 20);
    if (at < 0) return false;
    const flags = i32[at + 2];
    if (
      (i32[at + 1] & 0xffff) !== known.code.words[0] ||
      (i32[at + 4] & 0xffff) !== known.stack.words[0] ||
      (flags & (FLAG_VM | FLAG_AC)) !== 0 ||
      !this.#areTables(known.tables) ||
      !this.#isThere(known.code) ||
      !this.#isThere(known.stack)
    )
      return false;
    const eip = i32[at];
    const esp = i32[at + 3];
    state.eflags = (state.eflags & ~changed) | (flags & changed);
    this.#load(CODE_SEGMENT, known.code.words);
    state.cpl = 3;
    state.eip = eip;
    this.#load(STACK_SEGMENT, known.stack.words);
    state.setReg32(4, esp);
    dropInnerSegments(state);
    deriveMode(state);
    return true;
  }

  /** The long way has just returned to level 3, from `modeBefore`. */
  rememberReturn(modeBefore: number, code: Descriptor, stack: Descriptor): void {
    const state = this.#state;
    const isUsual =
      state.cpl === 3 &&
      !state.isAlignmentChecked &&
      (modeBefore & RELEVANT) === FLAT &&
      this.#isUnlimited(L.SEG_CS) &&
      this.#isUnlimited(L.SEG_SS) &&
      (state.mode & (L.MODE_CODE32 | L.MODE_STACK32)) === (L.MODE_CODE32 | L.MODE_STACK32) &&
      ((state.segmentSelector(L.SEG_CS) | state.segmentSelector(L.SEG_SS)) & SELECTOR_TI) === 0;
    if (!isUsual) return;
    this.#return = {
      tables: this.#words(TABLE_REGISTERS),
      code: this.#segment(CODE_SEGMENT, code),
      stack: this.#segment(STACK_SEGMENT, stack),
    };
  }

  /** Index in 32-bit words of what stands at a linear address, if a table of the TLB leads there and it lies in one page; −1 if not. */
  #host(linear: number, bytes: number, table = L.TLB_READ_SUPERVISOR): number {
    const entry = this.#i32[(table >> 2) + (linear >>> 12)];
    if (entry === 0 || (linear & 3) !== 0 || (linear & 4095) + bytes > 4096) return -1;
    return ((linear + entry + L.TLB_BIAS) >>> 0) >> 2;
  }

  /** The descriptor is what it was. */
  #isThere({ address, low, high }: KnownSegment): boolean {
    const at = this.#host(address, 8);
    return at >= 0 && this.#i32[at] === low && this.#i32[at + 1] === high;
  }

  #words(registers: readonly number[]): Int32Array {
    return Int32Array.from(registers, (at) => this.#i32[at]);
  }

  #areTables(known: Int32Array): boolean {
    for (let n = 0; n < known.length; n++) if (this.#i32[TABLE_REGISTERS[n]] !== known[n]) return false;
    return true;
  }

  /** The segment begins at 0 and takes any offset. */
  #isUnlimited(seg: number): boolean {
    return this.#i32[(L.SEG_BASE >> 2) + seg * 2] === 0 && this.#i32[(L.SEG_LIMIT >> 2) + seg] === -1;
  }

  #segment(register: readonly number[], { address, low, high }: Descriptor): KnownSegment {
    return { address, low, high, words: this.#words(register) };
  }

  #load(register: readonly number[], words: Int32Array): void {
    for (let n = 0; n < words.length; n++) this.#i32[register[n]] = words[n];
  }
}
