/**
 * The CT1745 mixer: volumes in steps of 2 dB, the Sound Blaster Pro's registers as another view of them, and the choice of
 * interrupt and DMA channels. Only master, voice and output gain change what is heard; the other inputs have no source.
 */
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import * as R from "./registers.ts";

/** Fixed point of gains. */
export const UNITY = 1 << 12;

/** Value after reset and the bits that exist, by register. */
const registers = new Map<number, readonly [initial: number, mask: number]>([
  [R.MIX_STEREO, [0x00, 0x22]],
  [0x0c, [0x00, 0x2e]],
  ...([0x30, 0x31, 0x32, 0x33, 0x34, 0x35] as const).map((r) => [r, [0xc0, 0xf8]] as const),
  ...([0x36, 0x37, 0x38, 0x39, 0x3a] as const).map((r) => [r, [0x00, 0xf8]] as const),
  [0x3b, [0x00, 0xc0]],
  [0x3c, [0x1f, 0x1f]],
  [0x3d, [0x15, 0x7f]],
  [0x3e, [0x0b, 0x7f]],
  ...([0x3f, 0x40, 0x41, 0x42] as const).map((r) => [r, [0x00, 0xc0]] as const),
  [0x43, [0x00, 0x01]],
  ...([0x44, 0x45, 0x46, 0x47] as const).map((r) => [r, [0x80, 0xf0]] as const),
]);
/** Registers of the Sound Blaster Pro: four bits left and four right of a pair of the above. */
const pairs = new Map([
  [0x04, 0x32],
  [0x22, 0x30],
  [0x26, 0x34],
  [0x28, 0x36],
  [0x2e, 0x38],
]);
const PRO_MICROPHONE = 0x0a;
const MICROPHONE = 0x3a;

export class Mixer {
  readonly #values = new Uint8Array(0x100);
  #index = 0;
  /** Bits of the interrupt status register that are set. */
  irqStatus = 0;
  leftGain = 0;
  rightGain = 0;
  readonly #onChange: () => void;

  /** `onChange`: the interrupt or the DMA channels may be others now. */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
    this.reset();
  }

  /** The whole card: interrupt and DMA choice too. */
  reset(): void {
    this.#values[R.MIX_IRQ] = R.DEFAULT_IRQ;
    this.#values[R.MIX_DMA] = R.DEFAULT_DMA;
    this.#index = 0;
    this.#resetVolumes();
  }

  #resetVolumes(): void {
    for (const [register, [initial]] of registers) this.#values[register] = initial;
    this.#updateGains();
  }

  get isStereo(): boolean {
    return (this.#values[R.MIX_STEREO] & 2) !== 0;
  }
  /** Number of the ISA interrupt, -1 for none. */
  get irq(): number {
    const bit = lowestBit(this.#values[R.MIX_IRQ] & 0x0f);
    return bit < 0 ? -1 : R.IRQS[bit];
  }
  /** 8237 channels, -1 for none; 16-bit transfers go through the 8-bit channel if there is no other. */
  get dma8(): number {
    const bit = lowestBit(this.#values[R.MIX_DMA] & 0x0b);
    return bit < 0 ? -1 : R.DMAS[bit];
  }
  get dma16(): number {
    const bit = lowestBit(this.#values[R.MIX_DMA] & 0xe0);
    return bit < 0 ? this.dma8 : R.DMAS[bit];
  }

  selectRegister(index: number): void {
    this.#index = index;
  }
  get index(): number {
    return this.#index;
  }

  read(): number {
    const index = this.#index;
    if (index === R.MIX_IRQ_STATUS) return this.irqStatus | R.IRQ_STATUS_CHIP;
    const pair = pairs.get(index);
    if (pair !== undefined) return (this.#values[pair] & 0xf0) | (this.#values[pair + 1] >> 4);
    if (index === PRO_MICROPHONE) return this.#values[MICROPHONE] >> 5;
    if (index === R.MIX_IRQ || index === R.MIX_DMA || registers.has(index)) return this.#values[index];
    return 0xff;
  }

  write(value: number): void {
    const index = this.#index;
    const pair = pairs.get(index);
    const known = registers.get(index);
    if (index === R.MIX_RESET) this.#resetVolumes();
    else if (pair !== undefined) {
      // Four bits become five: the highest stands for full volume.
      this.#values[pair] = (value & 0xf0) | ((value & 0x80) >> 4);
      this.#values[pair + 1] = ((value << 4) & 0xf0) | (value & 0x08);
    } else if (index === PRO_MICROPHONE) this.#values[MICROPHONE] = (value & 7) << 5;
    else if (index === R.MIX_IRQ) this.#values[index] = value & 0x0f;
    else if (index === R.MIX_DMA) this.#values[index] = value & 0xeb;
    else if (known !== undefined) this.#values[index] = value & known[1];
    this.#updateGains();
    this.#onChange();
  }

  #updateGains(): void {
    const gain = (side: number) => {
      const master = this.#values[R.MIX_MASTER_LEFT + side] >> 3;
      const voice = this.#values[R.MIX_VOICE_LEFT + side] >> 3;
      if (master === 0 || voice === 0) return 0;
      const outputGain = this.#values[R.MIX_OUTPUT_GAIN_LEFT + side] >> 6;
      return Math.round(UNITY * 10 ** (((master - 31) * 2 + (voice - 31) * 2) / 20)) << outputGain;
    };
    this.leftGain = gain(0);
    this.rightGain = gain(1);
  }

  save(): { readonly [key: string]: SavedValue } {
    return { values: this.#values.slice(), index: this.#index, irqStatus: this.irqStatus };
  }

  load(state: StateReader): void {
    const values = state.bytes("values", 0x100);
    this.#index = state.byte("index");
    this.irqStatus = state.integer("irqStatus", 0, 3);
    state.end();
    this.#values.fill(0);
    for (const [register, [, mask]] of registers) this.#values[register] = values[register] & mask;
    this.#values[R.MIX_IRQ] = values[R.MIX_IRQ] & 0x0f;
    this.#values[R.MIX_DMA] = values[R.MIX_DMA] & 0xeb;
    this.#updateGains();
  }
}

function lowestBit(value: number): number {
  return value === 0 ? -1 : 31 - Math.clz32(value & -value);
}
