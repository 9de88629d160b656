/**
 * The stack and near control transfers: PUSH, POP, PUSHA, POPA, ENTER, LEAVE, CALL, RET, JMP, Jcc, LOOP, JCXZ.
 * With flat segments and a 32-bit stack ESP is a linear address; otherwise SS base, limit and the B bit count.
 */
import type { Instruction, Operand } from "../decode/operand.ts";
import type { Builder } from "../ir/builder.ts";
import type { Node } from "../ir/node.ts";
import * as L from "../layout.ts";
import type { Semantics } from "../table/row.ts";

const ESP = 4;
const EBP = 5;
const SS = L.SEG_SS;

/** FFFFFFFFh or FFFFh by the stack segment's B bit. */
function stackMask(b: Builder, i: Instruction): Node {
  if (i.isFlat) return b.i32(-1);
  return b.select(b.and(b.state(L.MODE), b.i32(L.MODE_STACK32)), b.i32(-1), b.i32(0xffff));
}

/** Linear address of stack offset `offset` (already masked). */
function stackLinear(b: Builder, i: Instruction, offset: Node, size: number, isWrite: boolean): Node {
  return i.isFlat ? offset : b.linear(SS, offset, size, isWrite);
}

/** Replaces ESP's bits under the mask. */
function setStackPointer(b: Builder, i: Instruction, register: number, old: Node, value: Node, mask: Node): void {
  b.setGpr(register, i.isFlat ? value : b.or(b.and(old, b.not(mask)), b.and(value, mask)));
}

/** Pushes one value of `size` bytes; ESP changes after the store. */
export function push(b: Builder, i: Instruction, size: number, value: Node): void {
  const mask = stackMask(b, i);
  const esp = b.gpr(ESP);
  const offset = b.and(b.sub(esp, b.i32(size)), mask);
  b.store(stackLinear(b, i, offset, size, true), size, value);
  setStackPointer(b, i, ESP, esp, offset, mask);
}

/** Reads the value `depth` bytes above the top without popping. */
export function peek(b: Builder, i: Instruction, size: number, depth = 0): Node {
  const offset = b.and(b.add(b.gpr(ESP), b.i32(depth)), stackMask(b, i));
  return b.load(stackLinear(b, i, offset, size, false), size);
}

export function drop(b: Builder, i: Instruction, bytes: Node): void {
  const esp = b.gpr(ESP);
  setStackPointer(b, i, ESP, esp, b.add(esp, bytes), stackMask(b, i));
}

export const pushOperand: Semantics = (b, i) => {
  push(b, i, i.width / 8, b.read(i.operands[0]));
};

/** PUSH of a segment register: operand-size slot, upper half zero (as P6 and later fill it is not defined; Linux relies on none). */
export const pushSegment: Semantics = (b, i) => {
  push(b, i, i.width / 8, b.read(i.operands[0]));
};

/** POP to a register. POP ESP takes the popped value. */
export const popRegister: Semantics = (b, i) => {
  const value = peek(b, i, i.width / 8);
  drop(b, i, b.i32(i.width / 8));
  b.write(i.operands[0], value);
};

/** POP r/m: the stack is read before the destination is looked at. */
export const popOperand: Semantics = (b, i) => {
  const [destination] = i.operands;
  if (destination.kind !== "memory") {
    popRegister(b, i);
    return;
  }
  const size = i.width / 8;
  const value = peek(b, i, size);
  // The decoder adds the increment to displacements based on ESP, so the address here is right with the old ESP.
  b.store(b.linear(-1, b.address(0, true), size, true), size, value);
  drop(b, i, b.i32(size));
};

export const pusha: Semantics = (b, i) => {
  const size = i.width / 8;
  const mask = stackMask(b, i);
  const esp = b.gpr(ESP);
  const slot = (n: number) => b.and(b.sub(esp, b.i32(size * n)), mask);
  // All slots are probed first, in the order in which they are written.
  const linears = [1, 2, 3, 4, 5, 6, 7, 8].map((n) => {
    const linear = stackLinear(b, i, slot(n), size, true);
    b.probeWrite(linear, size);
    return linear;
  });
  for (let register = 0; register < 8; register++) {
    b.storeAgain(linears[register], size, register === ESP ? esp : b.gpr(register));
  }
  setStackPointer(b, i, ESP, esp, slot(8), mask);
};

export const popa: Semantics = (b, i) => {
  const size = i.width / 8;
  const values = [0, 1, 2, 3, 4, 5, 6, 7].map((n) => peek(b, i, size, n * size));
  drop(b, i, b.i32(size * 8));
  for (let n = 0; n < 8; n++) {
    const register = 7 - n;
    if (register !== ESP) b.write({ kind: "fixed", width: i.width, index: register }, values[n]);
  }
};

/** ENTER size, level. */
export const enter: Semantics = (b, i) => {
  const size = i.width / 8;
  const mask = stackMask(b, i);
  const level = b.and(b.read(i.operands[1]), b.i32(31));
  const allocation = b.read(i.operands[0]);
  const esp = b.gpr(ESP);
  const ebp = b.gpr(EBP);
  const frame = b.and(b.sub(esp, b.i32(size)), mask);
  // A 32-bit EBP gets all of the difference, whatever part of ESP is the stack pointer.
  const newBase = b.sub(esp, b.i32(size));
  // Slots may be written before a fault: nothing else has changed then, and they are written again.
  const top = b.and(b.sub(b.sub(frame, b.mul(level, b.i32(size))), allocation), mask);
  b.store(stackLinear(b, i, frame, size, true), size, ebp);
  b.commit();
  b.if(b.nez(level), () => {
    const n = b.variable(b.i32(1));
    b.loop(() => {
      const k = b.get(n);
      b.if(b.ltU(k, level), () => {
        const from = b.and(b.sub(ebp, b.mul(k, b.i32(size))), mask);
        const value = b.load(stackLinear(b, i, from, size, false), size);
        const to = b.and(b.sub(frame, b.mul(k, b.i32(size))), mask);
        b.store(stackLinear(b, i, to, size, true), size, value);
        b.commit();
      });
      const next = b.add(k, b.i32(1));
      b.set(n, next);
      return b.ltU(next, level);
    });
    const to = b.and(b.sub(frame, b.mul(level, b.i32(size))), mask);
    b.store(stackLinear(b, i, to, size, true), size, newBase);
    b.commit();
  });
  // The final top must be writable.
  b.probeWrite(stackLinear(b, i, top, size, true), size);
  if (i.width === 16) b.write({ kind: "fixed", width: 16, index: EBP }, frame);
  else b.setGpr(EBP, newBase);
  setStackPointer(b, i, ESP, esp, top, mask);
};

export const leave: Semantics = (b, i) => {
  const size = i.width / 8;
  const mask = stackMask(b, i);
  const ebp = b.gpr(EBP);
  const offset = b.and(ebp, mask);
  const value = b.load(stackLinear(b, i, offset, size, false), size);
  setStackPointer(b, i, ESP, b.gpr(ESP), b.add(offset, b.i32(size)), mask);
  b.write({ kind: "fixed", width: i.width, index: EBP }, value);
};

// ---- near transfers ------------------------------------------------------------------------------------------------

/** #GP(0) if the target lies beyond the code segment. */
function checkTarget(b: Builder, i: Instruction, eip: Node): void {
  if (!i.isFlat) b.if(b.gtU(eip, b.state(L.SEG_LIMIT + L.SEG_CS * 4)), () => b.fault(13, b.i32(0)));
}

/** Target of a relative transfer: next EIP plus the sign-extended displacement, cut to the operand size. */
function relativeTarget(b: Builder, i: Instruction, displacement: Operand): Node {
  const target = b.add(b.nextEip(), b.signExtend(displacement.width, b.read(displacement)));
  return b.truncate(i.width, target);
}

export const jmpRelative: Semantics = (b, i) => {
  const target = relativeTarget(b, i, i.operands[0]);
  checkTarget(b, i, target);
  b.jump(target);
};

export const jmpIndirect: Semantics = (b, i) => {
  const target = b.read(i.operands[0]);
  checkTarget(b, i, target);
  b.jump(target);
};

export const jcc: Semantics = (b, i) => {
  b.if(b.condition(i.parameter), () => {
    const target = relativeTarget(b, i, i.operands[0]);
    checkTarget(b, i, target);
    b.jump(target);
  });
};

export const callRelative: Semantics = (b, i) => {
  callTo(b, i, relativeTarget(b, i, i.operands[0]));
};

export const callIndirect: Semantics = (b, i) => {
  callTo(b, i, b.read(i.operands[0]));
};

/** The stack is checked before the target. */
function callTo(b: Builder, i: Instruction, target: Node): void {
  const size = i.width / 8;
  if (!i.isFlat) {
    const offset = b.and(b.sub(b.gpr(ESP), b.i32(size)), stackMask(b, i));
    b.probeWrite(stackLinear(b, i, offset, size, true), size);
    checkTarget(b, i, target);
  }
  push(b, i, size, b.nextEip());
  b.jump(target);
}

export const ret: Semantics = (b, i) => {
  const target = peek(b, i, i.width / 8);
  checkTarget(b, i, target);
  const extra = i.operands.length > 0 ? b.read(i.operands[0]) : b.i32(0);
  drop(b, i, b.add(extra, b.i32(i.width / 8)));
  b.jump(target);
};

/** LOOP, LOOPE, LOOPNE (`parameter` 0, 1, 2) count in CX or ECX by address size. */
export const loop: Semantics = (b, i) => {
  const counter: Operand = { kind: "fixed", width: i.addressWidth, index: 1 };
  const count = b.truncate(i.addressWidth, b.sub(b.read(counter), b.i32(1)));
  const taken =
    i.parameter === 0 ? b.nez(count) : b.and(b.nez(count), i.parameter === 1 ? b.zf() : b.xor(b.zf(), b.i32(1)));
  const target = relativeTarget(b, i, i.operands[0]);
  if (!i.isFlat) b.if(taken, () => checkTarget(b, i, target));
  b.write(counter, count);
  b.if(taken, () => b.jump(target));
};

export const jcxz: Semantics = (b, i) => {
  b.if(b.eqz(b.read({ kind: "fixed", width: i.addressWidth, index: 1 })), () => {
    const target = relativeTarget(b, i, i.operands[0]);
    checkTarget(b, i, target);
    b.jump(target);
  });
};
