import { beforeEach, describe, expect, test } from "vitest";
import * as L from "../layout.ts";
import { CR0_PE, deriveMode, FLAG_ZF } from "../state.ts";
import {
  CODE0,
  CODE3,
  CODE16,
  CONFORMING,
  DATA0,
  DATA1,
  DATA3,
  dpl,
  FREE,
  faultOf,
  firstDifference,
  GDT,
  LDT,
  LDT_SELECTOR,
  TestCpu,
  TestTables,
  TSS2,
  TSS2_SELECTOR,
} from "./testing.ts";

let cpu: TestCpu;
let tables: TestTables;
beforeEach(() => {
  cpu = new TestCpu();
  tables = new TestTables(cpu);
});
const load = (seg: number, selector: number) => faultOf(() => cpu.system.loadSegment(seg, selector));
const isZero = () => (cpu.state.eflags & FLAG_ZF) !== 0;

describe("MOV to a segment register", () => {
  test("takes base, limit and size from the descriptor and marks it accessed", () => {
    tables.segment(FREE, 0x12345678, 0x1234, 0xb2, 0x4);
    expect(load(L.SEG_FS, FREE | 1)).toBe("none");
    const { state } = cpu;
    expect([state.segmentSelector(L.SEG_FS), state.segmentBase(L.SEG_FS), state.segmentLimit(L.SEG_FS)]).toEqual([
      FREE | 1,
      0x12345678,
      0x1234,
    ]);
    expect(tables.access(FREE)).toBe(0xb3);
    tables.segment(FREE, 0, 0xfffff, 0x92, 0xc);
    load(L.SEG_FS, FREE);
    expect(state.segmentLimit(L.SEG_FS)).toBe(0xffffffff);
  });

  test("null is loaded and unusable, except into SS", () => {
    expect(load(L.SEG_DS, 3)).toBe("none");
    expect(faultOf(() => cpu.linear.checkSegment(L.SEG_DS, 0, 1, false))).toBe("13/0");
    expect(load(L.SEG_SS, 0)).toBe("13/0");
    expect(load(L.SEG_CS, CODE0)).toBe("6");
  });

  test("every access byte and privilege gives the manual's fault", () => {
    for (const cpl of [0, 1, 3] as const) {
      tables.enter(cpl);
      for (let access = 0; access < 256; access++) {
        for (let rpl = 0; rpl < 4; rpl++) {
          tables.segment(FREE, 0, 0xffff, access, 0);
          const level = (access >> 5) & 3;
          const isSegment = (access & 0x10) !== 0;
          const isCode = (access & 8) !== 0;
          const isPresent = (access & 0x80) !== 0;
          const where = `access ${access.toString(16)} rpl ${rpl} cpl ${cpl}`;

          const readable = isSegment && (!isCode || (access & 2) !== 0);
          const isConforming = isCode && (access & 4) !== 0;
          const isAllowed = readable && (isConforming || (rpl <= level && cpl <= level));
          const wantData = !isAllowed ? `13/${FREE.toString(16)}` : isPresent ? "none" : `11/${FREE.toString(16)}`;
          expect(load(L.SEG_ES, FREE | rpl), where).toBe(wantData);

          const isStack = isSegment && !isCode && (access & 2) !== 0 && rpl === cpl && level === cpl;
          const wantStack = !isStack ? `13/${FREE.toString(16)}` : isPresent ? "none" : `12/${FREE.toString(16)}`;
          expect(load(L.SEG_SS, FREE | rpl), where).toBe(wantStack);
        }
      }
    }
  });

  test("table limits, LDT selectors", () => {
    expect(load(L.SEG_DS, 0x100)).toBe("13/100");
    cpu.state.i32[L.GDTR_LIMIT >> 2] = FREE + 6;
    expect(load(L.SEG_DS, FREE)).toBe(`13/${FREE.toString(16)}`);
    expect(load(L.SEG_DS, 4)).toBe("13/4");
    expect(faultOf(() => cpu.system.lldt(LDT_SELECTOR))).toBe("none");
    tables.segment(0x10, 0x777, 0xff, 0x92, 0, LDT);
    expect(load(L.SEG_DS, 0x14)).toBe("none");
    expect(cpu.state.segmentBase(L.SEG_DS)).toBe(0x777);
    expect(load(L.SEG_DS, 0x104)).toBe("13/104");
  });

  test("real mode keeps limits (unreal mode), V86 mode does not", () => {
    cpu.state.cr0 &= ~CR0_PE;
    deriveMode(cpu.state);
    cpu.system.loadSegment(L.SEG_DS, 0x1234);
    expect([cpu.state.segmentBase(L.SEG_DS), cpu.state.segmentLimit(L.SEG_DS)]).toEqual([0x12340, 0xffffffff]);
    expect(cpu.linear.checkSegment(L.SEG_DS, 0x100000, 4, true)).toBe(0x112340);
    cpu.state.cr0 |= CR0_PE;
    tables.enterV86(0);
    cpu.system.loadSegment(L.SEG_DS, 0x1234);
    expect([cpu.state.segmentBase(L.SEG_DS), cpu.state.segmentLimit(L.SEG_DS)]).toEqual([0x12340, 0xffff]);
  });
});

describe("LLDT, LTR, SLDT, STR", () => {
  test("only at level 0, only in protected mode, only the right type", () => {
    expect(faultOf(() => cpu.system.lldt(DATA0))).toBe("13/10");
    expect(faultOf(() => cpu.system.lldt(0))).toBe("none");
    expect(faultOf(() => cpu.system.ltr(0))).toBe("13/0");
    expect(faultOf(() => cpu.system.ltr(LDT_SELECTOR))).toBe("13/38");
    tables.segment(FREE, 0, 0xff, 0x02, 0);
    expect(faultOf(() => cpu.system.lldt(FREE))).toBe("11/68");
    expect(faultOf(() => cpu.system.ltr(TSS2_SELECTOR))).toBe("none");
    expect(tables.access(TSS2_SELECTOR)).toBe(0x8b);
    expect(cpu.state.segmentBase(L.SEG_TR)).toBe(TSS2);
    expect(faultOf(() => cpu.system.ltr(TSS2_SELECTOR))).toBe("13/30");
    expect(cpu.system.storeSystemSelector(L.SEG_TR)).toBe(TSS2_SELECTOR);
    tables.enter(3);
    expect(faultOf(() => cpu.system.ltr(TSS2_SELECTOR))).toBe("13/0");
    tables.enterV86(3);
    for (const body of [() => cpu.system.lldt(0), () => cpu.system.storeSystemSelector(6), () => cpu.system.lar(8)])
      expect(faultOf(body)).toBe("6");
  });
});

describe("LAR, LSL, VERR, VERW, ARPL", () => {
  test("access rights and limits, with ZF", () => {
    expect(cpu.system.lar(CODE0)).toBe(0x00c09a00);
    expect(isZero()).toBe(true);
    expect(cpu.system.lsl(CODE0)).toBe(0xffffffff);
    expect(cpu.system.lsl(TSS2_SELECTOR)).toBe(0x67);
    expect(cpu.system.lar(0x200)).toBe(-1);
    expect(isZero()).toBe(false);
    tables.gate(GDT + FREE, CODE0, 0, 0x8c);
    expect(cpu.system.lar(FREE)).toBe(0x8c00);
    expect(cpu.system.lsl(FREE)).toBe(-1);
    tables.gate(GDT + FREE, CODE0, 0, 0x8e);
    expect(cpu.system.lar(FREE)).toBe(-1);
    tables.enter(3);
    expect(cpu.system.lar(DATA0)).toBe(-1);
    expect(cpu.system.lar(DATA3)).toBe(0xc0f200);
    expect(cpu.system.lar(CONFORMING)).toBe(0xc09e00);
  });

  test("verification by type and privilege", () => {
    const verr = (selector: number) => {
      cpu.system.verr(selector);
      return isZero();
    };
    const verw = (selector: number) => {
      cpu.system.verw(selector);
      return isZero();
    };
    tables.segment(FREE, 0, 0xff, 0x98, 0);
    expect([verr(CODE0), verw(CODE0), verr(DATA0), verw(DATA0), verr(FREE), verr(0), verw(TSS2_SELECTOR)]).toEqual([
      true,
      false,
      true,
      true,
      false,
      false,
      false,
    ]);
    tables.enter(1);
    expect([verr(DATA0), verw(DATA1), verw(DATA1 | 3), verr(CONFORMING), verr(CODE3)]).toEqual([
      false,
      true,
      false,
      true,
      true,
    ]);
  });

  test("ARPL raises the RPL", () => {
    expect(cpu.system.arpl(0x20, 0x1b)).toBe(0x23);
    expect(isZero()).toBe(true);
    expect(cpu.system.arpl(0x23, 0x1b)).toBe(0x23);
    expect(isZero()).toBe(false);
  });
});

test("loads write nothing else: flags, EIP and other segments stay", () => {
  tables.segment(FREE, 0x1000, 0xff, 0x92 | dpl(0), 0);
  const before = cpu.block();
  expect(load(L.SEG_GS, CODE16 | 3)).not.toBe("none");
  expect(load(L.SEG_SS, CODE0)).not.toBe("none");
  expect(firstDifference(cpu.block(), before)).toBe(-1);
});
