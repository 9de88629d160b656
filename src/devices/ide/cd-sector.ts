/**
 * A CD-ROM mode 1 sector as READ CD may ask for it (ECMA-130 chapters 14, annexes A and B): synchronisation, header, user
 * data, error detection code and the P and Q parities, computed from the 2,048 bytes of an image.
 */
import type { SectorFormat } from "./data-transfer.ts";

const syncBytes = 12;
const headerBytes = 4;
const userBytes = 2048;
const correctionBytes = 288;
const rawBytes = 2352;

const edcTable = new Uint32Array(256);
/** Multiplication by the field's generator in GF(2^8) with polynomial 11Dh, and division by (generator + 1). */
const timesTwo = new Uint8Array(256);
const overThree = new Uint8Array(256);
for (let i = 0; i < 256; i++) {
  const doubled = (i << 1) ^ (i & 0x80 ? 0x11d : 0);
  timesTwo[i] = doubled;
  overThree[i ^ doubled] = i;
  let edc = i;
  for (let bit = 0; bit < 8; bit++) edc = (edc >>> 1) ^ (edc & 1 ? 0xd8018001 : 0);
  edcTable[i] = edc;
}

const raw = new Uint8Array(rawBytes);

/**
 * The form that byte 9 of a READ CD packet selects, or undefined if it selects nothing. The plain form (user data alone)
 * needs no conversion: `"user"`.
 */
export function sectorFormat(selection: number): SectorFormat | "user" | undefined {
  const hasSync = (selection & 0x80) !== 0;
  const hasHeader = (selection & 0x20) !== 0;
  const hasUser = (selection & 0x10) !== 0;
  const hasCorrection = (selection & 0x08) !== 0;
  const hostBytes =
    (hasSync ? syncBytes : 0) +
    (hasHeader ? headerBytes : 0) +
    (hasUser ? userBytes : 0) +
    (hasCorrection ? correctionBytes : 0);
  if (hostBytes === 0) return undefined;
  if (hostBytes === userBytes) return "user";
  return {
    hostBytes,
    convert(lba, sector, out, offset) {
      buildRawSector(lba, sector, raw);
      let at = offset;
      const part = (start: number, bytes: number) => {
        out.set(raw.subarray(start, start + bytes), at);
        at += bytes;
      };
      if (hasSync) part(0, syncBytes);
      if (hasHeader) part(syncBytes, headerBytes);
      if (hasUser) part(syncBytes + headerBytes, userBytes);
      if (hasCorrection) part(syncBytes + headerBytes + userBytes, correctionBytes);
    },
  };
}

/** Writes all 2,352 bytes of the sector to `out`. */
export function buildRawSector(lba: number, user: Uint8Array, out: Uint8Array): void {
  out.fill(0xff, 0, syncBytes);
  out[0] = out[11] = 0;
  const frames = lba + 150;
  out[12] = bcd(Math.floor(frames / (60 * 75)) % 100);
  out[13] = bcd(Math.floor(frames / 75) % 60);
  out[14] = bcd(frames % 75);
  out[15] = 1;
  out.set(user, 16);
  let edc = 0;
  for (let i = 0; i < 2064; i++) edc = (edc >>> 8) ^ edcTable[(edc ^ out[i]) & 0xff];
  for (let i = 0; i < 4; i++) out[2064 + i] = edc >>> (8 * i);
  out.fill(0, 2068, 2076);
  writeParity(out, 86, 24, 2, 86, 2076);
  writeParity(out, 52, 43, 86, 88, 2248);
}

/**
 * One Reed-Solomon product code over bytes from offset 12: `vectors` of `length` bytes, two bytes interleaved; within a
 * vector bytes are `step` apart and wrap at the code's end; pairs of vectors start `vectorStep` apart.
 */
function writeParity(
  out: Uint8Array,
  vectors: number,
  length: number,
  vectorStep: number,
  step: number,
  parityAt: number,
): void {
  const codeBytes = vectors * length;
  for (let vector = 0; vector < vectors; vector++) {
    let index = (vector >> 1) * vectorStep + (vector & 1);
    let weighted = 0;
    let sum = 0;
    for (let i = 0; i < length; i++) {
      const byte = out[12 + index];
      index += step;
      if (index >= codeBytes) index -= codeBytes;
      weighted = timesTwo[weighted ^ byte];
      sum ^= byte;
    }
    const first = overThree[timesTwo[weighted] ^ sum];
    out[parityAt + vector] = first;
    out[parityAt + vectors + vector] = first ^ sum;
  }
}

function bcd(value: number): number {
  return Math.floor(value / 10) * 16 + (value % 10);
}
