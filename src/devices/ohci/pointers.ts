/** The tablet (places from 0 to 32767) and the mouse (motion), each with five buttons and a wheel. */
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import { Hid, ReportQueue } from "./hid.ts";

const MAX_WAITING = 64;
/** Generic desktop page, mouse, physical collection of a pointer with five buttons and three bits of padding. */
const HEAD = [
  0x05, 0x01, 0x09, 0x02, 0xa1, 0x01, 0x09, 0x01, 0xa1, 0x00, 0x05, 0x09, 0x19, 0x01, 0x29, 0x05, 0x15, 0x00, 0x25,
  0x01, 0x95, 0x05, 0x75, 0x01, 0x81, 0x02, 0x95, 0x01, 0x75, 0x03, 0x81, 0x03,
] as const;
/** Wheel: signed byte, relative; both collections end. */
const WHEEL_AND_TAIL = [0x09, 0x38, 0x15, 0x81, 0x25, 0x7f, 0x75, 0x08, 0x95, 0x01, 0x81, 0x06, 0xc0, 0xc0] as const;

const clamp = (value: number, limit: number) => Math.max(-limit, Math.min(limit, value));

export class Tablet extends Hid {
  static readonly reportBytes = 6;
  readonly #queue = new ReportQueue(Tablet.reportBytes, MAX_WAITING);
  #now: Uint8Array = new Uint8Array(Tablet.reportBytes);

  constructor() {
    super({
      name: "USB Tablet",
      productId: 0x0021,
      bootProtocol: 0,
      // X and Y: 16 bits each, absolute, 0 to 32767.
      report: [
        ...HEAD,
        ...[0x05, 0x01, 0x09, 0x30, 0x09, 0x31, 0x15, 0x00, 0x26, 0xff, 0x7f, 0x35, 0x00, 0x46, 0xff, 0x7f],
        ...[0x75, 0x10, 0x95, 0x02, 0x81, 0x02, 0x35, 0x00, 0x45, 0x00],
        ...WHEEL_AND_TAIL,
      ],
      intervalMs: 10,
    });
  }

  put(x: number, y: number, dz: number, buttons: number): void {
    const [px, py] = [x, y].map((at) => Math.max(0, Math.min(0x7fff, Math.trunc(at) || 0)));
    const wheel = -clamp(Math.trunc(dz) || 0, 127);
    const report = Uint8Array.of(buttons & 0x1f, px & 0xff, px >> 8, py & 0xff, py >> 8, wheel);
    const { last } = this.#queue;
    // Places between two others say nothing; buttons and the wheel do.
    if (last !== undefined && last[0] === report[0] && last[5] === 0 && wheel === 0) this.#queue.replaceLast(report);
    else this.#queue.push(report);
    this.#now = Uint8Array.from(report);
    this.#now[5] = 0;
  }

  get hasReport(): boolean {
    return this.#queue.length > 0;
  }
  poll(): Uint8Array | undefined {
    return this.#queue.shift();
  }
  protected currentReport(): Uint8Array {
    return this.#now;
  }
  protected resetReports(): void {
    this.#queue.clear();
  }
  protected saveReports(): { readonly [key: string]: SavedValue } {
    return { now: [...this.#now], queue: this.#queue.save() };
  }
  protected loadReports(state: StateReader): void {
    this.#now = Uint8Array.from(state.integers("now", Tablet.reportBytes, Tablet.reportBytes, 0, 255));
    this.#queue.load(state.integers("queue", 0, MAX_WAITING * Tablet.reportBytes, 0, 255));
  }
}

const MAX_MOTION = 4096;

export class UsbMouse extends Hid {
  static readonly reportBytes = 4;
  readonly #states: number[] = [];
  #x = 0;
  #y = 0;
  #z = 0;
  #buttons = 0;
  #lastState = 0;

  constructor() {
    super({
      name: "USB Mouse",
      productId: 0x0020,
      bootProtocol: 2,
      report: [
        ...HEAD,
        ...[0x05, 0x01, 0x09, 0x30, 0x09, 0x31, 0x15, 0x81, 0x25, 0x7f, 0x75, 0x08, 0x95, 0x02, 0x81, 0x06],
        ...WHEEL_AND_TAIL,
      ],
      intervalMs: 10,
    });
  }

  put(dx: number, dy: number, dz: number, buttons: number): void {
    this.#x = clamp(this.#x + (Math.trunc(dx) || 0), MAX_MOTION);
    this.#y = clamp(this.#y + (Math.trunc(dy) || 0), MAX_MOTION);
    this.#z = clamp(this.#z + (Math.trunc(dz) || 0), MAX_MOTION);
    const state = buttons & 0x1f;
    if (state === this.#lastState) return;
    this.#lastState = state;
    if (this.#states.length >= MAX_WAITING) this.#states.pop();
    this.#states.push(state);
  }

  get hasReport(): boolean {
    return this.#states.length > 0 || this.#x !== 0 || this.#y !== 0 || this.#z !== 0;
  }
  poll(): Uint8Array | undefined {
    if (!this.hasReport) return undefined;
    this.#buttons = this.#states.shift() ?? this.#buttons;
    const [x, y, z] = [this.#x, this.#y, this.#z].map((motion) => clamp(motion, 127));
    this.#x -= x;
    this.#y -= y;
    this.#z -= z;
    return Uint8Array.of(this.#buttons, x, y, -z);
  }
  protected currentReport(): Uint8Array {
    return Uint8Array.of(this.#lastState, 0, 0, 0);
  }
  protected resetReports(): void {
    this.#states.length = 0;
    this.#x = 0;
    this.#y = 0;
    this.#z = 0;
    this.#buttons = this.#lastState;
  }
  protected saveReports(): { readonly [key: string]: SavedValue } {
    const motion = [this.#x, this.#y, this.#z];
    return { states: [...this.#states], motion, buttons: this.#buttons, lastState: this.#lastState };
  }
  protected loadReports(state: StateReader): void {
    this.#states.splice(0, Number.POSITIVE_INFINITY, ...state.integers("states", 0, MAX_WAITING, 0, 0x1f));
    const [x, y, z] = state.integers("motion", 3, 3, -MAX_MOTION, MAX_MOTION);
    this.#x = x;
    this.#y = y;
    this.#z = z;
    this.#buttons = state.integer("buttons", 0, 0x1f);
    this.#lastState = state.integer("lastState", 0, 0x1f);
  }
}
