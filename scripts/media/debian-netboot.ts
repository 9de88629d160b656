/**
 * Debian's network installer for i386 as an installation CD.
 *
 *   node scripts/media/debian-netboot.ts [--refresh]
 *
 * prints the folder that holds `debian-12-netboot-i386.iso`, its `vmlinuz` and `initrd.gz` (for direct kernel boot) and
 * `versions.json`. Kernel and initrd come from Debian package debian-installer-12-netboot-i386, isolinux from Debian
 * packages isolinux and syslinux-common; the image is written by src/disk. The boot prompt is on screen and first serial
 * port; after three seconds, or on a label typed there, it starts
 *
 *   text     the installer on the VGA text screen (the default)
 *   install  the same as Debian's own CD starts it: VESA frame buffer 800×600
 *   serial   the installer on ttyS0, 115200 8n1
 *
 * The installer needs 512 MB of memory.
 */
import { copyFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { writeIso } from "../../src/disk/iso9660-writer.ts";
import { PrivateApt, unpackDeb } from "./apt.ts";
import { cachedProduct, runScript } from "./cache.ts";

export const debianNetbootIso = "debian-12-netboot-i386.iso";

const configuration = `serial 0 115200
prompt 1
timeout 30
default text
display boot.txt
label text
  kernel vmlinuz
  append initrd=initrd.gz vga=normal fb=false nomodeset ---
label install
  kernel vmlinuz
  append initrd=initrd.gz vga=788 --- quiet
label serial
  kernel vmlinuz
  append initrd=initrd.gz console=ttyS0,115200n8 ---
`;

const bootText = `Debian 12 network installer (i386)
  text     text screen (default)
  install  frame buffer
  serial   first serial port
`;

/** Makes (or finds) the CD and returns the folder with the files named above. */
export async function debianNetboot(options: { readonly refresh?: boolean } = {}): Promise<string> {
  const recipe = JSON.stringify({ configuration, bootText });
  return cachedProduct("debian-netboot-i386", recipe, buildNetboot, options.refresh);
}

function buildNetboot(scratch: string): Record<string, string> {
  const apt = new PrivateApt("i386");
  const packages = apt.download(["debian-installer-12-netboot-i386", "isolinux", "syslinux-common"]);
  const unpacked = join(scratch, "unpacked");
  for (const debianPackage of packages) unpackDeb(debianPackage, unpacked);
  const installer = join(unpacked, "usr/lib/debian-installer/images/12/i386/text/debian-installer/i386");
  copyFileSync(join(installer, "linux"), join(scratch, "vmlinuz"));
  copyFileSync(join(installer, "initrd.gz"), join(scratch, "initrd.gz"));
  writeIso(join(scratch, debianNetbootIso), {
    volumeId: "DEBIAN_12_NETBOOT",
    files: [
      { path: "/isolinux/isolinux.bin", source: join(unpacked, "usr/lib/ISOLINUX/isolinux.bin") },
      { path: "/isolinux/ldlinux.c32", source: join(unpacked, "usr/lib/syslinux/modules/bios/ldlinux.c32") },
      { path: "/isolinux/isolinux.cfg", source: Buffer.from(configuration) },
      { path: "/isolinux/boot.txt", source: Buffer.from(bootText.replaceAll("\n", "\r\n")) },
      { path: "/isolinux/vmlinuz", source: join(scratch, "vmlinuz") },
      { path: "/isolinux/initrd.gz", source: join(scratch, "initrd.gz") },
    ],
    boot: { imagePath: "/isolinux/isolinux.bin", loadSectors: 4, patchBootInfoTable: true },
  });
  rmSync(unpacked, { recursive: true });
  return Object.fromEntries(packages.map(({ name, version }) => [name, version]));
}

if (import.meta.main) {
  await runScript(async () => {
    const { values } = parseArgs({ options: { refresh: { type: "boolean", default: false } } });
    console.log(await debianNetboot({ refresh: values.refresh }));
  });
}
