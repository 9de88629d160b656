/**
 * One virtual CPU as the machine, the firmware, the debugger and saved state see it. The software engine and, later, a
 * /dev/kvm engine implement it under the same devices. Only the machine thread calls it, and never from inside a
 * device's access unless stated.
 */
import type { CounterTree } from "./counters.ts";
import type { AccessSize } from "./io-window.ts";
import type { SavedLeaf } from "./saved-state.ts";

/** Why `run` came back. */
export type StopReason =
  /** The budget is used up. */
  | "budget"
  /** HLT executed and no interrupt is deliverable. */
  | "halt"
  /** `requestStop` was called (by a device access, a timer or a host request). */
  | "stop"
  /** Triple fault: the CPU is in shutdown. */
  | "triple-fault"
  /** A breakpoint of `setBreakpoint` was reached (before the instruction). */
  | "breakpoint";

/** The local APIC as its CPU's instructions see it: IA32_APIC_BASE, CPUID's bits, the MSRs of x2APIC mode (800h–83Fh). */
export interface CpuLocalApic {
  /** CPUID promises x2APIC mode. */
  readonly hasX2Apic: boolean;
  /** IA32_APIC_BASE, unsigned halves. */
  readonly base: number;
  readonly baseHigh: number;
  /** Its enable bit: CPUID's APIC bit. */
  readonly isEnabled: boolean;
  /** WRMSR of IA32_APIC_BASE; false: #GP, nothing has changed. */
  writeBase(low: number, high: number): boolean;
  /** RDMSR, low half, or -1: #GP. */
  readMsr(msr: number): number;
  /** The high half of the MSR that was just read. */
  readMsrHigh(msr: number): number;
  /** WRMSR; false: #GP. */
  writeMsr(msr: number, low: number, high: number): boolean;
}

/** The CPU's side of the buses, given to it in its constructor. */
export interface CpuBus {
  readPort(port: number, size: AccessSize): number;
  writePort(port: number, size: AccessSize, value: number): void;
  /** REP INS/OUTS; returns bytes moved (a multiple of size), 0 if the window has no bulk form. */
  readPortBulk(port: number, size: AccessSize, target: Uint8Array): number;
  writePortBulk(port: number, size: AccessSize, source: Uint8Array): number;
  /** Guest-physical accesses that hit neither RAM nor ROM. */
  readMmio(gpa: number, size: AccessSize): number;
  writeMmio(gpa: number, size: AccessSize, value: number): void;
  /** The CPU takes an interrupt: the vector of the highest pending one (spurious if it went away). */
  acknowledgeInterrupt(): number;
  /** Absent: a CPU without local APIC. */
  readonly localApic?: CpuLocalApic;
  /** Time-stamp counter in guest cycles (may exceed 2^32; exact below 2^53). */
  readTsc(): number;
}

export type GeneralRegister = "eax" | "ecx" | "edx" | "ebx" | "esp" | "ebp" | "esi" | "edi";
export type SegmentRegister = "es" | "cs" | "ss" | "ds" | "fs" | "gs";

export interface VirtualCpu {
  /** Runs at most about `budget` instructions. Bounded: comes back within about 100 µs of guest time plus one access. */
  run(budgetInstructions: number): StopReason;
  /** Makes a running `run` come back soon (callable from device accesses and timers). */
  requestStop(): void;
  /** Level of the INTR pin. */
  setInterruptLine(level: boolean): void;
  /** An edge on NMI. */
  raiseNmi(): void;
  /** The A20 gate; takes effect with the next instruction. */
  setA20(enabled: boolean): void;
  reset(): void;
  readonly halted: boolean;
  /** Instructions executed since power-on. */
  readonly instructionCount: number;

  getRegister(name: GeneralRegister | "eip" | "eflags" | "cr0" | "cr2" | "cr3" | "cr4"): number;
  setRegister(name: GeneralRegister | "eip" | "eflags" | "cr0" | "cr2" | "cr3" | "cr4", value: number): void;
  getSegment(name: SegmentRegister): { selector: number; base: number; limit: number };
  /** Loads as the CPU does in its current mode (real/V86: base = selector × 16). */
  setSegment(name: SegmentRegister, selector: number): void;
  readonly mode: "real" | "protected" | "v86";
  readonly cpl: number;

  /**
   * Memory as the program that runs now would see it: linear addresses through the current page tables at the current
   * privilege. A page fault is delivered to the guest and surfaces here as `GuestFaultSignal`: the caller gives up
   * without side effects and the instruction is restarted by the guest.
   */
  readLinear(linear: number, size: AccessSize): number;
  writeLinear(linear: number, size: AccessSize, value: number): void;
  readLinearBytes(linear: number, target: Uint8Array): void;
  writeLinearBytes(linear: number, source: Uint8Array): void;

  save(): SavedLeaf;
  load(leaf: SavedLeaf): void;
  /** What the engine counts, if it counts. */
  statistics?(): CounterTree;
  /** Registers as text, for logs and guru meditations. */
  describe(): string;
}

/** Thrown through a device access or firmware service when the guest must take a fault first. Caught by the CPU. */
export class GuestFaultSignal extends Error {
  override name = "GuestFaultSignal";
}
