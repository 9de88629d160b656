/**
 * Counters that a part of the machine offers to be looked at (`debugvm statistics`, metrics): a tree of names. A leaf counts
 * since power-on or says a present value; its name ends in its unit where it has one (`busyNs`, `readBytes`). Made when asked
 * for, never on a hot path.
 */
export interface CounterTree {
  readonly [name: string]: number | CounterTree;
}
