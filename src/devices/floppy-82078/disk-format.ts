/**
 * What a raw image of some size is as a disk: cylinders, heads, sectors of 512 bytes and data rate. The standard formats
 * of IBM's drives, and the larger ones that distributors used.
 */
import { RATE_1M, RATE_250K, RATE_300K, RATE_500K } from "./registers.ts";

export const SECTOR_BYTES = 512;
/** N of the sector ID: 128 << N bytes. */
export const SECTOR_SIZE_CODE = 2;

export interface DiskFormat {
  readonly cylinders: number;
  readonly heads: number;
  readonly sectors: number;
  /** Bit n: readable at data rate code n. */
  readonly rates: number;
}

const high = 1 << RATE_500K;
const double = 1 << RATE_250K;
/** 5¼-inch disks turn faster in a 1.2 MB drive: 300 kbit/s there, 250 elsewhere. */
const double5 = double | (1 << RATE_300K);
const extra = 1 << RATE_1M;

const rows: readonly (readonly [cylinders: number, heads: number, sectors: number, rates: number])[] = [
  [40, 1, 8, double5],
  [40, 1, 9, double5],
  [40, 2, 8, double5],
  [40, 2, 9, double5],
  [40, 2, 10, double5],
  [80, 2, 8, double],
  [80, 2, 9, double],
  [80, 2, 10, double],
  [82, 2, 10, double],
  [80, 2, 15, high],
  [80, 2, 18, high],
  [82, 2, 18, high],
  [83, 2, 18, high],
  [80, 2, 20, high],
  [80, 2, 21, high],
  [82, 2, 21, high],
  [83, 2, 21, high],
  [80, 2, 22, high],
  [80, 2, 23, high],
  [80, 2, 24, high],
  [80, 2, 36, extra],
  [80, 2, 39, extra],
  [80, 2, 40, extra],
  [80, 2, 44, extra],
  [80, 2, 48, extra],
];
const formats = new Map(
  rows.map(([cylinders, heads, sectors, rates]) => [
    cylinders * heads * sectors * SECTOR_BYTES,
    { cylinders, heads, sectors, rates },
  ]),
);
const format1440: DiskFormat = { cylinders: 80, heads: 2, sectors: 18, rates: high };
const format2880: DiskFormat = { cylinders: 80, heads: 2, sectors: 36, rates: extra };

/**
 * The format of an image. One that is too short (a boot sector alone) is the beginning of a 1.44 MB disk, or of a 2.88 MB
 * one; undefined for what no floppy disk holds.
 */
export function formatOf(sizeBytes: number): DiskFormat | undefined {
  const exact = formats.get(sizeBytes);
  if (exact !== undefined || sizeBytes <= 0) return exact;
  return [format1440, format2880].find(
    ({ cylinders, heads, sectors }) => sizeBytes <= cylinders * heads * sectors * SECTOR_BYTES,
  );
}
