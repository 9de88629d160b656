/**
 * What the drive says about the disc's structure (MMC-5 6.26 READ TOC/PMA/ATIP, 6.22, 6.27 disc and track information,
 * READ SUB-CHANNEL and READ HEADER of MMC-3): one session with one data track from sector 0. Audio is never playing.
 */
import {
  BLOCK_OUT_OF_RANGE,
  type Disc,
  INVALID_FIELD_IN_PACKET,
  read32,
  refused,
  write16,
  write32,
  writeAddress,
} from "./scsi-codes.ts";

const DATA_TRACK = 0x14;
const LEAD_OUT = 0xaa;
const NO_AUDIO_STATUS = 0x15;

export function readToc(packet: Uint8Array, disc: Disc, out: Uint8Array): number {
  const isMsf = (packet[1] & 2) !== 0;
  // Older drivers (SFF-8020i) have the format in the upper bits of the last byte.
  const format = packet[2] & 0x0f || packet[9] >>> 6;
  if (format === 0) return tracks(packet[6], disc, isMsf, out);
  if (format === 1) return sessions(isMsf, out);
  if (format === 2) return rawToc(packet[6], disc, out);
  return refused(INVALID_FIELD_IN_PACKET);
}

function tracks(firstTrack: number, disc: Disc, isMsf: boolean, out: Uint8Array): number {
  if (firstTrack > 1 && firstTrack !== LEAD_OUT) return refused(INVALID_FIELD_IN_PACKET);
  let at = 4;
  const descriptor = (track: number, lba: number) => {
    out[at] = 0;
    out[at + 1] = DATA_TRACK;
    out[at + 2] = track;
    out[at + 3] = 0;
    writeAddress(out, at + 4, lba, isMsf);
    at += 8;
  };
  if (firstTrack <= 1) descriptor(1, 0);
  descriptor(LEAD_OUT, disc.totalSectors);
  return withHeader(out, at);
}

function sessions(isMsf: boolean, out: Uint8Array): number {
  out.fill(0, 0, 12);
  out[5] = DATA_TRACK;
  out[6] = 1;
  writeAddress(out, 8, 0, isMsf);
  return withHeader(out, 12);
}

/** Points A0h, A1h, A2h and track 1, always in minutes, seconds and frames. */
function rawToc(firstSession: number, disc: Disc, out: Uint8Array): number {
  if (firstSession > 1) return refused(INVALID_FIELD_IN_PACKET);
  let at = 4;
  const entry = (point: number, write: (at: number) => void) => {
    out.fill(0, at, at + 11);
    out[at] = 1;
    out[at + 1] = DATA_TRACK;
    out[at + 3] = point;
    write(at + 7);
    at += 11;
  };
  // Zero byte and PMIN, PSEC, PFRAME stand like the four bytes of an address.
  entry(0xa0, (field) => (out[field + 1] = 1));
  entry(0xa1, (field) => (out[field + 1] = 1));
  entry(0xa2, (field) => writeAddress(out, field, disc.totalSectors, true));
  entry(1, (field) => writeAddress(out, field, 0, true));
  return withHeader(out, at);
}

function withHeader(out: Uint8Array, length: number): number {
  write16(out, 0, length - 2);
  out[2] = 1;
  out[3] = 1;
  return length;
}

export function readDiscInformation(packet: Uint8Array, out: Uint8Array): number {
  if ((packet[1] & 7) !== 0) return refused(INVALID_FIELD_IN_PACKET);
  out.fill(0, 0, 34);
  write16(out, 0, 32);
  // Last session complete, disc complete.
  out[2] = 0x0e;
  out[3] = out[4] = out[5] = out[6] = 1;
  // Use without restriction.
  out[7] = 0x20;
  write32(out, 16, 0xffff_ffff);
  write32(out, 20, 0xffff_ffff);
  return 34;
}

export function readTrackInformation(packet: Uint8Array, disc: Disc, out: Uint8Array): number {
  const addressType = packet[1] & 3;
  const address = read32(packet, 2);
  const isThere = addressType === 0 ? address < disc.totalSectors : addressType < 3 && address === 1;
  if (!isThere) return refused(INVALID_FIELD_IN_PACKET);
  out.fill(0, 0, 36);
  write16(out, 0, 34);
  out[2] = 1;
  out[3] = 1;
  out[5] = 0x04;
  out[6] = 0x01;
  write32(out, 24, disc.totalSectors);
  return 36;
}

export function readSubchannel(packet: Uint8Array, out: Uint8Array): number {
  const isMsf = (packet[1] & 2) !== 0;
  const format = packet[3];
  const wantsQ = (packet[2] & 0x40) !== 0;
  const bodyBytes = !wantsQ ? 0 : format === 1 ? 12 : format === 2 || format === 3 ? 20 : -1;
  if (bodyBytes < 0) return refused(INVALID_FIELD_IN_PACKET);
  out.fill(0, 0, 4 + bodyBytes);
  out[1] = NO_AUDIO_STATUS;
  write16(out, 2, bodyBytes);
  if (bodyBytes > 0) out[4] = format;
  if (bodyBytes > 0 && format === 1) {
    out[5] = DATA_TRACK;
    out[6] = 1;
    out[7] = 1;
    writeAddress(out, 8, 0, isMsf);
    writeAddress(out, 12, 0, isMsf);
  }
  return 4 + bodyBytes;
}

export function readHeader(packet: Uint8Array, disc: Disc, out: Uint8Array): number {
  const lba = read32(packet, 2);
  if (lba >= disc.totalSectors) return refused(BLOCK_OUT_OF_RANGE);
  out.fill(0, 0, 8);
  out[0] = 0x01;
  writeAddress(out, 4, lba, (packet[1] & 2) !== 0);
  return 8;
}
