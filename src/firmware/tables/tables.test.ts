import { describe, expect, it } from "vitest";
import type { MachineSpec } from "../../spec/machine-spec.ts";
import { buildMemoryMap } from "../memory-map.ts";
import { buildSystemRom } from "../rom/system-rom.ts";
import { buildMpTable } from "./mp-table.ts";
import { buildPirTable } from "./pci-routing.ts";
import { buildSmbios } from "./smbios.ts";

const sum = (bytes: Uint8Array) => bytes.reduce((total, byte) => total + byte, 0) % 256;
const text = (bytes: Uint8Array, at: number, length: number) => String.fromCharCode(...bytes.subarray(at, at + length));
const spec = {
  uuid: "01234567-89ab-cdef-0123-456789abcdef",
  cpuCount: 2,
  ioApic: true,
} as MachineSpec;

describe("$PIR", () => {
  it("has good sums and the PIIX3's links, rotated by slot", () => {
    const table = buildPirTable();
    expect([text(table, 0, 4), table.length % 16, sum(table)]).toEqual(["$PIR", 0, 0]);
    const links = (slot: number) => [0, 1, 2, 3].map((pin) => table[32 + (slot - 1) * 16 + 2 + pin * 3]);
    expect([links(1), links(2), links(3)]).toEqual([
      [0x60, 0x61, 0x62, 0x63],
      [0x61, 0x62, 0x63, 0x60],
      [0x62, 0x63, 0x60, 0x61],
    ]);
  });
});

describe("the MP table", () => {
  it("has good sums, counts its entries and wires PCI as the I/O APIC is", () => {
    const bytes = buildMpTable(2, 0xf1000);
    const view = new DataView(bytes.buffer);
    expect([text(bytes, 0, 4), sum(bytes.subarray(0, 16)), view.getUint32(4, true)]).toEqual(["_MP_", 0, 0xf1010]);
    const table = bytes.subarray(16);
    expect([text(table, 0, 4), sum(table), view.getUint16(16 + 4, true)]).toEqual(["PCMP", 0, table.length]);
    const kinds = new Map<number, number>();
    const inputs = new Map<number, number>();
    let entries = 0;
    for (let at = 44; at < table.length; entries++) {
      const kind = table[at];
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      if (kind === 3 && table[at + 4] === 0) inputs.set(table[at + 5], table[at + 7]);
      at += kind === 0 ? 20 : 8;
    }
    expect(entries).toBe(view.getUint16(16 + 34, true));
    expect([kinds.get(0), kinds.get(1), kinds.get(2), kinds.get(4)]).toEqual([2, 2, 1, 2]);
    // NIC 1 in slot 3, pin A.
    expect(inputs.get(3 << 2)).toBe(19);
  });
});

describe("SMBIOS", () => {
  it("has VirtualBox's names, the machine's UUID and our string", () => {
    const { bytes } = buildSmbios(spec, 0xf0000);
    const view = new DataView(bytes.buffer);
    expect([text(bytes, 0, 4), sum(bytes.subarray(0, 31)), text(bytes, 16, 5), sum(bytes.subarray(16, 31))]).toEqual([
      "_SM_",
      0,
      "_DMI_",
      0,
    ]);
    expect(view.getUint32(24, true)).toBe(0xf0020);
    const found = new Map<number, { fixed: Uint8Array; strings: string[] }>();
    let at = 0x20;
    for (let i = 0; i < view.getUint16(28, true); i++) {
      const start = at;
      at += bytes[start + 1];
      const strings: string[] = [];
      while (bytes[at] !== 0) {
        const end = bytes.indexOf(0, at);
        strings.push(text(bytes, at, end - at));
        at = end + 1;
      }
      at += strings.length === 0 ? 2 : 1;
      found.set(bytes[start], { fixed: bytes.subarray(start, start + bytes[start + 1]), strings });
    }
    expect(at - 0x20).toBe(view.getUint16(22, true));
    expect([...found.keys()]).toEqual([0, 1, 2, 3, 11, 127]);
    expect(found.get(0)!.strings).toEqual(["innotek GmbH", "VirtualBox", "12/01/2006"]);
    expect(found.get(1)!.strings).toEqual(["innotek GmbH", "VirtualBox", "1.2", "0", "Virtual Machine"]);
    expect([...found.get(1)!.fixed.subarray(8, 16)]).toEqual([0x67, 0x45, 0x23, 0x01, 0xab, 0x89, 0xef, 0xcd]);
    expect(found.get(11)!.strings).toEqual(["Anneau"]);
  });
});

describe("the memory map", () => {
  it.each([4, 16, 64, 3584])("of %i MiB is sorted, does not overlap and ends RAM with the ACPI tables", (mib) => {
    const map = buildMemoryMap(mib * 0x100000);
    for (let i = 1; i < map.length; i++) {
      expect(map[i].base).toBeGreaterThanOrEqual(map[i - 1].base + map[i - 1].lengthBytes);
      expect(map[i].lengthBytes).toBeGreaterThan(0);
    }
    expect(map.find((range) => range.type === 3)).toEqual({
      base: mib * 0x100000 - 0x10000,
      lengthBytes: 0x10000,
      type: 3,
    });
  });
});

describe("the system ROM", () => {
  it("fits, has its entry points and the tables where they are looked for", () => {
    const rootPointer = new Uint8Array(36).fill(1);
    const { bytes } = buildSystemRom(spec, { media: [], order: [] }, rootPointer);
    expect(bytes.length).toBe(0x20000);
    expect(bytes.subarray(0, 36)).toEqual(rootPointer);
    const segment = bytes.subarray(0x10000);
    expect(sum(segment)).toBe(0);
    expect([...segment.subarray(0xfff0, 0xfff5)]).toEqual([0xea, 0x5b, 0xe0, 0x00, 0xf0]);
    expect([text(segment, 0xfff5, 8), segment[0xfffe]]).toEqual(["06/23/99", 0xfc]);
    const found: string[] = [];
    for (let at = 0; at < segment.length; at += 16)
      for (const name of ["_SM_", "_MP_", "_32_", "$PIR"]) if (text(segment, at, 4) === name) found.push(name);
    expect(found.sort()).toEqual(["$PIR", "_32_", "_MP_", "_SM_"]);
    // INT 13h and 19h begin with a jump at their old places.
    for (const place of [0xe3fe, 0xe6f2, 0xec59, 0xf859]) expect([0xe9, 0xeb]).toContain(segment[place]);
  });
});
