/**
 * The reviewed list of results of general-purpose and system instructions that may differ from the host's, with a reason
 * each. (Undefined flags: undefined-flags.ts.)
 */
import type { Form } from "./instruction-forms.ts";
import { outcome, type SegmentedOutcomes } from "./segmented-case.ts";
import type { SegmentedMask } from "./segmented-compare.ts";

export interface Exemption {
  readonly reason: string;
  readonly mnemonics?: RegExp;
  /** Of the outcome: only then. */
  readonly applies?: (form: Form, native: SegmentedOutcomes, engine: SegmentedOutcomes, n: number) => boolean;
  /** "all": the case says nothing. */
  readonly mask: SegmentedMask | "all";
}

const isFault = (_form: Form, native: SegmentedOutcomes, _engine: SegmentedOutcomes, n: number): boolean =>
  native.get(n, outcome.vector) !== 3;
const ALL_BITS = 0xffffffff;

export const exemptions: readonly Exemption[] = [
  {
    reason:
      "A fault in the middle leaves slots below the stack pointer written on the host; the engine checks first. The " +
      "instruction writes them again when it is restarted.",
    mnemonics: /^(pusha|call|callf)$/,
    applies: isFault,
    mask: { isMemoryIgnored: true },
  },
  {
    reason: "A fault in the middle leaves registers loaded on the host; restarting loads them again.",
    mnemonics: /^popa$/,
    applies: isFault,
    mask: { gpr: { 0: ALL_BITS, 1: ALL_BITS, 2: ALL_BITS, 3: ALL_BITS, 5: ALL_BITS, 6: ALL_BITS, 7: ALL_BITS } },
  },
  {
    reason:
      "SDM volume 2, PUSH: a 32-bit push of a segment register writes a word on the host and a zero-extended doubleword " +
      "in the engine, so that page, limit and alignment of the upper half matter to the latter. (Where it is written, the " +
      "cases have zeros there.)",
    mnemonics: /^push$/,
    applies: (form, _native, engine, n) =>
      /^[CDEFGS]S$/.test(form.row.operands[0]) && form.width === 32 && [12, 14, 17].includes(engine.vector(n)),
    mask: "all",
  },
  {
    reason: "SDM volume 2, LAR: bits 16 to 19 of the result are undefined.",
    mnemonics: /^lar$/,
    mask: { gpr: Object.fromEntries([0, 1, 2, 3, 4, 5, 6, 7].map((register) => [register, 0xf0000])) },
  },
  {
    reason: "The time stamp differs. (Its counting: src/cpu/system/registers.test.ts.)",
    mnemonics: /^rdtsc$/,
    mask: { gpr: { 0: ALL_BITS, 2: ALL_BITS } },
  },
  {
    reason: "The processors differ. (What ours says: src/cpu/system/registers.test.ts.)",
    mnemonics: /^cpuid$/,
    mask: { gpr: { 0: ALL_BITS, 1: ALL_BITS, 2: ALL_BITS, 3: ALL_BITS } },
  },
  {
    reason:
      "SDM volume 3, 5.3: whether an access over the end of a segment of 4 GiB is a limit violation or wraps depends on " +
      "the implementation. The host wraps only where the base is 0, the engine always: seen here as the page fault at " +
      "the base of the one such segment in the LDT.",
    applies: (_form, native, engine, n) => {
      const cr2 = engine.get(n, outcome.cr2);
      const isLimit = native.vector(n) === 12 || native.vector(n) === 13;
      return isLimit && native.get(n, outcome.error) === 0 && cr2 >= 0xefffffc0 && cr2 <= 0xf0000010;
    },
    mask: "all",
  },
];

/** What may differ in a case; "all" if everything may. */
export function exemptionOf(
  form: Form,
  native: SegmentedOutcomes,
  engine: SegmentedOutcomes,
  n: number,
): SegmentedMask | "all" {
  let mask: SegmentedMask = {};
  for (const exemption of exemptions) {
    if (exemption.mnemonics !== undefined && !exemption.mnemonics.test(form.row.mnemonic)) continue;
    if (exemption.applies !== undefined && !exemption.applies(form, native, engine, n)) continue;
    if (exemption.mask === "all") return "all";
    mask = { ...mask, ...exemption.mask };
  }
  return mask;
}
