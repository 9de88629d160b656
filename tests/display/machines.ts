/**
 * Shows the same pictures on two machines: ours in the calling thread with our video BIOS, and qemu-system-i386 with its
 * standard graphics card and its own. Both boot pictures.asm with the same script.
 */
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { MemoryMedium, TestPc } from "../../src/machine/testing.ts";
import { type Drawing, script } from "./drawing.ts";

const SCRIPT_AT = 512 + 0x800;
const DISK_BYTES = 20 * 16 * 63 * 512;
/** What the boot sector reads. */
const READ_BYTES = 897 * 512;
const QEMU_TIMEOUT_MS = 120_000;

/** Red, green, blue of each pixel. */
export interface Shot {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
  /** "b" the BIOS set a VBE mode, "r" registers did, "" neither. */
  readonly vbe: string;
}

export function pictureDisk(drawings: readonly Drawing[]): Uint8Array {
  const folder = mkdtempSync(path.join(tmpdir(), "pictures-"));
  try {
    const file = path.join(folder, "program");
    const source = path.join(import.meta.dirname, "pictures.asm");
    try {
      execFileSync("nasm", ["-f", "bin", "-Werror", "-o", file, source]);
    } catch (cause) {
      throw new Error(`nasm does not assemble ${source}; "npm test" installs nasm`, { cause });
    }
    const disk = new Uint8Array(DISK_BYTES);
    disk.set(readFileSync(file));
    const written = script(drawings);
    if (SCRIPT_AT + written.length > READ_BYTES) throw new Error(`a script of ${written.length} bytes is too long`);
    disk.set(written, SCRIPT_AT);
    return disk;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const lastVbe = (said: string) => /V([br])R?$/.exec(said)?.[1] ?? "";

/** Our machine: one shot per drawing. `sawShot` may look at the machine while the picture is up. */
export async function drawOnOurs(
  disk: Uint8Array,
  count: number,
  sawShot: (pc: TestPc, index: number) => void = () => {},
  engine: "interpreter" | "translator" = "interpreter",
): Promise<Shot[]> {
  const pc = await TestPc.start({
    disks: { "0.0": new MemoryMedium(disk.slice()) },
    spec: { ramMiB: 32, vramMiB: 64, cpu: { pae: true, nx: false, engine } },
  });
  const shots: Shot[] = [];
  for (let index = 0; index < count; index++) {
    const from = pc.serial.text.length;
    if (!pc.runUntilSerial("R", 2_000_000_000, from)) throw new Error(`picture ${index} is missing\n${pc.describe()}`);
    const display = pc.machine.front.display!;
    const rgba = display.renderRgba();
    const rgb = new Uint8Array((rgba.length / 4) * 3);
    for (let i = 0, o = 0; i < rgba.length; i += 4, o += 3) {
      rgb[o] = rgba[i];
      rgb[o + 1] = rgba[i + 1];
      rgb[o + 2] = rgba[i + 2];
    }
    shots.push({
      width: display.widthPixels,
      height: display.heightPixels,
      rgb,
      vbe: lastVbe(pc.serial.text.slice(from)),
    });
    sawShot(pc, index);
    pc.serial.type(".");
  }
  return shots;
}

/** QEMU: its monitor's screendump after each picture. */
export async function drawOnQemu(disk: Uint8Array, count: number): Promise<Shot[]> {
  const folder = mkdtempSync(path.join(tmpdir(), "pictures-"));
  const image = path.join(folder, "disk");
  writeFileSync(image, disk);
  const monitorPath = path.join(folder, "monitor");
  const qemu = spawn(
    "qemu-system-i386",
    [
      ...[
        "-machine",
        "pc,accel=tcg",
        "-m",
        "32",
        "-nodefaults",
        "-display",
        "none",
        "-vga",
        "std",
        "-global",
        "VGA.vgamem_mb=64",
      ],
      ...["-drive", `file=${image},format=raw,if=ide`, "-serial", "stdio"],
      ...["-chardev", `socket,id=monitor,path=${monitorPath},server=on,wait=off`, "-mon", "chardev=monitor"],
    ],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  let failure: Error | undefined;
  const fail = (error: Error) => {
    failure ??= error;
    qemu.kill("SIGKILL");
  };
  qemu.on("error", () => fail(new Error('qemu-system-i386 is missing; "npm test" installs it')));
  const timer = setTimeout(() => fail(new Error(`QEMU draws nothing for ${QEMU_TIMEOUT_MS} ms`)), QEMU_TIMEOUT_MS);
  let said = "";
  let answers = "";
  qemu.stdout.on("data", (bytes: Buffer) => {
    said += bytes.toString("latin1");
  });
  const until = async (isTrue: () => boolean) => {
    while (!isTrue()) {
      if (failure) throw failure;
      if (qemu.exitCode !== null) throw new Error(`QEMU ended with ${qemu.exitCode}`);
      await new Promise((done) => setTimeout(done, 5));
    }
  };
  try {
    await until(() => said.includes("R"));
    const monitor = createConnection(monitorPath);
    monitor.on("data", (bytes: Buffer) => {
      answers += bytes.toString("latin1");
    });
    monitor.on("error", fail);
    await until(() => answers.includes("(qemu) "));
    const shots: Shot[] = [];
    for (let index = 0; index < count; index++) {
      await until(() => said.includes("R"));
      const vbe = lastVbe(said);
      said = "";
      const file = path.join(folder, `${index}.ppm`);
      // Twice: the first picture after a change of mode can have the size of neither.
      for (let i = 0; i < 2; i++) {
        answers = "";
        monitor.write(`screendump ${file}\n`);
        await until(() => answers.endsWith("(qemu) "));
      }
      shots.push({ ...readPpm(readFileSync(file)), vbe });
      rmSync(file);
      qemu.stdin.write(".");
    }
    monitor.destroy();
    return shots;
  } finally {
    clearTimeout(timer);
    qemu.kill("SIGKILL");
    await new Promise((done) =>
      qemu.exitCode === null && qemu.signalCode === null ? qemu.once("close", done) : done(0),
    );
    rmSync(folder, { recursive: true, force: true });
  }
}

function readPpm(bytes: Uint8Array): Omit<Shot, "vbe"> {
  const head = /^P6\s+(\d+)\s+(\d+)\s+255\s/.exec(Buffer.from(bytes.subarray(0, 64)).toString("latin1"));
  if (head === null) throw new Error("QEMU's picture is no P6");
  return { width: Number(head[1]), height: Number(head[2]), rgb: bytes.subarray(head[0].length) };
}
