/**
 * Double-double arithmetic (Dekker 1971; Knuth, TAOCP 4.2.2): a value is the exact sum of two doubles, about 106 bits. Values
 * stand in numbered slots of one typed array, so that nothing is allocated. Products are good to about 2^-102 relative,
 * for operands far from the limits of the double range.
 */

const SLOTS = 512;
const pairs = new Float64Array(SLOTS * 2);
let used = 0;

/** Takes `count` slots for good; answers the first. */
export function slots(count = 1): number {
  const first = used;
  used += count;
  if (used > SLOTS) throw new Error("double-double: out of slots");
  return first;
}

export function set(out: number, high: number, low = 0): void {
  pairs[out * 2] = high;
  pairs[out * 2 + 1] = low;
}

export const high = (a: number): number => pairs[a * 2];
export const low = (a: number): number => pairs[a * 2 + 1];

export function copy(out: number, a: number): void {
  pairs[out * 2] = pairs[a * 2];
  pairs[out * 2 + 1] = pairs[a * 2 + 1];
}

export function negate(out: number, a: number): void {
  pairs[out * 2] = -pairs[a * 2];
  pairs[out * 2 + 1] = -pairs[a * 2 + 1];
}

/** Times a power of two (or any factor that makes no rounding). */
export function scale(out: number, a: number, factor: number): void {
  pairs[out * 2] = pairs[a * 2] * factor;
  pairs[out * 2 + 1] = pairs[a * 2 + 1] * factor;
}

export function add(out: number, a: number, b: number): void {
  const ah = pairs[a * 2];
  const al = pairs[a * 2 + 1];
  const bh = pairs[b * 2];
  const bl = pairs[b * 2 + 1];
  const s = ah + bh;
  const v = s - ah;
  const e = ah - (s - v) + (bh - v);
  const t = al + bl;
  const w = t - al;
  const f = al - (t - w) + (bl - w);
  const c = e + t;
  const h = s + c;
  const d = c - (h - s) + f;
  const r = h + d;
  pairs[out * 2] = r;
  pairs[out * 2 + 1] = d - (r - h);
}

export function subtract(out: number, a: number, b: number): void {
  const bh = pairs[b * 2];
  const bl = pairs[b * 2 + 1];
  const t = slotForSubtract;
  pairs[t * 2] = -bh;
  pairs[t * 2 + 1] = -bl;
  add(out, a, t);
}

/** Adds one double. */
export function addDouble(out: number, a: number, b: number): void {
  const ah = pairs[a * 2];
  const s = ah + b;
  const v = s - ah;
  const e = ah - (s - v) + (b - v) + pairs[a * 2 + 1];
  const r = s + e;
  pairs[out * 2] = r;
  pairs[out * 2 + 1] = e - (r - s);
}

const SPLIT = 134217729;

export function multiply(out: number, a: number, b: number): void {
  const ah = pairs[a * 2];
  const bh = pairs[b * 2];
  const p = ah * bh;
  let t = SPLIT * ah;
  const a1 = t - (t - ah);
  const a2 = ah - a1;
  t = SPLIT * bh;
  const b1 = t - (t - bh);
  const b2 = bh - b1;
  const e = a1 * b1 - p + a1 * b2 + a2 * b1 + a2 * b2 + (ah * pairs[b * 2 + 1] + pairs[a * 2 + 1] * bh);
  const r = p + e;
  pairs[out * 2] = r;
  pairs[out * 2 + 1] = e - (r - p);
}

/** Times one double. */
export function multiplyDouble(out: number, a: number, b: number): void {
  const t = slotForSubtract;
  pairs[t * 2] = b;
  pairs[t * 2 + 1] = 0;
  multiply(out, a, t);
}

export function divide(out: number, a: number, b: number): void {
  const bh = pairs[b * 2];
  const q1 = pairs[a * 2] / bh;
  multiplyDouble(slotForDivide, b, q1);
  subtract(slotForDivide, a, slotForDivide);
  const q2 = pairs[slotForDivide * 2] / bh;
  // One more digit makes up for the rounding of the second.
  const rest = slotForDivide;
  const product = slotForDivide2;
  multiplyDouble(product, b, q2);
  subtract(rest, rest, product);
  const q3 = pairs[rest * 2] / bh;
  const s = q1 + q2;
  const e = q2 - (s - q1) + q3;
  const r = s + e;
  pairs[out * 2] = r;
  pairs[out * 2 + 1] = e - (r - s);
}

const slotForSubtract = slots();
const slotForDivide = slots();
const slotForDivide2 = slots();

/**
 * out = c[first] + x·(c[first+1] + x·(… c[first+count−1])). From coefficient `plain` on doubles do: what they are together must be
 * below 2^-45 of the whole. Here `multiply` and `add` stand with their values in variables, as most of the time goes here.
 */
export function polynomial(out: number, x: number, first: number, count: number, plain: number): void {
  const xh = pairs[x * 2];
  const xl = pairs[x * 2 + 1];
  let rest = pairs[(first + count - 1) * 2];
  for (let n = count - 2; n >= plain; n--) rest = rest * xh + pairs[(first + n) * 2];
  const split = SPLIT * xh;
  const x1 = split - (split - xh);
  const x2 = xh - x1;
  let h = rest;
  let l = 0;
  for (let n = plain - 1; n >= 0; n--) {
    const p = h * xh;
    const t = SPLIT * h;
    const h1 = t - (t - h);
    const h2 = h - h1;
    const e = h1 * x1 - p + h1 * x2 + h2 * x1 + h2 * x2 + (h * xl + l * xh);
    const mh = p + e;
    const ml = e - (mh - p);
    const ch = pairs[(first + n) * 2];
    const cl = pairs[(first + n) * 2 + 1];
    // The coefficient is the larger one by far.
    const s = ch + mh;
    const r = mh - (s - ch) + (cl + ml);
    h = s + r;
    l = r - (h - s);
  }
  pairs[out * 2] = h;
  pairs[out * 2 + 1] = l;
}

const bits = new DataView(new ArrayBuffer(8));

/** 2^n for −1022 ≤ n ≤ 1023. */
export function powerOfTwo(n: number): number {
  bits.setInt32(0, (n + 1023) << 20);
  bits.setInt32(4, 0);
  return bits.getFloat64(0);
}

/** Exponent of a normal double: 2^e ≤ |x| < 2^(e+1). */
export function exponent(x: number): number {
  bits.setFloat64(0, x);
  return ((bits.getInt32(0) >>> 20) & 0x7ff) - 1023;
}
