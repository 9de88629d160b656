/** clonevm as npm's and Vagrant's clients run it. */
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { expect, test } from "vitest";
import { openMedium } from "../../src/disk/open.ts";
import { discImage, Sandbox } from "./sandbox.ts";

function original(): Sandbox {
  const box = new Sandbox();
  box.ok("createvm", "--name", "one", "--ostype", "Debian", "--register");
  box.ok(
    "modifyvm",
    "one",
    "--memory",
    "64",
    "--nic2",
    "intnet",
    "--intnet2",
    "backstage",
    "--description",
    "The first",
  );
  box.ok("modifyvm", "one", "--uart1", "0x3f8", "4", "--uart-mode1", "file", "serial.txt");
  box.ok("storagectl", "one", "--name", "IDE", "--add", "ide");
  const attach = ["storageattach", "one", "--storagectl", "IDE"];
  box.write("content.raw", Buffer.alloc(3 << 20, 5));
  box.ok("convertfromraw", "content.raw", "VirtualBox VMs/one/disk.vdi");
  box.ok("createhd", "--filename", "shared.vdi", "--size", "4", "--variant", "Fixed");
  box.ok("modifymedium", "shared.vdi", "--type", "shareable");
  box.write("disc.iso", discImage(64));
  box.ok(...attach, "--port", "0", "--device", "0", "--type", "hdd", "--medium", "VirtualBox VMs/one/disk.vdi");
  box.ok(...attach, "--port", "0", "--device", "1", "--type", "hdd", "--medium", "shared.vdi");
  box.ok(...attach, "--port", "1", "--device", "0", "--type", "dvddrive", "--medium", "disc.iso");
  return box;
}

test("a copy has its own disks, addresses and identity, and everything else alike", () => {
  const box = original();
  const before = readFileSync(box.path("VirtualBox VMs/one/one.vbox"), "utf8");
  const { code, stdout, stderr } = box.anneau("clonevm", "one", "--name", "two", "--register");
  expect([code, stdout]).toEqual([0, 'Machine has been successfully cloned as "two"\n']);
  expect(stderr).toMatch(/^0%\.\.\..*100%\n$/);
  expect(readFileSync(box.path("VirtualBox VMs/one/one.vbox"), "utf8")).toBe(before);
  expect(box.ok("list", "vms").match(/^"(one|two)" /gm)).toHaveLength(2);

  const [one, two] = [box.info("one"), box.info("two")];
  const path = box.path("VirtualBox VMs/two/two-disk1.vdi");
  expect(two.get("IDE-0-0")).toBe(path);
  expect(two.get("IDE-0-1")).toBe(box.path("shared.vdi"));
  expect(two.get("IDE-1-0")).toBe(box.path("disc.iso"));
  const own = ["UUID", "hardwareuuid", "macaddress1", "macaddress2", "IDE-ImageUUID-0-0"];
  for (const key of own) expect(two.get(key), key).not.toBe(one.get(key));
  const places = /^(name|CfgFile|SnapFldr|LogFldr|BIOS NVRAM File|VMStateChangeTime|IDE-0-0|rec_screen_dest_filename)$/;
  for (const [key, value] of one) if (!own.includes(key) && !places.test(key)) expect(two.get(key), key).toBe(value);

  const disk = openMedium(path, { kind: "disk", readOnly: true, format: "VDI" });
  const bytes = new Uint8Array(3 << 20);
  disk.read(0, bytes, (ok) => expect(ok).toBe(true));
  disk.close();
  expect(bytes.every((byte) => byte === 5)).toBe(true);
  // Both can be deleted, each with what is its own.
  expect(box.anneau("unregistervm", "two", "--delete").code).toBe(0);
  expect(existsSync(box.path("VirtualBox VMs/two"))).toBe(false);
  expect(existsSync(box.path("shared.vdi"))).toBe(true);
  expect(existsSync(box.path("VirtualBox VMs/one/disk.vdi"))).toBe(true);
});

test("what shall be kept is kept; names count up; unregistered copies are files only", () => {
  const box = original();
  box.ok("clonevm", "one", "--register", "--options", "KeepAllMACs,KeepDiskNames,KeepHwUUIDs");
  const [one, copy] = [box.info("one"), box.info("one Clone")];
  for (const key of ["macaddress1", "macaddress2", "hardwareuuid"]) expect(copy.get(key)).toBe(one.get(key));
  expect(copy.get("IDE-0-0")).toBe(box.path("VirtualBox VMs/one Clone/disk.vdi"));
  box.ok("clonevm", "one", "--register", "--options", "keepnatmacs");
  const second = box.info("one Clone (2)");
  expect(second.get("macaddress1")).toBe(one.get("macaddress1"));
  expect(second.get("macaddress2")).not.toBe(one.get("macaddress2"));
  const uuid = "11111111-2222-4333-8444-555555555555";
  box.ok("clonevm", "one", "--name", "elsewhere", "--basefolder", "copies", "--uuid", uuid, "--groups", "/lab");
  expect(existsSync(box.path("copies/lab/elsewhere/elsewhere.vbox"))).toBe(true);
  expect(box.ok("list", "vms")).not.toContain("elsewhere");
  box.ok("registervm", "copies/lab/elsewhere/elsewhere.vbox");
  expect(box.info("elsewhere").get("UUID")).toBe(uuid);
});

test("what cannot be copied leaves nothing behind", () => {
  const box = original();
  const before = readdirSync(box.home, { recursive: true }).sort();
  for (const [args, line] of [
    [["nobody"], "Could not find a registered machine named 'nobody'"],
    [["one", "--name", "one"], "already exists"],
    [["one", "--options", "Link"], "Linked copies are not available"],
    [["one", "--options", "KeepCalm"], "Invalid clone option 'KeepCalm'"],
    [["one", "--snapshot", "s"], "Snapshots cannot be copied"],
    [["one", "--mode", "some"], "Invalid clone mode 'some'"],
  ] as const) {
    const { code, stderr } = box.anneau("clonevm", ...args, "--register");
    expect([code, stderr], args.join(" ")).toEqual([1, expect.stringContaining(line)]);
  }
  expect(readdirSync(box.home, { recursive: true }).sort()).toEqual(before);
  rmSync(box.path("VirtualBox VMs/one/disk.vdi"));
  const { code, stderr } = box.vboxManage("clonevm", "one", "--name", "two", "--register");
  expect([code, stderr]).toEqual([1, expect.stringContaining("Details: code VBOX_E_FILE_ERROR")]);
  expect(existsSync(box.path("VirtualBox VMs/two"))).toBe(false);
});
