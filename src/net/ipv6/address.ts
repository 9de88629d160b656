/**
 * IPv6 addresses (RFC 4291): 128 bits as four signed 32-bit numbers, with what packets need of them ready made. Values that never
 * change: compare with `sameAddress`, key maps by `text`.
 */
import { isForeignUnicast } from "../address.ts";
import { get32, put16, put32 } from "../bytes.ts";

export class Ipv6Address {
  readonly w0: number;
  readonly w1: number;
  readonly w2: number;
  readonly w3: number;
  /** Of all bits, 32 bits. */
  readonly hash: number;
  /** Sum of its 16-bit words, for pseudo headers. */
  readonly sum: number;
  #text: string | undefined;

  constructor(w0: number, w1: number, w2: number, w3: number) {
    this.w0 = w0 | 0;
    this.w1 = w1 | 0;
    this.w2 = w2 | 0;
    this.w3 = w3 | 0;
    this.hash = hashOfWords(w0, w1, w2, w3);
    this.sum = halves(w0) + halves(w1) + halves(w2) + halves(w3);
  }

  static at(bytes: Uint8Array, at: number): Ipv6Address {
    return new Ipv6Address(get32(bytes, at), get32(bytes, at + 4), get32(bytes, at + 8), get32(bytes, at + 12));
  }

  static parse(text: string): Ipv6Address | undefined {
    const bytes = parseIpv6(text);
    return bytes === undefined ? undefined : Ipv6Address.at(bytes, 0);
  }

  equals(other: Ipv6Address): boolean {
    return this.w3 === other.w3 && this.w2 === other.w2 && this.w1 === other.w1 && this.w0 === other.w0;
  }

  isAt(bytes: Uint8Array, at: number): boolean {
    return (
      get32(bytes, at + 12) === this.w3 &&
      get32(bytes, at + 8) === this.w2 &&
      get32(bytes, at + 4) === this.w1 &&
      get32(bytes, at) === this.w0
    );
  }

  put(bytes: Uint8Array, at: number): void {
    put32(bytes, at, this.w0);
    put32(bytes, at + 4, this.w1);
    put32(bytes, at + 8, this.w2);
    put32(bytes, at + 12, this.w3);
  }

  get isUnspecified(): boolean {
    return (this.w0 | this.w1 | this.w2 | this.w3) === 0;
  }
  get isMulticast(): boolean {
    return this.w0 >>> 24 === 0xff;
  }
  get isLinkLocal(): boolean {
    return this.w0 >>> 22 === 0x3fa;
  }

  /** As the host's sockets spell it (RFC 5952). */
  get text(): string {
    this.#text ??= format(this);
    return this.#text;
  }
}

export const UNSPECIFIED6 = new Ipv6Address(0, 0, 0, 0);
export const LOOPBACK6 = new Ipv6Address(0, 0, 0, 1);
export const ALL_NODES = new Ipv6Address(0xff02 << 16, 0, 0, 1);
export const ALL_ROUTERS = new Ipv6Address(0xff02 << 16, 0, 0, 2);

/** Where neighbours of `address` listen for questions about it (RFC 4291, 2.7.1). */
export function solicitedNode(address: Ipv6Address): Ipv6Address {
  return new Ipv6Address(0xff02 << 16, 0, 1, 0xff000000 | (address.w3 & 0xffffff));
}

function hashOfWords(w0: number, w1: number, w2: number, w3: number): number {
  let hash = Math.imul(w0 ^ 0x9e3779b1, 0x85ebca6b) ^ w1;
  hash = Math.imul(hash ^ (hash >>> 15), 0xc2b2ae35) ^ w2;
  hash = Math.imul(hash ^ (hash >>> 13), 0x85ebca6b) ^ w3;
  return Math.imul(hash ^ (hash >>> 16), 0x9e3779b1);
}

function halves(word: number): number {
  return (word >>> 16) + (word & 0xffff);
}

function format({ w0, w1, w2, w3 }: Ipv6Address): string {
  const groups = [w0, w1, w2, w3].flatMap((word) => [word >>> 16, word & 0xffff]);
  // The longest run of zeros, the first of equals; one alone is written out.
  let [bestAt, bestLength] = [-1, 1];
  for (let at = 0; at < 8; at++) {
    let length = 0;
    while (at + length < 8 && groups[at + length] === 0) length++;
    if (length > bestLength) [bestAt, bestLength] = [at, length];
    at += length;
  }
  const write = (part: number[]) => part.map((group) => group.toString(16)).join(":");
  if (bestAt < 0) return write(groups);
  return `${write(groups.slice(0, bestAt))}::${write(groups.slice(bestAt + bestLength))}`;
}

/** The 16 bytes of an IPv6 address in text (as resolvers give it, without a zone); undefined if it is none. */
export function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const groups = halves.map((half) => (half === "" ? [] : half.split(":")));
  for (const list of groups) {
    const last = list.at(-1);
    const v4 = last === undefined ? null : /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(last);
    if (v4 === null) continue;
    const [a, b, c, d] = v4.slice(1).map(Number);
    list.splice(-1, 1, ((a << 8) | b).toString(16), ((c << 8) | d).toString(16));
  }
  const [head, tail = []] = groups;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const all = [...head, ...new Array<string>(halves.length === 1 ? 0 : missing).fill("0"), ...tail];
  if (!all.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  const bytes = new Uint8Array(16);
  all.forEach((group, i) => {
    put16(bytes, 2 * i, Number.parseInt(group, 16));
  });
  return bytes;
}

/**
 * An address that can be another host's. Not: multicast; link-local and site-local; 0::/8 with loopback, the unspecified address and
 * all that embeds IPv4 addresses for a host's own use (::ffff:127.0.0.1 is 127.0.0.1 to a socket); translated (64:ff9b::/96) and 6to4
 * addresses of an IPv4 address that cannot be another host's. Where the IPv4 address is in 64:ff9b:1::/48 (RFC 8215) only its
 * network knows: none of them.
 */
export function isForeignUnicast6({ w0, w1, w2, w3 }: Ipv6Address): boolean {
  const first = w0 >>> 24;
  if (first === 0xff || w0 >>> 23 === 0x1fd) return false;
  if (first === 0) return w0 === 0x0064ff9b && w1 === 0 && w2 === 0 && isForeignUnicast(w3);
  return w0 >>> 16 !== 0x2002 || isForeignUnicast((w0 << 16) | (w1 >>> 16));
}

/** How a NAT network's guests have IPv6. */
export interface Ipv6Config {
  /** `fd17:625c:f037:2::/64`, always 64 bits: guests make the other 64. */
  readonly prefix: string;
  /** Guests are told that the gateway is their way out. */
  readonly isDefaultRouter: boolean;
  /** Host number of the address that is the host's ::1; 0: there is none. */
  readonly loopbackHost: number;
}

/** What NAT calls its own in the guest's prefix. */
export interface NatAddresses6 {
  readonly prefix: Ipv6Address;
  readonly gateway: Ipv6Address;
  /** The gateway's, which routers speak from (RFC 4861). */
  readonly linkLocal: Ipv6Address;
  /** The host itself, where that is allowed. */
  readonly loopback: Ipv6Address | undefined;
  readonly dns: Ipv6Address;
}

const NAME_SERVER_HOST = 3;

/** Reads `prefix/64`; undefined if guests cannot have addresses in it. Host bits are cleared, as in IPv4 networks. */
export function parsePrefix6(text: string): Ipv6Address | undefined {
  const [address, length] = text.split("/", 2);
  const parsed = length === "64" ? Ipv6Address.parse(address) : undefined;
  if (parsed === undefined || !isForeignUnicast6(parsed)) return undefined;
  return new Ipv6Address(parsed.w0, parsed.w1, 0, 0);
}

/** `mac` is the gateway's Ethernet address: its link-local address is made of it (RFC 4291, appendix A). */
export function natAddresses6(config: Ipv6Config, routerHost: number, mac: Uint8Array): NatAddresses6 | undefined {
  const prefix = parsePrefix6(config.prefix);
  if (prefix === undefined) return undefined;
  const host = (number: number) => new Ipv6Address(prefix.w0, prefix.w1, 0, number);
  const high = ((mac[0] ^ 2) << 24) | (mac[1] << 16) | (mac[2] << 8) | 0xff;
  const low = (0xfe << 24) | (mac[3] << 16) | (mac[4] << 8) | mac[5];
  return {
    prefix,
    gateway: host(routerHost),
    linkLocal: new Ipv6Address(0xfe80 << 16, 0, high, low),
    loopback: config.loopbackHost > 0 ? host(config.loopbackHost) : undefined,
    dns: host(NAME_SERVER_HOST),
  };
}

/**
 * VirtualBox's prefix for an IPv4 network: a unique local one (RFC 4193) with the two middle bytes of the network as subnet. 10.0.2.0/24
 * has fd17:625c:f037:2::/64.
 */
export function prefixFor(network: number): string {
  return `${new Ipv6Address(0xfd17625c, (0xf037 << 16) | ((network >>> 8) & 0xffff), 0, 0).text}/64`;
}
