/**
 * The Intel 8254 of a PC (order 231164): three counters on one 105/88 MHz clock, counter 0 to the interrupt controller,
 * counter 2 to the speaker. Edges of counter 0 keep to the grid of its first load, so a periodic interrupt does not
 * drift; ticks the host was too late for are delivered at twice the rate until time is caught up, at most
 * `catchUpLimitNs` of them. Between its edges the interrupt line of modes 2 and 3 stays high (the falling edge does
 * nothing there): OUT as the guest reads it is exact all the same. Counter 1 counts but refreshes nothing.
 */
import type { Clock, Timer } from "../../device-api/clock.ts";
import type { ByteRegisters } from "../../device-api/io-window.ts";
import type { IrqLine } from "../../device-api/irq-line.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import { Counter } from "./counter.ts";
import * as R from "./registers.ts";

/** Missed ticks older than this are dropped: a guest whose host slept is not drowned in interrupts. */
export const catchUpLimitNs = 2_000_000_000;
/** Counter 0 interrupts at most this often, whatever is programmed. */
export const minimumSpacingNs = 10_000;

/** Whole clock ticks that fit into `ns`; exact over the whole range of guest time. */
export function ticksOfNs(ns: number): number {
  const units = Math.floor(ns / R.UNIT_NS);
  return units * R.TICKS_PER_UNIT + Math.floor(((ns - units * R.UNIT_NS) * R.TICKS_PER_UNIT) / R.UNIT_NS);
}

/** The first nanosecond at which `ticksOfNs` gives `ticks`. */
export function nsOfTicks(ticks: number): number {
  const units = Math.floor(ticks / R.TICKS_PER_UNIT);
  return units * R.UNIT_NS + Math.ceil(((ticks - units * R.TICKS_PER_UNIT) * R.UNIT_NS) / R.TICKS_PER_UNIT);
}

export class Pit8254 implements ByteRegisters {
  readonly #clock: Clock;
  readonly #irq: IrqLine;
  readonly #timer: Timer;
  readonly #onCounter2: () => void;
  /** Gates 0 and 1 are tied high. */
  readonly #counters = [new Counter(true), new Counter(true), new Counter(false)] as const;
  /** The next rising edge of counter 0 to deliver, or -1. */
  #riseTick = -1;

  /** `onCounter2`: counter 2 is about to be written. */
  constructor(clock: Clock, irq: IrqLine, onCounter2: () => void = () => {}) {
    this.#onCounter2 = onCounter2;
    this.#clock = clock;
    this.#irq = irq;
    this.#timer = clock.createTimer("pit", () => this.#deliver());
  }

  reset(): void {
    for (const counter of this.#counters) counter.reset();
    this.#counters[2].setGate(false, this.#now());
    this.#riseTick = -1;
    this.#timer.cancel();
    this.#irq.lower();
  }

  #now(): number {
    return ticksOfNs(this.#clock.nowNs());
  }

  readByte(offset: number): number {
    if (offset === R.CONTROL_WORD) return 0xff;
    return this.#counters[offset].read(this.#now());
  }

  writeByte(offset: number, value: number): void {
    if (offset === 2 || (offset === R.CONTROL_WORD && value >>> R.SC_SHIFT === 2)) this.#onCounter2();
    const tick = this.#now();
    if (offset !== R.CONTROL_WORD) {
      this.#counters[offset].write(value, tick);
      if (offset === 0) this.#reprogrammed(tick);
      return;
    }
    const select = value >>> R.SC_SHIFT;
    if (select === R.SC_READ_BACK) {
      for (let i = 0; i < 3; i++) {
        if ((value & (2 << i)) === 0) continue;
        if ((value & R.READ_BACK_NO_COUNT) === 0) this.#counters[i].latchCount(tick);
        if ((value & R.READ_BACK_NO_STATUS) === 0) this.#counters[i].latchStatus(tick);
      }
    } else if (((value >>> R.RW_SHIFT) & 3) === R.RW_LATCH) {
      this.#counters[select].latchCount(tick);
    } else {
      this.#counters[select].writeControl(value);
      if (select === 0) {
        this.#riseTick = -1;
        this.#reprogrammed(tick);
      }
    }
  }

  setGate2(level: boolean): void {
    this.#counters[2].setGate(level, this.#now());
  }
  out2(): boolean {
    return this.#counters[2].out(this.#now());
  }

  /** At a guest time that is not in the future. */
  out2At(ns: number): boolean {
    return this.#counters[2].out(ticksOfNs(ns));
  }

  /** Counter 0 was written: the line takes OUT's level, the next edge is found anew. */
  #reprogrammed(tick: number): void {
    const counter = this.#counters[0];
    const isPeriodic = counter.mode === R.MODE_RATE || counter.mode === R.MODE_SQUARE_WAVE;
    if (isPeriodic || counter.out(tick)) this.#irq.raise();
    else this.#irq.lower();
    // Ticks still owed stay owed when only the period changes.
    if (isPeriodic && this.#riseTick >= 0 && this.#riseTick <= tick) return;
    this.#riseTick = counter.nextRiseTick(tick);
    if (this.#riseTick < 0) this.#timer.cancel();
    else this.#timer.armAt(nsOfTicks(this.#riseTick));
  }

  #deliver(): void {
    if (this.#riseTick < 0) return;
    this.#irq.lower();
    this.#irq.raise();
    const counter = this.#counters[0];
    const nowNs = this.#clock.nowNs();
    this.#riseTick = counter.nextRiseTick(this.#riseTick);
    if (this.#riseTick < 0) return;
    let dueNs = nsOfTicks(this.#riseTick);
    if (dueNs < nowNs - catchUpLimitNs) {
      this.#riseTick = counter.nextRiseTick(ticksOfNs(nowNs - catchUpLimitNs));
      dueNs = nsOfTicks(this.#riseTick);
    }
    if (dueNs <= nowNs) dueNs = nowNs + nsOfTicks(counter.periodTicks) / 2;
    this.#timer.armAt(Math.max(dueNs, nowNs + minimumSpacingNs));
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      counters: this.#counters.map((counter) => counter.save()),
      riseTick: this.#riseTick,
      deadlineNs: this.#timer.armed ? this.#timer.deadlineNs : -1,
    };
  }

  load(state: StateReader): void {
    const counters = state.children("counters", 3);
    this.#counters.forEach((counter, i) => {
      counter.load(counters[i]);
    });
    this.#riseTick = state.integer("riseTick", -1, Number.MAX_SAFE_INTEGER);
    const deadlineNs = state.number("deadlineNs");
    if (deadlineNs >= 0) this.#timer.armAt(deadlineNs);
    else this.#timer.cancel();
    state.end();
  }
}
