/** The short way through gates and back against the long way: same registers, same memory, same fault, whatever stands in the tables. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { seededRandom } from "../../device-api/testing.ts";
import * as L from "../layout.ts";
import { CR0_AM, deriveAll, FLAG_AC, FLAG_NT } from "../state.ts";
import { CpuFault } from "./fault.ts";
import { KnownTransfers } from "./known-transfers.ts";
import { createSystem, type System } from "./system.ts";
import {
  CODE0,
  CODE1,
  CODE3,
  CONFORMING,
  DATA0,
  DATA3,
  faultOf,
  firstDifference,
  GDT,
  IDT,
  STACK0,
  TestCpu,
  TestTables,
  TSS,
} from "./testing.ts";

const VECTOR = 0x80;
const USED_BYTES = 0xa000;
const ITERATIONS = 6000;

afterEach(() => vi.restoreAllMocks());

/** A CPU whose system knows the ways, and one over the same state that knows nothing. */
function pair() {
  const cpu = new TestCpu();
  const tables = new TestTables(cpu);
  const { state, linear, walker, tlb, bus } = cpu;
  const strange = () =>
    createSystem({ state, linear, walker, tlb, bus, features: { pae: true, nx: true }, onDemand: () => {} });
  const ram = cpu.state.u8.subarray(L.RAM, L.RAM + USED_BYTES);
  const block = cpu.state.u8.subarray(L.STATE, L.SCRATCH);
  /** Does it with both, from the same state; answers what happened. */
  const both = (what: (system: System) => void): string => {
    const before = [ram.slice(), block.slice()];
    const { isAlignmentChecked } = state;
    const done = [cpu.system, strange()].map((system) => {
      ram.set(before[0]);
      block.set(before[1]);
      state.isAlignmentChecked = isAlignmentChecked;
      const fault = faultOf(() => what(system));
      return { fault, ram: ram.slice(), block: block.slice() };
    });
    expect(done[0].fault).toBe(done[1].fault);
    expect(firstDifference(done[0].ram, done[1].ram)).toBe(-1);
    expect(firstDifference(done[0].block, done[1].block)).toBe(-1);
    return done[0].fault;
  };
  const put = () => {
    tables.segment(CODE0, 0, 0xfffff, 0x9b, 0xc);
    tables.segment(DATA0, 0, 0xfffff, 0x93, 0xc);
    tables.segment(CODE3, 0, 0xfffff, 0xfb, 0xc);
    tables.segment(DATA3, 0, 0xfffff, 0xf3, 0xc);
    tables.idt(VECTOR, CODE0, 0xc000, 0xee);
    tables.idt(14, CODE0, 0xc100, 0x8e);
    cpu.poke32(TSS + 4, STACK0);
    cpu.poke32(TSS + 8, DATA0);
    state.i32[L.IDTR_BASE >> 2] = IDT;
    state.i32[L.IDTR_LIMIT >> 2] = 0x7ff;
    state.i32[L.GDTR_BASE >> 2] = GDT;
    state.i32[L.GDTR_LIMIT >> 2] = 0xff;
    state.cr0 &= ~CR0_AM;
    state.setSegment(L.SEG_TR, state.segmentSelector(L.SEG_TR), TSS, 0x67, 0x8b | L.ATTRIBUTE_USABLE);
    deriveAll(state);
  };
  return { cpu, tables, both, put };
}

describe("as the long way does it", () => {
  test("into the kernel", () => {
    const { cpu, tables, both, put } = pair();
    const { state } = cpu;
    const enter = vi.spyOn(KnownTransfers.prototype, "enter");
    const random = seededRandom(20261123);
    const flip = (at: number) => cpu.poke32(at, cpu.peek32(at) ^ (1 << random(32)));
    const spoilers: (() => void)[] = [
      () => flip(IDT + VECTOR * 8 + 4 * random(2)),
      () => flip(IDT + 14 * 8 + 4 * random(2)),
      () => flip(GDT + (CODE0 & 0xf8) + 4 * random(2)),
      () => flip(GDT + (DATA0 & 0xf8) + 4 * random(2)),
      () => flip(TSS + 4 + 4 * random(2)),
      () => cpu.poke32(TSS + 4, STACK0 - random(0x2000)),
      () => tables.idt(VECTOR, [CODE1, CONFORMING, CODE3, DATA0, 0][random(5)], 0xc000, 0xee),
      () => tables.idt(VECTOR, CODE0, random(0x10000), [0xee, 0xef, 0xe6, 0xe5, 0x8e, 0x6e][random(6)]),
      () => {
        state.i32[L.IDTR_LIMIT >> 2] = random(0x800);
      },
      () => {
        state.i32[L.GDTR_LIMIT >> 2] = random(0x100);
      },
      () => {
        state.i32[L.IDTR_BASE >> 2] = IDT + 8 * random(3);
      },
      () => {
        state.cr0 |= CR0_AM;
        state.systemFlags |= FLAG_AC;
        deriveAll(state);
      },
      () => tables.enter(([0, 1, 3] as const)[random(3)]),
      () => tables.enterV86(random(4)),
      () => state.setSegment(L.SEG_TR, 0x28, TSS + 4 * random(4), random(0x68), [0x8b, 0x83][random(2)] | 0x10000),
    ];
    for (let n = 0; n < ITERATIONS; n++) {
      put();
      tables.enter(3);
      state.eflags = 2 | (random(0x10000) & 0x7ed5);
      cpu.esp = random(4) === 0 ? random(0x9000) : 0x9000;
      deriveAll(state);
      for (let count = random(3) === 0 ? random(3) : 0; count > 0; count--) spoilers[random(spoilers.length)]();
      const kind = random(3);
      const errorCode = random(8);
      both((system) => {
        if (kind === 0) system.softwareInterrupt(VECTOR, 0x1002);
        else if (kind === 1) system.deliverException(new CpuFault(14, errorCode, 0x12345000));
        else system.deliverExternal(VECTOR);
      });
    }
    const taken = enter.mock.results.filter(({ value }) => value === true).length;
    expect(taken).toBeGreaterThan(ITERATIONS / 2);
  });

  test("and back", () => {
    const { cpu, tables, both, put } = pair();
    const { state } = cpu;
    const leave = vi.spyOn(KnownTransfers.prototype, "leave");
    const random = seededRandom(20261124);
    const flip = (at: number) => cpu.poke32(at, cpu.peek32(at) ^ (1 << random(32)));
    for (let n = 0; n < ITERATIONS; n++) {
      put();
      tables.enter(0);
      state.eflags = 2 | (random(0x10000) & 0x7ed5 & (random(8) === 0 ? -1 : ~FLAG_NT));
      const esp = 0x7000 + (random(8) === 0 ? random(0x1000) : 4 * random(0x3f0));
      cpu.esp = esp;
      const frame = [random(0x100000000), CODE3, 2 | (random(0x400000) & 0x3c7fd5), random(0x10000), DATA3];
      if (random(4) !== 0) frame[2] &= ~(0x20000 | FLAG_AC);
      for (const [at, word] of frame.entries()) cpu.poke32(esp + at * 4, word);
      if (random(3) === 0) {
        [
          () => flip(esp + 4 * random(5)),
          () => flip(GDT + (CODE3 & 0xf8) + 4 * random(2)),
          () => flip(GDT + (DATA3 & 0xf8) + 4 * random(2)),
          () => cpu.poke32(esp + 4, [CODE0, CODE1, CONFORMING | 3, 0, 0x1b][random(5)]),
          () => tables.enter(([0, 1, 3] as const)[random(3)]),
          () => state.setSegment(L.SEG_DS, 0, 0, 0, 0),
          () => state.setSegment(L.SEG_ES, DATA3, 0, -1 >>> 0, 0xc0f3 | L.ATTRIBUTE_USABLE),
          () => {
            state.i32[L.GDTR_LIMIT >> 2] = random(0x100);
          },
          () => {
            state.cr0 |= CR0_AM;
          },
        ][random(9)]();
        deriveAll(state);
      }
      const operandBytes = random(10) === 0 ? 2 : 4;
      both((system) => system.interruptReturn(0x1001, operandBytes));
    }
    const taken = leave.mock.results.filter(({ value }) => value === true).length;
    expect(taken).toBeGreaterThan(ITERATIONS / 3);
  });
});
