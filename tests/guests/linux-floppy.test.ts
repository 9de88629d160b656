/** Linux's own floppy driver on the controller: by DMA and without it, files on a FAT disk, disks that come and go. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { linuxGuest } from "../../scripts/media/linux-guest.ts";
import { seededRandom } from "../../src/device-api/testing.ts";
import { MemoryMedium, TestPc } from "../../src/machine/testing.ts";

const modules = ["floppy", "vfat", "nls_cp437", "nls_ascii", "nls_iso8859_1"];
let kernel: Uint8Array;
let initrd: Uint8Array;
beforeAll(async () => {
  const folder = await linuxGuest({ modules });
  kernel = new Uint8Array(readFileSync(join(folder, "vmlinuz")));
  initrd = new Uint8Array(readFileSync(join(folder, "initrd.gz")));
});

function noiseDisk(sizeBytes: number, seed: number, readOnly = false): MemoryMedium {
  const random = seededRandom(seed);
  return new MemoryMedium(
    Uint8Array.from({ length: sizeBytes }, () => random(256)),
    readOnly,
  );
}
const md5 = (disk: MemoryMedium) => createHash("md5").update(disk.bytes).digest("hex");

class LinuxPc {
  readonly pc: TestPc;
  private constructor(pc: TestPc) {
    this.pc = pc;
  }
  static async boot(words: string, floppies: readonly (MemoryMedium | undefined)[]): Promise<LinuxPc> {
    const quick = "quiet panic=0 cryptomgr.notests initcall_blacklist=load_system_certificate_list";
    const linux = { kernel, initrd, commandLine: `console=ttyS0,115200 ${quick} ${words}` };
    const guest = new LinuxPc(await TestPc.start({ floppies, spec: { linux } }));
    if (!guest.pc.runUntilSerial(/GUEST-READY[\s\S]*# /, 6_000_000_000)) throw new Error(guest.pc.describe());
    guest.shell("modprobe floppy");
    return guest;
  }
  /** A command at the shell: what it printed, and its status as the last line. */
  shell(command: string): string {
    const from = this.pc.serial.text.length;
    // The quotes keep the echo of what is typed from looking like the answer.
    this.pc.serial.type(`echo be''gin; ${command}; echo status=$?\n`);
    const isDone = this.pc.runUntilSerial(/\nstatus=\d+\r\n[\s\S]*# /, 3_000_000_000, from);
    if (!isDone) throw new Error(`${command} does not end\n${this.pc.describe()}`);
    const text = this.pc.serial.text.slice(from).replaceAll("\r", "");
    const printed = text.slice(text.indexOf("\nbegin\n") + "\nbegin\n".length);
    return printed.slice(0, printed.indexOf("\n", printed.lastIndexOf("status=")));
  }
  /** Linux looks at the change line every three seconds at most. */
  insert(disk: MemoryMedium | undefined, drive = 0): void {
    this.pc.slots.get(`floppy ${drive}`)!.change(disk);
    this.shell("sleep 4");
  }
}

test.each([
  ["by DMA", ""],
  ["without DMA", "floppy.floppy=nodma"],
])("%s: the whole disk, files, disks of other formats that come and go", async (_name, words) => {
  const first = noiseDisk(1_474_560, 1);
  const guest = await LinuxPc.boot(words, [first]);
  const messages = guest.shell("dmesg | grep -i -e fdc -e floppy");
  expect(messages).toContain("fd0 is 1.44M");
  expect(messages).toContain("FDC 0 is a S82078B");
  expect(guest.shell("md5sum < /dev/fd0")).toBe(`${md5(first)}  -\nstatus=0`);

  guest.shell("mkdosfs /dev/fd0 && mount -t vfat /dev/fd0 /mnt");
  guest.shell("seq 100000 > /mnt/numbers; umount /mnt");
  const numbers = Array.from({ length: 100_000 }, (_, i) => `${i + 1}\n`).join("");
  const sum = createHash("md5").update(numbers).digest("hex");
  expect(guest.shell("mount -t vfat /dev/fd0 /mnt; md5sum < /mnt/numbers; umount /mnt")).toBe(`${sum}  -\nstatus=0`);
  expect(Buffer.from(first.bytes).includes("99999\n100000\n")).toBe(true);
  expect(guest.shell("dmesg | grep -c -e timeout -e 'I/O error'")).toBe("0\nstatus=1");

  const second = noiseDisk(737_280, 2);
  guest.insert(second);
  expect(guest.shell("md5sum < /dev/fd0")).toContain(md5(second));
  guest.insert(undefined);
  expect(guest.shell("dd if=/dev/fd0 of=/dev/null count=1")).toMatch(/status=1$/);
  const third = noiseDisk(1_474_560, 3, true);
  guest.insert(third);
  expect(guest.shell("md5sum < /dev/fd0")).toContain(md5(third));
  expect(guest.shell("echo no > /dev/fd0")).toMatch(/Read-only file system[\s\S]*status=1$/);
});

test("two drives: 2.88 MB since power-on, and an empty one; a sector that cannot be read is an error, not silence", async () => {
  const disk = noiseDisk(2_949_120, 4);
  const guest = await LinuxPc.boot("", [undefined, disk]);
  expect(guest.shell("dmesg | grep -i floppy")).toMatch(/fd0 is 1.44M, fd1 is 2.88M/);
  expect(guest.shell("dd if=/dev/fd0 of=/dev/null count=1")).toMatch(/status=1$/);
  expect(guest.shell("md5sum < /dev/fd1")).toContain(md5(disk));
  const damaged = noiseDisk(2_949_120, 5);
  const { read } = damaged;
  damaged.read = (offsetBytes, target, done) => {
    if (offsetBytes === 100 * 512) done(false);
    else read.call(damaged, offsetBytes, target, done);
  };
  guest.insert(damaged, 1);
  expect(guest.shell("dd if=/dev/fd1 of=/dev/null bs=512 count=64")).toMatch(/status=0$/);
  expect(guest.shell("dd if=/dev/fd1 of=/dev/null")).toMatch(/Input\/output error[\s\S]*status=1$/);
});
