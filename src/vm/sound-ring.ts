/**
 * What the guest plays, on its way from the machine thread to listeners in the VM process (the web console's page): packets in
 * a ring in shared memory, at the card's own rate, sample by sample. Nobody listens: nothing is written. A listener that
 * does not keep up loses packets; the guest never waits.
 */
import type { AudioBackend } from "../backend-api/audio.ts";
import { FrameRing } from "./frame-ring.ts";

/** More than a second at 48,000 Hz: as long as a busy host may keep the main thread from coming. */
const RING_BYTES = 1 << 18;
/** Frames of a packet: 21 ms at 48,000 Hz. */
const PACKET_FRAMES = 1024;
const HEADER_BYTES = 4;
const FRAME_BYTES = 4;

export interface SoundBuffers {
  readonly ring: SharedArrayBuffer;
  /** One 32-bit word: how many listen. */
  readonly listeners: SharedArrayBuffer;
}

/** The machine thread's end. */
export class RingAudioBackend implements AudioBackend {
  readonly #ring: FrameRing;
  readonly #listeners: Int32Array;
  readonly #source: number;
  readonly #packet = new Uint8Array(HEADER_BYTES + PACKET_FRAMES * FRAME_BYTES);
  readonly #view = new DataView(this.#packet.buffer);

  /** `source` tells listeners apart what plays at the same time: 0 the sound card, 1 the PC's speaker. */
  constructor(buffers: SoundBuffers, source = 0) {
    this.#source = source;
    this.#ring = new FrameRing(buffers.ring);
    this.#listeners = new Int32Array(buffers.listeners);
  }

  play(samples: Int16Array, rateHz: number): void {
    if (Atomics.load(this.#listeners, 0) === 0) return;
    for (let start = 0; start < samples.length; start += PACKET_FRAMES * 2) {
      const count = Math.min(samples.length - start, PACKET_FRAMES * 2);
      this.#view.setUint32(0, (rateHz & 0xff_ffff) | (this.#source << 24), true);
      for (let i = 0; i < count; i++) this.#view.setInt16(HEADER_BYTES + i * 2, samples[start + i], true);
      const outcome = this.#ring.write(this.#packet.subarray(0, HEADER_BYTES + count * 2));
      if (outcome === "first") this.#ring.wakeReader();
    }
  }
}

/** Both get everything. */
export function bothAudio(one: AudioBackend, other: AudioBackend): AudioBackend {
  return {
    play(samples, rateHz) {
      one.play(samples, rateHz);
      other.play(samples, rateHz);
    },
  };
}

/** Plays to `outlet` while it is switched on. */
export class SwitchedAudio implements AudioBackend {
  readonly #outlet: AudioBackend;
  isOn: boolean;

  constructor(outlet: AudioBackend, isOn: boolean) {
    this.#outlet = outlet;
    this.isOn = isOn;
  }

  play(samples: Int16Array, rateHz: number): void {
    if (this.isOn) this.#outlet.play(samples, rateHz);
  }
}

/** A packet: the rate in Hz (24 bits, little-endian), the source (8 bits), then 16-bit samples, left and right in turn. Valid during the call. */
export type SoundListener = (packet: Uint8Array) => void;

/** The main thread's end. */
export class SoundHost {
  readonly buffers: SoundBuffers;
  readonly #ring = FrameRing.create(RING_BYTES);
  readonly #listeners = new Set<SoundListener>();
  readonly #count = new Int32Array(new SharedArrayBuffer(4));
  readonly #packet = new Uint8Array(HEADER_BYTES + PACKET_FRAMES * FRAME_BYTES);
  #isPumping = false;

  constructor() {
    this.buffers = { ring: this.#ring.buffer, listeners: this.#count.buffer as SharedArrayBuffer };
  }

  /** From now on until the function returned is called. */
  listen(listener: SoundListener): () => void {
    // What was played when nobody listened any more is old.
    if (this.#listeners.size === 0) while (this.#ring.read(this.#packet) > 0);
    this.#listeners.add(listener);
    Atomics.store(this.#count, 0, this.#listeners.size);
    void this.#pump();
    return () => {
      this.#listeners.delete(listener);
      Atomics.store(this.#count, 0, this.#listeners.size);
    };
  }

  /** One is enough, and it sleeps while nothing is played. */
  async #pump(): Promise<void> {
    if (this.#isPumping) return;
    this.#isPumping = true;
    for (;;) {
      await this.#ring.whenWritten();
      for (let length = this.#ring.read(this.#packet); length > 0; length = this.#ring.read(this.#packet))
        for (const listener of this.#listeners) listener(this.#packet.subarray(0, length));
    }
  }
}
