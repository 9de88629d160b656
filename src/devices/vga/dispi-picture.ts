/** The picture of the DISPI modes: packed pixels of 8 to 32 bits or four maps, from the display offset on. */
import type { DispiMode } from "./dispi.ts";
import { BLACK, type Palette } from "./palette.ts";

/** What a pixel of 15 or 16 bits looks like. */
const colors15 = new Int32Array(0x10000);
const colors16 = new Int32Array(0x10000);
for (let value = 0; value < 0x10000; value++) {
  colors15[value] = rgb(wide5(value >> 10), wide5(value >> 5), wide5(value));
  colors16[value] = rgb(wide5(value >> 11), wide6(value >> 5), wide5(value));
}

/** Draws `mode` into `pixels` (width × height). Beyond the end of video memory the screen is black. */
export function renderDispi(
  mode: DispiMode,
  vram: Uint8Array,
  words: Int32Array,
  sizeBytes: number,
  palette: Palette,
  pixels: Int32Array,
): void {
  const width = mode.widthPixels;
  const bytesPerPixel = (mode.bitsPerPixel + 7) >> 3;
  const words16 = new Uint16Array(vram.buffer, vram.byteOffset, vram.length >> 1);
  for (let y = 0; y < mode.heightPixels; y++) {
    const at = y * width;
    if (mode.bitsPerPixel === 4) {
      drawMaps(words, sizeBytes >> 2, (mode.yOffset + y) * mode.pitch, mode.xOffset, palette, pixels, at, width);
      continue;
    }
    const start = mode.startBytes + y * mode.pitch;
    const fitting = Math.max(0, Math.min(width, Math.floor((sizeBytes - start) / bytesPerPixel)));
    // Lines that begin inside a word are drawn byte by byte.
    if (bytesPerPixel === 4 && (start & 3) === 0) draw32(words, start >> 2, pixels, at, fitting);
    else if (bytesPerPixel === 2 && (start & 1) === 0) {
      const colors = mode.bitsPerPixel === 15 ? colors15 : colors16;
      for (let x = 0, from = start >> 1; x < fitting; x++) pixels[at + x] = colors[words16[from + x]];
    } else drawPacked(vram, start, mode.bitsPerPixel, palette, pixels, at, fitting);
    if (fitting < width) pixels.fill(BLACK, at + fitting, at + width);
  }
}

function draw32(words: Int32Array, start: number, pixels: Int32Array, at: number, count: number): void {
  for (let x = 0; x < count; x++) {
    const value = words[start + x];
    pixels[at + x] = BLACK | ((value & 0xff) << 16) | (value & 0xff00) | ((value >> 16) & 0xff);
  }
}

function drawPacked(
  vram: Uint8Array,
  start: number,
  bitsPerPixel: number,
  palette: Palette,
  pixels: Int32Array,
  at: number,
  count: number,
): void {
  switch (bitsPerPixel) {
    case 8: {
      const colors = palette.colors256;
      for (let x = 0; x < count; x++) pixels[at + x] = colors[vram[start + x]];
      break;
    }
    case 15:
    case 16: {
      const colors = bitsPerPixel === 15 ? colors15 : colors16;
      for (let x = 0; x < count; x++) pixels[at + x] = colors[vram[start + 2 * x] | (vram[start + 2 * x + 1] << 8)];
      break;
    }
    case 24:
      for (let x = 0; x < count; x++) {
        const p = start + 3 * x;
        pixels[at + x] = rgb(vram[p + 2], vram[p + 1], vram[p]);
      }
      break;
    case 32:
      for (let x = 0; x < count; x++) {
        const p = start + 4 * x;
        pixels[at + x] = rgb(vram[p + 2], vram[p + 1], vram[p]);
      }
      break;
  }
}

function drawMaps(
  words: Int32Array,
  wordCount: number,
  lineStart: number,
  xOffset: number,
  palette: Palette,
  pixels: Int32Array,
  at: number,
  width: number,
): void {
  for (let x = 0; x < width; x++) {
    const position = xOffset + x;
    const address = lineStart + (position >> 3);
    if (address >= wordCount) {
      pixels[at + x] = BLACK;
      continue;
    }
    const planes = words[address] >>> (7 - (position & 7));
    const value = (planes & 1) | ((planes >> 7) & 2) | ((planes >> 14) & 4) | ((planes >> 21) & 8);
    pixels[at + x] = palette.colors16[value];
  }
}

function rgb(red: number, green: number, blue: number): number {
  return BLACK | (blue << 16) | (green << 8) | red;
}
function wide5(component: number): number {
  return ((component & 31) << 3) | ((component & 31) >> 2);
}
function wide6(component: number): number {
  return ((component & 63) << 2) | ((component & 63) >> 4);
}
