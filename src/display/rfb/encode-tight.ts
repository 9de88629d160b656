/**
 * Tight (rfbproto, "Tight Encoding"), without JPEG: areas of one colour as fills, few colours through a palette, the rest
 * plain, each kind with a zlib stream of its own. Large rectangles are cut, as lengths have 22 bits and widths 2048 pixels.
 */
import type { Frame, Rect } from "../frame.ts";
import { ByteWriter } from "./bytes.ts";
import { putPacked } from "./encode-zrle.ts";
import { Palette } from "./palette.ts";
import { type PixelTranslator, putPixel, putPixels } from "./pixel-format.ts";
import { TIGHT } from "./protocol.ts";
import type { UpdateWriter } from "./update.ts";

const FILL = 0x80;
const HAS_FILTER = 0x40;
const FILTER_PALETTE = 1;
const STREAM_PLAIN = 0;
const STREAM_MONO = 1;
const STREAM_PALETTE = 2;
const MAX_WIDTH = 2048;
const MAX_PIXELS = 65_536;
const MAX_COLORS = 256;
/** Less than this goes without zlib. */
const MIN_COMPRESSED = 12;

export function encodeTight(update: UpdateWriter, frame: Frame, rect: Rect, translator: PixelTranslator): void {
  const rows = Math.max(1, Math.floor(MAX_PIXELS / Math.min(rect.width, MAX_WIDTH)));
  for (let y = 0; y < rect.height; y += rows) {
    for (let x = 0; x < rect.width; x += MAX_WIDTH) {
      const width = Math.min(MAX_WIDTH, rect.width - x);
      const height = Math.min(rows, rect.height - y);
      encodePart(update, frame, { x: rect.x + x, y: rect.y + y, width, height }, translator);
    }
  }
}

function encodePart(update: UpdateWriter, frame: Frame, part: Rect, translator: PixelTranslator): void {
  update.rect(part, TIGHT);
  const { out } = update;
  const { tight } = translator;
  const { width, height } = part;
  const count = width * height;
  const values = new Uint32Array(count);
  translator.translateTight(frame, part, values);
  // A palette that is nearly as long as the picture is no gain.
  const palette = Palette.of(values, count, Math.max(2, Math.min(MAX_COLORS, count >> 2)));
  if (palette?.size === 1) {
    out.u8(FILL);
    putPixel(out, tight, values[0]);
    return;
  }
  const data = new ByteWriter();
  let stream = STREAM_PLAIN;
  if (palette === undefined) {
    out.u8(STREAM_PLAIN << 4);
    putPixels(data, tight, values, count);
  } else {
    stream = palette.size === 2 ? STREAM_MONO : STREAM_PALETTE;
    out.u8(HAS_FILTER | (stream << 4));
    out.u8(FILTER_PALETTE);
    out.u8(palette.size - 1);
    putPixels(out, tight, palette.colors, palette.size);
    if (palette.size === 2) putPacked(data, values, width, height, 1, palette);
    else for (let i = 0; i < count; i++) data.u8(palette.indexOf(values[i]));
  }
  if (data.length < MIN_COMPRESSED) out.put(data.bytes);
  else update.compressed(stream, data.bytes, "compact");
}
