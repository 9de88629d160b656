/**
 * Debian's stress-ng for i386 with its libraries, as an initramfs archive that Linux unpacks over the one it is appended to: a program
 * that computes in many ways and checks what comes out.
 *
 *   node scripts/media/stress-ng.ts [--refresh]
 *
 * prints the folder that holds `stress-ng.cpio.gz`.
 */
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { PrivateApt, unpackDeb } from "./apt.ts";
import { cachedProduct, runScript } from "./cache.ts";
import { type CpioEntry, writeCpio } from "./cpio.ts";

/** Where Debian's i386 libraries are; all that the packages hold there come along. */
const libraryFolders = ["lib/i386-linux-gnu", "usr/lib/i386-linux-gnu"];
const LIBRARY = /\.so\.\d+$/;

/** Makes (or finds) the archive; answers the folder. */
export async function stressNg(refresh = false): Promise<string> {
  return cachedProduct(
    "stress-ng-i386",
    JSON.stringify({ libraryFolders, revision: 3 }),
    (scratch) => {
      const apt = new PrivateApt("i386");
      const unpacked = join(scratch, "unpacked");
      const versions: Record<string, string> = {};
      const seen = new Set<string>();
      for (let wanted = ["stress-ng"]; wanted.length > 0; ) {
        const next: string[] = [];
        for (const one of apt.download(wanted)) {
          seen.add(one.name);
          versions[one.name] = one.version;
          unpackDeb(one, unpacked);
          next.push(...dependencies(apt, one.name));
        }
        wanted = [...new Set(next)].filter((name) => !seen.has(name));
      }
      writeFileSync(join(scratch, "stress-ng.cpio.gz"), gzipSync(writeCpio(entries(unpacked)), { level: 6 }));
      rmSync(unpacked, { recursive: true });
      return versions;
    },
    refresh,
  );
}

/** Names of the libraries that a package depends on; programs that only its installation needs are left out. */
function dependencies(apt: PrivateApt, name: string): string[] {
  let depends = "";
  try {
    depends = apt.field(name, "Depends");
  } catch {
    return [];
  }
  return depends
    .split(",")
    .map((one) => one.trim().split(/[ :]/)[0])
    .filter((one) => /^lib|^zlib/.test(one));
}

function entries(unpacked: string): CpioEntry[] {
  const program = readFileSync(join(unpacked, "usr/bin/stress-ng"));
  const list: CpioEntry[] = [
    { path: "bin/stress-ng", kind: "file", data: program, mode: 0o755 },
    { path: "lib", kind: "folder" },
  ];
  for (const folder of libraryFolders) {
    for (const name of readdirSync(join(unpacked, folder)).sort()) {
      const path = join(unpacked, folder, name);
      // Links become files: by the name that programs ask for.
      if (!LIBRARY.test(name) || !statSync(path).isFile()) continue;
      list.push({ path: `lib/${name}`, kind: "file", data: readFileSync(path), mode: 0o755 });
    }
  }
  return list;
}

if (import.meta.main) {
  await runScript(async () => {
    const { values } = parseArgs({ options: { refresh: { type: "boolean" } } });
    console.log(await stressNg(values.refresh));
  });
}
