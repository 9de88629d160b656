/**
 * Starting from the network, nothing in any drive: pxelinux and iPXE, as Debian ships them, over our firmware's PXE and UNDI, with
 * NAT's DHCP and TFTP, on every kind of card; what fails is said and the boot order goes on.
 */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { debianNetboot } from "../../scripts/media/debian-netboot.ts";
import { linuxGuest } from "../../scripts/media/linux-guest.ts";
import { networkBootFiles } from "../../scripts/media/network-boot.ts";
import { connectToMachine } from "../../src/control/client.ts";
import { socketPathOf } from "../../src/control/socket-path.ts";
import { Sandbox } from "../cli/sandbox.ts";
import { RunGuest } from "./run-guest.ts";

const PATIENCE_MS = 400_000;
let programs: string;
let linux: string;
beforeAll(async () => {
  programs = await networkBootFiles();
  linux = await linuxGuest();
});

/** A TFTP folder: the programs, a kernel with its initial RAM disk, and pxelinux's configuration that starts them. */
function tftpFolder(system: string, commandLine: string): string {
  const folder = mkdtempSync(join(tmpdir(), "anneau-tftp-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const name of ["pxelinux.0", "lpxelinux.0", "ldlinux.c32", "undionly.kpxe"])
    copyFileSync(join(programs, name), join(folder, name));
  for (const name of ["vmlinuz", "initrd.gz"]) copyFileSync(join(system, name), join(folder, name));
  mkdirSync(join(folder, "pxelinux.cfg"));
  const configuration = `serial 0 115200\ndefault go\nlabel go\n  kernel vmlinuz\n  append initrd=initrd.gz ${commandLine}\n`;
  writeFileSync(join(folder, "pxelinux.cfg/default"), configuration);
  return folder;
}

const quiet = "console=ttyS0,115200 quiet panic=0 cryptomgr.notests";

test.each([
  ["Am79C970A", "lpxelinux.0"],
  ["82545EM", "pxelinux.0"],
  ["virtio", "lpxelinux.0"],
])("%s: %s loads Linux", async (card, file) => {
  const folder = tftpFolder(linux, quiet);
  const guest = new RunGuest("--memory=96", "--boot=n", `--nic=${card},tftp=${folder},boot=${file}`);
  await guest.says(/PXELINUX 6\.\d+/);
  await guest.says(/ANNEAU-GUEST-READY 6\.\S+/);
  await guest.says("# ");
  // The memory that PXE had is Linux's again.
  expect(await guest.shell("grep -i 'system ram' /proc/iomem | head -1")).toMatch(/-0009fbff : System RAM/);
});

/** A VM without a medium, and its screen. */
class NetworkVm {
  readonly box = new Sandbox();
  readonly com1: string;

  constructor(...settings: string[]) {
    const { box } = this;
    this.com1 = box.path("com1.txt");
    box.ok("createvm", "--name", "net", "--ostype", "Debian", "--register");
    box.ok(
      "modifyvm",
      "net",
      "--memory",
      "512",
      "--boot1",
      "net",
      "--boot2",
      "none",
      "--boot3",
      "none",
      "--boot4",
      "none",
    );
    box.ok("modifyvm", "net", "--uart1", "0x3f8", "4", "--uart-mode1", "file", this.com1);
    box.ok("modifyvm", "net", "--nic1", "nat", ...settings);
    onTestFinished(() => {
      box.anneau("controlvm", "net", "poweroff");
    });
    process.env.XDG_RUNTIME_DIR = box.env.XDG_RUNTIME_DIR;
    process.env.VBOX_USER_HOME = box.env.VBOX_USER_HOME;
    box.ok("startvm", "net", "--type", "headless");
  }

  get said(): string {
    return existsSync(this.com1) ? readFileSync(this.com1, "latin1") : "";
  }

  async says(what: string): Promise<void> {
    await until(
      what,
      () => this.said.includes(what),
      () => this.said.slice(-1500),
    );
  }

  /** Waits until the screen shows it. */
  async shows(what: RegExp): Promise<string> {
    const client = await connectToMachine(socketPathOf(this.box.info("net").get("UUID") ?? ""));
    let text = "";
    const look = async () => {
      text = (await client.request("textscreen", {}))?.lines.join("\n") ?? "";
      return what.test(text);
    };
    await until(String(what), look, () => text);
    client.close();
    return text;
  }

  type(text: string): void {
    this.box.ok("controlvm", "net", "keyboardputstring", text);
  }
}

async function until(what: string, isTrue: () => boolean | Promise<boolean>, seen: () => string): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  while (!(await isTrue())) {
    if (Date.now() > end) throw new Error(`${what} did not come, but: ${seen()}`);
    await new Promise((done) => setTimeout(done, 200));
  }
}

test("Debian's installer comes up over the built-in TFTP, with no medium attached", async () => {
  const folder = tftpFolder(await debianNetboot(), "console=ttyS0,115200n8 ---");
  const vm = new NetworkVm("--nictype1", "Am79C973", "--nattftpprefix1", folder, "--nattftpfile1", "pxelinux.0");
  await vm.says("PXELINUX 6.");
  await vm.says("Select a language");
  expect(vm.said).toContain("BOOT_IMAGE=vmlinuz");
});

test("iPXE's undionly.kpxe: an address by DHCP through UNDI, then a kernel of its own choice", async () => {
  const folder = tftpFolder(linux, quiet);
  const vm = new NetworkVm("--nictype1", "82540EM", "--nattftpprefix1", folder, "--nattftpfile1", "undionly.kpxe");
  await vm.shows(/Press Ctrl-B for the iPXE command line/);
  vm.box.ok("controlvm", "net", "keyboardputscancode", "1d", "30", "b0", "9d");
  await vm.shows(/^iPXE>/m);
  vm.type("ifconf -c dhcp net0\n");
  await vm.shows(/Configuring \[dhcp\] \(net0 [0-9a-f:]+\)\.* ok/);
  vm.type("show ip\n");
  await vm.shows(/10\.0\.2\.15/);
  vm.type("ifstat net0\n");
  expect(await vm.shows(/net0: .* using undionly on 0000:00:03\.0/)).not.toMatch(/RXE:[1-9]/);
  vm.type(`kernel tftp://10.0.2.4/vmlinuz ${quiet} initrd=initrd.gz && initrd tftp://10.0.2.4/initrd.gz && boot\n`);
  await vm.says("ANNEAU-GUEST-READY");
});

test("no such file, no cable: it says so, and the next adapter has its turn by priority", async () => {
  const folder = tftpFolder(linux, quiet);
  const none = join(folder, "none");
  mkdirSync(none);
  const guest = new NetworkVm(
    ...["--nictype1", "82540EM", "--nattftpprefix1", folder, "--nattftpfile1", "pxelinux.0", "--nicbootprio1", "2"],
    ...[
      "--nic2",
      "nat",
      "--nictype2",
      "virtio",
      "--nattftpprefix2",
      none,
      "--nattftpfile2",
      "x.0",
      "--nicbootprio2",
      "1",
    ],
    ...["--nic3", "nat", "--nictype3", "Am79C973", "--cableconnected3", "off", "--nicbootprio3", "1"],
  );
  await guest.says("ANNEAU-GUEST-READY");
  const log = readFileSync(guest.box.path("VirtualBox VMs/net/Logs/VBox.log"), "utf8");
  expect(log).not.toContain("nothing to boot");
  const two = guest.box.read("VirtualBox VMs/net/net.vbox");
  expect(two).toContain('bootPriority="2"');
});
