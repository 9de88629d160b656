/** The VBE modes: VESA's numbers up to 11Fh, then the list that VirtualBox users know, all through DISPI. */

export interface VbeMode {
  readonly number: number;
  readonly widthPixels: number;
  readonly heightPixels: number;
  /** 4 is planar; 8 has a palette; 15, 16, 24 and 32 are direct colour. */
  readonly bits: number;
}

function series(width: number, height: number, numbers: readonly (readonly [number, number])[]): VbeMode[] {
  return numbers.map(([number, bits]) => ({ number, widthPixels: width, heightPixels: height, bits }));
}

export const vbeModes: readonly VbeMode[] = [
  ...series(640, 400, [[0x100, 8]]),
  ...series(640, 480, [[0x101, 8]]),
  ...series(800, 600, [
    [0x102, 4],
    [0x103, 8],
  ]),
  ...series(1024, 768, [
    [0x104, 4],
    [0x105, 8],
  ]),
  ...series(1280, 1024, [
    [0x106, 4],
    [0x107, 8],
  ]),
  ...series(320, 200, [
    [0x10d, 15],
    [0x10e, 16],
    [0x10f, 24],
  ]),
  ...series(640, 480, [
    [0x110, 15],
    [0x111, 16],
    [0x112, 24],
  ]),
  ...series(800, 600, [
    [0x113, 15],
    [0x114, 16],
    [0x115, 24],
  ]),
  ...series(1024, 768, [
    [0x116, 15],
    [0x117, 16],
    [0x118, 24],
  ]),
  ...series(1280, 1024, [
    [0x119, 15],
    [0x11a, 16],
    [0x11b, 24],
  ]),
  ...series(1600, 1200, [
    [0x11c, 8],
    [0x11d, 15],
    [0x11e, 16],
    [0x11f, 24],
  ]),
  ...series(320, 200, [
    [0x140, 32],
    [0x146, 8],
  ]),
  ...series(640, 400, [[0x141, 32]]),
  ...series(640, 480, [[0x142, 32]]),
  ...series(800, 600, [[0x143, 32]]),
  ...series(1024, 768, [[0x144, 32]]),
  ...series(1280, 1024, [[0x145, 32]]),
  ...series(1600, 1200, [[0x147, 32]]),
  ...series(1152, 864, [
    [0x148, 8],
    [0x149, 15],
    [0x14a, 16],
    [0x14b, 24],
    [0x14c, 32],
  ]),
  ...series(1280, 720, [
    [0x160, 16],
    [0x161, 24],
    [0x162, 32],
  ]),
  ...series(1280, 800, [
    [0x163, 16],
    [0x164, 24],
    [0x165, 32],
  ]),
  ...series(1366, 768, [
    [0x166, 16],
    [0x167, 24],
    [0x168, 32],
  ]),
  ...series(1440, 900, [
    [0x169, 16],
    [0x16a, 24],
    [0x16b, 32],
  ]),
  ...series(1680, 1050, [
    [0x16c, 16],
    [0x16d, 24],
    [0x16e, 32],
  ]),
  ...series(1920, 1080, [
    [0x16f, 16],
    [0x170, 24],
    [0x171, 32],
  ]),
  ...series(1920, 1200, [
    [0x172, 16],
    [0x173, 24],
    [0x174, 32],
  ]),
  ...series(2560, 1440, [
    [0x175, 16],
    [0x176, 24],
    [0x177, 32],
  ]),
  ...series(2560, 1600, [
    [0x178, 16],
    [0x179, 24],
    [0x17a, 32],
  ]),
  ...series(3840, 2160, [
    [0x17b, 16],
    [0x17c, 24],
    [0x17d, 32],
  ]),
];

/** Bytes of a line, of one plane in 4-bit modes. */
export function pitchBytes(mode: VbeMode): number {
  return mode.bits === 4 ? Math.ceil(mode.widthPixels / 8) : mode.widthPixels * Math.ceil(mode.bits / 8);
}

export function modeBytes(mode: VbeMode): number {
  return pitchBytes(mode) * mode.heightPixels * (mode.bits === 4 ? 4 : 1);
}

export function findVbeMode(number: number, memoryBytes: number): VbeMode | undefined {
  return vbeModes.find((mode) => mode.number === number && modeBytes(mode) <= memoryBytes);
}
