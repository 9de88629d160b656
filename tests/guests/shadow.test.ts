/**
 * Guests in shadow mode (src/cpu/translator/shadow.ts): what regions do is repeated and compared, instruction by instruction. Each guest for a
 * while; `node scripts/shadow-guests.ts` does it for 200 million instructions of each, `SHADOW_INSTRUCTIONS=N` for N here.
 */
import { expect, test } from "vitest";
import { EngineRun, engineGuests } from "../../scripts/engine-guests.ts";

const INSTRUCTIONS = Number(process.env.SHADOW_INSTRUCTIONS ?? 10_000_000);
/** What a guest needs at most to get there, or to its end. */
const MAX_INSTRUCTIONS = 2_000_000_000;
/** 16-bit code is the interpreter's: nothing to compare, the guest comes to its end. */
const only16Bit = new Set(["freedos"]);

/** Minutes until it begins to test: the script's business. */
const slow = new Set(["memtest"]);

test.each([...engineGuests.keys()].filter((name) => !slow.has(name)))("%s", async (name) => {
  const run = await EngineRun.start(name, { hotThreshold: 64, regions: { batch: 4 }, shadow: {} });
  const compared = () => run.engine.shadowStatistics?.instructions ?? 0;
  const how = run.run(() => compared() >= INSTRUCTIONS, MAX_INSTRUCTIONS);
  expect(how, run.pc.describe()).not.toBe("not there");
  if (how === "end" && !only16Bit.has(name)) expect(compared()).toBeGreaterThan(1_000_000);
  console.log(`${name}: ${compared()} instructions compared, equal (${how})`);
});
