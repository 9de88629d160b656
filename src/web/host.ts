/** What the web console needs of the VM process that it belongs to. */
import type { RfbConnection, RfbOptions } from "../display/rfb/connection.ts";

/** Buttons of the page, as the control protocol names them. */
export const consoleActions = ["pause", "resume", "reset", "acpipowerbutton", "acpisleepbutton", "poweroff"] as const;
export type ConsoleAction = (typeof consoleActions)[number];

/** What the page shows beside the screen; asked for about once a second while somebody looks. */
export interface ConsoleState {
  readonly name: string;
  /** running, paused, gurumeditation … */
  readonly state: string;
  readonly viewers: number;
  /** The guest takes places from a tablet: no pointer needs to be caught. */
  readonly isPointerAbsolute: boolean;
  /** Nanoseconds that the guest's processor was busy and idle since power-on. */
  readonly busyNs: number;
  readonly idleNs: number;
  /** Bytes since power-on, both ways. */
  readonly diskBytes: number;
  readonly netBytes: number;
}

export interface ConsoleDrive {
  /** Stable while the machine runs; what `changeMedium` takes. */
  readonly id: string;
  /** For people: controller and place. */
  readonly label: string;
  readonly kind: "dvd" | "floppy";
  /** The image in it, or "". */
  readonly path: string;
}

export interface ConsoleMedia {
  readonly drives: readonly ConsoleDrive[];
  /** Images that are known, absolute paths. */
  readonly images: { readonly dvd: readonly string[]; readonly floppy: readonly string[] };
}

export interface ConsoleHost {
  readonly name: string;
  state(): Promise<ConsoleState>;
  act(action: ConsoleAction): Promise<void>;
  media(): ConsoleMedia;
  /** "" empties the drive. Rejects with a line for people. */
  changeMedium(driveId: string, path: string): Promise<void>;
  /** PNG. */
  screenshot(): Promise<Uint8Array>;
  connectViewer(options: Pick<RfbOptions, "security" | "transport" | "onReady" | "onClosed">): RfbConnection;
  /**
   * What the guest plays, until the function returned is called: packets of a rate in Hz (24 bits, little-endian), a source (0
   * the sound card, 1 the PC's speaker) and 16-bit samples, left and right in turn, valid during the call.
   */
  listen(listener: (packet: Uint8Array) => void): () => void;
  /** A caught pointer: motion in counts; buttons: bit 0 left, 1 right, 2 middle. */
  movePointer(dx: number, dy: number, dz: number, buttons: number): void;
}
