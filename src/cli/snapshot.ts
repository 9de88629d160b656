/** snapshot: lists the snapshots that a settings file has. Taking, restoring and deleting them is not here yet. */
import { findMachine } from "../config/machine-lookup.ts";
import type { Command } from "./command.ts";
import { CommandError, exitCodes, UsageError } from "./errors.ts";
import { option, parseArguments } from "./options.ts";
import { reportSnapshots } from "./vminfo/peripherals.ts";
import { InfoReport } from "./vminfo/report.ts";

export const command: Command = {
  usage: ["VM list [--details | --machinereadable]"],
  about: "Lists a VM's snapshots.",
  run(args, terminal) {
    const parsed = parseArguments(args, [
      option("details", "switch"),
      option("machinereadable machine-readable", "switch"),
      option("description", "text"),
      option("name", "text"),
      option("live", "switch"),
      option("uniquename", "text"),
      option("current", "switch"),
    ]);
    const [id, verb] = parsed.positionals;
    if (id === undefined) throw new UsageError("VM name not specified");
    const vbox = findMachine(id);
    if (verb === undefined) throw new UsageError('Missing subcommand for "snapshot" command');
    if (verb !== "list") {
      if (!/^(take|delete|restore|restorecurrent|edit|showvminfo)$/.test(verb)) {
        throw new UsageError(`Invalid parameter '${verb}'`);
      }
      throw new CommandError(`'snapshot ${verb}' is not available in this version of Anneau`);
    }
    const report = new InfoReport(parsed.has("machinereadable"));
    if (!reportSnapshots(report, vbox, false)) {
      terminal.out("This machine does not have any snapshots\n");
      return exitCodes.failure;
    }
    terminal.out(report.toString());
    return undefined;
  },
};
