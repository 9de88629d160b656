/**
 * The builder of a block of a region: the semantics functions of its instructions write to it one after the other, so
 * values live across instructions. Operands are constants and locals; flags stay values until somebody needs the words,
 * and a condition behind a comparison is the comparison.
 */
import type { Operand, RecordField } from "../decode/operand.ts";
import { regionHelpers } from "../interpreter/imports.ts";
import { Builder } from "../ir/builder.ts";
import { type FlagKind, I32, Node, type PendingFlags, pseudo, type Statement } from "../ir/node.ts";
import * as L from "../layout.ts";
import { op } from "../wasm/opcodes.ts";

/** The decoded instruction as the records tell it. */
export interface RegionInstruction {
  /** From the start of the head's page. */
  readonly offset: number;
  readonly length: number;
  /** Byte offsets in the register files, as in the record. */
  readonly reg: number;
  readonly rm: number;
  readonly segment: number;
  readonly displacement: number;
  readonly immediate: number;
  /** Address record in front, if any. */
  readonly addressing:
    | {
        readonly base: number;
        readonly index: number;
        readonly displacement: number;
        readonly immediate: number;
        readonly isSegmented: boolean;
      }
    | undefined;
}

/** What a block does, collected on the way. */
export interface BlockFacts {
  /** Bits by register number. */
  writtenRegisters: number;
  readRegisters: number;
  /** It changes the flag locals, on its way or on leaving. */
  writesFlags: boolean;
  readonly libraries: Set<string>;
}

/** Flags may be computed from flags so many times before they are written to their locals. */
const MAX_PENDING_DEPTH = 3;

export class RegionBuilder extends Builder {
  readonly facts: BlockFacts = { writtenRegisters: 0, readRegisters: 0, writesFlags: false, libraries: new Set() };
  instruction!: RegionInstruction;
  /** Units whose availability an earlier instruction of the block has checked. */
  readonly availableUnits = new Set<string>();
  /** Flags not yet written to the flag locals. */
  pending: PendingFlags | undefined;
  /** How many pending flags in a row have been computed from those before them. */
  #pendingDepth = 0;
  #hasReadPending = false;
  #count = 0;
  /** What the general registers hold: root and delta of nodes. The first eight roots are what they hold at the block's start. */
  readonly #roots = [1, 2, 3, 4, 5, 6, 7, 8];
  readonly #deltas = [0, 0, 0, 0, 0, 0, 0, 0];
  #lastRoot = 8;

  protected override push(statement: Statement): void {
    const { facts } = this;
    switch (statement.kind) {
      case "let":
        if (statement.node.op === pseudo.call) facts.libraries.add(statement.node.callee as string);
        else if (statement.node.op === pseudo.operand) facts.readRegisters |= registerBit(statement.node.operand);
        break;
      case "writeOperand":
        facts.writtenRegisters |= registerBit(statement.operand);
        break;
      case "flags":
        facts.writesFlags = true;
        break;
      case "helper":
        if (regionHelpers.has(statement.name)) facts.libraries.add(statement.name);
        break;
      case "mark":
        facts.writesFlags ||= statement.site.flags !== undefined;
        break;
    }
    super.push(statement);
  }

  /** Starts the next instruction of the block. */
  begin(instruction: RegionInstruction): void {
    this.instruction = instruction;
    this.#hasReadPending = false;
    this.commit();
    this.push({ kind: "mark", site: { offset: instruction.offset, count: this.#count, flags: this.pending } });
    this.#count++;
  }

  get instructions(): number {
    return this.#count;
  }

  /** Writes pending flags to their locals. */
  settleFlags(): void {
    const { pending } = this;
    if (pending === undefined) return;
    this.push({
      kind: "flags",
      flagKind: pending.kind,
      width: pending.width,
      a: pending.a,
      b: pending.b,
      result: pending.result,
      carry: pending.carry,
    });
    this.pending = undefined;
  }

  pageEip(offset: number): Node {
    return new Node(I32, pseudo.pageEip, [], offset);
  }

  override nextEip(): Node {
    return this.pageEip(this.instruction.offset + this.instruction.length);
  }

  override thisEip(): Node {
    return this.pageEip(this.instruction.offset);
  }

  override add(a: Node, b: Node): Node {
    if (a.op === pseudo.pageEip && b.op === op.i32Const) return this.pageEip(a.imm + b.imm);
    const sum = super.add(a, b);
    if (b.op === op.i32Const && sum !== a) {
      sum.root = a.root;
      sum.delta = (a.delta + b.imm) | 0;
    }
    return sum;
  }

  override sub(a: Node, b: Node): Node {
    const difference = super.sub(a, b);
    if (b.op === op.i32Const) {
      difference.root = a.root;
      difference.delta = (a.delta - b.imm) | 0;
    }
    return difference;
  }

  override signExtend(width: number, a: Node): Node {
    if (a.op === op.i32Const) return this.i32((a.imm << (32 - width)) >> (32 - width));
    return super.signExtend(width, a);
  }

  override segmentNumber(): Node {
    return this.i32(this.instruction.segment);
  }

  override registerIndex(operand: Operand): Node {
    if (operand.kind === "fixedSegment") return this.i32(operand.index);
    return this.i32("field" in operand && operand.field === "rm" ? this.instruction.rm : this.instruction.reg);
  }

  override read(operand: Operand): Node {
    if (operand.kind === "immediate") return this.i32(this.instruction.immediate);
    if (operand.kind === "immediate2") return this.i32(this.instruction.displacement);
    if (operand.kind === "xmm") return this.state(L.XMM + this.#slot(operand.field), operand.width / 8);
    if (operand.kind === "mmx") return this.state(L.X87 + this.#slot(operand.field), 8);
    if (operand.kind === "segment")
      return super.read({ kind: "fixedSegment", width: operand.width, index: this.#slot(operand.field) });
    const resolved = this.resolve(operand);
    const node = super.read(resolved);
    if (resolved.kind === "fixed" && resolved.width === 32) {
      node.root = this.#roots[resolved.index];
      node.delta = this.#deltas[resolved.index];
    }
    return node;
  }

  override write(operand: Operand, value: Node): void {
    if (operand.kind === "xmm") {
      this.setState(L.XMM + this.#slot(operand.field), value, operand.width / 8);
    } else if (operand.kind === "mmx") {
      // Writing an MMX register sets the exponent and sign of the x87 register under it to ones.
      this.setState(L.X87 + this.#slot(operand.field), value, 8);
      this.setState(L.X87 + this.#slot(operand.field) + 8, this.i32(0xffff), 2);
    } else {
      const resolved = this.resolve(operand);
      super.write(resolved, value);
      if (resolved.kind !== "fixed") return;
      const { width } = resolved;
      const index = width === 8 ? resolved.index & 3 : resolved.index;
      const isKnown = width === 32 && value.root !== 0 && !this.isNested;
      this.#roots[index] = isKnown ? value.root : ++this.#lastRoot;
      this.#deltas[index] = isKnown ? value.delta : 0;
    }
  }

  /** An address that is used more than once is looked up once. */
  #rooted(address: Node): Node {
    if (address.op === op.i32Const) {
      address.root = -1 - (address.imm >>> 12);
      address.delta = address.imm & 4095;
    } else if (address.root === 0) address.root = ++this.#lastRoot;
    return address;
  }

  #slot(field: RecordField): number {
    return field === "rm" ? this.instruction.rm : this.instruction.reg;
  }

  /** A register operand with its number. */
  private resolve(operand: Operand): Operand {
    if (operand.kind !== "gpr") return operand;
    const at = operand.field === "rm" ? this.instruction.rm : this.instruction.reg;
    const index = operand.width === 8 ? (at >> 3) | ((at & 1) << 2) : at >> 3;
    return { kind: "fixed", width: operand.width, index };
  }

  #register(slot: number): Node {
    return this.gpr(slot >> 3);
  }

  override address(size: number, isWrite: boolean): Node {
    const { addressing, rm, displacement } = this.instruction;
    if (addressing === undefined) {
      return this.#rooted(rm >= 0x80 ? this.i32(displacement) : this.add(this.#register(rm), this.i32(displacement)));
    }
    const { base, index, immediate } = addressing;
    let sum: Node | undefined = base >= 0x80 ? undefined : this.#register(base);
    if (index < 0x80) {
      const scaled = this.shl(this.#register(index), this.i32(immediate & 3));
      sum = sum === undefined ? scaled : this.add(sum, scaled);
    }
    sum = sum === undefined ? this.i32(addressing.displacement) : this.add(sum, this.i32(addressing.displacement));
    if (!addressing.isSegmented || (immediate & (1 << 26)) !== 0) return this.#rooted(sum);
    const segment = (immediate >> 4) & 7;
    void size;
    const fast = (isWrite || (immediate & (1 << 24)) !== 0 ? L.SEG_FAST_WRITE : L.SEG_FAST_READ) + segment * 4;
    this.push({ kind: "exitIf", condition: this.geU(sum, this.state(fast)) });
    return this.#rooted(this.add(sum, this.state(L.SEG_BASE + segment * 8)));
  }

  override linear(_segment: number, offset: Node): Node {
    // Only flat segments are translated.
    return offset;
  }

  // ---- flags -------------------------------------------------------------------------------------------------------

  protected override pushFlags(
    kind: FlagKind,
    width: number,
    a: Node | undefined,
    b: Node | undefined,
    result: Node | undefined,
    carry: Node | undefined,
  ): void {
    if (this.isNested) {
      // Conditional flags: both ways end in the locals.
      this.push({ kind: "flags", flagKind: kind, width, a, b, result, carry });
      return;
    }
    const before = this.pending;
    this.pending = {
      kind: result !== undefined && carry !== undefined ? kind : "other",
      width,
      a,
      b,
      result: result ?? before?.result,
      carry: carry ?? before?.carry,
    };
    this.#pendingDepth = this.#hasReadPending ? this.#pendingDepth + 1 : 0;
    this.#hasReadPending = false;
    // INC keeps the carry: a row of them would nest, and each exit would compute all of it.
    if (this.#pendingDepth > MAX_PENDING_DEPTH) this.settleFlags();
  }

  override nez(a: Node): Node {
    return a.op === op.i32Const ? this.i32(a.imm !== 0 ? 1 : 0) : super.nez(a);
  }

  override eqz(a: Node): Node {
    return a.op === op.i32Const ? this.i32(a.imm === 0 ? 1 : 0) : super.eqz(a);
  }

  /** Inside an `if`: settle what is pending before it, as one branch may replace it. */
  override if(cond: Node, whenTrue: () => void, whenFalse?: () => void): void {
    if (cond.op === op.i32Const) {
      if (cond.imm !== 0) whenTrue();
      else whenFalse?.();
      return;
    }
    if (this.changesFlagsConditionally && this.#nesting === 0) this.settleFlags();
    this.#nesting++;
    super.if(cond, whenTrue, whenFalse);
    this.#nesting--;
  }

  #nesting = 0;
  private get isNested(): boolean {
    return this.#nesting > 0;
  }

  /** Set by the region compiler for instructions that change flags inside a condition. */
  changesFlagsConditionally = false;
  override state(offset: number, size = 4): Node {
    const { pending } = this;
    if (pending !== undefined && size === 4) {
      this.#hasReadPending ||= offset === L.FLAGS_CARRY || offset === L.FLAGS_RESULT || offset === L.FLAGS_RESULT + 4;
      if (offset === L.FLAGS_CARRY && pending.carry !== undefined) return pending.carry;
      if (offset === L.FLAGS_RESULT && pending.result !== undefined) return this.wrap(pending.result);
      if (offset === L.FLAGS_RESULT + 4 && pending.result !== undefined)
        return this.wrap(this.shrU(pending.result, this.i64(32)));
    }
    return super.state(offset, size);
  }

  override condition(code: number): Node {
    const { pending } = this;
    if (pending?.kind === "sub" && pending.a && pending.b && pending.width <= 32) {
      const { a, b, width } = pending;
      const fused = this.#comparison(code >> 1, a, b, width);
      if (fused !== undefined) return (code & 1) !== 0 ? this.eqz(fused) : fused;
    }
    return super.condition(code);
  }

  /** The comparison a ? b as a condition pair stands for it (both zero extended). */
  #comparison(pair: number, a: Node, b: Node, width: number): Node | undefined {
    switch (pair) {
      case 1:
        return this.ltU(a, b);
      case 2:
        return this.eq(a, b);
      case 3:
        return this.leU(a, b);
      case 6:
        return this.ltS(this.signExtend(width, a), this.signExtend(width, b));
      case 7:
        return this.eqz(this.gtS(this.signExtend(width, a), this.signExtend(width, b)));
    }
    return undefined;
  }
}

function registerBit(operand: Operand | undefined): number {
  if (operand?.kind !== "fixed") return 0;
  return 1 << (operand.width === 8 ? operand.index & 3 : operand.index);
}
