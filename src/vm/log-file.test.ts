import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { LogFile } from "./log-file.ts";

test("older logs move up, and no more than the wanted number is kept", () => {
  const folder = mkdtempSync(join(tmpdir(), "anneau-log-"));
  try {
    for (let run = 1; run <= 6; run++) {
      const log = new LogFile(join(folder, "Logs"), 3);
      log.info(`run ${run}`);
      log.close();
    }
    const text = (suffix: string) => readFileSync(join(folder, "Logs", `VBox.log${suffix}`), "utf8");
    expect(text("")).toMatch(/^00:00:0\d\.\d{6} run 6\n$/);
    expect(["", ".1", ".2", ".3"].map((suffix) => /run \d/.exec(text(suffix))?.[0])).toEqual([
      "run 6",
      "run 5",
      "run 4",
      "run 3",
    ]);
    expect(existsSync(join(folder, "Logs", "VBox.log.4"))).toBe(false);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("every line of a message carries the time, and its weight", () => {
  const folder = mkdtempSync(join(tmpdir(), "anneau-log-"));
  try {
    const log = new LogFile(folder, 0);
    log.warn("one\ntwo");
    log.close();
    expect(readFileSync(log.path, "utf8")).toMatch(/^\S+ warning: one\n\S+ two\n$/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
