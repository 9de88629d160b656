/** What `list hdds` and `showmediuminfo` print about a medium: labels of 16 columns. */
import * as fs from "node:fs";
import type { KnownMedium, MediaIndex } from "../config/media-registry.ts";
import { imageKinds, inspectImage } from "../config/open-medium.ts";
import { mediumLockState } from "../disk/lock.ts";
import { type MediumInfo, readMediumInfo } from "../disk/open.ts";

const line = (label: string, value: string) => `${label.padEnd(16)}${value}\n`;

export function mediumReport(medium: KnownMedium, index: MediaIndex, isLong: boolean): string {
  let info: MediumInfo | undefined;
  let accessError = "";
  try {
    info = isLong
      ? inspectImage(medium.location, medium.kind)
      : readMediumInfo(medium.location, imageKinds[medium.kind]);
  } catch (error) {
    accessError = (error as Error).message;
  }
  let text = line("UUID:", medium.uuid);
  if (medium.kind === "hdd") text += line("Parent UUID:", medium.parentUuid ?? "base");
  text += line("State:", stateOf(medium, info));
  if (isLong && info === undefined) text += line("Access Error:", accessError);
  const description = medium.element.element("Description")?.text;
  if (isLong && description) text += line("Description:", description);
  text += line("Type:", typeText(medium));
  if (isLong && medium.kind === "hdd" && medium.type === "Immutable") {
    text += line("Auto-Reset:", medium.isAutoReset ? "on" : "off");
  }
  text += line("Location:", medium.location) + line("Storage format:", medium.format);
  if (isLong && info) text += line("Format variant:", variantText(medium, info));
  text += line("Capacity:", `${Math.floor((info?.capacityBytes ?? 0) / 1048576)} MBytes`);
  if (isLong && info) text += line("Size on disk:", `${Math.ceil(info.sizeOnDiskBytes / 1048576)} MBytes`);
  text += line("Encryption:", "disabled");
  if (!isLong) return text;
  if (medium.format === "VDI") text += line("Property:", "AllocationBlockSize=1048576");
  for (const property of medium.element.elements("Property"))
    text += line("Property:", `${property.get("name") ?? ""}=${property.get("value") ?? ""}`);
  for (const [at, user] of index.usersOf(medium.uuid).entries()) {
    text += line(at === 0 ? "In use by VMs:" : "", `${user.name} (UUID: ${user.uuid})`);
  }
  for (const [at, child] of index.childrenOf(medium.uuid).entries())
    text += line(at === 0 ? "Child UUIDs:" : "", child);
  return text;
}

function stateOf(medium: KnownMedium, info: MediumInfo | undefined): string {
  if (info === undefined || !fs.existsSync(medium.location)) return "inaccessible";
  const lock = mediumLockState(medium.location);
  return lock === "unlocked" ? "created" : lock;
}

function typeText(medium: KnownMedium): string {
  if (medium.kind === "dvd") return "readonly";
  if (medium.kind === "floppy") return "writethrough";
  if (medium.type === "Normal") return medium.parentUuid ? "normal (differencing)" : "normal (base)";
  return medium.type.toLowerCase();
}

function variantText(medium: KnownMedium, info: MediumInfo): string {
  if (info.type === "differencing") return "differencing default";
  return medium.format === "RAW" || info.variant === "Fixed" ? "fixed default" : "dynamic default";
}
