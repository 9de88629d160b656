/**
 * Constants and tables of the transcendental functions, to the precision of double-doubles, computed in 256-bit fixed point
 * when first needed.
 */
import { set, slots } from "./double-double.ts";

const BITS = 256n;
const ONE = 1n << BITS;
/** Fixed point to a double-double slot. */
function store(slot: number, value: bigint): void {
  const scale = 2 ** Number(BITS);
  const high = Number(value) / scale;
  const rest = value - BigInt(high * scale);
  set(slot, high, Number(rest) / scale);
}

const multiply = (a: bigint, b: bigint): bigint => (a * b) >> BITS;

/** Σ ± t^(2k+1) / (2k+1): atanh for sign 1, atan for −1. |t| well below 1. */
function arcSeries(t: bigint, sign: 1n | -1n): bigint {
  const square = multiply(t, t);
  let power = t;
  let sum = 0n;
  for (let k = 0n; power !== 0n && power !== -1n; k++) {
    const term = power / (2n * k + 1n);
    sum += sign === 1n || k % 2n === 0n ? term : -term;
    power = multiply(power, square);
  }
  return sum;
}

function squareRoot(value: bigint): bigint {
  const target = value << BITS;
  let x = ONE << 1n;
  for (;;) {
    const next = (x + target / x) >> 1n;
    if (next >= x) return x;
    x = next;
  }
}

/** ln of the ratio a/b near 1. */
const logRatio = (a: bigint, b: bigint): bigint => 2n * arcSeries(((a - b) * ONE) / (a + b), 1n);

/** atan of a fixed-point number up to 1, halving the angle twice. */
function arcTangent(x: bigint): bigint {
  let t = x;
  for (let n = 0; n < 2; n++) t = (t << BITS) / (ONE + squareRoot(ONE + multiply(t, t)));
  return 4n * arcSeries(t, -1n);
}

export const LN2 = slots();
export const LOG2_E = slots();
export const TWO_LOG2_E = slots();
export const HALF_PI = slots();
export const PI = slots();
/** π/4 and 3π/4. */
export const QUARTER_PI = slots();
export const THREE_QUARTERS_PI = slots();
/** atan(i/32), i = 0…32. */
export const ARC_TANGENTS = slots(33);
/** log2(i/32), i = 22…46; index from LOG2_FIRST. */
export const LOG2_FIRST = 22;
export const LOG2_LAST = 46;
export const LOGARITHMS = slots(LOG2_LAST - LOG2_FIRST + 1);
/** 2^(i/32), and 2^(i/32) − 1, i = −32…32. */
export const POWERS = slots(65);
export const POWERS_MINUS_1 = slots(65);
/** 1/(2k+1), and the same with alternating signs. */
export const ODD_RECIPROCALS = slots(14);
export const ODD_RECIPROCALS_ALTERNATING = slots(14);
/** ±1/(2k+1)!, ±1/(2k)!; 1/(k+1)!. */
export const SINE = slots(15);
export const COSINE = slots(15);
export const EXPONENTIAL = slots(16);

let isReady = false;

/** Fills the tables; to be called before anything else of them is used. */
export function prepareConstants(): void {
  if (isReady) return;
  isReady = true;
  // ln 2 = 2 atanh(1/3)
  const ln2 = logRatio(2n, 1n);
  store(LN2, ln2);
  store(LOG2_E, (ONE * ONE) / ln2);
  store(TWO_LOG2_E, (2n * ONE * ONE) / ln2);
  const quarterPi = arcTangent(ONE);
  store(QUARTER_PI, quarterPi);
  store(HALF_PI, quarterPi * 2n);
  store(THREE_QUARTERS_PI, quarterPi * 3n);
  store(PI, quarterPi * 4n);
  for (let i = 0; i <= 32; i++) store(ARC_TANGENTS + i, arcTangent((BigInt(i) * ONE) / 32n));
  for (let i = LOG2_FIRST; i <= LOG2_LAST; i++)
    store(LOGARITHMS + i - LOG2_FIRST, (logRatio(BigInt(i), 32n) * ONE) / ln2);
  let root = ONE * 2n;
  for (let n = 0; n < 5; n++) root = squareRoot(root);
  let power = ONE / 2n;
  for (let i = -32; i <= 32; i++) {
    // Powers that are exact must be so.
    const value = i === -32 ? ONE / 2n : i === 0 ? ONE : i === 32 ? ONE * 2n : power;
    store(POWERS + i + 32, value);
    store(POWERS_MINUS_1 + i + 32, value - ONE);
    power = multiply(value, root);
  }
  for (let k = 0; k < 14; k++) {
    const value = ONE / BigInt(2 * k + 1);
    store(ODD_RECIPROCALS + k, value);
    store(ODD_RECIPROCALS_ALTERNATING + k, k % 2 === 0 ? value : -value);
  }
  let factorial = 1n;
  for (let n = 1; n <= 31; n++) {
    // Here factorial = (n − 1)!.
    const even = (n - 1) % 2 === 0;
    const index = (n - 1) >> 1;
    const value = ONE / factorial;
    if (index < 15) store((even ? COSINE : SINE) + index, index % 2 === 0 ? value : -value);
    if (n >= 2 && n - 2 < 16) store(EXPONENTIAL + n - 2, value);
    factorial *= BigInt(n);
  }
}
