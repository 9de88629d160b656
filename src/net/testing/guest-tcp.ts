/**
 * For tests: the guest's end of a TCP connection, written on its own and simply: everything to send is in memory, one timer,
 * one segment sent again at a time, out-of-order data in a map. Checks what a real stack would.
 */
import type { TestAddress, TestGuest } from "./guest.ts";

export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;

const MSS = 1460;
const MSS6 = 1440;
const RTO_MS = 600;

export interface GuestTcpOptions {
  /** Receive window in bytes. */
  readonly windowBytes?: number;
  readonly withSack?: boolean;
  /** -1: no window scaling. */
  readonly windowShift?: number;
  readonly mss?: number;
}

export class GuestTcp {
  state: "synSent" | "synReceived" | "open" | "closed" | "refused" | "reset" = "synSent";
  /** What has come, in order. */
  received: Uint8Array[] = [];
  receivedBytes = 0;
  peerHasEnded = false;
  finAcknowledged = false;
  /** Simulated time at which in-order data or an acknowledgement last moved forward; the longest pause between. */
  lastProgressMs: number;
  longestStallMs = 0;
  /** While true, the window stays shut. */
  isSlow = false;
  keepsData = true;
  duplicateSegments = 0;
  acksSeen = 0;
  readonly #guest: TestGuest;
  readonly remote: TestAddress;
  readonly remotePort: number;
  readonly port: number;
  readonly #options: Required<GuestTcpOptions>;
  #iss: number;
  una: number;
  nxt: number;
  #rcvNxt = 0;
  #outgoing: Uint8Array[] = [];
  #outgoingBytes = 0;
  #outgoingStart: number;
  #isEnding = false;
  #finSent = false;
  #window = 0;
  #peerShift = 0;
  #hasScale = false;
  #duplicates = 0;
  #recoverTo: number;
  #timer = 0;
  #later = new Map<number, { bytes: Uint8Array; fin: boolean }>();
  #unreadBytes = 0;

  constructor(guest: TestGuest, port: number, remote: TestAddress, remotePort: number, options: GuestTcpOptions = {}) {
    this.#guest = guest;
    this.port = port;
    this.remote = remote;
    this.remotePort = remotePort;
    this.#options = {
      windowBytes: 65_535,
      withSack: true,
      windowShift: 2,
      mss: typeof remote === "string" ? MSS6 : MSS,
      ...options,
    };
    this.#iss = (guest.nextSequence + port * 7919) | 0;
    this.una = this.#iss;
    this.nxt = (this.#iss + 1) | 0;
    this.#outgoingStart = this.nxt;
    this.#recoverTo = this.#iss;
    this.lastProgressMs = guest.clock.nowMs();
  }

  open(): void {
    this.#sendSyn(SYN);
    this.#arm();
  }

  /** Answers a SYN from outside. */
  accept(seq: number, options: Uint8Array, window: number): void {
    this.state = "synReceived";
    this.#takeSyn(seq, options, window);
    this.#sendSyn(SYN | ACK);
    this.#arm();
  }

  write(bytes: Uint8Array): void {
    this.#outgoing.push(bytes);
    this.#outgoingBytes += bytes.length;
    if (this.state === "open") this.#push();
  }

  end(): void {
    this.#isEnding = true;
    if (this.state === "open") this.#push();
  }

  reset(): void {
    this.#emit(RST | ACK, this.nxt, new Uint8Array(0));
    this.state = "closed";
  }

  /** Reads what waits after `isSlow` was taken back. */
  read(): void {
    this.isSlow = false;
    this.#unreadBytes = 0;
    this.#sendAck();
  }

  /** Reads what waits, but says nothing about the window. */
  forgetUnread(): void {
    this.#unreadBytes = 0;
  }

  get initialSequence(): number {
    return this.#iss;
  }
  get peerSequence(): number {
    return this.#rcvNxt;
  }

  get data(): Uint8Array {
    const all = new Uint8Array(this.receivedBytes);
    let at = 0;
    for (const part of this.received) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  #takeSyn(seq: number, options: Uint8Array, window: number): void {
    this.#rcvNxt = (seq + 1) | 0;
    this.#window = window;
    for (let at = 0; at < options.length && options[at] !== 0; ) {
      if (options[at] === 1) {
        at++;
        continue;
      }
      if (options[at] === 3) {
        this.#peerShift = options[at + 2];
        this.#hasScale = this.#options.windowShift >= 0;
      }
      at += options[at + 1];
    }
    if (!this.#hasScale) this.#peerShift = 0;
  }

  #sendSyn(flags: number): void {
    const { mss, windowShift, withSack } = this.#options;
    const options = [2, 4, mss >> 8, mss & 255];
    if (withSack) options.push(1, 1, 4, 2);
    if (windowShift >= 0 && (flags === SYN || this.#hasScale)) options.push(1, 3, 3, windowShift);
    this.#guest.sendTcp(
      this.port,
      this.remote,
      this.remotePort,
      flags,
      this.#iss,
      this.#rcvNxt,
      Math.min(65_535, this.#options.windowBytes),
      Uint8Array.from(options),
      new Uint8Array(0),
    );
  }

  #windowField(): number {
    if (this.isSlow && this.#unreadBytes >= this.#options.windowBytes) return 0;
    const free = Math.max(0, this.#options.windowBytes - this.#unreadBytes);
    return Math.min(65_535, this.#hasScale ? free >> this.#options.windowShift : free);
  }

  #emit(flags: number, seq: number, data: Uint8Array): void {
    let options = new Uint8Array(0);
    if (this.#options.withSack && this.#later.size > 0) {
      const ranges = this.#laterRanges().slice(-3);
      options = new Uint8Array(4 + 8 * ranges.length);
      options.set([1, 1, 5, 2 + 8 * ranges.length]);
      const view = new DataView(options.buffer);
      ranges.forEach(([start, end], i) => {
        view.setInt32(4 + 8 * i, start);
        view.setInt32(8 + 8 * i, end);
      });
    }
    this.#guest.sendTcp(
      this.port,
      this.remote,
      this.remotePort,
      flags,
      seq,
      this.#rcvNxt,
      this.#windowField(),
      options,
      data,
    );
  }

  #laterRanges(): [number, number][] {
    const ranges: [number, number][] = [];
    const sorted = [...this.#later].sort(([a], [b]) => (a - b) | 0);
    for (const [start, { bytes }] of sorted) {
      const end = (start + bytes.length) | 0;
      const last = ranges.at(-1);
      if (last !== undefined && ((last[1] - start) | 0) >= 0) last[1] = ((end - last[1]) | 0) > 0 ? end : last[1];
      else if (bytes.length > 0) ranges.push([start, end]);
    }
    return ranges;
  }

  #sendAck(): void {
    this.#emit(ACK, this.nxt, new Uint8Array(0));
  }

  #progress(): void {
    const now = this.#guest.clock.nowMs();
    this.longestStallMs = Math.max(this.longestStallMs, now - this.lastProgressMs);
    this.lastProgressMs = now;
  }

  /** A segment for this connection. */
  receive(flags: number, seq: number, ack: number, window: number, options: Uint8Array, data: Uint8Array): void {
    if ((flags & RST) !== 0) {
      if (this.state === "synSent") this.state = "refused";
      else if (seq === this.#rcvNxt) this.state = "reset";
      return;
    }
    if (this.state === "synSent") {
      if ((flags & (SYN | ACK)) !== (SYN | ACK) || ack !== this.nxt) return;
      this.#takeSyn(seq, options, window);
      this.una = ack;
      this.state = "open";
      this.#progress();
      this.#sendAck();
      this.#push();
      return;
    }
    if (this.state === "synReceived") {
      if ((flags & ACK) === 0 || ack !== this.nxt) return;
      this.una = ack;
      this.state = "open";
      this.#progress();
    }
    if (this.state !== "open" || (flags & ACK) === 0) return;
    if ((flags & SYN) !== 0) {
      this.#sendAck();
      return;
    }
    this.acksSeen++;
    this.#takeAck(ack, window << this.#peerShift, data.length);
    if (data.length > 0 || (flags & FIN) !== 0) this.#takeData(seq, data, (flags & FIN) !== 0);
    else if (((seq - this.#rcvNxt) | 0) < 0) this.#sendAck();
    this.#push();
  }

  #takeAck(ack: number, window: number, dataLength: number): void {
    const advanced = (ack - this.una) | 0;
    if (advanced < 0 || ((ack - this.nxt) | 0) > 0) return;
    if (advanced > 0) {
      this.una = ack;
      this.#duplicates = 0;
      if (this.#finSent && ack === this.nxt) this.finAcknowledged = true;
      this.#progress();
      this.#arm();
      if (((this.#recoverTo - ack) | 0) > 0) this.#sendAgain();
    } else if (dataLength === 0 && this.una !== this.nxt && window === this.#window && ++this.#duplicates === 3) {
      this.#recoverTo = this.nxt;
      this.#sendAgain();
    }
    this.#window = window;
  }

  #takeData(seq: number, data: Uint8Array, fin: boolean): void {
    const distance = (seq - this.#rcvNxt) | 0;
    if (distance > 0) {
      if (distance < this.#options.windowBytes) this.#later.set(seq, { bytes: data.slice(), fin });
      this.#sendAck();
      return;
    }
    if (data.length + distance < 0 || (data.length > 0 && data.length + distance === 0 && !fin)) {
      this.duplicateSegments++;
      this.#sendAck();
      return;
    }
    this.#consume(data.subarray(-distance), fin);
    for (;;) {
      let found = false;
      for (const [start, { bytes, fin: laterFin }] of this.#later) {
        const behind = (this.#rcvNxt - start) | 0;
        if (behind < 0) continue;
        this.#later.delete(start);
        if (behind <= bytes.length) this.#consume(bytes.subarray(behind), laterFin);
        found = true;
      }
      if (!found) break;
    }
    this.#sendAck();
  }

  #consume(bytes: Uint8Array, fin: boolean): void {
    if (this.peerHasEnded) return;
    this.#rcvNxt = (this.#rcvNxt + bytes.length) | 0;
    this.receivedBytes += bytes.length;
    if (this.keepsData && bytes.length > 0) this.received.push(bytes.slice());
    if (this.isSlow) this.#unreadBytes += bytes.length;
    if (fin) {
      this.peerHasEnded = true;
      this.#rcvNxt = (this.#rcvNxt + 1) | 0;
    }
    this.#progress();
  }

  get #dataEnd(): number {
    return (this.#outgoingStart + this.#outgoingBytes) | 0;
  }

  #slice(seq: number, length: number): Uint8Array {
    const result = new Uint8Array(length);
    let skip = (seq - this.#outgoingStart) | 0;
    let at = 0;
    for (const part of this.#outgoing) {
      if (skip >= part.length) {
        skip -= part.length;
        continue;
      }
      const piece = part.subarray(skip, skip + length - at);
      result.set(piece, at);
      at += piece.length;
      skip = 0;
      if (at === length) break;
    }
    return result;
  }

  #push(): void {
    for (;;) {
      const available = (this.#dataEnd - this.nxt) | 0;
      const usable = (this.una + this.#window - this.nxt) | 0;
      const length = Math.min(available, usable, this.#options.mss);
      const fin = this.#isEnding && !this.#finSent && length === available;
      if (this.#finSent || (length <= 0 && !(fin && available === 0))) return;
      this.#emit(ACK | PSH | (fin ? FIN : 0), this.nxt, this.#slice(this.nxt, Math.max(0, length)));
      this.nxt = (this.nxt + Math.max(0, length) + (fin ? 1 : 0)) | 0;
      if (fin) this.#finSent = true;
      if (this.#timer === 0) this.#arm();
    }
  }

  #sendAgain(): void {
    const length = Math.max(0, Math.min(this.#options.mss, (this.#dataEnd - this.una) | 0));
    const fin = this.#finSent && ((this.una + length) | 0) === this.#dataEnd;
    this.#emit(ACK | (fin ? FIN : 0), this.una, this.#slice(this.una, length));
  }

  #arm(): void {
    const mine = ++this.#timer;
    this.#guest.clock.after(RTO_MS, () => {
      if (mine !== this.#timer) return;
      this.#timer = 0;
      if (this.state === "synSent") this.#sendSyn(SYN);
      else if (this.state === "synReceived") this.#sendSyn(SYN | ACK);
      else if (this.state !== "open") return;
      else if (this.una !== this.nxt) {
        this.#recoverTo = this.nxt;
        this.#sendAgain();
      } else return;
      this.#arm();
    });
  }
}
