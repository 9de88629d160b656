/** ZRLE (RFC 6143, section 7.7.6): tiles of 64 × 64 as solid, packed palette, run lengths or plain, all through zlib. */
import type { Frame, Rect } from "../frame.ts";
import { ByteWriter } from "./bytes.ts";
import { Palette } from "./palette.ts";
import { type PixelTranslator, putPixel, putPixels } from "./pixel-format.ts";
import { ZRLE } from "./protocol.ts";
import { type UpdateWriter, ZRLE_STREAM } from "./update.ts";

const SIDE = 64;
const PLAIN = 0;
const SOLID = 1;
const PLAIN_RLE = 128;
const MAX_PACKED = 16;
const MAX_PALETTE = 127;

export function encodeZrle(update: UpdateWriter, frame: Frame, rect: Rect, translator: PixelTranslator): void {
  update.rect(rect, ZRLE);
  const out = new ByteWriter();
  const values = new Uint32Array(SIDE * SIDE);
  for (let y = rect.y; y < rect.y + rect.height; y += SIDE) {
    for (let x = rect.x; x < rect.x + rect.width; x += SIDE) {
      const width = Math.min(SIDE, rect.x + rect.width - x);
      const height = Math.min(SIDE, rect.y + rect.height - y);
      translator.translate(frame, { x, y, width, height }, values);
      encodeTile(out, values, width, height, translator);
    }
  }
  update.compressed(ZRLE_STREAM, out.bytes, "u32");
}

function encodeTile(
  out: ByteWriter,
  values: Uint32Array,
  width: number,
  height: number,
  { compact }: PixelTranslator,
): void {
  const count = width * height;
  const palette = Palette.of(values, count, MAX_PALETTE);
  if (palette?.size === 1) {
    out.u8(SOLID);
    putPixel(out, compact, values[0]);
    return;
  }
  // What each way would take.
  let plainRle = 0;
  let paletteRle = 0;
  forEachRun(values, count, (_, length) => {
    const lengthBytes = Math.floor((length - 1) / 255) + 1;
    plainRle += compact.bytes + lengthBytes;
    paletteRle += length === 1 ? 1 : 1 + lengthBytes;
  });
  const colorBytes = (palette?.size ?? 0) * compact.bytes;
  const bits = palette && palette.size <= MAX_PACKED ? (palette.size > 4 ? 4 : palette.size > 2 ? 2 : 1) : 0;
  const sizes = {
    plain: count * compact.bytes,
    plainRle,
    paletteRle: palette ? paletteRle + colorBytes : Number.POSITIVE_INFINITY,
    packed: bits ? Math.ceil((width * bits) / 8) * height + colorBytes : Number.POSITIVE_INFINITY,
  };
  const least = Math.min(...Object.values(sizes));
  if (palette && least === sizes.packed) {
    out.u8(palette.size);
    putPixels(out, compact, palette.colors, palette.size);
    putPacked(out, values, width, height, bits, palette);
  } else if (palette && least === sizes.paletteRle) {
    out.u8(PLAIN_RLE + palette.size);
    putPixels(out, compact, palette.colors, palette.size);
    forEachRun(values, count, (value, length) => {
      const index = palette.indexOf(value);
      if (length === 1) {
        out.u8(index);
        return;
      }
      out.u8(index | 0x80);
      putRunLength(out, length);
    });
  } else if (least === sizes.plainRle) {
    out.u8(PLAIN_RLE);
    forEachRun(values, count, (value, length) => {
      putPixel(out, compact, value);
      putRunLength(out, length);
    });
  } else {
    out.u8(PLAIN);
    putPixels(out, compact, values, count);
  }
}

function forEachRun(values: Uint32Array, count: number, visit: (value: number, length: number) => void): void {
  for (let at = 0; at < count; ) {
    const start = at;
    const value = values[at];
    while (at < count && values[at] === value) at++;
    visit(value, at - start);
  }
}

function putRunLength(out: ByteWriter, length: number): void {
  let rest = length - 1;
  for (; rest >= 255; rest -= 255) out.u8(255);
  out.u8(rest);
}

/** Indices of `bits` bits, first pixel in the highest bits, each row in whole bytes. */
export function putPacked(
  out: ByteWriter,
  values: Uint32Array,
  width: number,
  height: number,
  bits: number,
  palette: Palette,
): void {
  for (let y = 0; y < height; y++) {
    let byte = 0;
    let filled = 0;
    for (let x = 0; x < width; x++) {
      byte = (byte << bits) | palette.indexOf(values[y * width + x]);
      filled += bits;
      if (filled === 8) {
        out.u8(byte);
        byte = 0;
        filled = 0;
      }
    }
    if (filled > 0) out.u8(byte << (8 - filled));
  }
}
