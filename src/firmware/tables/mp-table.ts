/**
 * Intel MultiProcessor Specification 1.4: floating pointer and configuration table, only for machines with an I/O APIC (a
 * table without one hangs old systems). ISA interrupts keep their numbers except IRQ0 on input 2; PCI pins go to inputs
 * 16–23 by slot.
 */
import { LAST_PCI_SLOT } from "./pci-routing.ts";

const POINTER_BYTES = 16;
const HEADER_BYTES = 44;
const PCI_BUS = 0;
const ISA_BUS = 1;
const interruptType = { int: 0, nmi: 1, extInt: 3 } as const;

/** Pointer and table together; `physical` is a 16-byte border in F0000h–FFFFFh. */
export function buildMpTable(cpuCount: number, physical: number): Uint8Array {
  const ioApicId = cpuCount;
  const entries: number[][] = [];
  for (let cpu = 0; cpu < cpuCount; cpu++) {
    // Enabled, the first is the boot processor; family 6, FPU and local APIC.
    const flags = cpu === 0 ? 0x03 : 0x01;
    entries.push([0, cpu, 0x14, flags, 0x00, 0x06, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, ...Array(8).fill(0)]);
  }
  entries.push([1, PCI_BUS, ...ascii("PCI   ")], [1, ISA_BUS, ...ascii("ISA   ")]);
  entries.push([2, ioApicId, 0x11, 0x01, 0x00, 0x00, 0xc0, 0xfe]);
  const interrupt = (type: number, flags: number, bus: number, irq: number, input: number) =>
    entries.push([3, type, flags, 0, bus, irq, ioApicId, input]);
  for (let irq = 0; irq < 16; irq++) {
    // Input 2 is the timer's; 9, 10 and 11 are PCI interrupts: level, active low.
    if (irq === 2) continue;
    const isLevel = irq >= 9 && irq <= 11;
    interrupt(interruptType.int, isLevel ? 0x0f : 0, ISA_BUS, irq, irq === 0 ? 2 : irq);
  }
  for (let slot = 1; slot <= LAST_PCI_SLOT; slot++)
    for (let pin = 0; pin < 4; pin++)
      interrupt(interruptType.int, 0x0f, PCI_BUS, (slot << 2) | pin, 16 + ((slot + pin) & 7));
  entries.push([4, interruptType.extInt, 0, 0, ISA_BUS, 0, 0xff, 0]);
  entries.push([4, interruptType.nmi, 0, 0, ISA_BUS, 0, 0xff, 1]);

  const body = entries.flat();
  const bytes = new Uint8Array(POINTER_BYTES + HEADER_BYTES + body.length);
  const view = new DataView(bytes.buffer);
  const tableAt = POINTER_BYTES;
  bytes.set(ascii("_MP_"), 0);
  view.setUint32(4, physical + tableAt, true);
  bytes[8] = 1;
  bytes[9] = 4;
  bytes[10] = sum(bytes.subarray(0, POINTER_BYTES));
  bytes.set(ascii("PCMP"), tableAt);
  view.setUint16(tableAt + 4, HEADER_BYTES + body.length, true);
  bytes[tableAt + 6] = 4;
  bytes.set(ascii("ANNEAU  "), tableAt + 8);
  bytes.set(ascii("VIRTUAL PC  "), tableAt + 16);
  view.setUint16(tableAt + 34, entries.length, true);
  view.setUint32(tableAt + 36, 0xfee00000, true);
  bytes.set(body, tableAt + HEADER_BYTES);
  bytes[tableAt + 7] = sum(bytes.subarray(tableAt));
  return bytes;
}

function ascii(text: string): number[] {
  return [...text].map((char) => char.charCodeAt(0));
}

function sum(bytes: Uint8Array): number {
  return -bytes.reduce((total, byte) => total + byte, 0) & 0xff;
}
