/**
 * The Internet checksum (RFC 1071) over byte arrays, and where it is in IPv4 and IPv6 packets with TCP or UDP: what cards
 * compute for their drivers. Lengths in headers are a stranger's: every one is checked against the frame.
 */

/** The plain sum of the 16-bit words from `start` to `end`, an odd last byte as the high half, added to `sum`. */
export function addWords(bytes: Uint8Array, start: number, end: number, sum = 0): number {
  let at = start;
  const last = end - 1;
  for (; at < last; at += 2) sum += (bytes[at] << 8) | bytes[at + 1];
  return at === last ? sum + (bytes[at] << 8) : sum;
}

/** Folded to 16 bits, not complemented. */
export function fold(sum: number): number {
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return sum;
}

export function checksumOf(sum: number): number {
  return ~fold(sum) & 0xffff;
}

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const ETHERTYPE_VLAN = 0x8100;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
const IPV6_HEADER_BYTES = 40;

/** What `inspect` found. */
export interface PacketChecksums {
  /** An IPv4 header with a checksum that was looked at. */
  hasIpv4: boolean;
  isIpv4Good: boolean;
  /** 0, PROTOCOL_TCP or PROTOCOL_UDP: a whole packet with a checksum that was looked at. */
  protocol: number;
  isTransportGood: boolean;
  /** Where the TCP or UDP header starts. */
  transportAt: number;
}

export function emptyChecksums(): PacketChecksums {
  return { hasIpv4: false, isIpv4Good: false, protocol: 0, isTransportGood: false, transportAt: 0 };
}

/** Checks the sums of the frame's packet; `result` is filled anew. Extension headers and fragments have no transport. */
export function inspectChecksums(frame: Uint8Array, length: number, result: PacketChecksums): void {
  result.hasIpv4 = false;
  result.protocol = 0;
  let at = 14;
  if (length < at + 20) return;
  let type = (frame[12] << 8) | frame[13];
  if (type === ETHERTYPE_VLAN) {
    type = (frame[16] << 8) | frame[17];
    at = 18;
  }
  let pseudo: number;
  let end: number;
  let protocol: number;
  let transportAt: number;
  if (type === ETHERTYPE_IPV4) {
    const headerBytes = (frame[at] & 15) * 4;
    const total = (frame[at + 2] << 8) | frame[at + 3];
    if (frame[at] >>> 4 !== 4 || headerBytes < 20 || total < headerBytes || at + total > length) return;
    result.hasIpv4 = true;
    result.isIpv4Good = fold(addWords(frame, at, at + headerBytes)) === 0xffff;
    const isFragment = (((frame[at + 6] & 0x3f) << 8) | frame[at + 7]) !== 0;
    if (isFragment) return;
    protocol = frame[at + 9];
    transportAt = at + headerBytes;
    end = at + total;
    pseudo = addWords(frame, at + 12, at + 20);
  } else if (type === ETHERTYPE_IPV6) {
    end = at + IPV6_HEADER_BYTES + ((frame[at + 4] << 8) | frame[at + 5]);
    if (frame[at] >>> 4 !== 6 || length < at + IPV6_HEADER_BYTES || end > length) return;
    protocol = frame[at + 6];
    transportAt = at + IPV6_HEADER_BYTES;
    pseudo = addWords(frame, at + 8, at + IPV6_HEADER_BYTES);
  } else return;
  const shortest = protocol === PROTOCOL_TCP ? 20 : protocol === PROTOCOL_UDP ? 8 : Number.POSITIVE_INFINITY;
  if (end - transportAt < shortest) return;
  // A UDP checksum of 0 is none (IPv4).
  if (protocol === PROTOCOL_UDP && frame[transportAt + 6] === 0 && frame[transportAt + 7] === 0) return;
  result.protocol = protocol;
  result.transportAt = transportAt;
  result.isTransportGood = fold(addWords(frame, transportAt, end, pseudo + protocol + end - transportAt)) === 0xffff;
}
