/**
 * The DAC's default colours for each kind of mode, 6 bits per component (IBM PS/2 BIOS): monochrome, CGA (16 colours with
 * brown), EGA (64 from two bits per component), and the 256 colours of mode 13h.
 */
import type { PaletteKind } from "./modes.ts";

export const DAC_COLORS = 256;

type Color = readonly [red: number, green: number, blue: number];

function ega(index: number): Color {
  const part = (high: number, low: number) => ((index >> high) & 1) * 0x2a + ((index >> low) & 1) * 0x15;
  return [part(2, 5), part(1, 4), part(0, 3)];
}

function cga(index: number): Color {
  const bright = (index >> 4) & 1 ? 0x15 : 0;
  const color = index & 7;
  const part = (bit: number) => ((color >> bit) & 1) * 0x2a + bright;
  // Colour 6 without intensity is brown: half the green.
  return color === 6 && bright === 0 ? [0x2a, 0x15, 0x00] : [part(2), part(1), part(0)];
}

function mono(index: number): Color {
  const level = [0x00, 0x2a, 0x2a, 0x3f][(index >> 3) & 3];
  return [level, level, level];
}

const greys = [0x00, 0x05, 0x08, 0x0b, 0x0e, 0x11, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x28, 0x2d, 0x32, 0x38, 0x3f];

/** Five steps from the lowest to the highest component, for three intensities with three saturations each. */
const ramps = [
  [0x00, 0x10, 0x1f, 0x2f, 0x3f],
  [0x1f, 0x27, 0x2f, 0x37, 0x3f],
  [0x2d, 0x31, 0x36, 0x3a, 0x3f],
  [0x00, 0x07, 0x0e, 0x15, 0x1c],
  [0x0e, 0x11, 0x15, 0x18, 0x1c],
  [0x14, 0x16, 0x18, 0x1a, 0x1c],
  [0x00, 0x04, 0x08, 0x0c, 0x10],
  [0x08, 0x0a, 0x0c, 0x0e, 0x10],
  [0x0b, 0x0c, 0x0d, 0x0f, 0x10],
];

/** 24 hues from blue through red, green and back: in each sixth one component moves. */
function hue(step: number, ramp: readonly number[]): Color {
  const [low, high] = [ramp[0], ramp[4]];
  const up = ramp[step & 3];
  const down = ramp[4 - (step & 3)];
  switch (step >> 2) {
    case 0:
      return [up, low, high];
    case 1:
      return [high, low, down];
    case 2:
      return [high, up, low];
    case 3:
      return [down, high, low];
    case 4:
      return [low, high, up];
    default:
      return [low, down, high];
  }
}

function vga256(index: number): Color {
  if (index < 16) return cga((index & 7) | ((index & 8) << 1));
  if (index < 32) return [greys[index - 16], greys[index - 16], greys[index - 16]];
  const place = index - 32;
  return place < 216 ? hue(place % 24, ramps[Math.floor(place / 24)]) : [0, 0, 0];
}

const makers: Readonly<Record<PaletteKind, (index: number) => Color>> = { mono, cga, ega, vga256 };

/** 768 bytes for the DAC. Only the 256-colour modes fill all entries; the others repeat theirs every 64. */
export function defaultPalette(kind: PaletteKind): Uint8Array {
  const bytes = new Uint8Array(DAC_COLORS * 3);
  for (let i = 0; i < DAC_COLORS; i++) bytes.set(makers[kind](kind === "vga256" ? i : i & 0x3f), i * 3);
  return bytes;
}

/** Grey-scale summing as IBM weighs it: 30 % red, 59 % green, 11 % blue. */
export function toGrey(colors: Uint8Array): Uint8Array {
  const grey = new Uint8Array(colors.length);
  for (let i = 0; i + 2 < colors.length; i += 3) {
    const level = Math.round((colors[i] * 30 + colors[i + 1] * 59 + colors[i + 2] * 11) / 100);
    grey.fill(level, i, i + 3);
  }
  return grey;
}
