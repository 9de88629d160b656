/**
 * FNSTENV, FLDENV, FNSAVE, FRSTOR in their four formats (SDM volume 1, figures 8-9 to 8-12): operand size 16 or 32,
 * protected mode or real and V86 mode.
 */
import type { Instruction } from "../decode/operand.ts";
import type { Builder } from "../ir/builder.ts";
import { I32, type Node } from "../ir/node.ts";
import * as L from "../layout.ts";
import type { Semantics } from "../table/row.ts";
import { fninit, statusWord, updateSummary } from "./x87-control.ts";
import { physical, readRegister, writeRegister } from "./x87-stack.ts";

const isProtected = (b: Builder): Node =>
  b.eq(b.and(b.state(L.MODE), b.i32(L.MODE_PROTECTED | L.MODE_V86)), b.i32(L.MODE_PROTECTED));

const environmentBytes = (i: Instruction): number => (i.width === 16 ? 14 : 28);

/** The seven words or doublewords of the environment. */
function environment(b: Builder, i: Instruction): Node[] {
  const is16 = i.width === 16;
  const ones = (value: Node) => (is16 ? value : b.or(value, b.i32(0xffff_0000)));
  const head = [ones(b.state(L.FPU_CONTROL)), ones(statusWord(b)), ones(b.call("x87-tag-word", I32, []))];
  const ip = b.state(L.FPU_IP);
  const dp = b.state(L.FPU_DP);
  const cs = b.state(L.FPU_CS);
  const ds = b.state(L.FPU_DS);
  const opcode = b.and(b.state(L.FPU_OPCODE), b.i32(0x7ff));
  const realIp = b.add(ip, b.shl(cs, b.i32(4)));
  const realDp = b.add(dp, b.shl(ds, b.i32(4)));
  const choose = (inProtected: Node, inReal: Node) => b.select(isProtected(b), inProtected, inReal);
  const low = (value: Node) => b.and(value, b.i32(0xffff));
  // Bits 16 and up of a linear address, from bit 12 on.
  const high = (value: Node) => b.and(b.shrU(value, b.i32(4)), b.i32(is16 ? 0xf000 : 0x0fff_f000));
  if (is16) {
    return [
      ...head,
      choose(ip, realIp),
      choose(cs, b.or(high(realIp), opcode)),
      choose(dp, realDp),
      choose(ds, high(realDp)),
    ];
  }
  return [
    ...head,
    choose(ip, b.or(low(realIp), b.i32(0xffff_0000))),
    choose(b.or(low(cs), b.shl(opcode, b.i32(16))), b.or(high(realIp), opcode)),
    choose(dp, b.or(low(realDp), b.i32(0xffff_0000))),
    choose(ones(ds), high(realDp)),
  ];
}

/** Checks that all of the area can be accessed, as the host does: its first element, then its last byte (at most two pages). */
function probe(b: Builder, i: Instruction, linear: Node, bytes: number, isWrite: boolean): void {
  b.load(linear, i.width / 8, isWrite);
  b.load(b.add(linear, b.i32(bytes - 1)), 1, isWrite);
}

function storeEnvironment(b: Builder, i: Instruction, linear: Node): void {
  const size = i.width / 8;
  for (const [n, value] of environment(b, i).entries()) b.storeAgain(b.add(linear, b.i32(n * size)), size, value);
}

export const fnstenv: Semantics = (b, i) => {
  const bytes = environmentBytes(i);
  const linear = b.address(bytes, true);
  probe(b, i, linear, bytes, true);
  storeEnvironment(b, i, linear);
  const control = b.or(b.state(L.FPU_CONTROL), b.i32(0x3f));
  b.setState(L.FPU_CONTROL, control);
  updateSummary(b, b.state(L.FPU_STATUS), control);
};

function loadEnvironment(b: Builder, i: Instruction, linear: Node): () => void {
  const size = i.width / 8;
  const is16 = i.width === 16;
  const words = Array.from({ length: 7 }, (_, n) => b.load(b.add(linear, b.i32(n * size)), size));
  const low = (value: Node) => b.and(value, b.i32(0xffff));
  return () => {
    const [control, status, tags, ip, cs, dp, ds] = words;
    const newControl = b.or(b.and(control, b.i32(0x1f7f)), b.i32(0x40));
    b.setState(L.FPU_CONTROL, newControl);
    b.setState(L.FPU_TOP, b.and(b.shrU(status, b.i32(11)), b.i32(7)));
    updateSummary(b, b.and(status, b.i32(0x477f)), newControl);
    // Both bits of a pair set: empty. The even bits that remain move together.
    let used = b.and(b.not(b.and(tags, b.shrU(tags, b.i32(1)))), b.i32(0x5555));
    used = b.and(b.or(used, b.shrU(used, b.i32(1))), b.i32(0x3333));
    used = b.and(b.or(used, b.shrU(used, b.i32(2))), b.i32(0x0f0f));
    used = b.and(b.or(used, b.shrU(used, b.i32(4))), b.i32(0xff));
    b.setState(L.FPU_TAGS, used);
    const inProtected = isProtected(b);
    // Real formats hold linear addresses: kept as offsets of selector 0.
    const high = (value: Node) => b.shl(b.and(value, b.i32(is16 ? 0xf000 : 0x0fff_f000)), b.i32(4));
    const offset = (value: Node, upper: Node) => b.select(inProtected, value, b.or(low(value), high(upper)));
    const selector = (value: Node) => b.select(inProtected, low(value), b.i32(0));
    b.setState(L.FPU_IP, offset(ip, cs));
    b.setState(L.FPU_CS, selector(cs));
    b.setState(L.FPU_DP, offset(dp, ds));
    b.setState(L.FPU_DS, selector(ds));
    const opcode = is16 ? b.select(inProtected, b.i32(0), cs) : b.select(inProtected, b.shrU(cs, b.i32(16)), cs);
    b.setState(L.FPU_OPCODE, b.and(opcode, b.i32(0x7ff)));
  };
}

export const fldenv: Semantics = (b, i) => {
  const bytes = environmentBytes(i);
  const linear = b.address(bytes, false);
  probe(b, i, linear, bytes, false);
  loadEnvironment(b, i, linear)();
};

export const fnsave: Semantics = (b, i) => {
  const head = environmentBytes(i);
  const linear = b.address(head + 80, true);
  probe(b, i, linear, head + 80, true);
  storeEnvironment(b, i, linear);
  for (let n = 0; n < 8; n++) {
    const { m, se } = readRegister(b, physical(b, n));
    b.storeAgain(b.add(linear, b.i32(head + n * 10)), 8, m);
    b.storeAgain(b.add(linear, b.i32(head + n * 10 + 8)), 2, se);
  }
  fninit(b, i);
};

export const frstor: Semantics = (b, i) => {
  const head = environmentBytes(i);
  const linear = b.address(head + 80, false);
  probe(b, i, linear, head + 80, false);
  const commit = loadEnvironment(b, i, linear);
  const values = Array.from({ length: 8 }, (_, n) => ({
    m: b.load(b.add(linear, b.i32(head + n * 10)), 8),
    se: b.load(b.add(linear, b.i32(head + n * 10 + 8)), 2),
  }));
  commit();
  for (const [n, value] of values.entries()) writeRegister(b, physical(b, n), value);
};
