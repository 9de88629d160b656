/**
 * The `--trace` switch: which channels are on, and the stable line format "CHANNEL NANOSECONDS TEXT" that tests may assert on.
 * Channels: pio, mmio, pci, irq and the names that devices ask for.
 */
import { silentTrace, type TraceChannel } from "../base/logger.ts";

/** Makes channels. `nowNs` gives guest time; a channel that is off costs a property read. */
export function createTracer(
  enabled: ReadonlySet<string>,
  nowNs: () => number,
  sink: (line: string) => void,
): (channel: string) => TraceChannel {
  return (channel) => {
    if (!enabled.has(channel) && !enabled.has("all")) return silentTrace;
    return { enabled: true, line: (text) => sink(`${channel} ${nowNs()} ${text}`) };
  };
}
