/**
 * Each instruction's effect is written in one place, its row's semantics function: when that is replaced in the table that
 * the engine is made from, the instruction does something else. Were there a second implementation anywhere, some form of
 * some instruction would go on as before.
 */
import { beforeAll, describe, expect, test } from "vitest";
import type { Row, Semantics } from "../../src/cpu/table/row.ts";
import { opcodeTable } from "../../src/cpu/table/table.ts";
import { AREA, CaseList } from "./native/case-format.ts";
import { encode, formsOf } from "./native/encode.ts";
import { EngineRunner } from "./native/engine-runner.ts";
import { DATA, SegmentedCases, segment, selectorOf } from "./native/segmented-case.ts";
import { SegmentedEngine } from "./native/segmented-engine.ts";
import { compareRow } from "./native/segmented-suite.ts";
import { createRandom, vector } from "./native/values.ts";

/** A vector that no instruction here raises by itself, and without an error code. */
const MARK = 18;
const mark: Semantics = (b) => b.fault(MARK);
const nothing: Semantics = () => {};

/** The table with the semantics of some rows replaced. */
function replaced(isReplaced: (row: Row) => boolean, semantics: Semantics): Row[] {
  return opcodeTable.map((row) => (isReplaced(row) ? { ...row, semantics } : row));
}

const nameOf = (row: Row): string => `${row.opcode} ${row.mnemonic} ${row.operands}`;

test("with every row's semantics replaced, every form of every instruction does what the replacement does", async () => {
  // How cases end: INT3 behind them, HLT in the exception handlers.
  const kept = new Set(["int3", "hlt"]);
  const engine = await SegmentedEngine.create(
    {},
    replaced((row) => !kept.has(row.mnemonic), mark),
  );
  const cases = new SegmentedCases();
  const rows: Row[] = [];
  for (const row of opcodeTable) {
    if (kept.has(row.mnemonic)) continue;
    for (const form of formsOf(row).forms) {
      for (const isWidth16 of [false, true]) {
        // A prefix of 66h would select another row.
        if (isWidth16 && /^(NP|66|F2|F3) /.test(row.opcode)) continue;
        for (const prefix of [[], [0xf3], [0xf2]]) {
          if (prefix.length > 0 && row.options.repeat === undefined) continue;
          for (const stack of ["flat", "data16"]) {
            const isMemory = form === "m";
            const item = cases.add(
              encode(row, { isWidth16, isMemory, address: DATA + 0x800, reg: 2, prefixes: prefix }),
            );
            for (const register of [1, 4, 6, 7]) item.setGpr(register, DATA + 0x400);
            if (stack !== "flat") item.setSegment(segment.ss, selectorOf(stack));
            rows.push(row);
          }
        }
      }
    }
  }
  const ends = engine.run(cases);
  const others = rows.filter((_, n) => ends.vector(n) !== MARK);
  expect([...new Set(others.map(nameOf))]).toEqual([]);
  expect(new Set(rows).size).toBe(opcodeTable.length - kept.size);
});

describe("one row's semantics removed at a time", () => {
  /** Rows of every kind: inline and out of line, string, stack, branch, system. */
  const sample = [
    ...["01 add Ev,Gv", "83 /7 cmp Ev,Isb", "C1 /4 shl Ev,Ib", "F7 /6 div Ev", "A5 movs cv", "AE scasb cb"],
    ...["50 +r push Zv", "E8 call Jv", "0F 84 jz Jv", "0F A3 bt Ebv,Gv", "9D popf ", "CB retf ", "0F 02 lar Gv,Ew"],
  ];
  const options = { encodings: 40, states: 4, perVariant: 1 };
  let whole: SegmentedEngine;
  beforeAll(async () => {
    whole = await SegmentedEngine.create();
  });

  test.each(sample)("%s", async (name) => {
    const row = opcodeTable.find((item) => nameOf(item) === name) as Row;
    expect(row, name).toBeDefined();
    const engine = await SegmentedEngine.create(
      {},
      replaced((item) => item === row, nothing),
    );
    const { made, found } = compareRow(row, engine, options);
    // What faults before the semantics come into play stays equal.
    expect(found.length).toBeGreaterThan(made.cases.length / 4);
    expect(compareRow(row, whole, options).found).toEqual([]);
    // The neighbours are as they were.
    const other = opcodeTable.find((item) => item.mnemonic === "xor") as Row;
    expect(compareRow(other, engine, options).found).toEqual([]);
  });
});

describe("one x87 or vector row's semantics removed at a time", () => {
  const random = createRandom(5);
  function casesOf(row: Row): CaseList {
    const cases = new CaseList();
    for (let n = 0; n < 20; n++) {
      const item = cases.add(encode(row, { address: AREA + 64, isMemory: n % 2 === 0, reg: 3, rm: 5 }));
      for (let r = 0; r < 8; r++) {
        item.setXmm(r, vector("single", random));
        item.setMmx(r, vector("integer", random).subarray(0, 8));
        item.setSt(r, Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0x80 + n, r, 0x40));
      }
    }
    return cases;
  }
  let whole: EngineRunner;
  beforeAll(async () => {
    whole = await EngineRunner.create();
  });

  test.each(["addps", "mulss", "paddb", "pshufd", "movdqa", "fadd", "fsqrt", "fxch", "fld"])("%s", async (mnemonic) => {
    const row = opcodeTable.find((item) => item.mnemonic === mnemonic) as Row;
    expect(row, mnemonic).toBeDefined();
    const cases = casesOf(row);
    const engine = await EngineRunner.create(
      {},
      replaced((item) => item === row, nothing),
    );
    const before = whole.run(cases);
    const after = engine.run(cases);
    let others = 0;
    for (let n = 0; n < cases.length; n++)
      if (Buffer.compare(before.fx(n).slice(0, 288), after.fx(n).slice(0, 288)) !== 0) others++;
    // Sums with NaNs and infinities may be what was there.
    expect(others).toBeGreaterThan(cases.length / 2);
  });
});
