/** Opcode rows of the x87 escape opcodes D8–DF (SDM volume 2, appendix A, tables ), with the undocumented aliases. */

import { transcendental as kind } from "../fpu/transcendental.ts";
import { condition } from "../ir/builder.ts";
import * as x87 from "../semantics/x87.ts";
import * as environment from "../semantics/x87-environment.ts";
import * as transcendental from "../semantics/x87-transcendental.ts";
import { type Row, type RowOptions, row, type Semantics } from "./row.ts";

const wait: RowOptions = { unit: "x87" };
const writes: RowOptions = { unit: "x87", writes: true };
const environmentWaiting: RowOptions = { unit: "x87", usesWidth: true };
const environmentStore: RowOptions = { unit: "x87-control", usesWidth: true, writes: true };

const { POPS_ONE, POPS_TWO, IS_QUIET } = x87;
const POP = 1;

/** The eight operations of modrm.reg: arithmetic, with the two comparisons at 2 and 3. */
function operations(
  opcode: string,
  form: "m" | "r",
  operand: string,
  prefix: string,
  arithmetic: Semantics,
  compare: Semantics | undefined,
): Row[] {
  return ["add", "mul", "com", "comp", "sub", "subr", "div", "divr"].flatMap((name, n) => {
    if (n === 2 || n === 3)
      return compare
        ? [row(`${opcode} /${n} ${form}`, prefix + name, operand, compare, wait, n === 3 ? POPS_ONE : 0)]
        : [];
    return [row(`${opcode} /${n} ${form}`, prefix + name, operand, arithmetic, wait, n)];
  });
}

const constants = ["fld1", "fldl2t", "fldl2e", "fldpi", "fldlg2", "fldln2", "fldz"];

export const x87Rows: readonly Row[] = [
  ...operations("D8", "m", "Md", "f", x87.arithmeticReal, x87.fcomReal),
  ...operations("DC", "m", "Mq", "f", x87.arithmeticReal, x87.fcomReal),
  ...operations("DA", "m", "Md", "fi", x87.arithmeticInteger, x87.ficom),
  ...operations("DE", "m", "Mw", "fi", x87.arithmeticInteger, x87.ficom),
  ...operations("D8", "r", "Ft", "f", x87.arithmeticTop, x87.fcom),
  // To ST(i): the modrm numbers name the operation ST(0) op ST(i), so "subtract" here is what assemblers write as FSUBR.
  ...operations("DC", "r", "Ft", "f", x87.arithmeticRegister, x87.fcom),
  ...operations("DE", "r", "Ft", "fp", x87.arithmeticPop, undefined),
  row("DE /2 r", "fcomp", "Ft", x87.fcom, wait, POPS_ONE),
  row("DE =D9", "fcompp", "", x87.fcom, wait, POPS_TWO),

  row("D9 /0 m", "fld", "Md", x87.fld, wait),
  row("DD /0 m", "fld", "Mq", x87.fld, wait),
  row("DB /5 m", "fld", "Mt", x87.fldExtended, wait),
  row("DF /4 m", "fbld", "Mt", x87.fbld, wait),
  row("D9 /0 r", "fld", "Ft", x87.fldRegister, wait),
  row("DF /0 m", "fild", "Mw", x87.fild, wait),
  row("DB /0 m", "fild", "Md", x87.fild, wait),
  row("DF /5 m", "fild", "Mq", x87.fild, wait),
  ...constants.map((name, n) =>
    row(`D9 =${(0xe8 + n).toString(16).toUpperCase()}`, name, "", x87.fldConstant, wait, n),
  ),

  row("D9 /2 m", "fst", "Md", x87.fst, writes),
  row("D9 /3 m", "fstp", "Md", x87.fst, writes, POP),
  row("DD /2 m", "fst", "Mq", x87.fst, writes),
  row("DD /3 m", "fstp", "Mq", x87.fst, writes, POP),
  row("DB /7 m", "fstp", "Mt", x87.fstpExtended, writes),
  row("DF /6 m", "fbstp", "Mt", x87.fbstp, writes),
  row("DF /2 m", "fist", "Mw", x87.fist, writes),
  row("DF /3 m", "fistp", "Mw", x87.fist, writes, POP),
  row("DB /2 m", "fist", "Md", x87.fist, writes),
  row("DB /3 m", "fistp", "Md", x87.fist, writes, POP),
  row("DF /7 m", "fistp", "Mq", x87.fist, writes, POP),
  row("DD /2 r", "fst", "Ft", x87.fstRegister, wait),
  row("DD /3 r", "fstp", "Ft", x87.fstRegister, wait, POP),
  row("D9 /3 r", "fstpnce", "Ft", x87.fstpNoException, wait),
  row("DF /2 r", "fstp", "Ft", x87.fstRegister, wait, POP),
  row("DF /3 r", "fstp", "Ft", x87.fstRegister, wait, POP),
  row("D9 /1 r", "fxch", "Ft", x87.fxch, wait),
  row("DD /1 r", "fxch", "Ft", x87.fxch, wait),
  row("DF /1 r", "fxch", "Ft", x87.fxch, wait),

  row("D9 =E0", "fchs", "", x87.fchs, wait),
  row("D9 =E1", "fabs", "", x87.fabs, wait),
  row("D9 =E4", "ftst", "", x87.ftst, wait),
  row("D9 =E5", "fxam", "", x87.fxam, wait),
  row("D9 =F4", "fxtract", "", x87.fxtract, wait),
  row("D9 =F5", "fprem1", "", x87.fprem, wait, 1),
  row("D9 =F8", "fprem", "", x87.fprem, wait, 0),
  row("D9 =FA", "fsqrt", "", x87.fsqrt, wait),
  row("D9 =FC", "frndint", "", x87.frndint, wait),
  row("D9 =FD", "fscale", "", x87.fscale, wait),

  row("D9 =F0", "f2xm1", "", transcendental.f2xm1, wait, kind.f2xm1),
  row("D9 =F1", "fyl2x", "", transcendental.fyl2x, wait, kind.fyl2x),
  row("D9 =F2", "fptan", "", transcendental.pushingAngle, wait, kind.fptan),
  row("D9 =F3", "fpatan", "", transcendental.fpatan, wait, kind.fpatan),
  row("D9 =F9", "fyl2xp1", "", transcendental.fyl2xp1, wait, kind.fyl2xp1),
  row("D9 =FB", "fsincos", "", transcendental.pushingAngle, wait, kind.fsincos),
  row("D9 =FE", "fsin", "", transcendental.sine, wait, kind.fsin),
  row("D9 =FF", "fcos", "", transcendental.sine, wait, kind.fcos),

  row("DD /4 r", "fucom", "Ft", x87.fcom, wait, IS_QUIET),
  row("DD /5 r", "fucomp", "Ft", x87.fcom, wait, IS_QUIET | POPS_ONE),
  row("DA =E9", "fucompp", "", x87.fcom, wait, IS_QUIET | POPS_TWO),
  row("DB /6 r", "fcomi", "Ft", x87.fcomi, wait),
  row("DB /5 r", "fucomi", "Ft", x87.fcomi, wait, IS_QUIET),
  row("DF /6 r", "fcomip", "Ft", x87.fcomi, wait, POPS_ONE),
  row("DF /5 r", "fucomip", "Ft", x87.fcomi, wait, IS_QUIET | POPS_ONE),

  row("DA /0 r", "fcmovb", "Ft", x87.fcmov, wait, condition.b),
  row("DA /1 r", "fcmove", "Ft", x87.fcmov, wait, condition.z),
  row("DA /2 r", "fcmovbe", "Ft", x87.fcmov, wait, condition.be),
  row("DA /3 r", "fcmovu", "Ft", x87.fcmov, wait, condition.p),
  row("DB /0 r", "fcmovnb", "Ft", x87.fcmov, wait, condition.nb),
  row("DB /1 r", "fcmovne", "Ft", x87.fcmov, wait, condition.nz),
  row("DB /2 r", "fcmovnbe", "Ft", x87.fcmov, wait, condition.nbe),
  row("DB /3 r", "fcmovnu", "Ft", x87.fcmov, wait, condition.np),

  row("DD /0 r", "ffree", "Ft", x87.ffree, wait),
  row("DF /0 r", "ffreep", "Ft", x87.ffree, wait, POP),
  row("D9 =F6", "fdecstp", "", x87.moveTop, wait, -1),
  row("D9 =F7", "fincstp", "", x87.moveTop, wait, 1),
  row("D9 =D0", "fnop", "", x87.fnop, wait),

  row("D9 /4 m", "fldenv", "Me", environment.fldenv, environmentWaiting),
  row("D9 /6 m", "fnstenv", "Me", environment.fnstenv, environmentStore),
  row("DD /4 m", "frstor", "Mf", environment.frstor, environmentWaiting),
  row("DD /6 m", "fnsave", "Mf", environment.fnsave, environmentStore),
];
