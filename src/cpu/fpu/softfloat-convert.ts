/** Conversions between single, double and 32-bit integers (SDM volume 2, CVT…), and the approximations RCP and RSQRT. */
import type { LibraryFunction } from "../interpreter/library.ts";
import type { Builder } from "../ir/builder.ts";
import { F64, I32, I64, type Node } from "../ir/node.ts";
import { float } from "../wasm/opcodes.ts";
import {
  choose,
  FLAG_DE,
  FLAG_IE,
  FLAG_PE,
  type Format,
  f32,
  f64,
  ROUND_DOWN,
  ROUND_NEAREST,
  ROUND_UP,
  raise,
  roundingMode,
} from "./softfloat-format.ts";

const number = (b: Builder, value: number): Node => {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return b.float(float.f64ReinterpretI64, b.i64(view.getBigInt64(0)));
};

/** "double.to-i32" (value, isTruncating): NaNs and what does not fit give the integer indefinite and IE. */
const doubleToInteger: LibraryFunction = {
  name: "double.to-i32",
  parameters: [F64, I32],
  result: I32,
  body: (b, value, isTruncating) => {
    const mode = roundingMode(b);
    const truncated = b.float(float.f64Trunc, value);
    const up = b.float(float.f64Ceil, value);
    const down = b.float(float.f64Floor, value);
    const directed = b.select(
      b.eq(mode, b.i32(ROUND_DOWN)),
      down,
      b.select(b.eq(mode, b.i32(ROUND_UP)), up, truncated),
    );
    const rounded = b.select(
      isTruncating,
      truncated,
      b.select(b.eq(mode, b.i32(ROUND_NEAREST)), b.float(float.f64Nearest, value), directed),
    );
    const fits = b.and(
      b.float(float.f64Ge, rounded, number(b, -2147483648)),
      b.float(float.f64Le, rounded, number(b, 2147483647)),
    );
    const isInexact = b.float(float.f64Ne, rounded, value);
    b.if(
      fits,
      () => b.if(isInexact, () => raise(b, FLAG_PE)),
      () => raise(b, FLAG_IE),
    );
    return b.select(fits, b.float(float.i32TruncSatF64S, rounded), b.i32(-0x80000000));
  },
};

/** "….to-i32" (bits, isTruncating); denormals raise no DE here. */
const toInteger = (format: Format): LibraryFunction => ({
  name: `${format.name}.to-i32`,
  parameters: [format.type, I32],
  result: I32,
  body: (b, x, isTruncating) => b.call("double.to-i32", I32, [format.double(b, format.readDaz(b, x)), isTruncating]),
});

/** "i32.to-f32". */
const fromInteger: LibraryFunction = {
  name: "i32.to-f32",
  parameters: [I32],
  result: I32,
  body: (b, x) =>
    choose(b, b.i32(0), (setResult) => {
      b.if(x, () => setResult(b.call("f32.round-double", I32, [b.float(float.f64ConvertI32S, x), b.i64(0)])));
    }),
};

/** "f32.to-f64". */
const widen: LibraryFunction = {
  name: "f32.to-f64",
  parameters: [I32],
  result: I64,
  body: (b, operand) => {
    const x = f32.readDaz(b, operand);
    const wide = b.extendU64(x);
    return choose(b, b.i64(0), (setResult) => {
      b.if(
        f32.isNan(b, x),
        () => {
          b.if(f32.isSignalling(b, x), () => raise(b, FLAG_IE));
          const sign = b.shl(b.and(wide, b.i64(0x80000000)), b.i64(32));
          const payload = b.shl(b.and(wide, b.i64(f32.fractionMask)), b.i64(29));
          setResult(b.or(b.or(sign, payload), b.i64(f64.infinity | f64.quietBit)));
        },
        () => {
          b.if(f32.isDenormal(b, x), () => raise(b, FLAG_DE));
          setResult(f64.bitsOf(b, f32.double(b, x)));
        },
      );
    });
  },
};

/** "f64.to-f32". */
const narrow: LibraryFunction = {
  name: "f64.to-f32",
  parameters: [I64],
  result: I32,
  body: (b, operand) => {
    const x = f64.readDaz(b, operand);
    const sign = b.and(b.wrap(b.shrU(x, b.i64(32))), b.i32(-0x80000000));
    return choose(b, sign, (setResult) => {
      b.if(
        f64.isNan(b, x),
        () => {
          b.if(f64.isSignalling(b, x), () => raise(b, FLAG_IE));
          const payload = b.and(b.wrap(b.shrU(x, b.i64(29))), b.i32(Number(f32.fractionMask)));
          setResult(b.or(b.or(sign, payload), b.i32(Number(f32.infinity | f32.quietBit))));
        },
        () =>
          b.if(
            f64.isInfinite(b, x),
            () => setResult(b.or(sign, b.i32(Number(f32.infinity)))),
            () =>
              b.if(b.eqz(f64.isZero(b, x)), () => {
                b.if(f64.isDenormal(b, x), () => raise(b, FLAG_DE));
                setResult(b.call("f32.round-double", I32, [f64.number(b, x), b.i64(0)]));
              }),
          ),
      );
    });
  },
};

/**
 * "f32.rcp", "f32.rsqrt": the manual allows a relative error of 1.5 × 2^-12; here the result is rounded to nearest.
 * Denormals count as zero, results below the normal range become zero, nothing is flagged.
 */
function approximation(name: "rcp" | "rsqrt"): LibraryFunction {
  return {
    name: `f32.${name}`,
    parameters: [I32],
    result: I32,
    body: (b, operand) => {
      const sign = f32.sign(b, operand);
      const x = b.select(f32.isDenormal(b, operand), sign, operand);
      return choose(b, f32.defaultNan(b), (setResult) => {
        const value = f32.double(b, x);
        const root = name === "rsqrt" ? b.float(float.f64Sqrt, value) : value;
        const r = b.float(float.f64Div, number(b, 1), root);
        b.if(
          f32.isNan(b, x),
          () => setResult(b.or(x, f32.constant(b, f32.quietBit))),
          () =>
            b.if(b.float(float.f64Eq, r, r), () => {
              const bits = b.float(float.i32ReinterpretF32, b.float(float.f32DemoteF64, r));
              setResult(b.select(f32.isDenormal(b, bits), sign, bits));
            }),
        );
      });
    },
  };
}

export const convertFunctions: readonly LibraryFunction[] = [
  doubleToInteger,
  toInteger(f32),
  toInteger(f64),
  fromInteger,
  widen,
  narrow,
  approximation("rcp"),
  approximation("rsqrt"),
];
