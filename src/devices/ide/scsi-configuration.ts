/**
 * What the drive can do and how it changes (MMC-5): GET CONFIGURATION (6.6), GET EVENT STATUS NOTIFICATION (6.7), GET
 * PERFORMANCE (6.8), MECHANISM STATUS (6.10), READ DVD STRUCTURE (6.23).
 */
import {
  type Disc,
  INCOMPATIBLE_MEDIUM,
  INVALID_FIELD_IN_PACKET,
  isDvd,
  read16,
  refused,
  write16,
  write32,
} from "./scsi-codes.ts";

const CD_ROM = 0x0008;
const DVD_ROM = 0x0010;

interface Feature {
  readonly code: number;
  /** Version, persistent and (computed) current bits. */
  readonly flags: number;
  readonly isCurrent: (disc: Disc) => boolean;
  readonly data: readonly number[];
}

const always = () => true;
const hasDisc = (disc: Disc) => disc.totalSectors > 0;
const hasCd = (disc: Disc) => hasDisc(disc) && !isDvd(disc);
const persistent = 0x02;

/** In ascending order of code; the profile list is built apart. */
const features: readonly Feature[] = [
  // Core: ATAPI interface; device-busy class events.
  { code: 0x0001, flags: 0x08 | persistent, isCurrent: always, data: [0, 0, 0, 2, 0, 0, 0, 0] },
  // Morphing: events are polled.
  { code: 0x0002, flags: 0x04 | persistent, isCurrent: always, data: [0, 0, 0, 0] },
  // Removable medium: tray, eject, lock.
  { code: 0x0003, flags: persistent, isCurrent: always, data: [0x29, 0, 0, 0] },
  // Random readable: 2,048-byte blocks, one a time.
  { code: 0x0010, flags: 0, isCurrent: hasDisc, data: [0, 0, 8, 0, 0, 1, 0, 0] },
  // CD read.
  { code: 0x001e, flags: 0x08, isCurrent: hasCd, data: [0, 0, 0, 0] },
  // DVD read.
  { code: 0x001f, flags: 0x04, isCurrent: isDvd, data: [0, 0, 0, 0] },
  // Power management.
  { code: 0x0100, flags: persistent, isCurrent: always, data: [] },
  // Time-out.
  { code: 0x0105, flags: persistent, isCurrent: always, data: [] },
];

export function getConfiguration(packet: Uint8Array, disc: Disc, out: Uint8Array): number {
  const request = packet[1] & 3;
  const first = read16(packet, 2);
  if (request === 3) return refused(INVALID_FIELD_IN_PACKET);
  let at = 8;
  const isWanted = (code: number, isCurrent: boolean) =>
    request === 2 ? code === first : code >= first && (request === 0 || isCurrent);
  if (isWanted(0, true)) at = writeProfiles(disc, out, at);
  for (const feature of features) {
    const isCurrent = feature.isCurrent(disc);
    if (!isWanted(feature.code, isCurrent)) continue;
    write16(out, at, feature.code);
    out[at + 2] = feature.flags | (isCurrent ? 1 : 0);
    out[at + 3] = feature.data.length;
    out.set(feature.data, at + 4);
    at += 4 + feature.data.length;
  }
  write32(out, 0, at - 4);
  write16(out, 4, 0);
  write16(out, 6, !hasDisc(disc) ? 0 : isDvd(disc) ? DVD_ROM : CD_ROM);
  return at;
}

function writeProfiles(disc: Disc, out: Uint8Array, at: number): number {
  write16(out, at, 0);
  out[at + 2] = persistent | 1;
  out[at + 3] = 8;
  write16(out, at + 4, DVD_ROM);
  out[at + 6] = isDvd(disc) ? 1 : 0;
  out[at + 7] = 0;
  write16(out, at + 8, CD_ROM);
  out[at + 10] = hasCd(disc) ? 1 : 0;
  out[at + 11] = 0;
  return at + 12;
}

const MEDIA_CLASS = 4;

/** Polled events of the media class: `event` is what happened last, 0 for nothing. */
export function eventStatus(
  packet: Uint8Array,
  event: number,
  hasMedium: boolean,
  isTrayOpen: boolean,
  out: Uint8Array,
): number {
  const isPolled = (packet[1] & 1) !== 0;
  if (!isPolled) return refused(INVALID_FIELD_IN_PACKET);
  out[3] = 1 << MEDIA_CLASS;
  if (!asksForMediaEvents(packet)) {
    write16(out, 0, 2);
    out[2] = 0x80;
    return 4;
  }
  write16(out, 0, 6);
  out[2] = MEDIA_CLASS;
  out[4] = event;
  out[5] = (hasMedium ? 2 : 0) | (isTrayOpen ? 1 : 0);
  out[6] = out[7] = 0;
  return 8;
}

export function asksForMediaEvents(packet: Uint8Array): boolean {
  return (packet[4] & (1 << MEDIA_CLASS)) !== 0;
}

export function mechanismStatus(isTrayOpen: boolean, out: Uint8Array): number {
  out.fill(0, 0, 8);
  if (isTrayOpen) out[1] = 0x10;
  return 8;
}

const cdSpeedKBs = 5632;
const dvdSpeedKBs = 22160;

/** One nominal read performance over the whole disc; no write speeds. */
export function getPerformance(packet: Uint8Array, disc: Disc, out: Uint8Array): number {
  const type = packet[10];
  if (type !== 0 && type !== 3) return refused(INVALID_FIELD_IN_PACKET);
  const isRead = type === 0 && (packet[1] & 0x04) === 0 && (packet[1] & 0x03) === 0;
  const descriptors = isRead && hasDisc(disc) ? Math.min(read16(packet, 8), 1) : 0;
  out.fill(0, 0, 8 + 16);
  write32(out, 0, 4 + 16 * descriptors);
  if (descriptors > 0) {
    const speed = isDvd(disc) ? dvdSpeedKBs : cdSpeedKBs;
    write32(out, 12, speed);
    write32(out, 16, disc.totalSectors - 1);
    write32(out, 20, speed);
  }
  return 8 + 16 * descriptors;
}

/** Physical format, copyright (none) and manufacturing information of a single-layer DVD-ROM. */
export function readDvdStructure(packet: Uint8Array, disc: Disc, out: Uint8Array): number {
  if (!isDvd(disc)) return refused(INCOMPATIBLE_MEDIUM);
  const layer = packet[6];
  const format = packet[7];
  if (layer !== 0) return refused(INVALID_FIELD_IN_PACKET);
  const bodyBytes = format === 0 || format === 4 ? 2048 : format === 1 ? 4 : -1;
  if (bodyBytes < 0) return refused(INVALID_FIELD_IN_PACKET);
  out.fill(0, 0, 4 + bodyBytes);
  write16(out, 0, 2 + bodyBytes);
  if (format === 0) {
    const firstSector = 0x30000;
    out[4] = 0x01;
    out[5] = 0x0f;
    out[6] = 0x01;
    write32(out, 8, firstSector);
    write32(out, 12, firstSector + disc.totalSectors - 1);
  }
  return 4 + bodyBytes;
}
