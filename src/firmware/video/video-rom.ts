/**
 * The video BIOS ROM: 32 KiB for C0000h (PCI expansion ROM format, code type 0). INT 10h hands its registers to the logic
 * behind the session port and carries out what comes back (program.ts). Plain 16-bit instructions of the 8086, byte-wide
 * IN and OUT, no string I/O, about 40 bytes of the caller's stack: guests run it in x86 emulators of their own and in V86.
 */
import { Assembler } from "../assembler/assembler.ts";
import {
  AH,
  AL,
  AX,
  BH,
  BL,
  BP,
  BX,
  CH,
  CL,
  CS,
  CX,
  DI,
  DS,
  DX,
  ES,
  m8,
  m16,
  SI,
  SP,
  SS,
} from "../assembler/operands.ts";
import { BDA_BASE, bda } from "../bios-data-area.ts";
import { font8x8, font8x14, font8x16 } from "../fonts/fonts.ts";
import { FRAME_BYTES, op, VIDEO_CONTROL_PORT, VIDEO_KEY, VIDEO_SESSION_PORT } from "./program.ts";
import { emitSavePointers, emitStaticFunctionality, emitVbeStrings } from "./rom-tables.ts";
import { emitFastTeletype } from "./teletype-rom-code.ts";
import { emitVbeProtectedInterface, emitVbeWindowFunction } from "./vbe-rom-code.ts";

export const VIDEO_ROM_BYTES = 0x8000;
const EQUIPMENT = BDA_BASE + bda.equipment;

export interface VideoRom {
  readonly bytes: Uint8Array;
  readonly labels: { readonly [label: string]: number };
}

export interface VideoRomIds {
  readonly vendorId: number;
  readonly deviceId: number;
}

export function buildVideoRom(ids: VideoRomIds): VideoRom {
  const a = new Assembler(0);
  a.db(0x55, 0xaa, VIDEO_ROM_BYTES / 512);
  a.jmp("initialise");
  a.origin(0x18);
  a.dw("pcir", 0);
  a.origin(0x1e);
  // Programs look for this name to tell a VGA BIOS.
  a.db("IBM VGA compatible\0");
  a.align(4);
  emitPciData(a, ids);
  emitStaticFunctionality(a);
  emitVbeStrings(a);
  emitSavePointers(a);

  emitInitialise(a);
  emitEntry(a);
  emitInterpreter(a);
  emitVbeWindowFunction(a);
  emitVbeProtectedInterface(a);

  a.align(16);
  a.label("font8x16");
  a.bytes(font8x16);
  a.label("font8x14");
  a.bytes(font8x14);
  a.label("font8x8");
  a.bytes(font8x8);
  // Alternate 9-dot glyphs (INT 10h 1130h BH = 5 and 7): none.
  a.label("font9");
  a.db(0);

  const rom = new Uint8Array(VIDEO_ROM_BYTES).fill(0xff);
  rom.set(a.finish());
  rom[VIDEO_ROM_BYTES - 1] = 0;
  rom[VIDEO_ROM_BYTES - 1] = -rom.reduce((sum, byte) => sum + byte, 0) & 0xff;
  return { bytes: rom, labels: a.labels() };
}

/** PCI data structure (PCI Local Bus 2.2, 6.3.1.2). */
function emitPciData(a: Assembler, ids: VideoRomIds): void {
  a.label("pcir");
  a.db("PCIR");
  a.dw(ids.vendorId, ids.deviceId, 0, 0x18);
  a.db(0x00, 0x00, 0x00, 0x03);
  a.dw(VIDEO_ROM_BYTES / 512, 0x0001);
  a.db(0x00, 0x80);
  a.dw(0);
}

/** Called by POST: takes the vectors, notes 80 columns in colour as the initial mode (INT 11h) and sets mode 3. */
function emitInitialise(a: Assembler): void {
  a.label("initialise");
  a.push(AX);
  a.push(DS);
  a.xor(AX, AX);
  a.mov(DS, AX);
  for (const [vector, label] of [
    [0x10, "int10"],
    [0x1f, "font8x8.upper"],
    [0x43, "font8x16"],
    [0x6d, "int10"],
  ] as const) {
    if (label === "font8x8.upper") {
      a.mov(AX, "font8x8");
      a.add(AX, 128 * 8);
    } else a.mov(AX, label);
    a.mov(m16(vector * 4), AX);
    a.mov(m16(vector * 4 + 2), CS);
  }
  a.and(m8(EQUIPMENT), 0xcf);
  a.or(m8(EQUIPMENT), 0x20);
  a.mov(AX, 0x0003);
  a.int(0x10);
  a.pop(DS);
  a.pop(AX);
  a.retf();
}

/** Saves the caller's registers in the frame's order, opens a session and sends them. */
function emitEntry(a: Assembler): void {
  a.label("int10");
  a.sti();
  a.cld();
  emitFastTeletype(a);
  a.push(ES);
  a.push(DS);
  a.push(BP);
  a.push(DI);
  a.push(SI);
  a.push(DX);
  a.push(CX);
  a.push(BX);
  a.push(AX);
  a.mov(BP, SP);
  a.mov(DX, VIDEO_CONTROL_PORT);
  for (const byte of VIDEO_KEY) {
    a.mov(AL, byte);
    a.out(DX, AL);
  }
  a.in(AL, DX);
  a.mov(AH, 0);
  a.add(AX, VIDEO_SESSION_PORT);
  a.mov(DX, AX);
  a.mov(SI, BP);
  a.mov(CX, FRAME_BYTES);
  a.label("sendFrame");
  a.mov(AL, m8(SS, SI));
  a.out(DX, AL);
  a.inc(SI);
  a.loop("sendFrame");
}

/** Instructions by code. Between them DX is the session port, DS and ES are free, BP points to the frame. */
function emitInterpreter(a: Assembler): void {
  a.label("next");
  a.in(AL, DX);
  a.mov(AH, 0);
  a.mov(BX, AX);
  a.shl(BX, 1);
  a.cmp(BX, Object.keys(op).length * 2);
  a.j("ae", "op.end");
  a.segment(CS);
  a.jmp(m16(BX, "operations"));

  a.label("operations");
  for (const name of Object.keys(op)) a.dw(`op.${name}`);

  a.label("op.end");
  a.pop(AX);
  a.pop(BX);
  a.pop(CX);
  a.pop(DX);
  a.pop(SI);
  a.pop(DI);
  a.pop(BP);
  a.pop(DS);
  a.pop(ES);
  a.iret();

  // A word from the session port in AX.
  a.label("word");
  a.in(AL, DX);
  a.mov(AH, AL);
  a.in(AL, DX);
  a.xchg(AL, AH);
  a.ret();

  // ES:DI, DS:SI, CX from the session port.
  a.label("target");
  a.call("word");
  a.mov(ES, AX);
  a.call("word");
  a.mov(DI, AX);
  a.ret();
  a.label("source");
  a.call("word");
  a.mov(DS, AX);
  a.call("word");
  a.mov(SI, AX);
  a.ret();
  a.label("byteCount");
  a.in(AL, DX);
  a.mov(CL, AL);
  a.mov(CH, 0);
  a.ret();
  a.label("wordCount");
  a.call("word");
  a.mov(CX, AX);
  a.ret();

  a.label("op.out");
  a.call("word");
  a.mov(BX, AX);
  a.in(AL, DX);
  a.xchg(BX, DX);
  a.out(DX, AL);
  a.mov(DX, BX);
  a.jmp("next");

  a.label("op.in");
  a.call("word");
  a.mov(BX, AX);
  a.xchg(BX, DX);
  a.in(AL, DX);
  a.mov(DX, BX);
  a.out(DX, AL);
  a.jmp("next");

  a.label("op.poke");
  a.call("target");
  a.call("byteCount");
  a.label("poke.next");
  a.in(AL, DX);
  a.stosb();
  a.loop("poke.next");
  a.jmp("next");

  a.label("op.fillWords");
  a.call("target");
  a.call("wordCount");
  a.call("word");
  a.rep();
  a.stosw();
  a.jmp("next");

  a.label("op.fillBytes");
  a.call("target");
  a.call("wordCount");
  a.in(AL, DX);
  a.rep();
  a.stosb();
  a.jmp("next");

  for (const unit of ["Words", "Bytes"]) {
    a.label(`op.copy${unit}`);
    a.call("target");
    a.call("source");
    a.call("wordCount");
    a.in(AL, DX);
    a.test(AL, AL);
    a.j("z", `copy${unit}.up`);
    a.std();
    a.label(`copy${unit}.up`);
    a.rep();
    if (unit === "Words") a.movsw();
    else a.movsb();
    a.cld();
    a.jmp("next");
  }

  a.label("op.peek");
  a.call("source");
  a.call("wordCount");
  a.label("peek.next");
  a.lodsb();
  a.out(DX, AL);
  a.loop("peek.next");
  a.jmp("next");

  a.label("op.setRegister");
  a.in(AL, DX);
  a.mov(AH, 0);
  a.mov(SI, AX);
  a.call("word");
  a.mov(m16(BP, SI), AX);
  a.jmp("next");

  a.label("op.outIndexed");
  a.call("word");
  a.mov(DI, AX);
  a.call("byteCount");
  a.label("outIndexed.next");
  for (const isData of [false, true]) {
    a.in(AL, DX);
    a.xchg(DX, DI);
    if (isData) a.inc(DX);
    a.out(DX, AL);
    if (isData) a.dec(DX);
    a.xchg(DX, DI);
  }
  a.loop("outIndexed.next");
  a.jmp("next");

  a.label("op.outMany");
  a.call("word");
  a.mov(DI, AX);
  a.call("wordCount");
  a.label("outMany.next");
  a.in(AL, DX);
  a.xchg(DX, DI);
  a.out(DX, AL);
  a.xchg(DX, DI);
  a.loop("outMany.next");
  a.jmp("next");

  a.label("op.inMany");
  a.call("word");
  a.mov(DI, AX);
  a.call("wordCount");
  a.label("inMany.next");
  a.xchg(DX, DI);
  a.in(AL, DX);
  a.xchg(DX, DI);
  a.out(DX, AL);
  a.loop("inMany.next");
  a.jmp("next");

  for (const name of ["pokeLines", "changeLines"]) {
    a.label(`op.${name}`);
    a.call("target");
    a.call("word");
    a.mov(BX, AX);
    a.call("byteCount");
    a.label(`${name}.next`);
    a.in(AL, DX);
    if (name === "changeLines") a.mov(AH, m8(ES, DI));
    a.mov(m8(ES, DI), AL);
    a.add(DI, BX);
    a.loop(`${name}.next`);
    a.jmp("next");
  }

  a.label("op.peekLines");
  a.call("source");
  a.call("word");
  a.mov(BX, AX);
  a.call("byteCount");
  a.label("peekLines.next");
  a.mov(AL, m8(SI));
  a.out(DX, AL);
  a.add(SI, BX);
  a.loop("peekLines.next");
  a.jmp("next");

  a.label("op.loadFont");
  a.call("source");
  a.call("target");
  a.in(AL, DX);
  a.mov(BL, AL);
  a.mov(BH, 0);
  a.call("wordCount");
  a.label("loadFont.next");
  a.push(CX);
  a.push(DI);
  a.mov(CX, BX);
  a.rep();
  a.movsb();
  a.pop(DI);
  a.pop(CX);
  a.add(DI, 32);
  a.loop("loadFont.next");
  a.jmp("next");
}
