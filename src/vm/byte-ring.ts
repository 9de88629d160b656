/**
 * A byte queue in shared memory with one writing and one reading thread. Neither ever blocks: a writer that finds no room
 * is told so. Serial ports use it as it is; logs and traces put text lines into it and count the ones that did not fit.
 * Layout: three 32-bit words (bytes ever written, bytes ever read, lines lost; modulo 2^32), then the data.
 */
const WRITTEN = 0;
const READ = 1;
const LOST = 2;
const HEADER_BYTES = 16;

export class ByteRing {
  /** Hand this to the other thread and build a ring over it there. */
  readonly buffer: SharedArrayBuffer;
  readonly #header: Int32Array;
  readonly #data: Uint8Array;
  readonly #mask: number;

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#header = new Int32Array(buffer, 0, HEADER_BYTES / 4);
    this.#data = new Uint8Array(buffer, HEADER_BYTES);
    this.#mask = this.#data.length - 1;
  }

  /** `capacityBytes` is a power of two. */
  static create(capacityBytes: number): ByteRing {
    return new ByteRing(new SharedArrayBuffer(HEADER_BYTES + capacityBytes));
  }

  get freeBytes(): number {
    return this.#data.length - this.availableBytes;
  }
  get availableBytes(): number {
    return (Atomics.load(this.#header, WRITTEN) - Atomics.load(this.#header, READ)) >>> 0;
  }

  /** Writer: one byte, or false if there is no room. */
  writeByte(byte: number): boolean {
    if (this.availableBytes === this.#data.length) return false;
    const at = Atomics.load(this.#header, WRITTEN);
    this.#data[at & this.#mask] = byte;
    this.#publish(at, 1);
    return true;
  }

  /** Writer: all of `bytes`, or nothing. */
  write(bytes: Uint8Array): boolean {
    if (bytes.length > this.freeBytes) return false;
    const at = Atomics.load(this.#header, WRITTEN);
    const start = at & this.#mask;
    const first = Math.min(bytes.length, this.#data.length - start);
    this.#data.set(bytes.subarray(0, first), start);
    this.#data.set(bytes.subarray(first), 0);
    this.#publish(at, bytes.length);
    return true;
  }

  /** Writer: something did not fit and is gone. */
  countLost(): void {
    Atomics.add(this.#header, LOST, 1);
  }

  /** Reader: how much was lost since the last call. */
  takeLost(): number {
    return Atomics.exchange(this.#header, LOST, 0);
  }

  /** Reader: the next byte or -1. */
  readByte(): number {
    if (this.availableBytes === 0) return -1;
    const at = Atomics.load(this.#header, READ);
    const byte = this.#data[at & this.#mask];
    Atomics.store(this.#header, READ, (at + 1) | 0);
    return byte;
  }

  /** Reader: a copy of all that is there, at most `limit` bytes. */
  read(limit = Number.POSITIVE_INFINITY): Uint8Array<ArrayBuffer> {
    const length = Math.min(this.availableBytes, limit);
    const result = new Uint8Array(length);
    const at = Atomics.load(this.#header, READ);
    const start = at & this.#mask;
    const first = Math.min(length, this.#data.length - start);
    result.set(this.#data.subarray(start, start + first));
    result.set(this.#data.subarray(0, length - first), first);
    Atomics.store(this.#header, READ, (at + length) | 0);
    return result;
  }

  /**
   * A reader sleeps only when it has read everything, so only a write that finds it there has to wake it. It is looked for
   * after the write is visible: a reader that lies down in between sees the new count and does not.
   */
  #publish(at: number, length: number): void {
    Atomics.store(this.#header, WRITTEN, (at + length) | 0);
    if (Atomics.load(this.#header, READ) === at) Atomics.notify(this.#header, WRITTEN);
  }

  /** Reader: settles when there is something to read (at once if there is). Does not keep the process alive. */
  async whenWritten(): Promise<void> {
    for (;;) {
      const written = Atomics.load(this.#header, WRITTEN);
      if (written !== Atomics.load(this.#header, READ)) return;
      const wait = Atomics.waitAsync(this.#header, WRITTEN, written);
      if (wait.async) await wait.value;
    }
  }
}

/** A counter that wakes the machine thread: posted work first, then `ring`. */
export class Doorbell {
  readonly counter: Int32Array<SharedArrayBuffer>;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(4)) {
    this.counter = new Int32Array(buffer);
  }
  ring(): void {
    Atomics.add(this.counter, 0, 1);
    Atomics.notify(this.counter, 0);
  }
}
