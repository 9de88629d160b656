/** What POST and the bootstrap do through the guest's own interrupts: call, print, ask for a key. */
import { type CallRegister, type CallRegisters, readCallRegisters, storeCallRegisters } from "../call-block.ts";
import type { Directed, ServiceMemory } from "../directed.ts";

/** Calls an interrupt of the real-mode vector table and gives the registers it returned. */
export function* callInterrupt(
  memory: ServiceMemory,
  vector: number,
  registers: CallRegisters,
): Directed<Record<CallRegister, number>> {
  storeCallRegisters(memory, registers);
  yield { kind: "int", vector };
  return readCallRegisters(memory);
}

/** Prints through INT 10h teletype; a newline becomes carriage return and line feed. */
export function* print(memory: ServiceMemory, text: string): Directed {
  for (const char of text.replaceAll("\n", "\r\n"))
    yield* callInterrupt(memory, 0x10, { eax: 0x0e00 | (char.charCodeAt(0) & 0xff), ebx: 0x0007 });
}

/** The scan code and character of the next key, waiting for it. */
export function* waitKey(memory: ServiceMemory): Directed<number> {
  return (yield* callInterrupt(memory, 0x16, { eax: 0x1000 })).eax & 0xffff;
}

/** A key that is there already, taken out of the buffer, or undefined. */
export function* pollKey(memory: ServiceMemory): Directed<number | undefined> {
  const { flags } = yield* callInterrupt(memory, 0x16, { eax: 0x1100 });
  return (flags & 0x40) !== 0 ? undefined : yield* waitKey(memory);
}
