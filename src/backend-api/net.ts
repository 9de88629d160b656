/**
 * What a network card is plugged into. Frames are Ethernet II from destination address to payload, without preamble and
 * FCS: 14 to 1518 bytes (with a VLAN tag), more only if the card is configured for jumbo frames.
 */

/** Longest frame without jumbo frames: header, VLAN tag and 1500 bytes. */
export const MAX_FRAME_BYTES = 1518;

/** A socket in a switch. All calls on the machine thread, none blocks. */
export interface NetBackend {
  /** One frame from the guest, valid during the call. False: no room now; the card keeps it and tries again after an event. */
  send(frame: Uint8Array): boolean;
  /** Length of the next frame for the guest, 0 if there is none. */
  readonly readableBytes: number;
  /** Moves the next frame into `target` and returns its length; 0 if there is none. A frame longer than `target` is dropped. */
  receive(target: Uint8Array): number;
  /** `listener` runs on the machine thread when frames have arrived or space has become free, never during a call above. */
  onEvent(listener: () => void): void;
}
