/** A new VM: where its file lies and what hardware it starts with. */
import { join, resolve } from "node:path";
import { safeFileName } from "./folders.ts";
import { settings } from "./machine-settings.ts";
import { adapters, attachmentModes } from "./network-settings.ts";
import { type OsType, osTypeDefaults } from "./os-types.ts";
import { ensure } from "./settings-file.ts";
import { addController, attach, buses } from "./storage-settings.ts";
import { newVbox, type VboxFile } from "./vbox-file.ts";

export interface NewMachine {
  readonly name: string;
  readonly uuid: string;
  readonly osType: OsType;
  readonly groups: readonly string[];
  /** Absolute folder under which the VM's own folder is made. */
  readonly baseFolder: string;
  /** All of the type's recommended hardware (`createvm --default`), else only what every new VM gets. */
  readonly withDefaults: boolean;
}

/** `base[/group]/NAME/NAME.vbox`. */
export function settingsPathOf(baseFolder: string, name: string, groups: readonly string[] = []): string {
  const group = (groups[0] ?? "/")
    .split("/")
    .filter((part) => part !== "")
    .map(safeFileName);
  return resolve(join(baseFolder, ...group, safeFileName(name), `${safeFileName(name)}.vbox`));
}

/** The new VM's settings, not yet written. Errors: the file exists, the folder cannot be made. */
export function newMachine(wanted: NewMachine): VboxFile {
  const { osType } = wanted;
  const vbox = newVbox(settingsPathOf(wanted.baseFolder, wanted.name, wanted.groups), {
    uuid: wanted.uuid,
    name: wanted.name,
    osType: osType.id,
  });
  const recommended = osTypeDefaults(osType.id);
  vbox.groups = wanted.groups;
  const cpu = ensure(vbox.machine, "Hardware/CPU");
  cpu.add("PAE").set("enabled", String(recommended.pae));
  cpu.add("LongMode").set("enabled", String(osType.is64Bit));
  if (recommended.x2apic) vbox.set(settings.x2apic, true);
  ensure(vbox.machine, "Hardware/Memory").set("RAMSize", String(settings.memoryMiB.fallback));
  ensure(vbox.machine, "Hardware/Display").set("VRAMSize", String(settings.vramMiB.fallback));
  ensure(vbox.machine, "Hardware/BIOS/IOAPIC").set("enabled", String(recommended.ioapic));
  vbox.set(settings.systemUuidLittleEndian, true);
  ensure(vbox.machine, "Hardware/RTC").set("localOrUTC", recommended.rtcUtc ? "UTC" : "local");
  ensure(vbox.machine, "Hardware/AudioAdapter")
    .set("driver", "Default")
    .set("enabledIn", "false")
    .set("enabledOut", "false");
  const [first] = adapters(vbox);
  first.type = recommended.nic;
  first.isEnabled = true;
  first.setMode(attachmentModes[0]);
  ensure(vbox.machine, "Hardware/StorageControllers");
  if (wanted.withDefaults) applyDefaults(vbox, osType);
  return vbox;
}

function applyDefaults(vbox: VboxFile, osType: OsType): void {
  const recommended = osTypeDefaults(osType.id);
  vbox.set(settings.memoryMiB, recommended.ramMiB);
  vbox.set(settings.vramMiB, recommended.vramMiB);
  vbox.set(settings.graphics, recommended.graphics);
  vbox.set(settings.chipset, recommended.chipset);
  vbox.set(settings.firmware, recommended.firmware);
  vbox.set(settings.hpet, recommended.hpet);
  vbox.set(settings.pointing, recommended.pointing);
  vbox.set(settings.keyboard, recommended.keyboard);
  vbox.set(settings.audioController, recommended.audioController);
  vbox.set(settings.audioCodec, recommended.audioCodec);
  vbox.set(settings.audioEnabled, true);
  vbox.set(settings.audioOut, true);
  addUsb(vbox, recommended.usb);
  const diskBus = buses.find(({ name }) => name === recommended.hdController) ?? buses[0];
  const onlySata = diskBus.name === "sata" && osType.familyId === "Windows";
  if (diskBus.name === "ide" || !onlySata) {
    const ide = addController(vbox, { name: "IDE", bus: buses[0] }, recommended.chipset);
    attach(ide, { port: 1, device: 0, type: "DVD" });
  }
  if (diskBus.name === "sata") {
    const sata = addController(vbox, { name: "SATA", bus: diskBus, portCount: onlySata ? 2 : 1 }, recommended.chipset);
    if (onlySata) attach(sata, { port: 1, device: 0, type: "DVD" });
  }
  if (recommended.floppy) {
    const floppy = buses.find(({ name }) => name === "floppy");
    if (floppy)
      attach(addController(vbox, { name: "Floppy", bus: floppy }, recommended.chipset), {
        port: 0,
        device: 0,
        type: "Floppy",
      });
  }
}

function addUsb(vbox: VboxFile, usb: string): void {
  if (usb === "none") return;
  const parent = ensure(vbox.machine, "Hardware/USB/Controllers");
  const wanted = usb === "ehci" ? ["OHCI", "EHCI"] : [usb.toUpperCase()];
  for (const type of wanted) parent.add("Controller").set("name", type).set("type", type);
}
