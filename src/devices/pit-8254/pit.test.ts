import { beforeEach, describe, expect, test } from "vitest";
import { FakeContext, fuzzPorts } from "../../device-api/testing.ts";
import { createPit, type PitDevice } from "./index.ts";
import { nsOfTicks, ticksOfNs } from "./pit.ts";

let context: FakeContext;
let pit: PitDevice;

beforeEach(() => {
  context = new FakeContext();
  pit = createPit();
  pit.attach(context);
  pit.reset("power-on");
  context.clock.advance(1_000_000);
});

/** Time stands where the next tick of the counters begins: makes tick counts in tests exact. */
function alignToTick(): void {
  const { clock } = context;
  clock.timeNs = nsOfTicks(ticksOfNs(clock.timeNs) + 1);
  clock.stepPerReadNs = 0;
}
const passTicks = (ticks: number) => {
  const { clock } = context;
  clock.advance(nsOfTicks(ticksOfNs(clock.timeNs) + ticks) - clock.timeNs);
};
const program = (channel: number, mode: number, count: number, bcd = 0) => {
  context.out(0x43, 1, (channel << 6) | 0x30 | (mode << 1) | bcd);
  context.out(0x40 + channel, 1, count & 0xff);
  context.out(0x40 + channel, 1, count >>> 8);
};
const latched = (channel: number) => {
  context.out(0x43, 1, channel << 6);
  return context.in(0x40 + channel) | (context.in(0x40 + channel) << 8);
};
const status = (channel: number) => {
  context.out(0x43, 1, 0xe0 | (2 << channel));
  return context.in(0x40 + channel);
};

test("tick conversion is exact at any age of the machine", () => {
  expect(ticksOfNs(88_000)).toBe(105);
  expect(ticksOfNs(88_000 * 1e9)).toBe(105e9);
  for (const ticks of [1, 2, 104, 105, 1_193_182, 3_141_592_653_589]) {
    expect(ticksOfNs(nsOfTicks(ticks))).toBe(ticks);
    expect(ticksOfNs(nsOfTicks(ticks) - 1)).toBe(ticks - 1);
  }
});

describe("the timer interrupt", () => {
  test("mode 2 interrupts 18.2 times a second with count 0, for an hour, without drift", () => {
    program(0, 2, 0);
    const before = context.irq[0].rises;
    context.clock.advance(3_600e9);
    expect(context.irq[0].rises - before).toBe(Math.floor((3_600 * 105e6) / 88 / 65536));
  });

  test("mode 3 at 100 Hz counts right", () => {
    program(0, 3, 11932);
    const before = context.irq[0].rises;
    context.clock.advance(10e9);
    expect(context.irq[0].rises - before).toBe(999);
  });

  test("ticks missed by a late host are delivered, spread out", () => {
    program(0, 2, 1193);
    const before = context.irq[0].rises;
    context.clock.jump(50_000_000);
    const burst = context.irq[0].rises - before;
    expect(burst).toBeLessThanOrEqual(1);
    context.clock.advance(100_000_000);
    expect(context.irq[0].rises - before).toBe(Math.floor(150_000_000 / (1193 * (88_000 / 105))));
  });

  test("a host that slept for an hour owes at most two seconds", () => {
    program(0, 2, 11932);
    const before = context.irq[0].rises;
    context.clock.jump(3_600e9);
    context.clock.advance(10e9);
    expect(context.irq[0].rises - before).toBeGreaterThan(1100);
    expect(context.irq[0].rises - before).toBeLessThan(1210);
  });

  test("mode 0 interrupts once, at terminal count", () => {
    program(0, 0, 1000);
    expect(context.irq[0].level).toBe(false);
    context.clock.advance(837_000);
    expect(context.irq[0].level).toBe(false);
    context.clock.advance(3_000);
    expect(context.irq[0].level).toBe(true);
    context.clock.advance(1e9);
    expect(context.irq[0].rises).toBe(1);
  });

  test("row 17: a thousand one-shots, each once", () => {
    for (let i = 0; i < 1000; i++) {
      program(0, i % 2 === 0 ? 0 : 4, 100 + i);
      const before = context.irq[0].rises;
      context.clock.advance(1_200_000);
      expect(context.irq[0].rises - before).toBe(1);
    }
  });

  test("a new period in mode 2 starts after the one in progress", () => {
    alignToTick();
    program(0, 2, 1000);
    passTicks(501);
    context.out(0x40, 1, 100);
    context.out(0x40, 1, 0);
    expect(status(0) & 0x40).toBe(0x40);
    const before = context.irq[0].rises;
    passTicks(499);
    expect(context.irq[0].rises - before).toBe(0);
    passTicks(1);
    expect(context.irq[0].rises - before).toBe(1);
    expect(status(0) & 0x40).toBe(0);
    passTicks(100);
    expect(context.irq[0].rises - before).toBe(2);
    passTicks(1000);
    expect(context.irq[0].rises - before).toBe(12);
  });
});

describe("counting", () => {
  beforeEach(alignToTick);

  test("mode 2 counts from n to 1 and OUT is low for one tick", () => {
    program(0, 2, 5);
    passTicks(1);
    const seen = [];
    for (let i = 0; i < 7; i++) {
      seen.push([latched(0), status(0) >>> 7]);
      passTicks(1);
    }
    expect(seen).toEqual([
      [5, 1],
      [4, 1],
      [3, 1],
      [2, 1],
      [1, 0],
      [5, 1],
      [4, 1],
    ]);
  });

  test("mode 3 counts by two, an odd count is high one tick longer", () => {
    program(0, 3, 5);
    passTicks(1);
    const seen = [];
    for (let i = 0; i < 6; i++) {
      seen.push([latched(0), status(0) >>> 7]);
      passTicks(1);
    }
    expect(seen).toEqual([
      [4, 1],
      [2, 1],
      [0, 1],
      [4, 0],
      [2, 0],
      [4, 1],
    ]);
  });

  test("mode 0 wraps below zero and goes on", () => {
    program(0, 0, 3);
    passTicks(5);
    expect(latched(0)).toBe(0xffff);
    expect(status(0) >>> 7).toBe(1);
  });

  test("BCD counts in decimal", () => {
    program(0, 2, 0x1000, 1);
    passTicks(2);
    expect(latched(0)).toBe(0x0999);
    program(0, 0, 0, 1);
    passTicks(3);
    expect(latched(0)).toBe(0x9998);
  });

  test("a latched count stands still and is read whole, also when latched twice", () => {
    program(0, 2, 0x8000);
    passTicks(0x101);
    context.out(0x43, 1, 0x00);
    const low = context.in(0x40);
    passTicks(0x1000);
    context.out(0x43, 1, 0x00);
    expect(low | (context.in(0x40) << 8)).toBe(0x7f00);
    expect(latched(0)).toBe(0x6f00);
  });

  test("single-byte access orders", () => {
    context.out(0x43, 1, 0x14);
    context.out(0x40, 1, 0x80);
    passTicks(2);
    expect(context.in(0x40)).toBe(0x7f);
    context.out(0x43, 1, 0x24);
    context.out(0x40, 1, 0x80);
    passTicks(2);
    expect(context.in(0x40)).toBe(0x7f);
  });

  test("read-back gives status, then count, for each selected counter", () => {
    program(0, 2, 0x1234);
    program(2, 3, 0x4321);
    passTicks(1);
    context.out(0x43, 1, 0xca);
    expect(context.in(0x40)).toBe(0xb4);
    expect(context.in(0x40) | (context.in(0x40) << 8)).toBe(0x1234);
    expect(context.in(0x42)).toBe(0xb6);
    expect(context.in(0x42) | (context.in(0x42) << 8)).toBe(0x4320);
  });

  test("row 17: never goes backwards or tears while it counts", () => {
    program(0, 2, 0xffff);
    passTicks(1);
    context.clock.stepPerReadNs = 333;
    let last = latched(0);
    for (let i = 0; i < 20_000; i++) {
      const now = latched(0);
      expect((last - now + 0xffff) % 0xffff).toBeLessThan(10);
      last = now;
    }
  });
});

describe("counter 2 and its gate", () => {
  beforeEach(alignToTick);

  test("Linux's TSC calibration: mode 0, OUT2 rises after the count", () => {
    pit.gate2.set(true);
    program(2, 0, 0x2000);
    expect(pit.out2.level).toBe(false);
    passTicks(0x2000);
    expect(pit.out2.level).toBe(false);
    passTicks(1);
    expect(pit.out2.level).toBe(true);
  });

  test("the gate stops and continues mode 0", () => {
    pit.gate2.set(true);
    program(2, 0, 100);
    passTicks(51);
    pit.gate2.set(false);
    passTicks(1000);
    expect(latched(2)).toBe(50);
    pit.gate2.set(true);
    passTicks(49);
    expect(pit.out2.level).toBe(false);
    passTicks(1);
    expect(pit.out2.level).toBe(true);
  });

  test("mode 1 is a retriggerable one-shot", () => {
    program(2, 1, 10);
    passTicks(20);
    expect(pit.out2.level).toBe(true);
    pit.gate2.set(true);
    passTicks(6);
    expect(pit.out2.level).toBe(false);
    pit.gate2.set(false);
    pit.gate2.set(true);
    passTicks(10);
    expect(pit.out2.level).toBe(false);
    passTicks(1);
    expect(pit.out2.level).toBe(true);
  });

  test("mode 5 strobes once per trigger", () => {
    program(2, 5, 4);
    pit.gate2.set(true);
    const levels = [];
    for (let i = 0; i < 7; i++) {
      passTicks(1);
      levels.push(Number(pit.out2.level));
    }
    expect(levels).toEqual([1, 1, 1, 1, 0, 1, 1]);
  });

  test("gate low in modes 2 and 3 forces OUT high, the next rise restarts the period", () => {
    pit.gate2.set(true);
    program(2, 3, 10);
    passTicks(8);
    expect(pit.out2.level).toBe(false);
    pit.gate2.set(false);
    expect(pit.out2.level).toBe(true);
    passTicks(100);
    pit.gate2.set(true);
    passTicks(5);
    expect(pit.out2.level).toBe(true);
    passTicks(1);
    expect(pit.out2.level).toBe(false);
  });
});

test("saved state goes on where it was, with ticks still owed", () => {
  program(0, 2, 1193);
  program(2, 3, 99);
  context.out(0x40, 1, 0x55);
  context.clock.jump(20_000_000);
  const saved = structuredClone(pit.save());

  const other = new FakeContext();
  other.clock.timeNs = context.clock.timeNs;
  const restored = createPit();
  restored.attach(other);
  restored.load(saved);
  expect(restored.save()).toEqual(saved);
  expect(other.irq[0].rises).toBe(0);
  const before = context.irq[0].rises;
  context.clock.advance(1e9);
  other.clock.advance(1e9);
  expect(Math.abs(other.irq[0].rises - (context.irq[0].rises - before))).toBeLessThanOrEqual(1);
  expect(() => restored.load({ ...saved, data: { ...saved.data, riseTick: "soon" } })).toThrow(/riseTick/);
});

test("seeded fuzz", () => {
  fuzzPorts(context, 20_000, 8254, (i) => {
    if (i % 50 === 0) pit.gate2.set(i % 100 === 0);
    expect(typeof pit.out2.level).toBe("boolean");
  });
  // A hostile period cannot make more interrupts than the spacing allows.
  program(0, 2, 1);
  const before = context.irq[0].rises;
  context.clock.advance(1_000_000);
  expect(context.irq[0].rises - before).toBeLessThanOrEqual(102);
});
