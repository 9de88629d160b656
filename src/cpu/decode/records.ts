/**
 * Layout of a predecoded record (16 bytes in the shared memory). A memory operand that is not plain [base + displacement] in
 * a flat segment is computed by a record of its own in front (handler.address…), which leaves the linear address in
 * the temporary slot; the instruction's own record then has base = temporary, displacement 0.
 */
export const RECORD_BYTES = 16;
/** u16: handler number. */
export const RECORD_HANDLER = 0;
/** u16: offset of the instruction in its page (up to 4096 + 15 for the record after the last one). */
export const RECORD_OFFSET = 2;
/** u8: instruction length in bytes. */
export const RECORD_LENGTH = 4;
/** u8: register operand of modrm.reg or of the opcode: byte offset in its register file. */
export const RECORD_REG = 5;
/** u8: register operand of modrm.rm, or base of the memory operand: byte offset in its register file. */
export const RECORD_RM = 6;
/** u8: segment number for implicit memory operands; index register's byte offset in address records. */
export const RECORD_THIRD = 7;
/** i32: displacement, or the second immediate. */
export const RECORD_DISPLACEMENT = 8;
/** i32: immediate. */
export const RECORD_IMMEDIATE = 12;

/** "Registers" of addressing beyond the sixteen: always zero, and the temporary (layout.ts GPR_ZERO and the slot after it). */
export const SLOT_ZERO = 0x80;
export const SLOT_TEMPORARY = 0x88;

/** Byte offset of a general register in the file for an operand of that width (AH…BH are byte 1 of EAX…EBX). */
export function gprOffset(index: number, width: number): number {
  return width === 8 ? (index & 3) * 8 + (index >> 2) : index * 8;
}
