/** The figures of a suite as one Markdown table. */
import { classes, type Kernel } from "./kernels.ts";
import { BASELINE, type Peer } from "./peers.ts";
import type { SuiteResult } from "./suite.ts";

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

function geometricMean(numbers: readonly number[]): number {
  return Math.exp(numbers.reduce((sum, n) => sum + Math.log(n), 0) / numbers.length);
}

interface Figures {
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  /** Median over the rounds of wall time relative to the baseline's in the same round; undefined without a baseline. */
  readonly ratio: number | undefined;
}

/** Wall and CPU seconds and the ratio of each kernel on each peer, and the geometric means of the ratios. */
export class Report {
  readonly #kernels: readonly Kernel[];
  readonly #peers: readonly Peer[];
  readonly #result: SuiteResult;
  readonly #baseline: string;

  constructor(kernels: readonly Kernel[], peers: readonly Peer[], result: SuiteResult) {
    this.#kernels = kernels;
    this.#peers = peers;
    this.#result = result;
    // Without QEMU the first peer is what the others are compared with.
    this.#baseline = peers.some(({ name }) => name === BASELINE) ? BASELINE : peers[0].name;
  }

  get baseline(): string {
    return this.#baseline;
  }

  figures(peer: string, kernel: string): Figures | undefined {
    const rounds = this.#result.measurements.get(peer)!.get(kernel)!;
    const base = this.#result.measurements.get(this.#baseline)!.get(kernel)!;
    const good = rounds.filter((one) => one !== undefined);
    if (good.length === 0) return undefined;
    const ratios = rounds.flatMap((one, n) => {
      const other = base[n];
      return one === undefined || other === undefined ? [] : [one.wallSeconds / other.wallSeconds];
    });
    return {
      wallSeconds: median(good.map((one) => one.wallSeconds)),
      cpuSeconds: median(good.map((one) => one.cpuSeconds)),
      ratio: ratios.length > 0 ? median(ratios) : undefined,
    };
  }

  /** Geometric mean of a peer's ratios over the kernels where it has one; undefined if there is none. */
  mean(peer: string, kernels: readonly Kernel[]): number | undefined {
    const ratios = kernels.map(({ name }) => this.figures(peer, name)?.ratio).filter((ratio) => ratio !== undefined);
    return ratios.length > 0 ? geometricMean(ratios) : undefined;
  }

  /** A cell is `wall / CPU seconds (ratio of wall times)`; below, the geometric means of each class and of all. */
  table(): string {
    const names = this.#peers.map(({ name }) => name);
    const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
    const ofKernel = ({ name }: Kernel) =>
      row([
        name,
        ...names.map((peer) => {
          const figures = this.figures(peer, name);
          if (figures === undefined) return "failed";
          const { wallSeconds, cpuSeconds, ratio } = figures;
          const relative = peer === this.#baseline || ratio === undefined ? "" : ` (${ratio.toFixed(2)})`;
          return `${wallSeconds.toFixed(2)} / ${cpuSeconds.toFixed(2)}${relative}`;
        }),
      ]);
    const ofMean = (label: string, kernels: readonly Kernel[]) =>
      row([
        `**${label}**`,
        ...names.map((peer) => {
          const mean = this.mean(peer, kernels);
          return mean === undefined ? "–" : `**${mean.toFixed(2)}**`;
        }),
      ]);
    const lines = [row(["", ...names]), row(["---", ...names.map(() => "--:")])];
    for (const name of classes) {
      const members = this.#kernels.filter((kernel) => kernel.class === name);
      if (members.length === 0) continue;
      lines.push(...members.map(ofKernel));
      if (members.length > 1) lines.push(ofMean(`${name}, geometric mean`, members));
    }
    if (this.#kernels.length > 1) lines.push(ofMean("all, geometric mean", this.#kernels));
    return lines.join("\n");
  }
}
