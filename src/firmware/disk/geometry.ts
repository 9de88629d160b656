/**
 * Logical CHS of a disk, as INT 13h presents it, in VirtualBox's order: what the image stores, a guess from the partition
 * table, the physical geometry if small, else by size. It belongs to the medium and is written back into the image,
 * because boot sectors keep what setup saw (windows of compatibility close when it changes).
 */
import type { Geometry } from "../../backend-api/block.ts";

const PARTITION_TABLE = 0x1be;
const ENTRY_BYTES = 16;
const MOST_CYLINDERS = 1024;
export const SECTOR_BYTES = 512;

/** The geometry for `totalSectors`; `sector0` is the first sector if it could be read. */
export function chooseLogicalGeometry(
  stored: Geometry | undefined,
  totalSectors: number,
  physical: Geometry,
  sector0: Uint8Array | undefined,
): Geometry {
  if (stored && isUsable(stored)) return stored;
  const guessed = sector0 && guessFromPartitions(sector0, totalSectors);
  if (guessed) return guessed;
  if (physical.cylinders <= MOST_CYLINDERS && physical.heads <= 255 && physical.sectors <= 63 && isUsable(physical))
    return physical;
  return geometryBySize(totalSectors);
}

function isUsable({ cylinders, heads, sectors }: Geometry): boolean {
  return cylinders > 0 && heads > 0 && heads <= 256 && sectors > 0 && sectors <= 63;
}

/** The first used entry with an end head and end sector: partitions end on a cylinder border. */
export function guessFromPartitions(sector0: Uint8Array, totalSectors: number): Geometry | undefined {
  if (sector0.length < SECTOR_BYTES || sector0[510] !== 0x55 || sector0[511] !== 0xaa) return undefined;
  const view = new DataView(sector0.buffer, sector0.byteOffset, sector0.length);
  for (let i = 0; i < 4; i++) {
    const at = PARTITION_TABLE + i * ENTRY_BYTES;
    const endHead = sector0[at + 5];
    const endSector = sector0[at + 6] & 0x3f;
    if (view.getUint32(at + 12, true) === 0 || endHead === 0 || endHead === 255 || endSector === 0) continue;
    const heads = endHead + 1;
    const cylinders = Math.min(MOST_CYLINDERS, Math.floor(totalSectors / (heads * endSector)));
    if (cylinders >= 1) return { cylinders, heads, sectors: endSector };
  }
  return undefined;
}

export function geometryBySize(totalSectors: number): Geometry {
  for (const heads of [16, 32, 64, 128]) {
    const cylinders = Math.floor(totalSectors / (heads * 63));
    if (cylinders <= MOST_CYLINDERS) return { cylinders: Math.max(1, cylinders), heads, sectors: 63 };
  }
  return { cylinders: Math.min(MOST_CYLINDERS, Math.floor(totalSectors / (255 * 63))), heads: 255, sectors: 63 };
}

/** What IDENTIFY tells for a disk of this size: 16 heads, 63 sectors, at most 16383 cylinders. */
export function physicalGeometry(totalSectors: number): Geometry {
  return { cylinders: Math.max(1, Math.min(16383, Math.floor(totalSectors / (16 * 63)))), heads: 16, sectors: 63 };
}
