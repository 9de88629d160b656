import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { makeFolder } from "./make-folder.ts";

const scratch = mkdtempSync(join(tmpdir(), "anneau-folder-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

test("a folder comes with its parents, and one that is there stays", () => {
  makeFolder(join(scratch, "a", "b", "c"), 0o700);
  makeFolder(join(scratch, "a", "b", "c"));
  expect(statSync(join(scratch, "a", "b", "c")).mode & 0o777).toBe(0o700);
  makeFolder("/");
});

test("a file in the way and a link that leads nowhere are errors", () => {
  writeFileSync(join(scratch, "file"), "");
  symlinkSync("nowhere", join(scratch, "link"));
  expect(() => makeFolder(join(scratch, "file"))).toThrow(/EEXIST/);
  expect(() => makeFolder(join(scratch, "file", "below"))).toThrow(/ENOTDIR/);
  expect(() => makeFolder(join(scratch, "link"))).toThrow(/EEXIST/);
});

test("where nothing can be made, the answer is an error and not silence", () => {
  expect(() => makeFolder("/proc/anneau/folder")).toThrow(/ENOENT|EACCES|EPERM/);
});
