/**
 * Accented letters of code page 437, composed from a drawn base and an accent. Small letters keep their shape and get
 * the accent on the free lines above; capitals give up their stretchable line to make room, as there are only two lines
 * above them.
 */
import { DOTLESS_I } from "./glyph-rows-14.ts";

export type Accent = "acute" | "grave" | "circumflex" | "diaeresis" | "ring" | "tilde" | "cedilla";

/** An accent as lines of dots; `line` is the first line in the 14-line cell of a small letter. */
interface AccentShape {
  readonly line: number;
  readonly rows: readonly string[];
  /** The same over a letter of the 8-line font, from line 0 on. */
  readonly smallRows: readonly string[];
  /** Over a capital, from line 0 on. */
  readonly capitalRows: readonly string[];
  /** Whether the capital's own top line closes the shape, so that it keeps its full height. */
  readonly joinsCapital?: boolean;
}

export const accents: Readonly<Record<Accent, AccentShape>> = {
  acute: {
    line: 2,
    rows: ["....##..", "...##..."],
    smallRows: ["....###."],
    capitalRows: ["....##..", "...##..."],
  },
  grave: {
    line: 2,
    rows: ["..##....", "...##..."],
    smallRows: ["###....."],
    capitalRows: ["..##....", "...##..."],
  },
  circumflex: {
    line: 2,
    rows: ["..###...", ".##.##.."],
    smallRows: ["..###...", ".#...#.."],
    capitalRows: ["..###...", ".##.##.."],
  },
  diaeresis: {
    line: 2,
    rows: [".##.##..", ".##.##.."],
    smallRows: [".##.##.."],
    capitalRows: [".##.##..", ".##.##.."],
  },
  ring: {
    line: 1,
    rows: ["..###...", "..#.#...", "..###..."],
    smallRows: ["..###...", "..#.#..."],
    capitalRows: ["..###...", "..#.#..."],
    joinsCapital: true,
  },
  tilde: {
    line: 2,
    rows: [".###.##.", "##.###.."],
    smallRows: [".###.##."],
    capitalRows: [".###.##.", "##.###.."],
  },
  cedilla: {
    line: 11,
    rows: ["...##...", "....##..", "..###..."],
    smallRows: [],
    capitalRows: [],
  },
};

const letter = (character: string): number => character.charCodeAt(0);

/** Code page 437 number, base glyph, accent. The 8-line capitals and cedillas are drawn, see `glyph-rows-8.ts`. */
export const accentedLetters: readonly (readonly [code: number, base: number, accent: Accent])[] = [
  [0x80, letter("C"), "cedilla"],
  [0x81, letter("u"), "diaeresis"],
  [0x82, letter("e"), "acute"],
  [0x83, letter("a"), "circumflex"],
  [0x84, letter("a"), "diaeresis"],
  [0x85, letter("a"), "grave"],
  [0x86, letter("a"), "ring"],
  [0x87, letter("c"), "cedilla"],
  [0x88, letter("e"), "circumflex"],
  [0x89, letter("e"), "diaeresis"],
  [0x8a, letter("e"), "grave"],
  [0x8b, DOTLESS_I, "diaeresis"],
  [0x8c, DOTLESS_I, "circumflex"],
  [0x8d, DOTLESS_I, "grave"],
  [0x8e, letter("A"), "diaeresis"],
  [0x8f, letter("A"), "ring"],
  [0x90, letter("E"), "acute"],
  [0x93, letter("o"), "circumflex"],
  [0x94, letter("o"), "diaeresis"],
  [0x95, letter("o"), "grave"],
  [0x96, letter("u"), "circumflex"],
  [0x97, letter("u"), "grave"],
  [0x98, letter("y"), "diaeresis"],
  [0x99, letter("O"), "diaeresis"],
  [0x9a, letter("U"), "diaeresis"],
  [0xa0, letter("a"), "acute"],
  [0xa1, DOTLESS_I, "acute"],
  [0xa2, letter("o"), "acute"],
  [0xa3, letter("u"), "acute"],
  [0xa4, letter("n"), "tilde"],
  [0xa5, letter("N"), "tilde"],
];
