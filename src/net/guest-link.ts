/**
 * The wire to the guest, our end: Ethernet addresses of gateway and aliases, ARP (RFC 826), IPv4 and IPv6 packets out, in fragments
 * where the MTU demands it. Our Ethernet addresses are 52:54:00:12:35 and the last byte of the alias, as VirtualBox's; what we have
 * of IPv6 addresses is all at the gateway's.
 */
import { type IpAddress, ipHeaderBytes, type NatAddresses } from "./address.ts";
import { addToSum, foldSum, get16, get32, pseudoHeaderSum, put16, put32 } from "./bytes.ts";
import { broadcastMac, ETHERNET_HEADER_BYTES, isBroadcastMac, TYPE_ARP, TYPE_IPV4, TYPE_IPV6 } from "./ethernet.ts";
import { FrameOutput, type FrameSink } from "./frame-output.ts";
import { DONT_FRAGMENT, IPV4_HEADER_BYTES, MORE_FRAGMENTS, PROTOCOL_TCP, PROTOCOL_UDP } from "./ipv4.ts";
import type { Ipv6Address, NatAddresses6 } from "./ipv6/address.ts";
import { FRAGMENT_HEADER_BYTES, IPV6_HEADER_BYTES, NEXT_FRAGMENT, writeIpv6Header } from "./ipv6/header.ts";
import { type Neighbour, Neighbours } from "./neighbours.ts";
import { UDP_HEADER_BYTES } from "./udp.ts";

const ARP_BYTES = 28;
const ARP_REQUEST = 1;
const ARP_REPLY = 2;
const TIME_TO_LIVE = 64;
const ASK_AGAIN_MS = 1000;
/** What every IPv6 link carries (RFC 8200, 5). */
export const MIN_MTU6 = 1280;
const MULTICAST6_MAC = 0x3333;

/** Asks for the Ethernet address of an IPv6 neighbour; see ipv6/discovery.ts. */
export type Solicit = (address: Ipv6Address) => void;

export class GuestLink {
  readonly addresses: NatAddresses;
  /** undefined: no IPv6 here. */
  readonly addresses6: NatAddresses6 | undefined;
  readonly neighbours = new Neighbours();
  readonly output: FrameOutput;
  readonly mtu: number;
  readonly mtu6: number;
  /** Set by who knows how to ask. */
  solicit: Solicit = () => {};
  readonly #nowMs: () => number;
  readonly #gatewayMac: Uint8Array;
  /** Last bytes of our Ethernet addresses. */
  readonly #ownBytes: readonly number[];
  /** UDP datagrams under construction. */
  readonly #datagram = new Uint8Array(65_536);
  #identification = 1;

  /** `addresses6` is told the gateway's Ethernet address. */
  constructor(
    addresses: NatAddresses,
    mtu: number,
    sink: FrameSink,
    nowMs: () => number,
    addresses6: (mac: Uint8Array) => NatAddresses6 | undefined = () => undefined,
  ) {
    this.addresses = addresses;
    const { gateway, loopback, dns, tftp, network } = addresses;
    this.#ownBytes = [gateway, loopback, dns, tftp].map((address) => (address - network) & 0xff);
    this.#gatewayMac = Uint8Array.of(0x52, 0x54, 0x00, 0x12, 0x35, this.#ownBytes[0]);
    this.addresses6 = addresses6(this.#gatewayMac);
    this.mtu = mtu;
    this.mtu6 = Math.max(mtu, MIN_MTU6);
    this.#nowMs = nowMs;
    const longest = this.addresses6 === undefined ? Math.max(mtu, 576) : this.mtu6;
    this.output = new FrameOutput(sink, ETHERNET_HEADER_BYTES + longest);
  }

  get macAddresses(): Uint8Array[] {
    return this.#ownBytes.map((byte) => Uint8Array.of(...this.#gatewayMac.subarray(0, 5), byte));
  }

  get gatewayMac(): Uint8Array {
    return this.#gatewayMac;
  }

  /** One of our own addresses. */
  isOurs(address: IpAddress): boolean {
    if (typeof address !== "number") return this.#isOurs6(address);
    const { gateway, loopback, dns, tftp } = this.addresses;
    return address === gateway || address === loopback || address === dns || address === tftp;
  }

  #isOurs6(address: Ipv6Address): boolean {
    if (this.addresses6 === undefined) return false;
    const { gateway, linkLocal, loopback, dns } = this.addresses6;
    return (
      address.equals(gateway) ||
      address.equals(dns) ||
      address.equals(linkLocal) ||
      (loopback !== undefined && address.equals(loopback))
    );
  }

  isInNetwork(address: IpAddress): boolean {
    if (typeof address !== "number") {
      const prefix = this.addresses6?.prefix;
      return prefix !== undefined && (address.isLinkLocal || (address.w0 === prefix.w0 && address.w1 === prefix.w1));
    }
    return (address & this.addresses.mask) === this.addresses.network;
  }

  /** Whether a frame is for us: one of our addresses, everybody or a group of IPv6's. */
  isForUs(frame: Uint8Array): boolean {
    const mac = this.#gatewayMac;
    for (let i = 0; i < 5; i++)
      if (frame[i] !== mac[i])
        return isBroadcastMac(frame, 0) || (this.addresses6 !== undefined && get16(frame, 0) === MULTICAST6_MAC);
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
  resolve(address: IpAddress): Neighbour {
    const neighbour = this.neighbours.entry(address);
    const nowMs = this.#nowMs();
    if (!neighbour.isKnown && nowMs - neighbour.askedAtMs >= ASK_AGAIN_MS && this.isInNetwork(address)) {
      neighbour.askedAtMs = nowMs;
      if (typeof address === "number")
        this.#sendArp(ARP_REQUEST, broadcastMac, this.addresses.gateway, new Uint8Array(6), address);
      else this.solicit(address);
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

  #writeEthernet(to: Uint8Array, source: IpAddress, type: number): void {
    const { bytes } = this.output;
    const mac = this.#gatewayMac;
    for (let i = 0; i < 6; i++) {
      bytes[i] = to[i];
      bytes[6 + i] = mac[i];
    }
    if (typeof source === "number" && this.isOurs(source)) bytes[11] = source - this.addresses.network;
    put16(bytes, 12, type);
  }

  /** Ethernet and IP headers of the frame under construction, for a packet that is not fragmented. */
  writeHeaders(
    mac: Uint8Array,
    source: IpAddress,
    destination: IpAddress,
    protocol: number,
    payloadBytes: number,
  ): void {
    if (typeof source !== "number" || typeof destination !== "number") {
      this.#writeHeaders6(mac, source, destination, protocol, payloadBytes, TIME_TO_LIVE);
      return;
    }
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

  /** Both addresses are of one family. */
  #writeHeaders6(
    mac: Uint8Array,
    source: IpAddress,
    destination: IpAddress,
    next: number,
    payloadBytes: number,
    hopLimit: number,
  ): void {
    this.#writeEthernet(mac, source, TYPE_IPV6);
    const [from, to] = [source as Ipv6Address, destination as Ipv6Address];
    writeIpv6Header(this.output.bytes, ETHERNET_HEADER_BYTES, from, to, next, payloadBytes, hopLimit);
  }

  /** Sends a packet, in fragments if it has to be. Without the destination's Ethernet address it is lost, but asked for. */
  sendPacket(source: IpAddress, destination: IpAddress, protocol: number, payload: Uint8Array, to?: Uint8Array): void {
    let mac = to;
    if (mac === undefined) {
      const neighbour = this.neighbours.find(destination);
      if (neighbour?.isKnown) mac = neighbour.mac;
      else {
        this.resolve(destination);
        return;
      }
    }
    if (typeof source !== "number" || typeof destination !== "number") {
      this.#sendPacket6(mac, source as Ipv6Address, destination as Ipv6Address, protocol, payload);
      return;
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

  #sendPacket6(
    mac: Uint8Array,
    source: Ipv6Address,
    destination: Ipv6Address,
    next: number,
    payload: Uint8Array,
  ): void {
    const largest = this.mtu6 - IPV6_HEADER_BYTES;
    if (payload.length <= largest) {
      this.sendWhole6(mac, source, destination, next, payload, TIME_TO_LIVE);
      return;
    }
    const { bytes } = this.output;
    const fragmentAt = ETHERNET_HEADER_BYTES + IPV6_HEADER_BYTES;
    const step = (largest - FRAGMENT_HEADER_BYTES) & ~7;
    const identification = this.#nextIdentification();
    for (let offset = 0; offset < payload.length; offset += step) {
      const length = Math.min(step, payload.length - offset);
      bytes[fragmentAt] = next;
      bytes[fragmentAt + 1] = 0;
      put16(bytes, fragmentAt + 2, offset | (offset + length < payload.length ? 1 : 0));
      put32(bytes, fragmentAt + 4, identification);
      bytes.set(payload.subarray(offset, offset + length), fragmentAt + FRAGMENT_HEADER_BYTES);
      const payloadBytes = FRAGMENT_HEADER_BYTES + length;
      this.#writeHeaders6(mac, source, destination, NEXT_FRAGMENT, payloadBytes, TIME_TO_LIVE);
      this.output.sendOrQueue(fragmentAt + payloadBytes);
    }
  }

  /** Sends an IPv6 packet that fits, to that Ethernet address. */
  sendWhole6(
    mac: Uint8Array,
    source: Ipv6Address,
    destination: Ipv6Address,
    next: number,
    payload: Uint8Array,
    hopLimit: number,
  ): void {
    this.output.bytes.set(payload, ETHERNET_HEADER_BYTES + IPV6_HEADER_BYTES);
    this.#writeHeaders6(mac, source, destination, next, payload.length, hopLimit);
    this.output.sendOrQueue(ETHERNET_HEADER_BYTES + IPV6_HEADER_BYTES + payload.length);
  }

  /** Sends a UDP datagram; `to` is the Ethernet address where ARP is not to be asked. */
  sendUdp(
    source: IpAddress,
    sourcePort: number,
    destination: IpAddress,
    destinationPort: number,
    data: Uint8Array,
    to?: Uint8Array,
  ): void {
    const length = UDP_HEADER_BYTES + data.length;
    if (length > 65_535 - ipHeaderBytes(destination)) return;
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
