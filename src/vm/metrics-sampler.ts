/**
 * Measures the VM process once a period and keeps the last values of each metric. What a machine counts since power-on becomes
 * a rate between two measurements.
 */
import { cpus } from "node:os";
import type { MetricReport, MetricSetup } from "../control/metrics.ts";
import type { CounterTree } from "../device-api/counters.ts";

/** Totals since the process started. */
export interface MetricTotals {
  readonly timeMs: number;
  readonly userUs: number;
  readonly systemUs: number;
  readonly rssBytes: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

/** The process's own totals and those in the machine's counters; a machine that cannot be asked counts nothing. */
export function metricTotals(counters: CounterTree | undefined): MetricTotals {
  const { user, system } = process.cpuUsage();
  return {
    timeMs: performance.now(),
    userUs: user,
    systemUs: system,
    rssBytes: process.memoryUsage.rss(),
    readBytes: sum(counters?.drives, "readBytes"),
    writtenBytes: sum(counters?.drives, "writtenBytes"),
    receivedBytes: sum(counters?.network, "receivedBytes"),
    sentBytes: sum(counters?.network, "sentBytes"),
  };
}

/** Adds up the counters of that name, one level down. */
function sum(tree: CounterTree | number | undefined, name: string): number {
  let total = 0;
  for (const part of typeof tree === "object" ? Object.values(tree) : []) {
    const value = typeof part === "object" ? part[name] : 0;
    if (typeof value === "number") total += value;
  }
  return total;
}

/** What lies between two measurements, by metric. */
export function metricValues(from: MetricTotals, to: MetricTotals, processors = cpus().length): Record<string, number> {
  const seconds = Math.max(1e-3, (to.timeMs - from.timeMs) / 1000);
  const load = (us: number) => Math.min(100, us / 1e4 / seconds / Math.max(1, processors));
  const rate = (a: number, b: number) => Math.round(Math.max(0, b - a) / seconds);
  return {
    "CPU/Load/User": load(to.userUs - from.userUs),
    "CPU/Load/Kernel": load(to.systemUs - from.systemUs),
    "RAM/Usage/Used": Math.round(to.rssBytes / 1024),
    "Disk/Rate/Read": rate(from.readBytes, to.readBytes),
    "Disk/Rate/Write": rate(from.writtenBytes, to.writtenBytes),
    "Net/Rate/Rx": rate(from.receivedBytes, to.receivedBytes),
    "Net/Rate/Tx": rate(from.sentBytes, to.sentBytes),
  };
}

export class MetricsSampler {
  readonly #counters: () => Promise<CounterTree | undefined>;
  #setup: MetricSetup;
  #isEnabled = true;
  #timer: NodeJS.Timeout | undefined;
  #last = metricTotals(undefined);
  #values = new Map<string, number[]>();

  /** `counters` asks the machine; it may fail or have nothing to say. */
  constructor(setup: MetricSetup, counters: () => Promise<CounterTree | undefined>) {
    this.#setup = setup;
    this.#counters = counters;
    this.#start();
  }

  /** Measures so from now on, also if it was switched off. */
  setup(setup: MetricSetup): void {
    this.#setup = setup;
    this.#isEnabled = true;
    this.#values.clear();
    this.#start();
  }

  set isEnabled(isEnabled: boolean) {
    if (isEnabled === this.#isEnabled) return;
    this.#isEnabled = isEnabled;
    this.#start();
  }

  report(): MetricReport {
    return { ...this.#setup, isEnabled: this.#isEnabled, values: Object.fromEntries(this.#values) };
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #start(): void {
    clearInterval(this.#timer);
    if (!this.#isEnabled) return;
    this.#timer = setInterval(() => void this.#measure(), this.#setup.periodSeconds * 1000);
    this.#timer.unref();
  }

  async #measure(): Promise<void> {
    const totals = metricTotals(await this.#counters().catch(() => undefined));
    for (const [name, value] of Object.entries(metricValues(this.#last, totals))) {
      const kept = this.#values.get(name) ?? [];
      kept.push(value);
      kept.splice(0, kept.length - this.#setup.samples);
      this.#values.set(name, kept);
    }
    this.#last = totals;
  }
}
