/**
 * Modules that are no longer used hold memory outside of the JavaScript heap until a collection finds their objects, and threads that allocate as
 * little as the machine's and the translator's collect next to never. Both add up the modules' sizes and collect now and then (some 10 ms).
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Of modules' bytes between two collections: what V8 makes of them is larger. */
const BYTES_BETWEEN = 1 << 20;

let bytes = 0;
let collect: (() => void) | undefined;

/** A module of so many bytes has come to this thread. */
export function countModule(moduleBytes: number): void {
  bytes += moduleBytes;
  if (bytes < BYTES_BETWEEN) return;
  bytes = 0;
  if (collect === undefined) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as () => void;
  }
  collect();
}
