/**
 * FXSAVE, FXRSTOR (SDM volume 2, FXSAVE: 32-bit image), LDMXCSR, STMXCSR. Reserved bytes of the image are written as
 * zero up to the XMM registers and left alone behind them. MXCSR bits 16–31 do not exist: loading them is #GP(0).
 */
import type { Builder } from "../ir/builder.ts";
import type { Node } from "../ir/node.ts";
import * as L from "../layout.ts";
import type { Semantics } from "../table/row.ts";
import { simd } from "../wasm/opcodes.ts";
import { alignedAddress } from "./vector-operand.ts";

/** All 16 low bits of MXCSR exist, DAZ among them. */
const MXCSR_MASK = 0xffff;
const IMAGE_BYTES = 512;
const ST_OFFSET = 32;
const XMM_OFFSET = 160;
/** FSW: exception summary and busy; and the six exception flags, which the control word masks. */
const FSW_SUMMARY = 0x8080;
const FSW_EXCEPTIONS = 0x3f;

/** Host address of ST(n). */
function stackRegister(b: Builder, top: Node, n: number): Node {
  return b.shl(b.and(b.add(top, b.i32(n)), b.i32(7)), b.i32(4));
}

export const fxsave: Semantics = (b) => {
  const linear = alignedAddress(b, true, IMAGE_BYTES);
  // The image lies in at most two pages.
  b.probeWrite(linear, 1);
  b.probeWrite(b.add(linear, b.i32(IMAGE_BYTES - 1)), 1);
  const at = (offset: number) => b.add(linear, b.i32(offset));
  const top = b.state(L.FPU_TOP);
  const words = (low: Node, high: Node) => b.or(low, b.shl(high, b.i32(16)));
  const status = b.or(b.state(L.FPU_STATUS), b.shl(top, b.i32(11)));
  b.storeAgain(at(0), 4, words(b.state(L.FPU_CONTROL), status));
  b.storeAgain(at(4), 4, words(b.state(L.FPU_TAGS), b.state(L.FPU_OPCODE)));
  b.storeAgain(at(8), 4, b.state(L.FPU_IP));
  b.storeAgain(at(12), 4, b.and(b.state(L.FPU_CS), b.i32(0xffff)));
  b.storeAgain(at(16), 4, b.state(L.FPU_DP));
  b.storeAgain(at(20), 4, b.and(b.state(L.FPU_DS), b.i32(0xffff)));
  b.storeAgain(at(24), 4, b.state(L.MXCSR));
  b.storeAgain(at(28), 4, b.i32(MXCSR_MASK));
  for (let n = 0; n < 8; n++) {
    const register = stackRegister(b, top, n);
    b.storeAgain(at(ST_OFFSET + n * 16), 8, b.host(register, 8, L.X87));
    b.storeAgain(at(ST_OFFSET + n * 16 + 8), 8, b.extendU64(b.host(register, 2, L.X87 + 8)));
  }
  for (let n = 0; n < 8; n++) b.storeAgain(at(XMM_OFFSET + n * 16), 16, b.state(L.XMM + n * 16, 16));
};

export const fxrstor: Semantics = (b) => {
  const linear = alignedAddress(b, false, IMAGE_BYTES);
  b.load(b.add(linear, b.i32(IMAGE_BYTES - 1)), 1);
  const rows: Node[] = [];
  for (let offset = 0; offset < XMM_OFFSET + 8 * 16; offset += 16) rows.push(b.load(b.add(linear, b.i32(offset)), 16));
  const doubleword = (n: number) => b.lane(simd.i32x4ExtractLane, rows[n >> 2], n & 3);
  const mxcsr = doubleword(6);
  b.if(b.and(mxcsr, b.i32(~MXCSR_MASK)), () => b.fault(13, b.i32(0)));
  const low = (value: Node, mask: number) => b.and(value, b.i32(mask));
  const control = low(doubleword(0), 0x1f7f);
  const image = b.shrU(doubleword(0), b.i32(16));
  const top = low(b.shrU(image, b.i32(11)), 7);
  b.setState(L.FPU_CONTROL, b.or(control, b.i32(0x40)));
  // ES and B follow from the flags and their masks, whatever the image says.
  const pending = b.and(low(image, FSW_EXCEPTIONS), b.not(control));
  b.setState(L.FPU_STATUS, b.or(low(image, 0x477f), b.select(pending, b.i32(FSW_SUMMARY), b.i32(0))));
  b.setState(L.FPU_TOP, top);
  b.setState(L.FPU_TAGS, low(doubleword(1), 0xff));
  b.setState(L.FPU_OPCODE, low(b.shrU(doubleword(1), b.i32(16)), 0x7ff));
  b.setState(L.FPU_IP, doubleword(2));
  b.setState(L.FPU_CS, low(doubleword(3), 0xffff));
  b.setState(L.FPU_DP, doubleword(4));
  b.setState(L.FPU_DS, low(doubleword(5), 0xffff));
  b.setState(L.MXCSR, mxcsr);
  for (let n = 0; n < 8; n++) {
    const row = rows[ST_OFFSET / 16 + n];
    const register = stackRegister(b, top, n);
    b.setHost(register, 8, b.lane(simd.i64x2ExtractLane, row, 0), L.X87);
    b.setHost(register, 2, b.lane(simd.i16x8ExtractLaneU, row, 4), L.X87 + 8);
  }
  for (let n = 0; n < 8; n++) b.setState(L.XMM + n * 16, rows[XMM_OFFSET / 16 + n], 16);
};

export const ldmxcsr: Semantics = (b, i) => {
  const value = b.read(i.operands[0]);
  b.if(b.and(value, b.i32(~MXCSR_MASK)), () => b.fault(13, b.i32(0)));
  b.setState(L.MXCSR, value);
};

export const stmxcsr: Semantics = (b, i) => b.write(i.operands[0], b.state(L.MXCSR));
