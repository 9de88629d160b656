/**
 * x87 instructions on the register stack (SDM volume 1, chapter 8; volume 2): loads and stores, arithmetic, comparisons,
 * constants. The arithmetic itself is in fpu/extended*.ts; here: which registers, stack faults, pops, condition codes,
 * and the pointers to the last instruction and operand.
 *
 * An unmasked exception that comes before the result leaves the destination and the stack as they are (SUPPRESSED).
 */
import type { Instruction, Operand } from "../decode/operand.ts";
import { C0, C1, C2, C3, SUPPRESSED, X87_FLAGS, X87_SE, X87_SECOND, X87_SECOND_SE } from "../fpu/extended.ts";
import type { Builder } from "../ir/builder.ts";
import { I32, I64, type Node, type Variable } from "../ir/node.ts";
import * as L from "../layout.ts";
import type { Semantics } from "../table/row.ts";

export interface Value {
  readonly m: Node;
  readonly se: Node;
}

const STACK_UNDERFLOW = 0x41;
const STACK_OVERFLOW = 0x241;
const DEFAULT_NAN = -0x4000_0000_0000_0000n;

// ---- registers -----------------------------------------------------------------------------------------------------

/** Physical number of ST(index). */
export function physical(b: Builder, index: Node | number): Node {
  const top = b.state(L.FPU_TOP);
  if (index === 0) return top;
  return b.and(b.add(top, typeof index === "number" ? b.i32(index) : index), b.i32(7));
}

export function readRegister(b: Builder, register: Node): Value {
  const address = b.shl(register, b.i32(4));
  return { m: b.host(address, 8, L.X87), se: b.host(address, 2, L.X87 + 8) };
}

export function writeRegister(b: Builder, register: Node, value: Value): void {
  const address = b.shl(register, b.i32(4));
  b.setHost(address, 8, value.m, L.X87);
  b.setHost(address, 2, value.se, L.X87 + 8);
}

/** 1 if none of the registers is empty. */
export function areUsed(b: Builder, ...registers: Node[]): Node {
  const tags = b.state(L.FPU_TAGS);
  const bits = registers.map((register) => b.shrU(tags, register)).reduce((x, y) => b.and(x, y));
  return b.and(bits, b.i32(1));
}

export function markUsed(b: Builder, register: Node): void {
  b.setState(L.FPU_TAGS, b.or(b.state(L.FPU_TAGS), b.shl(b.i32(1), register)));
}

export function markEmpty(b: Builder, register: Node): void {
  b.setState(L.FPU_TAGS, b.and(b.state(L.FPU_TAGS), b.not(b.shl(b.i32(1), register))));
}

export function pop(b: Builder): void {
  const top = b.state(L.FPU_TOP);
  markEmpty(b, top);
  b.setState(L.FPU_TOP, b.and(b.add(top, b.i32(1)), b.i32(7)));
}

/** The stack operand of the instruction. */
export const stackOperand = (b: Builder, operand: Operand): Node => physical(b, b.registerIndex(operand));

// ---- status --------------------------------------------------------------------------------------------------------

/** Records instruction, opcode and, if there is one, the operand's address. After everything that may fault. */
function note(b: Builder, linear?: Node): void {
  b.setState(L.FPU_IP, b.thisEip());
  b.setState(L.FPU_CS, b.state(L.SEG_SELECTOR + L.SEG_CS * 4));
  b.setState(L.FPU_OPCODE, b.read({ kind: "immediate", width: 32 }));
  if (linear !== undefined) {
    const segment = b.segmentNumber();
    b.setState(L.FPU_DP, b.sub(linear, b.host(b.shl(segment, b.i32(3)), 4, L.SEG_BASE)));
    b.setState(L.FPU_DS, b.host(b.shl(segment, b.i32(2)), 4, L.SEG_SELECTOR));
  }
}

const clearC1 = (b: Builder): void => b.setState(L.FPU_STATUS, b.and(b.state(L.FPU_STATUS), b.i32(~C1)));

/** As `note`, and clears C1. */
export function begin(b: Builder, linear?: Node): void {
  note(b, linear);
  clearC1(b);
}

const raise = (b: Builder, flags: number | Node): Node =>
  b.call("x87-raise", I32, [typeof flags === "number" ? b.i32(flags) : flags]);

/** Mantissa of the response to a stack fault; X87_SE says the rest. */
const stackFault = (b: Builder, flags: number): Node => b.call("x87-invalid", I64, [b.i32(flags)]);

const isWritten = (b: Builder, se: Node): Node => b.eqz(b.and(se, b.i32(SUPPRESSED)));

export function setConditions(b: Builder, mask: number, bits: Node): void {
  b.setState(L.FPU_STATUS, b.or(b.and(b.state(L.FPU_STATUS), b.i32(~mask)), bits));
}

/** `compute` if all of `sources` are in use, else a stack underflow; the result goes to `target`. */
export function compute(
  b: Builder,
  sources: Node[],
  target: Node,
  value: () => Node,
  then: () => void = () => {},
): void {
  const result = b.variable(b.i64(0));
  b.if(
    areUsed(b, ...sources),
    () => b.set(result, value()),
    () => {
      b.set(result, stackFault(b, STACK_UNDERFLOW));
      b.if(isWritten(b, b.state(X87_SE)), () => markUsed(b, target));
    },
  );
  const se = b.state(X87_SE);
  b.if(isWritten(b, se), () => {
    writeRegister(b, target, { m: b.get(result), se });
    then();
  });
}

/** Pushes what `value` computes (its sign and exponent in X87_SE), unless the stack is full. */
function push(b: Builder, value: () => Node): void {
  const target = b.and(b.sub(b.state(L.FPU_TOP), b.i32(1)), b.i32(7));
  const result = b.variable(b.i64(0));
  b.if(
    areUsed(b, target),
    () => b.set(result, stackFault(b, STACK_OVERFLOW)),
    () => b.set(result, value()),
  );
  pushResult(b, target, b.get(result));
}

/** `target` becomes the new top, with this mantissa and X87_SE; unless SUPPRESSED. */
function pushResult(b: Builder, target: Node, m: Node): void {
  const se = b.state(X87_SE);
  b.if(isWritten(b, se), () => {
    writeRegister(b, target, { m, se });
    markUsed(b, target);
    b.setState(L.FPU_TOP, target);
  });
}

// ---- memory operands -----------------------------------------------------------------------------------------------

/** A memory operand as loaded: m32, m64 (real), or a 16-, 32-, 64-bit integer. */
function loadMemory(b: Builder, i: Instruction, isInteger: boolean): { linear: Node; widen: () => Value } {
  const size = i.operands[0].width / 8;
  const linear = b.address(size, false);
  const raw = b.load(linear, size);
  if (isInteger) {
    const value = size === 8 ? raw : b.extendS64(size === 2 ? b.signExtend(16, raw) : raw);
    return { linear, widen: () => ({ m: b.call("x87-from-integer", I64, [value]), se: b.state(X87_SE) }) };
  }
  const name = size === 8 ? "x87-from-double" : "x87-from-single";
  return { linear, widen: () => ({ m: b.call(name, I64, [raw]), se: b.state(X87_SE) }) };
}

// ---- loads ---------------------------------------------------------------------------------------------------------

/** FLD m32, m64. */
export const fld: Semantics = (b, i) => {
  const { linear, widen } = loadMemory(b, i, false);
  begin(b, linear);
  push(b, () => {
    const { m, se } = widen();
    return b.call("x87-accept", I64, [m, se]);
  });
};

export const fild: Semantics = (b, i) => {
  const { linear, widen } = loadMemory(b, i, true);
  begin(b, linear);
  push(b, () => widen().m);
};

export const fldExtended: Semantics = (b, _i) => {
  const linear = b.address(10, false);
  const m = b.load(linear, 8);
  const se = b.load(b.add(linear, b.i32(8)), 2);
  begin(b, linear);
  push(b, () => {
    b.setState(X87_SE, se);
    return m;
  });
};

export const fbld: Semantics = (b) => {
  const linear = b.address(10, false);
  const low = b.load(linear, 8);
  const high = b.load(b.add(linear, b.i32(8)), 2);
  begin(b, linear);
  push(b, () => b.call("x87-from-decimal", I64, [low, high]));
};

/** FLD ST(i). An empty source comes before a full stack. */
export const fldRegister: Semantics = (b, i) => {
  begin(b);
  const source = stackOperand(b, i.operands[0]);
  const target = b.and(b.sub(b.state(L.FPU_TOP), b.i32(1)), b.i32(7));
  const isReady = b.and(areUsed(b, source), b.eqz(areUsed(b, target)));
  const result = b.variable(b.i64(0));
  b.if(
    isReady,
    () => {
      const { m, se } = readRegister(b, source);
      b.set(result, m);
      b.setState(X87_SE, se);
    },
    () => {
      const flags = b.select(areUsed(b, source), b.i32(STACK_OVERFLOW), b.i32(STACK_UNDERFLOW));
      b.set(result, b.call("x87-invalid", I64, [flags]));
    },
  );
  pushResult(b, target, b.get(result));
};

/** FLD1 … FLDZ: by number of the opcode: mantissa rounded to nearest, sign and exponent, and by how RC changes it. */
const CONSTANTS: readonly { m: bigint; se: number; down: bigint; up: bigint }[] = [
  { m: 0x8000_0000_0000_0000n, se: 0x3fff, down: 0n, up: 0n },
  { m: 0xd49a_784b_cd1b_8afen, se: 0x4000, down: 0n, up: 1n },
  { m: 0xb8aa_3b29_5c17_f0bcn, se: 0x3fff, down: -1n, up: 0n },
  { m: 0xc90f_daa2_2168_c235n, se: 0x4000, down: -1n, up: 0n },
  { m: 0x9a20_9a84_fbcf_f799n, se: 0x3ffd, down: -1n, up: 0n },
  { m: 0xb172_17f7_d1cf_79acn, se: 0x3ffe, down: -1n, up: 0n },
  { m: 0n, se: 0, down: 0n, up: 0n },
];

export const fldConstant: Semantics = (b, i) => {
  const { m, se, down, up } = CONSTANTS[i.parameter];
  begin(b);
  push(b, () => {
    b.setState(X87_SE, b.i32(se));
    if (down === 0n && up === 0n) return b.i64(m);
    const rc = b.and(b.shrU(b.state(L.FPU_CONTROL), b.i32(10)), b.i32(3));
    // 1 down and 3 towards zero are the same for positive values.
    return b.select(b.and(rc, b.i32(1)), b.i64(m + down), b.select(rc, b.i64(m + up), b.i64(m)));
  });
};

// ---- stores --------------------------------------------------------------------------------------------------------

/** Stores what `value` makes of ST(0) (exceptions in X87_FLAGS); `indefinite` for an empty register. Bit 0 of the parameter: pop. */
function store(b: Builder, i: Instruction, value: (v: Value) => Node, indefinite: Node): void {
  const size = i.operands[0].width / 8;
  const linear = b.address(size, true);
  const top = b.state(L.FPU_TOP);
  const result = b.variable(indefinite);
  b.if(
    areUsed(b, top),
    () => b.set(result, value(readRegister(b, top))),
    () => b.call("x87-store-underflow", I32, []),
  );
  // Scratch and nothing else has been written.
  b.commit();
  const flags = b.state(X87_FLAGS);
  b.if(isWritten(b, flags), () => b.store(linear, size, b.get(result)));
  begin(b, linear);
  const stopped = b.call("x87-commit-flags", I32, [flags]);
  if ((i.parameter & 1) !== 0) b.if(b.eqz(stopped), () => pop(b));
}

/** FST, FSTP m32, m64. */
export const fst: Semantics = (b, i) => {
  const isDouble = i.operands[0].width === 64;
  store(
    b,
    i,
    ({ m, se }) => {
      const bits = b.call(isDouble ? "x87-to-double" : "x87-to-single", I64, [m, se]);
      return isDouble ? bits : b.wrap(bits);
    },
    isDouble ? b.i64(0xfff8_0000_0000_0000n) : b.i32(0xffc0_0000),
  );
};

/** FIST, FISTP. */
export const fist: Semantics = (b, i) => {
  const { width } = i.operands[0];
  store(
    b,
    i,
    ({ m, se }) => {
      const value = b.call("x87-to-integer", I64, [m, se, b.i32(width)]);
      return width === 64 ? value : b.wrap(value);
    },
    width === 64 ? b.i64(-0x8000_0000_0000_0000n) : b.i32(-(2 ** (width - 1))),
  );
};

/** Stores the ten bytes that `value` makes of ST(0) (exceptions in X87_FLAGS) and pops. */
function storeTen(b: Builder, value: (v: Value) => Value): void {
  const linear = b.address(10, true);
  const upper = b.add(linear, b.i32(8));
  const top = b.state(L.FPU_TOP);
  const low = b.variable(b.i64(DEFAULT_NAN));
  const high = b.variable(b.i32(0xffff));
  b.if(
    areUsed(b, top),
    () => {
      const { m, se } = value(readRegister(b, top));
      b.set(low, m);
      b.set(high, se);
    },
    () => b.call("x87-store-underflow", I32, []),
  );
  // Scratch and nothing else has been written.
  b.commit();
  const flags = b.state(X87_FLAGS);
  b.if(isWritten(b, flags), () => {
    b.probeWrite(linear, 8);
    b.probeWrite(upper, 2);
    b.storeAgain(linear, 8, b.get(low));
    b.storeAgain(upper, 2, b.get(high));
  });
  begin(b, linear);
  b.if(b.eqz(b.call("x87-commit-flags", I32, [flags])), () => pop(b));
}

export const fstpExtended: Semantics = (b) =>
  storeTen(b, (v) => {
    b.setState(X87_FLAGS, b.i32(0));
    return v;
  });

export const fbstp: Semantics = (b) =>
  storeTen(b, (v) => {
    const m = b.call("x87-to-decimal", I64, [v.m, v.se]);
    return { m, se: b.state(X87_SECOND_SE) };
  });

/** FST, FSTP ST(i). Bit 0 of the parameter: pop. */
export const fstRegister: Semantics = (b, i) => {
  begin(b);
  const target = stackOperand(b, i.operands[0]);
  const top = b.state(L.FPU_TOP);
  compute(
    b,
    [top],
    target,
    () => {
      const { m, se } = readRegister(b, top);
      b.setState(X87_SE, se);
      return m;
    },
    () => {
      markUsed(b, target);
      if ((i.parameter & 1) !== 0) pop(b);
    },
  );
};

/** FSTPNCE, the alias D9 D8+i: as FSTP ST(i), but an empty register is popped without a fault or a write. */
export const fstpNoException: Semantics = (b, i) => {
  begin(b);
  const top = b.state(L.FPU_TOP);
  const target = stackOperand(b, i.operands[0]);
  b.if(areUsed(b, top), () => {
    writeRegister(b, target, readRegister(b, top));
    markUsed(b, target);
  });
  pop(b);
};

export const fxch: Semantics = (b, i) => {
  begin(b);
  const other = stackOperand(b, i.operands[0]);
  const top = b.state(L.FPU_TOP);
  const x = readRegister(b, top);
  const y = readRegister(b, other);
  const exchange = () => {
    writeRegister(b, top, y);
    writeRegister(b, other, x);
  };
  b.if(areUsed(b, top, other), exchange, () => {
    b.if(b.eqz(raise(b, STACK_UNDERFLOW)), () => {
      // Whichever is empty becomes the default NaN, then they change places.
      for (const register of [top, other]) {
        b.if(b.eqz(areUsed(b, register)), () => {
          writeRegister(b, register, { m: b.i64(DEFAULT_NAN), se: b.i32(0xffff) });
          markUsed(b, register);
        });
      }
      const newX = readRegister(b, top);
      const newY = readRegister(b, other);
      writeRegister(b, top, newY);
      writeRegister(b, other, newX);
    });
  });
};

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

/**
 * Replaces ST(0) and pushes a second result (X87_SECOND, X87_SECOND_SE), or does nothing if `value` answers 1. A full stack
 * is a fault before anything else.
 */
export function computeAndPush(b: Builder, value: (m: Node, se: Node, result: Variable) => Node, top: Node): void {
  const target = b.and(b.sub(top, b.i32(1)), b.i32(7));
  const result = b.variable(b.i64(0));
  const isSkipped = b.variable(b.i32(0));
  b.if(
    b.and(areUsed(b, top), b.eqz(areUsed(b, target))),
    () => {
      const { m, se } = readRegister(b, top);
      b.set(isSkipped, value(m, se, result));
    },
    () => {
      const flags = b.select(areUsed(b, top), b.i32(STACK_OVERFLOW), b.i32(STACK_UNDERFLOW));
      b.set(result, b.call("x87-invalid", I64, [flags]));
      b.setState(X87_SECOND, b.i64(DEFAULT_NAN), 8);
      b.setState(X87_SECOND_SE, b.i32(0xffff));
      b.if(isWritten(b, b.state(X87_SE)), () => markUsed(b, top));
    },
  );
  b.if(b.eqz(b.get(isSkipped)), () => {
    const se = b.state(X87_SE);
    b.if(isWritten(b, se), () => {
      writeRegister(b, top, { m: b.get(result), se });
      writeRegister(b, target, { m: b.state(X87_SECOND, 8), se: b.state(X87_SECOND_SE) });
      markUsed(b, target);
      b.setState(L.FPU_TOP, target);
    });
  });
}

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

// ---- moves and stack control -----------------------------------------------------------------------------------------

/** FCMOVcc; the parameter is the condition code. */
export const fcmov: Semantics = (b, i) => {
  note(b);
  const top = b.state(L.FPU_TOP);
  const other = stackOperand(b, i.operands[0]);
  b.if(b.eqz(areUsed(b, top, other)), () => clearC1(b));
  const isTaken = b.condition(i.parameter);
  compute(b, [top, other], top, () => {
    const x = readRegister(b, top);
    const y = readRegister(b, other);
    b.setState(X87_SE, b.select(isTaken, y.se, x.se));
    return b.select(isTaken, y.m, x.m);
  });
};

export const ffree: Semantics = (b, i) => {
  begin(b);
  markEmpty(b, stackOperand(b, i.operands[0]));
  if ((i.parameter & 1) !== 0) pop(b);
};

/** FINCSTP (parameter 1), FDECSTP (−1). */
export const moveTop: Semantics = (b, i) => {
  begin(b);
  b.setState(L.FPU_TOP, physical(b, b.i32(i.parameter)));
};

export const fnop: Semantics = (b) => note(b);
