import { describe, expect, it } from "vitest";
import { logicalHeads, masterBootRecord } from "./partition-table.ts";

describe("a master boot record", () => {
  it("names its partitions by LBA and by the CHS of the disk's logical geometry", () => {
    const sectors = (1 << 30) / 512;
    const record = Buffer.from(
      masterBootRecord(Buffer.from([0xfa]), sectors, 0x12345678, [
        { type: 0x0e, isActive: true, firstLba: 2048, sectors: 33 * 64 * 63 - 2048 },
        { type: 0x83, isActive: false, firstLba: 133120, sectors: sectors - 133120 },
      ]),
    );
    expect(record.length).toBe(512);
    expect(record[0]).toBe(0xfa);
    expect(record.readUInt32LE(440)).toBe(0x12345678);
    // 2048 = cylinder 0, head 32, sector 33; the end is the last sector of cylinder 32.
    expect(record.subarray(446, 462).toString("hex")).toBe("802021000e3f3f2000080000" + "c0ff0100");
    expect(record.readUInt32LE(462 + 8)).toBe(133120);
    expect(record.readUInt32LE(462 + 8) + record.readUInt32LE(462 + 12)).toBe(sectors);
    expect(record.readUInt16LE(510)).toBe(0xaa55);
  });

  it("says the last cylinder for what CHS cannot reach", () => {
    const record = masterBootRecord(new Uint8Array(0), 1 << 28, 0, [
      { type: 0x83, isActive: false, firstLba: 2048, sectors: (1 << 28) - 2048 },
    ]);
    expect([...record.subarray(446 + 5, 446 + 8)]).toEqual([254, 0xff, 0xff]);
  });

  it("uses the smallest head count whose cylinders fit in 1024", () => {
    const mib = 2048;
    expect([500, 504, 505, 1024, 4032, 8000].map((size) => logicalHeads(size * mib))).toEqual([
      16, 16, 32, 64, 128, 255,
    ]);
  });
});
