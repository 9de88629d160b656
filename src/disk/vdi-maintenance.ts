/**
 * Changing a VDI image that nobody uses: a larger disk, and giving the space of zeros back to the host. Both work in place, under
 * the image's lock, in an order that leaves a valid image at every moment: what is referred to is written and flushed before what
 * refers to it. Given up in between, the image is as large as before, or less of it is compacted.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { chmodSync, renameSync, rmSync, statSync } from "node:fs";
import { AnneauError } from "../base/errors.ts";
import { createVdiInSteps, type ProgressListener, type Steps } from "./create.ts";
import { ImageFile, isZero, reasonOf } from "./image-file.ts";
import { lockMedium } from "./lock.ts";
import { uuidToBytes } from "./uuid.ts";
import { readVdiHeader, VdiImage } from "./vdi.ts";
import {
  checkBlockMap,
  ENTRY_FREE,
  ENTRY_ZERO,
  MAX_BLOCKS,
  OFFSET_BLOCK_COUNT,
  OFFSET_BLOCKS_ALLOCATED,
  OFFSET_DISK_SIZE,
  OFFSET_MODIFICATION_UUID,
  OFFSET_UUID,
  setU32,
  VDI_HEADER_BYTES,
  type VdiHeader,
} from "./vdi-header.ts";

/** Blocks that move between two flushes. */
const BATCH_BLOCKS = 32;

/** An image under change. Every method that writes throws one line when the host refuses. */
class OpenVdi {
  readonly file: ImageFile;
  readonly header: VdiHeader;
  readonly map: Uint32Array;
  /** Places in use, counted to the last one. */
  readonly usedPlaces: number;
  #hostError = "";

  constructor(path: string) {
    this.file = new ImageFile(path, "r+", (text) => {
      this.#hostError ||= text;
    });
    try {
      this.header = readVdiHeader(this.file);
      if (this.header.type !== "dynamic" && this.header.type !== "fixed")
        throw new AnneauError(`${path} is a ${this.header.type} image: only base images can be changed`);
      const bytes = new Uint8Array(this.header.blockCount * 4);
      this.check(this.file.read(this.header.mapOffset, bytes));
      const view = new DataView(bytes.buffer);
      this.map = Uint32Array.from({ length: this.header.blockCount }, (_, block) => view.getUint32(block * 4, true));
      this.usedPlaces = checkBlockMap(this.map, this.header, this.file.sizeBytes, path);
    } catch (error) {
      this.file.close();
      throw error;
    }
  }

  readonly check = (ok: boolean): void => {
    if (!ok) throw new AnneauError(`cannot change ${this.file.path}: ${this.#hostError || "the host refused"}`);
  };

  write(position: number, bytes: Uint8Array): void {
    this.check(this.file.write(position, bytes));
  }

  sync(): void {
    this.check(this.file.sync());
  }

  writeMapEntry(block: number, place: number): void {
    const entry = new Uint8Array(4);
    setU32(entry, 0, place);
    this.write(this.header.mapOffset + block * 4, entry);
    this.map[block] = place;
  }
}

function* changing(path: string, work: (image: OpenVdi) => Steps<void>): Steps<void> {
  const lock = lockMedium(path, "exclusive");
  try {
    const image = new OpenVdi(path);
    try {
      yield* work(image);
      image.sync();
    } finally {
      image.file.close();
    }
  } finally {
    lock.release();
  }
}

/** Makes the disk larger: the new part reads zero. `sizeBytes` is a multiple of 512 and not less than now. */
export function* resizeVdiInSteps(
  path: string,
  sizeBytes: number,
  onProgress: ProgressListener = () => {},
): Steps<void> {
  yield* changing(path, function* (image) {
    const { header } = image;
    const blockCount = Math.max(header.blockCount, Math.ceil(sizeBytes / header.blockBytes));
    if (sizeBytes < header.diskBytes) throw new AnneauError(`${path} cannot be made smaller`);
    if (!Number.isInteger(sizeBytes) || sizeBytes % 512 !== 0 || blockCount > MAX_BLOCKS)
      throw new AnneauError(`${path} cannot have ${sizeBytes} bytes`);
    if (header.mapOffset + blockCount * 4 > header.dataOffset) yield* replaceByLarger(image, sizeBytes, onProgress);
    else yield* growInPlace(image, sizeBytes, blockCount, onProgress);
    onProgress(100);
  });
}

/** The longer map fits in front of the data: first what it will refer to, then its end, then the header's one sector. */
function* growInPlace(
  image: OpenVdi,
  sizeBytes: number,
  blockCount: number,
  onProgress: ProgressListener,
): Steps<void> {
  const { header, map, file } = image;
  wholeLastBlock(image);
  const entries = new Uint8Array((blockCount - map.length) * 4);
  let used = image.usedPlaces;
  const zeros = new Uint8Array(header.blockBytes);
  for (let block = map.length; block < blockCount; block++) {
    const isFixed = header.type === "fixed";
    if (isFixed) {
      image.write(header.dataOffset + used * header.blockBytes, zeros);
      onProgress(((block - map.length) / (blockCount - map.length)) * 99);
      yield;
    }
    setU32(entries, (block - map.length) * 4, isFixed ? used++ : ENTRY_FREE);
  }
  // The old header does not look at what lies behind its map.
  image.write(header.mapOffset + map.length * 4, entries);
  image.sync();
  const sector = new Uint8Array(VDI_HEADER_BYTES);
  image.check(file.read(0, sector));
  setU32(sector, OFFSET_DISK_SIZE, sizeBytes % 0x1_0000_0000);
  setU32(sector, OFFSET_DISK_SIZE + 4, Math.floor(sizeBytes / 0x1_0000_0000));
  setU32(sector, OFFSET_BLOCK_COUNT, blockCount);
  setU32(sector, OFFSET_BLOCKS_ALLOCATED, Math.min(used, blockCount));
  uuidToBytes(randomUUID(), sector, OFFSET_MODIFICATION_UUID);
  image.write(0, sector);
}

/** The last block may end where the disk ended: it becomes whole, and what was behind the disk reads zero. */
function wholeLastBlock({ file, header, map, check }: OpenVdi): void {
  const last = Math.ceil(header.diskBytes / header.blockBytes) - 1;
  const inLast = header.diskBytes - last * header.blockBytes;
  const place = map[last];
  if (place >= ENTRY_ZERO || inLast === header.blockBytes) return;
  const start = header.dataOffset + place * header.blockBytes;
  const present = Math.min(header.blockBytes, file.sizeBytes - start);
  if (present > inLast) check(file.zero(start + inLast, present - inLast));
  if (present < header.blockBytes) check(file.truncate(start + header.blockBytes));
}

/** There is no room for the longer map: a new image takes the name, once all of it is there. */
function* replaceByLarger(image: OpenVdi, sizeBytes: number, onProgress: ProgressListener): Steps<void> {
  const { path } = image.file;
  const { uuid, comment, type } = image.header;
  const larger = `${path}.${randomBytes(6).toString("hex")}.larger`;
  const content = new VdiImage(new ImageFile(path, "r"), { readOnly: true });
  try {
    const variant = type === "fixed" ? "Fixed" : "Standard";
    yield* createVdiInSteps(larger, { sizeBytes, variant, uuid, comment, content, onProgress });
    chmodSync(larger, statSync(path).mode & 0o777);
    renameSync(larger, path);
  } catch (error) {
    if (error instanceof AnneauError) throw error;
    throw new AnneauError(`cannot change ${path}: ${reasonOf(error)}`, { cause: error });
  } finally {
    content.close();
    rmSync(larger, { force: true });
  }
}

/** Makes a raw image larger: what is new is a hole that reads zero. */
export function* growRawInSteps(path: string, sizeBytes: number, onProgress: ProgressListener = () => {}): Steps<void> {
  const lock = lockMedium(path, "exclusive");
  try {
    const file = new ImageFile(path, "r+");
    try {
      if (sizeBytes < file.sizeBytes) throw new AnneauError(`${path} cannot be made smaller`);
      if (!file.truncate(sizeBytes) || !file.sync()) throw new AnneauError(`cannot change ${path}`);
    } finally {
      file.close();
    }
    onProgress(100);
    yield;
  } finally {
    lock.release();
  }
}

/** Gives blocks that hold zeros only back to the host's file system. Fixed images keep what they have. */
export function* compactVdiInSteps(path: string, onProgress: ProgressListener = () => {}): Steps<void> {
  yield* changing(path, function* (image) {
    const { header, map, file } = image;
    if (header.type !== "dynamic") throw new AnneauError(`${path} is a fixed image: there is nothing to be given back`);
    const buffer = new Uint8Array(header.blockBytes);
    for (let block = 0; block < map.length; block++) {
      if (map[block] >= ENTRY_ZERO) continue;
      readBlock(image, map[block], buffer);
      if (isZero(buffer, 0, buffer.length)) image.writeMapEntry(block, ENTRY_FREE);
      onProgress(Math.floor((block / map.length) * 60));
      yield;
    }
    image.sync();
    // Blocks at the end move into the holes before them; nobody refers to a hole, so an order of copy, flush, map will do.
    const isTaken = new Uint8Array(image.usedPlaces);
    for (const place of map) if (place < ENTRY_ZERO) isTaken[place] = 1;
    const kept = isTaken.reduce((sum, one) => sum + one, 0);
    const movers = [...map.keys()].filter((block) => map[block] < ENTRY_ZERO && map[block] >= kept);
    let hole = -1;
    for (let at = 0; at < movers.length; at += BATCH_BLOCKS) {
      const batch = movers.slice(at, at + BATCH_BLOCKS).map((block) => {
        hole = isTaken.indexOf(0, hole + 1);
        return { block, hole };
      });
      for (const one of batch) {
        readBlock(image, map[one.block], buffer);
        image.write(header.dataOffset + one.hole * header.blockBytes, buffer);
        yield;
      }
      image.sync();
      for (const one of batch) image.writeMapEntry(one.block, one.hole);
      onProgress(60 + Math.floor((at / movers.length) * 39));
    }
    image.sync();
    const allocated = new Uint8Array(4);
    setU32(allocated, 0, kept);
    image.write(OFFSET_BLOCKS_ALLOCATED, allocated);
    image.check(file.truncate(header.dataOffset + kept * header.blockBytes));
    onProgress(100);
  });
}

/** Gives the image another UUID. */
export function setVdiUuid(path: string, uuid: string): void {
  const steps = changing(
    path,
    // biome-ignore lint/correctness/useYield: one step
    function* (image) {
      const bytes = new Uint8Array(16);
      uuidToBytes(uuid, bytes, 0);
      image.write(OFFSET_UUID, bytes);
    },
  );
  while (!steps.next().done) {}
}

/** The block's bytes; what the file ends before reads zero. */
function readBlock({ file, header, check }: OpenVdi, place: number, target: Uint8Array): void {
  const position = header.dataOffset + place * header.blockBytes;
  const present = Math.max(0, Math.min(target.length, file.sizeBytes - position));
  target.fill(0, present);
  check(file.read(position, target, 0, present));
}
