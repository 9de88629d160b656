/** Availability checks of the floating-point and vector units (SDM volume 3, 2.5 and 13.1), before anything else of the instruction. */
import type { Builder } from "../ir/builder.ts";
import * as L from "../layout.ts";
import type { Row } from "../table/row.ts";

const CR0_EM = 4;
const CR0_TS = 8;
const CR4_OSFXSR = 0x200;
const CR0_MP = 2;
/** FPU_STATUS: exception summary. */
const FSW_ES = 0x80;

/**
 * `available`, if given, holds the units that an instruction before has found available, with nothing in between that could
 * have changed it; a pending x87 exception is looked for each time.
 */
export function guardUnit(b: Builder, row: Row, available?: Set<string>): void {
  const unit = row.options.unit;
  if (unit === undefined) return;
  if (available?.has(unit)) {
    if (unit === "x87" || unit === "mmx" || unit === "mmx-sse") {
      b.if(b.nez(b.and(b.state(L.FPU_STATUS), b.i32(FSW_ES))), () => b.helper("fpu-error"));
      b.commit();
    }
    return;
  }
  if (row.mnemonic !== "fwait") available?.add(unit);
  const cr0 = b.state(L.CR0);
  const isSet = (value: typeof cr0, mask: number) => b.nez(b.and(value, b.i32(mask)));
  if (unit === "x87" || unit === "x87-control") {
    // WAIT itself raises #NM only with both MP and TS.
    if (row.mnemonic === "fwait") {
      b.if(b.eq(b.and(cr0, b.i32(CR0_MP | CR0_TS)), b.i32(CR0_MP | CR0_TS)), () => b.fault(7));
    } else b.if(isSet(cr0, CR0_EM | CR0_TS), () => b.fault(7));
    if (unit === "x87") b.if(isSet(b.state(L.FPU_STATUS), FSW_ES), () => b.helper("fpu-error"));
    b.commit();
    return;
  }
  if (unit === "fxsave") {
    b.if(isSet(cr0, CR0_EM | CR0_TS), () => b.fault(7));
    return;
  }
  b.if(isSet(cr0, CR0_EM), () => b.fault(6));
  if (unit === "sse" || unit === "mmx-sse") b.if(b.eqz(b.and(b.state(L.CR4), b.i32(CR4_OSFXSR))), () => b.fault(6));
  b.if(isSet(cr0, CR0_TS), () => b.fault(7));
  if (unit === "mmx" || unit === "mmx-sse") b.if(isSet(b.state(L.FPU_STATUS), FSW_ES), () => b.helper("fpu-error"));
  b.commit();
}
