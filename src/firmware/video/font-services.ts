/** INT 10h AH = 11h: character generators of text modes and the font pointers of graphics modes. */
import { bda } from "../bios-data-area.ts";
import type { VideoContext } from "./int10.ts";
import {
  inputIndexed,
  outIndexed,
  type Place,
  peek,
  poke,
  pokeWord,
  setRegister,
  type VideoProgram,
} from "./program.ts";
import { bdaPlace, readScreen, setBdaByte } from "./screen.ts";
import { loadFontInto, ports, romFont, setVector, vectors } from "./set-mode.ts";

export interface FontRegisters {
  readonly al: number;
  readonly bx: number;
  readonly cx: number;
  readonly dx: number;
  /** ES:BP */
  readonly font: Place;
}

const romHeights: { readonly [al: number]: number } = { 1: 14, 2: 8, 4: 16 };
const rowsByCode = [0, 14, 25, 43];

export function* fontService(context: VideoContext, registers: FontRegisters): VideoProgram {
  const { al, bx } = registers;
  switch (al) {
    case 0x00:
    case 0x10:
      yield* loadText(registers.font, bx >> 8, registers.dx, registers.cx, bx & 7, al >= 0x10);
      return;
    case 0x01:
    case 0x02:
    case 0x04:
    case 0x11:
    case 0x12:
    case 0x14: {
      const height = romHeights[al & 0x0f];
      yield* loadText(romFont(context, height)!, height, 0, 256, bx & 7, al >= 0x10);
      return;
    }
    case 0x03:
      yield* outIndexed(ports.sequencer, [[3, bx & 0x3f]]);
      return;
    case 0x20:
      yield* setVector(vectors.upperFont, registers.font);
      return;
    case 0x21:
      yield* useGraphicsFont(registers.font, registers.cx, bx & 0xff, registers.dx & 0xff);
      return;
    case 0x22:
    case 0x23:
    case 0x24: {
      const height = { 34: 14, 35: 8, 36: 16 }[al];
      yield* useGraphicsFont(romFont(context, height)!, height, bx & 0xff, registers.dx & 0xff);
      return;
    }
    case 0x30:
      yield* fontInformation(context, bx >> 8);
  }
}

/** Loads glyphs; `adapts` also fits rows, cursor and timing to the new height. */
function* loadText(
  font: Place,
  height: number,
  first: number,
  count: number,
  block: number,
  adapts: boolean,
): VideoProgram {
  const screen = yield* readScreen();
  if (screen.mode?.model !== "text" || height === 0 || height > 32) return;
  yield* loadFontInto(block, font, height, first, count, screen.mode.isMono);
  if (!adapts) return;
  const { crtcPort } = screen;
  const maximum = yield* inputIndexed(crtcPort, 0x09);
  yield* outIndexed(crtcPort, [[0x09, (maximum & 0xe0) | (height - 1)]]);
  const overflow = yield* inputIndexed(crtcPort, 0x07);
  const low = yield* inputIndexed(crtcPort, 0x12);
  let lines = (low | ((overflow & 0x02) << 7) | ((overflow & 0x40) << 3)) + 1;
  if ((maximum & 0x80) !== 0) lines >>= 1;
  const rows = Math.max(1, Math.floor(lines / height));
  const cursorStart = height < 8 ? height - 2 : height - 3;
  yield* outIndexed(crtcPort, [
    [0x0a, Math.max(0, cursorStart)],
    [0x0b, Math.max(height - 2, 0)],
    [0x14, screen.mode.isMono ? height - 1 : 0x1f],
  ]);
  yield* poke(bdaPlace(bda.videoRows), [rows - 1, height, 0]);
  const pageBytes = Math.ceil((rows * screen.columns * 2) / 256) * 256;
  yield* pokeWord(bdaPlace(bda.videoPageBytes), pageBytes);
}

/** The font that graphics modes draw with; BL tells the rows, 0 takes DL. */
function* useGraphicsFont(font: Place, height: number, rowCode: number, rows: number): VideoProgram {
  yield* setVector(vectors.graphicsFont, font);
  yield* pokeWord(bdaPlace(bda.fontHeight), height);
  const count = rowCode === 0 ? rows : (rowsByCode[rowCode] ?? 25);
  yield* setBdaByte(bda.videoRows, Math.max(0, count - 1));
}

/** AL = 30h: ES:BP points to the font that BH names, CX is the height in force, DL the rows less one. */
function* fontInformation(context: VideoContext, which: number): VideoProgram {
  const rom = (offset: number): Place => ({ segment: context.romSegment, offset });
  const { labels } = context;
  let font: Place;
  switch (which) {
    case 0:
    case 1: {
      const vector = yield* peek({ segment: 0, offset: which === 0 ? vectors.upperFont : vectors.graphicsFont }, 4);
      font = { segment: vector[2] | (vector[3] << 8), offset: vector[0] | (vector[1] << 8) };
      break;
    }
    case 2:
      font = rom(labels.font8x14);
      break;
    case 3:
      font = rom(labels.font8x8);
      break;
    case 4:
      font = rom(labels.font8x8 + 128 * 8);
      break;
    case 5:
    case 7:
      font = rom(labels.font9);
      break;
    case 6:
      font = rom(labels.font8x16);
      break;
    default:
      return;
  }
  const screen = yield* readScreen();
  yield* setRegister("es", font.segment);
  yield* setRegister("bp", font.offset);
  yield* setRegister("cx", screen.characterHeight);
  yield* setRegister("dx", screen.rows - 1);
}
