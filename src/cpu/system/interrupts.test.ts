import { beforeEach, describe, expect, test } from "vitest";
import * as L from "../layout.ts";
import { CR0_PG, FLAG_IF, FLAG_NT, FLAG_RF, FLAG_TF, FLAG_VM } from "../state.ts";
import { CpuFault } from "./fault.ts";
import { DR6_BS } from "./interrupts.ts";
import {
  CODE0,
  CODE1,
  CODE3,
  CONFORMING,
  DATA0,
  DATA3,
  faultOf,
  STACK0,
  STACK3,
  TestCpu,
  TestTables,
  TSS,
  TSS_SELECTOR,
  TSS2,
  TSS2_SELECTOR,
} from "./testing.ts";

const INTERRUPT32 = 0x8e;
const TRAP32 = 0x8f;
const INTERRUPT16 = 0x86;
const TASK = 0x85;
const USER = 0x60;

let cpu: TestCpu;
let tables: TestTables;
beforeEach(() => {
  cpu = new TestCpu();
  tables = new TestTables(cpu);
});
const where = () => [cpu.cs, cpu.state.eip, cpu.ss, cpu.esp, cpu.state.cpl];
/** The vector whose handler runs: handlers of `installHandlers` lie at C000h + vector × 10h. */
const handled = () => (cpu.state.eip - 0xc000) / 16;

function installHandlers(access = INTERRUPT32): void {
  for (let vector = 0; vector < 32; vector++) tables.idt(vector, CODE0, 0xc000 + vector * 16, access);
}

describe("real mode", () => {
  beforeEach(() => {
    cpu.system.reset();
    cpu.system.loadSegment(L.SEG_SS, 0x900);
    cpu.esp = 0x100;
    cpu.system.jumpFar(0x100, 0x20, 0);
    cpu.state.i32[L.IDTR_LIMIT >> 2] = 0x3ff;
    cpu.poke32(0x21 * 4, 0x03000044);
    cpu.poke32(13 * 4, 0x04000055);
    cpu.poke32(8 * 4, 0x05000066);
  });

  test("INT n pushes FLAGS, CS, IP and clears IF and TF", () => {
    cpu.state.eflags = 0x40302 | FLAG_TF;
    cpu.system.softwareInterrupt(0x21, 0x22);
    expect([cpu.cs, cpu.state.eip, cpu.esp]).toEqual([0x300, 0x44, 0xfa]);
    expect([cpu.peek16(0x90fa), cpu.peek16(0x90fc), cpu.peek16(0x90fe)]).toEqual([0x22, 0x100, 0x302]);
    expect(cpu.state.eflags).toBe(2);
  });

  test("exceptions have no error code; a short table leads to a double and a triple fault", () => {
    expect(cpu.system.deliverException(new CpuFault(13, 0x10))).toBe("delivered");
    expect([cpu.cs, cpu.state.eip, cpu.esp, cpu.peek16(0x90fa)]).toEqual([0x400, 0x55, 0xfa, 0x20]);
    cpu.state.i32[L.IDTR_LIMIT >> 2] = 8 * 4 + 3;
    cpu.system.deliverException(new CpuFault(13, 0));
    expect([cpu.cs, cpu.state.eip]).toEqual([0x500, 0x66]);
    cpu.state.i32[L.IDTR_LIMIT >> 2] = 0;
    expect(cpu.system.deliverException(new CpuFault(6))).toBe("triple-fault");
  });

  test("an external interrupt ends HLT and the shadow", () => {
    cpu.state.i32[L.HALTED >> 2] = 1;
    cpu.state.interruptShadow = 1;
    cpu.system.deliverExternal(0x21);
    expect([cpu.cs, cpu.peek16(0x90fa), cpu.state.i32[L.HALTED >> 2], cpu.state.interruptShadow]).toEqual([
      0x300, 0x20, 0, 0,
    ]);
  });
});

describe("gates", () => {
  test("same level: interrupt gates clear IF, trap gates do not; error code on top", () => {
    tables.idt(13, CODE0, 0x12345678, INTERRUPT32);
    tables.idt(3, CODE0, 0x3333, TRAP32 | USER);
    cpu.state.eflags = 0x4302;
    cpu.system.deliverException(new CpuFault(13, 0x18));
    expect(where()).toEqual([CODE0, 0x12345678, DATA0, STACK0 - 16, 0]);
    expect(tables.stack(4)).toEqual([0x18, 0x1000, CODE0, 0x4302 | FLAG_RF]);
    expect(cpu.state.eflags).toBe(2);
    tables.enter(0);
    cpu.state.eflags = 0x4302;
    cpu.system.softwareException(3, 0x1001);
    expect(tables.stack(3)).toEqual([0x1001, CODE0, 0x4302]);
    expect(cpu.state.eflags).toBe(0x202);
  });

  test("to an inner level and back by IRET", () => {
    tables.idt(0x80, CODE0, 0x8000, INTERRUPT32 | USER);
    tables.enter(3);
    cpu.state.eflags = 0x202;
    cpu.system.softwareInterrupt(0x80, 0x1002);
    expect(where()).toEqual([CODE0, 0x8000, DATA0, STACK0 - 20, 0]);
    expect(tables.stack(5)).toEqual([0x1002, CODE3, 0x202, STACK3, DATA3]);
    expect(cpu.state.isUser).toBe(false);
    cpu.system.interruptReturn(0, 4);
    expect(where()).toEqual([CODE3, 0x1002, DATA3, STACK3, 3]);
    expect(cpu.state.eflags).toBe(0x202);
  });

  test("16-bit gates push words; conforming handlers stay at the level", () => {
    tables.idt(0x21, CODE0, 0x4444, INTERRUPT16);
    cpu.state.eflags = 0x202;
    cpu.system.deliverExternal(0x21);
    expect(cpu.esp).toBe(STACK0 - 6);
    expect([cpu.peek16(cpu.esp), cpu.peek16(cpu.esp + 2), cpu.peek16(cpu.esp + 4)]).toEqual([0x1000, CODE0, 0x202]);
    tables.idt(0x22, CONFORMING, 0x5555, INTERRUPT32);
    tables.enter(3);
    cpu.system.deliverExternal(0x22);
    expect(where()).toEqual([CONFORMING | 3, 0x5555, DATA3, STACK3 - 12, 3]);
  });

  test("error codes name vector or selector, EXT only when no INT n asked", () => {
    const soft = (vector: number) => faultOf(() => cpu.system.softwareInterrupt(vector, 0x1002));
    tables.enter(3);
    tables.idt(0x40, CODE0, 0x8000, INTERRUPT32);
    expect(soft(0x40)).toBe("13/202");
    tables.idt(0x40, CODE0, 0x8000, 0x0e | USER);
    expect(soft(0x40)).toBe("11/202");
    tables.idt(0x40, CODE0, 0x8000, 0x8c | USER);
    expect(soft(0x40)).toBe("13/202");
    tables.idt(0x40, 0, 0x8000, INTERRUPT32 | USER);
    expect(soft(0x40)).toBe("13/0");
    tables.idt(0x40, DATA0, 0x8000, INTERRUPT32 | USER);
    expect(soft(0x40)).toBe("13/10");
    tables.idt(0x40, 0x700, 0x8000, INTERRUPT32 | USER);
    expect(soft(0x40)).toBe("13/700");
    tables.idt(0x40, CODE0, 0x8000, INTERRUPT32 | USER);
    cpu.state.i32[L.IDTR_LIMIT >> 2] = 0x40 * 8 + 6;
    expect(soft(0x40)).toBe("13/202");
    cpu.state.i32[L.IDTR_LIMIT >> 2] = 0x7ff;
    cpu.poke32(TSS + 8, DATA3);
    expect(soft(0x40)).toBe("10/20");
    cpu.poke32(TSS + 8, DATA0);
    tables.enter(0);
    tables.idt(0x40, CODE3, 0x8000, INTERRUPT32);
    expect(soft(0x40)).toBe("13/18");

    installHandlers();
    tables.idt(0x41, CODE0, 0x8000, 0x0e);
    cpu.system.deliverExternal(0x41);
    expect(handled()).toBe(11);
    expect(tables.stack(2)).toEqual([0x20b, 0x1000]);
  });
});

describe("V86 mode", () => {
  test("interrupts push the segments and go to level 0 only", () => {
    tables.idt(0x21, CODE0, 0x8000, INTERRUPT32 | USER);
    tables.enterV86(3);
    cpu.system.softwareInterrupt(0x21, 0x52);
    expect(where()).toEqual([CODE0, 0x8000, DATA0, STACK0 - 36, 0]);
    expect(tables.stack(9)).toEqual([0x52, 0x100, 0x23202, 0x1000, 0x300, 0x200, 0x400, 0x500, 0x600]);
    expect(cpu.state.eflags & FLAG_VM).toBe(0);
    expect([0, 3, 4, 5].map((seg) => cpu.state.segmentAttributes(seg) & L.ATTRIBUTE_USABLE)).toEqual([0, 0, 0, 0]);
    cpu.system.interruptReturn(0, 4);
    expect([cpu.cs, cpu.state.eip, cpu.state.isV86]).toEqual([0x100, 0x52, true]);

    tables.idt(0x22, CODE1 & ~3, 0x8000, INTERRUPT32 | USER);
    expect(faultOf(() => cpu.system.softwareInterrupt(0x22, 0x52))).toBe("13/40");
    tables.idt(0x23, CONFORMING, 0x8000, INTERRUPT32 | USER);
    expect(faultOf(() => cpu.system.softwareInterrupt(0x23, 0x52))).toBe("13/50");
  });

  test("INT n needs IOPL 3, INT3 does not", () => {
    tables.idt(0x21, CODE0, 0x8000, INTERRUPT32 | USER);
    tables.idt(3, CODE0, 0x3000, INTERRUPT32 | USER);
    tables.enterV86(0);
    expect(faultOf(() => cpu.system.softwareInterrupt(0x21, 0x52))).toBe("13/0");
    cpu.system.softwareException(3, 0x51);
    expect(cpu.state.eip).toBe(0x3000);
    expect(tables.stack(1)).toEqual([0x51]);
  });

  test("a fault of the monitor's guest carries its error code", () => {
    tables.idt(13, CODE0, 0x8000, INTERRUPT32);
    tables.enterV86(0);
    cpu.system.deliverException(new CpuFault(13, 0));
    expect(tables.stack(10)).toEqual([0, 0x50, 0x100, 0x20202 | FLAG_RF, 0x1000, 0x300, 0x200, 0x400, 0x500, 0x600]);
  });
});

describe("double and triple faults", () => {
  /** Handlers for `present` only. */
  const deliver = (fault: CpuFault, ...present: number[]) => {
    for (let vector = 0; vector < 32; vector++) tables.idt(vector, 0, 0, 0);
    for (const vector of present) tables.idt(vector, CODE0, 0xc000 + vector * 16, INTERRUPT32);
    tables.enter(0);
    const result = cpu.system.deliverException(fault);
    return result === "triple-fault" ? result : handled();
  };

  test("contributory after contributory, page fault combinations, benign first", () => {
    expect(deliver(new CpuFault(6), 13)).toBe(13);
    expect(tables.stack(1)).toEqual([6 * 8 + 3]);
    expect(deliver(new CpuFault(10, 0), 8, 13)).toBe(8);
    expect(tables.stack(2)).toEqual([0, 0x1000]);
    expect(deliver(new CpuFault(0), 8, 13)).toBe(8);
    expect(deliver(new CpuFault(14, 2, 0x5000), 8, 13)).toBe(8);
    expect(cpu.state.cr2).toBe(0x5000);
    expect(deliver(new CpuFault(13, 0), 14)).toBe("triple-fault");
    expect(deliver(new CpuFault(8, 0), 13)).toBe("triple-fault");
    expect(deliver(new CpuFault(17, 0), 13)).toBe(13);
  });

  test("a page fault while a #GP is delivered is handled first; a second page fault is double", () => {
    const directory = 0x10000;
    for (let page = 0; page < 0x100; page++) cpu.poke32(0x11000 + page * 4, (page << 12) | 3);
    cpu.poke32(directory, 0x11003);
    installHandlers();
    cpu.enablePaging(directory);
    // Level 3 interrupted; its handler's stack page is missing.
    cpu.poke32(0x11000 + ((STACK0 - 1) >> 12) * 4, 0);
    tables.enter(3);
    expect(cpu.system.deliverException(new CpuFault(13, 0))).toBe("triple-fault");
    cpu.poke32(TSS2 + 0x1c, directory);
    cpu.poke32(TSS2 + 0x20, 0x9999);
    cpu.poke32(TSS2 + 0x38, 0xa000);
    for (const [at, selector] of [
      [0x48, DATA0],
      [0x4c, CODE0],
      [0x50, DATA0],
      [0x54, DATA0],
    ])
      cpu.poke32(TSS2 + at, selector);
    tables.idt(8, TSS2_SELECTOR, 0, TASK);
    expect(cpu.system.deliverException(new CpuFault(13, 0x30))).toBe("delivered");
    // #GP hit #PF on the stack page, which hit #PF again: the double-fault task runs, error code 0 on its stack.
    expect([cpu.state.eip, cpu.esp, cpu.peek32(0xa000 - 4), cpu.state.cr2]).toEqual([0x9999, 0x9ffc, 0, STACK0 - 4]);
    expect(cpu.state.cr0 & CR0_PG).not.toBe(0);
  });
});

describe("NMI and debug traps", () => {
  test("NMI blocks further ones until IRET", () => {
    installHandlers();
    cpu.system.deliverNmi();
    expect([handled(), cpu.state.i32[L.NMI_BLOCKED >> 2]]).toEqual([2, 1]);
    cpu.system.interruptReturn(0, 4);
    expect([cpu.state.eip, cpu.state.i32[L.NMI_BLOCKED >> 2]]).toEqual([0x1000, 0]);
  });

  test("single step: DR6.BS, TF clear in the handler but set in the image, GD off", () => {
    installHandlers();
    cpu.state.eflags = 0x302;
    cpu.system.writeDebug(7, 0x2000);
    cpu.system.deliverDebugTrap(DR6_BS);
    expect([handled(), cpu.state.eflags & FLAG_TF]).toEqual([1, 0]);
    expect(tables.stack(3)).toEqual([0x1000, CODE0, 0x302]);
    expect(cpu.system.readDebug(6) >>> 0).toBe(0xffff4ff0);
  });
});

describe("task gates", () => {
  beforeEach(() => {
    cpu.poke32(TSS2 + 0x20, 0x9999);
    cpu.poke32(TSS2 + 0x24, 2);
    cpu.poke32(TSS2 + 0x38, 0xa000);
    for (const [at, selector] of [
      [0x48, DATA0],
      [0x4c, CODE0],
      [0x50, DATA0],
      [0x54, DATA0],
    ])
      cpu.poke32(TSS2 + at, selector);
  });

  test("an exception saves the restart image, links back and pushes its error code on the new stack", () => {
    tables.idt(13, TSS2_SELECTOR, 0, TASK);
    tables.enter(3);
    cpu.state.eflags = 0x202;
    cpu.system.deliverException(new CpuFault(13, 0x28));
    expect(where()).toEqual([CODE0, 0x9999, DATA0, 0x9ffc, 0]);
    expect(cpu.peek32(0x9ffc)).toBe(0x28);
    expect([cpu.peek32(TSS + 0x20), cpu.peek32(TSS + 0x24)]).toEqual([0x1000, 0x202 | FLAG_RF]);
    expect(cpu.peek16(TSS2)).toBe(TSS_SELECTOR);
    expect(cpu.state.eflags & (FLAG_NT | FLAG_IF)).toBe(FLAG_NT);
    cpu.esp += 4;
    cpu.system.interruptReturn(0x99a0, 4);
    expect(where()).toEqual([CODE3, 0x1000, DATA3, STACK3, 3]);
    expect(cpu.state.eflags).toBe(0x202 | FLAG_RF);
  });

  test("busy, absent and wrong targets", () => {
    const soft = () => faultOf(() => cpu.system.softwareInterrupt(0x40, 0x1002));
    tables.idt(0x40, TSS_SELECTOR, 0, TASK);
    expect(soft()).toBe("13/28");
    tables.idt(0x40, DATA0, 0, TASK);
    expect(soft()).toBe("13/10");
    tables.segment(TSS2_SELECTOR, TSS2, 0x67, 0x09, 0);
    tables.idt(0x40, TSS2_SELECTOR, 0, TASK);
    expect(soft()).toBe("11/30");
    tables.segment(TSS2_SELECTOR, TSS2, 0x66, 0x89, 0);
    expect(soft()).toBe("10/30");
    tables.segment(TSS2_SELECTOR, TSS2, 0x67, 0x89, 0);
    expect(soft()).toBe("none");
  });
});
