/** INT 13h on floppy drives, through the controller and DMA, as boot sectors and DOS use it. */
import { beforeAll, describe, expect, it } from "vitest";
import { MemoryMedium } from "../../src/machine/testing.ts";
import { BiosCaller, BUFFER, numberedDisk } from "./bios-caller.ts";

const floppyFirst = { bootOrder: ["floppy", "none", "none", "none"] } as const;
const chs = (lba: number, perTrack = 18) => ({
  ecx: (Math.floor(lba / (perTrack * 2)) << 8) | ((lba % perTrack) + 1),
  edx: (Math.floor(lba / perTrack) % 2) << 8,
});

describe("INT 13h on a 1.44 MB floppy", () => {
  let guest: BiosCaller;
  let medium: MemoryMedium;

  beforeAll(async () => {
    medium = new MemoryMedium(numberedDisk(2880));
    guest = await BiosCaller.boot({ floppies: [medium, undefined], spec: floppyFirst });
  });

  it("tells the drive's geometry, type and table", () => {
    const got = guest.call(0x13, { eax: 0x0800, edx: 0 });
    expect([got.carry, got.ax, got.bx & 0xff, got.cx, got.dx]).toEqual([false, 0, 4, 0x4f12, 0x0102]);
    const table = new Uint8Array(13);
    guest.pc.machine.cpu.readLinearBytes(got.es * 16 + (got.edi & 0xffff), table);
    expect([table[3], table[4], table[11], table[12]]).toEqual([2, 18, 79, 0]);
    expect(guest.memory.read32(0x1e * 4)).toBe(got.es * 0x10000 + (got.edi & 0xffff));
    expect(guest.call(0x13, { eax: 0x1500, edx: 0 }).ah).toBe(2);
    expect(guest.call(0x13, { eax: 0x0800, edx: 2 }).ah).toBe(1);
    expect(guest.call(0x11).ax & 0xc1).toBe(0x41);
  });

  it("reads and verifies sectors anywhere on the disk", () => {
    for (const lba of [0, 1, 17, 18, 35, 36, 1439, 2879]) {
      const { carry, ax } = guest.call(0x13, { eax: 0x0201, es: BUFFER >> 4, ...chs(lba) });
      expect([lba, carry, ax]).toEqual([lba, false, 1]);
      expect(guest.bytes(BUFFER, 512)).toEqual(medium.bytes.slice(lba * 512, lba * 512 + 512));
    }
    const track = guest.call(0x13, { eax: 0x0212, es: BUFFER >> 4, ...chs(36) });
    expect([track.carry, track.al]).toEqual([false, 18]);
    expect(guest.bytes(BUFFER, 18 * 512)).toEqual(medium.bytes.slice(36 * 512, 54 * 512));
    expect(guest.call(0x13, { eax: 0x0412, ...chs(36) }).carry).toBe(false);
  });

  it("writes", () => {
    guest.memory.write(BUFFER, new Uint8Array(1024).fill(0x3c));
    const { carry, al } = guest.call(0x13, { eax: 0x0302, es: BUFFER >> 4, ...chs(100) });
    expect([carry, al]).toEqual([false, 2]);
    expect(medium.bytes.slice(100 * 512, 102 * 512).every((byte) => byte === 0x3c)).toBe(true);
    expect(guest.call(0x13, { eax: 0x0201, es: BUFFER >> 4, ...chs(102) }).carry).toBe(false);
  });

  it("refuses a buffer that crosses a 64 KiB border, and sectors that are not there", () => {
    const border = guest.call(0x13, { eax: 0x0202, ebx: 0xfe00, es: 0x1000, ...chs(1) });
    expect([border.carry, border.ah]).toEqual([true, 9]);
    const missing = guest.call(0x13, { eax: 0x0201, es: BUFFER >> 4, ecx: 0x0013, edx: 0 });
    expect([missing.carry, missing.ah]).toEqual([true, 4]);
    expect(guest.call(0x13, { eax: 0x0100, edx: 0 }).ah).toBe(4);
    expect(guest.call(0x13, { eax: 0x0000, edx: 0 }).carry).toBe(false);
  });

  it("says that a drive is empty, and that a disk was changed, once", () => {
    // Drive 1 exists and is empty.
    const empty = guest.call(0x13, { eax: 0x0201, es: BUFFER >> 4, ecx: 1, edx: 1 }, 2_000_000_000);
    expect([empty.carry, empty.ah]).toEqual([true, 0x80]);
    guest.pc.slots.get("floppy 0")!.change(new MemoryMedium(numberedDisk(2880).fill(0x99, 512)));
    expect(guest.call(0x13, { eax: 0x1600, edx: 0 }).ah).toBe(6);
    const changed = guest.call(0x13, { eax: 0x0201, es: BUFFER >> 4, ...chs(1) });
    expect([changed.carry, changed.ah]).toEqual([true, 6]);
    const after = guest.call(0x13, { eax: 0x0201, es: BUFFER >> 4, ...chs(1) });
    expect([after.carry, guest.memory.read8(BUFFER)]).toEqual([false, 0x99]);
    expect(guest.call(0x13, { eax: 0x1600, edx: 0 }).ah).toBe(0);
  });

  it("honours the parameter table that INT 1Eh points to", () => {
    const vector = guest.memory.read32(0x1e * 4);
    const table = new Uint8Array(13);
    guest.pc.machine.cpu.readLinearBytes((vector >>> 16) * 16 + (vector & 0xffff), table);
    // Tracks end at sector 9: with multi-track reading the next sector is the first of head 1.
    table[4] = 9;
    guest.memory.write(0x9400, table);
    guest.memory.write32(0x1e * 4, 0x9400);
    medium = new MemoryMedium(numberedDisk(2880));
    guest.pc.slots.get("floppy 0")!.change(medium);
    guest.call(0x13, { eax: 0x0201, es: BUFFER >> 4, ...chs(1) });
    const got = guest.call(0x13, { eax: 0x0202, es: BUFFER >> 4, ecx: 0x0009, edx: 0 });
    expect(got.carry).toBe(false);
    expect([guest.memory.read32(BUFFER), guest.memory.read32(BUFFER + 512)]).toEqual([8, 18]);
    guest.memory.write32(0x1e * 4, vector);
  });

  it("switches the motor off some time after the last access", () => {
    guest.call(0x13, { eax: 0x0201, es: BUFFER >> 4, ...chs(1) });
    expect(guest.memory.read8(0x43f) & 0x01).toBe(1);
    guest.call(0x15, { eax: 0x8600, ecx: 0x0024 });
    expect(guest.memory.read8(0x43f) & 0x0f).toBe(0);
  });
});

describe("other floppies", () => {
  it.each([
    ["360 KB", 720, 9],
    ["720 KB", 1440, 9],
    ["1.2 MB", 2400, 15],
    ["2.88 MB", 5760, 36],
  ])("boots and reads %s", async (_what, sectors, perTrack) => {
    const medium = new MemoryMedium(numberedDisk(sectors));
    const guest = await BiosCaller.boot({ floppies: [medium], spec: floppyFirst });
    for (const lba of [1, perTrack - 1, perTrack, perTrack * 2, sectors - 1]) {
      const { carry } = guest.call(0x13, { eax: 0x0201, es: BUFFER >> 4, ...chs(lba, perTrack) });
      expect([lba, carry, guest.memory.read32(BUFFER)]).toEqual([lba, false, lba]);
    }
  });
});
