/**
 * Debian's SeaBIOS: a BIOS that is not ours, for tests of the hardware model.
 *
 *   node scripts/media/seabios.ts [--refresh]
 *
 * prints the folder that holds `bios.bin` (256 KiB) and `versions.json`.
 */
import { copyFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { PrivateApt, unpackDeb } from "./apt.ts";
import { cachedProduct, runScript } from "./cache.ts";

/** Makes (or finds) the folder with `bios.bin`. */
export function seabios(options: { readonly refresh?: boolean } = {}): Promise<string> {
  return cachedProduct(
    "seabios",
    "bios-256k",
    (scratch) => {
      const [bios] = new PrivateApt("i386").download(["seabios"]);
      const unpacked = join(scratch, "unpacked");
      unpackDeb(bios, unpacked);
      copyFileSync(join(unpacked, "usr/share/seabios/bios-256k.bin"), join(scratch, "bios.bin"));
      rmSync(unpacked, { recursive: true });
      return { [bios.name]: bios.version };
    },
    options.refresh,
  );
}

if (import.meta.main) {
  await runScript(async () => {
    const { values } = parseArgs({ options: { refresh: { type: "boolean", default: false } } });
    console.log(await seabios(values));
  });
}
