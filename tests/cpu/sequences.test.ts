/**
 * Sequences of general-purpose instructions against the host CPU: flags that one leaves behind (lazily, in the engine) and
 * another looks at, partial registers, skipped instructions.
 */
import { expect, test } from "vitest";
import { integerRows } from "../../src/cpu/table/integer.ts";
import type { Row } from "../../src/cpu/table/row.ts";
import { value } from "./native/case-state.ts";
import { encode } from "./native/encode.ts";
import { flagsRead, undefinedBehind } from "./native/flag-use.ts";
import { executedInRegions, FORCED } from "./native/forced.ts";
import { pick, type Random } from "./native/instruction-forms.ts";
import { CS_FLAT, DATA, outcome, SegmentedCases, segment, selectorOf } from "./native/segmented-case.ts";
import { describeSegmentedCase, segmentedDifferences } from "./native/segmented-compare.ts";
import { SegmentedEngine } from "./native/segmented-engine.ts";
import { runSegmentedNative } from "./native/segmented-native.ts";
import { createRandom } from "./native/values.ts";

const SEQUENCES = Number(process.env.SEQUENCES ?? 15_000);
const STATES = 3;
const SHOWN = 5;
const ESP = 4;

const isJump = (row: Row): boolean => /^j/.test(row.mnemonic);
/** What works on registers and flags, and pushes; POP of registers stays within the stack's page. */
const suitable = integerRows.filter((row) => {
  if (row.mnemonic === "jmp" || row.mnemonic === "jcxz" || row.mnemonic === "bswap") return false;
  if (isJump(row)) return true;
  if (/^(mov|pop|push|x|cwd|cbw|add|adc|sub|sbb|and|or|cmp|test|inc|dec|neg|not|set|cmov)/.test(row.mnemonic))
    return row.operands.every((code) => /^([EGZI][bvw]|Isb|AL|eAX)$/.test(code)) && row.mnemonic !== "xlat";
  if (/^(ro|rc|sh|sa|bt|bs|mul|imul|div|idiv|aa|da|cl|st|cm|lahf|sahf|salc)/.test(row.mnemonic))
    return row.operands.every((code) => /^([EGI]b|[EG]v|Ebv|I[bv]|Isb|1|CL)$/.test(code));
  return false;
});

interface Sequence {
  readonly code: number[];
  readonly undefinedAtEnd: number;
  /** Of all points in the sequence: if it ends early. */
  readonly undefinedAnywhere: number;
}

function chooseSequence(isCode32: boolean, random: Random): Sequence {
  const code: number[] = [];
  let now = 0;
  let anywhere = 0;
  /** Length byte of a jump over the next instruction, and what is undefined if it jumps. */
  let jump = -1;
  let undefinedIfJumped = 0;
  for (let tries = 0; tries < 40; tries++) {
    const row = pick(random, suitable);
    const isWidth16 = random() % 3 === 0;
    const width = /^.b/.test(row.operands[0] ?? "") ? 8 : isWidth16 ? 16 : 32;
    const reg = random() & 7;
    const rm = random() & 7;
    // ESP stays what it is.
    if ((reg === ESP || rm === ESP) && width !== 8) continue;
    if ((flagsRead(row) & now) !== 0) continue;
    const operand = row.operands.at(-1);
    const immediate = value(random);
    const count = operand === "CL" ? -1 : operand === "1" ? 1 : immediate & 31;
    // The result of a double shift by more than the width is undefined.
    if (/^sh[lr]d$/.test(row.mnemonic) && width === 16 && (count < 0 || count > 16)) continue;
    let bytes = encode(row, { isWidth16, reg, rm, immediate: isJump(row) ? 0 : immediate });
    if (!isCode32) bytes = isWidth16 ? bytes.slice(1) : [0x66, ...bytes];
    if (isJump(row)) {
      // A jump of 16 bits leads out of a 32-bit segment.
      if (jump >= 0 || isWidth16 === isCode32 || code.length + bytes.length > 10) continue;
      jump = code.length + bytes.length - (row.operands[0] === "Jb" ? 1 : isWidth16 ? 2 : 4);
      undefinedIfJumped = now;
      code.push(...bytes);
      continue;
    }
    if (code.length + bytes.length > 15) break;
    code.push(...bytes);
    now = undefinedBehind(row, now, count, width);
    anywhere |= now;
    if (jump >= 0) {
      code[jump] = bytes.length;
      now |= undefinedIfJumped;
      jump = -1;
    }
  }
  return { code, undefinedAtEnd: now, undefinedAnywhere: anywhere };
}

test.each([
  ["32-bit code", CS_FLAT, true, {}, SEQUENCES],
  ["16-bit code", selectorOf("code16"), false, {}, SEQUENCES],
  // Each case is compiled before it runs once: dearer, so fewer.
  ["32-bit code, translated", CS_FLAT, true, FORCED, Math.ceil(SEQUENCES / 10)],
] as const)("%s", async (name, cs, isCode32, tuning, count) => {
  const engine = await SegmentedEngine.create(tuning);
  const random = createRandom(name.length * 0x1234567);
  const cases = new SegmentedCases();
  const sequences: Sequence[] = [];
  for (let n = 0; n < count; n++) {
    const sequence = chooseSequence(isCode32, random);
    for (let state = 0; state < STATES; state++) {
      const item = cases.add(sequence.code);
      item.setSegment(segment.cs, cs);
      for (let r = 0; r < 8; r++) item.setGpr(r, value(random));
      item.setGpr(ESP, DATA + 0x800 + (random() & 0x3fc));
      item.setEflags(0x202 | (random() & 0x8d5));
      sequences.push(sequence);
    }
  }
  const native = runSegmentedNative(cases);
  const ours = engine.run(cases);
  // Some end early by a fault, and what is not translated ends a region.
  if (tuning === FORCED) expect(executedInRegions(engine.engine)).toBeGreaterThan(cases.length * 2);
  const found: string[] = [];
  for (let n = 0; n < cases.length; n++) {
    const { code, undefinedAtEnd, undefinedAnywhere } = sequences[n];
    const isWhole = native.vector(n) === 3 && (native.get(n, outcome.eip) & 0xff) === ((code.length + 1) & 0xff);
    const here = segmentedDifferences(native, ours, n, { flags: isWhole ? undefinedAtEnd : undefinedAnywhere });
    if (here.length > 0) found.push(`${describeSegmentedCase(cases, n)}\n    ${here.join("\n    ")}`);
  }
  expect(found.slice(0, SHOWN), `${found.length} of ${cases.length} cases differ`).toEqual([]);
});

test("the sequences use what they are there for", () => {
  const mnemonics = new Set(suitable.map((row) => row.mnemonic));
  for (const mnemonic of [
    "adc",
    "inc",
    "rcl",
    "jbe",
    "setl",
    "cmovs",
    "lahf",
    "sahf",
    "daa",
    "shld",
    "btc",
    "cmpxchg",
    "pop",
  ])
    expect(mnemonics.has(mnemonic), mnemonic).toBe(true);
});
