/** SeaBIOS boots the installer's CD on our hardware, up to its first question (seabios.test.ts: up to the CD's prompt). */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { debianNetboot, debianNetbootIso } from "../../scripts/media/debian-netboot.ts";
import { seabios } from "../../scripts/media/seabios.ts";
import { MemoryMedium, TestPc } from "../../src/machine/testing.ts";

test.each([false, true])("the installer on SeaBIOS (APICs: %s)", async (ioApic) => {
  const biosImage = new Uint8Array(readFileSync(join(await seabios(), "bios.bin")));
  const disc = new Uint8Array(readFileSync(join(await debianNetboot(), debianNetbootIso)));
  const pc = await TestPc.start({
    spec: { biosImage, ioApic, ramMiB: 512, cpu: { pae: true, nx: false, engine: "translator" } },
    dvds: { "1.0": new MemoryMedium(disc, true) },
  });
  expect(pc.runUntilSerial("boot: ", 500_000_000)).toBe(true);
  // "serial" and Enter.
  for (const code of [0x1f, 0x12, 0x13, 0x17, 0x1e, 0x26, 0x1c]) {
    pc.machine.front.keyboard!.putScancode(code);
    pc.machine.front.keyboard!.putScancode(code | 0x80);
  }
  if (!pc.runUntilSerial("Select a language", 20_000_000_000)) throw new Error(pc.describe());
  expect(pc.serial.text).toContain("DMI: Bochs Bochs, BIOS Bochs");
});
