/**
 * The engine's timers: a heap over one host timer, so that thousands of connections cost one. A timer that is moved later stays
 * where it is and is looked at again when its old time comes: acknowledgements move retransmission timers all the time.
 */
import type { HostNetwork, HostTimer } from "./host-network.ts";

/** Something with a deadline. `onTimer` may come early: its owner looks at its own deadlines and schedules again. */
export interface Timed {
  /** Place in the heap, -1 outside; kept by Timers. */
  heapIndex: number;
  /** When the heap looks at it; kept by Timers. */
  dueMs: number;
  onTimer(nowMs: number): void;
}

export class Timers {
  readonly #host: HostNetwork;
  readonly #heap: Timed[] = [];
  #armed: HostTimer | undefined;
  #armedForMs = Number.POSITIVE_INFINITY;
  /** When it was stopped, by the host's clock. */
  #stoppedAtMs: number | undefined;
  #pausedMs = 0;

  constructor(host: HostNetwork) {
    this.#host = host;
  }

  get size(): number {
    return this.#heap.length;
  }

  /** Calls `timed.onTimer` at `dueMs` at the latest (or when an earlier time that it had comes). */
  schedule(timed: Timed, dueMs: number): void {
    if (timed.heapIndex < 0) {
      timed.dueMs = dueMs;
      timed.heapIndex = this.#heap.length;
      this.#heap.push(timed);
    } else if (timed.dueMs <= dueMs) return;
    else timed.dueMs = dueMs;
    this.#up(timed.heapIndex);
    this.#arm();
  }

  cancel(timed: Timed): void {
    const at = timed.heapIndex;
    if (at < 0) return;
    timed.heapIndex = -1;
    const last = this.#heap.pop()!;
    if (last === timed) return;
    this.#heap[at] = last;
    last.heapIndex = at;
    this.#up(at);
    this.#down(last.heapIndex);
  }

  /** The host's clock without the time in which it was stopped. */
  nowMs(): number {
    return (this.#stoppedAtMs ?? this.#host.nowMs()) - this.#pausedMs;
  }

  /** Time stands still until `start`: the guest is paused. */
  stop(): void {
    this.#stoppedAtMs ??= this.#host.nowMs();
    this.#armed?.cancel();
    this.#armed = undefined;
    this.#armedForMs = Number.POSITIVE_INFINITY;
  }

  start(): void {
    if (this.#stoppedAtMs === undefined) return;
    this.#pausedMs += this.#host.nowMs() - this.#stoppedAtMs;
    this.#stoppedAtMs = undefined;
    this.#arm();
  }

  #arm(): void {
    const first = this.#heap[0];
    if (this.#stoppedAtMs !== undefined || first === undefined || first.dueMs >= this.#armedForMs) return;
    this.#armed?.cancel();
    this.#armedForMs = first.dueMs;
    this.#armed = this.#host.startTimer(Math.max(0, first.dueMs - this.nowMs()), () => this.#fire());
  }

  #fire(): void {
    this.#armed = undefined;
    // Nobody arms meanwhile.
    this.#armedForMs = Number.NEGATIVE_INFINITY;
    const nowMs = this.nowMs();
    for (let left = this.#heap.length; left > 0; left--) {
      const first = this.#heap[0];
      if (first === undefined || first.dueMs > nowMs) break;
      this.cancel(first);
      first.onTimer(nowMs);
    }
    this.#armedForMs = Number.POSITIVE_INFINITY;
    this.#arm();
  }

  #up(from: number): void {
    const heap = this.#heap;
    const timed = heap[from];
    let at = from;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (heap[above].dueMs <= timed.dueMs) break;
      heap[at] = heap[above];
      heap[at].heapIndex = at;
      at = above;
    }
    heap[at] = timed;
    timed.heapIndex = at;
  }

  #down(from: number): void {
    const heap = this.#heap;
    const timed = heap[from];
    let at = from;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && heap[below + 1].dueMs < heap[below].dueMs) below++;
      if (heap[below].dueMs >= timed.dueMs) break;
      heap[at] = heap[below];
      heap[at].heapIndex = at;
      at = below;
    }
    heap[at] = timed;
    timed.heapIndex = at;
  }
}
