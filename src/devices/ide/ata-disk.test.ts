import { describe, expect, test } from "vitest";
import { IdeGuest, MemoryMedium } from "./testing.ts";

const noise = new MemoryMedium(0x100000);

function diskGuest(sizeBytes = 0x100000) {
  const medium = new MemoryMedium(0);
  Object.assign(medium, { bytes: noise.bytes.slice(0, sizeBytes) });
  const guest = new IdeGuest({ model: "PIIX4", drives: [{ port: 0, device: 0, kind: "disk", backend: medium }] });
  return { guest, medium };
}
const pattern = (bytes: number, factor = 7) => Uint8Array.from({ length: bytes }, (_, i) => (i * factor) & 0xff);

/** Final status and error of a command that is not supposed to have data. */
function outcome(guest: IdeGuest) {
  guest.waitReady();
  return { status: guest.status, error: guest.error };
}
const good = { status: 0x50, error: 0 };
const aborted = { status: 0x51, error: 0x04 };
const notFound = { status: 0x51, error: 0x10 };
const uncorrectable = { status: 0x51, error: 0x40 };

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

  test.each([1, 3, 256])("WRITE SECTORS of %i: no interrupt before the first block, one after each", (count) => {
    const { guest, medium } = diskGuest();
    const data = pattern(count * 512);
    guest.command28(0x30, 9, count & 0xff);
    expect(guest.waitReady() & 0x08).toBe(0x08);
    expect(guest.irqRises).toBe(0);
    expect(guest.pioOut(data, 512)).toBe(0x50);
    expect(guest.irqRises).toBe(count);
    expect(medium.bytes.slice(9 * 512, (9 + count) * 512)).toEqual(data);
  });

  test("MULTIPLE moves blocks of the set size, the last one shorter", () => {
    const { guest, medium } = diskGuest();
    expect(guest.simple(0xc6, 0, { count: 4 })).toBe(0x50);
    const rises = guest.irqRises;
    guest.command28(0xc4, 5, 10);
    expect(guest.pioIn(5120, 2048)).toEqual(medium.bytes.slice(2560, 2560 + 5120));
    expect(guest.irqRises - rises).toBe(3);
    guest.command28(0xc5, 5, 10);
    expect(guest.pioOut(pattern(5120), 2048)).toBe(0x50);
    expect(guest.irqRises - rises).toBe(6);
    expect(medium.bytes.slice(2560, 2560 + 5120)).toEqual(pattern(5120));
  });

  test("MULTIPLE off, and sizes that do not exist", () => {
    const { guest } = diskGuest();
    guest.simple(0xc6, 0, { count: 0 });
    guest.command28(0xc4, 0, 1);
    expect(outcome(guest)).toEqual(aborted);
    for (const count of [3, 129, 255]) {
      guest.simple(0xc6, 0, { count });
      expect(guest.error).toBe(0x04);
    }
  });

  test("48-bit commands count to 65,536 and address with 48 bits", () => {
    const claimedBytes = 2 ** 41;
    const medium = new MemoryMedium(0x1000, { claimedBytes });
    const guest = new IdeGuest({ model: "PIIX4", drives: [{ port: 0, device: 0, kind: "disk", backend: medium }] });
    guest.command48(0x24, 2 ** 30 + 3, 2);
    guest.pioIn(1024, 512);
    guest.command48(0x24, 2 ** 32 - 0x10000, 0);
    guest.waitReady();
    expect(medium.log).toEqual([`read ${(2 ** 30 + 3) * 512}+1024`, `read ${(2 ** 32 - 0x10000) * 512}+65536`]);
    guest.softReset();
    guest.command48(0x27, 0, 0);
    expect(outcome(guest)).toEqual(good);
    guest.setControl(0x80);
    expect([guest.in(3), guest.in(4), guest.in(5)]).toEqual([0xff, 0, 0]);
    guest.setControl(0);
    expect([guest.in(3), guest.in(4), guest.in(5)]).toEqual([0xff, 0xff, 0xff]);
    guest.command48(0x24, 2 ** 32, 1);
    expect(outcome(guest)).toEqual(notFound);
  });

  test("the task file shows the last sector at the end", () => {
    const { guest } = diskGuest();
    guest.command28(0x20, 0x1fe, 4);
    guest.pioIn(2048, 512);
    expect([guest.in(2), guest.in(3), guest.in(4), guest.in(5), guest.in(6)]).toEqual([0, 0x01, 0x02, 0, 0xe0]);
  });
});

describe("CHS", () => {
  const chs = (guest: IdeGuest, code: number, [cylinder, head, sector]: readonly number[], count = 1) => {
    guest.out(6, 0xa0 | head);
    guest.out(2, count);
    guest.out(3, sector);
    guest.out(4, cylinder & 0xff);
    guest.out(5, cylinder >> 8);
    guest.out(7, code);
  };

  test("addresses by the physical geometry, and by the one that 91h sets", () => {
    const { guest, medium } = diskGuest();
    chs(guest, 0x20, [1, 1, 1]);
    expect(guest.pioIn(512, 512)).toEqual(medium.bytes.slice((1008 + 63) * 512, (1008 + 64) * 512));
    guest.out(6, 0xa3);
    guest.out(2, 17);
    guest.out(7, 0x91);
    expect(outcome(guest)).toEqual(good);
    chs(guest, 0x20, [5, 2, 17], 2);
    const lba = (5 * 4 + 2) * 17 + 16;
    expect(guest.pioIn(1024, 512)).toEqual(medium.bytes.slice(lba * 512, (lba + 2) * 512));
    // One sector on: the next head's first.
    expect([guest.in(3), guest.in(4), guest.in(5), guest.in(6)]).toEqual([1, 5, 0, 0xa3]);
  });

  test("91h survives SRST, unless reverting is on", () => {
    const { guest } = diskGuest();
    guest.out(6, 0xa3);
    guest.out(2, 17);
    guest.out(7, 0x91);
    guest.waitReady();
    guest.softReset();
    expect(guest.identify()[56]).toBe(17);
    guest.simple(0xef, 0, { features: 0xcc });
    guest.softReset();
    expect(guest.identify()[56]).toBe(63);
  });

  test.each([
    [0, 0, 0],
    [0, 0, 64],
    [0, 15, 63],
    [3, 0, 1],
    [65535, 15, 63],
  ])("limits: %i/%i/%i", (...address) => {
    const { guest } = diskGuest(1008 * 512 * 2);
    chs(guest, 0x20, address);
    if (address[1] === 15 && address[0] === 0) expect(guest.pioIn(512, 512)).toHaveLength(512);
    else expect(outcome(guest)).toEqual(notFound);
  });

  test("91h with no sectors aborts", () => {
    const { guest } = diskGuest();
    guest.out(6, 0xaf);
    guest.out(2, 0);
    guest.out(7, 0x91);
    expect(outcome(guest)).toEqual(aborted);
  });
});

describe("limits and errors", () => {
  test("the last sector is there, the next is not", () => {
    const { guest, medium } = diskGuest();
    guest.command28(0x20, 2047, 1);
    expect(guest.pioIn(512, 512)).toEqual(medium.bytes.slice(-512));
    for (const [code, lba, count] of [
      [0x20, 2048, 1],
      [0x20, 2047, 2],
      [0x30, 2047, 2],
      [0xc8, 0x0fffffff, 0],
      [0x40, 2048, 1],
      [0x70, 2048, 1],
    ]) {
      const before = medium.bytes.slice();
      guest.command28(code, lba, count);
      expect(outcome(guest)).toEqual(notFound);
      expect(Buffer.compare(medium.bytes, before)).toBe(0);
    }
  });

  test("a bad sector ends a PIO read behind the good ones and is named", () => {
    const { guest, medium } = diskGuest();
    medium.badSectors.add(12);
    guest.command28(0x20, 10, 5);
    expect(guest.pioIn(1024, 512)).toEqual(medium.bytes.slice(5120, 6144));
    expect(outcome(guest)).toEqual(uncorrectable);
    expect([guest.in(2), guest.in(3)]).toEqual([3, 12]);
    expect(guest.context.log.lines).toEqual(["warn ide primary master: cannot read sector 12"]);
  });

  test("a bad sector in a DMA read", () => {
    const { guest, medium } = diskGuest();
    medium.badSectors.add(12);
    guest.setRegions(0x1000, [
      [0x8000, 1024],
      [0xa000, 1536],
    ]);
    guest.command28(0xc8, 10, 5);
    guest.startBusMaster(true);
    expect(guest.finishDma()).toMatchObject({ status: 0x51 });
    expect(guest.error).toBe(0x40);
    expect(guest.in(3)).toBe(12);
    expect(guest.context.memory.bytes.slice(0x8000, 0x8400)).toEqual(medium.bytes.slice(5120, 6144));
    expect(guest.bmStatus & 1).toBe(0);
  });

  test.each([0x30, 0xca])("a sector that cannot be written (command %i)", (code) => {
    const { guest, medium } = diskGuest();
    const before = medium.bytes.slice();
    medium.badSectors.add(21);
    guest.setRegions(0x1000, [[0x8000, 1536]]);
    guest.command28(code, 20, 3);
    if (code === 0x30) guest.pioOut(pattern(1536), 512);
    else {
      guest.startBusMaster(false);
      guest.finishDma();
    }
    expect(guest.altStatus).toBe(0x51);
    expect(guest.error).toBe(0x04);
    expect(guest.in(3)).toBe(21);
    expect(Buffer.compare(medium.bytes.slice(21 * 512), before.slice(21 * 512))).toBe(0);
  });

  test("a read-only disk aborts writes before any data", () => {
    const { guest, medium } = diskGuest();
    medium.readOnly = true;
    for (const code of [0x30, 0xc5, 0xca, 0x35]) {
      guest.command28(code, 0, 1);
      expect(outcome(guest)).toEqual(aborted);
    }
    expect(medium.log).toEqual([]);
  });

  test("a verify reads what it verifies", () => {
    const { guest, medium } = diskGuest();
    guest.command28(0x40, 0, 0);
    expect(outcome(guest)).toEqual(good);
    expect(medium.log).toEqual(["read 0+65536", "read 65536+65536"]);
    medium.badSectors.add(200);
    guest.command28(0x40, 0, 0);
    expect(outcome(guest)).toEqual(uncorrectable);
    expect(guest.in(3)).toBe(200);
    guest.command28(0x41, 201, 55);
    expect(outcome(guest)).toEqual(good);
    guest.command48(0x42, 0, 300);
    expect(outcome(guest)).toEqual(uncorrectable);
  });

  test("a bad medium does not fill the log", () => {
    const { guest, medium } = diskGuest();
    medium.badSectors.add(0);
    for (let i = 0; i < 100; i++) {
      guest.command28(0x20, 0, 1);
      guest.waitReady();
    }
    expect(guest.context.log.lines.length).toBeLessThan(20);
  });
});

describe("commands without data", () => {
  test.each([0x10, 0x1f, 0xe0, 0xe1, 0xe2, 0xe3, 0xe5, 0xe7, 0xea, 0xde, 0xdf, 0xf8, 0x27, 0x70])(
    "%i succeeds",
    (code) => {
      const { guest } = diskGuest();
      guest.out(6, 0xe0);
      guest.out(7, code);
      expect(guest.altStatus & 0x80).toBe(0x80);
      expect(outcome(guest)).toEqual(good);
      expect(guest.irqRises).toBe(1);
    },
  );

  test.each([0x00, 0x08, 0x22, 0xa0, 0xa1, 0xb0, 0xda, 0xf5, 0xff])("%i aborts with an interrupt", (code) => {
    const { guest } = diskGuest();
    guest.simple(code);
    expect(outcome(guest)).toEqual(aborted);
    expect(guest.irqRises).toBe(1);
  });

  test("what is not supported is said once", () => {
    const { guest } = diskGuest();
    for (let i = 0; i < 3; i++) guest.simple(0xb0);
    guest.simple(0xef, 0, { features: 0xb0 });
    expect(guest.context.log.lines).toEqual([
      "info ide primary master: ATA command b0h is not supported",
      "info ide primary master: SET FEATURES subcommand b0h is not supported",
    ]);
  });

  test.each([0x02, 0x82, 0xaa, 0x55, 0x66, 0xcc, 0x95, 0x31])("SET FEATURES %i", (features) => {
    const { guest } = diskGuest();
    expect(guest.simple(0xef, 0, { features })).toBe(0x50);
    expect(guest.error).toBe(0);
  });

  test("flush commands reach the back end and end when it has", () => {
    const { guest, medium } = diskGuest();
    medium.isDeferred = true;
    for (const code of [0xe7, 0xea]) {
      guest.out(7, code);
      guest.pass();
      expect(guest.altStatus & 0x80).toBe(0x80);
      medium.complete();
      expect(outcome(guest)).toEqual(good);
    }
    medium.isFlushBroken = true;
    medium.isDeferred = false;
    guest.out(7, 0xe7);
    expect(outcome(guest)).toEqual(aborted);
    expect(medium.log).toEqual(["flush", "flush", "flush"]);
  });

  test("turning the write cache off flushes", () => {
    const { guest, medium } = diskGuest();
    guest.simple(0xef, 0, { features: 0x82 });
    expect(medium.log).toEqual(["flush"]);
  });

  test("power modes", () => {
    const { guest } = diskGuest();
    const mode = () => {
      guest.simple(0xe5);
      return guest.in(2);
    };
    expect(mode()).toBe(0xff);
    guest.simple(0xe0);
    expect(mode()).toBe(0x00);
    guest.command28(0x20, 0, 1);
    guest.pioIn(512, 512);
    expect(mode()).toBe(0xff);
    guest.simple(0xe6);
    guest.out(7, 0xec);
    guest.pass();
    expect(guest.status).toBe(0x50);
    guest.softReset();
    expect(mode()).toBe(0xff);
  });

  test("native size by 28 and 48 bits", () => {
    const { guest } = diskGuest();
    guest.out(6, 0xe0);
    guest.out(7, 0xf8);
    expect(outcome(guest)).toEqual(good);
    expect([guest.in(3), guest.in(4), guest.in(5), guest.in(6)]).toEqual([0xff, 0x07, 0, 0xe0]);
    guest.command48(0x27, 0, 0);
    expect(outcome(guest)).toEqual(good);
    expect([guest.in(3), guest.in(4), guest.in(5)]).toEqual([0xff, 0x07, 0]);
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

  test.each([0xca, 0xcb, 0x35])("writes (command %i)", (code) => {
    const { guest, medium } = diskGuest();
    const data = medium.bytes.slice(0x4000, 0x6000).map((byte) => byte ^ 0xff);
    guest.context.memory.write(0x8000, data);
    guest.setRegions(0x1000, [[0x8000, 0x2000]]);
    if (code === 0x35) guest.command48(code, 32, 16);
    else guest.command28(code, 32, 16);
    guest.startBusMaster(false);
    expect(guest.finishDma()).toMatchObject({ status: 0x50 });
    expect(medium.bytes.slice(0x4000, 0x6000)).toEqual(data);
  });

  test("a long 48-bit transfer through the buffer does not nest", () => {
    const { guest, medium } = diskGuest();
    medium.badSectors.add(2047);
    // Regions of 1022 bytes keep it in the buffer; the bad last sector makes each sector a request of its own.
    guest.setRegions(
      0x80000,
      Array.from({ length: 1026 }, () => [0x1000, 1022] as const),
    );
    guest.command48(0x25, 0, 2048);
    guest.startBusMaster(true);
    expect(guest.finishDma()).toMatchObject({ status: 0x51 });
    expect(guest.error).toBe(0x40);
  });
});

test("the interrupt handler order of a driver: bus master status, stop, status", () => {
  const { guest } = diskGuest();
  for (let i = 0; i < 20; i++) {
    guest.setRegions(0x1000, [[0x8000, 512 * (i + 1)]]);
    guest.command28(0xc8, i, i + 1);
    guest.startBusMaster(true);
    const { bm } = guest.finishDma();
    expect(bm & 7).toBe(4);
    expect(guest.irqLevel).toBe(false);
    expect(guest.irqRises).toBe(i + 1);
  }
});
