/** Builds native runners once per change and runs cases on the host CPU. Needs an x86 host and gcc -m32 (gcc-multilib). */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { BATCH, CASE_BYTES, type CaseList, Outcomes } from "./case-format.ts";

let program: string | undefined;

/** Compiles a runner beside this file, unless that has been done for these bytes of it; answers the program's path. */
export function buildRunner(file: string): string {
  const source = join(import.meta.dirname, file);
  const digest = createHash("sha256").update(readFileSync(source)).digest("hex").slice(0, 16);
  const folder = join(tmpdir(), "anneau-native-oracle");
  const target = join(folder, `${basename(file, ".c")}-${digest}`);
  if (existsSync(target)) return target;
  mkdirSync(folder, { recursive: true });
  const temporary = `${target}.${process.pid}`;
  const options = ["-m32", "-O1", "-msse2", "-fno-pie", "-no-pie", "-fno-stack-protector"];
  execFileSync("gcc", [...options, "-o", temporary, source], { stdio: "inherit" });
  renameSync(temporary, target);
  return target;
}

/** Executes all cases of the list natively. */
export function runNative(cases: CaseList): Outcomes {
  program ??= buildRunner("runner.c");
  const chunks: Uint8Array[] = [];
  for (let first = 0; first < cases.length; first += BATCH) {
    const count = Math.min(BATCH, cases.length - first);
    chunks.push(new Uint8Array(Uint32Array.of(count).buffer));
    chunks.push(cases.bytes.subarray(first * CASE_BYTES, (first + count) * CASE_BYTES));
  }
  const size = cases.length * CASE_BYTES;
  const result = spawnSync(program, { input: Buffer.concat(chunks), maxBuffer: size + 1024 });
  if (result.status !== 0 || result.stdout.length !== size)
    throw new Error(
      `native runner: status ${result.status} ${result.signal}, ${result.stdout.length} bytes: ${result.stderr}`,
    );
  return new Outcomes(new Uint8Array(result.stdout));
}
