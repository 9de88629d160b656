import { describe, expect, test } from "vitest";
import { IdeGuest, MemoryMedium, MemorySlot } from "./testing.ts";

const sectors = 80;

function dvdGuest(options: { isEmpty?: boolean } = {}) {
  const medium = new MemoryMedium(sectors * 2048);
  const slot = new MemorySlot(options.isEmpty ? undefined : medium);
  const guest = new IdeGuest({
    model: "PIIX4",
    drives: [{ port: 1, device: 0, kind: "dvd", slot }],
  }).useSecondary();
  return { guest, medium, slot };
}

const read10 = (lba: number, count: number) => [0x28, 0, 0, 0, lba >> 8, lba & 0xff, 0, count >> 8, count & 0xff];

describe("a BIOS boots the disc", () => {
  test("finds the drive, waits for it, reads by PIO", () => {
    const { guest, medium } = dvdGuest();
    guest.softReset();
    expect([guest.in(2), guest.in(3), guest.in(4), guest.in(5)]).toEqual([1, 1, 0x14, 0xeb]);
    expect(guest.identify(0, 0xa1)[0]).toBe(0x8580);
    expect(guest.testUnitReady()).toBe(0);
    const capacity = guest.packet([0x25]).data;
    expect([...capacity]).toEqual([0, 0, 0, sectors - 1, 0, 0, 8, 0]);
    const { data, blocks, status, reason } = guest.packet(read10(17, 1), { limit: 2048 });
    expect(data).toEqual(medium.bytes.slice(17 * 2048, 18 * 2048));
    expect({ blocks, status, reason }).toEqual({ blocks: [2048], status: 0x50, reason: 3 });
    expect(guest.packet(read10(16, 16), { limit: 2048 }).data).toEqual(medium.bytes.slice(16 * 2048, 32 * 2048));
  });
});

describe("Linux's sr", () => {
  test("reads by DMA", () => {
    const { guest, medium } = dvdGuest();
    guest.setRegions(0x1000, [
      [0x8000, 2048],
      [0x10000, 8192 - 2048],
    ]);
    guest.startPacket(read10(4, 4), 0, 0, true);
    guest.startBusMaster(true);
    expect(guest.finishDma()).toEqual({ bm: 0x64, status: 0x50 });
    expect(guest.in(2) & 3).toBe(3);
    const { bytes } = guest.context.memory;
    expect(bytes.slice(0x8000, 0x8800)).toEqual(medium.bytes.slice(8192, 8192 + 2048));
    expect(bytes.slice(0x10000, 0x11800)).toEqual(medium.bytes.slice(8192 + 2048, 16384));
  });
});
