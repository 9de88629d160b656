/**
 * Modules that are no longer used hold memory outside of the JavaScript heap until a collection finds their objects, and threads that allocate as
 * little as the machine's and the translator's collect next to never. Both count modules and collect now and then (some 10 ms).
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const MODULES_BETWEEN = 256;

let modules = 0;
let collect: (() => void) | undefined;

/** A module has come to this thread. */
export function countModule(): void {
  if (++modules % MODULES_BETWEEN !== 0) return;
  if (collect === undefined) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as () => void;
  }
  collect();
}
