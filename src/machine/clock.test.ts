import { expect, test } from "vitest";
import { seededRandom } from "../device-api/testing.ts";
import { HostTimeSource, InstructionTimeSource, MachineClock } from "./clock.ts";

function createClock() {
  const host = { nowNs: 5_000 };
  const source = new HostTimeSource(() => host.nowNs);
  return { host, source, clock: new MachineClock(source) };
}

test("guest time moves between any two reads, even while the host's clock stands still", () => {
  const { clock, source, host } = createClock();
  source.start();
  let last = clock.nowNs();
  for (let i = 0; i < 1000; i++) {
    if (i === 500) host.nowNs += 700;
    const now = clock.nowNs();
    expect(now).toBeGreaterThan(last);
    last = now;
  }
  expect(last).toBeLessThan(2000);
});

test("a paused machine's clock stands still and then goes on from there", () => {
  const { clock, source, host } = createClock();
  source.start();
  host.nowNs += 1_000_000;
  const before = clock.nowNs();
  source.stop();
  host.nowNs += 3_600_000_000_000;
  source.start();
  host.nowNs += 10;
  const after = clock.nowNs();
  expect(after - before).toBeLessThan(20);
});

test("a host that was away in the middle of a loop: no leap, and the time comes back while the guest works", () => {
  const host = { nowNs: 0, work: 0 };
  const source = new HostTimeSource(
    () => host.nowNs,
    () => host.work,
  );
  const clock = new MachineClock(source);
  source.setSpeed(1);
  source.start();
  const turn = (ns: number): number => {
    const before = clock.nowNs();
    host.nowNs += ns;
    host.work += 1000;
    return clock.nowNs() - before;
  };
  for (let i = 0; i < 100; i++) expect(turn(1000)).toBeLessThanOrEqual(1001);
  // Three milliseconds away between two reads, with work for a microsecond.
  expect(turn(3_000_000)).toBeLessThan(10_000);
  let largest = 0;
  for (let i = 0; i < 3000; i++) largest = Math.max(largest, turn(1000));
  expect(largest).toBeLessThanOrEqual(2001);
  expect(Math.abs(clock.nowNs() - host.nowNs)).toBeLessThan(10_000);
});

test("an idle guest gets the time that was lost at once, and long absences are not stretched", () => {
  const host = { nowNs: 0 };
  const source = new HostTimeSource(
    () => host.nowNs,
    () => 0,
  );
  source.start();
  host.nowNs += 3_000_000;
  expect(source.elapsedNs()).toBeLessThan(10_000);
  source.settle();
  expect(source.elapsedNs()).toBe(3_000_000);
  host.nowNs += 10_000_000_000;
  expect(source.elapsedNs()).toBeGreaterThan(9_900_000_000);
});

test("an hour of work, rest, absences, pauses and loaded states: never 50 ms from the host's time without the pauses", () => {
  const random = seededRandom(11);
  const host = { nowNs: 0, work: 0 };
  const create = () =>
    new HostTimeSource(
      () => host.nowNs,
      () => host.work,
    );
  let source = create();
  let clock = new MachineClock(source);
  source.start();
  let pausedNs = 0;
  let worst = 0;
  let last = 0;
  while (host.nowNs - pausedNs < 3_600e9) {
    // Mostly turns of 100 µs; sometimes the host is away for up to 200 ms, or the guest is idle.
    const kind = random(100);
    if (kind < 60) {
      host.nowNs += 100_000;
      host.work += 5_000;
    } else if (kind < 63) host.nowNs += random(200_000_000);
    else if (kind < 98) {
      host.nowNs += random(4_000_000);
      source.settle();
    } else if (kind === 98) {
      source.stop();
      const away = random(30_000) * 1e6;
      host.nowNs += away;
      pausedNs += away;
      source.start();
    } else {
      source.stop();
      const savedNs = clock.lastNs;
      const away = random(30_000) * 1e6;
      host.nowNs += away;
      pausedNs += away;
      source = create();
      source.setElapsed(savedNs);
      clock = new MachineClock(source);
      clock.setLast(savedNs);
      source.start();
    }
    const now = clock.nowNs();
    if (now <= last) throw new Error(`${now} after ${last}`);
    last = now;
    worst = Math.max(worst, Math.abs(now - (host.nowNs - pausedNs)));
  }
  expect(worst).toBeLessThanOrEqual(50_000_000 + 1_000);
  // What is owed at the end is 14 ppm of an hour at most.
  source.stop();
  expect(Math.abs(clock.lastNs - (host.nowNs - pausedNs))).toBeLessThan(1_000);
});

test("timers fire in order of deadline, ties in order of arming, and can be re-armed and cancelled", () => {
  const { clock } = createClock();
  const fired: string[] = [];
  const make = (name: string) => clock.createTimer(name, () => fired.push(name));
  const [a, b, c, d] = ["a", "b", "c", "d"].map(make);
  b.armAt(20);
  a.armAt(10);
  c.armAt(20);
  d.armAt(15);
  d.cancel();
  expect(clock.nextDeadlineNs).toBe(10);
  expect(a.armed && !d.armed).toBe(true);
  a.armAt(30);
  clock.fireDue(25);
  expect(fired).toEqual(["b", "c"]);
  expect(b.armed).toBe(false);
  clock.fireDue(30);
  expect(fired).toEqual(["b", "c", "a"]);
  expect(clock.nextDeadlineNs).toBe(Number.POSITIVE_INFINITY);
});

test("a timer that re-arms itself for the past fires once in each pass", () => {
  const { clock } = createClock();
  let fires = 0;
  const timer = clock.createTimer("eager", () => {
    fires++;
    timer.armAt(1);
  });
  timer.armAt(1);
  for (let pass = 1; pass <= 3; pass++) {
    clock.fireDue(1_000);
    expect(fires).toBe(pass);
  }
});

test("the heap agrees with a sorted list under random arming", () => {
  const { clock } = createClock();
  const random = seededRandom(3);
  const fired: number[] = [];
  const timers = Array.from({ length: 20 }, (_, i) => clock.createTimer(`${i}`, () => fired.push(i)));
  const model = new Map<number, { deadline: number; order: number }>();
  let order = 0;
  let now = 0;
  for (let step = 0; step < 5000; step++) {
    const i = random(20);
    if (random(4) === 0) {
      timers[i].cancel();
      model.delete(i);
    } else {
      const deadline = now + random(50);
      timers[i].armAt(deadline);
      model.set(i, { deadline, order: order++ });
    }
    if (random(5) === 0) {
      now += random(40);
      const due = [...model].filter(([, t]) => t.deadline <= now);
      due.sort(([, x], [, y]) => x.deadline - y.deadline || x.order - y.order);
      for (const [index] of due) model.delete(index);
      fired.length = 0;
      clock.fireDue(now);
      expect(fired).toEqual(due.map(([index]) => index));
    }
    for (const [index, timer] of timers.entries()) expect(timer.armed).toBe(model.has(index));
  }
});

test("in deterministic mode time is instructions, and idle time is skipped", () => {
  const cpu = { instructions: 0 };
  const source = new InstructionTimeSource(10, () => cpu.instructions);
  const clock = new MachineClock(source);
  cpu.instructions = 100;
  expect(clock.nowNs()).toBe(1000);
  source.skipTo(5000);
  cpu.instructions = 101;
  expect(clock.nowNs()).toBe(5010);
});
