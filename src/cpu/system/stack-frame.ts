/**
 * Pushing and popping by far transfers, interrupts and task switches: every slot is checked (segment limit, page
 * protection) before the first byte is written, so that a fault leaves no trace.
 */
import { SEG_SS } from "../layout.ts";
import type { LinearMemory } from "../mmu/linear-memory.ts";
import { ATTRIBUTE_BIG, ATTRIBUTE_EXPAND_DOWN, type CpuState, CR0_PE } from "../state.ts";
import type { Descriptor } from "./descriptor.ts";
import { CpuFault, VECTOR_AC, VECTOR_SS } from "./fault.ts";

export class StackFrame {
  #linear: LinearMemory;
  #state: CpuState;
  #base = 0;
  #limit = 0;
  #attributes = 0;
  /** Offset mask: FFFFFFFFh or FFFFh. */
  #mask = 0;
  #user = false;
  /** Error code of the #SS for a violation here. */
  #error = 0;
  /** The stack pointer as pushes and pops move it (masked); stored by `commit` or by the caller. */
  pointer = 0;
  /** The stack segment's B bit: which part of ESP belongs to the stack. */
  isBig = false;

  constructor(state: CpuState, linear: LinearMemory) {
    this.#state = state;
    this.#linear = linear;
  }

  /** Works on the current stack at the current privilege. */
  useCurrent(error: number): void {
    const state = this.#state;
    this.#use(
      state.segmentBase(SEG_SS),
      state.segmentLimit(SEG_SS),
      state.segmentAttributes(SEG_SS),
      state.isUser,
      error,
    );
    this.pointer = state.stackPointer(this.isBig);
  }

  /** Works on a stack that is about to become the current one. */
  useNew(descriptor: Descriptor, pointer: number, cpl: number, error: number): void {
    this.#use(descriptor.base, descriptor.limit, descriptor.attributes, cpl === 3, error);
    this.pointer = (pointer & this.#mask) >>> 0;
  }

  #use(base: number, limit: number, attributes: number, user: boolean, error: number): void {
    this.#base = base;
    this.#limit = limit;
    this.#attributes = attributes;
    this.isBig = (attributes & ATTRIBUTE_BIG) !== 0;
    this.#mask = this.isBig ? -1 : 0xffff;
    this.#user = user;
    this.#error = error;
  }

  #check(offset: number, sizeBytes: number): number {
    const last = offset + sizeBytes - 1;
    const limit = this.#limit;
    const isInside =
      (this.#attributes & ATTRIBUTE_EXPAND_DOWN) === 0 || (this.#state.cr0 & CR0_PE) === 0
        ? last <= limit || limit === 0xffffffff
        : offset > limit && last <= (this.isBig ? 0xffffffff : 0xffff);
    if (!isInside) throw new CpuFault(VECTOR_SS, this.#error);
    const linear = (this.#base + offset) >>> 0;
    if (this.#user && this.#state.isAlignmentChecked && (linear & (sizeBytes - 1)) !== 0)
      throw new CpuFault(VECTOR_AC, 0);
    return linear;
  }

  /** Checks that `slots` pushes of `sizeBytes` each will succeed. */
  checkPushes(slots: number, sizeBytes: number): void {
    let offset = this.pointer;
    for (let i = 0; i < slots; i++) {
      offset = ((offset - sizeBytes) & this.#mask) >>> 0;
      this.#linear.probe(this.#check(offset, sizeBytes), sizeBytes, true, this.#user);
    }
  }

  /** A push that `checkPushes` has covered. */
  push(value: number, sizeBytes: number): void {
    this.pointer = ((this.pointer - sizeBytes) & this.#mask) >>> 0;
    const linear = (this.#base + this.pointer) >>> 0;
    if (sizeBytes === 4) this.#linear.write32(linear, value, this.#user);
    else this.#linear.write16(linear, value, this.#user);
  }

  /** The value `depthBytes` above the pointer, which stays. */
  peek(depthBytes: number, sizeBytes: number): number {
    const linear = this.#check(((this.pointer + depthBytes) & this.#mask) >>> 0, sizeBytes);
    return sizeBytes === 4 ? this.#linear.read32(linear, this.#user) : this.#linear.read16(linear, this.#user);
  }

  pop(sizeBytes: number): number {
    const value = this.peek(0, sizeBytes);
    this.skip(sizeBytes);
    return value;
  }

  /** Moves the pointer up. */
  skip(bytes: number): void {
    this.pointer = ((this.pointer + bytes) & this.#mask) >>> 0;
  }

  /** Stores the pointer into ESP or SP. */
  commit(): void {
    this.#state.setStackPointer(this.isBig, this.pointer);
  }
}
