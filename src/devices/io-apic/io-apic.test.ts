import { beforeEach, describe, expect, test } from "vitest";
import type { AccessSize } from "../../device-api/io-window.ts";
import type { IrqLine } from "../../device-api/irq-line.ts";
import { FakeContext, seededRandom } from "../../device-api/testing.ts";
import { createIoApic, type IoApicDevice } from "./index.ts";
import * as R from "./registers.ts";

let context: FakeContext;
let ioApic: IoApicDevice;
let lines: IrqLine[];
/** Messages as text: vector, destination, mode. */
let sent: string[];
let accepts: boolean;

function build(): void {
  context = new FakeContext();
  sent = [];
  accepts = true;
  ioApic = createIoApic({
    deliver: (destination, isLogical, mode, vector, isLevel) => {
      if (!accepts) return false;
      const kind = isLevel ? "level" : "edge";
      sent.push(`${vector.toString(16)} to ${isLogical ? "logical" : "physical"} ${destination} mode ${mode} ${kind}`);
      return true;
    },
  });
  ioApic.attach(context);
  // Pin 5 has two drivers.
  lines = [...Array.from({ length: 24 }, (_, pin) => pin), 5].map((pin) => ioApic.input(pin));
  ioApic.reset("power-on");
}
beforeEach(build);

function read(index: number): number {
  context.writeMmio(R.MEMORY_BASE, 4, index);
  return context.readMmio(R.MEMORY_BASE + R.IOWIN, 4);
}
function write(index: number, value: number): void {
  context.writeMmio(R.MEMORY_BASE, 4, index);
  context.writeMmio(R.MEMORY_BASE + R.IOWIN, 4, value >>> 0);
}
const low = (pin: number) => R.IOREDTBL + pin * 2;
const EDGE = 0;
const LEVEL = R.ENTRY_LEVEL;

describe("registers", () => {
  test("24 masked entries, version 20h, an id of eight bits", () => {
    expect(read(R.IOAPICVER)).toBe(0x00170020);
    expect(read(R.IOAPICID)).toBe(0);
    write(R.IOAPICID, 0x01ffffff);
    expect([read(R.IOAPICID), read(R.IOAPICARB)]).toEqual([0x01000000, 0x01000000]);
    for (let pin = 0; pin < 24; pin++) expect([read(low(pin)), read(low(pin) + 1)]).toEqual([0x10000, 0]);
    expect([read(3), read(0x40), read(0xff)]).toEqual([0, 0, 0]);
  });

  test("entries keep what can be written", () => {
    write(low(3), 0xffffffff);
    write(low(3) + 1, 0xa5ffffff);
    expect([read(low(3)), read(low(3) + 1)]).toEqual([0x1afff, 0xa5000000]);
  });

  test("the index is a byte, parts of the window can be read, a write is 32 bits or nothing", () => {
    context.writeMmio(R.MEMORY_BASE, 1, R.IOAPICVER);
    expect(context.readMmio(R.MEMORY_BASE, 4)).toBe(R.IOAPICVER);
    expect(context.readMmio(R.MEMORY_BASE + R.IOWIN + 2, 1)).toBe(0x17);
    expect(context.readMmio(R.MEMORY_BASE + R.IOWIN, 2)).toBe(0x20);
    context.writeMmio(R.MEMORY_BASE, 1, low(0));
    context.writeMmio(R.MEMORY_BASE + R.IOWIN, 2, 0);
    expect(read(low(0))).toBe(0x10000);
    expect(context.readMmio(R.MEMORY_BASE + 0x20, 4)).toBe(0);
  });
});

describe("edge inputs", () => {
  test("one message for each rising edge, with everything that the entry says", () => {
    write(low(4) + 1, 0x03000000);
    write(low(4), 0x0900 | 0x51);
    lines[4].raise();
    lines[4].raise();
    expect(sent).toEqual(["51 to logical 3 mode 1 edge"]);
    lines[4].lower();
    lines[4].raise();
    expect(sent.length).toBe(2);
  });

  test("an edge while masked is lost", () => {
    lines[4].raise();
    write(low(4), 0x51);
    expect(sent).toEqual([]);
  });

  test("an edge that no processor takes is lost", () => {
    write(low(4), 0x51);
    accepts = false;
    lines[4].raise();
    accepts = true;
    ioApic.retry();
    write(low(4), 0x51);
    expect(sent).toEqual([]);
  });

  test("NMI, INIT and ExtINT are edges whatever the trigger bit says", () => {
    for (const mode of [2, 4, 5, 7]) {
      write(low(1), LEVEL | (mode << 8));
      lines[1].raise();
      lines[1].lower();
    }
    expect(sent.map((text) => text.replace(/.*mode/, ""))).toEqual([" 2 edge", " 4 edge", " 5 edge", " 7 edge"]);
  });
});

describe("level inputs", () => {
  test("sent once, again after its end while the wire is high", () => {
    write(low(19), LEVEL | 0x61);
    lines[19].raise();
    expect(sent.length).toBe(1);
    expect(read(low(19)) & R.ENTRY_REMOTE_IRR).not.toBe(0);
    lines[19].lower();
    lines[19].raise();
    expect(sent.length).toBe(1);
    ioApic.endOfInterrupt(0x60);
    expect(sent.length).toBe(1);
    ioApic.endOfInterrupt(0x61);
    expect(sent.length).toBe(2);
    lines[19].lower();
    ioApic.endOfInterrupt(0x61);
    expect([sent.length, read(low(19))]).toEqual([2, LEVEL | 0x61]);
  });

  test("a wire that is high when its entry opens is heard", () => {
    lines[19].raise();
    write(low(19), LEVEL | 0x61);
    expect(sent.length).toBe(1);
  });

  test("masked while in service: the end clears remote IRR, opening sends", () => {
    write(low(19), LEVEL | 0x61);
    lines[19].raise();
    write(low(19), R.ENTRY_MASKED | LEVEL | 0x61);
    ioApic.endOfInterrupt(0x61);
    expect([sent.length, read(low(19))]).toEqual([1, R.ENTRY_MASKED | LEVEL | 0x61]);
    write(low(19), LEVEL | 0x61);
    expect(sent.length).toBe(2);
  });

  test("remote IRR goes by the EOI register, and by making the input an edge one", () => {
    write(low(19), LEVEL | 0x61);
    lines[19].raise();
    lines[19].lower();
    context.writeMmio(R.MEMORY_BASE + R.EOIR, 4, 0x61);
    expect(read(low(19)) & R.ENTRY_REMOTE_IRR).toBe(0);
    lines[19].raise();
    write(low(19), R.ENTRY_MASKED | EDGE | 0x61);
    write(low(19), LEVEL | 0x61);
    expect(sent.length).toBe(3);
  });

  test("not taken by anybody: no remote IRR, sent when somebody does", () => {
    write(low(19), LEVEL | 0x61);
    accepts = false;
    lines[19].raise();
    expect(read(low(19)) & R.ENTRY_REMOTE_IRR).toBe(0);
    accepts = true;
    ioApic.retry();
    expect(sent.length).toBe(1);
  });

  test("drivers of one input are combined", () => {
    write(low(5), LEVEL | 0x55);
    lines[5].raise();
    lines[24].raise();
    lines[5].lower();
    ioApic.endOfInterrupt(0x55);
    expect(sent.length).toBe(2);
    lines[24].lower();
    ioApic.endOfInterrupt(0x55);
    expect(sent.length).toBe(2);
  });
});

test("saved state: levels and remote IRR come back without a message", () => {
  write(low(19), LEVEL | 0x61);
  write(low(4), 0x51);
  lines[19].raise();
  lines[24].raise();
  const saved = structuredClone(ioApic.save());
  build();
  ioApic.load(saved);
  expect(ioApic.save()).toEqual(saved);
  expect(sent).toEqual([]);
  ioApic.endOfInterrupt(0x61);
  expect(sent.length).toBe(1);
  expect(() => ioApic.load({ ...saved, data: { ...saved.data, more: 1 } })).toThrow(/more/);
});

test("seeded fuzz: a level input is never lost and never sent twice without an end", () => {
  const random = seededRandom(9300);
  const sizes: AccessSize[] = [1, 2, 4];
  for (let i = 0; i < 50_000; i++) {
    accepts = random(4) !== 0;
    const line = lines[random(lines.length)];
    switch (random(5)) {
      case 0:
        line.raise();
        break;
      case 1:
        line.lower();
        break;
      case 2:
        ioApic.endOfInterrupt(random(256));
        break;
      case 3:
        write(random(0x48), random(0x1_0000_0000));
        break;
      default: {
        const size = sizes[random(3)];
        const offset = random(0x60 / size) * size;
        if (random(2) === 0) context.readMmio(R.MEMORY_BASE + offset, size);
        else context.writeMmio(R.MEMORY_BASE + offset, size, random(2 ** (8 * size)));
      }
    }
  }
  accepts = true;
  for (const line of lines) line.lower();
  for (let pin = 0; pin < 24; pin++) {
    write(low(pin), R.ENTRY_MASKED);
    write(low(pin), LEVEL | (0x20 + pin));
  }
  sent = [];
  for (const line of lines) line.raise();
  for (const line of lines) line.raise();
  expect(sent.length).toBe(24);
});
