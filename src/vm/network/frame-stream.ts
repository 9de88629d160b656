/**
 * Frames over a byte stream between two VM processes: a 16-bit length, most significant byte first, and the frame. The
 * first record is the greeting.
 */
import type { Socket } from "node:net";

const MAX_RECORD_BYTES = 16384;
/** A peer that does not read loses frames beyond this. */
const MAX_QUEUED_BYTES = 1 << 20;

/** Sends records, those of one turn together. */
export class FrameWriter {
  readonly #socket: Socket;
  #isCorked = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Copies `record`; drops it if the peer is too far behind. */
  write(record: Uint8Array): void {
    const socket = this.#socket;
    if (socket.destroyed || record.length > MAX_RECORD_BYTES || socket.writableLength > MAX_QUEUED_BYTES) return;
    if (!this.#isCorked) {
      this.#isCorked = true;
      socket.cork();
      process.nextTick(() => {
        this.#isCorked = false;
        socket.uncork();
      });
    }
    const bytes = Buffer.allocUnsafe(2 + record.length);
    bytes.writeUInt16BE(record.length, 0);
    bytes.set(record, 2);
    socket.write(bytes);
  }
}

/** Cuts what comes into records. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  /** Bytes of the stream. Each record is lent to `take`; false from it keeps the rest for `resume`. False: the peer talks nonsense. */
  push(bytes: Buffer, take: (record: Uint8Array) => boolean): boolean {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    return this.resume(take);
  }

  resume(take: (record: Uint8Array) => boolean): boolean {
    let at = 0;
    const { length } = this.#rest;
    while (at + 2 <= length) {
      const record = this.#rest.readUInt16BE(at);
      if (record > MAX_RECORD_BYTES) return false;
      if (at + 2 + record > length) break;
      if (!take(this.#rest.subarray(at + 2, at + 2 + record))) break;
      at += 2 + record;
    }
    this.#rest = this.#rest.subarray(at);
    return true;
  }
}
