/** Runs random programs on an engine: flat protected mode with paging at level 0 or 3, handlers that go on at the next block. */
import { createEngine } from "../../../src/cpu/create.ts";
import type { EngineTuning, SoftwareEngine } from "../../../src/cpu/engine.ts";
import * as L from "../../../src/cpu/layout.ts";
import { deriveAll } from "../../../src/cpu/state.ts";
import type { CompileService } from "../../../src/cpu/translator/compile-service.ts";
import type { CpuBus } from "../../../src/device-api/virtual-cpu.ts";
import { createRandom } from "../native/values.ts";
import {
  CALL_VECTOR,
  CODE,
  CODE_ALIAS,
  CODE_PAGES,
  CODE16,
  CODE16_SELECTOR,
  COUNT,
  DATA,
  END_VECTOR,
  FS_BASE,
  FS_LIMIT,
  GS_BASE,
  HASH,
  type RandomProgram,
  RESUME,
  STACK,
  STACK_PAGES,
  SYSTEM,
} from "./program.ts";

const RAM_BYTES = 512 << 10;
const GDT = 0x1000;
const IDT = 0x2000;
const TSS = 0x3000;
const HANDLERS = 0x4000;
const HANDLER_BYTES = 96;
const DIRECTORY = 0x6000;
const TABLES = 0x7000;
const KERNEL_STACK_END = 0xa000;
const CODE_FRAMES = 0x10000;
const DATA_FRAMES = 0x20000;
const STACK_FRAMES = 0x28000;
const SYSTEM_FRAME = 0x2c000;
const INTERRUPT_VECTOR = 0x20;
/** Faults and interrupts after which a program has shown enough. */
const MOST_FAULTS = 60;
const WITH_ERROR_CODE = new Set([8, 10, 11, 12, 13, 14, 17]);
/** PE MP NE WP PG; OSFXSR OSXMMEXCPT PSE. */
const CR0 = 0x80010033 | 0;
const CR4 = 0x610;

const le32 = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);

export interface RandomOutcome {
  readonly registers: readonly number[];
  /** x87, MMX, SSE. */
  readonly vectors: Uint8Array;
  readonly ram: Uint8Array;
  readonly instructions: number;
  readonly reason: string;
}

export class RandomMachine {
  readonly engine: SoftwareEngine;
  readonly #ram: Uint8Array;
  readonly #view: DataView;

  private constructor(engine: SoftwareEngine) {
    this.engine = engine;
    this.#ram = new Uint8Array(engine.state.u8.buffer, L.RAM, RAM_BYTES);
    this.#view = new DataView(engine.state.u8.buffer, L.RAM, RAM_BYTES);
  }

  static async create(
    tuning: EngineTuning,
    compileService?: (memoryPages: number) => CompileService,
  ): Promise<RandomMachine> {
    const pages = L.memoryPages(RAM_BYTES, 0);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    let engine: SoftwareEngine | undefined;
    const bus: CpuBus = {
      readPort: () => 0xff,
      writePort() {},
      readPortBulk: () => 0,
      writePortBulk: () => 0,
      readMmio: () => 0xffffffff,
      writeMmio() {},
      acknowledgeInterrupt: () => {
        engine?.setInterruptLine(false);
        return INTERRUPT_VECTOR;
      },
      readTsc: () => 1,
    };
    const features = { pae: true, nx: false };
    engine = await createEngine({ memory, bus, features, compileService: compileService?.(pages) }, tuning);
    engine.physicalMap.map(0, RAM_BYTES, L.RAM, true);
    return new RandomMachine(engine);
  }

  /** Runs a program to its end in budgets of random length; between them interrupts come and devices change immediates. */
  run(program: RandomProgram, maxInstructions = 60_000): RandomOutcome {
    const { engine } = this;
    this.#load(program);
    const random = createRandom(program.seed ^ 0x5a5a5a5a);
    const before = engine.instructionCount;
    let reason = "";
    while (engine.instructionCount - before < maxInstructions) {
      reason = engine.run(300 + (random() % 4000));
      if (reason === "halt" || reason === "triple-fault") break;
      if (random() % 3 === 0) engine.setInterruptLine(true);
      if (random() % 3 === 0 && program.patches.length > 0) {
        const gpa = CODE_FRAMES + program.patches[random() % program.patches.length];
        this.#view.setUint32(gpa, random(), true);
        engine.invalidateCode(gpa, 4);
      }
    }
    const { state } = engine;
    engine.setInterruptLine(false);
    return {
      registers: [
        ...Array.from({ length: 8 }, (_, n) => state.reg32(n)),
        state.eip,
        state.eflags,
        state.cr2,
        state.cpl,
      ],
      vectors: state.u8.slice(L.X87, L.XMM + 128),
      ram: this.#ram.slice(),
      instructions: engine.instructionCount - before,
      reason,
    };
  }

  #poke(gpa: number, ...bytes: readonly number[]): void {
    this.#ram.set(bytes, gpa);
  }

  #load(program: RandomProgram): void {
    const { engine } = this;
    const { state } = engine;
    this.#ram.fill(0);
    engine.invalidateCode(0, RAM_BYTES);
    engine.reset();
    state.i32[L.HALTED >> 2] = 0;
    const level = program.isUser ? 3 : 0;
    this.#makeTables(level);
    this.#makeHandlers();
    this.#ram.set(program.code, CODE_FRAMES);
    this.#ram.set(program.code16, CODE_FRAMES + (CODE16 - CODE));
    this.#ram.set(program.data, DATA_FRAMES);
    for (const [offset, value] of program.system) this.#view.setUint32(SYSTEM_FRAME + offset, value, true);

    engine.setRegister("cr4", CR4);
    engine.setRegister("cr3", DIRECTORY);
    const flat = 0xc000 | L.ATTRIBUTE_USABLE | (level << 5);
    state.setSegment(L.SEG_CS, 0x18 | level, 0, 0xffffffff, flat | 0x9b);
    for (const segment of [L.SEG_ES, L.SEG_SS, L.SEG_DS])
      state.setSegment(segment, 0x20 | level, 0, 0xffffffff, flat | 0x93);
    state.setSegment(L.SEG_FS, 0x28 | level, FS_BASE, FS_LIMIT, 0x4000 | L.ATTRIBUTE_USABLE | (level << 5) | 0x93);
    state.setSegment(L.SEG_GS, 0x30 | level, GS_BASE, 0xffffffff, flat | 0x93);
    state.setSegment(L.SEG_TR, 0x48, TSS, 0x67, 0x8b | L.ATTRIBUTE_USABLE);
    state.i32[L.GDTR_BASE >> 2] = GDT;
    state.i32[L.GDTR_LIMIT >> 2] = 0x4f;
    state.i32[L.IDTR_BASE >> 2] = IDT;
    state.i32[L.IDTR_LIMIT >> 2] = 0x7ff;
    engine.setRegister("cr0", CR0);
    state.cpl = level;
    program.registers.forEach((value, n) => {
      state.setReg32(n, value);
    });
    state.setReg32(4, STACK + STACK_PAGES * 4096 - 64);
    state.eip = CODE;
    state.eflags = 0x202;
    deriveAll(state);
  }

  #makeTables(level: number): void {
    const view = this.#view;
    const descriptor = (selector: number, base: number, limit: number, access: number, flags: number) => {
      const at = GDT + selector;
      view.setUint32(at, (limit & 0xffff) | (base << 16), true);
      const high = ((base >>> 16) & 0xff) | (access << 8) | (limit & 0xf0000) | (flags << 20) | (base & 0xff000000);
      view.setUint32(at + 4, high >>> 0, true);
    };
    descriptor(0x08, 0, 0xfffff, 0x9b, 12);
    descriptor(0x10, 0, 0xfffff, 0x93, 12);
    descriptor(0x18, 0, 0xfffff, 0x9b | (level << 5), 12);
    descriptor(0x20, 0, 0xfffff, 0x93 | (level << 5), 12);
    descriptor(0x28, FS_BASE, FS_LIMIT, 0x93 | (level << 5), 4);
    descriptor(0x30, GS_BASE, 0xfffff, 0x93 | (level << 5), 12);
    descriptor(CODE16_SELECTOR, CODE16, 0xffff, 0x9b | (level << 5), 0);
    descriptor(0x48, TSS, 0x67, 0x8b, 0);
    view.setUint32(TSS + 4, KERNEL_STACK_END, true);
    view.setUint32(TSS + 8, 0x10, true);
    view.setUint32(TSS + 0x64, 0x68 << 16, true);

    view.setUint32(DIRECTORY, TABLES | 7, true);
    view.setUint32(DIRECTORY + 4, (TABLES + 4096) | 7, true);
    const page = (linear: number, gpa: number, flags: number) =>
      view.setUint32(TABLES + (linear >>> 12) * 4, gpa | flags, true);
    for (let n = 0; n < 16; n++) page(n << 12, n << 12, 3);
    for (let n = 0; n < CODE_PAGES; n++) {
      page(CODE + n * 4096, CODE_FRAMES + n * 4096, 7);
      page(CODE_ALIAS + n * 4096, CODE_FRAMES + n * 4096, 7);
    }
    [7, 7, 5, 0, 7].forEach((flags, n) => {
      page(DATA + n * 4096, DATA_FRAMES + n * 4096, flags);
    });
    page(DATA + 5 * 4096, DATA_FRAMES, 7);
    for (let n = 0; n < STACK_PAGES; n++) page(STACK + n * 4096, STACK_FRAMES + n * 4096, 7);
    page(SYSTEM, SYSTEM_FRAME, 7);
  }

  #makeHandlers(): void {
    const gate = (vector: number, handler: number, level: number) => {
      this.#view.setUint32(IDT + vector * 8, (handler & 0xffff) | (0x08 << 16), true);
      this.#view.setUint32(IDT + vector * 8 + 4, (handler & 0xffff0000) | ((0x8e00 | (level << 13)) >>> 0), true);
    };
    for (let vector = 0; vector < 32; vector++) {
      const at = HANDLERS + vector * HANDLER_BYTES;
      const error = WITH_ERROR_CODE.has(vector) ? 4 : 0;
      // fnclex; push eax; hash of what was pushed; count; resume address in place of EIP; pop eax; (error code away); iret
      const code = [0xdb, 0xe2, 0x50];
      for (let offset = 4; offset <= 8 + error; offset += 4)
        code.push(0x8b, 0x44, 0x24, offset, 0xc1, 0x05, ...le32(HASH), 5, 0x31, 0x05, ...le32(HASH));
      code.push(0xff, 0x05, ...le32(COUNT), 0x83, 0x3d, ...le32(COUNT), MOST_FAULTS, 0x72, 1, 0xf4);
      code.push(0xa1, ...le32(RESUME), 0x89, 0x44, 0x24, 4 + error, 0x58);
      if (error > 0) code.push(0x83, 0xc4, 4);
      code.push(0xcf);
      this.#poke(at, ...code);
      gate(vector, at, vector === 3 || vector === 4 ? 3 : 0);
    }
    const rest = HANDLERS + 32 * HANDLER_BYTES;
    // Back where it was, with something done on the way.
    this.#poke(rest, 0x31, 0xca, 0x03, 0x05, ...le32(HASH), 0x52, 0x5a, 0xcf);
    gate(CALL_VECTOR, rest, 3);
    this.#poke(rest + 0x20, 0xf4);
    gate(END_VECTOR, rest + 0x20, 3);
    // An interrupt: counted.
    this.#poke(rest + 0x40, 0xff, 0x05, ...le32(COUNT + 8), 0xcf);
    gate(INTERRUPT_VECTOR, rest + 0x40, 0);
  }
}

/** How two outcomes differ, as text; empty if they do not. */
export function differencesOf(expected: RandomOutcome, found: RandomOutcome): string[] {
  const hex = (value: number) => (value >>> 0).toString(16);
  const list: string[] = [];
  const names = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "eip", "eflags", "cr2", "cpl"];
  if (expected.reason !== found.reason) list.push(`ended by ${expected.reason}, ${found.reason}`);
  if (expected.instructions !== found.instructions)
    list.push(`after ${expected.instructions} instructions, ${found.instructions}`);
  names.forEach((name, n) => {
    if (expected.registers[n] !== found.registers[n])
      list.push(`${name} ${hex(expected.registers[n])}, ${hex(found.registers[n])}`);
  });
  const first = (a: Uint8Array, b: Uint8Array) => a.findIndex((byte, n) => byte !== b[n]);
  const vector = first(expected.vectors, found.vectors);
  if (vector >= 0) list.push(`x87 or vector state at ${hex(vector)}`);
  const at = first(expected.ram, found.ram);
  if (at >= 0) list.push(`RAM at ${hex(at)}: ${hex(expected.ram[at])}, ${hex(found.ram[at])}`);
  return list;
}
