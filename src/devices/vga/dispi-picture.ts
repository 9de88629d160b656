/** The picture of the DISPI modes: packed pixels of 8 to 32 bits or four maps, from the display offset on. */
import type { DispiMode } from "./dispi.ts";
import { BLACK, type Palette } from "./palette.ts";

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
  for (let y = 0; y < mode.heightPixels; y++) {
    const at = y * width;
    const lineStart = (mode.yOffset + y) * mode.pitch;
    if (mode.bitsPerPixel === 4) {
      drawMaps(words, sizeBytes >> 2, lineStart, mode.xOffset, palette, pixels, at, width);
      continue;
    }
    const start = lineStart + mode.xOffset * bytesPerPixel;
    const fitting = Math.max(0, Math.min(width, Math.floor((sizeBytes - start) / bytesPerPixel)));
    drawPacked(vram, start, mode.bitsPerPixel, palette, pixels, at, fitting);
    if (fitting < width) pixels.fill(BLACK, at + fitting, at + width);
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
      for (let x = 0; x < count; x++) {
        const value = vram[start + 2 * x] | (vram[start + 2 * x + 1] << 8);
        pixels[at + x] = rgb(wide5(value >> 10), wide5(value >> 5), wide5(value));
      }
      break;
    case 16:
      for (let x = 0; x < count; x++) {
        const value = vram[start + 2 * x] | (vram[start + 2 * x + 1] << 8);
        pixels[at + x] = rgb(wide5(value >> 11), wide6(value >> 5), wide5(value));
      }
      break;
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
