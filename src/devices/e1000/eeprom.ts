/**
 * The serial EEPROM of an 8254x card: a Microwire 93C46 of 64 words behind EECD's four pins (READ only: nothing that an operating
 * system does writes it; other commands are ignored and the part stays write-protected), and its contents (manual, chapter 5:
 * "EEPROM Interface"): address, identity, checksum.
 */
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import * as R from "./registers.ts";

export const EEPROM_WORDS = 64;
const CHECKSUM_WORD = 0x3f;
const CHECKSUM = 0xbaba;
const ADDRESS_BITS = 6;
/** Start bit, two of opcode, address. */
const COMMAND_BITS = 3 + ADDRESS_BITS;
const OPCODE_READ = 6;

export interface EepromIdentity {
  readonly deviceId: number;
  readonly subsystemVendorId: number;
  readonly subsystemId: number;
}

export function eepromContents(macAddress: Uint8Array, identity: EepromIdentity): Uint16Array {
  const words = new Uint16Array(EEPROM_WORDS).fill(0xffff);
  for (let i = 0; i < 3; i++) words[i] = macAddress[2 * i] | (macAddress[2 * i + 1] << 8);
  words[0x03] = 0x0000;
  // LEDs as the manual's default.
  words[0x04] = 0xffff;
  words[0x08] = 0x3000;
  words[0x09] = 0x1000;
  words[0x0a] = 0x6403;
  words[0x0b] = identity.subsystemId;
  words[0x0c] = identity.subsystemVendorId;
  words[0x0d] = identity.deviceId;
  words[0x0e] = R.VENDOR_INTEL;
  words[0x0f] = 0x3040;
  words[0x10] = 0x0008;
  words[0x12] = 0x0000;
  words[0x14] = 0x0000;
  words[0x20] = 0x0100;
  words[0x21] = 0x1000;
  words[0x24] = 0x0000;
  let sum = 0;
  for (let i = 0; i < CHECKSUM_WORD; i++) sum += words[i];
  words[CHECKSUM_WORD] = CHECKSUM - sum;
  return words;
}

/** The part behind the pins. */
export class MicrowireEeprom {
  readonly words: Uint16Array;
  /** Bits of the command so far; -1: waiting for the start bit. */
  #count = -1;
  #command = 0;
  /** Bits that come out, most significant first. */
  #output = 0;
  #outputBits = 0;
  #isHigh = true;
  #wasClocked = false;

  constructor(words: Uint16Array) {
    this.words = words;
  }

  /** The pins as software sets them. */
  setPins(eecd: number): void {
    const clock = (eecd & R.EECD_SK) !== 0;
    const rises = clock && !this.#wasClocked;
    this.#wasClocked = clock;
    if ((eecd & R.EECD_CS) === 0) {
      this.#count = -1;
      this.#outputBits = 0;
      this.#isHigh = true;
    } else if (rises) {
      this.#clock((eecd & R.EECD_DI) !== 0 ? 1 : 0);
    }
  }

  get dataOut(): boolean {
    return this.#isHigh;
  }

  #clock(bit: number): void {
    if (this.#outputBits > 0) {
      this.#outputBits--;
      this.#isHigh = ((this.#output >>> this.#outputBits) & 1) !== 0;
      return;
    }
    if (this.#count < 0) {
      if (bit === 0) return;
      this.#count = 1;
      this.#command = 1;
      return;
    }
    this.#command = (this.#command << 1) | bit;
    if (++this.#count < COMMAND_BITS) return;
    this.#count = -1;
    if (this.#command >>> ADDRESS_BITS !== OPCODE_READ) return;
    this.#output = this.words[this.#command & (EEPROM_WORDS - 1)];
    this.#outputBits = 16;
    // A zero before the data.
    this.#isHigh = false;
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      count: this.#count,
      command: this.#command,
      output: this.#output,
      outputBits: this.#outputBits,
      isHigh: this.#isHigh,
      wasClocked: this.#wasClocked,
    };
  }

  load(state: StateReader): void {
    this.#count = state.integer("count", -1, COMMAND_BITS - 1);
    this.#command = state.integer("command", 0, 0x1ff);
    this.#output = state.integer("output", 0, 0xffff);
    this.#outputBits = state.integer("outputBits", 0, 16);
    this.#isHigh = state.boolean("isHigh");
    this.#wasClocked = state.boolean("wasClocked");
    state.end();
  }
}
