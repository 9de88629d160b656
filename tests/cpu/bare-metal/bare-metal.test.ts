/**
 * Privilege, segmentation, gates, V86, paging: bare-metal images log every result on COM1, and our log must equal Bochs'
 * and QEMU's except where differences.ts says why not.
 */
import { describe, expect, test } from "vitest";
import type { SoftwareEngine } from "../../../src/cpu/engine.ts";
import { FORCED } from "../native/forced.ts";
import { compareLogs } from "./compare.ts";
import { differences } from "./differences.ts";
import { assembleImage, runBochs, runOurs, runQemu } from "./machines.ts";

const images = [
  "segment-loads",
  "segment-limits",
  "far-transfers",
  "interrupts",
  "tasks",
  "paging",
  "v86",
  "real-mode",
  "system",
] as const;

describe.each(images)("%s", (name) => {
  test("logs what Bochs and QEMU log", async () => {
    const disk = await assembleImage(name);
    const [bochs, qemu, ours] = await Promise.all([runBochs(disk), runQemu(disk), runOurs(disk)]);
    expect(compareLogs(name, ours, "Bochs", bochs, differences)).toEqual([]);
    expect(compareLogs(name, ours, "QEMU", qemu, differences)).toEqual([]);
  });
});

/**
 * Every block is translated before it first runs. The images change their code before each of some ten thousand cases, and
 * each time is a compilation, so only the beginning of the log is made; `FORCED=all` makes all of it (four minutes).
 */
const FORCED_INSTRUCTIONS = process.env.FORCED === "all" ? Number.POSITIVE_INFINITY : 7_000_000;

test.each(images)("%s logs the same when everything is translated", async (name) => {
  const disk = await assembleImage(name);
  let engine: SoftwareEngine | undefined;
  const options = {
    // Faster than above: the end of a budget is the interpreter's, and these are bounded by time.
    nsPerInstruction: 50,
    tuning: FORCED,
    onEngine: (made: SoftwareEngine) => {
      engine = made;
    },
  };
  const forced = await runOurs(disk, options, FORCED_INSTRUCTIONS);
  const interpreted = await runOurs(disk);
  expect(interpreted.slice(0, forced.length).split("\n")).toEqual(forced.split("\n"));
  expect(forced.length).toBeGreaterThan(7000);
  expect(engine?.regionStatistics?.compiled).toBeGreaterThan(1000);
  expect(engine?.regionStatistics?.executed).toBeGreaterThan(100_000);
});

test("another processor is noticed", async () => {
  const disk = await assembleImage("paging");
  const [qemu, ours] = await Promise.all([runQemu(disk), runOurs(disk, { nx: false })]);
  expect(compareLogs("paging", ours, "QEMU", qemu, differences)).not.toEqual([]);
});

test("a wrong line, a missing line and a stale list are noticed", () => {
  const list = [
    { ...differences[0], image: "x", peer: "QEMU", ours: /^b/, peers: undefined, lines: "1 8ec6f6b9" },
  ] as const;
  expect(compareLogs("x", "a: ok\nDONE 1 cases", "QEMU", "a: ok\nDONE 1 cases", [])).toEqual([]);
  expect(compareLogs("x", "a: ok\nDONE 1 cases", "QEMU", "a: 06 +00\nDONE 1 cases", [])).toHaveLength(1);
  expect(compareLogs("x", "a: ok\nDONE 1 cases", "QEMU", "a: ok\n", [])).not.toEqual([]);
  expect(compareLogs("x", "b: ok\nDONE 1 cases", "QEMU", "b: ok\nDONE 1 cases", list)).toHaveLength(1);
  expect(compareLogs("x", "b: 1\nDONE 1 cases", "QEMU", "b: 2\nDONE 1 cases", list)).toHaveLength(1);
});
