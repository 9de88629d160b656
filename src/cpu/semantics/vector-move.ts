/**
 * Moves of MMX, SSE and SSE2 registers. Non-temporal hints mean nothing here: the cache is not modelled. Loads of scalars
 * clear the rest of an XMM register, register-to-register moves of scalars keep it.
 */
import type { Builder } from "../ir/builder.ts";
import { I64, type Node } from "../ir/node.ts";
import * as L from "../layout.ts";
import type { Semantics } from "../table/row.ts";
import { simd } from "../wasm/opcodes.ts";
import { alignedAddress, enterMmx, low, readVector, readVectorUnaligned, zero } from "./vector-operand.ts";

/** MOVAPS, MOVAPD, MOVDQA, MOVNTPS …: 16 bytes, aligned. */
export const moveAligned: Semantics = (b, i) => {
  const [destination, source] = i.operands;
  if (destination.kind !== "memory") {
    b.write(destination, readVector(b, source));
    return;
  }
  b.store(alignedAddress(b, true), 16, b.read(source));
};

/** MOVUPS, MOVUPD, MOVDQU. */
export const moveUnaligned: Semantics = (b, i) => b.write(i.operands[0], readVectorUnaligned(b, i.operands[1]));

/** MOVSS, MOVSD (`parameter`: width in bits). */
export const moveScalar: Semantics = (b, i) => {
  const [destination, source] = i.operands;
  const width = i.parameter as 32 | 64;
  const value = b.read(low(source, width));
  if (source.kind === "memory") b.write(destination, zeroExtended(b, value));
  else b.write(low(destination, width), value);
};

/** The value in the low lane, zeros above. */
function zeroExtended(b: Builder, value: Node): Node {
  const opcode = value.type === I64 ? simd.i64x2ReplaceLane : simd.i32x4ReplaceLane;
  return b.withLane(opcode, zero(b), 0, value);
}

/** MOVD between a general register or memory and MMX or XMM; MOVQ between XMM or memory and XMM; MOVQ of MMX. */
export const moveLow: Semantics = (b, i) => {
  const [destination, source] = i.operands;
  const width = i.parameter as 32 | 64;
  if (destination.kind === "xmm") {
    b.write(destination, zeroExtended(b, b.read(low(source, width))));
    return;
  }
  const value = b.read(low(source, width));
  if (destination.kind === "mmx") {
    b.write(destination, width === 32 ? b.extendU64(value) : value);
    enterMmx(b);
    return;
  }
  b.write(destination, source.kind === "mmx" && width === 32 ? b.wrap(value) : value);
  if (source.kind === "mmx") enterMmx(b);
};

/** MOVQ2DQ, MOVDQ2Q. */
export const moveBetween: Semantics = (b, i) => {
  const [destination, source] = i.operands;
  if (destination.kind === "xmm") b.write(destination, zeroExtended(b, b.read(source)));
  else b.write(destination, b.read(low(source, 64)));
  enterMmx(b);
};

/** MOVLPS, MOVLPD between XMM and memory: the low quadword, the other stays. */
export const moveLowHalf: Semantics = (b, i) => b.write(low(i.operands[0], 64), b.read(low(i.operands[1], 64)));

/** MOVHPS, MOVHPD between XMM and memory. */
export const moveHighHalf: Semantics = (b, i) => {
  const [destination, source] = i.operands;
  if (destination.kind === "memory") {
    b.write(destination, b.lane(simd.i64x2ExtractLane, b.read(source), 1));
    return;
  }
  const value = b.read(source);
  b.write(destination, b.withLane(simd.i64x2ReplaceLane, b.read(destination), 1, value));
};

export const movhlps: Semantics = (b, i) => {
  b.write(low(i.operands[0], 64), b.lane(simd.i64x2ExtractLane, b.read(i.operands[1]), 1));
};

export const movlhps: Semantics = (b, i) => {
  const value = b.read(low(i.operands[1], 64));
  b.write(i.operands[0], b.withLane(simd.i64x2ReplaceLane, b.read(i.operands[0]), 1, value));
};

/**
 * MASKMOVQ, MASKMOVDQU: stores the bytes of the first operand whose mask byte has its top bit set at DS:EDI, and touches
 * no other byte.
 */
export const maskedMove: Semantics = (b, i) => {
  const [source, maskOperand] = i.operands;
  const isMmx = source.kind === "mmx";
  const size = isMmx ? 8 : 16;
  const value = readVector(b, source);
  const mask = b.simd(simd.i8x16Bitmask, readVector(b, maskOperand));
  const bits = isMmx ? b.and(mask, b.i32(0xff)) : mask;
  const offset = b.read({ kind: "fixed", width: i.addressWidth, index: 7 });
  b.if(bits, () => {
    const linear = b.linear(-1, offset, size, true);
    const bytes = (body: (bit: Node, address: Node) => void) => {
      const left = b.variable(bits);
      b.loop(() => {
        const set = b.get(left);
        const number = b.ctz(set);
        body(number, b.add(linear, number));
        b.set(left, b.and(set, b.sub(set, b.i32(1))));
        return b.nez(b.get(left));
      });
    };
    // All pages first, then the bytes.
    bytes((_, address) => b.probeWrite(address, 1));
    bytes((number, address) => {
      const moved = b.simd(simd.i8x16Swizzle, value, b.simd(simd.i8x16Splat, number));
      b.storeAgain(address, 1, b.lane(simd.i8x16ExtractLaneU, moved, 0));
    });
  });
  if (isMmx) enterMmx(b);
};

export const emms: Semantics = (b) => {
  b.setState(L.FPU_TOP, b.i32(0));
  b.setState(L.FPU_TAGS, b.i32(0));
};

/** CLFLUSH checks its address as a load of one byte would, and then does nothing. */
export const clflush: Semantics = (b) => {
  b.load(b.address(1, false), 1);
};
