/**
 * Keys of viewers on their way to the machine's keyboard, in order, one request at a time, at the pace at which the guest takes
 * them. When too many wait, keys that go down are lost, and nothing else: a key that is down always comes up again.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { MachineThreadClient } from "./machine-thread-client.ts";

/** Scan codes that may wait beside those that the keyboard itself keeps; more than a page of text. */
const MAX_WAITING_BYTES = 16_384;
const BREAK = 0x80;
/** How soon a keyboard that was full is asked again; rarer and rarer while the guest takes nothing. */
const FIRST_LOOK_MS = 10;
const LAST_LOOK_MS = 640;

export class KeyQueue {
  readonly #machine: Pick<MachineThreadClient, "request">;
  /** Keys whose scan codes for going down were taken, and those for coming up not yet. */
  readonly #down = new Set<number>();
  #waiting: number[] = [];
  #isDelivering = false;

  constructor(machine: Pick<MachineThreadClient, "request">) {
    this.#machine = machine;
  }

  /** One key going down or coming up, in set 1: whole sequences only. */
  put(scancodes: readonly number[]): void {
    if (scancodes.length === 0) return;
    const isUp = (scancodes.at(-1)! & BREAK) !== 0;
    const key = keyOf(scancodes);
    if (key === undefined) {
      if (this.#waiting.length >= MAX_WAITING_BYTES) return;
    } else if (isUp) {
      if (!this.#down.delete(key)) return;
    } else {
      if (this.#waiting.length >= MAX_WAITING_BYTES) return;
      this.#down.add(key);
    }
    this.#waiting.push(...scancodes);
    if (!this.#isDelivering) void this.#deliver();
  }

  async #deliver(): Promise<void> {
    this.#isDelivering = true;
    let lookMs = FIRST_LOOK_MS;
    try {
      while (this.#waiting.length > 0) {
        const { taken } = await this.#machine.request("scancodes", { bytes: this.#waiting.slice(0, 256) });
        this.#waiting = this.#waiting.slice(taken);
        if (taken > 0) lookMs = FIRST_LOOK_MS;
        else {
          await sleep(lookMs, undefined, { ref: false });
          lookMs = Math.min(LAST_LOOK_MS, lookMs * 2);
        }
      }
    } catch {
      // The machine is off.
      this.#waiting = [];
    } finally {
      this.#isDelivering = false;
    }
  }
}

/** A number for the key; undefined for Pause, which comes up by itself. */
function keyOf(scancodes: readonly number[]): number | undefined {
  const last = scancodes[scancodes.length - 1] & ~BREAK;
  if (scancodes.length === 1) return last;
  if (scancodes.length === 2) return last | BREAK;
  // Print Screen: four bytes, which come up in another order.
  return scancodes.length === 4 ? 0x100 : undefined;
}
