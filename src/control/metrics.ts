/** The metrics that a VM's process publishes about itself, by VirtualBox's names where it has one. */

export interface MetricDefinition {
  readonly name: string;
  readonly unit: "%" | "kB" | "B/s";
  readonly maximum: number;
  readonly description: string;
}

const MOST = 2 ** 31 - 1;

export const machineMetrics: readonly MetricDefinition[] = [
  metric("CPU/Load/User", "%", 100, "Share of the host's processor time that the VM process spent in user mode."),
  metric("CPU/Load/Kernel", "%", 100, "Share of the host's processor time that the VM process spent in kernel mode."),
  metric("RAM/Usage/Used", "kB", MOST, "Memory that the VM process has in use."),
  metric("Disk/Rate/Read", "B/s", MOST, "What the guest's drives read from their media."),
  metric("Disk/Rate/Write", "B/s", MOST, "What the guest's drives wrote to their media."),
  metric("Net/Rate/Rx", "B/s", MOST, "What the guest's network adapters received."),
  metric("Net/Rate/Tx", "B/s", MOST, "What the guest's network adapters sent."),
];

function metric(name: string, unit: MetricDefinition["unit"], maximum: number, description: string): MetricDefinition {
  return { name, unit, maximum, description };
}

/** How often is measured and how many values are kept. */
export interface MetricSetup {
  readonly periodSeconds: number;
  readonly samples: number;
}

export const metricLimits = { periodSeconds: 86_400, samples: 10_000 } as const;

export const defaultMetricSetup: MetricSetup = { periodSeconds: 1, samples: 1 };
/** Extra data of a VM or of the registry: `PERIOD,SAMPLES` for the next start. */
export const metricSetupKey = "Anneau/Metrics";

/** The setup that such a text says; undefined for anything else. */
export function parseMetricSetup(text: string | undefined): MetricSetup | undefined {
  const [, period, samples] = /^([0-9]{1,5}),([0-9]{1,5})$/.exec(text ?? "") ?? [];
  const setup = { periodSeconds: Number(period), samples: Number(samples) };
  return isMetricSetup(setup) ? setup : undefined;
}

export function isMetricSetup({ periodSeconds, samples }: MetricSetup): boolean {
  const isWithin = (value: number, max: number) => Number.isInteger(value) && value >= 1 && value <= max;
  return isWithin(periodSeconds, metricLimits.periodSeconds) && isWithin(samples, metricLimits.samples);
}

export interface MetricReport extends MetricSetup {
  readonly isEnabled: boolean;
  /** By metric, the oldest value first. */
  readonly values: { readonly [name: string]: readonly number[] };
}
