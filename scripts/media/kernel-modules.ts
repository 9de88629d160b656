/**
 * Linux kernel modules for a small initramfs: which files a wish list needs, and the modules.dep, modules.alias and
 * modules.softdep that modprobe reads, made from each module's own .modinfo section (kernel source, include/linux/
 * module.h). Debian ships no modules.dep inside the package: depmod runs when it is installed.
 */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { AnneauError } from "../../src/base/errors.ts";

export interface KernelModule {
  readonly name: string;
  /** Below lib/modules/RELEASE. */
  readonly path: string;
  /** Uncompressed. */
  readonly data: Uint8Array;
  readonly depends: readonly string[];
  readonly softDepends: readonly string[];
  readonly aliases: readonly string[];
}

/** The wanted modules and all they depend on, dependencies first. `folder` is lib/modules/RELEASE. */
export function collectModules(folder: string, wanted: readonly string[]): KernelModule[] {
  const paths = new Map<string, string>();
  for (const path of filesBelow(folder)) {
    const found = /^(.*)\.ko(\.xz)?$/.exec(basename(path));
    if (found) paths.set(moduleName(found[1]), path);
  }
  const collected = new Map<string, KernelModule>();
  const underWay = new Set<string>();
  const collect = (name: string, why: string) => {
    if (collected.has(name) || underWay.has(name)) return;
    const path = paths.get(name);
    if (path === undefined) throw new AnneauError(`kernel module ${name} (${why}) is not in ${folder}`);
    underWay.add(name);
    const module = readModule(name, path, folder);
    for (const other of module.depends) collect(other, `needed by ${name}`);
    // Soft dependencies may be built into the kernel: only those that exist as files.
    for (const other of module.softDepends) if (paths.has(other)) collect(other, `wanted by ${name}`);
    collected.set(name, module);
  };
  for (const name of wanted) collect(moduleName(name), "asked for");
  return [...collected.values()];
}

/** The three index files, as text by name. */
export function moduleIndexes(modules: readonly KernelModule[]): Record<string, string> {
  const byName = new Map(modules.map((module) => [module.name, module]));
  /** In the order in which they must be loaded. */
  const dependenciesOf = (module: KernelModule, into: Set<string>): Set<string> => {
    for (const name of module.depends) {
      const other = byName.get(name)!;
      if (into.has(other.path)) continue;
      dependenciesOf(other, into);
      into.add(other.path);
    }
    return into;
  };
  // modprobe loads from the end of the line.
  const inLine = (m: KernelModule) => [...dependenciesOf(m, new Set())].reverse().join(" ");
  const depLines = modules.map((m) => `${m.path}: ${inLine(m)}`.trimEnd());
  const aliasLines = modules.flatMap((m) => m.aliases.map((alias) => `alias ${alias} ${m.name}`));
  const softLines = modules
    .filter((m) => m.softDepends.length > 0)
    .map((m) => `softdep ${m.name} pre: ${m.softDepends.join(" ")}`);
  const text = (lines: string[]) => lines.map((line) => line + "\n").join("");
  return { "modules.dep": text(depLines), "modules.alias": text(aliasLines), "modules.softdep": text(softLines) };
}

function readModule(name: string, path: string, folder: string): KernelModule {
  let data: Buffer = readFileSync(path);
  if (path.endsWith(".xz")) data = execFileSync("xz", ["-dc", path], { maxBuffer: 64 << 20 });
  const info = modinfo(data, path);
  const values = (key: string) => info.filter((line) => line.startsWith(key + "=")).map((l) => l.slice(key.length + 1));
  return {
    name,
    path: relative(folder, path).replace(/\.xz$/, ""),
    data,
    depends: values("depends")
      .flatMap((list) => list.split(","))
      .filter((other) => other !== "")
      .map(moduleName),
    softDepends: values("softdep")
      .flatMap((list) => /pre:((?: [^: ]+(?!\S*:))*)/.exec(list)?.[1].trim().split(/\s+/) ?? [])
      .filter((other) => other !== "")
      .map(moduleName),
    aliases: values("alias"),
  };
}

/** The strings of section .modinfo of a little-endian ELF file. */
function modinfo(elf: Buffer, path: string): string[] {
  if (elf.length < 64 || elf.readUInt32BE(0) !== 0x7f454c46) throw new AnneauError(`${path} is not an ELF file`);
  const is64 = elf[4] === 2;
  const word = (offset: number) => (is64 ? Number(elf.readBigUInt64LE(offset)) : elf.readUInt32LE(offset));
  const table = word(is64 ? 0x28 : 0x20);
  const entrySize = elf.readUInt16LE(is64 ? 0x3a : 0x2e);
  const count = elf.readUInt16LE(is64 ? 0x3c : 0x30);
  const namesIndex = elf.readUInt16LE(is64 ? 0x3e : 0x32);
  const section = (index: number) => {
    const at = table + index * entrySize;
    return { name: elf.readUInt32LE(at), offset: word(at + (is64 ? 24 : 16)), size: word(at + (is64 ? 32 : 20)) };
  };
  const names = section(namesIndex);
  for (let index = 0; index < count; index++) {
    const { name, offset, size } = section(index);
    const nameStart = names.offset + name;
    if (elf.toString("latin1", nameStart, elf.indexOf(0, nameStart)) === ".modinfo")
      return elf.toString("utf8", offset, offset + size).split("\0");
  }
  return [];
}

function moduleName(name: string): string {
  return name.replaceAll("-", "_");
}

function* filesBelow(folder: string): Generator<string> {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) yield* filesBelow(path);
    else yield path;
  }
}
