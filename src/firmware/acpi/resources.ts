/** Resource descriptors of _CRS and _PRS (ACPI specification 2.0, 6.4): small and large items, end tag with checksum 0. */
import { type Aml, buffer } from "./aml.ts";

export type Resource = readonly number[];

const word = (value: number) => [value & 0xff, (value >> 8) & 0xff];
const dword = (value: number) => [...word(value & 0xffff), ...word(value >>> 16)];

/** A resource template as a buffer. */
export function resourceTemplate(...resources: Resource[]): Aml {
  return buffer([...resources.flat(), 0x79, 0x00]);
}

/** Fixed 16-bit ports. */
export function ioPorts(base: number, length: number, alignment = 1): Resource {
  return [0x47, 0x01, ...word(base), ...word(base), alignment, length];
}

/** Edge, active high, exclusive: an ISA interrupt. */
export function isaIrq(...irqs: number[]): Resource {
  return [0x22, ...word(irqs.reduce((mask, irq) => mask | (1 << irq), 0))];
}

/** Level, active low, shared: a PCI interrupt. */
export function pciIrq(...irqs: number[]): Resource {
  return [0x23, ...word(irqs.reduce((mask, irq) => mask | (1 << irq), 0)), 0x18];
}

/** Compatible DMA, 8 bits (not a bus master), or 16 bits. */
export function dma(channel: number, width: 8 | 16 = 8): Resource {
  return [0x2a, 1 << channel, width === 8 ? 0x00 : 0x02];
}

/** Fixed 32-bit memory, read only or read/write. */
export function fixedMemory(base: number, lengthBytes: number, isWritable: boolean): Resource {
  return [0x86, 9, 0, isWritable ? 1 : 0, ...dword(base), ...dword(lengthBytes)];
}

const PRODUCER = 0;
const FIXED = 0x0c;
const POSITIVE = 0;

/** Bus numbers that a bridge produces. */
export function busNumbers(first: number, last: number): Resource {
  const fields = [0, first, last, 0, last - first + 1].flatMap(word);
  return [0x88, 13, 0, 2, PRODUCER | FIXED | POSITIVE, 0, ...fields];
}

/** Ports that a bridge produces (the entire range). */
export function bridgePorts(first: number, last: number): Resource {
  const fields = [0, first, last, 0, last - first + 1].flatMap(word);
  return [0x88, 13, 0, 1, PRODUCER | FIXED | POSITIVE, 3, ...fields];
}

/** Memory that a bridge produces, read/write; cacheable or not. */
export function bridgeMemory(first: number, last: number, isCacheable: boolean): Resource {
  const fields = [0, first, last, 0, last - first + 1].flatMap(dword);
  return [0x87, 23, 0, 0, PRODUCER | FIXED | POSITIVE, isCacheable ? 3 : 1, ...fields];
}
