/**
 * The local APIC's timer (Intel SDM volume 3, 10.5.4): counts down from the initial count at the bus clock over the divider,
 * once or periodically. The bus clock is 1 GHz, as VirtualBox's. It counts whether its LVT entry is masked or not; a
 * period that ends while masked makes no interrupt later. TSC deadlines are not modelled (CPUID does not promise them).
 */
import type { Clock, Timer } from "../../device-api/clock.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";

/** Interrupts of a periodic timer are at least this far apart: shorter periods lose some. */
const MIN_SPACING_NS = 2_000;
/** A host that is later than this many periods does not make up for the rest. */
const MAX_PERIODS_BEHIND = 64;

export class ApicTimer {
  readonly #clock: Clock;
  readonly #timer: Timer;
  readonly #onExpiry: () => void;
  #initial = 0;
  #divideRegister = 0;
  /** Nanoseconds per count. */
  #divisor = 2;
  #isPeriodic = false;
  #isMasked = true;
  /** When the count stood at its initial value. */
  #startNs = 0;
  /** The end of a period that the next interrupt is for; -1: none is due. */
  #deadlineNs = -1;

  constructor(clock: Clock, onExpiry: () => void) {
    this.#clock = clock;
    this.#onExpiry = onExpiry;
    this.#timer = clock.createTimer("local apic", () => this.#fire());
  }

  reset(): void {
    this.#initial = 0;
    this.#setDivideRegister(0);
    this.#isPeriodic = false;
    this.#isMasked = true;
    this.#stop();
  }

  get initial(): number {
    return this.#initial;
  }
  get divideRegister(): number {
    return this.#divideRegister;
  }

  /** Writing the initial count starts the timer, 0 stops it. */
  setInitial(count: number): void {
    this.#initial = count;
    this.#startNs = this.#clock.nowNs();
    this.#plan(this.#startNs);
  }

  /** The count at this moment. */
  current(): number {
    if (this.#initial === 0) return 0;
    const nowNs = this.#clock.nowNs();
    // Who sees the count at its end sees the interrupt too.
    if (this.#deadlineNs >= 0 && nowNs >= this.#deadlineNs && this.#timer.armed) {
      this.#timer.cancel();
      this.#fire();
    }
    return this.#countAt(nowNs);
  }

  /** A new divider applies to what is left of the count. */
  setDivide(value: number): void {
    const nowNs = this.#clock.nowNs();
    const count = this.#countAt(nowNs);
    this.#setDivideRegister(value);
    if (this.#initial === 0) return;
    this.#startNs = nowNs - (this.#initial - count) * this.#divisor;
    this.#plan(nowNs);
  }

  /** The mode bits of the LVT entry. */
  setMode(isPeriodic: boolean, isMasked: boolean): void {
    if (isPeriodic === this.#isPeriodic && isMasked === this.#isMasked) return;
    const nowNs = this.#clock.nowNs();
    if (isPeriodic !== this.#isPeriodic && this.#initial !== 0) {
      const count = this.#countAt(nowNs);
      this.#startNs = nowNs - (this.#initial - count) * this.#divisor;
    }
    this.#isPeriodic = isPeriodic;
    this.#isMasked = isMasked;
    this.#plan(nowNs);
  }

  #setDivideRegister(value: number): void {
    this.#divideRegister = value & 0x0b;
    const code = (value & 3) | ((value & 8) >> 1);
    this.#divisor = code === 7 ? 1 : 2 << code;
  }

  #countAt(nowNs: number): number {
    const elapsed = Math.floor((nowNs - this.#startNs) / this.#divisor);
    if (this.#isPeriodic) return this.#initial - (elapsed % this.#initial);
    return elapsed >= this.#initial ? 0 : this.#initial - elapsed;
  }

  /** Arms for the first end of a period after `nowNs`. */
  #plan(nowNs: number): void {
    const periodNs = this.#initial * this.#divisor;
    const passed = periodNs === 0 ? 0 : Math.floor((nowNs - this.#startNs) / periodNs);
    if (periodNs === 0 || this.#isMasked || (!this.#isPeriodic && passed > 0)) {
      this.#stop();
      return;
    }
    this.#deadlineNs = this.#startNs + (passed + 1) * periodNs;
    this.#timer.armAt(this.#deadlineNs);
  }

  #stop(): void {
    this.#deadlineNs = -1;
    this.#timer.cancel();
  }

  #fire(): void {
    if (this.#isPeriodic) this.#planNextPeriod();
    else this.#deadlineNs = -1;
    this.#onExpiry();
  }

  /** Periods that a late host has missed are delivered too, spread out. */
  #planNextPeriod(): void {
    const periodNs = this.#initial * this.#divisor;
    const nowNs = this.#clock.nowNs();
    let dueNs = this.#deadlineNs + periodNs;
    const behindNs = nowNs - dueNs;
    if (behindNs > 0 && (periodNs < MIN_SPACING_NS || behindNs > MAX_PERIODS_BEHIND * periodNs))
      dueNs += Math.floor(behindNs / periodNs) * periodNs;
    this.#deadlineNs = dueNs;
    this.#timer.armAt(Math.max(dueNs, nowNs + Math.max(MIN_SPACING_NS, periodNs / 2)));
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      initial: this.#initial,
      divide: this.#divideRegister,
      isPeriodic: this.#isPeriodic,
      isMasked: this.#isMasked,
      startNs: this.#startNs,
      deadlineNs: this.#deadlineNs,
      armedNs: this.#timer.armed ? this.#timer.deadlineNs : -1,
    };
  }

  load(state: StateReader): void {
    const max = Number.MAX_SAFE_INTEGER;
    this.#initial = state.integer("initial", 0, 0xffffffff);
    this.#setDivideRegister(state.integer("divide", 0, 0x0b));
    this.#isPeriodic = state.boolean("isPeriodic");
    this.#isMasked = state.boolean("isMasked");
    this.#startNs = state.integer("startNs", -max, max);
    this.#deadlineNs = state.integer("deadlineNs", -1, max);
    const armedNs = state.integer("armedNs", -1, max);
    state.end();
    if (armedNs >= 0) this.#timer.armAt(armedNs);
    else this.#timer.cancel();
  }
}
