/** ADD, SUB, MUL, DIV, SQRT, MIN, MAX and the approximations RCP and RSQRT, packed and scalar (SDM volume 2). */
import { type Format, f32, f64, isDefaultMode, isDefaultModeInexact } from "../fpu/softfloat-format.ts";
import type { Builder } from "../ir/builder.ts";
import type { Node } from "../ir/node.ts";
import type { Semantics } from "../table/row.ts";
import { float, simd } from "../wasm/opcodes.ts";
import { doubles, quickOr, scalar, singles, type VectorFormat } from "./sse-float.ts";
import { low, readVector } from "./vector-operand.ts";

type Operation = "add" | "sub" | "mul" | "div";

const vectorOpcodes = {
  f32x4: { add: simd.f32x4Add, sub: simd.f32x4Sub, mul: simd.f32x4Mul, div: simd.f32x4Div },
  f64x2: { add: simd.f64x2Add, sub: simd.f64x2Sub, mul: simd.f64x2Mul, div: simd.f64x2Div },
} as const;
const scalarOpcodes = {
  f32: { add: float.f32Add, sub: float.f32Sub, mul: float.f32Mul, div: float.f32Div },
  f64: { add: float.f64Add, sub: float.f64Sub, mul: float.f64Mul, div: float.f64Div },
} as const;

/** destination = compute(destination, source) over all lanes. */
function packed(compute: (b: Builder, a: Node, x: Node) => Node): Semantics {
  return (b, i) => {
    const x = readVector(b, i.operands[1]);
    b.write(i.operands[0], compute(b, b.read(i.operands[0]), x));
  };
}

/** The lowest lane only; the others of the destination stay. */
function low1(format: Format, compute: (b: Builder, a: Node, x: Node) => Node): Semantics {
  return (b, i) => {
    const x = b.read(low(i.operands[1], format.bits));
    const destination = low(i.operands[0], format.bits);
    b.write(destination, compute(b, b.read(destination), x));
  };
}

/** Sums may be any finite number; products and quotients must not be near underflow. */
const isSum = (operation: Operation) => operation === "add" || operation === "sub";

function packedArithmetic(v: VectorFormat, operation: Operation): Semantics {
  return packed((b, a, x) => {
    const native = b.simd(vectorOpcodes[v.shape][operation], a, x);
    const isOrdinary = isSum(operation) ? v.isFinite(b, native) : v.isNormal(b, native);
    const isQuick = b.and(isDefaultModeInexact(b), b.and(v.hasNoDenormals(b, a, x), isOrdinary));
    return quickOr(b, isQuick, native, () => v.call(b, operation, [a, x]));
  });
}

function scalarArithmetic(format: Format, operation: Operation): Semantics {
  return low1(format, (b, a, x) => {
    const native = format.bitsOf(
      b,
      b.float(scalarOpcodes[format.name][operation], format.number(b, a), format.number(b, x)),
    );
    const isOrdinary = isSum(operation) ? scalar.isFinite(b, format, native) : scalar.isNormal(b, format, native);
    const isQuick = b.and(isDefaultModeInexact(b), b.and(scalar.hasNoDenormals(b, format, a, x), isOrdinary));
    return quickOr(b, isQuick, native, () => b.call(`${format.name}.${operation}`, format.type, [a, x]));
  });
}

/** Packed single, packed double, scalar single, scalar double. */
interface Four {
  readonly ps: Semantics;
  readonly pd: Semantics;
  readonly ss: Semantics;
  readonly sd: Semantics;
}

const arithmetic = (operation: Operation): Four => ({
  ps: packedArithmetic(singles, operation),
  pd: packedArithmetic(doubles, operation),
  ss: scalarArithmetic(f32, operation),
  sd: scalarArithmetic(f64, operation),
});

export const add = arithmetic("add");
export const sub = arithmetic("sub");
export const mul = arithmetic("mul");
export const div = arithmetic("div");

// ---- square root -----------------------------------------------------------------------------------------------------

function packedRoot(v: VectorFormat): Semantics {
  return packed((b, _, x) => {
    const native = b.simd(v.format.bits === 64 ? simd.f64x2Sqrt : simd.f32x4Sqrt, x);
    const isQuick = b.and(isDefaultModeInexact(b), b.and(v.hasNoDenormals(b, x), v.isFinite(b, native)));
    return quickOr(b, isQuick, native, () => v.call(b, "sqrt", [x]));
  });
}

function scalarRoot(format: Format): Semantics {
  return low1(format, (b, _, x) => {
    const native = format.bitsOf(b, b.float(format.bits === 64 ? float.f64Sqrt : float.f32Sqrt, format.number(b, x)));
    const isOrdinary = scalar.isFinite(b, format, native);
    const isQuick = b.and(isDefaultModeInexact(b), b.and(scalar.hasNoDenormals(b, format, x), isOrdinary));
    return quickOr(b, isQuick, native, () => b.call(`${format.name}.sqrt`, format.type, [x]));
  });
}

export const sqrt: Four = {
  ps: packedRoot(singles),
  pd: packedRoot(doubles),
  ss: scalarRoot(f32),
  sd: scalarRoot(f64),
};

// ---- minimum and maximum ---------------------------------------------------------------------------------------------

/** Exact always: only the flags' conditions count, and inexactness is none of them. */
function packedExtreme(v: VectorFormat, isMax: boolean): Semantics {
  const pmin = v.format.bits === 64 ? simd.f64x2Pmin : simd.f32x4Pmin;
  const pmax = v.format.bits === 64 ? simd.f64x2Pmax : simd.f32x4Pmax;
  return packed((b, a, x) => {
    // pmin(x, a) is a < x ? a : x.
    const native = b.simd(isMax ? pmax : pmin, x, a);
    const isQuick = b.and(isDefaultMode(b), b.and(v.hasNoDenormals(b, a, x), v.isOrdered(b, a, x)));
    return quickOr(b, isQuick, native, () => v.call(b, isMax ? "max" : "min", [a, x]));
  });
}

function scalarExtreme(format: Format, isMax: boolean): Semantics {
  const less = format.bits === 64 ? float.f64Lt : float.f32Lt;
  return low1(format, (b, a, x) => {
    const [na, nx] = [format.number(b, a), format.number(b, x)];
    const native = b.select(isMax ? b.float(less, nx, na) : b.float(less, na, nx), a, x);
    const isQuick = b.and(
      isDefaultMode(b),
      b.and(scalar.hasNoDenormals(b, format, a, x), scalar.isOrdered(b, format, a, x)),
    );
    return quickOr(b, isQuick, native, () => b.call(`${format.name}.${isMax ? "max" : "min"}`, format.type, [a, x]));
  });
}

const extremes = (isMax: boolean): Four => ({
  ps: packedExtreme(singles, isMax),
  pd: packedExtreme(doubles, isMax),
  ss: scalarExtreme(f32, isMax),
  sd: scalarExtreme(f64, isMax),
});

export const min = extremes(false);
export const max = extremes(true);

// ---- approximations --------------------------------------------------------------------------------------------------

const packedApproximation = (name: string) => packed((b, _, x) => singles.call(b, name, [x]));
const scalarApproximation = (name: string) => low1(f32, (b, _, x) => b.call(`f32.${name}`, f32.type, [x]));

export const rcpps = packedApproximation("rcp");
export const rcpss = scalarApproximation("rcp");
export const rsqrtps = packedApproximation("rsqrt");
export const rsqrtss = scalarApproximation("rsqrt");
