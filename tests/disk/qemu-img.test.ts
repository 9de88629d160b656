/** VDI images cross-checked with qemu-img, both ways. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { randomNumbers, read, write } from "../../src/disk/conformance.ts";
import { createVdi } from "../../src/disk/create.ts";
import { openMedium, readMediumInfo } from "../../src/disk/open.ts";
import { compactVdiInSteps, resizeVdiInSteps } from "../../src/disk/vdi-maintenance.ts";

const mib = 1 << 20;
let folder: string;
beforeAll(() => {
  if (spawnSync("qemu-img", ["--version"]).error) throw new Error("qemu-img is missing: apt-get install qemu-utils");
  folder = mkdtempSync(join(tmpdir(), "anneau-qemu-img-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const qemuImg = (...args: string[]) => execFileSync("qemu-img", args, { encoding: "utf8" });
const disk = { kind: "disk", readOnly: false } as const;

/** A disk with data in odd places: sectors, runs across block borders, its first and last sector. */
function content(sizeBytes: number, seed: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes);
  const random = randomNumbers(seed);
  const put = (offset: number, length: number) => {
    for (let i = 0; i < length; i++) bytes[offset + i] = 1 + random(255);
  };
  put(0, 512);
  put(sizeBytes - 512, 512);
  for (let run = 0; run < 8; run++) put(random(sizeBytes / 512 - 3000) * 512, (1 + random(3000)) * 512);
  return bytes;
}

describe("images that we write", () => {
  for (const variant of ["Standard", "Fixed"] as const)
    it(`are sound and hold the same bytes for qemu-img (${variant})`, () => {
      const sizeBytes = 20 * mib + 5 * 512;
      const data = content(sizeBytes, 11);
      const raw = join(folder, `${variant}.raw`);
      const vdi = join(folder, `${variant}.vdi`);
      writeFileSync(raw, data);
      createVdi(vdi, { sizeBytes, variant });
      const medium = openMedium(vdi, disk);
      // Sector by sector in no order, as a guest would: blocks end up shuffled.
      const order = Array.from({ length: sizeBytes / 512 }, (_, sector) => sector);
      const random = randomNumbers(12);
      for (let i = order.length - 1; i > 0; i--) {
        const j = random(i + 1);
        [order[i], order[j]] = [order[j], order[i]];
      }
      for (const sector of order) write(medium, sector * 512, data.subarray(sector * 512, sector * 512 + 512));
      medium.storeLogicalGeometry?.({ cylinders: 40, heads: 16, sectors: 63 });
      medium.close();
      expect(qemuImg("check", "-f", "vdi", vdi)).toMatch(/No errors were found/);
      expect(qemuImg("compare", "-f", "vdi", "-F", "raw", vdi, raw)).toMatch(/Images are identical/);
      expect(JSON.parse(qemuImg("info", "--output=json", vdi))).toMatchObject({
        format: "vdi",
        "virtual-size": sizeBytes,
      });
    });
});

describe("images that were changed in place", () => {
  it("are sound and hold the same bytes for qemu-img", () => {
    const sizeBytes = 9 * mib + 512;
    const data = Buffer.concat([content(sizeBytes, 21), Buffer.alloc(20 * mib - sizeBytes)]);
    data.fill(0, 2 * mib, 5 * mib);
    const [raw, vdi] = [join(folder, "changed.raw"), join(folder, "changed.vdi")];
    writeFileSync(raw, data);
    createVdi(vdi, { sizeBytes, variant: "Standard" });
    const medium = openMedium(vdi, disk);
    // Written with something else first, so that there are blocks to be given back.
    write(medium, 2 * mib, Buffer.alloc(3 * mib, 1));
    write(medium, 0, data.subarray(0, sizeBytes));
    medium.close();
    for (const steps of [resizeVdiInSteps(vdi, 20 * mib), compactVdiInSteps(vdi)]) {
      while (!steps.next().done) {}
      expect(qemuImg("check", "-f", "vdi", vdi)).toMatch(/No errors were found/);
      expect(qemuImg("compare", "-f", "vdi", "-F", "raw", vdi, raw)).toMatch(/Images are identical/);
    }
  });
});

describe("images that qemu-img writes", () => {
  for (const [name, options] of [
    ["dynamic", []],
    ["static", ["-o", "static=on"]],
  ] as const)
    it(`open with the same bytes, and stay sound after we wrote to them (${name})`, () => {
      const sizeBytes = 9 * mib + 512;
      const data = content(sizeBytes, 13);
      const raw = join(folder, `${name}.raw`);
      const vdi = join(folder, `${name}.vdi`);
      writeFileSync(raw, data);
      qemuImg("convert", "-f", "raw", "-O", "vdi", ...options, raw, vdi);
      const info = readMediumInfo(vdi);
      expect(info).toMatchObject({ capacityBytes: sizeBytes, variant: name === "static" ? "Fixed" : "Standard" });
      const medium = openMedium(vdi, disk);
      const back = new Uint8Array(sizeBytes);
      expect(read(medium, 0, back)).toBe(true);
      expect(Buffer.from(back).equals(data)).toBe(true);
      for (const sector of [1, 2047, 2048, 9000, 18432]) {
        const bytes = Buffer.alloc(512, sector);
        expect(write(medium, sector * 512, bytes)).toBe(true);
        bytes.copy(data, sector * 512);
      }
      medium.close();
      writeFileSync(raw, data);
      expect(qemuImg("check", "-f", "vdi", vdi)).toMatch(/No errors were found/);
      expect(qemuImg("compare", "-f", "vdi", "-F", "raw", vdi, raw)).toMatch(/Images are identical/);
    });

  it("copy into one of ours: a dynamic image leaves out zeros, a fixed one does not", () => {
    const raw = join(folder, "copy.raw");
    const data = Buffer.alloc(30 * mib);
    content(3 * mib, 14).copy(data, 10 * mib);
    writeFileSync(raw, data);
    for (const variant of ["Standard", "Fixed"] as const) {
      const vdi = join(folder, `copy-${variant}.vdi`);
      const source = openMedium(raw, { kind: "disk", readOnly: true, format: "RAW" });
      createVdi(vdi, { sizeBytes: data.length, variant, content: source });
      source.close();
      expect(readFileSync(vdi).length).toBe(variant === "Fixed" ? 32 * mib : 5 * mib);
      expect(qemuImg("compare", "-f", "vdi", "-F", "raw", vdi, raw)).toMatch(/Images are identical/);
    }
  });
});
