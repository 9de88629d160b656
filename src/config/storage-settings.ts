/**
 * Storage controllers and what is attached to them, in a .vbox file. Controllers stand inside `Hardware` from settings
 * version 1.17 on and beside it before: both are read, and what a file has is kept.
 */
import { ResultError } from "./result-codes.ts";
import { ensure } from "./settings-file.ts";
import { braced, parseUuid } from "./uuid.ts";
import type { VboxFile } from "./vbox-file.ts";
import type { XmlElement } from "./xml.ts";

export type BusName = "ide" | "sata" | "scsi" | "floppy" | "sas" | "usb" | "pcie" | "virtio-scsi";

export interface Bus {
  readonly name: BusName;
  /** As error messages and `list systemproperties` name it. */
  readonly label: string;
  /** Controller types in the file's spelling, the default first. */
  readonly types: readonly string[];
  readonly minPorts: number;
  readonly maxPorts: number;
  readonly defaultPorts: number;
  readonly devicesPerPort: number;
  readonly maxControllers: { readonly piix3: number; readonly ich9: number };
  readonly isHotPluggable: boolean;
  readonly media: readonly DeviceType[];
}

export type DeviceType = "HardDisk" | "DVD" | "Floppy";

function bus(
  name: BusName,
  label: string,
  types: readonly string[],
  [minPorts, maxPorts, defaultPorts, devicesPerPort]: readonly [number, number, number, number],
  media: readonly DeviceType[],
  ich9 = 8,
): Bus {
  const maxControllers = { piix3: 1, ich9 };
  const isHotPluggable = name === "sata" || name === "usb";
  return {
    name,
    label,
    types,
    minPorts,
    maxPorts,
    defaultPorts,
    devicesPerPort,
    maxControllers,
    isHotPluggable,
    media,
  };
}

const disks: readonly DeviceType[] = ["HardDisk", "DVD"];

export const buses: readonly Bus[] = [
  bus("ide", "IDE", ["PIIX4", "PIIX3", "ICH6"], [2, 2, 2, 2], disks, 1),
  bus("sata", "SATA", ["AHCI"], [1, 30, 30, 1], disks),
  bus("scsi", "SCSI", ["LsiLogic", "BusLogic"], [16, 16, 16, 1], disks),
  bus("sas", "SAS", ["LsiLogicSas"], [1, 255, 8, 1], disks),
  bus("pcie", "NVMe", ["NVMe"], [1, 255, 1, 1], ["HardDisk"]),
  bus("virtio-scsi", "virtio-scsi", ["VirtioSCSI"], [1, 256, 1, 1], disks),
  bus("floppy", "Floppy", ["I82078"], [1, 1, 1, 2], ["Floppy"], 1),
  bus("usb", "USB", ["USB"], [8, 8, 8, 1], disks, 1),
];

/** The bus a controller type (file spelling) belongs to; unknown types count as SATA-like. */
export function busOfType(type: string): Bus {
  return buses.find(({ types }) => types.includes(type)) ?? buses[1];
}

/** showvminfo's spelling of a controller type. */
export function controllerTypeText(type: string): string {
  return type === "AHCI" ? "IntelAhci" : type;
}

export interface Attachment {
  readonly controller: Controller;
  readonly port: number;
  readonly device: number;
  readonly type: DeviceType;
  /** The image in the drive; a hard disk always has one. */
  readonly imageUuid: string | undefined;
  readonly hostDrive: string | undefined;
  readonly isPassthrough: boolean;
  readonly isTempEject: boolean;
  readonly isEjected: boolean;
  readonly isHotPluggable: boolean;
  readonly isNonRotational: boolean;
  readonly isDiscard: boolean;
  readonly bandwidthGroup: string;
  readonly element: XmlElement;
}

export interface Controller {
  readonly name: string;
  /** The file's spelling: AHCI, PIIX4 … */
  readonly type: string;
  readonly bus: Bus;
  readonly instance: number;
  readonly portCount: number;
  readonly isBootable: boolean;
  readonly usesHostIoCache: boolean;
  readonly element: XmlElement;
}

export const noController = (name: string): ResultError =>
  new ResultError("VBOX_E_OBJECT_NOT_FOUND", "MachineWrap", `Could not find a storage controller named '${name}'`);

/** The element that holds the controllers, made at the place that the file's version demands. */
function holder(vbox: VboxFile): XmlElement {
  const inside = vbox.machine.find("Hardware/StorageControllers");
  const beside = vbox.machine.element("StorageControllers");
  if (inside?.elements().length) return inside;
  if (beside?.elements().length) return beside;
  return inside ?? beside ?? ensure(vbox.minorVersion >= 17 ? vbox.hardware : vbox.machine, "StorageControllers");
}

/** Every element with controllers, wherever the file has them (also of a snapshot). */
function controllerElements(machine: XmlElement): XmlElement[] {
  return [machine.find("Hardware/StorageControllers"), machine.element("StorageControllers")].flatMap(
    (parent) => parent?.elements("StorageController") ?? [],
  );
}

function integer(text: string | undefined, fallback: number): number {
  return text !== undefined && /^[0-9]{1,9}$/.test(text) ? Number(text) : fallback;
}

/** Controllers in file order; works on a machine or a snapshot element. */
export function controllersOf(machine: XmlElement): Controller[] {
  return controllerElements(machine).map((element) => {
    const type = element.get("type") ?? "PIIX4";
    const own = busOfType(type);
    return {
      name: element.get("name") ?? "",
      type,
      bus: own,
      instance: integer(element.get("Instance"), 0),
      // A file may say anything; what is listed slot by slot has to stay within what there can be.
      portCount: Math.min(integer(element.get("PortCount"), own.defaultPorts), own.maxPorts),
      isBootable: element.get("Bootable") === "true",
      usesHostIoCache: element.get("useHostIOCache") === "true",
      element,
    };
  });
}

export function findController(vbox: VboxFile, name: string): Controller {
  const controller = controllersOf(vbox.machine).find((one) => one.name === name);
  if (controller === undefined) throw noController(name);
  return controller;
}

/** Attachments of a controller, by port and device. */
export function attachmentsOf(controller: Controller): Attachment[] {
  return controller.element
    .elements("AttachedDevice")
    .map((element) => {
      const type = element.get("type") as DeviceType;
      return {
        controller,
        port: integer(element.get("port"), 0),
        device: integer(element.get("device"), 0),
        type: type === "DVD" || type === "Floppy" ? type : "HardDisk",
        imageUuid: parseUuid(element.element("Image")?.get("uuid")),
        hostDrive: element.element("HostDrive")?.get("src"),
        isPassthrough: element.get("passthrough") === "true",
        isTempEject: element.get("tempeject") === "true",
        isEjected: element.get("isEjected") === "true",
        isHotPluggable: element.get("hotpluggable") === "true",
        isNonRotational: element.get("nonrotational") === "true",
        isDiscard: element.get("discard") === "true",
        bandwidthGroup: element.get("bandwidthGroup") ?? "",
        element,
      } as const;
    })
    .sort((a, b) => a.port - b.port || a.device - b.device);
}

export function findAttachment(controller: Controller, port: number, device: number): Attachment | undefined {
  return attachmentsOf(controller).find((one) => one.port === port && one.device === device);
}

/** All attachments of a VM's current state. */
export function allAttachments(machine: XmlElement): Attachment[] {
  return controllersOf(machine).flatMap(attachmentsOf);
}

export interface NewController {
  readonly name: string;
  readonly bus: Bus;
  readonly type?: string;
  readonly portCount?: number;
  readonly isBootable?: boolean;
  readonly usesHostIoCache?: boolean;
}

/** Adds a controller. Errors: the name or the last free instance of the bus is taken. */
export function addController(vbox: VboxFile, wanted: NewController, chipset: "piix3" | "ich9"): Controller {
  const present = controllersOf(vbox.machine);
  if (present.some(({ name }) => name === wanted.name)) {
    throw new ResultError(
      "VBOX_E_OBJECT_IN_USE",
      "MachineWrap",
      `Storage controller named '${wanted.name}' already exists`,
    );
  }
  const instances = present.filter(({ bus }) => bus === wanted.bus).map(({ instance }) => instance);
  const maximum = wanted.bus.maxControllers[chipset];
  if (instances.length >= maximum) {
    throw new ResultError(
      "E_INVALIDARG",
      "MachineWrap",
      `Too many storage controllers of this type (at most ${maximum} ${wanted.bus.label} controller${maximum > 1 ? "s" : ""})`,
    );
  }
  let instance = 0;
  while (instances.includes(instance)) instance++;
  const element = holder(vbox)
    .add("StorageController")
    .set("name", wanted.name)
    .set("type", wanted.type ?? wanted.bus.types[0])
    .set("PortCount", String(checkPortCount(wanted.bus, wanted.portCount ?? wanted.bus.defaultPorts)))
    .set(
      "useHostIOCache",
      String(wanted.usesHostIoCache ?? (wanted.bus.name === "ide" || wanted.bus.name === "floppy")),
    )
    .set("Bootable", String(wanted.isBootable ?? true));
  if (instance > 0) element.set("Instance", String(instance));
  if (wanted.bus.name === "sata") {
    element
      .set("IDE0MasterEmulationPort", "0")
      .set("IDE0SlaveEmulationPort", "1")
      .set("IDE1MasterEmulationPort", "2")
      .set("IDE1SlaveEmulationPort", "3");
  }
  return findController(vbox, wanted.name);
}

export function checkPortCount(bus: Bus, count: number): number {
  if (Number.isInteger(count) && count >= bus.minPorts && count <= bus.maxPorts) return count;
  throw new ResultError(
    "E_INVALIDARG",
    "StorageControllerWrap",
    `Invalid port count: ${count} (must be in range [${bus.minPorts}, ${bus.maxPorts}])`,
  );
}

export function removeController(controller: Controller): void {
  controller.element.parent?.remove(controller.element);
}

export interface NewAttachment {
  readonly port: number;
  readonly device: number;
  readonly type: DeviceType;
  readonly imageUuid?: string;
  readonly hostDrive?: string;
}

/** Attaches a device, replacing what sits in that place; flags of the replaced drive of the same type stay. */
export function attach(controller: Controller, wanted: NewAttachment): Attachment {
  const old = findAttachment(controller, wanted.port, wanted.device);
  let element: XmlElement;
  if (old?.type === wanted.type) {
    element = old.element;
    for (const medium of element.elements()) {
      if (medium.name === "Image" || medium.name === "HostDrive") element.remove(medium);
    }
    element.set("isEjected", undefined);
  } else {
    if (old) controller.element.remove(old.element);
    element = controller.element.add("AttachedDevice");
    if (wanted.type === "DVD") element.set("passthrough", "false");
    element
      .set("type", wanted.type)
      .set("hotpluggable", "false")
      .set("port", String(wanted.port))
      .set("device", String(wanted.device));
  }
  if (wanted.imageUuid) element.add("Image").set("uuid", braced(wanted.imageUuid));
  else if (wanted.hostDrive) element.add("HostDrive").set("src", wanted.hostDrive);
  return findAttachment(controller, wanted.port, wanted.device) as Attachment;
}

/**
 * The guest has ejected what is in this drive of the IDE controller: it stays out after the machine's end too, unless the
 * attachment says that an ejection is for the time being.
 */
export function ejectDisc(vbox: VboxFile, port: number, device: number): void {
  const controller = controllersOf(vbox.machine).find(({ bus }) => bus.name === "ide");
  const drive = controller && findAttachment(controller, port, device);
  if (drive === undefined || drive.type !== "DVD" || drive.isTempEject) return;
  attach(drive.controller, { port, device, type: "DVD" }).element.set("isEjected", "true");
}

export function detach(attachment: Attachment): void {
  attachment.controller.element.remove(attachment.element);
}
