/**
 * What a sound card plays into and records from. Samples are signed 16-bit numbers, left and right in turn, as the card
 * gives them to its converter: after its mixer's volumes, at its own rate.
 */
export interface AudioBackend {
  /**
   * Samples from the guest, at the pace of guest time; valid during the call. Called on the machine thread; never blocks.
   * The rate may differ from call to call; between calls there is nothing to hear.
   */
  play(samples: Int16Array, rateHz: number): void;
  /** Fills `samples` with what came in since the last call at that rate; without it, a card records silence. */
  record?(samples: Int16Array, rateHz: number): void;
}

/** Nobody listens. */
export const silentAudio: AudioBackend = { play() {} };
