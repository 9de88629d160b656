/** INT 10h: from the caller's registers to the function. Unknown functions change nothing. */
import { alternateSelect, displayCombination, stateInformation } from "./adapter-services.ts";
import { fontService } from "./font-services.ts";
import { readPixel, writePixel } from "./graphics-text.ts";
import { cgaPalette, paletteService } from "./palette-services.ts";
import { type FrameRegister, frame, setRegister, type VideoProgram } from "./program.ts";
import { restoreState, savedStateBlocks, saveState } from "./saved-video-state.ts";
import { setMode } from "./set-mode.ts";
import {
  getCursor,
  getMode,
  readCharacter,
  scroll,
  setCursorPosition,
  setCursorShape,
  setPage,
  teletype,
  writeCharacters,
  writeString,
} from "./text.ts";
import { vbe } from "./vbe.ts";

/** Where the ROM is, as a caller names it, and what is in it. */
export interface VideoContext {
  readonly romSegment: number;
  readonly labels: { readonly [label: string]: number };
}

/** The logic of one INT 10h call (see video-service.ts). */
export function* int10(context: VideoContext, bytes: Uint8Array): VideoProgram {
  const reg = (name: FrameRegister) => bytes[frame[name]] | (bytes[frame[name] + 1] << 8);
  const [ax, bx, cx, dx] = [reg("ax"), reg("bx"), reg("cx"), reg("dx")];
  const [al, bl, bh] = [ax & 0xff, bx & 0xff, bx >> 8];
  const at = (offset: number) => ({ segment: reg("es"), offset });
  switch (ax >> 8) {
    case 0x00:
      yield* setMode(context, al, ax);
      return;
    case 0x01:
      yield* setCursorShape(cx);
      return;
    case 0x02:
      yield* setCursorPosition(bh, dx);
      return;
    case 0x03:
      yield* getCursor(bh);
      return;
    case 0x04:
      // No light pen: not triggered.
      yield* setRegister("ax", al);
      return;
    case 0x05:
      yield* setPage(al);
      return;
    case 0x06:
    case 0x07:
      yield* scroll({
        top: cx >> 8,
        left: cx & 0xff,
        bottom: dx >> 8,
        right: dx & 0xff,
        lines: al,
        isDown: ax >> 8 === 0x07,
        attribute: bh,
      });
      return;
    case 0x08:
      yield* readCharacter(bh);
      return;
    case 0x09:
      yield* writeCharacters(al, bh, bl, bl, cx);
      return;
    case 0x0a:
      yield* writeCharacters(al, bh, undefined, bl, cx);
      return;
    case 0x0b:
      yield* cgaPalette(bh, bl);
      return;
    case 0x0c:
      yield* writePixel(al, bh, cx, dx);
      return;
    case 0x0d:
      yield* readPixel(ax, bh, cx, dx);
      return;
    case 0x0e:
      yield* teletype(al, bl);
      return;
    case 0x0f:
      yield* getMode(bx);
      return;
    case 0x10:
      yield* paletteService({ al, bx, cx, dx, buffer: at(dx) });
      return;
    case 0x11:
      yield* fontService(context, { al, bx, cx, dx, font: at(reg("bp")) });
      return;
    case 0x12:
      yield* alternateSelect(ax, bx);
      return;
    case 0x13:
      yield* writeString(al, bh, bl, cx, dx, at(reg("bp")));
      return;
    case 0x1a:
      yield* displayCombination(ax, bx);
      return;
    case 0x1b:
      yield* stateInformation(context, ax, bx, at(reg("di")));
      return;
    case 0x1c:
      if (al > 2) return;
      if (al === 0) yield* setRegister("bx", savedStateBlocks(cx & 7));
      else if (al === 1) yield* saveState(cx & 7, at(bx));
      else yield* restoreState(cx & 7, at(bx));
      yield* setRegister("ax", (ax & 0xff00) | 0x1c);
      return;
    case 0x4f:
      yield* vbe(context, { ax, bx, cx, dx, buffer: at(reg("di")), bufferBx: at(bx) });
      return;
  }
}
