/**
 * Loading segment registers and asking about selectors (Intel SDM volume 3, 5.2–5.6; volume 2, MOV, LLDT, LTR, LAR, LSL,
 * VERR, VERW, ARPL). None of these functions touches EIP.
 */
import { ATTRIBUTE_USABLE, SEG_CS, SEG_LDTR, SEG_SS, SEG_TR } from "../layout.ts";
import { ATTRIBUTE_BIG, ATTRIBUTE_GRANULAR, type CpuState, deriveFlat, FLAG_ZF, V86_ATTRIBUTES } from "../state.ts";
import type { SystemContext } from "./context.ts";
import {
  Descriptor,
  fetchDescriptor,
  loadFromDescriptor,
  loadNull,
  markAccessed,
  selectorError,
  TYPE_CALL_GATE16,
  TYPE_CALL_GATE32,
  TYPE_LDT,
  TYPE_TASK_GATE,
  TYPE_TSS16_AVAILABLE,
  TYPE_TSS16_BUSY,
  TYPE_TSS32_AVAILABLE,
  TYPE_TSS32_BUSY,
} from "./descriptor.ts";
import { CpuFault, undefinedOpcode, VECTOR_GP, VECTOR_NP, VECTOR_SS } from "./fault.ts";

const scratch = new Descriptor();

/**
 * Loads a segment register in real or V86 mode: base = selector × 16. Real mode keeps limit and size ("unreal" segments
 * survive); V86 mode fixes both. CS and SS also need deriveMode.
 */
export function loadRealSegment(state: CpuState, seg: number, selector: number): void {
  const base = (selector & 0xffff) << 4;
  if (state.isV86) {
    state.setSegment(seg, selector & 0xffff, base, 0xffff, V86_ATTRIBUTES);
    return;
  }
  const kept = state.segmentAttributes(seg) & (ATTRIBUTE_BIG | ATTRIBUTE_GRANULAR);
  state.setSegment(seg, selector & 0xffff, base, state.segmentLimit(seg), kept | 0x93 | ATTRIBUTE_USABLE);
}

/**
 * MOV/POP/LDS… to ES, SS, DS, FS or GS in the current mode. The caller has refused CS (#UD), advances EIP and, for SS,
 * sets the interrupt shadow.
 */
export function loadSegment(context: SystemContext, seg: number, selector: number): void {
  const { state } = context;
  if (!state.isProtected) loadRealSegment(state, seg, selector);
  else if (seg === SEG_SS) loadStackSegment(context, selector);
  else loadDataSegment(context, seg, selector);
  deriveFlat(state);
}

function loadStackSegment(context: SystemContext, selector: number): void {
  const { state } = context;
  if ((selector & 0xfffc) === 0) throw new CpuFault(VECTOR_GP, 0);
  checkStackDescriptor(context, selector, state.cpl, VECTOR_GP, scratch, 0);
  markAccessed(context, scratch);
  loadFromDescriptor(state, SEG_SS, selector, scratch);
}

/**
 * Fetches and checks the descriptor of a stack segment for privilege level `cpl`: `vector` (#GP or #TS) for a bad one,
 * #SS for one that is not present. The caller has refused null. `ext` is ORed into error codes.
 */
export function checkStackDescriptor(
  context: SystemContext,
  selector: number,
  cpl: number,
  vector: number,
  into: Descriptor,
  ext: number,
): void {
  const error = selectorError(selector) | ext;
  if (!fetchDescriptor(context, selector, into)) throw new CpuFault(vector, error);
  if ((selector & 3) !== cpl || !into.isWritableData || into.dpl !== cpl) throw new CpuFault(vector, error);
  if (!into.isPresent) throw new CpuFault(VECTOR_SS, error);
}

function loadDataSegment(context: SystemContext, seg: number, selector: number): void {
  const { state } = context;
  if ((selector & 0xfffc) === 0) {
    loadNull(state, seg, selector & 0xffff);
    return;
  }
  checkDataDescriptor(context, selector, state.cpl, VECTOR_GP, scratch, 0);
  markAccessed(context, scratch);
  loadFromDescriptor(state, seg, selector, scratch);
}

/** As checkStackDescriptor, for DS, ES, FS, GS: `vector` (#GP or #TS) for a bad descriptor, #NP for an absent one. */
export function checkDataDescriptor(
  context: SystemContext,
  selector: number,
  cpl: number,
  vector: number,
  into: Descriptor,
  ext: number,
): void {
  const error = selectorError(selector) | ext;
  if (!fetchDescriptor(context, selector, into) || !into.isReadable) throw new CpuFault(vector, error);
  if (!into.isConformingCode && Math.max(cpl, selector & 3) > into.dpl) throw new CpuFault(vector, error);
  if (!into.isPresent) throw new CpuFault(VECTOR_NP, error);
}

/**
 * After a return to a less privileged level: data segment registers that the new level may not use become null.
 */
export function dropInnerSegments(state: CpuState): void {
  for (let seg = 0; seg < 6; seg++) {
    if (seg === SEG_CS || seg === SEG_SS) continue;
    const attributes = state.segmentAttributes(seg);
    if ((attributes & ATTRIBUTE_USABLE) === 0) continue;
    const isConformingCode = (attributes & 0x1c) === 0x1c;
    if (!isConformingCode && ((attributes >> 5) & 3) < state.cpl) loadNull(state, seg, 0);
  }
}

/** #UD unless in protected mode: LLDT, LTR, SLDT, STR, LAR, LSL, VERR, VERW, ARPL exist only there. */
export function requireProtectedMode(state: CpuState): void {
  if (!state.isProtected) throw undefinedOpcode();
}

/** LLDT. */
export function loadLdtr(context: SystemContext, selector: number): void {
  const { state } = context;
  requireProtectedMode(state);
  if (state.cpl !== 0) throw new CpuFault(VECTOR_GP, 0);
  if ((selector & 0xfffc) === 0) {
    loadNull(state, SEG_LDTR, selector & 0xffff);
    return;
  }
  const error = selectorError(selector);
  if ((selector & 4) !== 0 || !fetchDescriptor(context, selector, scratch)) throw new CpuFault(VECTOR_GP, error);
  if (!scratch.isSystem || scratch.type !== TYPE_LDT) throw new CpuFault(VECTOR_GP, error);
  if (!scratch.isPresent) throw new CpuFault(VECTOR_NP, error);
  loadFromDescriptor(state, SEG_LDTR, selector & 0xffff, scratch);
}

/** LTR: the TSS becomes busy. */
export function loadTaskRegister(context: SystemContext, selector: number): void {
  const { state, linear } = context;
  requireProtectedMode(state);
  if (state.cpl !== 0) throw new CpuFault(VECTOR_GP, 0);
  const error = selectorError(selector);
  if (error === 0) throw new CpuFault(VECTOR_GP, 0);
  if ((selector & 4) !== 0 || !fetchDescriptor(context, selector, scratch)) throw new CpuFault(VECTOR_GP, error);
  const { type } = scratch;
  if (!scratch.isSystem || (type !== TYPE_TSS16_AVAILABLE && type !== TYPE_TSS32_AVAILABLE))
    throw new CpuFault(VECTOR_GP, error);
  if (!scratch.isPresent) throw new CpuFault(VECTOR_NP, error);
  scratch.high |= 0x200;
  linear.write8((scratch.address + 5) | 0, (scratch.high >> 8) & 0xff, false);
  loadFromDescriptor(state, SEG_TR, selector & 0xffff, scratch);
}

function setZero(state: CpuState, isSet: boolean): boolean {
  const flags = state.eflags;
  state.eflags = isSet ? flags | FLAG_ZF : flags & ~FLAG_ZF;
  return isSet;
}

/** Fetches a descriptor for LAR, LSL, VERR, VERW and applies the privilege check they share. */
function isVisible(context: SystemContext, selector: number): boolean {
  requireProtectedMode(context.state);
  if ((selector & 0xfffc) === 0 || !fetchDescriptor(context, selector, scratch)) return false;
  return scratch.isConformingCode || Math.max(context.state.cpl, selector & 3) <= scratch.dpl;
}

/** LAR: sets ZF; the access rights (mask with FF00h for 16-bit operands) if ZF, else -1 and the register stays. */
export function loadAccessRights(context: SystemContext, selector: number): number {
  const ok = isVisible(context, selector) && (scratch.isSegment || LAR_TYPES.has(scratch.type));
  return setZero(context.state, ok) ? scratch.high & 0x00f0ff00 : -1;
}
const LAR_TYPES = new Set([
  TYPE_TSS16_AVAILABLE,
  TYPE_LDT,
  TYPE_TSS16_BUSY,
  TYPE_CALL_GATE16,
  TYPE_TASK_GATE,
  TYPE_TSS32_AVAILABLE,
  TYPE_TSS32_BUSY,
  TYPE_CALL_GATE32,
]);

/** LSL: sets ZF; the byte-granular limit (unsigned) if ZF, else -1 and the register stays. */
export function loadSegmentLimit(context: SystemContext, selector: number): number {
  const ok = isVisible(context, selector) && (scratch.isSegment || LSL_TYPES.has(scratch.type));
  return setZero(context.state, ok) ? scratch.limit >>> 0 : -1;
}
const LSL_TYPES = new Set([TYPE_TSS16_AVAILABLE, TYPE_LDT, TYPE_TSS16_BUSY, TYPE_TSS32_AVAILABLE, TYPE_TSS32_BUSY]);

/** VERR: sets ZF if the segment can be read. */
export function verifyRead(context: SystemContext, selector: number): void {
  setZero(context.state, isVisible(context, selector) && scratch.isReadable);
}

/** VERW: sets ZF if the segment can be written. */
export function verifyWrite(context: SystemContext, selector: number): void {
  setZero(context.state, isVisible(context, selector) && scratch.isWritableData);
}

/** ARPL: sets ZF; the destination selector with its RPL raised to the source's if it was lower. */
export function adjustRpl(state: CpuState, destination: number, source: number): number {
  requireProtectedMode(state);
  const isLower = (destination & 3) < (source & 3);
  setZero(state, isLower);
  return isLower ? (destination & ~3) | (source & 3) : destination;
}
