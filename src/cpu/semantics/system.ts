/**
 * Instructions whose work is done by the engine's TypeScript (src/cpu/system): far transfers, interrupts, descriptor tables,
 * control and debug registers, MSRs, port I/O, flags with privilege rules. Here: which operands they read, what they hand over
 * and where results go. Names of helpers are the keys of `interpreter/helpers.ts`.
 */
import type { Instruction, Operand } from "../decode/operand.ts";
import type { Builder } from "../ir/builder.ts";
import type { Node } from "../ir/node.ts";
import * as L from "../layout.ts";
import type { Semantics } from "../table/row.ts";
import { drop, peek, push } from "./stack.ts";

// ---- flags and interrupts --------------------------------------------------------------------------------------

const EFLAGS_IF = 0x200;
const EFLAGS_DF = 0x400;
/** CF PF AF ZF SF OF. */
const EFLAGS_ARITHMETIC = 0x8d5;
/** RF and VM are pushed as zeros. */
const EFLAGS_RF_VM = 0x30000;

/** The whole register from its parts. */
function flagsImage(b: Builder): Node {
  const bits: [Node, number][] = [
    [b.pf(), 2],
    [b.af(), 4],
    [b.zf(), 6],
    [b.sf(), 7],
    [b.of(), 11],
  ];
  const system = b.and(b.state(L.EFLAGS_SYSTEM), b.i32(~EFLAGS_RF_VM));
  return bits.reduce((image, [bit, at]) => b.or(image, b.shl(bit, b.i32(at))), b.or(system, b.cf()));
}

/** PUSHF: V86 with IOPL < 3 faults, so there the engine makes the image first. */
export const pushf: Semantics = (b, i) => {
  const image = b.variable(b.i32(0));
  b.if(
    b.and(b.state(L.MODE), b.i32(L.MODE_V86)),
    () => {
      b.helper("flags-image", []);
      b.set(image, b.helperResult());
    },
    () => b.set(image, flagsImage(b)),
  );
  b.commit();
  push(b, i, i.width / 8, b.get(image));
};

/**
 * POPF: the engine applies privilege rules, changes modes and lets interrupts in. In ring 0 it mostly changes arithmetic flags, DF,
 * and IF with no interrupt waiting: that is done here.
 */
export const popf: Semantics = (b, i) => {
  const inEngine = () => b.helper("popf", [b.i32(i.width), b.nextEip()], true);
  if (i.width !== 32 || !i.isFlat) {
    inEngine();
    return;
  }
  b.if(b.nez(b.state(L.CPL)), inEngine);
  const image = peek(b, i, 4);
  const system = b.state(L.EFLAGS_SYSTEM);
  const changed = b.xor(image, system);
  const others = b.and(changed, b.i32(~(EFLAGS_ARITHMETIC | EFLAGS_IF | EFLAGS_DF)));
  const enables = b.and(b.and(changed, image), b.i32(EFLAGS_IF));
  b.if(b.or(b.nez(others), b.and(b.nez(enables), b.nez(b.state(L.INTERRUPT_LINE)))), inEngine);
  const mask = EFLAGS_IF | EFLAGS_DF;
  b.setState(L.EFLAGS_SYSTEM, b.or(b.and(system, b.i32(~mask)), b.and(image, b.i32(mask))));
  drop(b, i, b.i32(4));
  const bit = (at: number) => b.and(b.shrU(image, b.i32(at)), b.i32(1));
  b.flagsExplicit({ cf: bit(0), pf: bit(2), af: bit(4), zf: bit(6), sf: bit(7), of: bit(11) });
};

/** CLI: outside ring 0 the engine looks at IOPL. */
export const cli: Semantics = (b) => {
  b.if(b.nez(b.state(L.CPL)), () => b.helper("cli", [b.nextEip()], true));
  b.setState(L.EFLAGS_SYSTEM, b.and(b.state(L.EFLAGS_SYSTEM), b.i32(~EFLAGS_IF)));
};
/** STI in ring 0 with no interrupt waiting, and none that could come right behind it: nobody sees the shadow. */
export const sti: Semantics = (b) => {
  const system = b.state(L.EFLAGS_SYSTEM);
  const isVisible = b.or(b.nez(b.state(L.INTERRUPT_LINE)), b.eqz(b.hasBudget()));
  const inEngine = b.or(b.nez(b.state(L.CPL)), b.and(b.eqz(b.and(system, b.i32(EFLAGS_IF))), isVisible));
  b.if(inEngine, () => b.helper("sti", [b.nextEip()], true));
  b.setState(L.EFLAGS_SYSTEM, b.or(system, b.i32(EFLAGS_IF)));
};
export const hlt: Semantics = (b) => b.helper("hlt", [b.nextEip()], true);

/** INT n, INT3, INT1, INTO. `parameter`: −1 immediate, else the vector. */
export const int: Semantics = (b, i) => {
  const vector = i.parameter < 0 ? b.read(i.operands[0]) : b.i32(i.parameter);
  b.helper("int", [vector, b.nextEip(), b.i32(i.parameter)], true);
};

export const into: Semantics = (b) => {
  b.if(b.of(), () => b.helper("int", [b.i32(4), b.nextEip(), b.i32(4)], true));
};

export const iret: Semantics = (b, i) => b.helper("iret", [b.i32(i.width), b.nextEip()], true);

// ---- far transfers -----------------------------------------------------------------------------------------------

export const jmpFarDirect: Semantics = (b, i) => {
  b.helper("jmp-far", [b.read(i.operands[1]), b.read(i.operands[0]), b.i32(i.width), b.nextEip()], true);
};

export const callFarDirect: Semantics = (b, i) => {
  b.helper("call-far", [b.read(i.operands[1]), b.read(i.operands[0]), b.i32(i.width), b.nextEip()], true);
};

/** The effective address `bytes` behind another: it wraps at the address size. */
function behind(b: Builder, i: Instruction, ea: Node, bytes: number): Node {
  return b.truncate(i.addressWidth, b.add(ea, b.i32(bytes)));
}

/** Offset and selector of a far pointer in memory, each checked when it is read. */
function readFarPointer(b: Builder, i: Instruction): { offset: Node; selector: Node } {
  const size = i.width / 8;
  const ea = b.address(0, false);
  const offset = b.load(b.linear(-1, ea, size, false), size);
  const selector = b.load(b.linear(-1, behind(b, i, ea, size), 2, false), 2);
  return { offset, selector };
}

function farIndirect(name: string): Semantics {
  return (b, i) => {
    const { offset, selector } = readFarPointer(b, i);
    b.helper(name, [selector, offset, b.i32(i.width), b.nextEip()], true);
  };
}

export const jmpFarIndirect = farIndirect("jmp-far");
export const callFarIndirect = farIndirect("call-far");

export const retf: Semantics = (b, i) => {
  b.helper("retf", [b.i32(i.width), i.operands.length > 0 ? b.read(i.operands[0]) : b.i32(0)], true);
};

/** LES, LDS, LSS, LFS, LGS: segment number in `parameter`. LSS holds no interrupts off, unlike MOV SS and POP SS. */
export const loadFarPointer: Semantics = (b, i) => {
  const { offset, selector } = readFarPointer(b, i);
  b.helper("load-segment", [b.i32(i.parameter), selector]);
  b.write(i.operands[0], offset);
  b.helperAfterWrite("end", [b.nextEip()]);
};

// ---- segment registers -------------------------------------------------------------------------------------------

/** High dword of a descriptor: present, code or data, code, expand-down, accessed; and what an expand-up data segment in use has. */
const DESCRIPTOR_KIND = 0x9d00;
const DESCRIPTOR_DATA = 0x9100;
const DESCRIPTOR_WRITABLE = 0x200;
/** Of a data segment of 4 GiB at 0 that can be written: the low dword, and the bits of the high one that say so. */
const FLAT_LOW = 0xffff;
const FLAT_HIGH_BITS = 0xff8f02ff | 0;
const FLAT_HIGH = 0x008f0200;

/**
 * What kernels do all the time, in ring 0 of a flat system: DS or ES with a flat data segment, FS or GS with null or any
 * expand-up data segment, from the GDT and accessed before. Everything else is `inEngine`.
 */
function loadDataSegment(b: Builder, segment: Node, selector: Node, inEngine: () => void): void {
  const at4 = b.shl(segment, b.i32(2));
  const at8 = b.shl(segment, b.i32(3));
  const set = (base: Node, limit: Node, attributes: Node, read: Node, write: Node): void => {
    b.setHost(at4, 4, selector, L.SEG_SELECTOR);
    b.setHost(at8, 4, base, L.SEG_BASE);
    b.setHost(at4, 4, limit, L.SEG_LIMIT);
    b.setHost(at4, 4, attributes, L.SEG_ATTRIBUTES);
    b.setHost(at4, 4, read, L.SEG_FAST_READ);
    b.setHost(at4, 4, write, L.SEG_FAST_WRITE);
  };
  // The mode word knows what DS, ES and SS are.
  const isModal = b.ltU(segment, b.i32(L.SEG_FS));
  const elsewhere = b.or(
    b.or(b.nez(b.state(L.CPL)), b.eqz(b.and(b.state(L.MODE), b.i32(L.MODE_PROTECTED)))),
    b.leU(b.sub(segment, b.i32(L.SEG_CS)), b.i32(L.SEG_SS - L.SEG_CS)),
  );
  b.if(elsewhere, inEngine);
  b.if(
    b.eqz(b.and(selector, b.i32(0xfffc))),
    () => {
      b.if(isModal, inEngine);
      const zero = b.i32(0);
      set(zero, zero, zero, zero, zero);
    },
    () => {
      const offset = b.and(selector, b.i32(0xfff8));
      const linear = b.add(b.state(L.GDTR_BASE), offset);
      const isInPage = b.leU(b.and(linear, b.i32(4095)), b.i32(4096 - 8));
      // Where there is none, 0 is as good to read as any.
      const host = b.select(isInPage, b.hostAddress(linear, false), b.i32(0));
      const low = b.host(host, 4);
      const high = b.host(host, 4, 4);
      const isOutside = b.or(
        b.or(b.eqz(host), b.and(selector, b.i32(4))),
        b.gtU(b.add(offset, b.i32(7)), b.state(L.GDTR_LIMIT)),
      );
      const isOther = b.or(
        b.ne(b.and(high, b.i32(DESCRIPTOR_KIND)), b.i32(DESCRIPTOR_DATA)),
        b.gtU(b.and(selector, b.i32(3)), b.and(b.shrU(high, b.i32(13)), b.i32(3))),
      );
      const isFlat = b.and(b.eq(low, b.i32(FLAT_LOW)), b.eq(b.and(high, b.i32(FLAT_HIGH_BITS)), b.i32(FLAT_HIGH)));
      b.if(b.or(b.or(isOutside, isOther), b.and(isModal, b.eqz(isFlat))), inEngine);
      const base = b.or(
        b.or(b.shrU(low, b.i32(16)), b.shl(b.and(high, b.i32(0xff)), b.i32(16))),
        b.and(high, b.i32(0xff000000)),
      );
      const units = b.or(b.and(low, b.i32(0xffff)), b.and(high, b.i32(0xf0000)));
      const pages = b.or(b.shl(units, b.i32(12)), b.i32(0xfff));
      const limit = b.select(b.and(high, b.i32(0x800000)), pages, units);
      const attributes = b.or(b.and(b.shrU(high, b.i32(8)), b.i32(0xf0ff)), b.i32(L.ATTRIBUTE_USABLE));
      const short = b.select(b.ltU(limit, b.i32(15)), b.i32(0), b.sub(limit, b.i32(14)));
      const fast = b.select(b.eq(limit, b.i32(-1)), b.i32(-1), short);
      const isWritable = b.and(high, b.i32(DESCRIPTOR_WRITABLE));
      set(base, limit, attributes, fast, b.select(isWritable, fast, b.i32(0)));
    },
  );
}

export const movToSegment: Semantics = (b, i) => {
  const segment = b.segmentIndex(i.operands[0]);
  const selector = b.and(b.read(i.operands[1]), b.i32(0xffff));
  const inEngine = () => b.helper("mov-to-segment", [segment, selector, b.nextEip()], true);
  if (i.isFlat) loadDataSegment(b, segment, selector, inEngine);
  else inEngine();
};

export const popSegment: Semantics = (b, i) => {
  const segment = b.segmentIndex(i.operands[0]);
  const inEngine = () => b.helper("pop-segment", [segment, b.i32(i.width), b.nextEip()], true);
  if (!i.isFlat || i.width !== 32 || segment.imm === L.SEG_SS) {
    inEngine();
    return;
  }
  const selector = peek(b, i, 2);
  loadDataSegment(b, segment, selector, inEngine);
  drop(b, i, b.i32(4));
};

/** ARPL adjusts the RPL of the destination selector, which is written only if that changes it. */
export const arpl: Semantics = (b, i) => {
  const [destination] = i.operands;
  const isMemory = destination.kind === "memory";
  const ea = b.address(0, false);
  const x = isMemory ? b.load(b.linear(-1, ea, 2, false), 2) : b.read(destination);
  const y = b.read(i.operands[1]);
  const lower = b.ltU(b.and(x, b.i32(3)), b.and(y, b.i32(3)));
  b.if(lower, () => {
    const adjusted = b.or(b.and(x, b.i32(0xfffc)), b.and(y, b.i32(3)));
    if (isMemory) b.store(b.linear(-1, ea, 2, true), 2, adjusted);
    else b.write(destination, adjusted);
  });
  b.setZero(lower);
};

/** LAR, LSL (`parameter` 0, 1): the helper answers valid and value. */
export const larLsl: Semantics = (b, i) => {
  b.helper(i.parameter === 0 ? "lar" : "lsl", [b.and(b.read(i.operands[1]), b.i32(0xffff))]);
  const valid = b.helperResult(0);
  const value = b.helperResult(1);
  b.if(valid, () => b.write(i.operands[0], value));
  b.setZero(valid);
};

/** VERR, VERW (`parameter` 0, 1). */
export const verify: Semantics = (b, i) => {
  b.helper(i.parameter === 0 ? "verr" : "verw", [b.read(i.operands[0])]);
  b.setZero(b.helperResult(0));
};

// ---- descriptor tables and control registers -----------------------------------------------------------------------

/** SGDT, SIDT (`parameter` 0, 1): limit, then 32-bit base (also with a 16-bit operand size, as P6 stores it). */
export const storeTable: Semantics = (b, i) => {
  const linear = b.address(6, true);
  b.probeWrite(linear, 2);
  b.probeWrite(b.add(linear, b.i32(2)), 4);
  const base = i.parameter === 0 ? L.GDTR_BASE : L.IDTR_BASE;
  const limit = i.parameter === 0 ? L.GDTR_LIMIT : L.IDTR_LIMIT;
  b.store(linear, 2, b.state(limit));
  b.storeAgain(b.add(linear, b.i32(2)), 4, b.state(base));
};

/** The privilege is checked before the memory operand is looked at. */
function requireSupervisor(b: Builder): void {
  b.helper("check-cpl0", []);
  b.commit();
}

/** A word operand of a privileged instruction. */
function readPrivileged(b: Builder, operand: Operand): Node {
  requireSupervisor(b);
  if (operand.kind !== "memory") return b.read(operand);
  return b.load(b.linear(-1, b.address(0, false), 2, false), 2);
}

/** LGDT, LIDT (`parameter` 0, 1): a 16-bit operand size loads 24 bits of base. */
export const loadTable: Semantics = (b, i) => {
  requireSupervisor(b);
  const ea = b.address(0, false);
  const limit = b.load(b.linear(-1, ea, 2, false), 2);
  const base = b.load(b.linear(-1, behind(b, i, ea, 2), 4, false), 4);
  const masked = i.width === 16 ? b.and(base, b.i32(0xffffff)) : base;
  b.setState(i.parameter === 0 ? L.GDTR_BASE : L.IDTR_BASE, masked);
  b.setState(i.parameter === 0 ? L.GDTR_LIMIT : L.IDTR_LIMIT, limit);
};

/** SLDT, STR (`parameter`: segment number). */
export const storeSystemSegment: Semantics = (b, i) => {
  b.write(i.operands[0], b.state(L.SEG_SELECTOR + i.parameter * 4));
};

export const lldt: Semantics = (b, i) => b.helper("lldt", [readPrivileged(b, i.operands[0])]);
export const ltr: Semantics = (b, i) => b.helper("ltr", [readPrivileged(b, i.operands[0])]);

export const smsw: Semantics = (b, i) => b.write(i.operands[0], b.state(L.CR0));
export const lmsw: Semantics = (b, i) => b.helper("lmsw", [readPrivileged(b, i.operands[0]), b.nextEip()], true);
export const clts: Semantics = (b) => b.helper("clts", [b.nextEip()], true);

export const movFromControl: Semantics = (b, i) => {
  b.helper("read-control", [b.registerIndex(i.operands[1])]);
  b.write(i.operands[0], b.helperResult());
};
export const movToControl: Semantics = (b, i) => {
  b.helper("write-control", [b.registerIndex(i.operands[0]), b.read(i.operands[1]), b.nextEip()], true);
};
export const movFromDebug: Semantics = (b, i) => {
  b.helper("read-debug", [b.registerIndex(i.operands[1])]);
  b.write(i.operands[0], b.helperResult());
};
export const movToDebug: Semantics = (b, i) => {
  b.helper("write-debug", [b.registerIndex(i.operands[0]), b.read(i.operands[1]), b.nextEip()], true);
};

export const invlpg: Semantics = (b) => {
  b.helper("invlpg", [b.linear(-1, b.address(0, false), 0, false), b.nextEip()], true);
};

/** INVD, WBINVD: privileged; there is no cache to write back. */
export const cacheControl: Semantics = (b) => b.helper("check-cpl0", []);

export const rdmsr: Semantics = (b) => {
  b.helper("rdmsr", [b.gpr(1)]);
  const low = b.helperResult(0);
  const high = b.helperResult(1);
  b.setGpr(0, low);
  b.setGpr(2, high);
};
export const wrmsr: Semantics = (b) => b.helper("wrmsr", [b.gpr(1), b.gpr(0), b.gpr(2), b.nextEip()], true);

export const rdtsc: Semantics = (b) => {
  b.helper("rdtsc", []);
  const low = b.helperResult(0);
  const high = b.helperResult(1);
  b.setGpr(0, low);
  b.setGpr(2, high);
};

/** There are no counters: every index is invalid. */
export const rdpmc: Semantics = (b) => b.fault(13, b.i32(0));

export const cpuid: Semantics = (b) => {
  b.helper("cpuid", [b.gpr(0), b.gpr(1)]);
  const results = [0, 1, 2, 3].map((n) => b.helperResult(n));
  b.setGpr(0, results[0]);
  b.setGpr(3, results[1]);
  b.setGpr(1, results[2]);
  b.setGpr(2, results[3]);
};

export const sysenter: Semantics = (b) => b.helper("sysenter", [], true);
export const sysexit: Semantics = (b) => b.helper("sysexit", [], true);

// ---- port I/O ------------------------------------------------------------------------------------------------------

export const in_: Semantics = (b, i) => {
  const width = i.operands[0].width;
  b.helper("in", [b.read(i.operands[1]), b.i32(width / 8), b.nextEip()], true);
};

export const out: Semantics = (b, i) => {
  const width = i.operands[1].width;
  b.helper("out", [b.read(i.operands[0]), b.i32(width / 8), b.nextEip()], true);
};

/** UD2 and every undefined opcode. */
export const undefinedOpcode: Semantics = (b) => b.fault(6);
