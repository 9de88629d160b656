import { type ChildProcess, spawn } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { lockMedium, mediumLockState } from "./lock.ts";
import { livingOwner, tryLock, waitForLock } from "./owner-lock.ts";
import { livenessOf, ownIdentity } from "./process-identity.ts";

let folder: string;
let image: string;
const children: ChildProcess[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "anneau-lock-"));
  image = join(folder, "disk.vdi");
  writeFileSync(image, "x");
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  rmSync(folder, { recursive: true });
});

/** Runs code in a child that says "ready" and stays; resolves when it said so. */
async function child(code: string): Promise<ChildProcess> {
  const source = `
    const { lockMedium } = await import(${JSON.stringify(join(import.meta.dirname, "lock.ts"))});
    const { tryLock, waitForLock } = await import(${JSON.stringify(join(import.meta.dirname, "owner-lock.ts"))});
    ${code}
    process.stdout.write("ready\\n");
    setInterval(() => {}, 1000);`;
  const process_ = spawn(process.execPath, ["--input-type=module", "-e", source], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  children.push(process_);
  await new Promise<void>((resolve, reject) => {
    process_.stdout!.once("data", () => resolve());
    process_.once("exit", (exitCode) => reject(new Error(`child ended with ${exitCode}`)));
  });
  return process_;
}

async function killed(process_: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => process_.once("exit", resolve));
  process_.kill("SIGKILL");
  await ended;
}

const litter = () => readdirSync(folder).filter((name) => name !== "disk.vdi");

describe("media locks", () => {
  it("give an image to one writer", () => {
    const lock = lockMedium(image, "exclusive");
    expect(mediumLockState(image)).toBe("locked write");
    expect(() => lockMedium(image, "exclusive")).toThrow(`${image} is in use by another drive of the same machine`);
    expect(() => lockMedium(image, "shared")).toThrow(/in use/);
    lock.release();
    lock.release();
    expect(mediumLockState(image)).toBe("unlocked");
    lockMedium(image, "exclusive").release();
    expect(litter()).toEqual([]);
  });

  it("give an image to many readers, and no writer beside them", () => {
    const first = lockMedium(image, "shared");
    const second = lockMedium(image, "shared");
    expect(mediumLockState(image)).toBe("locked read");
    expect(() => lockMedium(image, "exclusive")).toThrow(/in use/);
    first.release();
    expect(() => lockMedium(image, "exclusive")).toThrow(/in use/);
    second.release();
    lockMedium(image, "exclusive").release();
    expect(litter()).toEqual([]);
  });

  it("cannot be got around by a symbolic link", () => {
    const link = join(folder, "link.vdi");
    symlinkSync(image, link);
    const lock = lockMedium(link, "exclusive");
    expect(() => lockMedium(image, "exclusive")).toThrow(/in use/);
    lock.release();
  });

  it("are respected across processes and taken over when the writer was killed", async () => {
    const writer = await child(`lockMedium(${JSON.stringify(image)}, "exclusive");`);
    expect(() => lockMedium(image, "exclusive")).toThrow(`in use by process ${writer.pid}`);
    expect(mediumLockState(image)).toBe("locked write");
    await killed(writer);
    expect(mediumLockState(image)).toBe("unlocked");
    const lock = lockMedium(image, "exclusive");
    expect(() => lockMedium(image, "exclusive")).toThrow("in use by another drive of the same machine");
    lock.release();
    expect(litter()).toEqual([]);
  });

  it("forget readers that were killed", async () => {
    const reader = await child(`lockMedium(${JSON.stringify(image)}, "shared");`);
    expect(() => lockMedium(image, "exclusive")).toThrow(`in use by process ${reader.pid}`);
    await killed(reader);
    lockMedium(image, "exclusive").release();
    expect(litter()).toEqual([]);
  });

  it("go to the other folder when nothing can be created beside the image", () => {
    const closed = join(folder, "closed");
    const fallbackFolder = join(folder, "locks");
    mkdirSync(closed);
    const disc = join(closed, "disc.iso");
    writeFileSync(disc, "x");
    chmodSync(closed, 0o555);
    const isRoot = process.getuid?.() === 0;
    const lock = lockMedium(disc, "shared", { fallbackFolder });
    // Root may create files anywhere; for everybody else the folder stays as it was.
    expect(readdirSync(isRoot ? closed : fallbackFolder).length).toBe(isRoot ? 2 : 1);
    expect(() => lockMedium(disc, "exclusive", { fallbackFolder })).toThrow(/in use/);
    lock.release();
    chmodSync(closed, 0o755);
  });

  it("say in one line that the image is not there", () => {
    expect(() => lockMedium(join(folder, "none.vdi"), "shared")).toThrow(/^cannot open .*none\.vdi: no such file/);
  });
});

describe("owner locks", () => {
  const path = () => join(folder, "lock");

  it("pass to exactly one of many that find a dead owner", async () => {
    const dead = await child(`tryLock(${JSON.stringify(path())});`);
    await killed(dead);
    const counter = join(folder, "wins");
    writeFileSync(counter, "");
    const contenders = await Promise.all(
      Array.from({ length: 6 }, () =>
        child(`
          const { appendFileSync } = await import("node:fs");
          const attempt = tryLock(${JSON.stringify(path())});
          if ("lock" in attempt) appendFileSync(${JSON.stringify(counter)}, "w");`),
      ),
    );
    expect(readFileSync(counter, "utf8")).toBe("w");
    expect(contenders.map((contender) => contender.pid)).toContain(livingOwner(path())?.pid);
  });

  it("exclude one another: increments of a shared number are never lost", async () => {
    const number = join(folder, "number");
    writeFileSync(number, "0");
    const loop = `
      const { readFileSync, writeFileSync } = await import("node:fs");
      for (let i = 0; i < 60; i++) {
        const lock = waitForLock(${JSON.stringify(path())}, 20000);
        const value = Number(readFileSync(${JSON.stringify(number)}, "utf8"));
        writeFileSync(${JSON.stringify(number)}, String(value + 1));
        lock.release();
      }`;
    await Promise.all([child(loop), child(loop), child(loop)]);
    expect(readFileSync(number, "utf8")).toBe("180");
    expect(readdirSync(folder).filter((name) => name.startsWith("lock"))).toEqual([]);
  });

  it("take over a file that says nothing readable (a power cut)", () => {
    writeFileSync(path(), "");
    const attempt = tryLock(path());
    expect("lock" in attempt).toBe(true);
  });

  it("take over after the taker-over died too", async () => {
    const first = await child(`tryLock(${JSON.stringify(path())});`);
    const { instance } = livingOwner(path())!;
    const second = await child(`tryLock(${JSON.stringify(`${path()}.${instance}.takeover`)});`);
    await killed(first);
    expect("heldBy" in tryLock(path())).toBe(true);
    await killed(second);
    const lock = waitForLock(path(), 0);
    lock.release();
    expect(readdirSync(folder)).toEqual(["disk.vdi"]);
  });

  it("tell a process from another one with the same pid", () => {
    const own = ownIdentity();
    expect(livenessOf(own)).toBe("alive");
    if (own.startTime !== "") expect(livenessOf({ ...own, startTime: "1" })).toBe("dead");
    expect(livenessOf({ ...own, bootId: "another boot" })).toBe("dead");
    expect(livenessOf({ ...own, host: "elsewhere", bootId: "another boot" })).toBe("unknown");
    expect(livenessOf({ ...own, pidNamespace: "pid:[1]" })).toBe("unknown");
  });
});
