/** The library's arithmetic against results worked out by hand; the wide comparison with a host CPU is tests/cpu/sse-float.test.ts. */
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { CoreImports, helperArity } from "../interpreter/imports.ts";
import { library } from "../interpreter/library.ts";
import * as L from "../layout.ts";
import { ModuleWriter } from "../wasm/writer.ts";
import { FLOAT_FLAGS } from "./softfloat-format.ts";
import { softfloatFunctions } from "./softfloat-library.ts";

type Binary64 = (a: bigint, b: bigint) => bigint;
type Binary32 = (a: number, b: number) => number;

let functions: Record<string, (...args: never[]) => number | bigint>;
let words: Int32Array;

beforeAll(async () => {
  const writer = new ModuleWriter(1);
  const imports = new CoreImports(writer);
  library(softfloatFunctions)(writer, imports);
  for (const f of softfloatFunctions) writer.exportFunction(f.name, imports.library(f.name));
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const env: Record<string, WebAssembly.Memory | (() => number)> = { memory };
  for (const name of Object.keys(helperArity)) env[name] = () => 0;
  const module = await WebAssembly.compile(writer.finish());
  functions = new WebAssembly.Instance(module, { env }).exports as typeof functions;
  words = new Int32Array(memory.buffer);
});

beforeEach(() => {
  words[FLOAT_FLAGS >> 2] = 0;
  words[L.MXCSR >> 2] = 0x1f80;
});

const call64 = (name: string, a: bigint, b: bigint) =>
  BigInt.asUintN(64, (functions[`f64.${name}`] as unknown as Binary64)(a, b));
const call32 = (name: string, a: number, b: number) => (functions[`f32.${name}`] as unknown as Binary32)(a, b) >>> 0;
const flags = () => words[FLOAT_FLAGS >> 2];
const setMode = (mxcsr: number) => {
  words[L.MXCSR >> 2] = mxcsr;
};

const ONE = 0x3ff0000000000000n;
const TINY = 1n;
const MAX = 0x7fefffffffffffffn;
const INFINITY = 0x7ff0000000000000n;
const IE = 1;
const DE = 2;
const ZE = 4;
const OE = 8;
const UE = 16;
const PE = 32;

describe("rounding", () => {
  test("one plus the smallest denormal, in the four modes", () => {
    const results = [0x1f80, 0x3f80, 0x5f80, 0x7f80].map((mode) => {
      setMode(mode);
      return call64("add", ONE, TINY);
    });
    expect(results).toEqual([ONE, ONE, ONE + 1n, ONE]);
    expect(flags()).toBe(PE | DE);
  });

  test("overflow goes to infinity or to the largest number", () => {
    const results = [0x1f80, 0x3f80, 0x5f80, 0x7f80].map((mode) => {
      setMode(mode);
      return call64("add", MAX, MAX);
    });
    expect(results).toEqual([INFINITY, MAX, INFINITY, MAX]);
    expect(flags()).toBe(OE | PE);
  });

  test("an exact result has no flags, with PE clear and in every mode", () => {
    for (const mode of [0x1f80, 0x3f80, 0x5f80, 0x7f80]) {
      setMode(mode);
      expect(call64("mul", 0x4008000000000000n, 0x4014000000000000n)).toBe(0x402e000000000000n);
      expect(call64("div", 0x402e000000000000n, 0x4014000000000000n)).toBe(0x4008000000000000n);
      expect(call32("add", 0x3f800000, 0x3f800000)).toBe(0x40000000);
    }
    expect(flags()).toBe(0);
  });

  test("one third is inexact on both sides", () => {
    expect(call64("div", ONE, 0x4008000000000000n)).toBe(0x3fd5555555555555n);
    setMode(0x5f80);
    expect(call64("div", ONE, 0x4008000000000000n)).toBe(0x3fd5555555555556n);
    expect(call32("div", 0x3f800000, 0x40400000)).toBe(0x3eaaaaab);
    expect(flags()).toBe(PE);
  });
});

describe("underflow", () => {
  const SMALLEST = 0x0010000000000000n;
  test("an exact denormal is no underflow while masked, and one unmasked", () => {
    expect(call64("div", SMALLEST, 0x4000000000000000n)).toBe(SMALLEST >> 1n);
    expect(flags()).toBe(0);
    setMode(0x1780);
    call64("div", SMALLEST, 0x4000000000000000n);
    expect(flags()).toBe(UE);
  });

  test("flush to zero", () => {
    setMode(0x9f80);
    expect(call64("div", SMALLEST | (1n << 63n), 0x4000000000000000n)).toBe(1n << 63n);
    expect(flags()).toBe(UE | PE);
  });

  test("what rounds up to the smallest normal number is not tiny", () => {
    // (1 − 2^-53) × 2^-1022 lies half an ulp of the denormals below, a quarter with 53 bits.
    setMode(0x5f80);
    expect(call64("mul", SMALLEST, ONE - 1n)).toBe(SMALLEST);
    expect(flags()).toBe(UE | PE);
    words[FLOAT_FLAGS >> 2] = 0;
    expect(call64("mul", SMALLEST + 1n, ONE - 1n)).toBe(SMALLEST + 1n);
    expect(flags()).toBe(PE);
  });

  test("denormals as zero raise nothing", () => {
    setMode(0x1fc0);
    expect(call64("add", TINY, TINY)).toBe(0n);
    expect(call64("add", ONE, TINY)).toBe(ONE);
    expect(flags()).toBe(0);
  });
});

describe("invalid operands and division by zero", () => {
  test("signalling NaNs are quieted, the first operand's payload wins", () => {
    expect(call64("add", 0x7ff0000000000123n, 0xfff8000000000456n)).toBe(0x7ff8000000000123n);
    expect(flags()).toBe(IE);
    expect(call64("mul", ONE, 0xfff8000000000456n)).toBe(0xfff8000000000456n);
    expect(call32("sub", 0x3f800000, 0xffc00001)).toBe(0xffc00001);
  });
  test("what has no result gives the default NaN", () => {
    for (const [name, a, b] of [
      ["sub", INFINITY, INFINITY],
      ["mul", 0n, INFINITY],
      ["div", 0n, 0n],
      ["div", INFINITY, INFINITY],
    ] as const)
      expect(call64(name, a, b), name).toBe(0xfff8000000000000n);
    expect(flags()).toBe(IE);
  });
  test("x / 0", () => {
    expect(call64("div", ONE | (1n << 63n), 0n)).toBe(INFINITY | (1n << 63n));
    expect(flags()).toBe(ZE);
  });
  test("minimum and maximum take the second operand if one is a NaN or both are zero", () => {
    expect(call64("min", 0n, 1n << 63n)).toBe(1n << 63n);
    expect(call64("max", 1n << 63n, 0n)).toBe(0n);
    expect(flags()).toBe(0);
    expect(call64("min", 0x7ff8000000000000n, ONE)).toBe(ONE);
    expect(flags()).toBe(IE);
  });
});

test("float.end reports exceptions found before computing alone if one of them is unmasked", () => {
  const end = functions["float.end"] as unknown as () => number;
  words[FLOAT_FLAGS >> 2] = IE | PE;
  expect(end()).toBe(0);
  expect(words[L.MXCSR >> 2]).toBe(0x1f80 | IE | PE);
  setMode(0x1f00);
  words[FLOAT_FLAGS >> 2] = IE | DE | PE;
  expect(end()).toBe(1);
  expect(words[L.MXCSR >> 2]).toBe(0x1f00 | IE | DE);
  expect(flags()).toBe(0);
});
