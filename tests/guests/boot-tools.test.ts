/**
 * Small systems that talk to the hardware directly, each as a person uses it: memtest86+ over all of the memory, GRUB's rescue
 * floppy and CD reading a file, iPXE's CD at its prompt.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { bootTools } from "../../scripts/media/boot-tools.ts";
import { writeIso } from "../../src/disk/iso9660-writer.ts";
import { textToScancodes } from "../../src/display/us-keyboard.ts";
import { MemoryMedium, TestPc, type TestPcOptions } from "../../src/machine/testing.ts";
import type { CpuEngine } from "../../src/spec/machine-spec.ts";

let folder: string;
beforeAll(async () => {
  folder = await bootTools();
});
const image = (name: string) => new Uint8Array(readFileSync(join(folder, name)));

const engines = ["interpreter", "translator"] as const;

class Person {
  readonly pc: TestPc;
  constructor(pc: TestPc) {
    this.pc = pc;
  }
  /** Waits until the screen shows it. */
  sees(what: string | RegExp, maxInstructions = 300_000_000): string {
    if (!this.pc.runUntilScreen(what, maxInstructions))
      throw new Error(`the screen does not show ${what}\n${this.pc.describe()}`);
    return this.pc.screenText();
  }
  /** The same for what takes long: looks now and then. */
  seesInTheEnd(what: RegExp, maxInstructions: number): string {
    let turn = 0;
    const { pc } = this;
    if (!pc.runUntil(() => ++turn % 50_000 === 0 && what.test(pc.screenText()), maxInstructions))
      throw new Error(`the screen does not show ${what}\n${pc.describe()}`);
    return pc.screenText();
  }
  press(...codes: number[]): void {
    const { clock, front } = this.pc.machine;
    for (const code of codes) {
      front.keyboard!.putScancode(code);
      const endNs = clock.lastNs + 20e6;
      this.pc.runUntil(() => clock.lastNs >= endNs);
    }
  }
  type(text: string): void {
    this.press(...textToScancodes(text));
  }
}

/** Slow: what waits for a second or a key does so in few instructions. */
async function start(options: TestPcOptions, engine: CpuEngine = "interpreter") {
  const deterministic = { nsPerInstruction: 200 };
  const spec = { ramMiB: 8, ioApic: true, cpu: { pae: true, nx: true, engine }, deterministic };
  return new Person(await TestPc.start({ ...options, spec: { ...spec, ...options.spec } }));
}

// ---- memtest86+ --------------------------------------------------------------------------------------------------------

const memtest = (engine: CpuEngine) =>
  start({ spec: { linux: { kernel: image("memtest86+ia32.bin"), commandLine: "" } } }, engine);

test.each(engines)("memtest86+ goes over all of the memory: no error (%s)", async (engine) => {
  const person = await memtest(engine);
  const screen = person.seesInTheEnd(/Pass: +1 +Errors/, 14_000_000_000);
  expect(screen).toMatch(/Pass: +1 +Errors: 0$/m);
  expect(screen).toMatch(/Press any key to remove this banner/);
  // All but the firmware's share.
  expect(screen).toMatch(/of 7\.\d+MB/);
});

test("memtest86+ notices memory that forgets", async () => {
  const person = await memtest("translator");
  person.seesInTheEnd(/Test #5/, 3_000_000_000);
  const { memory } = person.pc.machine;
  for (let round = 0; round < 200 && !/Errors: +[1-9]/.test(person.pc.screenText()); round++) {
    memory.write8(0x500000, memory.read8(0x500000) ^ 0x10);
    person.pc.runUntil(() => false, 5_000_000);
  }
  expect(person.pc.screenText()).toMatch(/Errors: +[1-9]/);
}, 1_800_000);

test("memtest86+ for 64 bits is refused in words; from its CD it ends with the machine, and the log says what it wanted", async () => {
  const anneau = resolve(import.meta.dirname, "../../bin/anneau");
  const kernel = join(folder, "memtest86+x64.bin");
  const said = spawnSync(process.execPath, [anneau, "run", `--kernel=${kernel}`], { encoding: "utf8" });
  expect([said.status, said.stdout]).toEqual([1, ""]);
  expect(said.stderr).toMatch(/^\S+: error: kernel: for 64-bit processors.*\n$/);

  const person = await start({ dvds: { "1.0": new MemoryMedium(image("memtest86+x64.iso"), true) } });
  person.pc.runUntil(() => person.pc.events.length > 0, 300_000_000);
  expect(person.pc.events[0]).toMatchObject({ kind: "died", cause: "triple fault" });
  expect(person.pc.log.lines.join("\n")).toMatch(/64-bit mode is wanted/);
});

// ---- GRUB --------------------------------------------------------------------------------------------------------------

const poem = Array.from({ length: 12 }, (_, i) => `line ${i + 1} of the file\n`).join("");

/** A disk with a file system that GRUB reads. */
function diskWithFile(): MemoryMedium {
  const scratch = mkdtempSync(join(tmpdir(), "anneau-grub-"));
  onTestFinished(() => rmSync(scratch, { recursive: true }));
  const path = join(scratch, "disk.iso");
  const files = [{ path: "/poems/poem.txt", source: Buffer.from(poem) }];
  writeIso(path, { volumeId: "POEMS", files });
  return new MemoryMedium(new Uint8Array(readFileSync(path)));
}

test.each([
  ["floppy", "interpreter"],
  ["CD", "interpreter"],
  ["floppy", "translator"],
  ["CD", "translator"],
] as const)("GRUB's rescue %s: its command line reads a file from the disk (%s)", async (kind, engine) => {
  const disks = { "0.0": diskWithFile() };
  const person = await start(
    kind === "floppy"
      ? { disks, floppies: [new MemoryMedium(image("grub-rescue-floppy.img"))] }
      : { disks, dvds: { "1.0": new MemoryMedium(image("grub-rescue-cdrom.iso"), true) } },
    engine,
  );
  person.sees("Press enter to boot the selected OS", 1_000_000_000);
  person.type("c");
  person.sees(/^grub> *$/m);
  person.type("ls\n");
  expect(person.sees(/\(hd0\)[\s\S]*grub>/)).toMatch(kind === "CD" ? /\(cd0?\)/ : /\(fd0\)/);
  person.type("cat (hd0)/poems/poem.txt\n");
  expect(person.sees(/line 12 of the file/)).toContain(poem.trimEnd());
  person.type("cat (hd0)/poems/prose.txt\n");
  person.sees(/file `\/poems\/prose\.txt' not found/);
});

// ---- iPXE --------------------------------------------------------------------------------------------------------------

test.each(engines)("iPXE's CD: Ctrl-B at its invitation gives its prompt (%s)", async (engine) => {
  const dvds = { "1.0": new MemoryMedium(image("ipxe.iso"), true) };
  const person = await start({ spec: { ramMiB: 32 }, dvds }, engine);
  person.sees("Press Ctrl-B for the iPXE command line", 1_000_000_000);
  person.press(0x1d, 0x30, 0xb0, 0x9d);
  person.sees(/^iPXE> *$/m);
  // biome-ignore lint/suspicious/noTemplateCurlyInString: iPXE's own
  person.type("echo sum ${version}\n");
  expect(person.sees(/^sum \S+/m)).toMatch(/^sum 1\.\d+\.\d+/m);
  person.type("nonsense\n");
  person.sees(/nonsense: command not found/);
});
