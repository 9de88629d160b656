/**
 * The sending half of a connection: what the host's side says to the guest. Keeps bytes until they are acknowledged, and decides
 * what the next segment is: lost bytes first, then new ones as the guest's window allows.
 *
 * The way to the guest has back-pressure and does not congest, so there is no congestion window; loss (a card out of buffers,
 * a bad wire between) is repaired after three duplicate acknowledgements (RFC 5681) or by SACK (RFC 6675), else by time-out
 * (RFC 6298), after which the pace starts at one segment and doubles.
 */
import { type BufferPool, RingBuffer } from "../buffer-pool.ts";
import { SequenceRanges } from "./ranges.ts";
import { isAfter, isBefore, type TcpSegment } from "./segment.ts";

const INITIAL_RTO_MS = 1000;
const MIN_RTO_MS = 200;
const MAX_RTO_MS = 5000;
const MAX_PROBE_MS = 10_000;
/** A guest that acknowledges nothing for so many time-outs is gone. */
const MAX_ATTEMPTS = 25;
const DUPLICATES = 3;
/** Smallest segments that a guest can ask for. */
export const MIN_MSS = 88;

/** What `onTimer` found. */
export type SenderAlarm = "nothing" | "retransmit" | "probe" | "dead";

export class TcpSender {
  /** First number that is not acknowledged (SND.UNA); first that was never sent (SND.NXT). */
  una = 0;
  nxt = 0;
  mss = 536;
  /** Shift of the windows that the guest announces. */
  windowShift = 0;
  hasSack = false;
  /** The host's side has ended: a FIN follows the data. */
  isEnding = false;
  finSent = false;
  finAcknowledged = false;
  /** The next segment, valid after `next` returned true. */
  segmentSeq = 0;
  segmentLength = 0;
  segmentHasFin = false;
  retransmissions = 0;
  readonly ring: RingBuffer;
  readonly limitBytes: number;
  #length = 0;
  #initialSeq = 0;
  #window = 0;
  #maxWindow = 0;
  #windowSeq = 0;
  #windowAck = 0;
  #duplicates = 0;
  readonly #sacked = new SequenceRanges();
  /** Bytes in [from, to) that were not selectively acknowledged are to be sent again. */
  #againFrom = 0;
  #againTo = 0;
  #recovery: "none" | "fast" | "timeout" = "none";
  /** Recovery ends when everything before this is acknowledged. */
  #recoverSeq = 0;
  #passEnd = 0;
  /** After a time-out: bytes that may be sent again before the next acknowledgement. */
  #allowance = 0;
  #isSegmentAgain = false;
  #srttMs = -1;
  #rttvarMs = 0;
  #rtoMs = INITIAL_RTO_MS;
  #attempts = 0;
  #timedSeq = 0;
  #timedAtMs = -1;
  #retransmitAtMs = 0;
  #probeAtMs = 0;
  #probeMs = 0;

  constructor(pool: BufferPool, limitBytes: number) {
    this.ring = new RingBuffer(pool);
    this.limitBytes = limitBytes;
  }

  start(initialSeq: number): void {
    this.#initialSeq = initialSeq;
    this.una = initialSeq;
    this.nxt = (initialSeq + 1) | 0;
    this.#againFrom = this.#againTo = this.#recoverSeq = initialSeq;
  }

  /** The guest has acknowledged our SYN. */
  established(segment: TcpSegment): void {
    this.una = this.nxt = (this.#initialSeq + 1) | 0;
    this.#attempts = 0;
    this.#retransmitAtMs = 0;
    this.#rtoMs = INITIAL_RTO_MS;
    this.setWindow(segment);
  }

  setWindow(segment: TcpSegment): void {
    this.#window = (segment.flags & 2) !== 0 ? segment.window : segment.window << this.windowShift;
    this.#maxWindow = Math.max(this.#maxWindow, this.#window);
    this.#windowSeq = segment.seq;
    this.#windowAck = segment.ack;
  }

  /** Bytes of data that are kept. */
  get length(): number {
    return this.#length;
  }
  get freeBytes(): number {
    return Math.max(0, this.limitBytes - this.#length);
  }
  get hasUnacknowledged(): boolean {
    return this.una !== this.nxt;
  }
  /** Sequence number after the last byte that is kept. */
  get #dataEnd(): number {
    return this.finAcknowledged ? this.nxt : (this.una + this.#length) | 0;
  }

  /** Keeps bytes from the host. */
  append(bytes: Uint8Array): void {
    this.ring.ensure(this.#length + bytes.length, true);
    this.ring.write(this.#length, bytes, 0, bytes.length);
    this.#length += bytes.length;
  }

  /** Decides on the next segment; false if there is nothing to send now. */
  next(): boolean {
    if (this.#nextAgain()) return true;
    if (this.#recovery === "timeout" && isBefore(this.#againFrom, this.#againTo)) return false;
    if (this.finSent) return false;
    const available = (this.#dataEnd - this.nxt) | 0;
    const usable = (this.una + this.#window - this.nxt) | 0;
    const length = Math.min(available, usable, this.mss);
    const hasFin = this.isEnding && length === available;
    if (length <= 0 && !(hasFin && available === 0)) return false;
    // Small pieces only because the window ends: wait for more of it (RFC 9293, 3.8.6.2.1).
    if (length < this.mss && length < available && length < this.#maxWindow / 2 && this.hasUnacknowledged) return false;
    this.segmentSeq = this.nxt;
    this.segmentLength = Math.max(0, length);
    this.segmentHasFin = hasFin;
    this.#isSegmentAgain = false;
    return true;
  }

  #nextAgain(): boolean {
    while (isBefore(this.#againFrom, this.#againTo)) {
      if (isBefore(this.#againFrom, this.una)) {
        this.#againFrom = this.una;
        continue;
      }
      const afterSacked = this.#sacked.endOf(this.#againFrom);
      if (afterSacked !== this.#againFrom) {
        this.#againFrom = afterSacked;
        continue;
      }
      if (this.#recovery === "timeout" && this.#allowance <= 0) return false;
      const end = this.#sacked.nextStart(this.#againFrom, this.#againTo);
      const gap = (isBefore(end, this.#againTo) ? end - this.#againFrom : this.#againTo - this.#againFrom) | 0;
      const toDataEnd = (this.#dataEnd - this.#againFrom) | 0;
      const length = Math.min(this.mss, gap, toDataEnd);
      const hasFin = this.finSent && length === toDataEnd && gap > toDataEnd;
      if (length <= 0 && !hasFin) {
        this.#againFrom = this.#againTo;
        return false;
      }
      this.segmentSeq = this.#againFrom;
      this.segmentLength = length;
      this.segmentHasFin = hasFin;
      this.#isSegmentAgain = true;
      return true;
    }
    return false;
  }

  /** Nothing is kept behind the segment that `next` decided on. */
  get isSegmentLast(): boolean {
    return ((this.segmentSeq + this.segmentLength) | 0) === this.#dataEnd;
  }

  /** The segment that `next` decided on is on its way. */
  sent(nowMs: number): void {
    const end = (this.segmentSeq + this.segmentLength + (this.segmentHasFin ? 1 : 0)) | 0;
    if (this.#isSegmentAgain) {
      this.#againFrom = end;
      this.#allowance -= this.segmentLength;
      this.retransmissions++;
      this.#timedAtMs = -1;
    } else {
      this.nxt = end;
      if (this.segmentHasFin) this.finSent = true;
      if (this.#timedAtMs < 0) {
        this.#timedAtMs = nowMs;
        this.#timedSeq = end;
      }
    }
    if (this.#retransmitAtMs === 0) this.#retransmitAtMs = nowMs + this.#rtoMs;
  }

  /** A SYN of ours is on its way (again). */
  synSent(nowMs: number): void {
    this.#retransmitAtMs = nowMs + this.#rtoMs;
  }

  /** Works an acceptable segment's acknowledgement in. False: it acknowledges what was never sent. */
  acknowledge(segment: TcpSegment, nowMs: number): boolean {
    const { ack } = segment;
    if (isAfter(ack, this.nxt)) return false;
    if (isBefore(ack, this.una)) return true;
    const oldWindow = this.#window;
    if (
      isBefore(this.#windowSeq, segment.seq) ||
      (this.#windowSeq === segment.seq && !isBefore(ack, this.#windowAck))
    ) {
      this.setWindow(segment);
      if (this.#window > 0) this.#probeAtMs = 0;
    }
    const sackedBefore = this.#sacked.count;
    const isNews = segment.sackBlocks > 0 && this.hasSack && this.#takeSack(segment);
    if (isAfter(ack, this.una)) this.#advance(ack, nowMs);
    else if (this.hasUnacknowledged && segment.dataLength === 0 && (this.#window === oldWindow || isNews))
      this.#duplicates++;
    if (this.#window === 0) this.#attempts = 0;
    if (this.#duplicates > 0 || sackedBefore > 0 || this.#sacked.count > 0) this.#detectLoss();
    return true;
  }

  #advance(ack: number, nowMs: number): void {
    const advanced = (ack - this.una) | 0;
    const data = Math.min(advanced, this.#length);
    this.ring.drop(data);
    this.#length -= data;
    this.una = ack;
    if (this.finSent && ack === this.nxt) this.finAcknowledged = true;
    this.#sacked.trim(ack);
    if (this.#timedAtMs >= 0 && !isBefore(ack, this.#timedSeq)) {
      this.#sampleRtt(nowMs - this.#timedAtMs);
      this.#timedAtMs = -1;
    }
    this.#attempts = 0;
    this.#duplicates = 0;
    if (this.#srttMs >= 0) this.#rtoMs = this.#computedRto();
    else this.#rtoMs = INITIAL_RTO_MS;
    this.#retransmitAtMs = this.hasUnacknowledged ? nowMs + this.#rtoMs : 0;
    this.#allowance += 2 * advanced;
    if (this.#recovery === "none") return;
    if (!isBefore(ack, this.#recoverSeq)) {
      this.#recovery = "none";
      this.#againFrom = this.#againTo = ack;
    } else if (this.#recovery === "fast" && !this.hasSack) {
      // A partial acknowledgement shows the next loss (RFC 6582).
      this.#againFrom = ack;
      this.#againTo = (ack + Math.min(this.mss, (this.nxt - ack) | 0)) | 0;
    }
  }

  /** Whether the blocks say anything new. */
  #takeSack(segment: TcpSegment): boolean {
    let isNews = false;
    for (let i = 0; i < segment.sackBlocks; i++) {
      const start = segment.sack[2 * i];
      const end = segment.sack[2 * i + 1];
      // Duplicate reports (RFC 2883) and nonsense lie outside.
      if (!isBefore(start, end) || !isAfter(start, this.una) || isAfter(end, this.nxt)) continue;
      if (this.#sacked.endOf(start) !== end || this.#sacked.count === 0) isNews = true;
      this.#sacked.add(start, end);
    }
    return isNews;
  }

  #detectLoss(): void {
    if (!this.hasUnacknowledged) return;
    const { count, ends } = this.#sacked;
    const highest = count > 0 ? ends[count - 1] : this.una;
    /** What lies this far below the highest byte that arrived is lost, not late. */
    const lateBytes = DUPLICATES * this.mss;
    if (this.#recovery === "none") {
      const isLost = this.#duplicates >= DUPLICATES || ((highest - this.una) | 0) > lateBytes + this.mss;
      if (!isLost) return;
      this.#recovery = "fast";
      this.#recoverSeq = this.nxt;
      this.#passEnd = this.nxt;
      this.#againFrom = this.una;
      this.#againTo = (this.una + Math.min(this.mss, (this.nxt - this.una) | 0)) | 0;
    }
    if (this.#recovery !== "fast" || count === 0) return;
    const lostTo = (highest - lateBytes) | 0;
    if (isAfter(lostTo, this.#againTo)) this.#againTo = lostTo;
    if (isAfter(lostTo, this.#passEnd)) {
      // Data sent after the whole pass has arrived: what is still missing was lost a second time.
      this.#againFrom = this.una;
      this.#passEnd = this.nxt;
      if (isAfter(this.#passEnd, this.#recoverSeq)) this.#recoverSeq = this.#passEnd;
    }
  }

  #sampleRtt(rttMs: number): void {
    if (this.#srttMs < 0) {
      this.#srttMs = rttMs;
      this.#rttvarMs = rttMs / 2;
    } else {
      this.#rttvarMs += (Math.abs(this.#srttMs - rttMs) - this.#rttvarMs) / 4;
      this.#srttMs += (rttMs - this.#srttMs) / 8;
    }
    this.#rtoMs = this.#computedRto();
  }

  #computedRto(): number {
    return Math.min(MAX_RTO_MS, Math.max(MIN_RTO_MS, this.#srttMs + Math.max(10, 4 * this.#rttvarMs)));
  }

  /** Data waits only because the guest's window is closed. */
  get #isStalled(): boolean {
    return !this.hasUnacknowledged && this.#length > 0;
  }

  /** When `onTimer` is to be called, infinite if nothing is outstanding. Call after sending. */
  deadline(nowMs: number): number {
    if (this.#retransmitAtMs > 0) return this.#retransmitAtMs;
    if (!this.#isStalled) {
      this.#probeAtMs = 0;
      return Number.POSITIVE_INFINITY;
    }
    if (this.#probeAtMs === 0) {
      this.#probeMs = Math.max(this.#rtoMs, MIN_RTO_MS);
      this.#probeAtMs = nowMs + this.#probeMs;
    }
    return this.#probeAtMs;
  }

  /** `isBlocked`: the guest's side takes no frames, so nothing can be concluded from its silence. */
  onTimer(nowMs: number, isBlocked: boolean): SenderAlarm {
    if (this.#retransmitAtMs > 0 && nowMs >= this.#retransmitAtMs) {
      if (!isBlocked && ++this.#attempts > MAX_ATTEMPTS) return "dead";
      this.#rtoMs = Math.min(MAX_RTO_MS, this.#rtoMs * 2);
      this.#retransmitAtMs = nowMs + this.#rtoMs;
      this.#timedAtMs = -1;
      // What was reported once may have been thrown away since (RFC 2018, 8).
      if (this.#attempts > 1) this.#sacked.clear();
      this.#recovery = "timeout";
      this.#recoverSeq = this.nxt;
      this.#againFrom = this.una;
      this.#againTo = this.nxt;
      this.#allowance = this.mss;
      this.#duplicates = 0;
      return "retransmit";
    }
    if (this.#probeAtMs > 0 && nowMs >= this.#probeAtMs && this.#isStalled) {
      if (!isBlocked && ++this.#attempts > MAX_ATTEMPTS) return "dead";
      this.#probeMs = Math.min(MAX_PROBE_MS, this.#probeMs * 2);
      this.#probeAtMs = nowMs + this.#probeMs;
      return "probe";
    }
    return "nothing";
  }

  release(): void {
    this.#length = 0;
    this.#sacked.clear();
    this.ring.release();
  }
}
