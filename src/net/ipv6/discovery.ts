/**
 * Neighbour discovery (RFC 4861) as a router has it: answers who asks for our addresses, asks for guests' addresses, and advertises
 * prefix, MTU and name server (RFC 8106), when asked and unasked. Guests make their own addresses (RFC 4862); that somebody tries ours
 * out is answered so that he takes another one. What guests advertise about the network is not believed.
 */
import { get16, put16, put32 } from "../bytes.ts";
import type { GuestLink } from "../guest-link.ts";
import type { Timed, Timers } from "../timers.ts";
import { ALL_NODES, Ipv6Address, type NatAddresses6, solicitedNode } from "./address.ts";
import { NEXT_ICMPV6 } from "./header.ts";
import { sealIcmpv6 } from "./icmp.ts";

export const ROUTER_SOLICITATION = 133;
const ROUTER_ADVERTISEMENT = 134;
export const NEIGHBOUR_SOLICITATION = 135;
export const NEIGHBOUR_ADVERTISEMENT = 136;

const OPTION_SOURCE_ADDRESS = 1;
const OPTION_TARGET_ADDRESS = 2;
const OPTION_PREFIX = 3;
const OPTION_MTU = 5;
const OPTION_NAME_SERVERS = 25;

const FLAG_ROUTER = 0x80;
const FLAG_SOLICITED = 0x40;
const FLAG_OVERRIDE = 0x20;
const FLAG_ON_LINK = 0x80;
const FLAG_AUTONOMOUS = 0x40;

/** Messages of neighbour discovery come from the link itself: no router has taken one off. */
const HOP_LIMIT = 255;
const NEIGHBOUR_BYTES = 24;
const ADVERTISEMENT_BYTES = 16;
/** VirtualBox's lifetimes of the prefix. */
const VALID_SECONDS = 86_400;
const PREFERRED_SECONDS = 14_400;
const ROUTER_SECONDS = 1800;
/** Unasked: a few times soon, then seldom. */
const FIRST_INTERVAL_MS = 16_000;
const FIRST_ADVERTISEMENTS = 3;
const INTERVAL_MS = 450_000;

export class NeighbourDiscovery implements Timed {
  heapIndex = -1;
  dueMs = 0;
  readonly #link: GuestLink;
  readonly #timers: Timers;
  readonly #addresses: NatAddresses6;
  readonly #isDefaultRouter: boolean;
  #advertised = 0;

  constructor(link: GuestLink, addresses: NatAddresses6, isDefaultRouter: boolean, timers: Timers) {
    this.#link = link;
    this.#addresses = addresses;
    this.#isDefaultRouter = isDefaultRouter;
    this.#timers = timers;
    link.solicit = (address) => this.#solicit(address);
    timers.schedule(this, timers.nowMs());
  }

  onTimer(nowMs: number): void {
    this.#advertise(ALL_NODES, multicastMac(ALL_NODES));
    this.#advertised++;
    const delayMs = this.#advertised < FIRST_ADVERTISEMENTS ? FIRST_INTERVAL_MS : INTERVAL_MS;
    this.#timers.schedule(this, nowMs + delayMs);
  }

  close(): void {
    this.#timers.cancel(this);
  }

  /** A message of `length` bytes at `at` whose checksum is right, in a frame from the Ethernet address `mac`. False: it is bad. */
  receive(
    packet: Uint8Array,
    at: number,
    length: number,
    source: Ipv6Address,
    destination: Ipv6Address,
    hopLimit: number,
    mac: Uint8Array,
  ): boolean {
    if (hopLimit !== HOP_LIMIT || packet[at + 1] !== 0) return false;
    const isRouterSolicitation = packet[at] === ROUTER_SOLICITATION;
    const optionsAt = at + (isRouterSolicitation ? 8 : NEIGHBOUR_BYTES);
    const end = at + length;
    if (optionsAt > end || !areOptionsSound(packet, optionsAt, end)) return false;
    switch (packet[at]) {
      case ROUTER_SOLICITATION:
        if (source.isUnspecified) this.#advertise(ALL_NODES, multicastMac(ALL_NODES));
        else this.#advertise(source, mac);
        return true;
      case NEIGHBOUR_SOLICITATION:
        return this.#answer(Ipv6Address.at(packet, at + 8), source, destination, mac);
      case NEIGHBOUR_ADVERTISEMENT: {
        const target = Ipv6Address.at(packet, at + 8);
        const addressAt = findOption(packet, optionsAt, end, OPTION_TARGET_ADDRESS);
        if (this.#link.isInNetwork(target) && !this.#link.isOurs(target) && addressAt > 0)
          this.#link.neighbours.learn(target, packet, addressAt);
        return true;
      }
    }
    return true;
  }

  #answer(target: Ipv6Address, source: Ipv6Address, destination: Ipv6Address, mac: Uint8Array): boolean {
    if (target.isMulticast) return false;
    if (source.isUnspecified && !destination.equals(solicitedNode(target))) return false;
    if (!this.#link.isOurs(target)) return true;
    const message = new Uint8Array(NEIGHBOUR_BYTES + 8);
    message[0] = NEIGHBOUR_ADVERTISEMENT;
    target.put(message, 8);
    this.#putLinkAddress(message, NEIGHBOUR_BYTES, OPTION_TARGET_ADDRESS);
    // Somebody tries out an address that is ours: everybody is told whose it is.
    const isTriedOut = source.isUnspecified;
    message[4] = FLAG_ROUTER | FLAG_OVERRIDE | (isTriedOut ? 0 : FLAG_SOLICITED);
    if (isTriedOut) this.#send(message, target, ALL_NODES, multicastMac(ALL_NODES));
    else this.#send(message, target, source, mac);
    return true;
  }

  #solicit(target: Ipv6Address): void {
    const message = new Uint8Array(NEIGHBOUR_BYTES + 8);
    message[0] = NEIGHBOUR_SOLICITATION;
    target.put(message, 8);
    this.#putLinkAddress(message, NEIGHBOUR_BYTES, OPTION_SOURCE_ADDRESS);
    const { linkLocal, gateway } = this.#addresses;
    const group = solicitedNode(target);
    this.#send(message, target.isLinkLocal ? linkLocal : gateway, group, multicastMac(group));
  }

  #advertise(to: Ipv6Address, mac: Uint8Array): void {
    const { prefix, dns, linkLocal } = this.#addresses;
    const message = new Uint8Array(ADVERTISEMENT_BYTES + 8 + 8 + 32 + 24);
    message[0] = ROUTER_ADVERTISEMENT;
    message[4] = 64;
    put16(message, 6, this.#isDefaultRouter ? ROUTER_SECONDS : 0);
    let at = ADVERTISEMENT_BYTES;
    this.#putLinkAddress(message, at, OPTION_SOURCE_ADDRESS);
    at += 8;
    message[at] = OPTION_MTU;
    message[at + 1] = 1;
    put32(message, at + 4, this.#link.mtu6);
    at += 8;
    message[at] = OPTION_PREFIX;
    message[at + 1] = 4;
    message[at + 2] = 64;
    message[at + 3] = FLAG_ON_LINK | FLAG_AUTONOMOUS;
    put32(message, at + 4, VALID_SECONDS);
    put32(message, at + 8, PREFERRED_SECONDS);
    prefix.put(message, at + 16);
    at += 32;
    message[at] = OPTION_NAME_SERVERS;
    message[at + 1] = 3;
    put32(message, at + 4, ROUTER_SECONDS);
    dns.put(message, at + 8);
    this.#send(message, linkLocal, to, mac);
  }

  #putLinkAddress(message: Uint8Array, at: number, option: number): void {
    message[at] = option;
    message[at + 1] = 1;
    message.set(this.#link.gatewayMac, at + 2);
  }

  #send(message: Uint8Array, source: Ipv6Address, destination: Ipv6Address, mac: Uint8Array): void {
    sealIcmpv6(message, source, destination);
    this.#link.sendWhole6(mac, source, destination, NEXT_ICMPV6, message, HOP_LIMIT);
  }
}

/** Where frames to a group go (RFC 2464, 7). */
function multicastMac({ w3 }: Ipv6Address): Uint8Array {
  return Uint8Array.of(0x33, 0x33, w3 >>> 24, w3 >>> 16, w3 >>> 8, w3);
}

/** Every option has a length and ends inside the message (RFC 4861, 6.1.1, 7.1.1). */
function areOptionsSound(packet: Uint8Array, from: number, end: number): boolean {
  let at = from;
  while (at < end) {
    const length = at + 2 <= end ? packet[at + 1] * 8 : 0;
    if (length === 0 || at + length > end) return false;
    at += length;
  }
  return true;
}

/** Where the value of an option with an Ethernet address is; 0: there is none. */
function findOption(packet: Uint8Array, from: number, end: number, kind: number): number {
  for (let at = from; at < end; at += packet[at + 1] * 8) if (get16(packet, at) === (kind << 8) + 1) return at + 2;
  return 0;
}
