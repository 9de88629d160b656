/**
 * linux-drivers.test.ts for the models that its machine does not have: the other IDE controllers, network cards and the Sound
 * Blaster, without APICs.
 */
import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { linuxGuest } from "../../scripts/media/linux-guest.ts";
import { MemoryMedium } from "../../src/machine/testing.ts";
import type { NicSpec } from "../../src/spec/machine-spec.ts";
import { explained } from "./linux-interrupts.ts";
import { complaintsUnderQemu, LinuxShell } from "./linux-shell.ts";

const modules = ["ata_piix", "sd_mod", "sr_mod", "pcnet32", "e1000", "snd_sb16", "snd_pcm_oss", "snd_mixer_oss"];
const legacy =
  "rmmod snd_sb16; modprobe snd_sb16 isapnp=0 port=0x220 irq=5 dma8=1 dma16=5; modprobe snd_pcm_oss; sleep 1";

const explainedHere = [
  ...explained,
  // Neither MADT nor MP table without APICs: a kernel for several processors says so of every such machine.
  /^smpboot: weird, boot CPU \(#0\) not listed by the BIOS/,
];

test.each([
  ["PIIX3", ["Am79C970A", "82543GC", "82545EM"], /ata_piix.*8086:7010|0000:00:01\.1/],
  ["ICH6", ["82545EM", "Am79C973", "82540EM"], /0000:00:01\.1/],
] as const)("%s, %j, Sound Blaster 16", async (model, cards, controller) => {
  const folder = await linuxGuest({ flavour: "686-pae", modules });
  const qemu = complaintsUnderQemu(
    folder,
    "noapic nolapic",
    ["-audiodev", "none,id=none", "-device", "sb16,audiodev=none", "-device", "pcnet", "-device", "e1000"],
    legacy,
  );
  // Waited for below; until then nobody listens.
  qemu.catch(() => {});
  const disk = new Uint8Array(20 * 16 * 63 * 512).map((_, i) => (i >>> 9) * 7);
  const nic = (card: NicSpec["model"], slot: number): NicSpec =>
    ({ slot, model: card, macAddress: `08002700000${slot}`, cableConnected: true }) as const;
  const guest = await LinuxShell.boot(folder, "noapic nolapic", {
    disks: { "0.0": new MemoryMedium(disk), "1.1": new MemoryMedium(disk) },
    spec: {
      ioApic: false,
      cpu: { pae: true, nx: true, engine: "translator" },
      ide: {
        name: "IDE",
        model,
        bootable: true,
        drives: [
          { port: 0, device: 0, type: "disk" },
          { port: 1, device: 1, type: "disk" },
        ],
      },
      nics: cards.map(nic),
      audio: { controller: "sb16" },
    },
  });
  guest.shell(legacy);
  const log = guest.shell("dmesg");
  expect(log).toMatch(controller);
  expect(log).toMatch(/ata1\.00: ATA-6: VBOX HARDDISK/);
  expect(log).toMatch(/ata2\.01: ATA-6: VBOX HARDDISK/);
  expect(guest.shell("cat /proc/asound/cards")).toMatch(/Sound Blaster 16 at 0x220, irq 5, dma 1&5/);
  const sum = createHash("md5").update(disk).digest("hex");
  expect(guest.shell("md5sum < /dev/sda; md5sum < /dev/sdb")).toBe(`${sum}  -\n${sum}  -\n`);
  for (const [i, card] of cards.entries()) {
    guest.shell(`ifconfig eth${i} 10.0.${i}.1 netmask 255.255.255.0 up`);
    expect([card, guest.shell(`ping -c 5 -W 2 10.0.${i}.2`)]).toEqual([
      card,
      expect.stringContaining("5 packets received"),
    ]);
    guest.shell(`ifconfig eth${i} down`);
  }
  expect(guest.shell("dd if=/dev/zero of=/dev/dsp bs=1000 count=8 2>&1; echo $?")).toMatch(
    /8\+0 records out[\s\S]*\n0\n$/,
  );
  const sound = guest.interrupts().get("5")!;
  expect([sound.kind, sound.count > 0]).toEqual([expect.stringMatching(/^XT-PIC +SoundBlaster$/), true]);
  const theirs = await qemu;
  const unexplained = guest.complaints.filter(
    (text) => !theirs.includes(text) && !explainedHere.some((why) => why.test(text)),
  );
  expect(unexplained, `QEMU's: ${theirs.join("\n")}`).toEqual([]);
});
