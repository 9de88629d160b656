/** The machine that `anneau run` describes with its options. */
import { readFileSync, statSync } from "node:fs";
import { AnneauError } from "../base/errors.ts";
import type { NicDescription } from "../config/machine-spec.ts";
import { planLinuxBoot } from "../firmware/linux-boot.ts";
import { buildMemoryMap } from "../firmware/memory-map.ts";
import type { LinuxBootSpec, MachineSpec, NicSpec } from "../spec/machine-spec.ts";
import type { FloppyAttachment, IdeAttachment } from "./machine-protocol.ts";

export interface RunMachineOptions {
  readonly memoryMiB: number;
  readonly vramMiB?: number;
  readonly cdrom?: string;
  /** At most three, in the order of the IDE places that a disc drive leaves free. */
  readonly disks: readonly string[];
  readonly floppy?: string;
  readonly kernel?: string;
  readonly initrd?: string;
  readonly append?: string;
  readonly bios?: string;
  readonly hasSerial: boolean;
  readonly hasGraphics: boolean;
  readonly bootOrder?: MachineSpec["bootOrder"];
  readonly isReadOnly?: boolean;
  readonly deterministic: boolean;
  /** Local and I/O APIC; there unless said otherwise. */
  readonly hasIoApic?: boolean;
  readonly engine?: MachineSpec["cpu"]["engine"];
  readonly nics: readonly { readonly spec: NicSpec; readonly description: NicDescription }[];
  readonly audio?: MachineSpec["audio"];
}

/** A deterministic machine runs at this speed of its own: about 100 MIPS. */
const NS_PER_INSTRUCTION = 10;
/** Primary master and slave, secondary slave; the secondary master is the disc drive. */
const diskPlaces = [
  [0, 0],
  [0, 1],
  [1, 1],
] as const;

export interface RunMachine {
  readonly spec: MachineSpec;
  readonly ide: readonly IdeAttachment[];
  readonly floppies: readonly FloppyAttachment[];
}

/** Reads kernel, initrd and BIOS; throws one line for a file that cannot be read or booted. */
export function describeRunMachine(options: RunMachineOptions): RunMachine {
  if (options.disks.length > diskPlaces.length) throw new AnneauError("there is room for three disks");
  if (options.initrd !== undefined && options.kernel === undefined)
    throw new AnneauError("an initial RAM disk needs a kernel");
  const ide: IdeAttachment[] = options.disks.map((path, i) => ({
    port: diskPlaces[i][0],
    device: diskPlaces[i][1],
    medium: { path, kind: "disk", readOnly: options.isReadOnly === true },
  }));
  const medium =
    options.cdrom === undefined ? undefined : ({ path: options.cdrom, kind: "dvd", readOnly: true } as const);
  ide.push({ port: 1, device: 0, medium });
  const floppies: FloppyAttachment[] =
    options.floppy === undefined
      ? []
      : [{ drive: 0, medium: { path: options.floppy, kind: "floppy", readOnly: options.isReadOnly === true } }];
  const linux =
    options.kernel === undefined
      ? undefined
      : {
          kernel: readBytes(options.kernel),
          initrd: options.initrd === undefined ? undefined : readBytes(options.initrd),
          commandLine: options.append ?? "",
        };
  if (linux) refuseBadKernel(linux, options);
  const spec: MachineSpec = {
    name: "run",
    uuid: "00000000-0000-4000-8000-00000000a11e",
    osTypeId: "Other",
    ramMiB: options.memoryMiB,
    vramMiB: options.vramMiB ?? 16,
    cpuCount: 1,
    cpu: { pae: true, nx: false, engine: options.engine },
    acpi: true,
    ioApic: options.hasIoApic ?? true,
    hpet: false,
    rtcUseUtc: true,
    systemTimeOffsetMs: 0,
    bootOrder: options.bootOrder ?? ["floppy", "dvd", "disk", "none"],
    graphics: options.hasGraphics ? "vboxvga" : "none",
    ide: {
      name: "IDE",
      model: "PIIX4",
      bootable: true,
      drives: ide.map(({ port, device, medium }) => ({ port, device, type: medium?.kind === "disk" ? "disk" : "dvd" })),
    },
    floppy: floppies.length > 0 ? { drives: [0] } : undefined,
    uarts: options.hasSerial ? [{ enabled: true, ioBase: 0x3f8, irq: 4, type: "16550A" }] : [],
    parallels: [],
    nics: options.nics.map((nic) => nic.spec),
    audio: options.audio,
    linux,
    biosImage: options.bios === undefined ? undefined : readBytes(options.bios),
    deterministic: options.deterministic ? { nsPerInstruction: NS_PER_INSTRUCTION } : undefined,
  };
  return { spec, ide, floppies };
}

/** The firmware would say it on a screen that nobody may look at, in a machine that goes on without a system. */
function refuseBadKernel(linux: LinuxBootSpec, options: RunMachineOptions): void {
  const ramBytes = options.memoryMiB * 2 ** 20;
  planLinuxBoot(linux, { ramBytes, memoryMap: buildMemoryMap(ramBytes), hasVga: options.hasGraphics });
}

function readBytes(path: string): Uint8Array {
  // Devices such as /dev/zero never end.
  if (statSync(path, { throwIfNoEntry: false })?.isCharacterDevice()) throw new AnneauError(`${path} is not a file`);
  try {
    // The machine's thread has the same bytes, not a copy.
    const bytes = readFileSync(path);
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
    shared.set(bytes);
    return shared;
  } catch (error) {
    throw new AnneauError(`cannot read ${path}: ${(error as NodeJS.ErrnoException).code}`, { cause: error });
  }
}
