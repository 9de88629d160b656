/** INT 13h on floppy drives, as DOS and set-up programs use it: every transfer goes through the controller's ports. */
import { beforeEach, describe, expect, test } from "vitest";
import { MemoryMedium, type TestSlot } from "../../src/machine/testing.ts";
import { BiosCaller, BUFFER, numberedDisk } from "./bios-caller.ts";

const DISK_1440 = 2880;
let guest: BiosCaller;
let disk: MemoryMedium;

async function boot(sectors = DISK_1440, more: (MemoryMedium | undefined)[] = []): Promise<void> {
  disk = new MemoryMedium(numberedDisk(sectors));
  guest = await BiosCaller.bootFromDisk({ floppies: [disk, ...more] });
}
const slot = (drive = 0): TestSlot => guest.pc.slots.get(`floppy ${drive}`)!;
const lbaAt = (offset = 0): number => guest.memory.read32(BUFFER + offset);
/** As the CPU sees it: ROM too. */
function romBytes(linear: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  guest.pc.machine.cpu.readLinearBytes(linear, bytes);
  return bytes;
}

interface Transfer {
  readonly c?: number;
  readonly h?: number;
  readonly r?: number;
  readonly count?: number;
  readonly drive?: number;
  readonly linear?: number;
}
/** Function `ah` at a place; the buffer is at BUFFER unless told otherwise. */
function transfer(ah: number, { c = 0, h = 0, r = 1, count = 1, drive = 0, linear = BUFFER }: Transfer = {}) {
  return guest.call(0x13, {
    eax: (ah << 8) | count,
    ecx: (c << 8) | r,
    edx: (h << 8) | drive,
    es: linear >> 4,
    ebx: linear & 15,
  });
}
/** The first access after power-on finds the change line up; then the media is known. */
function settle(drive = 0): void {
  expect(transfer(2, { drive }).ah).toBe(0x06);
  expect(transfer(2, { drive }).ah).toBe(0x00);
}

describe("one drive with a 1.44 MB disk", () => {
  beforeEach(() => boot());

  test("what it is: AH=08h, 15h, equipment, CMOS", () => {
    const { ah, carry, bx, cx, dx, es, edi } = guest.call(0x13, { eax: 0x0800 });
    expect({ ah, carry, bx, cx, dx }).toEqual({ ah: 0, carry: false, bx: 4, cx: 0x4f12, dx: 0x0101 });
    const table = romBytes(es * 16 + (edi & 0xffff), 13);
    expect([table[3], table[4], table[11], table[12]]).toEqual([2, 18, 79, 0]);
    expect(guest.call(0x13, { eax: 0x1500 })).toMatchObject({ ah: 2, carry: false });
    expect(guest.memory.read16(0x410) & 0xc1).toBe(0x01);
    for (const drive of [1, 2, 0x7f])
      expect(guest.call(0x13, { eax: 0x1500, edx: drive })).toMatchObject({ ah: 1, carry: true });
  });

  test("the first read reports the change; then sectors come from every place", () => {
    settle();
    expect(lbaAt()).toBe(new DataView(disk.bytes.buffer).getUint32(0, true));
    for (const [c, h, r] of [
      [0, 0, 2],
      [0, 1, 1],
      [39, 0, 18],
      [79, 1, 18],
    ]) {
      const read = transfer(2, { c, h, r });
      expect([read.ah, read.al, read.carry]).toEqual([0, 1, false]);
      expect(lbaAt()).toBe((c * 2 + h) * 18 + r - 1);
    }
    // From one side to the other.
    expect(transfer(2, { c: 7, r: 10, count: 18 }).al).toBe(18);
    expect([lbaAt(), lbaAt(17 * 512)]).toEqual([7 * 36 + 9, 7 * 36 + 26]);
  });

  test("writes and verifies", () => {
    settle();
    const data = Uint8Array.from({ length: 1024 }, (_, i) => (i * 13) & 0xff);
    guest.memory.write(BUFFER, data);
    expect(transfer(3, { c: 5, h: 1, r: 17, count: 2 })).toMatchObject({ ah: 0, al: 2, carry: false });
    const at = ((5 * 2 + 1) * 18 + 16) * 512;
    expect(disk.bytes.slice(at, at + 1024)).toEqual(data);
    guest.memory.write(BUFFER, new Uint8Array(512));
    expect(transfer(4, { c: 5, h: 1, r: 17, count: 2 })).toMatchObject({ ah: 0, al: 2, carry: false });
    expect(lbaAt()).toBe(0);
  });

  test("formats a track as AH=18h prepared it", () => {
    settle();
    const prepared = guest.call(0x13, { eax: 0x1800, ecx: 0x4f12 });
    expect([prepared.ah, prepared.carry]).toEqual([0, false]);
    expect(romBytes(prepared.es * 16 + (prepared.edi & 0xffff), 13)[4]).toBe(18);
    guest.memory.write(
      BUFFER,
      Uint8Array.from({ length: 72 }, (_, i) => [3, 1, (i >> 2) + 1, 2][i & 3]),
    );
    expect(transfer(5, { c: 3, h: 1, count: 18 })).toMatchObject({ ah: 0, carry: false });
    const at = (3 * 2 + 1) * 18 * 512;
    expect(disk.bytes.subarray(at, at + 18 * 512).every((byte) => byte === 0xf6)).toBe(true);
    expect(disk.bytes[at + 18 * 512]).not.toBe(0xf6);
    expect(guest.call(0x13, { eax: 0x1800, ecx: 0x4f24 })).toMatchObject({ ah: 0x0c, carry: true });
  });

  test("errors by their numbers, and AH=01h repeats the last", () => {
    settle();
    const last = () => guest.call(0x13, { eax: 0x0100 }).ah;
    expect(transfer(2, { r: 19 })).toMatchObject({ ah: 0x04, al: 0, carry: true });
    expect(last()).toBe(0x04);
    expect(transfer(2, { c: 80 }).ah).toBe(0x02);
    expect(transfer(2, { count: 0 }).ah).toBe(0x01);
    expect(transfer(2, { linear: 0x1ff80 }).ah).toBe(0x09);
    expect(transfer(0x77).ah).toBe(0x01);
    expect(transfer(2).ah).toBe(0x00);
    expect(last()).toBe(0x00);
  });

  test("a write-protected disk", () => {
    slot().change(new MemoryMedium(numberedDisk(DISK_1440), true));
    expect(transfer(3).ah).toBe(0x06);
    expect(transfer(3)).toMatchObject({ ah: 0x03, carry: true });
    expect(transfer(2).ah).toBe(0);
  });

  test("the user changes the disk: AH=16h and the next transfer tell; the new one may have another format", () => {
    settle();
    expect(guest.call(0x13, { eax: 0x1600 })).toMatchObject({ ah: 0, carry: false });
    slot().change(new MemoryMedium(numberedDisk(720)));
    expect(guest.call(0x13, { eax: 0x1600 })).toMatchObject({ ah: 6, carry: true });
    expect(transfer(2).ah).toBe(0x06);
    expect(guest.call(0x13, { eax: 0x1600 }).ah).toBe(0);
    expect(transfer(2, { c: 39, h: 1, r: 9 }).ah).toBe(0);
    expect(lbaAt()).toBe(719);
    expect(guest.memory.read8(0x490) >> 6).toBe(2);
    slot().change(undefined);
    expect(transfer(2)).toMatchObject({ ah: 0x80, carry: true });
    expect(transfer(2).ah).toBe(0x80);
    slot().change(disk);
    expect(transfer(2).ah).toBe(0x06);
    expect(transfer(2, { c: 79, h: 1, r: 18 }).ah).toBe(0);
    expect(lbaAt()).toBe(2879);
  });

  test("the parameter table at INT 1Eh decides, as copy protections and large formats want it", () => {
    settle();
    guest.memory.write(0x600, Uint8Array.of(0xdf, 2, 0x25, 2, 3, 0x1b, 0xff, 0x6c, 0x5a, 0xf, 8, 79, 0));
    guest.memory.write16(0x78, 0x600);
    guest.memory.write16(0x7a, 0);
    // Three sectors to a track: the fourth is the first of the other side.
    expect(transfer(2, { count: 4 }).al).toBe(4);
    expect(lbaAt(3 * 512)).toBe(18);
  });

  test("the motor runs for the transfer and stops by itself", () => {
    settle();
    expect(guest.memory.read8(0x43f) & 1).toBe(1);
    const ticks = guest.memory.read8(0x440);
    expect(ticks).toBeGreaterThan(0);
    const end = guest.pc.machine.clock.lastNs + ticks * 60_000_000;
    guest.pc.runUntil(() => guest.pc.machine.clock.lastNs > end);
    expect(guest.memory.read8(0x43f) & 1).toBe(0);
    expect(guest.pc.machine.ports.readPort(0x3f2, 1) & 0x10).toBe(0);
    expect(transfer(2).ah).toBe(0);
  });

  test("keeps the caller's registers, interrupts on, little stack", () => {
    settle();
    const high = {
      eax: 0x12340201,
      ebx: 0x11110000,
      ecx: 0x22220001,
      edx: 0x33330000,
      esi: 0x44445555,
      edi: 0x66667777,
    };
    const result = guest.call(0x13, { ...high, ebp: 0x88889999, es: BUFFER >> 4, flags: 0x0002 });
    expect(result.carry).toBe(false);
    expect(result.eax >>> 16).toBe(0x1234);
    expect([result.ebx, result.ecx, result.edx, result.esi, result.edi, result.ebp]).toEqual([
      high.ebx,
      high.ecx,
      high.edx,
      high.esi,
      high.edi,
      0x88889999,
    ]);
    expect(result.flags & 0x200).toBe(0x200);
    expect(result.stackBytes).toBeLessThanOrEqual(100);
  });
});

test("two drives: each with its own disk and change line", async () => {
  const second = new MemoryMedium(numberedDisk(1440));
  await boot(DISK_1440, [second]);
  expect(guest.call(0x13, { eax: 0x0800, edx: 1 }).dx).toBe(0x0102);
  settle(0);
  settle(1);
  expect(transfer(2, { drive: 1, c: 79, h: 1, r: 9 }).ah).toBe(0);
  expect(lbaAt()).toBe(1439);
  expect(transfer(2, { drive: 0, c: 79, h: 1, r: 18 }).ah).toBe(0);
  expect(lbaAt()).toBe(2879);
  slot(1).change(undefined);
  expect(transfer(2, { drive: 0 }).ah).toBe(0);
  expect(transfer(2, { drive: 1 }).ah).toBe(0x80);
});

test("an empty drive answers at once, and takes a disk later", async () => {
  guest = await BiosCaller.bootFromDisk({ floppies: [undefined] });
  expect(transfer(2).ah).toBe(0x80);
  slot().change(new MemoryMedium(numberedDisk(DISK_1440)));
  settle();
});

test("no drive: every function fails with AH=01h, CMOS and equipment say so, the ports are silent", async () => {
  guest = await BiosCaller.bootFromDisk();
  for (const ah of [0, 2, 3, 4, 5, 8, 0x15, 0x16, 0x18]) expect(transfer(ah)).toMatchObject({ ah: 1, carry: true });
  expect(guest.memory.read16(0x410) & 1).toBe(0);
  expect(guest.pc.machine.ports.readPort(0x3f4, 1)).toBe(0xff);
});

test.each([
  ["160 KB", 320, [39, 0, 8], 4],
  ["360 KB", 720, [39, 1, 9], 4],
  ["720 KB", 1440, [79, 1, 9], 4],
  ["1.2 MB", 2400, [79, 1, 15], 4],
  ["1.68 MB", 3360, [79, 1, 21], 4],
  ["2.88 MB", 5760, [79, 1, 36], 5],
])("a disk of %s: its last sector", async (_name, sectors, [c, h, r], type) => {
  await boot(sectors);
  settle();
  expect(transfer(2, { c, h, r }).ah).toBe(0);
  expect(lbaAt()).toBe(sectors - 1);
  const { bx, cx } = guest.call(0x13, { eax: 0x0800 });
  expect([bx, cx & 0xff]).toEqual([type, type === 5 ? 36 : 18]);
});
