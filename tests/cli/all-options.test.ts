/**
 * Every option of modifyvm, one after the other, on the real command line: it is taken, stored, read back and leaves the
 * same file when set again; it has the status that the docs give it; and the docs list it.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { modifyOptions } from "../../src/cli/modifyvm/table.ts";
import { supportOf } from "../../src/config/support.ts";
import { loadVbox } from "../../src/config/vbox-file.ts";
import { docsPath, updatedPage } from "./option-docs.ts";
import { Sandbox } from "./sandbox.ts";

/** What has to be there first. */
const preparations: Record<string, readonly (readonly string[])[]> = {
  "plug-cpu": [["modifyvm", "vm", "--cpu-hotplug", "on"]],
  "unplug-cpu": [
    ["modifyvm", "vm", "--cpu-hotplug", "on"],
    ["modifyvm", "vm", "--plug-cpu", "1"],
  ],
  "cpuid-remove": [["modifyvm", "vm", "--cpuid-set", "1", "0", "0", "0", "0"]],
  "cpuid-remove-all": [["modifyvm", "vm", "--cpuid-set", "1", "0", "0", "0", "0"]],
  "usb-rename": [["modifyvm", "vm", "--usb-ohci", "on"]],
  "pci-detach": [["modifyvm", "vm", "--pci-attach", "02:00.0"]],
  dvdpassthrough: [["modifyvm", "vm", "--dvd", "emptydrive"]],
  "nic-type": [["modifyvm", "vm", "--nictype1", "virtio"]],
  nic: [["modifyvm", "vm", "--nic1", "none"]],
};
/** Setting these again is refused, or their example takes away what is not there. */
const once = /^(plug-cpu|unplug-cpu|usb-rename|nat-pf|pci-attach|pci-detach|name)$/;
const maybeNothingThere = /^(hda|hdb|hdd|sataport|scsiport)$/;

test("the page in docs/ is what the program does", () => {
  const page = readFileSync(docsPath, "utf8");
  expect(updatedPage(page), "run: node tests/cli/option-docs.ts").toBe(page);
  for (const { names, slots, status } of modifyOptions) {
    const spelled = `| \`--${names[0]}${slots ? "N" : ""}`;
    const row = page.split("\n").find((line) => line.startsWith(`${spelled} `) || line.startsWith(`${spelled}\``));
    expect(row, names[0]).toContain(`| ${status} |`);
  }
});

test("every option of the contract is in the table", () => {
  const contract =
    "name groups description os-type icon-file snapshot-folder default-frontend hardware-uuid system-uuid-le vm-process-priority autostart-enabled autostart-delay autostop-type " +
    "memory vram page-fusion guest-memory-balloon cpus cpu-hotplug plug-cpu unplug-cpu cpu-execution-cap cpu-profile pae long-mode apic x2apic hpet nested-hw-virt hwvirtex nested-paging large-pages vtx-vpid vtx-ux virt-vmsave-vmload cpuid-portability-level cpuid-set cpuid-remove cpuid-remove-all triple-fault-reset ibpb-on-vm-entry ibpb-on-vm-exit spec-ctrl l1d-flush-on-sched l1d-flush-on-vm-entry mds-clear-on-sched mds-clear-on-vm-entry paravirt-provider paravirt-debug " +
    "chipset firmware acpi ioapic iommu tpm-type tpm-location rtc-use-utc bios-logo-fade-in bios-logo-fade-out bios-logo-display-time bios-logo-image-path bios-boot-menu bios-system-time-offset bios-apic bios-pxe-debug boot " +
    "graphicscontroller monitor-count accelerate-3d accelerate-2d-video " +
    "nic nic-type cable-connected mac-address nic-speed nic-boot-prio nic-promisc nic-bandwidth-group nic-trace nic-trace-file nic-property bridge-adapter host-only-adapter host-only-net intnet nat-network cloud-network nic-generic-drv " +
    "nat-net nat-bind-ip nat-settings nat-pf nat-alias-mode nat-tftp-prefix nat-tftp-file nat-tftp-server nat-dns-pass-domain nat-dns-proxy nat-dns-host-resolver nat-localhostreachable " +
    "mouse keyboard uart uart-mode uart-type lpt lpt-mode audio-driver audio audio-enabled audio-controller audio-codec audio-in audio-out " +
    "clipboard-mode clipboard-file-transfers drag-and-drop usb-ohci usb usb-ehci usb-xhci usb-card-reader usb-rename " +
    "vrde vrde-port vrde-address vrde-auth-type vrde-auth-library vrde-multi-con vrde-reuse-con vrde-video-channel vrde-video-channel-quality vrde-property vrde-extpack " +
    "recording recording-screens recording-file recording-max-size recording-max-time recording-opts recording-video-fps recording-video-rate recording-video-res " +
    "teleporter teleporter-port teleporter-address teleporter-password teleporter-password-file tracing-enabled tracing-config tracing-allow-vm-access guest-debug-provider guest-debug-io-provider guest-debug-address guest-debug-port testing-enabled testing-mmio testing-cfg-dword " +
    "pci-attach pci-detach iocache iocache-size " +
    "hda hdb hdd dvd dvdpassthrough floppy idecontroller sata sataportcount sataport scsi scsitype scsiport";
  const known = new Set(modifyOptions.flatMap(({ names }) => names));
  expect(contract.split(" ").filter((name) => !known.has(name))).toEqual([]);
  // The undashed spellings of old are aliases.
  const undashed = contract.split(" ").map((name) => name.replaceAll("-", ""));
  const newWithSeven =
    /^(groups|autostart|autostop|cpuid|ibpb|spec|l1d|mds|tracing|guestdebug|testing|clipboard|nicproperty|cloudnetwork|hostonlynet)/;
  expect(undashed.filter((name) => !known.has(name) && !newWithSeven.test(name))).toEqual([]);
});

const groups = [...new Set(modifyOptions.map(({ group }) => group))];
for (const group of groups) {
  test(`${group}: stored, read back, and of the documented status`, () => {
    const box = new Sandbox();
    box.write("icon.png", "not really a picture");
    box.write("password.txt", "secret\n");
    const path = box.path("VirtualBox VMs/vm/vm.vbox");
    let fresh: string | undefined;
    for (const { names, slots, example, status } of modifyOptions.filter((one) => one.group === group)) {
      const [name] = names;
      if (!existsSync(path)) box.ok("createvm", "--name", "vm", "--register");
      fresh ??= readFileSync(path, "utf8");
      writeFileSync(path, fresh);
      for (const step of preparations[name] ?? []) box.ok(...step);
      const before = { text: readFileSync(path, "utf8"), support: supportOf(loadVbox(path)) };
      const args = [`--${name}${slots ? "1" : ""}`, ...example];
      const { code, stdout, stderr } = box.anneau("modifyvm", "vm", ...args);
      expect({ code, stdout, stderr }, args.join(" ")).toEqual({ code: 0, stdout: "", stderr: "" });
      const id = name === "name" ? "renamed" : "vm";
      const file = box.path(`VirtualBox VMs/${id}/${id}.vbox`);
      const text = readFileSync(file, "utf8");
      if (!maybeNothingThere.test(name)) expect(text, args.join(" ")).not.toBe(before.text);
      if (!once.test(name)) {
        box.ok("modifyvm", "vm", ...args);
        expect(readFileSync(file, "utf8"), args.join(" ")).toBe(text);
      }
      const support = supportOf(loadVbox(file));
      const grew = {
        warned: support.warned.some((line) => !before.support.warned.includes(line)),
        refused: support.refused.some((line) => !before.support.refused.includes(line)),
      };
      if (!maybeNothingThere.test(name)) {
        expect(grew, args.join(" ")).toEqual({ warned: status === "warned", refused: status === "refused" });
      }
      if (id !== "vm") {
        box.ok("unregistervm", id, "--delete");
        fresh = undefined;
      }
    }
  });
}
