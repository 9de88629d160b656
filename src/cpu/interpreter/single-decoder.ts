/**
 * Instructions that are decoded one at a time, into records of their own: those that lie in two pages, since the second page may
 * be another one at any time, and single steps.
 */
import type { DecodeMode, Decoder } from "../decode/decoder.ts";
import * as R from "../decode/records.ts";
import { handler } from "../decode/variants.ts";
import * as L from "../layout.ts";
import type { LinearMemory } from "../mmu/linear-memory.ts";
import type { PhysicalMemory } from "../mmu/physical-memory.ts";
import { codeWord } from "../mmu/tlb.ts";
import type { CpuState } from "../state.ts";
import { generalProtection } from "../system/fault.ts";
import { type CodeCache, modeKey } from "./code-cache.ts";
import { CrossingCache } from "./crossing-cache.ts";

const MAX_INSTRUCTION_BYTES = 15;
/** Where their records stand. */
export const STEP_RECORDS = L.SCRATCH + 0x100;

export interface SingleDecoderParts {
  readonly memory: WebAssembly.Memory;
  readonly state: CpuState;
  readonly decoder: Decoder;
  readonly linear: LinearMemory;
  readonly physical: PhysicalMemory;
  readonly cache: CodeCache;
  /** The current mode; whoever owns it changes it. */
  readonly mode: DecodeMode;
}

export class SingleDecoder {
  readonly #parts: SingleDecoderParts;
  readonly #crossings: CrossingCache;
  readonly #bytes = new Uint8Array(MAX_INSTRUCTION_BYTES);

  constructor(parts: SingleDecoderParts) {
    this.#parts = parts;
    this.#crossings = new CrossingCache(parts.memory, STEP_RECORDS);
  }

  /** Decodes the instruction at EIP; behind it stands a record of kind `after`. Throws a `CpuFault` if it cannot be fetched. */
  decode(after: number): void {
    const { state, linear: memory, physical, decoder, mode } = this.#parts;
    const { eip, isUser } = state;
    const limit = state.segmentLimit(L.SEG_CS);
    if (eip > limit) throw generalProtection();
    const linear = state.linearEip;
    const bytes = this.#bytes;
    const offset = linear & 4095;
    const firstPage = memory.fetchPage(linear, isUser);
    const allowed = limit === 0xffffffff ? MAX_INSTRUCTION_BYTES : Math.min(limit - eip + 1, MAX_INSTRUCTION_BYTES);
    const first = Math.min(4096 - offset, allowed);
    for (let n = 0; n < first; n++) bytes[n] = physical.read8(firstPage * 4096 + offset + n);
    if (!decoder.decode(bytes, 0, first, offset, mode, STEP_RECORDS)) {
      // Longer than the code segment or than any instruction may be, or in two pages.
      if (allowed <= first) throw generalProtection();
      const next = (linear | 4095) + 1;
      const secondPage = memory.fetchPage(next >>> 0, isUser);
      for (let n = first; n < allowed; n++) bytes[n] = physical.read8(secondPage * 4096 + n - first);
      if (!decoder.decode(bytes, 0, allowed, offset, mode, STEP_RECORDS)) throw generalProtection();
    }
    const { result } = decoder;
    decoder.writeSpecial(STEP_RECORDS + result.records * R.RECORD_BYTES, after, offset + result.lengthBytes);
  }

  /** The same for an instruction that reaches into the next page, so that the core goes on behind it; those seen lately are remembered. */
  decodeCrossing(): void {
    const { state, decoder, mode } = this.#parts;
    const linear = state.linearEip;
    const isUncut = state.i32[(L.SEG_LIMIT >> 2) + L.SEG_CS] === -1;
    if (isUncut && this.#recall(linear)) return;
    this.decode(handler.refetch);
    if (isUncut) this.#crossings.remember(linear, modeKey(mode), this.#bytes, decoder.result.lengthBytes);
  }

  /** Whether the instruction is remembered, and both its pages have their maps: then they may be executed. */
  #recall(linear: number): boolean {
    const { state, mode } = this.#parts;
    const page = linear >>> 12;
    const first = state.i32[codeWord(page, state.isUser)];
    const second = state.i32[codeWord((page + 1) & 0xfffff, state.isUser)];
    if (first === 0 || second === 0) return false;
    return this.#crossings.find(linear, modeKey(mode), this.#hostPage(first), this.#hostPage(second));
  }

  #hostPage(map: number): number {
    const { cache, physical } = this.#parts;
    return (physical.entry(cache.frameOf(map)) & ~4095) >>> 0;
  }

  /**
   * Decodes an instruction that reaches into the next page for a region: the address of its records, 0 if it cannot be decoded. The
   * second frame's bytes are watched from now on.
   */
  crossingRecord(offset: number, hostPage: number, nextHostPage: number, nextFrame: number): number {
    const { state, decoder, cache, mode } = this.#parts;
    const bytes = this.#bytes;
    const first = 4096 - (offset & 4095);
    for (let n = 0; n < first; n++) bytes[n] = state.u8[hostPage + (offset & 4095) + n];
    for (let n = first; n < MAX_INSTRUCTION_BYTES; n++) bytes[n] = state.u8[nextHostPage + n - first];
    if (!decoder.decode(bytes, 0, MAX_INSTRUCTION_BYTES, offset & 4095, mode, STEP_RECORDS)) return 0;
    cache.watch(nextFrame, 0, decoder.result.lengthBytes - first - 1);
    return STEP_RECORDS;
  }
}
