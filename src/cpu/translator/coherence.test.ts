/**
 * Nothing that regions remember may outlive what they were made of: code that changes under them, by their own stores, by others',
 * by devices and by page tables. Every program runs in the interpreter, with everything translated, and in shadow mode.
 */
import { describe, expect, test } from "vitest";
import type { EngineTuning } from "../engine.ts";
import { opcodeTable } from "../table/table.ts";
import { type CompileJob, type CompileResult, type CompileService, JobCompiler } from "./compile-service.ts";
import { FREE, le32, PagedProgram, type Paging } from "./paged-program.ts";

/** Three jumps to a block before it is translated: by then the pages that it goes on in are known. */
const TRANSLATED: EngineTuning = { hotThreshold: 3, regions: { batch: 1 } };
const engines: readonly (readonly [name: string, tuning: EngineTuning])[] = [
  ["interpreter", {}],
  ["translator", TRANSLATED],
  ["at the first jump", { ...TRANSLATED, hotThreshold: 1 }],
  ["shadow", { ...TRANSLATED, shadow: {} }],
];

/** Frames, and the linear pages where most tests have them. */
const A = FREE;
const B = FREE + 0x1000;
const C = FREE + 0x2000;
const CODE = 0x400000;
const NEXT = CODE + 0x1000;
const ALIAS = 0x800000;

const MOV_EAX = 0xb8;
const RET = 0xc3;

/** With translator: the last call was the regions' business but for a few instructions. */
function ranInRegions(program: PagedProgram, body: () => number, instructions: number): number {
  const before = program.executed;
  const result = body();
  if (program.cpu.regionStatistics !== undefined)
    expect(program.executed - before).toBeGreaterThanOrEqual(instructions);
  return result;
}

describe.each(engines)("%s", (_name, tuning) => {
  const create = async (paging?: Paging): Promise<PagedProgram> => {
    const program = await PagedProgram.create(tuning, paging);
    program.map(CODE, A);
    program.map(NEXT, B);
    program.map(ALIAS, A);
    return program;
  };

  describe("stores of the program", () => {
    test("into its own loop: each round executes what the one before wrote", async () => {
      const program = await create();
      // mov ecx, 40; l: mov eax, 0; inc dword [imm]; dec ecx; jnz l; ret
      program.dma(A, [0xb9, ...le32(40), MOV_EAX, ...le32(0), 0xff, 0x05, ...le32(CODE + 6), 0x49, 0x75, 0xf2, RET]);
      expect(program.call(CODE)).toBe(39);
      expect(program.call(CODE)).toBe(79);
    });

    test("into the instruction right behind the store", async () => {
      const program = await create();
      // mov [CODE + 7], cl (the immediate of:) mov al, 0; movzx eax, al; ret
      program.dma(A, [0x88, 0x0d, ...le32(CODE + 7), 0xb0, 0, 0x0f, 0xb6, 0xc0, RET]);
      for (let n = 1; n < 20; n++) expect(program.call(CODE, { ecx: n })).toBe(n);
    });

    test("into a function on another page that it calls", async () => {
      const program = await create();
      // l: mov [NEXT + 1], ecx; call NEXT; add esi, eax; dec ecx; jnz l; mov eax, esi; ret
      const call = NEXT - (CODE + 11);
      program.dma(A, [
        0x89,
        0x0d,
        ...le32(NEXT + 1),
        0xe8,
        ...le32(call),
        0x01,
        0xc6,
        0x49,
        0x75,
        0xf0,
        0x89,
        0xf0,
        RET,
      ]);
      program.dma(B, [MOV_EAX, ...le32(0), RET]);
      expect(program.call(CODE, { ecx: 100 })).toBe(5050);
    });

    test("through another mapping of the frame", async () => {
      const program = await create();
      program.dma(A, [MOV_EAX, ...le32(0), RET]);
      // On a page of its own: mov [ALIAS + 1], ecx; ret
      program.dma(B, [0x89, 0x0d, ...le32(ALIAS + 1), RET]);
      for (let n = 1; n < 20; n++) {
        program.call(NEXT, { ecx: n * 3 });
        expect(program.call(CODE)).toBe(n * 3);
        expect(program.call(ALIAS)).toBe(n * 3);
      }
    });

    test("over a page of a loop that spans two, by REP STOS and REP MOVS", async () => {
      const program = await create();
      // At the end of the first page: mov eax, imm in two pages; ret on the second
      program.dma(A + 0xffd, [MOV_EAX, 1, 1]);
      program.dma(B, [1, 1, RET]);
      const at = CODE + 0xffd;
      expect(program.warm(at)).toBe(0x01010101);
      program.map(ALIAS + 0x1000, B);
      // mov al, cl; mov ecx, 2; rep stosb; ret
      program.dma(C, [0x88, 0xc8, 0xb9, ...le32(2), 0xf3, 0xaa, RET]);
      program.map(ALIAS + 0x2000, C);
      for (let n = 2; n < 12; n++) {
        program.call(ALIAS + 0x2000, { ecx: n, edi: ALIAS + 0x1000 });
        expect(program.call(at)).toBe((n * 0x01010000 + 0x0101) >>> 0);
      }
    });

    test("next to code, not into it: the region stays", async () => {
      const program = await create();
      // mov ecx, 50; l: inc dword [CODE + 0x800]; dec ecx; jnz l; mov eax, [CODE + 0x800]; ret
      program.dma(A, [
        0xb9,
        ...le32(50),
        0xff,
        0x05,
        ...le32(CODE + 0x800),
        0x49,
        0x75,
        0xf7,
        0xa1,
        ...le32(CODE + 0x800),
        RET,
      ]);
      for (let n = 1; n <= 10; n++) expect(program.call(CODE)).toBe(n * 50);
      if (program.cpu.regionStatistics !== undefined) expect(program.cpu.regionStatistics.dropped).toBe(0);
    });

    test("into the line of the running loop: the region goes each time, the sum is right", async () => {
      const program = await create();
      program.dma(A, [
        0xb9,
        ...le32(50),
        0xff,
        0x05,
        ...le32(CODE + 0x30),
        0x49,
        0x75,
        0xf7,
        0xa1,
        ...le32(CODE + 0x30),
        RET,
      ]);
      for (let n = 1; n <= 10; n++) expect(program.call(CODE)).toBe(n * 50);
    });
  });

  describe("devices", () => {
    test("DMA over code between two runs, over each page of a region", async () => {
      const program = await create();
      // mov eax, [esi]… no: add eax over two pages: xor eax, eax; add al, 1; jmp NEXT / add al, 2; ret
      program.dma(A, [0x31, 0xc0, 0x04, 1, 0xe9, ...le32(NEXT - CODE - 9)]);
      program.dma(B, [0x04, 2, RET]);
      expect(program.warm(CODE)).toBe(3);
      expect(ranInRegions(program, () => program.call(CODE), 5)).toBe(3);
      program.dma(B + 1, [20]);
      expect(program.warm(CODE)).toBe(21);
      program.dma(A + 3, [10]);
      expect(program.warm(CODE)).toBe(30);
      expect(ranInRegions(program, () => program.call(CODE), 5)).toBe(30);
    });

    test("a device that changes the code of the loop that gives it the order", async () => {
      const program = await create();
      let round = 0;
      program.onOut = () => program.dma(A + 6, [++round]);
      // mov ecx, 30; l: mov al, 0; out 80h, al; dec ecx; jnz l; movzx eax, al; ret
      program.dma(A, [0xb9, ...le32(30), 0xb0, 0, 0xe6, 0x80, 0x49, 0x75, 0xf9, 0x0f, 0xb6, 0xc0, RET]);
      expect(program.call(CODE)).toBe(29);
    });
  });

  describe("page tables", () => {
    /** mov eax, imm32 that begins `before` bytes before the end of the first page, then RET; a jump leads there. */
    function crossing(program: PagedProgram, before: number, value: number): number {
      const bytes = [MOV_EAX, ...le32(value), RET];
      program.dma(A + 0x1000 - before, bytes.slice(0, before));
      program.dma(B, bytes.slice(before));
      program.dma(A + 0x100, [0x31, 0xc0, 0xe9, ...le32(0x1000 - before - 0x107)]);
      return CODE + 0x100;
    }

    test.each([1, 2, 3, 4])(
      "an instruction with %i bytes on the first page: the second's contents change",
      async (before) => {
        const program = await create();
        const at = crossing(program, before, 0x11223344);
        expect(program.warm(at)).toBe(0x11223344);
        program.dma(B, [...le32(0x55667788).slice(before - 1), RET]);
        expect(program.warm(at) >>> 24).toBe(0x55);
      },
    );

    test.each([
      ["INVLPG", 1],
      ["INVLPG", 3],
      ["CR3", 1],
      ["CR3", 3],
    ] as const)(
      "an instruction in two pages, the second mapped elsewhere (%s, %i bytes before)",
      async (how, before) => {
        const program = await create();
        const at = crossing(program, before, 0x11223344);
        expect(program.warm(at)).toBe(0x11223344);
        program.dma(C, [...le32(0x55667788).slice(before - 1), RET]);
        for (const [frame, top] of [
          [C, 0x55],
          [B, 0x11],
          [C, 0x55],
        ]) {
          program.map(NEXT, frame);
          if (how === "CR3") program.reloadCr3();
          else program.invlpg(NEXT);
          expect(program.call(at) >>> 24).toBe(top);
          expect(program.warm(at) >>> 24).toBe(top);
        }
      },
    );

    test("a loop in whose middle the second page is mapped elsewhere", async () => {
      const program = await create();
      // A: l: call NEXT; add esi, eax; dec ecx; jnz l; mov eax, esi; ret. B and C: mov eax, 1 or 100; ret
      program.dma(A, [0xe8, ...le32(NEXT - CODE - 5), 0x01, 0xc6, 0x49, 0x75, 0xf6, 0x89, 0xf0, RET]);
      program.dma(B, [MOV_EAX, ...le32(1), RET]);
      program.dma(C, [MOV_EAX, ...le32(100), RET]);
      expect(program.call(CODE, { ecx: 20 })).toBe(20);
      program.map(NEXT, C);
      program.invlpg(NEXT);
      expect(program.call(CODE, { ecx: 20 })).toBe(2000);
      program.map(NEXT, B);
      program.reloadCr3();
      expect(ranInRegions(program, () => program.call(CODE, { ecx: 20 }), 60)).toBe(20);
    });

    test("the code changes its own second page and says INVLPG in between", async () => {
      const program = await create();
      program.dma(B, [MOV_EAX, ...le32(1), RET]);
      program.dma(C, [MOV_EAX, ...le32(100), RET]);
      // The page table, seen by the program: one more linear page.
      const table = 0xc00000;
      const entryPage = 0x10000 + 0x1000;
      program.map(table, entryPage);
      const entry = table + ((NEXT >>> 12) & 1023) * 4;
      // l: xor dword [entry], B ^ C; invlpg [NEXT]; call NEXT; add esi, eax; dec ecx; jnz l; mov eax, esi; ret
      const code = [0x81, 0x35, ...le32(entry), ...le32(B ^ C), 0x0f, 0x01, 0x3d, ...le32(NEXT)];
      code.push(0xe8, ...le32(NEXT - CODE - code.length - 5), 0x01, 0xc6, 0x49, 0x75);
      code.push(-(code.length + 1) & 0xff, 0x89, 0xf0, RET);
      program.dma(A, code);
      expect(program.call(CODE, { ecx: 40 })).toBe(20 * 101);
    });

    test("one frame at two linear addresses: each knows where it is", async () => {
      const program = await create();
      // call +0; pop eax; jmp +0; ret
      program.dma(A, [0xe8, 0, 0, 0, 0, 0x58, 0xeb, 0, RET]);
      for (let n = 0; n < 10; n++) {
        expect(program.call(CODE)).toBe(CODE + 5);
        expect(program.call(ALIAS)).toBe(ALIAS + 5);
      }
      expect(ranInRegions(program, () => program.call(ALIAS), 4)).toBe(ALIAS + 5);
    });

    test("one frame at two addresses with different neighbours", async () => {
      const program = await create();
      program.map(ALIAS + 0x1000, C);
      // Runs on into the next page.
      program.dma(A + 0xffe, [0x31, 0xc0]);
      program.dma(B, [0x04, 1, RET]);
      program.dma(C, [0x04, 2, RET]);
      for (let n = 0; n < 10; n++) {
        expect(program.call(CODE + 0xffe)).toBe(1);
        expect(program.call(ALIAS + 0xffe)).toBe(2);
      }
    });

    test("data mapped elsewhere under a loop that reads and writes it", async () => {
      const program = await create();
      // mov eax, [NEXT]; inc dword [NEXT]; ret
      program.dma(A, [0xa1, ...le32(NEXT), 0xff, 0x05, ...le32(NEXT), RET]);
      program.dma(B, le32(1000));
      program.dma(C, le32(5000));
      expect(program.warm(CODE, 10)).toBe(1009);
      program.map(NEXT, C);
      program.invlpg(NEXT);
      expect(program.warm(CODE, 10)).toBe(5009);
      program.map(NEXT, B);
      program.reloadCr3();
      expect(program.warm(CODE, 10)).toBe(1019);
    });

    test("a page that becomes read-only and is written: the fault comes, and nothing was written", async () => {
      const program = await create();
      program.dma(A, [0xff, 0x05, ...le32(NEXT), 0xa1, ...le32(NEXT), RET]);
      expect(program.warm(CODE, 10)).toBe(10);
      program.map(NEXT, B, 1);
      program.invlpg(NEXT);
      // No IDT: the fault is the end.
      expect(() => program.call(CODE)).toThrow(/triple fault/);
      expect(program.ram[B]).toBe(10);
    });

    test.each([
      ["PSE", 0x400000],
      ["PAE", 0x200000],
    ] as const)("%s: a large page of code mapped elsewhere, and cut into small ones", async (paging, size) => {
      const program = await PagedProgram.create(tuning, paging);
      const [first, second] = [size, size * 2];
      const at = 0x40000000;
      for (const [gpa, value] of [
        [first, 1],
        [second, 2],
      ]) {
        program.dma(gpa + 0x5ffe, [MOV_EAX, value]);
        program.dma(gpa + 0x6000, [0, 0, 0, RET]);
      }
      program.mapLarge(at, first);
      expect(program.warm(at + 0x5ffe)).toBe(1);
      program.mapLarge(at, second);
      program.invlpg(at + 0x5000);
      program.invlpg(at + 0x6000);
      expect(program.warm(at + 0x5ffe)).toBe(2);
      program.mapLarge(at, first);
      program.reloadCr3();
      expect(program.warm(at + 0x5ffe)).toBe(1);
    });

    test("PAE: small pages, the second mapped elsewhere", async () => {
      const program = await create("PAE");
      const at = crossing(program, 2, 0x11223344);
      expect(program.warm(at)).toBe(0x11223344);
      program.dma(C, [...le32(0x55667788).slice(1), RET]);
      program.map(NEXT, C);
      program.invlpg(NEXT);
      expect(program.warm(at)).toBe(0x55667744);
    });
  });
});

describe("while regions are being compiled elsewhere", () => {
  /** Compiles at once, gives results out only when told. */
  class SlowService implements CompileService {
    readonly #compiler: JobCompiler;
    readonly #results: CompileResult[] = [];
    isOpen = false;
    jobs = 0;
    constructor(memoryPages: number) {
      this.#compiler = JobCompiler.forRows(opcodeTable, memoryPages);
    }
    submit(job: CompileJob): void {
      this.jobs++;
      // As between threads: only plain data goes over.
      this.#results.push(this.#compiler.compile(structuredClone(job)));
    }
    take(): CompileResult | undefined {
      return this.isOpen ? this.#results.shift() : undefined;
    }
  }

  async function create(limits: EngineTuning = TRANSLATED): Promise<{ program: PagedProgram; service: SlowService }> {
    let service: SlowService | undefined;
    const program = await PagedProgram.create(limits, "4 KiB", (memoryPages) => {
      service = new SlowService(memoryPages);
      return service;
    });
    program.map(CODE, A);
    program.map(NEXT, B);
    // xor eax, eax; add al, 1; jmp NEXT / add al, 2; ret
    program.dma(A, [0x31, 0xc0, 0x04, 1, 0xe9, ...le32(NEXT - CODE - 9)]);
    program.dma(B, [0x04, 2, RET]);
    return { program, service: service as SlowService };
  }

  test("the guest does not wait for them, and uses them when they are there", async () => {
    const { program, service } = await create();
    expect(program.warm(CODE, 20)).toBe(3);
    expect(service.jobs).toBeGreaterThan(0);
    expect(program.executed).toBe(0);
    service.isOpen = true;
    program.warm(CODE, 2);
    expect(ranInRegions(program, () => program.call(CODE), 5)).toBe(3);
  });

  test.each([
    ["first", A + 3, 12],
    ["second", B + 1, 11],
  ])("code on the %s page changes meanwhile: what comes is not used", async (_page, at, result) => {
    const { program, service } = await create();
    program.warm(CODE, 20);
    program.dma(at, [10]);
    service.isOpen = true;
    for (let n = 0; n < 20; n++) expect(program.call(CODE)).toBe(result);
    expect(program.cpu.regionStatistics?.voided).toBeGreaterThan(0);
    // It is asked for again.
    expect(ranInRegions(program, () => program.call(CODE), 5)).toBe(result);
  });

  test("the second page is mapped elsewhere meanwhile", async () => {
    const { program, service } = await create();
    program.warm(CODE, 20);
    program.dma(C, [0x04, 30, RET]);
    program.map(NEXT, C);
    program.invlpg(NEXT);
    service.isOpen = true;
    for (let n = 0; n < 20; n++) expect(program.call(CODE)).toBe(31);
    program.map(NEXT, B);
    program.invlpg(NEXT);
    for (let n = 0; n < 20; n++) expect(program.call(CODE)).toBe(3);
  });

  test("all that was decoded is dropped meanwhile", async () => {
    const { program, service } = await create({ ...TRANSLATED, decodeMaps: 4 });
    program.warm(CODE, 20);
    // Code on more pages than there are maps, and other code where the first was.
    for (let page = 0; page < 8; page++) {
      program.map(ALIAS + page * 4096, C + page * 4096);
      program.dma(C + page * 4096, [MOV_EAX, ...le32(page), RET]);
      expect(program.call(ALIAS + page * 4096)).toBe(page);
    }
    service.isOpen = true;
    for (let round = 0; round < 10; round++)
      for (let page = 0; page < 8; page++) expect(program.call(ALIAS + page * 4096)).toBe(page);
    for (let n = 0; n < 20; n++) expect(program.call(CODE)).toBe(3);
  });
});

test("budgets end at the same instructions, also where straight code becomes hot between jumps", async () => {
  const ends: number[][] = [];
  for (const tuning of [{}, { ...TRANSLATED, hotThreshold: 1 }, { ...TRANSLATED, hotThreshold: 2 }]) {
    const program = await PagedProgram.create(tuning);
    for (let page = 0; page < 2; page++) program.map(CODE + page * 4096, A + page * 4096);
    program.dma(A, [...new Array<number>(5000).fill(0x90), 0xe9, ...le32(-5005)]);
    program.cpu.setRegister("eip", CODE);
    ends.push(
      Array.from({ length: 40 }, (_, n) => {
        program.cpu.run(300 + n * 37);
        return program.cpu.instructionCount;
      }),
    );
  }
  expect(ends[1]).toEqual(ends[0]);
  expect(ends[2]).toEqual(ends[0]);
});

test("with room for one region, one goes for the other", async () => {
  const program = await PagedProgram.create({ hotThreshold: 2, regions: { batch: 1, regions: 1 } });
  for (let page = 0; page < 8; page++) {
    program.map(CODE + page * 4096, A + page * 4096);
    program.dma(A + page * 4096, [MOV_EAX, ...le32(page), RET]);
  }
  for (let round = 0; round < 10; round++)
    for (let page = 0; page < 8; page++) expect(program.call(CODE + page * 4096)).toBe(page);
  expect(program.cpu.regionStatistics?.regions).toBe(1);
  expect(program.cpu.regionStatistics?.evicted).toBeGreaterThanOrEqual(7);
});
