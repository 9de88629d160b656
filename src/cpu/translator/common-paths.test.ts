/**
 * Ways that are short because they are common, against the long ones: loads of data segment registers without the engine's help, and
 * accesses that regions look up together.
 */
import { describe, expect, test } from "vitest";
import { seededRandom } from "../../device-api/testing.ts";
import type { SegmentRegister } from "../../device-api/virtual-cpu.ts";
import type { EngineTuning, SoftwareEngine } from "../engine.ts";
import * as L from "../layout.ts";
import { CpuFault } from "../system/fault.ts";
import { DATA, engine, FORCED, run, word } from "./testing.ts";

/** The descriptor of selector 10h in the test programs' GDT. */
const DESCRIPTOR = 0x710;
const FLAT_HIGH = 0x00cf9300;

interface Load {
  readonly name: SegmentRegister;
  readonly mov: readonly number[];
  readonly pop: readonly number[];
}

const loads: readonly Load[] = [
  { name: "es", mov: [0x8e, 0xc0], pop: [0x07] },
  { name: "ds", mov: [0x8e, 0xd8], pop: [0x1f] },
  { name: "fs", mov: [0x8e, 0xe0], pop: [0x0f, 0xa1] },
  { name: "gs", mov: [0x8e, 0xe8], pop: [0x0f, 0xa9] },
];

/** Segment registers, what is derived from them, and the descriptor. */
function segments({ cpu, ram }: { cpu: SoftwareEngine; ram: Uint8Array }): number[] {
  const { i32 } = cpu.state;
  return [
    ...i32.subarray(L.SEG_BASE >> 2, (L.SEG_FAST_WRITE >> 2) + 8),
    i32[L.MODE >> 2],
    ...ram.subarray(DESCRIPTOR, DESCRIPTOR + 8),
  ];
}

describe("data segment registers", () => {
  test.each<[string, EngineTuning]>([
    ["interpreter", {}],
    ["regions", FORCED],
  ])("any descriptor loads as through the engine (%s)", async (_, tuning) => {
    const tried = await engine(tuning);
    const reference = await engine({});
    const random = seededRandom(20261123);
    let loaded = 0;
    for (let round = 0; round < 1500; round++) {
      const low = random(2) === 0 ? 0xffff : random(0x100000000);
      let high = FLAT_HIGH;
      for (let flips = random(4); flips > 0; flips--) high ^= 1 << random(32);
      const selector = [0x10, 0x10, 0x10, 0x10, 0x11, 0x13, 0, 2, 0x14, 0x18][random(10)];
      const { name, mov, pop } = loads[random(4)];
      // mov dword [DESCRIPTOR], low; mov dword [DESCRIPTOR + 4], high
      const write = (at: number, value: number) => [0xc7, 0x05, ...word(at), ...word(value)];
      const prepared = [...write(DESCRIPTOR, low), ...write(DESCRIPTOR + 4, high)];
      // mov eax, selector; mov seg, ax — or: push selector; pop seg
      const load = random(2) === 0 ? [0xb8, ...word(selector), ...mov] : [0x68, ...word(selector), ...pop];
      run(reference, prepared);
      let isRefused = false;
      try {
        reference.cpu.setSegment(name, selector);
      } catch (thrown) {
        if (!(thrown instanceof CpuFault)) throw thrown;
        isRefused = true;
      }
      const outcome = run(tried, [...prepared, ...load, 0xba, ...word(0x600d)]);
      const where = `round ${round}: ${name} ← ${selector.toString(16)}, ${(low >>> 0).toString(16)} ${(high >>> 0).toString(16)}`;
      expect(outcome.registers[2] !== 0x600d, where).toBe(isRefused);
      if (isRefused) continue;
      expect(segments(tried), where).toEqual(segments(reference));
      loaded++;
    }
    expect(loaded).toBeGreaterThan(500);
  });
});

describe("accesses at constant distances", () => {
  test("regions that look a page up for several, near ends of pages", async () => {
    const interpreted = await engine({});
    const translated = await engine(FORCED);
    const random = seededRandom(4096);
    const pick = (n: number) => random(n);
    const value = () => pick(3);
    const pointer = () => [3, 5, 6, 7][pick(4)];
    const instruction = (): number[] => {
      const memory = 0x40 | (value() << 3) | pointer();
      switch (pick(12)) {
        case 0:
        case 1:
          return [0x8b, memory, pick(256)];
        case 2:
        case 3:
          return [0x89, memory, pick(256)];
        case 4:
          return [0x01, memory, pick(256)];
        case 5:
          return [0x66, 0x89, memory, pick(256)];
        case 6:
          return [0x50 + value()];
        case 7:
          return [0x58 + value()];
        case 8:
          return [0x83, 0xc0 | pointer(), pick(40)];
        case 9:
          return [0x8d, 0x40 | (pointer() << 3) | pointer(), pick(64)];
        case 10:
          return [0x89, 0xc0 | (pointer() << 3) | pointer()];
        default:
          // jz over an increment of a pointer: what it is afterwards depends
          return [0x74, 1, 0x40 + pointer()];
      }
    };
    for (let round = 0; round < 300; round++) {
      const body: number[] = [];
      for (const register of [3, 5, 6, 7])
        body.push(0xb8 + register, ...word(DATA + 0x800 + pick(3) * 0x200 + pick(300)));
      // The stack's end of page is near too.
      body.push(0xbc, ...word(DATA + 0x1000 + pick(64)));
      while (body.length < 150) body.push(...instruction());
      const expected = run(interpreted, body, round);
      const found = run(translated, body, round);
      const where = `round ${round}: ${body.map((b) => b.toString(16).padStart(2, "0")).join(" ")}`;
      expect(found.registers, where).toEqual(expected.registers);
      expect(found.data, where).toEqual(expected.data);
      expect(found.instructions, where).toBe(expected.instructions);
    }
    expect(translated.cpu.regionStatistics?.compiled).toBeGreaterThan(200);
  });

  test("a frame in two pages does not send its loop out for ever", async () => {
    // mov esp, end of page − 4; mov ebx, 150,000; l: mov [esp], ebx; add eax, [esp + 4]; mov [esp + 4], ebx; dec ebx; jnz l
    const body = [0x89, 0x1c, 0x24, 0x03, 0x44, 0x24, 0x04, 0x89, 0x5c, 0x24, 0x04, 0x4b];
    const start = [0xbc, ...word(DATA + 0xffc), 0xbb, ...word(150_000)];
    const program = [...start, ...body, 0x75, -(body.length + 2) & 0xff];
    const expected = run(await engine({}), program);
    const translated = await engine(FORCED);
    const found = run(translated, program);
    expect(found.registers).toEqual(expected.registers);
    expect(found.data).toEqual(expected.data);
    const { separated } = translated.cpu.regionStatistics as { separated: number };
    expect(separated).toBe(1);
    const exits = translated.cpu.state.i32.subarray(L.REGION_EXITS >> 2, (L.REGION_EXITS >> 2) + 0x8000);
    expect(Math.max(...exits)).toBe(0);
  });
});
