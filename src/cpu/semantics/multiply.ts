/** MUL, IMUL, DIV, IDIV and the decimal adjust instructions AAM and AAD that divide and multiply. */
import type { Operand } from "../decode/operand.ts";
import type { Builder } from "../ir/builder.ts";
import type { Node } from "../ir/node.ts";
import type { Semantics } from "../table/row.ts";

export const VECTOR_DIVIDE_ERROR = 0;

const fixed = (width: number, index: number): Operand => ({ kind: "fixed", width, index });

/** Flags of a product whose high half is significant or not; ZF, SF, PF follow the low half (undefined by the manual). */
function productFlags(b: Builder, width: number, low: Node, significant: Node): void {
  b.flagsFrom(width, low, significant, significant);
}

export const mul: Semantics = (b, i) => {
  const width = i.operands[0].width;
  const x = b.read(i.operands[0]);
  if (width === 8) {
    const r = b.mul(b.read(fixed(8, 0)), x);
    b.write(fixed(16, 0), r);
    productFlags(b, 8, r, b.nez(b.shrU(r, b.i32(8))));
    return;
  }
  const r = b.mul(b.extendU64(b.read(fixed(width, 0))), b.extendU64(x));
  const high = b.wrap(b.shrU(r, b.i64(width)));
  b.write(fixed(width, 0), b.wrap(r));
  b.write(fixed(width, 2), high);
  productFlags(b, width, b.wrap(r), b.nez(high));
};

export const imul: Semantics = (b, i) => {
  const width = i.operands[0].width;
  const x = b.signExtend(width, b.read(i.operands[0]));
  const a = b.signExtend(width, b.read(fixed(width, 0)));
  if (width === 8) {
    const r = b.mul(a, x);
    b.write(fixed(16, 0), r);
    productFlags(b, 8, r, b.ne(b.signExtend(8, r), r));
    return;
  }
  const r = b.mul(b.extendS64(a), b.extendS64(x));
  b.write(fixed(width, 0), b.wrap(r));
  b.write(fixed(width, 2), b.wrap(b.shrU(r, b.i64(width))));
  productFlags(b, width, b.wrap(r), b.ne(b.signExtend(width, r), r));
};

/** Two- and three-operand IMUL: the last two operands are the factors. */
export const imulTruncating: Semantics = (b, i) => {
  const width = i.operands[0].width;
  const factors = i.operands.length === 3 ? [i.operands[1], i.operands[2]] : [i.operands[0], i.operands[1]];
  const x = b.signExtend(width, b.read(factors[0]));
  const y = b.signExtend(width, b.read(factors[1]));
  const r = b.mul(b.extendS64(x), b.extendS64(y));
  b.write(i.operands[0], b.wrap(r));
  productFlags(b, width, b.wrap(r), b.ne(b.signExtend(width, r), r));
};

export const div: Semantics = (b, i) => {
  const width = i.operands[0].width;
  const x = b.read(i.operands[0]);
  b.if(b.eqz(x), () => b.fault(VECTOR_DIVIDE_ERROR));
  if (width === 32) {
    const dividend = b.or(b.extendU64(b.gpr(0)), b.shl(b.extendU64(b.gpr(2)), b.i64(32)));
    const divisor = b.extendU64(x);
    const quotient = b.divU(dividend, divisor);
    const remainder = b.remU(dividend, divisor);
    b.if(b.gtU(quotient, b.i64(0xffffffffn)), () => b.fault(VECTOR_DIVIDE_ERROR));
    b.setGpr(0, b.wrap(quotient));
    b.setGpr(2, b.wrap(remainder));
    return;
  }
  const dividend =
    width === 8 ? b.read(fixed(16, 0)) : b.or(b.read(fixed(16, 0)), b.shl(b.read(fixed(16, 2)), b.i32(16)));
  const quotient = b.divU(dividend, x);
  const remainder = b.remU(dividend, x);
  b.if(b.gtU(quotient, b.i32(width === 8 ? 0xff : 0xffff)), () => b.fault(VECTOR_DIVIDE_ERROR));
  if (width === 8) {
    b.write(fixed(16, 0), b.or(quotient, b.shl(remainder, b.i32(8))));
    return;
  }
  b.write(fixed(16, 0), quotient);
  b.write(fixed(16, 2), remainder);
};

export const idiv: Semantics = (b, i) => {
  const width = i.operands[0].width;
  const x = b.extendS64(b.signExtend(width, b.read(i.operands[0])));
  b.if(b.eqz(x), () => b.fault(VECTOR_DIVIDE_ERROR));
  const dividend =
    width === 32
      ? b.or(b.extendU64(b.gpr(0)), b.shl(b.extendU64(b.gpr(2)), b.i64(32)))
      : width === 16
        ? b.extendS64(b.or(b.read(fixed(16, 0)), b.shl(b.read(fixed(16, 2)), b.i32(16))))
        : b.extendS64(b.signExtend(16, b.read(fixed(16, 0))));
  // The one quotient that 64 bits cannot hold.
  b.if(b.and(b.eq(dividend, b.i64(-(1n << 63n))), b.eq(x, b.i64(-1))), () => b.fault(VECTOR_DIVIDE_ERROR));
  const quotient = b.divS(dividend, x);
  const remainder = b.remS(dividend, x);
  b.if(b.ne(b.signExtend(width, quotient), quotient), () => b.fault(VECTOR_DIVIDE_ERROR));
  const q = b.wrap(quotient);
  const r = b.wrap(remainder);
  if (width === 8) {
    b.write(fixed(16, 0), b.or(b.and(q, b.i32(0xff)), b.shl(b.and(r, b.i32(0xff)), b.i32(8))));
    return;
  }
  b.write(fixed(width, 0), q);
  b.write(fixed(width, 2), r);
};

export const aam: Semantics = (b, i) => {
  const base = b.read(i.operands[0]);
  b.if(b.eqz(base), () => b.fault(VECTOR_DIVIDE_ERROR));
  const al = b.read(fixed(8, 0));
  const low = b.remU(al, base);
  b.write(fixed(16, 0), b.or(low, b.shl(b.divU(al, base), b.i32(8))));
  b.flagsLogic(8, low);
};

export const aad: Semantics = (b, i) => {
  const base = b.read(i.operands[0]);
  const al = b.read(fixed(8, 0));
  const product = b.and(b.mul(b.read(fixed(8, 4)), base), b.i32(0xff));
  const r = b.and(b.add(al, product), b.i32(0xff));
  b.write(fixed(16, 0), r);
  // The processors set CF, OF and AF as the addition does.
  b.flagsAdd(8, al, product, r);
};
