/**
 * A Linux guest small enough for every test: Debian's kernel and an initramfs with busybox whose /init prints
 * `ANNEAU-GUEST-READY RELEASE` and gives a root shell on the console.
 *
 *   node scripts/media/linux-guest.ts [--flavour 686|686-pae|amd64] [--modules default|none|NAME,NAME…] [--refresh]
 *
 * prints the folder that holds `vmlinuz`, `initrd.gz` and `versions.json`. With modules (PCI devices load theirs by
 * themselves) the initramfs is some MB larger; without, it boots fastest.
 * Words on the kernel's command line: `anneau.run=PROGRAM` runs a program in place of the shell; `anneau.then=poweroff`
 * or `reboot` says what follows when the shell (or that program) ends, otherwise a new shell starts.
 */
import { copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { AnneauError } from "../../src/base/errors.ts";
import { type DebianArchitecture, PrivateApt, unpackDeb } from "./apt.ts";
import { cachedProduct, runScript } from "./cache.ts";
import { type CpioEntry, writeCpio } from "./cpio.ts";
import { collectModules, moduleIndexes } from "./kernel-modules.ts";

export type KernelFlavour = "686" | "686-pae" | "amd64";

/** What Anneau's own hardware needs, and the usual file systems. */
export const defaultModules: readonly string[] = [
  ...["ata_piix", "ahci", "sd_mod", "sr_mod", "floppy", "crc32c_generic", "ext4", "isofs", "vfat", "nls_ascii"],
  ...["nls_cp437", "nls_iso8859_1", "pcnet32", "e1000", "8139cp", "ne2k_pci", "mptspi", "BusLogic"],
  ...["uhci_hcd", "ohci_pci", "ehci_pci", "xhci_pci", "usbhid", "hid_generic", "usb_storage", "psmouse", "evdev"],
  ...["i2c_piix4", "virtio_pci", "virtio_net", "virtio_blk", "snd_intel8x0", "snd_hda_intel", "loop"],
];

const init = `#!/bin/sh
export PATH=/bin:/sbin HOME=/root TERM=linux
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts
mount -t devpts pts /dev/pts
hostname anneau
option() {
  for word in $(cat /proc/cmdline); do
    case "$word" in "$1"=*) echo "\${word#*=}" ;; esac
  done
}
if [ -d /lib/modules ]; then
  # Twice: a controller's driver brings devices that want a driver of their own.
  for round in 1 2; do
    cat $(find /sys/devices -name modalias) 2>/dev/null | sort -u | while read -r alias; do modprobe -q "$alias" 2>/dev/null; done
  done
  # mount tries only the file systems that the kernel knows already.
  for name in ext4 isofs vfat; do modprobe -q $name; done
fi
echo "ANNEAU-GUEST-READY $(uname -r)"
# ttyS0 or the screen, whichever /dev/console stands for, so that the shell has a controlling terminal.
console=$(cat /sys/class/tty/console/active | sed 's/.* //')
[ "$console" = tty0 ] && console=tty1
while :; do
  if [ -n "$(option anneau.run)" ]; then "$(option anneau.run)"; else setsid sh -c "exec sh -l <>/dev/\${console:-console} >&0 2>&1"; fi
  case "$(option anneau.then)" in
    poweroff) poweroff -f ;;
    reboot) reboot -f ;;
  esac
  [ -n "$(option anneau.run)" ] && exec sleep 1000000
done
`;

export interface LinuxGuestOptions {
  readonly flavour?: KernelFlavour;
  /** Empty or absent: none. */
  readonly modules?: readonly string[];
  readonly refresh?: boolean;
}

/** Makes (or finds) the guest and returns the folder with vmlinuz, initrd.gz and versions.json. */
export async function linuxGuest(options: LinuxGuestOptions = {}): Promise<string> {
  const flavour = options.flavour ?? "686";
  const modules = options.modules ?? [];
  const architecture: DebianArchitecture = flavour === "amd64" ? "amd64" : "i386";
  const variant = modules.length === 0 ? "plain" : modules === defaultModules ? "modules" : `with-${modules.join("-")}`;
  // The number counts changes of what is made from modules.
  const recipe = JSON.stringify({ init, flavour, modules, ...(modules.length > 0 ? { indexes: 2 } : {}) });
  return cachedProduct(
    `linux-${flavour}-${variant}`,
    recipe,
    (scratch) => {
      const apt = new PrivateApt(architecture);
      const depends = apt.field(`linux-image-${flavour}`, "Depends");
      const kernelName = /linux-image-\S+/.exec(depends)?.[0];
      if (!kernelName) throw new AnneauError(`linux-image-${flavour} depends on no kernel image: ${depends}`);
      const [kernel, busybox] = apt.download([kernelName, "busybox-static"]);
      const unpacked = join(scratch, "unpacked");
      unpackDeb(kernel, unpacked);
      unpackDeb(busybox, unpacked);
      const image = readdirSync(join(unpacked, "boot")).find((name) => name.startsWith("vmlinuz-"));
      if (!image) throw new AnneauError(`Debian package ${kernelName} holds no boot/vmlinuz-*`);
      copyFileSync(join(unpacked, "boot", image), join(scratch, "vmlinuz"));
      const release = image.slice("vmlinuz-".length);
      const initramfs = writeCpio(initramfsEntries(unpacked, release, modules));
      // Level 9 would take longer to make; the guest's unpacking time is the same.
      writeFileSync(join(scratch, "initrd.gz"), gzipSync(initramfs, { level: 6 }));
      rmSync(unpacked, { recursive: true });
      return { [kernel.name]: kernel.version, [busybox.name]: busybox.version };
    },
    options.refresh,
  );
}

function initramfsEntries(unpacked: string, release: string, modules: readonly string[]): CpioEntry[] {
  const entries: CpioEntry[] = ["bin", "sbin", "dev", "proc", "sys", "tmp", "root", "mnt", "etc"].map((path) => ({
    path,
    kind: "folder",
  }));
  const text = (path: string, content: string, mode = 0o644): CpioEntry => ({
    path,
    kind: "file",
    data: Buffer.from(content),
    mode,
  });
  // The kernel opens /dev/console before /init can mount anything.
  entries.push({ path: "dev/console", kind: "character-device", major: 5, minor: 1 });
  entries.push(text("init", init, 0o755));
  entries.push(text("etc/passwd", "root::0:0:root:/root:/bin/sh\n"));
  entries.push(text("etc/group", "root:x:0:\n"));
  const busybox = readFileSync(join(unpacked, "bin/busybox"));
  entries.push({ path: "bin/busybox", kind: "file", data: busybox, mode: 0o755 });
  for (const applet of busyboxApplets(busybox)) {
    if (applet !== "busybox") entries.push({ path: `bin/${applet}`, kind: "link", target: "busybox" });
  }
  // The kernel calls this one by its path.
  entries.push({ path: "sbin/modprobe", kind: "link", target: "../bin/busybox" });
  if (modules.length === 0) return entries;

  const root = `lib/modules/${release}`;
  const collected = collectModules(join(unpacked, root), modules);
  const folders = new Set<string>();
  const addFolders = (path: string) => {
    if (path === "." || folders.has(path)) return;
    addFolders(dirname(path));
    folders.add(path);
    entries.push({ path, kind: "folder" });
  };
  for (const module of collected) {
    const path = `${root}/${module.path}`;
    addFolders(dirname(path));
    entries.push({ path, kind: "file", data: module.data });
  }
  for (const [name, content] of Object.entries(moduleIndexes(collected)))
    entries.push(text(`${root}/${name}`, content));
  return entries;
}

/**
 * The applet names that the binary holds as one run of NUL-separated words (busybox, applet_tables): it is not run to
 * list them, for it may be built for another processor than the host's.
 */
function busyboxApplets(binary: Buffer): string[] {
  const words = /(?:[a-z0-9[_.-]{1,24}\0){100,}/.exec(binary.toString("latin1"))?.[0].split("\0") ?? [];
  const applets = words.filter((word) => word !== "");
  for (const needed of ["sh", "mount", "modprobe", "setsid", "poweroff"])
    if (!applets.includes(needed)) throw new AnneauError(`busybox-static has no applet ${needed}`);
  return applets;
}

if (import.meta.main) {
  await runScript(async () => {
    const { values } = parseArgs({
      options: {
        flavour: { type: "string", default: "686" },
        modules: { type: "string", default: "none" },
        refresh: { type: "boolean", default: false },
      },
    });
    const flavour = values.flavour as KernelFlavour;
    if (!["686", "686-pae", "amd64"].includes(flavour))
      throw new AnneauError(`--flavour ${flavour}: 686, 686-pae or amd64`);
    const modules =
      values.modules === "none" ? [] : values.modules === "default" ? defaultModules : values.modules.split(",");
    console.log(await linuxGuest({ flavour, modules, refresh: values.refresh }));
  });
}
