import { beforeEach, expect, test } from "vitest";
import type { AccessSize } from "../../device-api/io-window.ts";
import type { IrqLine } from "../../device-api/irq-line.ts";
import { FakeContext, type FakePciFunction, seededRandom } from "../../device-api/testing.ts";
import { createPiix3Isa } from "./index.ts";

let context: FakeContext;
let device: ReturnType<typeof createPiix3Isa>;
let bridge: FakePciFunction;
let pirqs: IrqLine[];

function build(): void {
  context = new FakeContext();
  device = createPiix3Isa();
  device.attach(context);
  pirqs = [0, 1, 2, 3, 0].map((pirq) => device.pirq(pirq));
  device.reset("power-on");
  bridge = context.pci(1, 0);
}
beforeEach(build);

const levels = () => context.irq.flatMap((line, irq) => (line.level ? [irq] : []));

test("is the multi-function ISA bridge that $PIR names as router", () => {
  expect(bridge.readConfig(0x00, 4)).toBe(0x70008086);
  expect(bridge.readConfig(0x0a, 2)).toBe(0x0601);
  expect(bridge.readConfig(0x0e, 1)).toBe(0x80);
  expect(bridge.readConfig(0x60, 4)).toBe(0x80808080);
  expect(bridge.readConfig(0x4e, 2)).toBe(0x0003);
});

test("VirtualBox's routing {11, 10, 9, 11}", () => {
  bridge.guestWrite(0x60, 4, 0x0b090a0b);
  pirqs[2].raise();
  expect(levels()).toEqual([9]);
  pirqs[0].raise();
  pirqs[3].raise();
  expect(levels()).toEqual([9, 11]);
  pirqs[0].lower();
  expect(levels()).toEqual([9, 11]);
  pirqs[3].lower();
  pirqs[2].lower();
  expect(levels()).toEqual([]);
});

test("functions that share a PIRQ are combined", () => {
  bridge.guestWrite(0x60, 1, 0x05);
  pirqs[0].raise();
  pirqs[4].raise();
  pirqs[0].lower();
  expect(levels()).toEqual([5]);
  pirqs[4].lower();
  expect(levels()).toEqual([]);
  expect(context.irq[5].rises).toBe(1);
});

test("a change of routing moves the level, disabling takes it away", () => {
  pirqs[1].raise();
  expect(levels()).toEqual([]);
  bridge.guestWrite(0x61, 1, 0x0a);
  expect(levels()).toEqual([10]);
  bridge.guestWrite(0x61, 1, 0x0f);
  expect(levels()).toEqual([15]);
  bridge.guestWrite(0x61, 1, 0x8f);
  expect(levels()).toEqual([]);
});

test("reserved interrupt codes route nowhere", () => {
  pirqs[0].raise();
  for (const irq of [0, 1, 2, 8, 13]) {
    bridge.guestWrite(0x60, 1, irq);
    expect(levels()).toEqual([]);
  }
});

test("saved state keeps routes and levels without touching a line", () => {
  bridge.guestWrite(0x60, 4, 0x80808009);
  pirqs[0].raise();
  const saved = structuredClone(device.save());
  build();
  device.load(saved);
  expect(device.save()).toEqual(saved);
  expect(context.irq[9].rises).toBe(0);
  expect(bridge.readConfig(0x60, 1)).toBe(9);
  // The interrupt controller restored its input as high; the driver lets go and the line follows.
  context.irq[9].level = true;
  pirqs[0].lower();
  expect(context.irq[9].level).toBe(false);
  expect(() => device.load({ ...saved, data: { ...saved.data, more: 1 } })).toThrow(/more/);
});

test("seeded fuzz", () => {
  const random = seededRandom(7000);
  const sizes: AccessSize[] = [1, 2, 4];
  for (let i = 0; i < 20_000; i++) {
    const size = sizes[random(3)];
    bridge.guestWrite(random(256 / size) * size, size, random(2 ** (8 * size)));
    const line = pirqs[random(pirqs.length)];
    random(2) === 0 ? line.raise() : line.lower();
  }
  for (const line of pirqs) line.lower();
  expect(levels()).toEqual([]);
  expect(bridge.readConfig(0x00, 4)).toBe(0x70008086);
});
