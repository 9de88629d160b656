/**
 * The machine's clock and its timers. Guest nanoseconds since power-on come from a time source: the host's monotonic
 * clock minus the time spent paused, or, in deterministic mode, executed instructions plus skipped idle time. Reads are
 * strictly increasing. Timers sit in a binary heap over arrays made when the timer is made: arming allocates nothing.
 * The guest's time-stamp counter is this clock in nanoseconds: a constant 1 GHz.
 */
import { InternalError } from "../base/errors.ts";
import type { Clock, Timer } from "../device-api/clock.ts";

/** Where guest time comes from. */
export interface TimeSource {
  /** Guest nanoseconds since power-on; may stand still between reads, the clock makes them strictly increasing. */
  elapsedNs(): number;
}

/** Host time that passes between two reads beyond what the guest's work explains, up to this, counts as the guest's. */
const GRACE_NS = 5_000;
/** How much slower than its average the guest's work may be before the host is thought to have been away. */
const SLOWNESS = 4;
/** Time that the host was away, at most this much, is handed out in small portions; the rest at once. */
const MAX_DEBT_NS = 50_000_000;

/**
 * Guest time = host time while running, smoothed: when the host was away in the middle of a guest's loop (another
 * process, garbage collection), the time lost is not given to the guest in one leap but while it works on, at most doubling
 * its clock's speed, and all at once when it is idle. Kernels measure their clocks against each other in tight loops and give
 * up a clock that leaps.
 */
export class HostTimeSource implements TimeSource {
  readonly #hostNowNs: () => number;
  readonly #work: (() => number) | undefined;
  #isRunning = false;
  #guestNs = 0;
  #debtNs = 0;
  /** Host time and work at the last read, meaningful while running. */
  #lastHostNs = 0;
  #lastWork = 0;
  #nsPerWork = 20;

  /**
   * `hostNowNs` is a monotonic clock in nanoseconds; its origin does not matter. `work` counts what the guest has done, in
   * units of one instruction; without it nothing is smoothed. Starts stopped at guest time 0.
   */
  constructor(hostNowNs: () => number, work?: () => number) {
    this.#hostNowNs = hostNowNs;
    this.#work = work;
  }

  elapsedNs(): number {
    if (!this.#isRunning) return this.#guestNs;
    const hostNs = this.#hostNowNs();
    let stepNs = hostNs - this.#lastHostNs;
    if (stepNs <= 0) return this.#guestNs;
    this.#lastHostNs = hostNs;
    if (this.#work !== undefined) {
      const work = this.#work();
      const plausibleNs = GRACE_NS + (work - this.#lastWork) * this.#nsPerWork * SLOWNESS;
      this.#lastWork = work;
      if (stepNs > plausibleNs) {
        this.#debtNs += stepNs - plausibleNs;
        stepNs = plausibleNs;
      } else if (this.#debtNs > 0) {
        const paidNs = Math.min(this.#debtNs, stepNs);
        this.#debtNs -= paidNs;
        stepNs += paidNs;
      }
      if (this.#debtNs > MAX_DEBT_NS) {
        stepNs += this.#debtNs - MAX_DEBT_NS;
        this.#debtNs = MAX_DEBT_NS;
      }
    }
    this.#guestNs += stepNs;
    return this.#guestNs;
  }

  /** The guest was idle: all of the host's time that passed is its own. */
  settle(): void {
    if (!this.#isRunning) return;
    const hostNs = this.#hostNowNs();
    this.#guestNs += Math.max(0, hostNs - this.#lastHostNs) + this.#debtNs;
    this.#debtNs = 0;
    this.#lastHostNs = hostNs;
    if (this.#work !== undefined) this.#lastWork = this.#work();
  }

  /** The guest's measured speed. */
  setSpeed(workPerNs: number): void {
    this.#nsPerWork = 1 / workPerNs;
  }

  /** Nanoseconds of the host's clock, for measuring. */
  hostNowNs(): number {
    return this.#hostNowNs();
  }

  /** Guest time runs on from where it stood. */
  start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#lastHostNs = this.#hostNowNs();
    if (this.#work !== undefined) this.#lastWork = this.#work();
  }
  stop(): void {
    this.settle();
    this.#isRunning = false;
  }
  /** Continues from a saved guest time. */
  setElapsed(elapsedNs: number): void {
    this.settle();
    this.#guestNs = elapsedNs;
  }
}

/** Guest time = instructions × a constant + idle time that was skipped. */
export class InstructionTimeSource implements TimeSource {
  readonly nsPerInstruction: number;
  readonly #instructionCount: () => number;
  #skippedNs = 0;

  constructor(nsPerInstruction: number, instructionCount: () => number) {
    this.nsPerInstruction = nsPerInstruction;
    this.#instructionCount = instructionCount;
  }
  elapsedNs(): number {
    return this.#instructionCount() * this.nsPerInstruction + this.#skippedNs;
  }
  /** An idle CPU's time passes at once. */
  skipTo(elapsedNs: number): void {
    const now = this.elapsedNs();
    if (elapsedNs > now) this.#skippedNs += elapsedNs - now;
  }
  setElapsed(elapsedNs: number): void {
    this.#skippedNs = elapsedNs - this.#instructionCount() * this.nsPerInstruction;
  }
}

const DISARMED = -1;

class MachineTimer implements Timer {
  readonly name: string;
  readonly fire: () => void;
  deadlineNs = 0;
  /** Order of arming: ties fire in that order. */
  sequence = 0;
  heapIndex = DISARMED;
  readonly #clock: MachineClock;

  constructor(clock: MachineClock, name: string, fire: () => void) {
    this.#clock = clock;
    this.name = name;
    this.fire = fire;
  }
  get armed(): boolean {
    return this.heapIndex !== DISARMED;
  }
  armAt(deadlineNs: number): void {
    this.#clock.arm(this, deadlineNs);
  }
  armAfter(delayNs: number): void {
    this.#clock.arm(this, this.#clock.nowNs() + delayNs);
  }
  cancel(): void {
    this.#clock.disarm(this);
  }
}

export class MachineClock implements Clock {
  readonly #source: TimeSource;
  /** Armed timers in heap order first, then the disarmed ones in any order: its length changes only with a new timer. */
  readonly #heap: MachineTimer[] = [];
  #armed = 0;
  #lastNs = 0;
  #sequence = 0;
  #onEarlierDeadline: () => void = () => {};

  constructor(source: TimeSource) {
    this.#source = source;
  }

  /** `listener` runs when a timer becomes the next one to fire, so that a CPU budget in progress can be cut short. */
  onEarlierDeadline(listener: () => void): void {
    this.#onEarlierDeadline = listener;
  }

  nowNs(): number {
    let now = Math.floor(this.#source.elapsedNs());
    if (now <= this.#lastNs) now = this.#lastNs + 1;
    this.#lastNs = now;
    return now;
  }

  /** The time as of the last read or of a stopped source: what a saved state holds. Reading it moves nothing. */
  get lastNs(): number {
    return Math.max(this.#lastNs, Math.floor(this.#source.elapsedNs()));
  }

  createTimer(name: string, fire: () => void): Timer {
    // The heap's array grows here, once per timer, and never when arming.
    const timer = new MachineTimer(this, name, fire);
    this.#heap.push(timer);
    return timer;
  }

  /** The earliest deadline, or Infinity. */
  get nextDeadlineNs(): number {
    return this.#armed > 0 ? this.#heap[0].deadlineNs : Number.POSITIVE_INFINITY;
  }

  /**
   * Fires what is due at `nowNs`, in order of deadline, then of arming. A timer re-armed for the past while this runs
   * fires in the next pass, so the guest runs in between and no device can keep the machine here.
   */
  fireDue(nowNs: number): void {
    const startSequence = this.#sequence;
    while (this.#armed > 0) {
      const timer = this.#heap[0];
      if (timer.deadlineNs > nowNs || timer.sequence > startSequence) return;
      this.disarm(timer);
      timer.fire();
    }
  }

  /** For the clock's own timers. */
  arm(timer: MachineTimer, deadlineNs: number): void {
    if (!Number.isFinite(deadlineNs)) throw new InternalError(`timer ${timer.name}: deadline ${deadlineNs}`);
    timer.deadlineNs = deadlineNs;
    timer.sequence = ++this.#sequence;
    if (timer.heapIndex === DISARMED) this.#swapIn(timer, this.#armed++);
    this.#sift(timer);
    if (timer.heapIndex === 0) this.#onEarlierDeadline();
  }

  disarm(timer: MachineTimer): void {
    const index = timer.heapIndex;
    if (index === DISARMED) return;
    const last = this.#heap[--this.#armed];
    this.#heap[this.#armed] = timer;
    timer.heapIndex = DISARMED;
    if (last === timer) return;
    this.#heap[index] = last;
    last.heapIndex = index;
    this.#sift(last);
  }

  /** Names and deadlines of armed timers, for logs. */
  describe(): string[] {
    return this.#heap.slice(0, this.#armed).map((t) => `${t.name} at ${t.deadlineNs}`);
  }

  /** Disarms every timer: a saved state arms its own. */
  cancelAll(): void {
    while (this.#armed > 0) this.disarm(this.#heap[0]);
  }

  /** Continues from a saved guest time; the source must have been set to the same. */
  setLast(nowNs: number): void {
    this.#lastNs = nowNs;
  }

  /** Moves a disarmed timer to heap position `index`, whatever sat there goes to the timer's old place. */
  #swapIn(timer: MachineTimer, index: number): void {
    const heap = this.#heap;
    const from = heap.indexOf(timer, index);
    heap[from] = heap[index];
    heap[index] = timer;
    timer.heapIndex = index;
  }

  #sift(timer: MachineTimer): void {
    const heap = this.#heap;
    let index = timer.heapIndex;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isEarlier(timer, heap[parent])) break;
      heap[index] = heap[parent];
      heap[index].heapIndex = index;
      index = parent;
    }
    for (;;) {
      let child = 2 * index + 1;
      if (child >= this.#armed) break;
      if (child + 1 < this.#armed && isEarlier(heap[child + 1], heap[child])) child++;
      if (!isEarlier(heap[child], timer)) break;
      heap[index] = heap[child];
      heap[index].heapIndex = index;
      index = child;
    }
    heap[index] = timer;
    timer.heapIndex = index;
  }
}

function isEarlier(a: MachineTimer, b: MachineTimer): boolean {
  return a.deadlineNs < b.deadlineNs || (a.deadlineNs === b.deadlineNs && a.sequence < b.sequence);
}
