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
const SEGMENT_WORDS = 6;
const SELECTOR_TI = 4;
/** Offsets of ESP0 and SS0 in a 32-bit TSS. */
const TSS_ESP0 = 4;
const TSS_SS0 = 8;

/** A segment register as the long way left it, and the descriptor that it came from. */
interface KnownSegment {
  readonly address: number;
  readonly low: number;
  readonly high: number;
  /** Selector, base, limit, attributes, the two fast limits. */
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
    this.#load(L.SEG_CS, known.code.words);
    this.#load(L.SEG_SS, known.stack.words);
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
      tables: this.#tables(),
      low: gate.low,
      high: gate.high,
      isOpen: gate.dpl === 3,
      code: this.#segment(L.SEG_CS, code),
      stack: this.#segment(L.SEG_SS, stack),
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
    this.#load(L.SEG_CS, known.code.words);
    state.cpl = 3;
    state.eip = eip;
    this.#load(L.SEG_SS, known.stack.words);
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
      tables: this.#tables(),
      code: this.#segment(L.SEG_CS, code),
      stack: this.#segment(L.SEG_SS, stack),
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

  /** Registers that say where the tables are. */
  #tables(): Int32Array {
    const i32 = this.#i32;
    const tr = L.SEG_TR;
    return Int32Array.of(
      i32[L.IDTR_BASE >> 2],
      i32[L.IDTR_LIMIT >> 2],
      i32[L.GDTR_BASE >> 2],
      i32[L.GDTR_LIMIT >> 2],
      i32[(L.SEG_BASE >> 2) + tr * 2],
      i32[(L.SEG_LIMIT >> 2) + tr],
      i32[(L.SEG_ATTRIBUTES >> 2) + tr],
    );
  }

  #areTables(known: Int32Array): boolean {
    const i32 = this.#i32;
    const tr = L.SEG_TR;
    return (
      i32[L.IDTR_BASE >> 2] === known[0] &&
      i32[L.IDTR_LIMIT >> 2] === known[1] &&
      i32[L.GDTR_BASE >> 2] === known[2] &&
      i32[L.GDTR_LIMIT >> 2] === known[3] &&
      i32[(L.SEG_BASE >> 2) + tr * 2] === known[4] &&
      i32[(L.SEG_LIMIT >> 2) + tr] === known[5] &&
      i32[(L.SEG_ATTRIBUTES >> 2) + tr] === known[6]
    );
  }

  /** The segment begins at 0 and takes any offset. */
  #isUnlimited(seg: number): boolean {
    return this.#i32[(L.SEG_BASE >> 2) + seg * 2] === 0 && this.#i32[(L.SEG_LIMIT >> 2) + seg] === -1;
  }

  #segment(seg: number, { address, low, high }: Descriptor): KnownSegment {
    const i32 = this.#i32;
    const words = new Int32Array(SEGMENT_WORDS);
    words[0] = i32[(L.SEG_SELECTOR >> 2) + seg];
    words[1] = i32[(L.SEG_BASE >> 2) + seg * 2];
    words[2] = i32[(L.SEG_LIMIT >> 2) + seg];
    words[3] = i32[(L.SEG_ATTRIBUTES >> 2) + seg];
    words[4] = i32[(L.SEG_FAST_READ >> 2) + seg];
    words[5] = i32[(L.SEG_FAST_WRITE >> 2) + seg];
    return { address, low, high, words };
  }

  #load(seg: number, words: Int32Array): void {
    const i32 = this.#i32;
    i32[(L.SEG_SELECTOR >> 2) + seg] = words[0];
    i32[(L.SEG_BASE >> 2) + seg * 2] = words[1];
    i32[(L.SEG_LIMIT >> 2) + seg] = words[2];
    i32[(L.SEG_ATTRIBUTES >> 2) + seg] = words[3];
    i32[(L.SEG_FAST_READ >> 2) + seg] = words[4];
    i32[(L.SEG_FAST_WRITE >> 2) + seg] = words[5];
  }
}
