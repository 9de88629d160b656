/** Opcode rows of x87 control instructions. */
import * as control from "../semantics/x87-control.ts";
import { type Row, row } from "./row.ts";

export const x87ControlRows: readonly Row[] = [
  row("9B", "fwait", "", control.nothing, { unit: "x87" }),
  row("DB =E3", "fninit", "", control.fninit, { unit: "x87-control" }),
  row("DB =E2", "fnclex", "", control.fnclex, { unit: "x87-control" }),
  row("DB =E0", "fneni", "", control.nothing, { unit: "x87-control" }),
  row("DB =E1", "fndisi", "", control.nothing, { unit: "x87-control" }),
  row("DB =E4", "fnsetpm", "", control.nothing, { unit: "x87-control" }),
  row("D9 /7 m", "fnstcw", "Mw", control.fnstcw, { unit: "x87-control", writes: true }),
  row("DD /7 m", "fnstsw", "Mw", control.fnstsw, { unit: "x87-control", writes: true }),
  row("DF =E0", "fnstsw", "AX", control.fnstsw, { unit: "x87-control" }),
  row("D9 /5 m", "fldcw", "Mw", control.fldcw, { unit: "x87" }),
];
