/** IPv4 headers (RFC 791). */
import { addToSum, foldSum, get16, get32 } from "./bytes.ts";
import type { FragmentHeader } from "./fragments.ts";

export const IPV4_HEADER_BYTES = 20;
export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
export const DONT_FRAGMENT = 0x4000;
export const MORE_FRAGMENTS = 0x2000;
export const FRAGMENT_OFFSET = 0x1fff;

const OPTION_LSRR = 131;
const OPTION_SSRR = 137;

/** A parsed header; one object is used again and again. */
export class Ipv4Header implements FragmentHeader {
  headerBytes = 0;
  totalBytes = 0;
  identification = 0;
  hasMoreFragments = false;
  /** Where the payload lies in the whole datagram. */
  fragmentOffset = 0;
  timeToLive = 0;
  protocol = 0;
  source = 0;
  destination = 0;

  /** Reads the header at `at`; `available` bytes follow from there. False: not a packet that may be looked at. */
  parse(bytes: Uint8Array, at: number, available: number): boolean {
    if (available < IPV4_HEADER_BYTES || bytes[at] >>> 4 !== 4) return false;
    this.headerBytes = (bytes[at] & 15) * 4;
    this.totalBytes = get16(bytes, at + 2);
    if (this.headerBytes < IPV4_HEADER_BYTES || this.headerBytes > this.totalBytes || this.totalBytes > available)
      return false;
    if (foldSum(addToSum(0, bytes, at, this.headerBytes)) !== 0) return false;
    this.identification = get16(bytes, at + 4);
    const fragment = get16(bytes, at + 6);
    this.hasMoreFragments = (fragment & MORE_FRAGMENTS) !== 0;
    this.fragmentOffset = (fragment & FRAGMENT_OFFSET) * 8;
    this.timeToLive = bytes[at + 8];
    this.protocol = bytes[at + 9];
    this.source = get32(bytes, at + 12);
    this.destination = get32(bytes, at + 16);
    return (
      this.headerBytes === IPV4_HEADER_BYTES || !hasSourceRoute(bytes, at + IPV4_HEADER_BYTES, at + this.headerBytes)
    );
  }

  // --- as a fragment ---

  get fragmentKey(): string {
    return `${this.source},${this.destination},${this.identification},${this.protocol}`;
  }
  get fragmentBytes(): number {
    return this.totalBytes - this.headerBytes;
  }
  get fragmentProtocol(): number {
    return this.protocol;
  }

  get isFragment(): boolean {
    return this.hasMoreFragments || this.fragmentOffset > 0;
  }
}

/** Packets that choose their own way are not forwarded; other options make no difference here. */
function hasSourceRoute(bytes: Uint8Array, from: number, end: number): boolean {
  let at = from;
  while (at < end) {
    const kind = bytes[at];
    if (kind === OPTION_LSRR || kind === OPTION_SSRR) return true;
    if (kind === 0) return false;
    const length = kind === 1 ? 1 : at + 1 < end ? bytes[at + 1] : 0;
    if (length === 0) return false;
    at += length;
  }
  return false;
}
