/** Edge values for oracle cases, and a deterministic source of randomness. */

/** A small deterministic generator: numbers in [0, 2^32). */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let x = state;
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    return (x ^ (x >>> 16)) >>> 0;
  };
}

export const singles: readonly number[] = [
  0x00000000,
  0x80000000, // zeros
  0x00000001,
  0x807fffff,
  0x00400000,
  0x80012345, // denormals
  0x00800000,
  0x80800001,
  0x00ffffff, // smallest normals
  0x3f800000,
  0xbf800000,
  0x3f800001,
  0x3f7fffff, // around one
  0x3fc00000,
  0x40000000,
  0x3f000000,
  0xbf000000,
  0x40200000,
  0x3effffff,
  0x40400000,
  0xc0800000, // halves
  0x3eaaaaab,
  0x40490fdb,
  0xc2c80000, // thirds, pi, -100
  0x4b7fffff,
  0x4b800001,
  0x4affffff,
  0xcb000001, // about 2^24 and 2^23
  0x4effffff,
  0x4f000000,
  0xcf000000,
  0xcf000001,
  0x5f000000,
  0xdf000000, // about 2^31, 2^63
  0x7f7fffff,
  0xff7fffff,
  0x7f000000,
  0x7effffff, // largest
  0x1f800000,
  0x20000001,
  0x9f000000,
  0x60000000, // products near the limits
  0x7f800000,
  0xff800000, // infinities
  0x7fc00000,
  0xffc00000,
  0x7fd23456, // quiet NaNs
  0x7f800001,
  0xff923456,
  0x7fa00000, // signalling NaNs
];

export const doubles: readonly bigint[] = [
  0x0000000000000000n,
  0x8000000000000000n,
  0x0000000000000001n,
  0x800fffffffffffffn,
  0x0008000000000000n,
  0x8000000012345678n,
  0x0010000000000000n,
  0x8010000000000001n,
  0x001fffffffffffffn,
  0x3ff0000000000000n,
  0xbff0000000000000n,
  0x3ff0000000000001n,
  0x3fefffffffffffffn,
  0x3ff8000000000000n,
  0x4000000000000000n,
  0x3fe0000000000000n,
  0xbfe0000000000000n,
  0x4004000000000000n,
  0x3fdfffffffffffffn,
  0x4008000000000000n,
  0xc010000000000000n,
  0x3fd5555555555555n,
  0x400921fb54442d18n,
  0xc059000000000000n,
  0x433fffffffffffffn,
  0x4340000000000001n,
  0x432fffffffffffffn,
  0xc330000000000001n,
  0x41dfffffffc00000n,
  0x41dfffffffe00000n,
  0x41e0000000000000n,
  0xc1e0000000000000n,
  0xc1e0000000100000n,
  0xc1e0000000200000n,
  0x41dfffffffffffffn,
  0x7fefffffffffffffn,
  0xffefffffffffffffn,
  0x7fe0000000000000n,
  0x7fdfffffffffffffn,
  0x1ff0000000000000n,
  0x2000000000000001n,
  0x9fe0000000000000n,
  0x6000000000000000n,
  0x7ff0000000000000n,
  0xfff0000000000000n,
  0x7ff8000000000000n,
  0xfff8000000000000n,
  0x7ffa3456789abcden,
  0x7ff0000000000001n,
  0xfff23456789abcden,
  0x7ff4000000000000n,
  // Halves of single precision, and its limits.
  0x3ff0000010000000n,
  0x3ff0000030000000n,
  0x3ff0000010000001n,
  0x47efffffe0000000n,
  0x47effffff0000000n,
  0x47efffffefffffffn,
  0x380fffffffffffffn,
  0x3810000000000000n,
  0x380fffffe0000000n,
  0x380fffffffffffe0n,
  0x36a0000000000000n,
  0x3690000000000000n,
  0x3690000000000001n,
  0x36f8000000000000n,
];

export const integers: readonly number[] = [
  0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0x80000001, 0xffffffff,
  0xfffffffe, 0x00ff00ff, 0x80808080, 0x7f7f7f7f, 0x80007fff, 0x12345678, 0xaaaaaaaa, 0x01000000, 0x00ffffff,
  0x01000001,
];

export type Lanes = "integer" | "single" | "double";

/** 16 bytes of edge values (three out of four) and random ones. */
export function vector(lanes: Lanes, random: () => number): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  if (lanes === "double") {
    for (let n = 0; n < 16; n += 8) view.setBigUint64(n, double(random), true);
  } else for (let n = 0; n < 16; n += 4) view.setUint32(n, lanes === "single" ? single(random) : integer(random), true);
  return bytes;
}

export function integer(random: () => number): number {
  const value = random();
  return value % 4 === 0 ? random() : integers[(value >>> 8) % integers.length];
}

/** An edge value, any bits, or an ordinary number. */
export function single(random: () => number): number {
  const value = random();
  if (value % 4 === 0) return random();
  if (value % 4 === 1) return (random() & 0x80ffffff) | ((0x3c + (random() % 8)) << 24);
  return singles[(value >>> 8) % singles.length];
}

export function double(random: () => number): bigint {
  const value = random();
  const any = (BigInt(random()) << 32n) | BigInt(random());
  if (value % 4 === 0) return any;
  if (value % 4 === 1) return (any & 0x800fffffffffffffn) | (BigInt(0x3f0 + (random() % 30)) << 52n);
  return doubles[(value >>> 8) % doubles.length];
}
