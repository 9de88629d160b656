/**
 * Faults that TypeScript code raises while it executes a guest instruction. Deliberately not an Error: no stack is
 * captured, so a page fault costs a small object and the unwinding only.
 */

export const VECTOR_DE = 0;
export const VECTOR_DB = 1;
export const VECTOR_NMI = 2;
export const VECTOR_BP = 3;
export const VECTOR_OF = 4;
export const VECTOR_BR = 5;
export const VECTOR_UD = 6;
export const VECTOR_NM = 7;
export const VECTOR_DF = 8;
export const VECTOR_TS = 10;
export const VECTOR_NP = 11;
export const VECTOR_SS = 12;
export const VECTOR_GP = 13;
export const VECTOR_PF = 14;
export const VECTOR_MF = 16;
export const VECTOR_AC = 17;
export const VECTOR_MC = 18;
export const VECTOR_XM = 19;

/** Page-fault error code bits; ACCESS_* below use the same positions. */
export const PF_PRESENT = 1;
export const PF_WRITE = 2;
export const PF_USER = 4;
export const PF_RESERVED = 8;
export const PF_FETCH = 16;

/**
 * A fault of the instruction being executed: thrown before any visible change, caught by the run loop, which delivers it
 * with `deliverException`. `errorCode` is undefined for vectors without one; `linear` is the address of a #PF (CR2 is
 * written at delivery, not here).
 */
export class CpuFault {
  readonly vector: number;
  readonly errorCode: number | undefined;
  readonly linear: number;

  constructor(vector: number, errorCode?: number, linear = 0) {
    this.vector = vector;
    this.errorCode = errorCode;
    this.linear = linear;
  }

  toString(): string {
    const code = this.errorCode === undefined ? "" : ` error ${this.errorCode.toString(16)}h`;
    return `fault ${this.vector}${code}${this.vector === VECTOR_PF ? ` linear ${this.linear.toString(16)}h` : ""}`;
  }
}

/** #GP(errorCode): the commonest of all. */
export function generalProtection(errorCode = 0): CpuFault {
  return new CpuFault(VECTOR_GP, errorCode);
}

/** #UD. */
export function undefinedOpcode(): CpuFault {
  return new CpuFault(VECTOR_UD);
}
