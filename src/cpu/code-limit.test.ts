/** The limit of CS in instruction fetch: predecoded code of a page must not run beyond the end of the segment. */
import { beforeAll, beforeEach, expect, test } from "vitest";
import type { CpuBus } from "../device-api/virtual-cpu.ts";
import { createEngine } from "./create.ts";
import type { SoftwareEngine } from "./engine.ts";
import * as L from "./layout.ts";
import { deriveAll } from "./state.ts";

const RAM_BYTES = 1 << 20;
const HANDLERS = 0x600;
const STACK = 0x8000;
const BASE = 0x10000;

const bus: CpuBus = {
  readPort: () => 0,
  writePort: () => {},
  readPortBulk: () => 0,
  writePortBulk: () => 0,
  readMmio: () => 0,
  writeMmio: () => {},
  acknowledgeInterrupt: () => 0,
  readTsc: () => 0,
};

let engine: SoftwareEngine;

beforeAll(async () => {
  const pages = L.memoryPages(RAM_BYTES, 0);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  engine = await createEngine({ memory, bus, features: { pae: false, nx: false } });
  engine.physicalMap.map(0, RAM_BYTES, L.RAM, true);
});

beforeEach(() => {
  engine.reset();
  const { u8, view } = engine.state;
  u8.fill(0x90, L.RAM + BASE, L.RAM + BASE + 0x20000);
  engine.invalidateCode(BASE, 0x20000);
  // Real mode: every vector leads to a HLT of its own.
  for (let vector = 0; vector < 32; vector++) {
    view.setUint32(L.RAM + vector * 4, HANDLERS + vector, true);
    u8[L.RAM + HANDLERS + vector] = 0xf4;
  }
});

/** Runs from offset `eip` of a code segment with such a base and limit to the first fault: "vector at offset". */
function run(base: number, limit: number, eip: number): string {
  const { state } = engine;
  state.i32[L.HALTED >> 2] = 0;
  state.setSegment(L.SEG_CS, base >>> 4, base, limit, 0x9b | L.ATTRIBUTE_USABLE);
  state.setSegment(L.SEG_SS, 0, 0, 0xffff, 0x93 | L.ATTRIBUTE_USABLE);
  state.setReg32(4, STACK);
  state.eip = eip;
  deriveAll(state);
  expect(engine.run(200_000)).toBe("halt");
  return `${state.eip - 1 - HANDLERS} at ${state.view.getUint16(L.RAM + STACK - 6, true).toString(16)}`;
}

function code(at: number, ...bytes: number[]): void {
  engine.state.u8.set(bytes, L.RAM + BASE + at);
  engine.invalidateCode(BASE + at, bytes.length);
}

test("code stops at a limit in the middle of a page", () => {
  expect(run(BASE, 0x7ff, 0x700)).toBe("13 at 800");
});

test("code stops at a limit at the end of a page", () => {
  expect(run(BASE, 0xfff, 0xf00)).toBe("13 at 1000");
});

test("code does not run on into a page that another segment has run in", () => {
  code(0x1010, 0xcc);
  expect(run(BASE, 0xffff, 0x1000)).toBe("3 at 1011");
  expect(run(BASE, 0xfff, 0xf00)).toBe("13 at 1000");
  expect(run(BASE, 0xffff, 0x1000)).toBe("3 at 1011");
});

test("an instruction that reaches beyond the limit does not execute", () => {
  code(0x7fe, 0xb8, 0x34, 0x12);
  expect(run(BASE, 0x7ff, 0x7f0)).toBe("13 at 7fe");
  expect(run(BASE, 0x7fe, 0x7f0)).toBe("13 at 7fe");
  code(0xffe, 0xb8, 0x34, 0x12);
  expect(run(BASE, 0xfff, 0xff0)).toBe("13 at ffe");
  expect(engine.state.reg32(0)).toBe(0);
});

test("an instruction that ends at the limit executes", () => {
  code(0x7fe, 0xcc);
  expect(run(BASE, 0x7fe, 0x7f0)).toBe("3 at 7ff");
});

test("code decoded under another limit is not reused, in either direction", () => {
  code(0x900, 0xcc);
  for (const [limit, end] of [
    [0xffff, "3 at 901"],
    [0x7ff, "13 at 800"],
    [0x7f0, "13 at 7f1"],
    [0xffff, "3 at 901"],
    [0x7ff, "13 at 800"],
  ] as const)
    expect(run(BASE, limit, 0x7e0)).toBe(end);
});

test("two segments that end in one page keep their own ends", () => {
  expect(run(BASE, 0x7ff, 0x7f0)).toBe("13 at 800");
  expect(run(BASE + 0x100, 0x6f0, 0x600)).toBe("13 at 6f1");
  expect(run(BASE, 0x7ff, 0x7f0)).toBe("13 at 800");
});

test("a store into decoded code of such a page takes effect", () => {
  expect(run(BASE, 0x7ff, 0x7f0)).toBe("13 at 800");
  // mov byte [cs:7fch], CCh
  code(0x7f0, 0x2e, 0xc6, 0x06, 0xfc, 0x07, 0xcc);
  expect(run(BASE, 0x7ff, 0x7f0)).toBe("3 at 7fd");
});

test("fifteen bytes are an instruction, sixteen are #GP, without a look at the next page", () => {
  code(0, ...Array<number>(14).fill(0x2e), 0xcc);
  expect(run(BASE, 0xffff, 0)).toBe("3 at f");
  code(0x20, ...Array<number>(15).fill(0x2e), 0xcc);
  expect(run(BASE, 0xffff, 0x20)).toBe("13 at 20");
  code(0xff8, ...Array<number>(15).fill(0x2e), 0xcc);
  expect(run(BASE, 0xffff, 0xff8)).toBe("13 at ff8");
});

test("more partial pages than are kept", () => {
  for (let limit = 0x7ff; limit > 0x7c0; limit--)
    expect(run(BASE, limit, 0x7a0)).toBe(`13 at ${(limit + 1).toString(16)}`);
  for (let limit = 0x7c1; limit < 0x800; limit++)
    expect(run(BASE, limit, 0x7a0)).toBe(`13 at ${(limit + 1).toString(16)}`);
});
