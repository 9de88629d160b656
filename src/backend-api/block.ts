/**
 * A medium as a drive sees it. Requests are in bytes, sector-aligned by the front end; they complete on the machine
 * thread, either inside the call (a back end on the same thread) or later between CPU budgets (a back end thread). A
 * front end handles both, keeps the buffer untouched until `done`, and never has more than it can drain at pause.
 */

/** Called once per request. `ok` false: the medium reported an error; nothing is known about the buffer. */
export type BlockDone = (ok: boolean) => void;

/** Logical CHS as the firmware presents it; kept with the medium so that it never changes (see VDI's LCHS fields). */
export interface Geometry {
  readonly cylinders: number;
  readonly heads: number;
  readonly sectors: number;
}

export interface BlockBackend {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  /** What the image file stores as logical geometry, if it does. */
  readonly logicalGeometry?: Geometry;
  /** Stable identity for serial numbers: the image's UUID, lower case with dashes, if it has one. */
  readonly uuid?: string;
  /** Reads `target.length` bytes at `offsetBytes` into `target` (usually a view of guest RAM). */
  read(offsetBytes: number, target: Uint8Array, done: BlockDone): void;
  write(offsetBytes: number, source: Uint8Array, done: BlockDone): void;
  /** Everything written before is on the host's stable storage when `done(true)` comes. */
  flush(done: BlockDone): void;
  /** The range may be forgotten (reads zero afterwards). Optional. */
  discard?(offsetBytes: number, lengthBytes: number, done: BlockDone): void;
  /** Stores the logical geometry in the image where the format can. */
  storeLogicalGeometry?(geometry: Geometry): void;
  /** Flushes and releases file and lock. */
  close(): void;
}

/** What sits in a removable drive. `undefined` is an empty drive. */
export interface MediumSlot {
  readonly medium: BlockBackend | undefined;
  /** Told when the medium changes from outside (user ejects or inserts). */
  onChange(listener: () => void): void;
  /** The guest ejects the disc: returns false if the host refuses. */
  eject(): boolean;
  /** Told when the guest locks or unlocks the tray: the user's eject is to be refused meanwhile. Optional. */
  setLocked?(isLocked: boolean): void;
}
