/** The host's clocks in the shapes that the machine takes them. */
import type { WallClock } from "../device-api/clock.ts";
import type { MachineSpec } from "../spec/machine-spec.ts";

/** The global is a getter, which costs as much as the clock. */
const hostClock = performance;

/** Monotonic nanoseconds; resolution well below a microsecond. */
export function monotonicNs(): number {
  return hostClock.now() * 1e6;
}

/** Processor time of the calling thread in nanoseconds. */
export function threadCpuNs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) * 1000;
}

/** A deterministic machine's RTC starts here: 2020-01-01T00:00:00Z. */
const FIXED_START_MS = Date.UTC(2020, 0, 1);

/** The host's time of day; fixed for deterministic machines. */
export function hostWallClock(spec: MachineSpec): WallClock {
  if (spec.deterministic !== undefined) return { nowMs: () => FIXED_START_MS, utcOffsetMinutes: () => 0 };
  return {
    nowMs: () => Date.now(),
    utcOffsetMinutes: () => -new Date().getTimezoneOffset(),
  };
}
