/**
 * The control protocol: what can be asked of a running VM's process. One JSON object a line in both directions:
 * {id, name, params} gets {id, result} or {id, error: {message, code?}}. Sizes are bounded on both sides. Binary data travels as base64.
 */

import type { CounterTree } from "../device-api/counters.ts";
import type { ForwardingRule } from "../net/nat-config.ts";
import type { MetricReport, MetricSetup } from "./metrics.ts";

/** VirtualBox's names for what a VM process can be in. */
export type MachineProcessState =
  | "starting"
  | "running"
  | "paused"
  | "stopping"
  | "poweroff"
  | "aborted"
  | "gurumeditation";

/** The remote display (VNC) as it listens. */
export interface RemoteDisplayStatus {
  readonly port: number;
  /** Viewers past their password. */
  readonly clients: number;
}

export interface MachineStatus {
  readonly state: MachineProcessState;
  /** The VM's name as the process read it at start. */
  readonly name: string;
  /** headless, gui … as startvm was told. */
  readonly sessionName: string;
  readonly pid: number;
  /** Since the process started. */
  readonly uptimeMs: number;
  readonly remoteDisplay?: RemoteDisplayStatus;
  /** Why the remote display does not listen although it is to. */
  readonly remoteDisplayProblem?: string;
  readonly video?: { readonly width: number; readonly height: number; readonly bitsPerPixel: number };
}

export interface TextScreen {
  readonly columns: number;
  readonly rows: number;
  /** Unicode, one string a row, as long as the screen is wide. */
  readonly lines: readonly string[];
  readonly cursor: { readonly column: number; readonly row: number; readonly visible: boolean };
}

export type MediumPlace =
  | { readonly bus: "ide"; readonly port: 0 | 1; readonly device: 0 | 1 }
  | { readonly bus: "floppy"; readonly device: 0 | 1 };

/** Nothing to say. */
export type Nothing = { readonly [key: string]: never };

export interface ControlRequests {
  status: { params: Nothing; result: MachineStatus };
  /** Answers when the machine is off, its end is on record and its files are free. */
  poweroff: { params: Nothing; result: Nothing };
  reset: { params: Nothing; result: Nothing };
  pause: { params: Nothing; result: Nothing };
  resume: { params: Nothing; result: Nothing };
  acpipowerbutton: { params: Nothing; result: Nothing };
  acpisleepbutton: { params: Nothing; result: Nothing };
  cpuexecutioncap: { params: { readonly percent: number }; result: Nothing };
  /** Whether what the sound card plays goes anywhere. */
  audioout: { params: { readonly isOn: boolean }; result: Nothing };
  /** A word of `--vm-process-priority`. */
  processpriority: { params: { readonly priority: string }; result: Nothing };
  keyboardputscancode: { params: { readonly bytes: readonly number[] }; result: Nothing };
  keyboardputstring: { params: { readonly text: string }; result: Nothing };
  pointer: {
    params: { readonly dx: number; readonly dy: number; readonly dz: number; readonly buttons: number };
    result: Nothing;
  };
  /** To a file of the VM process's host (absolute path), else back as base64. */
  /** `isHeard` false: the guest has not asked for hints; it gets this one when it does. */
  setvideomodehint: {
    params: { readonly width: number; readonly height: number; readonly bitsPerPixel: number };
    result: { readonly isHeard: boolean };
  };
  screenshotpng: { params: { readonly path?: string }; result: { readonly png?: string } };
  /** `null` in graphics modes. */
  textscreen: { params: Nothing; result: TextScreen | null };
  /** The web console's address with its token; starts the console if need be. */
  console: { params: Nothing; result: { readonly url: string } };
  /** The settings file has changed: the remote display is to be as it says. */
  remotedisplay: { params: Nothing; result: { readonly listening?: RemoteDisplayStatus; readonly problem?: string } };
  statistics: { params: Nothing; result: { readonly [name: string]: unknown } };
  registers: { params: Nothing; result: { readonly text: string } };
  /** What the machine's parts count. */
  counters: { params: Nothing; result: { readonly counters: CounterTree } };
  registerset: { params: Nothing; result: { readonly registers: { readonly [name: string]: number } } };
  /** To an absolute path: guest memory and registers as an ELF core file. */
  dumpcore: { params: { readonly path: string }; result: Nothing };
  injectnmi: { params: Nothing; result: Nothing };
  /** A text about one of the machine's parts; `help` names the items. */
  info: { params: { readonly item: string }; result: { readonly text: string } };
  metrics: { params: Nothing; result: MetricReport };
  metricssetup: { params: MetricSetup; result: Nothing };
  metricsswitch: { params: { readonly enabled: boolean }; result: Nothing };
  /** Adds or removes a port forwarding rule of the adapter in `slot` (from 0); settings files are the caller's business. */
  natpf: {
    params: { readonly slot: number; readonly add?: ForwardingRule; readonly remove?: string };
    result: Nothing;
  };
  /** The adapter in `slot` (from 0) becomes what the settings file says of it: network, cable, trace. */
  adapter: { params: { readonly slot: number }; result: Nothing };
  /**
   * Without a path the drive is emptied; a disc that the guest has locked leaves by force only. Settings files are the
   * caller's business.
   */
  mediumchange: {
    params: {
      readonly place: MediumPlace;
      readonly path?: string;
      readonly format?: "VDI" | "RAW";
      readonly isForced?: boolean;
    };
    result: Nothing;
  };
}

export type ControlRequestName = keyof ControlRequests;

/** A request line is never longer than this; a client that sends more is cut off. */
export const MAX_REQUEST_BYTES = 1 << 20;
/** A reply line is never longer than this (a large screenshot). */
export const MAX_REPLY_BYTES = 128 << 20;

export interface RequestLine {
  readonly id: number;
  readonly name: string;
  readonly params?: unknown;
}

export interface ReplyLine {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: { readonly message: string; readonly code?: string };
}
