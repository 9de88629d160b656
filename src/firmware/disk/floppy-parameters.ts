/**
 * The 13-byte diskette parameter table of a 1.44 MB drive (INT 1Eh, and ES:DI of INT 13h 08h), and those of the other
 * formats that the drives take. Windows NT reads the last track and the data rate from its bytes 11 and 12.
 */
export const dpt = {
  specify1: 0,
  specify2: 1,
  motorOffTicks: 2,
  sectorSize: 3,
  lastSector: 4,
  gap: 5,
  dataLength: 6,
  formatGap: 7,
  formatFill: 8,
  headSettle: 9,
  motorStart: 10,
  lastTrack: 11,
  dataRate: 12,
} as const;

export const diskette144: readonly number[] = [
  0xaf, 0x02, 0x25, 0x02, 18, 0x1b, 0xff, 0x6c, 0xf6, 0x0f, 0x08, 79, 0x00,
];
export const diskette720: readonly number[] = [0xaf, 0x02, 0x25, 0x02, 9, 0x2a, 0xff, 0x50, 0xf6, 0x0f, 0x08, 79, 0x80];
export const diskette288: readonly number[] = [
  0xaf, 0x02, 0x25, 0x02, 36, 0x1b, 0xff, 0x54, 0xf6, 0x0f, 0x08, 79, 0xc0,
];

/** CMOS codes of drives. A 2.88 MB drive takes the other disks too. */
export const driveType = { none: 0, mb144: 4, mb288: 5 } as const;

/** Larger images need the data rate of a 2.88 MB drive. */
const MOST_BYTES_144 = 2_000_000;

/** The drive that a machine has which was switched on with a disk of this size inside (0: none). */
export function driveTypeFor(diskBytes: number): number {
  return diskBytes > MOST_BYTES_144 ? driveType.mb288 : driveType.mb144;
}
