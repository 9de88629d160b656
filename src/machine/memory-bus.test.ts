import { expect, test } from "vitest";
import { silentLogger } from "../base/logger.ts";
import type { IoWindow } from "../device-api/io-window.ts";
import { seededRandom } from "../device-api/testing.ts";
import { DemandLog } from "./demand-log.ts";
import { MemoryBus } from "./memory-bus.ts";

/** The page map as the CPU would use it: page → host page, writable. */
class FakePageMap {
  readonly pages = new Map<number, { host: number; writable: boolean }>();
  map(gpa: number, length: number, host: number, writable: boolean): void {
    if (gpa % 4096 !== 0 || length % 4096 !== 0) throw new Error("not page aligned");
    for (let i = 0; i < length; i += 4096) this.pages.set((gpa + i) / 4096, { host: host + i, writable });
  }
  unmap(gpa: number, length: number): void {
    for (let i = 0; i < length; i += 4096) this.pages.delete((gpa + i) / 4096);
  }
}

const HOST = 0x10000;

function createBus() {
  const bytes = new Uint8Array(0x400000);
  const pages = new FakePageMap();
  const written: number[] = [];
  const bus = new MemoryBus({
    bytes,
    pageMap: pages,
    demand: new DemandLog(silentLogger),
    onDirectWrite: (gpa) => written.push(gpa),
  });
  return { bytes, pages, bus, written };
}

const constant = (value: number): IoWindow => ({ read: () => value, write() {} });

test("RAM pages are mapped directly; registers and the void go over the bus", () => {
  const { bus, pages } = createBus();
  bus.addMemory("ram", 0, 0xa0000, HOST, true);
  bus.claim(0xa0000, 0x20000, constant(0x42));
  expect(pages.pages.get(0x9f)).toEqual({ host: HOST + 0x9f000, writable: true });
  expect(pages.pages.has(0xa0)).toBe(false);
  expect(bus.readMmio(0xa1234, 1)).toBe(0x42);
  expect(bus.readMmio(0xd0000000, 4)).toBe(0xffffffff);
  expect(bus.readMmio(0xffffffff, 4)).toBe(0xffffffff);
});

test("shadow RAM over ROM: the four directions of a PAM register", () => {
  const { bus, pages, bytes, written } = createBus();
  const shadow = bus.addSwitched("shadow", 0x10000, { kind: "memory", hostOffset: HOST + 0xf0000 });
  bus.addMemory("bios", 0xf0000, 0x10000, 0x300000, false);
  bytes[0x300000] = 0xea;
  const readsAndWrites = () => {
    const direct = pages.pages.get(0xf0);
    return direct === undefined ? "bus" : `${direct.host === 0x300000 ? "rom" : "ram"} ${direct.writable}`;
  };
  expect(readsAndWrites()).toBe("rom false");
  // Copying the BIOS: reads from ROM, writes to RAM.
  shadow.place(0xf0000, false, true);
  expect(readsAndWrites()).toBe("rom false");
  bus.writeMmio(0xf0000, 2, 0xbbaa);
  expect([bytes[HOST + 0xf0000], bytes[HOST + 0xf0001]]).toEqual([0xaa, 0xbb]);
  expect(written).toEqual([0xf0000]);
  shadow.place(0xf0000, true, false);
  expect(readsAndWrites()).toBe("ram false");
  bus.writeMmio(0xf0000, 1, 0x11);
  expect(bytes[HOST + 0xf0000]).toBe(0xaa);
  shadow.place(0xf0000, true, true);
  expect(readsAndWrites()).toBe("ram true");
  shadow.remove();
  expect(readsAndWrites()).toBe("rom false");
});

test("a BAR never covers RAM or registers, and a page it shares with registers leaves the direct map", () => {
  const { bus, pages } = createBus();
  bus.addMemory("ram", 0, 0x100000, HOST, true);
  bus.claim(0x201008, 8, constant(7));
  const vram = bus.addMovable("vram", 0x100000, { kind: "memory", hostOffset: 0x200000 });
  vram.place(0x80000);
  expect(pages.pages.get(0xff)?.host).toBe(HOST + 0xff000);
  expect(pages.pages.get(0x100)?.host).toBe(0x280000);
  vram.place(0x200000);
  expect(pages.pages.get(0x100)).toBeUndefined();
  expect(pages.pages.has(0x201)).toBe(false);
  expect(pages.pages.get(0x202)).toEqual({ host: 0x202000, writable: true });
  expect(bus.readMmio(0x201008, 1)).toBe(7);
  bus.writeMmio(0x201006, 4, 0x44332211);
  expect(bus.readMmio(0x201006, 2)).toBe(0x2211);
  expect(bus.readMmio(0x201007, 2)).toBe(0x0722);
});

test("an overlay answers over RAM and registers, wherever it goes; RAM comes back behind it", () => {
  const { bus, pages } = createBus();
  bus.addMemory("ram", 0, 0x10000, HOST, true);
  bus.claim(0xfec00000, 0x1000, constant(1), "io-apic");
  const overlay = bus.addOverlay("apic", 0x1000, { kind: "window", window: constant(2) });
  overlay.place(0xfec00000);
  expect(bus.readMmio(0xfec00000, 1)).toBe(2);
  overlay.place(0x3000);
  expect([bus.readMmio(0xfec00000, 1), bus.readMmio(0x3010, 1), pages.pages.has(3)]).toEqual([1, 2, false]);
  overlay.remove();
  expect(pages.pages.get(3)).toEqual({ host: HOST + 0x3000, writable: true });
});

test("two built-in windows at one address are an error of the assembly", () => {
  const { bus } = createBus();
  bus.claim(0xfee00000, 0x1000, constant(0), "apic");
  expect(() => bus.claim(0xfee00ff0, 0x20, constant(0), "other")).toThrow(/apic and other/);
});

test("random placements: the direct map always agrees with what the bus says", () => {
  const { bus, pages, bytes } = createBus();
  for (let i = 0; i < bytes.length; i += 4096) bytes[i] = (i / 4096) & 0xff;
  const random = seededRandom(5);
  bus.addMemory("ram", 0, 0x80000, HOST, true);
  bus.claim(0x90010, 0x20, constant(0xee));
  const bars = [0x1000, 0x4000, 0x20000].map((size, i) =>
    bus.addMovable(`bar ${i}`, size, { kind: "memory", hostOffset: 0x100000 + i * 0x40000 }),
  );
  const registers = bus.addMovable("registers", 0x100, { kind: "window", window: constant(0xdd) });
  for (let round = 0; round < 300; round++) {
    for (const bar of bars) {
      if (random(3) === 0) bar.remove();
      else bar.place(0x70000 + random(0x40) * 0x1000, true, random(2) === 0);
    }
    registers.place(0x70000 + random(0x400) * 0x100);
    for (let page = 0x70; page < 0xd0; page++) {
      const direct = pages.pages.get(page);
      const slow = bus.readMmio(page * 4096, 1);
      if (direct !== undefined) expect(bytes[direct.host]).toBe(slow);
      bus.writeMmio(random(0x1_0000_0000), ([1, 2, 4] as const)[random(3)], 0xff);
    }
    for (let i = 0; i < bytes.length; i += 4096) bytes[i] = (i / 4096) & 0xff;
  }
});

test("a part of a claimed window becomes memory and registers again; what lies over it stays", () => {
  const { bus, pages } = createBus();
  const memory = { bytes: new Uint8Array(0x20000), hostOffset: 0x100000 };
  const window = bus.claim(0xa0000, 0x20000, constant(0x42));
  window.mapDirect(0x18000, 0x8000, memory, 0x4000);
  expect(pages.pages.get(0xb8)).toEqual({ host: 0x104000, writable: true });
  expect(pages.pages.get(0xbf)).toEqual({ host: 0x10b000, writable: true });
  expect(pages.pages.has(0xb7) || pages.pages.has(0xc0)).toBe(false);
  expect(bus.readMmio(0xb7fff, 1)).toBe(0x42);
  const overlay = bus.addOverlay("local APIC", 0x1000, { kind: "window", window: constant(0x17) });
  overlay.place(0xb9000);
  expect([pages.pages.has(0xb8), pages.pages.has(0xb9), pages.pages.has(0xba)]).toEqual([true, false, true]);
  expect(bus.readMmio(0xb9000, 1)).toBe(0x17);
  window.mapDirect(0, 0x10000, memory, 0x10000);
  expect([pages.pages.get(0xa0)?.host, pages.pages.has(0xb8)]).toEqual([0x110000, false]);
  window.unmapDirect();
  expect(pages.pages.size).toBe(0);
  expect(() => window.mapDirect(0x18000, 0x9000, memory, 0)).toThrow("cannot be memory");
});
