/**
 * `node bench/video.ts [ROUNDS]`: how fast a guest writes video memory (video.asm), on Anneau and on qemu-system-i386, in
 * interleaved rounds. Prints the medians as a Markdown table. Not a test.
 */
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { median } from "./report.ts";

const anneau = join(resolve(import.meta.dirname, ".."), "bin", "anneau");
const rounds = Number(process.argv[2] ?? 3);
/** By the number that video.asm knows them by. */
const kernels = [
  "text: 10,000 lines scrolled by REP MOVSW",
  "text: 2,000,000 cells, one store each",
  "mode 13h: 1,000 screens by REP STOSD",
  "mode 13h: 100 screens byte by byte",
  "mode 12h: 200 screens by REP STOSB",
  "mode X: 200 screens, map by map",
  "640×480×8, banked: 100 screens",
  "mode 12h: 200 scrolls through the latches",
];
const PATIENCE_MS = 120_000;
const TEST_NUMBER = 0x10;

const machines: Readonly<Record<string, (disk: string) => readonly [string, readonly string[]]>> = {
  interpreter: (disk) => [process.execPath, [anneau, "run", "--disk", disk, "--memory", "64"]],
  translator: (disk) => [process.execPath, [anneau, "run", "--engine", "translator", "--disk", disk, "--memory", "64"]],
  "qemu-system-i386": (disk) => [
    "qemu-system-i386",
    [
      ...["-accel", "tcg", "-m", "64", "-display", "none", "-vga", "std", "-serial", "stdio", "-net", "none"],
      ...["-monitor", "none", "-drive", `file=${disk},format=raw`],
    ],
  ],
};

/** Milliseconds from S to E on the serial port. */
function measure(program: string, args: readonly string[]): Promise<number> {
  return new Promise((done, fail) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "ignore"] });
    const timer = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
    let started: number | undefined;
    let took: number | undefined;
    child.on("error", fail);
    child.stdout.on("data", (bytes: Buffer) => {
      const said = bytes.toString("latin1");
      if (said.includes("S")) started ??= performance.now();
      if (started === undefined || !said.includes("E")) return;
      took ??= performance.now() - started;
      child.kill("SIGKILL");
    });
    child.on("close", () => {
      clearTimeout(timer);
      if (took === undefined) fail(new Error(`${program} did not come to the end`));
      else done(took);
    });
  });
}

const folder = mkdtempSync(join(tmpdir(), "video-bench-"));
try {
  const program = join(folder, "program");
  execFileSync("nasm", ["-f", "bin", "-o", program, join(import.meta.dirname, "video.asm")]);
  const names = Object.keys(machines);
  console.log(`| | ${names.join(" | ")} |\n| --- |${" --: |".repeat(names.length)}`);
  for (const [number, kernel] of kernels.entries()) {
    const disk = join(folder, `disk-${number}`);
    const image = Buffer.alloc(1 << 20);
    readFileSync(program).copy(image);
    image[TEST_NUMBER] = number;
    writeFileSync(disk, image);
    const times = names.map((): number[] => []);
    for (let round = 0; round < rounds; round++)
      for (const [i, name] of names.entries()) times[i].push(await measure(...machines[name](disk)));
    console.log(`| ${kernel} | ${times.map((list) => `${Math.round(median(list))} ms`).join(" | ")} |`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
