/** showvminfo: a VM's settings and state, for people or, with --machinereadable, for programs; --log shows its log. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { lookUpMachine } from "../config/machine-lookup.ts";
import { fileError, ResultError } from "../config/result-codes.ts";
import { type Command, onlyOne } from "./command.ts";
import { CommandError } from "./errors.ts";
import { currentState } from "./live-machine.ts";
import { option, parseArguments } from "./options.ts";
import { machineReport } from "./vminfo/whole.ts";

const options = [
  option("machinereadable machine-readable", "switch"),
  option("details", "switch"),
  option("log", "integer"),
  option("password-id", "text"),
  option("password", "text"),
];

export const command: Command = {
  usage: ["VM [--details] [--machinereadable]", "VM --log INDEX"],
  about: "Shows everything that is set for a VM and its state.",
  async run(args, terminal) {
    const parsed = parseArguments(args, options);
    const { entry, settings } = lookUpMachine(onlyOne(parsed.positionals, "VM name"));
    const isMachineReadable = parsed.has("machinereadable");
    if (settings instanceof ResultError) {
      // Clients tell a VM whose files are gone by this name.
      if (!isMachineReadable) throw settings;
      terminal.out(`name="<inaccessible>"\nUUID="${entry.uuid}"\n`);
      return undefined;
    }
    const log = parsed.integer("log");
    if (log !== undefined) {
      if (log < 0) throw new CommandError(`Invalid log index ${log}`);
      const path = join(settings.logFolder, log === 0 ? "VBox.log" : `VBox.log.${log}`);
      try {
        terminal.out(readFileSync(path, "utf8"));
      } catch (error) {
        throw fileError(error, "Could not read the log", path, "MachineWrap");
      }
      return undefined;
    }
    const { state, live } = await currentState(settings);
    terminal.out(machineReport(settings, state, live, isMachineReadable));
    return undefined;
  },
};
