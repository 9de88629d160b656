/** TCP headers (RFC 9293), with the options that count here: MSS, window scale (RFC 7323), SACK (RFC 2018). */
import { get16, get32 } from "../bytes.ts";

export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const PSH = 0x08;
export const ACK = 0x10;

export const TCP_HEADER_BYTES = 20;
export const OPTION_END = 0;
export const OPTION_NOP = 1;
export const OPTION_MSS = 2;
export const OPTION_WINDOW_SCALE = 3;
export const OPTION_SACK_PERMITTED = 4;
export const OPTION_SACK = 5;
export const MAX_WINDOW_SHIFT = 14;
export const MAX_SACK_BLOCKS = 4;

/** Sequence numbers go round: a before b when the way from a to b is shorter than the way back. */
export function isBefore(a: number, b: number): boolean {
  return ((a - b) | 0) < 0;
}
export function isAfter(a: number, b: number): boolean {
  return ((a - b) | 0) > 0;
}

/** A parsed segment; one object is used again and again. */
export class TcpSegment {
  sourcePort = 0;
  destinationPort = 0;
  seq = 0;
  ack = 0;
  flags = 0;
  /** As sent, not scaled. */
  window = 0;
  /** Where the payload is in the packet. */
  dataAt = 0;
  dataLength = 0;
  /** 0: not said. */
  mss = 0;
  /** -1: not said. */
  windowShift = -1;
  isSackPermitted = false;
  sackBlocks = 0;
  /** Left and right edges in turn. */
  readonly sack = new Int32Array(2 * MAX_SACK_BLOCKS);

  /** Length in sequence numbers. */
  get seqLength(): number {
    return this.dataLength + ((this.flags & SYN) !== 0 ? 1 : 0) + ((this.flags & FIN) !== 0 ? 1 : 0);
  }

  /** Reads the segment of `length` bytes at `at`. False: lengths that cannot be. */
  parse(bytes: Uint8Array, at: number, length: number): boolean {
    if (length < TCP_HEADER_BYTES) return false;
    const headerBytes = (bytes[at + 12] >>> 4) * 4;
    if (headerBytes < TCP_HEADER_BYTES || headerBytes > length) return false;
    this.sourcePort = get16(bytes, at);
    this.destinationPort = get16(bytes, at + 2);
    this.seq = get32(bytes, at + 4);
    this.ack = get32(bytes, at + 8);
    this.flags = bytes[at + 13];
    this.window = get16(bytes, at + 14);
    this.dataAt = at + headerBytes;
    this.dataLength = length - headerBytes;
    this.mss = 0;
    this.windowShift = -1;
    this.isSackPermitted = false;
    this.sackBlocks = 0;
    if (headerBytes > TCP_HEADER_BYTES) this.#parseOptions(bytes, at + TCP_HEADER_BYTES, this.dataAt);
    return true;
  }

  /** Options that make no sense end the reading: what came before counts. */
  #parseOptions(bytes: Uint8Array, from: number, end: number): void {
    let at = from;
    while (at < end) {
      const kind = bytes[at];
      if (kind === OPTION_END) return;
      if (kind === OPTION_NOP) {
        at++;
        continue;
      }
      const length = at + 1 < end ? bytes[at + 1] : 0;
      if (length < 2 || at + length > end) return;
      if (kind === OPTION_MSS && length === 4) this.mss = get16(bytes, at + 2);
      else if (kind === OPTION_WINDOW_SCALE && length === 3)
        this.windowShift = Math.min(bytes[at + 2], MAX_WINDOW_SHIFT);
      else if (kind === OPTION_SACK_PERMITTED && length === 2) this.isSackPermitted = true;
      else if (kind === OPTION_SACK) {
        const blocks = Math.min((length - 2) >> 3, MAX_SACK_BLOCKS);
        for (let i = 0; i < 2 * blocks; i++) this.sack[i] = get32(bytes, at + 2 + 4 * i);
        this.sackBlocks = blocks;
      }
      at += length;
    }
  }
}
