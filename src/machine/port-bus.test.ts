import { expect, test } from "vitest";
import { MemoryLogger } from "../base/logger.ts";
import type { IoWindow } from "../device-api/io-window.ts";
import { seededRandom } from "../device-api/testing.ts";
import { DemandLog } from "./demand-log.ts";
import { PortBus } from "./port-bus.ts";

/** Answers with its name and the offset, and remembers writes. */
function echo(tag: number): IoWindow & { readonly writes: string[] } {
  const writes: string[] = [];
  return {
    writes,
    read: (offset, size) => {
      let value = 0;
      for (let i = size - 1; i >= 0; i--) value = value * 256 + ((tag + offset + i) & 0xff);
      return value;
    },
    write: (offset, size, value) => writes.push(`${offset}/${size}=${value.toString(16)}`),
  };
}

function createBus() {
  const log = new MemoryLogger();
  return { log, bus: new PortBus(new DemandLog(log)) };
}

test("a window sees offsets, and accesses that straddle windows are split", () => {
  const { bus } = createBus();
  const low = echo(0x10);
  const high = echo(0x80);
  bus.claim(0x3f0, 2, low);
  bus.claim(0x3f2, 6, high);
  expect(bus.readPort(0x3f0, 2)).toBe(0x1110);
  expect(bus.readPort(0x3f1, 2)).toBe(0x8011);
  expect(bus.readPort(0x3f0, 4)).toBe(0x8180_1110);
  bus.writePort(0x3f1, 4, 0xaabbccdd);
  expect(low.writes).toEqual(["1/1=dd"]);
  expect(high.writes).toEqual(["0/1=cc", "1/2=aabb"]);
});

test("unclaimed ports read all ones and are said once", () => {
  const { bus, log } = createBus();
  for (let i = 0; i < 3; i++) expect(bus.readPort(0x278, 1)).toBe(0xff);
  expect(bus.readPort(0xffff, 4)).toBe(0xffffffff);
  bus.writePort(0x80, 1, 5);
  expect(log.lines.filter((line) => line.includes("278h"))).toHaveLength(1);
});

test("no more than 256 distinct places are logged, and all are counted", () => {
  const log = new MemoryLogger();
  const demand = new DemandLog(log);
  const bus = new PortBus(demand);
  for (let port = 0; port < 1000; port++) bus.readPort(port, 1);
  expect(log.lines.length).toBe(257);
  expect(demand.counts()["unclaimed port read"]).toBe(1000);
});

test("built-in claims that overlap are refused by the name of the later one", () => {
  const { bus } = createBus();
  bus.claim(0x60, 1, echo(0));
  expect(() => bus.claim(0x5f, 4, echo(0), "uart-1")).toThrow(/^uart-1: I\/O port 60h is another device's/);
  expect(() => bus.claim(0xffff, 2, echo(0))).toThrow();
});

test("what a guest places lies under built-in claims, earlier ranges over later ones", () => {
  const { bus } = createBus();
  bus.claim(0x3f8, 8, echo(0x40));
  const first = bus.addMovable(32, echo(0));
  const second = bus.addMovable(32, echo(0x80));
  second.place(0x3e0);
  first.place(0x3f0);
  expect(bus.readPort(0x3e0, 1)).toBe(0x80);
  expect(bus.readPort(0x3f0, 1)).toBe(0);
  expect(bus.readPort(0x3f8, 1)).toBe(0x40);
  first.remove();
  expect(bus.readPort(0x3f0, 1)).toBe(0x90);
  second.place(0xfff0);
  expect(bus.isClaimed(0x3e0)).toBe(false);
  expect(bus.isClaimed(0xfff0)).toBe(false);
});

test("a 32-bit-only port leaves narrower accesses to the owner of the byte", () => {
  const { bus } = createBus();
  const reset = echo(0);
  bus.claim(0xcf9, 1, reset);
  bus.claimDword(0xcf8, { read: () => 0x80001234, write: () => {} });
  expect(bus.readPort(0xcf8, 4)).toBe(0x80001234);
  bus.writePort(0xcf9, 1, 6);
  expect(reset.writes).toEqual(["0/1=6"]);
  expect(bus.readPort(0xcf8, 1)).toBe(0xff);
});

test("random moves and accesses never throw, and owners follow the fixed order", () => {
  const { bus } = createBus();
  const random = seededRandom(11);
  bus.claim(0x1000, 16, echo(1));
  const lengths = [4, 8, 256, 4096];
  const ranges = lengths.map((length, i) => bus.addMovable(length, { read: () => i + 100, write() {} }));
  for (let i = 0; i < 400; i++) {
    const which = random(4);
    const base = random(5) === 0 ? random(0x1_0000_0000) : 0xf00 + random(0x300);
    if (random(4) === 0) ranges[which].remove();
    else ranges[which].place(base);
    for (let j = 0; j < 20; j++) {
      const port = 0xf00 + random(0x400);
      const value = bus.readPort(port, 1);
      if (port >= 0x1000 && port < 0x1010) expect(value).toBe((1 + port - 0x1000) & 0xff);
      else expect(value === 0xff || (value >= 100 && value < 104)).toBe(true);
      bus.writePort(random(0x10000), ([1, 2, 4] as const)[random(3)], random(0x100));
    }
  }
});
