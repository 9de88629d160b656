/** Metrics of the host, measured when they are asked for: what lies between two looks at it. */
import { cpus } from "node:os";
import { hostMemory } from "../config/host-memory.ts";
import type { MetricDefinition } from "../control/metrics.ts";

const MOST = 2 ** 31 - 1;

export const hostMetrics: readonly MetricDefinition[] = [
  { name: "CPU/Load/User", unit: "%", maximum: 100, description: "Share of processor time spent in user mode." },
  { name: "CPU/Load/Kernel", unit: "%", maximum: 100, description: "Share of processor time spent in kernel mode." },
  { name: "CPU/Load/Idle", unit: "%", maximum: 100, description: "Share of processor time that nobody used." },
  { name: "RAM/Usage/Total", unit: "kB", maximum: MOST, description: "Memory of the host." },
  { name: "RAM/Usage/Used", unit: "kB", maximum: MOST, description: "Memory in use." },
  { name: "RAM/Usage/Free", unit: "kB", maximum: MOST, description: "Memory that programs can get." },
];

export class HostMeter {
  #last = times();

  /** Since the last call, or since the meter was made. */
  values(): Record<string, number> {
    const now = times();
    const [user, kernel, idle] = now.map((value, i) => value - this.#last[i]);
    this.#last = now;
    const total = Math.max(1, user + kernel + idle);
    const { totalMiB, availableMiB } = hostMemory();
    return {
      "CPU/Load/User": (user / total) * 100,
      "CPU/Load/Kernel": (kernel / total) * 100,
      "CPU/Load/Idle": (idle / total) * 100,
      "RAM/Usage/Total": totalMiB * 1024,
      "RAM/Usage/Used": (totalMiB - availableMiB) * 1024,
      "RAM/Usage/Free": availableMiB * 1024,
    };
  }
}

/** Milliseconds in user mode, in the kernel and idle, of all processors. */
function times(): readonly [user: number, kernel: number, idle: number] {
  let [user, kernel, idle] = [0, 0, 0];
  for (const { times: one } of cpus()) {
    user += one.user + one.nice;
    kernel += one.sys + one.irq;
    idle += one.idle;
  }
  return [user, kernel, idle];
}
