/**
 * One boot disk asks INT 10h, 11h, 12h, 13h, 15h, 16h and 1Ah about everything: our BIOS, Debian's SeaBIOS on our hardware
 * (with our video BIOS, which it starts from the card's ROM), and QEMU with its BIOSes. Where answers differ,
 * bios-differences.ts says why.
 */
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { seabios } from "../../scripts/media/seabios.ts";
import { MemoryMedium, TestPc } from "../../src/machine/testing.ts";
import { biosScript, readableLines } from "./bios-calls.ts";
import { type BiosDifference, biosDifferences, type Witness } from "./bios-differences.ts";

const SECTORS = 20 * 16 * 63;
const SCRIPT_AT = 512 + 0x400;
/** What the boot sector reads. */
const READ_BYTES = 129 * 512;
const QEMU_TIMEOUT_MS = 120_000;

const script = biosScript();
const folder = mkdtempSync(path.join(tmpdir(), "bios-calls-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** So many units, each with its number in front. */
function numbered(count: number, bytesEach: number): Uint8Array {
  const bytes = new Uint8Array(count * bytesEach);
  const view = new DataView(bytes.buffer);
  for (let unit = 0; unit < count; unit++) view.setUint32(unit * bytesEach, unit, true);
  return bytes;
}

function bootDisk(): Uint8Array {
  const program = path.join(folder, "program");
  const source = path.join(import.meta.dirname, "images", "bios-calls.asm");
  try {
    execFileSync("nasm", ["-f", "bin", "-Werror", "-o", program, source]);
  } catch (cause) {
    throw new Error(`nasm does not assemble ${source}; "npm test" installs nasm`, { cause });
  }
  const { bytes } = script;
  if (SCRIPT_AT + bytes.length > READ_BYTES) throw new Error(`a script of ${bytes.length} bytes is too long`);
  const disk = numbered(SECTORS, 512);
  disk.set(readFileSync(program));
  disk.set(bytes, SCRIPT_AT);
  return disk;
}

async function askOurs(disk: Uint8Array, biosImage?: Uint8Array): Promise<string[]> {
  const pc = await TestPc.start({
    disks: { "0.0": new MemoryMedium(disk.slice()) },
    dvds: { "1.0": new MemoryMedium(numbered(64, 2048), true) },
    floppies: [new MemoryMedium(numbered(2880, 512))],
    // Slow on purpose: the serial port is soon ready again.
    spec: { biosImage, bootOrder: ["disk", "none", "none", "none"], deterministic: { nsPerInstruction: 1000 } },
  });
  // The program ends in a triple fault.
  pc.runUntil(() => pc.events.length > 0, 500_000_000);
  return readableLines(script.steps, pc.serial.text);
}

function askQemu(disk: Uint8Array): Promise<string[]> {
  const file = (name: string, bytes: Uint8Array) => {
    writeFileSync(path.join(folder, name), bytes);
    return `file=${path.join(folder, name)},format=raw`;
  };
  const serial = path.join(folder, "serial");
  const qemu = spawn("qemu-system-i386", [
    ...["-machine", "pc,accel=tcg", "-cpu", "coreduo", "-m", "64", "-nodefaults", "-display", "none", "-vga", "std"],
    ...["-no-reboot", "-serial", `file:${serial}`, "-rtc", "base=2020-01-01", "-boot", "c"],
    ...[
      "-drive",
      `${file("disk", disk)},if=ide,index=0`,
      "-drive",
      `${file("cd", numbered(64, 2048))},if=ide,index=2,media=cdrom`,
    ],
    ...["-drive", `${file("floppy", numbered(2880, 512))},if=floppy`],
  ]);
  const timer = setTimeout(() => qemu.kill("SIGKILL"), QEMU_TIMEOUT_MS);
  return new Promise((resolve, reject) => {
    qemu.on("error", () => reject(new Error('qemu-system-i386 is missing; "npm test" installs it')));
    qemu.on("close", () => {
      clearTimeout(timer);
      resolve(readableLines(script.steps, readFileSync(serial, "latin1")));
    });
  });
}

/** "NAME: ANSWER"; names of memory have a colon of their own. */
const nameOf = (line: string) => /^(?:[^:]+: data area [^:]+|[^:]+)(?=: )/.exec(line)![0];

/** What is not explained, and which explanations explain something else than they say. */
function unexplained(
  witness: Witness,
  ours: readonly string[],
  theirs: readonly string[],
  differences: readonly BiosDifference[],
): string[] {
  const listed = differences.filter((entry) => entry.lines[witness] !== undefined);
  const covered = listed.map((): string[] => []);
  const problems: string[] = [];
  ours.forEach((line, i) => {
    if (line === theirs[i]) return;
    const index = listed.findIndex((entry) => entry.calls.test(nameOf(line)));
    if (index < 0) problems.push(`${line}, ${witness}${theirs[i].slice(nameOf(line).length)}`);
    else covered[index].push(line);
  });
  listed.forEach((entry, index) => {
    const lines = covered[index];
    const found = `${lines.length} ${createHash("sha256").update(lines.join("\n")).digest("hex").slice(0, 8)}`;
    if (found !== entry.lines[witness]) problems.push(`${entry.calls} covers "${found}" of ${witness}`);
  });
  return problems;
}

describe("BIOS calls", () => {
  let disk: Uint8Array;
  let ours: string[];
  beforeAll(async () => {
    disk = bootDisk();
    ours = await askOurs(disk);
  });

  test("all are made and answered, interrupts on afterwards", () => {
    expect(ours.filter((line) => line.endsWith(": nothing") || line.includes("IF=0"))).toEqual([]);
  });

  test("SeaBIOS on our hardware answers the same, or it is explained", async () => {
    const biosImage = new Uint8Array(readFileSync(path.join(await seabios(), "bios.bin")));
    const theirs = await askOurs(disk, biosImage);
    expect(unexplained("SeaBIOS", ours, theirs, biosDifferences)).toEqual([]);
  });

  test("QEMU's answer the same, or it is explained", async () => {
    expect(unexplained("QEMU", ours, await askQemu(disk), biosDifferences)).toEqual([]);
  });

  test("another answer is noticed, equal ones need no explanation", () => {
    const other = ours.map((line) => line.replace("INT 12h: CF=0 AX=027F", "INT 12h: CF=0 AX=0280"));
    expect(unexplained("QEMU", ours, other, [])).toHaveLength(1);
    expect(unexplained("QEMU", ours, ours, [])).toEqual([]);
    expect(unexplained("QEMU", ours, ours, biosDifferences)).not.toEqual([]);
  });
});
