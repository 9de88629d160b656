/**
 * Reads ISO 9660 images (ECMA-119): the tree of the primary volume with Rock Ridge names where they are, and the
 * contents of files. Every record of a hostile image is bounded: loops of folders, records beyond their sector, extents
 * beyond the file end in one FormatError. Not here: Joliet, UDF, files in several extents.
 */
import { FormatError } from "../base/errors.ts";
import { ImageFile } from "./image-file.ts";

const SECTOR = 2048;
const MAX_ENTRIES = 200_000;
const MAX_FOLDER_BYTES = 16 << 20;
const MAX_CONTINUATIONS = 8;

export interface IsoEntry {
  /** "/isolinux/vmlinuz"; the Rock Ridge name, else the identifier in lower case without version and final dot. */
  readonly path: string;
  readonly isFolder: boolean;
  readonly lba: number;
  readonly sizeBytes: number;
}

export interface IsoVolume {
  readonly volumeId: string;
  /** The El Torito default entry, if the image has one that boots without emulation. */
  readonly boot?: { readonly lba: number; readonly loadSectors: number };
  readonly entries: readonly IsoEntry[];
}

/** Volume and all entries, folders before what is in them, in the order of the directory records. */
export function listIso(path: string): IsoVolume {
  return withImage(path, (image) => readVolume(image));
}

/** The bytes of one file, by its path as `listIso` gives it. */
export function readIsoFile(path: string, filePath: string): Uint8Array {
  return withImage(path, (image) => {
    const found = readVolume(image).entries.find((entry) => entry.path === filePath);
    if (!found || found.isFolder) throw new FormatError(`${path} holds no file ${filePath}`);
    return readExtent(image, found.lba, found.sizeBytes);
  });
}

function withImage<T>(path: string, use: (image: ImageFile) => T): T {
  const image = new ImageFile(path, "r");
  try {
    return use(image);
  } finally {
    image.close();
  }
}

function readVolume(image: ImageFile): IsoVolume {
  let primary: Uint8Array | undefined;
  let catalogLba = 0;
  // The set ends with type 255; a set of more than 64 descriptors ends here.
  for (let lba = 16; lba < 80; lba++) {
    const bytes = readExtent(image, lba, SECTOR);
    if (latin1(bytes, 1, 5) !== "CD001") throw new FormatError(`${image.path} is not an ISO 9660 image`);
    if (bytes[0] === 255) break;
    if (bytes[0] === 1) primary ??= bytes;
    if (bytes[0] === 0 && latin1(bytes, 7, 23) === "EL TORITO SPECIFICATION") catalogLba = u32(bytes, 0x47);
  }
  if (!primary) throw new FormatError(`${image.path} has no primary volume descriptor`);
  const blockBytes = primary[128] | (primary[129] << 8);
  if (blockBytes !== SECTOR) throw new FormatError(`${image.path} has blocks of ${blockBytes} bytes`);
  return {
    volumeId: latin1(primary, 40, 32).trimEnd(),
    boot: catalogLba === 0 ? undefined : readBootEntry(readExtent(image, catalogLba, 64)),
    entries: readTree(image, u32(primary, 158), u32(primary, 166)),
  };
}

function readBootEntry(catalog: Uint8Array): IsoVolume["boot"] {
  if (catalog[0] !== 1 || catalog[0x1e] !== 0x55 || catalog[0x1f] !== 0xaa) return undefined;
  if (catalog[0x20] !== 0x88 || (catalog[0x21] & 15) !== 0) return undefined;
  return { lba: u32(catalog, 0x28), loadSectors: catalog[0x26] | (catalog[0x27] << 8) };
}

function readTree(image: ImageFile, rootLba: number, rootBytes: number): IsoEntry[] {
  const entries: IsoEntry[] = [];
  const pending = [{ path: "", lba: rootLba, sizeBytes: rootBytes }];
  const seen = new Set([rootLba]);
  let skip = -1;
  for (let folder = pending.shift(); folder; folder = pending.shift()) {
    if (folder.sizeBytes > MAX_FOLDER_BYTES)
      throw new FormatError(`${image.path}: folder ${folder.path || "/"} has ${folder.sizeBytes} bytes`);
    const bytes = readExtent(image, folder.lba, folder.sizeBytes);
    for (let at = 0; at < bytes.length; ) {
      const length = bytes[at];
      if (length === 0) {
        at = (Math.floor(at / SECTOR) + 1) * SECTOR;
        continue;
      }
      const nameLength = bytes[at + 32];
      if (length < 34 || (at % SECTOR) + length > SECTOR || at + length > bytes.length || 33 + nameLength > length)
        throw new FormatError(`${image.path}: a record in folder ${folder.path || "/"} is damaged`);
      const record = bytes.subarray(at, at + length);
      at += length;
      const systemUse = 33 + nameLength + (nameLength & 1 ? 0 : 1);
      if (nameLength === 1 && record[33] <= 1) {
        // SP in the root's own record: how many bytes of system use to skip everywhere.
        if (skip < 0 && record[33] === 0 && latin1(record, systemUse, 2) === "SP") skip = record[systemUse + 6];
        continue;
      }
      const rockRidge = skip >= 0 ? rockRidgeName(image, record.subarray(systemUse + skip)) : "";
      const name = rockRidge || plainName(latin1(record, 33, nameLength));
      const entry = {
        path: `${folder.path}/${name}`,
        isFolder: (record[25] & 2) !== 0,
        lba: u32(record, 2),
        sizeBytes: u32(record, 10),
      };
      if (entries.push(entry) > MAX_ENTRIES) throw new FormatError(`${image.path} has more than ${MAX_ENTRIES} files`);
      if (!entry.isFolder) continue;
      if (seen.has(entry.lba)) throw new FormatError(`${image.path}: folder ${entry.path} is inside itself or twice`);
      seen.add(entry.lba);
      pending.push(entry);
    }
  }
  return entries;
}

/** The NM entries of one record, joined; continuation areas (CE) are followed a few times. */
function rockRidgeName(image: ImageFile, systemUse: Uint8Array): string {
  const parts: Uint8Array[] = [];
  let area = systemUse;
  for (let round = 0; round <= MAX_CONTINUATIONS; round++) {
    let next: Uint8Array | undefined;
    for (let at = 0; at + 4 <= area.length; ) {
      const length = area[at + 2];
      if (length < 4 || at + length > area.length) break;
      const signature = latin1(area, at, 2);
      if (signature === "NM" && length > 5 && (area[at + 4] & 6) === 0) parts.push(area.subarray(at + 5, at + length));
      if (signature === "CE" && length >= 28) {
        const offset = u32(area, at + 12);
        const bytes = u32(area, at + 20);
        if (offset + bytes <= SECTOR)
          next = readExtent(image, u32(area, at + 4), SECTOR).subarray(offset, offset + bytes);
      }
      at += length;
    }
    if (!next) break;
    area = next;
  }
  return Buffer.concat(parts).toString("utf8").replaceAll("/", "_").replaceAll("\0", "_");
}

function plainName(identifier: string): string {
  return identifier.replace(/;\d+$/, "").replace(/\.$/, "").replaceAll("/", "_").toLowerCase();
}

function readExtent(image: ImageFile, lba: number, sizeBytes: number): Uint8Array {
  if (lba * SECTOR + sizeBytes > image.sizeBytes)
    throw new FormatError(`${image.path}: sector ${lba} (${sizeBytes} bytes) lies beyond the end of the file`);
  const bytes = new Uint8Array(sizeBytes);
  if (!image.read(lba * SECTOR, bytes)) throw new FormatError(`cannot read sector ${lba} of ${image.path}`);
  return bytes;
}

function latin1(bytes: Uint8Array, at: number, length: number): string {
  return Buffer.from(bytes.subarray(at, at + length)).toString("latin1");
}

function u32(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
}
