/**
 * The receiver of an 8254x: takes frames from the network while the guest has given buffers (head to tail), filters, checks
 * checksums, spreads a frame over the ring. A frame that finds no buffers waits for the tail to move; after a while it is
 * missed, as everything is when the real part's 48 KiB are full. Not modelled: FCS of received frames (four zeros where they
 * are not stripped), pause frames, early receive.
 */
import type { NetBackend } from "../../backend-api/net.ts";
import type { Clock, Timer } from "../../device-api/clock.ts";
import type { GuestMemory } from "../../device-api/guest-memory.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import { FCS_BYTES, HEADER_BYTES, padFrame } from "../../device-parts/ethernet.ts";
import { addWords, checksumOf, emptyChecksums, inspectChecksums } from "../../device-parts/internet-checksum.ts";
import { matchAddress, matchVlan } from "./address-filter.ts";
import type { E1000Registers } from "./register-file.ts";
import * as R from "./registers.ts";

const DESCRIPTOR_BYTES = 16;
const FRAME_BYTES = 0x4000;
const MAX_FRAMES = 512;
const MAX_BUFFERS = 64;
const PATIENCE_NS = 200_000_000;
const PAUSE_NS = 100_000;
const ADDRESSES_BYTES = 12;
const VLAN_TAG_BYTES = 4;

export interface ReceiverLinks {
  readonly memory: GuestMemory;
  readonly clock: Clock;
  readonly backend: NetBackend | undefined;
  /** Receiver enabled, DMA allowed. */
  readonly canRun: () => boolean;
  /** Frames of the network get nowhere: no link, receiver off, loopback. */
  readonly isDeaf: () => boolean;
  /** ICR causes. */
  readonly onCause: (causes: number) => void;
  /** A frame is in memory: the receive timers decide about the interrupt. */
  readonly onFrame: () => void;
}

export class Receiver {
  readonly #registers: E1000Registers;
  readonly #links: ReceiverLinks;
  readonly #timer: Timer;
  readonly #frame = new Uint8Array(FRAME_BYTES + FCS_BYTES);
  readonly #inbox = this.#frame.subarray(0, FRAME_BYTES);
  readonly #checksums = emptyChecksums();
  /** A frame that waits for buffers; 0: none. What follows belongs to it. */
  #waitingBytes = 0;
  #waitingSinceNs = 0;
  #status = 0;
  #errors = 0;
  #packetChecksum = 0;
  #special = 0;

  constructor(registers: E1000Registers, links: ReceiverLinks) {
    this.#registers = registers;
    this.#links = links;
    this.#timer = links.clock.createTimer("e1000 receive", () => this.run());
  }

  reset(): void {
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
      for (let i = 0; i < MAX_FRAMES && backend.readableBytes > 0; i++) backend.receive(this.#inbox);
      return;
    }
    if (!canRun()) return;
    for (let frames = 0; frames < MAX_FRAMES; frames++) {
      if (this.#waitingBytes === 0 && !this.#take(backend)) return;
      if (!this.#deliver()) {
        this.#waitForBuffers();
        return;
      }
      this.#waitingBytes = 0;
      this.#waitingSinceNs = 0;
    }
    this.#timer.armAfter(PAUSE_NS);
  }

  /** A frame of the transmitter's. It finds buffers or is missed. */
  loopBack(frame: Uint8Array, length: number): void {
    if ((this.#registers.get(R.RCTL) & R.RCTL_EN) === 0 || length > FRAME_BYTES) return;
    this.#frame.set(frame.subarray(0, length));
    if (!this.#examine(length)) return;
    if (!this.#deliver()) this.#miss();
    this.#waitingBytes = 0;
  }

  /** The next frame that is for this card. False: there is none. */
  #take(backend: NetBackend): boolean {
    for (let tries = 0; tries < MAX_FRAMES && backend.readableBytes > 0; tries++) {
      const received = backend.receive(this.#inbox);
      if (received >= HEADER_BYTES && this.#examine(received)) return true;
    }
    if (backend.readableBytes > 0) this.#timer.armAfter(PAUSE_NS);
    return false;
  }

  /** Filters and prepares the frame in the buffer. False: it is not for this card. */
  #examine(received: number): boolean {
    const registers = this.#registers;
    const match = matchAddress(registers, this.#frame);
    if (match === "no") return false;
    let length = padFrame(this.#frame, received);
    const type = (this.#frame[12] << 8) | this.#frame[13];
    const isTagged = type === (registers.get(R.VET) || 0x8100) && length >= HEADER_BYTES + VLAN_TAG_BYTES;
    const tag = isTagged ? (this.#frame[14] << 8) | this.#frame[15] : 0;
    if (isTagged && !matchVlan(registers, tag & 0xfff)) return false;
    registers.countPacket(true, this.#frame, length + FCS_BYTES);
    this.#status = R.RXD_STAT_DD | (match === "hash" ? R.RXD_STAT_PIF : 0);
    this.#errors = 0;
    this.#special = 0;
    this.#check(length);
    if (isTagged && (registers.get(R.CTRL) & R.CTRL_VME) !== 0) {
      this.#frame.copyWithin(ADDRESSES_BYTES, ADDRESSES_BYTES + VLAN_TAG_BYTES, length);
      length -= VLAN_TAG_BYTES;
      this.#status |= R.RXD_STAT_VP;
      this.#special = tag;
    }
    const rxcsum = registers.get(R.RXCSUM);
    // Drivers that let the card check TCP and UDP do not look at the sum over the packet: a second pass saved.
    const wantsSum = (rxcsum & R.RXCSUM_TUOFL) === 0;
    this.#packetChecksum = wantsSum ? checksumOf(addWords(this.#frame, Math.min(rxcsum & 0xff, length), length)) : 0;
    if ((registers.get(R.RCTL) & R.RCTL_SECRC) === 0) {
      this.#frame.fill(0, length, length + FCS_BYTES);
      length += FCS_BYTES;
    }
    this.#waitingBytes = length;
    return true;
  }

  #check(length: number): void {
    const rxcsum = this.#registers.get(R.RXCSUM);
    if ((rxcsum & (R.RXCSUM_IPOFL | R.RXCSUM_TUOFL)) === 0) {
      this.#status |= R.RXD_STAT_IXSM;
      return;
    }
    const found = this.#checksums;
    inspectChecksums(this.#frame, length, found);
    if (!found.hasIpv4 && found.protocol === 0) this.#status |= R.RXD_STAT_IXSM;
    if (found.hasIpv4 && (rxcsum & R.RXCSUM_IPOFL) !== 0) {
      this.#status |= R.RXD_STAT_IPCS;
      if (!found.isIpv4Good) this.#errors |= R.RXD_ERR_IPE;
    }
    if (found.protocol !== 0 && (rxcsum & R.RXCSUM_TUOFL) !== 0) {
      this.#status |= R.RXD_STAT_TCPCS;
      if (!found.isTransportGood) this.#errors |= R.RXD_ERR_TCPE;
    }
  }

  get #bufferBytes(): number {
    const rctl = this.#registers.get(R.RCTL);
    const size = (rctl >>> 16) & 3;
    if ((rctl & R.RCTL_BSEX) === 0) return 2048 >> size;
    return size === 0 ? 2048 : 32768 >> size;
  }

  /** Writes the frame into the ring. False: not enough buffers, nothing was written. */
  #deliver(): boolean {
    const registers = this.#registers;
    const { memory, onCause, onFrame } = this.#links;
    const count = registers.get(R.RDLEN) / DESCRIPTOR_BYTES;
    let head = registers.get(R.RDH);
    const tail = registers.get(R.RDT);
    if (count === 0 || head >= count || tail >= count) return false;
    const bufferBytes = this.#bufferBytes;
    const needed = Math.ceil(this.#waitingBytes / bufferBytes);
    const free = (tail - head + count) % count;
    if (needed > free || needed > MAX_BUFFERS) return false;
    const base = registers.get(R.RDBAH) * 0x1_0000_0000 + registers.get(R.RDBAL);
    for (let i = 0, done = 0; i < needed; i++) {
      const gpa = base + head * DESCRIPTOR_BYTES;
      const bytes = Math.min(bufferBytes, this.#waitingBytes - done);
      const buffer = memory.read32(gpa + 4) * 0x1_0000_0000 + memory.read32(gpa);
      memory.write(buffer, this.#frame.subarray(done, done + bytes));
      done += bytes;
      const status = this.#status | (i === needed - 1 ? R.RXD_STAT_EOP : 0);
      memory.write32(gpa + 8, bytes + this.#packetChecksum * 0x10000);
      memory.write32(gpa + 12, (status | (this.#errors << 8) | (this.#special << 16)) >>> 0);
      head = (head + 1) % count;
    }
    registers.set(R.RDH, head);
    const threshold = count >>> (((registers.get(R.RCTL) >>> 8) & 3) + 1);
    if (free - needed <= threshold && free > threshold) onCause(R.ICR_RXDMT0);
    onFrame();
    return true;
  }

  #waitForBuffers(): void {
    const nowNs = this.#links.clock.nowNs();
    if (this.#waitingSinceNs === 0) {
      this.#waitingSinceNs = nowNs;
      this.#registers.count(R.RNBC);
      this.#links.onCause(R.ICR_RXDMT0);
    } else if (nowNs - this.#waitingSinceNs >= PATIENCE_NS) {
      this.#waitingBytes = 0;
      this.#waitingSinceNs = 0;
      this.#miss();
    }
    this.#timer.armAfter(PATIENCE_NS);
  }

  #miss(): void {
    this.#registers.count(R.MPC);
    this.#links.onCause(R.ICR_RXO);
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      frameBytes: this.#waitingBytes,
      frame: this.#frame.slice(0, this.#waitingBytes),
      sinceNs: this.#waitingSinceNs,
      status: this.#status,
      errors: this.#errors,
      packetChecksum: this.#packetChecksum,
      special: this.#special,
    };
  }

  load(state: StateReader): void {
    this.reset();
    const bytes = state.integer("frameBytes", 0, FRAME_BYTES + FCS_BYTES);
    this.#frame.set(state.bytes("frame", bytes));
    this.#waitingBytes = bytes;
    this.#waitingSinceNs = state.number("sinceNs");
    this.#status = state.byte("status");
    this.#errors = state.byte("errors");
    this.#packetChecksum = state.integer("packetChecksum", 0, 0xffff);
    this.#special = state.integer("special", 0, 0xffff);
    state.end();
    if (bytes > 0) this.#timer.armAfter(PAUSE_NS);
  }
}
