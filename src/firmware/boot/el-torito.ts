/**
 * El Torito 1.0 ("Bootable CD-ROM Format Specification"): finds the boot image of a CD and describes the drive that INT 13h
 * shall show. The catalogue's default entry is used; section entries and selection criteria are not.
 */
import type { Geometry } from "../../backend-api/block.ts";
import type { CdBoot } from "../disk/drive-table.ts";

export const BOOT_RECORD_LBA = 17;
const IDENTIFIER = "EL TORITO SPECIFICATION";
const CATALOGUE_POINTER = 0x47;
const VALIDATION_ID = 0x01;
const PLATFORM_X86 = 0x00;
const BOOTABLE = 0x88;
const DEFAULT_LOAD_SEGMENT = 0x07c0;
const MOST_LOAD_SECTORS = 1024;
const NO_EMULATION_DRIVE = 0xe0;
const HARD_DISK = 4;
const floppyGeometry: { readonly [mediaType: number]: Geometry } = {
  1: { cylinders: 80, heads: 2, sectors: 15 },
  2: { cylinders: 80, heads: 2, sectors: 18 },
  3: { cylinders: 80, heads: 2, sectors: 36 },
};

/** The catalogue's sector, or undefined if the sector is no El Torito boot record. */
export function findCatalogue(sector17: Uint8Array): number | undefined {
  const text = (from: number, length: number) => String.fromCharCode(...sector17.subarray(from, from + length));
  if (sector17[0] !== 0 || text(1, 5) !== "CD001" || text(7, IDENTIFIER.length) !== IDENTIFIER) return undefined;
  return new DataView(sector17.buffer, sector17.byteOffset).getUint32(CATALOGUE_POINTER, true);
}

export type BootEntry =
  | { readonly kind: "boot"; readonly boot: CdBoot }
  | { readonly kind: "refused"; readonly why: string };

/** Reads the validation entry and the default entry. `sector` is the catalogue's first sector. */
export function readCatalogue(sector: Uint8Array, mediaIndex: number, cdBytes: number): BootEntry {
  const view = new DataView(sector.buffer, sector.byteOffset, sector.length);
  let sum = 0;
  for (let at = 0; at < 32; at += 2) sum += view.getUint16(at, true);
  if (sector[0] !== VALIDATION_ID || sector[30] !== 0x55 || sector[31] !== 0xaa || (sum & 0xffff) !== 0)
    return refused("the boot catalogue is damaged");
  if (sector[1] !== PLATFORM_X86) return refused("the boot catalogue is for another kind of machine");
  const entry = 32;
  if (sector[entry] !== BOOTABLE) return refused("the disc's boot entry is not bootable");
  const mediaType = sector[entry + 1] & 0x0f;
  const loadSectors = view.getUint16(entry + 6, true);
  const imageLba = view.getUint32(entry + 8, true);
  if (mediaType > HARD_DISK) return refused(`boot media type ${mediaType} is unknown`);
  if (loadSectors === 0 || loadSectors > MOST_LOAD_SECTORS) return refused(`a boot image of ${loadSectors} sectors`);
  const geometry = floppyGeometry[mediaType] ?? { cylinders: 1, heads: 1, sectors: 1 };
  const isFloppy = mediaType >= 1 && mediaType < HARD_DISK;
  const onDisc = Math.max(0, Math.floor(cdBytes / 512) - imageLba * 4);
  const boot: CdBoot = {
    mediaIndex,
    mediaType,
    drive: mediaType === 0 ? NO_EMULATION_DRIVE : isFloppy ? 0x00 : 0x80,
    imageLba,
    imageSectors: isFloppy ? geometry.cylinders * geometry.heads * geometry.sectors : onDisc,
    loadSegment: view.getUint16(entry + 2, true) || DEFAULT_LOAD_SEGMENT,
    loadSectors,
    geometry,
    isActive: true,
  };
  return { kind: "boot", boot };
}

/** An emulated disk's geometry and size stand in its partition table. */
export function withDiskGeometry(boot: CdBoot, sector0: Uint8Array): CdBoot {
  const view = new DataView(sector0.buffer, sector0.byteOffset, sector0.length);
  for (let i = 0; i < 4; i++) {
    const at = 0x1be + i * 16;
    const first = view.getUint32(at + 8, true);
    const count = view.getUint32(at + 12, true);
    const heads = sector0[at + 5] + 1;
    const sectors = sector0[at + 6] & 0x3f;
    if (sector0[at + 4] === 0 || count === 0 || sectors === 0) continue;
    const cylinders = Math.min(1024, (sector0[at + 7] | ((sector0[at + 6] & 0xc0) << 2)) + 1);
    return {
      ...boot,
      geometry: { cylinders, heads, sectors },
      imageSectors: Math.min(boot.imageSectors, Math.max(first + count, cylinders * heads * sectors)),
    };
  }
  const cylinders = Math.max(1, Math.min(1024, Math.floor(boot.imageSectors / (16 * 63))));
  return { ...boot, geometry: { cylinders, heads: 16, sectors: 63 } };
}

function refused(why: string): BootEntry {
  return { kind: "refused", why };
}
