/**
 * Memory of all connections together, bounded: buffers of powers of two, given out while the budget lasts. What a host's stream
 * hands over cannot be handed back, so it goes beyond the budget by one chunk per connection at the most. A ring buffer grows
 * with what it holds and gives everything back when it is idle.
 */

const SMALLEST_BYTES = 4096;
/** Buffers kept for the next taker. */
const KEPT_BYTES = 8 * 1024 * 1024;
const nothing = new Uint8Array(0);

export class BufferPool {
  readonly budgetBytes: number;
  usedBytes = 0;
  #keptBytes = 0;
  readonly #kept = new Map<number, Uint8Array[]>();

  constructor(budgetBytes: number) {
    this.budgetBytes = budgetBytes;
  }

  /** Less than a quarter is left: windows should not be opened further. */
  get isShort(): boolean {
    return this.usedBytes > this.budgetBytes * 0.75;
  }

  /** A buffer of at least `bytes`, its length a power of two; undefined when the budget is used up, unless `isUrgent`. */
  take(bytes: number, isUrgent = false): Uint8Array | undefined {
    let size = SMALLEST_BYTES;
    while (size < bytes) size *= 2;
    if (this.usedBytes + size > this.budgetBytes && !isUrgent) return undefined;
    this.usedBytes += size;
    const kept = this.#kept.get(size)?.pop();
    if (kept === undefined) return new Uint8Array(size);
    this.#keptBytes -= size;
    return kept;
  }

  /** Gives back. `isReusable` false: somebody still reads from it. */
  give(buffer: Uint8Array, isReusable = true): void {
    this.usedBytes -= buffer.length;
    if (!isReusable || this.#keptBytes + buffer.length > KEPT_BYTES) return;
    this.#keptBytes += buffer.length;
    const list = this.#kept.get(buffer.length);
    if (list) list.push(buffer);
    else this.#kept.set(buffer.length, [buffer]);
  }
}

/** Bytes addressed by their distance from the first one that is kept. */
export class RingBuffer {
  readonly #pool: BufferPool;
  #bytes: Uint8Array = nothing;
  #head = 0;
  /** Readers outside hold views (see `view`): the buffer must not be given to anybody else. */
  viewsOut = 0;

  constructor(pool: BufferPool) {
    this.#pool = pool;
  }

  get capacity(): number {
    return this.#bytes.length;
  }

  /** Makes room for bytes 0 to `bytes`. False: the budget is used up. `isUrgent`: beyond the budget if it has to be. */
  ensure(bytes: number, isUrgent = false): boolean {
    const old = this.#bytes;
    if (bytes <= old.length) return true;
    const next = this.#pool.take(Math.max(bytes, 2 * old.length)) ?? this.#pool.take(bytes, isUrgent);
    if (next === undefined) return false;
    next.set(old.subarray(this.#head), 0);
    next.set(old.subarray(0, this.#head), old.length - this.#head);
    if (old.length > 0) this.#pool.give(old, this.viewsOut === 0);
    this.#bytes = next;
    this.#head = 0;
    return true;
  }

  /** Puts bytes at a distance; there must be room. */
  write(distance: number, source: Uint8Array, from: number, length: number): void {
    const bytes = this.#bytes;
    const at = (this.#head + distance) & (bytes.length - 1);
    const first = Math.min(length, bytes.length - at);
    bytes.set(source.subarray(from, from + first), at);
    if (first < length) bytes.set(source.subarray(from + first, from + length), 0);
  }

  read(distance: number, target: Uint8Array, to: number, length: number): void {
    const bytes = this.#bytes;
    const at = (this.#head + distance) & (bytes.length - 1);
    const first = Math.min(length, bytes.length - at);
    target.set(bytes.subarray(at, at + first), to);
    if (first < length) target.set(bytes.subarray(0, length - first), to + first);
  }

  /** The bytes from `distance` on that lie together, at most `length`: no copy. Count it in `viewsOut`. */
  view(distance: number, length: number): Uint8Array {
    const at = (this.#head + distance) & (this.#bytes.length - 1);
    return this.#bytes.subarray(at, Math.min(at + length, this.#bytes.length));
  }

  /** Forgets the first `length` bytes. */
  drop(length: number): void {
    if (length > 0) this.#head = (this.#head + length) & (this.#bytes.length - 1);
  }

  /** Forgets everything and gives the memory back. */
  release(): void {
    if (this.#bytes.length > 0) this.#pool.give(this.#bytes, this.viewsOut === 0);
    this.#bytes = nothing;
    this.#head = 0;
  }
}
