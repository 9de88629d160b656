/** Who takes part: how each peer is started as a process with its first serial port on standard input and output. */
import { existsSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { OptionError } from "../scripts/options.ts";
import type { CommandLine } from "./guest.ts";

/** What a peer starts: Linux by direct kernel boot, or a disk by its boot sector. */
export type Start =
  | { readonly memoryMiB: number; readonly kernel: string; readonly initrd: string; readonly append: string }
  | { readonly memoryMiB: number; readonly disk: string };

/** The programs of the kernels, for a guest and below a folder of the host. */
export interface GuestFiles {
  readonly guest: Extract<Start, { kernel: string }>;
  readonly root: string;
}

export interface Peer {
  /** Column of the table. */
  readonly name: string;
  /** Takes part in so many rounds at most. */
  readonly maxRounds?: number;
  /** Is switched off from inside at the end, because it has something to say then. */
  readonly isSwitchedOff?: boolean;
  /** A machine; absent on native. */
  readonly startMachine?: (start: Start) => CommandLine;
  /** Whatever runs the kernels. */
  readonly startKernels: (files: GuestFiles) => CommandLine;
}

export interface PeerOptions {
  /** `bin/anneau` of the builds to measure, `LABEL=PATH` or a path; none: this repository's. */
  readonly anneau: readonly string[];
  /** More words for `anneau run`. */
  readonly anneauFlags: readonly string[];
  /** Where Node's CPU profiles of Anneau's threads go. */
  readonly profileFolder?: string;
}

export const BASELINE = "qemu-x86_64";

const repository = resolve(import.meta.dirname, "..");

const makers: { readonly [name: string]: (options: PeerOptions) => Peer[] } = {
  anneau: (options) => anneauPeers("anneau", "translator", options),
  // Far slower than the others: once is enough.
  "anneau-interpreter": (options) =>
    anneauPeers("anneau-interpreter", "interpreter", options).map((peer) => ({ ...peer, maxRounds: 1 })),
  [BASELINE]: () => [machinePeer(BASELINE, qemu("qemu-system-x86_64"))],
  "qemu-i386": () => [machinePeer("qemu-i386", qemu("qemu-system-i386"))],
  v86: () => [machinePeer("v86", v86)],
  native: () => [{ name: "native", startKernels: native }],
};

export const peerNames: readonly string[] = Object.keys(makers);

/** The peers with these names, in that order; `anneau` and `anneau-interpreter` stand for each build of Anneau. */
export function makePeers(names: readonly string[], options: PeerOptions): Peer[] {
  return names.flatMap((name): Peer[] => {
    if (!Object.hasOwn(makers, name)) throw new OptionError(`no peer ${name}; there are ${peerNames.join(", ")}`);
    return makers[name](options);
  });
}

function machinePeer(name: string, startMachine: (start: Start) => CommandLine): Peer {
  return { name, startMachine, startKernels: ({ guest }) => startMachine(guest) };
}

/** `[LABEL=]PATH` of a bin/anneau. */
function parseBuild(build: string): { readonly label: string | undefined; readonly program: string } {
  const [, label, path] = /^(?:([^=/]+)=)?(.*)$/s.exec(build)!;
  return { label, program: resolve(path) };
}

/** Throws an `OptionError` for a build that is not there, before anything has been measured. */
export function checkBuilds(builds: readonly string[]): void {
  for (const { program } of builds.map(parseBuild))
    if (!existsSync(program)) throw new OptionError(`no Anneau at ${program}`);
}

function anneauPeers(name: string, engine: string, { anneau, anneauFlags, profileFolder }: PeerOptions): Peer[] {
  const builds = anneau.length > 0 ? anneau : [join(repository, "bin/anneau")];
  return builds.map((build): Peer => {
    const { label, program } = parseBuild(build);
    // The folder that holds bin/.
    const suffix = builds.length > 1 ? ` ${label ?? basename(dirname(dirname(program)))}` : "";
    const nodeFlags = profileFolder === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${resolve(profileFolder)}`];
    const peer = machinePeer(name + suffix, (start) => ({
      program: process.execPath,
      args: [
        ...[...nodeFlags, program, "run", "--engine", engine, "--memory", String(start.memoryMiB)],
        ...("disk" in start
          ? ["--disk", start.disk]
          : ["--kernel", start.kernel, "--initrd", start.initrd, "--append", start.append]),
        ...anneauFlags,
      ],
    }));
    return { ...peer, isSwitchedOff: profileFolder !== undefined || anneauFlags.includes("--statistics") };
  });
}

function qemu(program: string): (start: Start) => CommandLine {
  return (start) => ({
    program,
    args: [
      ...["-accel", "tcg", "-m", String(start.memoryMiB), "-display", "none", "-serial", "stdio", "-net", "none"],
      ...["-monitor", "none", "-no-reboot"],
      ...("disk" in start
        ? ["-drive", `file=${start.disk},format=raw`]
        : ["-kernel", start.kernel, "-initrd", start.initrd, "-append", start.append]),
    ],
  });
}

function v86(start: Start): CommandLine {
  const media = "disk" in start ? [start.disk] : [start.kernel, start.initrd, start.append];
  return {
    program: process.execPath,
    args: [join(import.meta.dirname, "v86-runner.ts"), String(start.memoryMiB), ...media],
  };
}

/** The limit: the same programs on this host's processor, in a folder of their own. */
function native({ root }: GuestFiles): CommandLine {
  return process.getuid?.() === 0
    ? { program: "chroot", args: [root, "/init"] }
    : { program: "unshare", args: ["--map-root-user", "chroot", root, "/init"] };
}
