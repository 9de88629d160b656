/**
 * Turns the statements of one instruction into WebAssembly for the interpreter: register numbers, displacements and
 * immediates come from the predecoded record, registers live in the state block. The same statements serve the
 * region compiler, which lowers operands to constants and locals instead.
 */
import type { Instruction, Operand } from "../decode/operand.ts";
import * as R from "../decode/records.ts";
import type { Node, Statement, Variable } from "../ir/node.ts";
import { pseudo, typeOfSize } from "../ir/node.ts";
import * as L from "../layout.ts";
import { EMPTY, op, simd } from "../wasm/opcodes.ts";
import { F32, F64, I32, I64, pushSigned, pushSigned64, pushUnsigned, V128, type WasmType } from "../wasm/writer.ts";
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
}

const readImpure = new Set<number>([
  pseudo.stateLoad,
  pseudo.operand,
  pseudo.variable,
  pseudo.address,
  pseudo.hostLoad,
]);

export class HandlerLowering {
  readonly #frame: Frame;
  readonly #code: number[];
  readonly #imports: CoreImports;
  readonly #instruction: Instruction;
  #depth = 0;

  constructor(frame: Frame, imports: CoreImports, instruction: Instruction) {
    this.#frame = frame;
    this.#code = frame.code;
    this.#imports = imports;
    this.#instruction = instruction;
  }

  lower(statements: readonly Statement[]): void {
    this.#count(statements);
    this.#statements(statements);
  }

  // ---- liveness --------------------------------------------------------------------------------------------------

  #visit(node: Node): void {
    node.uses++;
    if (node.uses === 1) for (const arg of node.args) this.#visit(arg);
  }

  #count(statements: readonly Statement[]): void {
    for (const s of statements) {
      switch (s.kind) {
        case "let":
          if (s.isImpure) this.#visitImpure(s.node);
          break;
        case "stateStore":
        case "writeOperand":
        case "setVariable":
          this.#visit(s.value);
          break;
        case "hostStore":
          this.#visit(s.address);
          this.#visit(s.value);
          break;
        case "guestStore":
          this.#visit(s.linear);
          this.#visit(s.value);
          break;
        case "flags":
          if (s.result) this.#visit(s.result);
          if (s.carry) this.#visit(s.carry);
          break;
        case "if":
          this.#visit(s.condition);
          this.#count(s.whenTrue);
          this.#count(s.whenFalse);
          break;
        case "loop":
          this.#count(s.body);
          this.#visit(s.condition);
          break;
        case "memoryCopy":
          this.#visit(s.to);
          this.#visit(s.from);
          this.#visit(s.length);
          break;
        case "memoryFill":
          this.#visit(s.to);
          this.#visit(s.value);
          this.#visit(s.length);
          break;
        case "helper":
          for (const arg of s.args) this.#visit(arg);
          break;
        case "jump":
          this.#visit(s.eip);
          break;
        case "fault":
          if (s.errorCode) this.#visit(s.errorCode);
          break;
      }
    }
  }

  /** An impure node is evaluated whether used or not; its own use count stays that of its readers. */
  #visitImpure(node: Node): void {
    if (node.uses === 0) for (const arg of node.args) this.#visit(arg);
    node.uses += 1000;
  }

  // ---- statements ------------------------------------------------------------------------------------------------

  #statements(statements: readonly Statement[]): void {
    for (const s of statements) this.#statement(s);
  }

  #statement(s: Statement): void {
    const code = this.#code;
    switch (s.kind) {
      case "let":
        this.#let(s.node, s.isImpure);
        break;
      case "stateStore":
        this.#stateStore(s.offset, s.size, s.value);
        break;
      case "hostStore":
        this.#node(s.address);
        this.#node(s.value);
        this.#storeOp(s.size, s.value.type, s.offset);
        break;
      case "writeOperand":
        this.#writeOperand(s.operand, s.value);
        break;
      case "guestStore":
        this.#guestStore(s.linear, s.size, s.value);
        break;
      case "flags":
        if (s.result) this.#stateStore(L.FLAGS_RESULT, 8, s.result);
        if (s.carry) this.#stateStore(L.FLAGS_CARRY, 4, s.carry);
        break;
      case "setVariable":
        this.#node(s.value);
        this.#localSet(this.#variableLocal(s.variable));
        break;
      case "if":
        this.#node(s.condition);
        code.push(op.if, EMPTY);
        this.#depth++;
        this.#statements(s.whenTrue);
        if (s.whenFalse.length > 0) {
          code.push(op.else);
          this.#statements(s.whenFalse);
        }
        this.#depth--;
        code.push(op.end);
        break;
      case "loop":
        code.push(op.loop, EMPTY);
        this.#depth++;
        this.#statements(s.body);
        this.#node(s.condition);
        code.push(op.brIf, 0);
        this.#depth--;
        code.push(op.end);
        break;
      case "memoryCopy":
        this.#node(s.to);
        this.#node(s.from);
        this.#node(s.length);
        code.push(0xfc, 10, 0, 0);
        break;
      case "memoryFill":
        this.#node(s.to);
        this.#node(s.value);
        this.#node(s.length);
        code.push(0xfc, 11, 0);
        break;
      case "helper":
        this.#helper(s.name, s.args, s.isEnding);
        break;
      case "jump":
        this.#node(s.eip);
        this.#frame.jump(this.#depth);
        break;
      case "fault":
        code.push(op.i32Const, 0, op.i32Const);
        pushSigned(code, s.vector + 1);
        this.#storeOp(4, I32, L.FAULT);
        code.push(op.i32Const, 0);
        if (s.errorCode) this.#node(s.errorCode);
        else {
          code.push(op.i32Const);
          pushSigned(code, -1);
        }
        this.#storeOp(4, I32, L.FAULT_ERROR);
        this.#frame.abort(this.#depth);
        break;
    }
  }

  #let(node: Node, isImpure: boolean): void {
    if (isImpure) {
      this.#operation(node);
      node.local = this.#frame.takeLocal(node.type);
      this.#localSet(node.local);
      return;
    }
    if (node.uses === 0) return;
    if (node.uses > 1 || readImpure.has(node.op)) {
      this.#operation(node);
      node.local = this.#frame.takeLocal(node.type);
      this.#localSet(node.local);
    }
  }

  #helper(name: string, args: readonly Node[], isEnding: boolean): void {
    const code = this.#code;
    this.#frame.saveForHelper();
    for (const arg of args) this.#node(arg);
    code.push(op.call);
    pushUnsigned(code, this.#imports.helper(name, args.length));
    if (isEnding) {
      this.#frame.leaveWithStatus(this.#depth);
      return;
    }
    code.push(op.if, EMPTY);
    this.#frame.abort(this.#depth + 1);
    code.push(op.end);
  }

  // ---- expressions -----------------------------------------------------------------------------------------------

  #node(node: Node): void {
    if (node.local >= 0) {
      this.#localGet(node.local);
      return;
    }
    this.#operation(node);
  }

  #operation(node: Node): void {
    const code = this.#code;
    switch (node.op) {
      case op.i32Const:
        code.push(op.i32Const);
        pushSigned(code, node.imm);
        return;
      case op.i64Const:
        code.push(op.i64Const);
        pushSigned64(code, node.big);
        return;
      case pseudo.stateLoad:
        code.push(op.i32Const, 0);
        this.#loadOp(node.imm2, node.type, node.imm);
        return;
      case pseudo.hostLoad:
        this.#node(node.args[0]);
        this.#loadOp(node.imm2, node.type, node.imm);
        return;
      case pseudo.operand:
        this.#readOperand(node.operand as Operand);
        return;
      case pseudo.variable:
        this.#localGet(this.#variableLocal(node.variable as Variable));
        return;
      case pseudo.address:
        // The decoder has put segment and index into a record in front.
        this.#recordByte(R.RECORD_RM);
        this.#loadOp(4, I32, L.GPR);
        this.#recordWord(R.RECORD_DISPLACEMENT);
        code.push(op.i32Add);
        return;
      case pseudo.guestLoad:
        this.#guestLoad(node);
        return;
      case pseudo.segmented:
        this.#segmented(node);
        return;
      case pseudo.hostAddress:
        this.#hostAddress(node);
        return;
      case pseudo.nextEip:
        this.#localGet(this.#frame.page);
        this.#recordHalf(R.RECORD_OFFSET);
        code.push(op.i32Add);
        this.#recordByte(R.RECORD_LENGTH);
        code.push(op.i32Add);
        return;
      case pseudo.thisEip:
        this.#localGet(this.#frame.page);
        this.#recordHalf(R.RECORD_OFFSET);
        code.push(op.i32Add);
        return;
      case pseudo.segmentNumber:
        this.#recordByte(R.RECORD_THIRD);
        return;
      case pseudo.registerIndex: {
        const operand = node.operand as Operand;
        this.#recordByte("field" in operand && operand.field === "rm" ? R.RECORD_RM : R.RECORD_REG);
        return;
      }
      case pseudo.select:
        this.#node(node.args[1]);
        this.#node(node.args[2]);
        this.#node(node.args[0]);
        code.push(op.select);
        return;
      case pseudo.call:
        for (const arg of node.args) this.#node(arg);
        code.push(op.call);
        pushUnsigned(code, this.#imports.library(node.callee as string));
        return;
    }
    for (const arg of node.args) this.#node(arg);
    if (node.op >= 0xfd00) {
      code.push(0xfd);
      pushUnsigned(code, node.op - 0xfd00);
      // Lane instructions carry their lane.
      if (hasLane(node.op - 0xfd00)) code.push(node.imm);
      else if (node.op === simd.v128Const || node.op === simd.i8x16Shuffle) {
        for (let n = 0n; n < 128n; n += 8n) code.push(Number((node.big >> n) & 0xffn));
      }
    } else if (node.op >= 0xfc00) {
      code.push(0xfc);
      pushUnsigned(code, node.op - 0xfc00);
    } else code.push(node.op);
  }

  #readOperand(operand: Operand): void {
    const code = this.#code;
    switch (operand.kind) {
      case "gpr":
        this.#recordByte(operand.field === "rm" ? R.RECORD_RM : R.RECORD_REG);
        this.#loadOp(operand.width / 8, I32, L.GPR);
        return;
      case "fixed":
        code.push(op.i32Const, 0);
        this.#loadOp(operand.width / 8, I32, L.GPR + R.gprOffset(operand.index, operand.width));
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
        this.#loadOp(2, I32, L.SEG_SELECTOR);
        return;
      case "fixedSegment":
        code.push(op.i32Const, 0);
        this.#loadOp(2, I32, L.SEG_SELECTOR + operand.index * 4);
        return;
      case "xmm":
        this.#recordByte(operand.field === "rm" ? R.RECORD_RM : R.RECORD_REG);
        // Narrower: the low lane.
        this.#loadOp(operand.width / 8, typeOfSize(operand.width / 8), L.XMM);
        return;
      case "mmx":
        this.#recordByte(operand.field === "rm" ? R.RECORD_RM : R.RECORD_REG);
        this.#loadOp(8, I64, L.X87);
        return;
      case "st":
        this.#recordByte(operand.field === "rm" ? R.RECORD_RM : R.RECORD_REG);
        return;
    }
    throw new Error(`operand ${operand.kind} cannot be read`);
  }

  #writeOperand(operand: Operand, value: Node): void {
    const code = this.#code;
    switch (operand.kind) {
      case "gpr":
        this.#recordByte(operand.field === "rm" ? R.RECORD_RM : R.RECORD_REG);
        this.#node(value);
        this.#storeOp(operand.width / 8, I32, L.GPR);
        return;
      case "fixed":
        code.push(op.i32Const, 0);
        this.#node(value);
        this.#storeOp(operand.width / 8, I32, L.GPR + R.gprOffset(operand.index, operand.width));
        return;
      case "xmm":
        this.#recordByte(operand.field === "rm" ? R.RECORD_RM : R.RECORD_REG);
        this.#node(value);
        this.#storeOp(operand.width / 8, value.type, L.XMM);
        return;
      case "mmx":
        // Writing an MMX register sets the exponent and sign of the x87 register under it to ones.
        this.#recordByte(operand.field === "rm" ? R.RECORD_RM : R.RECORD_REG);
        this.#node(value);
        this.#storeOp(8, I64, L.X87);
        this.#recordByte(operand.field === "rm" ? R.RECORD_RM : R.RECORD_REG);
        code.push(op.i32Const);
        pushSigned(code, 0xffff);
        this.#storeOp(2, I32, L.X87 + 8);
        return;
    }
    throw new Error(`operand ${operand.kind} cannot be written`);
  }

  // ---- guest memory ----------------------------------------------------------------------------------------------

  /** Pushes the TLB entry of the linear address in `local`. */
  #tlbEntry(local: number, isWrite: boolean): void {
    const code = this.#code;
    this.#localGet(local);
    code.push(op.i32Const, 10, op.i32ShrU, op.i32Const);
    pushSigned(code, 0x3ffffc);
    code.push(op.i32And);
    this.#frame.pushTlb(isWrite);
    code.push(op.i32Add);
    this.#loadOp(4, I32, 0);
  }

  /** Linear address in a local. */
  #linearLocal(node: Node): number {
    if (node.local >= 0) return node.local;
    const local = this.#frame.takeLocal(I32);
    this.#node(node);
    this.#localSet(local);
    return local;
  }

  /** Pushes 1 if the access must take the slow path; leaves the entry in `entry`. */
  #slowTest(linear: number, entry: number, size: number): void {
    const code = this.#code;
    this.#localGet(entry);
    code.push(op.i32Eqz);
    if (size > 1) {
      this.#localGet(linear);
      code.push(op.i32Const);
      pushSigned(code, 4095);
      code.push(op.i32And, op.i32Const);
      pushSigned(code, 4096 - size);
      code.push(op.i32GtU, op.i32Or);
    }
  }

  #guestLoad(node: Node): void {
    const code = this.#code;
    const size = node.imm;
    const forWrite = node.imm2 === 1;
    const linear = this.#linearLocal(node.args[0]);
    const entry = this.#frame.takeLocal(I32);
    this.#tlbEntry(linear, forWrite);
    this.#localSet(entry);
    this.#slowTest(linear, entry, size);
    code.push(op.if, node.type);
    this.#frame.saveForHelper();
    this.#localGet(linear);
    code.push(op.i32Const);
    pushSigned(code, size);
    code.push(op.call);
    pushUnsigned(code, this.#imports.helper(forWrite ? "slow-read-for-write" : "slow-read", 2));
    code.push(op.if, EMPTY);
    this.#frame.abort(this.#depth + 2);
    code.push(op.end);
    code.push(op.i32Const, 0);
    this.#loadOp(size, node.type, SLOW_VALUE);
    code.push(op.else);
    this.#localGet(linear);
    this.#localGet(entry);
    code.push(op.i32Add);
    this.#loadOp(size, node.type, L.TLB_BIAS);
    code.push(op.end);
  }

  #guestStore(linearNode: Node, size: number, valueNode: Node): void {
    const code = this.#code;
    const linear = this.#linearLocal(linearNode);
    const isConstant = valueNode.op === op.i32Const;
    let value = valueNode.local;
    if (value < 0 && !isConstant) {
      value = this.#frame.takeLocal(valueNode.type);
      this.#node(valueNode);
      this.#localSet(value);
    }
    const pushValue = () => {
      if (isConstant) this.#node(valueNode);
      else this.#localGet(value);
    };
    const entry = this.#frame.takeLocal(I32);
    this.#tlbEntry(linear, true);
    this.#localSet(entry);
    this.#slowTest(linear, entry, size);
    code.push(op.if, EMPTY);
    code.push(op.i32Const, 0);
    pushValue();
    this.#storeOp(size, valueNode.type, SLOW_VALUE);
    this.#frame.saveForHelper();
    this.#localGet(linear);
    code.push(op.i32Const);
    pushSigned(code, size);
    this.#localGet(this.#frame.record);
    code.push(op.call);
    pushUnsigned(code, this.#imports.helper("slow-write", 3));
    code.push(op.if, EMPTY);
    this.#frame.abort(this.#depth + 2);
    code.push(op.end);
    code.push(op.else);
    this.#localGet(linear);
    this.#localGet(entry);
    code.push(op.i32Add);
    pushValue();
    this.#storeOp(size, valueNode.type, L.TLB_BIAS);
    code.push(op.end);
  }

  /** args: offset, segment number (−1: the record's). imm: size; 0 means no check. */
  #segmented(node: Node): void {
    const code = this.#code;
    const fixedSegment = node.args[1].imm;
    if (this.#instruction.isFlat) {
      this.#node(node.args[0]);
      return;
    }
    const offset = this.#linearLocal(node.args[0]);
    const segment = this.#frame.takeLocal(I32);
    if (fixedSegment < 0) this.#recordByte(R.RECORD_THIRD);
    else code.push(op.i32Const, fixedSegment);
    code.push(op.i32Const, 2, op.i32Shl);
    this.#localSet(segment);
    if (node.imm > 0) {
      this.#localGet(offset);
      this.#localGet(segment);
      this.#loadOp(4, I32, node.imm2 === 1 ? L.SEG_FAST_WRITE : L.SEG_FAST_READ);
      code.push(op.i32GeU, op.if, EMPTY);
      this.#localGet(segment);
      code.push(op.i32Const, 2, op.i32ShrU);
      this.#localGet(offset);
      code.push(op.i32Const);
      pushSigned(code, node.imm);
      code.push(op.i32Const, node.imm2, op.call);
      pushUnsigned(code, this.#imports.helper("check-segment", 4));
      code.push(op.if, EMPTY);
      this.#frame.abort(this.#depth + 2);
      code.push(op.end, op.end);
    }
    this.#localGet(offset);
    this.#localGet(segment);
    code.push(op.i32Const, 1, op.i32Shl);
    this.#loadOp(4, I32, L.SEG_BASE);
    code.push(op.i32Add);
  }

  #hostAddress(node: Node): void {
    const code = this.#code;
    const linear = this.#linearLocal(node.args[0]);
    const entry = this.#frame.takeLocal(I32);
    this.#tlbEntry(linear, node.imm2 === 1);
    this.#localSet(entry);
    this.#localGet(linear);
    this.#localGet(entry);
    code.push(op.i32Add, op.i32Const);
    pushSigned(code, L.TLB_BIAS);
    code.push(op.i32Add, op.i32Const, 0);
    this.#localGet(entry);
    code.push(op.select);
  }

  // ---- small things ----------------------------------------------------------------------------------------------

  #variableLocal(variable: Variable): number {
    if (variable.local < 0) variable.local = this.#frame.takeLocal(variable.type);
    return variable.local;
  }

  #localGet(local: number): void {
    this.#code.push(op.localGet);
    pushUnsigned(this.#code, local);
  }

  #localSet(local: number): void {
    this.#code.push(op.localSet);
    pushUnsigned(this.#code, local);
  }

  #recordByte(offset: number): void {
    this.#localGet(this.#frame.record);
    this.#code.push(op.i32Load8U, 0, offset);
  }
  #recordHalf(offset: number): void {
    this.#localGet(this.#frame.record);
    this.#code.push(op.i32Load16U, 0, offset);
  }
  #recordWord(offset: number): void {
    this.#localGet(this.#frame.record);
    this.#code.push(op.i32Load, 0, offset);
  }

  #stateStore(offset: number, size: number, value: Node): void {
    this.#code.push(op.i32Const, 0);
    this.#node(value);
    this.#storeOp(size, value.type, offset);
  }

  #loadOp(size: number, type: WasmType, offset: number): void {
    const code = this.#code;
    if (type === V128) code.push(0xfd, 0);
    else if (type === F32) code.push(op.f32Load);
    else if (type === F64) code.push(op.f64Load);
    else if (type === I64) code.push(size === 4 ? op.i64Load32U : op.i64Load);
    else code.push(size === 1 ? op.i32Load8U : size === 2 ? op.i32Load16U : op.i32Load);
    code.push(0);
    pushUnsigned(code, offset);
  }

  #storeOp(size: number, type: WasmType, offset: number): void {
    const code = this.#code;
    if (type === V128) code.push(0xfd, 11);
    else if (type === F32) code.push(op.f32Store);
    else if (type === F64) code.push(op.f64Store);
    else if (type === I64) code.push(size === 4 ? op.i64Store32 : op.i64Store);
    else code.push(size === 1 ? op.i32Store8 : size === 2 ? op.i32Store16 : op.i32Store);
    code.push(0);
    pushUnsigned(code, offset);
  }
}

/** Vector instructions with a lane immediate (extract, replace). */
function hasLane(index: number): boolean {
  return index >= 21 && index <= 34;
}
