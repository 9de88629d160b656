/** ISO images cross-checked with xorriso and isoinfo, and booted with isolinux under QEMU. */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { linuxGuest } from "../../scripts/media/linux-guest.ts";
import { listIso, readIsoFile } from "../../src/disk/iso9660.ts";
import { type IsoFile, writeIso } from "../../src/disk/iso9660-writer.ts";

let folder: string;
beforeAll(() => {
  const tools = { xorriso: "xorriso", isoinfo: "genisoimage", "qemu-system-i386": "qemu-system-x86" };
  for (const [tool, aptPackage] of Object.entries(tools))
    if (spawnSync(tool, ["-version"]).error) throw new Error(`${tool} is missing: apt-get install ${aptPackage}`);
  for (const [file, aptPackage] of [
    ["/usr/lib/ISOLINUX/isolinux.bin", "isolinux"],
    ["/usr/lib/syslinux/modules/bios/ldlinux.c32", "syslinux-common"],
  ])
    if (!existsSync(file)) throw new Error(`${file} is missing: apt-get install ${aptPackage}`);
  folder = mkdtempSync(join(tmpdir(), "anneau-iso-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const content = {
  "/hello.txt": Buffer.from("hello\n"),
  "/folder with spaces/A long name, indeed.tar.gz": Buffer.alloc(100_000, "abc"),
  "/folder with spaces/sub/empty": Buffer.alloc(0),
  "/folder with spaces/sub/one sector": Buffer.alloc(2048, 1),
  ...Object.fromEntries(Array.from({ length: 120 }, (_, n) => [`/many/file-number-${n}`, Buffer.from(`${n}`)])),
};

describe("an ISO image that we write", () => {
  it("is read by xorriso and isoinfo with the same names and bytes", () => {
    const iso = join(folder, "content.iso");
    const files = Object.entries(content).map(([path, source]) => ({ path, source }));
    writeIso(iso, { volumeId: "CONTENT", files });
    const out = join(folder, "extracted");
    const log = spawnSync("xorriso", ["-osirrox", "on", "-indev", iso, "-extract", "/", out], { encoding: "utf8" });
    expect(log.status, log.stderr).toBe(0);
    expect(log.stderr).not.toMatch(/SORRY|FAILURE|WARNING/);
    for (const [path, bytes] of Object.entries(content))
      expect(readFileSync(join(out, path)).equals(bytes), path).toBe(true);
    const names = execFileSync("isoinfo", ["-R", "-f", "-i", iso], { encoding: "utf8" }).trim().split("\n");
    for (const path of Object.keys(content)) expect(names).toContain(path);
    const plain = execFileSync("isoinfo", ["-f", "-i", iso], { encoding: "utf8" }).trim().split("\n");
    expect(plain).toContain("/HELLO.TXT;1");
    expect(new Set(plain).size).toBe(plain.length);
    const info = execFileSync("isoinfo", ["-d", "-i", iso], { encoding: "utf8" });
    expect(info).toMatch(/Volume id: CONTENT/);
    expect(info).toMatch(/Rock Ridge signatures version 1 found/);
    // The path tables, too, must name every folder at its place.
    const tables = execFileSync("isoinfo", ["-p", "-i", iso], { encoding: "utf8" });
    for (const entry of listIso(iso).entries.filter((one) => one.isFolder))
      expect(tables).toMatch(new RegExp(`\\b${entry.lba.toString(16)}\\b`));
  });

  it("is an El Torito disc for xorriso", () => {
    const iso = join(folder, "report.iso");
    writeIsolinux(iso, "prompt 1\n");
    const report = spawnSync("xorriso", ["-indev", iso, "-report_el_torito", "plain"], { encoding: "utf8" });
    expect(report.stdout).toMatch(/El Torito cat path|El Torito catalog|El Torito boot img :\s+1\s+BIOS\s+y\s+none/);
    expect(report.stdout).toMatch(/boot-info-table|boot_info_table/i);
  });

  it("boots under QEMU: isolinux shows its prompt on the port that its configuration names", async () => {
    const iso = join(folder, "boot.iso");
    writeIsolinux(iso, "serial 0 115200\nprompt 1\ntimeout 0\n");
    expect(await qemuSays(iso, /boot: /)).toMatch(/ISOLINUX 6/);
  });

  it("boots under QEMU: isolinux loads a kernel and its initramfs", async () => {
    const guest = await linuxGuest();
    const iso = join(folder, "linux.iso");
    writeIsolinux(
      iso,
      "default linux\nlabel linux\n  kernel vmlinuz\n  append initrd=initrd.gz console=ttyS0 quiet\n",
      [
        { path: "/isolinux/vmlinuz", source: join(guest, "vmlinuz") },
        { path: "/isolinux/initrd.gz", source: join(guest, "initrd.gz") },
      ],
    );
    await qemuSays(iso, /ANNEAU-GUEST-READY 6\./);
  });
});

describe("an ISO image that xorriso writes", () => {
  it("is listed and read by us, long names and continuation areas included", () => {
    const source = join(folder, "extracted");
    const iso = join(folder, "xorriso.iso");
    const long = "n".repeat(200);
    execFileSync("cp", [join(source, "hello.txt"), join(source, long)]);
    execFileSync("xorriso", ["-as", "mkisofs", "-quiet", "-R", "-V", "OTHER", "-o", iso, source]);
    expect(listIso(iso).volumeId).toBe("OTHER");
    for (const [path, bytes] of Object.entries(content))
      expect(Buffer.from(readIsoFile(iso, path)).equals(bytes), path).toBe(true);
    expect(Buffer.from(readIsoFile(iso, `/${long}`)).toString()).toBe("hello\n");
  });
});

function writeIsolinux(iso: string, configuration: string, files: readonly IsoFile[] = []): void {
  writeIso(iso, {
    volumeId: "ISOLINUX",
    files: [
      { path: "/isolinux/isolinux.bin", source: "/usr/lib/ISOLINUX/isolinux.bin" },
      { path: "/isolinux/ldlinux.c32", source: "/usr/lib/syslinux/modules/bios/ldlinux.c32" },
      { path: "/isolinux/isolinux.cfg", source: Buffer.from(configuration) },
      ...files,
    ],
    boot: { imagePath: "/isolinux/isolinux.bin", loadSectors: 4, patchBootInfoTable: true },
  });
}

/** Runs the disc until its serial port says the pattern; fails with what it said after two minutes. */
function qemuSays(iso: string, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    const args = ["-m", "64", "-display", "none", "-serial", "stdio", "-net", "none", "-boot", "d", "-cdrom", iso];
    const qemu = spawn("qemu-system-i386", args, { stdio: ["ignore", "pipe", "inherit"] });
    let said = "";
    const timer = setTimeout(() => qemu.kill("SIGKILL"), 120_000);
    qemu.stdout.on("data", (bytes: Buffer) => {
      said += bytes.toString("latin1");
      if (pattern.test(said)) qemu.kill("SIGKILL");
    });
    qemu.once("exit", () => {
      clearTimeout(timer);
      if (pattern.test(said)) resolve(said);
      else reject(new Error(`the guest never said ${pattern}: ${JSON.stringify(said)}`));
    });
  });
}
