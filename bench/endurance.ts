/**
 * `npm run bench:endurance`: a mixed load in one guest for an hour. Prints, minute by minute, the resident memory of the process, the
 * guest's clock against the host's; at the end how memory and clock went.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { positive, readOptions, runProgram, whole } from "../scripts/options.ts";
import { BenchGuest } from "./guest.ts";
import { selectKernels } from "./kernels.ts";
import { checkBuilds, makePeers } from "./peers.ts";
import { prepareGuest } from "./suite.ts";

const usage = `usage: npm run bench:endurance -- [OPTIONS]
  --minutes N        how long (60)
  --permille N       kernels at this share of their size (300)
  --rest SECONDS     idle time after each turn of all kernels (10)
  --anneau PATH      bin/anneau of another build`;

const { values } = readOptions({
  options: {
    minutes: { type: "string", default: "60" },
    permille: { type: "string", default: "300" },
    rest: { type: "string", default: "10" },
    anneau: { type: "string" },
    help: { type: "boolean", default: false },
  },
});

const PATIENCE_SECONDS = 600;

interface Sample {
  readonly hostSeconds: number;
  readonly guestSeconds: number;
  readonly rssMiB: number;
}

function rssMiB(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1]) / 1024;
}

async function sample(guest: BenchGuest): Promise<Sample> {
  guest.type("clock\n");
  const [, seconds] = await guest.says(/CLOCK ([\d.]+)\r?\n/, PATIENCE_SECONDS);
  return { hostSeconds: performance.now() / 1000, guestSeconds: Number(seconds), rssMiB: rssMiB(guest.pid) };
}

async function main(): Promise<void> {
  const minutes = positive("minutes", values.minutes);
  const permille = whole("permille", values.permille);
  const builds = values.anneau === undefined ? [] : [values.anneau];
  checkBuilds(builds);
  const kernels = selectKernels([]);
  const folder = mkdtempSync(join(tmpdir(), "anneau-endurance-"));
  const [peer] = makePeers(["anneau"], {
    anneau: builds,
    anneauFlags: [],
    profileFolder: undefined,
  });
  try {
    const files = await prepareGuest(kernels, folder);
    const guest = new BenchGuest(peer.startKernels(files));
    await guest.says(/BENCH-READY\r?\n/, PATIENCE_SECONDS);
    const results = new Map<string, string>();
    const samples = [await sample(guest)];
    const [first] = samples;
    const endSeconds = first.hostSeconds + minutes * 60;
    let runs = 0;
    /** Seconds since the first sample, and by how many the guest's clock is ahead. */
    const since = ({ hostSeconds, guestSeconds }: Sample) => {
      const seconds = hostSeconds - first.hostSeconds;
      return { seconds, drift: guestSeconds - first.guestSeconds - seconds };
    };
    const look = async (): Promise<void> => {
      const now = await sample(guest);
      samples.push(now);
      const { seconds, drift } = since(now);
      console.log(
        `${(seconds / 60).toFixed(1).padStart(6)} min  ${String(runs).padStart(5)} runs  RSS ${now.rssMiB.toFixed(0)} MiB  clock ${(drift * 1000).toFixed(1)} ms`,
      );
    };
    while (performance.now() / 1000 < endSeconds) {
      for (const { name } of kernels) {
        const { result } = await guest.run(name, permille, PATIENCE_SECONDS);
        const before = results.get(name);
        if (before !== undefined && before !== result) throw new Error(`${name}: ${result}, ${before} before`);
        results.set(name, result);
        runs++;
        if (performance.now() / 1000 - samples.at(-1)!.hostSeconds >= 60) await look();
        if (performance.now() / 1000 >= endSeconds) break;
      }
      await sleep(Number(values.rest) * 1000);
    }
    await look();
    const last = samples.at(-1)!;
    const { seconds, drift } = since(last);
    const peak = (from: number, to: number) =>
      Math.max(
        ...samples.slice(Math.floor(from * samples.length), Math.ceil(to * samples.length)).map((s) => s.rssMiB),
      );
    console.log(
      `${runs} runs of ${kernels.length} kernels in ${(seconds / 60).toFixed(1)} minutes, all results the same`,
    );
    console.log(
      `RSS (${files.guest.memoryMiB} MiB guest): peak of the first third ${peak(0, 1 / 3).toFixed(0)} MiB, of the last third ${peak(2 / 3, 1).toFixed(0)} MiB, at the end ${last.rssMiB.toFixed(0)} MiB`,
    );
    console.log(`clock: ${(drift * 1000).toFixed(1)} ms, ${((drift / seconds) * 1e6).toFixed(1)} millionths`);
    await guest.powerOff(60);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (values.help) console.log(usage);
else await runProgram(main);
