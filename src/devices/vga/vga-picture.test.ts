import { describe, expect, it } from "vitest";
import { mode0d, mode03, mode04, mode06, mode07, mode12, mode13, modeX, VgaBench } from "./testing.ts";

/** A text mode whose character n has the rows `font(n)` in character map `map`. */
function loadGlyph(bench: VgaBench, character: number, rows: readonly number[], mapAddress = 0): void {
  for (const [row, bits] of rows.entries()) bench.memory.bytes[(mapAddress + character * 32 + row) * 4 + 2] = bits;
}

function putText(bench: VgaBench, cell: number, character: number, attribute: number): void {
  bench.context.writeMmio(0xb8000 + cell * 2, 2, character | (attribute << 8));
}

describe("text modes", () => {
  it("shows 720×400 dots with glyphs, colours and the ninth dot of line characters", () => {
    const bench = new VgaBench();
    bench.setMode(mode03);
    bench.cr(0x0a, 0x20); // no cursor
    expect([bench.vga.widthPixels, bench.vga.heightPixels, bench.vga.bitsPerPixel]).toEqual([720, 400, 0]);
    loadGlyph(bench, 0x41, [0x81, 0x01]);
    loadGlyph(bench, 0xc4, [0x01]);
    putText(bench, 0, 0x41, 0x1e); // yellow (AR 3Eh) on blue (AR 01h)
    putText(bench, 81, 0xc4, 0x07);
    expect([0, 1, 6, 7, 8].map((x) => bench.dacIndexAt(x, 0))).toEqual([0x3e, 1, 1, 0x3e, 1]);
    expect([0, 7].map((x) => bench.dacIndexAt(x, 1))).toEqual([1, 0x3e]);
    expect([9, 15, 16, 17, 18].map((x) => bench.dacIndexAt(x, 16))).toEqual([0, 0, 7, 7, 0]);
    bench.sr(1, 1);
    expect(bench.vga.widthPixels).toBe(640);
    expect(bench.dacIndexAt(15, 16)).toBe(7);
    bench.sr(1, 9); // 320 dots, each shown twice
    expect(bench.vga.widthPixels).toBe(1280);
  });

  it("gives the cells and the cursor as text", () => {
    const bench = new VgaBench();
    bench.setMode(mode03);
    for (const [i, character] of [..."Hello"].entries()) putText(bench, 80 * 3 + i, character.charCodeAt(0), 0x17);
    bench.cr(0x0e, 0);
    bench.cr(0x0f, 80 * 3 + 5);
    const cells = bench.vga.textCells()!;
    expect([cells.columns, cells.rows]).toEqual([80, 25]);
    expect(String.fromCharCode(...cells.characters.subarray(240, 245))).toBe("Hello");
    expect(cells.attributes[240]).toBe(0x17);
    expect(cells.cursor).toEqual({ column: 5, row: 3, visible: true });
    // Scrolled by the start address, as text consoles do.
    bench.cr(0x0d, 80);
    expect(String.fromCharCode(...bench.vga.textCells()!.characters.subarray(160, 165))).toBe("Hello");
    expect(bench.vga.textCells()!.cursor).toEqual({ column: 5, row: 2, visible: true });
    bench.cr(0x0a, 0x2d);
    expect(bench.vga.textCells()!.cursor.visible).toBe(false);
    // 50 rows of 8 lines.
    bench.cr(0x09, 0x47);
    expect(bench.vga.textCells()!.rows).toBe(50);
    bench.setMode(mode12);
    expect(bench.vga.textCells()).toBeUndefined();
  });

  it("draws the cursor's lines and blinks it with the time", () => {
    const bench = new VgaBench();
    bench.setMode(mode03);
    bench.cr(0x0a, 13);
    bench.cr(0x0b, 14);
    bench.cr(0x0f, 2);
    putText(bench, 2, 0x20, 0x07);
    const lines = () => [12, 13, 14, 15].map((y) => bench.dacIndexAt(18, y));
    expect(lines()).toEqual([0, 7, 7, 0]);
    expect(bench.dacIndexAt(26, 13)).toBe(7); // the ninth dot too
    bench.context.clock.advance(8.5e9 / 70); // half a period of 16 frames
    expect(lines()).toEqual([0, 0, 0, 0]);
    bench.context.clock.advance(8e9 / 70);
    expect(lines()).toEqual([0, 7, 7, 0]);
    bench.cr(0x0b, 12); // ends before it starts
    expect(lines()).toEqual([0, 0, 0, 0]);
  });

  it("blinks by attribute bit 7, or takes it as a bright background", () => {
    const bench = new VgaBench();
    bench.setMode(mode03);
    bench.cr(0x0a, 0x20);
    loadGlyph(bench, 1, [0xff]);
    putText(bench, 0, 1, 0x97);
    expect([bench.dacIndexAt(0, 0), bench.dacIndexAt(0, 1)]).toEqual([7, 1]);
    bench.context.clock.advance(16.5e9 / 70);
    expect([bench.dacIndexAt(0, 0), bench.dacIndexAt(0, 1)]).toEqual([1, 1]);
    bench.ar(0x10, 0x04);
    expect([bench.dacIndexAt(0, 0), bench.dacIndexAt(0, 1)]).toEqual([7, 0x39]);
  });

  it("takes characters with attribute bit 3 from the other character map", () => {
    const bench = new VgaBench();
    bench.setMode(mode03);
    bench.cr(0x0a, 0x20);
    loadGlyph(bench, 0x30, [0x80], 0x0000);
    loadGlyph(bench, 0x30, [0x40], 0x4000);
    loadGlyph(bench, 0x30, [0x20], 0x2000);
    putText(bench, 0, 0x30, 0x07);
    putText(bench, 1, 0x30, 0x0f);
    const lit = (left: number) => [0, 1, 2].filter((x) => bench.dacIndexAt(left + x, 0) !== 0);
    expect([lit(0), lit(9)]).toEqual([[0], [0]]);
    bench.sr(3, 0x04); // A = map 1
    expect([lit(0), lit(9)]).toEqual([[0], [1]]);
    bench.sr(3, 0x10); // B = map 4
    expect([lit(0), lit(9)]).toEqual([[2], [0]]);
  });

  it("underlines in the monochrome mode and listens at B0000h and 3B4h", () => {
    const bench = new VgaBench();
    bench.setMode(mode07);
    bench.cr(0x0a, 0x20);
    bench.context.writeMmio(0xb0000, 2, 0x0120);
    expect([12, 13, 14].map((y) => bench.dacIndexAt(3, y))).toEqual([0, 8, 0]);
    expect(bench.vga.textCells()?.attributes[0]).toBe(1);
  });

  it("pans by dots and rows and splits the screen at line compare", () => {
    const bench = new VgaBench();
    bench.setMode(mode03);
    bench.cr(0x0a, 0x20);
    loadGlyph(bench, 2, [0x80, 0x40]);
    putText(bench, 0, 2, 0x07);
    putText(bench, 80, 2, 0x07);
    bench.cr(0x0d, 80);
    bench.ar(0x13, 8);
    expect(bench.dacIndexAt(0, 0)).toBe(7);
    bench.ar(0x13, 0); // one dot to the left in nine-dot modes
    expect([bench.dacIndexAt(0, 0), bench.dacIndexAt(0, 1)]).toEqual([0, 7]);
    bench.ar(0x13, 8);
    bench.cr(0x08, 1); // first row scan
    expect(bench.dacIndexAt(1, 0)).toBe(7);
    bench.cr(0x08, 0);
    bench.cr(0x18, 199);
    bench.cr(0x07, 0x0f);
    bench.cr(0x09, 0x0f);
    // Below line 199 the picture starts at address 0.
    expect([bench.dacIndexAt(0, 199), bench.dacIndexAt(0, 200), bench.dacIndexAt(1, 201)]).toEqual([0, 7, 7]);
    bench.ar(0x13, 0);
    expect(bench.dacIndexAt(0, 200)).toBe(0);
    bench.ar(0x10, 0x2c); // panning stops at the split
    expect(bench.dacIndexAt(0, 200)).toBe(7);
  });

  it("is black while the palette is off, the screen is off or the sequencer is reset, and no picture without sync", () => {
    const bench = new VgaBench();
    bench.setMode(mode03);
    loadGlyph(bench, 0, [0xff]);
    bench.context.writeMmio(0xb8000, 2, 0x0700);
    expect(bench.dacIndexAt(0, 0)).toBe(7);
    bench.in(0x3da);
    bench.out(0x3c0, 0);
    expect(bench.dacIndexAt(0, 0)).toBe(0);
    bench.in(0x3da);
    bench.out(0x3c0, 0x20);
    bench.sr(1, 0x20);
    expect(bench.dacIndexAt(0, 0)).toBe(0);
    bench.sr(1, 0);
    expect(bench.dacIndexAt(0, 0)).toBe(7);
    bench.cr(0x17, 0x23);
    expect([bench.vga.widthPixels, bench.vga.heightPixels, bench.vga.renderRgba().length]).toEqual([0, 0, 0]);
  });
});

describe("graphics modes", () => {
  it("shows mode 12h: one bit of each map per pixel through the attribute palette", () => {
    const bench = new VgaBench();
    bench.setMode(mode12);
    expect([bench.vga.widthPixels, bench.vga.heightPixels]).toEqual([640, 480]);
    bench.sr(2, 0x0d);
    bench.write8(0xa0000 + 80 * 10 + 2, 0x41);
    expect([16, 17, 22, 23].map((x) => bench.dacIndexAt(x, 10))).toEqual([0, 0x3d, 0, 0x3d]);
    bench.ar(0x12, 0x03); // maps 0 and 1 alone
    expect(bench.dacIndexAt(17, 10)).toBe(1);
    bench.ar(0x12, 0x0f);
    bench.ar(0x14, 0x09); // colour select: bits 7-6 = 2, with P54S bits 5-4 = 1
    expect(bench.dacIndexAt(17, 10)).toBe(0xbd);
    bench.ar(0x10, 0x81);
    expect(bench.dacIndexAt(17, 10)).toBe(0x9d);
    bench.out(0x3c6, 0x0f);
    expect(bench.dacIndexAt(17, 10)).toBe(0x0d);
    bench.out(0x3c6, 0xff);
    bench.ar(0x13, 1);
    expect(bench.dacIndexAt(16, 10)).toBe(0x9d);
  });

  it("shows mode 0Dh with doubled dots and lines", () => {
    const bench = new VgaBench();
    bench.setMode(mode0d);
    expect([bench.vga.widthPixels, bench.vga.heightPixels]).toEqual([640, 400]);
    bench.sr(2, 0x02);
    bench.write8(0xa0000 + 40 * 3, 0x40); // pixel (1, 3) of 320×200
    const lit = [];
    for (let y = 5; y < 9; y++) for (let x = 1; x < 5; x++) if (bench.dacIndexAt(x, y) === 2) lit.push([x, y]);
    expect(lit).toEqual([
      [2, 6],
      [3, 6],
      [2, 7],
      [3, 7],
    ]);
  });

  it("shows the CGA modes 4 and 6 with their two banks of lines", () => {
    const bench = new VgaBench();
    bench.setMode(mode04);
    expect([bench.vga.widthPixels, bench.vga.heightPixels]).toEqual([640, 400]);
    bench.write8(0xb8000 + 1, 0x1b); // pixels 4-7 of line 0: 0 1 2 3
    bench.write8(0xb8000 + 0x2000 + 80 * 2, 0xc0); // pixel 0 of line 5
    expect([8, 10, 12, 14].map((x) => bench.dacIndexAt(x, 0))).toEqual([0, 0x13, 0x15, 0x17]);
    expect([bench.dacIndexAt(0, 10), bench.dacIndexAt(1, 11), bench.dacIndexAt(2, 10)]).toEqual([0x17, 0x17, 0]);
    bench.setMode(mode06);
    bench.memory.bytes.fill(0);
    bench.write8(0xb8000 + 0x2000 + 80 * 99 + 79, 0x01); // last pixel of 640×200
    expect([bench.dacIndexAt(639, 398), bench.dacIndexAt(639, 399), bench.dacIndexAt(638, 399)]).toEqual([
      0x17, 0x17, 0,
    ]);
  });

  it("shows mode 13h: every byte a pixel of two dots and two lines", () => {
    const bench = new VgaBench();
    bench.setMode(mode13);
    expect([bench.vga.widthPixels, bench.vga.heightPixels]).toEqual([640, 400]);
    bench.write8(0xa0000 + 320 * 199 + 319, 0xa5);
    bench.write8(0xa0000 + 320 * 100 + 3, 0x42);
    expect([637, 638, 639].map((x) => bench.dacIndexAt(x, 399))).toEqual([0, 0xa5, 0xa5]);
    expect([bench.dacIndexAt(6, 200), bench.dacIndexAt(7, 201), bench.dacIndexAt(8, 200)]).toEqual([0x42, 0x42, 0]);
    bench.ar(0x13, 2); // one pixel to the left
    expect([bench.dacIndexAt(4, 200), bench.dacIndexAt(6, 200)]).toEqual([0x42, 0]);
  });

  it("shows unchained modes with pages and a scrolled start address", () => {
    const bench = new VgaBench();
    bench.setMode(modeX);
    expect([bench.vga.widthPixels, bench.vga.heightPixels]).toEqual([640, 480]);
    bench.sr(2, 1 << 2);
    bench.write8(0xa0000 + 80 * 239 + 10, 0x77); // pixel (42, 239)
    expect([84, 85, 86].map((x) => bench.dacIndexAt(x, 478))).toEqual([0x77, 0x77, 0]);
    bench.cr(0x0c, (80 * 239) >> 8);
    bench.cr(0x0d, (80 * 239) & 0xff);
    expect(bench.dacIndexAt(84, 0)).toBe(0x77);
  });

  it("reuses the caller's buffer when it fits", () => {
    const bench = new VgaBench();
    bench.setMode(mode13);
    const target = new Uint8Array(640 * 400 * 4);
    expect(bench.vga.renderRgba(target)).toBe(target);
    expect(bench.vga.renderRgba(new Uint8Array(16)).length).toBe(target.length);
  });
});
