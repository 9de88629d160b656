/**
 * SSE and SSE2 arithmetic against the host CPU over all pairs of edge values, in every rounding mode, with DAZ and FZ, with
 * exceptions masked and unmasked, and over values near the limits of the formats; the approximations within the
 * manual's error; every encoding of map 0F that this CPU leaves undefined.
 */
import { beforeAll, describe, expect, test } from "vitest";
import type { Row } from "../../src/cpu/table/row.ts";
import { sseRows } from "../../src/cpu/table/sse.ts";
import { CaseList, fx } from "./native/case-format.ts";
import { describeCase, differences } from "./native/compare.ts";
import { encode } from "./native/encode.ts";
import { EngineRunner } from "./native/engine-runner.ts";
import { FORCED, ForcedTwin } from "./native/forced.ts";
import { runNative } from "./native/native-runner.ts";
import { createRandom, double, doubles, single, singles } from "./native/values.ts";

let engine: EngineRunner;
let forced: ForcedTwin<CaseList>;
beforeAll(async () => {
  engine = await EngineRunner.create();
  forced = new ForcedTwin(await EngineRunner.create(FORCED));
});

const SHOWN = 5;
/** Cases of a list that run once more, translated: most of them have the same code. */
const FORCED_CASES = 1000;

function compareAll(cases: CaseList): string[] {
  const native = runNative(cases);
  const ours = engine.run(cases);
  const { differing, executed } = forced.run(cases, ours, FORCED_CASES);
  expect(differing.slice(0, SHOWN).map((n) => describeCase(cases, n))).toEqual([]);
  expect(executed, "instructions in regions").toBeGreaterThan(0);
  const found: string[] = [];
  for (let n = 0; n < cases.length; n++) {
    const here = differences(native, ours, n);
    if (here.length > 0) found.push(`${describeCase(cases, n)}\n    ${here.join("\n    ")}`);
  }
  return found;
}

function expectSame(cases: CaseList): void {
  const found = compareAll(cases);
  expect(found.slice(0, SHOWN), `${found.length} of ${cases.length} cases differ`).toEqual([]);
}

const rowOf = (mnemonic: string): Row =>
  sseRows.find((row) => row.mnemonic === mnemonic && row.operands[0][0] === "V") as Row;

/** MXCSR: four rounding modes, with and without DAZ and FZ, all masked. */
const roundingModes = [0, 1, 2, 3].flatMap((rc) => [0, 0x40, 0x8000, 0x8040].map((mode) => 0x1f80 | mode | (rc << 13)));
/** One exception unmasked each, and all. */
const unmasked = [0x80, 0x100, 0x200, 0x400, 0x800, 0x1000, 0x1f80].map((bits) => 0x1f80 & ~bits);

const lanes = (bits: 32 | 64, values: readonly (number | bigint)[]): Uint8Array => {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  values.forEach((value, n) => {
    if (bits === 64) view.setBigUint64(n * 8, BigInt(value), true);
    else view.setUint32(n * 4, Number(value), true);
  });
  return bytes;
};

/** All pairs, `count` of them in the lanes of one case. */
function addPairs(cases: CaseList, code: readonly number[], bits: 32 | 64, count: number, mxcsr: number): void {
  const pool: readonly (number | bigint)[] = bits === 64 ? doubles : singles;
  let a: (number | bigint)[] = [];
  let x: (number | bigint)[] = [];
  const flush = () => {
    const item = cases.add(code);
    item.setMxcsr(mxcsr);
    item.setXmm(1, lanes(bits, a));
    item.setXmm(2, lanes(bits, x));
    a = [];
    x = [];
  };
  for (const p of pool) {
    for (const q of pool) {
      a.push(p);
      x.push(q);
      if (a.length === count) flush();
    }
  }
  if (a.length > 0) flush();
}

const operations = ["add", "sub", "mul", "div", "min", "max"];

describe.each(operations)("%s, all pairs of edge values", (operation) => {
  test.each(["ss", "sd", "ps", "pd"])("%s", (kind) => {
    const cases = new CaseList();
    const code = encode(rowOf(operation + kind));
    const bits = kind[1] === "d" ? 64 : 32;
    const count = kind[0] === "s" ? 1 : 128 / bits;
    // Scalars have many cases: a part of the modes each way is enough, packed ones have them all.
    const modes =
      kind[0] === "s"
        ? [0x1f80, 0x1fa0, 0x3f80, 0x9fc0, ...unmasked.slice(0, 5)]
        : [0x1fa0, ...roundingModes, ...unmasked, 0x8000];
    for (const mxcsr of modes) addPairs(cases, code, bits, count, mxcsr);
    expectSame(cases);
  });
});

describe("comparisons, all pairs of edge values", () => {
  test.each(["cmpps", "cmppd", "cmpss", "cmpsd"])("%s", (name) => {
    const cases = new CaseList();
    const bits = name.endsWith("d") ? 64 : 32;
    const count = name[3] === "s" ? 1 : 128 / bits;
    for (let predicate = 0; predicate < 8; predicate++)
      for (const mxcsr of [0x1f80, 0x1fc0, ...(count > 1 ? [0x1f00, 0x1e80] : [])])
        addPairs(cases, encode(rowOf(name), { immediate: predicate }), bits, count, mxcsr);
    expectSame(cases);
  });

  test.each(["comiss", "comisd", "ucomiss", "ucomisd"])("%s", (name) => {
    const cases = new CaseList();
    const bits = name.endsWith("d") ? 64 : 32;
    for (const mxcsr of [0x1f80, 0x1fc0, 0x1f00, 0x1e80]) addPairs(cases, encode(rowOf(name)), bits, 1, mxcsr);
    expectSame(cases);
  });
});

describe("one operand, edge values and their neighbours", () => {
  const conversions = sseRows.filter((row) => /^(sqrt|cvt)/.test(row.mnemonic) && !row.opcode.endsWith(" m"));
  test.each(conversions.map((row) => [row.mnemonic, row] as const))("%s", (name, row) => {
    const cases = new CaseList();
    const random = createRandom(11);
    const is64 = /^(sqrt.d|cvtt?[ps]d)/.test(name);
    const pool: (number | bigint)[] = is64 ? [...doubles] : [...singles];
    const size = pool.length;
    for (let n = 0; n < size; n++)
      for (const by of [1, 2, 3, -1, -2])
        pool.push(is64 ? BigInt.asUintN(64, (pool[n] as bigint) + BigInt(by)) : ((pool[n] as number) + by) >>> 0);
    const limit = pool.length;
    for (let n = 0; n < limit; n++) pool.push(is64 ? double(random) : single(random));
    for (const value of pool) {
      for (const mxcsr of [0x1fa0, ...roundingModes, ...unmasked, 0x8000]) {
        const item = cases.add(encode(row));
        item.setMxcsr(mxcsr);
        const filler = pool[random() % pool.length];
        item.setXmm(2, is64 ? lanes(64, [value, filler]) : lanes(32, [value, filler, filler, value]));
        item.setXmm(1, lanes(64, [0x123456789abcdef0n, 0xfedcba9876543210n]));
        item.setMmx(
          2,
          lanes(32, [Number(BigInt.asUintN(32, BigInt(value))), Number(BigInt.asUintN(32, BigInt(filler)))]).subarray(
            0,
            8,
          ),
        );
        item.setGpr(2, Number(BigInt.asUintN(32, BigInt(value))));
      }
    }
    expectSame(cases);
  });
});

/** Operands whose results lie about the limits: halves, overflow, the smallest normal, denormals. */
describe("results near the limits", () => {
  const near = (random: () => number, bits: 32 | 64): [bigint, bigint] => {
    const fraction = bits === 64 ? 52n : 23n;
    const bias = bits === 64 ? 1023 : 127;
    const any = () => ((BigInt(random()) << 32n) | BigInt(random())) & ((1n << fraction) - 1n);
    // Few bits set at either end, all ones, or anything.
    const shaped = () => {
      const value = any();
      switch (random() % 4) {
        case 0:
          return value & ~((1n << (fraction / 2n)) - 1n);
        case 1:
          return value & 7n;
        case 2:
          return ((1n << fraction) - 1n) ^ (value & 3n);
        default:
          return value;
      }
    };
    const make = (exponent: number) => {
      const e = BigInt(Math.min(Math.max(exponent, 0), bias * 2));
      return (BigInt(random() & 1) << BigInt(bits - 1)) | (e << fraction) | shaped();
    };
    const e = random() % (bias * 2);
    switch (random() % 4) {
      case 0: // product or sum near underflow
        return [make(e), make(bias - e - Number(fraction) + (random() % (Number(fraction) * 2)) - 20)];
      case 1: // product near overflow
        return [make(e), make(3 * bias - e + (random() % 5) - 2)];
      case 2: // quotient near underflow
        return [make(e), make(e + bias + (random() % 60) - 5)];
      default: // sums of near exponents
        return [make(e), make(e + (random() % 60) - 30)];
    }
  };
  test.each(["add", "sub", "mul", "div"].flatMap((name) => [[`${name}ps`, 32] as const, [`${name}pd`, 64] as const]))(
    "%s",
    (name, bits) => {
      const cases = new CaseList();
      const random = createRandom(bits + name.charCodeAt(0) * 256);
      const count = 128 / bits;
      const code = encode(rowOf(name));
      const modes = [0x1f80, 0x1fa0, 0x3f80, 0x5f80, 0x7f80, 0x9f80, 0x1780, 0x0f80, 0x1b80];
      for (let n = 0; n < 12000; n++) {
        const item = cases.add(code);
        const pairs = Array.from({ length: count }, () => near(random, bits));
        item.setMxcsr(modes[n % modes.length]);
        item.setXmm(
          1,
          lanes(
            bits,
            pairs.map((pair) => pair[0]),
          ),
        );
        item.setXmm(
          2,
          lanes(
            bits,
            pairs.map((pair) => pair[1]),
          ),
        );
      }
      expectSame(cases);
    },
  );
});

test.each(["rcpps", "rcpss", "rsqrtps", "rsqrtss"])(
  "%s: within 1.5 × 2^-12 of the truth, specials as the host's",
  (name) => {
    const cases = new CaseList();
    const random = createRandom(3);
    const pool = [...singles];
    for (let n = 0; n < 3000; n++) pool.push(single(random));
    for (const value of pool) {
      const item = cases.add(encode(rowOf(name)));
      item.setXmm(2, lanes(32, [value, value, value, value]));
      item.setMxcsr(0);
    }
    const native = runNative(cases);
    const ours = engine.run(cases);
    const at = fx.xmm + 16;
    for (let n = 0; n < cases.length; n++) {
      const read = (image: Uint8Array) => new DataView(image.buffer, image.byteOffset + at, 16);
      const [host, mine] = [read(native.fx(n)), read(ours.fx(n))];
      const [h, m] = [host.getFloat32(0, true), mine.getFloat32(0, true)];
      const said = `${pool[n].toString(16)}: host ${host.getUint32(0, true).toString(16)}, engine ${mine.getUint32(0, true).toString(16)}`;
      expect(ours.vector(n), said).toBe(native.vector(n));
      if (Number.isFinite(h) && h !== 0) expect(Math.abs(m / h - 1), said).toBeLessThan(3 / 4096);
      else expect(mine.getUint32(0, true), said).toBe(host.getUint32(0, true));
    }
  },
);
