/**
 * Handlers of the hardware interrupts, plain ROM code so that they cost little and run anywhere: timer tick, keyboard,
 * floppy, clock, mouse, coprocessor, disks, and the two that answer interrupts nobody asked for. IBM PC/AT Technical
 * Reference, BIOS listing, for what programs expect of each.
 */
import type { Assembler } from "../assembler/assembler.ts";
import { AH, AL, AX, BP, BX, CX, DS, DX, ES, m8, m16, m32, SP } from "../assembler/operands.ts";
import { BDA_SEGMENT, bda, TICKS_PER_DAY } from "../bios-data-area.ts";
import { ebda } from "../ebda.ts";
import { EBDA_SEGMENT } from "../memory-map.ts";
import { trap } from "../trap.ts";

const PIC1 = 0x20;
const PIC2 = 0xa0;
const EOI = 0x20;

function endOfInterrupt(a: Assembler, isSecond: boolean): void {
  a.mov(AL, EOI);
  if (isSecond) a.out(PIC2, AL);
  a.out(PIC1, AL);
}

function loadBda(a: Assembler): void {
  a.mov(AX, BDA_SEGMENT);
  a.mov(DS, AX);
}

/** IRQ0: counts, midnight, floppy motor, INT 1Ch. */
export function emitTimerTick(a: Assembler): void {
  a.label("irq0");
  a.push(DS);
  a.push(AX);
  a.push(DX);
  loadBda(a);
  a.inc(m32(bda.ticks));
  a.cmp(m32(bda.ticks), TICKS_PER_DAY);
  a.j("b", "irq0.motor");
  a.mov(m32(bda.ticks), 0);
  a.inc(m8(bda.midnight));
  a.label("irq0.motor");
  a.cmp(m8(bda.floppyMotorTicks), 0);
  a.j("e", "irq0.user");
  a.dec(m8(bda.floppyMotorTicks));
  a.j("nz", "irq0.user");
  a.and(m8(bda.floppyMotor), 0xf0);
  a.mov(AL, 0x0c);
  a.mov(DX, 0x3f2);
  a.out(DX, AL);
  a.label("irq0.user");
  a.int(0x1c);
  a.cli();
  endOfInterrupt(a, false);
  a.pop(DX);
  a.pop(AX);
  a.pop(DS);
  a.iret();
}

/**
 * IRQ1: the byte goes through INT 15h 4Fh, then to the service, which answers in AL what else has to be called:
 * 0 nothing, 1 INT 1Bh, 2 INT 5, 3 reset, 4/5 system request made/broken, 6 wait until the pause ends.
 */
export function emitKeyboard(a: Assembler): void {
  a.label("irq1");
  a.push(AX);
  a.push(DS);
  a.cld();
  // Anything from the auxiliary device belongs to IRQ12's handler.
  a.in(AL, 0x64);
  a.and(AL, 0x21);
  a.cmp(AL, 0x01);
  a.j("ne", "irq1.end");
  a.in(AL, 0x60);
  a.mov(AH, 0x4f);
  a.stc();
  a.int(0x15);
  a.j("nc", "irq1.end");
  trap(a, "keyboard-irq");
  a.test(AL, AL);
  a.j("z", "irq1.end");
  a.mov(AH, AL);
  endOfInterrupt(a, false);
  a.cmp(AH, 2);
  a.j("b", "irq1.break");
  a.j("e", "irq1.print-screen");
  a.cmp(AH, 4);
  a.j("b", "irq1.reset");
  a.cmp(AH, 6);
  a.j("b", "irq1.system-request");
  loadBda(a);
  a.sti();
  a.label("irq1.paused");
  a.test(m8(bda.shiftFlags2), 8);
  a.j("nz", "irq1.paused");
  a.jmp("irq1.done");
  a.label("irq1.break");
  a.sti();
  a.int(0x1b);
  a.jmp("irq1.done");
  a.label("irq1.print-screen");
  a.sti();
  a.int(0x05);
  a.jmp("irq1.done");
  a.label("irq1.system-request");
  a.mov(AL, AH);
  a.sub(AL, 4);
  a.mov(AH, 0x85);
  a.sti();
  a.int(0x15);
  a.jmp("irq1.done");
  a.label("irq1.reset");
  a.mov(AL, 0xfe);
  a.out(0x64, AL);
  a.label("irq1.resetting");
  a.jmp("irq1.resetting");
  a.label("irq1.end");
  endOfInterrupt(a, false);
  a.label("irq1.done");
  a.pop(DS);
  a.pop(AX);
  a.iret();
}

/** IRQ6: the floppy controller wants attention; the service that waits looks at 40:3E bit 7. */
export function emitFloppy(a: Assembler): void {
  a.label("irq6");
  a.push(AX);
  a.push(DS);
  loadBda(a);
  a.or(m8(bda.floppyRecalibrate), 0x80);
  endOfInterrupt(a, false);
  a.pop(DS);
  a.pop(AX);
  a.iret();
}

/** IRQ8: periodic ticks drive INT 15h 83h; the alarm is INT 4Ah. */
export function emitClock(a: Assembler): void {
  a.label("irq8");
  a.push(AX);
  a.push(DS);
  loadBda(a);
  a.mov(AL, 0x0b);
  a.out(0x70, AL);
  a.in(AL, 0x71);
  a.mov(AH, AL);
  a.mov(AL, 0x0c);
  a.out(0x70, AL);
  a.in(AL, 0x71);
  a.and(AL, AH);
  a.test(AL, 0x40);
  a.j("z", "irq8.alarm");
  a.test(m8(bda.waitActive), 1);
  a.j("z", "irq8.alarm");
  // One period is 1/1024 s.
  a.sub(m32(bda.waitMicroseconds), 976);
  a.j("nc", "irq8.alarm");
  a.push(BX);
  a.push(ES);
  a.mov(m8(bda.waitActive), 0);
  a.les(BX, m16(bda.waitFlagPointer));
  a.or(m8(ES, BX), 0x80);
  a.pop(ES);
  a.pop(BX);
  a.and(AH, 0xbf);
  a.push(AX);
  a.mov(AL, 0x0b);
  a.out(0x70, AL);
  a.mov(AL, AH);
  a.out(0x71, AL);
  a.pop(AX);
  a.label("irq8.alarm");
  a.test(AL, 0x20);
  a.j("z", "irq8.end");
  a.int(0x4a);
  a.cli();
  a.label("irq8.end");
  a.mov(AL, 0x0d);
  a.out(0x70, AL);
  endOfInterrupt(a, true);
  a.pop(DS);
  a.pop(AX);
  a.iret();
}

/** IRQ12: collects a packet and far-calls the driver that INT 15h C207h named, with four words on the stack. */
export function emitMouse(a: Assembler): void {
  a.label("irq12");
  a.push(AX);
  a.push(BX);
  a.push(DS);
  a.push(ES);
  a.pushad();
  a.mov(BP, SP);
  a.cld();
  a.in(AL, 0x64);
  a.and(AL, 0x21);
  a.cmp(AL, 0x21);
  a.j("ne", "irq12.end");
  a.in(AL, 0x60);
  trap(a, "mouse-irq");
  a.test(AL, AL);
  a.j("z", "irq12.end");
  a.mov(AX, EBDA_SEGMENT);
  a.mov(DS, AX);
  a.mov(AL, m8(ebda.mousePacket));
  a.mov(AH, 0);
  a.push(AX);
  a.mov(AL, m8(ebda.mousePacket + 1));
  a.push(AX);
  a.mov(AL, m8(ebda.mousePacket + 2));
  a.push(AX);
  a.mov(AL, m8(ebda.mousePacket + 3));
  a.push(AX);
  a.mov(CX, m16(ebda.mouseHandler));
  a.or(CX, m16(ebda.mouseHandler + 2));
  a.j("z", "irq12.end");
  a.callFarAt(m32(ebda.mouseHandler));
  a.label("irq12.end");
  a.cli();
  a.mov(SP, BP);
  endOfInterrupt(a, true);
  a.popad();
  a.pop(ES);
  a.pop(DS);
  a.pop(BX);
  a.pop(AX);
  a.iret();
}

/** IRQ13: clears the coprocessor's error and goes on as NMI does on a PC/AT. */
export function emitCoprocessor(a: Assembler): void {
  a.label("irq13");
  a.push(AX);
  a.mov(AL, 0);
  a.out(0xf0, AL);
  endOfInterrupt(a, true);
  a.pop(AX);
  a.int(0x02);
  a.iret();
}

/** IRQ14 and IRQ15: notes that a disk interrupt came. */
export function emitDisk(a: Assembler): void {
  a.label("irq14");
  a.push(AX);
  a.push(DS);
  loadBda(a);
  a.mov(m8(bda.diskInterrupt), 0xff);
  endOfInterrupt(a, true);
  a.pop(DS);
  a.pop(AX);
  a.iret();

  // Reading the in-service register tells a spurious interrupt of the second controller from a real one.
  a.label("irq15");
  a.push(AX);
  a.mov(AL, 0x0b);
  a.out(PIC2, AL);
  a.in(AL, PIC2);
  a.test(AL, 0x80);
  a.mov(AL, EOI);
  a.j("z", "irq15.first-only");
  a.push(DS);
  a.mov(AX, BDA_SEGMENT);
  a.mov(DS, AX);
  a.mov(m8(bda.diskInterrupt), 0xff);
  a.pop(DS);
  a.mov(AL, EOI);
  a.out(PIC2, AL);
  a.label("irq15.first-only");
  a.out(PIC1, AL);
  a.pop(AX);
  a.iret();
}

/**
 * Interrupts without a handler of ours: acknowledge what is really in service, mask it so that a stuck line does not
 * hang the machine, and return. Software interrupts that nobody serves go to a plain IRET instead.
 */
export function emitUnexpected(a: Assembler): void {
  for (const [label, isSecond] of [
    ["irq.unexpected1", false],
    ["irq.unexpected2", true],
  ] as const) {
    const pic = isSecond ? PIC2 : PIC1;
    a.label(label);
    a.push(AX);
    a.mov(AL, 0x0b);
    a.out(pic, AL);
    a.in(AL, pic);
    a.mov(AH, AL);
    a.test(AL, AL);
    a.j("z", `${label}.spurious`);
    a.in(AL, pic + 1);
    if (!isSecond) a.and(AH, 0xfb);
    a.or(AL, AH);
    a.out(pic + 1, AL);
    a.mov(AL, EOI);
    a.out(pic, AL);
    if (isSecond) a.out(PIC1, AL);
    a.pop(AX);
    a.iret();
    a.label(`${label}.spurious`);
    if (isSecond) {
      a.mov(AL, EOI);
      a.out(PIC1, AL);
    }
    a.pop(AX);
    a.iret();
  }
}
