/**
 * The keyboard behind the controller (IBM PS/2 Technical Reference, "Keyboards 101/102"): scan sets 1 and 2, all commands
 * with their replies, LEDs. Keys arrive as set 1 from the host, repetition included, and leave in the selected set. A
 * reply goes before waiting scan codes. Not modelled: scan set 3 (refused with FEh), its key types (acknowledged), the
 * keyboard's own repetition (the rate is kept).
 */
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import { ByteQueue } from "./byte-queue.ts";
import * as R from "./registers.ts";
import { BREAK_BIT, BREAK_PREFIX, EXTENDED_PREFIX, PAUSE_PREFIX, set1KeyToSet2 } from "./scan-codes.ts";

const DEFAULT_TYPEMATIC = 0x2b;
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
  #typematic = DEFAULT_TYPEMATIC;
  /** The command whose parameter comes next, or 0. */
  #expects = 0;
  #lastSent = 0;
  readonly #hasByteChanged: () => void;

  /** `hasByteChanged`: the keyboard may have something to send now. */
  constructor(hasByteChanged: () => void) {
    this.#hasByteChanged = hasByteChanged;
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
  }

  #setDefaults(): void {
    this.#typematic = DEFAULT_TYPEMATIC;
    this.#keys.clear();
    this.#sending.clear();
  }

  putScancode(byte: number): void {
    if (!this.#isScanning) return;
    this.#keys.push(byte & 0xff);
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
        this.#typematic = value & 0x7f;
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
      typematic: this.#typematic,
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
    this.#typematic = state.integer("typematic", 0, 0x7f);
    this.#expects = state.byte("expects");
    this.#lastSent = state.byte("lastSent");
    state.end();
  }
}
