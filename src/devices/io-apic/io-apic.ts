/**
 * An I/O APIC with 24 inputs (82093AA, order 290566). An edge input sends its message once per rising edge, and not at all
 * if that comes while it is masked. A level input sends as long as the wire is high and the last message has been ended:
 * remote IRR is set when a processor takes the message, an EOI with that vector clears it. Polarity is remembered and
 * means nothing here: a wire is raised or not.
 */
import type { AccessSize } from "../../device-api/io-window.ts";
import type { IrqLine } from "../../device-api/irq-line.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import * as R from "./registers.ts";

/** A message on its way to the processors; false: nobody has taken it. */
export type DeliverMessage = (
  destination: number,
  isLogical: boolean,
  mode: number,
  vector: number,
  isLevel: boolean,
) => boolean;

/** One of several drivers of an input (wired OR). */
class Driver implements IrqLine {
  isHigh = false;
  readonly #changed: () => void;

  constructor(changed: () => void) {
    this.#changed = changed;
  }
  raise(): void {
    if (this.isHigh) return;
    this.isHigh = true;
    this.#changed();
  }
  lower(): void {
    if (!this.isHigh) return;
    this.isHigh = false;
    this.#changed();
  }
}

export class IoApic {
  readonly #deliver: DeliverMessage;
  readonly #entries = new Int32Array(R.PIN_COUNT);
  readonly #destinations = new Uint32Array(R.PIN_COUNT);
  readonly #drivers: Driver[][] = Array.from({ length: R.PIN_COUNT }, () => []);
  /** Bit per input: the level of its wire. */
  #levels = 0;
  #index = 0;
  #id = 0;

  constructor(deliver: DeliverMessage) {
    this.#deliver = deliver;
  }

  reset(): void {
    this.#entries.fill(R.ENTRY_MASKED);
    this.#destinations.fill(0);
    this.#index = 0;
    this.#id = 0;
  }

  /** A new driver of input `pin`; only while the machine is assembled, for saved state keeps them in order. */
  input(pin: number): IrqLine {
    const drivers = this.#drivers[pin];
    if (drivers === undefined) throw new RangeError(`the I/O APIC has no input ${pin}`);
    const driver = new Driver(() => {
      let level = false;
      for (let i = 0; i < drivers.length; i++) level ||= drivers[i].isHigh;
      this.#setPin(pin, level);
    });
    drivers.push(driver);
    return driver;
  }

  #setPin(pin: number, level: boolean): void {
    const bit = 1 << pin;
    if (level === ((this.#levels & bit) !== 0)) return;
    if (!level) {
      this.#levels &= ~bit;
      return;
    }
    this.#levels |= bit;
    const entry = this.#entries[pin];
    if (isLevel(entry)) this.#serviceLevel(pin);
    // An edge that nobody takes is lost, as is one that comes while the entry is masked.
    else if ((entry & R.ENTRY_MASKED) === 0) this.#send(pin, entry, false);
  }

  /** Sends a level input's message, if it is due. */
  #serviceLevel(pin: number): void {
    const entry = this.#entries[pin];
    if (!isLevel(entry) || (entry & (R.ENTRY_MASKED | R.ENTRY_REMOTE_IRR)) !== 0) return;
    if ((this.#levels & (1 << pin)) === 0) return;
    // Before the message: the processor may end it at once.
    this.#entries[pin] = entry | R.ENTRY_REMOTE_IRR;
    if (!this.#send(pin, entry, true)) this.#entries[pin] &= ~R.ENTRY_REMOTE_IRR;
  }

  #send(pin: number, entry: number, isLevelMessage: boolean): boolean {
    const mode = (entry >> 8) & 7;
    const isLogical = (entry & R.ENTRY_LOGICAL) !== 0;
    return this.#deliver(this.#destinations[pin], isLogical, mode, entry & R.ENTRY_VECTOR, isLevelMessage);
  }

  /** A processor ended a level-triggered interrupt with this vector. */
  endOfInterrupt(vector: number): void {
    for (let pin = 0; pin < R.PIN_COUNT; pin++) {
      const entry = this.#entries[pin];
      if ((entry & R.ENTRY_REMOTE_IRR) === 0 || (entry & R.ENTRY_VECTOR) !== vector) continue;
      this.#entries[pin] = entry & ~R.ENTRY_REMOTE_IRR;
      this.#serviceLevel(pin);
    }
  }

  /** Processors accept what they did not before. */
  retry(): void {
    if (this.#levels === 0) return;
    for (let pin = 0; pin < R.PIN_COUNT; pin++) this.#serviceLevel(pin);
  }

  read(offset: number, size: AccessSize): number {
    const place = offset & 0x0f;
    if (place >= 4) return 0;
    const register = offset & 0xff0;
    const word = register === R.IOREGSEL ? this.#index : register === R.IOWIN ? this.#readIndexed() : 0;
    const value = word >>> (place * 8);
    return size === 4 ? value : size === 2 ? value & 0xffff : value & 0xff;
  }

  write(offset: number, size: AccessSize, value: number): void {
    switch (offset) {
      case R.IOREGSEL:
        this.#index = value & 0xff;
        break;
      case R.IOWIN:
        if (size === 4) this.#writeIndexed(value);
        break;
      case R.EOIR:
        this.endOfInterrupt(value & 0xff);
        break;
    }
  }

  #readIndexed(): number {
    const index = this.#index;
    switch (index) {
      case R.IOAPICID:
      case R.IOAPICARB:
        return (this.#id << 24) >>> 0;
      case R.IOAPICVER:
        return R.VERSION_VALUE;
    }
    const pin = (index - R.IOREDTBL) >> 1;
    if (index < R.IOREDTBL || pin >= R.PIN_COUNT) return 0;
    return (index & 1) === 0 ? this.#entries[pin] : (this.#destinations[pin] << 24) >>> 0;
  }

  #writeIndexed(value: number): void {
    const index = this.#index;
    if (index === R.IOAPICID) this.#id = value >>> 24;
    const pin = (index - R.IOREDTBL) >> 1;
    if (index < R.IOREDTBL || pin >= R.PIN_COUNT) return;
    if ((index & 1) === 1) {
      this.#destinations[pin] = value >>> 24;
    } else {
      let entry = (value & R.ENTRY_WRITABLE) | (this.#entries[pin] & R.ENTRY_REMOTE_IRR);
      // Making an input an edge one is how old systems clear remote IRR.
      if (!isLevel(entry)) entry &= ~R.ENTRY_REMOTE_IRR;
      this.#entries[pin] = entry;
    }
    this.#serviceLevel(pin);
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      entries: [...this.#entries],
      destinations: [...this.#destinations],
      drivers: this.#drivers.map((drivers) => drivers.map((driver) => driver.isHigh)),
      levels: this.#levels,
      index: this.#index,
      id: this.#id,
    };
  }

  load(state: StateReader): void {
    const pins = R.PIN_COUNT;
    state.integers("entries", pins, pins, 0, 0x1ffff).forEach((entry, pin) => {
      this.#entries[pin] = entry & (R.ENTRY_WRITABLE | R.ENTRY_REMOTE_IRR);
    });
    this.#destinations.set(state.integers("destinations", pins, pins, 0, 0xff));
    const lengths = this.#drivers.map((drivers) => drivers.length);
    state.booleanLists("drivers", lengths).forEach((levels, pin) => {
      levels.forEach((level, i) => {
        this.#drivers[pin][i].isHigh = level;
      });
    });
    this.#levels = state.integer("levels", 0, 0xffffff);
    this.#index = state.byte("index");
    this.#id = state.byte("id");
    state.end();
  }
}

function isLevel(entry: number): boolean {
  return (entry & R.ENTRY_LEVEL) !== 0 && (R.EDGE_ONLY_MODES & (1 << ((entry >> 8) & 7))) === 0;
}
