/**
 * One counter of an Intel 8254 (order 231164, "Mode definitions"). Nothing is counted: the counting element is computed
 * from the tick it was loaded at, so reads, OUT and edges are exact whatever the host's timing. All six modes, binary
 * and BCD, gate, latches and read-back. Not modelled: what the counting element does between a control word and the
 * first count (it stands still here).
 */
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import * as R from "./registers.ts";

export class Counter {
  #mode = 0;
  /** Bits 5–0 of the control word, as read-back status reports them. */
  #control = 0;
  #access = R.RW_BOTH;
  #isBcd = false;
  #gate: boolean;

  /** Ticks of the count in the counting element, 1–65536; meaningful once loaded. */
  #count = 0x10000;
  /** The counting element is loaded (from `#loadTick` on). */
  #isLoaded = false;
  #loadTick = 0;
  /** Elapsed ticks at which the gate (or half a count) stopped it, or -1: it runs. */
  #heldTicks = -1;
  /** A count that waits for the end of the period (modes 2, 3) or for a trigger (1, 5); 0 none. */
  #pendingCount = 0;
  #pendingTick = 0;

  #writtenLow = -1;
  #readsHigh = false;
  #latchedCount = -1;
  #latchedStatus = -1;

  constructor(gate: boolean) {
    this.#gate = gate;
  }

  reset(): void {
    this.#mode = 0;
    this.#control = 0;
    this.#access = R.RW_BOTH;
    this.#isBcd = false;
    this.#count = 0x10000;
    this.#isLoaded = false;
    this.#loadTick = 0;
    this.#heldTicks = -1;
    this.#pendingCount = 0;
    this.#pendingTick = 0;
    this.#writtenLow = -1;
    this.#readsHigh = false;
    this.#latchedCount = -1;
    this.#latchedStatus = -1;
  }

  get mode(): number {
    return this.#mode;
  }
  /** Ticks of a period in modes 2 and 3. */
  get periodTicks(): number {
    return this.#count;
  }

  writeControl(value: number): void {
    this.#control = value & 0x3f;
    this.#access = (value >>> R.RW_SHIFT) & 3;
    const mode = (value >>> R.MODE_SHIFT) & 7;
    this.#mode = mode > 5 ? mode - 4 : mode;
    this.#isBcd = (value & R.CW_BCD) !== 0;
    this.#isLoaded = false;
    this.#heldTicks = -1;
    this.#pendingCount = 0;
    this.#writtenLow = -1;
    this.#readsHigh = false;
    this.#latchedCount = -1;
    this.#latchedStatus = -1;
  }

  latchCount(tick: number): void {
    if (this.#latchedCount < 0) this.#latchedCount = this.#countingElement(tick);
  }

  latchStatus(tick: number): void {
    if (this.#latchedStatus >= 0) return;
    this.#settle(tick);
    const isNull = this.#pendingCount !== 0 || !this.#isLoaded || tick < this.#loadTick;
    this.#latchedStatus = this.#control | (this.out(tick) ? R.STATUS_OUT : 0) | (isNull ? R.STATUS_NULL_COUNT : 0);
  }

  read(tick: number): number {
    if (this.#latchedStatus >= 0) {
      const status = this.#latchedStatus;
      this.#latchedStatus = -1;
      return status;
    }
    const isLatched = this.#latchedCount >= 0;
    const value = isLatched ? this.#latchedCount : this.#countingElement(tick);
    const isHigh = this.#access === R.RW_MSB || (this.#access === R.RW_BOTH && this.#readsHigh);
    if (this.#access === R.RW_BOTH) this.#readsHigh = !this.#readsHigh;
    // A latched two-byte count is given up with its second byte.
    if (isLatched && (this.#access !== R.RW_BOTH || isHigh)) this.#latchedCount = -1;
    return isHigh ? value >>> 8 : value & 0xff;
  }

  write(value: number, tick: number): void {
    switch (this.#access) {
      case R.RW_LSB:
        this.#loadRegister(value, tick);
        return;
      case R.RW_MSB:
        this.#loadRegister(value << 8, tick);
        return;
      default:
        if (this.#writtenLow < 0) {
          this.#writtenLow = value;
          // Half a count stops mode 0 and sets OUT low at once.
          if (this.#mode === R.MODE_TERMINAL_COUNT) this.#isLoaded = false;
        } else {
          const low = this.#writtenLow;
          this.#writtenLow = -1;
          this.#loadRegister(low | (value << 8), tick);
        }
    }
  }

  #loadRegister(value: number, tick: number): void {
    const count = this.#isBcd ? fromBcd(value) || 10_000 : value || 0x10000;
    switch (this.#mode) {
      case R.MODE_ONE_SHOT:
      case R.MODE_HARDWARE_STROBE:
        this.#pendingCount = count;
        return;
      case R.MODE_RATE:
      case R.MODE_SQUARE_WAVE:
        this.#settle(tick);
        if (this.#isLoaded) {
          this.#pendingCount = count;
          this.#pendingTick = tick;
          return;
        }
    }
    this.#start(count, tick + 1);
    if (!this.#gate) this.#heldTicks = 0;
  }

  #start(count: number, loadTick: number): void {
    this.#count = count;
    this.#isLoaded = true;
    this.#loadTick = loadTick;
    this.#heldTicks = -1;
    this.#pendingCount = 0;
  }

  setGate(level: boolean, tick: number): void {
    if (level === this.#gate) return;
    this.#settle(tick);
    this.#gate = level;
    switch (this.#mode) {
      case R.MODE_ONE_SHOT:
      case R.MODE_HARDWARE_STROBE:
        // A trigger: the counting element takes the count register, which keeps its value for the next one.
        if (level && (this.#pendingCount !== 0 || this.#isLoaded)) {
          this.#start(this.#pendingCount || this.#count, tick + 1);
        }
        return;
      case R.MODE_RATE:
      case R.MODE_SQUARE_WAVE:
        if (!this.#isLoaded) return;
        if (level) this.#start(this.#pendingCount || this.#count, tick + 1);
        else this.#heldTicks = Math.max(0, tick - this.#loadTick);
        return;
      default:
        if (!this.#isLoaded) return;
        if (level) {
          this.#loadTick = tick - this.#heldTicks;
          this.#heldTicks = -1;
        } else {
          this.#heldTicks = Math.max(0, tick - this.#loadTick);
        }
    }
  }

  /** The tick at which a count written in modes 2 and 3 goes into the counting element. */
  #boundaryTick(): number {
    const since = Math.max(0, this.#pendingTick - this.#loadTick);
    const phase = since % this.#count;
    const half = Math.ceil(this.#count / 2);
    const end = this.#mode === R.MODE_SQUARE_WAVE && phase < half ? half : this.#count;
    return this.#loadTick + since - phase + end;
  }

  /** Brings a waiting count into force once its time has come. */
  #settle(tick: number): void {
    if (this.#pendingCount === 0 || !this.#isLoaded || this.#heldTicks >= 0) return;
    if (this.#mode !== R.MODE_RATE && this.#mode !== R.MODE_SQUARE_WAVE) return;
    const boundary = this.#boundaryTick();
    if (tick < boundary) return;
    const isMiddle = (boundary - this.#loadTick) % this.#count !== 0;
    // Loaded in the middle of a square wave it makes the low half: as if it had started a high half earlier.
    this.#start(this.#pendingCount, isMiddle ? boundary - Math.ceil(this.#pendingCount / 2) : boundary);
  }

  #elapsed(tick: number): number {
    if (this.#heldTicks >= 0) return this.#heldTicks;
    return tick > this.#loadTick ? tick - this.#loadTick : 0;
  }

  #countingElement(tick: number): number {
    this.#settle(tick);
    const elapsed = this.#elapsed(tick);
    const count = this.#count;
    let value: number;
    if (!this.#isLoaded) {
      value = count;
    } else if (this.#mode === R.MODE_RATE) {
      value = count - (elapsed % count);
    } else if (this.#mode === R.MODE_SQUARE_WAVE) {
      const phase = elapsed % count;
      const half = Math.ceil(count / 2);
      // Counts by two; an odd count is loaded less one and stays one tick longer at the end of the high half.
      value = count - (count & 1) - 2 * (phase < half ? phase : phase - half);
    } else {
      const modulus = this.#isBcd ? 10_000 : 0x10000;
      value = (((count - elapsed) % modulus) + modulus) % modulus;
    }
    return this.#isBcd ? toBcd(value % 10_000) : value & 0xffff;
  }

  /** The OUT pin. */
  out(tick: number): boolean {
    this.#settle(tick);
    if (!this.#isLoaded || tick < this.#loadTick) return this.#mode !== R.MODE_TERMINAL_COUNT;
    const elapsed = this.#elapsed(tick);
    switch (this.#mode) {
      case R.MODE_TERMINAL_COUNT:
      case R.MODE_ONE_SHOT:
        return elapsed >= this.#count;
      case R.MODE_RATE:
        return !this.#gate || elapsed % this.#count !== this.#count - 1;
      case R.MODE_SQUARE_WAVE:
        return !this.#gate || elapsed % this.#count < Math.ceil(this.#count / 2);
      default:
        return elapsed !== this.#count;
    }
  }

  /** The first tick after `tick` at which OUT rises if nothing is written, or -1: never. */
  nextRiseTick(tick: number): number {
    this.#settle(tick);
    if (!this.#isLoaded || this.#heldTicks >= 0) return -1;
    if (this.#mode === R.MODE_RATE || this.#mode === R.MODE_SQUARE_WAVE) {
      if (this.#pendingCount !== 0) {
        const boundary = this.#boundaryTick();
        const isMiddle = (boundary - this.#loadTick) % this.#count !== 0;
        return isMiddle ? boundary + (this.#pendingCount >>> 1) : boundary;
      }
      const periods = Math.floor(Math.max(0, tick - this.#loadTick) / this.#count);
      return this.#loadTick + (periods + 1) * this.#count;
    }
    const isStrobe = this.#mode === R.MODE_SOFTWARE_STROBE || this.#mode === R.MODE_HARDWARE_STROBE;
    const rise = this.#loadTick + this.#count + (isStrobe ? 1 : 0);
    return rise > tick ? rise : -1;
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      mode: this.#mode,
      control: this.#control,
      access: this.#access,
      isBcd: this.#isBcd,
      gate: this.#gate,
      count: this.#count,
      isLoaded: this.#isLoaded,
      loadTick: this.#loadTick,
      heldTicks: this.#heldTicks,
      pendingCount: this.#pendingCount,
      pendingTick: this.#pendingTick,
      writtenLow: this.#writtenLow,
      readsHigh: this.#readsHigh,
      latchedCount: this.#latchedCount,
      latchedStatus: this.#latchedStatus,
    };
  }

  load(state: StateReader): void {
    const maxTick = Number.MAX_SAFE_INTEGER;
    this.#mode = state.integer("mode", 0, 5);
    this.#control = state.integer("control", 0, 0x3f);
    this.#access = state.integer("access", 0, 3);
    this.#isBcd = state.boolean("isBcd");
    this.#gate = state.boolean("gate");
    this.#count = state.integer("count", 1, 0x10000);
    this.#isLoaded = state.boolean("isLoaded");
    this.#loadTick = state.integer("loadTick", -maxTick, maxTick);
    this.#heldTicks = state.integer("heldTicks", -1, maxTick);
    this.#pendingCount = state.integer("pendingCount", 0, 0x10000);
    this.#pendingTick = state.integer("pendingTick", 0, maxTick);
    this.#writtenLow = state.integer("writtenLow", -1, 0xff);
    this.#readsHigh = state.boolean("readsHigh");
    this.#latchedCount = state.integer("latchedCount", -1, 0xffff);
    this.#latchedStatus = state.integer("latchedStatus", -1, 0xff);
    state.end();
  }
}

/** Four BCD digits; digits above 9 count as they stand. */
function fromBcd(value: number): number {
  return ((value >>> 12) * 1000 + ((value >>> 8) & 15) * 100 + ((value >>> 4) & 15) * 10 + (value & 15)) % 10_000;
}

function toBcd(value: number): number {
  const thousands = Math.floor(value / 1000);
  const hundreds = Math.floor(value / 100) % 10;
  const tens = Math.floor(value / 10) % 10;
  return (thousands << 12) | (hundreds << 8) | (tens << 4) | (value % 10);
}
