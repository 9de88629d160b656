/**
 * A region's blocks as WebAssembly: general registers and flags in locals for the whole region, memory through the TLB of
 * the entry's privilege, everything else in the state block. Whatever cannot be done here leaves at the start of the
 * instruction, where locals and state block are the architectural state, for the interpreter to execute it.
 *
 * All ways out end in one tail that stores what the region may have changed: they set EIP and the budget and branch to it.
 */
import type { Operand } from "../decode/operand.ts";
import { regionHelpers } from "../interpreter/imports.ts";
import { BUDGET as BUDGET_SLOT, REGION_RESERVE } from "../interpreter/lowering.ts";
import { Lowering } from "../ir/lowering.ts";
import { type Node, type PendingFlags, pseudo, type Site, type Statement, typeOfSize } from "../ir/node.ts";
import * as L from "../layout.ts";
import { EMPTY, op } from "../wasm/opcodes.ts";
import { I32, I64, pushSigned, pushUnsigned, type WasmType } from "../wasm/writer.ts";
import type { EdgePlan } from "./structure.ts";

/** Parameters of a region's function: EIP, budget, data TLB (reads), dispatch number, code TLB. It answers the budget left. */
export const EIP = 0;
export const BUDGET = 1;
export const TLB = 2;
export const DISPATCH = 3;
export const TLB_CODE = 4;
export const REGION_PARAMETERS: readonly WasmType[] = [I32, I32, I32, I32, I32];
/** Fixed locals behind them. */
export const GPR_LOCAL = 5;
export const FLAGS_CARRY_LOCAL = 13;
/** EIP of the start of the head's page. */
export const PAGE = 14;
export const FLAGS_RESULT_LOCAL = 15;
export const FIXED_LOCALS: readonly WasmType[] = [...new Array<WasmType>(10).fill(I32), I64];

/** Nonzero after a region left for the interpreter in front of an instruction. */
export const REGION_EXIT = L.SCRATCH + 0x64;
/** Decode map entry of the region that is being executed. */
export const REGION_CURRENT = L.SCRATCH + 0x50;
/** 64-bit counters: calls of regions by the interpreter, those that ended in front of an instruction for it, instructions in them. */
export const REGION_ENTRIES = L.SCRATCH + 0x68;
export const REGION_SITE_EXITS = L.SCRATCH + 0x70;
export const REGION_INSTRUCTIONS = L.SCRATCH + 0x78;
/** Table slots that an entry of a decode map can name; above them in the entry stands the dispatch number. */
export const MAX_REGION_SLOT = 0x7fff;
/** Write TLBs stand behind the read TLBs of the same privilege. */
const TLB_WRITE_OFFSET = L.TLB_WRITE_SUPERVISOR - L.TLB_READ_SUPERVISOR;

/** Accesses of a block whose addresses differ by constants: the first looks up the page for all. */
interface Span {
  /** First byte and the one behind the last, as deltas. */
  from: number;
  to: number;
  isWrite: boolean;
  /** Local with the TLB entry once it has been looked up. */
  entry: number;
}

/** Depth at which a structured construct was opened. */
export type Label = number;

/** How the blocks of a region hang together. */
export interface RegionShape {
  /** Block number that starts at an offset, or -1. */
  blockAt(offset: number): number;
  /** Where a branch from the current block to another leads. */
  plan(block: number): EdgePlan<Label>;
  /** Pages (relative to the head's) that a block lies in, and the decode map that each must have. */
  pagesOf(block: number): readonly number[];
  mapOf(page: number): number;
  /** Where a block's return or indirect jump may stay inside. */
  targetsOf(block: number): readonly number[];
  /** How far apart accesses may be that are looked up together; 0: each by itself. */
  readonly maxSpanBytes: number;
}

export class RegionLowering extends Lowering {
  readonly #takeLocal: (type: WasmType) => number;
  readonly #shape: RegionShape;
  readonly #libraryIndex: (name: string) => number;
  #site: Site = { offset: 0, count: 0, flags: undefined };
  #block = 0;
  #blockInstructions = 0;
  /** By root. */
  readonly #spans = new Map<number, Span>();
  /** Depth of the block's own statements; deeper ones may not be executed. */
  #blockDepth = 0;
  /** Labels of the two ways out: in front of the current instruction, and at the EIP that has been set. */
  #siteExit: Label = 0;
  #eipExit: Label = 0;

  constructor(
    code: number[],
    takeLocal: (type: WasmType) => number,
    shape: RegionShape,
    libraryIndex: (name: string) => number,
  ) {
    super(code);
    this.#takeLocal = takeLocal;
    this.#shape = shape;
    this.#libraryIndex = libraryIndex;
  }

  // ---- structure ---------------------------------------------------------------------------------------------------

  openBlock(): Label {
    this.code.push(op.block, EMPTY);
    return this.depth++;
  }

  openLoop(): Label {
    this.code.push(op.loop, EMPTY);
    return this.depth++;
  }

  close(): void {
    this.code.push(op.end);
    this.depth--;
  }

  /** `raw`: constructs opened around here that `depth` does not know. */
  branch(label: Label, raw = 0): void {
    this.code.push(op.br);
    pushUnsigned(this.code, this.#relative(label) + raw);
  }

  #relative(label: Label): number {
    return this.depth - label - 1;
  }

  dispatch(labels: readonly (Label | undefined)[], otherwise: Label | undefined): void {
    const last = otherwise === undefined ? undefined : this.#relative(otherwise);
    if (last === undefined) throw new Error("region: a dispatch without a first block");
    this.localGet(DISPATCH);
    this.code.push(op.brTable);
    pushUnsigned(this.code, labels.length);
    for (let n = 0; n < labels.length; n++) {
      const label = labels[n];
      pushUnsigned(this.code, label === undefined ? last : this.#relative(label));
    }
    pushUnsigned(this.code, last);
  }

  /** Opens the two blocks whose ends are the ways out. */
  openExits(): void {
    this.#eipExit = this.openBlock();
    this.#siteExit = this.openBlock();
  }

  /**
   * Ends them and stores the state: `dirty` general registers, the flags if `writesFlags`. A jump that has landed goes straight on in the
   * region that begins there, if there is one: each region's tail call is predicted for itself, which the interpreter's single
   * call cannot be. `regionType`: index of the type of regions; undefined: back to the interpreter in any case.
   */
  closeExits(dirty: number, writesFlags: boolean, regionType: number | undefined): void {
    const { code } = this;
    this.close();
    code.push(op.i32Const, 0, op.i32Const, 1);
    this.storeOp(4, I32, REGION_EXIT);
    // No code anywhere, so no region to go on in.
    code.push(op.i32Const);
    pushSigned(code, L.NO_TLB);
    this.localSet(TLB_CODE);
    this.close();
    code.push(op.i32Const, 0);
    this.localGet(EIP);
    this.storeOp(4, I32, L.EIP);
    for (let n = 0; n < 8; n++) {
      if ((dirty & (1 << n)) === 0) continue;
      code.push(op.i32Const, 0);
      this.localGet(GPR_LOCAL + n);
      this.storeOp(4, I32, L.GPR + n * 8);
    }
    if (writesFlags) {
      code.push(op.i32Const, 0);
      this.localGet(FLAGS_RESULT_LOCAL);
      this.storeOp(8, I64, L.FLAGS_RESULT);
      code.push(op.i32Const, 0);
      this.localGet(FLAGS_CARRY_LOCAL);
      this.storeOp(4, I32, L.FLAGS_CARRY);
    }
    if (regionType !== undefined) this.#link(regionType);
    this.localGet(BUDGET);
  }

  /** On to the region at EIP, if there is one and the budget is not for the interpreter. */
  #link(regionType: number): void {
    const { code } = this;
    // Its map, then its entry.
    this.#tableEntry(EIP, TLB_CODE);
    code.push(op.localTee, PAGE, op.i32Const, 0, op.i32Ne);
    this.localGet(BUDGET);
    code.push(op.i32Const);
    pushSigned(code, REGION_RESERVE);
    code.push(op.i32GtS, op.i32And, op.if, EMPTY);
    this.localGet(EIP);
    code.push(op.i32Const);
    pushSigned(code, 4095);
    code.push(op.i32And, op.i32Const, 2, op.i32Shl);
    this.localGet(PAGE);
    code.push(op.i32Add);
    this.loadOp(4, I32, 0);
    code.push(op.localTee, PAGE, op.i32Const, 1, op.i32And, op.if, EMPTY);
    // Counted for the slot that is left, which stands shifted by one.
    code.push(op.i32Const, 0);
    this.loadOp(4, I32, REGION_CURRENT);
    code.push(op.i32Const);
    pushSigned(code, MAX_REGION_SLOT << 1);
    code.push(op.i32And, op.i32Const, 1, op.i32Shl, op.localTee, DISPATCH, op.localGet, DISPATCH);
    this.loadOp(4, I32, L.REGION_LINKS);
    code.push(op.i32Const, 1, op.i32Add);
    this.storeOp(4, I32, L.REGION_LINKS);
    code.push(op.i32Const, 0);
    this.localGet(PAGE);
    this.storeOp(4, I32, REGION_CURRENT);
    for (const local of [EIP, BUDGET, TLB]) this.localGet(local);
    this.localGet(PAGE);
    code.push(op.i32Const, 16, op.i32ShrU);
    this.localGet(TLB_CODE);
    this.localGet(PAGE);
    code.push(op.i32Const, 1, op.i32ShrU, op.i32Const);
    pushSigned(code, MAX_REGION_SLOT);
    code.push(op.i32And, op.returnCallIndirect);
    pushUnsigned(code, regionType);
    code.push(0, op.end, op.end);
  }

  startBlock(block: number, instructions: number): void {
    this.#block = block;
    this.#blockInstructions = instructions;
  }

  override lower(statements: readonly Statement[]): void {
    this.#spans.clear();
    this.#blockDepth = this.depth;
    for (const s of statements) {
      if (s.kind === "guestStore") this.#span(s.linear, s.size, true);
      else if (s.kind === "let" && s.node.op === pseudo.guestLoad)
        this.#span(s.node.args[0], s.node.imm, s.node.imm2 === 1);
    }
    super.lower(statements);
  }

  #span({ root, delta }: Node, size: number, isWrite: boolean): void {
    if (root === 0) return;
    const span = this.#spans.get(root);
    if (span === undefined) {
      this.#spans.set(root, { from: delta, to: delta + size, isWrite, entry: -1 });
      return;
    }
    const from = Math.min(span.from, delta);
    const to = Math.max(span.to, delta + size);
    if (to - from > this.#shape.maxSpanBytes) return;
    span.from = from;
    span.to = to;
    span.isWrite ||= isWrite;
  }

  /** The end of a block that falls through, or stops for the interpreter, at an offset. */
  endBlock(offset: number): void {
    this.#edge(offset);
  }

  protected override takeLocal(type: WasmType): number {
    return this.#takeLocal(type);
  }

  // ---- leaving -----------------------------------------------------------------------------------------------------

  protected override countSite(site: Site): void {
    if (site.flags?.result) this.#keepLeaves(site.flags.result);
    if (site.flags?.carry) this.#keepLeaves(site.flags.carry);
  }

  /** What an exit may compute later must be in locals. */
  #keepLeaves(node: Node): void {
    if (node.op < 0 && node.op !== pseudo.select && node.op !== pseudo.pageEip) {
      this.visit(node);
      return;
    }
    for (const arg of node.args) this.#keepLeaves(arg);
  }

  protected override mark(site: Site): void {
    this.#site = site;
  }

  protected override exit(raw = 0): void {
    const { flags, offset, count } = this.#site;
    this.#writePending(flags);
    this.#pageOffset(offset);
    this.localSet(EIP);
    this.#budgetMinus(count);
    this.branch(this.#siteExit, raw);
  }

  #writePending(flags: PendingFlags | undefined): void {
    if (flags?.result) {
      this.node(flags.result);
      this.localSet(FLAGS_RESULT_LOCAL);
    }
    if (flags?.carry) {
      this.node(flags.carry);
      this.localSet(FLAGS_CARRY_LOCAL);
    }
  }

  #budgetMinus(count: number): void {
    if (count === 0) return;
    this.localGet(BUDGET);
    this.code.push(op.i32Const);
    pushSigned(this.code, count);
    this.code.push(op.i32Sub);
    this.localSet(BUDGET);
  }

  #pageOffset(offset: number): void {
    this.localGet(PAGE);
    if (offset === 0) return;
    this.code.push(op.i32Const);
    pushSigned(this.code, offset);
    this.code.push(op.i32Add);
  }

  protected override jump(eip: Node): void {
    if (eip.op === pseudo.pageEip) {
      this.#edge(eip.imm);
      return;
    }
    const { code } = this;
    this.node(eip);
    this.localSet(EIP);
    this.#budgetMinus(this.#blockInstructions);
    for (const offset of this.#shape.targetsOf(this.#block)) {
      this.localGet(EIP);
      this.#pageOffset(offset);
      code.push(op.i32Eq, op.if, EMPTY);
      this.depth++;
      this.#enter(offset);
      this.depth--;
      code.push(op.end);
    }
    this.branch(this.#eipExit);
  }

  /** Control goes to an offset: another block, or out. */
  #edge(offset: number): void {
    this.#budgetMinus(this.#blockInstructions);
    if (this.#shape.blockAt(offset) >= 0) this.#enter(offset);
    else this.#leaveAt(offset, 0);
  }

  #leaveAt(offset: number, raw: number): void {
    this.#pageOffset(offset);
    this.localSet(EIP);
    this.branch(this.#eipExit, raw);
  }

  /** The budget is settled: on to the block at an offset. */
  #enter(offset: number): void {
    const { code } = this;
    const target = this.#shape.blockAt(offset);
    const known = this.#shape.pagesOf(this.#block);
    for (const page of this.#shape.pagesOf(target)) {
      if (known.includes(page)) continue;
      // Another page: it must still lead to the code that was translated.
      this.pageCheck(page);
      code.push(op.if, EMPTY);
      this.#leaveAt(offset, 1);
      code.push(op.end);
    }
    const plan = this.#shape.plan(target);
    if (plan.isRetreating) {
      this.localGet(BUDGET);
      code.push(op.i32Const);
      pushSigned(code, REGION_RESERVE);
      code.push(op.i32LeS, op.if, EMPTY);
      this.#leaveAt(offset, 1);
      code.push(op.end);
    }
    if (plan.dispatchNumber !== 0) this.setDispatch(plan.dispatchNumber);
    this.branch(plan.label);
  }

  setDispatch(number: number): void {
    this.code.push(op.i32Const);
    pushSigned(this.code, number);
    this.localSet(DISPATCH);
  }

  /** Pushes 1 if a page does not have the decode map that it had when the region was made. */
  pageCheck(page: number): void {
    const { code } = this;
    this.#pageOffset(page * 4096);
    code.push(op.i32Const, 12, op.i32ShrU, op.i32Const, 2, op.i32Shl);
    this.localGet(TLB_CODE);
    code.push(op.i32Add);
    this.loadOp(4, I32, 0);
    code.push(op.i32Const);
    pushSigned(code, this.#shape.mapOf(page));
    code.push(op.i32Ne);
  }

  protected override helper(name: string, args: readonly Node[]): void {
    const { code } = this;
    const signature = regionHelpers.get(name);
    if (signature === undefined) {
      this.exit();
      return;
    }
    const { offset, count } = this.#site;
    code.push(op.i32Const, 0);
    this.#pageOffset(offset);
    this.storeOp(4, I32, L.EIP);
    code.push(op.i32Const, 0);
    this.localGet(BUDGET);
    code.push(op.i32Const);
    pushSigned(code, count);
    code.push(op.i32Sub);
    this.storeOp(4, I32, BUDGET_SLOT);
    for (const arg of args) this.node(arg);
    this.callLibrary(name);
    if (!signature.mayFault) {
      code.push(op.drop);
      return;
    }
    // The interpreter will come to the same fault.
    code.push(op.if, EMPTY, op.i32Const, 0, op.i32Const, 0);
    this.storeOp(4, I32, L.FAULT);
    this.exit(1);
    code.push(op.end);
  }

  protected override fault(): void {
    this.exit();
  }

  protected override callLibrary(name: string): void {
    this.code.push(op.call);
    pushUnsigned(this.code, this.#libraryIndex(name));
  }

  // ---- operands ----------------------------------------------------------------------------------------------------

  protected override readState(node: Node): void {
    const { code } = this;
    if (node.imm === L.FLAGS_CARRY) this.localGet(FLAGS_CARRY_LOCAL);
    else if (node.imm === L.FLAGS_RESULT || node.imm === L.FLAGS_RESULT + 4) {
      this.localGet(FLAGS_RESULT_LOCAL);
      if (node.imm !== L.FLAGS_RESULT) {
        code.push(op.i64Const);
        pushSigned(code, 32);
        code.push(op.i64ShrU);
      }
      code.push(op.i32WrapI64);
    } else {
      code.push(op.i32Const, 0);
      this.loadOp(node.imm2, node.type, node.imm);
    }
  }

  protected override writeFlags(result: Node | undefined, carry: Node | undefined): void {
    if (result) {
      this.node(result);
      this.localSet(FLAGS_RESULT_LOCAL);
    }
    if (carry) {
      this.node(carry);
      this.localSet(FLAGS_CARRY_LOCAL);
    }
  }

  protected override readOperand(operand: Operand): void {
    const { code } = this;
    switch (operand.kind) {
      case "fixed": {
        if (operand.width === 8) {
          this.localGet(GPR_LOCAL + (operand.index & 3));
          if (operand.index >= 4) code.push(op.i32Const, 8, op.i32ShrU);
          code.push(op.i32Const);
          pushSigned(code, 0xff);
          code.push(op.i32And);
          return;
        }
        this.localGet(GPR_LOCAL + operand.index);
        if (operand.width === 16) {
          code.push(op.i32Const);
          pushSigned(code, 0xffff);
          code.push(op.i32And);
        }
        return;
      }
      case "fixedSegment":
        code.push(op.i32Const, 0);
        this.loadOp(2, I32, L.SEG_SELECTOR + operand.index * 4);
        return;
    }
    throw new Error(`operand ${operand.kind} in a region`);
  }

  protected override writeOperand(operand: Operand, value: Node): void {
    const { code } = this;
    if (operand.kind !== "fixed") throw new Error(`operand ${operand.kind} in a region`);
    const isHigh = operand.width === 8 && operand.index >= 4;
    const local = GPR_LOCAL + (operand.width === 8 ? operand.index & 3 : operand.index);
    if (operand.width === 32) {
      this.node(value);
      this.localSet(local);
      return;
    }
    const mask = operand.width === 16 ? 0xffff : isHigh ? 0xff00 : 0xff;
    this.localGet(local);
    code.push(op.i32Const);
    pushSigned(code, ~mask);
    code.push(op.i32And);
    this.node(value);
    if (isHigh) code.push(op.i32Const, 8, op.i32Shl);
    code.push(op.i32Const);
    pushSigned(code, mask);
    code.push(op.i32And, op.i32Or);
    this.localSet(local);
  }

  protected override nextEip(): void {
    throw new Error("EIP is a constant in a region");
  }
  protected override thisEip(): void {
    throw new Error("EIP is a constant in a region");
  }
  /** Regions leave the reserve to the interpreter. */
  protected override hasBudget(): void {
    this.code.push(op.i32Const, 1);
  }
  protected override segmentNumber(): void {
    throw new Error("segments are constants in a region");
  }
  protected override registerIndex(): void {
    throw new Error("register numbers are constants in a region");
  }
  protected override address(): void {
    throw new Error("addresses are computed by the region's builder");
  }
  protected override segmented(node: Node): void {
    this.node(node.args[0]);
  }
  protected override operation(node: Node): void {
    if (node.op === pseudo.pageEip) this.#pageOffset(node.imm);
    else super.operation(node);
  }

  // ---- guest memory ------------------------------------------------------------------------------------------------

  #linearLocal(node: Node): number {
    if (node.local >= 0) return node.local;
    const local = this.takeLocal(I32);
    this.node(node);
    this.localSet(local);
    if (this.depth === this.#blockDepth) node.local = local;
    return local;
  }

  /** Pushes the TLB entry of a linear address for data. */
  #tlbEntry(linear: number, isWrite: boolean): void {
    this.#tableEntry(linear, TLB, isWrite ? TLB_WRITE_OFFSET : 0);
  }

  /** Pushes the entry of a linear address in a table that a local leads to. */
  #tableEntry(linear: number, table: number, offset = 0): void {
    const { code } = this;
    this.localGet(linear);
    code.push(op.i32Const, 10, op.i32ShrU, op.i32Const);
    pushSigned(code, 0x3ffffc);
    code.push(op.i32And);
    this.localGet(table);
    code.push(op.i32Add);
    this.loadOp(4, I32, offset);
  }

  /** The local with the TLB entry for an access; in front of it the code that leaves unless the access is direct. */
  #entry(linear: Node, size: number, isWrite: boolean): number {
    const { root, delta } = linear;
    const span = root === 0 ? undefined : this.#spans.get(root);
    const isCovered = span !== undefined && span.from <= delta && delta + size <= span.to && (span.isWrite || !isWrite);
    if (isCovered && span.entry >= 0) return span.entry;
    if (!isCovered || this.depth > this.#blockDepth) return this.#lookUp(this.#linearLocal(linear), size, isWrite);
    let first = this.#linearLocal(linear);
    if (span.from !== delta) {
      const { code } = this;
      const start = this.takeLocal(I32);
      this.localGet(first);
      code.push(op.i32Const);
      pushSigned(code, span.from - delta);
      code.push(op.i32Add);
      this.localSet(start);
      first = start;
    }
    span.entry = this.#lookUp(first, span.to - span.from, span.isWrite);
    return span.entry;
  }

  #lookUp(linear: number, size: number, isWrite: boolean): number {
    const { code } = this;
    const entry = this.takeLocal(I32);
    this.#tlbEntry(linear, isWrite);
    code.push(op.localTee);
    pushUnsigned(code, entry);
    code.push(op.i32Eqz);
    if (size > 1) {
      this.localGet(linear);
      code.push(op.i32Const);
      pushSigned(code, 4095);
      code.push(op.i32And, op.i32Const);
      pushSigned(code, 4096 - size);
      code.push(op.i32GtU, op.i32Or);
    }
    // No call here, however rare: it would cost every register that lives across it.
    code.push(op.if, EMPTY);
    this.exit(1);
    code.push(op.end);
    return entry;
  }

  protected override guestLoad(node: Node): void {
    const linear = node.args[0];
    const entry = this.#entry(linear, node.imm, node.imm2 === 1);
    this.node(linear);
    this.localGet(entry);
    this.code.push(op.i32Add);
    this.loadOp(node.imm, typeOfSize(node.imm), L.TLB_BIAS);
  }

  protected override guestStore(linearNode: Node, size: number, value: Node): void {
    const entry = this.#entry(linearNode, size, true);
    this.node(linearNode);
    this.localGet(entry);
    this.code.push(op.i32Add);
    this.node(value);
    this.storeOp(size, value.type, L.TLB_BIAS);
  }

  protected override hostAddress(node: Node): void {
    const { code } = this;
    const linear = this.#linearLocal(node.args[0]);
    const entry = this.takeLocal(I32);
    this.#tlbEntry(linear, node.imm2 === 1);
    this.localSet(entry);
    this.localGet(linear);
    this.localGet(entry);
    code.push(op.i32Add, op.i32Const);
    pushSigned(code, L.TLB_BIAS);
    code.push(op.i32Add, op.i32Const, 0);
    this.localGet(entry);
    code.push(op.select);
  }
}
