/**
 * A trace of a network card as a pcap file (libpcap's classic format, link type Ethernet, microseconds), readable while it
 * grows. Frames are written as they pass, whole.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { AnneauError } from "../../base/errors.ts";

const MAGIC = 0xa1b2c3d4;
const SNAP_BYTES = 65535;
const LINKTYPE_ETHERNET = 1;
const HEADER_BYTES = 16;

export class PcapTrace {
  readonly #path: string;
  readonly #onError: (text: string) => void;
  readonly #record = new Uint8Array(HEADER_BYTES + SNAP_BYTES);
  readonly #header = new DataView(this.#record.buffer);
  #file: number | undefined;

  /** Begins a new file, the owner's alone. Throws one line if that cannot be; `onError` is told when writing fails later. */
  constructor(path: string, onError: (text: string) => void) {
    this.#path = path;
    this.#onError = onError;
    const header = new DataView(new ArrayBuffer(24));
    header.setUint32(0, MAGIC, true);
    header.setUint16(4, 2, true);
    header.setUint16(6, 4, true);
    header.setUint32(16, SNAP_BYTES, true);
    header.setUint32(20, LINKTYPE_ETHERNET, true);
    try {
      this.#file = openSync(path, "w", 0o600);
      writeSync(this.#file, header);
    } catch (error) {
      this.close();
      throw new AnneauError(`cannot write the network trace '${path}' (${(error as NodeJS.ErrnoException).code})`, {
        cause: error,
      });
    }
  }

  record(frame: Uint8Array): void {
    if (this.#file === undefined) return;
    const nowUs = Math.round((performance.timeOrigin + performance.now()) * 1000);
    const length = Math.min(frame.length, SNAP_BYTES);
    this.#header.setUint32(0, Math.floor(nowUs / 1e6), true);
    this.#header.setUint32(4, nowUs % 1e6, true);
    this.#header.setUint32(8, length, true);
    this.#header.setUint32(12, frame.length, true);
    this.#record.set(frame.subarray(0, length), HEADER_BYTES);
    try {
      writeSync(this.#file, this.#record, 0, HEADER_BYTES + length);
    } catch (error) {
      this.close();
      this.#onError(`the network trace '${this.#path}' ends: ${(error as NodeJS.ErrnoException).code}`);
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}
