/**
 * Who holds a lock file: enough about a process to tell later, from another process, whether it still lives. A pid
 * alone is not enough (pids are reused, and mean nothing after a reboot, in another container or on another host), so
 * start time, boot id, pid name space and host name go along where the platform tells them (/proc on Linux).
 */
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks between boot and the start of the process; empty where unknown. */
  readonly startTime: string;
  readonly bootId: string;
  /** The pid name space; pids of another one say nothing here. */
  readonly pidNamespace: string;
  readonly host: string;
}

/** The calling process. */
export function ownIdentity(): ProcessIdentity {
  return {
    pid: process.pid,
    startTime: startTimeOf(process.pid) ?? "",
    bootId: bootId(),
    pidNamespace: pidNamespace(),
    host: hostname(),
  };
}

/** Whether that process is "alive", "dead", or out of sight ("unknown": another host or container). */
export function livenessOf(identity: ProcessIdentity): "alive" | "dead" | "unknown" {
  if (identity.host !== hostname()) return "unknown";
  if (identity.bootId !== bootId()) return "dead";
  if (identity.pidNamespace !== pidNamespace()) return "unknown";
  try {
    process.kill(identity.pid, 0);
  } catch (error) {
    // EPERM: it exists and belongs to somebody else.
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return "dead";
  }
  if (identity.startTime === "") return "alive";
  const startTime = startTimeOf(identity.pid);
  return startTime === undefined || startTime === identity.startTime ? "alive" : "dead";
}

/**
 * Field 22 of /proc/PID/stat. The second field is the program's name in parentheses and may hold anything, so fields
 * are counted from the last ")". A zombie still answers signals but no longer writes: it gets no start time that matches.
 */
function startTimeOf(pid: number): string | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined;
  }
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? "ended" : fields[19];
}

function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  } catch {
    return "";
  }
}

function pidNamespace(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return "";
  }
}
