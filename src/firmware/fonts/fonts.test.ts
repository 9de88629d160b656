import { describe, expect, it } from "vitest";
import { boxGlyph } from "./box-drawing.ts";
import { font8x8, font8x14, font8x16 } from "./fonts.ts";

const fonts = [
  { name: "8x16", font: font8x16, height: 16, baseline: 11, capitalTop: 2 },
  { name: "8x14", font: font8x14, height: 14, baseline: 10, capitalTop: 2 },
  { name: "8x8", font: font8x8, height: 8, baseline: 6, capitalTop: 0 },
];

describe.each(fonts)("font $name", ({ font, height, baseline, capitalTop }) => {
  const glyph = (code: number) => font.subarray(code * height, (code + 1) * height);
  const bottom = (code: number) => glyph(code).findLastIndex((row) => row !== 0);
  const top = (code: number) => glyph(code).findIndex((row) => row !== 0);

  it("has 256 glyphs and only 00h, space and FFh are blank", () => {
    expect(font.length).toBe(256 * height);
    const blank = Array.from({ length: 256 }, (_, code) => code).filter((code) =>
      glyph(code).every((row) => row === 0),
    );
    expect(blank).toEqual([0x00, 0x20, 0xff]);
  });

  it("tells all characters apart", () => {
    const seen = new Map<string, number>();
    const same: [number, number][] = [];
    for (let code = 1; code < 255; code++) {
      if (code === 0x20) continue;
      const key = glyph(code).join();
      const other = seen.get(key);
      if (other !== undefined) same.push([other, code]);
      seen.set(key, code);
    }
    expect(same).toEqual([]);
  });

  it("stands letters and digits on one baseline, capitals with one height", () => {
    for (const letter of "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") {
      expect([letter, top(letter.charCodeAt(0)), bottom(letter.charCodeAt(0))]).toEqual([letter, capitalTop, baseline]);
    }
    for (const letter of "abcdefhiklmnorstuvwxz") {
      expect([letter, bottom(letter.charCodeAt(0))]).toEqual([letter, baseline]);
    }
    for (const letter of "gjpqy,;") expect(bottom(letter.charCodeAt(0))).toBeGreaterThan(baseline);
  });

  it("keeps a gap to the right of letters and digits", () => {
    for (const letter of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") {
      for (const row of glyph(letter.charCodeAt(0))) expect(row & 1).toBe(0);
    }
  });

  it("lets neighbouring line characters join at every border", () => {
    // Weight of the arm at each border as read from the dots: 0 none, 1 one line, 2 two lines.
    const lines = (bits: number[]) => bits.filter((bit, index) => bit && !bits[index - 1]).length;
    const column = (code: number, x: number) => [...glyph(code)].map((row) => (row >> (7 - x)) & 1);
    const row = (code: number, y: number) => Array.from({ length: 8 }, (_, x) => (glyph(code)[y] >> (7 - x)) & 1);
    const shape = (code: number) =>
      [row(code, 0), column(code, 7), row(code, height - 1), column(code, 0)].map(lines).join("");
    expect(shape(0xb3)).toBe("1010");
    expect(shape(0xc5)).toBe("1111");
    expect(shape(0xce)).toBe("2222");
    expect(shape(0xc9)).toBe("0220");
    expect(shape(0xbc)).toBe("2002");
    expect(shape(0xd8)).toBe("1212");
    expect(shape(0xd7)).toBe("2121");
    expect(shape(0xb7)).toBe("0021");
    // The same border dots on both sides, so that a row of boxes has no steps.
    expect(column(0xc4, 7)).toEqual(column(0xbf, 0));
    expect(column(0xcd, 7)).toEqual(column(0xbb, 0));
    expect(row(0xba, height - 1)).toEqual(row(0xc8, 0));
  });
});

describe("line characters", () => {
  const picture = (code: number) =>
    [...boxGlyph(code, 8)].map((row) => row.toString(2).padStart(8, "0").replace(/0/g, ".").replace(/1/g, "#"));

  it("mitres double corners and breaks double crossings", () => {
    expect(picture(0xc9)).toEqual([
      "........",
      "........",
      ".#######",
      ".##.....",
      ".##..###",
      ".##..##.",
      ".##..##.",
      ".##..##.",
    ]);
    expect(picture(0xce)).toEqual([
      ".##..##.",
      ".##..##.",
      "###..###",
      "........",
      "###..###",
      ".##..##.",
      ".##..##.",
      ".##..##.",
    ]);
  });
});
