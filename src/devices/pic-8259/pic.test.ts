import { beforeEach, describe, expect, test } from "vitest";
import type { IrqLine } from "../../device-api/irq-line.ts";
import { FakeContext, fuzzPorts, RecordedLine, seededRandom } from "../../device-api/testing.ts";
import { createPic, type PicDevice } from "./index.ts";

let context: FakeContext;
let intr: RecordedLine;
let pic: PicDevice;
let lines: (IrqLine | undefined)[];

function build(): void {
  context = new FakeContext();
  intr = new RecordedLine();
  pic = createPic({ intr });
  pic.attach(context);
  pic.reset("power-on");
  lines = Array.from({ length: 16 }, (_, irq) => (irq === 2 ? undefined : pic.irq(irq)));
}

/** The initialisation every PC BIOS and operating system writes. */
function initialise(icw4 = 0x01, slaveIcw4 = icw4): void {
  context.out(0x20, 1, 0x11);
  context.out(0xa0, 1, 0x11);
  context.out(0x21, 1, 0x30);
  context.out(0xa1, 1, 0x38);
  context.out(0x21, 1, 0x04);
  context.out(0xa1, 1, 0x02);
  context.out(0x21, 1, icw4);
  context.out(0xa1, 1, slaveIcw4);
}

function inService(): number {
  context.out(0x20, 1, 0x0b);
  context.out(0xa0, 1, 0x0b);
  return context.in(0x20) | (context.in(0xa0) << 8);
}

function requested(): number {
  context.out(0x20, 1, 0x0a);
  context.out(0xa0, 1, 0x0a);
  return context.in(0x20) | (context.in(0xa0) << 8);
}

const raise = (irq: number) => lines[irq]!.raise();
const lower = (irq: number) => lines[irq]!.lower();

beforeEach(build);

describe("initialisation", () => {
  test("nothing interrupts before the ICWs, ICW1 clears mask and edge latch", () => {
    raise(4);
    expect(intr.level).toBe(false);
    context.out(0x21, 1, 0xff);
    initialise();
    expect(context.in(0x21)).toBe(0);
    expect(context.in(0xa1)).toBe(0);
    // The line is still high, but its edge came before: a fresh one is needed.
    expect(intr.level).toBe(false);
    lower(4);
    raise(4);
    expect(intr.level).toBe(true);
    expect(pic.acknowledge()).toBe(0x34);
  });

  test("the mask registers hold what is written (Linux and ntdetect probe with it)", () => {
    initialise();
    for (const value of [0xfb, 0x55, 0xaa, 0xff]) {
      context.out(0x21, 1, value);
      context.out(0xa1, 1, value ^ 0xff);
      expect(context.in(0x21)).toBe(value);
      expect(context.in(0xa1)).toBe(value ^ 0xff);
    }
  });

  test("a single-chip initialisation without ICW4 skips both", () => {
    context.out(0x20, 1, 0x12);
    context.out(0x21, 1, 0x48);
    context.out(0x21, 1, 0xfe);
    expect(context.in(0x21)).toBe(0xfe);
    raise(0);
    expect(pic.acknowledge()).toBe(0x48);
  });
});

describe("service", () => {
  beforeEach(() => initialise());

  test("priorities nest, EOI reopens", () => {
    raise(4);
    expect(pic.acknowledge()).toBe(0x34);
    expect(intr.level).toBe(false);
    raise(6);
    expect(intr.level).toBe(false);
    raise(1);
    expect(intr.level).toBe(true);
    expect(pic.acknowledge()).toBe(0x31);
    expect(inService()).toBe(0x12);
    context.out(0x20, 1, 0x20);
    expect(inService()).toBe(0x10);
    context.out(0x20, 1, 0x64);
    expect(intr.level).toBe(true);
    expect(pic.acknowledge()).toBe(0x36);
  });

  test("the slave comes through IRQ 2 and both need an EOI", () => {
    raise(14);
    expect(requested()).toBe(0x4004);
    expect(pic.acknowledge()).toBe(0x3e);
    expect(inService()).toBe(0x4004);
    raise(8);
    // Master input 2 is in service: the slave's higher request waits for the master's EOI.
    expect(intr.level).toBe(false);
    context.out(0x20, 1, 0x62);
    expect(intr.level).toBe(true);
    expect(pic.acknowledge()).toBe(0x38);
    context.out(0xa0, 1, 0x20);
    context.out(0x20, 1, 0x20);
    expect(inService()).toBe(0x4000);
    context.out(0xa0, 1, 0x20);
    expect(inService()).toBe(0);
    expect(intr.level).toBe(false);
  });

  test("two slave requests are both delivered, no phantom IRQ 2 is left", () => {
    raise(9);
    raise(12);
    expect(pic.acknowledge()).toBe(0x39);
    context.out(0xa0, 1, 0x61);
    context.out(0x20, 1, 0x62);
    expect(pic.acknowledge()).toBe(0x3c);
    context.out(0xa0, 1, 0x64);
    context.out(0x20, 1, 0x62);
    expect(intr.level).toBe(false);
    expect(requested()).toBe(0);
  });

  test("an edge input asks once per rising edge", () => {
    raise(3);
    expect(pic.acknowledge()).toBe(0x33);
    context.out(0x20, 1, 0x20);
    expect(intr.level).toBe(false);
    lower(3);
    raise(3);
    expect(intr.level).toBe(true);
  });

  test("an ELCR level input asks as long as the line is high", () => {
    context.out(0x4d1, 1, 0x08);
    raise(11);
    expect(pic.acknowledge()).toBe(0x3b);
    context.out(0xa0, 1, 0x20);
    context.out(0x20, 1, 0x20);
    expect(intr.level).toBe(true);
    lower(11);
    expect(intr.level).toBe(false);
  });

  test("ELCR keeps the fixed edge inputs", () => {
    context.out(0x4d0, 2, 0xffff);
    expect(context.in(0x4d0, 2)).toBe(0xdef8);
  });

  test("several drivers of one input are combined", () => {
    context.out(0x4d1, 1, 0x02);
    const sci = pic.irq(9);
    raise(9);
    sci.raise();
    lower(9);
    expect(intr.level).toBe(true);
    sci.lower();
    expect(intr.level).toBe(false);
  });
});

describe("spurious requests (table row 18)", () => {
  beforeEach(() => initialise());

  test("the master answers 7 without an in-service bit", () => {
    raise(5);
    lower(5);
    expect(pic.acknowledge()).toBe(0x37);
    expect(inService()).toBe(0);
  });

  test("the slave answers 15, the master keeps IR2 in service", () => {
    raise(14);
    expect(intr.level).toBe(true);
    lower(14);
    expect(intr.level).toBe(false);
    expect(pic.acknowledge()).toBe(0x3f);
    expect(inService()).toBe(0x0004);
    context.out(0x20, 1, 0x20);
    expect(inService()).toBe(0);
  });

  test("masking during a request withdraws it, unmasking brings it back", () => {
    raise(6);
    context.out(0x21, 1, 0x40);
    expect(intr.level).toBe(false);
    expect(requested() & 0x40).toBe(0x40);
    context.out(0x21, 1, 0);
    expect(intr.level).toBe(true);
    expect(pic.acknowledge()).toBe(0x36);
  });
});

describe("modes", () => {
  test("automatic EOI leaves nothing in service; with rotation the served one becomes lowest", () => {
    initialise(0x03, 0x01);
    context.out(0x20, 1, 0x80);
    raise(0);
    raise(1);
    expect(pic.acknowledge()).toBe(0x30);
    expect(inService()).toBe(0);
    lower(0);
    raise(0);
    expect(pic.acknowledge()).toBe(0x31);
    expect(pic.acknowledge()).toBe(0x30);
  });

  test("set priority and rotate on EOI", () => {
    initialise();
    context.out(0x20, 1, 0xc3);
    raise(3);
    raise(4);
    raise(0);
    expect(pic.acknowledge()).toBe(0x34);
    context.out(0x20, 1, 0xa0);
    expect(pic.acknowledge()).toBe(0x30);
    context.out(0x20, 1, 0xe0);
    expect(pic.acknowledge()).toBe(0x33);
  });

  test("special mask mode lets lower requests through a masked service", () => {
    initialise();
    raise(3);
    pic.acknowledge();
    context.out(0x21, 1, 0x08);
    raise(5);
    expect(intr.level).toBe(false);
    context.out(0x20, 1, 0x68);
    expect(pic.acknowledge()).toBe(0x35);
    // A non-specific EOI ends the unmasked one, a specific EOI the masked one.
    context.out(0x20, 1, 0x20);
    expect(inService()).toBe(0x08);
    context.out(0x20, 1, 0x63);
    expect(inService()).toBe(0);
  });

  test("special fully nested mode lets a higher slave request interrupt a slave service", () => {
    initialise(0x11, 0x01);
    raise(12);
    expect(pic.acknowledge()).toBe(0x3c);
    raise(8);
    expect(intr.level).toBe(true);
    expect(pic.acknowledge()).toBe(0x38);
    raise(5);
    expect(intr.level).toBe(false);
  });

  test("polling takes the request into service", () => {
    initialise();
    context.out(0x20, 1, 0x0c);
    expect(context.in(0x20) & 0x80).toBe(0);
    raise(6);
    context.out(0x20, 1, 0x0c);
    expect(context.in(0x20)).toBe(0x86);
    expect(inService()).toBe(0x40);
    expect(intr.level).toBe(false);
  });

  test("polling the slave withdraws IRQ 2", () => {
    initialise();
    raise(8);
    context.out(0xa0, 1, 0x0c);
    expect(context.in(0xa0)).toBe(0x80);
    expect(intr.level).toBe(false);
  });
});

test("saved state comes back exactly and makes no edge", () => {
  initialise();
  context.out(0x4d1, 1, 0x0e);
  raise(3);
  raise(10);
  expect(pic.acknowledge()).toBe(0x3a);
  const saved = structuredClone(pic.save());
  build();
  pic.load(saved);
  expect(pic.save()).toEqual(saved);
  expect(intr.level).toBe(false);
  // The restored device raises again: no new edge for a line that was high.
  raise(3);
  context.out(0xa0, 1, 0x20);
  context.out(0x20, 1, 0x20);
  lower(10);
  expect(pic.acknowledge()).toBe(0x33);
  context.out(0x20, 1, 0x20);
  expect(intr.level).toBe(false);
});

test("a foreign or damaged state is refused", () => {
  const saved = pic.save();
  expect(() => pic.load({ ...saved, kind: "pit-8254" })).toThrow(/pic-8259/);
  expect(() => pic.load({ ...saved, version: 2 })).toThrow(/version 2/);
  expect(() => pic.load({ ...saved, data: { ...saved.data, extra: 1 } })).toThrow(/extra/);
  expect(() => pic.load({ ...saved, data: {} })).toThrow(/master/);
});

test("seeded fuzz: any access, INTA at any time", () => {
  const random = seededRandom(8259);
  fuzzPorts(context, 20_000, 1, () => {
    const irq = random(16);
    if (irq !== 2) random(2) === 0 ? raise(irq) : lower(irq);
    if (intr.level && random(2) === 0) expect(pic.acknowledge()).toBeLessThan(256);
  });
  initialise();
  context.out(0x20, 1, 0x20);
  lower(1);
  raise(1);
  expect(pic.acknowledge()).toBe(0x31);
});
