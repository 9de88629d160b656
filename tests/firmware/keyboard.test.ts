/** Keyboard and INT 16h in a guest, the boot menu, Ctrl-Alt-Del. */
import { beforeAll, describe, expect, it } from "vitest";
import { MemoryMedium, TestPc } from "../../src/machine/testing.ts";
import { BiosCaller, numberedDisk } from "./bios-caller.ts";

const SHIFT = 0x2a;
const CTRL = 0x1d;
const ALT = 0x38;
const RELEASE = 0x80;

describe("the keyboard", () => {
  let guest: BiosCaller;

  beforeAll(async () => {
    guest = await BiosCaller.bootFromDisk();
  });

  const send = (...codes: number[]) => {
    for (const code of codes) guest.pc.machine.front.keyboard!.putScancode(code);
    guest.pc.runUntil(() => false, 2_000_000);
  };
  const press = (code: number) => send(code, code | RELEASE);
  const nextKey = (enhanced = true) => guest.call(0x16, { eax: enhanced ? 0x1000 : 0x0000 }).ax;
  const hasKey = () => !guest.call(0x16, { eax: 0x1100 }).zero;

  it("gives key codes plain, shifted, with Ctrl and Alt", () => {
    press(0x1e);
    send(SHIFT, 0x1e, 0x1e | RELEASE, SHIFT | RELEASE);
    send(CTRL, 0x1e, 0x1e | RELEASE, CTRL | RELEASE);
    send(ALT, 0x1e, 0x1e | RELEASE, ALT | RELEASE);
    press(0x3b);
    expect([nextKey(), nextKey(), nextKey(), nextKey(), nextKey()]).toEqual([0x1e61, 0x1e41, 0x1e01, 0x1e00, 0x3b00]);
    expect(hasKey()).toBe(false);
  });

  it("tells grey keys from the keypad, for old and new programs", () => {
    send(0xe0, 0x48, 0xe0, 0xc8);
    expect(nextKey()).toBe(0x48e0);
    send(0xe0, 0x48, 0xe0, 0xc8);
    expect(nextKey(false)).toBe(0x4800);
    send(0xe0, 0x1c, 0xe0, 0x9c);
    expect(nextKey(false)).toBe(0x1c0d);
    // F11 is not on the old keyboard: function 00h drops it.
    press(0x57);
    press(0x39);
    expect(nextKey(false)).toBe(0x3920);
  });

  it("keeps shift states and lock keys", () => {
    send(SHIFT);
    expect(guest.call(0x16, { eax: 0x0200 }).al).toBe(0x02);
    send(SHIFT | RELEASE);
    press(0x3a);
    expect(guest.call(0x16, { eax: 0x0200 }).al).toBe(0x40);
    press(0x1e);
    expect(nextKey()).toBe(0x1e41);
    press(0x3a);
    send(0xe0, CTRL);
    expect(guest.call(0x16, { eax: 0x1200 }).ax).toBe(0x0404);
    send(0xe0, CTRL | RELEASE);
    expect(guest.call(0x16, { eax: 0x1200 }).ax).toBe(0x0000);
  });

  it("collects Alt with keypad digits", () => {
    send(ALT);
    press(0x4f);
    press(0x51);
    press(0x52);
    send(ALT | RELEASE);
    expect(nextKey() & 0xff).toBe(130);
  });

  it("waits for a key without stopping the clock, and returns with interrupts on", () => {
    guest.begin(0x16, { eax: 0x0000, flags: 0x0002 });
    const ticks = () => guest.memory.read32(0x46c);
    const before = ticks();
    guest.pc.runUntil(() => ticks() > before + 5, 200_000_000);
    expect(guest.isDone).toBe(false);
    press(0x10);
    expect(guest.isDone).toBe(true);
    expect(guest.result().ax).toBe(0x1071);
    const poll = guest.call(0x16, { eax: 0x0100, flags: 0x0002 });
    expect([poll.zero, (poll.flags & 0x200) !== 0]).toEqual([true, true]);
  });

  it("stuffs keys and fills up without harm", () => {
    for (let i = 0; i < 15; i++) expect(guest.call(0x16, { eax: 0x0500, ecx: 0x1234 + i }).al).toBe(0);
    expect(guest.call(0x16, { eax: 0x0500, ecx: 0x9999 }).al).toBe(1);
    for (let i = 0; i < 15; i++) expect(nextKey()).toBe(0x1234 + i);
  });

  it("calls INT 15h 4Fh, which may swallow a key", () => {
    // At 0:9000: cmp ah,4Fh; jne +4; clc; retf 2; stc; retf 2.
    guest.memory.write(
      0x9000,
      Uint8Array.from([0x80, 0xfc, 0x4f, 0x75, 0x04, 0xf8, 0xca, 0x02, 0x00, 0xf9, 0xca, 2, 0]),
    );
    const vector = guest.memory.read32(0x15 * 4);
    guest.memory.write32(0x15 * 4, 0x9000);
    press(0x1e);
    guest.memory.write32(0x15 * 4, vector);
    expect(hasKey()).toBe(false);
    press(0x1e);
    expect(nextKey()).toBe(0x1e61);
  });

  it("runs a mouse driver's handler with whole packets", () => {
    const install = [
      { eax: 0xc205, ebx: 0x0300 },
      { eax: 0xc203, ebx: 0x0300 },
      // The handler at 0:9100 stores its four words at 9200h and returns far.
      { eax: 0xc207, ebx: 0x9100, es: 0 },
      { eax: 0xc200, ebx: 0x0100 },
    ];
    const code = [0x55, 0x89, 0xe5, 0x1e, 0x50, 0x31, 0xc0, 0x8e, 0xd8];
    for (let i = 0; i < 4; i++) code.push(0x8b, 0x46, 6 + i * 2, 0xa3, i * 2, 0x92);
    code.push(0xff, 0x06, 0x08, 0x92, 0x58, 0x1f, 0x5d, 0xcb);
    guest.memory.write(0x9100, Uint8Array.from(code));
    guest.memory.write(0x9200, new Uint8Array(16));
    for (const registers of install) {
      const { ah, carry } = guest.call(0x15, registers);
      expect([registers.eax.toString(16), carry, ah]).toEqual([registers.eax.toString(16), false, 0]);
    }
    expect(guest.call(0x15, { eax: 0xc204 }).bx >> 8).toBe(0);
    guest.pc.machine.front.pointer!.putRelative(5, -3, 0, 1);
    guest.pc.runUntil(() => guest.memory.read16(0x9208) > 0, 20_000_000);
    // Pushed first is the status, so it lies highest; the last word is 0.
    const words = [0, 2, 4, 6].map((offset) => guest.memory.read16(0x9200 + offset));
    expect(words[0]).toBe(0);
    expect(words[3] & 0x09).toBe(0x09);
    expect(words[2]).toBe(5);
    expect([3, 0xfd]).toContain(words[1]);
    expect(guest.call(0x15, { eax: 0xc200, ebx: 0 }).carry).toBe(false);
    press(0x10);
    expect(nextKey()).toBe(0x1071);
  });

  it("resets the machine on Ctrl-Alt-Del", () => {
    // POST clears the data area.
    guest.memory.write8(0x4f0, 0x5a);
    for (const code of [CTRL, ALT, 0xe0, 0x53]) guest.pc.machine.front.keyboard!.putScancode(code);
    guest.pc.runUntil(() => guest.memory.read8(0x4f0) === 0, 20_000_000);
    expect(guest.memory.read8(0x4f0)).toBe(0);
  });
});

describe("the boot menu", () => {
  it("opens with F12 and starts what is chosen", async () => {
    const pc = await TestPc.start({
      spec: { bootOrder: ["none", "none", "none", "none"] },
      disks: { "0.0": new MemoryMedium(new Uint8Array(1 << 20)), "0.1": new MemoryMedium(numberedDisk(2048)) },
    });
    expect(pc.runUntil(() => pc.screenText().includes("F12: boot menu"), 100_000_000)).toBe(true);
    for (const code of [0x58, 0xd8]) pc.machine.front.keyboard!.putScancode(code);
    expect(pc.runUntilScreen("Start from:", 400_000_000)).toBe(true);
    expect(pc.screenText()).toContain("2  Disk: IDE primary slave");
    for (const code of [0x03, 0x83]) pc.machine.front.keyboard!.putScancode(code);
    expect(pc.runUntil(() => pc.machine.memory.read16(0x7e02) === 0x4341, 100_000_000)).toBe(true);
  });

  it("says nothing of itself when only the menu is wanted", async () => {
    const pc = await TestPc.start({ spec: { bootOrder: ["disk", "none", "none", "none"], bootMenu: "menuonly" } });
    expect(pc.runUntilScreen("MiB memory", 100_000_000)).toBe(true);
    for (const code of [0x58, 0xd8]) pc.machine.front.keyboard!.putScancode(code);
    expect(pc.runUntilScreen("Start from:", 400_000_000)).toBe(true);
    expect(pc.screenText()).not.toContain("F12");
  });

  it("stays away when it is disabled, after a failed start too", async () => {
    const pc = await TestPc.start({ spec: { bootOrder: ["disk", "none", "none", "none"], bootMenu: "disabled" } });
    expect(pc.runUntilScreen("MiB memory", 100_000_000)).toBe(true);
    // Not taken for the menu, the key is the one that tries again.
    const times = () => pc.screenText().split("No system").length;
    for (const code of [0x58, 0xd8]) pc.machine.front.keyboard!.putScancode(code);
    pc.runUntil(() => times() > 2, 400_000_000);
    for (const code of [0x58, 0xd8]) pc.machine.front.keyboard!.putScancode(code);
    pc.runUntil(() => times() > 3, 400_000_000);
    expect(times()).toBe(4);
    expect(pc.screenText()).not.toMatch(/F12|Start from/);
  });

  it("opens after a failed start too, and Esc goes back to the usual order", async () => {
    const pc = await TestPc.start({ spec: { bootOrder: ["disk", "none", "none", "none"] } });
    expect(pc.runUntilScreen("press a key", 400_000_000)).toBe(true);
    for (const code of [0x58, 0xd8]) pc.machine.front.keyboard!.putScancode(code);
    expect(pc.runUntilScreen("Start from:", 100_000_000)).toBe(true);
    for (const code of [0x01, 0x81]) pc.machine.front.keyboard!.putScancode(code);
    pc.runUntil(() => pc.screenText().split("No system").length > 2, 100_000_000);
    expect(pc.screenText().split("No system").length).toBe(3);
  });

  it("says why nothing starts and tries again on a key", async () => {
    const pc = await TestPc.start({
      spec: { bootOrder: ["disk", "dvd", "none", "none"] },
      disks: { "0.0": new MemoryMedium(new Uint8Array(1 << 20)) },
      dvds: { "1.0": undefined },
    });
    expect(pc.runUntilScreen("press a key", 400_000_000)).toBe(true);
    const text = pc.screenText();
    expect(text).toContain("Disk IDE primary master: not bootable.");
    expect(text).toContain("DVD IDE secondary master: the drive is empty.");
    expect(pc.log.lines.some((line) => line.includes("nothing to boot"))).toBe(true);
    const times = () => pc.screenText().split("No system to start from").length;
    expect(times()).toBe(2);
    for (const code of [0x1c, 0x9c]) pc.machine.front.keyboard!.putScancode(code);
    pc.runUntil(() => times() > 2, 100_000_000);
    expect(times()).toBe(3);
  });
});
