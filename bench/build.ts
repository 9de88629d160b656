/**
 * Builds the benchmark programs (bench/programs/NAME.c, bench/guest/init.c) with the host's compiler as static 32-bit
 * programs and puts them with Debian's applications into an initramfs, or into a folder. Programs are kept in build/bench and
 * made again when a source, a header, the flags or the compiler change.
 */
import { createHash, randomBytes } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { runTool } from "../scripts/media/cache.ts";
import { type CpioEntry, writeCpio } from "../scripts/media/cpio.ts";
import { applicationFiles, applications, busyboxLinks } from "./applications.ts";
import type { Kernel } from "./kernels.ts";

const sources = join(import.meta.dirname, "programs");
const output = resolve(import.meta.dirname, "../build/bench");

const compilerFlags = [
  ...["-m32", "-march=i686", "-msse2", "-mfpmath=sse", "-static", "-no-pie", "-fno-pie", "-O2", "-std=gnu11"],
  ...["-fno-math-errno", "-Wall", "-Wextra", "-Werror", "-s", "-z", "noexecstack"],
];

/** Path of the program, compiled if need be. */
export function buildProgram(source: string, flags: readonly string[] = []): string {
  mkdirSync(output, { recursive: true });
  const args = [...compilerFlags, ...flags];
  const headers = readdirSync(sources).filter((name) => name.endsWith(".h"));
  const hash = createHash("sha256").update(args.join(" ")).update(compilerVersion()).update(readFileSync(source));
  for (const header of headers.sort()) hash.update(readFileSync(join(sources, header)));
  const program = join(output, hash.digest("hex").slice(0, 24));
  if (!existsSync(program)) {
    const scratch = `${program}.${randomBytes(4).toString("hex")}`;
    runTool("gcc", [...args, "-o", scratch, source, "-lm"], { aptPackage: "gcc gcc-multilib libc6-dev-i386" });
    renameSync(scratch, program);
  }
  return program;
}

let version: string | undefined;
function compilerVersion(): string {
  version ??= runTool("gcc", ["--version"], { aptPackage: "gcc" });
  return version;
}

interface GuestTree {
  /** Guest path to host path; all are programs or data that may be executable. */
  readonly files: ReadonlyMap<string, string>;
  readonly links: ReadonlyMap<string, string>;
}

/** What the guest finds at /: its init, the programs of the kernels, and the applications if one of them is wanted. */
async function guestTree(kernels: readonly Kernel[]): Promise<GuestTree> {
  const files = new Map([["init", buildProgram(join(import.meta.dirname, "guest/init.c"))]]);
  const links = new Map<string, string>();
  for (const { name, isScript, flags } of kernels)
    files.set(
      `bench/${name}`,
      isScript ? join(sources, `${name}.sh`) : buildProgram(join(sources, `${name}.c`), flags),
    );
  if (kernels.some(({ isScript }) => isScript)) {
    const folder = await applications();
    for (const path of applicationFiles) files.set(path, join(folder, path));
    for (const name of busyboxLinks) links.set(`bin/${name}`, "busybox");
  }
  return { files, links };
}

const folders = ["dev", "proc", "sys", "tmp", "bench", "bin", "lib", "data"];

/** Writes the initramfs, not compressed: a slow guest would spend its time on that. */
export async function writeInitramfs(kernels: readonly Kernel[], path: string): Promise<void> {
  const { files, links } = await guestTree(kernels);
  const entries: CpioEntry[] = folders.map((folder) => ({ path: folder, kind: "folder" }));
  // The kernel opens /dev/console before /init can mount anything.
  entries.push({ path: "dev/console", kind: "character-device", major: 5, minor: 1 });
  for (const [name, file] of files) entries.push({ path: name, kind: "file", data: readFileSync(file), mode: 0o755 });
  for (const [name, target] of links) entries.push({ path: name, kind: "link", target });
  writeFileSync(path, writeCpio(entries));
}

/** The same files below a folder of the host, to change root into. */
export async function writeRoot(kernels: readonly Kernel[], root: string): Promise<void> {
  const { files, links } = await guestTree(kernels);
  for (const folder of folders) mkdirSync(join(root, folder), { recursive: true });
  for (const [name, file] of files) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    copyFileSync(file, join(root, name));
    chmodSync(join(root, name), 0o755);
  }
  for (const [name, target] of links) symlinkSync(target, join(root, name));
}
