/** The smaller commands: media, extra data, properties, shared folders, snapshots. */
import { copyFileSync, existsSync, readFileSync, statSync } from "node:fs";
import { expect, test } from "vitest";
import { loadVbox } from "../../src/config/vbox-file.ts";
import { openMedium } from "../../src/disk/open.ts";
import { discImage, Sandbox } from "./sandbox.ts";

const silent = { stdout: "", stderr: "", code: 0 };
const vdiUuid = (file: string) => {
  const hex = readFileSync(file).subarray(0x188, 0x198).toString("hex");
  const swapped = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16)].map((part) =>
    part.match(/../g)?.reverse().join(""),
  );
  return `${swapped.join("-")}-${hex.slice(16, 20)}-${hex.slice(20)}`;
};

test("media are listed in the registry until a VM uses them, by the UUID in their file", () => {
  const box = new Sandbox();
  const uuid = /UUID: (.*)\n/.exec(
    box.ok("createmedium", "disk", "--filename", "a", "--sizebyte", String(3 << 20)),
  )?.[1];
  expect(uuid).toBe(vdiUuid(box.path("a.vdi")));
  expect(box.read("registry/VirtualBox.xml")).toContain(
    `<HardDisk uuid="{${uuid}}" location="${box.path("a.vdi")}" format="VDI" type="Normal"/>`,
  );
  box.ok("createvm", "--name", "vm", "--register");
  box.ok("storagectl", "vm", "--name", "SATA", "--add", "sata", "--portcount", "1");
  // A port past the count makes the controller larger.
  box.ok("storageattach", "vm", "--storagectl", "SATA", "--port", "3", "--type", "hdd", "--medium", uuid as string);
  expect(box.info("vm").get("storagecontrollerportcount0")).toBe("4");
  expect(box.read("registry/VirtualBox.xml")).not.toContain("<HardDisk ");
  expect(box.vbox("vm")).toContain(
    `<HardDisk uuid="{${uuid}}" location="${box.path("a.vdi")}" format="VDI" type="Normal"/>`,
  );
  expect(box.ok("showmediuminfo", "disk", "a.vdi")).toMatch(
    new RegExp(
      `^UUID:           ${uuid}\nParent UUID:    base\nState:          created\nType:           normal \\(base\\)\n`,
    ),
  );
  expect(box.ok("showhdinfo", uuid as string)).toContain("In use by VMs:  vm (UUID: ");
  box.ok("storageattach", "vm", "--storagectl", "SATA", "--port", "3", "--medium", "none");
  expect(box.ok("list", "hdds")).toContain(uuid as string);
  expect(box.anneau("closemedium", "disk", uuid as string, "--delete").code).toBe(0);
  expect([box.ok("list", "hdds"), existsSync(box.path("a.vdi"))]).toEqual(["", false]);
});

test("fixed and raw images, and their clones", () => {
  const box = new Sandbox();
  box.ok("createhd", "--filename", "f.vdi", "--size", "3", "--variant", "Fixed");
  expect(box.ok("showmediuminfo", "f.vdi")).toContain(
    "Format variant: fixed default\nCapacity:       3 MBytes\nSize on disk:   5 MBytes\n",
  );
  const raw = Buffer.alloc(2 << 20);
  raw.write("boot me", 0);
  raw.write("the end", raw.length - 7);
  box.write("disk.img", raw);
  const cloned = box.anneau("clonehd", "disk.img", "copy", "--format", "VDI");
  expect(cloned.stdout).toBe(`Clone medium created in format 'VDI'. UUID: ${vdiUuid(box.path("copy.vdi"))}\n`);
  expect(box.ok("clonemedium", "disk", "copy.vdi", "back.img", "--format", "RAW")).toMatch(
    /^Clone medium created in format 'RAW'/,
  );
  expect(readFileSync(box.path("back.img")).equals(raw)).toBe(true);
  const again = box.anneau("clonehd", "disk.img", "copy.vdi");
  expect([again.code, again.stderr]).toEqual([1, expect.stringContaining("VERR_ALREADY_EXISTS")]);
});

test("convertfromraw from a file and from standard input, as docker-machine pipes it", () => {
  const box = new Sandbox();
  const raw = Buffer.alloc(1 << 20, "anneau ");
  box.write("raw.img", raw);
  const fromFile = box.vboxManage(
    "convertfromraw",
    "raw.img",
    "one.vdi",
    "--uuid",
    "{11111111-2222-4333-8444-555555555555}",
  );
  expect(fromFile).toEqual({
    stdout: "",
    stderr:
      'Converting from raw image file="raw.img" to file="one.vdi"...\nCreating dynamic image with size 1048576 bytes (1MB)...\n',
    code: 0,
  });
  expect(vdiUuid(box.path("one.vdi"))).toBe("11111111-2222-4333-8444-555555555555");
  const piped = box.as("VBoxManage", ["convertfromraw", "stdin", "two.vdi", String(2 << 20)], raw.toString("latin1"));
  expect(piped.code).toBe(0);
  expect(box.ok("list", "hdds")).toBe("");
  for (const [name, size] of [
    ["one.vdi", 1 << 20],
    ["two.vdi", 2 << 20],
  ] as const) {
    box.ok("clonehd", name, `${name}.img`, "--format", "RAW");
    const back = readFileSync(box.path(`${name}.img`));
    expect(back.length).toBe(size);
    expect(back.subarray(0, raw.length).equals(raw)).toBe(true);
  }
});

test("modifymedium: type, description, moving", () => {
  const box = new Sandbox();
  box.ok("createhd", "--filename", "m.vdi", "--size", "4");
  expect(box.anneau("modifymedium", "disk", "m.vdi", "--type", "immutable", "--autoreset", "off")).toEqual(silent);
  expect(box.ok("showmediuminfo", "m.vdi")).toContain("Type:           immutable\nAuto-Reset:     off\n");
  expect(box.ok("modifymedium", "disk", "m.vdi", "--description", "Eine Platte & mehr")).toBe(
    "Medium description has been changed.\n",
  );
  expect(box.ok("showmediuminfo", "m.vdi")).toContain("Description:    Eine Platte & mehr\n");
  expect(box.ok("modifymedium", "disk", "m.vdi", "--move", "sub/n.vdi")).toMatch(
    /^Move medium with UUID .* finished\n$/,
  );
  expect(existsSync(box.path("sub/n.vdi"))).toBe(true);
  expect(box.ok("list", "hdds")).toContain(`Location:       ${box.path("sub/n.vdi")}\n`);
});

test("modifymedium: larger, never smaller; zeros given back", () => {
  const box = new Sandbox();
  box.ok("createhd", "--filename", "m.vdi", "--size", "4");
  box.ok("createhd", "--filename", "r.img", "--size", "4", "--format", "RAW");
  for (const [name, extra] of [
    ["m.vdi", ["--resize", "8"]],
    ["r.img", ["--resizebyte", String(8 << 20)]],
  ] as const) {
    const { code, stdout, stderr } = box.anneau("modifymedium", "disk", name, ...extra);
    expect([code, stdout, stderr.replace(/[0-9]+%\.\.\./g, "")]).toEqual([0, "", "100%\n"]);
    expect(box.ok("showmediuminfo", name)).toContain("Capacity:       8 MBytes\n");
    const smaller = box.vboxManage("modifyhd", name, "--resize", "4");
    expect(smaller.stderr).toContain(`Shrinking is not yet supported for medium '${box.path(name)}'\n`);
    expect(smaller.stderr).toContain("VBOX_E_NOT_SUPPORTED");
  }
  // What a guest has filled with zeros takes space until the image is compacted.
  box.write("zeros.raw", Buffer.concat([Buffer.alloc(3 << 20, 1), Buffer.alloc(3 << 20)]));
  box.ok("convertfromraw", "zeros.raw", "c.vdi", "--variant", "Fixed");
  box.ok("clonehd", "c.vdi", "d.vdi", "--variant", "Standard");
  const disk = openMedium(box.path("d.vdi"), { kind: "disk", readOnly: false, format: "VDI" });
  disk.write(1 << 20, new Uint8Array(1 << 20), (ok) => expect(ok).toBe(true));
  disk.close();
  const before = statSync(box.path("d.vdi")).size;
  box.ok("modifymedium", "d.vdi", "--compact");
  expect(before - statSync(box.path("d.vdi")).size).toBe(1 << 20);
  expect(box.anneau("modifymedium", "c.vdi", "--compact").code).toBe(0);
  expect(box.vboxManage("modifymedium", "r.img", "--compact").stderr).toContain("VBOX_E_NOT_SUPPORTED");
});

test("properties of media are kept with them", () => {
  const box = new Sandbox();
  box.ok("createhd", "--filename", "m.vdi", "--size", "4", "--property", "Owner=me", "--property=Use=a test");
  expect(box.ok("showmediuminfo", "m.vdi")).toMatch(/^Property: {7}Owner=me\nProperty: {7}Use=a test$/m);
  box.ok("modifymedium", "m.vdi", "--property", "Owner=", "--property", "Use=both");
  const text = box.ok("showmediuminfo", "m.vdi");
  expect(text).toContain("Property:       Use=both\n");
  expect(text).not.toContain("Owner");
  expect(box.anneau("createhd", "--filename", "n.vdi", "--size", "4", "--property", "Owner").code).toBe(2);
  expect(existsSync(box.path("n.vdi"))).toBe(false);
});

test("clonemedium over a medium that is there, and into a larger one", () => {
  const box = new Sandbox();
  box.write("a.raw", Buffer.alloc(4 << 20, 7));
  box.ok("convertfromraw", "a.raw", "a.vdi");
  box.write("old.raw", Buffer.alloc(6 << 20, 9));
  box.ok("convertfromraw", "old.raw", "b.vdi");
  const uuid = /^UUID: +(.*)$/m.exec(box.ok("showmediuminfo", "b.vdi"))?.[1];
  expect(box.ok("clonemedium", "a.vdi", "b.vdi", "--existing")).toBe(
    `Clone medium created in format 'VDI'. UUID: ${uuid}\n`,
  );
  box.ok("clonemedium", "b.vdi", "b.img", "--format", "RAW");
  const bytes = readFileSync(box.path("b.img"));
  expect(bytes.equals(Buffer.concat([Buffer.alloc(4 << 20, 7), Buffer.alloc(2 << 20)]))).toBe(true);
  expect(box.vboxManage("clonemedium", "b.vdi", "a.vdi", "--existing").stderr).toContain("is smaller than");
  box.ok("clonemedium", "a.vdi", "large.vdi", "--resize", "10");
  expect(box.ok("showmediuminfo", "large.vdi")).toContain("Capacity:       10 MBytes\n");
  expect(box.anneau("clonemedium", "a.vdi", "small.vdi", "--resize", "2").code).toBe(1);
});

test("a copied image is attached under a UUID of its own", () => {
  const box = new Sandbox();
  box.ok("createvm", "--name", "vm", "--register");
  box.ok("storagectl", "vm", "--name", "IDE", "--add", "ide");
  box.ok("createhd", "--filename", "a.vdi", "--size", "4");
  copyFileSync(box.path("a.vdi"), box.path("b.vdi"));
  const attach = ["storageattach", "vm", "--storagectl", "IDE", "--port", "0", "--device", "0", "--type", "hdd"];
  expect(box.vboxManage(...attach, "--medium", "b.vdi").stderr).toContain("already exists");
  const uuid = "11111111-2222-4333-8444-555555555555";
  expect(box.anneau(...attach, "--medium", "b.vdi", "--setuuid", uuid)).toEqual(silent);
  expect(box.info("vm").get("IDE-ImageUUID-0-0")).toBe(uuid);
  expect(box.vboxManage(...attach, "--medium", "b.vdi", "--setuuid", "").stderr).toContain("VBOX_E_OBJECT_IN_USE");
});

test("lists of the host and of networks", () => {
  const box = new Sandbox();
  for (const name of ["hostonlyifs", "hostonlynets", "dhcpservers", "intnets"]) expect(box.ok("list", name)).toBe("");
  expect(box.ok("list", "natnetworks")).toBe("NAT Networks:\n\n0 networks found\n");
  expect(box.ok("list", "usbhost")).toBe("Host USB Devices:\n\n<none>\n\n");
  expect(box.ok("list", "usbfilters")).toBe("Global USB Device Filters:\n\n<none>\n\n");
  // Blocks of `Key: value` lines, as Vagrant takes them apart.
  for (const block of box
    .ok("list", "bridgedifs")
    .split("\n\n")
    .filter((text) => text !== "")) {
    const keys = block.split("\n").map((line) => /^([A-Za-z0-9]+): *(.*)$/.exec(line)?.[1]);
    expect(keys).toEqual(
      "Name GUID DHCP IPAddress NetworkMask IPV6Address IPV6NetworkMaskPrefixLength HardwareAddress MediumType Wireless Status VBoxNetworkName".split(
        " ",
      ),
    );
  }
  box.ok("createvm", "--name", "vm", "--register");
  box.ok("modifyvm", "vm", "--nic1", "intnet", "--intnet1", "backstage");
  expect(box.ok("list", "intnets")).toBe("Name:        backstage\n");
  const registry = box.read("registry/VirtualBox.xml");
  const servers =
    '<DHCPServers><DHCPServer networkName="HostInterfaceNetworking-vboxnet0" IPAddress="192.168.56.100" networkMask="255.255.255.0" lowerIP="192.168.56.101" upperIP="192.168.56.254" enabled="1"/></DHCPServers>' +
    '<NATNetworks><NATNetwork networkName="nat1" network="10.0.2.0/24" needDhcp="1" ipv6="0" enabled="1"/></NATNetworks>';
  box.write("registry/VirtualBox.xml", registry.replace("<DHCPServers/>", servers));
  expect(box.ok("list", "dhcpservers")).toMatch(
    /^NetworkName: {4}HostInterfaceNetworking-vboxnet0\nDhcpd IP: {7}192\.168\.56\.100\nLowerIPAddress: 192\.168\.56\.101\nUpperIPAddress: 192\.168\.56\.254\nNetworkMask: {4}255\.255\.255\.0\nEnabled: {8}Yes\n/,
  );
  expect(box.ok("list", "natnetworks")).toContain(
    "Name:        nat1\nEnabled:     Yes\nNetwork:     10.0.2.0/24\nGateway:     10.0.2.1\n",
  );
});

test("DVD images are listed in each VM that uses them, floppies too", () => {
  const box = new Sandbox();
  box.write("d.iso", discImage(64));
  box.write("f.img", new Uint8Array(1474560));
  for (const name of ["a", "b"]) {
    box.ok("createvm", "--name", name, "--register", "--ostype", "Windows98", "--default");
    box.ok(
      "storageattach",
      name,
      "--storagectl",
      "IDE",
      "--port",
      "1",
      "--device",
      "0",
      "--type",
      "dvddrive",
      "--medium",
      "d.iso",
    );
    box.ok("storageattach", name, "--storagectl", "Floppy", "--device", "0", "--type", "fdd", "--medium", "f.img");
  }
  expect(box.info("a").get("IDE-ImageUUID-1-0")).toBe(box.info("b").get("IDE-ImageUUID-1-0"));
  expect(box.info("b").get("Floppy-0-0")).toBe(box.path("f.img"));
  expect(box.ok("list", "dvds").match(/^UUID:/gm)).toHaveLength(1);
  expect(box.ok("list", "floppies")).toContain("Capacity:       1 MBytes");
});

test("extra data of a VM and of everything", () => {
  const box = new Sandbox();
  box.ok("createvm", "--name", "vm", "--register");
  const key = "VBoxInternal2/SharedFoldersEnableSymlinksCreate/src";
  expect(box.anneau("setextradata", "vm", key, "1")).toEqual(silent);
  expect(box.ok("getextradata", "vm", key)).toBe("Value: 1\n");
  box.ok("setextradata", "vm", "a", "<b>");
  expect(box.ok("getextradata", "vm", "enumerate")).toBe(`Key: ${key}, Value: 1\nKey: a, Value: <b>\n`);
  expect(box.anneau("setextradata", "vm", key)).toEqual(silent);
  expect(box.ok("getextradata", "vm", key)).toBe("No value set!\n");
  box.ok("setextradata", "global", "GUI/Suppress", "all");
  expect(box.ok("getextradata", "global", "GUI/Suppress")).toBe("Value: all\n");
});

test("properties of the registry", () => {
  const box = new Sandbox();
  expect(box.anneau("setproperty", "machinefolder", box.path("vms"))).toEqual(silent);
  expect(box.ok("list", "systemproperties")).toContain(`Default machine folder:          ${box.path("vms")}\n`);
  box.ok("createvm", "--name", "x", "--register", "--groups", "/a b/c");
  expect(box.info("x").get("CfgFile")).toBe(box.path("vms/a b/c/x/x.vbox"));
  expect(box.ok("list", "groups")).toBe('"/"\n"/a b/c"\n');
  box.ok("setproperty", "machinefolder", "default");
  expect(box.ok("list", "systemproperties")).toContain(
    `Default machine folder:          ${box.path("VirtualBox VMs")}\n`,
  );
  box.ok("setproperty", "loghistorycount", "7");
  expect(box.ok("list", "systemproperties")).toContain("Log history count:               7\n");
  expect(box.anneau("setproperty", "colour", "red").code).toBe(2);
});

test("guest properties as Vagrant and npm read them", () => {
  const box = new Sandbox();
  box.ok("registervm", box.fixture("winXP.vbox"));
  const vm = "Büro & XP";
  expect(box.ok("guestproperty", "get", vm, "/VirtualBox/GuestInfo/OS/Product")).toBe("Value: Windows XP\n");
  expect(box.ok("guestproperty", "get", vm, "/nothing")).toBe("No value set!\n");
  expect(
    box.anneau("guestproperty", "set", vm, "/VirtualBox/GuestAdd/SharedFolders/MountDir", "/", "--flags", "transreset"),
  ).toEqual(silent);
  expect(box.ok("guestproperty", "enumerate", vm, "--old-format", "*MountDir")).toMatch(
    /^Name: \/VirtualBox\/GuestAdd\/SharedFolders\/MountDir, value: \/, timestamp: [0-9]{19}, flags: TRANSRESET\n$/,
  );
  box.ok("guestproperty", "unset", vm, "/VirtualBox/GuestAdd/SharedFolders/MountDir");
  expect(box.ok("guestproperty", "enumerate", vm)).toBe(
    "/VirtualBox/GuestInfo/OS/Product = 'Windows XP' @ 2023-02-09T17:03:43.895Z\n",
  );
});

test("shared folders, snapshots and saved state in the settings", () => {
  const box = new Sandbox();
  box.ok("createvm", "--name", "vm", "--register");
  expect(box.anneau("sharedfolder", "add", "vm", "--name", "src", "--hostpath", "here", "--automount")).toEqual(silent);
  expect(box.info("vm").get("SharedFolderPathMachineMapping1")).toBe(box.path("here"));
  expect(box.anneau("sharedfolder", "add", "vm", "--name", "src", "--hostpath", "there").code).toBe(1);
  expect(box.anneau("sharedfolder", "remove", "vm", "--name", "src")).toEqual(silent);
  expect(box.anneau("snapshot", "vm", "list", "--machinereadable")).toEqual({
    stdout: "This machine does not have any snapshots\n",
    stderr: "",
    code: 1,
  });
  expect(box.anneau("snapshot", "vm", "take", "s1").stderr).toContain("is not available in this version of Anneau");
  box.ok("registervm", box.fixture("winXP.vbox"));
  const listed = box.ok("snapshot", "Büro & XP", "list", "--machinereadable");
  expect([...listed.matchAll(/^SnapshotName.*?="(.+?)"/gm)].map((match) => match[1])).toEqual([
    "Fresh install",
    "With updates",
    "Other branch",
  ]);
  expect(box.anneau("discardstate", "vm").stderr).toContain("VBOX_E_INVALID_VM_STATE");
  const path = box.path("VirtualBox VMs/vm/vm.vbox");
  const saved = loadVbox(path);
  saved.stateFile = box.write("VirtualBox VMs/vm/Snapshots/s.sav", "state");
  saved.save();
  expect([box.info("vm").get("VMState"), box.info("vm").get("VMStateFile")]).toEqual(["saved", saved.stateFile]);
  expect(box.anneau("startvm", "vm").stderr).toContain("cannot be restored");
  expect(box.anneau("discardstate", "vm")).toEqual(silent);
  expect([box.info("vm").get("VMState"), existsSync(box.path("VirtualBox VMs/vm/Snapshots/s.sav"))]).toEqual([
    "poweroff",
    false,
  ]);
});

test("list vms loads nothing of the machine", () => {
  // Its start would cost what people notice.
  const box = new Sandbox();
  box.ok("createvm", "--name", "vm", "--register");
  box.env.NODE_DEBUG = "esm";
  const { stderr, code } = box.anneau("list", "vms");
  expect(code).toBe(0);
  expect(stderr).toMatch(/(src|dist)\/cli\/list/);
  expect(stderr).not.toMatch(/(src|dist)\/(machine|devices|cpu|firmware|vm|control)\//);
});
