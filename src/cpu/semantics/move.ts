/** Data movement without flags: MOV, MOVZX/MOVSX, LEA, XLAT, conversions, SETcc, CMOVcc, BOUND. */
import type { Operand } from "../decode/operand.ts";
import * as L from "../layout.ts";
import type { Semantics } from "../table/row.ts";

const fixed = (width: number, index: number): Operand => ({ kind: "fixed", width, index });

export const mov: Semantics = (b, i) => {
  b.write(i.operands[0], b.read(i.operands[1]));
};

/** The source is zero extended already; `write` takes the low bits. */
export const movzx: Semantics = mov;

export const movsx: Semantics = (b, i) => {
  b.write(i.operands[0], b.signExtend(i.operands[1].width, b.read(i.operands[1])));
};

export const lea: Semantics = (b, i) => {
  b.write(i.operands[0], b.address(0, false));
};

export const xlat: Semantics = (b, i) => {
  const bx = b.read(fixed(i.addressWidth, 3));
  const offset = b.truncate(i.addressWidth, b.add(bx, b.read(fixed(8, 0))));
  b.write(fixed(8, 0), b.load(b.linear(-1, offset, 1, false), 1));
};

/** CBW/CWDE: sign extend AL into AX, AX into EAX. */
export const cbw: Semantics = (b, i) => {
  const half = i.width / 2;
  b.write(fixed(i.width, 0), b.signExtend(half, b.read(fixed(half, 0))));
};

/** CWD/CDQ: fill DX/EDX with the sign. */
export const cwd: Semantics = (b, i) => {
  b.write(fixed(i.width, 2), b.shrS(b.signExtend(i.width, b.read(fixed(i.width, 0))), b.i32(31)));
};

export const setcc: Semantics = (b, i) => {
  b.write(i.operands[0], b.condition(i.parameter));
};

/** CMOVcc reads (and may fault on) its source whatever the condition. */
export const cmovcc: Semantics = (b, i) => {
  const value = b.read(i.operands[1]);
  b.if(b.condition(i.parameter), () => b.write(i.operands[0], value));
};

/** BOUND: signed index against two bounds in memory, the upper one read only if the lower one holds; #BR leaves EIP there. */
export const bound: Semantics = (b, i) => {
  const size = i.width / 8;
  const index = b.signExtend(i.width, b.read(i.operands[0]));
  const offset = b.address(0, false);
  const lower = b.signExtend(i.width, b.load(b.linear(-1, offset, size, false), size));
  b.if(b.ltS(index, lower), () => b.fault(5));
  const second = b.truncate(i.addressWidth, b.add(offset, b.i32(size)));
  const upper = b.signExtend(i.width, b.load(b.linear(-1, second, size, false), size));
  b.if(b.gtS(index, upper), () => b.fault(5));
};

/** MOV from a segment register: 16 bits to memory, zero extended into a register. */
export const movFromSegment: Semantics = (b, i) => {
  b.write(i.operands[0], b.read(i.operands[1]));
};

/** MOVNTI and the like are plain stores here: the cache is not modelled. */
export const movnti: Semantics = mov;

export const lahf: Semantics = (b) => {
  const value = b.or(
    b.or(
      b.or(b.shl(b.sf(), b.i32(7)), b.shl(b.zf(), b.i32(6))),
      b.or(b.shl(b.af(), b.i32(4)), b.shl(b.pf(), b.i32(2))),
    ),
    b.or(b.cf(), b.i32(2)),
  );
  b.write(fixed(8, 4), value);
};

export const sahf: Semantics = (b) => {
  const ah = b.read(fixed(8, 4));
  const bit = (n: number) => b.and(b.shrU(ah, b.i32(n)), b.i32(1));
  b.flagsExplicit({ cf: bit(0), pf: bit(2), af: bit(4), zf: bit(6), sf: bit(7), of: b.of() });
};

export const clc: Semantics = (b) => b.setCarry(b.i32(0));
export const stc: Semantics = (b) => b.setCarry(b.i32(1));
export const cmc: Semantics = (b) => b.setCarry(b.xor(b.cf(), b.i32(1)));

/** SALC (undocumented, all processors): AL = CF ? FFh : 0. */
export const salc: Semantics = (b) => b.write(fixed(8, 0), b.sub(b.i32(0), b.cf()));

const DF = 0x400;
export const cld: Semantics = (b) => b.setState(L.EFLAGS_SYSTEM, b.and(b.state(L.EFLAGS_SYSTEM), b.i32(~DF)));
export const std: Semantics = (b) => b.setState(L.EFLAGS_SYSTEM, b.or(b.state(L.EFLAGS_SYSTEM), b.i32(DF)));

/** NOP, PREFETCH, hint NOPs: nothing, memory operands are not accessed. */
export const nop: Semantics = () => {};
