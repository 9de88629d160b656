/**
 * The controller: registers, command and result phases, interrupts, seeks and everything that does not touch the disk's
 * surface (that is data-command.ts). Intel 82077AA (290166) and 82078 (290474), in PC/AT mode: DOR gates interrupt and
 * DMA, DIR has the change line only, SRA and SRB do not answer. The physical drive is always the one that DOR selects;
 * the drive bits of a command choose cylinder counter, busy bit and status. Not modelled: motors, power management,
 * SAVE, RESTORE, FORMAT AND WRITE, the 82078's 2 Mbit/s.
 */
import type { Logger, TraceChannel } from "../../base/logger.ts";
import type { Clock, Timer } from "../../device-api/clock.ts";
import type { DmaChannel } from "../../device-api/dma-channel.ts";
import type { IrqLine } from "../../device-api/irq-line.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import { COMMAND_BYTES, type CommandName, commandOf } from "./commands.ts";
import { DataCommand, type DataCommandHost } from "./data-command.ts";
import type { FloppyDrive } from "./drive.ts";
import * as R from "./registers.ts";
import { FdcSettings } from "./settings.ts";
import { timing } from "./timing.ts";

const UNITS = 4;
/** A recalibrate gives up after so many steps. */
const RECALIBRATE_STEPS = 79;
const NO_STATUS = -1;

export interface FdcParts {
  readonly clock: Clock;
  readonly dma: DmaChannel;
  readonly irq: IrqLine;
  readonly drives: readonly (FloppyDrive | undefined)[];
  readonly log: Logger;
  readonly trace: TraceChannel;
}

/** A seek or recalibrate of one unit, under way. */
interface Seek {
  readonly timer: Timer;
  /** What SENSE INTERRUPT STATUS will say. */
  st0: number;
}

export class Fdc82078 implements DataCommandHost {
  readonly clock: Clock;
  readonly dma: DmaChannel;
  readonly #irq: IrqLine;
  readonly #drives: readonly (FloppyDrive | undefined)[];
  readonly #log: Logger;
  readonly #trace: TraceChannel;
  readonly #data: DataCommand;
  readonly #resetTimer: Timer;
  readonly #seeks: readonly Seek[];

  #dor = 0;
  #tdr = 0;
  #dsr = R.DSR_DEFAULT;
  readonly #settings = new FdcSettings();
  /** Command bytes so far, and the result that waits to be read. */
  readonly #command = new Uint8Array(COMMAND_BYTES);
  #commandLength = 0;
  readonly #result = new Uint8Array(16);
  #resultLength = 0;
  #resultAt = 0;
  #isInterruptPending = false;
  /** What SENSE INTERRUPT STATUS has to report for each unit. */
  readonly #senseStatus = new Int16Array(UNITS).fill(NO_STATUS);
  /** Present cylinder numbers. */
  readonly #pcn = new Uint8Array(UNITS);
  readonly #unknownCommands = new Set<number>();

  constructor(parts: FdcParts) {
    this.clock = parts.clock;
    this.dma = parts.dma;
    this.#irq = parts.irq;
    this.#drives = parts.drives;
    this.#log = parts.log;
    this.#trace = parts.trace;
    this.#data = new DataCommand(this);
    this.#resetTimer = parts.clock.createTimer("floppy-reset", () => this.#resetDone());
    this.#seeks = Array.from({ length: UNITS }, (_, unit) => ({
      timer: parts.clock.createTimer(`floppy-seek-${unit}`, () => this.#seekDone(unit)),
      st0: 0,
    }));
  }

  /** The reset line. */
  hardReset(): void {
    this.#tdr = 0;
    this.#dsr = R.DSR_DEFAULT;
    this.#settings.hardReset();
    this.#dor = 0;
    this.#softReset();
  }

  /** What DOR and DSR do: everything stops, the configuration goes back to its default where it is not locked. */
  #softReset(): void {
    this.#data.abort();
    this.#resetTimer.cancel();
    for (const seek of this.#seeks) seek.timer.cancel();
    this.#commandLength = 0;
    this.#resultLength = 0;
    this.#resultAt = 0;
    this.#senseStatus.fill(NO_STATUS);
    this.#pcn.fill(0);
    this.#settings.softReset();
    this.#setInterrupt(false);
  }

  /** After a reset the drives are polled: each says that it became ready. */
  #resetDone(): void {
    const isIdle = !this.#data.isRunning && this.#resultLength === 0 && this.#commandLength === 0;
    if (!this.#settings.isPolling) return;
    if (!isIdle) {
      this.#resetTimer.armAfter(timing.resetNs);
      return;
    }
    for (let unit = 0; unit < UNITS; unit++) {
      if (this.#senseStatus[unit] === NO_STATUS) this.#senseStatus[unit] = R.ST0_POLLING | unit;
    }
    this.#setInterrupt(true);
  }

  get #isInReset(): boolean {
    return (this.#dor & R.DOR_NOT_RESET) === 0;
  }

  // What a data command asks.
  get isDmaGateOpen(): boolean {
    return (this.#dor & R.DOR_DMAGATE) !== 0;
  }
  get isNonDma(): boolean {
    return this.#settings.isNonDma;
  }
  get isFifoEnabled(): boolean {
    return this.#settings.isFifoEnabled;
  }
  get hasImpliedSeek(): boolean {
    return this.#settings.hasImpliedSeek;
  }
  get rateCode(): number {
    return this.#dsr & R.DSR_RATE;
  }
  get selectedDrive(): FloppyDrive | undefined {
    return this.#drives[this.#dor & R.DOR_DRIVE];
  }
  seekTo(unit: number, cylinder: number): number {
    const cylinders = cylinder - this.#pcn[unit];
    this.#pcn[unit] = cylinder;
    this.selectedDrive?.step(cylinders);
    return Math.abs(cylinders);
  }
  requestService(isWanted: boolean): void {
    this.#setInterrupt(isWanted);
  }
  finish(result: readonly number[]): void {
    this.#answer(result);
    this.#setInterrupt(true);
  }

  readByte(offset: number): number {
    switch (offset) {
      case R.DOR:
        return this.#dor;
      case R.TDR:
        return this.#tdr | (~R.TDR_TAPE & 0xff);
      case R.MSR:
        return this.#mainStatus;
      case R.FIFO:
        return this.#readFifo();
      default:
        return 0xff;
    }
  }

  writeByte(offset: number, value: number): void {
    switch (offset) {
      case R.DOR:
        this.#writeDor(value);
        break;
      case R.TDR:
        this.#tdr = value & R.TDR_TAPE;
        break;
      case R.DSR:
        this.#dsr = value & ~R.DSR_RESET;
        if ((value & R.DSR_RESET) !== 0 && !this.#isInReset) {
          this.#softReset();
          this.#resetTimer.armAfter(timing.resetNs);
        }
        break;
      case R.FIFO:
        this.#writeFifo(value);
        break;
      default:
        break;
    }
  }

  /** DIR: the change line of the selected drive. */
  readDir(): number {
    return this.selectedDrive?.isChanged ? R.DIR_DSKCHG : 0;
  }
  /** CCR: the data rate, as in DSR. */
  writeCcr(value: number): void {
    this.#dsr = (this.#dsr & ~R.DSR_RATE) | (value & R.DSR_RATE);
  }

  #writeDor(value: number): void {
    const wasInReset = this.#isInReset;
    this.#dor = value;
    if (this.#isInReset) this.#softReset();
    else if (wasInReset) this.#resetTimer.armAfter(timing.resetNs);
    this.#driveIrq();
    if (this.isDmaGateOpen) this.#data.dmaMayGo();
  }

  get #mainStatus(): number {
    if (this.#isInReset) return 0;
    const busy = this.#busyUnits;
    if (this.#data.isRunning) {
      const mode = this.isNonDma ? R.MSR_NON_DMA : 0;
      const ready = this.#data.isFifoReady ? R.MSR_RQM | (this.#data.isToHost ? R.MSR_DIO : 0) : 0;
      return ready | mode | R.MSR_CMD_BUSY | busy;
    }
    if (this.#resultLength > 0) return R.MSR_RQM | R.MSR_DIO | R.MSR_CMD_BUSY | busy;
    return R.MSR_RQM | (this.#commandLength > 0 ? R.MSR_CMD_BUSY : 0) | busy;
  }

  /** A drive is busy from the start of its seek until SENSE INTERRUPT STATUS. */
  get #busyUnits(): number {
    let busy = this.#data.isSeeking ? 1 << this.#data.unit : 0;
    for (let unit = 0; unit < UNITS; unit++) {
      const isSeekEnd = this.#isSeekEnd(unit);
      if (this.#seeks[unit].timer.armed || isSeekEnd) busy |= 1 << unit;
    }
    return busy;
  }

  #isSeekEnd(unit: number): boolean {
    const status = this.#senseStatus[unit];
    return status !== NO_STATUS && (status & R.ST0_SE) !== 0;
  }

  #setInterrupt(isPending: boolean): void {
    this.#isInterruptPending = isPending;
    this.#driveIrq();
  }
  #driveIrq(): void {
    if (this.#isInterruptPending && this.isDmaGateOpen && !this.#isInReset) this.#irq.raise();
    else this.#irq.lower();
  }

  #readFifo(): number {
    if (this.#isInReset) return 0;
    if (this.#data.isRunning) return this.#data.isFifoReady && this.#data.isToHost ? this.#data.readFifo() : 0;
    if (this.#resultLength === 0) return 0;
    if (this.#resultAt === 0) this.#setInterrupt(false);
    const value = this.#result[this.#resultAt++];
    if (this.#resultAt === this.#resultLength) {
      this.#resultLength = 0;
      this.#resultAt = 0;
      // A seek that ended meanwhile still wants to be sensed.
      if (this.#seeks.some((_, unit) => this.#isSeekEnd(unit))) this.#setInterrupt(true);
    }
    return value;
  }

  #writeFifo(value: number): void {
    if (this.#isInReset) return;
    if (this.#data.isRunning) {
      if (this.#data.isFifoReady && !this.#data.isToHost) this.#data.writeFifo(value);
      return;
    }
    if (this.#resultLength > 0) return;
    if (this.#commandLength > 0 && commandOf(this.#command[0])?.name === "drive specification") {
      this.#driveSpecification(value);
      return;
    }
    this.#command[this.#commandLength++] = value;
    const command = commandOf(this.#command[0]);
    if (command === undefined) {
      this.#noteUnknown(value);
      this.#commandLength = 0;
      this.#answer([R.ST0_INVALID]);
    } else if (this.#commandLength > command.parameters) {
      const bytes = this.#command.subarray(0, this.#commandLength);
      if (this.#trace.enabled) this.#trace.line(`fdc ${command.name}: ${hexBytes(bytes)}`);
      this.#commandLength = 0;
      this.#execute(command.name, bytes);
    }
  }

  #noteUnknown(value: number): void {
    if (this.#unknownCommands.has(value)) return;
    this.#unknownCommands.add(value);
    this.#log.info(`floppy: command ${hexBytes([value])} is not supported`);
  }

  /** Enters the result phase. */
  #answer(bytes: readonly number[]): void {
    if (this.#trace.enabled) this.#trace.line(`fdc result: ${hexBytes(bytes)}`);
    this.#result.set(bytes);
    this.#resultLength = bytes.length;
    this.#resultAt = 0;
  }

  /** The unit that a command means. Old drivers set the upper bit wrongly: then it is the one that DOR selects. */
  #unitOf(byte: number): number {
    const unit = byte & R.DS;
    return unit > 1 ? this.#dor & R.DOR_DRIVE : unit;
  }

  #execute(name: CommandName, bytes: Uint8Array): void {
    switch (name) {
      case "recalibrate":
        this.#recalibrate(this.#unitOf(bytes[1]));
        break;
      case "seek":
        this.#seek(this.#unitOf(bytes[1]), bytes[2]);
        break;
      case "relative seek": {
        const unit = this.#unitOf(bytes[1]);
        const cylinders = (bytes[0] & R.COMMAND_DIR) !== 0 ? bytes[2] : -bytes[2];
        this.#seekBy(unit, cylinders, (this.#pcn[unit] + cylinders) & 0xff);
        break;
      }
      case "sense interrupt status":
        this.#senseInterrupt();
        break;
      case "specify":
        this.#settings.specify(bytes);
        break;
      case "sense drive status":
        this.#answer([this.#driveStatus(bytes[1])]);
        break;
      case "configure":
        this.#settings.configure(bytes);
        break;
      case "dumpreg":
        this.#answer([...this.#pcn, ...this.#settings.dump()]);
        break;
      case "version":
        this.#answer([R.VERSION_ENHANCED]);
        break;
      case "perpendicular mode":
        this.#settings.setPerpendicular(bytes[1]);
        break;
      case "lock":
        this.#settings.isLocked = (bytes[0] & R.COMMAND_LOCK) !== 0;
        this.#answer([this.#settings.isLocked ? R.LOCK_RESULT : 0]);
        break;
      case "part id":
        this.#answer([R.PART_82078]);
        break;
      case "powerdown mode":
        this.#answer([bytes[1]]);
        break;
      case "option":
        break;
      case "drive specification":
        this.#driveSpecification(bytes[1]);
        break;
      default:
        // An interrupt that was never sensed would swallow the edge of this command's.
        this.#setInterrupt(false);
        if (name !== "read id") this.#settings.lastSector = name === "format track" ? bytes[3] : bytes[6];
        this.#data.start(name, bytes, this.#unitOf(bytes[1]));
    }
  }

  #seek(unit: number, cylinder: number): void {
    this.#seekBy(unit, cylinder - this.#pcn[unit], cylinder);
  }

  #seekBy(unit: number, cylinders: number, pcn: number): void {
    this.selectedDrive?.step(cylinders);
    this.#pcn[unit] = pcn;
    this.#startSeek(unit, R.ST0_SE | unit, Math.abs(cylinders));
  }

  #recalibrate(unit: number): void {
    const drive = this.selectedDrive;
    const steps = Math.min(drive?.cylinder ?? RECALIBRATE_STEPS, RECALIBRATE_STEPS);
    drive?.step(-steps);
    this.#pcn[unit] = 0;
    const failure = drive?.isAtTrack0 ? 0 : R.ST0_ABNORMAL | R.ST0_EC;
    this.#startSeek(unit, failure | R.ST0_SE | unit, steps);
  }

  #startSeek(unit: number, st0: number, stepCount: number): void {
    const seek = this.#seeks[unit];
    this.#senseStatus[unit] = NO_STATUS;
    seek.st0 = st0;
    seek.timer.armAfter(timing.seekNs + stepCount * timing.stepNs);
  }

  #seekDone(unit: number): void {
    this.#senseStatus[unit] = this.#seeks[unit].st0;
    // In another command's phases the interrupt waits for its end.
    if (!this.#data.isRunning && this.#resultLength === 0) this.#setInterrupt(true);
  }

  #senseInterrupt(): void {
    const unit = this.#senseStatus.findIndex((status) => status !== NO_STATUS);
    this.#setInterrupt(false);
    if (unit < 0) {
      this.#answer([R.ST0_INVALID]);
      return;
    }
    const st0 = this.#senseStatus[unit];
    this.#senseStatus[unit] = NO_STATUS;
    this.#answer([st0, this.#pcn[unit]]);
  }

  #driveStatus(byte: number): number {
    const drive = this.selectedDrive;
    const lines = drive === undefined ? 0 : (drive.isWriteProtected ? R.ST3_WP : 0) | (drive.isAtTrack0 ? R.ST3_T0 : 0);
    return R.ST3_ALWAYS | lines | (byte & R.HDS) | this.#unitOf(byte);
  }

  /** Bytes come until one says that it is the last. */
  #driveSpecification(value: number): void {
    this.#command[0] = 0x8e;
    this.#commandLength = 1;
    if ((value & R.DRIVE_SPEC_DONE) === 0) {
      this.#settings.specifyDrive(value);
      return;
    }
    this.#commandLength = 0;
    if ((value & R.DRIVE_SPEC_NRP) === 0) this.#answer(this.#settings.driveSpecifications);
  }

  save(): { readonly [key: string]: SavedValue } {
    const deadline = (timer: Timer) => (timer.armed ? timer.deadlineNs : -1);
    return {
      dor: this.#dor,
      tdr: this.#tdr,
      dsr: this.#dsr,
      settings: this.#settings.save(),
      command: this.#command.slice(),
      commandLength: this.#commandLength,
      result: this.#result.slice(),
      resultLength: this.#resultLength,
      resultAt: this.#resultAt,
      isInterruptPending: this.#isInterruptPending,
      senseStatus: [...this.#senseStatus],
      pcn: this.#pcn.slice(),
      resetNs: deadline(this.#resetTimer),
      seeks: this.#seeks.map(({ timer, st0 }) => ({ deadlineNs: deadline(timer), st0 })),
      data: this.#data.save(),
    };
  }

  load(state: StateReader): void {
    const arm = (timer: Timer, deadlineNs: number) => (deadlineNs >= 0 ? timer.armAt(deadlineNs) : timer.cancel());
    this.#dor = state.byte("dor");
    this.#tdr = state.integer("tdr", 0, R.TDR_TAPE);
    this.#dsr = state.integer("dsr", 0, 0x7f);
    this.#settings.load(state.child("settings"));
    this.#command.set(state.bytes("command", COMMAND_BYTES));
    this.#commandLength = state.integer("commandLength", 0, COMMAND_BYTES - 1);
    this.#result.set(state.bytes("result", this.#result.length));
    this.#resultLength = state.integer("resultLength", 0, this.#result.length);
    this.#resultAt = state.integer("resultAt", 0, Math.max(0, this.#resultLength - 1));
    this.#isInterruptPending = state.boolean("isInterruptPending");
    this.#senseStatus.set(state.integers("senseStatus", UNITS, UNITS, NO_STATUS, 0xff));
    this.#pcn.set(state.bytes("pcn", UNITS));
    arm(this.#resetTimer, state.number("resetNs"));
    state.children("seeks", UNITS).forEach((entry, unit) => {
      arm(this.#seeks[unit].timer, entry.number("deadlineNs"));
      this.#seeks[unit].st0 = entry.byte("st0");
      entry.end();
    });
    this.#data.load(state.child("data"));
    state.end();
  }
}

function hexBytes(bytes: Iterable<number>): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0").toUpperCase()).join(" ");
}
