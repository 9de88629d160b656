import { beforeEach, describe, expect, test } from "vitest";
import { FormatError } from "../../base/errors.ts";
import { FakeContext, type FakePciFunction, seededRandom } from "../../device-api/testing.ts";
import { createOhci, type OhciDevice } from "./index.ts";
import * as R from "./registers.ts";
import { usageOf } from "./usb-keyboard.ts";

const HCCA = 0x1000;
const ED = 0x2000;
const TD = 0x3000;
const BUFFER = 0x8000;
const [SETUP, OUT, IN] = [0, 1, 2];

/** A host controller driver in small: one transfer after another, as a driver would write them into memory. */
class Bench {
  readonly context = new FakeContext({ ramBytes: 0x40000 });
  readonly ohci: OhciDevice;
  readonly pci: FakePciFunction;

  constructor(pointing: "tablet" | "mouse" = "tablet", hasKeyboard = true) {
    this.ohci = createOhci({ pointing, hasKeyboard });
    this.ohci.attach(this.context);
    this.ohci.reset("power-on");
    [this.pci] = this.context.functions;
    this.pci.guestWrite(0x04, 2, 6);
  }

  read(register: number): number {
    return this.pci.barRead(0, register, 4);
  }
  write(register: number, value: number): void {
    this.pci.barWrite(0, register, 4, value >>> 0);
  }
  frames(count: number): void {
    this.context.clock.advance(count * 1e6);
  }
  get interrupt(): boolean {
    return this.pci.intx.level;
  }

  start(): void {
    this.write(R.HC_COMMAND_STATUS, R.COMMAND_HCR);
    this.write(R.HC_HCCA, HCCA);
    this.write(R.HC_INTERRUPT_ENABLE, R.INTERRUPT_MIE | R.INTERRUPT_WDH | R.INTERRUPT_RHSC);
    this.write(R.HC_CONTROL, R.HCFS_OPERATIONAL | R.CONTROL_CLE | R.CONTROL_PLE);
  }
  resetPort(port: number): void {
    this.write(R.HC_RH_PORT_STATUS + 4 * port, R.PORT_SET_RESET);
    this.frames(12);
    expect(this.read(R.HC_RH_PORT_STATUS + 4 * port) & (R.PORT_PES | R.PORT_PRSC)).toBe(R.PORT_PES | R.PORT_PRSC);
    this.write(R.HC_RH_PORT_STATUS + 4 * port, R.PORT_CHANGES);
  }

  endpoint(gpa: number, address: number, number: number, transfers: number[], isIn = false): void {
    const { memory } = this.context;
    const direction = isIn ? IN << 11 : 0;
    memory.write32(gpa, address | (number << 7) | direction | (8 << 16));
    memory.write32(gpa + 4, TD + 0xf00);
    memory.write32(gpa + 8, transfers[0]);
    memory.write32(gpa + 12, 0);
  }
  transfer(
    gpa: number,
    next: number,
    direction: number,
    toggle: number,
    buffer: number,
    bytes: number,
    flags = 0,
  ): void {
    const { memory } = this.context;
    memory.write32(gpa, ((15 << 28) | (toggle << 24) | (direction << 19) | flags) >>> 0);
    memory.write32(gpa + 4, bytes === 0 ? 0 : buffer);
    memory.write32(gpa + 8, next);
    memory.write32(gpa + 12, bytes === 0 ? 0 : buffer + bytes - 1);
  }
  code(gpa: number): number {
    return this.context.memory.read32(gpa) >>> 28;
  }

  /** A whole control transfer; its condition code of the last stage, and the data. */
  control(
    address: number,
    setup: readonly number[],
    data: Uint8Array | number = 0,
  ): { code: number; data: Uint8Array } {
    const { memory } = this.context;
    memory.write(BUFFER, Uint8Array.from(setup));
    const isRead = (setup[0] & 0x80) !== 0;
    const bytes = typeof data === "number" ? data : data.length;
    if (typeof data !== "number") memory.write(BUFFER + 0x100, data);
    const [first, middle, last, end] = [TD, TD + 0x20, TD + 0x40, TD + 0xf00];
    this.transfer(first, bytes > 0 ? middle : last, SETUP, 2, BUFFER, 8, 7 << 21);
    if (bytes > 0) this.transfer(middle, last, isRead ? IN : OUT, 3, BUFFER + 0x100, bytes, R.TD_ROUNDING | (7 << 21));
    this.transfer(last, end, isRead && bytes > 0 ? OUT : IN, 3, 0, 0);
    this.endpoint(ED, address, 0, [first]);
    this.write(R.HC_CONTROL_HEAD_ED, ED);
    this.write(R.HC_COMMAND_STATUS, R.COMMAND_CLF);
    this.frames(2);
    expect(this.read(R.HC_INTERRUPT_STATUS) & R.INTERRUPT_WDH).toBe(R.INTERRUPT_WDH);
    this.write(R.HC_INTERRUPT_STATUS, R.INTERRUPT_WDH);
    const done = memory.read32(HCCA + R.HCCA_DONE_HEAD) & ~15;
    const left = bytes > 0 ? memory.read32(middle + 4) : 0;
    const taken = left === 0 ? bytes : left - (BUFFER + 0x100);
    const result = new Uint8Array(taken);
    memory.read(BUFFER + 0x100, result);
    return { code: this.code(done), data: result };
  }
  descriptor(address: number, type: number, index: number, length: number): Uint8Array {
    const { code, data } = this.control(address, [0x80, 6, index, type, 0, 0, length & 0xff, length >> 8], length);
    expect(code).toBe(0);
    return data;
  }
  configure(port: number, address: number): void {
    this.resetPort(port);
    expect(this.control(0, [0, 5, address, 0, 0, 0, 0, 0]).code).toBe(0);
    expect(this.control(address, [0, 9, 1, 0, 0, 0, 0, 0]).code).toBe(0);
  }
  /** Asks endpoint 1 in every 8th frame, from now on. */
  listen(address: number, bytes: number): void {
    this.transfer(TD + 0x100, TD + 0xf00, IN, 0, BUFFER + 0x800, bytes, R.TD_ROUNDING);
    this.endpoint(ED + 0x100, address, 1, [TD + 0x100], true);
    for (let i = 0; i < 32; i += 8) this.context.memory.write32(HCCA + 4 * i, ED + 0x100);
  }
  /** The next report, or undefined if none has come after `frames`. */
  report(bytes: number, frames = 32): Uint8Array | undefined {
    this.frames(frames);
    if ((this.read(R.HC_INTERRUPT_STATUS) & R.INTERRUPT_WDH) === 0) return undefined;
    this.write(R.HC_INTERRUPT_STATUS, R.INTERRUPT_WDH);
    expect(this.code(TD + 0x100)).toBe(0);
    const data = new Uint8Array(bytes);
    this.context.memory.read(BUFFER + 0x800, data);
    const toggle = this.context.memory.read32(ED + 0x108) & 2;
    this.transfer(TD + 0x100, TD + 0xf00, IN, 0, BUFFER + 0x800, bytes, R.TD_ROUNDING);
    this.context.memory.write32(ED + 0x108, (TD + 0x100) | toggle);
    return data;
  }
}

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});

test("the root hub: twelve ports with power, a tablet in the first, a keyboard in the second", () => {
  expect(bench.read(R.HC_REVISION)).toBe(0x10);
  expect(bench.read(R.HC_RH_DESCRIPTOR_A) & 0xff).toBe(12);
  const connected = Array.from({ length: 12 }, (_, i) => bench.read(R.HC_RH_PORT_STATUS + 4 * i) & 1);
  expect(connected).toEqual([1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  expect(bench.read(R.HC_FM_INTERVAL)).toBe(0x2edf);
});

test("a driver's enumeration: descriptors in packets of eight, address, configuration, strings", () => {
  bench.start();
  bench.resetPort(0);
  expect([...bench.descriptor(0, 1, 0, 8)].slice(0, 2)).toEqual([18, 1]);
  expect(bench.control(0, [0, 5, 9, 0, 0, 0, 0, 0]).code).toBe(0);
  const device = bench.descriptor(9, 1, 0, 18);
  expect([device[8] | (device[9] << 8), device[10] | (device[11] << 8)]).toEqual([0x80ee, 0x0021]);
  // More is asked for than there is: a short packet ends it.
  const configuration = bench.descriptor(9, 2, 0, 255);
  expect(configuration.length).toBe(34);
  expect(configuration[2] | (configuration[3] << 8)).toBe(34);
  expect(bench.control(9, [0, 9, 1, 0, 0, 0, 0, 0]).code).toBe(0);
  expect(bench.control(9, [0x80, 8, 0, 0, 0, 0, 1, 0], 1).data).toEqual(Uint8Array.of(1));
  const name = bench.descriptor(9, 3, 2, 255);
  expect(String.fromCharCode(...name.filter((_, i) => i >= 2 && i % 2 === 0))).toBe("USB Tablet");
  const length = configuration[25] | (configuration[26] << 8);
  const report = bench.control(9, [0x81, 6, 0, 0x22, 0, 0, length, 0], length);
  expect(report.data.length).toBe(length);
  // The other address has nobody, an unknown request is refused, and both stop the endpoint.
  expect(bench.control(5, [0x80, 6, 0, 1, 0, 0, 18, 0], 18).code).toBe(R.CC_NOT_RESPONDING);
  expect(bench.context.memory.read32(ED + 8) & R.ED_HALTED).toBe(1);
  expect(bench.control(9, [0x80, 99, 0, 0, 0, 0, 18, 0], 18).code).toBe(R.CC_STALL);
});

test("the tablet's places, buttons and wheel; between two asks only the last place", () => {
  bench.start();
  bench.configure(0, 1);
  bench.listen(1, 6);
  const { tablet } = bench.ohci;
  expect(bench.report(6, 100)).toBeUndefined();
  expect(tablet?.isInUse).toBe(true);
  tablet?.putAbsolute(100, 200, 0, 0);
  tablet?.putAbsolute(32767, 16384, 0, 0);
  expect(bench.report(6)).toEqual(Uint8Array.of(0, 0xff, 0x7f, 0, 0x40, 0));
  tablet?.putAbsolute(5, 6, 0, 1);
  tablet?.putAbsolute(5, 6, 1, 1);
  tablet?.putAbsolute(5, 6, 0, 0);
  expect(bench.report(6)).toEqual(Uint8Array.of(1, 5, 0, 6, 0, 0));
  expect(bench.report(6)).toEqual(Uint8Array.of(1, 5, 0, 6, 0, 255));
  expect(bench.report(6)).toEqual(Uint8Array.of(0, 5, 0, 6, 0, 0));
  expect(bench.report(6)).toBeUndefined();
});

test("the mouse: long motion in several reports, no click lost", () => {
  bench = new Bench("mouse", false);
  bench.start();
  bench.configure(0, 1);
  bench.listen(1, 4);
  bench.ohci.mouse?.putRelative(200, -3, 0, 0);
  bench.ohci.mouse?.putRelative(0, 0, 0, 1);
  bench.ohci.mouse?.putRelative(0, 0, 0, 0);
  const reports = [0, 1, 2].map(() => [...(bench.report(4) ?? [])]);
  expect(reports).toEqual([[1, 127, 253, 0], [0, 73, 0, 0], []]);
});

test("the keyboard: modifiers, keys, Pause, roll-over, lights", () => {
  bench.start();
  bench.configure(1, 2);
  bench.listen(2, 8);
  const { keyboard } = bench.ohci;
  const type = (...codes: number[]) => {
    for (const code of codes) keyboard?.putScancode(code);
  };
  const reports = () => {
    const all: number[][] = [];
    for (let report = bench.report(8); report; report = bench.report(8)) all.push([...report].slice(0, 4));
    return all;
  };
  type(0x2a, 0x1e, 0x1e, 0x9e, 0xaa);
  expect(reports()).toEqual([
    [2, 0, 0, 0],
    [2, 0, 4, 0],
    [2, 0, 0, 0],
    [0, 0, 0, 0],
  ]);
  type(0xe0, 0x48, 0xe0, 0xc8, 0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5);
  expect(reports().map((report) => report[2])).toEqual([0x52, 0, 0x48, 0]);
  type(0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08);
  expect(reports().at(-1)).toEqual([0, 0, 1, 1]);
  // Num and caps lock.
  expect(bench.control(2, [0x21, 9, 0, 2, 0, 0, 1, 0], Uint8Array.of(3)).code).toBe(0);
  expect(keyboard?.leds).toBe(6);
});

test("every key of a PC's keyboard has a usage of its own", () => {
  const seen = new Set<number>();
  for (let code = 1; code <= 0x58; code++) if (code !== 0x54 && code !== 0x55) seen.add(usageOf(code, false));
  expect(seen.has(0)).toBe(false);
  expect(seen.size).toBe(0x56);
});

test("an idle bus costs the machine a few frames a second, and the frame number goes on", () => {
  bench.start();
  bench.configure(0, 1);
  bench.listen(1, 6);
  bench.frames(200);
  const { clock, memory } = bench.context;
  const before = memory.read16(HCCA + R.HCCA_FRAME_NUMBER);
  let fired = 0;
  for (const timer of clock.timers) {
    const { fire } = timer;
    (timer as { fire: () => void }).fire = () => {
      fired++;
      fire();
    };
  }
  bench.frames(1000);
  expect(fired).toBeLessThan(20);
  const moved = (memory.read16(HCCA + R.HCCA_FRAME_NUMBER) - before) & 0xffff;
  expect(moved).toBeGreaterThan(900);
  const number = bench.read(R.HC_FM_NUMBER);
  bench.frames(100);
  expect(bench.read(R.HC_FM_NUMBER) - number).toBe(100);
  // News that nobody fetches do not keep the frames coming.
  memory.write32(HCCA, 0);
  for (let i = 0; i < 32; i += 8) memory.write32(HCCA + 4 * i, 0);
  bench.ohci.tablet?.putAbsolute(1, 1, 0, 0);
  bench.frames(300);
  fired = 0;
  bench.frames(1000);
  expect(fired).toBeLessThan(20);
  expect(bench.ohci.tablet?.isInUse).toBe(false);
});

test("a driver that wants every frame gets an interrupt for every frame", () => {
  bench.start();
  bench.write(R.HC_INTERRUPT_STATUS, 0x7f);
  bench.write(R.HC_INTERRUPT_ENABLE, R.INTERRUPT_SF);
  for (let i = 0; i < 5; i++) {
    bench.frames(1);
    expect(bench.interrupt).toBe(true);
    bench.write(R.HC_INTERRUPT_STATUS, R.INTERRUPT_SF);
    expect(bench.interrupt).toBe(false);
  }
});

test("a sleeping guest is woken by a device that it has allowed to", () => {
  bench.start();
  bench.configure(0, 1);
  expect(bench.control(1, [0, 3, 1, 0, 0, 0, 0, 0]).code).toBe(0);
  bench.write(R.HC_INTERRUPT_ENABLE, R.INTERRUPT_RD);
  bench.write(R.HC_RH_PORT_STATUS, R.PORT_SET_SUSPEND);
  bench.write(R.HC_CONTROL, R.HCFS_SUSPEND);
  bench.write(R.HC_INTERRUPT_STATUS, 0x7f);
  expect(bench.interrupt).toBe(false);
  bench.ohci.tablet?.putAbsolute(1, 1, 0, 0);
  expect(bench.interrupt).toBe(true);
  expect(bench.read(R.HC_CONTROL) & R.CONTROL_HCFS).toBe(R.HCFS_RESUME);
});

describe("saved state", () => {
  test("in the middle of a control transfer and of reports", () => {
    bench.start();
    bench.configure(0, 1);
    bench.listen(1, 6);
    bench.ohci.tablet?.putAbsolute(7, 8, 0, 3);
    const saved = bench.ohci.save();
    const other = new Bench();
    other.ohci.load(saved);
    expect(other.ohci.save()).toEqual(saved);
    other.context.memory.write(0, bench.context.memory.bytes);
    other.context.clock.timeNs = bench.context.clock.timeNs;
    expect(other.report(6)).toEqual(Uint8Array.of(3, 7, 0, 8, 0, 0));
    expect(() => new Bench("tablet", false).ohci.load(saved)).toThrow(FormatError);
  });
});

test("survives any registers and any descriptors", () => {
  const random = seededRandom(12);
  const { memory } = bench.context;
  for (let round = 0; round < 3000; round++) {
    if (random(10) === 0) bench.start();
    for (let i = 0; i < 6; i++) bench.write(random(0x90) & ~3, random(3) === 0 ? random(2 ** 32) : 1 << random(32));
    // Descriptors that point at one another, themselves and nowhere.
    for (let i = 0; i < 20; i++) {
      const at = 0x1000 + 4 * random(0xc00);
      memory.write32(at, [random(2 ** 32), 0x1000 + 16 * random(0x300), (15 << 28) >>> 0, 8 << 16][random(4)]);
    }
    bench.write(R.HC_CONTROL_HEAD_ED, 0x1000 + 16 * random(0x300));
    bench.write(R.HC_COMMAND_STATUS, 6);
    if (random(4) === 0) bench.ohci.tablet?.putAbsolute(random(70000), random(70000), random(9) - 4, random(256));
    if (random(4) === 0) bench.ohci.keyboard?.putScancode(random(256));
    bench.frames(random(20));
    bench.read(random(0x90) & ~3);
  }
  bench.ohci.reset("hard");
  expect(bench.interrupt).toBe(false);
  expect(bench.read(R.HC_CONTROL)).toBe(0);
});
