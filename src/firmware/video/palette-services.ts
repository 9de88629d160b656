/** INT 10h AH = 0Bh and 10h: CGA colours, attribute controller palette, DAC (IBM PS/2 BIOS reference). */
import { bda } from "../bios-data-area.ts";
import { toGrey } from "./palettes.ts";
import { input, inputMany, out, outMany, type Place, peek, poke, setRegister, type VideoProgram } from "./program.ts";
import { readScreen, setBdaByte } from "./screen.ts";
import { ports } from "./set-mode.ts";

const PALETTE_ON = 0x20;
const OVERSCAN = 0x11;
const MODE_CONTROL = 0x10;
const COLOR_SELECT = 0x14;
const BLINK = 0x08;
const P54S = 0x80;

interface Registers {
  readonly al: number;
  readonly bx: number;
  readonly cx: number;
  readonly dx: number;
  /** ES:DX */
  readonly buffer: Place;
}

/** Resets the attribute controller's flip-flop. */
export function* resetFlipFlop(crtcPort: number): VideoProgram {
  yield* input(crtcPort + 6);
}

export function* writeAttribute(crtcPort: number, index: number, value: number): VideoProgram {
  yield* resetFlipFlop(crtcPort);
  yield* outMany(ports.attribute, [index, value]);
  yield* out(ports.attribute, PALETTE_ON);
}

export function* readAttribute(crtcPort: number, index: number): VideoProgram<number> {
  yield* resetFlipFlop(crtcPort);
  yield* out(ports.attribute, index);
  const value = yield* input(ports.attributeRead);
  yield* resetFlipFlop(crtcPort);
  yield* out(ports.attribute, PALETTE_ON);
  return value;
}

export function* readDac(first: number, count: number): VideoProgram<Uint8Array> {
  yield* out(ports.dacRead, first);
  return yield* inputMany(ports.dacData, count * 3);
}

export function* writeDac(first: number, colors: ArrayLike<number>): VideoProgram {
  yield* out(ports.dacWrite, first);
  yield* outMany(ports.dacData, colors);
}

/** AH = 10h */
export function* paletteService({ al, bx, buffer, cx, dx }: Registers): VideoProgram {
  const { crtcPort } = yield* readScreen();
  const bl = bx & 0xff;
  const bh = bx >> 8;
  switch (al) {
    case 0x00:
      if (bl <= COLOR_SELECT) yield* writeAttribute(crtcPort, bl, bh);
      return;
    case 0x01:
      yield* writeAttribute(crtcPort, OVERSCAN, bh);
      return;
    case 0x02: {
      const values = yield* peek(buffer, 17);
      yield* resetFlipFlop(crtcPort);
      const pairs = Array.from(values.subarray(0, 16), (value, index) => [index, value]);
      yield* outMany(ports.attribute, [...pairs.flat(), OVERSCAN, values[16]]);
      yield* out(ports.attribute, PALETTE_ON);
      return;
    }
    case 0x03: {
      const mode = yield* readAttribute(crtcPort, MODE_CONTROL);
      yield* writeAttribute(crtcPort, MODE_CONTROL, (bl & 1) !== 0 ? mode | BLINK : mode & ~BLINK);
      return;
    }
    case 0x07:
      if (bl <= COLOR_SELECT) yield* setRegister("bx", bl | ((yield* readAttribute(crtcPort, bl)) << 8));
      return;
    case 0x08:
      yield* setRegister("bx", bl | ((yield* readAttribute(crtcPort, OVERSCAN)) << 8));
      return;
    case 0x09: {
      const values: number[] = [];
      for (const index of [...Array(16).keys(), OVERSCAN]) values.push(yield* readAttribute(crtcPort, index));
      yield* poke(buffer, values);
      return;
    }
    case 0x10:
      yield* writeDac(bl, [dx >> 8, cx >> 8, cx & 0xff]);
      return;
    case 0x12:
      yield* writeDac(bl, yield* peek(buffer, Math.min(cx, 256) * 3));
      return;
    case 0x13: {
      const mode = yield* readAttribute(crtcPort, MODE_CONTROL);
      if (bl === 0) yield* writeAttribute(crtcPort, MODE_CONTROL, (bh & 1) !== 0 ? mode | P54S : mode & ~P54S);
      else if (bl === 1) yield* writeAttribute(crtcPort, COLOR_SELECT, (mode & P54S) !== 0 ? bh & 15 : (bh & 3) << 2);
      return;
    }
    case 0x15: {
      const [red, green, blue] = yield* readDac(bl, 1);
      yield* setRegister("dx", (dx & 0xff) | (red << 8));
      yield* setRegister("cx", (green << 8) | blue);
      return;
    }
    case 0x17:
      yield* poke(buffer, yield* readDac(bl, Math.min(cx, 256)));
      return;
    case 0x18:
      yield* out(ports.pelMask, bl);
      return;
    case 0x19:
      yield* setRegister("bx", (bx & 0xff00) | (yield* input(ports.pelMask)));
      return;
    case 0x1a: {
      const mode = yield* readAttribute(crtcPort, MODE_CONTROL);
      const select = yield* readAttribute(crtcPort, COLOR_SELECT);
      const isSixteen = (mode & P54S) !== 0;
      yield* setRegister("bx", (isSixteen ? 1 : 0) | ((isSixteen ? select : select >> 2) << 8));
      return;
    }
    case 0x1b:
      yield* greyRange(bl, Math.min(cx, 256));
  }
}

/** Replaces a range of the DAC by its grey levels. */
export function* greyRange(first: number, count: number): VideoProgram {
  yield* writeDac(first, toGrey(yield* readDac(first, count)));
}

/** AH = 0Bh: border and background, or one of the two CGA palettes. */
export function* cgaPalette(bh: number, bl: number): VideoProgram {
  const { colorSelect, crtcPort, mode } = yield* readScreen();
  if (bh === 0) {
    const color = (bl & 7) | ((bl & 8) << 1);
    yield* writeAttribute(crtcPort, OVERSCAN, color);
    if (mode?.model !== "text") yield* writeAttribute(crtcPort, 0, color);
    const intensity = bl & 0x10;
    if (mode?.number === 4 || mode?.number === 5) {
      for (let index = 1; index < 4; index++) {
        const value = yield* readAttribute(crtcPort, index);
        yield* writeAttribute(crtcPort, index, (value & ~0x10) | intensity);
      }
    }
    yield* setBdaByte(bda.videoPalette, (colorSelect & 0xe0) | (bl & 0x1f));
  } else if (bh === 1) {
    for (let index = 1; index < 4; index++) {
      const value = yield* readAttribute(crtcPort, index);
      yield* writeAttribute(crtcPort, index, (value & ~1) | (bl & 1));
    }
    yield* setBdaByte(bda.videoPalette, (colorSelect & 0xdf) | ((bl & 1) << 5));
  }
}
