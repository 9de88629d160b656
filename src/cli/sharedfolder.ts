/** sharedfolder: adds and removes permanent shared folders of a VM; they are stored and not yet offered to the guest. */
import { resolve } from "node:path";
import { findMachine } from "../config/machine-lookup.ts";
import { refuseWhileRunning } from "../config/machine-session.ts";
import { ResultError } from "../config/result-codes.ts";
import { ensure } from "../config/settings-file.ts";
import { editVbox } from "../config/vbox-file.ts";
import { type Command, onlyOne } from "./command.ts";
import { CommandError, UsageError } from "./errors.ts";
import { option, parseArguments } from "./options.ts";

const options = [
  option("name", "text"),
  option("hostpath host-path", "text"),
  option("readonly read-only", "switch"),
  option("transient", "switch"),
  option("automount auto-mount", "switch"),
  option("auto-mount-point automountpoint", "text"),
];

export const command: Command = {
  usage: [
    "add VM --name NAME --hostpath FOLDER [--readonly] [--automount] [--auto-mount-point PATH]",
    "remove VM --name NAME",
  ],
  about: "Shared folders of a VM. They are stored; the guest is not offered them yet.",
  run(args) {
    const [verb, ...rest] = args;
    if (verb !== "add" && verb !== "remove") {
      throw new UsageError(verb === undefined ? "Missing subcommand" : `Invalid parameter '${verb}'`);
    }
    const parsed = parseArguments(rest, options);
    const { path } = findMachine(onlyOne(parsed.positionals, "VM name"));
    const name = parsed.text("name");
    if (!name) throw new UsageError("Parameter --name is required");
    if (parsed.has("transient")) {
      throw new CommandError("Transient shared folders are not available in this version of Anneau");
    }
    const hostPath = parsed.text("hostpath");
    if (verb === "add" && !hostPath) throw new UsageError("Parameter --hostpath is required");
    editVbox(path, (vbox) => {
      refuseWhileRunning(path, vbox.name);
      const parent = ensure(vbox.machine, "Hardware/SharedFolders");
      const present = parent.elements("SharedFolder").find((folder) => folder.get("name") === name);
      if (verb === "remove") {
        if (present === undefined) {
          throw new ResultError(
            "VBOX_E_OBJECT_NOT_FOUND",
            "MachineWrap",
            `Could not find a shared folder named '${name}'`,
          );
        }
        parent.remove(present);
        return;
      }
      if (present) {
        throw new ResultError("VBOX_E_OBJECT_IN_USE", "MachineWrap", `Shared folder named '${name}' already exists`);
      }
      const folder = parent
        .add("SharedFolder")
        .set("name", name)
        .set("hostPath", resolve(hostPath as string))
        .set("writable", String(!parsed.has("readonly")))
        .set("autoMount", String(parsed.has("automount")));
      const point = parsed.text("auto-mount-point");
      if (point) folder.set("autoMountPoint", point);
    });
    return undefined;
  },
};
