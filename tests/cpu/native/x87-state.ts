/** Random x87 states for oracle cases. */
import { type CaseWriter, fx } from "./case-format.ts";
import { extendedBytes, extendedValue } from "./x87-values.ts";

export interface StateOptions {
  /** ST(7) is empty, so that a push succeeds. */
  readonly isPushing: boolean;
  /** Number of the second operand's register. */
  readonly other: number;
  /** All exceptions are masked. */
  readonly isMasked?: boolean;
}

/** Registers, tags, control and status words, pointers. */
export function fillState(item: CaseWriter, random: () => number, options: StateOptions): void {
  const isEmptyAllowed = random() % 4 === 0;
  const top = random() & 7;
  const control =
    0x40 | ((random() & 15) << 8) | (options.isMasked !== true && random() % 3 === 0 ? random() & 0x3f : 0x3f);
  item.setFx16(fx.fcw, control);
  // Sticky exceptions without a pending one, condition codes at random.
  let status = (random() & 0x4700) | (top << 11) | (random() & control & 0x3f);
  // An unmasked one now and then: #MF for instructions that wait.
  const pending = ~control & 0x3f;
  if (pending !== 0 && random() % 8 === 0) status |= 0x8080 | (pending & -pending);
  item.setFx16(fx.fsw, status);
  let tags = isEmptyAllowed ? random() & 0xff : 0xff;
  if (options.isPushing) tags &= ~(1 << ((top - 1) & 7));
  item.setFx16(fx.ftw, tags);
  item.setFx16(fx.fop, random() & 0x7ff);
  item.setFx32(fx.fip, random());
  item.setFx32(fx.fdp, random());
  for (let r = 0; r < 8; r++) item.setSt(r, extendedBytes(extendedValue(random)));
  if (random() % 3 !== 0) return;
  // Pairs that are close to each other: cancellation, ties, equality.
  const value = extendedValue(random);
  const near = {
    m: BigInt.asUintN(64, value.m ^ BigInt(random() & 3)),
    se: value.se ^ (random() % 4 === 0 ? 0x8000 : 0),
  };
  item.setSt(0, extendedBytes(value));
  item.setSt(options.other, extendedBytes(near));
  item.setSt(1, extendedBytes(near));
}
