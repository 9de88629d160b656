/**
 * The whole opcode map, with and without the prefixes that may select other instructions, over all register forms and
 * extensions: what the engine executes the host executes too, and what only the host does is on the list below.
 */
import { expect, test } from "vitest";
import { DATA, SegmentedCases } from "./native/segmented-case.ts";
import { SegmentedEngine } from "./native/segmented-engine.ts";
import { runSegmentedNative } from "./native/segmented-native.ts";

const UNDEFINED = 6;
const FLAG_TF = 0x100;

/** Instructions that hosts have and the engine's processor has not, as "prefix opcode modrm". */
const newer: readonly (readonly [pattern: RegExp, name: string])[] = [
  [/^(66 |f2 |f3 )?d[bdf] 0f$/, "FISTTP (SSE3)"],
  [/^(66|f2) 0f (7c|7d|d0) /, "HADDPD, HSUBPD, ADDSUBPD and the like (SSE3)"],
  [/^f3 0f 1[26] |^f2 0f (12|f0) /, "MOVSLDUP, MOVSHDUP, MOVDDUP, LDDQU (SSE3)"],
  [/^f3 0f b8 /, "POPCNT"],
  [/^(66 |f2 |f3 )?c[67] f8$/, "XABORT, XBEGIN (TSX)"],
  [/^0f 01 d[56]$/, "XEND, XTEST (TSX)"],
  [/^0f 01 d[017]$/, "XGETBV, XSETBV, ENCLU"],
  [
    /^(66 |f2 |f3 )?0f 01 (cc|cf|e[89a-f]|f[9a-f])$/,
    "RDTSCP, SERIALIZE, suspension of transactions, protection keys …",
  ],
  [/^0f ae (27|2f|37)$/, "XSAVE, XRSTOR, XSAVEOPT"],
  [/^66 0f ae (37|3f|f.)$/, "CLWB, CLFLUSHOPT, TPAUSE"],
  [/^f[23] 0f ae /, "PTWRITE, FSGSBASE, UMONITOR, UMWAIT …"],
  [/^(66 |f2 |f3 )?0f c7 f.$/, "RDRAND, RDSEED, RDPID"],
  [/^0f c7 (1f|27|2f)$/, "XRSTORS, XSAVEC, XSAVES"],
  [/^(66 |f2 |f3 )?0f c7 (37|3f)$/, "virtual machine pointers"],
];

const hex = (value: number): string => value.toString(16).padStart(2, "0");

interface Encoding {
  readonly name: string;
  readonly code: number[];
}

function encodings(): Encoding[] {
  const prefixBytes = new Set([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x0f]);
  // INT n, SYSCALL, SYSRET and SYSENTER belong to the host's kernel; 0F 38 and 0F 3A are further maps.
  const left = new Set([0x05, 0x07, 0x34, 0x38, 0x3a]);
  const list: Encoding[] = [];
  for (const prefix of [[], [0x66], [0xf3], [0xf2]]) {
    for (const map of [[], [0x0f]]) {
      for (let opcode = 0; opcode < 256; opcode++) {
        if (map.length === 0 && (prefixBytes.has(opcode) || opcode === 0xcd)) continue;
        if (map.length === 1 && left.has(opcode)) continue;
        // All register forms, and [EDI] with each extension.
        for (let n = 0; n < 72; n++) {
          const modrm = n < 64 ? 0xc0 + n : ((n - 64) << 3) | 7;
          // Calls to a hypervisor.
          if (map.length === 1 && opcode === 0x01 && ((modrm >= 0xc0 && modrm < 0xc8) || (modrm & 0xf8) === 0xd8))
            continue;
          const code = [...prefix, ...map, opcode, modrm];
          list.push({ name: code.map(hex).join(" "), code: [...code, 0, 0, 0, 0, 0, 0] });
        }
      }
    }
  }
  return list;
}

test("the engine and the host agree on what is an instruction", async () => {
  const engine = await SegmentedEngine.create();
  const list = encodings();
  const cases = new SegmentedCases();
  for (const { code } of list) {
    const item = cases.add(code);
    for (let register = 0; register < 8; register++) item.setGpr(register, DATA + 0x400 + register * 16);
    item.setGpr(1, 1);
    // One instruction, wherever it leads.
    item.setEflags(0x202 | FLAG_TF);
  }
  const native = runSegmentedNative(cases);
  const ours = engine.run(cases);
  const found: string[] = [];
  list.forEach(({ name }, n) => {
    const isHere = ours.vector(n) !== UNDEFINED;
    const isThere = native.vector(n) !== UNDEFINED;
    if (isHere && !isThere) found.push(`${name}: only here`);
    if (!isHere && isThere && !newer.some(([pattern]) => pattern.test(name))) found.push(`${name}: only on the host`);
  });
  expect(found).toEqual([]);
});

test("the maps 0F 38 and 0F 3A are undefined", async () => {
  const engine = await SegmentedEngine.create();
  const cases = new SegmentedCases();
  for (const prefix of [[], [0x66], [0xf2]])
    for (const map of [0x38, 0x3a])
      for (let opcode = 0; opcode < 256; opcode++) cases.add([...prefix, 0x0f, map, opcode, 0xc1, 0]);
  const ours = engine.run(cases);
  for (let n = 0; n < cases.length; n++) expect(ours.vector(n)).toBe(UNDEFINED);
});
