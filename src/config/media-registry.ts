/**
 * Media (hard disk, DVD and floppy images) as settings files list them. A medium is listed in the registry
 * (VirtualBox.xml) until a VM uses it; then a hard disk moves into that VM's file, while DVD and floppy images are
 * listed in every VM that uses them. `MediaIndex` is the union over the registry and all registered VMs.
 */
import * as fs from "node:fs";
import { dirname, resolve } from "node:path";
import { loadRegistry, type MachineEntry, type Registry } from "./registry.ts";
import { ResultError } from "./result-codes.ts";
import { ensure } from "./settings-file.ts";
import { allAttachments } from "./storage-settings.ts";
import { braced, parseUuid } from "./uuid.ts";
import { loadVbox, type VboxFile } from "./vbox-file.ts";
import type { XmlElement } from "./xml.ts";

export type MediumKind = "hdd" | "dvd" | "floppy";

export interface MediumRecord {
  readonly uuid: string;
  readonly kind: MediumKind;
  /** Absolute path. */
  readonly location: string;
  /** VDI, VMDK, RAW … */
  readonly format: string;
  /** Normal, Immutable, Writethrough, Shareable, Readonly, MultiAttach. */
  readonly type: string;
  readonly parentUuid: string | undefined;
  readonly isAutoReset: boolean;
  readonly element: XmlElement;
}

const sections: Record<MediumKind, readonly [section: string, element: string]> = {
  hdd: ["HardDisks", "HardDisk"],
  dvd: ["DVDImages", "Image"],
  floppy: ["FloppyImages", "Image"],
};

export const mediumLabels: Record<MediumKind, string> = {
  hdd: "hard disk",
  dvd: "CD/DVD image",
  floppy: "floppy image",
};

/** What a medium is when its entry does not say: floppies can be written, without snapshots. */
const defaultTypes: Record<MediumKind, string> = { hdd: "Normal", dvd: "Readonly", floppy: "Writethrough" };

/** Media listed under `owner` (Machine or Global); locations are relative to `folder`. Hard disks may nest. */
export function mediaIn(owner: XmlElement, folder: string): MediumRecord[] {
  const found: MediumRecord[] = [];
  for (const kind of ["hdd", "dvd", "floppy"] as const) {
    const [section, name] = sections[kind];
    const pending = (owner.find(`MediaRegistry/${section}`)?.elements(name) ?? []).map((element) => ({
      element,
      parentUuid: undefined as string | undefined,
    }));
    for (let next = pending.shift(); next; next = pending.shift()) {
      const { element, parentUuid } = next;
      const uuid = parseUuid(element.get("uuid"));
      const location = element.get("location");
      if (uuid === undefined || !location) continue;
      found.push({
        uuid,
        kind,
        location: resolve(folder, location),
        format: element.get("format") ?? "RAW",
        type: element.get("type") ?? defaultTypes[kind],
        parentUuid,
        isAutoReset: element.get("autoReset") === "true",
        element,
      });
      pending.unshift(...element.elements(name).map((child) => ({ element: child, parentUuid: uuid })));
    }
  }
  return found;
}

export interface NewMedium {
  readonly uuid: string;
  readonly kind: MediumKind;
  readonly location: string;
  readonly format: string;
  readonly type?: string;
}

/** Lists a medium under `owner`; `location` as the file shall have it. */
export function addMedium(owner: XmlElement, medium: NewMedium): XmlElement {
  const [section, name] = sections[medium.kind];
  const element = ensure(owner, `MediaRegistry/${section}`).add(name);
  element.set("uuid", braced(medium.uuid)).set("location", medium.location);
  if (medium.kind === "hdd") element.set("format", medium.format).set("type", medium.type ?? "Normal");
  return element;
}

/** Takes a medium (with its children) off the list; empty sections go with it. */
export function removeMedium(owner: XmlElement, uuid: string): void {
  const registry = owner.element("MediaRegistry");
  const record = mediaIn(owner, "/").find((one) => one.uuid === uuid);
  if (registry === undefined || record === undefined) return;
  const parent = record.element.parent as XmlElement;
  parent.remove(record.element);
  if (parent.parent === registry && parent.elements().length === 0) registry.remove(parent);
  if (registry.elements().length === 0) owner.remove(registry);
}

export interface KnownMedium extends MediumRecord {
  /** UUID of the VM whose file lists it, undefined for the registry. */
  readonly listedBy: string | undefined;
}

export interface MediumUser {
  readonly uuid: string;
  readonly name: string;
}

/** Every medium that the registry or a registered VM lists, and who has it attached. */
export class MediaIndex {
  readonly media: KnownMedium[] = [];
  readonly machines: VboxFile[] = [];
  /** Entries whose settings file could not be read. */
  readonly inaccessible: MachineEntry[] = [];

  constructor(registry: Registry = loadRegistry()) {
    for (const record of mediaIn(registry.global, dirname(registry.path))) this.add(record, undefined);
    for (const entry of registry.machines()) {
      try {
        const vbox = loadVbox(entry.path);
        this.machines.push(vbox);
        for (const record of mediaIn(vbox.machine, vbox.folder)) this.add(record, vbox.uuid);
      } catch (error) {
        if (!(error instanceof ResultError)) throw error;
        this.inaccessible.push(entry);
      }
    }
  }

  private add(record: MediumRecord, listedBy: string | undefined): void {
    this.media.push({ ...record, listedBy });
  }

  byUuid(uuid: string, kind?: MediumKind): KnownMedium | undefined {
    return this.media.find((one) => one.uuid === uuid && (kind === undefined || one.kind === kind));
  }

  byLocation(path: string, kind?: MediumKind): KnownMedium | undefined {
    const wanted = realPath(path);
    return this.media.find((one) => (kind === undefined || one.kind === kind) && realPath(one.location) === wanted);
  }

  /** Distinct media of a kind, in listing order. */
  ofKind(kind: MediumKind): KnownMedium[] {
    const seen = new Set<string>();
    return this.media.filter((one) => one.kind === kind && !seen.has(one.uuid) && seen.add(one.uuid));
  }

  /** VMs that have the medium attached in their current state. */
  usersOf(uuid: string): MediumUser[] {
    return this.machines
      .filter((vbox) => allAttachments(vbox.machine).some(({ imageUuid }) => imageUuid === uuid))
      .map(({ uuid: user, name }) => ({ uuid: user, name }));
  }

  childrenOf(uuid: string): string[] {
    return this.ofKind("hdd")
      .filter(({ parentUuid }) => parentUuid === uuid)
      .map((child) => child.uuid);
  }
}

/** The path with symbolic links resolved as far as it exists. */
export function realPath(path: string): string {
  try {
    return fs.realpathSync(path);
  } catch {
    return resolve(path);
  }
}
