/**
 * POST's first step, all by port writes: interrupt controllers, timer, DMA, the clock's CMOS bytes. Sequences are the
 * ones of the 8259A, 8254, 8237A and MC146818 data sheets; CMOS contents are those of the PC/AT plus the later common
 * ones. What takes time (keyboard controller) is done by guest instructions instead (post.ts).
 */
import type { MachineSpec } from "../../spec/machine-spec.ts";
import type { PortAccess } from "../index.ts";
import { acpiDataBase } from "../memory-map.ts";

const CMOS_INDEX = 0x70;
const CMOS_DATA = 0x71;

export const cmos = {
  statusA: 0x0a,
  statusB: 0x0b,
  statusC: 0x0c,
  statusD: 0x0d,
  diagnostic: 0x0e,
  shutdown: 0x0f,
  floppyTypes: 0x10,
  diskTypes: 0x12,
  equipment: 0x14,
  baseMemory: 0x15,
  extendedMemory: 0x17,
  diskType0: 0x19,
  diskType1: 0x1a,
  checksum: 0x2e,
  extendedMemory2: 0x30,
  memoryAbove16: 0x34,
} as const;

export function readCmos(ports: PortAccess, index: number): number {
  ports.writePort(CMOS_INDEX, 1, index);
  return ports.readPort(CMOS_DATA, 1);
}

export function writeCmos(ports: PortAccess, index: number, value: number): void {
  ports.writePort(CMOS_INDEX, 1, index);
  ports.writePort(CMOS_DATA, 1, value & 0xff);
}

function writeCmosWord(ports: PortAccess, index: number, value: number): void {
  writeCmos(ports, index, value);
  writeCmos(ports, index + 1, value >> 8);
}

/** Both 8259As: vectors 08h and 70h, cascade on IR2; unmasked what the BIOS serves. */
export function initialiseInterruptControllers(ports: PortAccess): void {
  const sequence: readonly (readonly [number, number])[] = [
    [0x20, 0x11],
    [0x21, 0x08],
    [0x21, 0x04],
    [0x21, 0x01],
    [0xa0, 0x11],
    [0xa1, 0x70],
    [0xa1, 0x02],
    [0xa1, 0x01],
    // Open: timer, keyboard, cascade, floppy; mouse, coprocessor, both disks.
    [0x21, 0xb8],
    [0xa1, 0x0f],
  ];
  for (const [port, value] of sequence) ports.writePort(port, 1, value);
}

/** Timer: 18.2 Hz tick, refresh request, speaker off; DMA: cascade open, everything else masked. */
export function initialiseTimersAndDma(ports: PortAccess): void {
  const sequence: readonly (readonly [number, number])[] = [
    [0x43, 0x36],
    [0x40, 0x00],
    [0x40, 0x00],
    [0x43, 0x54],
    [0x41, 0x12],
    [0x43, 0xb6],
    [0x42, 0x33],
    [0x42, 0x05],
    [0x61, 0x00],
    [0x0d, 0x00],
    [0xda, 0x00],
    [0xd6, 0xc0],
    [0xd4, 0x00],
    [0x0a, 0x02],
  ];
  for (const [port, value] of sequence) ports.writePort(port, 1, value);
}

export interface CmosContents {
  readonly ramBytes: number;
  /** CMOS codes of floppy drives 0 and 1: 0 none, 4 = 1.44 MB. */
  readonly floppyTypes: readonly [number, number];
  readonly diskCount: number;
  readonly equipment: number;
}

/** Fills the configuration bytes; the time and date stay the clock's. */
export function writeCmosContents(ports: PortAccess, contents: CmosContents): void {
  writeCmos(ports, cmos.statusA, 0x26);
  writeCmos(ports, cmos.statusB, 0x02);
  readCmos(ports, cmos.statusC);
  readCmos(ports, cmos.statusD);
  // As much as INT 15h reports: the ACPI tables at the top of RAM are not for use.
  const top = acpiDataBase(contents.ramBytes);
  const extendedKib = Math.min((top - 0x100000) / 1024, 0xffff);
  const above16 = Math.min(Math.max(0, Math.floor((top - 0x1000000) / 0x10000)), 0xffff);
  writeCmos(ports, cmos.diagnostic, 0);
  writeCmos(ports, cmos.shutdown, 0);
  writeCmos(ports, cmos.floppyTypes, (contents.floppyTypes[0] << 4) | contents.floppyTypes[1]);
  const diskNibbles = (contents.diskCount > 0 ? 0xf0 : 0) | (contents.diskCount > 1 ? 0x0f : 0);
  writeCmos(ports, cmos.diskTypes, diskNibbles);
  writeCmos(ports, cmos.diskType0, contents.diskCount > 0 ? 47 : 0);
  writeCmos(ports, cmos.diskType1, contents.diskCount > 1 ? 47 : 0);
  writeCmos(ports, cmos.equipment, contents.equipment);
  writeCmosWord(ports, cmos.baseMemory, 640);
  writeCmosWord(ports, cmos.extendedMemory, extendedKib);
  writeCmosWord(ports, cmos.extendedMemory2, extendedKib);
  writeCmosWord(ports, cmos.memoryAbove16, above16);
  let sum = 0;
  for (let index = 0x10; index < cmos.checksum; index++) sum += readCmos(ports, index);
  writeCmos(ports, cmos.checksum, sum >> 8);
  writeCmos(ports, cmos.checksum + 1, sum);
  writeCmos(ports, cmos.statusD, 0);
  ports.writePort(CMOS_INDEX, 1, cmos.statusD);
}

/** ISA ports where something answers: UARTs hold a value in their interrupt-enable register. */
export function findSerialPorts(spec: MachineSpec, ports: PortAccess): number[] {
  return [...spec.uarts]
    .filter((uart) => uart.enabled)
    .map((uart) => uart.ioBase)
    .filter((base) => {
      ports.writePort(base + 1, 1, 0x02);
      const holds = ports.readPort(base + 1, 1) === 0x02;
      ports.writePort(base + 1, 1, 0x00);
      return holds && (ports.readPort(base + 2, 1) & 0x30) === 0;
    })
    .slice(0, 4);
}

/** Parallel ports hold what is written into their data register. */
export function findParallelPorts(spec: MachineSpec, ports: PortAccess): number[] {
  return [...spec.parallels]
    .filter((port) => port.enabled)
    .map((port) => port.ioBase)
    .filter((base) => {
      ports.writePort(base, 1, 0xaa);
      return ports.readPort(base, 1) === 0xaa;
    })
    .slice(0, 3);
}
