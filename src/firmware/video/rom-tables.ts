/** Tables in the video ROM: the static functionality table of INT 10h 1Bh, the names of VBE function 00h. */
import type { Assembler } from "../assembler/assembler.ts";
import { standardMode, withTextLines } from "./modes.ts";
import { VIDEO_ROM_SEGMENT } from "./program.ts";

/** IBM PS/2 BIOS reference, INT 10h 1Bh: modes 0–13h, scan lines, fonts, what the functions can do. */
export function emitStaticFunctionality(a: Assembler): void {
  a.label("staticFunctionality");
  // Modes 0–7 (5 included), 0Dh–0Fh, 10h–13h.
  a.db(0xff, 0xe0, 0x0f);
  a.db(0, 0, 0, 0);
  // 200, 350 and 400 lines; two fonts at once of eight.
  a.db(0x07, 0x02, 0x08);
  // Mode set, DAC, palette, cursor emulation, font loading …; light pen none, save/restore, display codes.
  a.db(0xff, 0x0e);
  a.dw(0);
  a.db(0x3f, 0);
}

export function emitVbeStrings(a: Assembler): void {
  a.label("vbe.oem");
  a.db("Anneau VBE\0");
  a.label("vbe.vendor");
  a.db("Anneau\0");
  a.label("vbe.product");
  a.db("Anneau display adapter\0");
  a.label("vbe.revision");
  a.db("1\0");
}

/**
 * The table behind 40:A8 and its video parameter table: 29 entries of 64 bytes in IBM's order. 200-line text modes come
 * first, then the graphics modes, 350-line and 400-line text; places of modes that a VGA does not have are zero.
 */
export function emitSavePointers(a: Assembler): void {
  a.label("savePointers");
  a.dw("videoParameters", VIDEO_ROM_SEGMENT, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  a.label("videoParameters");
  for (const entry of parameterOrder) emitParameters(a, entry);
}

const parameterOrder: readonly (readonly [mode: number, lines: 200 | 350 | 400] | undefined)[] = [
  [0x00, 200],
  [0x01, 200],
  [0x02, 200],
  [0x03, 200],
  [0x04, 400],
  [0x05, 400],
  [0x06, 400],
  [0x07, 350],
  undefined,
  undefined,
  undefined,
  undefined,
  undefined,
  [0x0d, 400],
  [0x0e, 400],
  [0x0f, 400],
  [0x10, 400],
  [0x0f, 400],
  [0x10, 400],
  [0x00, 350],
  [0x01, 350],
  [0x02, 350],
  [0x03, 350],
  [0x01, 400],
  [0x03, 400],
  [0x07, 400],
  [0x11, 400],
  [0x12, 400],
  [0x13, 400],
];

function emitParameters(a: Assembler, entry: readonly [mode: number, lines: 200 | 350 | 400] | undefined): void {
  if (entry === undefined) {
    a.bytes(new Uint8Array(64));
    return;
  }
  const mode = withTextLines(standardMode(entry[0])!, entry[1]);
  const rows = mode.model === "text" ? Math.floor(mode.heightPixels / mode.characterHeight) : mode.rows;
  a.db(mode.columns, rows - 1, mode.characterHeight);
  a.dw(mode.pageBytes);
  a.db(...mode.sequencer.slice(1), mode.miscOutput, ...mode.crtc, ...mode.attributes.slice(0, 20), ...mode.graphics);
}
