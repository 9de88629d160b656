/**
 * Instructions whose work is done by the engine's TypeScript (src/cpu/system): far transfers, interrupts, descriptor tables,
 * control and debug registers, MSRs, port I/O, flags with privilege rules. Here: which operands they read, what they hand over
 * and where results go. Names of helpers are the keys of `interpreter/helpers.ts`.
 */
import * as L from "../layout.ts";
import type { Semantics } from "../table/row.ts";
import { push } from "./stack.ts";

// ---- flags and interrupts --------------------------------------------------------------------------------------

/** PUSHF: V86 with IOPL < 3 faults, so the image comes from the engine first. */
export const pushf: Semantics = (b, i) => {
  b.helper("flags-image", []);
  const image = b.helperResult();
  b.commit();
  push(b, i, i.width / 8, image);
};

/** POPF: load, then the engine applies privilege rules and moves the stack pointer. */
export const popf: Semantics = (b, i) => {
  b.helper("popf", [b.i32(i.width), b.nextEip()], true);
};

export const cli: Semantics = (b) => b.helper("cli", [b.nextEip()], true);
export const sti: Semantics = (b) => b.helper("sti", [b.nextEip()], true);
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

function farIndirect(name: string): Semantics {
  return (b, i) => {
    const size = i.width / 8;
    const linear = b.address(size + 2, false);
    const offset = b.load(linear, size);
    const selector = b.load(b.add(linear, b.i32(size)), 2);
    b.helper(name, [selector, offset, b.i32(i.width), b.nextEip()], true);
  };
}

export const jmpFarIndirect = farIndirect("jmp-far");
export const callFarIndirect = farIndirect("call-far");

export const retf: Semantics = (b, i) => {
  b.helper("retf", [b.i32(i.width), i.operands.length > 0 ? b.read(i.operands[0]) : b.i32(0)], true);
};

/** LES, LDS, LSS, LFS, LGS: segment number in `parameter`. */
export const loadFarPointer: Semantics = (b, i) => {
  const size = i.width / 8;
  const linear = b.address(size + 2, false);
  const offset = b.load(linear, size);
  const selector = b.load(b.add(linear, b.i32(size)), 2);
  b.helper("load-segment", [b.i32(i.parameter), selector]);
  b.write(i.operands[0], offset);
  if (i.parameter === L.SEG_SS) b.helperAfterWrite("end-with-shadow", [b.nextEip()]);
  else b.helperAfterWrite("end", [b.nextEip()]);
};

// ---- segment registers -------------------------------------------------------------------------------------------

export const movToSegment: Semantics = (b, i) => {
  const segment = b.segmentIndex(i.operands[0]);
  b.helper("mov-to-segment", [segment, b.and(b.read(i.operands[1]), b.i32(0xffff)), b.nextEip()], true);
};

export const popSegment: Semantics = (b, i) => {
  b.helper("pop-segment", [b.segmentIndex(i.operands[0]), b.i32(i.width), b.nextEip()], true);
};

/** ARPL adjusts the RPL of the destination selector. */
export const arpl: Semantics = (b, i) => {
  const x = b.readForWrite(i.operands[0]);
  const y = b.read(i.operands[1]);
  const lower = b.ltU(b.and(x, b.i32(3)), b.and(y, b.i32(3)));
  b.write(i.operands[0], b.select(lower, b.or(b.and(x, b.i32(0xfffc)), b.and(y, b.i32(3))), x));
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

/** LGDT, LIDT (`parameter` 0, 1): a 16-bit operand size loads 24 bits of base. */
export const loadTable: Semantics = (b, i) => {
  b.helper("check-cpl0", []);
  b.commit();
  const linear = b.address(6, false);
  const limit = b.load(linear, 2);
  const base = b.load(b.add(linear, b.i32(2)), 4);
  const masked = i.width === 16 ? b.and(base, b.i32(0xffffff)) : base;
  b.setState(i.parameter === 0 ? L.GDTR_BASE : L.IDTR_BASE, masked);
  b.setState(i.parameter === 0 ? L.GDTR_LIMIT : L.IDTR_LIMIT, limit);
};

/** SLDT, STR (`parameter`: segment number). */
export const storeSystemSegment: Semantics = (b, i) => {
  b.write(i.operands[0], b.state(L.SEG_SELECTOR + i.parameter * 4));
};

export const lldt: Semantics = (b, i) => b.helper("lldt", [b.read(i.operands[0])]);
export const ltr: Semantics = (b, i) => b.helper("ltr", [b.read(i.operands[0])]);

export const smsw: Semantics = (b, i) => b.write(i.operands[0], b.state(L.CR0));
export const lmsw: Semantics = (b, i) => b.helper("lmsw", [b.read(i.operands[0]), b.nextEip()], true);
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
