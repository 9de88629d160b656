/** INT 10h AH = 12h (alternate select), 1Ah (display combination), 1Bh (state information), 1Ch (save and restore). */
import { bda } from "../bios-data-area.ts";
import type { VideoContext } from "./int10.ts";
import {
  input,
  inputIndexed,
  out,
  outIndexed,
  type Place,
  peek,
  poke,
  setRegister,
  type VideoProgram,
} from "./program.ts";
import { bdaPlace, readScreen, setBdaByte } from "./screen.ts";
import { ports } from "./set-mode.ts";

const DONE = 0x12;
/** 40:89 */
const LINES_MASK = 0x90;
const KEEP_PALETTE = 0x08;
const GREY = 0x02;
/** 40:87 bit 0: cursor emulation off. */
const CURSOR_EMULATION_OFF = 0x01;
const SCREEN_OFF = 0x20;
const VIDEO_MEMORY_ENABLE = 0x02;

/** AH = 12h; BL selects. */
export function* alternateSelect(ax: number, bx: number): VideoProgram {
  const al = ax & 0xff;
  const done = () => setRegister("ax", (ax & 0xff00) | DONE);
  const setModeFlag = function* (mask: number, value: number): VideoProgram {
    const { modeSet } = yield* readScreen();
    yield* setBdaByte(bda.videoModeSet, (modeSet & ~mask) | value);
    yield* done();
  };
  switch (bx & 0xff) {
    case 0x10: {
      // Colour or mono, 256 KiB; feature bits 0, switches 9.
      const { mode } = yield* readScreen();
      yield* setRegister("bx", ((mode?.isMono ? 1 : 0) << 8) | 0x03);
      yield* setRegister("cx", 0x0009);
      return;
    }
    case 0x30: {
      const lines = [0x80, 0x00, 0x10][al];
      if (lines !== undefined) yield* setModeFlag(LINES_MASK, lines);
      return;
    }
    case 0x31:
      if (al <= 1) yield* setModeFlag(KEEP_PALETTE, al === 1 ? KEEP_PALETTE : 0);
      return;
    case 0x32: {
      if (al > 1) return;
      const misc = yield* input(ports.miscRead);
      yield* out(ports.misc, al === 0 ? misc | VIDEO_MEMORY_ENABLE : misc & ~VIDEO_MEMORY_ENABLE);
      yield* done();
      return;
    }
    case 0x33:
      if (al <= 1) yield* setModeFlag(GREY, al === 0 ? GREY : 0);
      return;
    case 0x34: {
      if (al > 1) return;
      const { control } = yield* readScreen();
      const off = al === 1 ? CURSOR_EMULATION_OFF : 0;
      yield* setBdaByte(bda.videoControl, (control & ~CURSOR_EMULATION_OFF) | off);
      yield* done();
      return;
    }
    case 0x36: {
      if (al > 1) return;
      const clocking = yield* inputIndexed(ports.sequencer, 1);
      yield* outIndexed(ports.sequencer, [[1, al === 1 ? clocking | SCREEN_OFF : clocking & ~SCREEN_OFF]]);
      yield* done();
      return;
    }
  }
}

/** AH = 1Ah */
export function* displayCombination(ax: number, bx: number): VideoProgram {
  const al = ax & 0xff;
  if (al === 0) yield* setRegister("bx", (yield* readScreen()).displayCode);
  else if (al === 1) yield* setBdaByte(bda.videoDisplayCode, bx & 0xff);
  else return;
  yield* setRegister("ax", (ax & 0xff00) | 0x1a);
}

/** AH = 1Bh: 64 bytes at ES:DI. */
export function* stateInformation(context: VideoContext, ax: number, bx: number, target: Place): VideoProgram {
  if (bx !== 0) return;
  const screen = yield* readScreen();
  const block = new Uint8Array(64);
  const view = new DataView(block.buffer);
  view.setUint16(0, context.labels.staticFunctionality, true);
  view.setUint16(2, context.romSegment, true);
  block.set(yield* peek(bdaPlace(bda.videoMode), 30), 4);
  block.set(yield* peek(bdaPlace(bda.videoRows), 3), 0x22);
  block[0x25] = screen.displayCode;
  const isText = screen.mode?.model === "text";
  view.setUint16(
    0x27,
    screen.mode?.bits === 8 ? 256 : screen.mode?.isMono ? 0 : isText ? 16 : 2 ** (screen.mode?.bits ?? 4),
    true,
  );
  block[0x29] = screen.mode?.pages ?? 1;
  block[0x2a] = { 200: 0, 350: 1, 400: 2, 480: 3 }[screen.mode?.heightPixels ?? 400] ?? 2;
  // Miscellaneous: all modes on all displays, cursor emulation, blinking.
  block[0x2d] = 0x21;
  block[0x31] = 3;
  yield* poke(target, block);
  yield* setRegister("ax", (ax & 0xff00) | 0x1b);
}
