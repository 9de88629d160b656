/**
 * The registry (VirtualBox.xml): which VMs are registered where, system properties, media that belong to no VM. Reading
 * takes no lock; every change runs in `editRegistry`, which reads, changes and writes under the registry's lock.
 */
import * as fs from "node:fs";
import { join, resolve } from "node:path";
import { configurationFolder, defaultMachineFolder } from "./folders.ts";
import { ResultError } from "./result-codes.ts";
import {
  ensure,
  loadSettings,
  makeFolderOf,
  newSettings,
  type SettingsFile,
  withSettingsLock,
} from "./settings-file.ts";
import { braced, parseUuid } from "./uuid.ts";
import type { XmlElement } from "./xml.ts";

/** Extra data that says a registry was made by Anneau. */
const ownerKey = "Anneau/Registry";

export interface MachineEntry {
  readonly uuid: string;
  /** Absolute path of the .vbox file. */
  readonly path: string;
}

export class Registry {
  private readonly file: SettingsFile;
  readonly global: XmlElement;

  constructor(file: SettingsFile) {
    this.file = file;
    this.global = file.document.root.element("Global") as XmlElement;
  }

  get path(): string {
    return this.file.path;
  }

  machines(): MachineEntry[] {
    const entries: MachineEntry[] = [];
    for (const entry of this.global.element("MachineRegistry")?.elements("MachineEntry") ?? []) {
      const uuid = parseUuid(entry.get("uuid"));
      const src = entry.get("src");
      if (uuid && src) entries.push({ uuid, path: resolve(configurationFolder(), src) });
    }
    return entries;
  }

  addMachine(entry: MachineEntry): void {
    ensure(this.global, "MachineRegistry").add("MachineEntry").set("uuid", braced(entry.uuid)).set("src", entry.path);
  }

  removeMachine(uuid: string): void {
    const parent = this.global.element("MachineRegistry");
    for (const entry of parent?.elements("MachineEntry") ?? []) {
      if (parseUuid(entry.get("uuid")) === uuid) parent?.remove(entry);
    }
  }

  /** Follows a VM whose settings file was renamed or moved. */
  moveMachine(uuid: string, path: string): void {
    for (const entry of this.global.element("MachineRegistry")?.elements("MachineEntry") ?? []) {
      if (parseUuid(entry.get("uuid")) === uuid) entry.set("src", path);
    }
  }

  systemProperty(name: string): string | undefined {
    return this.global.element("SystemProperties")?.get(name);
  }

  setSystemProperty(name: string, value: string | undefined): void {
    ensure(this.global, "SystemProperties").set(name, value);
  }

  get machineFolder(): string {
    const folder = this.systemProperty("defaultMachineFolder");
    return folder ? resolve(folder) : defaultMachineFolder();
  }

  save(): void {
    makeFolderOf(this.path);
    this.file.save();
  }
}

export function registryPath(): string {
  return join(configurationFolder(), "VirtualBox.xml");
}

/** The registry as it is on disk; an empty one when there is none yet. */
export function loadRegistry(): Registry {
  const path = registryPath();
  return new Registry(fs.existsSync(path) ? loadSettings(path, "Global") : emptyRegistry(path));
}

/** Changes the registry under its lock. When `work` throws nothing is written. */
export function editRegistry<T>(work: (registry: Registry) => T): T {
  const path = registryPath();
  const isNew = !fs.existsSync(configurationFolder());
  makeFolderOf(path);
  try {
    return withSettingsLock(path, () => {
      const registry = loadRegistry();
      refuseForeign(registry);
      const result = work(registry);
      registry.save();
      return result;
    });
  } catch (error) {
    if (isNew) removeEmptyFolder(configurationFolder());
    throw error;
  }
}

/** What was made for a change that did not happen. */
function removeEmptyFolder(folder: string): void {
  try {
    fs.rmdirSync(folder);
  } catch {
    // Somebody else has put something there.
  }
}

function emptyRegistry(path: string): SettingsFile {
  const file = newSettings(path, "Global");
  const global = file.document.root.element("Global") as XmlElement;
  ensure(global, "ExtraData").add("ExtraDataItem").set("name", ownerKey).set("value", "1");
  ensure(global, "MachineRegistry");
  ensure(global, "NetserviceRegistry/DHCPServers");
  ensure(global, "SystemProperties")
    .set("defaultMachineFolder", defaultMachineFolder())
    .set("defaultHardDiskFormat", "VDI")
    .set("VRDEAuthLibrary", "VBoxAuth")
    .set("webServiceAuthLibrary", "VBoxAuth")
    .set("LogHistoryCount", "3")
    .set("proxyMode", "0")
    .set("exclusiveHwVirt", "false");
  ensure(global, "USBDeviceFilters");
  return file;
}

/** A registry in one of VirtualBox's own default folders that we did not make belongs to a real VirtualBox. */
function refuseForeign(registry: Registry): void {
  const isDefaultFolder = /[/\\](\.config[/\\]VirtualBox|\.VirtualBox|Library[/\\]VirtualBox)$/.test(
    configurationFolder(),
  );
  if (!isDefaultFolder) return;
  const items = registry.global.element("ExtraData")?.elements("ExtraDataItem") ?? [];
  if (items.some((item) => item.get("name") === ownerKey)) return;
  throw new ResultError(
    "E_ACCESSDENIED",
    "VirtualBoxWrap",
    `'${registry.path}' belongs to VirtualBox and is not written: set VBOX_USER_HOME to another folder`,
  );
}
