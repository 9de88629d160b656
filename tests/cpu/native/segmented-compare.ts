/** Differences between a native outcome and the engine's, and cases as text. */
import { CODE_WINDOW, outcome, SEGMENT_NAMES, type SegmentedCases, type SegmentedOutcomes } from "./segmented-case.ts";

export interface SegmentedMask {
  /** EFLAGS bits that the instruction leaves undefined. */
  readonly flags?: number;
  /** Bits of general registers, by number. */
  readonly gpr?: { readonly [register: number]: number };
  readonly isMemoryIgnored?: boolean;
}

/** CF PF AF ZF SF TF DF OF IOPL NT AC ID: RF is an exception's own. */
const COMPARED_FLAGS = 0x247dd5;
const NAMES = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"];

export function segmentedDifferences(
  native: SegmentedOutcomes,
  engine: SegmentedOutcomes,
  n: number,
  mask: SegmentedMask = {},
): string[] {
  const found: string[] = [];
  const check = (name: string, expected: number, actual: number) => {
    if (expected !== actual) found.push(`${name}: host ${hex(expected)}, engine ${hex(actual)}`);
  };
  const vector = native.vector(n);
  check("vector", vector, engine.vector(n));
  check("error", native.get(n, outcome.error), engine.get(n, outcome.error));
  if (vector === 14) check("cr2", native.get(n, outcome.cr2), engine.get(n, outcome.cr2));
  check("eip", native.get(n, outcome.eip), engine.get(n, outcome.eip));
  for (let r = 0; r < 8; r++) {
    const bits = ~(mask.gpr?.[r] ?? 0);
    check(NAMES[r], (native.gpr(n, r) & bits) >>> 0, (engine.gpr(n, r) & bits) >>> 0);
  }
  const flags = COMPARED_FLAGS & ~(mask.flags ?? 0);
  check("eflags", native.get(n, outcome.eflags) & flags, engine.get(n, outcome.eflags) & flags);
  for (let s = 0; s < 6; s++) {
    if (isNullAfterInterrupt(native.segment(n, s), engine.segment(n, s))) continue;
    check(SEGMENT_NAMES[s], native.segment(n, s), engine.segment(n, s));
  }
  if (mask.isMemoryIgnored === true) return found;
  check("memory from", native.get(n, outcome.first), engine.get(n, outcome.first));
  check("memory to", native.get(n, outcome.end), engine.get(n, outcome.end));
  if (native.get(n, outcome.hash) !== engine.get(n, outcome.hash))
    found.push(`memory: host ${bytes(native.shown(n))}, engine ${bytes(engine.shown(n))}`);
  return found;
}

/**
 * Whether the host's selector is 0 where the instruction loaded another null selector (1 to 3). SDM volume 2, IRET to an
 * outer level: it sets such a data segment register to 0, and the host may take an interrupt between the instruction
 * and the INT3 behind it.
 */
function isNullAfterInterrupt(native: number, engine: number): boolean {
  return native === 0 && engine < 4;
}

function hex(value: number): string {
  return (value >>> 0).toString(16);
}

function bytes(data: Uint8Array): string {
  return [...data].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

/** A case as text, to find out what differs. */
export function describeSegmentedCase(cases: SegmentedCases, n: number): string {
  const item = cases.case(n);
  const registers = NAMES.map((name, r) => `${name}=${hex(item.gpr(r))}`).join(" ");
  const segments = SEGMENT_NAMES.map((name, s) => `${name}=${hex(item.segment(s))}`).join(" ");
  const lines = [
    `${bytes(item.code)} at ${hex(CODE_WINDOW + item.codeOffset)}`,
    `  ${registers}`,
    `  eip=${hex(item.eip)} eflags=${hex(item.eflags)} ${segments}`,
  ];
  item.forEachPatch((offset, data) => lines.push(`  data+${hex(offset)}: ${bytes(data)}`));
  return lines.join("\n");
}
