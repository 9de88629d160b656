/** Small programs that run instead of a BIOS, from the reset vector on, in 16-bit real mode with CS = F000h. */
import { Assembler } from "../../src/firmware/assembler/assembler.ts";
import { AL, AX, CS, DI, DS, DX, EAX, ES, m8, m16, SI, SP, SS } from "../../src/firmware/assembler/operands.ts";

const ROM_BYTES = 0x10000;
export const COM1 = 0x3f8;

/** A BIOS image of 64 KiB whose reset vector jumps to `program` at F000:0000. DS, ES and SS are 0, the stack below 7C00h. */
export function biosImage(program: (a: Assembler) => void): Uint8Array {
  const a = new Assembler(0);
  a.mov(AX, 0);
  a.mov(DS, AX);
  a.mov(ES, AX);
  a.mov(SS, AX);
  a.mov(SP, 0x7c00);
  program(a);
  a.origin(0xfff0);
  a.jmpFar(0xf000, 0);
  a.origin(ROM_BYTES);
  return a.finish();
}

/** The procedure `send`: AL to COM1 when its transmitter is free. Changes DX. */
export function emitSend(a: Assembler): void {
  a.label("send");
  a.push(AX);
  a.label("send wait");
  a.mov(DX, COM1 + 5);
  a.in(AL, DX);
  a.test(AL, 0x20);
  a.j("z", "send wait");
  a.pop(AX);
  a.mov(DX, COM1);
  a.out(DX, AL);
  a.ret();
}

/** The procedure `say`: the text at CS:SI, up to a 0. */
export function emitSay(a: Assembler): void {
  a.label("say");
  a.segment(CS);
  a.lodsb();
  a.test(AL, AL);
  a.j("z", "said");
  a.call("send");
  a.jmp("say");
  a.label("said");
  a.ret();
}

export function say(a: Assembler, label: string): void {
  a.mov(SI, label);
  a.call("say");
}

/** One 32-bit write to the configuration space of bus 0. */
export function pciWrite(a: Assembler, slot: number, fn: number, register: number, value: number): void {
  a.mov(DX, 0xcf8);
  a.mov(EAX, (0x80000000 | (slot << 11) | (fn << 8) | register) >>> 0);
  a.out(DX, EAX);
  a.mov(DX, 0xcfc);
  a.mov(EAX, value);
  a.out(DX, EAX);
}

/** Switches the machine off: power management block at 4000h, sleep type 5. */
export function powerOff(a: Assembler): void {
  pciWrite(a, 7, 0, 0x40, 0x4001);
  pciWrite(a, 7, 0, 0x80, 0x0001);
  a.mov(DX, 0x4004);
  a.mov(AX, (1 << 13) | (5 << 10));
  a.out(DX, AX);
}

/** Plays bytes 0 to 255 at 8 kHz through a Sound Blaster 16, says so, switches off. */
export function soundProgram(): Uint8Array {
  const out = (a: Assembler, port: number, value: number) => {
    a.mov(DX, port);
    a.mov(AL, value);
    a.out(DX, AL);
  };
  return biosImage((a) => {
    // The samples: 256 bytes at 8000h.
    a.mov(DI, 0x8000);
    a.xor(AX, AX);
    a.label("sample");
    a.mov(m8(DI), AL);
    a.inc(DI);
    a.inc(AL);
    a.j("nz", "sample");
    // DMA channel 1: memory to device, once.
    for (const [port, value] of [
      [0x0a, 0x05],
      [0x0c, 0x00],
      [0x0b, 0x49],
      [0x02, 0x00],
      [0x02, 0x80],
      [0x03, 0xff],
      [0x03, 0x00],
      [0x83, 0x00],
      [0x0a, 0x01],
    ])
      out(a, port, value);
    for (const register of [0x30, 0x31, 0x32, 0x33]) {
      out(a, 0x224, register);
      out(a, 0x225, 0xf8);
    }
    for (const byte of [0x41, 8000 >> 8, 8000 & 0xff, 0xc0, 0x00, 0xff, 0x00]) out(a, 0x22c, byte);
    out(a, 0x224, 0x82);
    a.label("wait");
    a.mov(DX, 0x225);
    a.in(AL, DX);
    a.test(AL, 1);
    a.j("z", "wait");
    say(a, "played");
    powerOff(a);
    a.label("sleep");
    a.hlt();
    a.jmp("sleep");
    emitSend(a);
    emitSay(a);
    a.label("played");
    a.db("played\r\n", 0);
  });
}

/** Says hello, echoes what it is sent, switches off at `q`, dies at `x`, sleeps for good at `h`. */
export function echoProgram(): Uint8Array {
  return biosImage((a) => {
    say(a, "hello");
    a.label("next");
    a.mov(DX, COM1 + 5);
    a.in(AL, DX);
    a.test(AL, 1);
    a.j("z", "next");
    a.mov(DX, COM1);
    a.in(AL, DX);
    a.cmp(AL, "q".charCodeAt(0));
    a.j("z", "off");
    a.cmp(AL, "x".charCodeAt(0));
    a.j("z", "die");
    a.cmp(AL, "h".charCodeAt(0));
    a.j("z", "sleep");
    a.call("send");
    a.jmp("next");
    a.label("off");
    say(a, "bye");
    // The last character takes its time to leave.
    a.mov(DX, COM1 + 5);
    a.label("drain");
    a.in(AL, DX);
    a.test(AL, 0x40);
    a.j("z", "drain");
    powerOff(a);
    a.label("die");
    // An interrupt table without room for any vector, then an interrupt.
    a.lidt(m16(CS, "no table"));
    a.int(3);
    a.label("sleep");
    a.hlt();
    a.jmp("sleep");
    emitSend(a);
    emitSay(a);
    a.label("hello");
    a.db("hello\r\n", 0);
    a.label("bye");
    a.db("bye\r\n", 0);
    a.label("no table");
    a.dw(0, 0, 0);
  });
}
