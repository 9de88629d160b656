/** Node's zlib as the compressor of RFB connections: one stream, flushed after every piece, off the main thread. */
import { constants, createDeflate, type Deflate } from "node:zlib";
import type { DeflateStream } from "../display/rfb/update.ts";

/** A sync flush ends with an empty stored block. */
const FLUSH_END = Buffer.from([0x00, 0x00, 0xff, 0xff]);

export class ZlibStream implements DeflateStream {
  readonly #deflate: Deflate;
  #parts: Buffer[] = [];
  #onError: (error: Error) => void = () => {};

  constructor(level: number) {
    this.#deflate = createDeflate({ level });
    this.#deflate.on("data", (part: Buffer) => this.#parts.push(part));
    this.#deflate.on("error", (error) => this.#onError(error));
  }

  compress(bytes: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.#onError = reject;
      const finish = () => {
        const all = Buffer.concat(this.#parts);
        // The stream hands out its last part on a later turn if it likes.
        if (!all.subarray(-4).equals(FLUSH_END)) {
          setImmediate(finish);
          return;
        }
        this.#parts = [];
        resolve(all);
      };
      this.#deflate.write(bytes);
      this.#deflate.flush(constants.Z_SYNC_FLUSH, finish);
    });
  }

  close(): void {
    this.#deflate.close();
  }
}
