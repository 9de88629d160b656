/** The whole opcode table: what decoder, interpreter, region compiler and generated tests are made from. */
import { integerRows } from "./integer.ts";
import { mmxRows } from "./mmx.ts";
import type { Row } from "./row.ts";
import { sseRows } from "./sse.ts";
import { systemRows } from "./system.ts";
import { x87Rows } from "./x87.ts";
import { x87ControlRows } from "./x87-control.ts";

export const opcodeTable: readonly Row[] = [
  ...integerRows,
  ...systemRows,
  ...x87ControlRows,
  ...x87Rows,
  ...mmxRows,
  ...sseRows,
];
