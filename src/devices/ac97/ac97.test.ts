import { beforeEach, describe, expect, it } from "vitest";
import type { AudioBackend } from "../../backend-api/audio.ts";
import type { Device } from "../../device-api/device.ts";
import { FakeContext, type FakePciFunction, seededRandom } from "../../device-api/testing.ts";
import { createAc97 } from "./index.ts";
import * as R from "./registers.ts";

const LIST = 0x1000;
const PCM_OUT = 0x10;

class Recorder implements AudioBackend {
  readonly samples: number[] = [];
  readonly rates: number[] = [];
  play(samples: Int16Array, rateHz: number): void {
    this.samples.push(...samples);
    if (this.rates.at(-1) !== rateHz) this.rates.push(rateHz);
  }
}

let context: FakeContext;
let backend: Recorder;
let card: Device;
let pci: FakePciFunction;

beforeEach(() => {
  context = new FakeContext();
  backend = new Recorder();
  card = createAc97({ backend });
  card.attach(context);
  card.reset("power-on");
  pci = context.pci(5, 0);
  pci.guestWrite(4, 2, 5);
});

const mixer = (register: number, value?: number): number => {
  if (value !== undefined) pci.barWrite(0, register, 2, value);
  return pci.barRead(0, register, 2);
};
const busMaster = (offset: number, size: 1 | 2 | 4) => pci.barRead(1, offset, size);
const setBusMaster = (offset: number, size: 1 | 2 | 4, value: number) => pci.barWrite(1, offset, size, value);

/** Unmuted, 0 dB. */
function loud(): void {
  mixer(R.MASTER_VOLUME, 0);
  mixer(R.PCM_OUT_VOLUME, 0x0808);
}

/** Buffers of rising numbers, `lengths` samples each, the first at 20000h. */
function buffers(lengths: readonly number[], control = R.BD_IOC): number[] {
  const written: number[] = [];
  let gpa = 0x20000;
  for (const [i, length] of lengths.entries()) {
    context.memory.write32(LIST + i * 8, gpa);
    context.memory.write32(LIST + i * 8 + 4, (control | length) >>> 0);
    for (let n = 0; n < length; n++) {
      const value = ((i + 1) * 1000 + n) & 0x7fff;
      context.memory.write16(gpa + n * 2, value);
      written.push(value);
    }
    gpa += 0x4000;
  }
  return written;
}

function start(engine: number, last: number): void {
  setBusMaster(engine + R.BDBAR, 4, LIST);
  setBusMaster(engine + R.LVI, 1, last);
  setBusMaster(engine + R.CR, 1, R.CR_RPBM | R.CR_LVBIE | R.CR_IOCE);
}

describe("AC'97", () => {
  it("is an ICH with a STAC9700 codec", () => {
    expect([pci.readConfig(0, 4), pci.readConfig(8, 4)]).toEqual([0x24158086, 0x04010001]);
    expect([mixer(R.VENDOR_ID1), mixer(R.VENDOR_ID2), mixer(R.POWERDOWN)]).toEqual([0x8384, 0x7600, 0x000f]);
    expect([mixer(R.MASTER_VOLUME), mixer(R.PCM_OUT_VOLUME)]).toEqual([0x8000, 0x8808]);
    // The primary codec is ready once the link is out of reset; there is no secondary.
    expect(busMaster(R.GLOB_STA, 4)).toBe(0);
    setBusMaster(R.GLOB_CNT, 4, R.GLOB_CNT_COLD);
    expect(busMaster(R.GLOB_STA, 4)).toBe(R.GLOB_STA_PCR);
    expect(pci.barRead(0, 0x80, 2)).toBe(0xffff);
    expect(busMaster(R.GLOB_STA, 4)).toBe(R.GLOB_STA_PCR | R.GLOB_STA_RCS);
    setBusMaster(R.GLOB_STA, 4, R.GLOB_STA_RCS);
    expect(busMaster(R.GLOB_STA, 4)).toBe(R.GLOB_STA_PCR);
  });

  it("has volumes of five bits and rates that need their bit", () => {
    expect(mixer(R.MASTER_VOLUME, 0x2020)).toBe(0x1f1f);
    expect(mixer(R.PCM_FRONT_RATE, 44_100)).toBe(48_000);
    mixer(R.EXTENDED_STATUS, R.EXT_VRA);
    expect(mixer(R.PCM_FRONT_RATE, 44_100)).toBe(44_100);
    expect(mixer(R.PCM_FRONT_RATE, 60_000)).toBe(48_000);
    expect(mixer(R.PCM_FRONT_RATE, 8000)).toBe(8000);
    mixer(R.EXTENDED_STATUS, 0);
    expect(mixer(R.PCM_FRONT_RATE)).toBe(48_000);
    mixer(R.RESET, 0);
    expect(mixer(R.MASTER_VOLUME)).toBe(0x8000);
  });

  it("plays a list of buffers at the codec's rate, with an interrupt after each, and stops at the last", () => {
    loud();
    const written = buffers([960, 480, 96]);
    start(PCM_OUT, 2);
    expect(busMaster(PCM_OUT + R.CIV, 1)).toBe(0);
    context.clock.advance(5_000_000);
    // 5 ms: 240 of 480 moments.
    expect(busMaster(PCM_OUT + R.PICB, 2)).toBeLessThanOrEqual(480);
    expect(busMaster(PCM_OUT + R.PICB, 2)).toBeGreaterThan(470);
    expect(pci.intx.level).toBe(false);
    context.clock.advance(5_100_000);
    expect([busMaster(PCM_OUT + R.CIV, 1), busMaster(PCM_OUT + R.PIV, 1)]).toEqual([1, 2]);
    expect(pci.intx.level).toBe(true);
    expect(busMaster(R.GLOB_STA, 4)).toBe(0x40);
    setBusMaster(PCM_OUT + R.SR, 2, R.SR_BCIS);
    expect(pci.intx.level).toBe(false);
    context.clock.advance(20_000_000);
    expect(busMaster(PCM_OUT + R.SR, 2)).toBe(R.SR_DCH | R.SR_CELV | R.SR_LVBCI | R.SR_BCIS);
    expect([busMaster(PCM_OUT + R.CIV, 1), busMaster(PCM_OUT + R.PICB, 2)]).toEqual([2, 0]);
    expect(backend.samples).toEqual(written);
    expect(backend.rates).toEqual([48_000]);
  });

  it("goes on when the list gets longer, wraps, and pauses where it was", () => {
    loud();
    const written = buffers([96, 96, 96, 96]);
    start(PCM_OUT, 1);
    context.clock.advance(10_000_000);
    expect(backend.samples).toEqual(written.slice(0, 192));
    setBusMaster(PCM_OUT + R.LVI, 1, 3);
    expect(busMaster(PCM_OUT + R.CIV, 1)).toBe(2);
    context.clock.advance(500_000);
    setBusMaster(PCM_OUT + R.CR, 1, R.CR_IOCE);
    const left = busMaster(PCM_OUT + R.PICB, 2);
    context.clock.advance(50_000_000);
    expect([busMaster(PCM_OUT + R.PICB, 2), busMaster(PCM_OUT + R.SR, 2) & R.SR_DCH]).toEqual([left, R.SR_DCH]);
    setBusMaster(PCM_OUT + R.CR, 1, R.CR_RPBM);
    context.clock.advance(10_000_000);
    expect(backend.samples).toEqual(written);
    setBusMaster(PCM_OUT + R.CR, 1, R.CR_RR);
    expect([busMaster(PCM_OUT + R.CIV, 1), busMaster(PCM_OUT + R.SR, 2), busMaster(PCM_OUT, 4)]).toEqual([0, 1, 0]);
  });

  it("attenuates, mutes and clips by master and PCM volume", () => {
    const written = buffers([4]);
    const play = (master: number, pcm: number) => {
      mixer(R.MASTER_VOLUME, master);
      mixer(R.PCM_OUT_VOLUME, pcm);
      backend.samples.length = 0;
      setBusMaster(PCM_OUT + R.CR, 1, R.CR_RR);
      start(PCM_OUT, 0);
      context.clock.advance(1_000_000);
      return backend.samples;
    };
    expect(play(0, 0x0808)).toEqual(written);
    // 4 steps of 1.5 dB to the left: half; PCM at +12 dB to the right: four times.
    expect(play(0x0400, 0x0800)).toEqual([501, 3985, 502, 3993]);
    expect(play(0x8000, 0x0808)).toEqual([0, 0, 0, 0]);
    expect(play(0, 0x8808)).toEqual([0, 0, 0, 0]);
    context.memory.write16(0x20000, 0x7000);
    context.memory.write16(0x20002, 0x9000);
    expect(play(0, 0).slice(0, 2)).toEqual([0x7fff, -0x8000]);
  });

  it("gives the position in one piece, whenever it is read", () => {
    loud();
    buffers([0xfffe]);
    start(PCM_OUT, 0);
    context.clock.stepPerReadNs = 7000;
    let before = 0xffff;
    for (let i = 0; i < 3000; i++) {
      const now = busMaster(PCM_OUT + R.PICB, 2);
      expect([i, now <= before && before - now < 16]).toEqual([i, true]);
      before = now;
    }
    expect(before).toBeLessThan(0xfe00);
  });

  it("records silence, or what the backend has, at the recording rate", () => {
    buffers([96]);
    start(0x00, 0);
    context.clock.advance(5_000_000);
    expect(context.memory.bytes.subarray(0x20000, 0x20000 + 192).every((byte) => byte === 0)).toBe(true);
    expect(busMaster(R.GLOB_STA, 4) & 0x20).toBe(0x20);
  });

  it("moves nothing without bus mastering", () => {
    loud();
    buffers([96]);
    pci.guestWrite(4, 2, 1);
    start(PCM_OUT, 0);
    context.clock.advance(100_000_000);
    expect(backend.samples).toEqual([]);
    pci.guestWrite(4, 2, 5);
    context.clock.advance(20_000_000);
    expect(backend.samples).toHaveLength(96);
  });

  it("survives rings of empty buffers and a host that was away for hours", () => {
    loud();
    buffers(Array(32).fill(0), 0);
    start(PCM_OUT, 40 % 32);
    context.clock.advance(1e9);
    setBusMaster(PCM_OUT + R.CR, 1, R.CR_RR);
    buffers([0xfffe, 0xfffe]);
    start(PCM_OUT, 1);
    context.clock.jump(3600e9);
    context.clock.advance(2e9);
    expect(busMaster(PCM_OUT + R.SR, 2) & R.SR_CELV).toBe(R.SR_CELV);
  });

  it("saves and loads everything", () => {
    loud();
    mixer(R.EXTENDED_STATUS, R.EXT_VRA);
    mixer(R.PCM_FRONT_RATE, 22_050);
    const written = buffers([960, 960]);
    start(PCM_OUT, 1);
    context.clock.advance(15_000_000);
    busMaster(PCM_OUT + R.PICB, 2);
    const state = card.save();
    const other = new FakeContext({ clock: context.clock });
    const heard = new Recorder();
    const copy = createAc97({ backend: heard });
    copy.attach(other);
    copy.reset("power-on");
    other.memory.bytes.set(context.memory.bytes);
    other.pci(5, 0).guestWrite(4, 2, 5);
    copy.load(state);
    expect(copy.save()).toEqual(state);
    context.clock.advance(100_000_000);
    expect([...backend.samples.slice(0, written.length)]).toEqual(written);
    expect(heard.samples).toEqual(written.slice(written.length - heard.samples.length));
    expect(heard.rates).toEqual([22_050]);
    expect(() => copy.load({ ...state, version: 9 })).toThrow(/version 9/);
  });

  it("survives any accesses", () => {
    const random = seededRandom(97);
    for (let i = 0; i < 0x100000; i += 4) context.memory.write32(i, random(2 ** 32));
    for (let i = 0; i < 60_000; i++) {
      const bar = random(2);
      const offset = random(bar === 0 ? 0x100 : 0x40);
      const size = ([1, 2, 4] as const)[random(3)];
      if (offset + size > (bar === 0 ? 0x100 : 0x40)) continue;
      if (random(3) === 0) pci.barRead(bar, offset, size);
      else pci.barWrite(bar, offset, size, random(2 ** (8 * size)));
      if (random(10) === 0) context.clock.advance(random(3_000_000));
    }
    const state = card.save();
    card.load(state);
    expect(card.save()).toEqual(state);
    expect(backend.samples.length).toBeGreaterThan(0);
  });
});
