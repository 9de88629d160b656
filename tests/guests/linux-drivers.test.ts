/**
 * Debian's kernel with every driver that this machine's devices want: each binds to its device, and none complains about
 * something that it does not complain about under QEMU's machine with the same kinds of devices, not even after a sleep.
 */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { linuxGuest } from "../../scripts/media/linux-guest.ts";
import type { CharBackend } from "../../src/backend-api/char.ts";
import { MemoryMedium } from "../../src/machine/testing.ts";
import { explained } from "./linux-interrupts.ts";
import { complaintsUnderQemu, LinuxShell } from "./linux-shell.ts";

const modules = [
  ...["ata_piix", "sd_mod", "sr_mod", "floppy", "parport_pc", "lp", "i2c_piix4", "psmouse", "evdev", "pcspkr"],
  ...["pcnet32", "e1000", "virtio_pci", "virtio_net", "ohci_pci", "usbhid", "hid_generic", "snd_intel8x0"],
  "button",
];
/** Linux asks for none of these by itself. */
const legacy = "for m in floppy parport_pc lp psmouse pcspkr; do modprobe $m; done; sleep 2";

/** Each says what it has found. */
const bound = [
  /parport0: PC-style at 0x378, irq 7 \[PCSPP,TRISTATE\]/,
  /parport1: PC-style at 0x278, irq 5 \[PCSPP,TRISTATE\]/,
  /ttyS1 at I\/O 0x2f8 \(irq = 3, .*\) is a 16550A/,
  /ttyS2 at I\/O 0x3e8 \(irq = 4, .*\) is a 16550A/,
  /ttyS3 at I\/O 0x2e8 \(irq = 3, .*\) is a 16550A/,
  /lp0: using parport0 \(interrupt-driven\)/,
  /Floppy drive\(s\): fd0 is 1\.44M/,
  /FDC 0 is a S82078B/,
  /pcnet32: PCnet\/FAST III 79C973 at 0x[0-9a-f]+, 08:00:27:00:00:00 assigned IRQ 19/,
  /e1000 .*08:00:27:00:00:01/,
  /ohci-pci 0000:00:06\.0: irq 22/,
  /Product: USB Tablet/,
  /snd_intel8x0 0000:00:05\.0: clocking to 48000/,
  /ata1\.00: ATA-6: VBOX HARDDISK/,
  /ata2\.00: ATAPI: VBOX CD-ROM/,
  /sda: .*sectors|\[sda\] Attached SCSI disk/,
  /Attached scsi CD-ROM sr0/,
  /ImExPS\/2 Generic Explorer Mouse/,
  /rtc_cmos .*registered as rtc0/,
  /PC Speaker/,
  /piix4_smbus 0000:00:07\.0: SMBus Host Controller at 0x4100, revision 0/,
];
class Printer implements CharBackend {
  paper = "";
  readonly connected = true;
  readonly readable = false;
  write(byte: number): boolean {
    this.paper += String.fromCharCode(byte);
    return true;
  }
  read(): number {
    return -1;
  }
  onEvent(): void {}
}

const folder = mkdtempSync(join(tmpdir(), "linux-drivers-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("drivers of every device bind and log no complaint that QEMU's guest has not", async () => {
  const guestFolder = await linuxGuest({ flavour: "686-pae", modules });
  const disk = new Uint8Array(20 * 16 * 63 * 512);
  const disc = new Uint8Array(64 * 2048);
  const floppy = new Uint8Array(2880 * 512);
  const file = (name: string, bytes: Uint8Array) => {
    writeFileSync(join(folder, name), bytes);
    return `file=${join(folder, name)},format=raw`;
  };
  const qemu = complaintsUnderQemu(
    guestFolder,
    "",
    [
      ...["-drive", `${file("disk", disk)},if=ide,index=0`, "-drive", `${file("cd", disc)},if=ide,index=2,media=cdrom`],
      ...["-drive", `${file("floppy", floppy)},if=floppy`, "-parallel", "null", "-audiodev", "none,id=none"],
      ...["-device", "AC97,audiodev=none", "-device", "pci-ohci", "-device", "usb-tablet"],
      ...["-device", "pcnet", "-device", "e1000", "-device", "virtio-net-pci"],
    ],
    legacy,
  );
  const printer = new Printer();
  // Waited for below; until then nobody listens.
  qemu.catch(() => {});
  const nic = (slot: 0 | 1 | 2, model: "Am79C973" | "82540EM" | "virtio") =>
    ({ slot, model, macAddress: `08002700000${slot}`, cableConnected: true }) as const;
  const guest = await LinuxShell.boot(guestFolder, "", {
    disks: { "0.0": new MemoryMedium(disk) },
    dvds: { "1.0": new MemoryMedium(disc, true) },
    printer,
    floppies: [new MemoryMedium(floppy)],
    spec: {
      ioApic: true,
      hpet: true,
      cpu: { pae: true, nx: true, engine: "translator" },
      nics: [nic(0, "Am79C973"), nic(1, "82540EM"), nic(2, "virtio")],
      audio: { controller: "ac97" },
      usb: { pointing: "tablet", hasKeyboard: false },
      uarts: [0x3f8, 0x2f8, 0x3e8, 0x2e8].map((ioBase, i) => ({
        enabled: true,
        ioBase,
        irq: 4 - (i & 1),
        type: "16550A",
      })),
      parallels: [
        { enabled: true, ioBase: 0x378, irq: 7 },
        { enabled: true, ioBase: 0x278, irq: 5 },
      ],
    },
  });
  guest.shell(legacy);
  const log = guest.shell("dmesg");
  for (const one of bound) expect(log).toMatch(one);
  expect(guest.shell("echo $(ls /sys/class/net)")).toBe("eth0 eth1 eth2 lo\n");
  // By the parallel port's interrupt.
  expect(guest.shell("echo printed by Linux > /dev/lp0; echo $?")).toBe("0\n");
  expect(printer.paper).toBe("printed by Linux\n");
  expect(guest.interrupts().get("7")!.count).toBeGreaterThanOrEqual(printer.paper.length);
  // A thousand movements in a second: what arrives adds up, whatever the rate that Linux has set.
  const { clock } = guest.pc.machine;
  guest.shell(
    "n=$(grep -A 4 ImExPS/2 /proc/bus/input/devices | grep -o 'event[0-9]*'); cat /dev/input/$n > /tmp/moves & sleep 0.1",
  );
  for (let i = 0; i < 1000; i++) {
    guest.pc.machine.front.pointer!.putRelative(3, -2, 0, i % 100 === 50 ? 1 : 0);
    const endNs = clock.lastNs + 1e6;
    guest.pc.runUntil(() => clock.lastNs >= endNs);
  }
  const sums = '{ sum[$5 " " $6] += $7 } END { print sum["2 0"], sum["2 1"], sum["1 272"] }';
  expect(guest.shell(`sleep 0.2; kill %1; hexdump -v -e '8/2 "%d " "\\n"' /tmp/moves | awk '${sums}'`)).toMatch(
    /^3000 -2000 10$/m,
  );
  // Suspended to idle, every driver puts its device to sleep; the sleep button wakes them up.
  const from = guest.pc.serial.text.length;
  const startNs = clock.lastNs;
  guest.begin("echo freeze > /sys/power/state; echo wo''ke");
  guest.pc.runUntil(() => clock.lastNs > startNs + 5e9, 2_000_000_000);
  expect(guest.pc.serial.text.slice(from)).not.toContain("woke");
  guest.pc.machine.front.sleepButton!();
  expect(guest.pc.runUntilSerial("woke", 2_000_000_000, from)).toBe(true);
  expect(guest.shell("dmesg | grep -c 'PM: suspend exit'; cat /sys/firmware/acpi/interrupts/ff_slp_btn")).toMatch(
    /^1\n +1 /,
  );
  expect(guest.shell("md5sum < /dev/sda")).toContain(createHash("md5").update(disk).digest("hex"));
  expect(guest.shell("ifconfig eth1 10.0.0.1 netmask 255.255.255.0 up; ping -c 3 -W 2 10.0.0.2")).toContain(
    "3 packets received",
  );
  const theirs = await qemu;
  const unexplained = guest.complaints.filter(
    (text) => !theirs.includes(text) && !explained.some((why) => why.test(text)),
  );
  expect(unexplained, `QEMU's: ${theirs.join("\n")}`).toEqual([]);
});
