/**
 * From table rows to handlers: each row stands for one handler per combination of the things that are known at decode time
 * and change the code (operand size, register or memory, flat segments, address size, repeat prefix). The decoder computes
 * the handler number from the same dimensions; the interpreter generator walks all of them.
 */
import type { Row } from "../table/row.ts";
import type { Instruction, Operand } from "./operand.ts";

/** First handler numbers are the engine's own records. */
export const handler = {
  /** Never valid: a zeroed record. */
  none: 0,
  /** Go on at the page offset of this record (end of page or of decoded run, or code went away). */
  refetch: 1,
  /** temporary = base + (index << scale) + displacement. */
  address: 2,
  /** temporary = the same with segment, limit check, address size (packed in the immediate). */
  addressSegmented: 3,
  /** The instruction crosses into the next page: the engine executes it singly. */
  crossing: 4,
  /** End of a single step. */
  stop: 5,
  /** Raises #UD, #GP(0) for over-long instructions. */
  undefined: 6,
  tooLong: 7,
  first: 8,
} as const;

/** Packing of `addressSegmented`'s immediate. */
export const segmentedImmediate = {
  scaleMask: 3,
  segmentShift: 4,
  sizeShift: 8,
  write: 1 << 24,
  address16: 1 << 25,
  /** Effective address only: no segment base, no check. */
  noSegment: 1 << 26,
} as const;

export interface Variant {
  readonly row: Row;
  readonly handler: number;
  readonly instruction: Instruction;
  /** Memory operand present in this variant. */
  readonly hasMemory: boolean;
}

/** Dimensions of a row, and the number of its first handler. */
export interface RowLayout {
  readonly row: Row;
  readonly base: number;
  readonly hasWidth: boolean;
  readonly hasMemoryChoice: boolean;
  readonly isMemoryOnly: boolean;
  readonly hasFlat: boolean;
  readonly hasAddressWidth: boolean;
  readonly repeats: number;
  readonly count: number;
}

const memoryLetters = new Set(["E", "W", "Q"]);

/** Parses one operand code for a width and the register/memory choice. */
function resolve(code: string, width: number, isMemory: boolean): Operand {
  const sizeOf = (letter: string): number => {
    switch (letter) {
      case "b":
        return 8;
      case "w":
        return 16;
      case "d":
        return 32;
      case "q":
        return 64;
      case "x":
        return 128;
      case "t":
        return 80;
      case "v":
        return width;
      default:
        throw new Error(`operand code ${code}`);
    }
  };
  switch (code) {
    case "AL":
      return { kind: "fixed", width: 8, index: 0 };
    case "CL":
      return { kind: "fixed", width: 8, index: 1 };
    case "AX":
      return { kind: "fixed", width: 16, index: 0 };
    case "DX":
      return { kind: "fixed", width: 16, index: 2 };
    case "eAX":
      return { kind: "fixed", width, index: 0 };
    case "ES":
    case "CS":
    case "SS":
    case "DS":
    case "FS":
    case "GS":
      return { kind: "fixedSegment", width: 16, index: ["ES", "CS", "SS", "DS", "FS", "GS"].indexOf(code) };
    case "1":
    case "3":
      return { kind: "constant", width: 8, value: Number(code) };
    case "cb":
      return { kind: "constant", width: 8, value: 0 };
    case "cv":
      return { kind: "constant", width, value: 0 };
    case "Isb":
      return { kind: "immediate", width };
    case "EwS":
      // Selectors and machine status: a word in memory, the whole register zero extended.
      return isMemory ? { kind: "memory", width: 16 } : { kind: "gpr", width, field: "rm" };
    case "Ebv":
      return isMemory ? { kind: "memory", width } : { kind: "gpr", width, field: "rm" };
  }
  const letter = code[0];
  const rest = code.slice(1);
  switch (letter) {
    case "E":
      if (rest === "0") return { kind: "memory", width: 0 };
      return isMemory ? { kind: "memory", width: sizeOf(rest) } : { kind: "gpr", width: sizeOf(rest), field: "rm" };
    case "R":
      return { kind: "gpr", width: sizeOf(rest), field: "rm" };
    case "G":
    case "Z":
      return { kind: "gpr", width: sizeOf(rest), field: "reg" };
    case "M":
      return { kind: "memory", width: memoryWidth(code, width) };
    case "O":
      return { kind: "memory", width: sizeOf(rest) };
    case "I":
      if (rest[0] === "2") return { kind: "immediate2", width: sizeOf(rest[1]) };
      return { kind: "immediate", width: sizeOf(rest) };
    case "J":
      return { kind: "immediate", width: sizeOf(rest) };
    case "S":
      return { kind: "segment", width: 16, field: "reg" };
    case "C":
      return { kind: "control", width: 32, field: "reg" };
    case "D":
      return { kind: "debug", width: 32, field: "reg" };
    case "P":
      return { kind: "mmx", width: 64, field: "reg" };
    case "N":
      return { kind: "mmx", width: 64, field: "rm" };
    case "Q":
      return isMemory ? { kind: "memory", width: sizeOf(rest) } : { kind: "mmx", width: 64, field: "rm" };
    case "V":
      return { kind: "xmm", width: 128, field: "reg" };
    case "U":
      return { kind: "xmm", width: 128, field: "rm" };
    case "W":
      return isMemory ? { kind: "memory", width: sizeOf(rest) } : { kind: "xmm", width: 128, field: "rm" };
    case "F":
      return { kind: "st", width: 80, field: "rm" };
  }
  throw new Error(`operand code ${code}`);
}

/** Width in bits of a memory-only operand: "M" + size letter, or bytes in decimal. */
function memoryWidth(code: string, width: number): number {
  switch (code.slice(1)) {
    case "0":
      return 0;
    case "a":
      return width * 2;
    case "p":
      return width + 16;
    case "s":
      return 48;
    case "e":
      return width === 16 ? 14 * 8 : 28 * 8;
    case "f":
      return width === 16 ? 94 * 8 : 108 * 8;
    case "b":
      return 8;
    case "w":
      return 16;
    case "d":
      return 32;
    case "q":
      return 64;
    case "x":
      return 128;
    case "t":
      return 80;
    case "v":
      return width;
  }
  const bytes = Number(code.slice(1));
  if (bytes > 0) return bytes * 8;
  throw new Error(`operand code ${code}`);
}

const codes = (row: Row): readonly string[] => row.operands;

/** Bytes that the segment check of the memory operand covers; 0: effective address only. */
export function checkedBytes(row: Row, width: number): number {
  if (row.options.addressOnly === true) return 0;
  for (const code of codes(row)) {
    if (code === "Ebv" || code === "E0" || code === "M0") return 0;
    if (code === "EwS") return 2;
    if (code[0] === "E" || code[0] === "W" || code[0] === "Q" || code[0] === "O")
      return resolve(code, width, true).width / 8;
    if (code[0] === "M") return memoryWidth(code, width) / 8;
  }
  return 0;
}

/** Whether the row's memory operand is addressed without its segment (LEA, bit strings, INVLPG, NOP …). */
export function isAddressOnly(row: Row): boolean {
  if (row.options.addressOnly === true) return true;
  return codes(row).some((code) => code === "Ebv" || code === "E0" || code === "M0");
}

export function layoutRows(rows: readonly Row[]): { layouts: RowLayout[]; handlerCount: number } {
  let base = handler.first as number;
  const layouts = rows.map((row): RowLayout => {
    const isFormFixed = / [rm]$/.test(row.opcode) || row.opcode.includes("=");
    const hasRm = codes(row).some((c) => memoryLetters.has(c[0]) && c !== "ES");
    const isMemoryOnly =
      codes(row).some((c) => (c[0] === "M" && c !== "M") || c[0] === "O") || (hasRm && row.opcode.endsWith(" m"));
    const hasMemoryChoice = hasRm && !isFormFixed && !codes(row).includes("E0");
    const hasWidth =
      row.options.usesWidth === true ||
      codes(row).some((c) => c === "eAX" || c === "Isb" || c === "EwS" || /[vap]$/.test(c));
    const hasFlat = row.options.usesFlat === true;
    const hasAddressWidth = row.options.usesAddressWidth === true;
    const repeats = row.options.repeat === 2 ? 3 : row.options.repeat === 1 ? 2 : 1;
    const count =
      (hasWidth ? 2 : 1) * (hasMemoryChoice ? 2 : 1) * (hasFlat ? 2 : 1) * (hasAddressWidth ? 2 : 1) * repeats;
    const layout = { row, base, hasWidth, hasMemoryChoice, isMemoryOnly, hasFlat, hasAddressWidth, repeats, count };
    base += count;
    return layout;
  });
  return { layouts, handlerCount: base };
}

/** Handler number of a row for one decoded situation. */
export function handlerNumber(
  layout: RowLayout,
  isWidth32: boolean,
  isMemory: boolean,
  isFlat: boolean,
  isAddress32: boolean,
  repeat: 0 | 0xf2 | 0xf3,
): number {
  let n = 0;
  if (layout.hasWidth) n = n * 2 + (isWidth32 ? 1 : 0);
  if (layout.hasMemoryChoice) n = n * 2 + (isMemory ? 1 : 0);
  if (layout.hasFlat) n = n * 2 + (isFlat ? 1 : 0);
  if (layout.hasAddressWidth) n = n * 2 + (isAddress32 ? 1 : 0);
  if (layout.repeats > 1) {
    const r = repeat === 0 ? 0 : layout.repeats === 2 ? 1 : repeat === 0xf3 ? 1 : 2;
    n = n * layout.repeats + r;
  }
  return layout.base + n;
}

/** All variants of a row. */
export function variantsOf(layout: RowLayout): Variant[] {
  const variants: Variant[] = [];
  const both = [false, true];
  for (const is32 of layout.hasWidth ? both : [true]) {
    for (const isMemory of layout.hasMemoryChoice ? both : [layout.isMemoryOnly]) {
      for (const isFlat of layout.hasFlat ? both : [true]) {
        for (const isAddress32 of layout.hasAddressWidth ? both : [true]) {
          for (const repeat of [0, 0xf3, 0xf2].slice(0, layout.repeats) as (0 | 0xf2 | 0xf3)[]) {
            const width = is32 ? 32 : 16;
            variants.push({
              row: layout.row,
              handler: handlerNumber(layout, is32, isMemory, isFlat, isAddress32, repeat),
              hasMemory: isMemory,
              instruction: {
                mnemonic: layout.row.mnemonic,
                width,
                addressWidth: isAddress32 ? 32 : 16,
                operands: layout.row.operands.map((code) => resolve(code, width, isMemory)),
                repeat,
                isFlat,
                parameter: layout.row.parameter,
              },
            });
          }
        }
      }
    }
  }
  return variants;
}
