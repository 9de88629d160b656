/**
 * Where regions are compiled: on the thread that asks, or on one of its own that works beside the machine's (vm/). The guest never
 * waits for what is compiled elsewhere: results are taken when they are there.
 */
import { librarySignatures } from "../fpu/libraries.ts";
import { regionHelpers } from "../interpreter/imports.ts";
import type { Row } from "../table/row.ts";
import { type CompiledRegion, RegionCompiler, type RegionJob } from "./region-compiler.ts";
import { VariantTable } from "./variant-table.ts";

/** Regions for one module; can be sent between threads. */
export interface CompileJob {
  readonly id: number;
  readonly regions: readonly RegionJob[];
}

export interface CompileResult {
  readonly id: number;
  readonly module: WebAssembly.Module;
  readonly moduleBytes: number;
  /** Library functions that the module imports. */
  readonly libraries: readonly string[];
  /** In the order of the job. */
  readonly regions: readonly CompiledRegion[];
  readonly compileMs: number;
}

export interface CompileService {
  submit(job: CompileJob): void;
  /** The next result that is there. */
  take(): CompileResult | undefined;
}

/** Turns jobs into modules. */
export class JobCompiler {
  readonly #compiler: RegionCompiler;

  /** `isShadowed`: for shadow mode, regions tell of their stores. */
  constructor(variants: VariantTable, memoryPages: number, isShadowed = false) {
    const libraries = new Map([...librarySignatures, ...regionHelpers]);
    this.#compiler = new RegionCompiler(variants, memoryPages, libraries, isShadowed);
  }

  static forRows(rows: readonly Row[], memoryPages: number, isShadowed = false): JobCompiler {
    return new JobCompiler(new VariantTable(rows), memoryPages, isShadowed);
  }

  compile({ id, regions }: CompileJob): CompileResult {
    const startedAtMs = performance.now();
    const compiled = this.#compiler.compile(regions);
    const module = new WebAssembly.Module(compiled.bytes);
    return {
      id,
      module,
      moduleBytes: compiled.bytes.length,
      libraries: compiled.libraries,
      regions: compiled.regions,
      compileMs: performance.now() - startedAtMs,
    };
  }
}

/** Compiles when asked, on the asking thread. */
export class SynchronousCompileService implements CompileService {
  readonly #compiler: JobCompiler;
  readonly #results: CompileResult[] = [];

  constructor(compiler: JobCompiler) {
    this.#compiler = compiler;
  }
  submit(job: CompileJob): void {
    this.#results.push(this.#compiler.compile(job));
  }
  take(): CompileResult | undefined {
    return this.#results.shift();
  }
}
