/** Regions beside each other: one goes on in the next without the interpreter, nothing is compiled twice, nothing stays cold for ever. */
import { describe, expect, test } from "vitest";
import { CODE, DATA, engine, FORCED, PROGRAM, run, word } from "./testing.ts";

/** push count; l: body; dec dword [esp]; jnz l; add esp, 4 */
function countedLoop(count: number, body: readonly number[]): number[] {
  return [0x68, ...word(count), ...body, 0xff, 0x0c, 0x24, 0x0f, 0x85, ...word(-(body.length + 9)), 0x83, 0xc4, 0x04];
}

describe("regions beside each other", () => {
  const INCREMENTS = 60;
  const LOOPS = 6;
  /** call f; several loops that call f; jmp end; f: inc eax, many times; ret; end: */
  const programOf = (rounds: number, loops: number) => {
    const loopBytes = countedLoop(1, [0xe8, 0, 0, 0, 0]).length;
    const f = 5 + loops * loopBytes + 2;
    const code: number[] = [];
    const callF = (at: number) => [0xe8, ...word(f - (at + 5))];
    code.push(...callF(0));
    for (let n = 0; n < loops; n++) code.push(...countedLoop(rounds, callF(code.length + 5)));
    code.push(0xeb, INCREMENTS + 1, ...new Array<number>(INCREMENTS).fill(0x40), 0xc3);
    return code;
  };
  const program = programOf(300, LOOPS);

  test("a function that has its region is not compiled into its callers, which go on in it directly", async () => {
    const expected = run(await engine({}), program);
    const outcome = run(await engine(FORCED), program);
    expect({ ...outcome, cpu: undefined }).toEqual({ ...expected, cpu: undefined });
    const { instructions, links, entries, executed } = outcome.cpu.regionStatistics!;
    expect(instructions).toBeLessThan(2 * (INCREMENTS + LOOPS * 6));
    // There and back, each time round; the ends of budgets are the interpreter's.
    expect(executed).toBeGreaterThan(0.6 * outcome.instructions);
    expect(links).toBeGreaterThan(LOOPS * 250);
    expect(entries).toBeLessThan(links / 2);
  });

  test("regions that go on in each other all the time are joined", async () => {
    const long = programOf(28000, 1);
    const expected = run(await engine({}), long);
    const outcome = run(await engine({ ...FORCED, regions: { batch: 1, links: 500 } }), long);
    expect(outcome.registers).toEqual(expected.registers);
    const { joined, links } = outcome.cpu.regionStatistics!;
    expect(joined).toBeGreaterThan(0);
    const apart = run(await engine(FORCED), long).cpu.regionStatistics!;
    expect(apart.joined).toBe(0);
    expect(links).toBeLessThan(apart.links / 2);
  });

  test("in shadow mode each region is looked at for itself", async () => {
    const outcome = run(await engine({ ...FORCED, shadow: {} }), program);
    expect(outcome.cpu.regionStatistics!.links).toBe(0);
    expect(outcome.registers).toEqual(run(await engine({}), program).registers);
  });
});

test("what is wanted once waits for others, what goes on being executed takes them along", async () => {
  // 70 rounds are wanted after 64 and asked for again after eight more.
  const short = (register: number) => countedLoop(70, [0x40 + register, 0x90]);
  // CPUID ends a region.
  const apart = [0x0f, 0xa2];
  const program = [...short(0), ...apart, ...short(2), ...apart, ...countedLoop(20_000, [0x43, 0x90])];
  const { cpu, instructions } = run(await engine({ hotThreshold: 64 }), program);
  const { compiled, modules, executed } = cpu.regionStatistics!;
  expect({ compiled, modules }).toEqual({ compiled: 3, modules: 1 });
  expect(executed).toBeGreaterThan(0.6 * instructions);
});

test("what was pushed out by others stays away, instead of being compiled all the time", async () => {
  const inner = (register: number) => [...countedLoop(40, [0x40 + register, 0x90]), 0x0f, 0xa2];
  const program = countedLoop(200, [...inner(0), ...inner(6), ...inner(7)]);
  const { cpu } = run(await engine({ hotThreshold: 64, regions: { regions: 1 } }), program);
  const { compiled, evicted } = cpu.regionStatistics!;
  expect(evicted).toBeGreaterThan(0);
  expect(compiled).toBeLessThan(8);
});

test("a long row of INC, whose carries depend on each other, is compiled in no time", async () => {
  const program = [...countedLoop(200, [...new Array<number>(120).fill(0x40), 0x8b, 0x5e, 0x10])];
  const { registers } = run(await engine({}), program);
  expect(run(await engine(FORCED), program).registers).toEqual(registers);
});

test("a region that went because of another of its pages is made again", async () => {
  // Two rounds of: 400 times there (next page: inc ebx; jmp back) and back; then the code in the next page is stored to.
  const there = CODE + 0x1000 - PROGRAM;
  // mov edi, 2; again: mov ecx, 400; l: jmp there; back: dec ecx; jnz l; mov byte [there], 43h; dec edi; jnz again; jmp out
  const code = [0xbf, ...word(2)];
  const again = code.length;
  code.push(0xb9, ...word(400));
  const l = code.length;
  code.push(0xe9, ...word(there - (l + 5)));
  const back = code.length;
  code.push(0x49, 0x75, (l - (back + 3)) & 0xff, 0xc6, 0x05, ...word(CODE + 0x1000), 0x43, 0x4f);
  code.push(0x75, (again - (code.length + 2)) & 0xff);
  const out = there + 1 + 5;
  code.push(0xe9, ...word(out - (code.length + 5)));
  while (code.length < there) code.push(0x90);
  code.push(0x43, 0xe9, ...word(back - (there + 6)));

  const { registers } = run(await engine({}), code);
  const outcome = run(await engine(FORCED), code);
  expect(outcome.registers).toEqual(registers);
  const { dropped, executed } = outcome.cpu.regionStatistics!;
  expect(dropped).toBeGreaterThan(0);
  expect(executed).toBeGreaterThan(0.6 * outcome.instructions);
});

test("exits are counted by the instruction that the region could not execute", async () => {
  // mov eax, [a device's memory]; add ebx, [esi + ecx * 4 into it]
  const program = countedLoop(200, [0xa1, ...word(0x300000), 0x31, 0xc9, 0x03, 0x9c, 0x8e, ...word(0x300000 - DATA)]);
  const { cpu } = run(await engine(FORCED), program);
  const { exits, siteExits } = (cpu.statistics() as { regions: { exits: Record<string, number>; siteExits: number } })
    .regions;
  expect(exits.mov).toBeGreaterThan(100);
  // What comes behind is the interpreter's until the next place where the region can be entered.
  expect(Object.values(exits).reduce((sum, count) => sum + count, 0)).toBe(siteExits);
});
