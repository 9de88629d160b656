/**
 * ARP and UDP over IPv4 as a network boot needs them: one address, no fragments, no options, four neighbours. Works at once or not
 * at all; who must wait does so in a directed service (waiting.ts) and asks again.
 */
import type { BootNic } from "../../device-api/boot-nic.ts";
import type { VirtualCpu } from "../../device-api/virtual-cpu.ts";
import { addWords, checksumOf, fold, PROTOCOL_UDP } from "../../device-parts/internet-checksum.ts";
import { FRAME_BYTES, field, NEIGHBOUR_BYTES, NEIGHBOURS, PxeMemory } from "./pxe-memory.ts";

const ETHERNET_BYTES = 14;
const IP_BYTES = 20;
const UDP_BYTES = 8;
const HEADERS_BYTES = ETHERNET_BYTES + IP_BYTES + UDP_BYTES;
const MIN_FRAME_BYTES = 60;
const TYPE_IPV4 = 0x0800;
const TYPE_ARP = 0x0806;
const ARP_BYTES = 28;
const ARP_REQUEST = 1;
const ARP_REPLY = 2;
const TIME_TO_LIVE = 64;
const DONT_FRAGMENT = 0x40;
export const BROADCAST = 0xffffffff;
/** Longest UDP payload in one packet. */
export const MOST_UDP_BYTES = 1500 - IP_BYTES - UDP_BYTES;
/** Frames that one look at the cable takes at most, so that a flood ends. */
const MOST_FRAMES = 64;
const broadcastMac = new Uint8Array(6).fill(0xff);

export interface Datagram {
  readonly source: number;
  readonly destination: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** Valid during the call. */
  readonly payload: Uint8Array;
}

export class NetworkStack {
  readonly state: PxeMemory;
  readonly #nics: readonly BootNic[];
  readonly #frame = new Uint8Array(FRAME_BYTES);

  constructor(cpu: VirtualCpu, nics: readonly BootNic[]) {
    this.state = new PxeMemory(cpu);
    this.#nics = nics;
  }

  /** The card that the boot took; undefined if the guest has put nonsense there. */
  get nic(): BootNic | undefined {
    return this.#nics[this.state.get8("nic")];
  }

  get ownAddress(): number {
    return this.state.get32("ownAddress");
  }

  /** A port that no earlier exchange used. */
  newPort(): number {
    const port = this.state.get16("nextPort");
    this.state.set16("nextPort", port >= 0xfff0 ? 2070 : port + 1);
    return port;
  }

  /**
   * Sends a datagram. False: the next hop's Ethernet address is not known; it has been asked for. `gateway`: next hop outside our
   * network, 0 for DHCP's router.
   */
  sendUdp(datagram: Datagram, gateway = 0): boolean {
    const { destination } = datagram;
    const hop = this.#nextHop(destination, gateway);
    const mac = destination === BROADCAST ? broadcastMac : this.#neighbour(hop);
    if (mac === undefined) {
      this.#sendArp(ARP_REQUEST, broadcastMac, new Uint8Array(6), hop);
      return false;
    }
    this.#sendFrame(udpFrame(datagram, mac, this.#macAddress(), this.#nextPacketId()));
    return true;
  }

  /** Whether a datagram could be sent at once. */
  knows(destination: number, gateway = 0): boolean {
    return destination === BROADCAST || this.#neighbour(this.#nextHop(destination, gateway)) !== undefined;
  }

  /** Looks at frames that have come; `take` answers whether a datagram is what it waits for. True: one was. */
  poll(take: (datagram: Datagram) => boolean): boolean {
    for (let i = 0; i < MOST_FRAMES; i++) {
      const length = this.receiveFrame(this.#frame);
      if (length === 0) return false;
      const frame = this.#frame.subarray(0, length);
      if (this.#answeredArp(frame)) continue;
      const datagram = parseUdp(frame);
      if (datagram !== undefined && this.#isForUs(datagram.destination) && take(datagram)) return true;
    }
    return false;
  }

  receiveFrame(target: Uint8Array): number {
    const length = this.nic?.receive(target) ?? 0;
    if (length > 0) this.state.set32("receivedFrames", this.state.get32("receivedFrames") + 1);
    return length;
  }

  /** Pads and sends; a frame that finds no room is lost, as on a wire. */
  sendFrame(frame: Uint8Array): void {
    this.#sendFrame(frame);
  }

  #macAddress(): Uint8Array {
    return this.nic?.macAddress ?? new Uint8Array(6);
  }

  #isForUs(destination: number): boolean {
    const { ownAddress } = this;
    const mask = this.state.get32("mask");
    return (
      ownAddress === 0 ||
      destination === ownAddress ||
      destination === BROADCAST ||
      (mask !== 0 && destination === (ownAddress | ~mask) >>> 0)
    );
  }

  #nextHop(destination: number, gateway: number): number {
    const mask = this.state.get32("mask");
    if (((destination ^ this.ownAddress) & mask) === 0) return destination;
    return gateway || this.state.get32("gateway") || destination;
  }

  #nextPacketId(): number {
    const id = (this.state.get16("packetId") + 1) & 0xffff;
    this.state.set16("packetId", id);
    return id;
  }

  #neighbour(address: number): Uint8Array | undefined {
    const table = this.state.read(field.neighbours, NEIGHBOURS * NEIGHBOUR_BYTES);
    for (let at = 0; at < table.length; at += NEIGHBOUR_BYTES)
      if (address !== 0 && read32(table, at) === address) return table.subarray(at + 4, at + 10);
    return undefined;
  }

  #learn(address: number, mac: Uint8Array): void {
    if (address === 0) return;
    const table = this.state.read(field.neighbours, NEIGHBOURS * NEIGHBOUR_BYTES);
    let slot = -1;
    for (let i = 0; i < NEIGHBOURS && slot < 0; i++) if (read32(table, i * NEIGHBOUR_BYTES) === address) slot = i;
    if (slot < 0) {
      slot = this.state.get8("nextNeighbour") % NEIGHBOURS;
      this.state.set8("nextNeighbour", (slot + 1) % NEIGHBOURS);
    }
    const entry = new Uint8Array(NEIGHBOUR_BYTES);
    write32(entry, 0, address);
    entry.set(mac, 4);
    this.state.write(field.neighbours + slot * NEIGHBOUR_BYTES, entry);
  }

  /** Answers who asks for us and learns from answers and from who asks. True if the frame was ARP. */
  #answeredArp(frame: Uint8Array): boolean {
    if (frame.length < ETHERNET_BYTES || read16(frame, 12) !== TYPE_ARP) return false;
    const at = ETHERNET_BYTES;
    if (frame.length < at + ARP_BYTES || read32(frame, at) !== 0x00010800 || read16(frame, at + 4) !== 0x0604)
      return true;
    const operation = read16(frame, at + 6);
    const sender = frame.slice(at + 8, at + 14);
    const senderAddress = read32(frame, at + 14);
    if (this.ownAddress === 0 || read32(frame, at + 24) !== this.ownAddress) return true;
    this.#learn(senderAddress, sender);
    if (operation === ARP_REQUEST) this.#sendArp(ARP_REPLY, sender, sender, senderAddress);
    return true;
  }

  #sendArp(operation: number, destination: Uint8Array, targetMac: Uint8Array, targetAddress: number): void {
    const frame = new Uint8Array(MIN_FRAME_BYTES);
    const own = this.#macAddress();
    frame.set(destination);
    frame.set(own, 6);
    write16(frame, 12, TYPE_ARP);
    const at = ETHERNET_BYTES;
    write32(frame, at, 0x00010800);
    write16(frame, at + 4, 0x0604);
    write16(frame, at + 6, operation);
    frame.set(own, at + 8);
    write32(frame, at + 14, this.ownAddress);
    frame.set(targetMac, at + 18);
    write32(frame, at + 24, targetAddress);
    this.#sendFrame(frame);
  }

  #sendFrame(frame: Uint8Array): void {
    let padded = frame;
    if (frame.length < MIN_FRAME_BYTES) {
      padded = new Uint8Array(MIN_FRAME_BYTES);
      padded.set(frame);
    }
    if (this.nic?.send(padded)) this.state.set32("sentFrames", this.state.get32("sentFrames") + 1);
  }
}

function udpFrame(datagram: Datagram, to: Uint8Array, from: Uint8Array, id: number): Uint8Array {
  const { payload } = datagram;
  const frame = new Uint8Array(HEADERS_BYTES + payload.length);
  frame.set(to);
  frame.set(from, 6);
  write16(frame, 12, TYPE_IPV4);
  const ip = ETHERNET_BYTES;
  frame[ip] = 0x45;
  write16(frame, ip + 2, frame.length - ip);
  write16(frame, ip + 4, id);
  frame[ip + 6] = DONT_FRAGMENT;
  frame[ip + 8] = TIME_TO_LIVE;
  frame[ip + 9] = PROTOCOL_UDP;
  write32(frame, ip + 12, datagram.source);
  write32(frame, ip + 16, datagram.destination);
  write16(frame, ip + 10, checksumOf(addWords(frame, ip, ip + IP_BYTES)));
  const udp = ip + IP_BYTES;
  write16(frame, udp, datagram.sourcePort);
  write16(frame, udp + 2, datagram.destinationPort);
  write16(frame, udp + 4, UDP_BYTES + payload.length);
  frame.set(payload, HEADERS_BYTES);
  const pseudo = addWords(frame, ip + 12, ip + 20) + PROTOCOL_UDP + UDP_BYTES + payload.length;
  write16(frame, udp + 6, checksumOf(addWords(frame, udp, frame.length, pseudo)) || 0xffff);
  return frame;
}

/** A whole UDP datagram with right checksums, or undefined. */
function parseUdp(frame: Uint8Array): Datagram | undefined {
  const ip = ETHERNET_BYTES;
  if (frame.length < HEADERS_BYTES || read16(frame, 12) !== TYPE_IPV4 || frame[ip] >> 4 !== 4) return undefined;
  const headerBytes = (frame[ip] & 15) * 4;
  const end = ip + read16(frame, ip + 2);
  const udp = ip + headerBytes;
  const isFragment = (read16(frame, ip + 6) & 0x3fff) !== 0;
  if (headerBytes < IP_BYTES || end > frame.length || udp + UDP_BYTES > end || isFragment) return undefined;
  if (frame[ip + 9] !== PROTOCOL_UDP || fold(addWords(frame, ip, udp)) !== 0xffff) return undefined;
  const udpEnd = udp + read16(frame, udp + 4);
  if (udpEnd > end || udpEnd < udp + UDP_BYTES) return undefined;
  const pseudo = addWords(frame, ip + 12, ip + 20) + PROTOCOL_UDP + udpEnd - udp;
  if (read16(frame, udp + 6) !== 0 && fold(addWords(frame, udp, udpEnd, pseudo)) !== 0xffff) return undefined;
  return {
    source: read32(frame, ip + 12),
    destination: read32(frame, ip + 16),
    sourcePort: read16(frame, udp),
    destinationPort: read16(frame, udp + 2),
    payload: frame.subarray(udp + UDP_BYTES, udpEnd),
  };
}

export function read16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}
export function read32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}
export function write16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}
export function write32(bytes: Uint8Array, at: number, value: number): void {
  write16(bytes, at, value >>> 16);
  write16(bytes, at + 2, value);
}

export function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join(".");
}
