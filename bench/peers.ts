/** Who takes part: how each peer is started with a kernel and an initramfs, its first serial port on standard input and output. */
import { basename, dirname, join, resolve } from "node:path";
import type { CommandLine } from "./guest.ts";

export interface GuestFiles {
  readonly kernel: string;
  readonly initrd: string;
  readonly append: string;
  readonly memoryMiB: number;
  /** The programs below a folder, for running them natively. */
  readonly root: string;
}

export interface Peer {
  /** Column of the table. */
  readonly name: string;
  start(guest: GuestFiles): CommandLine;
}

export const BASELINE = "qemu-x86_64";

export interface PeerOptions {
  /** `bin/anneau` of the builds to measure, `LABEL=PATH` or a path. */
  readonly anneau: readonly string[];
  /** More words for `anneau run`. */
  readonly anneauFlags: readonly string[];
}

const repository = resolve(import.meta.dirname, "..");

/** The peers with these names, in that order; `anneau…` stands for each build of Anneau. */
export function makePeers(names: readonly string[], options: PeerOptions): Peer[] {
  return names.flatMap((name): Peer[] => {
    switch (name) {
      case "anneau":
        return anneauPeers("anneau", "translator", options);
      case "anneau-interpreter":
        return anneauPeers("anneau-interpreter", "interpreter", options);
      case "qemu-x86_64":
        return [qemu(name, "qemu-system-x86_64")];
      case "qemu-i386":
        return [qemu(name, "qemu-system-i386")];
      case "native":
        return [native];
      default:
        throw new Error(`no peer ${name}; there are ${peerNames.join(", ")}`);
    }
  });
}

export const peerNames = ["anneau", "anneau-interpreter", "qemu-x86_64", "qemu-i386", "native"];

function anneauPeers(name: string, engine: string, { anneau, anneauFlags }: PeerOptions): Peer[] {
  const builds = anneau.length > 0 ? anneau : [join(repository, "bin/anneau")];
  return builds.map((build): Peer => {
    const [, label, path] = /^(?:([^=/]+)=)?(.*)$/.exec(build)!;
    const program = resolve(path);
    // .../CLONE/bin/anneau
    const suffix = builds.length > 1 ? ` ${label ?? basename(dirname(dirname(program)))}` : "";
    return {
      name: name + suffix,
      start: ({ kernel, initrd, append, memoryMiB }) => ({
        program: process.execPath,
        args: [
          ...[program, "run", "--engine", engine, "--memory", String(memoryMiB), "--kernel", kernel],
          ...["--initrd", initrd, "--append", append, ...anneauFlags],
        ],
      }),
    };
  });
}

function qemu(name: string, program: string): Peer {
  return {
    name,
    start: ({ kernel, initrd, append, memoryMiB }) => ({
      program,
      args: [
        ...["-accel", "tcg", "-m", String(memoryMiB), "-display", "none", "-serial", "stdio", "-net", "none"],
        ...["-monitor", "none", "-no-reboot", "-kernel", kernel, "-initrd", initrd, "-append", append],
      ],
    }),
  };
}

/** The limit: the same programs on this host's processor, in a folder of their own. */
const native: Peer = {
  name: "native",
  start: ({ root }) =>
    process.getuid?.() === 0
      ? { program: "chroot", args: [root, "/init"] }
      : { program: "unshare", args: ["--map-root-user", "chroot", root, "/init"] },
};
