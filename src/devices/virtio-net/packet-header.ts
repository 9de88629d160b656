/**
 * What the header in front of a driver's packet asks for (Virtual I/O Device 1.2, 5.1.6.2): a checksum, or TCP segmentation, and how
 * the frames come out of it. Offsets are the guest's: what does not fit into the packet is left alone.
 */
import { addWords, checksumOf, PROTOCOL_TCP } from "../../device-parts/internet-checksum.ts";
import { get16, put16, type SegmentLayout } from "../../device-parts/tcp-segmentation.ts";
import * as R from "./registers.ts";

const ETHERTYPE_VLAN = 0x8100;
const TCP_CHECKSUM = 16;

export interface PacketHeader {
  needsChecksum: boolean;
  gsoType: number;
  gsoSize: number;
  checksumStart: number;
  checksumOffset: number;
}

export function readHeader(bytes: Uint8Array): PacketHeader {
  const word = (at: number) => bytes[at] | (bytes[at + 1] << 8);
  return {
    needsChecksum: (bytes[R.HDR_FLAGS] & R.HDR_F_NEEDS_CSUM) !== 0,
    gsoType: bytes[R.HDR_GSO_TYPE] & ~R.GSO_ECN,
    gsoSize: word(R.HDR_GSO_SIZE),
    checksumStart: word(R.HDR_CSUM_START),
    checksumOffset: word(R.HDR_CSUM_OFFSET),
  };
}

/** The field holds the pseudo-header's sum: the checksum over everything from the start on takes its place. */
export function completeChecksum(frame: Uint8Array, length: number, start: number, offset: number): void {
  if (start + offset + 2 > length) return;
  put16(frame, start + offset, checksumOf(addWords(frame, start, length)));
}

/** Where the headers of a packet for segmentation are, undefined if it is none. */
export function segmentLayout(packet: Uint8Array, length: number, header: PacketHeader): SegmentLayout | undefined {
  const isIpv4 = header.gsoType === R.GSO_TCPV4;
  if (!isIpv4 && header.gsoType !== R.GSO_TCPV6) return undefined;
  const ipStart = get16(packet, 12) === ETHERTYPE_VLAN ? 18 : 14;
  const transportStart = header.checksumStart;
  if (transportStart + 20 > length) return undefined;
  const headerBytes = transportStart + (packet[transportStart + 12] >>> 4) * 4;
  return { ipStart, transportStart, headerBytes, segmentBytes: header.gsoSize, isTcp: true, isIpv4 };
}

/** Checksums of a segment, from scratch: its lengths are its own. */
export function segmentChecksums(frame: Uint8Array, length: number, layout: SegmentLayout): void {
  const { ipStart, transportStart, isIpv4 } = layout;
  if (isIpv4) {
    put16(frame, ipStart + 10, 0);
    put16(frame, ipStart + 10, checksumOf(addWords(frame, ipStart, ipStart + (frame[ipStart] & 15) * 4)));
  }
  const addresses = isIpv4 ? ipStart + 12 : ipStart + 8;
  const pseudo = addWords(frame, addresses, addresses + (isIpv4 ? 8 : 32), PROTOCOL_TCP + length - transportStart);
  put16(frame, transportStart + TCP_CHECKSUM, 0);
  put16(frame, transportStart + TCP_CHECKSUM, checksumOf(addWords(frame, transportStart, length, pseudo)));
}
