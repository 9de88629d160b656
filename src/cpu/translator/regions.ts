/**
 * The regions in the core module's table: what is asked for is collected and compiled together; entries stand in the decode maps;
 * a region goes when one of its frames changes, when decoded code is dropped, or as the oldest when there are too many.
 */
import * as L from "../layout.ts";
import type { CompiledRegion, RegionCompiler, RegionRequest } from "./region-compiler.ts";

/** Budgets that a request waits for others. */
const TICKS = 8;

interface FunctionTable {
  set(index: number, value: unknown): void;
}

/** A decode map's entry that leads into a region: table slot and dispatch number. */
export const entryValue = (slot: number, number: number): number => (number << 16) | (slot << 1) | 1;
/** Table slots that an entry can name. */
export const MAX_SLOT = 0x7fff;

/** Where a region is wanted. */
export interface Wanted {
  /** Linear address of the head. */
  readonly linear: number;
  readonly isUser: boolean;
  /** The decode map that its page had, and the frame. */
  readonly map: number;
  readonly gpaPage: number;
}

/** What the code around a head looks like now. */
export interface OpenRequest extends RegionRequest {
  /** Frame of a page relative to the head's, known while `mapOf` is not 0. */
  frameOf(page: number): number;
}

interface Region {
  readonly slot: number;
  readonly frames: readonly number[];
  /** Indices (32-bit words) of its entries in decode maps. */
  readonly entries: readonly number[];
  readonly bytes: number;
}

export interface RegionStatistics {
  regions: number;
  compiled: number;
  modules: number;
  refused: number;
  dropped: number;
  evicted: number;
  instructions: number;
  moduleBytes: number;
  compileMs: number;
}

export interface RegionLimits {
  /** Regions kept at once. */
  readonly regions?: number;
  /** Requests that are compiled together. */
  readonly batch?: number;
}

export class Regions {
  readonly #compiler: RegionCompiler;
  readonly #memory: WebAssembly.Memory;
  readonly #table: FunctionTable;
  readonly #library: (name: string) => unknown;
  readonly #i32: Int32Array;
  readonly #free: number[] = [];
  readonly #byFrame = new Map<number, Set<Region>>();
  /** In the order of their making. */
  readonly #all = new Set<Region>();
  readonly #limit: number;
  readonly #batch: number;
  #queue: Wanted[] = [];
  #ticks = 0;
  readonly #open: (wanted: Wanted) => OpenRequest | undefined;
  /** Counts the times that everything was dropped. */
  #generation = 0;
  readonly statistics: RegionStatistics = {
    regions: 0,
    compiled: 0,
    modules: 0,
    refused: 0,
    dropped: 0,
    evicted: 0,
    instructions: 0,
    moduleBytes: 0,
    compileMs: 0,
  };

  constructor(
    compiler: RegionCompiler,
    memory: WebAssembly.Memory,
    table: FunctionTable,
    firstSlot: number,
    slots: number,
    library: (name: string) => unknown,
    open: (wanted: Wanted) => OpenRequest | undefined,
    limits: RegionLimits = {},
  ) {
    this.#compiler = compiler;
    this.#memory = memory;
    this.#table = table;
    this.#library = library;
    this.#open = open;
    this.#i32 = new Int32Array(memory.buffer);
    const count = Math.min(slots, MAX_SLOT - firstSlot);
    for (let n = count - 1; n >= 0; n--) this.#free.push(firstSlot + n);
    this.#limit = Math.min(limits.regions ?? count, count);
    this.#batch = limits.batch ?? 16;
  }

  /** Remembers a request; compiles when enough have come together. */
  request(wanted: Wanted): void {
    this.#queue.push(wanted);
    if (this.#queue.length >= this.#batch) this.flush();
  }

  /** Called now and then: compiles what has waited for others long enough. */
  tick(): void {
    if (this.#queue.length > 0 && ++this.#ticks >= TICKS) this.flush();
  }

  /** Compiles what is waiting. */
  flush(): void {
    const queue = this.#queue;
    this.#queue = [];
    this.#ticks = 0;
    const requests: OpenRequest[] = [];
    for (const wanted of queue) {
      const request = this.#open(wanted);
      if (request !== undefined) requests.push(request);
    }
    if (requests.length === 0) return;
    const generation = this.#generation;
    const { statistics } = this;
    const startedAt = performance.now();
    const module = this.#compiler.compile(requests);
    statistics.refused += requests.length - (module?.regions.length ?? 0);
    // Decoding for them may have dropped all that was decoded.
    if (module !== undefined && generation === this.#generation) {
      const env: Record<string, unknown> = { memory: this.#memory };
      for (const name of module.libraries) env[name] = this.#library(name);
      const instance = new WebAssembly.Instance(new WebAssembly.Module(module.bytes), {
        env: env as Record<string, WebAssembly.Memory>,
      });
      statistics.modules++;
      statistics.moduleBytes += module.bytes.length;
      for (const region of module.regions) {
        this.#install(requests[region.index], region, instance.exports[`r${region.index}`], module.bytes.length);
      }
    }
    statistics.compileMs += performance.now() - startedAt;
  }

  #install(request: OpenRequest, compiled: CompiledRegion, run: unknown, bytes: number): void {
    while (this.#all.size >= this.#limit) {
      const [oldest] = this.#all;
      this.#remove(oldest);
      this.statistics.evicted++;
    }
    const slot = this.#free.pop() as number;
    this.#table.set(slot, run);
    const entries: number[] = [];
    for (const { offset, number } of compiled.entries) {
      const map = request.mapOf(offset >> 12);
      const at = (map >> 2) + (offset & 4095);
      const record = this.#i32[at];
      if (map === 0 || record === 0 || (record & 1) !== 0) continue;
      this.#i32[at + (L.MAP_ORIGINALS >> 2)] = record;
      this.#i32[at] = entryValue(slot, number);
      entries.push(at);
    }
    const frames = compiled.pages.map((page) => request.frameOf(page));
    const region: Region = { slot, frames, entries, bytes };
    this.#all.add(region);
    for (const frame of frames) {
      let list = this.#byFrame.get(frame);
      if (list === undefined) {
        list = new Set();
        this.#byFrame.set(frame, list);
      }
      list.add(region);
    }
    this.statistics.compiled++;
    this.statistics.instructions += compiled.instructions;
    this.statistics.regions = this.#all.size;
  }

  /** Drops the regions that have code in a frame, or (−1) all, and forgets what was asked for. */
  drop(gpaPage: number): void {
    // Requests speak of decoded code that may be gone.
    this.#queue = gpaPage < 0 ? [] : this.#queue.filter((wanted) => wanted.gpaPage !== gpaPage);
    if (gpaPage < 0) this.#generation++;
    const list = gpaPage < 0 ? this.#all : this.#byFrame.get(gpaPage);
    if (list === undefined) return;
    for (const region of [...list]) {
      this.#remove(region);
      this.statistics.dropped++;
    }
  }

  #remove(region: Region): void {
    this.#all.delete(region);
    for (const frame of region.frames) {
      const list = this.#byFrame.get(frame);
      list?.delete(region);
      if (list?.size === 0) this.#byFrame.delete(frame);
    }
    for (const at of region.entries) {
      if ((this.#i32[at] & 1) !== 0) this.#i32[at] = this.#i32[at + (L.MAP_ORIGINALS >> 2)];
    }
    this.#table.set(region.slot, null);
    this.#free.push(region.slot);
    this.statistics.regions = this.#all.size;
  }
}
