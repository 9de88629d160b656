/** The registers of an 8254x as 32-bit values at their offsets: which keep what is written, statistics, defaults after a reset. */
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import * as R from "./registers.ts";

const WORDS = R.REGISTERS_BYTES / 4;
/** For each register the bits that a plain write keeps; 0: there is no such register, or writing it does more. */
const masks = new Uint32Array(WORDS);
for (const [offset, mask] of R.plainRegisters) masks[offset >> 2] = mask;
for (const [start, end] of R.plainArrays) masks.fill(0xffff_ffff, start >> 2, end >> 2);

/** The upper bounds of the packet length counters. */
const sizeClasses = [64, 127, 255, 511, 1023];

export class E1000Registers {
  readonly #values = new Uint32Array(WORDS);

  get(offset: number): number {
    return this.#values[offset >> 2];
  }
  set(offset: number, value: number): void {
    this.#values[offset >> 2] = value;
  }
  /** A guest's write to a register that only keeps it. False: it is not one. */
  writePlain(offset: number, value: number): boolean {
    const mask = masks[offset >> 2] ?? 0;
    if (mask === 0) return false;
    this.#values[offset >> 2] = value & mask;
    return true;
  }

  /** After a global reset; the address comes from the EEPROM. */
  reset(words: Uint16Array): void {
    this.#values.fill(0);
    this.set(R.CTRL, R.CTRL_FD | R.CTRL_ASDE | R.CTRL_SLU | R.CTRL_SPD_1000);
    this.set(R.EECD, R.EECD_PRES);
    this.set(R.PBA, 0x0010_0030);
    this.set(R.MDIC, R.MDIC_READY);
    this.set(0x0e00, 0x0706_8302);
    this.set(0x5820, 0x0000_2000);
    this.loadAddress(words);
  }

  /** The first receive address, from the EEPROM. */
  loadAddress(words: Uint16Array): void {
    this.set(R.RA, words[0] | (words[1] << 16));
    this.set(R.RA + 4, (words[2] | R.RAH_AV) >>> 0);
  }

  // --- statistics ---

  count(offset: number): void {
    const at = offset >> 2;
    if (this.#values[at] !== 0xffff_ffff) this.#values[at]++;
  }

  /** A packet of `bytes` (FCS included) passed: total, good, by length and kind of address. */
  countPacket(isReceived: boolean, frame: Uint8Array, bytes: number): void {
    this.count(isReceived ? R.TPR : R.TPT);
    this.count(isReceived ? R.GPRC : R.GPTC);
    this.#addOctets(isReceived ? R.TORL : R.TOTL, bytes);
    this.#addOctets(isReceived ? R.GORCL : R.GOTCL, bytes);
    let sizeClass = 0;
    while (sizeClass < sizeClasses.length && bytes > sizeClasses[sizeClass]) sizeClass++;
    this.count((isReceived ? R.PRC64 : R.PTC64) + 4 * sizeClass);
    if ((frame[0] & 1) === 0) return;
    const isBroadcast = (frame[0] & frame[1] & frame[2] & frame[3] & frame[4] & frame[5]) === 0xff;
    if (isReceived) this.count(isBroadcast ? R.BPRC : R.MPRC);
    else this.count(isBroadcast ? R.BPTC : R.MPTC);
  }

  #addOctets(low: number, bytes: number): void {
    const sum = this.get(low) + bytes;
    this.set(low, sum);
    if (sum > 0xffff_ffff) this.set(low + 4, this.get(low + 4) + 1);
  }

  /** A guest's read of a statistic. 64-bit counters are cleared with their upper half. */
  readStatistic(offset: number): number {
    const value = this.get(offset);
    const isLow = offset === R.GORCL || offset === R.GOTCL || offset === R.TORL || offset === R.TOTL;
    const isHigh = offset === R.GORCL + 4 || offset === R.GOTCL + 4 || offset === R.TORL + 4 || offset === R.TOTL + 4;
    if (!isLow) this.set(offset, 0);
    if (isHigh) this.set(offset - 4, 0);
    return value;
  }

  save(): SavedValue {
    return new Uint8Array(this.#values.buffer).slice();
  }
  load(state: StateReader, key: string): void {
    new Uint8Array(this.#values.buffer).set(state.bytes(key, R.REGISTERS_BYTES));
  }
}
