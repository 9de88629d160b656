/**
 * What SSE's floating-point instructions share: the quick way (native operator, for the default mode and ordinary
 * numbers), the exact library otherwise, and #XM. The conditions are chosen so that on the quick way no flag of MXCSR
 * could change: no denormal operand, no NaN, no overflow, no underflow, and inexactness noted already.
 */
import { type Format, f32, f64 } from "../fpu/softfloat-format.ts";
import type { Builder } from "../ir/builder.ts";
import { I32, type Node, V128 } from "../ir/node.ts";
import * as L from "../layout.ts";
import { simd } from "../wasm/opcodes.ts";

const CR4_OSXMMEXCPT = 0x400;

/** After library calls: their exceptions go to MXCSR; an unmasked one is #XM, or #UD if the system does not know it. */
export function endFloat(b: Builder): void {
  b.if(b.call("float.end", I32, []), () => {
    b.if(b.eqz(b.and(b.state(L.CR4), b.i32(CR4_OSXMMEXCPT))), () => b.fault(6));
    b.fault(19);
  });
}

/** `native` if the condition holds; else what `exact` computes with library calls. */
export function quickOr(b: Builder, isQuick: Node, native: Node, exact: () => Node): Node {
  const result = b.variable(native);
  b.if(b.eqz(isQuick), () => {
    b.set(result, exact());
    endFloat(b);
  });
  return b.get(result);
}

/** A format's vector operators and constants. */
export class VectorFormat {
  readonly format: Format;
  readonly shape: "f32x4" | "f64x2";

  constructor(format: Format) {
    this.format = format;
    this.shape = format.bits === 64 ? "f64x2" : "f32x4";
  }
  /** A bit pattern in all lanes. */
  constant(b: Builder, value: bigint): Node {
    return b.vector(this.format.bits === 64 ? value : value | (value << 32n));
  }
  /** Lanes that are denormals, as masks. */
  denormals(b: Builder, x: Node): Node {
    const { minNormal } = this.format;
    if (this.format.bits === 32) {
      const twice = b.simd(simd.i32x4Sub, b.simd(simd.i32x4Shl, x, b.i32(1)), b.vector(0x0000000100000001n));
      return b.simd(simd.i32x4LtU, twice, this.constant(b, minNormal * 2n - 1n));
    }
    // An unsigned comparison with both sides moved by 2^63.
    const offset = 1n << 63n;
    const twice = b.simd(simd.i64x2Add, b.simd(simd.i64x2Shl, x, b.i32(1)), b.vector(offset - 1n));
    return b.simd(simd.i64x2LtS, twice, b.vector(BigInt.asUintN(64, minNormal * 2n - 1n - offset)));
  }
  /** 1 if no lane of these is a denormal. */
  hasNoDenormals(b: Builder, ...vectors: readonly Node[]): Node {
    const any = vectors.map((x) => this.denormals(b, x)).reduce((p, q) => b.simd(simd.v128Or, p, q));
    return b.eqz(b.simd(simd.v128AnyTrue, any));
  }
  abs(b: Builder, x: Node): Node {
    return b.simd(this.format.bits === 64 ? simd.f64x2Abs : simd.f32x4Abs, x);
  }
  lessThan(b: Builder, a: Node, x: Node): Node {
    return b.simd(this.format.bits === 64 ? simd.f64x2Lt : simd.f32x4Lt, a, x);
  }
  equal(b: Builder, a: Node, x: Node): Node {
    return b.simd(this.format.bits === 64 ? simd.f64x2Eq : simd.f32x4Eq, a, x);
  }
  all(b: Builder, mask: Node): Node {
    return b.simd(this.format.bits === 64 ? simd.i64x2AllTrue : simd.i32x4AllTrue, mask);
  }
  /** 1 if every lane is a finite number. */
  isFinite(b: Builder, x: Node): Node {
    return this.all(b, this.lessThan(b, this.abs(b, x), this.constant(b, this.format.infinity)));
  }
  /** 1 if every lane is finite and above the smallest normal number. */
  isNormal(b: Builder, x: Node): Node {
    const magnitude = this.abs(b, x);
    const isBelow = this.lessThan(b, magnitude, this.constant(b, this.format.infinity));
    const isAbove = this.lessThan(b, this.constant(b, this.format.minNormal), magnitude);
    return this.all(b, b.simd(simd.v128And, isBelow, isAbove));
  }
  /** 1 if no lane is a NaN. */
  isOrdered(b: Builder, a: Node, x: Node): Node {
    return this.all(b, b.simd(simd.v128And, this.equal(b, a, a), this.equal(b, x, x)));
  }
  call(b: Builder, name: string, args: readonly Node[]): Node {
    return b.call(`${this.shape}.${name}`, V128, args);
  }
}

export const singles = new VectorFormat(f32);
export const doubles = new VectorFormat(f64);

/** Conditions on single values as bit patterns. */
export const scalar = {
  isFinite: (b: Builder, format: Format, x: Node): Node => b.ltU(format.abs(b, x), format.constant(b, format.infinity)),
  isNormal: (b: Builder, format: Format, x: Node): Node => {
    const above = b.sub(format.abs(b, x), format.constant(b, format.minNormal + 1n));
    return b.ltU(above, format.constant(b, format.infinity - format.minNormal - 1n));
  },
  hasNoDenormals: (b: Builder, format: Format, ...values: readonly Node[]): Node =>
    b.eqz(values.map((x) => format.isDenormal(b, x)).reduce((p, q) => b.or(p, q))),
  isOrdered: (b: Builder, format: Format, a: Node, x: Node): Node =>
    b.eqz(b.or(format.isNan(b, a), format.isNan(b, x))),
};
