/**
 * A keyboard's repetition (IBM PS/2 Technical Reference, "Typematic"): the key pressed last is sent again after a delay and then at
 * a rate until it is released, however long others have been down. Delay and rate are the guest's (command F3h).
 */
import type { Clock, Timer } from "../../device-api/clock.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";

/** Half a second, then 10.9 times a second. */
const DEFAULT_PARAMETER = 0x2b;
const PARAMETER_MASK = 0x7f;
const DELAY_STEP_NS = 250_000_000;
/** The shortest period is eight of these. */
const PERIOD_STEP_NS = 4_170_000;
const NO_KEY = -1;
/** Set 1 code, and whether E0h goes before it. */
export const EXTENDED_KEY = 0x80;

export class Typematic {
  readonly #timer: Timer;
  #parameter = DEFAULT_PARAMETER;
  #key = NO_KEY;

  /** `repeat`: the key is to be sent once more. */
  constructor(clock: Clock, repeat: (key: number) => void) {
    this.#timer = clock.createTimer("ps2 typematic", () => {
      this.#timer.armAfter(this.#periodNs());
      repeat(this.#key);
    });
  }

  /** False if the key is the one that repeats: a host that repeats too is not heard. */
  press(key: number): boolean {
    if (key === this.#key) return false;
    this.#key = key;
    this.#timer.armAfter((((this.#parameter >> 5) & 3) + 1) * DELAY_STEP_NS);
    return true;
  }

  release(key: number): void {
    if (key === this.#key) this.stop();
  }

  stop(): void {
    this.#key = NO_KEY;
    this.#timer.cancel();
  }

  /** The parameter of command F3h: rate in bits 0–4, delay in bits 5–6. */
  set(parameter: number): void {
    this.#parameter = parameter & PARAMETER_MASK;
  }

  setDefault(): void {
    this.#parameter = DEFAULT_PARAMETER;
    this.stop();
  }

  #periodNs(): number {
    return (8 + (this.#parameter & 7)) * 2 ** ((this.#parameter >> 3) & 3) * PERIOD_STEP_NS;
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      parameter: this.#parameter,
      key: this.#key,
      repeatNs: this.#timer.armed ? this.#timer.deadlineNs : -1,
    };
  }

  load(state: StateReader): void {
    this.#parameter = state.integer("parameter", 0, PARAMETER_MASK);
    this.#key = state.integer("key", NO_KEY, 0xff);
    const repeatNs = state.number("repeatNs");
    state.end();
    if (this.#key !== NO_KEY && repeatNs >= 0) this.#timer.armAt(repeatNs);
    else this.stop();
  }
}
