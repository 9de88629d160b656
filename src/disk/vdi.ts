/**
 * VDI 1.1 base images, dynamic and fixed, read and written. A new block is placed behind all others: the file grows,
 * the data is written, then the map entry, then the header's count, so that a process may die at any moment and the
 * image stays valid. Zeros written to a block that is not allocated change nothing. The modification UUID changes at
 * the first write after opening, as differencing images rely on it.
 *
 * Not here: differencing and undo images (opening one fails), version 0.x, giving blocks back to the file (vdi-maintenance.ts does it for an image that nobody uses).
 */
import { randomUUID } from "node:crypto";
import type { BlockBackend, BlockDone, Geometry } from "../backend-api/block.ts";
import { FormatError } from "../base/errors.ts";
import { type ImageFile, isZero } from "./image-file.ts";
import { uuidToBytes } from "./uuid.ts";
import {
  checkBlockMap,
  ENTRY_FREE,
  ENTRY_ZERO,
  geometryBytes,
  isLogicalGeometry,
  OFFSET_BLOCKS_ALLOCATED,
  OFFSET_LCHS,
  OFFSET_MODIFICATION_UUID,
  parseVdiHeader,
  setU32,
  VDI_HEADER_BYTES,
  type VdiHeader,
} from "./vdi-header.ts";

/** Reads and checks the header of an open file. */
export function readVdiHeader(file: ImageFile): VdiHeader {
  const fileBytes = file.sizeBytes;
  const bytes = new Uint8Array(VDI_HEADER_BYTES);
  if (fileBytes >= VDI_HEADER_BYTES && !file.read(0, bytes)) throw new FormatError(`cannot read ${file.path}`);
  return parseVdiHeader(bytes, fileBytes, file.path);
}

export class VdiImage implements BlockBackend {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly uuid: string;
  #logicalGeometry: Geometry | undefined;
  readonly #file: ImageFile;
  readonly #header: VdiHeader;
  readonly #blockBytes: number;
  readonly #map: Uint32Array;
  /** Size of the file. */
  #fileBytes: number;
  /** Places in use, counted to the last one. */
  #usedPlaces: number;
  #isModified = false;
  /** The file may no longer say what the map says: no more writes. */
  #isBroken = false;
  readonly #word = new Uint8Array(4);

  /** Takes over the file; on an error the caller still has to close it. */
  constructor(file: ImageFile, options: { readonly readOnly: boolean }) {
    this.#file = file;
    this.readOnly = options.readOnly;
    const header = readVdiHeader(file);
    if (header.type === "differencing" || header.type === "undo")
      throw new FormatError(`${file.path} is a ${header.type} image: only base images can be opened`);
    this.#header = header;
    this.#blockBytes = header.blockBytes;
    this.sizeBytes = Math.ceil(header.diskBytes / 512) * 512;
    this.uuid = header.uuid;
    this.#logicalGeometry = header.logicalGeometry;
    const mapBytes = new Uint8Array(header.blockCount * 4);
    if (!file.read(header.mapOffset, mapBytes)) throw new FormatError(`cannot read the block map of ${file.path}`);
    this.#map = new Uint32Array(header.blockCount);
    const view = new DataView(mapBytes.buffer);
    for (let block = 0; block < header.blockCount; block++) this.#map[block] = view.getUint32(block * 4, true);
    this.#fileBytes = file.sizeBytes;
    this.#usedPlaces = checkBlockMap(this.#map, header, this.#fileBytes, file.path);
  }

  get logicalGeometry(): Geometry | undefined {
    return this.#logicalGeometry;
  }

  read(offsetBytes: number, target: Uint8Array, done: BlockDone): void {
    done(this.#isInside(offsetBytes, target.length) && this.#readRange(offsetBytes, target));
  }

  write(offsetBytes: number, source: Uint8Array, done: BlockDone): void {
    done(this.#canWrite(offsetBytes, source.length) && this.#writeRange(offsetBytes, source));
  }

  flush(done: BlockDone): void {
    done(this.readOnly || this.#file.sync());
  }

  /** Zeroes what is allocated; the file keeps its blocks, since giving one back would leave a hole in its order. */
  discard(offsetBytes: number, lengthBytes: number, done: BlockDone): void {
    done(this.#canWrite(offsetBytes, lengthBytes) && this.#zeroRange(offsetBytes, lengthBytes));
  }

  /** Geometries that INT 13h cannot express, and images that have no field for one, are left as they are. */
  storeLogicalGeometry(geometry: Geometry): void {
    if (this.readOnly || this.#isBroken || !this.#header.hasGeometryField || !isLogicalGeometry(geometry)) return;
    if (this.#file.write(OFFSET_LCHS, geometryBytes(geometry))) this.#logicalGeometry = { ...geometry };
  }

  close(): void {
    if (!this.readOnly) this.#file.sync();
    this.#file.close();
  }

  #isInside(offsetBytes: number, lengthBytes: number): boolean {
    return offsetBytes >= 0 && lengthBytes >= 0 && offsetBytes + lengthBytes <= this.sizeBytes;
  }

  #canWrite(offsetBytes: number, lengthBytes: number): boolean {
    return !this.readOnly && !this.#isBroken && this.#isInside(offsetBytes, lengthBytes);
  }

  #position(place: number): number {
    return this.#header.dataOffset + place * this.#blockBytes;
  }

  #readRange(offsetBytes: number, target: Uint8Array): boolean {
    for (let at = 0; at < target.length; ) {
      const block = Math.floor((offsetBytes + at) / this.#blockBytes);
      const inBlock = offsetBytes + at - block * this.#blockBytes;
      const length = Math.min(target.length - at, this.#blockBytes - inBlock);
      const place = this.#map[block];
      let present = 0;
      if (place < ENTRY_ZERO) {
        const position = this.#position(place) + inBlock;
        present = this.#presentBytes(position, length);
        if (!this.#file.read(position, target, at, present)) return false;
      }
      if (present < length) target.fill(0, at + present, at + length);
      at += length;
    }
    return true;
  }

  #writeRange(offsetBytes: number, source: Uint8Array): boolean {
    for (let at = 0; at < source.length; ) {
      const block = Math.floor((offsetBytes + at) / this.#blockBytes);
      const inBlock = offsetBytes + at - block * this.#blockBytes;
      const length = Math.min(source.length - at, this.#blockBytes - inBlock);
      const place = this.#map[block];
      if (place < ENTRY_ZERO) {
        const position = this.#position(place) + inBlock;
        if (!this.#markModified() || !this.#file.write(position, source, at, length)) return false;
        this.#fileBytes = Math.max(this.#fileBytes, position + length);
      } else if (!isZero(source, at, length)) {
        if (!this.#markModified() || !this.#writeNewBlock(block, inBlock, source, at, length)) return false;
      }
      at += length;
    }
    return true;
  }

  #zeroRange(offsetBytes: number, lengthBytes: number): boolean {
    for (let at = 0; at < lengthBytes; ) {
      const block = Math.floor((offsetBytes + at) / this.#blockBytes);
      const inBlock = offsetBytes + at - block * this.#blockBytes;
      const length = Math.min(lengthBytes - at, this.#blockBytes - inBlock);
      const place = this.#map[block];
      if (place < ENTRY_ZERO) {
        const position = this.#position(place) + inBlock;
        if (!this.#markModified() || !this.#file.zero(position, this.#presentBytes(position, length))) return false;
      }
      at += length;
    }
    return true;
  }

  /** The last block of the disk may be cut where the disk ends; what is missing reads zero. */
  #presentBytes(position: number, length: number): number {
    return Math.max(0, Math.min(length, this.#fileBytes - position));
  }

  #writeNewBlock(block: number, inBlock: number, source: Uint8Array, at: number, length: number): boolean {
    const place = this.#usedPlaces < this.#header.blockCount ? this.#usedPlaces : this.#findHole();
    const position = this.#position(place);
    if (place === this.#usedPlaces) {
      // Behind the last block can only be what an earlier process wrote before it died: cut it off, so that the new
      // block starts as zeros (which take no space on the host until written).
      if (this.#fileBytes > position && !this.#file.truncate(position)) return false;
      this.#fileBytes = Math.min(this.#fileBytes, position);
      if (!this.#file.truncate(position + this.#blockBytes)) return false;
      this.#fileBytes = position + this.#blockBytes;
    } else if (!this.#file.zero(position, this.#presentBytes(position, this.#blockBytes))) return false;
    if (!this.#file.write(position + inBlock, source, at, length)) return false;

    const usedPlaces = Math.max(this.#usedPlaces, place + 1);
    setU32(this.#word, 0, place);
    if (!this.#file.write(this.#header.mapOffset + block * 4, this.#word)) return this.#breakDown();
    this.#map[block] = place;
    this.#usedPlaces = usedPlaces;
    setU32(this.#word, 0, usedPlaces);
    return this.#file.write(OFFSET_BLOCKS_ALLOCATED, this.#word) || this.#breakDown();
  }

  /**
   * The lowest place that no block uses. Only needed for images whose header counts more blocks than the map names;
   * there is one as long as a block is not allocated.
   */
  #findHole(): number {
    const isTaken = new Uint8Array(this.#header.blockCount);
    for (const place of this.#map) if (place < ENTRY_ZERO) isTaken[place] = 1;
    return isTaken.indexOf(0);
  }

  #markModified(): boolean {
    if (this.#isModified) return true;
    const bytes = new Uint8Array(16);
    uuidToBytes(randomUUID(), bytes, 0);
    this.#isModified = this.#file.write(OFFSET_MODIFICATION_UUID, bytes);
    return this.#isModified;
  }

  #breakDown(): false {
    this.#isBroken = true;
    return false;
  }
}

/** The block map of a new image: all free, or one block after the other. */
export function newBlockMap(blockCount: number, variant: "Standard" | "Fixed"): Uint8Array {
  const bytes = new Uint8Array(blockCount * 4);
  const view = new DataView(bytes.buffer);
  for (let block = 0; block < blockCount; block++)
    view.setUint32(block * 4, variant === "Fixed" ? block : ENTRY_FREE, true);
  return bytes;
}
