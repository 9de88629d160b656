/** Which flags general-purpose instructions read and write, for sequences in which no undefined flag is looked at. */
import type { Row } from "../../../src/cpu/table/row.ts";
import { flag, undefinedFlags, undefinedFlagsOf } from "./undefined-flags.ts";

const ALL = flag.cf | flag.pf | flag.af | flag.zf | flag.sf | flag.of;
/** By the upper three bits of the condition code. */
const CONDITIONS = [
  flag.of,
  flag.cf,
  flag.zf,
  flag.cf | flag.zf,
  flag.sf,
  flag.pf,
  flag.sf | flag.of,
  flag.sf | flag.of | flag.zf,
];

const reads: { readonly [mnemonic: string]: number } = {
  adc: flag.cf,
  sbb: flag.cf,
  rcl: flag.cf,
  rcr: flag.cf,
  cmc: flag.cf,
  salc: flag.cf,
  daa: flag.cf | flag.af,
  das: flag.cf | flag.af,
  aaa: flag.af,
  aas: flag.af,
  lahf: ALL & ~flag.of,
  pushf: ALL,
};

const writes: { readonly [mnemonic: string]: number } = {
  inc: ALL & ~flag.cf,
  dec: ALL & ~flag.cf,
  clc: flag.cf,
  stc: flag.cf,
  cmc: flag.cf,
  sahf: ALL & ~flag.of,
  bt: ALL & ~flag.zf,
  bts: ALL & ~flag.zf,
  btr: ALL & ~flag.zf,
  btc: ALL & ~flag.zf,
  ...Object.fromEntries(["add", "adc", "sub", "sbb", "cmp", "neg", "xadd", "cmpxchg"].map((name) => [name, ALL])),
  ...Object.fromEntries(["and", "or", "xor", "test", "mul", "imul", "bsf", "bsr"].map((name) => [name, ALL])),
  ...Object.fromEntries(["daa", "das", "aaa", "aas", "aam", "aad", "div", "idiv"].map((name) => [name, ALL])),
};

export function flagsRead(row: Row): number {
  if (/^(set|cmov|j)/.test(row.mnemonic) && row.operands[0] !== "Ev") return CONDITIONS[row.parameter >> 1];
  return reads[row.mnemonic] ?? 0;
}

/** The undefined flags behind an instruction, from those before it. `count`: -1 if only the state tells. */
export function undefinedBehind(row: Row, before: number, count: number, width: number): number {
  const isShift = typeof undefinedFlags[row.mnemonic] === "function";
  if (!isShift) return (before & ~(writes[row.mnemonic] ?? 0)) | undefinedFlagsOf(row.mnemonic, 0, width);
  // Any count: nothing is sure to be written.
  if (count < 0) return before | undefinedFlagsOf(row.mnemonic, 31, width) | flag.of | flag.cf;
  return before | undefinedFlagsOf(row.mnemonic, count, width);
}
