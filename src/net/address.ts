/**
 * IPv4 addresses as signed 32-bit numbers (see bytes.ts), and what is special about some of them. Where both families go the same
 * way, an address is an `IpAddress`: its type is its family.
 */
import type { Ipv6Address } from "./ipv6/address.ts";

export type IpAddress = number | Ipv6Address;

export function sameAddress(a: IpAddress, b: IpAddress): boolean {
  return a === b || (typeof a !== "number" && typeof b !== "number" && a.equals(b));
}

export function formatAddress(address: IpAddress): string {
  return typeof address === "number" ? formatIpv4(address) : address.text;
}

/** A key for maps. */
export function addressKey(address: IpAddress): number | string {
  return typeof address === "number" ? address : address.text;
}

/** Length of the header that packets of the address's family have, without options. */
export function ipHeaderBytes(address: IpAddress): number {
  return typeof address === "number" ? 20 : 40;
}

/** `a.b.c.d` in decimal, else undefined. */
export function parseIpv4(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  let address = 0;
  for (let i = 1; i <= 4; i++) {
    const part = Number(match[i]);
    if (part > 255) return undefined;
    address = (address << 8) | part;
  }
  return address;
}

export function formatIpv4(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}

export const LOOPBACK = 0x7f000001;
export const LIMITED_BROADCAST = -1;

export function isLoopback(address: number): boolean {
  return address >>> 24 === 127;
}

/**
 * An address that can be another host's: not "this network" (0/8: hosts take 0.0.0.0 for themselves), not loopback, not
 * multicast, reserved or broadcast (224/3).
 */
export function isForeignUnicast(address: number): boolean {
  const first = address >>> 24;
  return first !== 0 && first !== 127 && first < 224;
}

/** What NAT calls its own: VirtualBox's places in the guest's network. */
export interface NatAddresses {
  readonly network: number;
  readonly mask: number;
  readonly prefixLength: number;
  readonly broadcast: number;
  /** Router: .2, on NAT networks .1. */
  readonly gateway: number;
  /** The host itself where that is allowed: .2 */
  readonly loopback: number;
  /** .3 */
  readonly dns: number;
  /** .4 */
  readonly tftp: number;
  /** .15, the first that DHCP gives out. */
  readonly firstLease: number;
}

/** Leases are .15 to .30: /27 is the smallest network that has room for them. */
const LONGEST_PREFIX = 27;
const SHORTEST_PREFIX = 8;

/** Reads `a.b.c.d/n` (24 without a length); undefined if it is no network that NAT can work with. */
export function natAddresses(cidr: string, routerHost = 2, loopbackHost = routerHost): NatAddresses | undefined {
  const [text, length = "24"] = cidr.split("/", 2);
  const address = parseIpv4(text);
  const prefixLength = /^\d{1,2}$/.test(length) ? Number(length) : -1;
  if (address === undefined || prefixLength < SHORTEST_PREFIX || prefixLength > LONGEST_PREFIX) return undefined;
  const mask = -1 << (32 - prefixLength);
  const network = address & mask;
  if (!isForeignUnicast(network)) return undefined;
  return {
    network,
    mask,
    prefixLength,
    broadcast: network | ~mask,
    gateway: network + routerHost,
    loopback: network + loopbackHost,
    dns: network + 3,
    tftp: network + 4,
    firstLease: network + 15,
  };
}
