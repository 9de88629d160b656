/** BIOS calls with random registers: each returns, none makes the firmware stumble, the machine goes on (row 7). */
import { describe, expect, it } from "vitest";
import { seededRandom } from "../../src/device-api/testing.ts";
import { MemoryMedium } from "../../src/machine/testing.ts";
import { BiosCaller, elToritoDisc, numberedDisk } from "./bios-caller.ts";

/** Functions that wait for somebody, switch the machine off, or write wherever the registers say. */
const excluded = new Set(["16 00", "16 10", "15 53", "15 86", "15 87", "15 83"]);
const vectors = [0x10, 0x13, 0x15, 0x16, 0x1a, 0x11, 0x12];

describe("random BIOS calls", () => {
  it.each([1, 2, 3])("seed %i", async (seed) => {
    const random = seededRandom(seed);
    const guest = await BiosCaller.boot({
      dvds: { "1.0": new MemoryMedium(elToritoDisc(numberedDisk(2880), 2, 1), true) },
      disks: { "0.0": new MemoryMedium(numberedDisk(2016)) },
      floppies: [new MemoryMedium(numberedDisk(2880))],
      spec: { bootOrder: ["dvd", "none", "none", "none"] },
    });
    const word = () => (random(3) === 0 ? random(4) : random(0x10000));
    for (let i = 0; i < 600; i++) {
      const vector = vectors[random(vectors.length)];
      const known = [0x42, 0x48, 0x4b, 0x4f, 0xb1, 0xc2, 0xe8, 0x11, 0x13];
      const ah = random(2) === 0 ? random(0x20) : random(3) === 0 ? known[random(known.length)] : random(0x100);
      const name = `${vector.toString(16)} ${ah.toString(16).padStart(2, "0")}`;
      if (excluded.has(name)) continue;
      const al = random(2) === 0 ? random(8) : random(0x100);
      const registers = {
        eax: random(0x10000) * 0x10000 + (ah << 8) + al,
        ebx: random(0x10000) * 0x10000 + word(),
        ecx: random(0x10000) * 0x10000 + word(),
        edx: random(0x10000) * 0x10000 + (random(2) === 0 ? [0, 1, 0x80, 0x81, 0xe0][random(5)] : word()),
        esi: random(0x8000),
        edi: random(0x8000),
        ebp: random(0x8000),
        // Buffers lie far from the caller's own memory.
        ds: 0x3000 + random(0x1000),
        es: 0x5000 + random(0x1000),
      };
      for (let at = 0; at < 64; at++) guest.memory.write8(registers.ds * 16 + registers.esi + at, random(0x100));
      // A packet's buffer must not lie on the caller either.
      guest.memory.write16(registers.ds * 16 + registers.esi + 6, 0x6000);
      const got = guest.call(vector, registers, 400_000_000);
      expect([name, got.stackBytes < 200]).toEqual([name, true]);
      expect([name, got.ebp, got.ds]).toEqual([name, vector === 0x10 ? got.ebp : registers.ebp, registers.ds]);
    }
    const stumbles = guest.pc.log.lines.filter((line) => line.includes("firmware: service"));
    expect(stumbles).toEqual([]);
    expect(guest.pc.events).toEqual([]);
    expect(guest.call(0x12).ax).toBe(639);
  });
});
