import { describe, expect, test } from "vitest";
import { IdeGuest, MemoryMedium } from "./testing.ts";

function diskGuest(sizeBytes = 0x100000) {
  const medium = new MemoryMedium(sizeBytes);
  const guest = new IdeGuest({ model: "PIIX4", drives: [{ port: 0, device: 0, kind: "disk", backend: medium }] });
  return { guest, medium };
}

describe("PIO", () => {
  test.each([1, 2, 16, 255, 256])("READ SECTORS of %i: data and one interrupt per sector", (count) => {
    const { guest, medium } = diskGuest();
    const before = guest.irqRises;
    guest.command28(0x20, 3, count & 0xff);
    expect(guest.altStatus & 0x80).toBe(0x80);
    const data = guest.pioIn(count * 512, 512);
    expect(data).toEqual(medium.bytes.slice(3 * 512, (3 + count) * 512));
    expect(guest.irqRises - before).toBe(count);
    guest.pass();
    expect(guest.irqRises - before).toBe(count);
    expect(guest.status).toBe(0x50);
  });

  test("WRITE SECTORS: no interrupt before the first block, one after each", () => {
    const { guest, medium } = diskGuest();
    const data = Uint8Array.from({ length: 4 * 512 }, (_, i) => (i * 7) & 0xff);
    guest.command28(0x30, 9, 4);
    expect(guest.waitReady() & 0x08).toBe(0x08);
    expect(guest.irqRises).toBe(0);
    expect(guest.pioOut(data, 512)).toBe(0x50);
    expect(guest.irqRises).toBe(4);
    expect(medium.bytes.slice(9 * 512, 13 * 512)).toEqual(data);
  });
});

describe("DMA", () => {
  test("reads straight into guest RAM, some microseconds later, and invalidates first", () => {
    const { guest, medium } = diskGuest();
    guest.setRegions(0x1000, [
      [0x8000, 4096],
      [0x20000, 4096],
    ]);
    guest.command28(0xc8, 16, 16);
    guest.startBusMaster(true);
    expect(guest.irqLevel).toBe(false);
    const { bm, status } = guest.finishDma();
    expect(bm & 0x07).toBe(0x04);
    expect(status).toBe(0x50);
    const { bytes, invalidated } = guest.context.memory;
    expect(bytes.slice(0x8000, 0x9000)).toEqual(medium.bytes.slice(16 * 512, 24 * 512));
    expect(bytes.slice(0x20000, 0x21000)).toEqual(medium.bytes.slice(24 * 512, 32 * 512));
    expect(invalidated).toEqual([
      [0x8000, 4096],
      [0x20000, 4096],
    ]);
  });

  test("writes", () => {
    const { guest, medium } = diskGuest();
    const data = medium.bytes.slice(0x4000, 0x6000).map((byte) => byte ^ 0xff);
    guest.context.memory.write(0x8000, data);
    guest.setRegions(0x1000, [[0x8000, 0x2000]]);
    guest.command28(0xca, 32, 16);
    guest.startBusMaster(false);
    expect(guest.finishDma()).toEqual({ bm: 0x64, status: 0x50 });
    expect(medium.bytes.slice(0x4000, 0x6000)).toEqual(data);
  });
});
