/**
 * Library functions of the core module, written with the builder: WebAssembly functions of plain values (floating point)
 * that semantics call through `b.call(name, …)`. They see state and scratch slots, not guest memory, and cannot fault.
 */
import type { Instruction } from "../decode/operand.ts";
import { Builder } from "../ir/builder.ts";
import { type Node, Variable } from "../ir/node.ts";
import { op } from "../wasm/opcodes.ts";
import { pushUnsigned, type WasmType } from "../wasm/writer.ts";
import { type LibraryGenerator, Locals } from "./generate.ts";
import { type Frame, HandlerLowering } from "./lowering.ts";

export interface LibraryFunction {
  readonly name: string;
  readonly parameters: readonly WasmType[];
  readonly result: WasmType;
  /** Emits the body; answers the result. */
  readonly body: (b: Builder, ...parameters: Node[]) => Node;
}

const noInstruction: Instruction = {
  mnemonic: "",
  width: 32,
  addressWidth: 32,
  operands: [],
  repeat: 0,
  isFlat: true,
  parameter: 0,
};

/** A generator of these functions; they may call each other and those of generators before them. */
export function library(functions: readonly LibraryFunction[]): LibraryGenerator {
  return (writer, imports) => {
    const indices = functions.map((f) => {
      const index = writer.reserve(f.parameters, [f.result]);
      imports.addLibrary(f.name, index);
      return index;
    });
    functions.forEach((f, n) => {
      const b = new Builder();
      const parameters = f.parameters.map((type, local) => {
        const variable = new Variable(type);
        variable.local = local;
        return b.get(variable);
      });
      const result = b.variable(f.body(b, ...parameters));
      const locals = new Locals([], f.parameters.length);
      const code: number[] = [];
      new HandlerLowering(libraryFrame(f.name, code, locals), imports, noInstruction).lower(b.statements);
      code.push(op.localGet);
      pushUnsigned(code, result.local);
      writer.define(indices[n], locals.types, code);
    });
  };
}

function libraryFrame(name: string, code: number[], locals: Locals): Frame {
  const refuse = (): never => {
    throw new Error(`library function ${name} uses what only an instruction has`);
  };
  return {
    code,
    record: -1,
    page: -1,
    pushTlb: refuse,
    takeLocal: (type) => locals.take(type),
    abort: refuse,
    jump: refuse,
    leaveWithStatus: refuse,
    saveForHelper: refuse,
    pushBudget: refuse,
  };
}
