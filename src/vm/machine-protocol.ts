/**
 * What main thread and machine thread of a VM process say to each other. The main thread describes the machine as plain
 * data (workerData), then sends requests over a message port and rings the doorbell; replies and events come back over the
 * same port. Bulk streams (serial bytes, logs) go through shared byte rings.
 */
import type { MessagePort } from "node:worker_threads";
import type { PointerShape, Scanout, TextCells } from "../backend-api/display.ts";
import type { ResultCode } from "../config/result-codes.ts";
import type { CounterTree } from "../device-api/counters.ts";
import type { RegisterValues } from "../machine/registers.ts";
import type { MachineSpec } from "../spec/machine-spec.ts";
import type { SoundBuffers } from "./sound-ring.ts";

/** An image file to put into a drive. */
export interface MediumConfig {
  readonly path: string;
  readonly kind: "disk" | "dvd" | "floppy";
  readonly readOnly: boolean;
  readonly format?: "VDI" | "RAW";
}

/** In the message of a refused change of media: the guest has locked the tray. */
export const MEDIUM_LOCKED = "VERR_PDM_MEDIA_LOCKED";

/** A place on the IDE controller. */
export interface IdePlace {
  readonly port: 0 | 1;
  readonly device: 0 | 1;
}

export interface IdeAttachment extends IdePlace {
  readonly medium?: MediumConfig;
}

export interface FloppyAttachment {
  readonly drive: 0 | 1;
  readonly medium?: MediumConfig;
}

/** Shared buffers of one serial port. */
export interface UartBuffers {
  readonly toHost: SharedArrayBuffer;
  readonly toGuest: SharedArrayBuffer;
  /** Two 32-bit flags: something is connected; the machine found `toHost` full. */
  readonly flags: SharedArrayBuffer;
}

/** Shared frame rings of one network card. */
export interface NicBuffers {
  readonly toHost: SharedArrayBuffer;
  readonly toGuest: SharedArrayBuffer;
}

export interface MachineThreadConfig {
  readonly spec: MachineSpec;
  readonly ide: readonly IdeAttachment[];
  readonly floppies: readonly FloppyAttachment[];
  /** By index of spec.uarts; undefined: nothing is plugged in. */
  readonly uarts: readonly (UartBuffers | undefined)[];
  /** The same for spec.parallels. */
  readonly parallels?: readonly (UartBuffers | undefined)[];
  /** By index of spec.nics. */
  readonly nics: readonly NicBuffers[];
  readonly doorbell: SharedArrayBuffer;
  /** Log and trace lines, each "X text\n" with X one of I W E T. */
  readonly log: SharedArrayBuffer;
  /** What the sound card plays goes into a WAV file, or nowhere. */
  readonly audioFile?: string;
  /** To listeners in this process, see sound-ring.ts. */
  readonly sound?: SoundBuffers;
  /** The sound card's sound goes there; the speaker's always does. */
  readonly isCardHeard?: boolean;
  /** False: until `setPlayback` the card plays to nobody. */
  readonly isPlaybackOn?: boolean;
  readonly trace: readonly string[];
  readonly onTripleFault: "reset" | "stop";
  /** Per cent of one of the host's processors; 100 when absent. Not for deterministic machines. */
  readonly executionCap?: number;
  /** A guest that can no longer run: its machine stays to be looked at, reset or switched off, or it ends. */
  readonly onDeath: "stay" | "end";
  /** Begin paused instead of running (startvm with a debugger, tests). */
  readonly startPaused?: boolean;
  readonly port: MessagePort;
  /** To the translator thread; absent when the engine needs none. */
  readonly translator?: MessagePort;
}

export interface MachineStatistics {
  readonly instructions: number;
  readonly instructionsPerSecond: number;
  readonly guestNs: number;
  readonly idleNs: number;
  readonly busyNs: number;
  readonly slices: number;
  readonly portAccesses: number;
  readonly mmioAccesses: number;
  readonly demand: { readonly [kind: string]: number };
}

/** Of a machine that has ended: what the processor counted too (docs/engine.md), which takes longer to look through. */
export interface FinalStatistics extends MachineStatistics {
  readonly cpu: CounterTree;
}

export interface ScreenImage {
  readonly widthPixels: number;
  readonly heightPixels: number;
  /** width × height × 4. */
  readonly rgba: Uint8Array;
}

/** What a viewer needs to know before it looks at video memory itself. */
export interface ScreenState extends Scanout {
  /** 0 × 0 while the screen is off, or of a machine without one. */
  readonly widthPixels: number;
  readonly heightPixels: number;
  /** The keyboard's lights. */
  readonly leds: number;
  /** Pointers are to say where they are, not how far they have moved. */
  readonly isPointerAbsolute: boolean;
  /** Another number for another `pointerShape`. */
  readonly pointerRevision: number;
}

/** Requests that the machine thread answers, between CPU budgets. */
export interface MachineRequests {
  pause: { params: undefined; result: undefined };
  resume: { params: undefined; result: undefined };
  reset: { params: undefined; result: undefined };
  powerOff: { params: undefined; result: undefined };
  powerButton: { params: undefined; result: undefined };
  sleepButton: { params: undefined; result: undefined };
  /** As many as the keyboard takes now. */
  scancodes: { params: { readonly bytes: readonly number[] }; result: { readonly taken: number } };
  pointer: {
    params: { readonly dx: number; readonly dy: number; readonly dz: number; readonly buttons: number };
    result: undefined;
  };
  /** A place from 0 to 32767 on both axes. */
  tablet: {
    params: { readonly x: number; readonly y: number; readonly dz: number; readonly buttons: number };
    result: undefined;
  };
  screenState: { params: undefined; result: ScreenState };
  /** The guest's pointer, if the guest leaves it to viewers. */
  pointerShape: { params: undefined; result: PointerShape | undefined };
  /** False: the guest has not asked for hints; it gets this one when it does. */
  modeHint: {
    params: { readonly widthPixels: number; readonly heightPixels: number; readonly bitsPerPixel: number };
    result: boolean;
  };
  /** Draws into shared memory of just the right length, RGBA; false if it is not, as the size has changed. */
  render: { params: { readonly target: SharedArrayBuffer }; result: boolean };
  screen: { params: undefined; result: ScreenImage };
  textScreen: { params: undefined; result: TextCells | undefined };
  /** Width, height and depth as the guest has set them; 0 in depth means text. */
  videoMode: { params: undefined; result: { widthPixels: number; heightPixels: number; bitsPerPixel: number } };
  statistics: { params: undefined; result: MachineStatistics };
  counters: { params: undefined; result: CounterTree };
  registerSet: { params: undefined; result: RegisterValues };
  dumpCore: { params: { readonly path: string }; result: undefined };
  injectNmi: { params: undefined; result: undefined };
  info: { params: { readonly item: string }; result: string };
  registers: { params: undefined; result: string };
  /** Whether what the sound card plays goes anywhere. */
  setPlayback: { params: { readonly isOn: boolean }; result: undefined };
  setExecutionCap: { params: { readonly percent: number }; result: undefined };
  /** Network card by index of spec.nics. */
  setCable: { params: { readonly nic: number; readonly isConnected: boolean }; result: undefined };
  /** `isForced`: also if the guest has locked the tray. */
  changeIde: { params: IdeAttachment & { readonly isForced: boolean }; result: undefined };
  changeFloppy: { params: FloppyAttachment; result: undefined };
}

export type MachineRequestName = keyof MachineRequests;

export interface RequestMessage {
  readonly id: number;
  readonly name: MachineRequestName;
  readonly params: unknown;
}

/** How a machine ended. */
export type MachineOutcome = { readonly kind: "powered-off"; readonly statistics: FinalStatistics } | MachineDeath;

/** The guest's CPU can no longer run. */
export interface MachineDeath {
  readonly kind: "died";
  readonly cause: string;
  readonly registers: string;
  readonly statistics: FinalStatistics;
}

/** From the machine thread. */
export type MachineMessage =
  | { readonly reply: number; readonly result?: unknown; readonly error?: string }
  /** `memory`: all of the machine's, see ScreenState. */
  | { readonly event: "ready"; readonly memory: SharedArrayBuffer }
  /** It cannot start, for a reason that a person can act on. */
  | { readonly event: "refused"; readonly message: string; readonly code?: ResultCode }
  | { readonly event: "reset" }
  /** The guest has ejected the disc of an IDE drive. */
  | ({ readonly event: "ejected" } & IdePlace)
  /** Only with `onDeath` "stay". */
  | { readonly event: "died"; readonly death: MachineDeath }
  /** A last picture is taken before the machine goes, for screenshots at exit. */
  | { readonly event: "ended"; readonly outcome: MachineOutcome; readonly screen?: ScreenImage };
