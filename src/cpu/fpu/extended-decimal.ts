/** Packed BCD integers of 18 digits and a sign: FBLD, FBSTP (SDM volume 1, 4.7). */
import type { LibraryFunction } from "../interpreter/library.ts";
import { I32, I64, type Node } from "../ir/node.ts";
import * as L from "../layout.ts";
import { IE, SUPPRESSED, setSe, signOf, X87_FLAGS, X87_SE, X87_SECOND_SE } from "./extended.ts";

const TEN_TO_16 = 10_000_000_000_000_000n;
const LARGEST = 999_999_999_999_999_999n;

/** Sixteen digits in `low`, two and the sign in `high`. Digits above nine count as what they are. */
const fromDecimal: LibraryFunction = {
  name: "x87-from-decimal",
  parameters: [I64, I32],
  result: I64,
  body: (b, low, high) => {
    // Pairs of digits, then of pairs, and so on, all lanes at once.
    const join = (value: Node, bits: number, mask: bigint, factor: number) =>
      b.add(b.and(value, b.i64(mask)), b.mul(b.and(b.shrU(value, b.i64(bits)), b.i64(mask)), b.i64(factor)));
    let value = join(low, 4, 0x0f0f_0f0f_0f0f_0f0fn, 10);
    value = join(value, 8, 0x00ff_00ff_00ff_00ffn, 100);
    value = join(value, 16, 0x0000_ffff_0000_ffffn, 10_000);
    value = join(value, 32, 0xffff_ffffn, 100_000_000);
    const top = b.add(b.mul(b.and(b.shrU(high, b.i32(4)), b.i32(15)), b.i32(10)), b.and(high, b.i32(15)));
    const m = b.call("x87-from-integer", I64, [b.add(value, b.mul(b.extendU64(top), b.i64(TEN_TO_16)))]);
    setSe(b, b.or(b.state(X87_SE), b.and(high, b.i32(0x8000))));
    return m;
  },
};

/** The low eight bytes; the other two in X87_SECOND_SE, exceptions in X87_FLAGS. */
const toDecimal: LibraryFunction = {
  name: "x87-to-decimal",
  parameters: [I64, I32],
  result: I64,
  body: (b, m, se) => {
    const value = b.call("x87-to-integer", I64, [m, se, b.i32(64)]);
    const magnitude = b.select(b.ltS(value, b.i64(0)), b.neg(value), value);
    const result = b.variable(b.i64(-0x4000_0000_0000_0000n));
    // The integer indefinite is out of range here as well.
    b.if(
      b.gtU(magnitude, b.i64(LARGEST)),
      () => {
        b.setState(X87_SECOND_SE, b.i32(0xffff));
        const isMasked = b.and(b.state(L.FPU_CONTROL), b.i32(IE));
        b.setState(X87_FLAGS, b.select(isMasked, b.i32(IE), b.i32(IE | SUPPRESSED)));
      },
      () => {
        const top = b.wrap(b.divU(magnitude, b.i64(TEN_TO_16)));
        const digits = b.or(b.shl(b.divU(top, b.i32(10)), b.i32(4)), b.remU(top, b.i32(10)));
        b.setState(X87_SECOND_SE, b.or(digits, signOf(b, se)));
        const rest = b.variable(b.remU(magnitude, b.i64(TEN_TO_16)));
        const shift = b.variable(b.i64(0));
        b.set(result, b.i64(0));
        b.loop(() => {
          const r = b.get(rest);
          b.set(result, b.or(b.get(result), b.shl(b.remU(r, b.i64(10)), b.get(shift))));
          b.set(shift, b.add(b.get(shift), b.i64(4)));
          b.set(rest, b.divU(r, b.i64(10)));
          return b.nez(b.get(rest));
        });
      },
    );
    return b.get(result);
  },
};

export const extendedDecimal: readonly LibraryFunction[] = [fromDecimal, toDecimal];
