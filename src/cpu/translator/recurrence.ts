/**
 * Code of an idle guest: a timer interrupt's way is worth compiling, since it comes hundreds of times a second, what a kernel does
 * every second or two is not, however long it takes. Both are executed in short bursts, so counting jumps does not tell them apart.
 */

/** Time is looked at in slices of this length: a burst is one event, however many jumps it has. */
const SLICE_NS = 125_000_000;
/** Code that stays away for longer begins again. */
const MAX_GAP_SLICES = 6;
const ENOUGH_SLICES = 8;
/** Places remembered; beyond, all are forgotten. */
const MAX_PLACES = 4096;

interface Seen {
  slice: number;
  slices: number;
}

export class Recurrence {
  readonly #seen = new Map<number, Seen>();

  /** `place` was executed at `nowNs`. True once that has been so in enough slices of time close to each other. */
  isSteady(place: number, nowNs: number): boolean {
    const slice = Math.floor(nowNs / SLICE_NS);
    const seen = this.#seen.get(place);
    if (seen === undefined) {
      if (this.#seen.size >= MAX_PLACES) this.#seen.clear();
      this.#seen.set(place, { slice, slices: 1 });
      return false;
    }
    const gap = slice - seen.slice;
    if (gap === 0) return false;
    seen.slice = slice;
    seen.slices = gap > 0 && gap <= MAX_GAP_SLICES ? seen.slices + 1 : 1;
    if (seen.slices < ENOUGH_SLICES) return false;
    this.#seen.delete(place);
    return true;
  }
}
