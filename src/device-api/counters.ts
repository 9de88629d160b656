/**
 * Counters that a part of the machine offers to be looked at (`debugvm statistics`, metrics): a tree of names. A leaf counts
 * since power-on or says a present value; its name ends in its unit where it has one (`busyNs`, `readBytes`). Made when asked
 * for, never on a hot path.
 */
export interface CounterTree {
  readonly [name: string]: number | CounterTree;
}

/** A leaf by its path from the root, `/cpu/regions/links`. */
export interface Counter {
  readonly name: string;
  readonly value: number;
}

/** All leaves of a tree that stands at `path`. */
export function flattenCounters(tree: CounterTree, path = ""): Counter[] {
  return Object.entries(tree).flatMap(([key, value]) => {
    const name = `${path}/${key}`;
    return typeof value === "number" ? [{ name, value }] : flattenCounters(value, name);
  });
}
