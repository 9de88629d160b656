/** metrics, as scripts read it. */
import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { Sandbox } from "./sandbox.ts";

function machines(): Sandbox {
  const box = new Sandbox();
  // A boot sector that reads the second sector for ever.
  const image = Buffer.alloc(1_474_560);
  image.set([
    0x31, 0xc0, 0x8e, 0xc0, 0xb8, 0x01, 0x02, 0xbb, 0x00, 0x7e, 0xb9, 0x02, 0x00, 0x31, 0xd2, 0xcd, 0x13, 0xeb, 0xed,
  ]);
  image.writeUInt16LE(0xaa55, 510);
  box.write("boot.img", image);
  for (const name of ["busy", "off"]) {
    box.ok("createvm", "--name", name, "--register");
    box.ok("modifyvm", name, "--memory", "16", "--nic1", "none", "--cpuexecutioncap", "50");
  }
  box.ok("storagectl", "busy", "--name", "Floppy", "--add", "floppy");
  const place = ["--storagectl", "Floppy", "--port", "0", "--device", "0", "--type", "fdd"];
  box.ok("storageattach", "busy", ...place, "--medium", "boot.img");
  return box;
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  for (let waitedMs = 0; waitedMs < 60_000; waitedMs += 200) {
    if (isSo()) return;
    await sleep(200);
  }
  throw new Error(`still not: ${what}`);
}

test("list, setup, query: what a running VM measures", async () => {
  const box = machines();
  const listed = box.ok("metrics", "list");
  expect(listed).toMatch(/^Object +Metric +Unit Minimum +Maximum +Period +Count +Description\n-+ /);
  expect(listed).toMatch(/^host +CPU\/Load\/Idle +% +0 +100 +1 +1 Share of/m);
  for (const name of ["busy", "off"]) expect(listed).toMatch(new RegExp(`^${name} +RAM/Usage/Used:max +kB +0 `, "m"));

  expect(box.ok("metrics", "setup", "--period", "1", "--samples", "3", "busy")).toBe("");
  box.ok("startvm", "busy", "--type", "headless");
  expect(box.ok("metrics", "list", "busy", "CPU/Load/User")).toMatch(/^busy +CPU\/Load\/User +% +0 +100 +1 +3 /m);
  const query = (...args: string[]) => box.ok("metrics", "query", ...args);
  await until("three values are there", () =>
    /^busy +CPU\/Load\/User +[\d.]+%, [\d.]+%, [\d.]+%$/m.test(query("busy")),
  );
  await until("disk rates are there", () =>
    /^busy +Disk\/Rate\/Read:max +[1-9][0-9]* B\/s$/m.test(query("busy", "Disk")),
  );
  const all = query("*", "CPU/Load/User,RAM/Usage");
  expect(all).toMatch(/^host +RAM\/Usage\/Total +[0-9]+ kB$/m);
  expect(all).toMatch(/^busy +RAM\/Usage\/Used:avg +[1-9][0-9]+ kB$/m);
  expect(all).not.toMatch(/Kernel|Disk|^off/m);

  expect(box.ok("metrics", "setup", "--samples", "1", "--list", "busy", "CPU/Load/User")).toMatch(/ +1 +1 Share/);
  expect(box.anneau("metrics", "disable", "busy")).toEqual({ stdout: "", stderr: "", code: 0 });
  await sleep(1500);
  expect(query("busy").split("\n")).toHaveLength(3);
  box.ok("metrics", "setup", "busy");
  await until("setting it up made it measure again", () => query("busy").includes("CPU/Load/User"));
  expect(box.anneau("metrics", "disable", "busy", "CPU/Load").stderr).toContain("together");
  await sleep(1500);
  expect(query("busy")).toContain("CPU/Load/User");
  box.ok("metrics", "disable", "busy");
  box.ok("metrics", "enable", "busy");
  await until("it measures again", () => query("busy").includes("CPU/Load/User"));
  box.ok("controlvm", "busy", "poweroff");
  expect(query("busy").split("\n")).toHaveLength(3);

  expect(box.anneau("metrics", "setup", "--period", "0", "busy").code).toBe(1);
  expect(box.anneau("metrics", "query", "nobody").stderr).toContain(
    "Could not find a registered machine named 'nobody'",
  );
  expect(box.anneau("metrics", "guess").code).toBe(2);
});

test("collect prints until it is told to stop", async () => {
  const box = machines();
  box.ok("startvm", "busy", "--type", "headless");
  const bin = resolve(import.meta.dirname, "../../bin/anneau");
  const child = spawn(process.execPath, [bin, "metrics", "collect", "--period", "1", "*", "CPU/Load/User"], {
    cwd: box.home,
    env: box.env,
  });
  let text = "";
  child.stdout.on("data", (chunk) => (text += chunk));
  const ended = new Promise((settle) => child.on("close", settle));
  await until("both have printed", () => /busy +CPU/.test(text) && /host +CPU/.test(text));
  child.kill("SIGINT");
  expect(await ended).toBe(0);
  expect(text).toMatch(/^Time stamp +Object +Metric +Value\n-/);
  expect(text).toMatch(/^[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\.[0-9]{3} busy +CPU\/Load\/User +[0-9.]+%$/m);
  expect(box.ok("metrics", "collect", "--detach", "busy")).toBe("");
  box.ok("controlvm", "busy", "poweroff");
});
