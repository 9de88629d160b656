/** One segment of a packet that is longer than its network allows: what cards that segment TCP (or UDP) do to the headers. */

/** Where the headers are; lengths are the guest's and have been checked with `canSegment`. */
export interface SegmentLayout {
  readonly ipStart: number;
  readonly transportStart: number;
  /** Everything before the payload. */
  readonly headerBytes: number;
  readonly segmentBytes: number;
  readonly isTcp: boolean;
  readonly isIpv4: boolean;
}

const TCP_SEQUENCE = 4;
const TCP_FLAGS = 13;
const FLAG_FIN_PSH = 0x09;
const UDP_LENGTH = 4;

/** Whether the headers that segmentation changes lie inside the header of a packet of `length`. */
export function canSegment(layout: SegmentLayout, length: number): boolean {
  const { headerBytes, ipStart, transportStart, segmentBytes, isTcp, isIpv4 } = layout;
  const fits = ipStart + (isIpv4 ? 20 : 40) <= transportStart && transportStart + (isTcp ? 20 : 8) <= headerBytes;
  return fits && segmentBytes > 0 && headerBytes <= length;
}

/**
 * Writes segment `index`: the packet's header and `bytes` of its payload from `at`, into `target`. Lengths, identification,
 * sequence number and flags are the segment's; checksums are the caller's. Returns the segment's length.
 */
export function writeSegment(
  packet: Uint8Array,
  layout: SegmentLayout,
  index: number,
  at: number,
  bytes: number,
  isLast: boolean,
  target: Uint8Array,
): number {
  const { headerBytes, ipStart, transportStart, isTcp, isIpv4 } = layout;
  const length = headerBytes + bytes;
  target.set(packet.subarray(0, headerBytes));
  target.set(packet.subarray(headerBytes + at, headerBytes + at + bytes), headerBytes);
  if (isIpv4) {
    put16(target, ipStart + 2, length - ipStart);
    put16(target, ipStart + 4, get16(target, ipStart + 4) + index);
  } else {
    put16(target, ipStart + 4, length - ipStart - 40);
  }
  if (isTcp) {
    const field = transportStart + TCP_SEQUENCE;
    const sequence = (get16(target, field) * 0x10000 + get16(target, field + 2) + at) >>> 0;
    put16(target, field, sequence >>> 16);
    put16(target, field + 2, sequence);
    if (!isLast) target[transportStart + TCP_FLAGS] &= ~FLAG_FIN_PSH;
  } else {
    put16(target, transportStart + UDP_LENGTH, length - transportStart);
  }
  return length;
}

export function get16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}
export function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}
