/**
 * The transcendental kernels against series in 320-bit fixed point, written independently of the kernels' tables. What is
 * rounded is 64 bits; the kernels are to be right to well beyond, so that the rounding is nearly always the true one.
 */
import { describe, expect, test } from "vitest";
import { evaluate, OPERAND_A, OPERAND_B, RESULT_A, RESULT_B, transcendental } from "./transcendental.ts";

const memory = new ArrayBuffer(65536);
const i32 = new Int32Array(memory);
const u32 = new Uint32Array(memory);
const view = new DataView(memory);

interface Extended {
  readonly m: bigint;
  readonly se: number;
}

function put(at: number, x: Extended): void {
  view.setBigUint64(at, x.m, true);
  view.setUint32(at + 8, x.se, true);
}

const BITS = 320n;
const ONE = 1n << BITS;
const multiply = (a: bigint, b: bigint) => (a * b) >> BITS;

/** Result at `at` in fixed point; its precision is relative, so tiny results are not asked for here. */
function result(at: number): bigint {
  const m = (view.getBigUint64(at, true) << 64n) | view.getBigUint64(at + 8, true);
  const shift = BigInt(view.getInt32(at + 20, true) - 0x3fff - 127) + BITS;
  const value = shift >= 0n ? m << shift : m >> -shift;
  return view.getUint32(at + 16, true) !== 0 ? -value : value;
}

function fixed(x: Extended): bigint {
  const shift = BigInt((x.se & 0x7fff) - 0x3fff - 63) + BITS;
  const value = shift >= 0n ? x.m << shift : x.m >> -shift;
  return (x.se & 0x8000) !== 0 ? -value : value;
}

function series(first: bigint, next: (term: bigint, n: bigint) => bigint): bigint {
  let sum = 0n;
  let term = first;
  for (let n = 1n; term !== 0n && term !== -1n; n++) {
    sum += term;
    term = next(term, n);
  }
  return sum;
}

const exponential = (x: bigint): bigint => {
  // e^x = (e^(x/256))^256
  let value = series(ONE, (term, n) => multiply(term, x >> 8n) / n);
  for (let n = 0; n < 8; n++) value = multiply(value, value);
  return value;
};
/** Newton's iteration on the exponential. */
function logarithm(x: bigint): bigint {
  let y = BigInt(Math.round(Math.log(Number(x) / Number(ONE)) * 2 ** 52)) << (BITS - 52n);
  for (let n = 0; n < 4; n++) {
    const e = exponential(y);
    y += (2n * (x - e) * ONE) / (x + e);
  }
  return y;
}
const sine = (x: bigint): bigint => series(x, (term, n) => -multiply(multiply(term, x), x) / (2n * n * (2n * n + 1n)));
const cosine = (x: bigint): bigint =>
  series(ONE, (term, n) => -multiply(multiply(term, x), x) / ((2n * n - 1n) * 2n * n));
/** Newton's iteration on tangent: a + (y − x tan a)/(x + y tan a) cos² …, by sine and cosine. */
function angle(y: bigint, x: bigint): bigint {
  let a = BigInt(Math.round(Math.atan2(Number(y), Number(x)) * 2 ** 50)) << (BITS - 50n);
  for (let n = 0; n < 4; n++) {
    const [s, c] = [sine(a), cosine(a)];
    const across = multiply(y, c) - multiply(x, s);
    const along = multiply(x, c) + multiply(y, s);
    a += (across << BITS) / along;
  }
  return a;
}
const LN2 = logarithm(2n * ONE);
/** π of 66 bits, as the instructions reduce by. */
const HALF_PI_66 = 0x3_243f_6a88_85a3_08d3n << (BITS - 65n);

/** Bits of agreement, relative to the expected value. */
function agreement(actual: bigint, expected: bigint): number {
  const error = actual - expected;
  const size = (n: bigint) => (n < 0n ? -n : n).toString(2).length;
  return error === 0n ? 200 : size(expected) - size(error);
}

/** A deterministic generator of numbers below 2^32. */
let state = 1;
const random = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return (state ^ (state >>> 15)) >>> 0;
};
const mantissa = () => (1n << 63n) | (BigInt(random()) << 31n) | BigInt(random() >>> 1);
const number = (low: number, high: number, isSigned = true): Extended => ({
  m: mantissa(),
  se: (isSigned && random() & 1 ? 0x8000 : 0) | (0x3fff + low + (random() % (high - low + 1))),
});

const ROUNDS = 150;
const GOOD = 92;

function compare(kind: number, a: () => Extended, b: () => Extended, expected: (a: bigint, b: bigint) => bigint): void {
  let worst = 1000;
  for (let n = 0; n < ROUNDS; n++) {
    const [x, y] = [a(), b()];
    put(OPERAND_A, x);
    put(OPERAND_B, y);
    evaluate(kind, i32, u32);
    worst = Math.min(worst, agreement(result(RESULT_A), expected(fixed(x), fixed(y))));
  }
  expect(worst).toBeGreaterThan(GOOD);
}

const none = (): Extended => ({ m: 1n << 63n, se: 0x3fff });

describe("functions are good to more than 92 bits", () => {
  test("2^x − 1", () => {
    compare(
      transcendental.f2xm1,
      () => number(-60, -1),
      none,
      (x) => exponential(multiply(x, LN2)) - ONE,
    );
  });
  test("y·log2(x)", () => {
    const of = (x: bigint, y: bigint) => (multiply(logarithm(x), y) * ONE) / LN2;
    compare(
      transcendental.fyl2x,
      () => number(-20, 20, false),
      () => number(-20, 10),
      of,
    );
    // Next to 1 the result is small and must be as good.
    const near = (): Extended =>
      random() & 1
        ? { m: (1n << 63n) | BigInt(random()), se: 0x3fff }
        : { m: (1n << 64n) - BigInt(random()) - 1n, se: 0x3ffe };
    compare(transcendental.fyl2x, near, () => number(-20, 10), of);
  });
  test("y·log2(1 + x)", () => {
    compare(
      transcendental.fyl2xp1,
      () => number(-60, -3),
      () => number(-20, 10),
      (x, y) => (multiply(logarithm(ONE + x), y) * ONE) / LN2,
    );
  });
  test("the angle of a vector in all quadrants", () => {
    compare(
      transcendental.fpatan,
      () => number(-30, 30),
      () => number(-30, 30),
      (x, y) => angle(y, x),
    );
  });
  /** The function of the angle in the instructions' sense: the 66-bit π taken for the true one. */
  const turned = (x: bigint, quarters: bigint): bigint => {
    const doubled = 2n * x + HALF_PI_66;
    const floor = doubled / (2n * HALF_PI_66) - (doubled < 0n ? 1n : 0n);
    const rest = x - floor * HALF_PI_66;
    const values = [sine(rest), cosine(rest), -sine(rest), -cosine(rest)];
    return values[Number((floor + quarters) & 3n)];
  };
  const large = () => number(-20, 62);
  test("sine and cosine over the whole range", () => {
    compare(transcendental.fsin, large, none, (x) => turned(x, 0n));
    compare(transcendental.fcos, large, none, (x) => turned(x, 1n));
  });
  test("tangent", () => {
    compare(transcendental.fptan, large, none, (x) => (turned(x, 0n) * ONE) / turned(x, 1n));
  });
  test("both at once", () => {
    const x = number(0, 10);
    put(OPERAND_A, x);
    evaluate(transcendental.fsincos, i32, u32);
    expect(agreement(result(RESULT_A), turned(fixed(x), 0n))).toBeGreaterThan(GOOD);
    expect(agreement(result(RESULT_B), turned(fixed(x), 1n))).toBeGreaterThan(GOOD);
  });
});

describe("the ends of the range", () => {
  test("a logarithm of a power of two is exact", () => {
    put(OPERAND_A, { m: 1n << 63n, se: 0x3fff + 5 });
    put(OPERAND_B, { m: 3n << 62n, se: 0x3fff });
    evaluate(transcendental.fyl2x, i32, u32);
    expect(result(RESULT_A)).toBe((15n * ONE) / 2n);
  });
  test("denormals and far exponents give normal mantissas", () => {
    for (const kind of Object.values(transcendental)) {
      for (const se of [0, 1, 0x3f00, 0x8000, 0x8001]) {
        const x = kind === transcendental.fyl2x ? { m: 5n, se: se & 0x7fff } : { m: 5n, se };
        put(OPERAND_A, x);
        put(OPERAND_B, { m: mantissa(), se: 0x7ffe });
        evaluate(kind, i32, u32);
        expect(view.getBigUint64(RESULT_A, true) >> 63n, `${kind} ${se}`).toBe(1n);
      }
    }
  });
});
