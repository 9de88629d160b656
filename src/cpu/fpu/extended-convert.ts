/**
 * Conversions between double-extended and the memory formats: single, double, integers (SDM volume 1, 4.2 and 4.8.3; FST,
 * FIST in volume 2), and rounding to an integral value. Widening is exact and raises nothing (`x87-accept` does, for FLD);
 * narrowing leaves its exceptions in X87_FLAGS so that the store can fault first.
 */
import type { LibraryFunction } from "../interpreter/library.ts";
import type { Builder } from "../ir/builder.ts";
import { I32, I64, type Node } from "../ir/node.ts";
import * as L from "../layout.ts";
import {
  C1,
  choose,
  DE,
  EXCEPTIONS,
  exponentOf,
  IE,
  isMasked,
  isNan,
  isUnsupported,
  isZero,
  normalize,
  OE,
  PE,
  raise,
  rounding,
  roundMantissa,
  SF,
  SUPPRESSED,
  setSe,
  shiftRightSticky,
  signOf,
  UE,
  WAS_DENORMAL,
  X87_FLAGS,
  X87_SECOND,
} from "./extended.ts";
import { denormals } from "./extended-arithmetic.ts";

const QUIET = 0x4000_0000_0000_0000n;
const TOP = -0x8000_0000_0000_0000n;

/** m32 or m64 to double-extended; a signaling NaN stays one, a denormal is marked. */
function widen(name: string, isDouble: boolean): LibraryFunction {
  const fractionBits = isDouble ? 52 : 23;
  const maximum = isDouble ? 0x7ff : 0xff;
  const rebias = 0x3fff - (isDouble ? 0x3ff : 0x7f);
  return {
    name,
    parameters: [isDouble ? I64 : I32],
    result: I64,
    body: (b, value) => {
      const bits = isDouble ? value : b.extendU64(value);
      const sign = b.and(b.wrap(b.shrU(bits, b.i64(fractionBits + (isDouble ? 11 : 8) - 15))), b.i32(0x8000));
      const exp = b.and(b.wrap(b.shrU(bits, b.i64(fractionBits))), b.i32(maximum));
      const fraction = b.shl(bits, b.i64(64 - fractionBits));
      const result = b.variable(b.or(b.shrU(fraction, b.i64(1)), b.i64(TOP)));
      choose(
        b,
        [
          [
            () => b.ltU(b.sub(exp, b.i32(1)), b.i32(maximum - 1)),
            () => setSe(b, b.or(sign, b.add(exp, b.i32(rebias)))),
          ],
          [() => exp, () => setSe(b, b.or(sign, b.i32(0x7fff)))],
          [
            () => b.eqz(fraction),
            () => {
              b.set(result, b.i64(0));
              setSe(b, sign);
            },
          ],
        ],
        () => {
          const shift = b.clz(fraction);
          b.set(result, b.shl(fraction, shift));
          setSe(b, b.or(b.or(sign, b.i32(WAS_DENORMAL)), b.sub(b.i32(rebias), b.wrap(shift))));
        },
      );
      return b.get(result);
    },
  };
}

/** What FLD does with a widened m32 or m64: IE for a signaling NaN, DE for a denormal (loaded even if unmasked). */
const accept: LibraryFunction = {
  name: "x87-accept",
  parameters: [I64, I32],
  result: I64,
  body: (b, m, se) => {
    const result = b.variable(m);
    const plain = b.and(se, b.i32(0xffff));
    setSe(b, plain);
    choose(
      b,
      [
        [
          () => b.and(se, b.i32(WAS_DENORMAL)),
          () => {
            raise(b, b.i32(DE));
          },
        ],
        [
          () => b.and(isNan(b, m, exponentOf(b, se)), b.eqz(b.and(m, b.i64(QUIET)))),
          () => {
            b.set(result, b.or(m, b.i64(QUIET)));
            b.if(raise(b, b.i32(IE)), () => setSe(b, b.i32(SUPPRESSED)));
          },
        ],
      ],
      () => {},
    );
    return b.get(result);
  },
};

const fromInteger: LibraryFunction = {
  name: "x87-from-integer",
  parameters: [I64],
  result: I64,
  body: (b, value) => {
    const result = b.variable(b.i64(0));
    b.if(
      b.eqz(value),
      () => setSe(b, b.i32(0)),
      () => {
        const isNegative = b.ltS(value, b.i64(0));
        const magnitude = b.select(isNegative, b.neg(value), value);
        const shift = b.clz(magnitude);
        b.set(result, b.shl(magnitude, shift));
        setSe(b, b.or(b.shl(isNegative, b.i32(15)), b.sub(b.i32(0x403e), b.wrap(shift))));
      },
    );
    return b.get(result);
  },
};

/** Puts exceptions into X87_FLAGS; SUPPRESSED beside them if one of `stopping` among them is not masked. */
function leaveFlags(b: Builder, flags: Node, stopping: number): void {
  const unmasked = b.and(b.and(flags, b.not(b.state(L.FPU_CONTROL))), b.i32(stopping));
  b.setState(X87_FLAGS, b.select(unmasked, b.or(flags, b.i32(SUPPRESSED)), flags));
}

/** A store's stack underflow. */
const storeUnderflow: LibraryFunction = {
  name: "x87-store-underflow",
  parameters: [],
  result: I32,
  body: (b) => {
    leaveFlags(b, b.i32(IE | SF), IE);
    return b.i32(0);
  },
};

/** Double-extended to m32 (low half of the result) or m64. */
function narrow(name: string, isDouble: boolean): LibraryFunction {
  const drop = isDouble ? 11 : 40;
  const fractionBits = isDouble ? 52 : 23;
  const maximum = isDouble ? 0x7ff : 0xff;
  const rebias = (isDouble ? 0x3ff : 0x7f) - 0x3fff;
  return {
    name,
    parameters: [I64, I32],
    result: I64,
    body: (b, m, se) => {
      const e = exponentOf(b, se);
      const signBit = b.shl(b.extendU64(signOf(b, se)), b.i64(fractionBits + (isDouble ? 11 : 8) - 15));
      const pack = (exp: Node, mantissa: Node): Node =>
        b.or(
          b.or(signBit, b.shl(b.extendU64(exp), b.i64(fractionBits))),
          b.and(b.shrU(mantissa, b.i64(drop)), b.i64((1n << BigInt(fractionBits)) - 1n)),
        );
      const result = b.variable(signBit);
      const flags = b.variable(b.i32(0));
      const usual = b.add(e, b.i32(rebias));
      const control = b.state(L.FPU_CONTROL);
      choose(
        b,
        [
          [
            // To nearest, well within the range: nearly always.
            () =>
              b.and(
                b.and(b.ltU(b.sub(usual, b.i32(1)), b.i32(maximum - 2)), b.ltS(m, b.i64(0))),
                b.eqz(b.and(control, b.i32(0xc00))),
              ),
            () => {
              const rest = b.shl(m, b.i64(64 - drop));
              const kept = b.shrU(b.shl(m, b.i64(1)), b.i64(drop + 1));
              // A carry out of the fraction goes into the exponent, as it should.
              const base = b.add(b.shl(b.extendU64(usual), b.i64(fractionBits)), kept);
              b.if(
                b.eqz(rest),
                () => b.set(result, b.or(signBit, base)),
                () => {
                  const up = b.and(
                    b.wrap(b.shrU(rest, b.i64(63))),
                    b.or(b.nez(b.shl(rest, b.i64(1))), b.wrap(b.and(kept, b.i64(1)))),
                  );
                  b.set(result, b.or(signBit, b.add(base, b.extendU64(up))));
                  b.set(flags, b.or(b.i32(PE), b.shl(up, b.i32(9))));
                },
              );
            },
          ],
          [
            () => isUnsupported(b, m, e),
            () => {
              const all = b.or(b.i64(1n << BigInt(fractionBits + (isDouble ? 11 : 8))), b.i64(0));
              b.set(flags, b.i32(IE));
              b.set(result, b.or(all, b.i64((BigInt(maximum) * 2n + 1n) << BigInt(fractionBits - 1))));
            },
          ],
          [
            () => b.eq(e, b.i32(0x7fff)),
            () => {
              const isNumber = b.eqz(b.shl(m, b.i64(1)));
              const isSignaling = b.and(b.eqz(isNumber), b.eqz(b.and(m, b.i64(QUIET))));
              b.set(flags, isSignaling);
              const mantissa = b.select(isNumber, m, b.or(m, b.i64(QUIET)));
              b.set(result, pack(b.i32(maximum), mantissa));
            },
          ],
          [() => b.eqz(m), () => {}],
        ],
        () => {
          const n = normalize(b, m, e);
          const sign = signOf(b, se);
          const rc = rounding(b);
          const k = b.i32(drop);
          const zero = b.i64(0);
          const first = roundMantissa(b, sign, n.m, zero, k, rc);
          const exp = b.add(n.e, b.i32(rebias));
          const x = b.add(exp, first.carry);
          const firstFlags = b.select(
            first.inexact,
            b.or(b.i32(PE), b.select(first.up, b.i32(C1), b.i32(0))),
            b.i32(0),
          );
          choose(
            b,
            [
              [
                () => b.geS(x, b.i32(maximum)),
                () => {
                  const toInfinity = b.or(b.eqz(rc), b.eq(rc, b.select(sign, b.i32(1), b.i32(2))));
                  b.set(result, b.select(toInfinity, pack(b.i32(maximum), zero), pack(b.i32(maximum - 1), b.i64(-1))));
                  b.set(
                    flags,
                    b.select(
                      isMasked(b, OE),
                      b.or(b.i32(OE | PE), b.select(toInfinity, b.i32(C1), b.i32(0))),
                      b.i32(OE),
                    ),
                  );
                },
              ],
              [
                () => b.gtS(b.i32(1), x),
                () => {
                  const shifted = shiftRightSticky(b, n.m, zero, b.sub(b.i32(1), exp));
                  const second = roundMantissa(b, sign, shifted.hi, shifted.lo, k, rc);
                  b.set(result, pack(b.wrap(b.shrU(second.m, b.i64(63))), second.m));
                  const masked = b.select(
                    second.inexact,
                    b.or(b.i32(UE | PE), b.select(second.up, b.i32(C1), b.i32(0))),
                    b.i32(0),
                  );
                  b.set(flags, b.select(isMasked(b, UE), masked, b.i32(UE)));
                },
              ],
            ],
            () => {
              b.set(result, pack(x, first.m));
              b.set(flags, firstFlags);
            },
          );
        },
      );
      leaveFlags(b, b.get(flags), EXCEPTIONS & ~PE);
      return b.get(result);
    },
  };
}

/** Magnitude rounded to an integer (|value| < 2^64): `shift` = 403Eh − exponent ≥ 0, m normal. */
function integerPart(b: Builder, m: Node, sign: Node, shift: Node, rc: Node): { value: Node; up: Node; inexact: Node } {
  const wide = b.extendU64(shift);
  const hi = b.variable(b.shrU(m, wide));
  const lo = b.variable(b.shl(b.shl(m, b.i64(1)), b.sub(b.i64(63), wide)));
  b.if(b.geU(shift, b.i32(64)), () => {
    b.set(hi, b.i64(0));
    // A half only if all but one bit are beyond.
    b.set(lo, b.select(b.eq(shift, b.i32(64)), m, b.i64(1)));
  });
  const rounded = roundMantissa(b, sign, b.get(hi), b.get(lo), b.i32(0), rc);
  return { value: rounded.m, up: rounded.up, inexact: rounded.inexact };
}

/** Double-extended to a signed integer of `bits` bits, rounded by RC; exceptions in X87_FLAGS. */
const toInteger: LibraryFunction = {
  name: "x87-to-integer",
  parameters: [I64, I32, I32],
  result: I64,
  body: (b, m, se, bits) => {
    const e = exponentOf(b, se);
    const sign = signOf(b, se);
    const limit = b.shl(b.i64(1), b.extendU64(b.sub(bits, b.i32(1))));
    const result = b.variable(b.i64(0));
    const flags = b.variable(b.i32(0));
    choose(
      b,
      [
        [() => isZero(b, m, e), () => {}],
        // Infinities, NaNs and unsupported formats too.
        [
          () => b.or(b.gtU(e, b.i32(0x403e)), isUnsupported(b, m, e)),
          () => {
            b.set(flags, b.i32(IE));
            b.set(result, limit);
          },
        ],
      ],
      () => {
        const n = integerPart(b, m, sign, b.sub(b.i32(0x403e), e), rounding(b));
        const largest = b.select(sign, limit, b.sub(limit, b.i64(1)));
        b.if(
          b.gtU(n.value, largest),
          () => {
            b.set(flags, b.i32(IE));
            b.set(result, limit);
          },
          () => {
            b.set(result, b.select(sign, b.neg(n.value), n.value));
            b.set(flags, b.select(n.inexact, b.or(b.i32(PE), b.select(n.up, b.i32(C1), b.i32(0))), b.i32(0)));
          },
        );
      },
    );
    leaveFlags(b, b.get(flags), IE);
    return b.get(result);
  },
};

/** FRNDINT. */
const roundToIntegral: LibraryFunction = {
  name: "x87-round-to-integral",
  parameters: [I64, I32],
  result: I64,
  body: (b, m, se) => {
    const e = exponentOf(b, se);
    const result = b.variable(m);
    choose(
      b,
      [
        [() => b.call("x87-check", I32, [m, se, m, se]), () => b.set(result, b.state(X87_SECOND, 8))],
        [() => denormals(b, m, se, m, se), () => {}],
        [() => b.or(b.geU(e, b.i32(0x403e)), b.eqz(m)), () => setSe(b, se)],
      ],
      () => {
        const sign = signOf(b, se);
        const n = integerPart(b, m, sign, b.sub(b.i32(0x403e), e), rounding(b));
        b.if(
          b.eqz(n.value),
          () => {
            b.set(result, b.i64(0));
            setSe(b, sign);
          },
          () => {
            const shift = b.clz(n.value);
            b.set(result, b.shl(n.value, shift));
            setSe(b, b.or(sign, b.sub(b.i32(0x403e), b.wrap(shift))));
          },
        );
        b.if(n.inexact, () => {
          raise(b, b.or(b.i32(PE), b.shl(n.up, b.i32(9))));
        });
      },
    );
    return b.get(result);
  },
};

/** Takes over the exceptions of a conversion once the store is done. C1 has been cleared. */
const commitFlags: LibraryFunction = {
  name: "x87-commit-flags",
  parameters: [I32],
  result: I32,
  body: (b, flags) => {
    b.if(b.and(flags, b.i32(0xffff)), () => {
      raise(b, b.and(flags, b.i32(0xffff)));
    });
    return b.and(flags, b.i32(SUPPRESSED));
  },
};

export const extendedConversions: readonly LibraryFunction[] = [
  widen("x87-from-single", false),
  widen("x87-from-double", true),
  accept,
  fromInteger,
  narrow("x87-to-single", false),
  narrow("x87-to-double", true),
  toInteger,
  roundToIntegral,
  commitFlags,
  storeUnderflow,
];
