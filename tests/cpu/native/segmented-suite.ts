/** Makes and compares the cases of one opcode-table row: until every variant of the row has met enough states. */
import type { Row } from "../../../src/cpu/table/row.ts";
import { addCase } from "./case-state.ts";
import { exemptionOf } from "./exemptions.ts";
import { chooseForm, type Form, type Random, shapeOf } from "./instruction-forms.ts";
import { SegmentedCases, type SegmentedOutcomes } from "./segmented-case.ts";
import { describeSegmentedCase, segmentedDifferences } from "./segmented-compare.ts";
import type { SegmentedEngine } from "./segmented-engine.ts";
import { runSegmentedNative } from "./segmented-native.ts";
import { undefinedFlagsOf } from "./undefined-flags.ts";
import { createRandom } from "./values.ts";

export interface SuiteOptions {
  /** Encodings per row, and states per encoding. */
  readonly encodings: number;
  readonly states: number;
  /** Encodings that every variant gets at least. */
  readonly perVariant: number;
}

export interface RowCases {
  readonly cases: SegmentedCases;
  readonly forms: Form[];
  /** Handler numbers of variants for which no encoding was found. */
  readonly missing: number[];
}

const MOST_ATTEMPTS = 20_000;

export function seedOf(text: string): number {
  let seed = 7;
  for (const letter of text) seed = (Math.imul(seed, 31) + letter.charCodeAt(0)) | 0;
  return seed;
}

export function casesOf(row: Row, options: SuiteOptions, random: Random): RowCases {
  const shape = shapeOf(row);
  const cases = new SegmentedCases();
  const forms: Form[] = [];
  const wanted = new Map<number, number>();
  for (let n = 0; n < shape.layout.count; n++) wanted.set(shape.layout.base + n, options.perVariant);
  let encodings = 0;
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    if (encodings >= options.encodings && wanted.size === 0) break;
    const form = chooseForm(shape, row, random);
    if (form === undefined) continue;
    const missing = wanted.get(form.handler);
    // Enough encodings: only what is still missing.
    if (encodings >= options.encodings && missing === undefined) continue;
    if (missing === 1) wanted.delete(form.handler);
    else if (missing !== undefined) wanted.set(form.handler, missing - 1);
    encodings++;
    for (let state = 0; state < options.states; state++) {
      addCase(cases, form, random);
      forms.push(form);
    }
  }
  return { cases, forms, missing: [...wanted.keys()] };
}

/** The flags that a case leaves undefined. */
function flagsMask(made: RowCases, n: number): number {
  const form = made.forms[n];
  const { operands, mnemonic } = form.row;
  const width = /b$/.test(operands[0] ?? "") ? 8 : form.width;
  const last = operands.at(-1);
  const count = last === "CL" ? made.cases.case(n).gpr(1) & 31 : last === "1" ? 1 : form.immediate & 31;
  return undefinedFlagsOf(mnemonic, count, width);
}

export interface Comparison {
  readonly made: RowCases;
  readonly native: SegmentedOutcomes;
  readonly ours: SegmentedOutcomes;
  /** Differences as text, one for each case that has any. */
  readonly found: string[];
}

/** Runs all cases on both sides. */
export function compareRow(row: Row, engine: SegmentedEngine, options: SuiteOptions): Comparison {
  const made = casesOf(row, options, createRandom(seedOf(`${row.opcode} ${row.mnemonic}`)));
  const native = runSegmentedNative(made.cases);
  const ours = engine.run(made.cases);
  const found: string[] = [];
  for (let n = 0; n < made.cases.length; n++) {
    const mask = exemptionOf(made.forms[n], native, ours, n);
    if (mask === "all") continue;
    const here = segmentedDifferences(native, ours, n, { ...mask, flags: flagsMask(made, n) });
    if (here.length > 0) found.push(`${describeSegmentedCase(made.cases, n)}\n    ${here.join("\n    ")}`);
  }
  return { made, native, ours, found };
}
