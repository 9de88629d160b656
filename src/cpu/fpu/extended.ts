/**
 * Double-extended arithmetic as library functions of the core module (SDM volume 1, 4.8, 4.9, 8.4, 8.5): a value is a 64-bit
 * mantissa (i64) and its sign and exponent (i32, bits 0–15). Results: the mantissa is returned, sign and exponent stand in
 * X87_SE. Here: exceptions, rounding under precision and rounding control, NaN propagation.
 *
 * Exceptions go into the status word at once (`x87-raise`). Where an unmasked one keeps the result from being written,
 * X87_SE is SUPPRESSED.
 */
import type { LibraryFunction } from "../interpreter/library.ts";
import type { Builder } from "../ir/builder.ts";
import { I32, I64, type Node } from "../ir/node.ts";
import * as L from "../layout.ts";

/** Sign and exponent of the last result. */
export const X87_SE = L.SCRATCH + 0x280;
/** Exceptions of the last conversion for a store (not yet in the status word), and SUPPRESSED. */
export const X87_FLAGS = L.SCRATCH + 0x284;
/** A second i64 result. */
export const X87_SECOND = L.SCRATCH + 0x288;
/** Sign and exponent of the second result. */
export const X87_SECOND_SE = L.SCRATCH + 0x290;

/** In X87_SE, X87_FLAGS and comparison results: an unmasked exception, nothing is to be written. */
export const SUPPRESSED = 0x10000;
/** In the sign and exponent of a widened m32 or m64 operand: it was a denormal there. */
export const WAS_DENORMAL = 0x20000;

export const IE = 1;
export const DE = 2;
export const ZE = 4;
export const OE = 8;
export const UE = 0x10;
export const PE = 0x20;
export const SF = 0x40;
export const C0 = 0x100;
export const C1 = 0x200;
export const C2 = 0x400;
export const C3 = 0x4000;
export const EXCEPTIONS = 0x3f;
/** Exception summary and busy. */
export const ES_B = 0x8080;

const TOP_BIT = -0x8000_0000_0000_0000n;
const DEFAULT_NAN = -0x4000_0000_0000_0000n;
const BIAS_ADJUST = 0x6000;

/** The first alternative whose condition holds; conditions are computed one after the other. */
export function choose(b: Builder, alternatives: readonly [() => Node, () => void][], otherwise: () => void): void {
  if (alternatives.length === 0) {
    otherwise();
    return;
  }
  const [[test, then], ...rest] = alternatives;
  b.if(test(), then, () => choose(b, rest, otherwise));
}

export const exponentOf = (b: Builder, se: Node): Node => b.and(se, b.i32(0x7fff));
export const signOf = (b: Builder, se: Node): Node => b.and(se, b.i32(0x8000));
/** The integer bit is set. */
export const hasTopBit = (b: Builder, m: Node): Node => b.ltS(m, b.i64(0));
/** Exponent 1…7FFEh with the integer bit, and no denormal of memory. */
export function isNormal(b: Builder, m: Node, se: Node): Node {
  const e = b.and(se, b.i32(WAS_DENORMAL | 0x7fff));
  return b.and(b.ltU(b.sub(e, b.i32(1)), b.i32(0x7ffe)), hasTopBit(b, m));
}
export const isZero = (b: Builder, m: Node, e: Node): Node => b.eqz(b.or(b.extendU64(e), m));
export const rounding = (b: Builder): Node => b.and(b.shrU(b.state(L.FPU_CONTROL), b.i32(10)), b.i32(3));
export const isMasked = (b: Builder, exception: number): Node => b.nez(b.and(b.state(L.FPU_CONTROL), b.i32(exception)));
export const setSe = (b: Builder, se: Node): void => b.setState(X87_SE, se);
export const raise = (b: Builder, flags: Node): Node => b.call("x87-raise", I32, [flags]);

/** Unsupported formats: exponent not 0 without the integer bit (unnormals, pseudo-infinities, pseudo-NaNs). */
export function isUnsupported(b: Builder, m: Node, e: Node): Node {
  return b.and(b.nez(e), b.geS(m, b.i64(0)));
}

/** NaN of a supported format. */
export function isNan(b: Builder, m: Node, e: Node): Node {
  return b.and(b.eq(e, b.i32(0x7fff)), b.nez(b.shl(m, b.i64(1))));
}

const isSignaling = (b: Builder, m: Node): Node => b.eqz(b.and(m, b.i64(0x4000_0000_0000_0000n)));

/** Denormal operand: exponent 0 and a mantissa, in the register or in memory before it was widened. */
export function isDenormal(b: Builder, m: Node, se: Node): Node {
  return b.or(b.nez(b.and(se, b.i32(WAS_DENORMAL))), b.and(b.eqz(b.and(se, b.i32(0x7fff))), b.nez(m)));
}

/** Mantissa with the integer bit and the exponent that goes with it (0 or less for denormals); `m` is not 0. */
export function normalize(b: Builder, m: Node, e: Node): { m: Node; e: Node } {
  const shift = b.clz(m);
  return { m: b.shl(m, shift), e: b.sub(b.add(e, b.eqz(e)), b.wrap(shift)) };
}

/** (hi, lo) shifted right by `count` ≥ 1 (unsigned, any size) with everything lost or-ed into bit 0 of lo. */
export function shiftRightSticky(b: Builder, hi: Node, lo: Node, count: Node): { hi: Node; lo: Node } {
  const n = b.extendU64(count);
  const rest = b.sub(b.i64(64), n);
  const isShort = b.ltU(count, b.i32(64));
  const isMiddle = b.ltU(count, b.i32(128));
  const zero = b.i64(0);
  // Below 64: hi's low bits move into lo. From 64: hi's high bits become lo.
  const shortLo = b.or(b.or(b.shl(hi, rest), b.shrU(lo, n)), b.extendU64(b.nez(b.shl(lo, rest))));
  const lostMiddle = b.or(lo, b.select(b.eq(count, b.i32(64)), zero, b.shl(hi, b.sub(b.i64(128), n))));
  const middleLo = b.or(b.shrU(hi, n), b.extendU64(b.nez(lostMiddle)));
  const farLo = b.extendU64(b.nez(b.or(hi, lo)));
  return {
    hi: b.select(isShort, b.shrU(hi, n), zero),
    lo: b.select(isShort, shortLo, b.select(isMiddle, middleLo, farLo)),
  };
}

export interface Rounded {
  readonly m: Node;
  /** Rounded away from zero (0/1). */
  readonly up: Node;
  readonly inexact: Node;
  /** 1 if rounding up went over the top bit: m is 0 then. */
  readonly carry: Node;
}

/** Rounds hi.lo so that the low `k` bits of hi are 0. `rc` as in the control word; `sign` not zero for negative. */
export function roundMantissa(b: Builder, sign: Node, hi: Node, lo: Node, k: Node, rc: Node): Rounded {
  const wide = b.extendU64(k);
  const rest = b.select(k, b.or(b.shl(hi, b.sub(b.i64(64), wide)), b.extendU64(b.nez(lo))), lo);
  const ulp = b.shl(b.i64(1), wide);
  const kept = b.and(hi, b.shl(b.i64(-1), wide));
  const inexact = b.nez(rest);
  const nearest = b.and(b.wrap(b.shrU(rest, b.i64(63))), b.or(b.nez(b.shl(rest, b.i64(1))), b.nez(b.and(kept, ulp))));
  const directed = b.and(inexact, b.select(sign, b.eq(rc, b.i32(1)), b.eq(rc, b.i32(2))));
  const up = b.select(rc, directed, nearest);
  const m = b.add(kept, b.select(up, ulp, b.i64(0)));
  return { m, up, inexact, carry: b.and(up, b.eqz(m)) };
}

const flagIf = (b: Builder, test: Node, flag: number): Node => b.select(test, b.i32(flag), b.i32(0));

const raiseFunction: LibraryFunction = {
  name: "x87-raise",
  parameters: [I32],
  result: I32,
  // Sets status bits; answers the unmasked exceptions among them.
  body: (b, flags) => {
    const unmasked = b.and(b.and(flags, b.not(b.state(L.FPU_CONTROL))), b.i32(EXCEPTIONS));
    const status = b.or(b.state(L.FPU_STATUS), flags);
    b.setState(L.FPU_STATUS, b.select(unmasked, b.or(status, b.i32(ES_B)), status));
    return unmasked;
  },
};

/** Invalid operation: the default NaN, or nothing. `flags`: IE, with SF and C1 for stack faults. */
const invalid: LibraryFunction = {
  name: "x87-invalid",
  parameters: [I32],
  result: I64,
  body: (b, flags) => {
    const unmasked = raise(b, flags);
    setSe(b, b.select(unmasked, b.i32(SUPPRESSED), b.i32(0xffff)));
    return b.i64(DEFAULT_NAN);
  },
};

/** Raises DE if either operand is denormal. 1: unmasked, X87_SE is SUPPRESSED. */
const denormals: LibraryFunction = {
  name: "x87-denormals",
  parameters: [I64, I32, I64, I32],
  result: I32,
  body: (b, am, ase, bm, bse) => {
    const stop = b.variable(b.i32(0));
    b.if(b.or(isDenormal(b, am, ase), isDenormal(b, bm, bse)), () => {
      b.if(raise(b, b.i32(DE)), () => {
        setSe(b, b.i32(SUPPRESSED));
        b.set(stop, b.i32(1));
      });
    });
    return b.get(stop);
  },
};

/** NaNs and unsupported formats: 1 if the result is settled (mantissa in X87_SECOND), 0 if both are numbers. */
const checkOperands: LibraryFunction = {
  name: "x87-check",
  parameters: [I64, I32, I64, I32],
  result: I32,
  body: (b, am, ase, bm, bse) => {
    const ea = exponentOf(b, ase);
    const eb = exponentOf(b, bse);
    const done = b.variable(b.i32(1));
    const nanA = isNan(b, am, ea);
    const nanB = isNan(b, bm, eb);
    choose(
      b,
      [
        [
          () => b.or(isUnsupported(b, am, ea), isUnsupported(b, bm, eb)),
          () => b.setState(X87_SECOND, b.call("x87-invalid", I64, [b.i32(IE)]), 8),
        ],
        [
          () => b.or(nanA, nanB),
          () => {
            const signalA = b.and(nanA, isSignaling(b, am));
            const signalB = b.and(nanB, isSignaling(b, bm));
            const isSuppressed = b.variable(b.i32(0));
            b.if(b.or(signalA, signalB), () => b.set(isSuppressed, raise(b, b.i32(IE))));
            // One NaN: that one. A quiet beside a signaling one: the quiet. Else the larger significand, then the positive.
            const isLarger = b.or(b.gtU(am, bm), b.and(b.eq(am, bm), b.ltU(signOf(b, ase), signOf(b, bse))));
            const ofTwo = b.select(b.eq(signalA, signalB), isLarger, signalB);
            const takesA = b.select(b.and(nanA, nanB), ofTwo, nanA);
            b.setState(X87_SECOND, b.or(b.select(takesA, am, bm), b.i64(0x4000_0000_0000_0000n)), 8);
            setSe(b, b.select(b.get(isSuppressed), b.i32(SUPPRESSED), b.select(takesA, ase, bse)));
          },
        ],
      ],
      () => b.set(done, b.i32(0)),
    );
    return b.get(done);
  },
};

/** Packs sign (0 or 8000h), exponent (any) and hi.lo (top bit set) with the low `k` bits rounded away. */
const roundAt: LibraryFunction = {
  name: "x87-round-at",
  parameters: [I32, I32, I64, I64, I32],
  result: I64,
  body: (b, sign, exp, hi, lo, k) => {
    const rc = rounding(b);
    const first = roundMantissa(b, sign, hi, lo, k, rc);
    const e = b.add(exp, first.carry);
    const m = b.variable(b.or(first.m, b.shl(b.extendU64(first.carry), b.i64(63))));
    const flags = b.variable(b.select(first.inexact, b.or(b.i32(PE), flagIf(b, first.up, C1)), b.i32(0)));
    const overflow = () => {
      b.if(
        isMasked(b, OE),
        () => {
          const toInfinity = b.or(b.eqz(rc), b.eq(rc, b.select(sign, b.i32(1), b.i32(2))));
          b.set(m, b.select(toInfinity, b.i64(TOP_BIT), b.shl(b.i64(-1), b.extendU64(k))));
          setSe(b, b.or(sign, b.select(toInfinity, b.i32(0x7fff), b.i32(0x7ffe))));
          b.set(flags, b.or(b.i32(OE | PE), flagIf(b, toInfinity, C1)));
        },
        () => {
          const adjusted = b.sub(e, b.i32(BIAS_ADJUST));
          b.set(flags, b.or(b.get(flags), b.i32(OE)));
          b.if(
            b.geS(adjusted, b.i32(0x7fff)),
            () => {
              // FSCALE only: too far for the adjusted exponent.
              b.set(m, b.i64(TOP_BIT));
              setSe(b, b.or(sign, b.i32(0x7fff)));
              b.set(flags, b.i32(OE | PE | C1));
            },
            () => setSe(b, b.or(sign, adjusted)),
          );
        },
      );
    };
    const tiny = () => {
      b.if(
        isMasked(b, UE),
        () => {
          const shifted = shiftRightSticky(b, hi, lo, b.sub(b.i32(1), exp));
          const second = roundMantissa(b, sign, shifted.hi, shifted.lo, k, rc);
          b.set(m, second.m);
          setSe(b, b.or(sign, b.wrap(b.shrU(second.m, b.i64(63)))));
          b.set(flags, b.select(second.inexact, b.or(b.i32(UE | PE), flagIf(b, second.up, C1)), b.i32(0)));
        },
        () => {
          const adjusted = b.add(e, b.i32(BIAS_ADJUST));
          b.set(flags, b.or(b.get(flags), b.i32(UE)));
          b.if(
            b.gtS(adjusted, b.i32(0)),
            () => setSe(b, b.or(sign, adjusted)),
            () => {
              b.set(m, b.i64(0));
              setSe(b, sign);
              b.set(flags, b.i32(UE | PE));
            },
          );
        },
      );
    };
    choose(
      b,
      [
        [() => b.geS(e, b.i32(0x7fff)), overflow],
        [() => b.gtS(b.i32(1), e), tiny],
      ],
      () => setSe(b, b.or(sign, e)),
    );
    b.if(b.get(flags), () => {
      raise(b, b.get(flags));
    });
    return b.get(m);
  },
};

/**
 * Rounds sign, exponent and hi.lo at the width of the precision control; sets X87_SE and answers the mantissa. To nearest
 * within the exponent range, which is nearly always, stands here in line; the rest is `x87-round-at`.
 */
export function emitRound(b: Builder, sign: Node, exp: Node, hi: Node, lo: Node): Node {
  const control = b.state(L.FPU_CONTROL);
  const result = b.variable(hi);
  const k = b.variable(b.i32(0));
  const rest = b.variable(lo);
  // 24, (reserved: as 64), 53, 64 bits.
  b.if(b.ne(b.and(control, b.i32(0x300)), b.i32(0x300)), () => {
    const precision = b.and(b.shrU(control, b.i32(8)), b.i32(3));
    b.set(k, b.select(b.and(precision, b.i32(1)), b.i32(0), b.select(precision, b.i32(11), b.i32(40))));
  });
  const kv = b.get(k);
  const isPlain = b.and(b.ltU(b.sub(exp, b.i32(1)), b.i32(0x7ffd)), b.eqz(b.and(control, b.i32(0xc00))));
  b.if(
    isPlain,
    () => {
      b.if(kv, () => {
        const wide = b.extendU64(kv);
        b.set(rest, b.or(b.shl(hi, b.sub(b.i64(64), wide)), b.extendU64(b.nez(lo))));
        b.set(result, b.and(hi, b.shl(b.i64(-1), wide)));
      });
      const rv = b.get(rest);
      b.if(
        b.eqz(rv),
        () => setSe(b, b.or(sign, exp)),
        () => {
          const kept = b.get(result);
          const wide = b.extendU64(kv);
          const isOdd = b.wrap(b.shrU(kept, wide));
          const up = b.and(b.wrap(b.shrU(rv, b.i64(63))), b.or(b.nez(b.shl(rv, b.i64(1))), b.and(isOdd, b.i32(1))));
          const sum = b.add(kept, b.shl(b.extendU64(up), wide));
          const carry = b.eqz(sum);
          b.set(result, b.or(sum, b.shl(b.extendU64(carry), b.i64(63))));
          setSe(b, b.or(sign, b.add(exp, carry)));
          const flags = b.or(b.i32(PE), b.shl(up, b.i32(9)));
          b.if(
            b.and(control, b.i32(PE)),
            () => b.setState(L.FPU_STATUS, b.or(b.state(L.FPU_STATUS), flags)),
            () => {
              raise(b, flags);
            },
          );
        },
      );
    },
    () => b.set(result, b.call("x87-round-at", I64, [sign, exp, hi, lo, kv])),
  );
  return b.get(result);
}

/** As a function. */
const round: LibraryFunction = {
  name: "x87-round",
  parameters: [I32, I32, I64, I64],
  result: I64,
  body: emitRound,
};

/** High half of the 128-bit product. */
export function multiplyHigh(b: Builder, x: Node, y: Node): Node {
  const low = (n: Node) => b.and(n, b.i64(0xffff_ffffn));
  const high = (n: Node) => b.shrU(n, b.i64(32));
  const [xl, xh, yl, yh] = [low(x), high(x), low(y), high(y)];
  const lh = b.mul(xl, yh);
  const middle = b.add(b.add(high(b.mul(xl, yl)), low(lh)), b.mul(xh, yl));
  return b.add(b.add(b.mul(xh, yh), high(lh)), high(middle));
}

export const extendedCore: readonly LibraryFunction[] = [
  raiseFunction,
  invalid,
  denormals,
  checkOperands,
  roundAt,
  round,
];
