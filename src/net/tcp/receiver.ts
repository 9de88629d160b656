/**
 * The receiving half of a connection: what the guest sends. Data lies in a ring buffer at its place in the sequence, in order or
 * not; the host's stream writes straight out of it, and the window opens as the stream gets rid of bytes.
 */
import { type BufferPool, RingBuffer } from "../buffer-pool.ts";
import { MAX_RANGES, SequenceRanges } from "./ranges.ts";
import { isAfter, isBefore, MAX_SACK_BLOCKS } from "./segment.ts";

/** Two segments are acknowledged at once, one alone after this time unless data of ours carries it. */
const DELAYED_ACK_MS = 10;
/** A window that has become small is opened again by this much at least. */
const WORTHWHILE_BYTES = 4096;

export class TcpReceiver {
  /** Next number that is expected (RCV.NXT). */
  nxt = 0;
  /** Shift of the windows that we announce. */
  windowShift = 0;
  /** An acknowledgement has to go out now. */
  ackNow = false;
  /** When one that was put off has to go, 0 if none was. */
  ackDueMs = 0;
  /** The guest's FIN has come, and everything before it. */
  isFinished = false;
  readonly ring: RingBuffer;
  readonly #pool: BufferPool;
  #limitBytes: number;
  /** First byte that the host's stream has not got rid of. */
  #freed = 0;
  /** First byte that was not given to the host's stream. */
  #flushed = 0;
  /** Right edge of the window that was announced last. */
  #edge = 0;
  #finSeq: number | undefined;
  readonly #ranges = new SequenceRanges();
  #latestSeq = 0;
  #unacknowledged = 0;

  /** `limitBytes` is the largest window. */
  constructor(pool: BufferPool, limitBytes: number) {
    this.#pool = pool;
    this.#limitBytes = limitBytes;
    this.ring = new RingBuffer(pool);
  }

  /** The guest's SYN had this number. */
  start(initialSeq: number): void {
    this.nxt = this.#freed = this.#flushed = (initialSeq + 1) | 0;
    this.#edge = this.nxt;
  }

  /** The guest scales windows, or does not and sees 65,535 bytes at most. */
  setScaling(isOn: boolean): void {
    this.windowShift = 0;
    if (isOn) while (this.#limitBytes >>> this.windowShift > 0xffff) this.windowShift++;
    else this.#limitBytes = Math.min(this.#limitBytes, 0xffff);
  }

  get hasGaps(): boolean {
    return this.#ranges.count > 0;
  }
  get edge(): number {
    return this.#edge;
  }
  /** Bytes that the host's stream has not been given. */
  get unflushedBytes(): number {
    return ((this.isFinished ? this.nxt - 1 : this.nxt) - this.#flushed) | 0;
  }
  /** Nothing is kept for the host. */
  get isEmpty(): boolean {
    return (((this.isFinished ? this.nxt - 1 : this.nxt) - this.#freed) | 0) === 0 && this.#ranges.count === 0;
  }

  /** Whether any of a segment lies in the window (RFC 9293, 3.10.7.4). */
  isAcceptable(seq: number, seqLength: number): boolean {
    if (seqLength === 0) return !isBefore(seq, this.nxt) && (seq === this.nxt || isBefore(seq, this.#edge));
    return isAfter((seq + seqLength) | 0, this.nxt) && isBefore(seq, this.#edge);
  }

  /** Takes an acceptable segment's data and FIN. */
  take(seq: number, bytes: Uint8Array, at: number, length: number, hasFin: boolean, nowMs: number): void {
    const skipped = Math.max(0, (this.nxt - seq) | 0);
    const room = (this.#edge - seq) | 0;
    const end = Math.min(length, room);
    if (hasFin && end === length && this.#finSeq === undefined) this.#finSeq = (seq + length) | 0;
    if (end > skipped) this.#takeData((seq + skipped) | 0, bytes, at + skipped, end - skipped, nowMs);
    else if (length > 0) this.ackNow = true;
    if (this.#finSeq !== undefined && this.nxt === this.#finSeq && !this.isFinished) {
      this.isFinished = true;
      this.nxt = (this.nxt + 1) | 0;
      this.#ranges.clear();
      this.ackNow = true;
    } else if (hasFin) this.ackNow = true;
  }

  #takeData(seq: number, bytes: Uint8Array, at: number, wanted: number, nowMs: number): void {
    let length = wanted;
    // Nothing counts beyond the FIN.
    if (this.#finSeq !== undefined) length = Math.min(length, (this.#finSeq - seq) | 0);
    const distance = (seq - this.#freed) | 0;
    if (length <= 0 || !this.ring.ensure(distance + length)) {
      this.ackNow = true;
      return;
    }
    if (seq === this.nxt) {
      this.ring.write(distance, bytes, at, length);
      this.nxt = (this.nxt + length) | 0;
      if (this.#ranges.count > 0) {
        this.nxt = this.#ranges.endOf(this.nxt);
        this.#ranges.trim(this.nxt);
        this.ackNow = true;
      }
      if (++this.#unacknowledged >= 2) this.ackNow = true;
      else if (this.ackDueMs === 0) this.ackDueMs = nowMs + DELAYED_ACK_MS;
      return;
    }
    this.ackNow = true;
    if (this.#ranges.count === MAX_RANGES || !this.#ranges.add(seq, (seq + length) | 0)) return;
    this.#latestSeq = seq;
    this.ring.write(distance, bytes, at, length);
  }

  /** Ranges for a SACK option, the one that came last first (RFC 2018). Returns how many. */
  sackBlocks(edges: Int32Array, limit = MAX_SACK_BLOCKS - 1): number {
    const { count, starts, ends } = this.#ranges;
    let used = 0;
    const put = (i: number) => {
      edges[2 * used] = starts[i];
      edges[2 * used + 1] = ends[i];
      used++;
    };
    let latest = -1;
    for (let i = 0; i < count && latest < 0; i++)
      if (!isBefore(this.#latestSeq, starts[i]) && isBefore(this.#latestSeq, ends[i])) latest = i;
    if (latest >= 0) put(latest);
    for (let i = 0; i < count && used < limit; i++) if (i !== latest) put(i);
    return used;
  }

  /** The next bytes for the host's stream that lie together, or undefined. They stay until `freed` is told. */
  takeUnflushed(): Uint8Array | undefined {
    const length = this.unflushedBytes;
    if (length <= 0) return undefined;
    const view = this.ring.view((this.#flushed - this.#freed) | 0, length);
    this.#flushed = (this.#flushed + view.length) | 0;
    this.ring.viewsOut++;
    return view;
  }

  /** The host's stream is done with the next `length` bytes. An acknowledgement goes out if the window grows much by it. */
  free(length: number): void {
    this.ring.viewsOut--;
    this.ring.drop(length);
    this.#freed = (this.#freed + length) | 0;
    const growth = (this.#newEdge() - this.#edge) | 0;
    const isNarrow = ((this.#edge - this.nxt) | 0) < this.#limitBytes / 2;
    if (growth >= this.#limitBytes / 2 || (isNarrow && growth >= WORTHWHILE_BYTES)) this.ackNow = true;
  }

  /** The window for the next segment, in bytes; what was announced is never taken back. */
  announce(): number {
    this.#edge = this.#newEdge();
    this.ackNow = false;
    this.ackDueMs = 0;
    this.#unacknowledged = 0;
    return Math.max(0, (this.#edge - this.nxt) | 0);
  }

  /** Window field and announced edge agree: the scaled window is rounded down. */
  #newEdge(): number {
    const limit = this.#pool.isShort
      ? Math.min(this.#limitBytes, Math.max(this.ring.capacity, 16384))
      : this.#limitBytes;
    const free = Math.max(0, limit - ((this.nxt - this.#freed) | 0));
    const rounded = (free >>> this.windowShift) << this.windowShift;
    const edge = (this.nxt + rounded) | 0;
    return isAfter(edge, this.#edge) ? edge : this.#edge;
  }

  release(): void {
    this.#ranges.clear();
    this.ring.release();
  }
}
