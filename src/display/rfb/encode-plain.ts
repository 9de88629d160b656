/** Raw, CopyRect and Hextile (RFC 6143, sections 7.7.1, 7.7.2 and 7.7.4): encodings that need no state. */
import type { Frame, Move, Rect } from "../frame.ts";
import { type PixelTranslator, putPixel, putPixels } from "./pixel-format.ts";
import { COPY_RECT, HEXTILE, RAW } from "./protocol.ts";
import type { UpdateWriter } from "./update.ts";

export function encodeRaw(update: UpdateWriter, frame: Frame, rect: Rect, translator: PixelTranslator): void {
  update.rect(rect, RAW);
  const count = rect.width * rect.height;
  const values = new Uint32Array(count);
  translator.translate(frame, rect, values);
  putPixels(update.out, translator.whole, values, count);
}

export function encodeCopy(update: UpdateWriter, move: Move): void {
  update.rect(move, COPY_RECT);
  update.out.u16(move.x);
  update.out.u16(move.fromY);
}

const HEXTILE_RAW = 1;
const HEXTILE_BACKGROUND = 2;
const HEXTILE_FOREGROUND = 4;
const HEXTILE_SUBRECTS = 8;
const HEXTILE_COLORED = 16;
const SIDE = 16;

export function encodeHextile(update: UpdateWriter, frame: Frame, rect: Rect, translator: PixelTranslator): void {
  update.rect(rect, HEXTILE);
  const values = new Uint32Array(SIDE * SIDE);
  let background = -1;
  for (let y = rect.y; y < rect.y + rect.height; y += SIDE) {
    for (let x = rect.x; x < rect.x + rect.width; x += SIDE) {
      const width = Math.min(SIDE, rect.x + rect.width - x);
      const height = Math.min(SIDE, rect.y + rect.height - y);
      translator.translate(frame, { x, y, width, height }, values);
      background = encodeTile(update, values, width, height, translator, background);
    }
  }
}

/** Returns the background that the client now has, or -1. */
function encodeTile(
  { out }: UpdateWriter,
  values: Uint32Array,
  width: number,
  height: number,
  { whole, bytesPerPixel }: PixelTranslator,
  known: number,
): number {
  const count = width * height;
  const background = mostFrequent(values, count);
  const subrects = findSubrects(values, width, height, background);
  const colors = new Set(subrects.map(({ value }) => value));
  const isColored = colors.size > 1;
  const subrectBytes = subrects.length * (2 + (isColored ? bytesPerPixel : 0));
  if (subrects.length > 255 || subrectBytes + 2 * bytesPerPixel + 2 >= count * bytesPerPixel) {
    out.u8(HEXTILE_RAW);
    putPixels(out, whole, values, count);
    return -1;
  }
  const hasSubrects = subrects.length > 0;
  out.u8(
    (background !== known ? HEXTILE_BACKGROUND : 0) |
      (hasSubrects ? HEXTILE_SUBRECTS : 0) |
      (hasSubrects ? (isColored ? HEXTILE_COLORED : HEXTILE_FOREGROUND) : 0),
  );
  if (background !== known) putPixel(out, whole, background);
  if (!hasSubrects) return background;
  if (!isColored) putPixel(out, whole, subrects[0].value);
  out.u8(subrects.length);
  for (const { value, x, y, width: w, height: h } of subrects) {
    if (isColored) putPixel(out, whole, value);
    out.u8((x << 4) | y);
    out.u8(((w - 1) << 4) | (h - 1));
  }
  return background;
}

function mostFrequent(values: Uint32Array, count: number): number {
  const counts = new Map<number, number>();
  let best = values[0];
  let most = 0;
  for (let i = 0; i < count; i++) {
    const seen = (counts.get(values[i]) ?? 0) + 1;
    counts.set(values[i], seen);
    if (seen > most) [best, most] = [values[i], seen];
  }
  return best;
}

interface Subrect extends Rect {
  readonly value: number;
}

/** Rectangles of one colour over the background: as wide as they get, then as high. Stops after 256, which is too many. */
function findSubrects(values: Uint32Array, width: number, height: number, background: number): Subrect[] {
  const found: Subrect[] = [];
  const isTaken = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width && found.length < 256; x++) {
      const value = values[y * width + x];
      if (value === background || isTaken[y * width + x] !== 0) continue;
      let right = x + 1;
      while (right < width && values[y * width + right] === value && isTaken[y * width + right] === 0) right++;
      let bottom = y + 1;
      while (bottom < height && isRun(values, bottom * width, x, right, value)) bottom++;
      for (let row = y; row < bottom; row++) isTaken.fill(1, row * width + x, row * width + right);
      found.push({ x, y, width: right - x, height: bottom - y, value });
    }
  }
  return found;
}

function isRun(values: Uint32Array, start: number, from: number, to: number, value: number): boolean {
  for (let x = from; x < to; x++) if (values[start + x] !== value) return false;
  return true;
}
