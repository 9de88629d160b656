/** The regions in the core module's table: compiled on demand, dropped with their frame. */
import * as L from "../layout.ts";
import type { RegionCompiler } from "./region-compiler.ts";

interface FunctionTable {
  set(index: number, value: unknown): void;
}

export class Regions {
  readonly #compiler: RegionCompiler;
  readonly #memory: WebAssembly.Memory;
  readonly #table: FunctionTable;
  readonly #i32: Int32Array;
  readonly #free: number[] = [];
  /** Table slots by frame. */
  readonly #byFrame = new Map<number, number[]>();
  /** Regions compiled, and heads that had nothing to translate. */
  compiled = 0;
  refused = 0;

  constructor(
    compiler: RegionCompiler,
    memory: WebAssembly.Memory,
    table: FunctionTable,
    firstSlot: number,
    slots: number,
  ) {
    this.#compiler = compiler;
    this.#memory = memory;
    this.#table = table;
    this.#i32 = new Int32Array(memory.buffer);
    for (let n = slots - 1; n >= 0; n--) this.#free.push(firstSlot + n);
  }

  /**
   * Compiles the region with the given head (a page offset) and puts it into the frame's decode map. `recordAt` as for
   * the compiler.
   */
  translate(map: number, gpaPage: number, head: number, recordAt: (offset: number) => number): void {
    const slot = this.#free.pop();
    if (slot === undefined) return;
    const record = recordAt(head);
    const bytes = this.#compiler.compile(head, recordAt);
    if (bytes === undefined) {
      this.refused++;
      this.#free.push(slot);
      return;
    }
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory: this.#memory } });
    this.#table.set(slot, instance.exports.run);
    this.#i32[((map + L.MAP_ORIGINALS) >> 2) + head] = record;
    this.#i32[(map >> 2) + head] = (slot << 1) | 1;
    let list = this.#byFrame.get(gpaPage);
    if (list === undefined) {
      list = [];
      this.#byFrame.set(gpaPage, list);
    }
    list.push(slot);
    this.compiled++;
  }

  /** Drops the regions of a frame, or (−1) all. */
  drop(gpaPage: number): void {
    if (gpaPage < 0) {
      for (const frame of [...this.#byFrame.keys()]) this.drop(frame);
      return;
    }
    const list = this.#byFrame.get(gpaPage);
    if (list === undefined) return;
    this.#byFrame.delete(gpaPage);
    for (const slot of list) {
      this.#table.set(slot, null);
      this.#free.push(slot);
    }
  }
}
