/**
 * Pushing and popping by far transfers, interrupts and task switches: every slot is checked (segment limit, page
 * protection) before the first byte is written, so that a fault leaves no trace.
 */
import { GPR, SEG_BASE, SEG_LIMIT, SEG_SS } from "../layout.ts";
import type { LinearMemory } from "../mmu/linear-memory.ts";
import { ATTRIBUTE_BIG, ATTRIBUTE_EXPAND_DOWN, type CpuState, CR0_PE } from "../state.ts";
import type { Descriptor } from "./descriptor.ts";
import { CpuFault, VECTOR_AC, VECTOR_SS } from "./fault.ts";

/** Offsets, base and limit are 32-bit patterns here: small integers keep this path free of allocation. */
export class StackFrame {
  readonly #linear: LinearMemory;
  readonly #state: CpuState;
  #base = 0;
  #limit = 0;
  #isExpandDown = false;
  /** Offset mask: FFFFFFFFh or FFFFh. */
  #mask = 0;
  #user = false;
  /** Error code of the #SS for a violation here. */
  #error = 0;
  /** The stack pointer as pushes and pops move it. */
  #pointer = 0;
  /** The stack segment's B bit: which part of ESP belongs to the stack. */
  isBig = false;

  constructor(state: CpuState, linear: LinearMemory) {
    this.#state = state;
    this.#linear = linear;
  }

  /** Works on the current stack at the current privilege. */
  useCurrent(error: number): void {
    const state = this.#state;
    const { i32 } = state;
    const attributes = state.segmentAttributes(SEG_SS);
    this.#use(i32[(SEG_BASE >> 2) + SEG_SS * 2], i32[(SEG_LIMIT >> 2) + SEG_SS], attributes, state.isUser, error);
    this.#pointer = i32[(GPR >> 2) + 8] & this.#mask;
  }

  /** Works on a stack that is about to become the current one. */
  useNew(descriptor: Descriptor, pointer: number, cpl: number, error: number): void {
    this.#use(descriptor.base, descriptor.limit, descriptor.attributes, cpl === 3, error);
    this.#pointer = pointer & this.#mask;
  }

  #use(base: number, limit: number, attributes: number, user: boolean, error: number): void {
    this.#base = base;
    this.#limit = limit;
    // Real mode looks at limits only.
    this.#isExpandDown = (attributes & ATTRIBUTE_EXPAND_DOWN) !== 0 && (this.#state.cr0 & CR0_PE) !== 0;
    this.isBig = (attributes & ATTRIBUTE_BIG) !== 0;
    this.#mask = this.isBig ? -1 : 0xffff;
    this.#user = user;
    this.#error = error;
  }

  #isInside(offset: number, sizeBytes: number): boolean {
    const limit = this.#limit;
    const last = (offset >>> 0) + sizeBytes - 1;
    if (!this.#isExpandDown) return limit === -1 || last <= limit >>> 0;
    return offset >>> 0 > limit >>> 0 && last <= (this.isBig ? 0xffffffff : 0xffff);
  }

  /** Linear address of an access, or throws #SS or #AC. */
  #check(offset: number, sizeBytes: number): number {
    if (!this.#isInside(offset, sizeBytes)) throw new CpuFault(VECTOR_SS, this.#error);
    const linear = (this.#base + offset) | 0;
    if (this.#user && this.#state.isAlignmentChecked && (linear & (sizeBytes - 1)) !== 0)
      throw new CpuFault(VECTOR_AC, 0);
    return linear;
  }

  /** Checks that `slots` pushes of `sizeBytes` each will succeed. */
  checkPushes(slots: number, sizeBytes: number): void {
    const total = slots * sizeBytes;
    const lowest = ((this.#pointer - total) & this.#mask) | 0;
    const top = this.#check(((this.#pointer - sizeBytes) & this.#mask) | 0, sizeBytes);
    const bottom = (this.#base + lowest) | 0;
    // Nearly always the frame neither wraps nor crosses a page: then one check of each kind does.
    if (top - bottom === total - sizeBytes && (bottom & 0xfff) + total <= 4096 && this.#isInside(lowest, total)) {
      this.#linear.probe(top, sizeBytes, true, this.#user);
      return;
    }
    let offset = this.#pointer;
    for (let i = 0; i < slots; i++) {
      offset = ((offset - sizeBytes) & this.#mask) | 0;
      this.#linear.probe(this.#check(offset, sizeBytes), sizeBytes, true, this.#user);
    }
  }

  /** A push that `checkPushes` has covered. */
  push(value: number, sizeBytes: number): void {
    this.#pointer = ((this.#pointer - sizeBytes) & this.#mask) | 0;
    const linear = (this.#base + this.#pointer) | 0;
    if (sizeBytes === 4) this.#linear.write32(linear, value, this.#user);
    else this.#linear.write16(linear, value, this.#user);
  }

  /** The value `depthBytes` above the pointer, which stays: a 32-bit pattern. */
  peek(depthBytes: number, sizeBytes: number): number {
    const linear = this.#check(((this.#pointer + depthBytes) & this.#mask) | 0, sizeBytes);
    return sizeBytes === 4 ? this.#linear.readInt32(linear, this.#user) : this.#linear.read16(linear, this.#user);
  }

  /** Moves the pointer up. */
  skip(bytes: number): void {
    this.#pointer = ((this.#pointer + bytes) & this.#mask) | 0;
  }

  /** Stores the pointer into ESP or SP. */
  commit(): void {
    this.#state.setStackPointer(this.isBig, this.#pointer);
  }
}
