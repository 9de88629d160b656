/** DAA, DAS, AAA, AAS (SDM volume 2; undefined flags as P6 leaves them). */
import type { Operand } from "../decode/operand.ts";
import type { Semantics } from "../table/row.ts";

const AL: Operand = { kind: "fixed", width: 8, index: 0 };
const AX: Operand = { kind: "fixed", width: 16, index: 0 };

function adjustPacked(isAdd: boolean): Semantics {
  return (b) => {
    const al = b.read(AL);
    const carry = b.cf();
    const lowAdjust = b.or(b.gtU(b.and(al, b.i32(15)), b.i32(9)), b.af());
    const highAdjust = b.or(b.gtU(al, b.i32(0x99)), carry);
    const amount = b.or(b.mul(lowAdjust, b.i32(6)), b.mul(highAdjust, b.i32(0x60)));
    const r = b.and(isAdd ? b.add(al, amount) : b.sub(al, amount), b.i32(0xff));
    // DAS: a borrow out of the low adjustment also carries.
    const borrow = isAdd ? b.i32(0) : b.and(lowAdjust, b.ltU(al, b.i32(6)));
    b.write(AL, r);
    b.flagsFrom(8, r, b.or(highAdjust, borrow), b.i32(0), lowAdjust);
  };
}

export const daa = adjustPacked(true);
export const das = adjustPacked(false);

function adjustUnpacked(isAdd: boolean): Semantics {
  return (b) => {
    const ax = b.read(AX);
    const adjust = b.or(b.gtU(b.and(ax, b.i32(15)), b.i32(9)), b.af());
    const moved = isAdd ? b.add(ax, b.i32(0x106)) : b.sub(ax, b.i32(0x106));
    const r = b.and(b.select(adjust, moved, ax), b.i32(0xff0f));
    b.write(AX, r);
    b.flagsFrom(8, b.and(r, b.i32(0xff)), adjust, b.i32(0), adjust);
  };
}

export const aaa = adjustUnpacked(true);
export const aas = adjustUnpacked(false);
