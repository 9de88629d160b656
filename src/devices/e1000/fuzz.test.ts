import { describe, expect, test } from "vitest";
import { seededRandom } from "../../device-api/testing.ts";
import { testFrame } from "../../device-api/testing-net.ts";
import * as R from "./registers.ts";
import { E1000Guest, OWN_MAC, RX_RING, TX_RING } from "./testing.ts";

const models = ["82540EM", "82543GC", "82545EM"] as const;
const busy = [
  ...[R.CTRL, R.EECD, R.EERD, R.MDIC, R.ICS, R.IMS, R.IMC, R.ITR, R.RCTL, R.RCTL, R.TCTL, R.TCTL],
  ...[R.RDBAL, R.RDLEN, R.RDH, R.RDT, R.RDT, R.RDTR, R.RADV, R.TDBAL, R.TDLEN, R.TDH, R.TDT, R.TDT, R.TIDV, R.TADV],
];

/** After all that, a reset must bring the card back. */
function expectAlive(guest: E1000Guest): void {
  guest.net.hasRoom = true;
  guest.net.waiting.length = 0;
  guest.net.sent.length = 0;
  guest.card.reset("hard");
  guest.card.setCableConnected(true);
  guest.pci.guestWrite(4, 2, 7);
  guest.start();
  guest.send([testFrame(OWN_MAC, 100)]);
  expect(guest.net.sent.length).toBe(1);
  guest.net.deliver(testFrame(OWN_MAC, 100));
  expect(guest.receive()).toBeDefined();
  const leaf = guest.card.save();
  guest.card.load(leaf);
  expect(guest.card.save()).toEqual(leaf);
}

describe("no throw, no hang, alive after a reset", () => {
  test.each([1, 2, 3, 4, 5, 6])("any accesses, any memory (seed %i)", (seed) => {
    const random = seededRandom(seed * 104729);
    const guest = new E1000Guest({ model: models[seed % 3] });
    if (random(2)) guest.start();
    for (let i = 0; i < 8_000; i++) {
      if (random(40) === 0) for (let k = 0; k < 64; k++) guest.memory.bytes[0x2000 + random(0x3000)] = random(256);
      const size = ([1, 2, 4, 4, 4] as const)[random(5)];
      const offset = random(4) ? busy[random(busy.length)] : random(R.MMIO_BYTES / 4) * 4;
      const value = random(2) ? random(2 ** (8 * size)) : random(64);
      if (random(4) === 0) guest.pci.barRead(0, offset, size);
      else if (random(8) === 0) guest.pci.barWrite(2, random(2) * 4, 4, random(2 ** 32));
      else guest.pci.barWrite(0, offset, size, value);
      if (random(16) === 0) guest.net.deliver(testFrame(random(2) ? OWN_MAC : "ff:ff:ff:ff:ff:ff", random(1505)));
      if (random(32) === 0) guest.net.hasRoom = !guest.net.hasRoom;
      if (random(64) === 0) guest.card.setCableConnected(random(2) === 0);
      if (random(64) === 0) guest.pci.guestWrite(4, 2, random(8));
      if (random(8) === 0) guest.context.clock.advance(random(4_000_000));
      if (guest.net.sent.length > 1000) guest.net.sent.length = 0;
    }
    expectAlive(guest);
  });

  test.each([1, 2, 3, 4])("any descriptors in rings that lie on themselves and on each other (seed %i)", (seed) => {
    const random = seededRandom(seed * 31337);
    const guest = new E1000Guest();
    for (let round = 0; round < 80; round++) {
      guest.card.reset("hard");
      guest.card.setCableConnected(true);
      const ring = random(3) === 0 ? RX_RING : TX_RING;
      guest.set(R.RDBAL, RX_RING);
      guest.set(R.TDBAL, ring);
      guest.set(R.RDLEN, random(64) * 128);
      guest.set(R.TDLEN, random(random(2) ? 64 : 0x2000) * 128);
      for (let gpa = 0x2000; gpa < 0x6000; gpa += 16) {
        guest.memory.write32(gpa, 0x2000 + random(0x4000));
        guest.memory.write32(gpa + 4, random(8) ? 0 : random(2 ** 32));
        guest.memory.write32(gpa + 8, random(2 ** 32) & (random(2) ? 0xff00_0fff : 0xffff_ffff));
        guest.memory.write32(gpa + 12, random(2 ** 32));
      }
      guest.set(R.RXCSUM, random(0x800));
      guest.set(R.CTRL, random(2) ? R.CTRL_VME : 0);
      guest.set(R.RCTL, R.RCTL_EN | R.RCTL_UPE | R.RCTL_MPE | random(2 ** 28));
      guest.set(R.RDT, random(0x2000));
      guest.set(R.TCTL, R.TCTL_EN | random(16));
      guest.set(R.TDT, random(0x2000));
      guest.net.hasRoom = random(4) !== 0;
      guest.net.deliver(testFrame(OWN_MAC, random(1505)));
      guest.context.clock.advance(3_000_000);
      guest.net.sent.length = 0;
    }
    expectAlive(guest);
  });
});

test("saved states that are not: refused", () => {
  const guest = new E1000Guest();
  guest.start();
  const leaf = guest.card.save();
  const chip = leaf.data.chip as { readonly [key: string]: never };
  for (const key of Object.keys(chip)) {
    const { [key]: _, ...rest } = chip;
    expect(() => guest.card.load({ ...leaf, data: { ...leaf.data, chip: rest } })).toThrow(/saved state: e1000/);
    expect(() => guest.card.load({ ...leaf, data: { ...leaf.data, chip: { ...chip, [key]: "x" } } })).toThrow();
  }
});
