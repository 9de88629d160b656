/** Stores to memory in their order, with what stood there before: to undo them, and to compare them with others'. */

/** Stores of one instruction. */
const MOST_STORES = 64;

export class WriteLog {
  readonly #u8: Uint8Array;
  #places = new Uint32Array(3 * 1024);
  #before = new Uint8Array(16 * 1024);
  #after = new Uint8Array(16 * 1024);
  #bytes = 0;
  /** Stores noted. */
  count = 0;

  constructor(u8: Uint8Array) {
    this.#u8 = u8;
  }

  clear(): void {
    this.count = 0;
    this.#bytes = 0;
  }

  /** Before the bytes change. */
  note(address: number, lengthBytes: number): void {
    const at = this.count * 3;
    if (at === this.#places.length) this.#places = grown(this.#places, new Uint32Array(at * 2));
    while (this.#bytes + lengthBytes > this.#before.length) {
      this.#before = grown(this.#before, new Uint8Array(this.#before.length * 2));
      this.#after = new Uint8Array(this.#before.length);
    }
    this.#places[at] = address;
    this.#places[at + 1] = lengthBytes;
    this.#places[at + 2] = this.#bytes;
    for (let n = 0; n < lengthBytes; n++) this.#before[this.#bytes + n] = this.#u8[address + n];
    this.#bytes += lengthBytes;
    this.count++;
  }

  /** Remembers what stands there now, all stores done; then puts back what stood there before. */
  undo(): void {
    const places = this.#places;
    for (let n = 0; n < this.count; n++) {
      const [address, length, at] = [places[n * 3], places[n * 3 + 1], places[n * 3 + 2]];
      for (let i = 0; i < length; i++) this.#after[at + i] = this.#u8[address + i];
    }
    for (let n = this.count - 1; n >= 0; n--) {
      const [address, length, at] = [places[n * 3], places[n * 3 + 1], places[n * 3 + 2]];
      for (let i = 0; i < length; i++) this.#u8[address + i] = this.#before[at + i];
    }
  }

  /**
   * After `undo` of this log and new stores that `other` has noted: the first host address at which memory is not what it was after
   * the stores of this log, or -1. `mayEndBehind`: this log may have some stores more at its end, which do not count.
   */
  firstDifference(other: WriteLog, mayEndBehind = false): number {
    const places = this.#places;
    const matched = mayEndBehind ? this.#matched(other) : -1;
    const count = matched >= 0 && this.count - matched <= MOST_STORES ? matched : this.count;
    for (let n = 0; n < count; n++) {
      const [address, length, at] = [places[n * 3], places[n * 3 + 1], places[n * 3 + 2]];
      for (let i = 0; i < length; i++) if (this.#after[at + i] !== this.#u8[address + i]) return address + i;
    }
    return this.#matched(other) >= 0 ? -1 : this.#firstOutside(other);
  }

  /**
   * Whether the other log's stores go through the same bytes in the same order, cut otherwise perhaps: how many of this log's there
   * are up to where the other ends; else -1.
   */
  #matched(other: WriteLog): number {
    let n = 0;
    let done = 0;
    for (let m = 0; m < other.count; m++) {
      const address = other.#places[m * 3];
      const length = other.#places[m * 3 + 1];
      if (n === this.count || address !== this.#places[n * 3] + done) return -1;
      done += length;
      if (done > this.#places[n * 3 + 1]) return -1;
      if (done === this.#places[n * 3 + 1]) {
        n++;
        done = 0;
      }
    }
    return done === 0 ? n : -1;
  }

  /** A byte that the other log alone has changed. */
  #firstOutside(other: WriteLog): number {
    const known = new Set<number>();
    for (const { address, before } of this.#entries()) for (let i = 0; i < before.length; i++) known.add(address + i);
    for (const { address, before } of other.#entries()) {
      for (let i = 0; i < before.length; i++) {
        if (known.has(address + i)) continue;
        known.add(address + i);
        if (before[i] !== this.#u8[address + i]) return address + i;
      }
    }
    return -1;
  }

  *#entries(): Generator<{ address: number; before: Uint8Array; after: Uint8Array }> {
    for (let n = 0; n < this.count; n++) {
      const [address, length, at] = this.#places.subarray(n * 3, n * 3 + 3);
      yield { address, before: this.#before.subarray(at, at + length), after: this.#after.subarray(at, at + length) };
    }
  }

  /** The last stores as text; `isUndone`: with what they left. */
  describe(isUndone: boolean, most = 24): string[] {
    return [...this.#entries()].slice(-most).map(({ address, before, after }) => {
      const now = isUndone ? after : this.#u8.slice(address, address + before.length);
      return `${address.toString(16)}: ${hex(before)} -> ${hex(now)}`;
    });
  }
}

function grown<T extends Uint8Array<ArrayBuffer> | Uint32Array<ArrayBuffer>>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}

function hex(bytes: Uint8Array): string {
  return [...bytes.subarray(0, 16)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
