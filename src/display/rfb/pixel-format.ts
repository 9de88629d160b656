/**
 * Pixel formats of RFC 6143 (section 7.4) and the way from the screen's pixels to a client's: one table a colour, added up.
 * Clients without true colour get a fixed map of 3:3:2 bits.
 */
import type { Frame, Rect } from "../frame.ts";
import type { ByteWriter } from "./bytes.ts";
import { RfbError } from "./protocol.ts";

export const PIXEL_FORMAT_BYTES = 16;

export interface PixelFormat {
  readonly bitsPerPixel: 8 | 16 | 32;
  readonly depth: number;
  readonly isBigEndian: boolean;
  readonly isTrueColor: boolean;
  readonly redMax: number;
  readonly greenMax: number;
  readonly blueMax: number;
  readonly redShift: number;
  readonly greenShift: number;
  readonly blueShift: number;
}

/** What the server offers: 32 bits, red in the lowest byte, as the screen's own pixels. */
export const nativeFormat: PixelFormat = {
  bitsPerPixel: 32,
  depth: 24,
  isBigEndian: false,
  isTrueColor: true,
  redMax: 255,
  greenMax: 255,
  blueMax: 255,
  redShift: 0,
  greenShift: 8,
  blueShift: 16,
};

/** For clients that want a colour map. */
const mappedFormat = { redMax: 7, greenMax: 7, blueMax: 3, redShift: 0, greenShift: 3, blueShift: 6 } as const;

/** `bytes`: the 16 of a SetPixelFormat message. Throws RfbError for a format that cannot be. */
export function parsePixelFormat(bytes: Uint8Array): PixelFormat {
  const [bitsPerPixel, depth, isBigEndian, isTrueColor] = bytes;
  const word = (at: number) => (bytes[at] << 8) | bytes[at + 1];
  if (bitsPerPixel !== 8 && bitsPerPixel !== 16 && bitsPerPixel !== 32)
    throw new RfbError(`pixels of ${bitsPerPixel} bits`);
  if (isTrueColor === 0) {
    if (bitsPerPixel !== 8) throw new RfbError(`a colour map for pixels of ${bitsPerPixel} bits`);
    return { bitsPerPixel, depth: 8, isBigEndian: false, isTrueColor: false, ...mappedFormat };
  }
  const format = {
    bitsPerPixel,
    depth,
    isBigEndian: isBigEndian !== 0,
    isTrueColor: true,
    redMax: word(4),
    greenMax: word(6),
    blueMax: word(8),
    redShift: bytes[10],
    greenShift: bytes[11],
    blueShift: bytes[12],
  } as const;
  const colors = [
    [format.redMax, format.redShift],
    [format.greenMax, format.greenShift],
    [format.blueMax, format.blueShift],
  ] as const;
  for (const [max, shift] of colors)
    if (max === 0 || max * 2 ** shift >= 2 ** bitsPerPixel) throw new RfbError("a colour outside its pixel");
  return format;
}

export function writePixelFormat(out: ByteWriter, format: PixelFormat): void {
  out.u8(format.bitsPerPixel);
  out.u8(format.depth);
  out.u8(format.isBigEndian ? 1 : 0);
  out.u8(format.isTrueColor ? 1 : 0);
  for (const max of [format.redMax, format.greenMax, format.blueMax]) out.u16(max);
  for (const shift of [format.redShift, format.greenShift, format.blueShift]) out.u8(shift);
  for (let i = 0; i < 3; i++) out.u8(0);
}

/** The fixed map: 256 times red, green, blue as 16-bit intensities. */
export function writeColorMap(out: ByteWriter): void {
  for (let value = 0; value < 256; value++) {
    out.u16(Math.round(((value & 7) * 0xffff) / 7));
    out.u16(Math.round((((value >> 3) & 7) * 0xffff) / 7));
    out.u16(Math.round((((value >> 6) & 3) * 0xffff) / 3));
  }
}

/** How an encoding lays down single pixels: all bytes, or three of four where the fourth says nothing. */
export interface PixelLayout {
  readonly bytes: 1 | 2 | 3 | 4;
  /** Right shift of the value before its bytes go out, for pixels whose lowest byte says nothing. */
  readonly shift: number;
  readonly isBigEndian: boolean;
}

export class PixelTranslator {
  readonly format: PixelFormat;
  readonly bytesPerPixel: 1 | 2 | 4;
  /** Raw and Hextile. */
  readonly whole: PixelLayout;
  /** ZRLE's CPIXEL. */
  readonly compact: PixelLayout;
  /** Tight's TPIXEL: with 24 of 32 bits, red, green, blue. */
  readonly tight: PixelLayout;
  readonly #red = new Uint32Array(256);
  readonly #green = new Uint32Array(256);
  readonly #blue = new Uint32Array(256);
  /** Values for TPIXEL are made with these shifts where it differs from the format. */
  readonly #isTightPacked: boolean;

  constructor(format: PixelFormat) {
    this.format = format;
    this.bytesPerPixel = (format.bitsPerPixel / 8) as 1 | 2 | 4;
    const { isBigEndian } = format;
    this.whole = { bytes: this.bytesPerPixel, shift: 0, isBigEndian };
    const scaled = (max: number, shift: number, table: Uint32Array) => {
      for (let value = 0; value < 256; value++) table[value] = (Math.round((value * max) / 255) << shift) >>> 0;
    };
    scaled(format.redMax, format.redShift, this.#red);
    scaled(format.greenMax, format.greenShift, this.#green);
    scaled(format.blueMax, format.blueShift, this.#blue);
    const bits = (this.#red[255] | this.#green[255] | this.#blue[255]) >>> 0;
    if (format.bitsPerPixel === 32 && format.depth <= 24 && (bits & 0xff00_0000) === 0)
      this.compact = { bytes: 3, shift: 0, isBigEndian };
    else if (format.bitsPerPixel === 32 && format.depth <= 24 && (bits & 0xff) === 0)
      this.compact = { bytes: 3, shift: 8, isBigEndian };
    else this.compact = this.whole;
    this.#isTightPacked =
      format.bitsPerPixel === 32 &&
      format.depth === 24 &&
      format.redMax === 255 &&
      format.greenMax === 255 &&
      format.blueMax === 255;
    this.tight = this.#isTightPacked ? { bytes: 3, shift: 0, isBigEndian: false } : this.whole;
  }

  /** The client's values of `rect`, row by row, into `values`. */
  translate(frame: Frame, rect: Rect, values: Uint32Array): void {
    const red = this.#red;
    const green = this.#green;
    const blue = this.#blue;
    let out = 0;
    for (let y = rect.y; y < rect.y + rect.height; y++) {
      let at = y * frame.widthPixels + rect.x;
      for (const end = at + rect.width; at < end; at++) {
        const pixel = frame.pixels[at];
        values[out++] = (red[pixel & 0xff] | green[(pixel >> 8) & 0xff] | blue[(pixel >> 16) & 0xff]) >>> 0;
      }
    }
  }

  /** The same for Tight, whose packed pixels are the screen's own. */
  translateTight(frame: Frame, rect: Rect, values: Uint32Array): void {
    if (!this.#isTightPacked) {
      this.translate(frame, rect, values);
      return;
    }
    let out = 0;
    for (let y = rect.y; y < rect.y + rect.height; y++) {
      const at = y * frame.widthPixels + rect.x;
      for (let x = 0; x < rect.width; x++) values[out++] = frame.pixels[at + x] & 0xff_ffff;
    }
  }
}

export function putPixel(out: ByteWriter, layout: PixelLayout, value: number): void {
  putPixels(out, layout, [value], 1);
}

/** The first `count` of `values`. */
export function putPixels(out: ByteWriter, layout: PixelLayout, values: ArrayLike<number>, count: number): void {
  const { bytes: size, shift, isBigEndian } = layout;
  let at = out.reserve(size * count);
  const { bytes } = out;
  for (let i = 0; i < count; i++) {
    const value = values[i] >>> shift;
    if (size === 1) bytes[at++] = value;
    else if (isBigEndian) for (let byte = size - 1; byte >= 0; byte--) bytes[at++] = value >>> (8 * byte);
    else for (let byte = 0; byte < size; byte++) bytes[at++] = value >>> (8 * byte);
  }
}
