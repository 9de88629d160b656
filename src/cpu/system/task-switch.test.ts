import { beforeEach, describe, expect, test } from "vitest";
import * as L from "../layout.ts";
import { CR0_TS, FLAG_NT } from "../state.ts";
import { CpuFault } from "./fault.ts";
import {
  CODE0,
  CODE1,
  CODE3,
  CODE16,
  DATA0,
  DATA1,
  DATA3,
  DATA16,
  FREE,
  faultOf,
  firstDifference,
  GDT,
  IDT,
  LDT,
  LDT_SELECTOR,
  STACK0,
  TestCpu,
  TestTables,
  TSS,
  TSS_SELECTOR,
  TSS2,
  TSS2_SELECTOR,
} from "./testing.ts";

let cpu: TestCpu;
let tables: TestTables;
beforeEach(() => {
  cpu = new TestCpu();
  tables = new TestTables(cpu);
});

interface Task {
  eip?: number;
  flags?: number;
  esp?: number;
  cs?: number;
  ss?: number;
  data?: number;
  ldt?: number;
  trap?: boolean;
}
/** Fills the second TSS; registers get 100h, 101h…. */
function newTask({
  eip = 0x2000,
  flags = 2,
  esp = 0xa000,
  cs = CODE0,
  ss = DATA0,
  data = DATA0,
  ldt = 0,
  trap = false,
}: Task = {}) {
  cpu.poke32(TSS2 + 0x20, eip);
  cpu.poke32(TSS2 + 0x24, flags);
  for (let i = 0; i < 8; i++) cpu.poke32(TSS2 + 0x28 + i * 4, i === 4 ? esp : 0x100 + i);
  for (const [i, selector] of [data, cs, ss, data, data, data].entries()) cpu.poke32(TSS2 + 0x48 + i * 4, selector);
  cpu.poke32(TSS2 + 0x60, ldt);
  cpu.poke16(TSS2 + 0x64, trap ? 1 : 0);
}
const where = () => [cpu.cs, cpu.state.eip, cpu.ss, cpu.esp, cpu.state.cpl];

describe("JMP", () => {
  test("saves everything, loads everything, moves the busy bit, sets TS", () => {
    newTask({ ldt: LDT_SELECTOR, flags: 0x3246 });
    cpu.state.eflags = 0x893;
    cpu.state.setReg32(3, 0xbbbb);
    cpu.system.writeDebug(7, 0x3ff);
    cpu.system.jumpFar(TSS2_SELECTOR, 0x1234, 0x1007);
    expect(where()).toEqual([CODE0, 0x2000, DATA0, 0xa000, 0]);
    expect([cpu.state.eflags, cpu.state.reg32(0), cpu.state.reg32(7)]).toEqual([0x3246, 0x100, 0x107]);
    expect([cpu.peek32(TSS + 0x20), cpu.peek32(TSS + 0x24), cpu.peek32(TSS + 0x34), cpu.peek32(TSS + 0x38)]).toEqual([
      0x1007,
      0x893,
      0xbbbb,
      STACK0,
    ]);
    expect([cpu.peek16(TSS + 0x4c), cpu.peek16(TSS + 0x5c)]).toEqual([CODE0, DATA0]);
    expect([tables.access(TSS_SELECTOR), tables.access(TSS2_SELECTOR)]).toEqual([0x89, 0x8b]);
    expect(cpu.state.cr0 & CR0_TS).toBe(CR0_TS);
    expect(cpu.system.readDebug(7)).toBe(0x6aa);
    expect([cpu.state.segmentSelector(L.SEG_LDTR), cpu.state.segmentBase(L.SEG_LDTR)]).toEqual([LDT_SELECTOR, LDT]);
    expect(cpu.peek16(TSS2)).toBe(0);
    cpu.system.jumpFar(TSS_SELECTOR, 0, 0x2007);
    expect(where()).toEqual([CODE0, 0x1007, DATA0, STACK0, 0]);
    expect([cpu.state.reg32(3), cpu.state.eflags]).toEqual([0xbbbb, 0x893]);
  });

  test("to V86 mode and to another privilege level", () => {
    newTask({ flags: 0x23202, cs: 0x100, ss: 0x200, data: 0x300, eip: 0x10, esp: 0x80 });
    cpu.system.jumpFar(TSS2_SELECTOR, 0, 0x1007);
    expect(where()).toEqual([0x100, 0x10, 0x200, 0x80, 3]);
    expect([cpu.state.isV86, cpu.state.segmentBase(L.SEG_DS)]).toEqual([true, 0x3000]);

    cpu = new TestCpu();
    tables = new TestTables(cpu);
    newTask({ cs: CODE3, ss: DATA3, data: DATA3 });
    cpu.system.jumpFar(TSS2_SELECTOR, 0, 0x1007);
    expect(where()).toEqual([CODE3, 0x2000, DATA3, 0xa000, 3]);
    expect(cpu.state.isUser).toBe(true);
  });

  test("loads CR3 under paging", () => {
    const directory = (at: number, frameOfPage0: number) => {
      cpu.poke32(at, (at + 0x1000) | 7);
      for (let page = 0; page < 0x100; page++) cpu.poke32(at + 0x1000 + page * 4, (page << 12) | 7);
      cpu.poke32(at + 0x1000 + 0x40 * 4, (frameOfPage0 << 12) | 7);
    };
    directory(0x20000, 0x50);
    directory(0x22000, 0x51);
    cpu.poke32(0x50000, 1);
    cpu.poke32(0x51000, 2);
    newTask();
    cpu.poke32(TSS2 + 0x1c, 0x22000);
    cpu.enablePaging(0x20000);
    expect(cpu.linear.read32(0x40000, false)).toBe(1);
    cpu.system.jumpFar(TSS2_SELECTOR, 0, 0x1007);
    expect([cpu.state.cr3, cpu.linear.read32(0x40000, false)]).toEqual([0x22000, 2]);
  });
});

describe("CALL, IRET, gates", () => {
  test("CALL links and nests, IRET returns", () => {
    newTask();
    cpu.system.callFar(TSS2_SELECTOR, 0, 0x1007, 4);
    expect([cpu.peek16(TSS2), cpu.state.eflags & FLAG_NT]).toEqual([TSS_SELECTOR, FLAG_NT]);
    expect([tables.access(TSS_SELECTOR), tables.access(TSS2_SELECTOR)]).toEqual([0x8b, 0x8b]);
    expect(faultOf(() => cpu.system.callFar(TSS_SELECTOR, 0, 0, 4))).toBe("13/28");
    cpu.system.interruptReturn(0x2001, 4);
    expect(where()).toEqual([CODE0, 0x1007, DATA0, STACK0, 0]);
    expect([tables.access(TSS_SELECTOR), tables.access(TSS2_SELECTOR)]).toEqual([0x8b, 0x89]);
    expect([cpu.peek32(TSS2 + 0x20), cpu.peek32(TSS2 + 0x24) & FLAG_NT, cpu.state.eflags & FLAG_NT]).toEqual([
      0x2001, 0, 0,
    ]);
  });

  test("IRET with a link to the running task finds the state it has just saved", () => {
    cpu.poke16(TSS, TSS_SELECTOR);
    cpu.state.eflags |= FLAG_NT;
    cpu.state.setReg32(3, 0xbbbb);
    cpu.system.interruptReturn(0x1001, 4);
    expect(where()).toEqual([CODE0, 0x1001, DATA0, STACK0, 0]);
    expect([cpu.state.reg32(3), cpu.state.eflags & FLAG_NT, tables.access(TSS_SELECTOR)]).toEqual([0xbbbb, 0, 0x89]);
  });

  test("task gates ask for the gate's privilege only", () => {
    newTask();
    tables.gate(GDT + FREE, TSS2_SELECTOR, 0, 0xe5);
    tables.enter(3);
    expect(faultOf(() => cpu.system.jumpFar(TSS2_SELECTOR, 0, 0))).toBe("13/30");
    cpu.system.jumpFar(FREE | 3, 0, 0x1007);
    expect(where()).toEqual([CODE0, 0x2000, DATA0, 0xa000, 0]);
    expect(cpu.peek16(TSS + 0x4c)).toBe(CODE3);
  });
});

test("16-bit task state segments", () => {
  tables.segment(FREE, 0x6000, 0x2b, 0x81, 0);
  cpu.poke16(0x600e, 0x123);
  cpu.poke16(0x6010, 0x3202);
  for (let i = 0; i < 8; i++) cpu.poke16(0x6012 + i * 2, 0x1110 + i);
  [DATA16, CODE16, DATA16, 0].forEach((selector, i) => {
    cpu.poke16(0x6022 + i * 2, selector);
  });
  cpu.system.callFar(FREE, 0, 0x1007, 4);
  expect(where()).toEqual([CODE16, 0x123, DATA16, 0x1114, 0]);
  expect([cpu.state.reg32(0), cpu.state.segmentSelector(L.SEG_FS), cpu.state.eflags]).toEqual([0x1110, 0, 0x7202]);
  expect([cpu.peek16(0x6000), tables.access(FREE)]).toEqual([TSS_SELECTOR, 0x83]);
  cpu.state.setReg32(0, 0x9876);
  cpu.system.interruptReturn(0x140, 2);
  expect(where()).toEqual([CODE0, 0x1007, DATA0, STACK0, 0]);
  expect([cpu.peek16(0x600e), cpu.peek16(0x6010), cpu.peek16(0x6012)]).toEqual([0x140, 0x3202, 0x9876]);
  expect(cpu.peek16(0x602a)).toBe(0);
});

describe("faults", () => {
  test("before the commit point nothing changes", () => {
    newTask();
    tables.segment(TSS2_SELECTOR, TSS2, 0x66, 0x89, 0);
    const block = cpu.block();
    const ram = cpu.ram();
    expect(faultOf(() => cpu.system.jumpFar(TSS2_SELECTOR, 0, 0x1007))).toBe("10/30");
    tables.segment(TSS2_SELECTOR, 0x1ff000, 0x67, 0x89, 0);
    // The new TSS lies on a page that is not there.
    const pageTable = 0x31000;
    cpu.poke32(0x30000, pageTable | 7);
    for (let page = 0; page < 0x1ff; page++) cpu.poke32(pageTable + page * 4, (page << 12) | 0x67);
    const ramWithTables = cpu.ram();
    cpu.enablePaging(0x30000);
    const pagedBlock = cpu.block();
    expect(faultOf(() => cpu.system.jumpFar(TSS2_SELECTOR, 0, 0x1007))).toMatch(/^14\/0 1ff0/);
    expect(firstDifference(cpu.block(), pagedBlock)).toBe(-1);
    ramWithTables[0x30000] |= 0x20;
    expect(firstDifference(cpu.ram(), ramWithTables)).toBe(-1);
    expect([block.length, ram.length]).toEqual([pagedBlock.length, ramWithTables.length]);
  });

  test("segments of the new task fault in the new task", () => {
    const attempt = (task: Task) => {
      cpu = new TestCpu();
      tables = new TestTables(cpu);
      newTask(task);
      const fault = faultOf(() => cpu.system.jumpFar(TSS2_SELECTOR, 0, 0x1007));
      expect(cpu.state.eip).toBe(task.eip ?? 0x2000);
      expect(cpu.state.segmentSelector(L.SEG_TR)).toBe(TSS2_SELECTOR);
      return fault;
    };
    expect(attempt({ cs: 0 })).toBe("10/0");
    expect(attempt({ cs: DATA0 })).toBe("10/10");
    expect(attempt({ cs: CODE1 & ~3 })).toBe("10/40");
    expect(attempt({ ss: 0 })).toBe("10/0");
    expect(attempt({ ss: DATA1 })).toBe("10/48");
    expect(attempt({ data: CODE0 | 3, cs: CODE3, ss: DATA3 })).toBe("10/8");
    expect(attempt({ data: 0x600 })).toBe("10/600");
    expect(attempt({ ldt: DATA0 })).toBe("10/10");
    expect(attempt({ ldt: 0x14 })).toBe("10/14");
    expect(attempt({ cs: CODE16, eip: 0x10000 })).toBe("13/0");
  });

  test("an old TSS too short for what is saved is named itself", () => {
    newTask();
    tables.segment(TSS_SELECTOR, TSS, 0x5e, 0x89, 0);
    cpu.system.ltr(TSS_SELECTOR);
    expect(faultOf(() => cpu.system.jumpFar(TSS2_SELECTOR, 0, 0x1007))).toBe("10/28");
  });

  test("faults of a task that an exception switched to carry EXT, those of data segments too", () => {
    const pushedError = (task: Task) => {
      cpu = new TestCpu();
      tables = new TestTables(cpu);
      newTask({ cs: CODE3, ss: DATA3, ...task });
      tables.gate(IDT + 5 * 8, TSS2_SELECTOR, 0, 0x85);
      tables.idt(10, CODE0, 0x1500, 0x8e);
      cpu.poke32(TSS2 + 4, STACK0);
      cpu.poke32(TSS2 + 8, DATA0);
      cpu.system.deliverException(new CpuFault(5));
      expect(where().slice(0, 3)).toEqual([CODE0, 0x1500, DATA0]);
      return tables.stack(1)[0];
    };
    expect(pushedError({ ss: DATA1, data: DATA3 })).toBe(0x49);
    expect(pushedError({ data: CODE0 | 3 })).toBe(9);
    expect(pushedError({ data: 0x600 })).toBe(0x601);
  });

  test("the T bit traps after the switch", () => {
    newTask({ trap: true });
    expect(faultOf(() => cpu.system.jumpFar(TSS2_SELECTOR, 0, 0x1007))).toBe("1");
    expect(where()).toEqual([CODE0, 0x2000, DATA0, 0xa000, 0]);
    expect(cpu.system.readDebug(6) >>> 0).toBe(0xffff8ff0);
  });
});
