/** storagectl: adds, changes, renames and removes storage controllers. */
import { findMachine } from "../config/machine-lookup.ts";
import { refuseWhileRunning } from "../config/machine-session.ts";
import { settings } from "../config/machine-settings.ts";
import { ResultError } from "../config/result-codes.ts";
import {
  addController,
  type Bus,
  buses,
  checkPortCount,
  controllersOf,
  findController,
  removeController,
} from "../config/storage-settings.ts";
import { editVbox, type VboxFile } from "../config/vbox-file.ts";
import { type Command, onlyOne } from "./command.ts";
import { CommandError, UsageError } from "./errors.ts";
import { option, type ParsedArguments, parseArguments } from "./options.ts";

const options = [
  option("name", "text"),
  option("add", "text"),
  option("controller", "text"),
  option("portcount port-count sataportcount", "integer"),
  option("bootable", "onoff"),
  option("hostiocache host-io-cache", "onoff"),
  option("rename", "text"),
  option("remove", "switch"),
];

export const command: Command = {
  usage: [
    "VM --name NAME --add floppy|ide|pcie|sas|sata|scsi|usb|virtio-scsi [--controller TYPE] [--portcount N] [--bootable on|off] [--hostiocache on|off]",
    "VM --name NAME [--controller TYPE] [--portcount N] [--bootable on|off] [--hostiocache on|off] [--rename NAME]",
    "VM --name NAME --remove",
  ],
  about:
    "Controller types: PIIX3, PIIX4, ICH6 (ide), IntelAhci (sata), LSILogic, BusLogic (scsi), LSILogicSAS (sas),\n" +
    "NVMe (pcie), VirtIO (virtio-scsi), I82078 (floppy), USB (usb).",
  run(args) {
    const parsed = parseArguments(args, options);
    const id = onlyOne(parsed.positionals, "VM name");
    const name = parsed.text("name");
    if (!name) throw new UsageError("Storage controller name not specified");
    const { path } = findMachine(id);
    editVbox(path, (vbox) => {
      refuseWhileRunning(path, vbox.name);
      change(vbox, name, parsed);
    });
    return undefined;
  },
};

/** Bus names as typed: `virtio` and `virtio-scsi` are one; compared without case. */
function parseBus(text: string): Bus {
  const wanted = text.toLowerCase();
  const bus = buses.find(({ name }) => name === wanted || (wanted === "virtio" && name === "virtio-scsi"));
  if (bus === undefined) throw new CommandError(`Invalid --add argument '${text}'`);
  return bus;
}

const typeNames: Record<string, string> = {
  lsilogic: "LsiLogic",
  lsilogicsas: "LsiLogicSas",
  buslogic: "BusLogic",
  intelahci: "AHCI",
  ahci: "AHCI",
  piix3: "PIIX3",
  piix4: "PIIX4",
  ich6: "ICH6",
  i82078: "I82078",
  usb: "USB",
  nvme: "NVMe",
  virtio: "VirtioSCSI",
  virtioscsi: "VirtioSCSI",
  "virtio-scsi": "VirtioSCSI",
};

/** A controller type as typed, in the file's spelling, checked against its bus. */
export function parseControllerType(text: string, bus: Bus | undefined): string {
  const type = Object.hasOwn(typeNames, text.toLowerCase()) ? typeNames[text.toLowerCase()] : undefined;
  if (type === undefined) throw new CommandError(`Invalid --controller argument '${text}'`);
  if (bus && !bus.types.includes(type)) {
    throw new ResultError(
      "E_INVALIDARG",
      "StorageControllerWrap",
      `Invalid controller type '${text}' for the storage bus ${bus.label}`,
    );
  }
  return type;
}

function change(vbox: VboxFile, name: string, parsed: ParsedArguments): void {
  if (parsed.has("remove")) {
    removeController(findController(vbox, name));
    return;
  }
  const bus = parsed.has("add") ? parseBus(parsed.text("add") as string) : undefined;
  const type = parsed.has("controller") ? parseControllerType(parsed.text("controller") as string, bus) : undefined;
  const portCount = parsed.integer("portcount");
  if (bus) {
    const chipset = vbox.get(settings.chipset) as "piix3" | "ich9";
    addController(
      vbox,
      {
        name,
        bus,
        type,
        portCount,
        isBootable: parsed.onOff("bootable"),
        usesHostIoCache: parsed.onOff("hostiocache"),
      },
      chipset,
    );
  } else {
    const controller = findController(vbox, name);
    const { element } = controller;
    if (type) element.set("type", parseControllerType(parsed.text("controller") as string, controller.bus));
    if (portCount !== undefined) element.set("PortCount", String(checkPortCount(controller.bus, portCount)));
    if (parsed.has("bootable")) element.set("Bootable", String(parsed.onOff("bootable")));
    if (parsed.has("hostiocache")) element.set("useHostIOCache", String(parsed.onOff("hostiocache")));
  }
  const newName = parsed.text("rename");
  if (newName === undefined) return;
  if (controllersOf(vbox.machine).some((other) => other.name === newName && newName !== name)) {
    throw new ResultError(
      "VBOX_E_OBJECT_IN_USE",
      "MachineWrap",
      `Storage controller named '${newName}' already exists`,
    );
  }
  findController(vbox, name).element.set("name", newName);
}
