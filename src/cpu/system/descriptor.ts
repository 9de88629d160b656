/**
 * Segment and gate descriptors in the GDT, LDT and IDT (Intel SDM volume 3, 3.4.5, 5.8, 6.11): fetching them, their
 * fields, the accessed bit. Table accesses are supervisor accesses whatever the privilege level.
 */
import { ATTRIBUTE_USABLE, GDTR_BASE, GDTR_LIMIT, SEG_LDTR } from "../layout.ts";
import type { CpuState } from "../state.ts";
import type { SystemContext } from "./context.ts";

/** Types of system descriptors. */
export const TYPE_TSS16_AVAILABLE = 1;
export const TYPE_LDT = 2;
export const TYPE_TSS16_BUSY = 3;
export const TYPE_CALL_GATE16 = 4;
export const TYPE_TASK_GATE = 5;
export const TYPE_INTERRUPT_GATE16 = 6;
export const TYPE_TRAP_GATE16 = 7;
export const TYPE_TSS32_AVAILABLE = 9;
export const TYPE_TSS32_BUSY = 11;
export const TYPE_CALL_GATE32 = 12;
export const TYPE_INTERRUPT_GATE32 = 14;
export const TYPE_TRAP_GATE32 = 15;

/** Selector without its RPL, as error codes carry it. */
export function selectorError(selector: number): number {
  return selector & 0xfffc;
}

export class Descriptor {
  /** Linear address of the descriptor (a 32-bit pattern, perhaps negative). */
  address = 0;
  low = 0;
  high = 0;

  /** S, clear for system segments and gates. */
  get isSegment(): boolean {
    return (this.high & 0x1000) !== 0;
  }
  get isSystem(): boolean {
    return (this.high & 0x1000) === 0;
  }
  get type(): number {
    return (this.high >> 8) & 15;
  }
  get dpl(): number {
    return (this.high >> 13) & 3;
  }
  get isPresent(): boolean {
    return (this.high & 0x8000) !== 0;
  }
  get isCode(): boolean {
    return (this.high & 0x1800) === 0x1800;
  }
  get isConformingCode(): boolean {
    return (this.high & 0x1c00) === 0x1c00;
  }
  get isWritableData(): boolean {
    return (this.high & 0x1a00) === 0x1200;
  }
  /** Data, or readable code. */
  get isReadable(): boolean {
    return (this.high & 0x1000) !== 0 && (this.high & 0x0a00) !== 0x0800;
  }
  get isBig(): boolean {
    return (this.high & 0x400000) !== 0;
  }
  /** Base, limit (in bytes, granularity applied) and gate offset are 32-bit patterns: `>>> 0` makes them unsigned. */
  get base(): number {
    return (this.low >>> 16) | ((this.high & 0xff) << 16) | (this.high & 0xff000000);
  }
  get limit(): number {
    const limit = (this.low & 0xffff) | (this.high & 0xf0000);
    return (this.high & 0x800000) !== 0 ? (limit << 12) | 0xfff : limit;
  }
  /** As SEG_ATTRIBUTES holds it, usable. */
  get attributes(): number {
    return ((this.high >>> 8) & 0xf0ff) | ATTRIBUTE_USABLE;
  }

  /** Of a gate: the code or TSS selector, the entry offset, the parameter count. */
  get gateSelector(): number {
    return this.low >>> 16;
  }
  get gateOffset(): number {
    return this.isWideGate ? (this.high & 0xffff0000) | (this.low & 0xffff) : this.low & 0xffff;
  }
  get gateParameters(): number {
    return this.high & 31;
  }
  /** A 32-bit gate or TSS. */
  get isWideGate(): boolean {
    return (this.high & 0x800) !== 0;
  }
}

/**
 * Reads the descriptor a selector names. False if it lies beyond its table's limit or its LDT is null; null selectors
 * are the caller's to refuse. May throw #PF.
 */
export function fetchDescriptor(context: SystemContext, selector: number, into: Descriptor): boolean {
  const { state, linear } = context;
  const offset = selector & 0xfff8;
  let address: number;
  if ((selector & 4) === 0) {
    if (offset + 7 > state.i32[GDTR_LIMIT >> 2]) return false;
    address = (state.i32[GDTR_BASE >> 2] + offset) | 0;
  } else {
    if ((state.segmentAttributes(SEG_LDTR) & ATTRIBUTE_USABLE) === 0) return false;
    if (offset + 7 > state.segmentLimit(SEG_LDTR)) return false;
    address = (state.segmentBase(SEG_LDTR) + offset) | 0;
  }
  into.address = address;
  into.low = linear.readInt32(address, false);
  into.high = linear.readInt32((address + 4) | 0, false);
  return true;
}

/** Sets the accessed bit of a code or data descriptor, in memory and in `descriptor`. May throw #PF. */
export function markAccessed(context: SystemContext, descriptor: Descriptor): void {
  if ((descriptor.high & 0x100) !== 0) return;
  descriptor.high |= 0x100;
  context.linear.write8((descriptor.address + 5) | 0, (descriptor.high >> 8) & 0xff, false);
}

/** Puts a descriptor into a segment register. CS and SS also need deriveMode. */
export function loadFromDescriptor(state: CpuState, seg: number, selector: number, descriptor: Descriptor): void {
  state.setSegment(seg, selector, descriptor.base, descriptor.limit, descriptor.attributes);
}

/** Makes a segment register null (unusable). */
export function loadNull(state: CpuState, seg: number, selector: number): void {
  state.setSegment(seg, selector, 0, 0, 0);
}
