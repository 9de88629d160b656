/**
 * Debug registers (Intel SDM volume 3, chapter 18): access rules, and which accesses hit a breakpoint. When to look is
 * the engine's: `instructionHits` before an instruction if `hasInstructionBreakpoints`, `dataHits` for accesses that take
 * the slow path (pages with data breakpoints are never in the TLB), `portHits` for port I/O.
 */
import { DR } from "../layout.ts";
import { CR4_DE } from "../state.ts";
import type { SystemContext } from "./context.ts";
import { requireSupervisor } from "./control-registers.ts";
import { CpuFault, undefinedOpcode, VECTOR_DB } from "./fault.ts";

const DR6 = 6;
const DR7 = 7;
const DR6_FIXED = 0xffff0ff0;
const DR6_WRITABLE = 0xe00f;
const DR6_BD = 0x2000;
const DR7_FIXED = 0x400;
const DR7_WRITABLE = 0xffff23ff;
const DR7_GD = 0x2000;

const KIND_EXECUTE = 0;
const KIND_WRITE = 1;
/** Port I/O, if CR4.DE is set. */
const KIND_PORT = 2;
const KIND_READ_WRITE = 3;

const slot = (index: number) => (DR >> 2) + index * 2;

/** Values after a reset. */
export function resetDebugRegisters(context: SystemContext): void {
  const { i32 } = context.state;
  for (let i = 0; i < 8; i++) i32[slot(i)] = 0;
  i32[slot(DR6)] = DR6_FIXED;
  i32[slot(DR7)] = DR7_FIXED;
  watchPages(context);
}

/** Resolves the aliases DR4 and DR5 and applies the checks all accesses share. */
function checkAccess(context: SystemContext, index: number): number {
  const { state } = context;
  const isAlias = index === 4 || index === 5;
  if (isAlias && (state.cr4 & CR4_DE) !== 0) throw undefinedOpcode();
  requireSupervisor(context);
  if ((state.i32[slot(DR7)] & DR7_GD) !== 0) {
    state.i32[slot(DR6)] |= DR6_BD;
    throw new CpuFault(VECTOR_DB);
  }
  return isAlias ? index + 2 : index;
}

/** MOV r32, DRn. */
export function readDebugRegister(context: SystemContext, index: number): number {
  return context.state.u32[slot(checkAccess(context, index))];
}

/** MOV DRn, r32. */
export function writeDebugRegister(context: SystemContext, index: number, value: number): void {
  const register = checkAccess(context, index);
  let stored = value;
  if (register === DR6) stored = (value & DR6_WRITABLE) | DR6_FIXED;
  else if (register === DR7) stored = (value & DR7_WRITABLE) | DR7_FIXED;
  context.state.i32[slot(register)] = stored;
  if (register !== DR6) watchPages(context);
}

/** Tells the TLB which pages data breakpoints watch; also after a load of saved state or a task switch. */
export function watchPages(context: SystemContext): void {
  const { state, tlb } = context;
  const pages: number[] = [];
  for (let i = 0; i < 4; i++) {
    const kind = breakpointKind(context, i);
    if (kind !== KIND_WRITE && kind !== KIND_READ_WRITE) continue;
    const length = breakpointLength(context, i);
    // Aligned to its length, a breakpoint lies within one page.
    pages.push((state.u32[slot(i)] & -length) >>> 12);
  }
  tlb.setWatchedPages(pages);
}

/** R/W field of an enabled breakpoint, -1 if it is off. */
function breakpointKind(context: SystemContext, index: number): number {
  const dr7 = context.state.i32[slot(DR7)];
  if (((dr7 >> (index * 2)) & 3) === 0) return -1;
  return (dr7 >> (16 + index * 4)) & 3;
}

function breakpointLength(context: SystemContext, index: number): number {
  const field = (context.state.i32[slot(DR7)] >> (18 + index * 4)) & 3;
  return field === 2 ? 8 : field + 1;
}

/** True if some instruction breakpoint is enabled. */
export function hasInstructionBreakpoints(context: SystemContext): boolean {
  for (let i = 0; i < 4; i++) if (breakpointKind(context, i) === KIND_EXECUTE) return true;
  return false;
}

/** DR6 bits (B0–B3) of the instruction breakpoints at a linear address. The engine looks at RF first. */
export function instructionHits(context: SystemContext, linear: number): number {
  let hits = 0;
  for (let i = 0; i < 4; i++) {
    if (breakpointKind(context, i) === KIND_EXECUTE && context.state.u32[slot(i)] === linear >>> 0) hits |= 1 << i;
  }
  return hits;
}

/** DR6 bits of the data breakpoints that an access touches; the trap comes after the instruction. */
export function dataHits(context: SystemContext, linear: number, sizeBytes: number, isWrite: boolean): number {
  let hits = 0;
  for (let i = 0; i < 4; i++) {
    const kind = breakpointKind(context, i);
    if (kind !== KIND_READ_WRITE && !(kind === KIND_WRITE && isWrite)) continue;
    const length = breakpointLength(context, i);
    const start = (context.state.u32[slot(i)] & -length) >>> 0;
    if (linear >>> 0 < start + length && start < (linear >>> 0) + sizeBytes) hits |= 1 << i;
  }
  return hits;
}

/** DR6 bits of the breakpoints on ports that an access touches; the trap comes after the instruction. */
export function portHits(context: SystemContext, port: number, sizeBytes: number): number {
  if ((context.state.cr4 & CR4_DE) === 0) return 0;
  let hits = 0;
  for (let i = 0; i < 4; i++) {
    if (breakpointKind(context, i) !== KIND_PORT) continue;
    const length = breakpointLength(context, i);
    const start = (context.state.u32[slot(i)] & -length) >>> 0;
    if (port < start + length && start < port + sizeBytes) hits |= 1 << i;
  }
  return hits;
}
