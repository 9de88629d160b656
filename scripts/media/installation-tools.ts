/**
 * What Debian's network installer needs besides itself to install a system by script: `tools.tar.gz`, unpacked over the
 * installer's own file system. From Debian packages for i386: cdebootstrap (a static binary that installs the base system from
 * a signed archive), sfdisk, mke2fs and their libraries, and the modules of the installer's kernel for IDE disks and ext4.
 *
 *   node scripts/media/installation-tools.ts [--refresh]
 *
 * prints the folder. The installer's own components for these things (.udeb files) are not in every archive: a caching
 * mirror of .deb packages may have none. cdebootstrap fetches with curl, which the installer has not: a script of two lines
 * gives its call to wget.
 */
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { AnneauError } from "../../src/base/errors.ts";
import { PrivateApt, unpackDeb } from "./apt.ts";
import { cachedProduct, runScript, runTool } from "./cache.ts";
import { debianNetboot } from "./debian-netboot.ts";
import { collectModules } from "./kernel-modules.ts";

const modules = ["ata_piix", "ahci", "sd_mod", "ext4", "crc32c_generic"];

/** What is taken from each package: names of files, or beginnings of the names of libraries. */
const wanted: { readonly [debianPackage: string]: readonly string[] } = {
  "cdebootstrap-static": ["usr/bin/cdebootstrap-static", "usr/share/cdebootstrap-static"],
  fdisk: ["sbin/sfdisk"],
  e2fsprogs: ["sbin/mke2fs", "etc/mke2fs.conf"],
  libext2fs2: ["lib/i386-linux-gnu/lib"],
  "libcom-err2": ["lib/i386-linux-gnu/lib"],
  libfdisk1: ["lib/i386-linux-gnu/lib", "usr/lib/i386-linux-gnu/lib"],
  libsmartcols1: ["lib/i386-linux-gnu/lib", "usr/lib/i386-linux-gnu/lib"],
};

const curl = `#!/bin/sh
# curl --silent --fail --location --output FILE ADDRESS
exec wget -q -O "$5" "$6"
`;

/** Makes (or finds) `tools.tar.gz` and returns its folder. */
export async function installationTools(options: { readonly refresh?: boolean } = {}): Promise<string> {
  const installer = await debianNetboot();
  const release = kernelRelease(readFileSync(join(installer, "vmlinuz")));
  const recipe = JSON.stringify({ release, modules, wanted, curl, revision: 1 });
  return cachedProduct("installation-tools-i386", recipe, (scratch) => build(scratch, release), options.refresh);
}

/** The release that a bzImage names (Linux boot protocol, field kernel_version). */
function kernelRelease(image: Buffer): string {
  const at = image.readUInt16LE(0x20e) + 0x200;
  const release = /^[0-9][^ \0]*/.exec(image.toString("latin1", at, at + 64))?.[0];
  if (release === undefined) throw new AnneauError("the installer's kernel does not name its release");
  return release;
}

function build(scratch: string, release: string): Record<string, string> {
  const kernel = `linux-image-${release}`;
  const packages = new PrivateApt("i386").download([...Object.keys(wanted), kernel]);
  const root = join(scratch, "root");
  const versions: Record<string, string> = {};
  for (const debianPackage of packages) {
    const unpacked = join(scratch, "unpacked", debianPackage.name);
    unpackDeb(debianPackage, unpacked);
    versions[debianPackage.name] = debianPackage.version;
    if (debianPackage.name === kernel)
      takeModules(join(unpacked, "lib/modules", release), join(root, "lib/modules", release));
    else takeFiles(unpacked, wanted[debianPackage.name], root);
  }
  mkdirSync(join(root, "usr/bin"), { recursive: true });
  writeFileSync(join(root, "usr/bin/curl"), curl);
  chmodSync(join(root, "usr/bin/curl"), 0o755);
  runTool("tar", ["-czf", join(scratch, "tools.tar.gz"), "--owner=0", "--group=0", "-C", root, "."], {
    aptPackage: "tar",
  });
  rmSync(join(scratch, "unpacked"), { recursive: true });
  rmSync(root, { recursive: true });
  return versions;
}

function takeFiles(unpacked: string, names: readonly string[], root: string): void {
  let taken = 0;
  for (const entry of readdirSync(unpacked, { recursive: true, withFileTypes: true })) {
    const from = join(entry.parentPath, entry.name);
    const path = from.slice(unpacked.length + 1);
    if (
      entry.isDirectory() ||
      !names.some((name) => path === name || path.startsWith(name.endsWith("/lib") ? name : `${name}/`))
    )
      continue;
    const to = join(root, path);
    mkdirSync(dirname(to), { recursive: true });
    if (entry.isSymbolicLink()) symlinkSync(runTool("readlink", [from], { aptPackage: "coreutils" }).trim(), to);
    else copyFileSync(from, to);
    taken++;
  }
  if (taken === 0) throw new AnneauError(`${unpacked} has none of ${names.join(", ")}`);
}

function takeModules(folder: string, target: string): void {
  for (const module of collectModules(folder, modules)) {
    const to = join(target, module.path);
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(to, module.data);
  }
}

if (import.meta.main) {
  await runScript(async () => {
    const { values } = parseArgs({ options: { refresh: { type: "boolean", default: false } } });
    console.log(await installationTools({ refresh: values.refresh }));
  });
}
