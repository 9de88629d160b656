/** setextradata and getextradata: key/value pairs of a VM or of the registry. */
import { findMachine } from "../config/machine-lookup.ts";
import { editRegistry, loadRegistry } from "../config/registry.ts";
import { editVbox, setExtraDataIn } from "../config/vbox-file.ts";
import type { XmlElement } from "../config/xml.ts";
import type { Command } from "./command.ts";
import { UsageError } from "./errors.ts";

export const setCommand: Command = {
  usage: ["global|VM KEY [VALUE]"],
  about: "Sets a value; without one the key is deleted.",
  run(args) {
    if (args.length < 2) throw new UsageError("Not enough parameters");
    if (args.length > 3) throw new UsageError(`Invalid parameter '${args[3]}'`);
    const [owner, key, given] = args;
    const value = given === undefined || given === "" ? undefined : given;
    if (owner === "global") editRegistry((registry) => setExtraDataIn(registry.global, key, value));
    else editVbox(findMachine(owner).path, (vbox) => vbox.setExtraData(key, value));
    return undefined;
  },
};

export const getCommand: Command = {
  usage: ["global|VM KEY|enumerate"],
  about: "Prints a value, or all of them.",
  run(args, terminal) {
    if (args.length < 2) throw new UsageError("Not enough parameters");
    if (args.length > 2) throw new UsageError(`Invalid parameter '${args[2]}'`);
    const [owner, key] = args;
    const element: XmlElement = owner === "global" ? loadRegistry().global : findMachine(owner).machine;
    const items = element.element("ExtraData")?.elements("ExtraDataItem") ?? [];
    if (key === "enumerate") {
      for (const item of items) terminal.out(`Key: ${item.get("name") ?? ""}, Value: ${item.get("value") ?? ""}\n`);
      return undefined;
    }
    const value = items.find((item) => item.get("name") === key)?.get("value");
    terminal.out(value === undefined ? "No value set!\n" : `Value: ${value}\n`);
    return undefined;
  },
};
