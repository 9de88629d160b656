/** modifyvm: the storage options of old, from before storagectl and storageattach. */
import { settings } from "../../config/machine-settings.ts";
import type { Registry } from "../../config/registry.ts";
import {
  addController,
  type BusName,
  buses,
  type Controller,
  checkPortCount,
  controllersOf,
  type DeviceType,
  detach,
  findAttachment,
  removeController,
} from "../../config/storage-settings.ts";
import type { VboxFile } from "../../config/vbox-file.ts";
import { CommandError } from "../errors.ts";
import { parseOnOff } from "../options.ts";
import { attachMedium } from "../storageattach.ts";
import { parseControllerType } from "../storagectl.ts";
import { custom, inGroup, invalidArgument, type ModifyContext, type ModifyOption } from "./option.ts";

const names: Partial<Record<BusName, string>> = {
  ide: "IDE Controller",
  sata: "SATA",
  scsi: "LsiLogic",
  floppy: "Floppy Controller",
};
const busNamed = (name: BusName) => buses.find((bus) => bus.name === name) ?? buses[0];

function find(vbox: VboxFile, name: BusName): Controller | undefined {
  return controllersOf(vbox.machine).find(({ bus }) => bus.name === name);
}

function findOrAdd(vbox: VboxFile, name: BusName): Controller {
  const chipset = vbox.get(settings.chipset) as "piix3" | "ich9";
  return find(vbox, name) ?? addController(vbox, { name: names[name] ?? name, bus: busNamed(name) }, chipset);
}

/** `none|UUID|FILE` (and `emptydrive|host:DRIVE` for drives) at a fixed place. */
function slot(
  option: string,
  name: BusName,
  place: { port: number; device: number; type: DeviceType } | undefined,
  example: readonly string[],
  slots?: number,
): Omit<ModifyOption, "group"> {
  return custom(
    option,
    "text",
    (vbox, { values, slot: number }, { registry }: ModifyContext) => {
      const at = place ?? { port: number - 1, device: 0, type: "HardDisk" as const };
      const medium = name === "floppy" && values[0] === "empty" ? "emptydrive" : values[0];
      if (medium === "none" || (medium === "disabled" && name === "floppy")) {
        const controller = find(vbox, name);
        const present = controller && findAttachment(controller, at.port, at.device);
        if (present) detach(present);
        return;
      }
      attachMedium(registry as Registry, vbox, findOrAdd(vbox, name), at, medium, undefined);
    },
    {
      needsRegistry: true,
      example,
      slots,
      note: "old spelling of storageattach",
      status: name === "ide" || name === "floppy" ? "works" : "refused",
    },
  );
}

function presence(option: string, name: BusName): Omit<ModifyOption, "group"> {
  return custom(
    option,
    "onoff",
    (vbox, { values }) => {
      const controller = find(vbox, name);
      if (parseOnOff(values[0])) findOrAdd(vbox, name);
      else if (controller) removeController(controller);
    },
    { status: "warned", example: ["on"], note: "old spelling of storagectl" },
  );
}

function setType(option: string, name: BusName, example: string): Omit<ModifyOption, "group"> {
  return custom(
    option,
    "text",
    (vbox, parsed) => {
      if (/^(none|off)$/i.test(parsed.values[0])) throw invalidArgument(parsed);
      findOrAdd(vbox, name).element.set("type", parseControllerType(parsed.values[0], busNamed(name)));
    },
    { status: name === "ide" ? "works" : "warned", example: [example], note: "old spelling of storagectl" },
  );
}

const hardDisk = (port: number, device: number) => ({ port, device, type: "HardDisk" as const });

export const storageOptions = inGroup("Deprecated storage", [
  slot("hda", "ide", hardDisk(0, 0), ["none"]),
  slot("hdb", "ide", hardDisk(0, 1), ["none"]),
  slot("hdd", "ide", hardDisk(1, 1), ["none"]),
  slot("dvd", "ide", { port: 1, device: 0, type: "DVD" }, ["emptydrive"]),
  custom(
    "dvdpassthrough dvd-passthrough",
    "onoff",
    (vbox, { values }) => {
      const controller = find(vbox, "ide");
      const drive = controller && findAttachment(controller, 1, 0);
      if (drive === undefined) throw new CommandError("There is no DVD drive at IDE port 1, device 0");
      drive.element.set("passthrough", String(parseOnOff(values[0])));
    },
    { status: "warned", example: ["on"] },
  ),
  slot("floppy", "floppy", { port: 0, device: 0, type: "Floppy" }, ["empty"]),
  setType("idecontroller", "ide", "PIIX3"),
  presence("sata", "sata"),
  custom(
    "sataportcount",
    "integer",
    (vbox, { values }) => {
      const { element, bus } = findOrAdd(vbox, "sata");
      element.set("PortCount", String(checkPortCount(bus, Number(values[0]))));
    },
    { status: "warned", example: ["4"], note: "old spelling of storagectl" },
  ),
  slot("sataport", "sata", undefined, ["none"], 30),
  presence("scsi", "scsi"),
  setType("scsitype", "scsi", "BusLogic"),
  slot("scsiport", "scsi", undefined, ["none"], 16),
]);
