/** Two-operand arithmetic and logic, INC/DEC/NEG/NOT, and their flags (SDM volume 2). */
import type { Operand } from "../decode/operand.ts";
import type { Builder } from "../ir/builder.ts";
import type { Node } from "../ir/node.ts";
import type { Semantics } from "../table/row.ts";

export const add: Semantics = (b, i) => {
  const x = b.readForWrite(i.operands[0]);
  const y = b.read(i.operands[1]);
  const r = b.add(x, y);
  b.write(i.operands[0], r);
  b.flagsAdd(i.operands[0].width, x, y, r);
};

export const adc: Semantics = (b, i) => {
  const x = b.readForWrite(i.operands[0]);
  const y = b.read(i.operands[1]);
  const r = b.add(b.add(x, y), b.cf());
  b.write(i.operands[0], r);
  b.flagsAdd(i.operands[0].width, x, y, r);
};

export const sub: Semantics = (b, i) => {
  const x = b.readForWrite(i.operands[0]);
  const y = b.read(i.operands[1]);
  const r = b.sub(x, y);
  b.write(i.operands[0], r);
  b.flagsSub(i.operands[0].width, x, y, r);
};

export const sbb: Semantics = (b, i) => {
  const x = b.readForWrite(i.operands[0]);
  const y = b.read(i.operands[1]);
  const r = b.sub(b.sub(x, y), b.cf());
  b.write(i.operands[0], r);
  b.flagsSub(i.operands[0].width, x, y, r, true);
};

export const cmp: Semantics = (b, i) => {
  const x = b.read(i.operands[0]);
  const y = b.read(i.operands[1]);
  b.flagsSub(i.operands[0].width, x, y, b.sub(x, y));
};

function logic(combine: (b: Builder, x: Node, y: Node) => Node): Semantics {
  return (b, i) => {
    const x = b.readForWrite(i.operands[0]);
    const r = combine(b, x, b.read(i.operands[1]));
    b.write(i.operands[0], r);
    b.flagsLogic(i.operands[0].width, r);
  };
}

export const and = logic((b, x, y) => b.and(x, y));
export const or = logic((b, x, y) => b.or(x, y));
export const xor = logic((b, x, y) => b.xor(x, y));

export const test: Semantics = (b, i) => {
  b.flagsLogic(i.operands[0].width, b.and(b.read(i.operands[0]), b.read(i.operands[1])));
};

export const inc: Semantics = (b, i) => {
  const x = b.readForWrite(i.operands[0]);
  const r = b.add(x, b.constant(i.operands[0].width, 1));
  b.write(i.operands[0], r);
  b.flagsIncDec(i.operands[0].width, x, r, true);
};

export const dec: Semantics = (b, i) => {
  const x = b.readForWrite(i.operands[0]);
  const r = b.sub(x, b.constant(i.operands[0].width, 1));
  b.write(i.operands[0], r);
  b.flagsIncDec(i.operands[0].width, x, r, false);
};

export const neg: Semantics = (b, i) => {
  const x = b.readForWrite(i.operands[0]);
  const zero = b.constant(i.operands[0].width, 0);
  const r = b.sub(zero, x);
  b.write(i.operands[0], r);
  b.flagsSub(i.operands[0].width, zero, x, r);
};

export const not: Semantics = (b, i) => {
  b.write(i.operands[0], b.not(b.readForWrite(i.operands[0])));
};

/** XADD: destination gets the sum, source the old destination. */
export const xadd: Semantics = (b, i) => {
  const x = b.readForWrite(i.operands[0]);
  const y = b.read(i.operands[1]);
  const r = b.add(x, y);
  // With a register destination the order matters when both are the same register: the sum wins.
  if (i.operands[0].kind === "memory") {
    b.write(i.operands[0], r);
    b.write(i.operands[1], x);
  } else {
    b.write(i.operands[1], x);
    b.write(i.operands[0], r);
  }
  b.flagsAdd(i.operands[0].width, x, y, r);
};

/** CMPXCHG: a failing comparison writes the old value back (the bus cycle is always a write). */
export const cmpxchg: Semantics = (b, i) => {
  const width = i.operands[0].width;
  const accumulator: Operand = { kind: "fixed", width, index: 0 };
  const x = b.readForWrite(i.operands[0]);
  const a = b.read(accumulator);
  const y = b.read(i.operands[1]);
  const equal = b.eq(a, x);
  b.write(i.operands[0], b.select(equal, y, x));
  b.if(b.eqz(equal), () => b.write(accumulator, x));
  b.flagsSub(width, a, x, b.sub(a, x));
};

/** CMPXCHG8B m64: EDX:EAX against memory, ECX:EBX stored. */
export const cmpxchg8b: Semantics = (b) => {
  const linear = b.address(8, true);
  const x = b.load(linear, 8, true);
  const expected = b.or(b.extendU64(b.gpr(0)), b.shl(b.extendU64(b.gpr(2)), b.i64(32)));
  const replacement = b.or(b.extendU64(b.gpr(3)), b.shl(b.extendU64(b.gpr(1)), b.i64(32)));
  const equal = b.eq(expected, x);
  b.store(linear, 8, b.select(equal, replacement, x));
  b.if(b.eqz(equal), () => {
    b.setGpr(0, b.wrap(x));
    b.setGpr(2, b.wrap(b.shrU(x, b.i64(32))));
  });
  b.setZero(equal);
};

/** XCHG: memory form is always locked. */
export const xchg: Semantics = (b, i) => {
  const x = b.readForWrite(i.operands[0]);
  const y = b.read(i.operands[1]);
  b.write(i.operands[0], y);
  b.write(i.operands[1], x);
};
