/** Packed integer arithmetic, comparison, logic and shifts of MMX and SSE2 (SDM volume 1, 9.4 and 11.4.2). */
import type { Node } from "../ir/node.ts";
import type { Semantics } from "../table/row.ts";
import { simd } from "../wasm/opcodes.ts";
import { enterMmx, packed, readVector, writeVector, zero } from "./vector-operand.ts";

/** One vector operator: destination op source. */
const lanes = (opcode: number): Semantics => packed((b, a, x) => b.simd(opcode, a, x));

export const paddb = lanes(simd.i8x16Add);
export const paddw = lanes(simd.i16x8Add);
export const paddd = lanes(simd.i32x4Add);
export const paddq = lanes(simd.i64x2Add);
export const psubb = lanes(simd.i8x16Sub);
export const psubw = lanes(simd.i16x8Sub);
export const psubd = lanes(simd.i32x4Sub);
export const psubq = lanes(simd.i64x2Sub);
export const paddsb = lanes(simd.i8x16AddSatS);
export const paddsw = lanes(simd.i16x8AddSatS);
export const paddusb = lanes(simd.i8x16AddSatU);
export const paddusw = lanes(simd.i16x8AddSatU);
export const psubsb = lanes(simd.i8x16SubSatS);
export const psubsw = lanes(simd.i16x8SubSatS);
export const psubusb = lanes(simd.i8x16SubSatU);
export const psubusw = lanes(simd.i16x8SubSatU);
export const pavgb = lanes(simd.i8x16AvgrU);
export const pavgw = lanes(simd.i16x8AvgrU);
export const pminub = lanes(simd.i8x16MinU);
export const pmaxub = lanes(simd.i8x16MaxU);
export const pminsw = lanes(simd.i16x8MinS);
export const pmaxsw = lanes(simd.i16x8MaxS);
export const pcmpeqb = lanes(simd.i8x16Eq);
export const pcmpeqw = lanes(simd.i16x8Eq);
export const pcmpeqd = lanes(simd.i32x4Eq);
export const pcmpgtb = lanes(simd.i8x16GtS);
export const pcmpgtw = lanes(simd.i16x8GtS);
export const pcmpgtd = lanes(simd.i32x4GtS);
export const pmullw = lanes(simd.i16x8Mul);
export const pmaddwd = lanes(simd.i32x4DotI16x8S);

/** Logic; ANDPS and its kin are the same. */
export const and = lanes(simd.v128And);
export const or = lanes(simd.v128Or);
export const xor = lanes(simd.v128Xor);
/** PANDN complements the destination. */
export const andn = packed((b, a, x) => b.simd(simd.v128Andnot, x, a));

/** High words of eight 32-bit products. */
function multiplyHigh(lowHalf: number, highHalf: number): Semantics {
  return packed((b, a, x) =>
    b.shuffle(
      b.simd(lowHalf, a, x),
      b.simd(highHalf, a, x),
      [2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31],
    ),
  );
}

export const pmulhw = multiplyHigh(simd.i32x4ExtmulLowI16x8S, simd.i32x4ExtmulHighI16x8S);
export const pmulhuw = multiplyHigh(simd.i32x4ExtmulLowI16x8U, simd.i32x4ExtmulHighI16x8U);

/** Products of the even doublewords. */
export const pmuludq = packed((b, a, x) => {
  const even = (v: Node) => b.shuffle(v, v, [0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11]);
  return b.simd(simd.i64x2ExtmulLowI32x4U, even(a), even(x));
});

/** Sum of the absolute differences of eight bytes, per quadword. */
export const psadbw = packed((b, a, x) => {
  const difference = b.simd(simd.v128Or, b.simd(simd.i8x16SubSatU, a, x), b.simd(simd.i8x16SubSatU, x, a));
  const words = b.simd(simd.i16x8ExtaddPairwiseI8x16U, difference);
  const doublewords = b.simd(simd.i32x4ExtaddPairwiseI16x8U, words);
  const sum = b.simd(simd.i64x2Add, doublewords, b.simd(simd.i64x2ShrU, doublewords, b.i32(32)));
  return b.simd(simd.v128And, sum, b.vector(0xffffn));
});

/**
 * Shift by a count that is an immediate byte, or the low quadword of the source: logical shifts by the lane width or
 * more give zero, arithmetic ones the sign.
 */
function shift(opcode: number, width: number, isArithmetic: boolean): Semantics {
  return (b, i) => {
    const [destination, source] = i.operands;
    let count: Node;
    let isOver: Node;
    if (source.kind === "immediate") {
      count = b.read(source);
      isOver = b.geU(count, b.i32(width));
    } else {
      const wide = b.lane(simd.i64x2ExtractLane, readVector(b, source), 0);
      count = b.wrap(wide);
      isOver = b.geU(wide, b.i64(width));
    }
    const a = readVector(b, destination);
    let r: Node;
    if (isArithmetic) r = b.simd(opcode, a, b.select(isOver, b.i32(width - 1), count));
    else r = b.select(isOver, zero(b), b.simd(opcode, a, count));
    writeVector(b, destination, r);
  };
}

export const psllw = shift(simd.i16x8Shl, 16, false);
export const pslld = shift(simd.i32x4Shl, 32, false);
export const psllq = shift(simd.i64x2Shl, 64, false);
export const psrlw = shift(simd.i16x8ShrU, 16, false);
export const psrld = shift(simd.i32x4ShrU, 32, false);
export const psrlq = shift(simd.i64x2ShrU, 64, false);
export const psraw = shift(simd.i16x8ShrS, 16, true);
export const psrad = shift(simd.i32x4ShrS, 32, true);

/** PSLLDQ, PSRLDQ by bytes: byte selection, where a position out of range gives zero. */
function shiftBytes(isLeft: boolean): Semantics {
  return (b, i) => {
    const count = b.read(i.operands[1]);
    const clamped = b.select(b.gtU(count, b.i32(16)), b.i32(16), count);
    const positions = b.vector(0x0706050403020100n, 0x0f0e0d0c0b0a0908n);
    const by = b.simd(simd.i8x16Splat, clamped);
    const selector = b.simd(isLeft ? simd.i8x16Sub : simd.i8x16Add, positions, by);
    writeVector(b, i.operands[0], b.simd(simd.i8x16Swizzle, b.read(i.operands[0]), selector));
  };
}

export const pslldq = shiftBytes(true);
export const psrldq = shiftBytes(false);

/** Sign bits of the lanes into a general register. */
function moveMask(opcode: number): Semantics {
  return (b, i) => {
    const source = i.operands[1];
    const mask = b.simd(opcode, readVector(b, source));
    const isMmx = source.kind === "mmx";
    b.write(i.operands[0], isMmx ? b.and(mask, b.i32(0xff)) : mask);
    if (isMmx) enterMmx(b);
  };
}

export const pmovmskb = moveMask(simd.i8x16Bitmask);
export const movmskps = moveMask(simd.i32x4Bitmask);
export const movmskpd = moveMask(simd.i64x2Bitmask);
