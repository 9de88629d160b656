/**
 * From a .vbox file to the machine: the MachineSpec, what is behind each drive, port and adapter, and what of the
 * settings is not carried out. Read by the VM process; nothing is opened here.
 */
import { join, resolve } from "node:path";
import {
  type BootPosition,
  type IdeDriveSpec,
  type MachineSpec,
  type NicSpec,
  nicModels,
  type UartSpec,
  type UsbSpec,
} from "../spec/machine-spec.ts";
import { bootOrder } from "./boot-order.ts";
import { settings } from "./machine-settings.ts";
import { MediaIndex, type MediumKind } from "./media-registry.ts";
import { Adapter, adapters } from "./network-settings.ts";
import { attachmentOf, type NicAttachment } from "./nic-attachments.ts";
import { type Port, ports, type UartMode } from "./port-settings.ts";
import { ResultError } from "./result-codes.ts";
import { type Attachment, attachmentsOf, controllersOf } from "./storage-settings.ts";
import { AUDIO_FILE_KEY, carriedOut, engineOf, hasUsbController, type SupportReport, supportOf } from "./support.ts";
import type { VboxFile } from "./vbox-file.ts";
import type { WireFaults } from "./wire-faults.ts";

/** An image for a drive. */
export interface MediumDescription {
  readonly path: string;
  readonly kind: "disk" | "dvd" | "floppy";
  readonly readOnly: boolean;
  readonly format?: "VDI" | "RAW";
}

export interface IdeDescription {
  readonly port: 0 | 1;
  readonly device: 0 | 1;
  /** undefined: a drive without a medium. */
  readonly medium?: MediumDescription;
}

export interface FloppyDescription {
  readonly drive: 0 | 1;
  readonly medium?: MediumDescription;
}

/** A network card, by index of spec.nics. */
export interface NicDescription {
  readonly slot: number;
  readonly attachment: NicAttachment;
  readonly macAddress: string;
  readonly cableConnected: boolean;
  /** Absolute path of the trace, if it is on. */
  readonly traceFile: string | undefined;
  /** What the wire between card and network does to frames; undefined: nothing. */
  readonly wire?: WireFaults;
}

export interface MachineDescription {
  readonly spec: MachineSpec;
  readonly ide: readonly IdeDescription[];
  readonly floppies: readonly FloppyDescription[];
  /** By index of spec.uarts. Paths of files and pipes are absolute. */
  readonly uarts: readonly UartMode[];
  /** By index of spec.parallels: the absolute path of the device or file that takes what is printed; undefined: no printer. */
  readonly parallels: readonly (string | undefined)[];
  readonly nics: readonly NicDescription[];
  /** Where the sound goes: an absolute path of a WAV file. */
  readonly audioFile: string | undefined;
  /** The console's page may play what the guest plays. */
  readonly isHeard: boolean;
  /** Switched off (--audio-out), the card plays to nobody. */
  readonly isPlaybackOn: boolean;
  readonly onTripleFault: "reset" | "stop";
  /** Per cent of one of the host's processors. */
  readonly executionCap: number;
  /** A word of `--vm-process-priority`. */
  readonly processPriority: string;
  readonly support: SupportReport;
}

/** Their virtual memory manager changes page tables without telling the processor, which small TLBs of the time hid. */
const forgetsInvalidations = /^Windows(95|98|Me)$/;

/** Describes the machine. Error: a medium that no list has. */
export function describeMachine(vbox: VboxFile, index = new MediaIndex()): MachineDescription {
  const { machine } = vbox;
  const controllers = controllersOf(machine);
  const ideController = controllers.find(({ bus }) => bus.name === "ide");
  const floppyController = controllers.find(({ bus }) => bus.name === "floppy");
  const ideAttachments = ideController ? attachmentsOf(ideController) : [];
  const floppyAttachments = floppyController ? attachmentsOf(floppyController) : [];
  const serial = ports(vbox, "UART");
  const usedSerial = serial.slice(0, serial.findLastIndex(({ isEnabled }) => isEnabled) + 1);
  const parallel = ports(vbox, "LPT");
  const usedParallel = parallel.slice(0, parallel.findLastIndex(({ isEnabled }) => isEnabled) + 1);
  const nics = adapters(vbox).flatMap((adapter) => nicSpec(adapter) ?? []);
  const osTypeId = vbox.get(settings.osType);
  // One without the other makes systems stumble.
  const hasApics = vbox.get(settings.ioapic) && vbox.get(settings.apic);
  const spec: MachineSpec = {
    name: vbox.name,
    uuid: vbox.hardwareUuid,
    osTypeId,
    ramMiB: vbox.get(settings.memoryMiB),
    vramMiB: vbox.get(settings.vramMiB),
    cpuCount: 1,
    // Windows NT 3.x and 4.0 stop when CPUID has leaves they do not know.
    cpu: {
      pae: vbox.get(settings.pae),
      nx: false,
      maxLeaf: /^WindowsNT(3x|4)$/.test(osTypeId) ? 2 : undefined,
      engine: engineOf(vbox),
      hasSmallTlb: forgetsInvalidations.test(osTypeId),
    },
    acpi: vbox.get(settings.acpi),
    ioApic: hasApics,
    x2Apic: hasApics && vbox.get(settings.x2apic),
    hpet: vbox.get(settings.hpet),
    rtcUseUtc: vbox.get(settings.rtc) === "utc",
    systemTimeOffsetMs: vbox.get(settings.biosTimeOffsetMs),
    bootOrder: bootOrder(vbox) as [BootPosition, BootPosition, BootPosition, BootPosition],
    bootMenu: vbox.get(settings.biosBootMenu) as MachineSpec["bootMenu"],
    graphics: graphicsOf(vbox),
    ide: ideController && {
      name: ideController.name,
      model: ideController.type === "PIIX3" || ideController.type === "ICH6" ? ideController.type : "PIIX4",
      bootable: ideController.isBootable,
      drives: ideAttachments.map(ideDrive),
    },
    floppy: floppyController && { drives: floppyAttachments.map(({ device }) => bit(device)) },
    uarts: usedSerial.map(uartSpec),
    parallels: usedParallel.map(({ isEnabled, ioBase, irq }) => ({ enabled: isEnabled, ioBase, irq })),
    usb: usbSpec(vbox),
    nics,
    audio: audioSpec(vbox),
  };
  return {
    spec,
    ide: ideAttachments.map((attachment) => ({ ...ideDrive(attachment), medium: mediumOf(attachment, index) })),
    floppies: floppyAttachments.map((attachment) => ({
      drive: bit(attachment.device),
      medium: mediumOf(attachment, index),
    })),
    uarts: usedSerial.map((port) => absoluteMode(port.mode, vbox.folder)),
    parallels: usedParallel.map(({ path }) => (path === "" ? undefined : resolve(vbox.folder, path))),
    nics: nics.map(({ slot }) => nicDescription(vbox, slot)),
    audioFile: audioFileOf(vbox),
    onTripleFault: vbox.get(settings.tripleFaultReset) ? "reset" : "stop",
    isHeard: vbox.get(settings.audioEnabled) && vbox.get(settings.audioDriver) !== "null",
    isPlaybackOn: vbox.get(settings.audioOut),
    executionCap: Math.min(100, Math.max(1, vbox.get(settings.cpuExecutionCap))),
    processPriority: vbox.get(settings.processPriority),
    support: supportOf(vbox, index),
  };
}

function audioSpec(vbox: VboxFile): MachineSpec["audio"] {
  if (!vbox.get(settings.audioEnabled)) return undefined;
  const controller = vbox.get(settings.audioController);
  return carriedOut.audioControllers
    .map((known) => ({ controller: known }))
    .find((one) => one.controller === controller);
}

/** Where what the card plays is written to, absolute. */
export function audioFileOf(vbox: VboxFile): string | undefined {
  const path = vbox.extraData(AUDIO_FILE_KEY);
  return path === undefined ? undefined : resolve(vbox.folder, path);
}

/** The USB controller and its devices; a USB device without the controller is not there. */
function usbSpec(vbox: VboxFile): UsbSpec | undefined {
  if (!hasUsbController(vbox, "OHCI")) return undefined;
  const pointing = vbox.get(settings.pointing);
  const keyboard = vbox.get(settings.keyboard);
  return {
    pointing:
      pointing === "usbtablet" || pointing === "combomouse" ? "tablet" : pointing === "usbmouse" ? "mouse" : undefined,
    hasKeyboard: keyboard === "usbkbd" || keyboard === "combokbd",
  };
}

function graphicsOf(vbox: VboxFile): MachineSpec["graphics"] {
  const graphics = vbox.get(settings.graphics);
  return graphics === "none" || graphics === "vboxsvga" || graphics === "vmsvga" ? graphics : "vboxvga";
}

const bit = (value: number): 0 | 1 => (value === 0 ? 0 : 1);

function ideDrive({ port, device, type }: Attachment): IdeDriveSpec {
  return { port: bit(port), device: bit(device), type: type === "DVD" ? "dvd" : "disk" };
}

const kinds = { HardDisk: "hdd", DVD: "dvd", Floppy: "floppy" } as const satisfies Record<string, MediumKind>;
const imageKinds = { HardDisk: "disk", DVD: "dvd", Floppy: "floppy" } as const;

function mediumOf({ type, imageUuid, isEjected }: Attachment, index: MediaIndex): MediumDescription | undefined {
  if (imageUuid === undefined || isEjected) return undefined;
  const medium = index.byUuid(imageUuid, kinds[type]);
  if (medium === undefined) {
    throw new ResultError(
      "VBOX_E_OBJECT_NOT_FOUND",
      "MachineWrap",
      `The medium with UUID {${imageUuid}} that is attached is not in any media registry`,
    );
  }
  const format = medium.format.toUpperCase();
  return {
    path: medium.location,
    kind: imageKinds[type],
    readOnly: type === "DVD" || medium.type === "Readonly",
    format: format === "VDI" || format === "RAW" ? format : undefined,
  };
}

function uartSpec(port: Port): UartSpec {
  const { uartType } = port;
  return {
    enabled: port.isEnabled,
    ioBase: port.ioBase,
    irq: port.irq,
    type: uartType === "16450" || uartType === "16750" ? uartType : "16550A",
  };
}

function absoluteMode(mode: UartMode, folder: string): UartMode {
  const isFile = mode.kind === "file" || mode.kind === "server" || mode.kind === "client" || mode.kind === "device";
  return isFile && process.platform !== "win32" ? { ...mode, path: resolve(folder, mode.path) } : mode;
}

/** undefined: switched off, or a model that there is not. */
function nicSpec(adapter: Adapter): NicSpec | undefined {
  const model = nicModels.find((known) => known === adapter.type);
  if (!adapter.isEnabled || model === undefined) return undefined;
  const { slot, macAddress, isCableConnected } = adapter;
  const priority = Number(adapter.attribute("bootPriority", "0"));
  const bootPriority = Number.isInteger(priority) && priority >= 0 && priority <= 4 ? priority : 0;
  return { slot, model, macAddress, cableConnected: isCableConnected, bootPriority };
}

/** What the settings say of the adapter in `slot` beside the card itself. */
export function nicDescription(vbox: VboxFile, slot: number): NicDescription {
  const adapter = new Adapter(vbox, slot);
  const { macAddress, isCableConnected } = adapter;
  const isTraced = adapter.attribute("trace", "false") === "true";
  const traceFile = adapter.attribute("tracefile", "") || join(vbox.logFolder, `nic${slot + 1}.pcap`);
  return {
    slot,
    attachment: attachmentOf(adapter, vbox.name),
    macAddress,
    cableConnected: isCableConnected,
    traceFile: isTraced ? resolve(vbox.folder, traceFile) : undefined,
  };
}
