/**
 * The codec: SigmaTel STAC9700 as VirtualBox presents it, with variable rates (AC'97 2.1, chapters 5 and 6; STAC9700/21
 * data sheet). Volumes of master and PCM out act on what is played; the analog inputs have registers and no sound.
 * Not modelled: 3D enhancement, tone, loopback, power states (stored).
 */
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import * as R from "./registers.ts";

const RESET_ID = 0x6940;
const EXTENDED = 0x0809;
const VENDOR = [0x8384, 0x7600] as const;

/** Register, value after reset, bits that hold what is written. */
const writable: readonly (readonly [register: number, initial: number, mask: number])[] = [
  [R.MASTER_VOLUME, 0x8000, 0x9f1f],
  [0x04, 0x8000, 0x9f1f],
  [0x06, 0x8000, 0x801f],
  [0x0a, 0x0000, 0x801e],
  [0x0c, 0x8008, 0x801f],
  [0x0e, 0x8008, 0x805f],
  [0x10, 0x8808, 0x9f1f],
  [0x12, 0x8808, 0x9f1f],
  [0x14, 0x8808, 0x9f1f],
  [0x16, 0x8808, 0x9f1f],
  [R.PCM_OUT_VOLUME, 0x8808, 0x9f1f],
  [0x1a, 0x0000, 0x0707],
  [0x1c, 0x8000, 0x8f0f],
  [0x20, 0x0000, 0xa380],
  [0x22, 0x0000, 0x0003],
  [R.POWERDOWN, 0x0000, 0xef00],
  [R.EXTENDED_STATUS, 0x0000, R.EXT_VRA | R.EXT_VRM],
  [R.PCM_FRONT_RATE, R.DEFAULT_RATE_HZ, 0xffff],
  [R.PCM_ADC_RATE, R.DEFAULT_RATE_HZ, 0xffff],
  [R.MIC_ADC_RATE, R.DEFAULT_RATE_HZ, 0xffff],
];
const masks = new Map(writable.map(([register, , mask]) => [register, mask]));
const rates = new Map([
  [R.PCM_FRONT_RATE, R.EXT_VRA],
  [R.PCM_ADC_RATE, R.EXT_VRA],
  [R.MIC_ADC_RATE, R.EXT_VRM],
]);
/** Volumes of five bits per side; a sixth bit, which some codecs have, sets all five. */
const sixBitVolumes = new Set([R.MASTER_VOLUME, 0x04, 0x06]);

/** Fixed point of gains. */
export const UNITY = 1 << 12;

export class Codec {
  readonly #registers = new Uint16Array(0x40);
  /** Factors of the two sides in units of 1 / UNITY. */
  leftGain = 0;
  rightGain = 0;

  constructor() {
    this.reset();
  }

  reset(): void {
    this.#registers.fill(0);
    this.#registers[R.RESET >> 1] = RESET_ID;
    for (const [register, initial] of writable) this.#registers[register >> 1] = initial;
    this.#registers[R.EXTENDED_ID >> 1] = EXTENDED;
    this.#registers[R.VENDOR_ID1 >> 1] = VENDOR[0];
    this.#registers[R.VENDOR_ID2 >> 1] = VENDOR[1];
    this.#updateGains();
  }

  /** `register` is even and below 80h. */
  read(register: number): number {
    const value = this.#registers[register >> 1];
    return register === R.POWERDOWN ? value | R.POWERDOWN_READY : value;
  }

  write(register: number, value: number): void {
    if (register === R.RESET) {
      this.reset();
      return;
    }
    const mask = masks.get(register);
    if (mask === undefined) return;
    const needed = rates.get(register);
    if (needed !== undefined) {
      if ((this.#registers[R.EXTENDED_STATUS >> 1] & needed) === 0) return;
      value = Math.max(R.MIN_RATE_HZ, Math.min(R.DEFAULT_RATE_HZ, value));
    }
    if (sixBitVolumes.has(register)) {
      if ((value & 0x2000) !== 0) value |= 0x1f00;
      if ((value & 0x20) !== 0) value |= 0x1f;
    }
    this.#registers[register >> 1] = value & mask;
    if (register === R.EXTENDED_STATUS) this.#fixRates();
    if (register === R.MASTER_VOLUME || register === R.PCM_OUT_VOLUME) this.#updateGains();
  }

  rateHz(register: number): number {
    return this.#registers[register >> 1];
  }

  /** Without the variable rate's bit, the rate is 48 kHz. */
  #fixRates(): void {
    for (const [register, needed] of rates)
      if ((this.#registers[R.EXTENDED_STATUS >> 1] & needed) === 0) this.#registers[register >> 1] = R.DEFAULT_RATE_HZ;
  }

  #updateGains(): void {
    const master = this.#registers[R.MASTER_VOLUME >> 1];
    const pcm = this.#registers[R.PCM_OUT_VOLUME >> 1];
    const isMuted = ((master | pcm) & R.MUTE) !== 0;
    // Steps of 1.5 dB: master from 0 dB down, PCM from +12 dB down.
    const gain = (steps: number) => (isMuted ? 0 : Math.round(UNITY * 10 ** ((-1.5 * steps) / 20)));
    this.leftGain = gain(((master >> 8) & 0x1f) + ((pcm >> 8) & 0x1f) - 8);
    this.rightGain = gain((master & 0x1f) + (pcm & 0x1f) - 8);
  }

  save(): { readonly [key: string]: SavedValue } {
    return { registers: [...this.#registers] };
  }

  load(state: StateReader): void {
    const saved = state.integers("registers", 0x40, 0x40, 0, 0xffff);
    state.end();
    this.reset();
    // What is not writable is as the reset leaves it.
    for (const [register, mask] of masks) this.#registers[register >> 1] = saved[register >> 1] & mask;
    for (const register of rates.keys()) {
      const rate = Math.max(R.MIN_RATE_HZ, Math.min(R.DEFAULT_RATE_HZ, saved[register >> 1]));
      this.#registers[register >> 1] = rate;
    }
    this.#fixRates();
    this.#updateGains();
  }
}
