import { describe, expect, test } from "vitest";
import * as L from "../layout.ts";
import { CR4_PGE, deriveMode } from "../state.ts";
import { createRandom, faultOf, TestCpu, type TestCpuOptions } from "../system/testing.ts";

const P = 1;
const RW = 2;
const US = 4;
const G = 0x100;
const DIRECTORY = 0x10000;
const TABLE = 0x11000;

/** A flat CPU with one page table for linear 0–4 MiB, empty. */
function paged(options: TestCpuOptions = {}): TestCpu {
  const cpu = new TestCpu(options);
  cpu.enterFlat();
  cpu.poke32(DIRECTORY, TABLE | P | RW | US);
  cpu.state.cr4 |= CR4_PGE;
  cpu.enablePaging(DIRECTORY);
  return cpu;
}

function entry(cpu: TestCpu, table: number, page: number): number {
  return cpu.state.i32[(table >> 2) + page];
}

const map = (cpu: TestCpu, page: number, frame: number, bits = P | RW | US) =>
  cpu.poke32(TABLE + page * 4, (frame << 12) | bits);

describe("TLB entries", () => {
  test("of a small, forgiving TLB do not outlive 512 other pages, a load of CR3 or a task (Windows 9x forgets INVLPG)", () => {
    const cpu = paged({ capacityPages: 256, isForgiving: true });
    cpu.poke32(0x40000, 1);
    cpu.poke32(0x41000, 2);
    const read = () => cpu.linear.read32(0x5000, false);
    const leave = [
      () => {
        for (let page = 16; page < 528; page++) cpu.linear.read32(page << 12, false);
      },
      () => cpu.tlb.flushAll(true),
      () => cpu.tlb.modeSwitched(),
    ];
    for (let page = 16; page < 528; page++) map(cpu, page, page % 64);
    for (const go of leave) {
      for (const global of [0, G]) {
        map(cpu, 5, 0x40, P | RW | global);
        cpu.tlb.flushAll(false);
        expect(read()).toBe(1);
        map(cpu, 5, 0x41, P | RW | global);
        go();
        // Pages marked global have room of their own, which others of their kind must fill.
        if (global === 0 || go !== leave[0]) expect(read()).toBe(2);
      }
    }
  });

  test("lead generated code to the bytes: linear + entry + bias", () => {
    const cpu = paged();
    map(cpu, 5, 0x40);
    cpu.poke32(0x40010, 0x12345678);
    expect(cpu.linear.read32(0x5010, true)).toBe(0x12345678);
    const delta = entry(cpu, L.TLB_READ_USER, 5);
    expect(delta & 0xfff).toBe(1);
    expect(cpu.state.u8[((0x5010 + delta) >>> 0) + L.TLB_BIAS]).toBe(0x78);
    expect(entry(cpu, L.TLB_READ_SUPERVISOR, 5)).toBe(0);
    expect(entry(cpu, L.TLB_WRITE_USER, 5)).toBe(0);
    cpu.linear.write8(0x5010, 1, true);
    expect(entry(cpu, L.TLB_WRITE_USER, 5)).toBe(delta);
    expect(cpu.peek32(TABLE + 20) & 0x40).toBe(0x40);
  });

  test("never exist for memory-mapped I/O, ROM writes and code writes", () => {
    const cpu = paged();
    map(cpu, 1, 0xa00);
    expect(cpu.linear.read16(0x1004, false)).toBe(0x8484);
    cpu.linear.write32(0x1008, 0xcafe, false);
    expect(cpu.bus.log).toEqual(["read a00004 2", "write a00008 4 cafe"]);
    expect(entry(cpu, L.TLB_READ_SUPERVISOR, 1)).toBe(0);
    cpu.bus.log.length = 0;

    cpu.map.map(0x50000, 0x1000, L.RAM + 0x50000, false);
    map(cpu, 2, 0x50);
    cpu.poke32(0x50000, 7);
    cpu.linear.write32(0x2000, 8, false);
    expect(cpu.linear.read32(0x2000, false)).toBe(7);
    expect(cpu.bus.log).toEqual(["write 50000 4 8"]);
    expect(entry(cpu, L.TLB_WRITE_SUPERVISOR, 2)).toBe(0);

    map(cpu, 3, 0x60);
    map(cpu, 4, 0x60);
    cpu.linear.write32(0x3000, 1, false);
    cpu.linear.write32(0x4000, 1, true);
    cpu.map.markCode(0x60);
    cpu.tlb.protectPhysicalPage(0x60);
    expect(entry(cpu, L.TLB_WRITE_SUPERVISOR, 3)).toBe(0);
    expect(entry(cpu, L.TLB_WRITE_USER, 4)).toBe(0);
    expect(entry(cpu, L.TLB_READ_USER, 4)).not.toBe(0);
    cpu.linear.write16(0x3010, 0x99, false);
    cpu.linear.write16(0x3012, 0x98, false);
    expect(cpu.codeWrites).toEqual(["60010 2", "60012 2"]);
    expect(cpu.linear.read16(0x4010, false)).toBe(0x99);
    cpu.map.unmarkCode(0x60);
    cpu.linear.write16(0x3010, 0x97, false);
    expect(entry(cpu, L.TLB_WRITE_SUPERVISOR, 3)).not.toBe(0);
  });

  test("accesses over a page border check both pages before they write", () => {
    const cpu = paged();
    map(cpu, 1, 0x41);
    map(cpu, 2, 0x43, P);
    cpu.state.cr0 |= 0x10000;
    expect(faultOf(() => cpu.linear.write32(0x1ffe, -1, false))).toBe("14/3 2000");
    expect(cpu.peek16(0x41ffe)).toBe(0);
    map(cpu, 2, 0x43);
    cpu.system.invlpg(0x2000);
    cpu.linear.write32(0x1ffd, 0x44332211, false);
    expect(cpu.peek32(0x41ffc)).toBe(0x33221100);
    expect(cpu.peek8(0x43000)).toBe(0x44);
    expect(cpu.linear.read32(0x1ffd, false)).toBe(0x44332211);
    cpu.linear.read64(0x1ffa, false);
    expect([cpu.linear.low, cpu.linear.high]).toEqual([0x11000000, 0x443322]);
    cpu.linear.write64(0x1ffc, 0x01020304, 0x05060708, true);
    expect(cpu.peek32(0x43000)).toBe(0x05060708);
    expect(faultOf(() => cpu.linear.writeBytes(0x1ff0, new Uint8Array(0x1100), false))).toBe("14/2 3000");
    expect(cpu.peek32(0x43000)).toBe(0x05060708);
  });

  test("the top of linear memory wraps to its bottom", () => {
    const cpu = new TestCpu();
    cpu.map.map(0xfffff000, 0x1000, L.RAM + 0x70000, true);
    cpu.linear.write32(0xfffffffe, 0xaabbccdd, false);
    expect(cpu.peek16(0x70ffe)).toBe(0xccdd);
    expect(cpu.peek16(0)).toBe(0xaabb);
    expect(cpu.linear.read32(0xfffffffe, false)).toBe(0xaabbccdd);
    cpu.map.unmap(0xfffff000, 0x1000);
  });
});

describe("flushes", () => {
  test("CR3 loads keep global pages, INVLPG drops them, CR4.PGE changes drop everything", () => {
    const cpu = paged();
    map(cpu, 1, 0x41, P | RW | G);
    map(cpu, 2, 0x42, P | RW);
    cpu.poke32(0x41000, 1);
    cpu.poke32(0x42000, 2);
    cpu.poke32(0x43000, 3);
    const both = () => [cpu.linear.read32(0x1000, false), cpu.linear.read32(0x2000, false)];
    expect(both()).toEqual([1, 2]);
    map(cpu, 1, 0x43, P | RW | G);
    map(cpu, 2, 0x43, P | RW);
    expect(both()).toEqual([1, 2]);
    cpu.system.writeControl(3, DIRECTORY);
    expect(both()).toEqual([1, 3]);
    cpu.system.invlpg(0x1fff);
    expect(both()).toEqual([3, 3]);
    map(cpu, 1, 0x42, P | RW);
    cpu.system.writeControl(4, 0);
    expect(both()).toEqual([2, 3]);
  });

  test("the oldest page leaves a full TLB", () => {
    const cpu = paged({ capacityPages: 4 });
    for (let page = 0x20; page < 0x30; page++) {
      map(cpu, page, 0x40 + page);
      cpu.linear.write32(page << 12, page, false);
    }
    expect(cpu.tlb.livePages).toBe(4);
    expect(entry(cpu, L.TLB_WRITE_SUPERVISOR, 0x2b)).toBe(0);
    expect(entry(cpu, L.TLB_WRITE_SUPERVISOR, 0x2c)).not.toBe(0);
    for (let page = 0x20; page < 0x30; page++) expect(cpu.linear.read32(page << 12, false)).toBe(page);
  });

  test("changes of the physical map and A20 reach the TLB", () => {
    const cpu = paged();
    map(cpu, 1, 0x41);
    cpu.linear.write32(0x1000, 5, false);
    cpu.map.unmap(0x41000, 0x1000);
    expect(cpu.linear.read32(0x1000, false)).toBe(0x80808080);
    cpu.map.map(0x41000, 0x1000, L.RAM + 0x41000, true);
    expect(cpu.linear.read32(0x1000, false)).toBe(5);
  });

  test("A20 closes and opens at once", () => {
    const cpu = new TestCpu();
    cpu.poke32(0x100040, 7);
    expect(cpu.linear.read32(0x100040, false)).toBe(7);
    cpu.system.setA20(false);
    cpu.linear.write32(0x100040, 8, false);
    expect([cpu.peek32(0x40), cpu.peek32(0x100040)]).toEqual([8, 7]);
    cpu.system.setA20(true);
    expect(cpu.linear.read32(0x100040, false)).toBe(7);
  });

  test("a small forgiving TLB sees a changed page table without INVLPG after some hundred other pages", () => {
    const cpu = paged({ capacityPages: 256, isForgiving: true });
    for (let page = 0x80; page < 0x300; page++) map(cpu, page, 0x40);
    cpu.poke32(0x41000, 1);
    cpu.poke32(0x42000, 2);
    map(cpu, 1, 0x41);
    expect(cpu.linear.read32(0x1000, false)).toBe(1);
    map(cpu, 1, 0x42);
    expect(cpu.linear.read32(0x1000, false)).toBe(1);
    for (let page = 0x80; page < 0x280; page++) cpu.linear.read8(page << 12, false);
    expect(cpu.linear.read32(0x1000, false)).toBe(2);
    map(cpu, 1, 0x41, P | RW | G);
    cpu.system.writeControl(3, DIRECTORY);
    expect(cpu.linear.read32(0x1000, false)).toBe(1);
    map(cpu, 1, 0x42, P | RW | G);
    cpu.system.writeControl(3, DIRECTORY);
    expect(cpu.linear.read32(0x1000, false)).toBe(2);
  });

  test("code entries: set, flushed by privilege, dropped with their page", () => {
    const cpu = paged();
    map(cpu, 1, 0x41);
    expect(cpu.linear.fetchPage(0x1234, true)).toBe(0x41);
    cpu.tlb.setCode(1, 0x1234, true);
    cpu.linear.fetchPage(0x1234, false);
    cpu.tlb.setCode(1, 0x5678, false);
    expect(entry(cpu, L.TLB_CODE_USER, 1)).toBe(0x1234);
    cpu.tlb.flushCode(true);
    expect(entry(cpu, L.TLB_CODE_USER, 1)).toBe(0);
    expect(entry(cpu, L.TLB_CODE_SUPERVISOR, 1)).toBe(0x5678);
    cpu.system.invlpg(0x1000);
    expect(entry(cpu, L.TLB_CODE_SUPERVISOR, 1)).toBe(0);
    expect(faultOf(() => cpu.linear.fetchPage(0x2000, true))).toBe("14/4 2000");
  });
});

test("the slow path of generated code leaves a page fault in the state block", () => {
  const cpu = paged();
  cpu.state.cpl = 3;
  deriveMode(cpu.state);
  expect(cpu.linear.load(0x7010, 4)).toBe(0);
  expect(cpu.state.i32[L.FAULT >> 2]).toBe(15);
  expect(cpu.state.i32[L.FAULT_ERROR >> 2]).toBe(4);
  expect(cpu.state.u32[L.FAULT_LINEAR >> 2]).toBe(0x7010);
  cpu.state.i32[L.FAULT >> 2] = 0;
  map(cpu, 7, 0x41);
  cpu.linear.store(0x7ffe, 4, 0x11223344);
  expect(cpu.state.u32[L.FAULT_LINEAR >> 2]).toBe(0x8000);
  expect(cpu.state.i32[L.FAULT_ERROR >> 2]).toBe(6);
  expect(cpu.peek16(0x41ffe)).toBe(0);
  cpu.state.i32[L.FAULT >> 2] = 0;
  cpu.linear.store(0x7ffa, 4, 0x11223344);
  expect(cpu.linear.load(0x7ffa, 4)).toBe(0x11223344);
  expect(cpu.state.i32[L.FAULT >> 2]).toBe(0);
});

test.each([4, 64, 16384])(
  "random accesses with correct invalidation equal walks without a TLB (capacity %i)",
  (capacity) => {
    const cpu = paged({ capacityPages: capacity });
    const random = createRandom(capacity);
    const frames = [0x40, 0x41, 0x42, 0x43, 0xa00, 0x1ff];
    const model = cpu.ram();
    const pages = 24;
    const codeFrames = new Set<number>();
    /** What a walk in the model's page table says: frame or -1. */
    const modelWalk = (linear: number, isWrite: boolean, user: boolean) => {
      const pte = cpu.peek32(TABLE + (linear >>> 12) * 4);
      if ((pte & P) === 0 || (user && (pte & US) === 0)) return -1;
      if (isWrite && (pte & RW) === 0 && (user || (cpu.state.cr0 & 0x10000) !== 0)) return -1;
      return pte >>> 12;
    };
    for (let step = 0; step < 40_000; step++) {
      const page = random() % pages;
      const action = random() % 16;
      if (action === 0) {
        const bits = (random() % 8) | (random() % 4 === 0 ? G : 0);
        map(cpu, page, frames[random() % frames.length], bits);
        if (random() % 2 === 0 || (bits & G) !== 0) cpu.system.invlpg((page << 12) | (random() & 0xfff));
        else {
          cpu.system.invlpg(page << 12);
          cpu.system.writeControl(3, DIRECTORY);
        }
        continue;
      }
      if (action === 1) {
        const frame = frames[random() % 4];
        if (codeFrames.has(frame)) {
          codeFrames.delete(frame);
          cpu.map.unmarkCode(frame);
        } else {
          codeFrames.add(frame);
          cpu.map.markCode(frame);
          cpu.tlb.protectPhysicalPage(frame);
        }
        continue;
      }
      if (action === 2) cpu.system.writeControl(0, (cpu.state.cr0 & ~0x10000) | (random() & 0x10000));
      const linear = (page << 12) | (random() % 8 === 0 ? 0xffd + (random() % 3) : random() & 0xffc);
      if (linear + 4 > pages << 12) continue;
      const user = random() % 2 === 0;
      const isWrite = random() % 2 === 0;
      const first = modelWalk(linear, isWrite, user);
      const last = modelWalk(linear + 3, isWrite, user);
      const value = random();
      cpu.codeWrites.length = 0;
      cpu.bus.log.length = 0;
      let got = 0;
      const fault = faultOf(() => {
        if (isWrite) cpu.linear.write32(linear, value, user);
        else got = cpu.linear.read32(linear, user);
      });
      const faultAt = first < 0 ? linear : last < 0 ? (linear | 0xfff) + 1 : -1;
      if (faultAt >= 0) {
        expect(fault.split(" ")[1], `step ${step}`).toBe(faultAt.toString(16));
        continue;
      }
      expect(fault, `step ${step}`).toBe("none");
      const at = (n: number) =>
        (n < 4096 - (linear & 0xfff) ? first * 4096 + (linear & 0xfff) : last * 4096 - (4096 - (linear & 0xfff))) + n;
      if (isWrite) {
        for (let n = 0; n < 4; n++) if (at(n) < model.length) model[at(n)] = value >>> (n * 8);
        const touchesCode = codeFrames.has(first) || codeFrames.has(last);
        expect(cpu.codeWrites.length > 0, `step ${step}`).toBe(touchesCode);
      } else if (first !== 0xa00 && last !== 0xa00) {
        const want = model[at(0)] | (model[at(1)] << 8) | (model[at(2)] << 16) | (model[at(3)] << 24);
        expect(got, `step ${step}`).toBe(want >>> 0);
      }
      expect(cpu.bus.log.length > 0, `step ${step}`).toBe(first === 0xa00 || last === 0xa00);
    }
    for (const frame of codeFrames) cpu.map.unmarkCode(frame);
  },
);
