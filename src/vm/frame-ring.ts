/**
 * A queue of Ethernet frames in shared memory with one writing and one reading thread; neither blocks. Records are a 32-bit
 * length and the frame, padded to four bytes; a record never wraps: a length of -1 says that the next one is at the start.
 * Layout: four 32-bit words (bytes ever written, bytes ever read, writer waits for room, spare), then the data.
 *
 * Waking: the writer is told when a frame came into an empty queue, and only then wakes the reader, who sleeps with an empty queue only. A
 * writer that found no room says so in the third word; the reader takes the word back when half the room is free and
 * wakes the writer.
 */
const WRITTEN = 0;
const READ = 1;
const BLOCKED = 2;
const HEADER_BYTES = 16;
const WRAP = -1;

export class FrameRing {
  /** Hand this to the other thread and build a ring over it there. */
  readonly buffer: SharedArrayBuffer;
  readonly #header: Int32Array<SharedArrayBuffer>;
  readonly #lengths: Int32Array;
  readonly #data: Uint8Array;
  readonly #capacity: number;

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#header = new Int32Array(buffer, 0, HEADER_BYTES / 4);
    this.#lengths = new Int32Array(buffer, HEADER_BYTES);
    this.#data = new Uint8Array(buffer, HEADER_BYTES);
    this.#capacity = this.#data.length;
  }

  /** `capacityBytes` is a power of two. */
  static create(capacityBytes: number): FrameRing {
    return new FrameRing(new SharedArrayBuffer(HEADER_BYTES + capacityBytes));
  }

  get #usedBytes(): number {
    return (Atomics.load(this.#header, WRITTEN) - Atomics.load(this.#header, READ)) >>> 0;
  }

  get isEmpty(): boolean {
    return this.#usedBytes === 0;
  }

  /** Writer: "no room", "queued" behind others, or "first" in an empty queue: the reader has to be woken. */
  write(frame: Uint8Array): "no room" | "queued" | "first" {
    const record = recordBytes(frame.length);
    const written = Atomics.load(this.#header, WRITTEN);
    const free = this.#capacity - this.#usedBytes;
    let at = (written >>> 0) & (this.#capacity - 1);
    const atEnd = this.#capacity - at;
    const skipped = record > atEnd ? atEnd : 0;
    if (skipped + record > free) return "no room";
    if (skipped > 0) {
      this.#lengths[at >> 2] = WRAP;
      at = 0;
    }
    this.#lengths[at >> 2] = frame.length;
    this.#data.set(frame, at + 4);
    Atomics.store(this.#header, WRITTEN, (written + skipped + record) | 0);
    // After the frame is visible: a reader that lies down in between sees the new count and does not.
    return Atomics.load(this.#header, READ) === written ? "first" : "queued";
  }

  /** Writer, after "no room": asks to be woken. Try once more afterwards. */
  askForRoom(): void {
    Atomics.store(this.#header, BLOCKED, 1);
  }

  /** Reader: length of the next frame, 0 if there is none. */
  get nextBytes(): number {
    if (this.isEmpty) return 0;
    const at = this.#readPosition();
    return this.#lengths[at >> 2];
  }

  /** Reader: moves the next frame into `target`; its length, 0 if there is none or it does not fit (it is gone then). */
  read(target: Uint8Array): number {
    if (this.isEmpty) return 0;
    const at = this.#readPosition();
    const length = this.#lengths[at >> 2];
    const fits = length <= target.length;
    if (fits) target.set(this.#data.subarray(at + 4, at + 4 + length));
    Atomics.store(this.#header, READ, (Atomics.load(this.#header, READ) + recordBytes(length)) | 0);
    return fits ? length : 0;
  }

  /** Reader, after reading: true if the writer waits and now has room; it must be woken. */
  takeWaitingWriter(): boolean {
    if (Atomics.load(this.#header, BLOCKED) === 0 || this.#usedBytes > this.#capacity / 2) return false;
    return Atomics.exchange(this.#header, BLOCKED, 0) !== 0;
  }

  /** Where the next record is, behind a wrap mark. There must be one. */
  #readPosition(): number {
    const read = Atomics.load(this.#header, READ);
    const at = (read >>> 0) & (this.#capacity - 1);
    if (this.#lengths[at >> 2] !== WRAP) return at;
    Atomics.store(this.#header, READ, (read + this.#capacity - at) | 0);
    return 0;
  }

  /** Reader that wakes writers through the third word: see `whenRoom`. */
  wakeWriter(): void {
    Atomics.notify(this.#header, BLOCKED);
  }
  /** Writer that wakes readers through the first word: see `whenWritten`. */
  wakeReader(): void {
    Atomics.notify(this.#header, WRITTEN);
  }

  /** Reader with an event loop: settles when there is a frame. Does not keep the process alive. */
  async whenWritten(): Promise<void> {
    for (;;) {
      const written = Atomics.load(this.#header, WRITTEN);
      if (written !== Atomics.load(this.#header, READ)) return;
      const wait = Atomics.waitAsync(this.#header, WRITTEN, written);
      if (wait.async) await wait.value;
    }
  }

  /** Writer with an event loop, after `askForRoom`: settles when there is room. Does not keep the process alive. */
  async whenRoom(): Promise<void> {
    while (Atomics.load(this.#header, BLOCKED) !== 0) {
      const wait = Atomics.waitAsync(this.#header, BLOCKED, 1);
      if (wait.async) await wait.value;
    }
  }
}

function recordBytes(frameBytes: number): number {
  return 4 + ((frameBytes + 3) & ~3);
}
