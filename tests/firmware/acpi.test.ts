/** The ACPI tables through Intel's own tools (rows 12 and 13). Needs Debian's acpica-tools. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { CAPABILITIES_LOW, MEMORY_BASE as HPET_BASE } from "../../src/devices/hpet/registers.ts";
import { type AcpiTables, buildAcpiTables } from "../../src/firmware/acpi/tables.ts";
import { pciIrq } from "../../src/firmware/post/pci-setup.ts";
import { testSpec } from "../../src/machine/testing.ts";
import type { MachineSpec } from "../../src/spec/machine-spec.ts";

const MIB = 0x100000;
const folder = mkdtempSync(join(tmpdir(), "anneau-acpi-"));
afterAll(() => rmSync(folder, { recursive: true }));

const full: Partial<MachineSpec> = {
  ioApic: true,
  hpet: true,
  cpuCount: 4,
  floppy: { drives: [0] },
  parallels: [{ enabled: true, ioBase: 0x378, irq: 7 }],
};

function run(tool: string, ...args: string[]): string {
  const done = spawnSync(tool, args, { cwd: folder, encoding: "utf8" });
  if (done.error) throw new Error(`${tool} is missing: apt-get install acpica-tools`);
  return done.stdout + done.stderr;
}

function tables(spec: Partial<MachineSpec>, ramMiB = 64): AcpiTables {
  return buildAcpiTables({ ...testSpec, ...spec }, ramMiB * MIB);
}

/** The table at a guest-physical address. */
function at({ base, bytes }: AcpiTables, address: number): Uint8Array {
  const offset = address - base;
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(offset + 4, true);
  return bytes.subarray(offset, offset + length);
}

const u32 = (table: Uint8Array, offset: number) =>
  new DataView(table.buffer, table.byteOffset, table.length).getUint32(offset, true);
const signature = (table: Uint8Array) => String.fromCharCode(...table.subarray(0, 4));
const sum = (table: Uint8Array) => table.reduce((total, byte) => total + byte, 0) % 256;

/** All tables reachable from the root pointer, by root. */
function walk(all: AcpiTables): { rsdt: Uint8Array[]; xsdt: Uint8Array[] } {
  const pointers = (root: Uint8Array, step: number) => {
    const found: Uint8Array[] = [];
    for (let offset = 36; offset < root.length; offset += step) found.push(at(all, u32(root, offset)));
    return found;
  };
  return {
    rsdt: pointers(at(all, u32(all.rootPointer, 16)), 4),
    xsdt: pointers(at(all, u32(all.rootPointer, 24)), 8),
  };
}

function dsdtFile(spec: Partial<MachineSpec>, ramMiB?: number): string {
  const all = tables(spec, ramMiB);
  const dsdt = at(all, u32(walk(all).rsdt[0], 40));
  writeFileSync(join(folder, "dsdt.aml"), dsdt);
  return "dsdt.aml";
}

describe("ACPI tables", () => {
  it.each([
    ["the smallest machine", {}, ["FACP"]],
    ["with I/O APIC and HPET", full, ["FACP", "APIC", "HPET"]],
    ["with 32 processors", { ...full, cpuCount: 32 }, ["FACP", "APIC", "HPET"]],
  ] as const)("have good checksums and lengths: %s", (_what, spec, expected) => {
    const all = tables(spec);
    expect(all.bytes.length).toBeLessThanOrEqual(0x10000);
    expect([sum(all.rootPointer.subarray(0, 20)), sum(all.rootPointer), all.rootPointer[15]]).toEqual([0, 0, 2]);
    const { rsdt, xsdt } = walk(all);
    expect(rsdt.map(signature)).toEqual(expected);
    expect(xsdt.map(signature)).toEqual(expected);
    for (const table of [...rsdt, ...xsdt]) expect([signature(table), sum(table)]).toEqual([signature(table), 0]);
    expect([rsdt[0].length, rsdt[0][8], rsdt[0][44]]).toEqual([116, 1, 0]);
    expect([xsdt[0].length, xsdt[0][8]]).toEqual([244, 4]);
    const facs = u32(rsdt[0], 36);
    expect([facs % 64, signature(at(all, facs))]).toEqual([0, "FACS"]);
    const dsdt = at(all, u32(rsdt[0], 40));
    expect([signature(dsdt), sum(dsdt)]).toEqual(["DSDT", 0]);
  });

  it("name the interrupt controllers and the HPET as they are", () => {
    const all = tables(full);
    const [, madt, hpet] = walk(all).rsdt;
    expect([u32(madt, 36), u32(madt, 40)]).toEqual([0xfee00000, 1]);
    const entries: number[][] = [];
    for (let offset = 44; offset < madt.length; offset += madt[offset + 1])
      entries.push([...madt.subarray(offset, offset + madt[offset + 1])]);
    expect(entries).toEqual([
      ...[0, 1, 2, 3].map((cpu) => [0, 8, cpu, cpu, 1, 0, 0, 0]),
      // The id that the firmware gives it, FEC00000h, inputs from 0.
      [1, 12, 4, 0, 0x00, 0x00, 0xc0, 0xfe, 0, 0, 0, 0],
      // ISA 0 on input 2 as ISA has it; the SCI level and active low.
      [2, 10, 0, 0, 2, 0, 0, 0, 0, 0],
      [2, 10, 0, 9, 9, 0, 0, 0, 0x0f, 0],
    ]);
    expect([u32(hpet, 36), u32(hpet, 44), u32(hpet, 48)]).toEqual([CAPABILITIES_LOW, HPET_BASE, 0]);
  });

  it("disassemble and compile again without a complaint that matters", () => {
    const all = tables(full);
    const { rsdt, xsdt } = walk(all);
    for (const [i, table] of [...rsdt, ...xsdt].entries()) {
      writeFileSync(join(folder, `table${i}.aml`), table);
      const said = run("iasl", "-d", `table${i}.aml`);
      expect(said).not.toMatch(/error|warning|invalid/i);
    }
    const file = dsdtFile(full);
    expect(run("iasl", "-d", file)).not.toMatch(/error|warning|invalid/i);
    const said = run("iasl", "-p", "again", "dsdt.dsl");
    expect(said).toContain("0 Errors");
    // Only the Processor keyword, which Windows before ACPI 6 needs.
    expect([...said.matchAll(/Warning\s+(\d+)/g)].every((match) => match[1] === "3168")).toBe(true);
  });

  it("route interrupts as the board is wired, in both interrupt models", () => {
    const file = dsdtFile(full);
    for (const model of [0, 1]) {
      const said = run("acpiexec", "-b", `execute \\_PIC ${model};execute \\_SB.PCI0._PRT`, file);
      const entries = [...said.matchAll(/\[Package\] Contains 4 Elements:\n((?:.*\n){4})/g)].map((match) =>
        match[1].split("\n").slice(0, 4),
      );
      expect(entries.length).toBe(25 * 4);
      for (const [address, pinText, source, index] of entries) {
        const value = Number.parseInt(/= ([0-9A-F]+)/.exec(address)![1], 16);
        const pin = Number.parseInt(/= ([0-9A-F]+)/.exec(pinText)![1], 16);
        const slot = value >> 16;
        expect(value & 0xffff).toBe(0xffff);
        if (model === 0) {
          const link = /LNK([A-D])/.exec(source)![1].charCodeAt(0) - 0x41;
          expect([11, 10, 9, 11][link]).toBe(pciIrq(slot, pin + 1));
        } else {
          const gsi = Number.parseInt(/= ([0-9A-F]+)/.exec(index)![1], 16);
          expect(gsi).toBe(16 + ((slot + pin) & 7));
        }
      }
    }
  });

  it("have link devices with every method, working", () => {
    const file = dsdtFile(full);
    for (const link of ["LNKA", "LNKB", "LNKC", "LNKD"]) {
      const commands = [
        `namespace \\_SB.${link}`,
        `execute \\_SB.${link}._DIS`,
        `execute \\_SB.${link}._STA`,
        `execute \\_SB.${link}._SRS (23 00 08 18 79 00)`,
        `execute \\_SB.${link}._CRS`,
        `execute \\_SB.${link}._STA`,
      ];
      const said = run("acpiexec", "-b", commands.join(";"), file);
      for (const method of ["_HID", "_UID", "_STA", "_PRS", "_CRS", "_SRS", "_DIS"])
        expect(said).toContain(` ${method} `);
      const states = [...said.matchAll(/\[Integer\] = ([0-9A-F]+)/g)].map((match) => Number.parseInt(match[1], 16));
      expect(states).toEqual([0x09, 0x0b]);
      // IRQ 11: bit 3 of the high byte.
      expect(said).toMatch(/\[Buffer\] Length 06 =\s+0000: 23 00 08 18 79 00/);
    }
  });

  it("give the PCI root windows that RAM does not touch", () => {
    for (const ramMiB of [4, 64, 3584]) {
      const said = run("acpiexec", "-b", "resources \\_SB.PCI0", dsdtFile(full, ramMiB));
      const ranges = [...said.matchAll(/Address Minimum : ([0-9A-F]+)\s+Address Maximum : ([0-9A-F]+)/g)].map(
        (match) => [Number.parseInt(match[1], 16), Number.parseInt(match[2], 16)],
      );
      expect(ranges).toContainEqual([0x0000, 0x00ff]);
      expect(ranges).toContainEqual([0x0d00, 0xffff]);
      expect(ranges).toContainEqual([0xa0000, 0xbffff]);
      expect(ranges).toContainEqual([ramMiB * MIB, 0xfdffffff]);
    }
  });

  it("describe only what the machine has", () => {
    const names = (spec: Partial<MachineSpec>) => run("acpiexec", "-b", "namespace \\_SB", dsdtFile(spec));
    const small = names({ uarts: [] });
    for (const absent of ["FDC0", "COM1", "LPT1", "HPET"]) expect(small).not.toContain(absent);
    const large = names(full);
    for (const present of ["FDC0", "COM1", "LPT1", "HPET", "PS2K", "PS2M", "RTC_"]) expect(large).toContain(present);
    const file = join(folder, dsdtFile({ ...full, cpuCount: 32 }));
    expect(readFileSync(file).includes("CP1F")).toBe(true);
    expect(() => execFileSync("acpiexec", ["-b", "namespace \\_PR", file])).not.toThrow();
  });
});
