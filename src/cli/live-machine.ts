/** What a running VM's process tells about itself. Talks to its control socket; never waits long for a busy one. */

import { type MachineState, recordedState, stateTexts } from "../config/machine-state.ts";
import { type ResultCode, ResultError, resultCodes } from "../config/result-codes.ts";
import type { VboxFile } from "../config/vbox-file.ts";
import type { ControlClient } from "../control/client.ts";
import type { MachineStatus } from "../control/messages.ts";

/** The reply to the control protocol's `status`. */
export type LiveStatus = MachineStatus;

const patienceMs = 3000;

/** Connects to the process that runs the VM. Rejects when there is none. */
export async function connect(uuid: string): Promise<ControlClient> {
  const [{ connectToMachine }, { socketPathOf }] = await Promise.all([
    import("../control/client.ts"),
    import("../control/socket-path.ts"),
  ]);
  return connectToMachine(socketPathOf(uuid), patienceMs);
}

/** Asks the VM process; undefined when none runs the VM or it does not answer. */
export async function liveStatus(vbox: VboxFile): Promise<LiveStatus | undefined> {
  if (recordedState(vbox) !== undefined) return undefined;
  try {
    const client = await connect(vbox.uuid);
    try {
      const status = await client.request("status", {});
      return Object.hasOwn(stateTexts, status.state) ? status : undefined;
    } finally {
      client.close();
    }
  } catch {
    return undefined;
  }
}

/** The VM's state: what its process says, else what is on record; a process that does not answer yet is starting. */
export async function currentState(vbox: VboxFile): Promise<{ state: MachineState; live?: LiveStatus }> {
  const recorded = recordedState(vbox);
  if (recorded !== undefined) return { state: recorded };
  const live = await liveStatus(vbox);
  if (live) return { state: live.state, live };
  return { state: recordedState(vbox) ?? "starting" };
}

/** A refusal of the VM process in the shape of every other one. */
export function asResultError(error: unknown): unknown {
  const { code, message } = error as { code?: string; message: string };
  if (code === undefined || !Object.hasOwn(resultCodes, code)) return error;
  return new ResultError(code as ResultCode, "ConsoleWrap", message, { cause: error });
}
