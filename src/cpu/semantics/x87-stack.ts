/**
 * The x87 register stack (SDM volume 1, 8.1): physical registers, tags, stack faults, results that replace or push, and the
 * pointers to the last instruction and operand. What all x87 semantics are written with.
 *
 * An unmasked exception that comes before the result leaves the destination and the stack as they are (SUPPRESSED).
 */
import type { Instruction, Operand } from "../decode/operand.ts";
import { C1, SUPPRESSED, X87_SE, X87_SECOND, X87_SECOND_SE } from "../fpu/extended.ts";
import type { Builder } from "../ir/builder.ts";
import { I32, I64, type Node, type Variable } from "../ir/node.ts";
import * as L from "../layout.ts";

export interface Value {
  readonly m: Node;
  readonly se: Node;
}

export const STACK_UNDERFLOW = 0x41;
export const STACK_OVERFLOW = 0x241;
export const DEFAULT_NAN = -0x4000_0000_0000_0000n;

// ---- registers -----------------------------------------------------------------------------------------------------

/** Physical number of ST(index). */
export function physical(b: Builder, index: Node | number): Node {
  const top = b.state(L.FPU_TOP);
  if (index === 0) return top;
  return b.and(b.add(top, typeof index === "number" ? b.i32(index) : index), b.i32(7));
}

export function readRegister(b: Builder, register: Node): Value {
  const address = b.shl(register, b.i32(4));
  return { m: b.host(address, 8, L.X87), se: b.host(address, 2, L.X87 + 8) };
}

export function writeRegister(b: Builder, register: Node, value: Value): void {
  const address = b.shl(register, b.i32(4));
  b.setHost(address, 8, value.m, L.X87);
  b.setHost(address, 2, value.se, L.X87 + 8);
}

/** 1 if none of the registers is empty. */
export function areUsed(b: Builder, ...registers: Node[]): Node {
  const tags = b.state(L.FPU_TAGS);
  const bits = registers.map((register) => b.shrU(tags, register)).reduce((x, y) => b.and(x, y));
  return b.and(bits, b.i32(1));
}

export function markUsed(b: Builder, register: Node): void {
  b.setState(L.FPU_TAGS, b.or(b.state(L.FPU_TAGS), b.shl(b.i32(1), register)));
}

export function markEmpty(b: Builder, register: Node): void {
  b.setState(L.FPU_TAGS, b.and(b.state(L.FPU_TAGS), b.not(b.shl(b.i32(1), register))));
}

export function pop(b: Builder): void {
  const top = b.state(L.FPU_TOP);
  markEmpty(b, top);
  b.setState(L.FPU_TOP, b.and(b.add(top, b.i32(1)), b.i32(7)));
}

/** The stack operand of the instruction. */
export const stackOperand = (b: Builder, operand: Operand): Node => physical(b, b.registerIndex(operand));

// ---- status --------------------------------------------------------------------------------------------------------

/** Records instruction, opcode and, if there is one, the operand's address. After everything that may fault. */
export function note(b: Builder, linear?: Node): void {
  b.setState(L.FPU_IP, b.thisEip());
  b.setState(L.FPU_CS, b.state(L.SEG_SELECTOR + L.SEG_CS * 4));
  b.setState(L.FPU_OPCODE, b.read({ kind: "immediate", width: 32 }));
  if (linear !== undefined) {
    const segment = b.segmentNumber();
    b.setState(L.FPU_DP, b.sub(linear, b.host(b.shl(segment, b.i32(3)), 4, L.SEG_BASE)));
    b.setState(L.FPU_DS, b.host(b.shl(segment, b.i32(2)), 4, L.SEG_SELECTOR));
  }
}

export const clearC1 = (b: Builder): void => b.setState(L.FPU_STATUS, b.and(b.state(L.FPU_STATUS), b.i32(~C1)));

/** As `note`, and clears C1. */
export function begin(b: Builder, linear?: Node): void {
  note(b, linear);
  clearC1(b);
}

export const raise = (b: Builder, flags: number | Node): Node =>
  b.call("x87-raise", I32, [typeof flags === "number" ? b.i32(flags) : flags]);

/** Mantissa of the response to a stack fault; X87_SE says the rest. */
export const stackFault = (b: Builder, flags: number): Node => b.call("x87-invalid", I64, [b.i32(flags)]);

export const isWritten = (b: Builder, se: Node): Node => b.eqz(b.and(se, b.i32(SUPPRESSED)));

export function setConditions(b: Builder, mask: number, bits: Node): void {
  b.setState(L.FPU_STATUS, b.or(b.and(b.state(L.FPU_STATUS), b.i32(~mask)), bits));
}

/** `compute` if all of `sources` are in use, else a stack underflow; the result goes to `target`. */
export function compute(
  b: Builder,
  sources: Node[],
  target: Node,
  value: () => Node,
  then: () => void = () => {},
): void {
  const result = b.variable(b.i64(0));
  b.if(
    areUsed(b, ...sources),
    () => b.set(result, value()),
    () => {
      b.set(result, stackFault(b, STACK_UNDERFLOW));
      b.if(isWritten(b, b.state(X87_SE)), () => markUsed(b, target));
    },
  );
  const se = b.state(X87_SE);
  b.if(isWritten(b, se), () => {
    writeRegister(b, target, { m: b.get(result), se });
    then();
  });
}

/** Pushes what `value` computes (its sign and exponent in X87_SE), unless the stack is full. */
export function push(b: Builder, value: () => Node): void {
  const target = b.and(b.sub(b.state(L.FPU_TOP), b.i32(1)), b.i32(7));
  const result = b.variable(b.i64(0));
  b.if(
    areUsed(b, target),
    () => b.set(result, stackFault(b, STACK_OVERFLOW)),
    () => b.set(result, value()),
  );
  pushResult(b, target, b.get(result));
}

/** `target` becomes the new top, with this mantissa and X87_SE; unless SUPPRESSED. */
export function pushResult(b: Builder, target: Node, m: Node): void {
  const se = b.state(X87_SE);
  b.if(isWritten(b, se), () => {
    writeRegister(b, target, { m, se });
    markUsed(b, target);
    b.setState(L.FPU_TOP, target);
  });
}

/**
 * Replaces ST(0) and pushes a second result (X87_SECOND, X87_SECOND_SE), or does nothing if `value` answers 1. A full stack
 * is a fault before anything else.
 */
export function computeAndPush(b: Builder, value: (m: Node, se: Node, result: Variable) => Node, top: Node): void {
  const target = b.and(b.sub(top, b.i32(1)), b.i32(7));
  const result = b.variable(b.i64(0));
  const isSkipped = b.variable(b.i32(0));
  b.if(
    b.and(areUsed(b, top), b.eqz(areUsed(b, target))),
    () => {
      const { m, se } = readRegister(b, top);
      b.set(isSkipped, value(m, se, result));
    },
    () => {
      const flags = b.select(areUsed(b, top), b.i32(STACK_OVERFLOW), b.i32(STACK_UNDERFLOW));
      b.set(result, b.call("x87-invalid", I64, [flags]));
      b.setState(X87_SECOND, b.i64(DEFAULT_NAN), 8);
      b.setState(X87_SECOND_SE, b.i32(0xffff));
      b.if(isWritten(b, b.state(X87_SE)), () => markUsed(b, top));
    },
  );
  b.if(b.eqz(b.get(isSkipped)), () => {
    const se = b.state(X87_SE);
    b.if(isWritten(b, se), () => {
      writeRegister(b, top, { m: b.get(result), se });
      writeRegister(b, target, { m: b.state(X87_SECOND, 8), se: b.state(X87_SECOND_SE) });
      markUsed(b, target);
      b.setState(L.FPU_TOP, target);
    });
  });
}

// ---- memory operands -----------------------------------------------------------------------------------------------

/** A memory operand as loaded: m32, m64 (real), or a 16-, 32-, 64-bit integer. */
export function loadMemory(b: Builder, i: Instruction, isInteger: boolean): { linear: Node; widen: () => Value } {
  const size = i.operands[0].width / 8;
  const linear = b.address(size, false);
  const raw = b.load(linear, size);
  if (isInteger) {
    const value = size === 8 ? raw : b.extendS64(size === 2 ? b.signExtend(16, raw) : raw);
    return { linear, widen: () => ({ m: b.call("x87-from-integer", I64, [value]), se: b.state(X87_SE) }) };
  }
  const name = size === 8 ? "x87-from-double" : "x87-from-single";
  return { linear, widen: () => ({ m: b.call(name, I64, [raw]), se: b.state(X87_SE) }) };
}
