/**
 * Packing, interleaving, shuffles, word insertion and extraction of MMX, SSE and SSE2. Selections by an immediate are
 * computed as byte selectors, because a record's immediate is only known when it runs.
 */
import type { Builder } from "../ir/builder.ts";
import type { Node } from "../ir/node.ts";
import type { Semantics } from "../table/row.ts";
import { simd } from "../wasm/opcodes.ts";
import { enterMmx, packed, readVector, writeVector } from "./vector-operand.ts";

/** Saturating narrowing: destination's lanes below, source's above. */
function pack(opcode: number): Semantics {
  return packed((b, a, x, isMmx) => {
    if (!isMmx) return b.simd(opcode, a, x);
    const both = b.shuffle(a, x, [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]);
    return b.simd(opcode, both, both);
  });
}

export const packsswb = pack(simd.i8x16NarrowI16x8S);
export const packuswb = pack(simd.i8x16NarrowI16x8U);
export const packssdw = pack(simd.i16x8NarrowI32x4S);

/** Byte numbers of the interleaving of two vectors' halves, `size` bytes at a time, from byte `first`. */
function interleaved(size: number, first: number): number[] {
  const bytes: number[] = [];
  for (let at = first; bytes.length < 16; at += size) {
    for (const base of [0, 16]) for (let n = 0; n < size; n++) bytes.push(base + ((at + n) & 15));
  }
  return bytes;
}

/** Interleaves the low or high halves. */
function unpack(size: number, isHigh: boolean): Semantics {
  return packed((b, a, x, isMmx) => b.shuffle(a, x, interleaved(size, isHigh ? (isMmx ? 4 : 8) : 0)));
}

export const punpcklbw = unpack(1, false);
export const punpcklwd = unpack(2, false);
/** Also UNPCKLPS. */
export const punpckldq = unpack(4, false);
/** Also UNPCKLPD. */
export const punpcklqdq = unpack(8, false);
export const punpckhbw = unpack(1, true);
export const punpckhwd = unpack(2, true);
export const punpckhdq = unpack(4, true);
export const punpckhqdq = unpack(8, true);

/** Four doubleword selections of two bits each, as byte selectors. */
function selectDoublewords(b: Builder, imm: Node): Node {
  // Field n moves to bits 6–7 of lane n.
  const fields = b.simd(
    simd.i32x4Mul,
    b.simd(simd.i32x4Splat, imm),
    b.vector(0x0000001000000040n, 0x0000000100000004n),
  );
  const numbers = b.simd(simd.v128And, b.simd(simd.i32x4ShrU, fields, b.i32(6)), b.vector(0x0000000300000003n));
  return b.simd(
    simd.i32x4Add,
    b.simd(simd.i32x4Mul, numbers, b.vector(0x0404040404040404n)),
    b.vector(0x0302010003020100n),
  );
}

export const pshufd: Semantics = (b, i) => {
  const x = readVector(b, i.operands[1]);
  writeVector(b, i.operands[0], b.simd(simd.i8x16Swizzle, x, selectDoublewords(b, b.read(i.operands[2]))));
};

/** Selects among the four words of one half; the other half stays. */
function shuffleWords(isHigh: boolean): Semantics {
  return (b, i) => {
    const x = readVector(b, i.operands[1]);
    const half = (value: bigint) => (isHigh ? b.vector(0n, value) : b.vector(value, 0n));
    const fields = b.simd(simd.i16x8Mul, b.simd(simd.i16x8Splat, b.read(i.operands[2])), half(0x0001000400100040n));
    const numbers = b.simd(simd.v128And, b.simd(simd.i16x8ShrU, fields, b.i32(6)), half(0x0003000300030003n));
    const base = isHigh
      ? b.vector(0x0706050403020100n, 0x0908090809080908n)
      : b.vector(0x0100010001000100n, 0x0f0e0d0c0b0a0908n);
    const bytes = b.simd(simd.i16x8Add, b.simd(simd.i16x8Mul, numbers, b.vector(0x0202020202020202n)), base);
    writeVector(b, i.operands[0], b.simd(simd.i8x16Swizzle, x, bytes));
  };
}

/** Also PSHUFW. */
export const pshuflw = shuffleWords(false);
export const pshufhw = shuffleWords(true);

export const shufps: Semantics = (b, i) => {
  const x = readVector(b, i.operands[1]);
  const a = b.read(i.operands[0]);
  const bytes = selectDoublewords(b, b.read(i.operands[2]));
  const fromA = b.simd(simd.i8x16Swizzle, a, bytes);
  const fromX = b.simd(simd.i8x16Swizzle, x, bytes);
  writeVector(b, i.operands[0], b.shuffle(fromA, fromX, [0, 1, 2, 3, 4, 5, 6, 7, 24, 25, 26, 27, 28, 29, 30, 31]));
};

export const shufpd: Semantics = (b, i) => {
  const x = readVector(b, i.operands[1]);
  const a = b.read(i.operands[0]);
  const imm = b.read(i.operands[2]);
  const half = (v: Node, bit: number) =>
    b.select(b.and(imm, b.i32(bit)), b.lane(simd.i64x2ExtractLane, v, 1), b.lane(simd.i64x2ExtractLane, v, 0));
  const r = b.withLane(simd.i64x2ReplaceLane, b.simd(simd.i64x2Splat, half(a, 1)), 1, half(x, 2));
  writeVector(b, i.operands[0], r);
};

export const pextrw: Semantics = (b, i) => {
  const source = i.operands[1];
  const number = b.and(b.read(i.operands[2]), b.i32(source.kind === "mmx" ? 3 : 7));
  const bytes = b.add(b.mul(number, b.i32(0x0202)), b.i32(0x0100));
  const moved = b.simd(simd.i8x16Swizzle, readVector(b, source), b.simd(simd.i16x8Splat, bytes));
  b.write(i.operands[0], b.lane(simd.i16x8ExtractLaneU, moved, 0));
  if (source.kind === "mmx") enterMmx(b);
};

export const pinsrw: Semantics = (b, i) => {
  const [destination, source, selector] = i.operands;
  const word = b.simd(simd.i16x8Splat, b.read(source));
  const number = b.and(b.read(selector), b.i32(destination.kind === "mmx" ? 3 : 7));
  const here = b.simd(
    simd.i16x8Eq,
    b.simd(simd.i16x8Splat, number),
    b.vector(0x0003000200010000n, 0x0007000600050004n),
  );
  writeVector(b, destination, b.simd(simd.v128Bitselect, word, readVector(b, destination), here));
};
