/** showvminfo: storage controllers and what is attached to them. */
import { type KnownMedium, MediaIndex } from "../../config/media-registry.ts";
import {
  type Attachment,
  attachmentsOf,
  type Controller,
  controllersOf,
  controllerTypeText,
} from "../../config/storage-settings.ts";
import type { VboxFile } from "../../config/vbox-file.ts";
import type { InfoReport } from "./report.ts";

export function reportStorage(report: InfoReport, vbox: VboxFile): void {
  const controllers = controllersOf(vbox.machine);
  for (const [at, { name, type, instance, bus, portCount, isBootable }] of controllers.entries()) {
    const key = (what: string, value: string | number) =>
      report.text(`storagecontroller${what}${at}`, "", String(value));
    if (!report.isMachineReadable) break;
    key("name", name);
    key("type", controllerTypeText(type));
    key("instance", instance);
    key("maxportcount", bus.maxPorts);
    key("portcount", portCount);
    key("bootable", isBootable ? "on" : "off");
  }
  if (controllers.length === 0) report.human(`${"Storage Controllers:".padEnd(28)} <none>`);
  else report.human("Storage Controllers:");
  const index = new MediaIndex();
  for (const [at, controller] of controllers.entries()) {
    if (report.isMachineReadable) reportSlots(report, controller, index);
    else reportController(report, controller, at, index);
  }
}

function locationOf(attachment: Attachment, index: MediaIndex): KnownMedium | undefined {
  const kind = ({ HardDisk: "hdd", DVD: "dvd", Floppy: "floppy" } as const)[attachment.type];
  return attachment.imageUuid === undefined ? undefined : index.byUuid(attachment.imageUuid, kind);
}

function reportSlots(report: InfoReport, controller: Controller, index: MediaIndex): void {
  const attachments = attachmentsOf(controller);
  for (let port = 0; port < controller.portCount; port++) {
    for (let device = 0; device < controller.bus.devicesPerPort; device++) {
      const place = `${port}-${device}`;
      const attachment = attachments.find((one) => one.port === port && one.device === device);
      if (attachment === undefined) report.quoted(`${controller.name}-${place}`, "none");
      else reportSlot(report, controller, place, attachment, index);
    }
  }
}

function reportSlot(
  report: InfoReport,
  controller: Controller,
  place: string,
  attachment: Attachment,
  index: MediaIndex,
): void {
  const flag = (name: string, value: boolean) =>
    report.quoted(`${controller.name}-${name}-${place}`, value ? "on" : "off");
  const { imageUuid, hostDrive, type } = attachment;
  const location = locationOf(attachment, index)?.location ?? imageUuid;
  report.quoted(`${controller.name}-${place}`, location ?? hostDrive ?? "emptydrive");
  if (imageUuid) report.quoted(`${controller.name}-ImageUUID-${place}`, imageUuid);
  if (type === "DVD") {
    if (attachment.isPassthrough) flag("dvdpassthrough", true);
    if (imageUuid || hostDrive) flag("tempeject", attachment.isTempEject);
    flag("IsEjected", attachment.isEjected);
  }
  if (controller.bus.isHotPluggable) flag("hot-pluggable", attachment.isHotPluggable);
  if (type !== "HardDisk") return;
  flag("nonrotational", attachment.isNonRotational);
  flag("discard", attachment.isDiscard);
}

function reportController(report: InfoReport, controller: Controller, at: number, index: MediaIndex): void {
  const { name, type, instance, portCount, bus, isBootable } = controller;
  report.human(
    `#${at}: '${name}', Type: ${controllerTypeText(type)}, Instance: ${instance}, Ports: ${portCount} (max ${bus.maxPorts}), ${isBootable ? "Bootable" : "Not bootable"}`,
  );
  for (const attachment of attachmentsOf(controller)) {
    const { port, device, imageUuid, hostDrive, isEjected, isPassthrough } = attachment;
    const place = `  Port ${port}, Unit ${device}:`;
    if (imageUuid) {
      report.human(`${place} UUID: ${imageUuid}${isPassthrough ? ", passthrough enabled" : ""}`);
      report.human(`    Location: "${locationOf(attachment, index)?.location ?? ""}"`);
    } else if (hostDrive) report.human(`${place} Host drive: "${hostDrive}"`);
    else report.human(`${place} Empty${isEjected ? " (ejected)" : ""}`);
  }
}
