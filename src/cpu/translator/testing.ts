/** Small programs of 32-bit flat code on an engine without a machine, for tests of the translator. */
import { seededRandom } from "../../device-api/testing.ts";
import type { CpuBus } from "../../device-api/virtual-cpu.ts";
import { createEngine } from "../create.ts";
import type { EngineTuning, SoftwareEngine } from "../engine.ts";
import { memoryPages, RAM } from "../layout.ts";
import type { CompileService } from "./compile-service.ts";

/** Every block becomes a region at its first jump, compiled at once. */
export const FORCED: EngineTuning = { hotThreshold: 1, regions: { batch: 1 } };
/** The same in shadow mode. */
export const SHADOWED: EngineTuning = { ...FORCED, shadow: {} };

export const RAM_BYTES = 2 << 20;
export const CODE = 0x10000;
export const DATA = 0x20000;
export const STACK = 0x30000;
/** Where a program begins, behind what sets up segments and registers. */
export const PROGRAM = CODE + 54;

/** The bytes of an immediate or displacement of 32 bits. */
export const word = (value: number): number[] => [
  value & 0xff,
  (value >> 8) & 0xff,
  (value >> 16) & 0xff,
  value >>> 24,
];

/** Registers and arithmetic flags that a program may end with. */
const REGISTERS = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "eip", "eflags"] as const;

export interface Outcome {
  readonly registers: readonly number[];
  readonly data: readonly number[];
  readonly instructions: number;
  readonly cpu: SoftwareEngine;
}

/** An engine with two megabytes of RAM and nothing else. */
export async function engine(
  tuning: EngineTuning,
  compileService?: CompileService,
): Promise<{ cpu: SoftwareEngine; ram: Uint8Array }> {
  const pages = memoryPages(RAM_BYTES, 0);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const bus: CpuBus = {
    readPort: () => 0xff,
    writePort() {},
    readPortBulk: () => 0,
    writePortBulk: () => 0,
    readMmio: () => 0xffffffff,
    writeMmio() {},
    acknowledgeInterrupt: () => 8,
    readTsc: () => 1,
  };
  const cpu = await createEngine({ memory, bus, features: { pae: true, nx: true }, compileService }, tuning);
  cpu.physicalMap.map(0, RAM_BYTES, RAM, true);
  return { cpu, ram: new Uint8Array(memory.buffer, RAM, RAM_BYTES) };
}

/** Runs a program of 32-bit flat code until its HLT. */
export function run(
  { cpu, ram }: { cpu: SoftwareEngine; ram: Uint8Array },
  program: readonly number[],
  seed = 1,
): Outcome {
  cpu.reset();
  ram.fill(0);
  cpu.invalidateCode(0, RAM_BYTES);
  // lgdt [0600h]; mov eax, cr0; or al, 1; mov cr0, eax; jmp 8:CODE
  ram.set([0x0f, 0x01, 0x16, 0x00, 0x06, 0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0], 0x500);
  ram.set([0x66, 0xea, CODE & 0xff, (CODE >> 8) & 0xff, CODE >> 16, 0, 8, 0], 0x50d);
  ram.set([0x17, 0x00, 0x00, 0x07, 0x00, 0x00], 0x600);
  ram.set([0xff, 0xff, 0, 0, 0, 0x9a, 0xcf, 0, 0xff, 0xff, 0, 0, 0, 0x92, 0xcf, 0], 0x708);
  const random = seededRandom(seed);
  // mov ax, 10h; mov ds/es/ss/fs/gs, ax
  const setUp = [0x66, 0xb8, 0x10, 0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, 0x8e, 0xe0, 0x8e, 0xe8];
  // mov r, imm32 for all; ESP and the pointers into their areas
  for (let n = 0; n < 8; n++) {
    const value = n === 4 ? STACK : n === 6 ? DATA : n === 7 ? DATA + 0x800 : random(0x100000000);
    setUp.push(0xb8 + n, value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >>> 24) & 0xff);
  }
  for (let n = 0; n < 0x1000; n++) ram[DATA + n] = random(256);
  ram.set([...setUp, ...program, 0xf4], CODE);
  cpu.setSegment("cs", 0);
  cpu.setRegister("eip", 0x500);
  const before = cpu.instructionCount;
  let reason = "";
  for (let n = 0; n < 2000 && reason !== "halt" && reason !== "triple-fault"; n++) reason = cpu.run(1000);
  return {
    registers: REGISTERS.map((name) => cpu.getRegister(name)),
    data: [...ram.subarray(DATA, DATA + 0x1000), ...ram.subarray(STACK - 256, STACK)],
    instructions: cpu.instructionCount - before,
    cpu,
  };
}

/** Assembles a loop of `body` that runs `count` times with ECX pushed around it. */
export function loop(body: readonly number[], count: number): number[] {
  // push count; l: body; dec dword [esp]; jnz l; add esp, 4
  const back = -(body.length + 3 + 6);
  return [
    0x6a,
    count,
    ...body,
    0xff,
    0x0c,
    0x24,
    0x0f,
    0x85,
    back & 0xff,
    (back >> 8) & 0xff,
    (back >> 16) & 0xff,
    (back >> 24) & 0xff,
    0x83,
    0xc4,
    0x04,
  ];
}
