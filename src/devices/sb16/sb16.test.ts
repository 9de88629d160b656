import { beforeEach, describe, expect, it } from "vitest";
import type { AudioBackend } from "../../backend-api/audio.ts";
import type { Device } from "../../device-api/device.ts";
import type { DmaChannel } from "../../device-api/dma-channel.ts";
import { FakeContext, fuzzPorts, seededRandom } from "../../device-api/testing.ts";
import { createSb16 } from "./index.ts";

class Recorder implements AudioBackend {
  readonly samples: number[] = [];
  rateHz = 0;
  play(samples: Int16Array, rateHz: number): void {
    this.samples.push(...samples);
    this.rateHz = rateHz;
  }
}

/** A ring of bytes that repeats itself, as an auto-initialised channel. */
class FakeChannel implements DmaChannel {
  bytes = new Uint8Array(0);
  at = 0;
  isReady = false;
  reachedTerminalCount = false;
  listener = () => {};
  transfer(direction: "to-memory" | "from-memory", bytes: Uint8Array): number {
    if (!this.isReady) return 0;
    const count = Math.min(bytes.length, this.bytes.length - this.at);
    if (direction === "to-memory") this.bytes.set(bytes.subarray(0, count), this.at);
    else bytes.set(this.bytes.subarray(this.at, this.at + count));
    this.at = (this.at + count) % this.bytes.length;
    this.reachedTerminalCount = this.at === 0;
    return count;
  }
  onReady(listener: () => void): void {
    this.listener = listener;
  }
  load(bytes: readonly number[]): void {
    this.bytes = Uint8Array.from(bytes);
    this.at = 0;
    this.isReady = true;
  }
}

let context: FakeContext;
let backend: Recorder;
let card: Device;
let channels: Map<number, FakeChannel>;

beforeEach(() => {
  context = new FakeContext();
  backend = new Recorder();
  channels = new Map([0, 1, 3, 5, 6, 7].map((n) => [n, new FakeChannel()]));
  card = createSb16({ backend, dma: (n) => channels.get(n)! });
  card.attach(context);
  card.reset("power-on");
});

const out = (port: number, value: number) => context.out(0x220 + port, 1, value);
const port = (number: number) => context.in(0x220 + number);
const command = (...bytes: number[]) => {
  for (const byte of bytes) {
    expect(port(0xc) & 0x80).toBe(0);
    out(0xc, byte);
  }
};
const mixer = (register: number, value?: number) => {
  out(4, register);
  if (value !== undefined) out(5, value);
  return port(5);
};
/** Replies that are waiting. */
const replies = () => {
  const bytes: number[] = [];
  while ((port(0xe) & 0x80) !== 0) bytes.push(port(0xa));
  return bytes;
};
function loud(): void {
  for (const register of [0x30, 0x31, 0x32, 0x33]) mixer(register, 0xf8);
}
const words = (values: readonly number[]) => values.flatMap((value) => [value & 0xff, (value >> 8) & 0xff]);

describe("Sound Blaster 16", () => {
  it("answers a reset, its version and the tests that drivers make", () => {
    out(6, 1);
    out(6, 0);
    expect(replies()).toEqual([0xaa]);
    command(0xe1);
    expect(replies()).toEqual([4, 5]);
    command(0xe0, 0xc6);
    expect(replies()).toEqual([0x39]);
    command(0xe4, 0x5a, 0xe8);
    expect(replies()).toEqual([0x5a]);
    command(0xd1, 0xd8, 0xd3, 0xd8);
    expect(replies()).toEqual([0xff, 0x00]);
    command(0xe3);
    expect(String.fromCharCode(...replies())).toMatch(/^COPYRIGHT/);
  });

  it("says and changes its interrupt and its DMA channels", () => {
    expect([mixer(0x80), mixer(0x81)]).toEqual([0x02, 0x22]);
    command(0xf2);
    expect([context.irq[5].level, mixer(0x82) & 7]).toEqual([true, 1]);
    port(0xe);
    expect([context.irq[5].level, mixer(0x82) & 7]).toEqual([false, 0]);
    expect(mixer(0x80, 0x04)).toBe(0x04);
    command(0xf3);
    expect([context.irq[5].level, context.irq[7].level]).toEqual([false, true]);
    port(0xe);
    expect(context.irq[7].level).toBe(true);
    port(0xf);
    expect(context.irq[7].level).toBe(false);
  });

  it("plays 16-bit stereo blocks again and again, with an interrupt after each", () => {
    loud();
    const values = Array.from({ length: 882 }, (_, i) => i * 37 - 16_000);
    channels.get(5)?.load(words(values));
    command(0x41, 44_100 >> 8, 44_100 & 0xff, 0xb6, 0x30, (882 - 1) & 0xff, (882 - 1) >> 8);
    context.clock.advance(10_000_000);
    expect(context.irq[5].level).toBe(false);
    context.clock.advance(1_200_000);
    expect([context.irq[5].level, mixer(0x82) & 7]).toEqual([true, 2]);
    expect(backend.samples.slice(0, 882)).toEqual(values);
    expect(backend.rateHz).toBe(44_100);
    port(0xf);
    context.clock.advance(10_000_000);
    expect(context.irq[5].level).toBe(true);
    expect(backend.samples.slice(882, 1764)).toEqual(values);
    // The end of the block that is running is the end.
    port(0xf);
    command(0xd9);
    context.clock.advance(100_000_000);
    expect(backend.samples).toEqual([...values, ...values, ...values]);
  });

  it("plays 8-bit samples of both kinds, mono on both sides", () => {
    loud();
    channels.get(1)?.load([0x80, 0xff, 0x00, 0x90]);
    command(0x41, 8000 >> 8, 8000 & 0xff, 0xc0, 0x00, 3, 0);
    context.clock.advance(2_000_000);
    expect(backend.samples).toEqual([0, 0, 0x7f00, 0x7f00, -0x8000, -0x8000, 0x1000, 0x1000]);
    expect(mixer(0x82) & 7).toBe(1);
    backend.samples.length = 0;
    channels.get(1)?.load([0x01, 0xff]);
    command(0xc0, 0x30, 1, 0);
    context.clock.advance(2_000_000);
    expect(backend.samples).toEqual([0x0100, -0x0100]);
  });

  it("knows the old commands: time constant, block size, automatic and single blocks", () => {
    loud();
    channels.get(1)?.load([0x80, 0x81, 0x82, 0x83]);
    command(0x40, 256 - 125, 0x14, 3, 0);
    context.clock.advance(2_000_000);
    expect(backend.rateHz).toBe(8000);
    expect(backend.samples.filter((_, i) => i % 2 === 0)).toEqual([0, 0x100, 0x200, 0x300]);
    expect(context.irq[5].level).toBe(true);
    port(0xe);
    command(0x48, 1, 0, 0x1c);
    context.clock.advance(1_300_000);
    expect(context.irq[5].level).toBe(true);
    command(0xda);
    context.clock.advance(100_000_000);
    expect(backend.samples).toHaveLength(8 + 8);
  });

  it("pauses and goes on, waits for its channel, and plays silence", () => {
    loud();
    command(0x41, 8000 >> 8, 8000 & 0xff, 0xc0, 0x00, 79, 0);
    context.clock.advance(50_000_000);
    expect(backend.samples).toEqual([]);
    channels.get(1)?.load(Array(80).fill(0x80));
    channels.get(1)?.listener();
    context.clock.advance(5_000_000);
    command(0xd0);
    const played = backend.samples.length;
    expect(played).toBeGreaterThan(20);
    expect(played).toBeLessThan(160);
    context.clock.advance(50_000_000);
    expect(backend.samples).toHaveLength(played);
    command(0xd4);
    context.clock.advance(20_000_000);
    expect(backend.samples).toHaveLength(160);
    port(0xe);
    command(0x80, 79, 0);
    context.clock.advance(9_000_000);
    expect(context.irq[5].level).toBe(false);
    context.clock.advance(2_000_000);
    expect(context.irq[5].level).toBe(true);
  });

  it("plays nothing of a block that is paused at once, and all of it afterwards", () => {
    loud();
    channels.get(5)?.load(words([1, 2, 3, 4]));
    command(0x41, 44_100 >> 8, 44_100 & 0xff, 0xb0, 0x30, 3, 0);
    context.clock.advance(100_000);
    command(0xd5);
    context.clock.advance(100_000_000);
    expect(backend.samples).toEqual([]);
    command(0xd6);
    context.clock.advance(1_000_000);
    expect(backend.samples).toEqual([1, 2, 3, 4]);
  });

  it("records silence in the format that was asked for", () => {
    channels.get(1)?.load(Array(8).fill(1));
    command(0x42, 8000 >> 8, 8000 & 0xff, 0xc8, 0x00, 7, 0);
    context.clock.advance(2_000_000);
    expect([...(channels.get(1)?.bytes ?? [])]).toEqual(Array(8).fill(0x80));
    expect(context.irq[5].level).toBe(true);
  });

  it("has volumes of 2 dB a step, and the Sound Blaster Pro's view of them", () => {
    channels.get(5)?.load(words([10_000, 10_000]));
    const play = () => {
      backend.samples.length = 0;
      command(0xb0, 0x30, 1, 0);
      context.clock.advance(2_000_000);
      return [...backend.samples];
    };
    loud();
    expect(play()).toEqual([10_000, 10_000]);
    mixer(0x30, (31 - 3) << 3);
    mixer(0x33, 0);
    expect(play()).toEqual([5012, 0]);
    expect(mixer(0x04, 0xf7)).toBe(0xf7);
    expect([mixer(0x32), mixer(0x33)]).toEqual([0xf8, 0x70]);
    mixer(0x00, 0);
    expect([mixer(0x30), mixer(0x22)]).toEqual([0xc0, 0xcc]);
  });

  it("saves and loads everything", () => {
    loud();
    const values = Array.from({ length: 800 }, (_, i) => i);
    channels.get(5)?.load(words(values));
    command(0x41, 8000 >> 8, 8000 & 0xff, 0xb0, 0x30, 799 & 0xff, 799 >> 8, 0xe1, 0xb6, 1);
    context.clock.advance(20_000_000);
    const state = card.save();
    const heard = new Recorder();
    const other = new FakeContext({ clock: context.clock });
    const channel = new FakeChannel();
    channel.load(words(values));
    channel.at = channels.get(5)?.at ?? 0;
    const copy = createSb16({ backend: heard, dma: (n) => (n === 5 ? channel : new FakeChannel()) });
    copy.attach(other);
    copy.reset("power-on");
    copy.load(state);
    expect(copy.save()).toEqual(state);
    expect(other.in(0x22a)).toBe(4);
    context.clock.advance(100_000_000);
    expect(backend.samples).toEqual(values);
    expect(heard.samples).toEqual(values.slice(values.length - heard.samples.length));
    expect(other.irq[5].rises).toBe(1);
    expect(() => copy.load({ ...state, kind: "ac97" })).toThrow(/expected sb16/);
  });

  it("survives any accesses", () => {
    const random = seededRandom(16);
    for (const channel of channels.values()) channel.load(Array.from({ length: 1000 }, () => random(256)));
    fuzzPorts(context, 60_000, 16, () => {
      for (const channel of channels.values()) channel.isReady = random(4) !== 0;
    });
    const state = card.save();
    card.load(state);
    expect(card.save()).toEqual(state);
    out(6, 1);
    out(6, 0);
    expect(replies()).toEqual([0xaa]);
  });
});
