/**
 * A Debian 12 system for i386 on a disk: systemd, a login on the screen and on the first serial port, DHCP on every
 * Ethernet card.
 *
 *   node scripts/media/debian-rootfs.ts [--include PACKAGE,PACKAGE…] [--refresh]
 *
 * prints the folder that holds `debian-12-i386.img` (raw, 1 GiB), the same as `debian-12-i386.vdi`, and `versions.json`.
 * Log in as root, password `anneau`; the host name is `anneau`.
 *
 * mmdebstrap makes the system (as root, else in a user namespace, which needs package uidmap and an entry in /etc/subuid),
 * `mke2fs -d` its file system, mtools and syslinux the FAT partition that it boots from; no loop device is used. The
 * initramfs holds only the drivers that Anneau's disks need, which halves the time to boot.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createVdi } from "../../src/disk/create.ts";
import { ImageFile, isZero } from "../../src/disk/image-file.ts";
import { openMedium } from "../../src/disk/open.ts";
import { PrivateApt, unpackDeb } from "./apt.ts";
import { cachedProduct, runScript, runTool } from "./cache.ts";
import { logicalHeads, masterBootRecord, sectorsPerTrack } from "./partition-table.ts";

export const debianDiskName = "debian-12-i386";

const diskSectors = (1 << 30) / 512;
const bootFirstLba = 2048;
/** The boot partition ends with a cylinder, so that the geometry guessed from its end is the right one. */
const bootSectors = 33 * logicalHeads(diskSectors) * sectorsPerTrack - bootFirstLba;
const rootFirstLba = Math.ceil((bootFirstLba + bootSectors) / 2048) * 2048;
const rootSectors = diskSectors - rootFirstLba;

const packages = [
  ...["linux-image-686", "systemd-sysv", "udev", "kmod", "dbus", "login", "util-linux", "e2fsprogs", "iproute2"],
  ...["iputils-ping", "netbase", "pciutils", "procps", "less"],
];

const initramfsModules = [
  "ata_piix",
  "ata_generic",
  "ahci",
  "sd_mod",
  "mptspi",
  "BusLogic",
  "virtio_pci",
  "virtio_blk",
  "ext4",
];

const files: Record<string, string> = {
  "etc/fstab": "LABEL=root / ext4 errors=remount-ro 0 1\n",
  "etc/hostname": "anneau\n",
  "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 anneau\n",
  "etc/resolv.conf": "nameserver 10.0.2.3\n",
  "etc/systemd/network/80-dhcp.network": "[Match]\nType=ether\n\n[Network]\nDHCP=ipv4\n",
};

const beforePackages: Record<string, string> = {
  "etc/initramfs-tools/conf.d/anneau": "MODULES=list\nCOMPRESS=gzip\nRESUME=none\n",
  "etc/initramfs-tools/modules": initramfsModules.join("\n") + "\n",
};

const syslinuxConfiguration = (rootUuid: string) => `serial 0 115200
default linux
timeout 1
label linux
  kernel vmlinuz
  append initrd=initrd.img root=UUID=${rootUuid} ro console=tty0 console=ttyS0,115200n8
`;

/** What has to happen as the owner of the system's files: root, or root of a user namespace. */
const asRoot = `set -eu
trap 'rm -rf "$1/root"' EXIT
mkdir "$1/root"
# Nobody but root may make device nodes; the kernel mounts its own /dev.
tar --extract --numeric-owner --xattrs --xattrs-include='*' --exclude './dev/*' --file "$1/root.tar" --directory "$1/root"
cat "$1"/root/boot/vmlinuz-* > "$1/vmlinuz"
cat "$1"/root/boot/initrd.img-* > "$1/initrd.img"
cat "$1/root/var/lib/dpkg/status" > "$1/status"
mke2fs -q -F -t ext4 -L root -U "$2" -d "$1/root" "$1/root.ext4" "$3"
`;

/** Makes (or finds) the disk and returns the folder with the files named above. `include`: more packages. */
export async function debianRootfs(
  options: { readonly include?: readonly string[]; readonly refresh?: boolean } = {},
): Promise<string> {
  const include = [...packages, ...(options.include ?? [])];
  const name = ["debian-rootfs-i386", ...(options.include ?? [])].join("-");
  const recipe = JSON.stringify({ include, files, beforePackages, asRoot, boot: syslinuxConfiguration("") });
  return cachedProduct(name, recipe, (scratch) => build(scratch, include), options.refresh);
}

function build(scratch: string, include: readonly string[]): Record<string, string> {
  const work = join(scratch, "work");
  mkdirSync(work);
  const bootPackages = new PrivateApt("amd64").download(["syslinux", "syslinux-common"]);
  for (const debianPackage of bootPackages) unpackDeb(debianPackage, join(work, "host"));
  makeSystem(work, include);

  const rootUuid = randomUUID();
  const script = ["sh", "-c", asRoot, "sh", work, rootUuid, `${rootSectors / 2}k`];
  if (process.getuid?.() === 0) runTool(script[0], script.slice(1), { aptPackage: "e2fsprogs" });
  else runTool("unshare", ["--map-auto", "--map-root-user", "--", ...script], { aptPackage: "uidmap" });
  const status = readFileSync(join(work, "status"), "utf8");
  makeBootPartition(work, rootUuid);

  const disk = join(scratch, `${debianDiskName}.img`);
  const code = readFileSync(join(work, "host/usr/lib/syslinux/mbr/mbr.bin"));
  const record = masterBootRecord(code, diskSectors, randomBytes(4).readUInt32LE(), [
    { type: 0x0e, isActive: true, firstLba: bootFirstLba, sectors: bootSectors },
    { type: 0x83, isActive: false, firstLba: rootFirstLba, sectors: rootSectors },
  ]);
  writeFileSync(disk, record);
  makeSize(disk, diskSectors * 512);
  copyInto(join(work, "boot.fat"), disk, bootFirstLba * 512);
  copyInto(join(work, "root.ext4"), disk, rootFirstLba * 512);
  const content = openMedium(disk, { kind: "disk", readOnly: true, format: "RAW" });
  createVdi(join(scratch, `${debianDiskName}.vdi`), { sizeBytes: content.sizeBytes, variant: "Standard", content });
  content.close();
  rmSync(work, { recursive: true });
  const versions = [...status.matchAll(/^Package: (\S+)\n(?:.+\n)*?Version: (\S+)$/gm)].map(([, name, v]) => [name, v]);
  return Object.fromEntries([...bootPackages.map((one) => [one.name, one.version]), ...versions]);
}

/** The system as work/root.tar. */
function makeSystem(work: string, include: readonly string[]): void {
  const apt = new PrivateApt("i386").usableSources();
  const settings = join(work, "apt.conf");
  writeFileSync(settings, apt.settings.join("\n") + "\n");
  const write = (contents: Record<string, string>) =>
    Object.entries(contents).map(([path, text]) => {
      const target = `"$1/${path}"`;
      return `mkdir -p "$(dirname ${target})" && printf %s ${quote(text)} > ${target}`;
    });
  const hooks = (kind: string, commands: string[]) => commands.map((command) => `--${kind}-hook=${command}`);
  runTool(
    "mmdebstrap",
    [
      `--mode=${process.getuid?.() === 0 ? "root" : "unshare"}`,
      "--architectures=i386",
      // i386 programs run on an amd64 host as they are; the check wants another package just to find that out.
      "--skip=check/qemu",
      "--variant=minbase",
      "--format=tar",
      `--include=${include.join(",")}`,
      `--aptopt=${settings}`,
      ...["doc", "man", "locale", "info"].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`),
      ...hooks("essential", write(beforePackages)),
      ...hooks("customize", [
        ...write(files),
        'echo root:anneau | chroot "$1" chpasswd',
        'chroot "$1" systemctl enable systemd-networkd.service',
        // Would hold up a boot without a network for two minutes.
        'chroot "$1" systemctl disable systemd-networkd-wait-online.service',
        'rm -f "$1/etc/apt/apt.conf.d/99mmdebstrap"',
        'printf "" > "$1/etc/machine-id"',
      ]),
      "bookworm",
      join(work, "root.tar"),
      ...apt.sources,
    ],
    { aptPackage: "mmdebstrap" },
  );
}

function makeBootPartition(work: string, rootUuid: string): void {
  const image = join(work, "boot.fat");
  writeFileSync(join(work, "syslinux.cfg"), syslinuxConfiguration(rootUuid));
  writeFileSync(image, "");
  makeSize(image, bootSectors * 512);
  const mtools = { aptPackage: "mtools", env: { MTOOLS_SKIP_CHECK: "1" } };
  const geometry = ["-h", String(logicalHeads(diskSectors)), "-s", String(sectorsPerTrack), "-H", String(bootFirstLba)];
  runTool("mformat", ["-i", image, "-T", String(bootSectors), ...geometry, "-v", "BOOT", "::"], mtools);
  const names = ["vmlinuz", "initrd.img", "syslinux.cfg"].map((name) => join(work, name));
  runTool("mcopy", ["-i", image, ...names, "::"], mtools);
  runTool(join(work, "host/usr/bin/syslinux"), ["--install", image], { aptPackage: "mtools" });
}

function makeSize(path: string, sizeBytes: number): void {
  const fd = openSync(path, "r+");
  ftruncateSync(fd, sizeBytes);
  closeSync(fd);
}

/** Copies a file into another one, leaving out what is zero, so that both stay sparse. */
function copyInto(source: string, target: string, positionBytes: number): void {
  const from = new ImageFile(source, "r");
  const to = new ImageFile(target, "r+", (text) => console.error(text));
  const buffer = new Uint8Array(1 << 18);
  for (let at = 0, size = from.sizeBytes; at < size; at += buffer.length) {
    const length = Math.min(buffer.length, size - at);
    if (!from.read(at, buffer, 0, length)) throw new Error(`cannot read ${source}`);
    if (!isZero(buffer, 0, length) && !to.write(positionBytes + at, buffer, 0, length))
      throw new Error(`cannot write ${target}`);
  }
  from.close();
  to.close();
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

if (import.meta.main) {
  await runScript(async () => {
    const { values } = parseArgs({
      options: { include: { type: "string", default: "" }, refresh: { type: "boolean", default: false } },
    });
    const include = values.include.split(",").filter((name) => name !== "");
    console.log(await debianRootfs({ include, refresh: values.refresh }));
  });
}
