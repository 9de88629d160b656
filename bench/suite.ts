/**
 * Runs kernels on peers in interleaved rounds. In each round every peer boots once; then each kernel runs on one peer after
 * the other, so that what disturbs the host disturbs all of them, and the peer that begins changes from round to round.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { linuxGuest } from "../scripts/media/linux-guest.ts";
import { writeInitramfs, writeRoot } from "./build.ts";
import { BenchGuest, type Measurement } from "./guest.ts";
import type { Kernel } from "./kernels.ts";
import type { GuestFiles, Peer } from "./peers.ts";

export interface SuiteOptions {
  readonly kernels: readonly Kernel[];
  readonly peers: readonly Peer[];
  readonly rounds: number;
  /** Share of the full size. */
  readonly permille: number;
  /** More words on the guest kernel's command line. */
  readonly append?: string;
  /** For one kernel on one peer, and for a boot. */
  readonly patienceSeconds: number;
  readonly onProgress?: (text: string) => void;
}

export interface SuiteResult {
  /** By peer, then kernel: one entry a round, undefined where it failed. */
  readonly measurements: ReadonlyMap<string, ReadonlyMap<string, readonly (Measurement | undefined)[]>>;
  /** By peer: the largest of all rounds, behind the last kernel. */
  readonly peakRssMiB: ReadonlyMap<string, number>;
  /** What went wrong, one line each. */
  readonly failures: readonly string[];
}

/** Half of the kernel's boot goes into testing its ciphers and its own certificate; nothing here depends on them. */
export const kernelWords =
  "console=ttyS0,115200 quiet panic=-1 cryptomgr.notests initcall_blacklist=load_system_certificate_list";

/** The files for the given kernels, below `folder`. */
export async function prepareGuest(kernels: readonly Kernel[], folder: string, append = ""): Promise<GuestFiles> {
  const initrd = join(folder, "initrd");
  const root = join(folder, "root");
  await writeInitramfs(kernels, initrd);
  await writeRoot(kernels, root);
  const kernel = join(await linuxGuest(), "vmlinuz");
  return { guest: { kernel, initrd, append: `${kernelWords} ${append}`.trimEnd(), memoryMiB: 256 }, root };
}

/** All rounds. A peer that fails at a kernel is started again for the next one. */
export async function runSuite(options: SuiteOptions): Promise<SuiteResult> {
  const { kernels, peers, rounds, permille, patienceSeconds, onProgress = () => {} } = options;
  const folder = mkdtempSync(join(tmpdir(), "anneau-bench-"));
  const measurements = new Map(
    peers.map((peer) => [peer.name, new Map(kernels.map(({ name }) => [name, [] as (Measurement | undefined)[]]))]),
  );
  const failures: string[] = [];
  const guests = new Map<Peer, BenchGuest>();
  const peakRssMiB = new Map(peers.map((peer) => [peer.name, 0]));
  const stop = async (peer: Peer) => {
    const guest = guests.get(peer);
    guests.delete(peer);
    if (guest === undefined) return;
    peakRssMiB.set(peer.name, Math.max(peakRssMiB.get(peer.name)!, guest.usage().peakRssMiB));
    if (peer.isSwitchedOff) await guest.powerOff(30);
    else await guest.kill();
  };
  try {
    const files = await prepareGuest(kernels, folder, options.append);
    const boot = async (peer: Peer): Promise<BenchGuest> => {
      const guest = new BenchGuest(peer.startKernels(files));
      guests.set(peer, guest);
      await guest.says(/BENCH-READY\r?\n/, patienceSeconds);
      return guest;
    };
    for (let round = 0; round < rounds; round++) {
      const order = peers
        .map((_, n) => peers[(n + round) % peers.length])
        .filter(({ maxRounds }) => round < (maxRounds ?? rounds));
      const fail = async (peer: Peer, what: string, error: unknown) => {
        failures.push(`${peer.name}, ${what}, round ${round + 1}: ${(error as Error).message}`);
        onProgress(failures.at(-1)!);
        await stop(peer);
      };
      for (const peer of order) await boot(peer).catch((error) => fail(peer, "boot", error));
      for (const { name } of kernels) {
        for (const peer of order) {
          let measurement: Measurement | undefined;
          try {
            const guest = guests.get(peer) ?? (await boot(peer));
            measurement = await guest.run(name, permille, patienceSeconds);
          } catch (error) {
            await fail(peer, name, error);
          }
          measurements.get(peer.name)!.get(name)!.push(measurement);
        }
        onProgress(`round ${round + 1}/${rounds} ${progressLine(name, order, measurements)}`);
      }
      for (const peer of peers) await stop(peer);
    }
  } finally {
    for (const peer of peers) await stop(peer);
    rmSync(folder, { recursive: true });
  }
  return { measurements, peakRssMiB, failures: [...failures, ...differingResults(kernels, measurements)] };
}

function progressLine(name: string, peers: readonly Peer[], measurements: SuiteResult["measurements"]): string {
  const cells = peers.map((peer) => {
    const last = measurements.get(peer.name)!.get(name)!.at(-1);
    return `${peer.name} ${last === undefined ? "failed" : `${last.wallSeconds.toFixed(2)} s`}`;
  });
  return `${name}: ${cells.join(", ")}`;
}

/** Kernels whose results are not the same on all peers and in all rounds. */
function differingResults(kernels: readonly Kernel[], measurements: SuiteResult["measurements"]): string[] {
  return kernels.flatMap(({ name }) => {
    const seen = new Map<string, Set<string>>();
    for (const [peer, byKernel] of measurements)
      for (const measurement of byKernel.get(name)!)
        if (measurement !== undefined)
          seen.set(measurement.result, (seen.get(measurement.result) ?? new Set()).add(peer));
    if (seen.size < 2) return [];
    return [
      `${name}: different results: ${[...seen].map(([result, who]) => `${result} (${[...who].join(", ")})`).join(", ")}`,
    ];
  });
}
