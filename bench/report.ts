/** The figures of a run as one Markdown table, and as docs/benchmarks.md. */
import type { Measurement } from "./guest.ts";
import { classes, type Kernel } from "./kernels.ts";
import { LOOP_INSTRUCTIONS, type MachineFigures } from "./machine-figures.ts";
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
  /** Medians over the rounds of the time relative to the baseline's in the same round; undefined without a baseline. */
  readonly ratio: Ratio | undefined;
}

interface Ratio {
  readonly wall: number;
  readonly cpu: number;
}

/** The host counts CPU time in steps of 10 ms: less is taken for half of one. */
const LEAST_CPU_SECONDS = 0.005;
/** Marks that are read in one piece have no time between them. */
const LEAST_WALL_SECONDS = 0.0001;

/** Ratios are relative to qemu-system-x86_64, or to the first peer when that one is not there. */
export class Report {
  readonly baseline: string;
  readonly #kernels: readonly Kernel[];
  readonly #names: readonly string[];
  readonly #result: SuiteResult;
  readonly #machines: ReadonlyMap<string, readonly MachineFigures[]>;

  constructor(
    kernels: readonly Kernel[],
    peers: readonly Peer[],
    result: SuiteResult,
    machines: ReadonlyMap<string, readonly MachineFigures[]> = new Map(),
  ) {
    this.#kernels = kernels;
    this.#names = peers.map(({ name }) => name);
    this.#result = result;
    this.#machines = machines;
    this.baseline = this.#names.includes(BASELINE) ? BASELINE : this.#names[0];
  }

  figures(peer: string, kernel: string): Figures | undefined {
    const rounds = this.#result.measurements.get(peer)!.get(kernel)!;
    const base = this.#result.measurements.get(this.baseline)!.get(kernel)!;
    const good = rounds.filter((one) => one !== undefined);
    if (good.length === 0) return undefined;
    const pairs = rounds.flatMap((one, round) => {
      const other = base[round];
      return one === undefined || other === undefined ? [] : [{ one, other }];
    });
    const wall = (one: Measurement) => Math.max(one.wallSeconds, LEAST_WALL_SECONDS);
    const cpu = (one: Measurement) => Math.max(one.cpuSeconds, LEAST_CPU_SECONDS);
    return {
      wallSeconds: median(good.map((one) => one.wallSeconds)),
      cpuSeconds: median(good.map((one) => one.cpuSeconds)),
      ratio:
        pairs.length === 0
          ? undefined
          : {
              wall: median(pairs.map(({ one, other }) => wall(one) / wall(other))),
              cpu: median(pairs.map(({ one, other }) => cpu(one) / cpu(other))),
            },
    };
  }

  /** Geometric means of a peer's ratios; undefined unless all the kernels have one. */
  mean(peer: string, kernels: readonly Kernel[]): Ratio | undefined {
    const ratios = kernels.map(({ name }) => this.figures(peer, name)?.ratio).filter((one) => one !== undefined);
    if (ratios.length < kernels.length) return undefined;
    return { wall: geometricMean(ratios.map(({ wall }) => wall)), cpu: geometricMean(ratios.map(({ cpu }) => cpu)) };
  }

  /** Kernels: `wall / CPU seconds (their ratios)`; means of ratios; then the machines' figures. */
  table(): string {
    const lines = [row(["", ...this.#names]), row(["---", ...this.#names.map(() => "--:")])];
    for (const name of classes) {
      const members = this.#kernels.filter((kernel) => kernel.class === name);
      lines.push(...members.map((kernel) => this.#kernelRow(kernel)));
      if (members.length > 1) lines.push(this.#meanRow(`${name}, geometric mean`, members));
    }
    if (this.#kernels.length > 1) {
      lines.push(this.#meanRow("all, geometric mean", this.#kernels));
      const strict = this.#kernels.filter(({ class: name }) => name !== "memory" && name !== "code");
      if (strict.length > 0 && strict.length < this.#kernels.length)
        lines.push(this.#meanRow("all but memory and code", strict));
    }
    if (this.#machines.size > 0) lines.push(...this.#machineRows());
    return lines.join("\n");
  }

  #kernelRow({ name }: Kernel): string {
    const cells = this.#names.map((peer) => {
      const figures = this.figures(peer, name);
      if (figures === undefined) return "failed";
      const { wallSeconds, cpuSeconds, ratio } = figures;
      const relative = peer === this.baseline || ratio === undefined ? "" : ` (${pair(ratio)})`;
      return `${wallSeconds.toFixed(2)} / ${cpuSeconds.toFixed(2)}${relative}`;
    });
    return row([name, ...cells]);
  }

  #meanRow(label: string, kernels: readonly Kernel[]): string {
    const cells = this.#names.map((peer) => this.mean(peer, kernels));
    return row([`**${label}**`, ...cells.map((mean) => (mean === undefined ? "–" : `**${pair(mean)}**`))]);
  }

  #machineRows(): string[] {
    const value = (peer: string, pick: (figures: MachineFigures) => number): number | undefined => {
      const rounds = this.#machines.get(peer);
      return rounds === undefined || rounds.length === 0 ? undefined : median(rounds.map(pick));
    };
    const line = (label: string, digits: number, pick: (figures: MachineFigures) => number, hasRatio: boolean) => {
      const base = value(this.baseline, pick);
      const cells = this.#names.map((peer) => {
        const own = value(peer, pick);
        if (own === undefined) return "–";
        const ratio = hasRatio && base !== undefined && peer !== this.baseline ? ` (${(own / base).toFixed(2)})` : "";
        return own.toFixed(digits) + ratio;
      });
      return row([label, ...cells]);
    };
    const peaks = this.#names.map((peer) => this.#result.peakRssMiB.get(peer));
    return [
      line("integer loop without a system, 10⁹ instructions, s", 2, (f) => f.loopSeconds, true),
      line("the same, MIPS", 0, (f) => LOOP_INSTRUCTIONS / 1e6 / f.loopSeconds, false),
      line("boot to a busybox shell, wall s", 1, (f) => f.bootSeconds, true),
      line("the same, CPU s", 1, (f) => f.bootCpuSeconds, true),
      line("idle at the shell, % of one core over 20 s", 1, (f) => f.idlePercent, false),
      line("peak RSS at the shell (256 MiB guest), MiB", 0, (f) => f.shellRssMiB, false),
      row(["peak RSS behind all kernels, MiB", ...peaks.map((peak) => (peak ? peak.toFixed(0) : "–"))]),
    ];
  }
}

function pair({ wall, cpu }: Ratio): string {
  return `${wall.toFixed(2)} / ${cpu.toFixed(2)}`;
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

/** docs/benchmarks.md. `host` and `versions` are lines of free text; times of the command line in ms. */
export function page(
  report: Report,
  kernels: readonly Kernel[],
  facts: {
    readonly rounds: number;
    readonly machineRounds: number;
    readonly host: string;
    readonly versions: string;
    readonly listMs: number;
    readonly infoMs: number;
    readonly failures: readonly string[];
  },
): string {
  const failures =
    facts.failures.length === 0 ? "" : `\nWent wrong:\n\n${facts.failures.map((f) => `* ${f}\n`).join("")}`;
  return `# Benchmarks

Written by \`npm run bench\`: ${facts.rounds} interleaved rounds (${facts.machineRounds} of boot, idle time and memory), medians. A cell is seconds of the host's clock / CPU seconds of the
peer's process (both relative to ${report.baseline}, smaller is better). The peers run the same Linux guest with the same programs and
their results are compared. ${facts.host}. ${facts.versions}.
The machines that measured it are shared: differences under 15 % mean nothing.

${report.table()}
${failures}
The command line: \`list vms\` ${facts.listMs.toFixed(0)} ms, \`showvminfo\` ${facts.infoMs.toFixed(0)} ms (medians of seven).

## How it is measured

Each round boots every peer once (Debian's 686 kernel, an initramfs of our own, 256 MiB), then runs each kernel on one peer after the
other, each in a process of its own, before it goes on to the next kernel; who begins changes from round to round. The guest marks
start and end on the serial port, and time and CPU time are taken on the host when the marks come out, so compiling and starting
the program count and the guest's clock does not matter. \`anneau\` is the translator; the interpreter runs in the first round only.
\`native\` is the same programs on the host's processor. Every peer shows its guest another processor, and programs choose code by that.

| kernel | class | what it does |
| --- | --- | --- |
${kernels.map(({ name, class: kind, about }) => row([name, kind, about])).join("\n")}

## Running a part of it

    npm run bench -- --only integer,pipe --rounds 1 --peers anneau,qemu-x86_64
    npm run bench -- --only integer,pipe --anneau before=/old/bin/anneau --anneau after=bin/anneau

\`npm run bench:endurance\` is an hour of all kernels in turn, with resident memory and the guest's clock; what it gave stands in
[engine.md](engine.md).

\`--quick\` is one round without the interpreter and the idle times; \`--anneau-flags\` gives more words to \`anneau run\`; \`--profile
FOLDER\` writes Node's CPU profiles of Anneau's threads and prints what they show for each kernel; \`--list\` names kernels and peers.
`;
}
