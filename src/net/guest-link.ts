/**
 * The wire to the guest, our end: Ethernet addresses of gateway and aliases, ARP (RFC 826), IPv4 packets out, in fragments where
 * the MTU demands it. Our addresses are 52:54:00:12:35 and the last byte of the alias, as VirtualBox's.
 */
import type { NatAddresses } from "./address.ts";
import { addToSum, foldSum, get16, get32, pseudoHeaderSum, put16, put32 } from "./bytes.ts";
import { broadcastMac, ETHERNET_HEADER_BYTES, isBroadcastMac, TYPE_ARP, TYPE_IPV4 } from "./ethernet.ts";
import { FrameOutput, type FrameSink } from "./frame-output.ts";
import { DONT_FRAGMENT, IPV4_HEADER_BYTES, MORE_FRAGMENTS, PROTOCOL_TCP, PROTOCOL_UDP } from "./ipv4.ts";
import { type Neighbour, Neighbours } from "./neighbours.ts";
import { UDP_HEADER_BYTES } from "./udp.ts";

const ARP_BYTES = 28;
const ARP_REQUEST = 1;
const ARP_REPLY = 2;
const TIME_TO_LIVE = 64;
const ASK_AGAIN_MS = 1000;

export class GuestLink {
  readonly addresses: NatAddresses;
  readonly neighbours = new Neighbours();
  readonly output: FrameOutput;
  readonly mtu: number;
  readonly #nowMs: () => number;
  readonly #gatewayMac: Uint8Array;
  /** Last bytes of our Ethernet addresses. */
  readonly #ownBytes: readonly number[];
  /** UDP datagrams under construction. */
  readonly #datagram = new Uint8Array(65_536);
  #identification = 1;

  constructor(addresses: NatAddresses, mtu: number, sink: FrameSink, nowMs: () => number) {
    this.addresses = addresses;
    const { gateway, loopback, dns, tftp, network } = addresses;
    this.#ownBytes = [gateway, loopback, dns, tftp].map((address) => (address - network) & 0xff);
    this.#gatewayMac = Uint8Array.of(0x52, 0x54, 0x00, 0x12, 0x35, this.#ownBytes[0]);
    this.mtu = mtu;
    this.#nowMs = nowMs;
    this.output = new FrameOutput(sink, ETHERNET_HEADER_BYTES + Math.max(mtu, 576));
  }

  get macAddresses(): Uint8Array[] {
    return this.#ownBytes.map((byte) => Uint8Array.of(...this.#gatewayMac.subarray(0, 5), byte));
  }

  /** One of our own addresses. */
  isOurs(address: number): boolean {
    const { gateway, loopback, dns, tftp } = this.addresses;
    return address === gateway || address === loopback || address === dns || address === tftp;
  }

  isInNetwork(address: number): boolean {
    return (address & this.addresses.mask) === this.addresses.network;
  }

  /** Whether a frame is for us: one of our addresses or everybody. */
  isForUs(frame: Uint8Array): boolean {
    const mac = this.#gatewayMac;
    for (let i = 0; i < 5; i++) if (frame[i] !== mac[i]) return isBroadcastMac(frame, 0);
    return this.#ownBytes.includes(frame[5]);
  }

  /** An ARP packet of `available` bytes. */
  receiveArp(frame: Uint8Array): void {
    const at = ETHERNET_HEADER_BYTES;
    if (frame.length < at + ARP_BYTES) return;
    const isEthernetAndIpv4 = get32(frame, at) === 0x00010800 && get16(frame, at + 4) === 0x0604;
    if (!isEthernetAndIpv4) return;
    const operation = get16(frame, at + 6);
    const sender = get32(frame, at + 14);
    const target = get32(frame, at + 24);
    // Somebody with our address is not believed; a probe comes from 0.0.0.0 (RFC 5227).
    if (this.isInNetwork(sender) && !this.isOurs(sender)) this.neighbours.learn(sender, frame, at + 8);
    if (operation !== ARP_REQUEST || !this.isOurs(target)) return;
    const targetMac = frame.slice(at + 8, at + 14);
    this.#sendArp(ARP_REPLY, targetMac, target, targetMac, sender);
  }

  /** Asks for an address, at most once a second; its entry. */
  resolve(address: number): Neighbour {
    const neighbour = this.neighbours.entry(address);
    const nowMs = this.#nowMs();
    if (!neighbour.isKnown && nowMs - neighbour.askedAtMs >= ASK_AGAIN_MS && this.isInNetwork(address)) {
      neighbour.askedAtMs = nowMs;
      this.#sendArp(ARP_REQUEST, broadcastMac, this.addresses.gateway, new Uint8Array(6), address);
    }
    return neighbour;
  }

  #sendArp(operation: number, to: Uint8Array, sender: number, targetMac: Uint8Array, target: number): void {
    const { bytes } = this.output;
    const at = ETHERNET_HEADER_BYTES;
    this.#writeEthernet(to, sender, TYPE_ARP);
    put32(bytes, at, 0x00010800);
    put16(bytes, at + 4, 0x0604);
    put16(bytes, at + 6, operation);
    for (let i = 0; i < 6; i++) {
      bytes[at + 8 + i] = bytes[6 + i];
      bytes[at + 18 + i] = targetMac[i];
    }
    put32(bytes, at + 14, sender);
    put32(bytes, at + 24, target);
    this.output.sendOrQueue(at + ARP_BYTES);
  }

  #writeEthernet(to: Uint8Array, source: number, type: number): void {
    const { bytes } = this.output;
    const mac = this.#gatewayMac;
    for (let i = 0; i < 6; i++) {
      bytes[i] = to[i];
      bytes[6 + i] = mac[i];
    }
    if (this.isOurs(source)) bytes[11] = source - this.addresses.network;
    put16(bytes, 12, type);
  }

  /** Ethernet and IPv4 headers of the frame under construction, for a packet that is not fragmented. */
  writeHeaders(mac: Uint8Array, source: number, destination: number, protocol: number, payloadBytes: number): void {
    const flags = protocol === PROTOCOL_TCP ? DONT_FRAGMENT : 0;
    this.#writeHeaders(mac, source, destination, protocol, payloadBytes, flags, this.#nextIdentification());
  }

  #nextIdentification(): number {
    this.#identification = (this.#identification + 1) & 0xffff;
    return this.#identification;
  }

  #writeHeaders(
    mac: Uint8Array,
    source: number,
    destination: number,
    protocol: number,
    payloadBytes: number,
    flags: number,
    identification: number,
  ): void {
    const { bytes } = this.output;
    const at = ETHERNET_HEADER_BYTES;
    this.#writeEthernet(mac, source, TYPE_IPV4);
    bytes[at] = 0x45;
    bytes[at + 1] = 0;
    put16(bytes, at + 2, IPV4_HEADER_BYTES + payloadBytes);
    put16(bytes, at + 4, identification);
    put16(bytes, at + 6, flags);
    bytes[at + 8] = TIME_TO_LIVE;
    bytes[at + 9] = protocol;
    put16(bytes, at + 10, 0);
    put32(bytes, at + 12, source);
    put32(bytes, at + 16, destination);
    put16(bytes, at + 10, foldSum(addToSum(0, bytes, at, IPV4_HEADER_BYTES)));
  }

  /** Sends a packet, in fragments if it has to be. Without the destination's Ethernet address it is lost, but asked for. */
  sendPacket(source: number, destination: number, protocol: number, payload: Uint8Array, to?: Uint8Array): void {
    let mac = to;
    if (mac === undefined) {
      const neighbour = this.neighbours.find(destination);
      if (neighbour?.isKnown) mac = neighbour.mac;
      else {
        this.resolve(destination);
        return;
      }
    }
    const { bytes } = this.output;
    const identification = this.#nextIdentification();
    const largest = this.mtu - IPV4_HEADER_BYTES;
    const step = payload.length <= largest ? largest : largest & ~7;
    for (let offset = 0; offset < payload.length || offset === 0; offset += step) {
      const length = Math.min(step, payload.length - offset);
      const flags = (offset + length < payload.length ? MORE_FRAGMENTS : 0) | (offset >> 3);
      bytes.set(payload.subarray(offset, offset + length), ETHERNET_HEADER_BYTES + IPV4_HEADER_BYTES);
      this.#writeHeaders(mac, source, destination, protocol, length, flags, identification);
      this.output.sendOrQueue(ETHERNET_HEADER_BYTES + IPV4_HEADER_BYTES + length);
    }
  }

  /** Sends a UDP datagram; `to` is the Ethernet address where ARP is not to be asked. */
  sendUdp(
    source: number,
    sourcePort: number,
    destination: number,
    destinationPort: number,
    data: Uint8Array,
    to?: Uint8Array,
  ): void {
    const length = UDP_HEADER_BYTES + data.length;
    if (length > 65_535 - IPV4_HEADER_BYTES) return;
    const datagram = this.#datagram;
    put16(datagram, 0, sourcePort);
    put16(datagram, 2, destinationPort);
    put16(datagram, 4, length);
    put16(datagram, 6, 0);
    datagram.set(data, UDP_HEADER_BYTES);
    const sum = addToSum(pseudoHeaderSum(source, destination, PROTOCOL_UDP, length), datagram, 0, length);
    // 0 would say that there is no checksum.
    put16(datagram, 6, foldSum(sum) || 0xffff);
    this.sendPacket(source, destination, PROTOCOL_UDP, datagram.subarray(0, length), to);
  }
}
