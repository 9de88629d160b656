/**
 * Special operands of the transcendental instructions (SDM volume 2, the tables of each). Each function answers SETTLED:
 * result mantissa in X87_SECOND, X87_SE set; COMPUTE: operands are numbers for transcendental.ts (in the scratch area);
 * or OUT_OF_RANGE (C2).
 */
import type { LibraryFunction } from "../interpreter/library.ts";
import type { Builder } from "../ir/builder.ts";
import { I32, I64, type Node } from "../ir/node.ts";
import {
  C1,
  choose,
  exponentOf,
  PE,
  raise,
  rounding,
  SUPPRESSED,
  setSe,
  signOf,
  UE,
  X87_SE,
  X87_SECOND,
  ZE,
} from "./extended.ts";
import { denormals, invalid } from "./extended-arithmetic.ts";
import { OPERAND_A, OPERAND_B, RESULT_A } from "./transcendental.ts";

export const SETTLED = 0;
export const COMPUTE = 1;
export const OUT_OF_RANGE = 2;

const INFINITY = -0x8000_0000_0000_0000n;
const ONE = INFINITY;

function settle(b: Builder, m: Node, se: Node): void {
  b.setState(X87_SECOND, m, 8);
  setSe(b, se);
}

const settleInvalid = (b: Builder): void => b.setState(X87_SECOND, invalid(b), 8);

function operand(b: Builder, at: number, m: Node, se: Node): void {
  b.setState(at, m, 8);
  b.setState(at + 8, se);
}

const isInfinite = (b: Builder, e: Node): Node => b.eq(e, b.i32(0x7fff));

/** An inexact constant: mantissa rounded to nearest, and which way the true value lies from it. */
function settleConstant(b: Builder, sign: Node, m: bigint, e: number, isRoundedUp: boolean): void {
  const rc = rounding(b);
  // Away from zero: nearest as it came out, else towards the infinity of the sign.
  const outward = b.eq(rc, b.select(sign, b.i32(1), b.i32(2)));
  const up = b.select(rc, outward, b.i32(isRoundedUp ? 1 : 0));
  const below = isRoundedUp ? m - 1n : m;
  settle(b, b.select(up, b.i64(below + 1n), b.i64(below)), b.or(sign, b.i32(e)));
  raise(b, b.or(b.i32(PE), b.select(up, b.i32(C1), b.i32(0))));
}

const f2xm1: LibraryFunction = {
  name: "x87-prepare-f2xm1",
  parameters: [I64, I32],
  result: I32,
  body: (b, m, se) => {
    const e = exponentOf(b, se);
    const answer = b.variable(b.i32(SETTLED));
    choose(
      b,
      [
        [() => b.call("x87-check", I32, [m, se, m, se]), () => {}],
        [() => denormals(b, m, se, m, se), () => {}],
        [() => b.eqz(m), () => settle(b, m, se)],
        [
          // Infinity as it is, minus infinity gives −1.
          () => isInfinite(b, e),
          () => settle(b, m, b.select(signOf(b, se), b.i32(0xbfff), b.i32(0x7fff))),
        ],
        [
          // 1 and −1; beyond them the result is not defined.
          () => b.geU(e, b.i32(0x3fff)),
          () => {
            const sign = signOf(b, se);
            const isOne = b.and(b.eq(e, b.i32(0x3fff)), b.eq(m, b.i64(ONE)));
            settle(b, m, b.select(b.and(isOne, b.nez(sign)), b.i32(0xbffe), se));
            b.if(b.eqz(isOne), () => {
              raise(b, b.i32(PE));
            });
          },
        ],
      ],
      () => {
        operand(b, OPERAND_A, m, se);
        b.set(answer, b.i32(COMPUTE));
      },
    );
    return b.get(answer);
  },
};

/** FYL2X: x = ST(0), y = ST(1). */
const fyl2x: LibraryFunction = {
  name: "x87-prepare-fyl2x",
  parameters: [I64, I32, I64, I32],
  result: I32,
  body: (b, xm, xse, ym, yse) => {
    const ex = exponentOf(b, xse);
    const ey = exponentOf(b, yse);
    const answer = b.variable(b.i32(SETTLED));
    const signY = signOf(b, yse);
    const isBelowOne = b.ltU(ex, b.i32(0x3fff));
    const isOne = b.and(b.eq(ex, b.i32(0x3fff)), b.eq(xm, b.i64(ONE)));
    const signed = b.xor(signY, b.shl(isBelowOne, b.i32(15)));
    choose(
      b,
      [
        [() => b.call("x87-check", I32, [xm, xse, ym, yse]), () => {}],
        [() => b.and(b.nez(xm), b.nez(signOf(b, xse))), () => settleInvalid(b)],
        [
          () => b.eqz(xm),
          () =>
            choose(
              b,
              [
                [() => b.eqz(ym), () => settleInvalid(b)],
                [
                  () => isInfinite(b, ey),
                  () => settle(b, b.i64(INFINITY), b.or(b.i32(0x7fff), b.xor(signY, b.i32(0x8000)))),
                ],
              ],
              () => {
                const stopped = raise(b, b.i32(ZE));
                const se = b.or(b.i32(0x7fff), b.xor(signY, b.i32(0x8000)));
                settle(b, b.i64(INFINITY), b.select(stopped, b.i32(SUPPRESSED), se));
              },
            ),
        ],
        [() => b.or(b.and(isInfinite(b, ex), b.eqz(ym)), b.and(isInfinite(b, ey), isOne)), () => settleInvalid(b)],
        [() => denormals(b, xm, xse, ym, yse), () => {}],
        [
          () => b.or(isInfinite(b, ex), isInfinite(b, ey)),
          () => settle(b, b.i64(INFINITY), b.or(b.i32(0x7fff), signed)),
        ],
        [() => b.or(b.eqz(ym), isOne), () => settle(b, b.i64(0), b.select(isOne, signY, signed))],
      ],
      () => {
        operand(b, OPERAND_A, xm, xse);
        operand(b, OPERAND_B, ym, yse);
        b.set(answer, b.i32(COMPUTE));
      },
    );
    return b.get(answer);
  },
};

const fyl2xp1: LibraryFunction = {
  name: "x87-prepare-fyl2xp1",
  parameters: [I64, I32, I64, I32],
  result: I32,
  body: (b, xm, xse, ym, yse) => {
    const ex = exponentOf(b, xse);
    const ey = exponentOf(b, yse);
    const answer = b.variable(b.i32(SETTLED));
    const sign = b.xor(signOf(b, yse), signOf(b, xse));
    const isNegative = b.nez(signOf(b, xse));
    choose(
      b,
      [
        [() => b.call("x87-check", I32, [xm, xse, ym, yse]), () => {}],
        [() => b.and(isInfinite(b, ex), b.or(isNegative, b.eqz(ym))), () => settleInvalid(b)],
        [() => b.and(isInfinite(b, ey), b.eqz(xm)), () => settleInvalid(b)],
        [() => denormals(b, xm, xse, ym, yse), () => {}],
        [() => b.or(isInfinite(b, ex), isInfinite(b, ey)), () => settle(b, b.i64(INFINITY), b.or(b.i32(0x7fff), sign))],
        [() => b.or(b.eqz(ym), b.eqz(xm)), () => settle(b, b.i64(0), sign)],
        [
          // −1 and below: not defined.
          () => b.and(isNegative, b.geU(ex, b.i32(0x3fff))),
          () => {
            settle(b, xm, xse);
            raise(b, b.i32(PE));
          },
        ],
      ],
      () => {
        operand(b, OPERAND_A, xm, xse);
        operand(b, OPERAND_B, ym, yse);
        b.set(answer, b.i32(COMPUTE));
      },
    );
    return b.get(answer);
  },
};

/** FPATAN: x = ST(0), y = ST(1). */
const fpatan: LibraryFunction = {
  name: "x87-prepare-fpatan",
  parameters: [I64, I32, I64, I32],
  result: I32,
  body: (b, xm, xse, ym, yse) => {
    const ex = exponentOf(b, xse);
    const ey = exponentOf(b, yse);
    const sign = signOf(b, yse);
    const answer = b.variable(b.i32(SETTLED));
    const isLeft = signOf(b, xse);
    const half = () => settleConstant(b, sign, 0xc90f_daa2_2168_c235n, 0x3fff, true);
    choose(
      b,
      [
        [() => b.call("x87-check", I32, [xm, xse, ym, yse]), () => {}],
        [() => denormals(b, xm, xse, ym, yse), () => {}],
        [
          () => isInfinite(b, ey),
          () =>
            choose(
              b,
              [
                [
                  () => isInfinite(b, ex),
                  () =>
                    b.if(
                      isLeft,
                      () => settleConstant(b, sign, 0x96cb_e3f9_990e_91a8n, 0x4000, true),
                      () => settleConstant(b, sign, 0xc90f_daa2_2168_c235n, 0x3ffe, true),
                    ),
                ],
              ],
              half,
            ),
        ],
        [
          () => b.or(isInfinite(b, ex), b.eqz(ym)),
          () =>
            b.if(
              isLeft,
              () => settleConstant(b, sign, 0xc90f_daa2_2168_c235n, 0x4000, true),
              () => settle(b, b.i64(0), sign),
            ),
        ],
        [() => b.eqz(xm), half],
      ],
      () => {
        operand(b, OPERAND_A, xm, xse);
        operand(b, OPERAND_B, ym, yse);
        b.set(answer, b.i32(COMPUTE));
      },
    );
    return b.get(answer);
  },
};

/** FSIN, FCOS, FPTAN, FSINCOS: one operand, an angle below 2^63; zeros are the caller's. */
const angle: LibraryFunction = {
  name: "x87-prepare-angle",
  parameters: [I64, I32],
  result: I32,
  body: (b, m, se) => {
    const e = exponentOf(b, se);
    const answer = b.variable(b.i32(SETTLED));
    choose(
      b,
      [
        [() => b.call("x87-check", I32, [m, se, m, se]), () => {}],
        [() => isInfinite(b, e), () => settleInvalid(b)],
        [() => b.geU(e, b.i32(0x3fff + 63)), () => b.set(answer, b.i32(OUT_OF_RANGE))],
        [() => denormals(b, m, se, m, se), () => {}],
      ],
      () => {
        operand(b, OPERAND_A, m, se);
        b.set(answer, b.i32(COMPUTE));
      },
    );
    return b.get(answer);
  },
};

/** Rounds the result of the helper at that offset of RESULT_A. Hosts call even exact ones inexact (log2 of a power of 2). */
const finish: LibraryFunction = {
  name: "x87-finish",
  parameters: [I32],
  result: I64,
  body: (b, offset) => {
    const m = b.call("x87-round-at", I64, [
      b.host(offset, 4, RESULT_A + 16),
      b.host(offset, 4, RESULT_A + 20),
      b.host(offset, 8, RESULT_A),
      b.host(offset, 8, RESULT_A + 8),
      b.i32(0),
    ]);
    const isTiny = b.and(b.eqz(exponentOf(b, b.state(X87_SE))), b.nez(m));
    raise(b, b.select(isTiny, b.i32(UE | PE), b.i32(PE)));
    return m;
  },
};

export const extendedTranscendental: readonly LibraryFunction[] = [f2xm1, fyl2x, fyl2xp1, fpatan, angle, finish];
