/**
 * Causes, masks and moderation of an 8254x's interrupt (manual, 13.4.17 to 13.4.21 and 13.4.30 to 13.4.45): ICR, IMS, the
 * throttle, and the delay timers behind receive and transmit causes. Delays count from the guest's descriptors in guest time.
 */
import type { Clock, Timer } from "../../device-api/clock.ts";
import type { IrqLine } from "../../device-api/irq-line.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import type { E1000Registers } from "./register-file.ts";
import * as R from "./registers.ts";

const THROTTLE_STEP_NS = 256;
const DELAY_STEP_NS = 1024;

export class Interrupts {
  readonly #registers: E1000Registers;
  readonly #clock: Clock;
  readonly #line: IrqLine;
  readonly #throttle: Timer;
  readonly #receiveDelay: Timer;
  readonly #receiveLimit: Timer;
  readonly #transmitDelay: Timer;
  readonly #transmitLimit: Timer;
  #isAsserted = false;
  #lastAssertedNs = Number.NEGATIVE_INFINITY;

  constructor(registers: E1000Registers, clock: Clock, line: IrqLine) {
    this.#registers = registers;
    this.#clock = clock;
    this.#line = line;
    this.#throttle = clock.createTimer("e1000 throttle", () => this.update());
    this.#receiveDelay = clock.createTimer("e1000 receive delay", () => this.#receiveTimeOut());
    this.#receiveLimit = clock.createTimer("e1000 receive limit", () => this.#receiveTimeOut());
    this.#transmitDelay = clock.createTimer("e1000 transmit delay", () => this.#transmitTimeOut());
    this.#transmitLimit = clock.createTimer("e1000 transmit limit", () => this.#transmitTimeOut());
  }

  reset(): void {
    this.#cancel();
    this.#lastAssertedNs = Number.NEGATIVE_INFINITY;
    this.update();
  }

  #cancel(): void {
    for (const timer of [this.#throttle, this.#receiveDelay, this.#receiveLimit]) timer.cancel();
    for (const timer of [this.#transmitDelay, this.#transmitLimit]) timer.cancel();
  }

  cause(causes: number): void {
    this.#registers.set(R.ICR, this.#registers.get(R.ICR) | causes);
    this.update();
  }

  /** A frame was received. */
  received(): void {
    const delay = this.#registers.get(R.RDTR) & 0xffff;
    if (delay === 0) {
      this.#receiveTimeOut();
      return;
    }
    this.#receiveDelay.armAfter(delay * DELAY_STEP_NS);
    const limit = this.#registers.get(R.RADV);
    if (limit !== 0 && !this.#receiveLimit.armed) this.#receiveLimit.armAfter(limit * DELAY_STEP_NS);
  }

  /** Descriptors were reported done; `isDelayed` where the driver allows waiting for more. */
  transmitted(isDelayed: boolean): void {
    const delay = this.#registers.get(R.TIDV);
    if (!isDelayed || delay === 0) {
      this.#transmitTimeOut();
      return;
    }
    this.#transmitDelay.armAfter(delay * DELAY_STEP_NS);
    const limit = this.#registers.get(R.TADV);
    if (limit !== 0 && !this.#transmitLimit.armed) this.#transmitLimit.armAfter(limit * DELAY_STEP_NS);
  }

  /** RDTR's flush bit: a frame that waits for its interrupt gets it. */
  flushReceive(): void {
    if (this.#receiveDelay.armed) this.#receiveTimeOut();
  }

  #receiveTimeOut(): void {
    this.#receiveDelay.cancel();
    this.#receiveLimit.cancel();
    this.cause(R.ICR_RXT0);
  }

  #transmitTimeOut(): void {
    this.#transmitDelay.cancel();
    this.#transmitLimit.cancel();
    this.cause(R.ICR_TXDW);
  }

  /** The line follows causes and mask; a new interrupt waits for the throttle. */
  update(): void {
    const isWanted = (this.#registers.get(R.ICR) & this.#registers.get(R.IMS)) !== 0;
    if (!isWanted) {
      this.#isAsserted = false;
      this.#line.lower();
      return;
    }
    if (this.#isAsserted) return;
    const interval = (this.#registers.get(R.ITR) & 0xffff) * THROTTLE_STEP_NS;
    if (interval !== 0) {
      const nowNs = this.#clock.nowNs();
      const nextNs = this.#lastAssertedNs + interval;
      if (nowNs < nextNs) {
        if (!this.#throttle.armed) this.#throttle.armAt(nextNs);
        return;
      }
      this.#lastAssertedNs = nowNs;
    }
    this.#isAsserted = true;
    this.#line.raise();
  }

  save(): { readonly [key: string]: SavedValue } {
    const deadline = (timer: Timer) => (timer.armed ? timer.deadlineNs : -1);
    return {
      isAsserted: this.#isAsserted,
      receiveDelayNs: deadline(this.#receiveDelay),
      receiveLimitNs: deadline(this.#receiveLimit),
      transmitDelayNs: deadline(this.#transmitDelay),
      transmitLimitNs: deadline(this.#transmitLimit),
      throttleNs: deadline(this.#throttle),
    };
  }

  load(state: StateReader): void {
    this.#cancel();
    this.#lastAssertedNs = Number.NEGATIVE_INFINITY;
    this.#isAsserted = state.boolean("isAsserted");
    const arm = (timer: Timer, key: string) => {
      const deadlineNs = state.number(key);
      if (deadlineNs >= 0) timer.armAt(deadlineNs);
    };
    arm(this.#receiveDelay, "receiveDelayNs");
    arm(this.#receiveLimit, "receiveLimitNs");
    arm(this.#transmitDelay, "transmitDelayNs");
    arm(this.#transmitLimit, "transmitLimitNs");
    arm(this.#throttle, "throttleNs");
    state.end();
  }
}
