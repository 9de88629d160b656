/** Opcode rows of the general-purpose instructions (SDM volume 2, appendix A, tables ). */
import * as alu from "../semantics/alu.ts";
import * as decimal from "../semantics/decimal.ts";
import * as move from "../semantics/move.ts";
import * as multiply from "../semantics/multiply.ts";
import * as shift from "../semantics/shift.ts";
import * as stack from "../semantics/stack.ts";
import * as string from "../semantics/string.ts";
import type { RowOptions, Semantics } from "./row.ts";
import { type Row, row } from "./row.ts";

const hex = (value: number): string => value.toString(16).toUpperCase().padStart(2, "0");

const conditionNames = ["o", "no", "b", "nb", "z", "nz", "be", "nbe", "s", "ns", "p", "np", "l", "nl", "le", "nle"];

function aluRows(): Row[] {
  const kinds: [string, Semantics, boolean][] = [
    ["add", alu.add, true],
    ["or", alu.or, true],
    ["adc", alu.adc, true],
    ["sbb", alu.sbb, true],
    ["and", alu.and, true],
    ["sub", alu.sub, true],
    ["xor", alu.xor, true],
    ["cmp", alu.cmp, false],
  ];
  return kinds.flatMap(([name, semantics, writes], n) => {
    const memory: RowOptions = { lock: writes, writes, hot: true };
    const byte: RowOptions = { lock: writes, writes };
    const base = n * 8;
    return [
      row(hex(base), name, "Eb Gb", semantics, { ...byte, hot: true }),
      row(hex(base + 1), name, "Ev Gv", semantics, memory),
      row(hex(base + 2), name, "Gb Eb", semantics, { hot: true }),
      row(hex(base + 3), name, "Gv Ev", semantics, { hot: true }),
      row(hex(base + 4), name, "AL Ib", semantics, { hot: true }),
      row(hex(base + 5), name, "eAX Iv", semantics, { hot: true }),
      row(`80 /${n}`, name, "Eb Ib", semantics, { ...byte, hot: true }),
      row(`81 /${n}`, name, "Ev Iv", semantics, memory),
      row(`82 /${n}`, name, "Eb Ib", semantics, byte),
      row(`83 /${n}`, name, "Ev Isb", semantics, memory),
    ];
  });
}

function shiftRows(): Row[] {
  const kinds: [string, Semantics][] = [
    ["rol", shift.rol],
    ["ror", shift.ror],
    ["rcl", shift.rcl],
    ["rcr", shift.rcr],
    ["shl", shift.shl],
    ["shr", shift.shr],
    ["sal", shift.shl],
    ["sar", shift.sar],
  ];
  return kinds.flatMap(([name, semantics], n) => {
    const hot = n === 4 || n === 5 || n === 7;
    return [
      row(`C0 /${n}`, name, "Eb Ib", semantics, { writes: true }),
      row(`C1 /${n}`, name, "Ev Ib", semantics, { writes: true, hot }),
      row(`D0 /${n}`, name, "Eb 1", semantics, { writes: true }),
      row(`D1 /${n}`, name, "Ev 1", semantics, { writes: true, hot }),
      row(`D2 /${n}`, name, "Eb CL", semantics, { writes: true }),
      row(`D3 /${n}`, name, "Ev CL", semantics, { writes: true, hot }),
    ];
  });
}

function conditionRows(): Row[] {
  return conditionNames.flatMap((name, code) => [
    row(
      hex(0x70 + code),
      `j${name}`,
      "Jb",
      stack.jcc,
      { branches: true, usesWidth: true, usesFlat: true, hot: true },
      code,
    ),
    row(`0F ${hex(0x80 + code)}`, `j${name}`, "Jv", stack.jcc, { branches: true, usesFlat: true, hot: true }, code),
    row(`0F ${hex(0x90 + code)}`, `set${name}`, "Eb", move.setcc, { writes: true }, code),
    row(`0F ${hex(0x40 + code)}`, `cmov${name}`, "Gv Ev", move.cmovcc, {}, code),
  ]);
}

const jumps: RowOptions = { ends: true, usesFlat: true };
const stackUse: RowOptions = { usesFlat: true };
const strings: RowOptions = { usesFlat: true, usesAddressWidth: true };

export const integerRows: readonly Row[] = [
  ...aluRows(),
  ...shiftRows(),
  ...conditionRows(),

  row("40 +r", "inc", "Zv", alu.inc, { hot: true }),
  row("48 +r", "dec", "Zv", alu.dec, { hot: true }),
  row("FE /0", "inc", "Eb", alu.inc, { lock: true, writes: true }),
  row("FE /1", "dec", "Eb", alu.dec, { lock: true, writes: true }),
  row("FF /0", "inc", "Ev", alu.inc, { lock: true, writes: true }),
  row("FF /1", "dec", "Ev", alu.dec, { lock: true, writes: true }),
  row("F6 /2", "not", "Eb", alu.not, { lock: true, writes: true }),
  row("F7 /2", "not", "Ev", alu.not, { lock: true, writes: true }),
  row("F6 /3", "neg", "Eb", alu.neg, { lock: true, writes: true }),
  row("F7 /3", "neg", "Ev", alu.neg, { lock: true, writes: true }),
  row("84", "test", "Eb Gb", alu.test, { hot: true }),
  row("85", "test", "Ev Gv", alu.test, { hot: true }),
  row("A8", "test", "AL Ib", alu.test, { hot: true }),
  row("A9", "test", "eAX Iv", alu.test),
  row("F6 /0", "test", "Eb Ib", alu.test, { hot: true }),
  row("F6 /1", "test", "Eb Ib", alu.test),
  row("F7 /0", "test", "Ev Iv", alu.test, { hot: true }),
  row("F7 /1", "test", "Ev Iv", alu.test),
  row("0F C0", "xadd", "Eb Gb", alu.xadd, { lock: true, writes: true }),
  row("0F C1", "xadd", "Ev Gv", alu.xadd, { lock: true, writes: true }),
  row("0F B0", "cmpxchg", "Eb Gb", alu.cmpxchg, { lock: true, writes: true }),
  row("0F B1", "cmpxchg", "Ev Gv", alu.cmpxchg, { lock: true, writes: true }),
  row("0F C7 /1 m", "cmpxchg8b", "Mq", alu.cmpxchg8b, { lock: true, writes: true }),
  row("86", "xchg", "Eb Gb", alu.xchg, { lock: true, writes: true }),
  row("87", "xchg", "Ev Gv", alu.xchg, { lock: true, writes: true }),
  row("90 +r", "xchg", "eAX Zv", alu.xchg),

  row("F6 /4", "mul", "Eb", multiply.mul),
  row("F7 /4", "mul", "Ev", multiply.mul),
  row("F6 /5", "imul", "Eb", multiply.imul),
  row("F7 /5", "imul", "Ev", multiply.imul),
  row("F6 /6", "div", "Eb", multiply.div),
  row("F7 /6", "div", "Ev", multiply.div),
  row("F6 /7", "idiv", "Eb", multiply.idiv),
  row("F7 /7", "idiv", "Ev", multiply.idiv),
  row("0F AF", "imul", "Gv Ev", multiply.imulTruncating, { hot: true }),
  row("69", "imul", "Gv Ev Iv", multiply.imulTruncating),
  row("6B", "imul", "Gv Ev Isb", multiply.imulTruncating),
  row("D4", "aam", "Ib", multiply.aam),
  row("D5", "aad", "Ib", multiply.aad),
  row("27", "daa", "", decimal.daa),
  row("2F", "das", "", decimal.das),
  row("37", "aaa", "", decimal.aaa),
  row("3F", "aas", "", decimal.aas),

  row("0F A4", "shld", "Ev Gv Ib", shift.shld, { writes: true }),
  row("0F A5", "shld", "Ev Gv CL", shift.shld, { writes: true }),
  row("0F AC", "shrd", "Ev Gv Ib", shift.shrd, { writes: true }),
  row("0F AD", "shrd", "Ev Gv CL", shift.shrd, { writes: true }),
  ...[0, 1, 2, 3].flatMap((kind) => {
    const name = ["bt", "bts", "btr", "btc"][kind];
    const isWriting = kind !== 0;
    return [
      row(
        `0F ${hex(0xa3 + kind * 8)}`,
        name,
        "Ebv Gv",
        shift.bitTest,
        { lock: isWriting, usesFlat: true, usesAddressWidth: true },
        kind,
      ),
      row(`0F BA /${4 + kind}`, name, "Ev Ib", shift.bitTest, { lock: isWriting, writes: isWriting }, kind),
    ];
  }),
  row("0F BC", "bsf", "Gv Ev", shift.bsf),
  row("0F BD", "bsr", "Gv Ev", shift.bsr),
  row("0F C8 +r", "bswap", "Zv", shift.bswap, { usesWidth: true }),

  row("88", "mov", "Eb Gb", move.mov, { writes: true, hot: true }),
  row("89", "mov", "Ev Gv", move.mov, { writes: true, hot: true }),
  row("8A", "mov", "Gb Eb", move.mov, { hot: true }),
  row("8B", "mov", "Gv Ev", move.mov, { hot: true }),
  row("8C", "mov", "EwS Sw", move.movFromSegment, { writes: true, usesWidth: true }),
  row("A0", "mov", "AL Ob", move.mov, { hot: true }),
  row("A1", "mov", "eAX Ov", move.mov, { hot: true }),
  row("A2", "mov", "Ob AL", move.mov, { writes: true }),
  row("A3", "mov", "Ov eAX", move.mov, { writes: true, hot: true }),
  row("B0 +r", "mov", "Zb Ib", move.mov, { hot: true }),
  row("B8 +r", "mov", "Zv Iv", move.mov, { hot: true }),
  row("C6 /0", "mov", "Eb Ib", move.mov, { writes: true, hot: true }),
  row("C7 /0", "mov", "Ev Iv", move.mov, { writes: true, hot: true }),
  row("0F B6", "movzx", "Gv Eb", move.movzx, { hot: true }),
  row("0F B7", "movzx", "Gv Ew", move.movzx, { hot: true }),
  row("0F BE", "movsx", "Gv Eb", move.movsx, { hot: true }),
  row("0F BF", "movsx", "Gv Ew", move.movsx, { hot: true }),
  row("NP 0F C3 m", "movnti", "Md Gd", move.movnti, { writes: true }),
  row("8D m", "lea", "Gv M0", move.lea, { hot: true }),
  row("D7", "xlat", "", move.xlat, strings),
  row("98", "cbw", "", move.cbw, { usesWidth: true }),
  row("99", "cwd", "", move.cwd, { usesWidth: true }),
  row("62 m", "bound", "Gv Ma", move.bound, { addressOnly: true, usesFlat: true, usesAddressWidth: true }),
  row("9F", "lahf", "", move.lahf),
  row("9E", "sahf", "", move.sahf),
  row("F8", "clc", "", move.clc),
  row("F9", "stc", "", move.stc),
  row("F5", "cmc", "", move.cmc),
  row("FC", "cld", "", move.cld, { inRegions: true }),
  row("FD", "std", "", move.std, { inRegions: true }),
  row("D6", "salc", "", move.salc),
  row("90", "nop", "", move.nop),
  row("F3 90", "pause", "", move.nop),
  row("0F 1F", "nop", "E0", move.nop),
  row("0F 18", "prefetch", "E0", move.nop),
  row("0F 19", "nop", "E0", move.nop),
  row("0F 1A", "nop", "E0", move.nop),
  row("0F 1B", "nop", "E0", move.nop),
  row("0F 1C", "nop", "E0", move.nop),
  row("0F 1D", "nop", "E0", move.nop),
  row("0F 1E", "nop", "E0", move.nop),
  row("0F 0D", "prefetchw", "E0", move.nop),

  row("50 +r", "push", "Zv", stack.pushOperand, { ...stackUse, hot: true }),
  row("58 +r", "pop", "Zv", stack.popRegister, { ...stackUse, hot: true }),
  row("68", "push", "Iv", stack.pushOperand, { ...stackUse, hot: true }),
  row("6A", "push", "Isb", stack.pushOperand, { ...stackUse, usesWidth: true, hot: true }),
  row("FF /6", "push", "Ev", stack.pushOperand, stackUse),
  row("8F /0", "pop", "Ev", stack.popOperand, { ...stackUse, addressOnly: true }),
  row("06", "push", "ES", stack.pushSegment, { ...stackUse, usesWidth: true }),
  row("0E", "push", "CS", stack.pushSegment, { ...stackUse, usesWidth: true }),
  row("16", "push", "SS", stack.pushSegment, { ...stackUse, usesWidth: true }),
  row("1E", "push", "DS", stack.pushSegment, { ...stackUse, usesWidth: true }),
  row("0F A0", "push", "FS", stack.pushSegment, { ...stackUse, usesWidth: true }),
  row("0F A8", "push", "GS", stack.pushSegment, { ...stackUse, usesWidth: true }),
  row("60", "pusha", "", stack.pusha, { ...stackUse, usesWidth: true }),
  row("61", "popa", "", stack.popa, { ...stackUse, usesWidth: true }),
  row("C8", "enter", "Iw I2b", stack.enter, { ...stackUse, usesWidth: true }),
  row("C9", "leave", "", stack.leave, { ...stackUse, usesWidth: true, hot: true }),

  row("E8", "call", "Jv", stack.callRelative, { ...jumps, hot: true }),
  row("FF /2", "call", "Ev", stack.callIndirect, jumps),
  row("C3", "ret", "", stack.ret, { ...jumps, usesWidth: true, hot: true }),
  row("C2", "ret", "Iw", stack.ret, { ...jumps, usesWidth: true }),
  row("E9", "jmp", "Jv", stack.jmpRelative, { ...jumps, hot: true }),
  row("EB", "jmp", "Jb", stack.jmpRelative, { ...jumps, usesWidth: true, hot: true }),
  row("FF /4", "jmp", "Ev", stack.jmpIndirect, { ...jumps, hot: true }),
  ...[0, 1, 2].map((kind) =>
    row(
      hex(0xe2 - kind),
      ["loop", "loope", "loopne"][kind],
      "Jb",
      stack.loop,
      { branches: true, usesWidth: true, usesAddressWidth: true, usesFlat: true },
      kind,
    ),
  ),
  row("E3", "jcxz", "Jb", stack.jcxz, { branches: true, usesWidth: true, usesAddressWidth: true, usesFlat: true }),

  row("A4", "movsb", "cb", string.movs, { ...strings, repeat: 1 }),
  row("A5", "movs", "cv", string.movs, { ...strings, repeat: 1 }),
  row("A6", "cmpsb", "cb", string.cmps, { ...strings, repeat: 2 }),
  row("A7", "cmps", "cv", string.cmps, { ...strings, repeat: 2 }),
  row("AA", "stosb", "cb", string.stos, { ...strings, repeat: 1 }),
  row("AB", "stos", "cv", string.stos, { ...strings, repeat: 1 }),
  row("AC", "lodsb", "cb", string.lods, { ...strings, repeat: 1 }),
  row("AD", "lods", "cv", string.lods, { ...strings, repeat: 1 }),
  row("AE", "scasb", "cb", string.scas, { ...strings, repeat: 2 }),
  row("AF", "scas", "cv", string.scas, { ...strings, repeat: 2 }),
  row("6C", "insb", "cb", string.ins, { ...strings, repeat: 1, ends: true }),
  row("6D", "ins", "cv", string.ins, { ...strings, repeat: 1, ends: true }),
  row("6E", "outsb", "cb", string.outs, { ...strings, repeat: 1, ends: true }),
  row("6F", "outs", "cv", string.outs, { ...strings, repeat: 1, ends: true }),
];
