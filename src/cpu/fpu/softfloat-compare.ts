/** Comparisons, minimum and maximum of single and double precision (SDM volume 1, 4.8.3 and 11.5.2; volume 2, CMPPD, COMISD, MINPD). */
import type { LibraryFunction } from "../interpreter/library.ts";
import type { Builder } from "../ir/builder.ts";
import { I32, type Node } from "../ir/node.ts";
import { float } from "../wasm/opcodes.ts";
import { choose, FLAG_IE, type Format, f32, f64, raise } from "./softfloat-format.ts";

/** a < x of numbers that are no NaNs. */
function isLess(b: Builder, format: Format, a: Node, x: Node): Node {
  return b.float(float.f64Lt, format.double(b, a), format.double(b, x));
}

function isEqual(b: Builder, format: Format, a: Node, x: Node): Node {
  return b.float(float.f64Eq, format.double(b, a), format.double(b, x));
}

/** "….min", "….max": the second operand if either is a NaN (IE even for a quiet one) or both are zeros. */
function extreme(format: Format, isMax: boolean): LibraryFunction {
  return {
    name: `${format.name}.${isMax ? "max" : "min"}`,
    parameters: [format.type, format.type],
    result: format.type,
    body: (b, first, second) => {
      const a = format.readDaz(b, first);
      const x = format.readDaz(b, second);
      return choose(b, x, (setResult) => {
        b.if(
          b.or(format.isNan(b, a), format.isNan(b, x)),
          () => raise(b, FLAG_IE),
          () => {
            format.raiseDenormal(b, a, x);
            const isFirst = isMax ? isLess(b, format, x, a) : isLess(b, format, a, x);
            setResult(b.select(isFirst, a, x));
          },
        );
      });
    },
  };
}

/**
 * "….relation" (a, x, signalsQuiet): 0 less, 1 equal, 2 greater, 3 unordered. A quiet NaN is an invalid operand if
 * `signalsQuiet` is not zero.
 */
function relation(format: Format): LibraryFunction {
  return {
    name: `${format.name}.relation`,
    parameters: [format.type, format.type, I32],
    result: I32,
    body: (b, first, second, signalsQuiet) => {
      const a = format.readDaz(b, first);
      const x = format.readDaz(b, second);
      return choose(b, b.i32(3), (setResult) => {
        b.if(
          b.or(format.isNan(b, a), format.isNan(b, x)),
          () => {
            const isSignalling = b.or(format.isSignalling(b, a), format.isSignalling(b, x));
            b.if(b.or(isSignalling, signalsQuiet), () => raise(b, FLAG_IE));
          },
          () => {
            format.raiseDenormal(b, a, x);
            const more = b.select(isEqual(b, format, a, x), b.i32(1), b.i32(2));
            setResult(b.select(isLess(b, format, a, x), b.i32(0), more));
          },
        );
      });
    },
  };
}

/** "….compare" (a, x, predicate 0–7): all ones or zero, as CMPPS and its kin. */
function compare(format: Format): LibraryFunction {
  return {
    name: `${format.name}.compare`,
    parameters: [format.type, format.type, I32],
    result: format.type,
    body: (b, a, x, predicate) => {
      // LT, LE, NLT, NLE signal for quiet NaNs.
      const kind = b.and(predicate, b.i32(3));
      const signals = b.or(b.eq(kind, b.i32(1)), b.eq(kind, b.i32(2)));
      const found = b.call(`${format.name}.relation`, I32, [a, x, signals]);
      // Relations (less, equal, greater, unordered as bits 0–3) for which EQ, LT, LE, UNORD hold: a nibble each.
      const wanted = b.shrU(b.i32(0x8312), b.shl(kind, b.i32(2)));
      const holds = b.and(b.shrU(wanted, found), b.i32(1));
      const mask = b.neg(b.xor(holds, b.shrU(b.and(predicate, b.i32(4)), b.i32(2))));
      return format.bits === 64 ? b.extendS64(mask) : mask;
    },
  };
}

export const compareFunctions: readonly LibraryFunction[] = [f32, f64].flatMap((format) => [
  extreme(format, false),
  extreme(format, true),
  relation(format),
  compare(format),
]);
