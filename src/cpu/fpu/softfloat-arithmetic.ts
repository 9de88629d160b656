/**
 * Addition, subtraction, multiplication, division and square root of single and double precision, exact with flags.
 *
 * Each function has a quick way for the default mode and ordinary numbers: the native operator, with inexactness found by
 * error-free transformations. Otherwise single precision computes in double, which loses nothing that matters to
 * rounding (the sum's error is found by TwoSum); double precision computes with integer significands, where a native
 * operator on them gives the nearest 53 bits and the exact remainder modulo 2^64 says on which side the truth lies.
 */
import type { LibraryFunction } from "../interpreter/library.ts";
import type { Builder } from "../ir/builder.ts";
import { I32, I64, type Node } from "../ir/node.ts";
import { float } from "../wasm/opcodes.ts";
import {
  choose,
  FLAG_DE,
  FLAG_IE,
  FLAG_PE,
  FLAG_ZE,
  type Format,
  f32,
  f64,
  isDefaultMode,
  ROUND_DOWN,
  raise,
  roundingMode,
} from "./softfloat-format.ts";
import { nudge } from "./softfloat-round.ts";

type Operation = "add" | "sub" | "mul" | "div";

const opcodes = {
  f32: { add: float.f32Add, sub: float.f32Sub, mul: float.f32Mul, div: float.f32Div, sqrt: float.f32Sqrt },
  f64: { add: float.f64Add, sub: float.f64Sub, mul: float.f64Mul, div: float.f64Div, sqrt: float.f64Sqrt },
} as const;

const INFINITY_BITS = 0x7ff0000000000000n;

const isFinite64 = (b: Builder, x: Node) => b.float(float.f64Lt, b.float(float.f64Abs, x), infinity(b));
const infinity = (b: Builder) => b.float(float.f64ReinterpretI64, b.i64(INFINITY_BITS));
const zero = (b: Builder) => b.float(float.f64ReinterpretI64, b.i64(0));

/** Error of the rounded sum s = a + x (Knuth's TwoSum), exact. */
function sumError(b: Builder, a: Node, x: Node, s: Node): Node {
  const virtual = b.float(float.f64Sub, s, a);
  return b.float(
    float.f64Add,
    b.float(float.f64Sub, a, b.float(float.f64Sub, s, virtual)),
    b.float(float.f64Sub, x, virtual),
  );
}

/** Whether the product of two normal doubles, p rounded and normal, has at most 53 significant bits. */
function isProductExact(b: Builder, x: Node, y: Node, p: Node): Node {
  const trailing = (v: Node) => b.ctz(b.or(v, b.i64(f64.minNormal)));
  const zeros = b.wrap(b.add(trailing(x), trailing(y)));
  const carry = b.sub(b.add(f64.exponent(b, p), b.i32(f64.bias)), b.add(f64.exponent(b, x), f64.exponent(b, y)));
  // 105 bits plus the carry.
  return b.geS(zeros, b.add(carry, b.i32(52)));
}

/** Sign of a zero sum. */
function zeroSum(b: Builder, format: Format, a: Node, x: Node): Node {
  const isSame = b.eq(format.sign(b, a), format.sign(b, x));
  const isDown = b.eq(roundingMode(b), b.i32(ROUND_DOWN));
  const cancelled = b.select(isDown, format.constant(b, format.signBit), format.constant(b, 0n));
  return b.select(isSame, format.sign(b, a), cancelled);
}

/** Quick way: sets the result and answers nothing if the mode is default and the numbers are ordinary; else `slow`. */
function binary(format: Format, operation: Operation, slow: (b: Builder, a: Node, x: Node) => Node): LibraryFunction {
  return {
    name: `${format.name}.${operation}`,
    parameters: [format.type, format.type],
    result: format.type,
    body: (b, a, x) =>
      choose(b, a, (setResult) => {
        const na = format.number(b, a);
        const nx = format.number(b, x);
        const native = format.bitsOf(b, b.float(opcodes[format.name][operation], na, nx));
        const magnitude = format.abs(b, native);
        const isBounded = b.ltU(magnitude, format.constant(b, format.infinity));
        const hasDenormal = b.or(format.isDenormal(b, a), format.isDenormal(b, x));
        let isOrdinary = b.and(isDefaultMode(b), b.and(isBounded, b.eqz(hasDenormal)));
        const hasZero = b.or(format.isZero(b, a), format.isZero(b, x));
        // Products and quotients: no underflow; zeros come from zeros only. (x/0 is not finite, 1/inf goes the other way.)
        if (operation === "mul" || operation === "div") {
          isOrdinary = b.and(isOrdinary, b.or(hasZero, b.gtU(magnitude, format.constant(b, format.minNormal))));
        }
        b.if(
          isOrdinary,
          () => {
            setResult(native);
            b.if(b.eqz(isExact(b, format, operation, a, x, native)), () => raise(b, FLAG_PE));
          },
          () => {
            const da = format.readDaz(b, a);
            const dx = format.readDaz(b, x);
            b.if(
              b.or(format.isNan(b, da), format.isNan(b, dx)),
              () => setResult(format.propagateNan(b, da, dx)),
              () => setResult(slow(b, da, dx)),
            );
          },
        );
      }),
  };
}

/** Exactness of an ordinary result. */
function isExact(b: Builder, format: Format, operation: Operation, a: Node, x: Node, r: Node): Node {
  if (format.bits === 32) {
    const da = format.double(b, a);
    const dx = format.double(b, x);
    const dr = format.double(b, r);
    switch (operation) {
      case "add":
      case "sub": {
        const other = operation === "sub" ? b.float(float.f64Neg, dx) : dx;
        const s = b.float(float.f64Add, da, other);
        const error = sumError(b, da, other, s);
        return b.and(b.float(float.f64Eq, s, dr), b.float(float.f64Eq, error, zero(b)));
      }
      case "mul":
        return b.float(float.f64Eq, b.float(float.f64Mul, da, dx), dr);
      case "div":
        return b.or(f32.isZero(b, a), b.float(float.f64Eq, b.float(float.f64Mul, dr, dx), da));
    }
  }
  const na = f64.number(b, a);
  const nx = f64.number(b, x);
  const nr = f64.number(b, r);
  switch (operation) {
    case "add":
    case "sub": {
      const other = operation === "sub" ? b.float(float.f64Neg, nx) : nx;
      return b.float(float.f64Eq, sumError(b, na, other, nr), zero(b));
    }
    case "mul":
      return b.or(b.or(f64.isZero(b, a), f64.isZero(b, x)), isProductExact(b, a, x, r));
    case "div": {
      const back = b.float(float.f64Mul, nr, nx);
      const isBack = b.float(float.f64Eq, back, na);
      return b.or(f64.isZero(b, a), b.and(isBack, isProductExact(b, r, x, f64.bitsOf(b, back))));
    }
  }
}

// ---- single precision ----------------------------------------------------------------------------------------------

/** The exact double `s` (with the sum's error) as single; specials, flags. Operands are no NaNs. */
function finish32(b: Builder, operation: Operation | "sqrt", a: Node, x: Node, s: Node, error: Node | undefined): Node {
  return choose(b, f32.defaultNan(b), (setResult) => {
    b.if(
      b.float(float.f64Ne, s, s),
      () => raise(b, FLAG_IE),
      () => {
        // Division of a denormal by zero is only that.
        const isDivisionByZero = operation === "div" ? f32.isZero(b, x) : b.i32(0);
        b.if(b.eqz(isDivisionByZero), () => f32.raiseDenormal(b, a, x));
        const bits = f64.bitsOf(b, s);
        const sign = b.and(b.wrap(b.shrU(bits, b.i64(32))), b.i32(-0x80000000));
        b.if(
          b.float(float.f64Eq, s, zero(b)),
          () => setResult(operation === "add" ? zeroSum(b, f32, a, x) : sign),
          () => {
            b.if(
              isFinite64(b, s),
              () => {
                let direction = b.i64(0);
                if (error !== undefined) {
                  // Relative to the magnitude.
                  const errorBits = b.xor(f64.bitsOf(b, error), b.and(bits, b.i64(-0x8000000000000000n)));
                  direction = b.select(b.float(float.f64Eq, error, zero(b)), b.i64(0), b.or(errorBits, b.i64(1)));
                }
                setResult(b.call("f32.round-double", I32, [s, direction]));
              },
              () => {
                if (operation === "div") b.if(b.eqz(f32.isInfinite(b, a)), () => raise(b, FLAG_ZE));
                setResult(b.or(sign, f32.constant(b, f32.infinity)));
              },
            );
          },
        );
      },
    );
  });
}

const single = (operation: Operation): LibraryFunction =>
  binary(f32, operation, (b, a, x) => {
    const other = operation === "sub" ? b.xor(x, b.i32(-0x80000000)) : x;
    const da = f32.double(b, a);
    const dx = f32.double(b, other);
    if (operation === "mul") return finish32(b, "mul", a, x, b.float(float.f64Mul, da, dx), undefined);
    if (operation === "div") return finish32(b, "div", a, x, b.float(float.f64Div, da, dx), undefined);
    const s = b.float(float.f64Add, da, dx);
    return finish32(b, "add", a, other, s, sumError(b, da, dx, s));
  });

// ---- double precision ----------------------------------------------------------------------------------------------

/** Biased exponent and 53-bit significand with its leading one, denormals normalized. Not for zero. */
function unpack(b: Builder, x: Node): { exponent: Node; significand: Node } {
  const fraction = b.and(x, b.i64(f64.fractionMask));
  const exponent = f64.exponent(b, x);
  const isDenormal = b.eqz(exponent);
  const shift = b.sub(b.clz(fraction), b.i64(11));
  return {
    exponent: b.select(isDenormal, b.sub(b.i32(1), b.wrap(shift)), exponent),
    significand: b.select(isDenormal, b.shl(fraction, shift), b.or(fraction, b.i64(f64.minNormal))),
  };
}

/** A positive double's exponent (unbiased) and 53-bit significand. */
function parts(b: Builder, value: Node): { exponent: Node; significand: Node } {
  const bits = f64.bitsOf(b, value);
  return {
    exponent: b.sub(f64.exponent(b, bits), b.i32(f64.bias)),
    significand: b.or(b.and(bits, b.i64(f64.fractionMask)), b.i64(f64.minNormal)),
  };
}

const double = (b: Builder, integer: Node) => b.float(float.f64ConvertI64S, integer);

/** Rounds significand (53 bits) × 2^exponent, the truth lying in the direction of `remainder`'s sign. */
function round(b: Builder, isNegative: Node, exponent: Node, significand: Node, remainder: Node): Node {
  const exact = nudge(b, exponent, b.shl(significand, b.i64(10)), remainder);
  return b.call("f64.round", I64, [isNegative, exact.exponent, exact.significand]);
}

const isNegative64 = (b: Builder, x: Node) => b.wrap(b.shrU(x, b.i64(63)));

/** a + x of finite numbers. */
function sum64(b: Builder, a: Node, x: Node): Node {
  const absA = f64.abs(b, a);
  const absX = f64.abs(b, x);
  const isSwapped = b.ltU(absA, absX);
  const big = b.select(isSwapped, x, a);
  const small = b.select(isSwapped, a, x);
  // Significands with the leading one at bit 62; denormals keep exponent 1.
  const field = (v: Node) => f64.exponent(b, v);
  const lift = (v: Node) => {
    const leading = b.select(b.eqz(field(v)), b.i64(0), b.i64(f64.minNormal));
    return b.shl(b.or(b.and(v, b.i64(f64.fractionMask)), leading), b.i64(10));
  };
  const exponentOf = (v: Node) => b.add(field(v), b.eqz(field(v)));
  const distance = b.sub(exponentOf(big), exponentOf(small));
  const n = b.extendU64(b.select(b.gtS(distance, b.i32(63)), b.i32(63), distance));
  const smallWhole = lift(small);
  const lost = b.and(smallWhole, b.sub(b.shl(b.i64(1), n), b.i64(1)));
  const aligned = b.or(b.shrU(smallWhole, n), b.extendU64(b.nez(lost)));
  const isDifferent = b.ltS(b.xor(a, x), b.i64(0));
  const bigWhole = lift(big);
  const total = b.select(isDifferent, b.sub(bigWhole, aligned), b.add(bigWhole, aligned));
  return choose(b, a, (setResult) => {
    b.if(
      b.eqz(total),
      () => setResult(zeroSum(b, f64, a, x)),
      () => {
        const leading = b.clz(total);
        const shifted = b.select(
          b.eqz(leading),
          b.or(b.shrU(total, b.i64(1)), b.and(total, b.i64(1))),
          b.shl(total, b.sub(leading, b.i64(1))),
        );
        const exponent = b.sub(b.add(exponentOf(big), b.i32(1)), b.wrap(leading));
        setResult(b.call("f64.round", I64, [isNegative64(b, big), exponent, shifted]));
      },
    );
  });
}

/** The finite, non-zero case of an operation. */
function finite64(b: Builder, operation: "mul" | "div", a: Node, x: Node): Node {
  const p = unpack(b, a);
  const q = unpack(b, x);
  const isNegative = isNegative64(b, b.xor(a, x));
  if (operation === "mul") {
    const r = parts(b, b.float(float.f64Mul, double(b, p.significand), double(b, q.significand)));
    // r.exponent is 104 to 106; the product is r.significand << (r.exponent − 52), give or take the remainder.
    const scaled = b.shl(r.significand, b.extendU64(b.sub(r.exponent, b.i32(52))));
    const remainder = b.sub(b.mul(p.significand, q.significand), scaled);
    const exponent = b.add(b.add(p.exponent, q.exponent), b.sub(r.exponent, b.i32(104 + f64.bias)));
    return round(b, isNegative, exponent, r.significand, remainder);
  }
  const r = parts(b, b.float(float.f64Div, double(b, p.significand), double(b, q.significand)));
  const scaled = b.shl(p.significand, b.extendU64(b.sub(b.i32(52), r.exponent)));
  const remainder = b.sub(scaled, b.mul(r.significand, q.significand));
  const exponent = b.add(b.sub(p.exponent, q.exponent), b.add(r.exponent, b.i32(f64.bias)));
  return round(b, isNegative, exponent, r.significand, remainder);
}

const doublePrecision = (operation: Operation): LibraryFunction =>
  binary(f64, operation, (b, a, second) => {
    const x = operation === "sub" ? b.xor(second, b.i64(-0x8000000000000000n)) : second;
    const kind = operation === "sub" ? "add" : operation;
    const native = b.float(opcodes.f64[kind], f64.number(b, a), f64.number(b, x));
    return choose(b, f64.defaultNan(b), (setResult) => {
      b.if(
        b.float(float.f64Ne, native, native),
        () => raise(b, FLAG_IE),
        () => {
          const isDivisionByZero = kind === "div" ? f64.isZero(b, x) : b.i32(0);
          b.if(b.eqz(isDivisionByZero), () => f64.raiseDenormal(b, a, x));
          const isInfinite = b.or(f64.isInfinite(b, a), f64.isInfinite(b, x));
          if (kind === "add") {
            b.if(
              isInfinite,
              () => setResult(f64.bitsOf(b, native)),
              () => setResult(sum64(b, a, x)),
            );
            return;
          }
          const isZero = b.or(f64.isZero(b, a), f64.isZero(b, x));
          b.if(
            b.or(isInfinite, isZero),
            () => {
              setResult(f64.bitsOf(b, native));
              // 0/0 and inf/0 are behind us or exact.
              if (kind === "div") b.if(b.and(f64.isZero(b, x), b.eqz(f64.isInfinite(b, a))), () => raise(b, FLAG_ZE));
            },
            () => setResult(finite64(b, kind, a, x)),
          );
        },
      );
    });
  });

// ---- square root ---------------------------------------------------------------------------------------------------

function squareRoot(format: Format): LibraryFunction {
  return {
    name: `${format.name}.sqrt`,
    parameters: [format.type],
    result: format.type,
    body: (b, operand) =>
      choose(b, operand, (setResult) => {
        const x = format.readDaz(b, operand);
        b.if(
          format.isNan(b, x),
          () => setResult(format.propagateNan(b, x, x)),
          () => {
            const isNegative = b.ltS(x, format.constant(b, 0n));
            b.if(
              b.or(format.isZero(b, x), b.eq(x, format.constant(b, format.infinity))),
              () => setResult(x),
              () => {
                b.if(
                  isNegative,
                  () => {
                    raise(b, FLAG_IE);
                    setResult(format.defaultNan(b));
                  },
                  () => {
                    b.if(format.isDenormal(b, x), () => raise(b, FLAG_DE));
                    setResult(format.bits === 64 ? root64(b, x) : root32(b, x));
                  },
                );
              },
            );
          },
        );
      }),
  };
}

/** The double root of a single is never so near to a single, or to the middle of two, without being it. */
function root32(b: Builder, x: Node): Node {
  return b.call("f32.round-double", I32, [b.float(float.f64Sqrt, f32.double(b, x)), b.i64(0)]);
}

function root64(b: Builder, x: Node): Node {
  const p = unpack(b, x);
  const exponent = b.sub(p.exponent, b.i32(f64.bias));
  const isOdd = b.and(exponent, b.i32(1));
  const significand = b.shl(p.significand, b.extendU64(isOdd));
  const r = parts(b, b.float(float.f64Sqrt, double(b, significand)));
  const remainder = b.sub(b.shl(significand, b.i64(52)), b.mul(r.significand, r.significand));
  const half = b.shrS(b.sub(exponent, isOdd), b.i32(1));
  return round(b, b.i32(0), b.add(half, b.i32(f64.bias)), r.significand, remainder);
}

const operations: readonly Operation[] = ["add", "sub", "mul", "div"];

export const arithmeticFunctions: readonly LibraryFunction[] = [
  ...operations.map(single),
  ...operations.map(doublePrecision),
  squareRoot(f32),
  squareRoot(f64),
];
