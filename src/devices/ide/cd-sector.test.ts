import { expect, test } from "vitest";
import { seededRandom } from "../../device-api/testing.ts";
import { buildRawSector } from "./cd-sector.ts";

/** Product in GF(2^8) with the polynomial of ECMA-130, by shifts. */
function multiply(a: number, b: number): number {
  let product = 0;
  for (let bit = 0; bit < 8; bit++) {
    if (b & (1 << bit)) product ^= a << bit;
  }
  for (let bit = 14; bit >= 8; bit--) if (product & (1 << bit)) product ^= 0x11d << (bit - 8);
  return product;
}

/** Both syndromes of a code word, its last two bytes the parity: zero for a valid one. */
function syndromes(word: readonly number[]): [number, number] {
  let plain = 0;
  let weighted = 0;
  for (const byte of word) {
    plain ^= byte;
    weighted = multiply(weighted, 2) ^ byte;
  }
  return [plain, weighted];
}

function rawSector(lba: number, seed: number): Uint8Array {
  const random = seededRandom(seed);
  const raw = new Uint8Array(2352);
  buildRawSector(
    lba,
    Uint8Array.from({ length: 2048 }, () => random(256)),
    raw,
  );
  return raw;
}

test("the header counts in binary-coded time from 00:02:00", () => {
  expect([...rawSector(0, 1).slice(12, 16)]).toEqual([0x00, 0x02, 0x00, 1]);
  expect([...rawSector(59 * 75 + 74 - 1, 1).slice(12, 16)]).toEqual([0x01, 0x01, 0x73, 1]);
});

test("EDC: the remainder over data and check is zero", () => {
  const raw = rawSector(1234, 2);
  // Bit by bit, least significant first: (x^16+x^15+x^2+1)(x^16+x^2+x+1).
  let remainder = 0;
  for (let i = 0; i < 2068; i++) {
    for (let bit = 0; bit < 8; bit++) {
      const isOdd = ((remainder ^ (raw[i] >>> bit)) & 1) !== 0;
      remainder = (remainder >>> 1) ^ (isOdd ? 0xd8018001 : 0);
    }
  }
  expect(remainder).toBe(0);
});

test("P and Q parities: every code word of both codes is valid", () => {
  for (const seed of [3, 4]) {
    const raw = rawSector(seed * 1000, seed);
    // Annex A: bytes 12 to 2351 as two interleaved planes of words; P in 43 columns of 26, Q in 26 diagonals of 45.
    for (let plane = 0; plane < 2; plane++) {
      const at = (word: number) => raw[12 + 2 * word + plane];
      for (let column = 0; column < 43; column++) {
        const word = Array.from({ length: 26 }, (_, row) => at(43 * row + column));
        expect(syndromes(word)).toEqual([0, 0]);
      }
      for (let diagonal = 0; diagonal < 26; diagonal++) {
        const word = Array.from({ length: 43 }, (_, i) => at((44 * i + 43 * diagonal) % 1118));
        word.push(at(43 * 26 + diagonal), at(44 * 26 + diagonal));
        expect(syndromes(word)).toEqual([0, 0]);
      }
    }
  }
});
