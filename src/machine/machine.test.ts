import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { AnneauError, FormatError } from "../base/errors.ts";
import type { SavedState } from "../device-api/saved-state.ts";
import { seededRandom } from "../device-api/testing.ts";
import type { StopReason } from "../device-api/virtual-cpu.ts";
import { nicModels } from "../spec/machine-spec.ts";
import { ScriptedCpu } from "./scripted-cpu.ts";
import { MemoryMedium, TestPc, type TestPcOptions } from "./testing.ts";

/** A PC with every kind of device, around a CPU that does what the test says. */
async function assemble(options: TestPcOptions = {}) {
  let cpu: ScriptedCpu | undefined;
  const pc = await TestPc.assemble({
    disks: { "0.0": new MemoryMedium(new Uint8Array(1 << 20)) },
    dvds: { "1.0": undefined },
    ...options,
    spec: { ramMiB: 4, vramMiB: 1, ...options.spec },
    host: {
      createCpu: ScriptedCpu.factory((made) => {
        cpu = made;
      }),
      ...options.host,
    },
  });
  return { pc, cpu: cpu as ScriptedCpu, machine: pc.machine };
}

/** Runs `instruction` once, in the next budget. */
function once(cpu: ScriptedCpu, instruction: () => StopReason | undefined): void {
  const before = cpu.script;
  cpu.script = (budget) => {
    cpu.script = before;
    return instruction() ?? (cpu.wantsStop ? "stop" : cpu.execute(budget));
  };
}

test("power on resets everything, opens A20 and starts time", async () => {
  const { machine, cpu } = await assemble();
  expect(machine.state).toBe("off");
  machine.powerOn();
  expect(machine.state).toBe("running");
  expect(cpu.a20).toBe(true);
  expect(cpu.resets).toBe(1);
  expect(() => machine.powerOn()).toThrow(AnneauError);
});

test("the guest's reset by CF9h starts the whole machine over", async () => {
  const { pc, machine, cpu } = await assemble();
  machine.powerOn();
  // A PAM register as a witness that devices are reset.
  once(cpu, () => {
    cpu.bus.writePort(0xcf8, 4, 0x80000058);
    cpu.bus.writePort(0xcfd, 1, 0x30);
    expect(cpu.bus.readPort(0xcfd, 1)).toBe(0x30);
    cpu.bus.writePort(0xcf9, 1, 0x02);
    cpu.bus.writePort(0xcf9, 1, 0x06);
  });
  machine.loop.step(false);
  expect(pc.events).toEqual([{ kind: "reset" }]);
  expect(cpu.resets).toBe(2);
  once(cpu, () => {
    cpu.bus.writePort(0xcf8, 4, 0x80000058);
    expect(cpu.bus.readPort(0xcfd, 1)).toBe(0);
  });
  machine.loop.step(false);
});

test("the keyboard controller's reset starts the processor over and nothing else", async () => {
  const { pc, machine, cpu } = await assemble();
  machine.powerOn();
  once(cpu, () => {
    cpu.bus.writePort(0x70, 1, 0x0f);
    cpu.bus.writePort(0x71, 1, 0x05);
    cpu.bus.writePort(0x64, 1, 0xfe);
  });
  machine.loop.step(false);
  expect(cpu.resets).toBe(2);
  expect(pc.events).toEqual([]);
  once(cpu, () => {
    cpu.bus.writePort(0x70, 1, 0x0f);
    expect(cpu.bus.readPort(0x71, 1)).toBe(0x05);
  });
  machine.loop.step(false);
});

test("ACPI S5 powers off and the loop ends", async () => {
  const { pc, machine, cpu } = await assemble();
  machine.powerOn();
  once(cpu, () => {
    // PMBA 4000h, enabled, then SLP_TYP 5 with SLP_EN.
    cpu.bus.writePort(0xcf8, 4, 0x80003840);
    cpu.bus.writePort(0xcfc, 4, 0x4001);
    cpu.bus.writePort(0xcf8, 4, 0x80003880);
    cpu.bus.writePort(0xcfc, 1, 0x01);
    cpu.bus.writePort(0x4004, 2, (1 << 13) | (5 << 10));
  });
  machine.loop.run();
  expect(machine.state).toBe("off");
  expect(pc.events).toEqual([{ kind: "powered-off" }]);
});

test("a triple fault resets the machine; three within a second are a guest that will never boot", async () => {
  const { pc, machine, cpu } = await assemble({ host: { onTripleFault: "reset" } });
  machine.powerOn();
  cpu.script = () => "triple-fault";
  while (machine.loop.step(false)) {}
  expect(pc.events.map((event) => event.kind)).toEqual(["reset", "reset", "died"]);
  expect(machine.state).toBe("dead");
  // A dead machine does nothing until somebody pulls its reset line.
  const turns = cpu.budgets.length;
  machine.resume();
  expect(machine.loop.step(false)).toBe(false);
  expect(cpu.budgets.length).toBe(turns);
  cpu.script = () => "budget";
  machine.reset();
  machine.loop.step(false);
  expect([machine.state, cpu.budgets.length]).toEqual(["running", turns + 1]);
});

test("a paused machine's time stands still, and no CPU runs", async () => {
  const { machine, cpu } = await assemble({ spec: { deterministic: undefined } });
  machine.powerOn();
  machine.loop.step(false);
  machine.pause();
  const turns = cpu.budgets.length;
  const before = machine.clock.lastNs;
  const until = performance.now() + 5;
  while (performance.now() < until) machine.loop.step(false);
  expect(machine.clock.lastNs).toBe(before);
  expect(cpu.budgets.length).toBe(turns);
  machine.resume();
  machine.loop.step(false);
  expect(cpu.budgets.length).toBe(turns + 1);
});

/** Random but harmless guest activity on every device. */
function stir(cpu: ScriptedCpu, machine: { loop: { step(maySleep: boolean): boolean } }, seed: number): void {
  const random = seededRandom(seed);
  const ports = [
    0x20, 0x21, 0xa1, 0x40, 0x43, 0x60, 0x61, 0x70, 0x71, 0x3f8, 0x3f9, 0x3fb, 0x1f1, 0x1f6, 0x3c4, 0x3c5, 0x3d4, 0x3d5,
    0x224, 0x225, 0x226, 0x22a, 0x22c, 0x22e, 0xcfc, 0xcfd,
  ];
  for (let turn = 0; turn < 50; turn++) {
    once(cpu, () => {
      for (let i = 0; i < 20; i++) {
        cpu.bus.writePort(0xcf8, 4, 0x80000000 + random(0x40) * 0x100 + 0x40 + random(0x30) * 4);
        const port = ports[random(ports.length)];
        if (random(2) === 0) cpu.bus.readPort(port, 1);
        else cpu.bus.writePort(port, 1, random(256));
        if (random(4) === 0) cpu.bus.writeMmio(0xa0000 + random(0x20000), 1, random(256));
      }
    });
    machine.loop.step(false);
  }
}

/** Bytes as a digest: comparing megabytes element by element takes minutes. */
function digested(value: unknown): unknown {
  if (value instanceof Uint8Array) return `${value.length} bytes ${createHash("sha1").update(value).digest("hex")}`;
  if (Array.isArray(value)) return value.map(digested);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, digested(entry)]));
}

test("saved state: save, load into a fresh machine, save again: every device equal", async () => {
  for (const seed of [1, 2, 3]) {
    const audio = { controller: seed === 1 ? "ac97" : "sb16" } as const;
    const nics = nicModels.map((model, slot) => ({
      slot,
      model,
      macAddress: `08002700000${slot}`,
      cableConnected: slot % 2 === 0,
    }));
    const from = await assemble({ spec: { audio, nics } });
    from.machine.powerOn();
    from.machine.ports.writePort(0x40, 1, 0);
    stir(from.cpu, from.machine, seed);
    expect(from.machine.state).toBe("running");
    from.machine.pause();
    const saved = from.machine.save();
    const to = await assemble({ spec: { audio, nics } });
    to.machine.restore(saved);
    const again = to.machine.save();
    for (const id of Object.keys(saved)) expect(digested(again[id]), id).toEqual(digested(saved[id]));
    // And it runs on.
    to.machine.resume();
    stir(to.cpu, to.machine, seed + 100);
  }
});

test("a saved state with a device too many, too few or of another kind is refused", async () => {
  const { machine } = await assemble();
  machine.powerOn();
  machine.pause();
  const saved = machine.save();
  const load = async (state: SavedState) => (await assemble()).machine.restore(state);
  await expect(load({ ...saved, "sound-blaster": saved.cpu })).rejects.toThrow(/no sound-blaster/);
  const { "pit-8254": _pit, ...withoutTimer } = saved;
  await expect(load(withoutTimer)).rejects.toThrow(/nothing saved for pit-8254/);
  await expect(load({ ...saved, "pit-8254": saved["pic-8259"] })).rejects.toThrow(FormatError);
});

test("a machine that cannot be is refused with one line", async () => {
  await expect(assemble({ spec: { ramMiB: 4096 } })).rejects.toThrow(/4096 MB of memory cannot be/);
  await expect(assemble({ spec: { cpuCount: 2 } })).rejects.toThrow(/2 CPUs/);
  await expect(assemble({ disks: { "0.0": undefined as never } })).rejects.toThrow(/no medium/);
  await expect(assemble({ spec: { biosImage: new Uint8Array(100) } })).rejects.toThrow(/BIOS image of 100 bytes/);
});
