/**
 * One Intel 8237A (order 231466): four channels with base and current registers, modes, masks, requests and terminal
 * count. Modelled: register access through the flip-flop, auto-initialisation, address decrement, controller disable,
 * software requests in the status. Not modelled: memory-to-memory transfers, rotating priority and bus timing (a transfer
 * happens at once), polarity of DREQ and DACK.
 */
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import * as R from "./registers.ts";

export class Dma8237 {
  readonly #baseAddress = new Uint16Array(4);
  readonly #baseCount = new Uint16Array(4);
  readonly #address = new Uint16Array(4);
  readonly #count = new Uint16Array(4);
  readonly #mode = new Uint8Array(4);
  #command = 0;
  #mask = 0x0f;
  #request = 0;
  /** Channels that reached terminal count since the status was read. */
  #terminalCount = 0;
  /** The next address or count access is the high byte. */
  #isHigh = false;
  readonly #becameReady: (channel: number) => void;

  /** `becameReady`: the channel can transfer now and could not before. */
  constructor(becameReady: (channel: number) => void) {
    this.#becameReady = becameReady;
  }

  reset(): void {
    this.#baseAddress.fill(0);
    this.#baseCount.fill(0);
    this.#address.fill(0);
    this.#count.fill(0);
    this.#mode.fill(0);
    this.#masterClear();
  }

  #masterClear(): void {
    this.#command = 0;
    this.#mask = 0x0f;
    this.#request = 0;
    this.#terminalCount = 0;
    this.#isHigh = false;
  }

  read(register: number): number {
    if (register < R.STATUS_COMMAND) {
      const values = (register & 1) === 0 ? this.#address : this.#count;
      return this.#half(values[register >>> 1]);
    }
    switch (register) {
      case R.STATUS_COMMAND: {
        const status = this.#terminalCount | (this.#request << 4);
        this.#terminalCount = 0;
        return status;
      }
      case R.TEMPORARY_MASTER_CLEAR:
        return 0;
      case R.ALL_MASK:
        return this.#mask | 0xf0;
      default:
        return 0xff;
    }
  }

  #half(value: number): number {
    const isHigh = this.#isHigh;
    this.#isHigh = !isHigh;
    return isHigh ? value >>> 8 : value & 0xff;
  }

  write(register: number, value: number): void {
    if (register < R.STATUS_COMMAND) {
      this.#writeHalf(register, value);
      return;
    }
    const ready = this.#readyChannels();
    const bit = 1 << (value & R.SELECT);
    switch (register) {
      case R.STATUS_COMMAND:
        this.#command = value;
        break;
      case R.REQUEST:
        this.#request = (value & R.SET_BIT) !== 0 ? this.#request | bit : this.#request & ~bit;
        break;
      case R.SINGLE_MASK:
        this.#mask = (value & R.SET_BIT) !== 0 ? this.#mask | bit : this.#mask & ~bit;
        break;
      case R.MODE:
        this.#mode[value & R.SELECT] = value & ~R.SELECT;
        break;
      case R.CLEAR_FLIP_FLOP:
        this.#isHigh = false;
        break;
      case R.TEMPORARY_MASTER_CLEAR:
        this.#masterClear();
        break;
      case R.CLEAR_MASK:
        this.#mask = 0;
        break;
      case R.ALL_MASK:
        this.#mask = value & 0x0f;
        break;
    }
    const newlyReady = this.#readyChannels() & ~ready;
    for (let channel = 0; newlyReady >>> channel !== 0; channel++) {
      if ((newlyReady & (1 << channel)) !== 0) this.#becameReady(channel);
    }
  }

  /** Writing sets base and current register together. */
  #writeHalf(register: number, value: number): void {
    const channel = register >>> 1;
    const base = (register & 1) === 0 ? this.#baseAddress : this.#baseCount;
    const current = (register & 1) === 0 ? this.#address : this.#count;
    const merge = (old: number) => (this.#isHigh ? (old & 0x00ff) | (value << 8) : (old & 0xff00) | value);
    base[channel] = merge(base[channel]);
    current[channel] = merge(current[channel]);
    this.#isHigh = !this.#isHigh;
  }

  #readyChannels(): number {
    return (this.#command & R.COMMAND_DISABLED) !== 0 ? 0 : ~this.#mask & 0x0f;
  }

  isReady(channel: number): boolean {
    const isCascade = (this.#mode[channel] & R.MODE_CASCADE) === R.MODE_CASCADE;
    return !isCascade && (this.#readyChannels() & (1 << channel)) !== 0;
  }
  transferType(channel: number): number {
    return this.#mode[channel] & R.MODE_TYPE;
  }
  isDecrementing(channel: number): boolean {
    return (this.#mode[channel] & R.MODE_DECREMENT) !== 0;
  }
  address(channel: number): number {
    return this.#address[channel];
  }
  /** Units left until terminal count, 1–65536. */
  unitsLeft(channel: number): number {
    return this.#count[channel] + 1;
  }

  /** `units` (at most `unitsLeft`) have been moved. True: that was terminal count. */
  advance(channel: number, units: number): boolean {
    const isLast = units > this.#count[channel];
    this.#address[channel] += this.isDecrementing(channel) ? -units : units;
    this.#count[channel] -= units;
    if (!isLast) return false;
    const bit = 1 << channel;
    this.#terminalCount |= bit;
    this.#request &= ~bit;
    if ((this.#mode[channel] & R.MODE_AUTOINIT) !== 0) {
      this.#address[channel] = this.#baseAddress[channel];
      this.#count[channel] = this.#baseCount[channel];
    } else {
      this.#mask |= bit;
    }
    return true;
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      baseAddress: [...this.#baseAddress],
      baseCount: [...this.#baseCount],
      address: [...this.#address],
      count: [...this.#count],
      mode: [...this.#mode],
      command: this.#command,
      mask: this.#mask,
      request: this.#request,
      terminalCount: this.#terminalCount,
      isHigh: this.#isHigh,
    };
  }

  load(state: StateReader): void {
    this.#baseAddress.set(state.integers("baseAddress", 4, 4, 0, 0xffff));
    this.#baseCount.set(state.integers("baseCount", 4, 4, 0, 0xffff));
    this.#address.set(state.integers("address", 4, 4, 0, 0xffff));
    this.#count.set(state.integers("count", 4, 4, 0, 0xffff));
    this.#mode.set(state.integers("mode", 4, 4, 0, 0xfc));
    this.#command = state.byte("command");
    this.#mask = state.integer("mask", 0, 0x0f);
    this.#request = state.integer("request", 0, 0x0f);
    this.#terminalCount = state.integer("terminalCount", 0, 0x0f);
    this.#isHigh = state.boolean("isHigh");
    state.end();
  }
}
