/**
 * Real-time clock and CMOS RAM: Motorola MC146818A in its PC form, two banks of 128 bytes. Modelled: time of day in all
 * formats, SET and divider reset, UIP, update-ended, alarm and periodic interrupts with register C's semantics, century
 * bytes. The time is the host's (moved by what the guest set), advanced by guest time while the machine runs. Not
 * modelled: square wave, daylight saving, loss of battery power; SET leaves UIE alone (OS/2 relies on that).
 *
 * Periodic interrupts keep to the oscillator's grid; ticks the host was late for follow at twice the rate, two seconds of
 * them at most.
 */
import type { Clock, Timer, WallClock } from "../../device-api/clock.ts";
import type { IrqLine } from "../../device-api/irq-line.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import { decodeTime, encodeByte, encodeHours, encodeTime, type TimeFields } from "./calendar.ts";
import * as R from "./registers.ts";

const NS = 1_000_000_000;
const catchUpLimitNs = 2 * NS;
/** Updates that a late host missed are looked through for the alarm, a day at most. */
const maxMissedSeconds = 86_400;

/** Register address to time field. */
const fieldAt: readonly (keyof TimeFields | undefined)[] = (() => {
  const map: (keyof TimeFields | undefined)[] = new Array(256).fill(undefined);
  map[R.SECONDS] = "seconds";
  map[R.MINUTES] = "minutes";
  map[R.HOURS] = "hours";
  map[R.DAY_OF_WEEK] = "dayOfWeek";
  map[R.DATE_OF_MONTH] = "date";
  map[R.MONTH] = "month";
  map[R.YEAR] = "year";
  map[R.CENTURY] = "century";
  map[R.CENTURY_PS2] = "century";
  return map;
})();

export interface RtcOptions {
  readonly clock: Clock;
  readonly wallClock: WallClock;
  /** The clock shows UTC, else the host's local time. */
  readonly isUtc: boolean;
  /** Added to the host's time. */
  readonly offsetMs: number;
  readonly initialCmos: readonly { readonly index: number; readonly value: number }[];
  readonly irq: IrqLine;
}

export class Rtc {
  readonly #options: RtcOptions;
  readonly #updateTimer: Timer;
  readonly #periodicTimer: Timer;
  /** Both banks; time and control registers are kept apart. */
  readonly #cmos = new Uint8Array(256);
  #index = 0;
  #extendedIndex = 0;
  #registerA = 0x26;
  #registerB = R.B_24H;
  /** PF, AF and UF. */
  #flags = 0;

  /** The clock showed `#baseSeconds` from guest time `#baseNs` on. */
  #baseSeconds = 0;
  #baseNs = 0;
  /** How far the guest has set the clock from the host's. */
  #guestOffsetMs = 0;
  /** What a guest's own day of the week is ahead of the calendar's. */
  #weekdayShift = 0;
  /** The registers while the clock is stopped (SET or divider reset), else undefined. */
  #stopped: TimeFields | undefined;
  #lastUpdateSeconds = 0;
  /** Oscillator ticks: the last one that PF has been told about, and the next one to deliver. */
  #seenPeriodicTick = 0;
  #nextPeriodicTick = 0;

  constructor(options: RtcOptions) {
    this.#options = options;
    this.#updateTimer = options.clock.createTimer("rtc update", () => this.#update());
    this.#periodicTimer = options.clock.createTimer("rtc periodic", () => this.#deliverPeriodic());
  }

  powerOn(): void {
    this.#cmos.fill(0);
    for (const { index, value } of this.#options.initialCmos) this.#cmos[index & 0xff] = value & 0xff;
    this.#registerA = 0x26;
    this.#registerB = R.B_24H;
    this.#index = 0;
    this.#extendedIndex = 0;
    this.#guestOffsetMs = 0;
    this.#weekdayShift = 0;
    this.#stopped = undefined;
    this.#seenPeriodicTick = oscillatorTicks(this.#now());
    this.#takeHostTime();
    this.reset();
  }

  /** The RESET pin: interrupts off, time and RAM untouched (the battery keeps them). */
  reset(): void {
    this.#registerB &= ~(R.B_PIE | R.B_AIE | R.B_UIE | R.B_SQWE);
    this.#flags = 0;
    this.#schedulePeriodic();
    this.#updateIrq();
  }

  /** The machine stood still while the host's time went on: follow it. */
  followHost(): void {
    const nowNs = this.#now();
    const before = this.#baseSeconds * NS + (nowNs - this.#baseNs);
    const { seconds, ns } = this.#hostTime();
    // Differences below a second are jitter between two clocks: time must not step back over them.
    if (Math.abs(seconds * NS + ns - before) >= NS) this.#takeHostTime();
  }

  writeIndex(value: number): void {
    this.#index = value & 0x7f;
  }
  writeExtendedIndex(value: number): void {
    this.#extendedIndex = value & 0x7f;
  }
  readExtendedIndex(): number {
    return this.#extendedIndex;
  }
  readExtended(): number {
    return this.#cmos[0x80 | this.#extendedIndex];
  }
  writeExtended(value: number): void {
    this.#cmos[0x80 | this.#extendedIndex] = value;
  }

  readData(): number {
    const index = this.#index;
    switch (index) {
      case R.REGISTER_A:
        return this.#registerA | (this.#isUpdateInProgress() ? R.A_UIP : 0);
      case R.REGISTER_B:
        return this.#registerB;
      case R.REGISTER_C:
        return this.#readC();
      case R.REGISTER_D:
        return R.D_VRT;
    }
    const field = fieldAt[index];
    return field === undefined ? this.#cmos[index] : this.#fields()[field];
  }

  writeData(value: number): void {
    const index = this.#index;
    switch (index) {
      case R.REGISTER_A:
        this.#writeA(value & ~R.A_UIP);
        return;
      case R.REGISTER_B:
        this.#writeB(value);
        return;
      case R.REGISTER_C:
      case R.REGISTER_D:
        return;
    }
    const field = fieldAt[index];
    if (field === undefined) this.#cmos[index] = value;
    else this.#writeTime(field, value);
  }

  #now(): number {
    return this.#options.clock.nowNs();
  }

  #hostTime(): { seconds: number; ns: number } {
    const { wallClock, isUtc, offsetMs } = this.#options;
    const zoneMs = isUtc ? 0 : wallClock.utcOffsetMinutes() * 60_000;
    const ms = wallClock.nowMs() + zoneMs + offsetMs + this.#guestOffsetMs;
    const seconds = Math.floor(ms / 1000);
    return { seconds, ns: (ms - seconds * 1000) * 1e6 };
  }

  #takeHostTime(): void {
    const { seconds, ns } = this.#hostTime();
    this.#baseSeconds = seconds;
    this.#baseNs = this.#now() - ns;
    this.#lastUpdateSeconds = seconds;
    this.#scheduleUpdate();
  }

  #secondsNow(): number {
    return this.#baseSeconds + Math.floor((this.#now() - this.#baseNs) / NS);
  }

  #fields(): TimeFields {
    if (this.#stopped !== undefined) return this.#stopped;
    const seconds = this.#secondsNow();
    const fields = encodeTime(seconds, this.#registerB);
    if (this.#weekdayShift !== 0) {
      const weekday = (new Date(seconds * 1000).getUTCDay() + this.#weekdayShift) % 7;
      fields.dayOfWeek = encodeByte(weekday + 1, this.#registerB);
    }
    return fields;
  }

  #writeTime(field: keyof TimeFields, value: number): void {
    const fields = this.#fields();
    fields[field] = value;
    // Running, the changed byte takes effect at once and the second goes on.
    if (this.#stopped === undefined) this.#setTime(fields, (this.#now() - this.#baseNs) % NS);
  }

  /** The clock shows `fields` now, `sinceUpdateNs` into the second. */
  #setTime(fields: TimeFields, sinceUpdateNs: number): void {
    const seconds = decodeTime(fields, this.#registerB);
    const calendarWeekday = new Date(seconds * 1000).getUTCDay();
    this.#weekdayShift = ((((fields.dayOfWeek & 0x0f) - 1 - calendarWeekday) % 7) + 7) % 7;
    this.#baseSeconds = seconds;
    this.#baseNs = this.#now() - sinceUpdateNs;
    this.#lastUpdateSeconds = seconds;
    const host = this.#hostTime();
    this.#guestOffsetMs += Math.round((seconds - host.seconds) * 1000 + (sinceUpdateNs - host.ns) / 1e6);
    this.#scheduleUpdate();
  }

  get #isDividerReset(): boolean {
    return (this.#registerA & R.A_DV_RESET) === R.A_DV_RESET;
  }

  #writeA(value: number): void {
    const wasReset = this.#isDividerReset;
    const oldRate = this.#registerA & R.A_RS;
    this.#registerA = value & (R.A_DV | R.A_RS);
    if (wasReset !== this.#isDividerReset) this.#startOrStop(wasReset);
    if (wasReset !== this.#isDividerReset || (value & R.A_RS) !== oldRate) {
      this.#seenPeriodicTick = oscillatorTicks(this.#now());
      this.#schedulePeriodic();
    }
  }

  #writeB(value: number): void {
    const before = this.#registerB;
    // The registers are latched in the old format, and taken in the one that is set when the clock starts.
    const changed = before ^ value;
    if ((changed & value & R.B_SET) !== 0 && this.#stopped === undefined) this.#stopped = this.#fields();
    this.#registerB = value;
    if ((changed & R.B_SET) !== 0) this.#startOrStop(false);
    if ((changed & R.B_PIE) !== 0) this.#schedulePeriodic();
    this.#updateIrq();
  }

  #startOrStop(isDividerReleased: boolean): void {
    const isStopped = (this.#registerB & R.B_SET) !== 0 || this.#isDividerReset;
    if (isStopped) {
      this.#stopped ??= this.#fields();
      this.#updateTimer.cancel();
    } else if (this.#stopped !== undefined) {
      const fields = this.#stopped;
      this.#stopped = undefined;
      // SET only holds back the transfer: the second in progress keeps its phase. A released divider starts half-way.
      const phase = (((this.#now() - this.#baseNs) % NS) + NS) % NS;
      this.#setTime(fields, isDividerReleased ? NS - R.RELEASE_TO_UPDATE_NS : phase);
    }
  }

  #isUpdateInProgress(): boolean {
    if (this.#stopped !== undefined) return false;
    return (this.#now() - this.#baseNs) % NS >= NS - R.UIP_NS;
  }

  #scheduleUpdate(): void {
    this.#updateTimer.armAt(this.#baseNs + (this.#lastUpdateSeconds - this.#baseSeconds + 1) * NS);
  }

  #update(): void {
    if (this.#stopped !== undefined) return;
    const now = this.#secondsNow();
    const first = Math.max(this.#lastUpdateSeconds + 1, now - maxMissedSeconds);
    for (let seconds = first; seconds <= now; seconds++) {
      if (this.#alarmMatches(seconds)) this.#flags |= R.C_AF;
      this.#flags |= R.C_UF;
    }
    this.#lastUpdateSeconds = Math.max(now, this.#lastUpdateSeconds);
    this.#scheduleUpdate();
    this.#updateIrq();
  }

  #alarmMatches(seconds: number): boolean {
    const b = this.#registerB;
    const matches = (alarm: number, value: number) => alarm >= R.ALARM_ANY || alarm === value;
    const ofDay = ((seconds % 86_400) + 86_400) % 86_400;
    return (
      matches(this.#cmos[R.SECONDS_ALARM], encodeByte(ofDay % 60, b)) &&
      matches(this.#cmos[R.MINUTES_ALARM], encodeByte(Math.floor(ofDay / 60) % 60, b)) &&
      matches(this.#cmos[R.HOURS_ALARM], encodeHours(Math.floor(ofDay / 3600), b))
    );
  }

  /** Oscillator ticks of a period, or 0: none. Rates 1 and 2 are those of 8 and 9. */
  #periodTicks(): number {
    const rate = this.#registerA & R.A_RS;
    if (rate === 0 || this.#isDividerReset) return 0;
    return 1 << ((rate < 3 ? rate + 7 : rate) - 1);
  }

  #schedulePeriodic(): void {
    const period = this.#periodTicks();
    if (period === 0 || (this.#registerB & R.B_PIE) === 0) {
      this.#periodicTimer.cancel();
      return;
    }
    this.#nextPeriodicTick = (Math.floor(oscillatorTicks(this.#now()) / period) + 1) * period;
    this.#periodicTimer.armAt(oscillatorNs(this.#nextPeriodicTick));
  }

  #deliverPeriodic(): void {
    const period = this.#periodTicks();
    if (period === 0 || (this.#registerB & R.B_PIE) === 0) return;
    this.#flags |= R.C_PF;
    this.#seenPeriodicTick = this.#nextPeriodicTick;
    this.#updateIrq();
    const nowNs = this.#now();
    const oldest = Math.floor(oscillatorTicks(nowNs - catchUpLimitNs) / period) * period;
    this.#nextPeriodicTick = Math.max(this.#nextPeriodicTick + period, oldest);
    const dueNs = oscillatorNs(this.#nextPeriodicTick);
    this.#periodicTimer.armAt(dueNs > nowNs ? dueNs : nowNs + oscillatorNs(period) / 2);
  }

  #readC(): number {
    // Without PIE nobody waits for PF: it is worked out when somebody looks.
    const period = this.#periodTicks();
    if (period !== 0 && (this.#registerB & R.B_PIE) === 0) {
      const tick = oscillatorTicks(this.#now());
      if (Math.floor(tick / period) !== Math.floor(this.#seenPeriodicTick / period)) this.#flags |= R.C_PF;
      this.#seenPeriodicTick = tick;
    }
    const value = this.#flags | (this.#isRequesting() ? R.C_IRQF : 0);
    this.#flags = 0;
    this.#updateIrq();
    return value;
  }

  #isRequesting(): boolean {
    return (this.#flags & this.#registerB & (R.C_PF | R.C_AF | R.C_UF)) !== 0;
  }
  #updateIrq(): void {
    if (this.#isRequesting()) this.#options.irq.raise();
    else this.#options.irq.lower();
  }

  save(): { readonly [key: string]: SavedValue } {
    const stopped = this.#stopped;
    return {
      cmos: this.#cmos.slice(),
      index: this.#index,
      extendedIndex: this.#extendedIndex,
      registerA: this.#registerA,
      registerB: this.#registerB,
      flags: this.#flags,
      guestOffsetMs: this.#guestOffsetMs,
      weekdayShift: this.#weekdayShift,
      stopped: stopped === undefined ? [] : savedFields.map((name) => stopped[name]),
      seenPeriodicTick: this.#seenPeriodicTick,
      nextPeriodicTick: this.#nextPeriodicTick,
      periodicNs: this.#periodicTimer.armed ? this.#periodicTimer.deadlineNs : -1,
    };
  }

  /** The time comes from the host, as far from it as the guest had set it. */
  load(state: StateReader): void {
    this.#cmos.set(state.bytes("cmos", 256));
    this.#index = state.integer("index", 0, 0x7f);
    this.#extendedIndex = state.integer("extendedIndex", 0, 0x7f);
    this.#registerA = state.integer("registerA", 0, 0x7f);
    this.#registerB = state.byte("registerB");
    this.#flags = state.byte("flags") & (R.C_PF | R.C_AF | R.C_UF);
    this.#guestOffsetMs = state.number("guestOffsetMs");
    this.#weekdayShift = state.integer("weekdayShift", 0, 6);
    const stopped = state.integers("stopped", 0, savedFields.length, 0, 0xff);
    this.#seenPeriodicTick = state.integer("seenPeriodicTick", 0, Number.MAX_SAFE_INTEGER);
    this.#nextPeriodicTick = state.integer("nextPeriodicTick", 0, Number.MAX_SAFE_INTEGER);
    const periodicNs = state.number("periodicNs");
    state.end();
    this.#stopped = undefined;
    this.#takeHostTime();
    if (stopped.length === savedFields.length) {
      const fields = encodeTime(0, this.#registerB);
      savedFields.forEach((name, i) => {
        fields[name] = stopped[i];
      });
      this.#stopped = fields;
      this.#updateTimer.cancel();
    }
    if (periodicNs >= 0) this.#periodicTimer.armAt(periodicNs);
    else this.#periodicTimer.cancel();
  }
}

const savedFields = ["seconds", "minutes", "hours", "dayOfWeek", "date", "month", "year", "century"] as const;

/** Whole 32 768 Hz ticks in `ns`, exact over the whole range of guest time. */
function oscillatorTicks(ns: number): number {
  const seconds = Math.floor(ns / NS);
  return seconds * R.OSCILLATOR_HZ + Math.floor(((ns - seconds * NS) * R.OSCILLATOR_HZ) / NS);
}
function oscillatorNs(ticks: number): number {
  const seconds = Math.floor(ticks / R.OSCILLATOR_HZ);
  return seconds * NS + Math.ceil(((ticks - seconds * R.OSCILLATOR_HZ) * NS) / R.OSCILLATOR_HZ);
}
