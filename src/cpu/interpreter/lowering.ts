/**
 * Turns the statements of one instruction into WebAssembly for the interpreter: register numbers, displacements and
 * immediates come from the predecoded record, registers live in the state block. The same statements serve the
 * region compiler, which lowers operands to constants and locals instead.
 */
import type { Instruction, Operand } from "../decode/operand.ts";
import * as R from "../decode/records.ts";
import { Lowering } from "../ir/lowering.ts";
import { type Node, typeOfSize } from "../ir/node.ts";
import * as L from "../layout.ts";
import { EMPTY, op } from "../wasm/opcodes.ts";
import { I32, I64, pushSigned, pushUnsigned, type WasmType } from "../wasm/writer.ts";
import type { CoreImports } from "./imports.ts";

/** Results of a handler function. */
export const status = {
  /** Go on with the next record. */
  next: 0,
  /** EIP is in the state block: fetch there. */
  refetch: 1,
  /** As `refetch`, but leave to TypeScript first (an interrupt may be due, HLT …). */
  leave: 2,
  /** FAULT is set; the instruction has had no effect. */
  fault: 3,
} as const;

/** Where slow accesses exchange values with TypeScript. */
export const SLOW_VALUE = L.SCRATCH + 0x40;
/** Instructions left in the budget, kept in the state block around helpers. */
export const BUDGET = L.SCRATCH + 0x60;
/** Where jumps are sampled: one of so many is counted. */
export const SAMPLE_PERIOD = L.SCRATCH + 0x54;

/**
 * Regions look at the budget at their entry and at jumps back only, and not so far as to use it up: the rest, at least the longest
 * way through a region, is the interpreter's. So budgets end at the same instruction whoever executes.
 */
export const REGION_RESERVE = 256;

/** Locals and labels of the function that a handler is emitted into. */
export interface Frame {
  readonly code: number[];
  /** Local holding the record's address. */
  readonly record: number;
  /** Local holding EIP of the page start. */
  readonly page: number;
  /** Pushes the base address of a TLB table. */
  pushTlb(isWrite: boolean): void;
  /** Takes a temporary local of a type; all are given back between handlers. */
  takeLocal(type: WasmType): number;
  /** Leaves the handler with a fault. `depth`: blocks opened by the handler so far. */
  abort(depth: number): void;
  /** Leaves with EIP on the stack as i32. */
  jump(depth: number): void;
  /** Leaves after an ending helper whose status (refetch or leave) is on the stack. */
  leaveWithStatus(depth: number): void;
  /** Stores what helpers may look at: EIP of the instruction, budget. */
  saveForHelper(): void;
  /** Pushes what is left of the budget in front of the instruction. */
  pushBudget(): void;
}

export class HandlerLowering extends Lowering {
  readonly #frame: Frame;
  readonly #imports: CoreImports;
  readonly #instruction: Instruction;

  constructor(frame: Frame, imports: CoreImports, instruction: Instruction) {
    super(frame.code);
    this.#frame = frame;
    this.#imports = imports;
    this.#instruction = instruction;
  }

  protected override takeLocal(type: WasmType): number {
    return this.#frame.takeLocal(type);
  }

  protected override callLibrary(name: string): void {
    this.code.push(op.call);
    pushUnsigned(this.code, this.#imports.library(name));
  }

  protected override helper(name: string, args: readonly Node[], isEnding: boolean): void {
    const code = this.code;
    this.#frame.saveForHelper();
    for (const arg of args) this.node(arg);
    code.push(op.call);
    pushUnsigned(code, this.#imports.helper(name, args.length));
    if (isEnding) {
      this.#frame.leaveWithStatus(this.depth);
      return;
    }
    code.push(op.if, EMPTY);
    this.#frame.abort(this.depth + 1);
    code.push(op.end);
  }

  protected override jump(eip: Node): void {
    this.node(eip);
    this.#frame.jump(this.depth);
  }

  protected override fault(vector: number, errorCode: Node | undefined): void {
    const { code } = this;
    code.push(op.i32Const, 0, op.i32Const);
    pushSigned(code, vector + 1);
    this.storeOp(4, I32, L.FAULT);
    code.push(op.i32Const, 0);
    if (errorCode) this.node(errorCode);
    else {
      code.push(op.i32Const);
      pushSigned(code, -1);
    }
    this.storeOp(4, I32, L.FAULT_ERROR);
    this.#frame.abort(this.depth);
  }

  protected override writeFlags(result: Node | undefined, carry: Node | undefined): void {
    if (result) this.stateStore(L.FLAGS_RESULT, 8, result);
    if (carry) this.stateStore(L.FLAGS_CARRY, 4, carry);
  }

  // ---- operands --------------------------------------------------------------------------------------------------

  protected override readState(node: Node): void {
    this.code.push(op.i32Const, 0);
    this.loadOp(node.imm2, node.type, node.imm);
  }

  protected override address(): void {
    // The decoder has put segment and index into a record in front.
    this.#recordByte(R.RECORD_RM);
    this.loadOp(4, I32, L.GPR);
    this.#recordWord(R.RECORD_DISPLACEMENT);
    this.code.push(op.i32Add);
  }

  protected override nextEip(): void {
    this.thisEip();
    this.#recordByte(R.RECORD_LENGTH);
    this.code.push(op.i32Add);
  }

  protected override thisEip(): void {
    this.localGet(this.#frame.page);
    this.#recordHalf(R.RECORD_OFFSET);
    this.code.push(op.i32Add);
  }

  protected override hasBudget(): void {
    this.#frame.pushBudget();
    this.code.push(op.i32Const, 1, op.i32GtS);
  }

  protected override segmentNumber(): void {
    this.#recordByte(R.RECORD_THIRD);
  }

  protected override registerIndex(operand: Operand): void {
    this.#recordByte("field" in operand && operand.field === "rm" ? R.RECORD_RM : R.RECORD_REG);
  }

  protected override readOperand(operand: Operand): void {
    const code = this.code;
    switch (operand.kind) {
      case "gpr":
        this.#recordByte(operand.field === "rm" ? R.RECORD_RM : R.RECORD_REG);
        this.loadOp(operand.width / 8, I32, L.GPR);
        return;
      case "fixed":
        code.push(op.i32Const, 0);
        this.loadOp(operand.width / 8, I32, L.GPR + R.gprOffset(operand.index, operand.width));
        return;
      case "immediate":
        this.#recordWord(R.RECORD_IMMEDIATE);
        return;
      case "immediate2":
        this.#recordWord(R.RECORD_DISPLACEMENT);
        return;
      case "segment":
        this.#recordByte(operand.field === "rm" ? R.RECORD_RM : R.RECORD_REG);
        code.push(op.i32Const, 2, op.i32Shl);
        this.loadOp(2, I32, L.SEG_SELECTOR);
        return;
      case "fixedSegment":
        code.push(op.i32Const, 0);
        this.loadOp(2, I32, L.SEG_SELECTOR + operand.index * 4);
        return;
      case "xmm":
        this.#recordByte(operand.field === "rm" ? R.RECORD_RM : R.RECORD_REG);
        // Narrower: the low lane.
        this.loadOp(operand.width / 8, typeOfSize(operand.width / 8), L.XMM);
        return;
      case "mmx":
        this.#recordByte(operand.field === "rm" ? R.RECORD_RM : R.RECORD_REG);
        this.loadOp(8, I64, L.X87);
        return;
      case "st":
        this.#recordByte(operand.field === "rm" ? R.RECORD_RM : R.RECORD_REG);
        return;
    }
    throw new Error(`operand ${operand.kind} cannot be read`);
  }

  protected override writeOperand(operand: Operand, value: Node): void {
    const code = this.code;
    switch (operand.kind) {
      case "gpr":
        this.#recordByte(operand.field === "rm" ? R.RECORD_RM : R.RECORD_REG);
        this.node(value);
        this.storeOp(operand.width / 8, I32, L.GPR);
        return;
      case "fixed":
        code.push(op.i32Const, 0);
        this.node(value);
        this.storeOp(operand.width / 8, I32, L.GPR + R.gprOffset(operand.index, operand.width));
        return;
      case "xmm":
        this.#recordByte(operand.field === "rm" ? R.RECORD_RM : R.RECORD_REG);
        this.node(value);
        this.storeOp(operand.width / 8, value.type, L.XMM);
        return;
      case "mmx":
        // Writing an MMX register sets the exponent and sign of the x87 register under it to ones.
        this.#recordByte(operand.field === "rm" ? R.RECORD_RM : R.RECORD_REG);
        this.node(value);
        this.storeOp(8, I64, L.X87);
        this.#recordByte(operand.field === "rm" ? R.RECORD_RM : R.RECORD_REG);
        code.push(op.i32Const);
        pushSigned(code, 0xffff);
        this.storeOp(2, I32, L.X87 + 8);
        return;
    }
    throw new Error(`operand ${operand.kind} cannot be written`);
  }

  // ---- guest memory ----------------------------------------------------------------------------------------------

  /** Pushes the TLB entry of the linear address in `local`. */
  #tlbEntry(local: number, isWrite: boolean): void {
    const code = this.code;
    this.localGet(local);
    code.push(op.i32Const, 10, op.i32ShrU, op.i32Const);
    pushSigned(code, 0x3ffffc);
    code.push(op.i32And);
    this.#frame.pushTlb(isWrite);
    code.push(op.i32Add);
    this.loadOp(4, I32, 0);
  }

  /** Linear address in a local. */
  #linearLocal(node: Node): number {
    if (node.local >= 0) return node.local;
    const local = this.#frame.takeLocal(I32);
    this.node(node);
    this.localSet(local);
    return local;
  }

  /** Pushes 1 if the access must take the slow path; leaves the entry in `entry`. */
  #slowTest(linear: number, entry: number, size: number): void {
    const code = this.code;
    this.localGet(entry);
    code.push(op.i32Eqz);
    if (size > 1) {
      this.localGet(linear);
      code.push(op.i32Const);
      pushSigned(code, 4095);
      code.push(op.i32And, op.i32Const);
      pushSigned(code, 4096 - size);
      code.push(op.i32GtU, op.i32Or);
    }
  }

  protected override guestLoad(node: Node): void {
    const code = this.code;
    const size = node.imm;
    const forWrite = node.imm2 === 1;
    const linear = this.#linearLocal(node.args[0]);
    const entry = this.#frame.takeLocal(I32);
    this.#tlbEntry(linear, forWrite);
    this.localSet(entry);
    this.#slowTest(linear, entry, size);
    code.push(op.if, node.type);
    this.#frame.saveForHelper();
    this.localGet(linear);
    code.push(op.i32Const);
    pushSigned(code, size);
    code.push(op.call);
    pushUnsigned(code, this.#imports.helper(forWrite ? "slow-read-for-write" : "slow-read", 2));
    code.push(op.if, EMPTY);
    this.#frame.abort(this.depth + 2);
    code.push(op.end);
    code.push(op.i32Const, 0);
    this.loadOp(size, node.type, SLOW_VALUE);
    code.push(op.else);
    this.localGet(linear);
    this.localGet(entry);
    code.push(op.i32Add);
    this.loadOp(size, node.type, L.TLB_BIAS);
    code.push(op.end);
  }

  protected override guestStore(linearNode: Node, size: number, valueNode: Node): void {
    const code = this.code;
    const linear = this.#linearLocal(linearNode);
    const isConstant = valueNode.op === op.i32Const;
    let value = valueNode.local;
    if (value < 0 && !isConstant) {
      value = this.#frame.takeLocal(valueNode.type);
      this.node(valueNode);
      this.localSet(value);
    }
    const pushValue = () => {
      if (isConstant) this.node(valueNode);
      else this.localGet(value);
    };
    const entry = this.#frame.takeLocal(I32);
    this.#tlbEntry(linear, true);
    this.localSet(entry);
    this.#slowTest(linear, entry, size);
    code.push(op.if, EMPTY);
    code.push(op.i32Const, 0);
    pushValue();
    this.storeOp(size, valueNode.type, SLOW_VALUE);
    this.#frame.saveForHelper();
    this.localGet(linear);
    code.push(op.i32Const);
    pushSigned(code, size);
    this.localGet(this.#frame.record);
    code.push(op.call);
    pushUnsigned(code, this.#imports.helper("slow-write", 3));
    code.push(op.if, EMPTY);
    this.#frame.abort(this.depth + 2);
    code.push(op.end);
    code.push(op.else);
    this.localGet(linear);
    this.localGet(entry);
    code.push(op.i32Add);
    pushValue();
    this.storeOp(size, valueNode.type, L.TLB_BIAS);
    code.push(op.end);
  }

  /** args: offset, segment number (−1: the record's). imm: size; 0 means no check. */
  protected override segmented(node: Node): void {
    const code = this.code;
    const fixedSegment = node.args[1].imm;
    if (this.#instruction.isFlat) {
      this.node(node.args[0]);
      return;
    }
    const offset = this.#linearLocal(node.args[0]);
    const segment = this.#frame.takeLocal(I32);
    if (fixedSegment < 0) this.#recordByte(R.RECORD_THIRD);
    else code.push(op.i32Const, fixedSegment);
    code.push(op.i32Const, 2, op.i32Shl);
    this.localSet(segment);
    if (node.imm > 0) {
      this.localGet(offset);
      this.localGet(segment);
      this.loadOp(4, I32, node.imm2 === 1 ? L.SEG_FAST_WRITE : L.SEG_FAST_READ);
      code.push(op.i32GeU, op.if, EMPTY);
      this.localGet(segment);
      code.push(op.i32Const, 2, op.i32ShrU);
      this.localGet(offset);
      code.push(op.i32Const);
      pushSigned(code, node.imm);
      code.push(op.i32Const, node.imm2, op.call);
      pushUnsigned(code, this.#imports.helper("check-segment", 4));
      code.push(op.if, EMPTY);
      this.#frame.abort(this.depth + 2);
      code.push(op.end, op.end);
    }
    this.localGet(offset);
    this.localGet(segment);
    code.push(op.i32Const, 1, op.i32Shl);
    this.loadOp(4, I32, L.SEG_BASE);
    code.push(op.i32Add);
  }

  protected override hostAddress(node: Node): void {
    const code = this.code;
    const linear = this.#linearLocal(node.args[0]);
    const entry = this.#frame.takeLocal(I32);
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

  #recordByte(offset: number): void {
    this.localGet(this.#frame.record);
    this.code.push(op.i32Load8U, 0, offset);
  }
  #recordHalf(offset: number): void {
    this.localGet(this.#frame.record);
    this.code.push(op.i32Load16U, 0, offset);
  }
  #recordWord(offset: number): void {
    this.localGet(this.#frame.record);
    this.code.push(op.i32Load, 0, offset);
  }
}
