/**
 * How many frames a network of the host may send to machines: more are dropped, as a switch does in a storm. Frames for groups, which every
 * machine gets, have a smaller bound of their own.
 */

const FRAMES_PER_S = 100_000;
const GROUP_FRAMES_PER_S = 5_000;

export class FrameLimiter {
  /** Dropped so far. */
  dropped = 0;
  readonly #all: Bucket;
  readonly #groups: Bucket;

  constructor(nowMs: number) {
    this.#all = new Bucket(FRAMES_PER_S, nowMs);
    this.#groups = new Bucket(GROUP_FRAMES_PER_S, nowMs);
  }

  /** Whether the frame may pass. `nowMs` never goes back. */
  allows(frame: Uint8Array, nowMs: number): boolean {
    const isAllowed = this.#all.take(nowMs) && ((frame[0] & 1) === 0 || this.#groups.take(nowMs));
    if (!isAllowed) this.dropped++;
    return isAllowed;
  }
}

/** Holds a second's worth. */
class Bucket {
  readonly #perS: number;
  #tokens: number;
  #filledMs: number;

  constructor(perS: number, nowMs: number) {
    this.#perS = perS;
    this.#tokens = perS;
    this.#filledMs = nowMs;
  }

  take(nowMs: number): boolean {
    this.#tokens = Math.min(this.#perS, this.#tokens + ((nowMs - this.#filledMs) * this.#perS) / 1000);
    this.#filledMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
