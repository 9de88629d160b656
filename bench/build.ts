/**
 * Builds the benchmark programs (bench/programs/NAME.c, bench/guest/init.c) with the host's compiler as static 32-bit
 * programs and packs them into an initramfs. Programs are kept in build/bench and made again when a source, a header, the
 * flags or the compiler change.
 */
import { createHash, randomBytes } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { runTool } from "../scripts/media/cache.ts";
import { type CpioEntry, writeCpio } from "../scripts/media/cpio.ts";
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
    runTool("gcc", [...args, "-o", scratch, source, "-lm"], { aptPackage: "gcc-multilib" });
    renameSync(scratch, program);
  }
  return program;
}

let version: string | undefined;
function compilerVersion(): string {
  version ??= runTool("gcc", ["--version"], { aptPackage: "gcc-multilib" });
  return version;
}

/** What the guest finds at /: its init and the programs of the kernels. */
function guestFiles(kernels: readonly Kernel[]): Map<string, string> {
  const files = new Map([["init", buildProgram(join(import.meta.dirname, "guest/init.c"))]]);
  for (const { name, flags } of kernels) files.set(`bench/${name}`, buildProgram(join(sources, `${name}.c`), flags));
  return files;
}

/** Writes the initramfs, not compressed: a slow guest would spend its time on that. */
export function writeInitramfs(kernels: readonly Kernel[], path: string): void {
  const entries: CpioEntry[] = ["dev", "proc", "sys", "tmp", "bench"].map((folder) => ({
    path: folder,
    kind: "folder",
  }));
  // The kernel opens /dev/console before /init can mount anything.
  entries.push({ path: "dev/console", kind: "character-device", major: 5, minor: 1 });
  for (const [name, file] of guestFiles(kernels))
    entries.push({ path: name, kind: "file", data: readFileSync(file), mode: 0o755 });
  writeFileSync(path, writeCpio(entries));
}

/** The same files below a folder of the host, to change root into. */
export function writeRoot(kernels: readonly Kernel[], folder: string): void {
  for (const name of ["bench", "tmp"]) mkdirSync(join(folder, name), { recursive: true });
  for (const [name, file] of guestFiles(kernels)) copyFileSync(file, join(folder, name));
}
