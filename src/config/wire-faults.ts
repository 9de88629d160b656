/** A network card's wire that is bad on purpose (`anneau run --nic=…,wire=…`). */

export interface WireFaults {
  /** Of 100 frames. */
  readonly lossPercent: number;
  readonly reorderPercent: number;
  /** Each way. */
  readonly delayMs: number;
  readonly seed: number;
}

/** Reads `LOSS:REORDER:DELAY[:SEED]`, per cent, per cent, milliseconds; undefined if it is not that. */
export function parseWireFaults(text: string): WireFaults | undefined {
  const match = /^(\d{1,2}):(\d{1,2}):(\d{1,5})(?::(\d{1,9}))?$/.exec(text);
  if (match === null) return undefined;
  const [lossPercent, reorderPercent, delayMs, seed] = match.slice(1).map((part) => Number(part ?? 1));
  return { lossPercent, reorderPercent, delayMs, seed };
}
