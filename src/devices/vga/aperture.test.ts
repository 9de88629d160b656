import { describe, expect, it } from "vitest";
import { seededRandom } from "../../device-api/testing.ts";
import { mode03, mode12, mode13, modeX, VgaBench } from "./testing.ts";

/**
 * The graphics controller once more, one bit of one map at a time, as IBM's reference describes the data path. Knows
 * nothing of the implementation's packing; the maps are four arrays.
 */
class ReferenceVga {
  readonly maps = [0, 1, 2, 3].map(() => new Uint8Array(0x10000));
  readonly latches = [0, 0, 0, 0];
  gr = new Array<number>(9).fill(0);
  sr = new Array<number>(5).fill(0);

  place(offset: number): { inWindow: boolean; a: number } {
    const window = (this.gr[6] >> 2) & 3;
    const [start, length] = [
      [0, 0x20000],
      [0, 0x10000],
      [0x10000, 0x8000],
      [0x18000, 0x8000],
    ][window];
    return { inWindow: offset >= start && offset < start + length, a: offset - start };
  }
  mapAddress(a: number): number {
    const is128k = ((this.gr[6] >> 2) & 3) === 0;
    if (this.sr[4] & 8) return (a & 0xfffc) + ((a >> 14) & 3);
    if (this.gr[6] & 2) return (a & 0xfffe) + (is128k ? (a >> 16) & 1 : 0);
    return a & 0xffff;
  }
  read(offset: number): number {
    const { inWindow, a } = this.place(offset);
    if (!inWindow) return 0xff;
    const address = this.mapAddress(a);
    for (let map = 0; map < 4; map++) this.latches[map] = this.maps[map][address];
    if (this.gr[5] & 8) {
      let result = 0;
      for (let bit = 0; bit < 8; bit++) {
        let isEqual = true;
        for (let map = 0; map < 4; map++) {
          const isCared = (this.gr[7] >> map) & 1;
          if (isCared && ((this.latches[map] >> bit) & 1) !== ((this.gr[2] >> map) & 1)) isEqual = false;
        }
        if (isEqual) result |= 1 << bit;
      }
      return result;
    }
    let map = this.gr[4] & 3;
    if (this.sr[4] & 8) map = a & 3;
    else if (this.gr[5] & 0x10) map = (map & 2) | (a & 1);
    return this.latches[map];
  }
  write(offset: number, value: number): void {
    const { inWindow, a } = this.place(offset);
    if (!inWindow) return;
    const address = this.mapAddress(a);
    for (let map = 0; map < 4; map++) {
      let isEnabled = (this.sr[2] >> map) & 1;
      if (this.sr[4] & 8) isEnabled &= map === (a & 3) ? 1 : 0;
      else if (!(this.sr[4] & 4)) isEnabled &= (map & 1) === (a & 1) ? 1 : 0;
      if (!isEnabled) continue;
      for (let bit = 0; bit < 8; bit++) this.writeBit(map, address, bit, value);
    }
  }
  writeBit(map: number, address: number, bit: number, value: number): void {
    const latch = (this.latches[map] >> bit) & 1;
    const rotated = (value >> ((bit + (this.gr[3] & 7)) & 7)) & 1;
    const mode = this.gr[5] & 3;
    let isMasked = (this.gr[8] >> bit) & 1;
    let data = 0;
    if (mode === 0) data = (this.gr[1] >> map) & 1 ? (this.gr[0] >> map) & 1 : rotated;
    else if (mode === 2) data = (value >> map) & 1;
    else if (mode === 3) {
      data = (this.gr[0] >> map) & 1;
      isMasked &= rotated;
    }
    let result = latch;
    if (mode !== 1) {
      const operation = (this.gr[3] >> 3) & 3;
      const combined = [data, data & latch, data | latch, data ^ latch][operation];
      result = isMasked ? combined : latch;
    }
    const old = this.maps[map][address];
    this.maps[map][address] = result ? old | (1 << bit) : old & ~(1 << bit);
  }
}

describe("VGA memory window", () => {
  it("equals the bit-by-bit reference over random register settings and accesses", () => {
    const bench = new VgaBench(256 * 1024);
    const reference = new ReferenceVga();
    bench.setMode(mode12);
    reference.sr = [3, 1, 0x0f, 0, 6];
    reference.gr = [0, 0, 0, 0, 0, 0, 5, 0x0f, 0xff];
    const random = seededRandom(20260101);
    const widths = [4, 4, 4, 5, 2, 7, 4, 4, 8];
    const existing = [0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff];
    for (let step = 0; step < 60_000; step++) {
      const choice = random(8);
      // A few places only, so that reads meet what was written.
      const offset = [0, 0x10000, 0x18000][random(3)] + random(2) * 0x4000 + random(24);
      if (choice === 0) {
        const index = random(9);
        const value = random(1 << widths[index]) & existing[index];
        bench.gr(index, value);
        reference.gr[index] = value;
      } else if (choice === 1) {
        const index = random(2) === 0 ? 2 : 4;
        const value = random(16) & (index === 2 ? 0x0f : 0x0e);
        bench.sr(index, value);
        reference.sr[index] = value;
      } else if (choice < 5) {
        const value = random(256);
        bench.write8(0xa0000 + offset, value);
        reference.write(offset, value);
      } else {
        expect([step, bench.read8(0xa0000 + offset)]).toEqual([step, reference.read(offset)]);
      }
    }
    for (let map = 0; map < 4; map++) {
      const actual = new Uint8Array(0x10000);
      for (let address = 0; address < 0x10000; address++) actual[address] = bench.memory.bytes[address * 4 + map];
      expect(actual).toEqual(reference.maps[map]);
    }
  });

  it("takes wider accesses as bytes in rising order", () => {
    const bench = new VgaBench();
    bench.setMode(mode13);
    bench.context.writeMmio(0xa0001, 4, 0x44332211);
    expect([0, 1, 2, 3, 4, 5].map((i) => bench.read8(0xa0000 + i))).toEqual([0, 0x11, 0x22, 0x33, 0x44, 0]);
    expect(bench.context.readMmio(0xa0001, 4)).toBe(0x44332211);
    expect(bench.context.readMmio(0xa0002, 2)).toBe(0x3322);
  });

  it("decodes the range of the memory map, and nothing while RAM is disabled", () => {
    const bench = new VgaBench();
    bench.setMode(mode03);
    bench.write8(0xb8000, 0x41);
    expect(bench.read8(0xb8000)).toBe(0x41);
    expect([bench.read8(0xa0000), bench.read8(0xb0000), bench.read8(0xb7fff)]).toEqual([0xff, 0xff, 0xff]);
    bench.out(0x3c2, 0x65);
    expect(bench.read8(0xb8000)).toBe(0xff);
    bench.write8(0xb8000, 0x42);
    bench.out(0x3c2, 0x67);
    expect(bench.read8(0xb8000)).toBe(0x41);
  });

  it("keeps characters in map 0, attributes in map 1, and a font in map 2 written as BIOSes do", () => {
    const bench = new VgaBench();
    bench.setMode(mode03);
    bench.context.writeMmio(0xb8000, 2, 0x1f41);
    // Font access: map 2, sequential, window at A0000h.
    bench.sr(2, 4);
    bench.sr(4, 7);
    bench.gr(5, 0);
    bench.gr(6, 4);
    bench.gr(4, 2);
    for (let row = 0; row < 16; row++) bench.write8(0xa0000 + 0x41 * 32 + row, row + 1);
    expect(bench.read8(0xa0000 + 0x41 * 32 + 3)).toBe(4);
    bench.gr(4, 0);
    expect(bench.read8(0xa0000)).toBe(0x41);
    bench.gr(4, 1);
    expect(bench.read8(0xa0000)).toBe(0x1f);
    bench.sr(2, 3);
    bench.sr(4, 2);
    bench.gr(5, 0x10);
    bench.gr(6, 0x0e);
    bench.gr(4, 0);
    expect(bench.context.readMmio(0xb8000, 2)).toBe(0x1f41);
  });

  it("copies through the latches in write mode 1 and fills four pixels by map mask when unchained", () => {
    const bench = new VgaBench();
    bench.setMode(modeX);
    for (let map = 0; map < 4; map++) {
      bench.sr(2, 1 << map);
      bench.write8(0xa0010, 0x50 + map);
    }
    bench.sr(2, 15);
    bench.gr(5, 0x41);
    bench.read8(0xa0010);
    bench.write8(0xa0400, 0);
    bench.gr(5, 0x40);
    const maps = [0, 1, 2, 3].map((map) => {
      bench.gr(4, map);
      return bench.read8(0xa0400);
    });
    expect(maps).toEqual([0x50, 0x51, 0x52, 0x53]);
  });
});
