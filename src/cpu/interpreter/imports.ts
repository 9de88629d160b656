/** Which functions the generated core module imports and offers: helpers in TypeScript by name, library functions in WebAssembly. */
import type { ModuleWriter, WasmType } from "../wasm/writer.ts";
import { I32 } from "../wasm/writer.ts";

/**
 * Helpers that generated code may call, with their number of i32 arguments; all answer a status as i32. Slow memory
 * accesses answer 0 or 3 (FAULT set) and exchange values at SLOW_VALUE.
 */
export const helperArity = {
  "slow-read": 2,
  "slow-read-for-write": 2,
  "slow-write": 3,
  "check-segment": 4,
  "flags-image": 0,
  popf: 2,
  cli: 1,
  sti: 1,
  hlt: 1,
  int: 3,
  iret: 2,
  "jmp-far": 4,
  "call-far": 4,
  retf: 2,
  "load-segment": 2,
  end: 1,
  "mov-to-segment": 3,
  "pop-segment": 3,
  lar: 1,
  lsl: 1,
  verr: 1,
  verw: 1,
  "check-cpl0": 0,
  lldt: 1,
  ltr: 1,
  lmsw: 2,
  clts: 1,
  "read-control": 1,
  "write-control": 3,
  "read-debug": 1,
  "write-debug": 3,
  invlpg: 2,
  rdmsr: 1,
  wrmsr: 4,
  rdtsc: 0,
  cpuid: 2,
  sysenter: 0,
  sysexit: 0,
  in: 3,
  out: 3,
  ins: 4,
  outs: 3,
  "fpu-error": 0,
  "x87-function": 1,
} as const;

export type HelperName = keyof typeof helperArity;

/**
 * Helpers that regions call themselves: they read and write nothing that a region keeps in locals (general registers, arithmetic
 * flags), and EIP and the budget are in their places.
 */
export const regionHelpers: ReadonlyMap<string, LibrarySignature & { readonly mayFault: boolean }> = new Map(
  (["rdtsc", "verr", "verw", "read-control", "x87-function"] as const).map((name) => [
    name,
    {
      parameters: new Array<WasmType>(helperArity[name]).fill(I32),
      result: I32,
      mayFault: name !== "x87-function",
    },
  ]),
);

export interface LibrarySignature {
  readonly parameters: readonly WasmType[];
  readonly result: WasmType;
}

export class CoreImports {
  readonly #indices = new Map<string, number>();
  readonly #libraries = new Map<string, number>();

  constructor(writer: ModuleWriter) {
    for (const [name, arity] of Object.entries(helperArity)) {
      this.#indices.set(name, writer.importFunction(name, new Array(arity).fill(I32), [I32]));
    }
  }

  helper(name: string, argumentCount: number): number {
    const index = this.#indices.get(name);
    if (index === undefined) throw new Error(`no helper named ${name}`);
    if (helperArity[name as HelperName] !== argumentCount)
      throw new Error(`helper ${name}: ${argumentCount} arguments`);
    return index;
  }

  addLibrary(name: string, index: number): void {
    this.#libraries.set(name, index);
  }

  /** All library functions. */
  get libraries(): Iterable<string> {
    return this.#libraries.keys();
  }

  library(name: string): number {
    const index = this.#libraries.get(name);
    if (index === undefined) throw new Error(`no library function named ${name}`);
    return index;
  }
}
