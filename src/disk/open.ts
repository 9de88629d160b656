/**
 * Opening media: finds out what an image file is, takes its lock and returns the back end for it. Also answers what a
 * file is without opening it for use. Formats that are recognised but not supported are refused by name: taken for raw,
 * they would be destroyed by the first write.
 */
import { accessSync, closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import type { BlockBackend, Geometry } from "../backend-api/block.ts";
import { AnneauError, FormatError } from "../base/errors.ts";
import { type HostErrorListener, ImageFile, reasonOf } from "./image-file.ts";
import { lockMedium } from "./lock.ts";
import { RawImage } from "./raw.ts";
import { nilUuid } from "./uuid.ts";
import { readVdiHeader, VdiImage } from "./vdi.ts";
import { isVdi, type VdiType } from "./vdi-header.ts";

export type MediumKind = "disk" | "dvd" | "floppy";
export type MediumFormat = "VDI" | "RAW";

export interface OpenOptions {
  readonly kind: MediumKind;
  /** Discs are read-only in any case. */
  readonly readOnly: boolean;
  /**
   * What the settings file says the format is. Without it the file is asked, and what a guest wrote to the start of a
   * raw disk could make it something else the next time: pass it whenever it is known.
   */
  readonly format?: MediumFormat;
  /** Where locks go when nothing can be created beside the image. */
  readonly lockFolder?: string;
  /** Told one line per failed host operation while the medium is in use. */
  readonly onHostError?: HostErrorListener;
}

/** Drives tell the kind of a floppy by its size; nothing larger fits one. */
export const maxFloppyBytes = 2_949_120;

/**
 * Opens an image for use by a machine: checked, locked (shared when read-only, else exclusive) until `close`. Throws one
 * line (FormatError for what the file says, AnneauError for what the host says) and leaves the file as it was.
 */
export function openMedium(path: string, options: OpenOptions): BlockBackend {
  // A floppy's file that cannot be written is a floppy with its write-protect tab open.
  const readOnly = options.readOnly || options.kind === "dvd" || (options.kind === "floppy" && !isWritable(path));
  const lock = lockMedium(path, readOnly ? "shared" : "exclusive", { fallbackFolder: options.lockFolder });
  let file: ImageFile | undefined;
  try {
    file = new ImageFile(path, readOnly ? "r" : "r+", options.onHostError);
    const medium = openFile(file, readOnly, options);
    const close = medium.close.bind(medium);
    medium.close = () => {
      close();
      lock.release();
    };
    return medium;
  } catch (error) {
    file?.close();
    lock.release();
    throw error;
  }
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
}

function openFile(file: ImageFile, readOnly: boolean, options: OpenOptions): RawImage | VdiImage {
  const format = options.format ?? formatOf(file.path, options.kind);
  if (format === "VDI") {
    if (options.kind !== "disk") throw new FormatError(`${file.path} is a VDI image: not a ${options.kind}`);
    return new VdiImage(file, { readOnly });
  }
  if (options.kind === "floppy" && file.sizeBytes > maxFloppyBytes)
    throw new FormatError(`${file.path} is too large for a floppy: ${file.sizeBytes} bytes`);
  return new RawImage(file, { readOnly, sectorBytes: options.kind === "dvd" ? 2048 : 512 });
}

export interface MediumInfo {
  readonly format: MediumFormat;
  readonly variant: "Standard" | "Fixed";
  readonly type: "normal" | "differencing";
  readonly capacityBytes: number;
  /** Size of the file. */
  readonly sizeOnDiskBytes: number;
  /** Raw images have none of these three. */
  readonly uuid?: string;
  readonly parentUuid?: string;
  readonly modificationUuid?: string;
  readonly geometry?: Geometry;
}

/** What the file says about itself, read without locking; throws like `openMedium`. Works for differencing images too. */
export function readMediumInfo(path: string, kind: MediumKind = "disk"): MediumInfo {
  const file = new ImageFile(path, "r");
  try {
    const sizeOnDiskBytes = file.sizeBytes;
    if (formatOf(path, kind) === "VDI") {
      if (kind !== "disk") throw new FormatError(`${path} is a VDI image: not a ${kind}`);
      const header = readVdiHeader(file);
      const type: VdiType = header.type;
      return {
        format: "VDI",
        variant: type === "fixed" ? "Fixed" : "Standard",
        type: type === "differencing" || type === "undo" ? "differencing" : "normal",
        capacityBytes: Math.ceil(header.diskBytes / 512) * 512,
        sizeOnDiskBytes,
        uuid: header.uuid,
        parentUuid: header.parentUuid === nilUuid ? undefined : header.parentUuid,
        modificationUuid: header.modificationUuid,
        geometry: header.logicalGeometry,
      };
    }
    const raw = new RawImage(file, { readOnly: true, sectorBytes: kind === "dvd" ? 2048 : 512 });
    return { format: "RAW", variant: "Fixed", type: "normal", capacityBytes: raw.sizeBytes, sizeOnDiskBytes };
  } finally {
    file.close();
  }
}

/** The format of an image by what is in it; one line for formats that are known and not supported. */
function formatOf(path: string, kind: MediumKind): MediumFormat {
  const head = new Uint8Array(512);
  const tail = new Uint8Array(512);
  try {
    const fd = openSync(path, "r");
    try {
      readSync(fd, head, 0, head.length, 0);
      const { size } = fstatSync(fd);
      if (size >= 512) readSync(fd, tail, 0, tail.length, size - 512);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw new AnneauError(`cannot read ${path}: ${reasonOf(error)}`, { cause: error });
  }
  if (isVdi(head)) return "VDI";
  const headText = Buffer.from(head).toString("latin1");
  const refuse = (name: string): never => {
    throw new FormatError(`${path} is a ${name} image, which is not supported: convert it to VDI or raw`);
  };
  if (kind === "dvd") {
    // A sector of 2352 bytes begins with this pattern.
    if (headText.startsWith("\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00")) refuse("raw CD (2352 bytes a sector)");
    return "RAW";
  }
  if (headText.startsWith("KDMV") || headText.startsWith("COWD") || headText.startsWith("# Disk DescriptorFile"))
    refuse("VMDK");
  if (headText.startsWith("QFI\xfb")) refuse("QCOW");
  if (headText.startsWith("QED\0")) refuse("QED");
  if (headText.startsWith("vhdxfile")) refuse("VHDX");
  if (headText.startsWith("conectix") || Buffer.from(tail).toString("latin1", 0, 8) === "conectix") refuse("VHD");
  if (/^(WithoutFreeSpace|WithouFreSpacExt)/.test(headText)) refuse("Parallels");
  // Taken for raw, it would be read as an empty disk and lost with the first write.
  if (kind === "disk" && /\.vdi$/i.test(path))
    throw new FormatError(`${path} is not a usable VDI image: its signature is missing`);
  return "RAW";
}
