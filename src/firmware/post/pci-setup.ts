/**
 * What POST does to the PCI bus (PCI Local Bus 2.2, PIIX3 data sheet 290550): sizes and places every BAR, routes the
 * four PIRQs, fills interrupt lines, enables decoding. Windows and routing are VirtualBox's: ports from D000h, memory
 * from F0000000h, frame buffer at E0000000h, PIRQs {11, 10, 9, 11}. One bus; bridges are not configured.
 */
import type { AccessSize } from "../../device-api/io-window.ts";
import type { PortAccess } from "../index.ts";

const CONFIG_ADDRESS = 0xcf8;
const CONFIG_DATA = 0xcfc;
const VENDOR_ID = 0x00;
const COMMAND = 0x04;
const CLASS = 0x08;
const HEADER_TYPE = 0x0e;
const BAR0 = 0x10;
const EXPANSION_ROM = 0x30;
const INTERRUPT_LINE = 0x3c;
const INTERRUPT_PIN = 0x3d;
const COMMAND_IO = 1;
const COMMAND_MEMORY = 2;
const COMMAND_BUS_MASTER = 4;

const IO_FIRST = 0xd000;
const IO_END = 0x10000;
const MEMORY_FIRST = 0xf0000000;
const MEMORY_END = 0xfe000000;
export const FRAME_BUFFER_BASE = 0xe0000000;

const PIIX3_ISA = 0x70008086;
const PIIX_IDE = new Set([0x70108086, 0x71118086, 0x269e8086]);
const PIIX4_PM = 0x71138086;
const PIRQ_ROUTE = 0x60;
const IDE_TIMING = 0x40;
const IDE_CHANNEL_ENABLED = 0x8000;
const PM_BASE = 0x40;
const PM_IO = 0x4000;
const PM_MISC = 0x80;
const SMBUS_BASE = 0x90;
const SMBUS_IO = 0x4100;
const SMBUS_CONFIG = 0xd2;
/** On, and IRQ 9 for its interrupts. */
const SMBUS_ON = 0x09;
const ELCR1 = 0x4d0;
const ELCR2 = 0x4d1;
export const SCI_IRQ = 9;

/** Interrupt routing of the four PIRQ pins, as the firmware programs it. */
export const pirqRouting = [11, 10, 9, 11] as const;

/** The ISA interrupt of `pin` (1 = INTA) of a device in `slot`. */
export function pciIrq(slot: number, pin: number): number {
  return pirqRouting[(slot - 1 + (pin - 1)) & 3];
}

/** Config mechanism 1 on bus 0. */
export class PciConfig {
  private readonly ports: PortAccess;

  constructor(ports: PortAccess) {
    this.ports = ports;
  }

  read(slot: number, fn: number, offset: number, size: AccessSize): number {
    this.select(slot, fn, offset);
    return this.ports.readPort(CONFIG_DATA + (offset & 3), size);
  }

  write(slot: number, fn: number, offset: number, size: AccessSize, value: number): void {
    this.select(slot, fn, offset);
    this.ports.writePort(CONFIG_DATA + (offset & 3), size, value >>> 0);
  }

  private select(slot: number, fn: number, offset: number): void {
    this.ports.writePort(CONFIG_ADDRESS, 4, (0x80000000 | (slot << 11) | (fn << 8) | (offset & 0xfc)) >>> 0);
  }

  /** Calls `visit` for every function present. */
  forEach(visit: (slot: number, fn: number, id: number) => void): void {
    for (let slot = 0; slot < 32; slot++) {
      for (let fn = 0; fn < 8; fn++) {
        const id = this.read(slot, fn, VENDOR_ID, 4);
        const isThere = (id & 0xffff) !== 0xffff && (id & 0xffff) !== 0;
        if (isThere) visit(slot, fn, id);
        if (fn === 0 && (!isThere || (this.read(slot, 0, HEADER_TYPE, 1) & 0x80) === 0)) break;
      }
    }
  }
}

/** Places everything; `say` gets one line for each BAR that found no room. */
export function initialisePci(ports: PortAccess, say: (line: string) => void): void {
  const pci = new PciConfig(ports);
  const window = { io: IO_FIRST, memory: MEMORY_FIRST };
  pci.forEach((slot, fn, id) => {
    const classCode = pci.read(slot, fn, CLASS, 4) >>> 8;
    if (id === PIIX3_ISA) routeInterrupts(pci, slot, fn);
    if (id === PIIX4_PM) {
      pci.write(slot, fn, PM_BASE, 4, PM_IO | 1);
      pci.write(slot, fn, PM_MISC, 1, 1);
      pci.write(slot, fn, SMBUS_BASE, 4, SMBUS_IO | 1);
      pci.write(slot, fn, SMBUS_CONFIG, 1, SMBUS_ON);
    }
    if (PIIX_IDE.has(id)) {
      for (const channel of [0, 2]) pci.write(slot, fn, IDE_TIMING + channel, 2, IDE_CHANNEL_ENABLED);
    }
    if ((pci.read(slot, fn, HEADER_TYPE, 1) & 0x7f) !== 0) return;
    const decoded = placeBars(pci, slot, fn, classCode, window, say);
    const isIde = PIIX_IDE.has(id);
    const isStorage = classCode >> 16 === 1;
    const enable = decoded | (isIde ? COMMAND_IO : 0) | (isStorage ? COMMAND_BUS_MASTER : 0);
    if (enable !== 0) pci.write(slot, fn, COMMAND, 2, pci.read(slot, fn, COMMAND, 2) | enable);
    const pin = pci.read(slot, fn, INTERRUPT_PIN, 1);
    if (pin >= 1 && pin <= 4) {
      const irq = id === PIIX4_PM ? SCI_IRQ : pciIrq(slot, pin);
      pci.write(slot, fn, INTERRUPT_LINE, 1, irq);
    }
  });
  let levels = 1 << SCI_IRQ;
  for (const irq of pirqRouting) levels |= 1 << irq;
  ports.writePort(ELCR1, 1, levels & 0xff);
  ports.writePort(ELCR2, 1, levels >> 8);
}

function routeInterrupts(pci: PciConfig, slot: number, fn: number): void {
  pirqRouting.forEach((irq, pirq) => {
    pci.write(slot, fn, PIRQ_ROUTE + pirq, 1, irq);
  });
}

/** Returns the command bits for what was placed. */
function placeBars(
  pci: PciConfig,
  slot: number,
  fn: number,
  classCode: number,
  window: { io: number; memory: number },
  say: (line: string) => void,
): number {
  let command = 0;
  let frameBufferPlaced = classCode >> 16 !== 3;
  const saved = pci.read(slot, fn, COMMAND, 2);
  pci.write(slot, fn, COMMAND, 2, saved & ~(COMMAND_IO | COMMAND_MEMORY));
  for (let bar = 0; bar < 6; bar++) {
    const offset = BAR0 + bar * 4;
    pci.write(slot, fn, offset, 4, 0xffffffff);
    const mask = pci.read(slot, fn, offset, 4);
    pci.write(slot, fn, offset, 4, 0);
    if (mask === 0 || mask === 0xffffffff) continue;
    const isIo = (mask & 1) !== 0;
    const is64 = !isIo && (mask & 6) === 4;
    const size = isIo ? (~(mask & 0xfffc) & 0xffff) + 1 : (~(mask & 0xfffffff0) >>> 0) + 1;
    let base: number;
    if (!isIo && !frameBufferPlaced) {
      base = FRAME_BUFFER_BASE;
      frameBufferPlaced = true;
    } else {
      const kind = isIo ? "io" : "memory";
      base = Math.ceil(window[kind] / size) * size;
      if (base + size > (isIo ? IO_END : MEMORY_END)) {
        say(`firmware: no room for BAR ${bar} of PCI device ${slot}.${fn} (${size} bytes)`);
        continue;
      }
      window[kind] = base + size;
    }
    pci.write(slot, fn, offset, 4, base);
    command |= isIo ? COMMAND_IO : COMMAND_MEMORY;
    if (is64) {
      bar++;
      pci.write(slot, fn, offset + 4, 4, 0);
    }
  }
  pci.write(slot, fn, EXPANSION_ROM, 4, 0);
  pci.write(slot, fn, COMMAND, 2, saved);
  return command;
}
