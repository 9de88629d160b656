/**
 * Every general-purpose and system row of the opcode table against the host CPU, in every variant: operand and address
 * sizes, register and memory forms, segments of an LDT, 16-bit code and stacks, LOCK and REP, page and segment ends,
 * single steps. A row or a variant without a case fails.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { integerRows } from "../../src/cpu/table/integer.ts";
import { mmxRows } from "../../src/cpu/table/mmx.ts";
import type { Row } from "../../src/cpu/table/row.ts";
import { sseRows } from "../../src/cpu/table/sse.ts";
import { systemRows } from "../../src/cpu/table/system.ts";
import { opcodeTable } from "../../src/cpu/table/table.ts";
import { x87Rows } from "../../src/cpu/table/x87.ts";
import { x87ControlRows } from "../../src/cpu/table/x87-control.ts";
import { exemptions } from "./native/exemptions.ts";
import { FORCED, ForcedTwin, isTranslated } from "./native/forced.ts";
import { CS_FLAT, DATA, outcome, SegmentedCases, segment, selectorOf } from "./native/segmented-case.ts";
import { describeSegmentedCase, segmentedDifferences } from "./native/segmented-compare.ts";
import { SegmentedEngine } from "./native/segmented-engine.ts";
import { runSegmentedNative } from "./native/segmented-native.ts";
import { compareRow, type SuiteOptions } from "./native/segmented-suite.ts";
import { undefinedFlags } from "./native/undefined-flags.ts";

const options: SuiteOptions = { encodings: Number(process.env.ENCODINGS ?? 150), states: 6, perVariant: 3 };
const SHOWN = 5;
/** Cases of a row that run once more, translated. */
const FORCED_PER_ROW = Number(process.env.FORCED_CASES ?? 100);

/** Instructions that do nothing at level 3 but fault: regions leave in front of them. */
const onlyFaults = /^(ud[012]|rdpmc)$/;
/** Regions execute these in ring 0 only. */
const isSupervisors = ({ mnemonic, operands, options }: Row): boolean =>
  (options.inRegions === true && !/^(cld|std)$/.test(mnemonic)) || operands.includes("Cd");

/** Rows that say nothing against a host under Linux, and where they are tested instead. */
const elsewhere: { readonly [mnemonic: string]: { reason: string; file: string } } = {
  sysenter: { reason: "enters the host's kernel", file: "src/cpu/system/registers.test.ts" },
  // Below, in this file.
  sldt: { reason: "the host may have UMIP, where Linux answers in the processor's place", file: "" },
  str: { reason: "UMIP", file: "" },
  sgdt: { reason: "UMIP", file: "" },
  sidt: { reason: "UMIP", file: "" },
  smsw: { reason: "UMIP", file: "" },
};

let engine: SegmentedEngine;
let forced: ForcedTwin<SegmentedCases>;
beforeAll(async () => {
  engine = await SegmentedEngine.create();
  forced = new ForcedTwin(await SegmentedEngine.create(FORCED));
});

const nameOf = (row: Row): string => `${row.opcode} ${row.mnemonic} ${row.operands}`;

describe.each([
  ["general-purpose instructions", integerRows],
  ["system instructions", systemRows],
] as const)("%s", (_, rows) => {
  test.each(rows.filter((row) => elsewhere[row.mnemonic] === undefined).map((row) => [nameOf(row), row] as const))(
    "%s",
    (_name, row) => {
      const { made, ours, found } = compareRow(row, engine, options);
      expect(made.missing, "variants without a case").toEqual([]);
      expect(found.slice(0, SHOWN), `${found.length} of ${made.cases.length} cases differ`).toEqual([]);
      const { differing, executed } = forced.run(made.cases, ours, FORCED_PER_ROW);
      expect(differing.slice(0, SHOWN).map((n) => describeSegmentedCase(made.cases, n))).toEqual([]);
      if (isTranslated(row) && !onlyFaults.test(row.mnemonic) && !isSupervisors(row))
        expect(executed, "instructions in regions").toBeGreaterThan(0);
    },
  );
});

test("every row of the opcode table has cases", () => {
  // x87.test.ts and sse.test.ts walk these tables as this file walks the other two.
  const walked = new Set<Row>([...integerRows, ...systemRows, ...x87Rows, ...x87ControlRows, ...mmxRows, ...sseRows]);
  expect(opcodeTable.filter((row) => !walked.has(row)).map(nameOf)).toEqual([]);
  for (const [mnemonic, { file }] of Object.entries(elsewhere)) {
    expect(
      systemRows.some((row) => row.mnemonic === mnemonic),
      mnemonic,
    ).toBe(true);
    if (file === "") continue;
    const path = join(import.meta.dirname, "../..", file);
    expect(existsSync(path) && readFileSync(path, "utf8").toLowerCase().includes(mnemonic), file).toBe(true);
  }
});

test("the lists of what is not compared name instructions that exist", () => {
  const mnemonics = new Set(opcodeTable.map((row) => row.mnemonic));
  expect(Object.keys(undefinedFlags).filter((mnemonic) => !mnemonics.has(mnemonic))).toEqual([]);
  for (const exemption of exemptions) {
    if (exemption.mnemonics === undefined) continue;
    expect(
      [...mnemonics].some((mnemonic) => exemption.mnemonics?.test(mnemonic)),
      exemption.reason,
    ).toBe(true);
  }
});

test("privileged instructions raise #GP(0) at level 3, here and natively", () => {
  const privileged =
    /^(cli|sti|hlt|lldt|ltr|lgdt|lidt|lmsw|invlpg|clts|invd|wbinvd|rdmsr|wrmsr|sysexit|in|out|insb?|outsb?)$/;
  const rows = opcodeTable.filter(
    (row) => privileged.test(row.mnemonic) || row.operands.some((code) => /^[CD]d$/.test(code)),
  );
  expect(rows.length).toBeGreaterThan(30);
  for (const row of rows) {
    const { made, native } = compareRow(row, engine, { ...options, encodings: 20, perVariant: 1 });
    let refused = 0;
    for (let n = 0; n < made.cases.length; n++) {
      const form = made.forms[n];
      // LOCK, control registers that do not exist, and REP with a count of zero.
      if (native.vector(n) === 6 || (native.vector(n) === 14 && native.get(n, outcome.cr2) >>> 16 === 0x2001)) continue;
      const isNothing = form.repeat !== 0 && native.gpr(n, 1) % (form.addressWidth === 16 ? 65536 : 2 ** 32) === 0;
      if (isNothing || /^(ins|outs)/.test(row.mnemonic)) continue;
      expect([native.vector(n), native.get(n, outcome.error)], describeSegmentedCase(made.cases, n)).toEqual([13, 0]);
      refused++;
    }
    if (!/^(ins|outs)/.test(row.mnemonic)) expect(refused, nameOf(row)).toBeGreaterThan(10);
  }
});

/** Runs one instruction in the engine only: all segments flat. */
function runHere(code: readonly number[], gpr: { readonly [register: number]: number } = {}) {
  const cases = new SegmentedCases();
  const item = cases.add(code);
  item.setGpr(4, DATA + 0x800);
  for (const [register, value] of Object.entries(gpr)) item.setGpr(Number(register), value);
  return engine.run(cases);
}

test("SLDT, STR, SMSW, SGDT and SIDT are allowed at level 3", () => {
  const LDT_SELECTOR = 0x50;
  const TSS_SELECTOR = 0x40;
  const CR0 = 0x80050033;
  for (const [bytes, register, word] of [
    [[0x0f, 0x00, 0xc2], LDT_SELECTOR, LDT_SELECTOR],
    [[0x0f, 0x00, 0xca], TSS_SELECTOR, TSS_SELECTOR],
    [[0x0f, 0x01, 0xe2], CR0, CR0 & 0xffff],
  ] as const) {
    // The whole register, its low half, a word in memory.
    expect(runHere(bytes, { 2: 0xaaaaaaaa }).gpr(0, 2)).toBe(register);
    expect(runHere([0x66, ...bytes], { 2: 0xaaaaaaaa }).gpr(0, 2)).toBe(0xaaaa0000 + word);
    const memory = [bytes[0], bytes[1], bytes[2] & 0x3f];
    for (const prefix of [[], [0x66]]) {
      const end = runHere([...prefix, ...memory], { 2: DATA + 4 });
      expect([end.get(0, outcome.first), end.get(0, outcome.end)]).toEqual([4, 8]);
      expect(end.shown(0)[0] | (end.shown(0)[1] << 8)).toBe(word);
    }
  }
  for (const [field, limit, base] of [
    [0x02, 0x7f, 0xf8001000],
    [0x0a, 0xff, 0xf8002000],
  ]) {
    for (const prefix of [[], [0x66]]) {
      const shown = runHere([...prefix, 0x0f, 0x01, field], { 2: DATA + 8 }).shown(0);
      const view = new DataView(shown.buffer, shown.byteOffset, shown.byteLength);
      expect([view.getUint16(0, true), view.getUint32(2, true)]).toEqual([limit, base]);
    }
    // A page fault leaves nothing behind.
    const fault = runHere([0x0f, 0x01, field], { 2: DATA + 0x1ffd });
    expect([fault.vector(0), fault.get(0, outcome.cr2), fault.get(0, outcome.end)]).toEqual([14, DATA + 0x2000, 0]);
  }
});

test("instructions of 14 to 16 bytes, at every distance from the end of a page and of the code", () => {
  const cases = new SegmentedCases();
  const prefixes = [0x3e, 0x66, 0x26, 0x2e, 0x65];
  // ADD EAX, EBX; an undefined extension; MOV EAX, [EDI + disp32]; UD0; MOV EAX, imm; an undefined opcode.
  for (const tail of [
    [0x01, 0xd8],
    [0x0f, 0xba, 0xc0],
    [0x8b, 0x87, 0, 0, 0, 0],
    [0x0f, 0xff, 0xc0],
    [0xb8, 1, 2, 3, 4],
    [0x0f, 0x04],
  ]) {
    for (const length of [14, 15, 16]) {
      const code = [...Array.from({ length: length - tail.length }, (_, n) => prefixes[n % prefixes.length]), ...tail];
      for (const end of [0x1000, 0x10000]) {
        for (let distance = 0; distance <= 16; distance++) {
          for (const cs of [CS_FLAT, selectorOf("code32"), selectorOf("code16"), selectorOf("codeShort")]) {
            if (cs === selectorOf("codeShort") && end > 0x1000) continue;
            const item = cases.add(code.slice(0, 16), end - distance);
            item.setSegment(segment.cs, cs);
            item.setSegment(segment.gs, selectorOf("data32"));
            item.setGpr(4, DATA + 0x800);
            item.setGpr(7, DATA + 0x100);
          }
        }
      }
    }
  }
  const native = runSegmentedNative(cases);
  const ours = engine.run(cases);
  expect(forced.run(cases, ours, FORCED_PER_ROW).differing).toEqual([]);
  const found: string[] = [];
  for (let n = 0; n < cases.length; n++) {
    const here = segmentedDifferences(native, ours, n);
    if (here.length > 0) found.push(`${describeSegmentedCase(cases, n)}\n    ${here.join("\n    ")}`);
  }
  expect(found.slice(0, SHOWN), `${found.length} of ${cases.length} cases differ`).toEqual([]);
});
