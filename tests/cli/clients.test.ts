/** What VirtualBox's clients parse: the regular expressions of Vagrant, Packer, docker-machine and the npm package. */
import { expect, test } from "vitest";
import { Sandbox } from "./sandbox.ts";

test("--version as Vagrant, Packer, docker-machine and npm read it", () => {
  const box = new Sandbox();
  for (const flag of ["--version", "-v", "-V"]) {
    const { stdout, stderr, code } = box.vboxManage(flag);
    expect([stderr, code]).toEqual(["", 0]);
    expect(stdout).toBe("7.0.20_Anneaur163906\n");
    // Vagrant: first line without a warning, cut at `_`, then at `r`.
    const vagrant = stdout
      .split("\n")
      .find((line) => !line.startsWith("WARNING:"))
      ?.split("_")[0]
      .split("r")[0];
    expect(vagrant).toBe("7.0.20");
    expect(/^([.0-9]+)(?:_(?:RC|OSEr)[0-9]+)?/.exec(stdout)?.[1]).toBe("7.0.20");
    expect(stdout).not.toMatch(/vboxdrv|Please install/);
    expect(Number(stdout.split(".")[0])).toBeGreaterThanOrEqual(5);
  }
  expect(box.anneau("--version").stdout).toMatch(/^[0-9]+\.[0-9]+\.[0-9]+\n$/);
  expect(box.vboxManage("-nologo", "--version").stdout).toBe("7.0.20_Anneaur163906\n");
});

test("docker-machine's one big modifyvm call, with --longmode", () => {
  const box = new Sandbox();
  box.ok("createvm", "--basefolder", box.path("store"), "--name", "default", "--register");
  const words =
    "--firmware bios --bioslogofadein off --bioslogofadeout off --bioslogodisplaytime 0 --biosbootmenu disabled --ostype Linux26_64 --cpus 1 --memory 1024 --acpi on --ioapic on --rtcuseutc on --natdnshostresolver1 off --natdnsproxy1 on --cpuhotplug off --pae on --hpet on --hwvirtex on --nestedpaging on --largepages on --vtxvpid on --accelerate3d off --boot1 dvd --longmode on";
  expect(box.vboxManage("modifyvm", "default", ...words.split(" "))).toEqual({ stdout: "", stderr: "", code: 0 });
  const nics =
    "--nic1 nat --nictype1 82540EM --cableconnected1 on --nic2 hostonly --nictype2 82540EM --nicpromisc2 deny --hostonlyadapter2 vboxnet0 --cableconnected2 on";
  expect(box.vboxManage("modifyvm", "default", ...nics.split(" ")).code).toBe(0);
  expect(box.vboxManage("modifyvm", "default", "--natpf1", "delete", "ssh").code).toBe(1);
  expect(box.vboxManage("modifyvm", "default", "--natpf1", "ssh,tcp,127.0.0.1,49153,,22").code).toBe(0);
  const sata = ["storagectl", "default", "--name", "SATA", "--add", "sata", "--hostiocache", "on"];
  expect(box.vboxManage(...sata)).toEqual({ stdout: "", stderr: "", code: 0 });
  const info = box.info("default");
  expect(
    Object.fromEntries(["cpus", "memory", "hostonlyadapter2", "nic2", "longmode"].map((key) => [key, info.get(key)])),
  ).toEqual({
    cpus: "1",
    memory: "1024",
    hostonlyadapter2: "vboxnet0",
    nic2: "hostonly",
    longmode: "on",
  });
  expect(box.vboxManage("showvminfo", "gone", "--machinereadable").stderr).toContain(
    "Could not find a registered machine named",
  );
});

test("Vagrant's way through showvminfo, lists and media", () => {
  const box = new Sandbox();
  box.ok("createvm", "--name", "box_default_1", "--ostype", "Ubuntu_64", "--register");
  const uuid = box.info("box_default_1").get("UUID") as string;
  const vms = new Map(
    [...box.vboxManage("list", "vms").stdout.matchAll(/^"(.+?)" \{(.+?)\}$/gm)].map((m) => [m[1], m[2]]),
  );
  expect(vms.get("box_default_1")).toBe(uuid);
  for (const rule of ["ssh,tcp,127.0.0.1,2222,,22", "web,udp,,8080,10.0.2.15,80"]) {
    box.ok("modifyvm", uuid, "--natpf1", rule);
  }
  box.ok(
    "modifyvm",
    uuid,
    "--nic2",
    "nat",
    "--natpf2",
    "x,tcp,,1,,2",
    "--nic3",
    "bridged",
    "--bridgeadapter3",
    "en0: Wi-Fi",
  );
  // Forwarding lines belong to the nicN line seen last.
  let current = 0;
  const rules: [number, string][] = [];
  for (const line of box.vboxManage("showvminfo", uuid, "--machinereadable").stdout.split("\n")) {
    current = Number(/^nic(\d+)=".+?"$/.exec(line)?.[1] ?? current);
    const rule = /^Forwarding.+?="(.+?),(.+?),(.*?),(.+?),(.*?),(.+?)"$/.exec(line);
    if (rule) rules.push([current, rule.slice(1).join("|")]);
  }
  expect(rules).toEqual([
    [1, "ssh|tcp|127.0.0.1|2222||22"],
    [1, "web|udp||8080|10.0.2.15|80"],
    [2, "x|tcp||1||2"],
  ]);
  expect(box.info(uuid).get("bridgeadapter3")).toBe("en0: Wi-Fi");
  const folder = /^Default machine folder:\s+(.+)$/m.exec(box.vboxManage("list", "systemproperties").stdout)?.[1];
  expect(folder).toBe(box.path("VirtualBox VMs"));

  box.vboxManage(
    "createmedium",
    "--filename",
    box.path("d.vdi"),
    "--sizebyte",
    String(10 * 1048576),
    "--format",
    "VDI",
  );
  const records = box
    .vboxManage("list", "hdds")
    .stdout.split("\n\n")
    .filter((block) => block !== "");
  const disks = records.map(
    (block) => new Map(block.split("\n").map((line) => line.split(/:\s+/, 2) as [string, string])),
  );
  expect(disks.map((disk) => [disk.get("Location"), disk.get("Storage format"), disk.get("Capacity")])).toEqual([
    [box.path("d.vdi"), "VDI", "10 MBytes"],
  ]);
  const gone = box.vboxManage("showvminfo", "00000000-0000-4000-8000-000000000000");
  expect(gone.stderr).toContain("VBOX_E_OBJECT_NOT_FOUND");
  expect(gone.stderr).toMatch(/VBoxManage([.a-z]+?): error:|VBoxManage: error:/);
});

test("Packer's calls, one option each, and the type's defaults from a throw-away VM", () => {
  const box = new Sandbox();
  box.ok("createvm", "--name", "packer", "--ostype", "WindowsXP", "--register");
  for (const args of [
    ["--boot1", "disk"],
    ["--nested-hw-virt", "off"],
    ["--usb", "off"],
    ["--usbehci", "off"],
    ["--usbxhci", "off"],
    ["--audio-enabled", "off"],
    ["--audio-driver", "null"],
    ["--audioin", "on"],
    ["--audioout", "on"],
    ["--audiocontroller", "hda"],
    ["--mouse", "usbtablet"],
    ["--keyboard", "usb"],
    ["--nictype8", "virtio"],
    ["--graphicscontroller", "vmsvga"],
    ["--rtcuseutc", "off"],
    ["--nat-localhostreachable1", "on"],
    ["--natpf1", "packercomm,tcp,127.0.0.1,2835,,5985"],
    ["--vrdeaddress", "127.0.0.1"],
    ["--vrdeauthtype", "null"],
    ["--vrde", "on"],
    ["--vrdeport", "5947"],
    ["--natpf1", "delete", "packercomm"],
  ]) {
    expect(box.vboxManage("modifyvm", "packer", ...args), args.join(" ")).toEqual({ stdout: "", stderr: "", code: 0 });
  }
  for (const args of [
    ["--name", "IDE Controller", "--add", "ide"],
    ["--name", "SATA Controller", "--add", "sata", "--portcount", "2"],
    ["--name", "SCSI Controller", "--add", "scsi", "--controller", "LSILogic"],
    ["--name", "VirtIO Controller", "--add", "VirtIO", "--controller", "VirtIO"],
    ["--name", "NVMe Controller", "--add", "pcie", "--controller", "NVMe", "--portcount", "2"],
    ["--name", "Floppy Controller", "--add", "floppy"],
  ]) {
    expect(box.vboxManage("storagectl", "packer", ...args), args.join(" ")).toEqual({
      stdout: "",
      stderr: "",
      code: 0,
    });
  }
  const text = box.vboxManage("showvminfo", "packer", "--machinereadable").stdout;
  expect(/storagecontrollertype(\d+)="I82078"/.exec(text)?.[1]).toBe("5");
  const create = ["createvm", "--name", "temp", "--ostype", "Ubuntu_64", "--default", "--basefolder", box.path("tmp")];
  expect(box.vboxManage(...create, "--register").code).toBe(0);
  expect(
    /^graphicscontroller="(.+)"$/m.exec(box.vboxManage("showvminfo", "temp", "--machinereadable").stdout)?.[1],
  ).toBe("vmsvga");
  expect(box.vboxManage("unregistervm", "temp", "--delete").code).toBe(0);
});

test("the npm package puts flags first and uses single dashes", () => {
  const box = new Sandbox();
  box.ok("createvm", "-name", "n", "-register");
  const { stdout } = box.vboxManage("-nologo", "showvminfo", "--machinereadable", "n");
  const values = new Map(stdout.split("\n").map((line) => line.split("=") as [string, string]));
  expect(values.get("VMState")).toBe('"poweroff"');
  expect(box.vboxManage("-q", "modifyvm", "n", "-memory", "96", "--vram=12", "--cpus:1").code).toBe(0);
  expect([box.info("n").get("memory"), box.info("n").get("vram")]).toEqual(["96", "12"]);
});

test("option spellings: dashes inside or not, slots glued, dashed or apart", () => {
  const box = new Sandbox();
  box.ok("createvm", "--name", "o", "--register");
  box.ok(
    "modifyvm",
    "--nic-type1",
    "virtio",
    "o",
    "--nictype-2",
    "82540EM",
    "--nic-type",
    "3",
    "Am79C970A",
    "--NIC4".toLowerCase(),
    "null",
  );
  const text = box.ok("showvminfo", "o", "--machinereadable");
  expect(text).toContain('nictype1="virtio"');
  expect(box.vbox("o")).toContain('<Adapter slot="1" type="82540EM"');
  expect(box.vbox("o")).toContain('<Adapter slot="2" type="Am79C970A"');
  expect(text).toContain('nic4="null"');
});

test("arguments from a response file", () => {
  const box = new Sandbox();
  box.write("args", "createvm --name 'two words'\n  --register");
  expect(box.anneau("@args").code).toBe(0);
  expect(box.ok("list", "vms")).toMatch(/^"two words" \{/);
  expect(box.anneau("@missing").code).toBe(2);
});
