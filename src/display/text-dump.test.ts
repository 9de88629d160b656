import { describe, expect, it } from "vitest";
import type { TextCells } from "../backend-api/display.ts";
import { codePage437 } from "./code-page-437.ts";
import { textDump, textLines } from "./text-dump.ts";

function cells(columns: number, rows: readonly (readonly number[])[]): TextCells {
  const characters = new Uint8Array(columns * rows.length);
  for (const [row, bytes] of rows.entries()) characters.set(bytes, row * columns);
  const cursor = { column: 0, row: 0, visible: true };
  return { columns, rows: rows.length, characters, attributes: new Uint8Array(characters.length), cursor };
}

describe("text dump", () => {
  it("has 256 different-looking characters but for the blanks", () => {
    expect(codePage437.length).toBe(256);
    expect(new Set(codePage437).size).toBe(254);
    expect([0x41, 0xb3, 0xc9, 0xdb, 0x9b, 0xe1, 0xfe].map((code) => codePage437[code]).join("")).toBe("A│╔█¢ß■");
  });

  it("agrees with the system's own code page 437 where that has graphics", () => {
    const decoder = new TextDecoder("ibm866");
    // Line and block characters are the same in code page 866.
    for (let code = 0xb0; code <= 0xdf; code++) expect(codePage437[code]).toBe(decoder.decode(Uint8Array.of(code)));
  });

  it("gives rows as lines and drops blanks at the end", () => {
    const screen = cells(4, [[0x20, 0x41, 0x00, 0x20], [], [0xc9, 0xcd, 0xbb], [0, 0x20, 0xff]]);
    expect(textLines(screen)).toEqual([" A", "", "╔═╗", ""]);
    expect(textDump(screen)).toBe(" A\n\n╔═╗");
  });
});
