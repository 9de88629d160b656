/**
 * INT 10h 1Ch and VBE 4F04h: saves and restores the video state in the caller's buffer. Parts by bit: 1 VGA registers,
 * 2 data area, 4 DAC, 8 DISPI. The layout in the buffer is our own, as every BIOS's is.
 */
import { bda } from "../bios-data-area.ts";
import { DISPI_ENABLED, DISPI_KEEP_MEMORY, dispi, readDispi, writeDispi } from "./dispi.ts";
import { readAttribute, readDac, resetFlipFlop, writeDac } from "./palette-services.ts";
import { input, inputIndexed, out, outIndexed, outMany, type Place, peek, poke, type VideoProgram } from "./program.ts";
import { bdaPlace } from "./screen.ts";
import { ports, VBE_MODE, vectors } from "./set-mode.ts";

const SEQUENCER_COUNT = 5;
const CRTC_COUNT = 25;
const ATTRIBUTE_COUNT = 21;
const GRAPHICS_COUNT = 9;
const REGISTER_BYTES = 3 + SEQUENCER_COUNT + CRTC_COUNT + ATTRIBUTE_COUNT + GRAPHICS_COUNT;
const dataAreaParts = [
  { place: bdaPlace(bda.videoMode), bytes: 30 },
  { place: bdaPlace(bda.videoRows), bytes: 7 },
  { place: bdaPlace(bda.videoSavePointer), bytes: 4 },
  { place: bdaPlace(VBE_MODE), bytes: 2 },
  { place: { segment: 0, offset: vectors.upperFont }, bytes: 4 },
  { place: { segment: 0, offset: vectors.graphicsFont }, bytes: 4 },
];
const DATA_AREA_BYTES = dataAreaParts.reduce((sum, part) => sum + part.bytes, 0);
const DAC_BYTES = 768 + 1;
const dispiIndices = [
  dispi.width,
  dispi.height,
  dispi.bitsPerPixel,
  dispi.enable,
  dispi.bank,
  dispi.virtualWidth,
  dispi.xOffset,
  dispi.yOffset,
];
const DISPI_BYTES = dispiIndices.length * 2;
const BLOCK_BYTES = 64;

export function savedStateBlocks(parts: number): number {
  const bytes =
    (parts & 1 ? REGISTER_BYTES : 0) +
    (parts & 2 ? DATA_AREA_BYTES : 0) +
    (parts & 4 ? DAC_BYTES : 0) +
    (parts & 8 ? DISPI_BYTES : 0);
  return Math.ceil(bytes / BLOCK_BYTES);
}

const forward = (place: Place, bytes: number): Place => ({ ...place, offset: (place.offset + bytes) & 0xffff });

export function* saveState(parts: number, buffer: Place): VideoProgram {
  let at = buffer;
  if (parts & 1) {
    yield* poke(at, yield* readRegisters());
    at = forward(at, REGISTER_BYTES);
  }
  if (parts & 2) {
    for (const { bytes, place } of dataAreaParts) {
      yield* poke(at, yield* peek(place, bytes));
      at = forward(at, bytes);
    }
  }
  if (parts & 4) {
    yield* poke(at, [yield* input(ports.pelMask), ...(yield* readDac(0, 256))]);
    at = forward(at, DAC_BYTES);
  }
  if (parts & 8) {
    const values: number[] = [];
    for (const index of dispiIndices) {
      const value = yield* readDispi(index);
      values.push(value & 0xff, value >> 8);
    }
    yield* poke(at, values);
  }
}

export function* restoreState(parts: number, buffer: Place): VideoProgram {
  let at = buffer;
  if (parts & 1) {
    const registers = yield* peek(at, REGISTER_BYTES);
    yield* writeDispi(dispi.enable, 0);
    yield* writeRegisters(registers);
    at = forward(at, REGISTER_BYTES);
  }
  if (parts & 2) {
    for (const { bytes, place } of dataAreaParts) {
      yield* poke(place, yield* peek(at, bytes));
      at = forward(at, bytes);
    }
  }
  if (parts & 4) {
    const dac = yield* peek(at, DAC_BYTES);
    yield* out(ports.pelMask, dac[0]);
    yield* writeDac(0, dac.subarray(1));
    at = forward(at, DAC_BYTES);
  }
  if (parts & 8) {
    const bytes = yield* peek(at, DISPI_BYTES);
    const value = (index: (typeof dispiIndices)[number]) => {
      const i = dispiIndices.indexOf(index) * 2;
      return bytes[i] | (bytes[i + 1] << 8);
    };
    for (const index of [dispi.width, dispi.height, dispi.bitsPerPixel]) yield* writeDispi(index, value(index));
    const enable = value(dispi.enable);
    yield* writeDispi(dispi.enable, (enable & DISPI_ENABLED) !== 0 ? enable | DISPI_KEEP_MEMORY : enable);
    for (const index of [dispi.virtualWidth, dispi.xOffset, dispi.yOffset, dispi.bank])
      yield* writeDispi(index, value(index));
  }
}

function* readRegisters(): VideoProgram<number[]> {
  const misc = yield* input(ports.miscRead);
  const crtcPort = (misc & 1) !== 0 ? ports.colorCrtc : ports.monoCrtc;
  const values = [misc, yield* input(0x3ca), yield* input(ports.sequencer)];
  for (let i = 0; i < SEQUENCER_COUNT; i++) values.push(yield* inputIndexed(ports.sequencer, i));
  for (let i = 0; i < CRTC_COUNT; i++) values.push(yield* inputIndexed(crtcPort, i));
  for (let i = 0; i < ATTRIBUTE_COUNT; i++) values.push(yield* readAttribute(crtcPort, i));
  for (let i = 0; i < GRAPHICS_COUNT; i++) values.push(yield* inputIndexed(ports.graphics, i));
  yield* out(ports.sequencer, values[2]);
  return values;
}

function* writeRegisters(values: Uint8Array): VideoProgram {
  const misc = values[0];
  const crtcPort = (misc & 1) !== 0 ? ports.colorCrtc : ports.monoCrtc;
  let at = 3;
  const next = (count: number) => {
    const pairs = Array.from(values.subarray(at, at + count), (value, index) => [index, value] as const);
    at += count;
    return pairs;
  };
  const sequencer = next(SEQUENCER_COUNT);
  const crtc = next(CRTC_COUNT);
  const attributes = next(ATTRIBUTE_COUNT);
  const graphics = next(GRAPHICS_COUNT);
  yield* outIndexed(ports.sequencer, [[0, 0x01]]);
  yield* out(ports.misc, misc);
  yield* outIndexed(ports.sequencer, [...sequencer.slice(1), [0, 0x03]]);
  yield* outIndexed(crtcPort, [[0x11, crtc[0x11][1] & 0x7f], ...crtc]);
  yield* outIndexed(ports.graphics, graphics);
  yield* resetFlipFlop(crtcPort);
  yield* outMany(ports.attribute, attributes.flat());
  yield* out(ports.attribute, 0x20);
  yield* out(crtcPort + 6, values[1]);
  yield* out(ports.sequencer, values[2]);
}
