/**
 * From statements to WebAssembly, as far as it does not matter who asks: liveness, order of evaluation, expressions, control
 * flow inside an instruction. Subclasses say where operands, flags and guest memory are: the interpreter's handlers read a
 * record and the state block, the region compiler uses constants and locals.
 */
import type { Operand } from "../decode/operand.ts";
import { EMPTY, op, simd } from "../wasm/opcodes.ts";
import { F32, F64, I64, pushSigned, pushSigned64, pushUnsigned, V128, type WasmType } from "../wasm/writer.ts";
import type { Node, Site, Statement, Variable } from "./node.ts";
import { pseudo } from "./node.ts";

/** Reads of things that change: evaluated where the semantics asked, never later. */
const readImpure = new Set<number>([
  pseudo.stateLoad,
  pseudo.operand,
  pseudo.variable,
  pseudo.address,
  pseudo.hostLoad,
]);

export abstract class Lowering {
  protected readonly code: number[];
  /** Blocks opened so far. */
  protected depth = 0;

  constructor(code: number[]) {
    this.code = code;
  }

  lower(statements: readonly Statement[]): void {
    this.count(statements);
    this.statements(statements);
  }

  // ---- what a subclass knows ---------------------------------------------------------------------------------------

  /** A fresh local of a type. */
  protected abstract takeLocal(type: WasmType): number;
  /** Each of these pushes a value. */
  protected abstract readState(node: Node): void;
  protected abstract readOperand(operand: Operand): void;
  protected abstract registerIndex(operand: Operand): void;
  protected abstract segmentNumber(): void;
  protected abstract address(node: Node): void;
  protected abstract nextEip(): void;
  protected abstract thisEip(): void;
  protected abstract hasBudget(): void;
  protected abstract guestLoad(node: Node): void;
  protected abstract segmented(node: Node): void;
  protected abstract hostAddress(node: Node): void;
  protected abstract callLibrary(name: string): void;
  /** Each of these acts. */
  protected abstract writeOperand(operand: Operand, value: Node): void;
  protected abstract writeFlags(result: Node | undefined, carry: Node | undefined): void;
  protected abstract guestStore(linear: Node, size: number, value: Node): void;
  protected abstract helper(name: string, args: readonly Node[], isEnding: boolean): void;
  /** Region compiler only: the current site, leaving there, and what leaving needs. */
  protected mark(_site: Site): void {
    throw new Error("a site outside of a region");
  }
  protected exit(): void {
    throw new Error("an exit outside of a region");
  }
  protected countSite(_site: Site): void {}
  protected abstract jump(eip: Node): void;
  protected abstract fault(vector: number, errorCode: Node | undefined): void;

  // ---- liveness --------------------------------------------------------------------------------------------------

  protected visit(node: Node): void {
    node.uses++;
    if (node.uses === 1) for (const arg of node.args) this.visit(arg);
  }

  protected count(statements: readonly Statement[]): void {
    for (const s of statements) {
      switch (s.kind) {
        case "let":
          if (s.isImpure) this.#visitImpure(s.node);
          break;
        case "stateStore":
        case "writeOperand":
        case "setVariable":
          this.visit(s.value);
          break;
        case "hostStore":
          this.visit(s.address);
          this.visit(s.value);
          break;
        case "guestStore":
          this.visit(s.linear);
          this.visit(s.value);
          break;
        case "flags":
          if (s.result) this.visit(s.result);
          if (s.carry) this.visit(s.carry);
          break;
        case "if":
          this.visit(s.condition);
          this.count(s.whenTrue);
          this.count(s.whenFalse);
          break;
        case "loop":
          this.count(s.body);
          this.visit(s.condition);
          break;
        case "memoryCopy":
          this.visit(s.to);
          this.visit(s.from);
          this.visit(s.length);
          break;
        case "memoryFill":
          this.visit(s.to);
          this.visit(s.value);
          this.visit(s.length);
          break;
        case "helper":
          for (const arg of s.args) this.visit(arg);
          break;
        case "mark":
          this.countSite(s.site);
          break;
        case "exitIf":
          this.visit(s.condition);
          break;
        case "jump":
          this.visit(s.eip);
          break;
        case "fault":
          if (s.errorCode) this.visit(s.errorCode);
          break;
      }
    }
  }

  /** An impure node is evaluated whether used or not; its own use count stays that of its readers. */
  #visitImpure(node: Node): void {
    if (node.uses === 0) for (const arg of node.args) this.visit(arg);
    node.uses += 1000;
  }

  // ---- statements ------------------------------------------------------------------------------------------------

  protected statements(statements: readonly Statement[]): void {
    for (const s of statements) this.statement(s);
  }

  protected statement(s: Statement): void {
    const code = this.code;
    switch (s.kind) {
      case "let":
        this.let(s.node, s.isImpure);
        break;
      case "stateStore":
        this.stateStore(s.offset, s.size, s.value);
        break;
      case "hostStore":
        this.node(s.address);
        this.node(s.value);
        this.storeOp(s.size, s.value.type, s.offset);
        break;
      case "writeOperand":
        this.writeOperand(s.operand, s.value);
        break;
      case "guestStore":
        this.guestStore(s.linear, s.size, s.value);
        break;
      case "flags":
        this.writeFlags(s.result, s.carry);
        break;
      case "setVariable":
        this.node(s.value);
        this.localSet(this.variableLocal(s.variable));
        break;
      case "if":
        this.node(s.condition);
        code.push(op.if, EMPTY);
        this.depth++;
        this.statements(s.whenTrue);
        if (s.whenFalse.length > 0) {
          code.push(op.else);
          this.statements(s.whenFalse);
        }
        this.depth--;
        code.push(op.end);
        break;
      case "loop":
        code.push(op.loop, EMPTY);
        this.depth++;
        this.statements(s.body);
        this.node(s.condition);
        code.push(op.brIf, 0);
        this.depth--;
        code.push(op.end);
        break;
      case "memoryCopy":
        this.node(s.to);
        this.node(s.from);
        this.node(s.length);
        code.push(0xfc, 10, 0, 0);
        break;
      case "memoryFill":
        this.node(s.to);
        this.node(s.value);
        this.node(s.length);
        code.push(0xfc, 11, 0);
        break;
      case "helper":
        this.helper(s.name, s.args, s.isEnding);
        break;
      case "mark":
        this.mark(s.site);
        break;
      case "exitIf":
        this.node(s.condition);
        code.push(op.if, EMPTY);
        this.depth++;
        this.exit();
        this.depth--;
        code.push(op.end);
        break;
      case "jump":
        this.jump(s.eip);
        break;
      case "fault":
        this.fault(s.vector, s.errorCode);
        break;
    }
  }

  protected let(node: Node, isImpure: boolean): void {
    if (isImpure) {
      this.operation(node);
      node.local = this.takeLocal(node.type);
      this.localSet(node.local);
      return;
    }
    if (node.uses === 0) return;
    if (node.uses > 1 || readImpure.has(node.op)) {
      this.operation(node);
      node.local = this.takeLocal(node.type);
      this.localSet(node.local);
    }
  }

  // ---- expressions -----------------------------------------------------------------------------------------------

  protected node(node: Node): void {
    if (node.local >= 0) {
      this.localGet(node.local);
      return;
    }
    this.operation(node);
  }

  protected operation(node: Node): void {
    const code = this.code;
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
        this.readState(node);
        return;
      case pseudo.hostLoad:
        this.node(node.args[0]);
        this.loadOp(node.imm2, node.type, node.imm);
        return;
      case pseudo.operand:
        this.readOperand(node.operand as Operand);
        return;
      case pseudo.variable:
        this.localGet(this.variableLocal(node.variable as Variable));
        return;
      case pseudo.address:
        this.address(node);
        return;
      case pseudo.guestLoad:
        this.guestLoad(node);
        return;
      case pseudo.segmented:
        this.segmented(node);
        return;
      case pseudo.hostAddress:
        this.hostAddress(node);
        return;
      case pseudo.nextEip:
        this.nextEip();
        return;
      case pseudo.thisEip:
        this.thisEip();
        return;
      case pseudo.segmentNumber:
        this.segmentNumber();
        return;
      case pseudo.registerIndex:
        this.registerIndex(node.operand as Operand);
        return;
      case pseudo.hasBudget:
        this.hasBudget();
        return;
      case pseudo.select:
        this.node(node.args[1]);
        this.node(node.args[2]);
        this.node(node.args[0]);
        code.push(op.select);
        return;
      case pseudo.call:
        for (const arg of node.args) this.node(arg);
        this.callLibrary(node.callee as string);
        return;
    }
    for (const arg of node.args) this.node(arg);
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

  // ---- small things ----------------------------------------------------------------------------------------------

  protected variableLocal(variable: Variable): number {
    if (variable.local < 0) variable.local = this.takeLocal(variable.type);
    return variable.local;
  }

  protected localGet(local: number): void {
    this.code.push(op.localGet);
    pushUnsigned(this.code, local);
  }

  protected localSet(local: number): void {
    this.code.push(op.localSet);
    pushUnsigned(this.code, local);
  }

  protected stateStore(offset: number, size: number, value: Node): void {
    this.code.push(op.i32Const, 0);
    this.node(value);
    this.storeOp(size, value.type, offset);
  }

  protected loadOp(size: number, type: WasmType, offset: number): void {
    const code = this.code;
    if (type === V128) code.push(0xfd, 0);
    else if (type === F32) code.push(op.f32Load);
    else if (type === F64) code.push(op.f64Load);
    else if (type === I64) code.push(size === 4 ? op.i64Load32U : op.i64Load);
    else code.push(size === 1 ? op.i32Load8U : size === 2 ? op.i32Load16U : op.i32Load);
    code.push(0);
    pushUnsigned(code, offset);
  }

  protected storeOp(size: number, type: WasmType, offset: number): void {
    const code = this.code;
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
