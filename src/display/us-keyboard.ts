/**
 * Text as a person types it on a US keyboard: set-1 scan codes, a make and a break for each key, shift around the ones that
 * need it. For `keyboardputstring`, the text console and tests. Characters that are on no key of that keyboard are left out.
 */

const SHIFT = 0x2a;
const BREAK = 0x80;

/** Rows of keys: first scan code, plain characters, shifted characters. */
const rows: readonly (readonly [firstCode: number, plain: string, shifted: string])[] = [
  [0x02, "1234567890-=", "!@#$%^&*()_+"],
  [0x10, "qwertyuiop[]", "QWERTYUIOP{}"],
  [0x1e, "asdfghjkl;'`", 'ASDFGHJKL:"~'],
  [0x2b, "\\zxcvbnm,./", "|ZXCVBNM<>?"],
];

const keys = new Map<string, readonly [code: number, isShifted: boolean]>([
  ["\u001b", [0x01, false]],
  ["\b", [0x0e, false]],
  ["\u007f", [0x0e, false]],
  ["\t", [0x0f, false]],
  ["\n", [0x1c, false]],
  ["\r", [0x1c, false]],
  [" ", [0x39, false]],
]);
for (const [firstCode, plain, shifted] of rows) {
  for (let i = 0; i < plain.length; i++) {
    keys.set(plain[i], [firstCode + i, false]);
    keys.set(shifted[i], [firstCode + i, true]);
  }
}

/** The key of a US keyboard that types `character`. */
export function usKeyOf(character: string): { readonly code: number; readonly isShifted: boolean } | undefined {
  const key = keys.get(character);
  return key && { code: key[0], isShifted: key[1] };
}

/** The characters of `text` that no key types, each once. */
export function untypable(text: string): string {
  return [...new Set(text)].filter((character) => !keys.has(character)).join("");
}

/** The scan codes of `text`, ready for `putScancode`. */
export function textToScancodes(text: string): number[] {
  const codes: number[] = [];
  for (const character of text) {
    const key = keys.get(character);
    if (key === undefined) continue;
    const [code, isShifted] = key;
    if (isShifted) codes.push(SHIFT);
    codes.push(code, code | BREAK);
    if (isShifted) codes.push(SHIFT | BREAK);
  }
  return codes;
}

const CONTROL = 0x1d;
const ALT = 0x38;

/** Escape sequences of a terminal's keys: after ESC [ or ESC O. */
const sequences = new Map<string, readonly number[]>(
  (
    [
      ["[A", [0xe0, 0x48]],
      ["[B", [0xe0, 0x50]],
      ["[C", [0xe0, 0x4d]],
      ["[D", [0xe0, 0x4b]],
      ["[H", [0xe0, 0x47]],
      ["[F", [0xe0, 0x4f]],
      ["[1~", [0xe0, 0x47]],
      ["[2~", [0xe0, 0x52]],
      ["[3~", [0xe0, 0x53]],
      ["[4~", [0xe0, 0x4f]],
      ["[5~", [0xe0, 0x49]],
      ["[6~", [0xe0, 0x51]],
      ["OP", [0x3b]],
      ["OQ", [0x3c]],
      ["OR", [0x3d]],
      ["OS", [0x3e]],
      ["[15~", [0x3f]],
      ["[17~", [0x40]],
      ["[18~", [0x41]],
      ["[19~", [0x42]],
      ["[20~", [0x43]],
      ["[21~", [0x44]],
      ["[23~", [0x57]],
      ["[24~", [0x58]],
    ] as const
  ).map(([sequence, codes]) => [sequence, codes]),
);

/** What a person pressed in a terminal (one read of its bytes, as Latin-1) as scan codes. */
export function terminalToScancodes(input: string): number[] {
  const codes: number[] = [];
  for (let at = 0; at < input.length; ) {
    const match = input[at] === "\u001b" ? /^(\[[0-9;]*[A-Za-z~]|O[A-Z])/.exec(input.slice(at + 1)) : null;
    const key =
      match &&
      sequences.get(match[1].replace("O", match[1].length === 2 && "ABCDHF".includes(match[1][1]) ? "[" : "O"));
    if (match && key) {
      codes.push(...key, ...key.slice(0, -1), key[key.length - 1] | BREAK);
      at += 1 + match[1].length;
    } else if (input[at] === "\u001b" && at + 1 < input.length && input[at + 1] !== "\u001b") {
      codes.push(ALT, ...textToScancodes(input[at + 1]), ALT | BREAK);
      at += 2;
    } else {
      const code = input.charCodeAt(at++);
      const isControl = code >= 1 && code <= 26 && code !== 8 && code !== 9 && code !== 10 && code !== 13;
      if (isControl) codes.push(CONTROL, ...textToScancodes(String.fromCharCode(code + 96)), CONTROL | BREAK);
      else codes.push(...textToScancodes(String.fromCharCode(code)));
    }
  }
  return codes;
}
