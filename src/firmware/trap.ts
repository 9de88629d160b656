/**
 * How ROM code reaches the services: `out TRAP_PORT, al`, then a short jump over four bytes of signature that name the
 * service. A trap counts only when the OUT executes inside our ROM; the signature identifies it where the OS has mapped
 * the ROM elsewhere (16- and 32-bit protected-mode entries under paging). Everywhere else the port is unclaimed.
 * OUT with an immediate port is the one instruction that needs no register and survives every V86 monitor.
 */
import type { VirtualCpu } from "../device-api/virtual-cpu.ts";
import type { Assembler } from "./assembler/assembler.ts";
import { AL } from "./assembler/operands.ts";

/** Unused on every PC we know of; IBM's PS/2 memory controllers had E0h–E1h, debuggers take E9h, delays EDh. */
export const TRAP_PORT = 0xe4;

export const services = [
  "post",
  "step",
  "int05",
  "int13",
  "int14",
  "int15",
  "int15-directed",
  "int16",
  "int17",
  "int18",
  "int19",
  "int1a",
  "keyboard-irq",
  "mouse-irq",
  "protected-apm",
  "bios32-directory",
  "protected-pci",
  "pxe-stack",
  "pxe-registers",
] as const;
export type ServiceName = (typeof services)[number];

const OUT_IMMEDIATE = 0xe6;
const SIGNATURE = [0xeb, 0x04, 0x41, 0x4e];
const STUB_BYTES = 2 + SIGNATURE.length + 2;
const ROM_BYTES = 0x20000;
const ROM_LOW = 0xe0000;
const ROM_HIGH = 0xfffe0000;

/** Emits the trap to `service`. Changes no register by itself. */
export function trap(a: Assembler, service: ServiceName): void {
  const id = services.indexOf(service);
  a.out(TRAP_PORT, AL);
  a.db(...SIGNATURE, id, ~id & 0xff);
}

/** The service named by the stub that starts at `offset` of `bytes`. */
function serviceAt(bytes: Uint8Array, offset: number): ServiceName | undefined {
  if (offset < 0 || offset + STUB_BYTES > bytes.length) return undefined;
  if (bytes[offset] !== OUT_IMMEDIATE || bytes[offset + 1] !== TRAP_PORT) return undefined;
  for (let i = 0; i < SIGNATURE.length; i++) if (bytes[offset + 2 + i] !== SIGNATURE[i]) return undefined;
  const id = bytes[offset + 6];
  return bytes[offset + 7] === (~id & 0xff) ? services[id] : undefined;
}

/**
 * Which service the OUT being executed asks for, or undefined if it is not one of our ROM's. `rom` is the 128 KiB image.
 * The CPU may show EIP at the OUT or behind it.
 */
export function identifyTrap(cpu: VirtualCpu, rom: Uint8Array): ServiceName | undefined {
  const linear = (cpu.getSegment("cs").base + cpu.getRegister("eip")) >>> 0;
  const offset = linear >= ROM_HIGH ? linear - ROM_HIGH : linear - ROM_LOW;
  if (offset >= 0 && offset < ROM_BYTES) return serviceAt(rom, offset) ?? serviceAt(rom, offset - 2);
  if (cpu.mode === "real") return undefined;
  const seen = new Uint8Array(STUB_BYTES + 2);
  cpu.readLinearBytes((linear - 2) >>> 0, seen);
  return serviceAt(seen, 2) ?? serviceAt(seen, 0);
}
