/**
 * FPREM, FPREM1, FSCALE, FXTRACT and the tag word (SDM volume 2; volume 1, 8.1.7). The remainder is exact: one quotient bit
 * per step, up to 63 in one go, else a partial reduction with C2 set.
 */
import type { LibraryFunction } from "../interpreter/library.ts";
import { I32, I64, type Node } from "../ir/node.ts";
import * as L from "../layout.ts";
import {
  C0,
  C1,
  C2,
  C3,
  choose,
  exponentOf,
  isZero,
  normalize,
  raise,
  SUPPRESSED,
  setSe,
  signOf,
  X87_SE,
  X87_SECOND,
  X87_SECOND_SE,
  ZE,
} from "./extended.ts";
import { denormals, invalid } from "./extended-arithmetic.ts";

const INFINITY = -0x8000_0000_0000_0000n;

/** Remainder of a / b; condition bits into the status word (C1, C2 are clear before). `isNearest`: FPREM1. */
const remainder: LibraryFunction = {
  name: "x87-remainder",
  parameters: [I64, I32, I64, I32, I32],
  result: I64,
  body: (b, am, ase, bm, bse, isNearest) => {
    const ea = exponentOf(b, ase);
    const eb = exponentOf(b, bse);
    const signA = signOf(b, ase);
    const result = b.variable(am);
    const bits = b.variable(b.i32(0));
    const infinite = (n: Node) => b.eq(n, b.i32(0x7fff));
    choose(
      b,
      [
        [() => b.call("x87-check", I32, [am, ase, bm, bse]), () => b.set(result, b.state(X87_SECOND, 8))],
        [() => b.or(infinite(ea), isZero(b, bm, eb)), () => b.set(result, invalid(b))],
        [() => denormals(b, am, ase, bm, bse), () => {}],
        [
          () => b.eqz(am),
          () => {
            setSe(b, ase);
            b.setState(L.FPU_STATUS, b.and(b.state(L.FPU_STATUS), b.i32(~(C0 | C1 | C2 | C3))));
          },
        ],
      ],
      () => {
        const na = normalize(b, am, ea);
        const nb = normalize(b, b.or(bm, b.extendU64(b.eqz(bm))), eb);
        // An infinite divisor is larger than anything.
        const distance = b.select(infinite(eb), b.i32(-2), b.sub(na.e, nb.e));
        const sign = b.variable(signA);
        const m = b.variable(na.m);
        const e = b.variable(na.e);
        choose(
          b,
          [
            [
              () => b.geS(distance, b.i32(0)),
              () => {
                const isPartial = b.geS(distance, b.i32(64));
                const steps = b.select(isPartial, b.or(b.and(distance, b.i32(31)), b.i32(32)), distance);
                const left = b.variable(steps);
                const quotient = b.variable(b.geU(na.m, nb.m));
                b.set(m, b.select(b.geU(na.m, nb.m), b.sub(na.m, nb.m), na.m));
                b.if(steps, () => {
                  b.loop(() => {
                    const r = b.get(m);
                    const doubled = b.shl(r, b.i64(1));
                    const fits = b.or(b.ltS(r, b.i64(0)), b.geU(doubled, nb.m));
                    b.set(m, b.select(fits, b.sub(doubled, nb.m), doubled));
                    b.set(quotient, b.or(b.shl(b.get(quotient), b.i32(1)), fits));
                    b.set(left, b.sub(b.get(left), b.i32(1)));
                    return b.get(left);
                  });
                });
                b.set(e, b.sub(na.e, steps));
                b.if(
                  isPartial,
                  () => b.set(bits, b.i32(C2)),
                  () => {
                    b.if(isNearest, () => {
                      const r = b.get(m);
                      const other = b.sub(nb.m, r);
                      const q = b.get(quotient);
                      const up = b.or(b.gtU(r, other), b.and(b.eq(r, other), b.and(q, b.i32(1))));
                      b.if(up, () => {
                        b.set(m, other);
                        b.set(quotient, b.add(q, b.i32(1)));
                        b.set(sign, b.xor(signA, b.i32(0x8000)));
                      });
                    });
                    const q = b.get(quotient);
                    const bit = (n: number, flag: number) => b.select(b.and(q, b.i32(1 << n)), b.i32(flag), b.i32(0));
                    b.set(bits, b.or(b.or(bit(2, C0), bit(1, C3)), bit(0, C1)));
                  },
                );
              },
            ],
            [
              // Between a half and all of the divisor: 2b − a in units of a is b − (a − b).
              () => b.and(b.and(isNearest, b.eq(distance, b.i32(-1))), b.gtU(na.m, nb.m)),
              () => {
                b.set(m, b.sub(nb.m, b.sub(na.m, nb.m)));
                b.set(sign, b.xor(signA, b.i32(0x8000)));
                b.set(bits, b.i32(C1));
              },
            ],
          ],
          () => {},
        );
        const others = b.and(b.state(L.FPU_STATUS), b.i32(~(C0 | C1 | C2 | C3)));
        b.setState(L.FPU_STATUS, b.or(others, b.get(bits)));
        const rest = b.get(m);
        b.if(
          b.eqz(rest),
          () => {
            b.set(result, b.i64(0));
            setSe(b, signA);
          },
          () => {
            const n = b.clz(rest);
            b.set(
              result,
              b.call("x87-round-at", I64, [
                b.get(sign),
                b.sub(b.get(e), b.wrap(n)),
                b.shl(rest, n),
                b.i64(0),
                b.i32(0),
              ]),
            );
          },
        );
      },
    );
    return b.get(result);
  },
};

/** a · 2^trunc(b). */
const scale: LibraryFunction = {
  name: "x87-scale",
  parameters: [I64, I32, I64, I32],
  result: I64,
  body: (b, am, ase, bm, bse) => {
    const ea = exponentOf(b, ase);
    const eb = exponentOf(b, bse);
    const result = b.variable(am);
    const infinite = (n: Node) => b.eq(n, b.i32(0x7fff));
    const negative = signOf(b, bse);
    choose(
      b,
      [
        [() => b.call("x87-check", I32, [am, ase, bm, bse]), () => b.set(result, b.state(X87_SECOND, 8))],
        [
          // Infinity / infinity and zero times infinity.
          () => b.and(infinite(eb), b.select(negative, infinite(ea), isZero(b, am, ea))),
          () => b.set(result, invalid(b)),
        ],
        [() => denormals(b, am, ase, bm, bse), () => {}],
        [() => b.or(infinite(ea), b.eqz(am)), () => setSe(b, ase)],
        // A denormal scaled by zero itself is no underflow, even unmasked.
        [() => b.and(b.eqz(bm), b.geS(am, b.i64(0))), () => setSe(b, ase)],
        [
          () => infinite(eb),
          () => {
            b.set(result, b.select(negative, b.i64(0), b.i64(INFINITY)));
            setSe(b, b.or(signOf(b, ase), b.select(negative, b.i32(0), b.i32(0x7fff))));
          },
        ],
      ],
      () => {
        // Beyond ±2^16 nothing changes any more.
        const e = b.sub(eb, b.i32(0x3fff));
        const magnitude = b.select(
          b.gtS(e, b.i32(16)),
          b.i32(0x20000),
          b.select(b.ltS(e, b.i32(0)), b.i32(0), b.wrap(b.shrU(bm, b.extendU64(b.sub(b.i32(63), e))))),
        );
        const n = normalize(b, am, ea);
        const exp = b.add(n.e, b.select(negative, b.neg(magnitude), magnitude));
        b.set(result, b.call("x87-round-at", I64, [signOf(b, ase), exp, n.m, b.i64(0), b.i32(0)]));
      },
    );
    return b.get(result);
  },
};

/** Exponent as the result, significand in X87_SECOND and X87_SECOND_SE. */
const extract: LibraryFunction = {
  name: "x87-extract",
  parameters: [I64, I32],
  result: I64,
  body: (b, m, se) => {
    const e = exponentOf(b, se);
    const sign = signOf(b, se);
    const result = b.variable(b.i64(INFINITY));
    const significand = (mantissa: Node, signExponent: Node) => {
      b.setState(X87_SECOND, mantissa, 8);
      b.setState(X87_SECOND_SE, signExponent);
    };
    choose(
      b,
      [
        [
          () => b.call("x87-check", I32, [m, se, m, se]),
          () => {
            b.set(result, b.state(X87_SECOND, 8));
            significand(b.get(result), b.state(X87_SE));
          },
        ],
        [
          () => b.eqz(m),
          () => {
            significand(m, se);
            setSe(b, b.select(raise(b, b.i32(ZE)), b.i32(SUPPRESSED), b.i32(0xffff)));
          },
        ],
        [
          () => b.eq(e, b.i32(0x7fff)),
          () => {
            significand(m, se);
            setSe(b, b.i32(0x7fff));
          },
        ],
        [() => denormals(b, m, se, m, se), () => {}],
      ],
      () => {
        const n = normalize(b, m, e);
        significand(n.m, b.or(sign, b.i32(0x3fff)));
        b.set(result, b.call("x87-from-integer", I64, [b.extendS64(b.sub(n.e, b.i32(0x3fff)))]));
      },
    );
    return b.get(result);
  },
};

/** The tag word: 0 valid, 1 zero, 2 special, 3 empty, for each physical register. */
const tagWord: LibraryFunction = {
  name: "x87-tag-word",
  parameters: [],
  result: I32,
  body: (b) => {
    const register = b.variable(b.i32(7));
    const word = b.variable(b.i32(0));
    b.loop(() => {
      const n = b.get(register);
      const address = b.shl(n, b.i32(4));
      const m = b.host(address, 8, L.X87);
      const e = exponentOf(b, b.host(address, 2, L.X87 + 8));
      const isUsed = b.and(b.shrU(b.state(L.FPU_TAGS), n), b.i32(1));
      const isValid = b.and(b.ltU(b.sub(e, b.i32(1)), b.i32(0x7ffe)), b.ltS(m, b.i64(0)));
      const tag = b.select(
        isUsed,
        b.select(isZero(b, m, e), b.i32(1), b.select(isValid, b.i32(0), b.i32(2))),
        b.i32(3),
      );
      b.set(word, b.or(b.shl(b.get(word), b.i32(2)), tag));
      b.set(register, b.sub(n, b.i32(1)));
      return b.nez(n);
    });
    return b.get(word);
  },
};

export const extendedRemainder: readonly LibraryFunction[] = [remainder, scale, extract, tagWord];
