/**
 * Far transfers of control (Intel SDM volume 2, JMP, CALL, RET, IRET; volume 3, 5.8): real and V86 mode, same and other
 * privilege levels, conforming code, call gates with parameters, tasks. All checks come before the first change.
 *
 * `operandBytes` is 2 or 4. Each function leaves the target in EIP.
 */
import { ATTRIBUTE_USABLE, NMI_BLOCKED, SEG_CS, SEG_DS, SEG_ES, SEG_FS, SEG_GS, SEG_SS, SEG_TR } from "../layout.ts";
import {
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
import {
  Descriptor,
  fetchDescriptor,
  loadFromDescriptor,
  markAccessed,
  selectorError,
  TYPE_CALL_GATE16,
  TYPE_CALL_GATE32,
  TYPE_TASK_GATE,
  TYPE_TSS16_AVAILABLE,
  TYPE_TSS32_AVAILABLE,
} from "./descriptor.ts";
import { CpuFault, VECTOR_GP, VECTOR_NP, VECTOR_TS } from "./fault.ts";
import { checkStackDescriptor, dropInnerSegments, loadRealSegment } from "./segments.ts";
import type { StackFrame } from "./stack-frame.ts";
import { returnFromTask, switchToTaskSelector, taskTrap } from "./task-switch.ts";

const code = new Descriptor();
const gate = new Descriptor();
const stackDescriptor = new Descriptor();

/** Where the stack for an inner privilege level is, from the current TSS. */
export const innerStack = { selector: 0, pointer: 0 };

/** Reads SS:ESP of privilege level `cpl` from the TSS into `innerStack`; throws #TS(TSS) if the TSS is too short. */
export function readInnerStack(context: SystemContext, cpl: number, ext: number): void {
  const { state, linear } = context;
  const attributes = state.segmentAttributes(SEG_TR);
  const isWide = (attributes & 8) !== 0;
  const offset = isWide ? cpl * 8 + 4 : cpl * 4 + 2;
  if ((attributes & ATTRIBUTE_USABLE) === 0 || offset + (isWide ? 5 : 3) > state.segmentLimit(SEG_TR))
    throw new CpuFault(VECTOR_TS, selectorError(state.segmentSelector(SEG_TR)) | ext);
  const address = (state.segmentBase(SEG_TR) + offset) | 0;
  innerStack.pointer = isWide ? linear.readInt32(address, false) : linear.read16(address, false);
  innerStack.selector = linear.read16((address + (isWide ? 4 : 2)) | 0, false);
}

/** Fetches and checks the stack segment of `innerStack` for `cpl` into `into`. */
export function checkInnerStack(context: SystemContext, cpl: number, into: Descriptor, ext: number): void {
  if ((innerStack.selector & 0xfffc) === 0) throw new CpuFault(VECTOR_TS, ext);
  checkStackDescriptor(context, innerStack.selector, cpl, VECTOR_TS, into, ext);
}

/** Offset and limit are 32-bit patterns. */
function checkOffset(offset: number, limit: number): void {
  if (offset >>> 0 > limit >>> 0) throw new CpuFault(VECTOR_GP, 0);
}

/** Loads CS from `code` with RPL = CPL = `cpl`, and EIP. */
function enterCode(context: SystemContext, selector: number, offset: number, cpl: number): void {
  const { state } = context;
  loadFromDescriptor(state, SEG_CS, (selector & 0xfffc) | cpl, code);
  state.cpl = cpl;
  state.eip = offset;
}

/** Fetches the code segment of a direct far JMP or CALL, without gates, and checks privilege. */
function checkDirectCode(context: SystemContext, selector: number): void {
  const { cpl } = context.state;
  const error = selectorError(selector);
  const isAllowed = code.isConformingCode ? code.dpl <= cpl : (selector & 3) <= cpl && code.dpl === cpl;
  if (!isAllowed) throw new CpuFault(VECTOR_GP, error);
  if (!code.isPresent) throw new CpuFault(VECTOR_NP, error);
}

/** Fetches the descriptor of a far pointer into `code`; null and out of range are #GP. */
function fetchTarget(context: SystemContext, selector: number, vector: number, into: Descriptor): void {
  if ((selector & 0xfffc) === 0) throw new CpuFault(vector, 0);
  if (!fetchDescriptor(context, selector, into)) throw new CpuFault(vector, selectorError(selector));
}

/** A gate or TSS named by a JMP or CALL: DPL against CPL and RPL. */
function checkGatePrivilege(context: SystemContext, selector: number): void {
  const error = selectorError(selector);
  if (code.dpl < context.state.cpl || code.dpl < (selector & 3)) throw new CpuFault(VECTOR_GP, error);
}

/** Copies the gate out of `code` and fetches the code segment it leads to. */
function followGate(context: SystemContext, selector: number): void {
  checkGatePrivilege(context, selector);
  if (!code.isPresent) throw new CpuFault(VECTOR_NP, selectorError(selector));
  gate.low = code.low;
  gate.high = code.high;
  fetchTarget(context, gate.gateSelector, VECTOR_GP, code);
  if (!code.isCode) throw new CpuFault(VECTOR_GP, selectorError(gate.gateSelector));
}

function enterTask(context: SystemContext, selector: number, source: "jump" | "call", nextEip: number): void {
  const isTraced = switchToTaskSelector(context, selector, source, nextEip, context.state.eflags, VECTOR_GP, 0);
  if (isTraced) throw taskTrap(context);
}

/** JMP or CALL to a TSS or task gate; false if `code` is neither. */
function transferToTask(context: SystemContext, selector: number, source: "jump" | "call", nextEip: number): boolean {
  const { type } = code;
  if (type === TYPE_TASK_GATE) {
    checkGatePrivilege(context, selector);
    if (!code.isPresent) throw new CpuFault(VECTOR_NP, selectorError(selector));
    enterTask(context, code.gateSelector, source, nextEip);
    return true;
  }
  if (type === TYPE_TSS16_AVAILABLE || type === TYPE_TSS32_AVAILABLE) {
    checkGatePrivilege(context, selector);
    enterTask(context, selector, source, nextEip);
    return true;
  }
  return false;
}

/** JMP ptr16:16/32 and JMP m16:16/32. `offset` is already cut to the operand size. */
export function jumpFar(context: SystemContext, selector: number, offset: number, nextEip: number): void {
  const { state } = context;
  if (!state.isProtected) {
    checkOffset(offset, state.segmentLimit(SEG_CS));
    loadRealSegment(state, SEG_CS, selector);
    state.eip = offset;
    deriveMode(state);
    return;
  }
  fetchTarget(context, selector, VECTOR_GP, code);
  let target = selector;
  let entry = offset;
  if (code.isCode) checkDirectCode(context, selector);
  else if (code.isSegment) throw new CpuFault(VECTOR_GP, selectorError(selector));
  else if (code.type === TYPE_CALL_GATE16 || code.type === TYPE_CALL_GATE32) {
    followGate(context, selector);
    target = gate.gateSelector;
    entry = gate.gateOffset;
    if (code.isConformingCode ? code.dpl > state.cpl : code.dpl !== state.cpl)
      throw new CpuFault(VECTOR_GP, selectorError(target));
    if (!code.isPresent) throw new CpuFault(VECTOR_NP, selectorError(target));
  } else if (transferToTask(context, selector, "jump", nextEip)) return;
  else throw new CpuFault(VECTOR_GP, selectorError(selector));
  checkOffset(entry, code.limit);
  markAccessed(context, code);
  enterCode(context, target, entry, state.cpl);
  deriveMode(state);
}

/** CALL ptr16:16/32 and CALL m16:16/32. */
export function callFar(
  context: SystemContext,
  frame: StackFrame,
  selector: number,
  offset: number,
  nextEip: number,
  operandBytes: number,
): void {
  const { state } = context;
  if (!state.isProtected) {
    frame.useCurrent(0);
    frame.checkPushes(2, operandBytes);
    checkOffset(offset, state.segmentLimit(SEG_CS));
    frame.push(state.segmentSelector(SEG_CS), operandBytes);
    frame.push(nextEip, operandBytes);
    frame.commit();
    loadRealSegment(state, SEG_CS, selector);
    state.eip = offset;
    deriveMode(state);
    return;
  }
  fetchTarget(context, selector, VECTOR_GP, code);
  if (code.isCode) {
    checkDirectCode(context, selector);
    callSameLevel(context, frame, selector, offset, nextEip, operandBytes);
  } else if (code.isSegment) throw new CpuFault(VECTOR_GP, selectorError(selector));
  else if (code.type === TYPE_CALL_GATE16 || code.type === TYPE_CALL_GATE32)
    callGate(context, frame, selector, nextEip);
  else if (!transferToTask(context, selector, "call", nextEip)) throw new CpuFault(VECTOR_GP, selectorError(selector));
}

function callSameLevel(
  context: SystemContext,
  frame: StackFrame,
  selector: number,
  offset: number,
  nextEip: number,
  operandBytes: number,
): void {
  const { state } = context;
  frame.useCurrent(0);
  frame.checkPushes(2, operandBytes);
  checkOffset(offset, code.limit);
  markAccessed(context, code);
  frame.push(state.segmentSelector(SEG_CS), operandBytes);
  frame.push(nextEip, operandBytes);
  frame.commit();
  enterCode(context, selector, offset, state.cpl);
  deriveMode(state);
}

const parameters = new Int32Array(31);

function callGate(context: SystemContext, frame: StackFrame, selector: number, nextEip: number): void {
  const { state } = context;
  followGate(context, selector);
  const target = gate.gateSelector;
  const targetError = selectorError(target);
  if (code.dpl > state.cpl) throw new CpuFault(VECTOR_GP, targetError);
  if (!code.isPresent) throw new CpuFault(VECTOR_NP, targetError);
  const operandBytes = gate.isWideGate ? 4 : 2;
  const entry = gate.gateOffset;
  if (code.isConformingCode || code.dpl === state.cpl) {
    callSameLevel(context, frame, target, entry, nextEip, operandBytes);
    return;
  }
  const newCpl = code.dpl;
  readInnerStack(context, newCpl, 0);
  const stackSelector = innerStack.selector;
  const stackPointer = innerStack.pointer;
  checkInnerStack(context, newCpl, stackDescriptor, 0);
  const count = gate.gateParameters;
  frame.useCurrent(0);
  for (let i = 0; i < count; i++) parameters[i] = frame.peek(i * operandBytes, operandBytes);
  frame.useNew(stackDescriptor, stackPointer, newCpl, selectorError(stackSelector));
  frame.checkPushes(count + 4, operandBytes);
  checkOffset(entry, code.limit);
  markAccessed(context, stackDescriptor);
  markAccessed(context, code);

  const oldPointer = state.reg32(4) | 0;
  frame.push(state.segmentSelector(SEG_SS), operandBytes);
  frame.push(oldPointer, operandBytes);
  for (let i = count - 1; i >= 0; i--) frame.push(parameters[i], operandBytes);
  frame.push(state.segmentSelector(SEG_CS), operandBytes);
  frame.push(nextEip, operandBytes);
  enterCode(context, target, entry, newCpl);
  loadFromDescriptor(state, SEG_SS, stackSelector, stackDescriptor);
  frame.commit();
  deriveMode(state);
}

/**
 * Checks the code segment of a far return to `selector` into `code`; #GP unless RPL ≥ CPL and the segment fits.
 */
function checkReturnCode(context: SystemContext, selector: number): void {
  const error = selectorError(selector);
  fetchTarget(context, selector, VECTOR_GP, code);
  const rpl = selector & 3;
  if (!code.isCode || rpl < context.state.cpl) throw new CpuFault(VECTOR_GP, error);
  if (code.isConformingCode ? code.dpl > rpl : code.dpl !== rpl) throw new CpuFault(VECTOR_GP, error);
  if (!code.isPresent) throw new CpuFault(VECTOR_NP, error);
}

/** Checks the stack segment of a return to the outer level `cpl`. */
function checkOuterStack(context: SystemContext, selector: number, cpl: number): void {
  if ((selector & 0xfffc) === 0) throw new CpuFault(VECTOR_GP, 0);
  checkStackDescriptor(context, selector, cpl, VECTOR_GP, stackDescriptor, 0);
}

/** Enters `code` at an outer level on the stack `stackDescriptor`; `release` bytes of parameters are dropped there. */
function enterOuter(
  context: SystemContext,
  selector: number,
  offset: number,
  stackSelector: number,
  stackPointer: number,
  release: number,
): void {
  const { state } = context;
  enterCode(context, selector, offset, selector & 3);
  loadFromDescriptor(state, SEG_SS, stackSelector, stackDescriptor);
  state.setStackPointer(stackDescriptor.isBig, stackPointer + release);
  dropInnerSegments(state);
  deriveMode(state);
}

/** RETF and RETF imm16: `releaseBytes` is the immediate. */
export function returnFar(context: SystemContext, frame: StackFrame, operandBytes: number, releaseBytes: number): void {
  const { state } = context;
  frame.useCurrent(0);
  // As processors do it: the selector first, of which only its two bytes are read.
  const selector = frame.peek(operandBytes, 2) & 0xffff;
  const offset = frame.peek(0, operandBytes);
  if (!state.isProtected) {
    checkOffset(offset, state.segmentLimit(SEG_CS));
    frame.skip(operandBytes * 2 + releaseBytes);
    frame.commit();
    loadRealSegment(state, SEG_CS, selector);
    state.eip = offset;
    deriveMode(state);
    return;
  }
  checkReturnCode(context, selector);
  if ((selector & 3) === state.cpl) {
    checkOffset(offset, code.limit);
    markAccessed(context, code);
    frame.skip(operandBytes * 2 + releaseBytes);
    frame.commit();
    enterCode(context, selector, offset, state.cpl);
    deriveMode(state);
    return;
  }
  const stackPointer = frame.peek(operandBytes * 2 + releaseBytes, operandBytes);
  const stackSelector = frame.peek(operandBytes * 3 + releaseBytes, operandBytes) & 0xffff;
  checkOuterStack(context, stackSelector, selector & 3);
  checkOffset(offset, code.limit);
  markAccessed(context, code);
  markAccessed(context, stackDescriptor);
  enterOuter(context, selector, offset, stackSelector, stackPointer, releaseBytes);
}

/** IRET and IRETD in every mode; ends NMI blocking, even if it faults. */
export function interruptReturn(
  context: SystemContext,
  frame: StackFrame,
  nextEip: number,
  operandBytes: number,
): void {
  const { state } = context;
  state.i32[NMI_BLOCKED >> 2] = 0;
  if (!state.isProtected) returnReal(context, frame, operandBytes);
  else if ((state.systemFlags & FLAG_NT) !== 0) returnFromTask(context, nextEip);
  else returnProtected(context, frame, operandBytes);
}

const IRET_ALWAYS = FLAGS_ARITHMETIC | FLAG_TF | FLAG_DF | FLAG_NT;
const IRET_WIDE = FLAG_RF | FLAG_AC | FLAG_ID;

function returnReal(context: SystemContext, frame: StackFrame, operandBytes: number): void {
  const { state } = context;
  if (state.isV86 && state.iopl !== 3) throw new CpuFault(VECTOR_GP, 0);
  frame.useCurrent(0);
  const flags = frame.peek(operandBytes * 2, operandBytes);
  const selector = frame.peek(operandBytes, operandBytes) & 0xffff;
  const offset = frame.peek(0, operandBytes);
  checkOffset(offset, state.segmentLimit(SEG_CS));
  let changed = IRET_ALWAYS | FLAG_IF;
  if (operandBytes === 4) changed |= IRET_WIDE;
  if (!state.isV86) changed |= FLAG_IOPL;
  frame.skip(operandBytes * 3);
  frame.commit();
  loadRealSegment(state, SEG_CS, selector);
  state.eip = offset;
  state.eflags = (state.eflags & ~changed) | (flags & changed);
  deriveMode(state);
}

function returnProtected(context: SystemContext, frame: StackFrame, operandBytes: number): void {
  const { state } = context;
  const { cpl, mode } = state;
  let changed = IRET_ALWAYS;
  if (operandBytes === 4) changed |= IRET_WIDE;
  if (cpl <= state.iopl) changed |= FLAG_IF;
  if (cpl === 0) {
    changed |= FLAG_IOPL;
    if (operandBytes === 4) changed |= FLAG_VIF | FLAG_VIP;
  }
  if (operandBytes === 4 && context.known.leave(changed)) return;
  frame.useCurrent(0);
  const flags = frame.peek(operandBytes * 2, operandBytes);
  const selector = frame.peek(operandBytes, operandBytes) & 0xffff;
  const offset = frame.peek(0, operandBytes);
  if (operandBytes === 4 && (flags & FLAG_VM) !== 0 && cpl === 0) {
    returnToV86(context, frame, offset, selector, flags);
    return;
  }
  checkReturnCode(context, selector);
  if ((selector & 3) === cpl) {
    checkOffset(offset, code.limit);
    markAccessed(context, code);
    frame.skip(operandBytes * 3);
    frame.commit();
    enterCode(context, selector, offset, cpl);
    state.eflags = (state.eflags & ~changed) | (flags & changed);
    deriveMode(state);
    return;
  }
  const stackPointer = frame.peek(operandBytes * 3, operandBytes);
  const stackSelector = frame.peek(operandBytes * 4, operandBytes) & 0xffff;
  checkOuterStack(context, stackSelector, selector & 3);
  checkOffset(offset, code.limit);
  markAccessed(context, code);
  markAccessed(context, stackDescriptor);
  state.eflags = (state.eflags & ~changed) | (flags & changed);
  enterOuter(context, selector, offset, stackSelector, stackPointer, 0);
  context.known.rememberReturn(mode, code, stackDescriptor);
}

/** Segment registers in the order they lie above EFLAGS, ESP, SS in the frame of a return to V86 mode. */
const V86_SEGMENTS = [SEG_ES, SEG_DS, SEG_FS, SEG_GS];
const v86Selectors = new Int32Array(4);

function returnToV86(context: SystemContext, frame: StackFrame, offset: number, selector: number, flags: number): void {
  const { state } = context;
  const stackPointer = frame.peek(12, 4);
  const stackSelector = frame.peek(16, 4) & 0xffff;
  for (let i = 0; i < 4; i++) v86Selectors[i] = frame.peek(20 + i * 4, 4) & 0xffff;
  checkOffset(offset, 0xffff);
  context.tlb.modeSwitched();
  state.cpl = 3;
  state.eflags = flags;
  deriveMode(state);
  loadRealSegment(state, SEG_CS, selector);
  loadRealSegment(state, SEG_SS, stackSelector);
  for (let i = 0; i < 4; i++) loadRealSegment(state, V86_SEGMENTS[i], v86Selectors[i]);
  state.eip = offset;
  state.setReg32(4, stackPointer);
  deriveMode(state);
}
