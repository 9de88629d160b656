/**
 * The PC's loudspeaker: OUT of counter 2 and bit 1 of port 61h, as samples at 48,000 Hz. Each sample is the mean of the level over
 * its time, so that programs that play by pulse width are heard, too. A level that stays is silence: nothing is played.
 */
import type { AudioBackend } from "../../backend-api/audio.ts";
import type { Clock, Timer } from "../../device-api/clock.ts";

const RATE_HZ = 48_000;
const SAMPLE_NS = 1e9 / RATE_HZ;
/** Looks at the level per sample. */
const LOOKS = 8;
/** Of the high level, the low one is 0; quieter than a sound card, as in a PC. */
const HIGH = 10_000;
/** Played at a time. */
const PERIOD_NS = 10_000_000;
const MOST_FRAMES = 512;
/** A level that has stayed for so long is silence: half a wave of 25 Hz. */
const QUIET_NS = 20_000_000;
/** After a longer absence of the host the sound goes on, without what was missed. */
const LONGEST_ABSENCE_NS = 200_000_000;

export class Speaker {
  readonly #clock: Clock;
  readonly #outAt: (ns: number) => boolean;
  readonly #backend: AudioBackend;
  readonly #timer: Timer;
  readonly #samples = new Int16Array(MOST_FRAMES * 2);
  #isOn = false;
  /** Samples are being made. */
  #isRunning = false;
  /** When the next sample begins. */
  #nextNs = 0;
  #lastLevel = 0;
  #changedNs = Number.NEGATIVE_INFINITY;

  /** `outAt`: counter 2's OUT at a guest time that is not in the future. */
  constructor(clock: Clock, outAt: (ns: number) => boolean, backend: AudioBackend) {
    this.#clock = clock;
    this.#outAt = outAt;
    this.#backend = backend;
    this.#timer = clock.createTimer("speaker", () => {
      // Off, and silent: over.
      this.#isRunning = this.settle() || this.#isOn;
      if (this.#isRunning) this.#timer.armAfter(PERIOD_NS);
    });
  }

  /** Bit 1 of port 61h; call `settle` before whatever else decides the level changes. */
  setData(isOn: boolean): void {
    if (isOn === this.#isOn) return;
    this.settle();
    this.#isOn = isOn;
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#nextNs = this.#clock.nowNs();
    this.#lastLevel = 0;
    this.#timer.armAfter(PERIOD_NS);
  }

  /** Plays what has been up to now. False: it was silence. */
  settle(): boolean {
    if (!this.#isRunning) return false;
    let hasPlayed = false;
    const nowNs = this.#clock.nowNs();
    if (nowNs - this.#nextNs > LONGEST_ABSENCE_NS) this.#nextNs = nowNs - LONGEST_ABSENCE_NS;
    while (this.#nextNs + SAMPLE_NS <= nowNs) {
      let frames = 0;
      for (; frames < MOST_FRAMES && this.#nextNs + SAMPLE_NS <= nowNs; frames++) {
        const level = this.#level();
        if (level !== this.#lastLevel) this.#changedNs = this.#nextNs;
        this.#lastLevel = level;
        this.#samples[frames * 2] = level;
        this.#samples[frames * 2 + 1] = level;
        this.#nextNs += SAMPLE_NS;
      }
      if (this.#nextNs - this.#changedNs > QUIET_NS) continue;
      hasPlayed = true;
      this.#backend.play(this.#samples.subarray(0, frames * 2), RATE_HZ);
    }
    return hasPlayed;
  }

  #level(): number {
    if (!this.#isOn) return 0;
    let high = 0;
    for (let i = 0; i < LOOKS; i++) if (this.#outAt(Math.floor(this.#nextNs + (i * SAMPLE_NS) / LOOKS))) high++;
    return Math.round((high / LOOKS) * HIGH);
  }

  reset(): void {
    this.#isOn = false;
    this.#isRunning = false;
    this.#timer.cancel();
  }
}
