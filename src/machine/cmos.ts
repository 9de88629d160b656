/**
 * What a PC's set-up program has left in CMOS for the BIOS: memory sizes and drives, at the PC/AT's places and the later
 * common ones. Our own firmware writes the same again; a BIOS image of the user's depends on it.
 */
import { driveType, driveTypeFor } from "../firmware/disk/floppy-parameters.ts";
import type { MachineSpec } from "../spec/machine-spec.ts";

export interface CmosByte {
  readonly index: number;
  readonly value: number;
}

const FLOPPY_TYPES = 0x10;
const EQUIPMENT = 0x14;
const BASE_MEMORY_KIB = 0x15;
const EXTENDED_MEMORY_KIB = 0x17;
const EXTENDED_MEMORY_KIB_POST = 0x30;
/** Memory above 16 MiB in units of 64 KiB. */
const MEMORY_ABOVE_16M = 0x34;
const CHECKSUM = 0x2e;
const CHECKSUM_FIRST = 0x10;
const CHECKSUM_LAST = 0x2d;

const EQUIPMENT_FLOPPY = 0x01;
const EQUIPMENT_FPU = 0x02;
const EQUIPMENT_MOUSE = 0x04;

/** Bytes for the clock's CMOS at power-on. `diskBytes`: what is in a floppy drive then, 0 if nothing. */
export function cmosFor(spec: MachineSpec, diskBytes: (drive: 0 | 1) => number = () => 0): CmosByte[] {
  const bytes = new Map<number, number>();
  const word = (index: number, value: number): void => {
    bytes.set(index, value & 0xff);
    bytes.set(index + 1, value >> 8);
  };
  const floppies = spec.floppy?.drives ?? [];
  const floppyType = (drive: 0 | 1) => (floppies.includes(drive) ? driveTypeFor(diskBytes(drive)) : driveType.none);
  bytes.set(FLOPPY_TYPES, (floppyType(0) << 4) | floppyType(1));
  const floppyBits = floppies.length > 0 ? EQUIPMENT_FLOPPY | ((floppies.length - 1) << 6) : 0;
  bytes.set(EQUIPMENT, EQUIPMENT_FPU | EQUIPMENT_MOUSE | floppyBits);
  const extendedKib = Math.min(0xfc00, (spec.ramMiB - 1) * 1024);
  word(BASE_MEMORY_KIB, 640);
  word(EXTENDED_MEMORY_KIB, extendedKib);
  word(EXTENDED_MEMORY_KIB_POST, extendedKib);
  word(MEMORY_ABOVE_16M, Math.min(0xffff, Math.max(0, spec.ramMiB - 16) * 16));
  let sum = 0;
  for (let index = CHECKSUM_FIRST; index <= CHECKSUM_LAST; index++) sum += bytes.get(index) ?? 0;
  bytes.set(CHECKSUM, (sum >> 8) & 0xff);
  bytes.set(CHECKSUM + 1, sum & 0xff);
  return [...bytes].map(([index, value]) => ({ index, value }));
}
