/** A program that uses the FPU in every way a C library does prints under Linux on Anneau what it prints on the host. */
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeCpio } from "../../scripts/media/cpio.ts";
import { linuxGuest } from "../../scripts/media/linux-guest.ts";

const anneau = resolve(import.meta.dirname, "../../bin/anneau");
const source = resolve(import.meta.dirname, "native/x87-program.c");
let folder: string;
let guest: ChildProcessWithoutNullStreams | undefined;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "anneau-x87-"));
});
afterAll(() => {
  guest?.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

test("arithmetic, conversions, library functions, printed numbers, flags and traps", async () => {
  const program = join(folder, "program");
  const options = ["-m32", "-march=i686", "-mfpmath=387", "-O2", "-frounding-math", "-static"];
  execFileSync("gcc", [...options, "-o", program, source, "-lm"], { stdio: "inherit" });
  const expected = execFileSync(program, { encoding: "latin1" });
  expect(expected).toMatch(/signal 8 code 3\n$/);

  const linux = await linuxGuest();
  // A second archive behind the first adds the program.
  const extra = writeCpio([{ path: "program", kind: "file", mode: 0o755, data: readFileSync(program) }]);
  const initrd = join(folder, "initrd.gz");
  writeFileSync(initrd, Buffer.concat([readFileSync(join(linux, "initrd.gz")), gzipSync(extra)]));
  guest = spawn(process.execPath, [
    ...[anneau, "run", "--memory=128", `--kernel=${join(linux, "vmlinuz")}`, `--initrd=${initrd}`],
    "--append=console=ttyS0 quiet anneau.run=/program anneau.then=poweroff",
  ]);
  let said = "";
  guest.stdout.on("data", (bytes: Buffer) => {
    said += bytes.toString("latin1");
  });
  const code = await new Promise((done) => guest?.on("close", done));
  const lines = said.replaceAll("\r", "").split("\n");
  const start = lines.findIndex((line) => line.startsWith("double "));
  expect(lines.slice(start, start + expected.split("\n").length - 1).join("\n") + "\n", said.slice(-2000)).toBe(
    expected,
  );
  expect(code).toBe(0);
});
