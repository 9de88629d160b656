/**
 * The `--trace` switch: which channels are on, and the stable line format "CHANNEL NANOSECONDS TEXT" that tests may assert on.
 * The channels are listed in base/logger.ts.
 */
import { silentTrace, type TraceChannel, type TraceChannelName } from "../base/logger.ts";

/** Makes channels. `nowNs` gives guest time; a channel that is off costs a property read. */
export function createTracer(
  enabled: ReadonlySet<string>,
  nowNs: () => number,
  sink: (line: string) => void,
): (channel: TraceChannelName) => TraceChannel {
  return (channel) => {
    if (!enabled.has(channel) && !enabled.has("all")) return silentTrace;
    return { enabled: true, line: (text) => sink(`${channel} ${nowNs()} ${text}`) };
  };
}
