/** The promise that a viewer builds on: no new revision, phase or byte of the scanned-out memory, no new picture. */
import { expect, test } from "vitest";
import { fuzzPorts, seededRandom } from "../../device-api/testing.ts";
import { mode03, VgaBench } from "./testing.ts";

function shot(bench: VgaBench) {
  const { hostOffset, lengthBytes, revision, phase } = bench.vga.scanout();
  const start = hostOffset - bench.memory.hostOffset;
  expect(start).toBeGreaterThanOrEqual(0);
  expect(start + lengthBytes).toBeLessThanOrEqual(bench.memory.bytes.length);
  const bytes = Buffer.from(bench.memory.bytes.subarray(start, start + lengthBytes));
  return {
    key: `${hostOffset} ${lengthBytes} ${revision} ${phase}`,
    bytes,
    picture: Buffer.from(bench.vga.renderRgba()),
  };
}

test("what is scanned out decides the picture, whatever the guest does", () => {
  const bench = new VgaBench(1 << 20);
  const random = seededRandom(99);
  bench.setMode(mode03);
  let before = shot(bench);
  let same = 0;
  let different = 0;
  for (let round = 0; round < 400; round++) {
    if (random(40) === 0) {
      bench.setDispiMode(8 * random(30), random(200), [4, 8, 15, 16, 24, 32][random(6)], random(256));
    } else if (random(3) === 0) fuzzPorts(bench.context, 1 + random(3), round);
    if (random(2) === 0) bench.memory.bytes[random(4) === 0 ? random(1 << 20) : random(0x10000)] ^= 1 + random(255);
    bench.context.clock.advance(random(30) * 1e6);
    const after = shot(bench);
    if (after.key === before.key && after.bytes.equals(before.bytes)) {
      same++;
      expect(after.picture.equals(before.picture)).toBe(true);
    } else different++;
    before = after;
  }
  expect(same).toBeGreaterThan(40);
  expect(different).toBeGreaterThan(100);
});

test("a blinking cursor has two phases, a screen without one has one", () => {
  const bench = new VgaBench();
  bench.setMode(mode03);
  const phases = () => {
    const seen = new Set<number>();
    for (let i = 0; i < 40; i++) {
      bench.context.clock.advance(50e6);
      seen.add(bench.vga.scanout().phase & 1);
    }
    return seen.size;
  };
  expect(phases()).toBe(2);
  bench.cr(0x0a, 0x20);
  expect(phases()).toBe(1);
});
