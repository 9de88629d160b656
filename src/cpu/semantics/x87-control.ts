/** x87 instructions that only touch control, status and tags (SDM volume 1, 8.1; volume 2). FPU_STATUS holds no TOP. */
import type { Builder } from "../ir/builder.ts";
import type { Node } from "../ir/node.ts";
import * as L from "../layout.ts";
import type { Semantics } from "../table/row.ts";

const EXCEPTIONS = 0x3f;
/** Exception summary and busy. */
const ES_B = 0x8080;

/** The status word as a program sees it: TOP put in. */
export function statusWord(b: Builder): Node {
  return b.or(b.state(L.FPU_STATUS), b.shl(b.state(L.FPU_TOP), b.i32(11)));
}

/** Recomputes ES and B after the control or status word changed: set if an unmasked exception is pending. */
export function updateSummary(b: Builder, status: Node, control: Node): void {
  const pending = b.nez(b.and(b.and(status, b.not(control)), b.i32(EXCEPTIONS)));
  const clean = b.and(status, b.i32(~ES_B));
  b.setState(L.FPU_STATUS, b.or(clean, b.mul(pending, b.i32(ES_B))));
}

export const fninit: Semantics = (b) => {
  b.setState(L.FPU_CONTROL, b.i32(0x37f));
  b.setState(L.FPU_STATUS, b.i32(0));
  b.setState(L.FPU_TOP, b.i32(0));
  b.setState(L.FPU_TAGS, b.i32(0));
  for (const pointer of [L.FPU_OPCODE, L.FPU_IP, L.FPU_CS, L.FPU_DP, L.FPU_DS]) b.setState(pointer, b.i32(0));
};

export const fnclex: Semantics = (b) => {
  b.setState(L.FPU_STATUS, b.and(b.state(L.FPU_STATUS), b.i32(0x7f00)));
};

export const fnstcw: Semantics = (b, i) => {
  b.write(i.operands[0], b.state(L.FPU_CONTROL));
};

export const fnstsw: Semantics = (b, i) => {
  b.write(i.operands[0], statusWord(b));
};

export const fldcw: Semantics = (b, i) => {
  // Bit 6 reads as one; the reserved bits above the infinity control are kept clear.
  const control = b.or(b.and(b.read(i.operands[0]), b.i32(0x1f7f)), b.i32(0x40));
  b.setState(L.FPU_CONTROL, control);
  updateSummary(b, b.state(L.FPU_STATUS), control);
};

/** FWAIT: the guard in front has done everything. Also FNENI, FNDISI, FNSETPM, which do nothing since the 387. */
export const nothing: Semantics = () => {};
