/**
 * Task switches through 16- and 32-bit task state segments (Intel SDM volume 3, chapter 8): JMP, CALL, IRET with NT,
 * task gates. Everything that can fault before the commit point is checked first; the segments of the new task are
 * loaded after it, and a fault there belongs to the new task, as on the processor: it is thrown with EIP already the new
 * task's. The debug trap of a TSS with its T bit set comes the same way, after the switch is complete.
 */
import {
  CR3,
  DR,
  GDTR_BASE,
  INTERRUPT_SHADOW,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_FS,
  SEG_GS,
  SEG_LDTR,
  SEG_SS,
  SEG_TR,
} from "../layout.ts";
import { CR0_PG, CR0_TS, CR4_PAE, deriveMode, FLAG_NT, FLAG_VM } from "../state.ts";
import type { SystemContext } from "./context.ts";
import { watchPages } from "./debug-registers.ts";
import {
  Descriptor,
  fetchDescriptor,
  loadFromDescriptor,
  loadNull,
  markAccessed,
  selectorError,
  TYPE_LDT,
  TYPE_TSS16_AVAILABLE,
  TYPE_TSS16_BUSY,
  TYPE_TSS32_AVAILABLE,
  TYPE_TSS32_BUSY,
} from "./descriptor.ts";
import { CpuFault, VECTOR_DB, VECTOR_GP, VECTOR_NP, VECTOR_TS } from "./fault.ts";
import { checkDataDescriptor, checkStackDescriptor, loadRealSegment } from "./segments.ts";

export type TaskSwitchSource = "jump" | "call" | "return";

/** Smallest limits of a new TSS. */
const MINIMUM_LIMIT32 = 0x67;
const MINIMUM_LIMIT16 = 0x2b;
/** What it reads from the new one. */
const IMAGE32_BYTES = 0x66;
const IMAGE16_BYTES = 0x2c;
/** What the processor writes into the old one: from EIP to GS, from IP to DS. */
const SAVED32_FROM = 0x20;
const SAVED32_BYTES = 0x40;
const SAVED16_FROM = 0x0e;
const SAVED16_BYTES = 0x1c;
/** Segment registers in the order of the TSS. */
const SEGMENTS = [SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS];

/** DR6.BT. */
const DR6_BT = 0x8000;
/** Local breakpoint enables and LE. */
const DR7_LOCAL = 0x155;

const target = new Descriptor();
const scratch = new Descriptor();

/**
 * Fetches the TSS a far JMP/CALL, task gate or IRET names and switches to it. `wantBusy` is for IRET; `vector` is what a
 * bad selector raises (#GP, or #TS for IRET); `ext` is ORed into error codes; `flags` is the old task's
 * EFLAGS image. True if the new task asks for a debug trap: the caller throws `taskTrap` when it is done.
 */
export function switchToTaskSelector(
  context: SystemContext,
  selector: number,
  source: TaskSwitchSource,
  returnEip: number,
  flags: number,
  vector: number,
  ext: number,
): boolean {
  const error = selectorError(selector) | ext;
  if ((selector & 4) !== 0 || error === ext || !fetchDescriptor(context, selector, target))
    throw new CpuFault(vector, error);
  const wide = source === "return" ? TYPE_TSS32_BUSY : TYPE_TSS32_AVAILABLE;
  const narrow = source === "return" ? TYPE_TSS16_BUSY : TYPE_TSS16_AVAILABLE;
  if (!target.isSystem || (target.type !== wide && target.type !== narrow)) throw new CpuFault(vector, error);
  if (!target.isPresent) throw new CpuFault(VECTOR_NP, error);
  return switchTask(context, selector, source, returnEip, flags, ext);
}

/** The debug trap of a TSS whose T bit is set: sets DR6.BT and answers the exception to throw. */
export function taskTrap(context: SystemContext): CpuFault {
  context.state.i32[(DR >> 2) + 12] |= DR6_BT;
  return new CpuFault(VECTOR_DB);
}

/** IRET with NT set: back to the task that the current TSS links to. */
export function returnFromTask(context: SystemContext, nextEip: number): void {
  const link = context.linear.read16(context.state.segmentBase(SEG_TR), false);
  const flags = context.state.eflags & ~FLAG_NT;
  if (switchToTaskSelector(context, link, "return", nextEip, flags, VECTOR_TS, 0)) throw taskTrap(context);
}

function switchTask(
  context: SystemContext,
  selector: number,
  source: TaskSwitchSource,
  returnEip: number,
  flags: number,
  ext: number,
): boolean {
  const { state, linear, walker } = context;
  const error = selectorError(selector) | ext;
  const isWide = target.isWideGate;
  if (target.limit >>> 0 < (isWide ? MINIMUM_LIMIT32 : MINIMUM_LIMIT16)) throw new CpuFault(VECTOR_TS, error);
  const newBase = target.base;
  const oldSelector = state.segmentSelector(SEG_TR);
  const oldBase = state.segmentBase(SEG_TR);
  const oldIsWide = (state.segmentAttributes(SEG_TR) & 8) !== 0;
  const savedFrom = oldIsWide ? SAVED32_FROM : SAVED16_FROM;
  const savedBytes = oldIsWide ? SAVED32_BYTES : SAVED16_BYTES;
  if (savedFrom + savedBytes - 1 > state.segmentLimit(SEG_TR))
    throw new CpuFault(VECTOR_TS, selectorError(oldSelector) | ext);

  // Make sure that every access below will succeed.
  linear.probe(newBase, isWide ? IMAGE32_BYTES : IMAGE16_BYTES, false, false);
  const changesCr3 = isWide && (state.cr0 & CR0_PG) !== 0;
  const newCr3 = changesCr3 ? linear.readInt32((newBase + 0x1c) | 0, false) : 0;
  const pdptes = changesCr3 && (state.cr4 & CR4_PAE) !== 0 ? walker.readPdptes(newCr3) : undefined;
  const oldBusyAddress = (state.u32[GDTR_BASE >> 2] + (oldSelector & 0xfff8) + 5) >>> 0;
  const newBusyAddress = (target.address + 5) >>> 0;
  const leavesOld = source !== "call";
  const oldAccess = leavesOld ? linear.read8(oldBusyAddress, false) : 0;
  linear.probe((oldBase + savedFrom) >>> 0, savedBytes, true, false);
  if (leavesOld) linear.probe(oldBusyAddress, 1, true, false);
  else linear.probe(newBase, 2, true, false);
  if (source !== "return") linear.probe(newBusyAddress, 1, true, false);

  // Commit: the old task.
  if (leavesOld) linear.write8(oldBusyAddress, oldAccess & ~2, false);
  saveTask(context, oldBase, oldIsWide, returnEip, flags);

  // The new one, which may be the old one: IRET with a link to the running task finds what was just saved.
  const image = readImage(context, newBase, isWide);
  if (source === "call") linear.write16(newBase, oldSelector, false);
  if (source !== "return") {
    target.high |= 0x200;
    linear.write8(newBusyAddress, (target.high >> 8) & 0xff, false);
  }
  loadFromDescriptor(state, SEG_TR, selector & 0xffff, target);
  context.taskSwitches++;
  state.cr0 |= CR0_TS;
  if ((state.i32[(DR >> 2) + 14] & DR7_LOCAL) !== 0) {
    state.i32[(DR >> 2) + 14] &= ~DR7_LOCAL;
    watchPages(context);
  }
  if (changesCr3) {
    state.i32[CR3 >> 2] = newCr3;
    if (pdptes !== undefined) walker.storePdptes(pdptes);
    context.tlb.flushAll(true);
  }
  context.tlb.modeSwitched();
  for (let i = 0; i < 8; i++) state.setReg32(i, image.registers[i]);
  state.eip = image.eip;
  state.eflags = source === "call" ? image.flags | FLAG_NT : image.flags;
  state.i32[INTERRUPT_SHADOW >> 2] = 0;
  loadSegments(context, image, ext);

  const codeLimit = state.segmentLimit(SEG_CS);
  if (image.eip >>> 0 > codeLimit) throw new CpuFault(VECTOR_GP, ext);
  return image.isTraced;
}

interface TaskImage {
  eip: number;
  flags: number;
  ldt: number;
  isTraced: boolean;
  readonly registers: Int32Array;
  /** By segment register number. */
  readonly selectors: Int32Array;
}

function readImage(context: SystemContext, base: number, isWide: boolean): TaskImage {
  const { linear } = context;
  const registers = new Int32Array(8);
  const selectors = new Int32Array(6);
  const read16 = (offset: number) => linear.read16((base + offset) >>> 0, false);
  const read32 = (offset: number) => linear.read32((base + offset) >>> 0, false);
  if (isWide) {
    for (let i = 0; i < 8; i++) registers[i] = read32(0x28 + i * 4);
    for (let i = 0; i < 6; i++) selectors[SEGMENTS[i]] = read16(0x48 + i * 4);
    return {
      eip: read32(0x20),
      flags: read32(0x24),
      ldt: read16(0x60),
      isTraced: (read16(0x64) & 1) !== 0,
      registers,
      selectors,
    };
  }
  for (let i = 0; i < 8; i++) registers[i] = read16(0x12 + i * 2);
  for (let i = 0; i < 4; i++) selectors[SEGMENTS[i]] = read16(0x22 + i * 2);
  return { eip: read16(0x0e), flags: read16(0x10), ldt: read16(0x2a), isTraced: false, registers, selectors };
}

function saveTask(context: SystemContext, base: number, isWide: boolean, eip: number, flags: number): void {
  const { state, linear } = context;
  if (isWide) {
    linear.write32((base + 0x20) >>> 0, eip, false);
    linear.write32((base + 0x24) >>> 0, flags, false);
    for (let i = 0; i < 8; i++) linear.write32((base + 0x28 + i * 4) >>> 0, state.reg32(i), false);
    for (let i = 0; i < 6; i++) linear.write16((base + 0x48 + i * 4) >>> 0, state.segmentSelector(SEGMENTS[i]), false);
    return;
  }
  linear.write16((base + 0x0e) >>> 0, eip, false);
  linear.write16((base + 0x10) >>> 0, flags, false);
  for (let i = 0; i < 8; i++) linear.write16((base + 0x12 + i * 2) >>> 0, state.reg16(i), false);
  for (let i = 0; i < 4; i++) linear.write16((base + 0x22 + i * 2) >>> 0, state.segmentSelector(SEGMENTS[i]), false);
}

/** Loads LDTR and the segment registers of the new task; faults are the new task's. */
function loadSegments(context: SystemContext, image: TaskImage, ext: number): void {
  const { state } = context;
  const { selectors } = image;
  // A fault below finds all selectors in place and everything not yet loaded unusable.
  loadNull(state, SEG_LDTR, image.ldt);
  for (const seg of SEGMENTS) loadNull(state, seg, selectors[seg]);
  state.cpl = (image.flags & FLAG_VM) !== 0 ? 3 : selectors[SEG_CS] & 3;
  deriveMode(state);

  if ((image.ldt & 0xfffc) !== 0) {
    const error = selectorError(image.ldt) | ext;
    if ((image.ldt & 4) !== 0 || !fetchDescriptor(context, image.ldt, scratch)) throw new CpuFault(VECTOR_TS, error);
    if (!scratch.isSystem || scratch.type !== TYPE_LDT || !scratch.isPresent) throw new CpuFault(VECTOR_TS, error);
    loadFromDescriptor(state, SEG_LDTR, image.ldt, scratch);
  }
  if (state.isV86) {
    for (const seg of SEGMENTS) loadRealSegment(state, seg, selectors[seg]);
    deriveMode(state);
    return;
  }

  const { cpl } = state;
  const code = selectors[SEG_CS];
  const codeError = selectorError(code) | ext;
  if ((code & 0xfffc) === 0 || !fetchDescriptor(context, code, scratch) || !scratch.isCode)
    throw new CpuFault(VECTOR_TS, codeError);
  if (scratch.isConformingCode ? scratch.dpl > cpl : scratch.dpl !== cpl) throw new CpuFault(VECTOR_TS, codeError);
  if (!scratch.isPresent) throw new CpuFault(VECTOR_NP, codeError);
  markAccessed(context, scratch);
  loadFromDescriptor(state, SEG_CS, code, scratch);

  const stack = selectors[SEG_SS];
  if ((stack & 0xfffc) === 0) throw new CpuFault(VECTOR_TS, ext);
  checkStackDescriptor(context, stack, cpl, VECTOR_TS, scratch, ext);
  markAccessed(context, scratch);
  loadFromDescriptor(state, SEG_SS, stack, scratch);
  deriveMode(state);

  for (const seg of [SEG_DS, SEG_ES, SEG_FS, SEG_GS]) {
    const selector = selectors[seg];
    if ((selector & 0xfffc) === 0) continue;
    checkDataDescriptor(context, selector, cpl, VECTOR_TS, scratch, ext);
    markAccessed(context, scratch);
    loadFromDescriptor(state, seg, selector, scratch);
  }
  deriveMode(state);
}
