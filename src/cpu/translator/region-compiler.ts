/**
 * Forms a region from decoded records and compiles it: from a head, along direct edges inside the page, loops included, up to
 * a number of instructions. An instruction that regions do not do ends its block; the interpreter goes on there.
 */
import type { Decoder } from "../decode/decoder.ts";
import * as R from "../decode/records.ts";
import { handler, type Variant, variantsOf } from "../decode/variants.ts";
import { buildVariant } from "../interpreter/generate.ts";
import type { Statement } from "../ir/node.ts";
import { pseudo } from "../ir/node.ts";
import * as L from "../layout.ts";
import { guardUnit } from "../semantics/guard.ts";
import { EMPTY, op } from "../wasm/opcodes.ts";
import { I32, ModuleWriter, pushSigned, pushUnsigned, type WasmType } from "../wasm/writer.ts";
import { RegionBuilder, type RegionInstruction } from "./region-builder.ts";
import {
  FIXED_LOCALS,
  FLAGS_CARRY_LOCAL,
  FLAGS_RESULT_LOCAL,
  GPR_LOCAL,
  LABEL,
  RegionLowering,
} from "./region-lowering.ts";

const MAX_INSTRUCTIONS = 200;

/** What the statements of a variant say about it. */
interface Traits {
  readonly isTranslatable: boolean;
  readonly changesFlagsConditionally: boolean;
}

interface Decoded extends RegionInstruction {
  readonly variant: Variant;
  readonly traits: Traits;
}

interface Block {
  readonly start: number;
  readonly instructions: Decoded[];
  /** Page offset behind the last instruction; where control goes if it falls through. */
  end: number;
  fallsThrough: boolean;
}

export class RegionCompiler {
  readonly #variants: (Variant | undefined)[] = [];
  readonly #traits: (Traits | undefined)[] = [];
  readonly #u8: Uint8Array;
  readonly #u16: Uint16Array;
  readonly #i32: Int32Array;
  readonly #memoryPages: number;

  constructor(decoder: Decoder, renumber: Uint16Array, memory: WebAssembly.Memory) {
    this.#u8 = new Uint8Array(memory.buffer);
    this.#u16 = new Uint16Array(memory.buffer);
    this.#i32 = new Int32Array(memory.buffer);
    this.#memoryPages = memory.buffer.byteLength / 65536;
    for (const layout of decoder.layouts) {
      for (const variant of variantsOf(layout)) this.#variants[renumber[variant.handler]] = variant;
    }
  }

  /**
   * Compiles the region whose head is at `head` of a page. `recordAt` answers the record of the instruction at an
   * offset, decoding if need be, or 0. Undefined if there is nothing to translate.
   */
  compile(head: number, recordAt: (offset: number) => number): Uint8Array<ArrayBuffer> | undefined {
    const blocks = this.#form(head, recordAt);
    if (blocks.length === 0 || blocks[0].instructions.length === 0) return undefined;
    const headBlock = blocks.find((block) => block.start === head);
    if (headBlock === undefined || headBlock.instructions.length === 0) return undefined;
    return this.#emit(blocks, head);
  }

  #traitsOf(number: number, variant: Variant): Traits {
    let traits = this.#traits[number];
    if (traits === undefined) {
      const { statements } = buildVariant(variant);
      const found = { isPlain: true, conditionalFlags: false };
      inspect(statements, 0, found);
      const { operands } = variant.instruction;
      traits = {
        isTranslatable:
          found.isPlain &&
          operands.every((o) => !["segment", "control", "debug", "mmx", "xmm", "st"].includes(o.kind)) &&
          variant.instruction.isFlat &&
          variant.row.options.unit === undefined,
        changesFlagsConditionally: found.conditionalFlags,
      };
      this.#traits[number] = traits;
    }
    return traits;
  }

  #read(record: number): Decoded | undefined {
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
    const variant = this.#variants[number];
    if (variant === undefined) return undefined;
    const traits = this.#traitsOf(number, variant);
    if (!traits.isTranslatable) return undefined;
    return {
      offset: this.#u16[(at + R.RECORD_OFFSET) >> 1],
      length: this.#u8[at + R.RECORD_LENGTH],
      reg: this.#u8[at + R.RECORD_REG],
      rm: this.#u8[at + R.RECORD_RM],
      segment: this.#u8[at + R.RECORD_THIRD],
      displacement: this.#i32[(at + R.RECORD_DISPLACEMENT) >> 2],
      immediate: this.#i32[(at + R.RECORD_IMMEDIATE) >> 2],
      addressing,
      variant,
      traits,
    };
  }

  #form(head: number, recordAt: (offset: number) => number): Block[] {
    const instructions = new Map<number, Decoded>();
    const leaders = new Set<number>([head]);
    const work = [head];
    while (work.length > 0 && instructions.size < MAX_INSTRUCTIONS) {
      let offset = work.pop() as number;
      while (offset < 4096 && !instructions.has(offset) && instructions.size < MAX_INSTRUCTIONS) {
        const record = recordAt(offset);
        const decoded = record === 0 ? undefined : this.#read(record);
        if (decoded === undefined) break;
        instructions.set(offset, decoded);
        const { options, operands } = decoded.variant.row;
        const next = offset + decoded.length;
        const isJump = operands[0]?.[0] === "J" && decoded.variant.row.mnemonic !== "call";
        if (isJump) {
          const width = operands[0] === "Jb" ? 8 : decoded.variant.instruction.width;
          const target = next + ((decoded.immediate << (32 - width)) >> (32 - width));
          if (target >= 0 && target < 4096 && decoded.variant.instruction.width === 32) {
            leaders.add(target);
            work.push(target);
          }
          if (options.branches) leaders.add(next);
        }
        if (options.ends) break;
        offset = next;
      }
    }
    const blocks: Block[] = [];
    for (const start of [...leaders].sort((a, b) => a - b)) {
      if (!instructions.has(start)) continue;
      const block: Block = { start, instructions: [], end: start, fallsThrough: true };
      for (let offset = start; ; ) {
        const decoded = instructions.get(offset);
        if (decoded === undefined) break;
        block.instructions.push(decoded);
        offset += decoded.length;
        block.end = offset;
        if (decoded.variant.row.options.ends) {
          block.fallsThrough = false;
          break;
        }
        if (leaders.has(offset)) break;
      }
      blocks.push(block);
    }
    return blocks;
  }

  #emit(blocks: readonly Block[], head: number): Uint8Array<ArrayBuffer> {
    const bodies: { statements: Statement[]; count: number }[] = [];
    let dirty = 0;
    let writesFlags = false;
    for (const block of blocks) {
      const b = new RegionBuilder();
      block.instructions.forEach((decoded, n) => {
        const { row, instruction } = decoded.variant;
        b.begin(decoded);
        b.changesFlagsConditionally = decoded.traits.changesFlagsConditionally;
        const isLast = n === block.instructions.length - 1;
        const isTransfer = row.options.ends === true || row.options.branches === true;
        if (isLast && isTransfer) {
          // The comparison in front is used as one; the flag words are for whoever comes behind.
          const { pending } = b;
          b.settleFlags();
          b.pending = pending;
        }
        guardUnit(b, row);
        row.semantics(b, instruction);
        if (isLast && isTransfer) b.pending = undefined;
      });
      b.settleFlags();
      bodies.push({ statements: b.statements, count: b.instructions });
      scan(b.statements, (s) => {
        if (s.kind === "flags") writesFlags = true;
        else if (s.kind === "writeOperand" && s.operand.kind === "fixed")
          dirty |= 1 << (s.operand.width === 8 ? s.operand.index & 3 : s.operand.index);
      });
    }
    const starts = new Map(blocks.map((block, n) => [block.start, n]));
    const writer = new ModuleWriter(this.#memoryPages);
    const run = writer.reserve([I32, I32, I32, I32], [I32]);
    const locals: WasmType[] = [...FIXED_LOCALS];
    const pools = new Map<WasmType, { indices: number[]; used: number }>();
    const takeLocal = (type: WasmType): number => {
      let pool = pools.get(type);
      if (pool === undefined) {
        pool = { indices: [], used: 0 };
        pools.set(type, pool);
      }
      if (pool.used === pool.indices.length) {
        pool.indices.push(4 + locals.length);
        locals.push(type);
      }
      return pool.indices[pool.used++];
    };
    const code: number[] = [];
    for (let n = 0; n < 8; n++) load(code, op.i32Load, L.GPR + n * 8, GPR_LOCAL + n);
    load(code, op.i32Load, L.FLAGS_CARRY, FLAGS_CARRY_LOCAL);
    load(code, op.i64Load, L.FLAGS_RESULT, FLAGS_RESULT_LOCAL);
    code.push(op.i32Const);
    pushSigned(code, starts.get(head) as number);
    code.push(op.localSet, LABEL);
    code.push(op.loop, EMPTY);
    for (const _ of blocks) code.push(op.block, EMPTY);
    code.push(op.localGet, LABEL, op.brTable);
    pushUnsigned(code, blocks.length - 1);
    for (let n = 0; n < blocks.length; n++) pushUnsigned(code, n);
    const lowering = new RegionLowering(code, takeLocal, {
      blockAt: (offset) => starts.get(offset) ?? -1,
      blockCount: blocks.length,
      dirty,
      writesFlags,
    });
    blocks.forEach((block, n) => {
      code.push(op.end);
      for (const pool of pools.values()) pool.used = 0;
      lowering.startBlock(n, bodies[n].count);
      lowering.lower(bodies[n].statements);
      if (block.fallsThrough) lowering.endBlock(block.end);
      else code.push(op.unreachable);
    });
    code.push(op.end, op.unreachable);
    writer.define(run, locals, code);
    writer.exportFunction("run", run);
    return writer.finish();
  }
}

function load(code: number[], opcode: number, offset: number, local: number): void {
  code.push(op.i32Const, 0, opcode, 0);
  pushUnsigned(code, offset);
  code.push(op.localSet);
  pushUnsigned(code, local);
}

function scan(statements: readonly Statement[], visit: (s: Statement) => void): void {
  for (const s of statements) {
    visit(s);
    if (s.kind === "if") {
      scan(s.whenTrue, visit);
      scan(s.whenFalse, visit);
    }
  }
}

function inspect(
  statements: readonly Statement[],
  depth: number,
  found: { isPlain: boolean; conditionalFlags: boolean },
): void {
  for (const s of statements) {
    switch (s.kind) {
      case "loop":
      case "memoryCopy":
      case "memoryFill":
      case "hostStore":
      case "stateStore":
        found.isPlain = false;
        break;
      case "helper":
        if (depth === 0 || s.isEnding) found.isPlain = false;
        break;
      case "let":
        if (s.node.op === pseudo.call || s.node.op === pseudo.hostAddress || s.node.op === pseudo.hostLoad)
          found.isPlain = false;
        break;
      case "setVariable":
        found.isPlain = false;
        break;
      case "flags":
        if (depth > 0) found.conditionalFlags = true;
        break;
      case "if":
        inspect(s.whenTrue, depth + 1, found);
        inspect(s.whenFalse, depth + 1, found);
        break;
    }
  }
}
