/**
 * Media locks: one writer or any number of readers of an image file, across processes. A writer holds
 * `IMAGE.anneau-lock`, a reader `IMAGE.anneau-lock-r-NAME`, beside the image (its real path, so links do not get
 * around it), or, when nothing can be created there, in a folder of the user's under a name made from that path. Each
 * side first puts its own file in place and then looks for the other's, so two can never both succeed; a file whose
 * process is dead does not count and is taken over or removed (owner-lock.ts). A live lock of another host or
 * container is never taken over: its pid says nothing here.
 */
import { createHash, randomBytes } from "node:crypto";
import { accessSync, constants, existsSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { AnneauError } from "../base/errors.ts";
import { reasonOf } from "./image-file.ts";
import { makeFolder } from "./make-folder.ts";
import { describeOwner, type LockOwner, livingOwner, type OwnerLock, tryLock } from "./owner-lock.ts";
import { livenessOf } from "./process-identity.ts";

export interface MediumLock {
  /** May be called twice. */
  release(): void;
}

/** Somebody has the image in a way that leaves no room for the wanted one. */
export class MediumInUseError extends AnneauError {
  override name = "MediumInUseError";
}

export type MediumLockState = "unlocked" | "locked read" | "locked write";

/** Takes the image for one writer ("exclusive") or as one of many readers ("shared"); one line when it is taken. */
export function lockMedium(
  imagePath: string,
  mode: "exclusive" | "shared",
  options: { readonly fallbackFolder?: string } = {},
): MediumLock {
  const places = lockPlaces(imagePath, options.fallbackFolder);
  let holder: LockOwner | undefined;
  // Two that start at the same moment may each see the other and step back: try again, not in step.
  for (let attempt = 0; attempt < 4; attempt++) {
    if (attempt > 0) sleepMs(5 + Math.random() * 20);
    const result = mode === "exclusive" ? tryExclusive(places, imagePath) : tryShared(places, imagePath);
    if ("lock" in result) return result.lock;
    holder = result.heldBy;
  }
  const isOwn = livenessOf(holder!) === "alive" && holder!.pid === process.pid;
  throw new MediumInUseError(
    `${imagePath} is in use by ${isOwn ? "another drive of the same machine" : describeOwner(holder!)}`,
  );
}

/** Whether a living process has the image, for `list hdds`; takes nothing. */
export function mediumLockState(
  imagePath: string,
  options: { readonly fallbackFolder?: string } = {},
): MediumLockState {
  const places = lockPlaces(imagePath, options.fallbackFolder);
  if (places.some((place) => livingOwner(place) !== undefined)) return "locked write";
  return livingReader(places) === undefined ? "unlocked" : "locked read";
}

/** Removes the locks that dead processes left on the image. Living ones stay. */
export function removeDeadLocks(imagePath: string, options: { readonly fallbackFolder?: string } = {}): void {
  let places: string[];
  try {
    places = lockPlaces(imagePath, options.fallbackFolder);
  } catch {
    // There is no image, so nobody can look for its locks.
    places = [resolve(imagePath) + suffix];
  }
  for (const place of places) {
    if (!existsSync(place)) continue;
    const attempt = tryLock(place);
    if ("lock" in attempt) attempt.lock.release();
  }
  livingReader(places);
}

const suffix = ".anneau-lock";

/** Where the lock of an image may lie, the preferred place first. */
function lockPlaces(imagePath: string, fallbackFolder: string | undefined): string[] {
  let path: string;
  try {
    path = realpathSync(imagePath);
  } catch (error) {
    throw new AnneauError(`cannot open ${imagePath}: ${reasonOf(error)}`, { cause: error });
  }
  const name = createHash("sha256").update(path).digest("hex").slice(0, 32);
  return [path + suffix, join(fallbackFolder ?? defaultFallbackFolder(), name + suffix)];
}

function defaultFallbackFolder(): string {
  const home = process.env.VBOX_USER_HOME;
  return home ? join(home, "locks") : join(tmpdir(), `anneau-locks-${userInfo().uid}`);
}

type Attempt = { readonly lock: MediumLock } | { readonly heldBy: LockOwner };

function tryExclusive(places: readonly string[], imagePath: string): Attempt {
  const own = createAt(places, imagePath, (place) => tryLock(place));
  if ("heldBy" in own) return own;
  const other =
    places.map((place) => (place === own.lock.path ? undefined : livingOwner(place))).find((owner) => owner) ??
    livingReader(places);
  if (other === undefined) return own;
  own.lock.release();
  return { heldBy: other };
}

function tryShared(places: readonly string[], imagePath: string): Attempt {
  const name = `-r-${process.pid}-${randomBytes(6).toString("hex")}`;
  const own = createAt(places, imagePath, (place) => tryLock(place + name));
  if ("heldBy" in own) return own;
  const writer = places.map((place) => livingOwner(place)).find((owner) => owner !== undefined);
  if (writer === undefined) return own;
  own.lock.release();
  return { heldBy: writer };
}

/** Runs `take` on the first place where files can be created. */
function createAt(
  places: readonly string[],
  imagePath: string,
  take: (place: string) => { readonly lock: OwnerLock } | { readonly heldBy: LockOwner },
): { readonly lock: OwnerLock } | { readonly heldBy: LockOwner } {
  const place = isWritableFolder(dirname(places[0])) ? places[0] : places[1];
  try {
    if (place === places[1]) makeFolder(dirname(place), 0o700);
    return take(place);
  } catch (error) {
    if (error instanceof AnneauError) throw error;
    throw new AnneauError(`cannot lock ${imagePath}: ${reasonOf(error)}`, { cause: error });
  }
}

function isWritableFolder(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** A living reader of the image; files of dead readers are removed on the way. */
function livingReader(places: readonly string[]): LockOwner | undefined {
  let living: LockOwner | undefined;
  for (const place of places) {
    let names: string[];
    try {
      names = readdirSync(dirname(place));
    } catch {
      continue;
    }
    for (const name of names) {
      // The rest of the name is pid and instance; anything longer is a file on its way to becoming a lock.
      if (!name.startsWith(`${basename(place)}-r-`) || !/-r-\d+-[0-9a-f]{12}$/.test(name)) continue;
      const path = join(dirname(place), name);
      const owner = livingOwner(path);
      // A reader's name is used once: nobody can be taking this one over.
      if (owner === undefined) rmSync(path, { force: true });
      else living ??= owner;
    }
  }
  return living;
}

function sleepMs(durationMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs);
}
