/** Protected-mode interfaces: APM in 16 and 32 bits, BIOS32 and PCI BIOS at odd code bases, PCI BIOS in 16 bits (rows 31, 32). */
import { describe, expect, it } from "vitest";
import { Assembler } from "../../src/firmware/assembler/assembler.ts";
import {
  AL,
  AX,
  CS,
  DS,
  EAX,
  EBX,
  ECX,
  EDI,
  EDX,
  ES,
  ESI,
  ESP,
  m8,
  m16,
  m32,
  SP,
  SS,
} from "../../src/firmware/assembler/operands.ts";
import { BiosCaller, BUFFER } from "./bios-caller.ts";

const CODE = 0x8000;
const BLOCK = 0x8800;
const ROM = 0xf0000;
const registers = { eax: EAX, ebx: EBX, ecx: ECX, edx: EDX, esi: ESI, edi: EDI } as const;
type Name = keyof typeof registers;
const names = Object.keys(registers) as Name[];

interface FarCall {
  /** Size of the called code segment. */
  readonly bits: 16 | 32;
  /** Base of the code segment and offset in it. */
  readonly base: number;
  readonly offset: number;
  /** As a software interrupt would be called: flags pushed first. */
  readonly isInterrupt?: boolean;
  readonly registers: Partial<Record<Name, number>>;
}

/** Switches the guest to protected mode, makes one far call and leaves the registers in memory. */
function callProtected(guest: BiosCaller, call: FarCall): Record<Name, number> & { carry: boolean } {
  const { memory } = guest;
  const a = new Assembler(CODE, 0);
  a.cli();
  a.db(0x66);
  a.lgdt(m16(CS, "gdtPointer"));
  a.movFromCr0(EAX);
  a.or(AL, 1);
  a.movToCr0(EAX);
  a.jmpFar(call.bits === 32 ? 0x08 : 0x18, "protected");
  a.label("protected");
  a.bits(call.bits);
  a.mov(AX, 0x10);
  for (const segment of [DS, ES, SS]) a.mov(segment, AX);
  if (call.bits === 32) a.mov(ESP, 0x7000);
  else a.mov(SP, 0x7000);
  names.forEach((name, i) => {
    a.mov(registers[name], m32(BLOCK + i * 4));
  });
  if (call.isInterrupt) a.pushf();
  a.callFarAt(m32(BLOCK + 0x40));
  a.pushf();
  a.pop(call.bits === 32 ? m32(BLOCK + 0x30) : m16(BLOCK + 0x30));
  names.forEach((name, i) => {
    a.mov(m32(BLOCK + i * 4), registers[name]);
  });
  // Back to real mode, with segments that belong there.
  a.jmpFar(0x18, "exit");
  a.bits(16);
  a.label("exit");
  a.mov(AX, 0x28);
  for (const segment of [DS, ES, SS]) a.mov(segment, AX);
  a.movFromCr0(EAX);
  a.and(AL, 0xfe);
  a.movToCr0(EAX);
  a.jmpFar(0, "real");
  a.label("real");
  a.xor(AX, AX);
  for (const segment of [DS, ES, SS]) a.mov(segment, AX);
  a.mov(m8(BLOCK + 0x38), 1);
  a.label("stop");
  a.jmp("stop");
  a.align(8);
  a.label("gdt");
  const limit = 0xffff;
  a.dd(0, 0);
  a.dd(0x0000ffff, 0x00cf9b00);
  a.dd(0x0000ffff, call.bits === 32 ? 0x00cf9300 : 0x00009300);
  a.dd(0x0000ffff, 0x00009b00);
  const low = ((call.base & 0xffff) << 16) | limit;
  const high = (call.base & 0xff000000) | 0x9b00 | ((call.base >>> 16) & 0xff) | (call.bits === 32 ? 0xcf0000 : 0);
  a.dd(low >>> 0, high >>> 0);
  a.dd(0x0000ffff, 0x00009300);
  a.label("gdtPointer");
  a.dw(0x2f);
  a.addressPlus("gdt", 0);
  memory.write(CODE, a.finish());
  memory.write(BLOCK, new Uint8Array(0x80));
  names.forEach((name, i) => {
    memory.write32(BLOCK + i * 4, (call.registers[name] ?? 0) >>> 0);
  });
  if (call.bits === 32) {
    memory.write32(BLOCK + 0x40, call.offset);
    memory.write16(BLOCK + 0x44, 0x20);
  } else {
    memory.write16(BLOCK + 0x40, call.offset);
    memory.write16(BLOCK + 0x42, 0x20);
  }
  const { cpu } = guest.pc.machine;
  cpu.setRegister("eflags", 2);
  cpu.setSegment("cs", 0);
  cpu.setRegister("eip", CODE);
  if (!guest.pc.runUntil(() => memory.read8(BLOCK + 0x38) === 1, 1_000_000))
    throw new Error(`the call did not return\n${guest.pc.describe()}`);
  const values = Object.fromEntries(names.map((name, i) => [name, memory.read32(BLOCK + i * 4)])) as Record<
    Name,
    number
  >;
  return { ...values, carry: (memory.read16(BLOCK + 0x30) & 1) !== 0 };
}

function findBios32(guest: BiosCaller): number {
  const rom = new Uint8Array(0x10000);
  guest.pc.machine.cpu.readLinearBytes(ROM, rom);
  for (let at = 0; at < rom.length; at += 16) {
    if (String.fromCharCode(...rom.subarray(at, at + 4)) !== "_32_") continue;
    expect(rom.subarray(at, at + 16).reduce((sum, byte) => sum + byte, 0) % 256).toBe(0);
    return new DataView(rom.buffer).getUint32(at + 4, true);
  }
  throw new Error("no BIOS32 header");
}

describe("protected-mode interfaces", () => {
  it("BIOS32 finds the PCI BIOS, which works at any code base", async () => {
    const guest = await BiosCaller.bootFromDisk();
    const entry = findBios32(guest);
    for (const base of [0, 0xe0000, ROM, 0x12345]) {
      const directory = { bits: 32, base, offset: (entry - base) >>> 0 } as const;
      const found = callProtected(guest, { ...directory, registers: { eax: 0x49435024 } });
      expect([found.eax & 0xff, found.ebx, found.ecx]).toEqual([0, ROM, 0x10000]);
      const missing = callProtected(guest, { ...directory, registers: { eax: 0x21212121 } });
      expect(missing.eax & 0xff).toBe(0x80);
      const pci = { bits: 32, base, offset: (ROM + found.edx - base) >>> 0 } as const;
      const there = callProtected(guest, { ...pci, registers: { eax: 0xb101 } });
      expect([there.carry, there.edx, there.ebx & 0xffff]).toEqual([false, 0x20494350, 0x0210]);
      const id = callProtected(guest, { ...pci, registers: { eax: 0xb10a, ebx: 0x0009 } });
      expect([id.carry, id.ecx]).toEqual([false, 0x71118086]);
      const wrong = callProtected(guest, { ...pci, registers: { eax: 0xb10a, ebx: 0x0009, edi: 0x1000 } });
      expect([wrong.carry, (wrong.eax >> 8) & 0xff]).toEqual([true, 0x87]);
    }
  });

  it("VBE's protected-mode code, copied to RAM, sets bank, start and palette (row 29)", async () => {
    const guest = await BiosCaller.bootFromDisk();
    const { memory } = guest;
    const { cpu, front, ports } = guest.pc.machine;
    const dispi = (index: number) => {
      ports.writePort(0x1ce, 2, index);
      return ports.readPort(0x1cf, 2);
    };
    expect(guest.call(0x10, { eax: 0x4f02, ebx: 0x4101 }).ax).toBe(0x004f);
    const code = guest.call(0x10, { eax: 0x4f0a, ebx: 0 });
    expect(code.ax).toBe(0x004f);
    const bytes = new Uint8Array(code.cx);
    cpu.readLinearBytes(code.es * 16 + (code.edi & 0xffff), bytes);
    // The functions return near: each is called from a far procedure in front of the copy.
    const [thunk, copy] = [0x21000, 0x21010];
    memory.write(copy, bytes);
    const entry = (index: number) => copy + (bytes[index * 2] | (bytes[index * 2 + 1] << 8));
    const callVbe = (index: number, registers: FarCall["registers"], base: number) => {
      const distance = (entry(index) - (thunk + 5)) >>> 0;
      memory.write(thunk, Uint8Array.of(0xe8, distance, distance >>> 8, distance >>> 16, distance >>> 24, 0xcb));
      return callProtected(guest, { bits: 32, base, offset: (thunk - base) >>> 0, registers });
    };
    const display = front.display!;
    const pixels = () => new Uint32Array(display.renderRgba().buffer);
    for (const base of [0, 0x20000, 0x20f00]) {
      for (const bank of [3, 1]) {
        callVbe(0, { ebx: 0, edx: bank }, base);
        expect(dispi(5)).toBe(bank);
      }
    }
    // Line 2, pixel 8, in units of four bytes.
    const start = (2 * 640 + 8) / 4;
    callVbe(1, { ebx: 0, ecx: start & 0xffff, edx: start >>> 16 }, 0);
    expect([dispi(8), dispi(9)]).toEqual([8, 2]);
    memory.write(BUFFER, Uint8Array.of(0x10, 0x20, 0x3f, 0));
    callVbe(2, { ebx: 0, ecx: 1, edx: 0, edi: BUFFER }, 0);
    expect((pixels()[0] & 0xffffff).toString(16)).toBe("4182ff");
  });

  it("INT 1Ah's entry serves 16-bit protected mode", async () => {
    const guest = await BiosCaller.bootFromDisk();
    const pci = { bits: 16, base: ROM, offset: 0xfe6e, isInterrupt: true } as const;
    const id = callProtected(guest, { ...pci, registers: { eax: 0xb10a, ebx: 0x0008 } });
    expect([id.carry, id.ecx]).toEqual([false, 0x70008086]);
    expect(callProtected(guest, { ...pci, registers: { eax: 0xb1ee } }).carry).toBe(true);
  });

  it.each([
    [16, 0x5302],
    [32, 0x5303],
  ] as const)("APM connects in %i bits, idles without HLT and powers off", async (bits, connect) => {
    const guest = await BiosCaller.bootFromDisk();
    const connection = guest.call(0x15, { eax: connect });
    expect([connection.carry, connection.ax, connection.cx]).toEqual([false, 0xf000, 0xf000]);
    const entry = { bits, base: connection.ax * 16, offset: bits === 32 ? connection.ebx : connection.bx } as const;
    expect(callProtected(guest, { ...entry, registers: { eax: 0x5305 } }).carry).toBe(false);
    const version = callProtected(guest, { ...entry, registers: { eax: 0x530e, ecx: 0x0102 } });
    expect([version.carry, version.eax & 0xffff]).toEqual([false, 0x0102]);
    const bad = callProtected(guest, { ...entry, registers: { eax: 0x5307, ebx: 0x0300, ecx: 3 } });
    expect([bad.carry, (bad.eax >> 8) & 0xff]).toEqual([true, 9]);
    // The machine is off before the call returns.
    expect(() => callProtected(guest, { ...entry, registers: { eax: 0x5307, ebx: 1, ecx: 3 } })).toThrow("not return");
    expect(guest.pc.events).toEqual([{ kind: "powered-off" }]);
  });

  it("the trap port is nothing outside of the ROM", async () => {
    const guest = await BiosCaller.bootFromDisk();
    // The bytes of a real stub, copied to RAM: INT 60h there must change nothing.
    const rom = new Uint8Array(0x10000);
    guest.pc.machine.cpu.readLinearBytes(ROM, rom);
    const stub = rom.slice(rom[0xf859 + 1] + (rom[0xf859 + 2] << 8) + 0xf859 + 3 - 0x10000);
    expect(stub[0]).toBe(0xe6);
    guest.memory.write(0x9000, stub.subarray(0, 8));
    guest.memory.write8(0x9008, 0xcf);
    guest.memory.write32(0x60 * 4, 0x9000);
    const got = guest.call(0x60, { eax: 0x8800, ebx: 0x1234 });
    expect([got.eax, got.ebx, got.carry]).toEqual([0x8800, 0x1234, false]);
    // Reading it finds nothing either: in al, E4h; iret.
    guest.memory.write(0x9000, Uint8Array.from([0xe4, 0xe4, 0xcf]));
    expect(guest.call(0x60).al).toBe(0xff);
  });
});
