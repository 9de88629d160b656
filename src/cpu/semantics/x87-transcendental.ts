/**
 * F2XM1, FYL2X, FYL2XP1, FPATAN, FPTAN, FSIN, FCOS, FSINCOS: special operands in the library
 * (fpu/extended-transcendental.ts), numbers in a helper (fpu/transcendental.ts), rounding in the library again.
 * The helper's number of the function is the row's parameter.
 */

import type { Instruction } from "../decode/operand.ts";
import { C1, C2, X87_SE, X87_SECOND, X87_SECOND_SE } from "../fpu/extended.ts";
import { COMPUTE, OUT_OF_RANGE } from "../fpu/extended-transcendental.ts";
import { RESULT_A, RESULT_B, transcendental } from "../fpu/transcendental.ts";
import type { Builder } from "../ir/builder.ts";
import { I32, I64, type Node } from "../ir/node.ts";
import * as L from "../layout.ts";
import type { Semantics } from "../table/row.ts";
import * as x87 from "./x87-stack.ts";

const ONE = -0x8000_0000_0000_0000n;

/** Mantissa of the function's result, from what preparation answered. */
function evaluate(b: Builder, i: Instruction, prepared: Node): Node {
  const result = b.variable(b.state(X87_SECOND, 8));
  b.if(b.eq(prepared, b.i32(COMPUTE)), () => {
    // It reads and writes scratch alone and cannot fault.
    b.commit();
    b.helper("x87-function", [b.i32(i.parameter)]);
    b.set(result, b.call("x87-finish", I64, [b.i32(0)]));
  });
  return b.get(result);
}

export const f2xm1: Semantics = (b, i) => {
  x87.begin(b);
  const top = b.state(L.FPU_TOP);
  x87.compute(b, [top], top, () => {
    const { m, se } = x87.readRegister(b, top);
    return evaluate(b, i, b.call("x87-prepare-f2xm1", I32, [m, se]));
  });
};

/** FYL2X, FYL2XP1, FPATAN: ST(1) := f(ST(0), ST(1)), pop. */
function binary(callee: string): Semantics {
  return (b, i) => {
    x87.begin(b);
    const top = b.state(L.FPU_TOP);
    const other = x87.physical(b, 1);
    x87.compute(
      b,
      [top, other],
      other,
      () => {
        const x = x87.readRegister(b, top);
        const y = x87.readRegister(b, other);
        return evaluate(b, i, b.call(callee, I32, [x.m, x.se, y.m, y.se]));
      },
      () => x87.pop(b),
    );
  };
}

export const fyl2x = binary("x87-prepare-fyl2x");
export const fyl2xp1 = binary("x87-prepare-fyl2xp1");
export const fpatan = binary("x87-prepare-fpatan");

const setC2 = (b: Builder, isOut: boolean): void => x87.setConditions(b, C2, b.i32(isOut ? C2 : 0));

/** FSIN, FCOS. */
export const sine: Semantics = (b, i) => {
  x87.begin(b);
  setC2(b, false);
  const top = b.state(L.FPU_TOP);
  x87.compute(b, [top], top, () => {
    const { m, se } = x87.readRegister(b, top);
    const result = b.variable(m);
    b.if(
      b.eqz(b.or(m, b.extendU64(b.and(se, b.i32(0x7fff))))),
      () => {
        const isCosine = i.parameter === transcendental.fcos;
        b.setState(X87_SE, isCosine ? b.i32(0x3fff) : se);
        if (isCosine) b.set(result, b.i64(ONE));
      },
      () => {
        const prepared = b.call("x87-prepare-angle", I32, [m, se]);
        b.if(
          b.eq(prepared, b.i32(OUT_OF_RANGE)),
          () => {
            setC2(b, true);
            b.setState(X87_SE, se);
          },
          () => b.set(result, evaluate(b, i, prepared)),
        );
      },
    );
    return b.get(result);
  });
};

/** FPTAN: tangent to ST(0), then 1 pushed; FSINCOS: sine to ST(0), then the cosine pushed. */
export const pushingAngle: Semantics = (b, i) => {
  const isTangent = i.parameter === transcendental.fptan;
  x87.begin(b);
  setC2(b, false);
  const top = b.state(L.FPU_TOP);
  x87.computeAndPush(
    b,
    (m, se, result) => {
      const second = (mantissa: Node, signExponent: Node) => {
        b.setState(X87_SECOND, mantissa, 8);
        b.setState(X87_SECOND_SE, signExponent);
      };
      const isOut = b.variable(b.i32(0));
      b.if(
        b.eqz(b.or(m, b.extendU64(b.and(se, b.i32(0x7fff))))),
        () => {
          b.set(result, m);
          b.setState(X87_SE, se);
          second(b.i64(ONE), b.i32(0x3fff));
        },
        () => {
          const prepared = b.call("x87-prepare-angle", I32, [m, se]);
          b.if(
            b.eq(prepared, b.i32(OUT_OF_RANGE)),
            () => {
              setC2(b, true);
              b.set(isOut, b.i32(1));
            },
            () => {
              b.if(
                b.eq(prepared, b.i32(COMPUTE)),
                () => {
                  b.commit();
                  b.helper("x87-function", [b.i32(i.parameter)]);
                  if (isTangent) {
                    b.set(result, b.call("x87-finish", I64, [b.i32(0)]));
                    second(b.i64(ONE), b.i32(0x3fff));
                  } else {
                    b.set(result, b.call("x87-finish", I64, [b.i32(0)]));
                    const sineSe = b.state(X87_SE);
                    // C1 is that of the cosine.
                    x87.setConditions(b, C1, b.i32(0));
                    const cosine = b.call("x87-finish", I64, [b.i32(RESULT_B - RESULT_A)]);
                    second(cosine, b.state(X87_SE));
                    b.setState(X87_SE, sineSe);
                  }
                },
                () => {
                  b.set(result, b.state(X87_SECOND, 8));
                  b.setState(X87_SECOND_SE, b.state(X87_SE));
                },
              );
            },
          );
        },
      );
      return b.get(isOut);
    },
    top,
  );
};
