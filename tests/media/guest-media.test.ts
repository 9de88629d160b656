/** The guest media boot under QEMU: a guest test on Anneau that fails says something about Anneau then. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { debianNetboot, debianNetbootIso } from "../../scripts/media/debian-netboot.ts";
import { debianDiskName, debianRootfs } from "../../scripts/media/debian-rootfs.ts";
import { defaultModules, linuxGuest } from "../../scripts/media/linux-guest.ts";
import { createRaw } from "../../src/disk/create.ts";

let folder: string;
beforeAll(() => {
  const tools = {
    "qemu-system-i386": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    mke2fs: "e2fsprogs",
    e2fsck: "e2fsprogs",
  };
  for (const [tool, aptPackage] of Object.entries(tools))
    if (spawnSync(tool, ["--version"], { env: path }).error)
      throw new Error(`${tool} is missing: apt-get install ${aptPackage}`);
  folder = mkdtempSync(join(tmpdir(), "anneau-media-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const path = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };

/** A guest on QEMU whose serial port is read and typed to. */
class SerialGuest {
  readonly #qemu: ChildProcess;
  readonly #ended: Promise<void>;
  #said = "";
  #from = 0;
  #wake = () => {};

  constructor(args: readonly string[]) {
    const fixed = ["-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot"];
    this.#qemu = spawn("qemu-system-i386", [...fixed, ...args], { stdio: ["pipe", "pipe", "inherit"] });
    this.#qemu.stdout!.on("data", (bytes: Buffer) => {
      this.#said += bytes.toString("latin1");
      this.#wake();
    });
    this.#ended = new Promise((resolve) => this.#qemu.once("close", () => resolve(this.#wake())));
  }

  /** Waits until the guest says the text, behind what an earlier call waited for. */
  async says(text: string, seconds = 180): Promise<void> {
    const end = Date.now() + seconds * 1000;
    for (;;) {
      const at = this.#said.indexOf(text, this.#from);
      if (at >= 0) {
        this.#from = at + text.length;
        return;
      }
      if (Date.now() > end || this.#qemu.exitCode !== null)
        throw new Error(
          `the guest did not say ${text}, but: ${JSON.stringify(this.#said.slice(this.#from).slice(-2000))}`,
        );
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1000);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  type(line: string): void {
    this.#qemu.stdin!.write(`${line}\n`);
  }

  /** Waits until the machine has turned itself off. */
  async off(): Promise<void> {
    const timer = setTimeout(() => this.kill(), 120_000);
    await this.#ended;
    clearTimeout(timer);
    expect(this.#qemu.signalCode).toBe(null);
  }

  kill(): void {
    this.#qemu.kill("SIGKILL");
  }
}

let guest: SerialGuest | undefined;
afterEach(() => guest?.kill());

const kernel = (media: string, append: string) => [
  ...["-kernel", join(media, "vmlinuz"), "-initrd", join(media, "initrd.gz"), "-append", `console=ttyS0 ${append}`],
];

describe("the Linux guest", () => {
  it("says that it is ready, gives a shell with job control and turns off", async () => {
    guest = new SerialGuest(["-m", "64", "-net", "none", ...kernel(await linuxGuest(), "quiet anneau.then=poweroff")]);
    await guest.says("ANNEAU-GUEST-READY 6.");
    await guest.says("# ");
    guest.type("tty; echo sum $((6 * 7))");
    await guest.says("/dev/ttyS0");
    await guest.says("sum 42");
    guest.type("exit");
    await guest.off();
  });

  it("runs a program in place of the shell", async () => {
    const media = await linuxGuest();
    const words = "quiet anneau.run=/bin/uname anneau.then=poweroff";
    guest = new SerialGuest(["-m", "64", "-net", "none", ...kernel(media, words)]);
    await guest.says("ANNEAU-GUEST-READY");
    await guest.says("Linux");
    await guest.off();
  });

  it("with modules finds disk, disc and network card, and mounts ext4", async () => {
    const media = await linuxGuest({ modules: defaultModules });
    const disk = join(folder, "ext4.img");
    createRaw(disk, { sizeBytes: 64 << 20, variant: "Standard" });
    execFileSync("mke2fs", ["-q", "-F", "-t", "ext4", disk], { env: path });
    guest = new SerialGuest([
      ...["-m", "128", "-nic", "user,model=pcnet", "-drive", `file=${disk},format=raw`],
      ...kernel(media, "quiet anneau.then=poweroff"),
    ]);
    await guest.says("ANNEAU-GUEST-READY");
    guest.type(
      "while ! mount /dev/sda /mnt; do sleep 1; done; echo hello > /mnt/file; ls /dev/sr0 /sys/class/net; umount /mnt",
    );
    await guest.says("/dev/sr0");
    await guest.says("eth0");
    guest.type("exit");
    await guest.off();
    execFileSync("e2fsck", ["-fn", disk], { env: path });
  });
});

describe("Debian's network installer", () => {
  it("asks for the language on the serial port when told to at the boot prompt", async () => {
    const iso = join(await debianNetboot(), debianNetbootIso);
    guest = new SerialGuest(["-m", "512", "-net", "none", "-boot", "d", "-cdrom", iso]);
    await guest.says("boot: ");
    guest.type("serial");
    await guest.says("Loading initrd.gz...ok");
    await guest.says("Select a language");
    guest.kill();
  });
});

describe("the Debian disk", () => {
  it("boots from our VDI to a login, keeps a file and turns off with a clean file system", async () => {
    const media = await debianRootfs();
    const disk = join(folder, "debian.vdi");
    copyFileSync(join(media, `${debianDiskName}.vdi`), disk);
    guest = new SerialGuest(["-m", "256", "-nic", "user,model=pcnet", "-drive", `file=${disk},format=vdi`]);
    await guest.says("anneau login: ", 300);
    guest.type("root");
    await guest.says("Password: ");
    guest.type("anneau");
    await guest.says("root@anneau:~# ");
    guest.type("echo kept > /root/file; systemctl is-system-running --wait; ip -4 -brief address");
    await guest.says("running");
    await guest.says("10.0.2.15/24");
    guest.type("poweroff");
    await guest.off();
    const raw = join(folder, "debian.raw");
    execFileSync("qemu-img", ["convert", "-f", "vdi", "-O", "raw", disk, raw]);
    const root = `${raw}?offset=${133120 * 512}`;
    execFileSync("e2fsck", ["-fn", root], { env: path, stdio: ["ignore", "pipe", "pipe"] });
    expect(execFileSync("debugfs", ["-R", "cat /root/file", root], { env: path, encoding: "utf8" })).toBe("kept\n");
  });
});
