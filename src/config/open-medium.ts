/**
 * From what a person names (UUID or file) to a medium: a known one, or one read from its file and checked, ready to be
 * listed. Missing, truncated and foreign files are refused here, before any settings file changes.
 */
import * as fs from "node:fs";
import { resolve } from "node:path";
import { AnneauError } from "../base/errors.ts";
import { type MediumKind as ImageKind, type MediumInfo, maxFloppyBytes, readMediumInfo } from "../disk/open.ts";
import { type MediaIndex, type MediumKind, mediumLabels } from "./media-registry.ts";
import { ResultError, statusName } from "./result-codes.ts";
import { newUuid, parseUuid } from "./uuid.ts";

/** A medium that can be attached: where it lies and how it is listed. */
export interface OpenedMedium {
  readonly uuid: string;
  readonly kind: MediumKind;
  readonly location: string;
  readonly format: string;
  readonly type: string | undefined;
  readonly parentUuid: string | undefined;
  readonly info: MediumInfo;
}

export const imageKinds: Record<MediumKind, ImageKind> = { hdd: "disk", dvd: "dvd", floppy: "floppy" };

/** What an image file says about itself. Errors: VBOX_E_FILE_ERROR (not there), VBOX_E_IPRT_ERROR (not an image). */
export function inspectImage(path: string, kind: MediumKind): MediumInfo {
  try {
    if (!fs.statSync(path).isFile()) {
      throw new ResultError("VBOX_E_FILE_ERROR", "MediumWrap", `The medium '${path}' is not a file`);
    }
  } catch (error) {
    if (error instanceof ResultError) throw error;
    const action = (error as NodeJS.ErrnoException).code === "ENOENT" ? "Could not find file for" : "Could not open";
    throw new ResultError("VBOX_E_FILE_ERROR", "MediumWrap", `${action} the medium '${path}' (${statusName(error)})`, {
      cause: error,
    });
  }
  try {
    const info = readMediumInfo(path, imageKinds[kind]);
    if (kind === "dvd") checkDisc(path);
    if (kind === "floppy") checkFloppy(path, info.sizeOnDiskBytes);
    return info;
  } catch (error) {
    if (!(error instanceof AnneauError) || error instanceof ResultError) throw error;
    const system = error.cause as NodeJS.ErrnoException | undefined;
    if (typeof system?.code === "string") {
      throw new ResultError(
        "VBOX_E_FILE_ERROR",
        "MediumWrap",
        `Could not open the medium '${path}' (${statusName(system)})`,
        { cause: error },
      );
    }
    throw new ResultError("VBOX_E_IPRT_ERROR", "MediumWrap", `Could not open the medium '${path}': ${error.message}`, {
      cause: error,
    });
  }
}

const sectorBytes = 2048;
/** Writers of discs count run-out sectors that many images do not carry. */
const toleratedSectors = 150;

/** Drives tell a floppy by its size: whole sectors, and not more than the largest disk has. */
function checkFloppy(path: string, sizeBytes: number): void {
  if (sizeBytes >= 512 && sizeBytes <= maxFloppyBytes) return;
  const why = sizeBytes < 512 ? "too few" : "too many";
  throw new ResultError(
    "VBOX_E_IPRT_ERROR",
    "MediumWrap",
    `Could not open the medium '${path}': ${sizeBytes} bytes are ${why} for a floppy`,
  );
}

/** A disc image holds whole sectors, and at least as many as its ISO 9660 volume descriptor says. */
function checkDisc(path: string): void {
  const refuse = (why: string) => {
    throw new ResultError("VBOX_E_IPRT_ERROR", "MediumWrap", `Could not open the medium '${path}': ${why}`);
  };
  const file = fs.openSync(path, "r");
  try {
    const { size } = fs.fstatSync(file);
    if (size % sectorBytes !== 0)
      refuse(`${size} bytes are not whole sectors of ${sectorBytes}: the image is truncated`);
    if (size < 16 * sectorBytes) refuse(`${size} bytes are too few for a disc: the image is truncated`);
    const descriptor = Buffer.alloc(sectorBytes);
    fs.readSync(file, descriptor, 0, sectorBytes, 16 * sectorBytes);
    if (descriptor[0] !== 1 || descriptor.toString("latin1", 1, 6) !== "CD001") return;
    const volumeSectors = descriptor.readUInt32LE(80);
    if (volumeSectors > size / sectorBytes + toleratedSectors) {
      refuse(`its volume has ${volumeSectors} sectors, the file ${size / sectorBytes}: the image is truncated`);
    }
  } finally {
    fs.closeSync(file);
  }
}

/** A disc image is no hard disk, though a raw image may hold anything: the name says what is meant, else what is in it. */
export function refuseDisc(path: string): void {
  if (!/\.(iso|cdr)$/i.test(path) && !isDiscOnly(path)) return;
  if (!fs.statSync(path, { throwIfNoEntry: false })?.isFile()) return;
  throw new ResultError(
    "VBOX_E_IPRT_ERROR",
    "MediumWrap",
    `Could not get the storage format of the medium '${path}' (VERR_NOT_SUPPORTED)`,
  );
}

/** A volume descriptor of ISO 9660, and no boot sector that a hard disk could have. */
function isDiscOnly(path: string): boolean {
  try {
    const file = fs.openSync(path, "r");
    try {
      const head = Buffer.alloc(17 * sectorBytes);
      const length = fs.readSync(file, head, 0, head.length, 0);
      if (length < head.length || head.readUInt16LE(510) === 0xaa55) return false;
      return head.toString("latin1", 16 * sectorBytes + 1, 16 * sectorBytes + 6) === "CD001";
    } finally {
      fs.closeSync(file);
    }
  } catch {
    return false;
  }
}

/** The medium that `name` (a UUID, or a file relative to the current folder) means. */
export function findOrOpenMedium(index: MediaIndex, name: string, kind: MediumKind): OpenedMedium {
  const uuid = parseUuid(name);
  if (uuid !== undefined) {
    const known = index.byUuid(uuid, kind);
    if (known) return { ...known, info: inspectImage(known.location, kind) };
    if (!fs.existsSync(name)) throw unknownMedium(kind, name, `with UUID {${uuid}}`);
  }
  const location = resolve(name);
  const known = index.byLocation(location, kind);
  if (known === undefined && kind === "hdd") refuseDisc(location);
  const info = inspectImage(known?.location ?? location, kind);
  if (known) return { ...known, info };
  const own = kind === "hdd" ? info.uuid : undefined;
  const clash = own === undefined ? undefined : index.byUuid(own, kind);
  if (clash) {
    const label = mediumLabels[kind];
    throw new ResultError(
      "E_INVALIDARG",
      "VirtualBoxWrap",
      `Cannot register the ${label} '${location}' {${own}} because a ${label} '${clash.location}' with UUID {${own}} already exists`,
    );
  }
  if (info.parentUuid !== undefined && index.byUuid(info.parentUuid, "hdd") === undefined) {
    throw new ResultError(
      "VBOX_E_OBJECT_NOT_FOUND",
      "MediumWrap",
      `Parent medium with UUID {${info.parentUuid}} of the medium '${location}' is not found in the media registry`,
    );
  }
  return {
    uuid: own ?? newUuid(),
    kind,
    location,
    format: info.format,
    type: undefined,
    parentUuid: info.parentUuid,
    info,
  };
}

export function unknownMedium(kind: MediumKind, name: string, what = `'${name}'`): ResultError {
  return new ResultError(
    "VBOX_E_OBJECT_NOT_FOUND",
    "VirtualBoxWrap",
    `Could not find an open ${mediumLabels[kind]} ${what}`,
  );
}
