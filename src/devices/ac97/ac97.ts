/**
 * The ICH's AC'97 controller (82801AA, order 290655, chapter 13) with one codec: the mixer's window (16-bit registers), the
 * bus master's window, three engines (PCM in, PCM out, microphone) and the interrupt. Not modelled: modem, more than two
 * channels, a secondary codec, the semaphore's waiting (an access is over at once), GPIO.
 */
import type { AudioBackend } from "../../backend-api/audio.ts";
import type { Clock } from "../../device-api/clock.ts";
import type { GuestMemory } from "../../device-api/guest-memory.ts";
import { type AccessSize, allOnes, byteWindow, type IoWindow } from "../../device-api/io-window.ts";
import type { IrqLine } from "../../device-api/irq-line.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import { Codec, UNITY } from "./codec.ts";
import { Engine } from "./engine.ts";
import * as R from "./registers.ts";

export interface Ac97Options {
  readonly backend: AudioBackend;
  readonly memory: GuestMemory;
  readonly clock: Clock;
  readonly interrupt: IrqLine;
  readonly isBusMaster: () => boolean;
}

/** Bits of GLOB_STA by engine: PIINT, POINT, MINT. */
const interruptBits = [0x20, 0x40, 0x80] as const;

export class Ac97 {
  readonly #backend: AudioBackend;
  readonly #interrupt: IrqLine;
  readonly #codec = new Codec();
  readonly #engines: readonly Engine[];
  readonly #scaled = new Int16Array(4096);
  #globalControl = 0;
  /** A read of the absent codec timed out. */
  #hasReadFailed = false;
  #isSemaphoreTaken = false;

  /** BAR 0: the codec's registers. */
  readonly mixer: IoWindow;
  /** BAR 1: the bus master's. */
  readonly busMaster: IoWindow;

  constructor(options: Ac97Options) {
    const { clock, memory, isBusMaster } = options;
    this.#backend = options.backend;
    this.#interrupt = options.interrupt;
    const onInterrupt = () => this.#updateInterrupt();
    const common = { memory, clock, isBusMaster, onInterrupt };
    const record = (samples: Int16Array, rateHz: number) => this.#record(samples, rateHz);
    this.#engines = [
      new Engine({
        ...common,
        name: "pcm in",
        channels: 2,
        rateHz: () => this.#codec.rateHz(R.PCM_ADC_RATE),
        transfer: record,
      }),
      new Engine({
        ...common,
        name: "pcm out",
        channels: 2,
        rateHz: () => this.#codec.rateHz(R.PCM_FRONT_RATE),
        transfer: (samples, rateHz) => this.#play(samples, rateHz),
      }),
      new Engine({
        ...common,
        name: "microphone",
        channels: 1,
        rateHz: () => this.#codec.rateHz(R.MIC_ADC_RATE),
        transfer: (samples) => {
          samples.fill(0);
          return true;
        },
      }),
    ];
    this.mixer = {
      read: (offset, size) => this.#readMixer(offset, size),
      write: (offset, size, value) => this.#writeMixer(offset, size, value),
    };
    const bytes = byteWindow({
      readByte: (offset) => this.#readByte(offset),
      writeByte: (offset, value) => this.#writeByte(offset, value),
    });
    this.busMaster = {
      read: (offset, size) => {
        this.#engines[offset >> 4]?.update();
        return bytes.read(offset, size);
      },
      write: (offset, size, value) => bytes.write(offset, size, value),
    };
  }

  reset(): void {
    this.#globalControl = 0;
    this.#hasReadFailed = false;
    this.#isSemaphoreTaken = false;
    this.#codec.reset();
    for (const engine of this.#engines) engine.reset(true);
  }

  #play(samples: Int16Array, rateHz: number): boolean {
    const { leftGain, rightGain } = this.#codec;
    if (leftGain === UNITY && rightGain === UNITY) {
      this.#backend.play(samples, rateHz);
      return false;
    }
    const scaled = this.#scaled.subarray(0, samples.length);
    for (let i = 0; i < samples.length; i++) {
      const value = (samples[i] * ((i & 1) === 0 ? leftGain : rightGain)) / UNITY;
      scaled[i] = Math.max(-0x8000, Math.min(0x7fff, Math.round(value)));
    }
    this.#backend.play(scaled, rateHz);
    return false;
  }

  #record(samples: Int16Array, rateHz: number): boolean {
    if (this.#backend.record) this.#backend.record(samples, rateHz);
    else samples.fill(0);
    return true;
  }

  #updateInterrupt(): void {
    if (this.#engines.some((engine) => engine.hasInterrupt)) this.#interrupt.raise();
    else this.#interrupt.lower();
  }

  #readMixer(offset: number, size: AccessSize): number {
    this.#isSemaphoreTaken = false;
    if (offset >= R.SECONDARY) {
      this.#hasReadFailed = true;
      return allOnes(size);
    }
    const low = this.#codec.read(offset & ~1);
    if (size === 1) return (low >> (8 * (offset & 1))) & 0xff;
    if (size === 2) return (offset & 1) === 0 ? low : 0xffff;
    return (low | (this.#codec.read((offset + 2) & ~1 & 0x7f) << 16)) >>> 0;
  }

  /** The link moves words: a byte by itself is not sent. */
  #writeMixer(offset: number, size: AccessSize, value: number): void {
    this.#isSemaphoreTaken = false;
    if (offset >= R.SECONDARY || (offset & 1) !== 0 || size === 1) return;
    this.#codec.write(offset, value & 0xffff);
    if (size === 4 && offset + 2 < R.SECONDARY) this.#codec.write(offset + 2, value >>> 16);
  }

  #readByte(offset: number): number {
    const engine = this.#engines[offset >> 4];
    if (engine !== undefined && offset < R.GLOB_CNT) return engine.readByte(offset & 15);
    const shift = 8 * (offset & 3);
    switch (offset & ~3) {
      case R.GLOB_CNT:
        return (this.#globalControl >> shift) & 0xff;
      case R.GLOB_STA:
        return (this.#globalStatus() >> shift) & 0xff;
      case R.CAS: {
        if (offset !== R.CAS) return 0;
        const wasTaken = this.#isSemaphoreTaken;
        this.#isSemaphoreTaken = true;
        return wasTaken ? 1 : 0;
      }
      default:
        return 0;
    }
  }

  #globalStatus(): number {
    let status = (this.#globalControl & R.GLOB_CNT_COLD) !== 0 ? R.GLOB_STA_PCR : 0;
    if (this.#hasReadFailed) status |= R.GLOB_STA_RCS;
    for (const [i, engine] of this.#engines.entries()) if (engine.hasInterrupt) status |= interruptBits[i];
    return status;
  }

  #writeByte(offset: number, value: number): void {
    const engine = this.#engines[offset >> 4];
    if (engine !== undefined && offset < R.GLOB_CNT) engine.writeByte(offset & 15, value);
    else if (offset === R.GLOB_CNT) this.#writeGlobalControl(value);
    else if (offset === R.GLOB_STA + 1 && (value & (R.GLOB_STA_RCS >> 8)) !== 0) this.#hasReadFailed = false;
  }

  #writeGlobalControl(value: number): void {
    const wasCold = (this.#globalControl & R.GLOB_CNT_COLD) === 0;
    // A warm reset is over at once.
    this.#globalControl = value & R.GLOB_CNT_MASK & ~R.GLOB_CNT_WARM;
    if (!wasCold && (value & R.GLOB_CNT_COLD) === 0) this.#codec.reset();
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      codec: this.#codec.save(),
      engines: this.#engines.map((engine) => engine.save()),
      globalControl: this.#globalControl,
      hasReadFailed: this.#hasReadFailed,
      isSemaphoreTaken: this.#isSemaphoreTaken,
    };
  }

  load(state: StateReader): void {
    this.#codec.load(state.child("codec"));
    const engines = state.children("engines", this.#engines.length);
    for (const [i, engine] of this.#engines.entries()) engine.load(engines[i]);
    this.#globalControl = state.integer("globalControl", 0, R.GLOB_CNT_MASK);
    this.#hasReadFailed = state.boolean("hasReadFailed");
    this.#isSemaphoreTaken = state.boolean("isSemaphoreTaken");
    state.end();
  }
}
