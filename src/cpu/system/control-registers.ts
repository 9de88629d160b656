/**
 * Control registers (Intel SDM volume 3, chapter 2): MOV to and from CRn, LMSW, SMSW, CLTS, LGDT, LIDT, INVLPG, cache
 * instructions' privilege, with what their changes mean for TLB and mode word. None of these functions touches EIP.
 */
import { GDTR_BASE, GDTR_LIMIT, IDTR_BASE, IDTR_LIMIT } from "../layout.ts";
import {
  CR0_AM,
  CR0_CD,
  CR0_EM,
  CR0_ET,
  CR0_MP,
  CR0_NE,
  CR0_NW,
  CR0_PE,
  CR0_PG,
  CR0_TS,
  CR0_WP,
  CR4_DE,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  CR4_PAE,
  CR4_PGE,
  CR4_PSE,
  CR4_TSD,
  deriveMode,
} from "../state.ts";
import type { SystemContext } from "./context.ts";
import { generalProtection, undefinedOpcode } from "./fault.ts";

const CR0_WRITABLE = CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG;
/** RDPMC from user code: every processor of the family has the bit. */
const CR4_PCE = 1 << 8;
const CR4_WRITABLE = CR4_TSD | CR4_DE | CR4_PSE | CR4_PGE | CR4_PCE | CR4_OSFXSR | CR4_OSXMMEXCPT;
/** Changes of these load the PDPTEs anew if PAE paging is on afterwards (volume 3, 4.4.1). */
const CR0_LOADS_PDPTES = CR0_PG | CR0_CD | CR0_NW;
const CR4_PAGING = CR4_PSE | CR4_PAE | CR4_PGE;

/** #GP(0) unless at privilege level 0: HLT, INVD, WBINVD, and everything below. */
export function requireSupervisor(context: SystemContext): void {
  if (context.state.cpl !== 0) throw generalProtection();
}

/** MOV r32, CRn. */
export function readControlRegister(context: SystemContext, index: number): number {
  const { state } = context;
  if (index !== 0 && index !== 2 && index !== 3 && index !== 4) throw undefinedOpcode();
  requireSupervisor(context);
  if (index === 0) return state.cr0 >>> 0;
  if (index === 2) return state.cr2;
  return index === 3 ? state.cr3 : state.cr4;
}

/** MOV CRn, r32. Serializing: the mode word, TLBs and PDPTEs follow. */
export function writeControlRegister(context: SystemContext, index: number, value: number): void {
  const { state } = context;
  if (index !== 0 && index !== 2 && index !== 3 && index !== 4) throw undefinedOpcode();
  requireSupervisor(context);
  if (index === 0) writeCr0(context, value);
  else if (index === 2) state.cr2 = value;
  else if (index === 3) writeCr3(context, value);
  else writeCr4(context, value);
}

function writeCr0(context: SystemContext, value: number): void {
  const { state, walker } = context;
  const next = (value & CR0_WRITABLE) | CR0_ET;
  if ((next & CR0_PG) !== 0 && (next & CR0_PE) === 0) throw generalProtection();
  if ((next & CR0_NW) !== 0 && (next & CR0_CD) === 0) throw generalProtection();
  const changed = next ^ state.cr0;
  if ((next & CR0_PG) !== 0 && (changed & CR0_LOADS_PDPTES) !== 0 && (state.cr4 & CR4_PAE) !== 0)
    walker.storePdptes(walker.readPdptes(state.cr3));
  state.cr0 = next;
  if ((changed & (CR0_PG | CR0_WP)) !== 0) context.tlb.flushAll(false);
  deriveMode(state);
}

function writeCr3(context: SystemContext, value: number): void {
  const { state, walker } = context;
  if ((state.cr4 & CR4_PAE) !== 0 && (state.cr0 & CR0_PG) !== 0) walker.storePdptes(walker.readPdptes(value));
  state.cr3 = value;
  context.tlb.flushAll(true);
}

function writeCr4(context: SystemContext, value: number): void {
  const { state, walker, features } = context;
  const writable = features.pae ? CR4_WRITABLE | CR4_PAE : CR4_WRITABLE;
  if ((value & ~writable) !== 0) throw generalProtection();
  const changed = value ^ state.cr4;
  if ((value & CR4_PAE) !== 0 && (changed & CR4_PAGING) !== 0 && (state.cr0 & CR0_PG) !== 0)
    walker.storePdptes(walker.readPdptes(state.cr3));
  state.cr4 = value;
  if ((changed & CR4_PAGING) !== 0) context.tlb.flushAll(false);
  deriveMode(state);
}

/** LMSW: PE can be set but not cleared, MP, EM and TS follow the operand. */
export function loadMachineStatusWord(context: SystemContext, value: number): void {
  requireSupervisor(context);
  const { state } = context;
  const low = CR0_MP | CR0_EM | CR0_TS;
  state.cr0 = (state.cr0 & ~low) | (value & (low | CR0_PE));
  deriveMode(state);
}

/** SMSW: CR0; the low half for 16-bit and memory operands. Not privileged. */
export function storeMachineStatusWord(context: SystemContext): number {
  return context.state.cr0 >>> 0;
}

/** CLTS. */
export function clearTaskSwitched(context: SystemContext): void {
  requireSupervisor(context);
  context.state.cr0 &= ~CR0_TS;
  deriveMode(context.state);
}

/** INVLPG of a linear address (segment base added, nothing checked). */
export function invalidatePage(context: SystemContext, linear: number): void {
  requireSupervisor(context);
  context.tlb.flushPage(linear);
}

/** LGDT; `base` is already cut to 24 bits for a 16-bit operand. */
export function loadGdtr(context: SystemContext, base: number, limit: number): void {
  requireSupervisor(context);
  context.state.i32[GDTR_BASE >> 2] = base;
  context.state.i32[GDTR_LIMIT >> 2] = limit & 0xffff;
}

/** LIDT. */
export function loadIdtr(context: SystemContext, base: number, limit: number): void {
  requireSupervisor(context);
  context.state.i32[IDTR_BASE >> 2] = base;
  context.state.i32[IDTR_LIMIT >> 2] = limit & 0xffff;
}
