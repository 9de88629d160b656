/**
 * `--vm-process-priority`: how the host weighs the VM's threads against others. Linux keeps a priority per thread, so all that
 * are there are set; later ones inherit it. Raising it needs a privilege on most hosts.
 */
import { readdirSync } from "node:fs";
import { constants, setPriority } from "node:os";
import { AnneauError } from "../base/errors.ts";

/** VirtualBox's words; `flat` and `default` leave the host's choice. */
export const processPriorities = ["default", "flat", "low", "normal", "high"] as const;
export type ProcessPriority = (typeof processPriorities)[number];

const levels: Readonly<Record<ProcessPriority, number>> = {
  default: constants.priority.PRIORITY_NORMAL,
  flat: constants.priority.PRIORITY_NORMAL,
  low: constants.priority.PRIORITY_BELOW_NORMAL,
  normal: constants.priority.PRIORITY_NORMAL,
  high: constants.priority.PRIORITY_HIGH,
};

/** Sets the calling process. AnneauError when the host refuses. */
export function setProcessPriority(priority: ProcessPriority): void {
  try {
    for (const id of threads()) setPriority(id, levels[priority]);
  } catch (error) {
    const { code } = (error as { info?: { code?: string } }).info ?? {};
    throw new AnneauError(`the host does not let this process have the priority '${priority}' (${code ?? error})`, {
      cause: error,
    });
  }
}

function threads(): number[] {
  if (process.platform !== "linux") return [process.pid];
  return readdirSync("/proc/self/task").map(Number);
}
