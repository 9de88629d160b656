/**
 * The instruction decoder: bytes to predecoded records, driven by the opcode table alone (SDM volume 2, chapter 2). Called
 * when code is met for the first time, so it is plain TypeScript; it allocates nothing.
 */
import { SEG_CS, SEG_DS, SEG_ES, SEG_FS, SEG_GS, SEG_SS } from "../layout.ts";
import type { Row } from "../table/row.ts";
import * as R from "./records.ts";
import {
  checkedBytes,
  handler,
  handlerNumber,
  isAddressOnly,
  layoutRows,
  type RowLayout,
  segmentedImmediate,
} from "./variants.ts";

type OperandClass = "gpr8" | "gpr" | "segment" | "control" | "mmx" | "xmm" | "st" | "none";

/** A table row prepared for decoding. */
interface Candidate {
  readonly layout: RowLayout;
  readonly row: Row;
  /** Mandatory prefix: 0 any, 1 none allowed (66, F2, F3), else 66h, F2h, F3h. */
  readonly prefix: number;
  readonly extension: number;
  /** "r", "m" or "" */
  readonly form: string;
  readonly fullModrm: number;
  readonly regClass: OperandClass;
  readonly rmClass: OperandClass;
  readonly isOpcodeRegister: boolean;
  readonly hasMemoryOperand: boolean;
  readonly isAddressOnly: boolean;
  readonly checkedBytes16: number;
  readonly checkedBytes32: number;
  /** Immediate kinds in encoding order. */
  readonly immediates: readonly string[];
  readonly ends: boolean;
}

interface Slot {
  readonly hasModrm: boolean;
  /** An immediate byte belongs to the opcode, whatever modrm selects. */
  hasImmediateByte: boolean;
  readonly candidates: readonly Candidate[];
}

function registerClass(code: string): OperandClass {
  switch (code[0]) {
    case "E":
    case "G":
    case "R":
    case "Z":
      return code === "Eb" || code === "Gb" || code === "Zb" ? "gpr8" : "gpr";
    case "S":
      return "segment";
    case "C":
    case "D":
      return "control";
    case "P":
    case "Q":
    case "N":
      return "mmx";
    case "V":
    case "W":
    case "U":
      return "xmm";
    case "F":
      return "st";
  }
  return "none";
}

const namedOperands = new Set([
  "ES",
  "CS",
  "SS",
  "DS",
  "FS",
  "GS",
  "DX",
  "CL",
  "AL",
  "AX",
  "eAX",
  "cb",
  "cv",
  "1",
  "3",
]);

function compile(layout: RowLayout): {
  map: number;
  byte: number;
  hasModrm: boolean;
  span: number;
  candidate: Candidate;
} {
  const { row } = layout;
  const tokens = row.opcode.split(" ");
  let prefix = 0;
  const first = tokens[0];
  if (first === "NP") prefix = 1;
  if (tokens.length > 1 && tokens[1] !== "+r" && !/^[/=rm]/.test(tokens[1])) {
    if (first === "66" || first === "F2" || first === "F3") prefix = Number.parseInt(first, 16);
  }
  if (prefix !== 0) tokens.shift();
  let map = 0;
  if (tokens[0] === "0F") {
    map = 1;
    tokens.shift();
  }
  const byte = Number.parseInt(tokens.shift() ?? "", 16);
  let extension = -1;
  let form = "";
  let fullModrm = -1;
  let span = 1;
  for (const token of tokens) {
    if (token === "+r") span = 8;
    else if (token[0] === "/") extension = Number(token[1]);
    else if (token[0] === "=") fullModrm = Number.parseInt(token.slice(1), 16);
    else form = token;
  }
  let regClass: OperandClass = "none";
  let rmClass: OperandClass = "none";
  let hasMemoryOperand = false;
  let hasModrm = extension >= 0 || form !== "" || fullModrm >= 0;
  const immediates: string[] = [];
  for (const code of row.operands) {
    if (namedOperands.has(code)) continue;
    const letter = code[0];
    if ("GSCDPV".includes(letter)) {
      regClass = registerClass(code);
      hasModrm = true;
    } else if ("ERQNWUF".includes(letter)) {
      rmClass = registerClass(code);
      hasModrm = true;
      if ("EQW".includes(letter)) hasMemoryOperand = true;
    } else if (letter === "M") {
      hasModrm = true;
      hasMemoryOperand = true;
    } else if (letter === "Z") regClass = registerClass(code);
    else if (letter === "O") {
      hasMemoryOperand = true;
      immediates.push(code);
    } else if (letter === "I" || letter === "J") immediates.push(code);
  }
  return {
    map,
    byte,
    hasModrm,
    span,
    candidate: {
      layout,
      row,
      prefix,
      extension,
      form,
      fullModrm,
      regClass,
      rmClass,
      isOpcodeRegister: span === 8,
      hasMemoryOperand,
      isAddressOnly: isAddressOnly(row),
      checkedBytes16: checkedBytes(row, 16),
      checkedBytes32: checkedBytes(row, 32),
      immediates,
      ends: row.options.ends === true,
    },
  };
}

/** What the last `decode` found, beside the records. */
export interface Decoded {
  lengthBytes: number;
  /** Records written (1 or 2). */
  records: number;
  /** Control does not fall through. */
  ends: boolean;
  /** Row of the instruction, undefined for an invalid opcode. */
  row: Row | undefined;
}

const FLAT_SEGMENTS = (1 << SEG_DS) | (1 << SEG_ES) | (1 << SEG_SS);
const BASE16 = [3, 3, 5, 5, 6, 7, 5, 3];
const INDEX16 = [6, 7, 6, 7, -1, -1, -1, -1];

export class Decoder {
  readonly handlerCount: number;
  readonly layouts: readonly RowLayout[];
  readonly result: Decoded = { lengthBytes: 0, records: 0, ends: false, row: undefined };
  readonly #slots: (Slot | undefined)[][];
  readonly #renumber: Uint16Array;
  readonly #u8: Uint8Array;
  readonly #u16: Uint16Array;
  readonly #i32: Int32Array;

  /** Records are written into `memory`; `renumber` gives the interpreter's number of each handler. */
  constructor(rows: readonly Row[], memory: WebAssembly.Memory, renumber: Uint16Array) {
    this.#renumber = renumber;
    const { layouts, handlerCount } = layoutRows(rows);
    this.layouts = layouts;
    this.handlerCount = handlerCount;
    this.#u8 = new Uint8Array(memory.buffer);
    this.#u16 = new Uint16Array(memory.buffer);
    this.#i32 = new Int32Array(memory.buffer);
    const slots: { hasModrm: boolean; hasImmediateByte: boolean; candidates: Candidate[] }[][] = [[], []];
    const compiled = layouts.map(compile);
    // Exact opcodes before register ranges, mandatory prefixes before none.
    compiled.sort((a, b) => a.span - b.span || rank(a.candidate) - rank(b.candidate));
    for (const { map, byte, hasModrm, span, candidate } of compiled) {
      for (let n = 0; n < span; n++) {
        const slot = (slots[map][byte + n] ??= { hasModrm: false, hasImmediateByte: false, candidates: [] });
        slot.hasModrm ||= hasModrm;
        slot.candidates.push(candidate);
      }
    }
    const isByte = (candidate: Candidate) => candidate.immediates.length === 1 && candidate.immediates[0] === "Ib";
    for (const slot of slots.flat()) if (slot !== undefined) slot.hasImmediateByte = slot.candidates.every(isByte);
    this.#slots = slots;
  }

  /**
   * Decodes one instruction at `bytes[at…]`, reading no further than `end`. Writes one or two records at host address
   * `target`. False: the instruction does not end before `end` (nothing is written).
   */
  decode(bytes: Uint8Array, at: number, end: number, pageOffset: number, mode: DecodeMode, target: number): boolean {
    const start = at;
    const result = this.result;
    let operandSize = mode.isCode32;
    let addressSize = mode.isCode32;
    let segment = -1;
    let repeat: 0 | 0xf2 | 0xf3 = 0;
    let isLocked = false;
    let has66 = false;
    let byte = 0;
    for (;;) {
      if (at >= end) return false;
      if (at - start >= 15) return this.#tooLong(pageOffset, target);
      byte = bytes[at++];
      if (byte === 0x66) {
        operandSize = !mode.isCode32;
        has66 = true;
      } else if (byte === 0x67) addressSize = !mode.isCode32;
      else if (byte === 0xf2 || byte === 0xf3) repeat = byte;
      else if (byte === 0xf0) isLocked = true;
      else if (byte === 0x26) segment = SEG_ES;
      else if (byte === 0x2e) segment = SEG_CS;
      else if (byte === 0x36) segment = SEG_SS;
      else if (byte === 0x3e) segment = SEG_DS;
      else if (byte === 0x64) segment = SEG_FS;
      else if (byte === 0x65) segment = SEG_GS;
      else break;
    }
    let map = 0;
    if (byte === 0x0f) {
      if (at - start >= 15) return this.#tooLong(pageOffset, target);
      if (at >= end) return false;
      byte = bytes[at++];
      map = 1;
    }
    const slot = this.#slots[map][byte];
    if (slot === undefined) return this.#invalid(at - start, pageOffset, target);
    let modrm = 0;
    if (slot.hasModrm) {
      if (at >= end) return false;
      modrm = bytes[at++];
    }
    const isMemory = modrm < 0xc0;
    const candidate = select(slot, modrm, isMemory, repeat, has66);
    // All its bytes are consumed before an invalid form is reported, as their absence may fault first.
    let base = -1;
    let index = -1;
    let scale = 0;
    let displacement = 0;
    let defaultSegment = SEG_DS;
    const hasAddress = slot.hasModrm && isMemory;
    const forcesRegister = candidate?.row.operands.some(isControlMove) === true;
    if (hasAddress && !forcesRegister) {
      const mod = modrm >> 6;
      const rm = modrm & 7;
      let displacementBytes = mod === 1 ? 1 : mod === 2 ? (addressSize ? 4 : 2) : 0;
      if (addressSize) {
        if (rm === 4) {
          if (at >= end) return false;
          const sib = bytes[at++];
          scale = sib >> 6;
          index = (sib >> 3) & 7;
          if (index === 4) index = -1;
          base = sib & 7;
          if (base === 5 && mod === 0) {
            base = -1;
            displacementBytes = 4;
          }
        } else if (rm === 5 && mod === 0) displacementBytes = 4;
        else base = rm;
        if (base === 4 || base === 5) defaultSegment = SEG_SS;
      } else {
        base = BASE16[rm];
        index = INDEX16[rm];
        if (rm === 2 || rm === 3 || rm === 6) defaultSegment = SEG_SS;
        if (rm === 4) base = 6;
        else if (rm === 5) base = 7;
        else if (rm === 6) base = 5;
        else if (rm === 7) base = 3;
        if (rm === 6 && mod === 0) {
          base = -1;
          displacementBytes = 2;
          defaultSegment = SEG_DS;
        }
      }
      if (at + displacementBytes > end) return false;
      if (displacementBytes === 1) displacement = (bytes[at] << 24) >> 24;
      else if (displacementBytes === 2) displacement = ((bytes[at] | (bytes[at + 1] << 8)) << 16) >> 16;
      else if (displacementBytes === 4) displacement = read32(bytes, at);
      at += displacementBytes;
    }
    if (candidate === undefined) {
      if (slot.hasImmediateByte) {
        if (at >= end) return false;
        at++;
      }
      return this.#invalid(at - start, pageOffset, target);
    }
    const { row, layout } = candidate;
    if (row.options.protectedOnly === true && !mode.isProtected) return this.#invalid(at - start, pageOffset, target);

    // x87 instructions have no immediate: their opcode as FOP has it (SDM volume 1, 8.1.9) stands there.
    let immediate = map === 0 && byte >= 0xd8 && byte <= 0xdf ? ((byte & 7) << 8) | modrm : 0;
    let second = displacement;
    for (const kind of candidate.immediates) {
      let size: number;
      if (kind === "Ib" || kind === "Isb" || kind === "Jb" || kind === "I2b") size = 1;
      else if (kind === "Iw" || kind === "I2w") size = 2;
      else if (kind[0] === "O") size = addressSize ? 4 : 2;
      else size = operandSize ? 4 : 2;
      if (at + size > end) return false;
      let value = size === 1 ? bytes[at] : size === 2 ? bytes[at] | (bytes[at + 1] << 8) : read32(bytes, at);
      at += size;
      if (kind === "Isb") {
        value = (value << 24) >> 24;
        if (!operandSize) value &= 0xffff;
      }
      if (kind[0] === "O") {
        base = -1;
        displacement = value;
        second = value;
      } else if (kind[1] === "2") second = value;
      else immediate = value;
    }
    if (at - start > 15) return this.#tooLong(pageOffset, target);
    if (isLocked && !(row.options.lock === true && isMemory)) return this.#invalid(at - start, pageOffset, target);

    const usedSegment = segment >= 0 ? segment : defaultSegment;
    const isFlatSegment = mode.isFlat && ((FLAT_SEGMENTS >> usedSegment) & 1) !== 0;
    const hasMemory = candidate.hasMemoryOperand && (!slot.hasModrm || isMemory);
    let rmSlot = 0;
    let records = 0;
    const length = at - start;
    if (hasMemory) {
      if (row.mnemonic === "pop" && base === 4) {
        // POP [ESP + n] addresses with ESP already incremented.
        displacement = (displacement + (operandSize ? 4 : 2)) | 0;
        second = displacement;
      }
      const needsSegment = !candidate.isAddressOnly && !isFlatSegment;
      if (needsSegment || index >= 0 || !addressSize) {
        this.#common(
          target,
          needsSegment || !addressSize ? handler.addressSegmented : handler.address,
          pageOffset,
          length,
        );
        this.#u8[target + R.RECORD_RM] = base < 0 ? R.SLOT_ZERO : base * 8;
        this.#u8[target + R.RECORD_THIRD] = index < 0 ? R.SLOT_ZERO : index * 8;
        this.#i32[(target + R.RECORD_DISPLACEMENT) >> 2] = displacement;
        this.#i32[(target + R.RECORD_IMMEDIATE) >> 2] =
          needsSegment || !addressSize
            ? scale |
              (usedSegment << segmentedImmediate.segmentShift) |
              ((operandSize ? candidate.checkedBytes32 : candidate.checkedBytes16) << segmentedImmediate.sizeShift) |
              (row.options.writes === true ? segmentedImmediate.write : 0) |
              (addressSize ? 0 : segmentedImmediate.address16) |
              (needsSegment ? 0 : segmentedImmediate.noSegment)
            : scale;
        target += R.RECORD_BYTES;
        records = 1;
        rmSlot = R.SLOT_TEMPORARY;
        second = 0;
      } else rmSlot = base < 0 ? R.SLOT_ZERO : base * 8;
    } else if (slot.hasModrm) {
      rmSlot = registerSlot(candidate.rmClass, modrm & 7);
    }
    const reg = candidate.isOpcodeRegister ? byte & 7 : (modrm >> 3) & 7;
    const number = handlerNumber(
      layout,
      operandSize,
      hasMemory,
      row.options.repeat !== undefined ||
        row.mnemonic === "xlat" ||
        row.options.usesSegment === true ||
        candidate.isAddressOnly
        ? isFlatSegment
        : mode.isFlat,
      addressSize,
      repeat,
    );
    if (candidate.regClass === "segment" && (reg > 5 || (row.opcode === "8E" && reg === SEG_CS)))
      return this.#invalid(length, pageOffset, records > 0 ? target - R.RECORD_BYTES : target);
    this.#common(target, this.#renumber[number], pageOffset, length);
    this.#u8[target + R.RECORD_REG] = registerSlot(candidate.regClass, reg);
    this.#u8[target + R.RECORD_RM] = rmSlot;
    this.#u8[target + R.RECORD_THIRD] = usedSegment;
    this.#i32[(target + R.RECORD_DISPLACEMENT) >> 2] = second;
    this.#i32[(target + R.RECORD_IMMEDIATE) >> 2] = immediate;
    result.lengthBytes = length;
    result.records = records + 1;
    result.ends = candidate.ends;
    result.row = row;
    return true;
  }

  /** Writes one of the engine's own records. */
  writeSpecial(target: number, kind: number, pageOffset: number, length = 0): void {
    this.#common(target, kind, pageOffset, length);
  }

  #common(target: number, number: number, pageOffset: number, length: number): void {
    this.#u16[(target + R.RECORD_HANDLER) >> 1] = number;
    this.#u16[(target + R.RECORD_OFFSET) >> 1] = pageOffset;
    this.#u8[target + R.RECORD_LENGTH] = length;
  }

  #invalid(length: number, pageOffset: number, target: number): true {
    if (length > 15) return this.#tooLong(pageOffset, target);
    this.#common(target, handler.undefined, pageOffset, length);
    this.result.lengthBytes = length;
    this.result.records = 1;
    this.result.ends = true;
    this.result.row = undefined;
    return true;
  }

  #tooLong(pageOffset: number, target: number): true {
    this.#invalid(15, pageOffset, target);
    this.#common(target, handler.tooLong, pageOffset, 15);
    return true;
  }
}

export interface DecodeMode {
  readonly isCode32: boolean;
  readonly isFlat: boolean;
  readonly isProtected: boolean;
}

function rank(candidate: Candidate): number {
  return candidate.prefix > 1 ? 0 : candidate.fullModrm >= 0 ? 1 : candidate.form !== "" ? 2 : 3;
}

function isControlMove(code: string): boolean {
  return code === "Cd" || code === "Dd";
}

function read32(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
}

function registerSlot(kind: OperandClass, number: number): number {
  switch (kind) {
    case "gpr8":
      return R.gprOffset(number, 8);
    case "gpr":
      return number * 8;
    case "mmx":
    case "xmm":
      return number * 16;
    default:
      return number;
  }
}

function select(slot: Slot, modrm: number, isMemory: boolean, repeat: number, has66: boolean): Candidate | undefined {
  for (const candidate of slot.candidates) {
    if (candidate.prefix === 1) {
      if (repeat !== 0 || has66) continue;
    } else if (candidate.prefix === 0x66) {
      if (!has66 || repeat !== 0) continue;
    } else if (candidate.prefix !== 0 && candidate.prefix !== repeat) continue;
    if (candidate.fullModrm >= 0 && candidate.fullModrm !== modrm) continue;
    if (candidate.extension >= 0 && candidate.extension !== ((modrm >> 3) & 7)) continue;
    if (candidate.form === "r" && isMemory) continue;
    if (candidate.form === "m" && !isMemory) continue;
    return candidate;
  }
  return undefined;
}
