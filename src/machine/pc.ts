/**
 * The PC: a walk from a MachineSpec to devices. i440FX and PIIX3 with what hangs on them, in VirtualBox's places. Order
 * below is the order of attaching, of reset and of saved state. Everything that is not a device (buses, clock, memory) is
 * made first; wires between devices are arrows in this file and nowhere else.
 */
import { type AudioBackend, silentAudio } from "../backend-api/audio.ts";
import type { BlockBackend, MediumSlot } from "../backend-api/block.ts";
import type { CharBackend } from "../backend-api/char.ts";
import type { KeyboardSink, PointerSink } from "../backend-api/display.ts";
import type { NetBackend } from "../backend-api/net.ts";
import { AnneauError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { RAM } from "../cpu/layout.ts";
import type { SoftwareCpu, SoftwareCpuOptions } from "../cpu/software-cpu.ts";
import type { WallClock } from "../device-api/clock.ts";
import type { Device } from "../device-api/device.ts";
import type { DmaChannel } from "../device-api/dma-channel.ts";
import * as devices from "../devices/catalogue.ts";
import { createFirmware, type Firmware } from "../firmware/index.ts";
import { limits, type MachineSpec } from "../spec/machine-spec.ts";
import { type BootDrive, MachineBootMedia } from "./boot-media.ts";
import { cmosFor } from "./cmos.ts";
import { createCore, svgaFifoBytes, vramBarBytes, vramBytes } from "./core.ts";
import { MachineDeviceContext } from "./device-context.ts";
import type { DeviceMemoryAllocator } from "./device-memory.ts";
import { createInterrupts } from "./interrupts.ts";
import { Machine, type MachineFront, type MachineOwner } from "./machine.ts";
import type { MemoryBus } from "./memory-bus.ts";
import { createCables, createNetworkCards, inBootOrder } from "./network-cards.ts";
import { PciBus } from "./pci-bus.ts";
import { memoryState, type Saveable } from "./saved-state.ts";
import { ShadowRam } from "./shadow-ram.ts";

/** I/O APIC inputs that the HPET's timers may be routed to. */
const HPET_INPUTS = [20, 21, 22, 23];
const LEGACY_HOLE_BASE = 0xa0000;
const LEGACY_HOLE_END = 0x100000;
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
  /** By index of spec.parallels: the printer. */
  parallel?(index: number): CharBackend | undefined;
  /** By index of spec.nics; without one nothing answers at the other end of the cable. */
  nic(index: number): NetBackend | undefined;
  /** What the sound card plays into; nobody listens without it. */
  audio?(): AudioBackend | undefined;
  /** What the PC's own loudspeaker plays into; absent: nobody hears it, and it costs nothing. */
  speaker?(): AudioBackend | undefined;
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
export async function assemblePc(spec: MachineSpec, backends: MachineBackends, host: PcHost): Promise<Machine> {
  checkSpec(spec);
  const core = await createCore(spec, host);
  const { cpu, clock, memory, ports, memoryBus, wires } = core;
  const shadow = new ShadowRam(memoryBus, RAM);
  memoryBus.addMemory("RAM", 0, LEGACY_HOLE_BASE, RAM, true);
  memoryBus.addMemory("RAM", LEGACY_HOLE_END, memory.ramBytes - LEGACY_HOLE_END, RAM + LEGACY_HOLE_END, true);

  // Requests that devices make of the machine, which exists once everything is assembled.
  let machine: Machine | undefined;
  const requestReset = (request: devices.ResetRequest): void => machine?.requestReset(request);
  const requestPowerOff = (): void => machine?.requestPowerOff();

  // Interrupt controller, chipset, PCI bus.
  const a20 = wires.add("a20", (level) => cpu.setA20(level));
  const interrupts = createInterrupts(spec, core, requestReset);
  const i440fx = devices.createI440fx({ onPamChange: (index, value) => shadow.setPam(index, value) });
  const piix3 = devices.createPiix3Isa();
  const pirqs = [0, 1, 2, 3].map((pirq) => piix3.pirq(pirq));
  const pci = new PciBus({
    ports,
    memory: memoryBus,
    trace: core.trace("pci"),
    setPirq: (pirq, level) => (level ? pirqs[pirq].raise() : pirqs[pirq].lower()),
    setApicInput: (input, level) => interrupts.setPciInput(input, level),
    placeRom: (rom) => core.deviceMemory.allocateCopy(rom).hostOffset,
  });

  // Timers, ports and power.
  const hpet = spec.hpet
    ? devices.createHpet({ inputs: HPET_INPUTS.map((pin) => ({ pin, line: interrupts.apicInput(pin) })) })
    : undefined;
  const pit = devices.createPit();
  const dma = devices.createDma();
  const rtc = devices.createRtc({
    wallClock: core.wallClock,
    isUtc: spec.rtcUseUtc,
    offsetMs: spec.systemTimeOffsetMs,
    initialCmos: cmosFor(spec, (drive) => backends.floppy(drive)?.medium?.sizeBytes ?? 0),
  });
  // FERR#: an x87 error with CR0.NE clear comes as IRQ 13; a write to port F0h takes it back.
  const fpuError = interrupts.isaIrq(13);
  core.cpu.onFpuError = () => fpuError.raise();
  const systemPorts = devices.createSystemPorts({
    timer2: { gate: pit.gate2, out: pit.out2, outAt: (ns) => pit.out2.at(ns) },
    speaker: backends.speaker?.(),
    a20,
    requestReset,
    clearFpuError: () => fpuError.lower(),
  });
  pit.onCounter2 = () => systemPorts.settleSpeaker();
  const ps2 = devices.createPs2({ a20, requestReset });
  const acpiPm = devices.createAcpiPm({ isAcpiEnabled: spec.acpi, requestPowerOff, requestReset });

  // Serial and parallel ports, storage.
  const uarts = spec.uarts.flatMap((uart, index) =>
    uart.enabled ? [devices.createUart({ ...uart, number: index + 1, backend: backends.uart(index) })] : [],
  );
  const parallels = spec.parallels.flatMap((port, index) =>
    port.enabled
      ? [devices.createParallelPort({ ...port, number: index + 1, backend: backends.parallel?.(index) })]
      : [],
  );
  const bootDrives: BootDrive[] = [];
  const floppy = createFloppy(spec, backends, bootDrives, dma.channel(2));
  const storage = [...floppy, ...createIde(spec, backends, bootDrives)];
  const ohci = spec.usb ? devices.createOhci(spec.usb) : undefined;
  const cables = createCables(spec.nics, (index) => backends.nic(index));
  const networkCards = createNetworkCards(spec.nics, (index) => cables[index].card);

  // Firmware, whose video ROM is also the graphics card's; a user's BIOS brings its own services.
  const bootMedia = new MachineBootMedia(spec, bootDrives);
  const firmware = createFirmware({
    spec,
    cpu,
    memory,
    ports,
    bootMedia,
    bootNics: inBootOrder(spec.nics, cables),
    powerOff: requestPowerOff,
  });
  const vga =
    spec.graphics === "none"
      ? undefined
      : devices.createVga({
          // One behind the other, as the adapter wants them.
          shadow: core.deviceMemory.allocate(devices.VGA_SHADOW_BYTES),
          vram: core.deviceMemory.allocate(vramBarBytes(spec)),
          vramBytes: vramBytes(spec),
          hasHostInterface: spec.graphics === "vboxsvga",
          svgaFifo: spec.graphics === "vmsvga" ? core.deviceMemory.allocate(svgaFifoBytes(spec)) : undefined,
          expansionRom: firmware.videoRom,
        });

  const audio = createAudio(spec, backends, (channel) => dma.channel(channel));
  const platform: Device[] = [...interrupts.devices, i440fx, piix3, pit, dma, rtc, systemPorts, ps2, acpiPm];
  if (hpet) platform.push(hpet);
  const all: Device[] = [
    ...platform,
    ...uarts,
    ...parallels,
    ...storage,
    ...networkCards,
    ...(ohci ? [ohci] : []),
    ...(vga ? [vga] : []),
    ...audio,
    firmware,
  ];
  for (const device of all) {
    let { isaIrq } = interrupts;
    // What the PIIX3 steers does not come out on ISA's wires.
    if (device === piix3) isaIrq = interrupts.picIrq;
    // The HPET takes over the interrupts of the interval timer and the clock if the guest wants that.
    else if (hpet && (device === pit || device === rtc)) isaIrq = (irq) => hpet.replaceable(interrupts.isaIrq(irq));
    device.attach(new MachineDeviceContext({ ...core, log: host.log, pci, isaIrq }, device.id));
  }
  mapRoms(spec, firmware, memoryBus, core.deviceMemory);
  for (const line of pci.describe()) host.log.info(`PCI ${line}`);

  const saveables: Saveable[] = [
    memoryState("ram", core.ram),
    { id: "pci-bus", save: () => pci.save(), load: (leaf) => pci.load(leaf) },
    ...all,
    wires,
    { id: "cpu", save: () => cpu.save(), load: (leaf) => cpu.load(leaf) },
  ];
  const front: MachineFront = {
    display: vga,
    ...inputOf(ps2, ohci),
    powerButton: spec.acpi ? () => acpiPm.pressPowerButton() : undefined,
    setCableConnected: (index, isConnected) => {
      if (cables[index]) cables[index].isCableConnected = isConnected;
      networkCards[index]?.setCableConnected(isConnected);
    },
    sleepButton: spec.acpi ? () => acpiPm.pressSleepButton() : undefined,
  };
  machine = new Machine(
    { ...core, spec, clock, pci, devices: all, saveables, a20, front, onCpuReset: interrupts.onCpuReset },
    host,
  );
  return machine;
}

/** What people do goes to the USB devices while the guest uses them, else to the PS/2 ones: firmware knows only those. */
function inputOf(
  ps2: devices.Ps2Device,
  ohci: devices.OhciDevice | undefined,
): Pick<MachineFront, "keyboard" | "pointer" | "tablet"> {
  const keyboard = (): KeyboardSink => (ohci?.keyboard?.isInUse ? ohci.keyboard : ps2.keyboard);
  const pointer = (): PointerSink => (ohci?.mouse?.isInUse ? ohci.mouse : ps2.pointer);
  return {
    keyboard: {
      putScancode: (byte) => keyboard().putScancode(byte),
      get room() {
        return keyboard().room;
      },
      get leds() {
        return keyboard().leds;
      },
    },
    pointer: { putRelative: (dx, dy, dz, buttons) => pointer().putRelative(dx, dy, dz, buttons) },
    tablet: ohci?.tablet,
  };
}

/** The controller is there if the spec has one, with or without drives. */
function createFloppy(
  spec: MachineSpec,
  backends: MachineBackends,
  bootDrives: BootDrive[],
  dma: DmaChannel,
): Device[] {
  if (spec.floppy === undefined) return [];
  const drives = spec.floppy.drives.map((drive) => {
    const slot = backends.floppy(drive);
    if (slot === undefined) throw new AnneauError(`nothing is connected to floppy drive ${drive}`);
    bootDrives.push({ kind: "floppy", name: `floppy ${drive}`, attachment: { bus: "floppy", drive }, slot });
    return { drive, slot };
  });
  return [devices.createFloppy({ drives, dma })];
}

function createIde(spec: MachineSpec, backends: MachineBackends, bootDrives: BootDrive[]): Device[] {
  if (spec.ide === undefined) return [];
  const drives = spec.ide.drives.map(({ port, device, type }) => {
    const slot = backends.ide(port, device);
    if (slot === undefined) throw new AnneauError(`nothing is connected to IDE port ${port}, device ${device}`);
    const name = `IDE ${port === 0 ? "primary" : "secondary"} ${device === 0 ? "master" : "slave"}`;
    bootDrives.push({ kind: type, name, attachment: { bus: "ide", channel: port, device }, slot });
    if (type === "dvd") return { port, device, kind: "dvd", slot } as const;
    return { port, device, kind: "disk", backend: mediumOf(slot, name) } as const;
  });
  return [devices.createIde({ model: spec.ide.model, drives })];
}

function createAudio(spec: MachineSpec, backends: MachineBackends, dma: (channel: number) => DmaChannel): Device[] {
  if (spec.audio === undefined) return [];
  const backend = backends.audio?.() ?? silentAudio;
  return [spec.audio.controller === "ac97" ? devices.createAc97({ backend }) : devices.createSb16({ backend, dma })];
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
