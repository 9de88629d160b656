import { expect, test } from "vitest";
import type { CpuBus } from "../device-api/virtual-cpu.ts";
import { HostTimeSource, InstructionTimeSource, MachineClock } from "./clock.ts";
import { RunLoop } from "./run-loop.ts";
import { ScriptedCpu } from "./scripted-cpu.ts";

const noBus = {} as CpuBus;

function createDeterministic() {
  const cpu = new ScriptedCpu(noBus);
  const time = new InstructionTimeSource(10, () => cpu.instructionCount);
  const clock = new MachineClock(time);
  const faults: number[] = [];
  const loop: RunLoop = new RunLoop({
    cpu,
    clock,
    time,
    serve: () => {},
    onTripleFault: () => {
      faults.push(cpu.instructionCount);
      loop.end();
    },
  });
  return { cpu, clock, loop, faults };
}

test("a timer fires at its deadline: the budget ends there to the instruction", () => {
  const { cpu, clock, loop } = createDeterministic();
  const fired: number[] = [];
  const timer = clock.createTimer("t", () => {
    fired.push(cpu.instructionCount);
    if (fired.length < 3) timer.armAt(timer.deadlineNs + 25_000);
  });
  timer.armAt(25_000);
  while (fired.length < 3) loop.step(false);
  expect(fired).toEqual([2500, 5000, 7500]);
});

test("budgets are bounded although no timer is armed", () => {
  const { cpu, loop } = createDeterministic();
  for (let i = 0; i < 10; i++) loop.step(false);
  expect(Math.max(...cpu.budgets)).toBeLessThanOrEqual(10_000);
});

test("a device that arms a timer inside a budget ends that budget", () => {
  const { cpu, clock, loop } = createDeterministic();
  let firedAt = 0;
  const timer = clock.createTimer("t", () => {
    firedAt = clock.lastNs;
  });
  cpu.script = (budget) => {
    if (cpu.instructionCount === 0) {
      cpu.execute(10);
      timer.armAfter(2_000);
      expect(cpu.wantsStop).toBe(true);
      return "stop";
    }
    return cpu.execute(budget);
  };
  for (let i = 0; i < 4; i++) loop.step(false);
  expect(firedAt).toBeGreaterThanOrEqual(2_100);
  expect(firedAt).toBeLessThan(2_300);
});

test("an idle deterministic machine skips to its next timer, and says when nothing is left", () => {
  const { cpu, clock, loop } = createDeterministic();
  cpu.script = () => "halt";
  let fired = 0;
  clock
    .createTimer("t", () => {
      fired++;
    })
    .armAt(3_600_000_000_000);
  expect(loop.step(false)).toBe(true);
  loop.step(false);
  expect(fired).toBe(1);
  expect(loop.statistics().idleNs).toBeGreaterThan(3_599_000_000_000);
  expect(loop.step(false)).toBe(false);
});

test("an idle machine sleeps until its doorbell rings", () => {
  const cpu = new ScriptedCpu(noBus);
  const source = new HostTimeSource(() => performance.now() * 1e6);
  source.start();
  const doorbell = new Int32Array(new SharedArrayBuffer(4));
  let polls = 0;
  let turns = 0;
  const loop: RunLoop = new RunLoop({
    cpu,
    clock: new MachineClock(source),
    time: source,
    doorbell,
    poll: () => {
      polls++;
      if (polls === 2) loop.end();
    },
    serve: () => {},
    onTripleFault: () => {},
  });
  cpu.script = () => {
    turns++;
    // Rung while the CPU was running, before the loop lies down: it must not sleep through it.
    Atomics.add(doorbell, 0, 1);
    return "halt";
  };
  loop.run();
  expect(polls).toBe(2);
  expect(turns).toBe(2);
});

test("what devices ask for is served right after the budget", () => {
  const cpu = new ScriptedCpu(noBus);
  const time = new InstructionTimeSource(10, () => cpu.instructionCount);
  const served: number[] = [];
  const loop: RunLoop = new RunLoop({
    cpu,
    clock: new MachineClock(time),
    time,
    serve: () => served.push(cpu.instructionCount),
    onTripleFault: () => {},
  });
  cpu.script = (budget) => {
    cpu.execute(5);
    loop.requestService();
    return cpu.wantsStop ? "stop" : cpu.execute(budget);
  };
  loop.step(false);
  expect(served).toEqual([5]);
});

test("a paused loop runs no CPU; a triple fault is reported", () => {
  const { cpu, loop, faults } = createDeterministic();
  loop.pause();
  expect(loop.step(false)).toBe(false);
  expect(cpu.budgets).toEqual([]);
  loop.resume();
  cpu.script = () => "triple-fault";
  expect(loop.step(false)).toBe(false);
  expect(faults).toEqual([0]);
});

test("after a slow phase budgets grow again", () => {
  const host = { nowNs: 0 };
  const cpu = new ScriptedCpu(noBus);
  const time = new HostTimeSource(
    () => host.nowNs,
    () => cpu.instructionCount,
  );
  time.start();
  const loop = new RunLoop({ cpu, clock: new MachineClock(time), time, serve: () => {}, onTripleFault: () => {} });
  let nsPerInstruction = 4;
  cpu.script = (budget) => {
    host.nowNs += budget * nsPerInstruction;
    return cpu.execute(budget);
  };
  const lastBudget = (): number => {
    for (let i = 0; i < 300; i++) loop.step(false);
    return cpu.budgets[cpu.budgets.length - 1];
  };
  expect(lastBudget()).toBeGreaterThan(20_000);
  nsPerInstruction = 2000;
  expect(lastBudget()).toBeLessThan(400);
  nsPerInstruction = 4;
  expect(lastBudget()).toBeGreaterThan(20_000);
});
