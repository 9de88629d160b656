/** A bounded byte queue, the shape of both FIFOs of the UART. `capacity` may change while it is empty. */
export class ByteFifo {
  readonly #bytes = new Uint8Array(64);
  #head = 0;
  #length = 0;
  capacity = 1;

  get length(): number {
    return this.#length;
  }
  get isFull(): boolean {
    return this.#length >= this.capacity;
  }
  /** The caller has checked `isFull`. */
  push(byte: number): void {
    this.#bytes[(this.#head + this.#length) & 63] = byte;
    this.#length++;
  }
  /** The caller has checked `length`. */
  shift(): number {
    const byte = this.#bytes[this.#head];
    this.#head = (this.#head + 1) & 63;
    this.#length--;
    return byte;
  }
  replaceLast(byte: number): void {
    this.#bytes[(this.#head + this.#length - 1) & 63] = byte;
  }
  clear(): void {
    this.#length = 0;
  }
  toArray(): number[] {
    return Array.from({ length: this.#length }, (_, i) => this.#bytes[(this.#head + i) & 63]);
  }
  fill(bytes: readonly number[]): void {
    this.clear();
    for (const byte of bytes) this.push(byte);
  }
}
