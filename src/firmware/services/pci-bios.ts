/**
 * PCI BIOS 2.10 (AH = B1h): called in real mode through INT 1Ah and in 16- and 32-bit protected mode through the BIOS32
 * entry; the same function serves all, because registers are all it uses except in B10Eh. One bus, configuration
 * mechanism 1.
 */

import type { AccessSize } from "../../device-api/io-window.ts";
import type { VirtualCpu } from "../../device-api/virtual-cpu.ts";
import type { Caller } from "../caller.ts";
import type { PortAccess } from "../index.ts";
import { PciConfig } from "../post/pci-setup.ts";
import { buildRoutingOptions, EXCLUSIVE_PCI_IRQS } from "../tables/pci-routing.ts";

const SUCCESSFUL = 0x00;
const FUNC_NOT_SUPPORTED = 0x81;
const BAD_VENDOR_ID = 0x83;
const DEVICE_NOT_FOUND = 0x86;
const BAD_REGISTER_NUMBER = 0x87;
const SET_FAILED = 0x88;
const BUFFER_TOO_SMALL = 0x89;
const PCI_SIGNATURE = 0x20494350;

/** Serves one call. `width` is the size of pointers in registers. */
export function pciBios(cpu: VirtualCpu, ports: PortAccess, caller: Caller, width: 16 | 32): void {
  const pci = new PciConfig(ports);
  switch (caller.al) {
    case 0x01:
      caller.edx = PCI_SIGNATURE;
      caller.al = 0x01;
      caller.bx = 0x0210;
      caller.cl = 0;
      caller.finish(SUCCESSFUL);
      return;
    case 0x02:
      findDevice(pci, caller);
      return;
    case 0x03:
      findClass(pci, caller);
      return;
    case 0x06:
      caller.finish(FUNC_NOT_SUPPORTED);
      return;
    case 0x08:
    case 0x09:
    case 0x0a:
      readConfig(pci, caller, (1 << (caller.al - 8)) as AccessSize, width);
      return;
    case 0x0b:
    case 0x0c:
    case 0x0d:
      writeConfig(pci, caller, (1 << (caller.al - 0x0b)) as AccessSize, width);
      return;
    case 0x0e:
      getRoutingOptions(cpu, caller, width);
      return;
    case 0x0f:
      setInterrupt(pci, caller);
      return;
    default:
      caller.finish(FUNC_NOT_SUPPORTED);
  }
}

function findDevice(pci: PciConfig, caller: Caller): void {
  if (caller.dx === 0xffff) {
    caller.finish(BAD_VENDOR_ID);
    return;
  }
  const wanted = ((caller.cx << 16) | caller.dx) >>> 0;
  findNth(pci, caller, (_slot, _fn, id) => id === wanted);
}

function findClass(pci: PciConfig, caller: Caller): void {
  const wanted = caller.ecx & 0xffffff;
  findNth(pci, caller, (slot, fn) => pci.read(slot, fn, 0x08, 4) >>> 8 === wanted);
}

/** BH = bus, BL = device and function of match number SI. */
function findNth(pci: PciConfig, caller: Caller, matches: (slot: number, fn: number, id: number) => boolean): void {
  let left = caller.si;
  let found: number | undefined;
  pci.forEach((slot, fn, id) => {
    if (found === undefined && matches(slot, fn, id) && left-- === 0) found = (slot << 3) | fn;
  });
  if (found === undefined) caller.finish(DEVICE_NOT_FOUND);
  else {
    caller.bx = found;
    caller.finish(SUCCESSFUL);
  }
}

function registerOf(caller: Caller, size: AccessSize, width: 16 | 32): number | undefined {
  const offset = width === 32 ? caller.edi : caller.di;
  return offset < 0x100 && offset % size === 0 ? offset : undefined;
}

function readConfig(pci: PciConfig, caller: Caller, size: AccessSize, width: 16 | 32): void {
  const offset = registerOf(caller, size, width);
  if (offset === undefined) {
    caller.finish(BAD_REGISTER_NUMBER);
    return;
  }
  const value = caller.bh === 0 ? pci.read(caller.bl >> 3, caller.bl & 7, offset, size) : 2 ** (8 * size) - 1;
  if (size === 1) caller.cl = value;
  else if (size === 2) caller.cx = value;
  else caller.ecx = value;
  caller.finish(SUCCESSFUL);
}

function writeConfig(pci: PciConfig, caller: Caller, size: AccessSize, width: 16 | 32): void {
  const offset = registerOf(caller, size, width);
  if (offset === undefined) {
    caller.finish(BAD_REGISTER_NUMBER);
    return;
  }
  const value = size === 1 ? caller.cl : size === 2 ? caller.cx : caller.ecx;
  if (caller.bh === 0) pci.write(caller.bl >> 3, caller.bl & 7, offset, size, value);
  caller.finish(SUCCESSFUL);
}

/** ES:(E)DI is a word of length and a far pointer to the buffer; the caller's segment DS has no part in it. */
function getRoutingOptions(cpu: VirtualCpu, caller: Caller, width: 16 | 32): void {
  const header = (caller.esBase + (width === 32 ? caller.edi : caller.di)) >>> 0;
  const room = cpu.readLinear(header, 2);
  const options = buildRoutingOptions();
  cpu.writeLinear(header, 2, options.length);
  if (room < options.length) {
    caller.finish(BUFFER_TOO_SMALL);
    return;
  }
  const offset = cpu.readLinear((header + 2) >>> 0, width === 32 ? 4 : 2);
  const selector = cpu.readLinear((header + (width === 32 ? 6 : 4)) >>> 0, 2);
  const base = baseOfSelector(cpu, caller, selector);
  if (base === undefined) {
    caller.finish(SET_FAILED);
    return;
  }
  cpu.writeLinearBytes((base + offset) >>> 0, options);
  caller.bx = EXCLUSIVE_PCI_IRQS;
  caller.finish(SUCCESSFUL);
}

/** In protected mode the buffer's selector is one the caller has loaded: anything else cannot be resolved here. */
function baseOfSelector(cpu: VirtualCpu, caller: Caller, selector: number): number | undefined {
  if (cpu.mode !== "protected") return selector * 16;
  if (selector === caller.es) return caller.esBase;
  for (const name of ["ds", "ss", "fs", "gs"] as const) {
    const segment = cpu.getSegment(name);
    if (segment.selector === selector) return segment.base;
  }
  return undefined;
}

/** Routes a pin to an IRQ only if it goes there already: the board's PIRQs are shared and fixed by POST. */
function setInterrupt(pci: PciConfig, caller: Caller): void {
  const pin = caller.cl - 0x0a;
  const irq = caller.ch;
  const slot = caller.bl >> 3;
  if (caller.bh !== 0 || pin < 0 || pin > 3) {
    caller.finish(SET_FAILED);
    return;
  }
  const pirq = (slot - 1 + pin) & 3;
  const routed = pci.read(1, 0, 0x60 + pirq, 1);
  caller.finish(routed === irq ? SUCCESSFUL : SET_FAILED);
}
