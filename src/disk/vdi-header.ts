/**
 * The header and block map of VDI 1.1 ("Virtual Disk Image", VirtualBox's own format): layout, checks, writing. All
 * integers are little-endian. Images of VirtualBox (map at 1 MiB, formerly at 512) and of qemu-img (map at 512) are
 * both valid; version 0.x is not read. Every field of a hostile file is bounded here, so vdi.ts can trust them.
 */
import type { Geometry } from "../backend-api/block.ts";
import { FormatError } from "../base/errors.ts";
import { isUuid, uuidFromBytes, uuidToBytes } from "./uuid.ts";

export const VDI_SIGNATURE = 0xbeda107f;
export const VDI_VERSION_1_1 = 0x0001_0001;
export const VDI_HEADER_BYTES = 512;

/** Offsets in the file. */
export const OFFSET_TEXT = 0x000;
export const OFFSET_SIGNATURE = 0x040;
export const OFFSET_VERSION = 0x044;
export const OFFSET_HEADER_SIZE = 0x048;
export const OFFSET_TYPE = 0x04c;
export const OFFSET_FLAGS = 0x050;
export const OFFSET_COMMENT = 0x054;
export const OFFSET_MAP_OFFSET = 0x154;
export const OFFSET_DATA_OFFSET = 0x158;
export const OFFSET_LEGACY_SECTOR_SIZE = 0x168;
export const OFFSET_DISK_SIZE = 0x170;
export const OFFSET_BLOCK_SIZE = 0x178;
export const OFFSET_BLOCK_EXTRA = 0x17c;
export const OFFSET_BLOCK_COUNT = 0x180;
export const OFFSET_BLOCKS_ALLOCATED = 0x184;
export const OFFSET_UUID = 0x188;
export const OFFSET_MODIFICATION_UUID = 0x198;
export const OFFSET_PARENT_UUID = 0x1a8;
export const OFFSET_PARENT_MODIFICATION_UUID = 0x1b8;
export const OFFSET_LCHS = 0x1c8;

/** Header sizes, counted from OFFSET_HEADER_SIZE: the older one ends before the LCHS geometry. */
const HEADER_SIZE_WITHOUT_LCHS = 0x180;
const HEADER_SIZE_WITH_LCHS = 0x190;

const COMMENT_BYTES = 256;

/** Map entries at and above this one are not block numbers. */
export const ENTRY_ZERO = 0xffff_fffe;
export const ENTRY_FREE = 0xffff_ffff;

/** 64 TiB in blocks of 1 MiB, a map of 256 MiB: far above what can be created, small enough to hold. */
export const MAX_BLOCKS = 1 << 26;
const MIN_BLOCK_BYTES = 4096;
const MAX_BLOCK_BYTES = 256 << 20;

export type VdiType = "dynamic" | "fixed" | "undo" | "differencing";
const typeNames: readonly VdiType[] = ["dynamic", "fixed", "undo", "differencing"];

export interface VdiHeader {
  readonly type: VdiType;
  readonly comment: string;
  readonly mapOffset: number;
  readonly dataOffset: number;
  /** As stored; the medium is this rounded up to whole sectors. */
  readonly diskBytes: number;
  readonly blockBytes: number;
  readonly blockCount: number;
  readonly blocksAllocated: number;
  readonly uuid: string;
  readonly modificationUuid: string;
  readonly parentUuid: string;
  readonly parentModificationUuid: string;
  /** False in images of old versions: there is no room for a logical geometry. */
  readonly hasGeometryField: boolean;
  readonly logicalGeometry?: Geometry;
}

/** Whether the first bytes of a file are a VDI image's (of any version). */
export function isVdi(bytes: Uint8Array): boolean {
  return bytes.length >= OFFSET_SIGNATURE + 4 && u32(bytes, OFFSET_SIGNATURE) === VDI_SIGNATURE;
}

/** Checks and decodes the first 512 bytes of a file of `fileBytes` bytes. `path` names it in the error's one line. */
export function parseVdiHeader(bytes: Uint8Array, fileBytes: number, path: string): VdiHeader {
  const fail = (why: string): never => {
    throw new FormatError(`${path} is not a usable VDI image: ${why}`);
  };
  if (bytes.length < VDI_HEADER_BYTES || fileBytes < VDI_HEADER_BYTES) fail("it ends inside its header");
  if (!isVdi(bytes)) fail("the signature is missing");
  const version = u32(bytes, OFFSET_VERSION);
  if (version !== VDI_VERSION_1_1) fail(`version ${version >>> 16}.${version & 0xffff} instead of 1.1`);
  const headerSize = u32(bytes, OFFSET_HEADER_SIZE);
  if (headerSize < HEADER_SIZE_WITHOUT_LCHS || headerSize > 0x1_0000) fail(`header size ${headerSize}`);
  const typeNumber = u32(bytes, OFFSET_TYPE);
  const type = typeNames[typeNumber - 1] ?? fail(`image type ${typeNumber}`);

  const blockBytes = u32(bytes, OFFSET_BLOCK_SIZE);
  if (blockBytes < MIN_BLOCK_BYTES || blockBytes > MAX_BLOCK_BYTES || (blockBytes & (blockBytes - 1)) !== 0)
    fail(`block size ${blockBytes}`);
  if (u32(bytes, OFFSET_BLOCK_EXTRA) !== 0) fail(`${u32(bytes, OFFSET_BLOCK_EXTRA)} extra bytes per block`);
  const sectorSize = u32(bytes, OFFSET_LEGACY_SECTOR_SIZE);
  if (sectorSize !== 512 && sectorSize !== 0) fail(`sector size ${sectorSize}`);
  const diskBytes = u32(bytes, OFFSET_DISK_SIZE) + u32(bytes, OFFSET_DISK_SIZE + 4) * 0x1_0000_0000;
  const blockCount = u32(bytes, OFFSET_BLOCK_COUNT);
  if (blockCount > MAX_BLOCKS) fail(`${blockCount} blocks`);
  if (diskBytes === 0 || diskBytes > blockCount * blockBytes)
    fail(`disk size ${diskBytes} with ${blockCount} blocks of ${blockBytes} bytes`);
  const blocksAllocated = u32(bytes, OFFSET_BLOCKS_ALLOCATED);
  if (blocksAllocated > blockCount) fail(`${blocksAllocated} of ${blockCount} blocks allocated`);

  const mapOffset = u32(bytes, OFFSET_MAP_OFFSET);
  const dataOffset = u32(bytes, OFFSET_DATA_OFFSET);
  if (mapOffset < OFFSET_HEADER_SIZE + headerSize || mapOffset % 512 !== 0) fail(`block map at ${mapOffset}`);
  if (dataOffset < mapOffset + blockCount * 4 || dataOffset % 512 !== 0)
    fail(`data at ${dataOffset}, block map of ${blockCount} blocks at ${mapOffset}`);
  if (mapOffset + blockCount * 4 > fileBytes) fail("it ends inside its block map");

  const commentEnd = bytes.subarray(OFFSET_COMMENT, OFFSET_COMMENT + COMMENT_BYTES).indexOf(0);
  const hasGeometryField = headerSize >= HEADER_SIZE_WITH_LCHS;
  return {
    type,
    comment: new TextDecoder().decode(
      bytes.subarray(OFFSET_COMMENT, OFFSET_COMMENT + (commentEnd < 0 ? COMMENT_BYTES : commentEnd)),
    ),
    mapOffset,
    dataOffset,
    diskBytes,
    blockBytes,
    blockCount,
    blocksAllocated,
    uuid: uuidFromBytes(bytes, OFFSET_UUID),
    modificationUuid: uuidFromBytes(bytes, OFFSET_MODIFICATION_UUID),
    parentUuid: uuidFromBytes(bytes, OFFSET_PARENT_UUID),
    parentModificationUuid: uuidFromBytes(bytes, OFFSET_PARENT_MODIFICATION_UUID),
    hasGeometryField,
    logicalGeometry: hasGeometryField ? readGeometry(bytes) : undefined,
  };
}

/**
 * Checks a block map: no block lies beyond the end of the file, no two blocks share one place. Returns the number of
 * places in use, counted to the last one: new blocks go behind it. (It may exceed the header's count by what was
 * written between a map entry and the header when a process died.)
 */
export function checkBlockMap(map: Uint32Array, header: VdiHeader, fileBytes: number, path: string): number {
  const fail = (why: string): never => {
    throw new FormatError(`${path} is not a usable VDI image: ${why}`);
  };
  const { blockBytes, dataOffset, diskBytes } = header;
  const places = Math.max(0, Math.min(map.length, Math.ceil((fileBytes - dataOffset) / blockBytes)));
  const isTaken = new Uint8Array(places);
  let used = header.blocksAllocated;
  for (let block = 0; block < map.length; block++) {
    const place = map[block];
    if (place >= ENTRY_ZERO) {
      if (header.type === "fixed") fail(`block ${block} of a fixed image is not allocated`);
      continue;
    }
    // The last block of the disk need not be complete: what lies behind the end of the disk is never read.
    const neededBytes = Math.max(0, Math.min(blockBytes, diskBytes - block * blockBytes));
    if (place >= places || dataOffset + place * blockBytes + neededBytes > fileBytes)
      fail(`block ${block} lies beyond the end of the file (truncated?)`);
    if (isTaken[place] === 1) fail(`two blocks share place ${place} (block ${block} is the second)`);
    isTaken[place] = 1;
    if (place >= used) used = place + 1;
  }
  return used;
}

/** LCHS of the header if it is one that INT 13h can express. */
function readGeometry(bytes: Uint8Array): Geometry | undefined {
  const cylinders = u32(bytes, OFFSET_LCHS);
  const heads = u32(bytes, OFFSET_LCHS + 4);
  const sectors = u32(bytes, OFFSET_LCHS + 8);
  return isLogicalGeometry({ cylinders, heads, sectors }) ? { cylinders, heads, sectors } : undefined;
}

/** 1–1024 cylinders, 1–255 heads, 1–63 sectors, whole numbers. */
export function isLogicalGeometry({ cylinders, heads, sectors }: Geometry): boolean {
  const isWithin = (value: number, max: number) => Number.isInteger(value) && value >= 1 && value <= max;
  return isWithin(cylinders, 1024) && isWithin(heads, 255) && isWithin(sectors, 63);
}

/** The 16 bytes of the LCHS field. */
export function geometryBytes(geometry: Geometry | undefined): Uint8Array {
  const bytes = new Uint8Array(16);
  setU32(bytes, 0, geometry?.cylinders ?? 0);
  setU32(bytes, 4, geometry?.heads ?? 0);
  setU32(bytes, 8, geometry?.sectors ?? 0);
  setU32(bytes, 12, 512);
  return bytes;
}

/** The first 512 bytes of a new base image, laid out as VirtualBox does (map at 1 MiB, data on the next 1 MiB boundary). */
export function newVdiHeader(options: {
  readonly sizeBytes: number;
  readonly variant: "Standard" | "Fixed";
  readonly uuid: string;
  readonly modificationUuid: string;
  readonly comment: string;
}): { readonly bytes: Uint8Array; readonly header: VdiHeader } {
  if (!isUuid(options.uuid) || !isUuid(options.modificationUuid))
    throw new FormatError(`${options.uuid} is not a UUID`);
  const blockBytes = 1 << 20;
  const blockCount = Math.ceil(options.sizeBytes / blockBytes);
  const mapOffset = 1 << 20;
  const dataOffset = mapOffset + Math.ceil((blockCount * 4) / blockBytes) * blockBytes;
  const bytes = new Uint8Array(VDI_HEADER_BYTES);
  bytes.set(Buffer.from("<<< Oracle VM VirtualBox Disk Image >>>\n", "latin1"), OFFSET_TEXT);
  setU32(bytes, OFFSET_SIGNATURE, VDI_SIGNATURE);
  setU32(bytes, OFFSET_VERSION, VDI_VERSION_1_1);
  setU32(bytes, OFFSET_HEADER_SIZE, HEADER_SIZE_WITH_LCHS);
  setU32(bytes, OFFSET_TYPE, options.variant === "Fixed" ? 2 : 1);
  new TextEncoder().encodeInto(options.comment, bytes.subarray(OFFSET_COMMENT, OFFSET_COMMENT + COMMENT_BYTES - 1));
  setU32(bytes, OFFSET_MAP_OFFSET, mapOffset);
  setU32(bytes, OFFSET_DATA_OFFSET, dataOffset);
  setU32(bytes, OFFSET_LEGACY_SECTOR_SIZE, 512);
  setU32(bytes, OFFSET_DISK_SIZE, options.sizeBytes % 0x1_0000_0000);
  setU32(bytes, OFFSET_DISK_SIZE + 4, Math.floor(options.sizeBytes / 0x1_0000_0000));
  setU32(bytes, OFFSET_BLOCK_SIZE, blockBytes);
  setU32(bytes, OFFSET_BLOCK_COUNT, blockCount);
  setU32(bytes, OFFSET_BLOCKS_ALLOCATED, options.variant === "Fixed" ? blockCount : 0);
  uuidToBytes(options.uuid, bytes, OFFSET_UUID);
  uuidToBytes(options.modificationUuid, bytes, OFFSET_MODIFICATION_UUID);
  bytes.set(geometryBytes(undefined), OFFSET_LCHS);
  const fileBytes = options.variant === "Fixed" ? dataOffset + blockCount * blockBytes : dataOffset;
  return { bytes, header: parseVdiHeader(bytes, fileBytes, "the new image") };
}

function u32(bytes: Uint8Array, offset: number): number {
  return (bytes[offset] | (bytes[offset + 1] << 8) | (bytes[offset + 2] << 16) | (bytes[offset + 3] << 24)) >>> 0;
}

export function setU32(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value;
  bytes[offset + 1] = value >>> 8;
  bytes[offset + 2] = value >>> 16;
  bytes[offset + 3] = value >>> 24;
}
