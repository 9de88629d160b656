/**
 * `node bench/machine-figures.ts`: Anneau's interpreter and translator beside qemu-system-i386 (TCG) on this machine, in interleaved rounds,
 * medians. Prints one Markdown table and writes docs/benchmarks.md. Not a test: nothing here fails for being slow.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { linuxGuest } from "../scripts/media/linux-guest.ts";

const root = resolve(import.meta.dirname, "..");
const anneau = join(root, "bin", "anneau");
const { values } = parseArgs({ options: { rounds: { type: "string", default: "3" } } });
const rounds = Number(values.rounds);
const folder = mkdtempSync(join(tmpdir(), "anneau-bench-"));
const CLOCK_TICKS_PER_SECOND = 100;
const LOOP_INSTRUCTIONS = 1_000_000_000;

/** CPU seconds and peak RSS of a process and all it started, from /proc. */
function usage(pid: number): { cpuSeconds: number; peakMiB: number } {
  let cpuSeconds = 0;
  let peakMiB = 0;
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const fields = readFileSync(`/proc/${name}/stat`, "latin1")
        .replace(/^.*\) /, "")
        .split(" ");
      const parent = Number(fields[1]);
      children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
    } catch {}
  }
  const visit = (id: number): void => {
    try {
      const fields = readFileSync(`/proc/${id}/stat`, "latin1")
        .replace(/^.*\) /, "")
        .split(" ");
      cpuSeconds += (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_SECOND;
      const peak = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${id}/status`, "latin1"));
      peakMiB += Number(peak?.[1] ?? 0) / 1024;
    } catch {}
    for (const child of children.get(id) ?? []) visit(child);
  };
  visit(pid);
  return { cpuSeconds, peakMiB };
}

interface Running {
  readonly child: ChildProcess;
  readonly pid: number;
  said: string;
  readonly startedAt: number;
}

function start(program: string, args: readonly string[]): Running {
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
  const running: Running = { child, pid: child.pid as number, said: "", startedAt: performance.now() };
  child.stdout?.on("data", (bytes: Buffer) => {
    running.said += bytes.toString("latin1");
  });
  return running;
}

async function says(running: Running, what: string): Promise<void> {
  while (!running.said.includes(what)) {
    if (running.child.exitCode !== null) throw new Error(`ended without '${what}': ${running.said.slice(-500)}`);
    await new Promise((done) => setTimeout(done, 5));
  }
}

async function end(running: Running): Promise<void> {
  running.child.kill("SIGKILL");
  await new Promise((done) => running.child.once("close", done));
}

const media = await linuxGuest();
const kernel = join(media, "vmlinuz");
const initrd = join(media, "initrd.gz");
const loopImage = join(folder, "loop.img");
execFileSync("nasm", ["-f", "bin", "-o", loopImage, join(import.meta.dirname, "integer-loop.asm")]);
writeFileSync(loopImage, Buffer.concat([readFileSync(loopImage), Buffer.alloc((1 << 20) - 512)]));

const qemu = "qemu-system-i386";
const common = [
  "-accel",
  "tcg",
  "-m",
  "256",
  "-display",
  "none",
  "-serial",
  "stdio",
  "-net",
  "none",
  "-monitor",
  "none",
];
const machines = [
  {
    name: "interpreter",
    boot: () =>
      start(process.execPath, [
        anneau,
        "run",
        "--kernel",
        kernel,
        "--initrd",
        initrd,
        "--append",
        "console=ttyS0",
        "--memory",
        "256",
      ]),
    loop: () => start(process.execPath, [anneau, "run", "--disk", loopImage, "--memory", "64"]),
  },
  {
    name: "translator",
    boot: () =>
      start(process.execPath, [
        anneau,
        "run",
        "--engine",
        "translator",
        "--kernel",
        kernel,
        "--initrd",
        initrd,
        "--append",
        "console=ttyS0",
        "--memory",
        "256",
      ]),
    loop: () =>
      start(process.execPath, [anneau, "run", "--engine", "translator", "--disk", loopImage, "--memory", "64"]),
  },
  {
    name: "qemu-system-i386",
    boot: () => start(qemu, [...common, "-kernel", kernel, "-initrd", initrd, "-append", "console=ttyS0"]),
    loop: () => start(qemu, [...common, "-drive", `file=${loopImage},format=raw`]),
  },
] as const;

interface Figures {
  bootSeconds: number[];
  bootCpuSeconds: number[];
  peakMiB: number[];
  idlePercent: number[];
  loopSeconds: number[];
}
const figures = new Map<string, Figures>(
  machines.map(({ name }) => [
    name,
    { bootSeconds: [], bootCpuSeconds: [], peakMiB: [], idlePercent: [], loopSeconds: [] },
  ]),
);

for (let round = 0; round < rounds; round++) {
  for (const machine of machines) {
    const figure = figures.get(machine.name) as Figures;
    const guest = machine.boot();
    await says(guest, "ANNEAU-GUEST-READY");
    figure.bootSeconds.push((performance.now() - guest.startedAt) / 1000);
    const booted = usage(guest.pid);
    figure.bootCpuSeconds.push(booted.cpuSeconds);
    figure.peakMiB.push(booted.peakMiB);
    // Let the guest settle, then twenty seconds at the prompt.
    await new Promise((done) => setTimeout(done, 10_000));
    const before = usage(guest.pid).cpuSeconds;
    await new Promise((done) => setTimeout(done, 20_000));
    figure.idlePercent.push(((usage(guest.pid).cpuSeconds - before) / 20) * 100);
    await end(guest);

    const loop = machine.loop();
    await says(loop, "B");
    const startedAt = performance.now();
    await says(loop, "E");
    figure.loopSeconds.push((performance.now() - startedAt) / 1000);
    await end(loop);
    console.error(`round ${round + 1}/${rounds}: ${machine.name}`);
  }
}

/** Milliseconds of a command line, after one run that fills caches. */
function commandMs(...args: string[]): number {
  const env = { ...process.env, HOME: folder, VBOX_USER_HOME: join(folder, "registry") };
  const times: number[] = [];
  for (let n = 0; n < 8; n++) {
    const startedAt = performance.now();
    const { status, stderr } = spawnSync(process.execPath, [anneau, ...args], { env, encoding: "utf8" });
    if (status !== 0) throw new Error(stderr);
    if (n > 0) times.push(performance.now() - startedAt);
  }
  return median(times);
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

spawnSync(process.execPath, [anneau, "createvm", "--name", "bench", "--register"], {
  env: { ...process.env, HOME: folder, VBOX_USER_HOME: join(folder, "registry") },
});
const listMs = commandMs("list", "vms");
const infoMs = commandMs("showvminfo", "bench");
rmSync(folder, { recursive: true });

const peer = figures.get("qemu-system-i386") as Figures;
const row = (label: string, pick: (f: Figures) => number, digits: number, unit: string, hasRatio = true): string => {
  const cells = machines.map(({ name }) => {
    const value = pick(figures.get(name) as Figures);
    const ratio = hasRatio && name !== "qemu-system-i386" ? ` (${(value / pick(peer)).toFixed(2)} ×)` : "";
    return `${value.toFixed(digits)} ${unit}${ratio}`;
  });
  return `| ${label} | ${cells.join(" | ")} |`;
};
const qemuVersion = spawnSync(qemu, ["--version"], { encoding: "utf8" }).stdout.split("\n")[0];
const table = [
  `| | ${machines.map(({ name }) => name).join(" | ")} |`,
  `| --- | ${machines.map(() => "--:").join(" | ")} |`,
  row("integer loop, 10⁹ instructions", (f) => median(f.loopSeconds), 2, "s"),
  row("integer loop", (f) => LOOP_INSTRUCTIONS / 1e6 / median(f.loopSeconds), 0, "MIPS", false),
  row("Debian kernel to a busybox shell, wall clock", (f) => median(f.bootSeconds), 1, "s"),
  row("the same, CPU time", (f) => median(f.bootCpuSeconds), 1, "s"),
  row("peak RSS at the shell (256 MB guest)", (f) => median(f.peakMiB), 0, "MiB"),
  row("idle at the shell, of one core over 20 s", (f) => median(f.idlePercent), 1, "%", false),
].join("\n");
const page = `# Benchmarks

Written by \`npm run bench\` (${rounds} interleaved rounds, medians; in brackets: relative to qemu-system-i386 with TCG, smaller is
better). Machine: ${cpus()[0].model}, ${cpus().length} cores; Node ${process.versions.node}; ${qemuVersion};
${new Date().toISOString().slice(0, 10)}. The machines that measured it are shared: differences under 15 % mean nothing.

${table}

The command line: \`list vms\` ${listMs.toFixed(0)} ms, \`showvminfo\` ${infoMs.toFixed(0)} ms (medians of seven).

The interpreter is the default; the translator (\`anneau run --engine translator\`) compiles single pages of integer code only.
`;
console.log(table);
mkdirSync(join(root, "docs"), { recursive: true });
writeFileSync(join(root, "docs", "benchmarks.md"), page);
