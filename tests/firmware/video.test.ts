/** INT 10h on the real adapter: modes, text in all kinds of modes, pixels, fonts, palette, VBE (rows 28 and 29). */
import { beforeAll, describe, expect, it } from "vitest";
import { font8x8, font8x14, font8x16 } from "../../src/firmware/fonts/fonts.ts";
import { type VbeMode, vbeModes } from "../../src/firmware/video/vbe-modes.ts";
import { BiosCaller, BUFFER } from "./bios-caller.ts";

describe("INT 10h on the adapter", () => {
  let guest: BiosCaller;

  beforeAll(async () => {
    guest = await BiosCaller.bootFromDisk();
  });

  const call = (registers: Parameters<BiosCaller["call"]>[1]) => guest.call(0x10, registers);
  const display = () => guest.pc.machine.front.display!;
  const size = () => [display().widthPixels, display().heightPixels];
  /** Which pixels of a rectangle differ from the one at the screen's lower right corner, one number per line. */
  function shape(x: number, y: number, width: number, height: number, step = 1): number[] {
    const pixels = new Uint32Array(display().renderRgba().buffer);
    const across = display().widthPixels;
    const background = pixels[pixels.length - 1];
    return Array.from({ length: height }, (_, row) => {
      let line = 0;
      for (let column = 0; column < width; column++)
        line = line * 2 + (pixels[(y + row) * step * across + (x + column) * step] !== background ? 1 : 0);
      return line;
    });
  }

  it.each([
    [0x01, 360, 400, 40],
    [0x03, 720, 400, 80],
    [0x04, 640, 400, 40],
    [0x06, 640, 400, 80],
    [0x07, 720, 400, 80],
    [0x0d, 640, 400, 40],
    [0x0e, 640, 400, 80],
    [0x10, 640, 350, 80],
    [0x11, 640, 480, 80],
    [0x12, 640, 480, 80],
    [0x13, 640, 400, 40],
  ])("sets mode %i", (mode, width, height, columns) => {
    call({ eax: mode });
    const got = call({ eax: 0x0f00 });
    expect([got.al, got.ah]).toEqual([mode, columns]);
    // The 40-column modes' dots are doubled by some displays and not by others.
    expect([width, width * 2]).toContain(size()[0]);
    expect(size()[1]).toBe(height);
  });

  it.each([
    [0x04, 8, font8x8, 2],
    [0x06, 8, font8x8, 0],
    [0x0d, 8, font8x8, 2],
    [0x0e, 8, font8x8, 0],
    [0x10, 14, font8x14, 1],
    [0x12, 16, font8x16, 1],
    [0x13, 8, font8x8, 2],
  ])("draws, reads and scrolls characters in mode %i", (mode, height, font, step) => {
    call({ eax: mode });
    call({ eax: 0x0200, edx: 0x0203 });
    call({ eax: 0x0941, ebx: 0x000f, ecx: 1 });
    expect(call({ eax: 0x0800 }).al).toBe(0x41);
    const glyph = [...font.subarray(0x41 * height, 0x42 * height)];
    if (step > 0) {
      const scale = step;
      expect(shape(3 * 8, 2 * height, 8, height, scale)).toEqual(glyph);
    }
    // Two lines up, one line down: the character is at row 1.
    call({ eax: 0x0602, ecx: 0, edx: 0x184f });
    call({ eax: 0x0701, ecx: 0, edx: 0x184f });
    call({ eax: 0x0200, edx: 0x0103 });
    expect(call({ eax: 0x0800 }).al).toBe(0x41);
    // A blank cell is the first blank glyph.
    call({ eax: 0x0200, edx: 0x0203 });
    expect(call({ eax: 0x0800 }).al).toBe(0x00);
  });

  it("types text in a graphics mode and combines by exclusive or", () => {
    call({ eax: 0x0012 });
    for (const char of "Hi") call({ eax: 0x0e00 | char.charCodeAt(0), ebx: 0x000e });
    expect(shape(0, 0, 8, 16)).toEqual([...font8x16.subarray(0x48 * 16, 0x49 * 16)]);
    expect(call({ eax: 0x0300 }).dx).toBe(2);
    call({ eax: 0x0200, edx: 0 });
    call({ eax: 0x0948, ebx: 0x008e, ecx: 1 });
    expect(shape(0, 0, 8, 16)).toEqual(Array(16).fill(0));
  });

  it.each([0x04, 0x06, 0x0d, 0x10, 0x12, 0x13])("writes and reads pixels in mode %i", (mode) => {
    call({ eax: mode });
    const most = { 4: 3, 6: 1, 19: 255 }[mode] ?? 15;
    for (const [x, y, color] of [
      [0, 0, 1],
      [101, 57, most],
      [102, 57, 1],
      [199, 150, most],
    ])
      call({ eax: 0x0c00 | color, ecx: x, edx: y });
    expect(call({ eax: 0x0d00, ecx: 101, edx: 57 }).al).toBe(most);
    expect(call({ eax: 0x0d00, ecx: 102, edx: 57 }).al).toBe(1);
    expect(call({ eax: 0x0d00, ecx: 103, edx: 57 }).al).toBe(0);
    expect(call({ eax: 0x0d00, ecx: 199, edx: 150 }).al).toBe(most);
  });

  it("shows 50 lines with the 8x8 font, and 25 again", () => {
    call({ eax: 0x0003 });
    call({ eax: 0x1112, ebx: 0 });
    expect(guest.memory.read8(0x484)).toBe(49);
    call({ eax: 0x0200, edx: 0x3100 });
    call({ eax: 0x0941, ebx: 0x0007, ecx: 1 });
    expect(display().textCells()!.rows).toBe(50);
    expect(display().textCells()!.characters[49 * 80]).toBe(0x41);
    call({ eax: 0x0003 });
    expect([guest.memory.read8(0x484), display().textCells()!.rows]).toEqual([24, 25]);
  });

  it("keeps the screen with bit 7 of the mode", () => {
    call({ eax: 0x0003 });
    call({ eax: 0x0e5a, ebx: 7 });
    call({ eax: 0x0083 });
    expect(display().textCells()!.characters[0]).toBe(0x5a);
    call({ eax: 0x0003 });
    expect(display().textCells()!.characters[0]).toBe(0x20);
  });

  it("writes strings with attributes and moves the cursor only if asked", () => {
    call({ eax: 0x0003 });
    const text = new TextEncoder().encode("a\x1fb\x2f");
    guest.memory.write(BUFFER, text);
    call({ eax: 0x1302, ebx: 0, ecx: 2, edx: 0x0505, es: BUFFER >> 4, ebp: 0 });
    const cells = display().textCells()!;
    expect([...cells.characters.slice(405, 407), ...cells.attributes.slice(405, 407)]).toEqual([
      0x61, 0x62, 0x1f, 0x2f,
    ]);
    expect(call({ eax: 0x0300 }).dx).toBe(0);
    call({ eax: 0x1301, ebx: 0x0007, ecx: 2, edx: 0x0505, es: BUFFER >> 4, ebp: 0 });
    expect(call({ eax: 0x0300 }).dx).toBe(0x0507);
  });

  it("sets and reads the palette", () => {
    call({ eax: 0x0013 });
    call({ eax: 0x1010, ebx: 5, ecx: 0x1020, edx: 0x3000 });
    const read = call({ eax: 0x1015, ebx: 5 });
    expect([read.cx, read.dx >> 8]).toEqual([0x1020, 0x30]);
    guest.memory.write(
      BUFFER,
      Uint8Array.from({ length: 6 }, (_, i) => i * 9),
    );
    call({ eax: 0x1012, ebx: 100, ecx: 2, es: BUFFER >> 4 });
    call({ eax: 0x1017, ebx: 100, ecx: 2, es: BUFFER >> 4, edx: 0x100 });
    expect([...guest.bytes(BUFFER + 0x100, 6)]).toEqual([0, 9, 18, 27, 36, 45]);
    call({ eax: 0x1000, ebx: 0x2a01 });
    expect(call({ eax: 0x1007, ebx: 1 }).bx).toBe(0x2a01);
  });

  it("sets every VBE mode that it lists, with the frame buffer where it says", () => {
    guest.memory.write(BUFFER, new TextEncoder().encode("VBE2"));
    call({ eax: 0x4f00, es: BUFFER >> 4 });
    const list = guest.memory.read16(BUFFER + 16) * 16 + guest.memory.read16(BUFFER + 14);
    const modes: number[] = [];
    for (let at = list; guest.memory.read16(at) !== 0xffff; at += 2) modes.push(guest.memory.read16(at));
    expect(modes.length).toBeGreaterThan(30);
    const { cpu } = guest.pc.machine;
    for (const mode of modes) {
      expect(call({ eax: 0x4f01, ecx: mode, es: 0x2000 }).ax).toBe(0x004f);
      const at = (offset: number) => guest.memory.read16(0x20000 + offset);
      expect(call({ eax: 0x4f02, ebx: mode | 0x4000 }).ax).toBe(0x004f);
      expect([mode, ...size()]).toEqual([mode, at(18), at(20)]);
      expect(call({ eax: 0x4f03 }).bx & 0x1ff).toBe(mode);
      if (guest.memory.read8(0x20019) === 4) continue;
      // A pixel at the second line through the linear frame buffer.
      const frameBuffer = at(42) * 0x10000;
      cpu.writeLinear(frameBuffer + at(16), 4, 0x0f0f0f0f);
      expect([mode, shape(0, 1, 1, 1)]).toEqual([mode, [1]]);
      // Its bank is reached at A0000h too.
      expect(cpu.readLinear(0xa0000 + at(16), 1)).toBe(0x0f);
    }
    call({ eax: 0x0003 });
    expect(size()).toEqual([720, 400]);
    expect(display().textCells()).toBeDefined();
  });

  it("pans, changes the pitch and the DAC's width", () => {
    call({ eax: 0x4f02, ebx: 0x4101 });
    expect(call({ eax: 0x4f06, ebx: 0, ecx: 1024 })).toMatchObject({ ax: 0x004f, bx: 1024, cx: 1024 });
    expect(call({ eax: 0x4f07, ebx: 0, ecx: 16, edx: 100 }).ax).toBe(0x004f);
    expect(call({ eax: 0x4f07, ebx: 1 })).toMatchObject({ cx: 16, dx: 100 });
    expect(call({ eax: 0x4f08, ebx: 0x0800 }).bx >> 8).toBe(8);
    guest.memory.write(BUFFER, Uint8Array.from([0x11, 0x22, 0xf3, 0]));
    call({ eax: 0x4f09, ebx: 0, ecx: 1, edx: 7, es: BUFFER >> 4 });
    guest.memory.write(BUFFER, new Uint8Array(4));
    call({ eax: 0x4f09, ebx: 1, ecx: 1, edx: 7, es: BUFFER >> 4 });
    expect([...guest.bytes(BUFFER, 3)]).toEqual([0x11, 0x22, 0xf3]);
    call({ eax: 0x0003 });
  });

  it("saves and restores the whole state", () => {
    call({ eax: 0x0003 });
    call({ eax: 0x1010, ebx: 1, ecx: 0x0102, edx: 0x0300 });
    const blocks = call({ eax: 0x4f04, edx: 0, ecx: 15 }).bx;
    expect(blocks * 64).toBeLessThan(0x2000);
    call({ eax: 0x4f04, edx: 1, ecx: 15, es: 0x2000 });
    call({ eax: 0x4f02, ebx: 0x4112 });
    call({ eax: 0x4f04, edx: 1, ecx: 15, es: 0x3000 });
    call({ eax: 0x4f04, edx: 2, ecx: 15, es: 0x2000 });
    expect(size()).toEqual([720, 400]);
    expect(call({ eax: 0x0f00 }).al).toBe(3);
    expect(call({ eax: 0x1015, ebx: 1 }).cx).toBe(0x0102);
    call({ eax: 0x4f04, edx: 2, ecx: 15, es: 0x3000 });
    expect(size()).toEqual([640, 480]);
    expect(call({ eax: 0x4f03 }).bx).toBe(0x4112);
    call({ eax: 0x0003 });
  });
});

it.each([
  [0, 1],
  [1, 1],
  [4, 4],
  [9, 9],
  [256, 256],
])("with %i MiB of video memory the modes that fit are listed and set, others refused", async (vramMiB, realMiB) => {
  const guest = await BiosCaller.bootFromDisk({ spec: { vramMiB } });
  const call = (registers: Parameters<BiosCaller["call"]>[1]) => guest.call(0x10, registers);
  guest.memory.write(BUFFER, new TextEncoder().encode("VBE2"));
  call({ eax: 0x4f00, es: BUFFER >> 4 });
  expect(guest.memory.read16(BUFFER + 18)).toBe(realMiB * 16);
  const listed = new Set<number>();
  const list = guest.memory.read16(BUFFER + 16) * 16 + guest.memory.read16(BUFFER + 14);
  for (let at = list; guest.memory.read16(at) !== 0xffff; at += 2) listed.add(guest.memory.read16(at));
  const fits = ({ widthPixels, heightPixels, bits }: VbeMode) =>
    widthPixels * heightPixels * (bits === 15 ? 2 : bits / 8) <= realMiB << 20;
  expect([...listed].sort()).toEqual(
    vbeModes
      .filter(fits)
      .map(({ number }) => number)
      .sort(),
  );
  for (const mode of vbeModes.filter((one) => !fits(one)).slice(0, 3))
    expect([mode.number, call({ eax: 0x4f02, ebx: mode.number | 0x4000 }).ax]).toEqual([mode.number, 0x014f]);
  const largest = vbeModes.filter(fits).at(-1)!;
  expect(call({ eax: 0x4f02, ebx: largest.number | 0x4000 }).ax).toBe(0x004f);
  const display = guest.pc.machine.front.display!;
  expect([display.widthPixels, display.heightPixels]).toEqual([largest.widthPixels, largest.heightPixels]);
});
