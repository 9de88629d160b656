/**
 * The TypeScript side of `b.helper(name)`: adapters from generated code's i32 arguments to the functions of src/cpu/system,
 * and slow memory accesses. Each answers a status (lowering.ts). Faults come as CpuFault and leave as status.fault
 * with FAULT set; nothing has changed then.
 */
import type { AccessSize } from "../../device-api/io-window.ts";
import { type CpuBus, GuestFaultSignal } from "../../device-api/virtual-cpu.ts";
import { evaluate } from "../fpu/transcendental.ts";
import * as L from "../layout.ts";
import type { LinearMemory } from "../mmu/linear-memory.ts";
import { isWithinSegment } from "../mmu/segment-check.ts";
import { type CpuState, CR0_NE, FLAG_DF, FLAG_IF, FLAG_TF } from "../state.ts";
import { CpuFault, generalProtection, VECTOR_MF } from "../system/fault.ts";
import { StackFrame } from "../system/stack-frame.ts";
import type { System } from "../system/system.ts";
import type { HelperName } from "./imports.ts";
import { SLOW_VALUE, status } from "./lowering.ts";

/** What the engine does around helpers. */
export interface HelperOwner {
  /** After an instruction that set EIP: refetch, or leave because something is due. */
  finish(): number;
  /** A slow store has dropped decoded code: the record after `record` may be stale. */
  codeDropped(record: number): void;
  /** Set by a code-modifying write since the last look. */
  isCodeDropped: boolean;
  /** STI has just set IF: the next instruction comes before any interrupt. */
  interruptsEnabled(): void;
  /** A port was accessed: breakpoints on ports. */
  portAccessed(port: number, sizeBytes: number): void;
  /** INT n, INT3, INT1 or INTO went through a gate: it cleared TF, and there is no trap behind the instruction. */
  softwareInterruptDelivered(): void;
  /** FERR#: x87 error with CR0.NE clear. */
  raiseFpuError(): void;
}

const RESULT = L.SCRATCH >> 2;
const SLOW = SLOW_VALUE >> 2;
const FAULT = L.FAULT >> 2;
/** Elements of one INS/OUTS repetition before going round through EIP. */
const PORT_CHUNK = 4096;
/** DR7: any breakpoint enabled. */
const DR7_ENABLED = 0xff;

export type Helpers = { [name in HelperName]: (...args: number[]) => number };

/** Leaves a fault in the state block for the run loop. */
export function recordFault(i32: Int32Array, fault: CpuFault): void {
  i32[FAULT] = fault.vector + 1;
  i32[L.FAULT_ERROR >> 2] = fault.errorCode ?? -1;
  i32[L.FAULT_LINEAR >> 2] = fault.linear;
}

export interface HelperParts {
  readonly state: CpuState;
  readonly linear: LinearMemory;
  readonly system: System;
  readonly bus: CpuBus;
}

export function createHelpers(parts: HelperParts, owner: HelperOwner): Helpers {
  const { state, linear, system, bus } = parts;
  const { i32 } = state;
  const frame = new StackFrame(state, linear);
  const bulk = new Uint8Array(4096);

  /**
   * The status for something thrown: a fault leaves the instruction as if it had not begun. Except in a task switch: behind
   * its point of no return EIP is the new task's already, and the fault is taken there.
   */
  function faulted(thrown: unknown, eip: number): number {
    if (thrown instanceof CpuFault) {
      recordFault(i32, thrown);
      return i32[L.EIP >> 2] === eip ? status.fault : status.leave;
    }
    if (!(thrown instanceof GuestFaultSignal)) throw thrown;
    i32[L.EIP >> 2] = eip;
    return status.fault;
  }

  /** Runs `body`; a CpuFault becomes status.fault. */
  const guarded =
    (body: (a: number, b: number, c: number, d: number) => number) =>
    (a = 0, b = 0, c = 0, d = 0): number => {
      const eip = i32[L.EIP >> 2];
      try {
        return body(a, b, c, d);
      } catch (thrown) {
        return faulted(thrown, eip);
      }
    };
  /** A helper that completes the instruction. */
  const ending = (body: (a: number, b: number, c: number, d: number) => void) =>
    guarded((a, b, c, d) => {
      body(a, b, c, d);
      return owner.finish();
    });
  /** A helper in the middle of an instruction. */
  const middle = (body: (a: number, b: number, c: number, d: number) => void) =>
    guarded((a, b, c, d) => {
      body(a, b, c, d);
      return status.next;
    });
  const result = (index: number, value: number) => {
    i32[RESULT + index] = value;
  };

  function slowRead(address: number, size: number, isWrite: boolean): number {
    if (size <= 4) {
      if (isWrite && !linear.tryProbe(address, size, true)) return status.fault;
      const value = linear.load(address, size);
      if (i32[FAULT] !== 0) return status.fault;
      i32[SLOW] = value;
      return status.next;
    }
    if (!linear.tryProbe(address, size, isWrite)) return status.fault;
    const user = state.isUser;
    for (let n = 0; n < size; n += 4) i32[SLOW + (n >> 2)] = linear.read32((address + n) >>> 0, user);
    return status.next;
  }

  /** Direction and element step of string I/O. */
  const step = (size: number): number => ((state.systemFlags & FLAG_DF) !== 0 ? -size : size);
  const indexRegister = (number: number, addressWidth: number): number =>
    addressWidth === 32 ? state.reg32(number) : state.reg16(number);
  const setIndexRegister = (number: number, addressWidth: number, value: number): void => {
    if (addressWidth === 32) state.setReg32(number, value);
    else state.setReg16(number, value);
  };

  function readPort(port: number, size: number): number {
    return bus.readPort(port, size as AccessSize) >>> 0;
  }

  /** A trap is due after each element: TF, or breakpoints. */
  const isWatched = (): boolean => (state.systemFlags & FLAG_TF) !== 0 || (i32[(L.DR >> 2) + 14] & DR7_ENABLED) !== 0;
  /** Many elements at once: all inside the segment, none of them checked for alignment. */
  const isBulk = (segment: number, offset: number, sizeBytes: number, isWrite: boolean): boolean =>
    !state.isAlignmentChecked && !isWatched() && isWithinSegment(state, segment, offset, sizeBytes, isWrite);

  /** INS: `count` elements at most PORT_CHUNK; EIP stays for the rest. */
  function ins(size: number, addressWidth: number, repeat: number, nextEip: number): void {
    const port = state.reg16(2);
    system.checkPort(port, size);
    const eip = state.eip;
    const user = state.isUser;
    let count = repeat === 0 ? 1 : indexRegister(1, addressWidth);
    let moved = 0;
    const by = step(size);
    // Blocks, upwards, within a page and in plain memory.
    if (count > 1 && by > 0 && addressWidth === 32) {
      const edi = state.reg32(7);
      const room = 4096 - ((state.segmentBase(L.SEG_ES) + edi) & 4095);
      const elements = Math.min(count, Math.floor(room / size), Math.floor(bulk.length / size));
      if (elements > 1 && isBulk(L.SEG_ES, edi, elements * size, true)) {
        const address = (state.segmentBase(L.SEG_ES) + edi) >>> 0;
        linear.probe(address, elements * size, true, user);
        const target = bulk.subarray(0, elements * size);
        const bytes = bus.readPortBulk(port, size as AccessSize, target);
        if (bytes > 0) {
          linear.writeBytes(address, target.subarray(0, bytes), user);
          const done = bytes / size;
          state.setReg32(7, edi + bytes);
          count -= done;
          state.setReg32(1, count);
          if (count > 0) {
            state.eip = eip;
            return;
          }
          state.eip = nextEip;
          return;
        }
      }
    }
    const chunk = isWatched() ? 1 : PORT_CHUNK;
    while (count > 0 && moved < chunk) {
      const edi = indexRegister(7, addressWidth);
      const address = linear.checkSegment(L.SEG_ES, edi, size, true);
      linear.probe(address, size, true, user);
      const value = readPort(port, size);
      if (size === 4) linear.write32(address, value, user);
      else if (size === 2) linear.write16(address, value, user);
      else linear.write8(address, value, user);
      owner.portAccessed(port, size);
      setIndexRegister(7, addressWidth, edi + by);
      count--;
      moved++;
      if (repeat !== 0) setIndexRegister(1, addressWidth, count);
    }
    state.eip = count > 0 ? eip : nextEip;
  }

  function outs(packed: number, segment: number, nextEip: number): void {
    const size = packed & 0xff;
    const addressWidth = (packed >> 8) & 0xff;
    const isRepeated = packed >> 16 !== 0;
    const port = state.reg16(2);
    system.checkPort(port, size);
    const eip = state.eip;
    const user = state.isUser;
    let count = isRepeated ? indexRegister(1, addressWidth) : 1;
    let moved = 0;
    const by = step(size);
    if (count > 1 && by > 0 && addressWidth === 32) {
      const esi = state.reg32(6);
      const room = 4096 - ((state.segmentBase(segment) + esi) & 4095);
      const elements = Math.min(count, Math.floor(room / size), Math.floor(bulk.length / size));
      if (elements > 1 && isBulk(segment, esi, elements * size, false)) {
        const address = (state.segmentBase(segment) + esi) >>> 0;
        const source = bulk.subarray(0, elements * size);
        linear.readBytes(address, source, user);
        const bytes = bus.writePortBulk(port, size as AccessSize, source);
        if (bytes > 0) {
          state.setReg32(6, esi + bytes);
          count -= bytes / size;
          state.setReg32(1, count);
          state.eip = count > 0 ? eip : nextEip;
          return;
        }
      }
    }
    const chunk = isWatched() ? 1 : PORT_CHUNK;
    while (count > 0 && moved < chunk) {
      const esi = indexRegister(6, addressWidth);
      const address = linear.checkSegment(segment, esi, size, false);
      const value =
        size === 4
          ? linear.read32(address, user)
          : size === 2
            ? linear.read16(address, user)
            : linear.read8(address, user);
      bus.writePort(port, size as AccessSize, value >>> 0);
      owner.portAccessed(port, size);
      setIndexRegister(6, addressWidth, esi + by);
      count--;
      moved++;
      if (isRepeated) setIndexRegister(1, addressWidth, count);
    }
    state.eip = count > 0 ? eip : nextEip;
  }

  return {
    "slow-read": (address, size) => {
      try {
        return slowRead(address >>> 0, size, false);
      } catch (thrown) {
        return faulted(thrown, i32[L.EIP >> 2]);
      }
    },
    "slow-read-for-write": (address, size) => {
      try {
        return slowRead(address >>> 0, size, true);
      } catch (thrown) {
        return faulted(thrown, i32[L.EIP >> 2]);
      }
    },
    "slow-write": (address, size, record) => {
      try {
        if (size <= 4) {
          linear.store(address >>> 0, size, i32[SLOW]);
          if (i32[FAULT] !== 0) return status.fault;
        } else {
          if (!linear.tryProbe(address >>> 0, size, true)) return status.fault;
          const user = state.isUser;
          // The scratch words may be reused by what the write sets off.
          const words = [i32[SLOW], i32[SLOW + 1], i32[SLOW + 2], i32[SLOW + 3]];
          for (let n = 0; n < size; n += 4) linear.write32((address + n) >>> 0, words[n >> 2], user);
        }
      } catch (thrown) {
        return faulted(thrown, i32[L.EIP >> 2]);
      }
      if (owner.isCodeDropped) owner.codeDropped(record);
      return status.next;
    },
    "check-segment": guarded((segment, offset, size, isWrite) => {
      linear.checkSegment(segment, offset >>> 0, size, isWrite !== 0);
      return status.next;
    }),
    "flags-image": middle(() => result(0, system.pushf())),
    popf: ending((width, nextEip) => {
      const bytes = width / 8;
      if (state.isV86 && state.iopl !== 3) throw generalProtection();
      frame.useCurrent(0);
      const image = frame.peek(0, bytes);
      system.popf(width === 16 ? (state.eflags & ~0xffff) | (image & 0xffff) : image, bytes);
      frame.skip(bytes);
      frame.commit();
      state.eip = nextEip;
    }),
    cli: ending((nextEip) => {
      system.cli();
      state.eip = nextEip;
    }),
    sti: ending((nextEip) => {
      const wasSet = (state.systemFlags & FLAG_IF) !== 0;
      system.sti();
      state.eip = nextEip;
      i32[L.INTERRUPT_SHADOW >> 2] = 0;
      if (wasSet) return;
      // The shadow only matters when something waits to come through, now or when the budget ends right here.
      if (i32[L.INTERRUPT_LINE >> 2] !== 0) i32[L.INTERRUPT_SHADOW >> 2] = L.SHADOW_STI;
      else owner.interruptsEnabled();
    }),
    hlt: ending((nextEip) => {
      system.requireSupervisor();
      i32[L.HALTED >> 2] = 1;
      state.eip = nextEip;
    }),
    // The ways into and out of the kernel are not `ending(…)`: its one call site would be megamorphic.
    int: (vector, nextEip, kind) => {
      const eip = i32[L.EIP >> 2];
      try {
        if (kind === 1) system.debugInterrupt(nextEip);
        else if (kind < 0) system.softwareInterrupt(vector, nextEip);
        else system.softwareException(vector, nextEip);
      } catch (thrown) {
        return faulted(thrown, eip);
      }
      owner.softwareInterruptDelivered();
      return owner.finish();
    },
    iret: (width, nextEip) => {
      const eip = i32[L.EIP >> 2];
      try {
        system.interruptReturn(nextEip, width >> 3);
      } catch (thrown) {
        return faulted(thrown, eip);
      }
      return owner.finish();
    },
    "jmp-far": ending((selector, offset, width, nextEip) => {
      system.jumpFar(selector & 0xffff, width === 16 ? offset & 0xffff : offset >>> 0, nextEip);
    }),
    "call-far": ending((selector, offset, width, nextEip) => {
      system.callFar(selector & 0xffff, width === 16 ? offset & 0xffff : offset >>> 0, nextEip, width / 8);
    }),
    retf: ending((width, release) => system.returnFar(width / 8, release)),
    "load-segment": middle((segment, selector) => system.loadSegment(segment, selector)),
    end: ending((nextEip) => {
      state.eip = nextEip;
    }),
    "mov-to-segment": ending((segment, selector, nextEip) => {
      system.loadSegment(segment, selector);
      state.eip = nextEip;
      if (segment === L.SEG_SS) i32[L.INTERRUPT_SHADOW >> 2] = L.SHADOW_SS;
    }),
    "pop-segment": ending((segment, width, nextEip) => {
      frame.useCurrent(0);
      const selector = frame.peek(0, 2) & 0xffff;
      // The new stack segment decides nothing about the pop itself.
      system.loadSegment(segment, selector);
      const pointer = state.stackPointer(frame.isBig);
      state.setStackPointer(frame.isBig, pointer + width / 8);
      state.eip = nextEip;
      if (segment === L.SEG_SS) i32[L.INTERRUPT_SHADOW >> 2] = L.SHADOW_SS;
    }),
    lar: middle((selector) => {
      const rights = system.lar(selector);
      result(0, rights === -1 ? 0 : 1);
      result(1, rights);
    }),
    lsl: middle((selector) => {
      const limit = system.lsl(selector);
      result(0, limit === -1 ? 0 : 1);
      result(1, limit);
    }),
    verr: middle((selector) => {
      system.verr(selector);
      result(0, (state.eflags >> 6) & 1);
    }),
    verw: middle((selector) => {
      system.verw(selector);
      result(0, (state.eflags >> 6) & 1);
    }),
    "check-cpl0": middle(() => system.requireSupervisor()),
    lldt: middle((selector) => system.lldt(selector)),
    ltr: middle((selector) => system.ltr(selector)),
    lmsw: ending((value, nextEip) => {
      system.lmsw(value);
      state.eip = nextEip;
    }),
    clts: ending((nextEip) => {
      system.clts();
      state.eip = nextEip;
    }),
    "read-control": middle((index) => result(0, system.readControl(index))),
    "write-control": ending((index, value, nextEip) => {
      system.writeControl(index, value >>> 0);
      state.eip = nextEip;
    }),
    "read-debug": middle((index) => result(0, system.readDebug(index))),
    "write-debug": ending((index, value, nextEip) => {
      system.writeDebug(index, value >>> 0);
      state.eip = nextEip;
    }),
    invlpg: ending((address, nextEip) => {
      system.invlpg(address >>> 0);
      state.eip = nextEip;
    }),
    rdmsr: middle(() => {
      const eax = state.reg32(0);
      const edx = state.reg32(2);
      system.rdmsr();
      result(0, state.reg32(0));
      result(1, state.reg32(2));
      state.setReg32(0, eax);
      state.setReg32(2, edx);
    }),
    wrmsr: ending((_msr, _low, _high, nextEip) => {
      system.wrmsr();
      state.eip = nextEip;
    }),
    rdtsc: middle(() => {
      system.rdtsc();
      result(0, state.reg32(0));
      result(1, state.reg32(2));
    }),
    cpuid: middle(() => {
      system.cpuid();
      result(0, state.reg32(0));
      result(1, state.reg32(3));
      result(2, state.reg32(1));
      result(3, state.reg32(2));
    }),
    sysenter: () => {
      const eip = i32[L.EIP >> 2];
      try {
        system.systemEnter();
      } catch (thrown) {
        return faulted(thrown, eip);
      }
      return owner.finish();
    },
    sysexit: () => {
      const eip = i32[L.EIP >> 2];
      try {
        system.systemExit();
      } catch (thrown) {
        return faulted(thrown, eip);
      }
      return owner.finish();
    },
    in: (port, size, nextEip) => {
      const eip = i32[L.EIP >> 2];
      try {
        system.checkPort(port, size);
        // Devices (the firmware's traps) may look at EIP, and change it: it is behind the instruction already.
        state.eip = nextEip;
        const value = readPort(port, size);
        if (size === 4) state.setReg32(0, value);
        else if (size === 2) state.setReg16(0, value);
        else state.u8[L.GPR] = value;
        owner.portAccessed(port, size);
      } catch (thrown) {
        return faulted(thrown, eip);
      }
      return owner.finish();
    },
    out: (port, size, nextEip) => {
      const eip = i32[L.EIP >> 2];
      try {
        system.checkPort(port, size);
        const eax = state.reg32(0);
        state.eip = nextEip;
        bus.writePort(port, size as AccessSize, size === 4 ? eax : size === 2 ? eax & 0xffff : eax & 0xff);
        owner.portAccessed(port, size);
      } catch (thrown) {
        return faulted(thrown, eip);
      }
      return owner.finish();
    },
    ins: ending(ins),
    outs: ending(outs),
    "fpu-error": guarded(() => {
      // Native errors are #MF; without CR0.NE the error goes out on FERR# and comes back as IRQ 13.
      if ((state.cr0 & CR0_NE) !== 0) throw new CpuFault(VECTOR_MF);
      owner.raiseFpuError();
      return status.next;
    }),
    "x87-function": (kind) => {
      evaluate(kind, i32, state.u32);
      return status.next;
    },
  };
}
