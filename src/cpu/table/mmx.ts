/**
 * Opcode rows of MMX and of the MMX-register forms that came with SSE and SSE2, and the packed integer instructions that
 * exist for MMX and XMM registers alike: those are written once, and stand for both.
 */
import * as integer from "../semantics/vector-integer.ts";
import * as move from "../semantics/vector-move.ts";
import * as shuffle from "../semantics/vector-shuffle.ts";
import { type Row, type RowOptions, row, type Semantics } from "./row.ts";

const mmx: RowOptions = { unit: "mmx" };
const sse: RowOptions = { unit: "sse" };

const hex = (value: number): string => value.toString(16).toUpperCase().padStart(2, "0");

/** XMM forms that string functions of C libraries live on. */
const hot = new Set(["pcmpeqb", "pxor", "pminub", "por"]);

/** Opcode, mnemonic, semantics of P,Q / V,W pairs. */
const pairs: readonly [number, string, Semantics][] = [
  [0x63, "packsswb", shuffle.packsswb],
  [0x64, "pcmpgtb", integer.pcmpgtb],
  [0x65, "pcmpgtw", integer.pcmpgtw],
  [0x66, "pcmpgtd", integer.pcmpgtd],
  [0x67, "packuswb", shuffle.packuswb],
  [0x68, "punpckhbw", shuffle.punpckhbw],
  [0x69, "punpckhwd", shuffle.punpckhwd],
  [0x6a, "punpckhdq", shuffle.punpckhdq],
  [0x6b, "packssdw", shuffle.packssdw],
  [0x74, "pcmpeqb", integer.pcmpeqb],
  [0x75, "pcmpeqw", integer.pcmpeqw],
  [0x76, "pcmpeqd", integer.pcmpeqd],
  [0xd1, "psrlw", integer.psrlw],
  [0xd2, "psrld", integer.psrld],
  [0xd3, "psrlq", integer.psrlq],
  [0xd4, "paddq", integer.paddq],
  [0xd5, "pmullw", integer.pmullw],
  [0xd8, "psubusb", integer.psubusb],
  [0xd9, "psubusw", integer.psubusw],
  [0xda, "pminub", integer.pminub],
  [0xdb, "pand", integer.and],
  [0xdc, "paddusb", integer.paddusb],
  [0xdd, "paddusw", integer.paddusw],
  [0xde, "pmaxub", integer.pmaxub],
  [0xdf, "pandn", integer.andn],
  [0xe0, "pavgb", integer.pavgb],
  [0xe1, "psraw", integer.psraw],
  [0xe2, "psrad", integer.psrad],
  [0xe3, "pavgw", integer.pavgw],
  [0xe4, "pmulhuw", integer.pmulhuw],
  [0xe5, "pmulhw", integer.pmulhw],
  [0xe8, "psubsb", integer.psubsb],
  [0xe9, "psubsw", integer.psubsw],
  [0xea, "pminsw", integer.pminsw],
  [0xeb, "por", integer.or],
  [0xec, "paddsb", integer.paddsb],
  [0xed, "paddsw", integer.paddsw],
  [0xee, "pmaxsw", integer.pmaxsw],
  [0xef, "pxor", integer.xor],
  [0xf1, "psllw", integer.psllw],
  [0xf2, "pslld", integer.pslld],
  [0xf3, "psllq", integer.psllq],
  [0xf4, "pmuludq", integer.pmuludq],
  [0xf5, "pmaddwd", integer.pmaddwd],
  [0xf6, "psadbw", integer.psadbw],
  [0xf8, "psubb", integer.psubb],
  [0xf9, "psubw", integer.psubw],
  [0xfa, "psubd", integer.psubd],
  [0xfb, "psubq", integer.psubq],
  [0xfc, "paddb", integer.paddb],
  [0xfd, "paddw", integer.paddw],
  [0xfe, "paddd", integer.paddd],
];

/** Shift groups: opcode, modrm.reg, mnemonic, semantics. */
const immediateShifts: readonly [number, number, string, Semantics][] = [
  [0x71, 2, "psrlw", integer.psrlw],
  [0x71, 4, "psraw", integer.psraw],
  [0x71, 6, "psllw", integer.psllw],
  [0x72, 2, "psrld", integer.psrld],
  [0x72, 4, "psrad", integer.psrad],
  [0x72, 6, "pslld", integer.pslld],
  [0x73, 2, "psrlq", integer.psrlq],
  [0x73, 6, "psllq", integer.psllq],
];

export const mmxRows: readonly Row[] = [
  ...pairs.flatMap(([opcode, name, semantics]) => [
    row(`NP 0F ${hex(opcode)}`, name, "Pq Qq", semantics, mmx),
    row(`66 0F ${hex(opcode)}`, name, "Vx Wx", semantics, hot.has(name) ? { ...sse, hot: true } : sse),
  ]),
  ...immediateShifts.flatMap(([opcode, extension, name, semantics]) => [
    row(`NP 0F ${hex(opcode)} /${extension} r`, name, "Nq Ib", semantics, mmx),
    row(`66 0F ${hex(opcode)} /${extension} r`, name, "Ux Ib", semantics, sse),
  ]),
  // The low interleavings read only half of an MMX memory operand.
  ...[
    [0x60, "punpcklbw", shuffle.punpcklbw] as const,
    [0x61, "punpcklwd", shuffle.punpcklwd] as const,
    [0x62, "punpckldq", shuffle.punpckldq] as const,
  ].flatMap(([opcode, name, semantics]) => [
    row(`NP 0F ${hex(opcode)}`, name, "Pq Qd", semantics, mmx),
    row(`66 0F ${hex(opcode)}`, name, "Vx Wx", semantics, sse),
  ]),

  row("NP 0F 6E", "movd", "Pq Ed", move.moveLow, mmx, 32),
  row("NP 0F 7E", "movd", "Ed Pq", move.moveLow, { ...mmx, writes: true }, 32),
  row("NP 0F 6F", "movq", "Pq Qq", move.moveLow, mmx, 64),
  row("NP 0F 7F", "movq", "Qq Pq", move.moveLow, { ...mmx, writes: true }, 64),
  row("NP 0F E7 m", "movntq", "Mq Pq", move.moveLow, { ...mmx, writes: true }, 64),
  row("NP 0F 77", "emms", "", move.emms, mmx),
  row("NP 0F 70", "pshufw", "Pq Qq Ib", shuffle.pshuflw, mmx),
  row("NP 0F C4", "pinsrw", "Pq Ew Ib", shuffle.pinsrw, mmx),
  row("NP 0F C5 r", "pextrw", "Gd Nq Ib", shuffle.pextrw, mmx),
  row("NP 0F D7 r", "pmovmskb", "Gd Nq", integer.pmovmskb, mmx),
  row("NP 0F F7 r", "maskmovq", "Pq Nq", move.maskedMove, {
    ...mmx,
    usesFlat: true,
    usesAddressWidth: true,
    usesSegment: true,
  }),
];
