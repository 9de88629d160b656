/**
 * Operands as the semantics see them. What an operand *is* (register class, memory, immediate) and its width are known
 * when a handler is generated; *which* register or address stands in the predecoded record for the interpreter and is a
 * constant for the region compiler.
 */

/** Where in a predecoded record the register number or value stands. */
export type RecordField = "reg" | "rm";

export type Operand =
  | { readonly kind: "gpr"; readonly width: number; readonly field: RecordField }
  /** A register named by the opcode itself (AL, CL, DX, EAX…): index as encoded (AH = 4 for width 8). */
  | { readonly kind: "fixed"; readonly width: number; readonly index: number }
  | { readonly kind: "memory"; readonly width: number }
  /** Immediate, zero extended to `width` (already sign extended to it by the decoder where the opcode says so). */
  | { readonly kind: "immediate"; readonly width: number }
  /** Second immediate (far pointer selector, ENTER's level): in the record's displacement. */
  | { readonly kind: "immediate2"; readonly width: number }
  | { readonly kind: "constant"; readonly width: number; readonly value: number }
  /** Segment register by number. */
  | { readonly kind: "segment"; readonly width: number; readonly field: RecordField }
  | { readonly kind: "fixedSegment"; readonly width: number; readonly index: number }
  | { readonly kind: "control"; readonly width: number; readonly field: RecordField }
  | { readonly kind: "debug"; readonly width: number; readonly field: RecordField }
  | { readonly kind: "mmx"; readonly width: number; readonly field: RecordField }
  | { readonly kind: "xmm"; readonly width: number; readonly field: RecordField }
  /** x87 stack register ST(i), i from the record. */
  | { readonly kind: "st"; readonly width: number; readonly field: RecordField };

/** What a semantics function knows when it runs: everything static of the instruction. */
export interface Instruction {
  readonly mnemonic: string;
  /** Operand size in bits: 16 or 32 (64 in long mode). */
  readonly width: number;
  /** Address size in bits: 16 or 32. */
  readonly addressWidth: number;
  readonly operands: readonly Operand[];
  /** Repeat prefix of string instructions: 0, F2h or F3h. */
  readonly repeat: 0 | 0xf2 | 0xf3;
  /** Segments are flat and the stack is 32 bits wide: implicit memory operands need no segment arithmetic. */
  readonly isFlat: boolean;
  /** Extra constant of the table row (condition code, shift kind, …). */
  readonly parameter: number;
}
