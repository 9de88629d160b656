/**
 * UNDI, PXE's driver interface (PXE 2.1, section 4.3), over the firmware's own end of the card's cable: frames out, and frames in by
 * asking (PXENV_UNDI_ISR without an interrupt, as its service flags say). State of a card (started, initialised, opened) makes no
 * difference: the first frame opens the cable, SHUTDOWN, CLEANUP and CLOSE give it back to the card.
 */
import type { ServiceMemory } from "../directed.ts";
import { PciConfig } from "../post/pci-setup.ts";
import type { ServiceContext } from "../service-context.ts";
import { DATA_SEGMENT, FRAME_BYTES, FRAME_OFFSET } from "./pxe-memory.ts";
import type { Parameters } from "./pxe-services.ts";

const SUCCESS = 0;
const FAILURE = 1;
const INVALID_FUNCTION = 0x02;
const UNSUPPORTED = 0x03;
const ETHERNET = 1;
const HEADER_BYTES = 14;
const MTU = 1500;
const PCI_NIC = 2;
const LINK_SPEED = 1_000_000_000;
/** Broadcast, multicast, group addresses, promiscuous mode, statistics, reset, open. No interrupt. */
const SERVICE_FLAGS = 0x00000c2f;
const FILTER_PROMISCUOUS = 4;
const FILTER_BROADCAST = 2;
const MOST_DATA_BLOCKS = 8;
/** Frames looked at in one call at most. */
const MOST_FRAMES = 32;
const protocolTypes = [0, 0x0800, 0x0806, 0x8035];

const isr = { start: 1, process: 2, getNext: 3, ours: 0, notOurs: 1, done: 0, receive: 3 } as const;

export function undi(context: ServiceContext, memory: ServiceMemory, opcode: number, block: Parameters): number {
  const { network } = context;
  const { view } = block;
  const act = (action: () => void): number => {
    memory.input(() => {
      action();
      return 0;
    });
    return SUCCESS;
  };
  switch (opcode) {
    // START_UNDI belongs to a ROM's loader, which there is none of; the rest has nothing to do.
    case 0x01:
    case 0x03:
    case 0x09:
    case 0x0a:
    case 0x0f:
      return SUCCESS;
    case 0x04:
      return act(() => network.nic?.open());
    case 0x02:
    case 0x05:
    case 0x07:
      return act(() => network.nic?.close());
    case 0x06: {
      const filter = view.getUint16(4, true);
      return act(() => {
        network.state.set16("packetFilter", filter);
        network.nic?.open();
      });
    }
    case 0x08:
      return transmit(context, memory, block);
    case 0x0b: {
      const filter = view.getUint8(2);
      return act(() => network.state.set16("packetFilter", filter));
    }
    case 0x0c:
      return information(context, memory, block);
    case 0x0d:
      view.setUint32(
        2,
        memory.input(() => network.state.get32("sentFrames")),
        true,
      );
      view.setUint32(
        6,
        memory.input(() => network.state.get32("receivedFrames")),
        true,
      );
      view.setUint32(10, 0, true);
      view.setUint32(14, 0, true);
      return SUCCESS;
    case 0x0e:
      return act(() => {
        network.state.set32("sentFrames", 0);
        network.state.set32("receivedFrames", 0);
      });
    case 0x10:
      return UNSUPPORTED;
    case 0x11:
      return multicastAddress(block);
    case 0x12:
      return nicType(context, memory, block);
    case 0x13:
      return interfaceInformation(block);
    case 0x14:
      return interrupt(context, memory, block);
    default:
      return INVALID_FUNCTION;
  }
}

/** The group address of an IPv4 multicast group (RFC 1112). */
function multicastAddress({ bytes }: Parameters): number {
  bytes.set([0x01, 0x00, 0x5e, bytes[3] & 0x7f, bytes[4], bytes[5]], 6);
  return SUCCESS;
}

function information({ network }: ServiceContext, memory: ServiceMemory, { bytes, view }: Parameters): number {
  const mac = memory.inputBytes(() => network.nic?.macAddress.slice() ?? new Uint8Array(0));
  if (mac.length === 0) return FAILURE;
  const words = [0, 0, MTU, ETHERNET, mac.length];
  words.forEach((word, i) => {
    view.setUint16(2 + i * 2, word, true);
  });
  bytes.fill(0, 12, 44);
  bytes.set(mac, 12);
  bytes.set(mac, 28);
  view.setUint16(44, 0, true);
  view.setUint16(46, 1, true);
  view.setUint16(48, 1, true);
  return SUCCESS;
}

function nicType({ network, ports }: ServiceContext, memory: ServiceMemory, { bytes, view }: Parameters): number {
  const slot = memory.input(() => network.nic?.pciSlot ?? 0);
  if (slot === 0) return FAILURE;
  const pci = new PciConfig(ports);
  const id = memory.input(() => pci.read(slot, 0, 0x00, 4) >>> 0);
  const kind = memory.input(() => pci.read(slot, 0, 0x08, 4) >>> 0);
  const subsystem = memory.input(() => pci.read(slot, 0, 0x2c, 4) >>> 0);
  bytes[2] = PCI_NIC;
  view.setUint32(3, id, true);
  bytes[7] = kind >>> 24;
  bytes[8] = kind >>> 16;
  bytes[9] = kind >>> 8;
  bytes[10] = kind;
  view.setUint16(11, slot << 3, true);
  view.setUint32(13, subsystem, true);
  return SUCCESS;
}

function interfaceInformation({ bytes, view }: Parameters): number {
  bytes.fill(0, 2, 42);
  bytes.set(new TextEncoder().encode("DIX+802.3"), 2);
  view.setUint32(18, LINK_SPEED, true);
  view.setUint32(22, SERVICE_FLAGS, true);
  return SUCCESS;
}

/** The frame comes in one immediate piece and up to eight more; its Ethernet header is ours to make unless the protocol is 0. */
function transmit({ cpu, network }: ServiceContext, memory: ServiceMemory, { view }: Parameters): number {
  const protocol = view.getUint8(2);
  const isBroadcast = view.getUint8(3) !== 0;
  const addressAt = view.getUint16(6, true) * 16 + view.getUint16(4, true);
  const descriptor = view.getUint16(10, true) * 16 + view.getUint16(8, true);
  if (protocol >= protocolTypes.length) return FAILURE;
  return memory.input(() => {
    const { nic } = network;
    if (nic === undefined) return FAILURE;
    const read = (linear: number, length: number) => {
      const bytes = new Uint8Array(length);
      cpu.readLinearBytes(linear, bytes);
      return bytes;
    };
    const header = new Uint8Array(protocol === 0 ? 0 : HEADER_BYTES);
    if (protocol !== 0) {
      header.set(isBroadcast ? new Uint8Array(6).fill(0xff) : read(addressAt, 6));
      header.set(nic.macAddress, 6);
      header[12] = protocolTypes[protocol] >> 8;
      header[13] = protocolTypes[protocol];
    }
    const parts = [header];
    const add = (length: number, at: number) => parts.push(read(at, Math.min(length, FRAME_BYTES)));
    const tbd = new DataView(read(descriptor, 8 + MOST_DATA_BLOCKS * 8).buffer);
    add(tbd.getUint16(0, true), tbd.getUint16(4, true) * 16 + tbd.getUint16(2, true));
    const blocks = Math.min(tbd.getUint16(6, true), MOST_DATA_BLOCKS);
    for (let i = 0; i < blocks; i++) {
      const at = 8 + i * 8;
      // Type 1 is a far pointer, type 0 a physical address.
      const isFar = tbd.getUint8(at) === 1;
      const offset = tbd.getUint16(at + 4, true);
      const high = tbd.getUint16(at + 6, true);
      add(tbd.getUint16(at + 2, true), isFar ? high * 16 + offset : high * 0x10000 + offset);
    }
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    if (length < HEADER_BYTES || length > MTU + HEADER_BYTES) return FAILURE;
    const frame = new Uint8Array(length);
    let at = 0;
    for (const part of parts) {
      frame.set(part, at);
      at += part.length;
    }
    network.sendFrame(frame);
    return SUCCESS;
  });
}

/** START asks whether there is something, PROCESS and GET_NEXT take frames until there are none. */
function interrupt({ network }: ServiceContext, memory: ServiceMemory, { bytes, view }: Parameters): number {
  const wanted = view.getUint16(2, true);
  if (wanted === isr.start) {
    const hasFrame = memory.input(() => (network.nic?.hasFrame ? 1 : 0)) === 1;
    view.setUint16(2, hasFrame ? isr.ours : isr.notOurs, true);
    return SUCCESS;
  }
  if (wanted !== isr.process && wanted !== isr.getNext) return FAILURE;
  const header = memory.inputBytes(() => nextFrame(network));
  if (header.length === 0) {
    view.setUint16(2, isr.done, true);
    return SUCCESS;
  }
  const length = (header[HEADER_BYTES] << 8) | header[HEADER_BYTES + 1];
  view.setUint16(2, isr.receive, true);
  view.setUint16(4, length, true);
  view.setUint16(6, length, true);
  view.setUint16(8, HEADER_BYTES, true);
  view.setUint16(10, FRAME_OFFSET, true);
  view.setUint16(12, DATA_SEGMENT, true);
  bytes[14] = Math.max(0, protocolTypes.indexOf((header[12] << 8) | header[13], 1));
  bytes[15] = (header[0] & 1) === 0 ? 0 : header.subarray(0, 6).every((byte) => byte === 0xff) ? 1 : 2;
  return SUCCESS;
}

/** Puts the next frame that the filter lets through where programs find it; its header and its length, nothing if there is none. */
function nextFrame(network: ServiceContext["network"]): Uint8Array {
  const frame = new Uint8Array(FRAME_BYTES);
  const mac = network.nic?.macAddress;
  const filter = network.state.get16("packetFilter");
  for (let i = 0; i < MOST_FRAMES && mac !== undefined; i++) {
    const length = network.receiveFrame(frame);
    if (length === 0) break;
    if (length < HEADER_BYTES || !passes(frame, mac, filter)) continue;
    network.state.write(FRAME_OFFSET, frame.subarray(0, length));
    return Uint8Array.of(...frame.subarray(0, HEADER_BYTES), length >> 8, length & 0xff);
  }
  return new Uint8Array(0);
}

function passes(frame: Uint8Array, mac: Uint8Array, filter: number): boolean {
  if ((filter & FILTER_PROMISCUOUS) !== 0 || mac.every((byte, i) => frame[i] === byte)) return true;
  const isBroadcast = frame.subarray(0, 6).every((byte) => byte === 0xff);
  return isBroadcast ? (filter & FILTER_BROADCAST) !== 0 : (frame[0] & 1) === 1;
}
