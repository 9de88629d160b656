/**
 * An image file read and written at positions, synchronously: a disk back end runs on a thread of its own (or between
 * CPU budgets), where a synchronous call on a cached file costs a tenth of an asynchronous one. Short reads and writes
 * are continued; failures come back as `false` with the reason told once to a listener, never as exceptions, because
 * the caller is in the middle of a guest's request.
 */
import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import { AnneauError } from "../base/errors.ts";

/** Told one line per failed host operation, for the log. */
export type HostErrorListener = (text: string) => void;

const zeros = new Uint8Array(64 * 1024);

export class ImageFile {
  readonly path: string;
  readonly #fd: number;
  readonly #onError: HostErrorListener;
  #isOpen = true;

  /** Opens an existing regular file; throws one line when it cannot, also for devices (drives of the host are not taken). */
  constructor(path: string, mode: "r" | "r+", onError: HostErrorListener = () => {}) {
    this.path = path;
    this.#onError = onError;
    try {
      this.#fd = openSync(path, mode);
    } catch (error) {
      throw new AnneauError(`cannot open ${path}: ${reasonOf(error)}`, { cause: error });
    }
    const stat = fstatSync(this.#fd);
    if (!stat.isFile()) {
      closeSync(this.#fd);
      throw new AnneauError(`cannot open ${path}: it is not a file`);
    }
  }

  get sizeBytes(): number {
    return fstatSync(this.#fd).size;
  }

  /** Fills target[from, from+length) from the file; false when the host fails or the file ends before. */
  read(positionBytes: number, target: Uint8Array, from = 0, length = target.length - from): boolean {
    let done = 0;
    try {
      while (done < length) {
        const count = readSync(this.#fd, target, from + done, length - done, positionBytes + done);
        if (count === 0) {
          this.#onError(`${this.path}: the file ends before byte ${positionBytes + length}`);
          return false;
        }
        done += count;
      }
      return true;
    } catch (error) {
      this.#onError(`${this.path}: cannot read at byte ${positionBytes + done}: ${reasonOf(error)}`);
      return false;
    }
  }

  write(positionBytes: number, source: Uint8Array, from = 0, length = source.length - from): boolean {
    let done = 0;
    try {
      while (done < length) {
        const count = writeSync(this.#fd, source, from + done, length - done, positionBytes + done);
        if (count === 0) throw new Error("the host took no byte");
        done += count;
      }
      return true;
    } catch (error) {
      this.#onError(`${this.path}: cannot write at byte ${positionBytes + done}: ${reasonOf(error)}`);
      return false;
    }
  }

  /** Makes the range read zero; what is zero already (holes of a sparse file above all) is not written. */
  zero(positionBytes: number, lengthBytes: number): boolean {
    for (let done = 0; done < lengthBytes; ) {
      const length = Math.min(zeros.length, lengthBytes - done);
      if (!this.read(positionBytes + done, scratch, 0, length)) return false;
      if (!isZero(scratch, 0, length) && !this.write(positionBytes + done, zeros, 0, length)) return false;
      done += length;
    }
    return true;
  }

  truncate(sizeBytes: number): boolean {
    try {
      ftruncateSync(this.#fd, sizeBytes);
      return true;
    } catch (error) {
      this.#onError(`${this.path}: cannot change the size to ${sizeBytes} bytes: ${reasonOf(error)}`);
      return false;
    }
  }

  sync(): boolean {
    try {
      fsyncSync(this.#fd);
      return true;
    } catch (error) {
      this.#onError(`${this.path}: cannot flush: ${reasonOf(error)}`);
      return false;
    }
  }

  /** May be called twice. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    closeSync(this.#fd);
  }
}

const scratch = new Uint8Array(zeros.length);

/** Whether bytes[from, from+length) are all zero. */
export function isZero(bytes: Uint8Array, from: number, length: number): boolean {
  // A first byte that is not zero decides most real data.
  if (length > 0 && bytes[from] !== 0) return false;
  for (let done = 0; done < length; ) {
    const count = Math.min(zeros.length, length - done);
    if (Buffer.compare(bytes.subarray(from + done, from + done + count), zeros.subarray(0, count)) !== 0) return false;
    done += count;
  }
  return true;
}

/** "no space left on device (ENOSPC)": what the host said, without the call and the path. */
export function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const text = /^[A-Z0-9]+: ([^,]*)/.exec(message)?.[1] ?? message;
  return code ? `${text} (${code})` : text;
}
