/**
 * IPv6 headers (RFC 8200): the fixed one and the extension headers up to what the packet is about. Hop-by-hop and destination options
 * are looked through for those that an unknowing node must not pass over; routing headers with places left to go are refused;
 * fragments are told apart. A packet may have so many extension headers and no more.
 */
import { get16, get32, put16, put32 } from "../bytes.ts";
import type { FragmentHeader } from "../fragments.ts";
import { Ipv6Address, UNSPECIFIED6 } from "./address.ts";

export const IPV6_HEADER_BYTES = 40;
export const FRAGMENT_HEADER_BYTES = 8;
export const NEXT_ICMPV6 = 58;
const NEXT_HOP_BY_HOP = 0;
const NEXT_ROUTING = 43;
export const NEXT_FRAGMENT = 44;
const NEXT_NONE = 59;
const NEXT_DESTINATION_OPTIONS = 60;
const MAX_EXTENSION_HEADERS = 8;

const OPTION_PAD1 = 0;
/** Upper bits of an option that is not known: what to do about it. */
const ACTION_SKIP = 0;
const ACTION_DROP = 1;
const ACTION_TELL_UNLESS_GROUP = 3;

/** Codes of ICMPv6's parameter problem. */
const BAD_FIELD = 0;
export const BAD_NEXT_HEADER = 1;
const BAD_OPTION = 2;

/** Addresses that came lately, so that one that comes again is no new object. */
const REMEMBERED = 256;

/** drop: not a packet that may be looked at; problem: nor that, and its sender is to be told. */
export type HeaderVerdict = "whole" | "fragment" | "drop" | "problem";

/** A parsed header; one object is used again and again. */
export class Ipv6Header implements FragmentHeader {
  source = UNSPECIFIED6;
  destination = UNSPECIFIED6;
  hopLimit = 0;
  /** End of the packet, which may be before that of its frame. */
  end = 0;
  /** What the packet is about, and where that begins. */
  protocol = 0;
  payloadAt = 0;
  /** Where the field is that said `protocol`. */
  protocolAt = 0;
  identification = 0;
  hasMoreFragments = false;
  fragmentOffset = 0;
  /** After "problem": its code and place. */
  problemCode = 0;
  problemAt = 0;
  readonly #remembered: (Ipv6Address | undefined)[] = new Array(REMEMBERED).fill(undefined);

  /** Reads the headers of the packet at `at`, of which `available` bytes are there. */
  parse(bytes: Uint8Array, at: number, available: number): HeaderVerdict {
    if (available < IPV6_HEADER_BYTES || bytes[at] >>> 4 !== 6) return "drop";
    this.end = at + IPV6_HEADER_BYTES + get16(bytes, at + 4);
    if (this.end > at + available) return "drop";
    this.hopLimit = bytes[at + 7];
    this.source = this.#addressAt(bytes, at + 8);
    this.destination = this.#addressAt(bytes, at + 24);
    if (this.source.isMulticast) return "drop";
    return this.#walk(bytes, at, true);
  }

  /** Reads on in a datagram that was put together: `packet` has a fixed header and everything behind the fragment header. */
  parseReassembled(packet: Uint8Array): HeaderVerdict {
    this.end = packet.length;
    return this.#walk(packet, 0, false);
  }

  #addressAt(bytes: Uint8Array, at: number): Ipv6Address {
    const place = (bytes[at + 15] ^ (bytes[at + 14] << 3) ^ (bytes[at + 7] << 1) ^ bytes[at]) & (REMEMBERED - 1);
    const present = this.#remembered[place];
    if (present?.isAt(bytes, at)) return present;
    const made = Ipv6Address.at(bytes, at);
    this.#remembered[place] = made;
    return made;
  }

  #walk(bytes: Uint8Array, start: number, mayBeFragment: boolean): HeaderVerdict {
    const { end } = this;
    let nextAt = start + 6;
    let at = start + IPV6_HEADER_BYTES;
    for (let i = 0; i <= MAX_EXTENSION_HEADERS; i++) {
      const next = bytes[nextAt];
      const isFirst = at === start + IPV6_HEADER_BYTES && mayBeFragment;
      switch (next) {
        case NEXT_HOP_BY_HOP:
        case NEXT_DESTINATION_OPTIONS:
        case NEXT_ROUTING:
        case NEXT_FRAGMENT:
          break;
        case NEXT_NONE:
          return "drop";
        default:
          this.protocol = next;
          this.payloadAt = at;
          this.protocolAt = nextAt;
          return "whole";
      }
      if (at + 8 > end) return "drop";
      if (next === NEXT_FRAGMENT) {
        if (!mayBeFragment) return "drop";
        this.hasMoreFragments = (bytes[at + 3] & 1) !== 0;
        this.fragmentOffset = get16(bytes, at + 2) & 0xfff8;
        if (this.hasMoreFragments || this.fragmentOffset > 0) {
          this.identification = get32(bytes, at + 4);
          this.protocol = bytes[at];
          this.payloadAt = at + FRAGMENT_HEADER_BYTES;
          return "fragment";
        }
        // A whole datagram with a fragment header (RFC 6946).
        nextAt = at;
        at += FRAGMENT_HEADER_BYTES;
        continue;
      }
      const headerEnd = at + 8 + bytes[at + 1] * 8;
      if (headerEnd > end) return "drop";
      if (next === NEXT_ROUTING) {
        // Nobody goes on from here: the routes that came with RFC 2460 were abolished (RFC 5095), others are not known.
        if (bytes[at + 3] !== 0) return this.#problem(BAD_FIELD, at + 2 - start);
      } else {
        if (next === NEXT_HOP_BY_HOP && !isFirst) return this.#problem(BAD_NEXT_HEADER, nextAt - start);
        const verdict = this.#options(bytes, start, at + 2, headerEnd);
        if (verdict !== undefined) return verdict;
      }
      nextAt = at;
      at = headerEnd;
    }
    return "drop";
  }

  /** Looks through options; undefined: none that hinders. Router alerts and padding have the action "skip". */
  #options(bytes: Uint8Array, start: number, from: number, end: number): HeaderVerdict | undefined {
    let at = from;
    while (at < end) {
      const kind = bytes[at];
      if (kind === OPTION_PAD1) {
        at++;
        continue;
      }
      const next = at + 2 + (at + 1 < end ? bytes[at + 1] : 255);
      if (next > end) return "drop";
      const action = kind >>> 6;
      if (action !== ACTION_SKIP) {
        const isSilent =
          action === ACTION_DROP || (action === ACTION_TELL_UNLESS_GROUP && this.destination.isMulticast);
        return isSilent ? "drop" : this.#problem(BAD_OPTION, at - start);
      }
      at = next;
    }
    return undefined;
  }

  #problem(code: number, place: number): HeaderVerdict {
    this.problemCode = code;
    this.problemAt = place;
    return "problem";
  }

  // --- as a fragment ---

  get fragmentKey(): string {
    return `${this.source.text},${this.destination.text},${this.identification}`;
  }
  get fragmentBytes(): number {
    return this.end - this.payloadAt;
  }
  get fragmentProtocol(): number {
    return this.protocol;
  }
}

/** Writes a fixed header at `at`; `payloadBytes` follow it. */
export function writeIpv6Header(
  bytes: Uint8Array,
  at: number,
  source: Ipv6Address,
  destination: Ipv6Address,
  next: number,
  payloadBytes: number,
  hopLimit: number,
): void {
  put32(bytes, at, 0x60000000);
  put16(bytes, at + 4, payloadBytes);
  bytes[at + 6] = next;
  bytes[at + 7] = hopLimit;
  source.put(bytes, at + 8);
  destination.put(bytes, at + 24);
}
