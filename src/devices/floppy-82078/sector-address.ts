/**
 * The ID that a data command searches for, and how it moves on: from sector to sector, to the other side with MT, and what
 * the result phase says after the last one (82077AA data sheet, table 5-6).
 */
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";

export class SectorAddress {
  c = 0;
  h = 0;
  r = 0;
  n = 0;
  /** The last sector of a track. */
  eot = 0;
  /** The drive's head in use: not the same as `h`, which is only compared. */
  head = 0;
  isMultiTrack = false;
  /** SCAN may go on with every other sector. */
  stride = 1;

  /** On to the next sector; false, and no change, if this was the last. */
  next(): boolean {
    const isLastOfTrack = this.stride === 1 ? this.r === this.eot : this.r + this.stride > this.eot;
    if (!isLastOfTrack) {
      this.r = (this.r + this.stride) & 0xff;
      return true;
    }
    if (!this.isMultiTrack || this.head === 1) return false;
    this.head = 1;
    this.h ^= 1;
    this.r = 1;
    return true;
  }

  /** A good end: names the sector that would have been next, on the next cylinder if need be. */
  leaveLast(): void {
    if (this.r !== this.eot) {
      this.r = (this.r + 1) & 0xff;
      return;
    }
    this.r = 1;
    if (!this.isMultiTrack || this.head === 1) this.c = (this.c + 1) & 0xff;
    if (this.isMultiTrack) this.h ^= 1;
  }

  save(): { readonly [key: string]: SavedValue } {
    const { c, h, r, n, eot, head, isMultiTrack, stride } = this;
    return { id: [c, h, r, n, eot], head, isMultiTrack, stride };
  }

  load(state: StateReader): void {
    [this.c, this.h, this.r, this.n, this.eot] = state.integers("id", 5, 5, 0, 0xff);
    this.head = state.integer("head", 0, 1);
    this.isMultiTrack = state.boolean("isMultiTrack");
    this.stride = state.integer("stride", 1, 2);
    state.end();
  }
}
