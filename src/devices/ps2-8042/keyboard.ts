/**
 * The keyboard behind the controller (IBM PS/2 Technical Reference, "Keyboards 101/102"): scan sets 1 and 2, all commands
 * with their replies, LEDs, repetition. Keys arrive as set 1 from the host and leave in the selected set. A reply goes
 * before waiting scan codes. Not modelled: scan set 3 (refused with FEh), its key types (acknowledged).
 */
import type { Clock } from "../../device-api/clock.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import { ByteQueue } from "./byte-queue.ts";
import * as R from "./registers.ts";
import { BREAK_BIT, BREAK_PREFIX, EXTENDED_PREFIX, PAUSE_PREFIX, set1KeyToSet2 } from "./scan-codes.ts";
import { EXTENDED_KEY, Typematic } from "./typematic.ts";

/** Bytes of the Pause key behind E1h. */
const PAUSE_BYTES = 2;
const ID = [0xab, 0x83] as const;

export class Keyboard {
  readonly #replies = new ByteQueue(16);
  /** Set 1 bytes from the host: long, because a host types whole lines at once. */
  readonly #keys = new ByteQueue(4096);
  /** What is left of the scan code being sent. */
  readonly #sending = new ByteQueue(4);
  #scanSet = 2;
  #isScanning = true;
  #leds = 0;
  readonly #typematic: Typematic;
  /** The host has sent E0h: its key comes next. */
  #isExtended = false;
  /** Bytes of Pause, which does not repeat, that the host has yet to send. */
  #pauseBytes = 0;
  /** The command whose parameter comes next, or 0. */
  #expects = 0;
  #lastSent = 0;
  readonly #hasByteChanged: () => void;

  /** `hasByteChanged`: the keyboard may have something to send now. */
  constructor(clock: Clock, hasByteChanged: () => void) {
    this.#hasByteChanged = hasByteChanged;
    this.#typematic = new Typematic(clock, (key) => this.#repeat(key));
  }

  get leds(): number {
    return this.#leds;
  }

  reset(): void {
    this.#replies.clear();
    this.#setDefaults();
    this.#isScanning = true;
    this.#leds = 0;
    this.#scanSet = 2;
    this.#expects = 0;
    this.#lastSent = 0;
    this.#isExtended = false;
    this.#pauseBytes = 0;
  }

  #setDefaults(): void {
    this.#typematic.setDefault();
    this.#keys.clear();
    this.#sending.clear();
  }

  /** A prefix waits for its key, so one more than is put may have to fit. A keyboard that does not scan takes and drops everything. */
  get room(): number {
    return this.#isScanning ? Math.max(0, this.#keys.room - 1) : this.#keys.room;
  }

  putScancode(value: number): void {
    if (!this.#isScanning) return;
    const byte = value & 0xff;
    const isExtended = this.#isExtended;
    this.#isExtended = byte === EXTENDED_PREFIX;
    if (this.#isExtended) return;
    if (byte === PAUSE_PREFIX) {
      this.#pauseBytes = PAUSE_BYTES;
      this.#typematic.stop();
    } else if (this.#pauseBytes > 0) this.#pauseBytes--;
    else {
      const key = (byte & ~BREAK_BIT) | (isExtended ? EXTENDED_KEY : 0);
      if ((byte & BREAK_BIT) !== 0) this.#typematic.release(key);
      else if (!this.#typematic.press(key)) return;
    }
    if (isExtended) this.#keys.push(EXTENDED_PREFIX);
    this.#keys.push(byte);
    this.#hasByteChanged();
  }

  /** A guest that is slow to take keys does not find more of them later. */
  #repeat(key: number): void {
    if (this.hasByte) return;
    if ((key & EXTENDED_KEY) !== 0) this.#keys.push(EXTENDED_PREFIX);
    this.#keys.push(key & ~EXTENDED_KEY);
    this.#hasByteChanged();
  }

  /** Something can be sent now. Keys wait while the controller owes a parameter. */
  get hasByte(): boolean {
    if (this.#replies.length > 0) return true;
    return this.#expects === 0 && (this.#sending.length > 0 || this.#keys.length > 0);
  }

  /** The next byte on the wire; the caller has checked `hasByte`. */
  takeByte(): number {
    if (this.#replies.length > 0) this.#lastSent = this.#replies.shift();
    else {
      if (this.#sending.length === 0) this.#encodeKey(this.#keys.shift());
      this.#lastSent = this.#sending.shift();
    }
    return this.#lastSent;
  }

  #encodeKey(byte: number): void {
    if (this.#scanSet === 1 || byte === EXTENDED_PREFIX || byte === PAUSE_PREFIX) {
      this.#sending.push(byte);
      return;
    }
    if ((byte & BREAK_BIT) !== 0) this.#sending.push(BREAK_PREFIX);
    this.#sending.push(set1KeyToSet2(byte & ~BREAK_BIT));
  }

  /** A byte from the controller: a command or the parameter of one. */
  receive(value: number): void {
    const expects = this.#expects;
    this.#expects = 0;
    // Any value from EDh on is a command, also where a parameter was due.
    if (expects !== 0 && value < R.KBD_SET_LEDS) this.#receiveParameter(expects, value);
    else this.#receiveCommand(value);
    this.#hasByteChanged();
  }

  #receiveParameter(command: number, value: number): void {
    switch (command) {
      case R.KBD_SET_LEDS:
        this.#leds = value & 0x07;
        break;
      case R.KBD_TYPEMATIC:
        this.#typematic.set(value);
        break;
      case R.KBD_SCAN_SET:
        if (value === 0) {
          this.#reply(R.ACK, this.#scanSet);
          return;
        }
        if (value > 2) {
          this.#reply(R.RESEND);
          return;
        }
        this.#scanSet = value;
        this.#sending.clear();
        break;
    }
    this.#reply(R.ACK);
  }

  #receiveCommand(command: number): void {
    switch (command) {
      case R.KBD_SET_LEDS:
      case R.KBD_TYPEMATIC:
      case R.KBD_SCAN_SET:
        this.#expects = command;
        break;
      case R.KBD_ECHO:
        this.#reply(R.KBD_ECHO);
        return;
      case R.KBD_IDENTIFY:
        this.#reply(R.ACK, ...ID);
        return;
      case R.KBD_ENABLE:
        this.#typematic.stop();
        this.#keys.clear();
        this.#sending.clear();
        this.#isScanning = true;
        break;
      case R.KBD_DEFAULT_DISABLE:
        this.#setDefaults();
        this.#isScanning = false;
        break;
      case R.KBD_DEFAULT:
        this.#setDefaults();
        this.#isScanning = true;
        break;
      case R.KBD_RESEND:
        this.#reply(this.#lastSent);
        return;
      case R.KBD_RESET:
        this.reset();
        this.#reply(R.ACK, R.BAT_PASSED);
        return;
      default:
        if (command < R.KBD_ALL_KEYS) {
          this.#reply(R.RESEND);
          return;
        }
        // Key types of set 3: FBh–FDh are followed by key codes, which are acknowledged one by one.
        if (command >= R.KBD_ONE_KEY) this.#expects = command;
    }
    this.#reply(R.ACK);
  }

  #reply(...bytes: number[]): void {
    for (const byte of bytes) this.#replies.push(byte);
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      replies: this.#replies.toArray(),
      keys: this.#keys.toArray(),
      sending: this.#sending.toArray(),
      scanSet: this.#scanSet,
      isScanning: this.#isScanning,
      leds: this.#leds,
      typematic: this.#typematic.save(),
      isExtended: this.#isExtended,
      pauseBytes: this.#pauseBytes,
      expects: this.#expects,
      lastSent: this.#lastSent,
    };
  }

  load(state: StateReader): void {
    this.#replies.fill(state.integers("replies", 0, 16, 0, 0xff));
    this.#keys.fill(state.integers("keys", 0, 4096, 0, 0xff));
    this.#sending.fill(state.integers("sending", 0, 4, 0, 0xff));
    this.#scanSet = state.integer("scanSet", 1, 2);
    this.#isScanning = state.boolean("isScanning");
    this.#leds = state.integer("leds", 0, 7);
    this.#typematic.load(state.child("typematic"));
    this.#isExtended = state.boolean("isExtended");
    this.#pauseBytes = state.integer("pauseBytes", 0, PAUSE_BYTES);
    this.#expects = state.byte("expects");
    this.#lastSent = state.byte("lastSent");
    state.end();
  }
}
