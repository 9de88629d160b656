/** modifyvm: changes settings of a VM that does not run; all of one call, or none of it. */
import { lookUpMachine } from "../config/machine-lookup.ts";
import { clearDeadSession, refuseWhileRunning, sessionOf } from "../config/machine-session.ts";
import { editRegistry, loadRegistry, type Registry } from "../config/registry.ts";
import { ResultError } from "../config/result-codes.ts";
import { withSettingsLock } from "../config/settings-file.ts";
import { loadVbox, type VboxFile } from "../config/vbox-file.ts";
import { type Command, onlyOne } from "./command.ts";
import { UsageError } from "./errors.ts";
import { renameFiles } from "./modifyvm/general.ts";
import type { ModifyOption } from "./modifyvm/option.ts";
import { modifyOptions } from "./modifyvm/table.ts";
import { type ParsedOption, parseArguments } from "./options.ts";

export const command: Command = {
  usage: ["VM OPTION VALUE [OPTION VALUE ...]"],
  about: `Options: ${modifyOptions
    .map(({ names, slots }) => `--${names[0]}${slots ? "N" : ""}`)
    .join(" ")
    .replace(/(.{1,100})( |$)/g, "\n  $1")}\n\nWhich of them are carried out: docs/vboxmanage.md.`,
  run(args) {
    const { options, positionals } = parseArguments(args, modifyOptions);
    const id = onlyOne(positionals, "VM name");
    if (options.length === 0) throw new UsageError("No options specified");
    if (options.some(({ spec }) => (spec as ModifyOption).needsRegistry)) {
      editRegistry((registry) => modify(id, options, registry, registry));
    } else modify(id, options, loadRegistry(), undefined);
    return undefined;
  },
};

function modify(id: string, options: readonly ParsedOption[], registry: Registry, locked: Registry | undefined): void {
  const { settings } = lookUpMachine(id, registry);
  if (settings instanceof ResultError) throw settings;
  const { path } = settings;
  withSettingsLock(path, () => {
    const vbox = loadVbox(path);
    refuseWhileRunning(path, vbox.name);
    recordAbort(vbox);
    for (const option of options) (option.spec as ModifyOption).apply(vbox, option, { registry: locked });
    const newPath = locked ? renameFiles(vbox, locked) : path;
    (newPath === path ? vbox : vbox.movedTo(newPath)).save();
  });
}

/** A VM process that was killed could not note it: the next change of settings does. */
export function recordAbort(vbox: VboxFile): void {
  if (sessionOf(vbox.path).kind !== "dead") return;
  vbox.isAborted = true;
  vbox.touchStateChange();
  clearDeadSession(vbox.path);
}
