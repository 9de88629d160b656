/**
 * A settings file in VirtualBox's XML format: the part that .vbox files and VirtualBox.xml share. Reads any 1.x version,
 * keeps everything it does not know, writes only when something changed, keeps the previous file as `<name>-prev`.
 */
import * as fs from "node:fs";
import { dirname } from "node:path";
import { FormatError } from "../base/errors.ts";
import { makeFolder } from "../disk/make-folder.ts";
import { waitForLock } from "../disk/owner-lock.ts";
import { replaceFile } from "./atomic-file.ts";
import { platformSuffix } from "./folders.ts";
import { fileError, ResultError } from "./result-codes.ts";
import { parseXml, serializeXml, type XmlDocument, type XmlElement, xmlLimits } from "./xml.ts";

/** The version that new files claim: VirtualBox 7.0's. */
export const writtenVersion = "1.19";

const lockTimeoutMs = 60_000;

export class SettingsFile {
  readonly path: string;
  readonly document: XmlDocument;
  private saved: string | undefined;

  /** `saved` is the text on disk, undefined for a document that was never written. */
  constructor(path: string, document: XmlDocument, saved: string | undefined) {
    this.path = path;
    this.document = document;
    this.saved = saved;
  }

  /** The settings format's minor version: 19 for `1.19-linux`. */
  get minorVersion(): number {
    return Number(/^1\.([0-9]{1,3})(?:-|$)/.exec(this.document.root.get("version") ?? "")?.[1] ?? 0);
  }

  /** Writes the file if its text changed. Errors leave the old file in place. */
  save(): void {
    const text = serializeXml(this.document);
    if (text === this.saved) return;
    try {
      replaceFile(this.path, text, { keepPrevious: true });
    } catch (error) {
      throw fileError(error, "Could not write the settings file", this.path, "MachineWrap");
    }
    this.saved = text;
  }
}

/** Reads and checks a settings file; `child` is the element that has to be there (`Machine` or `Global`). */
export function loadSettings(path: string, child: "Machine" | "Global"): SettingsFile {
  let text: string;
  try {
    const { size } = fs.statSync(path);
    if (size > xmlLimits.bytes) throw new FormatError(`'${path}' is too large for a settings file (${size} bytes)`);
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(fs.readFileSync(path));
  } catch (error) {
    if (error instanceof FormatError || error instanceof TypeError) {
      throw xmlError(error instanceof FormatError ? error.message : `'${path}' is not UTF-8 text`, error);
    }
    throw fileError(error, "Could not open the settings file", path, "VirtualBoxWrap");
  }
  let document: XmlDocument;
  try {
    document = parseXml(text, `'${path}'`);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw xmlError(`Could not read the settings file ${error.message}`, error);
  }
  const { root } = document;
  if (root.name !== "VirtualBox") throw xmlError(`'${path}' is not a VirtualBox settings file (root <${root.name}>)`);
  if (!/^1\.[0-9]{1,3}(-|$)/.test(root.get("version") ?? "")) {
    throw xmlError(`'${path}' has the settings version '${root.get("version") ?? ""}', only 1.x is known`);
  }
  if (root.element(child) === undefined) {
    if (root.element(`${child}Encrypted`)) throw xmlError(`'${path}' is encrypted, which is not supported`);
    throw xmlError(`'${path}' has no <${child}> element`);
  }
  return new SettingsFile(path, document, text);
}

/** A new document with the given child under the root; nothing is on disk yet. */
export function newSettings(path: string, child: "Machine" | "Global"): SettingsFile {
  const text = `<?xml version="1.0"?>
<!--
** Written by Anneau, in VirtualBox's settings format. Change settings through the command line while no
** command and no virtual machine uses this file: an edit by hand may be overwritten.
-->
<VirtualBox xmlns="http://www.virtualbox.org/" version="${writtenVersion}-${platformSuffix()}">
  <${child}/>
</VirtualBox>
`;
  return new SettingsFile(path, parseXml(text, path), undefined);
}

export function xmlError(message: string, cause?: unknown): ResultError {
  return new ResultError("VBOX_E_XML_ERROR", "VirtualBoxWrap", message, { cause });
}

/** Runs `work` while no other process changes the settings file `path`. Reading needs no lock: writes are atomic. */
export function withSettingsLock<T>(path: string, work: () => T): T {
  let lock: ReturnType<typeof waitForLock>;
  try {
    lock = waitForLock(`${path}.lock`, lockTimeoutMs);
  } catch (error) {
    throw fileError(error, "Could not lock the settings file", path, "MachineWrap");
  }
  try {
    return work();
  } finally {
    lock.release();
  }
}

/** Makes the folder of `path` and its parents. */
export function makeFolderOf(path: string): void {
  try {
    makeFolder(dirname(path));
  } catch (error) {
    throw fileError(error, "Could not create the directory", dirname(path), "MachineWrap");
  }
}

/** Finds or makes the element at `path` under `parent`; new elements go in the order of `orders`. */
export function ensure(parent: XmlElement, path: string): XmlElement {
  let at = parent;
  for (const step of path.split("/")) at = at.element(step) ?? addInOrder(at, step);
  return at;
}

/** Known orders of children, so that a new element lands where VirtualBox would write it. */
const childOrder: Record<string, readonly string[]> = {
  Machine:
    "Description Teleporter Debugging MediaRegistry ExtraData Snapshot Hardware StorageControllers Recording Groups Autostart".split(
      " ",
    ),
  Hardware:
    "CPU Memory Firmware HID HPET Chipset Iommu TrustedPlatformModule Paravirt Boot Display VideoCapture RemoteDisplay BIOS USB Network UART LPT AudioAdapter RTC SharedFolders Clipboard DragAndDrop IO HostPci EmulatedUSB Guest GuestProperties Frontend StorageControllers".split(
      " ",
    ),
  CPU: "HardwareVirtEx HardwareVirtExNestedPaging HardwareVirtExVPID HardwareVirtExUX PAE LongMode TripleFaultReset X2APIC APIC HardwareVirtExLargePages HardwareVirtForce HardwareVirtExVirtVmsaveVmload IBPBOn SpecCtrl SpecCtrlByHost L1DFlushOn MDSClearOn NestedHWVirt CpuTree CpuIdTree".split(
    " ",
  ),
  BIOS: "ACPI IOAPIC APIC Logo BootMenu TimeOffset PXEDebug NVRAM SmbiosUuidLittleEndian AutoSerialNumGen".split(" "),
  Adapter:
    "DisabledModes NAT BridgedInterface InternalNetwork HostOnlyInterface HostOnlyNetwork NATNetwork GenericInterface CloudNetwork".split(
      " ",
    ),
  NAT: "DNS Alias TFTP Forwarding".split(" "),
  Global: "ExtraData MachineRegistry MediaRegistry NetserviceRegistry SystemProperties USBDeviceFilters".split(" "),
  MediaRegistry: "HardDisks DVDImages FloppyImages".split(" "),
};

function addInOrder(parent: XmlElement, name: string): XmlElement {
  const order = childOrder[parent.name];
  const rank = order?.indexOf(name) ?? -1;
  const before =
    rank < 0 ? undefined : parent.elements().find((element) => (order?.indexOf(element.name) ?? -1) > rank);
  return parent.add(name, before);
}
