/** The DISPI interface as the video BIOS uses it: byte-wide, two writes to the same port, high byte first. */
import { input, outMany, type VideoProgram } from "./program.ts";

export const dispi = {
  indexPort: 0x1ce,
  dataPort: 0x1cf,
  width: 1,
  height: 2,
  bitsPerPixel: 3,
  enable: 4,
  bank: 5,
  virtualWidth: 6,
  virtualHeight: 7,
  xOffset: 8,
  yOffset: 9,
  memory64K: 10,
  frameBufferHigh: 11,
} as const;

export const DISPI_ENABLED = 0x01;
export const DISPI_8BIT_DAC = 0x20;
export const DISPI_LINEAR = 0x40;
export const DISPI_KEEP_MEMORY = 0x80;

export function* writeDispi(index: number, value: number): VideoProgram {
  yield* outMany(dispi.indexPort, [0, index]);
  yield* outMany(dispi.dataPort, [value >> 8, value & 0xff]);
}

export function* readDispi(index: number): VideoProgram<number> {
  yield* outMany(dispi.indexPort, [0, index]);
  const high = yield* input(dispi.dataPort);
  return (high << 8) | (yield* input(dispi.dataPort));
}

export function* isDispiEnabled(): VideoProgram<boolean> {
  return ((yield* readDispi(dispi.enable)) & DISPI_ENABLED) !== 0;
}
