/**
 * Decoded code by physical frame: which decode map serves a frame in which mode, decoding of runs of records, and
 * invalidation when a frame's bytes change. Maps and records are bump allocated; when either is used up, everything is
 * dropped. A frame with decoded code is write-protected in the TLB; a store next to code but not into a line (64 bytes) that holds
 * code invalidates nothing.
 */
import type { DecodeMode, Decoder } from "../decode/decoder.ts";
import * as R from "../decode/records.ts";
import { handler } from "../decode/variants.ts";
import * as L from "../layout.ts";
import type { PhysicalMap } from "../mmu/physical-map.ts";
import { SparseArrays } from "../mmu/sparse-arrays.ts";

/** Longest run of instructions decoded at once. */
const RUN_INSTRUCTIONS = 64;
const FRAMES = 1 << 20;
const MODES = 8;
/** Offset of a page's last byte. */
const LAST = 4095;
/** Maps of one frame for code segments that end inside it; the oldest goes first. */
const PARTIAL_MAPS = 16;

export interface CodeCacheOwner {
  /** The frame holds decoded code from now on: no direct writes. */
  protectFrame(gpaPage: number): void;
  /** Every decode map pointer is void. */
  dropAllMaps(): void;
  /** The frame's maps are about to be cleared: its regions are void. */
  dropRegions(gpaPage: number): void;
  /** memory.fill with zero on the shared memory. */
  clear(offset: number, lengthBytes: number): void;
}

/** Index of a decode mode among the directories. */
export function modeKey(mode: DecodeMode): number {
  return (mode.isCode32 ? 1 : 0) | (mode.isFlat ? 2 : 0) | (mode.isProtected ? 4 : 0);
}

/** The decode map of a frame for code segments whose limit lies at `lastOffset` of it. */
interface PartialMap {
  readonly key: number;
  readonly lastOffset: number;
  readonly map: number;
}

export class CodeCache {
  readonly #decoder: Decoder;
  readonly #physicalMap: PhysicalMap;
  readonly #owner: CodeCacheOwner;
  readonly #i32: Int32Array;
  readonly #u8: Uint8Array;
  readonly #u16: Uint16Array;
  /** Jumps to an instruction before it becomes the head of a region; 0: never. */
  hotThreshold = 0;
  readonly #arrays = new SparseArrays(FRAMES * 4 * (MODES + 2));
  /** Per mode: map address by frame. Made when a mode is first used. */
  readonly #directories: (Int32Array | undefined)[] = new Array(MODES).fill(undefined);
  readonly #partial = new Map<number, PartialMap[]>();
  /** Directory entries in use: mode × FRAMES + frame. */
  readonly #allocated: number[] = [];
  /** Two words per frame: which 64-byte lines hold decoded instructions. */
  readonly #lines = this.#arrays.int32(FRAMES * 2);
  /** Frames by number of the map. */
  readonly #frames = new Int32Array(L.DECODE_MAPS_BYTES / L.DECODE_MAP_BYTES);
  #nextMap = L.DECODE_MAPS;
  #nextRecord = L.RECORDS;
  /** Limits, settable for tests that force eviction. */
  #mapLimit = L.DECODE_MAPS + L.DECODE_MAPS_BYTES;
  #recordLimit = L.RECORDS + L.RECORDS_BYTES;
  invalidations = 0;
  flushes = 0;

  constructor(decoder: Decoder, physicalMap: PhysicalMap, memory: WebAssembly.Memory, owner: CodeCacheOwner) {
    this.#decoder = decoder;
    this.#physicalMap = physicalMap;
    this.#owner = owner;
    this.#i32 = new Int32Array(memory.buffer);
    this.#u8 = new Uint8Array(memory.buffer);
    this.#u16 = new Uint16Array(memory.buffer);
  }

  /** Without regions only the records of a map are ever written. */
  get #mapBytesInUse(): number {
    return this.hotThreshold === 0 ? L.MAP_ORIGINALS : L.DECODE_MAP_BYTES;
  }

  /** For statistics. */
  counters(): { invalidations: number; flushes: number; mapBytes: number; recordBytes: number } {
    const { invalidations, flushes } = this;
    const mapBytes = this.#nextMap - L.DECODE_MAPS;
    return { invalidations, flushes, mapBytes, recordBytes: this.#nextRecord - L.RECORDS };
  }

  /** Restricts the cache to that many maps (tests). */
  limitMaps(maps: number): void {
    this.#mapLimit = Math.min(L.DECODE_MAPS + maps * L.DECODE_MAP_BYTES, L.DECODE_MAPS + L.DECODE_MAPS_BYTES);
    this.flush();
  }

  /**
   * The decode map of a frame in a mode; allocated if there is none. `lastOffset`: the last byte of the frame that may be
   * fetched, if the limit of the code segment lies in it.
   */
  mapFor(gpaPage: number, key: number, lastOffset = LAST): number {
    if (lastOffset !== LAST) return this.#partialMapFor(gpaPage, key, lastOffset);
    let directory = this.#directories[key];
    if (directory === undefined) {
      directory = this.#arrays.int32(FRAMES);
      this.#directories[key] = directory;
    }
    let map = directory[gpaPage];
    if (map !== 0) return map;
    map = this.#allocateMap(gpaPage);
    directory[gpaPage] = map;
    this.#allocated.push(key * FRAMES + gpaPage);
    return map;
  }

  #partialMapFor(gpaPage: number, key: number, lastOffset: number): number {
    const known = this.#partial.get(gpaPage)?.find((entry) => entry.key === key && entry.lastOffset === lastOffset);
    if (known !== undefined) return known.map;
    const map = this.#allocateMap(gpaPage);
    let entries = this.#partial.get(gpaPage);
    if (entries === undefined) {
      entries = [];
      this.#partial.set(gpaPage, entries);
    }
    if (entries.length === PARTIAL_MAPS) entries.shift();
    entries.push({ key, lastOffset, map });
    return map;
  }

  #allocateMap(gpaPage: number): number {
    if (this.#nextMap + L.DECODE_MAP_BYTES > this.#mapLimit) this.flush();
    const map = this.#nextMap;
    this.#frames[(map - L.DECODE_MAPS) / L.DECODE_MAP_BYTES] = gpaPage;
    this.#nextMap += L.DECODE_MAP_BYTES;
    return map;
  }

  /** So many jumps to the instruction at an offset until its region is wanted. */
  countDown(map: number, offset: number, jumps: number): void {
    this.#u16[(map + L.MAP_COUNTERS + offset * 2) >> 1] = jumps;
  }
  jumpsLeft(map: number, offset: number): number {
    return this.#u16[(map + L.MAP_COUNTERS + offset * 2) >> 1];
  }

  /**
   * Decodes a run at `pageOffset` of a frame into its map. `hostPage` is where the frame's bytes are; `lastOffset` as for
   * `mapFor`. Answers false if the record space was exhausted and everything was dropped: look the map up again.
   */
  decodeRun(
    gpaPage: number,
    hostPage: number,
    map: number,
    pageOffset: number,
    mode: DecodeMode,
    lastOffset = LAST,
  ): boolean {
    // A run needs two records an instruction and one at its end.
    if (this.#nextRecord + (RUN_INSTRUCTIONS * 2 + 1) * R.RECORD_BYTES > this.#recordLimit) {
      this.flush();
      return false;
    }
    const decoder = this.#decoder;
    const { result } = decoder;
    const mapIndex = map >> 2;
    const end = hostPage + lastOffset + 1;
    let record = this.#nextRecord;
    let offset = pageOffset;
    for (let n = 0; n < RUN_INSTRUCTIONS; n++) {
      if (offset > lastOffset || (n > 0 && this.#i32[mapIndex + offset] !== 0)) break;
      if (!decoder.decode(this.#u8, hostPage + offset, end, offset, mode, record)) {
        decoder.writeSpecial(record, handler.crossing, offset);
        this.#i32[mapIndex + offset] = record;
        this.#markLines(gpaPage, offset, lastOffset);
        record += R.RECORD_BYTES;
        break;
      }
      this.#i32[mapIndex + offset] = record;
      this.countDown(map, offset, this.hotThreshold);
      this.#markLines(gpaPage, offset, offset + result.lengthBytes - 1);
      record += result.records * R.RECORD_BYTES;
      offset += result.lengthBytes;
      if (result.ends) break;
    }
    // Always one behind the run: where it goes on elsewhere, and what a code-modifying store turns its successor into.
    decoder.writeSpecial(record, handler.refetch, offset);
    this.#nextRecord = record + R.RECORD_BYTES;
    this.#protect(gpaPage);
    return true;
  }

  /** Bytes of a frame belong to an instruction that begins in another. */
  watch(gpaPage: number, firstOffset: number, lastOffset: number): void {
    this.#markLines(gpaPage, firstOffset, lastOffset);
    this.#protect(gpaPage);
  }

  /** The frame of a decode map. */
  frameOf(map: number): number {
    return this.#frames[(map - L.DECODE_MAPS) / L.DECODE_MAP_BYTES];
  }

  #protect(gpaPage: number): void {
    if ((this.#physicalMap.entry(gpaPage) & L.PHYSICAL_CODE) !== 0) return;
    this.#physicalMap.markCode(gpaPage);
    this.#owner.protectFrame(gpaPage);
  }

  /** Bytes of a frame changed: true if decoded code was dropped. */
  invalidate(gpaPage: number, firstOffset: number, lastOffset: number): boolean {
    const low = this.#lines[gpaPage * 2];
    const high = this.#lines[gpaPage * 2 + 1];
    if ((low | high) === 0) return false;
    let hit = false;
    for (let line = firstOffset >> 6; line <= lastOffset >> 6 && !hit; line++) {
      hit = (((line < 32 ? low : high) >>> (line & 31)) & 1) !== 0;
    }
    if (!hit) return false;
    this.invalidations++;
    this.#owner.dropRegions(gpaPage);
    for (const directory of this.#directories) {
      const map = directory?.[gpaPage] ?? 0;
      if (map !== 0) this.#owner.clear(map, this.#mapBytesInUse);
    }
    for (const { map } of this.#partial.get(gpaPage) ?? []) this.#owner.clear(map, L.DECODE_MAP_BYTES);
    this.#lines[gpaPage * 2] = 0;
    this.#lines[gpaPage * 2 + 1] = 0;
    this.#physicalMap.unmarkCode(gpaPage);
    return true;
  }

  /** Drops everything. */
  flush(): void {
    this.flushes++;
    this.#owner.dropRegions(-1);
    this.#owner.dropAllMaps();
    for (const entry of this.#allocated) {
      const page = entry % FRAMES;
      (this.#directories[Math.floor(entry / FRAMES)] as Int32Array)[page] = 0;
      this.#lines[page * 2] = 0;
      this.#lines[page * 2 + 1] = 0;
      this.#physicalMap.unmarkCode(page);
    }
    this.#allocated.length = 0;
    for (const page of this.#partial.keys()) {
      this.#lines[page * 2] = 0;
      this.#lines[page * 2 + 1] = 0;
      this.#physicalMap.unmarkCode(page);
    }
    this.#partial.clear();
    this.#owner.clear(L.DECODE_MAPS, this.#nextMap - L.DECODE_MAPS);
    this.#nextMap = L.DECODE_MAPS;
    this.#nextRecord = L.RECORDS;
  }

  #markLines(gpaPage: number, first: number, last: number): void {
    for (let line = first >> 6; line <= last >> 6; line++) this.#lines[gpaPage * 2 + (line >> 5)] |= 1 << (line & 31);
  }
}
