/** Builds segmented-runner.c and runs cases on the host CPU. */
import { spawnSync } from "node:child_process";
import { buildRunner } from "./native-runner.ts";
import {
  BACKGROUND,
  CASE_BYTES,
  LDT,
  OUTCOME_BYTES,
  type SegmentedCases,
  SegmentedOutcomes,
} from "./segmented-case.ts";

const BATCH = 256;
let program: string | undefined;
let preamble: Uint8Array | undefined;

/** The LDT as struct user_desc (asm/ldt.h), and the contents of memory. */
function makePreamble(): Uint8Array {
  const entries = new DataView(new ArrayBuffer(4 + LDT.length * 16));
  entries.setUint32(0, LDT.length, true);
  LDT.forEach((item, n) => {
    const at = 4 + n * 16;
    entries.setUint32(at, item === undefined ? 0xffffffff : n, true);
    if (item === undefined) return;
    entries.setUint32(at + 4, item.base, true);
    entries.setUint32(at + 8, item.limit, true);
    const bits = [item.is32, item.contents, item.isRestricted, item.isInPages, item.isAbsent, item.isUseable].map(
      Number,
    );
    entries.setUint32(
      at + 12,
      bits[0] | (bits[1] << 1) | (bits[2] << 3) | (bits[3] << 4) | (bits[4] << 5) | (bits[5] << 6),
      true,
    );
  });
  return Buffer.concat([new Uint8Array(entries.buffer), BACKGROUND]);
}

/** Executes all cases of the list natively. */
export function runSegmentedNative(cases: SegmentedCases): SegmentedOutcomes {
  program ??= buildRunner("segmented-runner.c");
  preamble ??= makePreamble();
  const chunks: Uint8Array[] = [preamble];
  for (let first = 0; first < cases.length; first += BATCH) {
    const count = Math.min(BATCH, cases.length - first);
    chunks.push(new Uint8Array(Uint32Array.of(count).buffer));
    chunks.push(cases.bytes.subarray(first * CASE_BYTES, (first + count) * CASE_BYTES));
  }
  const size = cases.length * OUTCOME_BYTES;
  const result = spawnSync(program, { input: Buffer.concat(chunks), maxBuffer: size + 4096 });
  if (result.status !== 0 || result.stdout.length !== size)
    throw new Error(
      `native runner: status ${result.status} ${result.signal}, ${result.stdout.length} of ${size} bytes: ${result.stderr}`,
    );
  return new SegmentedOutcomes(new Uint8Array(result.stdout));
}
