/**
 * The execution phase of the commands that touch the disk's surface: READ/WRITE (DELETED) DATA, READ TRACK, VERIFY, SCAN,
 * FORMAT TRACK, READ ID. A command is a chain of steps, each behind the timer: find the sector, move it between disk and
 * buffer, move it between buffer and host (DMA, or the FIFO without DMA), go on or end with the seven result bytes.
 * 82077AA data sheet, sections 5.1 and 6; result IDs by its table 5-6. A raw image keeps no deleted marks: every
 * sector counts as normal data.
 */
import { FormatError } from "../../base/errors.ts";
import type { Clock, Timer } from "../../device-api/clock.ts";
import type { DmaChannel } from "../../device-api/dma-channel.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import { COMMAND_BYTES, type CommandName, commandOf } from "./commands.ts";
import { SECTOR_BYTES, SECTOR_SIZE_CODE } from "./disk-format.ts";
import type { FloppyDrive } from "./drive.ts";
import * as R from "./registers.ts";
import { scanStatus } from "./scan.ts";
import { SectorAddress } from "./sector-address.ts";
import { timing } from "./timing.ts";

/** What the controller around a data command does for it. */
export interface DataCommandHost {
  readonly clock: Clock;
  readonly dma: DmaChannel;
  /** DOR lets DMA requests out. */
  readonly isDmaGateOpen: boolean;
  readonly isNonDma: boolean;
  readonly isFifoEnabled: boolean;
  readonly hasImpliedSeek: boolean;
  readonly rateCode: number;
  /** The drive that DOR selects, if there is one. */
  readonly selectedDrive: FloppyDrive | undefined;
  /** Steps the selected drive as unit's cylinder counter says; gives the steps. */
  seekTo(unit: number, cylinder: number): number;
  /** The interrupt that asks for FIFO service. */
  requestService(isWanted: boolean): void;
  /** Enters the result phase. */
  finish(result: readonly number[]): void;
}

/** "medium" is never saved: the machine drains requests before. */
const savedSteps = ["idle", "seek", "sector", "dma", "fifo", "fifo-pause", "fifo-end", "fail"] as const;
type Step = (typeof savedSteps)[number] | "medium";

/** How a command ends, beside the status that it has gathered. */
interface Ending {
  readonly isGood?: boolean;
  readonly st1?: number;
  readonly st2?: number;
}
const good: Ending = { isGood: true };
const endOfCylinder: Ending = { st1: R.ST1_EN };

const FIFO_BYTES = 16;
const ID_BYTES = 4;

export class DataCommand {
  readonly #host: DataCommandHost;
  readonly #timer: Timer;
  #step: Step = "idle";
  #name: CommandName = "read data";
  readonly #bytes = new Uint8Array(COMMAND_BYTES);
  #unit = 0;
  readonly #address = new SectorAddress();
  /** READ TRACK, VERIFY with EC, FORMAT TRACK: sectors still to do. */
  #sectorsLeft = 0;
  #isTerminalCount = false;
  #st1 = 0;
  #st2 = 0;
  /** EC of ST0 at the end. */
  #isEquipmentCheck = false;
  /** Data between host and disk; SCAN reads the disk's side into the other one. */
  #buffer = new Uint8Array(SECTOR_BYTES);
  #diskBuffer = new Uint8Array(SECTOR_BYTES);
  #at = 0;
  #length = 0;
  #fifoEnd = 0;
  /** Commands that were aborted must not hear from their requests. */
  #epoch = 0;

  constructor(host: DataCommandHost) {
    this.#host = host;
    this.#timer = host.clock.createTimer("floppy-data", () => this.#advance());
    host.dma.onReady(() => this.dmaMayGo());
  }

  get isRunning(): boolean {
    return this.#step !== "idle";
  }
  /** A seek that belongs to the command is under way. */
  get isSeeking(): boolean {
    return this.#step === "seek";
  }
  get unit(): number {
    return this.#unit;
  }
  /** Bytes go to the host. */
  get isToHost(): boolean {
    return this.#name.startsWith("read");
  }
  /** The FIFO wants to be read or written. */
  get isFifoReady(): boolean {
    return this.#step === "fifo";
  }

  /** Starts a command from its bytes; `unit` is the drive number for counters and status. */
  start(name: CommandName, bytes: Uint8Array, unit: number): void {
    this.#name = name;
    this.#bytes.fill(0);
    this.#bytes.set(bytes);
    this.#unit = unit;
    this.#isTerminalCount = false;
    this.#isEquipmentCheck = false;
    this.#st1 = 0;
    this.#st2 = 0;
    this.#sectorsLeft = 0;
    this.#setAddress();
    const { c } = this.#address;
    const canSeek = name !== "format track" && name !== "read id";
    if (!canSeek || !this.#host.hasImpliedSeek) this.#wait("sector", timing.sectorNs);
    else this.#wait("seek", timing.seekNs + this.#host.seekTo(unit, c) * timing.stepNs);
  }

  #setAddress(): void {
    const address = this.#address;
    const [first, second, c, h, r, n, eot] = this.#bytes;
    const stepOrCount = this.#bytes[8];
    address.head = (second & R.HDS) !== 0 ? 1 : 0;
    address.isMultiTrack = (first & R.COMMAND_MT) !== 0 && this.#name !== "read track";
    address.stride = this.#isScan && stepOrCount === 2 ? 2 : 1;
    if (this.#name === "format track") {
      // N, SC, gap, fill.
      Object.assign(address, { c: this.#host.selectedDrive?.cylinder ?? 0, h: address.head, r: 1, n: c, eot: h });
      this.#sectorsLeft = h;
      return;
    }
    Object.assign(address, { c, h, r, n, eot });
    if (this.#name === "read track") this.#sectorsLeft = eot;
    else if (this.#countsSectors) this.#sectorsLeft = stepOrCount || 256;
  }

  /** Ends the command without a result. */
  abort(): void {
    const mayBeInFlight = this.#step === "medium";
    this.#timer.cancel();
    this.#step = "idle";
    this.#epoch++;
    if (!mayBeInFlight) return;
    // The back end still uses the buffers.
    this.#buffer = new Uint8Array(SECTOR_BYTES);
    this.#diskBuffer = new Uint8Array(SECTOR_BYTES);
  }

  /** The channel or DOR's gate has opened. */
  dmaMayGo(): void {
    if (this.#step === "dma" && this.#canTransfer) this.#timer.armAfter(timing.dmaStartNs);
  }

  readFifo(): number {
    const value = this.#buffer[this.#at++];
    this.#fifoAccessed();
    return value;
  }

  writeFifo(value: number): void {
    this.#buffer[this.#at++] = value;
    this.#fifoAccessed();
  }

  get #isMfm(): boolean {
    return (this.#bytes[0] & R.COMMAND_MFM) !== 0;
  }
  get #isSkipping(): boolean {
    return (this.#bytes[0] & R.COMMAND_SK) !== 0;
  }
  /** The address marks on the disk are of the other kind than the command is for. */
  get #isOtherMark(): boolean {
    return this.#name === "read deleted data";
  }
  get #countsSectors(): boolean {
    return this.#name === "verify" && (this.#bytes[1] & R.VERIFY_EC) !== 0;
  }
  get #isWrite(): boolean {
    return this.#name === "write data" || this.#name === "write deleted data";
  }
  get #isFormat(): boolean {
    return this.#name === "format track";
  }
  get #isScan(): boolean {
    return this.#name.startsWith("scan");
  }
  get #canTransfer(): boolean {
    return this.#host.isDmaGateOpen && this.#host.dma.isReady;
  }
  #isReadable(drive: FloppyDrive): boolean {
    return drive.isReadable(this.#address.head, this.#host.rateCode, this.#isMfm);
  }

  #wait(step: Step, delayNs: number): void {
    this.#step = step;
    this.#timer.armAfter(delayNs);
  }

  /** The timer: what `step` waited for is there. */
  #advance(): void {
    switch (this.#step) {
      case "seek":
        this.#wait("sector", timing.sectorNs);
        break;
      case "sector":
        this.#meetSector();
        break;
      case "dma":
        if (this.#canTransfer) this.#transferDma();
        else this.#end({ st1: R.ST1_OR });
        break;
      case "fifo":
        this.#host.requestService(false);
        this.#end({ st1: R.ST1_OR });
        break;
      case "fifo-pause":
        this.#openFifo();
        break;
      case "fifo-end":
        this.#exchanged();
        break;
      case "fail":
        this.#end({});
        break;
      default:
        break;
    }
  }

  /** Two revolutions pass before the controller gives up. */
  #fail(st1: number, st2 = 0): void {
    this.#st1 |= st1;
    this.#st2 |= st2;
    this.#wait("fail", timing.searchNs);
  }

  #fault(): void {
    this.#isEquipmentCheck = true;
    this.#end({});
  }

  #meetSector(): void {
    const drive = this.#host.selectedDrive;
    const isWriting = this.#isFormat || this.#isWrite;
    if (drive === undefined || !drive.hasDisk) this.#fail(R.ST1_MA);
    else if (isWriting && drive.isWriteProtected) this.#end({ st1: R.ST1_NW });
    else if (this.#isFormat) this.#meetFormat(drive);
    else if (!this.#isReadable(drive)) this.#fail(R.ST1_MA);
    else if (this.#name === "read id") this.#identify(drive);
    else if (this.#name === "read track") this.#meetTrackSector(drive);
    else this.#search(drive);
  }

  #search(drive: FloppyDrive): void {
    const missing = drive.findSector(this.#address.head, this.#address);
    if (missing === 0 && this.#isOtherMark) this.#st2 |= R.ST2_CM;
    if (missing !== 0) this.#fail(missing & 0xff, missing >>> 8);
    else if (this.#isOtherMark && this.#isSkipping) this.#nextSector();
    else if (this.#isWrite) this.#exchange(SECTOR_BYTES);
    else this.#readSector(drive, this.#address.r);
  }

  #identify(drive: FloppyDrive): void {
    const { head } = this.#address;
    Object.assign(this.#address, { c: drive.cylinder, h: head, r: drive.nextSector(), n: SECTOR_SIZE_CODE });
    this.#end(good);
  }

  /** Sectors in the order in which they pass, from the index on; an ID that does not match is noted. */
  #meetTrackSector(drive: FloppyDrive): void {
    const address = this.#address;
    if (this.#sectorsLeft === address.eot) drive.rewindToIndex();
    if (this.#sectorsLeft === 0) this.#end(endOfCylinder);
    else if (address.n !== SECTOR_SIZE_CODE) this.#fail(R.ST1_ND);
    else {
      const sector = drive.nextSector();
      if (sector !== address.r || drive.findSector(address.head, address) !== 0) this.#st1 |= R.ST1_ND;
      this.#readSector(drive, sector);
    }
  }

  /** A raw image has room for its own format only: others end like a drive's fault. */
  #meetFormat(drive: FloppyDrive): void {
    const { n, eot } = this.#address;
    const isOwnFormat = this.#isReadable(drive) && n === SECTOR_SIZE_CODE && eot === drive.format?.sectors;
    if (isOwnFormat) this.#exchange(ID_BYTES);
    else this.#fault();
  }

  #readSector(drive: FloppyDrive, sector: number): void {
    const target = this.#isScan ? this.#diskBuffer : this.#buffer;
    this.#askMedium((done) => drive.read(this.#address.head, sector, target, done));
  }

  #writeSector(sector: number): void {
    const drive = this.#host.selectedDrive;
    if (drive === undefined) this.#fault();
    else this.#askMedium((done) => drive.write(this.#address.head, sector, this.#buffer, done));
  }

  #askMedium(issue: (done: (ok: boolean) => void) => void): void {
    this.#step = "medium";
    const epoch = this.#epoch;
    issue((ok) => {
      if (epoch === this.#epoch && this.#step === "medium") this.#mediumAnswered(ok);
    });
  }

  #mediumAnswered(ok: boolean): void {
    const isWriting = this.#isFormat || this.#isWrite;
    if (!ok && isWriting) this.#fault();
    else if (!ok) this.#end({ st1: R.ST1_DE, st2: R.ST2_DD });
    else if (this.#isFormat) this.#nextFormatSector();
    else if (this.#isWrite || this.#name === "verify") this.#nextSector();
    else this.#exchange(SECTOR_BYTES);
  }

  /** Moves bytes between the buffer and the host. */
  #exchange(length: number): void {
    this.#at = 0;
    this.#length = length;
    if (this.#host.isNonDma) this.#openFifo();
    else if (this.#canTransfer) this.#transferDma();
    else this.#wait("dma", timing.dmaWaitNs);
  }

  #transferDma(): void {
    const { dma } = this.#host;
    const part = this.#buffer.subarray(this.#at, this.#length);
    this.#at += dma.transfer(this.isToHost ? "to-memory" : "from-memory", part);
    this.#isTerminalCount = dma.reachedTerminalCount;
    if (this.#at < this.#length && !this.#isTerminalCount) this.#wait("dma", timing.dmaWaitNs);
    else this.#exchanged();
  }

  /** Asks for service until a FIFO's worth has been moved, a byte with the FIFO off. */
  #openFifo(): void {
    this.#wait("fifo", timing.fifoWaitNs);
    this.#fifoEnd = Math.min(this.#length, this.#at + (this.#host.isFifoEnabled ? FIFO_BYTES : 1));
    this.#host.requestService(true);
  }

  #fifoAccessed(): void {
    if (this.#at < this.#fifoEnd) return;
    this.#host.requestService(false);
    this.#wait(this.#at < this.#length ? "fifo-pause" : "fifo-end", timing.fifoNs);
  }

  #exchanged(): void {
    if (this.#isFormat) this.#formatSector();
    else if (this.#isWrite) {
      // Terminal count inside a sector: the rest is zeros.
      this.#buffer.fill(0, this.#at);
      this.#writeSector(this.#address.r);
    } else if (this.#isScan) this.#compare();
    else this.#nextSector();
  }

  #compare(): void {
    this.#st2 = (this.#st2 & ~(R.ST2_SH | R.ST2_SN)) | scanStatus(this.#name, this.#diskBuffer, this.#buffer, this.#at);
    if ((this.#st2 & R.ST2_SN) === 0) this.#end(good);
    else this.#nextSector();
  }

  #formatSector(): void {
    const drive = this.#host.selectedDrive;
    const [c, h, r, n] = this.#buffer;
    const isOwn = drive !== undefined && this.#isReadable(drive);
    if (this.#at < ID_BYTES) this.#end(good);
    else if (!isOwn || drive.findSector(this.#address.head, { c, h, r, n }) !== 0) this.#fault();
    else {
      this.#buffer.fill(this.#bytes[5]);
      this.#writeSector(r);
    }
  }

  #nextFormatSector(): void {
    this.#sectorsLeft--;
    this.#address.r++;
    if (this.#sectorsLeft === 0 || this.#isTerminalCount) this.#end(good);
    else this.#wait("sector", timing.sectorNs);
  }

  /** The sector is done: the end, or the next one. */
  #nextSector(): void {
    if (this.#countsSectors || this.#name === "read track") this.#sectorsLeft--;
    if (this.#name === "read track") this.#nextTrackSector();
    // A sector of the other kind is the last one, and the address stays.
    else if (this.#isOtherMark && !this.#isSkipping) this.#end(good);
    else if (this.#isTerminalCount || (this.#countsSectors && this.#sectorsLeft === 0)) this.#endAfterSector();
    else if (this.#address.next()) this.#wait("sector", timing.sectorNs);
    else if (this.#name === "verify" && !this.#countsSectors) this.#endAfterSector();
    else if (this.#isScan) this.#end(good);
    else this.#end(endOfCylinder);
  }

  #nextTrackSector(): void {
    this.#address.r = (this.#address.r + 1) & 0xff;
    if (this.#sectorsLeft > 0 && !this.#isTerminalCount) this.#wait("sector", timing.sectorNs);
    else this.#end({ isGood: this.#st1 === 0 });
  }

  #endAfterSector(): void {
    this.#address.leaveLast();
    this.#end(good);
  }

  #end({ isGood = false, st1 = 0, st2 = 0 }: Ending): void {
    this.#step = "idle";
    this.#timer.cancel();
    const { c, h, r, n, head } = this.#address;
    const code = (isGood ? 0 : R.ST0_ABNORMAL) | (this.#isEquipmentCheck ? R.ST0_EC : 0);
    this.#host.finish([code | (head << 2) | this.#unit, this.#st1 | st1, this.#st2 | st2, c, h, r, n]);
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      step: this.#step,
      deadlineNs: this.#timer.armed ? this.#timer.deadlineNs : -1,
      bytes: this.#bytes.slice(),
      unit: this.#unit,
      address: this.#address.save(),
      sectorsLeft: this.#sectorsLeft,
      isTerminalCount: this.#isTerminalCount,
      status: [this.#st1, this.#st2],
      isEquipmentCheck: this.#isEquipmentCheck,
      buffer: this.#buffer.slice(),
      diskBuffer: this.#diskBuffer.slice(),
      progress: [this.#at, this.#length, this.#fifoEnd],
    };
  }

  load(state: StateReader): void {
    this.abort();
    const saved = state.string("step");
    const step = savedSteps.find((known) => known === saved);
    if (step === undefined) throw new FormatError(`saved state: a floppy command cannot be at step "${saved}"`);
    this.#step = step;
    const deadlineNs = state.number("deadlineNs");
    if (deadlineNs >= 0) this.#timer.armAt(deadlineNs);
    this.#bytes.set(state.bytes("bytes", COMMAND_BYTES));
    this.#name = commandOf(this.#bytes[0])?.name ?? "read data";
    this.#unit = state.integer("unit", 0, 3);
    this.#address.load(state.child("address"));
    this.#sectorsLeft = state.integer("sectorsLeft", 0, 256);
    this.#isTerminalCount = state.boolean("isTerminalCount");
    [this.#st1, this.#st2] = state.integers("status", 2, 2, 0, 0xff);
    this.#isEquipmentCheck = state.boolean("isEquipmentCheck");
    this.#buffer.set(state.bytes("buffer", SECTOR_BYTES));
    this.#diskBuffer.set(state.bytes("diskBuffer", SECTOR_BYTES));
    [this.#at, this.#length, this.#fifoEnd] = state.integers("progress", 3, 3, 0, SECTOR_BYTES);
    state.end();
    if (step === "fifo" && this.#at >= this.#fifoEnd) throw new FormatError("saved state: the floppy FIFO is empty");
  }
}
