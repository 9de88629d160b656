/** CPU time and memory of a process and all its descendants, from /proc (Linux, proc(5)). */
import { readdirSync, readFileSync } from "node:fs";

const CLOCK_TICKS_PER_SECOND = 100;

export interface ProcessUsage {
  /** User and system time, in steps of 10 ms. */
  readonly cpuSeconds: number;
  /** Sum of the peaks of the processes that are alive. */
  readonly peakRssMiB: number;
}

/** Of the process and those descendants that live or were waited for by one that lives. */
export function processUsage(pid: number): ProcessUsage {
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const parent = Number(statFields(Number(name))?.[1]);
    if (parent > 0) children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  let cpuSeconds = 0;
  let peakRssMiB = 0;
  const visit = (id: number): void => {
    const fields = statFields(id);
    // User and system time, its own and of children that it has waited for.
    for (const field of fields?.slice(11, 15) ?? []) cpuSeconds += Number(field) / CLOCK_TICKS_PER_SECOND;
    peakRssMiB += peakOf(id);
    for (const child of children.get(id) ?? []) visit(child);
  };
  visit(pid);
  return { cpuSeconds, peakRssMiB };
}

/** The fields behind the command's name; undefined when the process is gone. */
function statFields(pid: number): string[] | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, "latin1")
      .replace(/^.*\) /s, "")
      .split(" ");
  } catch {
    return undefined;
  }
}

function peakOf(pid: number): number {
  try {
    const line = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "latin1"));
    return Number(line?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}
