import { beforeEach, expect, test } from "vitest";
import type { Device } from "../../device-api/device.ts";
import { FakeContext, fuzzPorts, RecordedLine } from "../../device-api/testing.ts";
import { createSystemPorts } from "./index.ts";

let context: FakeContext;
let device: Device;
let gate: RecordedLine;
let out: RecordedLine;
let a20: RecordedLine;
let resets: string[];
let posts: number[];
let fpuClears: number;

beforeEach(() => {
  context = new FakeContext();
  gate = new RecordedLine();
  out = new RecordedLine();
  a20 = new RecordedLine();
  resets = [];
  posts = [];
  fpuClears = 0;
  device = createSystemPorts({
    timer2: { gate, out },
    a20,
    requestReset: (request) => resets.push(request),
    clearFpuError: () => fpuClears++,
    onPostCode: (code) => posts.push(code),
  });
  device.attach(context);
  device.reset("power-on");
});

test("port 61h gates timer 2 and shows its output", () => {
  context.out(0x61, 1, 0xff);
  expect(gate.level).toBe(true);
  out.set(true);
  expect(context.in(0x61) & 0xef).toBe(0x2f);
  context.out(0x61, 1, 0xfc);
  expect(gate.level).toBe(false);
  out.set(false);
  expect(context.in(0x61) & 0xef).toBe(0x0c);
});

test("the refresh bit toggles every 15 µs, as delay loops count it", () => {
  let toggles = 0;
  let last = context.in(0x61) & 0x10;
  const startNs = context.clock.timeNs;
  while (toggles < 66) {
    context.clock.advance(500);
    const now = context.in(0x61) & 0x10;
    if (now !== last) toggles++;
    last = now;
  }
  // 66 toggles are the BIOS's millisecond.
  expect(context.clock.timeNs - startNs).toBeGreaterThan(970_000);
  expect(context.clock.timeNs - startNs).toBeLessThan(1_020_000);
});

test("port 92h opens gate A20 and resets the processor", () => {
  expect(context.in(0x92)).toBe(0);
  context.out(0x92, 1, 0x02);
  expect(a20.level).toBe(true);
  expect(context.in(0x92)).toBe(0x02);
  a20.set(false);
  expect(context.in(0x92)).toBe(0);
  context.out(0x92, 1, 0x01);
  context.out(0x92, 1, 0x01);
  expect(resets).toEqual(["cpu", "cpu"]);
});

test("CF9h resets on the rising edge: 02h then 06h as Linux's reboot=pci", () => {
  context.out(0xcf9, 1, 0x02);
  expect(context.in(0xcf9)).toBe(0x02);
  expect(resets).toEqual([]);
  context.out(0xcf9, 1, 0x06);
  expect(resets).toEqual(["system"]);
  context.out(0xcf9, 1, 0x04);
  expect(resets).toEqual(["system", "cpu"]);
});

test("POST codes and coprocessor clear", () => {
  context.out(0x80, 1, 0x55);
  expect(posts).toEqual([0x55]);
  expect(context.in(0x80)).toBe(0x55);
  context.out(0xf0, 1, 0);
  context.out(0xf1, 1, 0);
  expect(fpuClears).toBe(1);
  expect(context.in(0xf0)).toBe(0xff);
});

test("saved state", () => {
  context.out(0x61, 1, 0x03);
  context.out(0x80, 1, 0xaa);
  context.out(0xb2, 2, 0x1234);
  context.out(0xcf9, 1, 0x02);
  const saved = structuredClone(device.save());
  device.reset("power-on");
  device.load(saved);
  expect(device.save()).toEqual(saved);
  expect(context.in(0xb2, 2)).toBe(0x1234);
  expect(() => device.load({ ...saved, data: { ...saved.data, nmisc: 0x100 } })).toThrow(/nmisc/);
});

test("seeded fuzz", () => {
  fuzzPorts(context, 20_000, 61);
  context.out(0x61, 1, 0);
  expect(context.in(0x61) & 0x0f).toBe(0);
});
