/**
 * What a NAT network does with the guest's IPv6 packets: looks at source, headers and hop limit, answers ICMPv6, and hands TCP and UDP to
 * what IPv4's go to. Groups are spoken to only by neighbour discovery and ping; what hosts say about groups (MLD) is of no use here,
 * as nothing is sent to any but to everybody.
 */
import { put16, put32 } from "../bytes.ts";
import { ETHERNET_HEADER_BYTES } from "../ethernet.ts";
import { Reassembler } from "../fragments.ts";
import type { GuestLink } from "../guest-link.ts";
import type { ErrorRate } from "../icmp.ts";
import { PROTOCOL_TCP, PROTOCOL_UDP } from "../ipv4.ts";
import type { TcpConnection } from "../tcp/connection.ts";
import { TCP_HEADER_BYTES } from "../tcp/segment.ts";
import type { Timers } from "../timers.ts";
import type { Transports } from "../transports.ts";
import { ALL_NODES, ALL_ROUTERS, type Ipv6Address, isForeignUnicast6, type NatAddresses6 } from "./address.ts";
import { NEIGHBOUR_ADVERTISEMENT, NeighbourDiscovery, ROUTER_SOLICITATION } from "./discovery.ts";
import {
  BAD_NEXT_HEADER,
  type HeaderVerdict,
  IPV6_HEADER_BYTES,
  Ipv6Header,
  NEXT_ICMPV6,
  writeIpv6Header,
} from "./header.ts";
import {
  ADDRESS_UNREACHABLE,
  BEYOND_SCOPE,
  ECHO_REQUEST6,
  Icmpv6,
  PARAMETER_PROBLEM,
  PORT_UNREACHABLE6,
  PROHIBITED6,
  TIME_EXCEEDED6,
  UNREACHABLE6,
} from "./icmp.ts";

const HOP_LIMIT = 64;

export class Ipv6Router {
  readonly #link: GuestLink;
  readonly #addresses: NatAddresses6;
  readonly #timers: Timers;
  readonly #transports: Transports;
  readonly #icmp: Icmpv6;
  readonly #discovery: NeighbourDiscovery;
  readonly #header = new Ipv6Header();
  readonly #reassembler = new Reassembler();

  constructor(
    link: GuestLink,
    addresses: NatAddresses6,
    isDefaultRouter: boolean,
    rate: ErrorRate,
    timers: Timers,
    transports: Transports,
  ) {
    this.#link = link;
    this.#addresses = addresses;
    this.#timers = timers;
    this.#transports = transports;
    this.#icmp = new Icmpv6(link, rate);
    this.#discovery = new NeighbourDiscovery(link, addresses, isDefaultRouter, timers);
  }

  close(): void {
    this.#discovery.close();
  }

  /** A frame with an IPv6 packet. False: it makes no sense, is not for us or leads nowhere. */
  receive(frame: Uint8Array): boolean {
    const header = this.#header;
    const at = ETHERNET_HEADER_BYTES;
    let verdict: HeaderVerdict = header.parse(frame, at, frame.length - at);
    const { source } = header;
    if (verdict === "drop" || !this.#isGuest(source)) return false;
    if (!source.isUnspecified) this.#link.neighbours.learn(source, frame, 6);
    let packet = frame;
    let start = at;
    if (verdict === "fragment") {
      const whole = this.#reassembler.take(header, frame, header.payloadAt, this.#timers.nowMs());
      if (whole === undefined) return true;
      // The headers before the fragment header have said what they had to say.
      packet = new Uint8Array(IPV6_HEADER_BYTES + whole.bytes.length);
      packet.set(frame.subarray(at, at + IPV6_HEADER_BYTES));
      put16(packet, 4, whole.bytes.length);
      packet[6] = whole.protocol;
      packet.set(whole.bytes, IPV6_HEADER_BYTES);
      start = 0;
      verdict = header.parseReassembled(packet);
    }
    if (verdict === "problem") {
      const { problemCode, problemAt, destination } = header;
      if (!destination.isMulticast)
        this.#icmp.sendError(PARAMETER_PROBLEM, problemCode, header, packet, start, problemAt);
      return false;
    }
    if (verdict !== "whole") return false;
    if (header.protocol === NEXT_ICMPV6) return this.#receiveIcmp(packet, start, frame);
    return this.#isOnItsWay(packet, start) && this.#receivePacket(packet, start);
  }

  /** Somebody on the guests' side, or somebody who has no address yet. */
  #isGuest(source: Ipv6Address): boolean {
    return source.isUnspecified || (this.#link.isInNetwork(source) && !this.#link.isOurs(source));
  }

  /** Whether the packet may go to its destination; who sent it is told why not. */
  #isOnItsWay(packet: Uint8Array, start: number): boolean {
    const header = this.#header;
    const { source, destination } = header;
    if (source.isUnspecified || destination.isMulticast) return false;
    if (this.#link.isOurs(destination)) return true;
    // Another guest, who would have been asked for himself.
    if (this.#link.isInNetwork(destination)) return false;
    if (source.isLinkLocal) this.#icmp.sendError(UNREACHABLE6, BEYOND_SCOPE, header, packet, start);
    else if (!isForeignUnicast6(destination))
      this.#icmp.sendError(UNREACHABLE6, ADDRESS_UNREACHABLE, header, packet, start);
    else if (header.hopLimit <= 1) this.#icmp.sendError(TIME_EXCEEDED6, 0, header, packet, start);
    else return true;
    return false;
  }

  #receivePacket(packet: Uint8Array, start: number): boolean {
    const header = this.#header;
    const { source, destination, payloadAt } = header;
    const length = header.end - payloadAt;
    switch (header.protocol) {
      case PROTOCOL_TCP:
        this.#transports.receiveTcp(packet, payloadAt, length, source, destination);
        return true;
      case PROTOCOL_UDP: {
        const outcome = this.#transports.receiveUdp(packet, payloadAt, length, source, destination);
        if (outcome === "unreachable") this.#icmp.sendError(UNREACHABLE6, PORT_UNREACHABLE6, header, packet, start);
        return outcome !== "dropped";
      }
    }
    const place = header.protocolAt - start;
    this.#icmp.sendError(PARAMETER_PROBLEM, BAD_NEXT_HEADER, header, packet, start, place);
    return true;
  }

  #receiveIcmp(packet: Uint8Array, start: number, frame: Uint8Array): boolean {
    const header = this.#header;
    const { source, destination, payloadAt } = header;
    const length = header.end - payloadAt;
    if (!Icmpv6.isSound(packet, payloadAt, length, source, destination)) return false;
    const type = packet[payloadAt];
    if (type >= ROUTER_SOLICITATION && type <= NEIGHBOUR_ADVERTISEMENT) {
      // Never in fragments (RFC 6980).
      const isWhole = packet === frame;
      const mac = frame.slice(6, 12);
      return isWhole && this.#discovery.receive(packet, payloadAt, length, source, destination, header.hopLimit, mac);
    }
    if (source.isUnspecified || destination.isMulticast) {
      if (source.isUnspecified || type !== ECHO_REQUEST6) return true;
      if (!destination.equals(ALL_NODES) && !destination.equals(ALL_ROUTERS)) return true;
      this.#icmp.answerEcho(packet, payloadAt, length, source, this.#addresses.linkLocal);
      return true;
    }
    if (!this.#isOnItsWay(packet, start)) return false;
    if (this.#link.isOurs(destination)) {
      if (type === ECHO_REQUEST6) this.#icmp.answerEcho(packet, payloadAt, length, source, destination);
      return true;
    }
    // Raw sockets need root and Node has no ping sockets: the guest is told instead of left waiting.
    if (type === ECHO_REQUEST6) this.#icmp.sendError(UNREACHABLE6, PROHIBITED6, header, packet, start);
    return true;
  }

  /** "Address unreachable" about a SYN that is not answered; the SYN is gone, so its headers are made again. */
  connectionUnreachable(connection: TcpConnection): void {
    const [guest, remote] = [connection.guestAddress as Ipv6Address, connection.remoteAddress as Ipv6Address];
    const packet = new Uint8Array(IPV6_HEADER_BYTES + 8);
    writeIpv6Header(packet, 0, guest, remote, PROTOCOL_TCP, TCP_HEADER_BYTES, HOP_LIMIT);
    put16(packet, IPV6_HEADER_BYTES, connection.guestPort);
    put16(packet, IPV6_HEADER_BYTES + 2, connection.remotePort);
    put32(packet, IPV6_HEADER_BYTES + 4, (connection.receiver.nxt - 1) | 0);
    this.#icmp.sendErrorAbout(UNREACHABLE6, ADDRESS_UNREACHABLE, guest, packet);
  }
}
