/**
 * guestproperty: the properties in a VM's settings file. Nothing in the guest reads or writes them yet, so `wait` is not
 * here.
 */
import { findMachine } from "../config/machine-lookup.ts";
import { ResultError } from "../config/result-codes.ts";
import { ensure } from "../config/settings-file.ts";
import { editVbox, type VboxFile } from "../config/vbox-file.ts";
import type { Command, Terminal } from "./command.ts";
import { CommandError, UsageError } from "./errors.ts";
import { option, parseArguments } from "./options.ts";

const limits = { nameBytes: 64, valueBytes: 1024, count: 256 } as const;

export const command: Command = {
  usage: [
    "get VM NAME [--verbose]",
    "set VM NAME [VALUE] [--flags FLAG,...]",
    "unset|delete VM NAME",
    "enumerate VM [--old-format] [--no-timestamp] [--no-flags] [PATTERN...]",
  ],
  about: "Reads and changes guest properties. A pattern may have * and ?.",
  run(args, terminal) {
    const [verb, ...rest] = args;
    if (verb === "wait") throw new CommandError("'guestproperty wait' is not available in this version of Anneau");
    if (verb === undefined || !Object.hasOwn(verbs, verb)) {
      throw new UsageError(verb === undefined ? "Missing subcommand" : `Invalid parameter '${verb}'`);
    }
    verbs[verb](rest, terminal);
    return undefined;
  },
};

const verbs: Record<string, (args: readonly string[], terminal: Terminal) => void> = {
  get(args, terminal) {
    const parsed = parseArguments(args, [option("verbose", "switch")]);
    const [vm, name] = positionals(parsed.positionals, 2, 2);
    const property = list(findMachine(vm)).find((one) => one.name === name);
    if (property === undefined) {
      terminal.out("No value set!\n");
      return;
    }
    terminal.out(`Value: ${property.value}\n`);
    if (parsed.has("verbose")) terminal.out(`Timestamp: ${property.timestamp}\nFlags: ${property.flags}\n`);
  },
  set(args) {
    const parsed = parseArguments(args, [option("flags", "text")]);
    const [vm, name, value] = positionals(parsed.positionals, 2, 3);
    change(vm, name, value ?? "", parsed.text("flags"));
  },
  unset(args) {
    const [vm, name] = positionals(parseArguments(args, []).positionals, 2, 2);
    change(vm, name, "", undefined);
  },
  delete(args, terminal) {
    verbs.unset(args, terminal);
  },
  enumerate(args, terminal) {
    const parsed = parseArguments(args, [
      option("old-format", "switch"),
      option("no-timestamp", "switch"),
      option("no-flags", "switch"),
      option("relative", "switch"),
      option("patterns", "text"),
    ]);
    const [vm, ...patterns] = parsed.positionals;
    if (vm === undefined) throw new UsageError("VM name not specified");
    patterns.push(...(parsed.text("patterns")?.split("|") ?? []));
    const wanted = patterns.map(patternToRegExp);
    const found = list(findMachine(vm)).filter(
      ({ name }) => wanted.length === 0 || wanted.some((one) => one.test(name)),
    );
    if (parsed.has("old-format")) {
      if (found.length === 0) terminal.out("No properties found.\n");
      for (const { name, value, timestamp, flags } of found) {
        terminal.out(`Name: ${name}, value: ${value}, timestamp: ${timestamp}, flags: ${flags}\n`);
      }
      return;
    }
    const width = Math.max(0, ...found.map(({ name }) => name.length));
    for (const { name, value, timestamp, flags } of found) {
      const time = parsed.has("no-timestamp") ? "" : ` @ ${isoTime(timestamp)}`;
      const flagText = parsed.has("no-flags") || flags === "" ? "" : ` (${flags})`;
      terminal.out(`${name.padEnd(width)} = '${value}'${time}${flagText}\n`);
    }
  },
};

interface GuestProperty {
  readonly name: string;
  readonly value: string;
  /** Nanoseconds since 1970. */
  readonly timestamp: string;
  readonly flags: string;
}

function list(vbox: VboxFile): GuestProperty[] {
  const elements = vbox.machine.find("Hardware/GuestProperties")?.elements("GuestProperty") ?? [];
  const properties = elements.map((element) => ({
    name: element.get("name") ?? "",
    value: element.get("value") ?? "",
    timestamp: element.get("timestamp") ?? "0",
    flags: element.get("flags") ?? "",
  }));
  return properties.sort((a, b) => (a.name < b.name ? -1 : 1));
}

const knownFlags = /^(TRANSIENT|TRANSRESET|RDONLYGUEST|RDONLYHOST|READONLY)$/;

function change(vm: string, name: string, value: string, flags: string | undefined): void {
  const refuse = (message: string) => new ResultError("E_INVALIDARG", "MachineWrap", message);
  const nameBytes = Buffer.byteLength(name);
  if (nameBytes === 0 || nameBytes >= limits.nameBytes || /[*?|]/.test(name)) {
    throw refuse(`Invalid guest property name '${name}'`);
  }
  if (Buffer.byteLength(value) >= limits.valueBytes) throw refuse("The guest property's value is too long");
  for (const flag of flags?.split(",") ?? []) {
    if (!knownFlags.test(flag.trim().toUpperCase())) throw refuse(`Invalid guest property flag '${flag}'`);
  }
  editVbox(findMachine(vm).path, (vbox) => {
    const parent =
      value === "" ? vbox.machine.find("Hardware/GuestProperties") : ensure(vbox.machine, "Hardware/GuestProperties");
    const property = parent?.elements("GuestProperty").find((one) => one.get("name") === name);
    if (value === "") {
      if (property) parent?.remove(property);
      return;
    }
    if (property === undefined && (parent?.elements().length ?? 0) >= limits.count) {
      throw refuse(`A VM has at most ${limits.count} guest properties`);
    }
    (property ?? parent?.add("GuestProperty").set("name", name))
      ?.set("value", value)
      .set("timestamp", String(BigInt(Date.now()) * 1_000_000n))
      .set("flags", flags?.toUpperCase() ?? property?.get("flags") ?? "");
  });
}

function positionals(given: readonly string[], min: number, max: number): readonly string[] {
  if (given.length < min) throw new UsageError("Not enough parameters");
  if (given.length > max) throw new UsageError(`Invalid parameter '${given[max]}'`);
  return given;
}

function patternToRegExp(pattern: string): RegExp {
  const text = pattern
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${text}$`, "s");
}

function isoTime(timestamp: string): string {
  const ms = /^[0-9]{1,19}$/.test(timestamp) ? Number(BigInt(timestamp) / 1_000_000n) : 0;
  return new Date(ms).toISOString();
}
