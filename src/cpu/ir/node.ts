/**
 * The intermediate form between an instruction's semantics and WebAssembly: typed expression nodes and statements.
 * A node is a value computed once. Pure nodes are written where they are first needed, or into a local if used more than
 * once; impure nodes (guest loads) are evaluated where the semantics function asked for them. `Lowering` turns it into code.
 */
import type { Operand } from "../decode/operand.ts";
import { F32, F64, I32, I64, V128, type WasmType } from "../wasm/writer.ts";

/** Node kinds that are not plain WebAssembly opcodes. */
export const pseudo = {
  /** Load of `type` (or `imm2` bytes, zero extended) at constant address `imm`. */
  stateLoad: -1,
  /** Operand of the instruction: register contents or immediate, zero extended to its width. */
  operand: -2,
  /** Guest memory at linear address args[0], `imm` bytes; `imm2` bit 0: page must also be writable (read-modify-write). */
  guestLoad: -3,
  /** Current value of a variable. */
  variable: -4,
  /** Linear address of the instruction's memory operand (segment applied and checked). */
  address: -5,
  /** Load at host address args[0] + imm, `imm2` bytes. */
  hostLoad: -6,
  /** EIP of the next instruction. */
  nextEip: -7,
  /** Result of an imported or library function call. */
  call: -8,
  /** Linear address of (segment, offset args[0]) for an access of `imm` bytes; `imm2` bit 0 write. */
  segmented: -9,
  /** Conditional evaluation without statements: args = [condition, a, b]. */
  select: -10,
  /** Host address for a bulk access to linear args[0]: 0 if not directly accessible; `imm2` bit 0 write. */
  hostAddress: -11,
  /** EIP of this instruction. */
  thisEip: -12,
  /** Number of the data segment (DS or override). */
  segmentNumber: -13,
  /** Number of the register operand. */
  registerIndex: -14,
  /** Not 0 unless the budget may end right behind this instruction. */
  hasBudget: -15,
  /** EIP of the page's start plus `imm` (region compiler). */
  pageEip: -20,
} as const;

export class Node {
  readonly type: WasmType;
  readonly op: number;
  readonly args: readonly Node[];
  readonly imm: number;
  readonly imm2: number;
  readonly big: bigint;
  readonly operand: Operand | undefined;
  readonly variable: Variable | undefined;
  readonly callee: string | undefined;
  /** Set by the lowering. */
  uses = 0;
  local = -1;
  /** Not 0: nodes of one root differ by their deltas (region compiler). */
  root = 0;
  delta = 0;
  constructor(
    type: WasmType,
    op: number,
    args: readonly Node[] = [],
    imm = 0,
    extra: { imm2?: number; big?: bigint; operand?: Operand; variable?: Variable; callee?: string } = {},
  ) {
    this.type = type;
    this.op = op;
    this.args = args;
    this.imm = imm;
    this.imm2 = extra.imm2 ?? 0;
    this.big = extra.big ?? 0n;
    this.operand = extra.operand;
    this.variable = extra.variable;
    this.callee = extra.callee;
  }
}

/** A mutable value for loops and merges inside one instruction. */
export class Variable {
  readonly type: WasmType;
  local = -1;
  constructor(type: WasmType) {
    this.type = type;
  }
}

/** State at the start of an instruction, for leaving there. */
export interface Site {
  /** Offset in the page. */
  readonly offset: number;
  /** Instructions of the block before this one. */
  readonly count: number;
  /** Flags not yet in their locals. */
  readonly flags: PendingFlags | undefined;
}

/** Flags as values: what FLAGS_RESULT and FLAGS_CARRY would be. */
export interface PendingFlags {
  readonly kind: FlagKind;
  readonly width: number;
  readonly a: Node | undefined;
  readonly b: Node | undefined;
  readonly result: Node | undefined;
  readonly carry: Node | undefined;
}

export type FlagKind = "add" | "sub" | "logic" | "other";

export type Statement =
  /** Evaluate here. Dropped when pure and unused. */
  | { readonly kind: "let"; readonly node: Node; readonly isImpure: boolean }
  | { readonly kind: "stateStore"; readonly offset: number; readonly size: number; readonly value: Node }
  | {
      readonly kind: "hostStore";
      readonly address: Node;
      readonly offset: number;
      readonly size: number;
      readonly value: Node;
    }
  | { readonly kind: "writeOperand"; readonly operand: Operand; readonly value: Node }
  | { readonly kind: "guestStore"; readonly linear: Node; readonly size: number; readonly value: Node }
  | {
      readonly kind: "flags";
      readonly flagKind: FlagKind;
      readonly width: number;
      readonly a: Node | undefined;
      readonly b: Node | undefined;
      /** i64 for FLAGS_RESULT and i32 for FLAGS_CARRY (layout.ts); either may be kept as it is. */
      readonly result: Node | undefined;
      readonly carry: Node | undefined;
    }
  | { readonly kind: "setVariable"; readonly variable: Variable; readonly value: Node }
  | { readonly kind: "if"; readonly condition: Node; readonly whenTrue: Statement[]; readonly whenFalse: Statement[] }
  /** Runs `body`, again while `condition` (computed by the end of the body) is true. */
  | { readonly kind: "loop"; readonly body: Statement[]; readonly condition: Node }
  | { readonly kind: "memoryCopy"; readonly to: Node; readonly from: Node; readonly length: Node }
  | { readonly kind: "memoryFill"; readonly to: Node; readonly value: Node; readonly length: Node }
  /** A TypeScript helper; `isEnding`: it has set EIP itself, or the block ends after it. */
  | { readonly kind: "helper"; readonly name: string; readonly args: readonly Node[]; readonly isEnding: boolean }
  /** An instruction begins: where to go on if it cannot be done here (region compiler). */
  | { readonly kind: "mark"; readonly site: Site }
  /** Leaves the region for the interpreter at the current instruction if true (region compiler). */
  | { readonly kind: "exitIf"; readonly condition: Node }
  /** Continue at this EIP. */
  | { readonly kind: "jump"; readonly eip: Node }
  /** Raise an exception (vector, error code or none). */
  | { readonly kind: "fault"; readonly vector: number; readonly errorCode: Node | undefined };

export function typeOfSize(sizeBytes: number): WasmType {
  return sizeBytes === 16 ? V128 : sizeBytes === 8 ? I64 : I32;
}

export { F32, F64, I32, I64, V128 };
