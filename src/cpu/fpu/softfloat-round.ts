/**
 * Rounding and packing of a computed value into a format: the only place where overflow, underflow, inexactness,
 * flush-to-zero and the rounding mode are looked at (SDM volume 1, 4.9.1 and 11.5.2). Tininess is detected after rounding.
 */
import type { LibraryFunction } from "../interpreter/library.ts";
import type { Builder } from "../ir/builder.ts";
import { F64, I32, I64, type Node } from "../ir/node.ts";
import * as L from "../layout.ts";
import {
  choose,
  FLAG_OE,
  FLAG_PE,
  FLAG_UE,
  type Format,
  f32,
  f64,
  MASK_SHIFT,
  MXCSR_FZ,
  ROUND_DOWN,
  ROUND_NEAREST,
  ROUND_UP,
  raise,
  roundingMode,
} from "./softfloat-format.ts";

/**
 * "f32.round", "f64.round" (isNegative, exponent, significand): packs significand × 2^(exponent − bias − 62). The
 * significand has its leading one at bit 62 and is sticky in bit 0.
 */
function roundFunction(format: Format): LibraryFunction {
  const guardBits = 62 - format.fractionBits;
  const half = 1n << BigInt(guardBits - 1);
  const all = (1n << BigInt(guardBits)) - 1n;
  return {
    name: `${format.name}.round`,
    parameters: [I32, I32, I64],
    result: format.type,
    body: (b, isNegative, exponent, significand) => {
      const mode = roundingMode(b);
      const isNearest = b.eq(mode, b.i32(ROUND_NEAREST));
      const isAway = b.eq(mode, b.select(isNegative, b.i32(ROUND_DOWN), b.i32(ROUND_UP)));
      const increment = b.select(isNearest, b.i64(half), b.select(isAway, b.i64(all), b.i64(0)));
      const sign = b.select(isNegative, format.constant(b, format.signBit), format.constant(b, 0n));
      return choose(b, sign, (setResult) => {
        const isBelow = b.ltS(exponent, b.i32(1));
        // One below the smallest exponent may still round up to it.
        const carries = b.ltS(b.add(significand, increment), b.i64(0));
        const isTiny = b.and(isBelow, b.eqz(b.and(b.eqz(exponent), carries)));
        const mxcsr = b.state(L.MXCSR);
        const isUnmasked = b.eqz(b.and(mxcsr, b.i32(FLAG_UE << MASK_SHIFT)));
        const isFlushed = b.nez(b.and(mxcsr, b.i32(MXCSR_FZ)));
        b.if(
          b.and(isTiny, b.or(isUnmasked, isFlushed)),
          () => {
            // Unmasked: the instruction ends with #XM whatever is packed.
            const isInexact = b.nez(b.and(significand, b.i64(all)));
            const inexact = b.select(isInexact, b.i32(FLAG_PE), b.i32(0));
            raise(b, b.or(b.i32(FLAG_UE), b.select(isUnmasked, inexact, b.i32(FLAG_PE))));
          },
          () => {
            const m = b.variable(significand);
            const e = b.variable(exponent);
            b.if(isBelow, () => {
              const distance = b.sub(b.i32(1), exponent);
              const n = b.extendU64(b.select(b.gtS(distance, b.i32(63)), b.i32(63), distance));
              const lost = b.and(significand, b.sub(b.shl(b.i64(1), n), b.i64(1)));
              b.set(m, b.or(b.shrU(significand, n), b.extendU64(b.nez(lost))));
              b.set(e, b.i32(1));
            });
            const whole = b.get(m);
            const rest = b.and(whole, b.i64(all));
            const rounded = b.shrU(b.add(whole, increment), b.i64(guardBits));
            const isTie = b.and(isNearest, b.eq(rest, b.i64(half)));
            const even = b.and(rounded, b.select(isTie, b.i64(-2), b.i64(-1)));
            // The leading one adds one to the exponent field.
            const field = b.sub(b.get(e), b.i32(1));
            const top = b.add(field, b.wrap(b.shrU(even, b.i64(format.fractionBits))));
            b.if(
              b.geS(top, b.i32(format.maxExponent)),
              () => {
                // Unmasked, only what the wider exponent could not hold would be inexact.
                const isOverflowMasked = b.nez(b.and(mxcsr, b.i32(FLAG_OE << MASK_SHIFT)));
                const isInexact = b.or(isOverflowMasked, b.nez(rest));
                raise(b, b.select(isInexact, b.i32(FLAG_OE | FLAG_PE), b.i32(FLAG_OE)));
                const limit = b.select(
                  b.nez(increment),
                  format.constant(b, format.infinity),
                  format.constant(b, format.infinity - 1n),
                );
                setResult(b.or(sign, limit));
              },
              () => {
                b.if(b.nez(rest), () => raise(b, b.select(isTiny, b.i32(FLAG_UE | FLAG_PE), b.i32(FLAG_PE))));
                const packed = b.add(b.shl(b.extendU64(field), b.i64(format.fractionBits)), even);
                setResult(b.or(sign, format.bits === 64 ? packed : b.wrap(packed)));
              },
            );
          },
        );
      });
    },
  };
}

/** Significand and exponent nudged towards `direction` (an i64; its sign counts) as sticky bit, leading one kept at bit 62. */
export function nudge(
  b: Builder,
  exponent: Node,
  significand: Node,
  direction: Node,
): { exponent: Node; significand: Node } {
  const isUp = b.extendU64(b.gtS(direction, b.i64(0)));
  const isDown = b.extendU64(b.ltS(direction, b.i64(0)));
  const moved = b.sub(b.add(significand, isUp), isDown);
  // Below a power of two: one binade lower, all ones.
  const isLost = b.ltU(moved, b.i64(1n << 62n));
  return {
    exponent: b.sub(exponent, isLost),
    significand: b.select(isLost, b.or(b.shl(moved, b.i64(1)), b.i64(1)), moved),
  };
}

/**
 * "f32.round-double" (value, direction): a finite double other than zero to single precision. The exact value lies
 * beyond `value` in `direction` (sign of an i64, relative to the magnitude) by less than half an ulp.
 */
const roundDouble: LibraryFunction = {
  name: "f32.round-double",
  parameters: [F64, I64],
  result: I32,
  body: (b, value, direction) => {
    const bits = f64.bitsOf(b, value);
    const isNormal = b.nez(f64.exponent(b, bits));
    const fraction = b.and(bits, b.i64(f64.fractionMask));
    const exponent = b.sub(f64.exponent(b, bits), b.i32(f64.bias - f32.bias));
    const isNegative = b.wrap(b.shrU(bits, b.i64(63)));
    const significand = b.shl(b.or(fraction, b.i64(f64.minNormal)), b.i64(10));
    const exact = nudge(b, exponent, significand, direction);
    // A double denormal is far below: its exponent does not matter, only how many bits it has.
    const denormal = b.shl(fraction, b.sub(b.clz(fraction), b.i64(1)));
    return b.call("f32.round", I32, [
      isNegative,
      b.select(isNormal, exact.exponent, exponent),
      b.select(isNormal, exact.significand, denormal),
    ]);
  },
};

export const roundFunctions: readonly LibraryFunction[] = [roundFunction(f32), roundFunction(f64), roundDouble];
