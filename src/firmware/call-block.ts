/**
 * The call block: registers of calls that POST and the bootstrap make into other code (INT 10h, option ROMs, boot
 * sectors). It lies in the EBDA, so only code that owns the whole machine uses it.
 */
import type { ServiceMemory } from "./directed.ts";
import { EBDA_BASE } from "./memory-map.ts";

export const CALL_BLOCK = 0x200;
/** Offsets in the block; the general registers lie as POPAD wants them. */
export const callBlock = {
  edi: 0,
  esi: 4,
  ebp: 8,
  ebx: 16,
  edx: 20,
  ecx: 24,
  eax: 28,
  es: 32,
  ds: 34,
  flags: 36,
} as const;
export const CALL_BLOCK_BYTES = 38;

export type CallRegister = keyof typeof callBlock;
export type CallRegisters = Partial<Record<CallRegister, number>>;

const wide = new Set<CallRegister>(["edi", "esi", "ebp", "ebx", "edx", "ecx", "eax"]);

/** Stores registers for the next call; those not named are 0 (flags: interrupts on). */
export function storeCallRegisters(memory: ServiceMemory, registers: CallRegisters): void {
  const bytes = new Uint8Array(CALL_BLOCK_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(callBlock.flags, 0x0202, true);
  for (const [name, value] of Object.entries(registers) as [CallRegister, number][]) {
    if (wide.has(name)) view.setUint32(callBlock[name], value, true);
    else view.setUint16(callBlock[name], value, true);
  }
  memory.writeBytes(EBDA_BASE + CALL_BLOCK, bytes);
}

/** The registers after the call. */
export function readCallRegisters(memory: ServiceMemory): Record<CallRegister, number> {
  const bytes = memory.readBytes(EBDA_BASE + CALL_BLOCK, CALL_BLOCK_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const registers = {} as Record<CallRegister, number>;
  for (const name of Object.keys(callBlock) as CallRegister[])
    registers[name] = wide.has(name) ? view.getUint32(callBlock[name], true) : view.getUint16(callBlock[name], true);
  return registers;
}
