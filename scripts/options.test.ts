import { spawnSync } from "node:child_process";
import { resolve } from "node:path";
import { expect, test } from "vitest";

function said(...args: string[]): string[] {
  const { status, stderr } = spawnSync(process.execPath, args, {
    cwd: resolve(import.meta.dirname, ".."),
    encoding: "utf8",
  });
  expect(status).toBe(2);
  return stderr.trimEnd().split("\n");
}

test.each([
  ["bench/run.ts", "--nonsense"],
  ["bench/run.ts", "--rounds", "nonsense"],
  ["bench/run.ts", "--only", "nonsense"],
  ["bench/endurance.ts", "--anneau", "/nonsense"],
  ["bench/run.ts", "--peers", "nonsense"],
  ["bench/run.ts", "--anneau", "old=/nonsense"],
  ["bench/network.ts", "--nonsense"],
  ["bench/network.ts", "--cards", "nonsense"],
  ["bench/endurance.ts", "--minutes", "nonsense"],
  ["bench/execution-caps.ts", "--seconds", "nonsense"],
  ["scripts/fuzz-translator.ts", "--seed", "nonsense"],
  ["scripts/shadow-guests.ts", "nonsense"],
])("%s %s %s: one line", (...args) => {
  expect(said(...args)).toEqual([expect.stringContaining("nonsense")]);
});

test("rounds are whole numbers", () => {
  expect(said("bench/run.ts", "--rounds", "2.5")).toEqual(["--rounds 2.5: a whole number from 1 is needed"]);
});
