/**
 * The data phase of one command: bytes between a medium (or a prepared answer), the drive's 64 KiB buffer and the host,
 * which takes or gives them in PIO blocks through the data register or through the bus master. Where the descriptor list
 * allows, DMA goes straight between the back end and guest RAM; else through the buffer, so that a list may split bytes
 * anywhere and may end early (the transfer then waits for the next list). A chunk that fails is tried again sector by
 * sector, so that the failing sector is known.
 */
import type { BlockBackend } from "../../backend-api/block.ts";
import { FormatError } from "../../base/errors.ts";
import type { GuestMemory } from "../../device-api/guest-memory.ts";
import type { AccessSize } from "../../device-api/io-window.ts";
import type { BackendRequests } from "./backend-requests.ts";
import type { BusMasterChannel } from "./bus-master.ts";
import type { SavedFields } from "./saved-fields.ts";

export const bufferBytes = 0x10000;
/** More regions than this go through the buffer: so many small requests cost more than the copy. */
const maxDirectRegions = 256;

export const TO_NOBODY = 0;
export const TO_HOST = 1;
export const TO_MEDIUM = 2;
/** Parameter lists: from the host into the buffer only. */
export const TO_BUFFER = 3;
/** READ VERIFY: from the medium into the buffer only. */
export const TO_NOWHERE = 4;

/** Sectors that the host sees in another form than the medium has them (READ CD). */
export interface SectorFormat {
  readonly hostBytes: number;
  /** Writes the host's form of sector `lba` (its medium bytes in `sector`) to `out` at `offset`. */
  convert(lba: number, sector: Uint8Array, out: Uint8Array, offset: number): void;
}

/** The drive around a transfer. All but `currentMedium` are told where the transfer stands. */
export interface TransferOwner {
  /** The medium of the running command, or undefined if it is gone. */
  readonly currentMedium: BlockBackend | undefined;
  /** A PIO block of so many bytes is ready to be read, or wanted. */
  presentBlock(bytes: number): void;
  /** The host has moved the whole block; `step` goes on. */
  blockFinished(): void;
  /** Nothing moves until `startDma`. */
  waitForDma(): void;
  transferComplete(): void;
  /** The medium failed at `failedOffsetBytes`. */
  transferFailed(): void;
}

export class DataTransfer {
  direction = TO_NOBODY;
  isDma = false;
  /** Next byte of the buffer to move to or from the host. */
  position = 0;
  /** Valid bytes in the buffer (to the host), or bytes wanted in it (from the host). */
  length = 0;
  /** Where the medium's next chunk starts, and the bytes from there to the end of the command. */
  mediumOffset = 0;
  mediumRemaining = 0;
  format: SectorFormat | undefined;
  /** Two spare bytes: the last word of an odd length. */
  readonly buffer = new Uint8Array(bufferBytes + 2);
  readonly #owner: TransferOwner;
  readonly #requests: BackendRequests;
  readonly #busMaster: BusMasterChannel;
  readonly #memory: GuestMemory;
  #blockBytes = 0;
  #blockEnd = 0;
  #sectorBytes = 512;
  #chunkLimit = bufferBytes;
  /** Bytes of a full buffer that are already on the medium. */
  #flushed = 0;
  #isDmaRunning = false;
  #isStepping = false;
  #stepAgain = false;

  constructor(
    owner: TransferOwner,
    requests: BackendRequests,
    busMaster: BusMasterChannel,
    memory: GuestMemory,
    sectorBytes: number,
  ) {
    this.#owner = owner;
    this.#requests = requests;
    this.#busMaster = busMaster;
    this.#memory = memory;
    this.#sectorBytes = sectorBytes;
  }

  /** Bytes that the host has still to take or give. */
  get hostRemaining(): number {
    const onMedium = this.format
      ? (this.mediumRemaining / this.#sectorBytes) * this.format.hostBytes
      : this.mediumRemaining;
    if (this.direction === TO_MEDIUM) return onMedium - this.position;
    return this.length - this.position + onMedium;
  }

  /** Offset on the medium of the sector that failed. */
  get failedOffsetBytes(): number {
    return this.mediumOffset + this.#flushed;
  }

  /** True in the answer to the host when nothing is left to read. */
  get isDrained(): boolean {
    return this.position >= this.length && this.mediumRemaining === 0;
  }

  /** The first `length` bytes of the buffer go to the host. */
  sendBuffer(length: number, blockBytes: number, isDma: boolean): void {
    this.#begin(TO_HOST, blockBytes, isDma);
    this.length = length;
    this.buffer[length] = 0;
    this.step();
  }

  /** Bytes of the medium go to the host. Lengths and offsets are whole sectors. */
  sendMedium(offsetBytes: number, bytes: number, blockBytes: number, isDma: boolean, format?: SectorFormat): void {
    this.#begin(TO_HOST, blockBytes, isDma);
    this.mediumOffset = offsetBytes;
    this.mediumRemaining = bytes;
    this.format = format;
    this.step();
  }

  /** Bytes of the host go to the medium. */
  receiveMedium(offsetBytes: number, bytes: number, blockBytes: number, isDma: boolean): void {
    this.#begin(TO_MEDIUM, blockBytes, isDma);
    this.mediumOffset = offsetBytes;
    this.mediumRemaining = bytes;
    this.length = Math.min(bufferBytes, bytes);
    this.step();
  }

  /** Bytes of the host go to the buffer. */
  receiveBuffer(length: number, blockBytes: number, isDma: boolean): void {
    this.#begin(TO_BUFFER, blockBytes, isDma);
    this.length = length;
    this.step();
  }

  /** Bytes of the medium are read and shown to nobody. */
  verifyMedium(offsetBytes: number, bytes: number): void {
    this.#begin(TO_NOWHERE, 0, false);
    this.mediumOffset = offsetBytes;
    this.mediumRemaining = bytes;
    this.step();
  }

  /** Forgets the transfer (end of command, reset). */
  cancel(): void {
    this.#begin(TO_NOBODY, 0, false);
  }

  #begin(direction: number, blockBytes: number, isDma: boolean): void {
    this.direction = direction;
    this.isDma = isDma;
    this.position = 0;
    this.length = 0;
    this.mediumOffset = 0;
    this.mediumRemaining = 0;
    this.format = undefined;
    this.#blockBytes = blockBytes;
    this.#blockEnd = 0;
    this.#chunkLimit = bufferBytes;
    this.#flushed = 0;
    this.#isDmaRunning = false;
  }

  /** The bus master is ready: reads its list and moves what it can. */
  startDma(): void {
    if (this.direction === TO_NOBODY || !this.isDma) return;
    this.#isDmaRunning = this.#busMaster.prepare(this.hostRemaining);
    this.step();
  }

  /** Goes on as far as possible: to the next block, the next request or the end. */
  step(): void {
    // Back ends may complete inside the call: a loop instead of a recursion that a long transfer would make deep.
    if (this.#isStepping) {
      this.#stepAgain = true;
      return;
    }
    this.#isStepping = true;
    do {
      this.#stepAgain = false;
      if (this.direction === TO_HOST) this.#stepToHost();
      else if (this.direction === TO_NOWHERE) this.#stepVerify();
      else if (this.direction !== TO_NOBODY) this.#stepFromHost();
    } while (this.#stepAgain);
    this.#isStepping = false;
  }

  #stepToHost(): void {
    if (this.isDma && !this.#isDmaRunning) this.#owner.waitForDma();
    else if (this.position < this.length) {
      if (!this.isDma) {
        this.#presentBlock();
        return;
      }
      this.position += this.#busMaster.scatter(this.buffer, this.position, this.length - this.position);
      this.#afterDmaMove();
    } else if (this.mediumRemaining > 0) {
      if (!this.#goDirect()) this.#readChunk();
    } else this.#owner.transferComplete();
  }

  #stepVerify(): void {
    if (this.mediumRemaining > 0) this.#readChunk();
    else this.#owner.transferComplete();
  }

  #stepFromHost(): void {
    if (this.isDma && !this.#isDmaRunning) this.#owner.waitForDma();
    else if (this.position < this.length) {
      if (!this.isDma) {
        this.#presentBlock();
        return;
      }
      if (this.position === 0 && this.direction === TO_MEDIUM && this.#goDirect()) return;
      this.position += this.#busMaster.gather(this.buffer, this.position, this.length - this.position);
      this.#afterDmaMove();
    } else if (this.direction === TO_MEDIUM && this.mediumRemaining > 0) this.#writeChunk();
    else this.#owner.transferComplete();
  }

  #presentBlock(): void {
    const bytes = Math.min(this.#blockBytes, this.length - this.position);
    this.#blockEnd = this.position + bytes + (bytes & 1);
    this.#owner.presentBlock(bytes);
  }

  #afterDmaMove(): void {
    this.#stepAgain = true;
    if (this.position < this.length) {
      // The list ended before the drive had moved all: the engine stops, the drive waits for another list.
      this.#busMaster.finish();
      this.#isDmaRunning = false;
    }
  }

  #readChunk(): void {
    const backend = this.#owner.currentMedium;
    if (backend === undefined) {
      this.#owner.transferFailed();
      return;
    }
    const format = this.format;
    const sectorsFitting = Math.floor(this.#chunkLimit / (format?.hostBytes ?? this.#sectorBytes)) || 1;
    const bytes = Math.min(sectorsFitting * this.#sectorBytes, this.mediumRemaining);
    const target = format ? new Uint8Array(bytes) : this.buffer.subarray(0, bytes);
    this.#requests.read(backend, this.mediumOffset, target, -1, (ok) => {
      if (!ok) return this.#chunkFailed(bytes);
      if (format) this.#convert(target, format);
      this.position = 0;
      this.length = format ? (bytes / this.#sectorBytes) * format.hostBytes : bytes;
      this.mediumOffset += bytes;
      this.mediumRemaining -= bytes;
      this.step();
    });
  }

  #convert(raw: Uint8Array, format: SectorFormat): void {
    const firstLba = this.mediumOffset / this.#sectorBytes;
    for (let i = 0; i * this.#sectorBytes < raw.length; i++) {
      const sector = raw.subarray(i * this.#sectorBytes, (i + 1) * this.#sectorBytes);
      format.convert(firstLba + i, sector, this.buffer, i * format.hostBytes);
    }
  }

  #writeChunk(): void {
    const backend = this.#owner.currentMedium;
    if (backend === undefined) {
      this.#owner.transferFailed();
      return;
    }
    const bytes = Math.min(this.#chunkLimit, this.length - this.#flushed);
    const source = this.buffer.subarray(this.#flushed, this.#flushed + bytes);
    this.#requests.write(backend, this.mediumOffset + this.#flushed, source, (ok) => {
      if (!ok) return this.#chunkFailed(bytes);
      this.#flushed += bytes;
      if (this.#flushed === this.length) {
        this.mediumOffset += this.length;
        this.mediumRemaining -= this.length;
        this.#flushed = 0;
        this.position = 0;
        this.length = Math.min(bufferBytes, this.mediumRemaining);
      }
      this.step();
    });
  }

  #chunkFailed(bytes: number): void {
    if (bytes <= this.#sectorBytes) {
      this.#owner.transferFailed();
      return;
    }
    this.#chunkLimit = this.#sectorBytes;
    this.step();
  }

  /** Moves all that is left without the buffer; false if the list or the format does not allow it. */
  #goDirect(): boolean {
    const backend = this.#owner.currentMedium;
    const { regionGpa, regionBytes } = this.#busMaster;
    if (!this.isDma || this.format || backend === undefined || this.#chunkLimit < bufferBytes) return false;
    if (this.#busMaster.listBytes !== this.mediumRemaining || regionGpa.length > maxDirectRegions) return false;
    const views: Uint8Array[] = [];
    for (let i = 0; i < regionGpa.length; i++) {
      const view =
        regionBytes[i] % this.#sectorBytes === 0 ? this.#memory.view(regionGpa[i], regionBytes[i]) : undefined;
      if (view === undefined) return false;
      views.push(view);
    }
    let outstanding = views.length;
    let isAllOk = true;
    const done = (ok: boolean) => {
      isAllOk &&= ok;
      if (--outstanding > 0) return;
      if (!isAllOk) {
        // Once more through the buffer, to find the sector.
        this.#chunkLimit = this.#sectorBytes;
      } else {
        this.mediumOffset += this.mediumRemaining;
        this.mediumRemaining = 0;
        this.position = this.length = 0;
      }
      this.step();
    };
    let offset = this.mediumOffset;
    const isRead = this.direction === TO_HOST;
    const gpas = regionGpa.slice();
    for (let i = 0; i < views.length; i++) {
      if (isRead) this.#requests.read(backend, offset, views[i], gpas[i], done);
      else this.#requests.write(backend, offset, views[i], done);
      offset += views[i].length;
    }
    return true;
  }

  /** One read of the data register during a block to the host. */
  readData(size: AccessSize): number {
    const { buffer } = this;
    let value = buffer[this.position] | (buffer[this.position + 1] << 8);
    this.position += 2;
    if (size === 1) value &= 0xff;
    else if (size === 4) {
      if (this.position < this.#blockEnd) {
        value += (buffer[this.position] | (buffer[this.position + 1] << 8)) * 0x10000;
        this.position += 2;
      } else value += 0xffff_0000;
    }
    this.#afterHostMove();
    return value;
  }

  /** One write of the data register during a block from the host. */
  writeData(size: AccessSize, value: number): void {
    const { buffer } = this;
    buffer[this.position] = value;
    buffer[this.position + 1] = size === 1 ? 0 : value >>> 8;
    this.position += 2;
    if (size === 4 && this.position < this.#blockEnd) {
      buffer[this.position] = value >>> 16;
      buffer[this.position + 1] = value >>> 24;
      this.position += 2;
    }
    this.#afterHostMove();
  }

  /** REP INS: as many whole elements of the block as `target` takes. */
  readDataBulk(size: AccessSize, target: Uint8Array): number {
    const bytes = this.#bulkBytes(size, target.length);
    if (bytes === 0) return 0;
    target.set(this.buffer.subarray(this.position, this.position + bytes));
    this.position += bytes;
    this.#afterHostMove();
    return bytes;
  }

  /** REP OUTS, the mirror image. */
  writeDataBulk(size: AccessSize, source: Uint8Array): number {
    const bytes = this.#bulkBytes(size, source.length);
    if (bytes === 0) return 0;
    this.buffer.set(bytes === source.length ? source : source.subarray(0, bytes), this.position);
    this.position += bytes;
    this.#afterHostMove();
    return bytes;
  }

  #bulkBytes(size: AccessSize, wanted: number): number {
    if (size === 1) return 0;
    const bytes = Math.min(wanted, this.#blockEnd - this.position);
    return bytes - (bytes % size);
  }

  #afterHostMove(): void {
    if (this.position < this.#blockEnd) return;
    if (this.position > this.length) this.position = this.length;
    this.#owner.blockFinished();
  }

  save(): { [key: string]: number | boolean | Uint8Array } {
    const held = this.direction === TO_HOST ? this.length : this.position;
    return {
      direction: this.direction,
      isDma: this.isDma,
      position: this.position,
      length: this.length,
      mediumOffset: this.mediumOffset,
      mediumRemaining: this.mediumRemaining,
      blockBytes: this.#blockBytes,
      blockEnd: this.#blockEnd,
      chunkLimit: this.#chunkLimit,
      data: this.buffer.slice(0, held),
    };
  }

  /** The owner sets `format` again afterwards, if there is one. */
  load(fields: SavedFields): void {
    const direction = fields.number("direction", TO_NOBODY, TO_NOWHERE);
    this.#begin(direction, fields.number("blockBytes", 0, bufferBytes), fields.boolean("isDma"));
    this.length = fields.number("length", 0, bufferBytes);
    this.position = fields.number("position", 0, this.length);
    this.mediumOffset = fields.number("mediumOffset", 0, Number.MAX_SAFE_INTEGER);
    this.mediumRemaining = fields.number("mediumRemaining", 0, Number.MAX_SAFE_INTEGER);
    this.#blockEnd = fields.number("blockEnd", 0, bufferBytes + 1);
    this.#chunkLimit = fields.number("chunkLimit", this.#sectorBytes, bufferBytes);
    if (this.mediumOffset % this.#sectorBytes !== 0 || this.mediumRemaining % this.#sectorBytes !== 0) {
      throw new FormatError("saved IDE transfer: medium position inside a sector");
    }
    this.buffer.fill(0);
    this.buffer.set(fields.bytes("data", bufferBytes));
    fields.end();
  }
}
