import { describe, expect, test } from "vitest";
import { FloppyGuest, READ, TestDisk } from "./testing.ts";

const DISK_1440 = 1_474_560;

describe("reset", () => {
  test("DOR: interrupt, four times ready, then nothing to sense", () => {
    const guest = new FloppyGuest();
    expect(guest.msr).toBe(0);
    expect(guest.in(0x3f2)).toBe(0);
    guest.out(0x3f2, 0x0c);
    expect(guest.msr).toBe(0x80);
    expect(guest.irq.level).toBe(false);
    guest.waitIrq();
    const replies = [0, 1, 2, 3].map(() => guest.sense());
    expect(replies).toEqual([
      [0xc0, 0],
      [0xc1, 0],
      [0xc2, 0],
      [0xc3, 0],
    ]);
    expect(guest.irq.level).toBe(false);
    expect(guest.irq.rises).toBe(1);
    expect(guest.sense()).toEqual([0x80]);
  });

  test("DSR bit 7 resets by itself and keeps the data rate", () => {
    const guest = new FloppyGuest([new TestDisk(DISK_1440)]);
    guest.start();
    guest.calibrated(3);
    guest.out(0x3f4, 0x80 | 0x00);
    expect(guest.msr).toBe(0x80);
    guest.waitIrq();
    for (let i = 0; i < 4; i++) expect(guest.sense()).toEqual([0xc0 | i, 0]);
    guest.calibrated(0);
    expect(guest.read({ c: 0, h: 0, r: 1, eot: 18 }, 1).result[0]).toBe(0);
  });

  test("aborts a command and forgets its data", () => {
    const disk = new TestDisk(DISK_1440);
    const guest = new FloppyGuest([disk]);
    guest.start();
    guest.calibrated();
    disk.isDeferred = true;
    const memory = new Uint8Array(512);
    guest.dma.program(memory);
    guest.transferCommand(READ, { c: 0, h: 0, r: 1, eot: 18 });
    guest.context.clock.advance(1_000_000);
    expect(guest.floppy.pendingRequests).toBe(1);
    expect(guest.msr & 0x90).toBe(0x10);
    guest.out(0x3f2, 0x08);
    guest.out(0x3f2, 0x1c);
    guest.waitIrq();
    for (let i = 0; i < 4; i++) guest.sense();
    disk.complete();
    guest.context.clock.advance(10_000_000);
    expect(guest.floppy.pendingRequests).toBe(0);
    expect(memory.every((byte) => byte === 0)).toBe(true);
    expect(guest.irq.level).toBe(false);
    expect(guest.msr).toBe(0x80);
  });

  test("with polling switched off in time there is no interrupt", () => {
    const guest = new FloppyGuest();
    guest.out(0x3f2, 0x0c);
    guest.command(0x13, 0, 0x10, 0);
    guest.context.clock.advance(10_000_000);
    expect(guest.irq.rises).toBe(0);
    expect(guest.sense()).toEqual([0x80]);
  });

  test("the hardware's reset brings back defaults, also of what was locked", () => {
    const guest = new FloppyGuest();
    guest.start();
    guest.command(0x13, 0, 0x4a, 9);
    guest.command(0x94);
    guest.result();
    guest.floppy.reset("hard");
    guest.start();
    guest.command(0x0e);
    expect(guest.result()).toEqual([0, 0, 0, 0, 0xdf, 0x02, 0, 0, 0x20, 0]);
  });
});

test("no interrupt leaves while DOR bit 3 is 0; it comes with the bit", () => {
  const guest = new FloppyGuest();
  guest.out(0x3f2, 0x04);
  guest.context.clock.advance(10_000_000);
  expect(guest.irq.level).toBe(false);
  guest.out(0x3f2, 0x0c);
  expect(guest.irq.level).toBe(true);
  guest.out(0x3f2, 0x04);
  expect(guest.irq.level).toBe(false);
});

describe("identification, as drivers probe", () => {
  test("an enhanced controller, 82078", () => {
    const guest = new FloppyGuest();
    guest.start();
    const ask = (...bytes: number[]) => {
      guest.command(...bytes);
      return guest.result();
    };
    expect(ask(0x0e)).toHaveLength(10);
    expect(ask(0x13, 0, 0x1a, 0)).toEqual([]);
    expect(ask(0x12, 0)).toEqual([]);
    expect(ask(0x14)).toEqual([0x00]);
    expect(ask(0x18)).toEqual([0x41]);
    expect(ask(0x10)).toEqual([0x90]);
    expect(ask(0x8e, 0x00, 0xc0)).toEqual([]);
    expect(ask(0x8e, 0x15, 0x32, 0x80)).toEqual([0x15, 0x12, 0, 0]);
    expect(ask(0x17, 0x02)).toEqual([0x02]);
    expect(ask(0x33, 0x00)).toEqual([]);
  });

  test("unknown commands answer 80h in one byte, without an interrupt, and are named once", () => {
    const guest = new FloppyGuest();
    guest.start();
    for (const code of [0x00, 0x1f, 0x2e, 0x4e, 0xad, 0x83, 0x00]) {
      guest.command(code);
      expect(guest.msr).toBe(0xd0);
      expect(guest.result()).toEqual([0x80]);
    }
    expect(guest.irq.level).toBe(false);
    const named = guest.context.log.lines.filter((line) => line.includes("command 00"));
    expect(named).toEqual(["info floppy: command 00 is not supported"]);
  });

  test("DUMPREG shows what was set; LOCK keeps the FIFO's settings over a reset", () => {
    const guest = new FloppyGuest([new TestDisk(DISK_1440)]);
    guest.start();
    guest.calibrated(7);
    guest.command(0x03, 0xaf, 0x1e);
    guest.command(0x13, 0, 0x5b, 0x21);
    guest.command(0x12, 0x87);
    guest.command(0x94);
    expect(guest.result()).toEqual([0x10]);
    guest.read({ c: 7, h: 0, r: 1, eot: 18 }, 1);
    guest.command(0x0e);
    expect(guest.result()).toEqual([7, 0, 0, 0, 0xaf, 0x1e, 18, 0x87, 0x5b, 0x21]);
    guest.out(0x3f4, 0x80);
    guest.waitIrq();
    for (let i = 0; i < 4; i++) guest.sense();
    guest.command(0x0e);
    // Implied seek and polling are not kept, nor gap and write gate.
    expect(guest.result()).toEqual([0, 0, 0, 0, 0xaf, 0x1e, 18, 0x84, 0x0b, 0x21]);
    guest.command(0x14);
    expect(guest.result()).toEqual([0x00]);
  });
});

describe("registers", () => {
  test("what is not there in PC/AT mode reads ones, and 3F6h is not ours", () => {
    const guest = new FloppyGuest();
    guest.out(0x3f0, 0x12);
    expect([guest.in(0x3f0), guest.in(0x3f1)]).toEqual([0xff, 0xff]);
    expect(guest.context.isClaimed(0x3f6)).toBe(false);
    guest.out(0x3f3, 0x02);
    expect(guest.in(0x3f3)).toBe(0xfe);
  });

  test("a command in progress shows as busy, a result as readable", () => {
    const guest = new FloppyGuest();
    guest.start();
    expect(guest.msr).toBe(0x80);
    guest.out(0x3f5, 0x04);
    expect(guest.msr).toBe(0x90);
    guest.out(0x3f5, 0x00);
    expect(guest.msr).toBe(0xd0);
    // Writes do not disturb a result.
    guest.out(0x3f5, 0x08);
    expect(guest.in(0x3f5)).toBe(0x78);
    expect(guest.msr).toBe(0x80);
  });
});

describe("seeks", () => {
  test("recalibrate and seek end with an interrupt; busy until sensed", () => {
    const guest = new FloppyGuest([new TestDisk(DISK_1440)]);
    guest.start();
    guest.command(0x0f, 0x04, 40);
    expect(guest.msr).toBe(0x81);
    guest.waitIrq();
    expect(guest.msr).toBe(0x81);
    expect(guest.sense()).toEqual([0x20, 40]);
    expect(guest.msr).toBe(0x80);
    guest.command(0x04, 0);
    expect(guest.result()).toEqual([0x28]);
    expect(guest.recalibrate()).toEqual([0x20, 0]);
    guest.command(0x04, 4);
    expect(guest.result()).toEqual([0x3c]);
  });

  test("a recalibrate stops after 79 steps: from the last tracks it takes two", () => {
    const guest = new FloppyGuest([new TestDisk(DISK_1440)]);
    guest.start();
    guest.recalibrate();
    guest.seek(82);
    expect(guest.recalibrate()).toEqual([0x70, 0]);
    expect(guest.recalibrate()).toEqual([0x20, 0]);
  });

  test("without a drive a recalibrate fails with equipment check, a seek does not", () => {
    const guest = new FloppyGuest([], [0]);
    guest.start(1);
    expect(guest.recalibrate(1)).toEqual([0x71, 0]);
    expect(guest.seek(5, 1)).toEqual([0x21, 5]);
    guest.command(0x04, 1);
    expect(guest.result()).toEqual([0x29]);
    expect(guest.in(0x3f7)).toBe(0);
  });

  test("relative seeks go both ways", () => {
    const guest = new FloppyGuest([new TestDisk(DISK_1440)]);
    guest.start();
    guest.recalibrate();
    guest.command(0xcf, 0, 30);
    guest.waitIrq();
    expect(guest.sense()).toEqual([0x20, 30]);
    guest.command(0x8f, 0, 10);
    guest.waitIrq();
    expect(guest.sense()).toEqual([0x20, 20]);
    expect(guest.read({ c: 20, h: 0, r: 1, eot: 18 }, 1).result[0]).toBe(0);
  });

  test("two drives seek at once, each with an interrupt of its own", () => {
    const guest = new FloppyGuest([new TestDisk(DISK_1440), new TestDisk(DISK_1440)]);
    guest.start();
    guest.command(0x0f, 0, 60);
    guest.out(0x3f2, 0x3d);
    guest.command(0x0f, 1, 20);
    expect(guest.msr).toBe(0x83);
    guest.waitIrq();
    expect(guest.sense()).toEqual([0x21, 20]);
    expect(guest.irq.level).toBe(false);
    guest.waitIrq();
    expect(guest.sense()).toEqual([0x20, 60]);
    expect(guest.msr).toBe(0x80);
  });

  test("a seek that ends while a result waits interrupts after it", () => {
    const guest = new FloppyGuest([new TestDisk(DISK_1440)]);
    guest.start();
    guest.command(0x0f, 0, 60);
    guest.command(0x10);
    guest.context.clock.advance(10_000_000);
    expect(guest.irq.level).toBe(false);
    expect(guest.result()).toEqual([0x90]);
    expect(guest.irq.level).toBe(true);
    expect(guest.sense()).toEqual([0x20, 60]);
  });

  test("a wrong upper drive bit means the drive that DOR selects (Windows 98)", () => {
    const disks = [new TestDisk(DISK_1440, 1), new TestDisk(DISK_1440, 2)] as const;
    const guest = new FloppyGuest(disks);
    guest.start(1);
    expect(guest.recalibrate(3)).toEqual([0x21, 0]);
    expect(guest.seek(2, 3)).toEqual([0x21, 2]);
    const memory = new Uint8Array(512);
    expect(guest.transfer(READ, { c: 2, h: 0, r: 1, eot: 18 }, memory, 3)).toEqual([0x01, 0, 0, 2, 0, 2, 2]);
    expect(memory).toEqual(disks[1].sectors(72));
  });
});

describe("change line", () => {
  test("up after power-on until a step with a disk inside", () => {
    const guest = new FloppyGuest([new TestDisk(DISK_1440)]);
    guest.start();
    expect(guest.in(0x3f7)).toBe(0x80);
    // At track 0 already: no step.
    guest.recalibrate();
    expect(guest.in(0x3f7)).toBe(0x80);
    guest.seek(1);
    expect(guest.in(0x3f7)).toBe(0);
    guest.floppy.reset("hard");
    guest.start();
    expect(guest.in(0x3f7)).toBe(0);
  });

  test("a user changes the disk: old one gone, empty drive, new one", () => {
    const guest = new FloppyGuest([new TestDisk(DISK_1440, 1)]);
    guest.start();
    guest.calibrated();
    guest.slots[0].insert(undefined);
    expect(guest.in(0x3f7)).toBe(0x80);
    guest.seek(1);
    guest.seek(0);
    expect(guest.in(0x3f7)).toBe(0x80);
    const second = new TestDisk(737_280, 2);
    guest.slots[0].insert(second);
    expect(guest.in(0x3f7)).toBe(0x80);
    guest.seek(1);
    guest.seek(0);
    expect(guest.in(0x3f7)).toBe(0);
    guest.out(0x3f7, 2);
    const { data, result } = guest.read({ c: 0, h: 1, r: 9, eot: 9 }, 1);
    expect(result[0]).toBe(0x04);
    expect(data).toEqual(second.sectors(17));
  });

  test("each drive has its own, DIR shows that of the selected one", () => {
    const guest = new FloppyGuest([new TestDisk(DISK_1440), new TestDisk(DISK_1440)]);
    guest.start();
    guest.calibrated();
    expect(guest.in(0x3f7)).toBe(0);
    guest.out(0x3f2, 0x2d);
    expect(guest.in(0x3f7)).toBe(0x80);
  });
});

test("a trace names commands and results", () => {
  const guest = new FloppyGuest([new TestDisk(DISK_1440)]);
  const lines: string[] = [];
  const context = Object.assign(guest.context, {
    ports: [],
    trace: (channel: string) => ({ enabled: channel === "floppy", line: (text: string) => lines.push(text) }),
  });
  guest.floppy.attach(context);
  guest.floppy.reset("power-on");
  guest.start();
  guest.command(0x10);
  guest.result();
  expect(lines.slice(-2)).toEqual(["fdc version: 10", "fdc result: 90"]);
});
