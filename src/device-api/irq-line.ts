/**
 * An interrupt wire as a device holds it. Levels are state; edges are made by the interrupt controller that looks at the
 * level. Raising a raised line does nothing. Loading saved state sets levels through `restoreLevel` of the controller's
 * own state, so it creates no edge: a device does not raise from `load`.
 */
export interface IrqLine {
  raise(): void;
  lower(): void;
}

/** A general digital wire between two chips (gate A20, INTR to the CPU, PIT output): the machine makes and routes it. */
export interface Wire {
  readonly level: boolean;
  set(level: boolean): void;
}

/** Not connected to anything. */
export const openLine: IrqLine = { raise() {}, lower() {} };
