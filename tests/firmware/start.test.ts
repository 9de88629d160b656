/** What starting leaves in the machine, on machines of different equipment. */
import { describe, expect, it } from "vitest";
import type { CharBackend } from "../../src/backend-api/char.ts";
import { MemoryMedium, TestPc } from "../../src/machine/testing.ts";
import { BiosCaller, numberedDisk } from "./bios-caller.ts";

describe("starting", () => {
  it("works without a graphics card", async () => {
    const guest = await BiosCaller.bootFromDisk({ spec: { graphics: "none" } });
    expect(guest.call(0x12).ax).toBe(639);
    expect(guest.call(0x10, { eax: 0x0003 }).eax).toBe(0x0003);
  });

  it("works with the least memory, and says so in CMOS, E801h and on the screen", async () => {
    const guest = await BiosCaller.bootFromDisk({ spec: { ramMiB: 4 } });
    const { ports } = guest.pc.machine;
    const cmos = (index: number) => {
      ports.writePort(0x70, 1, index);
      return ports.readPort(0x71, 1);
    };
    expect(cmos(0x30) | (cmos(0x31) << 8)).toBe(guest.call(0x15, { eax: 0x8800 }).ax);
    expect(cmos(0x17) | (cmos(0x18) << 8)).toBe(3 * 1024 - 64);
    expect(guest.call(0x15, { eax: 0xe801 })).toMatchObject({ ax: 3 * 1024 - 64, bx: 0 });
    expect(guest.pc.screenText()).toContain("4 MiB memory");
    let sum = 0;
    for (let index = 0x10; index < 0x2e; index++) sum += cmos(index);
    expect((cmos(0x2e) << 8) | cmos(0x2f)).toBe(sum & 0xffff);
  });

  it("fills the data area with the ports that are there", async () => {
    const guest = await BiosCaller.bootFromDisk({
      spec: {
        uarts: [
          { enabled: true, ioBase: 0x3f8, irq: 4, type: "16550A" },
          { enabled: false, ioBase: 0x2f8, irq: 3, type: "16550A" },
          { enabled: true, ioBase: 0x3e8, irq: 4, type: "16450" },
        ],
      },
    });
    expect([0, 2, 4, 6, 8].map((offset) => guest.memory.read16(0x400 + offset))).toEqual([0x3f8, 0x3e8, 0, 0, 0]);
    expect((guest.call(0x11).ax >> 9) & 7).toBe(2);
    // A byte by INT 14h comes out of the first port.
    expect(guest.call(0x14, { eax: 0x00e3, edx: 0 }).ah & 0x20).toBe(0x20);
    expect(guest.call(0x14, { eax: 0x0141, edx: 0 }).ah & 0x80).toBe(0);
    guest.pc.runUntilSerial("A", 1_000_000);
    expect(guest.pc.serial.text).toBe("A");
    guest.pc.serial.type("x");
    expect(guest.call(0x14, { eax: 0x0200, edx: 0 })).toMatchObject({ al: 0x78, ah: 0 });
    expect(guest.call(0x14, { eax: 0x0200, edx: 0 }, 1_000_000_000).ah & 0x80).toBe(0x80);
  });

  it("prints by INT 17h on the parallel port that is there", async () => {
    const paper: number[] = [];
    const printer: CharBackend = {
      connected: true,
      readable: false,
      read: () => -1,
      write: (byte) => paper.push(byte) > 0,
      onEvent: () => {},
    };
    const parallels = [{ enabled: true, ioBase: 0x378, irq: 7 }];
    const guest = await BiosCaller.bootFromDisk({ spec: { parallels }, printer });
    expect([guest.memory.read16(0x408), guest.memory.read16(0x40a), guest.call(0x11).ax >> 14]).toEqual([0x378, 0, 1]);
    expect(guest.call(0x17, { eax: 0x0100, edx: 0 }).ah).toBe(0x90);
    for (const byte of Buffer.from("paper")) expect(guest.call(0x17, { eax: byte, edx: 0 }).ah & 0x01).toBe(0);
    guest.pc.runUntil(() => paper.length === 5, 1_000_000);
    expect(Buffer.from(paper).toString()).toBe("paper");
    // The second port is not there.
    expect(guest.call(0x17, { eax: 0x0241, edx: 1 }).ah).toBe(2);
  });

  it("goes back to the program that reset the processor with a shutdown code", async () => {
    const guest = await BiosCaller.bootFromDisk();
    const { memory } = guest;
    const { ports } = guest.pc.machine;
    // At 0:9000: mark and stop.
    memory.write(0x9000, Uint8Array.from([0xc6, 0x06, 0x00, 0x91, 0x77, 0xeb, 0xfe]));
    memory.write16(0x467, 0x9000);
    memory.write16(0x469, 0);
    for (const code of [0x05, 0x0a]) {
      memory.write8(0x9100, 0);
      ports.writePort(0x70, 1, 0x0f);
      ports.writePort(0x71, 1, code);
      ports.writePort(0x64, 1, 0xfe);
      expect([code, guest.pc.runUntil(() => memory.read8(0x9100) === 0x77, 10_000_000)]).toEqual([code, true]);
      ports.writePort(0x70, 1, 0x0f);
      expect(ports.readPort(0x71, 1)).toBe(0);
    }
  });

  it("says one clear line for a kernel that is none, on the screen and in the log", async () => {
    const pc = await TestPc.start({
      spec: { linux: { kernel: new Uint8Array(100_000), commandLine: "" } },
      disks: { "0.0": new MemoryMedium(numberedDisk(2016)) },
    });
    expect(pc.runUntilScreen("kernel: not a bzImage", 100_000_000)).toBe(true);
    expect(pc.log.lines.filter((line) => line.includes("bzImage"))).toEqual([
      "error kernel: not a bzImage (no Linux setup header)",
    ]);
  });
});
