/**
 * The engine as a whole on small real-mode programs: what happens between instructions (interrupts, shadows, single steps,
 * stops) and what keeps decoded code honest (code-modifying stores, DMA, code across pages, eviction).
 */
import { describe, expect, test } from "vitest";
import type { CpuBus } from "../device-api/virtual-cpu.ts";
import { createEngine } from "./create.ts";
import type { EngineTuning, SoftwareEngine } from "./engine.ts";
import { memoryPages, RAM } from "./layout.ts";

const RAM_BYTES = 2 << 20;
const START = 0x7c00;

interface Board {
  readonly cpu: SoftwareEngine;
  readonly ram: Uint8Array;
  readonly ports: [port: number, size: number, value: number][];
  vector: number;
}

/** An engine with RAM, ports that remember, and registers set for code at 0:7C00. */
async function board(code: readonly number[], tuning: EngineTuning = {}, at = START): Promise<Board> {
  const pages = memoryPages(RAM_BYTES, 0);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const ports: [number, number, number][] = [];
  const made: { vector: number; cpu?: SoftwareEngine } = { vector: 8 };
  const bus: CpuBus = {
    readPort: (port) => port & 0xff,
    writePort: (port, size, value) => {
      ports.push([port, size, value]);
    },
    readPortBulk: () => 0,
    writePortBulk: () => 0,
    readMmio: () => 0xffffffff,
    writeMmio() {},
    acknowledgeInterrupt: () => {
      made.cpu?.setInterruptLine(false);
      return made.vector;
    },
    readTsc: () => 12345,
  };
  const cpu = await createEngine({ memory, bus, features: { pae: true, nx: true } }, tuning);
  cpu.physicalMap.map(0, RAM_BYTES, RAM, true);
  const ram = new Uint8Array(memory.buffer, RAM, RAM_BYTES);
  ram.set(code, at);
  cpu.setSegment("cs", 0);
  cpu.setRegister("eip", at);
  cpu.setRegister("esp", 0x7000);
  return Object.assign(made, { cpu, ram, ports });
}

/** Runs until HLT. */
function runToHalt({ cpu }: Board): void {
  for (let n = 0; n < 1000; n++) if (cpu.run(100_000) === "halt") return;
  throw new Error(`no HLT: ${cpu.describe()}`);
}

const AL = (b: Board): number => b.cpu.getRegister("eax") & 0xff;
const HLT = 0xf4;

describe("code that changes", () => {
  test("a store into the next instruction of the same run is seen", async () => {
    // mov byte [7C06h], 5; mov al, 1; hlt
    const b = await board([0xc6, 0x06, 0x06, 0x7c, 0x05, 0xb0, 0x01, HLT]);
    runToHalt(b);
    expect(AL(b)).toBe(5);
  });

  test("a loop that rewrites its own immediate counts up", async () => {
    // l: mov al, 0; inc byte [7C01h]; cmp al, 9; jne l; hlt
    const b = await board([0xb0, 0x00, 0xfe, 0x06, 0x01, 0x7c, 0x3c, 0x09, 0x75, 0xf6, HLT]);
    runToHalt(b);
    expect(AL(b)).toBe(9);
    expect(b.ram[START + 1]).toBe(10);
  });

  test("data on a page with code may change without harm", async () => {
    // mov cx, 300; l: inc word [7C40h]; loop l; hlt
    const b = await board([0xb9, 0x2c, 0x01, 0xff, 0x06, 0x80, 0x7c, 0xe2, 0xfa, HLT]);
    runToHalt(b);
    expect(b.ram[START + 0x80] | (b.ram[START + 0x81] << 8)).toBe(300);
  });

  test("memory written behind the CPU's back counts after invalidateCode", async () => {
    const b = await board([0xb0, 0x01, HLT]);
    runToHalt(b);
    expect(AL(b)).toBe(1);
    b.ram[START + 1] = 7;
    b.cpu.invalidateCode(START + 1, 1);
    b.cpu.setRegister("eip", START);
    // Ends HLT as an interrupt would, without one.
    b.cpu.raiseNmi();
    b.ram.set([0x00, 0x7c, 0x00, 0x00], 8);
    runToHalt(b);
    expect(AL(b)).toBe(7);
  });

  test("an instruction across two pages follows changes of the second", async () => {
    const at = 0x7ffd;
    // 7FFDh: jmp short 7FFFh; 7FFFh: mov ax, 1234h; 8002h: mov byte [8000h], 56h; dec cx; jnz 7FFFh; hlt
    const code = [0xeb, 0x00, 0xb8, 0x34, 0x12, 0xc6, 0x06, 0x00, 0x80, 0x56, 0x49, 0x75, 0xf5, HLT];
    const b = await board(code, {}, at);
    b.cpu.setRegister("ecx", 2);
    runToHalt(b);
    expect(b.cpu.getRegister("eax") & 0xffff).toBe(0x1256);
  });

  test("results are the same with a cache of few maps and a tiny TLB", async () => {
    // Calls through 16 pages: each routine adds its number and returns.
    const routines: number[] = [];
    const program: number[] = [0xb9, 0x64, 0x00]; // mov cx, 100
    const loop = START + program.length;
    for (let n = 1; n <= 16; n++) {
      const target = 0x10000 + n * 0x1000;
      routines.push(target);
      program.push(0x9a, 0x00, 0x00, (target >> 4) & 0xff, target >> 12); // call far
    }
    program.push(0xe2, (loop - (START + program.length + 2)) & 0xff, HLT);
    const results: number[] = [];
    for (const tuning of [{}, { tlbPages: 4, decodeMaps: 8 }, { decodeMaps: 1 }]) {
      const b = await board(program, tuning);
      routines.forEach((target, n) => {
        b.ram.set([0x66, 0x81, 0xc0, n + 1, 0, 0, 0, 0xcb], target); // add eax, n; retf
      });
      runToHalt(b);
      results.push(b.cpu.getRegister("eax"));
    }
    expect(results).toEqual([13600, 13600, 13600]);
  });
});

describe("between instructions", () => {
  /** Interrupt 8 increments BL and returns. */
  const handler = [0xfe, 0xc3, 0xcf];
  const withHandler = (b: Board): void => {
    b.ram.set(handler, 0x500);
    b.ram.set([0x00, 0x05, 0x00, 0x00], 8 * 4);
  };

  test("HLT waits for an interrupt and goes on behind it", async () => {
    const b = await board([0xfb, HLT, 0xb0, 0x03, 0xfa, HLT]); // sti; hlt; mov al, 3; cli; hlt
    withHandler(b);
    expect(b.cpu.run(1000)).toBe("halt");
    expect(b.cpu.halted).toBe(true);
    b.cpu.setInterruptLine(true);
    runToHalt(b);
    expect(AL(b)).toBe(3);
    expect(b.cpu.getRegister("ebx") & 0xff).toBe(1);
  });

  test("STI holds interrupts off for one instruction", async () => {
    // sti; mov al, bl; cli; hlt — the interrupt comes after the MOV
    const b = await board([0xfb, 0x88, 0xd8, 0xfa, HLT]);
    withHandler(b);
    b.cpu.setInterruptLine(true);
    runToHalt(b);
    expect(AL(b)).toBe(0);
    expect(b.cpu.getRegister("ebx") & 0xff).toBe(1);
  });

  test("sti; cli lets nothing through", async () => {
    const b = await board([0xfb, 0xfa, HLT]);
    withHandler(b);
    b.cpu.setInterruptLine(true);
    runToHalt(b);
    expect(b.cpu.getRegister("ebx") & 0xff).toBe(0);
  });

  test("the instruction behind STI comes before an interrupt that arrives right then", async () => {
    // sti; mov al, bl; cli; hlt, one instruction at a time
    const b = await board([0xfb, 0x88, 0xd8, 0xfa, HLT]);
    withHandler(b);
    expect(b.cpu.run(1)).toBe("budget");
    b.cpu.setInterruptLine(true);
    runToHalt(b);
    expect(AL(b)).toBe(0);
    expect(b.cpu.getRegister("ebx") & 0xff).toBe(1);
  });

  test("an interrupt that arrives one instruction later comes at once", async () => {
    // sti; jmp short $ + 2; mov al, bl; cli; hlt
    const b = await board([0xfb, 0xeb, 0x00, 0x88, 0xd8, 0xfa, HLT]);
    withHandler(b);
    expect(b.cpu.run(2)).toBe("budget");
    b.cpu.setInterruptLine(true);
    runToHalt(b);
    expect(AL(b)).toBe(1);
  });

  /** Interrupt 1 notes IP and DR6 at 600h, stops TF and breakpoints, and returns. */
  const debugHandler = (b: Board): void => {
    // pop word [600h]; mov eax, dr6; mov [602h], ax; xor eax, eax; mov dr7, eax; mov dr6, eax; hlt
    b.ram.set([0x8f, 0x06, 0x00, 0x06, 0x0f, 0x21, 0xf0, 0xa3, 0x02, 0x06, HLT], 0x500);
    b.ram.set([0x00, 0x05, 0x00, 0x00], 4);
  };
  const trapped = (b: Board): number[] => [
    b.ram[0x600] + b.ram[0x601] * 256 - START,
    b.ram[0x602] + b.ram[0x603] * 256,
  ];
  const withDebug = async (code: number[], dr: { [index: number]: number }, cr4 = 0): Promise<Board> => {
    // mov eax, imm; mov drN, eax …, then a jump to the code
    const setUp = Object.entries(dr).flatMap(([index, value]) => [
      ...[0x66, 0xb8, value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, value >>> 24],
      ...[0x0f, 0x23, 0xc0 | (Number(index) << 3)],
    ]);
    const b = await board(code);
    b.ram.set([...setUp, 0xea, START & 0xff, START >> 8, 0, 0], 0x1000);
    b.cpu.setRegister("eip", 0x1000);
    b.cpu.setRegister("cr4", cr4);
    debugHandler(b);
    return b;
  };

  test("a breakpoint behind MOV SS is passed over, one behind STI is not", async () => {
    // mov ss, cx; nop; nop; hlt
    const passed = await withDebug([0x8e, 0xd1, 0x90, 0x90, HLT], { 0: START + 2, 7: 1 });
    runToHalt(passed);
    expect(passed.cpu.getRegister("eip")).toBe(START + 5);
    const met = await withDebug([0xfb, 0x90, HLT], { 0: START + 1, 7: 1 });
    met.ram.set([0xcf], 0x700);
    met.ram.set([0x00, 0x07, 0, 0], 8 * 4);
    met.cpu.setInterruptLine(true);
    runToHalt(met);
    expect(trapped(met)).toEqual([1, 0x0ff1]);
  });

  test("a data breakpoint of MOV SS is reported behind the next instruction", async () => {
    // mov ss, [800h]; nop; nop; hlt
    const b = await withDebug([0x8e, 0x16, 0x00, 0x08, 0x90, 0x90, HLT], { 0: 0x800, 7: 0x70001 });
    runToHalt(b);
    expect(trapped(b)).toEqual([5, 0x0ff1]);
  });

  test("breakpoints on ports, with CR4.DE only", async () => {
    const code = [0xe6, 0x80, 0xe4, 0x81, HLT]; // out 80h, al; in al, 81h; hlt
    const onOut = await withDebug(code, { 0: 0x80, 7: 0x20001 }, 8);
    runToHalt(onOut);
    expect(trapped(onOut)).toEqual([2, 0x0ff1]);
    const onIn = await withDebug(code, { 1: 0x80, 7: 0x600004 }, 8);
    runToHalt(onIn);
    // Two bytes long: both ports.
    expect(trapped(onIn)).toEqual([2, 0x0ff2]);
    const without = await withDebug(code, { 0: 0x80, 7: 0x20001 });
    runToHalt(without);
    expect(without.cpu.getRegister("eip")).toBe(START + 5);
  });

  test("REP STOSB into a watched byte stops behind that element", async () => {
    // mov cx, 5; mov di, 800h; rep stosb; hlt
    const b = await withDebug([0xb9, 5, 0, 0xbf, 0x00, 0x08, 0xf3, 0xaa, HLT], { 0: 0x801, 7: 0x10001 });
    runToHalt(b);
    expect(trapped(b)).toEqual([6, 0x0ff1]);
    expect(b.cpu.getRegister("ecx")).toBe(3);
  });

  test("REP OUTSB under a breakpoint stops after an element", async () => {
    // mov cx, 3; mov dx, 80h; rep outsb; hlt
    const b = await withDebug([0xb9, 3, 0, 0xba, 0x80, 0, 0xf3, 0x6e, HLT], { 0: 0x80, 7: 0x20001 }, 8);
    runToHalt(b);
    expect(trapped(b)).toEqual([6, 0x0ff1]);
    expect(b.cpu.getRegister("ecx")).toBe(2);
    expect(b.ports.length).toBe(1);
  });

  test("the trap flag stops after each instruction", async () => {
    // Interrupt 1 counts in DI. Set TF: pushf; pop ax; or ax, 100h; push ax; popf; then nop; nop; and clear it again:
    // pushf; pop ax; and ax, FEFFh; push ax; popf; hlt
    const set = [0x9c, 0x58, 0x0d, 0x00, 0x01, 0x50, 0x9d];
    const clear = [0x9c, 0x58, 0x25, 0xff, 0xfe, 0x50, 0x9d];
    const b = await board([...set, 0x90, 0x90, ...clear, HLT]);
    b.ram.set([0x47, 0xcf], 0x500);
    b.ram.set([0x00, 0x05, 0x00, 0x00], 4);
    expect(b.cpu.run(1000)).toBe("halt");
    // Two NOPs and the five that clear the flag; the last still had it set when it began.
    expect(b.cpu.getRegister("edi")).toBe(7);
  });

  test("a breakpoint stops before its instruction, once", async () => {
    const b = await board([0xb0, 0x01, 0xb0, 0x02, HLT]);
    b.cpu.setBreakpoints([START + 2]);
    expect(b.cpu.run(1000)).toBe("breakpoint");
    expect(AL(b)).toBe(1);
    runToHalt(b);
    expect(AL(b)).toBe(2);
  });

  test("instructions are counted, records in front of them are not", async () => {
    // mov cx, 1000; l: mov ax, [bx+si+2]; loop l; hlt — the memory operand takes an address record
    const b = await board([0xb9, 0xe8, 0x03, 0x8b, 0x40, 0x02, 0xe2, 0xfb, HLT]);
    runToHalt(b);
    expect(b.cpu.instructionCount).toBe(1 + 2000 + 1);
  });

  test("three faults in a row are the end, and a reset a new beginning", async () => {
    // lidt [zero limit]; int3
    const b = await board([0x0f, 0x01, 0x1e, 0x40, 0x7c, 0xcc]);
    expect(b.cpu.run(1000)).toBe("triple-fault");
    expect(b.cpu.run(1000)).toBe("triple-fault");
    b.cpu.reset();
    expect(b.cpu.getRegister("eip")).toBe(0xfff0);
    expect(b.cpu.getSegment("cs")).toEqual({ selector: 0xf000, base: 0xffff0000, limit: 0xffff });
  });

  test("with A20 closed the second megabyte is the first", async () => {
    // mov ax, FFFFh; mov ds, ax; mov al, [0510h]; hlt — FFFF:0510 is 100500h
    const b = await board([0xb8, 0xff, 0xff, 0x8e, 0xd8, 0xa0, 0x10, 0x05, HLT]);
    b.ram[0x500] = 0x11;
    b.ram[0x100500] = 0x22;
    b.cpu.setA20(false);
    runToHalt(b);
    expect(AL(b)).toBe(0x11);
    b.cpu.setA20(true);
    b.cpu.raiseNmi();
    b.ram.set([0x00, 0x7c, 0x00, 0x00], 8);
    runToHalt(b);
    expect(AL(b)).toBe(0x22);
  });

  test("a saved CPU goes on in another one", async () => {
    // mov cx, 200; l: inc ax; loop l; hlt
    const code = [0xb9, 0xc8, 0x00, 0x40, 0xe2, 0xfd, HLT];
    const b = await board(code);
    b.cpu.run(50);
    const saved = b.cpu.save();
    const other = await board(code);
    other.cpu.load(saved);
    expect(other.cpu.save()).toEqual(saved);
    runToHalt(b);
    runToHalt(other);
    expect(other.cpu.save()).toEqual(b.cpu.save());
    expect(other.cpu.getRegister("eax")).toBe(200);
  });

  test("a damaged entry of a saved state is refused", async () => {
    const b = await board([HLT]);
    const saved = b.cpu.save();
    expect(() => b.cpu.load({ ...saved, version: 2 })).toThrow("version");
    expect(() => b.cpu.load({ ...saved, data: { ...saved.data, more: 1 } })).toThrow("damaged");
  });
});
