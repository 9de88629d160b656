/**
 * A WebAssembly binary writer: just what the interpreter generator and the region compiler need (WebAssembly core
 * specification 2.0 with threads' shared memories). Sections are written in order by `finish`; function bodies are plain
 * byte arrays made with `Code`.
 */

export const I32 = 0x7f;
export const I64 = 0x7e;
export const F32 = 0x7d;
export const F64 = 0x7c;
export const V128 = 0x7b;
export type WasmType = typeof I32 | typeof I64 | typeof F32 | typeof F64 | typeof V128;

/** Appends unsigned LEB128. */
export function pushUnsigned(out: number[], value: number): void {
  let rest = value >>> 0;
  while (rest >= 0x80) {
    out.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  out.push(rest);
}

/** Appends signed LEB128 of a 32-bit value. */
export function pushSigned(out: number[], value: number): void {
  let rest = value | 0;
  for (;;) {
    const byte = rest & 0x7f;
    rest >>= 7;
    if ((rest === 0 && (byte & 0x40) === 0) || (rest === -1 && (byte & 0x40) !== 0)) {
      out.push(byte);
      return;
    }
    out.push(byte | 0x80);
  }
}

/** Appends signed LEB128 of a 64-bit value. */
export function pushSigned64(out: number[], value: bigint): void {
  let rest = BigInt.asIntN(64, value);
  for (;;) {
    const byte = Number(rest & 0x7fn);
    rest >>= 7n;
    if ((rest === 0n && (byte & 0x40) === 0) || (rest === -1n && (byte & 0x40) !== 0)) {
      out.push(byte);
      return;
    }
    out.push(byte | 0x80);
  }
}

function pushName(out: number[], name: string): void {
  const bytes = new TextEncoder().encode(name);
  pushUnsigned(out, bytes.length);
  for (const byte of bytes) out.push(byte);
}

interface FunctionBody {
  typeIndex: number;
  locals: readonly WasmType[];
  code: number[];
}

/** Collects types, imports, functions, globals and exports and writes the module's bytes. */
export class ModuleWriter {
  readonly #types: string[] = [];
  readonly #typeBytes: number[][] = [];
  readonly #imports: { module: string; name: string; typeIndex: number }[] = [];
  readonly #functions: FunctionBody[] = [];
  readonly #globals: { type: WasmType; initial: number }[] = [];
  readonly #exports: { name: string; kind: number; index: number }[] = [];
  readonly #memoryPages: number;
  #table: readonly number[] = [];
  #tableSize = 0;
  #importsTable = false;

  /** The module imports `env.memory`, shared, `memoryPages` initial and maximum. */
  constructor(memoryPages: number) {
    this.#memoryPages = memoryPages;
  }

  type(parameters: readonly WasmType[], results: readonly WasmType[]): number {
    const key = `${parameters.join(",")}>${results.join(",")}`;
    const known = this.#types.indexOf(key);
    if (known >= 0) return known;
    this.#types.push(key);
    this.#typeBytes.push([0x60, parameters.length, ...parameters, results.length, ...results]);
    return this.#types.length - 1;
  }

  /** Adds an imported function; all imports come before the first `reserve`. Returns its function index. */
  importFunction(name: string, parameters: readonly WasmType[], results: readonly WasmType[]): number {
    if (this.#functions.length > 0) throw new Error("imports come before functions");
    this.#imports.push({ module: "env", name, typeIndex: this.type(parameters, results) });
    return this.#imports.length - 1;
  }

  /** Adds a function whose body comes later through `define`. Returns its function index. */
  reserve(parameters: readonly WasmType[], results: readonly WasmType[]): number {
    this.#functions.push({ typeIndex: this.type(parameters, results), locals: [], code: [] });
    return this.#imports.length + this.#functions.length - 1;
  }

  /** Gives a reserved function its locals (beyond the parameters) and its code, without the final `end`. */
  define(index: number, locals: readonly WasmType[], code: number[]): void {
    const body = this.#functions[index - this.#imports.length];
    body.locals = locals;
    body.code = code;
  }

  /** A mutable global. */
  global(type: WasmType, initial: number): number {
    this.#globals.push({ type, initial });
    return this.#globals.length - 1;
  }

  /** The module's function table (index 0), filled with these function indices. */
  table(functions: readonly number[], size = functions.length): void {
    this.#table = functions;
    this.#tableSize = size;
  }

  /** The module imports `env.table` as its function table (index 0) instead. */
  importTable(): void {
    this.#importsTable = true;
  }

  exportTable(name: string): void {
    this.#exports.push({ name, kind: 1, index: 0 });
  }

  exportFunction(name: string, index: number): void {
    this.#exports.push({ name, kind: 0, index });
  }

  exportGlobal(name: string, index: number): void {
    this.#exports.push({ name, kind: 3, index });
  }

  finish(): Uint8Array<ArrayBuffer> {
    const chunks: Uint8Array[] = [Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0)];
    const section = (id: number, body: number[] | Uint8Array) => {
      const head: number[] = [id];
      pushUnsigned(head, body.length);
      chunks.push(Uint8Array.from(head), body instanceof Uint8Array ? body : Uint8Array.from(body));
    };
    const types: number[] = [];
    pushUnsigned(types, this.#typeBytes.length);
    for (const bytes of this.#typeBytes) types.push(...bytes);
    section(1, types);

    const imports: number[] = [];
    pushUnsigned(imports, this.#imports.length + (this.#importsTable ? 2 : 1));
    pushName(imports, "env");
    pushName(imports, "memory");
    imports.push(2, 3);
    pushUnsigned(imports, this.#memoryPages);
    pushUnsigned(imports, this.#memoryPages);
    for (const item of this.#imports) {
      pushName(imports, item.module);
      pushName(imports, item.name);
      imports.push(0);
      pushUnsigned(imports, item.typeIndex);
    }
    if (this.#importsTable) {
      pushName(imports, "env");
      pushName(imports, "table");
      imports.push(1, 0x70, 0, 0);
    }
    section(2, imports);

    const functions: number[] = [];
    pushUnsigned(functions, this.#functions.length);
    for (const f of this.#functions) pushUnsigned(functions, f.typeIndex);
    section(3, functions);

    if (this.#table.length > 0) {
      const table: number[] = [1, 0x70, 0];
      pushUnsigned(table, this.#tableSize);
      section(4, table);
    }

    if (this.#globals.length > 0) {
      const globals: number[] = [];
      pushUnsigned(globals, this.#globals.length);
      for (const g of this.#globals) {
        globals.push(g.type, 1, g.type === I64 ? 0x42 : 0x41);
        pushSigned(globals, g.initial);
        globals.push(0x0b);
      }
      section(6, globals);
    }

    const exports: number[] = [];
    pushUnsigned(exports, this.#exports.length);
    for (const e of this.#exports) {
      pushName(exports, e.name);
      exports.push(e.kind);
      pushUnsigned(exports, e.index);
    }
    section(7, exports);

    if (this.#table.length > 0) {
      const elements: number[] = [1, 0, 0x41, 0, 0x0b];
      pushUnsigned(elements, this.#table.length);
      for (const index of this.#table) pushUnsigned(elements, index);
      section(9, elements);
    }

    const bodies: Uint8Array[] = [];
    let bodiesLength = 0;
    const count: number[] = [];
    pushUnsigned(count, this.#functions.length);
    bodies.push(Uint8Array.from(count));
    bodiesLength += count.length;
    for (const f of this.#functions) {
      const locals: number[] = [];
      const runs: { type: WasmType; count: number }[] = [];
      for (const type of f.locals) {
        const last = runs[runs.length - 1];
        if (last && last.type === type) last.count++;
        else runs.push({ type, count: 1 });
      }
      pushUnsigned(locals, runs.length);
      for (const run of runs) {
        pushUnsigned(locals, run.count);
        locals.push(run.type);
      }
      const head: number[] = [];
      pushUnsigned(head, locals.length + f.code.length + 1);
      const body = new Uint8Array(head.length + locals.length + f.code.length + 1);
      body.set(head, 0);
      body.set(locals, head.length);
      body.set(f.code, head.length + locals.length);
      body[body.length - 1] = 0x0b;
      bodies.push(body);
      bodiesLength += body.length;
    }
    const codeHead: number[] = [10];
    pushUnsigned(codeHead, bodiesLength);
    chunks.push(Uint8Array.from(codeHead), ...bodies);

    let total = 0;
    for (const chunk of chunks) total += chunk.length;
    const result = new Uint8Array(total);
    let at = 0;
    for (const chunk of chunks) {
      result.set(chunk, at);
      at += chunk.length;
    }
    return result;
  }
}
