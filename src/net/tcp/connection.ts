/**
 * One TCP connection, terminated: the guest speaks TCP with us, we speak through the host's stream with its peer. Both ways have
 * back-pressure: the guest's window closes while the host's stream is full, and the stream is not read while the guest is slow.
 * Ends, half-closes, resets and failures of one side reach the other as such.
 *
 * A connection from the guest is dialled first and answered when the peer has answered, so that "refused" and "unreachable" are
 * what the guest sees. A connection to the guest (port forwarding) is accepted by the host before the guest is asked.
 */
import type { IpAddress } from "../address.ts";
import type { DialFailure, HostTcpEvents, HostTcpStream } from "../host-network.ts";
import type { Neighbour } from "../neighbours.ts";
import type { Timed } from "../timers.ts";
import { TcpReceiver } from "./receiver.ts";
import { ACK, FIN, isAfter, MAX_SACK_BLOCKS, PSH, RST, SYN, type TcpSegment } from "./segment.ts";
import { MIN_MSS, TcpSender } from "./sender.ts";
import type { Tcp } from "./tcp.ts";

/** A guest that gave up waiting says nothing: its dial is given up too. */
const DIAL_LIMIT_MS = 130_000;
const SYN_ATTEMPTS = 6;
const TIME_WAIT_MS = 10_000;
/** The guest is done; what it said is still on its way to a slow peer. */
const LINGER_MS = 600_000;
const KEEPALIVE_IDLE_MS = 7_200_000;
const KEEPALIVE_INTERVAL_MS = 75_000;
const KEEPALIVE_PROBES = 9;
/** Buffers of a connection that is silent for so long go back to the pool. */
const IDLE_MS = 10_000;
/** The host's stream hands over up to so much at once. */
const READ_BYTES = 65_536;

/** synSent: SYN to the guest; synReceived: SYN|ACK to the guest; timeWait: done but for late segments and the stream. */
export type TcpPhase = "dialing" | "synSent" | "synReceived" | "open" | "timeWait" | "closed";

export class TcpConnection implements HostTcpEvents, Timed {
  heapIndex = -1;
  dueMs = 0;
  /** In the engine's list of those who have something to send. */
  isReady = false;
  /** Next in the hash bucket. */
  nextInBucket: TcpConnection | undefined;
  phase: TcpPhase;
  neighbour: Neighbour | undefined;
  readonly hash: number;
  readonly guestAddress: IpAddress;
  readonly guestPort: number;
  readonly remoteAddress: IpAddress;
  readonly remotePort: number;
  readonly sender: TcpSender;
  readonly receiver: TcpReceiver;
  readonly #tcp: Tcp;
  #stream: HostTcpStream | undefined;
  #isStreamClosed = false;
  #isReadingPaused = false;
  #isSynDue = false;
  #isProbeDue = false;
  #synAttempts = 0;
  #hasEndedStream = false;
  #guestClosedFirst = false;
  #usesScaling = false;
  #lastHeardMs: number;
  #limitMs: number;
  #keepalives = 0;

  constructor(
    tcp: Tcp,
    phase: "dialing" | "synSent",
    hash: number,
    guestAddress: IpAddress,
    guestPort: number,
    remoteAddress: IpAddress,
    remotePort: number,
  ) {
    this.#tcp = tcp;
    this.phase = phase;
    this.hash = hash;
    this.guestAddress = guestAddress;
    this.guestPort = guestPort;
    this.remoteAddress = remoteAddress;
    this.remotePort = remotePort;
    this.sender = new TcpSender(tcp.pool, tcp.settings.sendBytes);
    this.receiver = new TcpReceiver(tcp.pool, tcp.settings.receiveBytes);
    this.sender.start(tcp.initialSequence());
    const nowMs = tcp.nowMs();
    this.#lastHeardMs = nowMs;
    this.#limitMs = nowMs + DIAL_LIMIT_MS;
    this.#isSynDue = phase === "synSent";
  }

  set stream(stream: HostTcpStream) {
    if (this.phase === "closed") stream.destroy();
    else this.#stream = stream;
  }

  // --- from the guest ---

  /** The SYN that opened this connection. */
  takeSyn(segment: TcpSegment): void {
    this.receiver.start(segment.seq);
    this.#takeOptions(segment);
    this.sender.setWindow(segment);
  }

  #takeOptions(segment: TcpSegment): void {
    const largest = this.#tcp.mssTo(this.guestAddress);
    this.sender.mss = Math.min(largest, Math.max(MIN_MSS, segment.mss === 0 ? 536 : segment.mss));
    this.#usesScaling = segment.windowShift >= 0;
    this.receiver.setScaling(this.#usesScaling);
    if (this.#usesScaling) this.sender.windowShift = segment.windowShift;
    this.sender.hasSack = segment.isSackPermitted;
  }

  /** A segment of the guest's for this connection. */
  receive(segment: TcpSegment, packet: Uint8Array, nowMs: number): void {
    this.#lastHeardMs = nowMs;
    this.#keepalives = 0;
    const { flags } = segment;
    switch (this.phase) {
      case "dialing":
        if ((flags & RST) !== 0) this.#drop();
        return;
      case "synSent":
        this.#receiveInSynSent(segment);
        return;
      case "synReceived":
        if ((flags & RST) === 0 && (flags & SYN) !== 0 && (flags & ACK) === 0) {
          if (((segment.seq + 1) | 0) === this.receiver.nxt) this.#isSynDue = true;
          this.#tcp.ready(this);
          return;
        }
        if ((flags & (RST | SYN)) === 0 && (flags & ACK) !== 0) {
          if (segment.ack !== this.sender.nxt) {
            this.#tcp.resetFor(segment, this);
            return;
          }
          this.sender.established(segment);
          this.#open();
        }
        break;
    }
    this.#receiveSynchronized(segment, packet, nowMs);
    this.#tcp.ready(this);
  }

  #receiveInSynSent(segment: TcpSegment): void {
    const { flags } = segment;
    const hasAck = (flags & ACK) !== 0;
    if (hasAck && segment.ack !== this.sender.nxt) {
      if ((flags & RST) === 0) this.#tcp.resetFor(segment, this);
      return;
    }
    if ((flags & RST) !== 0) {
      if (hasAck) this.#drop();
      return;
    }
    if ((flags & SYN) === 0) return;
    this.receiver.start(segment.seq);
    this.#takeOptions(segment);
    if (hasAck) {
      this.sender.established(segment);
      this.receiver.ackNow = true;
      this.#open();
    } else {
      // Both sides called at once.
      this.phase = "synReceived";
      this.#isSynDue = true;
    }
    this.#tcp.ready(this);
  }

  #open(): void {
    this.phase = "open";
    this.#isSynDue = false;
    this.#limitMs = Number.POSITIVE_INFINITY;
    this.#tcp.opened++;
  }

  /** RFC 9293, 3.10.7.4, with the caution of RFC 5961. */
  #receiveSynchronized(segment: TcpSegment, packet: Uint8Array, nowMs: number): void {
    const { receiver, sender } = this;
    const { flags } = segment;
    if (!receiver.isAcceptable(segment.seq, segment.seqLength)) {
      if ((flags & RST) === 0) receiver.ackNow = true;
      return;
    }
    if ((flags & RST) !== 0) {
      if (segment.seq === receiver.nxt) this.#drop();
      else receiver.ackNow = true;
      return;
    }
    if ((flags & SYN) !== 0) {
      receiver.ackNow = true;
      return;
    }
    if ((flags & ACK) === 0) return;
    if (!sender.acknowledge(segment, nowMs)) {
      receiver.ackNow = true;
      return;
    }
    this.#resumeReading();
    if (this.phase === "timeWait") {
      if ((flags & FIN) !== 0) receiver.ackNow = true;
      return;
    }
    const wasFinished = receiver.isFinished;
    if (segment.dataLength > 0 || (flags & FIN) !== 0) {
      if (wasFinished) receiver.ackNow = true;
      else {
        const { seq, dataAt, dataLength } = segment;
        receiver.take(seq, packet, dataAt, dataLength, (flags & FIN) !== 0, nowMs);
      }
    }
    if (receiver.isFinished && !wasFinished) this.#guestClosedFirst = !sender.finSent;
    if (!sender.finAcknowledged) return;
    if (receiver.isFinished) this.#bothDone(nowMs);
    else if (this.#isStreamClosed) this.abort();
  }

  /** Both directions have ended and the guest knows it. */
  #bothDone(nowMs: number): void {
    if (this.phase !== "open") return;
    this.#deliver();
    this.phase = "timeWait";
    this.sender.release();
    const wait = this.#guestClosedFirst ? 0 : TIME_WAIT_MS;
    this.#limitMs = nowMs + (this.#isStreamClosed || this.receiver.isEmpty ? wait : LINGER_MS);
    this.#tcp.enteredTimeWait(this);
    if (this.#limitMs <= nowMs && !this.receiver.ackNow) this.#forget();
  }

  /** Whether a new SYN may take over this connection's addresses. */
  canBeReplaced(segment: TcpSegment): boolean {
    return this.phase === "timeWait" && isAfter(segment.seq, this.receiver.nxt);
  }

  // --- from the host ---

  connected(): void {
    if (this.phase !== "dialing") return;
    this.#tcp.dialing--;
    this.phase = "synReceived";
    this.#isSynDue = true;
    this.#tcp.ready(this);
  }

  failed(reason: DialFailure): void {
    if (this.phase !== "dialing") return;
    this.#isStreamClosed = true;
    this.#tcp.dialFailed(this, reason);
    this.#forget();
  }

  data(bytes: Uint8Array): boolean {
    if (this.phase === "closed" || this.phase === "timeWait") return true;
    this.sender.append(bytes);
    this.#tcp.ready(this);
    const { freeBytes, limitBytes } = this.sender;
    // While memory is short, one piece at a time.
    this.#isReadingPaused = freeBytes < Math.min(READ_BYTES, limitBytes) || this.#tcp.pool.isShort;
    return !this.#isReadingPaused;
  }

  ended(): void {
    if (this.phase === "closed" || this.phase === "timeWait") return;
    this.sender.isEnding = true;
    this.#tcp.ready(this);
  }

  closed(isClean: boolean): void {
    if (this.phase === "closed") return;
    this.#isStreamClosed = true;
    if (this.phase === "timeWait") {
      this.#limitMs = Math.min(this.#limitMs, this.#tcp.nowMs() + (this.#guestClosedFirst ? 0 : TIME_WAIT_MS));
      this.#tcp.ready(this);
      return;
    }
    // What the host's peer said before its end still goes to the guest; what the guest says goes nowhere.
    const isOver = !this.sender.isEnding || this.sender.finAcknowledged;
    if (isOver || (isClean && !this.receiver.isFinished)) this.abort();
    else this.#tcp.ready(this);
  }

  #resumeReading(): void {
    const { freeBytes, limitBytes, length } = this.sender;
    if (this.#tcp.pool.isShort) {
      if (length > 0) return;
      this.sender.ring.release();
    }
    if (!this.#isReadingPaused || freeBytes < Math.min(limitBytes, Math.max(READ_BYTES, limitBytes / 2))) return;
    this.#isReadingPaused = false;
    this.#stream?.resumeReading();
  }

  // --- doing things ---

  /** Hands over, sends and sets the timer. False: the guest's side has no room; call again later. */
  service(nowMs: number): boolean {
    if (this.phase === "closed") return true;
    if (this.phase === "open") this.#deliver();
    const isDone = this.#send(nowMs);
    // Sending may have ended it.
    if ((this.phase as TcpPhase) !== "closed") this.#schedule(nowMs);
    return isDone;
  }

  #send(nowMs: number): boolean {
    const { sender, receiver } = this;
    if (this.#isSynDue) {
      if (!this.#sendSyn(nowMs)) return false;
    }
    if (this.phase === "open") {
      while (sender.next()) {
        let flags = ACK;
        if (sender.segmentHasFin) flags |= FIN | PSH;
        else if (sender.isSegmentLast) flags |= PSH;
        if (!this.#sendSegment(flags, sender.segmentSeq, sender.segmentLength)) return false;
        sender.sent(nowMs);
      }
    }
    if (this.#isProbeDue) {
      // A number that was acknowledged already: the guest answers with its window.
      if (!this.#sendSegment(ACK, (sender.una - 1) | 0, 0)) return false;
      this.#isProbeDue = false;
    }
    if (receiver.ackDueMs > 0 && nowMs >= receiver.ackDueMs) receiver.ackNow = true;
    if (receiver.ackNow && this.phase !== "dialing" && this.phase !== "synSent") {
      if (!this.#sendSegment(ACK, sender.nxt, 0)) return false;
    }
    if (this.phase === "timeWait" && nowMs >= this.#limitMs) this.#forget();
    return true;
  }

  #sendSyn(nowMs: number): boolean {
    const isAnswer = this.phase === "synReceived";
    const withOptions = this.phase === "synSent";
    const isSent = this.#tcp.sendSyn(
      this,
      isAnswer ? SYN | ACK : SYN,
      (this.sender.nxt - 1) | 0,
      withOptions || this.#usesScaling,
      withOptions || this.sender.hasSack,
    );
    if (!isSent) return false;
    this.#isSynDue = false;
    this.#synAttempts++;
    this.sender.synSent(nowMs);
    return true;
  }

  #sendSegment(flags: number, seq: number, length: number): boolean {
    const { receiver, sender } = this;
    const sackCount = receiver.hasGaps && sender.hasSack && length === 0 ? MAX_SACK_BLOCKS - 1 : 0;
    const { ackNow, ackDueMs } = receiver;
    const window = receiver.announce() >>> receiver.windowShift;
    const distance = (seq - sender.una) | 0;
    if (this.#tcp.sendSegment(this, flags, seq, Math.min(window, 0xffff), distance, length, sackCount)) return true;
    receiver.ackNow = ackNow;
    receiver.ackDueMs = ackDueMs;
    return false;
  }

  /** What the guest has said goes to the host's stream. */
  #deliver(): void {
    const stream = this.#stream;
    const { receiver } = this;
    if (stream === undefined) return;
    for (;;) {
      const bytes = receiver.takeUnflushed();
      if (bytes === undefined) break;
      if (this.#isStreamClosed) {
        receiver.free(bytes.length);
        continue;
      }
      stream.write(bytes, () => {
        if (this.phase === "closed") return;
        receiver.free(bytes.length);
        if (this.#tcp.pool.isShort && receiver.isEmpty) receiver.ring.release();
        if (this.phase === "open" && receiver.ackNow) this.#tcp.ready(this);
      });
    }
    if (receiver.isFinished && !this.#hasEndedStream && !this.#isStreamClosed) {
      this.#hasEndedStream = true;
      stream.end();
    }
  }

  #schedule(nowMs: number): void {
    let dueMs = Math.min(this.#limitMs, this.sender.deadline(nowMs));
    if (this.receiver.ackDueMs > 0) dueMs = Math.min(dueMs, this.receiver.ackDueMs);
    if (this.phase === "open") {
      dueMs = Math.min(dueMs, this.#keepaliveMs);
      const hasMemory = this.sender.ring.capacity + this.receiver.ring.capacity > 0;
      if (hasMemory) dueMs = Math.min(dueMs, nowMs + IDLE_MS);
    }
    if (dueMs !== Number.POSITIVE_INFINITY) this.#tcp.timers.schedule(this, dueMs);
  }

  get #keepaliveMs(): number {
    return this.#lastHeardMs + KEEPALIVE_IDLE_MS + this.#keepalives * KEEPALIVE_INTERVAL_MS;
  }

  onTimer(nowMs: number): void {
    const { isBlocked } = this.#tcp;
    if (nowMs >= this.#limitMs) {
      if (this.phase === "timeWait") this.#forget();
      else this.abort();
      return;
    }
    switch (this.sender.onTimer(nowMs, isBlocked)) {
      case "dead":
        this.abort();
        return;
      case "probe":
        this.#isProbeDue = true;
        break;
      case "retransmit":
        if (this.phase === "synSent" || this.phase === "synReceived") {
          if (this.#synAttempts >= SYN_ATTEMPTS) {
            this.abort();
            return;
          }
          this.#isSynDue = true;
        }
        break;
    }
    if (this.phase === "open") {
      if (nowMs >= this.#keepaliveMs) {
        if (++this.#keepalives > KEEPALIVE_PROBES) {
          this.abort();
          return;
        }
        this.#isProbeDue = true;
      }
      if (nowMs - this.#lastHeardMs >= IDLE_MS) {
        if (this.receiver.isEmpty) this.receiver.ring.release();
        if (this.sender.length === 0) this.sender.ring.release();
      }
    }
    this.#tcp.ready(this);
  }

  /** Ends both sides at once: the guest gets a reset if it knows the connection. */
  abort(): void {
    if (this.phase === "closed") return;
    if (this.phase !== "dialing" && this.phase !== "timeWait") this.#tcp.sendReset(this);
    this.#drop();
  }

  /** The guest does not want or know it any more: the host's peer sees a reset. */
  #drop(): void {
    if (!this.#isStreamClosed) this.#stream?.destroy();
    this.#isStreamClosed = true;
    this.#forget();
  }

  #forget(): void {
    if (this.phase === "closed") return;
    if (this.phase === "dialing") this.#tcp.dialing--;
    if (this.phase === "timeWait" && !this.#isStreamClosed && !this.receiver.isEmpty) this.#stream?.destroy();
    this.phase = "closed";
    this.#stream = undefined;
    this.sender.release();
    this.receiver.release();
    this.#tcp.forget(this);
  }
}
