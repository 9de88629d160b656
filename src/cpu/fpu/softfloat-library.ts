/**
 * The library's functions for SSE: the scalar ones of the files beside, their packed forms lane by lane, and "float.end".
 * Names: "f64.add" takes and gives bit patterns, "f64x2.add" vectors.
 */
import type { LibraryFunction } from "../interpreter/library.ts";
import type { Builder } from "../ir/builder.ts";
import { I32, I64, type Node, V128 } from "../ir/node.ts";
import * as L from "../layout.ts";
import { simd } from "../wasm/opcodes.ts";
import { arithmeticFunctions } from "./softfloat-arithmetic.ts";
import { compareFunctions } from "./softfloat-compare.ts";
import { convertFunctions } from "./softfloat-convert.ts";
import { FLAGS_BEFORE, FLOAT_FLAGS, type Format, f32, f64, MASK_SHIFT } from "./softfloat-format.ts";
import { roundFunctions } from "./softfloat-round.ts";

/**
 * "float.end": moves the instruction's exceptions to MXCSR; 1 if one of them is unmasked. Exceptions found before
 * computing, if unmasked, keep the others of all lanes from being reported.
 */
const end: LibraryFunction = {
  name: "float.end",
  parameters: [],
  result: I32,
  body: (b) => {
    const found = b.state(FLOAT_FLAGS);
    const mxcsr = b.state(L.MXCSR);
    const unmasked = b.and(found, b.not(b.shrU(mxcsr, b.i32(MASK_SHIFT))));
    const isBefore = b.nez(b.and(unmasked, b.i32(FLAGS_BEFORE)));
    const reported = b.select(isBefore, b.and(found, b.i32(FLAGS_BEFORE)), found);
    b.setState(L.MXCSR, b.or(mxcsr, reported));
    b.setState(FLOAT_FLAGS, b.i32(0));
    return b.nez(unmasked);
  },
};

const lanesOf = (format: Format) =>
  format.bits === 64
    ? { count: 2, extract: simd.i64x2ExtractLane, replace: simd.i64x2ReplaceLane, shape: "f64x2" }
    : { count: 4, extract: simd.i32x4ExtractLane, replace: simd.i32x4ReplaceLane, shape: "f32x4" };

/** The packed form of a function of one or two operands, and of further i32 parameters. */
function packed(format: Format, name: string, vectors: number, numbers = 0): LibraryFunction {
  const { count, extract, replace, shape } = lanesOf(format);
  return {
    name: `${shape}.${name}`,
    parameters: [...new Array(vectors).fill(V128), ...new Array(numbers).fill(I32)],
    result: V128,
    body: (b: Builder, ...parameters: Node[]) => {
      let result = parameters[0];
      for (let lane = 0; lane < count; lane++) {
        const args = parameters.map((p) => (p.type === V128 ? b.lane(extract, p, lane) : p));
        result = b.withLane(replace, result, lane, b.call(`${format.name}.${name}`, format.type, args));
      }
      return result;
    },
  };
}

/** Conversions whose lanes change size: `count` lanes, zeros above them. */
function convert(
  name: string,
  scalar: string,
  count: number,
  from: 32 | 64,
  to: 32 | 64,
  numbers = 0,
): LibraryFunction {
  return {
    name,
    parameters: [V128, ...new Array(numbers).fill(I32)],
    result: V128,
    body: (b: Builder, x: Node, ...rest: Node[]) => {
      let result = b.vector(0n);
      for (let lane = 0; lane < count; lane++) {
        const value = b.lane(from === 64 ? simd.i64x2ExtractLane : simd.i32x4ExtractLane, x, lane);
        const converted = b.call(scalar, to === 64 ? I64 : I32, [value, ...rest]);
        result = b.withLane(to === 64 ? simd.i64x2ReplaceLane : simd.i32x4ReplaceLane, result, lane, converted);
      }
      return result;
    },
  };
}

const packedFunctions: readonly LibraryFunction[] = [
  ...[f32, f64].flatMap((format) => [
    ...["add", "sub", "mul", "div", "min", "max"].map((name) => packed(format, name, 2)),
    packed(format, "sqrt", 1),
    packed(format, "compare", 2, 1),
  ]),
  packed(f32, "rcp", 1),
  packed(f32, "rsqrt", 1),
  convert("f32x4.to-i32x4", "f32.to-i32", 4, 32, 32, 1),
  convert("f64x2.to-i32x2", "f64.to-i32", 2, 64, 32, 1),
  convert("i32x4.to-f32x4", "i32.to-f32", 4, 32, 32),
  convert("f32x2.to-f64x2", "f32.to-f64", 2, 32, 64),
  convert("f64x2.to-f32x2", "f64.to-f32", 2, 64, 32),
];

export const softfloatFunctions: readonly LibraryFunction[] = [
  ...roundFunctions,
  ...arithmeticFunctions,
  ...compareFunctions,
  ...convertFunctions,
  ...packedFunctions,
  end,
];
