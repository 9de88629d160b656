import { describe, expect, test } from "vitest";
import { defaultSerial } from "./identify.ts";
import { IdeGuest, MemoryMedium, MemorySlot } from "./testing.ts";

const text = (words: Uint16Array, first: number, count: number) =>
  [...words.subarray(first, first + count)].map((word) => String.fromCharCode(word >> 8, word & 0xff)).join("");
const checksum = (words: Uint16Array) => words.reduce((sum, word) => (sum + (word >> 8) + word) & 0xff, 0);

function identifyDisk(claimedBytes: number, uuid?: string) {
  const backend = new MemoryMedium(512, { claimedBytes, uuid });
  const guest = new IdeGuest({ model: "PIIX4", drives: [{ port: 0, device: 1, kind: "disk", backend }] });
  return { guest, words: guest.identify(1) };
}

describe("IDENTIFY DEVICE", () => {
  test("a disk of 10 GiB", () => {
    const sectors = 10 * 2 ** 21;
    const { words } = identifyDisk(sectors * 512, "1b4e28ba-2fa1-11d2-883f-0016d3cca427");
    const expected: Record<number, number> = {
      0: 0x0040,
      1: 16383,
      3: 16,
      6: 63,
      47: 0x8080,
      49: 0x0b00,
      53: 0x0007,
      54: 16383,
      55: 16,
      56: 63,
      57: (16383 * 1008) & 0xffff,
      58: (16383 * 1008) >>> 16,
      59: 0x0180,
      60: sectors & 0xffff,
      61: sectors >>> 16,
      63: 0x0007,
      64: 3,
      65: 120,
      66: 120,
      67: 120,
      68: 120,
      80: 0x007e,
      82: 0x0068,
      83: 0x5000,
      84: 0x4000,
      85: 0x0068,
      86: 0x1000,
      87: 0x4000,
      88: 0x047f,
      93: 0x6300,
      100: 0,
      103: 0,
    };
    for (const [index, value] of Object.entries(expected))
      expect([index, words[Number(index)]]).toEqual([index, value]);
    expect(text(words, 10, 10)).toBe("VB1b4e28ba-27a4ccd3 ");
    expect(text(words, 23, 4)).toBe("1.0     ");
    expect(text(words, 27, 20)).toBe("VBOX HARDDISK".padEnd(40));
    expect(words[255] & 0xff).toBe(0xa5);
    expect(checksum(words)).toBe(0);
  });

  test("a disk beyond 28 bits says so in words 83, 86 and 100 to 103", () => {
    const sectors = 2 ** 33 + 5;
    const { words } = identifyDisk(sectors * 512);
    expect([words[83], words[86]]).toEqual([0x7400, 0x3400]);
    expect([words[60], words[61]]).toEqual([0xffff, 0x0fff]);
    expect([...words.subarray(100, 104)]).toEqual([5, 0, 2, 0]);
  });

  test("the transfer mode shows in one of words 63 and 88", () => {
    const { guest } = identifyDisk(2 ** 30);
    const setMode = (count: number) => guest.simple(0xef, 1, { features: 0x03, count });
    expect(setMode(0x22)).toBe(0x50);
    let words = guest.identify(1);
    expect([words[63], words[88]]).toEqual([0x0407, 0x007f]);
    expect(setMode(0x45)).toBe(0x50);
    words = guest.identify(1);
    expect([words[63], words[88]]).toEqual([0x0007, 0x207f]);
    expect(setMode(0x0c)).toBe(0x50);
    words = guest.identify(1);
    expect([words[63], words[88]]).toEqual([0x0007, 0x007f]);
    for (const bad of [0x02, 0x0d, 0x23, 0x47, 0xff]) {
      expect(setMode(bad) & 1).toBe(1);
      expect(guest.error).toBe(0x04);
    }
  });

  test("other settings show too", () => {
    const { guest } = identifyDisk(2 ** 30);
    guest.simple(0xef, 1, { features: 0x82 });
    guest.simple(0xef, 1, { features: 0x55 });
    guest.simple(0xc6, 1, { count: 16 });
    guest.out(6, 0xbf);
    guest.out(2, 32);
    guest.out(7, 0x91);
    guest.waitReady();
    const words = guest.identify(1);
    expect(words[85]).toBe(0x0008);
    expect(words[59]).toBe(0x0110);
    expect([words[54], words[55], words[56]]).toEqual([4096, 16, 32]);
    expect(words[57] + words[58] * 0x10000).toBe(2 ** 21);
    guest.simple(0xc6, 1, { count: 0 });
    expect(guest.identify(1)[59]).toBe(0);
  });

  test("is the same every time, on another machine too", () => {
    const first = identifyDisk(2 ** 30);
    first.guest.simple(0xe5, 1);
    expect(first.guest.identify(1)).toEqual(first.words);
    expect(identifyDisk(2 ** 30).words).toEqual(first.words);
  });
});

describe("IDENTIFY PACKET DEVICE", () => {
  test("an empty drive identifies", () => {
    const guest = new IdeGuest({
      model: "PIIX4",
      drives: [{ port: 1, device: 0, kind: "dvd", slot: new MemorySlot() }],
    }).useSecondary();
    const words = guest.identify(0, 0xa1);
    const expected: Record<number, number> = { 0: 0x8580, 49: 0x0b00, 53: 6, 63: 7, 64: 3, 80: 0x7e, 88: 0x047f };
    for (const [index, value] of Object.entries(expected))
      expect([index, words[Number(index)]]).toEqual([index, value]);
    expect([words[73], words[74], words[75]]).toEqual([0x3e, 9, 1]);
    expect([words[82], words[85]]).toEqual([0x0210, 0x0210]);
    expect(text(words, 10, 10)).toBe("VB2-01700376".padEnd(20));
    expect(text(words, 27, 20)).toBe("VBOX CD-ROM".padEnd(40));
    expect(checksum(words)).toBe(0);
    expect(guest.irqRises).toBe(1);
    expect(guest.status).toBe(0x50);
  });
});

test("serial numbers come from the UUID or from the place", () => {
  expect(defaultSerial("1B4E28BA-2fa1-11d2-883f-0016d3cca427", 0, 0)).toBe("VB1b4e28ba-27a4ccd3");
  expect(defaultSerial(undefined, 0, 1)).toBe("VB1-01f003f6");
  expect(defaultSerial("00000000-0000-0000-0000-000000000000", 1, 1)).toBe("VB3-01700376");
  expect(defaultSerial("not a uuid", 0, 0)).toBe("VB0-01f003f6");
});
