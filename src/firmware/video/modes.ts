/**
 * The standard video modes: register contents and what the BIOS data area says of each (IBM PS/2 Hardware Interface
 * Technical Reference, "Video Subsystem", BIOS parameter tables).
 */

export type MemoryModel = "text" | "cga" | "planar" | "packed";
export type PaletteKind = "mono" | "cga" | "ega" | "vga256";

export interface VideoMode {
  readonly number: number;
  readonly model: MemoryModel;
  readonly columns: number;
  /** Text rows less one is what 40:84 holds. */
  readonly rows: number;
  readonly characterHeight: number;
  readonly widthPixels: number;
  readonly heightPixels: number;
  /** Bits per pixel in graphics modes. */
  readonly bits: number;
  readonly segment: number;
  readonly pageBytes: number;
  readonly pages: number;
  readonly palette: PaletteKind;
  readonly isMono: boolean;
  readonly miscOutput: number;
  readonly sequencer: readonly number[];
  readonly crtc: readonly number[];
  readonly attributes: readonly number[];
  readonly graphics: readonly number[];
}

const hex = (text: string): number[] => text.split(" ").map((byte) => Number.parseInt(byte, 16));

const ATTRIBUTES_EGA = "00 01 02 03 04 05 14 07 38 39 3a 3b 3c 3d 3e 3f";
const ATTRIBUTES_CGA = "00 01 02 03 04 05 06 07 10 11 12 13 14 15 16 17";
const attributesText = hex(`${ATTRIBUTES_EGA} 0c 00 0f 08 00`);
const attributes16 = hex(`${ATTRIBUTES_EGA} 01 00 0f 00 00`);
const attributes16Cga = hex(`${ATTRIBUTES_CGA} 01 00 0f 00 00`);
const graphicsText = hex("00 00 00 00 00 10 0e 00 ff");
const graphicsPlanar = hex("00 00 00 00 00 00 05 0f ff");

const crtc40x25 = hex("2d 27 28 90 2b a0 bf 1f 00 4f 0d 0e 00 00 00 00 9c 8e 8f 14 1f 96 b9 a3 ff");
const crtc80x25 = hex("5f 4f 50 82 55 81 bf 1f 00 4f 0d 0e 00 00 00 00 9c 8e 8f 28 1f 96 b9 a3 ff");
const crtc320x200Cga = hex("2d 27 28 90 2b 80 bf 1f 00 c1 00 00 00 00 00 00 9c 8e 8f 14 00 96 b9 a2 ff");
const crtc640x200Cga = hex("5f 4f 50 82 54 80 bf 1f 00 c1 00 00 00 00 00 00 9c 8e 8f 28 00 96 b9 c2 ff");
const crtc320x200 = hex("2d 27 28 90 2b 80 bf 1f 00 c0 00 00 00 00 00 00 9c 8e 8f 14 00 96 b9 e3 ff");
const crtc640x200 = hex("5f 4f 50 82 54 80 bf 1f 00 c0 00 00 00 00 00 00 9c 8e 8f 28 00 96 b9 e3 ff");
const crtc640x350 = hex("5f 4f 50 82 54 80 bf 1f 00 40 00 00 00 00 00 00 83 85 5d 28 0f 63 ba e3 ff");
const crtc640x480 = hex("5f 4f 50 82 54 80 0b 3e 00 40 00 00 00 00 00 00 ea 8c df 28 00 e7 04 e3 ff");
const crtc320x200x256 = hex("5f 4f 50 82 54 80 bf 1f 00 41 00 00 00 00 00 00 9c 8e 8f 28 40 96 b9 a3 ff");

function text(number: number, columns: 40 | 80): VideoMode {
  return {
    number,
    model: "text",
    columns,
    rows: 25,
    characterHeight: 16,
    widthPixels: columns * 9,
    heightPixels: 400,
    bits: 4,
    segment: 0xb800,
    pageBytes: columns === 40 ? 0x800 : 0x1000,
    pages: 8,
    palette: "ega",
    isMono: false,
    miscOutput: 0x67,
    sequencer: columns === 40 ? [0x03, 0x08, 0x03, 0x00, 0x02] : [0x03, 0x00, 0x03, 0x00, 0x02],
    crtc: columns === 40 ? crtc40x25 : crtc80x25,
    attributes: attributesText,
    graphics: graphicsText,
  };
}

interface GraphicsSpec {
  readonly number: number;
  readonly model: MemoryModel;
  readonly size: readonly [width: number, height: number];
  readonly bits: number;
  readonly characterHeight: number;
  readonly segment?: number;
  readonly pageBytes: number;
  readonly pages: number;
  readonly palette: PaletteKind;
  readonly isMono?: boolean;
  readonly miscOutput: number;
  readonly sequencer: string;
  readonly crtc: readonly number[];
  readonly attributes: readonly number[];
  readonly graphics: readonly number[];
}

function graphics(spec: GraphicsSpec): VideoMode {
  const [widthPixels, heightPixels] = spec.size;
  return {
    ...spec,
    columns: widthPixels / 8,
    rows: Math.floor(heightPixels / spec.characterHeight),
    widthPixels,
    heightPixels,
    segment: spec.segment ?? 0xa000,
    isMono: spec.isMono ?? false,
    sequencer: hex(spec.sequencer),
  };
}

const cga4: Omit<GraphicsSpec, "number"> = {
  model: "cga",
  size: [320, 200],
  bits: 2,
  characterHeight: 8,
  segment: 0xb800,
  pageBytes: 0x4000,
  pages: 1,
  palette: "cga",
  miscOutput: 0x63,
  sequencer: "03 09 03 00 02",
  crtc: crtc320x200Cga,
  attributes: hex("00 13 15 17 02 04 06 07 10 11 12 13 14 15 16 17 01 00 03 00 00"),
  graphics: hex("00 00 00 00 00 30 0f 00 ff"),
};

const list: readonly VideoMode[] = [
  text(0x00, 40),
  text(0x01, 40),
  text(0x02, 80),
  text(0x03, 80),
  graphics({ ...cga4, number: 0x04 }),
  graphics({ ...cga4, number: 0x05 }),
  graphics({
    number: 0x06,
    model: "cga",
    size: [640, 200],
    bits: 1,
    characterHeight: 8,
    segment: 0xb800,
    pageBytes: 0x4000,
    pages: 1,
    palette: "cga",
    miscOutput: 0x63,
    sequencer: "03 01 01 00 06",
    crtc: crtc640x200Cga,
    attributes: hex("00 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 01 00 01 00 00"),
    graphics: hex("00 00 00 00 00 00 0d 00 ff"),
  }),
  {
    ...text(0x07, 80),
    segment: 0xb000,
    palette: "mono",
    isMono: true,
    miscOutput: 0x66,
    crtc: hex("5f 4f 50 82 55 81 bf 1f 00 4f 0d 0e 00 00 00 00 9c 8e 8f 28 0f 96 b9 a3 ff"),
    attributes: hex("00 08 08 08 08 08 08 08 10 18 18 18 18 18 18 18 0e 00 0f 08 00"),
    graphics: hex("00 00 00 00 00 10 0a 00 ff"),
  },
  graphics({
    number: 0x0d,
    model: "planar",
    size: [320, 200],
    bits: 4,
    characterHeight: 8,
    pageBytes: 0x2000,
    pages: 8,
    palette: "cga",
    miscOutput: 0x63,
    sequencer: "03 09 0f 00 06",
    crtc: crtc320x200,
    attributes: attributes16Cga,
    graphics: graphicsPlanar,
  }),
  graphics({
    number: 0x0e,
    model: "planar",
    size: [640, 200],
    bits: 4,
    characterHeight: 8,
    pageBytes: 0x4000,
    pages: 4,
    palette: "cga",
    miscOutput: 0x63,
    sequencer: "03 01 0f 00 06",
    crtc: crtc640x200,
    attributes: attributes16Cga,
    graphics: graphicsPlanar,
  }),
  graphics({
    number: 0x0f,
    model: "planar",
    size: [640, 350],
    bits: 4,
    characterHeight: 14,
    pageBytes: 0x8000,
    pages: 2,
    palette: "mono",
    isMono: true,
    miscOutput: 0xa2,
    sequencer: "03 01 0f 00 06",
    crtc: crtc640x350,
    attributes: hex("00 08 00 00 18 18 00 00 00 08 00 00 00 18 00 00 0b 00 05 00 00"),
    graphics: graphicsPlanar,
  }),
  graphics({
    number: 0x10,
    model: "planar",
    size: [640, 350],
    bits: 4,
    characterHeight: 14,
    pageBytes: 0x8000,
    pages: 2,
    palette: "ega",
    miscOutput: 0xa3,
    sequencer: "03 01 0f 00 06",
    crtc: crtc640x350,
    attributes: attributes16,
    graphics: graphicsPlanar,
  }),
  graphics({
    number: 0x11,
    model: "planar",
    size: [640, 480],
    bits: 1,
    characterHeight: 16,
    pageBytes: 0xa000,
    pages: 1,
    palette: "ega",
    miscOutput: 0xe3,
    sequencer: "03 01 0f 00 06",
    crtc: crtc640x480,
    attributes: hex("00 3f 00 3f 00 3f 00 3f 00 3f 00 3f 00 3f 00 3f 01 00 0f 00 00"),
    graphics: graphicsPlanar,
  }),
  graphics({
    number: 0x12,
    model: "planar",
    size: [640, 480],
    bits: 4,
    characterHeight: 16,
    pageBytes: 0xa000,
    pages: 1,
    palette: "ega",
    miscOutput: 0xe3,
    sequencer: "03 01 0f 00 06",
    crtc: crtc640x480,
    attributes: attributes16,
    graphics: graphicsPlanar,
  }),
  graphics({
    number: 0x13,
    model: "packed",
    size: [320, 200],
    bits: 8,
    characterHeight: 8,
    pageBytes: 0x2000,
    pages: 1,
    palette: "vga256",
    miscOutput: 0x63,
    sequencer: "03 01 0f 00 0e",
    crtc: crtc320x200x256,
    attributes: hex("00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 41 00 0f 00 00"),
    graphics: hex("00 00 00 00 00 40 05 0f ff"),
  }),
];

const byNumber = new Map(list.map((mode) => [mode.number, mode]));

export function standardMode(number: number): VideoMode | undefined {
  return byNumber.get(number);
}

/** A text mode with 200 or 350 lines instead of 400 (INT 10h 12h BL = 30h before the mode set). */
export function withTextLines(mode: VideoMode, lines: 200 | 350 | 400): VideoMode {
  if (mode.model !== "text" || lines === 400) return mode;
  const crtc = [...mode.crtc];
  const sequencer = [...mode.sequencer];
  const attributes = [...mode.attributes];
  sequencer[1] |= 0x01;
  attributes[0x10] &= ~0x04;
  if (lines === 350) {
    const values: readonly (readonly [number, number])[] = [
      [0x09, 0x4d],
      [0x0a, 0x0b],
      [0x0b, 0x0c],
      [0x10, 0x83],
      [0x11, 0x85],
      [0x12, 0x5d],
      [0x14, mode.isMono ? 0x0d : 0x1f],
      [0x15, 0x63],
      [0x16, 0xba],
    ];
    for (const [index, value] of values) crtc[index] = value;
    return { ...mode, crtc, sequencer, attributes, characterHeight: 14, heightPixels: 350, miscOutput: 0xa3 };
  }
  crtc[0x09] = 0xc7;
  crtc[0x0a] = 0x06;
  crtc[0x0b] = 0x07;
  return {
    ...mode,
    crtc,
    sequencer,
    attributes,
    characterHeight: 8,
    heightPixels: 200,
    miscOutput: 0x63,
    palette: "cga",
  };
}
