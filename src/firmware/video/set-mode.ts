/** INT 10h AH = 00h: programs the VGA for a standard mode, clears memory, loads fonts, fills the data area. */
import { bda } from "../bios-data-area.ts";
import { dispi, writeDispi } from "./dispi.ts";
import type { VideoContext } from "./int10.ts";
import { standardMode, type VideoMode, withTextLines } from "./modes.ts";
import { defaultPalette, toGrey } from "./palettes.ts";
import {
  fillWords,
  input,
  loadFont,
  out,
  outIndexed,
  outMany,
  type Place,
  peek,
  poke,
  pokeWord,
  setRegister,
  type VideoProgram,
} from "./program.ts";
import { bdaPlace, PAGES, setBdaByte } from "./screen.ts";

export const ports = {
  attribute: 0x3c0,
  attributeRead: 0x3c1,
  misc: 0x3c2,
  miscRead: 0x3cc,
  sequencer: 0x3c4,
  pelMask: 0x3c6,
  dacRead: 0x3c7,
  dacWrite: 0x3c8,
  dacData: 0x3c9,
  graphics: 0x3ce,
  colorCrtc: 0x3d4,
  monoCrtc: 0x3b4,
} as const;

const PALETTE_ON = 0x20;
/** 40:89 */
const MODESET_350_IF_CLEAR = 0x10;
const MODESET_200 = 0x80;
const MODESET_KEEP_PALETTE = 0x08;
const MODESET_GREY = 0x02;
const MODESET_VGA = 0x01;
/** 40:87: 256 KiB of memory, cursor emulation on. */
const CONTROL = 0x60;
const cgaModeControl = [0x2c, 0x28, 0x2d, 0x29, 0x2a, 0x2e, 0x1e, 0x29];
const GRAPHICS_VECTOR = 0x43 * 4;
const UPPER_FONT_VECTOR = 0x1f * 4;

const indexed = (values: readonly number[], from = 0) =>
  values.slice(from).map((value, i) => [i + from, value] as const);

/** Sets `request`: mode number, bit 7 keeps the memory. Unknown modes change nothing. */
export function* setMode(context: VideoContext, request: number, ax: number): VideoProgram {
  const number = request & 0x7f;
  const known = standardMode(number);
  if (known === undefined) return;
  const keepsMemory = (request & 0x80) !== 0;
  const [modeSet] = yield* peek(bdaPlace(bda.videoModeSet), 1);
  const mode = withTextLines(known, textLines(modeSet));
  yield* writeDispi(dispi.enable, 0);
  yield* programRegisters(mode);
  if ((modeSet & MODESET_KEEP_PALETTE) === 0) {
    const palette = defaultPalette(mode.palette);
    yield* writePalette((modeSet & MODESET_GREY) !== 0 ? toGrey(palette) : palette);
  }
  if (!keepsMemory) yield* clearMemory(mode);
  if (mode.model === "text") yield* loadRomFont(context, mode.characterHeight, 0);
  yield* fillDataArea(context, mode, keepsMemory);
  yield* out(ports.attribute, PALETTE_ON);
  // What AL holds afterwards is the old video BIOSes' left-over, and some programs look at it.
  yield* setRegister("ax", (ax & 0xff00) | (number > 7 ? 0x20 : number === 6 ? 0x3f : 0x30));
}

function textLines(modeSet: number): 200 | 350 | 400 {
  if ((modeSet & MODESET_VGA) === 0) return 400;
  if ((modeSet & MODESET_200) !== 0) return 200;
  return (modeSet & MODESET_350_IF_CLEAR) !== 0 ? 400 : 350;
}

/** All registers of the mode, the screen blank until the caller sets the palette address source. */
export function* programRegisters(mode: VideoMode): VideoProgram {
  const crtcPort = mode.isMono ? ports.monoCrtc : ports.colorCrtc;
  yield* input(crtcPort + 6);
  yield* out(ports.attribute, 0x00);
  yield* outIndexed(ports.sequencer, [[0, 0x01]]);
  yield* out(ports.misc, mode.miscOutput);
  yield* outIndexed(ports.sequencer, [...indexed(mode.sequencer, 1), [0, 0x03]]);
  yield* outIndexed(crtcPort, [[0x11, mode.crtc[0x11] & 0x7f], ...indexed(mode.crtc)]);
  yield* outIndexed(ports.graphics, indexed(mode.graphics));
  yield* input(crtcPort + 6);
  yield* outMany(
    ports.attribute,
    mode.attributes.flatMap((value, index) => [index, value]),
  );
}

export function* writePalette(colors: Uint8Array): VideoProgram {
  yield* out(ports.pelMask, 0xff);
  yield* out(ports.dacWrite, 0);
  yield* outMany(ports.dacData, colors);
}

function* clearMemory(mode: VideoMode): VideoProgram {
  const place: Place = { segment: mode.segment, offset: 0 };
  if (mode.model === "text") yield* fillWords(place, 0x4000, 0x0720);
  else yield* fillWords(place, mode.model === "cga" ? 0x2000 : 0x8000, 0);
}

/** Where the video ROM has the font of this height, if it has one. */
export function romFont(context: VideoContext, height: number): Place | undefined {
  const label = { 8: "font8x8", 14: "font8x14", 16: "font8x16" }[height];
  return label === undefined ? undefined : { segment: context.romSegment, offset: context.labels[label] };
}

/** Offset of one of the eight font blocks in plane 2. */
export function fontBlockOffset(block: number): number {
  return ((block & 3) << 14) | ((block & 4) << 11);
}

/** Lets the processor reach plane 2, copies, and restores text addressing. */
export function* loadFontInto(
  block: number,
  source: Place,
  height: number,
  first: number,
  count: number,
  isMono: boolean,
): VideoProgram {
  yield* outIndexed(ports.sequencer, [
    [0, 0x01],
    [2, 0x04],
    [4, 0x07],
    [0, 0x03],
  ]);
  yield* outIndexed(ports.graphics, [
    [4, 0x02],
    [5, 0x00],
    [6, 0x04],
  ]);
  const offset = fontBlockOffset(block) + (first & 0xff) * 32;
  yield* loadFont({ segment: 0xa000, offset }, source, Math.min(height, 32), Math.min(count, 256 - (first & 0xff)));
  yield* outIndexed(ports.sequencer, [
    [0, 0x01],
    [2, 0x03],
    [4, 0x03],
    [0, 0x03],
  ]);
  yield* outIndexed(ports.graphics, [
    [4, 0x00],
    [5, 0x10],
    [6, isMono ? 0x0a : 0x0e],
  ]);
}

function* loadRomFont(context: VideoContext, height: number, block: number): VideoProgram {
  const source = romFont(context, height);
  if (source) yield* loadFontInto(block, source, height, 0, 256, false);
}

function* fillDataArea(context: VideoContext, mode: VideoMode, keepsMemory: boolean): VideoProgram {
  const crtcPort = mode.isMono ? ports.monoCrtc : ports.colorCrtc;
  const [start, end] = [mode.crtc[0x0a], mode.crtc[0x0b]];
  // The data area keeps the CGA shape of the cursor: lines 6 and 7.
  const shape = mode.model === "text" ? 0x0607 : (start << 8) | end;
  const head = new Uint8Array(bda.videoPalette + 1 - bda.videoMode);
  const view = new DataView(head.buffer);
  const word = (offset: number, value: number) => view.setUint16(offset - bda.videoMode, value, true);
  head[0] = mode.number;
  word(bda.videoColumns, mode.columns);
  word(bda.videoPageBytes, mode.pageBytes);
  word(bda.videoPageStart, 0);
  for (let page = 0; page < PAGES; page++) word(bda.cursorPositions + page * 2, 0);
  word(bda.cursorShape, shape);
  word(bda.crtcPort, crtcPort);
  head[bda.videoModeControl - bda.videoMode] = cgaModeControl[mode.number] ?? 0x29;
  head[bda.videoPalette - bda.videoMode] = mode.number === 6 ? 0x3f : 0x30;
  yield* poke(bdaPlace(bda.videoMode), head);
  const [oldModeSet] = yield* peek(bdaPlace(bda.videoModeSet), 1);
  const modeSet = (oldModeSet & MODESET_VGA) !== 0 ? oldModeSet : MODESET_VGA | MODESET_350_IF_CLEAR;
  const rows = mode.model === "text" ? Math.floor(mode.heightPixels / mode.characterHeight) : mode.rows;
  yield* poke(bdaPlace(bda.videoRows), [rows - 1, mode.characterHeight, 0, CONTROL | (keepsMemory ? 0x80 : 0)]);
  yield* poke(bdaPlace(bda.videoSwitches), [0xf9, modeSet, mode.isMono ? 0x07 : 0x08]);
  yield* pokeWord(bdaPlace(bda.videoSavePointer), context.labels.savePointers);
  yield* pokeWord(bdaPlace(bda.videoSavePointer + 2), context.romSegment);
  yield* setBdaByte(VBE_MODE, 0);
  yield* setBdaByte(VBE_MODE + 1, 0);
  const font = romFont(context, mode.characterHeight) ?? romFont(context, 16)!;
  yield* setVector(GRAPHICS_VECTOR, font);
  yield* setVector(UPPER_FONT_VECTOR, { segment: context.romSegment, offset: context.labels.font8x8 + 128 * 8 });
}

export function* setVector(at: number, target: Place): VideoProgram {
  yield* pokeWord({ segment: 0, offset: at }, target.offset);
  yield* pokeWord({ segment: 0, offset: at + 2 }, target.segment);
}

export const vectors = { graphicsFont: GRAPHICS_VECTOR, upperFont: UPPER_FONT_VECTOR } as const;
/** The VBE mode in force, 0 in standard modes: two bytes of the data area that nothing else uses. */
export const VBE_MODE = 0xba;
