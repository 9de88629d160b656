/**
 * The decoded code around a head as the translator sees it. The code TLB alone says what may be looked at: it holds what has just
 * been executed there. Offsets are relative to the head's page.
 */
import type { DecodeMode } from "../decode/decoder.ts";
import * as R from "../decode/records.ts";
import { handler } from "../decode/variants.ts";
import type { CodeCache } from "../interpreter/code-cache.ts";
import type { SingleDecoder } from "../interpreter/single-decoder.ts";
import * as L from "../layout.ts";
import type { PhysicalMemory } from "../mmu/physical-memory.ts";
import { codeWord } from "../mmu/tlb.ts";
import type { CpuState } from "../state.ts";
import type { OpenRequest, Wanted } from "./regions.ts";

const LINEAR_PAGES = 1 << 20;

export interface CodeViewParts {
  readonly state: CpuState;
  readonly cache: CodeCache;
  readonly physical: PhysicalMemory;
  readonly single: SingleDecoder;
  readonly mode: DecodeMode;
  /** Whether a region with this head (decode map plus offset) is being compiled. */
  isPending(head: number): boolean;
}

export class CodeView implements OpenRequest {
  readonly head: number;
  readonly #parts: CodeViewParts;
  readonly #i32: Int32Array;
  readonly #firstPage: number;
  readonly #isUser: boolean;
  readonly #isAlone: boolean;
  readonly #maps = new Map<number, number>();

  /** `isAlone`: as if there were no regions. */
  constructor(parts: CodeViewParts, { linear, isUser }: Wanted, isAlone: boolean) {
    this.#parts = parts;
    this.#i32 = parts.state.i32;
    this.head = linear & 4095;
    this.#firstPage = linear >>> 12;
    this.#isUser = isUser;
    this.#isAlone = isAlone;
  }

  mapOf(page: number): number {
    let map = this.#maps.get(page);
    if (map === undefined) {
      const at = this.#firstPage + page;
      map = at < 0 || at >= LINEAR_PAGES ? 0 : this.#i32[codeWord(at, this.#isUser)];
      this.#maps.set(page, map);
    }
    return map;
  }

  frameOf(page: number): number {
    return this.#parts.cache.frameOf(this.mapOf(page));
  }

  recordAt(offset: number): number {
    const { state, cache, single, mode } = this.#parts;
    const page = offset >> 12;
    const map = this.mapOf(page);
    if (map === 0) return 0;
    const at = (map >> 2) + (offset & 4095);
    if (this.#i32[at] === 0 && !cache.decodeRun(this.frameOf(page), this.#hostPage(page), map, offset & 4095, mode))
      return 0;
    const record = (this.#i32[at] & 1) !== 0 ? this.#i32[at + (L.MAP_ORIGINALS >> 2)] : this.#i32[at];
    if (state.u16[(record + R.RECORD_HANDLER) >> 1] !== handler.crossing) return record;
    if (this.mapOf(page + 1) === 0) return 0;
    return single.crossingRecord(offset, this.#hostPage(page), this.#hostPage(page + 1), this.frameOf(page + 1));
  }

  hasRegion(offset: number): boolean {
    const map = this.mapOf(offset >> 12);
    if (map === 0 || this.#isAlone) return false;
    const at = offset & 4095;
    return (this.#i32[(map >> 2) + at] & 1) !== 0 || this.#parts.isPending(map + at);
  }

  hasLanded(offset: number): boolean {
    const map = this.mapOf(offset >> 12);
    if (map === 0) return false;
    const entry = this.#i32[(map >> 2) + (offset & 4095)];
    if (entry === 0) return false;
    const { cache } = this.#parts;
    const { hotThreshold } = cache;
    if ((entry & 1) !== 0 || hotThreshold === 1) return true;
    return hotThreshold - cache.jumpsLeft(map, offset & 4095) >= Math.max(1, hotThreshold >> 4);
  }

  landedNear(offset: number, distanceBytes: number): number[] {
    const map = this.mapOf(offset >> 12);
    if (map === 0) return [];
    const page = offset & ~4095;
    const inPage = offset & 4095;
    const found: { offset: number; left: number }[] = [];
    for (let at = Math.max(0, inPage - distanceBytes); at < Math.min(4096, inPage + distanceBytes); at++) {
      const entry = this.#i32[(map >> 2) + at];
      if (entry === 0 || !this.hasLanded(page + at)) continue;
      found.push({ offset: page + at, left: (entry & 1) !== 0 ? 0 : this.#parts.cache.jumpsLeft(map, at) });
    }
    return found.sort((a, b) => a.left - b.left).map((one) => one.offset);
  }

  #hostPage(page: number): number {
    return this.#parts.physical.entry(this.frameOf(page)) & ~4095;
  }
}
