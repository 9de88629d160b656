import { beforeEach, describe, expect, test } from "vitest";
import type { Device } from "../../device-api/device.ts";
import { FakeContext, fuzzPorts, type RecordedLine } from "../../device-api/testing.ts";
import { createRtc, type RtcConfig } from "./index.ts";

/** Saturday 2004-02-28 23:59:50.000 UTC: a leap day is near. */
const start = Date.UTC(2004, 1, 28, 23, 59, 50);

let context: FakeContext;
let rtc: Device;
let irq: RecordedLine;
let hostLeadMs: number;

function build(config: Partial<RtcConfig> = {}, timeNs = 0): void {
  context = new FakeContext();
  context.clock.timeNs = timeNs;
  hostLeadMs = 0;
  rtc = createRtc({
    wallClock: {
      nowMs: () => start + context.clock.timeNs / 1e6 + hostLeadMs,
      utcOffsetMinutes: () => 120,
    },
    isUtc: true,
    offsetMs: 0,
    ...config,
  });
  rtc.attach(context);
  rtc.reset("power-on");
  irq = context.irq[8];
}
beforeEach(() => build());

const get = (index: number) => {
  context.out(0x70, 1, index);
  return context.in(0x71);
};
const put = (index: number, value: number) => {
  context.out(0x70, 1, index);
  context.out(0x71, 1, value);
};
const time = () => [9, 8, 7, 4, 2, 0].map((index) => get(index).toString(16).padStart(2, "0")).join(" ");
const seconds = (n: number) => context.clock.advance(n * 1e9);

describe("time of day", () => {
  test("BCD, 24 hours, through midnight and the leap day", () => {
    expect(time()).toBe("04 02 28 23 59 50");
    expect(get(6)).toBe(7);
    seconds(10);
    expect(time()).toBe("04 02 29 00 00 00");
    expect(get(6)).toBe(1);
    expect([get(0x32), get(0x37)]).toEqual([0x20, 0x20]);
    expect(get(0x0d)).toBe(0x80);
  });

  test("binary and 12 hours by register B", () => {
    put(0x0b, 0x06);
    expect([get(4), get(2), get(0)]).toEqual([23, 59, 50]);
    put(0x0b, 0x00);
    expect(get(4)).toBe(0x91);
    seconds(10);
    expect(get(4)).toBe(0x12);
    put(0x0b, 0x04);
    expect(get(4)).toBe(12);
  });

  test("local time and the user's offset", () => {
    build({ isUtc: false });
    expect(time()).toBe("04 02 29 01 59 50");
    build({ offsetMs: -86_400_000 });
    expect(time()).toBe("04 02 27 23 59 50");
  });

  test("a guest sets the clock as Linux does: SET, divider reset, fields, release; next update half a second later", () => {
    const b = get(0x0b);
    const a = get(0x0a);
    put(0x0b, b | 0x80);
    put(0x0a, a | 0x70);
    put(9, 0x99);
    put(8, 0x12);
    put(7, 0x31);
    put(4, 0x23);
    put(2, 0x59);
    put(0, 0x59);
    put(0x32, 0x19);
    put(0x0b, b);
    put(0x0a, a);
    expect(time()).toBe("99 12 31 23 59 59");
    seconds(0.49);
    expect(time()).toBe("99 12 31 23 59 59");
    seconds(0.02);
    expect(time()).toBe("00 01 01 00 00 00");
    expect(get(0x32)).toBe(0x20);
  });

  test("SET freezes the registers and UIP, the guest's weekday is kept", () => {
    put(0x0b, 0x82);
    const frozen = time();
    seconds(5);
    expect(time()).toBe(frozen);
    expect(get(0x0a) & 0x80).toBe(0);
    put(6, 0x03);
    put(0x0b, 0x02);
    expect(get(6)).toBe(3);
    seconds(10);
    expect(get(6)).toBe(4);
  });

  test("UIP is set before each update and clear right after it", () => {
    seconds(0.9);
    expect(get(0x0a) & 0x80).toBe(0);
    context.clock.advance(98_500_000);
    expect(get(0x0a)).toBe(0xa6);
    expect(get(0)).toBe(0x50);
    context.clock.advance(2_000_000);
    expect(get(0x0a)).toBe(0x26);
    expect(get(0)).toBe(0x51);
  });

  test("the guest's own time survives reset and pause; the host's time is followed after a pause", () => {
    put(2, 0x10);
    rtc.reset("hard");
    expect(time()).toBe("04 02 28 23 10 50");
    hostLeadMs = 3_600_000;
    rtc.resume?.();
    expect(time()).toBe("04 02 29 00 10 50");
  });
});

describe("interrupts (table row 16)", () => {
  test.each([3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15])("rate %i is exact over ten seconds", (rate) => {
    put(0x0a, 0x20 | rate);
    put(0x0b, 0x42);
    let count = 0;
    const hz = 32768 >> (rate - 1);
    const endNs = context.clock.timeNs + 10e9;
    while (context.clock.timeNs < endNs) {
      context.clock.advance(1e9 / hz / 4);
      if (irq.level) {
        expect(get(0x0c) & 0xc0).toBe(0xc0);
        count++;
      }
    }
    expect(Math.abs(count - 10 * hz)).toBeLessThanOrEqual(1);
  });

  test("without reading register C there is exactly one interrupt", () => {
    put(0x0a, 0x26);
    put(0x0b, 0x42);
    seconds(2);
    expect(irq.rises).toBe(1);
    expect(get(0x0c) & 0xc0).toBe(0xc0);
    expect(get(0x0c) & 0xc0).toBe(0);
    seconds(0.01);
    expect(irq.rises).toBe(2);
  });

  test("ticks that a late host missed are delivered, spread out", () => {
    put(0x0a, 0x26);
    put(0x0b, 0x42);
    let count = 0;
    const poll = () => {
      if (!irq.level) return;
      get(0x0c);
      count++;
    };
    context.clock.jump(100e6);
    poll();
    expect(count).toBe(1);
    for (let i = 0; i < 4000; i++) {
      context.clock.advance(100_000);
      poll();
    }
    expect(Math.abs(count - 512)).toBeLessThanOrEqual(1);
  });

  test("update-ended comes once a second", () => {
    put(0x0b, 0x12);
    for (let i = 1; i <= 10; i++) {
      seconds(1);
      expect(irq.rises).toBe(i);
      expect(get(0x0c) & 0x90).toBe(0x90);
    }
  });

  test("SET does not clear UIE", () => {
    put(0x0b, 0x92);
    expect(get(0x0b) & 0x10).toBe(0x10);
  });

  test("the alarm at a time of day, once; with don't-care bytes every minute", () => {
    put(1, 0x05);
    put(3, 0x00);
    put(5, 0x00);
    put(0x0b, 0x22);
    seconds(14.9);
    expect(irq.level).toBe(false);
    seconds(0.2);
    expect(irq.level).toBe(true);
    expect(get(0x0c) & 0xa0).toBe(0xa0);
    put(3, 0xff);
    put(5, 0xc0);
    for (let i = 0; i < 3; i++) {
      seconds(60);
      expect(get(0x0c) & 0xa0).toBe(0xa0);
    }
    expect(irq.rises).toBe(4);
  });

  test("an alarm in 12-hour binary mode", () => {
    put(0x0b, 0x24);
    put(1, 55);
    put(3, 59);
    put(5, 0x80 | 11);
    seconds(6);
    expect(get(0x0c) & 0x20).toBe(0x20);
  });

  test("flags are set without enables: polling register C sees PF and UF", () => {
    get(0x0c);
    seconds(1.1);
    expect(get(0x0c)).toBe(0x50);
    expect(get(0x0c)).toBe(0);
    expect(irq.rises).toBe(0);
  });

  test("the reset line turns interrupts off", () => {
    put(0x0b, 0x72);
    seconds(1.1);
    rtc.reset("hard");
    expect(irq.level).toBe(false);
    expect(get(0x0b)).toBe(0x02);
  });
});

describe("CMOS RAM", () => {
  test("keeps its contents over resets, starts with what the machine gives it", () => {
    build({
      initialCmos: [
        { index: 0x15, value: 0x80 },
        { index: 0x16, value: 0x02 },
        { index: 0xff, value: 0x77 },
      ],
    });
    expect(get(0x15) | (get(0x16) << 8)).toBe(640);
    put(0x0f, 0x0a);
    rtc.reset("hard");
    expect(get(0x0f)).toBe(0x0a);
    context.out(0x72, 1, 0x7f);
    expect(context.in(0x73)).toBe(0x77);
    context.out(0x73, 1, 0x12);
    expect(context.in(0x73)).toBe(0x12);
    expect(get(0x7f)).toBe(0);
    rtc.reset("power-on");
    expect(get(0x0f)).toBe(0);
  });

  test("port 70h's NMI bit goes to the machine, not into the index", () => {
    const masks: boolean[] = [];
    build({ setNmiMask: (isMasked) => masks.push(isMasked) });
    put(0x40, 0x99);
    expect(get(0x80 | 0x40)).toBe(0x99);
    expect(masks).toEqual([false, true]);
    expect(context.in(0x70)).toBe(0xff);
  });
});

test("saved state, running and stopped", () => {
  put(2, 0x10);
  put(0x0a, 0x2f);
  put(0x0b, 0x72);
  put(0x40, 0x5a);
  seconds(0.3);
  for (const isStopped of [false, true]) {
    if (isStopped) put(0x0b, 0xf2);
    const saved = structuredClone(rtc.save());
    const shown = time();
    const wasIndex = structuredClone(rtc.save());
    build({}, context.clock.timeNs);
    rtc.load(saved);
    expect(rtc.save()).toEqual(saved);
    expect(irq.rises).toBe(0);
    expect(time()).toBe(shown);
    rtc.load(wasIndex);
  }
  const saved = rtc.save();
  expect(() => rtc.load({ ...saved, data: { ...saved.data, cmos: new Uint8Array(3) } })).toThrow(/cmos/);
});

test("seeded fuzz", () => {
  fuzzPorts(context, 30_000, 146818);
  put(0x0b, 0x02);
  put(0x0a, 0x26);
  expect(get(0x0d)).toBe(0x80);
  put(0, 0x00);
  seconds(1);
  expect(get(0)).toBe(0x01);
});
