/** Shadow mode: it agrees where regions are right, compares what it says, and finds what is wrong with them. */
import { describe, expect, test } from "vitest";
import { HALTED, memoryPages } from "../layout.ts";
import type { Row, Semantics } from "../table/row.ts";
import { opcodeTable } from "../table/table.ts";
import { JobCompiler, SynchronousCompileService } from "./compile-service.ts";
import { ShadowDifference } from "./shadow.ts";
import { DATA, engine, loop, RAM_BYTES, run, SHADOWED } from "./testing.ts";

/** mov eax, [esi]; add eax, ecx; mov [esi + 8], eax; add [edi], al; sub edx, eax; sbb ebx, 7; push edx; pop ebp */
const body = [0x8b, 0x06, 0x01, 0xc8, 0x89, 0x46, 0x08, 0x00, 0x07, 0x29, 0xc2, 0x83, 0xdb, 0x07, 0x52, 0x5d];

/** An engine in shadow mode whose regions are made from a table with the semantics of one row replaced. */
async function withWrong(name: string, semantics: (right: Semantics) => Semantics) {
  const isIt = (row: Row) => `${row.opcode} ${row.mnemonic}` === name;
  expect(opcodeTable.filter(isIt), name).toHaveLength(1);
  const rows = opcodeTable.map((row) => (isIt(row) ? { ...row, semantics: semantics(row.semantics) } : row));
  const compiler = JobCompiler.forRows(rows, memoryPages(RAM_BYTES, 0), true);
  return engine(SHADOWED, new SynchronousCompileService(compiler));
}

test("regions that are right: everything they executed has been compared", async () => {
  const shadowed = await engine(SHADOWED);
  const outcome = run(shadowed, loop(body, 100));
  expect(outcome.registers).toEqual(run(await engine({}), loop(body, 100)).registers);
  const { regionStatistics, shadowStatistics } = shadowed.cpu;
  expect(shadowStatistics?.instructions).toBe(regionStatistics?.executed);
  expect(shadowStatistics?.instructions).toBeGreaterThan(700);
  expect(shadowStatistics?.stores).toBeGreaterThan(250);
});

describe("a wrong row in the translator is found", () => {
  test.each<[string, string, (right: Semantics) => Semantics, RegExp]>([
    [
      "a register",
      "01 add",
      () => (b, i) => b.write(i.operands[0], b.add(b.read(i.operands[1]), b.add(b.read(i.operands[0]), b.i32(1)))),
      /state at/,
    ],
    ["nothing done", "29 sub", () => () => {}, /state at|flags/],
    [
      "flags only",
      "29 sub",
      (right) => (b, i) => {
        right(b, i);
        b.flagsLogic(32, b.i32(5));
      },
      /state at|flags/,
    ],
    [
      "a store's value",
      "89 mov",
      () => (b, i) => b.write(i.operands[0], b.add(b.read(i.operands[1]), b.i32(1))),
      /memory at/,
    ],
    [
      "one store more",
      "00 add",
      (right) => (b, i) => {
        right(b, i);
        b.storeAgain(b.i32(DATA + 0xc00), 1, b.i32(0x5a));
      },
      /memory at/,
    ],
    ["a store less", "00 add", () => () => {}, /flags|memory at/],
  ])("%s", async (_name, row, semantics, message) => {
    const shadowed = await withWrong(row, semantics);
    let thrown: unknown;
    try {
      run(shadowed, loop(body, 100));
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(ShadowDifference);
    const text = (thrown as Error).message;
    expect(text.split("\n")[0]).toMatch(message);
    // Both sides: where they began and ended, what they stored, and the interpreter's way.
    for (const line of [/^began with/m, /^region /m, /^interpreter /m, /^last stores of the region:/m, /^0 000/m])
      expect(text).toMatch(line);
  });
});

test("translated code that is no longer what stands in memory is found", async () => {
  const shadowed = await engine(SHADOWED);
  const { cpu, ram } = shadowed;
  run(shadowed, loop(body, 100));
  // Behind the engine's back: ADD EAX, ECX becomes SUB.
  const at = 0x10000 + 14 + 40 + 4;
  expect([...ram.subarray(at, at + 2)]).toEqual([0x01, 0xc8]);
  ram[at] = 0x29;
  cpu.state.i32[HALTED >> 2] = 0;
  cpu.setRegister("eip", at - 2);
  cpu.setRegister("esp", 0x2fffc);
  expect(() => cpu.run(10_000)).toThrow(ShadowDifference);
});
