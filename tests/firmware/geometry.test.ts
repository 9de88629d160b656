/**
 * One disk, asked in every way there is: INT 13h AH = 08h, 15h, 41h, 48h, IDENTIFY by ports, and the sectors at every border
 * by CHS, LBA and the controller's registers; from 400 MiB to 2 TiB, in every place on the controller (rows 1 to 3).
 */
import { describe, expect, it } from "vitest";
import type { BlockBackend, Geometry } from "../../src/backend-api/block.ts";
import { BiosCaller, BUFFER, callerBootSector } from "./bios-caller.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** A disk of any size: the caller's boot sector in front, every other sector holds its number. */
class NumberedDisk implements BlockBackend {
  readonly readOnly = false;
  sizeBytes: number;
  logicalGeometry?: Geometry;
  constructor(sizeBytes: number) {
    this.sizeBytes = sizeBytes;
  }
  storeLogicalGeometry(geometry: Geometry): void {
    this.logicalGeometry = geometry;
  }
  read(offsetBytes: number, target: Uint8Array, done: (ok: boolean) => void): void {
    for (let at = 0; at < target.length; at += 512) {
      const lba = (offsetBytes + at) / 512;
      const sector = lba === 0 ? callerBootSector() : numbered(lba);
      target.set(sector.subarray(0, target.length - at), at);
    }
    done(true);
  }
  write(_offsetBytes: number, _source: Uint8Array, done: (ok: boolean) => void): void {
    done(false);
  }
  flush(done: (ok: boolean) => void): void {
    done(true);
  }
  close(): void {}
}

function numbered(lba: number): Uint8Array {
  const sector = new Uint8Array(512);
  const view = new DataView(sector.buffer);
  view.setUint32(0, lba % 2 ** 32, true);
  view.setUint32(4, Math.floor(lba / 2 ** 32), true);
  view.setUint32(508, ~lba, true);
  return sector;
}

/** VirtualBox's order for a disk that says nothing itself: the drive's own numbers if they fit, else by size. */
function expectedLogical(totalSectors: number): Geometry {
  const physical = Math.min(16383, Math.floor(totalSectors / (16 * 63)));
  if (physical <= 1024) return { cylinders: physical, heads: 16, sectors: 63 };
  const heads = [16, 32, 64, 128].find((count) => totalSectors / (count * 63) <= 1024) ?? 255;
  return { cylinders: Math.min(1024, Math.floor(totalSectors / (heads * 63))), heads, sectors: 63 };
}

type Place = readonly [channel: 0 | 1, device: 0 | 1];

/** The controller by its registers, from outside: interrupts held back, so that nothing in the guest sees it. */
class Registers {
  readonly #guest: BiosCaller;
  readonly #base: number;
  readonly #control: number;
  readonly #device: 0 | 1;
  constructor(guest: BiosCaller, [channel, device]: Place) {
    this.#guest = guest;
    this.#base = channel === 0 ? 0x1f0 : 0x170;
    this.#control = channel === 0 ? 0x3f6 : 0x376;
    this.#device = device;
  }
  /** One sector of data after `command`; LBA in 48 bits if the command wants that. */
  readSector(command: number, lba = 0): Uint8Array {
    const { ports } = this.#guest.pc.machine;
    const out = (register: number, value: number) => ports.writePort(this.#base + register, 1, value & 0xff);
    const is48 = command === 0x24;
    ports.writePort(this.#control, 1, 2);
    out(6, (is48 || command === 0xec ? 0xe0 : 0xe0 | ((lba / 2 ** 24) & 15)) | (this.#device << 4));
    if (is48) {
      out(2, 0);
      out(3, lba / 2 ** 24);
      out(4, Math.floor(lba / 2 ** 32));
      out(5, 0);
    }
    out(2, 1);
    out(3, lba);
    out(4, lba / 2 ** 8);
    out(5, lba / 2 ** 16);
    out(7, command);
    const isReady = () => (ports.readPort(this.#control, 1) & 0x88) === 0x08;
    if (!this.#guest.pc.runUntil(isReady, 10_000_000)) throw new Error(`no data from command ${command.toString(16)}h`);
    const words = Array.from({ length: 256 }, () => ports.readPort(this.#base, 2));
    ports.readPort(this.#base + 7, 1);
    ports.writePort(this.#control, 1, 0);
    return new Uint8Array(Uint16Array.from(words).buffer);
  }
}

async function boot(disk: NumberedDisk, [channel, device]: Place): Promise<BiosCaller> {
  const spec = { bootOrder: ["disk", "none", "none", "none"] } as const;
  return BiosCaller.boot({ disks: { [`${channel}.${device}`]: disk }, spec });
}

function check(guest: BiosCaller, disk: NumberedDisk, place: Place, logical: Geometry): void {
  const totalSectors = disk.sizeBytes / 512;
  const { memory } = guest;
  const chs = guest.call(0x13, { eax: 0x0800, edx: 0x80 });
  expect({
    cylinders: ((chs.cx >> 8) | ((chs.cx & 0xc0) << 2)) + 1,
    heads: (chs.dx >> 8) + 1,
    sectors: chs.cx & 0x3f,
  }).toEqual(logical);
  expect([chs.dx & 0xff, memory.read8(0x475)]).toEqual([1, 1]);
  const type = guest.call(0x13, { eax: 0x1500, edx: 0x80 });
  expect([type.ah, type.cx * 0x10000 + type.dx]).toEqual([3, Math.min(totalSectors, 0xffffffff)]);
  memory.write16(0x9000, 0x1a);
  expect(guest.call(0x13, { eax: 0x4800, edx: 0x80, esi: 0x9000 }).carry).toBe(false);
  const extended = {
    cylinders: memory.read32(0x9004),
    heads: memory.read32(0x9008),
    sectors: memory.read32(0x900c),
    total: memory.read32(0x9010) + memory.read32(0x9014) * 2 ** 32,
  };
  const registers = new Registers(guest, place);
  const identify = new DataView(registers.readSector(0xec).buffer);
  const word = (index: number) => identify.getUint16(index * 2, true);
  const total28 = word(60) + word(61) * 0x10000;
  const total48 = word(100) + word(101) * 0x10000 + word(102) * 2 ** 32;
  expect(extended).toEqual({ cylinders: word(1), heads: word(3), sectors: word(6), total: totalSectors });
  expect(total28).toBe(Math.min(totalSectors, 0xfffffff));
  if ((word(83) & 0x400) !== 0) expect(total48).toBe(totalSectors);
  else expect(totalSectors).toBeLessThan(2 ** 28);

  // Borders of tracks, cylinders, addresses of 28 and 32 bits, and the end.
  const { heads, sectors, cylinders } = logical;
  const borders = [
    1,
    sectors - 1,
    sectors,
    heads * sectors - 1,
    heads * sectors,
    cylinders * heads * sectors - 1,
    65535,
    65536,
  ];
  const large = [2 ** 24 - 1, 2 ** 28 - 1, 2 ** 28, 2 ** 31, totalSectors - 1].filter((lba) => lba < totalSectors);
  for (const lba of [...borders, ...large]) {
    const expected = numbered(lba);
    const packet = new DataView(new ArrayBuffer(16));
    packet.setUint32(0, 0x00010010, true);
    packet.setUint32(4, (BUFFER >> 4) * 0x10000, true);
    packet.setUint32(8, lba % 2 ** 32, true);
    packet.setUint32(12, Math.floor(lba / 2 ** 32), true);
    memory.write(0x8000, new Uint8Array(packet.buffer));
    memory.write(BUFFER, new Uint8Array(512));
    expect([lba, guest.call(0x13, { eax: 0x4200, edx: 0x80, esi: 0x8000 }).carry]).toEqual([lba, false]);
    expect(guest.bytes(BUFFER, 512)).toEqual(expected);
    expect(registers.readSector(lba < 2 ** 28 ? 0x20 : 0x24, lba)).toEqual(expected);
    const cylinder = Math.floor(lba / (heads * sectors));
    if (cylinder >= cylinders) continue;
    const ecx = ((cylinder & 0xff) << 8) | ((cylinder >> 2) & 0xc0) | ((lba % sectors) + 1);
    const edx = ((Math.floor(lba / sectors) % heads) << 8) | 0x80;
    memory.write(BUFFER, new Uint8Array(512));
    expect([lba, guest.call(0x13, { eax: 0x0201, es: BUFFER >> 4, ecx, edx }).carry]).toEqual([lba, false]);
    expect(guest.bytes(BUFFER, 512)).toEqual(expected);
  }
  // One cylinder more is refused, whatever the disk's size.
  if (cylinders < 1024) {
    const ecx = ((cylinders & 0xff) << 8) | ((cylinders >> 2) & 0xc0) | 1;
    const { carry, ah } = guest.call(0x13, { eax: 0x0201, es: BUFFER >> 4, ecx, edx: 0x80 });
    expect([carry, ah === 1 || ah === 4]).toEqual([true, true]);
  }
}

describe("a disk's geometry", () => {
  const sizes: readonly (readonly [name: string, sizeBytes: number, place: Place])[] = [
    ["400 MiB", 400 * MIB, [0, 0]],
    ["504 MiB", 504 * MIB, [0, 1]],
    ["504 MiB and a cylinder", 504 * MIB + 16 * 63 * 512, [1, 0]],
    ["1 GiB", GIB, [1, 1]],
    ["2 GiB", 2 * GIB, [0, 0]],
    ["4 GiB", 4 * GIB, [0, 1]],
    ["8 GiB", 8 * GIB, [1, 0]],
    ["137 GB and more", 2 ** 28 * 512 + 512, [1, 1]],
    ["2 TiB", 2 ** 32 * 512, [0, 0]],
  ];
  it.each(sizes)("of %s is one in every answer", async (_name, sizeBytes, place) => {
    const disk = new NumberedDisk(sizeBytes);
    const logical = expectedLogical(sizeBytes / 512);
    check(await boot(disk, place), disk, place, logical);
    expect(disk.logicalGeometry).toEqual(logical);
  });

  it("stays what it was when the image grows and moves to another place", async () => {
    const disk = new NumberedDisk(GIB);
    const logical = expectedLogical(disk.sizeBytes / 512);
    check(await boot(disk, [0, 0]), disk, [0, 0], logical);
    disk.sizeBytes = 20 * GIB;
    check(await boot(disk, [1, 1]), disk, [1, 1], logical);
  });
});
