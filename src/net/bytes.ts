/**
 * Big-endian numbers in packets, and the Internet checksum (RFC 1071). 32-bit values are signed, as bit operations give
 * them: sequence numbers and addresses are compared by difference or for equality, and small integers stay unboxed.
 */
import type { IpAddress } from "./address.ts";

export function get16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}

export function get32(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
}

export function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

export function put32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** Adds `length` bytes from `at` on as 16-bit numbers to `sum`; an odd last byte counts as if a zero followed. */
export function addToSum(sum: number, bytes: Uint8Array, at: number, length: number): number {
  const end = at + length;
  const end8 = end - 7;
  let total = sum;
  let i = at;
  // At most 64 KiB are summed at a time: the total stays far below 2^53 and mostly below 2^31.
  for (; i < end8; i += 8) {
    total +=
      ((bytes[i] + bytes[i + 2] + bytes[i + 4] + bytes[i + 6]) << 8) +
      bytes[i + 1] +
      bytes[i + 3] +
      bytes[i + 5] +
      bytes[i + 7];
  }
  for (; i + 1 < end; i += 2) total += (bytes[i] << 8) | bytes[i + 1];
  if (i < end) total += bytes[i] << 8;
  return total;
}

/** Folds a sum into the 16 bits that go into a header. A correct packet, its checksum included, gives 0. */
export function foldSum(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 65536);
  return ~folded & 0xffff;
}

/** Sum of the pseudo header of TCP and UDP over IPv4 and IPv6, and of ICMPv6: the same numbers in different places. */
export function pseudoHeaderSum(source: IpAddress, destination: IpAddress, protocol: number, length: number): number {
  return addressSum(source) + addressSum(destination) + protocol + length;
}

function addressSum(address: IpAddress): number {
  return typeof address === "number" ? (address >>> 16) + (address & 0xffff) : address.sum;
}
