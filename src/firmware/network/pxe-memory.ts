/**
 * What a loaded PXE has in conventional memory (Preboot Execution Environment 2.1, sections 3.1 and 4.4): 8 KiB below the EBDA with
 * the structures !PXE and PXENV+, the entry points (far jumps into our ROM), and the state of the network: addresses, the DHCP
 * packets that programs ask for, one frame. State lives here and nowhere else, as a PXE ROM's does, so it is part of the
 * machine's memory. Programs may overwrite it: what is read back is a number and nothing more.
 */
import type { VirtualCpu } from "../../device-api/virtual-cpu.ts";
import { BDA_BASE, bda } from "../bios-data-area.ts";
import { CONVENTIONAL_KIB } from "../memory-map.ts";

const PXE_KIB = 8;
export const PXE_SEGMENT = 0x9dc0;
const PXE_BASE = PXE_SEGMENT * 16;
const CODE_BYTES = 0x100;
export const DATA_SEGMENT = PXE_SEGMENT + CODE_BYTES / 16;
const DATA_BYTES = PXE_KIB * 1024 - CODE_BYTES;
const DATA_BASE = DATA_SEGMENT * 16;

export const PXENV_OFFSET = 0x60;
const PXENV_BYTES = 0x2c;
const NOT_PXE_BYTES = 0x58;
const STACK_ENTRY = 0x90;
const REGISTER_ENTRY = 0xa0;

/** Offsets in the data segment. Addresses are numbers, the first byte of the dotted form on top. */
export const field = {
  ownAddress: 0x00,
  mask: 0x04,
  gateway: 0x08,
  server: 0x0c,
  nic: 0x10,
  isUdpOpen: 0x11,
  packetFilter: 0x12,
  tftpServer: 0x14,
  tftpServerPort: 0x18,
  tftpOwnPort: 0x1a,
  tftpBlock: 0x1c,
  tftpBlockBytes: 0x1e,
  tftpIsOpen: 0x20,
  tftpIsLast: 0x21,
  tftpReceived: 0x22,
  nextPort: 0x24,
  packetId: 0x26,
  tftpGateway: 0x28,
  tftpFileBytes: 0x2c,
  sentFrames: 0x30,
  receivedFrames: 0x34,
  dhcpServer: 0x38,
  neighbours: 0x40,
  nextNeighbour: 0x70,
} as const;
export type Field = keyof typeof field;

export const NEIGHBOURS = 4;
export const NEIGHBOUR_BYTES = 12;

/** The frame that PXENV_UNDI_ISR hands out, and a TFTP block that came before anybody asked. */
export const FRAME_OFFSET = 0x100;
export const FRAME_BYTES = 1536;
/** The three DHCP packets, by type less one: what we asked last, the acknowledgement, the boot server's reply. */
export const PACKET_OFFSET = 0x700;
export const PACKET_ROOM = 0x600;
export const PACKET_TYPES = 3;
const packetLengthOffset = 0x78;

/** Reads and writes the state where it lies. */
export class PxeMemory {
  readonly #cpu: VirtualCpu;

  constructor(cpu: VirtualCpu) {
    this.#cpu = cpu;
  }

  get8(name: Field): number {
    return this.#cpu.readLinear(DATA_BASE + field[name], 1);
  }
  get16(name: Field): number {
    return this.#cpu.readLinear(DATA_BASE + field[name], 2);
  }
  get32(name: Field): number {
    return this.#cpu.readLinear(DATA_BASE + field[name], 4) >>> 0;
  }
  set8(name: Field, value: number): void {
    this.#cpu.writeLinear(DATA_BASE + field[name], 1, value & 0xff);
  }
  set16(name: Field, value: number): void {
    this.#cpu.writeLinear(DATA_BASE + field[name], 2, value & 0xffff);
  }
  set32(name: Field, value: number): void {
    this.#cpu.writeLinear(DATA_BASE + field[name], 4, value >>> 0);
  }

  read(offset: number, lengthBytes: number): Uint8Array {
    const bytes = new Uint8Array(lengthBytes);
    this.#cpu.readLinearBytes(DATA_BASE + offset, bytes);
    return bytes;
  }
  write(offset: number, bytes: Uint8Array): void {
    this.#cpu.writeLinearBytes(DATA_BASE + offset, bytes);
  }

  /** Keeps a DHCP packet for programs; `type` from 1. */
  keepPacket(type: number, packet: Uint8Array): void {
    const kept = packet.subarray(0, PACKET_ROOM);
    this.write(PACKET_OFFSET + (type - 1) * PACKET_ROOM, kept);
    this.#cpu.writeLinear(DATA_BASE + packetLengthOffset + (type - 1) * 2, 2, kept.length);
  }
  packetBytes(type: number): number {
    return Math.min(this.#cpu.readLinear(DATA_BASE + packetLengthOffset + (type - 1) * 2, 2), PACKET_ROOM);
  }
  packet(type: number): Uint8Array {
    return this.read(PACKET_OFFSET + (type - 1) * PACKET_ROOM, this.packetBytes(type));
  }

  /** Whether a network boot has put PXE there and nobody has stopped it. */
  get isInstalled(): boolean {
    return this.#cpu.readLinear(PXE_BASE, 4) >>> 0 === NOT_PXE_SIGNATURE;
  }

  /** Takes the memory and writes structures and entry points; `entries` are offsets in our ROM's segment. */
  install(nic: number, romSegment: number, entries: { readonly onStack: number; readonly inRegisters: number }): void {
    const bytes = new Uint8Array(PXE_KIB * 1024);
    const view = new DataView(bytes.buffer);
    writeNotPxe(view);
    writePxenv(view);
    for (const [at, target] of [
      [STACK_ENTRY, entries.onStack],
      [REGISTER_ENTRY, entries.inRegisters],
    ]) {
      // JMP FAR
      bytes[at] = 0xea;
      view.setUint16(at + 1, target, true);
      view.setUint16(at + 3, romSegment, true);
    }
    seal(bytes, 0, NOT_PXE_BYTES, 5);
    seal(bytes, PXENV_OFFSET, PXENV_BYTES, 9);
    this.#cpu.writeLinearBytes(PXE_BASE, bytes);
    this.#cpu.writeLinear(BDA_BASE + bda.memoryKib, 2, CONVENTIONAL_KIB - PXE_KIB);
    this.set8("nic", nic);
    this.set16("nextPort", 2070);
    this.set16("packetFilter", 0x0003);
  }

  /** Makes the structures unfindable. */
  forget(): void {
    this.#cpu.writeLinear(PXE_BASE, 4, 0);
    this.#cpu.writeLinear(PXE_BASE + PXENV_OFFSET, 4, 0);
  }

  /** Gives the memory back, unless a program has done so or has taken more below it. */
  release(): void {
    this.forget();
    if (this.#cpu.readLinear(BDA_BASE + bda.memoryKib, 2) === CONVENTIONAL_KIB - PXE_KIB)
      this.#cpu.writeLinear(BDA_BASE + bda.memoryKib, 2, CONVENTIONAL_KIB);
  }
}

const NOT_PXE_SIGNATURE = 0x45585021;
const SEGMENT_DESCRIPTORS = 7;

function writeText(view: DataView, at: number, text: string): void {
  for (let i = 0; i < text.length; i++) view.setUint8(at + i, text.charCodeAt(i));
}

/** Section 4.4.5. The order of the descriptors: stack, UNDI data, UNDI code, its writable twin, base code's three (none). */
function writeNotPxe(view: DataView): void {
  writeText(view, 0, "!PXE");
  view.setUint8(4, NOT_PXE_BYTES);
  farPointer(view, 0x10, PXE_SEGMENT, STACK_ENTRY);
  // No protected-mode entry, no call-out while waiting.
  view.setUint32(0x18, 0xffffffff, true);
  view.setUint8(0x1d, SEGMENT_DESCRIPTORS);
  const descriptor = (index: number, segment: number, sizeBytes: number) => {
    view.setUint16(0x20 + index * 8, segment, true);
    view.setUint32(0x22 + index * 8, segment * 16, true);
    view.setUint16(0x26 + index * 8, sizeBytes, true);
  };
  descriptor(1, DATA_SEGMENT, DATA_BYTES);
  descriptor(2, PXE_SEGMENT, CODE_BYTES);
  descriptor(3, PXE_SEGMENT, CODE_BYTES);
}

/** Section 4.4.4. */
function writePxenv(view: DataView): void {
  const at = PXENV_OFFSET;
  writeText(view, at, "PXENV+");
  view.setUint16(at + 6, 0x0201, true);
  view.setUint8(at + 8, PXENV_BYTES);
  farPointer(view, at + 0x0a, PXE_SEGMENT, REGISTER_ENTRY);
  view.setUint16(at + 0x20, DATA_SEGMENT, true);
  view.setUint16(at + 0x22, DATA_BYTES, true);
  view.setUint16(at + 0x24, PXE_SEGMENT, true);
  view.setUint16(at + 0x26, CODE_BYTES, true);
  farPointer(view, at + 0x28, PXE_SEGMENT, 0);
}

function farPointer(view: DataView, at: number, segment: number, offset: number): void {
  view.setUint16(at, offset, true);
  view.setUint16(at + 2, segment, true);
}

function seal(bytes: Uint8Array, start: number, length: number, checksumAt: number): void {
  let sum = 0;
  for (let i = start; i < start + length; i++) sum += bytes[i];
  bytes[start + checksumAt] = -sum & 0xff;
}
