import { describe, expect, test } from "vitest";
import { seededRandom } from "../device-api/testing.ts";
import { geometryBySize, geometryFromPartitionTable, logicalGeometry, physicalGeometry } from "./geometry.ts";

const mib = 2048;

function partitionTable(entries: { endHead: number; endSector: number; sectors: number }[]): Uint8Array {
  const sector = new Uint8Array(512);
  sector[510] = 0x55;
  sector[511] = 0xaa;
  entries.forEach(({ endHead, endSector, sectors }, i) => {
    const at = 446 + 16 * i;
    sector[at + 5] = endHead;
    sector[at + 6] = endSector | 0xc0;
    for (let byte = 0; byte < 4; byte++) sector[at + 12 + byte] = sectors >>> (8 * byte);
  });
  return sector;
}

const text = (g: { cylinders: number; heads: number; sectors: number } | undefined) =>
  g && `${g.cylinders}/${g.heads}/${g.sectors}`;

describe("physical geometry", () => {
  test.each([
    [1, "1/16/63"],
    [40 * mib, "81/16/63"],
    [504 * mib, "1024/16/63"],
    [1024 * mib, "2080/16/63"],
    [8 * 1024 * mib, "16383/16/63"],
    [2 ** 32, "16383/16/63"],
  ])("of %i sectors is %s", (sectors, expected) => {
    expect(text(physicalGeometry(sectors))).toBe(expected);
  });
});

describe("logical geometry", () => {
  test("what the image stores comes first", () => {
    const stored = { cylinders: 520, heads: 32, sectors: 63 };
    const table = partitionTable([{ endHead: 254, endSector: 63, sectors: 1000 }]);
    expect(logicalGeometry(1024 * mib, stored, table)).toBe(stored);
  });

  test("a stored geometry that no BIOS can express is ignored", () => {
    for (const stored of [
      { cylinders: 0, heads: 16, sectors: 63 },
      { cylinders: 16383, heads: 16, sectors: 63 },
      { cylinders: 1024, heads: 256, sectors: 63 },
      { cylinders: 1024, heads: 16, sectors: 64 },
      { cylinders: Number.NaN, heads: 16, sectors: 63 },
    ]) {
      expect(text(logicalGeometry(1024 * mib, stored, undefined))).toBe("520/64/63");
    }
  });

  test("then the partition table's", () => {
    const table = partitionTable([{ endHead: 31, endSector: 63, sectors: 2_000_000 }]);
    expect(text(logicalGeometry(1024 * mib, undefined, table))).toBe("1024/32/63");
    expect(text(logicalGeometry(512 * mib, undefined, table))).toBe("520/32/63");
  });

  test("entries without size, end head or end sector are passed over", () => {
    const table = partitionTable([
      { endHead: 15, endSector: 63, sectors: 0 },
      { endHead: 0, endSector: 63, sectors: 5 },
      { endHead: 63, endSector: 0, sectors: 5 },
      { endHead: 127, endSector: 63, sectors: 5 },
    ]);
    expect(text(geometryFromPartitionTable(4096 * mib, table))).toBe("1024/128/63");
  });

  test("a sector without signature holds no table", () => {
    const table = partitionTable([{ endHead: 15, endSector: 63, sectors: 9 }]);
    table[511] = 0;
    expect(geometryFromPartitionTable(4096 * mib, table)).toBeUndefined();
    expect(geometryFromPartitionTable(4096 * mib, new Uint8Array(10))).toBeUndefined();
  });

  test.each([
    [400, "812/16/63"],
    [504, "1024/16/63"],
    [1000, "1015/32/63"],
    [1024, "520/64/63"],
    [2 * 1024, "520/128/63"],
    [4 * 1024, "522/255/63"],
    [10 * 1024, "1024/255/63"],
    [2 * 1024 * 1024, "1024/255/63"],
  ])("%i MiB without other sources", (sizeMib, expected) => {
    expect(text(logicalGeometry(sizeMib * mib, undefined, new Uint8Array(512)))).toBe(expected);
  });

  test("never out of range, whatever the sizes and tables", () => {
    const random = seededRandom(7);
    for (let i = 0; i < 5000; i++) {
      const sectors = random(2) === 0 ? random(5_000_000) : random(2 ** 32);
      const table = Uint8Array.from({ length: 512 }, () => random(256));
      table[510] = 0x55;
      table[511] = 0xaa;
      for (const geometry of [logicalGeometry(sectors, undefined, table), geometryBySize(sectors)]) {
        expect(geometry.cylinders).toBeLessThanOrEqual(1024);
        expect(geometry.heads).toBeLessThanOrEqual(255);
        expect(geometry.sectors).toBeLessThanOrEqual(63);
        expect(Math.min(geometry.cylinders, geometry.heads, geometry.sectors)).toBeGreaterThan(0);
      }
    }
  });
});
