import { describe, expect, it } from "vitest";
import { StateReader } from "../device-api/state-reader.ts";
import { GuestFaultSignal, type VirtualCpu } from "../device-api/virtual-cpu.ts";
import { type Directed, DirectedServices, type ServiceMemory } from "./directed.ts";

/** Memory whose page at 2000h can be taken away. */
class FakeCpu {
  readonly bytes = new Uint8Array(0x4000);
  isPageMissing = false;

  private check(linear: number): void {
    if (this.isPageMissing && linear >= 0x2000 && linear < 0x3000) throw new GuestFaultSignal();
  }
  readLinear(linear: number, size: number): number {
    this.check(linear);
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + this.bytes[linear + i];
    return value;
  }
  writeLinear(linear: number, size: number, value: number): void {
    this.check(linear);
    for (let i = 0; i < size; i++) this.bytes[linear + i] = value >>> (8 * i);
  }
  readLinearBytes(linear: number, target: Uint8Array): void {
    this.check(linear);
    target.set(this.bytes.subarray(linear, linear + target.length));
  }
  writeLinearBytes(linear: number, source: Uint8Array): void {
    this.check(linear);
    this.bytes.set(source, linear);
  }
}

/** Copies bytes from ports to memory and counts its effects at 1000h. */
function* copyPorts(memory: ServiceMemory, frame: number): Directed {
  const count = memory.read8(frame);
  for (let i = 0; i < count; i++) {
    const byte = yield { kind: "in8", port: 0x100 + i };
    memory.write8(0x1000, memory.read8(0x1000) + 1);
    memory.write8(0x2000 + i, byte);
  }
  yield { kind: "out8", port: 0x200, value: memory.read8(0x1000) };
}

function bench() {
  const cpu = new FakeCpu();
  let time = 0;
  const make = () => new DirectedServices(new Map([["copy", copyPorts]]), cpu as unknown as VirtualCpu, () => ++time);
  return { cpu, services: make(), make };
}

describe("directed services", () => {
  it("run from operation to operation and end", () => {
    const { cpu, services } = bench();
    cpu.bytes[0x500] = 2;
    const { id, operation } = services.begin("copy", 0x500);
    expect([id, operation]).toEqual([1, { kind: "in8", port: 0x100 }]);
    expect(services.step(id, 0x11)).toEqual({ kind: "in8", port: 0x101 });
    expect(services.step(id, 0x22)).toEqual({ kind: "out8", port: 0x200, value: 2 });
    expect(services.step(id, 0)).toEqual({ kind: "done" });
    expect([cpu.bytes[0x2000], cpu.bytes[0x2001]]).toEqual([0x11, 0x22]);
    expect(services.step(id, 0)).toBeUndefined();
  });

  it("give up at a page fault and do the same step again once the page is there", () => {
    const { cpu, services } = bench();
    cpu.bytes[0x500] = 2;
    const { id } = services.begin("copy", 0x500);
    cpu.isPageMissing = true;
    expect(() => services.step(id, 0x11)).toThrow(GuestFaultSignal);
    expect(() => services.step(id, 0x11)).toThrow(GuestFaultSignal);
    cpu.isPageMissing = false;
    expect(services.step(id, 0x11)).toEqual({ kind: "in8", port: 0x101 });
    expect(cpu.bytes[0x2000]).toBe(0x11);
    expect(services.step(id, 0x22)?.kind).toBe("out8");
  });

  it("go on from a saved state, without doing anything twice", () => {
    const { cpu, make, services } = bench();
    cpu.bytes[0x500] = 3;
    const { id } = services.begin("copy", 0x500);
    services.step(id, 0x11);
    services.step(id, 0x22);
    const saved = services.save();
    const effects = cpu.bytes[0x1000];
    const other = make();
    const state = StateReader.open({ kind: "x", version: 1, data: { directed: saved } }, "x", 1);
    other.load(state.children("directed", 8));
    expect(cpu.bytes[0x1000]).toBe(effects);
    expect(other.save()).toEqual(saved);
    expect(other.step(id, 0x33)).toEqual({ kind: "out8", port: 0x200, value: 3 });
    expect([...cpu.bytes.subarray(0x2000, 0x2003)]).toEqual([0x11, 0x22, 0x33]);
  });

  it("may be nested; beyond eight the oldest is forgotten", () => {
    const { cpu, services } = bench();
    cpu.bytes[0x500] = 1;
    const ids = Array.from({ length: 9 }, () => services.begin("copy", 0x500).id);
    expect(ids).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 1]);
    for (const id of [8, 3, 1]) expect(services.step(id, 1)?.kind).toBe("out8");
    expect(services.step(99, 0)).toBeUndefined();
    services.reset();
    expect(services.step(2, 0)).toBeUndefined();
  });
});
