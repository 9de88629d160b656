/** The guest's clock: UTC or the host's local time, the offset of the settings, and how long what the guest stored there lives. */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { Assembler } from "../../src/firmware/assembler/assembler.ts";
import { AL, AX, DS, DX, SP, SS } from "../../src/firmware/assembler/operands.ts";
import { Sandbox } from "./sandbox.ts";

/** Sends century, year, month, day (INT 1Ah, AH=04h) and hour (AH=02h), each a BCD byte, to COM1. */
function clockFloppy(): Uint8Array {
  const code = [0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, 0xbc, 0x00, 0x7c];
  const calls: number[] = [];
  const send = (register: number) => {
    code.push(0x88, register, 0xe8, 0, 0);
    calls.push(code.length);
  };
  code.push(0xb4, 0x04, 0xcd, 0x1a);
  for (const register of [0xe8, 0xc8, 0xf0, 0xd0]) send(register);
  code.push(0xb4, 0x02, 0xcd, 0x1a);
  send(0xe8);
  code.push(0xf4, 0xeb, 0xfd);
  // The procedure: waits for THRE of COM1, sends AL, keeps DX.
  for (const next of calls) code[next - 2] = code.length - next;
  code.push(
    0x52,
    0x88,
    0xc3,
    0xba,
    0xfd,
    0x03,
    0xec,
    0xa8,
    0x20,
    0x74,
    0xfb,
    0x88,
    0xd8,
    0xba,
    0xf8,
    0x03,
    0xee,
    0x5a,
    0xc3,
  );
  const image = Buffer.alloc(1_474_560);
  image.set(code);
  image.writeUInt16LE(0xaa55, 510);
  return image;
}

/** The hour that the guest reads, as time since 1970 in that many hours. */
async function guestHours(box: Sandbox, ...settings: string[]): Promise<number> {
  box.ok("modifyvm", "vm", ...settings);
  const file = box.path("clock");
  box.ok("modifyvm", "vm", "--uart-mode1", "file", file);
  box.ok("startvm", "vm", "--type", "headless");
  for (let waitedMs = 0; !existsSync(file) || readFileSync(file).length < 5; waitedMs += 50) {
    if (waitedMs > 60_000) throw new Error("the guest says nothing");
    await sleep(50);
  }
  box.ok("controlvm", "vm", "poweroff");
  const [century, year, month, day, hour] = [...readFileSync(file)].map((byte) => (byte >> 4) * 10 + (byte & 15));
  return Date.UTC(century * 100 + year, month - 1, day, hour) / 3_600_000;
}

const now = () => Math.floor(Date.now() / 3_600_000);

test("local time or UTC, moved by the offset of the settings", async () => {
  const box = new Sandbox();
  // Nine hours ahead of UTC, always.
  box.env.TZ = "Asia/Tokyo";
  box.ok("createvm", "--name", "vm", "--register");
  box.ok("modifyvm", "vm", "--memory", "16", "--nic1", "none", "--uart1", "0x3f8", "4");
  box.ok("storagectl", "vm", "--name", "Floppy", "--add", "floppy");
  box.write("clock.img", clockFloppy());
  const place = ["--storagectl", "Floppy", "--port", "0", "--device", "0", "--type", "fdd"];
  box.ok("storageattach", "vm", ...place, "--medium", "clock.img");
  const cases: [settings: string[], offsetHours: number][] = [
    [["--rtcuseutc", "on"], 0],
    [["--rtcuseutc", "off"], 9],
    [["--rtcuseutc", "on", "--biossystemtimeoffset", String(-5 * 24 * 3_600_000)], -5 * 24],
    [["--rtcuseutc", "off", "--biossystemtimeoffset", String(3_600_000)], 10],
  ];
  for (const [settings, offsetHours] of cases) {
    const before = now();
    const said = (await guestHours(box, ...settings)) - offsetHours;
    // The hour may turn in between.
    expect([before, now()], settings.join(" ")).toContain(said);
  }
});

const KEPT = 0x5a;
const YEAR = 0x42;

/** Sends the year and a free byte of CMOS, with a text around them; then writes others there and sleeps. */
function cmosFloppy(): Uint8Array {
  const a = new Assembler(0x7c00, 0);
  a.xor(AX, AX);
  a.mov(DS, AX);
  a.mov(SS, AX);
  a.mov(SP, 0x7c00);
  const address = (index: number) => {
    a.mov(AL, index);
    a.out(0x70, AL);
  };
  for (const index of [0x09, KEPT]) {
    address(index);
    a.in(AL, 0x71);
    a.push(AX);
    a.mov(DX, 0x3fd);
    a.label(`busy ${index}`);
    a.in(AL, DX);
    a.test(AL, 0x20);
    a.j("z", `busy ${index}`);
    a.pop(AX);
    a.mov(DX, 0x3f8);
    a.out(DX, AL);
  }
  for (const index of [0x09, KEPT]) {
    address(index);
    a.mov(AL, YEAR);
    a.out(0x71, AL);
  }
  a.label("rest");
  a.hlt();
  a.jmp("rest");
  const image = new Uint8Array(1_474_560);
  image.set(a.finish());
  image.set([0x55, 0xaa], 510);
  return image;
}

test("what the guest sets in clock and CMOS lives on in a reset; a start is the host's time and a fresh CMOS", async () => {
  const box = new Sandbox();
  box.ok("createvm", "--name", "vm", "--register");
  const file = box.path("cmos");
  box.ok("modifyvm", "vm", "--memory", "16", "--nic1", "none", "--uart1", "0x3f8", "4", "--uart-mode1", "file", file);
  box.ok("storagectl", "vm", "--name", "Floppy", "--add", "floppy");
  box.write("cmos.img", cmosFloppy());
  const place = ["--storagectl", "Floppy", "--port", "0", "--device", "0", "--type", "fdd"];
  box.ok("storageattach", "vm", ...place, "--medium", "cmos.img");
  onTestFinished(() => {
    box.anneau("controlvm", "vm", "poweroff");
  });
  let seen = 0;
  const next = async (): Promise<readonly number[]> => {
    for (let waitedMs = 0; !existsSync(file) || readFileSync(file).length < seen + 2; waitedMs += 50) {
      if (waitedMs > 60_000) throw new Error("the guest says nothing");
      await sleep(50);
    }
    seen += 2;
    return [...readFileSync(file).subarray(seen - 2, seen)];
  };
  const year = () => Number.parseInt(String(new Date().getUTCFullYear() % 100), 16);
  box.ok("startvm", "vm", "--type", "headless");
  expect(await next()).toEqual([year(), 0]);
  box.ok("controlvm", "vm", "reset");
  expect(await next()).toEqual([YEAR, YEAR]);
  box.ok("controlvm", "vm", "poweroff");
  seen = 0;
  rmSync(file);
  box.ok("startvm", "vm", "--type", "headless");
  expect(await next()).toEqual([year(), 0]);
});
