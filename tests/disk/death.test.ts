/** What a VDI image is after its writer was killed, and after the host refused to store more. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { randomNumbers, read, write } from "../../src/disk/conformance.ts";
import { createVdi } from "../../src/disk/create.ts";
import { mediumLockState } from "../../src/disk/lock.ts";
import { openMedium } from "../../src/disk/open.ts";

const mib = 1 << 20;
const disk = { kind: "disk", readOnly: false } as const;
const source = join(import.meta.dirname, "../../src/disk");
let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "anneau-death-"));
  path = join(folder, "disk.vdi");
});
afterEach(() => rmSync(folder, { recursive: true }));

function child(code: string): ChildProcess {
  const preamble = `
    const { writeSync } = await import("node:fs");
    const { openMedium } = await import(${JSON.stringify(join(source, "open.ts"))});
    const { randomNumbers } = await import(${JSON.stringify(join(source, "conformance.ts"))});
    const medium = openMedium(${JSON.stringify(path)}, { kind: "disk", readOnly: false });
  `;
  return spawn(process.execPath, ["--input-type=module", "-e", preamble + code], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}

it("keeps every acknowledged write when the writer is killed, again and again", async () => {
  const sizeBytes = 64 * mib;
  createVdi(path, { sizeBytes, variant: "Standard" });
  /** Last acknowledged value of each sector. */
  const model = new Map<number, number>();
  for (let round = 0; round < 8; round++) {
    const writer = child(`
      const random = randomNumbers(${1000 + round});
      for (let step = 0; ; step++) {
        const sector = random(${sizeBytes / 512});
        const value = 1 + random(255);
        medium.write(sector * 512, new Uint8Array(512).fill(value), (ok) => {
          if (ok) writeSync(1, sector + " " + value + "\\n");
        });
      }`);
    let said = "";
    const random = randomNumbers(round);
    const wanted = 20 + random(400);
    await new Promise<void>((resolve) => {
      writer.stdout!.on("data", (bytes: Buffer) => {
        said += bytes.toString("latin1");
        if (said.split("\n").length > wanted) writer.kill("SIGKILL");
      });
      writer.once("close", () => resolve());
    });
    for (const line of said.slice(0, said.lastIndexOf("\n")).split("\n")) {
      const [sector, value] = line.split(" ").map(Number);
      model.set(sector, value);
    }
    expect(mediumLockState(path)).toBe("unlocked");
    const medium = openMedium(path, disk);
    const back = new Uint8Array(512);
    let different = 0;
    for (const [sector, value] of model) {
      expect(read(medium, sector * 512, back)).toBe(true);
      if (back.some((byte) => byte !== value)) different++;
    }
    // One write may have been done and not yet acknowledged when the process died.
    expect(different).toBeLessThanOrEqual(1);
    for (const sector of model.keys()) {
      read(medium, sector * 512, back);
      model.set(sector, back[0]);
    }
    medium.close();
  }
  expect(model.size).toBeGreaterThan(500);
});

it("reports writes that the host refuses, and the image stays usable", async () => {
  createVdi(path, { sizeBytes: 16 * mib, variant: "Standard" });
  // A limit on the size of files stands in for a full disk: the host refuses in the same calls.
  const limited = spawn(
    "sh",
    [
      "-c",
      // In blocks of 512 bytes in dash, 1024 in bash: between the 2 MiB of the new image and its full 18 MiB in both.
      'ulimit -f 12288; exec "$0" --input-type=module -e "$1"',
      process.execPath,
      `process.on("SIGXFSZ", () => {});
       const { openMedium } = await import(${JSON.stringify(join(source, "open.ts"))});
       let said = 0;
       const medium = openMedium(${JSON.stringify(path)}, { kind: "disk", readOnly: false, onHostError: () => said++ });
       const answers = [];
       for (let block = 0; block < 16; block++)
         medium.write(block * ${mib}, new Uint8Array(512).fill(block + 1), (ok) => answers.push(ok));
       medium.close();
       console.log(JSON.stringify({ answers, said }));`,
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  let said = "";
  limited.stdout.on("data", (bytes: Buffer) => (said += bytes.toString("latin1")));
  await new Promise((resolve) => limited.once("close", resolve));
  const { answers, said: errors } = JSON.parse(said) as { answers: boolean[]; said: number };
  const written = answers.filter((ok) => ok).length;
  expect(written).toBeGreaterThan(2);
  expect(written).toBeLessThan(16);
  expect(answers.slice(written).every((ok) => !ok)).toBe(true);
  expect(errors).toBe(16 - written);
  const medium = openMedium(path, disk);
  const back = new Uint8Array(512);
  for (let block = 0; block < 16; block++) {
    expect(read(medium, block * mib, back)).toBe(true);
    expect(back[0]).toBe(block < written ? block + 1 : 0);
  }
  expect(write(medium, 15 * mib, new Uint8Array(512).fill(9))).toBe(true);
  medium.close();
  expect(statSync(path).size).toBe((2 + written + 1) * mib);
  expect(readFileSync(path).readUInt32LE(0x184)).toBe(written + 1);
});
