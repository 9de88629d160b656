/**
 * Logging and tracing contract. Implementations live with the process that owns the output (the machine thread writes
 * into a shared ring that the main thread drains). Nothing below layer 5 prints.
 */

export interface Logger {
  info(text: string): void;
  warn(text: string): void;
  error(text: string): void;
}

/** Swallows everything: unit tests and parts that nobody listens to. */
export const silentLogger: Logger = { info() {}, warn() {}, error() {} };

/** Collects lines, for tests that assert on what was said. */
export class MemoryLogger implements Logger {
  readonly lines: string[] = [];
  info(text: string): void {
    this.lines.push(`info ${text}`);
  }
  warn(text: string): void {
    this.lines.push(`warn ${text}`);
  }
  error(text: string): void {
    this.lines.push(`error ${text}`);
  }
}

/** The names of all channels. */
export const traceChannels = ["pio", "mmio", "pci", "ide", "floppy"] as const;
export type TraceChannelName = (typeof traceChannels)[number];

/**
 * The `--trace` switch. A part keeps its `TraceChannel` and asks `enabled` before it builds a line, so a trace that is
 * off costs one property read.
 */
export interface TraceChannel {
  readonly enabled: boolean;
  line(text: string): void;
}

export const silentTrace: TraceChannel = { enabled: false, line() {} };
