import { beforeEach, describe, expect, test } from "vitest";
import type { AccessSize } from "../../device-api/io-window.ts";
import {
  FakeContext,
  type FakePciFunction,
  fuzzPorts,
  type RecordedLine,
  seededRandom,
} from "../../device-api/testing.ts";
import { type AcpiPmDevice, createAcpiPm } from "./index.ts";

let context: FakeContext;
let pm: AcpiPmDevice;
let sci: RecordedLine;
let pci: FakePciFunction;
let requests: string[];

function build(isAcpiEnabled = true): void {
  context = new FakeContext();
  requests = [];
  pm = createAcpiPm({
    isAcpiEnabled,
    requestPowerOff: () => requests.push("power off"),
    requestReset: (request) => requests.push(`reset ${request}`),
  });
  pm.attach(context);
  pm.reset("power-on");
  sci = context.irq[9];
  pci = context.pci(7, 0);
}
/** What firmware does. */
function open(base = 0x4000): void {
  pci.guestWrite(0x40, 4, base | 1);
  pci.guestWrite(0x80, 1, 1);
}
beforeEach(() => {
  build();
  open();
});

test("identity, and the block follows PMBA and PMREGMISC", () => {
  expect(pci.readConfig(0x00, 4)).toBe(0x71138086);
  expect(pci.readConfig(0x08, 4)).toBe(0x06800008);
  expect(pci.readConfig(0x3c, 2)).toBe(0x0109);
  expect(context.isClaimed(0x4000)).toBe(true);
  // SeaBIOS takes a base of its own.
  pci.guestWrite(0x40, 4, 0x0601);
  expect(context.isClaimed(0x4000)).toBe(false);
  expect(context.in(0x608, 4)).not.toBe(0xffffffff);
  pci.guestWrite(0x80, 1, 0);
  expect(context.isClaimed(0x608)).toBe(false);
  expect(context.in(0x608, 4)).toBe(0xffffffff);
  pm.reset("hard");
  expect(pci.readConfig(0x40, 4)).toBe(1);
});

test("ACPI off: no timer, no SMI command", () => {
  build(false);
  open();
  expect(context.isClaimed(0x4008)).toBe(false);
  expect(context.isClaimed(0x442e)).toBe(false);
});

describe("ACPI mode", () => {
  test("row 14: A1h to SMI_CMD sets SCI_EN on the next read, A0h clears it", () => {
    expect(context.in(0x4004, 2) & 1).toBe(0);
    expect(pm.isInAcpiMode).toBe(false);
    context.out(0x442e, 1, 0xa1);
    expect(context.in(0x4004, 2) & 1).toBe(1);
    expect(pm.isInAcpiMode).toBe(true);
    context.out(0x442e, 1, 0xa0);
    expect(context.in(0x4004, 2) & 1).toBe(0);
  });

  test("the power button raises SCI as a level until its status is cleared", () => {
    context.out(0x442e, 1, 0xa1);
    context.out(0x4002, 2, 0x0100);
    pm.pressPowerButton();
    expect(sci.level).toBe(true);
    expect(pm.isPowerButtonHandled).toBe(false);
    expect(context.in(0x4000, 2)).toBe(0x0100);
    context.out(0x4000, 2, 0x0001);
    expect(sci.level).toBe(true);
    context.out(0x4000, 2, 0x0100);
    expect(sci.level).toBe(false);
    expect(pm.isPowerButtonHandled).toBe(true);
    pm.pressSleepButton();
    expect(sci.level).toBe(false);
    context.out(0x4002, 2, 0x0300);
    expect(sci.level).toBe(true);
    expect(context.in(0x4000, 4)).toBe(0x03000200);
  });

  test("a button pressed before ACPI mode is seen when it is entered", () => {
    pm.pressPowerButton();
    context.out(0x4002, 2, 0x0100);
    expect(sci.level).toBe(false);
    context.out(0x442e, 1, 0xa1);
    expect(sci.level).toBe(true);
  });

  test("S5 powers off, whether SLP_EN comes with SLP_TYP or after it; other types wake at once", () => {
    context.out(0x4004, 2, 0x2001 | (5 << 10));
    expect(requests).toEqual(["power off"]);
    context.out(0x4004, 2, 1 | (1 << 10));
    context.out(0x4004, 2, 0x2001 | (1 << 10));
    expect(requests).toEqual(["power off"]);
    expect(context.in(0x4000, 2) & 0x8000).toBe(0x8000);
    expect(context.in(0x4004, 2)).toBe(0x0401);
  });

  test("the reset register takes 10h only", () => {
    context.out(0x4050, 1, 0x01);
    context.out(0x4050, 1, 0x10);
    expect(requests).toEqual(["reset system"]);
  });

  test("general event enables hold, status is write-one-to-clear", () => {
    context.out(0x4021, 1, 0x05);
    expect(context.in(0x4020, 2)).toBe(0x0500);
    context.out(0x4020, 1, 0xff);
    expect(context.in(0x4020, 1)).toBe(0);
  });
});

describe("PM timer", () => {
  test("3.579545 MHz, strictly rising, all 32 bits", () => {
    const first = context.in(0x4008, 4);
    context.clock.advance(1e9);
    expect(context.in(0x4008, 4) - first).toBeGreaterThanOrEqual(3_579_545);
    expect(context.in(0x4008, 4) - first).toBeLessThanOrEqual(3_579_546);
    context.clock.stepPerReadNs = 280;
    for (let i = 0, last = context.in(0x4008, 4); i < 1000; i++) {
      const now = context.in(0x4008, 4);
      expect(now).toBeGreaterThan(last);
      last = now;
    }
    context.clock.advance(1200e9);
    expect(context.in(0x4008, 4)).toBeLessThan(0x02000000);
  });

  test("TMR_STS is set when the top bit changes, and interrupts if enabled", () => {
    context.out(0x442e, 1, 0xa1);
    context.out(0x4002, 2, 0x0001);
    context.clock.advance(599e9);
    expect(sci.level).toBe(false);
    context.clock.advance(1.5e9);
    expect(sci.level).toBe(true);
    expect(context.in(0x4008, 4) >>> 31).toBe(1);
    context.out(0x4000, 2, 1);
    expect(sci.level).toBe(false);
    context.clock.advance(600e9);
    expect(sci.level).toBe(true);
  });
});

test("saved state keeps registers and place", () => {
  context.out(0x442e, 1, 0xa1);
  context.out(0x4002, 2, 0x0321);
  context.out(0x4021, 1, 0xff);
  pm.pressPowerButton();
  const saved = structuredClone(pm.save());
  build();
  pm.load(saved);
  expect(pm.save()).toEqual(saved);
  expect(sci.rises).toBe(0);
  expect(context.in(0x4000, 4)).toBe(0x03210100);
  expect(() => pm.load({ ...saved, data: { ...saved.data, base: -1 } })).toThrow(/base/);
});

test("seeded fuzz of ports and config space", () => {
  const random = seededRandom(7113);
  const sizes: AccessSize[] = [1, 2, 4];
  fuzzPorts(context, 20_000, 9, () => {
    if (random(10) === 0) pm.pressPowerButton();
    if (random(10) > 0) return;
    const size = sizes[random(3)];
    pci.guestWrite(0x40 + random(0xc0 / size) * size, size, random(2 ** (8 * size)));
  });
  open();
  context.out(0x4000, 2, 0xffff);
  context.out(0x4020, 1, 0xff);
  expect(sci.level).toBe(false);
});

describe("the SMBus host", () => {
  const BASE = 0x4100;
  const get = (register: number) => context.in(BASE + register);
  const put = (register: number, value: number) => context.out(BASE + register, 1, value);
  beforeEach(() => {
    pci.guestWrite(0x90, 4, BASE | 1);
    pci.guestWrite(0xd2, 1, 0x09);
  });

  test("Linux's driver finds it, and nobody on its bus", () => {
    expect([pci.readConfig(0x90, 2), pci.readConfig(0xd2, 1), pci.readConfig(0xd6, 1)]).toEqual([BASE | 1, 0x09, 0]);
    // A quick command to address 50h, as i2cdetect sends it.
    expect(get(0)).toBe(0);
    put(4, 0x50 << 1);
    put(2, 0x00);
    put(2, 0x40);
    expect(get(0)).toBe(0x01);
    expect(get(2)).toBe(0);
    context.clock.advance(1_000_000);
    expect(get(0)).toBe(0x04);
    put(0, 0x04);
    expect(get(0)).toBe(0);
  });

  test("KILL ends a transaction, the block buffer goes around, its index is rewound", () => {
    put(2, 0x54);
    put(2, 0x02);
    expect(get(0)).toBe(0x10);
    context.clock.advance(1_000_000);
    expect(get(0)).toBe(0x10);
    get(2);
    for (let i = 0; i < 32; i++) put(7, i);
    expect([get(7), get(7)]).toEqual([0, 1]);
    get(2);
    expect(get(7)).toBe(0);
  });

  test("is where its base says, only while switched on; saved in the middle it goes on", () => {
    put(3, 0x5a);
    pci.guestWrite(0xd2, 1, 0x08);
    expect(get(3)).toBe(0xff);
    pci.guestWrite(0xd2, 1, 0x09);
    expect(get(3)).toBe(0x5a);
    put(2, 0x40);
    const saved = pm.save();
    context.clock.advance(1_000_000);
    put(0, 0x1e);
    pm.load(saved);
    expect([pm.save(), get(0)]).toEqual([saved, 0x01]);
    context.clock.advance(1_000_000);
    expect(get(0)).toBe(0x04);
    pm.reset("power-on");
    expect(get(3)).toBe(0xff);
  });

  test("fuzz", () => {
    fuzzPorts(context, 20_000, 0x7113);
    pm.reset("power-on");
    expect(pm.save()).toEqual(pm.save());
  });
});
