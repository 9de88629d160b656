/** The loudspeaker with the timer that drives it, programmed as a PC's programs do. */
import { beforeEach, expect, test } from "vitest";
import { FakeContext, RecordedLine } from "../device-api/testing.ts";
import { createPit, createSystemPorts } from "../devices/catalogue.ts";

let context: FakeContext;
let heard: number[];

beforeEach(() => {
  context = new FakeContext();
  heard = [];
  const pit = createPit();
  const ports = createSystemPorts({
    timer2: { gate: pit.gate2, out: pit.out2, outAt: (ns) => pit.out2.at(ns) },
    speaker: {
      play: (samples, rateHz) => {
        expect(rateHz).toBe(48_000);
        for (let i = 0; i < samples.length; i += 2) heard.push(samples[i]);
      },
    },
    a20: new RecordedLine(),
    requestReset: () => {},
  });
  pit.onCounter2 = () => ports.settleSpeaker();
  for (const device of [pit, ports]) {
    device.attach(context);
    device.reset("power-on");
  }
});

/** 8254 counter 2, mode 3. */
function tone(hz: number): void {
  const count = Math.round(1_193_182 / hz);
  context.out(0x43, 1, 0xb6);
  context.out(0x42, 1, count & 0xff);
  context.out(0x42, 1, count >> 8);
}
function wait(ms: number): void {
  for (let i = 0; i < ms; i++) context.clock.advance(1_000_000);
}
const rises = () => heard.filter((sample, i) => i > 0 && sample > 5000 && heard[i - 1] <= 5000).length;

test("a tone has its frequency and its length, and is over when bit 1 or the gate says so", () => {
  tone(1000);
  wait(50);
  expect(heard).toEqual([]);
  context.out(0x61, 1, 3);
  wait(500);
  context.out(0x61, 1, 0);
  wait(50);
  // What follows within a period is silence.
  expect(Math.abs(heard.length - 24_000)).toBeLessThan(1500);
  expect(Math.abs(heard.findLastIndex((sample) => sample > 0) - 24_000)).toBeLessThan(50);
  expect(Math.abs(rises() - 500)).toBeLessThanOrEqual(1);
  expect(heard.filter((sample) => sample > 5000).length / 24_000).toBeCloseTo(0.5, 1);
  const { length } = heard;
  wait(200);
  expect(heard.length).toBe(length);
});

test("the tone changes in the middle", () => {
  tone(440);
  context.out(0x61, 1, 3);
  wait(500);
  tone(880);
  wait(500);
  context.out(0x61, 1, 0);
  expect(Math.abs(rises() - 660)).toBeLessThanOrEqual(3);
});

test("pulses by bit 1 alone, as programs without the timer make them; a level that stays is silence", () => {
  // OUT of mode 0 is high once the count is over.
  context.out(0x43, 1, 0x90);
  context.out(0x42, 1, 1);
  for (let i = 0; i < 400; i++) {
    context.out(0x61, 1, i % 2 === 0 ? 3 : 1);
    context.clock.advance(1_250_000);
  }
  // 400 Hz for half a second.
  expect(Math.abs(rises() - 200)).toBeLessThanOrEqual(1);
  expect(Math.abs(heard.length - 24_000)).toBeLessThan(500);
  context.out(0x61, 1, 3);
  wait(100);
  heard.length = 0;
  wait(1000);
  expect(heard).toEqual([]);
});

test("pulse width is heard as a level between", () => {
  // Mode 0 at 16 kHz: OUT is low for a part of each period, a quarter here.
  context.out(0x61, 1, 3);
  for (let i = 0; i < 800; i++) {
    context.out(0x43, 1, 0x90);
    context.out(0x42, 1, 18);
    context.clock.advance(62_500);
  }
  context.out(0x61, 1, 0);
  const later = heard.slice(200, 2200);
  const mean = later.reduce((sum, sample) => sum + sample, 0) / later.length;
  expect(mean / Math.max(...later)).toBeGreaterThan(0.65);
  expect(mean / Math.max(...later)).toBeLessThan(0.85);
});
