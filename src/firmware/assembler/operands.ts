/**
 * Operands of the ROM assembler: registers, memory operands and immediates of 16- and 32-bit x86 code (Intel SDM volume 2,
 * chapter 2). Names are capitals so that a line of ROM source reads like assembler: `a.mov(AX, m16(ES, DI, 2))`.
 */

export type OperandSize = 8 | 16 | 32;

export interface Register {
  readonly kind: "register";
  readonly size: OperandSize;
  readonly code: number;
}

export interface SegmentRegister {
  readonly kind: "segment";
  readonly code: number;
}

/** A memory operand. At most a base and an index (16-bit pairs as the 8086 has them), a segment override, a displacement. */
export interface Memory {
  readonly kind: "memory";
  readonly size: OperandSize;
  readonly segment?: SegmentRegister;
  readonly registers: readonly Register[];
  readonly displacement: number;
  /** A label whose address is added to the displacement. */
  readonly label?: string;
}

/** A number, or the name of a label whose offset in its segment is meant. */
export type Immediate = number | string;

const reg = (size: OperandSize, code: number): Register => ({ kind: "register", size, code });
const seg = (code: number): SegmentRegister => ({ kind: "segment", code });

export const AL = reg(8, 0);
export const CL = reg(8, 1);
export const DL = reg(8, 2);
export const BL = reg(8, 3);
export const AH = reg(8, 4);
export const CH = reg(8, 5);
export const DH = reg(8, 6);
export const BH = reg(8, 7);
export const AX = reg(16, 0);
export const CX = reg(16, 1);
export const DX = reg(16, 2);
export const BX = reg(16, 3);
export const SP = reg(16, 4);
export const BP = reg(16, 5);
export const SI = reg(16, 6);
export const DI = reg(16, 7);
export const EAX = reg(32, 0);
export const ECX = reg(32, 1);
export const EDX = reg(32, 2);
export const EBX = reg(32, 3);
export const ESP = reg(32, 4);
export const EBP = reg(32, 5);
export const ESI = reg(32, 6);
export const EDI = reg(32, 7);
export const ES = seg(0);
export const CS = seg(1);
export const SS = seg(2);
export const DS = seg(3);
export const FS = seg(4);
export const GS = seg(5);

type MemoryPart = Register | SegmentRegister | number | string;

function memory(size: OperandSize, parts: readonly MemoryPart[]): Memory {
  let segment: SegmentRegister | undefined;
  let label: string | undefined;
  let displacement = 0;
  const registers: Register[] = [];
  for (const part of parts) {
    if (typeof part === "number") displacement += part;
    else if (typeof part === "string") label = part;
    else if (part.kind === "segment") segment = part;
    else registers.push(part);
  }
  return { kind: "memory", size, segment, registers, displacement, label };
}

/** A byte in memory: any of segment override, base, index, displacement, label, in any order. */
export const m8 = (...parts: MemoryPart[]): Memory => memory(8, parts);
/** A word in memory. */
export const m16 = (...parts: MemoryPart[]): Memory => memory(16, parts);
/** A double word in memory (also a 16:16 far pointer). */
export const m32 = (...parts: MemoryPart[]): Memory => memory(32, parts);
