import { beforeEach, describe, expect, test } from "vitest";
import { FakeContext, fuzzPorts, RecordedLine, seededRandom } from "../../device-api/testing.ts";
import { createPs2, type Ps2Device } from "./index.ts";
import { set1KeyToSet2, translateToSet1 } from "./scan-codes.ts";

let context: FakeContext;
let ps2: Ps2Device;
let a20: RecordedLine;
let resets: number;

function build(): void {
  context = new FakeContext();
  a20 = new RecordedLine();
  resets = 0;
  ps2 = createPs2({ a20, requestReset: () => resets++ });
  ps2.attach(context);
  ps2.reset("power-on");
}
beforeEach(build);

const command = (value: number) => context.out(0x64, 1, value);
const data = (value: number) => context.out(0x60, 1, value);
const status = () => context.in(0x64);
/** Waits for the output buffer as polling drivers do; [source, byte] or undefined after 50 ms. */
function poll(): number | undefined {
  for (let i = 0; i < 500; i++) {
    if ((status() & 1) !== 0) return context.in(0x60);
    context.clock.advance(100_000);
  }
  return undefined;
}
function pollAll(): number[] {
  const bytes = [];
  for (let byte = poll(); byte !== undefined && bytes.length < 1000; byte = poll()) bytes.push(byte);
  return bytes;
}
const keyboard = (...bytes: number[]) => {
  const replies = [];
  for (const byte of bytes) {
    data(byte);
    replies.push(...pollAll());
  }
  return replies;
};
const mouse = (...bytes: number[]) => {
  const replies = [];
  for (const byte of bytes) {
    command(0xd4);
    data(byte);
    replies.push(...pollAll());
  }
  return replies;
};
const setControl = (value: number) => {
  command(0x60);
  data(value);
};

describe("controller", () => {
  test("self test and interface tests", () => {
    command(0xaa);
    expect(poll()).toBe(0x55);
    expect(status() & 0x04).toBe(0x04);
    command(0xab);
    expect(poll()).toBe(0x00);
    command(0xa9);
    expect(poll()).toBe(0x00);
    command(0xa4);
    expect(poll()).toBe(0xf1);
  });

  test("the command byte is kept, the rest of the RAM reads 0 and holds", () => {
    setControl(0x47);
    command(0x20);
    expect(poll()).toBe(0x47);
    for (let i = 0x21; i < 0x40; i++) {
      command(i);
      expect(poll()).toBe(0);
    }
    command(0x6f);
    data(0x12);
    command(0x2f);
    expect(poll()).toBe(0x12);
  });

  test("AD, AE, A7, A8 are the bits of the command byte", () => {
    setControl(0x40);
    command(0xad);
    command(0xa7);
    command(0x20);
    expect(poll()).toBe(0x70);
    command(0xae);
    command(0xa8);
    command(0x20);
    expect(poll()).toBe(0x40);
  });

  test("D3 loops a byte back as the mouse's: status bits 0 and 5, IRQ 12 (ntdetect, Linux)", () => {
    setControl(0x42);
    command(0xd3);
    data(0x5a);
    expect(status() & 0x21).toBe(0x21);
    expect(context.irq[12].level).toBe(true);
    expect(context.in(0x60)).toBe(0x5a);
    expect(context.irq[12].level).toBe(false);
    // Not a multiplexing controller: F0 56 A4 comes back unchanged.
    for (const byte of [0xf0, 0x56, 0xa4]) {
      command(0xd3);
      data(byte);
      expect(context.in(0x60)).toBe(byte);
    }
  });

  test("D2 is the keyboard's", () => {
    setControl(0x41);
    command(0xd2);
    data(0x1e);
    expect(status() & 0x21).toBe(0x01);
    expect(context.irq[1].level).toBe(true);
    expect(context.in(0x60)).toBe(0x1e);
  });

  test("A20 by D1, DD and DF, read back by D0; the keyboard lock is open", () => {
    command(0xd1);
    data(0xdf);
    expect(a20.level).toBe(true);
    command(0xd0);
    expect(poll()! & 0x03).toBe(0x03);
    command(0xdd);
    expect(a20.level).toBe(false);
    command(0xd0);
    expect(poll()! & 0x02).toBe(0);
    command(0xdf);
    expect(a20.level).toBe(true);
    expect(status() & 0x10).toBe(0x10);
  });

  test("reset by FE and by output port bit 0", () => {
    command(0xff);
    expect(resets).toBe(0);
    command(0xfe);
    expect(resets).toBe(1);
    command(0xd1);
    data(0xde);
    expect(resets).toBe(2);
  });

  test("no device sends while its clock is held", () => {
    setControl(0x70);
    ps2.keyboard.putScancode(0x1e);
    expect(poll()).toBeUndefined();
    command(0xae);
    expect(poll()).toBe(0x1e);
  });
});

describe("keyboard", () => {
  beforeEach(() => setControl(0x41));

  test("the commands that drivers send (row 27)", () => {
    expect(keyboard(0xff)).toEqual([0xfa, 0xaa]);
    expect(keyboard(0xf2)).toEqual([0xfa, 0xab, 0x41]);
    expect(keyboard(0xed, 0x02)).toEqual([0xfa, 0xfa]);
    expect(ps2.keyboard.leds).toBe(2);
    expect(keyboard(0xf3, 0x20)).toEqual([0xfa, 0xfa]);
    expect(keyboard(0xf0, 0x02)).toEqual([0xfa, 0xfa]);
    expect(keyboard(0xf0, 0x00)).toEqual([0xfa, 0xfa, 0x41]);
    expect(keyboard(0xf5)).toEqual([0xfa]);
    expect(keyboard(0xf4)).toEqual([0xfa]);
    expect(keyboard(0xee)).toEqual([0xee]);
    expect(keyboard(0xf6)).toEqual([0xfa]);
    expect(keyboard(0x01)).toEqual([0xfe]);
    expect(keyboard(0xfe)).toEqual([0xfe]);
    setControl(0x00);
    expect(keyboard(0xf2)).toEqual([0xfa, 0xab, 0x83]);
  });

  test("every reply has its interrupt", () => {
    const before = context.irq[1].rises;
    keyboard(0xff);
    expect(context.irq[1].rises - before).toBe(2);
    keyboard(0xf2);
    expect(context.irq[1].rises - before).toBe(5);
  });

  test("keys come as set 1 through the translation, as set 2 without, as set 1 when selected", () => {
    const pause = [0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5];
    const keys = [0x1e, 0x9e, 0xe0, 0x48, 0xe0, 0xc8, 0x41, 0xc1, ...pause];
    const type = () => {
      for (const byte of keys) ps2.keyboard.putScancode(byte);
      return pollAll();
    };
    expect(type()).toEqual(keys);
    setControl(0x01);
    const pause2 = [0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77];
    expect(type()).toEqual([0x1c, 0xf0, 0x1c, 0xe0, 0x75, 0xe0, 0xf0, 0x75, 0x83, 0xf0, 0x83, ...pause2]);
    keyboard(0xf0, 0x01);
    expect(type()).toEqual(keys);
  });

  test("the two tables are inverse on every key", () => {
    for (let key = 1; key < 0x80; key++) expect(translateToSet1(set1KeyToSet2(key))).toBe(key);
  });

  test("a reply goes before waiting keys, and a parameter holds them", () => {
    for (const byte of [0x1e, 0x9e]) ps2.keyboard.putScancode(byte);
    data(0xed);
    expect(pollAll()).toEqual([0xfa]);
    data(0x00);
    expect(pollAll()).toEqual([0xfa, 0x1e, 0x9e]);
  });

  test("nothing is scanned after F5", () => {
    keyboard(0xf5);
    ps2.keyboard.putScancode(0x1e);
    expect(poll()).toBeUndefined();
  });

  test("a handler that reads port 60h twice gets the same byte twice", () => {
    ps2.keyboard.putScancode(0x1e);
    ps2.keyboard.putScancode(0x9e);
    while ((status() & 1) === 0) context.clock.advance(100_000);
    expect(context.in(0x60)).toBe(0x1e);
    context.clock.advance(20_000);
    expect(context.in(0x60)).toBe(0x1e);
    expect(poll()).toBe(0x9e);
  });

  describe("repetition", () => {
    const put = (...bytes: number[]) => {
      for (const byte of bytes) ps2.keyboard.putScancode(byte);
    };
    /** What an interrupt handler reads in so many milliseconds: bytes with their time in milliseconds. */
    const read = (ms: number) => {
      const got: { readonly byte: number; readonly atMs: number }[] = [];
      for (let i = 0; i < ms * 10; i++) {
        context.clock.advance(100_000);
        if (context.irq[1].level) got.push({ byte: context.in(0x60), atMs: (i + 1) / 10 });
      }
      return got;
    };
    const bytes = (ms: number) => read(ms).map(({ byte }) => byte);

    test.each([
      ["of a keyboard that was left alone", [], 500, 91.74],
      ["at its fastest", [0xf3, 0x00], 250, 33.36],
      ["at its slowest", [0xf3, 0x7f], 1000, 500.4],
    ])("delay and rate %s", (_name, commands, delayMs, periodMs) => {
      setControl(0x41);
      keyboard(...commands);
      put(0x1e);
      const got = read(delayMs + periodMs * 10.5);
      expect(got.map(({ byte }) => byte)).toEqual(new Array(12).fill(0x1e));
      for (let i = 1; i < got.length; i++)
        expect(Math.abs(got[i].atMs - got[0].atMs - delayMs - (i - 1) * periodMs)).toBeLessThan(1.5);
      put(0x9e);
      expect(bytes(3000)).toEqual([0x9e]);
    });

    test("the key pressed last, until it is released; the host's own repetition is not heard", () => {
      setControl(0x41);
      put(0x2a, 0x1e);
      expect(bytes(550)).toEqual([0x2a, 0x1e, 0x1e]);
      put(0xaa, 0x1e, 0x1e);
      expect(bytes(80)).toEqual([0xaa, 0x1e]);
      put(0x30, 0x9e);
      expect(bytes(550)).toEqual([0x30, 0x9e, 0x30]);
      put(0xb0);
      expect(bytes(2000)).toEqual([0xb0]);
      put(0xe0, 0x48);
      expect(bytes(550)).toEqual([0xe0, 0x48, 0xe0, 0x48]);
      put(0x48);
      expect(bytes(550)).toEqual([0x48, 0x48]);
      put(0xe0, 0xc8, 0xc8);
      expect(bytes(2000)).toEqual([0xe0, 0xc8, 0xc8]);
    });

    test("Pause does not repeat, and F4, F5, F6 and a reset let go", () => {
      setControl(0x41);
      const pause = [0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5];
      put(...pause);
      expect(bytes(3000)).toEqual(pause);
      for (const byte of [0xf4, 0xf6, 0xff, 0xf5]) {
        put(0x1e);
        expect(bytes(10)).toEqual([0x1e]);
        keyboard(byte);
        expect(bytes(3000)).toEqual([]);
      }
    });

    test("a guest that does not look finds two keys later, not a hundred", () => {
      put(0x1e);
      context.clock.advance(10e9);
      put(0x9e);
      expect(pollAll()).toEqual([0x1e, 0x1e, 0x9e]);
    });
  });

  test("a typed line of 600 keys arrives whole", () => {
    const line = Array.from({ length: 1200 }, (_, i) => (i % 2 === 0 ? 0x10 : 0x90) + (Math.floor(i / 2) % 10));
    for (const byte of line) ps2.keyboard.putScancode(byte);
    const got: number[] = [];
    for (let i = 0; i < 100_000 && got.length < line.length; i++) {
      if (context.irq[1].level) got.push(context.in(0x60));
      context.clock.advance(50_000);
    }
    expect(got).toEqual(line);
  });
});

describe("mouse", () => {
  beforeEach(() => {
    setControl(0x43);
    command(0xa8);
  });

  test("the Windows driver's start (1.11): ids 0, 3, 4", () => {
    expect(mouse(0xff)).toEqual([0xfa, 0xaa, 0x00]);
    expect(mouse(0xf2)).toEqual([0xfa, 0x00]);
    expect(mouse(0xe8, 0x00, 0xe6, 0xe6, 0xe6)).toEqual([0xfa, 0xfa, 0xfa, 0xfa, 0xfa]);
    const report = mouse(0xe9);
    expect(report.slice(0, 1)).toEqual([0xfa]);
    expect(report[2]).toBe(0);
    expect(mouse(0xf3, 200, 0xf3, 100, 0xf3, 80, 0xf2)).toEqual([...Array(6).fill(0xfa), 0xfa, 0x03]);
    expect(mouse(0xf3, 200, 0xf3, 200, 0xf3, 80, 0xf2)).toEqual([...Array(6).fill(0xfa), 0xfa, 0x04]);
    expect(mouse(0xf3, 60, 0xe8, 3, 0xf4)).toEqual(Array(5).fill(0xfa));
    expect(mouse(0xe9)).toEqual([0xfa, 0x20, 3, 60]);
    expect(mouse(0xff, 0xf2)).toEqual([0xfa, 0xaa, 0x00, 0xfa, 0x00]);
  });

  test("movement, buttons and signs in a three-byte packet", () => {
    mouse(0xf4);
    ps2.pointer.putRelative(5, -3, 1, 0);
    expect(pollAll()).toEqual([0x08, 5, 3]);
    ps2.pointer.putRelative(-1, 2, 0, 1);
    expect(pollAll()).toEqual([0x39, 0xff, 0xfe]);
    ps2.pointer.putRelative(0, 0, 0, 6);
    expect(pollAll()).toEqual([0x0e, 0, 0]);
  });

  test("wheel and side buttons", () => {
    mouse(0xf3, 200, 0xf3, 100, 0xf3, 80, 0xf4);
    ps2.pointer.putRelative(0, 0, 1, 0);
    expect(pollAll()).toEqual([0x08, 0, 0, 1]);
    ps2.pointer.putRelative(0, 0, -10, 0);
    expect(pollAll()).toEqual([0x08, 0, 0, 0xf8, 0x08, 0, 0, 0xfe]);
    mouse(0xf3, 200, 0xf3, 200, 0xf3, 80, 0xf4);
    ps2.pointer.putRelative(0, 0, -1, 0x18);
    expect(pollAll()).toEqual([0x08, 0, 0, 0x3f]);
  });

  test("a long way goes in several packets, a quick double click is not lost", () => {
    mouse(0xf4);
    ps2.pointer.putRelative(600, 0, 0, 0);
    expect(pollAll()).toEqual([0x08, 255, 0, 0x08, 255, 0, 0x08, 90, 0]);
    for (const buttons of [1, 0, 1, 0]) ps2.pointer.putRelative(0, 0, 0, buttons);
    const packets = pollAll();
    expect(packets.filter((_, i) => i % 3 === 0)).toEqual([0x09, 0x08, 0x09, 0x08]);
  });

  test("a thousand moves a second by interrupt: whole packets, total motion right", () => {
    mouse(0xf3, 200, 0xf4);
    const bytes: number[] = [];
    const serve = () => {
      if (!context.irq[12].level) return;
      expect(status() & 0x21).toBe(0x21);
      bytes.push(context.in(0x60));
    };
    for (let i = 0; i < 1000; i++) {
      ps2.pointer.putRelative(i % 2 === 0 ? 3 : 1, -1, 0, 0);
      for (let n = 0; n < 10; n++) {
        context.clock.advance(100_000);
        serve();
      }
    }
    for (let n = 0; n < 300; n++) {
      context.clock.advance(100_000);
      serve();
    }
    expect(bytes.length % 3).toBe(0);
    let x = 0;
    let y = 0;
    for (let i = 0; i < bytes.length; i += 3) {
      expect(bytes[i] & 0x08).toBe(0x08);
      x += bytes[i + 1];
      y += bytes[i + 2];
    }
    expect([x, y]).toEqual([2000, 1000]);
  });

  test("disabled, remote and wrap mode", () => {
    ps2.pointer.putRelative(9, 0, 0, 0);
    expect(poll()).toBeUndefined();
    expect(mouse(0xf0)).toEqual([0xfa]);
    ps2.pointer.putRelative(4, 0, 0, 2);
    expect(mouse(0xeb)).toEqual([0xfa, 0x0a, 4, 0]);
    expect(mouse(0xee, 0x55, 0xf4, 0xec)).toEqual([0xfa, 0x55, 0xf4, 0xfa]);
    expect(mouse(0xe9)[1] & 0x61).toBe(0x41);
    expect(mouse(0x12)).toEqual([0xfe]);
  });

  test("2:1 scaling", () => {
    mouse(0xe7, 0xf4);
    ps2.pointer.putRelative(5, 0, 0, 0);
    expect(pollAll()).toEqual([0x08, 9, 0]);
  });
});

test("saved state in the middle of everything", () => {
  setControl(0x43);
  mouse(0xf3, 200, 0xf3, 100, 0xf3, 80, 0xf4);
  for (const byte of [0x1e, 0x9e, 0xe0, 0x48, 0xe0]) ps2.keyboard.putScancode(byte);
  ps2.pointer.putRelative(300, 5, 1, 1);
  context.clock.advance(700_000);
  data(0xed);
  command(0xd4);
  const saved = structuredClone(ps2.save());
  const { timeNs } = context.clock;
  const finish = () => {
    const first = pollAll();
    context.clock.advance(450e6);
    first.push(...pollAll());
    ps2.keyboard.putScancode(0xc8);
    data(0xf2);
    return [...first, ...pollAll()];
  };
  const expected = finish();
  build();
  context.clock.timeNs = timeNs;
  ps2.load(saved);
  expect(ps2.save()).toEqual(saved);
  expect(context.irq[1].rises + context.irq[12].rises).toBe(0);
  expect(finish()).toEqual(expected);
  expect(() => ps2.load({ ...saved, data: { ...saved.data, mouse: {} } })).toThrow(/mouse/);
});

test("seeded fuzz", () => {
  const random = seededRandom(8042);
  fuzzPorts(context, 40_000, 42, () => {
    if (random(3) === 0) ps2.keyboard.putScancode(random(256));
    if (random(3) === 0) ps2.pointer.putRelative(random(5000) - 2500, random(99) - 50, random(9) - 4, random(32));
  });
  // Whatever happened, a driver's reset brings both devices back.
  setControl(0x40);
  context.clock.advance(1e9);
  pollAll();
  expect(keyboard(0xff).slice(-2)).toEqual([0xfa, 0xaa]);
  command(0xa8);
  expect(mouse(0xff).slice(-3)).toEqual([0xfa, 0xaa, 0x00]);
});
