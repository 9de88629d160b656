/** dmidecode reads our SMBIOS as a user in a guest would: names where people look for them, nothing out of specification. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { BiosCaller } from "./bios-caller.ts";

const folder = mkdtempSync(join(tmpdir(), "anneau-smbios-"));
afterAll(() => rmSync(folder, { recursive: true }));
const TABLE_AT = 0x20;

/** What `dmidecode --dump-bin` writes: the entry point, then the structures, its address and sums changed to that. */
function dump(rom: Uint8Array): Uint8Array {
  const view = new DataView(rom.buffer);
  for (let at = 0; at < rom.length; at += 16) {
    if (String.fromCharCode(...rom.subarray(at, at + 4)) !== "_SM_") continue;
    const length = view.getUint16(at + 0x16, true);
    const address = view.getUint32(at + 0x18, true) - 0xf0000;
    const file = new Uint8Array(TABLE_AT + length);
    file.set(rom.subarray(at, at + 0x1f));
    file.set(rom.subarray(address, address + length), TABLE_AT);
    new DataView(file.buffer).setUint32(0x18, TABLE_AT, true);
    const fix = (sumAt: number, from: number) => {
      file[sumAt] = 0;
      file[sumAt] = -file.subarray(from, 0x1f).reduce((sum, byte) => sum + byte, 0);
    };
    fix(0x15, 0x10);
    fix(0x04, 0);
    return file;
  }
  throw new Error("no SMBIOS entry point");
}

it("has names, UUID, memory and processor, and no complaint", async () => {
  const uuid = "01234567-89ab-cdef-0123-456789abcdef";
  const guest = await BiosCaller.bootFromDisk({ spec: { ramMiB: 96, uuid } });
  const rom = new Uint8Array(0x10000);
  guest.pc.machine.cpu.readLinearBytes(0xf0000, rom);
  const file = join(folder, "dump");
  writeFileSync(file, dump(rom));
  const run = (...args: string[]) => {
    const done = spawnSync("dmidecode", ["--from-dump", file, ...args], { encoding: "utf8" });
    if (done.error) throw new Error("dmidecode is missing: apt-get install dmidecode");
    return done.stdout + done.stderr;
  };
  const all = run();
  expect(all).toMatch(/SMBIOS 2\.5 present/);
  expect(all).not.toMatch(/out of spec|bad index|wrong|broken|invalid|truncated|mismatch|unterminated/i);
  const value = (keyword: string) => run("-s", keyword).trim();
  expect(value("system-manufacturer")).toBe("innotek GmbH");
  expect(value("system-product-name")).toBe("VirtualBox");
  expect(value("bios-vendor")).toBe("innotek GmbH");
  expect(value("baseboard-manufacturer")).toBe("Oracle Corporation");
  // Little endian as VirtualBox stores it; before SMBIOS 2.6 readers do not turn the fields.
  expect(value("system-uuid").toLowerCase()).toBe("67452301-ab89-efcd-0123-456789abcdef");
});
