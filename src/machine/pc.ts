/**
 * The PC: a walk from a MachineSpec to devices. i440FX and PIIX3 with what hangs on them, in VirtualBox's places. Order
 * below is the order of attaching, of reset and of saved state. Everything that is not a device (buses, clock, memory) is
 * made first; wires between devices are arrows in this file and nowhere else.
 */
import type { BlockBackend, MediumSlot } from "../backend-api/block.ts";
import type { CharBackend } from "../backend-api/char.ts";
import { AnneauError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { createSoftwareCpu } from "../cpu/create.ts";
import { memoryPages, RAM } from "../cpu/layout.ts";
import type { SoftwareCpu, SoftwareCpuOptions } from "../cpu/software-cpu.ts";
import type { WallClock } from "../device-api/clock.ts";
import type { Device } from "../device-api/device.ts";
import type { CpuBus } from "../device-api/virtual-cpu.ts";
import * as devices from "../devices/catalogue.ts";
import { createFirmware, type Firmware } from "../firmware/index.ts";
import { limits, type MachineSpec } from "../spec/machine-spec.ts";
import { type BootDrive, MachineBootMedia } from "./boot-media.ts";
import { HostTimeSource, InstructionTimeSource, MachineClock } from "./clock.ts";
import { cmosFor } from "./cmos.ts";
import { DemandLog } from "./demand-log.ts";
import { MachineDeviceContext } from "./device-context.ts";
import { DeviceMemoryAllocator } from "./device-memory.ts";
import { SharedGuestMemory } from "./guest-memory.ts";
import { Machine, type MachineFront, type MachineOwner } from "./machine.ts";
import { MemoryBus } from "./memory-bus.ts";
import { PciBus } from "./pci-bus.ts";
import { PortBus } from "./port-bus.ts";
import { memoryState, type Saveable, WireState } from "./saved-state.ts";
import { ShadowRam } from "./shadow-ram.ts";
import { createTracer } from "./trace.ts";

const MIB = 1 << 20;
/** Room for ROM copies behind the video memory. */
const ROM_SPACE_BYTES = MIB;
const VIDEO_ROM_BASE = 0xc0000;
const BIOS_END = 0x100000;
const BIOS_HIGH_END = 0x1_0000_0000;
/** How much of a BIOS image shows below 1 MiB. */
const BIOS_LOW_BYTES = 0x20000;

/** What hangs on the machine's connectors. A drive of the spec needs its slot; an empty slot is a drive without a disc. */
export interface MachineBackends {
  ide(port: 0 | 1, device: 0 | 1): MediumSlot | undefined;
  floppy(drive: 0 | 1): MediumSlot | undefined;
  /** By index of spec.uarts. */
  uart(index: number): CharBackend | undefined;
}

export interface PcHost extends MachineOwner {
  readonly log: Logger;
  /** A monotonic clock in nanoseconds. */
  readonly hostNowNs: () => number;
  readonly wallClock: WallClock;
  /** Names of trace channels that are on. */
  readonly trace?: ReadonlySet<string>;
  readonly onTraceLine?: (line: string) => void;
  /** Another CPU engine, for tests. */
  readonly createCpu?: (options: SoftwareCpuOptions) => Promise<SoftwareCpu>;
}

/** Assembles the machine, powered off. Throws one line for a spec that this PC cannot be. */
export async function assemblePc(wanted: MachineSpec, backends: MachineBackends, host: PcHost): Promise<Machine> {
  checkSpec(wanted);
  const spec = withoutMissingParts(wanted, host.log);

  // Memory: RAM, then video memory and ROM copies.
  const ramBytes = spec.ramMiB * MIB;
  const vramBytes = spec.graphics === "none" ? 0 : Math.max(1, spec.vramMiB) * MIB;
  const vramBarBytes = vramBytes === 0 ? 0 : 2 ** Math.ceil(Math.log2(vramBytes));
  const pages = memoryPages(ramBytes, vramBarBytes + ROM_SPACE_BYTES);
  const shared = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const deviceMemory = new DeviceMemoryAllocator(shared, RAM + ramBytes);

  // CPU, clock and buses know one another: the bus object is filled in below, before anything runs.
  const log = host.log;
  const demand = new DemandLog(log);
  let clock: MachineClock | undefined;
  const trace = createTracer(host.trace ?? new Set(), () => clock?.nowNs() ?? 0, host.onTraceLine ?? (() => {}));
  const ports = new PortBus(demand, trace("pio"));
  let memoryBus: MemoryBus | undefined;
  let pic: devices.PicDevice | undefined;
  const bus: CpuBus = {
    readPort: (port, size) => ports.readPort(port, size),
    writePort: (port, size, value) => ports.writePort(port, size, value),
    readPortBulk: (port, size, target) => ports.readPortBulk(port, size, target),
    writePortBulk: (port, size, source) => ports.writePortBulk(port, size, source),
    readMmio: (gpa, size) => memoryBus!.readMmio(gpa, size),
    writeMmio: (gpa, size, value) => memoryBus!.writeMmio(gpa, size, value),
    acknowledgeInterrupt: () => pic!.acknowledge(),
    readTsc: () => clock!.nowNs(),
  };
  const cpu = await (host.createCpu ?? createSoftwareCpu)({
    memory: shared,
    bus,
    features: spec.cpu,
    onDemand: (text) => demand.note("cpu", text, (place) => String(place)),
  });
  const time =
    spec.deterministic === undefined
      ? new HostTimeSource(host.hostNowNs)
      : new InstructionTimeSource(spec.deterministic.nsPerInstruction, () => cpu.instructionCount);
  clock = new MachineClock(time);
  const machineClock = clock;
  const memory = new SharedGuestMemory({
    memory: shared,
    ramHostOffset: RAM,
    ramBytes,
    invalidateCode: (gpa, length) => cpu.invalidateCode(gpa, length),
  });
  memoryBus = new MemoryBus({
    bytes: new Uint8Array(shared.buffer),
    pageMap: cpu.physicalMap,
    demand,
    trace: trace("mmio"),
    onDirectWrite: (gpa, length) => cpu.invalidateCode(gpa, length),
  });
  const addressSpace = memoryBus;

  // Memory map: RAM around the legacy hole, shadow RAM over ROM in the hole.
  const shadow = new ShadowRam(addressSpace, RAM);
  addressSpace.addMemory("RAM", 0, 0xa0000, RAM, true);
  addressSpace.addMemory("RAM", 0x100000, ramBytes - 0x100000, RAM + 0x100000, true);

  const wires = new WireState();
  const a20 = wires.add("a20", (level) => cpu.setA20(level));
  const intr = wires.add("intr", (level) => cpu.setInterruptLine(level));

  // Requests that devices make of the machine; the machine exists once everything is assembled.
  let machine: Machine | undefined;
  const requestReset = (request: devices.ResetRequest): void => machine?.requestReset(request);
  const requestPowerOff = (): void => machine?.requestPowerOff();

  // A deterministic machine's time of day moves with its instructions too.
  const { wallClock: hostWallClock } = host;
  const wallClock: WallClock =
    spec.deterministic === undefined
      ? hostWallClock
      : {
          nowMs: () => hostWallClock.nowMs() + machineClock.lastNs / 1e6,
          utcOffsetMinutes: () => hostWallClock.utcOffsetMinutes(),
        };

  // Interrupt controller, PCI bus, chipset.
  pic = devices.createPic({ intr });
  const interruptController = pic;
  const piix3 = devices.createPiix3Isa();
  const pirqs = [0, 1, 2, 3].map((pirq) => piix3.pirq(pirq));
  const pci = new PciBus({
    ports,
    memory: addressSpace,
    trace: trace("pci"),
    setPirq: (pirq, level) => (level ? pirqs[pirq].raise() : pirqs[pirq].lower()),
    placeRom: (rom) => deviceMemory.allocateCopy(rom).hostOffset,
  });
  const pit = devices.createPit();
  const platform: Device[] = [
    pic,
    devices.createI440fx({ onPamChange: (index, value) => shadow.setPam(index, value) }),
    piix3,
    pit,
    devices.createRtc({
      wallClock,
      isUtc: spec.rtcUseUtc,
      offsetMs: spec.systemTimeOffsetMs,
      initialCmos: cmosFor(spec),
    }),
    devices.createSystemPorts({ timer2: { gate: pit.gate2, out: pit.out2 }, a20, requestReset }),
  ];

  // Serial ports.
  const uarts = spec.uarts.flatMap((uart, index) =>
    uart.enabled ? [devices.createUart({ ...uart, number: index + 1, backend: backends.uart(index) })] : [],
  );

  // Storage.
  const bootDrives: BootDrive[] = [];
  const storage: Device[] = [];
  if (spec.ide !== undefined) {
    const drives = spec.ide.drives.map(({ port, device, type }) => {
      const slot = backends.ide(port, device);
      if (slot === undefined) throw new AnneauError(`nothing is connected to IDE port ${port}, device ${device}`);
      const name = `IDE ${port === 0 ? "primary" : "secondary"} ${device === 0 ? "master" : "slave"}`;
      bootDrives.push({ kind: type, name, attachment: { bus: "ide", channel: port, device }, slot });
      if (type === "dvd") return { port, device, kind: "dvd", slot } as const;
      return { port, device, kind: "disk", backend: mediumOf(slot, name) } as const;
    });
    storage.push(devices.createIde({ model: spec.ide.model, drives }));
  }

  // Firmware, whose video ROM is also the graphics card's.
  const firmware: Firmware = createFirmware({
    spec,
    cpu,
    memory,
    ports,
    bootMedia: new MachineBootMedia(spec, bootDrives),
    powerOff: requestPowerOff,
  });

  // Graphics.
  const front: { -readonly [K in keyof MachineFront]: MachineFront[K] } = {};
  const graphics: Device[] = [];
  if (spec.graphics !== "none") {
    const expansionRom = firmware.videoRom;
    const vga = devices.createVga({ vram: deviceMemory.allocate(vramBarBytes), vramBytes, expansionRom });
    front.display = vga;
    graphics.push(vga);
  }

  // A user's BIOS brings its own services: ours stays out of the machine then.
  const ownFirmware = spec.biosImage === undefined ? [firmware] : [];
  const all: Device[] = [...platform, ...uarts, ...storage, ...graphics, ...ownFirmware];
  for (const device of all) {
    const isaIrq = (irq: number) => interruptController.irq(irq);
    const parts = { clock: machineClock, memory, log, trace, ports, memoryBus: addressSpace, pci, isaIrq };
    device.attach(new MachineDeviceContext(parts, device.id));
  }
  mapRoms(spec, firmware, addressSpace, deviceMemory);

  const saveables: Saveable[] = [
    memoryState("ram", new Uint8Array(shared.buffer, RAM, ramBytes)),
    { id: "pci-bus", save: () => pci.save(), load: (leaf) => pci.load(leaf) },
    ...all,
    wires,
    { id: "cpu", save: () => cpu.save(), load: (leaf) => cpu.load(leaf) },
  ];
  for (const line of pci.describe()) log.info(`PCI ${line}`);
  machine = new Machine(
    {
      spec,
      cpu,
      clock,
      time,
      memory,
      ports,
      memoryBus: addressSpace,
      pci,
      devices: all,
      saveables,
      wires: { a20 },
      demand,
      front,
    },
    host,
  );
  return machine;
}

function checkSpec(spec: MachineSpec): void {
  const { min } = limits.ramMiB;
  if (!Number.isInteger(spec.ramMiB) || spec.ramMiB < min || spec.ramMiB > limits.ramMiBSupported)
    throw new AnneauError(`a machine with ${spec.ramMiB} MB of memory cannot be: ${min} to ${limits.ramMiBSupported}`);
  if (spec.vramMiB < limits.vramMiB.min || spec.vramMiB > limits.vramMiB.max)
    throw new AnneauError(`${spec.vramMiB} MB of video memory cannot be: 0 to ${limits.vramMiB.max}`);
  if (spec.cpuCount !== 1) throw new AnneauError(`${spec.cpuCount} CPUs cannot be: a machine has one`);
  const size = spec.biosImage?.length;
  if (size !== undefined && ![0x10000, 0x20000, 0x40000].includes(size))
    throw new AnneauError(`a BIOS image of ${size} bytes cannot be: 64, 128 or 256 KiB`);
}

/** Parts that this PC does not have yet, so that the firmware's tables do not promise them. */
function withoutMissingParts(spec: MachineSpec, log: Logger): MachineSpec {
  if (spec.ioApic) log.warn("the I/O APIC is not there: interrupts go through the 8259 pair");
  if (spec.hpet) log.warn("the high precision event timer is not there");
  return { ...spec, ioApic: false, hpet: false };
}

/** The BIOS ends at 1 MiB and again at 4 GiB; the video BIOS of our firmware lies at C0000h. */
function mapRoms(spec: MachineSpec, firmware: Firmware, bus: MemoryBus, allocator: DeviceMemoryAllocator): void {
  const bios = allocator.allocateCopy(spec.biosImage ?? firmware.systemRom);
  const { length } = bios.bytes;
  const low = Math.min(length, BIOS_LOW_BYTES);
  bus.addMemory("BIOS", BIOS_END - low, low, bios.hostOffset + length - low, false);
  bus.addMemory("BIOS", BIOS_HIGH_END - length, length, bios.hostOffset, false);
  if (spec.graphics === "none" || spec.biosImage !== undefined) return;
  const video = allocator.allocateCopy(firmware.videoRom);
  bus.addMemory("video BIOS", VIDEO_ROM_BASE, video.bytes.length, video.hostOffset, false);
}

function mediumOf(slot: MediumSlot, name: string): BlockBackend {
  if (slot.medium === undefined) throw new AnneauError(`the disk at ${name} has no medium`);
  return slot.medium;
}
