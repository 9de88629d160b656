/**
 * Random programs (tests/cpu/random) in the interpreter and in the translator until something differs or the time is over.
 *
 *   node scripts/fuzz-translator.ts [--seed N] [--count N | --minutes N] [--threshold N] [--shadow]
 *
 * `--seed`: the first; today's date and 000 unless given. `--shadow`: each region's run is compared as well, which says where
 * it goes wrong; with one seed it is what to look at first.
 */
import { differencesOf, RandomMachine } from "../tests/cpu/random/machine.ts";
import { randomProgram } from "../tests/cpu/random/program.ts";
import { positive, readOptions, whole } from "./options.ts";

const { values } = readOptions({
  options: {
    seed: { type: "string" },
    count: { type: "string" },
    minutes: { type: "string", default: "10" },
    threshold: { type: "string", default: "2" },
    shadow: { type: "boolean", default: false },
  },
});
const first = whole("seed", values.seed ?? `${new Date().toISOString().slice(0, 10).replaceAll("-", "")}000`, 0);
const count = values.count === undefined ? Number.POSITIVE_INFINITY : whole("count", values.count);
const until = performance.now() + positive("minutes", values.minutes) * 60_000;
const interpreter = await RandomMachine.create({});
const translator = await RandomMachine.create({
  hotThreshold: whole("threshold", values.threshold),
  regions: { batch: 1 },
  ...(values.shadow ? { shadow: {} } : {}),
});
let seed = first;
let failed = 0;
for (; seed < first + count && performance.now() < until; seed++) {
  const program = randomProgram(seed);
  const found = differencesOf(interpreter.run(program), translator.run(program));
  if (found.length === 0) continue;
  failed++;
  console.log(`seed ${seed}: ${found.join("; ")}`);
}
console.log(
  `seeds ${first} to ${seed - 1}: ${failed} differ; ${interpreter.engine.instructionCount} instructions, ` +
    `${translator.engine.regionStatistics?.executed} in regions`,
);
process.exitCode = failed > 0 ? 1 : 0;
