/**
 * `--vm-process-priority`: how the host weighs the VM's threads against others. Linux keeps a priority per thread, so all that
 * are there are set; later ones inherit it. Raising it needs a privilege on most hosts.
 */
import { existsSync, readdirSync, writeFileSync } from "node:fs";
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
    setGroupPriority(levels[priority]);
  } catch (error) {
    const { code } = (error as { info?: { code?: string } }).info ?? {};
    throw new AnneauError(`the host does not let this process have the priority '${priority}' (${code ?? error})`, {
      cause: error,
    });
  }
}

/**
 * Linux that groups processes by session weighs the groups first, and a VM's process has a session of its own: without this, its
 * priority would only count among its own threads.
 */
function setGroupPriority(level: number): void {
  const file = "/proc/self/autogroup";
  if (process.platform !== "linux" || !existsSync(file)) return;
  try {
    writeFileSync(file, String(level));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // The host wants a pause between two changes, or keeps the file to itself.
    if (code === "EPERM" || code === "EACCES") throw Object.assign(new Error("refused"), { info: { code } });
  }
}

function threads(): number[] {
  if (process.platform !== "linux") return [process.pid];
  return readdirSync("/proc/self/task").map(Number);
}
