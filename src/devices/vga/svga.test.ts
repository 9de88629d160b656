/** VMSVGA as its drivers use it: registers by index and value, commands in the queue, fences with interrupts. */
import { beforeEach, expect, test } from "vitest";
import { FormatError } from "../../base/errors.ts";
import type { IoWindow } from "../../device-api/io-window.ts";
import { createDeviceMemory, FakeContext, seededRandom } from "../../device-api/testing.ts";
import { createVga, type VgaDevice } from "./index.ts";
import * as S from "./svga-registers.ts";
import { mode03, VgaBench } from "./testing.ts";

const VRAM = 4 << 20;
const FIFO = 64 << 10;
const MIN = S.FIFO_REGS * 4;

class Guest {
  readonly context = new FakeContext();
  readonly vram = createDeviceMemory(VRAM);
  readonly fifo = createDeviceMemory(FIFO);
  readonly vga: VgaDevice;
  readonly words: Uint32Array;
  readonly pixels: Uint32Array;
  readonly #window: IoWindow;

  constructor() {
    this.vga = createVga({ vram: this.vram, svgaFifo: this.fifo });
    this.vga.attach(this.context);
    this.vga.reset("power-on");
    this.words = new Uint32Array(this.fifo.bytes.buffer, this.fifo.bytes.byteOffset, FIFO / 4);
    this.pixels = new Uint32Array(this.vram.bytes.buffer, this.vram.bytes.byteOffset, VRAM / 4);
    this.#window = this.context.functions[0].config.bars?.[0].window as IoWindow;
  }

  reg(index: number, value?: number): number {
    this.#window.write(S.INDEX_PORT, 4, index);
    if (value !== undefined) this.#window.write(S.VALUE_PORT, 4, value);
    return this.#window.read(S.VALUE_PORT, 4);
  }
  status(clear = 0): number {
    if (clear !== 0) this.#window.write(S.IRQ_STATUS_PORT, 4, clear);
    return this.#window.read(S.IRQ_STATUS_PORT, 4);
  }
  get isInterrupting(): boolean {
    return this.context.functions[0].intx.level;
  }

  /** A mode, and an empty queue of `bytes` from MIN on. */
  start(width = 64, height = 48, bytes = FIFO - MIN): void {
    this.reg(S.REG_WIDTH, width);
    this.reg(S.REG_HEIGHT, height);
    this.words.set([MIN, MIN + bytes, MIN, MIN]);
    this.reg(S.REG_ENABLE, 1);
    this.reg(S.REG_CONFIG_DONE, 1);
  }
  /** Puts words into the queue as a driver does, wrapping around at its end. */
  queue(...words: number[]): void {
    for (const word of words) {
      const next = this.words[S.FIFO_NEXT_CMD];
      this.words[next / 4] = word;
      this.words[S.FIFO_NEXT_CMD] = next + 4 === this.words[S.FIFO_MAX] ? this.words[S.FIFO_MIN] : next + 4;
    }
  }
  sync(): void {
    this.reg(S.REG_SYNC, 1);
    while (this.reg(S.REG_BUSY) !== 0);
  }
}

let guest: Guest;
beforeEach(() => {
  guest = new Guest();
});

test("the card says what it is: ids, version, what it can", () => {
  const { config } = guest.context.functions[0];
  expect([config.vendorId, config.deviceId, config.bars?.length]).toEqual([0x15ad, 0x0405, 3]);
  expect(guest.reg(S.REG_ID, 0x9000_0003)).toBe(S.ID_2);
  expect(guest.reg(S.REG_ID, 0x9000_0001)).toBe(0x9000_0001);
  expect(guest.reg(S.REG_CAPABILITIES) & S.CAP_RECT_COPY).toBe(S.CAP_RECT_COPY);
  expect([guest.reg(S.REG_VRAM_SIZE), guest.reg(S.REG_MEM_SIZE), guest.reg(S.REG_MEM_REGS)]).toEqual([VRAM, FIFO, 291]);
  expect([guest.reg(S.REG_BITS_PER_PIXEL, 8), guest.reg(S.REG_DEPTH)]).toEqual([32, 24]);
});

test("a mode with its pitch, hidden, shown, and the VGA's when it is switched off", () => {
  guest.reg(S.REG_WIDTH, 100);
  guest.reg(S.REG_HEIGHT, 50);
  guest.reg(S.REG_ENABLE, 3);
  expect(guest.vga.widthPixels).not.toBe(100);
  guest.reg(S.REG_ENABLE, 1);
  expect([guest.vga.widthPixels, guest.vga.heightPixels, guest.vga.bitsPerPixel]).toEqual([100, 50, 32]);
  expect(guest.reg(S.REG_BYTES_PER_LINE)).toBe(400);
  guest.reg(S.REG_PITCHLOCK, 512);
  expect(guest.reg(S.REG_BYTES_PER_LINE)).toBe(512);
  guest.pixels[3 * 128 + 7] = 0x00aa_bbcc;
  const rgba = guest.vga.renderRgba();
  expect([...rgba.subarray((3 * 100 + 7) * 4, (3 * 100 + 7) * 4 + 3)]).toEqual([0xaa, 0xbb, 0xcc]);
  guest.reg(S.REG_ENABLE, 0);
  expect(guest.vga.widthPixels).not.toBe(100);
  // More than video memory holds: the mode stays what it was.
  guest.start(64, 48);
  guest.reg(S.REG_PITCHLOCK, 0x40000);
  guest.reg(S.REG_HEIGHT, 4000);
  expect(guest.vga.heightPixels).toBe(48);
});

test("rectangles are copied as through a third place, whichever way they overlap; those beyond the screen are not", () => {
  guest.start(64, 48);
  const random = seededRandom(3);
  for (let round = 0; round < 200; round++) {
    for (let i = 0; i < 64 * 48; i++) guest.pixels[i] = random(2 ** 32);
    const [width, height] = [1 + random(40), 1 + random(30)];
    const [fromX, fromY] = [random(64), random(48)];
    const [toX, toY] = [random(64), random(48)];
    const want = guest.pixels.slice(0, 64 * 48);
    if (Math.max(fromX, toX) + width <= 64 && Math.max(fromY, toY) + height <= 48) {
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) want[(toY + y) * 64 + toX + x] = guest.pixels[(fromY + y) * 64 + fromX + x];
    }
    guest.queue(S.CMD_RECT_COPY, fromX, fromY, toX, toY, width, height);
    guest.sync();
    expect(guest.pixels.slice(0, 64 * 48)).toEqual(want);
  }
  expect(guest.words[S.FIFO_STOP]).toBe(guest.words[S.FIFO_NEXT_CMD]);
});

test("fences: the last one passed, interrupts for any and for the one that is awaited", () => {
  // A queue so short that commands wrap around in it.
  guest.start(64, 48, 44);
  guest.reg(S.REG_IRQMASK, S.IRQ_FENCE_GOAL);
  guest.words[S.FIFO_FENCE_GOAL] = 20;
  for (let fence = 1; fence <= 40; fence++) {
    guest.queue(S.CMD_UPDATE, 0, 0, 64, 48, S.CMD_FENCE, fence);
    guest.sync();
    expect(guest.words[S.FIFO_FENCE]).toBe(fence);
    expect(guest.isInterrupting).toBe(fence >= 20);
    if (fence === 30) {
      expect(guest.status()).toBe(S.IRQ_FENCE_GOAL);
      guest.words[S.FIFO_FENCE_GOAL] = 1000;
      expect(guest.status(S.IRQ_FENCE_GOAL)).toBe(0);
      expect(guest.isInterrupting).toBe(false);
      break;
    }
  }
  guest.reg(S.REG_IRQMASK, S.IRQ_ANY_FENCE);
  guest.queue(S.CMD_FENCE, 31);
  // Nobody asks: a look at the screen is enough.
  guest.vga.scanout();
  expect(guest.isInterrupting).toBe(true);
});

test("commands that are not all there wait for their rest; what nobody knows is passed over", () => {
  guest.start();
  guest.queue(S.CMD_FENCE);
  guest.sync();
  expect(guest.words[S.FIFO_STOP]).toBe(MIN);
  guest.queue(7);
  guest.sync();
  expect(guest.words[S.FIFO_FENCE]).toBe(7);
  guest.queue(S.CMD_ESCAPE, 0, 5, 1, 2, 1044, 8, 1, 2, S.CMD_FENCE, 8);
  guest.sync();
  expect(guest.words[S.FIFO_FENCE]).toBe(8);
  guest.queue(999, 1, 2, 3);
  guest.sync();
  expect(guest.words[S.FIFO_STOP]).toBe(guest.words[S.FIFO_NEXT_CMD]);
});

test("pointers: with alpha, of masks, hidden", () => {
  guest.start();
  guest.queue(S.CMD_DEFINE_ALPHA_CURSOR, 0, 1, 1, 2, 2, 0xff11_2233, 0x8040_2000, 0, 0xffff_ffff);
  guest.sync();
  expect(guest.vga.pointerShape).toEqual({
    isVisible: true,
    widthPixels: 2,
    heightPixels: 2,
    hotX: 1,
    hotY: 1,
    rgba: Uint8Array.of(0x11, 0x22, 0x33, 255, 128, 64, 0, 128, 0, 0, 0, 0, 255, 255, 255, 255),
  });
  // Four by one: black, white, through, inverted (black here).
  guest.queue(S.CMD_DEFINE_CURSOR, 0, 0, 0, 4, 1, 1, 1, 0b0011_0000, 0b0101_0000);
  guest.sync();
  const { rgba } = guest.vga.pointerShape!;
  expect([...rgba]).toEqual([0, 0, 0, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 255]);
  const revision = guest.vga.pointerRevision;
  guest.reg(S.REG_CURSOR_ON, 0);
  expect(guest.vga.pointerShape?.isVisible).toBe(false);
  expect(guest.vga.pointerRevision).toBe(revision + 1);
  // Too large.
  guest.queue(S.CMD_DEFINE_ALPHA_CURSOR, 0, 0, 0, 300, 1, 1, 2, 3);
  guest.sync();
  expect(guest.vga.pointerShape?.widthPixels).toBe(4);
});

test("the state is kept, and is not another card's", () => {
  guest.start(100, 60);
  guest.queue(S.CMD_FENCE, 5);
  guest.sync();
  guest.queue(S.CMD_FENCE);
  const saved = guest.vga.save();
  const other = new Guest();
  other.vga.load(saved);
  expect(other.vga.save().data.svga).toEqual(saved.data.svga);
  expect(other.vga.widthPixels).toBe(100);
  other.queue(6);
  other.sync();
  expect(other.words[S.FIFO_FENCE]).toBe(6);
  const bench = new VgaBench(VRAM);
  bench.setMode(mode03);
  expect(() => bench.vga.load(saved)).toThrow(FormatError);
  expect(() => guest.vga.load(bench.vga.save())).toThrow(FormatError);
});

test("survives any queue and any registers", () => {
  const random = seededRandom(15);
  const words = [0, 1, 3, 19, 22, 25, 30, 33, 64, 1040, 1100, MIN, FIFO, 0x7fff_ffff, 0xffff_ffff];
  const any = () => (random(3) === 0 ? random(2 ** 32) : words[random(words.length)]);
  guest.start();
  for (let i = 0; i < 2000; i++) {
    if (random(20) === 0) guest.start(1 + random(300), 1 + random(300), 4 * (1 + random(4000)));
    if (random(10) === 0) guest.words[random(S.FIFO_REGS)] = any();
    if (random(10) === 0) guest.reg(random(40), any());
    for (let count = random(12); count > 0; count--) {
      const next = guest.words[S.FIFO_NEXT_CMD];
      if (next % 4 === 0 && next < FIFO) guest.queue(any());
    }
    guest.reg(S.REG_SYNC, 1);
    if (i % 100 === 0) {
      const { hostOffset, lengthBytes } = guest.vga.scanout();
      expect(hostOffset + lengthBytes).toBeLessThanOrEqual(guest.vram.hostOffset + VRAM);
      if (guest.vga.widthPixels * guest.vga.heightPixels < 1e6) guest.vga.renderRgba();
    }
  }
});
