/** BIOS calls from V86 with private low memory, as NT, ReactOS, EMM386 and Windows 9x make them (rows 8, 9 and 11). */
import { describe, expect, it } from "vitest";
import { MemoryMedium } from "../../src/machine/testing.ts";
import { BiosCaller, numberedDisk } from "./bios-caller.ts";
import { V86Caller } from "./v86-monitor.ts";

describe("BIOS calls from V86", () => {
  it("INT 10h and VBE work as in real mode and leave physical low memory alone", async () => {
    const real = await BiosCaller.bootFromDisk();
    const v86 = V86Caller.enter(await BiosCaller.bootFromDisk());
    const before = v86.guest.bytes(0, 0xa0000);
    const display = () => v86.guest.pc.machine.front.display!;
    const calls = [
      { eax: 0x0003 },
      { eax: 0x0012 },
      { eax: 0x0e41, ebx: 0x0007 },
      { eax: 0x0f00 },
      { eax: 0x1130, ebx: 0x0600 },
      { eax: 0x1a00 },
      { eax: 0x1200, ebx: 0x0010 },
      { eax: 0x4f00, es: 0x2000 },
      { eax: 0x4f01, ecx: 0x0118, es: 0x2100 },
      { eax: 0x4f02, ebx: 0x4118 },
      { eax: 0x4f03 },
      { eax: 0x4f04, edx: 0, ecx: 15 },
      { eax: 0x4f05, ebx: 0, edx: 3 },
      { eax: 0x4f06, ebx: 1 },
      { eax: 0x4f07, ebx: 1 },
      { eax: 0x4f08, ebx: 1 },
      { eax: 0x4f09, ebx: 1, ecx: 16, es: 0x2200 },
      { eax: 0x4f0a, ebx: 0 },
    ];
    for (const registers of calls) {
      const expected = real.call(0x10, registers);
      const got = v86.call(0x10, registers);
      const named = ({ ax, bx, cx, dx, edi, esi, ebp, ds, es }: typeof got) => [ax, bx, cx, dx, edi, esi, ebp, ds, es];
      expect([registers.eax.toString(16), ...named(got)]).toEqual([registers.eax.toString(16), ...named(expected)]);
      expect([display().widthPixels, display().heightPixels]).toEqual([
        real.pc.machine.front.display!.widthPixels,
        real.pc.machine.front.display!.heightPixels,
      ]);
    }
    expect(String.fromCharCode(...v86.bytes(0x20000, 4))).toBe("VESA");
    expect(v86.bytes(0x20000, 0x300)).toEqual(real.bytes(0x20000, 0x300));
    expect(v86.bytes(0x21000, 256)).toEqual(real.bytes(0x21000, 256));
    expect(v86.guest.bytes(0, 0xa0000)).toEqual(before);
  });

  it("INT 13h reads to the linear address and its port accesses can be watched", async () => {
    const disk = numberedDisk(32768);
    const taskFile = Array.from({ length: 8 }, (_, i) => 0x1f0 + i);
    const guest = await BiosCaller.bootFromDisk({}, new MemoryMedium(disk));
    const v86 = V86Caller.enter(guest, [...taskFile, 0x3f6]);
    const before = guest.bytes(0x10000, 0x10000);
    const got = v86.call(0x13, { eax: 0x0203, ebx: 0x0100, ecx: 0x0005, edx: 0x0080, es: 0x1000 });
    expect([got.carry, got.ax, got.stackBytes < 100]).toEqual([false, 3, true]);
    expect(v86.bytes(0x10100, 3 * 512)).toEqual(disk.slice(4 * 512, 7 * 512));
    expect(guest.bytes(0x10000, 0x10000)).toEqual(before);
    for (const port of [...taskFile.filter((p) => p !== 0x1f1), 0x3f6]) expect(v86.caughtPorts).toContain(port);
  });

  it("INT 13h on a floppy can be watched too: the controller's ports are used", async () => {
    const floppy = numberedDisk(2880);
    const ports = [0x3f2, 0x3f4, 0x3f5, 0x3f7];
    const guest = await BiosCaller.bootFromDisk({ floppies: [new MemoryMedium(floppy)] });
    const v86 = V86Caller.enter(guest, ports);
    // The monitor lets no interrupt through: what IRQ 6's handler does is done for it, as soon as the master 8259 has the request.
    const irq6 = () => {
      if ((guest.pc.machine.ports.readPort(0x20, 1) & 0x40) !== 0) v86.write(0x43e, Uint8Array.of(0x80));
    };
    // The first read after a disk was put in says so.
    v86.call(0x13, { eax: 0x0201, ebx: 0x0100, ecx: 0x0001, edx: 0, es: 0x1000 }, 1_000_000_000, irq6);
    const got = v86.call(0x13, { eax: 0x0202, ebx: 0x0100, ecx: 0x0003, edx: 0x0100, es: 0x1000 }, 1_000_000_000, irq6);
    expect([got.carry, got.ax]).toEqual([false, 2]);
    const lba = 18 + 2;
    // DMA is physical: without a monitor that translates its addresses it goes where the program's address points to.
    const there = guest.bytes(0x10100, 1024);
    expect(there).toEqual(floppy.slice(lba * 512, (lba + 2) * 512));
    for (const port of ports.slice(0, 3)) expect(v86.caughtPorts).toContain(port);
  });

  it("other services work too: memory, time, PCI, keyboard state, waiting", async () => {
    const v86 = V86Caller.enter(await BiosCaller.bootFromDisk());
    expect(v86.call(0x12).ax).toBe(639);
    expect(v86.call(0x15, { eax: 0x8800 }).carry).toBe(false);
    const map = v86.call(0x15, { eax: 0xe820, ecx: 20, edx: 0x534d4150, es: 0x2000 });
    expect([map.carry, map.eax]).toEqual([false, 0x534d4150]);
    expect(new DataView(v86.bytes(0x20000, 20).buffer).getUint32(8, true)).toBe(0x9fc00);
    expect(v86.call(0x1a, { eax: 0xb101 }).edx).toBe(0x20494350);
    expect(v86.call(0x1a, { eax: 0x0400 }).cx).toBe(0x2020);
    expect(v86.call(0x16, { eax: 0x0100 }).zero).toBe(true);
    expect(v86.call(0x15, { eax: 0x8600, edx: 3000 }).carry).toBe(false);
    // The physical block move belongs to the monitor.
    expect(v86.call(0x15, { eax: 0x8700, ecx: 1, esi: 0x9000 }).ah).toBe(0x86);
  });
});
