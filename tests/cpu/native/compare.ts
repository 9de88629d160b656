/** Differences between a native outcome and the engine's, as text; empty if there are none. */
import { AREA_BYTES, type CaseList, fx, NO_VECTOR, type Outcomes } from "./case-format.ts";

export interface CompareOptions {
  /** EFLAGS bits that the instruction leaves undefined. */
  readonly undefinedFlags?: number;
  /** Bits of the x87 status word that it leaves undefined. */
  readonly undefinedStatus?: number;
  /** False: after a page fault the x87 registers are not compared. */
  readonly isTopKeptByFault?: boolean;
  /** Compare nothing of the x87/MMX registers, or of XMM register `n`. */
  readonly ignoreX87?: boolean;
  readonly ignoreXmm?: number;
  readonly ignoreMemory?: boolean;
}

/** CF PF AF ZF SF DF OF: what level 3 can see change (RF, IF and the rest are the operating system's). */
const COMPARED_FLAGS = 0xcd5;
const NAMES = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"];

export function differences(native: Outcomes, engine: Outcomes, n: number, options: CompareOptions = {}): string[] {
  const found: string[] = [];
  const check = (name: string, expected: number, actual: number) => {
    if (expected !== actual) found.push(`${name}: host ${hex(expected)}, engine ${hex(actual)}`);
  };
  check("vector", native.vector(n), engine.vector(n));
  if (found.length > 0) return found;
  const vector = native.vector(n);
  check("eip", native.eip(n), engine.eip(n));
  if (vector !== NO_VECTOR) check("error", native.error(n), engine.error(n));
  if (vector === 14) check("cr2", native.cr2(n), engine.cr2(n));
  for (let register = 0; register < 8; register++)
    check(NAMES[register], native.gpr(n, register), engine.gpr(n, register));
  const flags = COMPARED_FLAGS & ~(options.undefinedFlags ?? 0);
  check("eflags", native.eflags(n) & flags, engine.eflags(n) & flags);
  const a = native.fx(n);
  const b = engine.fx(n);
  const word = (image: Uint8Array, offset: number) => image[offset] | (image[offset + 1] << 8);
  // A faulting store of an MMX register may have reset TOP already; restarting it gives the same.
  const isTopKnown = vector !== 14 || options.isTopKeptByFault !== false;
  if (options.ignoreX87 !== true && isTopKnown) {
    const status = 0xffff & ~(options.undefinedStatus ?? 0);
    check("fcw", word(a, fx.fcw), word(b, fx.fcw));
    check("fsw", word(a, fx.fsw) & status, word(b, fx.fsw) & status);
    check("tags", a[fx.ftw], b[fx.ftw]);
    for (let r = 0; r < 8; r++) compareBytes(`st${r}`, a, b, fx.st + r * 16, 10, found);
  }
  check("mxcsr", word(a, fx.mxcsr), word(b, fx.mxcsr));
  for (let r = 0; r < 8; r++) if (r !== options.ignoreXmm) compareBytes(`xmm${r}`, a, b, fx.xmm + r * 16, 16, found);
  if (options.ignoreMemory !== true) compareBytes("memory", native.memory(n), engine.memory(n), 0, AREA_BYTES, found);
  return found;
}

function compareBytes(name: string, a: Uint8Array, b: Uint8Array, at: number, length: number, found: string[]): void {
  for (let n = at; n < at + length; n++) {
    if (a[n] === b[n]) continue;
    const row = length > 16 ? n & ~15 : at;
    const size = Math.min(length, 16);
    found.push(`${name}${length > 16 ? `+${row}` : ""}: host ${image(a, row, size)}, engine ${image(b, row, size)}`);
    return;
  }
}

/** Little-endian number of these bytes, in hex. */
function image(bytes: Uint8Array, at: number, length: number): string {
  let text = "";
  for (let n = length - 1; n >= 0; n--) {
    text += bytes[at + n].toString(16).padStart(2, "0");
    if (n > 0 && n % 4 === 0) text += "_";
  }
  return text;
}

function hex(value: number): string {
  return (value >>> 0).toString(16);
}

/** A case as text, to find out what differs. */
export function describeCase(cases: CaseList, n: number): string {
  const item = cases.case(n);
  const code = [...item.code].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  const registers = NAMES.map((name, r) => `${name}=${hex(item.gpr(r))}`).join(" ");
  const image_ = item.fx;
  const xmm = [0, 1, 2, 3, 4, 5, 6, 7].map((r) => image(image_, fx.xmm + r * 16, 16));
  const st = [0, 1, 2, 3, 4, 5, 6, 7].map((r) => image(image_, fx.st + r * 16, 10));
  return `${code}\n  ${registers} eflags=${hex(item.eflags)} mxcsr=${hex(item.mxcsr)}\n  xmm ${xmm.join(" ")}\n  st ${st.join(" ")}`;
}
