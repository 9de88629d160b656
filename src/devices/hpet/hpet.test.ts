import { beforeEach, describe, expect, test } from "vitest";
import type { AccessSize } from "../../device-api/io-window.ts";
import { FakeContext, RecordedLine, seededRandom } from "../../device-api/testing.ts";
import { createHpet, type HpetDevice } from "./index.ts";
import * as R from "./registers.ts";

const CONFIG = R.TIMERS;
const COMPARATOR = R.TIMERS + R.TN_COMPARATOR;
const EDGE = R.INT_ENB;

let context: FakeContext;
let hpet: HpetDevice;
let inputs: RecordedLine[];
/** The 8254's and the clock's wires behind the gate, and what is left of them. */
let pit: ReturnType<HpetDevice["replaceable"]>;
let pitIrq: RecordedLine;

function build(hasApic = true): void {
  context = new FakeContext();
  context.clock.stepPerReadNs = 0;
  inputs = Array.from({ length: 4 }, () => new RecordedLine());
  hpet = createHpet({ inputs: inputs.map((line, i) => ({ pin: 20 + i, line: hasApic ? line : undefined })) });
  hpet.attach(context);
  pitIrq = new RecordedLine();
  pit = hpet.replaceable(pitIrq);
  hpet.reset("power-on");
}
beforeEach(() => build());

const read = (offset: number, size: AccessSize = 4) => context.readMmio(R.MEMORY_BASE + offset, size);
const write = (offset: number, value: number) => context.writeMmio(R.MEMORY_BASE + offset, 4, value >>> 0);
const at = (register: number, n: number) => register + n * R.TIMER_BYTES;
const route = (input: number) => input << R.INT_ROUTE_SHIFT;
const wait = (ticks: number) => context.clock.advance(ticks * R.NS_PER_TICK);

describe("registers", () => {
  test("capabilities: 100 MHz, three timers, the first periodic and wide, inputs 20 to 23", () => {
    expect([read(0), read(4)]).toEqual([0x8086a201, 10_000_000]);
    expect([0, 1, 2].map((n) => read(at(CONFIG, n)))).toEqual([R.PER_INT_CAP | R.SIZE_CAP, 0, 0]);
    expect(read(CONFIG + 4)).toBe(0x00f00000);
    expect([read(0, 2), read(2, 2), read(3, 1)]).toEqual([0xa201, 0x8086, 0x80]);
    build(false);
    expect(read(CONFIG + 4)).toBe(0);
  });

  test("what a timer cannot do cannot be written", () => {
    write(at(CONFIG, 1), 0xffffffff);
    expect(read(at(CONFIG, 1))).toBe(R.INT_TYPE_LEVEL | R.INT_ENB);
    write(at(CONFIG, 0), route(21) | R.TYPE_PERIODIC | R.MODE_32 | R.VAL_SET);
    const all = route(21) | R.TYPE_PERIODIC | R.MODE_32 | R.VAL_SET | R.PER_INT_CAP | R.SIZE_CAP;
    expect(read(at(CONFIG, 0))).toBe(all);
    // No such input: the route stays.
    write(at(CONFIG, 0), route(5));
    expect(read(at(CONFIG, 0)) & R.INT_ROUTE).toBe(route(21));
    expect(read(at(CONFIG, 3))).toBe(0);
  });

  test("the counter counts while it is on, over both halves", () => {
    wait(1000);
    expect(read(R.COUNTER)).toBe(0);
    write(R.COUNTER, 0xfffffff0);
    write(R.COUNTER + 4, 0x12345678);
    write(R.CONFIGURATION, R.ENABLE_CNF);
    wait(0x0f);
    expect([read(R.COUNTER + 4), read(R.COUNTER)]).toEqual([0x12345678, 0xffffffff]);
    wait(2);
    expect([read(R.COUNTER + 4), read(R.COUNTER)]).toEqual([0x12345679, 1]);
    write(R.CONFIGURATION, 0);
    wait(100);
    expect(read(R.COUNTER)).toBe(1);
    write(R.CONFIGURATION, R.ENABLE_CNF);
    wait(100);
    expect(read(R.COUNTER)).toBe(101);
  });
});

describe("one shot", () => {
  test("an edge at the comparator's time, by the routed input", () => {
    write(R.CONFIGURATION, R.ENABLE_CNF);
    write(at(CONFIG, 2), EDGE | route(22));
    write(at(COMPARATOR, 2), 500);
    wait(499);
    expect(inputs[2].rises).toBe(0);
    wait(1);
    expect(inputs[2].rises).toBe(1);
    wait(10_000);
    expect(inputs[2].rises).toBe(1);
    // The next comes after the wire has fallen.
    write(at(COMPARATOR, 2), read(R.COUNTER) + 500);
    wait(500);
    expect([inputs[2].rises, inputs[2].falls]).toEqual([2, 1]);
  });

  test("32 bits come round, 64 bits do not", () => {
    write(R.CONFIGURATION, R.ENABLE_CNF);
    wait(1000);
    write(at(CONFIG, 1), EDGE | route(21));
    write(at(COMPARATOR, 1), 900);
    write(at(CONFIG, 0), EDGE | route(20));
    write(COMPARATOR, 900);
    write(COMPARATOR + 4, 0);
    context.clock.advance(2 ** 32 * R.NS_PER_TICK);
    expect([inputs[0].rises, inputs[1].rises]).toEqual([0, 1]);
  });

  test("64 bits wait for the high half", () => {
    write(R.COUNTER + 4, 6);
    write(R.COUNTER, 0xffffff00);
    write(at(CONFIG, 0), EDGE | route(20));
    write(COMPARATOR, 0x100);
    write(COMPARATOR + 4, 7);
    write(R.CONFIGURATION, R.ENABLE_CNF);
    wait(0x1ff);
    expect(inputs[0].rises).toBe(0);
    wait(1);
    expect(inputs[0].rises).toBe(1);
  });

  test("a level stays until its status bit is written; disabled, only the bit is set", () => {
    write(R.CONFIGURATION, R.ENABLE_CNF);
    write(at(CONFIG, 2), R.INT_TYPE_LEVEL | route(23));
    write(at(COMPARATOR, 2), 100);
    wait(100);
    expect([read(R.STATUS), inputs[3].level]).toEqual([4, false]);
    write(at(CONFIG, 2), R.INT_TYPE_LEVEL | R.INT_ENB | route(23));
    expect(inputs[3].level).toBe(true);
    write(R.STATUS, 3);
    expect(inputs[3].level).toBe(true);
    write(R.STATUS, 4);
    expect([read(R.STATUS), inputs[3].level]).toEqual([0, false]);
  });
});

describe("periodic", () => {
  /** Linux: configuration with VAL_SET, first time, then the period. */
  function start(period: number, extra = R.MODE_32): void {
    write(at(CONFIG, 0), EDGE | R.TYPE_PERIODIC | R.VAL_SET | route(20) | extra);
    write(COMPARATOR, read(R.COUNTER) + period);
    if (extra === 0) write(COMPARATOR + 4, 0);
    write(COMPARATOR, period);
  }

  test.each([R.MODE_32, 0])("one edge a period, the comparator moves on (mode %i)", (extra) => {
    write(R.CONFIGURATION, R.ENABLE_CNF);
    wait(12345);
    start(10_000, extra);
    for (let i = 1; i <= 20; i++) {
      wait(9_999);
      expect(inputs[0].rises).toBe(i - 1);
      wait(1);
      expect(inputs[0].rises).toBe(i);
      expect(read(COMPARATOR)).toBe(12345 + 10_000 * (i + 1));
    }
  });

  test("periods that a late host has missed come spread out, very many of them do not", () => {
    write(R.CONFIGURATION, R.ENABLE_CNF);
    start(100_000);
    wait(100_000 * 10);
    context.clock.jump(100_000 * R.NS_PER_TICK * 10.5);
    expect(inputs[0].rises).toBe(11);
    wait(100_000 * 29.5);
    expect(inputs[0].rises).toBe(50);
    context.clock.jump(100_000 * R.NS_PER_TICK * 5000);
    wait(100_000 * 10);
    expect(inputs[0].rises).toBeLessThan(100);
  });

  test("a period of one tick does not hold the machine up", () => {
    write(R.CONFIGURATION, R.ENABLE_CNF);
    start(1);
    wait(1_000_000);
    expect(inputs[0].rises).toBeLessThan(10_000);
  });
});

describe("legacy replacement", () => {
  test("timers 0 and 1 are IRQ 0 and 8; the 8254 is cut off and comes back", () => {
    pit.raise();
    expect(pitIrq.level).toBe(true);
    write(R.CONFIGURATION, R.ENABLE_CNF | R.LEG_RT_CNF);
    expect(pitIrq.level).toBe(false);
    pit.lower();
    pit.raise();
    expect(pitIrq.rises).toBe(1);
    write(at(CONFIG, 0), EDGE | route(20));
    write(COMPARATOR, 1000);
    write(COMPARATOR + 4, 0);
    write(at(CONFIG, 1), EDGE);
    write(at(COMPARATOR, 1), 2000);
    wait(2000);
    expect([context.irq[0].rises, context.irq[8].rises, inputs[0].rises]).toEqual([1, 1, 0]);
    write(R.CONFIGURATION, R.ENABLE_CNF);
    expect([context.irq[0].level, pitIrq.level]).toEqual([false, true]);
    hpet.reset("hard");
    expect(pitIrq.level).toBe(true);
  });
});

test("saved state", () => {
  write(R.CONFIGURATION, R.ENABLE_CNF | R.LEG_RT_CNF);
  pit.raise();
  write(at(CONFIG, 0), EDGE | R.TYPE_PERIODIC | R.VAL_SET | R.MODE_32);
  write(COMPARATOR, 5000);
  write(COMPARATOR, 5000);
  write(at(CONFIG, 2), R.INT_TYPE_LEVEL | R.INT_ENB | route(23));
  write(at(COMPARATOR, 2), 100);
  wait(7000);
  const saved = structuredClone(hpet.save());
  const now = context.clock.timeNs;
  build();
  context.clock.timeNs = now;
  hpet.load(saved);
  expect(hpet.save()).toEqual(saved);
  expect([context.irq[0].rises, inputs[3].rises, pitIrq.rises]).toEqual([0, 0, 0]);
  wait(2999);
  expect(context.irq[0].rises).toBe(0);
  wait(1);
  expect(context.irq[0].rises).toBe(1);
  write(R.CONFIGURATION, R.ENABLE_CNF);
  expect(pitIrq.level).toBe(true);
  expect(() => hpet.load({ ...saved, data: { ...saved.data, more: 1 } })).toThrow(/more/);
});

test.each([5, 6])("seeded fuzz %i", (seed) => {
  const random = seededRandom(seed);
  const offsets = [R.CONFIGURATION, R.STATUS, R.COUNTER, R.COUNTER + 4];
  for (let n = 0; n < 4; n++)
    for (let register = 0; register < R.TIMER_BYTES; register += 4) offsets.push(CONFIG + n * 32 + register);
  for (let i = 0; i < 40_000; i++) {
    const offset = random(4) === 0 ? random(0x1000) : offsets[random(offsets.length)];
    const value = random(3) === 0 ? random(1000) : random(0x1_0000_0000);
    if (random(3) === 0) {
      const got = read(offset & ~3);
      expect(got >>> 0).toBe(got);
    } else write(offset & ~3, value);
    if (random(5) === 0) context.clock.advance(random(random(3) === 0 ? 10_000_000 : 2000));
    if (random(1000) === 0) context.clock.jump(random(2_000_000_000));
    random(2) === 0 ? pit.raise() : pit.lower();
  }
  const saved = structuredClone(hpet.save());
  build();
  hpet.load(saved);
  expect(hpet.save()).toEqual(saved);
  hpet.reset("hard");
  write(R.CONFIGURATION, R.ENABLE_CNF);
  write(at(CONFIG, 2), EDGE | route(22));
  write(at(COMPARATOR, 2), 500);
  wait(500);
  expect(inputs[2].rises).toBe(1);
});
