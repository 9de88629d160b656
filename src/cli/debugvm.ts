/** debugvm: looking into a running machine. */
import { resolve } from "node:path";
import type { ControlClient } from "../control/client.ts";
import { flattenCounters } from "../device-api/counters.ts";
import { type Command, noneLeft, type Terminal } from "./command.ts";
import { CommandError, UsageError } from "./errors.ts";
import { asResultError, connect, findRunning, requestPatienceMs } from "./live-machine.ts";
import { option, type ParsedArguments, parseArguments } from "./options.ts";

const dumpPatienceMs = 600_000;

interface Verb {
  readonly options: Parameters<typeof parseArguments>[1];
  run(client: ControlClient, parsed: ParsedArguments, terminal: Terminal): Promise<void>;
}

const verbs: Readonly<Record<string, Verb>> = {
  dumpvmcore: {
    options: [option("filename", "text"), option("compression", "text")],
    async run(client, parsed) {
      noneLeft(parsed.positionals);
      const filename = parsed.text("filename");
      if (!filename) throw new UsageError("Parameter --filename is required");
      if (parsed.has("compression"))
        throw new CommandError("Compressed cores are not available in this version of Anneau");
      await client.request("dumpcore", { path: resolve(filename) }, dumpPatienceMs);
    },
  },
  info: {
    options: [],
    async run(client, { positionals }, terminal) {
      const [item, surplus] = positionals;
      if (item === undefined) throw new UsageError("Missing argument: info ITEM (`info help` lists them)");
      if (surplus !== undefined) throw new UsageError(`Invalid parameter '${surplus}'`);
      const { text } = await client.request("info", { item });
      terminal.out(`${text}\n`);
    },
  },
  injectnmi: {
    options: [],
    async run(client, { positionals }) {
      noneLeft(positionals);
      await client.request("injectnmi", {});
    },
  },
  getregisters: {
    options: [option("cpu", "integer")],
    async run(client, parsed, terminal) {
      const cpu = parsed.integer("cpu") ?? 0;
      if (cpu !== 0) throw new CommandError(`There is no CPU ${cpu}`);
      const names = parsed.positionals.map((name) => name.toLowerCase().replace(/^cpu0\./, ""));
      if (names.length === 0) throw new UsageError("Missing argument: getregisters REGISTER ...|all");
      const { registers } = await client.request("registerset", {});
      const wanted = names.includes("all") ? Object.keys(registers) : names;
      for (const name of wanted) {
        if (!Object.hasOwn(registers, name)) throw new CommandError(`There is no register '${name}'`);
        const digits = /^[c-gs]s$/.test(name) ? 4 : 8;
        terminal.out(`${name} = 0x${registers[name].toString(16).padStart(digits, "0")}\n`);
      }
    },
  },
  statistics: {
    options: [option("reset", "switch"), option("descriptions", "switch"), option("pattern", "text")],
    async run(client, parsed, terminal) {
      noneLeft(parsed.positionals);
      if (parsed.has("reset")) throw new CommandError("Counters cannot be reset in this version of Anneau");
      const isWanted = patternTest(parsed.text("pattern") ?? "*");
      const { counters } = await client.request("counters", {});
      const lines = flattenCounters(counters)
        .filter(({ name }) => isWanted(name))
        .map(({ name, value }) => `<Counter c="${value}" unit="${unitOf(name)}" name="${quoted(name)}"/>\n`);
      terminal.out(
        `<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n<Statistics>\n${lines.join("")}</Statistics>\n`,
      );
    },
  },
};

/** VBoxManage's verbs that are not here. */
const unavailable = /^(log|logdest|logflags|osdetect|osinfo|osdmesg|setregisters|show|stack|guestsample)$/;

export const command: Command = {
  usage: [
    "VM dumpvmcore --filename=FILE",
    "VM info ITEM",
    "VM injectnmi",
    "VM getregisters REGISTER ...|all",
    "VM statistics [--pattern=PATTERN]",
  ],
  about:
    "Looks into a running VM. dumpvmcore writes guest memory and registers as an ELF core file; `info help` lists what there\n" +
    "is to see. A pattern has * and ? and alternatives separated by |.",
  async run(args, terminal) {
    const [id, verb, ...rest] = args;
    if (id === undefined) throw new UsageError("VM name not specified");
    if (verb === undefined) throw new UsageError('Missing subcommand for "debugvm" command');
    if (!Object.hasOwn(verbs, verb)) {
      if (!unavailable.test(verb)) throw new UsageError(`Invalid parameter '${verb}'`);
      throw new CommandError(`'debugvm ${verb}' is not available in this version of Anneau`);
    }
    const parsed = parseArguments(rest, verbs[verb].options);
    const { uuid } = await findRunning(id);
    const client = await connect(uuid, requestPatienceMs);
    try {
      await verbs[verb].run(client, parsed, terminal);
    } catch (error) {
      throw asResultError(error);
    } finally {
      client.close();
    }
    return undefined;
  },
};

function unitOf(name: string): string {
  if (name.endsWith("Ns")) return "ns";
  if (name.endsWith("Bytes")) return "bytes";
  return name.endsWith("PerSecond") ? "1/s" : "times";
}

function patternTest(pattern: string): (name: string) => boolean {
  const alternatives = pattern.split("|").map((one) => {
    const text = one
      .replace(/[\\^$.+()[\]{}]/g, "\\$&")
      .replaceAll("*", ".*")
      .replaceAll("?", ".");
    return new RegExp(`^${text}$`, "i");
  });
  return (name) => alternatives.some((one) => one.test(name));
}

function quoted(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");
}
