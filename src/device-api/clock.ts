/**
 * The machine's time as devices see it: guest nanoseconds since power-on. Wall-clock driven by default, driven by
 * executed instructions in deterministic mode; devices cannot tell and never read host time.
 */

export interface Clock {
  /** Guest nanoseconds since power-on. Strictly later on every read, never backwards (a stalled timer hangs guests). */
  nowNs(): number;
  /**
   * Makes a timer, disarmed. Made once at attach and re-armed for ever after: arming allocates nothing. `fire` runs on
   * the machine thread between CPU budgets, at or after the deadline, with the timer already disarmed.
   */
  createTimer(name: string, fire: () => void): Timer;
}

export interface Timer {
  /** Arms (or re-arms) for the absolute guest time `deadlineNs`; one in the past fires at the next opportunity. */
  armAt(deadlineNs: number): void;
  /** Arms (or re-arms) `delayNs` from now. */
  armAfter(delayNs: number): void;
  cancel(): void;
  readonly armed: boolean;
  /** Meaningful while armed. */
  readonly deadlineNs: number;
}

/** Wall-clock time of day, for the RTC only; injected so that tests and deterministic runs fix it. */
export interface WallClock {
  /** Milliseconds since 1970-01-01T00:00:00Z. */
  nowMs(): number;
  /** Minutes to add to UTC for local time. */
  utcOffsetMinutes(): number;
}
