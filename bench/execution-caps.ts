/**
 * `node bench/execution-caps.ts [--seconds 20] [--nice=N] [--write]`: two VMs whose guests never rest, under execution caps of 30 and 60 per
 * cent: what share of one processor each VM process takes, by /proc. Then the caps are changed while they run, and one VM is
 * killed. On a host that is busy otherwise, `--nice=-10` (a privilege) keeps its other work out. Prints a Markdown page, `--write` also makes it docs/execution-cap.md. Not a test: nothing here fails for being off.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, setPriority, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { positive, readOptions } from "../scripts/options.ts";
import { sessionOf } from "../src/config/machine-session.ts";
import { processUsage } from "./process-usage.ts";

const { values } = readOptions({
  options: {
    seconds: { type: "string", default: "20" },
    nice: { type: "string", default: "0" },
    write: { type: "boolean", default: false },
  },
});
const seconds = positive("seconds", values.seconds);
setPriority(Number(values.nice));
const root = resolve(import.meta.dirname, "..");
const home = mkdtempSync(join(tmpdir(), "anneau-caps-"));
mkdirSync(join(home, "run"), { mode: 0o700 });
const env = {
  ...process.env,
  HOME: home,
  VBOX_USER_HOME: join(home, "registry"),
  XDG_RUNTIME_DIR: join(home, "run"),
};

function anneau(...args: string[]): string {
  const { stdout, stderr, status } = spawnSync(process.execPath, [join(root, "bin/anneau"), ...args], {
    cwd: home,
    env,
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`anneau ${args.join(" ")}: ${stderr}`);
  return stdout;
}

/** A VM whose boot sector counts for ever. */
function busyMachine(name: string, cap: number): void {
  const sector = Buffer.alloc(1_474_560);
  // inc eax; jmp back
  sector.set([0x66, 0x40, 0xeb, 0xfc]);
  sector.writeUInt16LE(0xaa55, 510);
  writeFileSync(join(home, `${name}.img`), sector);
  anneau("createvm", "--name", name, "--register");
  anneau("modifyvm", name, "--memory", "16", "--nic1", "none", "--cpuexecutioncap", String(cap));
  anneau("storagectl", name, "--name", "Floppy", "--add", "floppy");
  const place = ["--storagectl", "Floppy", "--port", "0", "--device", "0", "--type", "fdd"];
  anneau("storageattach", name, ...place, "--medium", `${name}.img`);
}

function pidOf(name: string): number {
  const session = sessionOf(join(home, "VirtualBox VMs", name, `${name}.vbox`));
  if (session.kind !== "alive") throw new Error(`${name} does not run`);
  return session.pid;
}

/** Per cent of one processor that each process took. */
async function shares(pids: readonly number[]): Promise<number[]> {
  const before = pids.map((pid) => processUsage(pid).cpuSeconds);
  const startMs = performance.now();
  await sleep(seconds * 1000);
  const elapsedSeconds = (performance.now() - startMs) / 1000;
  return pids.map((pid, i) => ((processUsage(pid).cpuSeconds - before[i]) / elapsedSeconds) * 100);
}

const rows: string[] = [];
async function measure(what: string, machines: readonly (readonly [name: string, cap: number])[]): Promise<void> {
  const pids = machines.map(([name]) => pidOf(name));
  const got = await shares(pids);
  for (const [i, [name, cap]] of machines.entries()) {
    const off = got[i] - cap;
    rows.push(
      `| ${what} | ${name} | ${cap} % | ${got[i].toFixed(1)} % | ${cap < 100 ? `${off >= 0 ? "+" : ""}${off.toFixed(1)}` : ""} |`,
    );
  }
}

try {
  busyMachine("one", 30);
  busyMachine("two", 60);
  anneau("startvm", "one", "--type", "headless");
  anneau("startvm", "two", "--type", "headless");
  // Linux weighs sessions against each other, and each VM has its own.
  for (const name of ["one", "two"]) writeFileSync(`/proc/${pidOf(name)}/autogroup`, values.nice);
  await sleep(2000);
  await measure("both run", [
    ["one", 30],
    ["two", 60],
  ]);
  anneau("controlvm", "one", "cpuexecutioncap", "60");
  anneau("controlvm", "two", "cpuexecutioncap", "10");
  await measure("caps changed while they run", [
    ["one", 60],
    ["two", 10],
  ]);
  process.kill(pidOf("two"), "SIGKILL");
  await measure("`two` was killed", [["one", 60]]);
  anneau("controlvm", "one", "cpuexecutioncap", "100");
  await measure("without a cap", [["one", 100]]);
  anneau("controlvm", "one", "poweroff");
  const page = `# Execution caps, measured

Written by \`node bench/execution-caps.ts --write\`: VMs whose guests never rest, on ${cpus().length} processors, niceness ${values.nice}, load
average ${loadavg()[0].toFixed(1)} at the end, ${seconds} s each. A share is the processor time of the whole VM process by /proc, in per cent of one processor.

| when | VM | cap | share | off by |
| --- | --- | --: | --: | --: |
${rows.join("\n")}
`;
  console.log(page);
  if (values.write) writeFileSync(join(root, "docs/execution-cap.md"), page);
} finally {
  for (const name of ["one", "two"]) {
    try {
      process.kill(pidOf(name), "SIGKILL");
    } catch {
      // It has ended.
    }
  }
  rmSync(home, { recursive: true, force: true });
}
