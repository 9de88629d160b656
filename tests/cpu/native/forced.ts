/**
 * The same cases once more with every block through the translator: each code is compiled before it first runs. What comes out
 * must be, byte for byte, what the interpreter made of them (which the host has judged), and regions must really have run:
 * a forced run that silently interpreted would show nothing.
 */
import { layoutRows, variantsOf } from "../../../src/cpu/decode/variants.ts";
import type { SoftwareEngine } from "../../../src/cpu/engine.ts";
import { numberHandlers } from "../../../src/cpu/interpreter/generate.ts";
import type { Row } from "../../../src/cpu/table/row.ts";
import { opcodeTable } from "../../../src/cpu/table/table.ts";
import { VariantTable } from "../../../src/cpu/translator/variant-table.ts";

export { FORCED } from "../../../src/cpu/translator/testing.ts";

/** Instructions executed in regions so far. */
export function executedInRegions(engine: SoftwareEngine): number {
  const { regionStatistics } = engine;
  if (regionStatistics === undefined) throw new Error("this engine has no translator");
  return regionStatistics.executed;
}

interface List {
  readonly length: number;
}

/** A runner with a forced engine, and what it has shown so far. */
export class ForcedTwin<Cases extends List> {
  readonly #runner: {
    readonly engine: SoftwareEngine;
    run(cases: Cases, every: number): { readonly bytes: Uint8Array };
  };
  /** Cases compared, and instructions that regions executed in them. */
  compared = 0;

  constructor(runner: ForcedTwin<Cases>["runner"]) {
    this.#runner = runner;
  }

  get runner() {
    return this.#runner;
  }

  get executed(): number {
    return executedInRegions(this.#runner.engine);
  }

  /** Runs about `wanted` of the cases. Answers the numbers of those that end otherwise than `ours`, and what regions executed. */
  run(cases: Cases, ours: { readonly bytes: Uint8Array }, wanted: number): { differing: number[]; executed: number } {
    // Odd: lists have an even number of states for each code.
    const every = cases.length <= wanted ? 1 : Math.floor(cases.length / wanted) | 1;
    const before = this.executed;
    const { bytes } = this.#runner.run(cases, every);
    const size = bytes.length / cases.length;
    const differing: number[] = [];
    for (let n = 0; n < cases.length; n += every) {
      this.compared++;
      const [at, end] = [n * size, (n + 1) * size];
      if (Buffer.compare(bytes.subarray(at, end), ours.bytes.subarray(at, end)) !== 0) differing.push(n);
    }
    return { differing, executed: this.executed - before };
  }
}

const table = new VariantTable(opcodeTable);
const { renumber } = numberHandlers(opcodeTable);
const translated = new Set<Row>();
for (const layout of layoutRows(opcodeTable).layouts)
  for (const variant of variantsOf(layout))
    if (table.traits(renumber[variant.handler]).isTranslatable) translated.add(layout.row);

/** Whether the translator takes instructions of a row at all. */
export const isTranslated = (row: Row): boolean => translated.has(row);
