/**
 * What a machine has before it has devices: the shared memory, the CPU, the clock and the buses, tied to one another. Guest RAM
 * lies where the CPU's layout says, device memory (frame buffer, ROM copies) behind it.
 */
import type { TraceChannel, TraceChannelName } from "../base/logger.ts";
import { createSoftwareCpu } from "../cpu/create.ts";
import { memoryPages, RAM } from "../cpu/layout.ts";
import type { SoftwareCpu } from "../cpu/software-cpu.ts";
import type { WallClock } from "../device-api/clock.ts";
import type { CpuBus, CpuLocalApic } from "../device-api/virtual-cpu.ts";
import type { MachineSpec } from "../spec/machine-spec.ts";
import { HostTimeSource, InstructionTimeSource, MachineClock } from "./clock.ts";
import { DemandLog } from "./demand-log.ts";
import { DeviceMemoryAllocator } from "./device-memory.ts";
import { SharedGuestMemory } from "./guest-memory.ts";
import { MemoryBus } from "./memory-bus.ts";
import type { PcHost } from "./pc.ts";
import { PortBus } from "./port-bus.ts";
import { WireState } from "./saved-state.ts";
import { createTracer } from "./trace.ts";

const MIB = 1 << 20;
/** Room for ROM copies and the adapter’s shadow beside the video memory. */
const ROM_SPACE_BYTES = MIB;
/** A device access takes the host about as long as this many instructions. */
const WORK_PER_ACCESS = 500;

/** Video memory that the guest is told about; 0 without graphics. */
export function vramBytes(spec: MachineSpec): number {
  return spec.graphics === "none" ? 0 : Math.max(1, spec.vramMiB) * MIB;
}

/** The frame buffer's BAR: a power of two that holds it. */
export function vramBarBytes(spec: MachineSpec): number {
  const bytes = vramBytes(spec);
  return bytes === 0 ? 0 : 2 ** Math.ceil(Math.log2(bytes));
}

/** The command queue of VMSVGA; 0 without it. */
export function svgaFifoBytes(spec: MachineSpec): number {
  return spec.graphics === "vmsvga" ? 2 * MIB : 0;
}

export interface MachineCore {
  readonly cpu: SoftwareCpu;
  readonly time: HostTimeSource | InstructionTimeSource;
  readonly clock: MachineClock;
  readonly wallClock: WallClock;
  readonly memory: SharedGuestMemory;
  readonly hostMemory: SharedArrayBuffer;
  /** Guest RAM, all of it, as bytes. */
  readonly ram: Uint8Array;
  readonly deviceMemory: DeviceMemoryAllocator;
  readonly ports: PortBus;
  readonly memoryBus: MemoryBus;
  readonly wires: WireState;
  readonly demand: DemandLog;
  readonly trace: (channel: TraceChannelName) => TraceChannel;
  /** The INTA cycle; set once there is an interrupt controller. */
  acknowledgeInterrupt: () => number;
  /** Set once there is one. */
  localApic?: CpuLocalApic;
}

export async function createCore(spec: MachineSpec, host: PcHost): Promise<MachineCore> {
  const ramBytes = spec.ramMiB * MIB;
  const pages = memoryPages(ramBytes, vramBarBytes(spec) + svgaFifoBytes(spec) + ROM_SPACE_BYTES);
  const shared = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const demand = new DemandLog(host.log);
  let clock: MachineClock | undefined;
  const trace = createTracer(host.trace ?? new Set(), () => clock?.nowNs() ?? 0, host.onTraceLine ?? (() => {}));
  const ports = new PortBus(demand, trace("pio"));

  // CPU and buses know one another; nothing is called before all of them are there.
  let core: MachineCore | undefined;
  const bus: CpuBus = {
    readPort: (port, size) => ports.readPort(port, size),
    writePort: (port, size, value) => ports.writePort(port, size, value),
    readPortBulk: (port, size, target) => ports.readPortBulk(port, size, target),
    writePortBulk: (port, size, source) => ports.writePortBulk(port, size, source),
    readMmio: (gpa, size) => core!.memoryBus.readMmio(gpa, size),
    writeMmio: (gpa, size, value) => core!.memoryBus.writeMmio(gpa, size, value),
    acknowledgeInterrupt: () => core!.acknowledgeInterrupt(),
    get localApic() {
      return core?.localApic;
    },
    readTsc: () => core!.clock.nowNs(),
  };
  const cpu = await (host.createCpu ?? createSoftwareCpu)({
    memory: shared,
    bus,
    features: spec.cpu,
    engine: spec.cpu.engine,
    hasSmallTlb: spec.cpu.hasSmallTlb,
    onDemand: (text) => demand.note("cpu", text, (place) => String(place)),
  });
  const invalidateCode = (gpa: number, lengthBytes: number) => cpu.invalidateCode(gpa, lengthBytes);
  const time = createTimeSource(spec, host, cpu, () => ports.accesses + (core?.memoryBus.accesses ?? 0));
  clock = new MachineClock(time);
  core = {
    cpu,
    time,
    clock,
    wallClock: createWallClock(spec, host, clock),
    hostMemory: shared.buffer as unknown as SharedArrayBuffer,
    memory: new SharedGuestMemory({ memory: shared, ramHostOffset: RAM, ramBytes, invalidateCode }),
    ram: new Uint8Array(shared.buffer, RAM, ramBytes),
    deviceMemory: new DeviceMemoryAllocator(shared, RAM + ramBytes),
    ports,
    memoryBus: new MemoryBus({
      bytes: new Uint8Array(shared.buffer),
      pageMap: cpu.physicalMap,
      demand,
      trace: trace("mmio"),
      onDirectWrite: invalidateCode,
    }),
    wires: new WireState(),
    demand,
    trace,
    acknowledgeInterrupt: () => 0,
  };
  return core;
}

function createTimeSource(
  spec: MachineSpec,
  host: PcHost,
  cpu: SoftwareCpu,
  accesses: () => number,
): HostTimeSource | InstructionTimeSource {
  if (spec.deterministic === undefined)
    return new HostTimeSource(host.hostNowNs, () => cpu.instructionCount + accesses() * WORK_PER_ACCESS);
  return new InstructionTimeSource(spec.deterministic.nsPerInstruction, () => cpu.instructionCount);
}

/** A deterministic machine's time of day moves with its instructions too. */
function createWallClock(spec: MachineSpec, host: PcHost, clock: MachineClock): WallClock {
  const { wallClock } = host;
  if (spec.deterministic === undefined) return wallClock;
  return {
    nowMs: () => wallClock.nowMs() + clock.lastNs / 1e6,
    utcOffsetMinutes: () => wallClock.utcOffsetMinutes(),
  };
}
