/**
 * Runs a bare-metal image (images/*.asm) on the three machines whose logs are compared: ours in the calling thread, QEMU's
 * TCG and Bochs as child processes, each with a Yonah-like processor and a disk. Every run is bounded in time or
 * instructions; whatever COM1 said until then is the answer, so an unfinished log shows how far it came.
 */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createEngine } from "../../../src/cpu/create.ts";
import type { EngineTuning, SoftwareEngine } from "../../../src/cpu/engine.ts";
import { MemoryMedium, TestPc } from "../../../src/machine/testing.ts";

/** The images' disk: small, with a geometry that all BIOSes agree on. */
const GEOMETRY = { cylinders: 20, heads: 16, sectors: 63 };
const DISK_BYTES = GEOMETRY.cylinders * GEOMETRY.heads * GEOMETRY.sectors * 512;
const PEER_TIMEOUT_MS = 120_000;
const IMAGES = path.join(import.meta.dirname, "images");

/** Runs a program to its end or the time-out; its exit status does not matter. */
function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      program,
      args,
      { timeout: PEER_TIMEOUT_MS, killSignal: "SIGKILL", maxBuffer: 16 << 20, env: { ...process.env, ...env } },
      (error, stdout, stderr) => {
        if (error !== null && (error as NodeJS.ErrnoException).code === "ENOENT")
          reject(new Error(`${program} is missing; "npm test" installs it`));
        else resolve(`${stdout}${stderr}`);
      },
    );
    child.stdin?.end();
  });
}

async function inFolder<T>(body: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(path.join(tmpdir(), "bare-metal-"));
  try {
    return await body(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Assembles images/<name>.asm into a whole disk. */
export function assembleImage(name: string): Promise<Uint8Array> {
  return inFolder(async (folder) => {
    const file = path.join(folder, "image");
    const source = path.join(IMAGES, `${name}.asm`);
    const said = await run("nasm", ["-f", "bin", "-Werror", "-I", `${IMAGES}/`, "-o", file, source]);
    const image = await readFile(file).catch(() => {
      throw new Error(`nasm ${name}: ${said}`);
    });
    if (image.length > DISK_BYTES) throw new Error(`${name}: ${image.length} bytes do not fit on the disk`);
    const disk = new Uint8Array(DISK_BYTES);
    disk.set(image);
    return disk;
  });
}

const log = (file: string) => readFile(file, "latin1").catch(() => "");

/** `options`: more of the command line. */
export function runQemu(disk: Uint8Array, options: readonly string[] = []): Promise<string> {
  return inFolder(async (folder) => {
    const image = path.join(folder, "disk");
    const serial = path.join(folder, "serial");
    await writeFile(image, disk);
    const said = await run("qemu-system-i386", [
      ...["-machine", "pc,accel=tcg", "-cpu", "coreduo,-vme", "-m", "32", "-nodefaults", "-display", "none"],
      ...["-no-reboot", "-serial", `file:${serial}`, "-drive", `file=${image},format=raw,if=ide`],
      ...options,
    ]);
    return (await log(serial)) || `QEMU said nothing on COM1: ${said}`;
  });
}

export function runBochs(disk: Uint8Array): Promise<string> {
  return inFolder(async (folder) => {
    const file = (name: string) => path.join(folder, name);
    await writeFile(file("disk"), disk);
    // Debian's Bochs starts in its debugger.
    await writeFile(file("commands"), "continue\n");
    const { cylinders, heads, sectors } = GEOMETRY;
    await writeFile(
      file("bochsrc"),
      [
        "plugin_ctrl: unmapped=1, biosdev=1, speaker=0, parallel=0, serial=1",
        "display_library: term",
        "memory: guest=32, host=32",
        "romimage: file=/usr/share/bochs/BIOS-bochs-latest",
        "vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest",
        // Few instructions a second of guest time: the serial port is soon ready again.
        "cpu: model=core_duo_t2400_yonah, count=1, ips=1000000, reset_on_triple_fault=0, ignore_bad_msrs=0",
        "clock: sync=none, time0=1577836800",
        "ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14",
        `ata0-master: type=disk, path=${file("disk")}, mode=flat, cylinders=${cylinders}, heads=${heads}, spt=${sectors}`,
        "boot: disk",
        `com1: enabled=1, mode=file, dev=${file("serial")}`,
        `log: ${file("log")}`,
        "panic: action=fatal",
        "error: action=ignore",
        "info: action=ignore",
        "debug: action=ignore",
        "",
      ].join("\n"),
    );
    const said = await run("bochs", ["-q", "-rc", file("commands"), "-f", file("bochsrc")], { TERM: "xterm" });
    return (await log(file("serial"))) || `Bochs said nothing on COM1: ${said}`;
  });
}

export interface OurOptions {
  readonly nx?: boolean;
  /** In a drive at the secondary channel. */
  readonly disc?: Uint8Array;
  /** Guest time of an instruction. Slow on purpose, as Bochs above. */
  readonly nsPerInstruction?: number;
  /** Takes the engine that `tuning` asked for. */
  readonly onEngine?: (engine: SoftwareEngine) => void;
  /** Engine switches that must not change a line. */
  readonly tuning?: EngineTuning;
}

/** Our machine, our BIOS, the same disk. The image ends in a triple fault; `maxInstructions` ends a hanging one. */
export async function runOurs(disk: Uint8Array, options: OurOptions = {}, maxInstructions = 2e9): Promise<string> {
  const { nx = true, nsPerInstruction = 1000, tuning, onEngine, disc } = options;
  const pc = await TestPc.start({
    disks: { "0.0": new MemoryMedium(disk.slice()) },
    dvds: disc === undefined ? {} : { "1.0": new MemoryMedium(disc, true) },
    spec: { ramMiB: 32, cpu: { pae: true, nx }, deterministic: { nsPerInstruction } },
    host:
      tuning === undefined
        ? {}
        : {
            createCpu: async (given) => {
              const engine = await createEngine(given, tuning);
              onEngine?.(engine);
              return engine;
            },
          },
  });
  pc.runUntil(() => false, maxInstructions);
  return pc.serial.text || `Anneau said nothing on COM1:\n${pc.describe()}`;
}
