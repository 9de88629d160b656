/**
 * Replacing a file so that a reader sees the old text or the new one and a crash loses neither: write beside it, fsync,
 * rename, fsync the folder. The previous file stays under `<path>-prev`, as VirtualBox keeps it.
 */
import * as fs from "node:fs";
import { basename, dirname, join } from "node:path";

export interface ReplaceOptions {
  /** Keep the replaced file as `<path>-prev`. */
  readonly keepPrevious?: boolean;
}

/** Writes `text` to `path`. Throws the system's error (EACCES, ENOSPC …) with nothing changed. */
export function replaceFile(path: string, text: string, options: ReplaceOptions = {}): void {
  const beside = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
  const file = fs.openSync(beside, "w", modeOf(path));
  try {
    try {
      fs.writeFileSync(file, text);
      fs.fsyncSync(file);
    } finally {
      fs.closeSync(file);
    }
    if (options.keepPrevious) keepPrevious(path);
    fs.renameSync(beside, path);
  } catch (error) {
    fs.rmSync(beside, { force: true });
    throw error;
  }
  syncFolder(dirname(path));
}

function modeOf(path: string): number {
  return (fs.statSync(path, { throwIfNoEntry: false })?.mode ?? 0o600) & 0o777;
}

/** A hard link keeps the file in place while it gets its second name; where links are not to be had, a copy does. */
function keepPrevious(path: string): void {
  if (!fs.existsSync(path)) return;
  const previous = `${path}-prev`;
  fs.rmSync(previous, { force: true });
  try {
    fs.linkSync(path, previous);
  } catch {
    fs.copyFileSync(path, previous);
  }
}

function syncFolder(folder: string): void {
  try {
    const handle = fs.openSync(folder, "r");
    try {
      fs.fsyncSync(handle);
    } finally {
      fs.closeSync(handle);
    }
  } catch {
    // Windows and some network file systems cannot open a folder; the rename itself has happened.
  }
}
