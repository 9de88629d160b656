/**
 * ACPI system description tables (ACPI 1.0b for the RSDT's side, 3.0 for the XSDT's): RSDT with a revision 1 FADT of 116
 * bytes, XSDT with a revision 4 FADT, FACS, DSDT, MADT when the I/O APIC is on, HPET when it is. Values of the fixed
 * hardware are those of VirtualBox's chipset.
 */
import type { MachineSpec } from "../../spec/machine-spec.ts";
import { acpiDataBase } from "../memory-map.ts";
import { buildDsdtBody } from "./dsdt.ts";

const OEM_ID = "ANNEAU";
const CREATOR_ID = "ANNE";
const HEADER_BYTES = 36;
const FACS_BYTES = 64;
const FADT_1_BYTES = 116;
const FADT_4_BYTES = 244;
const SCI = 9;
const SMI_COMMAND = 0x442e;
const ACPI_ENABLE = 0xa1;
const ACPI_DISABLE = 0xa0;
const PM1A_EVENT = 0x4000;
const PM1A_CONTROL = 0x4004;
const PM_TIMER = 0x4008;
const GPE0 = 0x4020;
const RESET_REGISTER = 0x4050;
const RESET_VALUE = 0x10;
/** Over 100 and 1000 µs: no C2, no C3. */
const NO_C2 = 101;
const NO_C3 = 1001;
const FLAG_WBINVD = 1 << 0;
const FLAG_PROC_C1 = 1 << 2;
const FLAG_FIX_RTC = 1 << 6;
const FLAG_TMR_VAL_EXT = 1 << 8;
const FLAG_RESET_REG_SUP = 1 << 10;
const BOOT_LEGACY_DEVICES = 1 << 0;
const BOOT_8042 = 1 << 1;
const LOCAL_APIC = 0xfee00000;
const IO_APIC = 0xfec00000;
const HPET = 0xfed00000;

export interface AcpiTables {
  /** To be placed at `base`, in the memory map's ACPI range. */
  readonly base: number;
  readonly bytes: Uint8Array;
  /** 36 bytes for a 16-byte border between E0000h and FFFFFh. */
  readonly rootPointer: Uint8Array;
}

/** Builds all tables at their final addresses. */
export function buildAcpiTables(spec: MachineSpec, ramBytes: number): AcpiTables {
  const base = acpiDataBase(ramBytes);
  const place = new Placement(base);
  const facs = place.add(buildFacs(), 64);
  const dsdt = place.add(table("DSDT", 1, Uint8Array.from(buildDsdtBody({ spec, ramBytes }))));
  const oldFadt = place.add(buildFadt(1, facs, dsdt));
  const fadt = place.add(buildFadt(4, facs, dsdt));
  const others: number[] = [];
  if (spec.ioApic) others.push(place.add(buildMadt(spec.cpuCount)));
  if (spec.hpet) others.push(place.add(buildHpet()));
  const rsdt = place.add(buildRoot("RSDT", 4, [oldFadt, ...others]));
  const xsdt = place.add(buildRoot("XSDT", 8, [fadt, ...others]));
  return { base, bytes: place.bytes(), rootPointer: buildRootPointer(rsdt, xsdt) };
}

/** Puts tables behind one another on 16-byte borders. */
class Placement {
  private readonly base: number;
  private readonly pieces: { readonly at: number; readonly bytes: Uint8Array }[] = [];
  private end = 0;

  constructor(base: number) {
    this.base = base;
  }

  add(bytes: Uint8Array, alignment = 16): number {
    const at = Math.ceil(this.end / alignment) * alignment;
    this.pieces.push({ at, bytes });
    this.end = at + bytes.length;
    return this.base + at;
  }

  bytes(): Uint8Array {
    const all = new Uint8Array(this.end);
    for (const { at, bytes } of this.pieces) all.set(bytes, at);
    return all;
  }
}

function setText(bytes: Uint8Array, at: number, text: string): void {
  for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
}

function checksum(bytes: Uint8Array): number {
  return -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
}

/** A table with the common header. */
function table(signature: string, revision: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + body.length);
  const view = new DataView(bytes.buffer);
  bytes.set(body, HEADER_BYTES);
  setText(bytes, 0, signature);
  view.setUint32(4, bytes.length, true);
  bytes[8] = revision;
  setText(bytes, 10, OEM_ID);
  setText(bytes, 16, `ANNE${signature}`);
  view.setUint32(24, 1, true);
  setText(bytes, 28, CREATOR_ID);
  view.setUint32(32, 1, true);
  bytes[9] = checksum(bytes);
  return bytes;
}

function buildFacs(): Uint8Array {
  const bytes = new Uint8Array(FACS_BYTES);
  setText(bytes, 0, "FACS");
  new DataView(bytes.buffer).setUint32(4, FACS_BYTES, true);
  bytes[32] = 1;
  return bytes;
}

function buildFadt(revision: 1 | 4, facs: number, dsdt: number): Uint8Array {
  const body = new Uint8Array((revision === 1 ? FADT_1_BYTES : FADT_4_BYTES) - HEADER_BYTES);
  const view = new DataView(body.buffer);
  const at = (offset: number) => offset - HEADER_BYTES;
  const u8 = (offset: number, value: number) => view.setUint8(at(offset), value);
  const u16 = (offset: number, value: number) => view.setUint16(at(offset), value, true);
  const u32 = (offset: number, value: number) => view.setUint32(at(offset), value, true);
  u32(36, facs);
  u32(40, dsdt);
  u16(46, SCI);
  u32(48, SMI_COMMAND);
  u8(52, ACPI_ENABLE);
  u8(53, ACPI_DISABLE);
  u32(56, PM1A_EVENT);
  u32(64, PM1A_CONTROL);
  u32(76, PM_TIMER);
  u32(80, GPE0);
  u8(88, 4);
  u8(89, 2);
  u8(91, 4);
  u8(92, 2);
  u16(96, NO_C2);
  u16(98, NO_C3);
  const flags = FLAG_WBINVD | FLAG_PROC_C1 | FLAG_FIX_RTC | FLAG_TMR_VAL_EXT;
  u32(112, revision === 1 ? flags : flags | FLAG_RESET_REG_SUP);
  if (revision === 1) return table("FACP", revision, body);

  u16(109, BOOT_LEGACY_DEVICES | BOOT_8042);
  /** A generic address of the I/O space. */
  const register = (offset: number, port: number, bits: number, accessSize: number) => {
    u8(offset, 1);
    u8(offset + 1, bits);
    u8(offset + 3, accessSize);
    u32(offset + 4, port);
  };
  register(116, RESET_REGISTER, 8, 1);
  u8(128, RESET_VALUE);
  u32(132, facs);
  u32(140, dsdt);
  register(148, PM1A_EVENT, 32, 2);
  register(172, PM1A_CONTROL, 16, 2);
  register(208, PM_TIMER, 32, 3);
  register(220, GPE0, 16, 1);
  return table("FACP", revision, body);
}

/** Multiple APIC description: processors, one I/O APIC, IRQ0 on input 2, the SCI level and active low. */
function buildMadt(cpuCount: number): Uint8Array {
  const body: number[] = [];
  const u16 = (value: number) => body.push(value & 0xff, value >> 8);
  const u32 = (value: number) => body.push(...[0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff));
  const override = (irq: number, gsi: number, flags: number) => {
    body.push(2, 10, 0, irq);
    u32(gsi);
    u16(flags);
  };
  u32(LOCAL_APIC);
  u32(1);
  for (let cpu = 0; cpu < cpuCount; cpu++) {
    body.push(0, 8, cpu, cpu);
    u32(1);
  }
  body.push(1, 12, cpuCount, 0);
  u32(IO_APIC);
  u32(0);
  override(0, 2, 0x0000);
  override(SCI, SCI, 0x000f);
  return table("APIC", 2, Uint8Array.from(body));
}

function buildHpet(): Uint8Array {
  const body = new Uint8Array(20);
  const view = new DataView(body.buffer);
  // Vendor 8086h, legacy routing, 64-bit counter, three comparators.
  view.setUint32(0, 0x8086a201, true);
  body[5] = 64;
  view.setUint32(8, HPET, true);
  view.setUint16(17, 0x0080, true);
  return table("HPET", 1, body);
}

function buildRoot(signature: "RSDT" | "XSDT", pointerBytes: 4 | 8, tables: readonly number[]): Uint8Array {
  const body = new Uint8Array(tables.length * pointerBytes);
  const view = new DataView(body.buffer);
  tables.forEach((address, i) => {
    view.setUint32(i * pointerBytes, address, true);
  });
  return table(signature, 1, body);
}

function buildRootPointer(rsdt: number, xsdt: number): Uint8Array {
  const bytes = new Uint8Array(36);
  const view = new DataView(bytes.buffer);
  setText(bytes, 0, "RSD PTR ");
  setText(bytes, 9, OEM_ID);
  bytes[15] = 2;
  view.setUint32(16, rsdt, true);
  view.setUint32(20, bytes.length, true);
  view.setUint32(24, xsdt, true);
  bytes[8] = checksum(bytes.subarray(0, 20));
  bytes[32] = checksum(bytes);
  return bytes;
}
