/** Big-endian bytes, as RFB has them: a growing buffer to write into, and a bounded queue to read from. */
import { RfbError } from "./protocol.ts";

const decoder = new TextDecoder("latin1");

export class ByteWriter {
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  length = 0;

  /** What has been written; valid until the next write. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.length);
  }
  /** A copy of what has been written, and an empty writer again. */
  take(): Uint8Array<ArrayBuffer> {
    const bytes = this.#bytes.slice(0, this.length);
    this.length = 0;
    return bytes;
  }

  u8(value: number): void {
    const at = this.reserve(1);
    this.#bytes[at] = value;
  }
  u16(value: number): void {
    const at = this.reserve(2);
    this.#view.setUint16(at, value);
  }
  u32(value: number): void {
    const at = this.reserve(4);
    this.#view.setUint32(at, value);
  }
  i32(value: number): void {
    const at = this.reserve(4);
    this.#view.setInt32(at, value);
  }
  put(bytes: Uint8Array): void {
    const at = this.reserve(bytes.length);
    this.#bytes.set(bytes, at);
  }
  text(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.u32(bytes.length);
    this.put(bytes);
  }
  patch16(at: number, value: number): void {
    this.#view.setUint16(at, value);
  }

  /** Makes `size` more bytes part of the contents and returns where they begin; the caller fills them through `bytes`. */
  reserve(size: number): number {
    const at = this.length;
    this.length += size;
    if (this.length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.length, this.#bytes.length * 2));
      grown.set(this.#bytes.subarray(0, at));
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }
}

/** Bytes that have arrived and make no whole message yet. */
export class ByteQueue {
  readonly #maxBytes: number;
  #bytes = new Uint8Array(0);
  #at = 0;

  /** Holds at most `maxBytes`; more is an RfbError. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get length(): number {
    return this.#bytes.length - this.#at;
  }

  push(bytes: Uint8Array): void {
    if (this.length + bytes.length > this.#maxBytes) throw new RfbError("a message is too long");
    const joined = new Uint8Array(this.length + bytes.length);
    joined.set(this.#bytes.subarray(this.#at));
    joined.set(bytes, this.length);
    this.#bytes = joined;
    this.#at = 0;
  }

  /** Without taking them: the caller knows that `at + 1`, 2 or 4 bytes are there. */
  peek8(at: number): number {
    return this.#bytes[this.#at + at];
  }
  peek16(at: number): number {
    return (this.peek8(at) << 8) | this.peek8(at + 1);
  }
  peek32(at: number): number {
    return ((this.peek16(at) << 16) | this.peek16(at + 2)) >>> 0;
  }
  peekText(at: number, length: number): string {
    return decoder.decode(this.#bytes.subarray(this.#at + at, this.#at + at + length));
  }
  /** Valid until the next push. */
  take(length: number): Uint8Array {
    const bytes = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return bytes;
  }
}
