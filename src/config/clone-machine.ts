/**
 * A copy of a VM's settings under another identity: new UUIDs and addresses, no history (snapshots, saved state, how the last
 * run ended). Relative paths (of serial ports) stay relative, so that two VMs do not share a file. Disks are the caller's: `disks` says which images take whose place.
 */
import { addMedium, type MediaIndex, type MediumKind, mediaIn } from "./media-registry.ts";
import { adapters, newMacAddress } from "./network-settings.ts";
import { allAttachments } from "./storage-settings.ts";
import { braced, parseUuid } from "./uuid.ts";
import type { VboxFile } from "./vbox-file.ts";

/** An image in place of another one. */
export interface ClonedDisk {
  readonly originalUuid: string;
  readonly uuid: string;
  /** Absolute. */
  readonly location: string;
  readonly format: string;
  readonly type: string;
}

export interface CloneOptions {
  readonly name: string;
  readonly uuid: string;
  readonly groups?: readonly string[];
  /** Absolute path of the clone's settings file. */
  readonly path: string;
  readonly keepsMacs: "none" | "nat" | "all";
  readonly keepsHardwareUuid: boolean;
  readonly disks: readonly ClonedDisk[];
}

/** The clone's settings, not yet written. `source` is a document of its own: it becomes the clone. */
export function cloneSettings(source: VboxFile, index: MediaIndex, options: CloneOptions): VboxFile {
  const { machine, hardwareUuid } = source;
  const clone = source.movedTo(options.path);
  for (const name of ["Snapshot", "MediaRegistry"]) {
    const element = machine.element(name);
    if (element) machine.remove(element);
  }
  for (const name of ["stateFile", "currentSnapshot", "currentStateModified", "aborted"]) machine.set(name, undefined);
  machine.set("uuid", braced(options.uuid)).set("name", options.name);
  // A path of the original's variable store would be written by both.
  machine.find("Hardware/BIOS/NVRAM")?.set("path", undefined);
  clone.hardware.set("uuid", options.keepsHardwareUuid ? braced(hardwareUuid) : undefined);
  if (options.groups) clone.groups = options.groups;
  for (const adapter of adapters(clone)) {
    const isKept = options.keepsMacs === "all" || (options.keepsMacs === "nat" && adapter.mode?.cli === "nat");
    if (adapter.isEnabled && !isKept) adapter.macAddress = newMacAddress();
  }
  attachClones(clone, index, options.disks);
  clone.touchStateChange();
  return clone;
}

/** Disks are replaced by their copies; discs and floppies are listed here too. */
function attachClones(clone: VboxFile, index: MediaIndex, disks: readonly ClonedDisk[]): void {
  const kinds = { HardDisk: "hdd", DVD: "dvd", Floppy: "floppy" } as const satisfies Record<string, MediumKind>;
  for (const { type, imageUuid, element } of allAttachments(clone.machine)) {
    if (imageUuid === undefined) continue;
    const disk = disks.find(({ originalUuid }) => originalUuid === imageUuid);
    const known = index.byUuid(imageUuid, kinds[type]);
    const medium = disk ? { ...disk, kind: "hdd" as const } : type === "HardDisk" ? undefined : known;
    if (disk) element.element("Image")?.set("uuid", braced(disk.uuid));
    if (medium === undefined) continue;
    const isListed = mediaIn(clone.machine, clone.folder).some(({ uuid }) => uuid === medium.uuid);
    if (!isListed && parseUuid(medium.uuid) !== undefined)
      addMedium(clone.machine, { ...medium, location: clone.relativeLocation(medium.location) });
  }
}
