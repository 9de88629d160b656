/**
 * Addition, multiplication, division, square root and comparison of double-extended values (SDM volume 1, 4.8.3 and 8.3.5;
 * responses to invalid operands: table 8-10). Knuth's two-digit division; the square root starts from the host's.
 */
import type { LibraryFunction } from "../interpreter/library.ts";
import type { Builder } from "../ir/builder.ts";
import { I32, I64, type Node } from "../ir/node.ts";
import { float } from "../wasm/opcodes.ts";
import {
  C0,
  C2,
  C3,
  choose,
  emitRound,
  exponentOf,
  IE,
  isNan,
  isNormal,
  isUnsupported,
  isZero,
  multiplyHigh,
  normalize,
  raise,
  rounding,
  SUPPRESSED,
  setSe,
  shiftRightSticky,
  signOf,
  X87_SECOND,
  ZE,
} from "./extended.ts";

const INFINITY = -0x8000_0000_0000_0000n;

/** For library functions that answer an i64: sets X87_SE and gives the value. */
export const invalid = (b: Builder): Node => b.call("x87-invalid", I64, [b.i32(IE)]);
export const denormals = (b: Builder, am: Node, ase: Node, bm: Node, bse: Node): Node =>
  b.call("x87-denormals", I32, [am, ase, bm, bse]);
const callRound = (b: Builder, sign: Node, exp: Node, hi: Node, lo: Node): Node =>
  b.call("x87-round", I64, [sign, exp, hi, lo]);

/** Both are numbers with the integer bit; exponents of any size. */
const addFinite: LibraryFunction = {
  name: "x87-add-finite",
  parameters: [I32, I32, I64, I32, I32, I64],
  result: I64,
  body: (b, signA, expA, mA, signB, expB, mB) => {
    const swaps = b.or(b.gtS(expB, expA), b.and(b.eq(expA, expB), b.gtU(mB, mA)));
    const sign = b.select(swaps, signB, signA);
    const exp = b.select(swaps, expB, expA);
    const large = b.select(swaps, mB, mA);
    const small = b.select(swaps, mA, mB);
    const distance = b.sub(exp, b.select(swaps, expA, expB));
    const hi = b.variable(small);
    const lo = b.variable(b.i64(0));
    b.if(distance, () => {
      const shifted = shiftRightSticky(b, small, b.i64(0), distance);
      b.set(hi, shifted.hi);
      b.set(lo, shifted.lo);
    });
    const bh = b.get(hi);
    const bl = b.get(lo);
    const result = b.variable(b.i64(0));
    b.if(
      b.eq(signA, signB),
      () => {
        const sum = b.add(large, bh);
        const carry = b.ltU(sum, large);
        const newLo = b.or(b.or(b.shrU(bl, b.i64(1)), b.and(bl, b.i64(1))), b.shl(sum, b.i64(63)));
        const newHi = b.or(b.shrU(sum, b.i64(1)), b.i64(INFINITY));
        b.set(result, callRound(b, sign, b.add(exp, carry), b.select(carry, newHi, sum), b.select(carry, newLo, bl)));
      },
      () => {
        const low = b.neg(bl);
        const high = b.sub(b.sub(large, bh), b.extendU64(b.nez(bl)));
        const h = b.variable(high);
        const l = b.variable(low);
        const e = b.variable(exp);
        b.if(b.eqz(high), () => {
          b.set(h, low);
          b.set(l, b.i64(0));
          b.set(e, b.sub(exp, b.i32(64)));
        });
        const hv = b.get(h);
        const lv = b.get(l);
        b.if(
          b.eqz(hv),
          () => setSe(b, b.shl(b.eq(rounding(b), b.i32(1)), b.i32(15))),
          () => {
            const shift = b.clz(hv);
            const moved = b.shrU(b.shrU(lv, b.i64(1)), b.sub(b.i64(63), shift));
            b.set(
              result,
              callRound(b, sign, b.sub(b.get(e), b.wrap(shift)), b.or(b.shl(hv, shift), moved), b.shl(lv, shift)),
            );
          },
        );
      },
    );
    return b.get(result);
  },
};

/** The sum of two normal numbers, in line unless they are far apart or cancel to nothing. */
function addNormal(b: Builder, am: Node, ea: Node, sa: Node, bm: Node, eb: Node, sb: Node): Node {
  const swaps = b.or(b.gtS(eb, ea), b.and(b.eq(ea, eb), b.gtU(bm, am)));
  const exp = b.select(swaps, eb, ea);
  const large = b.select(swaps, bm, am);
  const small = b.select(swaps, am, bm);
  const distance = b.sub(exp, b.select(swaps, ea, eb));
  const n = b.extendU64(distance);
  const bh = b.shrU(small, n);
  const bl = b.shl(b.shl(small, b.i64(1)), b.sub(b.i64(63), n));
  const e = b.variable(exp);
  const hi = b.variable(large);
  const lo = b.variable(bl);
  b.if(
    b.eq(sa, sb),
    () => {
      const sum = b.add(large, bh);
      b.set(hi, sum);
      b.if(b.ltU(sum, large), () => {
        b.set(lo, b.or(b.or(b.shrU(bl, b.i64(1)), b.and(bl, b.i64(1))), b.shl(sum, b.i64(63))));
        b.set(hi, b.or(b.shrU(sum, b.i64(1)), b.i64(INFINITY)));
        b.set(e, b.add(exp, b.i32(1)));
      });
    },
    () => {
      const high = b.sub(b.sub(large, bh), b.extendU64(b.nez(bl)));
      const low = b.neg(bl);
      const shift = b.clz(high);
      b.set(hi, b.or(b.shl(high, shift), b.shrU(b.shrU(low, b.i64(1)), b.sub(b.i64(63), shift))));
      b.set(lo, b.shl(low, shift));
      b.set(e, b.sub(exp, b.wrap(shift)));
    },
  );
  const result = b.variable(b.i64(0));
  const sign = b.select(swaps, sb, sa);
  const high = b.get(hi);
  b.if(
    b.and(b.ltU(distance, b.i32(64)), b.ltS(high, b.i64(0))),
    () => b.set(result, emitRound(b, sign, b.get(e), high, b.get(lo))),
    () => b.set(result, b.call("x87-add-finite", I64, [sa, ea, am, sb, eb, bm])),
  );
  return b.get(result);
}

/** a + b, or a − b with `flip` 8000h. */
const add: LibraryFunction = {
  name: "x87-add",
  parameters: [I64, I32, I64, I32, I32],
  result: I64,
  body: (b, am, ase, bm, bse, flip) => {
    const ea = exponentOf(b, ase);
    const eb = exponentOf(b, bse);
    const sa = signOf(b, ase);
    const sb = signOf(b, b.xor(bse, flip));
    const result = b.variable(b.i64(0));
    const finite = (x: { m: Node; e: Node }, y: { m: Node; e: Node }) =>
      b.set(result, b.call("x87-add-finite", I64, [sa, x.e, x.m, sb, y.e, y.m]));
    const infinite = (n: Node) => b.eq(n, b.i32(0x7fff));
    choose(
      b,
      [
        [
          () => b.and(isNormal(b, am, ase), isNormal(b, bm, bse)),
          () => b.set(result, addNormal(b, am, ea, sa, bm, eb, sb)),
        ],
        [() => b.call("x87-check", I32, [am, ase, bm, bse]), () => b.set(result, b.state(X87_SECOND, 8))],
        [() => b.and(b.and(infinite(ea), infinite(eb)), b.ne(sa, sb)), () => b.set(result, invalid(b))],
        [() => denormals(b, am, ase, bm, bse), () => {}],
        [
          () => b.or(infinite(ea), infinite(eb)),
          () => {
            b.set(result, b.i64(INFINITY));
            setSe(b, b.or(b.i32(0x7fff), b.select(infinite(ea), sa, sb)));
          },
        ],
        [
          () => b.or(b.eqz(am), b.eqz(bm)),
          () => {
            choose(
              b,
              [
                [
                  () => b.eqz(b.or(am, bm)),
                  () => setSe(b, b.select(b.eq(sa, sb), sa, b.shl(b.eq(rounding(b), b.i32(1)), b.i32(15)))),
                ],
              ],
              () => {
                const isA = b.nez(am);
                const n = normalize(b, b.or(am, bm), b.select(isA, ea, eb));
                b.set(result, callRound(b, b.select(isA, sa, sb), n.e, n.m, b.i64(0)));
              },
            );
          },
        ],
      ],
      () => finite(normalize(b, am, ea), normalize(b, bm, eb)),
    );
    return b.get(result);
  },
};

const multiply: LibraryFunction = {
  name: "x87-mul",
  parameters: [I64, I32, I64, I32],
  result: I64,
  body: (b, am, ase, bm, bse) => {
    const ea = exponentOf(b, ase);
    const eb = exponentOf(b, bse);
    const sign = signOf(b, b.xor(ase, bse));
    const result = b.variable(b.i64(0));
    const finite = (x: { m: Node; e: Node }, y: { m: Node; e: Node }, round = emitRound) => {
      const hi = multiplyHigh(b, x.m, y.m);
      const lo = b.mul(x.m, y.m);
      const exp = b.sub(b.add(x.e, y.e), b.i32(0x3ffe));
      const isShort = b.geS(hi, b.i64(0));
      const shift = b.extendU64(isShort);
      b.set(
        result,
        round(
          b,
          sign,
          b.sub(exp, isShort),
          b.or(b.shl(hi, shift), b.and(b.shrU(lo, b.i64(63)), shift)),
          b.shl(lo, shift),
        ),
      );
    };
    const infinite = (n: Node) => b.eq(n, b.i32(0x7fff));
    choose(
      b,
      [
        [() => b.and(isNormal(b, am, ase), isNormal(b, bm, bse)), () => finite({ m: am, e: ea }, { m: bm, e: eb })],
        [() => b.call("x87-check", I32, [am, ase, bm, bse]), () => b.set(result, b.state(X87_SECOND, 8))],
        [
          () => b.or(b.and(infinite(ea), isZero(b, bm, eb)), b.and(infinite(eb), isZero(b, am, ea))),
          () => b.set(result, invalid(b)),
        ],
        [() => denormals(b, am, ase, bm, bse), () => {}],
        [
          () => b.or(infinite(ea), infinite(eb)),
          () => {
            b.set(result, b.i64(INFINITY));
            setSe(b, b.or(b.i32(0x7fff), sign));
          },
        ],
        [() => b.or(b.eqz(am), b.eqz(bm)), () => setSe(b, sign)],
      ],
      () => finite(normalize(b, am, ea), normalize(b, bm, eb), callRound),
    );
    return b.get(result);
  },
};

/** One 32-bit digit of a quotient: estimate corrected down by at most 2. `rest`: two digits, below the divisor. */
function quotientDigit(b: Builder, rest: Node, next: Node, divisor: Node): Node {
  const high = b.shrU(divisor, b.i64(32));
  const low = b.and(divisor, b.i64(0xffff_ffffn));
  const estimate = b.divU(rest, high);
  const q = b.variable(estimate);
  const r = b.variable(b.sub(rest, b.mul(estimate, high)));
  for (let n = 0; n < 2; n++) {
    const qv = b.get(q);
    const rv = b.get(r);
    const isTooLarge = b.or(b.nez(b.shrU(qv, b.i64(32))), b.gtU(b.mul(qv, low), b.or(b.shl(rv, b.i64(32)), next)));
    b.if(b.and(b.eqz(b.shrU(rv, b.i64(32))), isTooLarge), () => {
      b.set(q, b.sub(qv, b.i64(1)));
      b.set(r, b.add(rv, high));
    });
  }
  return b.get(q);
}

/** (high, low) / divisor with high < divisor: the 64-bit quotient; remainder in X87_SECOND. */
const divideWide: LibraryFunction = {
  name: "x87-divide-wide",
  parameters: [I64, I64, I64],
  result: I64,
  body: (b, high, low, divisor) => {
    const lowHigh = b.shrU(low, b.i64(32));
    const lowLow = b.and(low, b.i64(0xffff_ffffn));
    const q1 = quotientDigit(b, high, lowHigh, divisor);
    const rest = b.sub(b.add(b.shl(high, b.i64(32)), lowHigh), b.mul(q1, divisor));
    const q0 = quotientDigit(b, rest, lowLow, divisor);
    b.setState(X87_SECOND, b.sub(b.add(b.shl(rest, b.i64(32)), lowLow), b.mul(q0, divisor)), 8);
    return b.add(b.shl(q1, b.i64(32)), q0);
  },
};

const divide: LibraryFunction = {
  name: "x87-div",
  parameters: [I64, I32, I64, I32],
  result: I64,
  body: (b, am, ase, bm, bse) => {
    const ea = exponentOf(b, ase);
    const eb = exponentOf(b, bse);
    const sign = signOf(b, b.xor(ase, bse));
    const result = b.variable(b.i64(0));
    const finite = (x: { m: Node; e: Node }, y: { m: Node; e: Node }, round = emitRound) => {
      const isBelow = b.ltU(x.m, y.m);
      const high = b.select(isBelow, x.m, b.shrU(x.m, b.i64(1)));
      const low = b.select(isBelow, b.i64(0), b.shl(x.m, b.i64(63)));
      const quotient = b.call("x87-divide-wide", I64, [high, low, y.m]);
      const remainder = b.state(X87_SECOND, 8);
      // The fraction below the quotient only matters as less than, equal to or more than a half.
      const other = b.sub(y.m, remainder);
      const fraction = b.select(
        b.gtU(remainder, other),
        b.i64(-1),
        b.select(b.eq(remainder, other), b.i64(INFINITY), b.extendU64(b.nez(remainder))),
      );
      const exp = b.sub(b.add(b.sub(x.e, y.e), b.i32(0x3fff)), isBelow);
      b.set(result, round(b, sign, exp, quotient, fraction));
    };
    const infinite = (n: Node) => b.eq(n, b.i32(0x7fff));
    choose(
      b,
      [
        [() => b.and(isNormal(b, am, ase), isNormal(b, bm, bse)), () => finite({ m: am, e: ea }, { m: bm, e: eb })],
        [() => b.call("x87-check", I32, [am, ase, bm, bse]), () => b.set(result, b.state(X87_SECOND, 8))],
        [
          () => b.or(b.and(infinite(ea), infinite(eb)), b.and(isZero(b, am, ea), isZero(b, bm, eb))),
          () => b.set(result, invalid(b)),
        ],
        [
          () => b.and(isZero(b, bm, eb), b.ne(ea, b.i32(0x7fff))),
          () => {
            b.set(result, b.i64(INFINITY));
            setSe(b, b.select(raise(b, b.i32(ZE)), b.i32(SUPPRESSED), b.or(b.i32(0x7fff), sign)));
          },
        ],
        [() => denormals(b, am, ase, bm, bse), () => {}],
        [
          () => infinite(ea),
          () => {
            b.set(result, b.i64(INFINITY));
            setSe(b, b.or(b.i32(0x7fff), sign));
          },
        ],
        [() => b.or(b.eqz(am), infinite(eb)), () => setSe(b, sign)],
      ],
      () => finite(normalize(b, am, ea), normalize(b, bm, eb), callRound),
    );
    return b.get(result);
  },
};

/** Integer square root of m · 2^64 or, for `isHalf`, m · 2^63, rounded down; the remainder's size against a half in X87_SECOND. */
function squareRoot(b: Builder, m: Node, isHalf: Node): { root: Node; fraction: Node } {
  // Radicand n as (nh, nl) in [2^126, 2^128).
  const nh = b.select(isHalf, b.shrU(m, b.i64(1)), m);
  const nl = b.select(isHalf, b.shl(m, b.i64(63)), b.i64(0));
  // 53 correct bits from the host: sqrt(nh) · 2^32, kept below 2^64.
  const estimate = b.float(
    float.f64Mul,
    b.float(float.f64Sqrt, b.float(float.f64ConvertI64U, nh)),
    b.float(float.f64ConvertI64U, b.i64(0x1_0000_0000n)),
  );
  const s0 = b.raw(I64, float.i64TruncSatF64U, [estimate]);
  // One Newton step on the difference n − s0², |difference| < 2^78.
  const square = (s: Node) => ({ hi: multiplyHigh(b, s, s), lo: b.mul(s, s) });
  const p0 = square(s0);
  const differenceHigh = b.sub(b.sub(nh, p0.hi), b.extendU64(b.ltU(nl, p0.lo)));
  const differenceLow = b.sub(nl, p0.lo);
  const scaled = b.or(b.shl(differenceHigh, b.i64(32)), b.shrU(differenceLow, b.i64(32)));
  const step = b.divS(scaled, b.shrU(s0, b.i64(31)));
  const sum = b.add(s0, step);
  // A step over 2^64 wraps to a small number: all ones is the largest root there is.
  const wrapped = b.select(b.and(b.geS(sum, b.i64(0)), b.ltS(s0, b.i64(0))), b.i64(-1), sum);
  const s = b.variable(wrapped);
  // Now at most a few units off.
  const above = (value: Node): Node => {
    const p = square(value);
    return b.or(b.gtU(p.hi, nh), b.and(b.eq(p.hi, nh), b.gtU(p.lo, nl)));
  };
  b.if(above(b.get(s)), () => {
    b.loop(() => {
      b.set(s, b.sub(b.get(s), b.i64(1)));
      return above(b.get(s));
    });
  });
  const again = b.variable(b.i32(1));
  b.loop(() => {
    const next = b.add(b.get(s), b.i64(1));
    b.set(again, b.and(b.nez(next), b.eqz(above(next))));
    b.if(b.get(again), () => b.set(s, next));
    return b.get(again);
  });
  const root = b.get(s);
  // remainder r = n − s² ≤ 2s; a root of n plus a half would need r > s (r = s + ¼ cannot be).
  const p = square(root);
  const remainder = b.sub(nl, p.lo);
  const remainderHigh = b.sub(b.sub(nh, p.hi), b.extendU64(b.ltU(nl, p.lo)));
  const fraction = b.select(
    b.or(b.nez(remainderHigh), b.gtU(remainder, root)),
    b.i64(-1),
    b.extendU64(b.nez(remainder)),
  );
  return { root, fraction };
}

const sqrt: LibraryFunction = {
  name: "x87-sqrt",
  parameters: [I64, I32],
  result: I64,
  body: (b, m, se) => {
    const e = exponentOf(b, se);
    const result = b.variable(m);
    choose(
      b,
      [
        [() => b.call("x87-check", I32, [m, se, m, se]), () => b.set(result, b.state(X87_SECOND, 8))],
        [() => isZero(b, m, e), () => setSe(b, se)],
        [() => signOf(b, se), () => b.set(result, invalid(b))],
        [() => denormals(b, m, se, m, se), () => {}],
        [() => b.eq(e, b.i32(0x7fff)), () => setSe(b, se)],
      ],
      () => {
        const n = normalize(b, m, e);
        // value = m · 2^(e − 3FFFh − 63); an odd unbiased exponent uses the whole 128 bits.
        const unbiased = b.sub(n.e, b.i32(0x3fff));
        const { root, fraction } = squareRoot(b, n.m, b.eqz(b.and(unbiased, b.i32(1))));
        b.set(result, emitRound(b, b.i32(0), b.add(b.shrS(unbiased, b.i32(1)), b.i32(0x3fff)), root, fraction));
      },
    );
    return b.get(result);
  },
};

/**
 * Condition bits C3, C2, C0 of a ? b: 0 greater, C0 less, C3 equal, all three unordered; SUPPRESSED beside them: no pop. Quiet NaNs are
 * invalid unless `isQuiet`.
 */
const compare: LibraryFunction = {
  name: "x87-compare",
  parameters: [I64, I32, I64, I32, I32],
  result: I32,
  body: (b, am, ase, bm, bse, isQuiet) => {
    const ea = exponentOf(b, ase);
    const eb = exponentOf(b, bse);
    const result = b.variable(b.i32(0));
    const ordered = () => {
      // Zeros compare equal whatever their sign; denormals have the exponent of 1.
      const xa = b.select(b.eqz(am), b.i32(0), b.add(ea, b.eqz(ea)));
      const xb = b.select(b.eqz(bm), b.i32(0), b.add(eb, b.eqz(eb)));
      const sa = b.ne(signOf(b, ase), b.i32(0));
      const sb = b.ne(signOf(b, bse), b.i32(0));
      const isEqualMagnitude = b.and(b.eq(xa, xb), b.eq(am, bm));
      const isSmaller = b.or(b.ltU(xa, xb), b.and(b.eq(xa, xb), b.ltU(am, bm)));
      const bothZero = b.eqz(b.or(am, bm));
      const isEqual = b.or(bothZero, b.and(isEqualMagnitude, b.eq(sa, sb)));
      // Different signs: the negative one is less. Same signs: by magnitude, turned round for negatives.
      const isLess = b.select(b.ne(sa, sb), sa, b.xor(isSmaller, sa));
      b.set(result, b.select(isEqual, b.i32(C3), b.select(isLess, b.i32(C0), b.i32(0))));
    };
    choose(
      b,
      [
        [() => b.and(isNormal(b, am, ase), isNormal(b, bm, bse)), ordered],
        [
          () => b.or(isUnsupported(b, am, ea), isUnsupported(b, bm, eb)),
          () => b.set(result, b.select(raise(b, b.i32(IE)), b.i32(SUPPRESSED | C3 | C2 | C0), b.i32(C3 | C2 | C0))),
        ],
        [
          () => b.or(isNan(b, am, ea), isNan(b, bm, eb)),
          () => {
            const signals = (m: Node, e: Node) => b.and(isNan(b, m, e), b.eqz(b.and(m, b.i64(0x4000_0000_0000_0000n))));
            b.set(result, b.i32(C3 | C2 | C0));
            b.if(b.or(b.eqz(isQuiet), b.or(signals(am, ea), signals(bm, eb))), () => {
              b.if(raise(b, b.i32(IE)), () => b.set(result, b.i32(SUPPRESSED | C3 | C2 | C0)));
            });
          },
        ],
        [
          () => denormals(b, am, ase, bm, bse),
          () => {
            ordered();
            b.set(result, b.or(b.get(result), b.i32(SUPPRESSED)));
          },
        ],
      ],
      ordered,
    );
    return b.get(result);
  },
};

export const extendedArithmetic: readonly LibraryFunction[] = [
  addFinite,
  add,
  multiply,
  divideWide,
  divide,
  sqrt,
  compare,
];
