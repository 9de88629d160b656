import { describe, expect, test } from "vitest";
import { IdeGuest, MemoryMedium, MemorySlot } from "./testing.ts";

const sectors = 80;
const disc = new MemoryMedium(sectors * 2048);

function dvdGuest(options: { isEmpty?: boolean; medium?: MemoryMedium } = {}) {
  disc.badSectors.clear();
  disc.isDeferred = false;
  disc.log.length = 0;
  const slot = new MemorySlot(options.isEmpty ? undefined : (options.medium ?? disc));
  const guest = new IdeGuest({ model: "PIIX4", drives: [{ port: 1, device: 0, kind: "dvd", slot }] }).useSecondary();
  return { guest, slot };
}
const dvdSized = () => new MemoryMedium(2048, { claimedBytes: 4_000_000_000 });

const read10 = (lba: number, count: number) => [0x28, 0, 0, 0, lba >> 8, lba & 0xff, 0, count >> 8, count & 0xff];
const read12 = (lba: number, count: number) => [0xa8, 0, 0, 0, lba >> 8, lba & 0xff, 0, 0, count >> 8, count & 0xff];
const readCd = (lba: number, count: number, selection: number, type = 0) => [
  ...[0xbe, type << 2, 0, 0, lba >> 8, lba & 0xff],
  ...[0, count >> 8, count & 0xff, selection, 0],
];
/** A command whose allocation length stands where most have it. */
const withAllocation = (packet: number[], bytes: number) => {
  const full = [...packet, ...new Array(12 - packet.length).fill(0)];
  full[7] = bytes >> 8;
  full[8] = bytes & 0xff;
  return full;
};
const good = { status: 0x50, error: 0, reason: 3 };

/** Runs the packet and gives its sense code, 0 for success. */
function senseOf(guest: IdeGuest, packet: readonly number[]): number {
  const { status, error, reason } = guest.packet(packet);
  expect(reason).toBe(3);
  if ((status & 1) === 0) return 0;
  const sense = guest.sense();
  expect(status).toBe(0x51);
  expect(error >>> 4).toBe(sense >>> 16);
  return sense;
}

describe("a BIOS boots the disc", () => {
  test("finds the drive, waits for it, reads by PIO", () => {
    const { guest } = dvdGuest();
    guest.softReset();
    expect([guest.in(2), guest.in(3), guest.in(4), guest.in(5)]).toEqual([1, 1, 0x14, 0xeb]);
    expect(guest.identify(0, 0xa1)[0]).toBe(0x8580);
    expect(guest.testUnitReady()).toBe(0);
    const capacity = guest.packet([0x25]).data;
    expect([...capacity]).toEqual([0, 0, 0, sectors - 1, 0, 0, 8, 0]);
    const { data, blocks, status, reason } = guest.packet(read10(17, 1), { limit: 2048 });
    expect(data).toEqual(disc.bytes.slice(17 * 2048, 18 * 2048));
    expect({ blocks, status, reason }).toEqual({ blocks: [2048], status: 0x50, reason: 3 });
    expect(guest.packet(read12(16, 16), { limit: 2048 }).data).toEqual(disc.bytes.slice(16 * 2048, 32 * 2048));
  });
});

describe("the packet protocol", () => {
  test("no interrupt for the packet, one for each block, one at the end", () => {
    const { guest } = dvdGuest();
    guest.startPacket(read10(0, 4), 2048);
    expect(guest.irqRises).toBe(0);
    for (let block = 0; block < 4; block++) {
      expect(guest.waitReady()).toBe(0x58);
      expect(guest.irqRises).toBe(block + 1);
      expect([guest.in(2) & 3, guest.in(4), guest.in(5)]).toEqual([2, 0, 8]);
      expect(guest.bmStatus & 4).toBe(4);
      guest.bmOut(2, 1, 0x24);
      guest.status;
      guest.readWords(1024);
      expect(guest.altStatus & 0x80).toBe(0x80);
    }
    expect(guest.waitReady()).toBe(0x50);
    expect(guest.irqRises).toBe(5);
    expect(guest.in(2) & 3).toBe(3);
  });

  test.each([
    [0xffff, 1, [2048]],
    [0, 1, [2048]],
    [0xfffe, 40, [32768, 32768, 16384]],
    [64512, 31, [63488]],
    [3001, 2, [2048, 2048]],
    [1500, 1, [1500, 548]],
    [1501, 1, [1500, 548]],
    [1, 1, new Array(1024).fill(2)],
  ])("byte count limit %i for %i sectors: even blocks within it", (limit, count, expected) => {
    const { guest } = dvdGuest();
    const { blocks, data } = guest.packet(read10(0, count), { limit });
    expect(blocks).toEqual(expected);
    expect(Buffer.compare(data, disc.bytes.slice(0, count * 2048))).toBe(0);
  });

  test("overlapped packets abort", () => {
    const { guest } = dvdGuest();
    expect(guest.simple(0xa0, 0, { features: 2 })).toBe(0x51);
    expect(guest.error).toBe(0x04);
  });

  test("no sectors, no data", () => {
    const { guest } = dvdGuest();
    expect(guest.packet(read10(5, 0))).toMatchObject({ ...good, blocks: [] });
  });

  test("DMA: regions of any size, interrupt reason, sense", () => {
    const { guest } = dvdGuest();
    guest.setRegions(0x1000, [
      [0x8000, 2048],
      [0x10000, 8192 - 2048],
    ]);
    guest.startPacket(read10(4, 4), 0, 0, true);
    guest.startBusMaster(true);
    expect(guest.finishDma()).toEqual({ bm: 0x64, status: 0x50 });
    expect(guest.in(2) & 3).toBe(3);
    const { bytes } = guest.context.memory;
    expect(bytes.slice(0x8000, 0x8800)).toEqual(disc.bytes.slice(8192, 8192 + 2048));
    expect(bytes.slice(0x10000, 0x11800)).toEqual(disc.bytes.slice(8192 + 2048, 16384));
    expect(disc.log).toEqual(["read 8192+2048", "read 10240+6144"]);
    guest.setRegions(0x1000, [
      [0x8000, 1002],
      [0x9000, 2048],
      [0xa000, 0],
    ]);
    guest.startPacket(read10(4, 4), 0, 0, true);
    guest.startBusMaster(true);
    expect(guest.finishDma()).toEqual({ bm: 0x64, status: 0x50 });
    expect(bytes.slice(0x9000, 0x9800)).toEqual(disc.bytes.slice(8192 + 1002, 8192 + 1002 + 2048));
  });

  test("a back end that answers later, with an abort by DEVICE RESET", () => {
    const { guest } = dvdGuest();
    disc.isDeferred = true;
    guest.startPacket(read10(4, 4), 0xfffe);
    guest.pass();
    expect(guest.altStatus & 0x80).toBe(0x80);
    guest.out(7, 0x08);
    guest.pass();
    expect(guest.altStatus & 0x80).toBe(0x80);
    disc.complete();
    expect(guest.altStatus).toBe(0);
    expect(guest.irqRises).toBe(0);
    disc.isDeferred = false;
    expect(guest.packet(read10(4, 4)).data).toEqual(disc.bytes.slice(8192, 16384));
  });
});

describe("allocation lengths", () => {
  const variable: [name: string, packet: number[], position: 4 | 7 | 8][] = [
    ["REQUEST SENSE", [0x03], 4],
    ["INQUIRY", [0x12], 4],
    ["MODE SENSE (6)", [0x1a, 0, 0x3f], 4],
    ["READ SUB-CHANNEL", [0x42, 0, 0x40, 1], 7],
    ["READ TOC", [0x43], 7],
    ["READ TOC sessions", [0x43, 0, 1], 7],
    ["READ TOC raw", [0x43, 2, 2], 7],
    ["READ HEADER", [0x44], 7],
    ["GET CONFIGURATION", [0x46], 7],
    ["GET EVENT STATUS", [0x4a, 1, 0, 0, 0x10], 7],
    ["READ DISC INFORMATION", [0x51], 7],
    ["READ TRACK INFORMATION", [0x52], 7],
    ["MODE SENSE (10)", [0x5a, 0, 0x2a], 7],
    ["MECHANISM STATUS", [0xbd], 8],
    ["READ DVD STRUCTURE", [0xad], 8],
  ];
  test.each(variable)("%s: never more than asked, by PIO and DMA", (_name, packet, position) => {
    const { guest } = dvdGuest({ medium: dvdSized() });
    const asking = (bytes: number) => {
      const full = [...packet, ...new Array(12 - packet.length).fill(0)];
      if (position === 4) full[4] = Math.min(bytes, 255);
      else {
        full[position] = bytes >> 8;
        full[position + 1] = bytes & 0xff;
      }
      return full;
    };
    const whole = guest.packet(asking(65534)).data;
    expect(whole.length).toBeGreaterThanOrEqual(4);
    for (const allocation of [0, 1, 2, 8, 65534]) {
      const { data, status, blocks } = guest.packet(asking(allocation));
      expect(status).toBe(0x50);
      expect(data).toEqual(whole.slice(0, allocation));
      for (const block of blocks.slice(0, -1)) expect(block % 2).toBe(0);

      guest.context.memory.bytes.fill(0xee, 0x8000, 0x18010);
      guest.setRegions(0x1000, [[0x8000, 0]]);
      guest.startPacket(asking(allocation), 0, 0, true);
      guest.startBusMaster(true);
      expect(guest.finishDma()).toMatchObject({ status: 0x50 });
      const expected = new Uint8Array(0x10000).fill(0xee);
      expected.set(whole.subarray(0, allocation));
      expect(Buffer.compare(guest.context.memory.bytes.slice(0x8000, 0x18000), expected)).toBe(0);
    }
  });

  test("Windows XP's GET CONFIGURATION with 8 bytes", () => {
    const { guest } = dvdGuest();
    const { data } = guest.packet(withAllocation([0x46], 8));
    const whole = guest.packet(withAllocation([0x46], 512)).data;
    expect(data.length).toBe(8);
    expect(whole.length).toBe(4 + ((data[0] << 24) | (data[1] << 16) | (data[2] << 8) | data[3]));
  });
});

describe("media change", () => {
  const notPresent = 0x023a00;
  const changed = 0x062800;

  test("boot, eject, insert, swap as Windows XP sees them", () => {
    const { guest, slot } = dvdGuest();
    expect([guest.testUnitReady(), guest.testUnitReady()]).toEqual([0, 0]);
    slot.insert(undefined);
    for (let i = 0; i < 4; i++) expect(guest.testUnitReady()).toBe(notPresent);
    slot.insert(disc);
    const tests = () => Array.from({ length: 5 }, () => guest.testUnitReady());
    expect(tests()).toEqual([notPresent, notPresent, changed, 0, 0]);
    slot.insert(new MemoryMedium(2048 * 10));
    expect(tests()).toEqual([notPresent, notPresent, changed, 0, 0]);
    expect(guest.packet([0x25]).data[3]).toBe(9);
  });

  test("a guest that only reads finds out too", () => {
    const { guest, slot } = dvdGuest();
    slot.insert(disc);
    const senses = Array.from({ length: 7 }, () => senseOf(guest, read10(0, 1)));
    expect(senses).toEqual([notPresent, notPresent, notPresent, notPresent, changed, 0, 0]);
  });

  test("INQUIRY, REQUEST SENSE, GET CONFIGURATION and events hide the unit attention, others report it once", () => {
    const { guest, slot } = dvdGuest();
    slot.insert(disc);
    guest.testUnitReady();
    guest.testUnitReady();
    for (const packet of [
      [0x12, 0, 0, 0, 36],
      [0x03, 0, 0, 0, 18],
      withAllocation([0x46], 8),
      withAllocation([0x4a, 1, 0, 0, 0x10], 8),
    ])
      expect(senseOf(guest, packet)).toBe(0);
    expect(senseOf(guest, withAllocation([0x5a, 0, 0x2a], 40))).toBe(changed);
    expect(senseOf(guest, [0])).toBe(0);
  });

  test("every media command answers 2/3A when empty", () => {
    const { guest } = dvdGuest({ isEmpty: true });
    for (const opcode of [0x00, 0x25, 0x28, 0x2b, 0x42, 0x43, 0x44, 0x51, 0x52, 0xa8, 0xad, 0xb9, 0xbe]) {
      expect([opcode, senseOf(guest, [opcode])]).toEqual([opcode, notPresent]);
    }
    for (const packet of [[0x12, 0, 0, 0, 36], withAllocation([0x46], 8), withAllocation([0x5a, 0, 0x2a], 40), [0x1b]])
      expect(senseOf(guest, packet)).toBe(0);
  });

  test("a disc that leaves in the middle of a read", () => {
    const big = new MemoryMedium(2048 * 100);
    const { guest, slot } = dvdGuest({ medium: big });
    guest.startPacket(read10(0, 64), 2048);
    guest.waitReady();
    slot.insert(undefined);
    let blocks = 0;
    while (guest.waitReady() & 0x08) {
      guest.readWords(1024);
      blocks++;
    }
    expect(blocks).toBe(32);
    expect(guest.status).toBe(0x51);
    expect(guest.sense()).toBe(notPresent);
  });

  test("a reset forgets the change", () => {
    const { guest, slot } = dvdGuest();
    slot.insert(disc);
    guest.ide.reset("hard");
    expect(guest.testUnitReady()).toBe(0);
  });
});

describe("tray", () => {
  test("the guest ejects and closes", () => {
    const { guest, slot } = dvdGuest();
    expect(guest.packet([0x1b, 0, 0, 0, 2])).toMatchObject(good);
    expect(slot.medium).toBeUndefined();
    expect(guest.testUnitReady()).toBe(0x023a02);
    expect(guest.packet([0x1b, 0, 0, 0, 3])).toMatchObject(good);
    expect(guest.testUnitReady()).toBe(0x023a00);
    expect(guest.packet([0x1b, 0, 0, 0, 1])).toMatchObject(good);
  });

  test("a lock holds the guest's own eject, and the host can see it", () => {
    const { guest, slot } = dvdGuest();
    const told: boolean[] = [];
    Object.assign(slot, { setLocked: (isLocked: boolean) => told.push(isLocked) });
    guest.packet([0x1e, 0, 0, 0, 1]);
    expect(guest.ide.isTrayLocked(1, 0)).toBe(true);
    expect(guest.ide.isTrayLocked(0, 0)).toBe(false);
    expect(senseOf(guest, [0x1b, 0, 0, 0, 2])).toBe(0x055302);
    expect(guest.packet(withAllocation([0x5a, 0, 0x2a], 40)).data[8 + 6] & 2).toBe(2);
    guest.packet([0x1e, 0, 0, 0, 0]);
    expect(guest.ide.isTrayLocked(1, 0)).toBe(false);
    expect(senseOf(guest, [0x1b, 0, 0, 0, 2])).toBe(0);
    expect(told).toEqual([true, false]);
  });

  test("a power condition does not move the tray", () => {
    const { guest, slot } = dvdGuest();
    expect(guest.packet([0x1b, 0, 0, 0, 0x32])).toMatchObject(good);
    expect(slot.medium).toBe(disc);
  });

  test("a host that keeps the disc", () => {
    const { guest, slot } = dvdGuest();
    slot.isEjectRefused = true;
    expect(senseOf(guest, [0x1b, 0, 0, 0, 2])).toBe(0x025300);
    expect(guest.testUnitReady()).toBe(0);
  });

  test("a power-on or hard reset unlocks", () => {
    const { guest } = dvdGuest();
    guest.packet([0x1e, 0, 0, 0, 1]);
    guest.ide.reset("hard");
    expect(guest.ide.isTrayLocked(1, 0)).toBe(false);
  });

  test("events for a guest that polls: removal, then new media", () => {
    const { guest, slot } = dvdGuest();
    const poll = () => [...guest.packet(withAllocation([0x4a, 1, 0, 0, 0x10], 8)).data];
    expect(poll()).toEqual([0, 6, 4, 0x10, 0, 2, 0, 0]);
    slot.insert(undefined);
    expect(poll()).toEqual([0, 6, 4, 0x10, 3, 0, 0, 0]);
    expect(poll()).toEqual([0, 6, 4, 0x10, 0, 0, 0, 0]);
    slot.insert(disc);
    guest.testUnitReady();
    guest.testUnitReady();
    expect(poll()).toEqual([0, 6, 4, 0x10, 2, 2, 0, 0]);
    // Another class than media, and the asynchronous form.
    expect([...guest.packet(withAllocation([0x4a, 1, 0, 0, 0x02], 8)).data]).toEqual([0, 2, 0x80, 0x10]);
    guest.testUnitReady();
    expect(senseOf(guest, withAllocation([0x4a, 0, 0, 0, 0x10], 8))).toBe(0x052400);
  });
});

describe("errors", () => {
  test("a good command forgets earlier sense data", () => {
    const { guest } = dvdGuest();
    expect(guest.packet([0xa4]).status).toBe(0x51);
    expect(guest.packet([0]).status).toBe(0x50);
    expect(guest.sense()).toBe(0);
    expect(guest.packet([0xa3]).error).toBe(0x50);
    expect(guest.sense()).toBe(0x052000);
    expect(guest.sense()).toBe(0);
  });

  test.each([
    ["beyond the end", read10(sectors, 1), 0x052100],
    ["over the end", read12(sectors - 1, 2), 0x052100],
    ["a seek beyond the end", [0x2b, 0, 0, 0, 0, sectors], 0x052100],
    ["a header beyond the end", withAllocation([0x44, 0, 0, 0, 0, sectors], 8), 0x052100],
    ["saved mode pages", withAllocation([0x5a, 0, 0xea], 40), 0x053900],
    ["an unknown mode page", withAllocation([0x5a, 0, 0x15], 40), 0x052400],
    ["vital product data", [0x12, 1, 0, 0, 36], 0x052400],
    ["a track that is not there", withAllocation([0x43, 0, 0, 0, 0, 0, 2], 40), 0x052400],
    ["an unknown TOC format", withAllocation([0x43, 0, 4], 40), 0x052400],
    ["DVD structure of a CD", [0xad, 0, 0, 0, 0, 0, 0, 0, 8], 0x053002],
    ["audio", readCd(0, 1, 0x10, 1), 0x056400],
    ["sub-channel data", [...readCd(0, 1, 0x10).slice(0, 10), 1], 0x052400],
    ["an unknown command", [0xff], 0x052000],
  ])("%s", (_name, packet, sense) => {
    const { guest } = dvdGuest();
    expect(senseOf(guest, packet)).toBe(sense);
  });

  test("a bad sector", () => {
    const { guest } = dvdGuest();
    disc.badSectors.add(10 * 4 + 1);
    guest.startPacket(read10(8, 4), 2048);
    const data: number[] = [];
    while (guest.waitReady() & 8) data.push(...guest.readWords(1024));
    expect(guest.status).toBe(0x51);
    expect(guest.error).toBe(0x30);
    expect(guest.sense()).toBe(0x031100);
    expect(Uint8Array.from(data)).toEqual(disc.bytes.slice(8 * 2048, 10 * 2048));
  });

  test("ATA commands that a packet drive does not have", () => {
    const { guest } = dvdGuest();
    for (const code of [0x00, 0x91, 0xc8, 0xe7]) {
      expect(guest.simple(code)).toBe(0x51);
      expect(guest.error).toBe(0x04);
    }
    for (const code of [0xe0, 0xe1, 0xe5, 0xe6, 0xde]) expect(guest.simple(code)).toBe(0x50);
    expect(guest.simple(0xef, 0, { features: 3, count: 0x42 })).toBe(0x50);
    expect(guest.simple(0xef, 0, { features: 0xff })).toBe(0x51);
    expect(guest.simple(0xda)).toBe(0x50);
  });
});

describe("what the drive says of itself and the disc", () => {
  test("INQUIRY", () => {
    const { data } = dvdGuest().guest.packet([0x12, 0, 0, 0, 96]);
    expect([...data.slice(0, 5)]).toEqual([5, 0x80, 0, 0x21, 31]);
    expect(Buffer.from(data.slice(8)).toString()).toBe("VBOX    CD-ROM          1.0 ");
  });

  test("READ TOC by blocks and by time, and from the lead-out", () => {
    const { guest } = dvdGuest();
    expect([...guest.packet(withAllocation([0x43], 100)).data]).toEqual([
      ...[0, 18, 1, 1],
      ...[0, 0x14, 1, 0, 0, 0, 0, 0],
      ...[0, 0x14, 0xaa, 0, 0, 0, 0, sectors],
    ]);
    expect([...guest.packet(withAllocation([0x43, 2, 0, 0, 0, 0, 0xaa], 100)).data]).toEqual([
      ...[0, 10, 1, 1],
      ...[0, 0x14, 0xaa, 0, 0, 0, 3, 5],
    ]);
    const sff = withAllocation([0x43], 12);
    sff[9] = 0x40;
    expect([...guest.packet(sff).data]).toEqual([0, 10, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0]);
    const raw = guest.packet(withAllocation([0x43, 2, 2], 100)).data;
    expect(raw.length).toBe(4 + 4 * 11);
    expect([raw[7], raw[18], raw[29], raw[40]]).toEqual([0xa0, 0xa1, 0xa2, 1]);
    expect([...raw.slice(34, 37)]).toEqual([0, 3, 5]);
    expect([...raw.slice(45, 48)]).toEqual([0, 2, 0]);
  });

  test("the profile follows the size of the disc", () => {
    const profile = (guest: IdeGuest) => {
      const { data } = guest.packet(withAllocation([0x46], 8));
      return (data[6] << 8) | data[7];
    };
    expect(profile(dvdGuest().guest)).toBe(0x08);
    expect(profile(dvdGuest({ medium: dvdSized() }).guest)).toBe(0x10);
    expect(profile(dvdGuest({ isEmpty: true }).guest)).toBe(0);
  });

  test("features: all, from a number on, the current ones, one alone", () => {
    const { guest } = dvdGuest();
    const codes = (request: number, first: number) => {
      const { data } = guest.packet(withAllocation([0x46, request, first >> 8, first & 0xff], 1000));
      const found: number[] = [];
      for (let at = 8; at < data.length; at += 4 + data[at + 3]) found.push((data[at] << 8) | data[at + 1]);
      return found;
    };
    expect(codes(0, 0)).toEqual([0, 1, 2, 3, 0x10, 0x1e, 0x1f, 0x100, 0x105]);
    expect(codes(0, 0x1e)).toEqual([0x1e, 0x1f, 0x100, 0x105]);
    expect(codes(1, 0)).toEqual([0, 1, 2, 3, 0x10, 0x1e, 0x100, 0x105]);
    expect(codes(2, 0x1f)).toEqual([0x1f]);
    expect(codes(2, 0x77)).toEqual([]);
  });

  test("capabilities: reads DVDs, has a tray that locks, says a speed", () => {
    const { guest } = dvdGuest();
    for (const [packet, header] of [
      [[0x1a, 0, 0x2a, 0, 255], 4],
      [withAllocation([0x5a, 0, 0x2a], 255), 8],
    ] as const) {
      const { data } = guest.packet(packet);
      expect(data.length).toBe(header + 32);
      expect([data[header], data[header + 1], data[header + 2], data[header + 6]]).toEqual([0x2a, 30, 0x08, 0x29]);
      expect((data[header + 8] << 8) | data[header + 9]).toBe(5632);
    }
    const all = guest.packet(withAllocation([0x5a, 0, 0x3f], 255)).data;
    expect((all[0] << 8) | all[1]).toBe(all.length - 2);
  });

  test("MODE SELECT keeps the error recovery page and refuses nonsense", () => {
    const { guest } = dvdGuest();
    const select = (list: number[]) => {
      const packet = withAllocation([0x55, 0x10], list.length);
      const { status } = guest.packet(packet, { send: Uint8Array.from(list) });
      return status & 1 ? guest.sense() : 0;
    };
    const header = [0, 0, 0, 0, 0, 0, 0, 0];
    expect(select([...header, 0x01, 6, 0x20, 1, 2, 3, 4, 5])).toBe(0);
    expect([...guest.packet(withAllocation([0x5a, 0, 1], 16)).data.slice(8)]).toEqual([1, 6, 0x20, 1, 2, 3, 4, 5]);
    expect([...guest.packet(withAllocation([0x5a, 0, 0x81], 16)).data.slice(8)]).toEqual([1, 6, 0, 5, 0, 0, 0, 0]);
    expect(select([...header, 0x33, 0])).toBe(0x052600);
    expect(select([...header, 0x01, 9, 0, 0, 0, 0, 0, 0])).toBe(0x052600);
    expect(select([...header, 0x01, 6, 0])).toBe(0x051a00);
    expect(select([0, 0])).toBe(0x051a00);
    expect(guest.packet([0x15, 0x10, 0, 0, 0])).toMatchObject(good);
  });

  test("MODE SELECT by DMA", () => {
    const { guest } = dvdGuest();
    guest.context.memory.write(0x8000, Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 1, 6, 9, 9, 9, 9, 9, 9]));
    guest.setRegions(0x1000, [
      [0x8000, 10],
      [0x800a, 6],
    ]);
    guest.startPacket(withAllocation([0x55, 0x10], 16), 0, 0, true);
    guest.startBusMaster(false);
    expect(guest.finishDma()).toMatchObject({ status: 0x50 });
    expect([...guest.packet(withAllocation([0x5a, 0, 1], 16)).data.slice(8)]).toEqual([1, 6, 9, 9, 9, 9, 9, 9]);
  });

  test("disc and track information, header, sub-channel, mechanism, performance", () => {
    const { guest } = dvdGuest();
    const disc = guest.packet(withAllocation([0x51], 100)).data;
    expect([disc.length, disc[1], disc[2], disc[3], disc[4]]).toEqual([34, 32, 0x0e, 1, 1]);
    const track = guest.packet(withAllocation([0x52, 1, 0, 0, 0, 1], 100)).data;
    expect([track.length, track[2], track[3], track[27]]).toEqual([36, 1, 1, sectors]);
    expect([...guest.packet(withAllocation([0x44, 2, 0, 0, 0, 5], 8)).data]).toEqual([1, 0, 0, 0, 0, 0, 2, 5]);
    expect([...guest.packet(withAllocation([0x42, 2, 0x40, 1], 16)).data.slice(0, 8)]).toEqual([
      0, 0x15, 0, 12, 1, 0x14, 1, 1,
    ]);
    expect(guest.packet([0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8]).data).toEqual(new Uint8Array(8));
    const speed = guest.packet([0xac, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0]).data;
    expect(speed.length).toBe(24);
    expect(speed[19]).toBe(sectors - 1);
    expect(guest.packet([0xbb, 0, 0xff, 0xff])).toMatchObject(good);
    expect(guest.packet([0x35])).toMatchObject(good);
    expect(guest.packet([0x2b, 0, 0, 0, 0, 5])).toMatchObject(good);
  });

  test("physical format of a DVD", () => {
    const { guest } = dvdGuest({ medium: dvdSized() });
    const { data } = guest.packet([0xad, 0, 0, 0, 0, 0, 0, 0, 0x08, 0x04]);
    expect(data.length).toBe(2052);
    const word = (at: number) => (data[at] << 24) | (data[at + 1] << 16) | (data[at + 2] << 8) | data[at + 3];
    expect([word(8), word(12)]).toEqual([0x30000, 0x30000 + 4_000_000_000 / 2048 - 1]);
  });

  test("a disc that is no multiple of a sector is cut", () => {
    const { guest } = dvdGuest({ medium: new MemoryMedium(5 * 2048 + 512) });
    expect(guest.packet([0x25]).data[3]).toBe(4);
    expect(senseOf(guest, read10(5, 1))).toBe(0x052100);
  });
});

describe("READ CD", () => {
  test("user data alone is what READ (10) gives", () => {
    const { guest } = dvdGuest();
    expect(guest.packet(readCd(3, 2, 0x10)).data).toEqual(disc.bytes.slice(3 * 2048, 5 * 2048));
    expect(guest.packet(readCd(3, 2, 0x00))).toMatchObject({ ...good, blocks: [] });
  });

  test("whole sectors, across the buffer's end, by PIO and DMA", () => {
    const { guest } = dvdGuest();
    const { data } = guest.packet(readCd(0, 40, 0xf8));
    expect(data.length).toBe(40 * 2352);
    for (const lba of [0, 26, 27, 28, 39]) {
      const sector = data.subarray(lba * 2352, (lba + 1) * 2352);
      expect([...sector.slice(0, 12)]).toEqual([0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0]);
      const second = lba >= 75 ? 3 : 2;
      expect([...sector.slice(12, 16)]).toEqual([0, second, Math.floor(lba / 10) * 16 + (lba % 10), 1]);
      expect(Buffer.compare(sector.slice(16, 2064), disc.bytes.slice(lba * 2048, (lba + 1) * 2048))).toBe(0);
    }
    guest.setRegions(0x1000, [
      [0x20000, 0],
      [0x40000, 0],
    ]);
    guest.startPacket(readCd(0, 40, 0xf8), 0, 0, true);
    guest.startBusMaster(true);
    expect(guest.finishDma()).toMatchObject({ status: 0x50 });
    const { bytes } = guest.context.memory;
    expect(Buffer.compare(bytes.slice(0x20000, 0x30000), data.slice(0, 0x10000))).toBe(0);
    expect(Buffer.compare(bytes.slice(0x40000, 0x40000 + data.length - 0x10000), data.slice(0x10000))).toBe(0);
  });

  test("by time", () => {
    const { guest } = dvdGuest();
    expect(guest.packet([0xb9, 0, 0, 0, 2, 1, 0, 2, 3, 0x10]).data).toEqual(disc.bytes.slice(2048, 3 * 2048));
    expect(senseOf(guest, [0xb9, 0, 0, 0, 2, 3, 0, 2, 1, 0x10])).toBe(0x052400);
    expect(senseOf(guest, [0xb9, 0, 0, 0, 1, 0, 0, 2, 1, 0x10])).toBe(0x052100);
  });
});
