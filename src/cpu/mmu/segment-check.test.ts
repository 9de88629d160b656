import { beforeEach, describe, expect, test } from "vitest";
import * as L from "../layout.ts";
import { CR0_AM, CR0_PE, deriveAll, deriveMode, FLAG_AC } from "../state.ts";
import { createRandom, faultOf, TestCpu } from "../system/testing.ts";

let cpu: TestCpu;
beforeEach(() => {
  cpu = new TestCpu();
  cpu.enterFlat();
});

function setData(type: number, limit: number, big = true, seg: number = L.SEG_DS): void {
  cpu.state.setSegment(seg, 0x20, 0x1000, limit, 0x90 | type | (big ? 0x4000 : 0) | L.ATTRIBUTE_USABLE);
}
const check = (ea: number, size: number, isWrite = false, seg: number = L.SEG_DS) =>
  faultOf(() => {
    expect(cpu.linear.checkSegment(seg, ea, size, isWrite)).toBe((0x1000 + ea) >>> 0);
  });

describe("limits and types", () => {
  test("read-only, read-write, execute-only and readable code", () => {
    for (let type = 0; type < 16; type++) {
      if ((type & 12) === 4) continue;
      setData(type, 0xfff);
      const isCode = type >= 8;
      expect(check(0, 4), `type ${type}`).toBe(!isCode || (type & 2) !== 0 ? "none" : "13/0");
      expect(check(0, 4, true), `type ${type}`).toBe(!isCode && (type & 2) !== 0 ? "none" : "13/0");
      expect(check(0xffc, 4), `type ${type}`).toBe(check(0, 4));
      expect(check(0xffd, 4), `type ${type}`).toBe("13/0");
    }
  });

  test("expand-down segments begin above their limit and end at 64 KiB or 4 GiB", () => {
    setData(6, 0xfff);
    expect([check(0xfff, 1), check(0x1000, 4, true), check(0xfffffffc, 4), check(0xfffffffd, 4)]).toEqual([
      "13/0",
      "none",
      "none",
      "13/0",
    ]);
    setData(6, 0xfff, false);
    expect([check(0x1000, 1), check(0xfffe, 2), check(0xffff, 2), check(0x10000, 1)]).toEqual([
      "none",
      "none",
      "13/0",
      "13/0",
    ]);
  });

  test("null is #GP, the stack segment reports #SS, a 4 GiB limit wraps", () => {
    cpu.state.setSegment(L.SEG_ES, 0, 0, 0xffffffff, 0xc093);
    expect(faultOf(() => cpu.linear.checkSegment(L.SEG_ES, 0, 1, false))).toBe("13/0");
    setData(2, 0xff, true, L.SEG_SS);
    expect(check(0x100, 1, false, L.SEG_SS)).toBe("12/0");
    setData(2, 0xffffffff);
    expect(check(0xfffffffe, 4)).toBe("none");
  });

  test("real mode looks at limits only", () => {
    cpu.state.cr0 &= ~CR0_PE;
    deriveMode(cpu.state);
    cpu.state.setSegment(L.SEG_DS, 0, 0x1000, 0xffff, 0x9b);
    expect([check(0xfffe, 2, true), check(0xffff, 2, true), check(0xffff, 1)]).toEqual(["none", "13/0", "none"]);
  });

  test("alignment is checked at level 3 with AM and AC, and then every access is", () => {
    cpu.enterFlat(3);
    cpu.state.cr0 |= CR0_AM;
    cpu.state.systemFlags |= FLAG_AC;
    deriveMode(cpu.state);
    expect(cpu.state.i32[(L.SEG_FAST_READ >> 2) + L.SEG_DS]).toBe(0);
    expect(cpu.state.mode & L.MODE_FLAT).toBe(0);
    const at = (ea: number, size: number) => faultOf(() => cpu.linear.checkSegment(L.SEG_DS, ea, size, false));
    expect([at(1, 1), at(1, 2), at(2, 4), at(4, 8), at(8, 8), at(1, 16)]).toEqual([
      "none",
      "17/0",
      "17/0",
      "17/0",
      "none",
      "none",
    ]);
    // Extended precision by 8, x87 environments and states by operand size, pseudo-descriptors a word off.
    expect([at(4, 10), at(8, 10), at(2, 28), at(4, 28), at(1, 94), at(2, 94)]).toEqual([
      "17/0",
      "none",
      "17/0",
      "none",
      "17/0",
      "none",
    ]);
    expect([at(0, 6), at(1, 6), at(2, 6), at(3, 6), at(6, 6)]).toEqual(["17/0", "17/0", "none", "17/0", "none"]);
    cpu.state.systemFlags &= ~FLAG_AC;
    deriveMode(cpu.state);
    expect(at(1, 2)).toBe("none");
    expect(cpu.state.mode & L.MODE_FLAT).toBe(L.MODE_FLAT);
  });
});

test("fast limits never admit what the exact check refuses", () => {
  const random = createRandom(7);
  const limits = [0, 1, 14, 15, 16, 0xffe, 0xfff, 0xffff, 0xfffff, 0xfffffffe, 0xffffffff];
  for (let step = 0; step < 20_000; step++) {
    const limit = limits[random() % limits.length];
    const attributes = (random() & 0x401f) | 0x90 | (random() % 8 ? L.ATTRIBUTE_USABLE : 0);
    cpu.state.setSegment(L.SEG_DS, 0x20, 0, limit, attributes);
    const ea = random() % 2 === 0 ? (limit - (random() % 40) + 20) >>> 0 : random();
    const size = [1, 2, 4, 8, 16][random() % 5];
    const read = cpu.state.u32[(L.SEG_FAST_READ >> 2) + L.SEG_DS];
    const write = cpu.state.u32[(L.SEG_FAST_WRITE >> 2) + L.SEG_DS];
    if (ea < read) expect(faultOf(() => cpu.linear.checkSegment(L.SEG_DS, ea, size, false))).toBe("none");
    if (ea < write) expect(faultOf(() => cpu.linear.checkSegment(L.SEG_DS, ea, size, true))).toBe("none");
  }
});

describe("state", () => {
  test("EFLAGS survive their lazy form in every combination", () => {
    for (let bits = 0; bits < 64; bits++) {
      const flags =
        2 |
        (bits & 1) |
        ((bits & 2) << 1) |
        ((bits & 4) << 2) |
        ((bits & 8) << 3) |
        ((bits & 16) << 3) |
        ((bits & 32) << 6) |
        0x3200;
      cpu.state.eflags = flags;
      expect(cpu.state.eflags).toBe(flags);
    }
  });

  test("the lazy form is what layout.ts says of ordinary results", () => {
    const { state } = cpu;
    // 80h + 80h as bytes: result 0, carry out of bit 7, overflow.
    state.i32[L.FLAGS_RESULT >> 2] = 0;
    state.i32[(L.FLAGS_RESULT >> 2) + 1] = 0;
    state.i32[L.FLAGS_CARRY >> 2] = -0x80000000;
    expect(state.eflags & 0x8d5).toBe(0x845);
    // FFh as a byte: negative, even parity.
    state.i32[L.FLAGS_RESULT >> 2] = -1;
    state.i32[(L.FLAGS_RESULT >> 2) + 1] = -1;
    state.i32[L.FLAGS_CARRY >> 2] = 8;
    expect(state.eflags & 0x8d5).toBe(0x94);
  });

  test("the mode word follows its sources", () => {
    const { state } = cpu;
    const flat = L.MODE_CODE32 | L.MODE_STACK32 | L.MODE_PROTECTED | L.MODE_FLAT | L.MODE_NO_SSE;
    expect(state.mode).toBe(flat);
    cpu.system.writeControl(4, 0x200);
    expect(state.mode).toBe(flat & ~L.MODE_NO_SSE);
    cpu.system.writeControl(0, state.cr0 | 8);
    expect(state.mode).toBe(flat | L.MODE_NO_FPU);
    cpu.system.clts();
    cpu.system.loadSegment(L.SEG_ES, 0);
    expect(state.mode).toBe(L.MODE_CODE32 | L.MODE_STACK32 | L.MODE_PROTECTED);
    cpu.system.reset();
    deriveAll(state);
    expect(state.mode).toBe(L.MODE_NO_SSE);
    expect([state.eip, state.segmentBase(L.SEG_CS), state.cr0, state.eflags, state.reg32(2)]).toEqual([
      0xfff0, 0xffff0000, 0x60000010, 2, 0x6d8,
    ]);
  });
});
