/**
 * The option grammar that VBoxManage's clients use: `--opt value`, `--opt=value`, `--opt:value`, old single-dash
 * spellings (`-name`), per-slot options with the number glued on, behind a dash or as a word of its own (`--nic1`,
 * `--nic-1`, `--nic 1`), options before or after positional arguments, `--` to end them. Options are declared in tables.
 */
import { UsageError } from "./errors.ts";

/** `switch` takes no value; `onoff` a boolean; the rest one value and, where `more` says so, further ones. */
export type ValueKind = "switch" | "onoff" | "text" | "integer" | "uuid";

export interface OptionSpec {
  /** Spellings without leading dashes, the canonical one first. A one-letter name is a short option. */
  readonly names: readonly string[];
  readonly kind: ValueKind;
  /** Highest slot number of a per-slot option. */
  readonly slots?: number;
  /** How many values follow the first one. */
  readonly more?: (first: string) => number;
}

export interface ParsedOption {
  readonly spec: OptionSpec;
  /** Canonical name. */
  readonly name: string;
  /** As typed, for messages. */
  readonly typed: string;
  /** 1-based; 0 for options without slots. */
  readonly slot: number;
  /** Text of every value; empty for a switch. */
  readonly values: readonly string[];
}

export class ParsedArguments {
  readonly options: readonly ParsedOption[];
  readonly positionals: readonly string[];

  constructor(options: readonly ParsedOption[], positionals: readonly string[]) {
    this.options = options;
    this.positionals = positionals;
  }

  /** The last use of an option. */
  option(name: string): ParsedOption | undefined {
    return this.options.findLast((option) => option.name === name);
  }

  has(name: string): boolean {
    return this.option(name) !== undefined;
  }

  text(name: string): string | undefined {
    return this.option(name)?.values[0];
  }

  onOff(name: string): boolean | undefined {
    const value = this.text(name);
    return value === undefined ? undefined : parseOnOff(value);
  }

  integer(name: string): number | undefined {
    const value = this.text(name);
    return value === undefined ? undefined : Number(value);
  }
}

/** on/off in the spellings that do no harm; undefined for anything else. */
export function parseOnOff(text: string): boolean | undefined {
  if (/^(on|true|yes|1|enabled?)$/i.test(text)) return true;
  if (/^(off|false|no|0|disabled?)$/i.test(text)) return false;
  return undefined;
}

/** `spec`: canonical name and aliases, separated by spaces. */
export function option(spec: string, kind: ValueKind, extra: Pick<OptionSpec, "slots" | "more"> = {}): OptionSpec {
  return { names: spec.split(" "), kind, ...extra };
}

interface Found {
  readonly spec: OptionSpec;
  readonly slot: number | undefined;
}

class OptionTable {
  private readonly specs = new Map<string, OptionSpec>();

  constructor(specs: readonly OptionSpec[]) {
    for (const spec of specs) for (const name of spec.names) this.specs.set(name, spec);
  }

  find(name: string): Found | undefined {
    const exact = this.specs.get(name);
    if (exact) return { spec: exact, slot: exact.slots === undefined ? 0 : undefined };
    const digits = /^(.*?[^0-9-])-?([0-9]{1,3})$/.exec(name);
    const spec = digits ? this.specs.get(digits[1]) : undefined;
    return spec?.slots !== undefined && digits ? { spec, slot: Number(digits[2]) } : undefined;
  }
}

/** Splits arguments by the table. Throws UsageError with the texts that clients know. */
export function parseArguments(args: readonly string[], specs: readonly OptionSpec[]): ParsedArguments {
  const table = new OptionTable(specs);
  const options: ParsedOption[] = [];
  const positionals: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const argument = args[at];
    if (argument === "--") {
      positionals.push(...args.slice(at + 1));
      break;
    }
    const typed = /^(--?)([A-Za-z?][^=:]*)(?:[=:]([\s\S]*))?$/.exec(argument);
    if (typed === null) {
      if (/^-[^0-9]/.test(argument)) throw new UsageError(`Unknown option: ${argument}`);
      positionals.push(argument);
      continue;
    }
    const [, dashes, name, glued] = typed;
    const isShort = name.length === 1;
    const found = isShort && dashes === "--" ? undefined : table.find(name);
    if (found === undefined) throw new UsageError(`Unknown option: ${argument}`);
    const { spec } = found;
    const values: string[] = glued === undefined ? [] : [glued];
    const label = `${dashes}${name}`;
    const take = () => {
      if (at + 1 >= args.length) throw new UsageError(`Missing value for option '${label}'`);
      values.push(args[++at]);
    };
    let slot = found.slot;
    if (slot === undefined) {
      if (values.length === 0) take();
      slot = /^[0-9]{1,3}$/.test(values[0]) ? Number(values.shift()) : Number.NaN;
    }
    if (spec.slots !== undefined && !(slot >= 1 && slot <= spec.slots)) {
      throw new UsageError(`Invalid slot number in option '${label}' (must be in range [1, ${spec.slots}])`);
    }
    if (spec.kind === "switch") {
      if (values.length > 0) throw new UsageError(`Option '${label}' takes no value`);
    } else {
      if (values.length === 0) take();
      for (let more = spec.more?.(values[0]) ?? 0; more > 0; more--) take();
      checkValue(spec.kind, values[0], label);
    }
    options.push({ spec, name: spec.names[0], typed: label, slot, values });
  }
  return new ParsedArguments(options, positionals);
}

function checkValue(kind: ValueKind, value: string, label: string): void {
  const isGood =
    kind === "onoff"
      ? parseOnOff(value) !== undefined
      : kind === "integer"
        ? /^(-?[0-9]{1,15}|0[xX][0-9a-fA-F]{1,12})$/.test(value)
        : kind !== "uuid" || /^\{?[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}?$/.test(value);
  if (!isGood) throw new UsageError(`Invalid argument format for option '${label}': '${value}'`);
}
