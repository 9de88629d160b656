/** INT 10h AH = 4Fh: VESA BIOS Extension 2.0 over DISPI. Unsupported functions answer AX = 0100h. */
import { bda } from "../bios-data-area.ts";
import {
  DISPI_8BIT_DAC,
  DISPI_ENABLED,
  DISPI_KEEP_MEMORY,
  DISPI_LINEAR,
  dispi,
  isDispiEnabled,
  readDispi,
  writeDispi,
} from "./dispi.ts";
import type { VideoContext } from "./int10.ts";
import { standardMode } from "./modes.ts";
import { readDac, writeDac } from "./palette-services.ts";
import { defaultPalette } from "./palettes.ts";
import {
  inputIndexed,
  out,
  outIndexed,
  type Place,
  peek,
  peekWord,
  poke,
  pokeWord,
  setRegister,
  type VideoProgram,
} from "./program.ts";
import { restoreState, savedStateBlocks, saveState } from "./saved-video-state.ts";
import { bdaPlace, setBdaByte } from "./screen.ts";
import { ports, programRegisters, setMode, VBE_MODE, writePalette } from "./set-mode.ts";
import { modeInformation, vbeInformation } from "./vbe-information.ts";
import { findVbeMode, pitchBytes, type VbeMode } from "./vbe-modes.ts";

export interface VbeRegisters {
  readonly ax: number;
  readonly bx: number;
  readonly cx: number;
  readonly dx: number;
  /** ES:DI and ES:BX */
  readonly buffer: Place;
  readonly bufferBx: Place;
}

const OK = 0x004f;
const FAILED = 0x014f;
const UNSUPPORTED = 0x0100;
const MODE_LINEAR = 0x4000;
const MODE_KEEP_MEMORY = 0x8000;
const MODE_NUMBER = 0x1ff;
/** Stored as mode number in packed VBE modes: no standard mode, so the BIOS does not draw text there. */
const PACKED_VBE = 0x6f;
const PLANAR = 0x12;
const SCREEN_OFF = 0x20;

const low = (value: number) => value & 0xff;
const high = (value: number) => value >> 8;

export function* vbe(context: VideoContext, registers: VbeRegisters): VideoProgram {
  const answer = yield* vbeFunction(context, registers);
  yield* setRegister("ax", answer);
}

function* vbeFunction(context: VideoContext, registers: VbeRegisters): VideoProgram<number> {
  const { ax, buffer, bx, cx } = registers;
  switch (low(ax)) {
    case 0x00:
      yield* vbeInformation(context, buffer);
      return OK;
    case 0x01: {
      const mode = yield* available(cx & MODE_NUMBER);
      if (mode === undefined) return FAILED;
      yield* modeInformation(context, mode, buffer);
      return OK;
    }
    case 0x02:
      return yield* setVbeMode(context, bx);
    case 0x03: {
      const isOn = yield* isDispiEnabled();
      const number = yield* peekWord(bdaPlace(VBE_MODE));
      const [standard] = yield* peek(bdaPlace(bda.videoMode), 1);
      yield* setRegister("bx", isOn && number !== 0 ? number : standard & 0x7f);
      return OK;
    }
    case 0x04:
      return yield* stateFunction(registers);
    case 0x05:
      return yield* window(registers);
    case 0x06:
      return yield* lineLength(registers);
    case 0x07:
      return yield* displayStart(registers);
    case 0x08:
      return yield* paletteFormat(registers);
    case 0x09:
      return yield* paletteData(registers);
    case 0x0a:
      if (low(bx) !== 0) return FAILED;
      yield* setRegister("es", context.romSegment);
      yield* setRegister("di", context.labels["vbe.protected"]);
      yield* setRegister("cx", context.labels["vbe.protected.end"] - context.labels["vbe.protected"]);
      return OK;
    case 0x10:
      return yield* powerManagement(registers);
    default:
      return UNSUPPORTED;
  }
}

function* available(number: number): VideoProgram<VbeMode | undefined> {
  return findVbeMode(number, (yield* readDispi(dispi.memory64K)) * 0x10000);
}

/** The mode in force, from DISPI; undefined in standard modes. */
function* current(): VideoProgram<VbeMode | undefined> {
  if (!(yield* isDispiEnabled())) return undefined;
  return {
    number: yield* peekWord(bdaPlace(VBE_MODE)),
    widthPixels: yield* readDispi(dispi.width),
    heightPixels: yield* readDispi(dispi.height),
    bits: yield* readDispi(dispi.bitsPerPixel),
  };
}

function* setVbeMode(context: VideoContext, bx: number): VideoProgram<number> {
  const number = bx & MODE_NUMBER;
  const keepsMemory = (bx & MODE_KEEP_MEMORY) !== 0;
  if (number < 0x100) {
    if (standardMode(number & 0x7f) === undefined) return FAILED;
    yield* setMode(context, (number & 0x7f) | (keepsMemory ? 0x80 : 0), 0);
    return OK;
  }
  const mode = yield* available(number);
  if (mode === undefined) return FAILED;
  const isPlanar = mode.bits === 4;
  yield* writeDispi(dispi.enable, 0);
  // The VGA underneath: the addressing of the planar or the chained mode, so that banks at A0000h work.
  const base = standardMode(isPlanar ? PLANAR : 0x13)!;
  yield* programRegisters(base);
  yield* writeDispi(dispi.width, mode.widthPixels);
  yield* writeDispi(dispi.height, mode.heightPixels);
  yield* writeDispi(dispi.bitsPerPixel, mode.bits);
  const enable = DISPI_ENABLED | DISPI_LINEAR | (keepsMemory ? DISPI_KEEP_MEMORY : 0);
  yield* writeDispi(dispi.enable, enable);
  yield* writePalette(defaultPalette(isPlanar ? "ega" : "vga256"));
  yield* out(ports.attribute, 0x20);
  yield* fillVbeDataArea(mode, bx & (MODE_LINEAR | MODE_NUMBER), isPlanar);
  return OK;
}

function* fillVbeDataArea(mode: VbeMode, stored: number, isPlanar: boolean): VideoProgram {
  const columns = Math.floor(mode.widthPixels / 8);
  yield* setBdaByte(bda.videoMode, isPlanar ? PLANAR : PACKED_VBE);
  yield* pokeWord(bdaPlace(bda.videoColumns), columns);
  yield* poke(bdaPlace(bda.videoPageBytes), new Uint8Array(4 + 16));
  yield* setBdaByte(bda.videoPage, 0);
  yield* poke(bdaPlace(bda.videoRows), [Math.floor(mode.heightPixels / 16) - 1, 16, 0]);
  yield* pokeWord(bdaPlace(VBE_MODE), stored);
}

/** Function 04h: DL 0 size, 1 save, 2 restore; CX the parts. */
function* stateFunction({ bufferBx, cx, dx }: VbeRegisters): VideoProgram<number> {
  switch (low(dx)) {
    case 0:
      yield* setRegister("bx", savedStateBlocks(cx));
      return OK;
    case 1:
      yield* saveState(cx, bufferBx);
      return OK;
    case 2:
      yield* restoreState(cx, bufferBx);
      return OK;
    default:
      return FAILED;
  }
}

/** Function 05h: window A in steps of 64 KiB. */
function* window({ bx, dx }: VbeRegisters): VideoProgram<number> {
  if (low(bx) !== 0 || high(bx) > 1 || !(yield* isDispiEnabled())) return FAILED;
  if (high(bx) === 1) yield* setRegister("dx", yield* readDispi(dispi.bank));
  else yield* writeDispi(dispi.bank, dx);
  return OK;
}

/** Function 06h: BL 0 set in pixels, 1 get, 2 set in bytes, 3 the most. */
function* lineLength({ bx, cx }: VbeRegisters): VideoProgram<number> {
  const mode = yield* current();
  if (mode === undefined || low(bx) > 3) return FAILED;
  const bytesOf = (pixels: number) => pitchBytes({ ...mode, widthPixels: pixels });
  const perPixel = bytesOf(8) / 8;
  const memoryBytes = (yield* readDispi(dispi.memory64K)) * 0x10000;
  if (low(bx) === 3) {
    const planes = mode.bits === 4 ? 4 : 1;
    const most = Math.min(0x7ff8, Math.floor(memoryBytes / planes / mode.heightPixels / perPixel) & ~7);
    yield* setRegister("bx", bytesOf(most) & 0xffff);
    yield* setRegister("cx", most);
    yield* setRegister("dx", mode.heightPixels);
    return OK;
  }
  if (low(bx) !== 1) {
    const pixels = low(bx) === 0 ? cx : Math.ceil(cx / perPixel);
    if (pixels < mode.widthPixels || pixels > 0x7fff) return FAILED;
    yield* writeDispi(dispi.virtualWidth, Math.ceil(pixels / 8) * 8);
  }
  const width = yield* readDispi(dispi.virtualWidth);
  yield* setRegister("bx", bytesOf(width) & 0xffff);
  yield* setRegister("cx", width);
  yield* setRegister("dx", yield* readDispi(dispi.virtualHeight));
  return OK;
}

/** Function 07h: BL 0 or 80h set, 1 get; CX pixel, DX line. */
function* displayStart({ bx, cx, dx }: VbeRegisters): VideoProgram<number> {
  if (!(yield* isDispiEnabled())) return FAILED;
  switch (low(bx)) {
    case 0x00:
    case 0x80:
      yield* writeDispi(dispi.xOffset, cx);
      yield* writeDispi(dispi.yOffset, dx);
      return OK;
    case 0x01:
      yield* setRegister("bx", low(bx));
      yield* setRegister("cx", yield* readDispi(dispi.xOffset));
      yield* setRegister("dx", yield* readDispi(dispi.yOffset));
      return OK;
    default:
      return FAILED;
  }
}

/** Function 08h: 6 or 8 bits for each colour of the DAC. */
function* paletteFormat({ bx }: VbeRegisters): VideoProgram<number> {
  const mode = yield* current();
  if (low(bx) > 1 || mode === undefined || mode.bits > 8) return FAILED;
  let enable = yield* readDispi(dispi.enable);
  if (low(bx) === 0) {
    enable = high(bx) >= 8 ? enable | DISPI_8BIT_DAC : enable & ~DISPI_8BIT_DAC;
    yield* writeDispi(dispi.enable, enable | DISPI_KEEP_MEMORY);
  }
  yield* setRegister("bx", low(bx) | ((enable & DISPI_8BIT_DAC ? 8 : 6) << 8));
  return OK;
}

/** Function 09h: BL 0 or 80h set, 1 get; CX entries from DX, four bytes each: blue, green, red, nothing. */
function* paletteData({ buffer, bx, cx, dx }: VbeRegisters): VideoProgram<number> {
  const count = Math.min(cx, 256 - low(dx));
  if (dx > 0xff) return FAILED;
  switch (low(bx)) {
    case 0x00:
    case 0x80: {
      const entries = yield* peek(buffer, count * 4);
      const colors = new Uint8Array(count * 3);
      for (let i = 0; i < count; i++) colors.set([entries[i * 4 + 2], entries[i * 4 + 1], entries[i * 4]], i * 3);
      yield* writeDac(dx, colors);
      return OK;
    }
    case 0x01: {
      const colors = yield* readDac(dx, count);
      const entries = new Uint8Array(count * 4);
      for (let i = 0; i < count; i++) entries.set([colors[i * 3 + 2], colors[i * 3 + 1], colors[i * 3]], i * 4);
      yield* poke(buffer, entries);
      return OK;
    }
    default:
      return FAILED;
  }
}

/** Function 10h (VBE/PM 1.0): on, or off by blanking the screen. */
function* powerManagement({ bx }: VbeRegisters): VideoProgram<number> {
  const clocking = yield* inputIndexed(ports.sequencer, 1);
  switch (low(bx)) {
    case 0:
      // Standby, suspend and off; version 1.0.
      yield* setRegister("bx", 0x0710);
      return OK;
    case 1:
      yield* outIndexed(ports.sequencer, [[1, high(bx) === 0 ? clocking & ~SCREEN_OFF : clocking | SCREEN_OFF]]);
      return OK;
    case 2:
      yield* setRegister("bx", low(bx) | ((clocking & SCREEN_OFF ? 4 : 0) << 8));
      return OK;
    default:
      return FAILED;
  }
}
