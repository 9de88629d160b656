import { beforeEach, describe, expect, test } from "vitest";
import type { AccessSize } from "../../device-api/io-window.ts";
import { FakeContext, RecordedLine, seededRandom } from "../../device-api/testing.ts";
import { createLocalApic, type LocalApicDevice } from "./index.ts";
import * as R from "./registers.ts";

const PAGE = 0xfee00000;
const { delivery } = R;

let context: FakeContext;
let apic: LocalApicDevice;
let intr: RecordedLine;
let nmis: number;
let inits: number;
let ended: number[];
/** Vectors that the 8259 pair will answer. */
let external: number[];

function build(hasX2Apic = false): void {
  context = new FakeContext();
  intr = new RecordedLine();
  nmis = 0;
  inits = 0;
  ended = [];
  external = [];
  apic = createLocalApic({
    hasX2Apic,
    setIntr: (level) => intr.set(level),
    raiseNmi: () => nmis++,
    requestInit: () => inits++,
    acknowledgeExternal: () => {
      const vector = external.shift() ?? 7;
      if (external.length === 0) apic.setLint0(false);
      return vector;
    },
    endOfInterrupt: (vector) => ended.push(vector),
    destinationChanged: () => {},
  });
  apic.attach(context);
  apic.reset("power-on");
}
beforeEach(() => build());

const read = (register: number, size: AccessSize = 4) => context.readMmio(PAGE + register, size);
const write = (register: number, value: number, size: AccessSize = 4) =>
  context.writeMmio(PAGE + register, size, value >>> 0);
const enable = () => write(R.SVR, 0x1ff);
/** A fixed message to everybody. */
const send = (vector: number, isLevel = false) => apic.accept(0xff, false, delivery.fixed, vector, isLevel);
/** Vectors of one of the three sets. */
function vectors(first: number): number[] {
  const found: number[] = [];
  for (let vector = 0; vector < 256; vector++)
    if ((read(first + (vector >> 5) * 16) >>> (vector & 31)) & 1) found.push(vector);
  return found;
}

describe("after a reset", () => {
  test("registers as the manual lists them, all local sources masked", () => {
    expect(read(R.ID)).toBe(0);
    expect(read(R.VERSION)).toBe(0x00050014);
    expect([read(R.TPR), read(R.PPR), read(R.LDR)]).toEqual([0, 0, 0]);
    expect([read(R.DFR), read(R.SVR)]).toEqual([0xffffffff, 0xff]);
    for (let entry = R.LVT_TIMER; entry <= R.LVT_ERROR; entry += 16) expect(read(entry)).toBe(0x10000);
    expect([read(R.TIMER_INITIAL), read(R.TIMER_CURRENT), read(R.TIMER_DIVIDE)]).toEqual([0, 0, 0]);
    expect(intr.level).toBe(false);
  });

  test("nothing is taken until software switches it on, and its entries cannot be unmasked", () => {
    expect(send(0x40)).toBe(false);
    write(R.LVT_TIMER, 0x40);
    expect(read(R.LVT_TIMER)).toBe(0x10040);
    enable();
    write(R.LVT_TIMER, 0x40);
    expect(read(R.LVT_TIMER)).toBe(0x40);
    expect(send(0x40)).toBe(true);
    write(R.SVR, 0xff);
    expect(read(R.LVT_TIMER)).toBe(0x10040);
    // What was pending stays so.
    expect(apic.acknowledge()).toBe(0x40);
  });
});

describe("priorities", () => {
  beforeEach(enable);

  test("the highest vector first; EOI ends the highest in service", () => {
    send(0x31);
    send(0x51);
    send(0x41);
    expect(vectors(R.IRR)).toEqual([0x31, 0x41, 0x51]);
    expect(apic.acknowledge()).toBe(0x51);
    expect(vectors(R.ISR)).toEqual([0x51]);
    expect(read(R.PPR)).toBe(0x50);
    expect(intr.level).toBe(false);
    send(0x61);
    expect(intr.level).toBe(true);
    expect(apic.acknowledge()).toBe(0x61);
    write(R.EOI, 0);
    expect(vectors(R.ISR)).toEqual([0x51]);
    write(R.EOI, 0);
    expect(apic.acknowledge()).toBe(0x41);
    write(R.EOI, 0);
    expect(apic.acknowledge()).toBe(0x31);
    write(R.EOI, 0);
    write(R.EOI, 0);
    expect([read(R.PPR), intr.level]).toEqual([0, false]);
  });

  test("the same class waits, one vector is pending once", () => {
    send(0x52);
    apic.acknowledge();
    send(0x5f);
    send(0x5f);
    expect(intr.level).toBe(false);
    write(R.EOI, 0);
    expect(apic.acknowledge()).toBe(0x5f);
    write(R.EOI, 0);
    expect(intr.level).toBe(false);
  });

  test("what NT's task priorities hold off: 41h dispatch, D1h clock", () => {
    for (const [priority, blocked, open] of [
      [0x3d, 0x3f, 0x41],
      [0x41, 0x4f, 0x51],
      [0xd1, 0xdf, 0xe1],
      [0xff, 0xfe, -1],
    ]) {
      write(R.TPR, priority);
      send(blocked);
      expect([priority, intr.level, read(R.PPR)]).toEqual([priority, false, priority]);
      if (open > 0) {
        send(open);
        expect(apic.acknowledge()).toBe(open);
        write(R.EOI, 0);
      }
      // Lowered, the waiting one comes through at once.
      write(R.TPR, 0);
      expect(intr.level).toBe(true);
      expect(apic.acknowledge()).toBe(blocked);
      write(R.EOI, 0);
    }
  });

  test("an acknowledge that finds nothing gets the spurious vector, and nothing is in service", () => {
    write(R.SVR, 0x1ef);
    send(0x40);
    write(R.TPR, 0x50);
    expect(apic.acknowledge()).toBe(0xef);
    expect([vectors(R.ISR), vectors(R.IRR)]).toEqual([[], [0x40]]);
  });

  test("level messages are remembered as such, their end goes to the I/O APIC", () => {
    send(0x45, true);
    send(0x46);
    expect(vectors(R.TMR)).toEqual([0x45]);
    apic.acknowledge();
    write(R.EOI, 0);
    expect(ended).toEqual([]);
    apic.acknowledge();
    write(R.EOI, 0);
    expect(ended).toEqual([0x45]);
    send(0x45);
    expect(vectors(R.TMR)).toEqual([]);
  });
});

describe("messages", () => {
  beforeEach(enable);

  test("physical destinations", () => {
    write(R.ID, 0x05000000);
    expect(apic.accept(5, false, delivery.fixed, 0x40, false)).toBe(true);
    expect(apic.accept(4, false, delivery.fixed, 0x40, false)).toBe(false);
    expect(apic.accept(0xff, false, delivery.fixed, 0x40, false)).toBe(true);
  });

  test("logical destinations, flat and by clusters, lowest priority as fixed", () => {
    const accepts = (destination: number) => apic.accept(destination, true, delivery.lowestPriority, 0x40, false);
    expect([accepts(0x01), accepts(0xff)]).toEqual([false, true]);
    write(R.LDR, 0x21ffffff);
    expect(read(R.LDR)).toBe(0x21000000);
    expect([accepts(0x01), accepts(0x20), accepts(0x1e)]).toEqual([true, true, false]);
    write(R.DFR, 0x0fffffff);
    expect(read(R.DFR)).toBe(0x0fffffff);
    expect([accepts(0x21), accepts(0x23), accepts(0x22), accepts(0x11), accepts(0xf1)]).toEqual([
      true,
      true,
      false,
      false,
      true,
    ]);
  });

  test("NMI and INIT need no enabling by software; SMI and start-up vanish", () => {
    write(R.SVR, 0xff);
    for (const mode of [delivery.nmi, delivery.init, delivery.smi, delivery.startUp])
      expect(apic.accept(0, false, mode, 0, false)).toBe(true);
    expect([nmis, inits]).toEqual([1, 1]);
  });

  test("a self-IPI shows in IRR at once, whatever the shorthand; to others goes nowhere", () => {
    write(R.ICR_LOW, 0x00044061);
    expect(vectors(R.IRR)).toEqual([0x61]);
    write(R.ICR_LOW, 0x00084062);
    write(R.ICR_HIGH, 0);
    write(R.ICR_LOW, 0x00004063);
    write(R.ICR_LOW, 0x000c4064);
    write(R.ICR_HIGH, 0x07000000);
    write(R.ICR_LOW, 0x00004065);
    expect(vectors(R.IRR)).toEqual([0x61, 0x62, 0x63]);
    expect(read(R.ICR_LOW)).toBe(0x00004065);
    write(R.LDR, 0x01000000);
    write(R.ICR_HIGH, 0x01000000);
    write(R.ICR_LOW, 0x00004966);
    expect(vectors(R.IRR)).toContain(0x66);
  });

  test("an INIT to itself, and the de-assert of old that is none", () => {
    write(R.ICR_LOW, 0x0000c500);
    expect(inits).toBe(1);
    write(R.ICR_LOW, 0x00088500);
    expect(inits).toBe(1);
    write(R.ICR_LOW, 0x00004400);
    expect(nmis).toBe(1);
  });

  test("errors are collected until ESR is written, and interrupt if asked to", () => {
    write(R.LVT_ERROR, 0xfe);
    write(R.ICR_LOW, 0x00044005);
    expect(read(R.ESR)).toBe(0);
    expect(apic.acknowledge()).toBe(0xfe);
    write(R.ESR, 0);
    expect(read(R.ESR)).toBe(R.ESR_SEND_ILLEGAL_VECTOR);
    apic.accept(0, false, delivery.fixed, 3, false);
    read(0x3f0);
    write(R.ESR, 0);
    expect(read(R.ESR)).toBe(R.ESR_RECEIVED_ILLEGAL_VECTOR | R.ESR_ILLEGAL_REGISTER);
    write(R.ESR, 0);
    expect(read(R.ESR)).toBe(0);
    // An error vector that is itself illegal does not run in circles.
    write(R.LVT_ERROR, 0x01);
    read(0x3f0);
    write(R.ESR, 0);
    expect(read(R.ESR)).toBe(R.ESR_ILLEGAL_REGISTER);
  });
});

describe("timer", () => {
  beforeEach(() => {
    context.clock.stepPerReadNs = 0;
    enable();
  });

  test("one shot: 1 GHz over the divider, one interrupt, then 0", () => {
    for (const [divide, ns] of [
      [0x0b, 1],
      [0x00, 2],
      [0x01, 4],
      [0x03, 16],
      [0x08, 32],
      [0x0a, 128],
    ]) {
      write(R.TIMER_DIVIDE, divide);
      write(R.LVT_TIMER, 0x40);
      write(R.TIMER_INITIAL, 1000);
      context.clock.advance(400 * ns);
      expect([divide, read(R.TIMER_CURRENT), intr.level]).toEqual([divide, 600, false]);
      context.clock.advance(600 * ns);
      expect(read(R.TIMER_CURRENT)).toBe(0);
      expect(apic.acknowledge()).toBe(0x40);
      write(R.EOI, 0);
      context.clock.advance(5000 * ns);
      expect(intr.level).toBe(false);
    }
  });

  test("periodic: one interrupt for each period, the count starts over", () => {
    write(R.TIMER_DIVIDE, 0x0b);
    write(R.LVT_TIMER, 0x20040);
    write(R.TIMER_INITIAL, 100_000);
    for (let period = 0; period < 50; period++) {
      context.clock.advance(30_000);
      expect(read(R.TIMER_CURRENT)).toBe(70_000);
      expect(intr.level).toBe(false);
      context.clock.advance(70_000);
      expect(apic.acknowledge()).toBe(0x40);
      write(R.EOI, 0);
    }
    write(R.TIMER_INITIAL, 0);
    context.clock.advance(1_000_000);
    expect([intr.level, read(R.TIMER_CURRENT)]).toEqual([false, 0]);
  });

  test("masked it counts without interrupting; unmasked it is in step", () => {
    write(R.TIMER_DIVIDE, 0x0b);
    write(R.LVT_TIMER, 0x30040);
    write(R.TIMER_INITIAL, 100_000);
    context.clock.advance(250_000);
    expect([intr.level, read(R.TIMER_CURRENT)]).toEqual([false, 50_000]);
    write(R.LVT_TIMER, 0x20040);
    expect(intr.level).toBe(false);
    context.clock.advance(50_000);
    expect(intr.level).toBe(true);
  });

  test("periods that a late host has missed come spread out; very many of them do not", () => {
    write(R.TIMER_DIVIDE, 0x0b);
    write(R.LVT_TIMER, 0x20040);
    write(R.TIMER_INITIAL, 1_000_000);
    let count = 0;
    const serve = (forNs: number): void => {
      for (let passed = 0; passed < forNs; passed += 100_000) {
        context.clock.advance(100_000);
        if (!intr.level) continue;
        apic.acknowledge();
        write(R.EOI, 0);
        count++;
      }
    };
    serve(10_000_000);
    expect(count).toBe(10);
    context.clock.jump(10_500_000);
    serve(29_500_000);
    expect(count).toBe(50);
    context.clock.jump(1_000_000_000);
    serve(100_000_000);
    expect(count).toBeLessThan(160);
  });

  test("a new divider goes on with what is left", () => {
    write(R.TIMER_DIVIDE, 0x0b);
    write(R.LVT_TIMER, 0x40);
    write(R.TIMER_INITIAL, 1000);
    context.clock.advance(500);
    write(R.TIMER_DIVIDE, 0x00);
    expect(read(R.TIMER_CURRENT)).toBe(500);
    context.clock.advance(500);
    expect(read(R.TIMER_CURRENT)).toBe(250);
    context.clock.advance(500);
    expect(intr.level).toBe(true);
  });

  test("a guest that asks for a nanosecond's period gets fewer interrupts, not a stuck machine", () => {
    write(R.TIMER_DIVIDE, 0x0b);
    write(R.LVT_TIMER, 0x20040);
    write(R.TIMER_INITIAL, 1);
    context.clock.advance(10_000_000);
    expect(intr.level).toBe(true);
  });
});

describe("pins", () => {
  test("virtual wire: the 8259s' request goes through while LINT0 is ExtINT and open", () => {
    apic.setLint0(true);
    expect(intr.level).toBe(false);
    enable();
    write(R.LVT_LINT0, 0x700);
    expect(intr.level).toBe(true);
    external = [0x08];
    expect(apic.acknowledge()).toBe(0x08);
    expect(intr.level).toBe(false);
    expect(vectors(R.ISR)).toEqual([]);
    write(R.LVT_LINT0, 0x10700);
    apic.setLint0(true);
    expect(intr.level).toBe(false);
  });

  test("LINT1 as NMI: one for each rising edge", () => {
    enable();
    write(R.LVT_LINT1, 0x400);
    apic.setLint1(true);
    apic.setLint1(true);
    apic.setLint1(false);
    apic.setLint1(true);
    expect(nmis).toBe(2);
  });

  test("a pin as a fixed level interrupt asks again after its end while it is high", () => {
    enable();
    write(R.LVT_LINT1, 0x8045);
    apic.setLint1(true);
    expect(read(R.LVT_LINT1)).toBe(0xc045);
    expect(apic.acknowledge()).toBe(0x45);
    write(R.EOI, 0);
    expect(apic.acknowledge()).toBe(0x45);
    apic.setLint1(false);
    write(R.EOI, 0);
    expect([intr.level, read(R.LVT_LINT1)]).toEqual([false, 0x8045]);
  });

  test("an ExtINT message of an I/O APIC is good for one interrupt", () => {
    enable();
    apic.accept(0, false, delivery.extInt, 0, false);
    external = [0x70];
    expect([intr.level, apic.acknowledge(), intr.level]).toEqual([true, 0x70, false]);
  });
});

describe("IA32_APIC_BASE", () => {
  test("switched off, pins are the processor's own and the page is gone", () => {
    enable();
    send(0x40);
    // Windows ME writes 0.
    expect(apic.writeBase(0, 0)).toBe(true);
    expect([apic.isEnabled, intr.level]).toEqual([false, false]);
    expect(read(R.VERSION)).toBe(0xffffffff);
    apic.setLint0(true);
    expect(intr.level).toBe(true);
    external = [0x09];
    expect(apic.acknowledge()).toBe(0x09);
    apic.setLint1(true);
    expect(nmis).toBe(1);
    expect(send(0x41)).toBe(false);
    expect(apic.writeBase(0xfee00900, 0)).toBe(true);
    expect([read(R.SVR), vectors(R.IRR)]).toEqual([0xff, []]);
  });

  test("the page moves; reserved bits fault", () => {
    expect(apic.base).toBe(0xfee00900);
    expect(apic.writeBase(0x00200900, 0)).toBe(true);
    expect(context.readMmio(0x200000 + R.VERSION, 4)).toBe(0x00050014);
    expect(read(R.VERSION)).toBe(0xffffffff);
    expect(apic.writeBase(0x00200900, 0x10)).toBe(false);
    expect(apic.writeBase(0x00200d00, 0)).toBe(false);
    // Above 4 GiB nobody reaches it.
    expect(apic.writeBase(0x00200900, 1)).toBe(true);
    expect(context.readMmio(0x200000 + R.VERSION, 4)).toBe(0xffffffff);
    apic.reset("hard");
    expect([apic.base, apic.baseHigh, read(R.VERSION)]).toEqual([0xfee00900, 0, 0x00050014]);
  });

  test("an INIT resets the registers and leaves the base", () => {
    apic.writeBase(0x00200900, 0);
    context.writeMmio(0x200000 + R.SVR, 4, 0x1ff);
    apic.init();
    expect(context.readMmio(0x200000 + R.SVR, 4)).toBe(0xff);
  });
});

describe("x2APIC mode", () => {
  beforeEach(() => {
    build(true);
    apic.writeBase(0xfee00d00, 0);
  });
  const msr = (register: number) => 0x800 + (register >> 4);

  test("registers are MSRs, the page is silent", () => {
    expect(apic.writeMsr(msr(R.SVR), 0x1ff, 0)).toBe(true);
    expect(apic.readMsr(msr(R.SVR))).toBe(0x1ff);
    expect([apic.readMsr(msr(R.ID)), apic.readMsr(msr(R.LDR))]).toEqual([0, 1]);
    expect(read(R.VERSION)).toBe(0);
    expect(apic.writeMsr(msr(R.ICR_LOW), 0x4061, 0)).toBe(true);
    expect(apic.readMsrHigh(msr(R.ICR_LOW))).toBe(0);
    expect(apic.writeMsr(msr(R.SELF_IPI), 0x62, 0)).toBe(true);
    expect(apic.writeMsr(msr(R.ICR_LOW), 0x4863, 1)).toBe(true);
    expect(apic.writeMsr(msr(R.ICR_LOW), 0x4864, 0x10001)).toBe(true);
    expect(apic.readMsrHigh(msr(R.ICR_LOW))).toBe(0x10001);
    expect([apic.acknowledge(), apic.readMsr(0x823)]).toEqual([0x63, 6]);
    expect(apic.writeMsr(msr(R.EOI), 0, 0)).toBe(true);
    expect(apic.acknowledge()).toBe(0x62);
  });

  test("what is not there and what is reserved faults", () => {
    for (const register of [R.DFR, R.ICR_HIGH, R.APR, R.EOI, R.SELF_IPI, 0x290])
      expect(apic.readMsr(msr(register))).toBe(-1);
    for (const [register, low, high] of [
      [R.EOI, 1, 0],
      [R.ID, 0, 0],
      [R.LDR, 0, 0],
      [R.TPR, 0x100, 0],
      [R.SVR, 0x1ff, 1],
      [R.LVT_TIMER, 0x80000, 0],
      [R.ICR_LOW, 0x1000, 0],
    ])
      expect([register, apic.writeMsr(msr(register), low, high)]).toEqual([register, false]);
  });

  test("the ways between the modes", () => {
    expect(apic.writeBase(0xfee00900, 0)).toBe(false);
    expect(apic.writeBase(0xfee00500, 0)).toBe(false);
    expect(apic.writeBase(0xfee00100, 0)).toBe(true);
    expect(apic.writeBase(0xfee00d00, 0)).toBe(false);
    expect(apic.writeBase(0xfee00900, 0)).toBe(true);
    expect(apic.readMsr(msr(R.ID))).toBe(-1);
    expect(apic.writeBase(0xfee00d00, 0)).toBe(true);
  });
});

test("bytes and words of registers can be read and written", () => {
  write(R.SVR, 0xff, 1);
  write(R.SVR + 1, 0x01, 1);
  expect([read(R.SVR), read(R.SVR, 1), read(R.SVR + 1, 1), read(R.VERSION, 2), read(R.VERSION + 2, 1)]).toEqual([
    0x1ff, 0xff, 0x01, 0x14, 0x05,
  ]);
  expect(read(R.VERSION + 4)).toBe(0);
  send(0x40);
  apic.acknowledge();
  write(R.EOI, 0, 1);
  expect(vectors(R.ISR)).toEqual([]);
});

/** Everything that has state, in some state. */
function stir(): void {
  enable();
  write(R.LVT_TIMER, 0x20040);
  write(R.TIMER_DIVIDE, 3);
  write(R.TIMER_INITIAL, 12345);
  write(R.LVT_LINT0, 0x700);
  write(R.LDR, 0x01000000);
  write(R.TPR, 0x20);
  send(0x55, true);
  send(0x33);
  apic.acknowledge();
  apic.setLint0(true);
  apic.setLint1(true);
  write(R.ICR_LOW, 0x00044005);
}

test("saved state", () => {
  stir();
  context.clock.advance(1000);
  const saved = structuredClone(apic.save());
  const left = read(R.TIMER_CURRENT);
  const now = context.clock.timeNs;
  build();
  context.clock.timeNs = now - 1;
  apic.load(saved);
  expect(apic.save()).toEqual(saved);
  expect([intr.level, nmis]).toEqual([true, 0]);
  context.clock.timeNs = now - 1;
  expect(read(R.TIMER_CURRENT)).toBe(left);
  external = [8];
  expect([apic.acknowledge(), vectors(R.ISR), vectors(R.IRR)]).toEqual([8, [0x55], [0x33]]);
  expect(() => apic.load({ ...saved, data: { ...saved.data, more: 1 } })).toThrow(/more/);
});

test.each([11, 12, 13])(
  "seeded fuzz %i: no write sends it out of its bounds, its output follows its registers",
  (seed) => {
    build(true);
    const random = seededRandom(seed);
    const sizes: AccessSize[] = [1, 2, 4, 4, 4, 4];
    for (let i = 0; i < 30_000; i++) {
      const size = sizes[random(sizes.length)];
      const offset = random(0x40) * 16 + (size === 4 ? 0 : random(4 / size) * size);
      const value = random(3) === 0 ? random(0x400) : random(0x1_0000_0000);
      switch (random(8)) {
        case 0:
          apic.accept(random(256), random(2) === 0, random(8), random(256), random(2) === 0);
          break;
        case 1:
          random(2) === 0 ? apic.setLint0(random(2) === 0) : apic.setLint1(random(2) === 0);
          break;
        case 2:
          if (intr.level) expect(apic.acknowledge()).toBeLessThan(256);
          break;
        case 3:
          context.clock.advance(random(100_000));
          break;
        case 4:
          if (random(20) === 0) apic.writeBase((0xfee00100 | (random(4) << 10)) >>> 0, 0);
          else apic.writeMsr(0x800 + random(64), value, random(4) === 0 ? random(3) : 0);
          break;
        case 5:
          expect(apic.readMsr(0x800 + random(64))).toBeGreaterThanOrEqual(-1);
          break;
        case 6:
          if (apic.isEnabled) read(offset, size);
          break;
        default:
          if (apic.isEnabled) write(offset, value % 2 ** (8 * size), size);
      }
    }
    const saved = structuredClone(apic.save());
    build(true);
    apic.load(saved);
    expect(apic.save()).toEqual(saved);
    apic.writeBase(0xfee00100, 0);
    apic.writeBase(0xfee00900, 0);
    enable();
    send(0xf0);
    expect(apic.acknowledge()).toBe(0xf0);
  },
);
