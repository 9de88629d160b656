/**
 * Programs that a firmware boots from the network: pxelinux.0 and lpxelinux.0 with the module that they load (Debian packages
 * pxelinux and syslinux-common), iPXE's undionly.kpxe (Debian package ipxe), which goes on with the firmware's driver.
 *
 *   node scripts/media/network-boot.ts [--refresh]
 *
 * prints the folder that holds them.
 */
import { copyFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { PrivateApt, unpackDeb } from "./apt.ts";
import { cachedProduct, runScript } from "./cache.ts";

const packages = ["pxelinux", "syslinux-common", "ipxe"];
const files = [
  "usr/lib/PXELINUX/pxelinux.0",
  "usr/lib/PXELINUX/lpxelinux.0",
  "usr/lib/syslinux/modules/bios/ldlinux.c32",
  "usr/lib/ipxe/undionly.kpxe",
];

/** Makes (or finds) the folder with the four files. */
export async function networkBootFiles(options: { readonly refresh?: boolean } = {}): Promise<string> {
  return cachedProduct(
    "network-boot",
    JSON.stringify({ packages, files }),
    (scratch) => {
      const unpacked = join(scratch, "unpacked");
      // Programs for every PC: the host's architecture has the same ones.
      const found = new PrivateApt("amd64").download(packages);
      for (const debianPackage of found) unpackDeb(debianPackage, unpacked);
      for (const file of files) copyFileSync(join(unpacked, file), join(scratch, basename(file)));
      rmSync(unpacked, { recursive: true });
      return Object.fromEntries(found.map(({ name, version }) => [name, version]));
    },
    options.refresh,
  );
}

if (import.meta.main) {
  await runScript(async () => {
    const { values } = parseArgs({ options: { refresh: { type: "boolean", default: false } } });
    console.log(await networkBootFiles({ refresh: values.refresh }));
  });
}
