/**
 * A floppy drive with what is in it: head position, change line, write protection, and the sectors of a raw image as the
 * disk's tracks. The drive takes every format that `disk-format.ts` lists. Reads behind the end of a short image give
 * zeros; writes there fail.
 */
import type { BlockDone, MediumSlot } from "../../backend-api/block.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import { type DiskFormat, formatOf, SECTOR_BYTES, SECTOR_SIZE_CODE } from "./disk-format.ts";
import { ST1_ND, ST2_WC } from "./registers.ts";

/** Where the head's carriage ends. */
const LAST_CYLINDER = 83;

/** A sector's ID field. */
export interface SectorId {
  readonly c: number;
  readonly h: number;
  readonly r: number;
  readonly n: number;
}

export class FloppyDrive {
  /** Where the head is. */
  cylinder = 0;
  /** Requests at the back end without an answer. */
  inFlight = 0;
  readonly #slot: MediumSlot;
  #format: DiskFormat | undefined;
  /** The change line's latch: a disk came or went, or the power; until a step with a disk inside. */
  #isChangeLatched = true;
  /** The sector that passed the head last. */
  #lastRead = 0;

  constructor(slot: MediumSlot) {
    this.#slot = slot;
    this.#format = formatOf(slot.medium?.sizeBytes ?? 0);
    slot.onChange(() => this.#mediumChanged());
  }

  #mediumChanged(): void {
    this.#format = formatOf(this.#slot.medium?.sizeBytes ?? 0);
    this.#isChangeLatched = true;
    this.#lastRead = 0;
  }

  powerOn(): void {
    this.cylinder = 0;
    this.#isChangeLatched = true;
    this.#lastRead = 0;
  }

  get hasDisk(): boolean {
    return this.#slot.medium !== undefined;
  }
  get format(): DiskFormat | undefined {
    return this.hasDisk ? this.#format : undefined;
  }
  get isWriteProtected(): boolean {
    return this.#slot.medium?.readOnly ?? true;
  }
  get isAtTrack0(): boolean {
    return this.cylinder === 0;
  }
  /** The DSKCHG line. */
  get isChanged(): boolean {
    return this.#isChangeLatched || !this.hasDisk;
  }

  /** Moves the head by so many cylinders, at most to its stops. A step with a disk inside clears the change line. */
  step(cylinders: number): void {
    if (cylinders === 0) return;
    this.cylinder = Math.min(LAST_CYLINDER, Math.max(0, this.cylinder + cylinders));
    if (this.hasDisk) this.#isChangeLatched = false;
  }

  /** Whether this side of the track under the head is formatted so that it can be read at this rate. */
  isReadable(head: number, rateCode: number, isMfm: boolean): boolean {
    const { format } = this;
    if (format === undefined || !isMfm || (format.rates & (1 << rateCode)) === 0) return false;
    return this.cylinder < format.cylinders && head < format.heads;
  }

  /** On a readable track: ST1 in bits 0–7 and ST2 in bits 8–15 if the sector is not there, 0 if it is. */
  findSector(head: number, id: SectorId): number {
    if (id.c !== this.cylinder) return ST1_ND | (ST2_WC << 8);
    const isThere = id.h === head && id.n === SECTOR_SIZE_CODE && id.r >= 1 && id.r <= this.#format!.sectors;
    return isThere ? 0 : ST1_ND;
  }

  /** The next sector number to pass the head on a readable track. */
  nextSector(): number {
    this.#lastRead = (this.#lastRead % this.#format!.sectors) + 1;
    return this.#lastRead;
  }

  /** The index hole passes. */
  rewindToIndex(): void {
    this.#lastRead = 0;
  }

  /** Reads sector `r` of a readable track into `target` (one sector). */
  read(head: number, r: number, target: Uint8Array, done: BlockDone): void {
    const medium = this.#slot.medium;
    const offsetBytes = this.#offsetBytes(head, r);
    if (medium === undefined || offsetBytes < 0) done(false);
    else if (offsetBytes + SECTOR_BYTES > medium.sizeBytes) {
      target.fill(0);
      done(true);
    } else medium.read(offsetBytes, target, this.#track(done));
  }

  write(head: number, r: number, source: Uint8Array, done: BlockDone): void {
    const medium = this.#slot.medium;
    const offsetBytes = this.#offsetBytes(head, r);
    const isThere = medium !== undefined && offsetBytes >= 0 && offsetBytes + SECTOR_BYTES <= medium.sizeBytes;
    if (isThere && !medium.readOnly) medium.write(offsetBytes, source, this.#track(done));
    else done(false);
  }

  /** -1 if the disk (another one by now, perhaps) has no such sector. */
  #offsetBytes(head: number, r: number): number {
    const { format, cylinder } = this;
    if (format === undefined || cylinder >= format.cylinders || head >= format.heads) return -1;
    if (r < 1 || r > format.sectors) return -1;
    return ((cylinder * format.heads + head) * format.sectors + r - 1) * SECTOR_BYTES;
  }

  #track(done: BlockDone): BlockDone {
    let isAnswered = false;
    this.inFlight++;
    return (ok) => {
      if (isAnswered) return;
      isAnswered = true;
      this.inFlight--;
      done(ok);
    };
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      cylinder: this.cylinder,
      isChangeLatched: this.#isChangeLatched,
      lastRead: this.#lastRead,
      sizeBytes: this.#slot.medium?.sizeBytes ?? -1,
    };
  }

  /** Another disk than the one in the drive when the state was saved, or none, counts as a change. */
  load(state: StateReader): void {
    this.cylinder = state.integer("cylinder", 0, LAST_CYLINDER);
    this.#isChangeLatched = state.boolean("isChangeLatched");
    this.#lastRead = state.integer("lastRead", 0, 255);
    const savedBytes = state.integer("sizeBytes", -1, Number.MAX_SAFE_INTEGER);
    state.end();
    if (savedBytes !== (this.#slot.medium?.sizeBytes ?? -1)) this.#mediumChanged();
  }
}
