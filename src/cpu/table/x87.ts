/** Opcode rows of the x87 escape opcodes D8–DF (SDM volume 2, appendix A, tables ), with the undocumented aliases. */

import { transcendental as kind } from "../fpu/transcendental.ts";
import { condition } from "../ir/builder.ts";
import * as arithmetic from "../semantics/x87-arithmetic.ts";
import * as environment from "../semantics/x87-environment.ts";
import * as move from "../semantics/x87-move.ts";
import * as transcendental from "../semantics/x87-transcendental.ts";
import { type Row, type RowOptions, row, type Semantics } from "./row.ts";

const wait: RowOptions = { unit: "x87" };
const writes: RowOptions = { unit: "x87", writes: true };
const environmentWaiting: RowOptions = { unit: "x87", usesWidth: true };
const environmentStore: RowOptions = { unit: "x87-control", usesWidth: true, writes: true };

const { POPS_ONE, POPS_TWO, IS_QUIET } = arithmetic;
const POP = 1;

/** The eight operations of modrm.reg: arithmetic, with the two comparisons at 2 and 3. */
function operations(
  opcode: string,
  form: "m" | "r",
  operand: string,
  prefix: string,
  operation: Semantics,
  compare: Semantics | undefined,
): Row[] {
  return ["add", "mul", "com", "comp", "sub", "subr", "div", "divr"].flatMap((name, n) => {
    if (n === 2 || n === 3)
      return compare
        ? [row(`${opcode} /${n} ${form}`, prefix + name, operand, compare, wait, n === 3 ? POPS_ONE : 0)]
        : [];
    return [row(`${opcode} /${n} ${form}`, prefix + name, operand, operation, wait, n)];
  });
}

const constants = ["fld1", "fldl2t", "fldl2e", "fldpi", "fldlg2", "fldln2", "fldz"];

export const x87Rows: readonly Row[] = [
  ...operations("D8", "m", "Md", "f", arithmetic.arithmeticReal, arithmetic.fcomReal),
  ...operations("DC", "m", "Mq", "f", arithmetic.arithmeticReal, arithmetic.fcomReal),
  ...operations("DA", "m", "Md", "fi", arithmetic.arithmeticInteger, arithmetic.ficom),
  ...operations("DE", "m", "Mw", "fi", arithmetic.arithmeticInteger, arithmetic.ficom),
  ...operations("D8", "r", "Ft", "f", arithmetic.arithmeticTop, arithmetic.fcom),
  // To ST(i): the modrm numbers name the operation ST(0) op ST(i), so "subtract" here is what assemblers write as FSUBR.
  ...operations("DC", "r", "Ft", "f", arithmetic.arithmeticRegister, arithmetic.fcom),
  ...operations("DE", "r", "Ft", "fp", arithmetic.arithmeticPop, undefined),
  row("DE /2 r", "fcomp", "Ft", arithmetic.fcom, wait, POPS_ONE),
  row("DE =D9", "fcompp", "", arithmetic.fcom, wait, POPS_TWO),

  row("D9 /0 m", "fld", "Md", move.fld, wait),
  row("DD /0 m", "fld", "Mq", move.fld, wait),
  row("DB /5 m", "fld", "Mt", move.fldExtended, wait),
  row("DF /4 m", "fbld", "Mt", move.fbld, wait),
  row("D9 /0 r", "fld", "Ft", move.fldRegister, wait),
  row("DF /0 m", "fild", "Mw", move.fild, wait),
  row("DB /0 m", "fild", "Md", move.fild, wait),
  row("DF /5 m", "fild", "Mq", move.fild, wait),
  ...constants.map((name, n) =>
    row(`D9 =${(0xe8 + n).toString(16).toUpperCase()}`, name, "", move.fldConstant, wait, n),
  ),

  row("D9 /2 m", "fst", "Md", move.fst, writes),
  row("D9 /3 m", "fstp", "Md", move.fst, writes, POP),
  row("DD /2 m", "fst", "Mq", move.fst, writes),
  row("DD /3 m", "fstp", "Mq", move.fst, writes, POP),
  row("DB /7 m", "fstp", "Mt", move.fstpExtended, writes),
  row("DF /6 m", "fbstp", "Mt", move.fbstp, writes),
  row("DF /2 m", "fist", "Mw", move.fist, writes),
  row("DF /3 m", "fistp", "Mw", move.fist, writes, POP),
  row("DB /2 m", "fist", "Md", move.fist, writes),
  row("DB /3 m", "fistp", "Md", move.fist, writes, POP),
  row("DF /7 m", "fistp", "Mq", move.fist, writes, POP),
  row("DD /2 r", "fst", "Ft", move.fstRegister, wait),
  row("DD /3 r", "fstp", "Ft", move.fstRegister, wait, POP),
  row("D9 /3 r", "fstpnce", "Ft", move.fstpNoException, wait),
  row("DF /2 r", "fstp", "Ft", move.fstRegister, wait, POP),
  row("DF /3 r", "fstp", "Ft", move.fstRegister, wait, POP),
  row("D9 /1 r", "fxch", "Ft", move.fxch, wait),
  row("DD /1 r", "fxch", "Ft", move.fxch, wait),
  row("DF /1 r", "fxch", "Ft", move.fxch, wait),

  row("D9 =E0", "fchs", "", arithmetic.fchs, wait),
  row("D9 =E1", "fabs", "", arithmetic.fabs, wait),
  row("D9 =E4", "ftst", "", arithmetic.ftst, wait),
  row("D9 =E5", "fxam", "", arithmetic.fxam, wait),
  row("D9 =F4", "fxtract", "", arithmetic.fxtract, wait),
  row("D9 =F5", "fprem1", "", arithmetic.fprem, wait, 1),
  row("D9 =F8", "fprem", "", arithmetic.fprem, wait, 0),
  row("D9 =FA", "fsqrt", "", arithmetic.fsqrt, wait),
  row("D9 =FC", "frndint", "", arithmetic.frndint, wait),
  row("D9 =FD", "fscale", "", arithmetic.fscale, wait),

  row("D9 =F0", "f2xm1", "", transcendental.f2xm1, wait, kind.f2xm1),
  row("D9 =F1", "fyl2x", "", transcendental.fyl2x, wait, kind.fyl2x),
  row("D9 =F2", "fptan", "", transcendental.pushingAngle, wait, kind.fptan),
  row("D9 =F3", "fpatan", "", transcendental.fpatan, wait, kind.fpatan),
  row("D9 =F9", "fyl2xp1", "", transcendental.fyl2xp1, wait, kind.fyl2xp1),
  row("D9 =FB", "fsincos", "", transcendental.pushingAngle, wait, kind.fsincos),
  row("D9 =FE", "fsin", "", transcendental.sine, wait, kind.fsin),
  row("D9 =FF", "fcos", "", transcendental.sine, wait, kind.fcos),

  row("DD /4 r", "fucom", "Ft", arithmetic.fcom, wait, IS_QUIET),
  row("DD /5 r", "fucomp", "Ft", arithmetic.fcom, wait, IS_QUIET | POPS_ONE),
  row("DA =E9", "fucompp", "", arithmetic.fcom, wait, IS_QUIET | POPS_TWO),
  row("DB /6 r", "fcomi", "Ft", arithmetic.fcomi, wait),
  row("DB /5 r", "fucomi", "Ft", arithmetic.fcomi, wait, IS_QUIET),
  row("DF /6 r", "fcomip", "Ft", arithmetic.fcomi, wait, POPS_ONE),
  row("DF /5 r", "fucomip", "Ft", arithmetic.fcomi, wait, IS_QUIET | POPS_ONE),

  row("DA /0 r", "fcmovb", "Ft", move.fcmov, wait, condition.b),
  row("DA /1 r", "fcmove", "Ft", move.fcmov, wait, condition.z),
  row("DA /2 r", "fcmovbe", "Ft", move.fcmov, wait, condition.be),
  row("DA /3 r", "fcmovu", "Ft", move.fcmov, wait, condition.p),
  row("DB /0 r", "fcmovnb", "Ft", move.fcmov, wait, condition.nb),
  row("DB /1 r", "fcmovne", "Ft", move.fcmov, wait, condition.nz),
  row("DB /2 r", "fcmovnbe", "Ft", move.fcmov, wait, condition.nbe),
  row("DB /3 r", "fcmovnu", "Ft", move.fcmov, wait, condition.np),

  row("DD /0 r", "ffree", "Ft", move.ffree, wait),
  row("DF /0 r", "ffreep", "Ft", move.ffree, wait, POP),
  row("D9 =F6", "fdecstp", "", move.moveTop, wait, -1),
  row("D9 =F7", "fincstp", "", move.moveTop, wait, 1),
  row("D9 =D0", "fnop", "", move.fnop, wait),

  row("D9 /4 m", "fldenv", "Me", environment.fldenv, environmentWaiting),
  row("D9 /6 m", "fnstenv", "Me", environment.fnstenv, environmentStore),
  row("DD /4 m", "frstor", "Mf", environment.frstor, environmentWaiting),
  row("DD /6 m", "fnsave", "Mf", environment.fnsave, environmentStore),
];
