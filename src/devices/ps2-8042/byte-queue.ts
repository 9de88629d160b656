/** A bounded queue of bytes; what does not fit is refused. */
export class ByteQueue {
  readonly #bytes: Uint8Array;
  #head = 0;
  #length = 0;

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity);
  }
  get length(): number {
    return this.#length;
  }
  get room(): number {
    return this.#bytes.length - this.#length;
  }
  push(byte: number): boolean {
    if (this.#length === this.#bytes.length) return false;
    this.#bytes[(this.#head + this.#length) % this.#bytes.length] = byte;
    this.#length++;
    return true;
  }
  /** The caller has checked `length`. */
  shift(): number {
    const byte = this.#bytes[this.#head];
    this.#head = (this.#head + 1) % this.#bytes.length;
    this.#length--;
    return byte;
  }
  clear(): void {
    this.#length = 0;
  }
  toArray(): number[] {
    return Array.from({ length: this.#length }, (_, i) => this.#bytes[(this.#head + i) % this.#bytes.length]);
  }
  fill(bytes: readonly number[]): void {
    this.clear();
    for (const byte of bytes) this.push(byte);
  }
}
