/**
 * The guest-physical address space below 4 GiB: who answers where. Regions (RAM, shadow RAM, ROM, registers, BARs) are
 * listed by priority; whenever one moves, the list is flattened into disjoint segments, each with the region that answers
 * reads and the one that takes writes (they differ under the i440FX's PAM registers). Pages that lie wholly inside one
 * memory-backed segment are mapped in the CPU's PhysicalMap and never come here; all else arrives through `readMmio` and
 * `writeMmio`. Priorities: what lies over everything (the local APIC's page), built-in regions in the order of their making,
 * then what guests place (BARs).
 */
import { InternalError } from "../base/errors.ts";
import { silentTrace, type TraceChannel } from "../base/logger.ts";
import type { ClaimedMemory } from "../device-api/device.ts";
import { type AccessSize, allOnes, type IoWindow } from "../device-api/io-window.ts";
import type { DemandLog } from "./demand-log.ts";

const PAGE = 4096;
const SPACE_END = 0x1_0000_0000;
/** Where ROMs of cards lie on a PC. */
const CARD_ROMS = 0xc0000;
const CARD_ROMS_END = 0xf0000;

/** The part of cpu/'s PhysicalMap that the memory bus drives. */
export interface PageMap {
  map(gpa: number, lengthBytes: number, hostOffset: number, writable: boolean): void;
  unmap(gpa: number, lengthBytes: number): void;
}

export type RegionBacking =
  | { readonly kind: "window"; readonly window: IoWindow }
  /** Bytes of the machine's memory, page aligned. */
  | { readonly kind: "memory"; readonly hostOffset: number };

interface Region {
  readonly name: string;
  readonly lengthBytes: number;
  readonly backing: RegionBacking;
  /** The part of a window's region that is plain memory at the moment. */
  direct?: { readonly offset: number; readonly lengthBytes: number; readonly hostOffset: number };
  base: number;
  answersReads: boolean;
  takesWrites: boolean;
}

/** A region whose place or direction changes while the machine runs. */
export interface MovableRegion {
  /** Answers at [base, base+length) from now on, reads and writes as given. */
  place(base: number, answersReads?: boolean, takesWrites?: boolean): void;
  remove(): void;
}

interface Mapping {
  readonly gpa: number;
  readonly lengthBytes: number;
  readonly hostOffset: number;
  readonly writable: boolean;
}

export class MemoryBus {
  readonly #bytes: Uint8Array;
  readonly #pageMap: PageMap;
  readonly #demand: DemandLog;
  readonly #trace: TraceChannel;
  readonly #onDirectWrite: (gpa: number, lengthBytes: number) => void;
  readonly #overlays: Region[] = [];
  readonly #fixed: Region[] = [];
  readonly #placed: Region[] = [];
  #mappings: Mapping[] = [];
  /** Segments, ascending; segment i covers [#starts[i], #starts[i + 1]). */
  #starts: number[] = [0, SPACE_END];
  #readers: (Region | undefined)[] = [undefined];
  #writers: (Region | undefined)[] = [undefined];
  #lastSegment = 0;
  #suspended = 0;
  /** Register accesses since power-on, for statistics. */
  accesses = 0;

  /**
   * `bytes` is the whole shared memory that `hostOffset`s refer to. `onDirectWrite` drops code decoded from memory that
   * was written the slow way.
   */
  constructor(options: {
    readonly bytes: Uint8Array;
    readonly pageMap: PageMap;
    readonly demand: DemandLog;
    readonly trace?: TraceChannel;
    readonly onDirectWrite: (gpa: number, lengthBytes: number) => void;
  }) {
    this.#bytes = options.bytes;
    this.#pageMap = options.pageMap;
    this.#demand = options.demand;
    this.#trace = options.trace ?? silentTrace;
    this.#onDirectWrite = options.onDirectWrite;
  }

  /**
   * Built-in registers at a fixed place, parts of which may become memory for a while. Throws InternalError if another
   * built-in window is there.
   */
  claim(base: number, lengthBytes: number, window: IoWindow, name = "window"): ClaimedMemory {
    if (!(lengthBytes > 0) || base < 0 || base + lengthBytes > SPACE_END)
      throw new InternalError(`memory ${hex(base)}+${lengthBytes} is outside the address space`);
    for (const other of this.#fixed) {
      const overlaps = base < other.base + other.lengthBytes && other.base < base + lengthBytes;
      if (overlaps && other.backing.kind === "window" && other.answersReads)
        throw new InternalError(`memory at ${hex(Math.max(base, other.base))} is claimed by ${other.name} and ${name}`);
    }
    const region: Region = {
      name,
      lengthBytes,
      backing: { kind: "window", window },
      base,
      answersReads: true,
      takesWrites: true,
    };
    this.#fixed.push(region);
    this.#rebuild();
    return {
      mapDirect: (offset, length, memory, memoryOffset) => {
        if (offset < 0 || offset + length > lengthBytes || memoryOffset + length > memory.bytes.length)
          throw new InternalError(`${name}: ${length} bytes at ${offset} cannot be memory at ${memoryOffset}`);
        region.direct = { offset, lengthBytes: length, hostOffset: memory.hostOffset + memoryOffset };
        if (this.#suspended === 0) this.#applyMappings();
      },
      unmapDirect: () => {
        region.direct = undefined;
        if (this.#suspended === 0) this.#applyMappings();
      },
    };
  }

  /** Built-in RAM (`isWritable`) or ROM: writes to ROM vanish. */
  addMemory(name: string, base: number, lengthBytes: number, hostOffset: number, isWritable: boolean): void {
    this.#fixed.push({
      name,
      lengthBytes,
      backing: { kind: "memory", hostOffset },
      base,
      answersReads: true,
      takesWrites: isWritable,
    });
    this.#rebuild();
  }

  /** A region that the chipset switches (shadow RAM): as strong as a built-in one made at the same time. */
  addSwitched(name: string, lengthBytes: number, backing: RegionBacking): MovableRegion {
    return this.#add(this.#fixed, name, lengthBytes, backing);
  }

  /** A region that the guest places and that lies over everything else: registers inside the processor. */
  addOverlay(name: string, lengthBytes: number, backing: RegionBacking): MovableRegion {
    return this.#add(this.#overlays, name, lengthBytes, backing);
  }

  /** A region that the guest places (a BAR): weaker than everything built in. */
  addMovable(name: string, lengthBytes: number, backing: RegionBacking): MovableRegion {
    return this.#add(this.#placed, name, lengthBytes, backing);
  }

  /** Several changes at once: the map is rebuilt when `change` returns. */
  batch(change: () => void): void {
    this.#suspended++;
    try {
      change();
    } finally {
      this.#suspended--;
      this.#rebuild();
    }
  }

  readMmio(gpa: number, size: AccessSize): number {
    this.accesses++;
    const value = this.#read(gpa, size);
    if (this.#trace.enabled) this.#trace.line(`read ${hex(gpa)} size ${size} = ${hex(value)}`);
    return value;
  }

  writeMmio(gpa: number, size: AccessSize, value: number): void {
    this.accesses++;
    if (this.#trace.enabled) this.#trace.line(`write ${hex(gpa)} size ${size} = ${hex(value)}`);
    this.#write(gpa, size, value);
  }

  /** What answers at `gpa`, for people: the region's name. */
  regionAt(gpa: number): string | undefined {
    return gpa < SPACE_END ? this.#readers[this.#find(gpa)]?.name : undefined;
  }

  #read(gpa: number, size: AccessSize): number {
    if (gpa >= SPACE_END) return allOnes(size);
    const segment = this.#find(gpa);
    if (gpa + size > this.#starts[segment + 1] && size > 1) {
      const half = (size >> 1) as AccessSize;
      return this.#read(gpa, half) + this.#read(gpa + half, half) * 2 ** (8 * half);
    }
    const region = this.#readers[segment];
    if (region === undefined) {
      // Firmware and guests look for ROMs of cards here: an empty place is an answer.
      if (gpa >= CARD_ROMS && gpa < CARD_ROMS_END) return allOnes(size);
      this.#demand.note("unclaimed memory read", Math.floor(gpa / PAGE), describeRead);
      return allOnes(size);
    }
    const { backing } = region;
    if (backing.kind === "window") return backing.window.read(gpa - region.base, size);
    const at = backing.hostOffset + (gpa - region.base);
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + this.#bytes[at + i];
    return value;
  }

  #write(gpa: number, size: AccessSize, value: number): void {
    if (gpa >= SPACE_END) return;
    const segment = this.#find(gpa);
    if (gpa + size > this.#starts[segment + 1] && size > 1) {
      const half = (size >> 1) as AccessSize;
      this.#write(gpa, half, half === 1 ? value & 0xff : value & 0xffff);
      this.#write(gpa + half, half, half === 1 ? (value >>> 8) & 0xff : value >>> 16);
      return;
    }
    const region = this.#writers[segment];
    if (region === undefined) {
      if (this.#readers[segment] === undefined)
        this.#demand.note("unclaimed memory write", Math.floor(gpa / PAGE), describeWrite);
      return;
    }
    const { backing } = region;
    if (backing.kind === "window") {
      backing.window.write(gpa - region.base, size, value);
      return;
    }
    const at = backing.hostOffset + (gpa - region.base);
    for (let i = 0; i < size; i++) this.#bytes[at + i] = (value >>> (8 * i)) & 0xff;
    this.#onDirectWrite(gpa, size);
  }

  #find(gpa: number): number {
    const starts = this.#starts;
    const last = this.#lastSegment;
    if (gpa >= starts[last] && gpa < starts[last + 1]) return last;
    let low = 0;
    let high = starts.length - 2;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle] <= gpa) low = middle;
      else high = middle - 1;
    }
    this.#lastSegment = low;
    return low;
  }

  #add(list: Region[], name: string, lengthBytes: number, backing: RegionBacking): MovableRegion {
    const region: Region = { name, lengthBytes, backing, base: 0, answersReads: false, takesWrites: false };
    list.push(region);
    const set = (base: number, answersReads: boolean, takesWrites: boolean): void => {
      if (region.base === base && region.answersReads === answersReads && region.takesWrites === takesWrites) return;
      region.base = base;
      region.answersReads = answersReads;
      region.takesWrites = takesWrites;
      this.#rebuild();
    };
    return {
      place: (base, answersReads = true, takesWrites = true) => {
        const isInside = base >= 0 && base + lengthBytes <= SPACE_END;
        set(isInside ? base : 0, isInside && answersReads, isInside && takesWrites);
      },
      remove: () => set(0, false, false),
    };
  }

  /** Flattens the regions into segments and brings the page map in line. Bounded by the number of regions squared. */
  #rebuild(): void {
    if (this.#suspended > 0) return;
    const regions = [...this.#overlays, ...this.#fixed, ...this.#placed].filter((r) => r.answersReads || r.takesWrites);
    const borders = new Set([0, SPACE_END]);
    for (const region of regions) {
      borders.add(region.base);
      borders.add(region.base + region.lengthBytes);
    }
    const sorted = [...borders].sort((a, b) => a - b);
    const starts: number[] = [];
    const readers: (Region | undefined)[] = [];
    const writers: (Region | undefined)[] = [];
    for (let i = 0; i + 1 < sorted.length; i++) {
      const at = sorted[i];
      const covers = (r: Region) => at >= r.base && at < r.base + r.lengthBytes;
      const reader = regions.find((r) => r.answersReads && covers(r));
      // What answers reads but takes no writes (ROM) shields what lies under it from writes.
      const writer = regions.find((r) => covers(r) && (r.takesWrites || r.answersReads));
      const taker = writer?.takesWrites ? writer : undefined;
      const previous = starts.length - 1;
      if (previous >= 0 && readers[previous] === reader && writers[previous] === taker) continue;
      starts.push(at);
      readers.push(reader);
      writers.push(taker);
    }
    starts.push(SPACE_END);
    this.#starts = starts;
    this.#readers = readers;
    this.#writers = writers;
    this.#lastSegment = 0;
    this.#applyMappings();
  }

  #applyMappings(): void {
    const wanted: Mapping[] = [];
    for (let i = 0; i < this.#readers.length; i++) {
      const region = this.#readers[i];
      const memory = region && memoryOf(region);
      if (region === undefined || memory === undefined) continue;
      const from = region.base + memory.offset;
      const gpa = Math.ceil(Math.max(this.#starts[i], from) / PAGE) * PAGE;
      const end = Math.floor(Math.min(this.#starts[i + 1], from + memory.lengthBytes) / PAGE) * PAGE;
      if (end <= gpa) continue;
      const hostOffset = memory.hostOffset + (gpa - from);
      wanted.push({ gpa, lengthBytes: end - gpa, hostOffset, writable: this.#writers[i] === region });
    }
    const key = (m: Mapping) => `${m.gpa} ${m.lengthBytes} ${m.hostOffset} ${m.writable}`;
    const have = new Set(this.#mappings.map(key));
    const want = new Set(wanted.map(key));
    for (const old of this.#mappings) if (!want.has(key(old))) this.#pageMap.unmap(old.gpa, old.lengthBytes);
    for (const next of wanted) {
      if (!have.has(key(next))) this.#pageMap.map(next.gpa, next.lengthBytes, next.hostOffset, next.writable);
    }
    this.#mappings = wanted;
  }
}

/** The part of a region that is memory, if any. */
function memoryOf(region: Region): Region["direct"] {
  const { backing, lengthBytes } = region;
  return backing.kind === "memory" ? { offset: 0, lengthBytes, hostOffset: backing.hostOffset } : region.direct;
}

const hex = (value: number) => value.toString(16).toUpperCase() + "h";
const describeRead = (page: number | string) => `unclaimed memory ${hex((page as number) * PAGE)} read`;
const describeWrite = (page: number | string) => `unclaimed memory ${hex((page as number) * PAGE)} written`;
