/** What goes wrong is one clear line on stderr, the right exit code, and nothing changed on disk. */
import { chmodSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { discImage, type Outcome, Sandbox } from "./sandbox.ts";

/** Everything below a folder: path, size and content of each file; lock files would be seen too. */
function snapshot(folder: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile())
      found[path] = `${statSync(path).size} ${readFileSync(path).subarray(0, 65536).toString("latin1")}`;
    else found[path] = "folder";
  }
  return found;
}

/** Runs a command that has to fail and leave everything as it was. */
function refused(box: Sandbox, ...args: string[]): Outcome {
  const before = snapshot(box.home);
  const outcome = box.vboxManage(...args);
  expect(snapshot(box.home)).toEqual(before);
  expect(outcome.code, outcome.stdout + outcome.stderr).not.toBe(0);
  expect(outcome.stderr).toMatch(/^VBoxManage: error: /m);
  expect(outcome.stderr).not.toMatch(/\bat .*:[0-9]+:[0-9]+/);
  return outcome;
}

function machine(): Sandbox {
  const box = new Sandbox();
  box.ok("createvm", "--name", "vm", "--register");
  box.ok("storagectl", "vm", "--name", "IDE", "--add", "ide");
  return box;
}

const attach = (medium: string, type = "hdd") => [
  ...["storageattach", "vm", "--storagectl", "IDE", "--port", "0", "--device", "0"],
  ...["--type", type, "--medium", medium],
];

test("a missing VM has VirtualBox's three lines", () => {
  const box = new Sandbox();
  const { code, stdout, stderr } = refused(box, "showvminfo", "nope");
  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toBe(
    "VBoxManage: error: Could not find a registered machine named 'nope'\n" +
      "VBoxManage: error: Details: code VBOX_E_OBJECT_NOT_FOUND (0x80bb0001), component VirtualBoxWrap, interface IVirtualBox, callee nsISupports\n" +
      'VBoxManage: error: Context: "showvminfo nope"\n',
  );
  expect(refused(box, "showvminfo", "11111111-1111-4111-8111-111111111111").stderr).toContain(
    "Could not find a registered machine with UUID {11111111-1111-4111-8111-111111111111}",
  );
  expect(box.anneau("showvminfo", "nope").stderr).toMatch(/^anneau: error: Could not find/);
  // Whatever comes first, the context is the command and its subject.
  for (const args of [
    ["--nologo", "showvminfo", "--machinereadable", "nope"],
    ["showvminfo", "--machinereadable", "nope"],
  ])
    expect(refused(box, ...args).stderr).toContain('VBoxManage: error: Context: "showvminfo nope"\n');
});

test("syntax errors: banner, line, usage on stderr, exit code 2", () => {
  const box = machine();
  const cases: [args: string[], line: string][] = [
    [["frobnicate"], "Invalid command 'frobnicate'"],
    [["createvm"], "Parameter --name is required"],
    [["createvm", "--name"], "Missing value for option '--name'"],
    [["modifyvm", "vm", "--no-such-option", "1"], "Unknown option: --no-such-option"],
    [["modifyvm", "vm", "surplus", "--memory", "4"], "Invalid parameter 'surplus'"],
    [["modifyvm", "vm", "--memory", "lots"], "Invalid argument format for option '--memory': 'lots'"],
    [["modifyvm", "vm", "--acpi", "maybe"], "Invalid argument format for option '--acpi': 'maybe'"],
    [["modifyvm", "vm", "--uart5", "0x3f8", "4"], "Invalid slot number in option '--uart5' (must be in range [1, 4])"],
    [["createhd", "--filename", "x"], "Parameter --size is required"],
    [["createhd", "--filename", "x", "--size", "0"], "Invalid value for option '--size': '0' (must be more than 0)"],
    [["createhd", "--filename", "x", "--size", "-5"], "Invalid value for option '--size': '-5' (must be more than 0)"],
    [
      ["createhd", "--filename", "x", "--sizebyte=0"],
      "Invalid value for option '--sizebyte': '0' (must be more than 0)",
    ],
    [["storagectl", "vm"], "Storage controller name not specified"],
    [["list"], 'Missing subcommand for "list" command'],
    [["list", "nonsense"], "Invalid parameter 'nonsense'"],
    [["controlvm", "vm", "dance"], "Invalid parameter 'dance'"],
  ];
  for (const [args, line] of cases) {
    const outcome = refused(box, ...args);
    expect(outcome.code, args.join(" ")).toBe(2);
    expect(outcome.stdout).toBe("");
    expect(outcome.stderr).toMatch(/^Anneau /);
    expect(outcome.stderr).toContain(`VBoxManage: error: ${line}\n`);
  }
});

test("a bare call prints the usage and fails; help and version do not", () => {
  const box = new Sandbox();
  const bare = box.vboxManage();
  expect([bare.code, bare.stderr]).toEqual([1, ""]);
  expect(bare.stdout).toContain("Usage:");
  for (const args of [["help"], ["--help"], ["-h"], ["help", "modifyvm"], ["createvm", "--help"], ["commands"]]) {
    const { code, stderr, stdout } = box.vboxManage(...args);
    expect([code, stderr], args.join(" ")).toEqual([0, ""]);
    expect(stdout.length).toBeGreaterThan(50);
  }
});

test("values outside of VirtualBox's limits", () => {
  const box = machine();
  const cases: [args: string[], line: string][] = [
    [["--memory", "3"], "Invalid RAM size: 3 MB (must be in range [4, 2097152] MB)"],
    [["--memory", "2097153"], "Invalid RAM size: 2097153 MB (must be in range [4, 2097152] MB)"],
    [["--vram", "257"], "Invalid VRAM size: 257 MB (must be in range [0, 256] MB)"],
    [["--cpus", "0"], "Invalid virtual CPU count: 0 (must be in range [1, 64])"],
    [["--cpus", "65"], "Invalid virtual CPU count: 65 (must be in range [1, 64])"],
    [["--monitor-count", "65"], "Invalid monitor count: 65 (must be in range [1, 64])"],
    [["--ostype", "WindowsXQ"], "'WindowsXQ' is not a valid Guest OS type"],
    [["--firmware", "coreboot"], "Invalid --firmware argument 'coreboot'"],
    [["--nic1", "carrier-pigeon"], "Invalid type 'carrier-pigeon' specified for NIC 1"],
    [["--nictype1", "NE4000"], "Invalid NIC type 'NE4000' specified for NIC 1"],
    [["--nic9", "nat"], "Invalid network adapter slot 9 in --nic9 (must be in range [1, 8])"],
    [["--macaddress1", "0800"], "Invalid MAC address format"],
    [["--macaddress1", "010000000001"], "Invalid MAC address: it is a multicast address"],
    [["--natpf1", "x,tcp,,99999,,1"], "Invalid argument 'x,tcp,,99999,,1'"],
    [["--natpf1", "delete", "ssh"], "No NAT rule named 'ssh' exists"],
    [["--hda", "none", "--groups", "nonsense"], "Invalid machine group 'nonsense'"],
  ];
  for (const [args, line] of cases) {
    const outcome = refused(box, "modifyvm", "vm", ...args);
    expect(outcome.code, args.join(" ")).toBe(1);
    expect(outcome.stderr).toContain(`VBoxManage: error: ${line}`);
  }
  // One bad option of several: none is stored.
  refused(box, "modifyvm", "vm", "--memory", "64", "--vram", "999");
  box.ok("modifyvm", "vm", "--natpf1", "ssh,tcp,,2222,,22");
  expect(refused(box, "modifyvm", "vm", "--natpf1", "ssh,tcp,,3333,,33").stderr).toContain(
    "A NAT rule of this name already exists",
  );
  expect(refused(box, "modifyvm", "vm", "--natpf1", "b,tcp,,2222,,23").stderr).toContain(
    "A NAT rule for this host port and this host IP already exists",
  );
});

test("controllers: taken names, port counts, unknown ones", () => {
  const box = machine();
  const cases: [args: string[], line: string][] = [
    [["storagectl", "vm", "--name", "IDE", "--add", "sata"], "Storage controller named 'IDE' already exists"],
    [["storagectl", "vm", "--name", "I2", "--add", "ide"], "Too many storage controllers of this type"],
    [
      ["storagectl", "vm", "--name", "S", "--add", "sata", "--portcount", "31"],
      "Invalid port count: 31 (must be in range [1, 30])",
    ],
    [["storagectl", "vm", "--name", "S", "--add", "scuzzy"], "Invalid --add argument 'scuzzy'"],
    [["storagectl", "vm", "--name", "S", "--add", "sata", "--controller", "PIIX4"], "Invalid controller type 'PIIX4'"],
    [["storagectl", "vm", "--name", "none", "--remove"], "Could not find a storage controller named 'none'"],
    [
      ["storageattach", "vm", "--storagectl", "X", "--port", "0", "--device", "0", "--medium", "none"],
      "Could not find a controller named 'X'",
    ],
    [
      [
        "storageattach",
        "vm",
        "--storagectl",
        "IDE",
        "--port",
        "2",
        "--device",
        "0",
        "--type",
        "dvddrive",
        "--medium",
        "emptydrive",
      ],
      "out of range",
    ],
    [
      [
        "storageattach",
        "vm",
        "--storagectl",
        "IDE",
        "--port",
        "0",
        "--device",
        "0",
        "--type",
        "fdd",
        "--medium",
        "emptydrive",
      ],
      "cannot have a floppy drive",
    ],
    [
      [
        "storageattach",
        "vm",
        "--storagectl",
        "IDE",
        "--port",
        "0",
        "--device",
        "0",
        "--type",
        "dvddrive",
        "--medium",
        "additions",
      ],
      "Cannot find the Guest Additions ISO image",
    ],
  ];
  for (const [args, line] of cases) {
    const outcome = refused(box, ...args);
    expect([outcome.code, outcome.stderr], args.join(" ")).toEqual([1, expect.stringContaining(line)]);
  }
  expect(refused(box, "storagectl", "vm", "--name", "I", "--add", "ide", "--portcount", "3").stderr).toContain(
    "Too many storage controllers",
  );
  box.ok("storagectl", "vm", "--name", "IDE", "--remove");
  expect(refused(box, "storagectl", "vm", "--name", "I", "--add", "ide", "--portcount", "3").stderr).toContain(
    "Invalid port count: 3 (must be in range [2, 2])",
  );
});

test("broken XML is refused and stays as it is", () => {
  const box = new Sandbox();
  const cases: [text: string, line: string][] = [
    ["", "no root element"],
    ["not xml", "text outside of the root element"],
    ["<VirtualBox", "expected '>'"],
    ["<VirtualBox version='1.19-linux'><Machine></VirtualBox>", "unexpected </VirtualBox>, <Machine> is open"],
    ["<VirtualBox version='1.19-linux'><Machine a='1' a='2'/></VirtualBox>", "stands twice"],
    ["<VirtualBox version='1.19-linux'/>", "has no <Machine> element"],
    ["<VirtualBox version='2.0-linux'><Machine/></VirtualBox>", "only 1.x is known"],
    ["<VirtualBox version='1.19-linux'><Machine/></VirtualBox>", "no valid UUID"],
    ["<Other/>", "is not a VirtualBox settings file"],
    ['<!DOCTYPE x [<!ENTITY a "b">]><VirtualBox/>', "document type declarations are not accepted"],
    ["<VirtualBox>&undefined;</VirtualBox>", "unknown entity"],
    [`${"<a>".repeat(5000)}`, "nested too deeply"],
    ["<VirtualBox version='1.19-linux'><MachineEncrypted/></VirtualBox>", "is encrypted"],
  ];
  for (const [text, line] of cases) {
    box.write("broken.vbox", text);
    const outcome = refused(box, "registervm", "broken.vbox");
    expect([outcome.code, outcome.stderr], text.slice(0, 60)).toEqual([1, expect.stringContaining(line)]);
    expect(outcome.stderr).toContain("VBOX_E_XML_ERROR");
  }
  writeFileSync(box.path("binary.vbox"), Uint8Array.of(0xff, 0xfe, 0, 1));
  expect(refused(box, "registervm", "binary.vbox").stderr).toContain("is not UTF-8 text");
  expect(refused(box, "registervm", "missing.vbox").stderr).toContain("VERR_FILE_NOT_FOUND");
});

test("a registered VM whose file broke shows as inaccessible and can be forgotten", () => {
  const box = machine();
  const uuid = box.info("vm").get("UUID") as string;
  writeFileSync(box.path("VirtualBox VMs/vm/vm.vbox"), "<VirtualBox");
  expect(box.ok("list", "vms")).toBe(`"<inaccessible>" {${uuid}}\n`);
  expect(refused(box, "modifyvm", uuid, "--memory", "64").code).toBe(1);
  expect(refused(box, "startvm", uuid).code).toBe(1);
  box.ok("unregistervm", uuid);
  expect(box.ok("list", "vms")).toBe("");
});

test("images that are missing, truncated or something else", () => {
  const box = machine();
  expect(refused(box, ...attach("missing.vdi")).stderr).toContain(
    `Could not find file for the medium '${box.path("missing.vdi")}' (VERR_FILE_NOT_FOUND)`,
  );
  expect(refused(box, ...attach(box.home)).stderr).toContain("is not a file");
  box.ok("createhd", "--filename", "cut.vdi", "--size", "100");
  truncateSync(box.path("cut.vdi"), 700);
  expect(refused(box, ...attach("cut.vdi")).code).toBe(1);
  box.write("vm.vmdk", "# Disk DescriptorFile\nversion=1\n".padEnd(1024));
  expect(refused(box, ...attach("vm.vmdk")).stderr).toContain("VMDK");
  expect(refused(box, ...attach("missing.iso", "dvddrive")).stderr).toContain("VERR_FILE_NOT_FOUND");
  box.write("half.iso", discImage(300, 4000));
  expect(refused(box, ...attach("half.iso", "dvddrive")).stderr).toContain("the image is truncated");
  box.write("odd.iso", discImage(300).subarray(0, 500_001));
  expect(refused(box, ...attach("odd.iso", "dvddrive")).stderr).toContain("the image is truncated");
  box.write("empty.iso", "");
  expect(refused(box, ...attach("empty.iso", "dvddrive")).code).toBe(1);
  box.ok("createhd", "--filename", "whole.vdi", "--size", "10");
  expect(refused(box, ...attach("whole.vdi", "dvddrive")).stderr).toContain("is a VDI image: not a dvd");
  // A disc is no hard disk, whatever it is called; one that can be copied onto a disk may be.
  box.write("disc.iso", discImage(300));
  box.write("disc.img", discImage(300));
  for (const name of ["disc.iso", "disc.img"]) {
    const { stderr } = refused(box, ...attach(name));
    expect(stderr).toContain(
      `Could not get the storage format of the medium '${box.path(name)}' (VERR_NOT_SUPPORTED)\nVBoxManage: error: Details: code VBOX_E_IPRT_ERROR`,
    );
  }
  box.write("hybrid.img", Buffer.from(discImage(300)).fill("\x55\xaa", 510, 512, "latin1"));
  box.ok(...attach("hybrid.img"));
  box.ok("storagectl", "vm", "--name", "Floppy", "--add", "floppy");
  const floppy = ["storageattach", "vm", "--storagectl", "Floppy", "--device", "0", "--type", "fdd", "--medium"];
  box.write("crumb.img", "abc");
  box.write("large.img", Buffer.alloc(3_000_000));
  expect(refused(box, ...floppy, "crumb.img").stderr).toContain("3 bytes are too few for a floppy");
  expect(refused(box, ...floppy, "large.img").stderr).toContain("3000000 bytes are too many for a floppy");
});

test("an existing file is never overwritten by a new image", () => {
  const box = new Sandbox();
  box.write("disk.vdi", "precious");
  const { code, stderr } = refused(box, "createhd", "--filename", "disk.vdi", "--size", "10");
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^0%\.\.\.VBOX_E_FILE_ERROR\nVBoxManage: error: Failed to create medium: .*\(VERR_ALREADY_EXISTS\)/,
  );
});

test("a disk belongs to one VM, a copy of a disk is not taken for it", () => {
  const box = machine();
  box.ok("createhd", "--filename", "a.vdi", "--size", "10");
  box.ok(...attach("a.vdi"));
  box.ok("createvm", "--name", "second", "--register");
  box.ok("storagectl", "second", "--name", "IDE", "--add", "ide");
  const args = attach("a.vdi").map((word) => (word === "vm" ? "second" : word));
  expect(refused(box, ...args).stderr).toContain("is already attached to the virtual machine 'vm'");
  box.write("copy.vdi", readFileSync(box.path("a.vdi")));
  expect(refused(box, ...args.map((word) => (word === "a.vdi" ? "copy.vdi" : word))).stderr).toMatch(
    /Cannot register the hard disk '.*copy\.vdi' \{.*\} because a hard disk '.*a\.vdi' with UUID/,
  );
  expect(refused(box, "closemedium", "disk", "a.vdi").stderr).toContain("VBOX_E_OBJECT_IN_USE");
});

test("folders that cannot be written", () => {
  // Root may write anywhere; the file in the way of a folder stands for the rest.
  const isRoot = process.getuid?.() === 0;
  const box = machine();
  box.write("blocked", "a file");
  expect(refused(box, "createvm", "--name", "x", "--basefolder", box.path("blocked"), "--register").stderr).toContain(
    "VBOX_E_FILE_ERROR",
  );
  expect(refused(box, "createhd", "--filename", "blocked/x.vdi", "--size", "10").code).toBe(1);
  expect(refused(box, "createhd", "--filename", "no/such/folder/x.vdi", "--size", "10").stderr).toContain(
    "VERR_FILE_NOT_FOUND",
  );
  if (isRoot) return;
  chmodSync(box.path("VirtualBox VMs/vm"), 0o555);
  expect(refused(box, "modifyvm", "vm", "--memory", "64").stderr).toContain("VERR_ACCESS_DENIED");
  expect(refused(box, "createhd", "--filename", "VirtualBox VMs/vm/x.vdi", "--size", "10").stderr).toContain(
    "VERR_ACCESS_DENIED",
  );
  chmodSync(box.path("VirtualBox VMs/vm"), 0o755);
  chmodSync(box.path("registry"), 0o555);
  expect(refused(box, "createvm", "--name", "y", "--register").stderr).toContain("VERR_ACCESS_DENIED");
  chmodSync(box.path("registry"), 0o755);
});

test("a read-only file system: nothing changes, and the status name says why", () => {
  const box = machine();
  box.ok("createhd", "--filename", "VirtualBox VMs/vm/vm.vdi", "--size", "10");
  box.ok(...attach("VirtualBox VMs/vm/vm.vdi"));
  const before = snapshot(box.home);
  const cases: string[][] = [
    ["unregistervm", "vm", "--delete"],
    ["modifyvm", "vm", "--memory", "64"],
    ["createhd", "--filename", "VirtualBox VMs/vm/new.vdi", "--size", "10"],
    ["modifymedium", "VirtualBox VMs/vm/vm.vdi", "--move", "elsewhere.vdi"],
  ];
  for (const args of cases) {
    const { code, stderr } = box.onReadOnly("VirtualBox VMs/vm", ...args);
    expect([code, stderr], args.join(" ")).toEqual([1, expect.stringContaining("(VERR_WRITE_PROTECT)")]);
    expect(stderr).toContain("Details: code VBOX_E_FILE_ERROR (0x80bb0004)");
    expect(snapshot(box.home)).toEqual(before);
  }
  expect(box.ok("list", "vms")).toContain('"vm"');
});

test("a full disk: nothing changes and nothing is left behind", () => {
  // A limit of no bytes a file stands for it: every write of a file fails.
  const box = machine();
  const before = snapshot(box.home);
  for (const args of [
    ["modifyvm", "vm", "--memory", "64"],
    ["createvm", "--name", "y"],
    ["createhd", "--filename", "x", "--size", "10"],
  ]) {
    const { code, stderr } = box.onFullDisk(...args);
    expect([code, stderr], args[0]).toEqual([1, expect.stringMatching(/VERR_FILE_TOO_BIG[\s\S]*VBOX_E_FILE_ERROR/)]);
    expect(snapshot(box.home)).toEqual(before);
  }
});

test("a start that cannot be is refused before anything runs", () => {
  const box = machine();
  const cases: [args: string[], line: string][] = [
    [["--memory", "4000"], "4000 MB of memory are more than the 3584 MB that a VM can have"],
    [["--cpus", "2"], "2 CPUs: a VM has one"],
    [["--firmware", "efi"], "EFI firmware"],
    [["--chipset", "ich9"], "the chipset ICH9"],
  ];
  for (const [args, line] of cases) {
    box.ok("modifyvm", "vm", ...args);
    const outcome = refused(box, "startvm", "vm", "--type", "headless");
    expect([outcome.code, outcome.stderr], line).toEqual([1, expect.stringContaining(line)]);
    box.ok("modifyvm", "vm", "--memory", "64", "--cpus", "1", "--firmware", "bios", "--chipset", "piix3");
  }
  box.write("disc.iso", discImage(100));
  box.ok(...attach("disc.iso", "dvddrive"));
  truncateSync(box.path("disc.iso"), 2048 * 40 + 1);
  expect(refused(box, "startvm", "vm").stderr).toContain("the image is truncated");
});

test("commands that are not there say so", () => {
  const box = machine();
  for (const args of [
    ["movevm", "vm"],
    ["export", "vm"],
    ["import", "x.ova"],
    ["list", "hostcpuids"],
  ]) {
    const { code, stderr } = refused(box, ...args);
    expect([code, stderr], args.join(" ")).toEqual([
      1,
      expect.stringContaining("is not available in this version of Anneau"),
    ]);
    expect(box.ok("help")).not.toContain(`  ${args[0]} `.replace("  list ", "hostcpuids"));
  }
});

test("output that nobody reads is no failure and the work is done; output that cannot be written is one, in one line", () => {
  const box = new Sandbox();
  const sh = (script: string) => box.sh(script);
  expect(sh('"$@" list ostypes | head -1')).toEqual({ stdout: "ID:          Other\n", stderr: "", code: 0 });
  // The reader is gone before the first line comes.
  const unread = sh('{ sleep 0.5; "$@" createvm --name unread --register; echo $? >code; } | true; cat code');
  expect(unread).toEqual({ stdout: "0\n", stderr: "", code: 0 });
  const full = sh('"$@" createvm --name full --register >/dev/full');
  expect(full).toEqual({ stdout: "", stderr: "anneau: error: cannot write the output (ENOSPC)\n", code: 1 });
  expect(sh('"$@" showvminfo nope 2>/dev/full').code).toBe(1);
  expect(box.ok("list", "vms")).toMatch(/^"unread" .*\n"full" .*\n$/);
});
