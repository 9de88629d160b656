/**
 * Delivery of exceptions, software interrupts, external interrupts and NMI (Intel SDM volume 3, chapter 6; volume 2,
 * INT n) through the real-mode vector table, interrupt and trap gates, task gates, out of V86 mode, with double and
 * triple faults. Not modelled: virtual-8086 mode extensions (VME is not advertised).
 *
 * EIP in the state is the address to return to unless an argument says otherwise: the faulting instruction for faults,
 * the next one at an instruction boundary.
 */
import {
  CR2,
  DR,
  HALTED,
  IDTR_BASE,
  IDTR_LIMIT,
  INTERRUPT_SHADOW,
  MODE_PROTECTED,
  NMI_BLOCKED,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_FS,
  SEG_GS,
  SEG_SS,
  SEG_TR,
} from "../layout.ts";
import { deriveMode, FLAG_AC, FLAG_IF, FLAG_NT, FLAG_RF, FLAG_TF, FLAG_VM } from "../state.ts";
import type { SystemContext } from "./context.ts";
import {
  Descriptor,
  fetchDescriptor,
  loadFromDescriptor,
  loadNull,
  markAccessed,
  selectorError,
  TYPE_INTERRUPT_GATE16,
  TYPE_INTERRUPT_GATE32,
  TYPE_TASK_GATE,
  TYPE_TRAP_GATE16,
  TYPE_TRAP_GATE32,
} from "./descriptor.ts";
import { checkInnerStack, innerStack, readInnerStack } from "./far-transfer.ts";
import {
  CpuFault,
  VECTOR_BP,
  VECTOR_DB,
  VECTOR_DE,
  VECTOR_DF,
  VECTOR_GP,
  VECTOR_NMI,
  VECTOR_NP,
  VECTOR_OF,
  VECTOR_PF,
  VECTOR_TS,
} from "./fault.ts";
import { loadRealSegment } from "./segments.ts";
import type { StackFrame } from "./stack-frame.ts";
import { switchToTaskSelector, taskTrap } from "./task-switch.ts";

/** "triple-fault": the CPU is in shutdown; only a reset helps. */
export type Delivery = "delivered" | "triple-fault";

/** Error-code bits of a fault while an event is delivered: EXT (not caused by INT n), IDT. */
const ERROR_EXT = 1;
const ERROR_IDT = 2;

const NO_ERROR_CODE = -1;

/** DR6.BS: single step. */
export const DR6_BS = 0x4000;
/** DR7.GD: debug registers are guarded. */
const DR7_GD = 0x2000;

const gate = new Descriptor();
const code = new Descriptor();
const stackDescriptor = new Descriptor();

/**
 * Delivers a fault of the instruction at EIP, or of a delivery. Faults on the way become the next exception, a double
 * fault, or shutdown.
 */
export function deliverException(context: SystemContext, frame: StackFrame, fault: CpuFault): Delivery {
  let current = fault;
  // Each turn replaces the event by a more serious one; benign ones may chain, but not for ever.
  for (let turn = 0; turn < 8; turn++) {
    try {
      deliverFault(context, frame, current);
      return "delivered";
    } catch (thrown) {
      if (!(thrown instanceof CpuFault)) throw thrown;
      if (thrown.vector === VECTOR_PF) context.state.i32[CR2 >> 2] = thrown.linear;
      if (current.vector === VECTOR_DF && isSerious(thrown.vector)) return "triple-fault";
      const isDouble =
        (isContributory(current.vector) && isContributory(thrown.vector)) ||
        (current.vector === VECTOR_PF && isSerious(thrown.vector));
      current = isDouble ? new CpuFault(VECTOR_DF, 0) : thrown;
    }
  }
  return "triple-fault";
}

function isContributory(vector: number): boolean {
  return vector === VECTOR_DE || (vector >= VECTOR_TS && vector <= VECTOR_GP);
}

function isSerious(vector: number): boolean {
  return vector === VECTOR_PF || isContributory(vector);
}

/** True for exceptions after which the faulting instruction is restarted: their EFLAGS image has RF set. */
function setsResume(vector: number): boolean {
  return vector !== VECTOR_DB && vector !== VECTOR_BP && vector !== VECTOR_OF && vector !== VECTOR_DF;
}

function deliverFault(context: SystemContext, frame: StackFrame, fault: CpuFault): void {
  const { state } = context;
  if (fault.vector === VECTOR_PF) state.i32[CR2 >> 2] = fault.linear;
  // A debug exception leaves the debug registers accessible to its handler.
  if (fault.vector === VECTOR_DB) state.i32[(DR >> 2) + 14] &= ~DR7_GD;
  const flags = setsResume(fault.vector) ? state.eflags | FLAG_RF : state.eflags;
  deliver(context, frame, fault.vector, flags, state.eip, fault.errorCode ?? NO_ERROR_CODE, ERROR_EXT, false);
}

/** Delivers an event that is not a fault; a fault on the way is delivered in its place (these events are benign). */
function deliverBenign(context: SystemContext, frame: StackFrame, vector: number): Delivery {
  const { state } = context;
  try {
    deliver(context, frame, vector, state.eflags, state.eip, NO_ERROR_CODE, ERROR_EXT, false);
    return "delivered";
  } catch (thrown) {
    if (!(thrown instanceof CpuFault)) throw thrown;
    return deliverException(context, frame, thrown);
  }
}

/** An external interrupt at an instruction boundary. The caller has looked at IF and the shadow. Ends HLT. */
export function deliverExternal(context: SystemContext, frame: StackFrame, vector: number): Delivery {
  return deliverBenign(context, frame, vector);
}

/** NMI at an instruction boundary; further ones are blocked until IRET. Ends HLT. */
export function deliverNmi(context: SystemContext, frame: StackFrame): Delivery {
  context.state.i32[NMI_BLOCKED >> 2] = 1;
  return deliverBenign(context, frame, VECTOR_NMI);
}

/** A debug trap at an instruction boundary: `dr6Bits` (BS, B0–B3, BT) are set in DR6. */
export function deliverDebugTrap(context: SystemContext, frame: StackFrame, dr6Bits: number): Delivery {
  const { state } = context;
  state.i32[(DR >> 2) + 12] |= dr6Bits;
  state.i32[(DR >> 2) + 14] &= ~DR7_GD;
  return deliverBenign(context, frame, VECTOR_DB);
}

/** INT n. Throws the fault if it cannot be delivered (gate DPL, IOPL in V86 mode…): then the instruction faulted. */
export function softwareInterrupt(context: SystemContext, frame: StackFrame, vector: number, nextEip: number): void {
  const { state } = context;
  if (state.isV86 && state.iopl !== 3) throw new CpuFault(VECTOR_GP, 0);
  deliver(context, frame, vector, state.eflags, nextEip, NO_ERROR_CODE, 0, true);
}

/** INT3 and INTO (taken): as INT n, but not subject to IOPL in V86 mode. */
export function softwareException(context: SystemContext, frame: StackFrame, vector: number, nextEip: number): void {
  deliver(context, frame, vector, context.state.eflags, nextEip, NO_ERROR_CODE, 0, true);
}

/** INT1 (opcode F1h): a debug exception without the check of the gate's DPL. */
export function debugInterrupt(context: SystemContext, frame: StackFrame, nextEip: number): void {
  deliver(context, frame, VECTOR_DB, context.state.eflags, nextEip, NO_ERROR_CODE, ERROR_EXT, false);
}

function deliver(
  context: SystemContext,
  frame: StackFrame,
  vector: number,
  flags: number,
  returnEip: number,
  errorCode: number,
  ext: number,
  isSoftware: boolean,
): void {
  const { state } = context;
  if ((state.mode & MODE_PROTECTED) === 0) deliverReal(context, frame, vector, flags, returnEip, ext);
  else deliverProtected(context, frame, vector, flags, returnEip, errorCode, ext, isSoftware);
  state.i32[HALTED >> 2] = 0;
  state.i32[INTERRUPT_SHADOW >> 2] = 0;
}

function deliverReal(
  context: SystemContext,
  frame: StackFrame,
  vector: number,
  flags: number,
  returnEip: number,
  ext: number,
): void {
  const { state, linear } = context;
  if (vector * 4 + 3 > state.i32[IDTR_LIMIT >> 2]) throw new CpuFault(VECTOR_GP, vector * 8 + ERROR_IDT + ext);
  const address = (state.i32[IDTR_BASE >> 2] + vector * 4) | 0;
  const offset = linear.read16(address, false);
  const selector = linear.read16((address + 2) | 0, false);
  frame.useCurrent(ext);
  frame.checkPushes(3, 2);
  frame.push(flags, 2);
  frame.push(state.segmentSelector(SEG_CS), 2);
  frame.push(returnEip, 2);
  frame.commit();
  state.systemFlags &= ~(FLAG_IF | FLAG_TF | FLAG_AC | FLAG_RF);
  loadRealSegment(state, SEG_CS, selector);
  state.eip = offset;
  deriveMode(state);
}

function deliverProtected(
  context: SystemContext,
  frame: StackFrame,
  vector: number,
  flags: number,
  returnEip: number,
  errorCode: number,
  ext: number,
  isSoftware: boolean,
): void {
  const { state, linear } = context;
  if (context.known.enter(vector, flags, returnEip, errorCode, isSoftware)) return;
  const modeBefore = state.mode;
  const gateError = vector * 8 + ERROR_IDT + ext;
  if (vector * 8 + 7 > state.i32[IDTR_LIMIT >> 2]) throw new CpuFault(VECTOR_GP, gateError);
  const address = (state.i32[IDTR_BASE >> 2] + vector * 8) | 0;
  gate.low = linear.readInt32(address, false);
  gate.high = linear.readInt32((address + 4) | 0, false);
  const { type } = gate;
  const isKnown =
    gate.isSystem &&
    (type === TYPE_TASK_GATE ||
      type === TYPE_INTERRUPT_GATE16 ||
      type === TYPE_TRAP_GATE16 ||
      type === TYPE_INTERRUPT_GATE32 ||
      type === TYPE_TRAP_GATE32);
  if (!isKnown || (isSoftware && gate.dpl < state.cpl)) throw new CpuFault(VECTOR_GP, gateError);
  if (!gate.isPresent) throw new CpuFault(VECTOR_NP, gateError);
  if (type === TYPE_TASK_GATE) {
    deliverTask(context, frame, flags, returnEip, errorCode, ext);
    return;
  }

  const selector = gate.gateSelector;
  const codeError = selectorError(selector) | ext;
  if ((selector & 0xfffc) === 0) throw new CpuFault(VECTOR_GP, ext);
  if (!fetchDescriptor(context, selector, code)) throw new CpuFault(VECTOR_GP, codeError);
  if (!code.isCode || code.dpl > state.cpl) throw new CpuFault(VECTOR_GP, codeError);
  if (!code.isPresent) throw new CpuFault(VECTOR_NP, codeError);
  const isInner = !code.isConformingCode && code.dpl < state.cpl;
  // Out of V86 mode only to level 0.
  if (state.isV86 && !(isInner && code.dpl === 0)) throw new CpuFault(VECTOR_GP, codeError);
  if (isInner) {
    enterInner(context, frame, flags, returnEip, errorCode, ext);
    context.known.rememberGate(vector, modeBefore, gate, code, stackDescriptor, keptFlags());
  } else {
    const sizeBytes = gate.isWideGate ? 4 : 2;
    frame.useCurrent(ext);
    frame.checkPushes(errorCode === NO_ERROR_CODE ? 3 : 4, sizeBytes);
    if (gate.gateOffset >>> 0 > code.limit >>> 0) throw new CpuFault(VECTOR_GP, ext);
    markAccessed(context, code);
    pushReturn(context, frame, flags, returnEip, errorCode, sizeBytes);
    frame.commit();
    loadFromDescriptor(state, SEG_CS, (selector & 0xfffc) | state.cpl, code);
    finishGate(context);
  }
}

/** Through a gate to a more privileged level, out of V86 mode too. */
function enterInner(
  context: SystemContext,
  frame: StackFrame,
  flags: number,
  returnEip: number,
  errorCode: number,
  ext: number,
): void {
  const { state } = context;
  const sizeBytes = gate.isWideGate ? 4 : 2;
  const isV86 = state.isV86;
  const newCpl = code.dpl;
  readInnerStack(context, newCpl, ext);
  const stackSelector = innerStack.selector;
  checkInnerStack(context, newCpl, stackDescriptor, ext);
  frame.useNew(stackDescriptor, innerStack.pointer, newCpl, selectorError(stackSelector) | ext);
  frame.checkPushes((isV86 ? 9 : 5) + (errorCode === NO_ERROR_CODE ? 0 : 1), sizeBytes);
  if (gate.gateOffset >>> 0 > code.limit >>> 0) throw new CpuFault(VECTOR_GP, ext);
  markAccessed(context, stackDescriptor);
  markAccessed(context, code);

  if (isV86) {
    frame.push(state.segmentSelector(SEG_GS), sizeBytes);
    frame.push(state.segmentSelector(SEG_FS), sizeBytes);
    frame.push(state.segmentSelector(SEG_DS), sizeBytes);
    frame.push(state.segmentSelector(SEG_ES), sizeBytes);
  }
  frame.push(state.segmentSelector(SEG_SS), sizeBytes);
  frame.push(state.reg32(4) | 0, sizeBytes);
  pushReturn(context, frame, flags, returnEip, errorCode, sizeBytes);
  state.cpl = newCpl;
  if (isV86) {
    context.tlb.modeSwitched();
    state.systemFlags &= ~FLAG_VM;
    loadNull(state, SEG_GS, 0);
    loadNull(state, SEG_FS, 0);
    loadNull(state, SEG_DS, 0);
    loadNull(state, SEG_ES, 0);
  }
  loadFromDescriptor(state, SEG_CS, (gate.gateSelector & 0xfffc) | newCpl, code);
  loadFromDescriptor(state, SEG_SS, stackSelector, stackDescriptor);
  frame.commit();
  finishGate(context);
}

function pushReturn(
  context: SystemContext,
  frame: StackFrame,
  flags: number,
  returnEip: number,
  errorCode: number,
  sizeBytes: number,
): void {
  frame.push(flags, sizeBytes);
  frame.push(context.state.segmentSelector(SEG_CS), sizeBytes);
  frame.push(returnEip, sizeBytes);
  if (errorCode !== NO_ERROR_CODE) frame.push(errorCode, sizeBytes);
}

/** System flags that the way through the gate leaves as they are. */
function keptFlags(): number {
  const isInterrupt = gate.type === TYPE_INTERRUPT_GATE32 || gate.type === TYPE_INTERRUPT_GATE16;
  return ~(FLAG_TF | FLAG_VM | FLAG_RF | FLAG_NT | (isInterrupt ? FLAG_IF : 0));
}

/** Flags and EIP after an interrupt or trap gate. */
function finishGate(context: SystemContext): void {
  const { state } = context;
  state.systemFlags &= keptFlags();
  state.eip = gate.gateOffset;
  deriveMode(state);
}

function deliverTask(
  context: SystemContext,
  frame: StackFrame,
  flags: number,
  returnEip: number,
  errorCode: number,
  ext: number,
): void {
  const { state } = context;
  const isTraced = switchToTaskSelector(context, gate.gateSelector, "call", returnEip, flags, VECTOR_GP, ext);
  if (errorCode !== NO_ERROR_CODE) {
    const sizeBytes = (state.segmentAttributes(SEG_TR) & 8) !== 0 ? 4 : 2;
    frame.useCurrent(ext);
    frame.checkPushes(1, sizeBytes);
    frame.push(errorCode, sizeBytes);
    frame.commit();
  }
  if (isTraced) throw taskTrap(context);
}
