/** The walk-through of the handbook, word for word, up to startvm; what it says where, and what it leaves on disk. */
import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { discImage, Sandbox } from "./sandbox.ts";

const progress = "0%...10%...20%...30%...40%...50%...60%...70%...80%...90%...100%\n";
const silent = { stdout: "", stderr: "", code: 0 };

test("a Windows XP machine is put together with the words of the handbook", () => {
  const box = new Sandbox();
  const created = box.anneau("createvm", "--name", "winXP", "--register");
  const [, uuid] =
    /^Virtual machine 'winXP' is created and registered\.\nUUID: ([0-9a-f-]{36})\n/.exec(created.stdout) ?? [];
  expect(created).toEqual({
    stdout: `Virtual machine 'winXP' is created and registered.\nUUID: ${uuid}\nSettings file: '${box.path("VirtualBox VMs/winXP/winXP.vbox")}'\n`,
    stderr: "",
    code: 0,
  });
  expect(box.info("winXP").get("ostype")).toBe("Other/Unknown");
  expect([box.info("winXP").get("memory"), box.info("winXP").get("vram")]).toEqual(["128", "8"]);

  const disk = box.anneau("createhd", "--filename", "winXP", "--size", "5000");
  expect(disk.stdout).toMatch(/^Medium created\. UUID: [0-9a-f-]{36}\n$/);
  expect(disk.stderr).toBe(progress);
  expect(readFileSync(box.path("winXP.vdi")).readUInt32LE(0x40)).toBe(0xbeda107f);

  expect(box.anneau("modifyvm", "winXP", "--ostype", "WindowsXP")).toEqual(silent);
  expect(box.ok("list", "ostypes")).toContain(
    "ID:          WindowsXP\nDescription: Windows XP (32-bit)\nFamily ID:   Windows\nFamily Desc: Microsoft Windows\n64 bit:      false\n\n",
  );
  expect(box.anneau("modifyvm", "winXP", "--memory", "100")).toEqual(silent);
  const ide = ["--name", "IDE", "--add", "ide", "--controller", "PIIX4", "--portcount", "2", "--bootable", "on"];
  expect(box.anneau("storagectl", "winXP", ...ide)).toEqual(silent);
  const hdd = ["--port", "0", "--device", "0", "--type", "hdd", "--medium", box.path("winXP.vdi")];
  expect(box.anneau("storageattach", "winXP", "--storagectl", "IDE", ...hdd)).toEqual(silent);
  box.write("install.iso", discImage(300));
  const dvd = ["--port", "1", "--device", "0", "--type", "dvddrive", "--medium"];
  for (const medium of [box.path("install.iso"), "emptydrive", "host:/dev/sr0", "none", box.path("install.iso")]) {
    expect(box.anneau("storageattach", "winXP", "--storagectl", "IDE", ...dvd, medium)).toEqual(silent);
    const shown = box.info("winXP").get("IDE-1-0");
    expect(shown).toBe(medium.replace("host:", ""));
  }
  const sound = ["--vram", "100", "--accelerate3d", "on", "--audio", "alsa", "--audiocontroller", "ac97"];
  expect(box.anneau("modifyvm", "winXP", ...sound)).toEqual(silent);
  const network = ["--nic1", "nat", "--nictype1", "Am79C973", "--cableconnected1", "on"];
  expect(box.anneau("modifyvm", "winXP", ...network)).toEqual(silent);

  const info = box.info("winXP");
  const expected = {
    ostype: "Windows XP (32-bit)",
    memory: "100",
    vram: "100",
    accelerate3d: "on",
    audio: "alsa",
    nic1: "nat",
    nictype1: "Am79C973",
    cableconnected1: "on",
    storagecontrollertype0: "PIIX4",
    "IDE-0-0": box.path("winXP.vdi"),
    VMState: "poweroff",
  };
  expect(Object.fromEntries(Object.keys(expected).map((key) => [key, info.get(key)]))).toEqual(expected);
  expect(box.ok("list", "vms")).toBe(`"winXP" {${uuid}}\n`);
  expect(box.ok("list", "runningvms")).toBe("");
});

test("a VM is unregistered, registered again by its file, and deleted with its disk", () => {
  const box = new Sandbox();
  box.ok("createvm", "--name", "one", "--register", "--default", "--ostype", "Windows2000");
  box.ok("createmedium", "disk", "--filename", "one.vdi", "--size", "16");
  box.ok(
    "storageattach",
    "one",
    "--storagectl",
    "IDE",
    "--port",
    "0",
    "--device",
    "0",
    "--type",
    "hdd",
    "--medium",
    "one.vdi",
  );
  const before = box.info("one");
  const file = box.path("VirtualBox VMs/one/one.vbox");
  expect(box.anneau("unregistervm", "one")).toEqual(silent);
  expect(box.ok("list", "vms")).toBe("");
  expect(box.anneau("registervm", "VirtualBox VMs/one/one.vbox")).toEqual(silent);
  expect(box.info("one")).toEqual(before);
  const again = box.anneau("registervm", file);
  expect(again.code).toBe(1);
  expect(again.stderr).toContain(`Registered machine with UUID {${before.get("UUID")}} ('${file}') already exists`);

  // The flag may stand before the name.
  const deleted = box.anneau("unregistervm", "--delete", "one");
  expect(deleted).toEqual({ stdout: "", stderr: progress, code: 0 });
  expect(existsSync(box.path("VirtualBox VMs/one"))).toBe(false);
  expect(existsSync(box.path("one.vdi"))).toBe(false);
  expect(box.ok("list", "hdds")).toBe("");
});

test("a VM with the type's defaults has its controllers, drives and memory", () => {
  const box = new Sandbox();
  box.ok(
    "createvm",
    "--name",
    "d",
    "--ostype",
    "Debian_64",
    "--default",
    "--basefolder",
    box.path("elsewhere"),
    "--register",
  );
  const info = box.info("d");
  expect(info.get("CfgFile")).toBe(box.path("elsewhere/d/d.vbox"));
  expect(info.get("graphicscontroller")).toBe("vmsvga");
  expect(info.get("rtcuseutc")).toBe("on");
  expect(info.get("longmode")).toBe("on");
  expect([info.get("storagecontrollername0"), info.get("storagecontrollername1")]).toEqual(["IDE", "SATA"]);
  expect(info.get("IDE-1-0")).toBe("emptydrive");
});

test("renaming follows with file, folder, registry and media", () => {
  const box = new Sandbox();
  box.ok("createvm", "--name", "old", "--register");
  box.ok("createhd", "--filename", box.path("VirtualBox VMs/old/disk.vdi"), "--size", "16");
  box.ok("storagectl", "old", "--name", "IDE", "--add", "ide");
  box.ok(
    "storageattach",
    "old",
    "--storagectl",
    "IDE",
    "--port",
    "0",
    "--device",
    "0",
    "--type",
    "hdd",
    "--medium",
    "VirtualBox VMs/old/disk.vdi",
  );
  box.ok("createvm", "--name", "taken", "--register");
  const clash = box.anneau("modifyvm", "old", "--name", "taken");
  expect(clash.code).toBe(1);
  expect(clash.stderr).toContain("VERR_ALREADY_EXISTS");
  expect(box.ok("list", "vms")).toContain('"old" {');
  box.ok("modifyvm", "old", "--name", "new name");
  expect(existsSync(box.path("VirtualBox VMs/old"))).toBe(false);
  const info = box.info("new name");
  expect(info.get("CfgFile")).toBe(box.path("VirtualBox VMs/new name/new name.vbox"));
  expect(info.get("IDE-0-0")).toBe(box.path("VirtualBox VMs/new name/disk.vdi"));
});
