/**
 * Which instructions a region consists of: from a head along direct jumps, calls included, over several pages, up to a number
 * of instructions and to where another region can be entered, in blocks. Addresses are offsets from the start of the head's page. Pages other than the head's
 * are entered only where the code TLB knows them, so that forming a region touches no page table.
 */
import * as R from "../decode/records.ts";
import { handler, type Variant } from "../decode/variants.ts";
import type { Row } from "../table/row.ts";
import type { RegionInstruction } from "./region-builder.ts";
import type { VariantTable } from "./variant-table.ts";

/** The interpreter's reserve (REGION_RESERVE) must cover the longest way through a region without a jump back. */
export const MAX_INSTRUCTIONS = 240;
/** Callers' continuations that returns are compared with. */
export const MAX_CONTINUATIONS = 8;

/** Functions and ends of functions with a region of their own are part of others nonetheless if they are no longer than this. */
const MAX_COPIED_INSTRUCTIONS = 16;
/** Places that an indirect jump is compared with, and how far from it they may be. */
const MAX_TARGETS = 12;
const TARGET_DISTANCE_BYTES = 1024;

/** Plain data, so that shapes can go to another thread. */
export interface Decoded extends RegionInstruction {
  /** Handler number of the record. */
  readonly number: number;
  readonly isCrossing: boolean;
}

export interface Block {
  readonly start: number;
  readonly instructions: Decoded[];
  /** Offset behind the last instruction; where control goes if it falls through. */
  end: number;
  fallsThrough: boolean;
  /** Where the return or the indirect jump at its end may lead: behind the region's calls; where jumps nearby land. */
  targets: readonly number[];
  /** Pages that its instructions lie in, relative to the head's: one, or two if an instruction crosses. */
  readonly pages: readonly number[];
}

export interface Shape {
  readonly blocks: readonly Block[];
  /** Where calls to callees outside come back to. */
  readonly outerContinuations: readonly number[];
}

/** What the engine tells about code around a head. */
export interface CodeSource {
  /**
   * Address of the record(s) of the instruction at an offset, valid until the next call; 0 if its page is not known or it
   * cannot be decoded. An instruction that reaches into the next page is decoded into scratch records.
   */
  recordAt(offset: number): number;
  /** Whether another region can be entered at the offset: what begins there need not be compiled once more. */
  hasRegion(offset: number): boolean;
  /** Whether a jump has ever landed at the offset. */
  hasLanded(offset: number): boolean;
  /** Offsets of the same page that jumps land at often, no further away than so many bytes, the most frequent first. */
  landedNear(offset: number, distanceBytes: number): number[];
}

export class ShapeReader {
  readonly #variants: VariantTable;
  readonly #u8: Uint8Array;
  readonly #u16: Uint16Array;
  readonly #i32: Int32Array;

  constructor(variants: VariantTable, memory: WebAssembly.Memory) {
    this.#variants = variants;
    this.#u8 = new Uint8Array(memory.buffer);
    this.#u16 = new Uint16Array(memory.buffer);
    this.#i32 = new Int32Array(memory.buffer);
  }

  /** Undefined if the head itself cannot be translated. */
  form(head: number, source: CodeSource): Shape | undefined {
    const instructions = new Map<number, Decoded>();
    const leaders = new Set<number>([head]);
    const continuations: number[] = [];
    /** By offset of the jump. */
    const targets = new Map<number, readonly number[]>();
    const outerContinuations: number[] = [];
    /** What is taken in although another region can be entered there. */
    const copied = new Set<number>([head]);
    const queue: number[] = [head];
    for (let at = 0; at < queue.length && instructions.size < MAX_INSTRUCTIONS; at++) {
      let offset = queue[at];
      while (!instructions.has(offset) && instructions.size < MAX_INSTRUCTIONS) {
        if (!copied.has(offset) && source.hasRegion(offset)) {
          this.#copySmall(offset, source, copied);
          if (!copied.has(offset)) break;
        }
        const decoded = this.#read(source.recordAt(offset), offset);
        if (decoded === undefined) break;
        instructions.set(offset, decoded);
        const { row, instruction } = this.#variants.variant(decoded.number) as Variant;
        const { options, operands, mnemonic } = row;
        const { width, repeat } = instruction;
        const next = offset + decoded.length;
        // Repetitions go round through their own start.
        if (repeat !== 0) {
          leaders.add(offset);
          leaders.add(next);
        }
        if (decoded.isCrossing || next >> 12 !== offset >> 12) {
          leaders.add(offset);
          leaders.add(next);
        }
        const isCall = mnemonic === "call";
        if (operands[0]?.[0] === "J" && width === 32) {
          const bits = operands[0] === "Jb" ? 8 : 32;
          const target = next + ((decoded.immediate << (32 - bits)) >> (32 - bits));
          if (source.hasRegion(target)) this.#copySmall(target, source, copied);
          const isIn =
            instructions.has(target) || ((copied.has(target) || !source.hasRegion(target)) && source.hasLanded(target));
          if (isIn) {
            leaders.add(target);
            queue.push(target);
            // Where a call comes back to belongs to it.
            if (isCall) copied.add(next);
          }
          if (isCall) {
            leaders.add(next);
            queue.push(next);
            if (isIn && continuations.length < MAX_CONTINUATIONS) continuations.push(next);
            else outerContinuations.push(next);
          } else if (options.branches) leaders.add(next);
        } else if (isCall) {
          leaders.add(next);
          queue.push(next);
          outerContinuations.push(next);
        }
        if (isComputedJump(row, decoded)) {
          const near = source.landedNear(offset, TARGET_DISTANCE_BYTES).slice(0, MAX_TARGETS);
          targets.set(offset, near);
          for (const target of near) {
            leaders.add(target);
            queue.push(target);
          }
        }
        if (options.ends) break;
        offset = next;
      }
    }
    if (!instructions.has(head)) return undefined;
    const blocks: Block[] = [];
    const isBlock = (offset: number) => leaders.has(offset) && instructions.has(offset);
    for (const start of [...leaders].sort((a, b) => a - b)) {
      const first = instructions.get(start);
      if (first === undefined) continue;
      const pages = first.isCrossing ? [start >> 12, (start >> 12) + 1] : [start >> 12];
      const block: Block = { start, instructions: [], end: start, fallsThrough: true, targets: [], pages };
      for (let offset = start; ; ) {
        const decoded = instructions.get(offset);
        if (decoded === undefined) break;
        block.instructions.push(decoded);
        offset += decoded.length;
        block.end = offset;
        if (this.#variants.variant(decoded.number)?.row.options.ends) {
          block.fallsThrough = false;
          const isReturn = this.#variants.variant(decoded.number)?.row.mnemonic === "ret";
          block.targets = (isReturn ? continuations : (targets.get(decoded.offset) ?? [])).filter(isBlock);
          break;
        }
        if (leaders.has(offset)) break;
      }
      blocks.push(block);
    }
    return {
      blocks,
      outerContinuations: outerContinuations.filter(isBlock),
    };
  }

  /** Adds the instructions of a function, or of what is left of one, to `copied` if they are few, straight on to its return, and call nothing. */
  #copySmall(target: number, source: CodeSource, copied: Set<number>): void {
    const found: number[] = [];
    let offset = target;
    while (found.length < MAX_COPIED_INSTRUCTIONS) {
      const decoded = this.#read(source.recordAt(offset), offset);
      if (decoded === undefined) return;
      found.push(offset);
      const { mnemonic, options } = (this.#variants.variant(decoded.number) as Variant).row;
      if (mnemonic === "ret") {
        for (const one of found) copied.add(one);
        return;
      }
      if (mnemonic === "call" || options.ends) return;
      offset += decoded.length;
    }
  }

  #read(record: number, offset: number): Decoded | undefined {
    if (record === 0) return undefined;
    let addressing: RegionInstruction["addressing"];
    let at = record;
    const first = this.#u16[at >> 1];
    if (first === handler.address || first === handler.addressSegmented) {
      const immediate = this.#i32[(at + R.RECORD_IMMEDIATE) >> 2];
      if (first === handler.addressSegmented && (immediate & (1 << 25)) !== 0) return undefined;
      if (first === handler.addressSegmented && ((immediate >> 8) & 0xffff) > 16) return undefined;
      addressing = {
        base: this.#u8[at + R.RECORD_RM],
        index: this.#u8[at + R.RECORD_THIRD],
        displacement: this.#i32[(at + R.RECORD_DISPLACEMENT) >> 2],
        immediate,
        isSegmented: first === handler.addressSegmented,
      };
      at += R.RECORD_BYTES;
    }
    const number = this.#u16[at >> 1];
    if (this.#variants.variant(number) === undefined || !this.#variants.traits(number).isTranslatable) return undefined;
    const length = this.#u8[at + R.RECORD_LENGTH];
    return {
      offset,
      length,
      reg: this.#u8[at + R.RECORD_REG],
      rm: this.#u8[at + R.RECORD_RM],
      segment: this.#u8[at + R.RECORD_THIRD],
      displacement: this.#i32[(at + R.RECORD_DISPLACEMENT) >> 2],
      immediate: this.#i32[(at + R.RECORD_IMMEDIATE) >> 2],
      addressing,
      number,
      isCrossing: (offset & 4095) + length > 4096,
    };
  }
}

/** A jump through a register or a table, as switches and interpreters have them; not one through a single pointer. */
function isComputedJump({ mnemonic, operands }: Row, { rm, addressing }: Decoded): boolean {
  if (mnemonic !== "jmp" || operands[0]?.[0] === "J") return false;
  return addressing === undefined ? rm < 0x80 : addressing.index < 0x80;
}
