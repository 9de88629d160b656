/** UDP headers (RFC 768). */
import type { IpAddress } from "./address.ts";
import { addToSum, foldSum, get16, pseudoHeaderSum } from "./bytes.ts";
import { PROTOCOL_UDP } from "./ipv4.ts";

export const UDP_HEADER_BYTES = 8;

/** Length of the datagram at `at`, header included, of which `available` bytes are there; undefined: none that makes sense. */
export function checkedUdpLength(
  packet: Uint8Array,
  at: number,
  available: number,
  source: IpAddress,
  destination: IpAddress,
): number | undefined {
  const length = available < UDP_HEADER_BYTES ? 0 : get16(packet, at + 4);
  if (length < UDP_HEADER_BYTES || length > available) return undefined;
  // 0: the sender made none, which IPv6 does not allow.
  if (get16(packet, at + 6) === 0) return typeof source === "number" ? length : undefined;
  const sum = addToSum(pseudoHeaderSum(source, destination, PROTOCOL_UDP, length), packet, at, length);
  return foldSum(sum) === 0 ? length : undefined;
}
