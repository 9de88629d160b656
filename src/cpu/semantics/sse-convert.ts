/**
 * CVT…: conversions among single, double and 32-bit integers in XMM, MMX and general registers (SDM volume 2). What does not
 * fit an integer gives 80000000h and the invalid exception.
 */
import { type Format, f32, f64, isDefaultModeInexact } from "../fpu/softfloat-format.ts";
import type { Builder } from "../ir/builder.ts";
import { I32, I64, type Node, V128 } from "../ir/node.ts";
import type { Semantics } from "../table/row.ts";
import { float, simd } from "../wasm/opcodes.ts";
import { doubles, quickOr, scalar, singles } from "./sse-float.ts";
import { enterMmx, low, readVector } from "./vector-operand.ts";

/** Result in the whole XMM register, or in its low quadword while the other stays. */
type Shape = "low" | "whole";

/** Packed conversion with XMM or MMX registers on either side. */
function packed(compute: (b: Builder, x: Node) => Node, shape: Shape): Semantics {
  return (b, i) => {
    const [destination, source] = i.operands;
    const x = readVector(b, source);
    if (destination.kind === "mmx" || source.kind === "mmx") enterMmxFirst(b);
    const r = compute(b, x);
    if (destination.kind === "mmx") b.write(destination, b.lane(simd.i64x2ExtractLane, r, 0));
    else if (shape === "low") b.write(low(destination, 64), b.lane(simd.i64x2ExtractLane, r, 0));
    else b.write(destination, r);
  };
}

/** The x87 registers become MMX registers even if the conversion then ends with #XM. */
function enterMmxFirst(b: Builder): void {
  enterMmx(b);
  b.commit();
}

// ---- integer to floating point ---------------------------------------------------------------------------------------

const integersToSingles = (b: Builder, x: Node): Node =>
  quickOr(b, isDefaultModeInexact(b), b.simd(simd.f32x4ConvertI32x4S, x), () => b.call("i32x4.to-f32x4", V128, [x]));
/** Two lanes: the source is repeated above, so that no other exception comes from there. */
export const cvtdq2ps = packed(integersToSingles, "whole");
export const cvtpi2ps = packed(integersToSingles, "low");
/** Always exact. */
export const cvtdq2pd = packed((b, x) => b.simd(simd.f64x2ConvertLowI32x4S, x), "whole");
export const cvtpi2pd = cvtdq2pd;

export const cvtsi2sd: Semantics = (b, i) => {
  b.write(low(i.operands[0], 64), f64.bitsOf(b, b.float(float.f64ConvertI32S, b.read(i.operands[1]))));
};

export const cvtsi2ss: Semantics = (b, i) => {
  const x = b.read(i.operands[1]);
  const native = f32.bitsOf(b, b.float(float.f32ConvertI32S, x));
  b.write(
    low(i.operands[0], 32),
    quickOr(b, isDefaultModeInexact(b), native, () => b.call("i32.to-f32", I32, [x])),
  );
};

// ---- floating point to integer ---------------------------------------------------------------------------------------

/** CVTxS2SI, CVTTxS2SI. Values within ±2^31 are quick in the default mode, or if they are integers. */
function toGeneral(format: Format, isTruncating: boolean): Semantics {
  return (b, i) => {
    const x = b.read(low(i.operands[1], format.bits));
    const value = format.double(b, x);
    const rounded = isTruncating ? value : b.float(float.f64Nearest, value);
    const native = b.float(float.i32TruncSatF64S, rounded);
    const limit = b.float(float.f64ConvertI32S, b.i32(0x7fffffff));
    const fits = b.float(float.f64Le, b.float(float.f64Abs, value), limit);
    const isExact = b.float(float.f64Eq, b.float(float.f64ConvertI32S, native), value);
    const isQuick = b.and(fits, b.or(isDefaultModeInexact(b), isExact));
    b.write(
      i.operands[0],
      quickOr(b, isQuick, native, () => b.call(`${format.name}.to-i32`, I32, [x, b.i32(isTruncating ? 1 : 0)])),
    );
  };
}

export const cvtss2si = toGeneral(f32, false);
export const cvttss2si = toGeneral(f32, true);
export const cvtsd2si = toGeneral(f64, false);
export const cvttsd2si = toGeneral(f64, true);

/** 2^31 in each lane. */
const limitOfSingles = (b: Builder) => b.vector(0x4f0000004f000000n);
const limitOfDoubles = (b: Builder) => b.vector(0x41dfffffffc00000n);

/** Four singles; for MMX results the two low ones, which stand above as well. */
function singlesToIntegers(isTruncating: boolean) {
  return (b: Builder, x: Node): Node => {
    const rounded = isTruncating ? x : b.simd(simd.f32x4Nearest, x);
    const native = b.simd(simd.i32x4TruncSatF32x4S, rounded);
    const fits = singles.all(b, singles.lessThan(b, singles.abs(b, x), limitOfSingles(b)));
    return quickOr(b, b.and(isDefaultModeInexact(b), fits), native, () =>
      b.call("f32x4.to-i32x4", V128, [x, b.i32(isTruncating ? 1 : 0)]),
    );
  };
}

function doublesToIntegers(isTruncating: boolean) {
  return (b: Builder, x: Node): Node => {
    const rounded = isTruncating ? x : b.simd(simd.f64x2Nearest, x);
    const native = b.simd(simd.i32x4TruncSatF64x2SZero, rounded);
    const fits = doubles.all(b, b.simd(simd.f64x2Le, doubles.abs(b, x), limitOfDoubles(b)));
    return quickOr(b, b.and(isDefaultModeInexact(b), fits), native, () =>
      b.call("f64x2.to-i32x2", V128, [x, b.i32(isTruncating ? 1 : 0)]),
    );
  };
}

export const cvtps2dq = packed(singlesToIntegers(false), "whole");
export const cvttps2dq = packed(singlesToIntegers(true), "whole");
export const cvtpd2dq = packed(doublesToIntegers(false), "whole");
export const cvttpd2dq = packed(doublesToIntegers(true), "whole");
export const cvtpd2pi = cvtpd2dq;
export const cvttpd2pi = cvttpd2dq;

/** CVT(T)PS2PI: only the low two singles take part. */
function singlesToMmx(isTruncating: boolean): Semantics {
  const convert = singlesToIntegers(isTruncating);
  return (b, i) => {
    const x = b.simd(simd.i64x2Splat, b.read(low(i.operands[1], 64)));
    enterMmxFirst(b);
    b.write(i.operands[0], b.lane(simd.i64x2ExtractLane, convert(b, x), 0));
  };
}

export const cvtps2pi = singlesToMmx(false);
export const cvttps2pi = singlesToMmx(true);

// ---- between single and double -----------------------------------------------------------------------------------------

export const cvtss2sd: Semantics = (b, i) => {
  const x = b.read(low(i.operands[1], 32));
  // Widening is exact: only denormals and NaNs matter.
  const isQuick = b.and(scalar.hasNoDenormals(b, f32, x), b.eqz(f32.isNan(b, x)));
  const native = f64.bitsOf(b, f32.double(b, x));
  b.write(
    low(i.operands[0], 64),
    quickOr(b, isQuick, native, () => b.call("f32.to-f64", I64, [x])),
  );
};

export const cvtsd2ss: Semantics = (b, i) => {
  const x = b.read(low(i.operands[1], 64));
  const native = f32.bitsOf(b, b.float(float.f32DemoteF64, f64.number(b, x)));
  const isQuick = b.and(isDefaultModeInexact(b), scalar.isNormal(b, f32, native));
  b.write(
    low(i.operands[0], 32),
    quickOr(b, isQuick, native, () => b.call("f64.to-f32", I32, [x])),
  );
};

export const cvtps2pd: Semantics = (b, i) => {
  const x = b.simd(simd.i64x2Splat, b.read(low(i.operands[1], 64)));
  const isQuick = b.and(singles.hasNoDenormals(b, x), singles.isOrdered(b, x, x));
  const native = b.simd(simd.f64x2PromoteLowF32x4, x);
  b.write(
    i.operands[0],
    quickOr(b, isQuick, native, () => b.call("f32x2.to-f64x2", V128, [x])),
  );
};

export const cvtpd2ps: Semantics = (b, i) => {
  const x = readVector(b, i.operands[1]);
  const native = b.simd(simd.f32x4DemoteF64x2Zero, x);
  // The zeros above are not looked at.
  const both = b.shuffle(native, native, [0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7]);
  const isQuick = b.and(isDefaultModeInexact(b), singles.isNormal(b, both));
  b.write(
    i.operands[0],
    quickOr(b, isQuick, native, () => b.call("f64x2.to-f32x2", V128, [x])),
  );
};
