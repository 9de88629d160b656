/** What the translator knows of the handlers that decoded records name: their rows and operands, and what their effects are. */
import { layoutRows, type Variant, variantsOf } from "../decode/variants.ts";
import { buildVariant, numberHandlers } from "../interpreter/generate.ts";
import { regionHelpers } from "../interpreter/imports.ts";
import type { Node, Statement } from "../ir/node.ts";
import { pseudo } from "../ir/node.ts";
import * as L from "../layout.ts";
import type { Row } from "../table/row.ts";

/** What the statements of a variant say about it. */
export interface Traits {
  readonly isTranslatable: boolean;
  readonly changesFlagsConditionally: boolean;
  readonly readsFlags: boolean;
  /** All six, whatever they were. */
  readonly writesFlags: boolean;
  /** It may leave the region before it has done anything: a memory access, a check. */
  readonly mayLeave: boolean;
}

export class VariantTable {
  readonly #variants: (Variant | undefined)[] = [];
  readonly #traits: (Traits | undefined)[] = [];

  constructor(rows: readonly Row[]) {
    const { renumber } = numberHandlers(rows);
    for (const layout of layoutRows(rows).layouts) {
      for (const variant of variantsOf(layout)) this.#variants[renumber[variant.handler]] = variant;
    }
  }

  /** By handler number of a record; undefined for the special ones. */
  variant(number: number): Variant | undefined {
    return this.#variants[number];
  }

  traits(number: number): Traits {
    let traits = this.#traits[number];
    if (traits === undefined) {
      traits = traitsOf(this.#variants[number] as Variant);
      this.#traits[number] = traits;
    }
    return traits;
  }
}

function traitsOf(variant: Variant): Traits {
  const { row, instruction } = variant;
  const found: Found = {
    isPlain: true,
    isHarmless: row.options.inRegions === true,
    conditionalFlags: false,
    readsFlags: false,
    writesFlags: false,
    mayLeave: row.options.unit !== undefined || instruction.operands.some((o) => o.kind === "memory"),
  };
  inspect(buildVariant(variant).statements, 0, found);
  return {
    isTranslatable:
      found.isPlain &&
      instruction.isFlat &&
      row.options.unit !== "fxsave" &&
      // It reads the frames between its stores: a region that left in the middle would do it again from what it has changed.
      row.mnemonic !== "enter" &&
      instruction.operands.every((o) => o.kind !== "debug"),
    changesFlagsConditionally: found.conditionalFlags,
    readsFlags: found.readsFlags || found.conditionalFlags,
    writesFlags: found.writesFlags,
    mayLeave: found.mayLeave,
  };
}

interface Found {
  isPlain: boolean;
  readonly isHarmless: boolean;
  conditionalFlags: boolean;
  readsFlags: boolean;
  writesFlags: boolean;
  mayLeave: boolean;
}

function inspect(statements: readonly Statement[], depth: number, found: Found): void {
  const look = (node: Node): void => {
    if (node.op === pseudo.stateLoad && node.imm >= L.FLAGS_RESULT && node.imm <= L.FLAGS_CARRY)
      found.readsFlags = true;
    if (node.op === pseudo.guestLoad || node.op === pseudo.segmented || node.op === pseudo.address)
      found.mayLeave = true;
  };
  for (const s of statements) {
    switch (s.kind) {
      case "let":
        look(s.node);
        break;
      case "stateStore":
        // Mode, segments and control registers are the engine's business unless the row says otherwise.
        if (s.offset < L.X87 || (s.offset >= L.MSR_FILE && s.offset < L.SCRATCH)) found.isPlain &&= found.isHarmless;
        break;
      case "helper":
        found.mayLeave = true;
        // Regions call some; under a condition the others leave: nothing has been written then.
        if (depth === 0 && !regionHelpers.has(s.name)) found.isPlain = false;
        break;
      case "guestStore":
      case "fault":
        found.mayLeave = true;
        break;
      case "flags":
        if (depth > 0) found.conditionalFlags = true;
        else if (s.result !== undefined && s.carry !== undefined) found.writesFlags = true;
        break;
      case "if":
        inspect(s.whenTrue, depth + 1, found);
        inspect(s.whenFalse, depth + 1, found);
        break;
      case "loop":
        found.mayLeave = true;
        inspect(s.body, depth + 1, found);
        break;
    }
  }
}
