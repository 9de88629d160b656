/**
 * The exact segment check of a memory access (Intel SDM volume 3, 5.3–5.5 and 6.15): what the fast limits of layout.ts
 * let through without asking, and what they refuse, decided here. Alignment check (#AC) included.
 */
import { ATTRIBUTE_USABLE, CR0, SEG_SS } from "../layout.ts";
import {
  ATTRIBUTE_BIG,
  ATTRIBUTE_CODE,
  ATTRIBUTE_EXPAND_DOWN,
  ATTRIBUTE_WRITABLE,
  type CpuState,
  CR0_PE,
} from "../state.ts";
import { CpuFault, VECTOR_AC, VECTOR_GP, VECTOR_SS } from "../system/fault.ts";

/**
 * Checks an access of `sizeBytes` at offset `ea` of a segment and answers the linear address; throws #GP(0), #SS(0) for
 * the stack segment, or #AC(0).
 */
export function checkSegment(state: CpuState, seg: number, ea: number, sizeBytes: number, isWrite: boolean): number {
  if (!isWithinSegment(state, seg, ea >>> 0, sizeBytes, isWrite))
    throw new CpuFault(seg === SEG_SS ? VECTOR_SS : VECTOR_GP, 0);
  const linear = (state.segmentBase(seg) + ea) >>> 0;
  if (state.isAlignmentChecked && !isAligned(linear, sizeBytes)) throw new CpuFault(VECTOR_AC, 0);
  return linear;
}

/** Table 6-7 of the manual (alignment requirements by data type), by the sizes that only one type has. */
function isAligned(linear: number, sizeBytes: number): boolean {
  switch (sizeBytes) {
    case 2:
    case 4:
    case 8:
      return (linear & (sizeBytes - 1)) === 0;
    case 10: // extended precision, packed decimal
      return (linear & 7) === 0;
    case 6: // SGDT, SIDT: a word, then a doubleword
      return (linear & 3) === 2;
    case 14: // FSTENV, FSAVE and their loads, by operand size
    case 94:
      return (linear & 1) === 0;
    case 28:
    case 108:
      return (linear & 3) === 0;
    default:
      return true;
  }
}

/** True if the segment is usable for such an access and its limit covers it. */
export function isWithinSegment(
  state: CpuState,
  seg: number,
  ea: number,
  sizeBytes: number,
  isWrite: boolean,
): boolean {
  const limit = state.segmentLimit(seg);
  const last = ea + sizeBytes - 1;
  if ((state.i32[CR0 >> 2] & CR0_PE) === 0) return isUpTo(last, limit);
  const attributes = state.segmentAttributes(seg);
  if ((attributes & ATTRIBUTE_USABLE) === 0) return false;
  if ((attributes & ATTRIBUTE_CODE) !== 0) {
    if (isWrite || (attributes & ATTRIBUTE_WRITABLE) === 0) return false;
    return isUpTo(last, limit);
  }
  if (isWrite && (attributes & ATTRIBUTE_WRITABLE) === 0) return false;
  if ((attributes & ATTRIBUTE_EXPAND_DOWN) === 0) return isUpTo(last, limit);
  return ea > limit && last <= ((attributes & ATTRIBUTE_BIG) !== 0 ? 0xffffffff : 0xffff);
}

/** With a limit of 4 GiB the processor lets accesses wrap around the end of the segment. */
function isUpTo(last: number, limit: number): boolean {
  return last <= limit || limit === 0xffffffff;
}
