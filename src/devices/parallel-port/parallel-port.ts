/**
 * A bidirectional parallel port (SPP with the direction bit of IEEE 1284's byte mode) and the printer's end of the cable: a
 * strobe gives the byte on the data lines to the back end, BUSY and -ACK answer as a printer does. Not modelled: EPP and ECP
 * (no registers from +3 on), a peripheral that sends.
 */
import type { CharBackend } from "../../backend-api/char.ts";
import type { Clock, Timer } from "../../device-api/clock.ts";
import type { IrqLine } from "../../device-api/irq-line.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import * as R from "./registers.ts";

/** How long the printer needs for a byte, and how long -ACK is low afterwards: a Centronics printer with a buffer. */
const BUSY_NS = 5_000;
const ACK_NS = 2_000;

const phases = ["idle", "busy", "waiting", "acknowledging"] as const;
/** What the printer is doing: taking a byte, waiting for room behind it, pulling -ACK. */
type Phase = (typeof phases)[number];

export class ParallelPort {
  readonly #irq: IrqLine;
  readonly #backend: CharBackend | undefined;
  readonly #timer: Timer;
  #data = 0;
  #control = 0;
  #phase: Phase = "idle";
  /** The byte that the printer is taking. */
  #taken = 0;
  #irqLevel = false;

  constructor(clock: Clock, irq: IrqLine, backend: CharBackend | undefined) {
    this.#irq = irq;
    this.#backend = backend;
    this.#timer = clock.createTimer("parallel port", () => this.#advance());
    backend?.onEvent(() => this.hostEvent());
  }

  reset(): void {
    this.#data = 0;
    // -INIT low: the printer is reset too.
    this.#control = 0;
    this.#phase = "idle";
    this.#timer.cancel();
    this.#setIrq(false);
  }

  readByte(offset: number): number {
    switch (offset) {
      case R.DATA:
        // Pull-ups hold the lines that nobody drives.
        return (this.#control & R.CONTROL_DIRECTION) !== 0 ? 0xff : this.#data;
      case R.STATUS:
        return this.#status();
      case R.CONTROL:
        return this.#control | R.CONTROL_UNUSED;
      default:
        return 0xff;
    }
  }

  writeByte(offset: number, value: number): void {
    if (offset === R.DATA) this.#data = value;
    if (offset !== R.CONTROL) return;
    const before = this.#control;
    this.#control = value & ~R.CONTROL_UNUSED;
    if ((this.#control & R.CONTROL_IRQ_ENABLE) === 0) this.#setIrq(false);
    if ((this.#control & R.CONTROL_INIT) === 0) {
      this.#phase = "idle";
      this.#timer.cancel();
    } else if ((this.#control & ~before & R.CONTROL_STROBE) !== 0) this.#strobe();
  }

  /** Room behind the back end, or something was plugged in or out. */
  hostEvent(): void {
    if (this.#phase === "waiting") this.#advance();
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      data: this.#data,
      control: this.#control,
      phase: phases.indexOf(this.#phase),
      taken: this.#taken,
      irqLevel: this.#irqLevel,
      deadlineNs: this.#timer.armed ? this.#timer.deadlineNs : -1,
    };
  }

  load(state: StateReader): void {
    this.#data = state.integer("data", 0, 0xff);
    this.#control = state.integer("control", 0, 0x3f);
    this.#phase = phases[state.integer("phase", 0, phases.length - 1)];
    this.#taken = state.integer("taken", 0, 0xff);
    this.#irqLevel = state.boolean("irqLevel");
    const deadlineNs = state.integer("deadlineNs", -1, Number.MAX_SAFE_INTEGER);
    state.end();
    if (deadlineNs >= 0) this.#timer.armAt(deadlineNs);
    else this.#timer.cancel();
    // Otherwise nothing would ever end it.
    if (deadlineNs < 0 && this.#phase !== "waiting") this.#phase = "idle";
  }

  #status(): number {
    // Without a cable the pull-ups say: selected, out of paper, busy.
    if (this.#backend?.connected !== true)
      return R.STATUS_ACK | R.STATUS_PAPER_OUT | R.STATUS_SELECT | R.STATUS_ERROR | R.STATUS_UNUSED;
    const isBusy = this.#phase === "busy" || this.#phase === "waiting";
    return (
      R.STATUS_SELECT |
      R.STATUS_ERROR |
      R.STATUS_UNUSED |
      (isBusy ? 0 : R.STATUS_NOT_BUSY) |
      (this.#phase === "acknowledging" ? 0 : R.STATUS_ACK)
    );
  }

  /** The printer sees -STROBE fall. A busy one does not look. */
  #strobe(): void {
    if (this.#backend?.connected !== true || this.#phase === "busy" || this.#phase === "waiting") return;
    this.#taken = (this.#control & R.CONTROL_DIRECTION) !== 0 ? 0xff : this.#data;
    this.#phase = "busy";
    this.#timer.armAfter(BUSY_NS);
  }

  #advance(): void {
    if (this.#phase === "acknowledging") {
      this.#phase = "idle";
      // The interrupt comes when -ACK rises.
      if ((this.#control & R.CONTROL_IRQ_ENABLE) !== 0) this.#setIrq(true);
      return;
    }
    if (this.#phase === "idle") return;
    const backend = this.#backend;
    if (backend?.connected === true && !backend.write(this.#taken)) {
      this.#phase = "waiting";
      return;
    }
    this.#phase = "acknowledging";
    this.#setIrq(false);
    this.#timer.armAfter(ACK_NS);
  }

  #setIrq(level: boolean): void {
    if (level === this.#irqLevel) return;
    this.#irqLevel = level;
    if (level) this.#irq.raise();
    else this.#irq.lower();
  }
}
