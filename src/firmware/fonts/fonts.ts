/**
 * The three fonts of the VGA BIOS for code page 437: 8×16, 8×14 and 8×8, drawn for Anneau. One drawing (14 lines, with
 * marks for stretching and shrinking) gives all three; `glyph-rows-8.ts` overrides where 8 lines need another shape,
 * accents are composed, line and block characters computed. Each font is 256 glyphs of `height` bytes, bit 7 leftmost.
 */
import { accentedLetters, accents } from "./accents.ts";
import { boxGlyph } from "./box-drawing.ts";
import { GLYPH_ROWS_8 } from "./glyph-rows-8.ts";
import { GLYPH_ROWS_14 } from "./glyph-rows-14.ts";

interface DrawnGlyph {
  /** One byte per line. */
  readonly rows: Uint8Array;
  /** Line that the 16-line font doubles, -1 if none is marked. */
  readonly stretchLine: number;
  /** Lines that the 8-line font leaves out. */
  readonly droppedLines: readonly number[];
}

/** Columns from one glyph of a block to the next: 8 dots, the mark, a space. */
const cellColumns = 10;

/** Reads a drawing into glyphs by code page 437 number. */
function parseDrawing(drawing: string, height: number): Map<number, DrawnGlyph> {
  const glyphs = new Map<number, DrawnGlyph>();
  const lines = drawing.trim().split("\n");
  for (let top = 0; top < lines.length; top += height + 1) {
    const codes = lines[top].slice(2).split(" ");
    for (const [column, code] of codes.entries()) {
      const rows = new Uint8Array(height);
      const droppedLines: number[] = [];
      let stretchLine = -1;
      for (let y = 0; y < height; y++) {
        const cell = lines[top + 1 + y].slice(column * cellColumns, column * cellColumns + 9);
        rows[y] = dots(cell.slice(0, 8));
        const mark = cell.charAt(8);
        if (mark === "+" || mark === "*") stretchLine = y;
        if (mark === "-" || mark === "*") droppedLines.push(y);
      }
      glyphs.set(Number.parseInt(code, 16), { rows, stretchLine, droppedLines });
    }
  }
  return glyphs;
}

/** Eight characters, `#` for a dot that is on, as a byte. */
function dots(cell: string): number {
  let byte = 0;
  for (let x = 0; x < 8; x++) if (cell[x] === "#") byte |= 0x80 >> x;
  return byte;
}

const drawn14 = parseDrawing(GLYPH_ROWS_14, 14);
const drawn8 = parseDrawing(GLYPH_ROWS_8, 8);

/** The 16-line form: one line doubled, one blank line below. */
function stretched(glyph: DrawnGlyph): Uint8Array {
  const rows = new Uint8Array(16);
  for (let y = 0; y < 15; y++) rows[y] = glyph.rows[y <= glyph.stretchLine ? y : y - 1];
  return rows;
}

/** The 8-line form: lines 2-11 without the two marked ones. */
function shrunk(glyph: DrawnGlyph): Uint8Array {
  const rows = new Uint8Array(8);
  let out = 0;
  for (let y = 2; y < 14 && out < 8; y++) if (!glyph.droppedLines.includes(y)) rows[out++] = glyph.rows[y];
  return rows;
}

/** A capital one line shorter than usual with its top on line 3, as room for an accent. */
function loweredCapital(glyph: DrawnGlyph, height: 14 | 16): Uint8Array {
  const rows = new Uint8Array(height);
  if (height === 16) rows.set(glyph.rows.subarray(2, 14), 3);
  else {
    let out = 3;
    for (let y = 2; y < 14; y++) if (y !== glyph.stretchLine) rows[out++] = glyph.rows[y];
  }
  return rows;
}

function withAccent(base: number, code: number, height: 8 | 14 | 16): Uint8Array {
  const glyph = drawn14.get(base)!;
  const [, , name] = accentedLetters.find(([accented]) => accented === code)!;
  const accent = accents[name];
  const isCapital = base >= 0x41 && base <= 0x5a && name !== "cedilla";
  let rows =
    height === 16
      ? stretched(glyph)
      : height === 14
        ? glyph.rows.slice()
        : (drawn8.get(base)?.rows.slice() ?? shrunk(glyph));
  let line = height === 8 ? 0 : accent.line;
  let shape = height === 8 ? accent.smallRows : accent.rows;
  if (isCapital) {
    if (height !== 8 && !accent.joinsCapital) rows = loweredCapital(glyph, height);
    line = 0;
    shape = accent.capitalRows;
  } else if (height === 16 && line > glyph.stretchLine) line++;
  for (const [index, row] of shape.entries()) rows[line + index] |= dots(row);
  return rows;
}

function buildFont(height: 8 | 14 | 16): Uint8Array {
  const font = new Uint8Array(256 * height);
  const put = (code: number, rows: Uint8Array) => font.set(rows, code * height);
  for (const [code, glyph] of drawn14) {
    put(code, height === 16 ? stretched(glyph) : height === 14 ? glyph.rows : shrunk(glyph));
  }
  for (const [code, base] of accentedLetters) put(code, withAccent(base, code, height));
  for (let code = 0xb0; code <= 0xdf; code++) put(code, boxGlyph(code, height));
  if (height === 8) for (const [code, glyph] of drawn8) put(code, glyph.rows);
  return font;
}

/** 256 glyphs of 16 bytes. */
export const font8x16: Uint8Array = buildFont(16);
/** 256 glyphs of 14 bytes. */
export const font8x14: Uint8Array = buildFont(14);
/** 256 glyphs of 8 bytes. */
export const font8x8: Uint8Array = buildFont(8);
