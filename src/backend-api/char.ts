/** A byte stream behind a serial or parallel port. All calls on the machine thread, none blocks. */
export interface CharBackend {
  /** One byte from the guest. False: the host side cannot take it now; the device keeps it and tries again. */
  write(byte: number): boolean;
  /** The next byte for the guest, or -1. */
  read(): number;
  /** Whether `read` would give a byte. */
  readonly readable: boolean;
  /** Whether something is connected (drives DSR/CTS/DCD). */
  readonly connected: boolean;
  /** `listener` runs on the machine thread when bytes arrive, space frees up or the connection changes. */
  onEvent(listener: () => void): void;
}
