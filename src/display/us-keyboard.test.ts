import { expect, test } from "vitest";
import { terminalToScancodes, textToScancodes, untypable } from "./us-keyboard.ts";

test("letters, shifted characters and Enter as set-1 codes", () => {
  expect(textToScancodes("a")).toEqual([0x1e, 0x9e]);
  expect(textToScancodes("A:\n")).toEqual([0x2a, 0x1e, 0x9e, 0xaa, 0x2a, 0x27, 0xa7, 0xaa, 0x1c, 0x9c]);
  expect(textToScancodes("/\\|")).toEqual([0x35, 0xb5, 0x2b, 0xab, 0x2a, 0x2b, 0xab, 0xaa]);
});

test("every printable ASCII character is on the keyboard, others are left out", () => {
  for (let code = 0x20; code < 0x7f; code++)
    expect(textToScancodes(String.fromCharCode(code)).length).toBeGreaterThan(0);
  expect(textToScancodes("é€")).toEqual([]);
  expect(untypable("né à 5 €\n€")).toBe("éà€");
});

test("a terminal's keys: arrows, function keys, Ctrl and Alt", () => {
  expect(terminalToScancodes("\u001b[A")).toEqual([0xe0, 0x48, 0xe0, 0xc8]);
  expect(terminalToScancodes("\u001bOB")).toEqual([0xe0, 0x50, 0xe0, 0xd0]);
  expect(terminalToScancodes("\u001bOP")).toEqual([0x3b, 0xbb]);
  expect(terminalToScancodes("\u0003")).toEqual([0x1d, 0x2e, 0xae, 0x9d]);
  expect(terminalToScancodes("\u001bx")).toEqual([0x38, 0x2d, 0xad, 0xb8]);
  expect(terminalToScancodes("\u001b")).toEqual([0x01, 0x81]);
  expect(terminalToScancodes("\r")).toEqual([0x1c, 0x9c]);
});
