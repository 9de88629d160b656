/**
 * F2XM1, FYL2X, FYL2XP1, FPTAN, FPATAN, FSIN, FCOS, FSINCOS on double-extended numbers: table-driven reduction and Taylor
 * series in double-double arithmetic, about 100 bits, of which the caller rounds 64 (SDM volume 1, 8.3.10: Intel's are
 * within one unit in the last place). Angles are reduced by Intel's 66-bit π.
 *
 * Zeros, infinities, NaNs, denormal flags and stack are the caller's (extended-transcendental.ts). Operands and results
 * stand in the scratch area.
 */
import * as L from "../layout.ts";
import * as dd from "./double-double.ts";
import * as K from "./transcendental-constants.ts";

/** Numbers of the functions. */
export const transcendental = {
  f2xm1: 0,
  fyl2x: 1,
  fptan: 2,
  fpatan: 3,
  fyl2xp1: 4,
  fsincos: 5,
  fsin: 6,
  fcos: 7,
} as const;

/** Operands: ST(0), ST(1): mantissa (u64, any but 0), sign and exponent (u32). */
export const OPERAND_A = L.SCRATCH + 0x2a0;
export const OPERAND_B = L.SCRATCH + 0x2b0;
/** Results: u64 mantissa with the top bit set, u64 fraction below it, u32 sign (0, 8000h), i32 exponent (biased, any). */
export const RESULT_A = L.SCRATCH + 0x2c0;
export const RESULT_B = L.SCRATCH + 0x2d8;

/** Beyond 2^±70 the next term of a series is below all that is rounded. */
const FAR = 70;
/** π·2^64 as Intel has it: 66 bits. */
const PI_66 = 0x3_243f_6a88_85a3_08d3n;
/** Angles below 2^(NEAR + 1) are reduced without big integers: π/2 in three parts of 22 bits. */
const NEAR = 19;
const TWO_OVER_PI = 2 / Math.PI;
const HALF_PI_HIGH = Number(PI_66 >> 44n) * 2 ** -21;
const HALF_PI_LOWER = [Number((PI_66 >> 22n) & 0x3fffffn) * 2 ** -43, Number(PI_66 & 0x3fffffn) * 2 ** -65];

const x = dd.slots();
const y = dd.slots();
const t = dd.slots();
const u = dd.slots();
const v = dd.slots();
const w = dd.slots();
const ONE = dd.slots();
dd.set(ONE, 1);

/** Unbiased exponents of the operands loaded into x and y, whose values are in ±[1, 2). */
const exponents = new Int32Array(2);
/** Signs (0 or 1). */
const signs = new Int32Array(2);

/** Evaluates one function on the operands in memory. */
export function evaluate(kind: number, i32: Int32Array, u32: Uint32Array): void {
  K.prepareConstants();
  switch (kind) {
    case transcendental.f2xm1:
      load(u32, OPERAND_A, x, 0);
      exponentialMinusOne(u32, i32);
      break;
    case transcendental.fyl2x:
      load(u32, OPERAND_A, x, 0);
      load(u32, OPERAND_B, y, 1);
      logarithm(t, x, exponents[0]);
      dd.multiply(t, t, y);
      store(i32, u32, RESULT_A, t, exponents[1], isPowerOfTwo(u32, OPERAND_A));
      break;
    case transcendental.fyl2xp1:
      load(u32, OPERAND_A, x, 0);
      load(u32, OPERAND_B, y, 1);
      logarithmPlusOne(i32, u32);
      break;
    case transcendental.fpatan:
      load(u32, OPERAND_A, x, 0);
      load(u32, OPERAND_B, y, 1);
      arcTangent(i32, u32);
      break;
    default:
      trigonometric(kind, i32, u32);
  }
}

/** Reads an operand: value in ±[1, 2) to `slot`, exponent and sign beside. Denormals are normalized. */
function load(u32: Uint32Array, operand: number, slot: number, n: number): void {
  let low = u32[operand >> 2];
  let high = u32[(operand >> 2) + 1];
  const se = u32[(operand >> 2) + 2];
  let e = (se & 0x7fff) === 0 ? 1 : se & 0x7fff;
  if (high === 0) {
    high = low;
    low = 0;
    e -= 32;
  }
  const shift = Math.clz32(high);
  if (shift > 0) {
    high = ((high << shift) | (low >>> (32 - shift))) >>> 0;
    low = (low << shift) >>> 0;
    e -= shift;
  }
  exponents[n] = e - 0x3fff;
  signs[n] = (se >> 15) & 1;
  const h = high * 2 ** -31;
  const l = low * 2 ** -63;
  const sum = h + l;
  const rest = l - (sum - h);
  if (signs[n] === 1) dd.set(slot, -sum, -rest);
  else dd.set(slot, sum, rest);
}

function isPowerOfTwo(u32: Uint32Array, operand: number): boolean {
  const low = u32[operand >> 2];
  const high = u32[(operand >> 2) + 1];
  return low === 0 ? (high & (high - 1)) === 0 : high === 0 && (low & (low - 1)) === 0;
}

/** Writes slot · 2^scale as a result. Not exact: something always remains below the fraction. */
function store(i32: Int32Array, u32: Uint32Array, result: number, slot: number, scale: number, isExact: boolean): void {
  const high = dd.high(slot);
  const isNegative = high < 0;
  let e = dd.exponent(high);
  const h = Math.abs(high) * dd.powerOfTwo(52 - e);
  // Bits below the first 53: eleven of the mantissa, the rest a fraction.
  const below = (isNegative ? -dd.low(slot) : dd.low(slot)) * dd.powerOfTwo(63 - e);
  const whole = Math.floor(below);
  let fraction = below - whole;
  if (fraction >= 1) fraction = 1 - 2 ** -53;
  let mh = Math.floor(h * 2 ** -21);
  let ml = (h - mh * 2 ** 21) * 2 ** 11 + whole;
  if (ml < 0) {
    ml += 2 ** 32;
    mh--;
  } else if (ml >= 2 ** 32) {
    ml -= 2 ** 32;
    mh++;
  }
  if (mh >= 2 ** 32) {
    mh = 2 ** 31;
    fraction /= 2;
    e++;
  } else if (mh < 2 ** 31) {
    fraction *= 2;
    const bit = Math.floor(fraction);
    fraction -= bit;
    mh = mh * 2 + (ml >= 2 ** 31 ? 1 : 0);
    ml = (ml * 2 + bit) % 2 ** 32;
    e--;
  }
  const f1 = Math.floor(fraction * 2 ** 32);
  const f0 = Math.floor((fraction * 2 ** 32 - f1) * 2 ** 32);
  const at = result >> 2;
  u32[at] = ml;
  u32[at + 1] = mh;
  u32[at + 2] = isExact ? f0 : f0 | 1;
  u32[at + 3] = f1;
  i32[at + 4] = isNegative ? 0x8000 : 0;
  i32[at + 5] = e + scale + 0x3fff;
}

// ---- exponential ---------------------------------------------------------------------------------------------------

/** 2^x − 1 for |x| ≤ 1. */
function exponentialMinusOne(u32: Uint32Array, i32: Int32Array): void {
  const e = exponents[0];
  if (e < -FAR) {
    dd.multiply(t, x, K.LN2);
    store(i32, u32, RESULT_A, t, e, false);
    return;
  }
  dd.scale(x, x, dd.powerOfTwo(e));
  const n = Math.round(dd.high(x) * 32);
  dd.addDouble(x, x, -n / 32);
  const isExact = dd.high(x) === 0;
  // expm1(z) = z·(1 + z/2! + …)
  dd.multiply(x, x, K.LN2);
  dd.polynomial(t, x, K.EXPONENTIAL, 14, 6);
  dd.multiply(t, t, x);
  dd.multiply(t, t, K.POWERS + n + 32);
  dd.add(t, t, K.POWERS_MINUS_1 + n + 32);
  store(i32, u32, RESULT_A, t, 0, isExact && n % 32 === 0);
}

// ---- logarithms ----------------------------------------------------------------------------------------------------

/** out = log2 of a positive number m·2^e, m in [1, 2); `a` holds m and is used up. */
function logarithm(out: number, a: number, e: number): void {
  let k = e;
  if (dd.high(a) > Math.SQRT2) {
    dd.scale(a, a, 0.5);
    k++;
  }
  const i = Math.round(dd.high(a) * 32);
  // (m − c) / (m + c)
  dd.addDouble(u, a, i / 32);
  dd.addDouble(a, a, -i / 32);
  dd.divide(u, a, u);
  arcHyperbolic(out, u);
  // Zero for c = 1, where the relative precision of small results counts.
  if (i !== 32) dd.add(out, out, K.LOGARITHMS + i - K.LOG2_FIRST);
  if (k !== 0) dd.addDouble(out, out, k);
}

/** out = 2 log2(e) atanh(a), |a| ≤ 1/64. */
function arcHyperbolic(out: number, a: number): void {
  dd.multiply(v, a, a);
  dd.polynomial(out, v, K.ODD_RECIPROCALS, 10, 4);
  dd.multiply(out, out, a);
  dd.multiply(out, out, K.TWO_LOG2_E);
}

/** y·log2(1 + x), x > −1. */
function logarithmPlusOne(i32: Int32Array, u32: Uint32Array): void {
  const e = exponents[0];
  let scale = exponents[1];
  if (e < -FAR) {
    dd.multiply(t, x, K.LOG2_E);
    scale += e;
  } else if (e < -6) {
    dd.scale(x, x, dd.powerOfTwo(e));
    dd.addDouble(u, x, 2);
    dd.divide(u, x, u);
    arcHyperbolic(t, u);
  } else if (e > FAR) logarithm(t, x, e);
  else {
    dd.scale(x, x, dd.powerOfTwo(e));
    dd.addDouble(x, x, 1);
    const sum = dd.exponent(dd.high(x));
    dd.scale(x, x, dd.powerOfTwo(-sum));
    logarithm(t, x, sum);
  }
  dd.multiply(t, t, y);
  store(i32, u32, RESULT_A, t, scale, false);
}

// ---- arc tangent ---------------------------------------------------------------------------------------------------

/** The angle of (x, y), y = ST(1), x = ST(0), neither zero. */
function arcTangent(i32: Int32Array, u32: Uint32Array): void {
  const distance = exponents[1] - exponents[0];
  const isLeft = signs[0] === 1;
  const isBelow = signs[1] === 1;
  if (isLeft) dd.negate(x, x);
  if (isBelow) dd.negate(y, y);
  let scale = 0;
  if (distance < -FAR) {
    // The quotient itself, or π less it.
    if (isLeft) {
      dd.copy(t, K.PI);
      dd.addDouble(t, t, -(2 ** -100));
    } else {
      dd.divide(t, y, x);
      scale = distance;
    }
  } else if (distance > FAR) {
    dd.copy(t, K.HALF_PI);
    dd.addDouble(t, t, isLeft ? 2 ** -100 : -(2 ** -100));
  } else {
    dd.scale(y, y, dd.powerOfTwo(distance));
    const isSteep = dd.high(y) > dd.high(x);
    const numerator = isSteep ? x : y;
    const denominator = isSteep ? y : x;
    const i = Math.round((dd.high(numerator) / dd.high(denominator)) * 32);
    // tan(a − b) = (n − c·d) / (d + c·n)
    const c = i / 32;
    dd.multiplyDouble(u, denominator, -c);
    dd.add(u, u, numerator);
    dd.multiplyDouble(v, numerator, c);
    dd.add(v, v, denominator);
    dd.divide(u, u, v);
    dd.multiply(v, u, u);
    dd.polynomial(t, v, K.ODD_RECIPROCALS_ALTERNATING, 10, 4);
    dd.multiply(t, t, u);
    if (i !== 0) dd.add(t, t, K.ARC_TANGENTS + i);
    if (isSteep) dd.subtract(t, K.HALF_PI, t);
    if (isLeft) dd.subtract(t, K.PI, t);
  }
  if (isBelow) dd.negate(t, t);
  store(i32, u32, RESULT_A, t, scale, false);
}

// ---- trigonometric functions -----------------------------------------------------------------------------------------

/** x reduced to ±π/4 of a multiple of π/2; answers that multiple's low two bits. |x| < 2^63 on entry. */
function reduceAngle(u32: Uint32Array): number {
  const e = exponents[0];
  // Up to π/4 as it is.
  if (e < -1 || (e === -1 && Math.abs(dd.high(x)) * 0.5 < Math.PI / 4)) {
    dd.scale(x, x, dd.powerOfTwo(e));
    return 0;
  }
  if (e <= NEAR) {
    reduceNear(e);
    return nearQuadrant;
  }
  const at = OPERAND_A >> 2;
  const mantissa = (BigInt(u32[at + 1]) << 32n) | BigInt(u32[at]);
  // In units of 2^-65 the angle is an integer, and π/2 is PI_66.
  const angle = mantissa << BigInt(e + 2);
  const quotient = (angle * 2n + PI_66) / (PI_66 * 2n);
  const rest = angle - quotient * PI_66;
  const high = Number(rest);
  const low = Number(rest - BigInt(high));
  let quadrant = Number(quotient & 3n);
  dd.set(x, high, low);
  dd.scale(x, x, 2 ** -65);
  if (signs[0] === 1) {
    dd.negate(x, x);
    quadrant = -quadrant & 3;
  }
  return quadrant;
}

let nearQuadrant = 0;

/** As `reduceAngle`, for exponents up to NEAR: each product and each sum here is exact, for all are multiples of 2^-65. */
function reduceNear(e: number): void {
  const factor = dd.powerOfTwo(e);
  const high = dd.high(x) * factor;
  const low = dd.low(x) * factor;
  const n = Math.round(high * TWO_OVER_PI);
  // high − n·part, part by part; `rest` collects what the sums leave.
  let sum = high - n * HALF_PI_HIGH;
  let rest = low;
  for (const part of HALF_PI_LOWER) {
    const product = -n * part;
    const s = sum + product;
    const v = s - sum;
    rest += sum - (s - v) + (product - v);
    sum = s;
  }
  const s = sum + rest;
  dd.set(x, s, rest - (s - sum));
  nearQuadrant = n & 3;
}

/** out = sin(x), |x| ≤ π/4. */
function sine(out: number): void {
  dd.multiply(v, x, x);
  dd.polynomial(out, v, K.SINE, 14, 7);
  dd.multiply(out, out, x);
}

function cosine(out: number): void {
  dd.multiply(v, x, x);
  dd.polynomial(out, v, K.COSINE, 15, 8);
}

function trigonometric(kind: number, i32: Int32Array, u32: Uint32Array): void {
  load(u32, OPERAND_A, x, 0);
  const e = exponents[0];
  if (e < -FAR) {
    // The angle itself and 1, however results are rounded, as hosts have it; tangents lie above the angle.
    if (kind === transcendental.fptan) {
      dd.addDouble(t, x, (signs[0] === 1 ? -1 : 1) * 2 ** -100);
      store(i32, u32, RESULT_A, t, e, false);
    } else if (kind !== transcendental.fcos) store(i32, u32, RESULT_A, x, e, true);
    if (kind === transcendental.fcos) store(i32, u32, RESULT_A, ONE, 0, true);
    if (kind === transcendental.fsincos) store(i32, u32, RESULT_B, ONE, 0, true);
    return;
  }
  const quadrant = reduceAngle(u32);
  if (kind === transcendental.fptan) {
    sine(t);
    cosine(w);
    if ((quadrant & 1) === 0) dd.divide(t, t, w);
    else {
      dd.divide(t, w, t);
      dd.negate(t, t);
    }
    store(i32, u32, RESULT_A, t, 0, false);
    return;
  }
  if (kind !== transcendental.fcos) quarterWave(i32, u32, RESULT_A, quadrant);
  if (kind === transcendental.fcos) quarterWave(i32, u32, RESULT_A, quadrant + 1);
  if (kind === transcendental.fsincos) quarterWave(i32, u32, RESULT_B, quadrant + 1);
}

/** sin(x + quadrant·π/2). */
function quarterWave(i32: Int32Array, u32: Uint32Array, result: number, quadrant: number): void {
  if ((quadrant & 1) === 0) sine(t);
  else cosine(t);
  if ((quadrant & 2) !== 0) dd.negate(t, t);
  store(i32, u32, result, t, 0, false);
}
