/** A machine saved at any moment of its start, or inside a BIOS call, goes on in another machine as if nothing had been. */
import { describe, expect, it } from "vitest";
import { FormatError } from "../../src/base/errors.ts";
import type { SavedLeaf, SavedState } from "../../src/device-api/saved-state.ts";
import { MemoryMedium, TestPc, type TestPcOptions } from "../../src/machine/testing.ts";
import { BiosCaller, BUFFER, elToritoDisc, numberedDisk } from "./bios-caller.ts";

function saveNow(pc: TestPc): SavedState {
  pc.machine.pause();
  const state = pc.machine.save();
  pc.machine.resume();
  return state;
}

async function restored(options: TestPcOptions, state: SavedState): Promise<TestPc> {
  const pc = await TestPc.assemble(options);
  pc.machine.restore(state);
  // The same again, before anything runs.
  expect(pc.machine.save().firmware).toEqual(state.firmware);
  pc.machine.resume();
  return pc;
}

describe("saved states and the firmware", () => {
  const disc = elToritoDisc(numberedDisk(2880), 2, 1);
  const options: TestPcOptions = {
    dvds: { "1.0": new MemoryMedium(disc, true) },
    disks: { "0.0": new MemoryMedium(numberedDisk(2016)) },
    spec: { bootOrder: ["dvd", "none", "none", "none"] },
  };
  const isUp = (pc: TestPc) => pc.machine.memory.read16(0x7e02) === 0x4341;

  it("at many moments of POST and of booting a CD", async () => {
    const reference = await TestPc.start(options);
    expect(reference.runUntil(() => isUp(reference), 100_000_000)).toBe(true);
    const screen = reference.screenText();
    const total = reference.machine.cpu.instructionCount;
    for (let i = 1; i < 12; i++) {
      const pc = await TestPc.start(options);
      pc.runUntil(() => pc.machine.cpu.instructionCount >= (total * i) / 12, total);
      const other = await restored(options, saveNow(pc));
      expect([i, other.runUntil(() => isUp(other), 100_000_000)]).toEqual([i, true]);
      expect(other.screenText()).toBe(screen);
    }
  });

  it("inside INT 13h, INT 10h and INT 15h", async () => {
    const guest = await BiosCaller.boot(options);
    const calls = [
      { vector: 0x13, registers: { eax: 0x0212, ecx: 0x0001, edx: 0x0100, es: BUFFER >> 4 } },
      { vector: 0x10, registers: { eax: 0x0012 } },
      { vector: 0x10, registers: { eax: 0x4f02, ebx: 0x4112 } },
      { vector: 0x15, registers: { eax: 0x8600, edx: 10_000 } },
    ];
    for (const { registers, vector } of calls) {
      let steps = 0;
      guest.begin(vector, registers);
      while (!guest.isDone && steps++ < 6) {
        guest.pc.runUntil(() => guest.isDone, 300);
        if (guest.isDone) break;
        const other = guest.inPc(await restored(options, saveNow(guest.pc)));
        expect(other.pc.runUntil(() => other.isDone, 10_000_000)).toBe(true);
        expect(other.result().carry).toBe(false);
        if (vector === 0x13) expect(other.memory.read32(BUFFER + 17 * 512)).toBe(18 + 17);
        if (vector === 0x10) expect(other.pc.machine.front.display!.heightPixels).toBe(480);
      }
      guest.pc.runUntil(() => guest.isDone, 10_000_000);
      expect(steps).toBeGreaterThan(1);
    }
  });

  it("refuses a firmware state that is damaged, naming what is wrong", async () => {
    const pc = await TestPc.start(options);
    pc.runUntil(() => false, 100_000);
    const state = saveNow(pc);
    const firmware = state.firmware as SavedLeaf;
    const directed = firmware.data.directed as readonly { readonly [key: string]: never }[];
    const damaged: SavedLeaf["data"][] = [
      {},
      { ...firmware.data, more: 1 },
      { ...firmware.data, directed: [] },
      { ...firmware.data, directed: directed.map((one, i) => (i === 0 ? { ...one, program: "int99" } : one)) },
      {
        ...firmware.data,
        directed: directed.map((one, i) => (i === 0 ? { ...one, journal: new Uint8Array(3), journalBytes: 3 } : one)),
      },
    ];
    for (const data of damaged) {
      const other = await TestPc.assemble(options);
      expect(() => other.machine.restore({ ...state, firmware: { ...firmware, data } })).toThrow(FormatError);
    }
  });
});
