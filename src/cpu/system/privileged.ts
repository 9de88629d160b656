/**
 * Instructions whose effect depends on IOPL, CPL and V86 mode: port permission, CLI, STI, PUSHF, POPF; SYSENTER and
 * SYSEXIT (Intel SDM volume 2; volume 1, chapter 19). VME and PVI do not exist here.
 */
import {
  ATTRIBUTE_USABLE,
  MODE_PROTECTED,
  SEG_CS,
  SEG_SS,
  SEG_TR,
  SYSENTER_CS,
  SYSENTER_EIP,
  SYSENTER_ESP,
} from "../layout.ts";
import {
  type CpuState,
  deriveMode,
  FLAG_AC,
  FLAG_DF,
  FLAG_ID,
  FLAG_IF,
  FLAG_IOPL,
  FLAG_NT,
  FLAG_RF,
  FLAG_TF,
  FLAG_VIF,
  FLAG_VIP,
  FLAG_VM,
  FLAGS_ARITHMETIC,
} from "../state.ts";
import type { SystemContext } from "./context.ts";
import { generalProtection } from "./fault.ts";

/**
 * #GP(0) unless the running program may access ports [port, port+sizeBytes): IOPL, or the TSS's permission bitmap. Always
 * the bitmap in V86 mode.
 */
export function checkPort(context: SystemContext, port: number, sizeBytes: number): void {
  const { state, linear } = context;
  if (state.cpl <= state.iopl && !state.isV86) return;
  const attributes = state.segmentAttributes(SEG_TR);
  const limit = state.segmentLimit(SEG_TR);
  const isTss32 = (attributes & ATTRIBUTE_USABLE) !== 0 && (attributes & 8) !== 0;
  if (!isTss32 || limit < 0x67) throw generalProtection();
  const base = state.segmentBase(SEG_TR);
  const offset = linear.read16((base + 0x66) >>> 0, false) + (port >>> 3);
  // The processor always reads two bytes.
  if (offset + 1 > limit) throw generalProtection();
  const bits = linear.read16((base + offset) >>> 0, false) >>> (port & 7);
  if ((bits & ((1 << sizeBytes) - 1)) !== 0) throw generalProtection();
}

/** #GP(0) unless CLI and STI are allowed. */
function checkInterruptFlag(state: CpuState): void {
  if (state.isV86 ? state.iopl !== 3 : state.cpl > state.iopl) throw generalProtection();
}

/** CLI. EIP is the caller's. */
export function clearInterruptFlag(state: CpuState): void {
  checkInterruptFlag(state);
  state.systemFlags &= ~FLAG_IF;
}

/** STI: the next instruction still runs with interrupts held off if they were. EIP is the caller's. */
export function setInterruptFlag(state: CpuState): void {
  checkInterruptFlag(state);
  const flags = state.systemFlags;
  if ((flags & FLAG_IF) === 0) state.interruptShadow = 1;
  state.systemFlags = flags | FLAG_IF;
}

/** PUSHF and PUSHFD: the image to push. */
export function pushedFlags(state: CpuState): number {
  if (state.isV86 && state.iopl !== 3) throw generalProtection();
  return state.eflags & ~(FLAG_VM | FLAG_RF);
}

const POPF_ALWAYS = FLAGS_ARITHMETIC | FLAG_TF | FLAG_DF | FLAG_NT;

/** POPF and POPFD (`operandBytes` 2 or 4): stores the popped image by the rules of the mode. May change the mode word. */
export function popFlags(state: CpuState, image: number, operandBytes: number): void {
  let changed = POPF_ALWAYS;
  if (operandBytes === 4) changed |= FLAG_AC | FLAG_ID;
  if (state.isV86) {
    if (state.iopl !== 3) throw generalProtection();
    changed |= FLAG_IF;
  } else {
    if (state.cpl <= state.iopl) changed |= FLAG_IF;
    if (state.cpl === 0) changed |= FLAG_IOPL;
  }
  const old = state.eflags;
  let next = (old & ~changed) | (image & changed);
  next &= ~FLAG_RF;
  if (operandBytes === 4 && !state.isV86) next &= ~(FLAG_VIF | FLAG_VIP);
  state.eflags = next;
  if (((old ^ next) & FLAG_AC) !== 0) deriveMode(state);
}

/** Flat code and data, 32-bit, as SYSENTER and SYSEXIT load them without looking at descriptors. */
const FLAT_CODE = 0xc09b | ATTRIBUTE_USABLE;
const FLAT_DATA = 0xc093 | ATTRIBUTE_USABLE;
const DPL3 = 0x60;

/** SYSENTER. */
export function systemEnter(state: CpuState): void {
  const selector = state.i32[SYSENTER_CS >> 2] & 0xfffc;
  if ((state.mode & MODE_PROTECTED) === 0 || selector === 0) throw generalProtection();
  state.systemFlags &= ~(FLAG_VM | FLAG_IF | FLAG_RF);
  state.cpl = 0;
  state.setSegment(SEG_CS, selector, 0, 0xffffffff, FLAT_CODE);
  state.setSegment(SEG_SS, (selector + 8) & 0xffff, 0, 0xffffffff, FLAT_DATA);
  state.setReg32(4, state.i32[SYSENTER_ESP >> 2]);
  state.eip = state.i32[SYSENTER_EIP >> 2];
  deriveMode(state);
}

/** SYSEXIT: to EDX on the stack ECX. */
export function systemExit(state: CpuState): void {
  const selector = state.i32[SYSENTER_CS >> 2] & 0xfffc;
  if ((state.mode & MODE_PROTECTED) === 0 || selector === 0 || state.cpl !== 0) throw generalProtection();
  state.cpl = 3;
  state.setSegment(SEG_CS, ((selector + 16) & 0xffff) | 3, 0, 0xffffffff, FLAT_CODE | DPL3);
  state.setSegment(SEG_SS, ((selector + 24) & 0xffff) | 3, 0, 0xffffffff, FLAT_DATA | DPL3);
  state.setReg32(4, state.reg32(1));
  state.eip = state.reg32(2);
  deriveMode(state);
}
