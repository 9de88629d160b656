import { beforeEach, describe, expect, test } from "vitest";
import * as L from "../layout.ts";
import { CR0_PE, deriveMode, FLAG_IF, FLAG_NT, FLAG_VM } from "../state.ts";
import {
  CODE0,
  CODE1,
  CODE3,
  CODE16,
  CONFORMING,
  DATA0,
  DATA1,
  DATA3,
  DATA16,
  FREE,
  faultOf,
  firstDifference,
  GDT,
  STACK0,
  STACK3,
  TestCpu,
  TestTables,
  TSS,
  TSS_SELECTOR,
} from "./testing.ts";

let cpu: TestCpu;
let tables: TestTables;
beforeEach(() => {
  cpu = new TestCpu();
  tables = new TestTables(cpu);
});

/** Runs an operation that must fault and must leave registers and memory (accessed bits aside) as they were. */
function refused(body: () => void): string {
  const block = cpu.block();
  const ram = cpu.ram();
  const fault = faultOf(body);
  expect(firstDifference(cpu.block(), block)).toBe(-1);
  expect(firstDifference(cpu.ram(), ram)).toBe(-1);
  return fault;
}
const where = () => [cpu.cs, cpu.state.eip, cpu.ss, cpu.esp, cpu.state.cpl];

describe("real mode", () => {
  beforeEach(() => {
    cpu.system.reset();
    cpu.system.loadSegment(L.SEG_SS, 0x900);
    cpu.esp = 0x100;
    cpu.system.jumpFar(0x100, 0x20, 0);
  });

  test("JMP, CALL, RETF, IRET round trip", () => {
    expect([cpu.cs, cpu.state.segmentBase(L.SEG_CS), cpu.state.eip]).toEqual([0x100, 0x1000, 0x20]);
    cpu.system.callFar(0x200, 0x30, 0x25, 2);
    expect([cpu.cs, cpu.state.eip, cpu.esp, cpu.peek16(0x90fc), cpu.peek16(0x90fe)]).toEqual([
      0x200, 0x30, 0xfc, 0x25, 0x100,
    ]);
    cpu.system.returnFar(2, 6);
    expect([cpu.cs, cpu.state.eip, cpu.esp]).toEqual([0x100, 0x25, 0x106]);
    cpu.esp = 0xfa;
    cpu.poke16(0x90fa, 0x77);
    cpu.poke16(0x90fc, 0x300);
    cpu.poke16(0x90fe, 0x7fd7);
    cpu.system.interruptReturn(0, 2);
    expect([cpu.cs, cpu.state.eip, cpu.esp, cpu.state.eflags]).toEqual([0x300, 0x77, 0x100, 0x7fd7]);
  });

  test("limits: offset over 64 KiB, a stack that ends", () => {
    expect(refused(() => cpu.system.jumpFar(0x100, 0x10000, 0))).toBe("13/0");
    cpu.esp = 1;
    expect(refused(() => cpu.system.callFar(0x100, 0, 5, 2))).toBe("12/0");
    cpu.esp = 0xffff;
    expect(refused(() => cpu.system.returnFar(2, 0))).toBe("12/0");
    cpu.esp = 0;
    cpu.system.callFar(0x100, 0, 5, 2);
    expect(cpu.esp).toBe(0xfffc);
  });
});

describe("direct JMP and CALL", () => {
  test("every code access byte and privilege", () => {
    for (const cpl of [0, 1, 3] as const) {
      for (let access = 0x90; access < 0x100; access++) {
        if ((access & 0x18) !== 0x18) continue;
        for (let rpl = 0; rpl < 4; rpl++) {
          tables.enter(cpl);
          tables.segment(FREE, 0, 0xfffff, access & 0xff, 0xc);
          const level = (access >> 5) & 3;
          const isAllowed = (access & 4) !== 0 ? level <= cpl : rpl <= cpl && level === cpl;
          const fault = faultOf(() => cpu.system.jumpFar(FREE | rpl, 0x2000, 0));
          expect(fault, `${access.toString(16)} ${rpl} ${cpl}`).toBe(isAllowed ? "none" : "13/68");
          if (isAllowed) expect(where()).toEqual([FREE | cpl, 0x2000, cpu.ss, cpu.esp, cpl]);
        }
      }
    }
  });

  test("null, out of range, data, absent, beyond the limit", () => {
    expect(refused(() => cpu.system.jumpFar(2, 0, 0))).toBe("13/0");
    expect(refused(() => cpu.system.jumpFar(0x800, 0, 0))).toBe("13/800");
    expect(refused(() => cpu.system.callFar(DATA0, 0, 0, 4))).toBe("13/10");
    tables.segment(FREE, 0, 0xff, 0x1a, 0);
    expect(refused(() => cpu.system.callFar(FREE, 0, 0, 4))).toBe("11/68");
    tables.segment(FREE, 0, 0xff, 0x9b, 0);
    expect(refused(() => cpu.system.jumpFar(FREE, 0x100, 0))).toBe("13/0");
    expect(refused(() => cpu.system.callFar(FREE, 0x100, 0, 4))).toBe("13/0");
  });

  test("CALL pushes by operand size, 16-bit code clears the mode bit", () => {
    cpu.system.callFar(CODE16, 0x40, 0x1007, 4);
    expect(where()).toEqual([CODE16, 0x40, DATA0, STACK0 - 8, 0]);
    expect(tables.stack(2)).toEqual([0x1007, CODE0]);
    expect(cpu.state.mode & L.MODE_CODE32).toBe(0);
    cpu.system.returnFar(4, 0);
    expect(where()).toEqual([CODE0, 0x1007, DATA0, STACK0, 0]);
    cpu.system.callFar(CODE16, 0x40, 0x1007, 2);
    expect(cpu.esp).toBe(STACK0 - 4);
  });
});

describe("call gates", () => {
  test("to an inner level: stack from the TSS, parameters copied, and back", () => {
    tables.gate(GDT + FREE, CODE0, 0x12345678, 0xec, 3);
    tables.enter(3);
    cpu.esp -= 12;
    [0x11, 0x22, 0x33].forEach((value, i) => {
      cpu.poke32(cpu.esp + i * 4, value);
    });
    cpu.system.callFar(FREE | 3, 0xdead, 0x1007, 4);
    expect(where()).toEqual([CODE0, 0x12345678, DATA0, STACK0 - 28, 0]);
    expect(tables.stack(7)).toEqual([0x1007, CODE3, 0x11, 0x22, 0x33, STACK3 - 12, DATA3]);

    cpu.system.loadSegment(L.SEG_DS, DATA0);
    cpu.system.returnFar(4, 12);
    expect(where()).toEqual([CODE3, 0x1007, DATA3, STACK3, 3]);
    expect(cpu.state.segmentSelector(L.SEG_DS)).toBe(0);
    expect(cpu.state.segmentAttributes(L.SEG_DS) & L.ATTRIBUTE_USABLE).toBe(0);
    expect(cpu.state.segmentSelector(L.SEG_ES)).toBe(DATA3);
  });

  test("a 16-bit gate pushes words and has a 16-bit offset", () => {
    tables.gate(GDT + FREE, CODE1 & ~3, 0x5678, 0xe4, 2);
    tables.enter(3);
    cpu.poke16(STACK3, 0xaaaa);
    cpu.poke16(STACK3 + 2, 0xbbbb);
    cpu.system.callFar(FREE, 0, 0x1007, 4);
    expect(where()).toEqual([CODE1, 0x5678, DATA1, STACK0 - 0x800 - 12, 1]);
    const words = Array.from({ length: 6 }, (_, i) => cpu.peek16(cpu.esp + i * 2));
    expect(words).toEqual([0x1007, CODE3, 0xaaaa, 0xbbbb, STACK3, DATA3]);
  });

  test("same level and conforming targets stay on the stack", () => {
    tables.gate(GDT + FREE, CONFORMING, 0x777, 0xec, 5);
    tables.enter(3);
    cpu.system.callFar(FREE, 0, 0x1007, 4);
    expect(where()).toEqual([CONFORMING | 3, 0x777, DATA3, STACK3 - 8, 3]);
    tables.enter(3);
    cpu.system.jumpFar(FREE, 0, 0x1007);
    expect(where()).toEqual([CONFORMING | 3, 0x777, DATA3, STACK3, 3]);
  });

  test("refusals in order, nothing changed", () => {
    const call = () => refused(() => cpu.system.callFar(FREE | 3, 0, 0x1007, 4));
    tables.enter(3);
    tables.gate(GDT + FREE, CODE0, 0x100, 0xcc);
    expect(call()).toBe("13/68");
    tables.gate(GDT + FREE, CODE0, 0x100, 0x6c);
    expect(call()).toBe("11/68");
    tables.gate(GDT + FREE, 0, 0x100, 0xec);
    expect(call()).toBe("13/0");
    tables.gate(GDT + FREE, DATA0, 0x100, 0xec);
    expect(call()).toBe("13/10");
    tables.gate(GDT + FREE, CODE0, 0x100, 0xec);
    tables.segment(CODE0, 0, 0xfffff, 0x1a, 0xc);
    expect(call()).toBe("11/8");
    tables.segment(CODE0, 0, 0xff, 0x9b, 0x4);
    expect(call()).toBe("13/0");
    tables.segment(CODE0, 0, 0xfffff, 0x9b, 0xc);
    expect(refused(() => cpu.system.jumpFar(FREE | 3, 0, 0))).toBe("13/8");

    cpu.poke32(TSS + 8, 0);
    expect(call()).toBe("10/0");
    cpu.poke32(TSS + 8, 0x400);
    expect(call()).toBe("10/400");
    cpu.poke32(TSS + 8, DATA0 | 1);
    expect(call()).toBe("10/10");
    cpu.poke32(TSS + 8, CODE0);
    expect(call()).toBe("10/8");
    cpu.poke32(TSS + 8, DATA0);
    tables.segment(DATA0, 0, 0xfffff, 0x12, 0xc);
    expect(call()).toBe("12/10");
    tables.segment(DATA0, 0, 0xfffff, 0x93, 0xc);
    cpu.poke32(TSS + 4, 8);
    tables.segment(DATA0, 0, 0xf, 0x97, 0x4);
    expect(call()).toBe("12/10");
    cpu.state.i32[(L.SEG_LIMIT >> 2) + L.SEG_TR] = 8;
    expect(call()).toBe(`10/${TSS_SELECTOR.toString(16)}`);
  });
});

describe("RETF", () => {
  const push = (...values: number[]) => {
    cpu.esp -= values.length * 4;
    values.forEach((value, i) => {
      cpu.poke32(cpu.esp + i * 4, value);
    });
  };

  test("refusals", () => {
    push(0x100, 0, STACK3, DATA3);
    expect(refused(() => cpu.system.returnFar(4, 0))).toBe("13/0");
    const code = (selector: number) => {
      cpu.poke32(cpu.esp + 4, selector);
      return refused(() => cpu.system.returnFar(4, 0));
    };
    expect(code(0x500)).toBe("13/500");
    expect(code(DATA0)).toBe("13/10");
    expect(code(CODE0 | 3)).toBe("13/8");
    expect(code(CODE3 & ~3)).toBe("13/18");
    const stack = (selector: number) => {
      cpu.poke32(cpu.esp + 4, CODE3);
      cpu.poke32(cpu.esp + 12, selector);
      return refused(() => cpu.system.returnFar(4, 0));
    };
    expect(stack(3)).toBe("13/0");
    expect(stack(DATA3 & ~3)).toBe("13/20");
    expect(stack(DATA0 | 3)).toBe("13/10");
    tables.segment(DATA3, 0, 0xfffff, 0x72, 0xc);
    expect(stack(DATA3)).toBe("12/20");
    tables.enter(3);
    push(0x100, CODE1);
    expect(refused(() => cpu.system.returnFar(4, 0))).toBe("13/40");
  });

  test("a 16-bit outer stack takes only SP", () => {
    tables.segment(FREE, 0x10000, 0xffff, 0xf2, 0);
    push(0x100, CODE3, 0x99, 0x77778888, FREE | 3);
    cpu.system.returnFar(4, 4);
    expect(cpu.state.reg32(4)).toBe(0x888c);
  });
});

describe("IRET", () => {
  const frame = (...values: number[]) => {
    cpu.esp = STACK0 - values.length * 4;
    values.forEach((value, i) => {
      cpu.poke32(cpu.esp + i * 4, value);
    });
  };

  test("flags by privilege: IOPL only from level 0, IF only with IOPL", () => {
    frame(0x100, CODE0, 0x00247fd7);
    cpu.system.interruptReturn(0, 4);
    expect(cpu.state.eflags).toBe(0x00247fd7);
    tables.enter(3);
    cpu.state.eflags = 0x202;
    cpu.poke32(STACK3 - 12, 0x100);
    cpu.poke32(STACK3 - 8, CODE3);
    cpu.poke32(STACK3 - 4, 0x00247cd7);
    cpu.esp = STACK3 - 12;
    cpu.system.interruptReturn(0, 4);
    expect(cpu.state.eflags).toBe(0x00244ed7);
  });

  test("to an outer level", () => {
    frame(0x400, CODE3, 0x202, STACK3, DATA3);
    cpu.system.interruptReturn(0, 4);
    expect(where()).toEqual([CODE3, 0x400, DATA3, STACK3, 3]);
    expect(cpu.state.segmentSelector(L.SEG_DS)).toBe(0);
    expect(cpu.state.eflags & FLAG_IF).toBe(FLAG_IF);
    expect(cpu.state.isUser).toBe(true);
  });

  test("to V86 mode", () => {
    frame(0x50, 0x100, 0x23202, 0x1000, 0x300, 0x200, 0x400, 0x500, 0x600);
    cpu.system.interruptReturn(0, 4);
    expect(where()).toEqual([0x100, 0x50, 0x300, 0x1000, 3]);
    expect(cpu.state.eflags).toBe(0x23202);
    expect(cpu.state.isV86).toBe(true);
    expect([0, 3, 4, 5].map((seg) => cpu.state.segmentBase(seg))).toEqual([0x2000, 0x4000, 0x5000, 0x6000]);
    expect([cpu.state.segmentLimit(0), cpu.state.mode & L.MODE_CODE32]).toEqual([0xffff, 0]);
  });

  test("in V86 mode it needs IOPL 3 and keeps VM and IOPL", () => {
    tables.enterV86(2);
    expect(refused(() => cpu.system.interruptReturn(0, 2))).toBe("13/0");
    tables.enterV86(3);
    const at = 0x3000 + 0x1000 - 6;
    cpu.esp = 0xffa;
    cpu.poke16(at, 0x1234);
    cpu.poke16(at + 2, 0x700);
    cpu.poke16(at + 4, 0x0001);
    cpu.system.interruptReturn(0, 2);
    expect([cpu.cs, cpu.state.eip, cpu.state.eflags]).toEqual([0x700, 0x1234, 0x23003]);
  });

  test("VM in the image is ignored outside level 0; NMI blocking ends", () => {
    tables.enter(3);
    cpu.state.i32[L.NMI_BLOCKED >> 2] = 1;
    cpu.esp = STACK3 - 12;
    cpu.poke32(cpu.esp, 0x100);
    cpu.poke32(cpu.esp + 4, CODE3);
    cpu.poke32(cpu.esp + 8, 0x20002);
    cpu.system.interruptReturn(0, 4);
    expect(cpu.state.eflags & FLAG_VM).toBe(0);
    expect(cpu.state.i32[L.NMI_BLOCKED >> 2]).toBe(0);
  });

  test("NT set without a valid link is #TS", () => {
    cpu.state.systemFlags |= FLAG_NT;
    expect(refused(() => cpu.system.interruptReturn(0, 4))).toBe("10/0");
    cpu.poke16(TSS, DATA0);
    expect(refused(() => cpu.system.interruptReturn(0, 4))).toBe("10/10");
  });
});

test("16-bit protected mode: far call and return on a 16-bit stack wrap SP", () => {
  cpu.system.loadSegment(L.SEG_SS, DATA16);
  cpu.system.jumpFar(CODE16, 0x100, 0);
  cpu.state.setReg32(4, 0x55550002);
  expect(faultOf(() => cpu.system.callFar(CODE16, 0x200, 0x105, 2))).toBe("none");
  expect(cpu.state.reg32(4)).toBe(0x5555fffe);
  expect([cpu.peek16(0x10000), cpu.peek16(0x1fffe)]).toEqual([CODE16, 0x105]);
  cpu.system.returnFar(2, 0);
  expect([cpu.state.reg32(4), cpu.state.eip]).toEqual([0x55550002, 0x105]);
});

test("leaving protected mode and coming back keeps the cached code segment until a far jump", () => {
  cpu.system.writeControl(0, cpu.state.cr0 & ~CR0_PE);
  expect(cpu.state.mode & (L.MODE_PROTECTED | L.MODE_CODE32)).toBe(L.MODE_CODE32);
  deriveMode(cpu.state);
  cpu.system.jumpFar(0x100, 0x10, 0);
  expect([cpu.state.segmentBase(L.SEG_CS), cpu.state.eip]).toEqual([0x1000, 0x10]);
});
