import { describe, expect, test } from "vitest";
import type { IdeConfig } from "./index.ts";
import { IdeGuest, MemoryMedium, MemorySlot } from "./testing.ts";

const disk = (port: 0 | 1, device: 0 | 1, backend = new MemoryMedium(0x10000, { seed: 2 + port * 2 + device })) =>
  ({ port, device, kind: "disk", backend }) as const;
const dvd = (port: 0 | 1, device: 0 | 1, slot = new MemorySlot()) => ({ port, device, kind: "dvd", slot }) as const;

function guestWith(...drives: IdeConfig["drives"]): IdeGuest {
  return new IdeGuest({ model: "PIIX4", drives });
}
const registers = (guest: IdeGuest) => [2, 3, 4, 5].map((register) => guest.in(register));

describe("task file shared by both drives", () => {
  test.each([0, 1] as const)("values written while the other is selected are used by drive %i", (device) => {
    const media = [new MemoryMedium(0x10000, { seed: 5 }), new MemoryMedium(0x10000, { seed: 6 })];
    const guest = guestWith(disk(0, 0, media[0]), disk(0, 1, media[1]));
    guest.out(6, 0xe0 | ((1 - device) << 4));
    guest.out(2, 2);
    guest.out(3, 17);
    guest.out(4, 0);
    guest.out(5, 0);
    guest.out(6, 0xe0 | (device << 4));
    guest.out(7, 0x20);
    expect(guest.pioIn(1024, 512)).toEqual(media[device].bytes.slice(17 * 512, 19 * 512));
  });

  test("probe patterns read back", () => {
    const guest = guestWith(disk(0, 0));
    guest.out(6, 0xa0);
    for (const [register, value] of [
      [2, 0x55],
      [3, 0xaa],
      [4, 0xaa],
      [5, 0x55],
    ]) {
      guest.out(register, value);
      expect(guest.in(register)).toBe(value);
    }
    expect(guest.in(6)).toBe(0xa0);
  });

  test("HOB shows the value before the last one and falls with the next write", () => {
    const guest = guestWith(disk(0, 0));
    guest.out(3, 0x12);
    guest.out(3, 0x34);
    guest.setControl(0x80);
    expect(guest.in(3)).toBe(0x12);
    guest.out(2, 0);
    expect(guest.in(3)).toBe(0x34);
  });

  test("a busy drive keeps its registers and ignores commands", () => {
    const guest = guestWith(disk(0, 0));
    guest.command28(0x20, 5, 1);
    guest.out(3, 99);
    guest.out(7, 0xec);
    const data = guest.pioIn(512, 512);
    expect(data).toEqual(new MemoryMedium(0x10000, { seed: 2 }).bytes.slice(5 * 512, 6 * 512));
  });

  test("words and double words at the register ports are taken apart", () => {
    const guest = guestWith(disk(0, 0));
    guest.context.out(0x1f2, 2, 0x0701);
    expect(guest.context.in(0x1f2, 2)).toBe(0x0701);
    guest.context.out(0x1f2, 4, 0x04030201);
    expect(guest.context.in(0x1f2, 4)).toBe(0x04030201);
    expect(guest.context.in(0x1f6, 2)).toBe(0x5000);
  });
});

describe("signatures", () => {
  test("after SRST, diagnostic and device reset", () => {
    const guest = guestWith(disk(0, 0), dvd(0, 1));
    for (const reset of [() => guest.softReset(), () => guest.simple(0x90, 1)]) {
      guest.out(4, 0x77);
      reset();
      expect(guest.in(6)).toBe(0);
      expect(registers(guest)).toEqual([1, 1, 0, 0]);
      expect({ error: guest.error, status: guest.altStatus }).toEqual({ error: 1, status: 0x50 });
      guest.out(6, 0xb0);
      expect(registers(guest)).toEqual([1, 1, 0x14, 0xeb]);
      expect({ error: guest.error, status: guest.altStatus }).toEqual({ error: 1, status: 0 });
    }
    guest.out(6, 0xb0);
    for (const register of [2, 3, 4, 5]) guest.out(register, 0x99);
    guest.out(7, 0x08);
    guest.waitReady();
    expect(registers(guest)).toEqual([1, 1, 0x14, 0xeb]);
    expect(guest.in(6)).toBe(0x10);
  });

  test.each([0xec, 0x20])("%i on a packet device aborts and leaves the signature", (code) => {
    const guest = guestWith(dvd(0, 0));
    expect(guest.simple(code) & 0x09).toBe(0x01);
    expect(guest.error).toBe(0x04);
    expect(registers(guest)).toEqual([1, 1, 0x14, 0xeb]);
  });

  test("resets are over within a millisecond", () => {
    const guest = guestWith(disk(0, 0), dvd(0, 1));
    guest.setControl(0x04);
    expect(guest.altStatus & 0x80).toBe(0x80);
    guest.pass(5_000);
    guest.setControl(0x00);
    guest.pass(1_000_000);
    expect(guest.altStatus).toBe(0x50);
  });

  test("the diagnostic interrupts once, from drive 0", () => {
    const guest = guestWith(disk(0, 0), disk(0, 1));
    guest.simple(0x90, 1);
    expect(guest.irqRises).toBe(1);
    guest.pass();
    guest.out(6, 0xb0);
    expect(guest.irqLevel).toBe(false);
  });
});

describe("absent drives", () => {
  test("a missing slave answers 00h and ignores commands; the master stays as it is", () => {
    const guest = guestWith(disk(0, 0));
    guest.out(6, 0xb0);
    guest.out(2, 0x55);
    expect([guest.in(1), guest.in(2), guest.in(4), guest.status, guest.altStatus]).toEqual([0, 0, 0, 0, 0]);
    guest.out(7, 0xec);
    guest.pass();
    expect(guest.status).toBe(0);
    expect(guest.irqRises).toBe(0);
    guest.out(6, 0xa0);
    expect(guest.in(2)).toBe(0x55);
    expect(guest.status).toBe(0x50);
  });

  test.each([
    ["primary", 0x1f0, 0x3f6],
    ["secondary", 0x170, 0x376],
  ])("an empty %s channel reads 00h for ever and is never busy", (_name, base, control) => {
    const guest = guestWith();
    for (const value of [0xa0, 0xb0]) {
      guest.context.out(base + 6, 1, value);
      guest.context.out(base + 3, 1, 0xaa);
      guest.context.out(base + 7, 1, 0xec);
      guest.context.out(control, 1, 0x04);
      expect(guest.context.in(control, 1)).toBe(0);
      guest.context.out(control, 1, 0x00);
      guest.pass();
      for (let register = 1; register < 8; register++) expect(guest.context.in(base + register, 1)).toBe(0);
      expect(guest.context.in(base, 2)).toBe(0xffff);
    }
  });

  test("a lone slave works", () => {
    const medium = new MemoryMedium(0x10000);
    const guest = guestWith(disk(0, 1, medium));
    guest.softReset();
    expect(guest.status).toBe(0);
    guest.command28(0x20, 1, 1, 1);
    expect(guest.pioIn(512, 512)).toEqual(medium.bytes.slice(512, 1024));
  });
});

describe("INTRQ", () => {
  test("status clears it, alternate status does not", () => {
    const guest = guestWith(disk(0, 0));
    guest.simple(0xe5);
    guest.out(7, 0xe5);
    guest.pass();
    expect(guest.irqLevel).toBe(true);
    expect(guest.altStatus).toBe(0x50);
    expect(guest.irqLevel).toBe(true);
    expect(guest.status).toBe(0x50);
    expect(guest.irqLevel).toBe(false);
  });

  test("a new command clears it", () => {
    const guest = guestWith(disk(0, 0));
    guest.out(7, 0xe5);
    guest.pass();
    guest.out(7, 0xe5);
    expect(guest.irqLevel).toBe(false);
  });

  test("nIEN holds it back and lets it out", () => {
    const guest = guestWith(disk(0, 0));
    guest.setControl(0x02);
    guest.out(7, 0xe5);
    guest.pass();
    expect(guest.irqLevel).toBe(false);
    expect(guest.bmStatus & 0x04).toBe(0);
    guest.setControl(0x00);
    expect(guest.irqLevel).toBe(true);
    expect(guest.bmStatus & 0x04).toBe(0x04);
  });

  test("the drive that is not selected does not hold the wire", () => {
    const guest = guestWith(disk(0, 0), disk(0, 1));
    guest.out(6, 0xa0);
    guest.out(7, 0xe5);
    guest.pass();
    guest.out(6, 0xb0);
    expect(guest.irqLevel).toBe(false);
    guest.out(6, 0xa0);
    expect(guest.irqLevel).toBe(true);
  });

  test("channels have their own lines", () => {
    const guest = guestWith(disk(0, 0), disk(1, 0));
    guest.context.out(0x177, 1, 0xe5);
    guest.pass();
    expect([guest.context.irq[14].level, guest.context.irq[15].level]).toEqual([false, true]);
  });
});

describe("SRST", () => {
  test("aborts a PIO transfer in flight", () => {
    const guest = guestWith(disk(0, 0));
    guest.command28(0x20, 0, 4);
    guest.waitReady();
    guest.readWords(100);
    guest.softReset();
    expect(guest.status).toBe(0x50);
    expect(guest.irqLevel).toBe(false);
    expect(guest.context.in(0x1f0, 2)).toBe(0xffff);
  });

  test("waits for a request in flight, drops its completion, invalidates what it wrote", () => {
    const medium = new MemoryMedium(0x10000);
    medium.isDeferred = true;
    const guest = guestWith(disk(0, 0, medium));
    guest.setRegions(0x1000, [[0x8000, 4096]]);
    guest.command28(0xc8, 0, 8);
    guest.startBusMaster(true);
    guest.pass();
    expect(guest.ide.pendingRequests).toBe(1);
    guest.bmOut(0, 1, 0);
    guest.softReset();
    expect(guest.altStatus).toBe(0x80);
    medium.complete();
    expect(guest.ide.pendingRequests).toBe(0);
    expect(guest.altStatus).toBe(0x50);
    expect(guest.irqRises).toBe(0);
    expect(guest.context.memory.invalidated).toEqual([[0x8000, 4096]]);
    expect(registers(guest)).toEqual([1, 1, 0, 0]);
  });

  test("a command during SRST is not heard", () => {
    const guest = guestWith(disk(0, 0));
    guest.setControl(0x04);
    guest.out(7, 0x90);
    guest.pass();
    expect(guest.altStatus).toBe(0x80);
  });
});

test("REP INSW and REP OUTSW move up to the block's end", () => {
  const medium = new MemoryMedium(0x10000);
  const guest = guestWith(disk(0, 0, medium));
  const window = guest.context.ports.find((claim) => claim.base === 0x1f0)!.window;
  const target = new Uint8Array(1024);
  expect(window.readBulk!(0, 2, target)).toBe(0);
  guest.command28(0x20, 3, 2);
  guest.waitReady();
  expect(window.writeBulk!(0, 2, target)).toBe(0);
  expect(window.readBulk!(0, 4, target.subarray(0, 100))).toBe(100);
  expect(window.readBulk!(0, 2, target.subarray(100))).toBe(412);
  guest.waitReady();
  expect(window.readBulk!(0, 2, target.subarray(512))).toBe(512);
  expect(target).toEqual(medium.bytes.slice(3 * 512, 5 * 512));
  expect(guest.status).toBe(0x50);
  guest.command28(0x30, 9, 1);
  guest.waitReady();
  expect(window.writeBulk!(0, 2, target)).toBe(512);
  guest.waitReady();
  expect(medium.bytes.slice(9 * 512, 10 * 512)).toEqual(target.slice(0, 512));
});

test("the data register by 32 and by 8 bits", () => {
  const medium = new MemoryMedium(0x10000);
  const guest = guestWith(disk(0, 0, medium));
  guest.command28(0x20, 0, 1);
  guest.waitReady();
  const { bytes } = medium;
  expect(guest.context.in(0x1f0, 4)).toBe((bytes[0] | (bytes[1] << 8) | (bytes[2] << 16) | (bytes[3] << 24)) >>> 0);
  expect(guest.context.in(0x1f0, 1)).toBe(bytes[4]);
  expect(guest.context.in(0x1f0, 2)).toBe(bytes[6] | (bytes[7] << 8));
});
