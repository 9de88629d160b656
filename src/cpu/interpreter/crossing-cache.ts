/**
 * Decoded instructions that lie in two pages. Records of pages say "crossing" for them, as the second page may be another one
 * at any time; here they are remembered with their bytes, and serve while both pages hold those.
 */
import * as R from "../decode/records.ts";

const SLOTS = 1024;
const MAX_INSTRUCTION_BYTES = 15;
/** At most an address record, the instruction and what stands behind it. */
const WORDS = (3 * R.RECORD_BYTES) >> 2;

export class CrossingCache {
  readonly #u8: Uint8Array;
  readonly #i32: Int32Array;
  readonly #target: number;
  readonly #linear = new Int32Array(SLOTS);
  /** Decode mode + 1; 0: empty. */
  readonly #keys = new Uint8Array(SLOTS);
  readonly #lengths = new Uint8Array(SLOTS);
  readonly #bytes = new Uint8Array(SLOTS * (MAX_INSTRUCTION_BYTES + 1));
  readonly #records = new Int32Array(SLOTS * WORDS);

  /** `target`: where the records of the instruction to be executed go. */
  constructor(memory: WebAssembly.Memory, target: number) {
    this.#u8 = new Uint8Array(memory.buffer);
    this.#i32 = new Int32Array(memory.buffer);
    this.#target = target;
  }

  /** Puts the records of the instruction at a linear address in their place, if it is remembered and stands in these pages (host addresses). */
  find(linear: number, key: number, firstPage: number, secondPage: number): boolean {
    const slot = slotOf(linear);
    if (this.#linear[slot] !== (linear | 0) || this.#keys[slot] !== key + 1) return false;
    const u8 = this.#u8;
    const bytes = this.#bytes;
    const length = this.#lengths[slot];
    const offset = linear & 4095;
    const first = 4096 - offset;
    let at = slot << 4;
    for (let n = 0; n < first; n++) if (u8[firstPage + offset + n] !== bytes[at++]) return false;
    for (let n = 0; n < length - first; n++) if (u8[secondPage + n] !== bytes[at++]) return false;
    const from = slot * WORDS;
    const to = this.#target >> 2;
    for (let n = 0; n < WORDS; n++) this.#i32[to + n] = this.#records[from + n];
    return true;
  }

  /** Remembers the records that stand in their place, and the instruction's bytes. */
  remember(linear: number, key: number, bytes: Uint8Array, lengthBytes: number): void {
    const slot = slotOf(linear);
    this.#linear[slot] = linear;
    this.#keys[slot] = key + 1;
    this.#lengths[slot] = lengthBytes;
    for (let n = 0; n < lengthBytes; n++) this.#bytes[(slot << 4) + n] = bytes[n];
    const from = this.#target >> 2;
    for (let n = 0; n < WORDS; n++) this.#records[slot * WORDS + n] = this.#i32[from + n];
  }
}

/** The last bytes of pages: bits of the page, and how far from its end. */
function slotOf(linear: number): number {
  return ((linear >>> 12) ^ (linear << 6) ^ (linear >>> 22)) & (SLOTS - 1);
}
