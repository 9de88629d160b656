import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FormatError } from "../base/errors.ts";
import { blockBackendConformance, discard, randomNumbers, read, write } from "./conformance.ts";
import { createVdi } from "./create.ts";
import { ImageFile } from "./image-file.ts";
import { openMedium, readMediumInfo } from "./open.ts";
import { VdiImage } from "./vdi.ts";
import * as layout from "./vdi-header.ts";

const mib = 1 << 20;
const uuid = "8a3e1f60-1c2d-4e5f-a0b1-c2d3e4f50617";
let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "anneau-vdi-"));
  path = join(folder, "disk.vdi");
});
afterEach(() => rmSync(folder, { recursive: true }));

const disk = { kind: "disk", readOnly: false } as const;
const open = (readOnly = false) => openMedium(path, { ...disk, readOnly });
const sectorOf = (value: number) => new Uint8Array(512).fill(value);

for (const variant of ["Standard", "Fixed"] as const)
  describe(`VDI images (${variant}) conform`, () => {
    for (const check of blockBackendConformance)
      it(check.name, () => {
        check.run({
          create(sizeBytes) {
            createVdi(path, { sizeBytes, variant });
            return open();
          },
          reopen(medium, readOnly) {
            medium.close();
            return open(readOnly);
          },
        });
      });
  });

describe("VDI images", () => {
  it("are created as VirtualBox lays them out, and say so", () => {
    createVdi(path, { sizeBytes: 5 * mib, variant: "Standard", uuid });
    const bytes = readFileSync(path);
    expect(bytes.readUInt32LE(layout.OFFSET_SIGNATURE)).toBe(0xbeda107f);
    expect(bytes.readUInt32LE(layout.OFFSET_HEADER_SIZE)).toBe(0x190);
    expect(bytes.readUInt32LE(layout.OFFSET_MAP_OFFSET)).toBe(mib);
    expect(bytes.readUInt32LE(layout.OFFSET_DATA_OFFSET)).toBe(2 * mib);
    expect(bytes.subarray(layout.OFFSET_UUID, layout.OFFSET_UUID + 8).toString("hex")).toBe("601f3e8a2d1c5f4e");
    const info = readMediumInfo(path);
    expect(info).toMatchObject({ uuid, format: "VDI", variant: "Standard", type: "normal", capacityBytes: 5 * mib });
    expect(info.sizeOnDiskBytes).toBe(2 * mib);
    expect(info.geometry).toBeUndefined();
    expect(info.parentUuid).toBeUndefined();
  });

  it("grow by a block where data is written, not where zeros are", () => {
    createVdi(path, { sizeBytes: 100 * mib, variant: "Standard" });
    const medium = open();
    write(medium, 50 * mib, sectorOf(0));
    expect(statSync(path).size).toBe(2 * mib);
    write(medium, 50 * mib, sectorOf(1));
    write(medium, 99 * mib, sectorOf(2));
    expect(statSync(path).size).toBe(4 * mib);
    write(medium, 50 * mib + 512, sectorOf(3));
    expect(statSync(path).size).toBe(4 * mib);
    medium.close();
    expect(readFileSync(path).readUInt32LE(layout.OFFSET_BLOCKS_ALLOCATED)).toBe(2);
  });

  it("report progress to 100 and never overwrite a file", () => {
    const seen: number[] = [];
    createVdi(path, { sizeBytes: 3 * mib, variant: "Fixed", onProgress: (percent) => seen.push(percent) });
    expect(seen).toEqual([33, 66, 100]);
    expect(statSync(path).size).toBe(5 * mib);
    const before = readFileSync(path);
    expect(() => createVdi(path, { sizeBytes: mib, variant: "Standard" })).toThrow(/disk\.vdi: it exists already$/);
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(readdirSync(folder)).toEqual(["disk.vdi"]);
    expect(() => createVdi(join(folder, "x.vdi"), { sizeBytes: 1000, variant: "Standard" })).toThrow(/multiple of 512/);
    expect(() => createVdi(join(folder, "no/x.vdi"), { sizeBytes: 512, variant: "Standard" })).toThrow(/ENOENT/);
  });

  it("change the modification UUID at the first write of each opening only", () => {
    createVdi(path, { sizeBytes: 4 * mib, variant: "Standard", uuid });
    const modification = () => readMediumInfo(path).modificationUuid;
    const created = modification();
    open().close();
    expect(modification()).toBe(created);
    const medium = open();
    write(medium, 0, sectorOf(1));
    const first = modification();
    expect(first).not.toBe(created);
    write(medium, 2 * mib, sectorOf(1));
    expect(modification()).toBe(first);
    medium.close();
    expect(readMediumInfo(path).uuid).toBe(uuid);
  });

  it("keep a logical geometry", () => {
    createVdi(path, { sizeBytes: 4 * mib, variant: "Standard" });
    let medium = open();
    expect(medium.logicalGeometry).toBeUndefined();
    medium.storeLogicalGeometry!({ cylinders: 1023, heads: 128, sectors: 63 });
    medium.storeLogicalGeometry!({ cylinders: 5000, heads: 16, sectors: 63 });
    medium.close();
    medium = open(true);
    expect(medium.logicalGeometry).toEqual({ cylinders: 1023, heads: 128, sectors: 63 });
    medium.storeLogicalGeometry!({ cylinders: 1, heads: 1, sectors: 1 });
    medium.close();
    expect(readMediumInfo(path).geometry).toEqual({ cylinders: 1023, heads: 128, sectors: 63 });
  });

  it("read an explicit zero block as zeros and allocate it on a write", () => {
    createVdi(path, { sizeBytes: 2 * mib, variant: "Standard" });
    patch((view) => view.setUint32(mib, layout.ENTRY_ZERO, true));
    const medium = open();
    const back = sectorOf(0xee);
    expect(read(medium, 0, back)).toBe(true);
    expect(back).toEqual(sectorOf(0));
    write(medium, 0, sectorOf(9));
    read(medium, 0, back);
    expect(back).toEqual(sectorOf(9));
    medium.close();
  });

  it("survive a process that died between data, map entry and header", () => {
    createVdi(path, { sizeBytes: 4 * mib, variant: "Standard" });
    let medium = open();
    write(medium, 0, sectorOf(1));
    write(medium, mib, sectorOf(2));
    medium.close();
    // The header's count is one behind, and half of a third block is there without a map entry.
    patch((view) => view.setUint32(layout.OFFSET_BLOCKS_ALLOCATED, 1, true));
    writeFileSync(path, Buffer.concat([readFileSync(path), Buffer.alloc(mib / 2, 0xaa)]));
    medium = open();
    write(medium, 3 * mib + 512, sectorOf(3));
    const back = new Uint8Array(4 * mib);
    read(medium, 0, back);
    expect([back[0], back[mib], back[2 * mib], back[3 * mib], back[3 * mib + 512], back[3 * mib + 1024]]).toEqual([
      1, 2, 0, 0, 3, 0,
    ]);
    medium.close();
    expect(readFileSync(path).readUInt32LE(layout.OFFSET_BLOCKS_ALLOCATED)).toBe(3);
  });

  it("use a hole when the header counts every block as allocated", () => {
    createVdi(path, { sizeBytes: 2 * mib, variant: "Fixed" });
    patch((view) => {
      view.setUint32(layout.OFFSET_TYPE, 1, true);
      view.setUint32(mib, layout.ENTRY_FREE, true);
      view.setUint8(2 * mib, 0xaa);
    });
    const medium = open();
    write(medium, 512, sectorOf(5));
    const back = new Uint8Array(1024);
    read(medium, 0, back);
    expect([back[0], back[512]]).toEqual([0, 5]);
    medium.close();
    expect(statSync(path).size).toBe(4 * mib);
  });

  it("do not grow when discarded ranges are written again", () => {
    createVdi(path, { sizeBytes: 4 * mib, variant: "Standard" });
    const medium = open();
    for (let round = 0; round < 3; round++) {
      write(medium, 0, new Uint8Array(2 * mib).fill(7));
      expect(discard(medium, 0, 4 * mib)).toBe(true);
    }
    medium.close();
    expect(statSync(path).size).toBe(4 * mib);
  });

  it("answer false, and say why once, when the host refuses", () => {
    createVdi(path, { sizeBytes: 4 * mib, variant: "Standard" });
    const said: string[] = [];
    const file = new ImageFile(path, "r", (text) => said.push(text));
    // Opened for reading underneath a medium that believes it can write: every write fails, as on a full disk.
    const medium = new VdiImage(file, { readOnly: false });
    expect(write(medium, 0, sectorOf(1))).toBe(false);
    expect(said.length).toBe(1);
    expect(said[0]).toMatch(/disk\.vdi: cannot write at byte 408: .* \(EBADF\)/);
    const back = sectorOf(0xee);
    expect(read(medium, 0, back)).toBe(true);
    expect(back).toEqual(sectorOf(0));
    file.close();
  });
});

describe("VDI images that lie", () => {
  const cases: [name: string, says: RegExp, edit: (view: DataView) => void][] = [
    [
      "signature of an old vendor version",
      /version 0\.1 instead of 1\.1/,
      (v) => v.setUint32(layout.OFFSET_VERSION, 1, true),
    ],
    ["tiny header", /header size 16/, (v) => v.setUint32(layout.OFFSET_HEADER_SIZE, 16, true)],
    ["unknown type", /image type 9/, (v) => v.setUint32(layout.OFFSET_TYPE, 9, true)],
    ["differencing", /is a differencing image: only base images/, (v) => v.setUint32(layout.OFFSET_TYPE, 4, true)],
    ["undo", /is a undo image/, (v) => v.setUint32(layout.OFFSET_TYPE, 3, true)],
    ["block size zero", /block size 0/, (v) => v.setUint32(layout.OFFSET_BLOCK_SIZE, 0, true)],
    ["odd block size", /block size 1048577/, (v) => v.setUint32(layout.OFFSET_BLOCK_SIZE, mib + 1, true)],
    ["huge block size", /block size 2147483648/, (v) => v.setUint32(layout.OFFSET_BLOCK_SIZE, 0x8000_0000, true)],
    ["extra bytes", /512 extra bytes/, (v) => v.setUint32(layout.OFFSET_BLOCK_EXTRA, 512, true)],
    ["sector size", /sector size 4096/, (v) => v.setUint32(layout.OFFSET_LEGACY_SECTOR_SIZE, 4096, true)],
    ["size zero", /disk size 0/, (v) => v.setBigUint64(layout.OFFSET_DISK_SIZE, 0n, true)],
    [
      "huge size",
      /disk size 18446744073709552000 with 4 blocks/,
      (v) => v.setBigUint64(layout.OFFSET_DISK_SIZE, 2n ** 64n - 1n, true),
    ],
    [
      "more disk than blocks",
      /with 4 blocks/,
      (v) => v.setBigUint64(layout.OFFSET_DISK_SIZE, BigInt(4 * mib + 1), true),
    ],
    ["too many blocks", /4294967295 blocks/, (v) => v.setUint32(layout.OFFSET_BLOCK_COUNT, 0xffff_ffff, true)],
    [
      "blocks beyond the map",
      /data at 2097152, block map of 300000 blocks/,
      (v) => v.setUint32(layout.OFFSET_BLOCK_COUNT, 300_000, true),
    ],
    [
      "more allocated than there are",
      /5 of 4 blocks allocated/,
      (v) => v.setUint32(layout.OFFSET_BLOCKS_ALLOCATED, 5, true),
    ],
    ["map inside the header", /block map at 0/, (v) => v.setUint32(layout.OFFSET_MAP_OFFSET, 0, true)],
    ["map at an odd place", /block map at 1048577/, (v) => v.setUint32(layout.OFFSET_MAP_OFFSET, mib + 1, true)],
    ["map behind the file", /data at 2097152/, (v) => v.setUint32(layout.OFFSET_MAP_OFFSET, 0xffff_fe00, true)],
    ["data inside the map", /data at 1048576/, (v) => v.setUint32(layout.OFFSET_DATA_OFFSET, mib, true)],
    ["block behind the file", /block 0 lies beyond the end of the file/, (v) => v.setUint32(mib, 7, true)],
    ["block far behind the file", /block 2 lies beyond the end/, (v) => v.setUint32(mib + 8, 0xffff_fffd, true)],
    ["two blocks in one place", /two blocks share place 1 \(block 1/, (v) => v.setUint32(mib, 1, true)],
    [
      "fixed image with a hole",
      /block 2 of a fixed image is not allocated/,
      (v) => v.setUint32(layout.OFFSET_TYPE, 2, true),
    ],
  ];

  for (const [name, says, edit] of cases)
    it(`are refused in one line and left alone: ${name}`, () => {
      makeSmall();
      patch(edit);
      const before = readFileSync(path);
      let message = "";
      try {
        open().close();
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
        message = (error as Error).message;
      }
      expect(message).toMatch(says);
      expect(message).not.toContain("\n");
      expect(message).toContain(path);
      expect(readFileSync(path).equals(before)).toBe(true);
      expect(readdirSync(folder)).toEqual(["disk.vdi"]);
    });

  it("are found truncated at any length", () => {
    makeSmall();
    const full = statSync(path).size;
    const copy = join(folder, "cut.vdi");
    for (const length of [0x44, 400, 511, 512, mib, mib + 12, 2 * mib, full - mib - 1, full - 1]) {
      copyFileSync(path, copy);
      truncateSync(copy, length);
      expect(() => openMedium(copy, disk), `${length} bytes`).toThrow(FormatError);
    }
  });

  it("never make the parser throw anything else or hang, whatever the header says (seeded)", () => {
    makeSmall();
    const good = readFileSync(path);
    const random = randomNumbers(0xf022);
    const words = [0, 1, 2, 4, 0x190, 512, mib, 2 * mib, 4 * mib, 0x7fff_ffff, 0x8000_0000, 0xffff_fe00, 0xffff_fffe];
    let opened = 0;
    for (let round = 0; round < 600; round++) {
      const bytes = Buffer.from(good);
      for (let edits = 1 + random(4); edits > 0; edits--) {
        const offset = random(3) === 0 ? mib + random(4) * 4 : 0x40 + random(0x66) * 4;
        bytes.writeUInt32LE(random(2) === 0 ? words[random(words.length)] : random(0x1_0000_0000), offset);
      }
      writeFileSync(path, bytes);
      try {
        const file = new ImageFile(path, "r+");
        try {
          const medium = new VdiImage(file, { readOnly: false });
          opened++;
          write(medium, medium.sizeBytes - 512, sectorOf(1));
          read(medium, 0, new Uint8Array(Math.min(medium.sizeBytes, 3 * mib)));
        } finally {
          file.close();
        }
        // What was accepted and written must be acceptable again.
        openMedium(path, { ...disk, format: "VDI" }).close();
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    }
    expect(opened).toBeGreaterThan(20);
  });
});

/** 4 MiB with blocks 0 and 1 allocated. */
function makeSmall(): void {
  createVdi(path, { sizeBytes: 4 * mib, variant: "Standard" });
  const medium = open();
  write(medium, 0, sectorOf(1));
  write(medium, mib, sectorOf(2));
  medium.close();
}

function patch(edit: (view: DataView) => void): void {
  const bytes = readFileSync(path);
  edit(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  writeFileSync(path, bytes);
}
