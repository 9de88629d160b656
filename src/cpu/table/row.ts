/**
 * The opcode table's row type and its notation. One row is one encoding with one meaning; its semantics function is the
 * only place where the instruction's effect is written. Operand notation follows the manuals' opcode maps (SDM volume 2,
 * appendix A):
 *
 *   E  modrm.rm, register or memory      G  modrm.reg general register      M  modrm.rm, memory only
 *   R  modrm.rm, register only           Z  register in the opcode's low 3 bits
 *   I  immediate   Is  immediate sign extended to the operand size     J  relative offset     A  far pointer
 *   O  offset in moffs form              S  segment in modrm.reg       C, D  control, debug register in modrm.reg
 *   P  MMX in modrm.reg   Q  MMX or memory in modrm.rm    V  XMM in modrm.reg    W  XMM or memory in modrm.rm
 *   F  ST(i), i in modrm.rm
 *   sizes: b 8, w 16, d 32, q 64, x 128, t 80, v operand size (16/32), z as v for immediates, p far pointer, 0 address only,
 *          e x87 environment, f x87 state
 *   fixed: AL CL DX AX eAX (by operand size) ES CS SS DS FS GS 1 3
 */
import type { Instruction } from "../decode/operand.ts";
import type { Builder } from "../ir/builder.ts";

export type Semantics = (b: Builder, i: Instruction) => void;

export interface Row {
  /**
   * Opcode bytes in hex, with optional mandatory prefix and modrm restrictions: "0F B6", "66 0F 58", "80 /0",
   * "0F AE /5 r" (register form only), "0F AE /5 m", "D9 E8" for x87's full second bytes is written "D9 =E8".
   * "+r" adds the low three bits as a register number.
   */
  readonly opcode: string;
  readonly mnemonic: string;
  readonly operands: readonly string[];
  readonly semantics: Semantics;
  /** Constant handed to the semantics function. */
  readonly parameter: number;
  readonly options: RowOptions;
}

export interface RowOptions {
  /** LOCK is allowed with a memory destination. */
  readonly lock?: boolean;
  /** The operand size matters though no operand says so. */
  readonly usesWidth?: boolean;
  /** The address size matters beyond the memory operand (strings, LOOP, JCXZ, XLAT). */
  readonly usesAddressWidth?: boolean;
  /** Implicit memory operands (stack, strings): separate handlers for flat segments. */
  readonly usesFlat?: boolean;
  /** The implicit memory operand obeys a segment override (XLAT, MASKMOVQ). */
  readonly usesSegment?: boolean;
  /** REP/REPE/REPNE change it: 1 = REP only, 2 = REPE and REPNE differ. */
  readonly repeat?: 1 | 2;
  /** Control does not fall through to the next record. */
  readonly ends?: boolean;
  /** May fall through or jump: decoding goes on behind it. */
  readonly branches?: boolean;
  /** Its availability checks: x87 (#NM by EM/TS, pending #MF), mmx (#UD by EM, #NM by TS), sse (#UD by EM/OSFXSR, #NM), mmx-sse both. */
  readonly unit?: "x87" | "x87-control" | "mmx" | "sse" | "mmx-sse" | "fxsave";
  /** Body inside the interpreter's dispatch loop rather than in a function of its own. */
  readonly hot?: boolean;
  /** Memory operand is written (or read and written): its segment must be writable. */
  readonly writes?: boolean;
  /**
   * The semantics check the memory operand's segment themselves, part by part and in the processor's order; before that
   * there is only its effective address. The row says `usesFlat` as well.
   */
  readonly addressOnly?: boolean;
  /** What it writes of the system state is nothing that regions take for granted (the mode word, CPL, CS). */
  readonly inRegions?: boolean;
  /** Not valid in real and V86 mode (#UD). */
  readonly protectedOnly?: boolean;
}

export function row(
  opcode: string,
  mnemonic: string,
  operands: string,
  semantics: Semantics,
  options: RowOptions = {},
  parameter = 0,
): Row {
  return { opcode, mnemonic, operands: operands.split(" ").filter((o) => o !== ""), semantics, parameter, options };
}
