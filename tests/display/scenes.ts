/** The pictures: each BIOS mode, register tweaks on top of them, each VBE mode; see drawing.ts for the language. */
import { standardMode } from "../../src/firmware/video/modes.ts";
import { defaultPalette } from "../../src/firmware/video/palettes.ts";
import { type VbeMode, vbeModes } from "../../src/firmware/video/vbe-modes.ts";
import { Drawing } from "./drawing.ts";

export interface Scene {
  readonly name: string;
  readonly drawing: Drawing;
}

function scene(name: string, draw: (d: Drawing) => void): Scene {
  const drawing = new Drawing();
  draw(drawing);
  return { name, drawing };
}

const hex = (value: number) => value.toString(16).padStart(2, "0");

/** Glyphs of random dots, so that a wrong row, column or character shows. */
function glyphs(heightLines: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(256 * heightLines);
  let state = seed;
  for (let i = 0; i < bytes.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    bytes[i] = state >>> 16;
  }
  return bytes;
}

/** All characters, then all attributes in turn. */
function cells(columns: number, rows: number, attributes: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(columns * rows * 2);
  for (let i = 0; i < columns * rows; i++) {
    bytes[i * 2] = i;
    bytes[i * 2 + 1] = attributes[(i + (i >> 4)) % attributes.length];
  }
  return bytes;
}

const allAttributes = Array.from({ length: 256 }, (_, i) => i);
/** Those that mean the same with and without underlining. */
const monoAttributes = allAttributes.filter((a) => (a & 7) !== 1);

function hideCursor(d: Drawing, crtcPort = 0x3d4): void {
  d.crtc(0x0a, 0x20, crtcPort);
}

function text(mode: number, columns: number): Scene {
  return scene(`mode ${hex(mode)}h`, (d) => {
    const isMono = mode === 7;
    d.mode(mode);
    hideCursor(d, isMono ? 0x3b4 : 0x3d4);
    d.int10({ ax: 0x1003, bx: 0 });
    d.font(16, glyphs(16, mode + 1));
    d.load(isMono ? 0xb0000 : 0xb8000, cells(columns, 25, isMono ? monoAttributes : allAttributes));
  });
}

/** Each map filled by itself. */
function fillMaps(d: Drawing, bytesPerMap: number, maps = 4): void {
  for (let map = 0; map < maps; map++) {
    d.sequencer(2, 1 << map);
    d.fill(0xa0000, bytesPerMap, { seed: map + 1 });
  }
  d.sequencer(2, 15);
}

const biosModes: Scene[] = [
  ...[0, 1].map((mode) => text(mode, 40)),
  ...[2, 3, 7].map((mode) => text(mode, 80)),
  ...[4, 5, 6].map((mode) =>
    scene(`mode ${hex(mode)}h`, (d) => {
      d.mode(mode);
      d.fill(0xb8000, 0x4000, { seed: mode });
    }),
  ),
  ...(
    [
      [0x0d, 8000],
      [0x0e, 16000],
      [0x0f, 28000],
      [0x10, 28000],
      [0x11, 38400],
      [0x12, 38400],
    ] as const
  ).map(([mode, bytes]) =>
    scene(`mode ${hex(mode)}h`, (d) => {
      d.mode(mode);
      fillMaps(d, bytes);
    }),
  ),
  scene("mode 13h", (d) => {
    d.mode(0x13);
    d.fill(0xa0000, 64000, { seed: 9 });
  }),
];

const modeX = [
  [0x06, 0x0d],
  [0x07, 0x3e],
  [0x09, 0x41],
  [0x10, 0xea],
  [0x11, 0xac],
  [0x12, 0xdf],
  [0x14, 0x00],
  [0x15, 0xe7],
  [0x16, 0x06],
  [0x17, 0xe3],
] as const;

const mode360x480 = [
  [0x00, 0x6b],
  [0x01, 0x59],
  [0x02, 0x5a],
  [0x03, 0x8e],
  [0x04, 0x5e],
  [0x05, 0x8a],
  [0x06, 0x0d],
  [0x07, 0x3e],
  [0x09, 0x40],
  [0x10, 0xea],
  [0x11, 0xac],
  [0x12, 0xdf],
  [0x13, 0x2d],
  [0x14, 0x00],
  [0x15, 0xe7],
  [0x16, 0x06],
  [0x17, 0xe3],
] as const;

/** The registers of one of our BIOS's modes, written without any BIOS. */
function registersOf(d: Drawing, number: number): void {
  const mode = standardMode(number)!;
  const crtcPort = mode.isMono ? 0x3b4 : 0x3d4;
  d.out(0x3c2, mode.miscOutput);
  d.sequencer(0, 1);
  for (let i = 1; i < 5; i++) d.sequencer(i, mode.sequencer[i]);
  d.sequencer(0, 3);
  d.crtc(0x11, 0, crtcPort);
  for (const [i, value] of mode.crtc.entries()) d.crtc(i, value, crtcPort);
  for (const [i, value] of mode.graphics.entries()) d.graphics(i, value);
  d.in(crtcPort + 6);
  for (const [i, value] of mode.attributes.entries()) {
    d.out(0x3c0, i);
    d.out(0x3c0, value);
  }
  d.out(0x3c0, 0x20);
  d.out(0x3c6, 0xff);
  d.dac(0, [...defaultPalette(mode.palette)]);
}

const byRegisters: Scene[] = [0x04, 0x06, 0x0d, 0x0e, 0x0f, 0x10, 0x11, 0x12, 0x13].map((number) =>
  scene(`mode ${hex(number)}h by our registers`, (d) => {
    d.mode(0x13);
    registersOf(d, number);
    const mode = standardMode(number)!;
    if (mode.model === "planar") fillMaps(d, mode.heightPixels * (mode.widthPixels / 8));
    else d.fill(mode.segment * 16, mode.model === "cga" ? 0x4000 : 64000, { seed: number });
  }),
);

/** A background for tests of what planar writes change. */
function planarBackground(d: Drawing): void {
  d.mode(0x12);
  fillMaps(d, 38400);
}

const tweaks: Scene[] = [
  scene("text, 8 dots", (d) => {
    d.mode(3);
    hideCursor(d);
    d.int10({ ax: 0x1003, bx: 0 });
    d.font(16, glyphs(16, 77));
    d.sequencer(1, 1);
    d.out(0x3c2, 0x63);
    d.load(0xb8000, cells(80, 25, allAttributes));
  }),
  scene("text, 8×8 font, 50 lines", (d) => {
    d.mode(3);
    d.int10({ ax: 0x1112, bx: 0 });
    hideCursor(d);
    d.int10({ ax: 0x1003, bx: 0 });
    d.font(8, glyphs(8, 78));
    d.load(0xb8000, cells(80, 50, allAttributes));
  }),
  scene("text, character maps A and B", (d) => {
    d.mode(3);
    hideCursor(d);
    d.int10({ ax: 0x1003, bx: 0 });
    d.font(16, glyphs(16, 79), 0);
    d.font(16, glyphs(16, 80), 5);
    // Attribute bit 3 set: map 5; clear: map 0.
    d.int10({ ax: 0x1103, bx: 0x24 });
    d.load(0xb8000, cells(80, 25, allAttributes));
  }),
  scene("text, cursor of four lines", (d) => {
    d.mode(3);
    d.int10({ ax: 0x1003, bx: 0 });
    d.font(16, glyphs(16, 81));
    d.load(0xb8000, cells(80, 25, allAttributes));
    d.int10({ ax: 0x0100, cx: 0x2000 });
  }),
  scene("text, line graphics off", (d) => {
    d.mode(3);
    hideCursor(d);
    d.font(16, glyphs(16, 82));
    d.load(0xb8000, cells(80, 25, allAttributes));
    d.attribute(0x10, 0x00);
  }),
  scene("text, second page by start address", (d) => {
    d.mode(3);
    hideCursor(d);
    d.int10({ ax: 0x1003, bx: 0 });
    d.font(16, glyphs(16, 83));
    d.load(0xb9000, cells(80, 25, allAttributes));
    d.int10({ ax: 0x0501 });
  }),
  scene("text, palette registers and colour select", (d) => {
    d.mode(3);
    hideCursor(d);
    d.int10({ ax: 0x1003, bx: 0 });
    d.font(16, glyphs(16, 84));
    for (let i = 0; i < 16; i++) d.attribute(i, 63 - i * 4);
    d.attribute(0x14, 0x04);
    d.dac(
      0,
      Array.from({ length: 768 }, (_, i) => (i * 37) & 63),
    );
    d.load(0xb8000, cells(80, 25, allAttributes));
  }),
  scene("mode 4, other colour set", (d) => {
    d.mode(4);
    d.int10({ ax: 0x0b00, bx: 0x0101 });
    d.int10({ ax: 0x0b00, bx: 0x0004 });
    d.fill(0xb8000, 0x4000, { seed: 4 });
  }),
  ...[0, 1, 2, 3].flatMap((writeMode) =>
    [0, 1, 2, 3].map((logical) =>
      scene(`mode 12h, write mode ${writeMode}, function ${logical}`, (d) => {
        planarBackground(d);
        d.graphics(0, 0x0a);
        d.graphics(1, 0x03);
        d.graphics(3, (logical << 3) | 3);
        d.graphics(5, writeMode);
        d.graphics(8, 0x5e);
        d.fill(0xa0000, 19200, { seed: 5, readsFirst: true });
        d.sequencer(2, 0x06);
        d.fill(0xa0000 + 19200, 9600, { seed: 6 });
      }),
    ),
  ),
  scene("mode 12h, copy through the latches", (d) => {
    planarBackground(d);
    d.graphics(5, 1);
    d.copy(0xa0000 + 80 * 240, 0xa0000, 80 * 200);
  }),
  scene("mode 12h, read modes", (d) => {
    planarBackground(d);
    d.graphics(4, 2);
    d.copy(0x80000, 0xa0000, 9600);
    d.graphics(2, 0x05);
    d.graphics(7, 0x0d);
    d.graphics(5, 8);
    d.copy(0x80000 + 9600, 0xa0000, 9600);
    d.graphics(5, 0);
    d.copy(0xa0000 + 19200, 0x80000, 19200);
  }),
  scene("mode 12h, plane enable", (d) => {
    planarBackground(d);
    d.attribute(0x12, 0x0b);
  }),
  scene("mode 12h, pixel panning", (d) => {
    planarBackground(d);
    d.attribute(0x13, 3);
  }),
  scene("text, pixel panning and preset row scan", (d) => {
    d.mode(3);
    hideCursor(d);
    d.int10({ ax: 0x1003, bx: 0 });
    d.font(16, glyphs(16, 86));
    // No line graphics: the list of differences has one thing less to do here.
    d.attribute(0x10, 0x00);
    d.load(0xb8000, cells(80, 26, allAttributes));
    d.attribute(0x13, 2);
    d.crtc(0x08, 0x05);
  }),
  scene("mode 12h, split screen", (d) => {
    planarBackground(d);
    // Line compare 300: bits 8 and 9 in CR7 and CR9.
    d.crtc(0x0c, 0x08);
    d.crtc(0x0d, 0x05);
    d.crtc(0x18, 300 & 0xff);
    d.crtc(0x07, 0x3e);
    d.crtc(0x09, 0x00);
  }),
  scene("mode 12h, protected CRTC", (d) => {
    planarBackground(d);
    d.crtc(0x11, 0x8c);
    for (let i = 0; i < 7; i++) d.crtc(i, 0x20);
    // The line compare bit of CR7 stays writable.
    d.crtc(0x07, 0x00);
    d.crtc(0x18, 100);
  }),
  scene("mode 10h, start address in the second page", (d) => {
    d.mode(0x10);
    for (let map = 0; map < 4; map++) {
      d.sequencer(2, 1 << map);
      d.fill(0xa8000, 28000, { seed: map + 11 });
    }
    d.int10({ ax: 0x0501 });
  }),
  scene("mode 0Dh, wide virtual screen, panned", (d) => {
    d.mode(0x0d);
    d.crtc(0x13, 40);
    fillMaps(d, 16000);
    d.crtc(0x0d, 13);
  }),
  scene("mode 13h, DAC, PEL mask", (d) => {
    d.mode(0x13);
    d.fill(0xa0000, 64000, { sizeBytes: 2, seed: 0, step: 0x00012345 });
    d.dac(
      0,
      Array.from({ length: 768 }, (_, i) => (i * 29) & 63),
    );
    d.out(0x3c6, 0x7f);
  }),
  scene("mode 13h, single-height lines", (d) => {
    d.mode(0x13);
    // Row scan 0 only: 400 lines.
    d.crtc(0x09, 0x40);
    d.fill(0xa0000, 0x10000, { seed: 12 });
  }),
  scene("mode X, 320×240", (d) => {
    d.mode(0x13);
    d.sequencer(4, 0x06);
    d.sequencer(0, 0x01);
    d.out(0x3c2, 0xe3);
    d.sequencer(0, 0x03);
    d.crtc(0x11, 0x2c);
    for (const [index, value] of modeX) d.crtc(index, value);
    fillMaps(d, 19200);
  }),
  scene("mode X, second page, latch copy", (d) => {
    d.mode(0x13);
    d.sequencer(4, 0x06);
    d.sequencer(0, 0x01);
    d.out(0x3c2, 0xe3);
    d.sequencer(0, 0x03);
    d.crtc(0x11, 0x2c);
    for (const [index, value] of modeX) d.crtc(index, value);
    fillMaps(d, 19200);
    d.graphics(8, 0);
    d.copy(0xa0000 + 19200, 0xa0000, 19200);
    d.graphics(8, 0xff);
    d.crtc(0x0c, 0x4b);
    d.crtc(0x0d, 0x00);
  }),
  scene("mode X, 360×480", (d) => {
    d.mode(0x13);
    d.sequencer(4, 0x06);
    d.sequencer(0, 0x01);
    d.out(0x3c2, 0xe7);
    d.sequencer(0, 0x03);
    d.crtc(0x11, 0x2c);
    for (const [index, value] of mode360x480) d.crtc(index, value);
    fillMaps(d, 90 * 480);
  }),
];

/** QEMU rounds widths down to a multiple of eight, and its 4-bit modes ignore the map mask. */
const isComputed = (mode: VbeMode) => mode.bits === 4 || mode.widthPixels % 8 !== 0;

const vbe: Scene[] = vbeModes
  .filter((mode) => !isComputed(mode))
  .map((mode, i) => {
    const { widthPixels: width, heightPixels: height, bits } = mode;
    const how = i % 2 === 0 ? "linear" : "banked";
    return scene(`${width}×${height}×${bits} ${how}`, (d) =>
      d.vbe(width, height, bits, how, { sizeBytes: 4, seed: mode.number }),
    );
  });

const vbeTweaks: Scene[] = [
  scene("640×480×8, 8-bit DAC", (d) => {
    d.vbe(640, 480, 8, "linear", { sizeBytes: 4, seed: 3 });
    d.int10({ ax: 0x4f08, bx: 0x0800 });
    d.dac(
      0,
      Array.from({ length: 768 }, (_, i) => (i * 91) & 255),
    );
  }),
  scene("800×600×16, wide virtual screen, panned", (d) => {
    d.vbe(800, 600, 16, "linear", { sizeBytes: 4, seed: 4 });
    d.int10({ ax: 0x4f06, bx: 0x0000, cx: 1024 });
    d.int10({ ax: 0x4f07, bx: 0x0000, cx: 38, dx: 91 });
  }),
  scene("1024×768×32 by registers", (d) => d.vbe(1024, 768, 32, "registers", { sizeBytes: 4, seed: 5 })),
  scene("1400×1050×24 by registers", (d) => d.vbe(1400, 1050, 24, "registers", { sizeBytes: 4, seed: 6 })),
  scene("640×480×8, mode kept while memory is not cleared", (d) => {
    d.vbe(640, 480, 8, "linear", { sizeBytes: 4, seed: 7 });
    d.int10({ ax: 0x4f02, bx: 0xc101 });
  }),
  scene("800×600×15, offset by registers", (d) => {
    d.vbe(800, 600, 15, "registers", { sizeBytes: 4, seed: 8 });
    d.dispi(6, 808);
    d.dispi(8, 6);
    d.dispi(9, 3);
  }),
  scene("back to mode 3", (d) => {
    d.vbe(800, 600, 15, "linear", { sizeBytes: 4, seed: 8 });
    d.mode(3);
    hideCursor(d);
    d.int10({ ax: 0x1003, bx: 0 });
    d.font(16, glyphs(16, 85));
    d.load(0xb8000, cells(80, 25, allAttributes));
  }),
];

export const biosScenes: readonly Scene[] = biosModes;
export const registerScenes: readonly Scene[] = [...byRegisters, ...tweaks];
export const vbeScenes: readonly Scene[] = [...vbe, ...vbeTweaks];

export interface ComputedScene extends Scene {
  expected(): { readonly width: number; readonly height: number; readonly rgb: Uint8Array };
}

/** The random numbers of pictures.asm. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return ((state >>> 16) | (state << 16)) >>> 0;
  };
}

function expectedPlanar({ widthPixels: width, heightPixels: height, number }: VbeMode): Uint8Array {
  const next = randomNumbers(number);
  const mapBytes = (width / 8) * height;
  const maps = Array.from({ length: 4 }, () => new Uint8Array(mapBytes));
  for (let from = 0; from < mapBytes; from += 0x10000)
    for (const map of maps) for (let i = from; i < Math.min(from + 0x10000, mapBytes); i++) map[i] = next();
  const attributes = standardMode(0x12)!.attributes;
  const palette = defaultPalette("ega");
  const rgb = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) {
    const bit = 7 - (i & 7);
    const value = maps.reduce((sum, map, plane) => sum | (((map[i >> 3] >> bit) & 1) << plane), 0);
    for (let c = 0; c < 3; c++) rgb[i * 3 + c] = Math.round((palette[attributes[value] * 3 + c] * 255) / 63);
  }
  return rgb;
}

function expectedPacked({ widthPixels: width, heightPixels: height, bits, number }: VbeMode): Uint8Array {
  const next = randomNumbers(number);
  const memory = new Uint32Array(Math.ceil((width * height * bits) / 32));
  for (let i = 0; i < memory.length; i++) memory[i] = next();
  const bytes = new Uint8Array(memory.buffer);
  const rgb = new Uint8Array(width * height * 3);
  /** High bits repeated in the low ones. */
  const wide = (value: number, width: number) => (value << (8 - width)) | (value >> (2 * width - 8));
  for (let i = 0; i < width * height; i++) {
    if (bits === 16) {
      const value = bytes[i * 2] | (bytes[i * 2 + 1] << 8);
      rgb.set([wide(value >> 11, 5), wide((value >> 5) & 63, 6), wide(value & 31, 5)], i * 3);
    } else {
      const at = i * (bits / 8);
      rgb.set([bytes[at + 2], bytes[at + 1], bytes[at]], i * 3);
    }
  }
  return rgb;
}

export const computedScenes: readonly ComputedScene[] = vbeModes.filter(isComputed).map((mode) => {
  const { widthPixels: width, heightPixels: height, bits, number } = mode;
  const pattern = { sizeBytes: bits === 4 ? 1 : 4, seed: number } as const;
  return {
    ...scene(`${width}×${height}×${bits} computed`, (d) => d.vbe(width, height, bits, "banked", pattern)),
    expected: () => ({ width, height, rgb: bits === 4 ? expectedPlanar(mode) : expectedPacked(mode) }),
  };
});
