/** Hostile programs against the controller, and saved state at any moment of a transfer. */
import { expect, test } from "vitest";
import { FormatError } from "../../base/errors.ts";
import type { SavedLeaf } from "../../device-api/saved-state.ts";
import { fuzzPorts, seededRandom } from "../../device-api/testing.ts";
import { FloppyGuest, READ, TestDisk, WRITE } from "./testing.ts";

const DISK_1440 = 1_474_560;

test.each([1, 2, 3])("seeded fuzz %i: no throw, and a reset brings the controller back", (seed) => {
  const random = seededRandom(seed * 82078);
  const disks = [new TestDisk(DISK_1440, seed), new TestDisk(368_640, seed + 1)] as const;
  const guest = new FloppyGuest(disks);
  const media = [disks[0], disks[1], undefined, new TestDisk(163_840), new TestDisk(5_000_000), new TestDisk(700)];
  fuzzPorts(guest.context, 60_000, seed, (i) => {
    if (i % 500 === 0) guest.out(0x3f2, 0x1c | random(2));
    if (random(40) === 0) guest.dma.program(new Uint8Array(random(4000)));
    if (random(500) === 0) guest.slots[random(2)].insert(media[random(media.length)]);
    if (random(300) === 0) disks[random(2)].isDeferred = random(2) === 0;
    if (random(50) === 0) for (const disk of disks) disk.complete();
    if (random(400) === 0) disks[0].readOnly = !disks[0].readOnly;
    if (random(1000) === 0) disks[1].isBroken = !disks[1].isBroken;
  });
  for (const disk of disks) {
    disk.isDeferred = false;
    disk.complete();
  }
  const fresh = new TestDisk(DISK_1440, 9);
  guest.slots[0].insert(fresh);
  guest.out(0x3f2, 0);
  guest.start();
  guest.command(0x13, 0, 0x20, 0);
  guest.recalibrate();
  guest.calibrated(1);
  const { data, result } = guest.read({ c: 1, h: 0, r: 1, eot: 18 }, 36);
  expect(result[0]).toBe(0x04);
  expect(data).toEqual(fresh.sectors(36, 36));
});

test("seeded fuzz of whole commands", () => {
  const random = seededRandom(765);
  const guest = new FloppyGuest([new TestDisk(DISK_1440)]);
  guest.start();
  const opcodes = [
    0xe6, 0xc5, 0x0c, 0x49, 0x42, 0xd6, 0x4d, 0x51, 0x59, 0x5d, 0x4a, 0x07, 0x0f, 0x8f, 0xcf, 0x13, 0x03,
  ];
  for (let i = 0; i < 3_000; i++) {
    guest.dma.program(new Uint8Array(random(3) * 512 + random(3)));
    const bytes = [
      opcodes[random(opcodes.length)],
      random(8),
      random(90),
      random(2),
      random(20),
      2,
      random(20),
      0,
      random(4),
    ];
    for (const byte of bytes) if ((guest.msr & 0xc0) === 0x80) guest.out(0x3f5, byte);
    for (let turn = 0; turn < 3_000 && (guest.msr & 0xc0) !== 0x80; turn++) {
      if ((guest.msr & 0x80) === 0) guest.context.clock.advance(500_000);
      else guest.in(0x3f5);
      if ((guest.msr & 0xe0) === 0xa0) guest.out(0x3f5, random(256));
    }
    if ((guest.msr & 0xc0) !== 0x80) {
      guest.out(0x3f2, 0);
      guest.start();
    }
  }
  guest.out(0x3f2, 0);
  guest.start();
  expect(guest.msr).toBe(0x80);
});

/** Saves, checks that loading into a fresh controller gives the same, and goes on with that one. */
function moved(guest: FloppyGuest, disk: TestDisk): FloppyGuest {
  const saved = structuredClone(guest.floppy.save());
  const other = new FloppyGuest([disk]);
  other.context.clock.timeNs = guest.context.clock.timeNs;
  Object.assign(other.dma, { memory: guest.dma.memory, at: guest.dma.at, isMasked: guest.dma.isMasked });
  other.irq.level = guest.irq.level;
  const { rises } = other.irq;
  other.floppy.load(saved);
  expect(other.floppy.save()).toEqual(saved);
  expect(other.irq.rises).toBe(rises);
  expect(other.msr).toBe(guest.msr);
  return other;
}

test("saved state every 20 µs of a transfer, by DMA and by FIFO, reading and writing", () => {
  for (const isNonDma of [false, true]) {
    for (const opcode of [READ, WRITE]) {
      const disk = new TestDisk(DISK_1440);
      const before = disk.bytes.slice();
      let guest = new FloppyGuest([disk]);
      guest.start();
      guest.command(0x13, 0, 0x4f, 0);
      if (isNonDma) guest.command(0x03, 0xdf, 0x03);
      guest.calibrated();
      const memory = Uint8Array.from({ length: 1024 }, (_, i) => i & 0x7f);
      guest.dma.program(opcode === READ ? new Uint8Array(1024) : memory);
      const got: number[] = [];
      const bytes = [opcode & 0x7f, 0, 2, 0, 17, 2, 18, 0x1b, 0xff];
      for (const byte of bytes) {
        guest.out(0x3f5, byte);
        guest = moved(guest, disk);
      }
      for (let turn = 0; turn < 1_000 && (guest.msr & 0xe0) !== 0xc0; turn++) {
        guest.context.clock.advance(20_000);
        guest = moved(guest, disk);
        for (let i = 0; i < 5 && (guest.msr & 0xa0) === 0xa0; i++) {
          if (opcode === READ) got.push(guest.in(0x3f5));
          else guest.out(0x3f5, memory[got.push(0) - 1]);
        }
      }
      guest.in(0x3f5);
      guest = moved(guest, disk);
      const rest = guest.result();
      expect(rest).toHaveLength(6);
      const first = 2 * 36 + 16;
      const expected = opcode === READ ? before.slice(first * 512, (first + 2) * 512) : memory;
      expect(disk.sectors(first, 2)).toEqual(expected);
      if (opcode === READ) expect(isNonDma ? Uint8Array.from(got) : guest.dma.memory).toEqual(expected);
    }
  }
});

test("saved state of seeks and resets under way, of what was set, and of the drive", () => {
  const disk = new TestDisk(DISK_1440);
  let guest = new FloppyGuest([disk]);
  guest.out(0x3f2, 0x1c);
  guest.context.clock.advance(20_000);
  guest = moved(guest, disk);
  guest.waitIrq();
  guest = moved(guest, disk);
  guest.sense();
  guest = moved(guest, disk);
  expect(guest.sense()).toEqual([0xc1, 0]);
  guest.sense();
  guest.sense();
  guest.command(0x13, 0, 0x5b, 0x21);
  guest.command(0x94);
  guest.result();
  guest.command(0x0f, 0, 44);
  guest = moved(guest, disk);
  expect(guest.msr).toBe(0x81);
  expect(guest.in(0x3f7)).toBe(0);
  guest.waitIrq();
  guest = moved(guest, disk);
  expect(guest.sense()).toEqual([0x20, 44]);
  guest.command(0x0e);
  guest.in(0x3f5);
  guest = moved(guest, disk);
  expect(guest.result()).toEqual([0, 0, 0, 0, 0, 0, 0x80, 0x5b, 0x21]);
  // Another disk by the time the state is loaded is a change.
  const saved = guest.floppy.save();
  const other = new FloppyGuest([new TestDisk(368_640)]);
  other.floppy.load(saved);
  expect(other.in(0x3f7)).toBe(0x80);
});

test("a state that cannot be is refused", () => {
  const guest = new FloppyGuest([new TestDisk(DISK_1440)]);
  const saved = guest.floppy.save();
  const refuses = (change: (data: Record<string, unknown>) => void) => {
    const copy = structuredClone(saved) as SavedLeaf & { data: Record<string, unknown> };
    change(copy.data);
    expect(() => new FloppyGuest([new TestDisk(DISK_1440)]).floppy.load(copy)).toThrow(FormatError);
  };
  const controller = (data: Record<string, unknown>) => data.controller as Record<string, unknown>;
  const command = (data: Record<string, unknown>) => controller(data).data as Record<string, unknown>;
  refuses((data) => delete data.drives);
  refuses((data) => (data.more = 1));
  refuses((data) => (controller(data).dor = 256));
  refuses((data) => (controller(data).resultLength = 99));
  refuses((data) => (command(data).step = "medium"));
  refuses((data) => (command(data).step = "fifo"));
  refuses((data) => (command(data).buffer = new Uint8Array(1)));
  expect(() => guest.floppy.load({ ...saved, kind: "ide" })).toThrow(FormatError);
  expect(() => guest.floppy.load({ ...saved, version: 2 })).toThrow(FormatError);
});
