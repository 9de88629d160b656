/** showvminfo: identity, processor, firmware, state, display. Order and spelling: VBoxManage 7.0. */
import { bootOrder } from "../../config/boot-order.ts";
import { labelOf, type Setting, settings } from "../../config/machine-settings.ts";
import { type MachineState, stateTexts } from "../../config/machine-state.ts";
import { findOsType, osTypeDefaults } from "../../config/os-types.ts";
import type { VboxFile } from "../../config/vbox-file.ts";
import type { InfoReport } from "./report.ts";

export function reportIdentity(report: InfoReport, vbox: VboxFile): void {
  report.text("name", "Name:", vbox.name);
  report.human("Encryption:     disabled");
  report.machine("Encryption:     disabled");
  report.text("groups", "Groups:", vbox.groups.join(","));
  const osType = vbox.get(settings.osType);
  report.text("ostype", "Guest OS:", findOsType(osType)?.description ?? osType);
  report.text("UUID", "UUID:", vbox.uuid);
  report.text("CfgFile", "Config file:", vbox.path);
  report.text("SnapFldr", "Snapshot folder:", vbox.snapshotFolder);
  report.text("LogFldr", "Log folder:", vbox.logFolder);
  report.text("hardwareuuid", "Hardware UUID:", vbox.hardwareUuid);
}

export function reportProcessor(report: InfoReport, vbox: VboxFile): void {
  const choice = (key: string, label: string, setting: Setting<string>) => {
    const value = vbox.get(setting);
    report.text(key, label, value, labelOf(setting, value));
  };
  report.number("memory", "Memory size:", vbox.get(settings.memoryMiB), "MB");
  report.flag("pagefusion", "Page Fusion:", vbox.get(settings.pageFusion));
  report.number("vram", "VRAM size:", vbox.get(settings.vramMiB), "MB");
  report.number("cpuexecutioncap", "CPU exec cap:", vbox.get(settings.cpuExecutionCap), "%");
  report.flag("hpet", "HPET:", vbox.get(settings.hpet));
  report.text("cpu-profile", "CPUProfile:", vbox.get(settings.cpuProfile));
  choice("chipset", "Chipset:", settings.chipset);
  const firmware = vbox.get(settings.firmware).toUpperCase();
  report.text("firmware", "Firmware:", firmware);
  report.number("cpus", "Number of CPUs:", vbox.get(settings.cpus));
  report.flag("pae", "PAE:", vbox.get(settings.pae));
  report.flag("longmode", "Long Mode:", vbox.get(settings.longMode));
  report.flag("triplefaultreset", "Triple Fault Reset:", vbox.get(settings.tripleFaultReset));
  report.flag("apic", "APIC:", vbox.get(settings.apic));
  report.flag("x2apic", "X2APIC:", vbox.get(settings.x2apic));
  report.flag("nested-hw-virt", "Nested VT-x/AMD-V:", vbox.get(settings.nestedHwVirt));
  report.number("cpuid-portability-level", "CPUID Portability Level:", vbox.get(settings.cpuidPortability));
  reportCpuid(report, vbox);
}

function reportCpuid(report: InfoReport, vbox: VboxFile): void {
  const leaves = vbox.machine.find("Hardware/CPU/CpuIdTree")?.elements("CpuIdLeaf") ?? [];
  const hex = (text: string | undefined) => (Number(text ?? 0) >>> 0).toString(16).padStart(8, "0");
  if (leaves.length === 0) report.human(`${"CPUID overrides:".padEnd(28)} None`);
  for (const [at, leaf] of leaves.entries()) {
    const fields = ["id", "subleaf", "eax", "ebx", "ecx", "edx"].map((name) => hex(leaf.get(name)));
    report.machine(`cpuid=${fields.join(",")}`);
    if (at === 0) {
      report.human(`${"CPUID overrides:".padEnd(28)} Leaf no.  EAX      EBX      ECX      EDX`);
    }
    const [id, subleaf, ...registers] = fields;
    report.human(
      `${" ".repeat(29)}${id}/${Number.parseInt(subleaf, 16).toString(16).padStart(3, "0")}  ${registers.join(" ")}`,
    );
  }
}

const bootLabels = { none: "Not Assigned", floppy: "Floppy", dvd: "DVD", disk: "HardDisk", network: "Network" };

export function reportFirmware(report: InfoReport, vbox: VboxFile): void {
  const choice = (key: string, label: string, setting: Setting<string>) => {
    const value = vbox.get(setting);
    report.text(key, label, value, labelOf(setting, value));
  };
  choice("bootmenu", "Boot menu mode:", settings.biosBootMenu);
  for (const [at, device] of bootOrder(vbox).entries()) {
    report.text(`boot${at + 1}`, `Boot Device ${at + 1}:`, device === "network" ? "net" : device, bootLabels[device]);
  }
  report.flag("acpi", "ACPI:", vbox.get(settings.acpi));
  report.flag("ioapic", "IOAPIC:", vbox.get(settings.ioapic));
  choice("biosapic", "BIOS APIC mode:", settings.biosApic);
  report.number("biossystemtimeoffset", "Time offset:", vbox.get(settings.biosTimeOffsetMs), "ms");
  report.text("BIOS NVRAM File", "BIOS NVRAM File:", vbox.nvramFile);
  const isUtc = vbox.get(settings.rtc) === "utc";
  report.both(`rtcuseutc="${isUtc ? "on" : "off"}"`, "RTC:", isUtc ? "UTC" : "local time");
  report.flag("hwvirtex", "Hardware Virtualization:", vbox.get(settings.hwvirtex));
  report.flag("nestedpaging", "Nested Paging:", vbox.get(settings.nestedPaging));
  report.flag("largepages", "Large Pages:", vbox.get(settings.largePages));
  report.flag("vtxvpid", "VT-x VPID:", vbox.get(settings.vtxVpid));
  report.flag("vtxux", "VT-x Unrestricted Exec.:", vbox.get(settings.vtxUx));
  report.flag("virtvmsavevmload", "AMD-V Virt. Vmsave/Vmload:", vbox.get(settings.virtVmsaveVmload));
  choice("iommu", "IOMMU:", settings.iommu);
  choice("paravirtprovider", "Paravirt. Provider:", settings.paravirtProvider);
  const effective = effectiveParavirt(vbox);
  report.text(
    "effparavirtprovider",
    "Effective Paravirt. Prov.:",
    effective,
    labelOf(settings.paravirtProvider, effective),
  );
}

function effectiveParavirt(vbox: VboxFile): string {
  const provider = vbox.get(settings.paravirtProvider);
  if (provider === "default") return osTypeDefaults(vbox.get(settings.osType)).paravirt;
  return provider === "legacy" ? "none" : provider;
}

export function reportState(report: InfoReport, vbox: VboxFile, state: MachineState): void {
  // Settings files have whole seconds; clients expect nine digits and no zone.
  const since = `${vbox.lastStateChange.replace(/Z$/, "").replace(/\.[0-9]*$/, "")}.000000000`;
  report.machine(`VMState="${state}"`);
  report.machine(`VMStateChangeTime="${since}"`);
  report.human(`${"State:".padEnd(28)} ${stateTexts[state]} (since ${since})`);
  if (vbox.stateFile) report.text("VMStateFile", "State file:", vbox.stateFile);
}

export function reportDisplay(report: InfoReport, vbox: VboxFile): void {
  const graphics = vbox.get(settings.graphics);
  report.text("graphicscontroller", "Graphics Controller:", graphics, labelOf(settings.graphics, graphics));
  report.number("monitorcount", "Monitor count:", vbox.get(settings.monitorCount));
  report.flag("accelerate3d", "3D Acceleration:", vbox.get(settings.accelerate3d));
  report.flag("accelerate2dvideo", "2D Video Acceleration:", vbox.get(settings.accelerate2dVideo));
  report.flag("teleporterenabled", "Teleporter Enabled:", vbox.get(settings.teleporter));
  report.number("teleporterport", "Teleporter Port:", vbox.get(settings.teleporterPort));
  report.text("teleporteraddress", "Teleporter Address:", vbox.get(settings.teleporterAddress));
  report.text("teleporterpassword", "Teleporter Password:", vbox.get(settings.teleporterPassword));
  report.flag("tracing-enabled", "Tracing Enabled:", vbox.get(settings.tracing));
  report.flag("tracing-allow-vm-access", "Allow Tracing to Access VM:", vbox.get(settings.tracingAllowAccess));
  report.text("tracing-config", "Tracing Configuration:", vbox.get(settings.tracingConfig));
  report.flag("autostart-enabled", "Autostart Enabled:", vbox.get(settings.autostartEnabled));
  report.number("autostart-delay", "Autostart Delay:", vbox.get(settings.autostartDelaySeconds));
  report.text("defaultfrontend", "Default Frontend:", vbox.get(settings.defaultFrontend));
  report.text("vmprocpriority", "VM process priority:", vbox.get(settings.processPriority));
}
