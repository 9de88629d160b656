/**
 * QEMU's own test programs for i386 (tests/tcg in its sources, Debian source package `qemu`), built statically with the
 * host's compiler, to be run on the host and in a guest: both must print the same.
 *
 *   node scripts/media/qemu-tests.ts [--refresh]
 *
 * prints the folder that holds one folder `tests` of programs and `tests.cpio.gz`, the same as an initramfs archive, which
 * Linux unpacks over the one it is appended to. Needs gcc-multilib (gcc -m32 with a static C library) and xz-utils.
 * The sources stay in the media cache. Left out: what needs more than SSE2, or 64 bits (`omitted`).
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { AnneauError } from "../../src/base/errors.ts";
import { PrivateApt } from "./apt.ts";
import { cachedProduct, runScript, runTool } from "./cache.ts";
import { type CpioEntry, writeCpio } from "./cpio.ts";

/** Programs of tests/tcg/i386 that are not built, and why. */
export const omitted: { readonly [program: string]: string } = {
  "hello-i386": "calls the kernel and nothing else",
  "test-3dnow": "64-bit program, 3DNow!",
  "test-avx": "64-bit program, AVX",
  "test-mmx": "64-bit program (clobbers XMM15)",
  "test-i386-bmi2": "BMI2",
  "test-i386-fisttp": "SSE3",
  "test-i386-pcmpistri": "SSE4.2",
  "test-i386-ssse3": "SSSE3",
};

/** Single checks that are cut out of a program, from one line that matches `start` to the next: newer instructions. */
const cuts: { readonly [program: string]: { readonly start: RegExp; readonly without: RegExp } } = {
  // FISTTP is SSE3, ROUNDSS and ROUNDSD are SSE4.1.
  "test-i386-fp-exceptions": { start: /^(?= {4}__asm__ volatile \("fnclex")/m, without: /fisttp/ },
  "test-i386-sse-exceptions": {
    start: /^(?= {4}__asm__ volatile \("ldmxcsr %0" : : "m" \(mxcsr_default\)\))/m,
    without: /rounds[sd]/,
  },
};

/** Programs of tests/tcg/multiarch that compute, each built with x87 and with SSE2 arithmetic. */
const computing = ["float_convs", "float_convd", "float_madds", "sha1", "sha512"];

const options = ["-m32", "-static", "-fno-pie", "-no-pie", "-O2", "-msse2", "-w", "-z", "noexecstack"];

/** FPREM prints 66 MB, which takes a guest minutes: every so many pairs of operands. Has no factor in common with the loops. */
const FPREM_STRIDE = 17;

/** Makes (or finds) the programs; answers the folder. */
export async function qemuTests(refresh = false): Promise<string> {
  const recipe = JSON.stringify({ omitted: Object.keys(omitted), computing, options, FPREM_STRIDE, revision: 1 });
  return cachedProduct(
    "qemu-tests-i386",
    recipe,
    (scratch) => {
      const source = new PrivateApt("amd64", "sources").downloadSource("qemu");
      const archive = source.files.find((file) => /\.orig\.tar\.\w+$/.test(file));
      if (archive === undefined) throw new AnneauError("the source package qemu has no original archive");
      const unpacked = join(scratch, "sources");
      const programs = join(scratch, "tests");
      mkdirSync(unpacked);
      mkdirSync(programs);
      runTool("tar", ["-xf", archive, "-C", unpacked, "--strip-components=3", "--wildcards", "*/tests/tcg/*"], {
        aptPackage: "xz-utils",
      });
      build(unpacked, programs);
      const entries: CpioEntry[] = [{ path: "tests", kind: "folder" }];
      for (const name of readdirSync(programs).sort())
        entries.push({ path: `tests/${name}`, kind: "file", data: readFileSync(join(programs, name)), mode: 0o755 });
      writeFileSync(join(scratch, "tests.cpio.gz"), gzipSync(writeCpio(entries), { level: 6 }));
      rmSync(unpacked, { recursive: true });
      return { "qemu (source)": source.version };
    },
    refresh,
  );
}

function build(sources: string, programs: string): void {
  const compile = (folder: string, name: string, args: string[]) =>
    runTool("gcc", [...options, "-o", join(programs, name), ...args, "-lm", "-pthread"], {
      aptPackage: "gcc-multilib",
      cwd: join(sources, folder),
    });
  const i386 = join(sources, "i386");
  const names = readdirSync(i386)
    .filter((file) => file.endsWith(".c"))
    .map((file) => file.slice(0, -2));
  for (const name of Object.keys(omitted))
    if (!names.includes(name)) throw new AnneauError(`QEMU's tests have no ${name} any more: take it off the list`);
  for (const name of names.filter((item) => omitted[item] === undefined)) {
    const path = join(i386, `${name}.c`);
    const text = readFileSync(path, "utf8");
    const cut = cuts[name];
    if (cut !== undefined) {
      const checks = text.split(cut.start);
      if (checks.length < 50) throw new AnneauError(`${name} has another form than expected`);
      writeFileSync(path, checks.filter((check, n) => n === checks.length - 1 || !cut.without.test(check)).join(""));
    }
    if (name === "test-i386-fprem") {
      const call = "do_fprem(a.d, b.d);";
      if (!text.includes(call)) throw new AnneauError(`${name} has another form than expected`);
      writeFileSync(path, text.replace(call, `if (count % ${FPREM_STRIDE} == 0) ${call}`));
    }
    if (name === "test-i386") compile("i386", name, [`${name}.c`, "test-i386-code16.S", "test-i386-vm86.S"]);
    else compile("i386", name, [...(name.includes("sse") ? ["-mfpmath=sse"] : []), `${name}.c`]);
  }
  for (const name of computing) {
    for (const unit of ["387", "sse"]) {
      const library = name.startsWith("float") ? ["libs/float_helpers.c"] : [];
      compile("multiarch", `${name}-${unit}`, [`-mfpmath=${unit}`, "-I.", `${name}.c`, ...library]);
    }
  }
}

if (import.meta.main) {
  await runScript(async () => {
    const { values } = parseArgs({ options: { refresh: { type: "boolean", default: false } } });
    console.log(await qemuTests(values.refresh));
  });
}
