/**
 * What the kernels do not show: a loop without an operating system, a boot from the start of the process to the shell, memory
 * at the shell, and what an idle guest costs; and the command line.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { linuxGuest } from "../scripts/media/linux-guest.ts";
import { BenchGuest } from "./guest.ts";
import type { Peer } from "./peers.ts";

export interface MachineFigures {
  readonly loopSeconds: number;
  readonly bootSeconds: number;
  readonly bootCpuSeconds: number;
  readonly shellRssMiB: number;
  /** Of one core. */
  readonly idlePercent: number;
}

const SETTLE_MS = 10_000;
const IDLE_MS = 20_000;
/** bench/integer-loop.asm */
export const LOOP_INSTRUCTIONS = 1e9;

/** One list a peer, one entry a round; peers that are no machines have none. */
export async function measureMachines(
  peers: readonly Peer[],
  rounds: number,
  patienceSeconds: number,
  onProgress: (text: string) => void,
): Promise<Map<string, MachineFigures[]>> {
  const media = await linuxGuest();
  const folder = mkdtempSync(join(tmpdir(), "anneau-bench-"));
  const figures = new Map<string, MachineFigures[]>();
  try {
    const disk = join(folder, "loop.img");
    execFileSync("nasm", ["-f", "bin", "-o", disk, join(import.meta.dirname, "integer-loop.asm")]);
    writeFileSync(disk, Buffer.concat([readFileSync(disk), Buffer.alloc((1 << 20) - 512)]));
    const linux = {
      memoryMiB: 256,
      kernel: join(media, "vmlinuz"),
      initrd: join(media, "initrd.gz"),
      append: "console=ttyS0",
    };
    for (let round = 0; round < rounds; round++) {
      for (const { name, startMachine, maxRounds } of peers) {
        if (startMachine === undefined || round >= (maxRounds ?? rounds)) continue;
        const loop = new BenchGuest(startMachine({ memoryMiB: 64, disk }));
        let loopSeconds = Number.NaN;
        const guest = await run(loop, async () => {
          await loop.says(/B/, patienceSeconds);
          const startedAtMs = performance.now();
          await loop.says(/E/, patienceSeconds);
          loopSeconds = (performance.now() - startedAtMs) / 1000;
        }).then(() => new BenchGuest(startMachine(linux)));
        await run(guest, async () => {
          await guest.says(/ANNEAU-GUEST-READY/, patienceSeconds);
          const bootSeconds = (performance.now() - guest.startedAtMs) / 1000;
          const booted = guest.usage();
          await sleep(SETTLE_MS);
          const before = guest.usage().cpuSeconds;
          await sleep(IDLE_MS);
          const idlePercent = ((guest.usage().cpuSeconds - before) / (IDLE_MS / 1000)) * 100;
          const figure = {
            loopSeconds,
            bootSeconds,
            bootCpuSeconds: booted.cpuSeconds,
            shellRssMiB: booted.peakRssMiB,
            idlePercent,
          };
          figures.set(name, [...(figures.get(name) ?? []), figure]);
          onProgress(`machine round ${round + 1}/${rounds}: ${name}, boot ${bootSeconds.toFixed(1)} s`);
        });
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  return figures;
}

async function run(guest: BenchGuest, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } finally {
    await guest.kill();
  }
}

/** Milliseconds of commands with one registered machine: all runs but the first, which fills caches. */
export function measureCommands(commands: readonly (readonly string[])[]): number[][] {
  const folder = mkdtempSync(join(tmpdir(), "anneau-bench-"));
  const anneau = resolve(import.meta.dirname, "../bin/anneau");
  const env = { ...process.env, HOME: folder, VBOX_USER_HOME: join(folder, "registry") };
  const once = (args: readonly string[]): number => {
    const startedAtMs = performance.now();
    const { status, stderr } = spawnSync(process.execPath, [anneau, ...args], { env, encoding: "utf8" });
    if (status !== 0) throw new Error(`anneau ${args.join(" ")}: ${stderr}`);
    return performance.now() - startedAtMs;
  };
  try {
    once(["createvm", "--name", "bench", "--register"]);
    return commands.map((args) => Array.from({ length: 8 }, () => once(args)).slice(1));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
