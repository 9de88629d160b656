/**
 * The system BIOS ROM: 128 KiB, of which the upper half is segment F000h with all code and the entry points where the
 * IBM PC/AT's BIOS listing has them, because programs jump there; the lower half holds only the ACPI root pointer.
 * Layout of the segment: tables from 0, code from 8000h, the fixed entry points from E05Bh.
 */
import type { BootMedia } from "../../device-api/boot-media.ts";
import type { MachineSpec } from "../../spec/machine-spec.ts";
import { Assembler } from "../assembler/assembler.ts";
import { AL, AX } from "../assembler/operands.ts";
import { diskette144 } from "../disk/floppy-parameters.ts";
import { font8x8 } from "../fonts/fonts.ts";
import { buildMpTable } from "../tables/mp-table.ts";
import { buildPirTable } from "../tables/pci-routing.ts";
import { buildSmbios } from "../tables/smbios.ts";
import {
  emitBaudTable,
  emitBios32Header,
  emitConfigurationTable,
  emitDisketteTables,
  emitFixedDiskTables,
  emitVideoParameters,
  sealHeader,
} from "./data-tables.ts";
import { emitExecutor } from "./executor.ts";
import {
  emitClock,
  emitCoprocessor,
  emitDisk,
  emitFloppy,
  emitKeyboard,
  emitMouse,
  emitTimerTick,
  emitUnexpected,
} from "./hardware-interrupts.ts";
import { emitInterruptStubs, emitProtectedEntries, emitPxeEntries } from "./interrupt-stubs.ts";

export const ROM_SEGMENT = 0xf000;
export const ROM_SEGMENT_BASE = 0xf0000;
export const SYSTEM_ROM_BYTES = 0x20000;
const SEGMENT_BYTES = 0x10000;
const MP_TABLE_OFFSET = 0x1000;
const CODE_BASE = 0x8000;
/** BIOS date: setup programs want 1999 or later; VirtualBox says this one. */
const BIOS_DATE = "06/23/99";
const MODEL_AT = 0xfc;

/** The entry points of the PC/AT's BIOS: fixed offset, label, what is there. */
const fixedEntries: readonly (readonly [offset: number, label: string, target: string])[] = [
  [0xe05b, "entry.post", "post"],
  [0xe2c3, "entry.02", "iret"],
  [0xe3fe, "entry.13", "int13"],
  [0xe6f2, "entry.19", "int19"],
  [0xe739, "entry.14", "int14"],
  [0xe82e, "entry.16", "int16"],
  [0xe987, "entry.09", "irq1"],
  [0xec59, "entry.40", "int13"],
  [0xef57, "entry.0e", "irq6"],
  [0xefd2, "entry.17", "int17"],
  [0xf065, "entry.10", "iret"],
  [0xf841, "entry.12", "int12"],
  [0xf84d, "entry.11", "int11"],
  [0xf859, "entry.15", "int15"],
  [0xfe6e, "entry.1a", "int1a"],
  [0xfea5, "entry.08", "irq0"],
  [0xff54, "entry.05", "int05"],
];

/** Vector and the label it points to; all others go to a plain IRET. */
export const vectorLabels: readonly (readonly [vector: number, label: string])[] = [
  [0x02, "entry.02"],
  [0x05, "entry.05"],
  [0x08, "entry.08"],
  [0x09, "entry.09"],
  [0x0a, "irq.unexpected1"],
  [0x0b, "irq.unexpected1"],
  [0x0c, "irq.unexpected1"],
  [0x0d, "irq.unexpected1"],
  [0x0e, "entry.0e"],
  [0x0f, "irq.unexpected1"],
  [0x10, "entry.10"],
  [0x11, "entry.11"],
  [0x12, "entry.12"],
  [0x13, "entry.13"],
  [0x14, "entry.14"],
  [0x15, "entry.15"],
  [0x16, "entry.16"],
  [0x17, "entry.17"],
  [0x18, "int18"],
  [0x19, "entry.19"],
  [0x1a, "entry.1a"],
  [0x1d, "videoParameters"],
  [0x1e, "disketteParameters"],
  [0x1f, "fontUpperHalf"],
  [0x40, "entry.40"],
  [0x41, "fixedDiskParameters0"],
  [0x42, "entry.10"],
  [0x43, "fontLowerHalf"],
  [0x46, "fixedDiskParameters1"],
  [0x70, "irq8"],
  [0x71, "irq9"],
  [0x72, "irq.unexpected2"],
  [0x73, "irq.unexpected2"],
  [0x74, "irq12"],
  [0x75, "irq13"],
  [0x76, "irq14"],
  [0x77, "irq15"],
];

export type SystemRomLabels = { readonly [label: string]: number };

export interface SystemRom {
  readonly bytes: Uint8Array;
  /** Offsets in segment F000h. */
  readonly labels: SystemRomLabels;
}

/** `acpiRootPointer` goes to E0000h, absent on machines without ACPI. */
export function buildSystemRom(
  spec: MachineSpec,
  bootMedia: BootMedia,
  acpiRootPointer: Uint8Array | undefined,
): SystemRom {
  const a = new Assembler(0);
  emitTables(a, spec, bootMedia);
  a.origin(CODE_BASE);
  emitExecutor(a);
  emitInterruptStubs(a);
  emitProtectedEntries(a);
  emitPxeEntries(a);
  emitTimerTick(a);
  emitKeyboard(a);
  emitFloppy(a);
  emitClock(a);
  emitMouse(a);
  emitCoprocessor(a);
  emitDisk(a);
  emitUnexpected(a);

  // Interrupt 71h is IRQ9, which an AT redirects to the vector of the old IRQ2.
  a.label("irq9");
  a.push(AX);
  a.mov(AL, 0x20);
  a.out(0xa0, AL);
  a.pop(AX);
  a.int(0x0a);
  a.iret();

  emitFixedPlaces(a);
  const segment = a.finish();
  const labels = a.labels();
  sealHeader(segment, labels.bios32Header, 16, labels.bios32Header + 10);
  sealHeader(segment, 0, SEGMENT_BYTES, SEGMENT_BYTES - 1);
  const bytes = new Uint8Array(SYSTEM_ROM_BYTES).fill(0xff);
  bytes.set(segment, SYSTEM_ROM_BYTES - SEGMENT_BYTES);
  if (acpiRootPointer) bytes.set(acpiRootPointer);
  return { bytes, labels };
}

/** Tables that are looked for on 16-byte borders come first: their addresses are fixed before layout. */
function emitTables(a: Assembler, spec: MachineSpec, bootMedia: BootMedia): void {
  a.bytes(buildSmbios(spec, ROM_SEGMENT_BASE).bytes);
  if (spec.ioApic) {
    a.origin(MP_TABLE_OFFSET);
    a.bytes(buildMpTable(spec.cpuCount, ROM_SEGMENT_BASE + MP_TABLE_OFFSET));
  }
  emitBios32Header(a, ROM_SEGMENT_BASE);
  a.align(16);
  a.label("pirTable");
  a.bytes(buildPirTable());
  emitDisketteTables(a);
  emitFixedDiskTables(a, bootMedia);
  a.label("fontUpperHalf");
  a.bytes(font8x8.subarray(128 * 8));
}

/** Everything with a fixed offset, in ascending order. */
function emitFixedPlaces(a: Assembler): void {
  const places: [offset: number, emit: () => void][] = fixedEntries.map(([offset, label, target]) => [
    offset,
    () => {
      a.label(label);
      a.jmp(target);
    },
  ]);
  places.push(
    [0xe6f5, () => emitConfigurationTable(a)],
    [0xe729, () => emitBaudTable(a)],
    [0xefc7, () => a.bytes(diskette144.slice(0, 11))],
    [0xf0a4, () => emitFixedVideoParameters(a)],
    [0xfa6e, () => emitLowerFont(a)],
    [0xff53, () => emitIret(a)],
  );
  places.sort(([one], [other]) => one - other);
  for (const [offset, emit] of places) {
    a.origin(offset);
    emit();
  }
  a.origin(0xfff0);
  a.jmpFar(ROM_SEGMENT, 0xe05b);
  a.db(BIOS_DATE);
  a.db(0x00, MODEL_AT, 0x00);
}

function emitFixedVideoParameters(a: Assembler): void {
  a.label("videoParameters");
  emitVideoParameters(a);
}

function emitLowerFont(a: Assembler): void {
  a.label("fontLowerHalf");
  a.bytes(font8x8.subarray(0, 128 * 8));
}

function emitIret(a: Assembler): void {
  a.label("iret");
  a.iret();
}
