/**
 * Operation codes, sense codes and big-endian fields of the packet commands (MMC-5, SPC-3, SFF-8020i). A sense code is one
 * number: key, additional code and qualifier in its upper, middle and lower byte.
 */
export const TEST_UNIT_READY = 0x00;
export const REQUEST_SENSE = 0x03;
export const INQUIRY = 0x12;
export const MODE_SELECT_6 = 0x15;
export const MODE_SENSE_6 = 0x1a;
export const START_STOP_UNIT = 0x1b;
export const PREVENT_ALLOW_MEDIUM_REMOVAL = 0x1e;
export const READ_CAPACITY = 0x25;
export const READ_10 = 0x28;
export const SEEK_10 = 0x2b;
export const SYNCHRONIZE_CACHE = 0x35;
export const READ_SUBCHANNEL = 0x42;
export const READ_TOC = 0x43;
export const READ_HEADER = 0x44;
export const GET_CONFIGURATION = 0x46;
export const GET_EVENT_STATUS = 0x4a;
export const READ_DISC_INFORMATION = 0x51;
export const READ_TRACK_INFORMATION = 0x52;
export const MODE_SELECT_10 = 0x55;
export const MODE_SENSE_10 = 0x5a;
export const READ_12 = 0xa8;
export const GET_PERFORMANCE = 0xac;
export const READ_DVD_STRUCTURE = 0xad;
export const READ_CD_MSF = 0xb9;
export const SET_CD_SPEED = 0xbb;
export const MECHANISM_STATUS = 0xbd;
export const READ_CD = 0xbe;

export const NO_SENSE = 0x000000;
export const MEDIUM_NOT_PRESENT = 0x023a00;
export const MEDIUM_NOT_PRESENT_TRAY_OPEN = 0x023a02;
export const EJECT_FAILED = 0x025300;
export const UNRECOVERED_READ_ERROR = 0x031100;
export const PARAMETER_LIST_LENGTH_ERROR = 0x051a00;
export const INVALID_OPCODE = 0x052000;
export const BLOCK_OUT_OF_RANGE = 0x052100;
export const INVALID_FIELD_IN_PACKET = 0x052400;
export const INVALID_FIELD_IN_PARAMETERS = 0x052600;
export const INCOMPATIBLE_MEDIUM = 0x053002;
export const SAVING_NOT_SUPPORTED = 0x053900;
export const REMOVAL_PREVENTED = 0x055302;
export const ILLEGAL_MODE_FOR_TRACK = 0x056400;
export const MEDIUM_CHANGED = 0x062800;

/** An answer of a response builder: its length in bytes, or this for a sense code. */
export function refused(sense: number): number {
  return -sense;
}

export function read16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}

export function read24(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 16) | read16(bytes, at + 1);
}

export function read32(bytes: Uint8Array, at: number): number {
  return bytes[at] * 0x100_0000 + read24(bytes, at + 1);
}

export function write16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

export function write32(bytes: Uint8Array, at: number, value: number): void {
  write16(bytes, at, value >>> 16);
  write16(bytes, at + 2, value);
}

/** What the builders need to know of the disc: one data track of 2,048-byte sectors. */
export interface Disc {
  /** 0 if there is none. */
  readonly totalSectors: number;
}

/** More than 90 minutes fit on no CD: such an image is a DVD. */
export function isDvd(disc: Disc): boolean {
  return disc.totalSectors > 90 * 60 * 75;
}

/** Writes an address of a 4-byte field, as LBA or as minute, second, frame. */
export function writeAddress(out: Uint8Array, at: number, lba: number, isMsf: boolean): void {
  if (!isMsf) {
    write32(out, at, lba);
    return;
  }
  const frames = lba + 150;
  out[at] = 0;
  out[at + 1] = Math.min(Math.floor(frames / (60 * 75)), 255);
  out[at + 2] = Math.floor(frames / 75) % 60;
  out[at + 3] = frames % 75;
}

/** The commands that answer "no medium" or "medium changed" before anything else. */
export function needsMedium(opcode: number): boolean {
  switch (opcode) {
    case TEST_UNIT_READY:
    case READ_CAPACITY:
    case READ_10:
    case READ_12:
    case READ_CD:
    case READ_CD_MSF:
    case SEEK_10:
    case READ_TOC:
    case READ_SUBCHANNEL:
    case READ_HEADER:
    case READ_DISC_INFORMATION:
    case READ_TRACK_INFORMATION:
    case READ_DVD_STRUCTURE:
      return true;
    default:
      return false;
  }
}

/** The commands that work while a unit attention waits, and leave it waiting. */
export function hidesUnitAttention(opcode: number): boolean {
  switch (opcode) {
    case INQUIRY:
    case REQUEST_SENSE:
    case GET_CONFIGURATION:
    case GET_EVENT_STATUS:
      return true;
    default:
      return false;
  }
}

/** Minute, second, frame of a packet as LBA; negative before the first sector. */
export function msfToLba(packet: Uint8Array, at: number): number {
  return (packet[at] * 60 + packet[at + 1]) * 75 + packet[at + 2] - 150;
}
