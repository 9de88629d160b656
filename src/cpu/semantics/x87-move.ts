/**
 * x87 loads, stores, exchanges, conditional moves and stack control (SDM volume 1, 8.3.3 and 8.3.4; volume 2). Stores take over
 * their exceptions after the store has not faulted.
 */
import type { Instruction } from "../decode/operand.ts";
import { X87_FLAGS, X87_SE, X87_SECOND_SE } from "../fpu/extended.ts";
import type { Builder } from "../ir/builder.ts";
import { I32, I64, type Node } from "../ir/node.ts";
import * as L from "../layout.ts";
import type { Semantics } from "../table/row.ts";
import {
  areUsed,
  begin,
  clearC1,
  compute,
  DEFAULT_NAN,
  isWritten,
  loadMemory,
  markEmpty,
  markUsed,
  note,
  physical,
  pop,
  push,
  pushResult,
  raise,
  readRegister,
  STACK_OVERFLOW,
  STACK_UNDERFLOW,
  stackOperand,
  type Value,
  writeRegister,
} from "./x87-stack.ts";

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
