/**
 * Entry stubs of the software interrupts and of the protected-mode interfaces. They hold nothing but the trap and what a
 * V86 monitor can carry out: no HLT unless the service has seen real mode, no instruction that faults at IOPL 3.
 */
import type { Assembler } from "../assembler/assembler.ts";
import { AX, CS, DS, ES, m16, SP, SS } from "../assembler/operands.ts";
import { BDA_SEGMENT, bda } from "../bios-data-area.ts";
import { type ServiceName, trap } from "../trap.ts";
import { emitBegin, emitDirectedEntry } from "./executor.ts";

/** POST's and the bootstrap's stack ends below the boot sector. */
const BOOT_STACK = 0x7c00;

/** The service answers in the live flags: carry asks to come again, zero with it allows to sleep until an interrupt. */
function emitRetrying(a: Assembler, label: string, service: ServiceName): void {
  a.label(label);
  trap(a, service);
  a.j("nc", `${label}.done`);
  a.j("nz", `${label}.spin`);
  a.sti();
  a.hlt();
  a.jmp(label);
  a.label(`${label}.spin`);
  a.sti();
  a.nop();
  a.jmp(label);
  a.label(`${label}.done`);
  a.iret();
}

/** A word of the BIOS data area in AX: INT 11h and 12h. */
function emitBdaWord(a: Assembler, label: string, offset: number): void {
  a.label(label);
  a.sti();
  a.push(DS);
  a.mov(AX, BDA_SEGMENT);
  a.mov(DS, AX);
  a.mov(AX, m16(offset));
  a.pop(DS);
  a.iret();
}

/** A directed service that never returns and may start from any stack. */
function emitFinal(a: Assembler, label: string, service: ServiceName, isFirst: boolean): void {
  a.label(label);
  a.cli();
  a.cld();
  a.xor(AX, AX);
  a.mov(SS, AX);
  a.mov(SP, BOOT_STACK);
  if (!isFirst) a.sti();
  emitBegin(a, service);
}

export function emitInterruptStubs(a: Assembler): void {
  emitFinal(a, "post", "post", true);
  emitFinal(a, "int18", "int18", false);
  emitFinal(a, "int19", "int19", false);
  emitDirectedEntry(a, "int05", "int05");
  emitDirectedEntry(a, "int13", "int13");
  emitDirectedEntry(a, "int14", "int14");
  emitDirectedEntry(a, "int15.directed", "int15-directed");
  emitDirectedEntry(a, "int17", "int17");
  emitBdaWord(a, "int11", bda.equipment);
  emitBdaWord(a, "int12", bda.memoryKib);
  emitRetrying(a, "int16", "int16");
  emitRetrying(a, "int1a", "int1a");

  a.label("int15");
  trap(a, "int15");
  a.j("c", "int15.directed");
  a.iret();
}

/**
 * PXE's two entries, far-called in real mode. Each makes an interrupt's frame below the return address; interrupts stay as they
 * are, for a driver may call from its interrupt handler.
 */
export function emitPxeEntries(a: Assembler): void {
  for (const convention of ["stack", "registers"] as const) {
    a.label(`pxe.${convention}`);
    a.pushf();
    a.push(CS);
    a.call(`pxe.${convention}.frame`);
    a.retf();
    a.label(`pxe.${convention}.frame`);
    a.cld();
    a.pushad();
    a.push(DS);
    a.push(ES);
    emitBegin(a, `pxe-${convention}`);
  }
}

/** Far-called in protected mode; the result's carry is the live flag. */
export function emitProtectedEntries(a: Assembler): void {
  a.label("apm16");
  trap(a, "protected-apm");
  a.retf();
  a.bits(32);
  a.align(16);
  for (const [label, service] of [
    ["apm32", "protected-apm"],
    ["bios32", "bios32-directory"],
    ["pci32", "protected-pci"],
  ] as const) {
    a.label(label);
    trap(a, service);
    a.retf();
  }
  a.bits(16);
}
