import { beforeEach, describe, expect, test } from "vitest";
import type { CharBackend } from "../../backend-api/char.ts";
import type { Device } from "../../device-api/device.ts";
import { FakeContext, fuzzPorts, type RecordedLine } from "../../device-api/testing.ts";
import { createParallelPort } from "./index.ts";

class FakePrinter implements CharBackend {
  readonly paper: number[] = [];
  readonly readable = false;
  connected = true;
  accepts = true;
  #listener = () => {};
  write(byte: number): boolean {
    if (this.accepts) this.paper.push(byte);
    return this.accepts;
  }
  read(): number {
    return -1;
  }
  onEvent(listener: () => void): void {
    this.#listener = listener;
  }
  event(): void {
    this.#listener();
  }
}

const base = 0x378;
let context: FakeContext;
let printer: FakePrinter;
let port: Device;
let irq: RecordedLine;

function build(hasPrinter = true): void {
  context = new FakeContext();
  printer = new FakePrinter();
  port = createParallelPort({ number: 1, ioBase: base, irq: 7, backend: hasPrinter ? printer : undefined });
  port.attach(context);
  port.reset("power-on");
  irq = context.irq[7];
}
beforeEach(() => build());

const get = (register: number) => context.in(base + register);
const put = (register: number, value: number) => context.out(base + register, 1, value);
const text = () => Buffer.from(printer.paper).toString();

/** As a driver prints: wait for "not busy", data, strobe. False if the printer never was ready. */
function print(string: string, control = 0x0c): boolean {
  for (const byte of Buffer.from(string)) {
    for (let i = 0; (get(1) & 0x80) === 0; i++) {
      if (i === 1000) return false;
      context.clock.advance(1000);
    }
    put(0, byte);
    put(2, control | 1);
    put(2, control);
  }
  return true;
}

describe("Linux's parport_pc probe", () => {
  test("finds a port with a direction bit and nothing newer", () => {
    // parport_SPP_supported: control, then data, hold what is written.
    for (const [register, mask] of [
      [2, 0x3f],
      [0, 0xff],
    ])
      for (const value of [0x0c, 0xaa & mask, 0x55 & mask & ~0x20]) {
        put(register, value & mask & ~(register === 2 ? 0x20 : 0));
        expect(get(register) & mask).toBe(value & mask & ~(register === 2 ? 0x20 : 0));
      }
    // parport_PS2_supported: with the direction bit, the data lines no longer follow.
    put(2, 0x2c);
    put(0, 0x55);
    const first = get(0);
    put(0, 0xaa);
    expect([first === 0x55, get(0) === 0xaa]).toEqual([false, false]);
    put(2, 0x0c);
    // No EPP and ECP registers.
    expect(get(3)).toBe(0xff);
    expect(context.in(base + 4)).toBe(0xff);
  });
});

test("prints what is strobed, byte by byte", () => {
  put(2, 0x0c);
  expect(print("Hello, paper\n")).toBe(true);
  context.clock.advance(20_000);
  expect(text()).toBe("Hello, paper\n");
  expect(get(1) & 0xf8).toBe(0xd8);
});

test("a strobe that stays counts once, one while busy is not seen", () => {
  put(2, 0x0c);
  put(0, 0x41);
  put(2, 0x0d);
  put(2, 0x0d);
  put(0, 0x42);
  put(2, 0x0c);
  put(2, 0x0d);
  expect(get(1) & 0x80).toBe(0);
  context.clock.advance(100_000);
  expect(text()).toBe("A");
});

test("the interrupt comes when -ACK rises, only if enabled", () => {
  put(2, 0x0c);
  print("a");
  context.clock.advance(20_000);
  expect(irq.rises).toBe(0);
  put(2, 0x1c);
  expect(irq.rises).toBe(0);
  print("b", 0x1c);
  context.clock.advance(5_500);
  expect([get(1) & 0x40, irq.rises]).toEqual([0, 0]);
  context.clock.advance(5_000);
  expect([get(1) & 0x40, irq.rises]).toEqual([0x40, 1]);
  print("c", 0x1c);
  context.clock.advance(20_000);
  expect(irq.rises).toBe(2);
  put(2, 0x0c);
  expect(irq.level).toBe(false);
});

test("a host that cannot take more keeps the printer busy", () => {
  put(2, 0x0c);
  printer.accepts = false;
  put(0, 0x58);
  put(2, 0x0d);
  put(2, 0x0c);
  context.clock.advance(1_000_000);
  expect(get(1) & 0x80).toBe(0);
  printer.accepts = true;
  printer.event();
  context.clock.advance(20_000);
  expect([text(), get(1) & 0x80]).toEqual(["X", 0x80]);
});

test("without a printer the lines float: nobody is ready", () => {
  build(false);
  put(2, 0x0c);
  expect(get(1)).toBe(0x7f);
  expect(print("x")).toBe(false);
  build();
  printer.connected = false;
  expect(get(1)).toBe(0x7f);
});

test("-INIT ends what the printer is doing", () => {
  put(2, 0x0c);
  put(0, 0x41);
  put(2, 0x0d);
  put(2, 0x08);
  context.clock.advance(100_000);
  expect(text()).toBe("");
  expect(get(1) & 0xc0).toBe(0xc0);
});

test("saved at any moment, it goes on", () => {
  put(2, 0x1c);
  put(0, 0x5a);
  put(2, 0x1d);
  context.clock.advance(3_000);
  const saved = port.save();
  const timeNs = context.clock.timeNs;
  build();
  context.clock.timeNs = timeNs;
  port.load(saved);
  expect(port.save()).toEqual(saved);
  expect(get(1) & 0x80).toBe(0);
  context.clock.advance(20_000);
  expect([text(), irq.rises]).toEqual(["Z", 1]);
});

test("fuzz", () => {
  fuzzPorts(context, 20_000, 378);
  context.clock.advance(1_000_000);
  put(2, 0x08);
  put(2, 0x0c);
  printer.paper.length = 0;
  print("still prints");
  context.clock.advance(20_000);
  expect(text()).toBe("still prints");
});
