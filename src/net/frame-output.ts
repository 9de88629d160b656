/**
 * Frames towards the guest. They are built in one buffer and handed out as views that are made once per length. When the
 * guest's side has no room, connections keep what they have and try again; everything else waits in a short queue.
 */

/** Takes a frame, valid during the call. False: no room; `NatNetwork.resume` is called when there is some. */
export type FrameSink = (frame: Uint8Array) => boolean;

/** Ethernet's shortest frame without FCS. */
const SHORTEST_BYTES = 60;
/** Bytes that wait while the guest takes nothing; what does not fit is lost, as on a wire. */
const QUEUE_BYTES = 256 * 1024;

export class FrameOutput {
  /** The frame under construction. */
  readonly bytes: Uint8Array;
  /** Frames that were lost because the guest takes nothing. */
  lost = 0;
  sent = 0;
  readonly #sink: FrameSink;
  readonly #views: (Uint8Array | undefined)[];
  readonly #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #isBlocked = false;

  constructor(sink: FrameSink, longestBytes: number) {
    this.#sink = sink;
    this.bytes = new Uint8Array(longestBytes);
    this.#views = new Array(longestBytes + 1);
  }

  get isBlocked(): boolean {
    return this.#isBlocked;
  }

  /** Sends the first `frameBytes` of `bytes`, padded to Ethernet's minimum. False: nothing was sent. */
  send(frameBytes: number): boolean {
    if (this.#isBlocked) return false;
    const length = this.#pad(frameBytes);
    this.#views[length] ??= this.bytes.subarray(0, length);
    if (!this.#sink(this.#views[length])) {
      this.#isBlocked = true;
      return false;
    }
    this.sent++;
    return true;
  }

  /** Sends now or when there is room. */
  sendOrQueue(length: number): void {
    if (this.send(length)) return;
    if (this.#queuedBytes + length > QUEUE_BYTES) {
      this.lost++;
      return;
    }
    const frame = this.bytes.slice(0, this.#pad(length));
    this.#queue.push(frame);
    this.#queuedBytes += frame.length;
  }

  #pad(length: number): number {
    if (length >= SHORTEST_BYTES) return length;
    this.bytes.fill(0, length, SHORTEST_BYTES);
    return SHORTEST_BYTES;
  }

  /** The guest's side has room again: sends what waited. */
  resume(): void {
    this.#isBlocked = false;
    let done = 0;
    for (const frame of this.#queue) {
      if (!this.#sink(frame)) {
        this.#isBlocked = true;
        break;
      }
      this.sent++;
      this.#queuedBytes -= frame.length;
      done++;
    }
    if (done > 0) this.#queue.splice(0, done);
  }
}
