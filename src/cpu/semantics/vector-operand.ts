/**
 * Operands of MMX, SSE and SSE2 instructions as v128 values. An MMX register or a narrow memory operand is repeated in
 * both halves, so that the same packed computation serves MMX (low half of the result) and SSE.
 */
import type { Operand } from "../decode/operand.ts";
import type { Builder } from "../ir/builder.ts";
import type { Node } from "../ir/node.ts";
import { I64 } from "../ir/node.ts";
import * as L from "../layout.ts";
import type { Semantics } from "../table/row.ts";
import { simd } from "../wasm/opcodes.ts";

/** Linear address of a 16-byte memory operand that must be aligned: #GP(0), before the page is looked at. */
export function alignedAddress(b: Builder, isWrite: boolean, size = 16): Node {
  const linear = b.address(size, isWrite);
  b.if(b.and(linear, b.i32(15)), () => b.fault(13, b.i32(0)));
  return linear;
}

/** An operand as a vector; 16-byte memory operands must be aligned. */
export function readVector(b: Builder, operand: Operand): Node {
  if (operand.kind === "memory" && operand.width === 128) return b.load(alignedAddress(b, false), 16);
  const value = b.read(operand);
  if (operand.width === 128) return value;
  if (operand.width === 64) return b.simd(simd.i64x2Splat, value);
  return b.simd(simd.i32x4Splat, value);
}

/** As `readVector`, with memory at any address. */
export function readVectorUnaligned(b: Builder, operand: Operand): Node {
  return operand.width === 128 ? b.read(operand) : readVector(b, operand);
}

/** Writes a vector register; of an MMX register the low half. */
export function writeVector(b: Builder, operand: Operand, value: Node): void {
  if (operand.kind !== "mmx") {
    b.write(operand, value);
    return;
  }
  b.write(operand, value.type === I64 ? value : b.lane(simd.i64x2ExtractLane, value, 0));
  enterMmx(b);
}

/** What every MMX instruction but EMMS does to the x87 state: TOP = 0, all registers in use. */
export function enterMmx(b: Builder): void {
  b.setState(L.FPU_TOP, b.i32(0));
  b.setState(L.FPU_TAGS, b.i32(0xff));
}

/** The low 32 or 64 bits of an XMM register (or the operand itself in memory). */
export function low(operand: Operand, width: 32 | 64): Operand {
  return operand.kind === "xmm" ? { ...operand, width } : operand;
}

/** Zero everywhere. */
export function zero(b: Builder): Node {
  return b.vector(0n);
}

/** destination = compute(destination, source); both as MMX or XMM. */
export function packed(compute: (b: Builder, a: Node, x: Node, isMmx: boolean) => Node): Semantics {
  return (b, i) => {
    const [destination, source] = i.operands;
    const x = readVector(b, source);
    const a = readVector(b, destination);
    writeVector(b, destination, compute(b, a, x, destination.kind === "mmx"));
  };
}
