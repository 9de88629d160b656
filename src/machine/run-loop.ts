/**
 * The machine thread's loop. It runs the CPU in budgets bounded by the next timer and by about 100 µs of guest time; between
 * budgets it fires timers, carries out what devices asked for (reset, power off) and takes what other threads posted. A
 * halted CPU sleeps in `Atomics.wait` on the doorbell until the next timer, so an idle guest costs almost nothing and a
 * completion wakes it at once. Instructions per nanosecond are measured all the time to turn time into budgets. In
 * deterministic mode budgets come from instruction counts alone and idle time is skipped.
 */
import type { VirtualCpu } from "../device-api/virtual-cpu.ts";
import { HostTimeSource, type InstructionTimeSource, type MachineClock } from "./clock.ts";
import type { ExecutionCap } from "./execution-cap.ts";

/** Longest slice of guest time in one budget: what is posted meanwhile waits at most that long. */
const SLICE_NS = 100_000;
const MIN_BUDGET = 200;
/** Speed is taken over at least this much of the host's time. */
const MEASURE_NS = 50_000;
const MAX_BUDGET = 4_000_000;
/** A wait shorter than this is spun: a thread's sleep takes about as long. */
const SPIN_NS = 40_000;
/** Sleeps are cut into pieces so that a lost doorbell would only delay things. */
const MAX_SLEEP_MS = 1000;

export interface RunLoopOptions {
  readonly cpu: VirtualCpu;
  readonly clock: MachineClock;
  /** Where the clock's time comes from: the host, or instructions (deterministic mode). */
  readonly time: HostTimeSource | InstructionTimeSource;
  /**
   * One shared 32-bit counter. Whoever posts something for the machine thread adds 1 and notifies. Without one, the loop
   * does not sleep (a single-threaded host gives the time back between `step` calls).
   */
  readonly doorbell?: Int32Array;
  /** How much of the host's time may be used; not for deterministic machines. */
  readonly cap?: ExecutionCap;
  /** Takes what was posted; called between budgets whenever the doorbell has changed. */
  readonly poll?: () => void;
  /** What devices asked for during the budget (reset, power off); called after each budget in which `attention` was set. */
  readonly serve: () => void;
  /** The CPU is in shutdown. Resets the machine or ends the loop. */
  readonly onTripleFault: () => void;
  /** A breakpoint of the debugger was reached. */
  readonly onBreakpoint?: () => void;
}

export interface RunStatistics {
  /** Instructions executed since power-on. */
  readonly instructions: number;
  /** Guest nanoseconds spent halted. */
  readonly idleNs: number;
  /** Guest nanoseconds spent in CPU budgets. */
  readonly busyNs: number;
  readonly slices: number;
  /** Nanoseconds that the execution cap took. */
  readonly restedNs: number;
}

export class RunLoop {
  readonly #options: RunLoopOptions;
  readonly #cpu: VirtualCpu;
  readonly #clock: MachineClock;
  readonly #doorbell: Int32Array | undefined;
  #heardDoorbell = 0;
  #instructionsPerNs = 0.05;
  #measuredNs = 0;
  #measuredInstructions = 0;
  #sliceEndNs = 0;
  #isPaused = false;
  #hasEnded = false;
  #wantsService = false;
  #idleNs = 0;
  #busyNs = 0;
  #slices = 0;
  #restedNs = 0;

  constructor(options: RunLoopOptions) {
    this.#options = options;
    this.#cpu = options.cpu;
    this.#clock = options.clock;
    this.#doorbell = options.doorbell;
    // A device that arms a timer for this very slice gets it on time.
    options.clock.onEarlierDeadline(() => {
      if (options.clock.nextDeadlineNs < this.#sliceEndNs) this.#cpu.requestStop();
    });
  }

  /** Runs until `end`. */
  run(): void {
    while (!this.#hasEnded) {
      this.step(true);
      if (this.#options.cap !== undefined) this.#rest(this.#options.cap);
    }
  }

  /**
   * One turn: posted work, due timers, one budget, requests, and — if the guest is idle — the wait for the next event.
   * `maxInstructions` cuts the budget short. False: nothing will ever happen without something posted (halted, no timer,
   * no doorbell) or the loop has ended.
   */
  step(maySleep: boolean, maxInstructions = MAX_BUDGET): boolean {
    this.#listen();
    if (this.#hasEnded) return false;
    if (this.#isPaused) {
      if (maySleep) this.#sleep(MAX_SLEEP_MS);
      return maySleep;
    }
    const startNs = this.#clock.nowNs();
    const { time } = this.#options;
    const startHostNs = time instanceof HostTimeSource ? time.hostNowNs() : 0;
    this.#clock.fireDue(startNs);
    this.#serve();
    if (this.#hasEnded || this.#isPaused) return !this.#hasEnded;
    const before = this.#cpu.instructionCount;
    const reason = this.#cpu.run(Math.min(maxInstructions, this.#budget(startNs)));
    this.#sliceEndNs = 0;
    this.#slices++;
    this.#busyNs += this.#clock.nowNs() - startNs;
    if (time instanceof HostTimeSource)
      this.#measure(time, time.hostNowNs() - startHostNs, this.#cpu.instructionCount - before);
    this.#serve();
    if (this.#hasEnded) return false;
    switch (reason) {
      case "halt":
        return this.#isPaused || this.#idle(maySleep);
      case "triple-fault":
        this.#options.onTripleFault();
        break;
      case "breakpoint":
        this.#options.onBreakpoint?.();
        break;
      case "budget":
      case "stop":
        break;
    }
    return !this.#hasEnded;
  }

  /** From a device's access: come back soon and call `serve`. */
  requestService(): void {
    this.#wantsService = true;
    this.#cpu.requestStop();
  }

  /** The CPU does not run until `resume`; timers stand still with the clock (the lifecycle stops its source). */
  pause(): void {
    this.#isPaused = true;
    this.#cpu.requestStop();
  }
  resume(): void {
    this.#isPaused = false;
  }
  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** `run` returns after the current turn. */
  end(): void {
    this.#hasEnded = true;
    this.#cpu.requestStop();
  }
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Measured speed in instructions per second, smoothed. */
  get instructionsPerSecond(): number {
    return this.#instructionsPerNs * 1e9;
  }

  statistics(): RunStatistics {
    const instructions = this.#cpu.instructionCount;
    return { instructions, idleNs: this.#idleNs, busyNs: this.#busyNs, slices: this.#slices, restedNs: this.#restedNs };
  }

  #listen(): void {
    if (this.#doorbell === undefined) return;
    const rung = Atomics.load(this.#doorbell, 0);
    if (rung === this.#heardDoorbell) return;
    this.#heardDoorbell = rung;
    this.#options.poll?.();
  }

  #serve(): void {
    if (!this.#wantsService) return;
    this.#wantsService = false;
    this.#options.serve();
  }

  #budget(nowNs: number): number {
    const untilTimerNs = this.#clock.nextDeadlineNs - nowNs;
    const sliceNs = Math.max(0, Math.min(untilTimerNs, SLICE_NS));
    this.#sliceEndNs = nowNs + SLICE_NS;
    const exact = this.#options.time;
    if (!(exact instanceof HostTimeSource)) return Math.max(1, Math.floor(sliceNs / exact.nsPerInstruction));
    return Math.max(MIN_BUDGET, Math.min(MAX_BUDGET, Math.floor(sliceNs * this.#instructionsPerNs)));
  }

  #measure(time: HostTimeSource, spentNs: number, instructions: number): void {
    this.#measuredNs += spentNs;
    this.#measuredInstructions += instructions;
    // A few instructions say nothing about speed: mostly one device access or the start of an interrupt handler.
    if (this.#measuredNs < MEASURE_NS) return;
    const rate = Math.min(10, Math.max(0.0005, this.#measuredInstructions / this.#measuredNs));
    this.#instructionsPerNs += (rate - this.#instructionsPerNs) / 8;
    time.setSpeed(this.#instructionsPerNs);
    this.#measuredNs = 0;
    this.#measuredInstructions = 0;
  }

  /** The CPU is halted: lets time pass until the next timer or until somebody rings. */
  #idle(maySleep: boolean): boolean {
    const deadlineNs = this.#clock.nextDeadlineNs;
    const { time } = this.#options;
    const startNs = this.#clock.nowNs();
    if (!(time instanceof HostTimeSource) && deadlineNs !== Number.POSITIVE_INFINITY) {
      time.skipTo(deadlineNs);
      this.#idleNs += Math.max(0, deadlineNs - startNs);
      return true;
    }
    const waitNs = deadlineNs - startNs;
    if (waitNs <= 0) return true;
    if (waitNs < SPIN_NS) {
      while (this.#clock.nowNs() < deadlineNs && !this.#isRung()) {}
    } else if (this.#doorbell === undefined || !maySleep) {
      return deadlineNs !== Number.POSITIVE_INFINITY;
    } else {
      this.#sleep(Math.min(MAX_SLEEP_MS, waitNs / 1e6));
    }
    if (time instanceof HostTimeSource) time.settle();
    this.#idleNs += this.#clock.nowNs() - startNs;
    return true;
  }

  /** Stands still for what the cap says. Requests are taken, timers fire afterwards; the guest's clock runs on. */
  #rest(cap: ExecutionCap): void {
    const { time } = this.#options;
    if (!(time instanceof HostTimeSource)) return;
    const startNs = time.hostNowNs();
    let leftNs = cap.dueRestNs();
    if (leftNs === 0) return;
    while (leftNs > 0 && !this.#hasEnded && !this.#isPaused) {
      this.#sleep(leftNs / 1e6);
      this.#listen();
      leftNs = cap.leftNs();
    }
    time.settle();
    this.#restedNs += time.hostNowNs() - startNs;
  }

  #isRung(): boolean {
    return this.#doorbell !== undefined && Atomics.load(this.#doorbell, 0) !== this.#heardDoorbell;
  }

  #sleep(timeoutMs: number): void {
    if (this.#doorbell !== undefined) Atomics.wait(this.#doorbell, 0, this.#heardDoorbell, timeoutMs);
  }
}
