import { describe, expect, test } from "vitest";
import { type FakePciFunction, seededRandom } from "../../device-api/testing.ts";
import { testFrame } from "../../device-api/testing-net.ts";
import * as R from "./registers.ts";
import { OWN_MAC, PcnetGuest, RX_RING, TX_RING } from "./testing.ts";

function anyAccess(pci: FakePciFunction, random: (n: number) => number): void {
  const size = ([1, 2, 2, 2, 4] as const)[random(5)];
  const bar = random(2);
  const offset = random(R.WINDOW_BYTES / size) * size;
  if (random(3) === 0) pci.barRead(bar, offset, size);
  else pci.barWrite(bar, offset, size, random(2 ** (8 * size)));
}

/** After all that, a reset must bring the card back. */
function expectAlive(guest: PcnetGuest): void {
  guest.net.hasRoom = true;
  guest.net.waiting.length = 0;
  guest.net.sent.length = 0;
  guest.card.reset("hard");
  guest.pci.guestWrite(4, 2, 7);
  guest.card.setCableConnected(true);
  const fresh = new PcnetGuest({ style: 2 });
  // The driver's bookkeeping of a fresh guest over the fuzzed card's registers.
  Object.assign(fresh, { pci: guest.pci, card: guest.card, net: guest.net, context: guest.context });
  fresh.start();
  fresh.send([testFrame(OWN_MAC, 100)]);
  expect(fresh.net.sent.length).toBe(1);
  fresh.net.deliver(testFrame(OWN_MAC, 100));
  expect(fresh.receive()).toBeDefined();
  const leaf = guest.card.save();
  guest.card.load(leaf);
  expect(guest.card.save()).toEqual(leaf);
}

describe("no throw, no hang, alive after a reset", () => {
  test.each([1, 2, 3, 4, 5, 6])("any accesses, any memory (seed %i)", (seed) => {
    const random = seededRandom(seed * 7919);
    const guest = new PcnetGuest({ model: seed % 2 ? "Am79C970A" : "Am79C973", isDword: seed % 3 === 0 });
    for (let i = 0; i < 20_000; i++) {
      if (random(40) === 0) {
        for (let k = 0; k < 64; k++) guest.memory.bytes[random(0x8000)] = random(256);
      }
      anyAccess(guest.pci, random);
      // What drivers write most: CSR0 and the rings' registers.
      if (random(4) === 0)
        guest.writeCsr([0, 0, 0, 1, 2, 3, 4, 5, 15, 24, 25, 30, 31, 76, 78][random(15)], random(0x10000));
      if (random(16) === 0) guest.writeBcr([2, 18, 20, 20, 31, 32, 33, 34][random(8)], random(0x10000));
      if (random(16) === 0) guest.net.deliver(testFrame(random(2) ? OWN_MAC : "ff:ff:ff:ff:ff:ff", random(1505)));
      if (random(32) === 0) guest.net.hasRoom = !guest.net.hasRoom;
      if (random(64) === 0) guest.card.setCableConnected(random(2) === 0);
      if (random(8) === 0) guest.context.clock.advance(random(4_000_000));
      if (guest.net.sent.length > 1000) guest.net.sent.length = 0;
    }
    expectAlive(guest);
  });

  test.each([0, 1, 2, 3] as const)(
    "rings that lie on themselves and on each other, in loopback (style %i)",
    (style) => {
      const random = seededRandom(style + 77);
      for (let round = 0; round < 60; round++) {
        const guest = new PcnetGuest({ style, logRings: 7, mode: R.MODE_LOOP | R.MODE_PROM });
        guest.start(0);
        guest.writeCsr(0, R.CSR0_STOP);
        // Every descriptor is the chip's, buffers are the rings themselves, lengths are anything.
        const base = random(2) ? RX_RING : TX_RING;
        guest.writeCsr(24, base);
        guest.writeCsr(30, base + random(3) * 8);
        guest.writeCsr(76, random(0x10000));
        guest.writeCsr(78, random(0x10000));
        for (let gpa = 0x2000; gpa < 0x6000; gpa += 4) {
          guest.memory.write32(gpa, (0x8300f000 | random(0x1000) | (random(4) ? 0 : random(2 ** 32))) >>> 0);
          if (random(2)) guest.memory.write32(gpa, 0x2000 + random(0x4000));
        }
        guest.writeCsr(0, R.CSR0_STRT | R.CSR0_TDMD | R.CSR0_IENA);
        guest.context.clock.advance(20_000_000);
        expect(guest.net.sent.length).toBe(0);
      }
    },
  );
});

test("saved states that are not: refused, never half taken for good", () => {
  const guest = new PcnetGuest();
  guest.start();
  const leaf = guest.card.save();
  const chip = leaf.data.chip as { readonly [key: string]: never };
  for (const key of Object.keys(chip)) {
    const { [key]: _, ...rest } = chip;
    expect(() => guest.card.load({ ...leaf, data: { ...leaf.data, chip: rest } })).toThrow(/saved state: pcnet/);
    expect(() => guest.card.load({ ...leaf, data: { ...leaf.data, chip: { ...chip, [key]: "x" } } })).toThrow();
  }
});
