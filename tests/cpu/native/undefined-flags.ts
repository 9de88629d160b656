/**
 * Which flags an instruction leaves undefined: Intel SDM volume 1, appendix A (EFLAGS cross-reference), and the "Flags
 * affected" paragraph of each instruction in volume 2, given with every entry. The oracle compares all others.
 */
export const flag = { cf: 0x001, pf: 0x004, af: 0x010, zf: 0x040, sf: 0x080, of: 0x800 } as const;
const ALL = flag.cf | flag.pf | flag.af | flag.zf | flag.sf | flag.of;

/** `count`: shift count masked to five bits, where there is one; `width`: of the destination. */
type Rule = number | ((count: number, width: number) => number);

/** SAL/SAR/SHL/SHR: AF undefined for counts other than 0; OF for counts other than 1; CF of SHL and SHR from the operand size up. */
const shift =
  (isArithmeticRight: boolean): Rule =>
  (count, width) =>
    count === 0 ? 0 : flag.af | (count === 1 ? 0 : flag.of) | (!isArithmeticRight && count >= width ? flag.cf : 0);
/** RCL/RCR/ROL/ROR: "the OF flag is defined only for the 1-bit rotates". */
const rotate: Rule = (count) => (count <= 1 ? 0 : flag.of);
/** SHLD, SHRD: AF undefined; OF for counts above 1; everything if the count exceeds the operand size. */
const doubleShift: Rule = (count, width) =>
  count === 0 ? 0 : count > width ? ALL : flag.af | (count === 1 ? 0 : flag.of);

export const undefinedFlags: { readonly [mnemonic: string]: Rule } = {
  // "The OF, SF, ZF, and PF flags are undefined."
  aaa: flag.of | flag.sf | flag.zf | flag.pf,
  aas: flag.of | flag.sf | flag.zf | flag.pf,
  // "The OF, AF, and CF flags are undefined."
  aad: flag.of | flag.af | flag.cf,
  aam: flag.of | flag.af | flag.cf,
  // "The OF flag is undefined."
  daa: flag.of,
  das: flag.of,
  // "The state of the AF flag is undefined."
  and: flag.af,
  or: flag.af,
  xor: flag.af,
  test: flag.af,
  // "CF, OF, SF, AF, and PF flags are undefined."
  bsf: ALL & ~flag.zf,
  bsr: ALL & ~flag.zf,
  // "The ZF flag is unaffected. The OF, SF, AF, and PF flags are undefined."
  bt: flag.of | flag.sf | flag.af | flag.pf,
  bts: flag.of | flag.sf | flag.af | flag.pf,
  btr: flag.of | flag.sf | flag.af | flag.pf,
  btc: flag.of | flag.sf | flag.af | flag.pf,
  // "The CF, OF, SF, ZF, AF, and PF flags are undefined."
  div: ALL,
  idiv: ALL,
  // "The SF, ZF, AF, and PF flags are undefined."
  mul: flag.sf | flag.zf | flag.af | flag.pf,
  imul: flag.sf | flag.zf | flag.af | flag.pf,
  shl: shift(false),
  sal: shift(false),
  shr: shift(false),
  sar: shift(true),
  rol: rotate,
  ror: rotate,
  rcl: rotate,
  rcr: rotate,
  shld: doubleShift,
  shrd: doubleShift,
};

export function undefinedFlagsOf(mnemonic: string, count: number, width: number): number {
  const rule = undefinedFlags[mnemonic] ?? 0;
  return typeof rule === "number" ? rule : rule(count, width);
}
