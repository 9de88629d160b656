import { describe, expect, it } from "vitest";
import { FormatError } from "../../base/errors.ts";
import { fuzzPorts, seededRandom } from "../../device-api/testing.ts";
import { mode03, mode07, mode12, VgaBench } from "./testing.ts";

describe("VGA registers", () => {
  it("is VirtualBox's adapter on the PCI bus", () => {
    const { context, memory } = new VgaBench();
    const pci = context.pci(2, 0);
    expect([pci.readConfig(0, 4), pci.readConfig(8, 4)]).toEqual([0xbeef80ee, 0x03000000]);
    expect(pci.config.bars).toMatchObject([{ index: 0, sizeBytes: memory.bytes.length, prefetchable: true }]);
    pci.barWrite(0, 0x300000, 4, 0x11223344);
    expect(memory.bytes[0x300000]).toBe(0x44);
    // A printer port at 3BCh has its place.
    expect([0x3bb, 0x3bc, 0x3bf, 0x3c0, 0x3df].map((port) => context.isClaimed(port))).toEqual([
      true,
      false,
      false,
      true,
      true,
    ]);
  });

  it("reads back every register of a mode that was set", () => {
    const bench = new VgaBench();
    bench.setMode(mode12);
    const numbers = (text: string) => text.split(" ").map((byte) => Number.parseInt(byte, 16));
    const readAll = (index: number, data: number, count: number) =>
      Array.from({ length: count }, (_, i) => {
        bench.out(index, i);
        return bench.in(data);
      });
    expect(bench.in(0x3cc)).toBe(mode12.misc);
    expect(readAll(0x3c4, 0x3c5, 5)).toEqual(numbers(mode12.sr));
    expect(readAll(0x3d4, 0x3d5, 0x19)).toEqual(numbers(mode12.cr));
    expect(readAll(0x3ce, 0x3cf, 9)).toEqual(numbers(mode12.gr));
    const attributes = Array.from({ length: 0x15 }, (_, i) => {
      bench.in(0x3da);
      bench.out(0x3c0, i);
      return bench.in(0x3c1);
    });
    expect(attributes).toEqual(numbers(mode12.ar));
    expect(bench.in(0x3c4)).toBe(4);
    expect(bench.in(0x3ce)).toBe(8);
    expect(bench.in(0x3d4)).toBe(0x18);
  });

  it("passes the probe of VGA drivers: graphics index, read map, walking bit mask, chain 4 under reset", () => {
    const bench = new VgaBench();
    bench.setMode(mode03);
    for (const index of [4, 8]) {
      bench.out(0x3ce, index);
      expect(bench.in(0x3ce)).toBe(index);
    }
    bench.gr(4, 2);
    expect(bench.in(0x3cf)).toBe(2);
    for (let mask = 0xbb; mask > 0; mask >>= 1) {
      bench.gr(8, mask);
      expect(bench.in(0x3cf)).toBe(mask);
    }
    bench.sr(0, 1);
    bench.sr(4, 0x0a);
    expect(bench.in(0x3c5)).toBe(0x0a);
    bench.sr(4, 0x02);
    expect(bench.in(0x3c5)).toBe(0x02);
  });

  it("protects CR0-7 by CR11 bit 7 except line compare's bit 8", () => {
    const bench = new VgaBench();
    bench.setMode(mode03);
    bench.cr(0x11, 0x8e);
    for (let index = 0; index < 8; index++) bench.cr(index, 0);
    const values = [0, 1, 2, 3, 4, 5, 6, 7].map((index) => {
      bench.out(0x3d4, index);
      return bench.in(0x3d5);
    });
    expect(values).toEqual([0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x0f]);
    bench.cr(0x11, 0x0e);
    bench.cr(0, 0x12);
    expect(bench.in(0x3d5)).toBe(0x12);
  });

  it("takes index and data in one 16-bit write", () => {
    const bench = new VgaBench();
    bench.context.out(0x3ce, 2, 0x5508);
    expect(bench.context.in(0x3ce, 2)).toBe(0x5508);
  });

  it("answers at the ports of the selected emulation only", () => {
    const bench = new VgaBench();
    bench.setMode(mode03);
    bench.cr(0x0e, 0x12);
    bench.out(0x3b4, 0x0c);
    expect([bench.in(0x3b4), bench.in(0x3b5), bench.in(0x3ba)]).toEqual([0xff, 0xff, 0xff]);
    expect([bench.in(0x3d4), bench.in(0x3d5)]).toEqual([0x0e, 0x12]);
    bench.out(0x3c2, 0x66);
    expect([bench.in(0x3d4), bench.in(0x3d5), bench.in(0x3da)]).toEqual([0xff, 0xff, 0xff]);
    expect([bench.in(0x3b4), bench.in(0x3b5)]).toEqual([0x0e, 0x12]);
  });

  it("toggles between attribute index and data; reading input status 1 starts anew", () => {
    const bench = new VgaBench();
    bench.setMode(mode03);
    bench.in(0x3da);
    bench.out(0x3c0, 0x31); // index 11h, palette on the screen
    bench.out(0x3c0, 0x2a);
    expect(bench.in(0x3c1)).toBe(0x2a);
    expect(bench.in(0x3c0)).toBe(0x31);
    bench.out(0x3c0, 0x33);
    bench.in(0x3da);
    bench.out(0x3c0, 0x11); // an index again
    expect(bench.in(0x3c0)).toBe(0x11);
    expect(bench.in(0x3c1)).toBe(0x2a);
  });

  it("has a DAC of 6 bits with wrapping index, pending components and a readable state", () => {
    const bench = new VgaBench();
    bench.dac(255, 0xff, 0x41, 3);
    expect(bench.in(0x3c8)).toBe(0);
    expect(bench.in(0x3c7)).toBe(0);
    bench.out(0x3c8, 255);
    bench.out(0x3c9, 9); // one component alone changes nothing
    bench.out(0x3c7, 255);
    expect(bench.in(0x3c7)).toBe(3);
    expect([bench.in(0x3c9), bench.in(0x3c9), bench.in(0x3c9)]).toEqual([0x3f, 0x01, 3]);
    bench.dac(0, 1, 2, 3);
    bench.out(0x3c7, 255);
    for (let i = 0; i < 3; i++) bench.in(0x3c9);
    expect([bench.in(0x3c9), bench.in(0x3c9), bench.in(0x3c9)]).toEqual([1, 2, 3]);
    bench.out(0x3c6, 0x0f);
    expect(bench.in(0x3c6)).toBe(0x0f);
  });

  it("moves input status 1 with time: 70 retraces and 31,500 lines a second in text mode", () => {
    const bench = new VgaBench();
    bench.setMode(mode03);
    let retraces = 0;
    let lines = 0;
    let before = bench.in(0x3da);
    const stepNs = 2000;
    for (let time = 0; time < 1e9; time += stepNs) {
      bench.context.clock.advance(stepNs);
      const now = bench.in(0x3da);
      if ((now & ~before & 8) !== 0) retraces++;
      if ((now & ~before & 1) !== 0) lines++;
      before = now;
    }
    expect(retraces).toBeGreaterThanOrEqual(69);
    expect(retraces).toBeLessThanOrEqual(71);
    // Once per displayed line: 400 of 449.
    expect(lines).toBeGreaterThan(27_500);
    expect(lines).toBeLessThan(28_500);
  });

  it("has retraces with senseless timing too, and in DISPI modes", () => {
    const bench = new VgaBench();
    bench.setMode(mode03);
    const seesBoth = () => {
      let seen = 0;
      for (let i = 0; i < 60_000; i++) {
        bench.context.clock.advance(1000);
        seen |= (bench.in(0x3da) & 8) !== 0 ? 2 : 1;
      }
      return seen;
    };
    bench.cr(0x11, 0);
    bench.cr(0x06, 0x10); // total far before the retrace start
    bench.cr(0x07, 0x1e);
    expect(seesBoth()).toBe(3);
    bench.setDispiMode(1024, 768, 16);
    expect(seesBoth()).toBe(3);
  });

  it("saves and loads everything, and refuses what is not its own", () => {
    const bench = new VgaBench();
    const random = seededRandom(7);
    bench.setMode(mode07);
    fuzzPorts(bench.context, 5000, 99);
    bench.memory.bytes.set(
      Array.from({ length: 5000 }, () => random(256)),
      1000,
    );
    const saved = bench.vga.save();
    const other = new VgaBench();
    other.context.clock.timeNs = bench.context.clock.timeNs;
    other.vga.load(saved);
    const { vram, ...savedAgain } = other.vga.save().data;
    const { vram: savedVram, ...savedFirst } = saved.data;
    expect(savedAgain).toEqual(savedFirst);
    const isSame = (a: unknown, b: unknown) => Buffer.compare(a as Uint8Array, b as Uint8Array) === 0;
    expect(isSame(vram, savedVram)).toBe(true);
    expect(isSame(other.memory.bytes, bench.memory.bytes)).toBe(true);
    other.context.clock.timeNs = bench.context.clock.timeNs;
    expect(isSame(other.vga.renderRgba(), bench.vga.renderRgba())).toBe(true);
    for (let offset = 0; offset < 0x20000; offset += 97) {
      expect(other.read8(0xa0000 + offset)).toBe(bench.read8(0xa0000 + offset));
    }
    expect(() => other.vga.load({ ...saved, version: 1 })).toThrow(FormatError);
    expect(() => other.vga.load({ ...saved, data: { ...saved.data, extra: 1 } })).toThrow(FormatError);
    const { registers: _, ...rest } = saved.data;
    expect(() => other.vga.load({ ...saved, data: rest })).toThrow(FormatError);
    expect(() => new VgaBench(1 << 20).vga.load(saved)).toThrow(FormatError);
  });

  it("survives any accesses", () => {
    const bench = new VgaBench(1 << 20, 11 * 0x10000);
    const random = seededRandom(4711);
    bench.setMode(mode03);
    fuzzPorts(bench.context, 60_000, 12, (i) => {
      const size = ([1, 2, 4] as const)[random(3)];
      const gpa = 0xa0000 + random(0x20000 - size);
      if (random(2) === 0) bench.context.readMmio(gpa, size);
      else bench.context.writeMmio(gpa, size, random(2 ** (8 * size)));
      // Modes that show something: the fuzzer alone rarely enables a DISPI mode.
      if (random(200) === 0)
        bench.setDispiMode(random(900), random(700), [4, 8, 15, 16, 24, 32, 7][random(7)], random(256));
      if (i % 300 === 0) {
        const rgba = bench.vga.renderRgba();
        expect(rgba.length).toBe(bench.vga.widthPixels * bench.vga.heightPixels * 4);
        bench.vga.textCells();
      }
    });
    expect(bench.memory.bytes.subarray(11 * 0x10000).every((byte) => byte === 0)).toBe(true);
    bench.vga.reset("hard");
    expect([bench.vga.widthPixels, bench.vga.heightPixels]).toEqual([0, 0]);
  });
});
