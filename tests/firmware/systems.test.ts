/**
 * Whole systems on our firmware: FreeDOS from floppies and from a CD, a game in mode 13h, Sanos; from ../shared/media next
 * to the repository. Where that folder is not, the tests say so and fail with what is missing.
 */
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { seededRandom } from "../../src/device-api/testing.ts";
import { MemoryMedium, TestPc, type TestPcOptions } from "../../src/machine/testing.ts";
import { elToritoDisc } from "./bios-caller.ts";

const media = resolve(import.meta.dirname, "../../../shared/media");

function image(name: string): Uint8Array {
  const path = resolve(media, name);
  if (!existsSync(path))
    throw new Error(`this test needs the disk image ../shared/media/${name} beside the repository`);
  return new Uint8Array(readFileSync(path));
}

function type(pc: TestPc, ...codes: number[]): void {
  for (const code of codes) {
    pc.machine.front.keyboard!.putScancode(code);
    pc.machine.front.keyboard!.putScancode(code | 0x80);
  }
}

describe.each(["interpreter", "translator"] as const)("systems on our firmware, %s", (engine) => {
  const start = (options: TestPcOptions) =>
    TestPc.start({ ...options, spec: { cpu: { pae: true, nx: false, engine } } });

  it.each(["freedos-1440.img", "freedos-360.img"])("FreeDOS comes to its prompt from the floppy %s", async (name) => {
    const pc = await start({ floppies: [new MemoryMedium(image(name))] });
    expect(pc.runUntilScreen(/A:\\>$/, 2_000_000_000)).toBe(true);
    // "ver" and Enter.
    type(pc, 0x2f, 0x12, 0x13, 0x1c);
    expect(pc.runUntilScreen(/FreeCom/, 1_000_000_000)).toBe(true);
  });

  it("FreeDOS comes to its prompt from a CD that emulates its floppy", async () => {
    const disc = elToritoDisc(image("freedos-1440.img"), 2, 1);
    const pc = await start({ dvds: { "1.0": new MemoryMedium(disc, true) } });
    expect(pc.runUntilScreen(/A:\\>$/, 2_000_000_000)).toBe(true);
  });

  it("FreeDOS and Sanos come up after resets in the middle of everything", async () => {
    const random = seededRandom(5);
    for (const [name, prompt] of [
      ["freedos-1440.img", /A:\\>$/],
      ["sanos-flp.img", /\/\$$/],
    ] as const) {
      const pc = await start({ floppies: [new MemoryMedium(image(name))] });
      for (let turn = 0; turn < 6; turn++) {
        const endNs = pc.machine.clock.lastNs + random(60e6);
        pc.runUntil(() => pc.machine.clock.lastNs >= endNs);
        pc.machine.reset();
      }
      expect(pc.runUntilScreen(prompt, 3_000_000_000), pc.describe()).toBe(true);
    }
  });

  it("a game in mode 13h draws its picture", async () => {
    const pc = await start({ floppies: [new MemoryMedium(image("floppybird.img"))] });
    const display = pc.machine.front.display!;
    expect(pc.runUntil(() => display.widthPixels === 640, 500_000_000)).toBe(true);
    const colors = () => {
      const pixels = new Uint32Array(display.renderRgba().buffer);
      return new Set(pixels).size;
    };
    pc.runUntil(() => false, 4_000_000);
    expect(colors()).toBeGreaterThan(10);
  });

  it("Sanos comes to its shell", async () => {
    const pc = await start({ floppies: [new MemoryMedium(image("sanos-flp.img"))] });
    expect(pc.runUntilScreen(/\/\$$/, 3_000_000_000)).toBe(true);
  });
});
