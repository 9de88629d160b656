/**
 * The privileged half of the CPU behind one object: what generated code leaves to TypeScript. Every method that executes
 * an instruction expects EIP in the state to be the *start* of that instruction; `nextEip` is the address after it (an
 * offset in CS, already cut to the code size). A method either completes or throws CpuFault with nothing visibly changed;
 * the run loop then calls `deliverException`. The exception to the rule are task switches: they may fault in the new
 * task, with EIP already there.
 *
 * Methods marked [EIP] leave the next instruction's address in EIP; after the others the caller advances EIP itself.
 */
import type { CpuBus } from "../../device-api/virtual-cpu.ts";
import * as L from "../layout.ts";
import type { LinearMemory } from "../mmu/linear-memory.ts";
import type { PageWalker } from "../mmu/page-walk.ts";
import type { Tlb } from "../mmu/tlb.ts";
import { type CpuState, CR0_CD, CR0_ET, CR0_NW, deriveAll } from "../state.ts";
import type { SystemContext } from "./context.ts";
import * as control from "./control-registers.ts";
import { CPU_SIGNATURE, type CpuFeatures, cpuid } from "./cpuid.ts";
import * as debug from "./debug-registers.ts";
import * as far from "./far-transfer.ts";
import { type CpuFault, undefinedOpcode } from "./fault.ts";
import type { Delivery } from "./interrupts.ts";
import * as interrupts from "./interrupts.ts";
import { KnownTransfers } from "./known-transfers.ts";
import * as msr from "./msr.ts";
import * as privileged from "./privileged.ts";
import * as segments from "./segments.ts";
import { StackFrame } from "./stack-frame.ts";

export interface SystemOptions {
  readonly state: CpuState;
  readonly linear: LinearMemory;
  readonly walker: PageWalker;
  readonly tlb: Tlb;
  readonly bus: CpuBus;
  readonly features: CpuFeatures;
  /** Unusual guest actions, once each. */
  readonly onDemand?: (text: string) => void;
}

export function createSystem(options: SystemOptions): System {
  return new System(options);
}

export class System {
  readonly #context: SystemContext;
  readonly #frame: StackFrame;
  readonly #state: CpuState;

  constructor(options: SystemOptions) {
    const said = new Set<string>();
    const say = (text: string) => {
      if (said.has(text) || said.size >= 256) return;
      said.add(text);
      options.onDemand?.(text);
    };
    this.#context = { ...options, say, taskSwitches: 0, known: new KnownTransfers(options.state) };
    this.#state = options.state;
    this.#frame = new StackFrame(options.state, options.linear);
  }

  /** Power-on and reset: the whole state block, TLBs dropped. A20 is the machine's and stays open. */
  reset(): void {
    const state = this.#state;
    const { i32 } = state;
    // The doorbells INTERRUPT_LINE and ATTENTION belong to others: they and the instruction count survive.
    const keep = [L.INTERRUPT_LINE, L.ATTENTION, L.INSTRUCTIONS, L.INSTRUCTIONS + 4].map((at) => [at, i32[at >> 2]]);
    const a20 = i32[L.A20_MASK >> 2];
    i32.fill(0, L.STATE >> 2, L.SCRATCH >> 2);
    for (const [at, value] of keep) i32[at >> 2] = value;
    i32[L.A20_MASK >> 2] = a20 === 0 ? -1 : a20;
    state.cr0 = CR0_CD | CR0_NW | CR0_ET;
    state.eflags = 2;
    state.eip = 0xfff0;
    state.setReg32(2, CPU_SIGNATURE);
    for (let seg = 0; seg < 6; seg++) state.setSegment(seg, 0, 0, 0xffff, 0x93 | L.ATTRIBUTE_USABLE);
    state.setSegment(L.SEG_CS, 0xf000, 0xffff0000, 0xffff, 0x93 | L.ATTRIBUTE_USABLE);
    state.setSegment(L.SEG_LDTR, 0, 0, 0xffff, 0x82 | L.ATTRIBUTE_USABLE);
    state.setSegment(L.SEG_TR, 0, 0, 0xffff, 0x8b | L.ATTRIBUTE_USABLE);
    i32[L.GDTR_LIMIT >> 2] = 0xffff;
    i32[L.IDTR_LIMIT >> 2] = 0xffff;
    i32[L.FPU_CONTROL >> 2] = 0x40;
    i32[L.FPU_TAGS >> 2] = 0xff;
    i32[L.MXCSR >> 2] = 0x1f80;
    msr.resetMsrs(this.#context);
    this.#context.tlb.flushAll(false);
    debug.resetDebugRegisters(this.#context);
    deriveAll(state);
  }

  /** After the state block was replaced (saved state): everything derived is made anew. */
  stateReplaced(): void {
    this.#context.tlb.flushAll(false);
    debug.watchPages(this.#context);
    deriveAll(this.#state);
  }

  /** The A20 gate: bit 20 of physical addresses is forced to 0 while it is closed. Effective with the next access. */
  setA20(isOpen: boolean): void {
    const mask = isOpen ? -1 : ~0x100000;
    if (this.#state.i32[L.A20_MASK >> 2] === mask) return;
    this.#state.i32[L.A20_MASK >> 2] = mask;
    this.#context.tlb.flushAll(false);
  }

  // --- events ----------------------------------------------------------------------------------------------------

  /** [EIP] Delivers a fault; EIP is the faulting instruction. Handles double and triple faults. */
  deliverException(fault: CpuFault): Delivery {
    return interrupts.deliverException(this.#context, this.#frame, fault);
  }
  /** [EIP] An external interrupt at an instruction boundary (IF set, no shadow: the caller looked). Ends HLT. */
  deliverExternal(vector: number): Delivery {
    return interrupts.deliverExternal(this.#context, this.#frame, vector);
  }
  /** [EIP] NMI at an instruction boundary, if NMI_BLOCKED is 0. Ends HLT. */
  deliverNmi(): Delivery {
    return interrupts.deliverNmi(this.#context, this.#frame);
  }
  /** [EIP] Debug trap at an instruction boundary: DR6_BS after a single step, B0–B3 for data breakpoints. */
  deliverDebugTrap(dr6Bits: number): Delivery {
    return interrupts.deliverDebugTrap(this.#context, this.#frame, dr6Bits);
  }

  // --- far transfers and software interrupts ---------------------------------------------------------------------

  /** [EIP] JMP far; `offset` cut to the operand size. */
  jumpFar(selector: number, offset: number, nextEip: number): void {
    far.jumpFar(this.#context, selector, offset, nextEip);
  }
  /** [EIP] CALL far. */
  callFar(selector: number, offset: number, nextEip: number, operandBytes: number): void {
    far.callFar(this.#context, this.#frame, selector, offset, nextEip, operandBytes);
  }
  /** [EIP] RETF, RETF imm16. */
  returnFar(operandBytes: number, releaseBytes: number): void {
    far.returnFar(this.#context, this.#frame, operandBytes, releaseBytes);
  }
  /** [EIP] IRET, IRETD. */
  interruptReturn(nextEip: number, operandBytes: number): void {
    far.interruptReturn(this.#context, this.#frame, nextEip, operandBytes);
  }
  /** [EIP] INT n (CDh). */
  softwareInterrupt(vector: number, nextEip: number): void {
    interrupts.softwareInterrupt(this.#context, this.#frame, vector, nextEip);
  }
  /** [EIP] INT3 (vector 3), INTO when OF is set (vector 4). */
  softwareException(vector: number, nextEip: number): void {
    interrupts.softwareException(this.#context, this.#frame, vector, nextEip);
  }
  /** [EIP] INT1 (F1h). */
  debugInterrupt(nextEip: number): void {
    interrupts.debugInterrupt(this.#context, this.#frame, nextEip);
  }
  /** [EIP] SYSENTER. */
  systemEnter(): void {
    privileged.systemEnter(this.#state);
  }
  /** [EIP] SYSEXIT. */
  systemExit(): void {
    privileged.systemExit(this.#state);
  }

  // --- segments --------------------------------------------------------------------------------------------------

  /** MOV/POP/Lxx to ES, SS, DS, FS, GS (SEG_*; #UD for CS). The caller sets the shadow for SS. */
  loadSegment(seg: number, selector: number): void {
    if (seg === L.SEG_CS || seg > L.SEG_GS) throw undefinedOpcode();
    segments.loadSegment(this.#context, seg, selector);
  }
  lldt(selector: number): void {
    segments.loadLdtr(this.#context, selector);
  }
  ltr(selector: number): void {
    segments.loadTaskRegister(this.#context, selector);
  }
  /** SLDT (SEG_LDTR) and STR (SEG_TR): the selector; #UD outside protected mode. */
  storeSystemSelector(seg: number): number {
    segments.requireProtectedMode(this.#state);
    return this.#state.segmentSelector(seg);
  }
  /** Sets ZF; access rights or -1 (register unchanged). Mask with FF00h for 16-bit operands. */
  lar(selector: number): number {
    return segments.loadAccessRights(this.#context, selector);
  }
  /** Sets ZF; unsigned limit or -1 (register unchanged). */
  lsl(selector: number): number {
    return segments.loadSegmentLimit(this.#context, selector);
  }
  verr(selector: number): void {
    segments.verifyRead(this.#context, selector);
  }
  verw(selector: number): void {
    segments.verifyWrite(this.#context, selector);
  }
  /** Sets ZF; the value for the destination. */
  arpl(destination: number, source: number): number {
    return segments.adjustRpl(this.#state, destination, source);
  }

  // --- control, debug, model-specific registers ------------------------------------------------------------------

  readControl(index: number): number {
    return control.readControlRegister(this.#context, index);
  }
  writeControl(index: number, value: number): void {
    control.writeControlRegister(this.#context, index, value);
  }
  lmsw(value: number): void {
    control.loadMachineStatusWord(this.#context, value);
  }
  smsw(): number {
    return control.storeMachineStatusWord(this.#context);
  }
  clts(): void {
    control.clearTaskSwitched(this.#context);
  }
  invlpg(linear: number): void {
    control.invalidatePage(this.#context, linear);
  }
  /** `base` cut to 24 bits by the caller for 16-bit operands. */
  lgdt(base: number, limit: number): void {
    control.loadGdtr(this.#context, base, limit);
  }
  lidt(base: number, limit: number): void {
    control.loadIdtr(this.#context, base, limit);
  }
  /** #GP(0) unless CPL is 0: HLT, INVD, WBINVD (the latter two then do nothing). */
  requireSupervisor(): void {
    control.requireSupervisor(this.#context);
  }
  readDebug(index: number): number {
    return debug.readDebugRegister(this.#context, index);
  }
  writeDebug(index: number, value: number): void {
    debug.writeDebugRegister(this.#context, index, value);
  }
  hasInstructionBreakpoints(): boolean {
    return debug.hasInstructionBreakpoints(this.#context);
  }
  /** DR6 bits of instruction breakpoints at a linear address. */
  instructionHits(linear: number): number {
    return debug.instructionHits(this.#context, linear);
  }
  /** DR6 bits of data breakpoints that an access touches. */
  dataHits(linear: number, sizeBytes: number, isWrite: boolean): number {
    return debug.dataHits(this.#context, linear, sizeBytes, isWrite);
  }
  /** DR6 bits of breakpoints on ports that an access touches. */
  portHits(port: number, sizeBytes: number): number {
    return debug.portHits(this.#context, port, sizeBytes);
  }
  /** Task switches so far. */
  get taskSwitches(): number {
    return this.#context.taskSwitches;
  }
  rdmsr(): void {
    msr.readMsr(this.#context);
  }
  wrmsr(): void {
    msr.writeMsr(this.#context);
  }
  rdtsc(): void {
    msr.readTimeStampCounter(this.#context);
  }
  rdpmc(): void {
    msr.readPerformanceCounter();
  }
  cpuid(): void {
    const { features, bus } = this.#context;
    cpuid(this.#state, features, msr.isNoExecuteHidden(this.#context), bus.localApic);
  }

  // --- IOPL-sensitive --------------------------------------------------------------------------------------------

  /** #GP(0) unless IN, OUT, INS, OUTS may access the ports. */
  checkPort(port: number, sizeBytes: number): void {
    privileged.checkPort(this.#context, port, sizeBytes);
  }
  cli(): void {
    privileged.clearInterruptFlag(this.#state);
  }
  /** Sets the interrupt shadow if IF was clear. */
  sti(): void {
    privileged.setInterruptFlag(this.#state);
  }
  /** The image to push. */
  pushf(): number {
    return privileged.pushedFlags(this.#state);
  }
  /** Stores a popped image; may change the mode word. */
  popf(image: number, operandBytes: number): void {
    privileged.popFlags(this.#state, image, operandBytes);
  }
}
