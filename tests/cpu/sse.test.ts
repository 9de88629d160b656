/**
 * Every MMX, SSE and SSE2 row of the opcode table against the host CPU, in all its forms, from random and edge-value
 * states. A row for which no case is made fails.
 */
import { beforeAll, describe, expect, test } from "vitest";
import { mmxRows } from "../../src/cpu/table/mmx.ts";
import type { Row } from "../../src/cpu/table/row.ts";
import { sseRows } from "../../src/cpu/table/sse.ts";
import { AREA, AREA_BYTES, CaseList, fx } from "./native/case-format.ts";
import { type CompareOptions, describeCase, differences } from "./native/compare.ts";
import { encode, formsOf } from "./native/encode.ts";
import { EngineRunner } from "./native/engine-runner.ts";
import { FORCED, ForcedTwin, isTranslated } from "./native/forced.ts";
import { runNative } from "./native/native-runner.ts";
import { createRandom, integer, type Lanes, vector } from "./native/values.ts";

let engine: EngineRunner;
let forced: ForcedTwin<CaseList>;
beforeAll(async () => {
  engine = await EngineRunner.create();
  forced = new ForcedTwin(await EngineRunner.create(FORCED));
});

const CASES_PER_FORM = 400;
/** Cases of a row that run once more, translated. */
const FORCED_PER_ROW = Number(process.env.FORCED_CASES ?? 60);
const SHOWN = 5;
const END = AREA + AREA_BYTES;

/** Which numbers an instruction's lanes hold. */
function lanesOf(row: Row): Lanes {
  if (/^cvtt?(dq|pi|si)/.test(row.mnemonic)) return "integer";
  if (/^cvt(t?)(pd|sd)|[a-z](pd|sd)$/.test(row.mnemonic)) return "double";
  if (/^cvt(t?)(ps|ss)|[a-z](ps|ss)$/.test(row.mnemonic)) return "single";
  return "integer";
}

/** Adds cases of one row; answers how many. */
function addCases(cases: CaseList, row: Row, random: () => number): number {
  const { forms } = formsOf(row);
  const lanes = lanesOf(row);
  const before = cases.length;
  const isImage = row.operands[0] === "M512";
  const isAligned = row.operands.some((code) => /^[WM](x|512)$/.test(code)) && !/^mov(u|dqu)/.test(row.mnemonic);
  for (const form of forms) {
    for (let n = 0; n < CASES_PER_FORM; n++) {
      // Now and then misaligned, or over the end of the page.
      const special = n % 20;
      const within = random() & (isAligned ? 0x1f0 : 0x1ff) & ~8;
      const address =
        special === 19 ? END - 5 : special === 18 ? END - 16 + (random() & 15) : AREA + (isImage ? 0 : within);
      const reg = random() & 7;
      const immediate = n % 3 === 0 ? random() & 7 : random() & 0xff;
      const item = cases.add(encode(row, { isMemory: form === "m", reg, rm: random() & 7, immediate, address }));
      fill(item, lanes, row.mnemonic.startsWith("cvt"), random);
      if (row.mnemonic.startsWith("maskmov")) item.setGpr(7, AREA + (random() % (AREA_BYTES - 16)));
      if (row.mnemonic === "ldmxcsr" && n % 2 === 0)
        item.setMemory(
          0,
          new Uint8Array(256).map((_, at) => (at % 4 < 2 ? random() : 0)),
        );
      if (row.mnemonic === "fxrstor") item.setMemory(fx.mxcsr, mxcsrImage(random));
    }
  }
  return cases.length - before;
}

/** MXCSR in memory, now and then with a bit that does not exist. */
function mxcsrImage(random: () => number): Uint8Array {
  return Uint8Array.of(random(), random(), random() % 8 === 0 ? 1 : 0, 0);
}

/** A random state. */
function fill(item: ReturnType<CaseList["add"]>, lanes: Lanes, isConversion: boolean, random: () => number): void {
  for (let r = 0; r < 8; r++) if (r !== 4) item.setGpr(r, integer(random));
  for (let r = 0; r < 8; r++) {
    item.setXmm(r, vector(lanes, random));
    item.setMmx(r, vector(lanes, random).subarray(0, 8));
    item.setFx16(fx.st + r * 16 + 8, random() & 0xffff);
  }
  item.setFx16(fx.fsw, (random() & 7) << 11);
  item.setFx16(fx.ftw, random() & 0xff);
  if (lanes !== "integer" || isConversion) {
    // Half default, half any rounding mode and masks.
    const mode = random();
    item.setMxcsr(
      mode % 4 === 0
        ? 0x1f80
        : mode % 4 === 1
          ? 0x1fa0
          : mode % 4 === 2
            ? 0x1f80 | (random() & 0xe07f)
            : random() & 0xffff,
    );
  }
  item.setEflags(0x202 | (random() & 0x8d5));
  for (let at = 0; at < AREA_BYTES; at += 16) item.setMemory(at, vector(lanes, random));
}

function compareAll(row: Row, cases: CaseList, options: CompareOptions = {}): string[] {
  const native = runNative(cases);
  const ours = engine.run(cases);
  const { differing, executed } = forced.run(cases, ours, FORCED_PER_ROW);
  expect(differing.slice(0, SHOWN).map((n) => describeCase(cases, n))).toEqual([]);
  if (isTranslated(row)) expect(executed, "instructions in regions").toBeGreaterThan(0);
  const found: string[] = [];
  for (let n = 0; n < cases.length; n++) {
    const here = differences(native, ours, n, options);
    if (here.length > 0) found.push(`${describeCase(cases, n)}\n    ${here.join("\n    ")}`);
  }
  return found;
}

/** Approximations: compared by the error they may have, in sse-float.test.ts. */
const approximations = new Set(["rcpps", "rcpss", "rsqrtps", "rsqrtss"]);
const options: { [mnemonic: string]: CompareOptions } = {
  movq: { isTopKeptByFault: false },
  movd: { isTopKeptByFault: false },
  movntq: { isTopKeptByFault: false },
};

describe.each([
  ["MMX and packed integers", mmxRows],
  ["SSE and SSE2", sseRows],
] as const)("%s", (_, rows) => {
  test.each(
    rows
      .filter((row) => !approximations.has(row.mnemonic))
      .map((row) => [`${row.opcode} ${row.mnemonic}`, row] as const),
  )("%s", (name, row) => {
    const random = createRandom([...name].reduce((sum, c) => sum * 31 + c.charCodeAt(0), 7));
    const cases = new CaseList();
    expect(addCases(cases, row, random)).toBeGreaterThan(0);
    const found = compareAll(row, cases, options[row.mnemonic]);
    expect(found.slice(0, SHOWN), `${found.length} of ${cases.length} cases differ`).toEqual([]);
  });
});
