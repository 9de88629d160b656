import { expect, test } from "vitest";
import * as L from "../layout.ts";
import { CR0_PE, CR0_PG, CR4_PAE, CR4_PSE, deriveAll } from "../state.ts";
import { CpuFault } from "./fault.ts";
import { createRandom, GDT, IDT, LDT, TEST_RAM_BYTES, TestCpu, TestTables, TSS, TSS2 } from "./testing.ts";

/** Random tables, selectors, stacks and page tables: whatever happens is a CpuFault and stays in guest memory. */
test.each([1, 2, 3, 4])("random descriptors and selectors never escape (seed %i)", (seed) => {
  const random = createRandom(seed);
  const cpu = new TestCpu({ capacityPages: seed === 1 ? 4 : 256 });
  const tables = new TestTables(cpu);
  const { state, system } = cpu;
  const pick = <T>(list: readonly T[]): T => list[random() % list.length];
  const word = () => pick([0, 1, 3, 0x68, 0xff, 0x1000, 0x7fff, 0xfffe, 0xffff, random() & 0xffff]);
  const dword = () =>
    pick([0, 0x1000, 0x8000, 0xffff, 0x1ffffc, 0xfffffffe, 0xffffffff, random(), random() % TEST_RAM_BYTES]);
  const selector = () => (random() % 8 === 0 ? random() & 0xffff : (random() % 40) * 8 + (random() & 7));
  const operand = () => pick([2, 4]);
  const counts = { delivered: 0, completed: 0, faults: new Set<number>(), shutdown: 0 };

  const descriptor = (at: number) => {
    if (random() % 4 === 0) {
      cpu.poke32(at, random());
      cpu.poke32(at + 4, random());
    } else if (random() % 2 === 0) {
      // A segment or TSS that is likely to work.
      const access = pick([0x9a, 0x92, 0xfa, 0xf2, 0x9e, 0xba, 0x96, 0x89, 0x81, 0x82, 0xe9, 0x8b]);
      const base = pick([0, 0, 0, TSS, TSS2, 0x6000, random() % TEST_RAM_BYTES]);
      tables.segment(0, base, pick([0xfffff, 0xffff, 0x67, 0xfff]), access, pick([0xc, 0x4, 0]), at);
    } else
      tables.gate(at, selector(), dword(), pick([0x8e, 0x8f, 0xee, 0x8c, 0xec, 0xe4, 0x85, 0xe5, 0x86]), random() & 31);
  };

  for (let step = 0; step < 30_000; step++) {
    if (step % 50 === 0) {
      for (let i = 8; i < 0x140; i += 8) descriptor(GDT + i);
      for (let i = 0; i < 0x100; i += 8) descriptor(LDT + i);
      for (let i = 0; i < 0x400; i += 8) descriptor(IDT + i);
      for (const at of [TSS, TSS2, 0x6000])
        for (let i = 0; i < 0x68; i += 4) cpu.poke32(at + i, random() % 3 ? selector() : dword());
      for (let i = 0; i < 0x40; i++)
        cpu.poke32(0x10000 + i * 4, (0x11000 + (random() % 4) * 0x1000) | (random() & 0x1ff) | 1);
      for (let i = 0; i < 0x1000; i++)
        cpu.poke32(
          0x11000 + i * 4,
          ((random() % 4 === 0 ? random() : i & 0x1ff) << 12) | pick([7, 7, 7, 3, 5, 0x67, random() & 0xfff]),
        );
      state.i32[L.GDTR_BASE >> 2] = random() % 10 === 0 ? dword() : GDT;
      state.i32[L.GDTR_LIMIT >> 2] = pick([0x13f, 0x13f, 0x3f, 0xffff]);
      state.i32[L.IDTR_BASE >> 2] = IDT;
      state.i32[L.IDTR_LIMIT >> 2] = pick([0x3ff, 0xff, 0x7ff]);
      state.cr0 = CR0_PE | (random() % 3 === 0 ? CR0_PG : 0) | (random() & 0x50000);
      state.cr4 = pick([0, 0, CR4_PSE, CR4_PAE]);
      state.cr3 = 0x10000;
      state.i32.set([0x10001, 0, random() & 0x1f001, 0, random(), 15, 0x11001, 0], L.PDPTE >> 2);
      cpu.tlb.flushAll(false);
      tables.enter(pick([0, 1, 3]));
      if (random() % 4 === 0) tables.enterV86(random() & 3);
      if (random() % 8 === 0) state.cr0 &= ~(CR0_PE | CR0_PG);
      state.cr0 |= random() % 8 === 0 && (state.cr0 & CR0_PE) !== 0 ? CR0_PG : 0;
      if ((state.cr0 & CR0_PE) === 0) {
        state.systemFlags &= ~0x20000;
        state.cpl = 0;
      }
      deriveAll(state);
      state.setSegment(
        L.SEG_TR,
        0x28,
        pick([TSS, 0x1fffc0]),
        pick([0x67, 0x2b, 0xffff, 3]),
        pick([0x8b, 0x83]) | L.ATTRIBUTE_USABLE,
      );
      state.setSegment(L.SEG_LDTR, 0x38, LDT, 0xff, 0x82 | L.ATTRIBUTE_USABLE);
    }
    if (random() % 16 === 0) cpu.esp = dword();
    if (random() % 16 === 0) state.systemFlags ^= pick([0x4000, 0x200, 0x1000, 0x40000]);
    for (let i = 0; i < 10; i++) cpu.poke16((0x7f00 + (random() % 0x1200)) & ~1, random() % 2 ? selector() : word());
    const operations: readonly (() => unknown)[] = [
      () => system.loadSegment(pick([0, 2, 3, 4, 5]), selector()),
      () => system.lldt(selector()),
      () => system.ltr(selector()),
      () => system.lar(selector()),
      () => system.lsl(selector()),
      () => system.verr(selector()),
      () => system.verw(selector()),
      () => system.jumpFar(selector(), dword(), dword()),
      () => system.callFar(selector(), dword(), dword(), operand()),
      () => system.returnFar(operand(), random() % 64),
      () => system.interruptReturn(dword(), operand()),
      () => system.softwareInterrupt(random() & 0xff, dword()),
      () => system.softwareException(pick([3, 4]), dword()),
      () => system.checkPort(word(), pick([1, 2, 4])),
      () => system.popf(random(), operand()),
      () => cpu.linear.checkSegment(random() % 6, dword(), pick([1, 2, 4, 8]), random() % 2 === 0),
      () => cpu.linear.read32(dword(), state.isUser),
      () => cpu.linear.write32(dword(), random(), state.isUser),
      () => {
        counts.shutdown += system.deliverExternal(random() & 0xff) === "triple-fault" ? 1 : 0;
      },
      () => {
        const fault = new CpuFault(random() % 20, random() % 2 ? random() & 0xffff : undefined, dword());
        counts.delivered += system.deliverException(fault) === "delivered" ? 1 : 0;
      },
    ];
    try {
      pick(operations)();
      counts.completed++;
    } catch (thrown) {
      if (!(thrown instanceof CpuFault)) throw thrown;
      counts.faults.add(thrown.vector);
      expect(thrown.errorCode === undefined || (thrown.errorCode >= 0 && thrown.errorCode <= 0xffff)).toBe(true);
    }
    expect(state.cpl >= 0 && state.cpl <= 3).toBe(true);
    expect((state.mode & L.MODE_USER) !== 0).toBe(state.cpl === 3);
  }
  // Nothing below the state block, in the unused space after it, or between the decode maps and RAM was written.
  expect(state.u8.subarray(0, L.STATE).every((byte) => byte === 0)).toBe(true);
  expect(state.u8.subarray(L.STATE_END, L.STATE_END + 0x10000).every((byte) => byte === 0)).toBe(true);
  expect(state.u8.subarray(L.RAM - 0x10000, L.RAM).every((byte) => byte === 0)).toBe(true);
  expect(state.u8.subarray(L.RAM + TEST_RAM_BYTES).every((byte) => byte === 0)).toBe(true);
  expect(counts.completed).toBeGreaterThan(3000);
  expect(counts.delivered).toBeGreaterThan(20);
  expect([10, 11, 12, 13].filter((vector) => !counts.faults.has(vector))).toEqual([]);
});
