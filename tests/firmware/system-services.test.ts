/** INT 11h, 12h, 15h and 1Ah as operating systems probe them, and what lies in ROM and low memory. */
import { beforeAll, describe, expect, it } from "vitest";
import { BiosCaller, BUFFER } from "./bios-caller.ts";

const RAM_MIB = 64;
const MIB = 0x100000;

describe("system services", () => {
  let guest: BiosCaller;

  beforeAll(async () => {
    guest = await BiosCaller.bootFromDisk({ spec: { ramMiB: RAM_MIB } });
  });

  const romBytes = (linear: number, length: number) => {
    const bytes = new Uint8Array(length);
    guest.pc.machine.cpu.readLinearBytes(linear, bytes);
    return bytes;
  };
  const text = (bytes: Uint8Array) => String.fromCharCode(...bytes);
  const sum = (bytes: Uint8Array) => bytes.reduce((total, byte) => total + byte, 0) % 256;

  function memoryMap(from = guest): { base: number; length: number; type: number }[] {
    const map: { base: number; length: number; type: number }[] = [];
    let ebx = 0;
    for (let i = 0; i < 32; i++) {
      from.memory.write(BUFFER, new Uint8Array(32).fill(0xcc));
      const got = from.call(0x15, { eax: 0xe820, ebx, ecx: 32, edx: 0x534d4150, es: BUFFER >> 4 });
      expect([got.carry, got.eax, got.ecx]).toEqual([false, 0x534d4150, 20]);
      expect(from.bytes(BUFFER + 20, 12)).toEqual(new Uint8Array(12).fill(0xcc));
      const at = (offset: number) => from.memory.read32(BUFFER + offset);
      map.push({ base: at(0) + at(4) * 2 ** 32, length: at(8) + at(12) * 2 ** 32, type: at(16) });
      ebx = got.ebx;
      if (ebx === 0) return map;
    }
    throw new Error("E820h has no end");
  }

  it("describes memory in agreeing ways", () => {
    const map = memoryMap();
    for (let i = 1; i < map.length; i++)
      expect(map[i].base).toBeGreaterThanOrEqual(map[i - 1].base + map[i - 1].length);
    expect(map[0]).toEqual({ base: 0, length: 0x9fc00, type: 1 });
    const acpi = map.find((range) => range.type === 3)!;
    expect(acpi.base + acpi.length).toBe(RAM_MIB * MIB);
    const usable = map.filter((range) => range.type === 1 && range.base >= MIB);
    const extendedKib = usable.reduce((total, range) => total + range.length, 0) / 1024;
    const e801 = guest.call(0x15, { eax: 0xe801 });
    expect([e801.carry, e801.ax, e801.cx]).toEqual([false, 0x3c00, 0x3c00]);
    expect(e801.ax + e801.bx * 64).toBe(extendedKib);
    expect(guest.call(0x15, { eax: 0x8800 }).ax).toBe(Math.min(extendedKib, 0xffc0));
    expect(guest.call(0x12).ax).toBe(639);
    expect(guest.call(0x15, { eax: 0xc100 }).es).toBe(0x9fc0);
    expect(guest.memory.read8(0x9fc00)).toBe(1);
    expect(guest.memory.read16(0x40e)).toBe(0x9fc0);
  });

  it.each([4, 15, 16, 17, 512, 3584])("describes %i MiB in agreeing ways, ranges sorted and apart", async (ramMiB) => {
    const other = await BiosCaller.bootFromDisk({ spec: { ramMiB } });
    const map = memoryMap(other);
    for (let i = 1; i < map.length; i++)
      expect(map[i].base).toBeGreaterThanOrEqual(map[i - 1].base + map[i - 1].length);
    const acpi = map.find((range) => range.type === 3)!;
    expect(acpi.base + acpi.length).toBe(ramMiB * MIB);
    const usable = map.filter((range) => range.type === 1 && range.base >= MIB);
    const extendedKib = usable.reduce((total, range) => total + range.length, 0) / 1024;
    const { ax, bx, cx, dx } = other.call(0x15, { eax: 0xe801 });
    expect([ax + bx * 64, cx + dx * 64]).toEqual([extendedKib, extendedKib]);
    expect(ax).toBeLessThanOrEqual(0x3c00);
    expect(other.call(0x15, { eax: 0x8800 }).ax).toBe(Math.min(extendedKib, 0xffc0));
  });

  it("ends E820h with carry for a wrong signature, index or size", () => {
    for (const registers of [
      { edx: 0, ecx: 20 },
      { edx: 0x534d4150, ecx: 19 },
      { edx: 0x534d4150, ecx: 20, ebx: 77 },
    ]) {
      expect(guest.call(0x15, { eax: 0xe820, es: BUFFER >> 4, ...registers }).carry).toBe(true);
    }
  });

  it("switches A20, and answers about it", () => {
    const cpu = guest.pc.machine.cpu;
    guest.memory.write32(0x00200, 0x11111111);
    guest.memory.write32(0x100200, 0x22222222);
    expect(guest.call(0x15, { eax: 0x2400 }).ah).toBe(0);
    expect(guest.call(0x15, { eax: 0x2402 }).al).toBe(0);
    expect(cpu.readLinear(0x100200, 4)).toBe(0x11111111);
    guest.call(0x15, { eax: 0x2401 });
    expect(guest.call(0x15, { eax: 0x2402 }).al).toBe(1);
    expect(cpu.readLinear(0x100200, 4)).toBe(0x22222222);
    expect(guest.call(0x15, { eax: 0x2403 }).bx).toBe(3);
  });

  it("moves blocks to and from extended memory, with A20 off too", () => {
    const table = new Uint8Array(48);
    const view = new DataView(table.buffer);
    const descriptor = (at: number, base: number) => {
      view.setUint16(at, 0xffff, true);
      view.setUint32(at + 2, (base & 0xffffff) | 0x93000000, true);
      table[at + 7] = base >>> 24;
    };
    descriptor(0x10, BUFFER);
    descriptor(0x18, 0x2000000);
    guest.memory.write(0x9000, table);
    guest.memory.write(BUFFER, new Uint8Array(64).fill(0x42));
    guest.call(0x15, { eax: 0x2400 });
    const got = guest.call(0x15, { eax: 0x8700, ecx: 32, esi: 0x9000 });
    expect([got.carry, got.ah]).toEqual([false, 0]);
    expect(guest.bytes(0x2000000, 64)).toEqual(new Uint8Array(64).fill(0x42));
    guest.call(0x15, { eax: 0x2401 });
  });

  it("has the configuration table, model and date where programs look", () => {
    const got = guest.call(0x15, { eax: 0xc000 });
    const table = romBytes(got.es * 16 + got.bx, 10);
    expect([got.carry, got.ah, table[0], table[2], table[5] & 0x74]).toEqual([false, 0, 8, 0xfc, 0x74]);
    expect(romBytes(0xffffe, 1)[0]).toBe(0xfc);
    expect(text(romBytes(0xffff5, 8))).toBe("06/23/99");
    expect(sum(romBytes(0xf0000, 0x10000))).toBe(0);
  });

  it("waits the time that INT 15h 86h asks for", () => {
    const { clock } = guest.pc.machine;
    const before = clock.nowNs();
    // 20 ms.
    expect(guest.call(0x15, { eax: 0x8600, ecx: 0, edx: 20_000 }).carry).toBe(false);
    const passedMs = (clock.nowNs() - before) / 1e6;
    expect(passedMs).toBeGreaterThanOrEqual(20);
    expect(passedMs).toBeLessThan(40);
  });

  it("counts ticks, and keeps date and time", () => {
    const first = guest.call(0x1a);
    guest.call(0x15, { eax: 0x8600, ecx: 0x0006, edx: 0 });
    const second = guest.call(0x1a);
    const ticks = (one: { cx: number; dx: number }) => one.cx * 0x10000 + one.dx;
    expect(ticks(second) - ticks(first)).toBeGreaterThan(5);
    const date = guest.call(0x1a, { eax: 0x0400 });
    expect([date.carry, date.cx, date.dx]).toEqual([false, 0x2020, 0x0101]);
    expect(guest.call(0x1a, { eax: 0x0500, ecx: 0x1999, edx: 0x1231 }).carry).toBe(false);
    expect(guest.call(0x1a, { eax: 0x0300, ecx: 0x2359, edx: 0x5900 }).carry).toBe(false);
    guest.call(0x15, { eax: 0x8600, ecx: 0x0020, edx: 0 });
    const next = guest.call(0x1a, { eax: 0x0400 });
    expect([next.cx, next.dx]).toEqual([0x2000, 0x0101]);
    expect(guest.call(0x1a, { eax: 0x0200 }).cx).toBe(0x0000);
  });

  it("sets the midnight flag once", () => {
    guest.call(0x1a, { eax: 0x0100, ecx: 0x0018, edx: 0x00af });
    guest.call(0x15, { eax: 0x8600, ecx: 0x0003, edx: 0 });
    const after = guest.call(0x1a);
    expect([after.al, after.cx]).toEqual([1, 0]);
    expect(guest.call(0x1a).al).toBe(0);
  });

  it("says 86h for what it does not serve, touching nothing else", () => {
    const served = [0x24, 0x4f, 0x52, 0x53, 0x80, 0x81, 0x82, 0x83, 0x85, 0x86, 0x87, 0x88, 0x90, 0x91];
    for (let ah = 0; ah < 0x100; ah++) {
      if (served.includes(ah) || (ah >= 0xc0 && ah <= 0xc2) || ah === 0xe8) continue;
      const sent = { eax: 0xcafe0000 | (ah << 8) | 0x5a, ebx: 0x11112222, ecx: 0x33334444, edx: 0x55556666 };
      const got = guest.call(0x15, { ...sent, flags: 0x0002 });
      expect([ah, got.carry, got.eax >>> 0, got.ebx, got.ecx, got.edx]).toEqual([
        ah,
        true,
        (0xcafe865a >>> 0) as number,
        sent.ebx,
        sent.ecx,
        sent.edx,
      ]);
      expect((got.flags & 0x200) !== 0).toBe(true);
    }
  });

  it("finds PCI devices and reads their configuration as the ports do", () => {
    const there = guest.call(0x1a, { eax: 0xb101 });
    expect([there.carry, there.ah, there.al & 1, there.bx, there.edx, there.cx & 0xff]).toEqual([
      false,
      0,
      1,
      0x0210,
      0x20494350,
      0,
    ]);
    const ide = guest.call(0x1a, { eax: 0xb103, ecx: 0x01018a });
    expect([ide.carry, ide.bx]).toEqual([false, 0x0009]);
    const id = guest.call(0x1a, { eax: 0xb10a, ebx: 0x0009, edi: 0 });
    expect(id.ecx).toBe(0x71118086);
    expect(guest.call(0x1a, { eax: 0xb102, ecx: 0x7111, edx: 0x8086 }).bx).toBe(0x0009);
    expect(guest.call(0x1a, { eax: 0xb102, ecx: 0x1234, edx: 0x5678 }).ah).toBe(0x86);
    expect(guest.call(0x1a, { eax: 0xb102, ecx: 0x1234, edx: 0xffff }).ah).toBe(0x83);
    expect(guest.call(0x1a, { eax: 0xb109, ebx: 0x0009, edi: 1 }).ah).toBe(0x87);
    expect(guest.call(0x1a, { eax: 0xb1ff }).ah).toBe(0x81);
    // Both IDE channels are enabled, or drivers see none.
    expect(guest.call(0x1a, { eax: 0xb10a, ebx: 0x0009, edi: 0x40 }).ecx).toBe(0x80008000);
    const frameBuffer = guest.call(0x1a, { eax: 0xb10a, ebx: 0x0010, edi: 0x10 });
    expect((frameBuffer.ecx & 0xfffffff0) >>> 0).toBe(0xe0000000);
  });

  it("describes one wiring in $PIR, B10Eh and the chipset's registers", () => {
    const rom = romBytes(0xf0000, 0x10000);
    let at = -1;
    for (let i = 0; i < rom.length; i += 16) if (text(rom.subarray(i, i + 4)) === "$PIR") at = i;
    expect(at).toBeGreaterThanOrEqual(0);
    const length = rom[at + 6] | (rom[at + 7] << 8);
    const table = rom.subarray(at, at + length);
    expect([length % 16, sum(table)]).toEqual([0, 0]);
    // Room for 4 KiB at 0100:0000.
    guest.memory.write16(0x9000, 0x1000);
    guest.memory.write16(0x9002, 0);
    guest.memory.write16(0x9004, 0x0100);
    const got = guest.call(0x1a, { eax: 0xb10e, ebx: 0, edi: 0x9000 });
    expect([got.carry, got.ah]).toEqual([false, 0]);
    expect(guest.memory.read16(0x9000)).toBe(length - 32);
    expect(guest.bytes(0x1000, length - 32)).toEqual(table.slice(32));
    expect(guest.call(0x1a, { eax: 0xb10a, ebx: 0x0008, edi: 0x60 }).ecx).toBe(0x0b090a0b);
  });

  it("offers APM and powers off through it", () => {
    const there = guest.call(0x15, { eax: 0x5300 });
    expect([there.carry, there.bx, there.ax, there.cx & 3]).toEqual([false, 0x504d, 0x0102, 3]);
    expect(guest.call(0x15, { eax: 0x5307, ebx: 1, ecx: 3 }).ah).toBe(3);
    expect(guest.call(0x15, { eax: 0x5301 }).carry).toBe(false);
    expect(guest.call(0x15, { eax: 0x5301 }).ah).toBe(2);
    expect(guest.call(0x15, { eax: 0x530e, ecx: 0x0102 }).ax).toBe(0x0102);
    expect(guest.call(0x15, { eax: 0x530a, ebx: 1 }).bx).toBe(0x01ff);
    expect(guest.call(0x15, { eax: 0x530b }).ah).toBe(0x80);
    guest.begin(0x15, { eax: 0x5307, ebx: 1, ecx: 3 });
    guest.pc.runUntil(() => guest.pc.events.length > 0, 10_000_000);
    expect(guest.pc.events).toEqual([{ kind: "powered-off" }]);
  });
});
