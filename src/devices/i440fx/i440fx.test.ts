import { beforeEach, expect, test } from "vitest";
import type { AccessSize } from "../../device-api/io-window.ts";
import { FakeContext, type FakePciFunction, seededRandom } from "../../device-api/testing.ts";
import { createI440fx } from "./index.ts";

let pam: number[];
let bridge: FakePciFunction;
let device: ReturnType<typeof createI440fx>;

function build(ramBytes = 64 * 1024 * 1024): void {
  pam = new Array(7).fill(-1);
  const context = new FakeContext({ ramBytes });
  device = createI440fx({
    onPamChange(index, value) {
      pam[index] = value;
    },
  });
  device.attach(context);
  device.reset("power-on");
  bridge = context.pci(0, 0);
}
beforeEach(() => build());

test("is the host bridge that drivers look for", () => {
  expect(bridge.readConfig(0x00, 4)).toBe(0x12378086);
  expect(bridge.readConfig(0x08, 4)).toBe(0x06000002);
  expect(bridge.readConfig(0x0e, 1)).toBe(0);
});

test("firmware shadows the BIOS area: write to DRAM, read from ROM, then DRAM, then write-protected", () => {
  expect(pam).toEqual([0, 0, 0, 0, 0, 0, 0]);
  bridge.guestWrite(0x59, 1, 0x20);
  expect(pam[0]).toBe(0x20);
  bridge.guestWrite(0x59, 1, 0x30);
  expect(pam[0]).toBe(0x30);
  bridge.guestWrite(0x59, 1, 0x10);
  expect(pam[0]).toBe(0x10);
  bridge.guestWrite(0x5a, 4, 0x11223333);
  expect(pam).toEqual([0x10, 0x33, 0x33, 0x22, 0x11, 0, 0]);
  device.reset("hard");
  expect(pam).toEqual([0, 0, 0, 0, 0, 0, 0]);
  expect(bridge.readConfig(0x59, 1)).toBe(0);
});

test("row boundaries add up to the RAM", () => {
  expect(bridge.readConfig(0x67, 1)).toBe(8);
  build(256 * 1024 * 1024);
  expect([bridge.readConfig(0x60, 1), bridge.readConfig(0x61, 1), bridge.readConfig(0x67, 1)]).toEqual([16, 32, 32]);
});

test("saved state brings the map back whichever order the bus is restored in", () => {
  bridge.guestWrite(0x59, 2, 0x3330);
  const saved = structuredClone(device.save());
  build();
  device.load(saved);
  expect(pam.slice(0, 2)).toEqual([0x30, 0x33]);
  expect(bridge.readConfig(0x59, 2)).toBe(0x3330);
  expect(device.save()).toEqual(saved);
  expect(() => device.load({ ...saved, data: {} })).toThrow(/pam/);
});

test("seeded fuzz of config space: PAM values stay within their masks", () => {
  const random = seededRandom(440);
  const sizes: AccessSize[] = [1, 2, 4];
  for (let i = 0; i < 20_000; i++) {
    const size = sizes[random(3)];
    bridge.guestWrite(random(256 / size) * size, size, random(2 ** (8 * size)));
  }
  expect(pam.every((value) => (value & ~0x33) === 0)).toBe(true);
  expect(bridge.readConfig(0x00, 4)).toBe(0x12378086);
});
