/**
 * How long the drives are busy, in guest time. Nothing completes inside the guest's own access: drivers rely on the time
 * between a command and its interrupt (a driver that is interrupted before it has stored its state loses the interrupt).
 * Real drives are slower; these are the shortest times that are safe.
 */
export interface IdeTiming {
  /** From the command register to the result of a command without data, or to the start of its data work. */
  readonly commandNs: number;
  /** Busy time between two blocks of a PIO transfer, and after the last one written. */
  readonly pioBlockNs: number;
  /** From bus master and drive both ready to the first byte. */
  readonly dmaStartNs: number;
  /** From PACKET to the request for the packet, and from the packet to its work. */
  readonly packetNs: number;
  /** From the end of a reset to ready. */
  readonly resetNs: number;
}

export const defaultTiming: IdeTiming = {
  commandNs: 3_000,
  pioBlockNs: 1_000,
  dmaStartNs: 8_000,
  packetNs: 2_000,
  resetNs: 100_000,
};
