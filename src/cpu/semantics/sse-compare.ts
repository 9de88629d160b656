/** CMPPS, CMPPD, CMPSS, CMPSD with predicates 0–7; COMISS, COMISD, UCOMISS, UCOMISD (SDM volume 2). */
import { type Format, f32, f64, isDefaultMode } from "../fpu/softfloat-format.ts";
import type { Builder } from "../ir/builder.ts";
import { I32, type Node } from "../ir/node.ts";
import type { Semantics } from "../table/row.ts";
import { float, simd } from "../wasm/opcodes.ts";
import { doubles, endFloat, quickOr, scalar, singles, type VectorFormat } from "./sse-float.ts";
import { low, readVector } from "./vector-operand.ts";

/** The alternative for the low two bits of a predicate: EQ, LT, LE, UNORD (which never holds among ordered operands). */
function byPredicate(b: Builder, predicate: Node, eq: Node, lt: Node, le: Node, never: Node): Node {
  const isOdd = b.and(predicate, b.i32(1));
  return b.select(b.and(predicate, b.i32(2)), b.select(isOdd, never, le), b.select(isOdd, lt, eq));
}

function packedCompare(v: VectorFormat): Semantics {
  const is64 = v.format.bits === 64;
  return (b, i) => {
    const x = readVector(b, i.operands[1]);
    const a = b.read(i.operands[0]);
    const predicate = b.read(i.operands[2]);
    const eq = v.equal(b, a, x);
    const lt = v.lessThan(b, a, x);
    const le = b.simd(is64 ? simd.f64x2Le : simd.f32x4Le, a, x);
    const base = byPredicate(b, predicate, eq, lt, le, b.vector(0n));
    const inverted = b.neg(b.and(b.shrU(predicate, b.i32(2)), b.i32(1)));
    const native = b.simd(simd.v128Xor, base, b.simd(simd.i32x4Splat, inverted));
    const isQuick = b.and(isDefaultMode(b), b.and(v.hasNoDenormals(b, a, x), v.isOrdered(b, a, x)));
    b.write(
      i.operands[0],
      quickOr(b, isQuick, native, () => v.call(b, "compare", [a, x, predicate])),
    );
  };
}

function scalarCompare(format: Format): Semantics {
  const is64 = format.bits === 64;
  return (b, i) => {
    const x = b.read(low(i.operands[1], format.bits));
    const destination = low(i.operands[0], format.bits);
    const a = b.read(destination);
    const predicate = b.read(i.operands[2]);
    const [na, nx] = [format.number(b, a), format.number(b, x)];
    const eq = b.float(is64 ? float.f64Eq : float.f32Eq, na, nx);
    const lt = b.float(is64 ? float.f64Lt : float.f32Lt, na, nx);
    const le = b.float(is64 ? float.f64Le : float.f32Le, na, nx);
    const base = byPredicate(b, predicate, eq, lt, le, b.i32(0));
    const holds = b.neg(b.xor(base, b.and(b.shrU(predicate, b.i32(2)), b.i32(1))));
    const isQuick = b.and(
      isDefaultMode(b),
      b.and(scalar.hasNoDenormals(b, format, a, x), scalar.isOrdered(b, format, a, x)),
    );
    const native = is64 ? b.extendS64(holds) : holds;
    b.write(
      destination,
      quickOr(b, isQuick, native, () => b.call(`${format.name}.compare`, format.type, [a, x, predicate])),
    );
  };
}

export const cmpps = packedCompare(singles);
export const cmppd = packedCompare(doubles);
export const cmpss = scalarCompare(f32);
export const cmpsd = scalarCompare(f64);

/** COMI signals for every NaN, UCOMI for signalling ones only. Unordered: ZF, PF, CF; equal: ZF; less: CF; greater: none. */
function compareToFlags(format: Format, signalsQuiet: boolean): Semantics {
  const is64 = format.bits === 64;
  return (b, i) => {
    const x = b.read(low(i.operands[1], format.bits));
    const a = b.read(low(i.operands[0], format.bits));
    const [na, nx] = [format.number(b, a), format.number(b, x)];
    const isQuick = b.and(
      isDefaultMode(b),
      b.and(scalar.hasNoDenormals(b, format, a, x), scalar.isOrdered(b, format, a, x)),
    );
    const isLess = b.variable(b.float(is64 ? float.f64Lt : float.f32Lt, na, nx));
    const isEqual = b.variable(b.float(is64 ? float.f64Eq : float.f32Eq, na, nx));
    const isUnordered = b.variable(b.i32(0));
    b.if(b.eqz(isQuick), () => {
      const relation = b.call(`${format.name}.relation`, I32, [a, x, b.i32(signalsQuiet ? 1 : 0)]);
      endFloat(b);
      b.set(isLess, b.eqz(relation));
      b.set(isEqual, b.eq(relation, b.i32(1)));
      b.set(isUnordered, b.eq(relation, b.i32(3)));
    });
    const pf = b.get(isUnordered);
    const zero = b.i32(0);
    b.flagsExplicit({ cf: b.or(b.get(isLess), pf), pf, af: zero, zf: b.or(b.get(isEqual), pf), sf: zero, of: zero });
  };
}

export const comiss = compareToFlags(f32, true);
export const comisd = compareToFlags(f64, true);
export const ucomiss = compareToFlags(f32, false);
export const ucomisd = compareToFlags(f64, false);
