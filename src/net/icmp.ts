/** ICMP (RFC 792): echo for our own addresses, and the errors that a router sends. */
import { addToSum, foldSum, put16 } from "./bytes.ts";
import type { GuestLink } from "./guest-link.ts";
import { PROTOCOL_ICMP } from "./ipv4.ts";

const ECHO_REPLY = 0;
const ECHO_REQUEST = 8;
export const UNREACHABLE = 3;
export const TIME_EXCEEDED = 11;
export const HOST_UNREACHABLE = 1;
export const PROTOCOL_UNREACHABLE = 2;
export const PORT_UNREACHABLE = 3;
export const PROHIBITED = 13;

/** Errors per second; more are not sent (RFC 1812, 4.3.2.8). */
const ERRORS_PER_SECOND = 100;
/** Of the packet that caused an error: its header and so much more. */
const QUOTED_BYTES = 8;

/** How many errors may be sent. */
export class ErrorRate {
  readonly #nowMs: () => number;
  #secondMs = Number.NEGATIVE_INFINITY;
  #errors = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Counts one more; false: it is one too many. */
  take(): boolean {
    const nowMs = this.#nowMs();
    if (nowMs - this.#secondMs >= 1000) {
      this.#secondMs = nowMs;
      this.#errors = 0;
    }
    return ++this.#errors <= ERRORS_PER_SECOND;
  }
}

export class Icmp {
  readonly #link: GuestLink;
  readonly #rate: ErrorRate;

  constructor(link: GuestLink, rate: ErrorRate) {
    this.#link = link;
    this.#rate = rate;
  }

  /** Answers an echo request to one of our addresses: `length` bytes at `at`. */
  receive(packet: Uint8Array, at: number, length: number, source: number, destination: number): void {
    if (length < 8 || packet[at] !== ECHO_REQUEST || foldSum(addToSum(0, packet, at, length)) !== 0) return;
    const reply = packet.slice(at, at + length);
    reply[0] = ECHO_REPLY;
    put16(reply, 2, 0);
    put16(reply, 2, foldSum(addToSum(0, reply, 0, length)));
    this.#link.sendPacket(destination, source, PROTOCOL_ICMP, reply);
  }

  /**
   * Tells the guest that its packet goes nowhere. `packet` has the IPv4 header at `at`, of `headerBytes`. Errors are not sent
   * about ICMP errors, fragments but the first, and groups (RFC 1122, 3.2.2): the caller sees to that by `mayAnswer`.
   */
  sendError(type: number, code: number, packet: Uint8Array, at: number, headerBytes: number, available: number): void {
    if (!this.#rate.take()) return;
    const quoted = Math.min(headerBytes + QUOTED_BYTES, available);
    const message = new Uint8Array(8 + quoted);
    message[0] = type;
    message[1] = code;
    message.set(packet.subarray(at, at + quoted), 8);
    put16(message, 2, foldSum(addToSum(0, message, 0, message.length)));
    const source = (packet[at + 12] << 24) | (packet[at + 13] << 16) | (packet[at + 14] << 8) | packet[at + 15] | 0;
    this.#link.sendPacket(this.#link.addresses.gateway, source, PROTOCOL_ICMP, message);
  }

  /** Whether an error may be sent about an ICMP message: only about questions. */
  static mayAnswer(packet: Uint8Array, at: number): boolean {
    return packet[at] === ECHO_REQUEST || packet[at] === 13 || packet[at] === 17;
  }
}
