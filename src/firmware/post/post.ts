/**
 * Power-on self-test, as a directed service: chipset, PCI, low memory, keyboard, option ROMs, disks, then either the kernel
 * of `spec.linux` or the boot order. Runs once per processor reset; the CMOS shutdown byte may send it straight back to
 * the program that reset the processor (IBM PC/AT Technical Reference, "Shutdown").
 */
import { AnneauError } from "../../base/errors.ts";
import { BDA_BASE, bda } from "../bios-data-area.ts";
import { print } from "../boot/guest-calls.ts";
import { startSystem } from "../boot/menu.ts";
import { storeCallRegisters } from "../call-block.ts";
import type { Directed, ServiceMemory } from "../directed.ts";
import { driveType, driveTypeFor } from "../disk/floppy-parameters.ts";
import { planLinuxBoot } from "../linux-boot.ts";
import { buildMemoryMap } from "../memory-map.ts";
import type { ServiceContext } from "../service-context.ts";
import {
  cmos,
  findParallelPorts,
  findSerialPorts,
  initialiseInterruptControllers,
  initialiseTimersAndDma,
  readCmos,
  writeCmos,
  writeCmosContents,
} from "./chipset.ts";
import { probeDisks, startFloppy } from "./disk-probe.ts";
import { startKeyboard } from "./keyboard-setup.ts";
import { fillLowMemory } from "./low-memory.ts";
import { initialisePci } from "./pci-setup.ts";

const VIDEO_ROM = 0xc0000;
const OPTION_ROMS = 0xc8000;
const OPTION_ROMS_END = 0xe0000;
const OPTION_ROM_STEP = 0x800;
const LOCAL_APIC = 0xfee00000;
const IO_APIC = 0xfec00000;
const APIC_SPURIOUS = LOCAL_APIC + 0xf0;
const APIC_LINT0 = LOCAL_APIC + 0x350;
const APIC_LINT1 = LOCAL_APIC + 0x360;

export function* post(context: ServiceContext, memory: ServiceMemory): Directed {
  const { ports, spec } = context;
  const shutdown = memory.input(() => readCmos(ports, cmos.shutdown));
  memory.effect(() => {
    writeCmos(ports, cmos.shutdown, 0);
    // Every reset of the processor closes the way of the 8259s' request.
    if (spec.ioApic) wireLocalApic(context);
  });
  yield* resumeAfterShutdown(memory, shutdown, () => initialiseInterruptControllers(ports));

  memory.effect(() => {
    context.drives.reset();
    initialiseInterruptControllers(ports);
    initialiseTimersAndDma(ports);
    initialisePci(ports, (line) => context.log().warn(line));
    if (spec.ioApic) nameIoApic(context);
    if (context.acpiTables) context.memory.write(context.acpiTables.base, context.acpiTables.bytes);
    fillMemory(context, memory);
  });
  if (!(yield* startKeyboard(memory)))
    memory.effect(() => context.log().warn("firmware: the keyboard does not answer"));
  if (spec.graphics !== "none") yield* runOptionRom(memory, VIDEO_ROM, 0x7f);
  yield* runOptionRoms(memory);
  if (spec.linux) {
    yield* startLinux(context, memory);
    for (;;) yield { kind: "halt" };
  }
  yield* print(memory, banner(context));
  yield* startFloppy(context, memory);
  yield* probeDisks(context, memory);
  memory.effect(() => recordConfiguration(context));
  yield* startSystem(context, memory, true);
}

function banner(context: ServiceContext): string {
  const { cpuCount } = context.spec;
  const mib = context.memory.ramBytes / 0x100000;
  return `Anneau firmware\n${mib} MiB memory, ${cpuCount} processor${cpuCount > 1 ? "s" : ""}\n\n`;
}

/** Codes 5, 9 and 0Ah go back to the program through 40:67; every other value is an ordinary start. */
function* resumeAfterShutdown(memory: ServiceMemory, code: number, resetPics: () => void): Directed {
  if (code !== 0x05 && code !== 0x09 && code !== 0x0a) return;
  if (code === 0x05) memory.effect(resetPics);
  const offset = memory.read16(BDA_BASE + bda.resumeOffset);
  const segment = memory.read16(BDA_BASE + bda.resumeSegment);
  if (code === 0x09) yield { kind: "resume-frame", segment, offset };
  else {
    storeCallRegisters(memory, { flags: 0x0002 });
    yield { kind: "jump", segment, offset };
  }
}

/** Virtual wire mode: the 8259s' request comes through LINT0, NMI through LINT1 (Intel MP specification 1.4, 3.6.2). */
function wireLocalApic({ cpu }: ServiceContext): void {
  cpu.writeLinear(APIC_SPURIOUS, 4, 0x1ff);
  cpu.writeLinear(APIC_LINT0, 4, 0x700);
  cpu.writeLinear(APIC_LINT1, 4, 0x400);
}

/** The id that the MADT and the MP table give it. */
function nameIoApic({ cpu, spec }: ServiceContext): void {
  cpu.writeLinear(IO_APIC, 4, 0);
  cpu.writeLinear(IO_APIC + 0x10, 4, (spec.cpuCount << 24) >>> 0);
}

function fillMemory(context: ServiceContext, memory: ServiceMemory): void {
  const { ports, spec } = context;
  const comPorts = findSerialPorts(spec, ports);
  const lptPorts = findParallelPorts(spec, ports);
  const equipment = equipmentWord(context, comPorts.length, lptPorts.length);
  fillLowMemory(memory, context.rom.labels, {
    equipment,
    comPorts,
    lptPorts,
    diskCount: 0,
    ticks: clockTicks(context),
  });
  recordConfiguration(context, equipment);
}

/**
 * Bits: 0 floppies there, 1 coprocessor, 2 pointing device, 4–5 video (left to the card's ROM), 6–7 floppies less one, 9–11
 * serial ports, 14–15 parallel ports.
 */
function equipmentWord(context: ServiceContext, comPorts: number, lptPorts: number): number {
  const floppies = context.spec.floppy?.drives.length ?? 0;
  return (floppies > 0 ? 1 | ((floppies - 1) << 6) : 0) | 0x06 | (comPorts << 9) | (lptPorts << 14);
}

function recordConfiguration(context: ServiceContext, equipment = equipmentWord(context, 0, 0)): void {
  const { bootMedia, spec } = context;
  const typeOf = (drive: 0 | 1) => {
    if (!spec.floppy?.drives.includes(drive)) return driveType.none;
    const medium = bootMedia.media.find(({ attachment: at }) => at.bus === "floppy" && at.drive === drive);
    return driveTypeFor(medium?.sizeBytes ?? 0);
  };
  writeCmosContents(context.ports, {
    ramBytes: context.memory.ramBytes,
    floppyTypes: [typeOf(0), typeOf(1)],
    diskCount: context.drives.disks.length,
    equipment: equipment & 0xff,
  });
}

/** The real-time clock's time of day in timer ticks. */
function clockTicks(context: ServiceContext): number {
  const read = (index: number) => {
    const value = readCmos(context.ports, index);
    return (value >> 4) * 10 + (value & 15);
  };
  const seconds = read(0) + 60 * read(2) + 3600 * read(4);
  return Math.floor((seconds * 1193182) / 65536);
}

function* runOptionRoms(memory: ServiceMemory): Directed {
  for (let at = OPTION_ROMS; at < OPTION_ROMS_END; ) {
    const length = yield* runOptionRom(memory, at, 0xff);
    at += Math.max(OPTION_ROM_STEP, Math.ceil(length / OPTION_ROM_STEP) * OPTION_ROM_STEP);
  }
}

/** Calls the ROM's initialisation if signature and checksum are right; returns its length in bytes, 0 if none. */
function* runOptionRom(memory: ServiceMemory, base: number, mostBlocks: number): Directed<number> {
  const header = memory.readBytes(base, 3);
  const blocks = header[2];
  if (header[0] !== 0x55 || header[1] !== 0xaa || blocks === 0 || blocks > mostBlocks) return 0;
  const rom = memory.readBytes(base, blocks * 512);
  if (rom.reduce((sum, byte) => sum + byte, 0) % 256 !== 0) return 0;
  storeCallRegisters(memory, { flags: 0x0002 });
  yield { kind: "call", segment: base >> 4, offset: 3 };
  return rom.length;
}

function* startLinux(context: ServiceContext, memory: ServiceMemory): Directed {
  const { ramBytes } = context.memory;
  const hasVga = context.spec.graphics !== "none";
  let plan: ReturnType<typeof planLinuxBoot>;
  try {
    plan = planLinuxBoot(context.spec.linux!, { ramBytes, memoryMap: buildMemoryMap(ramBytes), hasVga });
  } catch (error) {
    if (!(error instanceof AnneauError)) throw error;
    memory.effect(() => context.log().error(error.message));
    yield* print(memory, `${error.message}\n`);
    return;
  }
  memory.effect(() => {
    for (const piece of plan.pieces) context.memory.write(piece.gpa, piece.bytes);
  });
  if (hasVga) memory.write16(plan.zeroPage, memory.read16(BDA_BASE + bda.cursorPositions));
  storeCallRegisters(memory, { flags: 0x0002 });
  yield { kind: "jump", segment: plan.entry.segment, offset: plan.entry.offset };
}
