/**
 * Small systems of Debian's that come as bootable images: memtest86+ (kernel-like images and CDs for 32 and 64 bits), GRUB's
 * rescue floppy and CD, iPXE's CD.
 *
 *   node scripts/media/boot-tools.ts [--refresh]
 *
 * prints the folder that holds them and `versions.json`.
 */
import { copyFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { PrivateApt, unpackDeb } from "./apt.ts";
import { cachedProduct, runScript } from "./cache.ts";

const files = [
  "boot/memtest86+ia32.bin",
  "boot/memtest86+x64.bin",
  "usr/lib/memtest86+/memtest86+ia32.iso",
  "usr/lib/memtest86+/memtest86+x64.iso",
  "usr/lib/grub-rescue/grub-rescue-cdrom.iso",
  "usr/lib/grub-rescue/grub-rescue-floppy.img",
  "usr/lib/ipxe/ipxe.iso",
] as const;

/** Makes (or finds) the folder with the images, under their own names. */
export function bootTools(options: { readonly refresh?: boolean } = {}): Promise<string> {
  return cachedProduct(
    "boot-tools",
    files.join(" "),
    (scratch) => {
      const packages = new PrivateApt("i386").download(["memtest86+", "grub-rescue-pc", "ipxe"]);
      const unpacked = join(scratch, "unpacked");
      for (const one of packages) unpackDeb(one, unpacked);
      for (const file of files) copyFileSync(join(unpacked, file), join(scratch, basename(file)));
      rmSync(unpacked, { recursive: true });
      return Object.fromEntries(packages.map(({ name, version }) => [name, version]));
    },
    options.refresh,
  );
}

if (import.meta.main) {
  await runScript(async () => {
    const { values } = parseArgs({ options: { refresh: { type: "boolean", default: false } } });
    console.log(await bootTools(values));
  });
}
