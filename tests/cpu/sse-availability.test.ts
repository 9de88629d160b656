/**
 * Which MMX, SSE and SSE2 encodings exist and when they are available: undefined encodings against the host, pending x87
 * exceptions against the host, and CR0.TS, CR0.EM, CR4.OSFXSR, CR4.OSXMMEXCPT (which no host program can set) as the
 * manual has them (SDM volume 3, 2.5, 12.5, 13.1).
 */
import { beforeAll, describe, expect, test } from "vitest";
import { mmxRows } from "../../src/cpu/table/mmx.ts";
import type { Row } from "../../src/cpu/table/row.ts";
import { sseRows } from "../../src/cpu/table/sse.ts";
import { AREA, CaseList, fx, NO_VECTOR } from "./native/case-format.ts";
import { encode, formsOf } from "./native/encode.ts";
import { EngineRunner } from "./native/engine-runner.ts";
import { runNative } from "./native/native-runner.ts";

let engine: EngineRunner;
beforeAll(async () => {
  engine = await EngineRunner.create();
});

/** Encodings that came after SSE2, which a host may have: prefix, opcode, and forms ("" for all). */
const later = new Set([
  ...["f2 12", "f3 12", "f3 16", "66 7c", "f2 7c", "66 7d", "f2 7d", "66 d0", "f2 d0", "f2 f0"],
  // XSAVE, XRSTOR, XSAVEOPT, CLWB, CLFLUSHOPT, PTWRITE and the like.
  ...[" ae", "66 ae", "f2 ae", "f3 ae"],
]);

test("encodings are undefined where the host's are, later extensions apart", () => {
  const cases = new CaseList();
  const names: string[] = [];
  for (let opcode = 0x10; opcode < 0x100; opcode++) {
    // Other instructions' opcodes, and those without modrm.
    if ((opcode >= 0x18 && opcode < 0x28) || (opcode >= 0x30 && opcode < 0x50) || (opcode >= 0x80 && opcode < 0xc2)) {
      if (opcode !== 0xae) continue;
    }
    if (opcode === 0x77 || opcode === 0xc3 || (opcode >= 0xc7 && opcode < 0xd0)) continue;
    for (const prefixes of [[], [0x66], [0xf2], [0xf3], [0x66, 0xf2], [0x66, 0xf3]]) {
      for (let modrm = 0; modrm < 16; modrm++) {
        const field = (modrm & 7) << 3;
        const operand = modrm < 8 ? [field | 5, 0, 0x0e, 0, 0x30] : [0xc2 | field];
        cases.add([...prefixes, 0x0f, opcode, ...operand, 0x90]).setGpr(7, AREA);
        const last = prefixes.at(-1)?.toString(16) ?? "";
        names.push(`${last} ${opcode.toString(16)}${modrm < 8 ? " m" : " r"}${modrm & 7}`);
      }
    }
  }
  const native = runNative(cases);
  const ours = engine.run(cases);
  const wrong: string[] = [];
  for (let n = 0; n < cases.length; n++) {
    const isUndefined = native.vector(n) === 6;
    if ((ours.vector(n) === 6) === isUndefined) continue;
    if (isUndefined || !later.has(names[n].slice(0, -3))) wrong.push(`${names[n]}: host ${native.vector(n)}`);
  }
  expect(wrong).toEqual([]);
});

test("what came after SSE2 is undefined", () => {
  const cases = new CaseList();
  for (const code of [
    [0xf2, 0x0f, 0xf0, 0x0d, 0, 0x0e, 0, 0x30], // LDDQU
    [0x66, 0x0f, 0x7c, 0xc1], // HADDPD
    [0x66, 0x0f, 0x38, 0x00, 0xc1], // PSHUFB
    [0x66, 0x0f, 0x3a, 0x0f, 0xc1, 1], // PALIGNR
    [0x0f, 0x01, 0xc8], // MONITOR
    [0x0f, 0xae, 0x25, 0, 0x0e, 0, 0x30], // XSAVE
    [0xf3, 0x0f, 0xae, 0xc0], // RDFSBASE
  ])
    cases.add(code);
  const ours = engine.run(cases);
  for (let n = 0; n < cases.length; n++) expect([n, ours.vector(n)]).toEqual([n, 6]);
});

const forms = (rows: readonly Row[]) =>
  rows.flatMap((row) =>
    formsOf(row).forms.map((form) => ({ row, form, name: `${row.opcode} ${row.mnemonic} ${form}` })),
  );
const all = forms([...mmxRows, ...sseRows]);
const usesUnit = (row: Row) => row.options.unit !== undefined;

/** One case per row and form. */
function everyForm(): CaseList {
  const cases = new CaseList();
  for (const { row, form } of all) cases.add(encode(row, { isMemory: form === "m" })).setGpr(7, AREA);
  return cases;
}

test("a pending x87 exception stops what uses MMX registers, as on the host", () => {
  const cases = new CaseList();
  for (const { row, form } of all) {
    const item = cases.add(encode(row, { isMemory: form === "m" }));
    item.setGpr(7, AREA);
    item.setFx16(fx.fcw, 0x37e);
    item.setFx16(fx.fsw, 0x8081);
  }
  const native = runNative(cases);
  const ours = engine.run(cases);
  const vectors = (outcomes: typeof native) => all.map(({ name }, n) => `${name}: ${outcomes.vector(n)}`);
  expect(vectors(ours)).toEqual(vectors(native));
});

describe("control bits", () => {
  const vectorsWith = (cr0: number, cr4: number): Map<string, number> => {
    const before = [engine.cr0, engine.cr4];
    try {
      engine.cr0 = (engine.cr0 | cr0) >>> 0;
      engine.cr4 &= ~cr4;
      const ours = engine.run(everyForm());
      return new Map(all.map(({ name }, n) => [name, ours.vector(n)]));
    } finally {
      [engine.cr0, engine.cr4] = before;
    }
  };
  const expectVectors = (actual: Map<string, number>, expected: (row: Row) => number) =>
    expect(actual).toEqual(new Map(all.map(({ name, row }) => [name, expected(row)])));

  test("TS is #NM for all but fences and CLFLUSH", () => {
    expectVectors(vectorsWith(8, 0), (row) => (usesUnit(row) ? 7 : NO_VECTOR));
  });
  test("EM is #UD, and #NM for FXSAVE and FXRSTOR", () => {
    expectVectors(vectorsWith(4, 0), (row) => (!usesUnit(row) ? NO_VECTOR : row.options.unit === "fxsave" ? 7 : 6));
  });
  test("OSFXSR clear is #UD for whatever names an XMM register or MXCSR", () => {
    expectVectors(vectorsWith(0, 0x200), (row) =>
      row.options.unit === "sse" || row.options.unit === "mmx-sse" ? 6 : NO_VECTOR,
    );
  });
  test("OSXMMEXCPT clear turns #XM into #UD; flags are set either way", () => {
    const cases = new CaseList();
    // DIVSS xmm1, xmm2: 0 / 0.
    cases.add([0xf3, 0x0f, 0x5e, 0xca]).setMxcsr(0x1f00);
    const with_ = engine.run(cases);
    engine.cr4 &= ~0x400;
    const without = engine.run(cases);
    engine.cr4 |= 0x400;
    const mxcsr = (image: Uint8Array) => image[fx.mxcsr] | (image[fx.mxcsr + 1] << 8);
    expect([with_.vector(0), mxcsr(with_.fx(0))]).toEqual([19, 0x1f01]);
    expect([without.vector(0), mxcsr(without.fx(0))]).toEqual([6, 0x1f01]);
  });
});
