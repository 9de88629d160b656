/**
 * The 13-byte diskette parameter table of a 1.44 MB drive (INT 1Eh, and ES:DI of INT 13h 08h). Windows NT reads the last
 * track and the data rate from its bytes 11 and 12.
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
