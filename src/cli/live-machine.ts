/** What a running VM's process tells about itself. Talks to its control socket; never waits long for a busy one. */
import { type MachineState, recordedState, stateTexts } from "../config/machine-state.ts";
import type { VboxFile } from "../config/vbox-file.ts";

/** The reply to the control protocol's `status`. */
export interface LiveStatus {
  readonly state: MachineState;
  /** headless, gui … */
  readonly sessionName?: string;
  readonly video?: { readonly width: number; readonly height: number; readonly bitsPerPixel: number };
}

/** What this needs of the control protocol's client. */
export interface ControlClient {
  request(name: string, parameters: object): Promise<unknown>;
  close(): void;
}

/** Connects to the process that runs the VM. Rejects when there is none. */
export async function connect(uuid: string): Promise<ControlClient> {
  const [client, path]: [string, string] = ["../control/client.ts", "../control/socket-path.ts"];
  const { connectToMachine } = await import(client);
  const { socketPathFor } = await import(path);
  return connectToMachine(socketPathFor(uuid));
}

/** Asks the VM process; undefined when none runs the VM or it does not answer. */
export async function liveStatus(vbox: VboxFile): Promise<LiveStatus | undefined> {
  if (recordedState(vbox) !== undefined) return undefined;
  try {
    const client = await connect(vbox.uuid);
    try {
      const status = (await client.request("status", {})) as LiveStatus;
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
