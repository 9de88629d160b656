/**
 * Boots guests in shadow mode: what regions do is repeated by an interpreter that walks the page tables itself, and compared. One
 * line for each guest; the first difference is printed with both sides' traces, and ends it.
 *
 *   node scripts/shadow-guests.ts [--instructions N] [--every N] [--threshold N] [GUEST…]
 *
 * `--instructions`: compared in each guest (200 million unless given); `--every`: one run of so many is compared (1); `--threshold`:
 * jumps before a translation (64; 1 forces everything through the translator).
 */
import { ShadowDifference } from "../src/cpu/translator/shadow.ts";
import { EngineRun, engineGuests } from "./engine-guests.ts";
import { readOptions, runProgram, whole } from "./options.ts";

/** A guest that does not come to what is to be compared. */
const MAX_INSTRUCTIONS = 30_000_000_000;

const { values, positionals } = readOptions({
  allowPositionals: true,
  options: {
    instructions: { type: "string", default: "200000000" },
    every: { type: "string", default: "1" },
    threshold: { type: "string", default: "64" },
  },
});
const wanted = whole("instructions", values.instructions);
for (const name of positionals.length > 0 ? positionals : engineGuests.keys()) await runProgram(() => compare(name));

async function compare(name: string): Promise<void> {
  const startedAtMs = performance.now();
  const run = await EngineRun.start(name, {
    hotThreshold: whole("threshold", values.threshold),
    regions: { batch: values.threshold === "1" ? 1 : 4 },
    shadow: { every: whole("every", values.every) },
  });
  const { engine } = run;
  const million = (count: number | undefined) => `${((count ?? 0) / 1e6).toFixed(1)} M`;
  const compared = () => engine.shadowStatistics?.instructions ?? 0;
  try {
    const how = run.run(() => compared() >= wanted, MAX_INSTRUCTIONS);
    const seconds = Math.round((performance.now() - startedAtMs) / 1000);
    console.log(
      `${name}: ${million(engine.instructionCount)} instructions, ${million(engine.regionStatistics?.executed)} in regions, ` +
        `${million(compared())} compared with ${million(engine.shadowStatistics?.stores)} stores, equal (${how}, ${seconds} s)`,
    );
  } catch (error) {
    if (!(error instanceof ShadowDifference)) throw error;
    console.log(`${name}: ${error.message}`);
    process.exitCode = 1;
  }
}
