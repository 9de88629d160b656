/**
 * showvminfo's whole output, both layouts, against files in golden/ that were checked against the contract by hand.
 * UPDATE_GOLDEN=1 writes them anew; read the difference before committing it.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Sandbox } from "./sandbox.ts";

function golden(name: string, actual: string): void {
  const path = join(import.meta.dirname, "golden", name);
  if (process.env.UPDATE_GOLDEN) writeFileSync(path, actual);
  expect(actual).toBe(readFileSync(path, "utf8"));
}

test("a machine with everything: snapshots, controllers, adapters, ports, folders", () => {
  const box = new Sandbox();
  box.ok("registervm", box.fixture("winXP.vbox", "xp/winXP.vbox"));
  const show = (...flags: string[]) => box.ok("showvminfo", "Büro & XP", ...flags).replaceAll(box.home, "/HOME");
  golden("winXP.machine.txt", show("--machinereadable"));
  golden("winXP.human.txt", show());
  expect(show("--details")).toBe(show());
});

test("a new machine", () => {
  const box = new Sandbox();
  box.ok("createvm", "--name", "new", "--register", "--uuid", "12345678-1234-4234-8234-123456789abc");
  box.ok("modifyvm", "new", "--macaddress1", "080027123456");
  const show = (...flags: string[]) =>
    box
      .ok("showvminfo", "new", ...flags)
      .replaceAll(box.home, "/HOME")
      .replace(/20[0-9-]{8}T[0-9:]{8}/, "2001-02-03T04:05:06");
  golden("new.machine.txt", show("--machinereadable"));
  golden("new.human.txt", show());
  // -l of a list prints the same blocks.
  expect(box.ok("list", "-l", "vms").replace(box.home, "")).toContain("Guest OS:                    Other/Unknown\n");
});

test("the contract's order of keys", () => {
  const box = new Sandbox();
  box.ok("createvm", "--name", "k", "--register", "--default", "--ostype", "WindowsXP");
  box.ok("modifyvm", "k", "--vrde", "on", "--uart1", "0x3f8", "4");
  const keys = box
    .ok("showvminfo", "k", "--machinereadable")
    .split("\n")
    .map((line) => /^"?([A-Za-z][^"=]*)"?=/.exec(line)?.[1])
    .filter((key) => key !== undefined);
  const contract =
    "name groups ostype UUID CfgFile SnapFldr LogFldr hardwareuuid memory pagefusion vram cpuexecutioncap hpet cpu-profile chipset firmware cpus pae longmode triplefaultreset apic x2apic nested-hw-virt cpuid-portability-level bootmenu boot1 boot2 boot3 boot4 acpi ioapic biosapic biossystemtimeoffset BIOS_NVRAM_File rtcuseutc hwvirtex nestedpaging largepages vtxvpid vtxux virtvmsavevmload iommu paravirtprovider effparavirtprovider VMState VMStateChangeTime graphicscontroller monitorcount accelerate3d accelerate2dvideo teleporterenabled teleporterport teleporteraddress teleporterpassword tracing-enabled tracing-allow-vm-access tracing-config autostart-enabled autostart-delay defaultfrontend vmprocpriority storagecontrollername0 storagecontrollertype0 storagecontrollerinstance0 storagecontrollermaxportcount0 storagecontrollerportcount0 storagecontrollerbootable0 IDE-0-0 IDE-0-1 IDE-1-0 IDE-IsEjected-1-0 IDE-1-1 natnet1 macaddress1 cableconnected1 nic1 nictype1 nicspeed1 mtu sockSnd sockRcv tcpWndSnd tcpWndRcv nic2 nic3 nic4 nic5 nic6 nic7 nic8 hidpointing hidkeyboard uart1 uartmode1 uarttype1 uart2 uart3 uart4 lpt1 lpt2 audio audio_out audio_in clipboard clipboard_file_transfers draganddrop vrde vrdeport vrdeports vrdeaddress vrdeauthtype vrdemulticon vrdereusecon vrdevideochannel usb ehci xhci recording_enabled recording_screens rec_screen_enabled rec_screen_id rec_screen_video_enabled rec_screen_dest rec_screen_dest_filename rec_screen_opts rec_screen_video_res_xy rec_screen_video_rate_kbps rec_screen_video_fps GuestMemoryBalloon";
  expect(keys).toEqual(contract.split(" ").map((key) => key.replaceAll("_NVRAM_", " NVRAM ")));
});
