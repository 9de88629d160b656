/**
 * One viewer's keyboard: keys by place or by meaning become set-1 scan codes. It knows which keys are down, so that none
 * stays down when the viewer goes, and puts Shift right where a viewer sends a character without it.
 */
import { keyOfKeysym, LEFT_SHIFT, PAUSE, PRINT_SCREEN, RIGHT_SHIFT, SYS_REQ } from "./keysyms.ts";

const BREAK = 0x80;
const ALT = 0x38;
const CAPS_LOCK_LED = 4;

export class ViewerKeyboard {
  readonly #put: (scancodes: readonly number[]) => void;
  readonly #leds: () => number;
  readonly #down = new Set<number>();
  /** Keys that went down by keysym: what that meant may depend on Shift by the time they come up. */
  readonly #bySym = new Map<number, number>();

  /** `put` takes scan codes of set 1; `leds` are the keyboard's lights, bit 2 caps lock. */
  constructor(put: (scancodes: readonly number[]) => void, leds: () => number) {
    this.#put = put;
    this.#leds = leds;
  }

  /** An XT scan code, bit 7 set for keys with E0. */
  key(code: number, isDown: boolean): void {
    // No keyboard has these: their breaks would be the prefixes.
    if ((code & 0x7e) === 0x60) return;
    // XT's Print Screen has the number that Alt makes of it.
    if (code === SYS_REQ && !this.#has(ALT)) code = PRINT_SCREEN;
    if (isDown) this.#down.add(code);
    else if (!this.#down.delete(code)) return;
    this.#put(scancodesOf(code, isDown));
  }

  keysym(keysym: number, isDown: boolean): void {
    if (!isDown) {
      const code = this.#bySym.get(keysym);
      this.#bySym.delete(keysym);
      if (code !== undefined) this.key(code, false);
      return;
    }
    const key = keyOfKeysym(keysym);
    if (key === undefined) return;
    const { code, isShifted, isLetter = false } = key;
    this.#bySym.set(keysym, code);
    const hasShift = this.#down.has(LEFT_SHIFT) || this.#down.has(RIGHT_SHIFT);
    const wantsShift = isShifted !== (isLetter && (this.#leds() & CAPS_LOCK_LED) !== 0);
    const hasModifier = this.#has(0x1d) || this.#has(ALT);
    if (isShifted === undefined || wantsShift === hasShift || hasModifier) {
      this.key(code, true);
      return;
    }
    const held = [LEFT_SHIFT, RIGHT_SHIFT].filter((shift) => this.#down.has(shift));
    this.#put(wantsShift ? [LEFT_SHIFT] : held.map((shift) => shift | BREAK));
    this.key(code, true);
    this.#put(wantsShift ? [LEFT_SHIFT | BREAK] : held);
  }

  /** Everything that is down comes up. */
  release(): void {
    for (const code of [...this.#down]) this.key(code, false);
    this.#bySym.clear();
  }

  /** The left or the right one of a pair. */
  #has(code: number): boolean {
    return this.#down.has(code) || this.#down.has(code | 0x80);
  }
}

function scancodesOf(code: number, isDown: boolean): number[] {
  if (code === PAUSE) return isDown ? [0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5] : [];
  const end = isDown ? 0 : BREAK;
  if (code === PRINT_SCREEN) return isDown ? [0xe0, 0x2a, 0xe0, 0x37] : [0xe0, 0xb7, 0xe0, 0xaa];
  return code >= 0x80 ? [0xe0, (code & 0x7f) | end] : [code | end];
}
