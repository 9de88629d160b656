/**
 * `npm run bench`: the kernels of bench/kernels.ts on Anneau and its peers, in interleaved rounds. Prints one Markdown table;
 * a complete run writes docs/benchmarks.md too. Not a test: nothing here fails for being slow.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus } from "node:os";
import { dirname, join, resolve } from "node:path";
import { readOptions, runProgram, whole } from "../scripts/options.ts";
import { kernels, selectKernels } from "./kernels.ts";
import { type MachineFigures, measureCommands, measureMachines } from "./machine-figures.ts";
import { checkBuilds, makePeers, peerNames } from "./peers.ts";
import { summarizeProfiles } from "./profile.ts";
import { median, page, Report } from "./report.ts";
import { runSuite } from "./suite.ts";

const usage = `usage: npm run bench -- [OPTIONS]
  --only NAME,...         these kernels only
  --peers NAME,...        these peers only
  --rounds N              interleaved rounds (5)
  --quick                 one round, without the interpreter and the figures of idle machines
  --machines              loop without a system, boot, idle time and memory too, which a complete run measures anyway
  --machine-rounds N      of these, for which a peer takes a minute each (3, or --rounds if that is less)
  --permille N            kernels at this share of their size (1000)
  --anneau [LABEL=]PATH   bin/anneau of a build; repeat it to compare builds
  --anneau-flags TEXT     more words for 'anneau run'
  --append TEXT           more words on the guest kernel's command line
  --profile FOLDER        CPU profiles of Anneau's threads go there, and what they show is printed for each kernel
  --json FILE             all measurements
  --patience SECONDS      for one kernel on one peer (600)
  --list                  names the kernels and the peers
A complete run (none of --only, --peers, --quick, --permille, --anneau, --anneau-flags, --append,
--profile) writes docs/benchmarks.md.`;

const { values } = readOptions({
  options: {
    only: { type: "string" },
    peers: { type: "string" },
    rounds: { type: "string" },
    quick: { type: "boolean", default: false },
    machines: { type: "boolean", default: false },
    "machine-rounds": { type: "string" },
    permille: { type: "string" },
    anneau: { type: "string", multiple: true },
    "anneau-flags": { type: "string" },
    append: { type: "string" },
    profile: { type: "string" },
    json: { type: "string" },
    patience: { type: "string" },
    list: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

const words = (text: string | undefined, separator: string | RegExp) =>
  (text ?? "").split(separator).filter((word) => word !== "");
const count = (name: "rounds" | "machine-rounds" | "patience" | "permille", normally: number) =>
  whole(name, values[name] ?? String(normally));

async function main(): Promise<void> {
  const partial = ["only", "peers", "permille", "anneau", "anneau-flags", "append", "profile"] as const;
  const isComplete = !values.quick && partial.every((name) => values[name] === undefined);
  checkBuilds(values.anneau ?? []);
  const chosen = selectKernels(words(values.only, ","));
  const names = values.peers === undefined ? peerNames : words(values.peers, ",");
  const peers = makePeers(
    names.filter((name) => !(values.quick && values.peers === undefined && name === "anneau-interpreter")),
    {
      anneau: values.anneau ?? [],
      anneauFlags: words(values["anneau-flags"], /\s+/),
      profileFolder: values.profile,
    },
  );
  const rounds = count("rounds", values.quick ? 1 : 5);
  const patienceSeconds = count("patience", 600);
  const onProgress = (text: string) => console.error(text);

  const permille = count("permille", 1000);
  const append = values.append;
  const result = await runSuite({ kernels: chosen, peers, rounds, permille, append, patienceSeconds, onProgress });
  const saveJson = (machines: ReadonlyMap<string, MachineFigures[]>) => {
    if (values.json === undefined) return;
    const measurements = Object.fromEntries(
      [...result.measurements].map(([peer, byKernel]) => [peer, Object.fromEntries(byKernel)]),
    );
    writeFileSync(
      values.json,
      JSON.stringify({ measurements, machines: Object.fromEntries(machines) }, null, 1) + "\n",
    );
  };
  saveJson(new Map());
  const machineRounds = count("machine-rounds", Math.min(rounds, 3));
  const machines =
    isComplete || values.machines
      ? await measureMachines(peers, machineRounds, patienceSeconds, onProgress)
      : new Map<string, MachineFigures[]>();
  saveJson(machines);
  const report = new Report(chosen, peers, result, machines);
  console.log(report.table());
  for (const failure of result.failures) console.error(failure);
  if (result.failures.length > 0) process.exitCode = 1;
  if (values.profile !== undefined) {
    for (const peer of peers.filter(({ isSwitchedOff }) => isSwitchedOff)) {
      const intervals = chosen.flatMap(({ name }) =>
        result.measurements
          .get(peer.name)!
          .get(name)!
          .flatMap((one) =>
            one === undefined ? [] : [{ name: `${peer.name} ${name}`, startUs: one.startUs, endUs: one.endUs }],
          ),
      );
      console.log(summarizeProfiles(values.profile, intervals));
    }
  }
  if (!isComplete) return;
  const commands = measureCommands([
    ["list", "vms"],
    ["showvminfo", "bench"],
  ]);
  const [listMs, infoMs] = commands.map(median);
  const host = `Machine: ${cpus()[0].model}, ${cpus().length} cores, ${new Date().toISOString().slice(0, 10)}`;
  const facts = { rounds, machineRounds, host, versions: versions(), listMs, infoMs, failures: result.failures };
  const docs = resolve(import.meta.dirname, "../docs");
  mkdirSync(docs, { recursive: true });
  writeFileSync(join(docs, "benchmarks.md"), page(report, chosen, facts));
}

function versions(): string {
  const qemu = spawnSync("qemu-system-x86_64", ["--version"], { encoding: "utf8" }).stdout.split("\n")[0];
  const v86 = join(dirname(createRequire(import.meta.url).resolve("v86")), "../package.json");
  return `Node ${process.versions.node}; ${qemu}; v86 ${JSON.parse(readFileSync(v86, "utf8")).version}`;
}

for (const [signal, number] of [
  ["SIGINT", 2],
  ["SIGTERM", 15],
] as const)
  process.on(signal, () => process.exit(128 + number));

if (values.help) console.log(usage);
else if (values.list) {
  for (const { name, class: kind, about } of kernels) console.log(`${name.padEnd(18)}${kind.padEnd(14)}${about}`);
  console.log(`peers: ${peerNames.join(", ")}`);
} else {
  await runProgram(main);
}
