/**
 * A PS/2 mouse with Microsoft's wheel extensions (IBM PS/2 Technical Reference, "Mouse"; IntelliMouse ids 3 and 4 after
 * sample rates 200, 100, 80 and 200, 200, 80). All commands; stream, remote and wrap mode; packets are sent whole, at most
 * as often as the sample rate says; motion that does not fit into one goes into the next, and no click is lost in between.
 * Not modelled: scaling by resolution (counts are taken as they come).
 */
import type { Clock, Timer } from "../../device-api/clock.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import { ByteQueue } from "./byte-queue.ts";
import * as R from "./registers.ts";

export const ID_MOUSE = 0;
export const ID_WHEEL = 3;
export const ID_FIVE_BUTTONS = 4;

const DEFAULT_RATE = 100;
const DEFAULT_RESOLUTION = 2;
const PACKET_ALWAYS = 0x08;
const PACKET_X_SIGN = 0x10;
const PACKET_Y_SIGN = 0x20;
/** Clicks that wait to be told. */
const maxWaitingStates = 32;
/** Motion beyond this is forgotten: a hostile or stuck host cannot make minutes of movement. */
const maxMotion = 4096;

export class Mouse {
  readonly #replies = new ByteQueue(16);
  readonly #packet = new ByteQueue(4);
  readonly #rateTimer: Timer;
  readonly #hasByteChanged: () => void;
  #id = ID_MOUSE;
  #isReporting = false;
  #isRemote = false;
  #isWrapping = false;
  #isScaling2 = false;
  #resolution = DEFAULT_RESOLUTION;
  #rate = DEFAULT_RATE;
  /** The last three sample rates, newest last. */
  #rates = [0, 0, 0];
  #expects = 0;
  #lastSent = 0;
  /** Motion not yet reported, x right, y down, z towards the person. */
  #x = 0;
  #y = 0;
  #z = 0;
  /** Buttons of the last packet, and button states that wait for theirs. */
  #buttons = 0;
  readonly #states = new ByteQueue(maxWaitingStates);
  #lastState = 0;

  constructor(clock: Clock, hasByteChanged: () => void) {
    this.#rateTimer = clock.createTimer("ps2 mouse rate", () => this.#pump());
    this.#hasByteChanged = hasByteChanged;
  }

  reset(): void {
    this.#replies.clear();
    this.#isRemote = false;
    this.#isWrapping = false;
    this.#setDefaults();
    this.#id = ID_MOUSE;
    this.#rates = [0, 0, 0];
    this.#expects = 0;
    this.#lastSent = 0;
    this.#buttons = 0;
    this.#lastState = 0;
    this.#rateTimer.cancel();
  }

  #setDefaults(): void {
    this.#isReporting = false;
    this.#isScaling2 = false;
    this.#resolution = DEFAULT_RESOLUTION;
    this.#rate = DEFAULT_RATE;
    this.#forgetMotion();
  }

  #forgetMotion(): void {
    this.#packet.clear();
    this.#x = 0;
    this.#y = 0;
    this.#z = 0;
    this.#buttons = this.#lastState;
    this.#states.clear();
  }

  putRelative(dx: number, dy: number, dz: number, buttons: number): void {
    this.#x = accumulate(this.#x, dx);
    this.#y = accumulate(this.#y, dy);
    this.#z = accumulate(this.#z, dz);
    const state = buttons & 0x1f;
    if (state !== this.#lastState) {
      this.#lastState = state;
      this.#states.push(state);
    }
    this.#pump();
  }

  /** Makes the next packet if there is something to tell and the sample rate allows it. */
  #pump(): void {
    if (!this.#isReporting || this.#isRemote || this.#isWrapping) return;
    if (this.#packet.length > 0 || this.#rateTimer.armed || !this.#hasNews) return;
    this.#makePacket();
    this.#rateTimer.armAfter(1e9 / this.#rate);
    this.#hasByteChanged();
  }

  get #hasNews(): boolean {
    const hasWheel = this.#id !== ID_MOUSE && this.#z !== 0;
    return this.#x !== 0 || this.#y !== 0 || hasWheel || this.#states.length > 0;
  }

  #makePacket(): void {
    if (this.#states.length > 0) this.#buttons = this.#states.shift();
    const dx = clamp(this.#x, -255, 255);
    const dy = clamp(-this.#y, -255, 255);
    this.#x -= dx;
    this.#y += dy;
    const x = this.#scale(dx);
    const y = this.#scale(dy);
    const signs = (x < 0 ? PACKET_X_SIGN : 0) | (y < 0 ? PACKET_Y_SIGN : 0);
    this.#packet.clear();
    this.#packet.push((this.#buttons & 0x07) | PACKET_ALWAYS | signs);
    this.#packet.push(x & 0xff);
    this.#packet.push(y & 0xff);
    if (this.#id === ID_MOUSE) {
      this.#z = 0;
      return;
    }
    const dz = clamp(this.#z, -8, 7);
    this.#z -= dz;
    if (this.#id === ID_WHEEL) this.#packet.push(dz & 0xff);
    else this.#packet.push((dz & 0x0f) | ((this.#buttons & 0x18) << 1));
  }

  /** 2:1 scaling as the mouse does it in stream mode, within the packet's range. */
  #scale(delta: number): number {
    if (!this.#isScaling2 || this.#isRemote) return delta;
    const size = Math.abs(delta);
    const scaled = size < 6 ? [0, 1, 1, 3, 6, 9][size] : Math.min(255, 2 * size);
    return delta < 0 ? -scaled : scaled;
  }

  get hasByte(): boolean {
    return this.#replies.length > 0 || (this.#expects === 0 && this.#packet.length > 0);
  }
  /** The caller has checked `hasByte`. */
  takeByte(): number {
    this.#lastSent = this.#replies.length > 0 ? this.#replies.shift() : this.#packet.shift();
    if (this.#packet.length === 0) this.#pump();
    return this.#lastSent;
  }

  /** A byte from the controller. */
  receive(value: number): void {
    // A command ends what was being sent: no half packet after the reply.
    this.#replies.clear();
    this.#packet.clear();
    const expects = this.#expects;
    this.#expects = 0;
    if (this.#isWrapping && value !== R.AUX_RESET && value !== R.AUX_RESET_WRAP) this.#reply(value);
    else if (expects !== 0) this.#receiveParameter(expects, value);
    else this.#receiveCommand(value);
    this.#hasByteChanged();
    this.#pump();
  }

  #receiveParameter(command: number, value: number): void {
    if (command === R.AUX_RESOLUTION) {
      this.#resolution = value & 3;
    } else {
      this.#rate = clamp(value, 1, 200);
      this.#rates = [this.#rates[1], this.#rates[2], value];
      this.#listenForKnock();
    }
    this.#reply(R.ACK);
  }

  #receiveCommand(command: number): void {
    switch (command) {
      case R.AUX_SCALING_1_1:
      case R.AUX_SCALING_2_1:
        this.#isScaling2 = command === R.AUX_SCALING_2_1;
        break;
      case R.AUX_RESOLUTION:
      case R.AUX_SAMPLE_RATE:
        this.#expects = command;
        break;
      case R.AUX_STATUS:
        this.#reply(R.ACK, this.#status(), this.#resolution, this.#rate);
        return;
      case R.AUX_STREAM:
        this.#isRemote = false;
        this.#forgetMotion();
        break;
      case R.AUX_REMOTE:
        this.#isRemote = true;
        this.#forgetMotion();
        break;
      case R.AUX_READ_DATA:
        this.#reply(R.ACK);
        this.#makePacket();
        return;
      case R.AUX_WRAP:
        this.#isWrapping = true;
        break;
      case R.AUX_RESET_WRAP:
        this.#isWrapping = false;
        break;
      case R.AUX_IDENTIFY:
        this.#reply(R.ACK, this.#id);
        return;
      case R.AUX_ENABLE:
        this.#isReporting = true;
        this.#forgetMotion();
        break;
      case R.AUX_DISABLE:
        this.#isReporting = false;
        this.#forgetMotion();
        break;
      case R.AUX_DEFAULT:
        this.#setDefaults();
        break;
      case R.AUX_RESEND:
        this.#reply(this.#lastSent);
        return;
      case R.AUX_RESET: {
        const held = this.#lastState;
        this.reset();
        this.#lastState = held;
        this.#buttons = held;
        this.#reply(R.ACK, R.BAT_PASSED, ID_MOUSE);
        return;
      }
      default:
        this.#reply(R.RESEND);
        return;
    }
    this.#reply(R.ACK);
  }

  /** The knock: three sample rates in a row make the mouse show its wheel, then its fourth and fifth button. */
  #listenForKnock(): void {
    const [first, second, third] = this.#rates;
    if (first !== 200 || third !== 80) return;
    if (second === 100) this.#id = ID_WHEEL;
    else if (second === 200) this.#id = ID_FIVE_BUTTONS;
  }

  #status(): number {
    const buttons = this.#lastState;
    return (
      (this.#isRemote ? 0x40 : 0) |
      (this.#isReporting ? 0x20 : 0) |
      (this.#isScaling2 ? 0x10 : 0) |
      ((buttons & 1) !== 0 ? 0x04 : 0) |
      ((buttons & 4) !== 0 ? 0x02 : 0) |
      ((buttons & 2) !== 0 ? 0x01 : 0)
    );
  }

  #reply(...bytes: number[]): void {
    for (const byte of bytes) this.#replies.push(byte);
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      replies: this.#replies.toArray(),
      packet: this.#packet.toArray(),
      states: this.#states.toArray(),
      rates: [...this.#rates],
      id: this.#id,
      isReporting: this.#isReporting,
      isRemote: this.#isRemote,
      isWrapping: this.#isWrapping,
      isScaling2: this.#isScaling2,
      resolution: this.#resolution,
      rate: this.#rate,
      expects: this.#expects,
      lastSent: this.#lastSent,
      motion: [this.#x, this.#y, this.#z],
      buttons: this.#buttons,
      lastState: this.#lastState,
      rateNs: this.#rateTimer.armed ? this.#rateTimer.deadlineNs : -1,
    };
  }

  load(state: StateReader): void {
    this.#replies.fill(state.integers("replies", 0, 16, 0, 0xff));
    this.#packet.fill(state.integers("packet", 0, 4, 0, 0xff));
    this.#states.fill(state.integers("states", 0, maxWaitingStates, 0, 0x1f));
    this.#rates = state.integers("rates", 3, 3, 0, 0xff);
    this.#id = state.integer("id", 0, ID_FIVE_BUTTONS);
    this.#isReporting = state.boolean("isReporting");
    this.#isRemote = state.boolean("isRemote");
    this.#isWrapping = state.boolean("isWrapping");
    this.#isScaling2 = state.boolean("isScaling2");
    this.#resolution = state.integer("resolution", 0, 3);
    this.#rate = state.integer("rate", 1, 200);
    this.#expects = state.byte("expects");
    this.#lastSent = state.byte("lastSent");
    const [x, y, z] = state.integers("motion", 3, 3, -maxMotion, maxMotion);
    this.#x = x;
    this.#y = y;
    this.#z = z;
    this.#buttons = state.integer("buttons", 0, 0x1f);
    this.#lastState = state.integer("lastState", 0, 0x1f);
    const rateNs = state.number("rateNs");
    if (rateNs >= 0) this.#rateTimer.armAt(rateNs);
    else this.#rateTimer.cancel();
    state.end();
  }
}

function clamp(value: number, min: number, max: number): number {
  return Math.max(min, Math.min(max, value));
}

function accumulate(sum: number, delta: number): number {
  return clamp(sum + Math.trunc(delta || 0), -maxMotion, maxMotion);
}
