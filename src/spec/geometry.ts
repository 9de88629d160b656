/**
 * Disk geometries, as pure functions: the physical one that a drive reports, and the logical one that a BIOS presents.
 * The logical geometry belongs to the medium: boot sectors store it, so it must come out the same wherever the disk is
 * attached. The order of the sources is VirtualBox's.
 */
import type { Geometry } from "../backend-api/block.ts";

const maxCylinders = 1024;
const maxHeads = 255;
const maxSectors = 63;
const partitionTableOffset = 446;

/** What IDENTIFY words 1, 3 and 6 say: 16 heads, 63 sectors, at most 16,383 cylinders. */
export function physicalGeometry(totalSectors: number): Geometry {
  const cylinders = Math.floor(totalSectors / (16 * 63));
  return { cylinders: Math.min(Math.max(cylinders, 1), 16383), heads: 16, sectors: 63 };
}

/**
 * The geometry for INT 13h: what the image stores, else a guess from the partition table of `sectorZero`, else the
 * physical one if a BIOS can express it, else by size. Keep the result with the medium.
 */
export function logicalGeometry(
  totalSectors: number,
  stored: Geometry | undefined,
  sectorZero: Uint8Array | undefined,
): Geometry {
  if (stored !== undefined && isPresentable(stored)) return stored;
  const guessed = sectorZero === undefined ? undefined : geometryFromPartitionTable(totalSectors, sectorZero);
  if (guessed !== undefined) return guessed;
  const physical = physicalGeometry(totalSectors);
  return isPresentable(physical) ? physical : geometryBySize(totalSectors);
}

/** The geometry that the partition table's writer had in mind, or undefined if the sector holds no table. */
export function geometryFromPartitionTable(totalSectors: number, sectorZero: Uint8Array): Geometry | undefined {
  if (sectorZero.length < 512 || sectorZero[510] !== 0x55 || sectorZero[511] !== 0xaa) return undefined;
  for (let entry = 0; entry < 4; entry++) {
    const at = partitionTableOffset + entry * 16;
    const endHead = sectorZero[at + 5];
    const endSector = sectorZero[at + 6] & 0x3f;
    const isSized = (sectorZero[at + 12] | sectorZero[at + 13] | sectorZero[at + 14] | sectorZero[at + 15]) !== 0;
    if (!isSized || endHead === 0 || endSector === 0) continue;
    const heads = endHead + 1;
    const cylinders = Math.min(maxCylinders, Math.floor(totalSectors / (heads * endSector)));
    const guess = { cylinders, heads, sectors: endSector };
    if (isPresentable(guess)) return guess;
  }
  return undefined;
}

/** Large-disk translation by size: doubling heads until 1,024 cylinders suffice, at most 255. */
export function geometryBySize(totalSectors: number): Geometry {
  for (const heads of [16, 32, 64, 128]) {
    const cylinders = Math.floor(totalSectors / (heads * maxSectors));
    if (cylinders <= maxCylinders) return { cylinders: Math.max(cylinders, 1), heads, sectors: maxSectors };
  }
  const cylinders = Math.floor(totalSectors / (maxHeads * maxSectors));
  return { cylinders: Math.min(cylinders, maxCylinders), heads: maxHeads, sectors: maxSectors };
}

/** An end head of 255 (256 heads) is one more than INT 13h can say. */
function isPresentable({ cylinders, heads, sectors }: Geometry): boolean {
  const isInteger = Number.isInteger(cylinders) && Number.isInteger(heads) && Number.isInteger(sectors);
  const isPositive = cylinders >= 1 && heads >= 1 && sectors >= 1;
  return isInteger && isPositive && cylinders <= maxCylinders && heads <= maxHeads && sectors <= maxSectors;
}
