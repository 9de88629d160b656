/** The host interface as Linux's vboxvideo driver uses it: messages in video memory, offsets to port 3D0h. */
import { describe, expect, it } from "vitest";
import { FormatError } from "../../base/errors.ts";
import { seededRandom } from "../../device-api/testing.ts";
import { VgaBench } from "./testing.ts";

const VRAM = 4 << 20;
const HEAP = VRAM - 65536;
const FLAGS = VRAM - 16;
const VBVA = 2;

class Guest extends VgaBench {
  readonly view: DataView;
  constructor(hasHostInterface = true) {
    super(VRAM, undefined, false, hasHostInterface);
    const { bytes } = this.memory;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** Sends words as a message; returns what they are afterwards. */
  send(channel: number, command: number, words: readonly number[], damage = 0): number[] {
    const { view } = this;
    const length = words.length * 4;
    view.setUint32(HEAP, length, true);
    view.setUint32(HEAP + 4, (channel << 8) | (command << 16), true);
    view.setBigUint64(HEAP + 8, 0n, true);
    for (const [i, word] of words.entries()) view.setUint32(HEAP + 16 + i * 4, word >>> 0, true);
    view.setUint32(HEAP + 16 + length, 0, true);
    view.setUint32(HEAP + 20 + length, (checksum(this.memory.bytes, HEAP, length) ^ damage) >>> 0, true);
    this.context.out(0x3d0, 4, HEAP);
    return words.map((_, i) => view.getUint32(HEAP + 16 + i * 4, true));
  }

  get isInterrupting(): boolean {
    return this.context.functions[0].intx.level;
  }
}

/** Bob Jenkins' one-at-a-time hash over offset, header and four bytes of the tail. */
function checksum(bytes: Uint8Array, offset: number, length: number): number {
  const data = [
    ...[0, 8, 16, 24].map((shift) => (offset >> shift) & 255),
    ...bytes.subarray(offset, offset + 16),
    ...bytes.subarray(offset + 16 + length, offset + 20 + length),
  ];
  let hash = 0n;
  const low32 = (value: bigint) => BigInt.asUintN(32, value);
  for (const byte of data) {
    hash = low32(hash + BigInt(byte));
    hash = low32(hash + (hash << 10n));
    hash ^= hash >> 6n;
  }
  hash = low32(hash + (hash << 3n));
  hash ^= hash >> 11n;
  return Number(low32(hash + (hash << 15n)));
}

const none = 0xffff_ffff;

describe("the host interface", () => {
  it("is there when its id is accepted, and only on the card that has it", () => {
    expect(new Guest(true).dispi(0, 0xbe01)).toBe(0xbe01);
    const without = new Guest(false);
    expect(without.dispi(0, 0xbe01)).toBe(0xb0c0);
    expect(without.send(VBVA, 1, [2, none])).toEqual([2, none]);
  });

  it("answers questions, and leaves alone what it does not know", () => {
    const guest = new Guest();
    expect(guest.send(VBVA, 1, [none, none])).toEqual([none, none]);
    expect(guest.send(VBVA, 1, [0, none])).toEqual([0, 1]);
    expect(guest.send(VBVA, 1, [2, none])).toEqual([2, 0]);
    expect(guest.send(VBVA, 1, [3, none])).toEqual([3, 0]);
    expect(guest.send(VBVA, 7, [1, 0, 0xffff_fffb])).toEqual([1, 0, 0]);
    expect(guest.send(VBVA, 99, [1, 2])).toEqual([1, 2]);
  });

  it("ignores a message with a wrong checksum, one that is too short, and one beyond video memory", () => {
    const guest = new Guest();
    expect(guest.send(VBVA, 1, [0, none], 1)).toEqual([0, none]);
    expect(guest.send(VBVA, 6, [0, 0, 0])).toEqual([0, 0, 0]);
    for (const offset of [VRAM - 8, VRAM, 0xffff_fff0]) guest.context.out(0x3d0, 4, offset);
    guest.view.setUint32(HEAP, 0xffff_ffff, true);
    guest.context.out(0x3d0, 4, HEAP);
  });

  it("sets a mode with a pitch and a place of its own, and blanks it", () => {
    const guest = new Guest();
    guest.send(VBVA, 3, [0, 0x10000, 0x100000, 0x100000]);
    guest.send(VBVA, 6, [0, 0, 0, 0x400, 1024, 200, 100, 32 | (1 << 16)]);
    expect([guest.vga.widthPixels, guest.vga.heightPixels, guest.vga.bitsPerPixel]).toEqual([200, 100, 32]);
    guest.view.setUint32(0x10400 + 7 * 1024 + 5 * 4, 0x00aa_bbcc, true);
    expect(guest.pixel(5, 7)).toEqual([0xaa, 0xbb, 0xcc]);
    const { hostOffset, lengthBytes } = guest.vga.scanout();
    expect([hostOffset - guest.memory.hostOffset, lengthBytes]).toEqual([0x10400, 1024 * 100]);
    guest.send(VBVA, 6, [0, 0, 0, 0x400, 1024, 200, 100, 32 | (5 << 16)]);
    expect(guest.pixel(5, 7)).toEqual([0, 0, 0]);
    expect(guest.vga.scanout().lengthBytes).toBe(0);
    guest.send(VBVA, 6, [0, 0, 0, 0x400, 1024, 200, 100, 32 | (1 << 16)]);
    expect(guest.pixel(5, 7)).toEqual([0xaa, 0xbb, 0xcc]);
    // Beyond video memory: the mode stays. By the registers: the place is theirs again.
    guest.send(VBVA, 6, [0, 0, 0, 0, 8192 * 4, 8192, 4000, 32 | (1 << 16)]);
    expect(guest.vga.widthPixels).toBe(200);
    guest.setDispiMode(320, 240, 32);
    guest.view.setUint32(0, 0x0011_2233, true);
    expect(guest.pixel(0, 0)).toEqual([0x11, 0x22, 0x33]);
  });

  it("hands the pointer over: shape with alpha, hidden, shown, refused when too large", () => {
    const guest = new Guest();
    expect(guest.vga.pointerShape).toBeUndefined();
    const pixels = [0xff11_2233, 0x8044_5566, 0, 0xff00_0000];
    expect(guest.send(VBVA, 8, [none, 7, 1, 0, 2, 2, 0, ...pixels])[0]).toBe(0);
    expect(guest.vga.pointerShape).toEqual({
      isVisible: true,
      widthPixels: 2,
      heightPixels: 2,
      hotX: 1,
      hotY: 0,
      rgba: Uint8Array.of(0x11, 0x22, 0x33, 255, 0x44, 0x55, 0x66, 128, 0, 0, 0, 0, 0, 0, 0, 255),
    });
    const revision = guest.vga.pointerRevision;
    guest.send(VBVA, 8, [none, 0, 0, 0, 0, 0]);
    expect(guest.vga.pointerShape?.isVisible).toBe(false);
    guest.send(VBVA, 8, [none, 1, 0, 0, 0, 0]);
    expect(guest.vga.pointerShape).toMatchObject({ isVisible: true, widthPixels: 2 });
    expect(guest.vga.pointerRevision).toBe(revision + 2);
    expect(guest.send(VBVA, 8, [none, 7, 0, 0, 257, 1])[0]).not.toBe(0);
    expect(guest.send(VBVA, 8, [none, 7, 0, 0, 64, 64, 0])[0]).not.toBe(0);
    guest.vga.reset("power-on");
    expect(guest.vga.pointerShape).toBeUndefined();
  });

  it("hints at a mode by an interrupt, once the guest has asked for such", () => {
    const guest = new Guest();
    expect(guest.vga.setModeHint(800, 500, 32)).toBe(false);
    guest.send(1, 0, [FLAGS, 16]);
    expect(guest.vga.setModeHint(900, 500, 32)).toBe(false);
    expect(guest.isInterrupting).toBe(false);
    expect(guest.send(VBVA, 12, [none, 0x1e])[0]).toBe(0);
    expect(guest.vga.setModeHint(1000, 704, 32)).toBe(true);
    expect(guest.isInterrupting).toBe(true);
    expect(guest.view.getUint32(FLAGS, true)).toBe(0x22);
    guest.context.out(0x3b0, 4, none);
    expect(guest.isInterrupting).toBe(false);
    expect(guest.view.getUint32(FLAGS, true)).toBe(0);
    // Two screens asked for, one there; the guest's structure is a word longer than ours.
    const answer = guest.send(VBVA, 19, [2 | (36 << 16), none, ...Array.from({ length: 18 }, () => 7)]);
    expect(answer.slice(1, 11)).toEqual([0, 0x0801_add9, 1000, 704, 32, 0, 0, 0, 1, none]);
    expect(answer.slice(11)).toEqual(Array.from({ length: 9 }, () => none));
    expect(guest.send(VBVA, 19, [9 | (32 << 16), none, 0])[1]).not.toBe(0);
  });

  it("keeps its state, and refuses that of a card without it", () => {
    const guest = new Guest();
    guest.send(1, 0, [FLAGS, 16]);
    guest.send(VBVA, 12, [none, 6]);
    guest.send(VBVA, 6, [0, 0, 0, 64, 512, 100, 50, 32 | (1 << 16)]);
    const saved = guest.vga.save();
    const other = new Guest();
    other.vga.load(saved);
    expect(other.vga.save().data.dispi).toEqual(saved.data.dispi);
    expect(other.vga.setModeHint(640, 480, 32)).toBe(true);
    expect(() => new Guest(false).vga.load(saved)).toThrow(FormatError);
    expect(() => guest.vga.load(new Guest(false).vga.save())).toThrow(FormatError);
  });

  it("survives any message", () => {
    const guest = new Guest();
    const random = seededRandom(6);
    const words = [0, 1, 2, 7, 16, 32, 64, 255, 1024, 0x10000, VRAM, 0x7fff_ffff, none];
    for (let i = 0; i < 3000; i++) {
      const body = Array.from({ length: random(12) }, () => (random(3) === 0 ? random(2 ** 32) : words[random(13)]));
      guest.send(random(8) === 0 ? 1 : VBVA, random(24), body);
      if (random(4) === 0) guest.vga.setModeHint(random(5000), random(5000), 32);
      if (random(4) === 0) guest.context.out(0x3b0, 4, none);
      if (random(50) === 0) {
        const { hostOffset, lengthBytes } = guest.vga.scanout();
        expect(hostOffset + lengthBytes).toBeLessThanOrEqual(guest.memory.hostOffset + VRAM);
        guest.vga.renderRgba();
      }
    }
  });
});
