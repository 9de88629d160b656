/**
 * Who runs a VM. The VM process holds `NAME.vbox.session` (an owner lock) for its whole life; everybody else only looks:
 * a living owner means the VM runs, a dead one that its process was killed, which is the state `aborted`.
 */
import * as fs from "node:fs";
import { type LockAttempt, livingOwner, type OwnerLock, tryLock } from "../disk/owner-lock.ts";
import { fileError, ResultError } from "./result-codes.ts";
import { withSettingsLock } from "./settings-file.ts";

export function sessionLockPath(settingsPath: string): string {
  return `${settingsPath}.session`;
}

export type SessionState = { readonly kind: "none" | "dead" } | { readonly kind: "alive"; readonly pid: number };

/** Whether a process runs the VM with this settings file. */
export function sessionOf(settingsPath: string): SessionState {
  const path = sessionLockPath(settingsPath);
  if (!fs.existsSync(path)) return { kind: "none" };
  const owner = livingOwner(path);
  if (owner) return { kind: "alive", pid: owner.pid };
  return { kind: fs.existsSync(path) ? "dead" : "none" };
}

export function alreadyLocked(name: string): ResultError {
  return new ResultError(
    "VBOX_E_INVALID_OBJECT_STATE",
    "MachineWrap",
    `The machine '${name}' is already locked by a session (or being locked or unlocked)`,
  );
}

/**
 * For the VM process: makes it the one that runs the VM. `release` on the way out, after the settings file says how the
 * run ended. Settings are to be read after this: a change under way is waited for, later ones are refused.
 */
export function takeSession(settingsPath: string, name: string): OwnerLock {
  return withSettingsLock(settingsPath, () => {
    let attempt: LockAttempt;
    try {
      attempt = tryLock(sessionLockPath(settingsPath));
    } catch (error) {
      throw fileError(error, "Could not lock the settings file", settingsPath, "MachineWrap");
    }
    if ("heldBy" in attempt) throw alreadyLocked(name);
    return attempt.lock;
  });
}

/** Refuses while a process runs the VM: settings of a running VM do not change under it. */
export function refuseWhileRunning(settingsPath: string, name: string): void {
  if (sessionOf(settingsPath).kind === "alive") throw alreadyLocked(name);
}

/** Forgets a killed process's session once its end is on record. */
export function clearDeadSession(settingsPath: string): void {
  if (sessionOf(settingsPath).kind !== "dead") return;
  const attempt = tryLock(sessionLockPath(settingsPath));
  if ("lock" in attempt) attempt.lock.release();
}
