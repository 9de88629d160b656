import { closeSync, mkdtempSync, openSync, readdirSync, rmSync, statSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { BlockBackend } from "../backend-api/block.ts";
import { AnneauError } from "../base/errors.ts";
import { randomNumbers } from "./conformance.ts";
import { createVdi, type Steps } from "./create.ts";
import { ImageFile } from "./image-file.ts";
import { openMedium } from "./open.ts";
import { readVdiHeader } from "./vdi.ts";
import { compactVdiInSteps, resizeVdiInSteps, setVdiUuid } from "./vdi-maintenance.ts";

const mib = 1 << 20;
let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "anneau-vdi-"));
  path = join(folder, "disk.vdi");
});
afterEach(() => rmSync(folder, { recursive: true }));

function run(steps: Steps<void>, most = Number.POSITIVE_INFINITY): void {
  for (let count = 0; count < most; count++) if (steps.next().done) return;
  steps.throw(new Error("given up"));
}

function use<T>(work: (disk: BlockBackend) => T, readOnly = true): T {
  const disk = openMedium(path, { kind: "disk", readOnly, format: "VDI" });
  try {
    return work(disk);
  } finally {
    disk.close();
  }
}

const ok = (isOk: boolean) => expect(isOk).toBe(true);
const write = (offset: number, bytes: Uint8Array) => use((disk) => disk.write(offset, bytes, ok), false);
const read = (offset: number, length: number) =>
  use((disk) => {
    const bytes = new Uint8Array(length);
    disk.read(offset, bytes, ok);
    return bytes;
  });
const pattern = (seed: number, length = mib) => Uint8Array.from({ length }, (_, i) => (i * 7 + seed) & 0xff);

/** `toEqual` takes seconds for a megabyte. */
function same(offset: number, expected: Uint8Array): void {
  expect(Buffer.compare(read(offset, expected.length), expected), `bytes at ${offset}`).toBe(0);
}

function header() {
  const file = new ImageFile(path, "r");
  try {
    return readVdiHeader(file);
  } finally {
    file.close();
  }
}

test.each(["Standard", "Fixed"] as const)("a larger %s disk keeps what it had, the rest reads zero", (variant) => {
  // An odd size: the last block is cut.
  createVdi(path, { sizeBytes: 3 * mib + 512, variant });
  write(0, pattern(1));
  write(3 * mib, pattern(2, 512));
  const { uuid, modificationUuid } = header();
  run(resizeVdiInSteps(path, 10 * mib));
  expect(header()).toMatchObject({ diskBytes: 10 * mib, blockCount: 10, uuid });
  expect(header().modificationUuid).not.toBe(modificationUuid);
  same(0, pattern(1));
  same(3 * mib, pattern(2, 512));
  same(3 * mib + 512, new Uint8Array(mib));
  same(9 * mib, new Uint8Array(mib));
  write(9 * mib, pattern(3));
  same(9 * mib, pattern(3));
  expect(readdirSync(folder)).toEqual(["disk.vdi"]);
});

test("a map that gets too long for its place makes a new image of the same name", () => {
  createVdi(path, { sizeBytes: 2 * mib, variant: "Standard", comment: "mine" });
  write(mib, pattern(4));
  const before = header();
  // One block more than a map of 1 MiB has.
  const sizeBytes = (mib / 4 + 1) * mib;
  run(resizeVdiInSteps(path, sizeBytes));
  expect(header()).toMatchObject({ diskBytes: sizeBytes, dataOffset: 3 * mib, uuid: before.uuid, comment: "mine" });
  same(mib, pattern(4));
  expect(readdirSync(folder)).toEqual(["disk.vdi"]);
});

test("a disk is not made smaller, nor of odd sizes, nor while it is in use", () => {
  createVdi(path, { sizeBytes: 4 * mib, variant: "Standard" });
  expect(() => run(resizeVdiInSteps(path, 2 * mib))).toThrow(/cannot be made smaller/);
  expect(() => run(resizeVdiInSteps(path, 5 * mib + 1))).toThrow(/cannot have/);
  use(() => expect(() => run(resizeVdiInSteps(path, 8 * mib))).toThrow(/in use/));
  expect(header().diskBytes).toBe(4 * mib);
});

test("compacting gives the space of zeros back and keeps the rest", () => {
  createVdi(path, { sizeBytes: 12 * mib, variant: "Standard" });
  for (let block = 0; block < 10; block++) write(block * mib, pattern(block));
  for (const block of [0, 3, 4, 8]) write(block * mib, new Uint8Array(mib));
  const before = statSync(path).size;
  run(compactVdiInSteps(path));
  expect(before - statSync(path).size).toBe(4 * mib);
  expect(header().blocksAllocated).toBe(6);
  const expected = (block: number) => ([0, 3, 4, 8, 10, 11].includes(block) ? new Uint8Array(mib) : pattern(block));
  for (let block = 0; block < 12; block++) same(block * mib, expected(block));
  write(0, pattern(99));
  same(0, pattern(99));
  run(compactVdiInSteps(path));
  expect(header().blocksAllocated).toBe(7);
});

test("given up at any step, the image is whole and says the same", () => {
  for (const [i, most] of [1, 3, 9, 22].entries()) {
    const isFixed = i % 2 === 1;
    rmSync(path, { force: true });
    createVdi(path, { sizeBytes: 8 * mib, variant: isFixed ? "Fixed" : "Standard" });
    const bytes = (block: number) => (block % 3 === 0 ? new Uint8Array(mib) : pattern(block));
    use((disk) => {
      for (let block = 0; block < 8; block++) disk.write(block * mib, bytes(block), ok);
    }, false);
    for (const steps of [resizeVdiInSteps(path, 20 * mib), ...(isFixed ? [] : [compactVdiInSteps(path)])]) {
      try {
        run(steps, most);
      } catch (error) {
        expect((error as Error).message).toBe("given up");
      }
    }
    for (let block = 0; block < 8; block++) same(block * mib, bytes(block));
    expect(readdirSync(folder)).toEqual(["disk.vdi"]);
  }
});

test("fixed images have nothing to give back", () => {
  createVdi(path, { sizeBytes: 2 * mib, variant: "Fixed" });
  expect(() => run(compactVdiInSteps(path))).toThrow(/nothing to be given back/);
});

test("an image gets another UUID", () => {
  createVdi(path, { sizeBytes: mib, variant: "Standard" });
  const uuid = "11111111-2222-4333-8444-555555555555";
  setVdiUuid(path, uuid);
  expect(header().uuid).toBe(uuid);
});

test("damaged images end in one line or in an image that opens (seeded)", () => {
  const random = randomNumbers(31);
  let changed = 0;
  for (let round = 0; round < 60; round++) {
    rmSync(path, { force: true });
    createVdi(path, { sizeBytes: 4 * mib, variant: round % 3 === 0 ? "Fixed" : "Standard" });
    if (round % 3 !== 0) write(mib, pattern(round, 4096));
    const file = openSync(path, "r+");
    // Fields of the header, or entries of the map.
    for (let hits = random(4); hits >= 0; hits--) {
      const at = random(2) === 0 ? 0x48 + 4 * random(0x50) : mib + 4 * random(4);
      writeSync(file, Uint8Array.of(random(256), random(3), random(2) * random(256), 0), 0, 1 + random(4), at);
    }
    closeSync(file);
    try {
      run(round % 2 === 0 ? compactVdiInSteps(path) : resizeVdiInSteps(path, 6 * mib));
      use(() => {});
      changed++;
    } catch (error) {
      expect(error).toBeInstanceOf(AnneauError);
      expect((error as Error).message).not.toContain("\n");
    }
    expect(readdirSync(folder)).toEqual(["disk.vdi"]);
  }
  expect(changed).toBeGreaterThan(5);
});
