/**
 * High precision event timer (IA-PC HPET specification 1.0a): a 64-bit counter, one periodic 64-bit timer and two one-shot
 * timers of 32 bits. Interrupts go to I/O APIC inputs 20–23, or, in legacy replacement mode, timers 0 and 1 take the places
 * of the 8254 (IRQ 0) and of the clock (IRQ 8). 64-bit values are kept as two halves. Not modelled: FSB (message) delivery.
 */
import type { Clock, Timer } from "../../device-api/clock.ts";
import type { AccessSize } from "../../device-api/io-window.ts";
import type { IrqLine } from "../../device-api/irq-line.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import * as R from "./registers.ts";

const TWO_32 = 0x1_0000_0000;
/** Further ahead than any guest waits; looked at again then. */
const FAR_TICKS = 2 ** 48;
/** Interrupts of one timer are at least this far apart. */
const MIN_SPACING_NS = 2_000;
/** A host that is later than this many periods does not make up for the rest. */
const MAX_PERIODS_BEHIND = 64;

interface Comparator {
  readonly capabilities: number;
  readonly timer: Timer;
  configuration: number;
  low: number;
  high: number;
  periodLow: number;
  periodHigh: number;
  /** The low half was written under VAL_SET: the high half belongs to it. */
  takesHigh: boolean;
  /** The output as driven now. */
  level: boolean;
}

export interface HpetOutputs {
  /** In legacy replacement mode, of timers 0 and 1. */
  readonly legacy: readonly [IrqLine, IrqLine];
  /** I/O APIC inputs by number; empty without one. */
  readonly inputs: readonly (IrqLine | undefined)[];
  /** The 8254 and the clock are cut off from their interrupts, or have them back. */
  setLegacy(isReplaced: boolean): void;
}

export class Hpet {
  readonly #clock: Clock;
  readonly #outputs: HpetOutputs;
  readonly #routes: number;
  readonly #timers: Comparator[];
  #configuration = 0;
  #status = 0;
  /** The counter when it was last started or written, and the time of that. */
  #baseLow = 0;
  #baseHigh = 0;
  #startNs = 0;
  /** The counter as last computed. */
  #low = 0;
  #high = 0;

  constructor(clock: Clock, outputs: HpetOutputs) {
    this.#clock = clock;
    this.#outputs = outputs;
    this.#routes = outputs.inputs.reduce((mask, line, input) => (line ? mask | (1 << input) : mask), 0) & R.ROUTES;
    this.#timers = Array.from({ length: R.TIMER_COUNT }, (_, n) => ({
      capabilities: n === 0 ? R.PER_INT_CAP | R.SIZE_CAP : 0,
      timer: clock.createTimer(`hpet ${n}`, () => this.#expire(n)),
      configuration: 0,
      low: 0xffffffff,
      high: 0xffffffff,
      periodLow: 0,
      periodHigh: 0,
      takesHigh: false,
      level: false,
    }));
  }

  reset(): void {
    this.#timers.forEach((one, n) => {
      this.#drive(n, false);
      one.configuration = 0;
      one.low = 0xffffffff;
      one.high = 0xffffffff;
      one.periodLow = 0;
      one.periodHigh = 0;
      one.takesHigh = false;
      one.timer.cancel();
    });
    this.#configuration = 0;
    this.#status = 0;
    this.#baseLow = 0;
    this.#baseHigh = 0;
    this.#outputs.setLegacy(false);
  }

  // ---- registers -----------------------------------------------------------------------------------------------------

  read(offset: number, size: AccessSize): number {
    const value = this.#readHalf(offset & 0xffc) >>> ((offset & 3) * 8);
    return size === 4 ? value : size === 2 ? value & 0xffff : value & 0xff;
  }

  #readHalf(offset: number): number {
    switch (offset) {
      case R.CAPABILITIES:
        return R.CAPABILITIES_LOW;
      case R.CAPABILITIES + 4:
        return R.PERIOD_FS;
      case R.CONFIGURATION:
        return this.#configuration;
      case R.STATUS:
        return this.#status;
      case R.COUNTER:
        this.#count(this.#clock.nowNs());
        return this.#low;
      case R.COUNTER + 4:
        this.#count(this.#clock.nowNs());
        return this.#high;
    }
    const one = this.#timers[(offset - R.TIMERS) >> 5];
    if (offset < R.TIMERS || one === undefined) return 0;
    switch (offset & 0x1c) {
      case R.TN_CONFIGURATION:
        return one.configuration | one.capabilities;
      case R.TN_CONFIGURATION + 4:
        return this.#routes;
      case R.TN_COMPARATOR:
        return one.low;
      case R.TN_COMPARATOR + 4:
        return isWide(one) ? one.high : 0;
      default:
        return 0;
    }
  }

  /** 32 bits at a time; narrower writes are not decoded. */
  write(offset: number, size: AccessSize, value: number): void {
    if (size !== 4 || (offset & 3) !== 0) return;
    switch (offset) {
      case R.CONFIGURATION:
        this.#configure(value & (R.ENABLE_CNF | R.LEG_RT_CNF));
        return;
      case R.STATUS:
        this.#status &= ~value;
        this.#timers.forEach((_, n) => {
          this.#driveLevel(n);
        });
        return;
      case R.COUNTER:
      case R.COUNTER + 4:
        this.#writeCounter(offset === R.COUNTER, value);
        return;
    }
    const n = (offset - R.TIMERS) >> 5;
    const one = this.#timers[n];
    if (offset < R.TIMERS || one === undefined) return;
    switch (offset & 0x1c) {
      case R.TN_CONFIGURATION:
        this.#configureTimer(n, one, value);
        break;
      case R.TN_COMPARATOR:
        this.#writeComparator(one, value);
        break;
      case R.TN_COMPARATOR + 4:
        this.#writeComparatorHigh(one, value);
        break;
      default:
        return;
    }
    this.#plan(n, this.#clock.nowNs());
  }

  #configure(value: number): void {
    const changed = value ^ this.#configuration;
    if (changed === 0) return;
    const nowNs = this.#clock.nowNs();
    if ((changed & R.ENABLE_CNF) !== 0) {
      // Stopping keeps the count, starting goes on from it.
      this.#count(nowNs);
      this.#baseLow = this.#low;
      this.#baseHigh = this.#high;
      this.#startNs = nowNs;
    }
    if ((changed & R.LEG_RT_CNF) !== 0) for (let n = 0; n < R.TIMER_COUNT; n++) this.#drive(n, false);
    this.#configuration = value;
    if ((changed & R.LEG_RT_CNF) !== 0) this.#outputs.setLegacy((value & R.LEG_RT_CNF) !== 0);
    for (let n = 0; n < R.TIMER_COUNT; n++) {
      this.#driveLevel(n);
      this.#plan(n, nowNs);
    }
  }

  #writeCounter(isLow: boolean, value: number): void {
    const nowNs = this.#clock.nowNs();
    this.#count(nowNs);
    this.#baseLow = isLow ? value : this.#low;
    this.#baseHigh = isLow ? this.#high : value;
    this.#startNs = nowNs;
    for (let n = 0; n < R.TIMER_COUNT; n++) this.#plan(n, nowNs);
  }

  #configureTimer(n: number, one: Comparator, value: number): void {
    this.#drive(n, false);
    let kept = R.INT_TYPE_LEVEL | R.INT_ENB;
    if ((one.capabilities & R.PER_INT_CAP) !== 0) kept |= R.TYPE_PERIODIC | R.VAL_SET;
    if ((one.capabilities & R.SIZE_CAP) !== 0) kept |= R.MODE_32;
    const route = (value & R.INT_ROUTE) >> R.INT_ROUTE_SHIFT;
    const isPossible = (this.#routes & (1 << route)) !== 0;
    one.configuration = (value & kept) | (isPossible ? value & R.INT_ROUTE : one.configuration & R.INT_ROUTE);
    one.takesHigh = false;
    if ((one.configuration & R.INT_TYPE_LEVEL) === 0) this.#status &= ~(1 << n);
    this.#driveLevel(n);
  }

  /** A periodic timer takes the period, and what it waits for next only under VAL_SET. */
  #writeComparator(one: Comparator, value: number): void {
    const isPeriodic = (one.configuration & R.TYPE_PERIODIC) !== 0;
    const setsValue = !isPeriodic || (one.configuration & R.VAL_SET) !== 0;
    if (setsValue) one.low = value;
    if (isPeriodic) {
      one.periodLow = value;
      if (!isWide(one)) one.periodHigh = 0;
    }
    one.takesHigh = isPeriodic && setsValue;
    one.configuration &= ~R.VAL_SET;
  }

  #writeComparatorHigh(one: Comparator, value: number): void {
    if ((one.capabilities & R.SIZE_CAP) === 0) return;
    const isPeriodic = (one.configuration & R.TYPE_PERIODIC) !== 0;
    if (!isPeriodic || one.takesHigh) one.high = value;
    if (isPeriodic) one.periodHigh = value;
    one.takesHigh = false;
  }

  // ---- time ----------------------------------------------------------------------------------------------------------

  /** The counter at `nowNs` into #low and #high. */
  #count(nowNs: number): void {
    const isRunning = (this.#configuration & R.ENABLE_CNF) !== 0;
    const ticks = isRunning ? Math.floor((nowNs - this.#startNs) / R.NS_PER_TICK) : 0;
    const low = this.#baseLow + (ticks % TWO_32);
    this.#low = low >>> 0;
    this.#high = (this.#baseHigh + Math.floor(ticks / TWO_32) + (low >= TWO_32 ? 1 : 0)) >>> 0;
  }

  /** Ticks until the counter, as just computed, meets the comparator. */
  #ticksAhead(one: Comparator): number {
    const low = one.low - this.#low;
    if (!isWide(one)) return low >>> 0;
    const high = (one.high - this.#high - (low < 0 ? 1 : 0)) >>> 0;
    return high * TWO_32 + (low >>> 0);
  }

  /** How far the counter is past the comparator; -1 before it. Half of the range is past. */
  #ticksBehind(one: Comparator): number {
    const low = this.#low - one.low;
    if (!isWide(one)) return low >>> 0 < TWO_32 / 2 ? low >>> 0 : -1;
    const high = (this.#high - one.high - (low < 0 ? 1 : 0)) >>> 0;
    return high < TWO_32 / 2 ? high * TWO_32 + (low >>> 0) : -1;
  }

  #plan(n: number, nowNs: number): void {
    const one = this.#timers[n];
    if ((this.#configuration & R.ENABLE_CNF) === 0) {
      one.timer.cancel();
      return;
    }
    this.#count(nowNs);
    let ahead = Math.min(this.#ticksAhead(one), FAR_TICKS);
    // A period that ended unseen is not waited for all around the counter.
    const behind = this.#ticksBehind(one);
    const period = one.periodHigh * TWO_32 + one.periodLow;
    if ((one.configuration & R.TYPE_PERIODIC) !== 0 && behind >= 0 && behind < MAX_PERIODS_BEHIND * period) ahead = 0;
    // In whole ticks since the start, so that no rounding adds up.
    const ticksNow = Math.floor((nowNs - this.#startNs) / R.NS_PER_TICK);
    one.timer.armAt(this.#startNs + (ticksNow + ahead) * R.NS_PER_TICK);
  }

  #expire(n: number): void {
    const one = this.#timers[n];
    const nowNs = this.#clock.nowNs();
    this.#count(nowNs);
    const behind = this.#ticksBehind(one);
    if (behind < 0) {
      this.#plan(n, nowNs);
      return;
    }
    const period = one.periodHigh * TWO_32 + one.periodLow;
    if ((one.configuration & R.TYPE_PERIODIC) === 0 || period === 0) {
      // Once more when the counter has come round.
      one.timer.armAt(nowNs + Math.min(isWide(one) ? FAR_TICKS : TWO_32 - behind, FAR_TICKS) * R.NS_PER_TICK);
    } else {
      this.#nextPeriod(one, period, behind, nowNs);
    }
    this.#interrupt(n, one);
  }

  /** Periods that a late host has missed are delivered too, spread out. */
  #nextPeriod(one: Comparator, period: number, behind: number, nowNs: number): void {
    const isTooMuch = period * R.NS_PER_TICK < MIN_SPACING_NS || behind > MAX_PERIODS_BEHIND * period;
    const steps = isTooMuch ? Math.floor(behind / period) + 1 : 1;
    const forward = steps * period;
    const low = one.low + (forward % TWO_32);
    one.low = low >>> 0;
    one.high = (one.high + Math.floor(forward / TWO_32) + (low >= TWO_32 ? 1 : 0)) >>> 0;
    const dueNs = nowNs + Math.min(forward - behind, FAR_TICKS) * R.NS_PER_TICK;
    const spacingNs = Math.max(MIN_SPACING_NS, Math.min(period, FAR_TICKS) * (R.NS_PER_TICK / 2));
    one.timer.armAt(Math.max(dueNs, nowNs + spacingNs));
  }

  // ---- interrupts ----------------------------------------------------------------------------------------------------

  #interrupt(n: number, one: Comparator): void {
    if ((one.configuration & R.INT_TYPE_LEVEL) !== 0) {
      this.#status |= 1 << n;
      this.#driveLevel(n);
      return;
    }
    if ((one.configuration & R.INT_ENB) === 0) return;
    // The wire stays high until the next edge: the 8259 forgets an edge whose wire has fallen again.
    this.#drive(n, false);
    this.#drive(n, true);
  }

  #driveLevel(n: number): void {
    const { configuration } = this.#timers[n];
    if ((configuration & R.INT_TYPE_LEVEL) === 0) return;
    this.#drive(n, (this.#status & (1 << n)) !== 0 && (configuration & R.INT_ENB) !== 0);
  }

  #drive(n: number, level: boolean): void {
    const one = this.#timers[n];
    if (one.level === level) return;
    one.level = level;
    const isLegacy = (this.#configuration & R.LEG_RT_CNF) !== 0 && n < 2;
    const route = (one.configuration & R.INT_ROUTE) >> R.INT_ROUTE_SHIFT;
    const line = isLegacy ? this.#outputs.legacy[n] : this.#outputs.inputs[route];
    if (level) line?.raise();
    else line?.lower();
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      configuration: this.#configuration,
      status: this.#status,
      baseLow: this.#baseLow,
      baseHigh: this.#baseHigh,
      startNs: this.#startNs,
      timers: this.#timers.map(({ capabilities: _, timer, ...rest }) => ({
        ...rest,
        armedNs: timer.armed ? timer.deadlineNs : -1,
      })),
    };
  }

  /** The interrupt controllers restore their own inputs: nothing is signalled but who owns IRQ 0 and 8. */
  load(state: StateReader): void {
    const all = 0xffffffff;
    this.#configuration = state.integer("configuration", 0, 3);
    this.#status = state.integer("status", 0, 7);
    this.#baseLow = state.integer("baseLow", 0, all);
    this.#baseHigh = state.integer("baseHigh", 0, all);
    this.#startNs = state.integer("startNs", 0, Number.MAX_SAFE_INTEGER);
    state.children("timers", R.TIMER_COUNT).forEach((saved, n) => {
      const one = this.#timers[n];
      one.configuration = saved.integer("configuration", 0, 0x3fff);
      one.low = saved.integer("low", 0, all);
      one.high = saved.integer("high", 0, all);
      one.periodLow = saved.integer("periodLow", 0, all);
      one.periodHigh = saved.integer("periodHigh", 0, all);
      one.takesHigh = saved.boolean("takesHigh");
      one.level = saved.boolean("level");
      const armedNs = saved.number("armedNs");
      saved.end();
      if (armedNs >= 0) one.timer.armAt(armedNs);
      else one.timer.cancel();
    });
    state.end();
  }

  get isLegacyReplaced(): boolean {
    return (this.#configuration & R.LEG_RT_CNF) !== 0;
  }
}

/** Compares and counts with 64 bits. */
function isWide({ capabilities, configuration }: Comparator): boolean {
  return (capabilities & R.SIZE_CAP) !== 0 && (configuration & R.MODE_32) === 0;
}
