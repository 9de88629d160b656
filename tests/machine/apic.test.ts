/**
 * The APICs under the real CPU: a bare-metal program logs what comes in which order on COM1, and QEMU logs the same. A
 * saved state in the middle of it changes nothing.
 */
import { beforeAll, expect, test } from "vitest";
import { createEngine } from "../../src/cpu/create.ts";
import type { SoftwareEngine } from "../../src/cpu/engine.ts";
import type { SoftwareCpuOptions } from "../../src/cpu/software-cpu.ts";
import type { SavedState } from "../../src/device-api/saved-state.ts";
import type { PcHost } from "../../src/machine/pc.ts";
import { MemoryMedium, TestPc } from "../../src/machine/testing.ts";
import type { MachineSpec } from "../../src/spec/machine-spec.ts";
import { assembleImage, runQemu } from "../cpu/bare-metal/machines.ts";
import { FORCED } from "../cpu/native/forced.ts";

const MAX_INSTRUCTIONS = 200_000_000;
let disk: Uint8Array;
beforeAll(async () => {
  disk = await assembleImage("apic");
});

const options = (spec: Partial<MachineSpec> = {}) => ({
  disks: { "0.0": new MemoryMedium(disk.slice()) },
  spec: { ramMiB: 32, ioApic: true, cpu: { pae: true, nx: true }, deterministic: { nsPerInstruction: 1000 }, ...spec },
});

async function log(
  spec: Partial<MachineSpec> = {},
  maxInstructions = MAX_INSTRUCTIONS,
  host: Partial<PcHost> = {},
): Promise<string> {
  const pc = await TestPc.start({ ...options(spec), host });
  // The program ends in a triple fault.
  pc.runUntil(() => false, maxInstructions);
  return pc.serial.text;
}

test("self-IPIs, priorities, timer, virtual wire, edges, levels, NMI: as QEMU's", async () => {
  const [ours, qemu] = [await log(), await runQemu(disk)];
  expect(ours).toContain("DONE");
  expect(ours.split("\n")).toEqual(qemu.split("\n"));
});

test("the same with every block translated", async () => {
  let engine: SoftwareEngine | undefined;
  const createCpu = async (given: SoftwareCpuOptions) => {
    engine = await createEngine(given, FORCED);
    return engine;
  };
  // Faster than above: the end of a budget is the interpreter's, and these are bounded by time.
  const deterministic = { nsPerInstruction: 50 };
  const forced = await log({ deterministic }, MAX_INSTRUCTIONS, { createCpu });
  expect(forced.split("\n")).toEqual((await log({ deterministic })).split("\n"));
  expect(forced).toContain("DONE");
  expect(engine?.regionStatistics?.executed).toBeGreaterThan(500_000);
});

test("saved and loaded at any point, the rest of the log is the same", async () => {
  const whole = await log({ hpet: true });
  for (const upTo of ["isr=", "tpr 51", "counts", "lowest", "three times", "then:"]) {
    const first = await TestPc.start(options({ hpet: true }));
    expect(first.runUntilSerial(upTo, MAX_INSTRUCTIONS)).toBe(true);
    first.machine.pause();
    const state: SavedState = structuredClone(first.machine.save());
    const second = await TestPc.assemble(options({ hpet: true }));
    second.machine.restore(state);
    second.machine.resume();
    second.runUntil(() => false, MAX_INSTRUCTIONS);
    expect(first.serial.text + second.serial.text).toBe(whole);
  }
});

test("a machine without APICs is noticed", async () => {
  expect(await log({ ioApic: false }, 5_000_000)).not.toContain("highest first: 62 61 51 41");
});

test("the firmware opens the 8259s' way to the processor, also after a reset of the processor alone", async () => {
  const pc = await TestPc.start({ spec: { ramMiB: 8, ioApic: true } });
  const { machine } = pc;
  const LOCAL = 0xfee00000;
  const ticks = () => machine.memory.read32(0x46c);
  const isTicking = () => {
    const from = ticks();
    return pc.runUntil(() => ticks() >= from + 5, 100_000_000);
  };
  const registers = () => [0xf0, 0x350, 0x360].map((offset) => machine.memoryBus.readMmio(LOCAL + offset, 4));
  expect(isTicking(), pc.describe()).toBe(true);
  expect(registers()).toEqual([0x1ff, 0x700, 0x400]);
  machine.memoryBus.writeMmio(0xfec00000, 4, 0);
  expect(machine.memoryBus.readMmio(0xfec00010, 4)).toBe(0x01000000);

  // As a program of a 286 leaves protected mode: shutdown code 0Ah, the place to go on at 40:67, and the processor's reset.
  machine.memory.write(0x7e00, Uint8Array.of(0xfb, 0xeb, 0xfe));
  machine.memory.write16(0x467, 0x7e00);
  machine.memory.write16(0x469, 0);
  machine.ports.writePort(0x70, 1, 0x0f);
  machine.ports.writePort(0x71, 1, 0x0a);
  machine.ports.writePort(0x64, 1, 0xfe);
  expect(
    pc.runUntil(() => machine.cpu.getRegister("eip") === 0x7e01, 50_000_000),
    pc.describe(),
  ).toBe(true);
  expect(registers()).toEqual([0x1ff, 0x700, 0x400]);
  expect(isTicking(), pc.describe()).toBe(true);
});
