import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { blockBackendConformance, read, write } from "./conformance.ts";
import { createRaw } from "./create.ts";
import { openMedium } from "./open.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "anneau-raw-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const disk = { kind: "disk", format: "RAW", readOnly: false } as const;

describe("raw images conform", () => {
  for (const check of blockBackendConformance)
    it(check.name, () => {
      const path = join(folder, "disk.img");
      check.run({
        create(sizeBytes) {
          createRaw(path, { sizeBytes, variant: "Standard" });
          return openMedium(path, disk);
        },
        reopen(medium, readOnly) {
          medium.close();
          return openMedium(path, { ...disk, readOnly });
        },
      });
    });
});

describe("raw images", () => {
  it("shows a disk of odd size rounded up; the tail reads zero and a write completes it", () => {
    const path = join(folder, "odd.img");
    writeFileSync(path, Buffer.alloc(1000, 0x55));
    const medium = openMedium(path, disk);
    expect(medium.sizeBytes).toBe(1024);
    const sector = new Uint8Array(512).fill(0xee);
    expect(read(medium, 512, sector)).toBe(true);
    expect([...sector.subarray(486, 490)]).toEqual([0x55, 0x55, 0, 0]);
    expect(statSync(path).size).toBe(1000);
    expect(write(medium, 512, new Uint8Array(512).fill(0x77))).toBe(true);
    expect(statSync(path).size).toBe(1024);
    expect(read(medium, 512, sector)).toBe(true);
    expect(sector.every((byte) => byte === 0x77)).toBe(true);
    medium.close();
  });

  it("shows a disc in sectors of 2048 bytes, read-only whatever was asked", () => {
    const path = join(folder, "disc.iso");
    writeFileSync(path, Buffer.alloc(2048 * 3 + 512, 0x11));
    const medium = openMedium(path, { kind: "dvd", readOnly: false });
    expect(medium.readOnly).toBe(true);
    expect(medium.sizeBytes).toBe(2048 * 4);
    const sector = new Uint8Array(2048);
    expect(read(medium, 3 * 2048, sector)).toBe(true);
    expect([sector[511], sector[512], sector[2047]]).toEqual([0x11, 0, 0]);
    medium.close();
  });

  it("stays raw when it is said to be, whatever the guest wrote to its start", () => {
    const path = join(folder, "disk.img");
    createRaw(path, { sizeBytes: 1 << 20, variant: "Fixed" });
    const medium = openMedium(path, disk);
    const sector = new Uint8Array(512);
    sector.set([0x7f, 0x10, 0xda, 0xbe], 0x40);
    write(medium, 0, sector);
    medium.close();
    expect(() => openMedium(path, { kind: "disk", readOnly: false })).toThrow(/VDI/);
    const again = openMedium(path, disk);
    expect(again.sizeBytes).toBe(1 << 20);
    again.close();
  });

  it("refuses, in one line, what is no medium", () => {
    const file = (name: string, bytes: Uint8Array) => {
      writeFileSync(join(folder, name), bytes);
      return join(folder, name);
    };
    const opening = (path: string, kind: "disk" | "dvd" | "floppy") => () =>
      openMedium(path, { kind, readOnly: false });
    expect(opening(file("empty.img", new Uint8Array(0)), "disk")).toThrow(/empty\.img is empty$/);
    expect(opening(file("big.img", new Uint8Array(3_000_000)), "floppy")).toThrow(/too large for a floppy: 3000000/);
    expect(opening(join(folder, "missing.img"), "disk")).toThrow(
      /^cannot open .*missing\.img: no such file.* \(ENOENT\)$/,
    );
    expect(opening(folder, "disk")).toThrow(/it is not a file|illegal operation on a directory/);
    const fixedVhd = new Uint8Array(2048);
    fixedVhd.set(Buffer.from("conectix"), 1536);
    for (const [name, head] of [
      ["VMDK", Buffer.from("KDMV")],
      ["QCOW", Buffer.from("QFI\xfb", "latin1")],
      ["VHDX", Buffer.from("vhdxfile")],
    ] as const) {
      const bytes = new Uint8Array(1024);
      bytes.set(head);
      expect(opening(file(`${name}.img`, bytes), "disk")).toThrow(
        new RegExp(`is a ${name} image, which is not supported`),
      );
      expect([...readFileSync(join(folder, `${name}.img`))]).toEqual([...bytes]);
    }
    expect(opening(file("fixed.vhd", fixedVhd), "disk")).toThrow(/is a VHD image/);
    expect(opening(file("disk.VDI", new Uint8Array(1024)), "disk")).toThrow(/its signature is missing/);
    const rawCd = new Uint8Array(2352).fill(0xff, 1, 11);
    expect(opening(file("cd.bin", rawCd), "dvd")).toThrow(/2352 bytes a sector/);
  });
});
