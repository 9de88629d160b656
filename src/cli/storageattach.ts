/** storageattach: puts drives and media on a controller's ports and takes them off. */
import { extname, resolve } from "node:path";
import { findMachine } from "../config/machine-lookup.ts";
import { alreadyLocked, refuseWhileRunning, sessionOf } from "../config/machine-session.ts";
import { addMedium, MediaIndex, type MediumKind, mediaIn, removeMedium } from "../config/media-registry.ts";
import { findOrOpenMedium, inspectImage, type OpenedMedium } from "../config/open-medium.ts";
import { editRegistry, type Registry } from "../config/registry.ts";
import { ResultError } from "../config/result-codes.ts";
import {
  type Attachment,
  allAttachments,
  attach,
  type Controller,
  controllersOf,
  type DeviceType,
  detach,
  findAttachment,
} from "../config/storage-settings.ts";
import { newUuid, parseUuid } from "../config/uuid.ts";
import { editVbox, type VboxFile } from "../config/vbox-file.ts";
import { type Command, onlyOne } from "./command.ts";
import { CommandError, UsageError } from "./errors.ts";
import { option, type ParsedArguments, parseArguments } from "./options.ts";

const options = [
  option("storagectl", "text"),
  option("port", "integer"),
  option("device", "integer"),
  option("type", "text"),
  option("medium", "text"),
  option("mtype", "text"),
  option("comment", "text"),
  option("setuuid set-uuid", "text"),
  option("setparentuuid set-parent-uuid", "text"),
  option("passthrough", "onoff"),
  option("tempeject temp-eject", "onoff"),
  option("nonrotational non-rotational", "onoff"),
  option("discard", "onoff"),
  option("hotpluggable hot-pluggable", "onoff"),
  option("bandwidthgroup bandwidth-group", "text"),
  option("forceunmount force-unmount", "switch"),
  ..."server target tport lun encodedlun username password passwordfile initiator"
    .split(" ")
    .map((name) => option(name, "text")),
  option("intnet", "switch"),
];

export const command: Command = {
  usage: [
    "VM --storagectl NAME [--port N] [--device N] [--type hdd|dvddrive|fdd] [--medium none|emptydrive|additions|UUID|FILE|host:DRIVE] [--mtype TYPE] [--passthrough on|off] [--tempeject on|off] [--nonrotational on|off] [--discard on|off] [--hotpluggable on|off] [--bandwidthgroup NAME|none] [--comment TEXT] [--setuuid UUID] [--forceunmount]",
  ],
  about:
    "`none` removes the device, `emptydrive` leaves a drive without a medium, `host:DRIVE` names a drive of the host.",
  async run(args) {
    const parsed = parseArguments(args, options);
    const id = onlyOne(parsed.positionals, "VM name");
    if (parsed.text("medium") === "iscsi" || parsed.has("server")) {
      throw new CommandError("iSCSI media are not available in this version of Anneau");
    }
    if (parsed.has("setparentuuid"))
      throw new CommandError("Differencing images are not available in this version of Anneau");
    if (parsed.has("setuuid")) await setUuid(parsed);
    const machine = findMachine(id);
    const isRunning = sessionOf(machine.path).kind === "alive";
    if (isRunning) await changeMediumOfRunning(machine, parsed);
    // The registry's lock comes first: a disk may move from its list to the VM's.
    editRegistry((registry) => {
      const { path } = findMachine(id, registry);
      editVbox(path, (vbox) => {
        if (!isRunning) refuseWhileRunning(path, vbox.name);
        change(registry, vbox, parsed);
      });
    });
    return undefined;
  },
};

/** A copy of an image gets a UUID of its own before it is attached; an empty one is a new one. */
async function setUuid(parsed: ParsedArguments): Promise<void> {
  const [medium, wanted] = [parsed.text("medium") ?? "", parsed.text("setuuid") ?? ""];
  const uuid = wanted === "" ? newUuid() : parseUuid(wanted);
  if (uuid === undefined) throw new UsageError(`Invalid argument format for option '--setuuid': '${wanted}'`);
  const index = new MediaIndex();
  const path = resolve(medium);
  if (index.byLocation(path, "hdd") !== undefined || parseUuid(medium) !== undefined)
    throw new ResultError(
      "VBOX_E_OBJECT_IN_USE",
      "MediumWrap",
      `The UUID of the known medium '${medium}' cannot be set`,
    );
  if (index.byUuid(uuid) !== undefined)
    throw new ResultError("E_INVALIDARG", "VirtualBoxWrap", `A medium with UUID {${uuid}} already exists`);
  const { format } = inspectImage(path, "hdd");
  if (format !== "VDI")
    throw new ResultError("VBOX_E_NOT_SUPPORTED", "MediumWrap", `An image of the format '${format}' has no UUID`);
  const { setVdiUuid } = await import("../disk/vdi-maintenance.ts");
  setVdiUuid(path, uuid);
}

function change(registry: Registry, vbox: VboxFile, parsed: ParsedArguments): void {
  const controller = chooseController(vbox, parsed.text("storagectl"));
  const [port, device] = choosePlace(controller, parsed);
  const medium = parsed.text("medium");
  const present = findAttachment(controller, port, device);
  if (medium === "none") {
    if (present === undefined) throw nothingThere(controller, port, device);
    detach(present);
    return;
  }
  let attachment = present;
  if (medium !== undefined) {
    const type = chooseType(parsed.text("type"), medium, present, controller);
    attachment = attachMedium(registry, vbox, controller, { port, device, type }, medium, parsed);
  } else if (parsed.has("type")) {
    throw new UsageError("Missing --medium");
  }
  if (attachment === undefined) throw nothingThere(controller, port, device);
  setFlags(attachment, parsed);
}

/** A running VM's discs and floppies can be changed in the drives it has; nothing else of its storage can. */
async function changeMediumOfRunning(vbox: VboxFile, parsed: ParsedArguments): Promise<void> {
  const controller = chooseController(vbox, parsed.text("storagectl"));
  const [port, device] = choosePlace(controller, parsed);
  const present = findAttachment(controller, port, device);
  const medium = parsed.text("medium");
  const isDrive = present !== undefined && present.type !== "HardDisk";
  if (!isDrive || medium === undefined || medium === "none" || medium === "additions" || medium.startsWith("host:")) {
    throw alreadyLocked(vbox.name);
  }
  if (chooseType(parsed.text("type"), medium, present, controller) !== present.type) throw alreadyLocked(vbox.name);
  const opened = medium === "emptydrive" ? undefined : findOrOpenMedium(new MediaIndex(), medium, kinds[present.type]);
  const drive = device === 0 ? 0 : 1;
  const place =
    controller.bus.name === "floppy"
      ? ({ bus: "floppy", device: drive } as const)
      : ({ bus: "ide", port: port === 0 ? 0 : 1, device: drive } as const);
  const { asResultError, connect, requestPatienceMs } = await import("./live-machine.ts");
  try {
    const client = await connect(vbox.uuid, requestPatienceMs);
    try {
      const isForced = parsed.has("forceunmount");
      await client.request("mediumchange", { place, path: opened?.location, format: opened && "RAW", isForced });
    } finally {
      client.close();
    }
  } catch (error) {
    throw asResultError(error);
  }
}

function nothingThere(controller: Controller, port: number, device: number): ResultError {
  return new ResultError(
    "VBOX_E_OBJECT_NOT_FOUND",
    "MachineWrap",
    `No storage device attached to device slot ${device} on port ${port} of controller '${controller.name}'`,
  );
}

function chooseController(vbox: VboxFile, name: string | undefined): Controller {
  const all = controllersOf(vbox.machine);
  if (name === undefined) {
    if (all.length === 1) return all[0];
    throw new UsageError("Storage controller name not specified");
  }
  const found = all.find((controller) => controller.name === name);
  if (found) return found;
  throw new ResultError("VBOX_E_OBJECT_NOT_FOUND", "MachineWrap", `Could not find a controller named '${name}'`);
}

/** Port and device may be left out where there is only one of them. */
function choosePlace(controller: Controller, parsed: ParsedArguments): [port: number, device: number] {
  const { bus } = controller;
  const port = parsed.integer("port") ?? (controller.portCount === 1 ? 0 : undefined);
  const device = parsed.integer("device") ?? (bus.devicesPerPort === 1 ? 0 : undefined);
  if (port === undefined) throw new UsageError("Port not specified");
  if (device === undefined) throw new UsageError("Device not specified");
  return [port, device];
}

function chooseType(
  typed: string | undefined,
  medium: string,
  present: Attachment | undefined,
  controller: Controller,
): DeviceType {
  const types: Record<string, DeviceType> = { hdd: "HardDisk", dvddrive: "DVD", fdd: "Floppy" };
  if (typed !== undefined) {
    if (Object.hasOwn(types, typed.toLowerCase())) return types[typed.toLowerCase()];
    throw new CommandError(`Invalid --type argument '${typed}'`);
  }
  if (present) return present.type;
  if (/^(emptydrive|additions|host:.*)$/.test(medium)) throw new UsageError("Argument --type must be specified");
  if (controller.bus.name === "floppy") return "Floppy";
  return /^\.(iso|cdr|dmg)$/i.test(extname(medium)) ? "DVD" : "HardDisk";
}

function checkPlace(controller: Controller, port: number, device: number, type: DeviceType): void {
  const { bus } = controller;
  const isPort = port >= 0 && port < Math.max(controller.portCount, bus.name === "sata" ? bus.maxPorts : 0);
  const isDevice = device >= 0 && device < bus.devicesPerPort;
  if (!isPort || !isDevice) {
    throw new ResultError(
      "E_INVALIDARG",
      "MachineWrap",
      `The port and/or device parameter are out of range: port=${port} (must be in range [0, ${controller.portCount - 1}]), ` +
        `device=${device} (must be in range [0, ${bus.devicesPerPort - 1}])`,
    );
  }
  if (!bus.media.includes(type)) {
    throw new ResultError(
      "E_INVALIDARG",
      "MachineWrap",
      `The storage controller '${controller.name}' (${bus.label}) cannot have a ${deviceLabels[type]}`,
    );
  }
  if (port >= controller.portCount) controller.element.set("PortCount", String(port + 1));
}

const deviceLabels: Record<DeviceType, string> = { HardDisk: "hard disk", DVD: "DVD drive", Floppy: "floppy drive" };
const kinds: Record<DeviceType, MediumKind> = { HardDisk: "hdd", DVD: "dvd", Floppy: "floppy" };

/** Attaches what `medium` names (not `none`) at a place that fits; `parsed` brings fields of the medium. */
export function attachMedium(
  registry: Registry,
  vbox: VboxFile,
  controller: Controller,
  place: { port: number; device: number; type: DeviceType },
  medium: string,
  parsed: ParsedArguments | undefined,
): Attachment {
  const { type } = place;
  checkPlace(controller, place.port, place.device, type);
  if (medium === "emptydrive" || medium.startsWith("host:")) {
    if (type === "HardDisk") throw new CommandError(`A hard disk needs a medium, not '${medium}'`);
    return attach(controller, { ...place, hostDrive: medium.startsWith("host:") ? medium.slice(5) : undefined });
  }
  if (medium === "additions") {
    if (type !== "DVD") throw new CommandError("'additions' goes into a DVD drive");
    throw new CommandError("Cannot find the Guest Additions ISO image");
  }
  const kind = kinds[type];
  const index = new MediaIndex(registry);
  const opened = findOrOpenMedium(index, medium, kind);
  refuseSecondUse(index, vbox, opened, findAttachment(controller, place.port, place.device));
  list(registry, vbox, index, opened);
  if (parsed) setMediumFields(vbox, opened.uuid, parsed);
  return attach(controller, { ...place, imageUuid: opened.uuid });
}

/** A hard disk is written by one VM, in one place. */
function refuseSecondUse(
  index: MediaIndex,
  vbox: VboxFile,
  opened: OpenedMedium,
  present: Attachment | undefined,
): void {
  if (opened.kind !== "hdd") return;
  const refuse = (why: string) => {
    throw new ResultError("VBOX_E_OBJECT_IN_USE", "MachineWrap", `Medium '${opened.location}' ${why}`);
  };
  const elsewhere = allAttachments(vbox.machine).some(
    ({ imageUuid, element }) => imageUuid === opened.uuid && element !== present?.element,
  );
  if (elsewhere) refuse("is already attached to this virtual machine");
  if (opened.type === "Shareable" || opened.type === "MultiAttach" || opened.type === "Readonly") return;
  const other = index.usersOf(opened.uuid).find(({ uuid }) => uuid !== vbox.uuid);
  if (other) refuse(`is already attached to the virtual machine '${other.name}'`);
}

/** Puts the medium on the VM's list; a hard disk leaves the registry's. */
function list(registry: Registry, vbox: VboxFile, index: MediaIndex, opened: OpenedMedium): void {
  const own = mediaIn(vbox.machine, vbox.folder).some(({ uuid, kind }) => uuid === opened.uuid && kind === opened.kind);
  const known = index.byUuid(opened.uuid, opened.kind);
  const isElsewhere = opened.kind === "hdd" && known?.listedBy !== undefined;
  if (!own && !isElsewhere && opened.parentUuid === undefined) {
    addMedium(vbox.machine, { ...opened, location: vbox.relativeLocation(opened.location) });
    if (opened.kind === "hdd" && known) removeMedium(registry.global, opened.uuid);
  }
}

const mediumTypes = ["Normal", "Writethrough", "Immutable", "Shareable", "Readonly", "MultiAttach"];

function setMediumFields(vbox: VboxFile, uuid: string, parsed: ParsedArguments): void {
  const record = mediaIn(vbox.machine, vbox.folder).find((one) => one.uuid === uuid);
  const mtype = parsed.text("mtype");
  if (mtype !== undefined) {
    const type = mediumTypes.find((known) => known.toLowerCase() === mtype.toLowerCase());
    if (type === undefined) throw new CommandError(`Invalid --mtype argument '${mtype}'`);
    record?.element.set("type", type);
  }
  const comment = parsed.text("comment");
  if (comment === undefined || record === undefined) return;
  (record.element.element("Description") ?? record.element.add("Description")).setText(comment);
}

const flags = [
  ["passthrough", "passthrough"],
  ["tempeject", "tempeject"],
  ["nonrotational", "nonrotational"],
  ["discard", "discard"],
  ["hotpluggable", "hotpluggable"],
] as const;

function setFlags(attachment: Attachment, parsed: ParsedArguments): void {
  for (const [name, attribute] of flags) {
    const value = parsed.onOff(name);
    if (value !== undefined) attachment.element.set(attribute, String(value));
  }
  const group = parsed.text("bandwidthgroup");
  if (group !== undefined) attachment.element.set("bandwidthGroup", group === "none" ? undefined : group);
}
