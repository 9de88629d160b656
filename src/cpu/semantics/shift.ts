/**
 * Shifts, rotates, double shifts and bit instructions. Counts are masked to five bits; a count of zero changes no flag.
 * Results that the manual leaves undefined follow what Intel's P6 and later do where programs are known to look (OF of multi-bit
 * shifts), and the table of undefined flags in tests/cpu says which bits are not compared.
 */
import type { Operand } from "../decode/operand.ts";
import type { Builder } from "../ir/builder.ts";
import type { Node } from "../ir/node.ts";
import type { Semantics } from "../table/row.ts";

/** Runs `body` with the masked count if it is not zero; a zero count still performs the write check of a memory destination. */
function shift(body: (b: Builder, width: number, x: Node, count: Node, destination: Operand) => void): Semantics {
  return (b, i) => {
    const width = i.operands[0].width;
    const x = b.readForWrite(i.operands[0]);
    const count = b.and(b.read(i.operands[1]), b.i32(31));
    b.if(b.nez(count), () => body(b, width, x, count, i.operands[0]));
  };
}

const one = (b: Builder) => b.i32(1);
const bit = (b: Builder, x: Node, n: Node) => b.and(b.shrU(x, n), b.i32(1));

export const shl = shift((b, width, x, count, destination) => {
  // 64-bit arithmetic keeps the bit that falls out, for every width and count up to 31.
  const wide = b.shl(b.extendU64(x), b.extendU64(count));
  const r = b.wrap(wide);
  const cf = b.and(b.wrap(b.shrU(wide, b.i64(width))), one(b));
  const of = b.xor(bit(b, r, b.i32(width - 1)), cf);
  b.write(destination, r);
  b.flagsFrom(width, r, cf, of);
});

export const shr = shift((b, width, x, count, destination) => {
  const r = b.shrU(x, count);
  const cf = bit(b, b.shrU(x, b.sub(count, one(b))), b.i32(0));
  const of = bit(b, x, b.i32(width - 1));
  b.write(destination, r);
  // OF is defined for a count of one only: the old top bit.
  b.flagsFrom(width, r, cf, b.and(b.eq(count, one(b)), of));
});

export const sar = shift((b, width, x, count, destination) => {
  const wide = b.signExtend(width, x);
  const r = b.shrS(wide, count);
  const cf = b.and(b.shrS(wide, b.sub(count, one(b))), one(b));
  b.write(destination, r);
  b.flagsFrom(width, r, cf, b.i32(0));
});

export const rol = shift((b, width, x, count, destination) => {
  const r = width === 32 ? b.rotl(x, count) : rotateNarrow(b, width, x, b.and(count, b.i32(width - 1)));
  const cf = b.and(r, one(b));
  const of = b.xor(bit(b, r, b.i32(width - 1)), cf);
  b.write(destination, r);
  b.flagsCarry(cf, of, b.af());
});

export const ror = shift((b, width, x, count, destination) => {
  const back = b.and(b.sub(b.i32(width), b.and(count, b.i32(width - 1))), b.i32(width - 1));
  const r = width === 32 ? b.rotr(x, count) : rotateNarrow(b, width, x, back);
  const cf = bit(b, r, b.i32(width - 1));
  const of = b.xor(cf, bit(b, r, b.i32(width - 2)));
  b.write(destination, r);
  b.flagsCarry(cf, of, b.af());
});

/** Rotates the low `width` bits left by `count` < width. */
function rotateNarrow(b: Builder, width: number, x: Node, count: Node): Node {
  return b.or(b.shl(x, count), b.shrU(x, b.sub(b.i32(width), count)));
}

/** Rotates through carry use width+1 bits; counts are taken modulo 9 and 17 for bytes and words. */
function rotateThroughCarry(isLeft: boolean): Semantics {
  return shift((b, width, x, masked, destination) => {
    const count = width === 32 ? masked : b.remU(masked, b.i32(width + 1));
    b.if(b.nez(count), () => {
      const wide = b.or(b.extendU64(x), b.shl(b.extendU64(b.cf()), b.i64(width)));
      const n = b.extendU64(count);
      const rest = b.sub(b.i64(width + 1), n);
      const r64 = isLeft ? b.or(b.shl(wide, n), b.shrU(wide, rest)) : b.or(b.shrU(wide, n), b.shl(wide, rest));
      const r = b.wrap(r64);
      const cf = b.and(b.wrap(b.shrU(r64, b.i64(width))), one(b));
      const top = bit(b, r, b.i32(width - 1));
      const of = isLeft ? b.xor(top, cf) : b.xor(top, bit(b, r, b.i32(width - 2)));
      b.write(destination, r);
      b.flagsCarry(cf, of, b.af());
    });
  });
}

export const rcl = rotateThroughCarry(true);
export const rcr = rotateThroughCarry(false);

/** SHLD/SHRD destination, source, count. Word forms with counts above 16 are undefined: P6 rotates source:destination on. */
function doubleShift(isLeft: boolean): Semantics {
  return (b, i) => {
    const width = i.operands[0].width;
    const x = b.readForWrite(i.operands[0]);
    const y = b.read(i.operands[1]);
    const count = b.and(b.read(i.operands[2]), b.i32(31));
    b.if(b.nez(count), () => {
      const n = b.extendU64(count);
      let r: Node;
      let cf: Node;
      if (isLeft) {
        if (width === 32) {
          const pair = b.or(b.shl(b.extendU64(x), b.i64(32)), b.extendU64(y));
          r = b.wrap(b.shrU(b.shl(pair, n), b.i64(32)));
          cf = bit(b, x, b.sub(b.i32(32), count));
        } else {
          // x:y:x as 48 bits
          const triple = b.or(b.or(b.shl(b.extendU64(x), b.i64(32)), b.shl(b.extendU64(y), b.i64(16))), b.extendU64(x));
          const shifted = b.shl(triple, n);
          r = b.truncate(16, b.wrap(b.shrU(shifted, b.i64(32))));
          cf = b.and(b.wrap(b.shrU(shifted, b.i64(48))), one(b));
        }
      } else if (width === 32) {
        const pair = b.or(b.shl(b.extendU64(y), b.i64(32)), b.extendU64(x));
        r = b.wrap(b.shrU(pair, n));
        cf = bit(b, x, b.sub(count, one(b)));
      } else {
        const triple = b.or(b.or(b.shl(b.extendU64(x), b.i64(32)), b.shl(b.extendU64(y), b.i64(16))), b.extendU64(x));
        r = b.truncate(16, b.wrap(b.shrU(triple, n)));
        cf = b.and(b.wrap(b.shrU(triple, b.sub(n, b.i64(1)))), one(b));
      }
      const of = bit(b, b.xor(r, x), b.i32(width - 1));
      b.write(i.operands[0], r);
      b.flagsFrom(width, r, cf, of);
    });
  };
}

export const shld = doubleShift(true);
export const shrd = doubleShift(false);

/** BT, BTS, BTR, BTC. `parameter`: 0 test, 1 set, 2 reset, 3 complement. With a register offset, memory is addressed as a bit string. */
export const bitTest: Semantics = (b, i) => {
  const [destination, source] = i.operands;
  const width = destination.width;
  const offset = b.read(source);
  const index = b.and(offset, b.i32(width - 1));
  const mask = b.shl(one(b), index);
  const change = (x: Node) =>
    i.parameter === 1 ? b.or(x, mask) : i.parameter === 2 ? b.and(x, b.not(mask)) : b.xor(x, mask);
  if (destination.kind === "memory" && source.kind === "gpr") {
    // Signed bit offset, in units of the operand size; the sum wraps at the address size.
    const units = b.shrS(b.signExtend(width, offset), b.i32(width === 32 ? 5 : 4));
    const sum = b.add(b.address(0, i.parameter !== 0), b.shl(units, b.i32(width === 32 ? 2 : 1)));
    const checked = b.linear(-1, b.truncate(i.addressWidth, sum), width / 8, i.parameter !== 0);
    const x = b.load(checked, width / 8, i.parameter !== 0);
    if (i.parameter !== 0) b.store(checked, width / 8, change(x));
    b.setCarry(bit(b, x, index));
    return;
  }
  const x = i.parameter === 0 ? b.read(destination) : b.readForWrite(destination);
  if (i.parameter !== 0) b.write(destination, change(x));
  b.setCarry(bit(b, x, index));
};

/** BSF/BSR: a zero source sets ZF and leaves the destination (as all known processors do). */
function bitScan(isForward: boolean): Semantics {
  return (b, i) => {
    const x = b.read(i.operands[1]);
    b.if(b.nez(x), () => {
      b.write(i.operands[0], isForward ? b.ctz(x) : b.sub(b.i32(31), b.clz(x)));
    });
    b.flagsLogic(32, b.nez(x));
  };
}

export const bsf = bitScan(true);
export const bsr = bitScan(false);

export const bswap: Semantics = (b, i) => {
  if (i.width === 16) {
    // Undefined by the manual; the processors clear the word.
    b.write(i.operands[0], b.i32(0));
    return;
  }
  const x = b.read(i.operands[0]);
  const outer = b.and(b.rotl(x, b.i32(8)), b.i32(0x00ff00ff));
  const inner = b.and(b.rotr(x, b.i32(8)), b.i32(0xff00ff00 | 0));
  b.write(i.operands[0], b.or(outer, inner));
};
