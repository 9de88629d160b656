/**
 * What ATA disks and packet drives have in common (ATA/ATAPI-6 chapters 7 and 9): the task file, the status register, the
 * phases of a command, INTRQ, reset. The guest's accesses only change registers and move data words; everything else runs
 * from the drive's timer or from a back end's completion, so no command ever finishes inside the access that started it.
 */
import type { BlockBackend } from "../../backend-api/block.ts";
import { FormatError, InternalError } from "../../base/errors.ts";
import type { Logger, TraceChannel } from "../../base/logger.ts";
import type { Clock, Timer } from "../../device-api/clock.ts";
import type { GuestMemory } from "../../device-api/guest-memory.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import { BackendRequests } from "./backend-requests.ts";
import type { BusMasterChannel } from "./bus-master.ts";
import { DataTransfer, TO_HOST, type TransferOwner } from "./data-transfer.ts";
import { ABRT, BSY, DIAGNOSTIC_PASSED, DRDY, DSC, ERR } from "./registers.ts";
import type { SavedFields } from "./saved-fields.ts";
import type { IdeTiming } from "./timing.ts";

/** What a drive is given by its channel. */
export interface DriveHost {
  readonly clock: Clock;
  readonly memory: GuestMemory;
  readonly timing: IdeTiming;
  readonly log: Logger;
  readonly trace: TraceChannel;
  readonly busMaster: BusMasterChannel;
  /** The drive's INTRQ output changed. */
  interruptChanged(): void;
}

/** Where a command stands. */
export const PHASE_IDLE = 0;
/** Busy until the timer runs `#afterDelay`. */
export const PHASE_DELAY = 1;
/** Busy until a back end answers. */
export const PHASE_BACKEND = 2;
/** A PIO block waits for the host. */
export const PHASE_PIO = 3;
/** Waiting for the bus master to be started. */
export const PHASE_DMA = 4;
/** SRST held, or a reset that still waits for requests in flight. */
export const PHASE_RESET = 5;

/** What the timer of PHASE_DELAY does. */
export const THEN_NOTHING = 0;
export const THEN_EXECUTE = 1;
export const THEN_STEP = 2;
export const THEN_DMA = 3;
export const THEN_END_RESET = 4;
/** Subclass's own continuation. */
export const THEN_CONTINUE = 5;

const maxReportedErrors = 16;

export abstract class IdeDrive implements TransferOwner {
  /** "primary master", for logs. */
  readonly name: string;
  features = 0;
  count = 0;
  lbaLow = 0;
  lbaMid = 0;
  lbaHigh = 0;
  device = 0;
  error = 0;
  status = DRDY | DSC;
  /** Contents before the last write: the upper bytes of 48-bit commands. */
  previousCount = 0;
  previousLbaLow = 0;
  previousLbaMid = 0;
  previousLbaHigh = 0;
  /** The INTRQ output, before nIEN. */
  isInterruptPending = false;
  phase = PHASE_IDLE;
  command = 0;
  readonly transfer: DataTransfer;
  protected readonly host: DriveHost;
  protected readonly requests: BackendRequests;
  readonly #timer: Timer;
  readonly #reported = new Set<string>();
  #mediumErrors = 0;
  #afterDelay = THEN_NOTHING;
  #isResetTimeOver = false;
  #isDiagnosing = false;
  #isReporting = false;

  constructor(host: DriveHost, name: string, sectorBytes: number) {
    this.host = host;
    this.name = name;
    this.requests = new BackendRequests(host.memory, () => this.#drained());
    this.transfer = new DataTransfer(this, this.requests, host.busMaster, host.memory, sectorBytes);
    this.#timer = host.clock.createTimer(`ide ${name}`, () => this.#timerFired());
  }

  abstract readonly isPacketDevice: boolean;
  abstract readonly currentMedium: BlockBackend | undefined;
  /** Carries out `command`, some time after it was written. */
  protected abstract execute(): void;
  /** Puts the reset signature into the task file and the status that a reset leaves. */
  protected abstract setSignature(): void;
  abstract presentBlock(bytes: number): void;
  abstract blockFinished(): void;
  abstract transferComplete(): void;
  abstract transferFailed(): void;

  get pendingRequests(): number {
    return this.requests.inFlight;
  }

  get isBusy(): boolean {
    return (this.status & BSY) !== 0;
  }

  /** The guest wrote the command register of the selected drive. */
  writeCommand(command: number): void {
    if (this.isBusy) return;
    this.startCommand(command);
  }

  protected startCommand(command: number): void {
    this.transfer.cancel();
    this.command = command;
    this.error = 0;
    this.setInterrupt(false);
    this.busyFor(this.host.timing.commandNs, THEN_EXECUTE);
    if (this.host.trace.enabled) this.#traceCommand();
  }

  #traceCommand(): void {
    this.host.trace.line(
      `ide ${this.name}: command ${hex(this.command)} features ${hex(this.features)} count ${hex(this.count)} ` +
        `lba ${hex(this.lbaHigh)} ${hex(this.lbaMid)} ${hex(this.lbaLow)} device ${hex(this.device)}`,
    );
  }

  protected busyFor(delayNs: number, then: number): void {
    this.status = BSY | DRDY | DSC;
    this.phase = PHASE_DELAY;
    this.#afterDelay = then;
    this.#timer.armAfter(delayNs);
  }

  #timerFired(): void {
    const then = this.#afterDelay;
    this.#afterDelay = THEN_NOTHING;
    this.phase = PHASE_BACKEND;
    if (then === THEN_EXECUTE) this.execute();
    else if (then === THEN_STEP) this.transfer.step();
    else if (then === THEN_CONTINUE) this.continueCommand();
    else if (then === THEN_DMA) {
      if (this.host.busMaster.isReady) this.transfer.startDma();
      else this.phase = PHASE_DMA;
    } else if (then === THEN_END_RESET) {
      this.phase = PHASE_RESET;
      this.#endResetWhenDrained();
    } else this.phase = PHASE_IDLE;
  }

  /** THEN_CONTINUE: a command in two steps goes on. */
  protected continueCommand(): void {
    this.abort();
  }

  setInterrupt(level: boolean): void {
    if (level === this.isInterruptPending) return;
    this.isInterruptPending = level;
    this.host.interruptChanged();
  }

  /** The command is over: ready, and an interrupt. */
  protected complete(status: number, error: number): void {
    this.finishQuietly(status, error);
    this.setInterrupt(true);
  }

  /** The command is over, and the host knows without an interrupt. */
  protected finishQuietly(status: number, error: number): void {
    this.transfer.cancel();
    this.phase = PHASE_IDLE;
    this.status = status;
    this.error = error;
    if (this.host.trace.enabled) this.host.trace.line(`ide ${this.name}: status ${hex(status)} error ${hex(error)}`);
  }

  protected succeed(): void {
    this.complete(DRDY | DSC, 0);
  }

  protected abort(): void {
    this.complete(DRDY | DSC | ERR, ABRT);
  }

  /** A command that is not carried out is named once in the log. */
  protected reportUnknown(what: string, code: number): void {
    const text = `${what} ${code.toString(16).padStart(2, "0")}h`;
    if (this.#reported.has(text)) return;
    this.#reported.add(text);
    this.host.log.info(`ide ${this.name}: ${text} is not supported`);
  }

  /** The back end failed; a guest that tries again and again does not fill the log. */
  protected reportMediumError(verb: "read" | "write", sector: number): void {
    this.#mediumErrors++;
    if (this.#mediumErrors > maxReportedErrors) return;
    this.host.log.warn(`ide ${this.name}: cannot ${verb} sector ${sector}`);
  }

  waitForDma(): void {
    this.phase = PHASE_DMA;
    this.status = BSY | DRDY | DSC;
    this.busMasterStarted();
  }

  /** The bus master may work now: the guest started it or gave it the bus. */
  busMasterStarted(): void {
    if (this.phase === PHASE_DMA && this.host.busMaster.isReady) {
      this.busyFor(this.host.timing.dmaStartNs, THEN_DMA);
    }
  }

  get isTransferringPio(): boolean {
    return this.phase === PHASE_PIO;
  }

  get isTransferringToHost(): boolean {
    return this.phase === PHASE_PIO && this.transfer.direction === TO_HOST;
  }

  /** SRST is set, or another reset begins: whatever runs is gone; busy until `endReset`. */
  beginReset(): void {
    this.#timer.cancel();
    this.#afterDelay = THEN_NOTHING;
    this.requests.abandon();
    this.transfer.cancel();
    this.phase = PHASE_RESET;
    this.status = BSY;
    this.#isResetTimeOver = false;
    this.#isDiagnosing = false;
    this.#isReporting = false;
    this.setInterrupt(false);
  }

  /** SRST is cleared: ready with the signature after a while, once no aborted request can touch guest RAM any more. */
  endReset(): void {
    if (this.phase !== PHASE_RESET) return;
    this.busyFor(this.host.timing.resetNs, THEN_END_RESET);
    this.status = BSY;
  }

  /**
   * EXECUTE DEVICE DIAGNOSTIC, which both drives of a channel carry out together: a reset that ends, on the drive that
   * reports, with an interrupt.
   */
  diagnose(isReporting: boolean): void {
    this.beginReset();
    this.endReset();
    this.#isDiagnosing = true;
    this.#isReporting = isReporting;
  }

  #endResetWhenDrained(): void {
    this.#isResetTimeOver = true;
    if (this.requests.inFlight > 0) return;
    this.#isResetTimeOver = false;
    this.phase = PHASE_IDLE;
    this.error = DIAGNOSTIC_PASSED;
    this.setSignature();
    this.resetDone(!this.#isDiagnosing);
    if (this.#isReporting) this.setInterrupt(true);
    this.#isDiagnosing = false;
    this.#isReporting = false;
  }

  #drained(): void {
    if (this.phase === PHASE_RESET && this.#isResetTimeOver) this.#endResetWhenDrained();
  }

  /** After the signature is in place; `isReset` is false after a diagnostic. */
  protected resetDone(_isReset: boolean): void {}

  /** Power-on or the reset line: at once, the machine has drained all requests. */
  hardReset(): void {
    this.beginReset();
    this.phase = PHASE_IDLE;
    this.command = 0;
    this.features = 0;
    this.device = 0;
    this.error = DIAGNOSTIC_PASSED;
    this.setSignature();
    this.status = DRDY | DSC;
  }

  save(): { [key: string]: SavedValue } {
    if (this.requests.inFlight > 0) throw new InternalError(`ide ${this.name}: saved with requests in flight`);
    return {
      registers: [this.features, this.count, this.lbaLow, this.lbaMid, this.lbaHigh, this.device],
      previous: [this.previousCount, this.previousLbaLow, this.previousLbaMid, this.previousLbaHigh],
      error: this.error,
      status: this.status,
      isInterruptPending: this.isInterruptPending,
      phase: this.phase,
      afterDelay: this.#afterDelay,
      deadlineNs: this.#timer.armed ? this.#timer.deadlineNs : null,
      command: this.command,
      isDiagnosing: this.#isDiagnosing,
      isReporting: this.#isReporting,
      transfer: this.transfer.save(),
    };
  }

  load(fields: SavedFields): void {
    const registers = fields.numbers("registers", 6, 0, 0xff);
    const previous = fields.numbers("previous", 4, 0, 0xff);
    if (registers.length !== 6 || previous.length !== 4)
      throw new FormatError(`ide ${this.name}: task file incomplete`);
    [this.features, this.count, this.lbaLow, this.lbaMid, this.lbaHigh, this.device] = registers;
    [this.previousCount, this.previousLbaLow, this.previousLbaMid, this.previousLbaHigh] = previous;
    this.error = fields.number("error", 0, 0xff);
    this.status = fields.number("status", 0, 0xff);
    this.isInterruptPending = fields.boolean("isInterruptPending");
    this.phase = fields.number("phase", PHASE_IDLE, PHASE_RESET);
    this.#afterDelay = fields.number("afterDelay", THEN_NOTHING, THEN_CONTINUE);
    this.#isResetTimeOver = false;
    this.command = fields.number("command", 0, 0xff);
    this.#isDiagnosing = fields.boolean("isDiagnosing");
    this.#isReporting = fields.boolean("isReporting");
    this.requests.abandon();
    this.transfer.load(fields.object("transfer"));
    const deadlineNs = fields.time("deadlineNs");
    if (deadlineNs === null) this.#timer.cancel();
    else this.#timer.armAt(deadlineNs);
  }
}

function hex(value: number): string {
  return value.toString(16).padStart(2, "0");
}
