/** Booting from CDs (El Torito) without and with emulation, and INT 13h on the booted disc (rows 4 and 5). */
import { describe, expect, it } from "vitest";
import { MemoryMedium } from "../../src/machine/testing.ts";
import { BiosCaller, BUFFER, callerBootSector, elToritoDisc, numberedDisk } from "./bios-caller.ts";

const dvdFirst = { bootOrder: ["dvd", "disk", "none", "none"] } as const;

function packet(guest: BiosCaller, lba: number, sectors: number): { esi: number } {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  bytes[0] = 0x10;
  view.setUint16(2, sectors, true);
  view.setUint16(6, BUFFER >> 4, true);
  view.setUint32(8, lba, true);
  guest.memory.write(0x8000, bytes);
  return { esi: 0x8000 };
}

describe("a CD without emulation", () => {
  const image = new Uint8Array(4 * 2048).map((_, i) => i * 7);
  image.set(callerBootSector());
  const disc = elToritoDisc(image, 0, 4, 64);
  for (let at = 24 * 2048; at < disc.length; at += 4) new DataView(disc.buffer).setUint32(at, at, true);

  it("is drive E0h with 2048-byte sectors and tells how it was booted", async () => {
    const medium = new MemoryMedium(disc, true);
    const guest = await BiosCaller.boot({ dvds: { "1.0": medium }, spec: dvdFirst });
    // Four virtual sectors of 512 bytes were loaded, and no more.
    expect(guest.bytes(0x7c00 + 0x400, 0x400)).toEqual(image.slice(0x400, 0x800));
    const there = guest.call(0x13, { eax: 0x4100, ebx: 0x55aa, edx: 0xe0 });
    expect([there.carry, there.bx, there.cx & 1]).toEqual([false, 0xaa55, 1]);
    const specification = guest.call(0x13, { eax: 0x4b01, edx: 0xe0, esi: 0x9000 });
    expect([specification.carry, specification.ah]).toEqual([false, 0]);
    expect([...guest.bytes(0x9000, 16)]).toEqual([0x13, 0, 0xe0, 1, 20, 0, 0, 0, 0, 0, 0, 0, 0xc0, 0x07, 4, 0]);
    guest.memory.write16(0x9000, 0x1a);
    expect(guest.call(0x13, { eax: 0x4800, edx: 0xe0, esi: 0x9000 }).carry).toBe(false);
    expect([guest.memory.read16(0x9002), guest.memory.read32(0x9004), guest.memory.read16(0x9018)]).toEqual([
      0x74, 0xffffffff, 2048,
    ]);
    for (const [lba, sectors] of [
      [16, 1],
      [20, 16],
      [disc.length / 2048 - 1, 1],
    ]) {
      const read = guest.call(0x13, { eax: 0x4200, edx: 0xe0, ...packet(guest, lba, sectors) });
      expect([lba, read.carry, read.ah]).toEqual([lba, false, 0]);
      expect(guest.bytes(BUFFER, sectors * 2048)).toEqual(disc.slice(lba * 2048, (lba + sectors) * 2048));
    }
    const beyond = guest.call(0x13, { eax: 0x4200, edx: 0xe0, ...packet(guest, disc.length / 2048, 1) });
    expect([beyond.carry, beyond.ah !== 0]).toEqual([true, true]);
    expect(guest.call(0x13, { eax: 0x4300, edx: 0xe0, ...packet(guest, 16, 1) }).ah).toBe(3);
    expect(guest.call(0x13, { eax: 0x0800, edx: 0x00 }).carry).toBe(true);
  });

  it("goes on to the disk when the disc is not bootable or the drive is empty", async () => {
    for (const medium of [undefined, new MemoryMedium(new Uint8Array(64 * 2048), true)]) {
      const guest = await BiosCaller.boot({
        dvds: { "1.0": medium },
        disks: { "0.0": new MemoryMedium(numberedDisk(2016)) },
        spec: dvdFirst,
      });
      expect(guest.call(0x13, { eax: 0x0800, edx: 0x80 }).dx & 0xff).toBe(1);
    }
  });
});

describe("a CD that emulates a floppy", () => {
  it("is drive 00h with the image's geometry; sectors come from the image, cut at its borders", async () => {
    const image = numberedDisk(2880);
    const disc = elToritoDisc(image, 2, 1);
    const guest = await BiosCaller.boot({ dvds: { "1.0": new MemoryMedium(disc, true) }, spec: dvdFirst });
    const { bx, cx, dx } = guest.call(0x13, { eax: 0x0800, edx: 0 });
    expect([bx & 0xff, cx, dx]).toEqual([4, 0x4f12, 0x0101]);
    for (const lba of [1, 2, 3, 4, 5, 17, 18, 35, 36, 2879]) {
      const [sector, head, cylinder] = [(lba % 18) + 1, Math.floor(lba / 18) % 2, Math.floor(lba / 36)];
      guest.memory.write(BUFFER, new Uint8Array(1024).fill(0xee));
      const ecx = (cylinder << 8) | sector;
      const read = guest.call(0x13, { eax: 0x0201, es: BUFFER >> 4, ecx, edx: head << 8 });
      expect([lba, read.carry, read.ax]).toEqual([lba, false, 1]);
      expect([lba, guest.memory.read32(BUFFER)]).toEqual([lba, lba]);
      expect(guest.memory.read8(BUFFER + 512)).toBe(0xee);
    }
    const many = guest.call(0x13, { eax: 0x0212, es: BUFFER >> 4, ecx: 0x0001, edx: 0x0100 });
    expect([many.carry, many.al]).toEqual([false, 18]);
    expect(guest.bytes(BUFFER, 18 * 512)).toEqual(image.slice(18 * 512, 36 * 512));
    expect(guest.call(0x13, { eax: 0x0301, es: BUFFER >> 4, ecx: 0x0001, edx: 0 }).ah).toBe(3);
    // Ending the emulation takes the drive away.
    expect(guest.call(0x13, { eax: 0x4b00, edx: 0, esi: 0x9000 }).carry).toBe(false);
    expect(guest.call(0x13, { eax: 0x0800, edx: 0 }).carry).toBe(true);
  });
});

describe("a CD that emulates a disk", () => {
  it("is drive 80h and moves the real disks up", async () => {
    const image = numberedDisk(4 * 2 * 17);
    image.set([0x80, 1, 1, 0, 0x06, 1, 17, 3, 17, 0, 0, 0, 119, 0, 0, 0], 0x1be);
    const guest = await BiosCaller.boot({
      dvds: { "1.0": new MemoryMedium(elToritoDisc(image, 4, 1), true) },
      disks: { "0.0": new MemoryMedium(numberedDisk(2016)) },
      spec: dvdFirst,
    });
    const emulated = guest.call(0x13, { eax: 0x0800, edx: 0x80 });
    expect([emulated.cx, emulated.dx]).toEqual([(3 << 8) | 17, (1 << 8) | 2]);
    expect(guest.call(0x13, { eax: 0x0201, es: BUFFER >> 4, ecx: 0x0102, edx: 0x0180 }).carry).toBe(false);
    expect(guest.memory.read32(BUFFER)).toBe(34 + 17 + 1);
    expect(guest.call(0x13, { eax: 0x4200, edx: 0x80, ...packet(guest, 7, 3) }).carry).toBe(false);
    expect(guest.bytes(BUFFER, 3 * 512)).toEqual(image.slice(7 * 512, 10 * 512));
    expect(guest.call(0x13, { eax: 0x1500, edx: 0x81 }).dx).toBe(2016);
    expect(guest.memory.read8(0x475)).toBe(2);
  });
});
