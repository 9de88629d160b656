/**
 * The page's player, in the browser's audio thread: what the guest plays, sample by sample, in an audio graph of the card's own
 * rate. It begins when a little has gathered, so that small delays are not heard, and gives up what has been too much for a
 * second, so that sound does not come late.
 */
declare const sampleRate: number;
declare function registerProcessor(name: string, processor: unknown): void;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}

const START_SECONDS = 0.03;
const SURPLUS_SECONDS = 0.045;
/** More than this is lost at once: a page that stood still. */
const MOST_SECONDS = 1;
const SCALE = 1 / 32768;

class Player extends AudioWorkletProcessor {
  readonly #packets: Int16Array[] = [];
  /** Frames in all packets, without those of the first that were played. */
  #frames = 0;
  #at = 0;
  #isPlaying = false;
  #waitedFrames = 0;
  /** The least that was there in the last second. */
  #least = Number.POSITIVE_INFINITY;
  #watchedFrames = 0;

  constructor() {
    super();
    this.port.onmessage = ({ data }: MessageEvent<Int16Array>) => {
      this.#packets.push(data);
      this.#frames += data.length >> 1;
      if (this.#frames > MOST_SECONDS * sampleRate) this.#drop(this.#frames - START_SECONDS * sampleRate);
    };
  }

  process(_inputs: unknown, [[left, right]]: Float32Array[][]): boolean {
    const wanted = left.length;
    if (!this.#isPlaying && this.#frames > 0) {
      this.#waitedFrames += wanted;
      // A sound shorter than that begins, too.
      const start = START_SECONDS * sampleRate;
      this.#isPlaying = this.#frames >= start || this.#waitedFrames >= start;
    }
    let done = 0;
    while (this.#isPlaying && done < wanted && this.#packets.length > 0) {
      const [packet] = this.#packets;
      while (done < wanted && this.#at < packet.length) {
        left[done] = packet[this.#at++] * SCALE;
        right[done++] = packet[this.#at++] * SCALE;
      }
      if (this.#at >= packet.length) {
        this.#packets.shift();
        this.#at = 0;
      }
    }
    this.#frames -= done;
    if (done < wanted) {
      this.#isPlaying = false;
      this.#waitedFrames = 0;
    }
    this.#watch(wanted);
    return true;
  }

  #watch(frames: number): void {
    this.#least = Math.min(this.#least, this.#frames);
    this.#watchedFrames += frames;
    if (this.#watchedFrames < sampleRate) return;
    if (this.#least > SURPLUS_SECONDS * sampleRate) this.#drop(this.#least - START_SECONDS * sampleRate);
    this.port.postMessage(this.#frames / sampleRate);
    this.#least = Number.POSITIVE_INFINITY;
    this.#watchedFrames = 0;
  }

  #drop(frames: number): void {
    for (let left = Math.floor(frames); left > 0 && this.#packets.length > 0; ) {
      const there = (this.#packets[0].length - this.#at) >> 1;
      const dropped = Math.min(left, there);
      this.#at += dropped * 2;
      this.#frames -= dropped;
      left -= dropped;
      if (dropped === there) {
        this.#packets.shift();
        this.#at = 0;
      }
    }
  }
}

registerProcessor("player", Player);
