/**
 * A VM's settings file (.vbox): identity, folders, state and typed access over the kept XML tree. Storage, network,
 * ports and the rest have modules of their own that work on the same tree (`storage-settings.ts` …).
 */
import * as fs from "node:fs";
import { basename, dirname, isAbsolute, join, relative, resolve } from "node:path";
import { readSetting, type Setting, settings, writeSetting } from "./machine-settings.ts";
import { ResultError } from "./result-codes.ts";
import {
  ensure,
  loadSettings,
  makeFolderOf,
  newSettings,
  type SettingsFile,
  withSettingsLock,
  xmlError,
} from "./settings-file.ts";
import { braced, parseUuid } from "./uuid.ts";
import type { XmlElement } from "./xml.ts";

export class VboxFile {
  private readonly file: SettingsFile;
  readonly machine: XmlElement;

  constructor(file: SettingsFile) {
    this.file = file;
    this.machine = file.document.root.element("Machine") as XmlElement;
    if (parseUuid(this.machine.get("uuid")) === undefined) {
      throw xmlError(`'${file.path}': the machine has no valid UUID ('${this.machine.get("uuid") ?? ""}')`);
    }
    if (!this.machine.get("name")) throw xmlError(`'${file.path}': the machine has no name`);
  }

  get path(): string {
    return this.file.path;
  }

  get minorVersion(): number {
    return this.file.minorVersion;
  }

  /** Lower case, without braces. */
  get uuid(): string {
    return parseUuid(this.machine.get("uuid")) as string;
  }

  get name(): string {
    return this.machine.get("name") as string;
  }

  set name(name: string) {
    this.machine.set("name", name);
  }

  /** The folder of the settings file: relative locations start here. */
  get folder(): string {
    return dirname(this.path);
  }

  get snapshotFolder(): string {
    return resolve(this.folder, this.get(settings.snapshotFolder));
  }

  get logFolder(): string {
    return join(this.folder, "Logs");
  }

  get nvramFile(): string {
    const path = this.get(settings.nvramPath);
    return path === "" ? this.path.replace(/\.vbox$/i, "") + ".nvram" : resolve(this.folder, path);
  }

  get hardware(): XmlElement {
    return ensure(this.machine, "Hardware");
  }

  get hardwareUuid(): string {
    return parseUuid(this.machine.element("Hardware")?.get("uuid")) ?? this.uuid;
  }

  set hardwareUuid(uuid: string) {
    this.hardware.set("uuid", uuid === this.uuid ? undefined : braced(uuid));
  }

  get description(): string {
    return this.machine.element("Description")?.text ?? "";
  }

  set description(text: string) {
    const element = this.machine.element("Description");
    if (text === "") {
      if (element) this.machine.remove(element);
    } else if (text !== this.description) ensure(this.machine, "Description").setText(text);
  }

  get groups(): string[] {
    const names =
      this.machine
        .element("Groups")
        ?.elements("Group")
        .map((group) => group.get("name") ?? "/") ?? [];
    return names.length === 0 ? ["/"] : names;
  }

  set groups(names: readonly string[]) {
    const element = this.machine.element("Groups");
    if (element) this.machine.remove(element);
    if (names.length === 0 || (names.length === 1 && names[0] === "/")) return;
    const parent = ensure(this.machine, "Groups");
    for (const name of names) parent.add("Group").set("name", name);
  }

  /** Absolute path of the saved state file, undefined when there is none. */
  get stateFile(): string | undefined {
    const path = this.machine.get("stateFile");
    return path ? resolve(this.folder, path) : undefined;
  }

  set stateFile(path: string | undefined) {
    this.machine.set("stateFile", path === undefined ? undefined : this.relativeLocation(path));
  }

  /** The last run ended without the VM process saying so. */
  get isAborted(): boolean {
    return this.machine.get("aborted") === "true";
  }

  set isAborted(aborted: boolean) {
    this.machine.set("aborted", aborted ? "true" : undefined);
  }

  /** ISO time, seconds, `Z`. */
  get lastStateChange(): string {
    return this.machine.get("lastStateChange") ?? "1970-01-01T00:00:00Z";
  }

  /** Notes that the VM's state changed now. */
  touchStateChange(now = new Date()): void {
    this.machine.set("lastStateChange", `${now.toISOString().slice(0, 19)}Z`);
  }

  get<T>(setting: Setting<T>): T {
    return readSetting(this.machine, setting);
  }

  set<T>(setting: Setting<T>, value: T): void {
    writeSetting(this.machine, setting, value);
  }

  extraData(key: string): string | undefined {
    return findExtraData(this.machine, key)?.get("value");
  }

  setExtraData(key: string, value: string | undefined): void {
    setExtraDataIn(this.machine, key, value);
  }

  /** Relative to the machine folder when inside of it, else absolute: how files store locations. */
  relativeLocation(path: string): string {
    const inside = relative(this.folder, path);
    return inside === "" || inside.startsWith("..") || isAbsolute(inside) ? path : inside;
  }

  /** Writes the file, in a new folder if need be. When it cannot be written, no folder for it stays behind. */
  save(): void {
    const isNewFolder = !fs.existsSync(this.folder);
    makeFolderOf(this.path);
    try {
      this.file.save();
    } catch (error) {
      if (isNewFolder) fs.rmdirSync(this.folder);
      throw error;
    }
  }

  /** The same document under another path: the next save writes it there. */
  movedTo(path: string): VboxFile {
    return new VboxFile(new (this.file.constructor as typeof SettingsFile)(path, this.file.document, undefined));
  }
}

function findExtraData(parent: XmlElement, key: string): XmlElement | undefined {
  return parent
    .element("ExtraData")
    ?.elements("ExtraDataItem")
    .find((item) => item.get("name") === key);
}

/** An extra data item's value, of a machine or of the global settings. */
export function extraDataIn(parent: XmlElement, key: string): string | undefined {
  return findExtraData(parent, key)?.get("value");
}

/** Sets or, with undefined, deletes an extra data item of a machine or of the global settings. */
export function setExtraDataIn(parent: XmlElement, key: string, value: string | undefined): void {
  const item = findExtraData(parent, key);
  if (value !== undefined) {
    (item ?? ensure(parent, "ExtraData").add("ExtraDataItem").set("name", key)).set("value", value);
  } else if (item) parent.element("ExtraData")?.remove(item);
}

/** Reads a VM's settings file. Errors: VBOX_E_XML_ERROR, VBOX_E_FILE_ERROR. */
export function loadVbox(path: string): VboxFile {
  return new VboxFile(loadSettings(path, "Machine"));
}

/**
 * Changes a VM's settings under its lock. `work` may throw: then nothing is written. The file is read after the lock is
 * held, so concurrent changes add up.
 */
export function editVbox<T>(path: string, work: (vbox: VboxFile) => T): T {
  if (!fs.existsSync(path)) {
    throw new ResultError(
      "VBOX_E_FILE_ERROR",
      "MachineWrap",
      `Could not open the settings file '${path}' (VERR_FILE_NOT_FOUND)`,
    );
  }
  return withSettingsLock(path, () => {
    const vbox = loadVbox(path);
    const result = work(vbox);
    vbox.save();
    return result;
  });
}

/** A new VM's document with identity only; `save` writes it. Fails when the file exists. */
export function newVbox(path: string, identity: { uuid: string; name: string; osType: string }): VboxFile {
  if (fs.existsSync(path)) {
    throw new ResultError("VBOX_E_FILE_ERROR", "MachineWrap", `Machine settings file '${path}' already exists`);
  }
  const file = newSettings(path, "Machine");
  file.document.root
    .element("Machine")
    ?.set("uuid", braced(identity.uuid))
    .set("name", identity.name)
    .set("OSType", identity.osType)
    .set("snapshotFolder", "Snapshots");
  const vbox = new VboxFile(file);
  vbox.touchStateChange();
  return vbox;
}

/** Whether a settings file lies in a folder of the VM's own, which renaming and deleting may touch. */
export function hasOwnFolder(vbox: VboxFile): boolean {
  return basename(vbox.folder) === basename(vbox.path).replace(/\.vbox$/i, "");
}
