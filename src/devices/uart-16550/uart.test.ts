import { beforeEach, describe, expect, test } from "vitest";
import type { CharBackend } from "../../backend-api/char.ts";
import type { Device } from "../../device-api/device.ts";
import { FakeContext, fuzzPorts, type RecordedLine, seededRandom } from "../../device-api/testing.ts";
import { createUart, type UartType } from "./index.ts";
import { characterNs } from "./uart.ts";

class FakeTerminal implements CharBackend {
  output: number[] = [];
  input: number[] = [];
  connected = true;
  accepts = true;
  #listener = () => {};
  write(byte: number): boolean {
    if (this.accepts) this.output.push(byte);
    return this.accepts;
  }
  read(): number {
    return this.input.shift() ?? -1;
  }
  get readable(): boolean {
    return this.input.length > 0;
  }
  onEvent(listener: () => void): void {
    this.#listener = listener;
  }
  type(text: string): void {
    this.input.push(...Buffer.from(text));
    this.#listener();
  }
  event(): void {
    this.#listener();
  }
  get text(): string {
    return Buffer.from(this.output).toString();
  }
}

const base = 0x3f8;
let context: FakeContext;
let terminal: FakeTerminal;
let uart: Device;
let irq: RecordedLine;

function build(type: UartType = "16550A", hasTerminal = true): void {
  context = new FakeContext();
  terminal = new FakeTerminal();
  const backend = hasTerminal ? terminal : undefined;
  uart = createUart({ number: 1, ioBase: base, irq: 4, type, backend });
  uart.attach(context);
  uart.reset("power-on");
  irq = context.irq[4];
}
beforeEach(() => build());

const get = (register: number) => context.in(base + register);
const put = (register: number, value: number) => context.out(base + register, 1, value);
const wait = (characters: number) => context.clock.advance(characters * characterNs);

describe("Linux's 8250 probe", () => {
  /** The steps of autoconfig() that decide the type. */
  function autoconfig(): string {
    put(1, 0);
    if ((get(1) & 0x0f) !== 0) return "none";
    put(1, 0x0f);
    if ((get(1) & 0x0f) !== 0x0f) return "none";
    put(1, 0);
    put(4, 0x10 | 0x0a);
    if ((get(6) & 0xf0) !== 0x90) return "no loopback";
    put(4, 0);
    put(3, 0xbf);
    put(2, 0);
    put(3, 0);
    put(2, 0x01);
    const family = get(2) >>> 6;
    if (family === 0) {
      put(7, 0xa5);
      const first = get(7);
      put(7, 0x5a);
      return first === 0xa5 && get(7) === 0x5a ? "16450" : "8250";
    }
    if (family !== 3) return `family ${family}`;
    put(3, 0x80);
    if (get(2) === 0) return "16650";
    put(3, 0);
    put(2, 0x21);
    const without = get(2) >>> 5;
    put(2, 0x01);
    put(3, 0x80);
    put(2, 0x21);
    const behindDlab = get(2) >>> 5;
    put(2, 0x01);
    put(3, 0);
    if (without === 6 && behindDlab === 7) return "16750";
    put(1, 0x40);
    if ((get(1) & 0x40) !== 0) return "XScale";
    put(1, 0);
    return "16550A";
  }

  test.each(["16450", "16550A", "16750"] as const)("finds a %s", (type) => {
    build(type);
    expect(autoconfig()).toBe(type);
  });

  test("no THRE bug: the interrupt is asserted again each time it is enabled", () => {
    put(4, 0x08);
    put(1, 0x02);
    expect(get(2) & 0x0f).toBe(0x02);
    put(1, 0);
    put(1, 0x02);
    expect(irq.level).toBe(true);
    expect(get(5) & 0x40).toBe(0x40);
    expect(get(2) & 0x0f).toBe(0x02);
    expect(irq.level).toBe(false);
    expect(get(2) & 0x0f).toBe(0x01);
  });
});

describe("transmitting", () => {
  test("polled, as a boot loader prints", () => {
    put(3, 0x03);
    for (const byte of Buffer.from("Booting\n")) {
      for (let i = 0; (get(5) & 0x20) === 0 && i < 1000; i++) context.clock.advance(1000);
      put(0, byte);
    }
    wait(2);
    expect(terminal.text).toBe("Booting\n");
    expect(get(5)).toBe(0x60);
  });

  test("by interrupt, sixteen bytes each time, none lost", () => {
    const text = "The quick brown fox jumps over the lazy dog. ".repeat(20);
    let sent = 0;
    put(2, 0x01);
    put(4, 0x0b);
    put(1, 0x02);
    for (let i = 0; i < 10_000 && terminal.output.length < text.length; i++) {
      // The handler runs on each rising edge that the interrupt controller would latch.
      if (irq.level) {
        while ((get(2) & 0x01) === 0) {
          for (let n = 0; n < 16 && sent < text.length; n++) put(0, text.charCodeAt(sent++));
        }
        if (sent === text.length) put(1, 0);
      }
      context.clock.advance(characterNs / 4);
    }
    expect(terminal.text).toBe(text);
  });

  test("a driver that polls never waits", () => {
    put(2, 0x01);
    for (const byte of Buffer.from("booting")) {
      expect(get(5)).toBe(0x60);
      put(0, byte);
    }
    expect(terminal.text).toBe("booting");
  });

  test("with interrupts each byte out of the FIFO takes its time, THRE and TEMT tell", () => {
    put(2, 0x01);
    put(1, 0x02);
    put(0, 1);
    put(0, 2);
    put(0, 3);
    expect(get(5)).toBe(0x00);
    wait(2.5);
    expect(get(5)).toBe(0x20);
    expect(terminal.output).toEqual([1, 2]);
    wait(1);
    expect(get(5)).toBe(0x60);
  });

  test("a host that takes nothing loses nothing", () => {
    terminal.accepts = false;
    put(2, 0x01);
    for (let i = 0; i < 5; i++) put(0, 0x30 + i);
    wait(100);
    expect(get(5) & 0x60).toBe(0);
    terminal.accepts = true;
    terminal.event();
    wait(6);
    expect(terminal.text).toBe("01234");
  });
});

describe("receiving", () => {
  test("polled, in order, never more than the FIFO holds", () => {
    put(2, 0x01);
    terminal.type("x".repeat(40) + "y");
    wait(100);
    expect(terminal.input.length).toBe(25);
    let text = "";
    for (let i = 0; i < 200; i++) {
      const lsr = get(5);
      expect(lsr & 0x02).toBe(0);
      if ((lsr & 1) !== 0) text += String.fromCharCode(get(0));
      wait(1);
    }
    expect(text).toBe("x".repeat(40) + "y");
  });

  test("a 16450 takes one byte at a time", () => {
    build("16450");
    terminal.type("ab");
    wait(10);
    expect(get(0)).toBe(0x61);
    expect(get(5) & 1).toBe(0);
    wait(2);
    expect(get(0)).toBe(0x62);
  });

  test("the trigger level interrupts, then the time-out for the rest", () => {
    put(4, 0x08);
    put(2, 0x41);
    put(1, 0x01);
    terminal.type("abcde");
    wait(3.5);
    expect(irq.level).toBe(false);
    wait(1);
    expect(irq.level).toBe(true);
    expect(get(2)).toBe(0xc4);
    for (let i = 0; i < 4; i++) get(0);
    wait(2);
    expect(irq.level).toBe(false);
    wait(4);
    expect(get(2)).toBe(0xcc);
    expect(get(0)).toBe(0x65);
    expect(irq.level).toBe(false);
    expect(get(2)).toBe(0xc1);
  });

  test("received data comes before an empty transmitter", () => {
    put(4, 0x08);
    put(1, 0x03);
    terminal.type("k");
    wait(2);
    expect(get(2) & 0x0f).toBe(0x04);
    get(0);
    expect(get(2) & 0x0f).toBe(0x02);
    expect(get(2) & 0x0f).toBe(0x01);
  });
});

describe("modem lines and loopback", () => {
  test("a plugged-in terminal shows CTS, DSR, DCD; pulling it interrupts", () => {
    expect(get(6)).toBe(0xb0);
    put(4, 0x08);
    put(1, 0x08);
    terminal.connected = false;
    terminal.event();
    expect(irq.level).toBe(true);
    expect(get(2) & 0x0f).toBe(0x00);
    expect(get(6)).toBe(0x0b);
    expect(irq.level).toBe(false);
  });

  test("nothing plugged in: no lines, no data, output vanishes", () => {
    build("16550A", false);
    expect(get(6)).toBe(0);
    put(0, 0x41);
    wait(2);
    expect(get(5)).toBe(0x60);
    // The serial mouse search: reset pulse, then nothing must answer.
    put(4, 0x09);
    put(4, 0x0b);
    wait(10_000);
    expect(get(5) & 1).toBe(0);
  });

  test("loopback brings bytes back and wires the modem outputs to the inputs", () => {
    put(4, 0x10);
    for (const byte of [0x00, 0x55, 0xaa, 0xff]) {
      put(0, byte);
      wait(1.5);
      expect(get(5) & 1).toBe(1);
      expect(get(0)).toBe(byte);
    }
    expect(terminal.output).toEqual([]);
    get(6);
    put(4, 0x14);
    put(4, 0x10);
    expect(get(6)).toBe(0x04);
  });

  test("an overrun in loopback is reported once", () => {
    put(4, 0x18);
    put(1, 0x04);
    put(0, 1);
    wait(1.5);
    put(0, 2);
    wait(1.5);
    expect(get(2) & 0x0f).toBe(0x06);
    expect(get(5) & 0x02).toBe(0x02);
    expect(get(5) & 0x02).toBe(0);
    expect(get(0)).toBe(2);
  });

  test("OUT2 gates the interrupt line", () => {
    put(1, 0x02);
    expect(irq.level).toBe(false);
    put(4, 0x08);
    expect(irq.level).toBe(true);
  });
});

test("the divisor hides behind DLAB", () => {
  put(3, 0x83);
  put(0, 0x34);
  put(1, 0x12);
  expect([get(0), get(1)]).toEqual([0x34, 0x12]);
  put(3, 0x03);
  expect(get(1)).toBe(0);
});

test("saved state in the middle of both directions", () => {
  put(2, 0x81);
  put(4, 0x0b);
  put(1, 0x07);
  for (const byte of Buffer.from("half")) put(0, byte);
  terminal.type("input");
  wait(2.5);
  const saved = structuredClone(uart.save());
  const timeNs = context.clock.timeNs;
  const rest = [...terminal.input];
  build();
  context.clock.timeNs = timeNs;
  uart.load(saved);
  expect(uart.save()).toEqual(saved);
  expect(irq.rises).toBe(0);
  terminal.input = rest;
  uart.resume?.();
  wait(10);
  expect(terminal.text).toBe("lf");
  let text = "";
  for (let i = 0; i < 20; i++) {
    if ((get(5) & 1) !== 0) text += String.fromCharCode(get(0));
    wait(1);
  }
  expect(text).toBe("input");
  build("16450");
  expect(() => uart.load(saved)).toThrow(/type/);
});

test.each(["16450", "16550A", "16750"] as const)("seeded fuzz of a %s", (type) => {
  build(type);
  const random = seededRandom(16550);
  fuzzPorts(context, 20_000, 3, () => {
    if (random(4) === 0) terminal.type("z");
    if (random(50) === 0) {
      terminal.accepts = random(2) === 0;
      terminal.connected = random(2) === 0;
      terminal.event();
    }
    terminal.input.length = Math.min(terminal.input.length, 100);
  });
  terminal.accepts = true;
  terminal.output = [];
  wait(1000);
  put(3, 0);
  put(4, 0);
  put(2, 0x07);
  wait(1000);
  terminal.output = [];
  put(0, 0x21);
  wait(3);
  expect(terminal.text).toBe("!");
});
