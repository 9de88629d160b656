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

/** Guest time = host time while running. */
export class HostTimeSource implements TimeSource {
  readonly #hostNowNs: () => number;
  /** Host time that corresponds to guest time 0, meaningful while running. */
  #originNs = 0;
  #frozenNs = 0;
  #isRunning = false;

  /** `hostNowNs` is a monotonic clock in nanoseconds; its origin does not matter. Starts stopped at guest time 0. */
  constructor(hostNowNs: () => number) {
    this.#hostNowNs = hostNowNs;
  }
  elapsedNs(): number {
    return this.#isRunning ? this.#hostNowNs() - this.#originNs : this.#frozenNs;
  }
  /** Guest time runs on from where it stood. */
  start(): void {
    if (this.#isRunning) return;
    this.#originNs = this.#hostNowNs() - this.#frozenNs;
    this.#isRunning = true;
  }
  stop(): void {
    if (!this.#isRunning) return;
    this.#frozenNs = this.#hostNowNs() - this.#originNs;
    this.#isRunning = false;
  }
  /** Continues from a saved guest time. */
  setElapsed(elapsedNs: number): void {
    this.#frozenNs = elapsedNs;
    this.#originNs = this.#hostNowNs() - elapsedNs;
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
