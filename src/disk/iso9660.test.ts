import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AnneauError, FormatError } from "../base/errors.ts";
import { randomNumbers } from "./conformance.ts";
import { listIso, readIsoFile } from "./iso9660.ts";
import { type IsoFile, writeIso } from "./iso9660-writer.ts";

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "anneau-iso-"));
  path = join(folder, "disc.iso");
});
afterEach(() => rmSync(folder, { recursive: true }));

const date = new Date("2024-02-29T12:34:56Z");
const text = (path_: string, content = path_): IsoFile => ({ path: path_, source: Buffer.from(content) });

describe("ISO images", () => {
  it("give back every file under its real name", () => {
    const onHost = join(folder, "host.bin");
    const large = Buffer.alloc(3_000_001, "anneau");
    writeFileSync(onHost, large);
    const files = [
      text("/README.txt"),
      text("/a long name with Ümlauts.tar.gz"),
      text("/empty", ""),
      { path: "/deep/er/and deeper/file", source: onHost },
      text("/deep/.hidden"),
    ];
    writeIso(path, { volumeId: "Test disc", files, date });
    const { entries, volumeId, boot } = listIso(path);
    expect(volumeId).toBe("TEST_DISC");
    expect(boot).toBeUndefined();
    expect(entries.map((entry) => entry.path).sort()).toEqual(
      [...files.map((file) => file.path), "/deep", "/deep/er", "/deep/er/and deeper"].sort(),
    );
    expect(Buffer.from(readIsoFile(path, "/deep/er/and deeper/file")).equals(large)).toBe(true);
    for (const file of files.filter((one) => typeof one.source !== "string"))
      expect(Buffer.from(readIsoFile(path, file.path))).toEqual(file.source);
    expect(() => readIsoFile(path, "/deep")).toThrow(/holds no file \/deep/);
  });

  it("keep names apart whose identifiers would be the same, in folders of several sectors", () => {
    const files = Array.from({ length: 300 }, (_, n) => text(`/folder/same-beginning-${n}.text`));
    writeIso(path, { volumeId: "MANY", files, date });
    const { entries } = listIso(path);
    expect(entries.length).toBe(301);
    for (const n of [0, 9, 99, 299])
      expect(Buffer.from(readIsoFile(path, `/folder/same-beginning-${n}.text`)).toString()).toBe(files[n].path);
  });

  it("name a boot image and tell it where it lies", () => {
    const image = Buffer.alloc(5001, 7);
    writeIso(path, {
      volumeId: "BOOT",
      files: [text("/first"), { path: "/isolinux/isolinux.bin", source: image }],
      boot: { imagePath: "/isolinux/isolinux.bin", loadSectors: 4, patchBootInfoTable: true },
      date,
    });
    const { boot, entries } = listIso(path);
    const entry = entries.find((one) => one.path.endsWith("isolinux.bin"))!;
    expect(boot).toEqual({ lba: entry.lba, loadSectors: 4 });
    const stored = Buffer.from(readIsoFile(path, "/isolinux/isolinux.bin"));
    expect([stored.readUInt32LE(8), stored.readUInt32LE(12), stored.readUInt32LE(16)]).toEqual([16, entry.lba, 5001]);
    // 1234 words of 07070707h, and one last byte 07h.
    expect(stored.readUInt32LE(20)).toBe((1234 * 0x07070707 + 7) % 0x1_0000_0000);
    expect(stored.subarray(24, 64).every((byte) => byte === 0)).toBe(true);
    expect(stored.subarray(64).equals(image.subarray(64))).toBe(true);
  });

  it("are the same bytes for the same input", () => {
    const files = [text("/b"), text("/a/x")];
    writeIso(path, { volumeId: "SAME", files, date });
    writeIso(join(folder, "again.iso"), { volumeId: "SAME", files, date });
    expect(readFileSync(path).equals(readFileSync(join(folder, "again.iso")))).toBe(true);
  });

  it("refuse, in one line and without leaving a file, what they cannot hold", () => {
    const writing = (files: IsoFile[], imagePath?: string) => () =>
      writeIso(path, {
        volumeId: "X",
        files,
        boot: imagePath ? { imagePath, loadSectors: 4, patchBootInfoTable: true } : undefined,
      });
    expect(writing([text("relative")])).toThrow(/relative is not an absolute path/);
    expect(writing([text("/a"), text("/a")])).toThrow(/\/a is there twice/);
    expect(writing([text("/a"), text("/a/b")])).toThrow(/a is a file already/);
    expect(writing([text("/1/2/3/4/5/6/7/8/9")])).toThrow(/deeper than 8 levels/);
    expect(writing([text(`/${"n".repeat(121)}`)])).toThrow(/longer than 120 bytes/);
    expect(writing([{ path: "/x", source: join(folder, "none") }])).toThrow(/none is not a file/);
    expect(writing([text("/x")], "/boot")).toThrow(/boot image \/boot is not among/);
    expect(writing([text("/x")], "/x")).toThrow(AnneauError);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("that are damaged end in a FormatError, never in another error or a loop (seeded)", () => {
    writeIso(path, {
      volumeId: "FUZZ",
      files: [text("/a/b/c"), text("/a/d"), text("/boot.bin", "x".repeat(100))],
      boot: { imagePath: "/boot.bin", loadSectors: 4, patchBootInfoTable: true },
      date,
    });
    const good = readFileSync(path);
    const random = randomNumbers(0x150);
    const interesting = [0, 1, 2, 16, 19, 20, 21, 22, 34, 0xff, 0x7fff_ffff, 0xffff_ffff];
    let failures = 0;
    for (let round = 0; round < 800; round++) {
      const bytes = Buffer.from(good);
      for (let edits = 1 + random(6); edits > 0; edits--) {
        const at = 16 * 2048 + random(bytes.length - 16 * 2048 - 4);
        if (random(2) === 0) bytes[at] = random(256);
        else bytes.writeUInt32LE(interesting[random(interesting.length)], at);
        // Directory records are dense: aim at them more often.
        const record = (21 + random(3)) * 2048 + random(400);
        bytes[record] = random(2) === 0 ? random(256) : interesting[random(9)];
      }
      writeFileSync(path, bytes);
      try {
        for (const entry of listIso(path).entries) if (!entry.isFolder) readIsoFile(path, entry.path);
      } catch (error) {
        failures++;
        expect(error).toBeInstanceOf(FormatError);
      }
    }
    expect(failures).toBeGreaterThan(100);
  });

  it("that contain a folder inside itself are refused", () => {
    writeIso(path, { volumeId: "LOOP", files: [text("/a/b/c")], date });
    const { entries } = listIso(path);
    const bytes = readFileSync(path);
    const a = entries.find((entry) => entry.path === "/a")!;
    const b = entries.find((entry) => entry.path === "/a/b")!;
    bytes.writeUInt32LE(a.lba, bytes.indexOf(u32(b.lba), a.lba * 2048));
    writeFileSync(path, bytes);
    expect(() => listIso(path)).toThrow(/inside itself or twice/);
  });
});

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
