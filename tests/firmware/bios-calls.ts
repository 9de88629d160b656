/**
 * The list of BIOS calls that bios-calls.test.ts makes on several PCs, the script made of it for images/bios-calls.asm, and
 * the readable lines made of what that program tells.
 */

const order = ["eax", "ebx", "ecx", "edx", "esi", "edi", "ebp"] as const;
type Register = (typeof order)[number];

export interface BiosCall {
  readonly kind: "call";
  readonly name: string;
  readonly vector: number;
  readonly registers: Partial<Record<Register | "ds" | "es", number>>;
  /** Put at the start of the buffer (ES:0 and DS:0 unless given otherwise). */
  readonly input: readonly number[];
  /** How many bytes of the buffer are told afterwards. */
  readonly shownBytes: number;
  /** Results that are a matter of time, of addresses that each BIOS chooses, or undefined by contract. */
  readonly hidden: readonly (Register | "es")[];
  /** The same in the buffer: from, behind. */
  readonly hiddenBytes?: readonly [number, number];
}

interface MemoryDump {
  readonly kind: "memory";
  readonly name: string;
  readonly from:
    | { readonly segment: number; readonly offset: number }
    | { readonly vector: number }
    | { readonly esAnd: "ebx" | "edi" | "ebp" };
  readonly bytes: number;
}

export type ScriptStep = BiosCall | MemoryDump;

const BUFFER_SEGMENT = 0x2000;
const PATTERN = 0xcc;
/** High halves that a call must keep. */
const HIGH: Record<Register, number> = {
  eax: 0xa1a10000,
  ebx: 0xb1b10000,
  ecx: 0xc1c10000,
  edx: 0xd1d10000,
  esi: 0,
  edi: 0,
  ebp: 0,
};

const hex = (value: number, digits: number) => (value >>> 0).toString(16).toUpperCase().padStart(digits, "0");

/** Collects the steps; names are made from the registers. */
export class BiosScript {
  readonly steps: ScriptStep[] = [];

  /** Low halves as given, 0 otherwise; "wide" registers are given whole. */
  call(
    vector: number,
    registers: Partial<Record<"ax" | "bx" | "cx" | "dx" | "si" | "di" | "bp" | "ds" | "es" | Register, number>>,
    options: {
      readonly note?: string;
      readonly input?: readonly number[];
      readonly shownBytes?: number;
      readonly hidden?: readonly (Register | "es")[];
      readonly hiddenBytes?: readonly [number, number];
    } = {},
  ): void {
    const given: Partial<Record<Register | "ds" | "es", number>> = {};
    for (const wide of order) {
      const low = registers[wide.slice(1) as "ax"];
      given[wide] = registers[wide] ?? (HIGH[wide] | (low ?? 0)) >>> 0;
    }
    given.ds = registers.ds ?? BUFFER_SEGMENT;
    given.es = registers.es ?? BUFFER_SEGMENT;
    const named = Object.entries(registers).map(
      ([name, value]) => `${name.toUpperCase()}=${hex(value, name.length === 3 ? 8 : 4)}`,
    );
    const name = [
      `INT ${hex(vector, 2)}h`,
      ...named,
      ...(options.note === undefined ? [] : [`(${options.note})`]),
    ].join(" ");
    if (this.steps.some((step) => step.name === name)) throw new Error(`twice: ${name}`);
    this.steps.push({
      kind: "call",
      name,
      vector,
      registers: given,
      input: options.input ?? [],
      shownBytes: options.shownBytes ?? 0,
      hidden: options.hidden ?? [],
      hiddenBytes: options.hiddenBytes,
    });
  }

  memory(name: string, from: MemoryDump["from"], bytes: number): void {
    this.steps.push({ kind: "memory", name, from, bytes });
  }

  /** The script as images/bios-calls.asm reads it. */
  get bytes(): Uint8Array {
    const out: number[] = [];
    const word = (value: number) => out.push(value & 0xff, (value >>> 8) & 0xff);
    const dword = (value: number) => {
      word(value & 0xffff);
      word(value >>> 16);
    };
    for (const step of this.steps) {
      if (step.kind === "call") {
        out.push(1, step.vector);
        for (const register of order) dword(step.registers[register] ?? 0);
        word(step.registers.ds ?? 0);
        word(step.registers.es ?? 0);
        word(step.input.length);
        out.push(...step.input);
        word(step.shownBytes);
        continue;
      }
      const { from } = step;
      if ("segment" in from) {
        out.push(2);
        word(from.offset);
        word(from.segment);
      } else if ("vector" in from) out.push(3, from.vector);
      else out.push(4, order.indexOf(from.esAnd) * 4);
      word(step.bytes);
    }
    out.push(0);
    return Uint8Array.from(out);
  }
}

/** The bytes with runs of four and more equal ones as "cc*12". */
function shortened(bytes: Uint8Array): string {
  const parts: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    let end = at + 1;
    while (end < bytes.length && bytes[end] === bytes[at]) end++;
    const text = hex(bytes[at], 2).toLowerCase();
    if (end - at >= 4) parts.push(`${text}*${end - at}`);
    else for (let i = at; i < end; i++) parts.push(text);
    at = end;
  }
  return parts.join(" ");
}

/** One readable line for each step: name, flags, the registers that changed, the buffer without its untouched end. */
export function readableLines(steps: readonly ScriptStep[], told: string): string[] {
  const lines = told.split("\n");
  const end = lines.indexOf("D");
  return steps.map((step, index) => {
    const line = index < (end < 0 ? lines.length - 1 : end) ? lines[index] : undefined;
    if (line === undefined) return `${step.name}: nothing`;
    if (step.kind === "memory") return `${step.name}: ${shortened(Uint8Array.from(Buffer.from(line, "hex")))}`;
    const bytes = Buffer.from(line.slice(1), "hex");
    const flags = bytes.readUInt16LE(32);
    const fields = [`CF=${flags & 1}`];
    if (step.vector === 0x16) fields.push(`ZF=${(flags >> 6) & 1}`);
    if ((flags & 0x200) === 0) fields.push("IF=0");
    const show = (name: string, before: number, after: number, isHidden: boolean, always: boolean) => {
      if (isHidden) fields.push(`${name.slice(-2)}=...`);
      else if (before >>> 16 !== after >>> 16) fields.push(`${name}=${hex(after, 8)}`);
      else if (always || before !== after) fields.push(`${name.slice(-2)}=${hex(after & 0xffff, 4)}`);
    };
    order.forEach((register, i) => {
      const before = step.registers[register] ?? 0;
      show(
        register.toUpperCase(),
        before,
        bytes.readUInt32LE(i * 4),
        step.hidden.includes(register),
        register === "eax",
      );
    });
    show("DS", step.registers.ds ?? 0, bytes.readUInt16LE(28), false, false);
    show("ES", step.registers.es ?? 0, bytes.readUInt16LE(30), step.hidden.includes("es"), false);
    if (step.shownBytes > 0) {
      const buffer = Uint8Array.from(bytes.subarray(34));
      if (step.hiddenBytes && buffer[0] !== PATTERN) buffer.fill(0, ...step.hiddenBytes);
      let used = buffer.length;
      while (used > 0 && buffer[used - 1] === PATTERN) used--;
      fields.push(`[${shortened(buffer.subarray(0, used))}]`);
    }
    return `${step.name}: ${fields.join(" ")}`;
  });
}

const EVERY_FUNCTION = Array.from({ length: 256 }, (_, ah) => ah);
const text = (value: string) => [...value].map((character) => character.charCodeAt(0));
const le16 = (value: number) => [value & 0xff, value >> 8];
const le32 = (value: number) => [...le16(value & 0xffff), ...le16(value >>> 16)];
/** A disk address packet for the buffer's second KiB. */
const packet = (lba: number, sectors: number, size = 0x10) => [
  ...[size, 0, ...le16(sectors), ...le16(0x0400), ...le16(BUFFER_SEGMENT), ...le32(lba), ...le32(0)],
];
/** What the buffer shows of a read sector with its neighbours: 400h to 604h. */
const READ_SHOWN = 0x604;

function videoCalls(script: BiosScript): void {
  const bda = (name: string) => script.memory(`${name}: data area 449h–466h`, { segment: 0x40, offset: 0x49 }, 0x1e);
  for (const mode of [0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0d, 0x0e, 0x0f, 0x10, 0x11, 0x12, 0x13]) {
    script.call(0x10, { ax: mode }, { hidden: ["eax"] });
    script.call(0x10, { ax: 0x0f00 }, { note: `in mode ${hex(mode, 2)}h` });
    bda(`in mode ${hex(mode, 2)}h`);
    script.memory(`in mode ${hex(mode, 2)}h: data area 484h–48Ah`, { segment: 0x40, offset: 0x84 }, 7);
  }
  script.call(0x10, { ax: 0x0083 }, { note: "keep the screen", hidden: ["eax"] });
  script.call(0x10, { ax: 0x0f00 }, { note: "with the screen kept" });
  script.call(0x10, { ax: 0x0003 }, { note: "again", hidden: ["eax"] });
  script.call(0x10, { ax: 0x0300 });
  script.call(0x10, { ax: 0x0100, cx: 0x0607 });
  script.call(0x10, { ax: 0x0300 }, { note: "new shape" });
  script.call(0x10, { ax: 0x0200, dx: 0x0510 });
  script.call(0x10, { ax: 0x0300 }, { note: "moved" });
  script.call(0x10, { ax: 0x0200, bx: 0x0300, dx: 0x0203 });
  script.call(0x10, { ax: 0x0300, bx: 0x0300 });
  script.call(0x10, { ax: 0x0501 });
  script.call(0x10, { ax: 0x0f00 }, { note: "page 1" });
  script.call(0x10, { ax: 0x0500 });
  script.call(0x10, { ax: 0x0941, bx: 0x001f, cx: 3 });
  script.call(0x10, { ax: 0x0800 });
  script.call(0x10, { ax: 0x0a42, cx: 2 });
  script.call(0x10, { ax: 0x0800 }, { note: "only the character changed" });
  script.call(0x10, { ax: 0x0e43 });
  script.call(0x10, { ax: 0x0e0d });
  script.call(0x10, { ax: 0x0e0a });
  script.call(0x10, { ax: 0x0e08 });
  script.call(0x10, { ax: 0x0300 }, { note: "after C, CR, LF, BS" });
  script.call(0x10, { ax: 0x1301, bx: 0x0007, cx: 5, dx: 0x0a05 }, { input: text("hello") });
  script.call(0x10, { ax: 0x1302, cx: 3, dx: 0x0b05 }, { input: text("a\x01b\x02c\x03") });
  script.call(0x10, { ax: 0x0300 }, { note: "after strings" });
  script.call(0x10, { ax: 0x0601, bx: 0x1700, cx: 0x0505, dx: 0x0f20 });
  script.call(0x10, { ax: 0x0702, bx: 0x4700, cx: 0x0505, dx: 0x0f20 });
  script.memory("lines 5 to 12 of the screen", { segment: 0xb800, offset: 5 * 160 }, 8 * 160);
  script.call(0x10, { ax: 0x0600, bx: 0x0700, dx: 0x184f });
  script.call(0x10, { ax: 0x0e0a, bx: 0 }, { note: "below" });
  script.call(0x10, { ax: 0x1000, bx: 0x3a05 });
  script.call(0x10, { ax: 0x1007, bx: 0x0005 });
  script.call(0x10, { ax: 0x1001, bx: 0x0100 });
  script.call(0x10, { ax: 0x1008 });
  script.call(0x10, { ax: 0x1009 }, { shownBytes: 20 });
  script.call(0x10, { ax: 0x1003, bx: 0 });
  script.call(0x10, { ax: 0x1010, bx: 0x0020, cx: 0x1122, dx: 0x3300 });
  script.call(0x10, { ax: 0x1015, bx: 0x0020 });
  script.call(0x10, { ax: 0x1012, bx: 0x0030, cx: 2 }, { input: [1, 2, 3, 4, 5, 6] });
  script.call(0x10, { ax: 0x1017, bx: 0x002f, cx: 4 }, { shownBytes: 16 });
  script.call(0x10, { ax: 0x1013, bx: 0x0100 });
  script.call(0x10, { ax: 0x101a });
  script.call(0x10, { ax: 0x1018, bx: 0x00ff });
  script.call(0x10, { ax: 0x1019 });
  script.call(0x10, { ax: 0x101b, bx: 0x20, cx: 1 });
  for (const font of [0, 1, 2, 3, 4, 5, 6, 7]) {
    script.call(0x10, { ax: 0x1130, bx: font << 8 }, { hidden: ["ebp", "es"] });
  }
  script.call(0x10, { ax: 0x1112 });
  script.call(0x10, { ax: 0x0f00 }, { note: "8x8 font" });
  script.memory("8x8 font: data area 484h–48Ah", { segment: 0x40, offset: 0x84 }, 7);
  script.call(0x10, { ax: 0x0300 }, { note: "8x8 font" });
  script.call(0x10, { ax: 0x1111 });
  script.memory("8x14 font: data area 484h–48Ah", { segment: 0x40, offset: 0x84 }, 7);
  script.call(0x10, { ax: 0x1114 });
  script.memory("8x16 font: data area 484h–48Ah", { segment: 0x40, offset: 0x84 }, 7);
  script.call(0x10, { ax: 0x1200, bx: 0x0010 });
  script.call(0x10, { ax: 0x1202, bx: 0x0030 });
  script.call(0x10, { ax: 0x1200, bx: 0x0031 });
  script.call(0x10, { ax: 0x1200, bx: 0x0032 });
  script.call(0x10, { ax: 0x1200, bx: 0x0033 });
  script.call(0x10, { ax: 0x1200, bx: 0x0034 });
  script.call(0x10, { ax: 0x1200, bx: 0x0035 });
  script.call(0x10, { ax: 0x1200, bx: 0x0036 });
  script.call(0x10, { ax: 0x12ff, bx: 0x00ff });
  script.call(0x10, { ax: 0x1a00 });
  script.call(0x10, { ax: 0x1a01, bx: 0x0008 });
  script.call(0x10, { ax: 0x1a02 });
  script.call(0x10, { ax: 0x1b00 }, { shownBytes: 64, hiddenBytes: [0, 4] });
  script.call(0x10, { ax: 0x1c00, cx: 7 });
  script.call(0x10, { ax: 0x1c00, cx: 1 });
  script.call(0x10, { ax: 0x1c03, cx: 7 });
  script.call(0x10, { ax: 0x4f00 }, { input: text("VBE2"), shownBytes: 22, hiddenBytes: [6, 10] });
  script.call(0x10, { ax: 0x4f00 }, { note: "without VBE2", shownBytes: 18, hiddenBytes: [6, 10] });
  for (const mode of [
    0x100, 0x101, 0x102, 0x103, 0x10d, 0x110, 0x111, 0x112, 0x114, 0x115, 0x117, 0x118, 0x11a, 0x140, 0x1ff,
  ])
    script.call(0x10, { ax: 0x4f01, cx: mode }, { shownBytes: 256, hiddenBytes: [12, 16] });
  script.call(0x10, { ax: 0x4f02, bx: 0x01ff });
  script.call(0x10, { ax: 0x4f02, bx: 0x4112 });
  script.call(0x10, { ax: 0x4f03 });
  script.call(0x10, { ax: 0x4f06, bx: 1 }, { note: "in 4112" });
  script.call(0x10, { ax: 0x4f06, bx: 0, cx: 800 });
  script.call(0x10, { ax: 0x4f07, bx: 1 });
  script.call(0x10, { ax: 0x4f07, cx: 4, dx: 2 });
  script.call(0x10, { ax: 0x4f07, bx: 1 }, { note: "moved" });
  script.call(0x10, { ax: 0x4f02, bx: 0x0101 });
  script.call(0x10, { ax: 0x4f05, dx: 3 });
  script.call(0x10, { ax: 0x4f05, bx: 0x0100 });
  script.call(0x10, { ax: 0x4f05, bx: 0x0101 });
  script.call(0x10, { ax: 0x4f08, bx: 1 });
  script.call(0x10, { ax: 0x4f08, bx: 0x0800 });
  script.call(0x10, { ax: 0x4f08, bx: 0x0600 });
  script.call(0x10, { ax: 0x4f09, bx: 0, cx: 2, dx: 5 }, { input: [1, 2, 3, 0, 4, 5, 6, 0] });
  script.call(0x10, { ax: 0x4f09, bx: 1, cx: 3, dx: 4 }, { shownBytes: 16 });
  script.call(0x10, { ax: 0x4f04, cx: 15 });
  script.call(0x10, { ax: 0x4f0a, bx: 0 }, { hidden: ["ecx", "edi", "es"] });
  script.call(0x10, { ax: 0x4f10, bx: 0 });
  script.call(0x10, { ax: 0x4f15, bx: 0 });
  script.call(0x10, { ax: 0x4f15, bx: 1 });
  script.call(0x10, { ax: 0x4fff });
  script.call(0x10, { ax: 0x0003 }, { note: "after VBE", hidden: ["eax"] });
  for (const ah of [0x15, 0x16, 0x17, 0x1d, 0x20, 0x40, 0x6f, 0x80, 0xa0, 0xbf, 0xfe, 0xff])
    script.call(0x10, { ax: ah << 8 });
}

function diskCalls(script: BiosScript): void {
  const disk = 0x80;
  for (const dx of [0x00, 0x01, 0x80, 0x81, 0xe0]) {
    script.call(0x13, { ax: 0x0800, dx }, dx < 0x80 ? { hidden: ["edi", "es"] } : {});
    if (dx === 0) script.memory("parameters of AH=08h", { esAnd: "edi" }, 13);
    script.call(0x13, { ax: 0x1500, dx });
    script.call(0x13, { ax: 0x4100, bx: 0x55aa, dx });
  }
  script.memory("INT 1Eh's table", { vector: 0x1e }, 11);
  script.memory("INT 41h's table", { vector: 0x41 }, 16);
  for (const [ax, cx, dx] of [
    [0x0201, 0x0002, 0x0080],
    [0x0201, 0x003f, 0x0f80],
    [0x0201, 0x133f, 0x0f80],
    [0x0201, 0x1401, 0x0080],
    [0x0201, 0x0001, 0x1080],
    [0x0201, 0x0000, 0x0080],
    [0x0201, 0x0040, 0x0080],
    [0x0200, 0x0002, 0x0080],
    [0x0281, 0x0002, 0x0080],
    [0x0401, 0x0002, 0x0080],
    [0x0402, 0x133f, 0x0f80],
    [0x0301, 0x0103, 0x0080],
    [0x0c00, 0x0101, 0x0080],
    [0x0c00, 0x1401, 0x0080],
  ])
    script.call(0x13, { ax, cx, dx, bx: 0x400 }, { shownBytes: READ_SHOWN });
  script.call(0x13, { ax: 0x0201, cx: 0x0003, dx: disk, bx: 0xfe00 }, { note: "to the segment's end" });
  for (const ah of [0x00, 0x01, 0x09, 0x0d, 0x10, 0x11, 0x14]) script.call(0x13, { ax: ah << 8, dx: disk });
  for (const [lba, sectors] of [
    [0, 1],
    [1, 1],
    [20 * 16 * 63 - 1, 1],
    [20 * 16 * 63, 1],
    [20 * 16 * 63 - 1, 2],
    [5, 0],
  ])
    script.call(
      0x13,
      { ax: 0x4200, dx: disk },
      { note: `${sectors} from ${lba}`, input: packet(lba, sectors), shownBytes: READ_SHOWN },
    );
  script.call(0x13, { ax: 0x0100, dx: disk }, { note: "after 42h" });
  script.call(0x13, { ax: 0x4200, dx: disk }, { note: "a packet of 8 bytes", input: packet(1, 1, 8), shownBytes: 16 });
  script.call(
    0x13,
    { ax: 0x4200, dx: disk },
    { note: "a packet of 18h bytes", input: packet(1, 1, 0x18), shownBytes: READ_SHOWN },
  );
  script.call(0x13, { ax: 0x4300, dx: disk }, { input: packet(1000, 1) });
  script.call(0x13, { ax: 0x4400, dx: disk }, { input: packet(1000, 1), shownBytes: 16 });
  script.call(0x13, { ax: 0x4400, dx: disk }, { note: "beyond", input: packet(20 * 16 * 63, 1), shownBytes: 16 });
  script.call(0x13, { ax: 0x4700, dx: disk }, { input: packet(1000, 1) });
  script.call(0x13, { ax: 0x4500, dx: disk });
  script.call(0x13, { ax: 0x4502, dx: disk });
  script.call(0x13, { ax: 0x4600, dx: disk });
  script.call(0x13, { ax: 0x4900, dx: disk });
  for (const size of [0x10, 0x1a, 0x1e, 0x42])
    script.call(0x13, { ax: 0x4800, dx: disk }, { note: `${size} bytes`, input: le16(size), shownBytes: 0x50 });
  script.call(0x13, { ax: 0x4e00, dx: disk });
  script.call(0x13, { ax: 0x4b01, dx: disk }, { shownBytes: 32 });
  // CD.
  script.call(0x13, { ax: 0x4200, dx: 0xe0 }, { note: "1 from 16", input: packet(16, 1), shownBytes: 0x420 });
  script.call(0x13, { ax: 0x4200, dx: 0xe0 }, { note: "1 beyond", input: packet(64, 1), shownBytes: 0x420 });
  script.call(0x13, { ax: 0x4800, dx: 0xe0 }, { input: le16(0x1e), shownBytes: 0x30 });
  script.call(0x13, { ax: 0x4300, dx: 0xe0 }, { input: packet(16, 1) });
  script.call(0x13, { ax: 0x0201, bx: 0x400, cx: 1, dx: 0xe0 });
  script.call(0x13, { ax: 0x4b01, dx: 0xe0 }, { shownBytes: 32 });
  script.call(0x13, { ax: 0x4501, dx: 0xe0 });
  script.call(0x13, { ax: 0x4502, dx: 0xe0 });
  // Floppy.
  for (const [ax, cx, dx] of [
    [0x0000, 0, 0],
    [0x0201, 0x0001, 0],
    [0x0201, 0x4f12, 0x0100],
    [0x0201, 0x5001, 0],
    [0x0201, 0x0013, 0],
    [0x0201, 0x0001, 0x0200],
    [0x0401, 0x0001, 0],
    [0x0301, 0x0102, 0],
    [0x0100, 0, 0],
    [0x1600, 0, 0],
    [0x1703, 0, 0],
    [0x1800, 0x4f12, 0],
    [0x1800, 0x4f11, 0],
    [0x0201, 0x0001, 1],
    [0x1600, 0, 1],
  ])
    script.call(
      0x13,
      { ax, cx, dx, bx: 0x400 },
      { shownBytes: READ_SHOWN, hidden: ax >> 8 === 0x18 ? ["edi", "es"] : [] },
    );
  // Every function that is not asked above, on the disk and on one that is not there.
  const asked = new Set(
    script.steps.flatMap((step) =>
      step.kind === "call" && step.vector === 0x13 ? [((step.registers.eax ?? 0) >> 8) & 0xff] : [],
    ),
  );
  for (const ah of EVERY_FUNCTION) {
    // Format and the controller's own diagnostics.
    if (asked.has(ah) || [0x05, 0x06, 0x07, 0x0a, 0x0b, 0x0e, 0x0f, 0x12, 0x13, 0x1a].includes(ah)) continue;
    script.call(0x13, { ax: ah << 8, dx: disk });
  }
  for (const ah of [0x00, 0x02, 0x08, 0x15, 0x41, 0x42, 0x48, 0x4b])
    script.call(0x13, { ax: ah << 8, cx: 1, dx: 0x8f });
}

function systemCalls(script: BiosScript): void {
  for (const al of [3, 2, 0, 2, 1, 2].map((al, i) => [al, i]))
    script.call(0x15, { ax: 0x2400 | al[0] }, { note: `step ${al[1]}` });
  for (const ax of [
    0x4f1e, 0x4f9e, 0x5200, 0x5300, 0x5301, 0x530e, 0x5304, 0x8000, 0x8100, 0x8200, 0x8501, 0x8500, 0x9000, 0x9100,
  ])
    script.call(0x15, { ax }, ax === 0x4f9e ? { note: "release" } : {});
  script.call(0x15, { ax: 0x8600, dx: 2000 });
  const descriptor = (base: number) => [
    ...le16(0xffff),
    base & 0xff,
    (base >> 8) & 0xff,
    (base >> 16) & 0xff,
    0x93,
    0,
    base >>> 24,
  ];
  const none = [0, 0, 0, 0, 0, 0, 0, 0];
  const move = (from: number, to: number) => [
    ...none,
    ...none,
    ...descriptor(from),
    ...descriptor(to),
    ...none,
    ...none,
  ];
  script.call(
    0x15,
    { ax: 0x8700, cx: 8 },
    { note: "up", input: [...move(0x20100, 0x180000), ...Array(0xd0).fill(0), ...text("over 1 MiB......")] },
  );
  script.call(0x15, { ax: 0x8700, cx: 8 }, { note: "down", input: move(0x180000, 0x20100), shownBytes: 0x120 });
  script.call(0x15, { ax: 0x8800 });
  script.call(0x15, { ax: 0xc000 }, { hidden: ["ebx", "es"] });
  script.memory("the configuration table", { esAnd: "ebx" }, 10);
  script.call(0x15, { ax: 0xc100 });
  script.call(0x15, { ax: 0xe801 });
  script.call(0x15, { ax: 0xe881 });
  for (const ebx of [0, 1, 2, 3, 4, 5, 6, 7, 8])
    script.call(0x15, { eax: 0xe820, ebx, ecx: 20, edx: 0x534d4150 }, { shownBytes: 24 });
  script.call(0x15, { eax: 0xe820, ebx: 0, ecx: 24, edx: 0x534d4150 }, { shownBytes: 32 });
  script.call(0x15, { eax: 0xe820, ebx: 0, ecx: 19, edx: 0x534d4150 }, { shownBytes: 24 });
  script.call(0x15, { eax: 0xe820, ebx: 0, ecx: 20, edx: 0 }, { shownBytes: 24 });
  script.call(0x15, { ax: 0xc200, bx: 0x0100 }, { note: "mouse on" });
  script.call(0x15, { ax: 0xc201 });
  script.call(0x15, { ax: 0xc202, bx: 0x0200 });
  script.call(0x15, { ax: 0xc202, bx: 0x0700 });
  script.call(0x15, { ax: 0xc203, bx: 0x0200 });
  script.call(0x15, { ax: 0xc204 });
  script.call(0x15, { ax: 0xc205, bx: 0x0300 });
  script.call(0x15, { ax: 0xc205, bx: 0x0900 });
  script.call(0x15, { ax: 0xc206, bx: 0x0000 });
  script.call(0x15, { ax: 0xc206, bx: 0x0100 });
  script.call(0x15, { ax: 0xc200, bx: 0x0000 }, { note: "mouse off" });
  script.call(0x15, { ax: 0xc2ff });
  const asked = new Set(
    script.steps.flatMap((step) =>
      step.kind === "call" && step.vector === 0x15 ? [((step.registers.eax ?? 0) >> 8) & 0xff] : [],
    ),
  );
  for (const ah of EVERY_FUNCTION) {
    // Event wait, protected mode.
    if (asked.has(ah) || ah === 0x83 || ah === 0x84 || ah === 0x89 || ah === 0xe8) continue;
    script.call(0x15, { ax: ah << 8 });
  }
  script.call(0x15, { ax: 0xe8ff });
  script.call(0x15, { ax: 0xe800 });
}

function keyboardCalls(script: BiosScript): void {
  for (const ax of [
    0x0100, 0x1100, 0x0200, 0x1200, 0x0500, 0x0100, 0x1100, 0x0000, 0x0100, 0x0300, 0x0305, 0x0306, 0x0900, 0x0a00,
    0x9200, 0xa200,
  ])
    script.call(
      0x16,
      { ax, ...(ax === 0x0500 ? { cx: 0x1e61 } : {}), ...(ax === 0x0305 ? { bx: 0 } : {}) },
      { note: `${script.steps.length}` },
    );
  script.call(0x16, { ax: 0x0500, cx: 0x48e0 });
  script.call(0x16, { ax: 0x0100 }, { note: "a grey key" });
  script.call(0x16, { ax: 0x1100 }, { note: "a grey key" });
  script.call(0x16, { ax: 0x1000 });
  for (const ah of [0x04, 0x06, 0x07, 0x08, 0x0b, 0x0c, 0x13, 0x20, 0x21, 0x22, 0x55, 0x6f, 0xff])
    script.call(0x16, { ax: ah << 8 });
}

function clockAndPciCalls(script: BiosScript): void {
  script.call(0x1a, { ax: 0x0000 }, { hidden: ["ecx", "edx"] });
  script.call(0x1a, { ax: 0x0200 }, { hidden: ["edx"] });
  script.call(0x1a, { ax: 0x0400 });
  script.call(0x1a, { ax: 0x0300, cx: 0x2359, dx: 0x3000 });
  script.call(0x1a, { ax: 0x0500, cx: 0x1999, dx: 0x1230 });
  script.call(0x1a, { ax: 0x0200 }, { note: "set", hidden: ["edx"] });
  script.call(0x1a, { ax: 0x0400 }, { note: "set" });
  script.call(0x1a, { ax: 0x0600, cx: 0x0102, dx: 0x0300 });
  script.call(0x1a, { ax: 0x0600, cx: 0x0102, dx: 0x0300 }, { note: "twice" });
  script.call(0x1a, { ax: 0x0700 });
  script.call(0x1a, { ax: 0x0100, cx: 0x0018, dx: 0x0010 });
  script.call(0x1a, { ax: 0x0000 }, { note: "set", hidden: ["edx"] });
  for (const ah of [0x08, 0x09, 0x0a, 0x0b, 0x35, 0x80, 0xff]) script.call(0x1a, { ax: ah << 8 });
  script.call(0x1a, { ax: 0xb101 }, { hidden: ["edi"] });
  for (const si of [0, 1]) script.call(0x1a, { ax: 0xb102, cx: 0x1237, dx: 0x8086, si });
  script.call(0x1a, { ax: 0xb102, cx: 0x1111, dx: 0x4321 });
  script.call(0x1a, { ax: 0xb102, cx: 0x1111, dx: 0xffff });
  script.call(0x1a, { ax: 0xb103, ecx: 0x060000 });
  script.call(0x1a, { ax: 0xb103, ecx: 0x030000 });
  script.call(0x1a, { ax: 0xb103, ecx: 0x0c0350 });
  script.call(0x1a, { ax: 0xb106, bx: 0, dx: 0 });
  for (const di of [0, 2, 8, 0x0a, 0x0e, 0x2c, 0x3c, 0x3d]) script.call(0x1a, { ax: 0xb108, bx: 0x0008, di });
  for (const di of [0, 4, 0x0a, 1]) script.call(0x1a, { ax: 0xb109, bx: 0x0008, di });
  for (const di of [0, 8, 0x60, 2]) script.call(0x1a, { ax: 0xb10a, bx: 0x0008, di });
  script.call(0x1a, { ax: 0xb10a, bx: 0x00f8, di: 0 }, { note: "nobody there" });
  script.call(0x1a, { ax: 0xb10b, bx: 0x0010, cx: 0x005a, di: 0x3c });
  script.call(0x1a, { ax: 0xb108, bx: 0x0010, di: 0x3c }, { note: "written" });
  script.call(0x1a, { ax: 0xb10c, bx: 0x0010, cx: 0x00a5, di: 0x3c });
  script.call(0x1a, { ax: 0xb10c, bx: 0x0010, cx: 0x00a5, di: 0x3d });
  script.call(0x1a, { ax: 0xb10d, bx: 0x0010, ecx: 0x00000100, di: 0x3c });
  script.call(0x1a, { ax: 0xb10d, bx: 0x0010, ecx: 0, di: 0x3e });
  script.call(
    0x1a,
    { ax: 0xb10e },
    { input: [...le16(0x40), ...le16(0x100), ...le16(BUFFER_SEGMENT)], note: "too small", shownBytes: 8 },
  );
  script.call(0x1a, { ax: 0xb10f, bx: 0x0010, cx: 0x0b0a, ds: 0xf000 });
  for (const al of [0x00, 0x04, 0x05, 0x07, 0x10, 0x81, 0xff]) script.call(0x1a, { ax: 0xb100 | al });
}

/** The whole list. */
export function biosScript(): BiosScript {
  const script = new BiosScript();
  script.memory("data area 400h–43Dh without the timer", { segment: 0x40, offset: 0 }, 0x3e);
  script.memory("data area 471h–484h", { segment: 0x40, offset: 0x71 }, 0x13);
  script.memory("the end of the ROM", { segment: 0xf000, offset: 0xfff5 }, 10);
  script.call(0x11, {});
  script.call(0x12, {});
  diskCalls(script);
  systemCalls(script);
  keyboardCalls(script);
  clockAndPciCalls(script);
  videoCalls(script);
  return script;
}
