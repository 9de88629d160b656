/**
 * Encodings of opcode-table rows, chosen at random: prefixes in any order, operand and address size, every modrm and SIB
 * form, code placed over page ends. The row's own notation says what there is to encode (row.ts); the decoder is asked
 * only whether the bytes are this row's and which of its variants they select.
 */
import { Decoder } from "../../../src/cpu/decode/decoder.ts";
import { RECORD_BYTES } from "../../../src/cpu/decode/records.ts";
import { layoutRows, type RowLayout } from "../../../src/cpu/decode/variants.ts";
import type { Row } from "../../../src/cpu/table/row.ts";
import { opcodeTable } from "../../../src/cpu/table/table.ts";
import { baseOf, CODE_BYTES, CODE_WINDOW, CS_FLAT, DS_FLAT, entryOf, segment, selectorOf } from "./segmented-case.ts";
import { integer } from "./values.ts";

export type Random = () => number;

/** Segment registers of a case, ES CS SS DS FS GS. */
export type Segments = readonly number[];

export interface MemoryForm {
  /** Segment register that the operand is addressed through. */
  readonly segment: number;
  /** Register numbers, or -1. */
  readonly base: number;
  readonly index: number;
  readonly scale: number;
  readonly displacement: number;
  readonly addressWidth: 16 | 32;
}

export interface Form {
  readonly row: Row;
  readonly bytes: readonly number[];
  /** Where the code stands in the code window. */
  readonly codeOffset: number;
  readonly segments: Segments;
  readonly isCode32: boolean;
  /** Alignment checks on (EFLAGS.AC): part of the form, for it selects other variants. */
  readonly isAlignmentChecked: boolean;
  readonly width: 16 | 32;
  readonly addressWidth: 16 | 32;
  /** Segment override, or -1. */
  readonly override: number;
  readonly repeat: 0 | 0xf2 | 0xf3;
  readonly isLocked: boolean;
  /** Numbers in modrm.reg or the opcode, and in modrm.rm (register forms). */
  readonly reg: number;
  readonly rm: number;
  readonly immediate: number;
  readonly memory: MemoryForm | undefined;
  /** Handler number of the variant, -1 for an encoding that must not decode. */
  readonly handler: number;
}

const named = new Set(["ES", "CS", "SS", "DS", "FS", "GS", "DX", "CL", "AL", "AX", "eAX", "cb", "cv", "1", "3"]);

/** A row's opcode column and operands, taken apart. */
export interface Shape {
  readonly mandatory: number;
  readonly opcode: readonly number[];
  readonly isRegisterOpcode: boolean;
  readonly extension: number;
  readonly hasModrm: boolean;
  /** What modrm.mod may say. */
  readonly allowsRegister: boolean;
  readonly allowsMemory: boolean;
  /** MOV to and from control and debug registers take any mod as 3. */
  readonly ignoresMod: boolean;
  readonly operands: readonly string[];
  readonly layout: RowLayout;
}

const { layouts } = layoutRows(opcodeTable);

export function shapeOf(row: Row): Shape {
  const layout = layouts.find((item) => item.row === row);
  if (layout === undefined) throw new Error("not a row of the opcode table");
  const opcode: number[] = [];
  let extension = -1;
  let isRegisterOpcode = false;
  let only = "";
  for (const token of row.opcode.split(" ")) {
    if (token[0] === "/") extension = Number(token[1]);
    else if (token === "+r") isRegisterOpcode = true;
    else if (token === "r" || token === "m") only = token;
    else if (token !== "NP") opcode.push(Number.parseInt(token, 16));
  }
  const mandatory = opcode.length > 1 && [0x66, 0xf2, 0xf3].includes(opcode[0]) ? opcode[0] : 0;
  if (mandatory !== 0) opcode.shift();
  const operands = row.operands.filter((code) => !named.has(code));
  const letters = operands.map((code) => code[0]);
  const has = (set: string) => letters.some((letter) => set.includes(letter));
  return {
    mandatory,
    opcode,
    isRegisterOpcode,
    extension,
    hasModrm: extension >= 0 || only !== "" || has("EGMRSCD"),
    allowsRegister: only !== "m" && !has("M"),
    allowsMemory: only !== "r" && has("EM"),
    ignoresMod: has("CD"),
    operands,
    layout,
  };
}

// ---- the decoder, asked ------------------------------------------------------------------------------------------------

const scratch = { buffer: new ArrayBuffer(256) } as unknown as WebAssembly.Memory;
const bytesOf = new Uint8Array(scratch.buffer);
const numbers = new Uint16Array(scratch.buffer);
const identity = Uint16Array.from({ length: layoutRows(opcodeTable).handlerCount }, (_, n) => n);
const decoder = new Decoder(opcodeTable, scratch, identity);

export interface Mode {
  readonly isCode32: boolean;
  readonly isFlat: boolean;
}

/** Row, length and handler that the decoder finds for these bytes. */
export function decode(
  bytes: readonly number[],
  mode: Mode,
): { row: Row | undefined; lengthBytes: number; handler: number } {
  bytesOf.fill(0xcc, 128, 160);
  bytesOf.set(bytes.slice(0, 16), 128);
  decoder.decode(bytesOf, 128, 160, 0, { ...mode, isProtected: true }, 0);
  const { row, lengthBytes, records } = decoder.result;
  return { row, lengthBytes, handler: row === undefined ? -1 : numbers[((records - 1) * RECORD_BYTES) >> 1] };
}

// ---- choices ---------------------------------------------------------------------------------------------------------

export function pick<T>(random: Random, list: readonly T[]): T {
  return list[random() % list.length];
}

const chance = (random: Random, percent: number): boolean => random() % 100 < percent;

const codeSelectors = [
  CS_FLAT,
  ...["code32", "code16", "code16", "executeOnly", "codeShort", "code16Pages", "flatCode32"].map(selectorOf),
];
const writableNames = ["data32", "data16", "down32", "down16", "high16", "wrap16", "pages32", "tiny", "wrap32"];
const stackSelectors = [DS_FLAT, ...writableNames.map(selectorOf), selectorOf("flat16")];
const dataSelectors = [DS_FLAT, 0, 0, ...["readOnly", "code32", ...writableNames].map(selectorOf)];

function chooseSegments(random: Random): Segments {
  if (chance(random, 40)) {
    const extra = () => (chance(random, 50) ? 0 : pick(random, dataSelectors));
    return [DS_FLAT, CS_FLAT, DS_FLAT, DS_FLAT, extra(), extra()];
  }
  const data = () => pick(random, dataSelectors);
  return [
    data(),
    chance(random, 25) ? CS_FLAT : pick(random, codeSelectors),
    chance(random, 30) ? DS_FLAT : pick(random, stackSelectors),
    data(),
    data(),
    data(),
  ];
}

export function isFlat(segments: Segments): boolean {
  return (
    segments[segment.cs] === CS_FLAT &&
    [segment.es, segment.ss, segment.ds].every((number) => segments[number] === DS_FLAT)
  );
}

const BASE16 = [3, 3, 5, 5, 6, 7, 5, 3];
const INDEX16 = [6, 7, 6, 7, -1, -1, -1, -1];

/** An address in the data pages, often over one of their edges. */
export function chooseTarget(random: Random): number {
  const value = random();
  const near = (random() % 17) - 8;
  const data = 0x30000000;
  switch (value % 16) {
    case 0:
    case 1:
      return data + 0x1000 + near;
    case 2:
      return data + 0x2000 + near;
    case 3:
      return data + near;
    case 4:
      return data + 0x3000 + (random() % 4080);
    case 5:
      return data + 0x10000 + (random() % 4080);
    case 6:
      return data + 0x400 + (random() % 24);
    default:
      return data + (random() % 0x1ff0);
  }
}

/** An offset in a segment whose linear address is worth an access, or that its limit forbids. */
export function chooseOffset(selector: number, addressWidth: 16 | 32, size: number, random: Random): number {
  const item = entryOf(selector);
  const base = baseOf(selector);
  if (item !== undefined && item.name !== "wrap32" && chance(random, 12)) {
    // Around the limit.
    const limit = item.isInPages ? item.limit * 4096 + 4095 : item.limit;
    return limit + 1 - size + (random() % (size + 3)) - 1;
  }
  if (item?.name !== "wrap32" && chance(random, 3))
    return pick(random, [0, 0xffff, 0xfffe, 0xfffd, 0xffffffff, 0xfffffffe, 0xfffffffc]);
  for (let tries = 0; ; tries++) {
    const offset = (chooseTarget(random) - base) >>> 0;
    if (addressWidth === 32 || offset <= 0xffff || tries === 20) return offset;
  }
}

const dword = (value: number): number[] => [
  value & 255,
  (value >>> 8) & 255,
  (value >>> 16) & 255,
  (value >>> 24) & 255,
];

/** One encoding of the row, or undefined if the choices made another row of it. */
export function chooseForm(shape: Shape, row: Row, random: Random): Form | undefined {
  const segments = chooseSegments(random);
  const cs = segments[segment.cs];
  const isCode32 = cs === CS_FLAT || entryOf(cs)?.is32 === true;
  const isAlignmentChecked = chance(random, 4);
  const has66 = chance(random, shape.layout.hasWidth ? 50 : 8) && shape.mandatory === 0;
  const width = isCode32 !== has66 ? 32 : 16;
  const has67 = chance(random, 25);
  const addressWidth = isCode32 !== has67 ? 32 : 16;
  const override = chance(random, 25) ? random() % 6 : -1;
  let repeat: 0 | 0xf2 | 0xf3 = 0;
  if (row.options.repeat !== undefined) repeat = pick(random, [0, 0xf2, 0xf3] as const);
  // Without a meaning for other one-byte opcodes.
  else if (shape.opcode[0] !== 0x0f && shape.mandatory === 0 && chance(random, 2))
    repeat = pick(random, [0xf2, 0xf3] as const);
  const isMemory = shape.allowsMemory && (!shape.allowsRegister || chance(random, 60));
  const isLocked = repeat === 0 && (row.options.lock === true && isMemory ? chance(random, 15) : chance(random, 1.5));

  const prefixes: number[] = [];
  if (has66) prefixes.push(0x66);
  if (has67) prefixes.push(0x67);
  if (override >= 0) prefixes.push([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65][override]);
  if (repeat !== 0) prefixes.push(repeat);
  if (isLocked) prefixes.push(0xf0);
  for (let n = prefixes.length - 1; n > 0; n--) {
    const other = random() % (n + 1);
    [prefixes[n], prefixes[other]] = [prefixes[other], prefixes[n]];
  }
  if (shape.mandatory !== 0) prefixes.push(shape.mandatory);

  const reg = random() & 7;
  const rm = random() & 7;
  const opcode = [...shape.opcode];
  if (shape.isRegisterOpcode) opcode[opcode.length - 1] += reg;
  const bytes = [...prefixes, ...opcode];
  let memory: MemoryForm | undefined;
  if (shape.hasModrm) {
    const field = shape.extension >= 0 ? shape.extension : reg;
    if (shape.ignoresMod) bytes.push((random() & 0xc0) | (field << 3) | rm);
    else if (!isMemory) bytes.push(0xc0 | (field << 3) | rm);
    else {
      const chosen = chooseMemory(field, addressWidth, override, segments, random);
      bytes.push(...chosen.bytes);
      memory = chosen.memory;
    }
  }
  // Where the code stands decides what relative branches reach.
  const codeOffset = chance(random, 88)
    ? 0x800
    : chance(random, 60)
      ? 0x1000 - 1 - (random() % 12)
      : CODE_BYTES - 1 - (random() % 12);
  let immediate = 0;
  for (const code of shape.operands) {
    if (code[0] === "O") {
      const used = override >= 0 ? override : segment.ds;
      const size = code === "Ob" ? 1 : width / 8;
      const offset = chooseOffset(segments[used], addressWidth, size, random);
      const displacement = addressWidth === 16 ? offset & 0xffff : offset;
      bytes.push(...dword(displacement).slice(0, addressWidth / 8));
      memory = { segment: used, base: -1, index: -1, scale: 0, displacement, addressWidth };
    } else if (code[0] === "J") {
      const size = code === "Jb" ? 1 : width / 8;
      immediate = chooseBranch(size, codeOffset, bytes.length + size, random);
      bytes.push(...dword(immediate).slice(0, size));
    } else if (code[0] === "I") {
      const value = chooseImmediate(row, code, segments, random);
      if (code[1] !== "2") immediate = value;
      const size = code === "Ib" || code === "Isb" || code === "I2b" ? 1 : /w$/.test(code) ? 2 : width / 8;
      bytes.push(...dword(value).slice(0, size));
    }
  }
  if (bytes.length > 15) return undefined;
  const found = decode(bytes, { isCode32, isFlat: isFlat(segments) && !isAlignmentChecked });
  const isLockValid = row.options.lock === true && memory !== undefined;
  const isValid = !isLocked || isLockValid;
  if (isValid && found.row !== row) return undefined;
  if (
    !isValid &&
    decode(
      bytes.filter((byte, n) => n >= prefixes.length || byte !== 0xf0),
      { isCode32, isFlat: false },
    ).row !== row
  )
    return undefined;
  return {
    row,
    bytes,
    codeOffset,
    segments,
    isCode32,
    isAlignmentChecked,
    width,
    addressWidth,
    override,
    repeat,
    isLocked,
    reg,
    rm,
    immediate,
    memory,
    handler: isValid ? found.handler : -1,
  };
}

function chooseMemory(
  field: number,
  addressWidth: 16 | 32,
  override: number,
  segments: Segments,
  random: Random,
): { bytes: number[]; memory: MemoryForm } {
  const mod = random() % 3;
  const rm = random() & 7;
  const bytes = [(mod << 6) | (field << 3) | rm];
  let base = -1;
  let index = -1;
  let scale = 0;
  let displacementBytes = mod === 1 ? 1 : mod === 2 ? addressWidth / 8 : 0;
  if (addressWidth === 32) {
    base = rm;
    if (rm === 4) {
      const sib = random() & 0xff;
      bytes.push(sib);
      scale = sib >> 6;
      index = (sib >> 3) & 7;
      if (index === 4) index = -1;
      base = sib & 7;
    }
    if (mod === 0 && base === 5) {
      base = -1;
      displacementBytes = 4;
    }
  } else {
    base = BASE16[rm];
    index = INDEX16[rm];
    if (mod === 0 && rm === 6) {
      base = -1;
      displacementBytes = 2;
    }
  }
  const isStack = base === 5 || (addressWidth === 32 && base === 4);
  const used = override >= 0 ? override : isStack ? segment.ss : segment.ds;
  let displacement = 0;
  if (base < 0 && index < 0) displacement = chooseOffset(segments[used], addressWidth, 4, random);
  else if (displacementBytes === 1) displacement = (random() << 24) >> 24;
  else if (displacementBytes > 1) displacement = random() % 2 === 0 ? (random() << 20) >> 20 : random();
  if (addressWidth === 16) displacement = (displacement << 16) >> 16;
  bytes.push(...dword(displacement).slice(0, displacementBytes));
  return { bytes, memory: { segment: used, base, index, scale, displacement, addressWidth } };
}

/** A displacement that does not lead back into the instruction itself. */
function chooseBranch(size: number, codeOffset: number, length: number, random: Random): number {
  for (;;) {
    let target: number;
    if (size === 1) target = codeOffset + length + ((random() << 24) >> 24);
    else {
      const kind = random() % 8;
      const inside = random() % CODE_BYTES;
      target =
        kind < 5
          ? inside
          : kind === 5
            ? CODE_BYTES - (random() % 4)
            : kind === 6
              ? 0x1000 - (random() % 3)
              : -1 - (random() % 16);
    }
    // Also once it has wrapped at 16 bits.
    const beyond = (target - codeOffset) & 0xffff;
    if (beyond > length + 1 && beyond < 0xfff0) return target - codeOffset - length;
  }
}

/** Selectors of all kinds, for instructions that examine or load them. Not the host's own beyond the flat ones. */
export function chooseSelector(random: Random, isTransfer = false): number {
  const kind = random() % 10;
  if (kind < 6) return ((random() % 22) << 3) | (chance(random, 75) ? 7 : 4 | (random() & 3));
  if (kind < 8) return pick(random, [CS_FLAT, DS_FLAT]) ^ (chance(random, 30) ? random() & 3 : 0);
  if (kind === 8) return random() & 3;
  const system = [0x08, 0x0b, 0x10, 0x18, 0x1b, 0x40, 0x43, 0x50, 0x80, 0x83, 0xfff8, 0xffff];
  return pick(random, isTransfer ? system : [...system, 0x33]);
}

/** Offset in a code segment: somewhere in the window, or beyond its end. */
export function chooseCodeOffset(selector: number, random: Random): number {
  const offset = chance(random, 85)
    ? 0x1800 + (random() % 0xe000)
    : pick(random, [0x10000, 0x10001, 0xffffffff, 0x1100]);
  return selector === CS_FLAT || selector === selectorOf("flatCode32") ? CODE_WINDOW + offset : offset;
}

function chooseImmediate(row: Row, code: string, segments: Segments, random: Random): number {
  switch (row.mnemonic) {
    case "jmpf":
    case "callf":
      return code === "I2w"
        ? chooseSelector(random, true)
        : chooseCodeOffset(chance(random, 50) ? CS_FLAT : segments[segment.cs], random);
    case "int": {
      // Linux' own gate.
      const vector = random() & 0xff;
      return vector === 0x80 ? 3 : chance(random, 40) ? random() & 7 : vector;
    }
    case "enter":
      return code === "Iw"
        ? pick(random, [0, 1, 2, 4, 8, 0x7f, 0x100, 0xfff, 0x1000, 0x7ff0, 0xffff])
        : pick(random, [0, 1, 2, 3, 5, 31, 32, 33, random() & 0xff]);
    case "ret":
    case "retf":
      return pick(random, [0, 1, 2, 4, 8, 0x10, 0xff, 0x1000, 0x7fff, 0x8000, 0xffff]);
  }
  if (/^(ro|rc|sh|sa)/.test(row.mnemonic))
    return pick(random, [0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 18, 24, 31, 32, 33, 0x40, 0xff, random()]);
  return integer(random);
}
