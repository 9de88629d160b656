/** Instruction bytes of opcode-table rows, for 32-bit code. */
import { layoutRows, type RowLayout } from "../../../src/cpu/decode/variants.ts";
import type { Row } from "../../../src/cpu/table/row.ts";
import { AREA } from "./case-format.ts";

export interface EncodeOptions {
  /** 16-bit operand size. */
  readonly isWidth16?: boolean;
  /** Memory form (ignored where the row leaves no choice). */
  readonly isMemory?: boolean;
  /** Register numbers of modrm.reg (or of the opcode) and of modrm.rm. */
  readonly reg?: number;
  readonly rm?: number;
  /** Linear address of the memory operand. */
  readonly address?: number;
  readonly immediate?: number;
  readonly second?: number;
  /** Prefix bytes in front of all others. */
  readonly prefixes?: readonly number[];
}

const named = new Set(["ES", "CS", "SS", "DS", "FS", "GS", "DX", "CL", "AL", "AX", "eAX", "cb", "cv", "1", "3"]);

/** What a row can be encoded as. */
export function formsOf(row: Row): { layout: RowLayout; forms: ("r" | "m" | "none")[] } {
  const layout = layoutRows([row]).layouts[0];
  if (layout.hasMemoryChoice) return { layout, forms: ["r", "m"] };
  if (layout.isMemoryOnly) return { layout, forms: ["m"] };
  return { layout, forms: [/ r$/.test(row.opcode) ? "r" : "none"] };
}

export function encode(row: Row, options: EncodeOptions = {}): number[] {
  const bytes: number[] = [...(options.prefixes ?? [])];
  const tokens = row.opcode.split(" ");
  if (options.isWidth16 === true) bytes.push(0x66);
  if (tokens[0] === "NP") tokens.shift();
  let extension = -1;
  let isRegisterOpcode = false;
  let full = -1;
  let isFormMemory: boolean | undefined;
  const opcode: number[] = [];
  for (const token of tokens) {
    if (token[0] === "/") extension = Number(token[1]);
    else if (token === "+r") isRegisterOpcode = true;
    else if (token === "r") isFormMemory = false;
    else if (token === "m") isFormMemory = true;
    else if (token[0] === "=") full = Number.parseInt(token.slice(1), 16);
    else opcode.push(Number.parseInt(token, 16));
  }
  const operands = row.operands.filter((code) => !named.has(code));
  const reg = options.reg ?? 1;
  if (isRegisterOpcode) opcode[opcode.length - 1] += reg;
  bytes.push(...opcode);
  const has = (letters: string) => operands.some((code) => letters.includes(code[0]));
  const isMemoryOnly = has("M");
  const isMemory = isFormMemory ?? (isMemoryOnly || (options.isMemory === true && has("EWQ")));
  if (full >= 0) bytes.push(full);
  else if (extension >= 0 || isFormMemory !== undefined || has("EGRQNWUFSCDPVM")) {
    const field = extension >= 0 ? extension : reg;
    if (isMemory) bytes.push((field << 3) | 5, ...dword(options.address ?? AREA));
    else bytes.push(0xc0 | (field << 3) | (options.rm ?? 2));
  }
  for (const code of operands) {
    if (code[0] === "O") bytes.push(...dword(options.address ?? AREA));
    else if (code[0] === "I" || code[0] === "J") {
      const isSecond = code[1] === "2";
      const value = (isSecond ? options.second : options.immediate) ?? 0;
      const size = code.at(-1) === "b" ? 1 : code.at(-1) === "w" || options.isWidth16 === true ? 2 : 4;
      bytes.push(...dword(value).slice(0, size));
    }
  }
  return bytes;
}

function dword(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, (value >>> 24) & 0xff];
}
