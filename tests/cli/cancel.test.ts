/** Ctrl-C during long work: it ends with VirtualBox's word for it and leaves nothing behind. */
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { Sandbox } from "./sandbox.ts";

const bin = resolve(import.meta.dirname, "../../bin/VBoxManage");

interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<{ stderr: string; stdout: string; code: number | null }>;
}

function run(box: Sandbox, ...args: string[]): Running {
  const child = spawn(process.execPath, [bin, ...args], { cwd: box.home, env: box.env });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk) => (stdout += chunk));
  child.stderr.on("data", (chunk) => (stderr += chunk));
  return { child, ended: new Promise((settle) => child.on("close", (code) => settle({ stdout, stderr, code }))) };
}

async function untilHalfWritten(box: Sandbox): Promise<void> {
  for (let waitedMs = 0; waitedMs < 30_000; waitedMs += 5) {
    if (readdirSync(box.home).some((name) => name.endsWith(".new"))) return;
    await sleep(5);
  }
  throw new Error("no image was begun");
}

const details =
  "VBoxManage: error: Details: code VBOX_E_FILE_ERROR (0x80bb0004), component MediumWrap, interface IMedium, callee nsISupports\n";

test.each([
  ["VDI", "SIGINT"],
  ["RAW", "SIGTERM"],
] as const)("a fixed %s image that is given up (%s)", async (format, signal) => {
  const box = new Sandbox();
  box.ok("setproperty", "loghistorycount", "3");
  const before = readdirSync(box.home, { recursive: true }).sort();
  const size = ["--size", "20000", "--variant", "Fixed", "--format", format];
  const { child, ended } = run(box, "createhd", "--filename", "big", ...size);
  await untilHalfWritten(box);
  child.kill(signal);
  const { stdout, stderr, code } = await ended;
  expect([code, stdout]).toEqual([1, ""]);
  const path = box.path(format === "VDI" ? "big.vdi" : "big.img");
  expect(stderr).toMatch(/^0%\.\.\.(10%\.\.\.)?CANCELED\n/);
  expect(stderr.slice(stderr.indexOf("VBoxManage"))).toBe(
    `VBoxManage: error: Failed to create medium: Could not create the medium storage unit '${path}' (VERR_CANCELLED)\n` +
      `${details}VBoxManage: error: Context: "createhd big"\n`,
  );
  expect(readdirSync(box.home, { recursive: true }).sort()).toEqual(before);
  expect(box.ok("list", "hdds")).toBe("");
});

test("a copy of a medium that is given up", async () => {
  const box = new Sandbox();
  box.ok("createhd", "--filename", "source", "--size", "20000");
  const { child, ended } = run(box, "clonehd", "source.vdi", "copy.vdi", "--variant", "Fixed");
  await untilHalfWritten(box);
  child.kill("SIGINT");
  const { stderr, code } = await ended;
  expect(code).toBe(1);
  expect(stderr).toContain("CANCELED\n");
  expect(stderr).toContain(`'${box.path("copy.vdi")}' (VERR_CANCELLED)\n${details}`);
  expect(readdirSync(box.home).sort()).toEqual(["registry", "run", "source.vdi"]);
});

test("a conversion that waits for its standard input", async () => {
  const box = new Sandbox();
  const { child, ended } = run(box, "convertfromraw", "stdin", "disk.vdi", "10000000");
  child.stdin?.on("error", () => {});
  child.stdin?.write(Buffer.alloc(3_000_000, 7));
  await untilHalfWritten(box);
  child.kill("SIGINT");
  const { stderr, code } = await ended;
  expect(code).toBe(1);
  expect(stderr).toContain(`'${box.path("disk.vdi")}' (VERR_CANCELLED)\n${details}`);
  expect(readdirSync(box.home).sort()).toEqual(["run"]);
});
