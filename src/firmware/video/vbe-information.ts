/** VBE functions 00h and 01h: what the adapter and a mode are (VBE Core Functions Standard 2.0). */
import { dispi, readDispi } from "./dispi.ts";
import type { VideoContext } from "./int10.ts";
import { type Place, peek, poke, type VideoProgram } from "./program.ts";
import { modeBytes, pitchBytes, type VbeMode, vbeModes } from "./vbe-modes.ts";

const VERSION = 0x0200;
/** The mode list lies in the caller's block, behind the fields. */
const MODE_LIST = 0x22;
const BASIC_BYTES = 256;
const EXTENDED_BYTES = 512;
const DAC_SWITCHABLE = 1;

/** 256 bytes, or 512 if the caller's block starts with "VBE2". */
export function* vbeInformation(context: VideoContext, target: Place): VideoProgram {
  const signature = yield* peek(target, 4);
  const isVbe2 = String.fromCharCode(...signature) === "VBE2";
  const memory64K = yield* readDispi(dispi.memory64K);
  const block = new Uint8Array(isVbe2 ? EXTENDED_BYTES : BASIC_BYTES);
  const view = new DataView(block.buffer);
  const pointer = (at: number, place: Place) => {
    view.setUint16(at, place.offset, true);
    view.setUint16(at + 2, place.segment, true);
  };
  const romPointer = (at: number, label: string) =>
    pointer(at, { segment: context.romSegment, offset: context.labels[label] });
  block.set([0x56, 0x45, 0x53, 0x41]);
  view.setUint16(4, VERSION, true);
  romPointer(6, "vbe.oem");
  view.setUint32(10, DAC_SWITCHABLE, true);
  pointer(14, { ...target, offset: (target.offset + MODE_LIST) & 0xffff });
  view.setUint16(18, memory64K, true);
  if (isVbe2) {
    view.setUint16(20, 0x0100, true);
    romPointer(22, "vbe.vendor");
    romPointer(26, "vbe.product");
    romPointer(30, "vbe.revision");
  }
  const numbers = vbeModes.filter((mode) => modeBytes(mode) <= memory64K * 0x10000).map((mode) => mode.number);
  [...numbers, 0xffff].forEach((number, i) => {
    view.setUint16(MODE_LIST + i * 2, number, true);
  });
  yield* poke(target, block);
}

/** Field position and width of red, green, blue and the reserved bits. */
const masks: { readonly [bits: number]: readonly number[] } = {
  15: [5, 10, 5, 5, 5, 0, 1, 15],
  16: [5, 11, 6, 5, 5, 0, 0, 0],
  24: [8, 16, 8, 8, 8, 0, 0, 0],
  32: [8, 16, 8, 8, 8, 0, 8, 24],
};

export function* modeInformation(context: VideoContext, mode: VbeMode, target: Place): VideoProgram {
  const frameBufferHigh = yield* readDispi(dispi.frameBufferHigh);
  const memoryBytes = (yield* readDispi(dispi.memory64K)) * 0x10000;
  const block = new Uint8Array(256);
  const view = new DataView(block.buffer);
  const isPlanar = mode.bits === 4;
  const hasLinear = !isPlanar && frameBufferHigh !== 0;
  // Supported, information complete, colour, graphics, and a linear frame buffer.
  view.setUint16(0, 0x001b | (hasLinear ? 0x80 : 0), true);
  block[2] = 0x07;
  view.setUint16(4, 64, true);
  view.setUint16(6, 64, true);
  view.setUint16(8, 0xa000, true);
  view.setUint16(12, context.labels["vbe.window"], true);
  view.setUint16(14, context.romSegment, true);
  view.setUint16(16, pitchBytes(mode), true);
  view.setUint16(18, mode.widthPixels, true);
  view.setUint16(20, mode.heightPixels, true);
  block[22] = 8;
  block[23] = 16;
  block[24] = isPlanar ? 4 : 1;
  block[25] = mode.bits;
  block[26] = 1;
  block[27] = isPlanar ? 0x03 : mode.bits === 8 ? 0x04 : 0x06;
  const pages = Math.floor(memoryBytes / modeBytes(mode));
  block[29] = Math.min(255, pages - 1);
  block[30] = 1;
  block.set(masks[mode.bits] ?? [], 31);
  // The reserved bits of a pixel belong to the program.
  block[39] = mode.bits === 15 || mode.bits === 32 ? 0x02 : 0;
  if (hasLinear) view.setUint32(40, frameBufferHigh * 0x10000, true);
  yield* poke(target, block);
}
