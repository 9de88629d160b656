/**
 * x87 arithmetic and comparisons on the register stack (SDM volume 1, 8.3.5 and 8.3.6; volume 2). The arithmetic itself
 * is in fpu/extended*.ts.
 */
import type { Instruction } from "../decode/operand.ts";
import { C0, C1, C2, C3, SUPPRESSED, X87_SE } from "../fpu/extended.ts";
import type { Builder } from "../ir/builder.ts";
import { I32, I64, type Node } from "../ir/node.ts";
import * as L from "../layout.ts";
import type { Semantics } from "../table/row.ts";
import {
  areUsed,
  begin,
  clearC1,
  compute,
  computeAndPush,
  isWritten,
  loadMemory,
  note,
  physical,
  pop,
  raise,
  readRegister,
  STACK_UNDERFLOW,
  setConditions,
  stackOperand,
  type Value,
} from "./x87-stack.ts";

// ---- arithmetic ----------------------------------------------------------------------------------------------------

/** Operation numbers as in modrm.reg of D8: 0 add, 1 multiply, 4 subtract, 5 reversed, 6 divide, 7 reversed. */
function operate(b: Builder, operation: number, x: Value, y: Value): Node {
  switch (operation) {
    case 0:
      return b.call("x87-add", I64, [x.m, x.se, y.m, y.se, b.i32(0)]);
    case 1:
      return b.call("x87-mul", I64, [x.m, x.se, y.m, y.se]);
    case 4:
      return b.call("x87-add", I64, [x.m, x.se, y.m, y.se, b.i32(0x8000)]);
    case 5:
      return b.call("x87-add", I64, [y.m, y.se, x.m, x.se, b.i32(0x8000)]);
    case 6:
      return b.call("x87-div", I64, [x.m, x.se, y.m, y.se]);
    default:
      return b.call("x87-div", I64, [y.m, y.se, x.m, x.se]);
  }
}

function memoryArithmetic(b: Builder, i: Instruction, isInteger: boolean): void {
  const { linear, widen } = loadMemory(b, i, isInteger);
  begin(b, linear);
  const top = b.state(L.FPU_TOP);
  compute(b, [top], top, () => {
    const y = widen();
    return operate(b, i.parameter, readRegister(b, top), y);
  });
}

/** ST(0) := ST(0) op m32 or m64. The parameter is the operation. */
export const arithmeticReal: Semantics = (b, i) => memoryArithmetic(b, i, false);
/** ST(0) := ST(0) op m16int or m32int. */
export const arithmeticInteger: Semantics = (b, i) => memoryArithmetic(b, i, true);

/** ST(0) := ST(0) op ST(i). */
export const arithmeticTop: Semantics = (b, i) => {
  begin(b);
  const top = b.state(L.FPU_TOP);
  const other = stackOperand(b, i.operands[0]);
  compute(b, [top, other], top, () => operate(b, i.parameter, readRegister(b, top), readRegister(b, other)));
};

function toRegister(b: Builder, i: Instruction, then: () => void): void {
  begin(b);
  const top = b.state(L.FPU_TOP);
  const other = stackOperand(b, i.operands[0]);
  compute(b, [top, other], other, () => operate(b, i.parameter, readRegister(b, top), readRegister(b, other)), then);
}

/** ST(i) := ST(0) op ST(i): the reversed operations have the other number here. */
export const arithmeticRegister: Semantics = (b, i) => toRegister(b, i, () => {});
export const arithmeticPop: Semantics = (b, i) => toRegister(b, i, () => pop(b));

/** A function of ST(0): FSQRT, FRNDINT. */
function unary(callee: string): Semantics {
  return (b, _i) => {
    begin(b);
    const top = b.state(L.FPU_TOP);
    compute(b, [top], top, () => {
      const { m, se } = readRegister(b, top);
      return b.call(callee, I64, [m, se]);
    });
  };
}

export const fsqrt = unary("x87-sqrt");
export const frndint = unary("x87-round-to-integral");

/** FCHS, FABS: the sign alone. */
function signChange(change: (b: Builder, se: Node) => Node): Semantics {
  return (b, _i) => {
    begin(b);
    const top = b.state(L.FPU_TOP);
    compute(b, [top], top, () => {
      const { m, se } = readRegister(b, top);
      b.setState(X87_SE, change(b, se));
      return m;
    });
  };
}

export const fchs = signChange((b, se) => b.xor(se, b.i32(0x8000)));
export const fabs = signChange((b, se) => b.and(se, b.i32(0x7fff)));

export const fscale: Semantics = (b, _i) => {
  begin(b);
  const top = b.state(L.FPU_TOP);
  const other = physical(b, 1);
  compute(b, [top, other], top, () => {
    const x = readRegister(b, top);
    const y = readRegister(b, other);
    return b.call("x87-scale", I64, [x.m, x.se, y.m, y.se]);
  });
};

/** FPREM (parameter 0), FPREM1 (1). */
export const fprem: Semantics = (b, i) => {
  begin(b);
  const top = b.state(L.FPU_TOP);
  const other = physical(b, 1);
  setConditions(b, C2, b.i32(0));
  compute(b, [top, other], top, () => {
    const x = readRegister(b, top);
    const y = readRegister(b, other);
    return b.call("x87-remainder", I64, [x.m, x.se, y.m, y.se, b.i32(i.parameter)]);
  });
};
export const fxtract: Semantics = (b) => {
  begin(b);
  computeAndPush(
    b,
    (m, se, result) => {
      b.set(result, b.call("x87-extract", I64, [m, se]));
      return b.i32(0);
    },
    b.state(L.FPU_TOP),
  );
};

// ---- comparisons ---------------------------------------------------------------------------------------------------

/** Parameter bits of comparisons. */
export const POPS_ONE = 1;
export const POPS_TWO = 2;
export const IS_QUIET = 4;

/** Compares ST(0) with `other`; `then` gets the condition bits. With an unmasked exception nothing is popped. */
function compareWith(
  b: Builder,
  i: Instruction,
  sources: Node[],
  other: () => Value,
  then: (conditions: Node) => void,
): void {
  const answer = b.variable(b.i32(C3 | C2 | C0));
  b.if(
    areUsed(b, ...sources),
    () => {
      const y = other();
      const x = readRegister(b, sources[0]);
      const isQuiet = b.i32(i.parameter & IS_QUIET);
      b.set(answer, b.call("x87-compare", I32, [x.m, x.se, y.m, y.se, isQuiet]));
    },
    () => b.if(raise(b, STACK_UNDERFLOW), () => b.set(answer, b.i32(SUPPRESSED | C3 | C2 | C0))),
  );
  const conditions = b.get(answer);
  then(b.and(conditions, b.i32(C3 | C2 | C0)));
  if ((i.parameter & (POPS_ONE | POPS_TWO)) === 0) return;
  b.if(isWritten(b, conditions), () => {
    pop(b);
    if ((i.parameter & POPS_TWO) !== 0) pop(b);
  });
}

const toStatus = (b: Builder) => (conditions: Node) => setConditions(b, C3 | C2 | C0, conditions);

export const fcomReal: Semantics = (b, i) => {
  const { linear, widen } = loadMemory(b, i, false);
  begin(b, linear);
  compareWith(b, i, [b.state(L.FPU_TOP)], widen, toStatus(b));
};

export const ficom: Semantics = (b, i) => {
  const { linear, widen } = loadMemory(b, i, true);
  begin(b, linear);
  compareWith(b, i, [b.state(L.FPU_TOP)], widen, toStatus(b));
};

/** FCOM, FCOMP, FUCOM, FUCOMP ST(i); FCOMPP, FUCOMPP without operand. */
export const fcom: Semantics = (b, i) => {
  begin(b);
  const top = b.state(L.FPU_TOP);
  const other = i.operands.length > 0 ? stackOperand(b, i.operands[0]) : physical(b, 1);
  compareWith(b, i, [top, other], () => readRegister(b, other), toStatus(b));
};

export const ftst: Semantics = (b, i) => {
  begin(b);
  compareWith(b, i, [b.state(L.FPU_TOP)], () => ({ m: b.i64(0), se: b.i32(0) }), toStatus(b));
};

/** FCOMI, FUCOMI and popping forms: ZF PF CF are C3 C2 C0; OF SF AF cleared. C1 stays but for a stack fault. */
export const fcomi: Semantics = (b, i) => {
  note(b);
  const top = b.state(L.FPU_TOP);
  const other = stackOperand(b, i.operands[0]);
  b.if(b.eqz(areUsed(b, top, other)), () => clearC1(b));
  compareWith(
    b,
    i,
    [top, other],
    () => readRegister(b, other),
    (conditions) => {
      const bit = (mask: number) => b.nez(b.and(conditions, b.i32(mask)));
      const zero = b.i32(0);
      b.flagsExplicit({ cf: bit(C0), pf: bit(C2), af: zero, zf: bit(C3), sf: zero, of: zero });
    },
  );
};

/** FXAM: C1 the sign; C3 C2 C0: 0 unsupported, 1 NaN, 2 normal, 3 infinity, 4 zero, 5 empty, 6 denormal. */
export const fxam: Semantics = (b, _i) => {
  begin(b);
  const top = b.state(L.FPU_TOP);
  const { m, se } = readRegister(b, top);
  const e = b.and(se, b.i32(0x7fff));
  const hasTop = b.ltS(m, b.i64(0));
  const special = b.select(b.eqz(b.shl(m, b.i64(1))), b.i32(C2 | C0), b.i32(C0));
  const withTop = b.select(b.eq(e, b.i32(0x7fff)), special, b.i32(C2));
  const small = b.select(b.eqz(m), b.i32(C3), b.i32(C3 | C2));
  const kind = b.select(e, b.select(hasTop, withTop, b.i32(0)), small);
  const conditions = b.select(areUsed(b, top), kind, b.i32(C3 | C0));
  setConditions(b, C0 | C1 | C2 | C3, b.or(conditions, b.shrU(b.and(se, b.i32(0x8000)), b.i32(6))));
};
