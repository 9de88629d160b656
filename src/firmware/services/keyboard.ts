/**
 * Keyboard: IRQ1's translation of scan codes into the BIOS data area's buffer and shift flags, and INT 16h, which reads
 * them (IBM PC/AT Technical Reference; enhanced functions 10h–12h). INT 16h never waits here: it asks the stub to retry.
 */
import type { VirtualCpu } from "../../device-api/virtual-cpu.ts";
import { BDA_BASE, bda } from "../bios-data-area.ts";
import type { Caller } from "../caller.ts";
import type { PortAccess } from "../index.ts";
import { greyKeys, type KeyCodes, keypad, keypadDigit, keys, letters } from "./keyboard-map.ts";

const RIGHT_SHIFT = 0x01;
const LEFT_SHIFT = 0x02;
const CTRL = 0x04;
const ALT = 0x08;
const SCROLL_LOCK = 0x10;
const NUM_LOCK = 0x20;
const CAPS_LOCK = 0x40;
const INSERT = 0x80;
/** 40:18 */
const LEFT_CTRL = 0x01;
const LEFT_ALT = 0x02;
const SYSTEM_REQUEST = 0x04;
const PAUSED = 0x08;
/** 40:96 */
const LAST_E1 = 0x01;
const LAST_E0 = 0x02;
const RIGHT_CTRL = 0x04;
const RIGHT_ALT = 0x08;
/** 40:97 */
const LED_MASK = 0x07;
const LED_UPDATING = 0x40;

const SCAN_ACK = 0xfa;
const KEYBOARD_DATA = 0x60;
const SET_LEDS = 0xed;
const WARM_RESET = 0x1234;

/** What the IRQ1 handler does next; the numbers are its contract (rom/hardware-interrupts.ts). */
export const keyboardAction = {
  none: 0,
  break: 1,
  printScreen: 2,
  reset: 3,
  systemRequestMade: 4,
  systemRequestBroken: 5,
  pause: 6,
} as const;

/** The keyboard's share of the BIOS data area, read and written through the running program's memory. */
export class KeyboardService {
  private readonly cpu: VirtualCpu;
  private readonly ports: PortAccess;

  constructor(cpu: VirtualCpu, ports: PortAccess) {
    this.cpu = cpu;
    this.ports = ports;
  }

  private byte(offset: number): number {
    return this.cpu.readLinear(BDA_BASE + offset, 1);
  }
  private setByte(offset: number, value: number): void {
    this.cpu.writeLinear(BDA_BASE + offset, 1, value & 0xff);
  }
  private word(offset: number): number {
    return this.cpu.readLinear(BDA_BASE + offset, 2);
  }
  private setWord(offset: number, value: number): void {
    this.cpu.writeLinear(BDA_BASE + offset, 2, value & 0xffff);
  }
  private change(offset: number, bits: number, on: boolean): void {
    const value = this.byte(offset);
    this.setByte(offset, on ? value | bits : value & ~bits);
  }

  /** One byte from the keyboard. Returns a `keyboardAction`. */
  scancode(code: number): number {
    const mode = this.byte(bda.keyboardMode);
    if (code === 0xe0 || code === 0xe1) {
      this.setByte(bda.keyboardMode, mode | (code === 0xe0 ? LAST_E0 : LAST_E1));
      return keyboardAction.none;
    }
    if (code === SCAN_ACK) {
      if ((this.byte(bda.keyboardLeds) & LED_UPDATING) !== 0) {
        this.change(bda.keyboardLeds, LED_UPDATING, false);
        this.ports.writePort(KEYBOARD_DATA, 1, this.byte(bda.keyboardLeds) & LED_MASK);
      }
      return keyboardAction.none;
    }
    if (code === 0xfe || code === 0xee || code === 0x00 || code === 0xff) return keyboardAction.none;
    // E1 is the first of three bytes: 1D/9D keep it, 45/C5 end it.
    const isPauseKey = (mode & LAST_E1) !== 0;
    const isGrey = (mode & LAST_E0) !== 0;
    if (isPauseKey) {
      if ((code & 0x7f) === 0x1d) return keyboardAction.none;
      this.setByte(bda.keyboardMode, mode & ~(LAST_E0 | LAST_E1));
      return code === 0x45 ? this.pause() : keyboardAction.none;
    }
    if (isGrey) this.setByte(bda.keyboardMode, mode & ~LAST_E0);
    return (code & 0x80) === 0 ? this.make(code, isGrey) : this.break(code & 0x7f, isGrey);
  }

  private pause(): number {
    if ((this.byte(bda.shiftFlags2) & PAUSED) !== 0) return keyboardAction.none;
    this.change(bda.shiftFlags2, PAUSED, true);
    return keyboardAction.pause;
  }

  private make(scan: number, isGrey: boolean): number {
    const shift = this.byte(bda.shiftFlags);
    switch (scan) {
      case 0x2a:
        if (!isGrey) this.change(bda.shiftFlags, LEFT_SHIFT, true);
        return keyboardAction.none;
      case 0x36:
        if (!isGrey) this.change(bda.shiftFlags, RIGHT_SHIFT, true);
        return keyboardAction.none;
      case 0x1d:
        this.change(bda.shiftFlags, CTRL, true);
        this.change(...this.ctrlSide(isGrey), true);
        return keyboardAction.none;
      case 0x38:
        this.change(bda.shiftFlags, ALT, true);
        this.change(...this.altSide(isGrey), true);
        return keyboardAction.none;
      case 0x3a:
        this.toggle(CAPS_LOCK);
        return keyboardAction.none;
      case 0x45:
        if ((shift & CTRL) !== 0) return this.pause();
        this.toggle(NUM_LOCK);
        return keyboardAction.none;
      case 0x46:
        if (isGrey || (shift & CTRL) !== 0) return this.controlBreak();
        this.toggle(SCROLL_LOCK);
        return keyboardAction.none;
      case 0x54:
        if ((this.byte(bda.shiftFlags2) & SYSTEM_REQUEST) !== 0) return keyboardAction.none;
        this.change(bda.shiftFlags2, SYSTEM_REQUEST, true);
        return keyboardAction.systemRequestMade;
      case 0x37:
        if (isGrey && (shift & CTRL) === 0) return keyboardAction.printScreen;
        break;
      case 0x53:
        if ((shift & (CTRL | ALT)) === (CTRL | ALT)) {
          this.setWord(bda.softReset, WARM_RESET);
          return keyboardAction.reset;
        }
        break;
    }
    // Any key ends a pause and is swallowed by it.
    if ((this.byte(bda.shiftFlags2) & PAUSED) !== 0) {
      this.change(bda.shiftFlags2, PAUSED, false);
      return keyboardAction.none;
    }
    this.type(scan, isGrey, shift);
    return keyboardAction.none;
  }

  private type(scan: number, isGrey: boolean, shift: number): void {
    const codes = isGrey ? greyKeys.get(scan) : keys.get(scan);
    if (scan === 0x37 && isGrey) {
      this.put(0x7200);
      return;
    }
    if (codes === undefined) return;
    if (!isGrey && (shift & ALT) !== 0 && keypad.has(scan)) {
      const digit = keypadDigit(scan);
      if (digit >= 0) this.setByte(bda.altKeypad, (this.byte(bda.altKeypad) * 10 + digit) & 0xff);
      return;
    }
    if (scan === 0x52 && (shift & (CTRL | ALT)) === 0) this.setByte(bda.shiftFlags, shift ^ INSERT);
    const code = pick(codes, scan, isGrey, shift);
    if (code !== 0) this.put(code);
  }

  private break(scan: number, isGrey: boolean): number {
    switch (scan) {
      case 0x2a:
        if (!isGrey) this.change(bda.shiftFlags, LEFT_SHIFT, false);
        break;
      case 0x36:
        if (!isGrey) this.change(bda.shiftFlags, RIGHT_SHIFT, false);
        break;
      case 0x1d:
        this.change(...this.ctrlSide(isGrey), false);
        if (!this.isHeld(LEFT_CTRL, RIGHT_CTRL)) this.change(bda.shiftFlags, CTRL, false);
        break;
      case 0x38: {
        this.change(...this.altSide(isGrey), false);
        if (!this.isHeld(LEFT_ALT, RIGHT_ALT)) this.change(bda.shiftFlags, ALT, false);
        const typed = this.byte(bda.altKeypad);
        this.setByte(bda.altKeypad, 0);
        if (typed !== 0) this.put(typed);
        break;
      }
      case 0x3a:
        this.change(bda.shiftFlags2, CAPS_LOCK, false);
        break;
      case 0x45:
        this.change(bda.shiftFlags2, NUM_LOCK, false);
        break;
      case 0x46:
        this.change(bda.shiftFlags2, SCROLL_LOCK, false);
        break;
      case 0x54:
        this.change(bda.shiftFlags2, SYSTEM_REQUEST, false);
        return keyboardAction.systemRequestBroken;
    }
    return keyboardAction.none;
  }

  private ctrlSide(isGrey: boolean): [offset: number, bits: number] {
    return isGrey ? [bda.keyboardMode, RIGHT_CTRL] : [bda.shiftFlags2, LEFT_CTRL];
  }
  private altSide(isGrey: boolean): [offset: number, bits: number] {
    return isGrey ? [bda.keyboardMode, RIGHT_ALT] : [bda.shiftFlags2, LEFT_ALT];
  }
  private isHeld(leftBit: number, rightBit: number): boolean {
    return (this.byte(bda.shiftFlags2) & leftBit) !== 0 || (this.byte(bda.keyboardMode) & rightBit) !== 0;
  }

  /** A lock key: acts once until it is released, and its light follows. */
  private toggle(bit: number): void {
    const held = this.byte(bda.shiftFlags2);
    if ((held & bit) !== 0) return;
    this.setByte(bda.shiftFlags2, held | bit);
    const shift = this.byte(bda.shiftFlags) ^ bit;
    this.setByte(bda.shiftFlags, shift);
    const leds = (this.byte(bda.keyboardLeds) & ~LED_MASK) | ((shift >> 4) & LED_MASK);
    this.setByte(bda.keyboardLeds, leds | LED_UPDATING);
    this.ports.writePort(KEYBOARD_DATA, 1, SET_LEDS);
  }

  private controlBreak(): number {
    const start = this.word(bda.keyboardBufferStart);
    this.setWord(bda.keyboardHead, start);
    this.setWord(bda.keyboardTail, start);
    this.put(0x0000);
    this.setByte(bda.breakFlag, 0x80);
    return keyboardAction.break;
  }

  /** Appends to the buffer; a full one loses the key. */
  private put(code: number): boolean {
    const tail = this.word(bda.keyboardTail);
    const next = this.after(tail);
    if (next === this.word(bda.keyboardHead)) return false;
    this.setWord(tail, code);
    this.setWord(bda.keyboardTail, next);
    return true;
  }

  private after(position: number): number {
    const next = position + 2;
    return next >= this.word(bda.keyboardBufferLimit) ? this.word(bda.keyboardBufferStart) : next;
  }

  /** The next key for functions 00h/01h (`isEnhanced` false: keys that old keyboards lack are dropped) or 10h/11h. */
  private peek(isEnhanced: boolean): number | undefined {
    for (let dropped = 0; dropped < 1024; dropped++) {
      const head = this.word(bda.keyboardHead);
      if (head === this.word(bda.keyboardTail)) return undefined;
      const code = this.word(head);
      const seen = isEnhanced ? enhancedCode(code) : oldCode(code);
      if (seen !== undefined) return seen;
      this.setWord(bda.keyboardHead, this.after(head));
    }
    return undefined;
  }

  /** INT 16h. True: no key yet, the stub retries. */
  int16(caller: Caller): boolean {
    const isEnhanced = (caller.ah & 0x10) !== 0;
    switch (caller.ah) {
      case 0x00:
      case 0x10: {
        const code = this.peek(isEnhanced);
        if (code === undefined) return true;
        this.setWord(bda.keyboardHead, this.after(this.word(bda.keyboardHead)));
        caller.ax = code;
        return false;
      }
      case 0x01:
      case 0x11: {
        const code = this.peek(isEnhanced);
        caller.zero = code === undefined;
        caller.enableInterrupts();
        if (code !== undefined) caller.ax = code;
        return false;
      }
      case 0x02:
        caller.al = this.byte(bda.shiftFlags);
        return false;
      case 0x03:
        this.setTypematic(caller);
        return false;
      case 0x05:
        caller.al = this.put(caller.cx) ? 0 : 1;
        return false;
      case 0x09:
        // Functions 0300h/0305h, 0Ah and 10h–12h are there.
        caller.al = 0x34;
        return false;
      case 0x0a:
        caller.bx = 0x41ab;
        return false;
      case 0x12: {
        const flags2 = this.byte(bda.shiftFlags2);
        const mode = this.byte(bda.keyboardMode);
        caller.al = this.byte(bda.shiftFlags);
        // Bits 0–3: left Ctrl, left Alt, right Ctrl, right Alt; 4–6 lock keys held; 7 system request.
        caller.ah =
          (flags2 & (LEFT_CTRL | LEFT_ALT)) |
          (mode & (RIGHT_CTRL | RIGHT_ALT)) |
          (flags2 & 0x70) |
          ((flags2 & SYSTEM_REQUEST) << 5);
        return false;
      }
      case 0x92:
        caller.ah = 0x80;
        return false;
      default:
        return false;
    }
  }

  /** Rate and delay go to the keyboard as they are; its two acknowledgements are swallowed by IRQ1. */
  private setTypematic(caller: Caller): void {
    if (caller.al !== 0x05 && caller.al !== 0x00) return;
    const rate = caller.al === 0x00 ? 0x2b : ((caller.bh & 3) << 5) | (caller.bl & 0x1f);
    this.ports.writePort(KEYBOARD_DATA, 1, 0xf3);
    this.ports.writePort(KEYBOARD_DATA, 1, rate);
  }
}

function pick(codes: KeyCodes, scan: number, isGrey: boolean, shift: number): number {
  if ((shift & ALT) !== 0) return codes.alt;
  if ((shift & CTRL) !== 0) return codes.ctrl;
  let isShifted = (shift & (LEFT_SHIFT | RIGHT_SHIFT)) !== 0;
  if (!isGrey && letters.has(scan) && (shift & CAPS_LOCK) !== 0) isShifted = !isShifted;
  if (!isGrey && keypad.has(scan) && (shift & NUM_LOCK) !== 0) isShifted = !isShifted;
  return isShifted ? codes.shift : codes.plain;
}

function enhancedCode(code: number): number {
  return (code & 0xff) === 0xf0 && code >> 8 !== 0 ? code & 0xff00 : code;
}

/** The code as an 84-key keyboard would give it; undefined for keys it does not have. */
function oldCode(code: number): number | undefined {
  const scan = code >> 8;
  const ascii = code & 0xff;
  if (scan === 0xe0) return ascii === 0x2f ? 0x352f : 0x1c00 | ascii;
  if (ascii === 0xf0 && scan !== 0) return undefined;
  if (scan > 0x84) return undefined;
  return ascii === 0xe0 && scan !== 0 ? code & 0xff00 : code;
}
