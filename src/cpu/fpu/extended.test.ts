/**
 * The library's sums, products, quotients and square roots against exact rational arithmetic in BigInt, for every precision
 * and rounding control; and what NaNs, infinities and stack of exceptions do. The host's view: tests/cpu/x87.test.ts.
 */
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { CoreImports, helperArity } from "../interpreter/imports.ts";
import { library } from "../interpreter/library.ts";
import * as L from "../layout.ts";
import { ModuleWriter } from "../wasm/writer.ts";
import { DE, IE, OE, PE, SUPPRESSED, UE, X87_FLAGS, X87_SE, ZE } from "./extended.ts";
import { x87Functions } from "./libraries.ts";

let functions: Record<string, (...args: (bigint | number)[]) => bigint | number>;
let words: Int32Array;

beforeAll(async () => {
  const writer = new ModuleWriter(1);
  const imports = new CoreImports(writer);
  library(x87Functions)(writer, imports);
  for (const f of x87Functions) writer.exportFunction(f.name, imports.library(f.name));
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const env: Record<string, WebAssembly.Memory | (() => number)> = { memory };
  for (const name of Object.keys(helperArity)) env[name] = () => 0;
  const module = await WebAssembly.compile(writer.finish());
  functions = new WebAssembly.Instance(module, { env }).exports as typeof functions;
  words = new Int32Array(memory.buffer);
});

const setControl = (value: number) => {
  words[L.FPU_CONTROL >> 2] = value;
};
const status = () => words[L.FPU_STATUS >> 2];

beforeEach(() => {
  words[L.FPU_STATUS >> 2] = 0;
  setControl(0x37f);
});

interface Extended {
  readonly m: bigint;
  readonly se: number;
}

/** Calls a function of values and gives its value. */
function call(name: string, ...operands: (Extended | number)[]): Extended {
  const m = functions[name](...operands.flatMap((x) => (typeof x === "number" ? [x] : [BigInt.asIntN(64, x.m), x.se])));
  return { m: BigInt.asUintN(64, m as bigint), se: words[X87_SE >> 2] };
}

const TOP = 1n << 63n;
const ONE: Extended = { m: TOP, se: 0x3fff };
const INFINITY: Extended = { m: TOP, se: 0x7fff };
const ZERO: Extended = { m: 0n, se: 0 };
const INDEFINITE: Extended = { m: 3n << 62n, se: 0xffff };
const negative = (x: Extended): Extended => ({ m: x.m, se: x.se ^ 0x8000 });

/** A deterministic generator of numbers below 2^32. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state ^ (state >>> 15)) >>> 0;
  };
}

/** Rounds numerator/denominator · 2^e with PC and RC as the control word has them; all exceptions masked. */
function roundExact(sign: number, numerator: bigint, denominator: bigint, e: number, control: number): Extended {
  const precision = [24, 64, 53, 64][(control >> 8) & 3];
  const rc = (control >> 10) & 3;
  // Scale so that the quotient has many bits, then cut.
  const EXTRA = 200n;
  let value = (numerator << EXTRA) / denominator;
  const isCut = (numerator << EXTRA) % denominator !== 0n;
  let exponent = e - Number(EXTRA);
  let bits = value.toString(2).length;
  // Exponent of the leading bit, biased.
  let biased = exponent + bits - 1 + 0x3fff;
  let drop = bits - precision;
  if (biased < 1) drop += 1 - biased;
  if (drop < 1) throw new Error("model: not enough bits");
  const unit = 1n << BigInt(drop);
  const rest = value % unit;
  const half = unit >> 1n;
  value -= rest;
  const isInexact = rest !== 0n || isCut;
  const isOdd = (value >> BigInt(drop)) % 2n === 1n;
  const isUp =
    rc === 0
      ? rest > half || (rest === half && (isCut || isOdd))
      : isInexact && ((rc === 1 && sign !== 0) || (rc === 2 && sign === 0));
  if (isUp) value += unit;
  if (value === 0n) return { m: 0n, se: sign };
  bits = value.toString(2).length;
  biased = exponent + bits - 1 + 0x3fff;
  if (biased >= 0x7fff) {
    const toInfinity = rc === 0 || (rc === 1 && sign !== 0) || (rc === 2 && sign === 0);
    return toInfinity
      ? { m: TOP, se: sign | 0x7fff }
      : { m: ((1n << BigInt(precision)) - 1n) << BigInt(64 - precision), se: sign | 0x7ffe };
  }
  if (biased < 1) {
    // The mantissa's unit is 2^(1 − 3FFFh − 63).
    exponent += 0x3ffe + 63;
    return { m: value >> BigInt(-exponent), se: sign };
  }
  return { m: bits > 64 ? value >> BigInt(bits - 64) : value << BigInt(64 - bits), se: sign | biased };
}

const controls = [0, 1, 2, 3].flatMap((rc) => [0, 2, 3].map((pc) => 0x7f | (pc << 8) | (rc << 10)));

function operand(random: () => number): Extended {
  const kinds: bigint[] = [
    (BigInt(random()) << 32n) | BigInt(random()),
    0n,
    (1n << 64n) - 1n - BigInt(random() % 4),
    BigInt(random() % 4),
    1n << BigInt(random() % 63),
    0x7ffn << BigInt(random() % 40),
  ];
  const fraction = kinds[random() % kinds.length];
  const ranges = [0x3fff - 60 + (random() % 120), 1 + (random() % 70), 0x7ffe - (random() % 70), random() % 0x7fff];
  const exponent = ranges[random() % 5 > 1 ? 0 : random() % 4];
  const m = BigInt.asUintN(64, exponent === 0 ? fraction & ~TOP : fraction | TOP);
  return { m, se: (random() & 1 ? 0x8000 : 0) | exponent };
}

const exponentOf = (x: Extended) => ((x.se & 0x7fff) === 0 ? 1 : x.se & 0x7fff) - 0x3fff - 63;
const signed = (x: Extended) => ((x.se & 0x8000) !== 0 ? -x.m : x.m);

describe("results are the exact ones, rounded", () => {
  const random = createRandom(387);
  const ROUNDS = 4000;

  test("sums and differences", () => {
    for (let n = 0; n < ROUNDS; n++) {
      const control = controls[n % controls.length];
      setControl(control);
      const x = operand(random);
      let y = operand(random);
      // Far exponents would make the model's numbers long.
      if (n % 3 === 0) y = { m: y.m | TOP, se: (y.se & 0x8000) | Math.max(1, (x.se & 0x7fff) - (random() % 66)) };
      if (Math.abs((x.se & 0x7fff) - (y.se & 0x7fff)) > 400) continue;
      const flip = random() & 1 ? 0x8000 : 0;
      const e = Math.min(exponentOf(x), exponentOf(y));
      const b = flip ? negative(y) : y;
      const sum = (signed(x) << BigInt(exponentOf(x) - e)) + (signed(b) << BigInt(exponentOf(b) - e));
      const actual = call("x87-add", x, y, flip);
      if (sum === 0n) {
        const isNegativeZero = x.m === 0n && y.m === 0n && (x.se & 0x8000) === (b.se & 0x8000) ? x.se & 0x8000 : -1;
        const byMode = ((control >> 10) & 3) === 1 ? 0x8000 : 0;
        expect(actual).toEqual({ m: 0n, se: isNegativeZero < 0 ? byMode : isNegativeZero });
        continue;
      }
      const magnitude = sum < 0n ? -sum : sum;
      expect(actual, `${n}`).toEqual(roundExact(sum < 0n ? 0x8000 : 0, magnitude, 1n, e, control));
    }
  });

  test("products", () => {
    for (let n = 0; n < ROUNDS; n++) {
      const control = controls[n % controls.length];
      setControl(control);
      const [x, y] = [operand(random), operand(random)];
      const sign = (x.se ^ y.se) & 0x8000;
      const actual = call("x87-mul", x, y);
      if (x.m === 0n || y.m === 0n) expect(actual).toEqual({ m: 0n, se: sign });
      else expect(actual, `${n}`).toEqual(roundExact(sign, x.m * y.m, 1n, exponentOf(x) + exponentOf(y), control));
    }
  });

  test("quotients", () => {
    for (let n = 0; n < ROUNDS; n++) {
      const control = controls[n % controls.length];
      setControl(control);
      const [x, y] = [operand(random), operand(random)];
      if (x.m === 0n || y.m === 0n) continue;
      const sign = (x.se ^ y.se) & 0x8000;
      expect(call("x87-div", x, y), `${n}`).toEqual(roundExact(sign, x.m, y.m, exponentOf(x) - exponentOf(y), control));
    }
  });

  test("square roots", () => {
    for (let n = 0; n < ROUNDS; n++) {
      const control = controls[n % controls.length];
      setControl(control);
      const x = operand(random);
      const positive = { m: x.m, se: x.se & 0x7fff };
      if (positive.m === 0n) continue;
      // An even exponent, 400 bits more; what is cut off the root counts as one bit below.
      const e = exponentOf(positive);
      const odd = BigInt(e & 1);
      const radicand = positive.m << (400n + odd);
      let root = 1n << BigInt((radicand.toString(2).length >> 1) + 1);
      for (;;) {
        const next = (root + radicand / root) >> 1n;
        if (next >= root) break;
        root = next;
      }
      const below = root * root === radicand ? 0n : 1n;
      const scaled = roundExact(0, root * 2n + below, 1n, (e - Number(odd)) / 2 - 201, control);
      expect(call("x87-sqrt", positive), `${n}`).toEqual(scaled);
    }
  });
});

describe("exceptions", () => {
  test("invalid operations give the default NaN", () => {
    expect(call("x87-add", INFINITY, INFINITY, 0x8000)).toEqual(INDEFINITE);
    expect(call("x87-mul", INFINITY, ZERO)).toEqual(INDEFINITE);
    expect(call("x87-div", ZERO, ZERO)).toEqual(INDEFINITE);
    expect(call("x87-sqrt", negative(ONE))).toEqual(INDEFINITE);
    expect(status()).toBe(IE);
  });

  test("an unmasked one keeps the result back and sets the summary", () => {
    setControl(0x37e);
    expect(call("x87-div", ZERO, ZERO).se).toBe(SUPPRESSED);
    expect(status()).toBe(0x8080 | IE);
  });

  test("unnormals are invalid, pseudo-denormals are denormals", () => {
    expect(call("x87-add", { m: 1n, se: 0x3fff }, ONE, 0)).toEqual(INDEFINITE);
    expect(status()).toBe(IE);
    expect(call("x87-mul", { m: TOP, se: 0 }, ONE)).toEqual({ m: TOP, se: 1 });
    expect(status()).toBe(IE | DE);
  });

  test("division by zero", () => {
    expect(call("x87-div", negative(ONE), ZERO)).toEqual(negative(INFINITY));
    expect(status()).toBe(ZE);
  });

  test("unmasked overflow and underflow move the exponent by 24576", () => {
    setControl(0x367);
    const large = { m: TOP, se: 0x7ffe };
    expect(call("x87-mul", large, large)).toEqual({ m: TOP, se: 0x7ffe * 2 - 0x3fff - 0x6000 });
    const small = { m: TOP, se: 1 };
    expect(call("x87-mul", small, small)).toEqual({ m: TOP, se: 2 - 0x3fff + 0x6000 });
    expect(status()).toBe(0x8080 | OE | UE);
  });

  test("of two NaNs the one with the larger significand, made quiet", () => {
    const quiet = { m: TOP | (1n << 62n) | 5n, se: 0x7fff };
    const signaling = { m: TOP | 9n, se: 0xffff };
    expect(call("x87-add", quiet, signaling, 0)).toEqual(quiet);
    expect(status()).toBe(IE);
    expect(call("x87-add", ONE, signaling, 0)).toEqual({ m: signaling.m | (1n << 62n), se: 0xffff });
  });

  test("conversions leave theirs aside until the store is done", () => {
    call("x87-to-integer", { m: TOP, se: 0x4010 }, 16);
    expect(words[X87_FLAGS >> 2]).toBe(IE);
    call("x87-to-single", { m: TOP | 1n, se: 0x3fff });
    expect(words[X87_FLAGS >> 2]).toBe(PE);
    expect(status()).toBe(0);
  });
});
