/**
 * A legacy DMA channel (8237A) as a device on the ISA bus holds it: the floppy controller, sound cards. The machine hands it
 * to the device's factory; the controller itself is a device of its own.
 */

/** A channel as the device on its DREQ and DACK wires holds it. */
export interface DmaChannel {
  /** Unmasked, its controller enabled: a transfer would move something now. */
  readonly isReady: boolean;
  /**
   * Moves bytes from the device into guest memory ("to-memory") or the other way, at most up to terminal count. Returns the
   * bytes moved: 0 if not ready, fewer than `bytes.length` if terminal count came first. Word channels move whole words.
   * The mode register has the last word: in verify mode, or if it says the opposite direction, only the counters move
   * (and the device reads all ones).
   */
  transfer(direction: "to-memory" | "from-memory", bytes: Uint8Array): number;
  /** Whether the last `transfer` ended with terminal count. */
  readonly reachedTerminalCount: boolean;
  /** `listener` runs when the channel becomes ready; a device that waits with DREQ high goes on then. */
  onReady(listener: () => void): void;
}
