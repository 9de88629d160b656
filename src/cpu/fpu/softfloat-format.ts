/**
 * Exact single and double precision under MXCSR (SDM volume 1, 4.8, 4.9, 11.5), as WebAssembly library functions. They work
 * on bit patterns (i32, i64), because WebAssembly leaves the payloads of computed NaNs open; native operators serve
 * wherever their results are ordinary numbers.
 *
 * This file: the two formats' bits, MXCSR's fields, and what all operations begin with: denormals as zero, NaN operands.
 * Exception flags of one instruction gather in FLOAT_FLAGS, which is zero between instructions; "float.end" moves
 * them to MXCSR and answers whether #XM is due.
 */
import type { Builder } from "../ir/builder.ts";
import { F32, F64, I32, I64, type Node } from "../ir/node.ts";
import * as L from "../layout.ts";
import { float } from "../wasm/opcodes.ts";

export const FLAG_IE = 0x01;
export const FLAG_DE = 0x02;
export const FLAG_ZE = 0x04;
export const FLAG_OE = 0x08;
export const FLAG_UE = 0x10;
export const FLAG_PE = 0x20;
/** Exceptions found before computing; unmasked, they hide the others of the same instruction. */
export const FLAGS_BEFORE = FLAG_IE | FLAG_DE | FLAG_ZE;
export const MXCSR_DAZ = 0x40;
/** Flag → its mask. */
export const MASK_SHIFT = 7;
export const MXCSR_FZ = 0x8000;
export const RC_SHIFT = 13;
export const ROUND_NEAREST = 0;
export const ROUND_DOWN = 1;
export const ROUND_UP = 2;
export const ROUND_ZERO = 3;

/** Exceptions of the current instruction. */
export const FLOAT_FLAGS = L.SCRATCH + 0x80;

/** Adds exception flags. */
export function raise(b: Builder, flags: number | Node): void {
  const value = typeof flags === "number" ? b.i32(flags) : flags;
  b.setState(FLOAT_FLAGS, b.or(b.state(FLOAT_FLAGS), value));
}

/** MXCSR says: everything masked, round to nearest, neither DAZ nor FZ. */
export function isDefaultMode(b: Builder): Node {
  return b.eq(b.and(b.state(L.MXCSR), b.i32(0xffc0)), b.i32(0x1f80));
}

/** As `isDefaultMode`, and PE is set already, so that an inexact result changes nothing. */
export function isDefaultModeInexact(b: Builder): Node {
  return b.eq(b.and(b.state(L.MXCSR), b.i32(0xffe0)), b.i32(0x1fa0));
}

export function roundingMode(b: Builder): Node {
  return b.and(b.shrU(b.state(L.MXCSR), b.i32(RC_SHIFT)), b.i32(3));
}

/** One of the two formats; values are bit patterns of type `type`. */
export class Format {
  readonly name: "f32" | "f64";
  readonly bits: 32 | 64;
  readonly type: typeof I32 | typeof I64;
  readonly floatType: typeof F32 | typeof F64;
  readonly fractionBits: number;
  readonly bias: number;
  readonly maxExponent: number;
  readonly signBit: bigint;
  readonly infinity: bigint;
  readonly quietBit: bigint;
  readonly minNormal: bigint;
  readonly fractionMask: bigint;

  constructor(name: "f32" | "f64") {
    this.name = name;
    const is64 = name === "f64";
    this.bits = is64 ? 64 : 32;
    this.type = is64 ? I64 : I32;
    this.floatType = is64 ? F64 : F32;
    this.fractionBits = is64 ? 52 : 23;
    this.bias = is64 ? 1023 : 127;
    this.maxExponent = is64 ? 2047 : 255;
    this.signBit = 1n << BigInt(this.bits - 1);
    this.minNormal = 1n << BigInt(this.fractionBits);
    this.infinity = BigInt(this.maxExponent) << BigInt(this.fractionBits);
    this.quietBit = 1n << BigInt(this.fractionBits - 1);
    this.fractionMask = this.minNormal - 1n;
  }

  /** A constant bit pattern. */
  constant(b: Builder, value: bigint): Node {
    return this.bits === 64 ? b.i64(BigInt.asIntN(64, value)) : b.i32(Number(BigInt.asIntN(32, value)));
  }
  defaultNan(b: Builder): Node {
    return this.constant(b, this.signBit | this.infinity | this.quietBit);
  }
  abs(b: Builder, x: Node): Node {
    return b.and(x, this.constant(b, this.signBit - 1n));
  }
  sign(b: Builder, x: Node): Node {
    return b.and(x, this.constant(b, this.signBit));
  }
  isNan(b: Builder, x: Node): Node {
    return b.gtU(this.abs(b, x), this.constant(b, this.infinity));
  }
  isSignalling(b: Builder, x: Node): Node {
    return b.and(this.isNan(b, x), b.eqz(b.and(x, this.constant(b, this.quietBit))));
  }
  isInfinite(b: Builder, x: Node): Node {
    return b.eq(this.abs(b, x), this.constant(b, this.infinity));
  }
  isZero(b: Builder, x: Node): Node {
    return b.eqz(b.shl(x, this.constant(b, 1n)));
  }
  isDenormal(b: Builder, x: Node): Node {
    const one = this.constant(b, 1n);
    return b.ltU(b.sub(b.shl(x, one), one), this.constant(b, this.minNormal * 2n - 1n));
  }
  /** Biased exponent as i32. */
  exponent(b: Builder, x: Node): Node {
    const shifted = b.shrU(x, this.constant(b, BigInt(this.fractionBits)));
    return b.and(this.bits === 64 ? b.wrap(shifted) : shifted, b.i32(this.maxExponent));
  }
  /** The bits as a WebAssembly number. */
  number(b: Builder, x: Node): Node {
    return b.float(this.bits === 64 ? float.f64ReinterpretI64 : float.f32ReinterpretI32, x);
  }
  bitsOf(b: Builder, x: Node): Node {
    return b.float(this.bits === 64 ? float.i64ReinterpretF64 : float.i32ReinterpretF32, x);
  }
  /** Value as f64: exact, for numbers that are not NaNs. */
  double(b: Builder, x: Node): Node {
    return this.bits === 64 ? this.number(b, x) : b.float(float.f64PromoteF32, this.number(b, x));
  }

  /** A denormal counts as zero if MXCSR.DAZ says so. */
  readDaz(b: Builder, x: Node): Node {
    const isZeroed = b.and(b.nez(b.and(b.state(L.MXCSR), b.i32(MXCSR_DAZ))), this.isDenormal(b, x));
    return b.select(isZeroed, this.sign(b, x), x);
  }
  /** Raises DE for denormal operands (after `readDaz`). */
  raiseDenormal(b: Builder, ...operands: readonly Node[]): void {
    const any = operands.map((x) => this.isDenormal(b, x)).reduce((p, q) => b.or(p, q));
    b.if(any, () => raise(b, FLAG_DE));
  }
  /** The first operand that is a NaN, quieted; raises IE if either signals. One must be a NaN. */
  propagateNan(b: Builder, a: Node, x: Node): Node {
    b.if(b.or(this.isSignalling(b, a), this.isSignalling(b, x)), () => raise(b, FLAG_IE));
    return b.or(b.select(this.isNan(b, a), a, x), this.constant(b, this.quietBit));
  }
}

export const f32 = new Format("f32");
export const f64 = new Format("f64");

/** A value chosen by statements: `body` gets a function that sets it. */
export function choose(b: Builder, initial: Node, body: (set: (value: Node) => void) => void): Node {
  const result = b.variable(initial);
  body((value) => b.set(result, value));
  return b.get(result);
}
