/** The CPU's registers by name, for debuggers and core files. */
import type { GeneralRegister, SegmentRegister, VirtualCpu } from "../device-api/virtual-cpu.ts";

const general: readonly (GeneralRegister | "eip" | "eflags")[] = [
  ...(["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"] as const),
  ...(["eip", "eflags"] as const),
];
const segments: readonly SegmentRegister[] = ["es", "cs", "ss", "ds", "fs", "gs"];
const control = ["cr0", "cr2", "cr3", "cr4"] as const;

/** Unsigned values; segments as selector (`cs`), `cs_base` and `cs_limit`. */
export type RegisterValues = { readonly [name: string]: number };

export function readRegisters(cpu: VirtualCpu): RegisterValues {
  const values: { [name: string]: number } = {};
  for (const name of general) values[name] = cpu.getRegister(name) >>> 0;
  for (const name of segments) {
    const { selector, base, limit } = cpu.getSegment(name);
    values[name] = selector;
    values[`${name}_base`] = base >>> 0;
    values[`${name}_limit`] = limit >>> 0;
  }
  for (const name of control) values[name] = cpu.getRegister(name) >>> 0;
  return values;
}
