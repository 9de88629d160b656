/**
 * What becomes a region, and when: the interpreter leaves at an instruction that has been jumped to often enough; here it is decided whether that is
 * asked for now, and looked up again when the translator gets to it. Counters stand beside the decode maps (interpreter/code-cache.ts).
 */
import { SAMPLE_PERIOD } from "../interpreter/lowering.ts";
import * as L from "../layout.ts";
import { codeWord } from "../mmu/tlb.ts";
import { CodeView, type CodeViewParts } from "./code-view.ts";
import { Recurrence } from "./recurrence.ts";
import type { OpenRequest, Regions, RegionsOwner, Wanted } from "./regions.ts";

/** One of so many jumps is counted. */
export interface JumpSampling {
  readonly period: number;
  /**
   * The same while the guest does what it was woken for: behind each pause, code and decoded records have left the processor's
   * caches, and interpreting costs several times what it does in a loop. An idle guest is cheap once its timer's code is compiled.
   */
  readonly wokenPeriod: number;
}

/** What has been asked for once is asked for again after so much less (a shift). */
const AGAIN_SHIFT = 3;

export interface RegionRequestsParts extends CodeViewParts {
  /** Guest cycles, a nanosecond each. */
  readonly readTsc: () => number;
  readonly sampling: JumpSampling;
}

export class RegionRequests implements RegionsOwner {
  readonly #parts: RegionRequestsParts;
  readonly #i32: Int32Array;
  readonly #recurrence = new Recurrence();

  constructor(parts: RegionRequestsParts) {
    this.#parts = parts;
    this.#i32 = parts.state.i32;
  }

  /** The CPU is about to run: which jumps of the coming budget are counted. */
  beginBudget(): void {
    const { period, wokenPeriod } = this.#parts.sampling;
    this.#i32[SAMPLE_PERIOD >> 2] = this.#i32[L.HALTED >> 2] === 0 ? period : wokenPeriod;
  }

  /** The instruction at EIP is jumped to often: asks `regions` for the one that begins there. */
  requestAtEip(regions: Regions): void {
    const { state, cache, sampling, readTsc } = this.#parts;
    if (!this.#isFlat32) return;
    const linear = state.linearEip;
    const { isUser } = state;
    const map = this.#i32[codeWord(linear >>> 12, isUser)];
    if (map === 0) return;
    const offset = linear & 4095;
    const place = map + offset;
    const isWoken = this.#i32[SAMPLE_PERIOD >> 2] !== sampling.period;
    // Meanwhile it is counted on: what goes on being executed should not wait for others.
    cache.countDown(map, offset, Math.max(1, cache.hotThreshold >> AGAIN_SHIFT));
    if (isWoken && (regions.isQueued(place) || !this.#recurrence.isSteady(place, readTsc()))) return;
    regions.request({ linear, isUser, map, gpaPage: cache.frameOf(map) });
  }

  openRegion(wanted: Wanted, isAlone: boolean): OpenRequest | undefined {
    const { linear, isUser, map } = wanted;
    if (!this.#isFlat32 || this.#i32[codeWord(linear >>> 12, isUser)] !== map) {
      // Another address space, perhaps: it will be asked for again.
      this.resetCounter(map, linear & 4095);
      return undefined;
    }
    return (this.#i32[(map >> 2) + (linear & 4095)] & 1) === 0 ? new CodeView(this.#parts, wanted, isAlone) : undefined;
  }

  resetCounter(map: number, head: number): void {
    const { cache } = this.#parts;
    cache.countDown(map, head, cache.hotThreshold);
  }

  stopCounter(map: number, head: number): void {
    this.#parts.cache.countDown(map, head, 0);
  }

  /** Protected mode with flat 32-bit segments: the only code that is translated. */
  get #isFlat32(): boolean {
    const { isCode32, isFlat, isProtected } = this.#parts.mode;
    return isCode32 && isFlat && isProtected;
  }
}
