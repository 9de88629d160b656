import { describe, expect, it } from "vitest";
import { writeCpio } from "./cpio.ts";

/** Reads a newc archive back, by the kernel's description of the format. */
function members(archive: Uint8Array): { path: string; mode: number; device: string; data: string }[] {
  const bytes = Buffer.from(archive);
  const found = [];
  for (let at = 0; ; ) {
    expect(bytes.toString("latin1", at, at + 6)).toBe("070701");
    const field = (index: number) =>
      Number.parseInt(bytes.toString("latin1", at + 6 + index * 8, at + 14 + index * 8), 16);
    const nameEnd = at + 110 + field(11);
    const path = bytes.toString("utf8", at + 110, nameEnd - 1);
    const dataStart = Math.ceil(nameEnd / 4) * 4;
    const data = bytes.toString("latin1", dataStart, dataStart + field(6));
    if (path === "TRAILER!!!") {
      expect(dataStart).toBe(bytes.length);
      return found;
    }
    found.push({ path, mode: field(1), device: `${field(9)}:${field(10)}`, data });
    at = Math.ceil((dataStart + field(6)) / 4) * 4;
  }
}

describe("a cpio archive", () => {
  it("holds folders, files, links and device nodes with their modes", () => {
    const archive = writeCpio([
      { path: "dev", kind: "folder" },
      { path: "dev/console", kind: "character-device", major: 5, minor: 1 },
      { path: "init", kind: "file", data: Buffer.from("#!/bin/sh\n"), mode: 0o755 },
      { path: "sh", kind: "link", target: "busybox" },
      { path: "empty", kind: "file", data: new Uint8Array(0) },
    ]);
    expect(members(archive)).toEqual([
      { path: "dev", mode: 0o040755, device: "0:0", data: "" },
      { path: "dev/console", mode: 0o020600, device: "5:1", data: "" },
      { path: "init", mode: 0o100755, device: "0:0", data: "#!/bin/sh\n" },
      { path: "sh", mode: 0o120777, device: "0:0", data: "busybox" },
      { path: "empty", mode: 0o100644, device: "0:0", data: "" },
    ]);
  });
});
