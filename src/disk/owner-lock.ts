/**
 * A lock file that names its owner (Node has no flock). Taking it is one atomic step: the file is written under a
 * private name and linked to the lock's name, which fails when somebody was faster. A lock whose owner is dead is taken
 * over by renaming our own file over it; so that two processes cannot both take over, the right to replace one
 * particular dead instance is itself a lock file, named after that instance, and the lock is read again once that right
 * is held: a lock that names a dead instance can only be changed by the holder of that right.
 */
import { randomBytes } from "node:crypto";
import { closeSync, linkSync, openSync, readFileSync, renameSync, statSync, unlinkSync, writeSync } from "node:fs";
import { AnneauError } from "../base/errors.ts";
import { livenessOf, ownIdentity, type ProcessIdentity } from "./process-identity.ts";

/** What stands in a lock file: the process, and a random name of this one lock among the process's locks. */
export interface LockOwner extends ProcessIdentity {
  readonly instance: string;
}

export interface OwnerLock {
  readonly path: string;
  readonly owner: LockOwner;
  /** Whether the lock file is there and still ours: a folder may vanish under its owner. */
  isHeld(): boolean;
  /** Removes the lock file if it is still ours. May be called twice. */
  release(): void;
}

/** The outcome of `tryLock`: the lock, or who has it. */
export type LockAttempt = { readonly lock: OwnerLock } | { readonly heldBy: LockOwner };

const maxTakeoverDepth = 8;

/** Takes the lock if it is free or its owner is dead; never waits for a living owner. File system errors are thrown. */
export function tryLock(path: string): LockAttempt {
  return lockAt(path, 0);
}

/** Takes the lock, waiting (and blocking the thread) until a living owner releases it; one line after `timeoutMs`. */
export function waitForLock(path: string, timeoutMs: number): OwnerLock {
  const endMs = Date.now() + timeoutMs;
  for (;;) {
    const attempt = tryLock(path);
    if ("lock" in attempt) return attempt.lock;
    if (Date.now() >= endMs) throw new AnneauError(`${path} is held by ${describeOwner(attempt.heldBy)}`);
    sleepMs(50);
  }
}

/** Who holds the lock now; undefined when it is free or its owner is dead. */
export function livingOwner(path: string): LockOwner | undefined {
  const owner = readOwner(path);
  return owner !== undefined && livenessOf(owner) !== "dead" ? owner : undefined;
}

/** "process 123", with the host when it is another one. */
export function describeOwner(owner: LockOwner): string {
  const elsewhere = livenessOf(owner) === "unknown" ? ` on host or container ${owner.host}` : "";
  return `process ${owner.pid}${elsewhere}`;
}

function lockAt(path: string, depth: number): LockAttempt {
  const owner: LockOwner = { ...ownIdentity(), instance: randomBytes(8).toString("hex") };
  const temporary = `${path}.${owner.instance}`;
  // More rounds than any sane race needs; each is a state that another process changed under us.
  for (let round = 0; round < 100; round++) {
    if (createLock(path, temporary, owner)) return { lock: heldLock(path, owner) };
    const holder = readOwner(path);
    if (holder === undefined) continue;
    if (livenessOf(holder) !== "dead" || depth >= maxTakeoverDepth) return { heldBy: holder };
    const right = lockAt(`${path}.${holder.instance}.takeover`, depth + 1);
    if (!("lock" in right)) return { heldBy: right.heldBy };
    try {
      if (readOwner(path)?.instance !== holder.instance) continue;
      writeOwner(temporary, owner);
      renameSync(temporary, path);
      return { lock: heldLock(path, owner) };
    } finally {
      right.lock.release();
    }
  }
  throw new AnneauError(`cannot take ${path}: it changes hands too quickly`);
}

function heldLock(path: string, owner: LockOwner): OwnerLock {
  let isHeld = true;
  return {
    path,
    owner,
    isHeld: () => isHeld && readOwner(path)?.instance === owner.instance,
    release() {
      if (!isHeld) return;
      isHeld = false;
      try {
        if (readOwner(path)?.instance === owner.instance) unlinkSync(path);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      }
    },
  };
}

function createLock(path: string, temporary: string, owner: LockOwner): boolean {
  writeOwner(temporary, owner);
  try {
    linkSync(temporary, path);
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "EEXIST") return false;
    // No hard links here (FAT, some network shares): an exclusive open is the next best.
    if (code !== "EPERM" && code !== "ENOTSUP" && code !== "ENOSYS" && code !== "EOPNOTSUPP") throw error;
    try {
      writeOwner(path, owner);
      return true;
    } catch (second) {
      if ((second as NodeJS.ErrnoException).code === "EEXIST") return false;
      throw second;
    }
  } finally {
    unlinkSync(temporary);
  }
}

function writeOwner(path: string, owner: LockOwner): void {
  const file = openSync(path, "wx", 0o644);
  try {
    writeSync(file, JSON.stringify(owner) + "\n");
  } catch (error) {
    // A full disk must not be littered with empty files.
    unlinkSync(path);
    throw error;
  } finally {
    closeSync(file);
  }
}

/** The owner that the file names; undefined when there is no file. A file that says nothing readable has a dead owner. */
function readOwner(path: string): LockOwner | undefined {
  for (let attempt = 0; ; attempt++) {
    let text: string;
    let mtimeMs: number;
    try {
      text = readFileSync(path, "utf8");
      mtimeMs = statSync(path).mtimeMs;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
    const owner = parseOwner(text);
    if (owner !== undefined) return owner;
    // Half a file is one that is being written (no hard links) or that a power cut left: give the writer a moment.
    if (attempt < 20) sleepMs(10);
    else
      return {
        ...ownIdentity(),
        pid: 0x7fff_fffe,
        startTime: "none",
        instance: `unreadable-${Math.floor(mtimeMs)}`,
      };
  }
}

function parseOwner(text: string): LockOwner | undefined {
  try {
    const value = JSON.parse(text) as Partial<Record<keyof LockOwner, unknown>>;
    const { pid, startTime, bootId, pidNamespace, host, instance } = value;
    if (!Number.isInteger(pid) || (pid as number) <= 0) return undefined;
    for (const field of [startTime, bootId, pidNamespace, host]) if (typeof field !== "string") return undefined;
    // The instance becomes part of a file name.
    if (typeof instance !== "string" || !/^[0-9a-z-]{1,40}$/.test(instance)) return undefined;
    return value as unknown as LockOwner;
  } catch {
    return undefined;
  }
}

function sleepMs(durationMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs);
}
