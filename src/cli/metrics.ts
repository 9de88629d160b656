/** metrics: what VM processes and the host measure about themselves. */
import { setTimeout as sleep } from "node:timers/promises";
import { registeredMachines } from "../config/machine-lookup.ts";
import { editRegistry } from "../config/registry.ts";
import { ResultError } from "../config/result-codes.ts";
import { editVbox, setExtraDataIn, type VboxFile } from "../config/vbox-file.ts";
import type { ControlClient } from "../control/client.ts";
import {
  defaultMetricSetup,
  isMetricSetup,
  type MetricDefinition,
  type MetricReport,
  type MetricSetup,
  machineMetrics,
  metricLimits,
  metricSetupKey,
  parseMetricSetup,
} from "../control/metrics.ts";
import type { Command, Terminal } from "./command.ts";
import { CommandError, UsageError } from "./errors.ts";
import { HostMeter, hostMetrics } from "./host-metrics.ts";
import { connect } from "./live-machine.ts";
import { option, type ParsedArguments, parseArguments } from "./options.ts";

/** Between two looks at the host for one answer. */
const HOST_LOOK_MS = 250;

/** The host, or a VM: what it can tell, and what it tells now. */
interface Subject {
  readonly name: string;
  readonly metrics: readonly MetricDefinition[];
  readonly vbox?: VboxFile;
}

const aggregates = ["", ":avg", ":min", ":max"] as const;

export const command: Command = {
  usage: [
    "list [*|host|VM [METRIC,...]]",
    "setup [--period SECONDS] [--samples COUNT] [--list] [*|host|VM [METRIC,...]]",
    "query [*|host|VM [METRIC,...]]",
    "enable|disable [*|host|VM]",
    "collect [--period SECONDS] [--samples COUNT] [--list] [--detach] [*|host|VM [METRIC,...]]",
  ],
  about:
    "Prints what running VMs and the host measure about themselves. A VM measures once a period and keeps the last values;\n" +
    "the host is looked at when it is asked for.",
  async run(args, terminal) {
    const [verb, ...rest] = args;
    if (verb === undefined) throw new UsageError('Missing subcommand for "metrics" command');
    const run = Object.hasOwn(verbs, verb) ? verbs[verb] : undefined;
    if (run === undefined) throw new UsageError(`Invalid parameter '${verb}'`);
    const parsed = parseArguments(rest, [
      option("period", "integer"),
      option("samples", "integer"),
      option("list", "switch"),
      option("detach", "switch"),
    ]);
    const [object = "*", metrics = "*", surplus] = parsed.positionals;
    if (surplus !== undefined) throw new UsageError(`Invalid parameter '${surplus}'`);
    await run({ parsed, terminal, object, subjects: subjectsOf(object), isWanted: metricTest(metrics) });
    return undefined;
  },
};

interface Call {
  readonly parsed: ParsedArguments;
  readonly terminal: Terminal;
  readonly object: string;
  readonly subjects: readonly Subject[];
  readonly isWanted: (metric: string) => boolean;
}

const verbs: Readonly<Record<string, (call: Call) => Promise<void>>> = {
  list: listMetrics,
  query,
  collect,
  setup,
  enable: (call) => switchMetrics(call, true),
  disable: (call) => switchMetrics(call, false),
};

function subjectsOf(object: string): Subject[] {
  const host: Subject = { name: "host", metrics: hostMetrics };
  if (object === "host") return [host];
  const machines = registeredMachines().flatMap(({ settings: vbox }) =>
    vbox instanceof ResultError ? [] : [{ name: vbox.name, metrics: machineMetrics, vbox }],
  );
  if (object === "*") return [host, ...machines];
  const found = machines.filter(({ name, vbox }) => name === object || vbox.uuid === object.replace(/[{}]/g, ""));
  if (found.length > 0) return found;
  throw new ResultError(
    "VBOX_E_OBJECT_NOT_FOUND",
    "VirtualBoxWrap",
    `Could not find a registered machine named '${object}'`,
  );
}

/** Names, separated by commas; a name stands for all below it. */
function metricTest(list: string): (metric: string) => boolean {
  const names = list.split(",");
  return (metric) =>
    names.some(
      (name) => name === "*" || metric === name || metric.startsWith(`${name}/`) || metric.replace(/:.*/, "") === name,
    );
}

function setupOf({ vbox }: Subject): MetricSetup {
  return parseMetricSetup(vbox?.extraData(metricSetupKey)) ?? defaultMetricSetup;
}

/** Asks a VM's process; undefined when the VM does not run. */
async function ask<T>({ vbox }: Subject, work: (client: ControlClient) => Promise<T>): Promise<T | undefined> {
  if (vbox === undefined) return undefined;
  let client: ControlClient;
  try {
    client = await connect(vbox.uuid);
  } catch {
    return undefined;
  }
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

async function listMetrics({ terminal, subjects, isWanted }: Call): Promise<void> {
  terminal.out(
    "Object          Metric                                   Unit Minimum    Maximum    Period     Count      Description\n" +
      "--------------- ---------------------------------------- ---- ---------- ---------- ---------- ---------- -----------\n",
  );
  for (const subject of subjects) {
    const live = await ask(subject, (client) => client.request("metrics", {}));
    const { periodSeconds, samples } = live ?? setupOf(subject);
    for (const { name, unit, maximum, description } of subject.metrics) {
      for (const aggregate of aggregates) {
        if (!isWanted(name + aggregate)) continue;
        const numbers = [0, maximum, periodSeconds, aggregate === "" ? samples : 1];
        const columns = numbers.map((value) => String(value).padStart(10)).join(" ");
        terminal.out(
          `${subject.name.padEnd(15)} ${(name + aggregate).padEnd(40)} ${unit.padEnd(4)} ${columns} ${description}\n`,
        );
      }
    }
  }
}

async function query({ terminal, subjects, isWanted }: Call): Promise<void> {
  terminal.out(
    "Object          Metric                                   Values\n" +
      "--------------- ---------------------------------------- --------------------------------------------\n",
  );
  const meter = new HostMeter();
  if (subjects.some(({ vbox }) => vbox === undefined)) await sleep(HOST_LOOK_MS);
  for (const subject of subjects) {
    for (const { name, text } of await valuesOf(subject, meter, isWanted))
      terminal.out(`${subject.name.padEnd(15)} ${name.padEnd(40)} ${text}\n`);
  }
}

/** The values of a subject as text; nothing for a VM that does not run or has not measured yet. */
async function valuesOf(
  subject: Subject,
  meter: HostMeter,
  isWanted: (metric: string) => boolean,
): Promise<{ name: string; text: string }[]> {
  let values: MetricReport["values"];
  if (subject.vbox === undefined) {
    values = Object.fromEntries(Object.entries(meter.values()).map(([name, value]) => [name, [value]]));
  } else values = (await ask(subject, (client) => client.request("metrics", {})))?.values ?? {};
  return subject.metrics.flatMap(({ name, unit }) => {
    const kept = values[name] ?? [];
    if (kept.length === 0) return [];
    const text = (numbers: readonly number[]) => numbers.map((value) => valueText(value, unit)).join(", ");
    const average = kept.reduce((sum, value) => sum + value, 0) / kept.length;
    const rows = [kept, [average], [Math.min(...kept)], [Math.max(...kept)]];
    return aggregates.flatMap((aggregate, i) =>
      isWanted(name + aggregate) ? [{ name: name + aggregate, text: text(rows[i]) }] : [],
    );
  });
}

function valueText(value: number, unit: MetricDefinition["unit"]): string {
  return unit === "%" ? `${value.toFixed(2)}%` : `${Math.round(value)} ${unit}`;
}

function wantedSetup(parsed: ParsedArguments): MetricSetup {
  const setup = { periodSeconds: parsed.integer("period") ?? 1, samples: parsed.integer("samples") ?? 1 };
  if (isMetricSetup(setup)) return setup;
  const { periodSeconds, samples } = metricLimits;
  throw new CommandError(`A period is 1 to ${periodSeconds} seconds, and 1 to ${samples} samples are kept`);
}

async function setUp({ parsed, object, subjects }: Call): Promise<MetricSetup> {
  const wanted = wantedSetup(parsed);
  const text = `${wanted.periodSeconds},${wanted.samples}`;
  // For VMs that are made later.
  if (object === "*") editRegistry((registry) => setExtraDataIn(registry.global, metricSetupKey, text));
  for (const subject of subjects) {
    if (subject.vbox === undefined) continue;
    editVbox(subject.vbox.path, (vbox) => vbox.setExtraData(metricSetupKey, text));
    await ask(subject, (client) => client.request("metricssetup", wanted));
  }
  return wanted;
}

async function setup(call: Call): Promise<void> {
  await setUp(call);
  if (call.parsed.has("list")) await listMetrics({ ...call, subjects: subjectsOf(call.object) });
}

async function switchMetrics({ parsed, subjects, terminal }: Call, isEnabled: boolean): Promise<void> {
  const [, metrics = "*"] = parsed.positionals;
  // A VM's are on or off together: what was not named must not go off with the rest.
  if (metrics !== "*") throw new CommandError("All metrics of a VM are enabled and disabled together");
  for (const subject of subjects) {
    const isDone = await ask(subject, (client) => client.request("metricsswitch", { enabled: isEnabled }));
    if (subject.vbox !== undefined && isDone === undefined && subjects.length === 1)
      terminal.warn(`'${subject.name}' does not run: its metrics are enabled at each start`);
  }
}

async function collect(call: Call): Promise<void> {
  const { parsed, terminal, subjects, isWanted } = call;
  const { periodSeconds, samples } = await setUp(call);
  if (parsed.has("list")) await listMetrics({ ...call, subjects: subjectsOf(call.object) });
  if (parsed.has("detach")) return;
  terminal.out(
    "Time stamp   Object          Metric                                   Value\n" +
      "------------ --------------- ---------------------------------------- --------------------\n",
  );
  const meter = new HostMeter();
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stop.abort());
  process.stdout.on("error", () => stop.abort());
  while (!stop.signal.aborted) {
    try {
      await sleep(periodSeconds * samples * 1000, undefined, { signal: stop.signal });
    } catch {
      return;
    }
    const time = new Date().toTimeString().slice(0, 8) + `.${String(Date.now() % 1000).padStart(3, "0")}`;
    for (const subject of subjects) {
      for (const { name, text } of await valuesOf(subject, meter, isWanted))
        terminal.out(`${time} ${subject.name.padEnd(15)} ${name.padEnd(40)} ${text}\n`);
    }
  }
}
