/**
 * A ring of receive or transmit descriptors in guest memory, in any of the formats that SWSTYLE selects (Am79C973 data sheet,
 * "Software Access", RMDs and TMDs). Status is the upper half of the 32-bit format's second word: OWN is bit 15; 16-bit
 * descriptors have its high byte only. Lengths and bases are the guest's: every walk is bounded by the ring's length.
 */
import type { GuestMemory } from "../../device-api/guest-memory.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import type { DescriptorFormat } from "./register-file.ts";

/** A buffer is at most this long: its length is twelve bits, negative. */
export const MAX_BUFFER_BYTES = 4096;

export class DescriptorRing {
  readonly #memory: GuestMemory;
  format: DescriptorFormat = "16";
  base = 0;
  /** 1–65536 descriptors. */
  length = 1;
  /** The one that is looked at next. */
  index = 0;
  /** Upper eight address bits of 16-bit descriptors' buffers. */
  addressHigh = 0;

  constructor(memory: GuestMemory) {
    this.#memory = memory;
  }

  /** Guest-physical address of the descriptor `ahead` places after the current one. */
  at(ahead: number): number {
    const position = (this.index + ahead) % this.length;
    return this.base + position * (this.format === "16" ? 8 : 16);
  }

  advance(count = 1): void {
    this.index = (this.index + count) % this.length;
  }

  status(gpa: number): number {
    if (this.format === "16") return this.#memory.read16(gpa + 2) & 0xff00;
    return this.#memory.read16(gpa + 6);
  }

  setStatus(gpa: number, status: number): void {
    if (this.format === "16") this.#memory.write8(gpa + 3, status >>> 8);
    else this.#memory.write16(gpa + 6, status);
  }

  bufferAddress(gpa: number): number {
    const memory = this.#memory;
    if (this.format === "16") {
      return this.addressHigh + (memory.read16(gpa) | (memory.read8(gpa + 2) << 16));
    }
    return memory.read32(this.format === "32" ? gpa : gpa + 8);
  }

  bufferBytes(gpa: number): number {
    const negative = this.#memory.read16(gpa + 4) & 0xfff;
    return MAX_BUFFER_BYTES - negative;
  }

  /** Receive: the length of the whole message, in its last descriptor. Collision and runt counts are 0. */
  setMessageBytes(gpa: number, bytes: number): void {
    if (this.format === "16") this.#memory.write16(gpa + 6, bytes & 0xfff);
    else this.#memory.write32(this.format === "32" ? gpa + 8 : gpa, bytes & 0xfff);
  }

  /** Transmit: error bits in the upper half's places; retry count and reflectometry are 0. */
  setTransmitErrors(gpa: number, errors: number): void {
    if (this.format === "16") this.#memory.write16(gpa + 6, errors);
    else this.#memory.write32(this.format === "32" ? gpa + 8 : gpa, errors * 0x10000);
  }

  save(): { readonly [key: string]: SavedValue } {
    return { base: this.base, length: this.length, index: this.index };
  }

  load(state: StateReader): void {
    this.base = state.integer("base", 0, 0xffffffff);
    this.length = state.integer("length", 1, 0x10000);
    this.index = state.integer("index", 0, this.length - 1);
    state.end();
  }
}
