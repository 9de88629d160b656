/**
 * A region's blocks as WebAssembly: general registers and flags in locals for the whole region, memory through the TLB of
 * the entry's privilege. Whatever cannot be done here leaves at the start of the instruction, where locals equal the
 * architectural state, for the interpreter to execute it.
 */
import type { Operand } from "../decode/operand.ts";
import { REGION_RESERVE } from "../interpreter/lowering.ts";
import { Lowering } from "../ir/lowering.ts";
import { type Node, type PendingFlags, pseudo, type Site, typeOfSize } from "../ir/node.ts";
import * as L from "../layout.ts";
import { EMPTY, op } from "../wasm/opcodes.ts";
import { I32, I64, pushSigned, pushUnsigned, type WasmType } from "../wasm/writer.ts";

/** Parameters and fixed locals of a region's function: (page EIP, budget, read TLB, write TLB) → budget left. */
export const PAGE = 0;
export const BUDGET = 1;
export const TLB_READ = 2;
export const TLB_WRITE = 3;
export const GPR_LOCAL = 4;
export const FLAGS_CARRY_LOCAL = 12;
export const LABEL = 13;
export const FLAGS_RESULT_LOCAL = 14;
/** Types of the locals behind the parameters: eight registers, carry, label, result. */
export const FIXED_LOCALS: readonly WasmType[] = [...new Array<WasmType>(10).fill(I32), I64];

/** Nonzero after a region left for the interpreter at EIP. */
export const REGION_EXIT = L.SCRATCH + 0x64;

/** How a region's blocks lie in its function. */
export interface RegionShape {
  /** Block number that starts at a page offset, or -1. */
  blockAt(offset: number): number;
  readonly blockCount: number;
  /** Registers that any block writes. */
  readonly dirty: number;
  readonly writesFlags: boolean;
}

export class RegionLowering extends Lowering {
  readonly #takeLocal: (type: WasmType) => number;
  readonly #shape: RegionShape;
  #site: Site = { offset: 0, count: 0, flags: undefined };
  /** The block being emitted, and its number of instructions. */
  #block = 0;
  #blockInstructions = 0;

  constructor(code: number[], takeLocal: (type: WasmType) => number, shape: RegionShape) {
    super(code);
    this.#takeLocal = takeLocal;
    this.#shape = shape;
  }

  startBlock(block: number, instructions: number): void {
    this.#block = block;
    this.#blockInstructions = instructions;
    this.depth = 0;
  }

  /** The end of a block that falls through, or stops for the interpreter, at a page offset. */
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

  protected override exit(): void {
    const { code } = this;
    code.push(op.i32Const, 0);
    this.#pageOffset(this.#site.offset);
    this.storeOp(4, I32, L.EIP);
    code.push(op.i32Const, 0, op.i32Const, 1);
    this.storeOp(4, I32, REGION_EXIT);
    this.#spill(this.#site.flags);
    this.#budgetMinus(this.#site.count);
    code.push(op.return);
  }

  #spill(flags: PendingFlags | undefined): void {
    const { code } = this;
    for (let n = 0; n < 8; n++) {
      if ((this.#shape.dirty & (1 << n)) === 0) continue;
      code.push(op.i32Const, 0);
      this.localGet(GPR_LOCAL + n);
      this.storeOp(4, I32, L.GPR + n * 8);
    }
    if (!this.#shape.writesFlags && flags === undefined) return;
    code.push(op.i32Const, 0);
    if (flags?.result) this.node(flags.result);
    else this.localGet(FLAGS_RESULT_LOCAL);
    this.storeOp(8, I64, L.FLAGS_RESULT);
    code.push(op.i32Const, 0);
    if (flags?.carry) this.node(flags.carry);
    else this.localGet(FLAGS_CARRY_LOCAL);
    this.storeOp(4, I32, L.FLAGS_CARRY);
  }

  #budgetMinus(count: number): void {
    this.localGet(BUDGET);
    if (count === 0) return;
    this.code.push(op.i32Const);
    pushSigned(this.code, count);
    this.code.push(op.i32Sub);
  }

  #pageOffset(offset: number): void {
    this.localGet(PAGE);
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
    code.push(op.i32Const, 0);
    this.node(eip);
    this.storeOp(4, I32, L.EIP);
    this.#spill(undefined);
    this.#budgetMinus(this.#blockInstructions);
    code.push(op.return);
  }

  /** Control goes to a page offset: another block, or out. */
  #edge(offset: number): void {
    const { code } = this;
    const target = this.#shape.blockAt(offset);
    if (target < 0) {
      code.push(op.i32Const, 0);
      this.#pageOffset(offset);
      this.storeOp(4, I32, L.EIP);
      this.#spill(undefined);
      this.#budgetMinus(this.#blockInstructions);
      code.push(op.return);
      return;
    }
    this.#budgetMinus(this.#blockInstructions);
    this.localSet(BUDGET);
    // Around block k's body: the labels of blocks k+1 … n−1, then the loop.
    const around = this.#shape.blockCount - 1 - this.#block;
    if (target > this.#block) {
      code.push(op.br);
      pushUnsigned(code, this.depth + target - this.#block - 1);
      return;
    }
    this.localGet(BUDGET);
    code.push(op.i32Const);
    pushSigned(code, REGION_RESERVE);
    code.push(op.i32LeS, op.if, EMPTY);
    code.push(op.i32Const, 0);
    this.#pageOffset(offset);
    this.storeOp(4, I32, L.EIP);
    this.#spill(undefined);
    this.localGet(BUDGET);
    code.push(op.return, op.end);
    code.push(op.i32Const);
    pushSigned(code, target);
    this.localSet(LABEL);
    code.push(op.br);
    pushUnsigned(code, this.depth + around);
  }

  protected override helper(): void {
    this.exit();
  }

  protected override fault(): void {
    this.exit();
  }

  protected override callLibrary(name: string): void {
    throw new Error(`library function ${name} in a region`);
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
  protected override segmentNumber(): void {
    throw new Error("segments are constants in a region");
  }
  protected override registerIndex(): void {
    throw new Error("register numbers are constants in a region");
  }
  protected override address(): void {
    throw new Error("addresses are computed by the region's builder");
  }
  protected override hostAddress(): void {
    throw new Error("bulk access in a region");
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
    return local;
  }

  /** Leaves unless the access is direct; answers the local with the TLB entry. */
  #entry(linear: number, size: number, isWrite: boolean): number {
    const { code } = this;
    const entry = this.takeLocal(I32);
    this.localGet(linear);
    code.push(op.i32Const, 10, op.i32ShrU, op.i32Const);
    pushSigned(code, 0x3ffffc);
    code.push(op.i32And);
    this.localGet(isWrite ? TLB_WRITE : TLB_READ);
    code.push(op.i32Add);
    this.loadOp(4, I32, 0);
    this.code.push(op.localTee);
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
    code.push(op.if, EMPTY);
    this.exit();
    code.push(op.end);
    return entry;
  }

  protected override guestLoad(node: Node): void {
    const linear = this.#linearLocal(node.args[0]);
    const entry = this.#entry(linear, node.imm, node.imm2 === 1);
    this.localGet(linear);
    this.localGet(entry);
    this.code.push(op.i32Add);
    this.loadOp(node.imm, typeOfSize(node.imm), L.TLB_BIAS);
  }

  protected override guestStore(linearNode: Node, size: number, value: Node): void {
    const linear = this.#linearLocal(linearNode);
    const entry = this.#entry(linear, size, true);
    this.localGet(linear);
    this.localGet(entry);
    this.code.push(op.i32Add);
    this.node(value);
    this.storeOp(size, value.type, L.TLB_BIAS);
  }
}
