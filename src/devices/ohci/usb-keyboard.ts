/**
 * The keyboard: set-1 scan codes from the host become reports of the keys that are down (HID usage tables, page 7; boot
 * protocol: modifiers, a reserved byte, six keys). More than six at once are told as roll-over.
 */
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import { Hid, ReportQueue } from "./hid.ts";

const REPORT_BYTES = 8;
const MAX_WAITING = 1024;
const FIRST_MODIFIER = 0xe0;
const ROLL_OVER = 1;
const PREFIX_E0 = 0xe0;
const PREFIX_E1 = 0xe1;
const PAUSE = 0x48;

/** Usages of scan codes 01h to 58h; 0: no key. */
// biome-ignore format: sixteen a line
const usages: readonly number[] = [
  0x00, 0x29, 0x1e, 0x1f, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x2d, 0x2e, 0x2a, 0x2b,
  0x14, 0x1a, 0x08, 0x15, 0x17, 0x1c, 0x18, 0x0c, 0x12, 0x13, 0x2f, 0x30, 0x28, 0xe0, 0x04, 0x16,
  0x07, 0x09, 0x0a, 0x0b, 0x0d, 0x0e, 0x0f, 0x33, 0x34, 0x35, 0xe1, 0x31, 0x1d, 0x1b, 0x06, 0x19,
  0x05, 0x11, 0x10, 0x36, 0x37, 0x38, 0xe5, 0x55, 0xe2, 0x2c, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e,
  0x3f, 0x40, 0x41, 0x42, 0x43, 0x53, 0x47, 0x5f, 0x60, 0x61, 0x56, 0x5c, 0x5d, 0x5e, 0x57, 0x59,
  0x5a, 0x5b, 0x62, 0x63, 0x46, 0x00, 0x64, 0x44, 0x45,
];
/** The same for codes behind E0. */
const extendedUsages = new Map([
  [0x1c, 0x58],
  [0x1d, 0xe4],
  [0x35, 0x54],
  [0x37, 0x46],
  [0x38, 0xe6],
  [0x46, PAUSE],
  [0x47, 0x4a],
  [0x48, 0x52],
  [0x49, 0x4b],
  [0x4b, 0x50],
  [0x4d, 0x4f],
  [0x4f, 0x4d],
  [0x50, 0x51],
  [0x51, 0x4e],
  [0x52, 0x49],
  [0x53, 0x4c],
  [0x5b, 0xe3],
  [0x5c, 0xe7],
  [0x5d, 0x65],
]);

/** HID usage of a set-1 code without its break bit; 0 if there is no such key. */
export function usageOf(code: number, isExtended: boolean): number {
  return (isExtended ? extendedUsages.get(code) : usages[code]) ?? 0;
}

export class UsbKeyboard extends Hid {
  readonly #queue = new ReportQueue(REPORT_BYTES, MAX_WAITING);
  #down: number[] = [];
  /** E0h after that prefix; E1h and below, counting down, inside Pause's code. */
  #prefix = 0;
  #pauseLeft = 0;
  leds = 0;

  constructor() {
    super({
      name: "USB Keyboard",
      productId: 0x0010,
      bootProtocol: 1,
      // Eight modifier bits, a constant byte, five lights with three bits of padding, six keys.
      report: [
        ...[0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, 0x05, 0x07, 0x19, 0xe0, 0x29, 0xe7, 0x15, 0x00, 0x25, 0x01],
        ...[0x75, 0x01, 0x95, 0x08, 0x81, 0x02, 0x95, 0x01, 0x75, 0x08, 0x81, 0x01, 0x95, 0x05, 0x75, 0x01],
        ...[0x05, 0x08, 0x19, 0x01, 0x29, 0x05, 0x91, 0x02, 0x95, 0x01, 0x75, 0x03, 0x91, 0x01, 0x95, 0x06],
        ...[0x75, 0x08, 0x15, 0x00, 0x26, 0xff, 0x00, 0x05, 0x07, 0x19, 0x00, 0x2a, 0xff, 0x00, 0x81, 0x00, 0xc0],
      ],
      intervalMs: 10,
    });
  }

  /** Pause takes two reports for one byte. */
  get room(): number {
    return Math.max(0, MAX_WAITING - 1 - this.#queue.length);
  }

  putScancode(byte: number): void {
    if (this.#pauseLeft > 0) {
      this.#pauseLeft--;
      return;
    }
    if (byte === PREFIX_E1) {
      // E1 1D 45 E1 9D C5: pressed and released at once.
      this.#pauseLeft = 5;
      this.#key(PAUSE, true);
      this.#key(PAUSE, false);
      return;
    }
    if (byte === PREFIX_E0) {
      this.#prefix = byte;
      return;
    }
    const usage = usageOf(byte & 0x7f, this.#prefix === PREFIX_E0);
    this.#prefix = 0;
    if (usage !== 0) this.#key(usage, (byte & 0x80) === 0);
  }

  #key(usage: number, isDown: boolean): void {
    const wasDown = this.#down.includes(usage);
    // The guest repeats keys by itself.
    if (wasDown === isDown) return;
    if (isDown) this.#down.push(usage);
    else this.#down = this.#down.filter((one) => one !== usage);
    this.#queue.push(this.currentReport());
  }

  get hasReport(): boolean {
    return this.#queue.length > 0;
  }
  poll(): Uint8Array | undefined {
    return this.#queue.shift();
  }

  protected currentReport(): Uint8Array {
    const report = new Uint8Array(REPORT_BYTES);
    const keys = this.#down.filter((usage) => usage < FIRST_MODIFIER);
    for (const usage of this.#down) if (usage >= FIRST_MODIFIER) report[0] |= 1 << (usage - FIRST_MODIFIER);
    if (keys.length > REPORT_BYTES - 2) report.fill(ROLL_OVER, 2);
    else report.set(keys, 2);
    return report;
  }
  /** HID's order is num, caps, scroll; that of a PC's keyboard scroll, num, caps. */
  protected override setReport(data: Uint8Array): void {
    const bits = data[0] ?? 0;
    this.leds = ((bits & 4) >> 2) | ((bits & 1) << 1) | ((bits & 2) << 1);
  }
  protected resetReports(): void {
    this.#queue.clear();
    this.leds = 0;
  }
  protected saveReports(): { readonly [key: string]: SavedValue } {
    const { leds } = this;
    return { queue: this.#queue.save(), down: [...this.#down], prefix: this.#prefix, pauseLeft: this.#pauseLeft, leds };
  }
  protected loadReports(state: StateReader): void {
    this.#queue.load(state.integers("queue", 0, MAX_WAITING * REPORT_BYTES, 0, 255));
    this.#down = state.integers("down", 0, 256, 1, 255);
    this.#prefix = state.byte("prefix");
    this.#pauseLeft = state.integer("pauseLeft", 0, 5);
    this.leds = state.integer("leds", 0, 7);
  }
}
