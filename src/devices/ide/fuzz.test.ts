import { describe, expect, test } from "vitest";
import { fuzzPorts, seededRandom } from "../../device-api/testing.ts";
import { IdeGuest, MemoryMedium, MemorySlot } from "./testing.ts";

function guestWithFour(random: (n: number) => number) {
  const disks = [1, 2].map((seed) => new MemoryMedium(0x20000 + seed * 512, { seed }));
  const disc = new MemoryMedium(0x10000, { seed: 3 });
  const slots = [new MemorySlot(disc), new MemorySlot()];
  const guest = new IdeGuest(
    {
      model: "PIIX4",
      drives: [
        { port: 0, device: 0, kind: "disk", backend: disks[0] },
        { port: 0, device: 1, kind: "dvd", slot: slots[0] },
        { port: 1, device: 0, kind: "disk", backend: disks[1] },
        { port: 1, device: 1, kind: "dvd", slot: slots[1] },
      ],
    },
    { ramBytes: 0x40000 },
  );
  const media = [...disks, disc];
  /** What the host does meanwhile. */
  const hostActs = () => {
    const medium = media[random(media.length)];
    const act = random(8);
    if (act === 0) medium.isDeferred = !medium.isDeferred;
    else if (act === 1) for (const other of media) other.complete();
    else if (act === 2) medium.badSectors.add(random(300));
    else if (act === 3) medium.badSectors.clear();
    else if (act === 4) slots[random(2)].insert(random(2) ? disc : undefined);
    else if (act === 5) medium.readOnly = !medium.readOnly;
    else medium.log.length = 0;
  };
  return { guest, media, hostActs };
}

/** After all that, a reset must bring every drive back. */
function expectAlive(guest: IdeGuest, media: MemoryMedium[]): void {
  for (const medium of media) {
    medium.isDeferred = false;
    medium.badSectors.clear();
    medium.complete();
  }
  expect(guest.ide.pendingRequests).toBe(0);
  for (const [base, control] of [
    [0x1f0, 0x3f6],
    [0x170, 0x376],
  ]) {
    guest.base = base;
    guest.control = control;
    guest.softReset();
    guest.identify(0);
    guest.identify(1, 0xa1);
    expect(guest.status).toBe(0x50);
  }
  const leaf = guest.ide.save();
  guest.ide.load(leaf);
  expect(guest.ide.save()).toEqual(leaf);
}

describe("no throw, no hang, and alive after a reset", () => {
  test.each([1, 2, 3, 4])("any port accesses (seed %i)", (seed) => {
    const random = seededRandom(seed * 77);
    const { guest, media, hostActs } = guestWithFour(random);
    fuzzPorts(guest.context, 30_000, seed, (i) => {
      if (i % 16 === 0) hostActs();
      if (random(8) === 0) guest.bmOut(random(16), 1, random(256));
      if (random(64) === 0) guest.bmOut(random(4) * 4, 4, random(2 ** 32));
    });
    expectAlive(guest, media);
  });

  test.each([1, 2, 3, 4])("likely commands with any lists (seed %i)", (seed) => {
    const random = seededRandom(seed * 991);
    const { guest, media, hostActs } = guestWithFour(random);
    const codes = [
      0x20, 0x24, 0x25, 0x29, 0x30, 0x34, 0x35, 0x39, 0x40, 0xa0, 0xa0, 0xa0, 0xc4, 0xc5, 0xc8, 0xca, 0x90, 0x08,
    ];
    for (let i = 0; i < 2_000; i++) {
      if (random(2)) guest.useSecondary();
      else Object.assign(guest, { base: 0x1f0, control: 0x3f6, busMaster: 0, irq: 14 });
      // Lists of any contents: in, at the border of and outside RAM, over themselves.
      const table = random(4) === 0 ? random(2 ** 32) : random(0x40000) & ~3;
      for (let entry = 0; entry < random(20); entry++) {
        guest.context.memory.write32(table + entry * 8, random(3) ? random(0x48000) : random(2 ** 32));
        guest.context.memory.write32(table + entry * 8 + 4, random(2 ** 16) + (random(4) ? 0 : 0x8000_0000));
      }
      guest.bmOut(4, 4, table);
      guest.out(6, random(256));
      for (const register of [1, 2, 3, 4, 5]) guest.out(register, random(2) ? random(4) : random(256));
      guest.out(7, codes[random(codes.length)]);
      guest.pass(random(20_000));
      guest.bmOut(0, 1, random(16));
      const opcodes = [0x28, 0xa8, 0xbe, 0xb9, 0x43, 0x46, 0x55, 0x15, 0x5a, 0x1b, 0x4a, random(256)];
      for (let word = 0; word < random(600); word++) {
        const value =
          word === 0 ? opcodes[random(opcodes.length)] | (random(256) << 8) : random(3) ? random(16) : random(2 ** 16);
        if (random(2)) guest.context.out(guest.base, 2, value);
        else guest.context.in(guest.base, 2);
      }
      guest.pass(random(50_000));
      hostActs();
      if (random(20) === 0) guest.softReset();
    }
    expectAlive(guest, media);
  });

  test.each([1, 2, 3])("any packets (seed %i)", (seed) => {
    const random = seededRandom(seed);
    const { guest, media, hostActs } = guestWithFour(random);
    for (let i = 0; i < 1_500; i++) {
      const packet = Array.from({ length: 12 }, () => (random(2) ? 0 : random(256)));
      if (random(3) === 0) packet[0] = [0x28, 0xa8, 0xbe, 0xb9, 0x43, 0x42, 0x46, 0xad, 0x5a, 0x1a][random(10)];
      const limit = random(4) === 0 ? random(8) : random(0x10000);
      // Every command must end, with bytes only as announced.
      const { status, blocks, data } = guest.packet(packet, { device: 1, limit: limit < 2 ? 0xfffe : limit });
      expect(status & 0x88).toBe(0);
      expect(data.length).toBeLessThanOrEqual(blocks.reduce((sum, bytes) => sum + bytes, 0));
      if (random(4) === 0) {
        for (const medium of media) medium.isDeferred = false;
        hostActs();
        for (const medium of media) medium.isDeferred = false;
      }
    }
    expectAlive(guest, media);
  });
});

test("whatever a list says, bytes outside its regions stay as they are", () => {
  const random = seededRandom(4242);
  const medium = new MemoryMedium(0x10000);
  const guest = new IdeGuest(
    { model: "PIIX4", drives: [{ port: 0, device: 0, kind: "disk", backend: medium }] },
    { ramBytes: 0x20000 },
  );
  const { bytes } = guest.context.memory;
  for (let i = 0; i < 300; i++) {
    bytes.fill(0xc3);
    const isTouched = new Uint8Array(bytes.length);
    const regions = Array.from({ length: 1 + random(6) }, () => {
      const region = [random(0x21000) & ~1, 2 + (random(0x1000) & ~1)] as const;
      isTouched.fill(1, region[0], region[0] + region[1]);
      return region;
    });
    guest.setRegions(0x1ff80, regions);
    isTouched.fill(1, 0x1ff80, 0x1ff80 + regions.length * 8);
    const lists = bytes.slice(0x1ff80);
    guest.command28(0xc8, random(100), 1 + random(20));
    guest.startBusMaster(true);
    guest.pass();
    guest.bmOut(0, 1, 0);
    guest.softReset();
    for (let at = 0; at < bytes.length; at++) {
      if (!isTouched[at] && bytes[at] !== 0xc3) throw new Error(`byte ${at.toString(16)} was written`);
    }
    expect(lists.length).toBe(0x80);
  }
});
