/**
 * Debian's SeaBIOS on our hardware: an independent witness for memory map, shadow RAM, PCI set-up, interrupt routing,
 * timers, keyboard and IDE. It tells what it finds on its debug port.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { debianNetboot, debianNetbootIso } from "../../scripts/media/debian-netboot.ts";
import { seabios } from "../../scripts/media/seabios.ts";
import { MemoryMedium, TestPc } from "../../src/machine/testing.ts";

const DEBUG_PORT = 0x402;
/** A read of the debug port answers this if somebody listens. */
const DEBUG_PRESENT = 0xe9;

test.each([false, true])(
  "SeaBIOS finds the machine and boots a sector from the IDE disk (APICs: %s)",
  async (ioApic) => {
    const biosImage = new Uint8Array(readFileSync(join(await seabios(), "bios.bin")));
    const disk = new Uint8Array(4 << 20);
    // Boot sector: "K" to COM1, then sleep.
    disk.set([0xba, 0xf8, 0x03, 0xb0, 0x4b, 0xee, 0xf4, 0xeb, 0xfd]);
    disk.set([0x55, 0xaa], 510);
    const pc = await TestPc.assemble({
      spec: { biosImage, ioApic, ramMiB: 64 },
      disks: { "0.0": new MemoryMedium(disk) },
    });
    let said = "";
    pc.machine.ports.claim(DEBUG_PORT, 1, {
      read: () => DEBUG_PRESENT,
      write: (_offset, _size, value) => {
        said += String.fromCharCode(value);
      },
    });
    pc.machine.powerOn();
    expect(pc.runUntilSerial("K", 100_000_000), `${said}\n${pc.describe()}`).toBe(true);
    expect(said).toContain("RamSize: 0x04000000 [cmos]");
    expect(said).toContain("Relocating init");
    expect(said).toMatch(/PCI: init bdf=00:00.0 id=8086:1237\nPCI: init bdf=00:01.0 id=8086:7000/);
    expect(said).toMatch(/map device bdf=00:02.0\s+bar 0, addr [0-9a-f]+, size 00800000 \[prefmem\]/);
    expect(said).toMatch(/ata0-0: VBOX HARDDISK ATA-6 Hard-Disk \(4 MiBytes\)/);
    expect(said).toContain("PS2 keyboard initialized");
    expect(said).toContain("Found 1 serial ports");
    expect(said).toContain("Booting from Hard Disk...");
    if (ioApic) expect(said).toContain("Found 1 cpu(s) max supported 1 cpu(s)");
  },
);

test("SeaBIOS boots the installer's CD: its boot prompt is on COM1 and, by our video BIOS, on the screen", async () => {
  const biosImage = new Uint8Array(readFileSync(join(await seabios(), "bios.bin")));
  const disc = new Uint8Array(readFileSync(join(await debianNetboot(), debianNetbootIso)));
  const pc = await TestPc.start({
    spec: { biosImage, ramMiB: 64 },
    dvds: { "1.0": new MemoryMedium(disc, true) },
  });
  expect(pc.runUntilScreen(/boot: *$/, 500_000_000)).toBe(true);
  expect(pc.screenText()).toMatch(/ISOLINUX/);
  expect(pc.serial.text).toMatch(/ISOLINUX[\s\S]*boot: /);
});
