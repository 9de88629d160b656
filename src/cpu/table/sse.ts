/** Opcode rows of SSE and SSE2 with XMM registers, beside the packed integer pairs of mmx.ts. SSE3 and later stay undefined. */
import * as fxsave from "../semantics/fxsave.ts";
import { nop } from "../semantics/move.ts";
import * as arithmetic from "../semantics/sse-arithmetic.ts";
import * as compare from "../semantics/sse-compare.ts";
import * as convert from "../semantics/sse-convert.ts";
import * as integer from "../semantics/vector-integer.ts";
import * as move from "../semantics/vector-move.ts";
import * as shuffle from "../semantics/vector-shuffle.ts";
import { type Row, type RowOptions, row, type Semantics } from "./row.ts";

const sse: RowOptions = { unit: "sse" };
const writes: RowOptions = { unit: "sse", writes: true };
/** What C libraries' string functions and compilers' scalar code are made of. */
const hotSse: RowOptions = { ...sse, hot: true };
const hotWrites: RowOptions = { ...writes, hot: true };
/** Instructions with both an XMM and an MMX register. */
const both: RowOptions = { unit: "mmx-sse" };

const moves: readonly Row[] = [
  row("NP 0F 10", "movups", "Vx Wx", move.moveUnaligned, hotSse),
  row("NP 0F 11", "movups", "Wx Vx", move.moveUnaligned, hotWrites),
  row("66 0F 10", "movupd", "Vx Wx", move.moveUnaligned, sse),
  row("66 0F 11", "movupd", "Wx Vx", move.moveUnaligned, writes),
  row("F3 0F 10", "movss", "Vx Wd", move.moveScalar, hotSse, 32),
  row("F3 0F 11", "movss", "Wd Vx", move.moveScalar, hotWrites, 32),
  row("F2 0F 10", "movsd", "Vx Wq", move.moveScalar, hotSse, 64),
  row("F2 0F 11", "movsd", "Wq Vx", move.moveScalar, hotWrites, 64),
  row("NP 0F 12 m", "movlps", "Vx Mq", move.moveLowHalf, sse),
  row("NP 0F 12 r", "movhlps", "Vx Ux", move.movhlps, sse),
  row("66 0F 12 m", "movlpd", "Vx Mq", move.moveLowHalf, sse),
  row("NP 0F 13 m", "movlps", "Mq Vx", move.moveLowHalf, writes),
  row("66 0F 13 m", "movlpd", "Mq Vx", move.moveLowHalf, writes),
  row("NP 0F 16 m", "movhps", "Vx Mq", move.moveHighHalf, sse),
  row("NP 0F 16 r", "movlhps", "Vx Ux", move.movlhps, sse),
  row("66 0F 16 m", "movhpd", "Vx Mq", move.moveHighHalf, sse),
  row("NP 0F 17 m", "movhps", "Mq Vx", move.moveHighHalf, writes),
  row("66 0F 17 m", "movhpd", "Mq Vx", move.moveHighHalf, writes),
  row("NP 0F 28", "movaps", "Vx Wx", move.moveAligned, hotSse),
  row("NP 0F 29", "movaps", "Wx Vx", move.moveAligned, hotWrites),
  row("66 0F 28", "movapd", "Vx Wx", move.moveAligned, sse),
  row("66 0F 29", "movapd", "Wx Vx", move.moveAligned, writes),
  row("NP 0F 2B m", "movntps", "Mx Vx", move.moveAligned, writes),
  row("66 0F 2B m", "movntpd", "Mx Vx", move.moveAligned, writes),
  row("66 0F E7 m", "movntdq", "Mx Vx", move.moveAligned, writes),
  row("66 0F 6F", "movdqa", "Vx Wx", move.moveAligned, hotSse),
  row("66 0F 7F", "movdqa", "Wx Vx", move.moveAligned, hotWrites),
  row("F3 0F 6F", "movdqu", "Vx Wx", move.moveUnaligned, hotSse),
  row("F3 0F 7F", "movdqu", "Wx Vx", move.moveUnaligned, hotWrites),
  row("66 0F 6E", "movd", "Vx Ed", move.moveLow, hotSse, 32),
  row("66 0F 7E", "movd", "Ed Vx", move.moveLow, hotWrites, 32),
  row("F3 0F 7E", "movq", "Vx Wq", move.moveLow, hotSse, 64),
  row("66 0F D6", "movq", "Wq Vx", move.moveLow, hotWrites, 64),
  row("F3 0F D6 r", "movq2dq", "Vx Nq", move.moveBetween, both),
  row("F2 0F D6 r", "movdq2q", "Pq Ux", move.moveBetween, both),
  row("66 0F F7 r", "maskmovdqu", "Vx Ux", move.maskedMove, {
    ...sse,
    usesFlat: true,
    usesAddressWidth: true,
    usesSegment: true,
  }),
  row("NP 0F 50 r", "movmskps", "Gd Ux", integer.movmskps, sse),
  row("66 0F 50 r", "movmskpd", "Gd Ux", integer.movmskpd, sse),
  row("66 0F D7 r", "pmovmskb", "Gd Ux", integer.pmovmskb, hotSse),
];

const shuffles: readonly Row[] = [
  row("NP 0F 14", "unpcklps", "Vx Wx", shuffle.punpckldq, sse),
  row("66 0F 14", "unpcklpd", "Vx Wx", shuffle.punpcklqdq, sse),
  row("NP 0F 15", "unpckhps", "Vx Wx", shuffle.punpckhdq, sse),
  row("66 0F 15", "unpckhpd", "Vx Wx", shuffle.punpckhqdq, sse),
  row("66 0F 6C", "punpcklqdq", "Vx Wx", shuffle.punpcklqdq, sse),
  row("66 0F 6D", "punpckhqdq", "Vx Wx", shuffle.punpckhqdq, sse),
  row("66 0F 70", "pshufd", "Vx Wx Ib", shuffle.pshufd, sse),
  row("F3 0F 70", "pshufhw", "Vx Wx Ib", shuffle.pshufhw, sse),
  row("F2 0F 70", "pshuflw", "Vx Wx Ib", shuffle.pshuflw, sse),
  row("NP 0F C6", "shufps", "Vx Wx Ib", shuffle.shufps, sse),
  row("66 0F C6", "shufpd", "Vx Wx Ib", shuffle.shufpd, sse),
  row("66 0F C4", "pinsrw", "Vx Ew Ib", shuffle.pinsrw, sse),
  row("66 0F C5 r", "pextrw", "Gd Ux Ib", shuffle.pextrw, sse),
  row("66 0F 73 /3 r", "psrldq", "Ux Ib", integer.psrldq, sse),
  row("66 0F 73 /7 r", "pslldq", "Ux Ib", integer.pslldq, sse),
];

const logic: readonly Row[] = [
  row("NP 0F 54", "andps", "Vx Wx", integer.and, sse),
  row("66 0F 54", "andpd", "Vx Wx", integer.and, sse),
  row("NP 0F 55", "andnps", "Vx Wx", integer.andn, sse),
  row("66 0F 55", "andnpd", "Vx Wx", integer.andn, sse),
  row("NP 0F 56", "orps", "Vx Wx", integer.or, sse),
  row("66 0F 56", "orpd", "Vx Wx", integer.or, sse),
  row("NP 0F 57", "xorps", "Vx Wx", integer.xor, sse),
  row("66 0F 57", "xorpd", "Vx Wx", integer.xor, sse),
];

const hex = (value: number): string => value.toString(16).toUpperCase().padStart(2, "0");

/** The four forms of an operation: packed single, packed double, scalar single, scalar double. */
function four(
  opcode: number,
  name: string,
  semantics: { ps: Semantics; pd: Semantics; ss: Semantics; sd: Semantics },
): Row[] {
  return [
    row(`NP 0F ${hex(opcode)}`, `${name}ps`, "Vx Wx", semantics.ps, sse),
    row(`66 0F ${hex(opcode)}`, `${name}pd`, "Vx Wx", semantics.pd, sse),
    row(`F3 0F ${hex(opcode)}`, `${name}ss`, "Vx Wd", semantics.ss, sse),
    row(`F2 0F ${hex(opcode)}`, `${name}sd`, "Vx Wq", semantics.sd, sse),
  ];
}

const arithmeticRows: readonly Row[] = [
  ...four(0x51, "sqrt", arithmetic.sqrt),
  row("NP 0F 52", "rsqrtps", "Vx Wx", arithmetic.rsqrtps, sse),
  row("F3 0F 52", "rsqrtss", "Vx Wd", arithmetic.rsqrtss, sse),
  row("NP 0F 53", "rcpps", "Vx Wx", arithmetic.rcpps, sse),
  row("F3 0F 53", "rcpss", "Vx Wd", arithmetic.rcpss, sse),
  ...four(0x58, "add", arithmetic.add),
  ...four(0x59, "mul", arithmetic.mul),
  ...four(0x5c, "sub", arithmetic.sub),
  ...four(0x5d, "min", arithmetic.min),
  ...four(0x5e, "div", arithmetic.div),
  ...four(0x5f, "max", arithmetic.max),
];

const compareRows: readonly Row[] = [
  row("NP 0F C2", "cmpps", "Vx Wx Ib", compare.cmpps, sse),
  row("66 0F C2", "cmppd", "Vx Wx Ib", compare.cmppd, sse),
  row("F3 0F C2", "cmpss", "Vx Wd Ib", compare.cmpss, sse),
  row("F2 0F C2", "cmpsd", "Vx Wq Ib", compare.cmpsd, sse),
  row("NP 0F 2E", "ucomiss", "Vx Wd", compare.ucomiss, sse),
  row("66 0F 2E", "ucomisd", "Vx Wq", compare.ucomisd, sse),
  row("NP 0F 2F", "comiss", "Vx Wd", compare.comiss, sse),
  row("66 0F 2F", "comisd", "Vx Wq", compare.comisd, sse),
];

const conversions: readonly Row[] = [
  row("NP 0F 2A r", "cvtpi2ps", "Vx Nq", convert.cvtpi2ps, both),
  row("NP 0F 2A m", "cvtpi2ps", "Vx Mq", convert.cvtpi2ps, sse),
  row("66 0F 2A r", "cvtpi2pd", "Vx Nq", convert.cvtpi2pd, both),
  // From memory no MMX register takes part.
  row("66 0F 2A m", "cvtpi2pd", "Vx Mq", convert.cvtpi2pd, sse),
  row("F3 0F 2A", "cvtsi2ss", "Vx Ed", convert.cvtsi2ss, sse),
  row("F2 0F 2A", "cvtsi2sd", "Vx Ed", convert.cvtsi2sd, sse),
  row("NP 0F 2C", "cvttps2pi", "Pq Wq", convert.cvttps2pi, both),
  row("66 0F 2C", "cvttpd2pi", "Pq Wx", convert.cvttpd2pi, both),
  row("F3 0F 2C", "cvttss2si", "Gd Wd", convert.cvttss2si, sse),
  row("F2 0F 2C", "cvttsd2si", "Gd Wq", convert.cvttsd2si, sse),
  row("NP 0F 2D", "cvtps2pi", "Pq Wq", convert.cvtps2pi, both),
  row("66 0F 2D", "cvtpd2pi", "Pq Wx", convert.cvtpd2pi, both),
  row("F3 0F 2D", "cvtss2si", "Gd Wd", convert.cvtss2si, sse),
  row("F2 0F 2D", "cvtsd2si", "Gd Wq", convert.cvtsd2si, sse),
  row("NP 0F 5A", "cvtps2pd", "Vx Wq", convert.cvtps2pd, sse),
  row("66 0F 5A", "cvtpd2ps", "Vx Wx", convert.cvtpd2ps, sse),
  row("F3 0F 5A", "cvtss2sd", "Vx Wd", convert.cvtss2sd, sse),
  row("F2 0F 5A", "cvtsd2ss", "Vx Wq", convert.cvtsd2ss, sse),
  row("NP 0F 5B", "cvtdq2ps", "Vx Wx", convert.cvtdq2ps, sse),
  row("66 0F 5B", "cvtps2dq", "Vx Wx", convert.cvtps2dq, sse),
  row("F3 0F 5B", "cvttps2dq", "Vx Wx", convert.cvttps2dq, sse),
  row("F3 0F E6", "cvtdq2pd", "Vx Wq", convert.cvtdq2pd, sse),
  row("F2 0F E6", "cvtpd2dq", "Vx Wx", convert.cvtpd2dq, sse),
  row("66 0F E6", "cvttpd2dq", "Vx Wx", convert.cvttpd2dq, sse),
];

const control: readonly Row[] = [
  row("NP 0F AE /0 m", "fxsave", "M512", fxsave.fxsave, { unit: "fxsave", writes: true }),
  row("NP 0F AE /1 m", "fxrstor", "M512", fxsave.fxrstor, { unit: "fxsave" }),
  row("NP 0F AE /2 m", "ldmxcsr", "Md", fxsave.ldmxcsr, sse),
  row("NP 0F AE /3 m", "stmxcsr", "Md", fxsave.stmxcsr, writes),
  row("NP 0F AE /7 m", "clflush", "Mb", move.clflush),
  row("NP 0F AE /5 r", "lfence", "", nop),
  row("NP 0F AE /6 r", "mfence", "", nop),
  row("NP 0F AE /7 r", "sfence", "", nop),
];

export const sseRows: readonly Row[] = [
  ...moves,
  ...shuffles,
  ...logic,
  ...arithmeticRows,
  ...compareRows,
  ...conversions,
  ...control,
];
