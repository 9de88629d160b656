/** `anneau run` as a person or a script uses it. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { discImage } from "../cli/sandbox.ts";
import { echoProgram, soundProgram } from "../machine/programs.ts";

const anneau = resolve(import.meta.dirname, "../../bin/anneau");
let folder: string;
let bios: string;
let running: Run | undefined;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "anneau-run-"));
  bios = join(folder, "echo.bin");
  writeFileSync(bios, echoProgram());
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => running?.child.kill("SIGKILL"));

class Run {
  readonly child: ChildProcessWithoutNullStreams;
  out = "";
  err = "";
  readonly exited: Promise<number | null>;

  constructor(...args: string[]) {
    this.child = spawn(process.execPath, [anneau, "run", "--memory=4", ...args]);
    this.child.stdout.on("data", (bytes: Buffer) => {
      this.out += bytes.toString("latin1");
    });
    this.child.stderr.on("data", (bytes: Buffer) => {
      this.err += bytes.toString();
    });
    this.exited = new Promise((done) => this.child.on("close", done));
    running = this;
  }
  async shows(text: string): Promise<void> {
    for (let tries = 0; !this.out.includes(text); tries++) {
      if (tries > 3000) throw new Error(`no '${text}' in '${this.out}', ${this.err}`);
      await new Promise((done) => setTimeout(done, 10));
    }
  }
}

test("serial port on standard input and output, the guest's power-off ends it with 0", async () => {
  const run = new Run(`--bios=${bios}`, "--statistics");
  await run.shows("hello\r\n");
  run.child.stdin.write("abc");
  await run.shows("abc");
  run.child.stdin.write("q");
  expect(await run.exited).toBe(0);
  expect(run.out).toBe("hello\r\nabcbye\r\n");
  const figures = Object.fromEntries(run.err.split("\n").map((line) => line.split("=")));
  for (const name of [
    "instructions",
    "mips",
    "wallSeconds",
    "idleShare",
    "rssMiB",
    "/cpu/regions/links",
    "/cpu/tlb/pageWalks",
  ])
    expect(Number(figures[name]), name).toBeGreaterThanOrEqual(0);
});

test("a long text goes in and comes out whole", async () => {
  const run = new Run(`--bios=${bios}`, "--deterministic");
  await run.shows("hello\r\n");
  const text = Array.from({ length: 2000 }, (_, i) => `${i},`).join("");
  run.child.stdin.write(text);
  run.child.stdin.write("q");
  expect(await run.exited).toBe(0);
  expect(run.out).toBe(`hello\r\n${text}bye\r\n`);
});

test("a guest that dies: registers and cause, exit code 1", async () => {
  const run = new Run(`--bios=${bios}`);
  await run.shows("hello");
  run.child.stdin.write("x");
  expect(await run.exited).toBe(1);
  expect(run.err).toMatch(/the guest died: triple fault\n.*eax=/s);
});

test("SIGTERM ends a guest that sleeps", async () => {
  const run = new Run(`--bios=${bios}`);
  await run.shows("hello");
  run.child.stdin.write("h");
  run.child.kill("SIGTERM");
  expect(await run.exited).toBe(128 + 15);
});

test("a guest whose output nobody reads any more is switched off", async () => {
  const run = new Run(`--bios=${bios}`);
  await run.shows("hello");
  run.child.stdout.destroy();
  run.child.stdin.write("abc");
  expect(await run.exited).toBe(0);
});

test("serial output to a file, a picture at the end", async () => {
  const serial = join(folder, "serial.txt");
  const png = join(folder, "screen.png");
  const run = new Run(`--bios=${bios}`, `--serial=file:${serial}`, `--display=png:${png}`);
  for (let tries = 0; !existsSync(serial) || !readFileSync(serial, "latin1").includes("hello\r\n"); tries++) {
    if (tries > 3000) throw new Error(`no output: ${run.err}`);
    await new Promise((done) => setTimeout(done, 10));
  }
  run.child.kill("SIGTERM");
  expect(await run.exited).toBe(143);
  // The program never sets a mode: there is no picture, and that is said.
  if (existsSync(png)) expect(readFileSync(png).subarray(1, 4).toString()).toBe("PNG");
  else expect(run.err).toContain("no picture");
});

test("a full disk under the serial port's file is said, and the machine goes on", async () => {
  const run = new Run(`--bios=${bios}`, "--serial=file:/dev/full");
  for (let tries = 0; !run.err.includes("serial port: ENOSPC"); tries++) {
    if (tries > 3000) throw new Error(`nothing said: ${run.err}`);
    await new Promise((done) => setTimeout(done, 10));
  }
  run.child.kill("SIGTERM");
  expect(await run.exited).toBe(143);
});

test("what cannot be started is said in one line", async () => {
  const [disc, crumb] = [join(folder, "disc.iso"), join(folder, "crumb.img")];
  writeFileSync(disc, discImage(300, 4000));
  writeFileSync(crumb, "abc");
  for (const [args, message] of [
    [["--kernel=/nonexistent"], /cannot read \/nonexistent: ENOENT/],
    [["--memory=100000"], /100000 MB of memory/],
    [["--disk=/nonexistent"], /Could not find file for the medium '\/nonexistent' \(VERR_FILE_NOT_FOUND\)/],
    [[`--disk=${disc}`], /Could not get the storage format of the medium '.*disc\.iso' \(VERR_NOT_SUPPORTED\)/],
    [[`--cdrom=${disc}`], /its volume has 4000 sectors, the file 300: the image is truncated/],
    [[`--floppy=${crumb}`], /3 bytes are too few for a floppy/],
    [["--kernel=/dev/zero"], /error: \/dev\/zero is not a file/],
    [["--serial=file:/nonexistent/x"], /cannot write '\/nonexistent\/x' \(ENOENT\)/],
    [["--log=/nonexistent/x"], /cannot write '\/nonexistent\/x' \(ENOENT\)/],
    [["--display=png:/nonexistent/x.png"], /cannot write '\/nonexistent\/x.png' \(ENOENT\)/],
  ] as const) {
    const run = new Run(...args);
    expect(await run.exited).toBe(1);
    expect(run.err).toMatch(message);
    expect(run.err.trim().split("\n")).toHaveLength(1);
  }
  for (const [args, message] of [
    [["--serial=telephone"], /Invalid argument format for option '--serial': 'telephone'/],
    [["--trace=pio,bogus"], /Invalid trace channel 'bogus' \(there are pio, mmio, .*, all\)/],
    [["--append=quiet"], /Option '--append' needs --kernel/],
    [["--initrd=/dev/null"], /Option '--initrd' needs --kernel/],
  ] as const) {
    const typo = new Run(...args);
    expect(await typo.exited).toBe(2);
    expect(typo.err).toMatch(message);
  }
});

test("what a sound card plays is in the file; a file that cannot be written costs the sound only", async () => {
  const program = join(folder, "sound.bin");
  writeFileSync(program, soundProgram());
  const wav = join(folder, "sound.wav");
  const run = new Run(`--bios=${program}`, "--audio=sb16", `--audio-file=${wav}`);
  expect(await run.exited).toBe(0);
  expect(run.out).toContain("played");
  const bytes = readFileSync(wav);
  expect([bytes.readUInt32LE(24), bytes.readUInt32LE(40)]).toEqual([8000, 256 * 4]);
  const left = Array.from({ length: 256 }, (_, i) => bytes.readInt16LE(44 + i * 4));
  expect(left).toEqual(Array.from({ length: 256 }, (_, i) => (i - 128) * 256));

  const deaf = new Run(`--bios=${program}`, "--audio=sb16", `--audio-file=${join(folder, "missing", "x.wav")}`);
  expect(await deaf.exited).toBe(0);
  expect(deaf.out).toContain("played");
  expect(deaf.err.match(/cannot write/g)).toHaveLength(1);
});
