/**
 * Characters and pixels in graphics modes: CGA interleave, the four planes, and mode 13h's bytes. Glyphs come from where
 * INT 43h (and INT 1Fh for the upper half in CGA modes) points, as programs change it.
 */
import type { VideoMode } from "./modes.ts";
import {
  changeLines,
  copyBytes,
  fillBytes,
  outIndexed,
  type Place,
  peek,
  peekLines,
  poke,
  pokeLines,
  setRegister,
  type VideoProgram,
} from "./program.ts";
import { readScreen, type Screen } from "./screen.ts";
import { ports, vectors } from "./set-mode.ts";
import type { ScrollWindow } from "./text.ts";

const XOR = 0x80;
const CGA_BANK = 0x2000;
const LOWER_HALF = 128;

export interface GraphicsScreen {
  readonly screen: Screen;
  readonly mode: VideoMode;
  readonly height: number;
  /** Bytes from one line to the next (in one bank or plane). */
  readonly pitch: number;
  readonly pageOffset: number;
}

export function graphicsScreen(screen: Screen): GraphicsScreen {
  const mode = screen.mode!;
  const height = Math.max(1, Math.min(32, screen.characterHeight));
  const pitch = mode.model === "cga" ? 80 : mode.model === "packed" ? 320 : screen.columns;
  const pageOffset = (screen.page * screen.pageBytes) & 0xffff;
  return { screen, mode, height, pitch, pageOffset };
}

/** The lines of a character's glyph. */
function* glyph({ mode, height }: GraphicsScreen, character: number): VideoProgram<Uint8Array> {
  const isUpper = mode.model === "cga" && character >= LOWER_HALF;
  const vector = yield* peek({ segment: 0, offset: isUpper ? vectors.upperFont : vectors.graphicsFont }, 4);
  const index = isUpper ? character - LOWER_HALF : character;
  const offset = ((vector[0] | (vector[1] << 8)) + index * height) & 0xffff;
  return yield* peek({ segment: vector[2] | (vector[3] << 8), offset }, height);
}

/** Draws a character cell. Bit 7 of the colour combines by exclusive or (not in 256 colours). */
export function* drawGlyph(
  graphics: GraphicsScreen,
  row: number,
  column: number,
  character: number,
  color: number,
): VideoProgram {
  const lines = yield* glyph(graphics, character);
  switch (graphics.mode.model) {
    case "planar":
      yield* drawPlanar(graphics, row, column, lines, color);
      return;
    case "cga":
      yield* drawCga(graphics, row, column, lines, color);
      return;
    default:
      yield* drawPacked(graphics, row, column, lines, color);
  }
}

function* drawPlanar(
  { height, mode, pageOffset, pitch }: GraphicsScreen,
  row: number,
  column: number,
  lines: Uint8Array,
  color: number,
): VideoProgram {
  const place: Place = { segment: mode.segment, offset: (pageOffset + row * height * pitch + column) & 0xffff };
  if ((color & XOR) !== 0) {
    yield* outIndexed(ports.graphics, [[3, 0x18]]);
    yield* outIndexed(ports.sequencer, [[2, color & 15]]);
    yield* changeLines(place, pitch, lines);
    yield* outIndexed(ports.graphics, [[3, 0x00]]);
  } else {
    // A set colour bit draws the glyph into its plane, a clear one draws black.
    const set = color & 15;
    const blank = new Uint8Array(lines.length);
    if (set !== 0) {
      yield* outIndexed(ports.sequencer, [[2, set]]);
      yield* pokeLines(place, pitch, lines);
    }
    if (set !== 15) {
      yield* outIndexed(ports.sequencer, [[2, 15 & ~set]]);
      yield* pokeLines(place, pitch, blank);
    }
  }
  yield* outIndexed(ports.sequencer, [[2, 0x0f]]);
}

/** Each glyph bit as one or two bits of colour. */
function expand(line: number, bits: number, color: number): number[] {
  if (bits === 1) return [(color & 1) !== 0 ? line : 0];
  let wide = 0;
  for (let i = 0; i < 8; i++) if ((line >> i) & 1) wide |= (color & 3) << (i * 2);
  return [wide >> 8, wide & 0xff];
}

function* drawCga(
  { height, mode }: GraphicsScreen,
  row: number,
  column: number,
  lines: Uint8Array,
  color: number,
): VideoProgram {
  const cellBytes = mode.bits;
  for (let bank = 0; bank < 2; bank++) {
    for (let part = 0; part < cellBytes; part++) {
      const bytes: number[] = [];
      for (let y = bank; y < height; y += 2) bytes.push(expand(lines[y], mode.bits, color)[part]);
      const first = (row * height) >> 1;
      const place = { segment: mode.segment, offset: bank * CGA_BANK + first * 80 + column * cellBytes + part };
      if ((color & XOR) !== 0) {
        const old = yield* peekLines(place, 80, bytes.length);
        for (let i = 0; i < bytes.length; i++) bytes[i] ^= old[i];
      }
      if (bytes.length > 0) yield* pokeLines(place, 80, bytes);
    }
  }
}

function* drawPacked(
  { height, mode, pitch }: GraphicsScreen,
  row: number,
  column: number,
  lines: Uint8Array,
  color: number,
): VideoProgram {
  for (let y = 0; y < height; y++) {
    const pixels = Array.from({ length: 8 }, (_, x) => ((lines[y] >> (7 - x)) & 1 ? color : 0));
    yield* poke({ segment: mode.segment, offset: ((row * height + y) * pitch + column * 8) & 0xffff }, pixels);
  }
}

/** The character whose glyph the cell shows, 0 if none does; the attribute is not known. */
export function* readGlyph(graphics: GraphicsScreen, row: number, column: number): VideoProgram<number> {
  const { height } = graphics;
  const cell = yield* readCell(graphics, row, column);
  const vector = yield* peek({ segment: 0, offset: vectors.graphicsFont }, 4);
  const base = { segment: vector[2] | (vector[3] << 8), offset: vector[0] | (vector[1] << 8) };
  const count = graphics.mode.model === "cga" ? LOWER_HALF : 256;
  for (let first = 0; first < count; first += 16) {
    const glyphs = yield* peek({ ...base, offset: (base.offset + first * height) & 0xffff }, 16 * height);
    for (let i = 0; i < 16; i++) {
      const lines = glyphs.subarray(i * height, (i + 1) * height);
      if (cell.every((line, y) => line === lines[y])) return first + i;
    }
  }
  return 0;
}

/** Which pixels of a cell are not background, one byte for each line. */
function* readCell(graphics: GraphicsScreen, row: number, column: number): VideoProgram<Uint8Array> {
  const { height, mode, pageOffset, pitch } = graphics;
  const cell = new Uint8Array(height);
  if (mode.model === "planar") {
    const place = { segment: mode.segment, offset: (pageOffset + row * height * pitch + column) & 0xffff };
    for (let plane = 0; plane < 4; plane++) {
      yield* outIndexed(ports.graphics, [[4, plane]]);
      const lines = yield* peekLines(place, pitch, height);
      for (let y = 0; y < height; y++) cell[y] |= lines[y];
    }
    yield* outIndexed(ports.graphics, [[4, 0]]);
    return cell;
  }
  for (let y = 0; y < height; y++) {
    const line = row * height + y;
    if (mode.model === "packed") {
      const pixels = yield* peek({ segment: mode.segment, offset: (line * pitch + column * 8) & 0xffff }, 8);
      for (let x = 0; x < 8; x++) if (pixels[x] !== 0) cell[y] |= 0x80 >> x;
      continue;
    }
    const offset = (line & 1) * CGA_BANK + (line >> 1) * 80 + column * mode.bits;
    const bytes = yield* peek({ segment: mode.segment, offset }, mode.bits);
    if (mode.bits === 1) cell[y] = bytes[0];
    else for (let x = 0; x < 8; x++) if ((bytes[x >> 2] >> (6 - (x & 3) * 2)) & 3) cell[y] |= 0x80 >> x;
  }
  return cell;
}

/** Scrolls a window of character cells; the new lines take the colour of the attribute. */
export function* scrollGraphics(graphics: GraphicsScreen, window: ScrollWindow): VideoProgram {
  const { mode } = graphics;
  if (mode.model === "planar") {
    yield* outIndexed(ports.sequencer, [[2, 0x0f]]);
    // Write mode 1 copies the latches: all planes in one go.
    yield* outIndexed(ports.graphics, [[5, 0x01]]);
    yield* scrollLines(graphics, window, 0, undefined);
    yield* outIndexed(ports.graphics, [
      [5, 0x00],
      [0, window.attribute & 15],
      [1, 0x0f],
    ]);
    yield* scrollLines(graphics, window, undefined, 0);
    yield* outIndexed(ports.graphics, [
      [0, 0x00],
      [1, 0x00],
    ]);
    return;
  }
  const color = window.attribute;
  const fill = mode.model === "packed" ? color : mode.bits === 2 ? (color & 3) * 0x55 : color & 1 ? 0xff : 0x00;
  yield* scrollLines(graphics, window, 0, undefined);
  yield* scrollLines(graphics, window, undefined, fill);
}

/** Copies the lines that stay (`copy` given) or fills the new ones (`fill` given). */
function* scrollLines(
  { height, mode, pageOffset, pitch, screen }: GraphicsScreen,
  { bottom, isDown, left, lines, right, top }: ScrollWindow,
  copy: 0 | undefined,
  fill: number | undefined,
): VideoProgram {
  const banks = mode.model === "cga" ? 2 : 1;
  const cellBytes = mode.model === "packed" ? 8 : mode.model === "cga" ? mode.bits : 1;
  const widthBytes = (right - left + 1) * cellBytes;
  const isWhole = widthBytes === pitch && right - left + 1 === screen.columns;
  const perRow = Math.floor(height / banks);
  const total = (bottom - top + 1) * perRow;
  const shift = lines * perRow;
  for (let bank = 0; bank < banks; bank++) {
    const place = (line: number): Place => ({
      segment: mode.segment,
      offset: (pageOffset + bank * CGA_BANK + (top * perRow + line) * pitch + left * cellBytes) & 0xffff,
    });
    if (copy !== undefined && isWhole && !isDown) {
      yield* copyBytes(place(0), place(shift), (total - shift) * pitch);
    } else if (copy !== undefined) {
      for (let i = 0; i < total - shift; i++) {
        const target = isDown ? total - 1 - i : i;
        yield* copyBytes(place(target), place(isDown ? target - shift : target + shift), widthBytes);
      }
    }
    if (fill === undefined) continue;
    const first = isDown ? 0 : total - shift;
    if (isWhole) yield* fillBytes(place(first), shift * pitch, fill);
    else for (let i = 0; i < shift; i++) yield* fillBytes(place(first + i), widthBytes, fill);
  }
}

/** AH = 0Ch */
export function* writePixel(color: number, page: number, x: number, y: number): VideoProgram {
  const screen = yield* readScreen();
  if (screen.mode === undefined || screen.mode.model === "text") return;
  const { mode, pitch } = graphicsScreen({ ...screen, page: page & 7 });
  if (mode.model === "planar") {
    const place = { segment: mode.segment, offset: ((page & 7) * screen.pageBytes + y * pitch + (x >> 3)) & 0xffff };
    yield* outIndexed(ports.sequencer, [[2, 0x0f]]);
    yield* outIndexed(ports.graphics, [
      [0, color & 15],
      [1, 0x0f],
      [3, (color & XOR) !== 0 ? 0x18 : 0x00],
      [8, 0x80 >> (x & 7)],
    ]);
    yield* changeLines(place, 0, [0xff]);
    yield* outIndexed(ports.graphics, [
      [0, 0x00],
      [1, 0x00],
      [3, 0x00],
      [8, 0xff],
    ]);
  } else if (mode.model === "packed") {
    yield* poke({ segment: mode.segment, offset: (y * pitch + x) & 0xffff }, [color]);
  } else {
    const { place, shift, mask } = cgaPixel(mode, x, y);
    const [old] = yield* peek(place, 1);
    const value = (color & mask) << shift;
    yield* poke(place, [(color & XOR) !== 0 ? old ^ value : (old & ~(mask << shift)) | value]);
  }
}

/** AH = 0Dh */
export function* readPixel(ax: number, page: number, x: number, y: number): VideoProgram {
  const screen = yield* readScreen();
  if (screen.mode === undefined || screen.mode.model === "text") return;
  const { mode, pitch } = graphicsScreen({ ...screen, page: page & 7 });
  let color = 0;
  if (mode.model === "planar") {
    const place = { segment: mode.segment, offset: ((page & 7) * screen.pageBytes + y * pitch + (x >> 3)) & 0xffff };
    for (let plane = 0; plane < 4; plane++) {
      yield* outIndexed(ports.graphics, [[4, plane]]);
      const [byte] = yield* peek(place, 1);
      color |= ((byte >> (7 - (x & 7))) & 1) << plane;
    }
    yield* outIndexed(ports.graphics, [[4, 0]]);
  } else if (mode.model === "packed") {
    [color] = yield* peek({ segment: mode.segment, offset: (y * pitch + x) & 0xffff }, 1);
  } else {
    const { place, shift, mask } = cgaPixel(mode, x, y);
    const [byte] = yield* peek(place, 1);
    color = (byte >> shift) & mask;
  }
  yield* setRegister("ax", (ax & 0xff00) | color);
}

function cgaPixel(mode: VideoMode, x: number, y: number): { place: Place; shift: number; mask: number } {
  const perByte = 8 / mode.bits;
  const offset = ((y & 1) * CGA_BANK + (y >> 1) * 80 + Math.floor(x / perByte)) & 0xffff;
  const shift = (perByte - 1 - (x % perByte)) * mode.bits;
  return { place: { segment: mode.segment, offset }, shift, mask: (1 << mode.bits) - 1 };
}
