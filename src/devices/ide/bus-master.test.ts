import { describe, expect, test } from "vitest";
import { IdeGuest, MemoryMedium, type Region } from "./testing.ts";

const medium = new MemoryMedium(0x40000);
const pristine = medium.bytes.slice();

function diskGuest(ramBytes = 0x80000) {
  medium.bytes.set(pristine);
  medium.isDeferred = false;
  medium.log.length = 0;
  return new IdeGuest(
    { model: "PIIX4", drives: [{ port: 0, device: 0, kind: "disk", backend: medium }] },
    { ramBytes },
  );
}

/** Regions of the given sizes with gaps between, from `gpa`. */
function spread(gpa: number, sizes: readonly number[]): Region[] {
  let at = gpa;
  return sizes.map((bytes) => {
    const region = [at, bytes] as const;
    at += bytes + 6;
    return region;
  });
}
const repeat = (bytes: number, total: number) => [
  ...Array.from({ length: Math.floor(total / bytes) }, () => bytes),
  ...(total % bytes ? [total % bytes] : []),
];
const collect = (guest: IdeGuest, regions: readonly Region[]) =>
  Uint8Array.from(regions.flatMap(([gpa, bytes]) => [...guest.context.memory.bytes.slice(gpa, gpa + bytes)]));

describe("registers", () => {
  test("drives that exist are reported DMA-capable, and the bits are the guest's", () => {
    const guest = diskGuest();
    expect(guest.bmStatus).toBe(0x20);
    guest.useSecondary();
    expect(guest.bmStatus).toBe(0x00);
    guest.bmOut(2, 1, 0x60);
    expect(guest.bmStatus).toBe(0x60);
  });

  test("table address: aligned, readable by bytes and double words", () => {
    const guest = diskGuest();
    guest.bmOut(4, 4, 0x12345677);
    expect(guest.bmIn(4, 4)).toBe(0x12345674);
    guest.bmOut(6, 1, 0xab);
    expect(guest.bmIn(4, 4)).toBe(0x12ab5674);
    expect(guest.bmIn(6, 2)).toBe(0x12ab);
  });

  test("one 32-bit read gives command and status", () => {
    const guest = diskGuest();
    guest.bmOut(0, 1, 0x08);
    expect(guest.bmIn(0, 4)).toBe(0x0020_0008);
    expect(guest.bmIn(1, 1)).toBe(0);
  });

  test("interrupt and error bits are cleared by writing one", () => {
    const guest = diskGuest();
    guest.simple(0xe5);
    expect(guest.bmStatus & 0x04).toBe(0x04);
    guest.bmOut(2, 1, 0x20);
    expect(guest.bmStatus & 0x04).toBe(0x04);
    guest.bmOut(2, 1, 0x24);
    expect(guest.bmStatus).toBe(0x20);
  });
});

describe("interrupts show in bit 2, whatever the protocol", () => {
  test.each([
    [0x20, 1, 1],
    [0x20, 16, 16],
    [0xc4, 16, 2],
    [0x30, 16, 16],
    [0xc5, 16, 2],
  ])("command %i over %i sectors: %i times", (code, count, expected) => {
    const guest = diskGuest();
    guest.simple(0xc6, 0, { count: 8 });
    guest.bmOut(2, 1, 0x24);
    const rises = guest.irqRises;
    let seen = 0;
    const blockBytes = code >= 0xc0 ? 4096 : 512;
    guest.command28(code, 0, count);
    for (let block = 0; block <= (count * 512) / blockBytes; block++) {
      guest.waitReady();
      if (guest.bmStatus & 0x04) seen++;
      guest.bmOut(2, 1, 0x24);
      const { status } = guest;
      if ((status & 0x08) === 0) break;
      if (code === 0x20 || code === 0xc4) guest.readWords(blockBytes / 2);
      else guest.writeWords(new Uint8Array(blockBytes));
    }
    guest.pass();
    expect(seen).toBe(expected);
    expect(guest.irqRises - rises).toBe(expected);
  });
});

describe("descriptor lists", () => {
  const sectors = 24;
  const total = sectors * 512;
  test.each([
    ["one region", [total]],
    ["sectors", repeat(512, total)],
    ["bytes in pairs", repeat(2, total)],
    ["thousands", repeat(1000, total)],
    ["odd splits", [2, 510, 4, 1022, 6, total - 1544]],
    ["more than is needed", [4096, total]],
  ])("%s", (_name, sizes) => {
    for (const isRead of [true, false]) {
      const guest = diskGuest();
      const regions = spread(0x20000, sizes);
      guest.setRegions(0x1000, regions);
      const before = guest.context.memory.bytes.slice();
      if (!isRead) {
        for (const [gpa, bytes] of regions) for (let i = 0; i < bytes; i++) guest.context.memory.bytes[gpa + i] = i * 3;
      }
      guest.command28(isRead ? 0xc8 : 0xca, 7, sectors);
      guest.startBusMaster(isRead);
      const { bm, status } = guest.finishDma();
      expect({ bm: bm & 7, status }).toEqual({ bm: 4, status: 0x50 });
      expect(guest.irqRises).toBe(1);
      const inMemory = collect(guest, regions).slice(0, total);
      expect(Buffer.compare(inMemory, medium.bytes.slice(7 * 512, 7 * 512 + total))).toBe(0);
      if (isRead) {
        for (const [gpa, bytes] of regions) before.set(guest.context.memory.bytes.slice(gpa, gpa + bytes), gpa);
        expect(Buffer.compare(before, guest.context.memory.bytes)).toBe(0);
      }
    }
  });

  test("a count of 0 is 64 KiB", () => {
    const guest = diskGuest();
    guest.setRegions(0x1000, [
      [0x10000, 0],
      [0x40000, 0],
    ]);
    guest.command28(0xc8, 0, 0);
    guest.startBusMaster(true);
    expect(guest.finishDma().bm & 7).toBe(4);
    const { bytes } = guest.context.memory;
    expect(Buffer.compare(bytes.slice(0x10000, 0x20000), pristine.slice(0, 0x10000))).toBe(0);
    expect(Buffer.compare(bytes.slice(0x40000, 0x50000), pristine.slice(0x10000, 0x20000))).toBe(0);
  });

  test.each([true, false])("a list that ends early holds the drive until the next list (read: %s)", (isRead) => {
    const guest = diskGuest();
    const data = pristine.slice(0, 2048).map((byte) => byte ^ 0x5a);
    guest.context.memory.write(0x8000, data);
    guest.setRegions(0x1000, [[0x8000, 700]]);
    guest.command28(isRead ? 0xc8 : 0xca, 0, 4);
    guest.startBusMaster(isRead);
    guest.pass();
    expect(guest.bmStatus & 7).toBe(0);
    expect(guest.altStatus & 0x80).toBe(0x80);
    expect(guest.irqRises).toBe(0);
    guest.bmOut(0, 1, 0);
    guest.setRegions(0x1000, [[0x8000 + 700, 2048 - 700]]);
    guest.startBusMaster(isRead);
    expect(guest.finishDma()).toMatchObject({ status: 0x50 });
    if (isRead) expect(guest.context.memory.bytes.slice(0x8000, 0x8800)).toEqual(pristine.slice(0, 2048));
    else expect(medium.bytes.slice(0, 2048)).toEqual(data);
  });

  test("a list outside RAM sets the error bit and touches nothing", () => {
    const guest = diskGuest();
    guest.bmOut(4, 4, 0xffff_fff0);
    guest.command28(0xc8, 0, 4);
    guest.startBusMaster(true);
    guest.pass();
    expect(guest.bmStatus & 7).toBe(2);
    expect(guest.context.memory.bytes.every((byte) => byte === 0)).toBe(true);
    guest.softReset();
    expect(guest.status).toBe(0x50);
  });

  test("regions outside RAM swallow what is sent there", () => {
    const guest = diskGuest();
    guest.setRegions(0x1000, [
      [0x7ff00, 1024],
      [0xf000_0000, 512],
      [0x2000, 512],
    ]);
    guest.command28(0xc8, 0, 4);
    guest.startBusMaster(true);
    expect(guest.finishDma()).toMatchObject({ status: 0x50 });
    expect(guest.context.memory.bytes.slice(0x7ff00)).toEqual(pristine.slice(0, 0x100));
    expect(guest.context.memory.bytes.slice(0x2000, 0x2200)).toEqual(pristine.slice(1536, 2048));
  });

  test("a list without end that lies in the data it moves comes to an end", () => {
    const guest = diskGuest(0x30000);
    // Every descriptor: 2 bytes, never the last, right over the list itself.
    for (let i = 0; i < 8192; i++) {
      guest.context.memory.write32(0x10000 + i * 8, 0x10000);
      guest.context.memory.write32(0x10004 + i * 8, 2);
    }
    guest.bmOut(4, 4, 0x10000);
    guest.command28(0xc8, 0, 64);
    guest.startBusMaster(true);
    guest.pass();
    expect(guest.bmStatus & 1).toBe(0);
  });
});

describe("starting and stopping", () => {
  test("the bus master may be started before the command", () => {
    const guest = diskGuest();
    guest.setRegions(0x1000, [[0x8000, 512]]);
    guest.startBusMaster(true);
    guest.pass();
    guest.command28(0xc8, 1, 1);
    expect(guest.finishDma()).toMatchObject({ status: 0x50 });
    expect(guest.context.memory.bytes.slice(0x8000, 0x8200)).toEqual(pristine.slice(512, 1024));
  });

  test("without bus-master enable nothing moves", () => {
    const guest = diskGuest();
    guest.pci.guestWrite(0x04, 2, 0x0001);
    guest.setRegions(0x1000, [[0x8000, 512]]);
    guest.command28(0xc8, 1, 1);
    guest.startBusMaster(true);
    guest.pass();
    expect(guest.bmStatus & 7).toBe(1);
    expect(guest.context.memory.bytes[0x8000]).toBe(0);
    guest.pci.guestWrite(0x04, 2, 0x0005);
    expect(guest.finishDma()).toMatchObject({ status: 0x50 });
  });

  test("stopping clears active; nothing moves until the next start", () => {
    const guest = diskGuest();
    guest.setRegions(0x1000, [[0x8000, 512]]);
    guest.command28(0xc8, 1, 1);
    guest.startBusMaster(true);
    guest.bmOut(0, 1, 0x08);
    expect(guest.bmStatus & 1).toBe(0);
    guest.pass();
    expect(guest.irqRises).toBe(0);
    guest.startBusMaster(true);
    expect(guest.finishDma()).toMatchObject({ status: 0x50 });
  });

  test("completion takes microseconds of guest time, not an access", () => {
    const guest = diskGuest();
    guest.setRegions(0x1000, [[0x8000, 512]]);
    guest.command28(0xc8, 1, 1);
    guest.startBusMaster(true);
    guest.pass(5_000);
    expect(guest.irqRises).toBe(0);
    guest.pass(20_000);
    expect(guest.irqRises).toBe(1);
  });

  test("back end requests go straight to RAM where regions are sectors, else through the buffer", () => {
    const guest = diskGuest();
    guest.setRegions(0x1000, [
      [0x8000, 1024],
      [0x8400, 1024],
      [0xc000, 2048],
    ]);
    guest.command28(0xc8, 0, 8);
    guest.startBusMaster(true);
    guest.finishDma();
    expect(medium.log).toEqual(["read 0+2048", "read 2048+2048"]);
    medium.log.length = 0;
    guest.setRegions(0x1000, [
      [0x8000, 1000],
      [0xc000, 3096],
    ]);
    guest.command28(0xc8, 0, 8);
    guest.startBusMaster(true);
    guest.finishDma();
    expect(medium.log).toEqual(["read 0+4096"]);
  });

  test("a back end that answers later", () => {
    for (const sizes of [
      [2048, 2048],
      [1000, 3096],
    ]) {
      const guest = diskGuest();
      medium.isDeferred = true;
      const regions = spread(0x8000, sizes);
      guest.setRegions(0x1000, regions);
      guest.command28(0xc8, 0, 8);
      guest.startBusMaster(true);
      guest.pass();
      expect(guest.irqRises).toBe(0);
      expect(guest.ide.pendingRequests).toBeGreaterThan(0);
      medium.complete();
      expect(guest.ide.pendingRequests).toBe(0);
      expect(guest.finishDma()).toMatchObject({ status: 0x50 });
      expect(collect(guest, regions)).toEqual(pristine.slice(0, 4096));
    }
  });
});
