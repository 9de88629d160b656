import { describe, expect, it } from "vitest";
import { mode03, mode12, VgaBench } from "./testing.ts";

describe("DISPI", () => {
  it("accepts the ids that it implements", () => {
    const bench = new VgaBench();
    const keeps = (id: number) => bench.dispi(0, id) === id;
    expect([0xb0c0, 0xb0c1, 0xb0c4, 0xb0c5, 0xbe00, 0xbe02].every(keeps)).toBe(true);
    // HGSMI and later: VirtualBox's own drivers must not start.
    expect([0xbe01, 0xbe03, 0xb0c6, 0x1234].some(keeps)).toBe(false);
  });

  it("tells the video memory's size in both ways, and the frame buffer's address", () => {
    const bench = new VgaBench(16 << 20, 9 << 20);
    bench.dispi(0, 0xbe00);
    expect(bench.context.in(0x1cf, 4)).toBe(9 << 20);
    expect(bench.dispi(10)).toBe((9 << 20) / 0x10000);
    bench.context.pci(2, 0).guestWrite(0x10, 4, 0xe0000000);
    expect(bench.dispi(11)).toBe(0xe000);
  });

  it("takes pairs of bytes, high byte first, and starts anew after a wide access", () => {
    const bench = new VgaBench();
    const outPair = (port: number, value: number) => {
      bench.out(port, value >> 8);
      bench.out(port, value & 0xff);
    };
    const inPair = (port: number) => (bench.in(port) << 8) | bench.in(port);
    outPair(0x1ce, 1);
    outPair(0x1cf, 1280);
    expect(inPair(0x1ce)).toBe(1);
    expect(inPair(0x1cf)).toBe(1280);
    expect(bench.dispi(1)).toBe(1280);
    // An orphaned byte does not shift what follows.
    bench.out(0x1cf, 0x77);
    outPair(0x1ce, 2);
    bench.in(0x1cf);
    expect(bench.dispi(2, 720)).toBe(720);
    expect(inPair(0x1cf)).toBe(720);
  });

  it("gives its limits while GETCAPS is set", () => {
    const bench = new VgaBench();
    bench.dispi(1, 640);
    bench.dispi(4, 2);
    expect([bench.dispi(1), bench.dispi(2), bench.dispi(3)]).toEqual([8192, 4608, 32]);
    bench.dispi(4, 0);
    expect(bench.dispi(1)).toBe(640);
  });

  it("sets modes, clears memory unless told not to, and refuses what does not fit", () => {
    const bench = new VgaBench();
    bench.memory.bytes.fill(0x55);
    bench.setDispiMode(800, 600, 16);
    expect([bench.vga.widthPixels, bench.vga.heightPixels, bench.vga.bitsPerPixel]).toEqual([800, 600, 16]);
    expect(bench.dispi(4)).toBe(0x41);
    expect([bench.dispi(6), bench.dispi(7)]).toEqual([800, Math.floor((4 << 20) / 1600)]);
    expect(bench.memory.bytes[800 * 600 * 2 - 1]).toBe(0);
    expect(bench.memory.bytes[800 * 600 * 2]).toBe(0x55);
    bench.memory.bytes.fill(0x66);
    bench.setDispiMode(640, 480, 8, 0xc1);
    expect(bench.memory.bytes[0]).toBe(0x66);
    bench.setDispiMode(1600, 1200, 32);
    expect(bench.dispi(4) & 1).toBe(0);
    bench.setDispiMode(640, 480, 13);
    expect(bench.dispi(3)).toBe(32);
  });

  it("gives banks of 64 KiB at A0000h, whatever the VGA registers say", () => {
    const bench = new VgaBench();
    bench.setMode(mode03);
    bench.setDispiMode(800, 600, 8);
    bench.dispi(5, 3);
    bench.context.writeMmio(0xa0010, 4, 0x04030201);
    bench.write8(0xaffff, 0x99);
    expect(bench.memory.bytes.subarray(0x30010, 0x30014)).toEqual(Uint8Array.of(1, 2, 3, 4));
    expect(bench.memory.bytes[0x3ffff]).toBe(0x99);
    expect(bench.context.readMmio(0xa0011, 2)).toBe(0x0302);
    bench.dispi(5, 64 + 3); // beyond the end: wraps
    expect(bench.dispi(5)).toBe(3);
  });

  it("shows each packed format", () => {
    const bench = new VgaBench();
    const put = (bytes: number[]) => bench.memory.bytes.set(bytes, 0);
    bench.setDispiMode(64, 48, 15);
    put([0x1f, 0x7c]); // red and blue full
    expect(bench.pixel(0, 0)).toEqual([255, 0, 255]);
    bench.setDispiMode(64, 48, 16);
    put([0xe0, 0x07]);
    expect(bench.pixel(0, 0)).toEqual([0, 255, 0]);
    bench.setDispiMode(64, 48, 24);
    put([1, 2, 3, 4, 5, 6]);
    expect([bench.pixel(0, 0), bench.pixel(1, 0)]).toEqual([
      [3, 2, 1],
      [6, 5, 4],
    ]);
    bench.setDispiMode(64, 48, 32);
    put([1, 2, 3, 0, 4, 5, 6, 0]);
    expect(bench.pixel(1, 0)).toEqual([6, 5, 4]);
    expect(bench.vga.renderRgba()[7]).toBe(255);
    bench.setDispiMode(64, 48, 8);
    put([7]);
    bench.dac(7, 63, 32, 1);
    expect(bench.pixel(0, 0)).toEqual([255, 130, 4]);
    bench.dispi(4, 0xe1);
    bench.dac(7, 200, 100, 50);
    expect(bench.pixel(0, 0)).toEqual([200, 100, 50]);
    bench.out(0x3c7, 7);
    expect([bench.in(0x3c9), bench.in(0x3c9)]).toEqual([200, 100]);
  });

  it("scrolls in a virtual screen and clips what lies behind video memory", () => {
    const bench = new VgaBench(256 * 1024);
    bench.setDispiMode(100, 80, 8);
    expect(bench.dispi(6, 128)).toBe(128);
    expect(bench.dispi(7)).toBe(2048);
    bench.dac(9, 63, 63, 63);
    bench.memory.bytes[128 * 20 + 30] = 9;
    bench.dispi(8, 25);
    bench.dispi(9, 15);
    expect(bench.pixel(5, 5)).toEqual([255, 255, 255]);
    bench.dispi(9, 65535);
    expect(bench.pixel(5, 5)).toEqual([0, 0, 0]);
    expect(bench.dispi(6, 20)).toBe(100);
    expect(bench.dispi(6, 60000)).toBe(100);
  });

  it("has planar 16-colour modes larger than the VGA's, with the VGA's write modes and banks of each map", () => {
    const bench = new VgaBench();
    bench.setMode(mode12);
    bench.setDispiMode(1024, 768, 4);
    bench.sr(2, 0x0f);
    bench.gr(5, 2);
    bench.gr(8, 0x80);
    bench.read8(0xa0000 + 128 * 100);
    bench.write8(0xa0000 + 128 * 100, 0x0b); // pixel (0, 100)
    bench.dispi(5, 1);
    bench.read8(0xa0000);
    bench.write8(0xa0000, 0x05); // pixel (0, 512)
    expect(bench.dacIndexAt(0, 100)).toBe(0x3b);
    expect(bench.dacIndexAt(0, 512)).toBe(0x05);
    expect(bench.dacIndexAt(1, 512)).toBe(0);
  });

  it("keeps the picture when a DOS box disables the mode, until a VGA mode is set", () => {
    const bench = new VgaBench();
    bench.setMode(mode03);
    bench.setDispiMode(800, 600, 16);
    bench.dispi(4, 0);
    expect(bench.dispi(4)).toBe(0);
    bench.dac(1, 2, 3, 4);
    bench.sr(2, 3);
    bench.gr(8, 0xff);
    bench.ar(3, 3);
    expect(bench.vga.widthPixels).toBe(800);
    bench.write8(0xa0000, 0x12); // still the bank
    expect(bench.memory.bytes[0]).toBe(0x12);
    bench.ar(0x10, 0x0c);
    expect([bench.vga.widthPixels, bench.vga.heightPixels, bench.vga.bitsPerPixel]).toEqual([720, 400, 0]);
  });

  it("returns to text when the guest just goes on writing to B8000h", () => {
    const bench = new VgaBench();
    bench.setMode(mode03);
    bench.setDispiMode(640, 480, 32);
    bench.write8(0xb8000, 0x58);
    expect(bench.vga.widthPixels).toBe(640);
    bench.dispi(4, 0);
    bench.write8(0xb8000, 0x58);
    expect(bench.vga.textCells()?.characters[0]).toBe(0x58);
  });
});
