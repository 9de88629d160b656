/**
 * The system BIOS ROM: 128 KiB, of which the upper half is segment F000h with all code and the entry points where the
 * IBM PC/AT's BIOS listing has them, because programs jump there; the lower half holds only the ACPI root pointer.
 * Layout of the segment: tables from 0, code from 8000h, the fixed entry points from E05Bh.
 */
import { Assembler } from "../assembler/assembler.ts";
import { AX, SP, SS } from "../assembler/operands.ts";
import { emitBegin, emitExecutor } from "./executor.ts";
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

export const ROM_SEGMENT = 0xf000;
export const SYSTEM_ROM_BYTES = 0x20000;
const SEGMENT_BYTES = 0x10000;
const CODE_BASE = 0x8000;
/** BIOS date: setup programs want 1999 or later; VirtualBox says this one. */
const BIOS_DATE = "06/23/99";
const MODEL_AT = 0xfc;
/** POST's stack ends below the boot sector. */
const POST_STACK = 0x7c00;

/** Vector and the label of its handler; all others go to a plain IRET. */
export const vectorLabels: readonly (readonly [vector: number, label: string])[] = [
  [0x08, "irq0"],
  [0x09, "irq1"],
  [0x0a, "irq.unexpected1"],
  [0x0b, "irq.unexpected1"],
  [0x0c, "irq.unexpected1"],
  [0x0d, "irq.unexpected1"],
  [0x0e, "irq6"],
  [0x0f, "irq.unexpected1"],
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

export function buildSystemRom(): SystemRom {
  const a = new Assembler(0);
  a.origin(CODE_BASE);
  emitExecutor(a);
  emitTimerTick(a);
  emitKeyboard(a);
  emitFloppy(a);
  emitClock(a);
  emitMouse(a);
  emitCoprocessor(a);
  emitDisk(a);
  emitUnexpected(a);

  a.label("post");
  a.cli();
  a.cld();
  a.xor(AX, AX);
  a.mov(SS, AX);
  a.mov(SP, POST_STACK);
  emitBegin(a, "post");

  // Interrupt 71h is IRQ9, which an AT redirects to the vector of the old IRQ2.
  a.label("irq9");
  a.push(AX);
  a.mov(AX, 0x20);
  a.db(0xe6, 0xa0);
  a.pop(AX);
  a.int(0x0a);
  a.iret();

  a.origin(0xe05b);
  a.jmp("post");
  a.origin(0xff53);
  a.label("iret");
  a.iret();
  a.origin(0xfff0);
  a.jmpFar(ROM_SEGMENT, 0xe05b);
  a.db(BIOS_DATE);
  a.db(0x00, MODEL_AT, 0x00);

  const segment = a.finish();
  const bytes = new Uint8Array(SYSTEM_ROM_BYTES).fill(0xff);
  bytes.set(segment, SYSTEM_ROM_BYTES - SEGMENT_BYTES);
  setChecksum(bytes.subarray(SYSTEM_ROM_BYTES - SEGMENT_BYTES));
  return { bytes, labels: a.labels() };
}

/** The last byte makes the segment's byte sum 0. */
function setChecksum(segment: Uint8Array): void {
  const last = segment.length - 1;
  segment[last] = 0;
  let sum = 0;
  for (const byte of segment) sum += byte;
  segment[last] = -sum & 0xff;
}
