/** The ROM assembler against NASM: the same source line must give the same bytes. Needs Debian's nasm. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Assembler } from "../../src/firmware/assembler/assembler.ts";
import * as o from "../../src/firmware/assembler/operands.ts";

const { AL, AX, BH, BP, BX, CL, CS, CX, DI, DL, DS, DX, EAX, EBX, ECX, EDI, EDX, ES, ESI, ESP, FS, GS, SI, SP, SS } = o;
const { m16, m32, m8 } = o;

function nasm(bits: number, lines: readonly string[]): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), "anneau-nasm-"));
  try {
    // No optimisation of displacement or immediate sizes beyond the shortest, which is what ours chooses.
    writeFileSync(join(folder, "in.asm"), `bits ${bits}\norg 0x100\n${lines.join("\n")}\n`);
    try {
      execFileSync("nasm", ["-f", "bin", "-o", join(folder, "out.bin"), join(folder, "in.asm")], { stdio: "pipe" });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") throw new Error("nasm is missing: apt-get install nasm");
      throw error;
    }
    return new Uint8Array(readFileSync(join(folder, "out.bin")));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

type Case = readonly [source: string, emit: (a: Assembler) => void];

function check(bits: 16 | 32, cases: readonly Case[]): void {
  // Each line padded to 16 bytes, so that a difference names its line.
  const lines = cases.map(([source]) => `${source}\nalign 16, db 0x90`);
  const expected = nasm(bits, lines);
  const a = new Assembler(0x100, 0x90);
  a.bits(bits);
  for (const [, emit] of cases) {
    emit(a);
    a.align(16);
  }
  const bytes = a.finish();
  const hex = (all: Uint8Array, i: number) => Buffer.from(all.subarray(i * 16, i * 16 + 16)).toString("hex");
  cases.forEach(([source], i) => {
    expect(`${source}: ${hex(bytes, i)}`).toBe(`${source}: ${hex(expected, i)}`);
  });
}

describe("the assembler", () => {
  it("encodes 16-bit instructions as NASM does", () => {
    check(16, [
      ["mov ax, 1234h", (a) => a.mov(AX, 0x1234)],
      ["mov bh, 12h", (a) => a.mov(BH, 0x12)],
      ["mov eax, 12345678h", (a) => a.mov(EAX, 0x12345678)],
      ["mov cx, dx", (a) => a.mov(CX, DX)],
      ["mov ds, ax", (a) => a.mov(DS, AX)],
      ["mov ax, es", (a) => a.mov(AX, ES)],
      ["mov [es:di+2], ax", (a) => a.mov(m16(ES, DI, 2), AX)],
      ["mov bx, [bp+si]", (a) => a.mov(BX, m16(BP, SI))],
      ["mov ax, [1234h]", (a) => a.mov(AX, m16(0x1234))],
      ["mov [cs:1234h], al", (a) => a.mov(m8(CS, 0x1234), AL)],
      ["mov byte [bx+di+1000h], 7", (a) => a.mov(m8(BX, DI, 0x1000), 7)],
      ["mov dword [6ch], 12345678h", (a) => a.mov(m32(0x6c), 0x12345678)],
      ["mov cl, [bp]", (a) => a.mov(CL, m8(BP))],
      ["mov word [si], es", (a) => a.mov(m16(SI), ES)],
      ["movzx eax, bh", (a) => a.movzx(EAX, BH)],
      ["movzx ebx, word [di]", (a) => a.movzx(EBX, m16(DI))],
      ["movsx ax, cl", (a) => a.movsx(AX, CL)],
      ["xchg dx, di", (a) => a.xchg(DX, DI)],
      ["lea si, [bx+8]", (a) => a.lea(SI, m16(BX, 8))],
      ["les bx, [98h]", (a) => a.les(BX, m16(0x98))],
      ["lds si, [bp+4]", (a) => a.lds(SI, m16(BP, 4))],
      ["push ax", (a) => a.push(AX)],
      ["push ebx", (a) => a.push(EBX)],
      ["push es", (a) => a.push(ES)],
      ["push fs", (a) => a.push(FS)],
      ["push byte 2", (a) => a.push(2)],
      ["push word 1234h", (a) => a.push(0x1234)],
      ["push word [220h]", (a) => a.push(m16(0x220))],
      ["pop gs", (a) => a.pop(GS)],
      ["pop dword [200h]", (a) => a.pop(m32(0x200))],
      ["pushad", (a) => a.pushad()],
      ["popa", (a) => a.popa()],
      ["add ax, 5", (a) => a.add(AX, 5)],
      ["add ax, 1d8h", (a) => a.add(AX, 0x1d8)],
      ["sub dword [9ch], 976", (a) => a.sub(m32(0x9c), 976)],
      ["and byte [3fh], 0f0h", (a) => a.and(m8(0x3f), 0xf0)],
      ["or dl, [bx]", (a) => a.or(DL, m8(BX))],
      ["xor ax, ax", (a) => a.xor(AX, AX)],
      ["cmp al, 21h", (a) => a.cmp(AL, 0x21)],
      ["cmp dword [6ch], 1800b0h", (a) => a.cmp(m32(0x6c), 0x1800b0)],
      ["adc bx, cx", (a) => a.adc(BX, CX)],
      ["sbb edx, 0", (a) => a.sbb(EDX, 0)],
      ["test al, 80h", (a) => a.test(AL, 0x80)],
      ["test byte [18h], 8", (a) => a.test(m8(0x18), 8)],
      ["test [si], ah", (a) => a.test(m8(SI), o.AH)],
      ["inc dword [6ch]", (a) => a.inc(m32(0x6c))],
      ["inc si", (a) => a.inc(SI)],
      ["dec byte [40h]", (a) => a.dec(m8(0x40))],
      ["not cx", (a) => a.not(CX)],
      ["neg byte [di]", (a) => a.neg(m8(DI))],
      ["mul bx", (a) => a.mul(BX)],
      ["div ecx", (a) => a.div(ECX)],
      ["shl bx, 1", (a) => a.shl(BX, 1)],
      ["shr eax, 16", (a) => a.shr(EAX, 16)],
      ["sar dx, cl", (a) => a.sar(DX, CL)],
      ["rol byte [bx], 1", (a) => a.rol(m8(BX), 1)],
      ["rcr ax, 4", (a) => a.rcr(AX, 4)],
      ["in al, dx", (a) => a.in(AL, DX)],
      ["in ax, dx", (a) => a.in(AX, DX)],
      ["in al, 60h", (a) => a.in(AL, 0x60)],
      ["out dx, eax", (a) => a.out(DX, EAX)],
      ["out 20h, al", (a) => a.out(0x20, AL)],
      [
        "rep insw",
        (a) => {
          a.rep();
          a.insw();
        },
      ],
      ["outsd", (a) => a.outsd()],
      [
        "rep movsw",
        (a) => {
          a.rep();
          a.movsw();
        },
      ],
      ["stosb", (a) => a.stosb()],
      ["lodsw", (a) => a.lodsw()],
      ["jmp [cs:bx+1234h]", (a) => a.jmp(m16(CS, BX, 0x1234))],
      ["call far [es:bx]", (a) => a.callFarAt(m32(ES, BX))],
      ["jmp far [di]", (a) => a.jmpFarAt(m32(DI))],
      ["jmp 0f000h:0e05bh", (a) => a.jmpFar(0xf000, 0xe05b)],
      ["call 0c000h:3", (a) => a.callFar(0xc000, 3)],
      ["jmp dword 8:12345678h", (a) => a.jmpFar(8, 0x12345678, 32)],
      ["retf 2", (a) => a.retf(2)],
      ["iret", (a) => a.iret()],
      ["int 13h", (a) => a.int(0x13)],
      ["lgdt [cs:30h]", (a) => a.lgdt(m16(CS, 0x30))],
      ["lidt [si]", (a) => a.lidt(m16(SI))],
      ["lmsw ax", (a) => a.lmsw(AX)],
      ["mov eax, cr0", (a) => a.movFromCr0(EAX)],
      ["mov cr0, eax", (a) => a.movToCr0(EAX)],
      ["mov ss, [69h]", (a) => a.mov(SS, m16(0x69))],
      ["mov sp, bp", (a) => a.mov(SP, BP)],
    ]);
  });

  it("encodes 32-bit instructions as NASM does", () => {
    check(32, [
      ["mov eax, 100000h", (a) => a.mov(EAX, 0x100000)],
      ["mov ax, 18h", (a) => a.mov(AX, 0x18)],
      ["mov ds, ax", (a) => a.mov(DS, AX)],
      ["mov al, [es:edi+2]", (a) => a.mov(AL, m8(ES, EDI, 2))],
      ["mov ecx, [esp+8]", (a) => a.mov(ECX, m32(ESP, 8))],
      ["mov [12345678h], ebx", (a) => a.mov(m32(0x12345678), EBX)],
      ["mov edx, [esi+1000h]", (a) => a.mov(EDX, m32(ESI, 0x1000))],
      ["movzx edi, cx", (a) => a.movzx(EDI, CX)],
      ["push word [edi]", (a) => a.push(m16(EDI))],
      ["pushad", (a) => a.pushad()],
      ["add ax, 7", (a) => a.add(AX, 7)],
      ["inc dx", (a) => a.inc(DX)],
      ["xchg ecx, edi", (a) => a.xchg(ECX, EDI)],
      ["out dx, al", (a) => a.out(DX, AL)],
      ["jmp eax", (a) => a.jmp(EAX)],
      ["retf", (a) => a.retf()],
    ]);
  });

  it("chooses short and near branches as NASM does", () => {
    const distances = [0, 100, 124, 125, 126, 127, 128, 200, 40000];
    for (const distance of distances) {
      const source = [
        "start:",
        "jmp over",
        "jc start",
        "call over",
        `times ${distance} nop`,
        "over:",
        "jnz start",
        "jmp start",
      ];
      const a = new Assembler(0x100);
      a.label("start");
      a.jmp("over");
      a.j("c", "start");
      a.call("over");
      for (let i = 0; i < distance; i++) a.nop();
      a.label("over");
      a.j("nz", "start");
      a.jmp("start");
      expect([distance, Buffer.from(a.finish()).equals(nasm(16, source))]).toEqual([distance, true]);
    }
  });

  it("refuses what cannot be encoded, naming it", () => {
    const cases: ((a: Assembler) => void)[] = [
      (a) => a.jmp("nowhere"),
      (a) => {
        a.label("twice");
        a.label("twice");
      },
      (a) => a.mov(AX, m16(AX)),
      (a) => a.mov(m16(BX), m16(SI)),
      (a) => {
        a.origin(0x200);
        a.origin(0x100);
      },
    ];
    for (const emit of cases)
      expect(() => {
        const a = new Assembler(0);
        emit(a);
        a.finish();
      }).toThrow(/^assembler: /);
  });
});
