/**
 * The requests one drive has at its back end. Counts what is in flight (pause, save and reset wait for zero), forgets
 * completions of commands that a reset has aborted, and invalidates guest RAM that a back end wrote into before anybody
 * hears of it, aborted or not.
 */
import type { BlockBackend, BlockDone } from "../../backend-api/block.ts";
import type { GuestMemory } from "../../device-api/guest-memory.ts";

export class BackendRequests {
  /** Requests issued and not yet answered, abandoned ones included. */
  inFlight = 0;
  readonly #memory: GuestMemory;
  readonly #onDrained: () => void;
  #epoch = 0;

  /** `onDrained` runs when the last request in flight has been answered and its completion handled. */
  constructor(memory: GuestMemory, onDrained: () => void) {
    this.#memory = memory;
    this.#onDrained = onDrained;
  }

  /** Reads into `target`; `gpa` is its guest-physical address if it is a view of guest RAM, else -1. */
  read(backend: BlockBackend, offsetBytes: number, target: Uint8Array, gpa: number, done: BlockDone): void {
    const finish = this.#track(gpa, target.length, done);
    if (offsetBytes < 0 || offsetBytes + target.length > backend.sizeBytes) finish(false);
    else backend.read(offsetBytes, target, finish);
  }

  write(backend: BlockBackend, offsetBytes: number, source: Uint8Array, done: BlockDone): void {
    const finish = this.#track(-1, 0, done);
    if (backend.readOnly || offsetBytes < 0 || offsetBytes + source.length > backend.sizeBytes) finish(false);
    else backend.write(offsetBytes, source, finish);
  }

  flush(backend: BlockBackend, done: BlockDone): void {
    backend.flush(this.#track(-1, 0, done));
  }

  /** The command behind the requests in flight is gone: their completions change nothing any more. */
  abandon(): void {
    this.#epoch++;
  }

  #track(gpa: number, lengthBytes: number, done: BlockDone): BlockDone {
    const epoch = this.#epoch;
    let isAnswered = false;
    this.inFlight++;
    return (ok) => {
      if (isAnswered) return;
      isAnswered = true;
      this.inFlight--;
      if (gpa >= 0) this.#memory.invalidate(gpa, lengthBytes);
      if (epoch === this.#epoch) done(ok);
      if (this.inFlight === 0) this.#onDrained();
    };
  }
}
