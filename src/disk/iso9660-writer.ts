/**
 * Writes ISO 9660 images (ECMA-119): level 1 names with the real names as Rock Ridge entries (SUSP 1.12, RRIP 1.10),
 * and one El Torito boot image without emulation (El Torito 1.0), optionally with the boot information table that
 * isolinux expects at its byte 8. Not here: Joliet, UDF, files of 4 GiB and more, links, several sessions, hard-disk or
 * floppy emulation.
 */
import { statSync } from "node:fs";
import { AnneauError } from "../base/errors.ts";
import { writeBeside } from "./create.ts";
import { ImageFile } from "./image-file.ts";

export interface IsoFile {
  /** Absolute with slashes: "/isolinux/vmlinuz". Folders on the way are made. */
  readonly path: string;
  /** A host path, or the bytes themselves. */
  readonly source: string | Uint8Array;
}

export interface IsoOptions {
  /** Up to 32 characters; what is not A–Z, 0–9 or _ becomes one of them. */
  readonly volumeId: string;
  readonly files: readonly IsoFile[];
  readonly boot?: {
    /** One of `files`. */
    readonly imagePath: string;
    /** How many 512-byte sectors the firmware loads. */
    readonly loadSectors: number;
    readonly patchBootInfoTable: boolean;
  };
  /** Stamp of volume and files; now when absent. */
  readonly date?: Date;
}

const SECTOR = 2048;
const PVD_LBA = 16;
const MAX_FILE_BYTES = 0xffff_ffff;
/** ECMA-119 6.8.2.1. */
const MAX_DEPTH = 8;

interface FileNode {
  readonly kind: "file";
  readonly name: string;
  readonly path: string;
  readonly source: string | Uint8Array;
  readonly sizeBytes: number;
  identifier: string;
  lba: number;
}

interface FolderNode {
  readonly kind: "folder";
  readonly name: string;
  readonly parent: FolderNode | undefined;
  readonly children: Map<string, FileNode | FolderNode>;
  readonly depth: number;
  identifier: string;
  lba: number;
  sizeBytes: number;
  /** Position in the path table, from 1. */
  number: number;
}

/** Writes the image; never overwrites an existing file. Throws one line, then nothing is left behind. */
export function writeIso(outPath: string, options: IsoOptions): void {
  const date = options.date ?? new Date();
  const root = buildTree(options.files);
  const folders = foldersInPathTableOrder(root);
  for (const folder of folders) assignIdentifiers(folder);
  // Identifiers decide the order of the path table, so it is asked for again.
  const ordered = foldersInPathTableOrder(root);
  ordered.forEach((folder, index) => {
    folder.number = index + 1;
  });
  const bootFile = options.boot ? findFile(root, options.boot.imagePath) : undefined;

  let lba = PVD_LBA + (bootFile ? 3 : 2);
  const pathTableBytes = ordered.reduce((sum, folder) => sum + pathTableRecordBytes(folder), 0);
  const pathTableSectors = Math.ceil(pathTableBytes / SECTOR);
  const pathTableL = lba;
  const pathTableM = (lba += pathTableSectors);
  lba += pathTableSectors;
  for (const folder of ordered) {
    folder.sizeBytes = folderBytes(folder, date);
    folder.lba = lba;
    lba += folder.sizeBytes / SECTOR;
  }
  const catalogLba = lba;
  if (bootFile) lba++;
  const files = ordered.flatMap((folder) => childrenInOrder(folder).filter((child) => child.kind === "file"));
  for (const file of files) {
    file.lba = lba;
    lba += Math.ceil(file.sizeBytes / SECTOR);
  }
  const totalSectors = lba;

  writeBeside(outPath, (temporary) => {
    let hostError = "";
    const image = new ImageFile(temporary, "r+", (text) => {
      hostError ||= text;
    });
    const write = (atLba: number, bytes: Uint8Array) => {
      if (!image.write(atLba * SECTOR, bytes)) throw new AnneauError(`cannot create ${outPath}: ${hostError}`);
    };
    try {
      if (!image.truncate(totalSectors * SECTOR)) throw new AnneauError(`cannot create ${outPath}: ${hostError}`);
      const table = { pathTableBytes, pathTableL, pathTableM };
      write(PVD_LBA, primaryVolumeDescriptor(options.volumeId, totalSectors, table, root, date));
      if (bootFile) write(PVD_LBA + 1, bootRecord(catalogLba));
      write(PVD_LBA + (bootFile ? 2 : 1), descriptor(255));
      write(pathTableL, pathTable(ordered, pathTableBytes, true));
      write(pathTableM, pathTable(ordered, pathTableBytes, false));
      for (const folder of ordered) write(folder.lba, folderRecords(folder, date));
      if (bootFile) write(catalogLba, bootCatalog(bootFile.lba, options.boot!.loadSectors));
      for (const file of files) copyFile(file, write);
      if (bootFile && options.boot!.patchBootInfoTable) patchBootInfoTable(image, bootFile);
      if (!image.sync()) throw new AnneauError(`cannot create ${outPath}: ${hostError}`);
    } finally {
      image.close();
    }
  });
}

function buildTree(files: readonly IsoFile[]): FolderNode {
  const newFolder = (name: string, parent: FolderNode | undefined): FolderNode => {
    const depth = parent ? parent.depth + 1 : 1;
    if (depth > MAX_DEPTH) throw new AnneauError(`ISO image: folder ${name} is nested deeper than ${MAX_DEPTH} levels`);
    return {
      kind: "folder",
      name,
      parent,
      children: new Map(),
      depth,
      identifier: "",
      lba: 0,
      sizeBytes: 0,
      number: 0,
    };
  };
  const root = newFolder("", undefined);
  for (const { path, source } of files) {
    const names = path.split("/").filter((name) => name !== "");
    const name = names.pop();
    if (!path.startsWith("/") || name === undefined || names.includes("..") || name === "..")
      throw new AnneauError(`ISO image: ${path} is not an absolute path of a file`);
    let folder = root;
    for (const part of names) {
      const child = folder.children.get(checkName(part)) ?? newFolder(part, folder);
      if (child.kind === "file") throw new AnneauError(`ISO image: ${path}: ${part} is a file already`);
      folder.children.set(part, child);
      folder = child;
    }
    if (folder.children.has(checkName(name))) throw new AnneauError(`ISO image: ${path} is there twice`);
    const sizeBytes = typeof source === "string" ? hostFileBytes(source) : source.length;
    if (sizeBytes > MAX_FILE_BYTES) throw new AnneauError(`ISO image: ${path} is larger than 4 GiB`);
    folder.children.set(name, { kind: "file", name, path, source, sizeBytes, identifier: "", lba: 0 });
  }
  return root;
}

/** A directory record has 255 bytes for everything. */
function checkName(name: string): string {
  if (Buffer.byteLength(name) > 120) throw new AnneauError(`ISO image: the name ${name} is longer than 120 bytes`);
  return name;
}

function hostFileBytes(path: string): number {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat?.isFile()) throw new AnneauError(`ISO image: ${path} is not a file`);
  return stat.size;
}

function findFile(root: FolderNode, path: string): FileNode {
  let node: FileNode | FolderNode | undefined = root;
  for (const name of path.split("/").filter((part) => part !== ""))
    node = node?.kind === "folder" ? node.children.get(name) : undefined;
  if (node?.kind !== "file") throw new AnneauError(`ISO image: the boot image ${path} is not among the files`);
  return node;
}

/** Level by level, within a level by the parent's number, then by identifier (ECMA-119 6.9.1). */
function foldersInPathTableOrder(root: FolderNode): FolderNode[] {
  const ordered = [root];
  for (let index = 0; index < ordered.length; index++)
    for (const child of childrenInOrder(ordered[index])) if (child.kind === "folder") ordered.push(child);
  return ordered;
}

function childrenInOrder(folder: FolderNode): (FileNode | FolderNode)[] {
  return [...folder.children.values()].sort((a, b) =>
    a.identifier < b.identifier ? -1 : a.identifier > b.identifier ? 1 : 0,
  );
}

/** Level 1 identifiers, unique within the folder: eight characters, a dot, three characters and ";1" for files. */
function assignIdentifiers(folder: FolderNode): void {
  const taken = new Set<string>();
  for (const child of folder.children.values()) {
    const dot = child.kind === "file" ? child.name.lastIndexOf(".") : -1;
    const stem = dCharacters(dot > 0 ? child.name.slice(0, dot) : child.name) || "_";
    const extension = dot > 0 ? dCharacters(child.name.slice(dot + 1)).slice(0, 3) : "";
    const build = (base: string) => (child.kind === "file" ? `${base}.${extension};1` : base);
    let identifier = build(stem.slice(0, 8));
    for (let count = 1; taken.has(identifier); count++)
      identifier = build(stem.slice(0, 8 - String(count).length) + String(count));
    taken.add(identifier);
    child.identifier = identifier;
  }
}

function dCharacters(text: string): string {
  return text.toUpperCase().replace(/[^A-Z0-9_]/g, "_");
}

function pathTableRecordBytes(folder: FolderNode): number {
  const length = Math.max(1, folder.identifier.length);
  return 8 + length + (length & 1);
}

function pathTable(folders: readonly FolderNode[], sizeBytes: number, isLittleEndian: boolean): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const folder of folders) {
    bytes[at] = Math.max(1, folder.identifier.length);
    view.setUint32(at + 2, folder.lba, isLittleEndian);
    view.setUint16(at + 6, folder.parent?.number ?? 1, isLittleEndian);
    bytes.set(Buffer.from(folder.identifier, "latin1"), at + 8);
    at += pathTableRecordBytes(folder);
  }
  return bytes;
}

function folderRecordList(folder: FolderNode, date: Date): Uint8Array[] {
  const parent = folder.parent ?? folder;
  return [
    directoryRecord("\0", folder, date, folder.parent ? "folder" : "root"),
    directoryRecord("\x01", parent, date, "folder"),
    ...childrenInOrder(folder).map((child) => directoryRecord(child.identifier, child, date, "named")),
  ];
}

/** Records do not cross sectors (ECMA-119 6.8.1.1). */
function placeRecords(records: readonly Uint8Array[]): { offsets: number[]; sizeBytes: number } {
  let at = 0;
  const offsets = records.map((record) => {
    if ((at % SECTOR) + record.length > SECTOR) at = Math.ceil(at / SECTOR) * SECTOR;
    const offset = at;
    at += record.length;
    return offset;
  });
  return { offsets, sizeBytes: Math.ceil(at / SECTOR) * SECTOR };
}

function folderBytes(folder: FolderNode, date: Date): number {
  return placeRecords(folderRecordList(folder, date)).sizeBytes;
}

function folderRecords(folder: FolderNode, date: Date): Uint8Array {
  const records = folderRecordList(folder, date);
  const { offsets, sizeBytes } = placeRecords(records);
  const bytes = new Uint8Array(sizeBytes);
  for (const [index, record] of records.entries()) bytes.set(record, offsets[index]);
  return bytes;
}

/** ECMA-119 9.1, followed by the system use entries of Rock Ridge. */
function directoryRecord(
  identifier: string,
  node: FileNode | FolderNode,
  date: Date,
  role: "root" | "folder" | "named",
): Uint8Array {
  const isFolder = node.kind === "folder";
  const entries: Uint8Array[] = [];
  // SP marks the protocol, ER names the extension; both stand in the root's own record.
  if (role === "root") entries.push(entry("SP", [0xbe, 0xef, 0]));
  const links = isFolder ? 2 + [...node.children.values()].filter((child) => child.kind === "folder").length : 1;
  const px = new Uint8Array(32);
  bothEndian32(px, 0, isFolder ? 0o040555 : 0o100555);
  bothEndian32(px, 8, links);
  entries.push(entry("PX", px));
  const shortDate = recordDate(date);
  // Modification, access, attributes.
  entries.push(entry("TF", [0x0e, ...shortDate, ...shortDate, ...shortDate]));
  if (role === "root") entries.push(entry("ER", [10, 0, 0, 1, ...Buffer.from("RRIP_1991A", "latin1")]));
  if (role === "named") entries.push(entry("NM", [0, ...Buffer.from(node.name, "utf8")]));

  const nameBytes = 33 + identifier.length + (identifier.length & 1 ? 0 : 1);
  const systemBytes = entries.reduce((sum, bytes) => sum + bytes.length, 0);
  const length = nameBytes + systemBytes + (systemBytes & 1);
  const record = new Uint8Array(length);
  record[0] = length;
  bothEndian32(record, 2, node.lba);
  bothEndian32(record, 10, node.sizeBytes);
  record.set(shortDate, 18);
  record[25] = isFolder ? 2 : 0;
  bothEndian16(record, 28, 1);
  record[32] = identifier.length;
  record.set(Buffer.from(identifier, "latin1"), 33);
  let at = nameBytes;
  for (const bytes of entries) {
    record.set(bytes, at);
    at += bytes.length;
  }
  return record;
}

function entry(signature: string, payload: ArrayLike<number>): Uint8Array {
  const bytes = new Uint8Array(4 + payload.length);
  bytes.set([signature.charCodeAt(0), signature.charCodeAt(1), bytes.length, 1]);
  bytes.set(payload, 4);
  return bytes;
}

function descriptor(type: number): Uint8Array {
  const bytes = new Uint8Array(SECTOR);
  bytes.set([type, ...Buffer.from("CD001", "latin1"), 1]);
  return bytes;
}

function primaryVolumeDescriptor(
  volumeId: string,
  totalSectors: number,
  table: { pathTableBytes: number; pathTableL: number; pathTableM: number },
  root: FolderNode,
  date: Date,
): Uint8Array {
  const bytes = descriptor(1);
  const text = (at: number, length: number, value: string) =>
    bytes.set(Buffer.from(value.padEnd(length).slice(0, length), "latin1"), at);
  text(8, 32, "");
  text(40, 32, dCharacters(volumeId));
  bothEndian32(bytes, 80, totalSectors);
  bothEndian16(bytes, 120, 1);
  bothEndian16(bytes, 124, 1);
  bothEndian16(bytes, 128, SECTOR);
  bothEndian32(bytes, 132, table.pathTableBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(140, table.pathTableL, true);
  view.setUint32(148, table.pathTableM, false);
  // The root's record without system use entries: its field here has 34 bytes.
  const record = directoryRecord("\0", root, date, "root").subarray(0, 34);
  bytes.set(record, 156);
  bytes[156] = 34;
  // Set, publisher, preparer, application; then three file names.
  for (const at of [190, 318, 446, 574]) text(at, 128, "");
  for (const at of [702, 739, 776]) text(at, 37, "");
  const digits = date.toISOString().replace(/\D/g, "").slice(0, 16);
  text(813, 16, digits);
  text(830, 16, digits);
  text(847, 16, "0".repeat(16));
  text(864, 16, "0".repeat(16));
  bytes[881] = 1;
  return bytes;
}

function bootRecord(catalogLba: number): Uint8Array {
  const bytes = descriptor(0);
  bytes.set(Buffer.from("EL TORITO SPECIFICATION", "latin1"), 7);
  new DataView(bytes.buffer).setUint32(0x47, catalogLba, true);
  return bytes;
}

function bootCatalog(imageLba: number, loadSectors: number): Uint8Array {
  const bytes = new Uint8Array(SECTOR);
  const view = new DataView(bytes.buffer);
  bytes[0] = 1;
  bytes[0x1e] = 0x55;
  bytes[0x1f] = 0xaa;
  let sum = 0;
  for (let at = 0; at < 32; at += 2) sum += view.getUint16(at, true);
  view.setUint16(0x1c, -sum & 0xffff, true);
  bytes[0x20] = 0x88;
  view.setUint16(0x26, loadSectors, true);
  view.setUint32(0x28, imageLba, true);
  return bytes;
}

/** Where the image lies and what it sums up to, in its bytes 8 to 63 (as mkisofs -boot-info-table documents). */
function patchBootInfoTable(image: ImageFile, file: FileNode): void {
  const bytes = new Uint8Array(Math.ceil(file.sizeBytes / 4) * 4);
  if (file.sizeBytes < 64 || !image.read(file.lba * SECTOR, bytes, 0, file.sizeBytes))
    throw new AnneauError(`ISO image: ${file.path} is too short for a boot information table`);
  const view = new DataView(bytes.buffer);
  let sum = 0;
  for (let at = 64; at < bytes.length; at += 4) sum = (sum + view.getUint32(at, true)) >>> 0;
  const table = new Uint8Array(56);
  const out = new DataView(table.buffer);
  out.setUint32(0, PVD_LBA, true);
  out.setUint32(4, file.lba, true);
  out.setUint32(8, file.sizeBytes, true);
  out.setUint32(12, sum, true);
  if (!image.write(file.lba * SECTOR + 8, table)) throw new AnneauError(`ISO image: cannot patch ${file.path}`);
}

function copyFile(file: FileNode, write: (lba: number, bytes: Uint8Array) => void): void {
  if (typeof file.source !== "string") {
    if (file.sizeBytes > 0) write(file.lba, file.source);
    return;
  }
  const source = new ImageFile(file.source, "r");
  try {
    const buffer = new Uint8Array(1 << 20);
    for (let at = 0; at < file.sizeBytes; at += buffer.length) {
      const piece = buffer.subarray(0, Math.min(buffer.length, file.sizeBytes - at));
      if (!source.read(at, piece)) throw new AnneauError(`ISO image: cannot read ${file.source}`);
      write(file.lba + at / SECTOR, piece);
    }
  } finally {
    source.close();
  }
}

/** ECMA-119 9.1.5, in UTC. */
function recordDate(date: Date): number[] {
  return [
    date.getUTCFullYear() - 1900,
    date.getUTCMonth() + 1,
    date.getUTCDate(),
    date.getUTCHours(),
    date.getUTCMinutes(),
    date.getUTCSeconds(),
    0,
  ];
}

function bothEndian32(bytes: Uint8Array, at: number, value: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(at, value, true);
  view.setUint32(at + 4, value, false);
}

function bothEndian16(bytes: Uint8Array, at: number, value: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint16(at, value, true);
  view.setUint16(at + 2, value, false);
}
