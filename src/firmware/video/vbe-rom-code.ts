/**
 * VBE code that guests call directly: the bank function behind ModeInfoBlock's far pointer (16-bit), and the protected-mode
 * interface of function 0Ah (32-bit, copied and run at any address). Only DISPI and DAC ports, byte-wide, high byte first.
 */
import type { Assembler } from "../assembler/assembler.ts";
import { AH, AL, AX, BH, BL, CL, CX, DL, DX, EAX, ECX, EDI, EDX, ES, m8 } from "../assembler/operands.ts";
import { dispi } from "./dispi.ts";

/** Selects a DISPI register; DX is left at the data port. AX is used. */
function selectDispi(a: Assembler, index: number): void {
  a.mov(DX, dispi.indexPort);
  a.mov(AL, 0);
  a.out(DX, AL);
  a.mov(AL, index);
  a.out(DX, AL);
  a.inc(DX);
}

/** BX = 0000h sets window A to bank DX, 0100h gives it in DX; far-called. */
export function emitVbeWindowFunction(a: Assembler): void {
  a.label("vbe.window");
  a.push(AX);
  a.cmp(BL, 0);
  a.j("ne", "vbe.window.failed");
  a.cmp(BH, 1);
  a.j("a", "vbe.window.failed");
  a.j("e", "vbe.window.get");
  a.push(DX);
  a.push(CX);
  a.mov(CX, DX);
  selectDispi(a, dispi.bank);
  a.mov(AL, 0);
  a.out(DX, AL);
  a.mov(AL, CL);
  a.out(DX, AL);
  a.pop(CX);
  a.pop(DX);
  a.jmp("vbe.window.done");
  a.label("vbe.window.get");
  selectDispi(a, dispi.bank);
  a.in(AL, DX);
  a.mov(AH, AL);
  a.in(AL, DX);
  a.mov(DX, AX);
  a.label("vbe.window.done");
  a.pop(AX);
  a.mov(AX, 0x004f);
  a.retf();
  a.label("vbe.window.failed");
  a.pop(AX);
  a.mov(AX, 0x014f);
  a.retf();
}

/** The table of function 0Ah: offsets of functions 5, 7 and 9, no port list, then the 32-bit code. */
export function emitVbeProtectedInterface(a: Assembler): void {
  a.label("vbe.protected");
  const entries = ["setWindow", "setStart", "setPalette"] as const;
  for (const entry of entries) a.dwDifference(`vbe.protected.${entry}`, "vbe.protected");
  a.dw(0);
  a.bits(32);

  // Function 5: BX = 0, DX = bank.
  a.label("vbe.protected.setWindow");
  a.push(ECX);
  a.push(EDX);
  a.mov(ECX, EDX);
  selectDispi(a, dispi.bank);
  writeCx(a);
  a.pop(EDX);
  a.pop(ECX);
  a.mov(AX, 0x004f);
  a.ret();

  // Function 7: CX and DX are the low and high word of the start address in units of four bytes.
  a.label("vbe.protected.setStart");
  a.push(ECX);
  a.push(EDX);
  a.push(EDI);
  a.movzx(EDI, CX);
  a.movzx(EAX, DX);
  a.shl(EAX, 16);
  a.or(EDI, EAX);
  a.shl(EDI, 2);
  // Bytes to pixels and lines: the pitch is virtual width × bytes per pixel.
  selectDispi(a, dispi.bitsPerPixel);
  readAx(a);
  a.add(AX, 7);
  a.shr(AX, 3);
  a.movzx(ECX, AX);
  selectDispi(a, dispi.virtualWidth);
  readAx(a);
  a.movzx(EAX, AX);
  a.push(EAX);
  a.mul(ECX);
  a.xchg(EAX, EDI);
  a.xor(EDX, EDX);
  a.test(EDI, EDI);
  a.j("z", "vbe.protected.startDone");
  a.div(EDI);
  // EAX = line, EDX = byte in the line.
  a.push(EDX);
  a.mov(EDI, ECX);
  a.mov(ECX, EAX);
  selectDispi(a, dispi.yOffset);
  writeCx(a);
  a.pop(EAX);
  a.xor(EDX, EDX);
  a.div(EDI);
  a.mov(ECX, EAX);
  selectDispi(a, dispi.xOffset);
  writeCx(a);
  a.label("vbe.protected.startDone");
  a.pop(EAX);
  a.pop(EDI);
  a.pop(EDX);
  a.pop(ECX);
  a.mov(AX, 0x004f);
  a.ret();

  // Function 9: BL = 0 or 80h, CX entries from DX at ES:EDI (blue, green, red, pad).
  a.label("vbe.protected.setPalette");
  a.push(ECX);
  a.push(EDX);
  a.push(EDI);
  a.movzx(ECX, CX);
  a.test(ECX, ECX);
  a.j("z", "vbe.protected.paletteDone");
  a.mov(AL, DL);
  a.mov(DX, 0x3c8);
  a.out(DX, AL);
  a.inc(DX);
  a.label("vbe.protected.nextColor");
  for (const offset of [2, 1, 0]) {
    a.mov(AL, m8(ES, EDI, offset));
    a.out(DX, AL);
  }
  a.add(EDI, 4);
  a.dec(ECX);
  a.j("nz", "vbe.protected.nextColor");
  a.label("vbe.protected.paletteDone");
  a.pop(EDI);
  a.pop(EDX);
  a.pop(ECX);
  a.mov(AX, 0x004f);
  a.ret();
  a.bits(16);
  a.label("vbe.protected.end");
}

/** CX to the selected DISPI register, high byte first. */
function writeCx(a: Assembler): void {
  a.mov(EAX, ECX);
  a.mov(AL, AH);
  a.out(DX, AL);
  a.mov(AL, CL);
  a.out(DX, AL);
}

/** The selected DISPI register in AX. */
function readAx(a: Assembler): void {
  a.in(AL, DX);
  a.mov(AH, AL);
  a.in(AL, DX);
}
