/** What a running VM's process tells about itself. Talks to its control socket; never waits long for a busy one. */

import { findMachine, registeredMachines } from "../config/machine-lookup.ts";
import { sessionOf } from "../config/machine-session.ts";
import { type MachineState, recordedState, stateTexts } from "../config/machine-state.ts";
import { type ResultCode, ResultError, resultCodes } from "../config/result-codes.ts";
import { parseUuid } from "../config/uuid.ts";
import type { VboxFile } from "../config/vbox-file.ts";
import type { ControlClient } from "../control/client.ts";
import type { MachineStatus } from "../control/messages.ts";
import { CommandError } from "./errors.ts";

/** The reply to the control protocol's `status`. */
export type LiveStatus = MachineStatus;

/** A host under load may let the process wait for its turn. */
const patienceMs = 10_000;
/** Who only wants to know the state does not wait that long for a process that is stopped. */
const statusPatienceMs = 5_000;
/** Processes (by the VM's UUID) that have taken a connection and not answered: nobody waits for them twice. */
const silent = new Set<string>();
/** Who wants something done waits longer than who wants to know. */
export const requestPatienceMs = 60_000;

/** Connects to the process that runs the VM. Rejects when there is none. */
export async function connect(uuid: string, requestMs = patienceMs): Promise<ControlClient> {
  const [{ connectToMachine }, { socketPathOf }] = await Promise.all([
    import("../control/client.ts"),
    import("../control/socket-path.ts"),
  ]);
  return connectToMachine(socketPathOf(uuid), patienceMs, requestMs);
}

/** Asks the VM process; undefined when none runs the VM or it does not answer. */
export async function liveStatus(vbox: VboxFile): Promise<LiveStatus | undefined> {
  if (recordedState(vbox) !== undefined) return undefined;
  const status = await liveStatusOf(vbox.uuid);
  return status !== undefined && Object.hasOwn(stateTexts, status.state) ? status : undefined;
}

/** A VM that runs, its settings readable or not: a running VM's folder may be gone. */
export interface RunningMachine {
  readonly uuid: string;
  readonly name: string;
  readonly settingsPath: string;
}

/** What the process of a VM says, also of one whose settings cannot be read; undefined when none runs it or it does not answer. */
export async function liveStatusOf(uuid: string): Promise<LiveStatus | undefined> {
  if (silent.has(uuid)) return undefined;
  let client: ControlClient | undefined;
  try {
    client = await connect(uuid, statusPatienceMs);
    return await client.request("status", {});
  } catch {
    if (client !== undefined) silent.add(uuid);
    return undefined;
  } finally {
    client?.close();
  }
}

/** The running VM with that name or UUID. Errors: none is registered, its settings cannot be read, it does not run. */
export async function findRunning(id: string): Promise<RunningMachine> {
  const machines = registeredMachines();
  const uuid = parseUuid(id);
  for (const { entry, settings } of machines) {
    if (!(settings instanceof ResultError) || (uuid !== undefined && entry.uuid !== uuid)) continue;
    const status = await liveStatusOf(entry.uuid);
    if (status !== undefined && (entry.uuid === uuid || status.name === id))
      return { uuid: entry.uuid, name: status.name, settingsPath: entry.path };
  }
  const { uuid: found, name, path } = findMachine(id);
  if (sessionOf(path).kind !== "alive") throw new CommandError(`Machine '${name}' is not currently running.`);
  return { uuid: found, name, settingsPath: path };
}

/**
 * The VM's state: what its process says, else what is on record. A process that nobody can connect to yet is starting; one that
 * takes connections and does not answer (it is stopped, or the host is busy) runs.
 */
export async function currentState(vbox: VboxFile): Promise<{ state: MachineState; live?: LiveStatus }> {
  const recorded = recordedState(vbox);
  if (recorded !== undefined) return { state: recorded };
  const live = await liveStatus(vbox);
  if (live) return { state: live.state, live };
  return { state: recordedState(vbox) ?? (silent.has(vbox.uuid) ? "running" : "starting") };
}

/** Why a VM process could not start, in the shape of every other refusal. */
export function asStartError(error: unknown): unknown {
  const known = asResultError(error);
  if (known instanceof ResultError || !(error instanceof Error)) return known;
  return new ResultError("NS_ERROR_FAILURE", "ConsoleWrap", error.message, { cause: error });
}

/** A refusal of the VM process in the shape of every other one. */
export function asResultError(error: unknown): unknown {
  const { code, message } = error as { code?: string; message: string };
  if (code === undefined || !Object.hasOwn(resultCodes, code)) return error;
  return new ResultError(code as ResultCode, "ConsoleWrap", message, { cause: error });
}
