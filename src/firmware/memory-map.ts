/**
 * The physical memory map of the machine, in VirtualBox's order, for INT 15h E820h and for directly booted kernels
 * (ACPI specification, "System Address Map Interfaces"). RAM lies below 3.5 GiB, so nothing is above 4 GiB.
 */

export const memoryType = { usable: 1, reserved: 2, acpiData: 3 } as const;

export interface MemoryRange {
  readonly base: number;
  readonly lengthBytes: number;
  readonly type: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;

/** The extended BIOS data area: the last KiB of conventional memory. */
export const EBDA_SEGMENT = 0x9fc0;
export const EBDA_BASE = EBDA_SEGMENT * 16;
export const CONVENTIONAL_KIB = 639;

/** ACPI tables live in the last 64 KiB of RAM. */
export const ACPI_DATA_BYTES = 64 * KIB;

export function acpiDataBase(ramBytes: number): number {
  return ramBytes - ACPI_DATA_BYTES;
}

/** The map that E820h reports for `ramBytes` of RAM (a multiple of 1 MiB, at least 4 MiB). */
export function buildMemoryMap(ramBytes: number): MemoryRange[] {
  const { usable, reserved, acpiData } = memoryType;
  const acpi = acpiDataBase(ramBytes);
  return [
    { base: 0, lengthBytes: EBDA_BASE, type: usable },
    { base: EBDA_BASE, lengthBytes: KIB, type: reserved },
    { base: 0xf0000, lengthBytes: 64 * KIB, type: reserved },
    { base: MIB, lengthBytes: acpi - MIB, type: usable },
    { base: acpi, lengthBytes: ACPI_DATA_BYTES, type: acpiData },
    { base: 0xfec00000, lengthBytes: 4 * KIB, type: reserved },
    { base: 0xfee00000, lengthBytes: 4 * KIB, type: reserved },
    { base: 0xfffc0000, lengthBytes: 256 * KIB, type: reserved },
  ];
}

/** One entry as E820h and the Linux zero page store it: 64-bit base, 64-bit length, 32-bit type. */
export function encodeMemoryRange(range: MemoryRange): Uint8Array {
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, range.base, true);
  view.setUint32(4, Math.floor(range.base / 0x1_0000_0000), true);
  view.setUint32(8, range.lengthBytes, true);
  view.setUint32(12, Math.floor(range.lengthBytes / 0x1_0000_0000), true);
  view.setUint32(16, range.type, true);
  return bytes;
}
