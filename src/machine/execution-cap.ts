/**
 * The CPU execution cap: how much of the host's time the machine thread may use, in per cent of one of its processors. Time in
 * use is the thread's own processor time, so what other threads take away is not charged. Standing still comes in rests of a few
 * milliseconds; the guest's clock runs on meanwhile, as under VirtualBox.
 */

/** Looking at the clocks costs a system call: not more often than this. */
const CHECK_NS = 1_000_000;
/** Rests are at least this long. */
const LEAST_REST_NS = 2_000_000;
/** Time in which the thread did not get its share may be made up for, up to this much: a busy host takes and gives. */
const MOST_CREDIT_NS = 400_000_000;
/** One rest is not longer, whatever a clock says. */
const LONGEST_REST_NS = 1_000_000_000;

export class ExecutionCap {
  readonly #hostNowNs: () => number;
  readonly #usedNs: () => number;
  #percent = 100;
  #lastHostNs = 0;
  #lastUsedNs = 0;
  /** Host time that has to pass before the thread is within its share; negative: it has been idle. */
  #owedNs = 0;

  /** `hostNowNs` is monotonic, `usedNs` the calling thread's processor time; their origins do not matter. */
  constructor(hostNowNs: () => number, usedNs: () => number) {
    this.#hostNowNs = hostNowNs;
    this.#usedNs = usedNs;
  }

  get percent(): number {
    return this.#percent;
  }

  /** 1 to 100; 100 is no cap. Counts from now on. */
  set percent(percent: number) {
    this.#percent = percent;
    this.#owedNs = 0;
    this.#lastHostNs = this.#hostNowNs();
    this.#lastUsedNs = this.#usedNs();
  }

  /** How long the thread has to stand still now, in nanoseconds; 0 while it is within its share. Cheap to ask often. */
  dueRestNs(): number {
    if (this.#percent >= 100 || this.#hostNowNs() - this.#lastHostNs < CHECK_NS) return 0;
    const owedNs = this.leftNs();
    return owedNs < LEAST_REST_NS ? 0 : owedNs;
  }

  /** What is left of a rest. */
  leftNs(): number {
    const hostNs = this.#hostNowNs();
    const usedNs = this.#usedNs();
    this.#owedNs += ((usedNs - this.#lastUsedNs) * 100) / this.#percent - (hostNs - this.#lastHostNs);
    this.#owedNs = Math.max(-MOST_CREDIT_NS, Math.min(LONGEST_REST_NS, this.#owedNs));
    this.#lastHostNs = hostNs;
    this.#lastUsedNs = usedNs;
    return this.#percent >= 100 ? 0 : Math.max(0, this.#owedNs);
  }
}
