/**
 * The regions in the core module's table: what is wanted is collected, given its shape and handed to the compile service; entries stand
 * in the decode maps. A region goes when one of its frames changes, when decoded code is dropped, or as the oldest when
 * there are too many. What changes while a region is being compiled voids it.
 */
import * as L from "../layout.ts";
import type { CompileResult, CompileService } from "./compile-service.ts";
import type { CompiledRegion, RegionJob } from "./region-compiler.ts";
import { MAX_REGION_SLOT } from "./region-lowering.ts";
import type { CodeSource, ShapeReader } from "./region-shape.ts";

/**
 * Budgets that a request waits for others, unless it is made a second time. Regions of one module lie on the same pages of the host's
 * memory: those that are executed one behind the other should not all have a module of their own.
 */
const TICKS = 512;
/** Budgets between two looks at how often regions leave in front of an instruction; and how often is too often. */
const EXIT_TICKS = 256;
const MAX_EXITS = 2048;
/** The same for its ways into other regions: then they belong together. */
const MAX_LINKS = 131072;
/** Jobs in the service's hands at once. */
const MAX_JOBS = 2;
const MAX_BATCH = 48;
/** More than there are handler numbers. */
const HANDLERS = 8192;

interface FunctionTable {
  set(index: number, value: unknown): void;
}

/** A decode map's entry that leads into a region: table slot and dispatch number. */
const entryValue = (slot: number, number: number): number => (number << 16) | (slot << 1) | 1;
const headOf = ({ map, linear }: Wanted): number => map + (linear & 4095);

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
export interface OpenRequest extends CodeSource {
  readonly head: number;
  /** Decode map of a page relative to the head's, 0 if not known. */
  mapOf(page: number): number;
  /** Its frame, known while `mapOf` is not 0. */
  frameOf(page: number): number;
}

/** What the engine does for its regions. */
export interface RegionsOwner {
  /** Undefined if the head is not there (any more). `isAlone`: as if there were no other regions. */
  openRegion(wanted: Wanted, isAlone: boolean): OpenRequest | undefined;
  /** The head may be asked for again. */
  resetCounter(map: number, head: number): void;
  /** It need not be. */
  stopCounter(map: number, head: number): void;
}

interface Pending {
  readonly job: RegionJob;
  readonly wanted: Wanted;
  readonly frames: readonly number[];
  isVoid: boolean;
}

interface Region {
  readonly wanted: Wanted;
  readonly isSeparate: boolean;
  readonly slot: number;
  readonly frames: readonly number[];
  /** Indices (32-bit words) of its entries in decode maps. */
  readonly entries: readonly number[];
}

export interface RegionStatistics {
  regions: number;
  compiled: number;
  modules: number;
  refused: number;
  voided: number;
  dropped: number;
  evicted: number;
  /** Made anew, with a look-up for each access; together with those in which they went on too often. */
  separated: number;
  joined: number;
  instructions: number;
  moduleBytes: number;
  compileMs: number;
}

export interface RegionLimits {
  /** Regions kept at once. */
  readonly regions?: number;
  /** Ways into other regions, in so many budgets, from which on they are compiled together. */
  readonly links?: number;
  /** Requests that are compiled together at the least, unless they have waited long or one is made again. */
  readonly batch?: number;
}

export interface RegionsOptions {
  readonly reader: ShapeReader;
  readonly service: CompileService;
  readonly memory: WebAssembly.Memory;
  readonly table: FunctionTable;
  readonly firstSlot: number;
  readonly slots: number;
  readonly library: (name: string) => unknown;
  /** Of the instructions that records with this handler number stand for. */
  readonly mnemonic: (handler: number) => string | undefined;
  /** What the table gets for a region's function. */
  readonly wrap?: (run: unknown) => unknown;
  readonly owner: RegionsOwner;
  readonly limits?: RegionLimits;
}

export class Regions {
  readonly #options: RegionsOptions;
  readonly #i32: Int32Array;
  readonly #free: number[] = [];
  readonly #byFrame = new Map<number, Set<Region>>();
  /** In the order of their making. */
  readonly #all = new Set<Region>();
  readonly #limit: number;
  readonly #batch: number;
  readonly #pending = new Map<number, readonly Pending[]>();
  /** What is being compiled, by head: all places in it that jumps lead to (decode map plus offset). */
  readonly #pendingPlaces = new Map<number, ReadonlySet<number>>();
  #queue: Wanted[] = [];
  #isUrgent = false;
  /** Heads (decode map plus offset) whose accesses are looked up one by one: those together too often lay in two pages. */
  readonly #separate = new Set<number>();
  /** Heads whose regions take in what others begin with. */
  readonly #joined = new Set<number>();
  readonly #maxLinks: number;
  /** Ways between regions that have been counted and forgotten by slot. */
  #links = 0;
  #ticks = 0;
  #exitTicks = 0;
  #nextJob = 1;
  /** Counts the times that everything was dropped. */
  #generation = 0;
  readonly statistics: RegionStatistics = {
    regions: 0,
    compiled: 0,
    modules: 0,
    refused: 0,
    voided: 0,
    dropped: 0,
    evicted: 0,
    separated: 0,
    joined: 0,
    instructions: 0,
    moduleBytes: 0,
    compileMs: 0,
  };

  constructor(options: RegionsOptions) {
    const { memory, firstSlot, slots, limits = {} } = options;
    this.#options = options;
    this.#i32 = new Int32Array(memory.buffer);
    const count = Math.min(slots, MAX_REGION_SLOT - firstSlot);
    for (let n = count - 1; n >= 0; n--) this.#free.push(firstSlot + n);
    this.#limit = Math.max(1, Math.min(limits.regions ?? count, count));
    this.#batch = limits.batch ?? MAX_BATCH;
    this.#maxLinks = limits.links ?? MAX_LINKS;
  }

  /** What is waiting: requests, and jobs that are being compiled. */
  queue(): { requests: number; jobs: number } {
    return { requests: this.#queue.length, jobs: this.#pending.size };
  }

  /** How often regions left in front of an instruction, by mnemonic. */
  exits(): Record<string, number> {
    const exits: Record<string, number> = {};
    for (let number = 0; number < HANDLERS; number++) {
      const count = this.#i32[(L.HANDLER_EXITS >> 2) + number] >>> 0;
      if (count === 0) continue;
      const name = this.#options.mnemonic(number) ?? "other";
      exits[name] = (exits[name] ?? 0) + count;
    }
    return exits;
  }

  /** Whether a region with this head (decode map plus offset) is being compiled. */
  isPending(head: number): boolean {
    return this.#pendingPlaces.has(head);
  }

  #isBeingCompiled(place: number): boolean {
    for (const places of this.#pendingPlaces.values()) if (places.has(place)) return true;
    return false;
  }

  /** Remembers a request. Compiles when enough have come together, or at once what is asked for again. */
  request(wanted: Wanted): void {
    if (this.isQueued(headOf(wanted))) this.#isUrgent = true;
    else this.#queue.push(wanted);
    if (this.#isDue) this.#submit();
  }

  /** Whether a region with this head (decode map plus offset) waits to be compiled. */
  isQueued(head: number): boolean {
    return this.#queue.some((other) => headOf(other) === head);
  }

  get #isDue(): boolean {
    return this.#isUrgent || this.#queue.length >= this.#batch || this.#ticks >= TICKS;
  }

  /** Called between budgets: takes what has been compiled, and asks for what has waited for others long enough. */
  tick(): void {
    if (this.#pending.size > 0) this.#take();
    if (this.#queue.length > 0) {
      this.#ticks++;
      if (this.#isDue) this.#submit();
    }
    if (++this.#exitTicks >= EXIT_TICKS) this.#lookAtExits();
  }

  /** Ways from one region straight into another. */
  links(): number {
    let links = this.#links;
    for (const { slot } of this.#all) links += this.#i32[(L.REGION_LINKS >> 2) + slot];
    return links;
  }

  /**
   * A stack frame that straddles two pages would send its function's region out at each call. A loop in two regions would change between them
   * each time round.
   */
  #lookAtExits(): void {
    this.#exitTicks = 0;
    const { statistics } = this;
    for (const region of this.#all) {
      const { slot, wanted } = region;
      const exits = this.#i32[(L.REGION_EXITS >> 2) + slot];
      const links = this.#i32[(L.REGION_LINKS >> 2) + slot];
      if (exits === 0 && links === 0) continue;
      this.#forgetCounts(slot);
      const head = headOf(wanted);
      const isSeparated = exits >= MAX_EXITS && !region.isSeparate;
      const isJoined = links >= this.#maxLinks && !this.#joined.has(head);
      if (isSeparated) {
        this.#separate.add(head);
        statistics.separated++;
      }
      if (isJoined) {
        this.#joined.add(head);
        statistics.joined++;
      }
      if (!isSeparated && !isJoined) continue;
      this.#remove(region);
      this.request(wanted);
    }
  }

  #forgetCounts(slot: number): void {
    this.#i32[(L.REGION_EXITS >> 2) + slot] = 0;
    this.#links += this.#i32[(L.REGION_LINKS >> 2) + slot];
    this.#i32[(L.REGION_LINKS >> 2) + slot] = 0;
  }

  #submit(): void {
    if (this.#pending.size >= MAX_JOBS) return;
    this.#ticks = 0;
    this.#isUrgent = false;
    const { service, reader, owner } = this.#options;
    const pending: Pending[] = [];
    const generation = this.#generation;
    for (const wanted of this.#queue.splice(0, MAX_BATCH)) {
      // It is asked for no more: not where it is refused, nor when it has been made and is pushed out.
      owner.stopCounter(wanted.map, wanted.linear & 4095);
      if (this.#isBeingCompiled(headOf(wanted))) {
        // Perhaps it can be entered there; if not, it will be wanted again.
        owner.resetCounter(wanted.map, wanted.linear & 4095);
        continue;
      }
      const request = owner.openRegion(wanted, this.#joined.has(headOf(wanted)));
      if (request === undefined) continue;
      const shape = reader.form(request.head, request);
      // Decoding for it may have dropped all that was decoded, shapes included.
      if (generation !== this.#generation) return;
      if (shape === undefined) {
        this.statistics.refused++;
        continue;
      }
      const pages = [...new Set(shape.blocks.flatMap((block) => block.pages))];
      const maps = new Map(pages.map((page) => [page, request.mapOf(page)]));
      const frames = pages.map((page) => request.frameOf(page));
      const isSeparate = this.#separate.has(headOf(wanted));
      pending.push({ job: { shape, head: request.head, maps, isSeparate }, wanted, frames, isVoid: false });
      this.#pendingPlaces.set(
        headOf(wanted),
        new Set(shape.blocks.map(({ start }) => (maps.get(start >> 12) as number) + (start & 4095))),
      );
    }
    if (pending.length === 0) return;
    const id = this.#nextJob++;
    this.#pending.set(id, pending);
    service.submit({ id, regions: pending.map(({ job }) => job) });
    this.#take();
  }

  #take(): void {
    const { service, memory, table, library } = this.#options;
    for (let result = service.take(); result !== undefined; result = service.take()) {
      const pending = this.#pending.get(result.id) ?? [];
      this.#pending.delete(result.id);
      for (const { wanted } of pending) this.#pendingPlaces.delete(headOf(wanted));
      this.#count(result);
      if (pending.every(({ isVoid }) => isVoid)) continue;
      const env: Record<string, unknown> = { memory, table };
      for (const name of result.libraries) env[name] = library(name);
      const instance = new WebAssembly.Instance(result.module, { env: env as Record<string, WebAssembly.Memory> });
      for (const [n, entry] of pending.entries()) {
        if (!entry.isVoid) this.#install(entry, result.regions[n], instance.exports[`r${n}`]);
      }
    }
  }

  #count(result: CompileResult): void {
    const { statistics } = this;
    statistics.modules++;
    statistics.moduleBytes += result.moduleBytes;
    statistics.compileMs += result.compileMs;
  }

  #install({ job, wanted, frames }: Pending, compiled: CompiledRegion, run: unknown): void {
    const { table, wrap } = this.#options;
    while (this.#all.size >= this.#limit) {
      const [oldest] = this.#all;
      this.#remove(oldest, true);
      this.statistics.evicted++;
    }
    const slot = this.#free.pop() as number;
    table.set(slot, wrap === undefined ? run : wrap(run));
    const entries: number[] = [];
    for (const { offset, number } of compiled.entries) {
      const map = job.maps.get(offset >> 12) as number;
      const at = (map >> 2) + (offset & 4095);
      const record = this.#i32[at];
      if (record === 0 || (record & 1) !== 0) continue;
      this.#i32[at + (L.MAP_ORIGINALS >> 2)] = record;
      this.#i32[at] = entryValue(slot, number);
      entries.push(at);
    }
    this.#forgetCounts(slot);
    const region: Region = { wanted, isSeparate: job.isSeparate, slot, frames, entries };
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
    if (gpaPage < 0) {
      this.#generation++;
      this.#separate.clear();
      this.#joined.clear();
      this.#pendingPlaces.clear();
    }
    for (const list of this.#pending.values()) {
      for (const pending of list) {
        if (pending.isVoid || (gpaPage >= 0 && !pending.frames.includes(gpaPage))) continue;
        pending.isVoid = true;
        this.statistics.voided++;
        // Its head's page may have stayed as it was.
        if (gpaPage >= 0) this.#options.owner.resetCounter(pending.job.maps.get(0) as number, pending.job.head);
      }
    }
    const list = gpaPage < 0 ? this.#all : this.#byFrame.get(gpaPage);
    if (list === undefined) return;
    for (const region of [...list]) {
      this.#remove(region);
      this.statistics.dropped++;
    }
  }

  /** `isPushedOut`: by others, so it stays away: regions that push each other out would be compiled all the time. */
  #remove(region: Region, isPushedOut = false): void {
    this.#all.delete(region);
    for (const frame of region.frames) {
      const list = this.#byFrame.get(frame);
      list?.delete(region);
      if (list?.size === 0) this.#byFrame.delete(frame);
    }
    for (const at of region.entries) {
      if ((this.#i32[at] & 1) === 0) continue;
      this.#i32[at] = this.#i32[at + (L.MAP_ORIGINALS >> 2)];
      if (isPushedOut) continue;
      // It may become hot once more.
      const inMaps = at * 4 - L.DECODE_MAPS;
      const inMap = inMaps % L.DECODE_MAP_BYTES;
      this.#options.owner.resetCounter(L.DECODE_MAPS + inMaps - inMap, inMap >> 2);
    }
    this.#options.table.set(region.slot, null);
    this.#forgetCounts(region.slot);
    this.#free.push(region.slot);
    this.statistics.regions = this.#all.size;
  }
}
