/**
 * stress-ng in a Linux guest under the translator: integer, floating point and decimal arithmetic in all of its methods, matrices, memory
 * patterns. Each method checks what it has computed against what a processor computes; a failure is a line and a status.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { linuxGuest } from "../../scripts/media/linux-guest.ts";
import { stressNg } from "../../scripts/media/stress-ng.ts";
import { RunGuest } from "./run-guest.ts";

let linux: string;
let programs: string;
beforeAll(async () => {
  linux = await linuxGuest();
  programs = await stressNg();
});

/** `STRESS_ROUNDS=N npm test …` does all of it that many times. */
const ROUNDS = Number(process.env.STRESS_ROUNDS ?? 1);
/** Arguments, and the operations that must be reported as done: every method at least once. */
const runs: readonly (readonly [stressor: string, method: string, operations: number])[] = [
  ["cpu", "--cpu-method all", 80],
  ["matrix", "--matrix-method all", 25],
  ["fp", "--fp-method all", 40],
  ["vm", "--vm-method all --vm-bytes 4m", 60_000],
];

test("computes and checks under the translator", async () => {
  const folder = mkdtempSync(join(tmpdir(), "anneau-stress-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const initrd = join(folder, "initrd.gz");
  writeFileSync(
    initrd,
    // Linux unpacks one archive after the other.
    Buffer.concat([join(linux, "initrd.gz"), join(programs, "stress-ng.cpio.gz")].map((file) => readFileSync(file))),
  );
  const guest = new RunGuest(
    "--memory=384",
    "--engine=translator",
    `--kernel=${join(linux, "vmlinuz")}`,
    `--initrd=${initrd}`,
    "--append=console=ttyS0,115200 quiet panic=0 cryptomgr.notests",
  );
  await guest.says("# ");
  await guest.shell("stty -echo");
  for (const [stressor, method, operations] of runs) {
    const count = operations * ROUNDS;
    const line = `stress-ng --${stressor} 1 ${method} --verify --${stressor}-ops ${count} --metrics-brief`;
    const { status, printed: text } = await guest.command(`${line} 2>&1`);
    expect([status, text], line).toEqual([0, expect.stringContaining("successful run completed")]);
    expect(text, line).not.toMatch(/fail:|error:|warn:.*verif/);
    const done = new RegExp(`metrc: \\[\\d+\\] ${stressor} +(\\d+) `).exec(text)?.[1];
    expect(Number(done), line).toBeGreaterThanOrEqual(count);
  }
  guest.type("poweroff -f\n");
  expect(await guest.exited, guest.errors).toBe(0);
});
