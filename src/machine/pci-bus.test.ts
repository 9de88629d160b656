import { expect, test } from "vitest";
import { silentLogger } from "../base/logger.ts";
import type { PciFunctionConfig } from "../device-api/pci-function.ts";
import { seededRandom } from "../device-api/testing.ts";
import { DemandLog } from "./demand-log.ts";
import { MemoryBus } from "./memory-bus.ts";
import { PciBus } from "./pci-bus.ts";
import { PortBus } from "./port-bus.ts";

function createMachine() {
  const demand = new DemandLog(silentLogger);
  const ports = new PortBus(demand);
  const bytes = new Uint8Array(0x40000);
  const pages = new Map<number, number>();
  const memory = new MemoryBus({
    bytes,
    pageMap: {
      map: (gpa, length, host) => {
        for (let i = 0; i < length; i += 4096) pages.set(gpa + i, host + i);
      },
      unmap: (gpa, length) => {
        for (let i = 0; i < length; i += 4096) pages.delete(gpa + i);
      },
    },
    demand,
    onDirectWrite() {},
  });
  const pirq = [false, false, false, false];
  const edges: string[] = [];
  const bus = new PciBus({
    ports,
    memory,
    setPirq: (n, level) => {
      pirq[n] = level;
      edges.push(`${n}${level ? "+" : "-"}`);
    },
    placeRom: (rom) => {
      bytes.set(rom, 0x20000);
      return 0x20000;
    },
  });
  const select = (slot: number, fn: number, register: number) =>
    ports.writePort(0xcf8, 4, (0x80000000 | (slot << 11) | (fn << 8) | (register & 0xfc)) >>> 0);
  const read = (slot: number, register: number, size: 1 | 2 | 4 = 4, fn = 0) => {
    select(slot, fn, register);
    return ports.readPort(0xcfc + (register & 3), size);
  };
  const write = (slot: number, register: number, size: 1 | 2 | 4, value: number, fn = 0) => {
    select(slot, fn, register);
    ports.writePort(0xcfc + (register & 3), size, value);
  };
  return { ports, memory, bus, pirq, edges, pages, read, write };
}

const nic: PciFunctionConfig = {
  name: "nic",
  vendorId: 0x1022,
  deviceId: 0x2000,
  revision: 0x40,
  classCode: 0x020000,
  interruptPin: 1,
  bars: [
    { index: 0, kind: "io", sizeBytes: 32, window: { read: (offset) => offset, write() {} } },
    { index: 1, kind: "memory", sizeBytes: 4096, window: { read: () => 0x55, write() {} } },
  ],
  initial: [{ offset: 0x40, size: 2, value: 0x1234 }],
  writable: [{ offset: 0x40, size: 1, mask: 0x0f }],
};

test("an operating system finds and sizes a function as on any PC", () => {
  const { bus, read, write, ports } = createMachine();
  bus.addFunction(3, 0, nic);
  expect(read(3, 0)).toBe(0x20001022);
  expect(read(4, 0)).toBe(0xffffffff);
  expect(read(3, 0, 4, 1)).toBe(0xffffffff);
  expect(read(3, 8)).toBe(0x02000040);
  expect(read(3, 0x3d, 1)).toBe(1);
  write(3, 0x10, 4, 0xffffffff);
  expect(read(3, 0x10)).toBe(0xffffffe1);
  write(3, 0x14, 4, 0xffffffff);
  expect(read(3, 0x14)).toBe(0xfffff000);
  write(3, 0x18, 4, 0xffffffff);
  expect(read(3, 0x18)).toBe(0);
  write(3, 0x10, 4, 0xd000);
  expect(ports.readPort(0xd005, 1)).toBe(0xff);
  write(3, 0x04, 2, 1);
  expect(ports.readPort(0xd005, 1)).toBe(5);
});

test("device registers honour their masks; other bus numbers and a clear enable bit find nobody", () => {
  const { bus, read, write, ports } = createMachine();
  bus.addFunction(3, 0, nic);
  write(3, 0x40, 2, 0xffff);
  expect(read(3, 0x40, 2)).toBe(0x123f);
  write(3, 0, 4, 0);
  expect(read(3, 0)).toBe(0x20001022);
  ports.writePort(0xcf8, 4, 0x80010000 | (3 << 11));
  expect(ports.readPort(0xcfc, 4)).toBe(0xffffffff);
  ports.writePort(0xcf8, 4, 3 << 11);
  expect(ports.readPort(0xcfc, 4)).toBe(0xffffffff);
  ports.writePort(0xcf8, 4, 0xffffffff);
  expect(ports.readPort(0xcf8, 4)).toBe(0x80fffffc);
});

test("memory BARs and the expansion ROM follow the command register", () => {
  const { bus, read, write, memory, pages } = createMachine();
  const rom = new Uint8Array(0x8000).fill(0xaa);
  bus.addFunction(2, 0, {
    ...nic,
    name: "vga",
    expansionRom: rom,
    bars: [
      {
        index: 0,
        kind: "memory",
        sizeBytes: 0x10000,
        prefetchable: true,
        window: { kind: "ram", memory: { bytes: new Uint8Array(0), hostOffset: 0x10000 } },
      },
    ],
  });
  write(2, 0x10, 4, 0xe0000000);
  write(2, 0x30, 4, 0xffffffff);
  expect(read(2, 0x30)).toBe(0xffff8001);
  write(2, 0x30, 4, 0xe8000001);
  expect(pages.size).toBe(0);
  write(2, 4, 2, 2);
  expect(pages.get(0xe0000000)).toBe(0x10000);
  expect(pages.get(0xe8000000)).toBe(0x20000);
  expect(memory.regionAt(0xe8000010)).toBe("vga ROM");
  write(2, 0x30, 4, 0xe8000000);
  expect(pages.has(0xe8000000)).toBe(false);
  write(2, 4, 2, 0);
  expect(pages.size).toBe(0);
});

test("INTx: slots share PIRQs as a wired OR, and the disable bit masks a level", () => {
  const { bus, pirq, edges, write, read } = createMachine();
  const first = bus.addFunction(3, 0, nic);
  const second = bus.addFunction(7, 0, nic);
  first.intx.raise();
  first.intx.raise();
  second.intx.raise();
  expect(pirq).toEqual([false, false, true, false]);
  first.intx.lower();
  expect(pirq[2]).toBe(true);
  expect(read(7, 6, 2) & 8).toBe(8);
  write(7, 4, 2, 0x400);
  expect(pirq[2]).toBe(false);
  write(7, 4, 2, 0);
  expect(pirq[2]).toBe(true);
  second.intx.lower();
  expect(edges).toEqual(["2+", "2-", "2+", "2-"]);
});

test("saved state restores contents, decoding and levels without signalling anything", () => {
  const from = createMachine();
  const raised = from.bus.addFunction(3, 0, nic);
  from.write(3, 0x10, 4, 0xd000);
  from.write(3, 4, 2, 5);
  raised.intx.raise();
  const saved = from.bus.save();
  const to = createMachine();
  const handle = to.bus.addFunction(3, 0, nic);
  to.bus.load(saved);
  expect(to.bus.save()).toEqual(saved);
  expect(to.edges).toEqual([]);
  expect(handle.busMasterEnabled).toBe(true);
  expect(to.ports.readPort(0xd003, 1)).toBe(3);
  handle.intx.lower();
  expect(to.edges).toEqual(["2-"]);
  expect(() => createMachine().bus.load(saved)).toThrow(/unknown entries: 3.0/);
});

test("reset brings back the power-on contents", () => {
  const { bus, read, write, ports, pirq } = createMachine();
  const f = bus.addFunction(3, 0, nic);
  const before = read(3, 0x40, 4);
  write(3, 0x40, 1, 5);
  write(3, 0x10, 4, 0xd000);
  write(3, 4, 2, 7);
  f.intx.raise();
  bus.reset();
  expect(read(3, 0x40, 4)).toBe(before);
  expect(ports.isClaimed(0xd000)).toBe(false);
  expect(pirq[2]).toBe(false);
});

test("random configuration accesses never throw and never touch the ids", () => {
  const { bus, ports, read } = createMachine();
  const random = seededRandom(77);
  bus.addFunction(3, 0, nic);
  for (let i = 0; i < 20_000; i++) {
    if (random(3) === 0)
      ports.writePort(0xcf8, 4, (random(2) === 0 ? 0x80001800 | random(256) : random(2 ** 32)) >>> 0);
    const size = ([1, 2, 4] as const)[random(3)];
    const port = 0xcfc + random(4);
    if (random(2) === 0) ports.writePort(port, size, random(2 ** (8 * size)));
    else ports.readPort(port, size);
  }
  expect(read(3, 0)).toBe(0x20001022);
});
