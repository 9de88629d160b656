import { beforeEach, describe, expect, test } from "vitest";
import { FakeContext, fuzzPorts, seededRandom } from "../../device-api/testing.ts";
import { createDma, type DmaDevice } from "./index.ts";

let context: FakeContext;
let dma: DmaDevice;

function build(): void {
  context = new FakeContext({ ramBytes: 0x80000 });
  dma = createDma();
  dma.attach(context);
  dma.reset("power-on");
}
beforeEach(build);

const pagePort = [0x87, 0x83, 0x81, 0x82, 0x8f, 0x8b, 0x89, 0x8a];
/** What a driver writes to set a channel up; `address` and `count` in units of the channel. */
function program(channel: number, mode: number, page: number, address: number, count: number): void {
  const second = channel >= 4;
  const port = (register: number) => (second ? 0xc0 + register * 2 : register);
  const index = channel & 3;
  context.out(port(10), 1, 4 | index);
  context.out(port(12), 1, 0);
  context.out(port(11), 1, mode | index);
  context.out(port(index * 2), 1, address & 0xff);
  context.out(port(index * 2), 1, address >>> 8);
  context.out(pagePort[channel], 1, page);
  context.out(port(index * 2 + 1), 1, count & 0xff);
  context.out(port(index * 2 + 1), 1, count >>> 8);
  context.out(port(10), 1, index);
}
const bytes = (length: number, first = 1) => Uint8Array.from({ length }, (_, i) => (first + i) & 0xff);
function current(channel: number): [address: number, count: number] {
  context.out(12, 1, 0);
  const word = (port: number) => context.in(port) | (context.in(port) << 8);
  return [word(channel * 2), word(channel * 2 + 1)];
}

describe("byte channels", () => {
  test("a floppy sector into memory, terminal count masks the channel", () => {
    program(2, 0x46, 0x02, 0x1000, 511);
    const channel = dma.channel(2);
    expect(channel.isReady).toBe(true);
    expect(channel.transfer("to-memory", bytes(256))).toBe(256);
    expect(channel.reachedTerminalCount).toBe(false);
    expect(current(2)).toEqual([0x1100, 255]);
    expect(channel.transfer("to-memory", bytes(512))).toBe(256);
    expect(channel.reachedTerminalCount).toBe(true);
    expect(channel.isReady).toBe(false);
    expect(channel.transfer("to-memory", bytes(1))).toBe(0);
    expect(context.memory.bytes.subarray(0x21000, 0x21200)).toEqual(Uint8Array.from([...bytes(256), ...bytes(256)]));
    expect(context.memory.bytes[0x21200]).toBe(0);
    expect(context.in(8)).toBe(0x04);
    expect(context.in(8)).toBe(0x00);
  });

  test("memory to device", () => {
    context.memory.bytes.set(bytes(16, 0x40), 0x12345);
    program(1, 0x49, 0x01, 0x2345, 15);
    const target = new Uint8Array(16);
    expect(dma.channel(1).transfer("from-memory", target)).toBe(16);
    expect(target).toEqual(bytes(16, 0x40));
  });

  test("auto-initialisation starts over and stays unmasked", () => {
    program(3, 0x57, 0x00, 0x8000, 3);
    const channel = dma.channel(3);
    expect(channel.transfer("to-memory", bytes(10))).toBe(4);
    expect(channel.reachedTerminalCount).toBe(true);
    expect(channel.transfer("to-memory", bytes(10, 0x50))).toBe(4);
    expect([...context.memory.bytes.subarray(0x8000, 0x8005)]).toEqual([0x50, 0x51, 0x52, 0x53, 0]);
    expect(current(3)).toEqual([0x8000, 3]);
  });

  test("the address wraps inside its 64 KiB page, and counts down if told so", () => {
    program(1, 0x45, 0x03, 0xfffe, 3);
    dma.channel(1).transfer("to-memory", bytes(4));
    expect([...context.memory.bytes.subarray(0x3fffe, 0x40002)]).toEqual([1, 2, 0, 0]);
    expect([...context.memory.bytes.subarray(0x30000, 0x30002)]).toEqual([3, 4]);
    program(1, 0x65, 0x03, 0x0001, 2);
    dma.channel(1).transfer("to-memory", bytes(3, 0x11));
    expect([...context.memory.bytes.subarray(0x30000, 0x30002)]).toEqual([0x12, 0x11]);
    expect(context.memory.bytes[0x3ffff]).toBe(0x13);
  });

  test("verify moves the counters only; the wrong direction never touches memory", () => {
    program(2, 0x42, 0x02, 0, 9);
    expect(dma.channel(2).transfer("to-memory", bytes(10))).toBe(10);
    expect(context.memory.bytes[0x20000]).toBe(0);
    program(2, 0x46, 0x02, 0, 9);
    const target = new Uint8Array(2);
    dma.channel(2).transfer("from-memory", target);
    expect([...target]).toEqual([0xff, 0xff]);
  });
});

test("word channels count words and ignore the page's lowest bit", () => {
  program(5, 0x45, 0x05, 0x0010, 3);
  const channel = dma.channel(5);
  expect(channel.transfer("to-memory", bytes(7))).toBe(6);
  expect(channel.transfer("to-memory", bytes(7, 0x70))).toBe(2);
  expect(channel.reachedTerminalCount).toBe(true);
  expect([...context.memory.bytes.subarray(0x40020, 0x40028)]).toEqual([1, 2, 3, 4, 5, 6, 0x70, 0x71]);
});

describe("control", () => {
  test("mask, controller disable and cascade mode hold a channel; unmasking tells the waiting device", () => {
    const channel = dma.channel(2);
    let ready = 0;
    channel.onReady(() => ready++);
    expect(channel.isReady).toBe(false);
    program(2, 0x46, 0, 0, 9);
    expect(ready).toBe(1);
    context.out(8, 1, 0x04);
    expect(channel.isReady).toBe(false);
    context.out(8, 1, 0x00);
    expect(ready).toBe(2);
    context.out(11, 1, 0xc2);
    expect(channel.isReady).toBe(false);
    context.out(15, 1, 0x0f);
    expect(context.in(15)).toBe(0xff);
    context.out(14, 1, 0);
    expect(context.in(15)).toBe(0xf0);
  });

  test("the flip-flop selects the halves, master clear resets it and masks everything", () => {
    context.out(0, 1, 0x34);
    context.out(13, 1, 0);
    context.out(0, 1, 0x78);
    context.out(0, 1, 0x56);
    expect(current(0)[0]).toBe(0x5678);
    expect(context.in(15)).toBe(0xff);
  });

  test("page registers hold all bytes, also the unused ones (BIOS tests)", () => {
    for (let port = 0x81; port <= 0x8f; port++) context.out(port, 1, port ^ 0xa5);
    for (let port = 0x81; port <= 0x8f; port++) expect(context.in(port)).toBe(port ^ 0xa5);
  });

  test("software requests show in the status", () => {
    context.out(9, 1, 0x05);
    expect(context.in(8)).toBe(0x20);
    context.out(9, 1, 0x01);
    expect(context.in(8)).toBe(0x00);
  });
});

test("saved state", () => {
  program(2, 0x56, 0x02, 0x1000, 511);
  program(6, 0x4a, 0x04, 0x0000, 99);
  dma.channel(2).transfer("to-memory", bytes(100));
  context.out(0, 1, 0x12);
  const saved = structuredClone(dma.save());
  build();
  dma.load(saved);
  expect(dma.save()).toEqual(saved);
  expect(current(2)).toEqual([0x1064, 411]);
  expect(() => dma.load({ ...saved, data: { ...saved.data, pages: new Uint8Array(2) } })).toThrow(/pages/);
});

test("seeded fuzz: any programming, any transfer", () => {
  const random = seededRandom(8237);
  const buffer = new Uint8Array(70_000);
  fuzzPorts(context, 20_000, 37, (i) => {
    if (i % 20 !== 0) return;
    const channel = dma.channel([0, 1, 2, 3, 5, 6, 7][random(7)]);
    const length = random(2) === 0 ? random(64) : random(70_000);
    const moved = channel.transfer(random(2) === 0 ? "to-memory" : "from-memory", buffer.subarray(0, length));
    expect(moved).toBeLessThanOrEqual(length);
  });
  context.out(0x0d, 1, 0);
  program(2, 0x46, 0x02, 0x1000, 0);
  expect(dma.channel(2).transfer("to-memory", bytes(1, 0x99))).toBe(1);
  expect(context.memory.bytes[0x21000]).toBe(0x99);
});
