/**
 * Making a folder with its parents. Node's recursive mkdir is not used: it says ENOENT whatever the reason is (a read-only file
 * system), and in a folder where nothing can be made (`/proc`) it never returns.
 */
import { existsSync, mkdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** Makes `folder` and the parents that are missing. Throws the system's error about the one that could not be made. */
export function makeFolder(folder: string, mode = 0o777): void {
  const missing: string[] = [];
  let path = resolve(folder);
  while (!existsSync(path) && path !== dirname(path)) {
    missing.push(path);
    path = dirname(path);
  }
  for (const each of missing.length > 0 ? missing.reverse() : [path]) {
    try {
      mkdirSync(each, { mode });
    } catch (error) {
      // Somebody else may just have made it.
      if ((error as NodeJS.ErrnoException).code !== "EEXIST" || !isFolder(each)) throw error;
    }
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
