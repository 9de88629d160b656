/**
 * QEMU's i386 test programs in a Linux guest: they print what they print on the host, byte for byte, and end alike. (Which
 * ones are left out, and why: scripts/media/qemu-tests.ts.)
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { writeCpio } from "../../scripts/media/cpio.ts";
import { linuxGuest } from "../../scripts/media/linux-guest.ts";
import { qemuTests } from "../../scripts/media/qemu-tests.ts";
import { RunGuest } from "../guests/run-guest.ts";

const PART_BYTES = 65536;
/** A copy with one instruction exchanged for another: the comparison has to notice. */
const SABOTAGED = "sabotaged";

/** The C library takes FMA for fma() where there is one: other NaNs. */
const withoutNewer = "glibc.cpu.hwcaps=-FMA,-FMA4,-AVX2";

let linux: string;
let programs: string;
beforeAll(async () => {
  linux = await linuxGuest();
  programs = await qemuTests();
});

/** The same program with FPREM1 for each FPREM that is followed by a store of the status word. */
function sabotage(program: Buffer): Buffer {
  const changed = Buffer.from(program);
  let found = 0;
  for (let at = changed.indexOf("d9f8", 0, "hex"); at >= 0; at = changed.indexOf("d9f8", at + 1, "hex")) {
    // FNSTSW m
    if (changed[at + 2] !== 0xdd) continue;
    changed[at + 1] = 0xf5;
    found++;
  }
  expect(found).toBeGreaterThan(0);
  return changed;
}

function initrd(folder: string): string {
  const path = join(folder, "initrd.gz");
  const wrong = sabotage(readFileSync(join(programs, "tests/test-i386-fprem")));
  const extra = writeCpio([{ path: `tests/${SABOTAGED}`, kind: "file", data: wrong, mode: 0o755 }]);
  // Linux unpacks one archive after the other.
  const parts = [join(linux, "initrd.gz"), join(programs, "tests.cpio.gz")].map((file) => readFileSync(file));
  writeFileSync(path, Buffer.concat([...parts, gzipSync(extra)]));
  return path;
}

/** What a program prints on the host, and how it ends. */
function onHost(name: string): { parts: Buffer[]; status: number } {
  const env = { ...process.env, GLIBC_TUNABLES: withoutNewer };
  const result = spawnSync(join(programs, "tests", name), { maxBuffer: 64 << 20, env });
  expect(result.signal, `${name} on the host`).toBeNull();
  const parts: Buffer[] = [];
  for (let at = 0; at < result.stdout.length; at += PART_BYTES) parts.push(result.stdout.subarray(at, at + PART_BYTES));
  return { parts, status: result.status ?? -1 };
}

/** Runs a program in the guest and answers how its output differs from the host's, as text; empty if it does not. */
async function differences(guest: RunGuest, name: string, host: { parts: Buffer[]; status: number }): Promise<string> {
  const { status } = await guest.command(`/tests/${name} > /tmp/out 2>/dev/null`);
  if (status !== host.status) return `${name} ended with ${status}, on the host with ${host.status}`;
  const part = `dd if=/tmp/out bs=${PART_BYTES} skip=$n count=1 of=/tmp/part 2>/dev/null; [ -s /tmp/part ]`;
  const sums = await guest.shell(`n=0; while ${part}; do md5sum < /tmp/part; n=$((n + 1)); done`);
  const here = [...sums.matchAll(/^([0-9a-f]{32}) /gm)].map((match) => match[1]);
  const there = host.parts.map((part) => createHash("md5").update(part).digest("hex"));
  const first = there.findIndex((sum, n) => sum !== here[n]);
  if (first < 0 && here.length === there.length) return "";
  if (first < 0) return `${name} printed more than on the host`;
  // The part that differs, line by line.
  const printed = (await guest.shell(`dd if=/tmp/out bs=${PART_BYTES} skip=${first} count=1 2>/dev/null`)).split("\n");
  const expected = host.parts[first].toString("latin1").split("\n");
  const lines: string[] = [];
  for (let n = 0; n < expected.length && lines.length < 8; n++)
    if (expected[n] !== printed[n]) lines.push(`host  ${expected[n]}`, `guest ${printed[n]}`);
  return `${name}, from byte ${first * PART_BYTES}:\n${lines.join("\n")}`;
}

test("every program prints in the guest what it prints on the host", async () => {
  const folder = mkdtempSync(join(tmpdir(), "anneau-qemu-programs-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  // The rest of the kernel's start-up tests do not matter here.
  const words = "console=ttyS0,115200 quiet panic=0 cryptomgr.notests initcall_blacklist=load_system_certificate_list";
  const guest = new RunGuest(
    "--memory=192",
    `--kernel=${join(linux, "vmlinuz")}`,
    `--initrd=${initrd(folder)}`,
    `--append=${words}`,
  );
  await guest.says("# ");
  await guest.shell("stty -echo");
  const names = readdirSync(join(programs, "tests")).sort();
  expect(names.length).toBeGreaterThan(20);
  const found: string[] = [];
  for (const name of names) {
    const text = await differences(guest, name, onHost(name));
    if (text !== "") found.push(text);
  }
  expect(found).toEqual([]);
  expect(await differences(guest, SABOTAGED, onHost("test-i386-fprem"))).toMatch(/host {2}R .*\nguest R /);
  guest.type("poweroff -f\n");
  expect(await guest.exited, guest.errors).toBe(0);
});
