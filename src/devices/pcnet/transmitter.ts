/**
 * The PCnet's transmitter: collects a frame's buffers from the transmit ring, gives the frame to the network and hands the
 * descriptors back. A frame goes out whole: while the network has no room its descriptors stay the chip's. Modelled:
 * chaining, padding, software FCS, underflow on a broken chain, loss of carrier without link. Not modelled: collisions,
 * retries, FIFO thresholds.
 */
import { MAX_FRAME_BYTES, type NetBackend } from "../../backend-api/net.ts";
import type { GuestMemory } from "../../device-api/guest-memory.ts";
import { FCS_BYTES, HEADER_BYTES, padFrame } from "../../device-parts/ethernet.ts";
import type { DescriptorRing } from "./descriptor-ring.ts";
import type { PcnetRegisters } from "./register-file.ts";
import * as R from "./registers.ts";

/** Descriptors in one go: a ring that refills itself (one outside RAM reads as all ones) must not hold the machine. */
const MAX_DESCRIPTORS = 1024;
/** Longest chain that is kept, in bytes and buffers: more than any frame, so that an endless chain is found out. */
const MAX_CHAIN_BYTES = 0x4000;
const MAX_CHAIN = 256;

export interface TransmitterLinks {
  readonly memory: GuestMemory;
  readonly backend: NetBackend | undefined;
  readonly isLinkUp: () => boolean;
  /** Frames go to the receiver instead of the network. */
  readonly isLoopback: () => boolean;
  /** A frame in loopback. `hasFcs`: its last four bytes are the guest's own FCS. */
  readonly loopBack: (frame: Uint8Array, length: number, hasFcs: boolean) => void;
}

/** What a turn came to. "more": the guest's turn first. */
export type TransmitOutcome = "idle" | "sent" | "blocked" | "more";

export class Transmitter {
  readonly #registers: PcnetRegisters;
  readonly #ring: DescriptorRing;
  readonly #links: TransmitterLinks;
  readonly #frame = new Uint8Array(MAX_CHAIN_BYTES);
  /** Of the frame just collected. */
  #length = 0;
  #chain = 0;

  constructor(registers: PcnetRegisters, ring: DescriptorRing, links: TransmitterLinks) {
    this.#registers = registers;
    this.#ring = ring;
    this.#links = links;
  }

  /** Sends what the guest has given. The caller has checked that the transmitter may run, and updates interrupts after. */
  run(): TransmitOutcome {
    const ring = this.#ring;
    const { csr } = this.#registers;
    for (let done = 0; done < MAX_DESCRIPTORS; ) {
      if ((csr[0] & R.CSR0_TXON) === 0) return "idle";
      const first = ring.at(0);
      const status = ring.status(first);
      if ((status & R.OWN) === 0) return done > 0 ? "sent" : "idle";
      if ((status & R.STP) === 0) {
        // The rest of a frame whose start is gone.
        ring.setStatus(first, status & ~R.OWN);
        ring.advance();
        done++;
        continue;
      }
      if (!this.#collect()) this.#underflow();
      else if (!this.#send(status)) return "blocked";
      done += this.#chain;
    }
    return "more";
  }

  /** Walks the chain from the current descriptor. False: it breaks off before its end. */
  #collect(): boolean {
    const ring = this.#ring;
    const { memory } = this.#links;
    this.#length = 0;
    this.#chain = 0;
    const limit = Math.min(ring.length, MAX_CHAIN);
    while (this.#chain < limit) {
      const gpa = ring.at(this.#chain);
      const status = ring.status(gpa);
      if ((status & R.OWN) === 0) return false;
      this.#chain++;
      const bytes = Math.min(ring.bufferBytes(gpa), MAX_CHAIN_BYTES - this.#length);
      memory.read(ring.bufferAddress(gpa), this.#frame.subarray(this.#length, this.#length + bytes));
      this.#length += bytes;
      if ((status & R.ENP) !== 0) return true;
      if (this.#length === MAX_CHAIN_BYTES) return false;
    }
    return false;
  }

  /** False: the network has no room now. */
  #send(firstStatus: number): boolean {
    const { csr } = this.#registers;
    const { backend, isLinkUp, isLoopback, loopBack } = this.#links;
    const isPadded = (csr[4] & R.CSR4_APAD_XMT) !== 0;
    if (isPadded) this.#length = padFrame(this.#frame, this.#length);
    const makesFcs = isPadded || (csr[R.CSR_MODE] & R.MODE_DXMTFCS) === 0 || (firstStatus & R.TMD_ADD_FCS) !== 0;
    let errors = 0;
    if (isLoopback()) {
      loopBack(this.#frame, this.#length, !makesFcs);
    } else if (!isLinkUp()) {
      errors = R.TMD_LCAR;
      if (!this.#registers.is973) csr[0] |= R.CSR0_CERR;
    } else {
      const length = makesFcs ? this.#length : this.#length - FCS_BYTES;
      if (length > MAX_FRAME_BYTES) csr[0] |= R.CSR0_BABL;
      else if (length >= HEADER_BYTES && backend?.send(this.#frame.subarray(0, length)) === false) return false;
    }
    this.#release(errors);
    return true;
  }

  #underflow(): void {
    const { csr } = this.#registers;
    if ((csr[3] & R.CSR3_DXSUFLO) === 0) csr[0] &= ~R.CSR0_TXON;
    this.#release(R.TMD_BUFF | R.TMD_UFLO);
  }

  /** Gives the chain back, its first descriptor last, and reports. */
  #release(errors: number): void {
    const ring = this.#ring;
    const { csr } = this.#registers;
    const last = ring.at(this.#chain - 1);
    const lastStatus = ring.status(last);
    ring.setTransmitErrors(last, errors);
    for (let i = this.#chain - 1; i >= 0; i--) {
      const gpa = ring.at(i);
      const error = errors !== 0 && i === this.#chain - 1 ? R.ERR : 0;
      ring.setStatus(gpa, (ring.status(gpa) & ~(R.OWN | R.ERR | R.TMD_REPORT)) | error);
    }
    ring.advance(this.#chain);
    csr[4] |= R.CSR4_TXSTRT;
    const isQuiet =
      (csr[5] & R.CSR5_TOKINTD) !== 0 || ((csr[5] & R.CSR5_LTINTEN) !== 0 && (lastStatus & R.TMD_LTINT) === 0);
    if (!isQuiet || errors !== 0) csr[0] |= R.CSR0_TINT;
  }
}
