/** For tests of what invalidates regions: an engine in flat protected mode at level 0 with page tables that the test writes. */
import type { CpuBus } from "../../device-api/virtual-cpu.ts";
import { createEngine } from "../create.ts";
import type { EngineTuning, SoftwareEngine } from "../engine.ts";
import * as L from "../layout.ts";
import { deriveAll } from "../state.ts";
import type { CompileService } from "./compile-service.ts";

const RAM_BYTES = 12 << 20;
const DIRECTORY = 0x1000;
/** Where `call` comes back to, identity mapped: HLT. */
const END = 0x3000;
/** Stubs of the test's own. */
const STUB = 0x3100;
const STACK = 0x5000;
const TABLES = 0x10000;
/** First gpa that tests may use; frames of 4 KiB from here on. */
export const FREE = 0x100000;

const PE_MP_ET_NE_WP_PG = 0x80010033 | 0;

export const le32 = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);

/** PSE and PAE as CR4 has them. */
export type Paging = "4 KiB" | "PSE" | "PAE";

export class PagedProgram {
  readonly cpu: SoftwareEngine;
  readonly ram: Uint8Array;
  /** Called by OUT to any port: a device that does something. */
  onOut: (port: number, value: number) => void = () => {};
  readonly #view: DataView;
  readonly #paging: Paging;
  #nextTable = TABLES;

  private constructor(cpu: SoftwareEngine, ram: Uint8Array, paging: Paging) {
    this.cpu = cpu;
    this.ram = ram;
    this.#view = new DataView(ram.buffer, ram.byteOffset, ram.byteLength);
    this.#paging = paging;
  }

  static async create(
    tuning: EngineTuning,
    paging: Paging = "4 KiB",
    compileService?: (memoryPages: number) => CompileService,
  ): Promise<PagedProgram> {
    const pages = L.memoryPages(RAM_BYTES, 0);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    let program: PagedProgram | undefined;
    const bus: CpuBus = {
      readPort: () => 0xff,
      writePort: (port, _size, value) => program?.onOut(port, value),
      readPortBulk: () => 0,
      writePortBulk: () => 0,
      readMmio: () => 0xffffffff,
      writeMmio() {},
      acknowledgeInterrupt: () => 8,
      readTsc: () => 1,
    };
    const features = { pae: true, nx: true };
    const cpu = await createEngine({ memory, bus, features, compileService: compileService?.(pages) }, tuning);
    cpu.physicalMap.map(0, RAM_BYTES, L.RAM, true);
    program = new PagedProgram(cpu, new Uint8Array(memory.buffer, L.RAM, RAM_BYTES), paging);
    program.#start();
    return program;
  }

  #start(): void {
    const { cpu } = this;
    const { state } = cpu;
    for (let page = 0; page < 16; page++) this.map(page << 12, page << 12);
    this.ram[END] = 0xf4;
    if (this.#paging === "PAE")
      for (let n = 0; n < 4; n++) this.#view.setUint32(DIRECTORY + n * 8, (DIRECTORY + 0x8000 + n * 4096) | 1, true);
    state.cr4 = this.#paging === "PAE" ? 0x30 : 0x10;
    if (this.#paging === "PAE") cpu.setRegister("cr4", 0x30);
    cpu.setRegister("cr3", DIRECTORY);
    const attributes = 0xc000 | L.ATTRIBUTE_USABLE;
    state.setSegment(L.SEG_CS, 0x08, 0, 0xffffffff, attributes | 0x9b);
    for (const segment of [L.SEG_ES, L.SEG_SS, L.SEG_DS, L.SEG_FS, L.SEG_GS])
      state.setSegment(segment, 0x10, 0, 0xffffffff, attributes | 0x93);
    cpu.setRegister("cr0", PE_MP_ET_NE_WP_PG);
    deriveAll(state);
  }

  /** gpa of the entry that maps a linear page of 4 KiB; its table is made if there is none. */
  #entry(linear: number): number {
    const isPae = this.#paging === "PAE";
    const directory = this.#directoryEntry(linear);
    if ((this.#view.getUint32(directory, true) & 1) === 0) {
      this.#view.setUint32(directory, this.#nextTable | 3, true);
      this.#nextTable += 4096;
    }
    const table = this.#view.getUint32(directory, true) & ~4095;
    return isPae ? table + ((linear >>> 12) & 511) * 8 : table + ((linear >>> 12) & 1023) * 4;
  }

  #directoryEntry(linear: number): number {
    return this.#paging === "PAE"
      ? DIRECTORY + 0x8000 + (linear >>> 30) * 4096 + ((linear >>> 21) & 511) * 8
      : DIRECTORY + (linear >>> 22) * 4;
  }

  /** Writes a page table's entry, no more: the guest's INVLPG is `invlpg`. */
  map(linear: number, gpa: number, flags = 3): void {
    this.#view.setUint32(this.#entry(linear), gpa | flags, true);
  }

  /** The same for a page of 4 MiB (PSE) or 2 MiB (PAE). */
  mapLarge(linear: number, gpa: number): void {
    this.#view.setUint32(this.#directoryEntry(linear), gpa | 0x83, true);
  }

  /** Bytes that a device writes: DMA. */
  dma(gpa: number, bytes: readonly number[]): void {
    this.ram.set(bytes, gpa);
    this.cpu.invalidateCode(gpa, bytes.length);
  }

  /** Calls the code at a linear address until its RET; answers EAX. */
  call(eip: number, registers: { readonly ecx?: number; readonly esi?: number; readonly edi?: number } = {}): number {
    const { cpu } = this;
    this.#view.setUint32(STACK - 4, END, true);
    cpu.setRegister("esp", STACK - 4);
    for (const name of ["ecx", "esi", "edi"] as const) cpu.setRegister(name, registers[name] ?? 0);
    cpu.setRegister("eip", eip);
    cpu.state.i32[L.HALTED >> 2] = 0;
    for (let n = 0; n < 100; n++) {
      const reason = cpu.run(20_000);
      if (reason === "halt") break;
      if (reason === "triple-fault") throw new Error(`triple fault\n${cpu.describe()}`);
    }
    if (cpu.getRegister("eip") !== END + 1) throw new Error(`did not come back\n${cpu.describe()}`);
    return cpu.getRegister("eax");
  }

  /** The same several times, so that it is translated. */
  warm(eip: number, times = 8): number {
    let result = 0;
    for (let n = 0; n < times; n++) result = this.call(eip);
    return result;
  }

  /** The guest executes INVLPG for a linear address. */
  invlpg(linear: number): void {
    this.dma(STUB, [0xb8, ...le32(linear), 0x0f, 0x01, 0x38, 0xc3]);
    this.call(STUB);
  }

  /** The guest loads CR3 with what it holds. */
  reloadCr3(): void {
    this.dma(STUB, [0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8, 0xc3]);
    this.call(STUB);
  }

  /** Instructions executed in regions so far; 0 without a translator. */
  get executed(): number {
    return this.cpu.regionStatistics?.executed ?? 0;
  }
}
