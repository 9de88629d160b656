/** Opcode rows of system instructions, far transfers, segment registers and port I/O. */
import * as L from "../layout.ts";
import * as system from "../semantics/system.ts";
import { type Row, type RowOptions, row } from "./row.ts";

const ends: RowOptions = { ends: true };
const width: RowOptions = { usesWidth: true };
/** The operand's parts are checked one after the other, or only once the privilege is known. */
const checked: RowOptions = { addressOnly: true, usesFlat: true };
const parts: RowOptions = { ...checked, usesAddressWidth: true };

export const systemRows: readonly Row[] = [
  row("9C", "pushf", "", system.pushf, { ...width, usesFlat: true }),
  row("9D", "popf", "", system.popf, { ...width, usesFlat: true, inRegions: true }),
  row("FA", "cli", "", system.cli, { inRegions: true }),
  row("FB", "sti", "", system.sti, { inRegions: true }),
  row("F4", "hlt", "", system.hlt, ends),
  row("CC", "int3", "", system.int, ends, 3),
  row("CD", "int", "Ib", system.int, ends, -1),
  row("F1", "int1", "", system.int, ends, 1),
  row("CE", "into", "", system.into, { branches: true }),
  row("CF", "iret", "", system.iret, { ...width, ...ends }),

  row("EA", "jmpf", "Iv I2w", system.jmpFarDirect, ends),
  row("9A", "callf", "Iv I2w", system.callFarDirect, ends),
  row("FF /5 m", "jmpf", "Mp", system.jmpFarIndirect, { ...parts, ...width, ...ends }),
  row("FF /3 m", "callf", "Mp", system.callFarIndirect, { ...parts, ...width, ...ends }),
  row("CB", "retf", "", system.retf, { ...width, ...ends }),
  row("CA", "retf", "Iw", system.retf, { ...width, ...ends }),
  row("C4 m", "les", "Gv Mp", system.loadFarPointer, { ...parts, ...ends }, L.SEG_ES),
  row("C5 m", "lds", "Gv Mp", system.loadFarPointer, { ...parts, ...ends }, L.SEG_DS),
  row("0F B2 m", "lss", "Gv Mp", system.loadFarPointer, { ...parts, ...ends }, L.SEG_SS),
  row("0F B4 m", "lfs", "Gv Mp", system.loadFarPointer, { ...parts, ...ends }, L.SEG_FS),
  row("0F B5 m", "lgs", "Gv Mp", system.loadFarPointer, { ...parts, ...ends }, L.SEG_GS),

  row("8E", "mov", "Sw Ew", system.movToSegment, { usesFlat: true, inRegions: true }),
  row("07", "pop", "ES", system.popSegment, { ...width, usesFlat: true, inRegions: true }),
  row("17", "pop", "SS", system.popSegment, { ...width, ...ends }),
  row("1F", "pop", "DS", system.popSegment, { ...width, usesFlat: true, inRegions: true }),
  row("0F A1", "pop", "FS", system.popSegment, { ...width, usesFlat: true, inRegions: true }),
  row("0F A9", "pop", "GS", system.popSegment, { ...width, usesFlat: true, inRegions: true }),
  row("63", "arpl", "Ew Gw", system.arpl, { ...checked, protectedOnly: true }),
  row("0F 02", "lar", "Gv Ew", system.larLsl, { protectedOnly: true }, 0),
  row("0F 03", "lsl", "Gv Ew", system.larLsl, { protectedOnly: true }, 1),
  row(
    "0F 00 /0",
    "sldt",
    "EwS",
    system.storeSystemSegment,
    { writes: true, usesWidth: true, protectedOnly: true },
    L.SEG_LDTR,
  ),
  row(
    "0F 00 /1",
    "str",
    "EwS",
    system.storeSystemSegment,
    { writes: true, usesWidth: true, protectedOnly: true },
    L.SEG_TR,
  ),
  row("0F 00 /2", "lldt", "Ew", system.lldt, { ...checked, protectedOnly: true }),
  row("0F 00 /3", "ltr", "Ew", system.ltr, { ...checked, protectedOnly: true }),
  row("0F 00 /4", "verr", "Ew", system.verify, { protectedOnly: true }, 0),
  row("0F 00 /5", "verw", "Ew", system.verify, { protectedOnly: true }, 1),

  row("0F 01 /0 m", "sgdt", "Ms", system.storeTable, { writes: true }, 0),
  row("0F 01 /1 m", "sidt", "Ms", system.storeTable, { writes: true }, 1),
  row("0F 01 /2 m", "lgdt", "Ms", system.loadTable, { ...parts, ...width }, 0),
  row("0F 01 /3 m", "lidt", "Ms", system.loadTable, { ...parts, ...width }, 1),
  row("0F 01 /4", "smsw", "EwS", system.smsw, { writes: true, usesWidth: true }),
  row("0F 01 /6", "lmsw", "Ew", system.lmsw, { ...checked, ...ends }),
  row("0F 01 /7 m", "invlpg", "M0", system.invlpg, { ...ends, usesFlat: true }),
  row("0F 06", "clts", "", system.clts, ends),
  row("0F 08", "invd", "", system.cacheControl),
  row("0F 09", "wbinvd", "", system.cacheControl),
  row("0F 20", "mov", "Rd Cd", system.movFromControl),
  row("0F 22", "mov", "Cd Rd", system.movToControl, ends),
  row("0F 21", "mov", "Rd Dd", system.movFromDebug),
  row("0F 23", "mov", "Dd Rd", system.movToDebug, ends),
  row("0F 30", "wrmsr", "", system.wrmsr, ends),
  row("0F 31", "rdtsc", "", system.rdtsc),
  row("0F 33", "rdpmc", "", system.rdpmc, ends),
  row("0F 32", "rdmsr", "", system.rdmsr),
  row("0F 34", "sysenter", "", system.sysenter, ends),
  row("0F 35", "sysexit", "", system.sysexit, ends),
  row("0F A2", "cpuid", "", system.cpuid),
  row("0F 0B", "ud2", "", system.undefinedOpcode, ends),
  row("0F B9", "ud1", "E0", system.undefinedOpcode, ends),
  row("0F FF", "ud0", "E0", system.undefinedOpcode, ends),

  row("E4", "in", "AL Ib", system.in_, ends),
  row("E5", "in", "eAX Ib", system.in_, ends),
  row("EC", "in", "AL DX", system.in_, ends),
  row("ED", "in", "eAX DX", system.in_, ends),
  row("E6", "out", "Ib AL", system.out, ends),
  row("E7", "out", "Ib eAX", system.out, ends),
  row("EE", "out", "DX AL", system.out, ends),
  row("EF", "out", "DX eAX", system.out, ends),
];
