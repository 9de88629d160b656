/**
 * Mode pages of the DVD drive (MMC-5 chapter 7): read error recovery (01h), CD device parameters (0Dh), CD audio control
 * (0Eh), power condition (1Ah), time-out (1Dh), capabilities (2Ah). MODE SELECT may write 01h and 0Eh, whose values are kept
 * and have no effect.
 */
import {
  INVALID_FIELD_IN_PACKET,
  INVALID_FIELD_IN_PARAMETERS,
  MODE_SENSE_10,
  PARAMETER_LIST_LENGTH_ERROR,
  read16,
  refused,
  SAVING_NOT_SUPPORTED,
  write16,
} from "./scsi-codes.ts";

const ERROR_RECOVERY = 0x01;
const AUDIO_CONTROL = 0x0e;
const CAPABILITIES = 0x2a;
const ALL_PAGES = 0x3f;
const readSpeedKBs = 5632;

const defaults: readonly (readonly number[])[] = [
  [ERROR_RECOVERY, 0x06, 0x00, 0x05, 0, 0, 0, 0],
  [0x0d, 0x06, 0x00, 0x0d, 0x00, 0x3c, 0x00, 0x4b],
  [AUDIO_CONTROL, 0x0e, 0x04, 0, 0, 0, 0, 0x4b, 0x01, 0xff, 0x02, 0xff, 0, 0, 0, 0],
  [0x1a, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
  [0x1d, 0x0a, 0, 0, 0, 0, 0, 0x0a, 0, 0x0a, 0, 0],
  [
    CAPABILITIES,
    30,
    0x08,
    0x00,
    0x71,
    0x00,
    0x29,
    0,
    0,
    0,
    0,
    2,
    0,
    64,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    1,
    0,
    0,
    0,
    0,
  ],
];

/** What the pages say beyond their constants. */
export interface TrayState {
  readonly hasMedium: boolean;
  readonly isTrayOpen: boolean;
  readonly isTrayLocked: boolean;
}

export class ModePages {
  #pages: Uint8Array[] = defaults.map((page) => Uint8Array.from(page));

  reset(): void {
    this.#pages = defaults.map((page) => Uint8Array.from(page));
  }

  /** MODE SENSE (6) and (10). */
  sense(packet: Uint8Array, tray: TrayState, out: Uint8Array): number {
    const control = packet[2] >>> 6;
    const wanted = packet[2] & 0x3f;
    if (control === 3) return refused(SAVING_NOT_SUPPORTED);
    const headerBytes = packet[0] === MODE_SENSE_10 ? 8 : 4;
    let length = headerBytes;
    for (let i = 0; i < this.#pages.length; i++) {
      const code = defaults[i][0];
      if (wanted !== ALL_PAGES && wanted !== code) continue;
      out.set(control === 2 ? defaults[i] : this.#pages[i], length);
      if (control === 1) out.fill(0, length + 2, length + defaults[i].length);
      else if (code === CAPABILITIES) writeCapabilities(out, length, tray);
      length += defaults[i].length;
    }
    if (length === headerBytes) return refused(INVALID_FIELD_IN_PACKET);
    out.fill(0, 0, headerBytes);
    const mediumType = tray.isTrayOpen ? 0x71 : tray.hasMedium ? 0x01 : 0x70;
    if (headerBytes === 8) {
      write16(out, 0, length - 2);
      out[2] = mediumType;
    } else {
      out[0] = length - 1;
      out[1] = mediumType;
    }
    return length;
  }

  /** MODE SELECT: takes the parameter list, all of it or (with a sense code as answer) nothing. 0: taken. */
  select(isTenByte: boolean, list: Uint8Array): number {
    if (list.length === 0) return 0;
    const headerBytes = isTenByte ? 8 : 4;
    if (list.length < headerBytes) return PARAMETER_LIST_LENGTH_ERROR;
    let at = headerBytes + (isTenByte ? read16(list, 6) : list[3]);
    const changes: [index: number, page: Uint8Array][] = [];
    while (at < list.length) {
      const index = defaults.findIndex((page) => page[0] === (list[at] & 0x3f));
      if (index < 0) return INVALID_FIELD_IN_PARAMETERS;
      const bytes = defaults[index].length;
      if (at + bytes > list.length) return PARAMETER_LIST_LENGTH_ERROR;
      if (list[at + 1] !== bytes - 2) return INVALID_FIELD_IN_PARAMETERS;
      const code = defaults[index][0];
      if (code === ERROR_RECOVERY || code === AUDIO_CONTROL) changes.push([index, list.slice(at, at + bytes)]);
      at += bytes;
    }
    for (const [index, page] of changes) {
      page[0] = defaults[index][0];
      this.#pages[index] = page;
    }
    return 0;
  }

  save(): Uint8Array {
    return Uint8Array.from(this.#pages.flatMap((page) => [...page]));
  }

  /** False if the bytes are not what `save` gives. */
  load(bytes: Uint8Array): boolean {
    let at = 0;
    const pages = defaults.map((page) => bytes.slice(at, (at += page.length)));
    if (at !== bytes.length) return false;
    if (pages.some((page, i) => page[0] !== defaults[i][0] || page[1] !== defaults[i][1])) return false;
    this.#pages = pages;
    return true;
  }
}

function writeCapabilities(out: Uint8Array, at: number, tray: TrayState): void {
  if (tray.isTrayLocked) out[at + 6] |= 0x02;
  write16(out, at + 8, readSpeedKBs);
  write16(out, at + 14, readSpeedKBs);
}
