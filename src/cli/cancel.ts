/** Long work that a signal (Ctrl-C) can end: done in steps, with a look at what has come in between. */
import { AnneauError } from "../base/errors.ts";
import { ResultError } from "../config/result-codes.ts";
import type { Steps } from "../disk/create.ts";

/** The person gave the work up. */
export class CancelledError extends AnneauError {
  override name = "CancelledError";
  constructor() {
    super("cancelled");
  }
}

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** How long steps may follow each other before signals are looked for. */
const TURN_MS = 20;

/** Runs the steps to their end. A signal ends them with CancelledError, after they have cleaned up behind them. */
export async function runCancellable<T>(steps: Steps<T>): Promise<T> {
  let isCancelled = false;
  let wake: () => void = () => {};
  const cancelled = new Promise<void>((resolve) => {
    wake = resolve;
  });
  const cancel = () => {
    isCancelled = true;
    wake();
  };
  for (const signal of signals) process.on(signal, cancel);
  try {
    for (let turnEndMs = performance.now() + TURN_MS; ; ) {
      const { done, value } = isCancelled ? steps.throw(new CancelledError()) : steps.next();
      if (done) return value;
      if (value !== undefined) await Promise.race([value, cancelled]);
      if (performance.now() < turnEndMs) continue;
      await new Promise((resolve) => setImmediate(resolve));
      turnEndMs = performance.now() + TURN_MS;
    }
  } finally {
    for (const signal of signals) process.off(signal, cancel);
  }
}

/** Whether an error says, itself or as its cause, that the work was given up. */
export function isCancellation(error: unknown): boolean {
  return error instanceof CancelledError || (error instanceof ResultError && error.cause instanceof CancelledError);
}
