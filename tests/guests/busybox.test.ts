/**
 * Linux by direct kernel boot, as a person uses it: `anneau run` with Debian's kernel and a busybox initramfs, the console
 * on COM1, commands typed there, `poweroff` at the end.
 */
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { linuxGuest } from "../../scripts/media/linux-guest.ts";
import { RunGuest } from "./run-guest.ts";

let media: string;
beforeAll(async () => {
  media = await linuxGuest();
});

/** Half of this kernel's boot goes into testing its ciphers and its own certificate; nothing here depends on them. */
const quick = "cryptomgr.notests initcall_blacklist=load_system_certificate_list";

/** Up to the shell's prompt. */
async function boot(words: string, kernel = join(media, "vmlinuz")): Promise<RunGuest> {
  const initrd = join(media, "initrd.gz");
  const append = `console=ttyS0,115200 earlyprintk=ttyS0,115200 panic=0 ${quick} ${words}`;
  const guest = new RunGuest("--memory=64", `--kernel=${kernel}`, `--initrd=${initrd}`, `--append=${append}`);
  await guest.says(/ANNEAU-GUEST-READY 6\.\S+/);
  await guest.says("# ");
  return guest;
}

const md5 = (text: string | Uint8Array) => createHash("md5").update(text).digest("hex");
const lines = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => `${from + i}\n`).join("");

test("to the shell, commands with known answers, power off", async () => {
  const guest = await boot("quiet");
  expect(await guest.shell("uname -sm")).toBe("Linux i686\n");
  // Integers, floating point through the x87, digests, compression and back, sorting, processes.
  expect(await guest.shell("echo $((123456789 * 1000 % 1009))")).toBe(`${(123456789 * 1000) % 1009}\n`);
  const sum = Array.from({ length: 2000 }, (_, i) => (i + 1) ** 2).reduce((a, b) => a + b);
  expect(await guest.shell("seq 2000 | awk '{ s += $1 * $1 } END { printf \"%.0f\\n\", s }'")).toBe(`${sum}\n`);
  // Newton's square root of 2 and the start of the harmonic series.
  const newton = "x = 1; for (i = 0; i < 6; i++) x = (x + 2 / x) / 2";
  const series = "for (i = 1; i <= 3000; i++) h += 1 / i";
  const harmonic = Array.from({ length: 3000 }, (_, i) => 1 / (i + 1)).reduce((a, b) => a + b);
  expect(await guest.shell(`awk 'BEGIN { ${newton}; ${series}; printf "%.12f %.10f\\n", x, h }'`)).toBe(
    `${Math.SQRT2.toFixed(12)} ${harmonic.toFixed(10)}\n`,
  );
  expect(await guest.shell("seq 20000 | md5sum")).toBe(`${md5(lines(1, 20000))}  -\n`);
  expect(await guest.shell("head -c 3000000 /dev/zero | md5sum")).toBe(`${md5(new Uint8Array(3_000_000))}  -\n`);
  const sha = createHash("sha256").update(lines(1, 5000)).digest("hex");
  expect(await guest.shell("seq 5000 | gzip | gunzip | sha256sum")).toBe(`${sha}  -\n`);
  const sorted = Array.from({ length: 3000 }, (_, i) => String(3000 - i)).sort();
  expect(await guest.shell("seq 3000 -1 1 | sort | md5sum")).toBe(`${md5(sorted.join("\n") + "\n")}  -\n`);
  expect(await guest.shell("i=0; while [ $i -lt 40 ]; do i=$((i + $(echo 1))); done; echo $i")).toBe("40\n");
  expect(await guest.shell("seq 1000 > /tmp/f; dd if=/tmp/f bs=7 2>/dev/null | cmp - /tmp/f && wc -c < /tmp/f")).toBe(
    `${lines(1, 1000).length}\n`,
  );
  expect(await guest.command("false")).toEqual({ printed: "", status: 1 });
  // A user process may die without hurting the others.
  expect((await guest.command("sh -c 'kill -SEGV $$'")).status).toBe(128 + 11);

  // The time of day is the host's.
  const guestSeconds = Number(await guest.shell("date +%s"));
  expect(Math.abs(guestSeconds - Date.now() / 1000)).toBeLessThan(3600);
  // The shell has a terminal with job control: Ctrl-C ends what runs in front.
  guest.type("sh -c 'echo now''-asleep; exec sleep 100000'\n");
  await guest.says("now-asleep");
  guest.type("\x03");
  await guest.says("# ");
  expect(await guest.shell("echo here")).toBe("here\n");
  expect(await guest.shell("sleep 1; uptime | grep -c up")).toBe("1\n");

  guest.type("poweroff -f\n");
  expect(await guest.exited, guest.errors).toBe(0);
});

test("a guest without an init panics: a wrong word on the kernel's command line does not go unnoticed", async () => {
  await expect(boot("rdinit=/bin/no-such-program")).rejects.toThrow(/gave up.*Kernel panic - not syncing/s);
});

test("one flipped bit in the kernel image does not go unnoticed", async () => {
  const folder = mkdtempSync(join(tmpdir(), "anneau-guests-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const image = readFileSync(join(media, "vmlinuz"));
  image[image.length >>> 1] ^= 0x10;
  const kernel = join(folder, "vmlinuz");
  writeFileSync(kernel, image);
  await expect(boot("quiet", kernel)).rejects.toThrow(/gave up.*-- System halted/s);
});
