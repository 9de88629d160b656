/**
 * A whole Debian 12 on an IDE disk: boot sector, syslinux, kernel, systemd, log in on COM1, write a file, switch off, start
 * again, the file is there. Afterwards independent tools look at what was left on the disk: qemu-img at the VDI, e2fsck
 * at the file system in it.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { closeSync, copyFileSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { debianDiskName, debianRootfs } from "../../scripts/media/debian-rootfs.ts";
import { RunGuest } from "./run-guest.ts";

let media: string;
let folder: string;
beforeAll(async () => {
  for (const [tool, aptPackage] of [
    ["qemu-img", "qemu-utils"],
    ["e2fsck", "e2fsprogs"],
  ])
    if (spawnSync(tool, ["--version"], { env }).error)
      throw new Error(`${tool} is missing: apt-get install ${aptPackage}`);
  media = await debianRootfs();
  folder = mkdtempSync(join(tmpdir(), "anneau-guests-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
const prompt = "root@anneau:~# ";

async function logIn(disk: string): Promise<RunGuest> {
  const guest = new RunGuest("--memory=256", `--disk=${disk}`);
  await guest.says("anneau login: ");
  guest.type("root\n");
  await guest.says("Password: ");
  guest.type("anneau\n");
  await guest.says(prompt);
  return guest;
}

async function switchOff(guest: RunGuest): Promise<void> {
  guest.type("poweroff\n");
  await guest.says("reboot: Power down");
  expect(await guest.exited, guest.errors).toBe(0);
}

/** `FILE?offset=N` of the second partition, as e2fsprogs take it. */
function rootPartition(raw: string): { readonly name: string; readonly offsetBytes: number } {
  const record = Buffer.alloc(512);
  const fd = openSync(raw, "r");
  readSync(fd, record);
  closeSync(fd);
  const offsetBytes = record.readUInt32LE(446 + 16 + 8) * 512;
  return { name: `${raw}?offset=${offsetBytes}`, offsetBytes };
}

const check = (partition: string) => spawnSync("e2fsck", ["-fn", partition], { env, encoding: "utf8" });

test("log in, write a file, power off, start again: the file is there and the disk is in order", async () => {
  const disk = join(folder, "debian.vdi");
  copyFileSync(join(media, `${debianDiskName}.vdi`), disk);

  const first = await logIn(disk);
  expect(await first.shell("uname -m; cat /etc/debian_version; findmnt -no SOURCE,FSTYPE /")).toMatch(
    /i686\n12\.\d+\n\/dev\/sda2 +ext4\n/,
  );
  // Every unit has started: nothing in the system found fault with this machine.
  expect(await first.shell("systemctl is-system-running --wait")).toContain("running\n");
  await first.shell("seq 200000 > /root/numbers; md5sum /root/numbers > /root/sum; echo kept > /root/file");
  expect(await first.shell("lspci -n | cut -d' ' -f3")).toContain("80ee:beef");
  await switchOff(first);

  const second = await logIn(disk);
  expect(await second.shell("cat /root/file")).toContain("kept\n");
  expect(await second.shell("md5sum -c /root/sum")).toContain("/root/numbers: OK\n");
  await switchOff(second);

  expect(execFileSync("qemu-img", ["check", "-f", "vdi", disk], { encoding: "utf8" })).toContain("No errors");
  const raw = join(folder, "debian.raw");
  execFileSync("qemu-img", ["convert", "-f", "vdi", "-O", "raw", disk, raw]);
  const root = rootPartition(raw);
  const clean = check(root.name);
  expect(clean.status, clean.stdout + clean.stderr).toBe(0);
  expect(execFileSync("debugfs", ["-R", "cat /root/file", root.name], { env, encoding: "utf8" })).toBe("kept\n");

  // The check itself is not blind: a damaged group descriptor and it says so.
  const fd = openSync(raw, "r+");
  writeSync(fd, Buffer.alloc(32, 0xa5), 0, 32, root.offsetBytes + 4096);
  closeSync(fd);
  expect(check(root.name).status).not.toBe(0);
});

test("a wrong word on the kernel's command line does not go unnoticed", async () => {
  const raw = join(folder, "sabotaged.img");
  execFileSync("cp", ["--sparse=always", join(media, `${debianDiskName}.img`), raw]);
  const fd = openSync(raw, "r+");
  const boot = Buffer.alloc(rootPartition(raw).offsetBytes);
  readSync(fd, boot);
  const at = boot.indexOf("console=tty0");
  expect(at).toBeGreaterThan(0);
  writeSync(fd, "rdinit=/none", at);
  closeSync(fd);
  await expect(logIn(raw)).rejects.toThrow(/gave up.*Kernel panic - not syncing: VFS/s);
});
