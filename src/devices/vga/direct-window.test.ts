/** The fast window must be the slow one to the guest, to viewers and to saved state. */
import { describe, expect, it } from "vitest";
import { seededRandom } from "../../device-api/testing.ts";
import { SHADOW_BYTES } from "./direct-window.ts";
import { type ModeRegisters, mode03, mode04, mode06, mode07, mode12, mode13, modeX, VgaBench } from "./testing.ts";

const VRAM_BYTES = 1 << 20;

/** Makes the window direct, if it ever will be. */
function warmUp(bench: VgaBench, gpa: number): void {
  for (let i = 0; i < 300; i++) bench.read8(gpa);
}

describe("direct window", () => {
  it.each([
    ["text", mode03, 0xb8000, 2],
    ["monochrome text", mode07, 0xb0000, 2],
    ["CGA", mode04, 0xb8000, 2],
    ["chain 4", mode13, 0xa0000, 4],
  ])(
    "%s goes to the maps when a picture is drawn, the addressing changes or the state is saved",
    (_, mode, gpa, step) => {
      const bench = new VgaBench(VRAM_BYTES, undefined, true);
      bench.setMode(mode as ModeRegisters);
      warmUp(bench, gpa as number);
      const vram = bench.memory.bytes;
      const written = () => [vram[0], vram[1], vram[(step as number) * 4], vram[(step as number) * 4 + 1]];
      for (let i = 0; i < 8; i++) bench.write8((gpa as number) + i, 0x31 + i);
      const here = step === 2 ? [0x31, 0x32, 0x33, 0x34] : [0x31, 0x32, 0x35, 0x36];
      expect(written()).toEqual([0, 0, 0, 0]);
      expect(bench.both?.bytes[1]).toBe(0x32);
      bench.vga.renderRgba();
      expect(written()).toEqual(here);
      bench.write8((gpa as number) + 1, 0x77);
      expect(vram[1]).toBe(0x32);
      bench.vga.save();
      expect(vram[1]).toBe(0x77);
      bench.write8(gpa as number, 0x78);
      bench.gr(5, 0x01);
      expect(vram[0]).toBe(0x78);
      expect(bench.read8(gpa as number)).toBe(0x78);
    },
  );

  it("lets a font be loaded while text is on the screen", () => {
    const bench = new VgaBench(VRAM_BYTES, undefined, true);
    bench.setMode(mode03);
    warmUp(bench, 0xb8000);
    bench.context.writeMmio(0xb8000, 4, 0x07420741);
    bench.sr(2, 4);
    bench.sr(4, 7);
    bench.gr(5, 0);
    bench.gr(6, 4);
    for (let row = 0; row < 32; row++) bench.write8(0xa0000 + 0x41 * 32 + row, 0x80);
    bench.sr(2, 3);
    bench.sr(4, 2);
    bench.gr(5, 0x10);
    bench.gr(6, 0x0e);
    warmUp(bench, 0xb8000);
    expect(bench.context.readMmio(0xb8000, 4)).toBe(0x07420741);
    expect(bench.vga.textCells()?.characters.slice(0, 2)).toEqual(Uint8Array.of(0x41, 0x42));
    expect(bench.dacIndexAt(0, 3)).toBe(7);
    expect(bench.dacIndexAt(1, 3)).toBe(0);
  });

  it("shows packed pixels of the bank, and of another one after a bank switch", () => {
    const bench = new VgaBench(VRAM_BYTES, undefined, true);
    bench.setMode(mode13);
    bench.setDispiMode(640, 480, 8);
    warmUp(bench, 0xa0000);
    bench.write8(0xa0010, 0x11);
    bench.dispi(5, 3);
    bench.write8(0xa0010, 0x12);
    warmUp(bench, 0xa0000);
    bench.context.writeMmio(0xa0020, 4, 0x99887766);
    expect([bench.memory.bytes[0x10], bench.memory.bytes[0x30010], bench.memory.bytes[0x30022]]).toEqual([
      0x11, 0x12, 0x88,
    ]);
  });

  it("is not undone by a mode set that clears video memory", () => {
    const bench = new VgaBench(VRAM_BYTES, undefined, true);
    bench.setMode(mode13);
    warmUp(bench, 0xa0000);
    for (let i = 0; i < 100; i++) bench.write8(0xa0000 + i, 0xee);
    bench.setDispiMode(320, 200, 8);
    expect(bench.memory.bytes.subarray(0, 64000).every((byte) => byte === 0)).toBe(true);
  });

  it("starts with a reset's and a saved state's memory", () => {
    const bench = new VgaBench(VRAM_BYTES, undefined, true);
    bench.setMode(mode13);
    warmUp(bench, 0xa0000);
    bench.write8(0xa0000, 0x55);
    const state = bench.vga.save();
    bench.write8(0xa0000, 0x66);
    bench.vga.load(state);
    expect(bench.read8(0xa0000)).toBe(0x55);
    warmUp(bench, 0xa0000);
    bench.write8(0xa0000, 0x66);
    bench.vga.reset("power-on");
    bench.setMode(mode13);
    expect(bench.read8(0xa0000)).toBe(0);
    warmUp(bench, 0xa0000);
    expect(bench.read8(0xa0000)).toBe(0);
  });

  it("answers the shadow's bytes as part of what is scanned out", () => {
    const bench = new VgaBench(VRAM_BYTES, undefined, true);
    bench.setMode(mode03);
    expect(bench.vga.scanout().hostOffset).toBe(SHADOW_BYTES);
    warmUp(bench, 0xb8000);
    const { hostOffset, lengthBytes } = bench.vga.scanout();
    expect([hostOffset, lengthBytes]).toEqual([0, SHADOW_BYTES + 256 * 1024]);
  });

  it("equals a window without shadow over random modes, registers and accesses", () => {
    const fast = new VgaBench(VRAM_BYTES, undefined, true);
    const slow = new VgaBench(VRAM_BYTES);
    const both = (act: (bench: VgaBench) => unknown, where: string) => {
      const got = act(fast);
      expect([where, got]).toEqual([where, act(slow)]);
    };
    const random = seededRandom(4711);
    const modes = [mode03, mode04, mode06, mode07, mode12, mode13, modeX];
    const windows = [0xa0000, 0xb0000, 0xb8000];
    let direct = 0;
    for (let round = 0; round < 600; round++) {
      const choice = random(10);
      const [index, value, flags] = [random(9), random(256), random(2) === 0 ? 0x41 : 0xc1];
      const size = [8 * (1 + random(40)), 1 + random(100), [4, 8, 16, 24, 32][random(5)]] as const;
      const mode = modes[random(modes.length)];
      for (const bench of [fast, slow]) {
        if (choice < 3) bench.setMode(mode);
        else if (choice === 3) bench.gr(index, value);
        else if (choice === 4) bench.sr(index & 1 ? 2 : 4, value);
        else if (choice === 5) bench.setDispiMode(size[0], size[1], size[2], flags);
        else if (choice === 6) bench.dispi(5, value & 15);
        else if (choice === 7) bench.dispi(4, 0);
        // Reads through the shadow do not fill the latches: the one difference, gone with the next read.
        for (const gpa of windows) bench.read8(gpa);
      }
      const accesses = random(3) === 0 ? 600 : random(40);
      const bytes = [1, 2, 4] as const;
      for (let i = 0; i < accesses; i++) {
        const width = bytes[random(3)];
        const gpa = windows[random(3)] + (random(20) === 0 ? 0xffe : random(4) * 0x2000) + random(40);
        const word = random(2 ** (8 * width));
        if (random(2) === 0) both((bench) => bench.context.writeMmio(gpa, width, word), "");
        else both((bench) => bench.context.readMmio(gpa, width), `round ${round}: ${gpa.toString(16)}`);
      }
      if (fast.vga.scanout().hostOffset !== SHADOW_BYTES) direct++;
      if (random(20) === 0) both((bench) => Buffer.from(bench.vga.renderRgba()).toString("base64"), `picture ${round}`);
      if (random(20) === 0) both((bench) => bench.vga.textCells(), `cells ${round}`);
    }
    both((bench) => {
      bench.vga.save();
      return Buffer.from(bench.memory.bytes).toString("base64");
    }, "video memory");
    expect(direct).toBeGreaterThan(20);
  });
});
