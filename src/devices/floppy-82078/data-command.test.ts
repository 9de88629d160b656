import { describe, expect, test } from "vitest";
import { formatOf } from "./disk-format.ts";
import { FloppyGuest, READ, TestDisk, WRITE } from "./testing.ts";

const DISK_1440 = 1_474_560;

function ready(disk = new TestDisk(DISK_1440), cylinder = 0): { guest: FloppyGuest; disk: TestDisk } {
  const guest = new FloppyGuest([disk]);
  guest.start();
  guest.calibrated(cylinder);
  return { guest, disk };
}
const noise = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 0xff);

describe("reading by DMA", () => {
  test("one sector; the result names the next one", () => {
    const { guest, disk } = ready(undefined, 5);
    const { data, result } = guest.read({ c: 5, h: 1, r: 3, eot: 18 }, 1);
    expect(result).toEqual([0x04, 0, 0, 5, 1, 4, 2]);
    expect(data).toEqual(disk.sectors(5 * 36 + 18 + 2));
    expect(guest.irq.level).toBe(false);
    expect(guest.msr).toBe(0x80);
  });

  test("a whole cylinder with MT, both sides", () => {
    const { guest, disk } = ready(undefined, 79);
    const { data, result } = guest.read({ c: 79, h: 0, r: 1, eot: 18 }, 36);
    expect(result).toEqual([0x04, 0, 0, 80, 0, 1, 2]);
    expect(data).toEqual(disk.sectors(79 * 36, 36));
  });

  test("result IDs of table 5-6", () => {
    const { guest } = ready();
    const ends = (opcode: number, h: number, r: number) =>
      guest.read({ c: 0, h, r, eot: 18 }, 1, opcode).result.slice(3);
    expect(ends(0x46, 0, 17)).toEqual([0, 0, 18, 2]);
    expect(ends(0x46, 0, 18)).toEqual([1, 0, 1, 2]);
    expect(ends(0x46, 1, 18)).toEqual([1, 1, 1, 2]);
    expect(ends(0xc6, 0, 18)).toEqual([0, 1, 1, 2]);
    expect(ends(0xc6, 1, 18)).toEqual([1, 0, 1, 2]);
  });

  test("past the last sector without terminal count: end of cylinder, the address of the last sector stays", () => {
    const { guest, disk } = ready();
    const { data, result } = guest.read({ c: 0, h: 0, r: 17, eot: 18 }, 40, 0x46);
    expect(result).toEqual([0x40, 0x80, 0, 0, 0, 18, 2]);
    expect(data.subarray(0, 1024)).toEqual(disk.sectors(16, 2));
    expect(guest.read({ c: 0, h: 0, r: 17, eot: 18 }, 40).result).toEqual([0x44, 0x80, 0, 0, 1, 18, 2]);
  });

  test("terminal count inside a sector ends well", () => {
    const { guest, disk } = ready();
    const memory = new Uint8Array(700);
    expect(guest.transfer(READ, { c: 0, h: 0, r: 1, eot: 18 }, memory)).toEqual([0, 0, 0, 0, 0, 3, 2]);
    expect(memory).toEqual(disk.bytes.slice(0, 700));
  });

  test("data waits for a channel that is unmasked late, and for DOR's gate", () => {
    const { guest, disk } = ready();
    const memory = new Uint8Array(512);
    guest.dma.memory = memory;
    guest.dma.isMasked = true;
    guest.dma.at = 0;
    guest.transferCommand(READ, { c: 0, h: 0, r: 1, eot: 18 });
    guest.context.clock.advance(50_000_000);
    expect(guest.irq.level).toBe(false);
    guest.out(0x3f2, 0x14);
    guest.dma.unmask();
    guest.context.clock.advance(50_000_000);
    expect(guest.msr & 0x90).toBe(0x10);
    guest.out(0x3f2, 0x1c);
    guest.waitIrq();
    expect(guest.result()[0]).toBe(0);
    expect(memory).toEqual(disk.sectors(0));
  });

  test("a channel that never opens is an overrun", () => {
    const { guest } = ready();
    guest.dma.isMasked = true;
    guest.transferCommand(READ, { c: 0, h: 0, r: 1, eot: 18 });
    guest.waitIrq(1_000_000_000);
    expect(guest.result()).toEqual([0x40, 0x10, 0, 0, 0, 1, 2]);
  });

  test("a disk that answers later; nothing is in flight in between", () => {
    const { guest, disk } = ready();
    disk.isDeferred = true;
    const memory = new Uint8Array(1024);
    guest.dma.program(memory);
    guest.transferCommand(READ, { c: 0, h: 0, r: 1, eot: 18 });
    for (let i = 0; i < 2; i++) {
      guest.context.clock.advance(1_000_000);
      expect(guest.floppy.pendingRequests).toBe(1);
      disk.complete();
      expect(guest.floppy.pendingRequests).toBe(0);
    }
    guest.waitIrq();
    expect(guest.result()[0]).toBe(0);
    expect(memory).toEqual(disk.sectors(0, 2));
  });
});

describe("what is not found", () => {
  const one = { c: 0, h: 0, r: 1, eot: 18 };

  test("sector number, sector size, head", () => {
    const { guest } = ready();
    expect(guest.read({ ...one, r: 19, eot: 36 }, 1).result).toEqual([0x40, 0x04, 0, 0, 0, 19, 2]);
    expect(guest.read({ ...one, r: 0 }, 1).result).toEqual([0x40, 0x04, 0, 0, 0, 0, 2]);
    guest.dma.program(new Uint8Array(512));
    guest.command(READ, 0, 0, 0, 1, 3, 18, 0x1b, 0xff);
    guest.waitIrq();
    expect(guest.result()).toEqual([0x40, 0x04, 0, 0, 0, 1, 3]);
    guest.command(READ, 0x04, 0, 0, 1, 2, 18, 0x1b, 0xff);
    guest.waitIrq();
    expect(guest.result()).toEqual([0x44, 0x04, 0, 0, 0, 1, 2]);
  });

  test("a head on another cylinder than the command says", () => {
    const { guest } = ready(undefined, 3);
    expect(guest.read({ ...one, c: 4 }, 1).result).toEqual([0x40, 0x04, 0x10, 4, 0, 1, 2]);
  });

  test("unformatted: wrong data rate, single density, beyond the last track, no disk", () => {
    const { guest } = ready();
    const missing = [0x40, 0x01, 0, 0, 0, 1, 2];
    for (const rate of [1, 2, 3]) {
      guest.out(0x3f7, rate);
      expect(guest.read(one, 1).result).toEqual(missing);
    }
    guest.out(0x3f4, 0);
    expect(guest.read(one, 1).result[0]).toBe(0);
    expect(guest.read(one, 1, 0x86).result).toEqual(missing);
    guest.seek(80);
    expect(guest.read({ ...one, c: 80 }, 1).result).toEqual([0x40, 0x01, 0, 80, 0, 1, 2]);
    guest.slots[0].insert(undefined);
    guest.seek(0);
    expect(guest.read(one, 1).result).toEqual(missing);
    guest.command(0x4a, 0);
    guest.waitIrq();
    expect(guest.result().slice(0, 3)).toEqual([0x40, 0x01, 0]);
  });

  test("the other side of a single-sided disk", () => {
    const guest = new FloppyGuest([new TestDisk(163_840)]);
    guest.start(0, 2);
    guest.calibrated();
    expect(guest.read({ ...one, eot: 8 }, 1).result[0]).toBe(0);
    expect(guest.read({ ...one, h: 1, eot: 8 }, 1).result).toEqual([0x44, 0x01, 0, 0, 1, 1, 2]);
  });

  test("a disk that cannot be read or written", () => {
    const { guest, disk } = ready();
    disk.isBroken = true;
    expect(guest.read(one, 1).result).toEqual([0x40, 0x20, 0x20, 0, 0, 1, 2]);
    expect(guest.transfer(WRITE, one, noise(512))).toEqual([0x50, 0, 0, 0, 0, 1, 2]);
  });
});

describe("disk formats by size", () => {
  test.each([
    ["160 KB", 163_840, 2, 39, 0, 8],
    ["180 KB", 184_320, 2, 39, 0, 9],
    ["320 KB", 327_680, 1, 39, 1, 8],
    ["360 KB", 368_640, 2, 39, 1, 9],
    ["720 KB", 737_280, 2, 79, 1, 9],
    ["1.2 MB", 1_228_800, 0, 79, 1, 15],
    ["1.44 MB", 1_474_560, 0, 79, 1, 18],
    ["1.68 MB", 1_720_320, 0, 79, 1, 21],
    ["2.88 MB", 2_949_120, 3, 79, 1, 36],
  ])("%s: the last sector is where it belongs", (_name, sizeBytes, rate, c, h, r) => {
    const disk = new TestDisk(sizeBytes);
    const guest = new FloppyGuest([disk]);
    guest.start(0, rate);
    guest.calibrated(c);
    const { data, result } = guest.read({ c, h, r, eot: r }, 1);
    expect(result.slice(0, 3)).toEqual([h << 2, 0, 0]);
    expect(data).toEqual(disk.sectors(sizeBytes / 512 - 1));
  });

  test("a short image is the beginning of a 1.44 MB disk: zeros behind it, and no room to write", () => {
    const { guest, disk } = ready(new TestDisk(1024));
    const { data, result } = guest.read({ c: 0, h: 0, r: 1, eot: 18 }, 18);
    expect(result[0]).toBe(0);
    expect(data.subarray(0, 1024)).toEqual(disk.sectors(0, 2));
    expect(data.subarray(1024).every((byte) => byte === 0)).toBe(true);
    expect(guest.transfer(WRITE, { c: 0, h: 0, r: 3, eot: 18 }, noise(512))[0]).toBe(0x50);
  });

  test("what no floppy disk holds is unformatted", () => {
    expect(formatOf(16_000_000)).toBeUndefined();
    expect(formatOf(0)).toBeUndefined();
  });
});

describe("writing", () => {
  test("sectors on both sides", () => {
    const { guest, disk } = ready(undefined, 2);
    const data = noise(20 * 512);
    expect(guest.transfer(WRITE, { c: 2, h: 0, r: 1, eot: 18 }, data)).toEqual([0x04, 0, 0, 2, 1, 3, 2]);
    expect(disk.sectors(72, 20)).toEqual(data);
  });

  test("deleted data is written as data", () => {
    const { guest, disk } = ready();
    const data = noise(512);
    expect(guest.transfer(0x49, { c: 0, h: 0, r: 2, eot: 18 }, data)[0]).toBe(0);
    expect(disk.sectors(1)).toEqual(data);
  });

  test("terminal count inside a sector fills it with zeros", () => {
    const { guest, disk } = ready();
    guest.transfer(WRITE, { c: 0, h: 0, r: 1, eot: 18 }, noise(600));
    expect(disk.sectors(0)).toEqual(noise(512));
    expect([...disk.sectors(1).subarray(0, 90)]).toEqual([...noise(600).subarray(512), 0, 0]);
    expect(
      disk
        .sectors(1)
        .subarray(88)
        .every((byte) => byte === 0),
    ).toBe(true);
  });

  test("a write-protected disk says so, in ST3 too, and is not touched", () => {
    const { guest, disk } = ready();
    disk.readOnly = true;
    const before = disk.bytes.slice();
    expect(guest.transfer(WRITE, { c: 0, h: 0, r: 1, eot: 18 }, noise(512))).toEqual([0x40, 0x02, 0, 0, 0, 1, 2]);
    guest.command(0x4d, 0, 2, 18, 0x54, 0xf6);
    guest.waitIrq();
    expect(guest.result().slice(0, 3)).toEqual([0x40, 0x02, 0]);
    guest.command(0x04, 0);
    expect(guest.result()).toEqual([0x78]);
    expect(disk.bytes.every((byte, i) => byte === before[i])).toBe(true);
  });
});

describe("FORMAT TRACK", () => {
  const ids = (c: number, h: number, order: readonly number[]) => Uint8Array.from(order.flatMap((r) => [c, h, r, 2]));
  const interleaved = [1, 10, 2, 11, 3, 12, 4, 13, 5, 14, 6, 15, 7, 16, 8, 17, 9, 18];

  test("fills the track, in any order of sectors", () => {
    const { guest, disk } = ready(undefined, 4);
    const before = disk.bytes.slice();
    guest.dma.program(ids(4, 1, interleaved));
    guest.command(0x4d, 0x04, 2, 18, 0x54, 0xf6);
    guest.waitIrq();
    expect(guest.result().slice(0, 3)).toEqual([0x04, 0, 0]);
    const first = 4 * 36 + 18;
    expect(disk.sectors(first, 18).every((byte) => byte === 0xf6)).toBe(true);
    const isOutside = (_: number, i: number) => i < first * 512 || i >= (first + 18) * 512;
    expect(disk.bytes.every((byte, i) => !isOutside(byte, i) || byte === before[i])).toBe(true);
    guest.command(0x0e);
    expect(guest.result()[6]).toBe(18);
  });

  test("a format that the image has no room for fails", () => {
    const { guest } = ready();
    const format = (size: number, sectors: number, table: Uint8Array) => {
      guest.dma.program(table);
      guest.command(0x4d, 0, size, sectors, 0x54, 0xf6);
      guest.waitIrq();
      return guest.result()[0];
    };
    expect(format(2, 9, ids(0, 0, interleaved.slice(0, 9)))).toBe(0x50);
    expect(format(3, 18, ids(0, 0, interleaved))).toBe(0x50);
    expect(format(2, 18, ids(1, 0, interleaved))).toBe(0x50);
    expect(format(2, 18, ids(0, 0, [99, ...interleaved.slice(1)]))).toBe(0x50);
    guest.out(0x3f7, 2);
    expect(format(2, 18, ids(0, 0, interleaved))).toBe(0x50);
  });
});

describe("other commands on the disk", () => {
  test("READ ID sees one sector after the other pass", () => {
    const { guest } = ready(undefined, 9);
    const seen = Array.from({ length: 19 }, () => {
      guest.command(0x4a, 0x04);
      guest.waitIrq();
      return guest.result();
    });
    expect(seen[0].slice(0, 5)).toEqual([0x04, 0, 0, 9, 1]);
    expect(seen.map((result) => result[5])).toEqual([...Array.from({ length: 18 }, (_, i) => i + 1), 1]);
    expect(seen[0][6]).toBe(2);
  });

  test("READ TRACK reads from the index on, whatever sector is asked for", () => {
    const { guest, disk } = ready();
    const whole = guest.read({ c: 0, h: 0, r: 1, eot: 18 }, 18, 0x42);
    expect(whole.result.slice(0, 3)).toEqual([0, 0, 0]);
    expect(whole.data).toEqual(disk.sectors(0, 18));
    const other = guest.read({ c: 0, h: 0, r: 7, eot: 3 }, 3, 0x42);
    expect(other.result.slice(0, 3)).toEqual([0x40, 0x04, 0]);
    expect(other.data).toEqual(disk.sectors(0, 3));
  });

  test("READ DELETED DATA finds normal sectors only: reads one, or skips them all", () => {
    const { guest, disk } = ready();
    const one = guest.read({ c: 0, h: 0, r: 4, eot: 18 }, 1, 0x4c);
    expect(one.result).toEqual([0, 0, 0x40, 0, 0, 4, 2]);
    expect(one.data).toEqual(disk.sectors(3));
    const skipped = guest.read({ c: 0, h: 0, r: 4, eot: 18 }, 1, 0x6c);
    expect(skipped.result).toEqual([0x40, 0x80, 0x40, 0, 0, 18, 2]);
    expect(skipped.data.every((byte) => byte === 0)).toBe(true);
  });

  test("VERIFY moves nothing: to the end of the track, or so many sectors", () => {
    const { guest } = ready();
    const verify = (second: number, r: number, last: number, opcode = 0x56) => {
      guest.command(opcode, second, 0, 0, r, 2, 18, 0x1b, last);
      guest.waitIrq();
      return guest.result();
    };
    expect(verify(0x00, 5, 0xff)).toEqual([0, 0, 0, 1, 0, 1, 2]);
    expect(verify(0x80, 5, 3)).toEqual([0, 0, 0, 0, 0, 8, 2]);
    expect(verify(0x80, 5, 20)).toEqual([0x40, 0x80, 0, 0, 0, 18, 2]);
    expect(verify(0x80, 5, 20, 0xd6)).toEqual([0x04, 0, 0, 0, 1, 7, 2]);
    expect(guest.dma.at).toBe(0);
  });

  test("SCAN compares until the condition holds", () => {
    const { guest, disk } = ready();
    disk.bytes.fill(0x20, 0, 512);
    disk.bytes.fill(0x40, 512, 1024);
    disk.bytes.fill(0x60, 1024, 1536);
    const scan = (opcode: number, value: number, sectors = 3) => {
      guest.dma.program(new Uint8Array(512 * sectors + 1).fill(value));
      guest.command(opcode, 0, 0, 0, 1, 2, 3, 0x1b, 1);
      guest.waitIrq();
      const [st0, , st2, , , r] = guest.result();
      return [st0, st2, r];
    };
    expect(scan(0x51, 0x40)).toEqual([0, 0x08, 2]);
    expect(scan(0x51, 0x41)).toEqual([0, 0x04, 3]);
    expect(scan(0x5d, 0x30)).toEqual([0, 0x00, 2]);
    expect(scan(0x59, 0x30)).toEqual([0, 0x00, 1]);
    expect(scan(0x51, 0xff)).toEqual([0, 0x08, 1]);
  });

  test("implied seek goes to the cylinder of the command", () => {
    const { guest, disk } = ready();
    guest.command(0x13, 0, 0x40, 0);
    const { data, result } = guest.read({ c: 33, h: 0, r: 1, eot: 18 }, 1);
    expect(result.slice(0, 4)).toEqual([0, 0, 0, 33]);
    expect(data).toEqual(disk.sectors(33 * 36));
    guest.dma.program(new Uint8Array(512));
    guest.transferCommand(READ, { c: 3, h: 0, r: 1, eot: 18 });
    expect(guest.msr & 0x1f).toBe(0x11);
    guest.waitIrq();
    guest.result();
    guest.command(0x0e);
    expect(guest.result()[0]).toBe(3);
  });
});

describe("without DMA", () => {
  function nonDma(fifo: boolean): { guest: FloppyGuest; disk: TestDisk } {
    const made = ready();
    made.guest.command(0x13, 0, fifo ? 0x0f : 0x20, 0);
    made.guest.command(0x03, 0xdf, 0x03);
    return made;
  }

  test.each([
    ["the FIFO off, a byte for each interrupt", false, 1],
    ["the FIFO on", true, 16],
  ])("reads with %s; the end of the track is the end", (_name, fifo, bytesPerInterrupt) => {
    const { guest, disk } = nonDma(fifo);
    const data = new Uint8Array(1024);
    const [moved, result] = guest.transferByFifo(0x46, { c: 0, h: 0, r: 2, eot: 3 }, data, bytesPerInterrupt);
    expect(moved).toBe(1024);
    expect(result).toEqual([0x40, 0x80, 0, 0, 0, 3, 2]);
    expect(data).toEqual(disk.sectors(1, 2));
    expect(guest.irq.level).toBe(false);
  });

  test("writes", () => {
    const { guest, disk } = nonDma(true);
    const data = noise(1024);
    const [moved, result] = guest.transferByFifo(0x45, { c: 0, h: 1, r: 17, eot: 18 }, data);
    expect(moved).toBe(1024);
    expect(result).toEqual([0x44, 0x80, 0, 0, 1, 18, 2]);
    expect(disk.sectors(34, 2)).toEqual(data);
  });

  test("a driver that has enough stops reading: overrun, the result counts the sectors that were whole", () => {
    const { guest } = nonDma(true);
    guest.transferCommand(READ, { c: 0, h: 0, r: 4, eot: 18 });
    for (let bytes = 0; bytes < 1024; ) {
      guest.waitIrq();
      for (; (guest.msr & 0xe0) === 0xe0 && bytes < 1024; bytes++) guest.in(0x3f5);
    }
    guest.waitIrq();
    expect(guest.msr & 0x20).toBe(0x20);
    for (let i = 0; i < 100 && (guest.msr & 0x20) !== 0; i++) guest.context.clock.advance(1_000_000);
    expect(guest.irq.level).toBe(true);
    expect(guest.result()).toEqual([0x40, 0x10, 0, 0, 0, 6, 2]);
  });

  test("a polling driver needs no interrupt", () => {
    const { guest, disk } = nonDma(true);
    guest.out(0x3f2, 0x14);
    const rises = guest.irq.rises;
    guest.transferCommand(READ, { c: 0, h: 0, r: 1, eot: 1 });
    const data: number[] = [];
    for (let i = 0; i < 100_000 && (guest.msr & 0x20) !== 0; i++) {
      if ((guest.msr & 0xe0) === 0xe0) data.push(guest.in(0x3f5));
      else guest.context.clock.advance(1_000);
    }
    // MT: both sides of sector 1.
    expect(Uint8Array.from(data)).toEqual(Uint8Array.from([...disk.sectors(0), ...disk.sectors(18)]));
    expect(guest.result()[0]).toBe(0x44);
    expect(guest.irq.rises).toBe(rises);
  });

  test("the FIFO is only there when it asks", () => {
    const { guest, disk } = nonDma(true);
    guest.transferCommand(READ, { c: 0, h: 0, r: 1, eot: 18 });
    expect(guest.msr & 0xb0).toBe(0x30);
    expect(guest.in(0x3f5)).toBe(0);
    guest.out(0x3f5, 0x55);
    guest.waitIrq();
    guest.out(0x3f5, 0x55);
    expect(guest.in(0x3f5)).toBe(disk.bytes[0]);
  });
});
