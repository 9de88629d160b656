/**
 * Raw images: the file is the medium, byte for byte (disk images without a format, ISO images, floppy images). A file
 * whose size is no multiple of the sector size is rounded up: the missing tail reads zero, and a write there completes
 * the last sector of the file. A raw image stores no geometry and no UUID.
 */
import type { BlockBackend, BlockDone } from "../backend-api/block.ts";
import { FormatError } from "../base/errors.ts";
import type { ImageFile } from "./image-file.ts";

export class RawImage implements BlockBackend {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly #file: ImageFile;
  /** Where the file ends; below sizeBytes only while its last sector is incomplete. */
  #fileBytes: number;

  /** Takes over the file; on an error the caller still has to close it. `sectorBytes` is 512, or 2048 for a disc. */
  constructor(file: ImageFile, options: { readonly readOnly: boolean; readonly sectorBytes: 512 | 2048 }) {
    this.#file = file;
    this.readOnly = options.readOnly;
    this.#fileBytes = file.sizeBytes;
    if (this.#fileBytes === 0) throw new FormatError(`${file.path} is empty`);
    this.sizeBytes = Math.ceil(this.#fileBytes / options.sectorBytes) * options.sectorBytes;
  }

  read(offsetBytes: number, target: Uint8Array, done: BlockDone): void {
    done(this.#isInside(offsetBytes, target.length) && this.#readRange(offsetBytes, target));
  }

  write(offsetBytes: number, source: Uint8Array, done: BlockDone): void {
    done(!this.readOnly && this.#isInside(offsetBytes, source.length) && this.#writeRange(offsetBytes, source));
  }

  flush(done: BlockDone): void {
    done(this.readOnly || this.#file.sync());
  }

  /** Zeroes the range; the file keeps its size. */
  discard(offsetBytes: number, lengthBytes: number, done: BlockDone): void {
    const present = Math.max(0, Math.min(lengthBytes, this.#fileBytes - offsetBytes));
    done(!this.readOnly && this.#isInside(offsetBytes, lengthBytes) && this.#file.zero(offsetBytes, present));
  }

  close(): void {
    if (!this.readOnly) this.#file.sync();
    this.#file.close();
  }

  #readRange(offsetBytes: number, target: Uint8Array): boolean {
    const present = Math.max(0, Math.min(target.length, this.#fileBytes - offsetBytes));
    if (present < target.length) target.fill(0, present);
    return this.#file.read(offsetBytes, target, 0, present);
  }

  #writeRange(offsetBytes: number, source: Uint8Array): boolean {
    const isWritten = this.#file.write(offsetBytes, source);
    if (isWritten) this.#fileBytes = Math.max(this.#fileBytes, offsetBytes + source.length);
    return isWritten;
  }

  #isInside(offsetBytes: number, lengthBytes: number): boolean {
    return offsetBytes >= 0 && lengthBytes >= 0 && offsetBytes + lengthBytes <= this.sizeBytes;
  }
}
