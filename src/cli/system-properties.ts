/** `list systemproperties` (labels and order of VBoxManage 7.0) and `list hostinfo`. */
import { cpus, freemem, release, totalmem, type } from "node:os";
import { loadRegistry } from "../config/registry.ts";
import { type Bus, buses } from "../config/storage-settings.ts";
import { limits } from "../spec/machine-spec.ts";

const padded = (label: string, value: string | number) => `${label.padEnd(33)}${value}`.trimEnd() + "\n";

/** Where VirtualBox puts the chipset's name in a bus's labels. */
function busLines(bus: Bus): string {
  const { label, maxControllers, maxPorts, devicesPerPort } = bus;
  const chipsetFirst = !["SAS", "NVMe", "virtio-scsi"].includes(label);
  const name = (chipset: string) => (chipsetFirst ? `${chipset} ${label}` : `${label} ${chipset}`);
  // The one bus whose labels do not fit the column has a wider one.
  const line = (text: string, value: number) => `${text.padEnd(label === "virtio-scsi" ? 40 : 33)}${value}\n`;
  return (
    line(`Maximum ${name("PIIX3")} Controllers:`, maxControllers.piix3) +
    line(`Maximum ${name("ICH9")} Controllers:`, maxControllers.ich9) +
    line(`Maximum ${label} Port count:`, maxPorts) +
    line(`Maximum Devices per ${label} Port:`, devicesPerPort)
  );
}

export function systemProperties(): string {
  const registry = loadRegistry();
  const property = (name: string, fallback = "") => registry.systemProperty(name) ?? fallback;
  const { ramMiB, vramMiB, cpus: cpuLimits, monitors, uarts, parallels, nics } = limits;
  const order: readonly string[] = ["ide", "sata", "scsi", "sas", "pcie", "virtio-scsi", "floppy"];
  const proxyModes: Record<string, string> = { "0": "System", "1": "NoProxy", "2": "Manual" };
  return [
    padded("API version:", "7_0"),
    padded("Minimum guest RAM size:", `${ramMiB.min} Megabytes`),
    padded("Maximum guest RAM size:", `${ramMiB.max} Megabytes`),
    padded("Minimum video RAM size:", `${vramMiB.min} Megabytes`),
    padded("Maximum video RAM size:", `${vramMiB.max} Megabytes`),
    padded("Maximum guest monitor count:", monitors.max),
    padded("Minimum guest CPU count:", cpuLimits.min),
    padded("Maximum guest CPU count:", cpuLimits.max),
    padded("Virtual disk limit (info):", "2199022206976 Bytes"),
    padded("Maximum Serial Port count:", uarts),
    padded("Maximum Parallel Port count:", parallels),
    padded("Maximum Boot Position:", 4),
    `Maximum PIIX3 Network Adapter count:   ${nics.piix3}\n`,
    `Maximum ICH9 Network Adapter count:   ${nics.ich9}\n`,
    ...order.map((name) => busLines(buses.find((bus) => bus.name === name) ?? buses[0])),
    padded("Default machine folder:", registry.machineFolder),
    padded("Raw-mode Supported:", "no"),
    padded("Exclusive HW virtualization use:", property("exclusiveHwVirt", "false") === "true" ? "on" : "off"),
    padded("Default hard disk format:", property("defaultHardDiskFormat", "VDI")),
    padded("VRDE auth library:", property("VRDEAuthLibrary", "VBoxAuth")),
    padded("Webservice auth. library:", property("webServiceAuthLibrary", "VBoxAuth")),
    padded("Remote desktop ExtPack:", property("defaultVRDEExtPack")),
    padded("VM encryption ExtPack:", ""),
    padded("Log history count:", property("LogHistoryCount", "3")),
    padded("Default frontend:", property("defaultFrontend")),
    padded("Default audio driver:", "Null"),
    padded("Autostart database path:", property("autostartDatabasePath")),
    padded("Default Guest Additions ISO:", ""),
    padded("Logging Level:", property("LoggingLevel", "all")),
    padded("Proxy Mode:", proxyModes[property("proxyMode", "0")] ?? "System"),
    padded("Proxy URL:", property("proxyUrl")),
    padded("User language:", (process.env.LC_ALL ?? process.env.LANG ?? "C").split(".")[0]),
  ].join("");
}

export function hostInfo(): string {
  const processors = cpus();
  const lines = [
    "Host Information:",
    "",
    `Host time: ${new Date().toISOString().replace("Z", "000000Z")}`,
    `Processor online count: ${processors.length}`,
    `Processor count: ${processors.length}`,
    "Processor supports HW virtualization: no",
    ...processors.flatMap(({ model, speed }, at) => [
      `Processor#${at} speed: ${speed > 0 ? `${speed} MHz` : "unknown"}`,
      `Processor#${at} description: ${model.trim()}`,
    ]),
    `Memory size: ${Math.floor(totalmem() / 1048576)} MByte`,
    `Memory available: ${Math.floor(freemem() / 1048576)} MByte`,
    `Operating system: ${type()}`,
    `Operating system version: ${release()}`,
  ];
  return `${lines.join("\n")}\n`;
}
