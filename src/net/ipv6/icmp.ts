/** ICMPv6 (RFC 4443): echo for our own addresses, and the errors that a router sends. */
import { addToSum, foldSum, pseudoHeaderSum, put16, put32 } from "../bytes.ts";
import type { GuestLink } from "../guest-link.ts";
import { MIN_MTU6 } from "../guest-link.ts";
import type { ErrorRate } from "../icmp.ts";
import type { Ipv6Address } from "./address.ts";
import { IPV6_HEADER_BYTES, type Ipv6Header, NEXT_ICMPV6 } from "./header.ts";

export const UNREACHABLE6 = 1;
export const TIME_EXCEEDED6 = 3;
export const PARAMETER_PROBLEM = 4;
export const ECHO_REQUEST6 = 128;
const ECHO_REPLY6 = 129;
/** Types from here on are questions and answers, below are errors. */
const FIRST_INFORMATIONAL = 128;

/** Codes of UNREACHABLE6. */
export const PROHIBITED6 = 1;
export const BEYOND_SCOPE = 2;
export const ADDRESS_UNREACHABLE = 3;
export const PORT_UNREACHABLE6 = 4;

/** An error is never longer than what every link carries. */
const QUOTED_BYTES = MIN_MTU6 - IPV6_HEADER_BYTES - 8;

/** Puts the checksum into a message (its field is zero) that goes from `source` to `destination`. */
export function sealIcmpv6(message: Uint8Array, source: Ipv6Address, destination: Ipv6Address): void {
  const sum = pseudoHeaderSum(source, destination, NEXT_ICMPV6, message.length);
  put16(message, 2, foldSum(addToSum(sum, message, 0, message.length)));
}

export class Icmpv6 {
  readonly #link: GuestLink;
  readonly #rate: ErrorRate;

  constructor(link: GuestLink, rate: ErrorRate) {
    this.#link = link;
    this.#rate = rate;
  }

  /** Whether the message of `length` bytes at `at` may be looked at. */
  static isSound(packet: Uint8Array, at: number, length: number, source: Ipv6Address, to: Ipv6Address): boolean {
    return length >= 8 && foldSum(addToSum(pseudoHeaderSum(source, to, NEXT_ICMPV6, length), packet, at, length)) === 0;
  }

  /** Answers the echo request of `length` bytes at `at`; `self` is the address of ours that answers. */
  answerEcho(packet: Uint8Array, at: number, length: number, source: Ipv6Address, self: Ipv6Address): void {
    const reply = packet.slice(at, at + length);
    reply[0] = ECHO_REPLY6;
    reply[1] = 0;
    put16(reply, 2, 0);
    sealIcmpv6(reply, self, source);
    this.#link.sendPacket(self, source, NEXT_ICMPV6, reply);
  }

  /**
   * Tells the guest that its packet, which begins at `at` and ends where `header` says, goes nowhere. Not about errors, not to nobody,
   * and about packets to groups only where the option that is the matter demands it (RFC 4443, 2.4): the caller sees to the last.
   */
  sendError(type: number, code: number, header: Ipv6Header, packet: Uint8Array, at: number, parameter = 0): void {
    const { source, end, protocol, payloadAt } = header;
    if (source.isUnspecified) return;
    const isError = protocol === NEXT_ICMPV6 && payloadAt < end && packet[payloadAt] < FIRST_INFORMATIONAL;
    if (isError && type !== PARAMETER_PROBLEM) return;
    this.sendErrorAbout(type, code, source, packet.subarray(at, Math.min(end, at + QUOTED_BYTES)), parameter);
  }

  /** The same about a packet that is made again, which is `quoted`. */
  sendErrorAbout(type: number, code: number, guest: Ipv6Address, quoted: Uint8Array, parameter = 0): void {
    const { addresses6 } = this.#link;
    if (addresses6 === undefined || !this.#rate.take()) return;
    const self = guest.isLinkLocal ? addresses6.linkLocal : addresses6.gateway;
    const message = new Uint8Array(8 + quoted.length);
    message[0] = type;
    message[1] = code;
    put32(message, 4, parameter);
    message.set(quoted, 8);
    sealIcmpv6(message, self, guest);
    this.#link.sendPacket(self, guest, NEXT_ICMPV6, message);
  }
}
