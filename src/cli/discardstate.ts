/** discardstate: drops a VM's saved state, here one that another program saved. */
import { rmSync } from "node:fs";
import { findMachine } from "../config/machine-lookup.ts";
import { refuseWhileRunning } from "../config/machine-session.ts";
import { recordedState } from "../config/machine-state.ts";
import { fileError, ResultError } from "../config/result-codes.ts";
import { editVbox } from "../config/vbox-file.ts";
import { type Command, onlyOne } from "./command.ts";
import { parseArguments } from "./options.ts";

export const command: Command = {
  usage: ["VM"],
  about: "Deletes the saved state of a VM, which then is powered off.",
  run(args) {
    const { path } = findMachine(onlyOne(parseArguments(args, []).positionals, "VM name"));
    const file = editVbox(path, (vbox) => {
      refuseWhileRunning(path, vbox.name);
      const { stateFile } = vbox;
      if (stateFile === undefined) {
        throw new ResultError(
          "VBOX_E_INVALID_VM_STATE",
          "SessionMachine",
          `Cannot discard the machine's saved state because it is not in the saved state (machine state: ${recordedState(vbox)})`,
        );
      }
      vbox.stateFile = undefined;
      vbox.isAborted = false;
      vbox.touchStateChange();
      return stateFile;
    });
    try {
      rmSync(file, { force: true });
    } catch (error) {
      throw fileError(error, "Could not delete the saved state", file, "SessionMachine");
    }
    return undefined;
  },
};
