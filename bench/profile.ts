/**
 * What the machine thread did while a kernel ran, out of the CPU profiles that `node --cpu-prof` writes for each thread (V8's
 * inspector protocol, Profiler.Profile: microseconds of the monotonic clock).
 */
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly startTime: number;
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export interface Interval {
  readonly name: string;
  readonly startUs: number;
  readonly endUs: number;
}

const SHOWN = 14;

/**
 * For each interval, as text: how the time is shared between the interpreter and its helpers (the WebAssembly module with the
 * most functions), the translator's regions (all others) and JavaScript, and the functions with the largest own time. Of all
 * profiles in the folder, idle time left out.
 */
export function summarizeProfiles(folder: string, intervals: readonly Interval[]): string {
  const profiles = readdirSync(folder)
    .filter((name) => name.endsWith(".cpuprofile"))
    .map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")) as CpuProfile);
  const everything = new Map<string, number>();
  for (const profile of profiles) for (const interval of intervals) addSamples(profile, interval, everything);
  const core = coreModule(everything);
  return intervals
    .map((interval) => {
      const ownUs = new Map<string, number>();
      for (const profile of profiles) addSamples(profile, interval, ownUs);
      const total = (names: readonly string[]) => names.reduce((sum, name) => sum + ownUs.get(name)!, 0);
      const names = [...ownUs.keys()];
      const allUs = total(names);
      const percent = (us: number) => `${((us / allUs) * 100).toFixed(1)} %`;
      const inWasm = names.filter((name) => name.includes(" wasm/"));
      const inCore = inWasm.filter((name) => name.endsWith(core));
      const regions = inWasm.filter((name) => !name.endsWith(core));
      const rest = names.filter((name) => !inWasm.includes(name));
      const shares = [
        `interpreter ${percent(total(inCore))}`,
        `${regions.length} regions ${percent(total(regions))}`,
        `JavaScript ${percent(total(rest))}`,
      ];
      const largest = names.sort((x, y) => ownUs.get(y)! - ownUs.get(x)!).slice(0, SHOWN);
      const lines = largest.map((name) => `  ${percent(ownUs.get(name)!).padStart(7)}  ${name}`);
      return [`${interval.name}: ${(allUs / 1e6).toFixed(2)} s: ${shares.join(", ")}`, ...lines].join("\n");
    })
    .join("\n");
}

/** The module of many functions with the largest own time (another one strips the types from our sources). */
function coreModule(ownUs: ReadonlyMap<string, number>): string {
  const modules = new Map<string, { functions: number; us: number }>();
  for (const [name, us] of ownUs) {
    const module = /wasm\/.*$/.exec(name)?.[0];
    if (module === undefined) continue;
    const before = modules.get(module) ?? { functions: 0, us: 0 };
    modules.set(module, { functions: before.functions + 1, us: before.us + us });
  }
  const [core] = [...modules].filter(([, { functions }]) => functions >= 10).sort((x, y) => y[1].us - x[1].us);
  return core?.[0] ?? "none";
}

function addSamples(profile: CpuProfile, { startUs, endUs }: Interval, ownUs: Map<string, number>): void {
  const labels = new Map(profile.nodes.map(({ id, callFrame }) => [id, label(callFrame)]));
  let at = profile.startTime;
  profile.samples.forEach((node, n) => {
    at += profile.timeDeltas[n];
    const name = labels.get(node)!;
    if (at < startUs || at > endUs || name === "(idle)") return;
    ownUs.set(name, (ownUs.get(name) ?? 0) + profile.timeDeltas[n]);
  });
}

function label({ functionName, url, lineNumber }: CpuProfile["nodes"][number]["callFrame"]): string {
  if (url.startsWith("wasm:")) return `${functionName} ${url.slice("wasm://".length)}`;
  return url === "" ? functionName : `${functionName || "(anonymous)"} ${basename(url)}:${lineNumber + 1}`;
}
