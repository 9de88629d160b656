/**
 * Debian's network installer for i386 as an installation CD.
 *
 *   node scripts/media/debian-netboot.ts [--gtk] [--refresh]
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
 * The installer needs 512 MB of memory. With --gtk it is the graphical one, which needs 1 GB and a VESA frame buffer: its CD
 * has `graphical` (800×600, the default) and `large` (1024×768).
 */
import { copyFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { writeIso } from "../../src/disk/iso9660-writer.ts";
import { PrivateApt, unpackDeb } from "./apt.ts";
import { cachedProduct, runScript } from "./cache.ts";

export const debianNetbootIso = "debian-12-netboot-i386.iso";

/** Of the two installers: a text menu, and windows drawn by an X server. */
const flavours = {
  text: {
    product: "debian-netboot-i386",
    folder: "text/debian-installer/i386",
    configuration: `serial 0 115200
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
`,
    bootText: `Debian 12 network installer (i386)
  text     text screen (default)
  install  frame buffer
  serial   first serial port
`,
  },
  gtk: {
    product: "debian-netboot-gtk-i386",
    folder: "gtk/debian-installer/i386",
    configuration: `prompt 1
timeout 10
default graphical
display boot.txt
label graphical
  kernel vmlinuz
  append initrd=initrd.gz vga=788 --- quiet
label large
  kernel vmlinuz
  append initrd=initrd.gz vga=791 --- quiet
`,
    bootText: `Debian 12 graphical network installer (i386)
  graphical  800x600 (default)
  large      1024x768
`,
  },
} as const;

/** Makes (or finds) the CD and returns the folder with the files named above. */
export async function debianNetboot(
  options: { readonly flavour?: keyof typeof flavours; readonly refresh?: boolean } = {},
): Promise<string> {
  const { flavour = "text", refresh } = options;
  const { product, configuration, bootText } = flavours[flavour];
  const recipe = JSON.stringify({ configuration, bootText });
  return cachedProduct(product, recipe, (scratch) => buildNetboot(scratch, flavour), refresh);
}

function buildNetboot(scratch: string, flavour: keyof typeof flavours): Record<string, string> {
  const { folder, configuration, bootText } = flavours[flavour];
  const apt = new PrivateApt("i386");
  const packages = apt.download(["debian-installer-12-netboot-i386", "isolinux", "syslinux-common"]);
  const unpacked = join(scratch, "unpacked");
  for (const debianPackage of packages) unpackDeb(debianPackage, unpacked);
  const installer = join(unpacked, "usr/lib/debian-installer/images/12/i386", folder);
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
    const { values } = parseArgs({
      options: { gtk: { type: "boolean", default: false }, refresh: { type: "boolean", default: false } },
    });
    console.log(await debianNetboot({ flavour: values.gtk ? "gtk" : "text", refresh: values.refresh }));
  });
}
