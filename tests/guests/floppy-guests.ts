/**
 * What tests of guests that start from a floppy share: where the disks come from, a person at the keyboard, files on a FAT
 * disk, and the same disk under QEMU.
 */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { onTestFinished } from "vitest";
import { textToScancodes } from "../../src/display/us-keyboard.ts";
import { MemoryMedium, TestPc, type TestPcOptions } from "../../src/machine/testing.ts";

/** Free disks that are not in Debian. The folder may be missing; one that is there has to be complete. */
const mediaFolder = resolve(import.meta.dirname, "../../../shared/media");
export const hasMedia = existsSync(mediaFolder);
/** For the name of a test that has to do without. */
export const withoutMedia = "(../shared/media is not there: the disk made here instead)";

export function mediaDisk(name: string, readOnly = false): MemoryMedium {
  const file = join(mediaFolder, name);
  if (!existsSync(file)) throw new Error(`${file} is missing although its folder is there`);
  return new MemoryMedium(new Uint8Array(readFileSync(file)), readOnly);
}

/** tests/guests/images/boot-floppy.asm as a disk of 1.44 MB. */
export function assembledDisk(): Uint8Array<ArrayBuffer> {
  const folder = temporaryFolder();
  const source = join(import.meta.dirname, "images/boot-floppy.asm");
  const image = join(folder, "boot.img");
  try {
    execFileSync("nasm", ["-f", "bin", "-Werror", "-o", image, source], { stdio: "pipe" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") throw new Error("nasm is missing: apt-get install nasm");
    throw error;
  }
  return new Uint8Array(readFileSync(image));
}

/** An empty 1.44 MB disk that begins with a text. */
export function labelledDisk(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(1_474_560);
  new TextEncoder().encodeInto(text, bytes);
  return bytes;
}

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "anneau-floppy-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Programs that wait for a key in a loop cost the least on it, and its state is small. */
const slowProcessor = { ramMiB: 8, deterministic: { nsPerInstruction: 100 } };

/** A PC with floppy drives, and somebody in front of it. */
export class FloppyPc {
  readonly pc: TestPc;

  private constructor(pc: TestPc) {
    this.pc = pc;
  }
  static async start(floppies: TestPcOptions["floppies"]): Promise<FloppyPc> {
    return new FloppyPc(await TestPc.start({ floppies, spec: slowProcessor }));
  }

  /** The same machine in another process, perhaps: saved, loaded and running on. */
  async moved(floppies: TestPcOptions["floppies"]): Promise<FloppyPc> {
    this.pc.machine.pause();
    const state = structuredClone(this.pc.machine.save());
    const pc = await TestPc.assemble({ floppies, spec: slowProcessor });
    pc.machine.restore(state);
    pc.machine.resume();
    return new FloppyPc(pc);
  }

  /** Waits until the screen shows it. */
  sees(what: RegExp, maxInstructions = 300_000_000): string {
    if (!this.pc.runUntilScreen(what, maxInstructions))
      throw new Error(`the screen does not show ${what}\n${this.pc.describe()}`);
    return this.pc.screenText();
  }
  /** Keys at a person's pace: some milliseconds each. */
  type(text: string): void {
    for (const code of textToScancodes(text)) {
      this.pc.machine.front.keyboard!.putScancode(code);
      this.wait(2);
    }
  }
  wait(milliseconds: number): void {
    const { clock } = this.pc.machine;
    const endNs = clock.lastNs + milliseconds * 1e6;
    this.pc.runUntil(() => clock.lastNs >= endNs);
  }
  /** A DOS command on an empty screen: what it printed, up to the next prompt or to `end`. */
  dos(command: string, end = /\n\n[A-Z]:\\>$/): string {
    this.type("cls\n");
    this.sees(/^\s*[A-Z]:\\>$/);
    this.type(`${command}\n`);
    const text = this.sees(end).trimStart();
    return text.slice(text.indexOf("\n") + 1);
  }
  insert(medium: MemoryMedium | undefined, drive = 0): void {
    this.pc.slots.get(`floppy ${drive}`)!.change(medium);
  }
}

/** A file in the root folder of a FAT12 disk, or undefined. `name` as in the folder: eight and three characters. */
export function fat12File(disk: Uint8Array, name: string): Uint8Array | undefined {
  const view = new DataView(disk.buffer, disk.byteOffset, disk.length);
  const word = (at: number) => view.getUint16(at, true);
  const [sectorsPerCluster, fats, fatSectors, rootEntries] = [disk[13], disk[16], word(22), word(17)];
  const fatAt = word(14) * 512;
  const rootAt = fatAt + fats * fatSectors * 512;
  const dataAt = rootAt + rootEntries * 32;
  const entryOf = (cluster: number) => {
    const pair = word(fatAt + Math.floor(cluster * 1.5));
    return cluster % 2 === 0 ? pair & 0xfff : pair >> 4;
  };
  for (let at = rootAt; at < dataAt; at += 32) {
    if (String.fromCharCode(...disk.subarray(at, at + 11)) !== name) continue;
    const clusterBytes = sectorsPerCluster * 512;
    const parts: number[] = [];
    for (let cluster = word(at + 26); cluster >= 2 && cluster < 0xff0; cluster = entryOf(cluster)) {
      const start = dataAt + (cluster - 2) * clusterBytes;
      parts.push(...disk.subarray(start, start + clusterBytes));
      if (parts.length > disk.length) throw new Error("the file's clusters go round in circles");
    }
    return Uint8Array.from(parts.slice(0, view.getUint32(at + 28, true)));
  }
  return undefined;
}

/** A disk under qemu-system-i386: its first serial port, its picture, another disk. */
export class QemuFloppy {
  readonly #folder = temporaryFolder();
  readonly #qemu: ReturnType<typeof spawn>;
  said = "";
  #failure: Error | undefined;

  constructor(disk: Uint8Array) {
    const image = this.#write("first.img", disk);
    const drive = `if=floppy,index=0,format=raw,file=${image}`;
    const fixed = ["-display", "none", "-net", "none", "-boot", "a", "-monitor", "stdio"];
    this.#qemu = spawn("qemu-system-i386", [...fixed, "-drive", drive, "-serial", `file:${this.#serialFile}`], {
      stdio: ["pipe", "ignore", "inherit"],
    });
    this.#qemu.on("error", (error: NodeJS.ErrnoException) => {
      const isMissing = error.code === "ENOENT";
      this.#failure = isMissing ? new Error("qemu-system-i386 is missing: apt-get install qemu-system-x86") : error;
    });
    onTestFinished(() => {
      this.#qemu.kill("SIGKILL");
    });
  }
  get #serialFile(): string {
    return join(this.#folder, "serial.txt");
  }
  #write(name: string, bytes: Uint8Array): string {
    const file = join(this.#folder, name);
    writeFileSync(file, bytes);
    return file;
  }
  /** The monitor's command; its answer is not read. */
  #command(text: string): void {
    this.#qemu.stdin!.write(`${text}\n`);
  }
  async #until<Result>(what: string, look: () => Result | undefined): Promise<Result> {
    const end = Date.now() + 120_000;
    while (Date.now() < end) {
      if (this.#failure) throw this.#failure;
      const result = look();
      if (result !== undefined) return result;
      await new Promise((done) => setTimeout(done, 250));
    }
    throw new Error(`QEMU did not ${what}, serial: ${this.said}`);
  }

  async says(what: RegExp): Promise<string> {
    return this.#until(`say ${what}`, () => {
      this.said = existsSync(this.#serialFile) ? readFileSync(this.#serialFile, "latin1") : "";
      return what.test(this.said) ? this.said : undefined;
    });
  }
  insert(disk: Uint8Array): void {
    this.#command(`change floppy0 ${this.#write("second.img", disk)} raw`);
  }
  /** Takes pictures until one is as it should be. */
  async shows(width: number, height: number, isLike: (rgb: Uint8Array) => boolean): Promise<void> {
    let turn = 0;
    await this.#until("show the picture", () => {
      const last = join(this.#folder, `screen-${turn}.ppm`);
      const bytes = existsSync(last) ? readFileSync(last) : undefined;
      this.#command(`screendump ${join(this.#folder, `screen-${++turn}.ppm`)}`);
      const header = `P6\n${width} ${height}\n255\n`;
      const isWhole = bytes?.length === header.length + width * height * 3;
      if (!isWhole || bytes.toString("latin1", 0, header.length) !== header) return undefined;
      return isLike(bytes.subarray(header.length)) ? true : undefined;
    });
  }
}
