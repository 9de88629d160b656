/**
 * `npm run bench`: the kernels of bench/kernels.ts on Anneau and its peers. Prints one Markdown table. Not a test: nothing
 * here fails for being slow.
 *
 *   --only NAME,…      these kernels           --rounds N        interleaved rounds (5)
 *   --peers NAME,…     these peers             --permille N      share of the full size (1000)
 *   --anneau [LABEL=]PATH   bin/anneau of another build; repeat it to compare builds
 *   --anneau-flags TEXT     more words for `anneau run`
 */
import { parseArgs } from "node:util";
import { selectKernels } from "./kernels.ts";
import { makePeers } from "./peers.ts";
import { Report } from "./report.ts";
import { runSuite } from "./suite.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    rounds: { type: "string", default: "5" },
    peers: { type: "string", default: "anneau,qemu-x86_64,qemu-i386,native" },
    permille: { type: "string", default: "1000" },
    patience: { type: "string", default: "600" },
    anneau: { type: "string", multiple: true, default: [] },
    "anneau-flags": { type: "string", default: "" },
  },
});
const words = (text: string, separator: string | RegExp) => text.split(separator).filter((word) => word !== "");

const chosen = selectKernels(words(values.only, ","));
const peers = makePeers(words(values.peers, ","), {
  anneau: values.anneau,
  anneauFlags: words(values["anneau-flags"], /\s+/),
});
const result = await runSuite({
  kernels: chosen,
  peers,
  rounds: Number(values.rounds),
  permille: Number(values.permille),
  patienceSeconds: Number(values.patience),
  onProgress: (text) => console.error(text),
});
console.log(new Report(chosen, peers, result).table());
for (const failure of result.failures) console.error(failure);
if (result.failures.length > 0) process.exitCode = 1;
