/**
 * Typing at the pace at which the guest takes keys: a keyboard keeps some thousand bytes, a text may have more. Texts are typed one
 * after the other, never mixed.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { MachineThreadClient } from "./machine-thread-client.ts";

const LOOK_MS = 20;
/** A guest that has taken nothing for so long takes no more. */
const PATIENCE_MS = 5_000;

/** The guest does not take keys. */
export class KeysLeftError extends Error {
  override readonly name = "KeysLeftError";
}

export class Typist {
  #last: Promise<void> = Promise.resolve();

  /** Resolves when the keyboard has every byte (set 1 scan codes). Rejects with KeysLeftError, or as a request does. */
  type(machine: Pick<MachineThreadClient, "request">, bytes: readonly number[]): Promise<void> {
    const typed = this.#last.then(() => typeAll(machine, bytes));
    this.#last = typed.catch(() => {});
    return typed;
  }
}

async function typeAll(machine: Pick<MachineThreadClient, "request">, bytes: readonly number[]): Promise<void> {
  let movedMs = performance.now();
  for (let at = 0; at < bytes.length; ) {
    const { taken } = await machine.request("scancodes", { bytes: bytes.slice(at) });
    at += taken;
    if (at >= bytes.length) return;
    if (taken > 0) movedMs = performance.now();
    else if (performance.now() - movedMs > PATIENCE_MS)
      throw new KeysLeftError(
        `Could not send all scan codes to the virtual keyboard (${at} of ${bytes.length} were sent)`,
      );
    await sleep(LOOK_MS);
  }
}
