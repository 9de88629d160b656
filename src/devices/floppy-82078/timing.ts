/**
 * How long the controller takes, in guest time. Nothing completes inside the guest's own access: drivers rely on the time
 * between a command and its interrupt. A real drive needs 11 ms for a sector and 3 ms for a step; these are short times
 * that are safe.
 */
export const timing = {
  /** End of a reset to the polling interrupt. */
  resetNs: 100_000,
  /** A seek without a step; each step. */
  seekNs: 50_000,
  stepNs: 20_000,
  /** Until the next sector passes the head. */
  sectorNs: 50_000,
  /** Two revolutions without the sector. */
  searchNs: 2_000_000,
  /** Between two fillings of the FIFO without DMA. */
  fifoNs: 10_000,
  /** How long the FIFO waits for the host; a driver that has enough just stops reading. */
  fifoWaitNs: 50_000_000,
  /** From a channel that became ready to its data. */
  dmaStartNs: 2_000,
  /** How long data waits for a channel that is not ready: a revolution. */
  dmaWaitNs: 200_000_000,
} as const;
