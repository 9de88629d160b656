/** INT 13h on IDE disks, as boot code and setup programs see it (rows 1 to 3 of the self-test list). */
import { beforeAll, describe, expect, it } from "vitest";
import { MemoryMedium } from "../../src/machine/testing.ts";
import { BiosCaller, BUFFER, numberedDisk } from "./bios-caller.ts";

const SECTORS = 41 * 16 * 63;

describe("INT 13h on an IDE disk", () => {
  let guest: BiosCaller;
  let medium: MemoryMedium;

  beforeAll(async () => {
    medium = new MemoryMedium(numberedDisk(SECTORS));
    guest = await BiosCaller.bootFromDisk({ disks: { "0.1": new MemoryMedium(numberedDisk(63 * 16 * 5)) } }, medium);
  });

  const packet = (lba: number, sectors: number, linear = BUFFER, size = 0x10) => {
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    bytes[0] = size;
    view.setUint16(2, sectors, true);
    view.setUint16(4, linear & 15, true);
    view.setUint16(6, linear >> 4, true);
    view.setUint32(8, lba, true);
    guest.memory.write(0x8000, bytes);
    return { esi: 0x8000 };
  };

  it("tells the geometry and the number of disks", () => {
    const { ah, carry, cx, dx } = guest.call(0x13, { eax: 0x0800, edx: 0x80 });
    expect({ ah, carry, cx, dx }).toEqual({ ah: 0, carry: false, cx: (40 << 8) | 63, dx: (15 << 8) | 2 });
    expect(guest.memory.read8(0x475)).toBe(2);
  });

  it("answers the drive type with the size, and the extensions' presence", () => {
    const type = guest.call(0x13, { eax: 0x1500, edx: 0x80 });
    expect([type.ah, type.carry, type.cx * 0x10000 + type.dx]).toEqual([3, false, SECTORS]);
    const there = guest.call(0x13, { eax: 0x4100, ebx: 0x55aa, edx: 0x80 });
    expect([there.carry, there.bx, there.ah, there.cx & 3]).toEqual([false, 0xaa55, 0x30, 3]);
  });

  it("reads by CHS and by LBA what is on the disk, at every border", () => {
    for (const lba of [0, 1, 62, 63, 64, 16 * 63 - 1, 16 * 63, SECTORS - 1]) {
      const [sector, head, cylinder] = [(lba % 63) + 1, Math.floor(lba / 63) % 16, Math.floor(lba / (63 * 16))];
      const ecx = (cylinder << 8) | sector;
      const chs = guest.call(0x13, { eax: 0x0201, ebx: 0, es: BUFFER >> 4, ecx, edx: (head << 8) | 0x80 });
      expect([lba, chs.carry, chs.ax]).toEqual([lba, false, 0x0001]);
      const byChs = guest.bytes(BUFFER, 512);
      expect(byChs).toEqual(medium.bytes.slice(lba * 512, lba * 512 + 512));
      guest.memory.write(BUFFER, new Uint8Array(512));
      const extended = guest.call(0x13, { eax: 0x4200, edx: 0x80, ...packet(lba, 1) });
      expect([extended.carry, extended.ah]).toEqual([false, 0]);
      expect(guest.bytes(BUFFER, 512)).toEqual(byChs);
    }
  });

  it("reads 127 sectors into a buffer that ends exactly at a 64 KiB border", () => {
    const linear = 0x20000 - 127 * 512;
    const { carry } = guest.call(0x13, { eax: 0x4200, edx: 0x80, ...packet(100, 127, linear) });
    expect(carry).toBe(false);
    expect(guest.bytes(linear, 127 * 512)).toEqual(medium.bytes.slice(100 * 512, 227 * 512));
  });

  it("writes and verifies", () => {
    guest.memory.write(BUFFER, new Uint8Array(1024).fill(0x5a));
    const write = guest.call(0x13, { eax: 0x4300, edx: 0x80, ...packet(2000, 2) });
    expect([write.carry, write.ah]).toEqual([false, 0]);
    expect(medium.bytes.slice(2000 * 512, 2002 * 512).every((byte) => byte === 0x5a)).toBe(true);
    expect(guest.call(0x13, { eax: 0x4400, edx: 0x80, ...packet(2000, 2) }).carry).toBe(false);
    const chs = guest.call(0x13, { eax: 0x0301, es: BUFFER >> 4, ecx: 0x0101, edx: 0x0180 });
    expect([chs.carry, chs.al]).toEqual([false, 1]);
    expect(medium.bytes[(16 * 63 + 63) * 512]).toBe(0x5a);
  });

  it("refuses addresses beyond the disk and leaves the buffer alone", () => {
    guest.memory.write(BUFFER, new Uint8Array(512).fill(0x77));
    for (const [ecx, edx] of [
      [0x2901, 0x0080],
      [0x0101, 0x1080],
      [0x0100, 0x0080],
    ]) {
      const { ah, al, carry } = guest.call(0x13, { eax: 0x0201, es: BUFFER >> 4, ecx, edx });
      expect([carry, ah, al]).toEqual([true, 1, 0]);
    }
    const extended = guest.call(0x13, { eax: 0x4200, edx: 0x80, ...packet(SECTORS - 1, 2) });
    expect([extended.carry, extended.ah, guest.memory.read16(0x8002)]).toEqual([true, 4, 0]);
    expect(guest.bytes(BUFFER, 512).every((byte) => byte === 0x77)).toBe(true);
    // The status is kept for function 01h.
    expect(guest.call(0x13, { eax: 0x0100, edx: 0x80 }).ah).toBe(4);
  });

  it("says that absent drives are absent, for every function", () => {
    for (let ah = 0; ah < 0x100; ah++) {
      if (ah === 1) continue;
      for (const drive of [0x00, 0x01, 0x82, 0xe0]) {
        const result = guest.call(0x13, { eax: ah << 8, ebx: 0x55aa, edx: drive, ecx: 1, es: BUFFER >> 4 });
        expect([ah, drive, result.carry, result.ah]).toEqual([ah, drive, true, 1]);
      }
    }
  });

  it("fills the drive parameter block by the size of the caller's buffer", () => {
    for (const [room, length] of [
      [0x1a, 0x1a],
      [0x1d, 0x1a],
      [0x1e, 0x1e],
      [0x42, 0x42],
      [0xff, 0x42],
    ]) {
      guest.memory.write(0x9000, new Uint8Array(256).fill(0xcc));
      guest.memory.write16(0x9000, room);
      const { carry, ah } = guest.call(0x13, { eax: 0x4800, edx: 0x80, esi: 0x9000 });
      expect([carry, ah, guest.memory.read16(0x9000)]).toEqual([false, 0, length]);
      expect(guest.bytes(0x9000 + length, 4)).toEqual(new Uint8Array(4).fill(0xcc));
      expect([guest.memory.read32(0x9004), guest.memory.read32(0x9008), guest.memory.read32(0x900c)]).toEqual([
        41, 16, 63,
      ]);
      expect(guest.memory.read32(0x9010)).toBe(SECTORS);
      expect(guest.memory.read16(0x9018)).toBe(512);
    }
    expect(guest.memory.read16(0x901e)).toBe(0xbedd);
    expect(new TextDecoder().decode(guest.bytes(0x9024, 12))).toBe("PCI ATA     ");
    expect(guest.bytes(0x901e, 0x24).reduce((sum, byte) => sum + byte, 0) % 256).toBe(0);
  });

  it("returns with interrupts on, keeps high halves and needs little stack", () => {
    const { pc } = guest;
    for (let ah = 0; ah < 0x100; ah++) {
      if (ah === 0x02 || ah === 0x03 || ah === 0x05 || ah === 0x42 || ah === 0x43) continue;
      const sent = { eax: 0x12340000 | (ah << 8), ebx: 0x56780000, ecx: 0x9abc0000, edx: 0xdef00080, ebp: 0x13572468 };
      guest.memory.write16(0x9000, 0x1a);
      const got = guest.call(0x13, { ...sent, esi: 0x24689000, edi: 0x3579c000, flags: 0x0002 });
      const high = (value: number) => value >>> 16;
      expect([ah, high(got.eax), high(got.ebx), high(got.ecx), high(got.edx)]).toEqual([
        ah,
        0x1234,
        0x5678,
        0x9abc,
        0xdef0,
      ]);
      expect([got.esi >>> 16, got.edi >>> 16, got.ebp]).toEqual([0x2468, 0x3579, 0x13572468]);
      expect([ah, (got.flags & 0x200) !== 0, got.stackBytes < 100]).toEqual([ah, true, true]);
    }
    expect(pc.events).toEqual([]);
  });

  it("points INT 41h to the physical geometry", () => {
    const table = guest.memory.read16(0x41 * 4 + 2) * 16 + guest.memory.read16(0x41 * 4);
    expect(table).toBeGreaterThanOrEqual(0xf0000);
    const rom = new Uint8Array(16);
    guest.pc.machine.cpu.readLinearBytes(table, rom);
    expect([rom[0] | (rom[1] << 8), rom[2], rom[14]]).toEqual([41, 16, 63]);
  });
});

describe("logical geometry", () => {
  it("keeps what the image stores, and stores what it chose", async () => {
    class Stored extends MemoryMedium {
      logicalGeometry?: { cylinders: number; heads: number; sectors: number };
      storeLogicalGeometry(geometry: { cylinders: number; heads: number; sectors: number }): void {
        this.logicalGeometry = geometry;
      }
    }
    const medium = new Stored(numberedDisk(SECTORS));
    await BiosCaller.bootFromDisk({}, medium);
    expect(medium.logicalGeometry).toEqual({ cylinders: 41, heads: 16, sectors: 63 });
    medium.logicalGeometry = { cylinders: 20, heads: 32, sectors: 63 };
    const guest = await BiosCaller.bootFromDisk({}, medium);
    const { cx, dx } = guest.call(0x13, { eax: 0x0800, edx: 0x80 });
    expect([cx, dx >> 8]).toEqual([(19 << 8) | 63, 31]);
  });

  it("follows the partition table of an image from elsewhere", async () => {
    const disk = numberedDisk(SECTORS);
    // One partition that ends at head 31, sector 32.
    disk.set([0x80, 1, 1, 0, 0x06, 31, 32, 39, 32, 0, 0, 0, 0, 0x80, 0, 0], 0x1be);
    const guest = await BiosCaller.bootFromDisk({}, new MemoryMedium(disk));
    const { cx, dx } = guest.call(0x13, { eax: 0x0800, edx: 0x80 });
    const cylinders = Math.floor(SECTORS / (32 * 32));
    expect([cx, dx >> 8]).toEqual([((cylinders - 1) << 8) | 32, 31]);
  });
});
