/**
 * The transmitter of an 8254x: walks the ring from head to tail, collects a packet's buffers, computes what the descriptors
 * ask for, hands frames to the network. A packet is sent when all its descriptors are there; the head moves past it when all
 * its frames have found room. A packet that is too long for any frame is lost. Modelled: legacy, context and data
 * descriptors, checksums, TCP segmentation, VLAN tags, padding. Not modelled: collisions, prefetch and write-back thresholds.
 */
import { MAX_FRAME_BYTES, type NetBackend } from "../../backend-api/net.ts";
import type { GuestMemory } from "../../device-api/guest-memory.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import { FCS_BYTES, HEADER_BYTES, padFrame } from "../../device-parts/ethernet.ts";
import { canSegment, writeSegment } from "../../device-parts/tcp-segmentation.ts";
import type { E1000Registers } from "./register-file.ts";
import * as R from "./registers.ts";
import {
  addPseudoLength,
  emptyContext,
  insertChecksum,
  loadContext,
  type OffloadContext,
  saveContext,
} from "./segmentation.ts";

const DESCRIPTOR_BYTES = 16;
/** The longest packet before segmentation: 64 KiB of payload and its headers. */
const MAX_PACKET_BYTES = 0x12000;
/** Longest frame that is built, FCS and VLAN tag included. */
const FRAME_BYTES = 0x4000 + 64;
/** Buffers of one packet. */
const MAX_CHAIN = 256;
/** Work in one go, in bytes, a descriptor counting as some; the rest after the guest had its turn. */
const MAX_WORK_BYTES = 0x80000;
const DESCRIPTOR_WORK_BYTES = 128;
const VLAN_TAG_BYTES = 4;
const ADDRESSES_BYTES = 12;

export interface TransmitterLinks {
  readonly memory: GuestMemory;
  readonly backend: NetBackend | undefined;
  readonly isLinkUp: () => boolean;
  readonly isLoopback: () => boolean;
  readonly loopBack: (frame: Uint8Array, length: number) => void;
  /** Descriptors are done: ICR causes, `isDelayed` where the driver asked for it. */
  readonly onDone: (causes: number, isDelayed: boolean) => void;
}

export class Transmitter {
  readonly #registers: E1000Registers;
  readonly #links: TransmitterLinks;
  readonly #packet = new Uint8Array(MAX_PACKET_BYTES);
  readonly #frame = new Uint8Array(FRAME_BYTES);
  #checksumContext = emptyContext();
  #segmentContext = emptyContext();
  /** Of the packet at the head: segments that have gone. */
  #sentSegments = 0;
  // Of the packet just collected.
  #length = 0;
  #descriptors = 0;
  #firstCommand = 0;
  #firstOptions = 0;
  #lastCommand = 0;
  #lastSpecial = 0;
  /** Legacy checksum: start and offset; offset 0: none. */
  #legacyStart = 0;
  #legacyOffset = 0;

  constructor(registers: E1000Registers, links: TransmitterLinks) {
    this.#registers = registers;
    this.#links = links;
  }

  reset(): void {
    this.#checksumContext = emptyContext();
    this.#segmentContext = emptyContext();
    this.#sentSegments = 0;
  }

  /** Sends what is between head and tail. "blocked": the network has no room now; "more": there is more to do. */
  run(): "done" | "blocked" | "more" {
    const registers = this.#registers;
    const count = registers.get(R.TDLEN) / DESCRIPTOR_BYTES;
    if (count === 0 || registers.get(R.TDH) >= count || registers.get(R.TDT) >= count) return "done";
    if (registers.get(R.TDH) === registers.get(R.TDT)) return "done";
    for (let work = 0; work < MAX_WORK_BYTES; ) {
      const gpa = this.#descriptorAt(registers.get(R.TDH));
      const command = this.#links.memory.read32(gpa + 8);
      if ((command & R.TXD_CMD_DEXT) !== 0 && (command & R.TXD_DTYP_DATA) === 0) {
        this.#takeContext(gpa, command);
        this.#finish(1);
        work += DESCRIPTOR_WORK_BYTES;
      } else {
        if (!this.#collect(count)) return "done";
        if (!this.#sendPacket()) return "blocked";
        this.#sentSegments = 0;
        this.#finish(this.#descriptors);
        work += this.#descriptors * DESCRIPTOR_WORK_BYTES + this.#length;
      }
      if (registers.get(R.TDH) === registers.get(R.TDT)) {
        this.#links.onDone(R.ICR_TXQE, false);
        return "done";
      }
    }
    return "more";
  }

  #descriptorAt(index: number): number {
    const registers = this.#registers;
    return registers.get(R.TDBAH) * 0x1_0000_0000 + registers.get(R.TDBAL) + index * DESCRIPTOR_BYTES;
  }

  #takeContext(gpa: number, command: number): void {
    const { memory } = this.#links;
    const ip = memory.read32(gpa);
    const transport = memory.read32(gpa + 4);
    const sizes = memory.read32(gpa + 12);
    const context: OffloadContext = {
      ipStart: ip & 0xff,
      ipOffset: (ip >>> 8) & 0xff,
      ipEnd: ip >>> 16,
      transportStart: transport & 0xff,
      transportOffset: (transport >>> 8) & 0xff,
      transportEnd: transport >>> 16,
      payloadBytes: command & 0xfffff,
      headerBytes: (sizes >>> 8) & 0xff,
      segmentBytes: sizes >>> 16,
      isTcp: (command & R.TUCMD_TCP) !== 0,
      isIpv4: (command & R.TUCMD_IP) !== 0,
    };
    if ((command & R.TXD_CMD_TSE) !== 0) {
      this.#segmentContext = context;
      this.#registers.count(R.TSCTC);
    } else this.#checksumContext = context;
  }

  /** Gathers the packet at the head. False: its end is not there yet. */
  #collect(count: number): boolean {
    const { memory } = this.#links;
    const head = this.#registers.get(R.TDH);
    const tail = this.#registers.get(R.TDT);
    this.#length = 0;
    this.#legacyOffset = 0;
    const limit = Math.min(count, MAX_CHAIN);
    for (let n = 0; n < limit; n++) {
      const index = (head + n) % count;
      if (index === tail) return false;
      const gpa = this.#descriptorAt(index);
      const command = memory.read32(gpa + 8);
      const options = memory.read32(gpa + 12);
      const isLegacy = (command & R.TXD_CMD_DEXT) === 0;
      if (n === 0) {
        this.#firstCommand = command;
        this.#firstOptions = options;
      }
      if (isLegacy && (command & R.TXD_CMD_IC) !== 0 && this.#legacyOffset === 0) {
        this.#legacyStart = (options >>> 8) & 0xff;
        this.#legacyOffset = (command >>> 16) & 0xff;
      }
      const bytes = Math.min(command & (isLegacy ? 0xffff : 0xfffff), MAX_PACKET_BYTES - this.#length);
      const buffer = memory.read32(gpa + 4) * 0x1_0000_0000 + memory.read32(gpa);
      memory.read(buffer, this.#packet.subarray(this.#length, this.#length + bytes));
      this.#length += bytes;
      if ((command & R.TXD_CMD_EOP) !== 0) {
        this.#lastCommand = command;
        this.#lastSpecial = options >>> 16;
        this.#descriptors = n + 1;
        return true;
      }
    }
    // Longer than any packet: lost.
    this.#descriptors = limit;
    this.#length = 0;
    this.#lastCommand = 0;
    return true;
  }

  /** False: the network has no room; `#sentSegments` says how far it came. */
  #sendPacket(): boolean {
    const packet = this.#packet;
    const isData = (this.#firstCommand & R.TXD_CMD_DEXT) !== 0;
    if (!isData) {
      if (this.#legacyOffset !== 0) insertChecksum(packet, this.#length, this.#legacyStart, this.#legacyOffset, 0);
      return this.#sendFrame(packet, this.#length);
    }
    if ((this.#firstCommand & R.TXD_CMD_TSE) !== 0 && canSegment(this.#segmentContext, this.#length))
      return this.#sendSegments();
    this.#insertChecksums(packet, this.#length, this.#checksumContext);
    return this.#sendFrame(packet, this.#length);
  }

  #sendSegments(): boolean {
    const context = this.#segmentContext;
    const { headerBytes, segmentBytes } = context;
    const payload = this.#length - headerBytes;
    if (headerBytes + segmentBytes > FRAME_BYTES - VLAN_TAG_BYTES) return true;
    const segments = Math.max(1, Math.ceil(payload / segmentBytes));
    for (let i = this.#sentSegments; i < segments; i++) {
      const at = i * segmentBytes;
      const bytes = Math.min(segmentBytes, payload - at);
      const isLast = i === segments - 1;
      const length = writeSegment(this.#packet, context, i, at, bytes, isLast, this.#frame);
      if ((this.#firstOptions & R.POPTS_TXSM) !== 0) addPseudoLength(this.#frame, length, context);
      this.#insertChecksums(this.#frame, length, context);
      if (!this.#sendFrame(this.#frame, length)) return false;
      this.#sentSegments = i + 1;
    }
    return true;
  }

  #insertChecksums(frame: Uint8Array, length: number, context: OffloadContext): void {
    const options = this.#firstOptions;
    if ((options & R.POPTS_TXSM) !== 0)
      insertChecksum(frame, length, context.transportStart, context.transportOffset, context.transportEnd);
    if ((options & R.POPTS_IXSM) !== 0) insertChecksum(frame, length, context.ipStart, context.ipOffset, context.ipEnd);
  }

  /** `frame` has room behind `length` for what is added. False: no room in the network. */
  #sendFrame(frame: Uint8Array, packetBytes: number): boolean {
    const registers = this.#registers;
    const { backend, isLinkUp, isLoopback, loopBack } = this.#links;
    let length = packetBytes;
    if (length > FRAME_BYTES - VLAN_TAG_BYTES || length < HEADER_BYTES) return true;
    const isTagged = (this.#lastCommand & R.TXD_CMD_VLE) !== 0 && (registers.get(R.CTRL) & R.CTRL_VME) !== 0;
    if (isTagged) {
      // In place: a packet that finds no room is collected, a segment written, again.
      frame.copyWithin(ADDRESSES_BYTES + VLAN_TAG_BYTES, ADDRESSES_BYTES, length);
      const type = registers.get(R.VET);
      frame[12] = type >>> 8;
      frame[13] = type;
      frame[14] = this.#lastSpecial >>> 8;
      frame[15] = this.#lastSpecial;
      length += VLAN_TAG_BYTES;
    }
    if ((registers.get(R.TCTL) & R.TCTL_PSP) !== 0) length = padFrame(frame, length);
    if ((this.#lastCommand & R.TXD_CMD_IFCS) === 0) length = Math.max(HEADER_BYTES, length - FCS_BYTES);
    if (isLoopback()) loopBack(frame, length);
    else if (!isLinkUp() || length > MAX_FRAME_BYTES) return true;
    else if (backend?.send(frame.subarray(0, length)) === false) return false;
    registers.countPacket(false, frame, length + FCS_BYTES);
    return true;
  }

  /** Reports the next `count` descriptors as done and moves the head past them. */
  #finish(count: number): void {
    const registers = this.#registers;
    const { memory, onDone } = this.#links;
    const ringLength = registers.get(R.TDLEN) / DESCRIPTOR_BYTES;
    let head = registers.get(R.TDH);
    let hasReport = false;
    let isDelayed = true;
    for (let i = 0; i < count; i++) {
      const gpa = this.#descriptorAt(head);
      const command = memory.read32(gpa + 8);
      if ((command & R.TXD_CMD_RS) !== 0) {
        memory.write8(gpa + 12, memory.read8(gpa + 12) | R.TXD_STAT_DD);
        hasReport = true;
        if ((command & R.TXD_CMD_IDE) === 0) isDelayed = false;
      }
      head = (head + 1) % ringLength;
    }
    registers.set(R.TDH, head);
    if (hasReport) onDone(R.ICR_TXDW, isDelayed);
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      checksumContext: saveContext(this.#checksumContext),
      segmentContext: saveContext(this.#segmentContext),
      sentSegments: this.#sentSegments,
    };
  }
  load(state: StateReader): void {
    this.#checksumContext = loadContext(state.child("checksumContext"));
    this.#segmentContext = loadContext(state.child("segmentContext"));
    this.#sentSegments = state.integer("sentSegments", 0, 0x20000);
    state.end();
  }
}
