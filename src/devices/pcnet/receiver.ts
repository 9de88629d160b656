/**
 * The PCnet's receiver: takes frames from the network when the guest has buffers for them, filters by address, spreads a
 * frame over the receive ring. A guest that is slow to give buffers back finds its frames waiting for a while; only then
 * they are missed, as the real chip's small FIFO would have it much earlier. Giving a buffer back is a write to memory that
 * the chip does not see, so while a frame waits the ring is looked at every millisecond and with every write to CSR0.
 * Not modelled: FCS of received frames outside loopback (their four bytes are 0), collisions, runts.
 */
import type { NetBackend } from "../../backend-api/net.ts";
import type { Clock, Timer } from "../../device-api/clock.ts";
import type { GuestMemory } from "../../device-api/guest-memory.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import { appendFcs, FCS_BYTES, HEADER_BYTES, hasGoodFcs, padFrame } from "../../device-parts/ethernet.ts";
import { matchAddress } from "./address-filter.ts";
import type { DescriptorRing } from "./descriptor-ring.ts";
import type { PcnetRegisters } from "./register-file.ts";
import * as R from "./registers.ts";

/** Longest frame that is kept, FCS included. Longer ones (only loopback can make them) are cut. */
const FRAME_BYTES = 4096;
/** Frames in one go. */
const MAX_FRAMES = 512;
/** Buffers that one frame is spread over; rings of smaller ones miss their frames. */
const MAX_BUFFERS = 128;
const PAUSE_NS = 100_000;
const SHORTAGE_POLL_NS = 1_000_000;
const SHORTAGE_PATIENCE_NS = 200_000_000;
/** Longest length that an IEEE 802.3 length field means padding for. */
const MAX_PADDED_LENGTH = 46;

export interface ReceiverLinks {
  readonly memory: GuestMemory;
  readonly clock: Clock;
  readonly backend: NetBackend | undefined;
  /** Receiver on, not suspended, DMA allowed. */
  readonly canRun: () => boolean;
  /** Frames of the network get nowhere: no link, chip stopped, loopback. */
  readonly isDeaf: () => boolean;
  readonly onStatus: () => void;
}

export class Receiver {
  readonly #registers: PcnetRegisters;
  readonly #ring: DescriptorRing;
  readonly #links: ReceiverLinks;
  readonly #timer: Timer;
  readonly #frame = new Uint8Array(FRAME_BYTES);
  /** Where a frame from the network comes in: what is behind it stays free for the FCS. */
  readonly #inbox = this.#frame.subarray(0, FRAME_BYTES - FCS_BYTES);
  /** A frame that passed the filter and waits for buffers, FCS included; 0: none. */
  #waitingBytes = 0;
  #waitingMatch = 0;
  #waitingSinceNs = 0;

  constructor(registers: PcnetRegisters, ring: DescriptorRing, links: ReceiverLinks) {
    this.#registers = registers;
    this.#ring = ring;
    this.#links = links;
    this.#timer = links.clock.createTimer("pcnet receive", () => this.run());
  }

  /** Chip stopped or reset: what waited is lost. */
  stop(): void {
    this.#waitingBytes = 0;
    this.#waitingSinceNs = 0;
    this.#timer.cancel();
  }

  /** Moves what has arrived into the guest, as far as it has buffers. */
  run(): void {
    const { backend, canRun, isDeaf } = this.#links;
    if (backend === undefined) return;
    if (isDeaf()) {
      this.#waitingBytes = 0;
      discard(backend, this.#frame);
      return;
    }
    if (!canRun()) return;
    for (let frames = 0; frames < MAX_FRAMES; frames++) {
      if (this.#waitingBytes === 0 && !this.#takeFrame(backend)) return;
      if (!this.#deliver(this.#waitingBytes, this.#waitingMatch)) {
        this.#waitForBuffers();
        return;
      }
      this.#waitingBytes = 0;
      this.#waitingSinceNs = 0;
    }
    this.#timer.armAfter(PAUSE_NS);
  }

  /** A frame of the transmitter's. It finds buffers or is missed. */
  loopBack(frame: Uint8Array, length: number, hasFcs: boolean): void {
    if ((this.#registers.csr[0] & R.CSR0_RXON) === 0 || length < HEADER_BYTES) return;
    const match = matchAddress(this.#registers.csr, frame);
    if (match < 0) return;
    const cut = Math.min(length, FRAME_BYTES - FCS_BYTES);
    const bytes = hasFcs ? cut : cut + FCS_BYTES;
    this.#frame.set(frame.subarray(0, cut));
    if (!hasFcs) appendFcs(this.#frame, cut);
    const error = hasGoodFcs(this.#frame, bytes) ? 0 : R.RMD_CRC | R.ERR;
    if (!this.#deliver(bytes, match | error)) this.#miss();
  }

  /** False: nothing there. */
  #takeFrame(backend: NetBackend): boolean {
    for (let tries = 0; tries < MAX_FRAMES && backend.readableBytes > 0; tries++) {
      const received = backend.receive(this.#inbox);
      if (received < HEADER_BYTES) continue;
      const match = matchAddress(this.#registers.csr, this.#frame);
      if (match < 0) continue;
      const length = padFrame(this.#frame, received);
      this.#frame.fill(0, length, length + FCS_BYTES);
      this.#waitingMatch = match;
      this.#waitingBytes = this.#strippedBytes(length);
      return true;
    }
    if (backend.readableBytes > 0) this.#timer.armAfter(PAUSE_NS);
    return false;
  }

  /** ASTRP_RCV takes padding and FCS off frames whose type field is a length. */
  #strippedBytes(length: number): number {
    const field = (this.#frame[12] << 8) | this.#frame[13];
    const isStripped = (this.#registers.csr[4] & R.CSR4_ASTRP_RCV) !== 0 && field < MAX_PADDED_LENGTH;
    return isStripped ? HEADER_BYTES + field : length + FCS_BYTES;
  }

  /** Writes the first `bytes` of the frame into the ring. False: the ring has no room for it, nothing was written. */
  #deliver(bytes: number, match: number): boolean {
    const ring = this.#ring;
    const { memory } = this.#links;
    const { csr } = this.#registers;
    if ((csr[3] & R.CSR3_LAPPEN) !== 0) this.#skipToStart();
    const buffers = this.#countBuffers(bytes);
    if (buffers === 0) return false;
    let done = 0;
    for (let i = 0; i < buffers; i++) {
      const gpa = ring.at(i);
      const length = Math.min(bytes - done, ring.bufferBytes(gpa));
      memory.write(ring.bufferAddress(gpa), this.#frame.subarray(done, done + length));
      done += length;
    }
    ring.setMessageBytes(ring.at(buffers - 1), bytes);
    // Given back from the end: a guest that finds the first buffer its own finds the others too.
    for (let i = buffers - 1; i >= 0; i--) {
      const start = i === 0 ? R.STP : 0;
      const end = i === buffers - 1 ? R.ENP | match : 0;
      ring.setStatus(ring.at(i), start | end);
    }
    ring.advance(buffers);
    csr[0] |= R.CSR0_RINT;
    this.#links.onStatus();
    return true;
  }

  /** How many of the next buffers hold `bytes`; 0 if the guest has not given that much. */
  #countBuffers(bytes: number): number {
    const ring = this.#ring;
    let room = 0;
    const limit = Math.min(ring.length, MAX_BUFFERS);
    for (let i = 0; i < limit; i++) {
      const gpa = ring.at(i);
      if ((ring.status(gpa) & R.OWN) === 0) return 0;
      room += ring.bufferBytes(gpa);
      if (room >= bytes) return i + 1;
    }
    return 0;
  }

  /** Look-ahead mode: software marks where a frame may start; buffers before that go back unused. */
  #skipToStart(): void {
    const ring = this.#ring;
    for (let i = 0; i < ring.length; i++) {
      const gpa = ring.at(0);
      const status = ring.status(gpa);
      if ((status & R.OWN) === 0 || (status & R.STP) !== 0) return;
      ring.setStatus(gpa, 0);
      ring.advance();
    }
  }

  #waitForBuffers(): void {
    const { clock } = this.#links;
    const nowNs = clock.nowNs();
    if (this.#waitingSinceNs === 0) this.#waitingSinceNs = nowNs;
    if (nowNs - this.#waitingSinceNs >= SHORTAGE_PATIENCE_NS) {
      this.#waitingBytes = 0;
      this.#waitingSinceNs = 0;
      this.#miss();
    }
    this.#timer.armAfter(SHORTAGE_POLL_NS);
  }

  #miss(): void {
    const { csr } = this.#registers;
    csr[0] |= R.CSR0_MISS;
    csr[R.CSR_MFC]++;
    if (csr[R.CSR_MFC] === 0) csr[4] |= R.CSR4_MFCO;
    this.#links.onStatus();
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      frame: this.#frame.slice(0, this.#waitingBytes),
      frameBytes: this.#waitingBytes,
      match: this.#waitingMatch,
      sinceNs: this.#waitingSinceNs,
    };
  }

  load(state: StateReader): void {
    const bytes = state.integer("frameBytes", 0, FRAME_BYTES);
    this.#frame.set(state.bytes("frame", bytes));
    this.#waitingBytes = bytes;
    this.#waitingMatch = state.integer("match", 0, 0xffff);
    this.#waitingSinceNs = state.number("sinceNs");
    state.end();
    if (bytes > 0) this.#timer.armAfter(SHORTAGE_POLL_NS);
  }
}

/** Frames that nobody listens to are gone. Bounded: more may come while this runs. */
function discard(backend: NetBackend, scratch: Uint8Array): void {
  for (let i = 0; i < MAX_FRAMES && backend.readableBytes > 0; i++) backend.receive(scratch);
}
