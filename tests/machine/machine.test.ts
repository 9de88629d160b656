/** The whole machine under the real CPU, with programs of a few instructions in place of a BIOS. */
import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import type { SavedState } from "../../src/device-api/saved-state.ts";
import { AL, AX, CS, CX, DS, DX, EAX, ES, m8, m16, m32 } from "../../src/firmware/assembler/operands.ts";
import { TestPc, type TestPcOptions } from "../../src/machine/testing.ts";
import { biosImage, echoProgram, emitSay, emitSend, pciWrite, powerOff, say } from "./programs.ts";

const start = (biosImage: Uint8Array, options: TestPcOptions = {}) =>
  TestPc.start({ ...options, spec: { ramMiB: 4, biosImage, ...options.spec } });

test("a serial console: hello, echo, off", async () => {
  const pc = await start(echoProgram());
  expect(pc.runUntilSerial("hello\r\n"), pc.describe()).toBe(true);
  pc.serial.type("abc");
  expect(pc.runUntilSerial("abc"), pc.describe()).toBe(true);
  pc.serial.type("q");
  pc.runUntil(() => false, 10_000_000);
  expect(pc.events).toEqual([{ kind: "powered-off" }]);
  expect(pc.serial.text).toBe("hello\r\nabcbye\r\n");
});

test("the largest machine there can be runs: everything lies above 2 GiB of host memory then", async () => {
  const pc = await start(echoProgram(), { spec: { ramMiB: 3584, vramMiB: 256 } });
  expect(pc.runUntilSerial("hello\r\n", 1_000_000), pc.describe()).toBe(true);
});

test("a guest that dies says where", async () => {
  const pc = await start(echoProgram());
  pc.runUntilSerial("hello");
  pc.serial.type("x");
  pc.runUntil(() => pc.events.length > 0, 10_000_000);
  expect(pc.events[0]).toMatchObject({
    kind: "died",
    cause: "triple fault",
    registers: expect.stringMatching(/cs=f000/),
  });
});

test("timer interrupts wake a halted CPU at the programmed rate", async () => {
  const image = biosImage((a) => {
    // Vector 8 counts at 0500h; PIC to vector 8, only IRQ 0; PIT mode 2, 1193 → 1000 Hz.
    a.mov(m16(8 * 4), "tick");
    a.mov(m16(8 * 4 + 2), 0xf000);
    for (const [port, value] of [
      [0x20, 0x11],
      [0x21, 0x08],
      [0x21, 0x04],
      [0x21, 0x01],
      [0x21, 0xfe],
      [0x43, 0x34],
      [0x40, 1193 & 0xff],
      [0x40, 1193 >> 8],
    ]) {
      a.mov(AL, value);
      a.out(port, AL);
    }
    a.sti();
    a.label("sleep");
    a.hlt();
    a.jmp("sleep");
    a.label("tick");
    a.inc(m16(0x500));
    a.mov(AL, 0x20);
    a.out(0x20, AL);
    a.iret();
  });
  const pc = await start(image);
  pc.runUntil(() => pc.machine.memory.read16(0x500) === 1000, 1_000_000);
  expect(pc.machine.memory.read16(0x500), pc.describe()).toBe(1000);
  const seconds = pc.machine.clock.lastNs / 1e9;
  expect(seconds).toBeGreaterThan(0.99);
  expect(seconds).toBeLessThan(1.01);
  // A few instructions a tick: the rest of the second was skipped.
  expect(pc.machine.cpu.instructionCount).toBeLessThan(20_000);
  expect(pc.machine.loop.statistics().idleNs / 1e9).toBeGreaterThan(0.9);
});

test("the BIOS copies itself into shadow RAM while running there, and then writes to it", async () => {
  const image = biosImage((a) => {
    a.mov(AX, 0xf000);
    a.mov(DS, AX);
    a.mov(ES, AX);
    // Reads from ROM, writes to RAM.
    pciWrite(a, 0, 0, 0x58, 0x00002000);
    a.mov(CX, 0x8000);
    a.db(0x31, 0xf6, 0x31, 0xff); // xor si,si; xor di,di
    a.cld();
    a.rep();
    a.movsw();
    // Reads and writes in RAM; then a write protected one.
    pciWrite(a, 0, 0, 0x58, 0x00003000);
    a.mov(m8(DS, "letter"), "R".charCodeAt(0));
    pciWrite(a, 0, 0, 0x58, 0x00001000);
    a.mov(m8(DS, "letter"), "X".charCodeAt(0));
    a.mov(AL, m8(DS, "letter"));
    a.call("send");
    // Back to ROM.
    pciWrite(a, 0, 0, 0x58, 0);
    a.mov(AL, m8(DS, "letter"));
    a.call("send");
    a.label("end");
    a.hlt();
    a.jmp("end");
    emitSend(a);
    a.label("letter");
    a.db("O");
  });
  const pc = await start(image);
  pc.runUntil(() => pc.serial.text.length === 2, 1_000_000);
  expect(pc.serial.text, pc.describe()).toBe("RO");
});

test("the frame buffer is where its BAR says, and only while memory decoding is on", async () => {
  const image = biosImage((a) => {
    // Flat DS by way of protected mode ("unreal"): the BAR is above 1 MiB.
    a.cli();
    a.lgdt(m16(CS, "gdt pointer"));
    a.movFromCr0(EAX);
    a.or(AL, 1);
    a.movToCr0(EAX);
    a.mov(DX, 8);
    a.mov(DS, DX);
    a.and(AL, 0xfe);
    a.movToCr0(EAX);
    pciWrite(a, 2, 0, 0x10, 0xe0000000);
    pciWrite(a, 2, 0, 0x04, 2);
    // mov dword [E0001000h], 12345678h
    a.db(0x66, 0x67, 0xc7, 0x05);
    a.dd(0xe0001000, 0x12345678);
    // mov eax, [E0001000h] → 0600h
    a.db(0x66, 0x67, 0xa1);
    a.dd(0xe0001000);
    a.mov(m32(0x600), EAX);
    pciWrite(a, 2, 0, 0x04, 0);
    a.db(0x66, 0x67, 0xa1);
    a.dd(0xe0001000);
    a.mov(m32(0x604), EAX);
    a.label("end");
    a.hlt();
    a.jmp("end");
    a.label("gdt");
    a.dd(0, 0, 0x0000ffff, 0x00cf9300);
    a.label("gdt pointer");
    a.dw(15, "gdt", 0x000f);
  });
  const pc = await start(image);
  pc.runUntil(() => false, 100_000);
  expect(pc.machine.memory.read32(0x600), pc.describe()).toBe(0x12345678);
  expect(pc.machine.memory.read32(0x604)).toBe(0xffffffff);
});

/** Something to do for ever: random numbers into memory, some of them to the serial port, a timer running. */
function busyProgram(): Uint8Array {
  return biosImage((a) => {
    a.mov(AL, 0x34);
    a.out(0x43, AL);
    a.mov(AX, 0x1234);
    a.label("loop");
    a.mov(CX, 25173);
    a.db(0xf7, 0xe1); // mul cx
    a.add(AX, 13849);
    a.mov(DX, AX);
    a.and(DX, 0x3ffe);
    a.add(DX, 0x8000);
    a.db(0x89, 0xd7); // mov di,dx
    a.db(0x89, 0x05); // mov [di],ax
    a.push(AX);
    a.in(AL, 0x40);
    a.db(0x00, 0x05); // add [di],al
    a.pop(AX);
    a.test(AL, 0x3f);
    a.j("nz", "loop");
    a.call("send");
    a.jmp("loop");
    emitSend(a);
    emitSay(a);
    say(a, "never");
    powerOff(a);
    a.label("never");
    a.db(0);
  });
}

function digest(state: SavedState): Record<string, string> {
  const text = (value: unknown) =>
    JSON.stringify(value, (_key, entry) =>
      entry instanceof Uint8Array ? createHash("sha1").update(entry).digest("hex") : entry,
    );
  return Object.fromEntries(Object.entries(state).map(([id, leaf]) => [id, text(leaf)]));
}

test("two deterministic runs are equal to the instruction", async () => {
  const states: Record<string, string>[] = [];
  for (let run = 0; run < 2; run++) {
    const pc = await start(busyProgram());
    pc.runUntil(() => false, 3_000_000);
    pc.machine.pause();
    states.push({ ...digest(pc.machine.save()), serial: pc.serial.text });
  }
  expect(states[0].serial.length).toBeGreaterThan(100);
  expect(states[1]).toEqual(states[0]);
});

test("a machine saved, loaded and run on is the machine that was never stopped", async () => {
  const through = await start(busyProgram());
  through.runUntil(() => false, 1_000_000);
  through.machine.pause();
  const saved = through.machine.save();
  const count = through.machine.cpu.instructionCount;
  const said = through.serial.text.length;
  through.machine.resume();
  through.runUntil(() => false, 1_000_000);

  const loaded = await TestPc.assemble({ spec: { ramMiB: 4, biosImage: busyProgram() } });
  loaded.machine.restore(saved);
  expect(loaded.machine.cpu.instructionCount).toBe(count);
  loaded.machine.resume();
  loaded.runUntil(() => false, 1_000_000);
  expect(loaded.serial.text.length).toBeGreaterThan(20);
  expect(loaded.serial.text).toBe(through.serial.text.slice(said));
  through.machine.pause();
  loaded.machine.pause();
  expect(digest(loaded.machine.save())).toEqual(digest(through.machine.save()));
});
