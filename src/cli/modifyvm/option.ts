/**
 * One option of modifyvm: how it is spelled and parsed, what it does to the settings, and whether Anneau carries it out.
 * The same table drives parsing, the docs page and the test that walks every option.
 */
import { labelOf, type Setting } from "../../config/machine-settings.ts";
import type { Registry } from "../../config/registry.ts";
import { ResultError } from "../../config/result-codes.ts";
import type { VboxFile } from "../../config/vbox-file.ts";
import { CommandError } from "../errors.ts";
import { type OptionSpec, type ParsedOption, parseOnOff, type ValueKind } from "../options.ts";

/**
 * `works`: carried out. `stored`: kept and shown; it concerns hosts with hardware virtualisation, other front ends and the
 * like, and makes no difference here. `warned`: kept, and said at start that it is not carried out. `refused`: kept, and
 * the VM refuses to start with it, because the guest would be another machine.
 */
export type OptionStatus = "works" | "stored" | "warned" | "refused";

export interface ModifyContext {
  /** Present when the option said `needsRegistry`. */
  readonly registry: Registry | undefined;
}

export interface ModifyOption extends OptionSpec {
  readonly group: string;
  readonly status: OptionStatus;
  /** Which values have the status, when not all do; or a word on what is done. */
  readonly note?: string;
  /** Values that show the option in use, for docs and for the walk over all options; the status applies to them. */
  readonly example: readonly string[];
  /** `--name`, deprecated storage: the registry is locked and at hand. */
  readonly needsRegistry?: boolean;
  apply(vbox: VboxFile, option: ParsedOption, context: ModifyContext): void;
}

interface Details {
  readonly status?: OptionStatus;
  readonly note?: string;
  readonly example?: readonly string[];
  readonly slots?: number;
  readonly more?: (first: string) => number;
  readonly needsRegistry?: boolean;
}

/** The general form. `names`: canonical name and aliases, separated by spaces. */
export function custom(
  names: string,
  kind: ValueKind,
  apply: ModifyOption["apply"],
  details: Details & { readonly example: readonly string[] },
): Omit<ModifyOption, "group"> {
  return { names: names.split(" "), kind, status: details.status ?? "works", ...details, apply };
}

/** An on/off option for one boolean setting. */
export function onOff(names: string, setting: Setting<boolean>, details: Details = {}): Omit<ModifyOption, "group"> {
  const apply = (vbox: VboxFile, { values }: ParsedOption) => vbox.set(setting, parseOnOff(values[0]) as boolean);
  return custom(names, "onoff", apply, { example: [setting.fallback ? "off" : "on"], ...details });
}

/** A number with limits; `refusal` makes VirtualBox's text for one out of range. */
export function number(
  names: string,
  setting: Setting<number>,
  range: { readonly min: number; readonly max: number; readonly refusal: (value: number) => string },
  details: Details & { readonly example: readonly string[] },
): Omit<ModifyOption, "group"> {
  return custom(
    names,
    "integer",
    (vbox, { values }) => {
      const value = Number(values[0]);
      if (value < range.min || value > range.max) throw invalid(range.refusal(value));
      vbox.set(setting, value);
    },
    details,
  );
}

/** A number without a text of VirtualBox's own for values out of range. */
export function plainNumber(
  names: string,
  setting: Setting<number>,
  min: number,
  max: number,
  details: Details & { readonly example: readonly string[] },
): Omit<ModifyOption, "group"> {
  const name = names.split(" ")[0];
  const refusal = (value: number) => `Invalid --${name} value: ${value} (must be in range [${min}, ${max}])`;
  return number(names, setting, { min, max, refusal }, details);
}

/** Text, with a word that means "none of it". */
export function text(
  names: string,
  setting: Setting<string>,
  details: Details & { readonly example: readonly string[]; readonly emptyWord?: string },
): Omit<ModifyOption, "group"> {
  const { emptyWord, ...rest } = details;
  return custom(
    names,
    "text",
    (vbox, { values }) => vbox.set(setting, emptyWord !== undefined && values[0] === emptyWord ? "" : values[0]),
    rest,
  );
}

/** One of a setting's choices; `spellings` maps typed words to values where they differ. */
export function choice(
  names: string,
  setting: Setting<string>,
  details: Details & { readonly example: readonly string[]; readonly spellings?: Readonly<Record<string, string>> },
): Omit<ModifyOption, "group"> {
  const { spellings, ...rest } = details;
  return custom(
    names,
    "text",
    (vbox, option) => {
      const typed = option.values[0].toLowerCase();
      const value =
        spellings && Object.hasOwn(spellings, typed)
          ? spellings[typed]
          : setting.choices?.find((one) => one.value === typed)?.value;
      if (value === undefined) throw invalidArgument(option);
      vbox.set(setting, value);
    },
    rest,
  );
}

export function inGroup(group: string, options: readonly Omit<ModifyOption, "group">[]): ModifyOption[] {
  return options.map((option) => ({ ...option, group }));
}

/** VirtualBox's words for a value that an option does not know; the exit code is 1. */
export function invalidArgument(option: ParsedOption, value = option.values[0]): CommandError {
  return new CommandError(`Invalid ${option.typed} argument '${value}'`);
}

export function invalid(message: string): ResultError {
  return new ResultError("E_INVALIDARG", "MachineWrap", message);
}

/** Typed words of a choice, for messages and docs. */
export function wordsOf(setting: Setting<string>): string {
  return (setting.choices ?? []).map(({ value }) => labelOf(setting, value)).join(", ");
}
