/**
 * X11 keysyms (the names in X.org's keysymdef.h) as keys of a PC keyboard with US layout: XT scan codes, bit 7 set for keys
 * whose code begins with E0. For viewers that send what a key means and not which key it is.
 */
import { usKeyOf } from "./us-keyboard.ts";

export const LEFT_SHIFT = 0x2a;
export const RIGHT_SHIFT = 0x36;
const E0 = 0x80;
/** Keys whose scan codes are not one byte with or without E0. */
export const PRINT_SCREEN = E0 | 0x37;
export const SYS_REQ = 0x54;
export const PAUSE = E0 | 0x46;

const named = new Map<number, number>([
  [0xff08, 0x0e], // BackSpace
  [0xff09, 0x0f], // Tab
  [0xfe20, 0x0f], // ISO_Left_Tab
  [0xff0a, 0x1c], // Linefeed
  [0xff0d, 0x1c], // Return
  [0xff13, PAUSE],
  [0xff14, 0x46], // Scroll_Lock
  [0xff15, PRINT_SCREEN], // Sys_Req
  [0xff1b, 0x01], // Escape
  [0xffff, E0 | 0x53], // Delete
  [0xff50, E0 | 0x47], // Home
  [0xff51, E0 | 0x4b], // Left
  [0xff52, E0 | 0x48], // Up
  [0xff53, E0 | 0x4d], // Right
  [0xff54, E0 | 0x50], // Down
  [0xff55, E0 | 0x49], // Prior
  [0xff56, E0 | 0x51], // Next
  [0xff57, E0 | 0x4f], // End
  [0xff61, PRINT_SCREEN], // Print
  [0xff63, E0 | 0x52], // Insert
  [0xff67, E0 | 0x5d], // Menu
  [0xff6b, PAUSE], // Break
  [0xff7f, 0x45], // Num_Lock
  [0xff8d, E0 | 0x1c], // KP_Enter
  [0xff95, 0x47], // KP_Home
  [0xff96, 0x4b], // KP_Left
  [0xff97, 0x48], // KP_Up
  [0xff98, 0x4d], // KP_Right
  [0xff99, 0x50], // KP_Down
  [0xff9a, 0x49], // KP_Prior
  [0xff9b, 0x51], // KP_Next
  [0xff9c, 0x4f], // KP_End
  [0xff9d, 0x4c], // KP_Begin
  [0xff9e, 0x52], // KP_Insert
  [0xff9f, 0x53], // KP_Delete
  [0xffaa, 0x37], // KP_Multiply
  [0xffab, 0x4e], // KP_Add
  [0xffad, 0x4a], // KP_Subtract
  [0xffae, 0x53], // KP_Decimal
  [0xffaf, E0 | 0x35], // KP_Divide
  [0xffe1, LEFT_SHIFT],
  [0xffe2, RIGHT_SHIFT],
  [0xffe3, 0x1d], // Control_L
  [0xffe4, E0 | 0x1d], // Control_R
  [0xffe5, 0x3a], // Caps_Lock
  [0xffe7, E0 | 0x5b], // Meta_L
  [0xffe8, E0 | 0x5c], // Meta_R
  [0xffe9, 0x38], // Alt_L
  [0xffea, E0 | 0x38], // Alt_R
  [0xffeb, E0 | 0x5b], // Super_L
  [0xffec, E0 | 0x5c], // Super_R
  [0xfe03, E0 | 0x38], // ISO_Level3_Shift
]);
/** KP_0 to KP_9. */
for (const [digit, code] of [0x52, 0x4f, 0x50, 0x51, 0x4b, 0x4c, 0x4d, 0x47, 0x48, 0x49].entries())
  named.set(0xffb0 + digit, code);
/** F1 to F12. */
for (let i = 0; i < 12; i++) named.set(0xffbe + i, i < 10 ? 0x3b + i : 0x57 + i - 10);

export interface KeysymKey {
  readonly code: number;
  /** For characters: whether Shift has to be down on a US keyboard. */
  readonly isShifted?: boolean;
  readonly isLetter?: boolean;
}

/** The key, or undefined if a US keyboard has none for it. */
export function keyOfKeysym(keysym: number): KeysymKey | undefined {
  const code = named.get(keysym);
  if (code !== undefined) return { code };
  // Latin 1 keysyms are their characters; 01xxxxxxh are Unicode's.
  const character = keysym >= 0x20 && keysym < 0x100 ? keysym : keysym >>> 24 === 1 ? keysym & 0xff_ffff : 0;
  if (character === 0 || character > 0x10_ffff) return undefined;
  const text = String.fromCodePoint(character);
  const key = usKeyOf(text);
  return key && { ...key, isLetter: /^[A-Za-z]$/.test(text) };
}
