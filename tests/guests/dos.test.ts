/**
 * Guests that start from a floppy: a disk of our own that speaks for itself, FreeDOS used as a person uses it, a game in
 * VGA mode 13h, a 32-bit system with a floppy driver of its own. The disks that are not in Debian lie in ../shared/media,
 * if that folder is there.
 */
import { describe, expect, test } from "vitest";
import { MemoryMedium } from "../../src/machine/testing.ts";
import {
  assembledDisk,
  FloppyPc,
  fat12File,
  hasMedia,
  labelledDisk,
  mediaDisk,
  QemuFloppy,
  withoutMedia,
} from "./floppy-guests.ts";

const beforeChange = `booted from 00
type, last cylinder, sectors, last head 04 4F 12 01
this is the last sector
reset C000 C100 C200 C300 01
version 90
unknown 80
recalibrate 2000
seek 2001
id 00 00 00 01 00 02
cylinder 1 00 00 02 00 01 02 7200
change the disk
`;
const afterChange = "then 00 00 00 the second disk\ndone\n";
const linesOf = (serial: string) => serial.replaceAll("\r", "");

/** A name for a test on foreign disks, which without them runs the disk of our own. */
const named = (name: string) => (hasMedia ? name : `${name} ${withoutMedia}`);

/** Boots our own disk up to the point where it wants another. */
async function ownDisk(image = assembledDisk()): Promise<FloppyPc> {
  const guest = await FloppyPc.start([new MemoryMedium(image)]);
  guest.sees(/change the disk/);
  return guest;
}

describe("a disk of our own, without an operating system", () => {
  test("boots, finds drive and controller as they should be, and notices another disk", async () => {
    const guest = await ownDisk();
    expect(linesOf(guest.pc.serial.text)).toMatch(new RegExp(`^${beforeChange}(then)?$`));
    guest.wait(3000);
    expect(linesOf(guest.pc.serial.text)).toBe(`${beforeChange}then`);
    guest.insert(new MemoryMedium(labelledDisk("the second disk")));
    expect(guest.sees(/done/)).toContain("booted from 00\n");
    expect(linesOf(guest.pc.serial.text)).toBe(beforeChange + afterChange);
  });

  test("says the same under QEMU", async () => {
    const qemu = new QemuFloppy(assembledDisk());
    await qemu.says(/change the disk\r\nthen/);
    qemu.insert(labelledDisk("the second disk"));
    expect(linesOf(await qemu.says(/done\r\n/))).toBe(beforeChange + afterChange);
  });

  test("waits for a disk that is only taken out, and takes one later", async () => {
    const guest = await ownDisk();
    guest.insert(undefined);
    guest.wait(8000);
    expect(linesOf(guest.pc.serial.text)).toBe(`${beforeChange}then`);
    guest.insert(new MemoryMedium(labelledDisk("at last")));
    guest.sees(/then 00 00 00 at last\ndone/);
  });

  test("saved and loaded again and again while the controller works", async () => {
    const image = assembledDisk();
    let guest = await FloppyPc.start([new MemoryMedium(image)]);
    let said = "";
    let saves = 0;
    const isWorking = () => (guest.pc.machine.ports.readPort(0x3f4, 1) & 0x1f) > 0;
    while (saves < 60 && guest.pc.runUntil(isWorking, 3_000_000)) {
      said += guest.pc.serial.text;
      guest = await guest.moved([new MemoryMedium(image)]);
      saves++;
      // On to another moment.
      guest.wait(0.017 * (saves % 7));
    }
    expect(saves).toBeGreaterThan(20);
    guest.sees(/change the disk/);
    expect(linesOf(said + guest.pc.serial.text)).toBe(`${beforeChange}then`);
  });

  test("one flipped bit on the disk does not go unnoticed", async () => {
    const image = assembledDisk();
    image[50 * 512 + 17] ^= 0x04;
    const guest = await ownDisk(image);
    expect(linesOf(guest.pc.serial.text)).toContain("cylinder 1 00 00 02 00 01 02 ");
    expect(linesOf(guest.pc.serial.text)).not.toContain(beforeChange);
  });

  test("an empty drive, and a disk without a boot sector, are named; a disk put in then is started", async () => {
    const guest = await FloppyPc.start([undefined]);
    guest.sees(/Floppy: no disk[\s\S]*press a key/);
    guest.insert(new MemoryMedium(labelledDisk("")));
    guest.type(" ");
    guest.sees(/Floppy: the disk has no boot sector/);
    guest.insert(new MemoryMedium(assembledDisk()));
    guest.type(" ");
    guest.sees(/booted from 00[\s\S]*change the disk/);
  });
});

describe("FreeDOS", () => {
  test(named("from 1.44 MB: files are listed, written, copied, read again"), async () => {
    if (!hasMedia) return void (await ownDisk());
    const disk = mediaDisk("freedos-1440.img");
    const kernel = fat12File(disk.bytes, "KERNEL  SYS")!;
    const guest = await FloppyPc.start([disk]);
    guest.sees(/A:\\>/);
    const listing = guest.dos("dir");
    expect(listing).toContain("Volume in drive A is FREEDOS");
    expect(listing).toMatch(/KERNEL {3}SYS +45,450/);
    expect(listing).toMatch(/5 file\(s\) +112,371 bytes/);
    guest.dos("echo hello from a ring> new.txt");
    expect(guest.dos("type new.txt")).toContain("hello from a ring\n");
    expect(guest.dos("copy kernel.sys copy.sys")).toContain("kernel.sys => copy.sys");
    expect(guest.dos("dir")).toMatch(/7 file\(s\)/);
    expect(String.fromCharCode(...fat12File(disk.bytes, "NEW     TXT")!)).toBe("hello from a ring\r\n");
    expect(fat12File(disk.bytes, "COPY    SYS")).toEqual(kernel);
    guest.dos("del copy.sys");
    expect(fat12File(disk.bytes, "COPY    SYS")).toBeUndefined();
  });

  test(named("from 360 KB, with 1.44 MB in the second drive"), async () => {
    if (!hasMedia) return void (await ownDisk());
    const [first, second] = [mediaDisk("freedos-360.img"), mediaDisk("freedos-1440.img")];
    const guest = await FloppyPc.start([first, second]);
    guest.sees(/A:\\>/);
    expect(guest.dos("dir")).toMatch(/242,688 bytes free/);
    expect(guest.dos("dir b:")).toMatch(/1,337,344 bytes free/);
    guest.dos("copy b:readme.txt a:other.txt");
    expect(fat12File(first.bytes, "OTHER   TXT")).toEqual(fat12File(second.bytes, "README  TXT"));
  });

  test(named("the disk is changed, write-protected, taken out"), async () => {
    if (!hasMedia) return void (await ownDisk());
    const guest = await FloppyPc.start([mediaDisk("freedos-1440.img")]);
    guest.sees(/A:\\>/);
    expect(guest.dos("dir")).toContain("A605-12FC");
    const other = mediaDisk("freedos-360.img", true);
    const before = other.bytes.slice();
    guest.insert(other);
    expect(guest.dos("dir")).toContain("C533-12FC");
    expect(guest.dos("echo no> no.txt", /\?$/)).toContain("write-protection violation");
    guest.type("f");
    guest.sees(/A:\\>$/);
    expect(other.bytes.every((byte, i) => byte === before[i])).toBe(true);
    guest.insert(undefined);
    guest.type("dir\n");
    expect(guest.sees(/dir\n[\s\S]*\?$/)).toContain("drive not ready");
    guest.insert(mediaDisk("freedos-1440.img"));
    guest.type("r");
    guest.sees(/A605-12FC[\s\S]*A:\\>$/);
  });

  test(named("one flipped bit in the root folder does not go unnoticed"), async () => {
    if (!hasMedia) return void (await ownDisk());
    const disk = mediaDisk("freedos-1440.img");
    disk.bytes[Buffer.from(disk.bytes).indexOf("COMMAND COM")] ^= 0x01;
    const guest = await FloppyPc.start([disk]);
    guest.sees(/Bad or missing Command Interpreter/);
  });
});

test(named("a game in mode 13h: the picture that QEMU shows, and it plays"), async () => {
  if (!hasMedia) return void (await ownDisk());
  const disk = mediaDisk("floppybird.img");
  const guest = await FloppyPc.start([disk]);
  const display = guest.pc.machine.front.display!;
  const differing = (a: Uint8Array, b: Uint8Array, stride: number) => {
    let pixels = 0;
    for (let i = 0; i < 640 * 400; i++) {
      // QEMU rounds colours to fewer bits.
      const isNear = [0, 1, 2].every((c) => Math.abs(a[i * 4 + c] - b[i * stride + c]) <= 8);
      if (!isNear) pixels++;
    }
    return pixels / (640 * 400);
  };
  guest.pc.runUntil(() => display.widthPixels === 640, 100_000_000);
  guest.wait(300);
  expect([display.widthPixels, display.heightPixels]).toEqual([640, 400]);
  const start = display.renderRgba().slice();
  // The bird flaps its wings, all else stands still.
  await new QemuFloppy(disk.bytes).shows(640, 400, (rgb) => differing(start, rgb, 3) < 0.005);
  guest.type(" ");
  guest.wait(400);
  expect(differing(start, display.renderRgba(), 4)).toBeGreaterThan(0.05);
});

test(named("Sanos: a 32-bit kernel reads its disk with a driver of its own, up to a shell"), async () => {
  if (!hasMedia) return void (await ownDisk());
  const guest = await FloppyPc.start([mediaDisk("sanos-flp.img")]);
  const screen = guest.sees(/\/\$$/);
  expect(screen).toContain('fd0: 3 1/2" 1.44M, 1440 KB, THS=80/2/18');
  expect(screen).toContain("mount: root on fd0");
  guest.type("ls /bin\n");
  guest.sees(/ls \/bin\n[\s\S]*\w+[\s\S]*\/\$$/);
  guest.type("echo written by sanos > /tmp.txt; cat /tmp.txt\n");
  guest.sees(/\nwritten by sanos\n/);
});
