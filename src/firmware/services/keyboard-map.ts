/**
 * What the keys of a US keyboard give: scan code (set 1) to the word of INT 16h, plain, with Shift, Ctrl and Alt (IBM
 * Enhanced Keyboard, BIOS key codes as in IBM's PS/2 BIOS reference). 0 gives nothing.
 */

export interface KeyCodes {
  readonly plain: number;
  readonly shift: number;
  readonly ctrl: number;
  readonly alt: number;
}

/** Keys by scan code; `letters` follow Caps Lock, `keypad` follow Num Lock. */
export const keys = new Map<number, KeyCodes>();
export const greyKeys = new Map<number, KeyCodes>();
export const letters = new Set<number>();
export const keypad = new Set<number>();

function key(scan: number, plain: number, shift: number, ctrl: number, alt: number): void {
  keys.set(scan, { plain, shift, ctrl, alt });
}

/** A key that types a character: its scan code above the character, Alt gives the scan code alone unless told. */
function typing(scan: number, plain: string, shift: string, ctrl: number, alt = scan << 8): void {
  const at = scan << 8;
  key(scan, at | plain.charCodeAt(0), at | shift.charCodeAt(0), ctrl, alt);
}

key(0x01, 0x011b, 0x011b, 0x011b, 0x0100);
const digits: readonly (readonly [string, string, number])[] = [
  ["1", "!", 0],
  ["2", "@", 0x0300],
  ["3", "#", 0],
  ["4", "$", 0],
  ["5", "%", 0],
  ["6", "^", 0x071e],
  ["7", "&", 0],
  ["8", "*", 0],
  ["9", "(", 0],
  ["0", ")", 0],
  ["-", "_", 0x0c1f],
  ["=", "+", 0],
];
digits.forEach(([plain, shift, ctrl], i) => {
  typing(0x02 + i, plain, shift, ctrl, 0x7800 + (i << 8));
});
key(0x0e, 0x0e08, 0x0e08, 0x0e7f, 0x0e00);
key(0x0f, 0x0f09, 0x0f00, 0x9400, 0xa500);
for (const [first, row] of [
  [0x10, "qwertyuiop"],
  [0x1e, "asdfghjkl"],
  [0x2c, "zxcvbnm"],
] as const) {
  [...row].forEach((letter, i) => {
    const scan = first + i;
    typing(scan, letter, letter.toUpperCase(), (scan << 8) | (letter.charCodeAt(0) & 0x1f));
    letters.add(scan);
  });
}
typing(0x1a, "[", "{", 0x1a1b);
typing(0x1b, "]", "}", 0x1b1d);
key(0x1c, 0x1c0d, 0x1c0d, 0x1c0a, 0x1c00);
typing(0x27, ";", ":", 0);
typing(0x28, "'", '"', 0);
typing(0x29, "`", "~", 0);
typing(0x2b, "\\", "|", 0x2b1c);
typing(0x33, ",", "<", 0);
typing(0x34, ".", ">", 0);
typing(0x35, "/", "?", 0);
key(0x37, 0x372a, 0x372a, 0x9600, 0x3700);
key(0x39, 0x3920, 0x3920, 0x3920, 0x3920);
for (let i = 0; i < 10; i++) {
  const n = i << 8;
  key(0x3b + i, 0x3b00 + n, 0x5400 + n, 0x5e00 + n, 0x6800 + n);
}
typing(0x56, "\\", "|", 0, 0);
key(0x57, 0x8500, 0x8700, 0x8900, 0x8b00);
key(0x58, 0x8600, 0x8800, 0x8a00, 0x8c00);

/** The numeric keypad: `shift` is also what Num Lock gives. Alt with a digit collects a character code instead. */
const pad: readonly (readonly [plain: number, shift: string, ctrl: number, alt: number])[] = [
  [0x4700, "7", 0x7700, 0],
  [0x4800, "8", 0x8d00, 0],
  [0x4900, "9", 0x8400, 0],
  [0x4a2d, "-", 0x8e00, 0x4a00],
  [0x4b00, "4", 0x7300, 0],
  [0x4cf0, "5", 0x8f00, 0],
  [0x4d00, "6", 0x7400, 0],
  [0x4e2b, "+", 0x9000, 0x4e00],
  [0x4f00, "1", 0x7500, 0],
  [0x5000, "2", 0x9100, 0],
  [0x5100, "3", 0x7600, 0],
  [0x5200, "0", 0x9200, 0],
  [0x5300, ".", 0x9300, 0],
];
pad.forEach(([plain, shift, ctrl, alt], i) => {
  const scan = 0x47 + i;
  key(scan, plain, (scan << 8) | shift.charCodeAt(0), ctrl, alt);
  if (scan !== 0x4a && scan !== 0x4e) keypad.add(scan);
});

/** The digit that a keypad key adds to an Alt code, or -1. */
export function keypadDigit(scan: number): number {
  const entry = keypad.has(scan) ? pad[scan - 0x47][1] : ".";
  return entry === "." ? -1 : Number(entry);
}

/** Keys whose scan code has the prefix E0h. */
for (const [scan, plain, ctrl, alt] of [
  [0x47, 0x47e0, 0x77e0, 0x9700],
  [0x48, 0x48e0, 0x8de0, 0x9800],
  [0x49, 0x49e0, 0x84e0, 0x9900],
  [0x4b, 0x4be0, 0x73e0, 0x9b00],
  [0x4d, 0x4de0, 0x74e0, 0x9d00],
  [0x4f, 0x4fe0, 0x75e0, 0x9f00],
  [0x50, 0x50e0, 0x91e0, 0xa000],
  [0x51, 0x51e0, 0x76e0, 0xa100],
  [0x52, 0x52e0, 0x92e0, 0xa200],
  [0x53, 0x53e0, 0x93e0, 0xa300],
  [0x1c, 0xe00d, 0xe00a, 0xa600],
  [0x35, 0xe02f, 0x9500, 0xa400],
] as const)
  greyKeys.set(scan, { plain, shift: plain, ctrl, alt });
