/** The states a VM can be in, as showvminfo names them, and the state on record of one that does not run. */
import { sessionOf } from "./machine-session.ts";
import type { VboxFile } from "./vbox-file.ts";

/** Machine-readable value: human text. */
export const stateTexts = {
  poweroff: "powered off",
  saved: "saved",
  teleported: "teleported",
  aborted: "aborted",
  "aborted-saved": "aborted-saved",
  running: "running",
  paused: "paused",
  gurumeditation: "guru meditation",
  starting: "starting",
  stopping: "stopping",
  saving: "saving",
  restoring: "restoring",
} as const;

export type MachineState = keyof typeof stateTexts;

/** The state that files tell; undefined while a process runs the VM, which then is the one to ask. */
export function recordedState(vbox: VboxFile): MachineState | undefined {
  const session = sessionOf(vbox.path);
  if (session.kind === "alive") return undefined;
  const isAborted = vbox.isAborted || session.kind === "dead";
  if (vbox.stateFile) return isAborted ? "aborted-saved" : "saved";
  return isAborted ? "aborted" : "poweroff";
}
